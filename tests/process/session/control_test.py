"""Control that has to reach what doesn't want to be reached: processes of a job that made a session of their own, twice, and
don't listen to signals; a runner that is stopped."""

import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from record_log import builds, records  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

LEASE = 2.0
# Neither its group, nor its session, nor its parent, nor its terminal is the command's any more when the gate is reached.
DAEMON = ("busybox setsid sh -c \"(busybox setsid sh -c 'trap true HUP INT TERM; echo > daemon; while true; do true; done' "
          "< /dev/null > /dev/null 2>&1 &) ; exit 0\"")
PROJECT = {
    "project.conf": CONF,
    "elements/base.bst": BASE,
    "elements/daemon.bst": manual("daemon", DAEMON, "while ! test -e daemon; do true; done", gate(1)),
    "elements/deaf.bst": manual("deaf", "trap true HUP INT TERM; " + DAEMON + "; while true; do true; done"),
    "elements/gate.bst": manual("gate", gate(1)),
    "elements/after.bst": manual("after", "true", depends=["gate.bst"]),
}


def stat(pid):
    """The state of a process and its processor time in clock ticks; ("", 0) when it is gone."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return "", 0
    return fields[0].decode(), int(fields[11]) + int(fields[12])


def is_held(pid):
    """Whether a process can't run, since it is stopped or its control group is frozen."""
    if stat(pid)[0] == "T":
        return True
    with open("/proc/%d/cgroup" % pid, encoding="utf-8") as file:
        groups = [line[3:].strip() for line in file if line.startswith("0::")]
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file if " - cgroup2 " in line]
    for group in groups:
        for mount in mounts:
            place = mount[4] + "/" + os.path.relpath(group, mount[3])
            try:
                with open(place + "/cgroup.events", encoding="utf-8") as file:
                    if "frozen 1" in file.read():
                        return True
            except OSError:
                continue
    return False


class Control(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)
        busybox_base(self.at)
        self.env["SLUICE_JOBS_LEASE_MS"] = str(int(LEASE * 1000))

    def build(self, *targets):
        return self.start("--builders", 2, "--no-interactive", "build", *targets, cwd=self.at)

    def session(self, *arguments, **options):
        return self.sluice("session", *arguments, cwd=self.at, **options)

    def spinning(self):
        """The processes that made a session of their own: they use the processor, and are no group's but their own."""
        found = []
        for pid, name in self.processes().items():
            if name == "sh" and stat(pid)[1] > 5 and self.parent_is_init(pid):
                found.append(pid)
        return found

    @staticmethod
    def parent_is_init(pid):
        """Whether the parent that a process has in its sandbox is the first process there: it has lost its own."""
        try:
            with open("/proc/%d/status" % pid, encoding="utf-8") as file:
                fields = dict(line.split(":", 1) for line in file)
            if os.getsid(pid) != pid:
                return False
            with open("/proc/%d/status" % int(fields["PPid"]), encoding="utf-8") as file:
                parent = dict(line.split(":", 1) for line in file)
            return parent["NSpid"].split()[-1] == "1"
        except (OSError, KeyError):
            return False

    def assert_no_scratch(self):
        self.assert_nothing_left()
        for folder in ("build", "sluice/tmp"):
            folder = os.path.join(self.cachedir, folder)
            self.assertEqual(os.listdir(folder) if os.path.isdir(folder) else [], [], folder)

    def begun(self, element):
        build = self.build(element)
        self.wait_until(lambda: self.spinning() or build.poll() is not None, "the process with a session of its own")
        self.assertIsNone(build.poll(), build)
        (daemon,) = self.spinning()
        return build, daemon

    # ---- Kill

    def test_kill(self):
        for element in ("daemon.bst", "deaf.bst"):
            build, _ = self.begun(element)
            self.session("kill")
            self.assertEqual(build.wait(), 1)
            self.assert_no_scratch()

    def test_interrupts(self):
        for element in ("daemon.bst", "deaf.bst"):
            build, _ = self.begun(element)
            build.signal(signal.SIGINT)
            # A second SIGINT before the first was heard could be one with it.
            self.wait_until(lambda: any(r.get("text") == "Build terminating" for r in records(self.session_directory())),
                            "the first to have been heard")
            build.signal(signal.SIGINT)
            self.assertEqual(build.wait(), 1)
            self.assert_no_scratch()

    def test_failure_leaves_none(self):
        """The command fails by itself, with what it started still there."""
        build, _ = self.begun("daemon.bst")
        self.open_gate(1, signal.SIGTERM)
        self.assertEqual(build.wait(), 1)
        self.assert_no_scratch()

    # ---- Suspend

    def test_suspend(self):
        build, daemon = self.begun("daemon.bst")
        self.session("suspend")
        self.assertTrue(is_held(daemon))
        before = stat(daemon)[1]
        time.sleep(0.3)  # in which it must not run
        self.assertEqual(stat(daemon)[1], before)
        self.session("resume")
        self.wait_until(lambda: stat(daemon)[1] > before, "it to go on")
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assert_no_scratch()

    def test_kill_while_suspended(self):
        build, daemon = self.begun("deaf.bst")
        self.session("suspend")
        self.assertTrue(is_held(daemon))
        self.session("kill")
        self.assertEqual(build.wait(), 1)
        self.assert_no_scratch()

    # ---- A runner that is stopped

    def attempts(self, element):
        return [attempt for name, attempt, _ in builds(records(self.session_directory()), "job.started") if name == element]

    def check_nothing_lost(self, build):
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(self.attempts("gate.bst"), [1])
        self.assertEqual([r for r in records(self.session_directory()) if r["type"] == "error"], [])
        self.assert_no_scratch()

    def test_suspended_while_the_runner_is_stopped(self):
        build = self.build("after.bst")
        (at_gate,) = self.wait_at_gate(1)
        (runner,) = self.pids("sluice-runner")
        os.kill(runner, signal.SIGSTOP)
        said = self.session("suspend", status=1)
        self.assertIn("No answer from runner: its jobs may be running", said.stderr)
        time.sleep(2.5 * LEASE)  # the stop that is tested: a lease may not run out meanwhile
        os.kill(runner, signal.SIGCONT)
        # The runner reads now that it is to suspend its jobs.
        self.wait_until(lambda: is_held(at_gate), "the job to be suspended")
        self.session("resume")
        self.wait_until(lambda: not is_held(at_gate), "the job to go on")
        self.check_nothing_lost(build)

    def test_suspended_and_resumed_while_the_runner_is_stopped(self):
        build = self.build("after.bst")
        (at_gate,) = self.wait_at_gate(1)
        (runner,) = self.pids("sluice-runner")
        os.kill(runner, signal.SIGSTOP)
        said = self.session("suspend", status=1)
        self.assertIn("No answer from runner: its jobs may be running", said.stderr)
        time.sleep(1.5 * LEASE)
        self.session("resume")
        os.kill(runner, signal.SIGCONT)
        self.wait_until(lambda: not is_held(at_gate), "the job to go on")
        self.check_nothing_lost(build)

    def test_runner_stopped_while_suspended(self):
        build = self.build("after.bst")
        (at_gate,) = self.wait_at_gate(1)
        (runner,) = self.pids("sluice-runner")
        self.session("suspend")
        os.kill(runner, signal.SIGSTOP)
        time.sleep(2.5 * LEASE)
        os.kill(runner, signal.SIGCONT)
        self.session("resume")
        self.wait_until(lambda: not is_held(at_gate), "the job to go on")
        self.check_nothing_lost(build)


main()
