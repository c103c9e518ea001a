"""How long it takes from a connect to the screen of a real desktop, beside libvirt's own call."""

import os
import shutil
import subprocess

from base import ROOT, Bench, Figure, median
from lab import Lab

WHAT = "from Connect to the screen of a running spare, beside libvirt's bare call and handshake"
STAGES = {"whole": "connect", "commit": "connect_commit", "prepare": "connect_prepare", "relay": "connect_relay",
          "display": "connect_display"}
NOTES = {"connect": "call to screen", "connect_commit": "until the assignment is durable",
         "connect_prepare": "session hook, ticket at the agent", "connect_relay": "TLS, ticket, libvirt's call",
         "connect_display": "VNC handshake through the relay", "reconnect": "the same desktop again",
         "connect_bare_open": "virDomainOpenGraphicsFD", "connect_bare_display": "VNC handshake, direct"}
NAMES = [f"{name}_{rank}_ms" for name in NOTES for rank in ("p50", "p99")]
HOST = "hv-n1"
POOL = "kantoor"


def percentile(values, share):
    """The smallest value that this share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


class ConnectLab(Lab):
    """One host, and people who have their tokens from the start."""

    def __init__(self, bench: Bench, rounds, spares):
        images = os.path.join(bench.programs, "..", "images", "tiny")
        subprocess.run([os.path.join(ROOT, "deploy/images/tiny/build"), images], check=True, timeout=300,
                       stdout=subprocess.DEVNULL)
        super().__init__(os.path.join(bench.folder, "connect"), bench.programs, os.path.realpath(images), bench.tell,
                         hosts={"noord": [HOST]})
        self.bench, self.rounds, self.spares = bench, rounds, spares

    def people_file(self, number):
        return self.path(f"people-{number}.tsv")

    def broker_config(self):
        return super().broker_config() + "limits:\n  sign_ins_per_machine: {per_second: 100, burst: 1000}\n"

    def make_broker(self):
        super().make_broker()
        with open(self.path("directory", "passwords.tsv"), encoding="utf-8") as file:
            everybody = [line for line in file if line.split("\t")[0] != self.admin.user]
        self.write("enrol.tsv", "".join(everybody))
        self.bench.load("enrol", "--config", self.path("broker.yaml"), "--people", self.path("enrol.tsv"), "--out",
                        self.path("people.tsv"))
        with open(self.path("people.tsv"), encoding="utf-8") as file:
            people = file.readlines()
        for number in range(self.rounds):
            self.write(self.people_file(number), "".join(people[number * self.spares:(number + 1) * self.spares]))

    def connects(self, number, reconnects):
        self.wait_spares(POOL, self.spares, timeout_s=240)
        return self.bench.load("connect", "--people", self.people_file(number), "--broker",
                               f"127.0.0.1:{self.ports['clients']}", "--machine", self.path("tc-001"), "--pool", POOL,
                               "--reconnects", reconnects)

    def image_fields(self):
        with open(os.path.join(self.images, "image.yaml"), encoding="utf-8") as file:
            pairs = (line.split(":", 1) for line in file if ":" in line and not line.startswith("#"))
            return {key.strip(): value.strip().strip('"') for key, value in pairs}

    def bare(self, count):
        image, root = self.image_fields(), os.path.join(self.short_folder(), "bare")
        try:
            return self.bench.load("display", "--root", root, "--kernel", image["kernel"], "--initrd", image["initrd"],
                                   "--kernel-arguments", image["kernel_arguments"], "--count", count)
        finally:
            shutil.rmtree(root, ignore_errors=True)


def figures(samples):
    result = []
    for name in NOTES:
        for share in (50, 99):
            result.append(Figure(f"{name}_p{share}_ms", percentile(samples[name], share), "ms", "",
                                 NOTES[name] if share == 50 else f"of {len(samples[name])}"))
    return result


def run(bench: Bench):
    rounds, spares, reconnects, bare = (1, 1, 1, 5) if bench.quick else (4, 6, 5, 100)
    lab = ConnectLab(bench, rounds, spares)
    samples = {name: [] for name in NOTES}
    try:
        lab.start()
        lab.add_pool(POOL, min_desktops=spares, max_desktops=spares, running_spares=spares)
        for number in range(rounds):
            result = lab.connects(number, reconnects)
            for stage, name in STAGES.items():
                samples[name] += result["fresh"][stage]
            samples["reconnect"] += result["again"]["whole"]
            result = lab.bare(bare)
            samples["connect_bare_open"] += result["open"]
            samples["connect_bare_display"] += result["display"]
            bench.tell(f"connect, round {number + 1} of {rounds}: median {median(samples['connect']):.0f} ms, again "
                       f"{median(samples['reconnect']):.0f} ms, bare "
                       f"{median(samples['connect_bare_open']) + median(samples['connect_bare_display']):.1f} ms")
    finally:
        lab.stop()
    return figures(samples)
