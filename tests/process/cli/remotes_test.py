"""Caches on other machines: builds that push and pull, `artifact pull | push`, `source push`, what checkout and shell pull; keys that
are known only when all is pulled; what is pushed of a build that is told to stop. The cache is a sluice-cas on a port that the system chose."""

import glob
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from record_log import RecordLog  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

UNKNOWN = "????????"
CHANCE = """\
import os
from buildstream import Element


class Chance(Element):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        pass

    def preflight(self):
        pass

    def get_unique_key(self):
        return {}

    def configure_sandbox(self, sandbox):
        pass

    def stage(self, sandbox):
        pass

    def assemble(self, sandbox):
        with sandbox.get_virtual_directory().open_file("made", mode="w") as file:
            file.write(os.urandom(8).hex())
        return ""


def setup():
    return Chance
"""


class Caches(SluiceTest):
    def serve(self, directory, *options):
        """Starts a server; returns its address."""
        server = self.start("--bind", "127.0.0.1:0", "--allow-push", *options, os.path.join(self.directory, directory), program="sluice-cas")
        self.wait_until(lambda: re.search(r"http://\S+", server.stdout), "the address of the server")
        return re.search(r"http://\S+", server.stdout).group(0)

    def forget(self):
        """Empties the local cache, as if this were another machine."""
        remove_tree(self.cachedir)

    def states(self, *elements):
        out = self.sluice("show", "--deps", "none", "--format", "%{name} %{state}", *elements, cwd=self.at).stdout
        return dict(line.split(None, 1) for line in out.splitlines())

    def on_server(self, *elements):
        """What `artifact show` says when nothing is cached here."""
        self.forget()
        out = self.sluice("artifact", "show", "--artifact-remote", self.url, *elements, cwd=self.at).stdout
        return {line.split()[-1]: line.rsplit(None, 1)[0].strip() for line in out.splitlines() if line}

    def assert_nothing_left_but_servers(self):
        for server in self._backgrounds:
            if server.poll() is None and "sluice-cas" in server.argv[0]:
                server.signal(signal.SIGTERM)
                server.wait()
        self.assert_nothing_left()
        temporary = os.path.join(self.cachedir, "sluice/tmp")
        self.assertEqual(subprocess.run(["find", temporary, "-mindepth", "1"], capture_output=True, check=False).stdout, b"")


