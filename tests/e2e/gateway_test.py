"""People outside: the screen through a gateway, and through the other one when the first is killed."""

import os
import re
import time

from end_to_end import EndToEndTest, main
from processes import Part, accepts, free_port
from viewers import OpenDisplay, VncClient


class GatewayTest(EndToEndTest):
    pools = {"kantoor": {"min_desktops": 1, "max_desktops": 4, "running_spares": 1}}

    def setUp(self):
        self.gateways = {site: self.start_gateway(site) for site in self.lab.hosts}

    def start_gateway(self, site):
        name, lab = f"gw-{site}", self.lab
        if not os.path.exists(lab.path(name)):
            said = lab.ctl("gateway", "add", name, yes=False)
            url, code, ca = re.search(r"werkplek-gateway join (\S+) (\S+) (\S+)", said).groups()
            lab.run([lab.program("werkplek-gateway"), "join", url, code, ca, "--out", lab.path(name)])
        port = free_port()
        config = lab.write(f"{name}.yaml", f"""name: {name}
site: {site}
brokers: ["127.0.0.1:{lab.ports['clients']}"]
listen: {{clients: ["127.0.0.1:{port}"]}}
tls:
  certificate: {lab.path(name, 'certificate.pem')}
  key: {lab.path(name, 'key.pem')}
  ca: {lab.path(name, 'ca.pem')}
""")
        gateway = Part(name, [lab.program("werkplek-gateway"), "--config", config], lab.path(f"{name}.log")).start()
        self.addCleanup(gateway.stop)
        heard = self.log_of(name).count("gateway-heard")
        return gateway.wait_ready(lambda: accepts(port) and self.log_of(name).count("gateway-heard") > heard)

    def opened(self, site):
        return self.log_of(f"gw-{site}").count("display-opened")

    def told(self, event):
        return [self.log_of(f"gw-{site}").count(f"event={event} ") for site in self.gateways]

    def wait_told(self, event, before, timeout_s):
        self.wait(lambda: all(now > then for now, then in zip(self.told(event), before)), timeout_s, event)

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
