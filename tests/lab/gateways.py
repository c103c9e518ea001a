"""People at home in the lab: a gateway in each site, a machine that reaches no host, and what happens when a gateway dies."""

import ctypes
import os
import re
import sys
import threading
import time

from authority import Authority
from faults import Fault, NotBegun
from lab import CommandFailed
from processes import PartFailed, wait_until
from two_sites import HOME, PORTS, ROOT

sys.path.append(os.path.join(ROOT, "tests/e2e"))

from portal_page import PORTAL_NAME  # noqa: E402  (found by the path above)
from viewers import OpenDisplay, VncClient  # noqa: E402

CLIENT = "tc-home"
CLONE_NEWNET = 0x40000000


def start_gateways(lab):
    """Each gateway joins by a code, as an administrator would have it done; the machine at home is kept from the hosts."""
    lab.portal_authority = Authority(lab.path("portal"), "portal of the lab")
    lab.portal_authority.issue("portal", PORTAL_NAME)
    for site in lab.sites:
        name = lab.gateway_of(site)
        said = lab.ctl("gateway", "add", name, yes=False)
        words = re.search(r"werkplek-gateway join (\S+) (\S+) (\S+)", said).groups()
        lab.run(lab.machine(name).enter(lab.program("werkplek-gateway"), "join", *words, "--out", lab.path(name)))
        start_gateway(lab, site)
    lab.certify("client", CLIENT)
    for host in lab.agents:
        lab.network.mute(HOME, lab.addresses[host])


def start_gateway(lab, site):
    name = lab.gateway_of(site)
    near = sorted(lab.sites, key=lambda other: other != site)
    brokers = ", ".join(f'"{lab.addresses[lab.broker_of(s)]}:{PORTS["clients"]}"' for s in near)
    config = lab.write(f"{name}.yaml", f"""name: {name}
site: {site}
brokers: [{brokers}]
listen:
  clients: ["{lab.addresses[name]}:{PORTS['gateway']}"]
  portal: ["{lab.addresses[name]}:{PORTS['portal']}"]
portal:
  origins: ["https://{PORTAL_NAME}"]
  certificate: {lab.portal_authority.path("portal.pem")}
  key: {lab.portal_authority.path("portal.key")}
tls:
  certificate: {lab.path(name, 'certificate.pem')}
  key: {lab.path(name, 'key.pem')}
  ca: {lab.path(name, 'ca.pem')}
""")
    heard = told(lab, name, "gateway-heard")
    gateway = lab.part(f"werkplek-gateway {name}", name, [lab.program("werkplek-gateway"), "--config", config], f"{name}.log")
    lab.gateways[site] = gateway
    gateway.wait_ready(lambda: told(lab, name, "gateway-heard") > heard and lab.answers(name, PORTS["gateway"], HOME))


def told(lab, name, event):
    """How often the log of that machine tells of the event."""
    with open(lab.path(f"{name}.log"), "ab+") as log:
        log.seek(0)
        return log.read().count(f"event={event}".encode())


def inside(machine, work):
    """What `work` gives, done by a thread that stands in the machine's network; sockets stay there."""
    result = []

    def enter():
        with open(f"/proc/{machine.pid}/ns/net", encoding="utf-8") as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET) != 0:
                result.append(OSError(ctypes.get_errno(), f"{machine.name}: cannot enter its network"))
                return
        try:
            result.append(work())
        except Exception as failed:  # pylint: disable=broad-except
            result.append(failed)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


class GatewayKilled(Fault):
    """Somebody at home has a screen open; the figure is the time from the death of its gateway until it is read again."""

    row, name, lasts_s, limit_s = "F15", "gateway kill -9, screen back", 0, 5
    pool = "kantoor"

    def begin(self):
        self.person, self.folder = self.lab.outside, self.lab.path("people", self.lab.outside.user)
        if self.session() is None:
            self.lab.werkplek(CLIENT, "sign-in", "--user", self.person.user, token_folder=self.folder,
                              given=f"{self.person.password}\n{self.person.authenticator.code()}\n")
        before = self.opened()
        self.display = OpenDisplay(self.lab, CLIENT, self.pool, "vnc", self.folder, flags=["--outside"],
                                   before=self.lab.machine(HOME).enter())
        try:
            # Somebody who comes when all are taken waits for a start.
            self.viewer = self.look(self.display.address(90 * self.patience))
        except PartFailed as failed:
            self.display.close()
            raise NotBegun(f"no desktop at home: {failed}") from None
        self.held = self.session()
        self.site = self.where = next(site for site, count in self.opened().items() if count > before[site])
        self.lab.gateways[self.site].kill()
        self.killed = time.monotonic()

    def opened(self):
        """How many displays each gateway has opened so far, by site."""
        return {site: told(self.lab, self.lab.gateway_of(site), "display-opened") for site in self.lab.sites}

    def session(self):
        """The person's session and its desktop; "" without one, None when not signed in."""
        try:
            self.lab.werkplek(CLIENT, "list", token_folder=self.folder)
        except CommandFailed:
            return None
        listed = self.lab.ctl_json("session", "list", "--user", self.person.user).get("sessions", [])
        return next(((session["id"], session["desktop"]) for session in listed), "")

    def look(self, port):
        """A viewer at home that has read this person's screen."""
        viewer = None
        try:
            viewer = inside(self.lab.machine(HOME), lambda: VncClient(port))
            viewer.screen(30 * self.patience, until=lambda screen: screen.user == self.person.user)
            return viewer
        except (OSError, EOFError, AssertionError, PartFailed) as failed:
            if viewer is not None:
                viewer.close()
            raise PartFailed(f"a viewer at home: {failed}; werkplek said: {self.display.text()}") from None

    def figure(self, prober, most_s):
        try:
            self.viewer.wait_closed()
            self.viewer.close()
            ports = wait_until(lambda: re.findall(r"vnc://127\.0\.0\.1:(\d+)", self.display.text())[1:], most_s,
                               "the screen through the other gateway")
            self.viewer = self.look(ports[0])
        except (OSError, PartFailed) as failed:
            self.complaints.append(str(failed))
            return None
        took = time.monotonic() - self.killed
        if self.session() != self.held:
            self.complaints.append(f"the session {self.held} became {self.session()}")
        return took

    def heal(self):
        self.viewer.close()
        self.display.close()
        start_gateway(self.lab, self.site)
