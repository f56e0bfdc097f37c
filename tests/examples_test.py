"""The programs in examples/: that they do what their first lines say."""

import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

import tls_test
from harness import BINARY, CLOSE, HOLDFAST, HOST, PATIENCE, PING, ROOT, TEXT, Peer, Response, connect, eventually, exchange, frame, read_until_closed, upgrade_request

EXAMPLES = pathlib.Path(HOLDFAST).parent / "examples"


class Example:
    """An example that serves; ready when the constructor returns."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen(
            [EXAMPLES / name, f"{HOST}:0", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (.*):(\d+)\n", line)
        if not match:
            self.process.kill()
            raise AssertionError(f"{name} said {line!r}: {self.process.communicate()}")
        self.address = match[1], int(match[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def url(self, path):
        return f"ws://{self.address[0]}:{self.address[1]}{path}"

    def end(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def client(*arguments, timeout=PATIENCE):
    return subprocess.run([EXAMPLES / "client", *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)


def say(peer, text):
    peer.send(frame(TEXT, text.encode()))


def hear(peer):
    opcode, payload, fin = peer.read()
    while opcode == PING:
        opcode, payload, fin = peer.read()
    assert opcode == TEXT and fin, (opcode, payload)
    return payload.decode()


class EchoAndClient(unittest.TestCase):
    def test_the_client_hears_what_it_said(self):
        with Example("echo") as echo:
            done = client("--count", 2, echo.url("/echo"), "hello", "wörld")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, "hello\nwörld\n")
            self.assertIn("closed: 1000", done.stderr)
            with Peer(echo, "/echo") as peer:
                peer.send(frame(BINARY, bytes(range(256))))
                self.assertEqual(peer.read(), (BINARY, bytes(range(256)), True))
                self.assertEqual(echo.end(), 0)
                self.assertEqual(peer.read_close(), 1001)

    def test_the_client_says_why_it_could_not_connect(self):
        with Example("echo") as echo:
            done = client(echo.url("/nothing"))
            self.assertEqual(done.returncode, 1)
            self.assertIn("HTTP 404 Not Found: there is nothing at this path", done.stderr)
            address = echo.address
        done = client(f"ws://{address[0]}:{address[1]}/echo")
        self.assertEqual(done.returncode, 1)
        self.assertIn("refused", done.stderr)

    def test_the_client_speaks_tls_with_whom_it_trusts(self):
        with tls_test.tls_server("--message-bytes-max", "1MiB") as server:
            url = "wss://%s:%d/echo" % server.address
            done = client("--count", 2, "--cafile", tls_test.CERT, url, "hello", "x" * 70000)
            self.assertEqual(done.stdout, "hello\n" + "x" * 70000 + "\n", done.stderr)
            self.assertIn("closed: 1000", done.stderr)
            stranger, _ = tls_test.certificate("stranger")
            for arguments in ((url,), ("--cafile", stranger, url)):
                done = client("--count", 1, *arguments, "hello")
                self.assertEqual(done.returncode, 1)
                self.assertIn("failed: certificate not verified: self-signed certificate", done.stderr)
            done = client("--count", 1, "--cafile", "/nowhere", url)
            self.assertIn("'/nowhere' holds no certificates", done.stderr)
            self.assertEqual(client("--count", 1, "--insecure", url, "hello").stdout, "hello\n")
            # Who is refused says why; the server takes those for what they are.
            self.assertEqual(server.metric("holdfast_tls_failed_total"), 2)
            self.assertEqual(server.metric("holdfast_tls_established_total"), 2)
        cert, key = tls_test.certificate("elsewhere", "DNS:elsewhere")
        with tls_test.tls_server(cert=cert, key=key) as server:
            done = client("--count", 1, "--cafile", cert, "wss://%s:%d/echo" % server.address, "hello")
            self.assertIn("IP address mismatch", done.stderr)

    def test_the_client_talks_to_a_server_of_others(self):
        server = subprocess.Popen(
            ["/usr/bin/python3", "-c", SERVER_OF_OTHERS, HOST], stdout=subprocess.PIPE, text=True
        )
        try:
            port = int(server.stdout.readline())
            done = client("--count", 1, f"ws://{HOST}:{port}/", "x" * 70000)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, "70000 bytes\n")
            done = client(f"ws://{HOST}:{port}/", "leave")
            self.assertIn("closed: 4002 enough", done.stderr)
        finally:
            server.kill()
            server.communicate()

    def test_a_wrong_option_is_told(self):
        done = subprocess.run([EXAMPLES / "echo", "nowhere"], capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere", done.stderr)


SERVER_OF_OTHERS = """
import asyncio, sys, websockets

async def answer(peer, *_):
    async for text in peer:
        if text == "leave":
            await peer.close(4002, "enough")
        else:
            await peer.ping()
            await peer.send(f"{len(text)} bytes")

