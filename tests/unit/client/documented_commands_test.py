"""Every command line of ours in README.md and docs/operating is one that the real programs take.

    documented_commands_test.py --programs FOLDER

The programs themselves parse it, with a configuration that is not there: they get no further than that.
"""

import argparse
import glob
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("--programs", required=True, help="the folder of the built programs")
# The exit code of each program for a command line that it does not take.
PROGRAMS = {"werkplek": 1, "werkplekctl": 1, "werkplek-broker": 64, "werkplek-agent": 64, "werkplek-gateway": 64}
# What stands for a real word in a line that shows the form of all commands.
STAND_INS = {"COMMAND": ["list"], "NOUN": ["site"], "VERB": ["get"], "NAME...": ["x"], "FLAGS": []}
# A `|` between words without spaces: one of these.
ONE_OF = "\N{BROKEN BAR}"
NOWHERE = "/nonexistent/werkplek.yaml"


def documents():
    return [os.path.join(ROOT, "README.md"), *sorted(glob.glob(os.path.join(ROOT, "docs", "operating", "*.md")))]


def code_lines(text):
    """(line number, text, whole) of each line of fenced and indented blocks; of `inline code` with whole=False."""
    fenced, held = False, ""
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            if line.endswith("\\"):
                held += line[:-1] + " "
                continue
            yield number, held + line, True
            held = ""
        else:
            for span in re.findall(r"`([^`]+)`", line):
                yield number, span.replace("\\|", "|"), False


def commands(line):
    """The command lines of our programs in a line of shell, as lists of words; alternatives one by one."""
    line = re.sub(r"(?<=[\w-])\|(?=[\w-])", ONE_OF, line).replace("[", " ").replace("]", " ")
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        # An apostrophe in a text: no command.
        return
    for separator, group in itertools.groupby(words, lambda word: bool(re.fullmatch(r"[();<>|&]+", word))):
        # `sudo`, `runuser -u ACCOUNT --` and variables before the program.
        group = list(group)
        if group[0] == "runuser" and "--" in group:
            group = group[group.index("--") + 1:]
        group = list(itertools.dropwhile(lambda word: word == "sudo" or re.match(r"\w+=", word), group))
        if separator or not group or os.path.basename(group[0]) not in PROGRAMS:
            continue
        replaced = [stand_in for word in group for stand_in in STAND_INS.get(word, [word])]
        yield from (list(one) for one in itertools.product(*[word.split(ONE_OF) for word in replaced]))


def harmless(words):
    """The same command with nothing to work on."""
    result, named = [os.path.basename(words[0])], False
    for i, word in enumerate(words[1:], 1):
        if words[i - 1] in ("--config", "--broker-config"):
            named = named or words[i - 1] == "--config"
            word = NOWHERE
        if words[i - 1] == "join":
            # The discard port: nobody answers.
            word = "https://127.0.0.1:9/v1/join"
        result.append(word)
    return result if named else [result[0], "--config", NOWHERE, *result[1:]]


def complaint(programs, folder, words, whole=True):
    """What the program has against the command line; None: it takes it. A part may lack what is required."""
    words = harmless(words)
    done = subprocess.run([os.path.join(programs, words[0]), *words[1:]], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": os.environ["PATH"], "HOME": folder, "XDG_RUNTIME_DIR": folder, "LC_ALL": "C"})
    said = done.stderr.strip()
    if done.returncode != PROGRAMS[words[0]]:
        return None
    # Not every exit for wrong use is about the command line's form.
    if words[0] in ("werkplek", "werkplekctl") and "\nSee: " not in said:
        return None
    if not whole and re.search(r"required|missing", said):
        return None
    return said or f"status {done.returncode}"


class DocumentedCommandsTest(unittest.TestCase):
    programs = ""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="wp-documents-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def complaints(self, line, whole=True):
        found = [complaint(self.programs, self.folder, words, whole) for words in commands(line)]
        return [one for one in found if one]

    def test_every_command_line_is_taken(self):
        seen, wrong = {}, []
        for path in documents():
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for number, line, whole in code_lines(text):
                for words in commands(line):
                    if len(words) == 1 and not whole:
                        # Only the program's name.
                        continue
                    seen.setdefault(os.path.basename(words[0]), []).append(words)
                    said = complaint(self.programs, self.folder, words, whole)
                    if said:
                        wrong.append(f"{os.path.relpath(path, ROOT)}:{number}: {' '.join(words)}\n    {said}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        print({program: len(lines) for program, lines in seen.items()})
        for program, least in {"werkplek": 5, "werkplekctl": 10, "werkplek-broker": 5}.items():
            self.assertGreaterEqual(len(seen.get(program, [])), least, f"lines of {program} are not found any more")

    def test_made_up_command_lines_are_caught(self):
        for line in ["werkplek conect kantoor", "werkplek list --colour", "werkplek connect a b", "werkplek connect",
                     "werkplek -o xml list", "printf x | werkplek sign-in --password x", "werkplekctl pool lst",
                     "werkplekctl pool create x --flavour y", "werkplekctl token enrol", "werkplekctl -y NOUN lst",
                     "source <(werkplek completion zsh)", "LANG=C sudo werkplek conect a",
                     "werkplek-broker --config broker.yaml frobnicate",
                     "werkplek-broker --config broker.yaml issue --identity host --name h --frob y --out z",
                     "runuser -u werkplek-broker -- werkplek-broker --config broker.yaml frobnicate",
                     "werkplek-agent --frob", "werkplekctl session list|lst"]:
            self.assertEqual(len(self.complaints(line)), 1, line)

    def test_good_command_lines_are_taken(self):
        for line in ["werkplek connect kantoor --screenshot a.png   # a picture", "werkplekctl NOUN VERB [NAME...] [FLAGS]",
                     "werkplek [--language nl|en] [-o table|json|yaml] COMMAND", "true | werkplek sign-in --user jan",
                     "werkplek-broker --config /etc/werkplek/broker.yaml check-config",
                     "werkplekctl store export|import --broker-config FILE"]:
            self.assertTrue(list(commands(line)), line)
            self.assertEqual(self.complaints(line, whole="store" not in line), [], line)

    def test_blocks_are_read_and_text_is_not(self):
        text = "\n".join(["werkplek no code", "    werkplek one \\", "      --more", "```sh", "werkplek two", "```",
                          "so `werkplek three`, it's"])
        self.assertEqual([(words, whole) for _, line, whole in code_lines(text) for words in commands(line)],
                         [(["werkplek", "one", "--more"], True), (["werkplek", "two"], True),
                          (["werkplek", "three"], False)])


def main():
    known, rest = ARGUMENTS.parse_known_args()
    DocumentedCommandsTest.programs = os.path.abspath(known.programs)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
