"""What the parts of the bench share: where things are, progress, running the loads, processor time."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy/quickstart"))

# pylint: disable=wrong-import-position
from processes import PartFailed  # noqa: E402


@dataclasses.dataclass
class Figure:
    """One line of the table and one object of the JSON. `goal` is text like ">= 0.5", or empty: no limit is set."""

    name: str
    value: float
    unit: str
    goal: str = ""
    note: str = ""

    def met(self):
        if not self.goal:
            return True
        relation, limit = self.goal.split()
        return self.value >= float(limit) if relation == ">=" else self.value <= float(limit)


@dataclasses.dataclass
class Bench:
    """How to measure: `programs` is the folder of the built programs, `folder` a temporary one."""

    programs: str
    folder: str
    quick: bool
    tell: object

    def program(self, name):
        return os.path.join(self.programs, name)

    def load(self, *words, timeout_s=280):
        """Runs one load of werkplek-bench; gives what it measured."""
        done = subprocess.run([self.program("werkplek-bench"), *map(str, words)], capture_output=True, text=True,
                              timeout=timeout_s, check=False)
        if done.returncode != 0:
            raise PartFailed(f"werkplek-bench {words[0]}: {done.stderr.strip() or done.returncode}")
        return json.loads(done.stdout)


def median(values):
    return statistics.median(values)


def make_telling(stream):
    """Progress with the time since the start, for people."""
    began = time.monotonic()

    def tell(line):
        print(f"[{time.monotonic() - began:5.1f} s] {line}", file=stream, flush=True)

    return tell
