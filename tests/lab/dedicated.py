"""Dedicated desktops in the lab, on storage that the hosts of a site share: their owners, and what goes wrong with them.

Rows F12 (a host that runs one goes silent) and M1 (one moves while it runs) of docs/operating/two-sites.md.
"""

import base64
import json
import os
import select
import signal
import subprocess
import threading
import time

from faults import Fault, NotBegun
from history import overlap_s
from host_log import DOMAIN, runs_of
from lab import CommandFailed
from power_switch import guests_of, note_end, switch_off
from processes import PartFailed, processes_naming, wait_until
from work import NOT_SIGNED_IN, Worker

# What `werkplek-agent.service` says: WatchdogSec, and a little for the new start.
WATCHDOG_S = 17
RESTART_LIMIT_S = 60


class Owner(Worker):
    """Who has a desktop of their own. Is no thread that runs: the faults ask it to do one thing after the other."""

    def __init__(self, lab, history, person, site):
        super().__init__(lab, history, person, seed=0, pool=Owners.pool_of(site))
        self.site = site
        self.signed_in = False
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def arrive(self, most_s):
        """Signs in where it must and opens the desktop; whether it did so in time."""
        ends = time.monotonic() + most_s
        while time.monotonic() < ends and not self.over.is_set():
            self.signed_in = self.signed_in or self.sign_in()
            if self.signed_in and self.connect():
                return True
            # A new sign-in waits for a new code.
            self.signed_in = self.signed_in and self.status != NOT_SIGNED_IN
            self.over.wait(0.5)
        return False


class Owners:
    """A dedicated pool in each site, and who owns a desktop there."""

    def __init__(self, lab, history, people, chance, ways=None):
        self.lab, self.history, self.chance = lab, history, chance
        self.every = []
        self.ways, self.turn = sorted(ways or HostSilent.WAYS), []
        for number, person in enumerate(people):
            self.every.append(Owner(lab, history, person, lab.sites[number % len(lab.sites)]))

    @staticmethod
    def pool_of(site):
        return f"eigen-{site}"

    def make(self):
        for site in self.lab.sites:
            self.lab.add_pool(self.pool_of(site), kind="dedicated", max_desktops=8, memory_mib=128, fencing="required",
                              storage=self.lab.storage_of(site), suspend_after_s=0, end_after_s=0)
            self.history.kept_pools.add(self.pool_of(site))
        for owner in self.every:
            self.lab.enrol(owner.person)
            self.lab.ctl("desktop", "assign", owner.person.user, "--pool", owner.pool)

    def status_of(self, owner):
        """The broker's record of the owner's desktop; None while no broker tells."""
        try:
            listed = self.lab.ctl_json("desktop", "list", "--pool", owner.pool).get("desktops", [])
        except CommandFailed:
            return None
        return next((one for one in listed if one["desktop"].get("owner") == owner.person.user), None)

    def next_way(self):
        """How a host goes silent this time: all of the run's ways in turn, each turn in another order."""
        if not self.turn:
            self.turn = self.chance.sample(self.ways, len(self.ways))
        return self.turn.pop()

    def runs(self, desktop):
        return [run for host in self.lab.agents for run in runs_of(self.lab.folder, host)
                if run.desktop == desktop]


class KeptFault(Fault):
    """Begins with an owner at work on a desktop that runs."""

    def an_owner_at_work(self):
        self.owner = self.chance.choice(self.lab.owners.every)
        if not self.owner.arrive(90 * self.patience):
            raise NotBegun(f"{self.owner.person.user} gets no desktop of {self.owner.pool}")
        status = self.status()
        self.desktop, self.generation = status["desktop"]["id"], int(status["desktop"]["generation"])
        self.host = status["desktop"]["host"]
        self.other = next(host for host in self.lab.hosts[self.owner.site] if host != self.host)
        self.where = self.host
        # Its screen was read, so it executes: who cannot see that from the logs cannot see a second one either.
        now = [run for run in self.lab.owners.runs(self.desktop) if run.host == self.host and run.ended is None]
        self.check(len(now) == 1, f"the logs of {self.host} tell of {len(now)} runs of {self.desktop} now")

    def status(self):
        return wait_until(lambda: self.lab.owners.status_of(self.owner), 30 * self.patience,
                          "a broker tells of the owner's desktop")

    def check(self, holds, complaint):
        if not holds:
            self.complaints.append(complaint)


