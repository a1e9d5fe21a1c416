"""A build as its processes show it: who they are, what their deaths, stops and signals do to it."""

import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from record_log import builds, records  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual, spin  # noqa: E402

PROGRAMS = ("sluice", "sluice-session", "sluice-broker", "sluice-loader", "sluice-scheduler", "sluice-runner", "sluice-renderer")
PROJECT = {
    "project.conf": CONF,
    "elements/base.bst": BASE,
    "elements/one.bst": manual("one", spin(50000)),
    "elements/two.bst": manual("two", spin(200000)),
    "elements/gate.bst": manual("gate", gate(1), depends=["one.bst"]),
    "elements/other.bst": manual("other", gate(2), depends=["one.bst"]),
    "elements/after.bst": manual("after", spin(1000), depends=["gate.bst"]),
    "elements/busy.bst": manual("busy", spin(10 ** 9)),
    "elements/broken.bst": manual("broken", "echo about to fail", "false"),
    "elements/all.bst": "kind: compose\nbuild-depends: [two.bst, after.bst]\n",
    "elements/both.bst": "kind: stack\ndepends: [gate.bst, other.bst]\n",
    "elements/failing.bst": "kind: stack\ndepends: [broken.bst, after.bst]\n",
    "elements/suspended.bst": "kind: stack\ndepends: [busy.bst, gate.bst]\n",
}


