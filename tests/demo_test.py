"""scripts/demo, the README's first command, with few connections: it holds them, delivers meanwhile, and drains."""

import os
import subprocess
import unittest

from harness import ROOT


class Demo(unittest.TestCase):
    def test_holds_delivers_and_drains(self):
        settings = {"CONNECTIONS": "2000", "SUBSCRIBERS": "500", "PING_INTERVAL": "3s", "HOLD": "20s"}
        done = subprocess.run([ROOT / "scripts/demo"], env=os.environ | settings, capture_output=True, text=True, timeout=150)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said)
        for line in ("idle connections: held", "deliveries:       complete", "drain:            clean"):
            self.assertIn(line, done.stdout)
        self.assertIn("2,000 of 2,000", done.stdout)
        self.assertIn("500 of 500", done.stdout)


if __name__ == "__main__":
    unittest.main()
