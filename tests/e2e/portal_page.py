"""The portal's page in a browser: what a person does there, and what the desktop on it shows."""

import tempfile

from screen import Unreadable, read_screen

# The name of the portal in people's browsers; it has the addresses of all gateways.
PORTAL_NAME = "werkplek.test"
ENTER, CONTROL, ALT, HOME = "\ue007", "\ue009", "\ue00a", "\ue011"
# What a browser itself writes on the console when a server says no, or is not there: no fault of the page.
SAID_NO = r"Failed to load resource: the server responded with a status of 4\d\d"
UNREACHABLE = r"net::ERR_|WebSocket connection to .* failed"


# The desktop's picture, if it is none of those that were marked as old.
NEW = "#screen canvas:not([data-old])"


class PortalPage:
    def __init__(self, browser, origin):
        self.browser, self.origin = browser, origin

    def open(self):
        self.browser.open(f"{self.origin}/")
        self.browser.wait(self.view, 15, "the page")

    def view(self):
        return self.browser.script("return document.body.dataset.view || ''")

    def wait_view(self, *views, timeout_s=20):
        return self.browser.wait(lambda: self.view() in views and self.view(), timeout_s, f"the view {' or '.join(views)}")

    # -- the forms and the list -------------------------------------------------------------------

    def sign_in(self, person, code=None, password=None):
        """Fills the form in and sends it; what comes of it is the caller's to see."""
        self.wait_view("sign-in")
        self.browser.fill("#user", person.user)
        self.browser.fill("#password", person.password if password is None else password)
        self.browser.fill("#code", code or person.authenticator.code())
        self.browser.click("#sign-in")

    def problem(self):
        return self.browser.text("#problem")

    def news(self):
        """What it tells that is no problem."""
        return self.browser.text("#news")

    @staticmethod
    def item(pool):
        return f'#pools [data-pool="{pool}"]'

    def pools(self):
        """The names on the list."""
        return self.browser.script("return [...document.querySelectorAll('#pools [data-pool]')].map(one => one.dataset.pool)")

    def said_of(self, pool):
        return self.browser.text(self.item(pool))

    def open_pool(self, pool):
        self.wait_view("list")
        self.browser.click(f"{self.item(pool)} .open")

    def end_pool(self, pool):
        """Ends the work there, and says yes to the page that asks."""
        self.wait_view("list")
        self.browser.click(f"{self.item(pool)} .end")
        self.browser.click("#confirm-yes")

    # -- the desktop ------------------------------------------------------------------------------

    def screen(self, timeout_s=60, until=lambda screen: True, canvas="#screen canvas"):
        """What the guest's strip on the canvas says, once it can be read and `until` holds."""
        last = []
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            def look():
                file.seek(0)
                file.truncate()
                if not self.browser.canvas(canvas, file):
                    return None
                try:
                    last[:] = [read_screen(file.name)]
                except Unreadable as unreadable:
                    last[:] = [unreadable]
                    return None
                return last[0] if until(last[0]) else None

            return self.browser.wait(look, timeout_s, f"the awaited screen ({self.view()})")

    def type(self, text):
        """A line, as a person types it who has clicked on the desktop."""
        self.browser.click("#screen canvas")
        self.browser.press(text + ENTER)

    def bring_bar(self):
        """By the one key that the desktop does not get."""
        self.browser.press(HOME, held=[CONTROL, ALT])

    def leave(self):
        """Back to the list."""
        self.bring_bar()
        self.browser.click("#leave")
        self.wait_view("list")

    def mark_old(self):
        """The pictures that are there now are not looked at again by `screen(canvas=NEW)`."""
        self.browser.script("document.querySelectorAll('canvas').forEach(one => { one.dataset.old = '1'; })")
