"""Runs chromium_test.mjs, headless Chromium, against a server."""

import os
import pathlib
import shutil
import subprocess
import unittest

from harness import ROOT, Server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-headless-shell", "google-chrome"))), None)


@unittest.skipIf(CHROMIUM is None, "no Chromium here: scripts/bootstrap --tests installs it where Debian has it")
class Browser(unittest.TestCase):
    def test_chromium_is_content(self):
        with Server("--workers", 2, "--message-bytes-max", "16MiB", "--queue-bytes-max", "64MiB", "--drain-time", "1s") as server:
            done = subprocess.run(
                ["node", "--test", "--test-reporter=spec", pathlib.Path(__file__).with_suffix(".mjs")],
                cwd=ROOT,
                env={**os.environ, "HOLDFAST_URL": server.url, "HOLDFAST_PID": str(server.process.pid), "HOLDFAST_CHROMIUM": CHROMIUM},
                capture_output=True,
                text=True,
                timeout=150,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(server.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
