"""Whose pages may open WebSockets, and what becomes of offered sub-protocols on the paths that Holdfast brings."""

import unittest

from harness import *


class Origins(unittest.TestCase):
    def test_pages_of_the_listed_origins_come_in_and_others_are_told_why_not(self):
        with Server("--origins", "https://example.com,https://*.example.org") as server:

            def status(origin):
                answer = None
                with connect(server.address) as peer:
                    peer.sendall(upgrade_request("/echo", extra=f"Origin: {origin}\r\n" if origin else ""))
                    answer = Response(peer.recv(4096))
                return answer.status, answer.body

            for origin in ("https://example.com", "https://a.example.org", "https://b.a.example.org", None):
                self.assertEqual(status(origin)[0], 101, origin)
            for origin in ("http://example.com", "https://example.org", "https://example.com.evil.test", "null", "junk"):
                answer = status(origin)
                self.assertEqual(answer[0], 403, origin)
                self.assertIn(b"origin", answer[1])
            self.assertEqual(server.metric("holdfast_refused_total", reason="forbidden"), 5)

    def test_without_a_list_every_origin_comes_in(self):
        with Server() as server, Peer(server, "/echo", extra="Origin: https://anybody.test\r\n"):
            pass

    def test_what_is_no_origin_is_refused_at_the_start(self):
        done = run("serve", "--origins", "example.com")
        self.assertEqual(done.returncode, 2)
        for words in ("--origins", "'example.com'", "https://example.com", "any"):
            self.assertIn(words, done.stderr)

    def test_paths_without_a_subprotocol_choose_none_and_refuse_what_is_no_list(self):
        with Server() as server:
            with Peer(server, "/echo", extra="Sec-WebSocket-Protocol: chat, v2\r\n") as peer:
                self.assertNotIn("sec-websocket-protocol", peer.response.headers)
            answer = exchange(server.address, upgrade_request("/echo", extra="Sec-WebSocket-Protocol: a b\r\n"))
            self.assertEqual(answer.status, 400)


if __name__ == "__main__":
    unittest.main()
