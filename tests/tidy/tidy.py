#!/usr/bin/env python3
"""The repository's rules as a test. Each rule is a function from a file (path, text) to complaints.

    tests/tidy/tidy.py           check every file git knows
    tests/tidy/tidy.py --self    check that each rule catches what it is there to catch
"""

import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))

PURE = ("broker/model/", "broker/placement/", "broker/reconcile/", "broker/core/", "agent/core/",
        "agent/image/image_declaration.")
IMPURE_INCLUDES = re.compile(
    r'#include\s*[<"](grpc|sqlite3|ldap|lber|libvirt|sodium|openssl|boost/|yaml-cpp|spdlog|fstream|iostream|'
    r"sys/socket|sys/file|unistd|fcntl|thread|mutex|condition_variable|atomic|future|random|ctime|chrono|"
    r"unordered_|absl/container/(flat|node)_hash|absl/random|absl/time/clock|absl/synchronization|"
    r"common/base/(executor|loop_executor|worker_pool|mutex)|broker/(node|store|directory|rpc|election|token)/)")
IMPURE_CALLS = re.compile(
    r"\b(absl::Now|time\(|clock_gettime|gettimeofday|std::chrono|rand\(|random\(|RandomBytes\(|std::mt19937|"
    r"std::unordered_|flat_hash_|node_hash_|std::hash|getenv|fopen|open\(|socket\(|std::thread|"
    r"Log\(Severity)")
# What the libraries above the purity line may link.
PURE_DEPS = re.compile(
    r"^(werkplek_(proto|model|placement|reconcile|core|agent_core|base|hypervisor|image_declaration|flags)|absl::\w+|protobuf::\w+)$")

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
NOT_FUNCTIONS = re.compile(r"(namespace|class|struct|enum|union|extern|using|(inline |static )?const(expr)?|template)\b")
MARKERS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
SLEEPS = re.compile(r"\b(sleep_for|sleep_until|SleepFor|usleep|nanosleep)\b|[^\w.]sleep\(\d|\btime\.sleep\(")
SHELLS = re.compile(r"(?<![\w.>:])(system|popen)\s*\(")
MUTEXES = re.compile(r"\b(std::mutex|std::recursive_mutex|absl::Mutex|absl::CondVar|std::condition_variable)\b")


def is_cpp(path):
    return path.endswith((".cc", ".h"))


