"""The power switch of the lab's hosts, as a fence command: FOLDER is the lab's. Reads NAME=VALUE lines, as fence agents do.

Switches off by killing the host's agent and its virtual machines; fails where the lab did not connect it to the host.
"""

import os
import select
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/quickstart"))

from processes import executable, processes_naming  # noqa: E402  (found by the path above)


class PowerFailed(Exception):
    """The host is not surely off. The message says why."""


def holder_of(folder, host):
    """The process that holds the host's network."""
    with open(os.path.join(folder, "pids"), encoding="utf-8") as file:
        holders = dict(line.split() for line in file)
    if host not in holders:
        raise PowerFailed(f"there is no host {host!r}")
    return holders[host]


def guests_of(folder, host):
    """The QEMU processes of a host: those in its network, wherever their disks lie."""
    network = os.stat(f"/proc/{holder_of(folder, host)}/ns/net").st_ino
    found = set()
    for pid in processes_naming("qemu-system"):
        try:
            if "qemu-system" in executable(pid) and os.stat(f"/proc/{pid}/ns/net").st_ino == network:
                found.add(pid)
        except OSError:
            continue
    return found


def end(pid, deadline):
    """Kills the process, and waits until each thread of it is gone: that its memory is freed does not say so."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not select.select([handle], [], [], max(0, deadline - time.monotonic()))[0]:
            raise PowerFailed(f"process {pid} does not end")
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def switch_off(folder, host, within_s=8):
    """What runs on the host and would not without power ends. When it has, the moment is noted in `power/HOST.off`."""
    deadline = time.monotonic() + within_s
    agents = [pid for pid in processes_naming(os.path.join(folder, f"{host}.yaml")) if "werkplek-agent" in executable(pid)]
    # The agent first, so that it starts nothing more; what libvirt was about to start is seen in the next round.
    for pid in agents:
        end(pid, deadline)
    while pids := guests_of(folder, host):
        for pid in pids:
            end(pid, deadline)
    note_end(folder, host)


def note_end(folder, name):
    """Notes in `power/NAME.off` that all of a host, or one virtual machine there (HOST-DOMAIN), is gone now."""
    os.makedirs(os.path.join(folder, "power"), mode=0o700, exist_ok=True)
    with open(os.path.join(folder, "power", f"{name}.off"), "a", encoding="utf-8") as file:
        file.write(f"{time.time():.3f}\n")


def ends_known(folder, name):
    path = os.path.join(folder, "power", f"{name}.off")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [float(line) for line in file]


def main():
    folder = sys.argv[1]
    options = dict(line.strip().split("=", 1) for line in sys.stdin if "=" in line)
    host = options.get("plug", "")
    try:
        if options.get("action") != "off" or not os.path.exists(os.path.join(folder, "power", host)):
            raise PowerFailed(f"the power switch does not answer for {host}")
        switch_off(folder, host)
    except PowerFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
