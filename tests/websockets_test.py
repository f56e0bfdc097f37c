"""A Python program that knows nothing of Holdfast but its address: the `websockets` package as the peer."""

import asyncio
import unittest

import websockets

from harness import PATIENCE, Server, eventually


class PythonClient(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.server = Server("--workers", 2)
        self.addCleanup(self.server.end)

    def connect(self, path, **options):
        return websockets.connect(self.server.url + path, open_timeout=PATIENCE, close_timeout=PATIENCE, ping_interval=None, **options)

    async def test_echo_sends_back_text_and_binary(self):
        async with self.connect("/echo") as peer:
            for message in ["", "hello", "Grüße, 世界 🌍", b"", b"\x00\xff" * 100, "x" * 125, "x" * 126, "x" * 65536]:
                await peer.send(message)
                self.assertEqual(await peer.recv(), message)

    async def test_echo_joins_a_fragmented_message(self):
        async with self.connect("/echo") as peer:
            await peer.send(["one ", "two ", "three"])
            self.assertEqual(await peer.recv(), "one two three")
            await peer.send([b"\x01", b"", b"\x02" * 1000])
            self.assertEqual(await peer.recv(), b"\x01" + b"\x02" * 1000)

    async def test_messages_in_flight_come_back_in_order(self):
        async with self.connect("/echo") as peer:
            for number in range(500):
                await peer.send(str(number))
            self.assertEqual([await peer.recv() for _ in range(500)], [str(number) for number in range(500)])

    async def test_a_ping_is_answered_with_its_payload(self):
        async with self.connect("/") as peer:
            pong = await peer.ping(b"are you there")
            await asyncio.wait_for(pong, PATIENCE)

    async def test_the_close_handshake_completes_with_the_peers_code(self):
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
            async with self.connect("/echo") as peer:
                await peer.close(code=code, reason="done")
                self.assertEqual(peer.close_code, code)

    async def test_compression_is_offered_in_vain(self):
        async with self.connect("/echo", compression="deflate") as peer:
            self.assertEqual(peer.extensions, [])
            await peer.send("plain")
            self.assertEqual(await peer.recv(), "plain")

    async def test_a_message_over_the_limit_closes_with_1009(self):
        async with self.connect("/echo") as peer:
            await peer.send("x" * 65537)
            with self.assertRaises(websockets.ConnectionClosedError):
                await peer.recv()
            self.assertEqual(peer.close_code, 1009)

    async def test_text_that_is_no_utf8_closes_with_1007(self):
        async with self.connect("/echo") as peer:
            await peer.write_frame(True, 1, b"\xff")
            with self.assertRaises(websockets.ConnectionClosedError):
                await peer.recv()
            self.assertEqual(peer.close_code, 1007)

    async def test_the_root_holds_and_ignores_what_it_is_told(self):
        async with self.connect("/") as peer:
            await peer.send("nobody answers")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(peer.recv(), 0.3)
            await asyncio.wait_for(await peer.ping(), PATIENCE)
            eventually(lambda: self.server.connections() == 1)

    async def test_an_unknown_path_is_refused_with_404(self):
        with self.assertRaises(websockets.InvalidStatusCode) as refusal:
            async with self.connect("/nowhere"):
                pass
        self.assertEqual(refusal.exception.status_code, 404)


class Large(unittest.IsolatedAsyncioTestCase):
    async def test_messages_up_to_16_mib_come_back_whole(self):
        with Server("--message-bytes-max", "16MiB", "--fragments-max", 65536, "--queue-bytes-max", "64MiB") as server:
            async with websockets.connect(server.url + "/echo", max_size=None, open_timeout=PATIENCE, ping_interval=None, compression=None) as peer:
                for size in (1 << 20, 4 << 20, 16 << 20):
                    message = bytes(range(256)) * (size >> 8)
                    await peer.send(message)
                    self.assertTrue(await peer.recv() == message, size)
                await peer.send(["Grüße "] * 5000)
                self.assertEqual(await peer.recv(), "Grüße " * 5000)


class Keepalive(unittest.IsolatedAsyncioTestCase):
    async def test_a_peer_that_answers_pings_is_held_and_pinged_again(self):
        with Server("--ping-interval", "300ms", "--pong-timeout", "3s") as server:
            async with websockets.connect(server.url + "/", open_timeout=PATIENCE, ping_interval=None) as peer:
                await asyncio.sleep(5)
                self.assertTrue(peer.open)
                self.assertGreaterEqual(server.metric("holdfast_pings_sent_total"), 5)
                self.assertEqual(server.metric("holdfast_pongs_missed_total"), 0)


if __name__ == "__main__":
    unittest.main()
