"""HTTP as everyone else speaks it to this server: several requests on one connection, bodies in chunks, HEAD, OPTIONS, Expect. Over raw
sockets, byte for byte."""

import email.utils
import unittest

from harness import *

PLAIN = "Host: test\r\n"


def read_answer(peer, buffer=b"", head=False):
    """(response, rest) of one answer that has a Content-Length."""
    while b"\r\n\r\n" not in buffer:
        piece = peer.recv(65536)
        assert piece, f"closed after {buffer!r}"
        buffer += piece
    at = buffer.index(b"\r\n\r\n") + 4
    response = Response(buffer[:at])
    size = 0 if head or response.status in (100, 101, 204) else int(response.headers["content-length"])
    while len(buffer) < at + size:
        piece = peer.recv(65536)
        assert piece, f"closed after {buffer!r}"
        buffer += piece
    response.body = buffer[at : at + size]
    return response, buffer[at + size :]


class Edge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", 1, "--handshake-timeout", "2m", "--head-bytes-max", 2048, "--headers-max", 20,
                            "--message-bytes-max", "4KiB", "--queue-bytes-max", "16KiB")

    @classmethod
    def tearDownClass(cls):
        cls.server.end()

    def ask(self, request, address=None, head=False):
        """One request on a connection of its own, which must stay open; its answer."""
        with connect(address or self.server.address) as peer:
            peer.sendall(request)
            response, rest = read_answer(peer, head=head)
            self.assertEqual(rest, b"")
            self.assertIn(response.headers.get("connection"), ("keep-alive", "keep-alive, upgrade"), request)
            peer.settimeout(0.1)
            with self.assertRaises(TimeoutError):
                peer.recv(1)
            return response


