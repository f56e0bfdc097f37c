"""A small round of scripts/hostile: honest connections lose nothing while others attack."""

import unittest

from harness import *


class Hostile(unittest.TestCase):
    def test_honest_connections_lose_nothing_while_others_attack(self):
        done = subprocess.run(
            [ROOT / "scripts/hostile", "--build", pathlib.Path(HOLDFAST).parent, "--connections", "2000", "--seconds", "1.5",
             "--churn-seconds", "3", "--first-round", "1", "--settle", "1", "--lean-malloc"],
            capture_output=True, text=True, timeout=170, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
