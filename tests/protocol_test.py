"""Frames that break RFC 6455: each closes its own connection with the right code, and no other."""

import unittest

from harness import *


class Violations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", 1, "--message-bytes-max", "4KiB", "--fragments-max", 8, "--close-timeout", "1m", "--ping-interval", "off")
        cls.witness = Peer(cls.server, "/echo")

    @classmethod
    def tearDownClass(cls):
        cls.witness.socket.close()
        cls.server.end()

    def tearDown(self):
        self.witness.send(frame(TEXT, b"untouched"))
        self.assertEqual(self.witness.read()[1], b"untouched")

    def closes(self, code, *frames):
        with Peer(self.server, "/echo") as peer:
            peer.send(*frames)
            self.assertEqual(peer.read_close(), code)

    def test_an_unmasked_frame_closes_with_1002(self):
        self.closes(1002, frame(TEXT, b"bare", mask=None))

    def test_a_reserved_bit_closes_with_1002(self):
        for bit in (1, 2, 4):
            self.closes(1002, frame(TEXT, b"x", rsv=bit))

    def test_an_unknown_opcode_closes_with_1002(self):
        for opcode in (3, 7, 11, 15):
            self.closes(1002, frame(opcode, b"x"))

    def test_a_fragmented_control_frame_closes_with_1002(self):
        self.closes(1002, frame(PING, b"x", fin=False))

    def test_a_long_control_frame_closes_with_1002(self):
        self.closes(1002, frame(PING, b"x" * 126))

    def test_a_length_in_a_longer_form_than_needed_closes_with_1002(self):
        self.closes(1002, frame(TEXT, b"abc", length=(126, 3)))
        self.closes(1002, frame(TEXT, b"abc", length=(127, 3)))

    def test_a_continuation_of_nothing_closes_with_1002(self):
        self.closes(1002, frame(CONTINUATION, b"x"))

    def test_a_new_message_within_a_message_closes_with_1002(self):
        self.closes(1002, frame(TEXT, b"a", fin=False), frame(TEXT, b"b"))

    def test_text_that_is_no_utf8_closes_with_1007(self):
        self.closes(1007, frame(TEXT, b"\xff"))
        self.closes(1007, frame(TEXT, b"\xf0\x9f", fin=False), frame(CONTINUATION, b"x"))
        self.closes(1007, frame(TEXT, b"\xc3"))

    def test_utf8_that_is_split_between_fragments_is_fine(self):
        with Peer(self.server, "/echo") as peer:
            whole = "🌍".encode()
            peer.send(frame(TEXT, whole[:2], fin=False), frame(CONTINUATION, whole[2:]))
            self.assertEqual(peer.read()[1], whole)

    def test_too_long_a_message_closes_with_1009(self):
        self.closes(1009, frame(BINARY, b"x" * 4097))
        self.closes(1009, frame(BINARY, b"x" * 3000, fin=False), frame(CONTINUATION, b"x" * 3000))

    def test_a_length_that_is_a_lie_takes_no_memory_and_closes_with_1009(self):
        self.closes(1009, frame(BINARY, b"", length=(127, 1 << 62)))

    def test_a_length_with_its_highest_bit_set_is_refused(self):
        with Peer(self.server, "/echo") as peer:
            peer.send(frame(BINARY, b"", length=(127, 1 << 63)))
            self.assertIn(peer.read_close(), (1002, 1009))

    def test_too_many_fragments_close_with_1008(self):
        self.closes(1008, frame(TEXT, b"a", fin=False), *[frame(CONTINUATION, b"a", fin=False)] * 8)

    def test_a_close_frame_of_one_byte_closes_with_1002(self):
        self.closes(1002, frame(CLOSE, b"\x03"))

    def test_a_close_code_that_must_not_be_sent_closes_with_1002(self):
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535):
            with self.subTest(code=code):
                self.closes(1002, frame(CLOSE, close_payload(code)))

    def test_a_close_reason_that_is_no_utf8_closes_with_1007(self):
        self.closes(1007, frame(CLOSE, close_payload(1000, b"\xff")))

    def test_a_close_frame_is_answered_with_its_code(self):
        for code in (1000, 1001, 1003, 1007, 1011, 3000, 4999):
            self.closes(code, frame(CLOSE, close_payload(code, b"bye")))
        self.closes(1005, frame(CLOSE))

    def test_what_follows_a_close_frame_is_not_answered(self):
        self.closes(1000, frame(CLOSE, close_payload(1000)), frame(TEXT, b"one more thing"), frame(PING))

    def test_a_ping_inside_a_message_is_answered_before_the_message(self):
        with Peer(self.server, "/echo") as peer:
            peer.send(frame(TEXT, b"a", fin=False), frame(PING, b"p"), frame(CONTINUATION, b"b"))
            self.assertEqual(peer.read()[:2], (PONG, b"p"))
            self.assertEqual(peer.read()[:2], (TEXT, b"ab"))

    def test_a_pong_that_nobody_asked_for_is_ignored(self):
        with Peer(self.server, "/echo") as peer:
            peer.send(frame(PONG, b"unasked"), frame(TEXT, b"x"))
            self.assertEqual(peer.read()[:2], (TEXT, b"x"))

    def test_a_frame_that_comes_byte_by_byte_is_read(self):
        with Peer(self.server, "/echo") as peer:
            for byte in frame(TEXT, b"slowly") + frame(BINARY, b"y" * 200):
                peer.send(bytes([byte]))
            self.assertEqual(peer.read()[:2], (TEXT, b"slowly"))
            self.assertEqual(peer.read()[:2], (BINARY, b"y" * 200))

    def test_a_peer_that_does_not_answer_the_close_is_left_behind(self):
        with Server("--workers", 1, "--close-timeout", "300ms") as server, Peer(server, "/echo") as peer:
            peer.send(frame(3, b"violation"))
            self.assertEqual(peer.read()[0], CLOSE)
            started = time.monotonic()
            with contextlib.suppress(EOFError, ConnectionResetError):
                peer.read()
            eventually(lambda: server.connections() == 0)
            self.assertLess(time.monotonic() - started, 5 * SLOWNESS)

    def test_a_reader_that_never_reads_is_cut_off_at_its_queue(self):
        with Server("--workers", 1, "--queue-bytes-max", "64KiB") as server:
            with Peer(server, "/echo") as deaf:
                deaf.socket.settimeout(0.5)
                with self.assertRaises(OSError):
                    for _ in range(2000):
                        deaf.send(frame(BINARY, b"z" * 32768))
            eventually(lambda: server.connections() == 0)
            with Peer(server, "/echo") as other:
                other.send(frame(TEXT, b"fine"))
                self.assertEqual(other.read()[1], b"fine")


if __name__ == "__main__":
    unittest.main()
