"""Two commands at the same time build the same elements of one project into one cache: both succeed, neither waits for the
other, nothing is corrupt, and what is there at the end is what one alone makes. One of them may be killed."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults  # noqa: E402
from faults import Fault  # noqa: E402
from record_log import builds, records  # noqa: E402
from sluice_test import main  # noqa: E402
from workload import Gates, gate, manual  # noqa: E402


class Together(Gates, Fault):
    IN_MEMORY = False
    FILES = {**faults.PROJECT, "elements/gate.bst": manual("gate", gate(1), depends=["six.bst"])}

    def built(self):
        """[{element: outcome}] of each session, the oldest first."""
        return [{element: "success" for element, _, _ in builds(records(self.session_directory(session)), "job.finished", "success")}
                for session in self.sessions()]

    def whole(self, expected):
        wrong = []
        self.wait_for_the_end(wrong)
        self.check_result(expected, wrong)
        nothing = self.sluice("build", "image.bst", cwd=self.at)
        self.assertRegex(nothing.stderr, r"Build Queue: +processed 0, skipped \d+, failed 0")
        self.sluice("build", "last.bst", cwd=self.at)
        self.wait_for_the_end(wrong)
        self.check_rest(wrong)
        self.assertEqual(wrong, [])

    def test_both_succeed(self):
        expected, seconds, _ = self.measure()
        for number, late in enumerate((0, 0, 0.1 * seconds, 0.5 * seconds)):
            self.use("b%d" % number)
            first = self.build()
            began = time.monotonic()
            self.wait_until(lambda: time.monotonic() - began >= late, "the instant at which the other begins")
            second = self.build()
            self.assertEqual((first.wait(), second.wait()), (0, 0), "%s\n%s" % (first, second))
            log = [records(self.session_directory(session)) for session in self.sessions()]
            self.assertEqual(len(log), 2)
            for one in log:
                self.assertEqual([r["outcome"] for r in one if r["type"] == "run.finished"], ["success"])
                self.assertEqual([r for r in one if r["type"] == "error"], [])
            self.assertEqual({element for one in self.built() for element in one} & {"six.bst", "image.bst"}, {"six.bst", "image.bst"})
            self.whole(expected)

    def test_many_begin_at_once(self):
        """Commands that begin at once: each looks for dead sessions while the others' have a directory, but no lock yet, or one that nobody holds."""
        self.use("m")
        self.sluice("build", "data.bst", cwd=self.at)
        for _ in range(15):
            together = [self.start("--no-interactive", "build", "data.bst", cwd=self.at) for _ in range(4)]
            for one in together:
                self.assertEqual(one.wait(), 0, one)
        self.assert_nothing_left()

    def test_neither_waits(self):
        """A session that is suspended in the middle of an element: the other builds that element, and all others."""
        self.use("w")
        first = self.start("--builders", 2, "--no-interactive", "build", "gate.bst", cwd=self.at)
        (held,) = self.wait_at_gate(1)
        (suspended,) = self.sessions()
        self.sluice("session", "suspend", suspended, cwd=self.at)
        second = self.start("--builders", 2, "--no-interactive", "build", "gate.bst", "image.bst", cwd=self.at)
        for pid in self.wait_at_gate(1, but=[held]):
            os.kill(pid, signal.SIGUSR1)
        self.assertEqual(second.wait(), 0)
        self.assertIsNone(first.poll())
        self.sluice("session", "resume", suspended, cwd=self.at)
        os.kill(held, signal.SIGUSR1)
        self.assertEqual(first.wait(), 0)
        self.assertEqual([self.built()[n]["gate.bst"] for n in (0, 1)], ["success", "success"])
        check = self.sluice(self.cachedir, program="sluice-store-check", cwd=self.at)
        self.assertEqual(check.code, 0)
        self.assert_nothing_left()

    def test_one_is_killed(self):
        expected, seconds, _ = self.measure()
        killed = 0
        for number, part in enumerate((0.2, 0.5, 0.8)):
            self.use("k%d" % number)
            first = self.build()
            second = self.build()
            began = time.monotonic()
            self.wait_until(lambda: time.monotonic() - began >= part * seconds, "the instant of the kill")
            self.wait_until(lambda: len(self.sessions()) == 2, "both sessions")
            supervisors = self.pids("sluice-session")
            if supervisors:
                os.kill(supervisors[0], signal.SIGKILL)
            codes = sorted((first.wait(), second.wait()))
            self.assertEqual(codes[0], 0, "%s\n%s" % (first, second))
            self.assertIn(codes[1], (0, 1))  # 0: it had ended before
            killed += codes[1] == 1
            self.whole(expected)
        self.assertGreater(killed, 0)


del Fault
main()
