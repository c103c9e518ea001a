"""Two sites and a witness on one machine: brokers on etcd, a directory in each site, hosts with a libvirt of their own.

Every program is the real one. Each machine is a network namespace; what goes wrong between them is cut, not simulated.
"""

import json
import os
import shutil
import sys
import time
import uuid

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy/quickstart"))

from lab import Lab  # noqa: E402  (found by the path above)
from authority import Authority  # noqa: E402
from network import CORE, Network, private_libvirt  # noqa: E402
from people import Authenticator  # noqa: E402
from power_switch import end, guests_of  # noqa: E402
from processes import Part, stop_virtual_machines, wait_until  # noqa: E402

SITES = {"noord": ["hv-n1", "hv-n2"], "zuid": ["hv-z1", "hv-z2"]}
PORTS = {"clients": 7443, "agents": 7444, "join": 7445, "ldap": 636, "relay": 7450, "gateway": 7460, "portal": 443, "etcd": 2379, "etcd-peer": 2380}
WITNESS, DESK, HOME = "witness", "desk", "home"


class TwoSites(Lab):
    """Made in `folder`, whose path must be short; `stop` takes everything down."""

    def __init__(self, folder, programs, images, tell=lambda line: None, sites=None, employees=200, times=None):
        super().__init__(folder, programs, images, tell, sites or SITES, employees, times)
        self.network = None
        self.addresses = {WITNESS: "10.201.9.10", DESK: "10.201.9.20", HOME: "10.201.9.30"}
        self.site_of = {}
        for number, (site, hosts) in enumerate(self.hosts.items(), 1):
            self.addresses[self.broker_of(site)] = f"10.201.{number}.10"
            self.addresses[self.gateway_of(site)] = f"10.201.{number}.11"
            self.site_of[self.broker_of(site)] = self.site_of[self.gateway_of(site)] = site
            for place, host in enumerate(hosts, 21):
                self.addresses[host] = f"10.201.{number}.{place}"
                self.site_of[host] = site
        self.etcd, self.directories, self.brokers, self.libvirt, self.locks = {}, {}, {}, {}, {}
        # Who has a dedicated desktop, where the run has such people.
        self.owners = None
        # Gateways, by site, whom browsers trust there, and the person at home who uses them: see gateways.py. Who asks
        # things twice: repeats.py.
        self.gateways, self.portal_authority, self.outside, self.repeater = {}, None, None, None

    @staticmethod
    def broker_of(site):
        return f"b-{site}"

    @staticmethod
    def gateway_of(site):
        return f"gw-{site}"

    @property
    def sites(self):
        return list(self.hosts)

    def machine(self, name):
        return self.network.machines[name]

    def environment(self, more=None):
        return {**super().environment(more), "OPENSSL_CONF": "/dev/null"}

    def run(self, command, given="", environment=None):
        """Our commands for people run at the desk, which reaches both sites."""
        if self.network and os.path.basename(str(command[0])) in ("werkplek", "werkplekctl"):
            command = self.machine(DESK).enter(*command)
        return super().run(command, given, environment)

    def part(self, name, machine, command, log):
        return Part(name, self.machine(machine).enter(*command), self.path(log)).start()

    def answers(self, machine, port, path_from=DESK):
        """Whether something accepts at the machine's port, as seen from another one."""
        probe = ("import socket,sys\ns=socket.socket();s.settimeout(1)\n"
                 "sys.exit(s.connect_ex((sys.argv[1],int(sys.argv[2]))))")
        import subprocess
        return subprocess.run(self.machine(path_from).enter(sys.executable, "-c", probe, self.addresses[machine],
                                                            port), check=False).returncode == 0

    # -- network ----------------------------------------------------------------------------------

    def make_network(self):
        self.tell("network: two sites, a witness, and a desk")
        self.network = Network(self.sites)
        for name, address in self.addresses.items():
            self.network.add(name, self.site_of.get(name, CORE), address)
        self.write("pids", "".join(f"{name} {machine.pid}\n" for name, machine in self.network.machines.items()))

    # -- etcd -------------------------------------------------------------------------------------

    def etcd_machines(self):
        return [self.broker_of(site) for site in self.sites] + [WITNESS]

    def make_etcd_certificates(self):
        """An authority of etcd's own: its members and its clients, and nobody else."""
        authority = Authority(self.path("etcd"), "etcd of the lab")
        for name in self.etcd_machines():
            authority.issue(name, self.addresses[name], "127.0.0.1")

    def start_etcd(self, name):
        base, address = self.path("etcd", name), self.addresses[name]
        tls = []
        for prefix in ("", "peer-"):
            tls += [f"--{prefix}cert-file={base}.pem", f"--{prefix}key-file={base}.key",
                    f"--{prefix}trusted-ca-file={self.path('etcd', 'ca.pem')}", f"--{prefix}client-cert-auth=true"]
        members = ",".join(f"{m}=https://{self.addresses[m]}:{PORTS['etcd-peer']}" for m in self.etcd_machines())
        client, peer = (f"https://{address}:{PORTS[port]}" for port in ("etcd", "etcd-peer"))
        self.etcd[name] = self.part(
            f"etcd {name}", name,
            ["etcd", "--name", name, "--data-dir", f"{base}.data", "--initial-cluster", members,
             "--initial-cluster-token", "lab", "--initial-cluster-state", "new", "--pre-vote",
             "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
             "--initial-advertise-peer-urls", peer, "--logger", "zap", *tls], f"etcd-{name}.log")
        return self.etcd[name]

    def start_quorum(self):
        self.tell("etcd: three members, one of them the witness")
        self.make_etcd_certificates()
        self.libvirt_authority = Authority(self.path("libvirt"), "libvirt of the lab")
        for name in self.etcd_machines():
            self.start_etcd(name)
        for name in self.etcd_machines():
            self.etcd[name].wait_ready(lambda name=name: self.answers(name, PORTS["etcd"]))

    # -- directories ------------------------------------------------------------------------------

    def make_directory(self):
        super().make_directory()
        for site in self.sites:
            shutil.copytree(self.path("directory"), self.path(f"directory-{site}"))
            self._point_directory(site)

    def _point_directory(self, site):
        """The copy is served from its own folder, with a certificate for its own address."""
        folder, address = self.path(f"directory-{site}"), self.addresses[self.broker_of(site)]
        key, certificate = self.path(f"ldap-{site}.key"), self.path(f"ldap-{site}.pem")
        self.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                  key, "-out", certificate, "-days", "30", "-subj", "/CN=ldap of the lab", "-addext",
                  f"subjectAltName=IP:{address}", "-config",
                  self.write("ldap.cnf", "[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\n"
                                         "basicConstraints=critical,CA:true\n")])
        path = os.path.join(folder, "slapd.conf")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        text = text.replace(self.path("directory") + "/", folder + "/").replace(self.path("directory") + "\n",
                                                                               folder + "\n")
        text = text.replace(self.path("ldap.key"), key).replace(self.path("ldap.pem"), certificate)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def start_directory_of(self, site):
        name = self.broker_of(site)
        slapd = shutil.which("slapd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        url = f"ldaps://{self.addresses[name]}:{PORTS['ldap']}/"
        self.directories[site] = self.part(
            f"slapd {site}", name, [slapd, "-d", "0", "-f", self.path(f"directory-{site}", "slapd.conf"), "-h", url],
            f"slapd-{site}.log")
        self.directories[site].wait_ready(lambda: self.answers(name, PORTS["ldap"]))

    # -- brokers ----------------------------------------------------------------------------------

    def broker_config_of(self, site):
        name = self.broker_of(site)
        address = self.addresses[name]
        with open(self.path("directory", "directory.json"), encoding="utf-8") as file:
            directory = json.load(file)
        names = "\n".join(f"  {key}: {json.dumps(value)}" for key, value in directory.items())
        listen = "\n".join(f"  {port}: {address}:{PORTS[port]}" for port in ("clients", "agents", "join"))
        # The own site's directory and etcd first.
        near = sorted(self.sites, key=lambda other: other != site)
        servers = json.dumps([f"ldaps://{self.addresses[self.broker_of(s)]}:{PORTS['ldap']}" for s in near])
        members = json.dumps([f"{self.addresses[m]}:{PORTS['etcd']}"
                              for m in [self.broker_of(s) for s in near] + [WITNESS]])
        times = "".join(f"\n  {key}: {value}" for key, value in self.times.items())
        return f"""organisation: Gemeente Voorbeeld
name: {name}
data_dir: {name}
listen:
{listen}
  metrics: 127.0.0.1:9464
tls:
  certificate: {name}.pem
  key: {name}.key
  ip_addresses: [{address}]
authority:
  certificate: ca.pem
  key: ca.key
sealing_key_file: sealing.key
store:
  etcd:
    endpoints: {members}
    certificate: etcd/{name}.pem
    key: etcd/{name}.key
    ca: etcd/ca.pem
    request_timeout: 1s
    lease_ttl: 3s
directory:
  servers: {servers}
  ca_file: ldap-all.pem
  bind_password_file: directory/service.password
{names}
roles:
  administrator: [beheerders]
  helpdesk: [helpdesk]
  auditor: [auditors]
fencing:
  command: [{json.dumps(sys.executable)}, {json.dumps(os.path.join(ROOT, "tests/lab/power_switch.py"))}, {json.dumps(self.folder)}]
  timeout: 10s
{"times:" + times if times else ""}
"""

    def make_brokers(self):
        self.tell("brokers: certificates, keys, the first administrator")
        with open(self.path("ldap-all.pem"), "w", encoding="utf-8") as every:
            for site in self.sites:
                with open(self.path(f"ldap-{site}.pem"), encoding="utf-8") as one:
                    every.write(one.read())
        for site in self.sites:
            config = self.write(f"{self.broker_of(site)}.yaml", self.broker_config_of(site))
            self.run(self.machine(self.broker_of(site)).enter(self.program("werkplek-broker"), "--config", config, "init"))
        first = self.broker_of(self.sites[0])
        broker = self.machine(first).enter(self.program("werkplek-broker"), "--config", self.path(f"{first}.yaml"))
        for identity, name in [("client", "tc-001"), ("client", "tc-002"), ("admin", "beheer")] + \
                [("host", host) for hosts in self.hosts.values() for host in hosts]:
            self.run([*broker, "issue", "--identity", identity, "--name", name, "--out", self.path(name)])
        uri = self.run([*broker, "enrol-first-admin", "--user", self.admin.user]).strip()
        self.admin.authenticator = Authenticator(uri)
        for name in ("tc-001", "tc-002", "beheer"):
            self.write(f"{name}.yaml", self.client_config(name))

    def client_config(self, name, brokers=None):
        every = [f"{self.addresses[self.broker_of(site)]}:{PORTS['clients']}" for site in self.sites]
        return (f"brokers: {json.dumps(brokers or every)}\n"
                f"certificate: {self.path(name, 'certificate.pem')}\nkey: {self.path(name, 'key.pem')}\n"
                f"ca: {self.path(name, 'ca.pem')}\nlanguage: en\n")

    def start_broker_of(self, site, before=()):
        """`before` is what the command begins with, such as `env`."""
        name = self.broker_of(site)
        command = [*before, self.program("werkplek-broker"), "--config", self.path(f"{name}.yaml")]
        self.brokers[site] = self.part(f"werkplek-broker {name}", name, command, f"{name}.log")
        self.brokers[site].wait_ready(lambda: self.answers(name, PORTS["clients"]))

    def certify(self, identity, folder_name, lifetime_days=30, name=None):
        """A key and a certificate of the brokers' authority, made here: also such as `issue` makes none of."""
        folder, name = self.path(folder_name), name or folder_name
        os.makedirs(folder, mode=0o700, exist_ok=True)
        key, request, certificate = (os.path.join(folder, file) for file in ("key.pem", "request.pem", "certificate.pem"))
        config = self.write("certify.cnf", f"""[req]
distinguished_name=dn
[dn]
[ca]
default_ca=lab
[lab]
database={self.path('certify.index')}
rand_serial=yes
default_md=sha256
policy=any
unique_subject=no
new_certs_dir={folder}
[any]
[end]
basicConstraints=critical,CA:false
extendedKeyUsage=clientAuth,serverAuth
subjectAltName=URI:werkplek://{identity}/{name}
""")
        self.write("certify.index", "")
        self.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                  "-out", request, "-subj", "/", "-config", config])
        ends = time.time() + lifetime_days * 86400
        begins = min(time.time(), ends) - 86400
        self.run(["openssl", "ca", "-batch", "-config", config, "-extensions", "end", "-preserveDN", "-notext", "-cert",
                  self.path("ca.pem"), "-keyfile", self.path("ca.key"), "-in", request, "-out", certificate,
                  "-startdate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(begins)),
                  "-enddate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(ends))])
        shutil.copy(self.path("ca.pem"), os.path.join(folder, "ca.pem"))
        self.write(f"{folder_name}.yaml", self.client_config(folder_name))
        return folder

    # -- hosts ------------------------------------------------------------------------------------

    def agent_config(self, host):
        address = self.addresses[host]
        near = sorted(self.sites, key=lambda site: site != self.site_of[host])
        brokers = json.dumps([f"{self.addresses[self.broker_of(site)]}:{PORTS['agents']}" for site in near])
        return f"""host: {host}
brokers: {brokers}
data_dir: {self.path(host, 'data')}
hypervisor: "qemu:///system"
storages:
- name: {self.storage_of(self.site_of[host])}
  path: {self.path(self.storage_of(self.site_of[host]))}
  plain_folder: true
migration:
  uri: qemu+tls://{address}/system
  tls: true
relay:
  listen: ["{address}:{PORTS['relay']}"]
tls:
  certificate: {self.path(host, 'certificate.pem')}
  key: {self.path(host, 'key.pem')}
  ca: {self.path(host, 'ca.pem')}
"""

    @staticmethod
    def storage_of(site):
        """The storage that the hosts of a site share: a folder of that name."""
        return f"san-{site}"

    def power_switch(self, host, works):
        """Whether the fence command can switch the host off. What it does then: `power_switch.py`."""
        os.makedirs(self.path("power"), mode=0o700, exist_ok=True)
        if works:
            self.write(f"power/{host}", "")
        elif os.path.exists(self.path("power", host)):
            os.remove(self.path("power", host))

    def start_libvirt(self, host):
        folder = self.path(host, "libvirt")
        os.makedirs(folder, exist_ok=True)
        identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.lab")
        lockspace = self.path(f"lockspace-{self.site_of[host]}")
        os.makedirs(lockspace, mode=0o700, exist_ok=True)
        locks, daemon = private_libvirt(self.machine(host), folder, identity, self.addresses[host], lockspace,
                                        self.libvirt_authority)
        self.locks[host] = Part(f"virtlockd {host}", locks, self.path(f"{host}-libvirt.log")).start()
        self.start_libvirtd(host, daemon)

    def start_libvirtd(self, host, daemon=None):
        daemon = daemon or self.libvirt[host].command
        self.libvirt[host] = Part(f"libvirtd {host}", daemon, self.path(f"{host}-libvirt.log")).start()
        self.libvirt[host].wait_ready(lambda: self.answers(host, 16514))

    def start_agent(self, host):
        if not self.libvirt[host].running():
            # As `Wants=` of the agent's unit does. Debian 12's libvirtd (9.0.0) can crash when a client dies.
            self.tell(f"libvirtd of {host} ended with {self.libvirt[host].process.returncode}, and starts again")
            self.start_libvirtd(host)
        self.share_accelerator(host)
        os.makedirs(self.path(self.storage_of(self.site_of[host])), mode=0o700, exist_ok=True)
        self.agents[host] = self.run_agent(host)
        self.agents[host].wait_ready(lambda: self.answers(host, PORTS["relay"]), timeout_s=60)

    def run_agent(self, host):
        config = self.write(f"{host}.yaml", self.agent_config(host))
        return self.part(f"werkplek-agent {host}", host, [self.program("werkplek-agent"), "--config", config], f"{host}.log")

    # -- the whole --------------------------------------------------------------------------------

    def start(self):
        self.make_network()
        self.make_directory()
        self.start_quorum()
        for site in self.sites:
            self.start_directory_of(site)
        self.make_brokers()
        for site in self.sites:
            self.tell(f"site {site}: broker {self.broker_of(site)}")
            self.start_broker_of(site)
        self.admin_sign_in()
        self.add_hosts()
        for site, hosts in self.hosts.items():
            for host in hosts:
                self.tell(f"site {site}: hypervisor host {host}")
                self.start_libvirt(host)
                self.start_agent(host)
        self.add_image()
        wait_until(lambda: all(self.host_status(host).get("liveness") == "LIVENESS_UP" for host in self.agents), 30,
                   "all hosts up")

    def host_status(self, host):
        return next((one for one in self.ctl_json("host", "list").get("hosts", []) if one["host"] == host), {})

    def stop(self):
        for part in [*self.gateways.values(), *self.agents.values(), *self.brokers.values(), *self.directories.values(), *self.etcd.values()]:
            part.stop()
        stop_virtual_machines(self.folder)
        for part in [*self.libvirt.values(), *self.locks.values()]:
            part.stop()
        for host in self.libvirt:
            # Those that a killed libvirtd was asking what they can do.
            for pid in guests_of(self.folder, host):
                end(pid, time.monotonic() + 10)
        if self.network:
            self.network.close()
        if self._short not in (None, self.folder):
            shutil.rmtree(self._short, ignore_errors=True)
