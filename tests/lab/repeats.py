"""Requests that come twice, after others, late, and at the other broker: the same answer, and no second effect."""

import json
import os
import time

from faults import Fault
from history import Asked
from lab import CommandFailed
from processes import PartFailed, wait_until
from two_sites import DESK

CLIENT, ADMIN = "tc-repeat", "beheer"
# Of its own, so that nobody but the requests ends a session, however long all of it takes.
POOL = "twee-keer"
NO_ANSWER = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
# What a repeated request brings anew, on purpose: the right to open a display, and the access token of the same sign-in.
OF_THE_MOMENT = ("access_token", "ticket", "ticket_lifetime_s", "resumed", "gateways")


class Repeater:
    """Keeps what it asked, so that it can ask once more much later."""

    def __init__(self, lab, person, chance, patience):
        self.lab, self.person, self.chance, self.patience = lab, person, chance, patience
        self.asked, self.late, self.token, self.site = [], [], None, "r-none"
        lab.certify("client", CLIENT)

    def make_pool(self):
        self.lab.add_pool(POOL, max_desktops=3, running_spares=1, memory_mib=128, suspend_after_s=0, end_after_s=0)
        self.lab.wait_spares(POOL, 1)

    def number(self):
        """A request id."""
        return f"{self.chance.getrandbits(128):032x}"

    # -- asking -----------------------------------------------------------------------------------

    def ask(self, broker, config, method, request):
        """The answer, or the refusal, as text. A broker that cannot answer now is asked again."""
        token = self.token
        if config == ADMIN:
            with open(os.path.join(self.lab.environment()["XDG_RUNTIME_DIR"], "werkplek/werkplekctl.token"), encoding="utf-8") as file:
                token = json.load(file)["token"]
        command = self.lab.machine(DESK).enter(self.lab.program("ask_broker"), self.lab.path(f"{config}.yaml"), broker,
                                               method, json.dumps(request))
        ends = time.monotonic() + 120
        while True:
            try:
                answer = json.loads(self.lab.run(command, environment={"ACCESS_TOKEN": token} if token else None))
                break
            except CommandFailed as failed:
                if not any(word in failed.output for word in NO_ANSWER) or time.monotonic() > ends:
                    return failed.output.strip()
        if method == "SignIn":
            self.token = answer["access_token"]
        return answer

    def first(self, config, method, request, watched=True):
        """Asks, at once asks the same of each broker, and keeps it for later."""
        asked = Asked(request["request_id"], method, [], effects=1)
        self.asked.append(asked)
        place = self.chance.randrange(len(self.lab.sites))
        answer = self.ask(place, config, method, request)
        if not isinstance(answer, dict):
            raise PartFailed(f"{method} at broker {place}: {answer}")
        asked.answers.append(self.lasting(answer))
        again = (asked, config, method, request)
        if watched:
            self.repeat(again)
        return answer, again

    def repeat(self, again):
        asked, config, method, request = again
        before = self.state()
        for broker in self.chance.sample(range(len(self.lab.sites)), len(self.lab.sites)):
            asked.answers.append(self.lasting(self.ask(broker, config, method, request)))
        asked.effects += self.state() != before

    @staticmethod
    def lasting(answer):
        if not isinstance(answer, dict):
            return f"refused: {answer}"
        answer = answer.get("ready", answer)
        return json.dumps({key: value for key, value in answer.items() if key not in OF_THE_MOMENT}, sort_keys=True)

    def state(self):
        """All that the requests here can change."""
        user = self.person.user
        try:
            site = self.lab.ctl("site", "get", self.site, "-o", "json")
        except CommandFailed as failed:
            site = f"none: {failed.status}"
        sign_ins = [one["id"] for one in self.lab.ctl_json("sign-in", "list").get("sign_ins", []) if one["user"] == user]
        return site, sorted(sign_ins), self.sessions()

    def sessions(self):
        return sorted(one["id"] for one in self.lab.ctl_json("session", "list", "--user", self.person.user).get("sessions", []))

    # -- what is asked ----------------------------------------------------------------------------

    def administer(self):
        """Makes, changes and removes a site; each request comes again after those that undo it."""
        self.site = f"r-{self.number()[:12]}"
        made, create = self.first(ADMIN, "CreateResource", {
            "request_id": self.number(), "resource": {"name": self.site, "site": {"description": "made"}}})
        _, update = self.first(ADMIN, "UpdateResource", {
            "request_id": self.number(),
            "resource": {"name": self.site, "version": made["version"], "site": {"description": "changed"}}})
        self.repeat(create)
        _, delete = self.first(ADMIN, "DeleteResource", {
            "request_id": self.number(), "kind": "RESOURCE_KIND_SITE", "name": self.site})
        for again in (update, create):
            self.repeat(again)
        self.late += [create, update, delete]

    def work(self):
        """Signs in, connects, leaves and ends; the old requests come again while the next session is there."""
        _, sign_in = self.first(CLIENT, "SignIn", {
            "request_id": self.number(), "user": self.person.user, "password": self.person.password,
            "token_code": self.person.authenticator.code()})
        session = self.connect()
        _, leave = self.first(CLIENT, "Disconnect", {"request_id": self.number(), "session": session})
        _, end = self.end(session)
        second = self.connect()
        for again in (end, leave, sign_in):
            self.repeat(again)
        _, last = self.end(second)
        self.late += [leave, end, last]

    def connect(self):
        answer, _ = self.first(CLIENT, "Connect", {"request_id": self.number(), "pool": POOL})
        return answer["ready"]["session"]

    def end(self, session):
        """Its effect takes a moment, which is not that of the request that comes again."""
        request = {"request_id": self.number(), "session": session}
        answer, again = self.first(CLIENT, "EndSession", request, watched=False)
        wait_until(lambda: session not in self.sessions(), 30 * self.patience, f"the end of {session}")
        self.repeat(again)
        return answer, again


class RequestsRepeated(Fault):
    """Nothing is broken here: what is looked for are answers that differ and effects that come twice (I11)."""

    row, name, lasts_s, limit_s = "F26", "requests twice, reordered, late", 0, None

    def begin(self):
        repeater = self.lab.repeater
        # Those of the last time are late by all that has happened since.
        for again in repeater.late:
            repeater.repeat(again)
        repeater.administer()
        repeater.work()