def without_comments(text):
    """The text with comments and string contents blanked, so that rules judge code."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)

    def blank(match):
        kept = re.sub(r"[^\n]", " ", match.group(0))
        return '"' + kept[1:-1] + '"' if match.group(0).startswith('"') and len(kept) > 1 else kept

    # Includes keep their names.
    return pattern.sub(lambda m: m.group(0) if in_include(text, m.start()) else blank(m), text)


def in_include(text, position):
    start = text.rfind("\n", 0, position) + 1
    return text.startswith("#include", start)


def lines_matching(pattern, text):
    for number, line in enumerate(text.split("\n"), 1):
        found = pattern.search(line)
        if found:
            yield number, found.group(0).strip()


def purity(path, text):
    if not path.startswith(PURE):
        return
    if is_cpp(path):
        code = without_comments(text)
        for number, what in lines_matching(IMPURE_INCLUDES, code):
            yield number, f"{what}: not above the purity line (docs/architecture.md)"
        for number, what in lines_matching(IMPURE_CALLS, code):
            yield number, f"{what}: clocks, chance, hash order and I/O come in as arguments here"
    elif path.endswith("CMakeLists.txt"):
        for block in re.finditer(r"werkplek_library\(([^)]*)\)", text, re.S):
            words = block.group(1).split()
            if "DEPS" in words:
                for word in words[words.index("DEPS") + 1:]:
                    if word not in ("SOURCES", "DEPS") and not PURE_DEPS.match(word):
                        yield 1, f"{word}: a pure library may not link it"


def file_size(path, text):
    if is_cpp(path) or path.endswith(".py"):
        lines = text.count("\n")
        if lines > MAX_FILE_LINES:
            yield 1, f"{lines} lines; cut it along its ideas (at most {MAX_FILE_LINES})"


def function_size(path, text):
    """Namespaces are not indented, so a function begins and ends in the first column."""
    if not is_cpp(path):
        return
    candidate, start = None, None
    for number, line in enumerate(text.split("\n"), 1):
        if start is None and re.match(r"[A-Za-z_]", line) and not NOT_FUNCTIONS.match(line):
            candidate = number
        if candidate and line.endswith("{"):
            candidate, start = None, candidate
        elif candidate and line.endswith((";", "}", ":")):
            candidate = None
        if line.startswith("}") and start is not None:
            if number - start + 1 > MAX_FUNCTION_LINES:
                yield start, f"a function of {number - start + 1} lines (at most {MAX_FUNCTION_LINES})"
            start = None


def markers(path, text):
    if is_cpp(path) or path.endswith((".py", ".proto", ".sh", ".txt", ".cmake", ".md")) or path.startswith("deploy/"):
        for number, what in lines_matching(MARKERS, text):
            yield number, f"{what}: finish it, or say it in the issue"


def sleeps_in_tests(path, text):
    if path.startswith("tests/") and not path.startswith(("tests/bench/", "tests/lab/", "tests/tidy/")) \
            and (is_cpp(path) or path.endswith(".py")):
        for number, what in lines_matching(SLEEPS, without_comments(text) if is_cpp(path) else text):
            yield number, f"{what}: advance the clock, or wait for the event with a deadline"


def shells(path, text):
    if is_cpp(path):
        for number, what in lines_matching(SHELLS, without_comments(text)):
            yield number, f"{what}: no shell; use posix_spawn with an argument list"


def mutexes(path, text):
    if is_cpp(path) and path != "common/base/mutex.h":
        for number, what in lines_matching(MUTEXES, without_comments(text)):
            yield number, f"{what}: use common/base/mutex.h"


def pragma_once(path, text):
    if path.endswith(".h") and "#pragma once" not in text:
        yield 1, "no #pragma once"


def header_comment(path, text):
    if path.endswith(".h") and not text.startswith("//"):
        yield 1, "a header begins with what it is for"


def proto_comments(path, text):
    """Every message, enum, field and method says what it is."""
    if not path.endswith(".proto"):
        return
    lines = text.split("\n")
    declared = re.compile(r"^\s*(message \w+ \{|enum \w+ \{|(repeated |optional )?[\w.]+ \w+ = \d+[;\[ ]|rpc )")
    for number, line in enumerate(lines, 1):
        if not declared.match(line):
            continue
        before = lines[number - 2].strip() if number > 1 else ""
        if re.match(r"^\s*message \w+ \{\}", line) or "//" in line:
            continue
        if before.startswith("//"):
            continue
        yield number, f"no comment: {line.strip()}"


def long_lines(path, text):
    if path.endswith((".proto", ".cc", ".h")):
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > 100 and not line.startswith("#include") and "http" not in line and 'R"' not in line:
                yield number, f"{len(line)} columns (at most 100)"


def links(path, text):
    """Relative links in documents lead somewhere."""
    if not path.endswith(".md"):
        return
    for number, line in enumerate(text.split("\n"), 1):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
            if re.match(r"^[a-z]+:", target):
                continue
            if not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                yield number, f"{target}: leads nowhere"


def units_start_again(path, text):
    """A service that is always started again has no limit after which systemd gives it up (5 starts in 10 s)."""
    unit = text.partition("\n[Service]")[0]
    if path.endswith(".service") and "\nRestart=always\n" in text and "\nStartLimitIntervalSec=0" not in unit:
        yield 1, "StartLimitIntervalSec=0 is missing in [Unit]"


RULES = [purity, file_size, function_size, markers, sleeps_in_tests, shells, mutexes, pragma_once,
         header_comment, proto_comments, long_lines, links, units_start_again]


def registered(files):
    """Every test is in its folder's CMakeLists.txt, and every source in some."""
    for path in files:
        if not path.endswith(".cc"):
            continue
        folder, name = os.path.split(path)
        while folder and not os.path.exists(os.path.join(ROOT, folder, "CMakeLists.txt")):
            folder = os.path.dirname(folder)
        listing = os.path.join(ROOT, folder, "CMakeLists.txt")
        relative = os.path.relpath(path, folder)
        text = open(listing, encoding="utf-8").read() if os.path.exists(listing) else ""
        if not re.search(r"(?<![\w/])" + re.escape(relative) + r"(?!\w)", text):
            yield path, 1, f"not registered in {os.path.relpath(listing, ROOT)}"


def one_class_of_a_name(headers):
    """Two classes of one name in one namespace are one to the linker, which then takes the members of either. `headers`
    are pairs of path and text."""
    seen = {}
    for path, text in headers:
        spaces, before = [], ""
        for number, line in enumerate(without_comments(text).split("\n"), 1):
            opened = re.match(r"namespace (\w+) \{", line)
            if opened:
                spaces.append(opened.group(1))
            elif line.startswith("}  "):
                spaces = spaces[:-1]
            found = re.match(r"(?:class|struct) (\w+)(?: final)?(?: :.*|) ?(\{|$)", line)
            if found and not before.startswith("template"):
                name = "::".join([*spaces, found.group(1)])
                if seen.setdefault(name, path) != path:
                    yield path, number, f"class {name} is in {seen[name]} too; give one of them another name"
            before = line


