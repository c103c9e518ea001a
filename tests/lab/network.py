"""Machines of a lab, each a network and a mount namespace of its own, joined by switches in a namespace of theirs.

Nothing of it can be seen from outside, and all of it goes when the process ends that holds it. Needs root.
"""

import os
import shutil
import signal
import subprocess

# Two sites behind an uplink each; what stands at `core` is reached from both (the witness, people at home).
CORE = "core"


class NetworkFailed(Exception):
    """A command that makes or cuts the network gave an error."""


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NetworkFailed(f"{' '.join(str(word) for word in words)}: {done.stderr.strip()}")
    return done.stdout


class Namespace:
    """Held by a process that does nothing else; commands enter it by that process's id."""

    def __init__(self, name):
        self.name = name
        # The kernel takes the whole down with the lab, however that ends.
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--propagation", "private", "sh", "-c",
             "echo ready; exec sleep infinity"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        if self.holder.stdout.readline() != b"ready\n":
            raise NetworkFailed(f"{name}: cannot make a network namespace (are you root?)")
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self):
        return self.holder.pid

    def enter(self, *words):
        """The command that runs `words` inside."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "--", *[str(word) for word in words]]

    def run(self, *words):
        return command(*self.enter(*words))

    def close(self):
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait()


class Network:
    """The switches: one for each site, and the core that joins them."""

    def __init__(self, sites):
        self.switch = Namespace("switch")
        self.machines = {}
        self.place = {}
        self._bridge(CORE)
        for site in sites:
            self._bridge(site)
            self.switch.run("ip", "link", "add", f"up-{site}", "type", "veth", "peer", "name", f"dn-{site}")
            self._plug(f"up-{site}", CORE)
            self._plug(f"dn-{site}", site)

    def _bridge(self, name):
        self.switch.run("ip", "link", "add", name, "type", "bridge")
        self.switch.run("ip", "link", "set", name, "up")

    def _plug(self, port, bridge):
        self.switch.run("ip", "link", "set", port, "master", bridge)
        self.switch.run("ip", "link", "set", port, "up")

    def add(self, name, where, address):
        """A machine with one address, at a site's switch or at the core."""
        machine = Namespace(name)
        port = f"p-{name}"[:15]
        self.switch.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", machine.pid)
        self._plug(port, where)
        machine.run("ip", "address", "add", f"{address}/16", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")
        self.machines[name], self.place[name] = machine, where
        return machine

    # -- faults -----------------------------------------------------------------------------------

    def cut_site(self, site, cut=True):
        """The site sees nobody else, and nobody sees it."""
        self.switch.run("ip", "link", "set", f"up-{site}", "down" if cut else "up")

    def cut_between(self, one, other, cut=True):
        """The two sites do not see each other; both still see the core."""
        for site in (one, other):
            self.switch.run("bridge", "link", "set", "dev", f"up-{site}", "isolated", "on" if cut else "off")

    def cut_machine(self, name, cut=True):
        self.switch.run("ip", "link", "set", f"p-{name}"[:15], "down" if cut else "up")

    def mute(self, name, towards, cut=True):
        """What the machine sends to the address is lost; what comes from there arrives."""
        self.machines[name].run("iptables", "-A" if cut else "-D", "OUTPUT", "-d", towards, "-j", "DROP")

    def heal(self):
        for site in [place for place in set(self.place.values()) if place != CORE]:
            self.cut_site(site, False)
            self.switch.run("bridge", "link", "set", "dev", f"up-{site}", "isolated", "off")
        for name, machine in self.machines.items():
            self.cut_machine(name, False)
            machine.run("iptables", "-F", "OUTPUT")

    def close(self):
        for machine in self.machines.values():
            machine.close()
        self.switch.close()


def private_libvirt(machine, folder, host_uuid, address, lockspace, authority):
    """Gives the machine a libvirt of its own in `folder`; gives the commands that start its lock manager and it. The lock
    managers of machines with the same `lockspace` let only one of them use a disk. Desktops move over TLS between those
    with certificates of the same authority. What libvirtd does with locks is in its log `libvirtd.log`: `host_log.py`
    reads from it when guests execute."""
    conf = os.path.join(folder, "etc")
    for name in ("etc", "lib", "log", "cache"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    place_certificates(os.path.join(folder, "pki"), authority, machine.name, address)
    write(os.path.join(conf, "libvirtd.conf"), f"""host_uuid = "{host_uuid}"
listen_tls = 1
listen_tcp = 0
listen_addr = "{address}"
auth_unix_rw = "none"
log_level = 3
log_filters = "1:locking.domain_lock 1:locking.lock_manager"
log_outputs = "3:stderr 1:file:/var/log/libvirt/libvirtd.log"
""")
    write(os.path.join(conf, "qemu.conf"), f"""stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
remember_owner = 0
cgroup_controllers = []
migration_address = "{address}"
lock_manager = "lockd"
""")
    # Disks are locked by files there, which all hosts of the site see; the disks' own paths say nothing across hosts.
    write(os.path.join(conf, "qemu-lockd.conf"), f"""auto_disk_leases = 1
require_lease_for_disks = 0
file_lockspace_dir = "{lockspace}"
""")
    script = " && ".join([
        "mount -t tmpfs tmpfs /run",
        "mkdir -p /etc/pki /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt",
        f"mount --bind {folder}/pki /etc/pki",
        f"mount --bind {folder}/etc /etc/libvirt",
        f"mount --bind {folder}/lib /var/lib/libvirt",
        f"mount --bind {folder}/log /var/log/libvirt",
        f"mount --bind {folder}/cache /var/cache/libvirt",
    ])
    machine.run("sh", "-c", script)
    return machine.enter("virtlockd"), machine.enter("libvirtd", "-l")


def place_certificates(pki, authority, name, address):
    """Where libvirt looks for them, and QEMU for the memory of desktops that move."""
    certificate, key = authority.issue(name, address)
    places = {authority.path("ca.pem"): ["CA/cacert.pem", "qemu/ca-cert.pem"],
              certificate: ["libvirt/servercert.pem", "libvirt/clientcert.pem", "qemu/server-cert.pem", "qemu/client-cert.pem"],
              key: ["libvirt/private/serverkey.pem", "libvirt/private/clientkey.pem", "qemu/server-key.pem", "qemu/client-key.pem"]}
    for source, names in places.items():
        for place in names:
            os.makedirs(os.path.dirname(os.path.join(pki, place)), exist_ok=True)
            shutil.copyfile(source, os.path.join(pki, place))


def write(path, text, mode=0o600):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
    return path
