"""Keys that steer a build while its status area is on the terminal, and the terminal's modes."""

import os
import re
import signal
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

CTRL_C = "\x03"
CTRL_Z = "\x1a"
JOBS = 5


class Keys(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.env["SLUICE_STYLE"] = "tty"  # its rows are written as wholes, so that they can be found in what was written
        files = {"project.conf": CONF, "elements/base.bst": BASE}
        for number in range(1, JOBS + 1):
            files["elements/e%d.bst" % number] = manual("e%d" % number, gate(number))
        files["elements/all.bst"] = "kind: stack\ndepends:\n" + "".join("- e%d.bst\n" % n for n in range(1, JOBS + 1))
        self.at = self.project(files)
        busybox_base(self.at)

    def building(self, *arguments, builders=1):
        """On a terminal, as many jobs at their gates as there are builders."""
        build = self.start("--builders", str(builders), *arguments, cwd=self.at, pty=True, env={"PS1": ""})
        self.wait_gates(builders)
        self.wait_said(build, "s suspend")
        return build

    def gates(self):
        return [number for number in range(1, JOBS + 1) if self.at_gate(number)]

    def wait_gates(self, count):
        return self.wait_until(lambda: (lambda gates: gates if len(gates) == count else None)(self.gates()), "%d jobs at their gates" % count)

    def finish(self, build, status):
        def ended():
            for number in self.gates():
                for pid in self.at_gate(number):
                    os.kill(pid, signal.SIGUSR1)
            return build.poll() is not None
        self.wait_until(ended, "the build to end")
        self.assertEqual(build.wait(), status)
        self.assertTrue(self.line_mode(build))
        self.assert_nothing_left()

    def wait_said(self, terminal, text, times=1):
        return self.wait_until(lambda: len(re.findall(text, terminal.stdout)) >= times, "%r, %d times" % (text, times))

    def session_state(self):
        return [line.split()[1] for line in self.sluice("session", "list", cwd=self.at).stdout.splitlines()[1:]][-1]

    def wait_state(self, state):
        self.wait_until(lambda: self.session_state() == state, "the session to be " + state)

    def line_mode(self, terminal):
        """Lines with an echo, as a shell and a prompt want it."""
        modes = termios.tcgetattr(terminal.master)[3]
        return bool(modes & termios.ICANON) and bool(modes & termios.ECHO)

    # ---- What they do

    def test_suspend_and_resume(self):
        build = self.building("build", "e1.bst")
        build.write("s")
        self.wait_state("suspended")
        self.wait_said(build, "All jobs are suspended")
        build.write("s")
        self.wait_state("active")
        self.wait_said(build, "All jobs go on")
        self.finish(build, 0)

    def row(self, terminal, text):
        """Waits until the row of keys offers `text`: suspend or resume."""
        self.wait_until(lambda: re.findall("s (suspend|resume)  q quit", terminal.stdout)[-1:] == [text], "the row to say " + text)

    def test_the_row_is_the_sessions(self):
        """The row of keys tells the session's state, whoever changed it, and on a terminal that comes later."""
        build = self.building("build", "e1.bst")
        self.sluice("session", "suspend", cwd=self.at)
        self.row(build, "resume")
        attached = self.start("session", "attach", cwd=self.at, pty=True)
        self.row(attached, "resume")
        attached.write("s")
        self.wait_state("active")
        self.row(build, "suspend")
        self.row(attached, "suspend")
        build.write("s")
        self.wait_state("suspended")
        self.row(attached, "resume")
        self.sluice("session", "resume", cwd=self.at)
        self.row(build, "suspend")
        self.row(attached, "suspend")
        attached.write(CTRL_C)
        self.assertEqual(attached.wait(), 0)
        self.finish(build, 0)

    def test_quit(self):
        build = self.building("build", "all.bst")
        build.write("q")
        self.wait_said(build, r"and exit\? \(y/n\)")
        build.write("n")
        self.wait_said(build, "Nothing was done")
        self.assertEqual(self.session_state(), "active")
        build.write("qy")
        self.wait_state("quitting")
        self.assertEqual(len(self.gates()), 1)
        self.finish(build, 1)
        self.assertNotIn("Choice:", build.stdout)

    def test_kill(self):
        build = self.building("build", "all.bst")
        build.write("kn")
        self.wait_said(build, "Nothing was done")
        self.assertEqual(len(self.gates()), 1)
        build.write("ky")
        self.assertEqual(build.wait(), 1)
        self.assertTrue(self.line_mode(build))
        self.assert_nothing_left()

    def test_retry(self):
        build = self.building("--on-error", "continue", "build", "e1.bst", "e2.bst", builders=2)
        build.write("r")
        self.wait_said(build, "Nothing has failed that could be tried again")
        self.open_gate(1, signal.SIGTERM)
        self.wait_said(build, "FAILURE .*Command failed")
        # The command line hears of it at its own time.
        self.press_until(build, "r", lambda: "Trying e1.bst again" in build.stdout, "e1.bst to be tried again")
        self.wait_at_gate(1)
        self.finish(build, 0)

    def test_builders(self):
        build = self.building("build", "all.bst")
        build.write("++")
        self.wait_gates(3)
        self.wait_said(build, "3 builders, 10 fetchers")
        build.write("-")
        self.wait_said(build, "2 builders, 10 fetchers")
        os.kill(self.at_gate(self.gates()[0])[0], signal.SIGUSR1)
        self.wait_gates(2)
        self.finish(build, 0)

    def test_help(self):
        build = self.building("build", "e1.bst")
        build.write("?")
        self.wait_said(build, "one builder more")
        build.write("x\x1b[A")  # keys that mean nothing
        build.write("?")
        self.wait_said(build, "s suspend", 2)
        self.assertEqual(self.session_state(), "active")
        self.finish(build, 0)

    def test_on_an_attached_terminal(self):
        build = self.start("--builders", "1", "build", "all.bst", cwd=self.at)
        self.wait_gates(1)
        attached = self.start("session", "attach", cwd=self.at, pty=True)
        self.wait_said(attached, "s suspend")
        attached.write("+")
        self.wait_gates(2)
        attached.write(CTRL_C)
        self.assertEqual(attached.wait(), 0)
        self.assertTrue(self.line_mode(attached))
        attached = self.start("session", "attach", cwd=self.at, pty=True)
        self.wait_said(attached, "s suspend")
        attached.write("ky")
        self.assertEqual(attached.wait(), 0)
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()

    # ---- The terminal

    def test_a_prompt_gets_its_lines(self):
        build = self.building("build", "e1.bst", "e2.bst", builders=2)
        self.assertFalse(self.line_mode(build))
        self.open_gate(1, signal.SIGTERM)
        self.wait_said(build, r"Choice: \[continue\]")
        self.assertTrue(self.line_mode(build))
        build.write("s\n")
        # A shell of the failed build: what is typed there are no keys of Sluice.
        self.wait_said(build, r"e1[^\n]*\]\$")
        build.write("echo $((6 * 7)) s q k r\n")
        self.wait_said(build, "42 s q k r")
        build.write("exit\n")
        self.wait_said(build, "Choice:", 2)
        self.assertEqual(self.session_state(), "active")
        build.write("c\n")
        self.wait_until(lambda: not self.line_mode(build), "keys again")
        self.finish(build, 1)

    def test_a_command_that_is_killed_leaves_the_terminal_in_order(self):
        build = self.building("build", "all.bst")
        self.assertFalse(self.line_mode(build))
        build.signal(signal.SIGKILL)
        build.wait()
        self.wait_until(lambda: self.line_mode(build), "lines again")
        self.assert_nothing_left()

    def test_sigterm_asks_nothing(self):
        build = self.building("build", "all.bst")
        build.signal(signal.SIGTERM)
        self.assertEqual(build.wait(), 1)
        self.assertNotIn("Choice:", build.stdout)
        self.assertTrue(self.line_mode(build))
        self.assert_nothing_left()

    def test_sigterm_at_a_question(self):
        build = self.building("build", "all.bst")
        build.write(CTRL_C)
        self.wait_said(build, "Choice:")
        build.signal(signal.SIGTERM)
        self.assertEqual(build.wait(), 1)
        self.assertTrue(self.line_mode(build))
        self.assert_nothing_left()

    def test_sigtstp_and_sigcont(self):
        build = self.building("build", "e1.bst")
        build.signal(signal.SIGTSTP)
        self.wait_state("suspended")
        self.wait_until(lambda: self.stopped(build.pid), "the command to be stopped")
        self.assertTrue(self.line_mode(build))
        build.signal(signal.SIGCONT)
        self.wait_state("active")
        self.wait_until(lambda: not self.line_mode(build), "keys again")
        self.finish(build, 0)

    def stopped(self, pid):
        with open("/proc/%d/stat" % pid, "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"T"

    def test_a_shell_stops_it_and_has_it_in_the_background_and_the_foreground(self):
        shell = self.start("--norc", "-i", program="/bin/bash", cwd=self.at, pty=True, env={"PS1": "ready> ", "HISTFILE": ""})
        self.wait_said(shell, "ready> ")
        shell.write(os.path.join(self.bin, "sluice") + " --builders 1 build all.bst\n")
        self.wait_gates(1)
        self.wait_said(shell, "s suspend")
        shell.write(CTRL_Z)
        self.wait_said(shell, "Stopped")
        self.wait_state("suspended")
        shell.write("echo $((6 * 7)) sq\n")
        self.wait_said(shell, "42 sq")
        # In the background the build goes on, and what is typed goes to the shell.
        shell.write("bg\n")
        self.wait_state("active")
        shell.write("echo $((6 * 8)) sq\n")
        self.wait_said(shell, "48 sq")
        self.assertEqual(self.session_state(), "active")
        shell.write("fg\n")
        # Sluice takes keys when it has the terminal again.
        self.wait_until(lambda: self.keys_taken(shell), "keys")
        shell.write("+")
        self.wait_gates(2)
        shell.write("ky")
        self.wait_until(lambda: not self.pids("sluice"), "the command to end")
        shell.write("echo $((6 * 9)) $?\n")
        self.wait_said(shell, "54 1")
        shell.write("exit\n")
        self.assertEqual(shell.wait(), 0)
        self.assert_nothing_left()

    def keys_taken(self, shell):
        """bash reads keys by itself: in its own mode CR isn't made NL."""
        modes = termios.tcgetattr(shell.master)
        return bool(modes[0] & termios.ICRNL) and not modes[3] & termios.ICANON


if __name__ == "__main__":
    main()
