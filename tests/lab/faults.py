"""What goes wrong in the lab: each fault knows how to begin, how to heal, and which figure it must meet meanwhile.

The names F1, F2, ... are those of the fault matrix in docs/operating/two-sites.md.
"""

import os
import re
import signal
import subprocess
import time

from host_log import read
from lab import CommandFailed
from power_switch import guests_of, switch_off
from processes import PartFailed, executable, processes_naming, wait_until
from two_sites import DESK, PORTS, WITNESS


# sysexits.h: EX_SOFTWARE.
EXIT_FAILED = 70


class NotBegun(PartFailed):
    """What a fault begins with is not there; it has broken nothing. The message says what is missing."""


class Fault:
    """One row. `begin` and `heal` are called once each; `limit_s` is what a sign-in begun meanwhile may take,
    or what else `figure` measures."""

    row = ""
    name = ""
    # How long it lasts before it is healed.
    lasts_s = 4
    # The longest that a sign-in of somebody at the desk may take while it lasts; None: it need not succeed.
    limit_s = 10

    def __init__(self, lab, chance, patience=1):
        self.lab, self.chance, self.patience = lab, chance, patience
        self.where = ""
        # What it saw that must not be.
        self.complaints = []
        # More figures of it: (what, seconds, the most).
        self.figures = []

    def begin(self):
        raise NotImplementedError

    def heal(self):
        pass

    def figure(self, prober, most_s):
        """What is measured while it lasts, in seconds; None: not within the most."""
        return prober.sign_in(most_s)

    def __str__(self):
        return f"{self.row} {self.name}" + (f" ({self.where})" if self.where else "")

    # -- who is who -------------------------------------------------------------------------------

    def a_site(self):
        self.where = self.chance.choice(self.lab.sites)
        return self.where

    def a_host(self):
        self.where = self.chance.choice(sorted(self.lab.agents))
        return self.where


class BrokerKilled(Fault):
    row, name, limit_s = "F1", "broker kill -9", 5

    def begin(self):
        self.site = self.a_site()
        self.lab.brokers[self.site].kill()
        self.lab.brokers[self.site].process.wait(10)

    def heal(self):
        self.lab.start_broker_of(self.site)


class BrokerStopped(Fault):
    row, name, lasts_s, limit_s = "F2", "broker stopped, then on", 10, 3

    def begin(self):
        self.part = self.lab.brokers[self.a_site()]
        self.part.kill(signal.SIGSTOP)

    def heal(self):
        self.part.kill(signal.SIGCONT)


class EtcdKilled(Fault):
    row, name, limit_s = "F3", "etcd member kill -9", 4

    def begin(self):
        self.where = self.chance.choice(self.lab.etcd_machines())
        self.lab.etcd[self.where].kill()
        self.lab.etcd[self.where].process.wait(10)

    def heal(self):
        self.lab.start_etcd(self.where)


class EtcdStopped(Fault):
    row, name, lasts_s = "F4", "etcd member stopped for 10 s", 10

    def begin(self):
        self.where = self.chance.choice(self.lab.etcd_machines())
        self.lab.etcd[self.where].kill(signal.SIGSTOP)

    def heal(self):
        self.lab.etcd[self.where].kill(signal.SIGCONT)


class QuorumLost(Fault):
    row, name, limit_s, lasts_s = "F5", "two etcd members stopped", None, 8

    def begin(self):
        self.stopped = self.chance.sample(self.lab.etcd_machines(), 2)
        self.where = " and ".join(self.stopped)
        for name in self.stopped:
            self.lab.etcd[name].kill(signal.SIGSTOP)

    def heal(self):
        for name in self.stopped:
            self.lab.etcd[name].kill(signal.SIGCONT)


class SiteCut(Fault):
    row, name, lasts_s, limit_s = "F6", "site cut off", 12, 10

    def begin(self):
        self.site = self.a_site()
        self.lab.network.cut_site(self.site)

    def heal(self):
        self.lab.network.cut_site(self.site, False)


class LineBetweenSitesCut(Fault):
    row, name, lasts_s, limit_s = "F7", "line between the sites cut, witness seen by both", 10, 3

    def begin(self):
        self.lab.network.cut_between(*self.lab.sites)

    def heal(self):
        self.lab.network.cut_between(*self.lab.sites, False)


class WitnessLost(Fault):
    row, name, limit_s = "F8", "witness lost", 3

    def begin(self):
        self.lab.network.cut_machine(WITNESS)

    def heal(self):
        self.lab.network.cut_machine(WITNESS, False)


class LineFlaps(Fault):
    row, name, lasts_s, limit_s = "F9", "line to a site up and down each second", 1, None

    def begin(self):
        site = self.a_site()
        for _ in range(5):
            self.lab.network.cut_site(site)
            time.sleep(1)
            self.lab.network.cut_site(site, False)
            time.sleep(1)


