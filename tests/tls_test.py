"""wss:// with other people's clients: OpenSSL's s_client, curl, Python, Node. Keys and certificates are made for each run."""

import base64
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BINARY, HOST, PATIENCE, ROOT, SANITIZED, SLOWNESS, TEXT, Peer, Response, Server, connect, eventually, frame, upgrade_request

FOLDER = tempfile.TemporaryDirectory(prefix="holdfast_tls_")
UPGRADED = b"HTTP/1.1 101"


def certificate(name, hosts=f"DNS:localhost,IP:{HOST}"):
    """The files of a certificate that signs itself, and of its key."""
    files = [str(pathlib.Path(FOLDER.name) / f"{name}.{kind}") for kind in ("cert", "key")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-out", files[0], "-keyout", files[1], "-subj", f"/CN={name}", "-addext", f"subjectAltName={hosts}"],
        check=True,
        capture_output=True,
    )
    return files


def signed(name, authority, days=2):
    """The files of a client's certificate that an authority signed, and of its key."""
    stem = pathlib.Path(FOLDER.name) / name
    files = [f"{stem}.cert", f"{stem}.key"]
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/O=Example/CN={name}"]
    subprocess.run([*new, "-keyout", files[1], "-out", f"{stem}.csr"], check=True, capture_output=True)
    sign = ["openssl", "x509", "-req", "-in", f"{stem}.csr", "-CA", authority[0], "-CAkey", authority[1], "-days", str(days)]
    subprocess.run([*sign, "-CAcreateserial", "-out", files[0]], check=True, capture_output=True)
    return files


def ticket_key():
    return base64.b64encode(os.urandom(80)).decode() + "\n"


CERT, KEY = certificate("localhost")


def tls_server(*arguments, cert=CERT, key=KEY, **more):
    return Server("--workers", 1, "--tls-cert", cert, "--tls-key", key, *arguments, **more)


def client_context(cert=CERT, **settings):
    context = ssl.create_default_context(cafile=cert)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


class SecurePeer(Peer):
    """A WebSocket client over TLS."""

    def __init__(self, server, path="/echo", context=None, session=None, name="localhost"):
        self.socket = (context or client_context()).wrap_socket(connect(server.address), server_hostname=name, session=session)
        self.buffer = b""
        try:
            self.socket.sendall(upgrade_request(path))
            while b"\r\n\r\n" not in self.buffer:
                assert self._fill(), "the server left"
        except (OSError, AssertionError):
            self.socket.close()
            raise
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.response = Response(head + b"\r\n\r\n")
        assert self.response.status == 101, self.response.status_line

    def echo(self, payload):
        self.send(frame(BINARY, payload))
        _, answer, _ = self.read()
        assert answer == payload, "another echo"


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
# What s_client and gnutls-cli show when they have taken a piece.
SHOWN_FOR = {
    GET: b"HTTP/1.1 426",
    b"K\n": b"KEYUPDATE",
    b"k\n": b"KEYUPDATE",
    b"R\n": b"no renegotiation",
    b"Q\n": b"DONE",
    b"^rekey^\n": b"Rekey was completed",
}


