"""The load generator against the server: what it reports is what happened, and its exit code says so."""

import tempfile
import unittest

from harness import *
from tls_test import CERT, tls_server


def report_of(done, file):
    """What a load wrote; one that wrote nothing has said why."""
    written = file.read_text() if file.exists() else ""
    if not written:
        raise AssertionError(f"no report, exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(written)


class Load(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.report = pathlib.Path(folder.name) / "report.json"
        self.page = pathlib.Path(folder.name) / "report.html"

    def load(self, server, path, *arguments):
        done = run("load", server.url + path, "--report", self.report, *arguments, timeout=110 * SLOWNESS)
        return done, report_of(done, self.report)

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
                                     "--message-rate", 20, "--message-bytes", 100, "--hold", "5s")
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
            with self.subTest(how=how), Server("--ping-interval", "1s", "--pong-timeout", "4s") as server:
                done, report = self.load(server, "/", "--scenario", "half-open", "--connections", 400, "--vanish", how,
                                         "--vanish-share", "25%", "--hold", "9s")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(server.metric("holdfast_pongs_missed_total"), 100)

    def test_a_slow_reader_costs_the_others_nothing(self):
        with Server("--queue-bytes-max", "64KiB") as server:
            # A publication that 64 others overtake, as when one worker stands still, would be taken for one that came twice.
            done, report = self.load(server, "/topics/slow", "--scenario", "slow-reader", "--connections", 100, "--message-rate", 20,
                                     "--message-bytes", "20KiB", "--hold", "5s")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(report["messages"]["missing"], 0)

    def test_a_server_that_dies_is_reported_as_lost(self):
        with Server() as server:
            generator = subprocess.Popen(
                [HOLDFAST, "load", server.url + "/", "--connections", "500", "--hold", "8s", "--report", str(self.report)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            eventually(lambda: server.connections() == 500)
            server.process.kill()
            output, _ = generator.communicate(timeout=60 * SLOWNESS)
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


class OverTls(unittest.TestCase):
    """wss://; the server's figures are held against the generator's."""

    def load(self, server, path, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "report.json"
            done = run("load", f"wss://{HOST}:{server.address[1]}{path}", "--report", report, *arguments, timeout=110 * SLOWNESS)
            return done, report_of(done, report)

    def test_whom_nobody_vouches_for_is_not_believed(self):
        with tls_server() as server:
            done, report = self.load(server, "/", "--connections", 20, "--hold", "1s")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("20 certificate not verified: self-signed certificate", done.stdout)
            self.assertIn("--cafile", done.stdout)
            self.assertEqual(report["tls"]["failed_unverified"], 20)
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 20)
            done, _ = self.load(server, "/", "--connections", 1, "--hold", "1s", "--cafile", CERT, "--server-name", "other.example")
            self.assertIn("hostname mismatch", done.stdout)
            done, _ = self.load(server, "/", "--connections", 20, "--hold", "0", "--insecure")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_storm_comes_back_with_tickets(self):
        with tls_server() as server:
            done, report = self.load(server, "/", "--cafile", CERT, "--scenario", "storm", "--connections", 400, "--rounds", 2, "--hold", "1s",
                                     "--rate", 2000)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(report["tls"]["full"], 400)
            self.assertEqual(report["tls"]["resumed"], 800)
            self.assertEqual(report["tls"]["failed"] + report["tls"]["attached"], 0)
            self.assertEqual(server.metric("holdfast_tls_resumed_total"), 800)
            self.assertEqual(server.metric("holdfast_tls_established_total"), 1200)

    def test_messages_travel_over_both_versions(self):
        with tls_server("--tls12") as server:
            for version, attached in (("1.2", 100), ("1.3", 0)):
                done, report = self.load(server, "/echo", "--cafile", CERT, "--tls", version, "--scenario", "echo", "--connections", 100,
                                         "--message-rate", 10, "--message-bytes", "20KiB", "--hold", "1s", "--leave", "close")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(report["messages"]["wrong"] + report["messages"]["missing"], 0)
                self.assertEqual(report["tls"]["attached"], attached)
                self.assertEqual(report["tls"]["unexpected"], 0)
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 0)

    def test_slow_readers_cost_the_others_nothing(self):
        with tls_server("--queue-bytes-max", "64KiB") as server:
            done, report = self.load(server, "/echo", "--cafile", CERT, "--scenario", "slow-reader", "--connections", 50, "--slow-share", "20%",
                                     "--message-rate", 50, "--message-bytes", "8KiB", "--hold", "2s")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(report["messages"]["missing"], 0)
            self.assertEqual(report["odd_peers"]["opened"], 10)
            self.assertEqual(report["tls"]["full"], 50)

    def test_publications_are_posted_and_delivered(self):
        with tls_server() as server:
            for more in ((), ("--protocol", "pusher")):
                done, report = self.load(server, "/topics/t", "--cafile", CERT, "--scenario", "fanout", "--connections", 100,
                                         "--message-rate", 20, "--hold", "3s", *more)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(report["messages"]["missing"], 0)
                self.assertGreater(report["messages"]["received"], 1000)


if __name__ == "__main__":
    unittest.main()
