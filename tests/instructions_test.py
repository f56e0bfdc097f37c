"""That scripts/instructions fails where something grew, and only there."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 and "/" in sys.argv[1] else ROOT / "build/release"


class Instructions(unittest.TestCase):
    def judge(self, recorded):
        """What it says of a text frame and a pong, against this record."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(recorded, file)
            file.flush()
            return subprocess.run([ROOT / "scripts/instructions", "--build", BUILD, "--record", file.name, "--only", "text32", "pong"],
                                  capture_output=True, text=True, timeout=100, check=False)

    def setUp(self):
        self.recorded = json.loads((ROOT / "bench/instructions.json").read_text())

    def test_what_is_as_recorded_passes(self):
        done = self.judge(self.recorded)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_what_takes_a_tenth_more_than_recorded_fails_and_is_named(self):
        done = self.judge({**self.recorded, "pong": round(self.recorded["pong"] / 1.1)})
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn("instructions: pong: more than 5 %", done.stderr)
        self.assertNotIn("text32:", done.stderr)

    def test_what_was_never_recorded_fails(self):
        del self.recorded["text32"]
        done = self.judge(self.recorded)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn("instructions: text32:", done.stderr)

    def test_the_page_tells_what_is_recorded(self):
        page = (ROOT / "docs/benchmarks.md").read_text()
        told = page[page.index("`scripts/instructions`, which") :].split("\n\n")[0]
        for case, count in self.recorded.items():
            self.assertRegex(told, rf"\b{count:,}\b", case)


if __name__ == "__main__":
    unittest.main()
