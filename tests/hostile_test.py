"""Small rounds of scripts/hostile: honest connections lose nothing while others attack."""

import unittest

from harness import *


def hostile(*arguments):
    return subprocess.run(
        [ROOT / "scripts/hostile", "--build", pathlib.Path(HOLDFAST).parent, "--lean-malloc", *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


class Hostile(unittest.TestCase):
    def test_honest_connections_lose_nothing_while_others_attack(self):
        done = hostile("--connections", "2000", "--seconds", "1.5", "--churn-seconds", "3", "--first-round", "1", "--settle", "1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_honest_connections_over_tls_lose_nothing_while_others_attack(self):
        done = hostile(
            *("--tls", "--connections", "300", "--seconds", "0.8", "--first-round", "0.4", "--settle", "0.1", "--deadline", "2"),
            *("--latency-max", "1000"),  # of eight pings the 99th percentile is the slowest
            *("--only", "stalled-handshakes", "tampered-records", "key-updates", "renegotiation"),
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
