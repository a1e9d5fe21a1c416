"""The harness of process tests itself: it finds all that it started, and ends it."""

import os
import shutil
import signal
import sys
import textwrap
import threading
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402


class Harness(SluiceTest):
    def test_status_and_output(self):
        result = self.sluice("-c", "echo out; echo err >&2; exit 3", program="/bin/sh", status=3)
        self.assertEqual((result.stdout, result.stderr), ("out\n", "err\n"))
        with self.assertRaises(AssertionError):
            self.sluice("-c", "exit 1", program="/bin/sh")

    def test_finds_what_left_its_group_and_parent(self):
        self.sluice("-c", "setsid sleep 1000 >/dev/null 2>&1 & setsid env -i sleep 1001 >/dev/null 2>&1 &", program="/bin/sh")
        self.wait_until(lambda: len(self.pids("sleep")) == 2, "both daemons")
        with self.assertRaises(AssertionError):
            self.assert_nothing_left(timeout=0.2)
        self.kill("sleep")
        self.wait_until(lambda: not self.pids("sleep"), "its end")

    def test_finds_descendants_without_environment(self):
        shell = self.start("-c", "env -i sleep 1000; true", program="/bin/sh")
        self.wait_until(lambda: self.pids("sleep"), "the child")
        self.kill("sleep")
        self.assertEqual(shell.wait(), 0)
        self.assert_nothing_left()

    def test_removes_what_somebody_still_writes_into(self):
        tree = os.path.join(self.directory, "tree")
        os.mkdir(tree)

        def write():
            for number in range(2000):
                try:
                    with open(os.path.join(tree, str(number)), "w", encoding="ascii"):
                        pass
                except FileNotFoundError:
                    return
        writer = threading.Thread(target=write)
        writer.start()
        remove_tree(tree)
        writer.join()
        self.assertFalse(os.path.lexists(tree))

    def test_terminal(self):
        shell = self.start("-c", "stty size; tty >/dev/null && echo yes; read x; echo got $x; trap 'stty size; exit 4' WINCH;"
                           " echo ready; while :; do read y; done", program="/bin/bash", pty=True, columns=77, rows=11)
        self.wait_until(lambda: "yes" in shell.stdout, "the terminal")
        self.assertIn("11 77", shell.stdout)
        shell.write("hello\n")
        self.wait_until(lambda: "ready" in shell.stdout, "the answer")
        self.assertIn("got hello", shell.stdout)
        shell.resize(50, 20)
        shell.write("\n")
        self.assertEqual(shell.wait(), 4)

    def test_deadline(self):
        with self.assertRaises(AssertionError):
            self.wait_until(lambda: False, "nothing", timeout=0.05)
        background = self.start("-c", "exec sleep 1000", program="/bin/sh")
        with self.assertRaises(AssertionError):
            background.wait(0.05)
        background.signal(signal.SIGTERM)
        background.wait()

    @unittest.skipUnless(shutil.which("ctest"), "ctest is missing")
    def test_what_is_skipped_is_told(self):
        self.write("it_test.py", textwrap.dedent("""\
            import sys, unittest
            sys.path.insert(0, %r)
            from sluice_test import SluiceTest, main
            class It(SluiceTest):
                def test_some(self):
                    self.skipTest("there is no moon")
                def test_rest(self):
                    pass
            main()
            """) % os.path.dirname(os.path.abspath(__file__)))
        self.write("CTestTestfile.cmake", 'add_test(it.one "%s" "it_test.py")\nadd_test(it.two "true")\n' % sys.executable)
        self.sluice("--test-dir", self.directory, program=shutil.which("ctest"), env={"SLUICE_BIN": os.environ["SLUICE_BIN"]})
        told = self.sluice("-c", 'set -eu; . "$1"; say_skipped "$2"', "sh", os.path.join(os.path.dirname(__file__), "../../scripts/lib.sh"),
                           os.path.join(self.directory, "Testing/Temporary/LastTest.log"), program="/bin/bash").stdout
        self.assertEqual(told, "left out here: 1\n  it.one: It.test_some: there is no moon\n")


main()