class HostSilent(KeptFault):
    row, name, lasts_s, limit_s = "F12", "host of a dedicated desktop silent", 1, 10
    # How it goes silent, and whether the power switch answers the fence command.
    WAYS = {"cut off": False, "cut off, fence command": True, "power lost": False, "power lost, fence command": True,
            "agent stopped": False, "agent stopped, fence command": True, "agent killed": False,
            "power lost, admin's word": False}

    def begin(self):
        self.an_owner_at_work()
        self.way = self.lab.owners.next_way()
        self.where = f"{self.host}, {self.way}"
        if "admin" in self.way:
            # An administrator's word counts only soon after the sign-in.
            self.lab.admin_sign_in()
        self.lab.power_switch(self.host, self.WAYS[self.way])
        self.note_its_end()
        self.began, self.began_unix = time.monotonic(), time.time()
        agent = self.lab.agents[self.host]
        if self.way.startswith("cut off"):
            self.lab.network.cut_machine(self.host)
        elif self.way.startswith("power lost"):
            self.lab.network.cut_machine(self.host)
            switch_off(self.lab.folder, self.host)
        elif self.way.startswith("agent stopped"):
            agent.kill(signal.SIGSTOP)
        else:
            agent.kill()
        # Others sign in meanwhile, which takes its time.
        self.seen = None
        self.watching = threading.Thread(target=self.watch, daemon=True)
        self.watching.start()

    def note_its_end(self):
        """The moment at which its machine is gone goes into the lab's notes, whoever kills it."""
        folder, host, domain = self.lab.folder, self.host, DOMAIN + self.desktop

        def wait_and_note(handle):
            select.select([handle], [], [])
            note_end(folder, f"{host}-{domain}")
            os.close(handle)
        for pid in guests_of(folder, host) & set(processes_naming(f"guest={domain},")):
            threading.Thread(target=wait_and_note, args=[os.pidfd_open(pid)], daemon=True).start()

    def heal(self):
        self.watching.join()
        self.lab.power_switch(self.host, False)
        self.lab.network.cut_machine(self.host, False)
        self.bring_back_agent()
        self.check(self.seen, "nobody could watch what became of it")
        if self.seen:
            self.tell(*self.seen)

    def watch(self):
        """Until the owner is served again: by whom it was made sure that no copy runs, when, and when the owner had it."""
        served = []
        back = threading.Thread(daemon=True, target=lambda: self.owner.arrive(120 * self.patience) and
                                served.append(time.monotonic()))
        if "admin" in self.way:
            self.override()
        fenced, seen_s = None, None
        back.start()
        while back.is_alive():
            silent_s = time.monotonic() - self.began
            if not self.WAYS[self.way] and self.way.startswith("agent") and silent_s > WATCHDOG_S:
                self.bring_back_agent()
            desktop = (self.lab.owners.status_of(self.owner) or {"desktop": {}})["desktop"]
            if fenced is None and int(desktop.get("fenced_generation", 0)) >= self.generation:
                fenced, seen_s = desktop["fenced_by"], time.monotonic()
            time.sleep(0.2)
        self.seen = fenced, seen_s, served[0] if served else None

    def override(self):
        """Before anything made it sure: it is shown as unknown, does not start, and an administrator's word moves it."""
        wait_until(lambda: "unknown" in self.status().get("fence", ""), 60, "the desktop is shown as unknown")
        refused = ""
        # Not before its host is judged down; then until time would make it sure by itself.
        while time.monotonic() - self.began < 14:
            elsewhere = [run for run in self.lab.owners.runs(self.desktop)
                         if run.host == self.other and run.began > self.began_unix]
            self.check(not elsewhere, "it began elsewhere before anybody could know")
            try:
                self.lab.ctl("desktop", "override-fence", self.desktop, "--reason", "saw its power cable in a hand")
                return
            except CommandFailed as failed:
                refused = failed.output.strip()
            time.sleep(0.2)
        self.complaints.append(f"the administrator's word was refused: {refused}")

    def bring_back_agent(self):
        agent = self.lab.agents[self.host]
        if self.way.startswith("cut off") and agent.running():
            return
        if self.lab.agents[self.host] is not getattr(self, "new_agent", None):
            agent.kill()
            agent.process.wait(10)
            self.lab.start_agent(self.host)
            self.new_agent = self.lab.agents[self.host]

    def tell(self, by, sure, served):
        self.check(served is not None, "its owner never got it again")
        if served is None:
            return
        status = self.status()
        host, generation = status["desktop"]["host"], int(status["desktop"]["generation"])
        self.check(by is not None, "it began again and nobody had made sure that the old copy was off")
        self.check(host == self.other, f"it began on {host}, not on {self.other}")
        self.check(generation > self.generation, f"it began again at generation {generation}")
        if "fence command" in self.way:
            self.check(by in ("fence command", "agent"), f"made sure by {by}")
        elif "admin" in self.way:
            self.check((by or "").startswith("admin:"), f"made sure by {by}")
        restart_s = served - (sure or served)
        overlap = overlap_s(self.lab.owners.runs(self.desktop), time.time())
        self.where += f": {by} after {(sure or served) - self.began:.1f} s"
        self.figures += [("restart after it was sure", restart_s, RESTART_LIMIT_S * self.patience),
                         ("overlap", overlap, 0)]


