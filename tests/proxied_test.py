"""Who a peer is when somebody stands in between: PROXY headers, forwarded hops, unix sockets, and the limits that count addresses."""

import ctypes
import stat
import tempfile
import unittest

from harness import *

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOOPBACK_PUBLISHES = b"POST /topics/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def line(source, family="TCP4"):
    return f"PROXY {family} {source} 192.0.2.1 50000 443\r\n".encode()


def binary(source=None, more=b""):
    """A header of version 2; LOCAL where no source is given."""
    if source is None:
        return SIGNATURE + b"\x20\x00" + struct.pack("!H", len(more)) + more
    addresses = socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 50000, 443)
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(addresses) + len(more)) + addresses + more


class UnixFolder:
    """A folder for sockets, gone at the end."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-")
        return os.path.join(self.folder.name, "holdfast.sock")

    def __exit__(self, *_):
        self.folder.cleanup()


def connect_unix(path, timeout=PATIENCE):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(timeout)
    peer.connect(path)
    return peer


def open_through(peer, header=b"", path="/", extra=""):
    """The status that an upgrade gets on this connection, behind a header."""
    peer.sendall(header + upgrade_request(path, extra=extra))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = peer.recv(4096)
        if not piece:
            return None
        answer += piece
    return int(answer.split()[1])


class ProxyHeader(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", 1, "--listen", f"{HOST}:0,proxy,{HOST}:0,proxy=v1,{HOST}:0,proxy=v2",
                            "--handshake-timeout", "2m", "--connections-per-ip-max", 3)
        cls.plain, cls.either, cls.one, cls.two = (Server._parse(text) for text in cls.server.ready["listen"].split(","))

    @classmethod
    def tearDownClass(cls):
        cls.server.end()

    def refused(self, reason):
        return self.server.metric("holdfast_refused_total", reason=reason)

    def status(self, address, header, **options):
        with connect(address) as peer:
            try:
                return open_through(peer, header, **options)
            except ConnectionResetError:
                return None

    def test_a_header_of_either_version_is_taken_off(self):
        for header in (line("203.0.113.1"), binary("203.0.113.1"), binary("203.0.113.1", b"\x04\x00\x03abc"), binary(),
                       b"PROXY UNKNOWN\r\n", line("2001:db8::17", "TCP6").replace(b"192.0.2.1", b"2001:db8::1")):
            with self.subTest(header=header), connect(self.either) as peer:
                self.assertEqual(open_through(peer, header, "/echo"), 101)
                peer.sendall(frame(TEXT, b"hello"))
                self.assertEqual(peer.recv(100), b"\x81\x05hello")

    def test_a_header_may_come_in_pieces_of_every_size(self):
        for header in (line("203.0.113.2"), binary("203.0.113.2", b"\x04\x00\x03abc")):
            wire = header + upgrade_request("/echo")
            for at in range(1, len(header) + 1):
                with connect(self.either) as peer:
                    peer.sendall(wire[:at])
                    time.sleep(0.002)
                    peer.sendall(wire[at:])
                    self.assertTrue(peer.recv(100).startswith(b"HTTP/1.1 101 "), at)
            with connect(self.either) as peer:
                for byte in wire:
                    peer.sendall(bytes([byte]))
                self.assertTrue(peer.recv(100).startswith(b"HTTP/1.1 101 "))

    def test_a_connection_without_a_right_header_is_dropped_without_a_word_and_counted(self):
        before = self.refused("proxy_header")
        wrong = (b"", line("203.0.113.1").replace(b"443", b"99999"), binary("203.0.113.1").replace(b"\x21", b"\x31"), b"\x16\x03\x01")
        for header in wrong:
            self.assertIsNone(self.status(self.either, header), header)
        self.assertIsNone(self.status(self.one, binary("203.0.113.1")))
        self.assertIsNone(self.status(self.two, line("203.0.113.1")))
        self.assertEqual(self.status(self.one, line("203.0.113.1")), 101)
        self.assertEqual(self.status(self.two, binary("203.0.113.1")), 101)
        self.assertEqual(self.refused("proxy_header") - before, len(wrong) + 2)

    def test_on_a_plain_listener_a_header_is_no_request(self):
        self.assertEqual(exchange(self.plain, line("203.0.113.1") + upgrade_request()).status, 400)

    def test_a_header_that_does_not_come_in_time_ends_the_connection(self):
        with Server("--workers", 1, "--handshake-timeout", "500ms", listen=f"{HOST}:0,proxy") as server:
            started = time.monotonic()
            for start in (b"", b"PROXY TCP4 203."):
                with connect(server.address) as peer:
                    peer.sendall(start)
                    self.assertEqual(read_until_closed(peer), b"")
            self.assertLess(time.monotonic() - started, 5 * SLOWNESS)
            self.assertEqual(server.metric("holdfast_refused_total", reason="timeout"), 2)

    def test_one_deadline_covers_header_and_request(self):
        with Server("--workers", 1, "--handshake-timeout", "3s", listen=f"{HOST}:0,proxy") as server, connect(server.address) as peer:
            started = time.monotonic()
            time.sleep(0.3)
            peer.sendall(line("203.0.113.1"))
            self.assertEqual(Response(read_until_closed(peer)).status, 408)
            self.assertLess(time.monotonic() - started, 8 * SLOWNESS)

    def test_limits_count_the_client_and_not_the_balancer(self):
        before = self.refused("per_ip")
        held = []
        for client in ("203.0.113.8", "203.0.113.9"):
            for _ in range(3):
                held.append(connect(self.either))
                self.assertEqual(open_through(held[-1], line(client)), 101)
            self.assertEqual(self.status(self.either, binary(client)), 503)
        self.assertEqual(self.refused("per_ip") - before, 2)
        held.pop().close()
        eventually(lambda: self.status(self.either, line("203.0.113.9")) == 101, message="the place was not given back")
        for peer in held:
            peer.close()

    def test_a_client_far_away_is_not_on_this_machine(self):
        """Without a token only loopback may publish: the client's, not the balancer's."""
        for header, status in ((line("203.0.113.1"), 403), (binary("203.0.113.1"), 403), (line("127.0.0.1"), 202), (binary(), 202)):
            with connect(self.either) as peer:
                peer.sendall(header + LOOPBACK_PUBLISHES)
                self.assertEqual(Response(read_until_closed(peer)).status, status, header)


class ForwardedHops(unittest.TestCase):
    def statuses(self, server, hops, field="X-Forwarded-For"):
        """What upgrades get whose proxy names these hops; they stay open."""
        result = []
        for hop in hops:
            peer = connect(server.address)
            self.held.append(peer)
            result.append(open_through(peer, extra=f"{field}: {hop}\r\n" if hop else ""))
        return result

    def setUp(self):
        self.held = []

    def tearDown(self):
        for peer in self.held:
            peer.close()

    def publish(self, server, extra):
        wire = LOOPBACK_PUBLISHES.replace(b"\r\n\r\n", f"\r\n{extra}\r\n".encode())
        return exchange(server.address, wire).status

    def test_a_trusted_proxys_word_counts(self):
        with Server("--workers", 1, "--trusted-proxies", "127.0.0.0/8,10.0.0.0/8", "--connections-per-ip-max", 2) as server:
            hops = ["203.0.113.7", "9.9.9.9, 203.0.113.7, 10.0.0.2", "198.51.100.1"]
            self.assertEqual(self.statuses(server, hops), [101] * 3)
            self.assertEqual(self.statuses(server, ["1.2.3.4, 203.0.113.7", "198.51.100.1", "198.51.100.1:4711"]), [503, 101, 503])
            self.assertEqual(server.metric("holdfast_refused_total", reason="per_ip"), 2)
            self.assertEqual(self.publish(server, "X-Forwarded-For: 203.0.113.7\r\n"), 403)
            self.assertEqual(self.publish(server, "X-Forwarded-For: 127.0.0.1, 203.0.113.7\r\n"), 403)
            self.assertEqual(self.publish(server, ""), 202)

    def test_a_strangers_word_does_not(self):
        with Server("--workers", 1, "--trusted-proxies", "10.0.0.0/8", "--connections-per-ip-max", 2) as server:
            self.assertEqual(self.statuses(server, ["203.0.113.1", "203.0.113.2", "203.0.113.3"]), [101, 101, 503])
            for peer in self.held:
                peer.close()
            eventually(lambda: server.connections() == 0)
            self.assertEqual(self.publish(server, "X-Forwarded-For: 203.0.113.7\r\n"), 202)

    def test_the_field_is_the_one_that_was_chosen(self):
        with Server("--workers", 1, "--trusted-proxies", "127.0.0.0/8", "--forwarded-header", "forwarded",
                    "--connections-per-ip-max", 1) as server:
            hops = ['for="[2001:db8::17]:4711";proto=https', "for=127.0.0.1, for=203.0.113.7"]
            self.assertEqual(self.statuses(server, hops, "Forwarded"), [101, 101])
            self.assertEqual(self.statuses(server, ["For=203.0.113.7"], "Forwarded"), [503])
            self.assertEqual(self.publish(server, "X-Forwarded-For: 203.0.113.7\r\n"), 202)
            self.assertEqual(self.publish(server, "Forwarded: for=203.0.113.7\r\n"), 403)


class ExactLimits(unittest.TestCase):
    def test_every_address_has_its_own_share(self):
        """A thousand addresses with one connection each, and none is taken for another."""
        # Nobody's time is up while the others come.
        with Server("--workers", 2, "--connections-per-ip-max", 1, "--handshake-timeout", "5m", "--ping-interval", "off") as server:
            held = []
            for number in range(1000):
                source = f"127.{number // 200 + 1}.{number % 200}.9"
                held.append(socket.create_connection(server.address, PATIENCE, source_address=(source, 0)))
            for peer in held:
                self.assertEqual(open_through(peer), 101)
            for number in (0, 500, 999):
                source = held[number].getsockname()[0]
                with socket.create_connection(server.address, PATIENCE, source_address=(source, 0)) as peer:
                    self.assertEqual(open_through(peer), 503)
            for peer in held:
                peer.close()


class UnixSocket(unittest.TestCase):
    def test_peers_come_in_and_the_file_goes_with_the_server(self):
        with UnixFolder() as path:
            with Server("--workers", 2, "--drain-time", 0, "--listen", f"unix:{path},mode=0620") as server:
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o620)
                self.assertIn(f"unix:{path}", server.ready["listen"])
                with connect_unix(path) as peer:
                    self.assertEqual(open_through(peer, path="/echo"), 101)
                    peer.sendall(frame(TEXT, b"x" * 60000))
                    received = b""
                    while len(received) < 60004 and (piece := peer.recv(65536)):
                        received += piece
                    self.assertEqual(received[4:], b"x" * 60000)
                with connect_unix(path) as peer:
                    peer.sendall(LOOPBACK_PUBLISHES)
                    self.assertEqual(Response(read_until_closed(peer)).status, 403, "the peer is a proxy, most likely")
                server.signal(signal.SIGTERM)
                self.assertEqual(server.wait(), 0)
            self.assertFalse(os.path.exists(path))

    def test_a_dead_servers_socket_is_replaced_and_a_living_ones_is_not(self):
        with UnixFolder() as path:
            with Server("--workers", 1, "--listen", f"unix:{path}") as server:
                server.process.kill()  # under sanitizers the end would be a gentle one
            self.assertTrue(os.path.exists(path))
            with Server("--workers", 1, "--listen", f"unix:{path}"):
                second = run("serve", "--listen", f"unix:{path}", "--admin", "off")
                self.assertEqual(second.returncode, 1)
                self.assertIn(path, second.stderr)
                self.assertIn("another server listens on it", second.stderr)
                with connect_unix(path) as peer:
                    self.assertEqual(open_through(peer), 101)

    def test_a_server_that_cannot_start_leaves_no_socket(self):
        with UnixFolder() as path, socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            done = run("serve", "--listen", f"unix:{path}", "--listen", f"{HOST}:{taken.getsockname()[1]}", "--admin", "off")
            self.assertEqual(done.returncode, 1)
            self.assertFalse(os.path.exists(path))

    def test_proxies_name_their_clients_by_header_or_by_field(self):
        with UnixFolder() as path:
            with Server("--workers", 1, "--listen", f"unix:{path},proxy", "--connections-per-ip-max", 1) as server:
                with connect_unix(path) as one, connect_unix(path) as two, connect_unix(path) as other:
                    self.assertEqual(open_through(one, line("203.0.113.7")), 101)
                    self.assertEqual(open_through(two, binary("203.0.113.7")), 503)
                    self.assertEqual(open_through(other, binary("203.0.113.8")), 101)
            pathlib.Path(path).unlink(missing_ok=True)  # under sanitizers it ended gently
            with Server("--workers", 1, "--listen", f"unix:{path}", "--connections-per-ip-max", 1, "--trusted-proxies", "unix"):
                with connect_unix(path) as one, connect_unix(path) as two, connect_unix(path) as other:
                    self.assertEqual(open_through(one, extra="X-Forwarded-For: 203.0.113.7\r\n"), 101)
                    self.assertEqual(open_through(two, extra="X-Forwarded-For: 203.0.113.7\r\n"), 503)
                    self.assertEqual(open_through(other, extra="X-Forwarded-For: 203.0.113.8\r\n"), 101)

    def spread(self, workers, connections, pause=0.0):
        """Connections for each worker, most over mean."""
        with UnixFolder() as path, Server("--workers", workers, "--listen", f"unix:{path}", "--ping-interval", "off") as server:
            held = []
            for _ in range(connections):
                held.append(connect_unix(path))
                held[-1].sendall(upgrade_request())
                if pause:
                    time.sleep(pause)
            eventually(lambda: server.connections() == connections, 30)
            counts = server.stats()["connections_per_worker"]
            for peer in held:
                peer.close()
            return max(counts) / (sum(counts) / len(counts)), min(counts) / (sum(counts) / len(counts)), counts

    def test_connections_spread_evenly_over_the_workers(self):
        for workers in (2, 5):
            most, least, counts = self.spread(workers, 3000)
            if not SANITIZED:  # it slows threads so much that some can come too late to nearly all of it
                self.assertLess(most, 1.1, counts)
                self.assertGreater(least, 0.8, counts)

    def test_so_do_connections_that_come_one_by_one(self):
        most, least, counts = self.spread(4, 200, 0.003)
        if not SANITIZED:
            self.assertLess(most, 1.4, counts)
            self.assertGreater(least, 0.6, counts)


class Listeners(unittest.TestCase):
    def test_an_ipv6_wildcard_takes_peers_of_both_kinds(self):
        with Server("--workers", 2, "--listen", "[::]:0") as server:
            port = int(server.ready["listen"].split(",")[1].rsplit(":", 1)[1])
            for host in ("127.0.0.1", "::1"):
                with socket.create_connection((host, port), 10) as peer:
                    self.assertEqual(open_through(peer), 101)

    def test_unless_it_is_to_take_ipv6_alone(self):
        with Server("--workers", 2, "--listen", "[::]:0,ipv6-only") as server:
            port = int(server.ready["listen"].split(",")[1].rsplit(":", 1)[1])
            with socket.create_connection(("::1", port), 10) as peer:
                self.assertEqual(open_through(peer), 101)
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 10)

    def test_a_client_is_one_address_on_either_kind_of_listener(self):
        with Server("--workers", 2, "--listen", "[::]:0", "--connections-per-ip-max", 1) as server:
            port = int(server.ready["listen"].split(",")[1].rsplit(":", 1)[1])
            with socket.create_connection(("127.0.0.1", port), 10) as mapped:
                self.assertEqual(open_through(mapped), 101)
                with socket.create_connection(server.address, 10, source_address=("127.0.0.1", 0)) as plain:
                    self.assertEqual(open_through(plain), 503)

    def test_the_file_may_have_a_table_for_each_listener(self):
        with UnixFolder() as path, tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(f'[[listeners]]\naddress = "{HOST}:0"\nproxy = "v1"\n[[listeners]]\naddress = "unix:{path}"\nmode = "0600"\n')
            file.flush()
            printed = run("serve", "--config", file.name, "--print-config").stdout
            self.assertIn(f'listen = ["{HOST}:0,proxy=v1", "unix:{path},mode=0600"]', printed)
            file.write('colour = "red"\n')
            file.flush()
            done = run("serve", "--config", file.name)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"{file.name}:7:1: unknown key 'colour' of a listener", done.stderr)


class Vanished(unittest.TestCase):
    """A peer whose machine is gone: its own kernel throws away what comes, by a filter on the socket."""

    def vanish(self, peer):
        drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K, 0 bytes
        program = struct.pack("HP", 1, ctypes.addressof(drop_all))
        peer.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER

    def test_a_peer_that_never_acknowledges_is_dropped_after_the_unsent_timeout(self):
        with Server("--workers", 1, "--unsent-timeout", "1s", "--ping-interval", "off") as server:
            with Peer(server, "/topics/gone") as peer, Peer(server, "/topics/other") as healthy:
                self.vanish(peer.socket)
                started = time.monotonic()
                post(server.address, "/topics/gone", b"is anybody there")
                eventually(lambda: server.metric("holdfast_closed_total", reason="reset") == 1)
                self.assertGreater(time.monotonic() - started, 0.5)
                self.assertEqual(server.connections(), 1)
                post(server.address, "/topics/other", b"here I am")
                self.assertEqual(healthy.read()[1], b"here I am")


if __name__ == "__main__":
    unittest.main()
