"""People at work while things go wrong, by a seed; what came of it against what must be true. See `faults`."""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from two_sites import ROOT, TwoSites  # noqa: E402  (first: it says where the others are)
import dedicated  # noqa: E402
from browsers import GatewayOfBrowserKilled  # noqa: E402
from faults import ALL, NotBegun  # noqa: E402
from gateways import GatewayKilled, start_gateways  # noqa: E402
from history import History, SessionSeen, violations  # noqa: E402
from host_log import runs_of  # noqa: E402
from lab import CommandFailed  # noqa: E402
from repeats import Repeater, RequestsRepeated  # noqa: E402
from work import POOL, EpochWatch, Worker  # noqa: E402

PROGRAMS = os.environ.get("WERKPLEK_BIN_DIR", os.path.join(ROOT, "build/dev/bin"))
IMAGES = os.path.join(PROGRAMS, "..", "images", "tiny")
STARTED = time.monotonic()
# After so many faults in a row that lacked what they begin with the run tells nothing more.
MOST_NOT_BEGUN = 3


def say(line):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {line}", flush=True)


class Prober:
    """Signs in people who were not seen before, one after the other, and says how long each took."""

    def __init__(self, lab, people):
        self.lab, self.people, self.next = lab, people, 0

    def sign_in(self, limit_s):
        """Seconds until a sign-in succeeded; None: not within the limit."""
        person = self.people[self.next % len(self.people)]
        self.next += 1
        # May wait for the next code, which is not the broker's time.
        code = person.authenticator.code()
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            try:
                self.lab.werkplek("tc-002", "sign-in", "--user", person.user, given=f"{person.password}\n{code}\n",
                                  token_folder=self.lab.path("people", "probe"))
                return time.monotonic() - began
            except CommandFailed as failed:
                # A code may have been taken by an attempt whose answer was lost.
                if failed.status == 3:
                    person = self.people[self.next % len(self.people)]
                    self.next += 1
                    code = person.authenticator.code()
        return None


def sessions_of(lab):
    seen = []
    for session in lab.ctl_json("session", "list", "--ended").get("sessions", []):
        ended = int(session["state_since_unix_ms"]) if session["state"] == "SESSION_STATE_ENDED" else None
        seen.append(SessionSeen(session["id"], session["user"], session["pool"], session["desktop"],
                                int(session["generation"]), int(session["created_unix_ms"]), ended))
    return seen


def one_fault(fault, prober, history):
    limit_s = fault.limit_s and fault.limit_s * fault.patience
    fault.begin()
    say(f"{fault}")
    ends = time.monotonic() + fault.lasts_s
    # Let run on past the limit, to say by how much it was missed.
    took = fault.figure(prober, 3 * limit_s) if limit_s else None
    met = limit_s is None or (took is not None and took <= limit_s)
    while time.monotonic() < ends:
        time.sleep(0.05)
    fault.heal()
    healed = time.monotonic()
    # A probe that is answered after more than the most is a violation; it is let run on to say by how much.
    again = prober.sign_in(6 * history.most_to_recover_s)
    history.recoveries.append((str(fault), None if again is None else time.monotonic() - healed))
    figure = "-" if limit_s is None else f"{took:.1f} s" if took is not None else "none"
    limit = "-" if limit_s is None else f"{limit_s:g} s"
    row = (str(fault), figure, limit, f"{history.recoveries[-1][1]:.1f} s" if again is not None else "never", met)
    history.faults.append(fault)
    history.complaints += [(str(fault), complaint) for complaint in fault.complaints]
    say(f"   meanwhile {row[1]} (at most {row[2]}), well {row[3]} after healing")
    return row


def let_go_wrong(lab, kinds, chance, prober, history, options):
    """All kinds in turn, each turn in another order. One that could not begin is a figure missed, and the run goes on."""
    rows, began, turn, not_begun = [], time.monotonic(), [], 0
    while time.monotonic() < began + options.minutes * 60 or len(rows) < options.at_least:
        if not turn:
            turn = chance.sample(kinds, len(kinds))
        fault = turn.pop()(lab, chance, options.patience)
        try:
            rows.append(one_fault(fault, prober, history))
            not_begun = 0
        except NotBegun as failed:
            # The reason may be as long as a page of the portal: it is told once, and not in the table.
            say(f"{fault} did not begin: {failed}")
            rows.append((str(fault), "not begun", "-", "-", False))
            not_begun += 1
            if not_begun == MOST_NOT_BEGUN:
                break
        time.sleep(chance.uniform(0.2, 1.5))
    return rows


