"""How a thousand hosts with twenty thousand desktops weigh on a broker, and how soon the next leader knows them all."""

import json
import os
import re
import subprocess
import time
import urllib.request

from base import ROOT, Bench, Figure
from lab import Lab
from processes import Part, PartFailed, accepts, free_port, wait_until

WHAT = "1,000 hosts with 20,000 desktops: processor time and memory at rest, and a change of leader"
NAMES = ["fleet_rest_cpu_percent", "fleet_memory_mib", "fleet_restart_s", "fleet_restart_cpu_s",
         "fleet_etcd_rest_cpu_percent", "fleet_etcd_memory_mib", "fleet_takeover_s", "fleet_takeover_cpu_s",
         "fleet_follower_memory_mib"]
GOALS = {"cpu": "<= 25", "memory": "<= 400", "change": "<= 10"}
MEMBERS = ["etcd-a", "etcd-b", "etcd-w"]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_mib(pid):
    """The most that it ever had."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024


class Broker:
    """One broker of the lab: its configuration, its process, and what its metrics say."""

    def __init__(self, lab, name, store=""):
        self.lab, self.name, self.part = lab, name, None
        self.ports = {port: free_port() for port in ("clients", "agents", "join", "metrics")}
        text = lab.broker_config()
        for port, number in lab.ports.items():
            if port in self.ports:
                text = text.replace(f"  {port}: 127.0.0.1:{number}", f"  {port}: 127.0.0.1:{self.ports[port]}")
        text = text.replace("name: b1", f"name: {name}").replace("data_dir: broker", f"data_dir: {name}")
        text = text.replace("broker.pem", f"{name}.pem").replace("broker.key", f"{name}.key") + store
        self.config = lab.write(f"{name}.yaml", text)

    def command(self, *words):
        return self.lab.run([self.lab.program("werkplek-broker"), "--config", self.config, *words])

    def start(self):
        self.part = Part(self.name, [self.lab.program("werkplek-broker"), "--config", self.config],
                         self.lab.path(f"{self.name}.log")).start()
        self.part.wait_ready(lambda: accepts(self.ports["agents"]) and accepts(self.ports["metrics"]), timeout_s=120)

    def kill(self):
        self.part.kill()
        self.part.process.wait(10)

    def hosts_up(self):
        """How many hosts the broker knows to be up; 0 while it does not lead."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}/metrics", timeout=10) as page:
                text = page.read().decode()
        except OSError:
            return 0
        leading = re.search(r"^werkplek_leading (\d+)", text, re.M)
        up = re.search(r'^werkplek_hosts\{liveness="up"\} (\d+)', text, re.M)
        return int(up[1]) if leading and int(leading[1]) == 1 and up else 0


