"""The conformance table over real sockets, against /echo: each case whole, byte by byte, and at its splits.

After a Close the server has to end TCP itself, soon, and without a reset that could overtake what it said (RFC 6455 7.1.1).
"""

import asyncio
import contextlib
import os
import socket
import struct
import time
import unittest
import zlib

from conformance_cases import KEY, frames_of, read_cases, read_requests
from harness import BINARY, CLOSE, IO, PATIENCE, PING, SANITIZED, TEXT, Response, Server, frame, upgrade_request

SERVERS = {
    "default": (),
    "small": ("--message-bytes-max", 100, "--fragments-max", 3),
    "deflate on": ("--deflate", "on"),
    "deflate takeover": ("--deflate", "takeover"),
    "large": ("--message-bytes-max", "16MiB", "--fragments-max", 65536, "--queue-bytes-max", "64MiB"),
}
END_SECONDS_MAX = 1.0  # from the server's Close to its end of TCP
PAUSE = 0.004  # between pieces, so that each arrives alone
AT_ONCE = 200
EVERY_SPLIT_MAX = 48  # bytes; longer wires are split where frames and headers begin
BYTE_BY_BYTE_MAX = 300


class Wrong(Exception):
    pass


class Dialogue:
    """One connection; the kernel's own view of it, so that an end and a reset are told apart."""

    def __init__(self, loop, address, deflate=None):
        self.loop, self.address, self.buffer = loop, address, b""
        self.deflate, self.inflater = deflate, None
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)

    async def connect(self):
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self.loop.sock_connect(self.socket, self.address)

    async def __aenter__(self):
        await self.connect()
        offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if self.deflate else ""
        await self.loop.sock_sendall(self.socket, upgrade_request("/echo", extra=offer))
        while b"\r\n\r\n" not in self.buffer:
            if not await self.fill():
                raise Wrong(f"no answer to the upgrade: {self.buffer}")
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Wrong(head.decode())
        if self.deflate and b"permessage-deflate" not in head:
            raise Wrong(f"no deflate: {head.decode()}")
        return self

    async def __aexit__(self, *_):
        self.socket.close()

    async def fill(self):
        piece = await self.loop.sock_recv(self.socket, 1 << 20)
        self.buffer = self.buffer + piece if self.buffer else piece
        return bool(piece)

    async def _take(self, size):
        if size > 1 << 20 and len(self.buffer) < size:  # without copying it again and again
            whole = bytearray(self.buffer)
            while len(whole) < size:
                piece = await self.loop.sock_recv(self.socket, 1 << 20)
                if not piece:
                    raise EOFError
                whole += piece
            self.buffer = bytes(whole)
        while len(self.buffer) < size:
            if not await self.fill():
                raise EOFError
        result, self.buffer = self.buffer[:size], self.buffer[size:]
        return result

    async def send(self, pieces, pause):
        for index, piece in enumerate(pieces):
            if index and pause:
                await asyncio.sleep(pause)
            await self.loop.sock_sendall(self.socket, piece)

    async def read(self):
        """(opcode, payload) of the next frame, which must be whole, unmasked and without extension."""
        first, second = await self._take(2)
        compressed = bool(first & 0x40 and self.deflate and not first & 0x08)
        if first & (0xB0 if compressed else 0xF0) != 0x80 or second & 0x80:
            raise Wrong(f"a frame that begins with {first:02x} {second:02x}")
        size = second
        if size == 126:
            (size,) = struct.unpack("!H", await self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._take(8))
        payload = await self._take(size)
        return first & 0x0F, self._inflate(payload) if compressed else payload

    def _inflate(self, payload):
        if self.inflater is None or self.deflate == "on":  # which forgets each message
            self.inflater = zlib.decompressobj(-15)
        return self.inflater.decompress(payload + b"\x00\x00\xff\xff")

    async def expect(self, answers):
        for number, (opcode, payload) in enumerate(answers, 1):
            try:
                got_opcode, got = await self.read()
            except (EOFError, ConnectionError) as end:
                raise Wrong(f"{type(end).__name__} in place of answer {number}") from end
            if opcode == got_opcode == CLOSE:
                got = got[:2]  # a reason of the server's own may follow
            if (got_opcode, got) != (opcode, payload):
                raise Wrong(f"answer {number} is {got_opcode} {got[:60]} ({len(got)} bytes), want {opcode} {payload[:60]} ({len(payload)} bytes)")

    async def expect_end(self):
        began = time.monotonic()
        try:
            more = await self.loop.sock_recv(self.socket, 4096)
        except ConnectionError as end:
            raise Wrong(f"{type(end).__name__} in place of an orderly end") from end
        if self.buffer or more:
            raise Wrong(f"more after the Close: {self.buffer + more}")
        if time.monotonic() - began > END_SECONDS_MAX and not SANITIZED:
            raise Wrong(f"TCP ended {time.monotonic() - began:.1f} s after the Close")

    async def expect_nothing(self):
        try:
            got = self.buffer or await asyncio.wait_for(self.loop.sock_recv(self.socket, 4096), 0.15)
        except asyncio.TimeoutError:
            return
        raise Wrong(f"{got} in the middle of a frame")


