"""People outside: the screen through a gateway, and through the other one when the first is killed."""

import re
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