class Fleet(Lab):
    """Brokers whose store holds the fleet, and the agents that report it."""

    def __init__(self, bench: Bench):
        super().__init__(os.path.join(bench.folder, "fleet"), bench.programs, None, bench.tell, hosts={}, employees=40)
        self.bench = bench
        self.count, self.rest_s = (20, 3) if bench.quick else (1_000, 30)
        self.desktops = 20 * self.count
        self.parts, self.load = [], None

    def broker_config(self):
        return super().broker_config() + """limits:
  unproved_connections_per_address: 4096
"""

    def fill(self, broker):
        os.makedirs(self.path(broker.name), exist_ok=True)
        file = self.path(broker.name, "fleet.sqlite")
        self.bench.load("fleet-store", "--file", file, "--desktops", self.desktops, "--hosts", self.count)

    def start_agents(self, brokers):
        words = [self.program("werkplek-bench"), "agents", "--authority", self.folder, "--desktops", self.desktops,
                 "--hosts", self.count]
        for broker in brokers:
            words += ["--broker", f"127.0.0.1:{broker.ports['agents']}"]
        with open(self.path("agents.log"), "ab") as log:
            self.load = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=log, text=True)
        # They call before anybody leads: a leader counts its hosts' silence from its start.
        if self.load.stdout.readline() != "ready\n":
            raise PartFailed("werkplek-bench agents did not start")

    def stop_agents(self):
        """What they saw; an error when they were not heard."""
        output, _ = self.load.communicate(timeout=120)
        load, self.load = self.load, None
        if load.returncode != 0:
            raise PartFailed(f"werkplek-bench agents: status {load.returncode}")
        seen = json.loads(output)
        self.tell(f"agents: {seen['reports']:,} reports, {seen['heard']:,} heard, {seen['links']:,} streams")
        return seen

    def wait_all_up(self, broker, timeout_s=120):
        began = time.monotonic()
        wait_until(lambda: broker.hosts_up() == self.count, timeout_s, f"{broker.name}: all hosts up", interval_s=0.25)
        return time.monotonic() - began

    def wait_leader(self, brokers):
        """The one of two brokers that leads and knows all hosts to be up, and the other."""
        wait_until(lambda: any(broker.hosts_up() == self.count for broker in brokers), 120, "all hosts up",
                   interval_s=0.25)
        leader = next(broker for broker in brokers if broker.hosts_up() == self.count)
        return leader, next(broker for broker in brokers if broker is not leader)

    def rest(self, broker):
        """Per cent of one core, when nothing happens but reports."""
        time.sleep(5)
        began, before = time.monotonic(), cpu_s(broker.part.pid)
        time.sleep(self.rest_s)
        return 100 * (cpu_s(broker.part.pid) - before) / (time.monotonic() - began)

    # -- one broker with a file -------------------------------------------------------------------

    def one_broker(self):
        broker = Broker(self, "b1")
        broker.command("init")
        self.fill(broker)
        self.start_agents([broker])
        broker.start()
        self.parts.append(broker)
        self.wait_all_up(broker)
        cpu = self.rest(broker)
        memory = memory_mib(broker.part.pid)
        began = time.monotonic()
        broker.kill()
        broker.start()
        self.wait_all_up(broker)
        restart, cpu_restart = time.monotonic() - began, cpu_s(broker.part.pid)
        self.stop_agents()
        broker.part.stop()
        return [Figure("fleet_rest_cpu_percent", cpu, "%", GOALS["cpu"], "of one core; SQLite"),
                Figure("fleet_memory_mib", memory, "MiB", GOALS["memory"], "the most; SQLite"),
                Figure("fleet_restart_s", restart, "s", GOALS["change"], "kill -9 and start, until all are up"),
                Figure("fleet_restart_cpu_s", cpu_restart, "s", "", "processor time of that")]

    # -- two brokers on etcd ----------------------------------------------------------------------

    def start_etcd(self):
        folder = self.path("etcd")
        self.run([os.path.join(ROOT, "deploy/two-sites/make-etcd-certificates"), folder,
                  *[f"{member}=127.0.0.1" for member in MEMBERS]])
        client = {member: free_port() for member in MEMBERS}
        peer = {member: free_port() for member in MEMBERS}
        cluster = ",".join(f"{member}=https://127.0.0.1:{peer[member]}" for member in MEMBERS)
        for member in MEMBERS:
            tls = []
            for prefix in ("", "peer-"):
                tls += [f"--{prefix}cert-file={folder}/{member}.pem", f"--{prefix}key-file={folder}/{member}.key",
                        f"--{prefix}trusted-ca-file={folder}/ca.pem", f"--{prefix}client-cert-auth=true"]
            urls = [f"--{kind}-client-urls=https://127.0.0.1:{client[member]}" for kind in ("listen", "advertise")]
            urls += [f"--{kind}-peer-urls=https://127.0.0.1:{peer[member]}" for kind in ("listen", "initial-advertise")]
            part = Part(member, ["etcd", "--name", member, "--data-dir", f"{folder}/{member}.data", "--initial-cluster",
                                 cluster, "--pre-vote", "--logger", "zap", *urls, *tls], self.path(f"{member}.log"))
            self.parts.append(part.start())
        for member in MEMBERS:
            wait_until(lambda port=client[member]: accepts(port), 30, member)
        endpoints = json.dumps([f"127.0.0.1:{port}" for port in client.values()])
        return f"""store:
  etcd:
    endpoints: {endpoints}
    certificate: etcd/{MEMBERS[0]}.pem
    key: etcd/{MEMBERS[0]}.key
    ca: etcd/ca.pem
    lease_ttl: 3s
    request_timeout: 1s
"""

    def two_brokers(self):
        old = Broker(self, "b1")
        os.remove(self.path("b1", "fleet.sqlite"))
        self.fill(old)
        old.command("store-export", "--to", self.path("fleet.store"))
        store = self.start_etcd()
        brokers = [Broker(self, name, store) for name in ("b1", "b2")]
        for broker in brokers:
            broker.command("init")
        brokers[0].command("store-import", "--from", self.path("fleet.store"))
        self.parts += brokers
        self.start_agents(brokers)
        for broker in brokers:
            broker.start()
        leader, follower = self.wait_leader(brokers)
        cpu = self.rest(leader)
        memory, idle = memory_mib(leader.part.pid), memory_mib(follower.part.pid)
        before = cpu_s(follower.part.pid)
        leader.kill()
        takeover = self.wait_all_up(follower)
        cpu_takeover = cpu_s(follower.part.pid) - before
        self.stop_agents()
        return [Figure("fleet_etcd_rest_cpu_percent", cpu, "%", GOALS["cpu"], "of one core; the leader of two, etcd"),
                Figure("fleet_etcd_memory_mib", memory, "MiB", GOALS["memory"], "the most; the leader"),
                Figure("fleet_takeover_s", takeover, "s", GOALS["change"], "kill -9 of the leader, until all are up"),
                Figure("fleet_takeover_cpu_s", cpu_takeover, "s", "", "processor time of that"),
                Figure("fleet_follower_memory_mib", idle, "MiB", GOALS["memory"], "before it leads")]

    def stop(self):
        if self.load is not None:
            self.load.kill()
            self.load.wait(10)
        for part in self.parts:
            (part.part if isinstance(part, Broker) else part).stop()


def run(bench: Bench):
    fleet = Fleet(bench)
    try:
        fleet.make_directory()
        figures = []
        for part in (fleet.one_broker, fleet.two_brokers):
            figures += part()
            bench.tell("fleet: " + ", ".join(f"{f.name} {f.value:.1f} {f.unit}" for f in figures))
        return figures
    finally:
        fleet.stop()
