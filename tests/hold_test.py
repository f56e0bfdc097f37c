"""Many connections: as many as a small descriptor limit allows through workers, and 100,000 held over two ping intervals;
the reaping of peers that die without a word; a storm."""

import json
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from harness import HOLDFAST, Server, eventually, with_descriptors


def load(server, *arguments, **options):
    return subprocess.Popen(
        [HOLDFAST, "load", server.url + "/", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


class HoldTest(unittest.TestCase):
    def test_a_limit_of_1024_descriptors_does_not_bound_the_server(self):
        with Server("--connections-max", 5000, preexec_fn=with_descriptors(1024)) as server:
            generator = load(server, "--connections", 5000, "--hold", "2s")
            output, _ = generator.communicate(timeout=60)
            self.assertEqual(generator.returncode, 0, output)
            self.assertIn("verdict        held", output)

    def test_100000_connections_are_held_over_two_ping_intervals(self):
        with Server("--connections-max", 100000, "--ping-interval", "10s") as server, tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "report.json"
            generator = load(server, "--connections", 100000, "--hold", "20s", "--report", report)
            output, _ = generator.communicate(timeout=200)
            self.assertEqual(generator.returncode, 0, output)
            self.assertIn("100,000 of 100,000 for 20 s", output)
            self.assertTrue(json.loads(report.read_text()))
            self.assertEqual(server.metric("holdfast_pongs_missed_total"), 0)

    def test_peers_that_stop_without_a_word_are_reaped_in_interval_and_timeout(self):
        with Server("--ping-interval", "2s", "--pong-timeout", "1s") as server:
            generator = load(server, "--connections", 500, "--hold", "60s")
            try:
                eventually(lambda: server.connections() == 500, 20)
                generator.send_signal(signal.SIGSTOP)  # its kernel still acknowledges: only the pongs are missing
                stopped = time.monotonic()
                eventually(lambda: server.connections() == 0, 10)
                self.assertLessEqual(time.monotonic() - stopped, 2 + 1 + 1.0)
                self.assertEqual(server.metric("holdfast_pongs_missed_total"), 500)
            finally:
                generator.kill()
                generator.communicate()

    def test_after_kill_9_of_all_clients_every_connection_is_given_back(self):
        with Server() as server:
            generator = load(server, "--connections", 2000, "--hold", "60s")
            eventually(lambda: server.connections() == 2000, 20)
            generator.kill()
            generator.communicate()
            eventually(lambda: server.connections() == 0, 10)
            again = load(server, "--connections", 2000, "--hold", "1s")
            output, _ = again.communicate(timeout=60)
            self.assertEqual(again.returncode, 0, output)


if __name__ == "__main__":
    unittest.main()
