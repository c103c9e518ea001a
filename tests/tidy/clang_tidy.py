#!/usr/bin/env python3
"""Runs clang-tidy over the repository, as far as a budget of time goes.

    tests/tidy/clang_tidy.py --build build/dev                   every file (about an hour on two cores)
    tests/tidy/clang_tidy.py --build build/dev --budget-s 120    as many as fit, others at each commit
    tests/tidy/clang_tidy.py --build build/dev --since main      what changed since a commit
    tests/tidy/clang_tidy.py --build build/dev FILE...           these

A file takes about ten seconds, most of it for the headers of gRPC and Abseil, so a budget cannot hold them all.
The order is drawn from the commit: the same commit checks the same files, the next one others.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def git(*words):
    done = subprocess.run(["git", "-c", "safe.directory=*", *words], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    return done.stdout.split("\n")[:-1]


def compiled(build):
    """The repository's own sources among what the build compiles."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        paths = {os.path.realpath(os.path.join(entry["directory"], entry["file"])) for entry in json.load(file)}
    known = {os.path.realpath(os.path.join(ROOT, name)): name for name in git("ls-files", "*.cc")}
    return sorted(known[path] for path in paths if path in known)


def in_folders(files, folders):
    return [name for name in files if not folders or name.split("/")[0] in folders]


def in_the_order_of(commit, files):
    return sorted(files, key=lambda name: hashlib.sha256((commit + name).encode()).digest())


def check(build, name):
    """Complaints about one file; empty: none."""
    done = subprocess.run(["clang-tidy", "-p", build, "--quiet", name], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="the build folder, with compile_commands.json")
    parser.add_argument("--budget-s", type=float, default=float("inf"), help="begin no file after so many seconds")
    parser.add_argument("--since", help="only what changed since this commit")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="files at a time")
    parser.add_argument("--folders", type=lambda text: text.split(","), help="only these: broker,agent")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()

    build = os.path.abspath(options.build)
    files = in_the_order_of(git("rev-parse", "HEAD")[0], in_folders(compiled(build), options.folders))
    wanted = set(options.files) or (set(git("diff", "--name-only", options.since)) if options.since else set(files))
    files = [name for name in files if name in wanted]
    missing = sorted(set(options.files) - set(files))
    if missing:
        sys.exit(f"clang-tidy: not compiled in {options.build}: {' '.join(missing)}")

    ends = time.monotonic() + options.budget_s
    checked, bad = 0, 0

    def begin(name):
        return None if time.monotonic() >= ends else check(build, name)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, complaints in zip(files, pool.map(begin, files)):
            checked += complaints is not None
            if complaints:
                bad += 1
                print(f"{name}:\n{complaints}", flush=True)
    print(f"clang-tidy: {checked} of {len(files)} files checked, {bad} with complaints")
    if checked == 0 and files:
        sys.exit("clang-tidy: the budget held no file at all")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
