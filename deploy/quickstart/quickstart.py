"""Starts the lab, lets one employee sign in and connect, and says what to try next. See `run`."""

import fcntl
import os
import shlex
import shutil
import signal
import ssl
import struct
import sys
import time
import urllib.request

from lab import ROOT, CommandFailed, Lab, PartFailed, stop_leftovers
from processes import free_port

STATE = os.path.join(ROOT, "deploy/quickstart/state")
POOL = "kantoor"


def say(line):
    try:
        print(f"[{time.monotonic() - STARTED:5.1f} s] {line}", flush=True)
    except OSError:
        # The terminal is gone; what runs must be stopped all the same.
        pass


STARTED = time.monotonic()


def png_size(path):
    """Width and height; raises when it is no PNG."""
    with open(path, "rb") as file:
        head = file.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise PartFailed(f"{path} is no picture")
    return struct.unpack(">II", head[16:24])


def show(lab):
    lab.start()
    say(f"pool {POOL}: at most 12 desktops, 2 spares kept running")
    lab.add_pool(POOL, min_desktops=2, max_desktops=12, running_spares=2, suspend_after_s=60, end_after_s=3600)
    lab.wait_spares(POOL, 1)
    person = list(lab.people.values())[-1]
    say(f"{person.name} ({person.department}): gets a one-time token from the help desk")
    lab.enrol(person)
    say(f"{person.name}: signs in from thin client tc-001 with password and code")
    lab.werkplek("tc-001", "sign-in", "--user", person.user,
                 given=f"{person.password}\n{person.authenticator.code()}\n")
    say(f"{person.name}: asks for a desktop of pool {POOL}")
    picture = os.path.join(STATE, "desktop.png")
    lab.werkplek("tc-001", "connect", POOL, "--screenshot", picture)
    width, height = png_size(picture)
    say(f"the screen of the desktop, {width} x {height}: {picture}")
    return person


def open_portal(lab):
    """A gateway with a portal for browsers on this machine; gives its address."""
    port = free_port()
    origin = f"https://localhost:{port}"
    certificate, key = lab.self_signed("portal", "localhost", "DNS:localhost")
    gateway = lab.start_gateway("gw-noord", "noord", {"address": f"127.0.0.1:{port}", "origin": origin,
                                                      "certificate": certificate, "key": key})
    trust = ssl.create_default_context(cafile=certificate)
    with urllib.request.urlopen(origin, context=trust, timeout=20) as page:
        if b"portal.js" not in page.read():
            raise PartFailed(f"{origin} shows no portal; see {gateway.log}")
    say(f"gateway of site noord: its portal for browsers is {origin}")
    return origin


def next_steps(lab, person, portal):
    token = f"XDG_RUNTIME_DIR={shlex.quote(lab.environment()['XDG_RUNTIME_DIR'])}"
    ctl = f"{token} {shlex.quote(lab.program('werkplekctl'))} --config {shlex.quote(lab.path('beheer.yaml'))}"
    client = f"{token} {shlex.quote(lab.program('werkplek'))} --config {shlex.quote(lab.path('tc-001.yaml'))}"
    print(f"""
It runs. In another terminal, as root:

  alias ctl={shlex.quote(ctl)}
  alias wp={shlex.quote(client)}

  ctl host list                 both sites and their load
  ctl desktop list              every desktop, its host and its state
  ctl session list              {person.user} has one
  ctl pool status               spares, people that wait
  wp list                       what {person.user} may use
  wp connect {POOL}            opens the screen (needs a graphical terminal and remote-viewer)
  wp end {POOL}                 the desktop is reset; nothing of {person.user} is left on it
  ctl watch                     each change as it happens

In a browser on this machine, {portal} (no authority vouches for its certificate: your browser will say so):

  {person.user}, password {person.password}, and the code that this gives:
  oathtool --totp --base32 {person.authenticator.secret}

Passwords of the 200 employees: {lab.path('directory', 'passwords.tsv')}
A token for another one:        ctl token enrol USER
Ctrl-C stops everything.""", flush=True)


def clear_state():
    """Takes away what an earlier run left. Gives the lock that says that this one runs; None: another one does."""
    os.makedirs(STATE, exist_ok=True)
    # pylint: disable-next=consider-using-with
    lock = open(os.path.join(STATE, "lock"), "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    stop_leftovers(os.path.join(STATE, "lab"))
    shutil.rmtree(os.path.join(STATE, "lab"), ignore_errors=True)
    if os.path.exists(os.path.join(STATE, "desktop.png")):
        os.remove(os.path.join(STATE, "desktop.png"))
    return lock


def watch(lab):
    """Until Ctrl-C; fails when a part ends by itself."""
    while True:
        for part in [lab.directory, lab.broker, *lab.gateways.values(), *lab.agents.values()]:
            if not part.running():
                raise PartFailed(f"{part.name} ended by itself; see {part.log}")
        time.sleep(1)


def main():
    check = sys.argv[1:] == ["--check"]
    lock = clear_state()
    if lock is None:
        print("quickstart: it runs already, in another terminal", file=sys.stderr)
        return 1
    for how in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, lambda *_: sys.exit(1))
    lab = Lab(os.path.join(STATE, "lab"), os.path.join(ROOT, "build/dev/bin"), os.path.join(STATE, "images"), say)
    status = 1
    try:
        person = show(lab)
        portal = open_portal(lab)
        status = 0
        if check:
            say("check: all of it worked")
        else:
            next_steps(lab, person, portal)
            watch(lab)
    except KeyboardInterrupt:
        print(flush=True)
    except (CommandFailed, PartFailed) as failed:
        status = 1
        print(f"quickstart: {failed}\nThe logs are in {lab.folder}", file=sys.stderr)
    finally:
        # Whoever is impatient would leave behind what is not stopped yet.
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(how, signal.SIG_IGN)
        say("stopping")
        lab.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
