"""What scripts/run_tests excuses, and what not, on a project of a few tests that fail as they are told."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts/run_tests"
PRESETS = """{"version": 6,
 "configurePresets": [{"name": "few", "generator": "Ninja", "binaryDir": "${sourceDir}/build/few"}],
 "testPresets": [{"name": "few", "configurePreset": "few", "execution": {"jobs": 3}}]}"""
# Fails when it runs for the first time; what it says then is no good XML.
ONCE = r"""[ -e ran.{0} ] || {{ touch ran.{0}; printf 'odd \001 bytes \377\n'; exit 1; }}"""


class RunTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="holdfast-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "scripts").mkdir()
        shutil.copy(SCRIPT, self.root / "scripts")
        (self.root / "CMakePresets.json").write_text(PRESETS)

    def run_them(self, **shell):
        """(exit code, output, what it noted); the tests are shell commands, by name."""
        lines = ["cmake_minimum_required(VERSION 3.25)", "project(few NONE)", "enable_testing()"]
        for name, command in {"good": "true", **shell}.items():
            (self.root / f"{name}.sh").write_text(command)
            lines.append(f"add_test(NAME {name} COMMAND sh ${{CMAKE_SOURCE_DIR}}/{name}.sh)")
        (self.root / "CMakeLists.txt").write_text("\n".join(lines))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CTEST_")}
        subprocess.run(["cmake", "--preset", "few"], cwd=self.root, env=environment, check=True, capture_output=True)
        done = subprocess.run([self.root / "scripts/run_tests", "few"], cwd=self.root, env=environment, capture_output=True, check=False)
        notes = self.root / "build/few/Testing/failed_at_first.txt"
        return done.returncode, done.stdout.decode(errors="replace") + done.stderr.decode(), notes.read_text() if notes.exists() else ""

    def test_all_well_leaves_no_note(self):
        code, output, notes = self.run_them()
        self.assertEqual((code, notes), (0, ""), output)

    def test_who_fails_once_is_excused_and_named(self):
        code, output, notes = self.run_them(unlucky=ONCE.format(1))
        self.assertEqual(code, 0, output)
        self.assertIn("failed at first, passed alone: unlucky", output)
        self.assertIn("== unlucky\nodd", notes)

    def test_who_fails_again_has_failed(self):
        code, output, notes = self.run_them(unlucky=ONCE.format(1), broken="exit 1")
        self.assertEqual((code, notes), (8, ""), output)

    def test_crashes_and_what_sanitizers_report_are_not_excused(self):
        for fault in ("kill -SEGV $$", "kill -ABRT $$", "echo '==1==ERROR: AddressSanitizer: heap-use-after-free'; exit 1",
                      "echo 'x.cc:1:2: runtime error: signed integer overflow'; exit 1", "echo 'holdfast: CHECK failed: x'; exit 1",
                      "echo 'no report, exit code -6:'; exit 1", "echo 'seed 7 failed: x'; exit 1"):
            with self.subTest(fault):
                code, output, _ = self.run_them(fault=f"[ ! -e ran.fault ] || exit 0; touch ran.fault; {fault}")
                self.assertNotEqual(code, 0, output)
                self.assertIn("fault is not tried again", output)
                for ran in self.root.rglob("ran.fault"):
                    ran.unlink()

    def test_many_who_fail_once_are_not_excused(self):
        code, output, _ = self.run_them(**{f"unlucky_{number}": ONCE.format(number) for number in range(4)})
        self.assertNotEqual(code, 0, output)


unittest.main()
