"""Sessions that outlive commands: start, build --session, detach, stop; and one whose processes were all killed goes on."""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from record_log import records  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402


class Outliving(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF,
            "elements/base.bst": BASE,
            "elements/first.bst": manual("first"),
            "elements/slow.bst": manual("slow", gate(1), depends=["first.bst"]),
            "elements/last.bst": manual("last", depends=["slow.bst"]),
            "elements/other.bst": manual("other", gate(2)),
        })
        busybox_base(self.at)

    def session(self, *arguments, **options):
        return self.sluice("session", *arguments, cwd=self.at, **options)

    def started(self):
        session = self.session("start").stdout.strip()
        self.assertEqual(self.sessions(), [session])
        self.assertRegex(self.session("list").stdout, session + r" +active +- +session")
        return session

    def state_of(self, session):
        return [line.split()[1] for line in self.session("list").stdout.splitlines() if line.startswith(session)][0]

    def built(self, element):
        return self.sluice("show", "--deps", "none", "--format", "%{state}", element, cwd=self.at).stdout.strip()

    def test_runs_in_one_session(self):
        session = self.started()
        scheduler = self.pids("sluice-scheduler")
        log = os.path.join(self.directory, "log")
        first = self.sluice("--json-log", log, "build", "--session", session, "first.bst", cwd=self.at)
        self.assertIn("Build Queue: processed 2", first.stderr)
        with open(log, encoding="utf-8") as file:
            self.assertIn("run.finished", [json.loads(line)["type"] for line in file])
        # A file that changes between two runs is seen.
        self.write(os.path.join(self.at, "elements/first.bst"), manual("first", "echo again"))
        second = self.sluice("build", "--session", session, "first.bst", cwd=self.at)
        self.assertIn("Build Queue: processed 1", second.stderr)
        self.assertNotIn("processed 2", second.stderr)
        third = self.sluice("build", "--session", session, "first.bst", cwd=self.at)
        self.assertIn("Build Queue: processed 0", third.stderr)
        self.assertEqual(self.pids("sluice-scheduler"), scheduler)
        self.session("stop", session)
        self.assert_nothing_left()
        self.assertEqual(self.state_of(session), "ended")
        self.assertIn("has ended", self.sluice("build", "--session", session, "first.bst", cwd=self.at, status=1).stderr)

    def test_one_command_waits_for_another(self):
        session = self.started()
        one = self.start("build", "--session", session, "slow.bst", cwd=self.at)
        self.wait_at_gate(1)
        two = self.start("build", "--session", session, "other.bst", cwd=self.at)
        self.wait_until(lambda: "is not finished: waiting for it" in two.stderr, "the second command to wait")
        self.assertFalse(self.at_gate(2))
        self.open_gate(1)
        self.assertEqual(one.wait(), 0)
        self.open_gate(2)
        self.assertEqual(two.wait(), 0)
        self.session("stop", session)
        self.assert_nothing_left()

    def test_a_command_that_is_killed_leaves_the_session_alone(self):
        session = self.started()
        build = self.start("build", "--session", session, "last.bst", cwd=self.at)
        self.wait_at_gate(1)
        build.signal(signal.SIGKILL)
        build.wait()
        self.open_gate(1)
        self.wait_until(lambda: self.built("last.bst") == "cached", "the run to go on")
        self.session("stop", session)
        self.assert_nothing_left()

    def test_interrupting_ends_the_run_and_not_the_session(self):
        session = self.started()
        build = self.start("build", "--session", session, "slow.bst", cwd=self.at)
        self.wait_at_gate(1)
        build.signal(signal.SIGINT)
        self.assertEqual(build.wait(), 1)
        self.assertFalse(self.at_gate(1))
        self.assertEqual(self.state_of(session), "active")
        self.sluice("build", "--session", session, "first.bst", cwd=self.at)
        self.session("stop", session)
        self.assert_nothing_left()

    def detached_at_gate(self):
        """The session of a build that was detached while its element waits at the first gate."""
        build = self.start("build", "last.bst", cwd=self.at)
        self.wait_at_gate(1)
        (session,) = self.sessions()
        self.session("detach", session)
        self.assertEqual(build.wait(), 0)
        self.assertIn("Session %s goes on by itself" % session, build.stderr)
        return session

    def test_detach(self):
        session = self.detached_at_gate()
        self.open_gate(1)
        self.ends_by_itself(session)
        self.assertEqual(self.built("last.bst"), "cached")

    def ends_by_itself(self, session):
        self.wait_until(lambda: self.state_of(session) == "ended", "the session to end with its work")
        self.assert_nothing_left()
        self.assertEqual(records(self.session_directory(session))[-1]["type"], "session.ended")

    def test_detached_when_nothing_was_left_to_do(self):
        """P9: a scheduler that was started again is told so, too."""
        session = self.detached_at_gate()
        (scheduler,) = self.pids("sluice-scheduler")
        os.kill(scheduler, signal.SIGKILL)
        self.wait_until(lambda: [pid for pid in self.pids("sluice-scheduler") if pid != scheduler], "another scheduler")
        self.open_gate(1)
        self.ends_by_itself(session)
        self.assertEqual(self.built("last.bst"), "cached")

    def test_detached_attached_and_killed(self):
        self.sluice("build", "--detach", "last.bst", cwd=self.at)
        (session,) = self.sessions()
        self.wait_at_gate(1)
        attached = self.start("session", "attach", "--style", "tty", session, cwd=self.at, pty=True)
        self.wait_until(lambda: "s suspend" in attached.stdout, "keys")
        attached.write("ky")
        self.assertEqual(attached.wait(), 0)
        self.assertIn("Pipeline Summary", attached.stdout)
        self.ends_by_itself(session)
        self.assertEqual(self.built("last.bst"), "waiting")

    def test_build_detached(self):
        done = self.sluice("build", "--detach", "last.bst", cwd=self.at)
        (session,) = self.sessions()
        self.assertIn("Session %s goes on by itself" % session, done.stderr)
        again = self.start("build", "--session", session, "--detach", "other.bst", cwd=self.at)
        self.wait_until(lambda: "waiting for it" in again.stderr, "the second command to wait")
        self.open_gate(1)
        self.assertEqual(again.wait(), 0)
        self.assertEqual(self.built("last.bst"), "cached")
        self.open_gate(2)
        self.ends_by_itself(session)
        self.assertEqual(self.built("other.bst"), "cached")

    def test_all_killed_and_resumed(self):
        build = self.start("build", "last.bst", cwd=self.at)
        self.wait_at_gate(1)
        (session,) = self.sessions()
        for program in ("sluice-session", "sluice-broker", "sluice-scheduler", "sluice-runner", "sluice-job", "sluice-loader"):
            for pid in self.pids(program):
                os.kill(pid, signal.SIGKILL)
        build.signal(signal.SIGKILL)
        build.wait()
        self.wait_until(lambda: not self.processes(), "the end of all processes", timeout=30)
        self.assertEqual(self.state_of(session), "dead")
        resumed = self.start("session", "resume", session, cwd=self.at)
        self.wait_at_gate(1)
        self.assertEqual(self.sessions(), [session])
        self.open_gate(1)
        self.assertEqual(resumed.wait(), 0)
        self.assert_nothing_left()
        self.assertEqual(self.built("last.bst"), "cached")
        # Elements that were finished were not built again.
        finished = [record["element"]["name"] for record in records(self.session_directory(session)) if record["type"] == "job.finished"]
        self.assertEqual(sorted(finished), ["base.bst", "first.bst", "last.bst", "slow.bst"])

    def test_resume_of_a_session_without_a_run(self):
        session = self.started()
        for program in ("sluice-session", "sluice-broker", "sluice-scheduler", "sluice-loader"):
            self.kill(program)
        self.wait_until(lambda: not self.processes(), "the end of all processes", timeout=30)
        resumed = self.session("resume", session)
        self.assertIn("was in no run", resumed.stderr)
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
