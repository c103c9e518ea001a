"""A gateway in each site, as people outside know them; with a portal for browsers when the test wants one."""

import os
import socket
import sys

from end_to_end import ROOT, EndToEndTest
from portal_page import PORTAL_NAME
from processes import free_port

sys.path.append(os.path.join(ROOT, "tests/lab"))

from authority import Authority  # noqa: E402  (found by the path above)


def free_port_of(addresses):
    """A port that is free on each of the addresses. Somebody else may take it before its user does."""
    while True:
        port = free_port()
        try:
            for address in addresses:
                with socket.create_server((address, port)):
                    pass
            return port
        except OSError:
            continue


class GatewaysTest(EndToEndTest):
    # Whether the gateways serve browsers.
    portal = False

    def setUp(self):
        self.gateways = {}
        if self.portal:
            self.addresses = {site: f"127.0.0.{number}" for number, site in enumerate(self.lab.hosts, 2)}
            self.portal_port = free_port_of(self.addresses.values())
            self.origin = f"https://{PORTAL_NAME}:{self.portal_port}"
            self.authority = Authority(os.path.join(self.folder, f"authority-{self._testMethodName}"), "portal of the test")
            self.certificate, self.key = self.authority.issue("portal", PORTAL_NAME)
        for site in self.lab.hosts:
            self.start_gateway(site)

    def start_gateway(self, site):
        """It is stopped after the test."""
        portal = {"address": f"{self.addresses[site]}:{self.portal_port}", "origin": self.origin,
                  "certificate": self.certificate, "key": self.key} if self.portal else None
        self.gateways[site] = self.lab.start_gateway(f"gw-{site}", site, portal)
        self.addCleanup(self.gateways[site].stop)
        return self.gateways[site]

    def opened(self, site):
        return self.log_of(f"gw-{site}").count("display-opened")

    def told(self, event):
        return [self.log_of(f"gw-{site}").count(f"event={event} ") for site in self.gateways]

    def wait_told(self, event, before, timeout_s):
        self.wait(lambda: all(now > then for now, then in zip(self.told(event), before)), timeout_s, event)