class HostLost(Fault):
    row, name, lasts_s = "F11", "power of a host lost", 14

    def begin(self):
        host = self.a_host()
        self.lab.network.cut_machine(host)
        switch_off(self.lab.folder, host)

    def heal(self):
        self.lab.network.cut_machine(self.where, False)
        self.lab.start_agent(self.where)


class AgentKilled(Fault):
    row, name, lasts_s, limit_s = "F13", "agent kill -9", 2, 3

    def begin(self):
        host = self.a_host()
        self.machines = guests_of(self.lab.folder, host)
        self.lab.agents[host].kill()
        self.lab.agents[host].process.wait(10)

    def heal(self):
        gone = self.machines - guests_of(self.lab.folder, self.where)
        if gone:
            self.complaints.append(f"{len(gone)} desktops went with the agent")
        self.lab.start_agent(self.where)


class LibvirtRestarted(Fault):
    row, name, lasts_s = "F14", "libvirtd restarted", 3

    def begin(self):
        host = self.a_host()
        self.lab.libvirt[host].kill()
        self.lab.libvirt[host].process.wait(10)

    def heal(self):
        self.lab.start_libvirtd(self.where)


class AgentAndLibvirtKilled(AgentKilled):
    row, name = "F14", "agent and libvirtd kill -9"

    def begin(self):
        super().begin()
        self.lab.libvirt[self.where].kill()
        self.lab.libvirt[self.where].process.wait(10)

    def heal(self):
        # Without libvirtd it ends, and systemd starts it again.
        early = self.lab.run_agent(self.where)
        if early.process.wait(20) != EXIT_FAILED:
            self.complaints.append(f"without libvirtd the agent ended with {early.process.returncode}")
        self.lab.start_libvirtd(self.where)
        before = len(self.adopted())
        super().heal()
        wait_until(lambda: len(self.adopted()) > before, 20, "the agent adopts desktops")
        if self.adopted()[-1] < len(self.machines):
            self.complaints.append(f"the agent found {self.adopted()[-1]} of {len(self.machines)} desktops again")

    def adopted(self):
        """How many desktops each agent of this host found when it started."""
        return [int(count) for count in re.findall(r"event=adopted domains=(\d+)", read(self.lab.path(f"{self.where}.log")))]


class ClockJumps(Fault):
    """One broker's own idea of the time is an hour ahead; nobody else's is, and the machine's clock is left alone."""

    row, name, lasts_s, limit_s = "F22", "clock of a broker an hour ahead", 8, 10
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    # From the jump until it judges no more codes.
    most_s = 5

    def begin(self):
        site = self.a_site()
        offset = self.lab.write("clock", "+0")
        self.lab.brokers[site].stop()
        self.lab.start_broker_of(site, ["env", f"LD_PRELOAD={self.library}", f"FAKETIME_TIMESTAMP_FILE={offset}",
                                        "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"])
        if self.doubts():
            self.complaints.append("it doubts a clock that is right")
        self.lab.write("clock", "+1h")
        began = time.monotonic()
        self.wait(self.doubts, 3 * self.most_s * self.patience)
        took = time.monotonic() - began
        if not self.doubts():
            self.complaints.append("it goes on judging codes")
        elif took > self.most_s * self.patience:
            self.complaints.append(f"it judged codes for {took:.1f} s")

    def doubts(self):
        """Whether this broker has said that it judges no codes, as its last word on its clock."""
        log = read(self.lab.path(f"{self.lab.broker_of(self.where)}.log"))
        words = [word for word in log.split() if word in ("event=clock-off", "event=clock-good", "event=broker-started")]
        return bool(words) and words[-1] == "event=clock-off"

    @staticmethod
    def wait(condition, most_s):
        ends = time.monotonic() + most_s
        while not condition() and time.monotonic() < ends:
            time.sleep(0.1)

    def heal(self):
        self.lab.brokers[self.where].stop()
        self.lab.start_broker_of(self.where)


class AgentUnheard(Fault):
    row, name, lasts_s, limit_s = "F25", "agent unheard, but hears", 12, 5

    def begin(self):
        host = self.a_host()
        for site in self.lab.sites:
            self.lab.network.mute(host, self.lab.addresses[self.lab.broker_of(site)])

    def heal(self):
        for site in self.lab.sites:
            self.lab.network.mute(self.where, self.lab.addresses[self.lab.broker_of(site)], False)


class Flood(Fault):
    row, name, limit_s = "F28", "500 silent connections", 15

    def begin(self):
        name = self.lab.broker_of(self.a_site())
        script = ("import socket,sys,time\nheld=[]\n"
                  "for _ in range(500):\n s=socket.socket();s.settimeout(1)\n"
                  " try: s.connect((sys.argv[1],int(sys.argv[2])));held.append(s)\n except OSError: pass\n"
                  "time.sleep(60)\n")
        self.flood = self.lab.part("flood", WITNESS, ["python3", "-c", script, self.lab.addresses[name],
                                                      PORTS["clients"]], "flood.log")

    def heal(self):
        self.flood.stop()


