"""People at home in the lab with nothing but a browser, and what happens when the gateway of their display dies."""

import os
import time

from selenium.common.exceptions import WebDriverException

from faults import NotBegun
from gateways import GatewayKilled, inside, start_gateway
from processes import PartFailed
from two_sites import HOME

from browser import Browser
from portal_page import NEW, PORTAL_NAME, SAID_NO, UNREACHABLE, PortalPage


class GatewayOfBrowserKilled(GatewayKilled):
    """The figure is the time from the death of the gateway until the page shows the screen again, by itself."""

    name, limit_s = "gateway kill -9, screen back in the browser", 10
    count = 0

    def begin(self):
        self.person, machine = self.lab.outside, self.lab.machine(HOME)
        type(self).count += 1
        folder = self.lab.path("people", f"browser-{self.count}")
        os.makedirs(folder, mode=0o700)
        # The browser takes the first of the name's addresses that answers.
        sites = self.chance.sample(self.lab.sites, len(self.lab.sites))
        self.browser = Browser(folder, self.lab.portal_authority.path("ca.pem"),
                               {PORTAL_NAME: [self.lab.addresses[self.lab.gateway_of(site)] for site in sites]},
                               before=machine.enter(), run=lambda call: inside(machine, call))
        self.page, before = PortalPage(self.browser, f"https://{PORTAL_NAME}"), self.opened()
        try:
            self.page.open()
            self.page.sign_in(self.person)
            self.page.open_pool(self.pool)
            # Somebody who comes when all are taken waits for a start.
            self.page.screen(60 * self.patience, until=self.mine)
        except (PartFailed, WebDriverException) as failed:
            self.browser.close()
            raise NotBegun(f"no desktop in the browser: {failed}") from None
        self.held = self.sessions()
        self.site = self.where = next(site for site, count in self.opened().items() if count > before[site])
        self.page.mark_old()
        self.lab.gateways[self.site].kill()
        self.killed = time.monotonic()

    def mine(self, screen):
        return screen.user == self.person.user

    def sessions(self):
        listed = self.lab.ctl_json("session", "list", "--user", self.person.user).get("sessions", [])
        return [(session["id"], session["desktop"]) for session in listed]

    def figure(self, prober, most_s):
        try:
            self.page.screen(most_s, until=self.mine, canvas=NEW)
        except (PartFailed, WebDriverException) as failed:
            self.complaints.append(str(failed))
            return None
        took = time.monotonic() - self.killed
        if self.sessions() != self.held:
            self.complaints.append(f"the session {self.held} became {self.sessions()}")
        self.complaints += self.browser.complaints(SAID_NO, UNREACHABLE)
        return took

    def heal(self):
        self.browser.close()
        start_gateway(self.lab, self.site)
