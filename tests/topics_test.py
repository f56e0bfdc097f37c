"""Publishing: a body posted to one worker reaches every subscriber on all of them, once and in order."""

import unittest

from harness import *


class Topics(unittest.TestCase):
    def test_every_subscriber_on_every_worker_gets_each_message_once_and_in_order(self):
        with Server("--workers", 4) as server:
            peers = [Peer(server, "/topics/news") for _ in range(60)]
            others = [Peer(server, "/topics/other") for _ in range(4)]
            for number in range(20):
                self.assertLess(post(server.address, "/topics/news", f"message {number}".encode()).status, 300)
            for peer in peers:
                received = [peer.read() for _ in range(20)]
                self.assertEqual([payload.decode() for _, payload, _ in received], [f"message {n}" for n in range(20)])
            self.assertLess(post(server.address, "/topics/other", b"only this").status, 300)
            for peer in others:
                self.assertEqual(peer.read()[1], b"only this")
            for peer in peers + others:
                peer.socket.close()

    def test_text_goes_out_as_text_and_other_bytes_as_binary(self):
        with Server() as server, Peer(server, "/topics/a") as peer:
            post(server.address, "/topics/a", "Grüße".encode())
            self.assertEqual(peer.read()[:2], (TEXT, "Grüße".encode()))
            post(server.address, "/topics/a", b"\xff\xfe")
            self.assertEqual(peer.read()[:2], (BINARY, b"\xff\xfe"))

    def test_a_body_may_come_in_chunks_and_a_connection_may_be_kept(self):
        with Server() as server, Peer(server, "/topics/a") as peer, connect(server.address) as publisher:
            for body in (b"one", b"two"):
                publisher.sendall(
                    b"POST /topics/a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
                )
                self.assertIn(b" 20", publisher.recv(4096)[:13])
                self.assertEqual(peer.read()[1], body)

    def test_a_body_over_the_limit_is_refused(self):
        with Server("--message-bytes-max", "1KiB") as server:
            self.assertEqual(post(server.address, "/topics/a", b"x" * 1025).status, 413)
            self.assertLess(post(server.address, "/topics/a", b"x" * 1024).status, 300)

    def test_a_subscriber_that_left_gets_nothing_and_costs_nothing(self):
        with Server("--workers", 2) as server:
            for _ in range(50):
                Peer(server, "/topics/a").socket.close()
            eventually(lambda: server.connections() == 0)
            self.assertLess(post(server.address, "/topics/a", b"hello?").status, 300)

    def test_a_window_gathers_and_conflation_keeps_the_newest_of_each_key(self):
        with Server() as server, Peer(server, "/topics/p?window=1000ms") as all_of_them, \
                Peer(server, "/topics/p?window=1s&conflate") as newest, Peer(server, "/topics/p") as at_once, connect(server.address) as publisher:
            texts = (b"a1", b"b1", b"a2")
            # At once, so that they fall into one window.
            publisher.sendall(b"".join(b"POST /topics/p?key=%c HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n%s" % (text[0], text) for text in texts))
            self.assertEqual([at_once.read()[1] for _ in texts], list(texts))
            self.assertEqual([all_of_them.read()[1] for _ in range(3)], [b"a1", b"b1", b"a2"])
            self.assertEqual([newest.read()[1] for _ in range(2)], [b"b1", b"a2"])
            self.assertEqual(server.metric("holdfast_messages_conflated_total"), 1)
            self.assertEqual(server.metric("holdfast_deliveries_total"), 8)

    def test_conflation_without_a_window_has_one(self):
        with Server() as server, Peer(server, "/topics/p?conflate") as newest, connect(server.address) as publisher:
            publisher.sendall(b"".join(b"POST /topics/p?key=k HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n%04d" % number for number in range(200)))
            heard = [newest.read()[1]]
            while heard[-1] != b"0199":
                heard.append(newest.read()[1])
            self.assertLess(len(heard), 100)
            self.assertEqual(heard, sorted(heard))
            self.assertEqual(server.metric("holdfast_messages_conflated_total"), 200 - len(heard))

    def test_a_window_that_is_none_is_refused(self):
        for query in ("window=soon", "window=0&conflate"):
            with self.subTest(query), Server() as server, connect(server.address) as peer:
                peer.sendall(upgrade_request(f"/topics/p?{query}"))
                self.assertIn(b" 400 ", peer.recv(4096)[:16])

    def test_with_a_token_only_its_bearer_publishes(self):
        with Server("--publish-token", "s3cret") as server, Peer(server, "/topics/a") as peer:
            self.assertEqual(post(server.address, "/topics/a", b"x").status, 401)
            self.assertEqual(post(server.address, "/topics/a", b"x", "Authorization: Bearer s3cre\r\n").status, 401)
            self.assertEqual(post(server.address, "/topics/a", b"x", "Authorization: Digest s3cret\r\n").status, 401)
            self.assertLess(post(server.address, "/topics/a", b"right", "Authorization: Bearer s3cret\r\n").status, 300)
            self.assertLess(post(server.address, "/topics/a", b"any case", "authorization: bearer s3cret\r\n").status, 300)
            self.assertEqual([peer.read()[1] for _ in range(2)], [b"right", b"any case"])


if __name__ == "__main__":
    unittest.main()