async def hold_and_end(loop, address, case, pieces):
    """Says all, and ends its side of TCP at once: it still wants to hear all."""
    close = (CLOSE, b"\x03\xe8")
    async with Dialogue(loop, address, case.deflate) as dialogue:
        await dialogue.send([*pieces, b"" if case.ends else frame(*close)], 0)
        dialogue.socket.shutdown(socket.SHUT_WR)
        await dialogue.expect(case.answers + ([] if case.ends else [close]))
        await dialogue.expect_end()


async def hold(loop, address, case, pieces, pause):
    if pause is None:
        return await hold_and_end(loop, address, case, pieces)
    async with Dialogue(loop, address, case.deflate) as dialogue:
        for _ in range(case.times):
            # Answers are read while it still sends: a large echo would fill the sockets of both, and a failure comes early.
            sending = asyncio.ensure_future(dialogue.send(pieces, pause))
            try:
                await dialogue.expect(case.answers)
                if case.ends:
                    await dialogue.expect_end()
                else:
                    await sending
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        if case.unfinished:
            await dialogue.expect_nothing()
        elif not case.ends:
            await dialogue.send([frame(CLOSE, b"\x03\xe8")], 0)
            await dialogue.expect([(CLOSE, b"\x03\xe8")])
            await dialogue.expect_end()


async def ask(loop, address, request, pieces):
    """Sends a request, and looks at the answer's head; a refusal must be followed by the end."""
    dialogue = Dialogue(loop, address)
    with dialogue.socket:
        await dialogue.connect()
        await dialogue.send(pieces, 0.002)
        while b"\r\n\r\n" not in dialogue.buffer:
            if not await dialogue.fill():
                raise Wrong(f"no answer: {dialogue.buffer}")
        response = Response(dialogue.buffer)
        if response.status != request.status:
            raise Wrong(f"{response.status_line}, want {request.status}")
        for name, value in request.answers:
            if response.headers.get(name) != value:
                raise Wrong(f"{name}: {response.headers.get(name)}, want {value}")
        if response.status != 101:
            while await dialogue.fill():
                pass


def cut(wire, places):
    edges = [0, *places, len(wire)]
    return [wire[a:b] for a, b in zip(edges, edges[1:])]


def chopped(wire, size):
    return [wire[at : at + size] for at in range(0, len(wire), size)]


def splits(frames, size):
    if size <= EVERY_SPLIT_MAX:
        return range(1, size)
    places, begin = set(), 0
    for one in frames[:4]:
        places.update(begin + at for at in (0, 1, 2, 4, 6, 8, 10, 14))
        begin += len(one)
    return sorted(place for place in places | {size - 1} if 0 < place < size)


def is_heavy(case):
    return case.limits == "large" or case.times > 1


def variants(case):
    """(how, pieces, pause) of every way that a case is fed."""
    frames = case.frames
    wire = b"".join(frames)
    yield "whole", [wire], 0
    if not case.unfinished and not is_heavy(case):
        yield "whole, with the end of TCP right behind it", [wire], None
    if case.times > 1 or SANITIZED and len(wire) > 1 << 20:
        return
    if case.chop and case.chop > 1:
        yield f"in pieces of {case.chop}", chopped(wire, case.chop), PAUSE if len(wire) < 1000 else 0
    if len(wire) <= BYTE_BY_BYTE_MAX:
        yield "byte by byte", chopped(wire, 1), 0.001
    if is_heavy(case) or IO == "epoll" and not SANITIZED:  # the splits are the same to both transports
        return
    for place in splits(frames, len(wire)):
        yield f"split at {place}", cut(wire, [place]), PAUSE


