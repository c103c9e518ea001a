"""A small municipality on loopback: a directory, a broker, and two sites with a hypervisor host each.

The quick start shows it to a person; the end-to-end tests drive it. Every program is the real one.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile

from people import Authenticator
from processes import Part, PartFailed, accepts, free_port, kill_naming, stop_virtual_machines, wait_until

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
HOSTS = {"noord": ["hv-n1"], "zuid": ["hv-z1"]}
# Paths of sockets may have 107 bytes, and libvirt adds some sixty to the folder it is given.
MAX_SOCKET_FOLDER = 40
# How the names of the short folders begin.
SHORT_PREFIX = "werkplek-"
# What a lab runs, besides its virtual machines.
PROGRAMS = ("slapd", "werkplek-broker", "werkplek-agent", "werkplek-gateway")


def times_in(path, text):
    """How often the text is in the file; a file that is not there has nothing in it."""
    if not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().count(text)


def stop_leftovers(folder):
    """Stops what still runs of a lab in `folder` whose own process was killed, and removes its short folder."""
    kill_naming(f"{folder}/", lambda program: program in PROGRAMS)
    stop_virtual_machines(f"{folder}/")
    try:
        with open(os.path.join(folder, "short_folder"), encoding="utf-8") as file:
            short = file.read()
    except OSError:
        return
    # The run may have been killed before it had written the name.
    if not os.path.basename(short).startswith(SHORT_PREFIX):
        return
    stop_virtual_machines(short)
    shutil.rmtree(short, ignore_errors=True)


class CommandFailed(Exception):
    """A command of ours ended with another status than 0."""

    def __init__(self, command, done):
        self.status, self.output = done.returncode, done.stdout + done.stderr
        super().__init__(f"{' '.join(command)}: status {done.returncode}\n{self.output.strip()}")


class Person:
    """An employee of the directory: name, password, and the authenticator app once enrolled."""

    def __init__(self, user, password, name, department):
        self.user, self.password, self.name, self.department = user, password, name, department
        self.authenticator = None


class Lab:
    """Made in `folder`; `stop` takes everything down. `tell` is called with a line before each step."""

    # More arguments for make-directory.
    directory_options = ()

    def __init__(self, folder, programs, images, tell=lambda line: None, hosts=None, employees=200,
                 times=None):
        self.folder, self.programs, self.images = str(folder), str(programs), str(images)
        self.tell, self.hosts, self.employees = tell, hosts or HOSTS, employees
        # Times of the broker that are to be others than its defaults.
        self.times = times or {}
        self.ports = {name: free_port() for name in ("ldap", "clients", "agents", "join", "metrics")}
        self.directory = self.broker = None
        self.agents = {}
        self.gateways = {}
        self.people = {}
        self.admin = None
        self._short = None
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    # -- files ------------------------------------------------------------------------------------

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text, mode=0o600):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w",
                  encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def short_folder(self):
        """A folder with a short name for sockets: ours when it is short enough."""
        if self._short is None:
            short = len(self.folder) <= MAX_SOCKET_FOLDER
            self._short = self.folder if short else tempfile.mkdtemp(prefix=SHORT_PREFIX)
            if not short:
                # For `stop_leftovers`.
                self.write("short_folder", self._short)
        return self._short

    def program(self, name):
        return os.path.join(self.programs, name)

    def run(self, command, given="", environment=None):
        """Runs one of our commands; gives its standard output. `given` is what a person would type."""
        done = subprocess.run([str(word) for word in command], input=given, capture_output=True, text=True,
                              env=self.environment(environment), timeout=400, check=False)
        if done.returncode != 0:
            raise CommandFailed([os.path.basename(str(command[0]))] + [str(w) for w in command[1:]], done)
        return done.stdout

    def environment(self, more=None):
        """Tokens and sockets of the clients stay in our folder."""
        runtime = os.path.join(self.short_folder(), "run")
        os.makedirs(runtime, mode=0o700, exist_ok=True)
        return {**os.environ, "XDG_RUNTIME_DIR": runtime, "XDG_CONFIG_HOME": self.path("none"),
                "LANG": "C.UTF-8", **(more or {})}

    # -- directory --------------------------------------------------------------------------------

    def self_signed(self, name, common_name, alternative):
        """Files of a certificate that no authority vouches for, and of its key."""
        certificate, key = self.path(f"{name}.pem"), self.path(f"{name}.key")
        self.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", key, "-out", certificate, "-days", "30", "-subj", f"/CN={common_name}",
                  "-addext", f"subjectAltName={alternative}"])
        return certificate, key

    def make_directory(self):
        self.tell(f"directory: {self.employees} employees")
        certificate, key = self.self_signed("ldap", "ldap.voorbeeld.nl", "IP:127.0.0.1")
        self.run([os.path.join(ROOT, "deploy/quickstart/directory/make-directory"), "--folder",
                  self.path("directory"), "--certificate", certificate, "--key", key,
                  "--employees", str(self.employees), *self.directory_options])
        with open(self.path("directory", "passwords.tsv"), encoding="utf-8") as file:
            for line in file:
                person = Person(*line.rstrip("\n").split("\t"))
                self.people[person.user] = person
        self.admin = next(iter(self.people.values()))

    def start_directory(self):
        slapd = shutil.which("slapd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        url = f"ldaps://127.0.0.1:{self.ports['ldap']}/"
        self.directory = Part("slapd", [slapd, "-d", "0", "-f", self.path("directory", "slapd.conf"), "-h", url],
                              self.path("slapd.log")).start()
        self.directory.wait_ready(lambda: accepts(self.ports["ldap"]))

    # -- broker -----------------------------------------------------------------------------------

    def broker_config(self):
        with open(self.path("directory", "directory.json"), encoding="utf-8") as file:
            directory = json.load(file)
        names = "\n".join(f"  {key}: {json.dumps(value)}" for key, value in directory.items())
        listen = "\n".join(f"  {name}: 127.0.0.1:{self.ports[name]}"
                           for name in ("clients", "agents", "join", "metrics"))
        times = "".join(f"\n  {name}: {value}" for name, value in self.times.items())
        return f"""organisation: Gemeente Voorbeeld
