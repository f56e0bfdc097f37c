"""The generator as many clients of the channel protocol, and what such a client costs the server."""

import re
import subprocess
import time
import unittest

from pusher_peers import *


class Load(unittest.TestCase):
    def test_the_generator_is_many_clients_and_loses_none(self):
        with Server("--workers", 2) as server:
            for more in (("--scenario", "idle", "--channels", 50), ("--scenario", "storm", "--channels", 50, "--rounds", 2),
                         ("--scenario", "fanout", "--message-rate", 20), ("--channels", 500, "--channel-kind", "presence")):
                done = run("load", server.url, "--protocol", "pusher", "--connections", 1000, "--rate", 0, "--hold", "1s", *more)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                if "fanout" in more:
                    self.assertIn(" 0 missing, 0 twice", done.stdout)
            eventually(lambda: server.connections() == 0)
            self.assertEqual(server.metric("holdfast_app_subscriptions"), 0)

    def test_idle_clients_ask_now_and_then_whether_the_server_is_there(self):
        with Server("--workers", 2) as server:
            done = run("load", server.url, "--protocol", "pusher", "--connections", 200, "--rate", 0, "--hold", "4s", "--client-ping-interval", "500ms")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            sent = re.search(r"messages +([\d,]+) sent, \1 of \1 received, 0 missing", done.stdout)
            self.assertTrue(sent, done.stdout)
            # Eight times each; fewer where the generator stood still.
            self.assertTrue(3 * 200 <= int(sent[1].replace(",", "")) <= 9 * 200, sent[0])

    def test_the_generator_counts_those_who_get_on_no_channel_as_refused(self):
        with Server() as server:
            done = run("load", server.url, "--protocol", "pusher", "--pusher-app", "1:no-such-key:x", "--connections", 5, "--hold", "0")
            self.assertEqual(done.returncode, 1)
            self.assertIn("an error of the Pusher protocol", done.stdout)

    @unittest.skipIf(SANITIZED, "memory tells nothing then")
    def test_a_client_on_a_public_channel_costs_at_most_192_bytes(self):
        clients = 9000
        with Server("--workers", 2) as server:
            before = server.resident_bytes()
            load = subprocess.Popen([HOLDFAST, "load", server.url, "--protocol", "pusher", "--channels", "150", "--connections", str(clients),
                                     "--rate", "0", "--hold", "4s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            eventually(lambda: server.connections() == clients, 30)
            time.sleep(1)
            each = (server.resident_bytes() - before) / clients
            self.assertEqual(load.wait(30), 0)
            self.assertLess(each, 192)


if __name__ == "__main__":
    unittest.main()