class Table(unittest.TestCase):
    # How many cases the suite has in each of its groups (version 0.8 and later); 11 is not used, 12 and 13 are compression.
    AUTOBAHN = {
        "1.1": 8, "1.2": 8, "2": 11, "3": 7, "4.1": 5, "4.2": 5, "5": 20,
        "6.1": 3, "6.2": 4, "6.3": 2, "6.4": 4, "6.5": 5, "6.6": 11, "6.7": 4, "6.8": 2, "6.9": 4, "6.10": 3, "6.11": 5, "6.12": 8,
        "6.13": 5, "6.14": 10, "6.15": 1, "6.16": 3, "6.17": 5, "6.18": 5, "6.19": 5, "6.20": 7, "6.21": 8, "6.22": 34, "6.23": 7,
        "7.1": 6, "7.3": 6, "7.5": 1, "7.7": 13, "7.9": 9, "7.13": 2,
        "9.1": 6, "9.2": 6, "9.3": 9, "9.4": 9, "9.5": 6, "9.6": 6, "9.7": 6, "9.8": 6, "10.1": 1,
    }  # fmt: skip

    def test_each_case_of_the_autobahn_suite_is_there_once(self):
        labels = [case.autobahn for case in read_cases() if case.autobahn]
        wanted = [f"{group}.{number}" for group, count in self.AUTOBAHN.items() for number in range(1, count + 1)]
        self.assertEqual(len(wanted), 301)
        self.assertEqual(sorted(labels), sorted(wanted))

    def test_the_prefixes_of_a_text_are_those_of_the_suite(self):
        whole = bytes.fromhex("cebae1bdb9cf83cebcceb5")  # U+1F79, the precomposed letter; not U+03CC, which looks the same
        of = {case.autobahn: case for case in read_cases() if case.autobahn}
        self.assertEqual(of["6.5.5"].frames, [frame(TEXT, whole, mask=KEY)])
        for size in range(1, len(whole) + 1):
            case = of[f"6.6.{size}"]
            self.assertEqual(case.frames, [frame(TEXT, whole[:size], mask=KEY)])
            try:
                whole[:size].decode()
                self.assertEqual(case.answers, [(TEXT, whole[:size])])
            except UnicodeDecodeError:
                self.assertEqual(case.answers, [(CLOSE, struct.pack("!H", 1007))])
        for label, text in (("6.2.4", whole), ("6.3.2", whole + b"\xed\xa0\x80edited")):
            self.assertEqual(of[label].frames, frames_of(f"fragments 1 81 x{text.hex()}"))


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cases = [case for case in read_cases() if case.role == "server"]
        cls.servers = {}
        for name, arguments in SERVERS.items():
            cls.servers[name] = Server("--workers", 1, "--ping-interval", "off", "--handshake-timeout", "2m", "--close-timeout", "1m", *arguments)
            cls.addClassCleanup(cls.servers[name].end)

    async def run_all(self, ways, at_once):
        """`ways`: (what it is, a function of the event loop that makes the coroutine), as many at once as may be."""
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(at_once)
        wrong, slowest = [], (0.0, "")

        async def one(what, make):
            nonlocal slowest
            try:
                began = time.monotonic()
                await asyncio.wait_for(make(loop), PATIENCE)
                slowest = max(slowest, (time.monotonic() - began, what))
            except (Wrong, OSError, EOFError) as problem:
                wrong.append(f"{what}: {problem or type(problem).__name__}")
            except asyncio.TimeoutError:
                wrong.append(f"{what}: no end within {PATIENCE} s")
            finally:
                room.release()

        tasks = []
        for what, make in ways:
            await room.acquire()
            tasks.append(asyncio.ensure_future(one(what, make)))
        await asyncio.gather(*tasks)
        print(f"fed in {len(tasks)} ways; the slowest took {slowest[0]:.2f} s: {slowest[1]}", flush=True)
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(tasks)} wrong:\n" + "\n".join(wrong[:40]))

    def ways(self, is_wanted):
        for case in filter(is_wanted, self.cases):
            address = self.servers[case.server].address
            for how, pieces, pause in variants(case):
                yield f"{case}, {how}", lambda loop, a=address, c=case, p=pieces, s=pause: hold(loop, a, c, p, s)

    def test_every_case_of_usual_size_holds_over_sockets(self):
        asyncio.run(self.run_all(self.ways(lambda case: not is_heavy(case)), AT_ONCE))

    def test_every_large_case_holds_over_sockets(self):
        asyncio.run(self.run_all(self.ways(is_heavy), 1))

    def test_every_opening_handshake_holds_over_sockets(self):
        def ways():
            address = self.servers["default"].address
            for request in read_requests():
                wire = request.wire
                places = [at for at in range(1, len(wire)) if at % (3 if IO == "uring" else 16) == 0]
                for how, pieces in [("whole", [wire]), ("byte by byte", chopped(wire, 1))] + [
                    (f"split at {at}", cut(wire, [at])) for at in places
                ]:
                    yield f"{request}, {how}", lambda loop, r=request, p=pieces: ask(loop, address, r, p)

        asyncio.run(self.run_all(ways(), AT_ONCE))

    def test_what_a_peer_says_behind_its_close_resets_nothing_that_it_is_owed(self):
        message, junk = os.urandom(300_000), frame(PING, b"behind the Close")
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # so that the answer waits in the server's kernel
            peer.settimeout(PATIENCE)
            peer.connect(self.servers["large"].address)
            peer.sendall(upgrade_request("/echo"))
            got = b""
            while b"\r\n\r\n" not in got:
                got += peer.recv(4096)
            got = got.partition(b"\r\n\r\n")[2]
            peer.sendall(frame(BINARY, message) + frame(CLOSE, b"\x03\xe8"))
            while piece := peer.recv(8192):
                got += piece
                with contextlib.suppress(BrokenPipeError):
                    peer.sendall(junk)
        self.assertEqual(len(got), 10 + len(message) + 4)
        self.assertEqual(got[10:-4], message)
        self.assertEqual(got[-4:], frame(CLOSE, b"\x03\xe8", mask=None))

    def tearDown(self):
        for server in self.servers.values():
            self.assertIsNone(server.process.poll(), "the server died")


if __name__ == "__main__":
    unittest.main()
