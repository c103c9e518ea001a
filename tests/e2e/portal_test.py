"""People with nothing but a browser: the portal's page in a real one, and the desktop in it."""

import os
import re
import time

from end_to_end import main  # first: it says where the others are
from browser import Browser
from portal_client import COOKIE, PortalClient
from portal_page import ENTER, NEW, PORTAL_NAME, SAID_NO, UNREACHABLE, PortalPage
from viewers import OpenDisplay, VncClient
from with_gateways import GatewaysTest

# From kill -9 of the gateway until the desktop's picture, through the other one, is judged right.
MOST_AWAY_S = 10
# How long one waits for a desktop of the pool "loket".
QUEUE_S = 4
# Lets a test cut the page's sockets off, as sleep does: they close without a word, and none opens until it wakes.
SLEEPER = """
    const Real = window.WebSocket;
    window.sockets = [];
    window.asleep = false;
    // Gives real ones: noVNC takes nothing that is derived from them.
    window.WebSocket = function (url, protocols) {
      const one = new Real(window.asleep ? url.replace("/display/", "/asleep/") : url, protocols);
      window.sockets.push(one);
      return one;
    };
    Object.setPrototypeOf(window.WebSocket, Real);
    window.WebSocket.prototype = Real.prototype;"""
FALL_ASLEEP = "window.asleep = true; window.sockets.forEach(one => one.close(4000));"