class CertificatesRenewed(Fault):
    """A broker, the hosts of its site and the clients get new keys and certificates while everybody is at work."""

    row, name, lasts_s, limit_s = "F29", "certificates renewed under load", 8, 3

    def begin(self):
        name = self.lab.broker_of(self.a_site())
        self.before = self.streams()
        text = open(self.lab.path(f"{name}.yaml"), encoding="utf-8").read()
        made = self.lab.write("renewed.yaml", text.replace(f"{name}.pem\n  key: {name}.key", "renewed.pem\n  key: renewed.key", 1))
        self.lab.run(self.lab.machine(name).enter(self.lab.program("werkplek-broker"), "--config", made, "init"))
        for end in ("key", "pem"):
            os.replace(self.lab.path(f"renewed.{end}"), self.lab.path(f"{name}.{end}"))
        machines = [("client", "tc-001"), ("client", "tc-002")] + [("host", host) for host in self.lab.hosts[self.where]]
        for identity, machine in machines:
            folder = self.lab.certify(identity, f"{machine}-next", name=machine)
            for file in ("key.pem", "certificate.pem"):
                os.replace(os.path.join(folder, file), self.lab.path(machine, file))

    def streams(self):
        """What the brokers said of the agents' streams, in order: (time, host, whether it was opened)."""
        said = []
        for site in self.lab.sites:
            log = read(self.lab.path(f"{self.lab.broker_of(site)}.log"))
            said += re.findall(r"^time=(\S+) .*event=agent-(attached|detached) host=(\S+)", log, re.M)
        return sorted((time, host, event == "attached") for time, event, host in said)

    def heal(self):
        # Who had no stream when it began opens one now, because of what went wrong before.
        open_then = {host: opened for _, host, opened in self.before}
        since = self.before[-1][0]
        more = sum(opened and open_then.get(host, False) for time, host, opened in self.streams() if time > since)
        if more:
            self.complaints.append(f"{more} streams of agents were opened anew")


class CertificateExpired(Fault):
    row, name, lasts_s, limit_s = "F29", "client with an expired certificate", 0, 3

    def begin(self):
        self.a_site()
        if not self.stays_open(self.lab.certify("client", "tc-good")):
            self.complaints.append("a good certificate was refused")
        if self.stays_open(self.lab.certify("client", "tc-expired", lifetime_days=-1)):
            self.complaints.append("it was taken although it had expired")

    def stays_open(self, folder):
        """Whether the broker keeps a connection with that certificate; it waits five seconds for the first call."""
        address = f"{self.lab.addresses[self.lab.broker_of(self.where)]}:{PORTS['clients']}"
        command = ["timeout", "3", "openssl", "s_client", "-connect", address, "-alpn", "h2", "-cert",
                   f"{folder}/certificate.pem", "-key", f"{folder}/key.pem", "-CAfile", f"{folder}/ca.pem", "-ign_eof"]
        done = subprocess.run(self.lab.machine(DESK).enter(*command), capture_output=True, stdin=subprocess.DEVNULL,
                              check=False)
        return done.returncode == 124


class CertificateRevoked(Fault):
    row, name, lasts_s, limit_s = "F29", "client revoked", 0, 3
    # From the command's end to the first refusal, whichever broker is asked.
    most_s = 60

    def begin(self):
        name = f"tc-{self.chance.randrange(10**6):06}"
        self.lab.certify("client", name)
        if "revoked" in self.said_to(name):
            self.complaints.append("a machine that was never seen is revoked")
        self.lab.ctl("certificate", "revoke", f"client/{name}", "--reason", "stolen from the town hall")
        began = time.monotonic()
        while "revoked" not in self.said_to(name):
            if time.monotonic() - began > self.most_s * self.patience:
                self.complaints.append(f"still taken after {time.monotonic() - began:.0f} s")
                return

    def said_to(self, name):
        try:
            return self.lab.werkplek(name, "sign-in", "--user", "nobody", given="wrong\n000000\n")
        except CommandFailed as failed:
            return failed.output


class ColdStart(Fault):
    row, name, lasts_s, limit_s = "F32", "all power off, cold start of both sites", 1, None

    def begin(self):
        for part in [*self.lab.agents.values(), *self.lab.brokers.values(), *self.lab.etcd.values()]:
            part.kill()
            part.process.wait(10)
        for pid in processes_naming(self.lab.folder + "/"):
            if "qemu-system" in executable(pid):
                os.kill(pid, signal.SIGKILL)

    def heal(self):
        for name in self.lab.etcd_machines():
            self.lab.start_etcd(name)
        for site in self.lab.sites:
            self.lab.start_broker_of(site)
        for host in list(self.lab.agents):
            self.lab.start_agent(host)


ALL = [BrokerKilled, BrokerStopped, EtcdKilled, EtcdStopped, QuorumLost, SiteCut, LineBetweenSitesCut, WitnessLost,
       LineFlaps, HostLost, AgentKilled, LibvirtRestarted, AgentAndLibvirtKilled, ClockJumps, AgentUnheard, Flood, CertificatesRenewed,
       CertificateExpired, CertificateRevoked, ColdStart]


