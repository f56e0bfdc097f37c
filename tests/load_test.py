"""The load generator against the server: what it reports is what happened, and its exit code says so."""

import tempfile
import unittest

from harness import *


class Load(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.report = pathlib.Path(folder.name) / "report.json"
        self.page = pathlib.Path(folder.name) / "report.html"

    def load(self, server, path, *arguments):
        done = run("load", server.url + path, "--report", self.report, *arguments, timeout=120)
        return done, json.loads(self.report.read_text())

    def test_echo_checks_every_answer(self):
        with Server("--workers", 2) as server:
            done, report = self.load(server, "/echo", "--scenario", "echo", "--connections", 500, "--message-rate", 4, "--hold", "3s")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(report["messages"]["wrong"], 0)
            self.assertEqual(report["messages"]["missing"], 0)
            self.assertGreater(report["messages"]["received"], 500 * 3)

    def test_fanout_counts_every_delivery_on_every_worker(self):
        with Server("--workers", 4) as server:
            done, report = self.load(server, "/topics/prices", "--scenario", "fanout", "--connections", 2000,
                                     "--message-rate", 20, "--message-bytes", 100, "--hold", "3s")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(report["messages"]["missing"], 0)
            self.assertEqual(report["messages"]["duplicates"], 0)
            self.assertGreater(report["messages"]["received"], 2000 * 20 * 2)

    def test_a_storm_ends_with_everybody_back(self):
        with Server("--workers", 2) as server:
            done, report = self.load(server, "/", "--scenario", "storm", "--connections", 3000, "--rounds", 3, "--hold", "1s")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual([round["returned"] for round in report["storm"]], [3000] * 3)

    def test_vanished_peers_are_dropped_in_time_and_the_others_kept(self):
        for how in ("silent", "mute"):
            with self.subTest(how=how), Server("--ping-interval", "1s", "--pong-timeout", "1s") as server:
                done, report = self.load(server, "/", "--scenario", "half-open", "--connections", 400, "--vanish", how,
                                         "--vanish-share", "25%", "--hold", "5s")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(server.metric("holdfast_pongs_missed_total"), 100)

    def test_a_slow_reader_costs_the_others_nothing(self):
        with Server("--queue-bytes-max", "64KiB") as server:
            done, report = self.load(server, "/topics/slow", "--scenario", "slow-reader", "--connections", 100, "--message-rate", 50,
                                     "--message-bytes", "8KiB", "--hold", "5s")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(report["messages"]["missing"], 0)

    def test_a_server_that_dies_is_reported_as_lost(self):
        with Server() as server:
            generator = subprocess.Popen(
                [HOLDFAST, "load", server.url + "/", "--connections", "500", "--hold", "5s", "--report", str(self.report)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            eventually(lambda: server.connections() == 500, 20)
            server.process.kill()
            output, _ = generator.communicate(timeout=60)
            self.assertEqual(generator.returncode, 1, output)
            self.assertIn("lost 500", output)
            self.assertEqual(json.loads(self.report.read_text())["holding"]["lost"], 500)

    def test_who_never_came_in_stays_in_the_denominator(self):
        with Server("--connections-max", 300) as server:
            done, report = self.load(server, "/", "--connections", 500, "--hold", "1s")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertEqual(report["opening"]["opened"], 300)
            self.assertEqual(report["opening"]["refused"], 200)
            self.assertEqual(report["verdict"]["result"], "lost")

    def test_nobody_listening_is_told_at_once(self):
        with socket.socket() as unused:
            unused.bind((HOST, 0))
            done = run("load", f"ws://{HOST}:{unused.getsockname()[1]}/", "--connections", 10, "--hold", "1s")
        self.assertEqual(done.returncode, 1)
        self.assertIn("refused", (done.stdout + done.stderr).lower())

    def test_the_page_stands_alone(self):
        with Server() as server:
            done, _ = self.load(server, "/", "--connections", 100, "--hold", "2s", "--html", self.page)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        page = self.page.read_text(encoding="utf-8")
        self.assertIn("<html", page)
        for outside in ('src="http', "src='http", 'href="http', "@import", "url(http"):
            self.assertNotIn(outside, page)

    def test_reports_of_two_machines_are_joined(self):
        with Server() as server:
            self.load(server, "/", "--connections", 100, "--hold", "1s")
            first = self.report.rename(self.report.with_name("first.json"))
            self.load(server, "/", "--connections", 200, "--hold", "1s")
        joined = run("report", first, self.report)
        self.assertEqual(joined.returncode, 0, joined.stdout + joined.stderr)
        self.assertIn("300", joined.stdout)


if __name__ == "__main__":
    unittest.main()