name: b1
data_dir: broker
listen:
{listen}
tls:
  certificate: broker.pem
  key: broker.key
  ip_addresses: [127.0.0.1]
authority:
  certificate: ca.pem
  key: ca.key
sealing_key_file: sealing.key
directory:
  servers: ["ldaps://127.0.0.1:{self.ports['ldap']}"]
  ca_file: ldap.pem
  bind_password_file: directory/service.password
{names}
roles:
  administrator: [beheerders]
  helpdesk: [helpdesk]
  auditor: [auditors]
{"times:" + times if times else ""}
"""

    def make_broker(self):
        self.tell("broker: certificates, keys, store")
        self.write("broker.yaml", self.broker_config())
        broker = [self.program("werkplek-broker"), "--config", self.path("broker.yaml")]
        self.run([*broker, "init"])
        for identity, name in [("client", "tc-001"), ("client", "tc-002"), ("admin", "beheer")] + \
                [("host", host) for hosts in self.hosts.values() for host in hosts]:
            self.run([*broker, "issue", "--identity", identity, "--name", name, "--out", self.path(name)])
        uri = self.run([*broker, "enrol-first-admin", "--user", self.admin.user]).strip()
        self.admin.authenticator = Authenticator(uri)
        for name in ("tc-001", "tc-002", "beheer"):
            self.write(f"{name}.yaml", self.client_config(name))

    def client_config(self, name, port=None):
        return (f"brokers: [\"127.0.0.1:{port or self.ports['clients']}\"]\n"
                f"certificate: {self.path(name, 'certificate.pem')}\nkey: {self.path(name, 'key.pem')}\n"
                f"ca: {self.path(name, 'ca.pem')}\nlanguage: en\n")

    def start_broker(self):
        self.broker = Part("werkplek-broker",
                           [self.program("werkplek-broker"), "--config", self.path("broker.yaml")],
                           self.path("broker.log")).start()
        self.broker.wait_ready(lambda: accepts(self.ports["clients"]) and accepts(self.ports["agents"]))

    # -- hosts ------------------------------------------------------------------------------------

    def agent_config(self, host):
        hypervisor = os.path.join(self.short_folder(), host)
        return f"""host: {host}
brokers: ["127.0.0.1:{self.ports['agents']}"]
data_dir: {self.path(host, 'data')}
hypervisor: "qemu:///embed?root={hypervisor}"
relay:
  listen: ["127.0.0.1:{self.ports[host]}"]
tls:
  certificate: {self.path(host, 'certificate.pem')}
  key: {self.path(host, 'key.pem')}
  ca: {self.path(host, 'ca.pem')}
