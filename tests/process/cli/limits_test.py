"""How many builds and fetches a session does at once, set while it runs."""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

JOBS = 8


class Limits(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        files = {"project.conf": CONF, "elements/base.bst": BASE}
        for number in range(1, JOBS + 1):
            files["elements/e%d.bst" % number] = manual("e%d" % number, gate(number))
        files["elements/all.bst"] = "kind: stack\ndepends:\n" + "".join("- e%d.bst\n" % n for n in range(1, JOBS + 1))
        self.at = self.project(files)
        busybox_base(self.at)

    def open_gates(self):
        return {number for number in range(1, JOBS + 1) if self.at_gate(number)}

    def wait_running(self, count):
        return self.wait_until(lambda: (lambda running: running if len(running) == count else None)(self.open_gates()),
                               "%d jobs at their gates" % count)

    def end_one(self, running):
        number = min(running)
        (pid,) = self.at_gate(number)
        os.kill(pid, signal.SIGUSR1)
        self.wait_until(lambda: not self.at_gate(number), "job %d to end" % number)

    def end_all(self, build):
        def ended():
            for number in self.open_gates():
                for pid in self.at_gate(number):
                    os.kill(pid, signal.SIGUSR1)
            return build.poll() is not None
        self.wait_until(ended, "the build to end")

    def limits(self, *arguments, **options):
        return self.sluice("session", *arguments, cwd=self.at, **options)

    def attempts(self, log):
        """{element: how often a job of it started}"""
        count = {}
        with open(log, encoding="utf-8") as file:
            for line in file:
                event = json.loads(line)
                if event["type"] == "job.started" and event["job"]["action"] == "build":
                    count[event["element"]["name"]] = count.get(event["element"]["name"], 0) + 1
        return count

    def test_more_and_fewer(self):
        log = os.path.join(self.directory, "log.json")
        build = self.start("--builders", "2", "--json-log", log, "build", "all.bst", cwd=self.at)
        self.wait_running(2)
        self.limits("builders", "5")
        running = self.wait_running(5)
        self.wait_until(lambda: "Maximum tasks: 5 builders, 10 fetchers" in build.stderr, "the new limits in the log")
        # A lower limit ends no job; none starts until enough have ended.
        self.limits("builders", "2")
        self.wait_until(lambda: "Maximum tasks: 2 builders, 10 fetchers" in build.stderr, "the new limits in the log")
        for left in (4, 3, 2):
            self.end_one(running)
            running = self.wait_running(left)
        self.end_one(running)
        self.wait_running(2)
        self.end_all(build)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(set(self.attempts(log).values()), {1})
        self.assert_nothing_left()

    def test_a_scheduler_that_dies_knows_them(self):
        build = self.start("--builders", "1", "build", "all.bst", cwd=self.at)
        running = self.wait_running(1)
        self.limits("builders", "3")
        running = self.wait_running(3)
        (before,) = self.pids("sluice-scheduler")
        self.kill("sluice-scheduler")
        self.wait_until(lambda: [pid for pid in self.pids("sluice-scheduler") if pid != before], "another scheduler")
        self.end_one(running)
        self.assertNotEqual(self.wait_running(3), running)
        # A runner that is started again is told the limit, too.
        self.kill("sluice-runner")
        self.wait_running(3)
        self.end_all(build)
        self.assertEqual(build.wait(), 0)
        self.assert_nothing_left()

    def test_what_is_no_number(self):
        for bad in ("0", "1025", "-1", "many"):
            self.limits("builders", bad, status=2)
        self.assertIn("There is no session", self.limits("builders", "3", status=1).stderr)


if __name__ == "__main__":
    main()
