"""The real nginx and the real HAProxy in front of the server: what passes through them, whom the server takes its peers for, how many
connections they can carry, and what they make of a drain. Where they are not installed, their tests are skipped (scripts/bootstrap --tests
brings them)."""

import itertools
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

from deflate_test import DeflatePeer, text_of
from harness import *

FRONT = "127.0.0.21"  # where the balancers listen
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
NGINX, HAPROXY, UNSHARE = (shutil.which(name, path=PATH) for name in ("nginx", "haproxy", "unshare"))
MANY = 500 if SANITIZED else 5000
FEW_PORTS = MANY // 5

# Every client has an address of its own: the server lets in one connection for each.
clients = (f"127.5.{number // 250}.{number % 250 + 1}" for number in itertools.count())
ports_given = set()


def free_port():
    """Balancers cannot tell which port the kernel chose. Nobody else is on this address."""
    while True:
        with socket.socket() as probe:
            probe.bind((FRONT, 0))
            port = probe.getsockname()[1]
        if port not in ports_given:
            ports_given.add(port)
            return port


def text(address):
    return f"{address[0]}:{address[1]}"


class Balancer:
    """A program in front, in a folder of its own; it takes connections when the constructor returns."""

    def __init__(self, *fronts):
        self.process = None
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-")
        self.ports = {name: free_port() for name in fronts}

    def start(self, configuration, *command):
        path = pathlib.Path(self.folder.name) / "conf"
        path.write_text(configuration)
        self.complaints = open(f"{self.folder.name}/complaints", "w+")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.process = subprocess.Popen([*command, str(path)], stdin=subprocess.DEVNULL, stdout=self.complaints, stderr=self.complaints,
                                        preexec_fn=with_descriptors(hard))
        try:
            eventually(self._listens, message="the balancer does not listen")
        except AssertionError as error:
            self.__exit__()
            raise AssertionError(f"{error}\n{self.said}") from None

    def _listens(self):
        try:
            for name in self.ports:
                connect(self.front(name).address, 1).close()
        except OSError:
            return False
        return True

    def front(self, name):
        """As a server that peers connect to."""
        return type("Front", (), {"address": (FRONT, self.ports[name])})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.complaints.seek(0)
            self.said = self.complaints.read()
            self.complaints.close()
        self.folder.cleanup()


