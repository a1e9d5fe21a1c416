"""Commands that run on another machine, a store behind the store, and the socket of remote-apis-socket. The execution server is
remote_exec_server, which runs commands in bubblewrap (remote/exec_server.h), the storage service a sluice-cas on the same blobs."""

import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, manual  # noqa: E402


def packed(value):
    """MessagePack, as far as a request needs it."""
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, str):
        text = value.encode()
        return b"\xd9" + bytes([len(text)]) + text
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(packed(v) for v in value)
    return bytes([0x80 | len(value)]) + b"".join(packed(k) + packed(v) for k, v in value.items())


class Elsewhere(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF,
            "src/text": "source\n",
            "elements/base.bst": BASE + "public:\n  bst:\n    integration-commands: ['echo integrated > /integrated; echo it is integrated']\n",
            "elements/a.bst": "kind: manual\nbuild-depends: [base.bst]\nsources: [{kind: local, path: src}]\n"
                              "environment: {WORD: 'two words'}\n"
                              "config:\n  build-commands: ['cat /integrated text > out; echo \"$WORD\" >> out', 'echo to errors >&2']\n"
                              "  install-commands: ['mkdir -p %{install-root}/usr', 'cp out %{install-root}/usr/out']\n",
            "elements/broken.bst": manual("broken", "echo before; exit 7"),
            "elements/endless.bst": manual("endless", "echo gate; busybox sleep 5001"),
        })
        busybox_base(self.at)

    def serve(self, misdeed=""):
        """Starts both servers; configures them, with `more` of the user configuration."""
        self.there = os.path.join(self.directory, "there")
        cas = self.start("--bind", "127.0.0.1:0", "--allow-push", self.there, program="sluice-cas")
        self.wait_until(lambda: re.search(r"http://\S+", cas.stdout), "the address of the storage service")
        self.storage = re.search(r"http://\S+", cas.stdout).group(0)
        self.server = self.start(self.there, misdeed, program="remote_exec_server")
        self.wait_until(lambda: re.search(r"http://\S+", self.server.stdout), "the address of the execution service")
        self.execution = re.search(r"http://\S+", self.server.stdout).group(0)

    def configure(self, text):
        self.write(os.path.join(self.env["XDG_CONFIG_HOME"], "buildstream.conf"), text)

    def execute_there(self, more=""):
        self.configure("remote-execution:\n  execution-service: {url: '%s'}\n  storage-service: {url: '%s'}\n%s"
                       % (self.execution, self.storage, more))

    def counts(self):
        """How often the server has executed, known and cancelled actions."""
        before = self.server.stdout.count("executed")
        self.server.write("\n")
        self.wait_until(lambda: self.server.stdout.count("executed") > before, "the server's answer")
        return tuple(int(n) for n in re.findall(r"executed (\d+) known (\d+) cancelled (\d+)", self.server.stdout)[-1])

    def digest(self, element):
        return self.sluice("show", "--deps", "none", "--format", "%{artifact-cas-digest}", element, cwd=self.at).stdout.strip()

    def forget(self):
        remove_tree(self.cachedir)