"""

    def start_agent(self, host):
        self.ports.setdefault(host, free_port())
        self.share_accelerator(host)
        config = self.write(f"{host}.yaml", self.agent_config(host))
        self.agents[host] = Part(f"werkplek-agent {host}",
                                 [self.program("werkplek-agent"), "--config", config],
                                 self.path(f"{host}.log")).start()
        self.agents[host].wait_ready(lambda: accepts(self.ports[host]), timeout_s=60)

    def share_accelerator(self, host):
        """The hosts of a lab are one machine: what one agent found out about KVM goes for all."""
        own, known = self.path(host, "data", "accelerator"), os.path.join(self.images, "accelerator")
        for other in self.agents:
            found = self.path(other, "data", "accelerator")
            if os.path.exists(found):
                shutil.copy(found, known)
        if os.path.exists(known) and not os.path.exists(own):
            os.makedirs(os.path.dirname(own), mode=0o700, exist_ok=True)
            shutil.copy(known, own)

    # -- gateways ---------------------------------------------------------------------------------

    def start_gateway(self, name, site, portal=None):
        """Joined by a code the first time. `portal` says where browsers come: address, origin, certificate, key."""
        if not os.path.exists(self.path(name)):
            said = self.ctl("gateway", "add", name, yes=False)
            url, code, ca = re.search(r"werkplek-gateway join (\S+) (\S+) (\S+)", said).groups()
            self.run([self.program("werkplek-gateway"), "join", url, code, ca, "--out", self.path(name)])
        port = free_port()
        config = self.write(f"{name}.yaml", self.gateway_config(name, site, port, portal))
        log = self.path(f"{name}.log")
        heard = times_in(log, "gateway-heard")
        self.gateways[name] = Part(name, [self.program("werkplek-gateway"), "--config", config], log).start()
        return self.gateways[name].wait_ready(lambda: accepts(port) and times_in(log, "gateway-heard") > heard)

    def gateway_config(self, name, site, port, portal):
        listen = f"  clients: [\"127.0.0.1:{port}\"]\n"
        browsers = ""
        if portal:
            listen += f"  portal: [\"{portal['address']}\"]\n"
            browsers = (f"portal:\n  origins: [\"{portal['origin']}\"]\n  certificate: {portal['certificate']}\n"
                        f"  key: {portal['key']}\n")
        return f"""name: {name}
site: {site}
brokers: ["127.0.0.1:{self.ports['clients']}"]
listen:
{listen}{browsers}tls:
  certificate: {self.path(name, 'certificate.pem')}
  key: {self.path(name, 'key.pem')}
  ca: {self.path(name, 'ca.pem')}
"""

    # -- commands ---------------------------------------------------------------------------------

    def ctl(self, *words, given="", yes=True):
        command = [self.program("werkplekctl"), *words, "--config", self.path("beheer.yaml")]
        return self.run(command + (["--yes"] if yes else []), given)

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "-o", "json"))

    def werkplek(self, client, *words, given="", token_folder=None):
        """The thin client's command. `token_folder` keeps people apart who share a machine."""
        more = {}
        if token_folder:
            os.makedirs(token_folder, mode=0o700, exist_ok=True)
            more["XDG_RUNTIME_DIR"] = token_folder
        return self.run([self.program("werkplek"), "--config", self.path(f"{client}.yaml"), *words], given, more)

    def admin_sign_in(self):
        self.tell(f"administrator {self.admin.user}: signs in with password and code")
        self.ctl("sign-in", "--user", self.admin.user,
                 given=f"{self.admin.password}\n{self.admin.authenticator.code()}\n")

    def enrol(self, person):
        """A one-time token for the person, confirmed with its first code."""
        answer = self.ctl_json("token", "enrol", person.user, "--no-confirm")
        person.authenticator = Authenticator(answer["otpauth_uri"])
        self.ctl("token", "confirm", person.user, given=person.authenticator.code() + "\n")

    def add_hosts(self):
        for site, hosts in self.hosts.items():
            self.ctl("site", "create", site, "--description", f"Datacenter {site}")
            for host in hosts:
                self.ctl("host", "create", host, "--site", site)

    def add_image(self):
        self.ctl("image", "create", "-f", os.path.join(self.images, "image.yaml"))

    def add_pool(self, name, group="gemeente", **fields):
        words = []
        for key, value in {"kind": "floating", "image": "tiny", "vcpus": 1, "memory_mib": 192, **fields}.items():
            words += [f"--{key.replace('_', '-')}", str(value)]
        self.ctl("pool", "create", name, *words)
        if group:
            self.ctl("entitlement", "create", f"{name}-{group}", "--pool", name, "--group", group)

    def pool_status(self, name):
        return next(pool for pool in self.ctl_json("pool", "status")["pools"] if pool["pool"] == name)

    def wait_spares(self, name, count, timeout_s=120):
        return wait_until(lambda: int(self.pool_status(name).get("spares", 0)) >= count, timeout_s,
                          f"{count} spares of pool {name}", interval_s=0.3)

    # -- the whole --------------------------------------------------------------------------------

    def start(self):
        self.make_directory()
        self.start_directory()
        self.make_broker()
        self.start_broker()
        self.admin_sign_in()
        self.add_hosts()
        for site, hosts in self.hosts.items():
            for host in hosts:
                self.tell(f"site {site}: hypervisor host {host}")
                self.start_agent(host)
        self.add_image()

    def stop(self):
        for part in [*self.gateways.values(), *self.agents.values(), self.broker, self.directory]:
            if part is not None:
                part.stop()
        stop_virtual_machines(self.short_folder())
        if self._short not in (None, self.folder):
            shutil.rmtree(self._short, ignore_errors=True)


__all__ = ["Lab", "CommandFailed", "PartFailed", "Person", "ROOT"]