def typed_into(command, talk):
    """What a program printed. Each piece of `talk` is typed alone, when the one before was taken: a command must not end another piece."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    shown = bytearray()

    def read():
        while piece := os.read(process.stdout.fileno(), 65536):
            shown.extend(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        for piece in talk:
            sign = SHOWN_FOR[piece]
            before = shown.count(sign)
            with contextlib.suppress(BrokenPipeError):  # it may have left
                process.stdin.write(piece)
                process.stdin.flush()
            try:
                eventually(lambda: shown.count(sign) > before or not reader.is_alive())
            except AssertionError:
                raise AssertionError(f"{piece} was not taken:\n{shown.decode('utf-8', 'replace')}") from None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        reader.join(PATIENCE)
        return shown.decode("utf-8", "replace")
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def s_client(server, talk, *arguments):
    return typed_into(["openssl", "s_client", "-connect", "%s:%d" % server.address, "-CAfile", CERT, *arguments], talk)


def hang_up(server, message):
    """Sends SIGHUP; the line that it brings. That a file has changed may be seen before it, and told as well."""
    server.signal(signal.SIGHUP)
    while (line := server.wait_for_log(message)).get("cause") != "SIGHUP":
        pass
    return line


def replace(path, text):
    """Writes a file that is watched: it is never seen half written."""
    new = pathlib.Path(f"{path}.new")
    new.write_text(text)
    new.replace(path)


class Clients(unittest.TestCase):
    def test_python_talks_in_every_size_and_suite(self):
        with tls_server("--message-bytes-max", "1MiB") as server:
            for size in (0, 1, 125, 126, 4096, 16_384, 70_000, 1_000_000):
                with SecurePeer(server) as peer:
                    peer.echo(os.urandom(size))
                    peer.echo(b"and again")
            self.assertEqual(server.metric("holdfast_tls_established_total"), 8)
            self.assertEqual(server.metric("holdfast_tls_unexpected_total"), 0)
            self.assertEqual(server.metric("holdfast_tls_attached_total"), 0)
            eventually(lambda: server.connections() == 0)

    def test_npm_ws_is_content(self):
        with tls_server("--message-bytes-max", "16MiB", "--fragments-max", 65536, "--queue-bytes-max", "64MiB") as server:
            done = subprocess.run(
                ["node", "--test", ROOT / "tests/ws_client_test.mjs"],
                cwd=ROOT,
                env={**os.environ, "HOLDFAST_URL": "wss" + server.url.removeprefix("ws"), "NODE_EXTRA_CA_CERTS": CERT},
                capture_output=True,
                text=True,
                timeout=90 * SLOWNESS,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            eventually(lambda: server.connections() == 0)

    def test_curl_gets_and_verifies(self):
        with tls_server() as server:
            url = "https://%s:%d/" % server.address
            done = subprocess.run(["curl", "-sSi", "--cacert", CERT, url, url], capture_output=True, text=True, timeout=PATIENCE, check=False)
            self.assertEqual(done.stdout.count("HTTP/1.1 426"), 2, done.stdout + done.stderr)

    def test_s_client_updates_keys_in_both_directions(self):
        with tls_server() as server:
            shown = s_client(server, [GET, b"K\n", GET, b"k\n", GET, b"K\n", b"K\n", GET, b"Q\n"])
            self.assertEqual(shown.count("HTTP/1.1 426"), 4, shown)
            self.assertEqual(shown.count("KEYUPDATE"), 4, shown)
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 0)

    def test_s_client_gets_the_fragments_it_asked_for(self):
        with tls_server() as server:
            shown = s_client(server, [GET, b"Q\n"], "-maxfraglen", "512")
            self.assertIn("HTTP/1.1 426", shown)


    @unittest.skipUnless(shutil.which("gnutls-cli"), "gnutls-cli is not installed (scripts/bootstrap --tests does it)")
    def test_gnutls_updates_keys(self):
        with tls_server() as server:
            shown = typed_into(
                ["gnutls-cli", "--inline-commands", "--x509cafile", CERT, "--verify-hostname", "localhost", "-p", str(server.address[1]), HOST],
                [GET, b"^rekey^\n", GET, b"^rekey^\n", b"^rekey^\n", GET],
            )
            self.assertEqual(shown.count("HTTP/1.1 426"), 3, shown)
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 0)
            self.assertEqual(server.metric("holdfast_tls_unexpected_total"), 0)

    @unittest.skipUnless(shutil.which("java"), "there is no Java here; any JDK of 11 or newer will do")
    def test_java_talks_under_keys_that_end_soon(self):
        # It updates its keys after each so many bytes, and asks for ours: hundreds of KeyUpdates.
        folder = pathlib.Path(FOLDER.name)
        limits = folder / "java.security"
        limits.write_text("jdk.tls.keyLimits=AES/GCM/NoPadding KeyUpdate 2^12, ChaCha20-Poly1305 KeyUpdate 2^12\n")
        with tls_server("--message-bytes-max", "1MiB") as server:
            host, port = server.address
            done = subprocess.run(
                ["java", f"-Djava.security.properties={limits}", "-XX:TieredStopAtLevel=1", ROOT / "tests/TlsClient.java", host, str(port), CERT],
                capture_output=True,
                text=True,
                timeout=60 * SLOWNESS,
                check=False,
            )
            if "NoClassDefFoundError" in done.stderr or "compiler" in done.stderr:
                self.skipTest("this Java runs no sources: it is no JDK of 11 or newer")
            self.assertEqual(done.stdout.strip(), "200 answers", done.stdout + done.stderr)
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 0)
            self.assertEqual(server.metric("holdfast_tls_unexpected_total"), 0)


    @unittest.skipUnless(shutil.which("go"), "there is no Go here; golang-go of Debian will do")
    def test_go_talks_and_resumes(self):
        with tls_server("--message-bytes-max", "1MiB") as server:
            host, port = server.address
            done = subprocess.run(
                ["go", "run", ROOT / "tests/tls_client.go", host, str(port), CERT],
                env={**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOPROXY": "off", "GOCACHE": str(pathlib.Path(FOLDER.name) / "go")},
                capture_output=True,
                text=True,
                timeout=100 * SLOWNESS,
                check=False,
            )
            self.assertEqual(done.stdout.strip(), "16 answers", done.stdout + done.stderr)
            self.assertEqual(server.metric("holdfast_tls_resumed_total"), 1)
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 0)
            self.assertEqual(server.metric("holdfast_tls_unexpected_total"), 0)


class Full(unittest.TestCase):
    """Who is turned away is told so in TLS: a client would take plain text for an attack."""

    def test_a_server_with_as_many_as_it_may_have_answers_503_inside_of_tls(self):
        with tls_server("--connections-max", 1) as server, SecurePeer(server) as held:
            with self.assertRaisesRegex(AssertionError, "503"):
                SecurePeer(server)
            held.echo(b"still served")
            self.assertEqual(server.metric("holdfast_refused_total", reason="connections_max"), 1)

    def test_a_server_without_descriptors_alerts(self):
        # Nobody's time is up while the holes are filled.
        server = tls_server("--handshake-timeout", "5m", "--ping-interval", "off")
        with server, SecurePeer(server) as held, contextlib.ExitStack() as waiting:
            table = max(int(one.name) for one in pathlib.Path("/proc").glob(f"{server.process.pid}/task/*/fd/*"))
            before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (table + 1, before[1]))
            alert = None
            for _ in range(table + 1):  # the first ones fill the holes
                peer = waiting.enter_context(connect(server.address))
                peer.settimeout(0.3)
                with contextlib.suppress(TimeoutError):
                    alert = peer.recv(100)
                    break
            self.assertEqual(alert, b"\x15\x03\x03\0\2\2\x50", "internal_error, fatal (RFC 8446 6)")
            with self.assertRaises(OSError):  # an SSLError, or a reset where the alert met the first flight
                SecurePeer(server)
            held.echo(b"still served")
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
            waiting.close()
            with eventually(lambda: try_peer(server)) as peer:
                peer.echo(b"room again")
            self.assertGreater(server.metric("holdfast_refused_total", reason="descriptors"), 0)


def try_peer(server):
    with contextlib.suppress(OSError, AssertionError):
        return SecurePeer(server)
    return None


class Sessions(unittest.TestCase):
    def test_tickets_resume(self):
        with tls_server() as server:
            context = client_context()
            with SecurePeer(server, context=context) as peer:
                peer.echo(b"first")
                session = peer.socket.session
            self.assertTrue(session.has_ticket)
            with SecurePeer(server, context=context, session=session) as peer:
                self.assertTrue(peer.socket.session_reused)
                peer.echo(b"again")
            self.assertEqual(server.metric("holdfast_tls_resumed_total"), 1)
            self.assertEqual(server.metric("holdfast_tls_unexpected_total"), 0)

    def test_certificates_are_reloaded_without_dropping_anyone(self):
        cert, key = certificate("reloaded")
        with tls_server(cert=cert, key=key) as server, SecurePeer(server, context=client_context(cert)) as old:
            first = pathlib.Path(cert).read_text()
            certificate("reloaded")
            hang_up(server, "certificates reloaded")
            with SecurePeer(server, context=client_context(cert)) as new:
                new.echo(b"new")
                self.assertNotEqual(ssl.DER_cert_to_PEM_cert(new.socket.getpeercert(True)).strip(), first.strip())
            pathlib.Path(cert).write_text("nonsense")
            self.assertIn("reloaded.cert", hang_up(server, "certificates not reloaded")["message"])
            unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
            with SecurePeer(server, context=unchecked) as still:
                still.echo(b"still there")
            old.echo(b"and so am I")

    def test_files_that_change_are_seen_and_bad_ones_change_nothing(self):
        cert, key = certificate("watched")
        with tls_server("--ping-interval", "off", cert=cert, key=key) as server, SecurePeer(server, context=client_context(cert)) as old:
            term = server.metric("holdfast_tls_certificate_not_after_seconds", file=cert, subject="CN=watched")
            self.assertAlmostEqual(term - time.time(), 2 * 86400, delta=300)
            self.assertRegex(server.wait_for_log("certificate expires")["message"], "in [12] days")
            good = pathlib.Path(key).read_text()
            replace(key, pathlib.Path(KEY).read_text())
            self.assertIn("another certificate's", server.wait_for_log("certificates not reloaded")["message"])
            self.assertEqual(server.metric("holdfast_tls_reload_failures_total"), 1)
            replace(key, good)
            server.wait_for_log("certificates reloaded")
            request = subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=watched"], capture_output=True, check=True).stdout
            sign = ["openssl", "x509", "-req", "-signkey", key, "-days", "-1"]
            replace(cert, subprocess.run(sign, input=request, capture_output=True, check=True).stdout.decode())
            self.assertIn("has expired", server.wait_for_log("certificates not reloaded")["message"])
            old.echo(b"nothing of this was mine")
            self.assertIn("watched.cert", str(server.stats()["certificates"]))

    def test_clients_choose_by_name(self):
        cert, key = certificate("other.example", "DNS:other.example")
        with tls_server("--tls-cert", cert, "--tls-key", key) as server:
            with SecurePeer(server) as peer:
                peer.echo(b"x")
            with SecurePeer(server, context=client_context(cert), name="other.example") as peer:
                peer.echo(b"x")


    def test_tickets_are_good_with_every_server_that_has_their_key(self):
        keys = pathlib.Path(FOLDER.name) / "ticket.keys"
        first = ticket_key()
        keys.write_text(first)
        context = client_context()
        with tls_server("--tls-ticket-keys", keys) as one, tls_server("--tls-ticket-keys", keys) as other, tls_server() as stranger:

            def comes_back(server, session):
                with SecurePeer(server, context=context, session=session) as peer:
                    peer.echo(b"x")
                    return peer.socket.session_reused, peer.socket.session

            _, session = comes_back(one, None)
            self.assertTrue(comes_back(other, session)[0])
            self.assertFalse(comes_back(stranger, session)[0])
            # A new key in front: tickets of the old one are good as long as it stands behind.
            second = ticket_key()
            keys.write_text(second + first)
            hang_up(other, "certificates reloaded")
            self.assertTrue(comes_back(other, session)[0])
            _, newer = comes_back(other, None)
            self.assertFalse(comes_back(one, newer)[0])
            keys.write_text(second)
            hang_up(other, "certificates reloaded")
            self.assertFalse(comes_back(other, session)[0])
            self.assertTrue(comes_back(other, newer)[0])
            keys.write_text("no key\n")
            self.assertIn("line 1", hang_up(other, "certificates not reloaded")["message"])
            self.assertTrue(comes_back(other, newer)[0])


class ClientCertificates(unittest.TestCase):
    def test_a_listener_lets_in_whom_its_authority_has_signed(self):
        authority = certificate("authority")
        alice, mallory = signed("alice", authority), certificate("mallory")
        with tls_server(
            *["--tls-client-ca", authority[0], "--tls-client-cert", "required"],
            listen=f"{HOST}:0,{HOST}:0,tls-client-cert=optional,{HOST}:0,tls-client-cert=off",
        ) as server:
            places = [server._parse(text) for text in server.ready["listen"].split(",")]

            def comes_in(place, files):
                context = client_context()
                if files:
                    context.load_cert_chain(*files)
                server.address = places[place]
                try:
                    with SecurePeer(server, context=context) as peer:
                        peer.echo(b"x")
                        return True
                except (ssl.SSLError, ConnectionError, AssertionError):
                    return False

            seen = [[comes_in(place, who) for who in (None, alice, mallory)] for place in range(3)]
            self.assertEqual(seen, [[False, True, False], [True, True, False], [True, True, True]])
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 3)

    def test_a_listener_may_have_a_certificate_of_its_own(self):
        cert, key = certificate("own.example", "DNS:own.example")
        with tls_server(listen=f"{HOST}:0,tls-cert={cert},tls-key={key}") as server:
            with SecurePeer(server, context=client_context(cert), name="own.example") as peer:
                peer.echo(b"x")

    def test_a_listener_may_have_versions_suites_and_several_certificates_of_its_own(self):
        (a, a_key), (b, b_key) = (certificate(f"{name}.example", f"DNS:{name}.example") for name in "ab")
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(f"""
                [[listeners]]
                address = "{HOST}:0"
                tls-cert = ["{a}", "{b}"]
                tls-key = ["{a_key}", "{b_key}"]
                tls12 = true
                tls-suites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
                tls12-suites = "ECDHE-ECDSA-AES256-GCM-SHA384"
                tls-groups = "P-256"
                [[listeners]]
                address = "{HOST}:0"
                """)
            file.flush()
            with tls_server("--config", file.name, listen=None) as server:
                own, common = (Server._parse(text) for text in server.ready["listen"].split(","))

                def suite(address, cert, name, **settings):
                    server.address = address
                    with SecurePeer(server, context=client_context(cert, **settings), name=name) as peer:
                        peer.echo(b"x")
                        return peer.socket.version(), peer.socket.cipher()[0]

                old = {"maximum_version": ssl.TLSVersion.TLSv1_2}
                self.assertEqual(suite(own, a, "a.example"), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
                self.assertEqual(suite(own, b, "b.example"), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
                self.assertEqual(suite(own, b, "b.example", **old), ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"))
                self.assertEqual(suite(common, CERT, "localhost"), ("TLSv1.3", "TLS_AES_128_GCM_SHA256"))
                with self.assertRaises(ssl.SSLError):
                    suite(common, CERT, "localhost", **old)
                server.address = own
                self.assertIn("Server Temp Key: ECDH, prime256v1", s_client(server, []))


class Refusals(unittest.TestCase):
    def test_tls12_comes_in_only_where_it_may_and_renegotiates_never(self):
        old = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
        with tls_server() as server:
            with self.assertRaises(ssl.SSLError):
                SecurePeer(server, context=old)
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 1)
        with tls_server("--tls12") as server:
            with SecurePeer(server, context=old) as peer:
                peer.echo(os.urandom(50_000))
                self.assertEqual(server.metric("holdfast_tls_attached_total"), 1)
            shown = s_client(server, [GET, b"R\n", GET], "-tls1_2")
            self.assertIn("no renegotiation", shown)
            for weak in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"):
                shown = s_client(server, [], "-tls1_2", "-cipher", weak + ":@SECLEVEL=0")
                self.assertIn("Cipher is (NONE)", shown, weak)
            shown = s_client(server, [], "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
            self.assertIn("Cipher is (NONE)", shown)

    def test_old_versions_are_refused_beyond_their_number(self):
        old = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
        with tls_server("--tls12", "--tls-attached-max", 1) as server:
            with SecurePeer(server, context=old) as peer, SecurePeer(server) as newer:
                self.assertEqual(server.metric("holdfast_tls_attached"), 1)
                with self.assertRaises(ssl.SSLError) as raised:
                    SecurePeer(server, context=old)
                self.assertIn("PROTOCOL_VERSION", raised.exception.reason)
                self.assertEqual(server.metric("holdfast_tls_attached_refused_total"), 1)
                peer.echo(b"x")
                newer.echo(b"x")
            eventually(lambda: server.metric("holdfast_tls_attached") == 0)

    def test_early_data_is_not_offered(self):
        with tls_server() as server:
            shown = s_client(server, [GET, b"Q\n"])
            self.assertIn("Max Early Data: 0", shown)

    def test_what_is_no_tls_is_dropped_and_counted(self):
        with tls_server() as server, connect(server.address) as peer:
            peer.sendall(GET)
            self.assertEqual(peer.recv(100), b"")
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 1)
            self.assertEqual(server.metric("holdfast_refused_total", reason="malformed"), 1)

    def test_attached_serves_the_same(self):
        with tls_server("--tls-detach", "off") as server:
            with SecurePeer(server) as peer:
                peer.echo(os.urandom(60_000))
            self.assertEqual(server.metric("holdfast_tls_attached_total"), 1)

    def test_one_listener_may_stay_plain(self):
        with tls_server(listen=f"{HOST}:0,tls=off") as server, Peer(server, "/echo") as peer:
            peer.send(frame(TEXT, b"hello"))
            self.assertEqual(peer.read()[1], b"hello")

    def test_what_is_wrong_with_the_options_is_said(self):
        for arguments, word in (
            (["--tls-cert", CERT], "tls-key"),
            (["--tls-cert", KEY, "--tls-key", KEY], "no certificate"),
            (["--tls-cert", CERT, "--tls-key", certificate("another")[1]], "another certificate's"),
            (["--tls-cert", "/nowhere", "--tls-key", KEY], "/nowhere"),
            (["--tls-cert", CERT, "--tls-key", KEY, "--tls-client-cert", "required"], "tls-client-ca"),
            (["--tls-cert", CERT, "--tls-key", KEY, "--tls-client-ca", CERT], "tls-client-cert=required"),
            (["--tls-cert", CERT, "--tls-key", KEY, "--tls-ticket-keys", CERT], "line 1"),
            (["--tls-cert", CERT, "--tls-key", KEY, "--tls12-suites", "AES128-SHA"], "forward secrecy"),
        ):
            with self.assertRaises(AssertionError) as raised:
                Server(*arguments)
            self.assertIn(word, str(raised.exception))


class Holding(unittest.TestCase):
    def test_a_slow_reader_gets_every_byte_in_order(self):
        with tls_server("--queue-bytes-max", "64MiB", "--message-bytes-max", "1MiB") as server, SecurePeer(server, "/topics/t") as peer:
            context = client_context()
            texts = [str(i).encode() * 100_000 for i in range(40)]
            for text in texts:
                with context.wrap_socket(connect(server.address), server_hostname="localhost") as publisher:
                    head = f"POST /topics/t HTTP/1.1\r\nHost: a\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
                    publisher.sendall(head.encode() + text)
                    self.assertIn(b"HTTP/1.1 20", publisher.recv(1000))
            eventually(lambda: server.metric("holdfast_queued_bytes") > 0)
            self.assertEqual([peer.read()[1] for _ in texts], texts)
            eventually(lambda: server.metric("holdfast_queued_bytes") == 0)

    def test_the_end_is_told_by_tls_too(self):
        with tls_server() as server, SecurePeer(server) as peer:
            peer.send(frame(8, b"\x03\xe8"))
            self.assertEqual(peer.read()[0], 8)
            self.assertEqual(peer.socket.recv(10), b"")  # close_notify: without it this would raise

    @unittest.skipIf(SANITIZED, "freed memory is kept")
    def test_after_the_close_no_secret_is_left_in_memory(self):
        for suite in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"):
            with self.subTest(suite), tls_server("--tls-suites", suite) as server:
                keys = pathlib.Path(FOLDER.name) / f"{suite}.log"
                context = client_context(keylog_filename=str(keys))
                peers = [SecurePeer(server, context=context) for _ in range(5)]
                for peer in peers:
                    peer.echo(b"x")
                peers.append(SecurePeer(server, context=context, session=peers[0].socket.session))
                peers[5].echo(b"x")
                self.assertTrue(peers[5].socket.session_reused)
                lines = [line.split() for line in keys.read_text().splitlines() if not line.startswith("#")]
                # A longer secret lies in two pieces.
                in_use = [bytes.fromhex(line[2])[:32] for line in lines if line[0] in ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")]
                self.assertEqual(len(in_use), 12)
                self.assertEqual(found_in_memory(server.process.pid, in_use), 12, "the scan finds those that are in use")
                for peer in peers:
                    peer.send(frame(8, b"\x03\xe8"))
                    peer.socket.close()
                eventually(lambda: server.connections() == 0)
                time.sleep(0.2)
                everything = [bytes.fromhex(line[2])[at : at + 16] for line in lines for at in (0, 16, 32) if at < len(line[2]) // 2]
                self.assertEqual(found_in_memory(server.process.pid, everything), 0)

    @unittest.skipIf(SANITIZED, "freed memory is kept")
    def test_no_text_of_a_key_is_left_in_memory(self):
        keys = pathlib.Path(FOLDER.name) / "scanned.keys"
        keys.write_text("".join(ticket_key() for _ in range(3)))
        with tls_server("--tls-ticket-keys", keys) as server:
            hang_up(server, "certificates reloaded")
            texts = pathlib.Path(KEY).read_text().splitlines()[1:-1] + keys.read_text().splitlines()
            pieces = [text[at : at + 16].encode() for text in texts for at in range(0, len(text) - 15, 16)]
            self.assertEqual(found_in_memory(server.process.pid, pieces), 0)
            self.assertEqual(found_in_memory(server.process.pid, [KEY.encode()]), 1, "the scan finds what is there: the file's name")

    def test_secrets_lie_in_memory_that_is_neither_dumped_nor_swapped_nor_inherited(self):
        with tls_server() as server, SecurePeer(server) as peer:
            peer.echo(b"x")
            flags = [set(line.split()[1:]) for line in pathlib.Path(f"/proc/{server.process.pid}/smaps").read_text().splitlines() if line.startswith("VmFlags:")]
            self.assertTrue(any({"lo", "wf", "dd"} <= one for one in flags))
            self.assertEqual(server.metric("holdfast_tls_secrets_unlocked"), 0)

    def test_it_says_when_secrets_may_come_into_swap(self):
        def lock_nothing():
            ctypes.CDLL(None).prctl(24, 14, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_IPC_LOCK: root may lock beyond any limit
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))

        with tls_server(preexec_fn=lock_nothing) as server, SecurePeer(server) as peer:
            peer.echo(b"x")
            self.assertEqual(server.wait_for_log("TLS secrets may come into swap")["level"], "warning")
            self.assertEqual(server.metric("holdfast_tls_secrets_unlocked"), 1)

    @unittest.skipIf(SANITIZED, "memory tells nothing")
    def test_an_idle_peer_costs_little_more_than_without_tls(self):
        # A worker's heap grows by some 0.7 to 1.2 MB in its first thousands of handshakes, which at this number is 450 to 500 bytes a peer:
        # what a peer itself costs is a figure for many more. Here it is seen that none keeps its OpenSSL object, which has 13,800.
        first, count = 100, 1500
        costs = {}
        for kind in ("wss", "ws"):
            with tls_server(listen=f"{HOST}:0,tls={'on' if kind == 'wss' else 'off'}") as server:
                context = client_context()
                opened = [SecurePeer(server, context=context) if kind == "wss" else Peer(server, "/echo") for _ in range(first)]
                before = server.resident_bytes()
                opened += [SecurePeer(server, context=context) if kind == "wss" else Peer(server, "/echo") for _ in range(count)]
                costs[kind] = (server.resident_bytes() - before) / count
                for peer in opened:
                    peer.socket.close()
        self.assertLess(costs["wss"] - costs["ws"], 1024, costs)


def found_in_memory(pid, secrets):
    """How many of them lie somewhere in a process's writable memory."""
    found = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not match or "[vvar" in line:
                continue
            start, end = int(match[1], 16), int(match[2], 16)
            for at in range(start, end, 1 << 24):
                try:
                    memory.seek(at)
                    block = memory.read(min(1 << 24, end - at))
                except OSError:
                    continue
                found.update(secret for secret in secrets if secret in block)
    return len(found)


if __name__ == "__main__":
    unittest.main()