class Commands(Elsewhere):
    def test_a_build_elsewhere_is_a_build_here(self):
        # S42 to S47
        self.sluice("build", "a.bst", cwd=self.at)
        here = self.digest("a.bst")
        self.forget()
        self.serve()
        self.execute_there()
        built = self.sluice("build", "a.bst", cwd=self.at)
        told = built.stdout + built.stderr
        self.assertEqual(self.digest("a.bst"), here)
        self.assertEqual(self.counts(), (2, 0, 0))  # the integration, and the build
        for step in ("Uploading input root", "Waiting for the remote build to complete"):
            self.assertRegex(told, r"START +%s" % step)
            self.assertRegex(told, r"SUCCESS +%s" % step)
        log = self.sluice("artifact", "log", "a.bst", cwd=self.at).stdout
        for wanted in ("it is integrated", "to errors", "+ sh -e -c"):
            self.assertIn(wanted, log)
        self.assert_nothing_left_but_servers()

    def test_what_an_action_cache_knows(self):
        # S45
        self.serve()
        self.execute_there("  action-cache-service: {url: '%s'}\n" % self.execution)
        self.sluice("build", "a.bst", cwd=self.at)
        first = self.digest("a.bst")
        self.assertEqual(self.counts()[:2], (2, 0))
        self.forget()
        again = self.sluice("build", "a.bst", cwd=self.at)
        self.assertIn("Action result found in action cache", again.stdout + again.stderr)
        self.assertEqual(self.digest("a.bst"), first)
        self.assertEqual(self.counts()[:2], (2, 2))

    def test_a_failure_there_is_a_failure(self):
        self.serve()
        self.execute_there()
        failed = self.sluice("build", "broken.bst", cwd=self.at, status=1)
        told = failed.stdout + failed.stderr
        self.assertIn("before\n", told)
        self.assertIn("failed with exitcode 7", told)
        # It is kept, with the root that it had.
        shown = self.sluice("show", "--deps", "none", "--format", "%{state}", "broken.bst", cwd=self.at).stdout
        self.assertEqual(shown, "failed\n")
        shell = self.sluice("shell", "--use-buildtree", "--build", "broken.bst", "--", "cat", "/integrated", cwd=self.at)
        self.assertEqual(shell.stdout, "integrated\n")
        self.assertEqual(self.counts()[0], 2)  # the shell ran here

    def test_a_server_that_fails_is_no_failure_of_the_element(self):
        # S49
        self.serve("cannot")
        self.execute_there()
        failed = self.sluice("build", "a.bst", cwd=self.at, status=1)
        self.assertIn("no worker fits", failed.stdout + failed.stderr)
        self.assertEqual(self.sluice("show", "--deps", "none", "--format", "%{state}", "a.bst", cwd=self.at).stdout, "buildable\n")

    def test_what_nobody_waits_for_is_cancelled(self):
        # S48
        self.serve()
        self.execute_there()
        build = self.start("build", "endless.bst", cwd=self.at)
        self.wait_until(lambda: self.at_gate(1), "the command to run")
        build.signal(signal.SIGTERM)
        build.wait()
        self.wait_until(lambda: self.counts()[2] == 1 and not self.at_gate(1), "the operation to be cancelled")
        self.assert_nothing_left_but_servers()

    def test_what_is_required_together(self):
        config = self.write("some.conf", "remote-execution:\n  execution-service: {url: 'http://localhost:1'}\n")
        refused = self.sluice("-c", config, "build", "a.bst", cwd=self.at, status=1)
        self.assertIn("some.conf [line 2 column 2]: Remote execution requires 'storage-service'", refused.stderr)

    def assert_nothing_left_but_servers(self):
        for server in self._backgrounds:
            if server.poll() is None:
                server.close() if "remote_exec_server" in server.argv[0] else server.signal(signal.SIGTERM)
                server.wait()
        self.assert_nothing_left()


