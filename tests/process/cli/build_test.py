"""`sluice build`, then what the cache has: show, artifact verbs, shell. Real processes throughout."""

import json
import os
import signal
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

CONF = "name: small\nmin-version: 2.0\nelement-path: elements\n"

IMPORTS = {
    "project.conf": CONF,
    "elements/data.bst": "kind: import\nsources:\n- kind: local\n  path: files/data\n",
    "elements/more.bst": "kind: import\nsources:\n- kind: local\n  path: files/more\nruntime-depends: [data.bst]\n",
    "elements/all.bst": "kind: stack\ndepends: [data.bst, more.bst]\n",
    "files/data/usr/share/greeting": "hello\n",
    "files/more/usr/bin/tool": "#!/bin/sh\n",
}

COMMANDS = {
    "project.conf": CONF,
    "elements/base.bst": "kind: import\nsources:\n- kind: local\n  path: files/base\n",
    "elements/hello.bst": """\
kind: manual
build-depends: [base.bst]
runtime-depends: [base.bst]
sources:
- kind: local
  path: files/source
config:
  install-commands:
  - mkdir -p %{install-root}/usr/share
  - cp word %{install-root}/usr/share/word
""",
    "elements/broken.bst": "kind: manual\nbuild-depends: [base.bst]\nconfig:\n  build-commands:\n  - echo about to fail; false\n",
    "elements/after.bst": "kind: stack\ndepends: [broken.bst, hello.bst]\n",
    "elements/slow.bst": "kind: manual\nbuild-depends: [base.bst]\nconfig:\n  build-commands:\n  - sleep 1000\n",
    "files/source/word": "it works\n",
}


