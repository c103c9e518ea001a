"""People outside: the screen through a gateway, and through the other one when the first is killed."""

import os
import re
import ssl
import time

from end_to_end import main
from viewers import OpenDisplay, VncClient
from with_gateways import GatewaysTest


class GatewayTest(GatewaysTest):
    pools = {"kantoor": {"min_desktops": 1, "max_desktops": 4, "running_spares": 1}}

    def test_gateways_are_heard_again_after_each_restart_of_the_broker(self):
        for _ in range(3):
            heard, missed = self.told("gateway-heard"), self.told("gateway-not-heard")
            self.lab.broker.kill()
            self.wait_told("gateway-not-heard", missed, 20)
            self.lab.start_broker()
            began = time.monotonic()
            self.wait_told("gateway-heard", heard, 10)
            self.tell(f"heard again after {time.monotonic() - began:.1f} s")

    def test_a_gateway_renews_its_certificate_while_it_runs(self):
        site = next(iter(self.gateways))
        name = f"gw-{site}"
        self.gateways[site].stop()
        # Five minutes of its six are over when it is made, so it is due.
        self.lab.run([self.lab.program("werkplek-broker"), "--config", self.lab.path("broker.yaml"), "issue", "--identity",
                      "gateway", "--name", name, "--lifetime", "1m", "--out", self.lab.path("short")])
        for file in ("certificate.pem", "key.pem"):
            os.replace(self.lab.path("short", file), self.lab.path(name, file))
        short = self.certificate_of(name)
        self.start_gateway(site)
        self.wait(lambda: "event=certificate-renewed" in self.log_of(name), 20, "the renewal")
        renewed = self.certificate_of(name)
        self.assertNotEqual(renewed, short)
        # Without a restart, who connects to the gateway is shown the new one.
        self.wait(lambda: ssl.get_server_certificate(self.address_of(name)) == renewed, 10, "the new certificate")

    def certificate_of(self, name):
        """The machine's own, without those that signed it."""
        with open(self.lab.path(name, "certificate.pem"), encoding="utf-8") as file:
            return re.match(r"-----BEGIN.*?-----END CERTIFICATE-----\n", file.read(), re.S).group(0)

    def address_of(self, name):
        with open(self.lab.path(f"{name}.yaml"), encoding="utf-8") as file:
            return "127.0.0.1", int(re.search(r'clients: \["127\.0\.0\.1:(\d+)"\]', file.read()).group(1))

    def test_a_killed_gateway_costs_seconds_and_no_session(self):
        self.lab.wait_spares("kantoor", 1)
        person, = self.take()
        self.sign_in(person)
        with OpenDisplay(self.lab, "tc-001", "kantoor", "vnc", person.folder, flags=["--outside"]) as display:
            with VncClient(display.address()) as viewer:
                viewer.screen(until=lambda screen: screen.user == person.user)
                viewer.type("write hallo")
                viewer.screen(until=lambda screen: screen.marker == "hallo")
                session = self.session_of(person)
                killed, other = sorted(self.gateways, key=self.opened, reverse=True)
                self.assertEqual((self.opened(killed), self.opened(other)), (1, 0))
                began = time.monotonic()
                self.gateways[killed].kill()
                viewer.wait_closed()
            ports = self.wait(lambda: re.findall(r"vnc://127\.0\.0\.1:(\d+)", display.text())[1:], 20, "another port")
            with VncClient(ports[0]) as viewer:
                screen = viewer.screen(until=lambda screen: screen.user == person.user)
            away = time.monotonic() - began
        self.tell(f"the screen was back {away:.2f} s after kill -9 of gateway {killed}")
        self.assertLess(away, 5)
        self.assertEqual((screen.desktop, screen.marker), (session["desktop"], "hallo"))
        self.assertEqual(self.session_of(person)["id"], session["id"])
        self.assertEqual(self.opened(other), 1)


if __name__ == "__main__":
    main()
