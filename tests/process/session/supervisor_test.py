"""The supervisor by itself, driven over the line that a command has to it (spec/session.md: P1 and so on)."""

import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../support"))
from sluice_test import TIMEOUT, SluiceTest, main

SYS_PIDFD_GETFD = 438  # on every architecture; os has no such function
SERVICES = ("sluice-broker", "sluice-loader", "sluice-scheduler")


class Supervised:
    """A supervisor as its command sees it."""

    def __init__(self, test, session, env=None, gone=False):
        ours, theirs = socket.socketpair()
        ours.settimeout(TIMEOUT)
        if gone:
            ours.close()
        self.line = ours
        self.partial = b""
        self.process = subprocess.Popen(
            [test.program("sluice-session"), "--session", session, "--project", test.directory, "--verb", "build",
             "--attached", str(theirs.fileno())],
            env={**test.env, **(env or {})}, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        test.addCleanup(self.close)

    def says(self):
        """The next line, None at the end."""
        while b"\n" not in self.partial:
            data = self.line.recv(4096)
            if not data:
                return None
            self.partial += data
        line, _, self.partial = self.partial.partition(b"\n")
        return line.decode()

    def close(self):
        self.line.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Supervisor(SluiceTest):
    def begin(self, session="one", env=None):
        supervised = Supervised(self, session, env)
        self.assertEqual(supervised.says(), "ready")
        self.wait_until(lambda: all(self.pids(name) for name in SERVICES), "the services")
        return supervised

    def send_and_see_taken(self, supervised, number):
        """Sends a signal to the supervisor; returns when it is no longer pending."""
        def pending():
            with open("/proc/%d/status" % supervised.process.pid, encoding="utf-8") as file:
                masks = dict(line.split(":", 1) for line in file)
            return int(masks["ShdPnd"], 16) & 1 << (number - 1)
        supervised.process.send_signal(number)
        self.wait_until(lambda: not pending(), "the signal to be taken")

    def test_in_order(self):
        supervised = self.begin()
        for name in ("records", "live-in", "live-out", "control", "jobs"):  # P2, P6
            mode = os.stat(os.path.join(self.runtime_directory("one"), name)).st_mode
            self.assertTrue(stat.S_ISSOCK(mode))
            self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.runtime_directory("one")).st_mode), 0o700)
        supervised.line.sendall(b"end\n")
        self.assertEqual(supervised.says(), "ended 0")
        self.assertEqual(supervised.process.wait(TIMEOUT), 0)
        self.assertFalse(os.path.exists(self.runtime_directory("one")))
        self.assertEqual(self.session_json("one")["state"], "ended")
        self.assert_nothing_left()  # P13

    def test_command_gone(self):
        supervised = self.begin()
        supervised.line.close()
        supervised.process.wait(TIMEOUT)
        self.assert_nothing_left()

    def test_command_gone_before_the_start(self):
        """"ready" can't be told to anybody then, which must not be taken for a command that doesn't care."""
        supervised = Supervised(self, "one", gone=True)
        self.assertEqual(supervised.process.wait(TIMEOUT), 1)
        self.assertEqual(self.session_json("one")["state"], "stopped")
        self.assert_nothing_left()

    def test_signal(self):
        supervised = self.begin()
        supervised.process.send_signal(signal.SIGTERM)
        self.assertEqual(supervised.says(), "ended 1")
        supervised.process.wait(TIMEOUT)
        self.assert_nothing_left()

    def test_signal_at_the_end(self):
        """A signal after "end" doesn't count as a second one, for which all services would be killed."""
        supervised = self.begin()
        os.kill(self.pids("sluice-scheduler")[0], signal.SIGSTOP)
        supervised.line.sendall(b"end\n")
        self.wait_until(lambda: not self.pids("sluice-loader"), "the end to have begun")
        self.send_and_see_taken(supervised, signal.SIGTERM)
        self.assertTrue(self.pids("sluice-broker"))
        self.kill("sluice-scheduler", signal.SIGCONT)
        self.assertEqual(supervised.says(), "ended 0")
        supervised.process.wait(TIMEOUT)
        self.assert_nothing_left()

    def test_second_signal(self):
        supervised = self.begin()
        os.kill(self.pids("sluice-scheduler")[0], signal.SIGSTOP)
        supervised.process.send_signal(signal.SIGTERM)
        self.wait_until(lambda: not self.pids("sluice-loader"), "the end to have begun")
        supervised.process.send_signal(signal.SIGTERM)
        # At once, not when the scheduler's 15 s are over.
        supervised.line.settimeout(10)
        self.assertEqual(supervised.says(), "ended 1")
        supervised.process.wait(TIMEOUT)
        self.assert_nothing_left()

    def epoch(self, name):
        with open("/proc/%d/cmdline" % self.pids(name)[0], encoding="utf-8") as file:
            words = file.read().split("\0")
        return int(words[words.index("--epoch") + 1])

    def inodes_of_sockets(self):
        folder = self.runtime_directory("one")
        return {name: os.stat(os.path.join(folder, name)).st_ino for name in os.listdir(folder) if not name.startswith("zap-")}

    def test_restart(self):
        supervised = self.begin()
        sockets = self.inodes_of_sockets()
        for name in SERVICES:  # P5, P8
            before = self.pids(name)
            epoch = self.epoch(name)
            self.kill(name)
            self.assertRegex(supervised.says(), "restarted %s was killed by signal 9" % name.removeprefix("sluice-"))
            self.wait_until(lambda: self.pids(name) and self.pids(name) != before, "another " + name)
            self.assertGreater(self.epoch(name), epoch)  # P3
        self.assertEqual(self.inodes_of_sockets(), sockets)  # P2: those that there were
        supervised.line.sendall(b"end\n")
        self.assertEqual(supervised.says(), "ended 0")
        supervised.process.wait(TIMEOUT)
        self.assert_nothing_left()

    def say_as(self, name, line):
        """Writes to a service's own line to the supervisor."""
        (pid,) = self.pids(name)
        with open("/proc/%d/cmdline" % pid, encoding="utf-8") as file:
            words = file.read().split("\0")
        pidfd = os.pidfd_open(pid)
        theirs = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, pidfd, int(words[words.index("--supervisor") + 1]), 0)
        if theirs < 0:
            self.skipTest("pidfd_getfd: " + os.strerror(ctypes.get_errno()))
        os.write(theirs, line)
        os.close(theirs)
        os.close(pidfd)

    def test_who_may_start_runners(self):
        """P7, P11: the scheduler alone; what anybody else says, or nobody knows, is logged."""
        supervised = self.begin()
        self.say_as("sluice-loader", b"start runner\nsing\n")
        self.wait_until(lambda: "sing" in self.log(), "the line to be logged")
        self.assertIn("start runner", self.log())
        self.assertEqual(self.pids("sluice-runner"), [])
        self.say_as("sluice-scheduler", b"start runner\nstart runner\n")
        (runner,) = self.wait_until(lambda: self.pids("sluice-runner"), "a runner")
        self.say_as("sluice-loader", b"dance\n")
        self.wait_until(lambda: "dance" in self.log(), "the line to be logged")
        self.assertEqual(self.pids("sluice-runner"), [runner])
        supervised.line.sendall(b"end\n")
        self.assertEqual(supervised.says(), "ended 0")
        supervised.process.wait(TIMEOUT)
        self.assert_nothing_left()

    def test_nothing_is_started_at_the_end(self):
        """P12: while the session ends, a service that dies is not started again."""
        supervised = self.begin()
        os.kill(self.pids("sluice-scheduler")[0], signal.SIGSTOP)
        supervised.line.sendall(b"end\n")
        self.wait_until(lambda: not self.pids("sluice-loader"), "the end to have begun")
        (broker,) = self.pids("sluice-broker")
        self.kill("sluice-broker")
        self.wait_until(lambda: "broker, process %d, was killed" % broker in self.log(), "its death to be noticed")
        self.kill("sluice-scheduler", signal.SIGCONT)
        said = [supervised.says()]
        while said[-1] and not said[-1].startswith("ended"):
            said.append(supervised.says())
        self.assertEqual(len(said), 1, said)  # no "restarted"
        supervised.process.wait(TIMEOUT)
        self.assertEqual(self.log().count("broker, process"), 1)
        self.assert_nothing_left()

    def test_one_supervisor_each(self):
        self.begin()
        other = Supervised(self, "one")  # P1
        self.assertIn("active already", other.says())
        self.assertEqual(other.process.wait(TIMEOUT), 1)
        self.assertTrue(os.path.exists(os.path.join(self.runtime_directory("one"), "records")))

    def test_killed(self):
        supervised = self.begin()
        supervised.process.kill()
        supervised.process.wait()
        self.wait_until(lambda: not any(self.pids(name) for name in SERVICES), "the end of the services")  # P4
        self.assertTrue(os.path.exists(self.runtime_directory("one")))
        self.begin("two")
        self.assertFalse(os.path.exists(self.runtime_directory("one")), "the dead session's sockets are removed")

    def state_of(self, session):
        folder = os.path.join(self.state, "sluice", "sessions", session)
        os.makedirs(folder, mode=0o700)
        return folder

    def test_lock_held_for_a_moment(self):
        """P1: somebody who looks for dead sessions takes this one, which just begins, for one, and removes its sockets."""
        path = os.path.join(self.state_of("one"), "lock")
        with open(path, "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            supervised = Supervised(self, "one")

            def waits():
                folder = "/proc/%d/fd" % supervised.process.pid
                return any(os.path.realpath(os.path.join(folder, fd)) == os.path.realpath(path) for fd in os.listdir(folder))
            self.wait_until(waits, "it to wait for the lock")
            shutil.rmtree(self.runtime_directory("one"))
        self.assertEqual(supervised.says(), "ready")
        self.assertTrue(os.path.exists(os.path.join(self.runtime_directory("one"), "records")))

    def test_one_that_begins_is_left_alone(self):
        self.state_of("two")
        os.mkdir(os.path.dirname(self.runtime_directory("two")), mode=0o700)
        os.mkdir(self.runtime_directory("two"), mode=0o700)
        self.begin()
        self.assertTrue(os.path.exists(self.runtime_directory("two")))

    def test_given_up(self):
        supervised = self.begin()
        for death in range(9):  # P5: more than eight deaths in a row
            pids = self.wait_until(lambda: self.pids("sluice-loader"), "a loader")
            self.kill("sluice-loader")
            self.assertTrue(pids)
            line = supervised.says()
            self.assertRegex(line, "restarted loader" if death < 8 else "failed sluice-loader .* 9 times in a row")
        self.assertEqual(supervised.says(), "ended 1")
        supervised.process.wait(TIMEOUT)
        self.assert_nothing_left()

    def test_hostile_directory(self):
        """P16: it is gone around, and what is chosen instead is written down for all who come later."""
        runtime = os.path.join(self.directory, "hostile")
        os.makedirs(runtime)
        os.makedirs(os.path.join(self.directory, "elsewhere"))
        os.symlink("../elsewhere", os.path.join(runtime, "sluice"))
        supervised = Supervised(self, "one", {"XDG_RUNTIME_DIR": runtime})
        self.assertEqual(supervised.says(), "ready")
        self.assertEqual(os.listdir(os.path.join(self.directory, "elsewhere")), [])
        with open(os.path.join(self.session_directory("one"), "runtime"), encoding="utf-8") as file:
            chosen = file.read().strip()
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(chosen)).st_mode), 0o700)
        self.assertTrue(stat.S_ISSOCK(os.stat(os.path.join(chosen, "records")).st_mode))
        supervised.line.sendall(b"end\n")
        self.assertEqual(supervised.says(), "ended 0")
        self.assertEqual(supervised.process.wait(TIMEOUT), 0)
        self.assertFalse(os.path.exists(chosen))
        self.assert_nothing_left()

    def log(self):
        with open(os.path.join(self.session_directory("one"), "logs", "sluice-session.log"), encoding="utf-8") as file:
            return file.read()

    def test_who_died_of_what_is_logged(self):  # P15
        supervised = self.begin()
        (loader,) = self.pids("sluice-loader")
        os.kill(loader, signal.SIGKILL)
        self.assertIn("restarted loader was killed by signal 9", supervised.says())
        self.assertRegex(self.log(), r"loader, process %d, was killed by signal 9 \(Killed\): it used [1-9]\d+ KiB at most; the machine has [1-9]\d+ KiB left; "
                               "the kernel has killed (nobody|[0-9]+ processes of this machine) for lack of memory" % loader)
        supervised.process.send_signal(signal.SIGTERM)
        self.assertEqual(supervised.says(), "ended 1")
        supervised.process.wait(TIMEOUT)
        self.assertRegex(self.log(), r"signal 15 \(Terminated\) from process %d \(.+\) of user %d" % (os.getpid(), os.getuid()))
        self.assert_nothing_left()


main()
