"""Runs chromium_test.mjs, headless Chromium, against a server."""

import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import unittest

import tls_test
from harness import ROOT, SLOWNESS, Server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-headless-shell", "google-chrome"))), None)


def key_digest(cert):
    """What Chromium knows a key by that no authority vouches for."""
    key = subprocess.run(["openssl", "x509", "-in", cert, "-pubkey", "-noout"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, capture_output=True, check=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


@unittest.skipIf(CHROMIUM is None, "no Chromium here: scripts/bootstrap --tests installs it where Debian has it")
class Browser(unittest.TestCase):
    def browse(self, *arguments, scheme="ws", deflate="off", **environment):
        """Runs all of chromium_test.mjs against a server, which is told to leave at its end."""
        limits = ("--message-bytes-max", "16MiB", "--queue-bytes-max", "64MiB", "--drain-time", "1s")
        with Server("--workers", 2, "--deflate", deflate, *limits, *arguments) as server:
            done = subprocess.run(
                ["node", "--test", "--test-reporter=spec", pathlib.Path(__file__).with_suffix(".mjs")],
                cwd=ROOT,
                env={
                    **os.environ,
                    "HOLDFAST_URL": scheme + server.url.removeprefix("ws"),
                    "HOLDFAST_ADMIN": "http://%s:%d" % server.admin,
                    "HOLDFAST_DEFLATE": deflate,
                    "HOLDFAST_PID": str(server.process.pid),
                    "HOLDFAST_CHROMIUM": CHROMIUM,
                    **environment,
                },
                capture_output=True,
                text=True,
                timeout=150 * SLOWNESS,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(server.wait(), 0)

    def test_chromium_is_content(self):
        self.browse()

    def test_chromium_is_content_with_messages_compressed_one_by_one(self):
        self.browse(deflate="on")

    def test_chromium_is_content_with_windows_kept_between_messages(self):
        self.browse(deflate="takeover")

    def test_chromium_is_content_over_wss(self):
        self.browse("--tls-cert", tls_test.CERT, "--tls-key", tls_test.KEY, scheme="wss", HOLDFAST_SPKI=key_digest(tls_test.CERT))


if __name__ == "__main__":
    unittest.main()