class Storage(Elsewhere):
    def objects(self, cache):
        folder = os.path.join(cache, "cas/objects")
        return {os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names}

    def test_blobs_are_kept_there_and_come_back(self):
        self.serve()
        self.configure("cache:\n  storage-service: {url: '%s'}\n" % self.storage)
        self.sluice("build", "a.bst", cwd=self.at)
        digest = self.digest("a.bst")
        self.sluice("artifact", "checkout", "--directory", "one", "--deps", "none", "a.bst", cwd=self.at)
        # Names are here, blobs are not any more.
        remove_tree(os.path.join(self.cachedir, "cas/objects"))
        remove_tree(os.path.join(self.cachedir, "sluice"))
        os.makedirs(os.path.join(self.cachedir, "cas/objects"))
        self.sluice("artifact", "checkout", "--directory", "two", "--deps", "none", "a.bst", cwd=self.at)
        self.assertEqual(subprocess.run(["diff", "-r", os.path.join(self.at, "one"), os.path.join(self.at, "two")], check=False).returncode, 0)
        self.assertEqual(self.digest("a.bst"), digest)
        self.assertIn("to errors", self.sluice("artifact", "log", "a.bst", cwd=self.at).stdout)
        remove_tree(os.path.join(self.cachedir, "cas/objects"))
        remove_tree(os.path.join(self.cachedir, "sluice"))
        os.makedirs(os.path.join(self.cachedir, "cas/objects"))
        again = self.sluice("build", "a.bst", cwd=self.at)
        self.assertRegex(again.stdout + again.stderr, r"Build Queue: +processed 0")

    def test_a_service_that_is_not_there(self):
        self.configure("cache:\n  storage-service: {url: 'http://127.0.0.1:1', connection-config: {retry-limit: 0}}\nscheduler: {network-retries: 0}\n")
        refused = self.sluice("build", "base.bst", cwd=self.at, status=1)
        self.assertIn("in the storage service http://127.0.0.1:1", refused.stdout + refused.stderr)
        shown = self.sluice("show", "--deps", "none", "--format", "%{name}", "base.bst", cwd=self.at)
        self.assertEqual(shown.stdout, "base.bst\n")


class Socket(Elsewhere):
    def setUp(self):
        super().setUp()
        tool = os.path.join(self.at, "files/base/bin/sluice-remote")
        shutil.copyfile(self.program("sluice-remote"), tool)
        os.chmod(tool, 0o755)
        linked = subprocess.run(["ldd", tool], stdout=subprocess.PIPE, check=False).stdout.decode()
        for library in re.findall(r"(/\S+)", linked):
            target = os.path.join(self.at, "files/base" + library)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(library, target)
            os.chmod(target, 0o755)
        self.write(os.path.join(self.at, "src/request"), packed({
            "verb": "check", "cachedir": "/tmp/cache", "remotes": [{"url": "unix:/run/apis/socket", "type": "storage"}]}))

    def element(self, more=""):
        self.write(os.path.join(self.at, "elements/nested.bst"),
                   "kind: manual\nbuild-depends: [base.bst]\nsources: [{kind: local, path: src}]\n"
                   "sandbox:\n  remote-apis-socket: {path: /run/apis/socket}\n%s"
                   "config:\n  build-commands: ['ls -l /run/apis/socket', 'sluice-remote request > reply', 'cat reply']\n"
                   "  install-commands: ['mkdir -p %%{install-root}', 'cp reply %%{install-root}/reply']\n" % more)

    def test_commands_reach_it(self):
        # S50, S51
        self.element()
        self.sluice("build", "nested.bst", cwd=self.at)
        self.sluice("artifact", "checkout", "--directory", "out", "--deps", "none", "nested.bst", cwd=self.at)
        with open(os.path.join(self.at, "out/reply"), "rb") as file:
            reply = file.read()
        self.assertIn(packed("reached")[2:] + b"\x91", reply)
        self.assertEqual(os.listdir(os.path.join(self.at, "out")), ["reply"])
        shell = self.sluice("shell", "--build", "nested.bst", "--", "sh", "-c", "sluice-remote request > /tmp/r && cat /tmp/r", cwd=self.at)
        self.assertIn("reached", shell.stdout)
        self.assert_nothing_left()

    def test_with_a_storage_service_it_needs_an_action_cache(self):
        self.element()
        self.serve()
        self.configure("cache:\n  storage-service: {url: '%s'}\n" % self.storage)
        refused = self.sluice("build", "nested.bst", cwd=self.at, status=1)
        self.assertIn("Using 'remote-apis-socket' with 'storage-service' requires 'action-cache-service'", refused.stdout + refused.stderr)


if __name__ == "__main__":
    main()