class Imports(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(IMPORTS)
        os.chmod(os.path.join(self.at, "files/more/usr/bin/tool"), 0o755)

    def test_build_then_everything_is_cached(self):
        log = os.path.join(self.directory, "log")
        first = self.sluice("--json-log", log, "build", "all.bst", cwd=self.at)
        self.assertIn("SUCCESS Build", first.stderr)
        self.assert_nothing_left()
        with open(log, encoding="utf-8") as file:
            types = [json.loads(line)["type"] for line in file]
        self.assertIn("run.finished", types)
        self.assertNotIn("error", types)
        states = self.sluice("show", "-f", "%{state}", "all.bst", cwd=self.at).stdout.split()
        self.assertEqual(states, ["cached"] * 3)
        again = self.sluice("build", "all.bst", cwd=self.at)
        self.assertIn("Build Queue: processed 0, skipped 3, failed 0", again.stderr)
        self.assert_nothing_left()

    def test_artifact_verbs(self):
        none = self.sluice("artifact", "list-contents", "more.bst", cwd=self.at, status=1)
        self.assertIn("None of the specified artifacts are cached.", none.stderr)
        uncached = self.sluice("artifact", "checkout", "more.bst", "--directory", "out", cwd=self.at, status=1)
        self.assertIn("No artifacts to stage", uncached.stderr)
        self.sluice("build", "all.bst", cwd=self.at)

        self.assertEqual(self.sluice("artifact", "list-contents", "--long", "more.bst", cwd=self.at).stdout,
                         "  more.bst:\n\tdrwxr-xr-x  dir    0           usr\n\tdrwxr-xr-x  dir    0           usr/bin\n"
                         "\t-rwxr-xr-x  exe    10          usr/bin/tool\n\n")
        self.assertEqual(self.sluice("artifact", "show", "-d", "run", "more.bst", cwd=self.at).stdout,
                         "      cached data.bst\n      cached more.bst\n\n")
        self.assertIn("more.bst: Build", self.sluice("artifact", "log", "more.bst", cwd=self.at).stdout)
        self.sluice("artifact", "log", "--out", "logs", "more.bst", "data.bst", cwd=self.at)
        self.assertEqual(sorted(os.listdir(os.path.join(self.at, "logs"))), ["data.log", "more.log"])
        self.assertIn("already exists", self.sluice("artifact", "log", "--out", "logs", "more.bst", cwd=self.at, status=1).stderr)

        key = self.sluice("show", "-d", "none", "-f", "%{full-key}", "more.bst", cwd=self.at).stdout.strip()
        ref = "small/more/" + key
        self.assertIn("usr/bin/tool", self.sluice("artifact", "list-contents", ref).stdout)
        self.assertIn(ref, self.sluice("artifact", "show", "small/mo*/*").stdout)
        self.sluice("artifact", "checkout", "--deps", "none", "--directory", "by-ref", ref)
        self.assertTrue(os.access(os.path.join(self.directory, "by-ref/usr/bin/tool"), os.X_OK))
        self.assertFalse(os.path.exists(os.path.join(self.directory, "by-ref/usr/share")))

    def test_checkout(self):
        self.sluice("build", "all.bst", cwd=self.at)
        self.sluice("artifact", "checkout", "more.bst", cwd=self.at)
        with open(os.path.join(self.at, "more/usr/share/greeting"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "hello\n")
        again = self.sluice("artifact", "checkout", "more.bst", cwd=self.at, status=1)
        self.assertIn("not empty", again.stderr)
        self.write("project/more/usr/share/greeting", "changed\n")
        self.sluice("artifact", "checkout", "--force", "more.bst", cwd=self.at)
        with open(os.path.join(self.at, "more/usr/share/greeting"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "hello\n")
        for name in ("a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2"):
            path = os.path.join(self.directory, name)
            self.sluice("artifact", "checkout", "--tar", path, "all.bst", cwd=self.at)
            with tarfile.open(path) as tar:
                names = {member.name: (member.type, member.mode, member.uid, member.mtime) for member in tar}
            self.assertEqual(names["./usr/bin/tool"], (tarfile.REGTYPE, 0o755, 0, 1321009871))
            self.assertEqual(names["./usr/share"], (tarfile.DIRTYPE, 0o755, 0, 1321009871))
        self.assertIn("already exists", self.sluice("artifact", "checkout", "--tar", path, "all.bst", cwd=self.at, status=1).stderr)
        stream = subprocess.run([self.program("sluice"), "artifact", "checkout", "--tar", "-", "all.bst"], cwd=self.at, env=self.env,
                                stdout=subprocess.PIPE, check=True, timeout=60).stdout
        self.assertIn(b"./usr/bin/tool", stream)

    def test_log_file_has_the_same_lines(self):
        log = os.path.join(self.directory, "main.log")
        result = self.sluice("--log-file", log, "build", "all.bst", cwd=self.at)
        with open(log, encoding="utf-8") as file:
            self.assertEqual(file.read(), result.stderr)

    def test_load_error_ends_in_an_error_record(self):
        self.write("project/elements/bad.bst", "kind: import\nsources: 5\n")
        log = os.path.join(self.directory, "log")
        result = self.sluice("--json-log", log, "build", "bad.bst", cwd=self.at, status=1)
        self.assertEqual(result.stderr.count("bad.bst [line 2"), 1)
        with open(log, encoding="utf-8") as file:
            last = json.loads(file.read().splitlines()[-1])
        self.assertEqual((last["type"], last["scope"], last["domain"], last["reason"]), ("error", "main", "load", "invalid-data"))
        self.assertEqual(last["provenance"]["line"], 2)
        self.assert_nothing_left()

    def test_supervisor_that_is_not_there(self):
        broken = os.path.join(self.directory, "bin")
        os.makedirs(broken)
        copy = os.path.join(broken, "sluice")
        with open(self.program("sluice"), "rb") as source, open(copy, "wb") as target:
            target.write(source.read())
        os.chmod(copy, 0o755)
        result = self.sluice("build", "all.bst", cwd=self.at, program=copy, status=1)
        self.assertIn("sluice-session", result.stderr)


class Commands(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(COMMANDS)
        self.base()

    def test_build_failure_and_retry(self):
        log = os.path.join(self.directory, "log")
        result = self.sluice("--json-log", log, "--on-error", "continue", "build", "after.bst", cwd=self.at, status=1)
        self.assertIn("about to fail", result.stderr)
        self.assertIn("FAILURE Build", result.stderr)
        with open(log, encoding="utf-8") as file:
            last = json.loads(file.read().splitlines()[-1])
        self.assertEqual((last["type"], last["scope"], last["domain"], last["reason"]), ("error", "main", "stream", ""))
        states = dict(line.split(" ", 1) for line in
                      self.sluice("show", "-f", "%{name} %{state}", "after.bst", cwd=self.at).stdout.splitlines())
        self.assertEqual(states, {"base.bst": "cached", "hello.bst": "cached", "broken.bst": "failed", "after.bst": "waiting"})
        self.assertIn("failed broken.bst", self.sluice("artifact", "show", "broken.bst", cwd=self.at).stdout)
        self.assert_nothing_left()
        inside = self.sluice("shell", "--use-buildtree", "broken.bst", "--", "ls", cwd=self.at)
        self.assertIn("failed build", inside.stderr)

    def test_shell(self):
        missing = self.sluice("shell", "hello.bst", "--", "true", cwd=self.at, status=1)
        self.assertIn("Elements need to be built", missing.stderr)
        self.assertIn("hello.bst", missing.stderr)
        self.sluice("build", "hello.bst", cwd=self.at)
        self.assertEqual(self.sluice("shell", "hello.bst", "--", "cat", "/usr/share/word", cwd=self.at).stdout, "it works\n")
        self.sluice("shell", "hello.bst", "--", "sh", "-c", "exit 7", cwd=self.at, status=7)
        self.assertEqual(self.sluice("shell", "-b", "hello.bst", "--", "cat", "word", cwd=self.at).stdout, "it works\n")
        self.sluice("shell", "-b", "hello.bst", "--", "sh", "-c", "echo x > word", cwd=self.at)
        self.sluice("shell", "hello.bst", "--", "sh", "-c", "echo x > /usr/share/word", cwd=self.at, status=2)
        shared = self.write("shared", "from outside\n")
        self.assertEqual(self.sluice("shell", "--mount", shared, "/mounted", "hello.bst", "--", "cat", "/mounted", cwd=self.at).stdout,
                         "from outside\n")
        self.assertIn("without buildtree", self.sluice("shell", "-t", "hello.bst", "--", "true", cwd=self.at, status=1).stderr)
        self.assert_nothing_left()

    def test_shell_on_a_terminal(self):
        self.sluice("build", "hello.bst", cwd=self.at)
        shell = self.start("shell", "hello.bst", cwd=self.at, pty=True)
        self.wait_until(lambda: "hello.bst" in shell.stdout and "]$" in shell.stdout, "the prompt")
        shell.write("cat /usr/share/word\n")
        self.wait_until(lambda: "it works" in shell.stdout, "the command's output")
        # Its status is the shell's, which differs: dash ends with 2 since it can't give the
        # terminal back to a process group that lies outside of its sandbox.
        shell.write("exit\n")
        shell.wait()
        self.assert_nothing_left()

    def running(self, *arguments, **options):
        build = self.start(*arguments, "build", "slow.bst", cwd=self.at, **options)
        self.wait_until(lambda: self.pids("sleep"), "the job's command")
        return build

    def test_interrupt_ends_the_jobs(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            log = os.path.join(self.directory, "log")
            build = self.running("--json-log", log)
            build.signal(number)
            self.assertEqual(build.wait(), 1)
            self.assert_nothing_left()
            with open(log, encoding="utf-8") as file:
                self.assertEqual(json.loads(file.read().splitlines()[-1])["reason"], "terminated")

    def test_hangup_ends_the_session(self):
        build = self.running()
        build.signal(signal.SIGHUP)
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()

    def test_interrupt_on_a_terminal_where_nobody_is_asked(self):
        build = self.running("--no-interactive", pty=True)
        build.write("\x03")
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()

    def test_in_a_container(self):
        """In a process id namespace numbers are small: those of a sandbox's processes may be those of others outside."""
        if os.geteuid() != 0:
            self.skipTest("a process id namespace takes root")
        # Processes 2 and 3 are gone when the build starts.
        script = '/bin/true; /bin/true; exec "$@"'
        self.sluice("--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, "sh", self.program("sluice"), "build", "hello.bst",
                    cwd=self.at, program="/usr/bin/unshare")
        self.assert_nothing_left()

    def test_killed_command_takes_its_session_along(self):
        build = self.running()
        build.signal(signal.SIGKILL)
        build.wait()
        self.assert_nothing_left(timeout=30)

    def test_killed_supervisor_is_told(self):
        build = self.running()
        self.kill("sluice-session")
        self.assertEqual(build.wait(), 1)
        self.assertIn("ended unexpectedly", build.stderr)
        self.wait_until(lambda: not self.processes(), "the end of all processes", timeout=30)

    def test_renderer_stopped_and_killed(self):
        build = self.start("build", "hello.bst", cwd=self.at)
        self.wait_until(lambda: self.pids("sluice-renderer"), "the renderer")
        self.kill("sluice-renderer", signal.SIGSTOP)
        self.assertEqual(build.wait(), 0)
        self.assert_nothing_left()
        build = self.running()
        self.kill("sluice-renderer")
        self.wait_until(lambda: self.pids("sluice-renderer"), "another renderer")
        build.signal(signal.SIGINT)
        self.assertEqual(build.wait(), 1)
        self.assert_nothing_left()


main()
