"""What happened in the lab, as those who asked for it saw it, and what must be true of it.

Times are of one monotonic clock. A call that was not answered may have had its effect at any time after it was made.
Each check is a function from a History to complaints; `history_test.py` has a history that each of them rejects.
"""

import dataclasses
from typing import List, Optional

FOREVER = float("inf")


@dataclasses.dataclass
class Call:
    """One call of one person. `done` is None when no answer came."""

    user: str
    what: str  # "sign-in", "connect", "end", "probe"
    made: float
    done: Optional[float] = None
    ok: bool = False
    answer: str = ""  # connect: the session's id; sign-in: the code's time step


@dataclasses.dataclass
class SessionSeen:
    """A session as the brokers tell of it in the end. Unix milliseconds; `ended` is None while it lives."""

    id: str
    user: str
    pool: str
    desktop: str
    generation: int
    created: int
    ended: Optional[int] = None


@dataclasses.dataclass
class Run:
    """A virtual machine of a desktop on a host, as that host's libvirt wrote it down. Unix seconds; `ended` is None while
    it runs."""

    desktop: str
    host: str
    began: float
    ended: Optional[float] = None
    # It came from another host while it ran, or went to one.
    came: bool = False
    went: bool = False


@dataclasses.dataclass
class Asked:
    """A request that changes something, and all answers that came under its id."""

    id: str
    what: str
    # As text, the first one first, without what is new in each answer on purpose.
    answers: List[str]
    # How often something changed because of it.
    effects: int


@dataclasses.dataclass
class History:
    calls: List[Call] = dataclasses.field(default_factory=list)
    sessions: List[SessionSeen] = dataclasses.field(default_factory=list)
    runs: List[Run] = dataclasses.field(default_factory=list)
    # The faults themselves, as they came.
    faults: List[object] = dataclasses.field(default_factory=list)
    asked: List[Asked] = dataclasses.field(default_factory=list)
    # What faults themselves saw that must not be: (fault, complaint).
    complaints: List[tuple] = dataclasses.field(default_factory=list)
    # Pools whose desktops are kept for their owners.
    kept_pools: set = dataclasses.field(default_factory=set)
    # (host, epoch) in the order in which the host's durable epoch was read.
    epochs: List[tuple] = dataclasses.field(default_factory=list)
    # (fault, seconds from its healing to the first good probe, or None).
    recoveries: List[tuple] = dataclasses.field(default_factory=list)
    # I14 on a machine that does nothing else.
    most_to_recover_s: float = 10


def overlaps(sessions, key, different):
    """Pairs of sessions with the same key that live at once."""
    found = []
    groups = {}
    for session in sessions:
        groups.setdefault(key(session), []).append(session)
    for group in groups.values():
        group.sort(key=lambda session: session.created)
        last = None
        for session in group:
            if last is not None and different(last, session) and session.created < (last.ended or FOREVER):
                found.append((last, session))
            if last is None or (session.ended or FOREVER) > (last.ended or FOREVER):
                last = session
    return found


def one_user_of_a_desktop(history):
    """I1: a desktop is assigned to at most one user at any instant."""
    pairs = overlaps(history.sessions, lambda s: s.desktop, lambda one, other: one.user != other.user)
    return [f"desktop {one.desktop} had {one.user} ({one.id}) and {other.user} ({other.id}) at once"
            for one, other in pairs]


def one_session_of_a_user(history):
    """I2: a user has at most one session in a pool."""
    pairs = overlaps(history.sessions, lambda s: (s.user, s.pool), lambda one, other: True)
    return [f"{one.user} had {one.id} and {other.id} in {one.pool} at once" for one, other in pairs]


def runs_on_one_host(history):
    """I3: a desktop runs on at most one host. While it moves, live, it is on two, of which one stands still. And the logs
    that say so tell of each desktop whose screen somebody saw."""
    seen = {call.answer for call in history.calls if call.what == "connect" and call.ok}
    ran, last = {run.desktop for run in history.runs}, {}
    complaints = [f"desktop {session.desktop} of {session.id} ran on no host, say the logs"
                  for session in history.sessions if session.id in seen and session.desktop not in ran]
    for run in sorted(history.runs, key=lambda run: run.began):
        before = last.get(run.desktop)
        both = before is not None and before.host != run.host and run.began < (before.ended or FOREVER)
        if both and not (run.came and (before.went or before.ended is None)):
            complaints.append(f"desktop {run.desktop} began on {run.host} while it ran on {before.host}")
        if before is None or (run.ended or FOREVER) >= (before.ended or FOREVER) or before.went:
            last[run.desktop] = run
    return complaints