def ticks(pid):
    """Processor time of one process, in clock ticks; None when it is gone."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12])


class Pipeline(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)
        busybox_base(self.at)

    def build(self, *targets, options=(), **more):
        return self.start("--builders", 2, *options, "build", *targets, cwd=self.at, **more)

    def session(self, *arguments, **options):
        return self.sluice("session", *arguments, cwd=self.at, **options)

    def records(self, session=None):
        return records(self.session_directory(session))

    def finished(self, session=None):
        """{element: outcome} of the builds; an element's last one counts."""
        return {r["element"]["name"]: r["outcome"] for r in self.records(session)
                if r["type"] == "job.finished" and r["job"]["action"].lower() == "build"}

    def seconds(self, wanted):
        """A deadline for an idle machine, stretched by how overloaded this one is."""
        return wanted * max(1.0, 2 * os.getloadavg()[0] / os.cpu_count())

    # ---- Processes

    def test_each_is_a_process_of_its_own(self):
        build = self.build("all.bst", pty=True)
        self.wait_at_gate(1)
        pids = {program: self.pids(program) for program in PROGRAMS}
        for program in PROGRAMS:
            self.assertEqual(len(pids[program]), 1, pids)
        self.assertEqual(pids["sluice"], [build.pid])
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(set(self.finished().values()), {"success"})
        self.assert_nothing_left()

    def test_attached_half_way(self):
        build = self.build("both.bst")
        self.wait_at_gate(1)
        self.wait_at_gate(2)
        (session,) = self.sessions()
        began = time.monotonic()
        attached = self.start("session", "attach", "--style", "tty", session, cwd=self.at, pty=True)

        def whole():
            screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", attached.stdout)
            # The session, its queues with their counts, the store, every running job.
            return all(word in screen for word in (" small (", "Sources Fetched:5 0 0", "Built:2 0 0", "cache: ",
                                                   "[build:gate.bst]", "[build:other.bst]"))

        self.wait_until(whole, "the whole picture", timeout=self.seconds(1))
        print("\nwhole picture after %.2f s" % (time.monotonic() - began), file=sys.stderr)
        self.open_gate(1)
        self.open_gate(2)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(attached.wait(), 0)
        self.assert_nothing_left()

    def test_renderer_stopped_then_killed(self):
        for pty in (False, True):
            build = self.build("all.bst", pty=pty)
            self.wait_at_gate(1)
            self.assertEqual(self.kill("sluice-renderer", signal.SIGSTOP), 1)
            self.assertEqual(self.kill("sluice-renderer", signal.SIGKILL), 1)
            self.open_gate(1)
            self.assertEqual(build.wait(), 0)
            self.assertEqual(self.finished()["all.bst"], "success")
            self.assert_nothing_left()
            self._remove_cache()

    def _remove_cache(self):
        subprocess.run(["rm", "-rf", self.cachedir], check=True)

    def test_runner_killed_in_the_middle_of_a_job(self):
        build = self.build("all.bst")
        first = self.wait_at_gate(1)
        self.assertEqual(self.kill("sluice-runner"), 1)
        self.wait_at_gate(1, but=first)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        attempts = [attempt for element, attempt, _ in builds(self.records(), "job.started") if element == "gate.bst"]
        self.assertEqual(attempts, [1, 2])
        self.assertEqual([a for e, a, _ in builds(self.records(), "job.finished", "success") if e == "gate.bst"], [2])
        self.assertEqual([a for e, a, _ in builds(self.records(), "job.started") if e == "one.bst"], [1])
        self.assert_nothing_left()

    # ---- Suspension

    def of_jobs(self):
        """{pid: ticks} of everything below the runner."""
        (runner,) = self.pids("sluice-runner")
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open("/proc/%s/stat" % entry, "rb") as file:
                        children.setdefault(int(file.read().rpartition(b")")[2].split()[1]), []).append(int(entry))
                except OSError:
                    continue
        found, todo = {}, [runner]
        while todo:
            for pid in children.get(todo.pop(), []):
                used = ticks(pid)
                if used is not None:
                    found[pid] = used
                todo.append(pid)
        return found

    def check_nothing_runs(self):
        """From now on no process of a job uses the processor; returns what they had used."""
        before = self.of_jobs()
        self.assertGreaterEqual(len(before), 4)  # two sandboxes
        time.sleep(0.5)  # what is measured, not what is waited for
        self.assertEqual(self.of_jobs(), before)
        return before

    def wait_until_more(self, before):
        self.wait_until(lambda: sum(self.of_jobs().values()) > sum(before.values()) + 5, "the jobs to go on")

    def test_suspend_and_resume(self):
        build = self.build("suspended.bst")
        self.wait_at_gate(1)
        self.wait_until(lambda: self.of_jobs() and max(self.of_jobs().values()) > 5, "the busy job")
        self.session("suspend")
        suspended = time.time_ns()
        before = self.check_nothing_runs()
        self.assertIn("suspended", self.session("list").stdout)
        time.sleep(1.5)  # the pause that must not be seen in the elapsed time
        self.assertEqual(self.of_jobs(), before)
        resumed = time.time_ns()
        self.session("resume")
        self.wait_until_more(before)
        self.open_gate(1)
        self.wait_until(lambda: self.finished().get("gate.bst") == "success", "the job that was suspended")
        self.session("kill")
        self.assertEqual(build.wait(), 1)
        self.check_pause_left_out(resumed - suspended)
        self.assert_nothing_left()

    def check_pause_left_out(self, pause):
        log = self.records()
        types = [r["type"] for r in log]
        self.assertIn("session.suspended", types)
        self.assertIn("session.resumed", types)
        first, last = log[types.index("session.started")], log[types.index("session.ended")]
        shown = last["session"]["elapsed"] - first["session"]["elapsed"]
        wall = last["time"] - first["time"]
        self.assertGreaterEqual(wall - shown, pause)
        self.assertLess(wall - shown, pause + 5e9)
        # The job's elapsed time leaves the pause out as well.
        job = [r for r in log if r["type"] == "job.finished" and r["element"]["name"] == "gate.bst"][0]
        self.assertLess(job["job"]["elapsed"], job["time"] - job["job"]["started"] - pause + 2e8)

    def test_stop_and_continue_the_command(self):
        build = self.build("suspended.bst")
        self.wait_at_gate(1)
        self.wait_until(lambda: self.of_jobs() and max(self.of_jobs().values()) > 5, "the busy job")
        build.signal(signal.SIGTSTP)

        def stopped():
            with open("/proc/%d/stat" % build.pid, "rb") as file:
                return file.read().rpartition(b")")[2].split()[0] == b"T"
        self.wait_until(stopped, "the command to stop")
        suspended = time.time_ns()
        before = self.check_nothing_runs()
        resumed = time.time_ns()
        build.signal(signal.SIGCONT)
        self.wait_until_more(before)
        self.open_gate(1)
        self.wait_until(lambda: self.finished().get("gate.bst") == "success", "the job that was suspended")
        build.signal(signal.SIGTERM)
        self.assertEqual(build.wait(), 1)
        self.check_pause_left_out(resumed - suspended)
        self.assert_nothing_left()

    # ---- The ends that a user asks for

    def test_signals_end_it(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            build = self.build("both.bst")
            self.wait_at_gate(1)
            self.wait_at_gate(2)
            build.signal(number)
            self.assertEqual(build.wait(), 1)
            self.assert_nothing_left()
            ends = self.finished()
            self.assertEqual((ends["gate.bst"], ends["other.bst"]), ("killed", "killed"))
            self.assertEqual([r["outcome"] for r in self.records() if r["type"] == "run.finished"], ["terminated"])
        # A build that was killed is no failure: nothing of it was cached, so that it can be built.
        build = self.build("both.bst")
        self.open_gate(1)
        self.open_gate(2)
        self.assertEqual(build.wait(), 0)

    def test_kill(self):
        build = self.build("both.bst")
        self.wait_at_gate(1)
        self.wait_at_gate(2)
        self.session("kill")
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()
        self.assertEqual(self.finished()["gate.bst"], "killed")

    def test_quit(self):
        build = self.build("after.bst", "other.bst")
        self.wait_at_gate(1)
        self.wait_at_gate(2)
        self.session("quit")
        self.open_gate(1)
        self.wait_until(lambda: self.finished().get("gate.bst"), "the end of one job")
        self.assertIsNone(build.poll())
        self.open_gate(2)
        self.assertEqual(build.wait(), 1)
        ends = self.finished()
        self.assertEqual((ends["gate.bst"], ends["other.bst"]), ("success", "success"))
        self.assertNotIn("after.bst", ends)
        self.assert_nothing_left()

    # ---- Failures

    def test_on_error_continue(self):
        build = self.build("failing.bst", options=["--on-error", "continue"])
        self.wait_at_gate(1)
        self.wait_until(lambda: self.finished().get("broken.bst") == "failure", "the failure")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        ends = self.finished()
        self.assertEqual((ends["gate.bst"], ends["after.bst"]), ("success", "success"))
        self.assertNotIn("failing.bst", ends)
        self.assert_nothing_left()

    def fail_at_gate(self, on_error):
        """Two jobs run, one of them fails while the other is at its gate."""
        build = self.build("after.bst", "other.bst", options=["--on-error", on_error])
        self.wait_at_gate(1)
        self.wait_at_gate(2)
        self.open_gate(2, signal.SIGUSR2)
        self.wait_until(lambda: self.finished().get("other.bst") == "failure", "the failure")
        return build

    def test_on_error_quit(self):
        build = self.fail_at_gate("quit")
        self.assertIsNone(build.poll())
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        ends = self.finished()
        self.assertEqual(ends["gate.bst"], "success")
        self.assertNotIn("after.bst", ends)
        self.assert_nothing_left()

    def test_on_error_terminate(self):
        build = self.fail_at_gate("terminate")
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.finished()["gate.bst"], "killed")
        self.assert_nothing_left()

    def test_cached_failure(self):
        build = self.build("gate.bst")
        self.open_gate(1, signal.SIGUSR2)
        self.assertEqual(build.wait(), 1)
        again = self.sluice("build", "gate.bst", cwd=self.at, status=1)  # the cached failure is told again; nothing runs that would wait at the gate
        self.assertIn("FAILURE", again.stderr)
        self.assertEqual(self.pids("sluice-runner"), [])
        retried = self.start("build", "--retry-failed", "gate.bst", cwd=self.at)
        self.open_gate(1)
        self.assertEqual(retried.wait(), 0)
        self.assertEqual(self.finished()["gate.bst"], "success")
        self.sluice("build", "gate.bst", cwd=self.at)
        self.assert_nothing_left()

    # ---- Readers

    def test_collector_through_the_death_of_the_broker(self):
        build = self.build("all.bst")
        self.wait_at_gate(1)
        program = os.path.join(HERE, "../../../examples/collector.py")
        collector = self.start(program, program=sys.executable)
        self.wait_until(lambda: "one.bst" in collector.stdout, "its first lines")
        (broker,) = self.pids("sluice-broker")
        os.kill(broker, signal.SIGKILL)
        self.wait_until(lambda: self.pids("sluice-broker") not in ([], [broker]), "another broker")
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(collector.wait(), 0)
        expected = ["%d %s %s %s" % (r["cursor"], r["element"]["name"], r["job"]["action"], r["outcome"])
                    for r in self.records() if r["type"] == "job.finished"]
        self.assertEqual(collector.stdout.splitlines(), expected)
        self.assertIn("all.bst", expected[-1])
        self.assert_nothing_left()


main()
