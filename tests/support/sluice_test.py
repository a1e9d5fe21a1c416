"""Runs Sluice's real programs in a directory of their own, for process and fault tests.

    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../support"))
    from sluice_test import SluiceTest, main

    class Build(SluiceTest):
        def test_twice(self):
            project = self.project({
                "project.conf": "name: small\nmin-version: 2.0\nelement-path: elements\n",
                "elements/a.bst": "kind: stack\n"})
            self.sluice("build", "a.bst", cwd=project)                  # fails the test unless it ends in 0
            bad = self.sluice("show", "b.bst", cwd=project, status=1)   # ... in 1
            self.assertIn("b.bst", bad.stderr)
            build = self.start("build", "a.bst", cwd=project)           # in the background; pty=True: on a terminal
            self.wait_until(lambda: self.pids("sluice-scheduler"), "a scheduler")
            self.kill("sluice-scheduler")                               # SIGKILL by default
            self.assertEqual(build.wait(), 0)
            self.assert_nothing_left()

    main()

Each test has a temporary directory with its own HOME and XDG directories (self.env),
so no session and no cache is shared. Programs come from $SLUICE_BIN (set by ctest) or
--bin DIR. The test is the subreaper of all that it starts, so every process that is left
is found again, whatever became of its parents, and is killed after the test. When a
test fails, the output of all commands and all logs of all sessions are printed; with
$SLUICE_TEST_KEEP set the directory stays.

Nothing here waits by sleeping: wait_until() polls a condition until a deadline.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

from trees import remove_tree

# A build on a loaded machine of two cores; a deadline is no measurement.
TIMEOUT = float(os.environ.get("SLUICE_TEST_TIMEOUT", "60"))
PR_SET_CHILD_SUBREAPER = 36


def bin_directory():
    if "SLUICE_BIN" not in os.environ:
        sys.exit("set SLUICE_BIN to the directory that holds the programs, or give --bin DIR")
    return os.path.abspath(os.environ["SLUICE_BIN"])


class Output:
    """What a finished command gave."""

    def __init__(self, argv, code, stdout, stderr):
        self.argv = argv
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self):
        return "$ %s\n%s%s[status %s]" % (shlex.join(self.argv), self.stdout, self.stderr, self.code)


class Background:
    """A command that runs while the test goes on. Its output is collected by a thread of its
    own, so it is never blocked by a test that doesn't read (see stop_reading())."""

    def __init__(self, argv, process, master=None):
        self.argv = argv
        self.process = process
        self.pid = process.pid
        self.master = master
        self._reading = threading.Event()
        self._reading.set()
        self._lock = threading.Lock()
        self._out = bytearray()
        self._err = bytearray()
        self._threads = []
        if master is not None:
            self._collect(master, self._out)
        else:
            self._collect(process.stdout.fileno(), self._out)
            self._collect(process.stderr.fileno(), self._err)

    def _collect(self, fd, into):
        def run():
            while True:
                self._reading.wait()
                try:
                    ready, _, _ = select.select([fd], [], [], 0.2)
                    if not ready or not self._reading.is_set():
                        continue
                    data = os.read(fd, 65536)
                except OSError:  # EIO: a terminal without processes; EBADF: closed
                    return
                if not data:
                    return
                with self._lock:
                    into.extend(data)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)

    @property
    def stdout(self):
        """All that was written until now (on a terminal: all of it)."""
        with self._lock:
            return self._out.decode("utf-8", "replace")

    @property
    def stderr(self):
        with self._lock:
            return self._err.decode("utf-8", "replace")

    def stop_reading(self):
        """Stops reading, as a terminal that accepts nothing more."""
        self._reading.clear()

    def go_on_reading(self):
        self._reading.set()

    def write(self, text):
        os.write(self.master if self.master is not None else self.process.stdin.fileno(), text.encode())

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number):
        self.process.send_signal(number)

    def poll(self):
        return self.process.poll()

    def wait(self, timeout=None):
        """Its status, when it ends before the deadline; else the test fails."""
        try:
            code = self.process.wait(TIMEOUT if timeout is None else timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running: %s\n%s%s" % (shlex.join(self.argv), self.stdout, self.stderr)) from None
        if self.master is None:
            for thread in self._threads:
                thread.join(2)
        return code

    def close(self):
        self._reading.set()
        if self.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.master is not None:
            for thread in self._threads:
                thread.join(1)
            with contextlib.suppress(OSError):
                os.close(self.master)
        else:
            for thread in self._threads:
                thread.join(1)
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()

    def __str__(self):
        return "$ %s\n%s%s[status %s]" % (shlex.join(self.argv), self.stdout, self.stderr, self.poll())


class SluiceTest(unittest.TestCase):
    maxDiff = None
    # Whether its directory may be in memory. Where very many files come and go, ext4 is busy with little else: it looks at every
    # inode that was freed in the last seconds before it takes one.
    IN_MEMORY = False

    def setUp(self):
        # Short, because a socket's path has 107 bytes.
        self.directory = tempfile.mkdtemp(prefix="slt-", dir=os.environ.get("SLUICE_TEST_TMP") or self._place())
        self.bin = bin_directory()
        self.state = os.path.join(self.directory, "state")
        self.cachedir = os.path.join(self.directory, "cache", "buildstream")
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": os.path.join(self.directory, "home"),
            "XDG_STATE_HOME": self.state,
            "XDG_CACHE_HOME": os.path.join(self.directory, "cache"),
            "XDG_CONFIG_HOME": os.path.join(self.directory, "config"),
            "XDG_RUNTIME_DIR": os.path.join(self.directory, "run"),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
        }
        for name, value in os.environ.items():
            if name in ("SLUICE_LOG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
                self.env[name] = value
        for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
            os.makedirs(self.env[name], mode=0o700)
        self._commands = []
        self._backgrounds = []

    def _place(self):
        """Memory where there is room in it, and where overlays can lie on it (Linux 6.6)."""
        memory = "/dev/shm"
        if not self.IN_MEMORY or not os.path.ismount(memory) or shutil.disk_usage(memory).free < 4 << 30:
            return "/tmp"
        with tempfile.TemporaryDirectory(prefix="slt-", dir=memory) as tried:
            try:
                os.setxattr(tried, "user.sluice", b"")
            except OSError:
                return "/tmp"
        return memory

    def tearDown(self):
        failed = self._failed()
        if failed:
            self._report()
        for background in self._backgrounds:
            background.close()
        self._kill_all()
        if os.environ.get("SLUICE_TEST_KEEP"):
            print("kept:", self.directory, file=sys.stderr)
        else:
            self._remove()

    # ---- Projects and files

    def write(self, path, text, mode=None):
        """A file below the test's directory (or an absolute path); text may be bytes."""
        path = os.path.join(self.directory, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        if mode is not None:
            os.chmod(path, mode)
        return path

    def project(self, files, name="project"):
        """Writes the files {relative path: text}; returns the project's directory."""
        for path, text in files.items():
            self.write(os.path.join(name, path), text)
        return os.path.join(self.directory, name)

    def base(self, name="project", programs=("sh", "cat", "sleep", "mkdir", "true", "false", "cp", "ls", "id")):
        """Puts the host's programs, with what they are linked to, into files/base of a project: a local
        source for an import element that other elements can build on."""
        root = os.path.join(self.directory, name, "files", "base")
        libraries = set()
        for program in programs:
            path = shutil.which(program, path="/usr/bin:/bin")
            target = os.path.join(root, "bin", program)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(path, target)
            os.chmod(target, 0o755)
            linked = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
            libraries.update(word for line in linked.splitlines() for word in line.split() if word.startswith("/"))
        for library in libraries:
            target = root + library
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(library, target)
            os.chmod(target, 0o755)
        return root

    # ---- Commands

    def program(self, name):
        return os.path.join(self.bin, name)

    def _argv(self, arguments, program):
        return [program if "/" in program else self.program(program)] + [str(a) for a in arguments]

    def sluice(self, *arguments, cwd=None, status=0, timeout=None, program="sluice", env=None, stdin=None):
        """Runs to the end; the test fails on another status (status=None: any)."""
        argv = self._argv(arguments, program)
        process = subprocess.Popen(
            argv, cwd=cwd or self.directory, env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = process.communicate(stdin, TIMEOUT if timeout is None else timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self._commands.append(Output(argv, "timeout", out.decode("utf-8", "replace"), err.decode("utf-8", "replace")))
            self.fail("no end: %s" % shlex.join(argv))
        result = Output(argv, process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
        self._commands.append(result)
        if status is not None and result.code != status:
            self.fail("status %s, not %s: %s" % (result.code, status, shlex.join(argv)))
        return result

    def start(self, *arguments, cwd=None, pty=False, columns=100, rows=30, program="sluice", env=None):
        """Starts in the background, in a session of its own; with pty on a terminal that it controls."""
        argv = self._argv(arguments, program)
        environment = {**self.env, **(env or {})}
        if pty:
            background = self._start_on_terminal(argv, cwd or self.directory, environment, columns, rows)
        else:
            process = subprocess.Popen(argv, cwd=cwd or self.directory, env=environment, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
            background = Background(argv, process)
        self._backgrounds.append(background)
        return background

    @staticmethod
    def _start_on_terminal(argv, cwd, environment, columns, rows):
        master, slave = pty.openpty()
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

        def control():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=slave, stdout=slave, stderr=slave,
                                   start_new_session=True, preexec_fn=control)
        os.close(slave)
        return Background(argv, process, master)

    def bst(self, *arguments, cwd=None, status=0, timeout=300):
        """The reference BuildStream, on this test's caches. $SLUICE_BST is the command that runs it
        (it must see this test's directory); without it the test is skipped."""
        command = os.environ.get("SLUICE_BST")
        if not command:
            self.skipTest("SLUICE_BST is not set: no reference BuildStream")
        config = self.write("bst.conf", "cachedir: %s\n" % self.cachedir)
        argv = shlex.split(command) + ["-c", config, "-C", cwd or self.directory, "--no-interactive"]
        process = subprocess.run(argv + [str(a) for a in arguments], env={**os.environ, **self.env}, cwd=self.directory,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        result = Output(argv, process.returncode, process.stdout.decode(), process.stderr.decode())
        self._commands.append(result)
        if status is not None and result.code != status:
            self.fail("status %s, not %s: %s" % (result.code, status, shlex.join(argv)))
        return result

    # ---- Conditions

    def screen(self, terminal, columns=80, rows=24):
        """What a person sees: the bytes until now, on an emulated terminal that fails on escapes that it doesn't know."""
        done = subprocess.run([self.program("vt100"), str(columns), str(rows)], input=terminal.stdout.encode(), stdout=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        return done.stdout.decode()

    def wait_seen(self, terminal, pattern, **size):
        return self.wait_until(lambda: re.search(pattern, self.screen(terminal, **size)), "%r on the screen" % pattern)

    def press_until(self, terminal, key, done, what):
        """Presses a key until it has done what it shall: what is typed as soon as a question appears isn't taken, and the
        command line hears of things at its own time. Not again at once: on a slow machine each press may still have its effect."""
        again = time.monotonic()

        def pressed_and_done():
            nonlocal again
            if done():
                return True
            if time.monotonic() >= again:
                again = time.monotonic() + 1
                terminal.write(key)
            return False

        self.wait_until(pressed_and_done, what)

    def wait_until(self, condition, what="the condition", timeout=None):
        """Polls until condition() is true and returns what it gave; fails at the deadline."""
        deadline = time.monotonic() + (TIMEOUT if timeout is None else timeout)
        pause = 0.002
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                self.fail("waited in vain for %s" % what)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    # ---- Sessions and their processes

    def sessions(self):
        """Ids of all sessions that were, the oldest first."""
        try:
            return sorted(os.listdir(os.path.join(self.state, "sluice", "sessions")))
        except FileNotFoundError:
            return []

    def session_directory(self, session=None):
        return os.path.join(self.state, "sluice", "sessions", session or self.sessions()[-1])

    def runtime_directory(self, session=None):
        return os.path.join(self.env["XDG_RUNTIME_DIR"], "sluice", session or self.sessions()[-1])

    def endpoint(self, name, session=None):
        """records, live-in, live-out, control or jobs, for zmq's connect()."""
        return "ipc://" + os.path.join(self.runtime_directory(session), name)

    def session_json(self, session=None):
        with open(os.path.join(self.session_directory(session), "session.json"), encoding="utf-8") as file:
            return json.load(file)

    def processes(self):
        """{pid: name} of all living processes that this test started, and their descendants.
        The name is the program's, without its directory. A process that waits for the disk (sluice-sync) is to outlive all
        others, and isn't among them."""
        children = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open("/proc/%s/stat" % entry, "rb") as file:
                    before, _, after = file.read().rpartition(b")")
            except OSError:
                continue
            if before.endswith(b"(sluice-sync"):
                continue
            state, parent = after.split()[:2]
            children.setdefault(int(parent), []).append((int(entry), state))
        own = {background.pid for background in self._backgrounds}
        found = {}
        todo = [os.getpid()]
        while todo:
            parent = todo.pop()
            for pid, state in children.get(parent, []):
                if state not in (b"Z", b"X"):
                    found[pid] = self._program_of(pid)
                elif parent == os.getpid() and pid not in own:  # an orphan that we adopted
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
                todo.append(pid)
        return found

    @staticmethod
    def _program_of(pid):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                return os.path.basename(file.read().split(b"\0")[0].decode("utf-8", "replace"))
        except OSError:
            return ""

    def pids(self, program):
        return sorted(pid for pid, name in self.processes().items() if name == program)

    def kill(self, program, number=signal.SIGKILL):
        """Signals every process of that program; returns how many there were."""
        count = 0
        for pid in self.pids(program):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                count += 1
        return count

    def mounts(self):
        """Mount points of this mount namespace below the test's directory."""
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            return [line.split()[4] for line in file if line.split()[4].startswith(self.directory + "/")]

    def sockets(self):
        found = []
        for top, _, names in os.walk(self.env["XDG_RUNTIME_DIR"]):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    if stat.S_ISSOCK(os.lstat(os.path.join(top, name)).st_mode):
                        found.append(os.path.join(top, name))
        return found

    def assert_nothing_left(self, timeout=10):
        """No process of this test (but those in the background that the test started itself
        and that still run), no mount, no socket."""
        own = {b.pid for b in self._backgrounds if b.poll() is None}
        try:
            self.wait_until(lambda: not (set(self.processes()) - own), "the end of all processes", timeout)
        except AssertionError:
            self.fail("processes are left: %s" % self.processes())
        self.assertEqual(self.mounts(), [])
        self.assertEqual(self.sockets(), [])

    # ---- The end of a test

    def _failed(self):
        outcome = getattr(self, "_outcome", None)
        if outcome is None:
            return False
        if hasattr(outcome, "errors"):  # Python 3.10 and older
            return any(error for _, error in outcome.errors)
        result = outcome.result
        return any(test is self for test, _ in result.failures + result.errors)

    def _report(self):
        out = sys.stderr
        print("\n======== %s: commands" % self.id(), file=out)
        for command in self._commands + self._backgrounds:
            print(command, file=out)
        print("======== processes", file=out)
        for pid, name in sorted(self.processes().items()):
            print(pid, name, file=out)
        for session in self.sessions():
            logs = os.path.join(self.session_directory(session), "logs")
            for name in sorted(os.listdir(logs)) if os.path.isdir(logs) else []:
                with open(os.path.join(logs, name), encoding="utf-8", errors="replace") as file:
                    text = file.read()
                if text:
                    print("======== %s %s\n%s" % (session, name, text[-20000:]), file=out)
        out.flush()

    def _kill_all(self):
        deadline = time.monotonic() + 10
        while self.processes() and time.monotonic() < deadline:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)  # until the kernel has ended them; the loop is the condition

    def _remove(self):
        for mount in sorted(self.mounts(), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, stderr=subprocess.DEVNULL)

        def make_writable(function, path, _):
            with contextlib.suppress(OSError):
                if path != self.directory:  # the directory around it isn't the test's
                    os.chmod(os.path.dirname(path), 0o700)
                if os.path.isdir(path) and not os.path.islink(path):
                    os.chmod(path, 0o700)
                    shutil.rmtree(path, onerror=None, ignore_errors=True)
                else:
                    function(path)

        remove_tree(self.directory, make_writable)


def main():
    """unittest.main() with --bin DIR. What is skipped is told once more at the end, as scripts/lib.sh looks for it."""
    if "--bin" in sys.argv:
        position = sys.argv.index("--bin")
        os.environ["SLUICE_BIN"] = sys.argv[position + 1]
        del sys.argv[position:position + 2]
    bin_directory()
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_CHILD_SUBREAPER): %s" % os.strerror(ctypes.get_errno()))
    result = unittest.main(verbosity=2, exit=False).result
    for test, why in result.skipped:
        print("SKIPPED: %s: %s" % (test.id().removeprefix("__main__."), why), flush=True)
    sys.exit(not result.wasSuccessful())
