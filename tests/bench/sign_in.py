"""How fast the broker signs people in, against what the same directory gives a bare libldap load."""

import json
import os
import shutil

from base import Bench, Figure, median
from lab import Lab
from processes import PartFailed

CLIENTS = 64
# What the broker reads of a person.
ATTRIBUTES = ["uid", "displayName", "pwdAccountLockedTime", "memberOf", "userAccountControl", "nsAccountLock",
              "accountExpires", "pwdEndTime", "krbPrincipalExpiration"]
WHAT = "sign-ins, against bare search and bind in the same directory"
NAMES = ["signin_ratio", "signin_per_s", "signin_bare_per_s", "signin_p50_ms", "signin_p99_ms", "signin_cpu_us",
         "signin_bare_cpu_us"]


class SignInLab(Lab):
    """A directory and a broker whose limits per machine leave room for the load."""

    directory_options = ("--member-of",)

    def broker_config(self):
        return super().broker_config() + """limits:
  unproved_connections_per_address: 1024
  sign_ins_per_machine: {per_second: 10000, burst: 100000}
"""

    def make_machines(self):
        broker = [self.program("werkplek-broker"), "--config", self.path("broker.yaml")]
        for number in range(CLIENTS):
            name = f"bench-{number}"
            self.run([*broker, "issue", "--identity", "client", "--name", name, "--out", self.path(name)])


class SignIn:
    """One directory and one enrolled store; each round takes a fresh copy of the store, so that every code is new."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.people = 1_000 if bench.quick else 10_000
        self.rounds = 1 if bench.quick else 5
        self.warm_up, self.count = (200, 800) if bench.quick else (2_000, 16_000)
        self.lab = SignInLab(os.path.join(bench.folder, "sign-in"), bench.programs, None, bench.tell, hosts={},
                             employees=self.people)

    def prepare(self):
        lab = self.lab
        lab.make_directory()
        lab.start_directory()
        lab.make_broker()
        lab.make_machines()
        # The administrator's token would be in the way.
        self.bench.tell(f"store: {self.people} people get a token")
        os.remove(lab.path("broker", "fleet.sqlite"))
        self.bench.load("enrol", "--config", lab.path("broker.yaml"), "--people",
                        lab.path("directory", "passwords.tsv"), "--out", lab.path("people.tsv"))
        os.rename(lab.path("broker", "fleet.sqlite"), lab.path("enrolled.sqlite"))

    def bare(self):
        with open(self.lab.path("directory", "directory.json"), encoding="utf-8") as file:
            names = json.load(file)
        pids = [0, self.lab.directory.pid]
        return self.bench.load(
            "ldap", "--people", self.lab.path("people.tsv"), "--url", f"ldaps://127.0.0.1:{self.lab.ports['ldap']}",
            "--ca", self.lab.path("ldap.pem"), "--bind-dn", names["bind_dn"], "--bind-password-file",
            self.lab.path("directory", "service.password"), "--user-base", names["user_base"], "--in-flight", CLIENTS,
            "--attribute", *ATTRIBUTES, "--warm-up", self.warm_up, "--count", self.count, "--pid", *pids)

    def broker(self):
        lab = self.lab
        for name in os.listdir(lab.path("broker")):
            os.remove(lab.path("broker", name))
        shutil.copy(lab.path("enrolled.sqlite"), lab.path("broker", "fleet.sqlite"))
        lab.start_broker()
        try:
            pids = [0, lab.directory.pid, lab.broker.pid]
            result = self.bench.load("sign-in", "--people", lab.path("people.tsv"), "--broker",
                                     f"127.0.0.1:{lab.ports['clients']}", "--machine-prefix", lab.path("bench-"),
                                     "--clients", CLIENTS, "--warm-up", self.warm_up, "--count", self.count,
                                     "--pid", *pids)
        finally:
            lab.broker.stop()
        if result["failed"]:
            raise PartFailed(f"{result['failed']} sign-ins failed; the first: {result['failure']}")
        return result

    def measure(self):
        bare, broker = [], []
        for number in range(1, self.rounds + 1):
            bare.append(self.bare())
            broker.append(self.broker())
            self.bench.tell(f"sign-in, round {number} of {self.rounds}: bare {bare[-1]['per_second']:,.0f}/s, "
                            f"broker {broker[-1]['per_second']:,.0f}/s")
        bare.append(self.bare())
        # Each round against the mean of the bare runs before and after it: what disturbs the machine disturbs both.
        ratios = [run["per_second"] / ((bare[i]["per_second"] + bare[i + 1]["per_second"]) / 2)
                  for i, run in enumerate(broker)]
        return [
            Figure("signin_ratio", median(ratios), "", ">= 0.5", "of the bare search+bind rate"),
            Figure("signin_per_s", median(r["per_second"] for r in broker), "1/s"),
            Figure("signin_bare_per_s", median(r["per_second"] for r in bare), "1/s", "", "libldap alone"),
            Figure("signin_p50_ms", median(r["p50_ms"] for r in broker), "ms"),
            Figure("signin_p99_ms", median(r["p99_ms"] for r in broker), "ms"),
            Figure("signin_cpu_us", median(sum(r["cpu_us"].values()) for r in broker), "us", "", "slapd, broker and clients"),
            Figure("signin_bare_cpu_us", median(sum(r["cpu_us"].values()) for r in bare), "us", "", "slapd and load"),
        ]

    def stop(self):
        self.lab.stop()


def run(bench):
    part = SignIn(bench)
    try:
        part.prepare()
        return part.measure()
    finally:
        part.stop()