class Nginx(Balancer):
    """fronts: {name: (upstream addresses, lines of its location)}."""

    def __init__(self, fronts):
        super().__init__(*fronts)
        parts = [self._part(name, *what) for name, what in fronts.items()]
        temporary = "".join(f"{kind}_temp_path {self.folder.name}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # Without a master nothing outlives the one process. `user`: whoever is root in a namespace may know nobody else there.
        user = "user root root;" if os.geteuid() == 0 else ""
        self.start(f"""
            {user} daemon off; master_process off; pid {self.folder.name}/pid; error_log stderr error;
            events {{ worker_connections {2 * MANY + 1000}; }}
            http {{ access_log off; {temporary} {"".join(parts)} }}""", NGINX, "-p", self.folder.name, "-e", "stderr", "-c")

    def _part(self, name, upstreams, lines):
        return f"""
            upstream {name} {{ {"".join(f"server {upstream};" for upstream in upstreams)} }}
            server {{
              listen {FRONT}:{self.ports[name]} backlog=4096;
              location / {{
                proxy_pass http://{name};
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection $http_connection;
                {lines}
              }}
            }}"""


class HAProxy(Balancer):
    """fronts: {name: (mode, lines of its proxy)}."""

    def __init__(self, fronts, timeouts="timeout client 2m\n timeout server 2m"):
        super().__init__(*fronts)
        self.control = f"{self.folder.name}/control"
        parts = [f"listen {name}\n mode {mode}\n bind {FRONT}:{self.ports[name]}\n{textwrap.indent(lines, ' ')}\n"
                 for name, (mode, lines) in fronts.items()]
        self.start(f"global\n nbthread 1\n stats socket {self.control}\ndefaults\n timeout connect 20s\n {timeouts}\n{''.join(parts)}",
                   HAPROXY, "-db", "-f")

    def _listens(self):
        try:
            return super()._listens() and bool(self.states())  # the control comes last
        except OSError:
            return False

    def states(self):
        """{server: "UP" or "DOWN"}"""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(self.control)
            control.sendall(b"show stat\n")
            rows = [row.split(",") for row in read_until_closed(control).decode().splitlines() if row]
        state = rows[0].index("status")
        return {row[1]: row[state].split()[0] for row in rows[1:] if row[1] not in ("FRONTEND", "BACKEND")}


class SocketFolder:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-")
        return f"{self.folder.name}/holdfast.sock"

    def __exit__(self, *_):
        self.folder.cleanup()


class Through:
    """What has to work whatever stands in front, and however it tells whom it stands for. Below are those who do."""

    def test_messages_pass_in_both_directions(self):
        for name in self.fronts:
            with self.subTest(name), Peer(self.balancer.front(name), "/echo", source=next(clients)) as peer:
                for size in (0, 5, 60000):
                    peer.send(frame(BINARY, b"x" * size))
                    self.assertEqual(peer.read(), (BINARY, b"x" * size, True))
                peer.send(frame(PING, b"are you there"))
                self.assertEqual(peer.read(), (PONG, b"are you there", True))
                peer.send(frame(CLOSE, close_payload(4001)))
                self.assertEqual(peer.read()[:2], (CLOSE, close_payload(4001)))
                self.assertEqual(read_until_closed(peer.socket), b"")

    def test_compression_passes(self):
        for name in self.fronts:
            with self.subTest(name), DeflatePeer(self.balancer.front(name), source=next(clients)) as peer:
                message = text_of(20000, 7)
                peer.send(peer.message(TEXT, message))
                self.assertEqual(peer.read_message(), (TEXT, message))
                self.assertEqual(peer.compressed, 1)

    def test_what_is_posted_through_it_reaches_those_behind_it(self):
        for name in self.fronts:
            front = self.balancer.front(name)
            with self.subTest(name), Peer(front, f"/topics/{name}", source=next(clients)) as peer:
                answer = post(front.address, f"/topics/{name}", b"news", source=next(clients))
                self.assertEqual(answer.status, 202, answer.status_line)
                self.assertEqual(peer.read()[1], b"news")

    def test_each_client_is_counted_under_its_own_address_and_a_claim_to_another_does_not_help(self):
        for name in self.fronts:
            front = self.balancer.front(name)
            one, other = next(clients), next(clients)
            with self.subTest(name), Peer(front, source=one):
                for claim in ("", "X-Forwarded-For: 192.0.2.1\r\n", "Forwarded: for=192.0.2.1\r\n"):
                    with self.assertRaisesRegex(ConnectionRefusedError, " 503 "):
                        Peer(front, source=one, extra=claim)
                Peer(front, source=other).socket.close()


class Behind(Through):
    """One server with every kind of listener, and one that looks at the other field."""

    @classmethod
    def setUpClass(cls):
        cls.sockets = SocketFolder()
        cls.unix = cls.sockets.__enter__()
        common = ("--workers", 1, "--connections-per-ip-max", 1, "--deflate", "on", "--trusted-proxies", "127.0.0.1,unix")
        cls.server = Server("--listen", f"{HOST}:0,proxy=v1,{HOST}:0,proxy=v2,unix:{cls.unix}", *common)
        cls.plain, cls.one, cls.two = (text(Server._parse(place)) for place in cls.server.ready["listen"].split(",")[:3])
        cls.other = Server("--forwarded-header", "forwarded", *common)
        try:
            cls.balancer = cls.make()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "balancer"):
            cls.balancer.__exit__()
        cls.server.end()
        cls.other.end()
        cls.sockets.__exit__()


@unittest.skipUnless(NGINX, "nginx is not installed")
class BehindNginx(Behind, unittest.TestCase):
    @classmethod
    def make(cls):
        add = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
        cls.fronts = {
            "tcp": ([cls.plain], add),
            "unix": ([f"unix:{cls.unix}"], add),
            "forwarded": ([text(cls.other.address)], 'proxy_set_header Forwarded "$http_forwarded, for=$remote_addr";'),
        }
        return Nginx(cls.fronts)