class PortalTest(GatewaysTest):
    pools = {"kantoor": {"min_desktops": 2, "max_desktops": 6, "running_spares": 1, "suspend_after_s": 3600},
             "balie": {"min_desktops": 1, "max_desktops": 1, "running_spares": 1},
             "loket": {"min_desktops": 1, "max_desktops": 1, "running_spares": 1, "queue_deadline_s": QUEUE_S}}
    portal = True
    # They have their tokens before the first test: a code that confirmed one signs nobody in, and the next one takes a while.
    people = []

    def setUp(self):
        super().setUp()
        if not self.people:
            self.people.extend(self.take(10))
        self.person = self.people.pop()
        # What may be on the console: it asks whether it is signed in, and is told no.
        self.expected = [SAID_NO]
        self.browser = self.start_browser("browser")
        self.page = PortalPage(self.browser, self.origin)
        self.page.open()

    def start_browser(self, name, language="en"):
        folder = os.path.join(self.person.folder, name)
        os.makedirs(folder)
        browser = Browser(folder, self.authority.path("ca.pem"), {PORTAL_NAME: list(self.addresses.values())},
                          language)
        self.addCleanup(browser.close)
        return browser

    def tearDown(self):
        self.assertEqual(self.browser.complaints(*self.expected), [], "the browser's console")
        super().tearDown()

    def open_desktop(self):
        """Signs in and opens the desktop; gives what its screen says."""
        self.lab.wait_spares("kantoor", 1)
        self.page.sign_in(self.person)
        self.page.wait_view("list")
        self.page.open_pool("kantoor")
        self.page.wait_view("desktop", timeout_s=60)
        return self.page.screen(until=self.is_mine)

    def is_mine(self, screen):
        return screen.user == self.person.user

    def mark(self, text):
        self.page.type(f"write {text}")
        return self.page.screen(until=lambda screen: screen.marker == text)

    def wait_state(self, state):
        self.wait(lambda: self.session_of(self.person)["state"] == f"SESSION_STATE_{state}", 20, f"a session {state}")

    def sign_ins(self):
        found = self.lab.ctl_json("sign-in", "list", "--user", self.person.user).get("sign_ins", [])
        return [one["id"] for one in found]

    def test_1_the_right_code_gives_the_persons_desktop_and_its_keyboard(self):
        said = set()
        for wrong in ({"code": "000000"}, {"code": "123456", "password": "fout"}):
            self.page.sign_in(self.person, **wrong)
            said.add(self.browser.wait(self.page.problem, 20, "a problem"))
            self.assertEqual(self.page.view(), "sign-in")
            self.assertEqual(self.browser.cookies(), {})
            self.page.open()
        self.assertEqual(len(said), 1, said)
        screen = self.open_desktop()
        session = self.session_of(self.person)
        self.assertEqual((screen.desktop, screen.user, screen.state),
                         (session["desktop"], self.person.user, "session"))
        self.wait_state("ACTIVE")
        self.assertEqual(self.mark("hallo").desktop, session["desktop"])
        # The page itself cannot read what it is known by, and keeps nothing else.
        cookies = self.browser.cookies()
        self.assertEqual(list(cookies), [COOKIE])
        cookie = cookies[COOKIE]
        self.assertEqual((cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"], cookie["domain"]),
                         (True, True, "Strict", "/", PORTAL_NAME))
        self.assertNotIn("expiry", cookie)
        kept = self.browser.script("return [document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), "
                                   "location.href, document.documentElement.outerHTML]")
        self.assertEqual((kept[0], kept[3]), ("", f"{self.origin}/"))
        for text in kept:
            self.assertNotIn(cookie["value"], text)
            self.assertNotIn(self.person.password, text)

    def test_2_a_killed_gateway_costs_seconds_and_no_session(self):
        self.expected.append(UNREACHABLE)
        before = {site: self.opened(site) for site in self.gateways}
        self.open_desktop()
        self.mark("hallo")
        session, signed_in = self.session_of(self.person), self.sign_ins()
        killed, other = sorted(self.gateways, key=lambda site: self.opened(site) - before[site], reverse=True)
        self.assertEqual((self.opened(killed) - before[killed], self.opened(other) - before[other]), (1, 0))
        self.page.mark_old()
        began = time.monotonic()
        self.gateways[killed].kill()
        self.browser.wait(lambda: self.opened(other) > before[other] and self.page.view() == "desktop", 60,
                          "the desktop through the other gateway")
        screen = self.page.screen(until=self.is_mine, canvas=NEW)
        away = time.monotonic() - began
        self.tell(f"browser: the screen was back {away:.2f} s after kill -9 of gateway {killed}")
        self.assertEqual((screen.desktop, screen.marker), (session["desktop"], "hallo"))
        # It is no picture of before: it follows the keyboard.
        self.mark("weer")
        self.assertEqual(self.session_of(self.person)["id"], session["id"])
        self.assertEqual(self.sign_ins(), signed_in, "somebody signed in again")
        self.assertEqual(self.opened(other) - before[other], 1)
        self.assertLess(away, MOST_AWAY_S)

    def test_3_leaving_disconnects_and_opening_again_resumes(self):
        self.open_desktop()
        first = self.mark("hallo")
        session = self.session_of(self.person)
        self.page.leave()
        self.wait_state("DISCONNECTED")
        for _ in range(2):
            self.page.open_pool("kantoor")
            self.page.wait_view("desktop")
            again = self.page.screen(until=self.is_mine)
            self.assertEqual((again.desktop, again.marker), (first.desktop, "hallo"))
            self.assertEqual(self.session_of(self.person)["id"], session["id"])
            self.wait_state("ACTIVE")
            # Whoever comes back to a page that was closed finds the list, signed in.
            self.page.open()
            self.page.wait_view("list")
            self.wait_state("DISCONNECTED")

    def test_4_what_is_taken_over_elsewhere_is_not_taken_back(self):
        self.open_desktop()
        session = self.session_of(self.person)
        self.sign_in(self.person)
        opened = [self.opened(site) for site in self.gateways]
        with OpenDisplay(self.lab, "tc-001", "kantoor", "vnc", self.person.folder) as display:
            with VncClient(display.address()) as viewer:
                viewer.screen(until=self.is_mine)
                self.page.wait_view("list")
                said = self.browser.wait(self.page.news, 5, "why the desktop is gone")
                self.tell(f"the page says: {said}")
                # The other one has it still: it types, and sees what it typed.
                viewer.type("write elders")
                viewer.screen(until=lambda screen: screen.marker == "elders")
                self.wait_state("ACTIVE")
                self.assertEqual(self.page.view(), "list")
                self.assertEqual([self.opened(site) for site in self.gateways], opened, "the page took it back")
                # Until somebody asks the page to.
                self.page.open_pool("kantoor")
                self.page.wait_view("desktop")
                self.assertEqual(self.page.screen(until=self.is_mine).marker, "elders")
                viewer.wait_closed()
                viewer.close()
                display.wait_ended()
        self.wait_state("ACTIVE")
        self.assertEqual(self.session_of(self.person)["id"], session["id"])

    def test_4_a_page_that_slept_takes_nothing_back(self):
        self.expected.append(UNREACHABLE)
        self.browser.script(SLEEPER)
        self.open_desktop()
        self.browser.script(FALL_ASLEEP)
        self.page.wait_view("lost")
        self.sign_in(self.person)
        with OpenDisplay(self.lab, "tc-001", "kantoor", "vnc", self.person.folder) as display:
            with VncClient(display.address()) as viewer:
                viewer.screen(until=self.is_mine)
                self.browser.script("window.asleep = false;")
                self.page.wait_view("list")
                self.assertIn("somewhere else", self.browser.wait(self.page.problem, 5, "why the desktop is gone"))
                viewer.type("write elders")
                viewer.screen(until=lambda screen: screen.marker == "elders")
                self.wait_state("ACTIVE")
        # Its desktop is for the tests that come.
        self.werkplek(self.person, "end", "kantoor", "--yes")

    def test_5_work_ends_when_asked_and_the_sign_in_when_signed_out(self):
        self.open_desktop()
        session = self.session_of(self.person)
        self.page.leave()
        self.page.end_pool("kantoor")
        self.wait(lambda: self.lab.ctl_json("session", "get", session["id"])["state"] == "SESSION_STATE_ENDED", 30,
                  "the end of the session")
        client = PortalClient(self.addresses[next(iter(self.addresses))], self.portal_port, self.authority.path("ca.pem"))
        client.cookie = self.browser.cookies()[COOKIE]["value"]
        self.assertEqual(client.pools().status, 200)
        self.assertEqual(len(self.sign_ins()), 1)
        self.browser.click("#sign-out")
        self.page.wait_view("sign-in")
        self.browser.wait(lambda: not self.browser.cookies(), 5, "no cookie")
        self.assertEqual(self.sign_ins(), [])
        self.assertEqual(client.pools().error, (401, "sign-in-first"))
        # Nor does a reload give anything.
        self.page.open()
        self.page.wait_view("sign-in")
        self.assertEqual(self.page.pools(), [])

    def test_6_a_sign_in_that_was_revoked_ends_the_desktop_and_asks_for_a_new_one(self):
        self.expected.append(UNREACHABLE)
        self.open_desktop()
        session = self.session_of(self.person)
        self.lab.ctl("sign-in", "revoke", "--user", self.person.user)
        self.page.wait_view("sign-in")
        self.page.sign_in(self.person)
        self.page.open_pool("kantoor")
        self.page.wait_view("desktop")
        self.page.screen(until=self.is_mine)
        self.assertEqual(self.session_of(self.person)["id"], session["id"])

    def test_7_all_of_it_goes_by_keyboard_and_in_dutch(self):
        self.browser = browser = self.start_browser("dutch", "nl")
        self.page = PortalPage(browser, self.origin)
        self.page.open()
        self.page.wait_view("sign-in")
        self.assertEqual(browser.script("return document.documentElement.lang"), "nl")
        self.assertEqual(browser.text("#sign-in"), "Aanmelden")
        self.assertEqual(browser.unnamed(), [])
        for selector, text in {"#user": self.person.user, "#password": self.person.password}.items():
            browser.tab_to(selector)
            browser.press(text)
        browser.tab_to("#code")
        browser.press(self.person.authenticator.code() + ENTER)
        self.page.wait_view("list")
        self.assertEqual(browser.unnamed(), [])
        browser.tab_to(f"{self.page.item('kantoor')} .open")
        browser.press(ENTER)
        self.page.wait_view("desktop", timeout_s=60)
        self.page.screen(until=self.is_mine)
        self.assertEqual(browser.unnamed(), [])
        # The keys go to the desktop at once, but for the one that brings the bar.
        browser.press("write toets" + ENTER)
        self.page.screen(until=lambda screen: screen.marker == "toets")
        self.page.bring_bar()
        browser.tab_to("#leave")
        browser.press(ENTER)
        self.page.wait_view("list")
        browser.wait(lambda: browser.shown(f"{self.page.item('kantoor')} .end"), 10, "the session on the list")
        browser.tab_to(f"{self.page.item('kantoor')} .end")
        browser.press(ENTER)
        browser.tab_to("#confirm-yes")
        self.assertEqual(browser.unnamed("dialog[open]"), [])
        browser.press(ENTER)
        self.wait(lambda: not [s for s in self.sessions(user=self.person.user) if s["state"] != "SESSION_STATE_ENDED"], 30,
                  "the end of the session")
        browser.tab_to("#sign-out")
        browser.press(ENTER)
        self.page.wait_view("sign-in")
        self.assertEqual(self.sign_ins(), [])

    def test_8_who_waits_sees_the_place_and_may_give_it_up(self):
        holder = self.people.pop()
        self.sign_in(holder)
        for pool in ("balie", "loket"):
            self.lab.wait_spares(pool, 1)
            self.take_ticket(holder, pool)
        self.page.sign_in(self.person)
        self.wait_in_queue()
        self.browser.click("#cancel")
        self.page.wait_view("list")
        self.wait(lambda: not self.lab.pool_status("balie").get("waiting"), 5, "an empty queue")
        self.assertEqual(self.page.problem(), "")
        # Who waits in vain is told, and which number says why.
        self.page.open_pool("loket")
        self.page.wait_view("list", timeout_s=QUEUE_S + 10)
        said = self.browser.wait(self.page.problem, 5, "why there is no desktop")
        self.tell(f"the page says: {said}")
        self.assertIn("none came free in time", said)
        number = re.search(r"\br-[0-9a-f]+", self.browser.text("main"))
        self.assertTrue(number, self.browser.text("main"))
        self.assertIn("refused: deadline", self.lab.ctl("explain", number.group(0)))
        # Who waits while one comes free gets it.
        self.wait_in_queue()
        self.werkplek(holder, "end", "balie", "--yes")
        self.page.wait_view("desktop", timeout_s=60)
        self.page.screen(until=self.is_mine)

    def wait_in_queue(self):
        self.page.open_pool("balie")
        self.page.wait_view("waiting")
        self.browser.wait(lambda: "position 1" in self.browser.text("#waiting"), 5, "the place in the queue")
        self.assertEqual(self.lab.pool_status("balie").get("waiting"), 1)


if __name__ == "__main__":
    main()
