"""deploy/completion holds what the programs' own `completion bash` prints.

    completion_files_test.py --programs FOLDER            compare
    completion_files_test.py --programs FOLDER --write    write the files anew
"""

import argparse
import os
import subprocess
import sys
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
FOLDER = os.path.join(ROOT, "deploy", "completion")
ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("--programs", required=True, help="the folder of the built programs")
ARGUMENTS.add_argument("--write", action="store_true")
# The programs that have the command.
PROGRAMS = ["werkplek", "werkplekctl"]


def printed(programs, name):
    # English comments, whatever the environment says.
    return subprocess.run([os.path.join(programs, name), "completion", "bash"], check=True, capture_output=True,
                          text=True, timeout=30, env={**os.environ, "LC_ALL": "C"}).stdout


class CompletionFilesTest(unittest.TestCase):
    programs = ""

    def test_each_program_has_its_file_and_no_other_is_there(self):
        self.assertEqual(sorted(os.listdir(FOLDER)), sorted(PROGRAMS))

    def test_the_files_are_what_the_programs_print(self):
        for name in PROGRAMS:
            with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
                kept = file.read()
            self.assertEqual(kept, printed(self.programs, name),
                             f"deploy/completion/{name} is old; write it anew with: tests/unit/client/"
                             f"completion_files_test.py --programs {self.programs} --write")

    def test_bash_takes_the_files_and_completes(self):
        for name, typed, wanted in [("werkplek", "conn", "connect"), ("werkplekctl", "entitl", "entitlement")]:
            script = (f"source '{os.path.join(FOLDER, name)}'; COMP_WORDS=({name} {typed}); COMP_CWORD=1; _{name}; "
                      'printf "%s\\n" "${COMPREPLY[@]}"')
            done = subprocess.run(["bash", "-euc", script], check=True, capture_output=True, text=True, timeout=30)
            self.assertEqual(done.stdout.split(), [wanted])


def main():
    known, rest = ARGUMENTS.parse_known_args()
    CompletionFilesTest.programs = known.programs
    if known.write:
        for name in PROGRAMS:
            with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
                file.write(printed(known.programs, name))
        return
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
