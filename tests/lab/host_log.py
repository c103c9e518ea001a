"""What each host's own libvirt wrote down of the virtual machines that ran on it."""

import calendar
import os
import re
import time

from history import Run
from power_switch import ends_known

BEGAN = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{3})\+0000: starting up ")
ENDED = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{3})\+0000: shutting down, reason=(\w+)")


def moment(match):
    return calendar.timegm(time.strptime(match[1], "%Y-%m-%d %H:%M:%S")) + int(match[2]) / 1000


def runs_in(text, desktop, host):
    """The runs in one log of libvirt's QEMU driver: /var/log/libvirt/qemu/DOMAIN.log."""
    runs = []
    for line in text.splitlines():
        if match := BEGAN.match(line):
            # A machine whose end was not written was gone before it began anew on the same host.
            if runs and runs[-1].ended is None:
                runs[-1].ended = moment(match)
            runs.append(Run(desktop, host, moment(match)))
        elif (match := ENDED.match(line)) and runs and runs[-1].ended is None:
            if match[3] == "failed":
                # Refused before its guest's first instruction: by the lock of its disk, for example.
                runs.pop()
                continue
            runs[-1].ended, runs[-1].went = moment(match), match[3] == "migrated"
        elif "-incoming " in line and runs and runs[-1].ended is None:
            runs[-1].came = True
    return runs


def ended_at(run, moments):
    """Libvirt writes a machine's end when it gets round to it; who killed it knows the moment since which it is gone."""
    inside = [known for known in moments if run.began < known < (run.ended or known + 1)]
    if inside and not run.went:
        run.ended = min(inside)
    return run


def runs_of(folder, host):
    """Every run on one host of the lab in `folder`."""
    runs, logs = [], os.path.join(folder, host, "libvirt", "log", "qemu")
    for name in sorted(os.listdir(logs)) if os.path.isdir(logs) else []:
        if name.endswith(".log"):
            with open(os.path.join(logs, name), encoding="utf-8", errors="replace") as file:
                runs += runs_in(file.read(), name[:-len(".log")], host)
    return [ended_at(run, ends_known(folder, host) + ends_known(folder, f"{host}-{run.desktop}")) for run in runs]