class Remotes(Caches):
    def setUp(self):
        super().setUp()
        self.url = self.serve("cas")
        self.at = self.project({
            "project.conf": "name: small\nmin-version: 2.0\nelement-path: elements\n",
            "files/src/hi": "hi\n",
            "elements/base.bst": "kind: import\nsources: [{kind: local, path: files/base}]\n",
            "elements/a.bst": "kind: manual\nbuild-depends: [base.bst]\nsources: [{kind: local, path: files/src}]\n"
                              "config: {install-commands: ['mkdir -p %{install-root}', 'cp hi %{install-root}/hi']}\n",
            "elements/b.bst": "kind: compose\nbuild-depends: [a.bst]\n",
            "elements/broken.bst": "kind: manual\nbuild-depends: [base.bst]\nconfig: {build-commands: ['false']}\n",
        })
        self.base()

    def key(self, element, *options):
        return self.sluice(*options, "show", "--deps", "none", "--format", "%{full-key}", element, cwd=self.at).stdout.strip()

    def configure(self, text):
        self.write(os.path.join(self.env["XDG_CONFIG_HOME"], "buildstream.conf"), text)

    def test_what_one_builds_another_pulls(self):
        self.configure("artifacts:\n  servers:\n  - {url: '%s', push: true}\n" % self.url)
        built = self.sluice("build", "b.bst", cwd=self.at)
        self.assertRegex(built.stderr + built.stdout, r"Push Queue: +processed 3, skipped 0, failed 0")
        self.forget()
        pulled = self.sluice("build", "b.bst", cwd=self.at)
        text = pulled.stderr + pulled.stdout
        self.assertRegex(text, r"Pull Queue: +processed 1, skipped 0, failed 0")
        self.assertRegex(text, r"Build Queue: +processed 0, skipped 1, failed 0")
        self.assertEqual(self.states("b.bst", "a.bst")["b.bst"], "cached")
        # What b.bst was built with is needed by nobody, and not pulled.
        self.assertNotEqual(self.states("a.bst")["a.bst"], "cached")
        self.sluice("artifact", "checkout", "--directory", "out", "a.bst", cwd=self.at)
        with open(os.path.join(self.at, "out/hi"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "hi\n")
        self.assert_nothing_left_but_servers()

    def test_shell_and_checkout_pull(self):
        remote = ("--artifact-remote", self.url)
        self.sluice("build", *remote, "a.bst", cwd=self.at)
        self.forget()
        self.sluice("artifact", "checkout", "--directory", "out", "a.bst", cwd=self.at, status=1)
        shell = self.sluice("shell", "--build", *remote, "a.bst", "--", "cat", "hi", cwd=self.at)
        self.assertEqual(shell.stdout, "hi\n")
        tar = self.sluice("artifact", "checkout", *remote, "--tar", "-", "a.bst", cwd=self.at, env={"LC_ALL": "C"})
        self.assertIn("ustar", tar.stdout)
        self.assertEqual(self.states("a.bst")["a.bst"], "cached")
        self.assert_nothing_left_but_servers()

    def test_the_verbs(self):
        none = self.sluice("artifact", "pull", "a.bst", cwd=self.at, status=1)
        self.assertIn("No artifact caches available for pulling artifacts", none.stderr)
        none = self.sluice("artifact", "push", "a.bst", cwd=self.at, status=1)
        self.assertIn("No artifact caches available for pushing artifacts", none.stderr)
        none = self.sluice("source", "push", "a.bst", cwd=self.at, status=1)
        self.assertIn("No source caches available for pushing sources", none.stderr)
        remote = ("--artifact-remote", self.url)
        not_cached = self.sluice("artifact", "push", *remote, "a.bst", cwd=self.at, status=1)
        self.assertIn("not cached", not_cached.stderr)
        self.sluice("build", "a.bst", cwd=self.at)
        self.sluice("artifact", "push", *remote, "--deps", "all", "a.bst", cwd=self.at)
        again = self.sluice("artifact", "push", *remote, "--deps", "all", "a.bst", cwd=self.at)
        self.assertRegex(again.stderr, r"Push Queue: +processed 0, skipped 2, failed 0")
        self.forget()
        shown = self.sluice("artifact", "show", *remote, "a.bst", "b.bst", cwd=self.at).stdout
        self.assertEqual([line.split() for line in shown.splitlines() if line], [["available", "a.bst"], ["not", "cached", "b.bst"]])
        self.sluice("artifact", "pull", *remote, "--deps", "all", "a.bst", cwd=self.at)
        self.assertEqual(set(self.states("a.bst", "base.bst").values()), {"cached"})
        absent = self.sluice("artifact", "pull", *remote, "b.bst", cwd=self.at)
        self.assertRegex(absent.stderr, r"Pull Queue: +processed 0, skipped 1, failed 0")
        self.sluice("source", "push", "--source-remote", self.url, "a.bst", cwd=self.at)
        self.assert_nothing_left_but_servers()

    def test_artifacts_by_their_names(self):
        self.configure("artifacts:\n  servers:\n  - {url: '%s', push: true}\n" % self.url)
        self.sluice("build", "b.bst", cwd=self.at)
        names = {element: "small/%s/%s" % (element, self.key(element + ".bst")) for element in ("base", "a", "b")}
        self.forget()
        # No project is needed, and nothing of the one that is there is used.
        nowhere = os.path.join(self.directory, "nowhere")
        os.makedirs(nowhere)
        listed = lambda: self.sluice("artifact", "show", "*/*/*", cwd=nowhere).stdout  # noqa: E731
        pulled = self.sluice("artifact", "pull", names["a"], cwd=nowhere)
        self.assertRegex(pulled.stderr + pulled.stdout, r"Pull Queue: +processed 1, skipped 0, failed 0")
        self.assertEqual([name in listed() for name in names.values()], [False, True, False])
        # What an artifact was built with is known once it has been pulled.
        self.forget()
        self.sluice("artifact", "pull", "--deps", "build", names["b"], cwd=nowhere)
        self.assertEqual([name in listed() for name in names.values()], [False, True, True])
        # A pattern that matches nothing is told as that, not as a lack of caches.
        for verb in ("pull", "push"):
            self.assertIn("No artifact names matched the glob expression: none/*/*", self.sluice("artifact", verb, "none/*/*", cwd=nowhere).stderr)
        # An artifact beside an element, and an artifact that no cache has.
        none = "small/a/" + "0" * 64
        text = self.sluice("artifact", "pull", "base.bst", none, cwd=self.at)
        self.assertRegex(text.stderr + text.stdout, r"Pull Queue: +processed 1, skipped 1, failed 0")
        self.assertEqual([name in listed() for name in names.values()], [True, True, True])
        # A push to another cache by a pattern: what isn't cached isn't pushed.
        other = self.serve("cas-2")
        pushed = self.sluice("artifact", "push", "--artifact-remote", other, "small/[ab]/*", cwd=nowhere)
        self.assertRegex(pushed.stderr + pushed.stdout, r"Push Queue: +processed 2, skipped 0, failed 0")
        self.forget()
        self.configure("artifacts:\n  servers:\n  - url: '%s'\n" % other)
        # Commands that show or stage an artifact by its name pull it, too.
        self.sluice("artifact", "checkout", "--deps", "none", "--directory", os.path.join(self.directory, "out"), names["a"], cwd=nowhere)
        self.assertTrue(os.path.exists(os.path.join(self.directory, "out/hi")))
        for arguments, said in ((["pull", "--deps", "all", names["a"]], "'--deps all' is not supported for artifact names"),
                                (["push", "small/../" + "0" * 64], "is not the name of an artifact"), (["pull", "small/a/xyz"], "does not appear to be")):
            self.assertIn(said, self.sluice("artifact", *arguments, cwd=nowhere, status=1).stderr)
        self.assert_nothing_left_but_servers()

    def test_a_failed_build_is_pushed_and_fails_elsewhere(self):
        # Without a terminal a build quits at its first failure: what was built is pushed still, as what failed is.
        remote = ("--artifact-remote", "url=%s,push=true" % self.url)
        self.sluice("build", *remote, "broken.bst", cwd=self.at, status=1)
        self.assertEqual(set(self.on_server("base.bst", "broken.bst").values()), {"available"})
        failed = self.sluice("build", *remote, "broken.bst", cwd=self.at, status=1)
        text = failed.stderr + failed.stdout
        self.assertRegex(text, r"Pull Queue: +processed [12], skipped 0, failed 0")
        # The artifact's build tree, which wasn't pulled, is to be pushed with it.
        self.assertRegex(text, r"Push Queue: +processed 0, skipped [12], failed 0")
        self.assertEqual(self.states("broken.bst")["broken.bst"], "failed")
        # The messages and the log of the cached failure are those of the build.
        again = self.sluice("build", "broken.bst", cwd=self.at, status=1)
        for out in (text, again.stderr + again.stdout):
            self.assertRegex(out, r"build:broken\.bst +\] FAILURE Command failed\n")
            (log,) = set(re.findall(r"^ +(/.*-build\..*\.log)$", out, re.MULTILINE))
            with open(log, encoding="utf-8") as file:
                self.assertIn("Running commands", file.read())
        self.assert_nothing_left_but_servers()

    def test_what_is_never_the_same_is_pushed_again(self):
        self.write(os.path.join(self.at, "project.conf"), "name: small\nmin-version: 2.0\nelement-path: elements\nplugins:\n"
                   "- {origin: local, path: plugins, elements: [chance]}\n")
        self.write(os.path.join(self.at, "plugins/chance.py"), CHANCE)
        self.write(os.path.join(self.at, "elements/chance.bst"), "kind: chance\n")
        remote = ("--artifact-remote", self.url)

        def made(out):
            self.sluice("artifact", "checkout", "--directory", out, "chance.bst", cwd=self.at)
            with open(os.path.join(self.at, out, "made"), encoding="utf-8") as file:
                return file.read()

        self.sluice("build", "chance.bst", cwd=self.at)
        first = made("first")
        # The artifact is known still, and what it holds is lost.
        remove_tree(os.path.join(self.cachedir, "cas"))
        self.assertNotEqual(self.states("chance.bst")["chance.bst"], "cached")
        again = self.sluice("build", *remote, "chance.bst", cwd=self.at)
        self.assertRegex(again.stderr + again.stdout, r"Build Queue: +processed 1, skipped 0, failed 0")
        second = made("second")
        self.assertNotEqual(first, second)
        self.sluice("artifact", "push", *remote, "chance.bst", cwd=self.at)
        # Another of the same key replaces what the server has.
        self.sluice("artifact", "delete", "chance.bst", cwd=self.at)
        self.sluice("build", "chance.bst", cwd=self.at)
        third = made("third")
        self.assertNotEqual(second, third)
        self.sluice("artifact", "push", *remote, "chance.bst", cwd=self.at)
        self.forget()
        self.sluice("artifact", "pull", *remote, "chance.bst", cwd=self.at)
        self.assertEqual(made("pulled"), third)
        self.assert_nothing_left_but_servers()

    def test_a_server_that_has_no_room_fails_the_push(self):
        other = self.serve("small", "--quota", "64K")
        self.write(os.path.join(self.at, "files/src/big"), "x" * 100_000)
        built = self.sluice("build", "--artifact-remote", "url=%s,push=true" % other, "a.bst", cwd=self.at, status=1)
        text = built.stderr + built.stdout
        self.assertRegex(text, r"FAILURE Failed to push artifact blobs: Remote %s has no room" % other)
        self.assertEqual(self.states("a.bst")["a.bst"], "cached")
        self.assert_nothing_left_but_servers()

    def test_artifacts_elsewhere_are_shown_by_their_names(self):
        self.sluice("build", "--artifact-remote", self.url, "a.bst", cwd=self.at)
        name = "small/a/" + self.key("a.bst")
        none = "small/a/" + "0" * 64
        show = ("artifact", "show", "--artifact-remote", self.url, name, none)
        nowhere = os.path.join(self.directory, "nowhere")
        os.makedirs(nowhere)
        for state in ("cached", "available"):
            for at in (nowhere, self.at):
                shown = self.sluice(*show, cwd=at).stdout.split("\n")
                self.assertIn("%12s %s" % (state, name), shown)
                self.assertIn("%12s %s" % ("not cached", none), shown)
            if state == "cached":
                self.forget()
        self.configure("projects:\n  small:\n    artifacts:\n      servers: [{url: '%s'}]\n" % self.url)
        self.assertIn("available", self.sluice("artifact", "show", name, cwd=nowhere).stdout)
        self.assert_nothing_left_but_servers()

    def test_a_cache_that_does_not_answer_is_said_and_left_out(self):
        gone = self._backgrounds[0]
        gone.signal(signal.SIGKILL)
        gone.wait()
        self.configure("artifacts:\n  servers:\n  - {url: '%s', push: true, connection-config: {retry-limit: 0}}\n" % self.url)
        built = self.sluice("build", "a.bst", cwd=self.at)
        self.assertIn("Failed to initialize remote %s" % self.url, built.stderr + built.stdout)
        self.assertNotIn("Pull Queue", built.stderr + built.stdout)
        self.assertEqual(self.states("a.bst")["a.bst"], "cached")

    def test_addresses(self):
        """As BuildStream: a path in a URL is ignored, and a URL that isn't one is warned of with its place, and left out."""
        self.configure("artifacts:\n  servers:\n  - url: ftp://example.org\n    push: true\n  - url: '%s/cache1'\n    push: true\n" % self.url)
        built = self.sluice("build", "a.bst", cwd=self.at)
        text = built.stderr + built.stdout
        self.assertIn("buildstream.conf [line 3 column 9]: The URL of a cache has a scheme that caches don't have", text)
        self.assertIn("Failed to initialize remote ftp://example.org: ", text)
        self.assertRegex(text, r"Push Queue: +processed 2, skipped 0, failed 0")
        self.forget()
        pulled = self.sluice("build", "--artifact-remote", self.url + "/another/path?and=more", "a.bst", cwd=self.at)
        self.assertRegex(pulled.stderr + pulled.stdout, r"Pull Queue: +processed 1, skipped 0, failed 0")
        self.sluice("build", "--artifact-remote", "ftp://example.org", "a.bst", cwd=self.at)
        self.assert_nothing_left_but_servers()

    def test_keys_that_follow_from_what_is_pulled(self):
        remote = ("--artifact-remote", self.url)
        self.sluice("build", *remote, "a.bst", cwd=self.at)
        old = self.key("a.bst")
        self.forget()
        # The strong key of a.bst is another now; by its weak key it is the one that was pushed.
        with open(os.path.join(self.at, "files/base/extra"), "w", encoding="utf-8") as file:
            file.write("extra\n")
        self.assertNotEqual(self.key("a.bst"), old)
        session = self.sluice("session", "start", cwd=self.at).stdout.split()[-1]
        renderer = self.start("session", "attach", session, "--style", "plain", cwd=self.at)
        self.wait_until(lambda: self.pids("sluice-renderer"), "a renderer")
        stopped = self.pids("sluice-renderer")
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        self.sluice("--no-strict", "build", "--session", session, "--artifact-remote", "url=%s,push=false" % self.url, "b.bst", cwd=self.at)
        self.assertEqual(self.key("a.bst", "--no-strict"), old)
        new = self.key("b.bst", "--no-strict")

        # All is over when the renderer reads the first of it: it shows what was known then.
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        self.wait_until(lambda: renderer.stdout.count("Pipeline Summary") == 1, "the summary")
        lines = [line for line in renderer.stdout.splitlines() if line.startswith("[")]
        shown = lambda job: [line[11:19] for line in lines if job in line]  # noqa: E731
        self.assertEqual(set(shown("pull:b.bst")), {UNKNOWN})
        self.assertEqual(shown("pull:a.bst")[0], UNKNOWN)
        self.assertEqual(shown("pull:a.bst")[-1], old[:8])
        self.assertEqual(set(shown("build:b.bst")), {new[:8]})
        self.assertEqual(shown("build:a.bst"), [])
        self.sluice("session", "stop", session, cwd=self.at)
        self.assertEqual(renderer.wait(), 0)
        keys = {}
        for path in glob.glob(os.path.join(self.state, "sluice/sessions/*/records.log")):
            for record in RecordLog(path).read():
                if "element" in record and "job" in record and record["element"]["name"] == "b.bst":
                    keys.setdefault(record["job"]["action"], set()).add(record["element"].get("key", ""))
        self.assertEqual(keys, {"pull": {""}, "build": {new}})
        self.assert_nothing_left_but_servers()

    def test_a_scheduler_that_dies_while_artifacts_are_pulled(self):
        remote = ("--artifact-remote", self.url)
        self.sluice("build", *remote, "b.bst", cwd=self.at)
        self.forget()
        # A cache that stands still, so that the pull lasts until it was seen.
        self.assertEqual(self.kill("sluice-cas", signal.SIGSTOP), 1)
        command = self.start("build", *remote, "--deps", "all", "b.bst", cwd=self.at)
        self.wait_until(lambda: self.pids("sluice-remote"), "a pull")
        self.assertEqual(self.kill("sluice-scheduler"), 1)
        self.kill("sluice-cas", signal.SIGCONT)
        self.assertEqual(command.wait(), 0)
        self.assertEqual(self.states("b.bst")["b.bst"], "cached")
        self.assert_nothing_left_but_servers()


class Stopped(Gates, Caches):
    """Builds that are told to quit."""

    def setUp(self):
        super().setUp()
        self.url = self.serve("cas")
        self.at = self.project({
            "project.conf": CONF,
            "elements/base.bst": BASE,
            "elements/slow.bst": manual("slow", gate(1)),
            "elements/bad.bst": manual("bad", gate(2)),
            "elements/after.bst": manual("after", depends=["slow.bst"]),
        })
        busybox_base(self.at)

    def build(self, *elements):
        return self.start("--builders", "2", "build", "--artifact-remote", "url=%s,push=true" % self.url, *elements, cwd=self.at, pty=True, env={"SLUICE_STYLE": "tty"})

    def quit(self, build):
        self.wait_until(lambda: "Choice:" in build.stdout, "a question")
        build.write("quit\n")
        self.wait_until(lambda: "quitting" in self.sluice("session", "list", cwd=self.at).stdout, "the session to quit")

    def test_ctrl_c(self):
        build = self.build("after.bst")
        self.wait_at_gate(1)
        build.write("\x03")
        self.quit(build)
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.on_server("base.bst", "slow.bst", "after.bst"), {"base.bst": "available", "slow.bst": "available", "after.bst": "not cached"})
        self.assert_nothing_left_but_servers()

    def test_a_failure(self):
        build = self.build("after.bst", "bad.bst")
        self.wait_at_gate(1)
        self.open_gate(2, signal.SIGTERM)
        self.quit(build)
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        self.assertEqual(self.on_server("bad.bst", "slow.bst", "after.bst"), {"bad.bst": "available", "slow.bst": "available", "after.bst": "not cached"})
        self.assert_nothing_left_but_servers()


if __name__ == "__main__":
    main()
