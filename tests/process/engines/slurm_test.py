"""`sluice runner start --slurm`, with Debian's Slurm on hosts of their own: one that controls and has the session, two nodes."""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import slurm
from engine_test_case import LABEL, TIMEOUT, EngineTest, elsewhere
from hosts import why_not
from sluice_test import main
from workload import gate

WHY_NOT = why_not() or slurm.why_not()


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Slurm(EngineTest):
    def setUp(self):
        super().setUp()
        self.start_hosts(3)
        logs = os.path.join(self.directory, "slurm")
        os.mkdir(logs)
        self.slurm = slurm.Slurm(self.hosts, logs)
        self.slurm.__enter__()  # pylint: disable=unnecessary-dunder-call
        self.addCleanup(self.slurm.__exit__)

    def start_runners(self, count, *options, program="sluice"):
        return self.begin(0, "runner", "start", "--slurm", count, "--program", self.program(program), "--label", LABEL, "--slots", 1,
                          "--", "--cpus-per-task=2", *options)

    def job_of(self, name):
        return int(name.removeprefix("slurm-"))

    def live(self):
        return [job for job, state in self.slurm.jobs().items() if state in ("PENDING", "RUNNING", "COMPLETING")]

    def test_builds_and_a_node_that_dies(self):
        self.copy_project({"a.bst": elsewhere("a", gate(1)), "b.bst": elsewhere("b", gate(2)),
                           "all.bst": "kind: stack\ndepends:\n- a.bst\n- b.bst\n"})
        self.start_session()
        start = self.start_runners(2, "--partition=build", "-t", "1:00:00")
        runners = self.wait_until(lambda: (found := self.runners()) and len(found) == 2 and found, "two runners", TIMEOUT)
        self.assertEqual({runner["host"] for runner in runners.values()}, {"host1", "host2"})
        for name, runner in runners.items():
            self.assertEqual(self.slurm.node_of(self.job_of(name)), runner["host"])
            # The walltime is the runner's lifetime, less what its last builds may need.
            self.assertGreater(runner["remaining"], 2700)
            self.assertLess(runner["remaining"], 3241)
        self.assert_on_no_command_line(self.secret())
        build = self.begin(0, "build", "--session", self.session, "all.bst")
        for number in (1, 2):
            self.wait_until(lambda n=number: self.at_gate(n), "gate %d" % number, TIMEOUT)
        # One node is switched off in the middle: its job is lost, what it built is built by another.
        victim = next(name for name, runner in runners.items() if runner["host"] == "host1")
        lost = {number: pid for number in (1, 2) for pid in self.at_gate(number)
                if self.host_of(pid) == 1}
        self.assertEqual(len(lost), 1)
        self.hosts.kill(1)
        self.wait_for_text(start, "Slurm job %d on host1 was lost: NODE_FAIL" % self.job_of(victim))
        # It is switched on again, and Slurm gives it to the job that takes the lost one's place.
        self.hosts.start(1)
        self.slurm.start_node(1)
        self.wait_until(lambda: len(self.live()) == 2, "another job", TIMEOUT)
        # The build that went on is let through first: the lost one may wait for the runner that has it.
        for number in (*({1, 2} - lost.keys()), *lost):
            self.wait_until(lambda n=number: self.at_gate(n), "gate %d again" % number, TIMEOUT)
            self.open_gate(number)
        self.assertEqual(build.wait(TIMEOUT), 0, build)
        # A signal: the runners leave, and no job stays.
        start.signal(signal.SIGTERM)
        self.assertEqual(start.wait(TIMEOUT), 0, start)
        self.wait_until(lambda: not self.live(), "an empty queue", TIMEOUT)
        self.assertEqual(self.runners(), {})

    def host_of(self, pid):
        """The number of the host in which a process runs, by the network that its runner has."""
        while pid > 1:
            for i, host in enumerate(self.hosts):
                if pid == host.pid:
                    return i
            with open("/proc/%d/stat" % pid, "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        return None

    def test_walltime(self):
        self.copy_project({})
        self.start_session()
        # A minute is the shortest that Slurm knows. The runner leaves before, and another takes its place.
        start = self.start_runners(1, "-t", "1")
        first = self.wait_until(lambda: list(self.runners()), "a runner", TIMEOUT)[0]
        self.wait_for_text(start, "Slurm job %d on host1 has reached its walltime; another one takes its place" % self.job_of(first), 150)
        self.assertEqual(self.slurm.jobs()[self.job_of(first)], "COMPLETED")
        second = self.wait_until(lambda: [name for name in self.runners() if name != first], "another runner", TIMEOUT)[0]
        self.assertGreater(self.job_of(second), self.job_of(first))
        # With the session all ends.
        self.on(0, "session", "stop", self.session)
        self.assertEqual(start.wait(TIMEOUT), 0, start)
        self.wait_until(lambda: not self.live(), "an empty queue", TIMEOUT)

    def test_what_slurm_would_not_take(self):
        self.copy_project({})
        self.start_session()
        refused = self.start_runners(1, "--partition=nobody-has-this")
        self.assertEqual(refused.wait(TIMEOUT), 1, refused)
        self.assertIn("Slurm would take no such job", refused.stderr)
        self.assertIn("nobody-has-this", refused.stderr)
        self.assertEqual(self.slurm.jobs(), {})

    def test_failing_starts(self):
        self.copy_project({})
        self.start_session()
        start = self.start_runners(2, program="no-such-program")
        self.wait_for_text(start, "3 starts in a row have failed: the next is tried in 1 minute")
        self.assertIn("ended before its runner had joined: FAILED (NonZeroExitCode)", start.stderr)
        # One at a time, and no more than three.
        self.assertEqual(sorted(self.slurm.jobs().values()), ["FAILED"] * 3)
        start.signal(signal.SIGTERM)
        self.assertEqual(start.wait(TIMEOUT), 0, start)
        self.assertEqual(len(self.slurm.jobs()), 3)

    def test_one_pending(self):
        self.copy_project({})
        self.start_session()
        # Two nodes have room for two; of the three that are left one waits, and goes at the end.
        start = self.start_runners(5)
        self.wait_until(lambda: len(self.runners()) == 2, "two runners", TIMEOUT)
        self.wait_until(lambda: sorted(self.slurm.jobs().values()) == ["PENDING", "RUNNING", "RUNNING"], "one that waits", TIMEOUT)
        # One who drains a runner wants one less.
        name = sorted(self.runners())[0]
        self.on(0, "runner", "drain", name, self.session)
        self.wait_for_text(start, "Slurm job %d on %s: its runner has left; no other is started" % (self.job_of(name), self.slurm.node_of(self.job_of(name))))
        self.wait_until(lambda: sorted(self.slurm.jobs().values()) == ["COMPLETED", "PENDING", "RUNNING", "RUNNING"], "the next ones", TIMEOUT)
        start.signal(signal.SIGTERM)
        self.assertEqual(start.wait(TIMEOUT), 0, start)
        self.wait_until(lambda: not self.live(), "an empty queue", TIMEOUT)


if __name__ == "__main__":
    main()
