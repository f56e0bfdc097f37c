"""What is installed beside the binary: the unit and the example configuration."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import HOLDFAST, ROOT, run

PACKAGING = ROOT / "packaging"


class PackagingTest(unittest.TestCase):
    def test_the_example_configuration_is_taken_whole(self):
        result = run("serve", "--config", PACKAGING / "holdfast.toml", "--print-config")
        self.assertEqual(result.returncode, 0, result.stderr)
        keys = [line.split("=")[0].strip() for line in (PACKAGING / "holdfast.toml").read_text().splitlines() if line[:1].isalpha()]
        self.assertTrue(keys)
        for key in keys:
            line = next(line for line in result.stdout.splitlines() if line.startswith(key + " "))
            self.assertIn("holdfast.toml", line)

    def test_the_patience_of_the_unit_covers_the_drain_of_the_example(self):
        unit = (PACKAGING / "holdfast.service").read_text()
        patience = next(line for line in unit.splitlines() if line.startswith("TimeoutStopSec="))
        self.assertGreater(int(patience.split("=")[1]), 10 + 1 + 2)

    def test_systemd_finds_no_fault_with_the_unit(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not installed")
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / "holdfast.service"
            unit.write_text((PACKAGING / "holdfast.service").read_text().replace("/usr/bin/holdfast", HOLDFAST))
            result = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        complaints = [line for line in result.stderr.splitlines() if "holdfast" in line]
        self.assertEqual(complaints, [])


if __name__ == "__main__":
    unittest.main()
