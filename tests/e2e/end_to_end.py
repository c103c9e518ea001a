"""What every end-to-end test needs: one lab for the tests of a file, and people with tokens."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path[:0] = [os.path.join(ROOT, "deploy/quickstart"), os.path.dirname(__file__)]

# pylint: disable=wrong-import-position
from lab import CommandFailed, Lab  # noqa: E402
from processes import tail, wait_until  # noqa: E402

PROGRAMS = os.environ.get("WERKPLEK_BIN_DIR", os.path.join(ROOT, "build/dev/bin"))
# Built once for all tests of one build folder.
IMAGES = os.path.join(PROGRAMS, "..", "images", "tiny")


def make_images():
    subprocess.run([os.path.join(ROOT, "deploy/images/tiny/build"), IMAGES], check=True, timeout=300)
    return os.path.realpath(IMAGES)


class EndToEndTest(unittest.TestCase):
    """`self.lab` is started once for the class; each test takes people that no other test uses."""

    pools = {}
    # Times of the broker that are to be others than its defaults, as its configuration names them.
    broker_times = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="wp-e2e-")
        cls.lab = Lab(cls.folder, PROGRAMS, make_images(), tell=cls.tell, times=cls.broker_times)
        cls.began = time.monotonic()
        try:
            cls.lab.start()
            for name, fields in cls.pools.items():
                cls.lab.add_pool(name, **fields)
            # The first are administrators, help desk and auditors.
            cls.unused = list(cls.lab.people.values())[20:]
        except BaseException:
            cls.tearDownClass(failed=True)
            raise

    @classmethod
    def tearDownClass(cls, failed=False):
        cls.lab.stop()
        if failed or os.environ.get("WERKPLEK_KEEP"):
            cls.tell(f"kept: {cls.folder}")
        else:
            shutil.rmtree(cls.folder, ignore_errors=True)

    def run(self, result=None):
        """Shows, after a test that failed, what the programs logged: whoever runs the tests elsewhere has only that."""
        result = result if result is not None else self.defaultTestResult()
        failed_before = len(result.errors) + len(result.failures)
        super().run(result)
        if len(result.errors) + len(result.failures) > failed_before:
            for part in ["broker", *self.lab.agents]:
                self.tell(f"{part}.log of {self.id()} ends:\n{tail(self.lab.path(f'{part}.log'), 40)}")
        return result

    @classmethod
    def tell(cls, line):
        print(f"[{time.monotonic() - getattr(cls, 'began', time.monotonic()):6.1f} s] {line}", flush=True)

    def take(self, count=1):
        """People with tokens of their own, used by nobody else."""
        people = [self.unused.pop(0) for _ in range(count)]
        for person in people:
            self.lab.enrol(person)
            person.folder = os.path.join(self.folder, f"p{len(self.unused)}-{person.user}"[:40])
            os.makedirs(person.folder, mode=0o700, exist_ok=True)
        return people

    def sign_in(self, person, client="tc-001", code=None, password=None):
        given = f"{person.password if password is None else password}\n{code or person.authenticator.code()}\n"
        return self.lab.werkplek(client, "sign-in", "--user", person.user, given=given, token_folder=person.folder)

    def werkplek(self, person, *words, client="tc-001"):
        return self.lab.werkplek(client, *words, token_folder=person.folder)

    def take_ticket(self, person, pool, client="tc-001"):
        """What Connect answers: `ticket`, `desktop`, `host`, ... Nobody opens the display."""
        said = self.lab.run([self.lab.program("take_ticket"), self.lab.path(f"{client}.yaml"), pool],
                            environment={"XDG_RUNTIME_DIR": person.folder})
        return json.loads(said)

    def refused(self, call, *arguments, status=None, **named):
        """Runs a command that must fail; gives what it said."""
        with self.assertRaises(CommandFailed) as caught:
            call(*arguments, **named)
        if status is not None:
            self.assertEqual(caught.exception.status, status, caught.exception.output)
        return caught.exception.output

    def sessions(self, **wanted):
        found = self.lab.ctl_json("session", "list").get("sessions", [])
        return [s for s in found if all(s.get(key) == value for key, value in wanted.items())]

    def session_of(self, person):
        found = [s for s in self.sessions(user=person.user) if s["state"] not in
                 ("SESSION_STATE_ENDED", "SESSION_STATE_ENDING")]
        self.assertEqual(len(found), 1, f"sessions of {person.user}: {found}")
        return found[0]

    def desktop(self, name):
        return self.lab.ctl_json("desktop", "get", name)

    def wait(self, condition, timeout_s, what):
        return wait_until(condition, timeout_s, what, interval_s=0.2)

    def broker_log(self):
        return self.log_of("broker")

    def log_of(self, part):
        """What "broker", or a host's agent, has logged."""
        with open(self.lab.path(f"{part}.log"), encoding="utf-8", errors="replace") as file:
            return file.read()


def main():
    unittest.main(verbosity=2, failfast=bool(os.environ.get("WERKPLEK_FAILFAST")))
