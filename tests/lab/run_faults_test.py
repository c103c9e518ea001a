"""What a run does with a fault that cannot begin."""

import argparse
import contextlib
import io
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from run_faults import let_go_wrong  # noqa: E402
from faults import Fault, NotBegun  # noqa: E402
from history import History, violations  # noqa: E402


class AtOnce(random.Random):
    """Chance that keeps nobody waiting."""

    def uniform(self, a, b):
        return 0


class Prober:
    def sign_in(self, limit_s):
        return 0.1


class Faulty(Fault):
    """Begins when it comes to its turn of `begins`."""

    row, name, lasts_s, begins, healed = "F0", "nothing", 0, [], 0

    def begin(self):
        if not type(self).begins.pop(0):
            raise NotBegun("jan gets no desktop")

    def heal(self):
        type(self).healed += 1


class RunTest(unittest.TestCase):
    def run_of(self, begins):
        Faulty.begins, Faulty.healed, self.history = list(begins), 0, History()
        options = argparse.Namespace(minutes=0, at_least=len(begins), patience=1)
        self.said = io.StringIO()
        with contextlib.redirect_stdout(self.said):
            return let_go_wrong(None, [Faulty], AtOnce(1), Prober(), self.history, options)

    def test_a_fault_that_could_not_begin_is_missed_and_the_run_goes_on(self):
        rows = self.run_of([False, True, False, False, True])
        self.assertEqual([row[-1] for row in rows], [False, True, False, False, True])
        self.assertEqual(rows[0][:2], ("F0 nothing", "not begun"))
        self.assertIn("F0 nothing did not begin: jan gets no desktop", self.said.getvalue())
        # Nothing was broken, so there is nothing to heal or to complain of.
        self.assertEqual((Faulty.healed, len(self.history.faults), violations(self.history)), (2, 2, []))

    def test_three_in_a_row_end_the_run(self):
        rows = self.run_of([True, False, False, False, True])
        self.assertEqual([row[-1] for row in rows], [True, False, False, False])
        self.assertEqual(Faulty.begins, [True])


if __name__ == "__main__":
    unittest.main()
