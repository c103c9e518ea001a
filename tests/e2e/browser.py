"""A browser that nobody sits at: headless Chromium behind chromedriver, with names, trust and processes of its own."""

import base64
import json
import os
import re
import signal
import tempfile

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

from processes import Part, PartFailed, accepts, free_port, wait_until

# What it is told on the command line: no window, no sandbox (there is none for root), nothing of its own to say to
# anybody. A name that is not in its hosts file does not exist.
# chromedriver adds more of the kind.
FLAGS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server", "--window-size=1280,900"]
# A namespace for files, so that its names and its policies are only its own, and one for processes, which ends as one.
# The kernel takes it down with us, however we end.
NAMESPACE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork",
             "--kill-child=KILL", "--mount-proc"]
BEGIN = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/chromium && exec chromedriver --port="$3"'

TAB, MOST_TABS = "\ue004", 20
USED = "a[href], button, input, textarea, select, [role=application], [role=toolbar], [role=dialog], dialog"


class Browser:
    """One browser with one page. `close` ends all of it; whatever fails tells what the page looked like."""

    def __init__(self, folder, authority, names, language="en", before=(), run=lambda call: call()):
        """`authority` is the file of the certificate authority that it trusts, `names` says which addresses a name
        has. `before` is what the command begins with that enters another machine, and `run` makes a call there."""
        self.folder, self.run = os.path.join(str(folder), "browser"), run
        for part in ("home", "etc/policies/managed"):
            os.makedirs(os.path.join(self.folder, part), mode=0o700)
        self._write("hosts", "".join(f"{address} {name}\n" for name, addresses in {"localhost": ["127.0.0.1"], **names}.items()
                                     for address in addresses))
        self._write("etc/policies/managed/policy.json", json.dumps(policy(authority)))
        self.said, self.driver = [], None
        port = free_port()
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        home = os.path.join(self.folder, "home")
        self.process = Part(
            "chromedriver",
            [*before, *NAMESPACE, *as_root, "--", "sh", "-c", BEGIN, "sh", os.path.join(self.folder, "hosts"),
             os.path.join(self.folder, "etc"), port],
            os.path.join(self.folder, "driver.log"),
            {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}).start()
        try:
            self.process.wait_ready(lambda: run(lambda: accepts(port)))
            self.driver = run(lambda: webdriver.Remote(f"http://127.0.0.1:{port}", options=self._options(names, language)))
            self.driver.set_script_timeout(20)
        except BaseException:
            self.close()
            raise

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def _options(self, names, language):
        options = webdriver.ChromeOptions()
        options.ignore_local_proxy_environment_variables()
        known = "".join(f" , EXCLUDE {name}" for name in ["127.0.0.1", "localhost", *names])
        for flag in [*FLAGS, f"--lang={language}", f"--host-resolver-rules=MAP * ~NOTFOUND{known}",
                     f"--user-data-dir={os.path.join(self.folder, 'profile')}"]:
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        return options

    # -- looking ----------------------------------------------------------------------------------

    def open(self, url):
        self.run(lambda: self.driver.get(url))
        if self.script("return location.href").startswith("chrome-error:"):
            raise PartFailed(f"{url}: {self.describe()}")

    def script(self, text, *arguments):
        """What the function body `text` returns in the page."""
        return self.run(lambda: self.driver.execute_script(text, *arguments))

    def shown(self, selector):
        """The element, when there is one and a person would see it; else None."""
        def look():
            return next((one for one in self.driver.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()), None)

        return self.run(look)

    def text(self, selector):
        """What a person reads there; "" when there is nothing to be seen."""
        return self.script("const found = document.querySelector(arguments[0]); return found ? found.innerText.trim() : '';",
                           selector)

    def cookies(self):
        """All cookies, by name, with their attributes: also those that the page itself cannot read."""
        return {one["name"]: one for one in self.run(self.driver.get_cookies)}

    def canvas(self, selector, file):
        """Writes what a canvas shows as a PNG; False when there is none, or nothing on it."""
        url = self.script("const found = document.querySelector(arguments[0]); "
                          "return found && found.width && found.height ? found.toDataURL('image/png') : '';", selector)
        if not url.startswith("data:image/png;base64,"):
            return False
        file.write(base64.b64decode(url.partition(",")[2]))
        file.flush()
        return True

    def wait(self, condition, timeout_s, what):
        """Until `condition` gives something true, which is returned; else says what there was to see."""
        try:
            return wait_until(lambda: self._look(condition), timeout_s, what, interval_s=0.1)
        except PartFailed as failed:
            raise PartFailed(f"{failed}; {self.describe()}") from None

    @staticmethod
    def _look(condition):
        try:
            return condition()
        except WebDriverException as failed:
            # The page may be in the midst of changing: what was found is gone.
            if "stale" in str(failed) or "not interactable" in str(failed) or "intercepted" in str(failed):
                return None
            raise

    def describe(self):
        with tempfile.NamedTemporaryFile(prefix="wp-page-", suffix=".png", delete=False) as file:
            try:
                file.write(self.run(self.driver.get_screenshot_as_png))
                text = self.text("body")
            except WebDriverException as failed:
                text = str(failed)
        return f"picture of the page: {file.name}; it says {text!r}; its console: {self.console()}"

    # -- doing ------------------------------------------------------------------------------------

    def click(self, selector, timeout_s=10):
        def press():
            found = self.shown(selector)
            if found is None or not self.run(found.is_enabled):
                return False
            self.run(found.click)
            return True

        self.wait(press, timeout_s, f"something to click at {selector}")

    def fill(self, selector, text):
        found = self.wait(lambda: self.shown(selector), 10, f"a field {selector}")
        self.run(found.clear)
        self.run(lambda: found.send_keys(text))

    def press(self, text, held=()):
        """Keys to what has the focus; the keys `held` are down meanwhile."""
        keys = webdriver.ActionChains(self.driver)
        for key in held:
            keys.key_down(key)
        keys.send_keys(text)
        for key in reversed(held):
            keys.key_up(key)
        self.run(keys.perform)

    def tab_to(self, selector):
        """Moves the focus there as one does who has no pointer."""
        for _ in range(MOST_TABS):
            if self.script("return document.activeElement.matches(arguments[0])", selector):
                return
            self.press(TAB)
        raise PartFailed(f"{selector}: not reached by {MOST_TABS} times Tab; {self.describe()}")

    def unnamed(self, within="body"):
        """What can be used there but has no name that a screen reader could say."""
        def look():
            used = self.driver.find_element(By.CSS_SELECTOR, within).find_elements(By.CSS_SELECTOR, USED)
            return [one.get_attribute("outerHTML") for one in used if one.is_displayed() and not one.accessible_name]

        return self.run(look)

    # -- its console ------------------------------------------------------------------------------

    def console(self):
        """All that the page and the browser put on the console so far: (level, text)."""
        try:
            self.said += [(one["level"], one["message"]) for one in self.run(lambda: self.driver.get_log("browser"))]
        except WebDriverException as failed:
            self.said.append(("SEVERE", f"no console: {failed}"))
        return self.said

    def complaints(self, *expected):
        """Errors and warnings on the console (an exception, something that the content policy forbids, ...) other than
        those that match one of the patterns."""
        return [text for level, text in self.console()
                if level in ("SEVERE", "WARNING") and not any(re.search(pattern, text) for pattern in expected)]

    # -- the end ----------------------------------------------------------------------------------

    def close(self):
        """Ends the first process of its namespace, and with that all others there."""
        if self.driver is not None:
            self.driver.command_executor.close()
        if self.process.running():
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
                for pid in file.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            try:
                wait_until(lambda: not self.process.running(), 5, "the end of the browser")
            except PartFailed:
                self.process.kill()
                self.process.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def policy(authority):
    """What an organisation can set for all its browsers. The authority is trusted as any other: names and dates count.
    Chromium's own resolver takes one address of a name in a hosts file, the system's takes all of them."""
    with open(authority, encoding="ascii") as file:
        certificate = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", file.read(), re.S).group(1)
    return {"CACertificates": ["".join(certificate.split())], "BuiltInDnsClientEnabled": False,
            "DefaultSearchProviderEnabled": False, "SafeBrowsingProtectionLevel": 0, "SyncDisabled": True,
            "PasswordManagerEnabled": False, "BrowserSignin": 0, "MetricsReportingEnabled": False,
            "ComponentUpdatesEnabled": False, "NetworkPredictionOptions": 2, "TranslateEnabled": False}