class Moved(KeptFault):
    row, name, lasts_s, limit_s = "M1", "dedicated desktop moves while its host is drained", 1, 10
    move_limit_s = 60

    def begin(self):
        self.an_owner_at_work()
        self.where = f"{self.host} to {self.other}"
        boot, before = self.boot_of(self.host), self.cold_starts()
        began = time.monotonic()
        self.lab.ctl("host", "drain", self.host)
        try:
            wait_until(lambda: self.status()["desktop"]["host"] == self.other, 3 * self.move_limit_s * self.patience,
                       f"{self.desktop} on {self.other}")
        except PartFailed as failed:
            explained = self.lab.ctl("explain", self.desktop)
            self.complaints.append(f"{failed}; {explained.strip()}")
            return
        self.figures.append(("move", time.monotonic() - began, self.move_limit_s * self.patience))
        desktop = self.status()["desktop"]
        self.check(int(desktop["generation"]) == self.generation, f"it is at generation {desktop['generation']} now")
        self.check(not desktop.get("moving_to"), "it is still said to move")
        self.check(self.boot_of(self.other) == boot, "its guest began anew")
        self.check(self.cold_starts() == before, "a machine of it was started, not moved")
        deed = self.deed()
        self.check(deed[:2] == [str(self.generation), self.other], f"its deed says {' '.join(deed)}")
        explained = self.lab.ctl("explain", self.desktop)
        self.check(self.other in explained, f"explain does not name {self.other}: {explained.strip()}")
        self.check(self.owner.arrive(60 * self.patience), "its owner cannot open it there")

    def heal(self):
        self.lab.ctl("host", "open", self.host)

    def cold_starts(self):
        return sum(not run.came for run in self.lab.owners.runs(self.desktop))

    def deed(self):
        folder = self.lab.path(self.lab.storage_of(self.owner.site))
        for parent, _, files in os.walk(folder):
            for file in files:
                if file.endswith("deed") and self.desktop in os.path.join(parent, file):
                    with open(os.path.join(parent, file), encoding="utf-8") as deed:
                        return deed.read().split()
        return ["nothing"]

    def boot_of(self, host):
        """The guest kernel's own name of its boot, asked through its agent."""
        asked = {"execute": "guest-exec", "arguments": {"path": "/bin/cat", "capture-output": True,
                                                         "arg": ["/proc/sys/kernel/random/boot_id"]}}
        pid = self.guest(host, asked)["pid"]

        def ended():
            said = self.guest(host, {"execute": "guest-exec-status", "arguments": {"pid": pid}})
            return said if said["exited"] else None
        return base64.b64decode(wait_until(ended, 20 * self.patience, "the guest's boot id")["out-data"]).decode().strip()

    def guest(self, host, request):
        def answer():
            done = subprocess.run(self.lab.machine(host).enter("virsh", "-q", "qemu-agent-command", DOMAIN + self.desktop,
                                                               json.dumps(request)),
                                  capture_output=True, text=True, check=False)
            return json.loads(done.stdout)["return"] if done.returncode == 0 else None
        return wait_until(answer, 30 * self.patience, f"the guest agent of {self.desktop}", interval_s=0.3)


ALL = [HostSilent, Moved]


def summary(faults):
    """Lines with the figures of these faults beside their limits, and the number of them; and how many were missed."""
    lines, missed = [], 0
    silent = [fault for fault in faults if isinstance(fault, HostSilent)]
    moves = [fault for fault in faults if isinstance(fault, Moved)]
    for fault in silent + moves:
        for what, figure, limit in fault.figures:
            missed += figure > limit
            lines.append(f"{fault}: {what} {figure:.1f} s (at most {limit:g} s){'   MISSED' if figure > limit else ''}")
    if silent or moves:
        overlap = max([figure for fault in silent for what, figure, _ in fault.figures if what == "overlap"] + [0])
        lines.append(f"{len(silent)} hosts with dedicated desktops went silent: at most {overlap:.1f} s on two hosts; "
                     f"{len(moves)} moves")
    return lines, missed