def product_headers(files):
    for path in files:
        if path.endswith(".h") and path.split("/")[0] in ("broker", "agent", "common", "client", "gateway"):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                yield path, file.read()


def git_files():
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"],
                           check=True, capture_output=True).stdout.decode().split("\0")
    return [name for name in names if name and os.path.isfile(os.path.join(ROOT, name))]


def formatted(files):
    sources = [path for path in files if is_cpp(path)]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        for path in sorted({line.split(":")[0] for line in done.stderr.split("\n") if "warning:" in line or "error:" in line}):
            yield path, 1, "not formatted: clang-format -i it"


def check():
    files = git_files()
    complaints = []
    for path in files:
        try:
            text = open(os.path.join(ROOT, path), encoding="utf-8").read()
        except UnicodeDecodeError:
            continue
        for rule in RULES:
            complaints += [(path, number, f"{what} [{rule.__name__}]") for number, what in rule(path, text)]
    complaints += list(registered(files)) + list(formatted(files)) + list(one_class_of_a_name(product_headers(files)))
    for path, number, what in complaints:
        print(f"{path}:{number}: {what}")
    print(f"{len(files)} files, {len(RULES) + 3} rules, {len(complaints)} complaints")
    return 1 if complaints or not files else 0


# One bad file for each rule; the rule must complain, and must be silent on the good one.
SAMPLES = [
    (purity, "broker/core/a.cc", '#include "broker/node/ports.h"\n', '#include "broker/model/fleet.h"\n'),
    (purity, "broker/core/a.cc", "auto t = absl::Now();\n", "auto t = now;  // not absl::Now()\n"),
    (purity, "broker/model/a.h", "std::unordered_map<int, int> m;\n", "std::map<int, int> m;\n"),
    (purity, "broker/core/CMakeLists.txt", "werkplek_library(x DEPS gRPC::grpc++)\n",
     "werkplek_library(x DEPS werkplek_model absl::time)\n"),
    (file_size, "a/a.cc", "int x;\n" * 501, "int x;\n" * 500),
    (function_size, "a/a.cc", "void F() {\n" + "  G();\n" * 70 + "}\n", "void F() {\n" + "  G();\n" * 60 + "}\n"),
    (markers, "a/a.cc", "// TO" + "DO: later\n", "// to do\n"),
    (sleeps_in_tests, "tests/unit/a_test.cc", "absl::SleepFor(absl::Seconds(1));\n", "executor.Advance(x);\n"),
    (shells, "a/a.cc", 'system("ls");\n', 'Log("system (x)");\nthe.system(x);\n'),
    (mutexes, "a/a.cc", "std::mutex m;\n", "Mutex m;\n"),
    (pragma_once, "a/a.h", "// A.\nint x;\n", "// A.\n#pragma once\n"),
    (header_comment, "a/a.h", "#pragma once\n", "// A.\n#pragma once\n"),
    (proto_comments, "a/a.proto", "// M.\nmessage M {\n  string a = 1;\n}\n", "// M.\nmessage M {\n  // A.\n  string a = 1;\n}\n"),
    (long_lines, "a/a.cc", "x" * 101 + "\n", "x" * 100 + "\n"),
    (units_start_again, "a/a.service", "[Unit]\n[Service]\nRestart=always\nStartLimitIntervalSec=0\n",
     "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\n"),
    (links, "docs/a.md", "[x](nowhere.md)\n", "[x](https://example.org/)\n"),
]


def self_check():
    failed = 0
    for rule, path, bad, good in SAMPLES:
        if not list(rule(path, bad)):
            failed += 1
            print(f"{rule.__name__} misses: {bad[:60]!r}")
        for number, what in rule(path, good):
            failed += 1
            print(f"{rule.__name__} complains of a good file: {number}: {what}")
    listener = "namespace werkplek {\nclass Listener {\n};\n}  // namespace werkplek\n"
    for other, wanted in ((listener, 1), (listener.replace("werkplek", "other"), 0), (listener.replace(" {\n}", ""), 0)):
        if len(list(one_class_of_a_name([("a/a.h", listener), ("b/b.h", other)]))) != wanted:
            failed += 1
            print(f"one_class_of_a_name misjudges {other!r}")
    untested = set(RULES) - {sample[0] for sample in SAMPLES}
    for rule in untested:
        failed += 1
        print(f"{rule.__name__} has no sample")
    print(f"{len(SAMPLES)} samples, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(self_check() if sys.argv[1:] == ["--self"] else check())
