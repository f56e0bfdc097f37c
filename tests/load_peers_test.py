"""The generator against servers that others wrote: npm's `ws` and Python's `websockets`, each with 1,000 connections."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from harness import ROOT, SANITIZED, SLOWNESS, run

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = 200 if SANITIZED else 1000


class OtherServer:
    """A program that prints its port; what it writes to stderr is a complaint about its peers."""

    def __init__(self, host, *command):
        self.host = host
        self.process = subprocess.Popen([*command, host], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        self.url = f"ws://{self.host}:{int(self.process.stdout.readline())}"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.complaints = self.process.communicate()[1]


class LoadPeers(unittest.TestCase):
    def hold(self, server, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "report.json"
            with server:
                done = run("load", server.url + "/", "--scenario", "echo", "--connections", CONNECTIONS, "--rate", 500,
                           "--message-rate", 1, "--hold", "5s", "--settle", "20s", "--report", path, *arguments, timeout=90 * SLOWNESS)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            report = json.loads(path.read_text())
        self.assertEqual(server.complaints, "")
        self.assertIn(report["verdict"]["result"], ("held", "generator-bound"))
        self.assertEqual(report["opening"]["opened"], CONNECTIONS)
        self.assertEqual(report["messages"]["wrong"], 0)
        self.assertEqual(report["messages"]["missing"], 0)
        self.assertGreater(report["messages"]["received"], CONNECTIONS)
        return report

    def test_npm_ws_echoes_and_is_content(self):
        self.hold(OtherServer("127.0.0.12", "node", HERE / "ws_server.mjs"))

    def test_npm_ws_takes_large_messages_and_a_proper_goodbye(self):
        self.hold(OtherServer("127.0.0.12", "node", HERE / "ws_server.mjs"), "--message-bytes", "20KiB", "--leave", "close")

    def test_python_websockets_pings_echoes_and_is_content(self):
        report = self.hold(OtherServer("127.0.0.13", sys.executable, HERE / "websockets_server.py"), "--leave", "close")
        self.assertGreater(report["holding"]["pings_in_all"], 0)


if __name__ == "__main__":
    unittest.main()
