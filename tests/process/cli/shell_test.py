"""`sluice shell` on a terminal and without: what a program in the sandbox has of the user's, which is nothing, and that it
looks and works as if it had (spec/sandbox.md, S38 to S41). Real processes throughout."""

import os
import shutil
import signal
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

FILES = {
    "project.conf": "name: small\nmin-version: 2.0\nelement-path: elements\n",
    "elements/base.bst": "kind: import\nsources:\n- kind: local\n  path: files/base\n- kind: local\n  path: files/tools\n",
    "elements/other.bst": "kind: stack\n",
}
CTRL_C, CTRL_D = "\x03", "\x04"


class Shell(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(FILES)
        self.base(programs=("sh", "cat", "sleep", "true", "ls", "readlink", "tty", "stty", "cut", "yes"))
        tools = os.path.join(self.at, "files/tools/bin")
        os.makedirs(tools)
        shutil.copy(self.program("jobs_probe"), os.path.join(tools, "probe"))
        self.sluice("build", "base.bst", cwd=self.at)

    def inside(self, *command, **options):
        return self.start("shell", "base.bst", "--", *command, cwd=self.at, **{"pty": True, **options})

    def host(self, script, **options):
        """A line of a shell of the host, in which $S is `sluice shell base.bst --`."""
        return self.start("-c", script, program="/bin/sh", cwd=self.at,
                          env={"S": self.program("sluice") + " shell base.bst --"}, **options)

    def said(self, shell, text):
        self.wait_until(lambda: text in shell.stdout, text)

    def modes(self, shell):
        return termios.tcgetattr(shell.master)

    # ---- On a terminal

    def test_a_session_with_a_terminal_of_its_own(self):
        shell = self.inside("sh", "-c", "for fd in 0 1 2; do tty <&$fd; done; stty size; echo r''eady; "
                            "read line; stty size; exit 7")
        before = self.modes(shell)
        self.said(shell, "ready")
        lines = shell.stdout.replace("\r", "").splitlines()
        self.assertEqual(lines[:4], ["/dev/pts/0"] * 3 + ["30 100"])
        self.assertFalse(self.modes(shell)[3] & termios.ICANON)
        shell.resize(81, 23)
        shell.write("\r")
        self.said(shell, "23 81")
        self.assertEqual(shell.wait(), 7)
        self.assertEqual(self.modes(shell), before)
        self.assert_nothing_left()

    def test_nothing_is_typed_into_the_users_terminal(self):
        shell = self.inside("probe", "tiocsti", "tiocsti-high", "tioclinux")
        self.assertEqual(shell.wait(), 0)
        self.said(shell, "tioclinux: EPERM")
        self.assertEqual(shell.stdout.count("EPERM"), 3)
        self.assertNotIn("probe", [line for line in shell.stdout.splitlines() if ":" not in line])

    def test_the_session_has_no_other_process(self):
        # What a program in the same session as ours could reach by its controlling terminal.
        shell = self.inside("sh", "-c", "cut -d' ' -f6,7 /proc/self/stat; readlink /proc/self/ns/cgroup; cat /proc/keys; probe vsock keyctl unshare-user")
        self.assertEqual(shell.wait(), 0)
        self.said(shell, "unshare-user: EPERM")
        lines = shell.stdout.replace("\r", "").splitlines()
        self.assertEqual(lines[0].split()[0], "1")  # its leader is the first process of the sandbox
        self.assertNotEqual(lines[1], os.readlink("/proc/self/ns/cgroup"))
        self.assertEqual(lines[2:], ["vsock: EAFNOSUPPORT", "keyctl: EPERM", "unshare-user: EPERM"])

    def test_an_interactive_shell_has_its_jobs(self):
        shell = self.start("shell", "base.bst", cwd=self.at, pty=True)
        self.said(shell, "]$")
        self.assertNotIn("job control", shell.stdout)
        shell.write("sleep 1000\r")
        self.wait_until(lambda: self.pids("sleep"), "a sleep")
        shell.write(CTRL_C)
        self.wait_until(lambda: not self.pids("sleep"), "its end")
        shell.write("echo $((6 * 7)) $?\r")
        self.said(shell, "42 130")
        shell.write(CTRL_D)
        shell.wait()
        self.assert_nothing_left()

    def test_keys_that_are_signals(self):
        shell = self.inside("sleep", "1000")
        before = self.modes(shell)
        self.wait_until(lambda: self.pids("sleep"), "a sleep")
        shell.write(CTRL_C)
        self.assertEqual(shell.wait(), 130)
        self.assertEqual(self.modes(shell), before)

    def test_the_terminal_is_restored_whatever_happens(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
            shell = self.inside("sleep", "1000")
            before = self.modes(shell)
            self.wait_until(lambda: self.pids("sleep"), "a sleep")
            self.wait_until(lambda: not self.modes(shell)[3] & termios.ICANON, "keys to be taken")
            shell.signal(number)
            code = shell.wait()
            self.assertEqual(code, -9 if number == signal.SIGKILL else 128 + number)
            self.wait_until(lambda: self.modes(shell) == before, "the terminal as it was")
            self.wait_until(lambda: not self.pids("sleep"), "its end")
        self.assert_nothing_left()

    def test_a_command_that_does_not_listen_is_killed(self):
        shell = self.inside("sh", "-c", "trap '' TERM; echo r''eady; while :; do sleep 1; done")
        self.said(shell, "ready")
        shell.signal(signal.SIGTERM)
        self.assertEqual(shell.wait(), 143)
        self.assert_nothing_left()

    # ---- Without one, or with a part of one

    def test_limits_of_builds_are_no_concern_of_a_shell(self):
        config = self.write("limits.conf", "build: {max-memory: 1G, max-silent-time: 1, max-log-size: 1K, tmp-size: 1M}\n")
        shell = self.start("--config", config, "shell", "base.bst", "--", "sh", "-c", "sleep 1.5; while read a b c; do case $b in /tmp) echo $c;; esac; "
                           "done < /proc/mounts", cwd=self.at)
        self.assertEqual(shell.wait(), 0)
        self.assertIn("tmpfs", shell.stdout)

    def test_input_that_is_no_terminal(self):
        shell = self.host("echo 'echo $((6*7)); exit 5' | $S sh; echo status $?")
        self.assertEqual(shell.wait(), 0)
        self.assertEqual(shell.stdout, "42\nstatus 5\n")

    def test_what_is_not_read_of_a_file_is_left_for_the_next(self):
        self.write("project/lines", "one\ntwo\nthree\n")
        shell = self.host("(for i in 1 2; do $S true; done; $S sh -c 'read a; echo got $a'; cat) < lines")
        self.assertEqual(shell.wait(), 0)
        self.assertEqual(shell.stdout, "got one\ntwo\nthree\n")

    def test_files_of_the_host_are_out_of_reach(self):
        self.write("project/kept", "kept\n")
        self.write("project/read", "read\n")
        attack = ": > /proc/self/fd/0; for fd in 1 2; do : > /proc/self/fd/$fd; done; probe log; cat; echo error >&2; echo out"
        shell = self.host("$S sh -c '%s' < read >> kept 2>&1" % attack)
        self.assertEqual(shell.wait(), 0)
        with open(os.path.join(self.at, "kept"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "kept\nlog: refused\nread\nerror\nout\n")
        with open(os.path.join(self.at, "read"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "read\n")

    def test_a_directory_is_not_given(self):
        shell = self.host("$S ls -l /proc/self/fd < /")
        self.assertEqual(shell.wait(), 1)
        self.assertIn("Standard stream 0 is a directory", shell.stderr)

    def test_an_element_that_is_built_as_another_kind(self):
        self.write("project/project.conf", FILES["project.conf"] + "plugins:\n- {origin: local, path: plugins, elements: [mine]}\n")
        self.write("project/plugins/mine.py", "from buildstream import BuildElement\nclass Mine(BuildElement):\n"
                   "    BST_MIN_VERSION = '2.0'\ndef setup():\n    return Mine\n")
        self.write("project/elements/mine.bst", "kind: mine\nbuild-depends: [base.bst]\n")
        shell = self.sluice("shell", "--build", "mine.bst", "--", "sh", "-c", "echo in $PWD", cwd=self.at)
        self.assertIn("in /buildstream/small/mine.bst\n", shell.stdout)

    def test_one_element_is_named(self):
        for given in ("nothing-*.bst", "*.bst"):
            for options in ((), ("--build",), ("--build", "--use-buildtree")):
                with self.subTest(given=given, options=options):
                    refused = self.sluice("shell", *options, given, cwd=self.at, status=1)
                    self.assertIn("Exactly one element must be named", refused.stderr)

    def test_output_to_a_pipe_while_keys_come_from_a_terminal(self):
        shell = self.host("$S sh -c 'echo r\"\"eady >&2; read a; echo got $a' | sed s/got/have/", pty=True)
        self.said(shell, "ready")
        self.assertTrue(self.modes(shell)[3] & termios.ICANON)  # a pager has its own
        shell.write("it\r")
        self.said(shell, "have it")
        self.assertEqual(shell.wait(), 0)

    def test_a_reader_that_ends(self):
        shell = self.host("$S yes | head -n 1")
        self.assertEqual(shell.wait(), 0)
        self.assertEqual(shell.stdout, "y\n")
        self.assert_nothing_left()


main()
