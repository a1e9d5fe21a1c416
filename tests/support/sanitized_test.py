"""sanitized.py: a report of a process that nobody looks at fails the test."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROBE = os.path.join(os.environ["SLUICE_BIN"], "sanitizer_probe")


class Sanitized(unittest.TestCase):
    def run_probe(self, fault):
        environment = {name: value for name, value in os.environ.items() if not name.endswith("SAN_OPTIONS")}
        with tempfile.TemporaryDirectory(prefix="slt-") as directory:
            return subprocess.run([sys.executable, os.path.join(HERE, "sanitized.py"), directory, PROBE, fault],
                                  env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    def test_reports(self):
        for fault, said in (("overflow", "runtime error: signed integer overflow"), ("heap", "AddressSanitizer: heap-buffer-overflow"),
                            ("leak", "LeakSanitizer: detected memory leaks"), ("abort", "AddressSanitizer: ABRT"),
                            ("vector", "AddressSanitizer: ABRT")):
            with self.subTest(fault):
                done = self.run_probe(fault)
                self.assertIn(said, done.stderr)
                self.assertIn("sanitizer_probe.cc", done.stderr)
                self.assertEqual(done.returncode, 1)

    def test_without_fault(self):
        done = self.run_probe("none")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, "", ""))


unittest.main(verbosity=2)
