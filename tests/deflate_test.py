"""Compression (permessage-deflate, RFC 7692): a peer that builds its frames itself, Python's `websockets` and npm's `ws`."""

import os
import pathlib
import random
import subprocess
import tempfile
import unittest
import zlib

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from harness import *

TAIL = b"\x00\x00\xff\xff"
# How many messages of each size the table of offers sends; 1000 is what other suites do, in a few minutes.
MESSAGES = int(os.environ.get("HOLDFAST_DEFLATE_MESSAGES", "1"))


class Deflating:
    """A peer's two streams, as the server's answer says."""

    def __init__(self, extensions):
        parts = [part.strip() for part in extensions.split(";")]
        assert parts[0] == "permessage-deflate", extensions
        self.terms = dict((part.split("=") + [None])[:2] for part in parts[1:])
        self.client_bits = int(self.terms.get("client_max_window_bits") or 15)
        self.server_bits = int(self.terms.get("server_max_window_bits") or 15)
        self.compressor = self.decompressor = None

    def deflate(self, data):
        if self.compressor is None or "client_no_context_takeover" in self.terms:
            self.compressor = zlib.compressobj(wbits=-max(9, self.client_bits))
        out = self.compressor.compress(data) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
        assert out.endswith(TAIL)
        return out[:-4]

    def inflate(self, payload):
        if self.decompressor is None or "server_no_context_takeover" in self.terms:
            self.decompressor = zlib.decompressobj(wbits=-self.server_bits)
        return self.decompressor.decompress(payload + TAIL)


class DeflatePeer(Peer):
    """Offers compression; reads whole messages, compressed or not, and counts the former."""

    def __init__(self, server, path="/echo", offer="permessage-deflate", **options):
        super().__init__(server, path, extra=f"Sec-WebSocket-Extensions: {offer}\r\n", **options)
        answer = self.response.headers.get("sec-websocket-extensions")
        self.deflate = Deflating(answer) if answer else None
        self.compressed = 0

    def message(self, opcode, data, fragment_bytes=None):
        """The frames of one compressed message."""
        payload = self.deflate.deflate(data)
        size = fragment_bytes or max(1, len(payload))
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
        last = len(pieces) - 1
        return b"".join(
            frame(opcode if i == 0 else CONTINUATION, piece, fin=i == last, rsv=4 if i == 0 else 0) for i, piece in enumerate(pieces)
        )

    def read_message(self):
        while True:
            opcode, payload = self._read_frame()
            if opcode != PING:
                return opcode, payload

    def _read_frame(self):
        first, second = self._take(2)
        assert first & 0x80 and not second & 0x80 and not first & 0x30, (first, second)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        payload = self._take(size)
        if first & 0x40:
            self.compressed += 1
            payload = self.deflate.inflate(payload)
        return first & 0x0F, payload


def text_of(size, seed):
    generator = random.Random(seed)
    words = []
    length = 0
    while length < size:
        words.append(f'{{"symbol":"S{generator.randrange(500)}","price":{generator.random() * 100:.4f},"größe":{generator.randrange(1000)}}},')
        length += len(words[-1].encode())
    return "".join(words).encode()[:size].decode("utf-8", "ignore").encode().ljust(size)


