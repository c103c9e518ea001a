"""Hosts of a test, each with a libvirtd and a lock manager of its own in namespaces of its own. Needs root."""

import os
import subprocess
import sys
import tempfile
import unittest
import uuid

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
for folder in ("deploy/quickstart", "tests/lab"):
    sys.path.insert(0, os.path.join(ROOT, folder))

from authority import Authority  # noqa: E402  (found by the paths above)
from network import Network, private_libvirt  # noqa: E402  (found by the paths above)
from processes import Part, PartFailed, stop_virtual_machines, wait_until  # noqa: E402

SITE = "noord"
HOSTS = {"hv-1": "10.202.1.21", "hv-2": "10.202.1.22"}
PROBE = os.path.join(os.environ.get("WERKPLEK_BIN_DIR", os.path.join(ROOT, "build/dev/bin")), "move_probe")


class LibvirtHosts(unittest.TestCase):
    """`call` and `must` run the probe on a host, at `uri`; the disks and their locks are in `shared`."""

    uri = "qemu:///system"

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
        subprocess.run([os.path.join(ROOT, "deploy/images/tiny/build"),
                        os.path.join(os.path.dirname(PROBE), "..", "tiny")], check=True, capture_output=True)

    def prepare(self, host, machine):
        """Before the host's libvirtd starts."""

    def start(self, host, address):
        machine = self.network.add(host, SITE, address)
        folder = os.path.join(self.folder, host)
        os.makedirs(os.path.join(folder, "etc"))
        identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.move")
        # The locks are files in the shared folder, one for each disk.
        locks, daemon = private_libvirt(machine, folder, identity, address, os.path.join(self.shared, "locks"),
                                        self.authority)
        self.prepare(host, machine)
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
        environment = {**os.environ, "WERKPLEK_SOURCE_DIR": ROOT, "WERKPLEK_BIN_DIR": os.path.dirname(PROBE),
                       "WERKPLEK_PROBE_URI": self.uri}
        return subprocess.run(self.network.machines[host].enter(PROBE, *words), capture_output=True, text=True,
                              check=False, env=environment)

    def must(self, host, *words):
        done = self.call(host, *words)
        self.assertEqual(done.returncode, 0, f"{host} {words}: {done.stdout}{done.stderr}{self.log(host)}")
        return done.stdout.strip()

    def log(self, host):
        with open(os.path.join(self.folder, f"{host}.log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-3000:]

    def make_disk(self, name="disk"):
        with open(os.path.join(os.path.dirname(PROBE), "..", "tiny", "image.yaml"), encoding="utf-8") as file:
            image = dict(line.strip().split(": ", 1) for line in file if ": " in line)
        base, disk = os.path.join(self.shared, "base.qcow2"), os.path.join(self.shared, f"{name}.qcow2")
        if not os.path.exists(base):
            subprocess.run(["cp", image["source"], base], check=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, disk], check=True)
        return disk
