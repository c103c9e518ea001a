"""A running desktop moves between two real libvirts over TLS, and back from disk, and its lock goes with it. Needs root."""

import os
import secrets
import subprocess
import sys
import tempfile
import unittest
import uuid

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
for folder in ("deploy/quickstart", "tests/lab"):
    sys.path.insert(0, os.path.join(ROOT, folder))

from authority import Authority  # noqa: E402  (found by the paths above)
from network import Network, place_certificates, private_libvirt  # noqa: E402  (found by the paths above)
from processes import Part, PartFailed, stop_virtual_machines, wait_until  # noqa: E402

SITE = "noord"
HOSTS = {"hv-1": "10.202.1.21", "hv-2": "10.202.1.22"}
PROBE = os.path.join(os.environ.get("WERKPLEK_BIN_DIR", os.path.join(ROOT, "build/dev/bin")), "move_probe")


class LiveMove(unittest.TestCase):
    def setUp(self):
        # Sockets lie below it.
        self.temporary = tempfile.TemporaryDirectory(prefix="wpm")
        self.addCleanup(self.temporary.cleanup)
        self.folder = self.temporary.name
        self.shared = os.path.join(self.folder, "shared")
        os.makedirs(os.path.join(self.shared, "locks"))
        self.authority = Authority(os.path.join(self.folder, "authority"), "libvirt of the test")
        self.network = Network([SITE])
        self.addCleanup(self.network.close)
        self.parts = []
        self.addCleanup(self.stop)
        for host, address in HOSTS.items():
            self.start(host, address)

    def start(self, host, address):
        machine = self.network.add(host, SITE, address)
        folder = os.path.join(self.folder, host)
        os.makedirs(os.path.join(folder, "etc"))
        identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.move")
        # The locks are files in the shared folder, one for each disk.
        locks, daemon = private_libvirt(machine, folder, identity, address, os.path.join(self.shared, "locks"),
                                        self.authority)
        log = os.path.join(self.folder, f"{host}.log")
        self.parts.insert(0, Part(f"virtlockd {host}", locks, log).start())
        self.start_libvirtd(host, daemon, log)

    def start_libvirtd(self, host, daemon, log, again=True):
        libvirtd = Part(f"libvirtd {host}", daemon, log).start()
        self.parts.insert(0, libvirtd)
        try:
            wait_until(lambda: self.call(host, "list").returncode == 0, 30, f"libvirtd of {host}")
        except PartFailed as late:
            print(f"{late}: {self.call(host, 'list').stdout}{self.log(host)}", file=sys.stderr)
            self.assertTrue(again, "libvirtd did not start twice")
            # As systemd would: one start that came to nothing is followed by another.
            libvirtd.stop()
            self.start_libvirtd(host, daemon, log, again=False)

    def stop(self):
        stop_virtual_machines(self.folder)
        for part in self.parts:
            part.stop()

    def call(self, host, *words):
        environment = {**os.environ, "WERKPLEK_SOURCE_DIR": ROOT, "WERKPLEK_BIN_DIR": os.path.dirname(PROBE)}
        return subprocess.run(self.network.machines[host].enter(PROBE, *words), capture_output=True, text=True,
                              check=False, env=environment)

    def must(self, host, *words):
        done = self.call(host, *words)
        self.assertEqual(done.returncode, 0, f"{host} {words}: {done.stdout}{done.stderr}{self.log(host)}")
        return done.stdout.strip()

    def log(self, host):
        with open(os.path.join(self.folder, f"{host}.log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-3000:]

    def make_disk(self):
        with open(os.path.join(os.path.dirname(PROBE), "..", "tiny", "image.yaml"), encoding="utf-8") as file:
            image = dict(line.strip().split(": ", 1) for line in file if ": " in line)
        base, disk = os.path.join(self.shared, "base.qcow2"), os.path.join(self.shared, "disk.qcow2")
        subprocess.run(["cp", image["source"], base], check=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, disk], check=True)
        return disk

    def move(self, source, target, arrives="running"):
        self.must(source, "move", "d1", f"qemu+tls://{HOSTS[target]}/system")
        self.assertEqual(self.must(source, "list"), "")
        self.assertEqual(self.must(target, "list"), f"d1 7 {arrives}")

    def test_there_and_back(self):
        subprocess.run([os.path.join(ROOT, "deploy/images/tiny/build"),
                        os.path.join(os.path.dirname(PROBE), "..", "tiny")], check=True, capture_output=True)
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
