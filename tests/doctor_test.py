"""doctor and plan as an operator meets them."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from harness import run


class DoctorTest(unittest.TestCase):
    def test_a_small_number_fits_and_the_table_says_so(self):
        result = run("doctor", "--connections", 1000, "--json")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertTrue(json.loads(result.stdout))

    def test_what_cannot_fit_is_refused_with_a_remedy(self):
        result = run("doctor", "--connections", 100_000_000)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)

    def test_a_wrong_number_names_the_option(self):
        result = run("doctor", "--connections", "many")
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("connections", result.stderr)

    def test_certificates_are_looked_at(self):
        with tempfile.TemporaryDirectory() as folder:
            cert, key = f"{folder}/cert", f"{folder}/key"

            def make(days):
                new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=here"]
                subprocess.run([*new, "-days", str(days), "-out", cert, "-keyout", key], check=True, capture_output=True)

            def verdict():
                result = run("doctor", "--connections", 1000, "--json", "--tls-cert", cert, "--tls-key", key)
                return result.returncode, json.loads(result.stdout)["checks"][-1]["verdict"]

            make(90)
            self.assertEqual(verdict(), (0, "ok"))
            make(20)
            self.assertEqual(verdict(), (0, "advice"))
            make(90)
            pathlib.Path(cert).write_text("gone")
            self.assertEqual(verdict(), (1, "wrong"))
            result = run("doctor", "--connections", 1000, "--tls-cert", cert, "--tls-key", key)
            self.assertIn("1 cannot be used", result.stdout)
            result = run("doctor", "--tls-cert", cert)
            self.assertEqual(result.returncode, 2, result.stdout + result.stderr)

    def test_a_plan_tells_memory_and_workers(self):
        result = run("plan", "--connections", 600_000)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("600,000", result.stdout)


if __name__ == "__main__":
    unittest.main()
