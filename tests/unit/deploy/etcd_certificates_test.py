"""deploy/two-sites/make-etcd-certificates: keys are closed, and the accounts of etcd and the broker read the rest."""

import os
import subprocess
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
MAKE = os.path.join(ROOT, "deploy", "two-sites", "make-etcd-certificates")


class EtcdCertificatesTest(unittest.TestCase):
    def test_certificates_are_readable_and_keys_are_not(self):
        with tempfile.TemporaryDirectory(prefix="wp-etcd-") as folder:
            subprocess.run([MAKE, folder, "etcd-a=192.0.2.10", "etcd-b=192.0.2.11"], check=True, capture_output=True,
                           timeout=60)
            modes = {name: os.stat(os.path.join(folder, name)).st_mode & 0o777 for name in os.listdir(folder)
                     if name.endswith((".pem", ".key"))}
        self.assertEqual(modes, {"ca.pem": 0o644, "etcd-a.pem": 0o644, "etcd-b.pem": 0o644,
                                 "ca.key": 0o600, "etcd-a.key": 0o600, "etcd-b.key": 0o600})


if __name__ == "__main__":
    unittest.main()
