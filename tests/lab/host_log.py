"""What each host's own libvirt wrote down of the virtual machines that ran on it.

A guest runs from the moment at which its libvirt has the lock of its disk and is about to let QEMU execute, which the debug
log of libvirt's locking tells (see `private_libvirt`): QEMU's process is there before, stopped. What ended without that never
ran: it was refused the lock, for example, or restored from disk only to move.
"""

import calendar
import os
import re
import time

from history import Run
from power_switch import ends_known

MOMENT = r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{3})\+0000: "
# In the log of a machine: its process is made; it is gone.
MADE = re.compile(MOMENT + r"starting up ")
ENDED = re.compile(MOMENT + r"shutting down, reason=(\w+)")
# In the daemon's log: the moment, the thread, how grave it is, and by whom.
SAID = re.compile(MOMENT + r"(\d+): (\w+) : (\w+):\d+ : (.*)")
NAME = re.compile(r" *key=name type=string value=(\S+)")
# What a desktop's machine is called in libvirt, before the desktop's own id.
DOMAIN = "werkplek-"


def moment(match):
    return calendar.timegm(time.strptime(match[1], "%Y-%m-%d %H:%M:%S")) + int(match[2]) / 1000


def executed_in(text):
    """From the daemon's log, the moments at which each machine was let execute: {DOMAIN: [moment, ...]}."""
    executed, doing = {}, {}
    for line in text.splitlines():
        if not (match := SAID.match(line)):
            continue
        thread, grave, function, what = match[3], match[4], match[5], match[6]
        if function == "virDomainLockProcessResume":
            # Before anything executes, at a start, a resume, or the arrival of a move: the lock is asked for.
            doing[thread] = None
        elif thread in doing and grave == "error":
            # Somebody else has it.
            del doing[thread]
        elif thread in doing and function == "virLockManagerLogParams" and (name := NAME.match(what)):
            doing[thread] = name[1]
        elif thread in doing and function == "virLockManagerFree":
            # It has it, and goes on.
            if name := doing.pop(thread):
                executed.setdefault(name, []).append(moment(match))
    return executed


def runs_in(text, desktop, host, executed):
    """The runs in one log of libvirt's QEMU driver (/var/log/libvirt/qemu/DOMAIN.log), begun when they were let execute."""
    processes = []
    for line in text.splitlines():
        if match := MADE.match(line):
            # A machine whose end was not written was gone before it began anew on the same host.
            if processes and processes[-1].ended is None:
                processes[-1].ended = moment(match)
            processes.append(Run(desktop, host, moment(match)))
        elif (match := ENDED.match(line)) and processes and processes[-1].ended is None:
            processes[-1].ended, processes[-1].went = moment(match), match[3] == "migrated"
        elif "-incoming " in line and processes and processes[-1].ended is None:
            processes[-1].came = True
    runs = []
    for process in processes:
        inside = [known for known in executed if process.began <= known and (process.ended is None or known <= process.ended)]
        if inside:
            process.began = min(inside)
            runs.append(process)
    return runs


def ended_at(run, moments):
    """Libvirt writes a machine's end when it gets round to it; who killed it knows the moment since which it is gone."""
    inside = [known for known in moments if run.began < known < (run.ended or known + 1)]
    if inside and not run.went:
        run.ended = min(inside)
    return run


def read(*names):
    with open(os.path.join(*names), encoding="utf-8", errors="replace") as file:
        return file.read()


def runs_of(folder, host):
    """Every run of a desktop on one host of the lab in `folder`."""
    runs, logs = [], os.path.join(folder, host, "libvirt", "log")
    machines = sorted(name for name in os.listdir(os.path.join(logs, "qemu")) if name.startswith(DOMAIN) and name.endswith(".log"))
    executed = executed_in(read(logs, "libvirtd.log"))
    for name in machines:
        domain = name[:-len(".log")]
        found = runs_in(read(logs, "qemu", name), domain[len(DOMAIN):], host, executed.get(domain, []))
        ends = ends_known(folder, host) + ends_known(folder, f"{host}-{domain}")
        runs += [ended_at(run, ends) for run in found]
    return runs
