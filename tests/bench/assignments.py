"""How many assignments a second the node acknowledges with its SQLite store, beside SQLite alone."""

import os

from base import Bench, Figure, PartFailed, median

WHAT = "acknowledged assignments with SQLite, beside its bare durable commits"
NAMES = ["assignments_ratio", "assignments_per_s", "assignments_bare_per_s", "assignments_p50_ms",
         "assignments_p99_ms"]
IN_FLIGHT = 64


def run(bench: Bench):
    rounds = 1 if bench.quick else 5
    warm_up, count = (100, 500) if bench.quick else (1_000, 7_000)
    bare, node = [], []
    for number in range(1, rounds + 2):
        bare.append(bench.load("commit", "--file", os.path.join(bench.folder, f"commits-{number}.sqlite"), "--writers",
                               IN_FLIGHT, "--count", warm_up + count))
        if number > rounds:
            break
        node.append(bench.load("assign", "--file", os.path.join(bench.folder, f"assign-{number}.sqlite"),
                               "--in-flight", IN_FLIGHT, "--warm-up", warm_up, "--count", count))
        if node[-1]["failed"]:
            raise PartFailed(f"{node[-1]['failed']} assignments failed; the first: {node[-1]['failure']}")
        bench.tell(f"assignments, round {number} of {rounds}: bare commits {bare[-1]['per_second']:,.0f}/s, "
                   f"assignments {node[-1]['per_second']:,.0f}/s")
    ratios = [run["per_second"] / ((bare[i]["per_second"] + bare[i + 1]["per_second"]) / 2)
              for i, run in enumerate(node)]
    return [
        Figure("assignments_ratio", median(ratios), "", "", "of the bare commits"),
        Figure("assignments_per_s", median(r["per_second"] for r in node), "1/s"),
        Figure("assignments_bare_per_s", median(r["per_second"] for r in bare), "1/s", "", "SQLite alone"),
        Figure("assignments_p50_ms", median(r["p50_ms"] for r in node), "ms"),
        Figure("assignments_p99_ms", median(r["p99_ms"] for r in node), "ms"),
    ]
