"""Starts the lab of two sites and says what to try. See `run`."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from two_sites import ROOT, TwoSites  # noqa: E402  (first: it says where the others are)
from lab import CommandFailed  # noqa: E402
from processes import PartFailed  # noqa: E402

STATE = os.path.join(ROOT, "tests/lab/state")
PROGRAMS = os.environ.get("WERKPLEK_BIN_DIR", os.path.join(ROOT, "build/dev/bin"))
POOL = "kantoor"
STARTED = time.monotonic()


def say(line):
    print(f"[{time.monotonic() - STARTED:5.1f} s] {line}", flush=True)


def show(lab):
    lab.start()
    with open(os.path.join(STATE, "environment"), "w", encoding="utf-8") as file:
        file.write(f"export PATH={shlex.quote(PROGRAMS)}:$PATH XDG_RUNTIME_DIR="
                   f"{shlex.quote(lab.environment()['XDG_RUNTIME_DIR'])}\n"
                   f"ctl() {{ werkplekctl --config {shlex.quote(lab.path('beheer.yaml'))} \"$@\"; }}; export -f ctl\n"
                   f"wp() {{ werkplek --config {shlex.quote(lab.path('tc-001.yaml'))} \"$@\"; }}; export -f wp\n")
    shutil.copy(lab.path("pids"), os.path.join(STATE, "pids"))
    lab.add_pool(POOL, min_desktops=4, max_desktops=12, running_spares=2, memory_mib=128)
    lab.wait_spares(POOL, 2)
    person = list(lab.people.values())[-1]
    lab.enrol(person)
    say(f"{person.name}: signs in from the desk, asks for a desktop of pool {POOL}")
    lab.werkplek("tc-001", "sign-in", "--user", person.user, given=f"{person.password}\n{person.authenticator.code()}\n")
    lab.werkplek("tc-001", "connect", POOL, "--screenshot", os.path.join(STATE, "desktop.png"))
    print(lab.ctl("host", "list"))
    return person


def next_steps(lab, person):
    print(f"""It runs. In another terminal, as root:

  tests/lab/shell desk            here `ctl` is werkplekctl and `wp` is werkplek; try:
      ctl host list                   both sites and their load
      ctl desktop list                every desktop, its host and its state
      wp list                         what {person.user} may use
  tests/lab/shell noord           the broker's machine of a site
  tests/lab/shell hv-z1 virsh list
  tests/lab/faults --minutes 5    another lab, in which things go wrong by themselves

Logs: {lab.folder}
Ctrl-C stops everything.""", flush=True)


def main():
    shutil.rmtree(STATE, ignore_errors=True)
    os.makedirs(STATE, mode=0o700)
    images = os.path.join(PROGRAMS, "..", "images", "tiny")
    os.makedirs(images, exist_ok=True)
    subprocess.run([os.path.join(ROOT, "deploy/images/tiny/build"), images], check=True, timeout=300)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lab = TwoSites(os.path.join(STATE, "lab"), PROGRAMS, os.path.realpath(images), say)
    status = 1
    try:
        person = show(lab)
        status = 0
        if sys.argv[1:] == ["--check"]:
            say("check: all of it worked")
        else:
            next_steps(lab, person)
            signal.pause()
    except KeyboardInterrupt:
        print(flush=True)
    except (CommandFailed, PartFailed) as failed:
        status = 1
        print(f"lab: {failed}\nThe logs are in {lab.folder}", file=sys.stderr)
    finally:
        say("stopping")
        lab.stop()
        for name in ("pids", "environment"):
            if os.path.exists(os.path.join(STATE, name)):
                os.remove(os.path.join(STATE, name))
    return status


if __name__ == "__main__":
    sys.exit(main())
