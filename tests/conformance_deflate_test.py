"""permessage-deflate over real sockets, as the Autobahn suite's sections 12 and 13 ask for it: texts and binary data of all sizes, whole and
in fragments, on every kind of terms. Python's zlib is the other end."""

import itertools
import json
import os
import random
import struct
import unittest
import zlib

from harness import BINARY, CLOSE, CONTINUATION, PING, SANITIZED, TEXT, Peer, Server, frame

# (bytes of a message, bytes of a fragment or 0): the suite's eighteen.
SIZES = [(size, 0) for size in (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)]
SIZES += [(8192, 256), (16384, 256), (32768, 256), (65536, 256), (131072, 256), (131072, 1024), (131072, 4096), (131072, 32768)]
# Of each size. The suite sends 1,000: HOLDFAST_DEFLATE_MESSAGES=1000 does so too, for some 15 minutes.
MESSAGES = int(os.environ.get("HOLDFAST_DEFLATE_MESSAGES", 3 if SANITIZED else 8))

# The offers of its section 13, and what the answer must say of them.
OFFERS = {
    "plain": ["permessage-deflate"],
    "with all that the client can do": ["permessage-deflate; client_no_context_takeover; client_max_window_bits"],
    "server_no_context_takeover": ["permessage-deflate; server_no_context_takeover; client_max_window_bits"],
    "window of 8 bits": ["permessage-deflate; server_max_window_bits=8; client_max_window_bits"],
    "window of 9 bits": ["permessage-deflate; server_max_window_bits=9; client_max_window_bits"],
    "window of 15 bits": ["permessage-deflate; server_max_window_bits=15; client_max_window_bits"],
    "both of 8 bits": ["permessage-deflate; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits"],
    "both of 15 bits": ["permessage-deflate; server_no_context_takeover; server_max_window_bits=15; client_max_window_bits"],
    "several, best first": [
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=8",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate",
    ],
}


def json_text():
    words = random.Random(1)
    rows = ({"id": i, "name": f"Größe {words.randrange(1000)}", "tags": [words.choice("αβγδ") for _ in range(5)]} for i in range(5000))
    return json.dumps(list(rows), ensure_ascii=False)


def html_text():
    words = random.Random(2)
    return "".join(f'<li class="row {words.randrange(9)}"><a href="/item/{i}">Ding № {i}</a></li>\n' for i in range(6000))


def prose():
    words = random.Random(3)
    return " ".join("".join(words.choices("abcdefghiklmnoprstuvwäöüß", k=words.randrange(2, 11))) for _ in range(60000))


def noise():
    return random.Random(4).randbytes(400_000)


def picture():
    return bytes((x * y // 7 + x) & 0xFF for y in range(512) for x in range(512))


DATA = {"json": json_text, "html": html_text, "prose": prose, "noise": noise, "picture": picture}


class DeflatePeer(Peer):
    """A client that compresses with its own streams, on the terms that were agreed on."""

    def __init__(self, server, offers, path="/echo"):
        super().__init__(server, path, timeout=30, extra=f"Sec-WebSocket-Extensions: {', '.join(offers)}\r\n")
        name, *parameters = [part.strip() for part in self.response.headers["sec-websocket-extensions"].split(";")]
        assert name == "permessage-deflate", name
        self.terms = dict(part.partition("=")[::2] for part in parameters)
        self.server_bits = int(self.terms.get("server_max_window_bits") or 15)
        self.client_bits = int(self.terms.get("client_max_window_bits") or 15)
        self.deflater = self.inflater = None

    def deflate(self, data):
        if self.deflater is None or "client_no_context_takeover" in self.terms:
            self.deflater = zlib.compressobj(6, zlib.DEFLATED, -max(self.client_bits, 9))
        wire = self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        return wire[:-4]

    def inflate(self, data):
        if self.inflater is None or "server_no_context_takeover" in self.terms:
            self.inflater = zlib.decompressobj(-self.server_bits)
        return self.inflater.decompress(data + b"\x00\x00\xff\xff")

    def say(self, opcode, data, fragment):
        wire = self.deflate(data)
        step = fragment or len(wire)
        pieces = [wire[at : at + step] for at in range(0, len(wire), step)]
        self.send(*(
            frame(CONTINUATION if i else opcode, piece, fin=i + 1 == len(pieces), rsv=0 if i else 4)
            for i, piece in enumerate(pieces)
        ))

    def hear(self):
        """(opcode, data, whether it came compressed) of the next message."""
        first, second = self._take(2)
        assert first & 0xB0 == 0x80 and second & 0x80 == 0, (first, second)
        size = second
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        payload = self._take(size)
        if first & 0x0F == PING:  # the server's keepalive
            return self.hear()
        compressed = bool(first & 0x40)
        return first & 0x0F, self.inflate(payload) if compressed else payload, compressed

    def echoes(self, data, is_text, size, fragment, count):
        begin, compressed = 0, 0
        for _ in range(count):
            message = (data + data)[begin : begin + size]
            begin = (begin + size) % len(data)
            message = message.encode()[:size] if is_text else message
            while is_text:  # a whole number of characters
                try:
                    message.decode()
                    break
                except UnicodeDecodeError:
                    message = message[:-1]
            self.say(TEXT if is_text else BINARY, message, fragment)
            opcode, back, was = self.hear()
            assert opcode == (TEXT if is_text else BINARY)
            assert back == message, (size, fragment, len(back), len(message))
            compressed += was
        return compressed


class DeflateTerms:
    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", 1, "--message-bytes-max", "16MiB", "--fragments-max", 65536, "--queue-bytes-max", "64MiB",
                            *cls.arguments)
        cls.addClassCleanup(cls.server.end)

    def close(self, peer):
        peer.send(frame(CLOSE, b"\x03\xe8"))
        self.assertEqual(peer.hear()[:2], (CLOSE, b"\x03\xe8"))
        peer.socket.close()

    def test_every_kind_of_data_and_size_comes_back(self):
        for (name, make), (size, fragment) in itertools.product(DATA.items(), SIZES):
            with self.subTest(data=name, size=size, fragment=fragment):
                data = make() if name not in self.made else self.made[name]
                self.made[name] = data
                peer = DeflatePeer(self.server, OFFERS["plain"])
                compressed = peer.echoes(data, isinstance(data, str), size, fragment, MESSAGES)
                if size >= 1024 and name != "noise":
                    self.assertEqual(compressed, MESSAGES, "it pays to compress these")
                self.close(peer)

    made = {}

    def test_every_kind_of_terms_and_size_comes_back(self):
        data = json_text()
        for (name, offers), (size, fragment) in itertools.product(OFFERS.items(), SIZES):
            with self.subTest(terms=name, size=size, fragment=fragment):
                peer = DeflatePeer(self.server, offers)
                if "server_max_window_bits=8" in offers[0]:
                    self.assertEqual(peer.server_bits, 8, peer.terms)
                if "server_no_context_takeover" in offers[0]:
                    self.assertIn("server_no_context_takeover", peer.terms)
                peer.echoes(data, True, size, fragment, MESSAGES)
                self.close(peer)


class WithoutTakeover(DeflateTerms, unittest.TestCase):
    arguments = ("--deflate", "on")


class WithTakeover(DeflateTerms, unittest.TestCase):
    arguments = ("--deflate", "takeover")


if __name__ == "__main__":
    unittest.main()
