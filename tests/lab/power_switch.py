"""The power switch of the lab's hosts, as a fence command: FOLDER is the lab's. Reads NAME=VALUE lines, as fence agents do.

Switches off by killing the host's agent and its virtual machines; fails where the lab did not connect it to the host.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/quickstart"))

from processes import executable, processes_naming  # noqa: E402  (found by the path above)


def powered(network, host_config):
    """What runs on the host and would not without power: the rest of it holds no desktop."""
    pids = [pid for pid in processes_naming("qemu-system") if "qemu-system" in executable(pid)]
    found = [pid for pid in processes_naming(host_config) if "werkplek-agent" in executable(pid)]
    for pid in pids:
        try:
            if os.stat(f"/proc/{pid}/ns/net").st_ino == network:
                found.append(pid)
        except OSError:
            continue
    return found


def main():
    folder = sys.argv[1]
    options = dict(line.strip().split("=", 1) for line in sys.stdin if "=" in line)
    host = options.get("plug", "")
    with open(os.path.join(folder, "pids"), encoding="utf-8") as file:
        holders = dict(line.split() for line in file)
    if options.get("action") != "off" or host not in holders or not os.path.exists(os.path.join(folder, "power", host)):
        print(f"the power switch does not answer for {host}", file=sys.stderr)
        return 1
    network = os.stat(f"/proc/{holders[host]}/ns/net").st_ino
    deadline = time.monotonic() + 5
    while pids := powered(network, os.path.join(folder, f"{host}.yaml")):
        if time.monotonic() > deadline:
            print(f"{host}: {len(pids)} processes do not end", file=sys.stderr)
            return 1
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