@unittest.skipUnless(HAPROXY, "HAProxy is not installed")
class BehindHAProxy(Behind, unittest.TestCase):
    @classmethod
    def make(cls):
        set_forwarded = "http-request add-header Forwarded for=%[src]"
        cls.fronts = {
            "v1": ("http", f"server s {cls.one} send-proxy"),
            "v2": ("http", f"server s {cls.two} send-proxy-v2"),
            "tcp_v1": ("tcp", f"server s {cls.one} send-proxy"),
            "tcp_v2": ("tcp", f"server s {cls.two} send-proxy-v2"),
            "tcp_v2_more": ("tcp", f"server s {cls.two} send-proxy-v2 proxy-v2-options unique-id,crc32c\nunique-id-format %{{+X}}o%ci%rt"),
            "field": ("http", f"option forwardfor\nserver s {cls.plain}"),
            "unix": ("http", f"option forwardfor\nserver s unix@{cls.unix}"),
            "forwarded": ("http", f"{set_forwarded}\nserver s {text(cls.other.address)}"),
        }
        return HAProxy(cls.fronts)

    def test_who_comes_past_it_to_its_listener_is_dropped_and_counted(self):
        before = self.server.metric("holdfast_refused_total", reason="proxy_header")
        for place in (self.one, self.two):
            self.assertEqual(exchange(Server._parse(place), upgrade_request("/echo")).status_line, "")
        self.assertEqual(self.server.metric("holdfast_refused_total", reason="proxy_header") - before, 2)


@unittest.skipUnless(NGINX and HAPROXY, "nginx or HAProxy is not installed")
class IdleTimeouts(unittest.TestCase):
    """Both cut what is silent for three seconds here; for a minute or so where nobody has told them otherwise."""

    def held_for(self, peer, seconds):
        """Answers pings; for how long."""
        started = time.monotonic()
        peer.socket.settimeout(0.1)
        while time.monotonic() < started + seconds:
            try:
                if peer.read()[0] == PING:
                    peer.send(frame(PONG))
            except TimeoutError:
                continue
            except (EOFError, ConnectionResetError):
                break
        return time.monotonic() - started

    def test_pings_keep_a_connection_that_would_be_cut(self):
        with Server("--workers", 1, "--ping-interval", "400ms") as pinging, Server("--workers", 1, "--ping-interval", "off") as silent:
            addresses = {"pinging": text(pinging.address), "silent": text(silent.address)}
            nginx = Nginx({name: ([address], "proxy_read_timeout 3s;") for name, address in addresses.items()})
            with nginx, HAProxy({name: ("http", f"server s {address}") for name, address in addresses.items()},
                                "timeout client 3s\n timeout server 3s") as haproxy:
                for balancer in (nginx, haproxy):
                    with Peer(balancer.front("silent")) as peer:
                        self.assertLess(self.held_for(peer, PATIENCE), PATIENCE)
                    with Peer(balancer.front("pinging")) as peer:
                        self.assertGreaterEqual(self.held_for(peer, 5), 5)


