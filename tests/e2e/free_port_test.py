"""No two that choose a port get the same one, in one process or in several."""

import subprocess
import sys
import unittest

import end_to_end  # noqa: F401  pylint: disable=unused-import
from processes import KEPT_PORTS, PORTS, free_port

ASK = "import sys; sys.path[:0] = {path!r}; from processes import free_port; print(*[free_port() for _ in range({count})])"


class FreePortTest(unittest.TestCase):
    def setUp(self):
        self.addCleanup(self.give_back)

    @staticmethod
    def give_back():
        while KEPT_PORTS:
            KEPT_PORTS.pop().close()

    def test_one_process_gets_no_port_twice(self):
        ports = [free_port() for _ in range(300)]
        self.assertEqual(len(set(ports)), len(ports))
        self.assertTrue(all(port in PORTS for port in ports))

    def test_another_process_gets_others(self):
        # Two that did not heed each other would meet, but for once in a thousand runs.
        mine = {free_port() for _ in range(300)}
        said = subprocess.run([sys.executable, "-B", "-c", ASK.format(path=sys.path[:2], count=300)],
                              check=True, capture_output=True, text=True, timeout=120)
        others = {int(word) for word in said.stdout.split()}
        self.assertEqual(len(others), 300)
        self.assertEqual(mine & others, set())


if __name__ == "__main__":
    unittest.main()
