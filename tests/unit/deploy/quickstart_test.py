"""The quick start leaves nothing behind: whatever signal ends it, and whatever killed the run before."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
QUICKSTART = os.path.join(ROOT, "deploy", "quickstart")
sys.path.insert(0, QUICKSTART)

import lab as lab_module  # noqa: E402  (found by the path above)
import quickstart  # noqa: E402
from processes import Part, PartFailed, processes_naming, wait_until  # noqa: E402

WAIT = "import signal; signal.pause()"
# The quick start's own `main` with a lab that takes its time to start and to stop.
RUN = """
import os, sys
sys.path.insert(0, {quickstart!r})
import quickstart
from processes import wait_until

def made(name):
    open(os.path.join({folder!r}, name), "w").close()

class SlowLab:
    folder = {folder!r}
    def __init__(self, *_):
        pass
    def start(self):
        made("started")
        wait_until(lambda: False, 60, "a signal")
    def stop(self):
        made("stopping")
        wait_until(lambda: os.path.exists(os.path.join({folder!r}, "go-on")), 60, "the test")
        made("stopped")

quickstart.STATE, quickstart.Lab = {folder!r}, SlowLab
sys.argv = ["quickstart"]
sys.exit(quickstart.main())
"""


class QuickstartTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="wp-quickstart-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def start(self, words, **options):
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, name):
        wait_until(lambda: os.path.exists(self.path(name)), 60, name)

    def program(self, name):
        """A program of that name that only waits; Python, as it takes any argument."""
        path = self.path(name)
        if not os.path.exists(path):
            shutil.copy(os.path.realpath(sys.executable), path)
        return [path, "-c", WAIT]

    def run_quickstart(self):
        script = RUN.format(quickstart=QUICKSTART, folder=self.folder)
        process = self.start([sys.executable, "-B", "-c", script], stdout=subprocess.PIPE)
        self.wait_for("started")
        return process

    def test_each_signal_stops_everything_and_a_second_one_does_not_hinder(self):
        for how in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            with self.subTest(how.name):
                process = self.run_quickstart()
                # Its terminal goes away with a SIGHUP.
                process.stdout.close()
                process.send_signal(how)
                self.wait_for("stopping")
                for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    process.send_signal(again)
                open(self.path("go-on"), "w", encoding="utf-8").close()
                process.wait(60)
                self.assertTrue(os.path.exists(self.path("stopped")))
                for name in ("started", "stopping", "go-on", "stopped"):
                    os.remove(self.path(name))

    def test_a_second_quick_start_leaves_the_first_alone(self):
        process = self.run_quickstart()
        with mock.patch.object(quickstart, "STATE", self.folder):
            self.assertIsNone(quickstart.clear_state())
            process.kill()
            process.wait(60)
            lock = quickstart.clear_state()
        self.assertIsNotNone(lock)
        lock.close()
        process.stdout.close()

    def test_what_a_killed_run_left_is_stopped(self):
        os.makedirs(self.path("lab"))
        short = tempfile.mkdtemp(prefix=lab_module.SHORT_PREFIX)
        self.addCleanup(shutil.rmtree, short, ignore_errors=True)
        with open(self.path("lab", "short_folder"), "w", encoding="utf-8") as file:
            file.write(short)
        config = self.path("lab", "x.yaml")
        left = [self.start([*self.program(name), config]) for name in lab_module.PROGRAMS]
        left.append(self.start([*self.program("qemu-system-x86_64"), f"{short}/monitor.sock"]))
        others = [self.start([sys.executable, "-c", WAIT, config]),
                  self.start([*self.program("werkplek-broker"), self.path("lab2", "x.yaml")])]
        for process in left + others:
            # Its command line is its own once it runs the program.
            wait_until(lambda pid=process.pid: pid in processes_naming(WAIT), 60, "start")
        lab_module.stop_leftovers(self.path("lab"))
        for process in left:
            self.assertEqual(process.wait(60), -signal.SIGKILL)
        self.assertEqual([process.poll() for process in others], [None, None])
        self.assertFalse(os.path.exists(short))

    def test_a_name_that_was_not_written_stops_nothing(self):
        os.makedirs(self.path("lab"))
        open(self.path("lab", "short_folder"), "w", encoding="utf-8").close()
        with mock.patch.object(lab_module, "kill_naming"), \
                mock.patch.object(lab_module, "stop_virtual_machines") as stopped:
            lab_module.stop_leftovers(self.path("lab"))
        stopped.assert_called_once_with(self.path("lab") + "/")

    def test_a_gateway_that_does_not_get_ready_is_stopped_with_the_lab(self):
        lab = lab_module.Lab(self.path("lab"), self.folder, self.folder)
        # Joined already.
        os.makedirs(lab.path("gw-a"))
        with open(os.open(self.path("werkplek-gateway"), os.O_WRONLY | os.O_CREAT, 0o755), "w",
                  encoding="utf-8") as file:
            file.write("#!/bin/sh\nexec sleep 600\n")
        with mock.patch.object(Part, "wait_ready", side_effect=PartFailed("not ready")):
            self.assertRaises(PartFailed, lab.start_gateway, "gw-a", "a")
        self.assertTrue(lab.gateways["gw-a"].running())
        lab.stop()
        self.assertFalse(lab.gateways["gw-a"].running())


if __name__ == "__main__":
    unittest.main()