@unittest.skipUnless(HAPROXY, "HAProxy is not installed")
class Drain(unittest.TestCase):
    def test_a_balancer_that_asks_readyz_sends_nobody_to_a_server_that_drains(self):
        with Server("--drain-time", "8s") as old, Server() as new:
            servers = "\n".join(f"server {name} {text(server.address)} check addr {server.admin[0]} port {server.admin[1]} "
                                f"inter 200ms fall 1 rise 1" for name, server in (("old", old), ("new", new)))
            lines = f"balance roundrobin\noption httpchk GET /readyz\ntimeout check 20s\noption redispatch 1\nretries 2\n" \
                    f"retry-on conn-failure empty-response 503\n{servers}"
            with HAProxy({"all": ("http", lines)}) as balancer:
                front = balancer.front("all")
                eventually(lambda: balancer.states() == {"old": "UP", "new": "UP"})
                newcomers = peers = ()
                self.addCleanup(lambda: [peer.socket.close() for peer in (*newcomers, *peers)])
                peers = [Peer(front) for _ in range(20)]
                self.assertEqual((old.connections(), new.connections()), (10, 10))
                old.signal(signal.SIGTERM)
                newcomers = []  # none of them is turned away, not even before the balancer has noticed
                while balancer.states()["old"] != "DOWN":
                    newcomers.append(Peer(front))
                    time.sleep(0.005)
                self.assertGreater(old.connections(), 0, "it was noticed too late to tell")
                newcomers += [Peer(front) for _ in range(10)]
                everybody = len(peers) + len(newcomers)
                held_by_new = new.connections()
                self.assertGreaterEqual(held_by_new, 20)
                # The signal may come a moment later than the first newcomers; whom it let in then leaves with the others.
                moments = everybody - held_by_new - 10
                self.assertLessEqual(moments, (len(newcomers) - 10) / 4, "it let newcomers in while it drained")
                self.assertEqual(old.wait(), 0)
                ends = {}

                def all_of_the_old_have_ended():
                    for number, peer in enumerate((*peers, *newcomers)):
                        if number not in ends and (code := self.close_code(peer)):
                            ends[number] = code
                    return len(ends) >= 10 + moments

                eventually(all_of_the_old_have_ended)
                self.assertEqual(list(ends.values()), [1001] * (10 + moments), "those of the other server stay")
                self.assertFalse([number for number in ends if number >= everybody - 10], "they came after it was known to be down")

    @staticmethod
    def close_code(peer):
        """Of a Close that has come; None where the connection lives."""
        peer.socket.settimeout(0.1)
        opcode = PING
        try:
            while opcode == PING:
                opcode, payload, _ = peer.read()
        except TimeoutError:
            return None
        return struct.unpack("!H", payload[:2])[0] if opcode == CLOSE else opcode


def load(url, connections, *more):
    return run("load", url, "--connections", connections, "--rate", 4000, "--in-flight", 100, "--hold", "1s", "--scenario", "echo",
               "--message-rate", "0.5", *more)


@unittest.skipUnless(NGINX, "nginx is not installed")
class ManyThroughNginx(unittest.TestCase):
    def test_over_tcp(self):
        with Server("--workers", 1) as server, Nginx({"tcp": ([text(server.address)], "")}) as nginx:
            done = load(f"ws://{text(nginx.front('tcp').address)}/echo", MANY)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(f"{MANY:,} of {MANY:,}", done.stdout)

    @unittest.skipUnless(UNSHARE, "unshare is not installed")
    def test_a_unix_socket_carries_more_than_nginx_has_ports(self):
        """In a network of its own, where an address has few ports: as many as clients over TCP, all over the unix socket."""
        if subprocess.run([UNSHARE, "-Urn", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no network namespaces here")
        done = subprocess.run([UNSHARE, "-Urn", sys.executable, "-B", __file__, "--in-few-ports"], capture_output=True, text=True,
                              timeout=100 * SLOWNESS, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        opened_by = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(opened_by["unix"], MANY)
        self.assertLessEqual(opened_by["one_port"], FEW_PORTS)
        self.assertGreater(opened_by["one_port"], FEW_PORTS * 0.8)
        self.assertGreater(opened_by["two_ports"], FEW_PORTS * 1.6)


def in_few_ports():
    """Prints how many connections come through nginx, by what lies behind it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, env={"PATH": PATH})
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"40000 {40000 + FEW_PORTS - 1}")
    result = {}
    with SocketFolder() as path, tempfile.TemporaryDirectory() as folder, \
            Server("--workers", 1, "--listen", f"{HOST}:0,{HOST}:0,unix:{path}") as server:
        one, two, three = server.ready["listen"].split(",")[:3]
        with Nginx({"one_port": ([one], ""), "two_ports": ([two, three], ""), "unix": ([f"unix:{path}"], "")}) as nginx:
            for name, connections in (("one_port", 2 * FEW_PORTS), ("two_ports", 2 * FEW_PORTS), ("unix", MANY)):
                report = pathlib.Path(folder, f"{name}.json")
                done = load(f"ws://{text(nginx.front(name).address)}/echo", connections, "--report", report)
                if not report.exists():
                    sys.exit(done.stdout + done.stderr)
                result[name] = json.loads(report.read_text())["opening"]["opened"]
                eventually(lambda: server.connections() == 0, message="connections stay")
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1:] == ["--in-few-ports"]:
        in_few_ports()
    else:
        unittest.main()
