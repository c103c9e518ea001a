"""What `cmake --install` puts on a machine is whole: units with their programs, accounts and folders, and examples.

    install_test.py --build FOLDER
"""

import argparse
import configparser
import glob
import os
import shlex
import subprocess
import sys
import tempfile
import time
import unittest

ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("--build", required=True, help="the folder of the build")
ROLES = ["agent", "broker", "gateway"]
BACKUP = "werkplek-broker-backup"


class InstallTest(unittest.TestCase):
    build = ""

    @classmethod
    def setUpClass(cls):
        # pylint: disable-next=consider-using-with
        cls.folder = tempfile.TemporaryDirectory(prefix="wp-install-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = cls.folder.name
        subprocess.run(["cmake", "--install", cls.build, "--prefix", "/usr"], check=True, capture_output=True,
                       timeout=300, env={**os.environ, "DESTDIR": cls.root})
        # systemd-sysusers locks /etc/passwd there.
        os.makedirs(os.path.join(cls.root, "etc"))

    def installed(self, path):
        return os.path.join(self.root, path.lstrip("/"))

    def units(self):
        """(role, [Unit], [Service]) of each program's unit."""
        paths = sorted(glob.glob(self.installed("/usr/lib/systemd/system/*.service")))
        paths.remove(self.installed(f"/usr/lib/systemd/system/{BACKUP}.service"))
        self.assertEqual([os.path.basename(path) for path in paths], [f"werkplek-{role}.service" for role in ROLES])
        for role, path in zip(ROLES, paths):
            unit = configparser.ConfigParser(strict=False, interpolation=None)
            unit.optionxform = str
            unit.read(path, encoding="utf-8")
            yield role, unit["Unit"], unit["Service"]

    def test_units_find_their_programs_and_documents(self):
        for _, unit, service in self.units():
            program = service["ExecStart"].split()[0]
            self.assertTrue(os.access(self.installed(program), os.X_OK), program)
            document = unit["Documentation"].removeprefix("file:")
            self.assertTrue(os.path.exists(self.installed(document)), document)

    def test_the_accounts_of_the_units_are_made(self):
        for role, _, service in self.units():
            # As systemd-sysusers does it on a machine; it makes /etc/passwd of the folder.
            subprocess.run(["systemd-sysusers", f"--root={self.root}", f"werkplek-{role}.conf"], check=True,
                           capture_output=True, timeout=60)
            for key, file in (("User", "passwd"), ("Group", "group")):
                with open(self.installed(f"/etc/{file}"), encoding="utf-8") as made:
                    self.assertIn(service[key], [line.split(":")[0] for line in made])

    @unittest.skipUnless(os.geteuid() == 0, "only root gives folders to other accounts")
    def test_the_folders_are_made_for_the_accounts(self):
        self.test_the_accounts_of_the_units_are_made()
        with open(self.installed("/etc/passwd"), encoding="utf-8") as made:
            uids = {line.split(":")[0]: int(line.split(":")[2]) for line in made}
        for role, _, service in self.units():
            subprocess.run(["systemd-tmpfiles", "--create", f"--root={self.root}", f"werkplek-{role}.conf"],
                           check=True, capture_output=True, timeout=60)
            self.assertEqual(os.stat(self.installed("/etc/werkplek")).st_mode & 0o7777, 0o755)
            state = self.installed("/var/lib/" + service["StateDirectory"])
            if role == "agent":
                # It may run as root: systemd makes the folder for whom it starts.
                self.assertFalse(os.path.exists(state))
                continue
            about = os.stat(state)
            self.assertEqual((about.st_mode & 0o7777, about.st_uid), (0o700, uids[service["User"]]))

    def test_the_backup_forgets_what_is_old_but_not_all_and_asks_the_broker(self):
        self.assertTrue(os.path.exists(self.installed(f"/usr/lib/systemd/system/{BACKUP}.timer")))
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(self.installed(f"/usr/lib/systemd/system/{BACKUP}.service"), encoding="utf-8")
        state = os.path.join(self.root, "backups")
        os.makedirs(state)

        def make(name, days):
            path = os.path.join(state, name)
            with open(path, "wb"):
                pass
            os.utime(path, (time.time() - days * 86400,) * 2)

        def run(key):
            # As systemd reads the line: `%%` is a percent sign.
            line = unit["Service"][key].removeprefix("-").replace("%%", "%")
            for folder in ("/usr/bin", "/etc"):
                line = line.replace(folder, self.installed(folder))
            words = shlex.split(line)
            return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False,
                                  env={**os.environ, "STATE_DIRECTORY": state})

        self.assertEqual(run("ExecStartPre").returncode, 0)
        for name, days in (("cut.store.a1B2c3", 1), ("cut.store.now", 0), ("old.txt", 9), ("z.store", 9)):
            make(name, days)
        for days in range(3, 9):
            make(f"{days}.store", days)
        self.assertEqual(run("ExecStartPre").returncode, 0)
        newest = [f"{days}.store" for days in range(3, 9)]
        self.assertEqual(sorted(os.listdir(state)), [*newest, "cut.store.now", "old.txt"])
        for hour in range(10):
            make(f"new{hour}.store", hour / 24)
        self.assertEqual(run("ExecStartPre").returncode, 0)
        self.assertEqual(sorted(os.listdir(state)),
                         ["cut.store.now", *(f"new{hour}.store" for hour in range(10)), "old.txt"])
        # It takes the command, and finds no configuration.
        self.assertEqual(run("ExecStart").returncode, 78)

    def test_examples_lack_only_the_machines_own_files(self):
        for role, _, _ in self.units():
            example = self.installed(f"/usr/share/doc/werkplek-{role}/examples/{role}.yaml")
            done = subprocess.run([self.installed(f"/usr/bin/werkplek-{role}"), "--config", example, "check-config"],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 78, done.stderr)
            for line in done.stderr.strip().split("\n"):
                self.assertRegex(line, "No such file or directory|is not there", role)

    def test_administrators_have_their_programs_and_completion(self):
        for name in ("werkplek", "werkplekctl"):
            self.assertTrue(os.access(self.installed(f"/usr/bin/{name}"), os.X_OK), name)
            self.assertTrue(os.path.exists(self.installed(f"/usr/share/bash-completion/completions/{name}")), name)
        self.assertTrue(os.path.exists(self.installed("/usr/share/doc/werkplek/operating/install.md")))


def main():
    known, rest = ARGUMENTS.parse_known_args()
    InstallTest.build = known.build
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
