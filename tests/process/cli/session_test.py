"""`sluice session`: list, attach, suspend, resume, quit and kill, from another terminal."""

import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

PROJECT = {
    "project.conf": "name: small\nmin-version: 2.0\nelement-path: elements\n",
    "elements/base.bst": "kind: import\nsources:\n- kind: local\n  path: files/base\n",
    "elements/slow.bst": "kind: manual\nbuild-depends: [base.bst]\nconfig:\n  build-commands:\n  - sleep 1000\n",
    # Uses the processor all the time.
    "elements/busy.bst": "kind: manual\nbuild-depends: [base.bst]\nconfig:\n  build-commands:\n  - sleep 0.01; while true; do true; done\n",
    "elements/after.bst": "kind: manual\nbuild-depends: [base.bst, slow.bst]\n",
}


def cpu_ticks(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def is_stopped(pid):
    with open("/proc/%d/stat" % pid, "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] == b"T"


class Session(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)
        self.base()

    def running(self, element="slow.bst", **options):
        build = self.start("build", element, cwd=self.at, **options)
        if element == "busy.bst":
            self.wait_until(self.job_processes, "the job's processes")
        else:
            self.wait_until(lambda: self.pids("sleep"), "the job's command")
        return build

    def job_processes(self):
        return [pid for pid, name in self.processes().items() if name in ("sh", "bwrap")]

    def session(self, *arguments, **options):
        return self.sluice("session", *arguments, cwd=self.at, **options)

    def test_list(self):
        build = self.running()
        (session,) = self.sessions()
        lines = self.session("list").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["ID", "STATE", "OUTCOME", "VERB", "PID", "STARTED", "DURATION", "TARGETS", "PROJECT"])
        fields = lines[1].split()
        self.assertEqual(fields[:4], [session, "active", "-", "build"])
        self.assertIn(int(fields[4]), self.pids("sluice-session"))
        self.assertEqual(fields[-1], self.at)
        self.session("suspend")
        self.assertIn("suspended", self.session("list").stdout)
        self.session("kill")
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()
        self.assertRegex(self.session("list").stdout, session + " +ended")

    def test_old_sessions_are_removed(self):
        """Of more than 30 finished ones 20 stay; the living stays though it is the oldest, and so does one that could be resumed."""
        build = self.running()
        (living,) = self.sessions()
        self.sluice("build", "base.bst", cwd=self.at)
        ended = self.sessions()[-1]
        # The clock of files may be a tick behind.
        self.assertLess(self.session_json(ended)["started"], os.stat(os.path.join(self.session_directory(ended), "lock")).st_ctime_ns + 20_000_000)
        self.assertEqual(self.session_json(ended)["state"], "ended")
        for number in range(35):
            shutil.copytree(self.session_directory(ended), self.session_directory("20990101-0000%02d-000-0000" % number))
        dead = self.session_directory("20200101-000000-000-0000")
        shutil.copytree(self.session_directory(ended), dead)
        description = dict(self.session_json(ended), state="active")
        with open(os.path.join(dead, "session.json"), "w", encoding="utf-8") as file:
            json.dump(description, file)
        self.assertIn("dead", [line.split()[1] for line in self.session("list").stdout.splitlines() if line.startswith("2020")])
        self.sluice("build", "base.bst", cwd=self.at)
        left = self.sessions()
        self.assertEqual([name for name in left if name < "2099"][:2], [os.path.basename(dead), living])
        self.assertEqual([name for name in left if name > "2099"], ["20990101-0000%02d-000-0000" % number for number in range(15, 35)])
        self.assertNotIn(ended, left)
        self.assertEqual([line.split()[1] for line in self.session("list").stdout.splitlines() if line.startswith(living)], ["active"])
        self.session("kill", living)
        build.wait()

    def test_suspended_jobs_use_no_processor(self):
        build = self.running("busy.bst")
        self.session("suspend")
        before = sum(cpu_ticks(pid) for pid in self.processes() if pid != build.pid)
        jobs = sum(cpu_ticks(pid) for pid in self.job_processes())
        time.sleep(0.5)  # what is measured, not what is waited for
        self.assertEqual(sum(cpu_ticks(pid) for pid in self.job_processes()), jobs)
        self.assertLessEqual(sum(cpu_ticks(pid) for pid in self.processes() if pid != build.pid) - before, 25)
        self.session("resume")
        self.wait_until(lambda: sum(cpu_ticks(pid) for pid in self.job_processes()) > jobs, "the jobs to go on")
        self.session("kill")
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()

    def test_quit_starts_nothing_more(self):
        build = self.running()
        self.session("quit")
        self.assertIsNone(build.poll())
        self.kill("sleep", signal.SIGTERM)
        self.assertEqual(build.wait(), 1)
        self.assertNotIn("after.bst: Build", build.stderr)
        self.assert_nothing_left()

    def test_attach_shows_the_whole_picture(self):
        build = self.running()
        attached = self.start("session", "attach", "--style", "tty", cwd=self.at, pty=True)
        self.wait_until(lambda: "slow.bst" in attached.stdout, "the job on the screen", timeout=5)
        attached.write("\x03")
        self.assertEqual(attached.wait(), 0)
        self.assertIsNone(build.poll())
        plain = self.start("session", "attach", "--style", "plain", cwd=self.at)
        self.wait_until(lambda: "slow.bst" in plain.stdout and "START   Build" in plain.stdout, "the log from its start")
        lines = self.start("session", "attach", "--style", "json", cwd=self.at)
        self.wait_until(lambda: "job.started" in lines.stdout, "the records")
        self.session("kill")
        self.assertEqual(build.wait(), 1)
        self.assertEqual(plain.wait(), 0)
        self.assertEqual(lines.wait(), 0)
        self.assertEqual(json.loads(lines.stdout.splitlines()[-1])["type"], "session.ended")
        self.assert_nothing_left()

    def test_stop_and_continue_by_the_terminal(self):
        self.env["SLUICE_STYLE"] = "tty"
        build = self.running("busy.bst", pty=True)
        build.write("\x1a")
        self.wait_until(lambda: is_stopped(build.pid), "the command to be stopped")
        jobs = sum(cpu_ticks(pid) for pid in self.job_processes())
        time.sleep(0.3)  # what is measured, not what is waited for
        self.assertEqual(sum(cpu_ticks(pid) for pid in self.job_processes()), jobs)
        build.signal(signal.SIGCONT)
        self.wait_until(lambda: sum(cpu_ticks(pid) for pid in self.job_processes()) > jobs, "the jobs to go on")
        build.write("\x03")
        self.wait_until(lambda: "Choice:" in build.stdout, "the question")
        build.write("terminate\n")
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()


main()
