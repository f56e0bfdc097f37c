"""Runs ws_client_test.mjs, npm's `ws`, against a server."""

import os
import pathlib
import subprocess
import unittest

from harness import ROOT, SLOWNESS, Server, eventually


class NodeClient(unittest.TestCase):
    def test_npm_ws_is_content(self):
        with Server("--workers", 2, "--message-bytes-max", "16MiB", "--fragments-max", 65536, "--queue-bytes-max", "64MiB") as server:
            done = subprocess.run(
                ["node", "--test", pathlib.Path(__file__).with_suffix(".mjs")],
                cwd=ROOT,
                env={**os.environ, "HOLDFAST_URL": server.url},
                capture_output=True,
                text=True,
                timeout=90 * SLOWNESS,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            eventually(lambda: server.connections() == 0)


if __name__ == "__main__":
    unittest.main()