async def main():
    async with websockets.serve(answer, sys.argv[1], 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""


class Chat(unittest.TestCase):
    def test_a_room_hears_its_members_and_no_other_room(self):
        with Example("chat") as chat:
            with Peer(chat, "/rooms/red?name=ann") as ann, Peer(chat, "/rooms/blue?name=eve") as eve:
                self.assertEqual(hear(ann), "* ann came in")
                self.assertEqual(hear(eve), "* eve came in")
                with Peer(chat, "/rooms/red?name=bob") as bob:
                    self.assertEqual(hear(ann), "* bob came in")
                    self.assertEqual(hear(bob), "* bob came in")
                    say(bob, "good morning")
                    self.assertEqual(hear(ann), "bob: good morning")
                    self.assertEqual(hear(bob), "bob: good morning")
                    say(bob, "@eve psst")
                    self.assertEqual(hear(eve), "bob (to you): psst")
                    say(bob, "@nobody hello")
                    self.assertEqual(hear(bob), "* there is no nobody")
                self.assertEqual(hear(ann), "* bob left")

    def test_a_name_is_taken_while_its_bearer_is_there(self):
        with Example("chat") as chat:
            with Peer(chat, "/rooms/red?name=ann"):
                answer = exchange(chat.address, upgrade_request("/rooms/red?name=ann"))
                self.assertEqual((answer.status, answer.body), (409, b"that name is taken\n"))
            self.assertEqual(exchange(chat.address, upgrade_request("/rooms/red")).status, 400)

            def comes_in():
                try:
                    with Peer(chat, "/rooms/red?name=ann"):
                        return True
                except ConnectionRefusedError:
                    return False

            eventually(comes_in, message="the name was never free again")


    def test_nobody_can_say_what_makes_others_leave(self):
        """A text that is not UTF-8 is an error of who sends it: browsers close with 1007, so a room must not pass it on."""
        with Example("chat") as chat:
            for name in ("%ff%fe", "ann%c3", "%ed%a0%80"):
                answer = exchange(chat.address, upgrade_request(f"/rooms/red?name={name}"))
                self.assertEqual((answer.status, answer.body), (400, b"a name is UTF-8\n"))
            with Peer(chat, "/rooms/red?name=%c3%a4nn") as ann:
                self.assertEqual(hear(ann), "* änn came in")
                for spoilt in (b"\xff\xfe", b"@\xc3\xa4nn \xff"):
                    with Peer(chat, "/rooms/red?name=eve") as eve:
                        self.assertEqual(hear(ann), "* eve came in")
                        self.assertEqual(hear(eve), "* eve came in")
                        eve.send(frame(BINARY, spoilt))
                        self.assertEqual(eve.read_close(), 1003)
                        self.assertEqual(hear(ann), "* eve left")


class Authenticate(unittest.TestCase):
    def refusal(self, server, extra=""):
        return exchange(server.address, upgrade_request("/private", extra=extra))

    def test_without_a_good_token_it_is_refused_with_a_reason(self):
        with Example("authenticate") as server:
            answer = self.refusal(server)
            self.assertEqual((answer.status, answer.body), (401, b"a token is needed\n"))
            self.assertEqual(answer.headers["www-authenticate"], "Bearer")
            answer = self.refusal(server, "Authorization: Bearer wrong\r\n")
            self.assertEqual((answer.status, answer.body), (401, b"this token is not known\n"))
            answer = self.refusal(server, "Authorization: Bearer old-token-of-bob\r\n")
            self.assertEqual((answer.status, answer.body), (403, b"this token has expired\n"))

    def test_a_token_comes_in_a_header_or_as_a_sub_protocol(self):
        with Example("authenticate") as server:
            with Peer(server, "/private", extra="Authorization: Bearer token-of-ann\r\n") as ann:
                self.assertEqual(hear(ann), "welcome, ann")
                self.assertNotIn("sec-websocket-protocol", ann.response.headers)
            with Peer(server, "/private", extra="Sec-WebSocket-Protocol: private.v1, token-of-bob\r\n") as bob:
                self.assertEqual(hear(bob), "welcome, bob")
                self.assertEqual(bob.response.headers["sec-websocket-protocol"], "private.v1")

    def test_a_revoked_user_is_put_out_on_every_worker(self):
        with Example("authenticate") as server:
            anns = [Peer(server, "/private", extra="Authorization: Bearer token-of-ann\r\n") for _ in range(6)]
            with Peer(server, "/private", extra="Authorization: Bearer token-of-bob\r\n") as bob:
                for peer in [*anns, bob]:
                    self.assertTrue(hear(peer).startswith("welcome"))
                with connect(server.address) as asking:
                    asking.sendall(b"POST /revoke?user=ann HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    self.assertEqual(Response(read_until_closed(asking)).body, b"6 connections are being closed\n")
                for ann in anns:
                    opcode, payload, _ = ann.read()
                    self.assertEqual((opcode, payload), (CLOSE, b"\x11\x31your token was revoked"))
                    ann.socket.close()
                bob.send(frame(9, b"?"))
                self.assertEqual(bob.read()[1], b"?", "bob is still there")


class Ticker(unittest.TestCase):
    def test_each_symbol_comes_conflated_and_in_order(self):
        with Example("ticker", 10, 20000) as ticker:
            with Peer(ticker, "/ticker") as peer:
                say(peer, "subscribe SYM999")
                self.assertIn("error", hear(peer))
                ticks, began = [], time.monotonic()
                say(peer, "subscribe SYM3")
                while time.monotonic() - began < 2 or len(ticks) <= 2 * 10:  # even a noisy machine tells so many, in some time
                    match = re.fullmatch(r'\{"symbol":"SYM3","price":-?\d+\.\d\d,"tick":(\d+)\}', hear(peer))
                    self.assertTrue(match)
                    ticks.append(int(match[1]))
                # The price of the subscription may come again with the next publication.
                self.assertEqual(ticks[1:], sorted(set(ticks[1:])))
                # The price changes 2,000 times a second; it is told 30 times.
                self.assertLess(len(ticks), (time.monotonic() - began) * 31 + 5)
                say(peer, "unsubscribe SYM3")
                peer.socket.settimeout(1.0)
                began = time.monotonic()
                with self.assertRaises(TimeoutError):
                    while time.monotonic() - began < PATIENCE:  # what was on its way
                        hear(peer)
            self.assertEqual(ticker.end(), 0)

    def test_of_all_symbols_each_comes_conflated_under_its_key(self):
        with Example("ticker", 10, 20000) as ticker:
            with Peer(ticker, "/ticker") as peer:
                told, began = {}, time.monotonic()
                say(peer, "subscribe all")
                for number in range(10):
                    self.assertIn(f'"symbol":"SYM{number}"', hear(peer))
                while time.monotonic() - began < 1 or len(told) < 10 or min(map(len, told.values())) <= 8:
                    match = re.fullmatch(r'\{"symbol":"(SYM\d)","price":-?\d+\.\d\d,"tick":(\d+)\}', hear(peer))
                    told.setdefault(match[1], []).append(int(match[2]))
                seconds = time.monotonic() - began
                self.assertEqual(len(told), 10)
                for ticks in told.values():
                    self.assertEqual(ticks, sorted(set(ticks)))
                    self.assertLess(len(ticks), seconds * 31 + 5)
            self.assertEqual(ticker.end(), 0)


class FirstHandler(unittest.TestCase):
    def test_the_room_of_the_guide_works(self):
        with Example("first_handler") as room:
            answer = exchange(room.address, upgrade_request("/room"))
            self.assertEqual((answer.status, answer.body), (400, b"say who you are: /room?name=...\n"))
            with Peer(room, "/room?name=ann") as ann:
                heard = []

                def hears(text):
                    heard.append(hear(ann))
                    return text in heard

                eventually(lambda: hears("ann came in"))
                with Peer(room, "/room?name=bob") as bob:
                    eventually(lambda: hears("bob came in"))
                    say(bob, "hello")
                    say(bob, "you")
                    eventually(lambda: hears("bob: you"))
                eventually(lambda: hears("bob left after 2 messages"))
                eventually(lambda: hears("") or heard[-1].startswith("it is "))
            self.assertEqual(room.end(), 0)

    def test_nobody_can_say_what_makes_others_leave(self):
        with Example("first_handler") as room:
            self.assertEqual(exchange(room.address, upgrade_request("/room?name=%ff%fe")).status, 400)
            with Peer(room, "/room?name=ann") as ann:
                heard = []
                with Peer(room, "/room?name=eve") as eve:
                    eve.send(frame(BINARY, b"\xff\xfe"))
                    eventually(lambda: eve.read()[:2] == (CLOSE, b"\x03\xebsay it as text"))
                    while not heard or heard[-1] != "eve left after 0 messages":
                        heard.append(hear(ann))
                self.assertNotIn("eve: ", "".join(heard))

    def test_every_piece_of_code_of_the_guide_is_compiled(self):
        page = (ROOT / "docs/first-handler.md").read_text(encoding="utf-8")
        source = (ROOT / "examples/first_handler.cc").read_text(encoding="utf-8")
        pieces = re.findall(r"```cpp\n(.*?)```", page, re.DOTALL)
        self.assertGreater(len(pieces), 5)
        for piece in pieces:
            self.assertIn(piece, source)
        # And nothing is missing from it, so that whoever follows the page has the whole program.
        left = source
        for piece in pieces:
            left = left.replace(piece, "")
        self.assertEqual(re.sub(r"//.*|\s", "", left), "", "the page does not show this")


if __name__ == "__main__":
    unittest.main()