class Connections(Edge):
    def test_a_connection_carries_one_request_after_the_other(self):
        with connect(self.server.address) as peer:
            for body in (b"one", b"two", b"three"):
                peer.sendall(b"POST /topics/a HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                response, rest = read_answer(peer)
                self.assertEqual((response.status, rest), (202, b""))
            peer.sendall(upgrade_request("/echo") + frame(TEXT, b"hello"))
            self.assertIn(b" 101 ", peer.recv(13))

    def test_requests_sent_at_once_are_answered_in_their_order(self):
        with Peer(self.server, "/topics/pipeline") as subscriber, connect(self.server.address) as peer:
            posts = b"".join(b"POST /topics/pipeline HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n%d" % i for i in range(10))
            peer.sendall(posts + b"GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n" + b"DELETE /echo HTTP/1.1\r\nHost: t\r\n\r\n"
                         + upgrade_request("/echo") + frame(TEXT, b"and in"))
            rest = b""
            statuses = []
            for _ in range(13):
                response, rest = read_answer(peer, rest)
                statuses.append(response.status)
            self.assertEqual(statuses, [202] * 10 + [404, 405, 101])
            while len(rest) < 8:
                rest += peer.recv(4096)
            self.assertEqual(rest, b"\x81\x06and in")
            self.assertEqual([subscriber.read()[1] for _ in range(10)], [b"%d" % i for i in range(10)])

    def test_requests_that_come_byte_by_byte_are_answered_the_same(self):
        wire = b"POST /topics/a HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhiGET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n"
        with connect(self.server.address) as peer:
            for byte in wire:
                peer.sendall(bytes([byte]))
            first, rest = read_answer(peer)
            second, rest = read_answer(peer, rest)
            self.assertEqual((first.status, second.status, rest), (202, 404, b""))

    def test_who_asks_to_close_is_closed_to(self):
        for request in (b"POST /topics/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                        b"POST /topics/a HTTP/1.0\r\nContent-Length: 0\r\n\r\n"):
            response = exchange(self.server.address, request)
            self.assertEqual((response.status, response.headers["connection"]), (202, "close"))

    def test_an_old_client_may_ask_to_stay(self):
        self.ask(b"POST /topics/a HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")

    def test_a_connection_without_a_next_request_ends_in_silence(self):
        with Server("--workers", 1, "--handshake-timeout", "2s") as server, connect(server.address) as peer:
            started = time.monotonic()
            peer.sendall(b"POST /topics/a HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
            response, rest = read_answer(peer)
            self.assertEqual(rest + read_until_closed(peer), b"")
            self.assertGreater(time.monotonic() - started, 1.5)
            self.assertEqual(server.metric("holdfast_refused_total", reason="timeout"), 0)

    def test_who_leaves_between_two_requests_did_nothing_wrong(self):
        before = self.server.metric("holdfast_refused_total", reason="peer_left")
        with connect(self.server.address) as peer:
            peer.sendall(b"POST /topics/a HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
            read_answer(peer)
        time.sleep(0.2)
        self.assertEqual(self.server.metric("holdfast_refused_total", reason="peer_left"), before)

    def test_who_asks_and_does_not_read_is_cut(self):
        """Answers that are not taken are bounded, and so is what they cost."""
        before = self.server.metric("holdfast_refused_total", reason="pipelining")
        with connect(self.server.address) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.settimeout(0.5)
            request = b"GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n" * 1000
            with contextlib.suppress(TimeoutError, ConnectionError):
                for _ in range(1000):
                    peer.sendall(request)
            eventually(lambda: self.server.metric("holdfast_refused_total", reason="pipelining") == before + 1)
            self.assertLess(self.server.metric("holdfast_queued_bytes"), 2 * 1024 * 1024)


class Bodies(Edge):
    def post(self, head, body):
        return b"POST /topics/body HTTP/1.1\r\nHost: t\r\n" + head + b"\r\n" + body

    def test_a_body_in_chunks_is_joined(self):
        with Peer(self.server, "/topics/body") as subscriber:
            wire = self.post(b"Transfer-Encoding: chunked\r\n", b"4\r\nhold\r\n4;x=\"y\"\r\nfast\r\n0\r\nTrailer: t\r\n\r\n")
            self.assertEqual(self.ask(wire).status, 202)
            self.assertEqual(subscriber.read()[1], b"holdfast")
            with connect(self.server.address) as peer:
                for byte in wire:
                    peer.sendall(bytes([byte]))
                self.assertEqual(read_answer(peer)[0].status, 202)
            self.assertEqual(subscriber.read()[1], b"holdfast")

    def test_a_message_whose_length_can_be_read_in_two_ways_is_refused(self):
        for head, body in (
            (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
            (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
            (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"abcde"),
            (b"Content-Length: 5, 5\r\n", b"abcde"),
            (b"Content-Length: +5\r\n", b"abcde"),
            (b"Content-Length: 0x5\r\n", b"abcde"),
            (b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
            (b"Transfer-Encoding: xchunked, chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
            (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
            (b"Transfer-Encoding: chunked\r\n", b"0\n\n"),
            (b"Transfer-Encoding: chunked\r\n", b"5\r\nabcdeX\r\n"),
            (b"Transfer-Encoding: chunked\r\n", b"-1\r\n\r\n"),
            (b"Transfer-Encoding: chunked\r\n", b"0\r\nX: a\r\n folded\r\n\r\n"),
        ):
            with self.subTest(head=head, body=body):
                response = exchange(self.server.address, self.post(head, body))
                self.assertEqual(response.status, 400)
                self.assertEqual(response.headers["connection"], "close")

    def test_another_coding_is_not_implemented(self):
        self.assertEqual(exchange(self.server.address, self.post(b"Transfer-Encoding: gzip, chunked\r\n", b"")).status, 501)

    def test_a_body_beyond_the_limit_gets_413_however_it_comes(self):
        self.assertEqual(exchange(self.server.address, self.post(b"Content-Length: 4097\r\n", b"")).status, 413)
        self.assertEqual(exchange(self.server.address, self.post(b"Transfer-Encoding: chunked\r\n", b"1001\r\n")).status, 413)
        chunks = b"100\r\n" + b"x" * 256 + b"\r\n"
        self.assertEqual(exchange(self.server.address, self.post(b"Transfer-Encoding: chunked\r\n", chunks * 17)).status, 413)
        self.assertEqual(self.ask(self.post(b"Transfer-Encoding: chunked\r\n", chunks * 16 + b"0\r\n\r\n")).status, 202)


class Heads(Edge):
    def test_lines_that_others_may_read_otherwise_are_refused(self):
        for head in (b"X: a\r\n folded\r\n", b"X: a\r\n\tfolded\r\n", b"X: a\nY: b\r\n", b"X: a\rY: b\r\n", b" X: a\r\n", b"X : a\r\n",
                     b": a\r\n", b"X\r\n", b"X: a\0b\r\n", b"Host: other\r\n"):
            with self.subTest(head=head):
                self.assertEqual(exchange(self.server.address, b"GET /echo HTTP/1.1\r\nHost: t\r\n" + head + b"\r\n").status, 400)
        self.assertEqual(exchange(self.server.address, b"GET /echo HTTP/1.1\r\n\r\n").status, 400)

    def test_so_many_fields_and_no_more(self):
        fields = b"".join(b"X-%d: y\r\n" % i for i in range(19))
        self.assertEqual(self.ask(b"GET /echo HTTP/1.1\r\nHost: t\r\n" + fields + b"\r\n").status, 426)
        response = exchange(self.server.address, b"GET /echo HTTP/1.1\r\nHost: t\r\n" + fields + b"One: more\r\n\r\n")
        self.assertEqual(response.status, 431)

    def test_so_many_bytes_and_no_more(self):
        start = b"GET /echo HTTP/1.1\r\nHost: t\r\nX: "
        self.assertEqual(self.ask(start + b"x" * (2048 - len(start) - 4) + b"\r\n\r\n").status, 426)
        self.assertEqual(exchange(self.server.address, start + b"x" * (2048 - len(start) - 3) + b"\r\n\r\n").status, 431)

    def test_every_answer_is_dated(self):
        for request in (b"GET /echo HTTP/1.1\r\nHost: t\r\n\r\n", b"POST /topics/a HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n"):
            began = time.time()
            date = email.utils.parsedate_to_datetime(self.ask(request).headers["date"]).timestamp()
            self.assertTrue(began - 3 < date < time.time() + 3, date)
        self.assertIn("date", exchange(self.server.address, b"nonsense\r\n\r\n").headers)


class Methods(Edge):
    def test_head_is_get_without_its_body(self):
        for path in ("/healthz", "/readyz", "/metrics", "/stats", "/nowhere"):
            with self.subTest(path=path):
                got = self.ask(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode(), self.server.admin)
                head = self.ask(f"HEAD {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode(), self.server.admin, head=True)
                self.assertEqual(head.status, got.status)
                self.assertEqual(head.headers.keys(), got.headers.keys())
                self.assertEqual(head.headers.get("content-type"), got.headers.get("content-type"))
                self.assertGreater(int(head.headers["content-length"]), 0)
        self.assertEqual(self.ask(b"HEAD /echo HTTP/1.1\r\nHost: t\r\n\r\n", head=True).status, 426)
        self.assertEqual(self.ask(b"HEAD /nowhere HTTP/1.1\r\nHost: t\r\n\r\n", head=True).status, 404)
        self.assertEqual(self.ask(b"HEAD /topics/a HTTP/1.1\r\nHost: t\r\n\r\n", head=True).status, 426)
        for path, status in (("/echo", 405), ("/nowhere", 404)):  # those end the connection, so that all is read
            answer = exchange(self.server.address, upgrade_request(path, method="HEAD"))
            self.assertEqual((answer.status, answer.body), (status, b""))
            self.assertGreater(int(answer.headers["content-length"]), 0)
        answer = exchange(self.server.address, b"HEAD /nowhere HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        self.assertEqual((answer.status, answer.body), (404, b""))

    def test_options_names_the_methods_of_a_path(self):
        for path, allowed, address in (("/echo", "GET, HEAD, OPTIONS", None), ("*", "GET, HEAD, OPTIONS", None),
                                       ("/topics/a", "GET, HEAD, POST, OPTIONS", None),
                                       ("/metrics", "GET, HEAD, OPTIONS", self.server.admin)):
            response = self.ask(f"OPTIONS {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode(), address)
            self.assertEqual((response.status, response.headers["allow"]), (204, allowed))
            self.assertNotIn("content-length", response.headers)
        self.assertEqual(self.ask(b"OPTIONS /nowhere HTTP/1.1\r\nHost: t\r\n\r\n").status, 404)

    def test_another_method_is_told_the_right_ones(self):
        for method in ("PUT", "DELETE", "PATCH", "TRACE"):
            for path, allowed in (("/echo", "GET, HEAD, OPTIONS"), ("/topics/a", "GET, HEAD, POST, OPTIONS")):
                response = self.ask(f"{method} {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
                self.assertEqual((response.status, response.headers["allow"]), (405, allowed))


class Expectations(Edge):
    HEAD = b"POST /topics/a HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"

    def test_who_waits_for_100_is_told_to_go_on(self):
        for head, body in ((self.HEAD, b"hi"), (self.HEAD.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"), b"2\r\nhi\r\n0\r\n\r\n"),
                           (self.HEAD.replace(b"100-c", b"100-C"), b"hi")):
            with connect(self.server.address) as peer:
                peer.sendall(head)
                response, rest = read_answer(peer)
                self.assertEqual((response.status, rest), (100, b""))
                peer.sendall(body)
                response, rest = read_answer(peer)
                self.assertEqual((response.status, rest), (202, b""))

    def test_who_does_not_wait_gets_the_answer_alone(self):
        self.assertEqual(self.ask(self.HEAD + b"hi").status, 202)
        self.assertEqual(self.ask(self.HEAD.replace(b"Length: 2", b"Length: 0")).status, 202)

    def test_who_would_be_refused_is_refused_before_the_body(self):
        for wrong, status in ((self.HEAD.replace(b"/topics/a", b"/nowhere"), 404), (self.HEAD.replace(b"Length: 2", b"Length: 9999"), 413)):
            response = exchange(self.server.address, wrong)
            self.assertEqual(response.status, status)

    def test_a_client_of_http_1_0_knows_no_100(self):
        with connect(self.server.address) as peer:
            peer.sendall(self.HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"))
            peer.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                peer.recv(1)
            peer.settimeout(PATIENCE)
            peer.sendall(b"hi")
            self.assertEqual(Response(read_until_closed(peer)).status, 202)


class WebPages(unittest.TestCase):
    """Which pages may publish from a browser."""

    PAGE = "https://page.example"

    def publish(self, server, origin, host="test"):
        extra = f"Origin: {origin}\r\n" if origin else ""
        wire = f"POST /topics/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{extra}Content-Length: 0\r\n\r\n"
        return exchange(server.address, wire.encode())

    def ask_before(self, server, origin):
        return exchange(server.address, (
            f"OPTIONS /topics/a HTTP/1.1\r\nHost: test\r\nConnection: close\r\nOrigin: {origin}\r\n"
            "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n").encode())

    def test_pages_of_other_sites_may_not_publish_unless_listed(self):
        with Server("--workers", 1) as server:
            self.assertEqual(self.publish(server, None).status, 202)
            for origin in (self.PAGE, "null", "http://test.example", "http://"):
                response = self.publish(server, origin)
                self.assertEqual(response.status, 403, origin)
                self.assertNotIn("access-control-allow-origin", response.headers)
            self.assertEqual(self.publish(server, "http://test:8080", "test:8080").status, 202)
            self.assertNotIn("access-control-allow-origin", self.ask_before(server, self.PAGE).headers)

    def test_a_listed_page_is_told_so_before_and_after(self):
        with Server("--workers", 1, "--cors-origins", f"{self.PAGE},http://localhost:3000") as server:
            before = self.ask_before(server, self.PAGE)
            self.assertEqual(before.status, 204)
            self.assertEqual(before.headers["access-control-allow-origin"], self.PAGE)
            self.assertIn("POST", before.headers["access-control-allow-methods"])
            self.assertIn("Authorization", before.headers["access-control-allow-headers"])
            self.assertEqual(before.headers["vary"], "Origin")
            response = self.publish(server, "http://localhost:3000")
            self.assertEqual((response.status, response.headers["access-control-allow-origin"]), (202, "http://localhost:3000"))
            self.assertEqual(self.publish(server, "https://other.example").status, 403)
            self.assertNotIn("access-control-allow-origin", self.ask_before(server, "https://other.example").headers)

    def test_all_pages_may_when_all_are_listed_but_a_token_is_a_token(self):
        with Server("--workers", 1, "--cors-origins", "*", env={"HOLDFAST_PUBLISH_TOKEN": "s3cret"}) as server:
            self.assertEqual(self.ask_before(server, self.PAGE).headers["access-control-allow-origin"], "*")
            response = self.publish(server, self.PAGE)
            self.assertEqual((response.status, response.headers["access-control-allow-origin"]), (401, "*"))


if __name__ == "__main__":
    unittest.main()
