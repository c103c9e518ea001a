"""People at work in the lab: each signs in, opens a desktop, looks, leaves, ends; all of it goes into the history."""

import json
import os
import random
import threading
import time

from history import Call
from lab import CommandFailed

POOL = "kantoor"
# Exit codes of `werkplek`.
REFUSED, NOT_SIGNED_IN, UNAVAILABLE = 2, 3, 4


class Worker(threading.Thread):
    """One person at a time for as long as it lasts. Every call is one call of the real client."""

    def __init__(self, lab, history, person, seed, pool=POOL):
        super().__init__(name=person.user, daemon=True)
        self.lab, self.history, self.person = lab, history, person
        self.chance, self.pool = random.Random(seed), pool
        self.over = threading.Event()
        self.folder = lab.path("people", person.user)
        # What the last call ended with.
        self.status = 0

    def call(self, what, *words, given=""):
        """Makes one call, and notes what came of it. An answer that the client gave up on is no answer."""
        call = Call(self.person.user, what, time.monotonic())
        self.history.calls.append(call)
        try:
            output = self.lab.werkplek("tc-001", *words, given=given, token_folder=self.folder)
            call.ok, call.done, self.status = True, time.monotonic(), 0
            return call, output
        except CommandFailed as failed:
            self.status = failed.status
            if failed.status in (REFUSED, NOT_SIGNED_IN):
                call.done = time.monotonic()
            return call, None

    def sign_in(self):
        code = self.person.authenticator.code()
        call, _ = self.call("sign-in", "sign-in", "--user", self.person.user,
                            given=f"{self.person.password}\n{code}\n")
        call.answer = str(self.person.authenticator.last_step)
        return call.ok

    def connect(self):
        picture = os.path.join(self.folder, "screen.png")
        call, output = self.call("connect", "connect", self.pool, "--screenshot", picture)
        if output is None:
            return False
        try:
            listed = json.loads(self.lab.werkplek("tc-001", "list", "-o", "json", token_folder=self.folder))
            call.answer = next(s["id"] for s in listed.get("sessions", []) if s.get("pool") == self.pool)
        except (CommandFailed, StopIteration, ValueError):
            # It was acknowledged, but which session it was could not be asked: nothing to compare.
            call.what = "connect-unnamed"
        return True

    def replay(self):
        """The same code once more, as somebody would who looked over the shoulder."""
        last = self.person.authenticator.last_code()
        call, _ = self.call("sign-in", "sign-in", "--user", self.person.user, given=f"{self.person.password}\n{last}\n")
        call.answer = str(self.person.authenticator.last_step)

    def run(self):
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        signed_in = False
        while not self.over.is_set():
            if not signed_in:
                signed_in = self.sign_in()
                if signed_in and self.chance.random() < 0.3:
                    self.replay()
            elif self.connect():
                self.over.wait(self.chance.uniform(0.5, 4))
                if self.chance.random() < 0.5:
                    self.call("end", "end", self.pool, "--yes")
            else:
                # A sign-in may have ended meanwhile; a new code is a new one.
                signed_in = self.chance.random() < 0.5
            self.over.wait(self.chance.uniform(0.2, 1.5))


class EpochWatch(threading.Thread):
    """Reads the epoch that each host keeps on its disk."""

    def __init__(self, lab, history):
        super().__init__(name="epochs", daemon=True)
        self.lab, self.history, self.over = lab, history, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            for host in list(self.lab.agents):
                try:
                    with open(self.lab.path(host, "data", "epoch"), encoding="utf-8") as file:
                        self.history.epochs.append((host, int(file.read().split()[0])))
                except (OSError, ValueError, IndexError):
                    continue
