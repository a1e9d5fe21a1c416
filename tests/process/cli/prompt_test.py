"""Questions on the terminal: what to do about an element that failed while other jobs go on, and after Ctrl-C."""

import os
import re
import shutil
import signal
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from record_log import records  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

CTRL_C = "\x03"
CTRL_Z = "\x1a"
# A pager that does as less: it has a screen of its own until it is told to go.
PAGER = "printf '\\033[?1049h\\033[?25l'; cat \"$1\"; echo PAGER; while read -r line && test \"$line\" != q; do echo heard $line; done; " \
        "printf '\\033[?1049l\\033[?25h'"


class Prompt(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.env["SLUICE_STYLE"] = "tty"  # calm_test.py has the questions that are rows of the area
        self.at = self.project({
            "project.conf": CONF,
            "elements/base.bst": BASE,
            "elements/slow.bst": manual("slow", gate(1)),
            "elements/bad.bst": manual("bad", "echo kept > kept", gate(2)),
            "elements/worse.bst": manual("worse", gate(3)),
            "elements/after.bst": manual("after", depends=["bad.bst"]),
        })
        busybox_base(self.at)

    def building(self, *elements, builders=2):
        """On a terminal, and each job at its gate."""
        return self.start("--builders", str(builders), "build", *elements, cwd=self.at, pty=True, env={"PAGER": "cat", "PS1": ""})

    def fail_at(self, number):
        self.open_gate(number, signal.SIGTERM)

    def wait_said(self, terminal, text, times=1):
        return self.wait_until(lambda: len(re.findall(text, terminal.stdout)) >= times, "%r, %d times" % (text, times))

    def built(self, element):
        return self.sluice("show", "--deps", "none", "--format", "%{state}", element, cwd=self.at).stdout.strip()

    # ---- Failures

    def failed_beside_slow(self, *more):
        build = self.building("slow.bst", "bad.bst", "after.bst", *more)
        self.wait_at_gate(1)
        self.fail_at(2)
        self.wait_said(build, r"Choice: \[continue\]")
        self.assertIn("bad.bst failed: ", build.stdout)
        self.assertTrue(self.at_gate(1), "another job did not go on")
        return build

    def test_continue(self):
        build = self.failed_beside_slow()
        build.write("\n")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.built("slow.bst"), "cached")
        self.assertEqual(self.built("after.bst"), "waiting")
        self.assertIn("Failure Summary", build.stdout)
        self.assert_nothing_left()

    def test_an_answer_that_is_none(self):
        build = self.failed_beside_slow()
        build.write("x\n")
        self.wait_said(build, "is none of the choices")
        build.write("cont\n")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()

    def test_retry(self):
        build = self.failed_beside_slow()
        build.write("r\n")
        self.open_gate(2)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(self.built("after.bst"), "cached")
        self.assert_nothing_left()

    def test_quit(self):
        build = self.failed_beside_slow()
        build.write("quit\n")
        # The answer has been heard when the session says so.
        self.wait_until(lambda: "quitting" in self.sluice("session", "list", cwd=self.at).stdout, "the session to quit")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.built("slow.bst"), "cached")
        self.assert_nothing_left()

    def test_terminate(self):
        build = self.failed_beside_slow()
        build.write("t\n")
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.built("slow.bst"), "buildable")
        self.assert_nothing_left()

    def test_ctrl_c_at_a_failure_terminates(self):
        build = self.failed_beside_slow()
        build.write(CTRL_C)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.built("slow.bst"), "buildable")
        self.assert_nothing_left()

    def test_log_and_shell(self):
        build = self.failed_beside_slow()
        build.write("log\n")
        self.wait_said(build, "Choice:", 2)
        self.assertIn("gate 2", build.stdout)
        build.write("s\n")
        self.wait_said(build, r"bad[^\n]*\]\$")
        # The output is the word doubled, so that the terminal's echo of what is typed isn't taken for it.
        build.write("cat kept; echo $((6 * 7)) $(pwd)\n")
        self.wait_said(build, "kept\r\n42 /buildstream/small/bad.bst")
        self.assertTrue(self.at_gate(1), "another job did not go on")
        build.write("exit\n")
        self.wait_said(build, "Choice:", 3)
        build.write("t\n")
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()

    def test_failures_queue_up(self):
        build = self.building("bad.bst", "worse.bst")
        self.wait_at_gate(3)
        self.fail_at(2)
        self.wait_said(build, "Choice:")
        self.fail_at(3)
        self.wait_until(lambda: not self.at_gate(3), "the second failure")
        build.write("c\n")
        self.wait_said(build, "worse.bst failed: ")
        self.wait_said(build, "Choice:", 2)
        build.write("r\n")
        self.open_gate(3)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.built("worse.bst"), "cached")
        self.assert_nothing_left()

    def test_who_said_what_to_do_is_not_asked(self):
        build = self.start("--on-error", "quit", "build", "bad.bst", "slow.bst", cwd=self.at, pty=True)
        self.wait_at_gate(1)
        self.fail_at(2)
        self.wait_until(lambda: "quitting" in self.sluice("session", "list", cwd=self.at).stdout, "the session to quit")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assertNotIn("Choice:", build.stdout)
        self.assert_nothing_left()

    def test_another_terminal_answers(self):
        build = self.failed_beside_slow()
        other = self.start("session", "attach", cwd=self.at, pty=True)
        self.wait_said(other, r"Choice: \[continue\]")
        other.write("r\n")
        self.wait_said(build, "has answered: retry")
        self.open_gate(2)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(other.wait(), 0)
        self.assert_nothing_left()

    def test_a_command_answers(self):
        build = self.failed_beside_slow()
        session = self.sluice("session", "answer", "7", "retry", cwd=self.at, status=1)
        self.assertIn("There is no prompt 7", session.stderr)
        session = self.sluice("session", "answer", "1", "perhaps", cwd=self.at, status=2)
        self.assertIn("'perhaps' is not one of 'continue', 'quit'", session.stderr)
        self.sluice("session", "answer", "1", "retry", cwd=self.at)
        session = self.sluice("session", "answer", "1", "quit", cwd=self.at, status=1)
        self.assertIn("Prompt 1 was answered already", session.stderr)
        self.open_gate(2)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assert_nothing_left()

    def test_a_command_retries(self):
        build = self.failed_beside_slow()
        self.assertIn("has not failed", self.sluice("session", "retry", "slow.bst", cwd=self.at, status=1).stderr)
        self.sluice("session", "retry", "bad.bst", cwd=self.at)
        self.wait_said(build, "No answer is needed any more")
        self.open_gate(2)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assert_nothing_left()

    def test_a_stop_at_the_question(self):
        build = self.failed_beside_slow()
        build.write(CTRL_Z)
        self.wait_until(lambda: "suspended" in self.sluice("session", "list", cwd=self.at).stdout, "the session to be suspended")
        os.kill(build.pid, signal.SIGCONT)
        self.wait_said(build, "Choice:", 2)
        build.write("c\n")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.built("slow.bst"), "cached")
        self.assert_nothing_left()

    def test_a_scheduler_that_dies_at_the_question(self):
        build = self.failed_beside_slow()
        (before,) = self.pids("sluice-scheduler")
        self.kill("sluice-scheduler")
        self.wait_until(lambda: [pid for pid in self.pids("sluice-scheduler") if pid != before], "another scheduler")
        build.write("r\n")
        self.open_gate(2)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assert_nothing_left()

    def test_the_shell_of_a_failure_after_its_project_is_gone(self):
        build = self.failed_beside_slow()
        build.write("t\n")
        self.assertEqual(build.wait(), 1)
        artifact = self.sluice("show", "--deps", "none", "--format", "small/bad/%{full-key}", "bad.bst", cwd=self.at).stdout.strip()
        shutil.rmtree(self.at)
        shell = self.start("shell", "--build", "--use-buildtree", artifact, pty=True)
        self.wait_said(shell, r"bad[^\n]*\]\$")
        shell.write("cat kept; echo $((6 * 7)) $(pwd)\n")
        self.wait_said(shell, "kept\r\n42 /buildstream/small/bad.bst")
        shell.write("exit 5\n")
        self.assertEqual(shell.wait(), 5)
        self.assert_nothing_left()

    # ---- A pager or a shell in front, while others answer and the session ends

    def paging(self, *arguments, pager=PAGER, **options):
        """A terminal on which the question is asked, and then the log is shown."""
        pager = self.write("pager", pager)
        terminal = self.start(*arguments, cwd=self.at, pty=True, env={"PAGER": "sh " + pager, "PS1": ""}, **options)
        self.wait_at_gate(1)
        if not self.records_of("prompt.opened"):
            self.fail_at(2)
        self.wait_said(terminal, r"Choice: \[continue\]")
        terminal.write("log\n")
        self.wait_said(terminal, "PAGER")
        return terminal

    def records_of(self, kind):
        return [record for record in records(self.session_directory()) if record["type"] == kind]

    def end_the_run(self):
        self.sluice("session", "answer", "1", "continue", cwd=self.at)
        self.open_gate(1)
        self.wait_until(lambda: self.records_of("run.finished"), "the run to finish")

    def assert_still_paging(self, terminal):
        self.assertNotIn("1049l", terminal.stdout.rpartition("1049h")[2])
        terminal.write("something\n")
        self.wait_said(terminal, "heard something")

    def leave_pager(self, terminal, status):
        terminal.write("q\n")
        self.assertEqual(terminal.wait(), status)
        last = terminal.stdout.rpartition("1049h")[2]
        self.assertIn("1049l", last)
        self.assertIn("Failure Summary", last)
        self.assertEqual(last.count("Failure Summary"), 1)
        self.assertNotIn("There is no session", terminal.stdout)
        self.assertTrue(termios.tcgetattr(terminal.master)[3] & termios.ICANON)

    def test_a_pager_outlives_the_answer_and_the_run(self):
        build = self.paging("--builders", "2", "build", "slow.bst", "bad.bst", "after.bst")
        self.end_the_run()
        self.assert_still_paging(build)
        self.leave_pager(build, 1)
        self.assert_nothing_left()

    def test_a_pager_on_another_terminal_outlives_the_session(self):
        build = self.building("slow.bst", "bad.bst", "after.bst")
        self.wait_at_gate(1)
        attached = self.paging("session", "attach")
        # Two terminals ask the same question: what one answers counts for the other.
        asked = self.start("session", "attach", cwd=self.at, pty=True)
        self.wait_said(asked, r"Choice: \[continue\]")
        self.wait_said(build, r"Choice: \[continue\]")
        build.write("terminate\n")
        self.assertEqual(build.wait(), 1)
        self.assertIn("Failure Summary", build.stdout)
        self.assertEqual(asked.wait(), 0)
        self.assertIn("has answered: terminate", asked.stdout)
        self.assertEqual(asked.stdout.count("Failure Summary"), 1)
        self.assertNotIn("sluice-renderer:", asked.stdout)
        self.wait_until(lambda: not self.pids("sluice-session"), "the end of the session")
        self.assert_still_paging(attached)
        self.leave_pager(attached, 0)
        self.assertNotIn("sluice-renderer:", attached.stdout)
        self.assert_nothing_left()

    def test_a_pager_that_stays_when_its_command_shall_leave(self):
        build = self.building("slow.bst", "bad.bst", "after.bst")
        self.wait_at_gate(1)
        attached = self.paging("session", "attach", pager="trap '' HUP; " + PAGER)
        attached.signal(signal.SIGTERM)
        self.wait_said(build, r"Choice: \[continue\]")
        build.write("terminate\n")
        self.assertEqual(build.wait(), 1)
        self.wait_until(lambda: not self.pids("sluice-session"), "the end of the session")
        self.assert_still_paging(attached)
        attached.write("q\n")
        self.assertEqual(attached.wait(), 0)
        self.assert_nothing_left()

    def test_a_shell_outlives_the_answer_and_the_run(self):
        build = self.failed_beside_slow()
        build.write("s\n")
        self.wait_said(build, r"bad[^\n]*\]\$")
        self.end_the_run()
        build.write("echo $((6 * 7)) $(pwd)\n")
        self.wait_said(build, "42 /buildstream/small/bad.bst")
        build.write("exit\n")
        self.assertEqual(build.wait(), 1)
        self.assertIn("Failure Summary", build.stdout.rpartition("42 /buildstream")[2])
        self.assert_nothing_left()

    def test_ctrl_c_is_the_pagers(self):
        build = self.building("slow.bst", "bad.bst", "after.bst")
        self.wait_at_gate(1)
        attached = self.paging("session", "attach")
        attached.write(CTRL_C)  # which ends this one
        self.wait_said(attached, "Choice:", 2)
        attached.write("continue\n")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(attached.wait(), 0)
        # The alternate screen, which the pager had taken, is given back.
        self.assertIn("1049l", attached.stdout.rpartition("1049h")[2])
        self.assert_nothing_left()

    def test_sigterm_takes_the_pager_along(self):
        build = self.paging("--builders", "2", "build", "slow.bst", "bad.bst", "after.bst")
        build.signal(signal.SIGTERM)
        self.assertEqual(build.wait(), 1)
        self.assertIn("1049l", build.stdout.rpartition("1049h")[2])
        self.assertTrue(termios.tcgetattr(build.master)[3] & termios.ICANON)
        self.assert_nothing_left()

    # ---- Ctrl-C

    def interrupted(self):
        build = self.building("slow.bst", "bad.bst", "worse.bst")
        self.wait_at_gate(1)
        self.wait_at_gate(2)
        build.write(CTRL_C)
        self.wait_said(build, r"Choice: \[continue\]")
        self.assertIn("suspended", self.sluice("session", "list", cwd=self.at).stdout)
        return build

    def test_ctrl_c_continue(self):
        build = self.interrupted()
        build.write("c\n")
        for number in (1, 2, 3):
            self.open_gate(number)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(self.built("worse.bst"), "cached")
        self.assert_nothing_left()

    def test_ctrl_c_quit(self):
        build = self.interrupted()
        build.write("q\n")
        for number in (1, 2):
            self.open_gate(number)
        self.assertEqual(build.wait(), 1)
        self.assertEqual([self.built(e) for e in ("slow.bst", "bad.bst", "worse.bst")], ["cached", "cached", "buildable"])
        self.assert_nothing_left()

    def test_ctrl_c_terminate(self):
        build = self.interrupted()
        build.write("t\n")
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.built("slow.bst"), "buildable")
        self.assert_nothing_left()

    def test_ctrl_c_twice_terminates(self):
        build = self.interrupted()
        build.write(CTRL_C)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.built("slow.bst"), "buildable")
        self.assert_nothing_left()

    def test_ctrl_c_and_a_kill_from_elsewhere(self):
        build = self.interrupted()
        self.sluice("session", "kill", cwd=self.at)
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
