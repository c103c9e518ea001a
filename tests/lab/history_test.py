"""Each check of the history rejects a history made for it, and nothing in a good one."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))

from history import CHECKS, Asked, Call, History, Run, SessionSeen, overlap_s, violations  # noqa: E402
from host_log import ended_at, executed_in, runs_in  # noqa: E402


def good():
    """Two people, one after the other on the same desktop; a third whose call was never answered."""
    return History(
        calls=[Call("jan", "sign-in", 0, 1, True, "100"), Call("jan", "connect", 1, 2, True, "s1"),
               Call("jan", "end", 3, 4, True), Call("piet", "sign-in", 0, 5, True, "100"),
               Call("piet", "connect", 5, 6, True, "s2"), Call("eva", "sign-in", 2, None),
               Call("eva", "connect", 7, 8, True, "s3"), Call("jan", "sign-in", 9, 10, False, "100")],
        sessions=[SessionSeen("s1", "jan", "p", "d1", 1, 1000, 4000), SessionSeen("s2", "piet", "p", "d1", 2, 5000),
                  SessionSeen("s3", "eva", "p", "d2", 1, 7000)],
        epochs=[("a", 1), ("b", 1), ("a", 2), ("a", 2), ("b", 3)],
        recoveries=[("a kill", 1.5)],
        asked=[Asked("r1", "CreateResource", ["{}", "{}", "{}"], 1)],
        # d1 was started anew elsewhere, d2 moved while it ran, d3 began again where it was.
        runs=[Run("d1", "a", 0, 10), Run("d1", "b", 11), Run("d2", "a", 0, 6, went=True), Run("d2", "b", 5, came=True),
              Run("d3", "a", 0, 4), Run("d3", "a", 5)])


def spoil(name):
    history = good()
    if name == "I1":
        history.sessions.append(SessionSeen("s9", "eva", "q", "d1", 3, 6000))
    elif name == "I2":
        history.sessions.append(SessionSeen("s9", "piet", "p", "d3", 1, 6000))
    elif name == "I3":
        history.runs[1].began = 9
    elif name == "F":
        history.complaints.append(("a certificate revoked", "it was still taken after 60 s"))
    elif name == "I4":
        history.sessions.pop()
    elif name == "I5":
        history.calls.append(Call("mia", "connect", 1, 2, True, "s3"))
    elif name == "I6":
        history.calls.append(Call("piet", "sign-in", 6, 7, True, "100"))
    elif name == "I9":
        history.sessions[1].generation = 1
    elif name == "I10":
        history.epochs.append(("b", 2))
    elif name == "I11":
        history.asked[0].effects = 2
    elif name == "I14":
        history.recoveries.append(("a cut", None))
    return history


class HistoryTest(unittest.TestCase):
    def test_a_good_history_is_accepted(self):
        self.assertEqual(violations(good()), [])

    def test_each_check_rejects_a_history_made_for_it(self):
        for name in CHECKS:
            with self.subTest(name):
                found = violations(spoil(name))
                self.assertTrue(any(line.startswith(name + ":") for line in found), found)

    def test_a_long_session_is_not_hidden_by_a_short_one_after_it(self):
        history = History(sessions=[SessionSeen("s1", "jan", "p", "d1", 1, 0, 10_000),
                                    SessionSeen("s2", "piet", "q", "d1", 2, 1000, 2000),
                                    SessionSeen("s3", "eva", "r", "d1", 3, 3000, 4000)])
        found = [line for line in violations(history) if line.startswith("I1:")]
        self.assertEqual(len(found), 2, found)

    def test_two_machines_of_a_desktop_are_seen_whichever_way_they_overlap(self):
        for name, runs in {
                "never ended": [Run("d", "a", 0), Run("d", "b", 9)],
                "a short one in between": [Run("d", "a", 0, 10), Run("d", "b", 2, 3), Run("d", "c", 8, 9)],
                "moved, but the old one runs on": [Run("d", "a", 0, 9), Run("d", "b", 5, came=True)],
                "started where it had come from": [Run("d", "a", 0, 5, went=True), Run("d", "b", 4, came=True),
                                                   Run("d", "a", 7)],
        }.items():
            with self.subTest(name):
                self.assertTrue(any(line.startswith("I3:") for line in violations(History(runs=runs))))

    def test_logs_that_do_not_tell_of_a_desktop_that_somebody_saw_are_not_believed(self):
        history = good()
        history.runs = [run for run in history.runs if run.desktop != "d2"]
        self.assertEqual(violations(history), ["I3: desktop d2 of s3 ran on no host, say the logs"])

    def test_a_kept_desktop_may_serve_again_as_it_runs_but_never_falls(self):
        history = good()
        history.sessions[1].generation = 1
        history.kept_pools = {"p"}
        self.assertEqual(violations(history), [])
        history.sessions[1].generation = 0
        self.assertEqual(len(violations(history)), 1)

    def test_time_on_two_hosts_is_measured_but_for_moves(self):
        runs = good().runs
        self.assertEqual(overlap_s(runs), 0)
        runs[1].began = 7
        self.assertEqual(overlap_s(runs), 3)

    def test_another_answer_to_the_same_request_is_a_violation(self):
        for name, answers in {"another": ["{}", '{"version": 2}'], "refused": ["{}", "refused: NOT_FOUND"]}.items():
            with self.subTest(name):
                found = violations(History(asked=[Asked("r1", "CreateResource", answers, 1)]))
                self.assertTrue(any(line.startswith("I11:") for line in found), found)

    def test_a_late_recovery_is_a_violation(self):
        self.assertNotEqual(violations(History(recoveries=[("a kill", 10.1)])), [])


LOG = """2026-11-25 18:00:00.250+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4 (Debian), qemu version: 7.2
/usr/bin/qemu-system-x86_64 \\
-name guest=kantoor-1,debug-threads=on \\
2026-11-25 18:00:05.000+0000: shutting down, reason=destroyed
2026-11-25 18:01:00.000+0000: starting up libvirt version: 9.0.0
-incoming defer \\
2026-11-25T18:01:09.000000Z qemu-system-x86_64: terminating on signal 15 from pid 12 (libvirtd)
2026-11-25 18:01:10.000+0000: shutting down, reason=migrated
2026-11-25 18:02:00.000+0000: starting up libvirt version: 9.0.0
2026-11-25 18:03:00.000+0000: starting up libvirt version: 9.0.0
"""


# Of libvirtd, as it starts a machine: thread 24311 gets the lock of the disk, and thread 24458 gives it up at the end.
GOT = """2026-11-25 18:00:01.000+0000: 24311: debug : virDomainLockProcessResume:220 : plugin=0x55c0 dom=0x7fce state=<null>
2026-11-25 18:00:01.000+0000: 24311: debug : virLockManagerLogParams:96 :   key=uuid type=uuid value=11111111-2222-3333-4444-6666
2026-11-25 18:00:01.000+0000: 24311: debug : virLockManagerLogParams:89 :   key=name type=string value=kantoor-1
2026-11-25 18:00:01.000+0000: 24311: debug : virLockManagerLogParams:77 :   key=pid type=uint value=24455
2026-11-25 18:00:01.000+0000: 24311: debug : virLockManagerLogParams:92 :   key=uri type=cstring value=qemu:///system
2026-11-25 18:00:01.010+0000: 24311: debug : virLockManagerAcquire:342 : lock=0x7fce state='<null>' flags=0x0 action=0 fd=(nil)
2026-11-25 18:00:01.020+0000: 24311: debug : virLockManagerFree:380 : lock=0x7fce
2026-11-25 18:00:05.001+0000: 24458: debug : virDomainLockProcessPause:200 : plugin=0x55c0 dom=0x7fce state=0x7fce
2026-11-25 18:00:05.001+0000: 24458: debug : virLockManagerLogParams:89 :   key=name type=string value=kantoor-1
2026-11-25 18:00:05.002+0000: 24458: debug : virLockManagerFree:380 : lock=0x7fce
"""
# The same where another host has the lock; meanwhile another thread fails at something else, and a third gets its lock.
REFUSED = """2026-11-25 18:00:04.000+0000: 24340: debug : virDomainLockProcessResume:220 : plugin=0x5647 dom=0x7fbe state=<null>
2026-11-25 18:00:04.000+0000: 24340: debug : virLockManagerLogParams:89 :   key=name type=string value=kantoor-1
2026-11-25 18:00:04.001+0000: 24341: debug : virDomainLockProcessResume:220 : plugin=0x5647 dom=0x7fbf state=<null>
2026-11-25 18:00:04.001+0000: 24341: debug : virLockManagerLogParams:89 :   key=name type=string value=kantoor-2
2026-11-25 18:00:04.001+0000: 24340: debug : virLockManagerAcquire:342 : lock=0x7fbe state='<null>' flags=0x0 action=0 fd=(nil)
2026-11-25 18:00:04.002+0000: 24342: error : virCgroupDetectControllers:451 : At least one cgroup controller is required
2026-11-25 18:00:04.004+0000: 24340: error : virNetClientProgramDispatchError:172 : resource busy: Lockspace resource '8772' is locked
2026-11-25 18:00:04.005+0000: 24340: debug : virLockManagerFree:380 : lock=0x7fbe
2026-11-25 18:00:04.006+0000: 24341: debug : virLockManagerFree:380 : lock=0x7fbf
"""
OTHER = """2026-11-25 18:00:03.900+0000: starting up libvirt version: 9.0.0
2026-11-25 18:00:{end}+0000: shutting down, reason={reason}
"""


class HostLogTest(unittest.TestCase):
    began = 1795629600  # 2026-11-25 18:00:00 UTC

    def test_what_libvirt_wrote_is_read(self):
        began = self.began
        self.assertEqual(runs_in(LOG, "kantoor-1", "hv-n1", [began + 1, began + 3, began + 62, began + 122, began + 182]), [
            Run("kantoor-1", "hv-n1", began + 1, began + 5),
            Run("kantoor-1", "hv-n1", began + 62, began + 70, came=True, went=True),
            Run("kantoor-1", "hv-n1", began + 122, began + 180),
            Run("kantoor-1", "hv-n1", began + 182)])

    def test_a_process_that_never_executed_is_no_run(self):
        began = self.began
        self.assertEqual(runs_in(LOG, "kantoor-1", "hv-n1", [began + 122]), [
            Run("kantoor-1", "hv-n1", began + 122, began + 180)])

    def test_a_guest_executes_once_its_host_has_the_lock(self):
        self.assertEqual(executed_in(GOT), {"kantoor-1": [self.began + 1.02]})
        self.assertEqual(executed_in(REFUSED), {"kantoor-2": [self.began + 4.006]})

    def runs_of_both(self, other, said):
        return (runs_in(LOG[:LOG.index("2026-11-25 18:01")], "kantoor-1", "a", executed_in(GOT)["kantoor-1"]) +
                runs_in(other, "kantoor-1", "b", executed_in(said).get("kantoor-1", [])))

    def test_a_process_made_while_the_old_one_runs_is_no_second_run_until_it_has_the_lock(self):
        refused = self.runs_of_both(OTHER.format(end="04.005", reason="failed"), REFUSED)
        self.assertEqual(refused, [Run("kantoor-1", "a", self.began + 1.02, self.began + 5)])
        # Its process was made 1.1 s before the old one was gone; it was let execute 0.1 s after that.
        late = self.runs_of_both(OTHER.format(end="09.000", reason="destroyed"), GOT.replace("18:00:01.0", "18:00:05.1"))
        self.assertEqual(late[1], Run("kantoor-1", "b", self.began + 5.12, self.began + 9))
        self.assertEqual((violations(History(runs=late)), overlap_s(late)), ([], 0))

    def test_a_guest_that_executes_while_the_old_one_runs_is_caught(self):
        both = self.runs_of_both(OTHER.format(end="09.000", reason="destroyed"), GOT.replace("18:00:01.0", "18:00:04.9"))
        self.assertTrue(any(line.startswith("I3:") for line in violations(History(runs=both))), both)
        self.assertAlmostEqual(overlap_s(both), 0.08, places=3)

    def test_who_killed_it_knows_the_end_before_libvirt_writes_it(self):
        self.assertEqual(ended_at(Run("d1", "a", 5, 10), [3, 9, 11]).ended, 9)
        self.assertEqual(ended_at(Run("d1", "a", 5, 10, went=True), [9]).ended, 10)
        self.assertEqual(ended_at(Run("d1", "a", 5), [3]).ended, None)


if __name__ == "__main__":
    unittest.main()