class Offers(unittest.TestCase):
    """Each offer, messages of each size, whole and fragmented: every one comes back as it was sent."""

    OFFERS = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits; server_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits; server_max_window_bits=9, "
        "permessage-deflate; server_no_context_takeover; client_max_window_bits, permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=10",
    ]
    SIZES = [0, 1, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072]

    def exchange(self, server, offer):
        with DeflatePeer(server, offer=offer) as peer:
            self.assertIsNotNone(peer.deflate, offer)
            for number, size in enumerate(self.SIZES):
                for opcode, fragment in ((TEXT, None), (BINARY, 1 + size // 7), (TEXT, 4096)):
                    for round in range(MESSAGES):
                        noisy = opcode == BINARY and (number + round) % 3 == 2
                        data = random.Random(round).randbytes(size) if noisy else text_of(size, round + number)
                        peer.send(peer.message(opcode, data, fragment))
                        self.assertEqual(peer.read_message(), (opcode, data), f"{offer}: {size} bytes")
            self.assertGreater(peer.compressed, 0)

    def test_every_offer_is_accepted_and_kept(self):
        for how in ("on", "takeover"):
            with Server("--workers", 1, "--deflate", how, "--message-bytes-max", "1MiB") as server:
                for offer in self.OFFERS:
                    with self.subTest(how=how, offer=offer):
                        self.exchange(server, offer)
                eventually(lambda: server.connections() == 0)
                self.assertEqual(server.metric("holdfast_closed_total", reason="violation"), 0)

    def test_many_messages_are_compressed_and_come_back_in_order(self):
        with Server("--workers", 1, "--deflate", "takeover") as server, DeflatePeer(server) as peer:
            texts = [text_of(100 + i % 900, i) for i in range(1000)]
            peer.send(*[peer.message(TEXT, text) for text in texts[:500]])
            for text in texts[:500]:
                self.assertEqual(peer.read_message(), (TEXT, text))
            for text in texts[500:]:
                peer.send(peer.message(TEXT, text))
                self.assertEqual(peer.read_message(), (TEXT, text))
            self.assertEqual(peer.compressed, 1000)

    def test_a_wrong_offer_is_declined_and_the_next_one_taken(self):
        with Server("--workers", 1, "--deflate", "on") as server:
            for wrong in ("server_max_window_bits=7", "server_max_window_bits", "unknown", "client_max_window_bits=16",
                          "server_no_context_takeover=1", "client_max_window_bits; client_max_window_bits"):
                with DeflatePeer(server, offer=f"permessage-deflate; {wrong}") as peer:
                    self.assertIsNone(peer.deflate, wrong)
                    peer.send(frame(TEXT, b"plain"))
                    self.assertEqual(peer.read()[1], b"plain")
                with DeflatePeer(server, offer=f"permessage-deflate; {wrong}, mux, permessage-deflate; server_max_window_bits=\"10\"") as peer:
                    self.assertEqual(peer.deflate.server_bits, 10, wrong)

    def test_extensions_that_are_malformed_are_refused_with_400(self):
        with Server("--workers", 1) as server:
            for wrong in ("permessage-deflate;", "a=1", "a b", 'a; x="1 2"', "a; x=,b"):
                answer = exchange(server.address, upgrade_request("/echo", extra=f"Sec-WebSocket-Extensions: {wrong}\r\n"))
                self.assertEqual(answer.status, 400, wrong)


class Violations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", 1, "--deflate", "on", "--message-bytes-max", "1MiB", "--close-timeout", "1m")

    @classmethod
    def tearDownClass(cls):
        cls.server.end()

    def closes(self, code, *frames, offer="permessage-deflate"):
        with DeflatePeer(self.server, offer=offer) as peer:
            peer.send(*frames)
            self.assertEqual(peer.read_close(), code)

    def test_the_compressed_bit_on_a_continuation_or_control_frame_closes_with_1002(self):
        hello = zlib.compressobj(wbits=-15)
        payload = (hello.compress(b"Hello") + hello.flush(zlib.Z_SYNC_FLUSH))[:-4]
        self.closes(1002, frame(TEXT, payload[:2], fin=False, rsv=4), frame(CONTINUATION, payload[2:], rsv=4))
        self.closes(1002, frame(PING, b"", rsv=4))
        self.closes(1002, frame(TEXT, payload, rsv=6))
        self.closes(1002, frame(TEXT, payload, rsv=4), offer="something-else")

    def test_text_that_is_no_utf8_once_it_is_inflated_closes_with_1007(self):
        bad = zlib.compressobj(wbits=-15)
        self.closes(1007, frame(TEXT, (bad.compress(b"\xc3\x28") + bad.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=4))

    def test_what_is_not_deflate_closes_with_1007(self):
        self.closes(1007, frame(BINARY, b"\x07certainly not", rsv=4))

    def test_a_bomb_is_stopped_at_the_message_limit_in_bounded_memory(self):
        bomb = zlib.compressobj(9, wbits=-15)
        payload = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(1024)) + bomb.flush(zlib.Z_SYNC_FLUSH)
        self.assertGreater(len(payload), 1_000_000)  # of a whole GiB
        with DeflatePeer(self.server) as honest:  # the most that an honest message takes
            honest.send(honest.message(BINARY, bytes(1 << 20)))
            self.assertEqual(honest.read_message()[1], bytes(1 << 20))
        before = self.peak_bytes()
        for _ in range(5):
            self.closes(1009, frame(BINARY, payload[:-4], rsv=4))
        for _ in range(3):
            pieces = [payload[at : at + 100_000] for at in range(0, len(payload) - 4, 100_000)]
            self.closes(1009, frame(BINARY, pieces[0], rsv=4, fin=False), *[frame(CONTINUATION, p, fin=False) for p in pieces[1:-1]],
                        frame(CONTINUATION, pieces[-1][: -4 or None]))
        if not SANITIZED:
            self.assertLess(self.peak_bytes() - before, 8 << 20)

    def peak_bytes(self):
        for line in pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")


class Publications(unittest.TestCase):
    def test_every_subscriber_gets_a_publication_in_the_form_that_it_agreed_on(self):
        for how in ("on", "takeover"):
            with Server("--workers", 2, "--deflate", how) as server:
                peers = [DeflatePeer(server, "/topics/prices", offer)
                         for offer in ("permessage-deflate", "permessage-deflate; server_max_window_bits=9", "none") * 4]
                texts = [text_of(size, size) for size in (10, 200, 3000, 40_000)] * 3
                for text in texts:
                    self.assertEqual(post(server.address, "/topics/prices", text).status, 202)
                for number, peer in enumerate(peers):
                    for text in texts:
                        self.assertEqual(peer.read_message(), (TEXT, text))
                    self.assertEqual(peer.compressed, 0 if number % 3 == 2 else 9)
                    peer.socket.close()
                self.assertEqual(server.metric("holdfast_deflate_agreed_total"), 8)
                self.assertLess(server.metric("holdfast_deflated_payload_bytes_total") * 2,
                                server.metric("holdfast_deflated_message_bytes_total"))


class Generator(unittest.TestCase):
    def test_it_offers_compression_and_checks_every_answer(self):
        with Server("--workers", 2, "--deflate", "on") as server:
            done = run("load", server.url + "/echo", "--scenario", "echo", "--connections", 200, "--message-rate", 5,
                       "--message-bytes", 2000, "--hold", "4s", "--deflate")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(server.metric("holdfast_deflate_agreed_total"), 200)
            self.assertGreater(server.metric("holdfast_deflated_message_bytes_total"), 200 * 5 * 2000)
            done = run("load", server.url + "/topics/a", "--scenario", "fanout", "--connections", 200, "--message-rate", 20,
                       "--message-bytes", 2000, "--hold", "2s", "--deflate")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_server_that_declines_is_named_as_the_reason(self):
        with Server("--workers", 1) as server:
            done = run("load", server.url + "/", "--connections", 10, "--hold", "0", "--deflate")
            self.assertEqual(done.returncode, 1)
            self.assertIn("permessage-deflate was declined", done.stdout)


class Memory(unittest.TestCase):
    @unittest.skipIf(SANITIZED, "a sanitizer's memory tells nothing")
    def test_an_idle_peer_that_agreed_owns_no_more_than_one_that_did_not(self):
        def opened(server, count, *options):
            before = server.connections()
            generator = subprocess.Popen([HOLDFAST, "load", server.url + "/", "--connections", str(count), "--hold", "60s", *options],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(generator.wait)
            self.addCleanup(generator.kill)
            eventually(lambda: server.connections() == before + count, 60)
            time.sleep(0.5)
            return server.resident_bytes()

        with Server("--workers", 1, "--deflate", "on", "--ping-interval", "off") as server:
            opened(server, 2000)
            few = opened(server, 2000, "--deflate")  # what the first of a kind touch is there now
            plain = opened(server, 7000)
            deflated = opened(server, 7000, "--deflate")
        extra = ((deflated - plain) - (plain - few)) / 7000
        # Whole pages blur this by some 20 bytes a peer; a stream kept by each would be thousands. `scripts/bench memory` has the figure.
        self.assertLess(extra, 64, f"{(plain - few) / 7000} bytes without, {(deflated - plain) / 7000} with")


class PythonClient(unittest.IsolatedAsyncioTestCase):
    async def test_websockets_is_content_with_any_windows(self):
        windows = [{}, {"server_no_context_takeover": True}, {"client_no_context_takeover": True}, {"server_max_window_bits": 9},
                   {"client_max_window_bits": 10, "server_max_window_bits": 12}]
        for how in ("on", "takeover"):
            with Server("--workers", 2, "--deflate", how) as server:
                for options in windows:
                    factory = ClientPerMessageDeflateFactory(**{"client_max_window_bits": True, **options})
                    async with websockets.connect(server.url + "/echo", compression=None, extensions=[factory]) as peer:
                        self.assertEqual(len(peer.extensions), 1)
                        for size in (0, 10, 200, 5000, 60_000):
                            text = text_of(size, size).decode()
                            await peer.send(text)
                            self.assertEqual(await peer.recv(), text)
                        await peer.send([text_of(1000, 1).decode(), "", text_of(20_000, 2).decode()])
                        self.assertEqual(await peer.recv(), (text_of(1000, 1) + text_of(20_000, 2)).decode())
                async with websockets.connect(server.url + "/echo", compression="deflate") as peer:
                    await peer.send("x" * 5000)
                    self.assertEqual(await peer.recv(), "x" * 5000)
                    self.assertEqual(len(peer.extensions), 1)


class NodeClient(unittest.TestCase):
    def test_npm_ws_is_content_with_and_without_takeover(self):
        for how in ("on", "takeover"):
            with self.subTest(how=how), Server("--workers", 2, "--deflate", how, "--message-bytes-max", "256KiB") as server:
                done = subprocess.run(
                    ["node", "--test", pathlib.Path(__file__).with_suffix(".mjs")],
                    cwd=ROOT,
                    env={**os.environ, "HOLDFAST_URL": server.url},
                    capture_output=True,
                    text=True,
                    timeout=90 * SLOWNESS,
                    check=False,
                )
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Listeners(unittest.TestCase):
    def test_each_listener_of_a_server_decides_for_its_own_peers(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('deflate = "on"\n')
            for more in ('', 'deflate = false', 'deflate = "takeover"', 'deflate = "off"\nproxy = true'):
                file.write(f'[[listeners]]\naddress = "{HOST}:0"\n{more}\n')
            file.flush()
            with Server("--workers", 2, "--config", file.name, listen=None) as server:
                places = [Server._parse(place) for place in server.ready["listen"].split(",")]
                answers = [self.answer(place) for place in places[:3]]
                self.assertIn("server_no_context_takeover", answers[0])
                self.assertIsNone(answers[1])
                self.assertNotIn("no_context_takeover", answers[2])
                self.assertIsNone(self.answer(places[3], b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"))
                self.assertEqual(server.metric("holdfast_deflate_agreed_total"), 2)

    def answer(self, address, header=b""):
        """What is said of an offer."""
        with connect(address) as peer:
            peer.sendall(header + upgrade_request("/echo", extra="Sec-WebSocket-Extensions: permessage-deflate\r\n"))
            response = Response(peer.recv(4096))
            self.assertEqual(response.status, 101)
            return response.headers.get("sec-websocket-extensions")


if __name__ == "__main__":
    unittest.main()
