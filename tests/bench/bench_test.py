"""The bench runs, measures every figure it names, and no sign-in fails. How fast is not judged here."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

# pylint: disable=wrong-import-position
import parts  # noqa: E402

RUN = os.path.join(HERE, "run")


def run(*words):
    return subprocess.run([RUN, *words], capture_output=True, text=True, timeout=280, check=False)


class BenchTest(unittest.TestCase):
    def test_every_figure_is_measured(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "figures.json")
            done = run("--quick", "--json", path)
            with open(path, encoding="utf-8") as file:
                figures = json.load(file)
        said = done.stdout + done.stderr
        self.assertNotIn("bench:", done.stderr, said)
        self.assertEqual([f["name"] for f in figures], [n for part in parts.PARTS.values() for n in part.NAMES], said)
        for figure in figures:
            self.assertEqual(set(figure), {"name", "value", "unit", "goal"}, figure)
            self.assertIsInstance(figure["value"], (int, float), figure)
            self.assertGreater(figure["value"], 0, figure)
            self.assertIsInstance(figure["unit"], str, figure)
            if figure["goal"] is not None:
                self.assertRegex(figure["goal"], r"^(>=|<=) [0-9.]+$")
            self.assertIn(figure["name"], done.stdout)
        # 0 or 1 by the goals, which this test does not judge.
        self.assertEqual(done.returncode == 0, "MISSED" not in done.stdout, said)

    def test_table_fits_a_terminal(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for name in parts.PARTS:
            self.assertIn(name, done.stdout)
        self.assertIn("exit status", done.stdout)

    def test_unknown_name(self):
        done = run("signin_speed")
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown name 'signin_speed'", done.stderr)
        self.assertIn("signin", done.stderr)

    def test_json_into_a_missing_folder(self):
        done = run("--json", "/nonexistent/figures.json", "signin")
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nonexistent", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
