"""doctor and plan as an operator meets them."""

import json
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

    def test_a_plan_tells_memory_and_workers(self):
        result = run("plan", "--connections", 600_000)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("600,000", result.stdout)


if __name__ == "__main__":
    unittest.main()
