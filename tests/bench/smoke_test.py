"""The benchmarks run and end in the line that they promise: each once, on a few elements."""

import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Smoke(unittest.TestCase):
    def last_line(self, *arguments):
        done = subprocess.run([sys.executable, os.path.join(HERE, arguments[0]), "--rounds", "1", *arguments[1:]],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.splitlines()[-1]

    def test_build(self):
        line = self.last_line("build.py", "--elements", "6")
        self.assertTrue(re.fullmatch(r"build per_second=[0-9.]+ ratio=[0-9.]+( \w+=\S+)*", line), line)

    def test_data(self):
        line = self.last_line("data.py", "--files", "150", "--mib", "1")
        figures = "".join(r"%s=[0-9.]+ " % name for name in ("import", "changed", "stage", "capture", "checkout", "limit"))
        self.assertTrue(re.fullmatch(r"data " + figures + r"bst_import=\S+ bst_capture=\S+ bst_checkout=\S+( \w+=\S+)*", line), line)

    def test_dispatch(self):
        line = self.last_line("dispatch.py", "--elements", "400", "--queued", "400", "--spawned", "4")
        names = ("jobs_per_second", "scheduler_us", "raw_per_second", "true_ratio", "bytes_per_queued_job")
        self.assertTrue(re.fullmatch("dispatch" + "".join(r" %s=[0-9.e+]+" % name for name in names) + r"( \w+=\S+)*", line), line)

    def test_events(self):
        line = self.last_line("events.py", "--elements", "400")
        names = ("per_second", "ratio", "relay_ratio", "batch")
        self.assertTrue(re.fullmatch("events" + "".join(r" %s=[0-9.e+]+" % name for name in names) + r"( \w+=\S+)*", line), line)

    def test_fleet(self):
        # By both ways; half of the runners leave and come each second.
        for way in ([], ["--ipc"]):
            line = self.last_line("fleet.py", "--runners", "20", "--seconds", "2", "--core-jobs", "400", "--jobs", "20000", "--churn", "0.5", *way)
            names = ("jobs_per_second", "scheduler_core_percent", "broker_core_percent", "join_seconds")
            self.assertTrue(re.fullmatch("fleet runners=20" + "".join(r" %s=[0-9.e+]+" % name for name in names) + r"( \w+=\S+)*", line), line)

    def test_null(self):
        for shape in ("wide", "deep", "layered"):
            line = self.last_line("null.py", "--elements", "12", "--shape", shape)
            self.assertTrue(re.fullmatch(r"null seconds=[0-9.]+ ninja_seconds=[0-9.]+( \w+=\S+)*", line), line)

    def test_plugins(self):
        line = self.last_line("plugins.py", "--elements", "30")
        self.assertTrue(re.fullmatch(r"plugins first=[0-9.]+ after=[0-9.]+ native_after=[0-9.]+ bst=\S+( \w+=\S+)*", line), line)

    def test_ui(self):
        line = self.last_line("ui.py", "--elements", "6")
        self.assertTrue(re.fullmatch(r"ui worst_ratio=[0-9.]+( \w+=\S+)*", line), line)

    def test_load(self):
        line = self.last_line("load.py", "--elements", "30")
        self.assertTrue(re.fullmatch(r"load first=[0-9.]+ after=[0-9.]+ bytes_per_element=\d+", line), line)


if __name__ == "__main__":
    unittest.main(verbosity=2)
