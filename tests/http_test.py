"""What a peer gets whose request is not what the server wants: over raw sockets, byte for byte."""

import ssl
import time
import unittest

from harness import *


class Served(unittest.TestCase):
    """Whatever was sent, others are served."""

    handshake_timeout = "2m"

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", 1, "--handshake-timeout", cls.handshake_timeout, "--head-bytes-max", 2048)

    @classmethod
    def tearDownClass(cls):
        cls.server.end()

    def tearDown(self):
        with eventually(self.try_peer) as peer:
            peer.send(frame(TEXT, b"still here"))
            self.assertEqual(peer.read()[1], b"still here")

    def try_peer(self):
        with contextlib.suppress(ConnectionRefusedError):  # its own time may have been up before it spoke
            return Peer(self.server, "/echo")
        return None


class Refusals(Served):
    def refused(self, status, request):
        response = exchange(self.server.address, request)
        self.assertEqual(response.status, status, response.status_line)
        return response

    def test_an_unknown_path_gets_404(self):
        self.refused(404, upgrade_request("/nowhere"))
        self.refused(404, b"GET /nowhere HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")

    def test_a_wrong_method_gets_405_with_the_right_ones(self):
        response = self.refused(405, b"DELETE /topics/news HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        self.assertIn("POST", response.headers["allow"])
        response = self.refused(405, b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.assertIn("GET", response.headers["allow"])
        self.refused(405, upgrade_request("/", method="POST"))

    def test_a_wrong_version_gets_426_with_the_right_one(self):
        for version in ("8", "14", "x"):
            response = self.refused(426, upgrade_request(version=version))
            self.assertEqual(response.headers["sec-websocket-version"], "13")

    def test_a_plain_get_of_an_endpoint_is_told_to_upgrade(self):
        response = self.refused(426, b"GET /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        self.assertEqual(response.headers["upgrade"].lower(), "websocket")

    def test_a_malformed_request_gets_400(self):
        for request in (
            b"GARBAGE\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
            b"GET / HTTP/1.1\nHost: test\n\n",
            b"GET / HTTP/1.1\r\nHost: test\r\nX: a\r\n folded\r\n\r\n",
            b"POST /topics/a HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /topics/a HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            upgrade_request(key="tooshort"),
            b"\x00\x01\x02\x03\r\n\r\n",
        ):
            with self.subTest(request=request):
                self.refused(400, request)

    def test_a_head_that_is_too_large_gets_431(self):
        self.refused(431, b"GET / HTTP/1.1\r\nHost: test\r\nCookie: " + b"x" * 4000 + b"\r\n\r\n")
        self.refused(431, b"GET /" + b"x" * 4000)

    def test_a_tls_client_on_the_plain_port_is_told_at_once(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        started = time.monotonic()
        with connect(self.server.address) as peer:
            with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                context.wrap_socket(peer)
        self.assertLess(time.monotonic() - started, PATIENCE, "it had to wait for the deadline")

    def test_an_upgrade_whose_first_frames_come_with_it_is_answered_whole(self):
        with connect(self.server.address) as peer:
            peer.sendall(upgrade_request("/echo") + frame(TEXT, b"early") + frame(CLOSE, close_payload(1000)))
            data = read_until_closed(peer)
        head, _, rest = data.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)
        self.assertEqual(rest, b"\x81\x05early\x88\x02\x03\xe8")

    def test_an_upgrade_that_comes_byte_by_byte_is_taken(self):
        with connect(self.server.address) as peer:
            for byte in upgrade_request("/echo"):
                peer.sendall(bytes([byte]))
            self.assertTrue(peer.recv(4096).startswith(b"HTTP/1.1 101 "))

    def test_the_query_is_no_part_of_the_path(self):
        with Peer(self.server, "/echo?token=abc") as peer:
            peer.send(frame(TEXT, b"x"))
            self.assertEqual(peer.read()[1], b"x")

    def test_a_peer_that_leaves_in_the_middle_costs_nothing(self):
        for request in (b"", b"G", upgrade_request()[:50], upgrade_request() + frame(TEXT, b"abc")[:4]):
            with connect(self.server.address) as peer:
                peer.sendall(request)
        eventually(lambda: self.server.connections() == 0)


class Deadlines(Served):
    handshake_timeout = "3s"

    def test_a_slow_head_gets_408_at_the_deadline(self):
        started = time.monotonic()
        with connect(self.server.address) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: t")
            response = Response(read_until_closed(peer))
        self.assertEqual(response.status, 408)
        self.assertGreater(time.monotonic() - started, 2.9)
        self.assertLess(time.monotonic() - started, 8 * SLOWNESS)

    def test_a_head_that_trickles_does_not_move_the_deadline(self):
        started = time.monotonic()
        with connect(self.server.address) as peer:
            peer.settimeout(0.1)
            data = b""
            for byte in upgrade_request() * 10:  # for two minutes
                with contextlib.suppress(ConnectionError):
                    peer.sendall(bytes([byte]))
                with contextlib.suppress(TimeoutError, ConnectionError):
                    piece = peer.recv(65536)
                    data += piece
                    if not piece:
                        break
                if time.monotonic() - started > 8 * SLOWNESS:
                    break
        self.assertLess(time.monotonic() - started, 8 * SLOWNESS)
        self.assertIn(b" 408 ", data[:20])

    def test_a_peer_that_says_nothing_at_all_is_let_go_at_the_deadline(self):
        started = time.monotonic()
        with connect(self.server.address) as peer:
            read_until_closed(peer)
        self.assertLess(time.monotonic() - started, 8 * SLOWNESS)


class OverTheLimit(unittest.TestCase):
    def test_one_connection_too_many_gets_503_and_room_is_made_by_leaving(self):
        with Server("--workers", 2, "--connections-max", 4, "--retry-after", "7s") as server:
            peers = [Peer(server) for _ in range(4)]
            response = exchange(server.address, upgrade_request())
            self.assertEqual(response.status, 503)
            self.assertEqual(response.headers["retry-after"], "7")
            peers.pop().socket.close()
            peers.append(eventually(lambda: self.try_peer(server), message="the place was not given back"))
            for peer in peers:
                peer.socket.close()

    @staticmethod
    def try_peer(server):
        try:
            return Peer(server)
        except ConnectionRefusedError:
            return None

    def test_one_address_may_have_only_so_many(self):
        with Server("--connections-per-ip-max", 2) as server:
            peers = [Peer(server) for _ in range(2)]
            self.assertEqual(exchange(server.address, upgrade_request()).status, 503)
            elsewhere = socket.create_connection(server.address, 10, source_address=("127.0.0.9", 0))
            with contextlib.closing(elsewhere):
                elsewhere.sendall(upgrade_request())
                self.assertIn(b" 101 ", elsewhere.recv(4096))
            for peer in peers:
                peer.socket.close()

    def test_so_many_handshakes_in_a_second_and_no_more(self):
        with Server("--workers", 1, "--handshakes-per-second-max", 10) as server:
            with contextlib.ExitStack() as closing:  # all at once: the next second lets in the next ten
                peers = [closing.enter_context(connect(server.address)) for _ in range(100)]
                for peer in peers:
                    peer.sendall(upgrade_request())
                statuses = [peer.recv(4096).split()[1] for peer in peers]
            self.assertGreaterEqual(statuses.count(b"101"), 10)
            self.assertGreaterEqual(statuses.count(b"503"), 10)
            time.sleep(1.1)
            with Peer(server):
                pass


if __name__ == "__main__":
    unittest.main()
