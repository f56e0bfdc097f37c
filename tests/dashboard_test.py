"""Runs dashboard_test.mjs: the operator's page in headless Chromium, against a server with peers."""

import os
import pathlib
import shutil
import subprocess
import unittest

from harness import ROOT, SLOWNESS, Peer, Server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-headless-shell", "google-chrome"))), None)


@unittest.skipIf(CHROMIUM is None, "no Chromium here: scripts/bootstrap --tests installs it where Debian has it")
class Dashboard(unittest.TestCase):
    def test_the_page_shows_and_does_what_it_says(self):
        with Server("--workers", 2, "--pong-timeout", "5m") as server:  # the peers answer no pings
            peers = [Peer(server, "/topics/prices") for _ in range(12)]
            done = subprocess.run(
                ["node", "--test", "--test-reporter=spec", pathlib.Path(__file__).with_suffix(".mjs")],
                cwd=ROOT,
                env={**os.environ, "HOLDFAST_ADMIN": f"http://{server.admin[0]}:{server.admin[1]}", "HOLDFAST_CHROMIUM": CHROMIUM, "HOLDFAST_URL": server.url},
                capture_output=True,
                text=True,
                timeout=110 * SLOWNESS,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for peer in peers:
                peer.socket.close()


if __name__ == "__main__":
    unittest.main()
