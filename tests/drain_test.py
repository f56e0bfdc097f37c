"""Leaving: readiness first, then closes one by one; a second signal cuts it short."""

import selectors
import unittest

from harness import *


class Drain(unittest.TestCase):
    def test_closes_are_paced_over_the_drain_time_and_the_exit_code_is_0(self):
        with Server("--workers", 2, "--drain-time", "6s") as server:
            peers = [Peer(server) for _ in range(100)]
            self.assertEqual(server.get("/readyz")[0], 200)
            started = time.monotonic()
            server.signal(signal.SIGTERM)
            status, _ = eventually(lambda: self.not_ready(server), message="readiness stayed true")
            self.assertEqual(status, 503)
            self.assertEqual(server.get("/healthz")[0], 200)

            times = self.close_times(peers, started)
            self.assertEqual(len(times), 100)
            self.assertGreater(max(times), 4.2)
            if not SANITIZED:
                self.assertLess(min(times), 2.1)
                self.assertLess(max(times), 9.0)
                for tenth in range(90):
                    at_once = sum(tenth / 10 <= moment < (tenth + 2) / 10 for moment in times)
                    self.assertLess(at_once, 40, "closes came in a burst")  # that come while we stand still are seen together
            self.assertEqual(server.wait(), 0)

    @staticmethod
    def not_ready(server):
        answer = server.get("/readyz")
        return answer if answer[0] != 200 else None

    def close_times(self, peers, started):
        """Seconds from `started` to each peer's close frame, which must say 1001."""
        selector = selectors.DefaultSelector()
        for peer in peers:
            selector.register(peer.socket, selectors.EVENT_READ, peer)
        times = []
        while selector.get_map() and time.monotonic() < started + 6 + PATIENCE:
            for key, _ in selector.select(1):
                moment = time.monotonic() - started
                opcode, payload, _ = key.data.read()
                if opcode != CLOSE:  # a keepalive ping
                    continue
                times.append(moment)
                self.assertEqual(payload[:2], close_payload(1001))
                selector.unregister(key.fileobj)
                key.data.send(frame(CLOSE, payload[:2]))
                with self.assertRaises(EOFError):
                    key.data.read()
                key.fileobj.close()
        return times

    def test_nobody_is_let_in_while_draining(self):
        with Server("--drain-time", "5m") as server, Peer(server):
            server.signal(signal.SIGTERM)
            eventually(lambda: self.not_ready(server))
            with self.assertRaises(OSError):
                eventually(lambda: Peer(server) is None, 1)

    def test_interrupt_drains_too_and_an_empty_server_ends_at_once(self):
        with Server("--drain-time", "5m") as server:
            started = time.monotonic()
            server.signal(signal.SIGINT)
            self.assertEqual(server.wait(), 0)
            if not SANITIZED:
                self.assertLess(time.monotonic() - started, 5)

    def test_a_second_signal_ends_it_at_once_with_exit_code_1(self):
        with Server("--drain-time", "5m") as server:
            peers = [Peer(server) for _ in range(10)]
            server.signal(signal.SIGTERM)
            eventually(lambda: self.not_ready(server))
            started = time.monotonic()
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 1)
            if not SANITIZED:
                self.assertLess(time.monotonic() - started, 5)
            for peer in peers:
                peer.socket.close()

    def test_a_peer_that_does_not_answer_its_close_does_not_hold_up_the_drain(self):
        with Server("--drain-time", "200ms", "--close-timeout", "500ms") as server:
            peer = Peer(server)
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            peer.socket.close()

    def test_nor_does_one_that_goes_on_reading_what_it_is_owed(self):
        with Server("--drain-time", "500ms", "--close-timeout", "1s", "--queue-bytes-max", "64MiB", "--message-bytes-max", "1MiB") as server:
            with Peer(server, "/echo") as peer:
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
                for _ in range(40):
                    peer.send(frame(BINARY, b"x" * 1_000_000))
                started = time.monotonic()
                server.signal(signal.SIGTERM)
                while server.process.poll() is None and time.monotonic() < started + PATIENCE:
                    with contextlib.suppress(ConnectionResetError):
                        peer.socket.recv(64 * 1024)  # a few hundred kilobytes a second
                    time.sleep(0.1)
                self.assertEqual(server.wait(), 0)
                if not SANITIZED:
                    self.assertLess(time.monotonic() - started, 5)  # all of it would take a minute
                self.assertGreater(time.monotonic() - started, 1.0)

    def test_a_hangup_reads_the_apps_again_and_drops_nobody(self):
        with Server() as server, Peer(server, "/echo") as peer:
            server.signal(signal.SIGHUP)
            server.wait_for_log("apps reloaded")
            peer.send(frame(TEXT, b"still"))
            self.assertEqual(peer.read()[1], b"still")


class ServiceManager(unittest.TestCase):
    def test_systemd_is_told_ready_and_stopping(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind("\0holdfast-test-%d" % os.getpid())
            notify.settimeout(PATIENCE)
            name = "@holdfast-test-%d" % os.getpid()
            with Server("--drain-time", "0", env={"NOTIFY_SOCKET": name}) as server:
                ready = self.read_until(notify, "READY=1")
                self.assertIn("STATUS=", ready)
                server.signal(signal.SIGTERM)
                self.read_until(notify, "STOPPING=1")
                self.assertEqual(server.wait(), 0)

    @staticmethod
    def read_until(notify, wanted):
        while True:
            text = notify.recv(4096).decode()
            if wanted in text.splitlines():
                return text


if __name__ == "__main__":
    unittest.main()