def table(rows):
    width = max([len(row[0]) for row in rows] + [5])
    print(f"\n{'FAULT':{width}}          MEANWHILE  AT MOST  WELL AFTER HEALING")
    for name, figure, limit, again, met in rows:
        print(f"{name:{width}}  {figure:>17}  {limit:>7}  {again:>18}{'' if met else '   MISSED'}")


def run(lab, options):
    chance = random.Random(options.seed)
    history = History()
    lab.start()
    lab.add_pool(POOL, min_desktops=4, max_desktops=16, running_spares=2, memory_mib=128, suspend_after_s=20,
                 end_after_s=60)
    people = list(lab.people.values())[20:]
    workers, probes = people[:options.people], people[options.people:options.people + options.probes]
    lab.outside = people[-1]
    lab.repeater = Repeater(lab, people[-2], random.Random(options.seed), options.patience)
    history.asked = lab.repeater.asked
    say(f"{len(workers) + len(probes)} people get their one-time tokens")
    for person in [*workers, *probes, lab.outside, lab.repeater.person]:
        lab.enrol(person)
    os.makedirs(lab.path("people", "probe"), mode=0o700, exist_ok=True)
    start_gateways(lab)
    lab.wait_spares(POOL, 2)
    every = [*ALL, GatewayKilled, GatewayOfBrowserKilled, RequestsRepeated, *dedicated.ALL]
    kinds = [kind for kind in every if not options.rows or kind.row in options.rows]
    if set(kinds) & set(dedicated.ALL):
        lab.owners = dedicated.Owners(lab, history, people[-options.owners - 2:-2], chance, options.way)
        say(f"{options.owners} people get a desktop of their own")
        lab.owners.make()
    if RequestsRepeated in kinds:
        lab.repeater.make_pool()
    at_work = [Worker(lab, history, person, options.seed * 1000 + i) for i, person in enumerate(workers)]
    watch = EpochWatch(lab, history)
    for thread in [*at_work, watch]:
        thread.start()
    prober = Prober(lab, probes)
    rows = let_go_wrong(lab, kinds, chance, prober, history, options)
    for thread in [*at_work, watch]:
        thread.over.set()
    for thread in [*at_work, watch]:
        thread.join(60)
    history.sessions = sessions_of(lab)
    for host in lab.agents:
        history.runs += runs_of(lab.folder, host)
    return history, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--at-least", type=int, default=0, metavar="FAULTS",
                        help="goes on after the minutes until so many things went wrong")
    parser.add_argument("--rows", type=lambda text: text.split(","), help="only these rows: F1,F6")
    ways = sorted(dedicated.HostSilent.WAYS)
    parser.add_argument("--way", action="append", choices=ways, metavar="WAY",
                        help=f"hosts go silent (F12) in this way only, or in these: {'; '.join(ways)}")
    parser.add_argument("--people", type=int, default=6, help="people at work at once")
    parser.add_argument("--owners", type=int, default=4, help="people with a dedicated desktop")
    parser.add_argument("--probes", type=int, default=40, help="people who sign in to see whether one can")
    parser.add_argument("--patience", type=float, default=1,
                        help="each limit is so many times as long: for machines that do other work too")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("faults: needs root, for network namespaces and libvirt")
    # What stops the lab then stops it on a wish to stop, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.makedirs(IMAGES, exist_ok=True)
    subprocess.run([os.path.join(ROOT, "deploy/images/tiny/build"), IMAGES], check=True, timeout=300)
    folder = tempfile.mkdtemp(prefix="wp-lab-")
    lab = TwoSites(folder, PROGRAMS, os.path.realpath(IMAGES), say)
    kept = True
    try:
        history, rows = run(lab, options)
        history.most_to_recover_s *= options.patience
        found = violations(history)
        table(rows)
        calls = len(history.calls)
        answered = sum(1 for call in history.calls if call.ok)
        lines, missed = dedicated.summary(history.faults)
        print("\n".join(["", *lines]))
        missed += sum(1 for row in rows if not row[-1])
        for line in found:
            print(f"VIOLATION {line}")
        print(f"\nseed {options.seed}: {len(rows)} faults, {calls} calls of people ({answered} good), "
              f"{len(history.sessions)} sessions, {len(history.runs)} machines ran, {missed} figures missed, {len(found)} violations")
        kept = bool(found or missed)
        return 1 if kept else 0
    finally:
        lab.stop()
        if kept:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    threading.excepthook = lambda args: (sys.__excepthook__(args.exc_type, args.exc_value, args.exc_traceback))
    sys.exit(main())
