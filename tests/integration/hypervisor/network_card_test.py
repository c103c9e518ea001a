"""Desktops on real QEMU and libvirt have a card in a bridge: the host reaches them, they do not reach one another, and
after a live move they are in the other host's bridge, whatever that is called. Needs root."""

import hashlib
import os
import sys
import unittest

from libvirt_hosts import HOSTS, LibvirtHosts, wait_until
from network import NetworkFailed

BRIDGES = {"hv-1": "br-one", "hv-2": "br-two"}
GUEST_COMES_S = 120
ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "icmp_echo.py")


def card_address(desktop):
    digest = bytearray(hashlib.sha256(desktop.encode()).digest()[:6])
    digest[0] = digest[0] & 0xFC | 0x02
    return bytes(digest)


def link_local(card):
    """The IPv6 address that a machine gives itself by its card's (RFC 4291, appendix A)."""
    eui = bytes([card[0] ^ 0x02]) + card[1:3] + b"\xff\xfe" + card[3:]
    return "fe80::" + ":".join(f"{eui[i] << 8 | eui[i + 1]:x}" for i in range(0, 8, 2))


class NetworkCard(LibvirtHosts):
    def prepare(self, host, machine):
        # /sys shows the network namespace that mounted it.
        machine.run("mount", "-t", "sysfs", "sysfs", "/sys")
        machine.run("ip", "link", "add", BRIDGES[host], "type", "bridge")
        machine.run("ip", "link", "set", BRIDGES[host], "up")

    def create(self, host, desktop, isolated="yes"):
        self.must(host, "create", desktop, self.make_disk(desktop), "1", "kantoor", BRIDGES[host], isolated)
        self.must(host, "run", desktop, "/bin/true")

    def answers(self, host, desktop):
        try:
            address = f"{link_local(card_address(desktop))}%{BRIDGES[host]}"
            self.network.machines[host].run(sys.executable, ECHO, address)
            return True
        except NetworkFailed:
            return False

    def reaches(self, host, desktop, address):
        return self.call(host, "run", desktop, "/bin/ping6", "-c", "2", "-W", "2", f"{address}%eth0").returncode == 0

    def bridge_address(self, host):
        with_length = self.network.machines[host].run("ip", "-6", "-o", "address", "show", "dev", BRIDGES[host])
        return with_length.split()[3].split("/")[0]

    def test_a_card_in_a_bridge(self):
        refused = self.call("hv-1", "create", "d0", self.make_disk("d0"), "1", "kantoor", "br-none", "yes")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("this host has no bridge br-none", refused.stdout)

        for desktop in ("d1", "d2"):
            self.create("hv-1", desktop)
            card = ":".join(f"{byte:02x}" for byte in card_address(desktop))
            self.assertEqual(self.must("hv-1", "run", desktop, "/bin/cat", "/sys/class/net/eth0/address"), card)
        for desktop in ("d1", "d2"):
            wait_until(lambda: self.answers("hv-1", desktop), GUEST_COMES_S, f"{desktop} in its bridge")
        self.assertTrue(self.reaches("hv-1", "d1", self.bridge_address("hv-1")))
        self.assertFalse(self.reaches("hv-1", "d1", link_local(card_address("d2"))), "they are isolated")

        move = ("move", "d1", f"qemu+tls://{HOSTS['hv-2']}/system")
        refused = self.call("hv-1", *move)
        self.assertEqual(refused.returncode, 1, "hv-2 has not said yet what that network is")
        self.assertIn("no network with matching name 'werkplek-kantoor'", refused.stdout)
        self.assertTrue(self.answers("hv-1", "d1"))
        self.must("hv-2", "network", "kantoor", BRIDGES["hv-2"], "yes")
        self.must("hv-1", *move)
        wait_until(lambda: self.answers("hv-2", "d1"), GUEST_COMES_S, "d1 in the other host's bridge")
        self.assertFalse(self.answers("hv-1", "d1"))

    def test_without_libvirtd_it_is_the_same(self):
        self.uri = f"qemu:///embed?root={self.folder}/e"
        for desktop in ("d1", "d2"):
            self.create("hv-1", desktop)
            wait_until(lambda: self.answers("hv-1", desktop), GUEST_COMES_S, f"{desktop} in its bridge")
        self.assertFalse(self.reaches("hv-1", "d1", link_local(card_address("d2"))), "they are isolated")

    def test_desktops_that_may_see_one_another(self):
        for desktop in ("d1", "d2"):
            self.create("hv-2", desktop, isolated="no")
            wait_until(lambda: self.answers("hv-2", desktop), GUEST_COMES_S, f"{desktop} in its bridge")
        self.assertTrue(self.reaches("hv-2", "d1", link_local(card_address("d2"))))


if __name__ == "__main__":
    unittest.main(verbosity=2)