def overlap_s(runs, now=FOREVER):
    """For how long, at the most, a desktop ran on two hosts, but for moves. The logs tell milliseconds."""
    most, runs = 0, sorted(runs, key=lambda run: run.began)
    for number, run in enumerate(runs):
        for before in runs[:number]:
            if before.desktop == run.desktop and before.host != run.host and not run.came:
                both_end = min(before.ended or now, run.ended or now)
                most = max(most, both_end - run.began)
    return most


def faults_saw_what_they_should(history):
    """F: what a fault itself looks at, beside people."""
    return [f"{fault}: {complaint}" for fault, complaint in history.complaints]


def nothing_acknowledged_is_lost(history):
    """I4: a session that a person was told of is known in the end."""
    known = {session.id for session in history.sessions}
    return [f"{call.user} was told of {call.answer}, which nobody knows"
            for call in history.calls if call.what == "connect" and call.ok and call.answer not in known]


def a_session_follows_a_sign_in(history):
    """I5: nobody has a session who has not signed in before."""
    first = {}
    for call in history.calls:
        if call.what == "sign-in" and (call.ok or call.done is None):
            first[call.user] = min(call.made, first.get(call.user, FOREVER))
    return [f"{call.user} was given {call.answer} without a sign-in before"
            for call in history.calls
            if call.what == "connect" and call.ok and (call.done or 0) < first.get(call.user, FOREVER)]


def a_code_counts_once(history):
    """I6: a code is accepted at most once, over all brokers."""
    seen, complaints = set(), []
    for call in history.calls:
        if call.what != "sign-in" or not call.ok:
            continue
        key = (call.user, call.answer)
        if key in seen:
            complaints.append(f"the code of {call.user} for step {call.answer} was accepted twice")
        seen.add(key)
    return complaints


def made_clean_between_people(history):
    """I9: two sessions on one desktop are on different generations of it, the later on the higher. What is kept for its
    owner may serve the next session as it runs, but never falls."""
    complaints, last = [], {}
    for session in sorted(history.sessions, key=lambda s: s.created):
        before = last.get(session.desktop)
        least = before.generation + (session.pool not in history.kept_pools) if before is not None else 0
        if session.generation < least:
            complaints.append(f"{session.id} got desktop {session.desktop} at generation {session.generation}, "
                              f"not above that of {before.id}")
        last[session.desktop] = session
    return complaints


def epochs_never_fall(history):
    """I10: no host obeys an older epoch after a newer."""
    complaints, highest = [], {}
    for host, epoch in history.epochs:
        if epoch < highest.get(host, 0):
            complaints.append(f"{host} fell from epoch {highest[host]} to {epoch}")
        highest[host] = max(epoch, highest.get(host, 0))
    return complaints


def one_effect_of_a_request(history):
    """I11: a request has at most one effect, and the same answer however often, late and wherever it is asked."""
    complaints = []
    for asked in history.asked:
        others = [answer for answer in asked.answers if answer != asked.answers[0]]
        if others:
            complaints.append(f"{asked.what} {asked.id} was answered {asked.answers[0]}, then {others[0]}")
        if asked.effects > 1:
            complaints.append(f"{asked.what} {asked.id} had {asked.effects} effects")
    return complaints


def well_after_healing(history):
    """I14: after a fault has healed, a person can sign in and get a desktop again."""
    return [f"after {fault}: " + ("never well again" if took is None else f"well only after {took:.1f} s")
            for fault, took in history.recoveries if took is None or took > history.most_to_recover_s]


CHECKS = {"I1": one_user_of_a_desktop, "I2": one_session_of_a_user, "I3": runs_on_one_host,
          "I4": nothing_acknowledged_is_lost, "I5": a_session_follows_a_sign_in, "I6": a_code_counts_once,
          "I9": made_clean_between_people, "I10": epochs_never_fall, "I11": one_effect_of_a_request, "I14": well_after_healing,
          "F": faults_saw_what_they_should}


def violations(history):
    return [f"{name}: {complaint}" for name, check in CHECKS.items() for complaint in check(history)]
