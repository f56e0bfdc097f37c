"""Runs pusher_browser_test.mjs: pusher-js and Laravel Echo in headless Chromium, against a server that is drained at the end."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import HOLDFAST, ROOT, SLOWNESS, Server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-headless-shell", "google-chrome"))), None)

CONFIG = """
[[apps]]
id = "1"
key = "app-key"
secret = "app-secret"
client_events = true
[[apps.history]]
prefix = "kept"
events = 20
[[apps.history]]
prefix = "presence-kept"
[[apps.history]]
prefix = "private-encrypted-kept"
"""


@unittest.skipIf(CHROMIUM is None, "no Chromium here: scripts/bootstrap --tests installs it where Debian has it")
class Browser(unittest.TestCase):
    def test_pages_that_use_the_client_libraries_are_content(self):
        config = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.addCleanup(config.close)
        config.write(CONFIG)
        config.flush()
        with Server("--config", config.name, "--workers", 2, "--drain-time", "1s") as server:
            done = subprocess.run(
                ["node", "--test", "--test-reporter=spec", pathlib.Path(__file__).with_suffix(".mjs")],
                cwd=ROOT,
                env={
                    **os.environ,
                    "HOLDFAST_URL": server.url,
                    "HOLDFAST_ADMIN": f"http://{server.admin[0]}:{server.admin[1]}",
                    "HOLDFAST_RECOVERY": str(pathlib.Path(HOLDFAST).with_name("web") / "recovery/recovery.js"),
                    "HOLDFAST_PID": str(server.process.pid),
                    "HOLDFAST_CHROMIUM": CHROMIUM,
                },
                capture_output=True,
                text=True,
                timeout=150 * SLOWNESS,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    unittest.main()
