"""What an operator reads: health, readiness at the high-water mark, metrics that any scraper takes, and the same as JSON."""

import json
import re
import time
import types
import unittest

from harness import *


class Admin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", 2, "--connections-max", 1000, "--ping-interval", "off")  # the peers answer none
        cls.peers = [Peer(cls.server, "/echo") for _ in range(20)]

    @classmethod
    def tearDownClass(cls):
        for peer in cls.peers:
            peer.socket.close()
        cls.server.end()

    def test_health_and_readiness_are_one_line_each(self):
        self.assertEqual(self.server.get("/healthz"), (200, "ok\n"))
        self.assertEqual(self.server.get("/readyz")[0], 200)

    def test_every_line_of_the_metrics_is_as_prometheus_wants_it(self):
        _, body = self.server.get("/metrics")
        sample = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? (-?[0-9.e+-]+|\+Inf|NaN)')
        described = set(re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", body, re.MULTILINE))
        for line in body.splitlines():
            if line.startswith("#"):
                continue
            self.assertRegex(line, f"^{sample.pattern}$")
            name = re.match(r"[a-z_]+", line).group()
            self.assertIn(re.sub(r"_(bucket|sum|count)$", "", name), described | {name} & described)

    def test_the_figures_that_the_operator_needs_are_there(self):
        names = {series.split("{")[0] for series in self.server.metrics()}
        for name in (
            "holdfast_connections", "holdfast_accepted_total", "holdfast_refused_total", "holdfast_closed_total",
            "holdfast_pings_sent_total", "holdfast_pongs_missed_total", "holdfast_received_bytes_total", "holdfast_sent_bytes_total",
            "holdfast_user_memory_bytes", "holdfast_user_memory_per_connection_bytes", "holdfast_kernel_memory_per_connection_bytes",
            "holdfast_used", "holdfast_limit", "holdfast_ready", "holdfast_loop_turn_seconds_bucket",
        ):
            self.assertIn(name, names)

    def test_what_happens_is_counted(self):
        before = self.server.metrics()
        messages = self.server.metric("holdfast_messages_received_total")
        self.peers[0].send(frame(TEXT, b"x"))
        self.peers[0].read()
        exchange(self.server.address, upgrade_request("/nowhere"))
        with Peer(self.server) as peer:
            peer.send(frame(CLOSE, close_payload(1000)))
            peer.read_close()
        eventually(lambda: self.server.connections() == 20)
        self.assertEqual(self.server.metric("holdfast_messages_received_total"), messages + 1)
        for series in ('holdfast_refused_total{reason="not_found"}', 'holdfast_closed_total{reason="peer_closed"}'):
            self.assertEqual(self.server.metrics()[series], before[series] + 1, series)

    def test_stats_tell_the_same_in_json(self):
        stats = self.server.stats()
        self.assertEqual(stats["connections"], 20)
        self.assertEqual(sum(stats["connections_per_worker"]), 20)
        self.assertEqual(stats["connections_max"], 1000)
        self.assertEqual(stats["workers"], 2)
        self.assertIs(stats["ready"], True)
        self.assertEqual(stats["pongs_missed_total"], self.server.metric("holdfast_pongs_missed_total"))

    def test_the_kernel_memory_of_a_socket_is_told_beside_our_own(self):
        memory = self.server.stats()["memory"]
        self.assertGreater(memory["kernel_bytes_per_connection"], 2000)
        self.assertLess(memory["kernel_bytes_per_connection"], 20000)
        self.assertGreater(memory["user_bytes"], 0)

    def test_other_pages_and_methods_are_refused(self):
        self.assertEqual(self.server.get("/secrets")[0], 404)
        response = exchange(self.server.admin, b"POST /stats HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.assertEqual(response.status, 405)
        self.assertEqual(response.headers["allow"], "GET, HEAD, OPTIONS")
        self.assertEqual(exchange(self.server.admin, b"NONSENSE\r\n\r\n").status, 400)

    def test_the_public_listener_shows_nothing_of_it(self):
        for page in ("/healthz", "/readyz", "/metrics", "/stats"):
            request = f"GET {page} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode()
            self.assertEqual(exchange(self.server.address, request).status, 404)


class Survey(unittest.TestCase):
    """Connections one by one, and what the operator may do to them."""

    def setUp(self):
        self.server = Server("--workers", 2, "--queue-bytes-max", "16MiB")
        self.addCleanup(self.server.end)
        self.peers = [Peer(self.server, "/topics/prices") for _ in range(5)] + [Peer(self.server, "/echo")]
        for peer in self.peers:
            self.addCleanup(peer.socket.close)

    def ask(self, method, path, body=b"", **headers):
        lines = {"Host": f"{self.server.admin[0]}:{self.server.admin[1]}", "Content-Length": str(len(body)), "Connection": "close", **headers}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return exchange(self.server.admin, head.encode() + b"\r\n" + body)

    def survey(self, path):
        status, body = self.server.get(path)
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def test_each_connection_is_told_with_its_address_path_topics_and_bytes(self):
        rows = self.survey("/connections")["connections"]
        self.assertEqual(len(rows), 6)
        by_address = {row["address"]: row for row in rows}
        for peer in self.peers:
            host, port = peer.socket.getsockname()
            row = by_address[f"{host}:{port}"]
            self.assertEqual(row["state"], "open")
            self.assertGreater(row["received_bytes"], 100)
            self.assertGreater(row["sent_bytes"], 100)
            self.assertLess(row["silent_seconds"], 60)
        self.assertEqual([row["topics"] for row in rows if row["path"] == "/topics/*"], [["prices"]] * 5)
        self.assertEqual([row["topic_count"] for row in rows if row["path"] == "/echo"], [0])

    def test_a_slow_reader_comes_first(self):
        slow = self.peers[-1]
        for _ in range(100):
            slow.send(frame(BINARY, b"x" * 60_000))
        eventually(lambda: self.server.stats()["queued_bytes"] > 1_000_000)
        first = self.survey("/connections?limit=1&sort=queued")["connections"][0]
        self.assertEqual(first["path"], "/echo")
        self.assertGreater(first["queued_bytes"], 1_000_000)

    def test_topics_are_added_up_over_the_workers(self):
        self.assertEqual(self.survey("/topics")["topics"], [{"name": "prices", "subscribers": 5}])

    def test_a_wrong_wish_is_told_what_would_be_right(self):
        for path in ("/connections?limit=0", "/connections?limit=x", "/connections?limit=1001", "/connections?sort=age", "/topics?limit=-1"):
            self.assertEqual(self.server.get(path)[0], 400, path)

    def test_one_is_disconnected_with_the_code_that_was_asked_for(self):
        host, port = self.peers[0].socket.getsockname()
        row = next(row for row in self.survey("/connections")["connections"] if row["address"] == f"{host}:{port}")
        self.assertEqual(self.ask("DELETE", f"/connections/{row['id']}?code=4001&reason=moved").status, 202)
        self.assertEqual(self.peers[0].read_close(), 4001)
        self.peers[0].socket.close()
        eventually(lambda: self.server.connections() == 5)
        self.assertEqual(self.ask("DELETE", f"/connections/{row['id']}").status, 202)  # it names nobody any more, and nobody else
        time.sleep(0.2)
        self.assertEqual(self.server.connections(), 5)

    def test_what_cannot_be_disconnected_is_said(self):
        self.assertEqual(self.ask("DELETE", "/connections/nonsense").status, 400)
        self.assertEqual(self.ask("DELETE", "/connections/99-1-1").status, 404)
        self.assertEqual(self.ask("GET", "/connections/0-1-1").status, 405)
        row = self.survey("/connections?limit=1")["connections"][0]
        for code in (1005, 1006, 1015, 999, 5000, "x"):
            self.assertEqual(self.ask("DELETE", f"/connections/{row['id']}?code={code}").status, 400, code)
        self.assertEqual(self.server.connections(), 6)

    def test_the_console_publishes_and_subscribes(self):
        operator = types.SimpleNamespace(address=self.server.admin)
        listener = Peer(operator, "/debug/topics/prices")
        self.addCleanup(listener.socket.close)
        self.assertEqual(self.ask("POST", "/debug/topics/prices", b"42").status, 202)
        for peer in [listener, *self.peers[:5]]:
            opcode = PING
            while opcode == PING:  # the keepalive's
                opcode, payload, _ = peer.read()
            self.assertEqual((opcode, payload), (TEXT, b"42"))
        self.assertEqual(self.ask("POST", "/debug/topics/prices", b"\xff").status, 400)

    def test_pages_of_other_sites_can_do_none_of_it(self):
        for host, origin in (("127.0.0.1:1", "https://example.com"), ("evil.example", "http://evil.example")):
            for method, path in (("DELETE", "/connections/0-1-1"), ("POST", "/debug/topics/prices")):
                self.assertEqual(self.ask(method, path, b"x", Host=host, Origin=origin).status, 403)

    def test_the_dashboard_is_one_page_that_needs_nothing_else(self):
        response = self.ask("GET", "/")
        self.assertEqual(response.status, 200)
        self.assertIn("connect-src 'self'", response.headers["content-security-policy"])
        self.assertNotRegex(response.body.decode(), r"""(src|href)=["']?https?://""")


class HighWater(unittest.TestCase):
    def test_readiness_turns_false_at_the_mark_and_true_again_below_it(self):
        with Server("--connections-max", 20, "--high-water-percent", 50) as server:
            peers = [Peer(server) for _ in range(9)]
            self.assertEqual(server.get("/readyz")[0], 200)
            peers.append(Peer(server))
            status, reason = server.get("/readyz")
            self.assertEqual(status, 503)
            self.assertIn("connections", reason)
            self.assertEqual(server.get("/healthz")[0], 200)
            peers.append(Peer(server))  # still taken: readiness is a wish, the limit a wall
            for peer in peers[:4]:
                peer.socket.close()
            eventually(lambda: server.get("/readyz")[0] == 200)
            for peer in peers:
                peer.socket.close()


class Off(unittest.TestCase):
    def test_the_operators_listener_can_be_turned_off(self):
        process = subprocess.Popen(
            [HOLDFAST, "serve", "--listen", f"{HOST}:0", "--admin", "off"], stderr=subprocess.PIPE, text=True
        )
        try:
            line = process.stderr.readline()
            self.assertIn(" ready ", line)
            self.assertIn("admin=off", line)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE), 0)
        finally:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    unittest.main()
