"""Starts the parts of a small Werkplek on loopback, watches them, and stops them by their process ids."""

import os
import random
import signal
import socket
import subprocess
import time


class PartFailed(Exception):
    """A part did not start, or ended by itself. The message says which, and what its log ends with."""


# Below those that Linux gives to whoever asks for any port.
PORTS = range(20000, 32768)
# Sockets that keep a port for this process among all that choose theirs in this way, before its user listens.
KEPT_PORTS = []


def free_port():
    """A free TCP port on loopback that no other caller gets as long as this process lives. tests/support/process
    chooses in the same way."""
    start = random.randrange(len(PORTS))
    for port in [*PORTS[start:], *PORTS[:start]]:
        keeper = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            keeper.bind(f"\0werkplek-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            keeper.close()
            continue
        KEPT_PORTS.append(keeper)
        return port
    raise PartFailed(f"none of the ports {PORTS.start} to {PORTS.stop - 1} is free on 127.0.0.1")


def wait_until(condition, timeout_s, what, interval_s=0.05):
    """Calls `condition` until it gives something true, which is returned."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise PartFailed(f"{what}: not within {timeout_s:g} s")
        time.sleep(interval_s)


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tail(path, lines=15):
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])
    except OSError:
        return ""


class Part:
    """One process with its log."""

    def __init__(self, name, command, log, environment=None, folder=None):
        self.name, self.command, self.log = name, [str(word) for word in command], str(log)
        self.environment, self.folder = environment, folder
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, cwd=self.folder, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, ready, timeout_s=30):
        """Waits for `ready()`; fails with the log's end when the process ends first."""

        def check():
            if not self.running():
                raise PartFailed(f"{self.name} ended with {self.process.returncode}:\n{tail(self.log)}")
            return ready()

        try:
            wait_until(check, timeout_s, self.name)
        except PartFailed as failed:
            if "not within" in str(failed):
                raise PartFailed(f"{failed}; its log ends:\n{tail(self.log)}") from None
            raise
        return self

    def kill(self, how=signal.SIGKILL):
        if self.running():
            self.process.send_signal(how)

    def stop(self, timeout_s=10):
        """SIGTERM, then SIGKILL. Gives the exit status; None when it never ran."""
        if self.process is None:
            return None
        self.kill(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait(timeout_s)
        return self.process.returncode


def processes_naming(text):
    """Process ids whose command line names `text` (a folder of ours), but not our own."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                if os.fsencode(text) in file.read():
                    found.append(int(entry))
        except OSError:
            continue
    return found


def kill_naming(folder, wanted, timeout_s=10):
    """Kills the processes whose command lines name `folder`, and to whose program `wanted` says yes, until none is left."""
    deadline = time.monotonic() + timeout_s
    while True:
        pids = [pid for pid in processes_naming(str(folder)) if wanted(executable(pid))]
        if not pids or time.monotonic() > deadline:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.1)


def stop_virtual_machines(folder):
    """Stops the QEMU processes whose files are in `folder`: they outlive their agent on purpose."""
    kill_naming(folder, lambda program: "qemu" in program)


def executable(pid):
    """The name of the process's program, also of one that was built anew meanwhile."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""
