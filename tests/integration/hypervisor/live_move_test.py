"""A running desktop moves between two real libvirts over TLS, and back from disk, and its lock goes with it. Needs root."""

import os
import secrets
import unittest

from libvirt_hosts import HOSTS, Authority, LibvirtHosts, wait_until
from network import place_certificates


class LiveMove(LibvirtHosts):
    def move(self, source, target, arrives="running"):
        self.must(source, "move", "d1", f"qemu+tls://{HOSTS[target]}/system")
        self.assertEqual(self.must(source, "list"), "")
        self.assertEqual(self.must(target, "list"), f"d1 7 {arrives}")

    def test_there_and_back(self):
        disk = self.make_disk()
        marker = secrets.token_hex(8)
        self.must("hv-1", "create", "d1", disk, "7")
        boot = self.must("hv-1", "run", "d1", "/bin/cat", "/proc/sys/kernel/random/boot_id")
        self.must("hv-1", "run", "d1", "/bin/sh", "-c", f"echo {marker} >/run/marker")

        refused = self.call("hv-2", "create", "d1", disk, "8")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("lock", refused.stdout)
        self.assertEqual(self.must("hv-2", "list"), "")

        for source, target, saved in [("hv-1", "hv-2", False), ("hv-2", "hv-1", True)]:
            if saved:
                self.must(source, "save", "d1")
                self.assertEqual(self.must(source, "list"), "d1 7 saved")
            self.move(source, target, "suspended" if saved else "running")
            if saved:
                self.must(target, "resume", "d1")
            self.assertEqual(self.must(target, "run", "d1", "/bin/cat", "/run/marker"), marker)
            self.assertEqual(self.must(target, "run", "d1", "/bin/cat", "/proc/sys/kernel/random/boot_id"), boot)
            late = self.call(source, "create", "d1", disk, "8")
            self.assertEqual(late.returncode, 1)
            self.assertIn("lock", late.stdout)

        # The memory goes to nobody else: libvirtd of hv-2 is the one it was, its QEMU would be a stranger's.
        stranger = Authority(os.path.join(self.folder, "stranger"), "somebody else")
        place_certificates(os.path.join(self.folder, "hv-2", "pki"), stranger, "hv-2", HOSTS["hv-2"])
        refused = self.call("hv-1", "move", "d1", f"qemu+tls://{HOSTS['hv-2']}/system")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("certificate", refused.stdout)
        self.assertEqual(self.must("hv-1", "list"), "d1 7 running")

        self.must("hv-1", "kill", "d1")
        wait_until(lambda: self.must("hv-1", "list") == "d1 7 off", 20, "d1 off")
        # With the machine the lock went: another host may have the disk now.
        self.must("hv-2", "create", "d1", disk, "8")


if __name__ == "__main__":
    unittest.main(verbosity=2)
