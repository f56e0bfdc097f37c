"""The machine's limits: too few descriptors, running out of them while peers come, and giving back what was used."""

import unittest

from harness import *


class TooFew(unittest.TestCase):
    def test_a_goal_that_cannot_be_reached_is_refused_with_the_remedy(self):
        done = run("serve", "--listen", f"{HOST}:0", "--admin", "off", "--workers", 1, "--connections-max", 5000,
                   preexec_fn=with_descriptors(1024))
        self.assertEqual(done.returncode, 1)
        for word in ("5,000", "1,024", "--workers auto", "--allow-fewer", "holdfast doctor"):
            self.assertIn(word, done.stderr)

    def test_when_allowed_it_goes_on_with_fewer_and_says_so(self):
        with Server("--workers", 1, "--connections-max", 5000, "--allow-fewer", preexec_fn=with_descriptors(1024)) as server:
            self.assertLess(int(server.ready["connections_max"]), 1024)
            self.assertTrue(any("5,000" in line["message"] for line in server.log if line["level"] == "warning"))

    def test_the_soft_limit_is_raised_to_the_hard_one(self):
        with Server("--workers", 1, "--connections-max", 1500, preexec_fn=with_descriptors(256, 4096)) as server:
            peers = [Peer(server) for _ in range(400)]
            eventually(lambda: server.connections() == 400)
            for peer in peers:
                peer.socket.close()


class OutOfDescriptors(unittest.TestCase):
    """More peers than descriptors: nobody who is in is harmed, nobody spins, and who leaves makes room."""

    def test_peers_beyond_the_last_descriptor_are_refused_and_the_server_does_not_spin(self):
        with Server("--workers", 1, "--allow-fewer", "--connections-max", 1000, "--ping-interval", "off",
                    preexec_fn=with_descriptors(256)) as server:
            held = []
            refused = 0
            waiting = []
            for _ in range(600):
                peer = connect(server.address)
                peer.sendall(upgrade_request("/echo"))
                peer.settimeout(1)
                try:
                    answer = peer.recv(4096)
                except (TimeoutError, ConnectionResetError):
                    answer = None
                if answer and b" 101 " in answer:
                    held.append(peer)
                elif answer is None:
                    waiting.append(peer)
                else:
                    self.assertTrue(answer == b"" or b" 503 " in answer, answer)
                    refused += 1
                    peer.close()
                if len(waiting) > 20:
                    break
            self.assertGreater(len(held), 64)
            self.assertGreater(refused + len(waiting), 0)

            before = server.cpu_seconds()
            time.sleep(1.5)
            self.assertLess(server.cpu_seconds() - before, 0.3, "it spins")

            held[0].settimeout(PATIENCE)
            held[0].sendall(frame(TEXT, b"still served"))
            self.assertIn(b"still served", held[0].recv(4096))

            for peer in held[1:] + waiting:
                peer.close()
            with eventually(lambda: self.try_peer(server)) as peer:
                peer.send(frame(TEXT, b"room again"))
                self.assertEqual(peer.read()[1], b"room again")
            held[0].close()

    @staticmethod
    def try_peer(server):
        try:
            return Peer(server, "/echo")
        except OSError:
            return None


class GivingBack(unittest.TestCase):
    def test_memory_and_descriptors_come_back_after_ten_rounds(self):
        with Server("--workers", 2) as server:
            levels = []
            for _ in range(10):
                peers = [Peer(server, "/topics/round") for _ in range(500)]
                for peer in peers[:50]:
                    peer.send(frame(TEXT, b"half a message", fin=False))
                for peer in peers:
                    peer.socket.close()
                eventually(lambda: server.connections() == 0)
                levels.append(server.resident_bytes())
            if not SANITIZED:
                self.assertLess(levels[-1] - levels[1], 256 * 1024, levels)
            self.assertEqual(server.metric("holdfast_used", resource="connections"), 0)

    def test_connections_spread_evenly_over_the_workers(self):
        with Server("--workers", 2) as server:
            peers = [Peer(server) for _ in range(1000)]
            counts = server.stats()["connections_per_worker"]
            self.assertEqual(sum(counts), 1000)
            self.assertLess(max(counts) / (sum(counts) / len(counts)), 1.15, counts)
            for peer in peers:
                peer.socket.close()


if __name__ == "__main__":
    unittest.main()
