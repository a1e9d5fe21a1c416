"""The calm screen of real builds: its area and its lines on a terminal, questions as rows of it, a log and a shell in front; and what
pipes and systems that run builds get instead."""

import os
import re
import signal
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

CTRL_C = "\x03"


class Calm(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF,
            "elements/base.bst": BASE,
            "elements/slow.bst": manual("slow", "echo a line of output", gate(1)),
            "elements/bad.bst": manual("bad", "echo '::set-env name=EVIL::1'", gate(2)),
            "elements/worse.bst": manual("worse", gate(3)),
            "elements/quick.bst": manual("quick", "true"),
        })
        busybox_base(self.at)

    def building(self, *elements, columns=80, rows=24, env=None):
        return self.start("--builders", "3", "build", *elements, cwd=self.at, pty=True, columns=columns, rows=rows, env=env)

    def wait_unseen(self, terminal, pattern, **size):
        return self.wait_until(lambda: not re.search(pattern, self.screen(terminal, **size)), "no %r on the screen" % pattern)

    def press(self, terminal, key, pattern):
        self.press_until(terminal, key, lambda: re.search(pattern, self.screen(terminal)), "%r to lead to %r" % (key, pattern))

    def fail_at(self, number):
        self.open_gate(number, signal.SIGTERM)

    def line_mode(self, terminal):
        modes = termios.tcgetattr(terminal.master)[3]
        return bool(modes & termios.ICANON) and bool(modes & termios.ECHO)

    # ---- Lines and area

    def test_lines_and_the_area(self):
        build = self.building("slow.bst", "quick.bst", env={"TERM_PROGRAM": "ghostty"})
        self.wait_at_gate(1)
        self.wait_seen(build, r"✔ quick\.bst  \d")
        self.wait_seen(build, r"[█░]+ \d/\d")
        self.wait_seen(build, r"• slow\.bst +\d+s|◆ slow\.bst +\d+s")
        self.wait_seen(build, "gate 1")
        self.wait_seen(build, "s suspend  q quit")
        self.assertNotIn("base.bst", self.screen(build).split("█")[0].replace("✔ base.bst", ""))
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        end = self.screen(build)
        self.assertRegex(end, r"✔ slow\.bst  \d")
        self.assertRegex(end, r"✔ build succeeded in \S+: 3 built")
        self.assertNotIn("░", end)
        self.assertTrue(build.stdout.rstrip().endswith("\x1b]9;4;0;0\x1b\\") or "\x1b]9;4;0;0\x1b\\" in build.stdout[-400:])
        self.assertEqual(build.stdout.count("\x1b[?2026h"), build.stdout.count("\x1b[?2026l"))
        # Nothing to do: a line.
        again = self.building("slow.bst", "quick.bst")
        self.assertEqual(again.wait(), 0)
        self.assertEqual([line for line in self.screen(again).splitlines() if line.strip()], [self.screen(again).strip()])
        self.assertRegex(self.screen(again), r"✔ build succeeded in \S+: 2 cached")
        self.assert_nothing_left()

    def test_a_failure_is_told_once_and_last(self):
        build = self.start("--on-error", "continue", "build", "bad.bst", "quick.bst", cwd=self.at, pty=True, columns=80, rows=50)
        self.wait_at_gate(2)
        self.fail_at(2)
        self.assertEqual(build.wait(), 1)
        end = self.screen(build, rows=50)
        self.assertRegex(end, r"✘ bad\.bst  build failed after \S+: ")
        self.assertRegex(end, r"✘ build failed in \S+: 1 failed, ")
        self.assertRegex(end, r"(?s)✘ bad\.bst: .*log: /[\S\n]+\.log\n.*│ .*set-env")
        self.assertIn("\x1b]8;;file://", build.stdout)

    def test_a_narrow_terminal_and_ascii(self):
        build = self.building("slow.bst", columns=40, rows=10, env={"LC_ALL": "C"})
        self.wait_at_gate(1)
        self.wait_seen(build, r"[#.]+ \d/\d", columns=40, rows=10)
        self.wait_seen(build, r"- slow\.bst|\* slow\.bst", columns=40, rows=10)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertTrue(build.stdout.isascii(), build.stdout)

    def test_a_renderer_that_is_killed_leaves_the_terminal_right(self):
        build = self.building("slow.bst")
        self.wait_at_gate(1)
        self.wait_seen(build, r"slow\.bst +\d")
        (renderer,) = [pid for pid, name in self.processes().items() if name == "sluice-renderer"]
        os.kill(renderer, signal.SIGKILL)
        self.wait_until(lambda: [pid for pid, name in self.processes().items() if name == "sluice-renderer" and pid != renderer], "another renderer")
        self.wait_seen(build, r"slow\.bst +\d")
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertRegex(self.screen(build), "✔ build succeeded")
        self.assertTrue(self.line_mode(build))

    # ---- Questions

    def test_questions_are_rows_of_the_area(self):
        build = self.building("slow.bst", "bad.bst", "worse.bst")
        for number in (1, 2, 3):
            self.wait_at_gate(number)
        self.fail_at(2)
        self.wait_seen(build, r"bad\.bst failed: ")
        self.wait_seen(build, r"\[c\]ontinue \[q\]uit \[t\]erminate \[r\]etry \[l\]og")
        self.wait_seen(build, r"slow\.bst +\d")  # the area is there
        self.fail_at(3)
        self.wait_seen(build, "1 of 2 failures  bad.bst failed: ")
        self.press(build, "n", "1 of 2 failures  worse.bst failed: ")
        # Tried again, while the other still asks.
        build.write("r")
        self.wait_at_gate(3)
        self.wait_seen(build, "bad.bst failed: ")
        self.wait_unseen(build, "1 of 2")
        self.open_gate(3)
        self.wait_seen(build, r"✔ worse\.bst")
        build.write("t")
        self.wait_seen(build, r"and exit\? \(y/n\)")
        build.write("n")
        self.wait_seen(build, r"\[c\]ontinue")
        build.write("c")
        self.wait_unseen(build, r"\[c\]ontinue")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assertRegex(self.screen(build, rows=60), r"1 failed, ")
        self.assertTrue(self.line_mode(build))
        self.assert_nothing_left()

    def test_a_log_in_front_and_back(self):
        pager = self.write("pager", "cat \"$1\"; echo PAGER; while read -r line && test \"$line\" != q; do echo heard $line; done")
        build = self.building("slow.bst", "bad.bst", env={"PAGER": "sh " + pager})
        self.wait_at_gate(1)
        self.wait_at_gate(2)
        self.fail_at(2)
        self.wait_seen(build, r"\[l\]og")
        self.press(build, "l", "PAGER")
        self.wait_until(lambda: self.line_mode(build), "line mode for the pager")
        self.wait_unseen(build, r"\[l\]og")
        # Nobody draws while the pager has the terminal.
        build.write("x\n")
        self.wait_seen(build, "heard l*x")
        self.assertNotRegex(re.split("heard l*x", self.screen(build))[1], r"slow\.bst")
        build.write("q\n")
        self.wait_seen(build, r"\[c\]ontinue")
        self.wait_seen(build, r"slow\.bst +\d")
        build.write("c")
        self.wait_unseen(build, r"\[c\]ontinue")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        # The renderer is the same that was there before, and knows the whole run.
        self.assertRegex(self.screen(build, rows=120), r"✔ slow\.bst")
        self.assert_nothing_left()

    def test_ctrl_c_asks_in_the_area(self):
        build = self.building("slow.bst")
        self.wait_at_gate(1)
        self.wait_seen(build, r"slow\.bst +\d")
        build.write(CTRL_C)
        self.wait_seen(build, r"Interrupted by Ctrl-C: all jobs are suspended")
        self.wait_seen(build, "suspended")
        self.press(build, "c", "All jobs go on")
        build.write(CTRL_C)
        self.wait_seen(build, r"Interrupted by Ctrl-C")
        build.write(CTRL_C)
        self.assertEqual(build.wait(), 1)
        self.assertTrue(self.line_mode(build))
        self.assert_nothing_left()

    def test_an_answer_from_elsewhere(self):
        build = self.building("slow.bst", "bad.bst")
        self.wait_at_gate(1)
        self.wait_at_gate(2)
        self.fail_at(2)
        self.wait_seen(build, r"\[c\]ontinue")
        attached = self.start("session", "attach", cwd=self.at, pty=True, columns=80, rows=24)
        self.wait_seen(attached, r"\[c\]ontinue")
        self.press(attached, "c", "s suspend  q quit")
        self.wait_unseen(build, r"\[c\]ontinue")
        attached.write(CTRL_C)
        self.assertEqual(attached.wait(), 0)
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()

    # ---- Other styles

    def test_quiet_and_reader(self):
        done = self.sluice("--quiet", "build", "quick.bst", cwd=self.at)
        self.assertRegex(done.stderr, r"\A✔ build succeeded in \S+: 2 built\n\Z")
        done = self.sluice("--style", "reader", "build", "quick.bst", cwd=self.at)
        self.assertRegex(done.stderr, r"The build has succeeded after \d+ seconds?: 1 cached\.\n\Z")
        done = self.sluice("build", "quick.bst", cwd=self.at, env={"SLUICE_STYLE": "calm"})
        self.assertIn("Pipeline Summary", done.stderr)
        self.assertIn("is none of auto, calm", self.sluice("build", "quick.bst", cwd=self.at, status=2, env={"SLUICE_STYLE": "loud"}).stderr)
        self.assertIn("not a terminal", self.sluice("--style", "calm", "build", "quick.bst", cwd=self.at, status=2).stderr)
        self.assertIn("--quiet", self.sluice("--quiet", "session", "attach", "--style", "json", cwd=self.at, status=1).stderr)

    def test_heartbeat(self):
        build = self.start("build", "slow.bst", cwd=self.at, env={"SLUICE_HEARTBEAT": "1"})
        self.wait_at_gate(1)
        self.wait_until(lambda: len(re.findall(r"INFO    Still building: slow\.bst \S+, 1 of 2 done\n", build.stderr)) >= 2, "two heartbeats")
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)

    def test_github(self):
        summary = self.write("summary.md", "")
        env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": summary, "GITHUB_WORKSPACE": self.at}
        build = self.start("--on-error", "continue", "build", "bad.bst", "quick.bst", cwd=self.at, env=env)
        self.wait_at_gate(2)
        self.fail_at(2)
        self.assertEqual(build.wait(), 1)
        lines = build.stderr.splitlines()
        group = [number for number, line in enumerate(lines) if re.match(r"::group::✔ quick\.bst \(", line)]
        self.assertEqual(len(group), 1, build.stderr)
        self.assertIn("::endgroup::", lines[group[0]:])
        self.assertRegex(build.stderr, r"(?m)^::error file=elements/bad\.bst,title=bad\.bst%3A build failed::")
        # What the build has written is no command.
        stopped = None
        for line in lines:
            if line.lstrip(" │").startswith("::set-env"):
                self.assertIsNotNone(stopped, build.stderr)
            if line.startswith("::stop-commands::"):
                stopped = line[len("::stop-commands::"):]
            elif stopped and line == "::%s::" % stopped:
                stopped = None
        self.assertIsNone(stopped)
        with open(summary, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("### sluice build: failed after ", text)
        self.assertIn("| bad\\.bst | build |", text)
        # An error of the project, at its place.
        with open(os.path.join(self.at, "elements/odd.bst"), "w", encoding="ascii") as file:
            file.write("kind: manual\nodd: 1\n")
        for verb in (["build"], ["show"]):
            odd = self.sluice(*verb, "odd.bst", cwd=self.at, status=1, env=env)
            self.assertEqual(len(re.findall(r"(?m)^::error ", odd.stderr)), 1, odd.stderr)
            self.assertRegex(odd.stderr, r"(?m)^::error file=elements/odd\.bst,line=2,col=6")

    def test_gitlab(self):
        build = self.sluice("build", "quick.bst", cwd=self.at, env={"GITLAB_CI": "true"})
        self.assertRegex(build.stderr, r"(?m)^\x1b\[0Ksection_start:\d+:sluice_\d+_quick\.bst\[collapsed=true\]\r\x1b\[0K✔ quick\.bst \(")
        self.assertRegex(build.stderr, r"(?m)^\x1b\[0Ksection_end:\d+:sluice_\d+_quick\.bst\r\x1b\[0K$")


if __name__ == "__main__":
    main()
