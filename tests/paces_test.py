"""Who reads too slowly, and who talks too fast: what an operator sets for them is what happens to them."""

import unittest

from harness import *

PIECE = 16 * 1024


class SlowReaders(unittest.TestCase):
    """A reader stops; a publisher goes on until the server has shown what it does about that, and then says a last word."""

    def fall_behind(self, policy, metric, **labels):
        """(server, reader): both for the caller to end. What was published begins with its number."""
        server = Server("--workers", 1, "--queue-bytes-max", "128KiB", "--queue-full", policy, "--ping-interval", "off")
        self.addCleanup(server.end)
        reader = socket.socket()
        self.addCleanup(reader.close)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before connect(): so little may be on its way
        reader.settimeout(PATIENCE)
        reader.connect(server.address)
        reader.sendall(upgrade_request("/topics/ticks"))
        head = b""
        while b"\r\n\r\n" not in head:
            head += reader.recv(1)
        self.assertIn(b" 101 ", head)
        count = 0
        while server.metric(metric, **labels) == 0:
            self.assertLess(count, 2000, "the queue is never full")
            for _ in range(10):  # the kernel takes some megabytes before anything waits here
                self.publish(server, count)
                count += 1
        self.publish(server, "last")
        return server, reader

    def publish(self, server, what):
        key = "last" if what == "last" else what % 2
        answer = post(server.address, f"/topics/ticks?key={key}", f"{what} ".encode() + b"x" * (0 if what == "last" else PIECE))
        self.assertEqual(answer.status, 202)

    def words(self, reader):
        """What each message begins with, up to the last word, or the end of the stream."""
        peer = Peer.__new__(Peer)
        peer.socket, peer.buffer, result = reader, b"", []
        while not result or result[-1] != b"last":
            try:
                result.append(peer.read()[1].split(b" ")[0])
            except (EOFError, ConnectionResetError):
                break
        return result

    def test_disconnect_ends_it(self):
        server, reader = self.fall_behind("disconnect", "holdfast_closed_total", reason="queue_full")
        eventually(lambda: server.connections() == 0)
        self.assertNotIn(b"last", self.words(reader))
        self.assertEqual(server.metric("holdfast_messages_dropped_total"), 0)
        self.assertEqual(server.metric("holdfast_messages_conflated_total"), 0)

    def test_drop_oldest_leaves_a_gap_and_brings_the_newest(self):
        server, reader = self.fall_behind("drop-oldest", "holdfast_messages_dropped_total")
        words = self.words(reader)
        self.assertEqual(words[-1], b"last")
        numbers = [int(word) for word in words[:-1]]
        self.assertEqual(numbers, sorted(set(numbers)), "in their order, none twice")
        self.assertLess(len(numbers), numbers[-1] + 1, "none is missing")
        self.assertEqual(numbers[-3:], list(range(numbers[-1] - 2, numbers[-1] + 1)), "older ones of the same key wait, too")
        self.assertEqual(server.metric("holdfast_closed_total", reason="queue_full"), 0)
        self.assertEqual(server.metric("holdfast_messages_conflated_total"), 0)

    def test_conflate_keeps_the_newest_of_each_key(self):
        server, reader = self.fall_behind("conflate", "holdfast_messages_conflated_total")
        words = self.words(reader)
        self.assertEqual(words[-1], b"last")
        numbers = [int(word) for word in words[:-1]]
        self.assertEqual(abs(numbers[-1] - numbers[-2]), 1, "the newest of both keys")
        self.assertLess(len(numbers), max(numbers) + 1, "none is missing")
        self.assertEqual(server.metric("holdfast_closed_total", reason="queue_full"), 0)
        self.assertEqual(server.metric("holdfast_messages_dropped_total"), 0)


class FastTalkers(unittest.TestCase):
    def talk(self, server, messages):
        """How many came back before the Close, whose code must be 1008; all of them where there is none."""
        with Peer(server, "/echo") as peer:
            peer.send(*(frame(TEXT, message) for message in messages))
            for count in range(len(messages)):
                opcode, payload, _ = peer.read()
                if opcode == CLOSE:
                    self.assertEqual(payload, close_payload(1008, b"too many messages"))
                    eventually(lambda: server.metric("holdfast_closed_total", reason="too_fast") == 1)
                    return count
        return len(messages)

    def test_more_messages_a_second_than_allowed_end_with_1008(self):
        with Server("--workers", 1, "--message-rate-max", 20) as server:
            self.assertEqual(self.talk(server, [b"x" * 5000] * 15), 15)
            count = self.talk(server, [b"x"] * 200)
            self.assertGreaterEqual(count, 20)
            self.assertLess(count, 200)

    def test_more_bytes_a_second_than_allowed_end_with_1008(self):
        with Server("--workers", 1, "--byte-rate-max", "20KiB") as server:
            self.assertEqual(self.talk(server, [b"x"] * 500), 500)
            self.assertLess(self.talk(server, [b"x" * 1000] * 100), 100)


class Windows(unittest.TestCase):
    def test_the_topic_window_gathers_where_the_subscriber_asks_for_none(self):
        with Server("--workers", 1, "--topic-window", "800ms") as server, Peer(server, "/topics/t") as usual, \
                Peer(server, "/topics/t?window=0") as at_once:
            began = time.monotonic()
            for text in (b"first", b"second"):
                self.assertEqual(post(server.address, "/topics/t", text).status, 202)
            self.assertEqual([at_once.read()[1], at_once.read()[1]], [b"first", b"second"])
            self.assertEqual([usual.read()[1], usual.read()[1]], [b"first", b"second"])
            self.assertGreater(time.monotonic() - began, 0.6)
            self.assertFalse(server.metric("holdfast_closed_total"))


if __name__ == "__main__":
    unittest.main()
