"""A session whose builds are done by a runner that has a store of its own (spec/jobs.md, J80 to J89)."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from elsewhere import Elsewhere  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

JOBS = "\n".join([
    "kind: manual", "build-depends: [base.bst]", "environment:", "  MAKEFLAGS: -j%{max-jobs}", "  V: \"%{max-jobs}\"", "environment-nocache: [MAKEFLAGS, V]",
    "config:", "  build-commands:", "  - echo has $MAKEFLAGS $V", "  install-commands: [true]", ""])


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names)


class Elsewheres(Gates, Elsewhere, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF, "elements/base.bst": BASE,
            "elements/a.bst": manual("a", "cat /dev/null"), "elements/b.bst": manual("b", "test -f /usr/share/a", depends=["a.bst"]),
            "elements/local.bst": "kind: import\nsources:\n- kind: local\n  path: files/one\n- kind: local\n  path: files/two\n  directory: sub\n",
            "elements/all.bst": "kind: stack\ndepends: [a.bst, b.bst, local.bst]\n",
            "elements/bad.bst": manual("bad", "echo this is what went wrong", "mkdir left-behind", "false"),
            "elements/jobs.bst": JOBS,
            "elements/gated.bst": manual("gated", gate(1)),
            "files/one/file": "one\n", "files/two/file": "two\n"})
        busybox_base(self.at)

    def begin(self, **more):
        self.far = self.elsewhere(**more)
        self.far_bin = self.programs_elsewhere()
        return self.far

    def far_sluice(self, *arguments, **more):
        return self.sluice(*arguments, cwd=self.at, program=os.path.join(self.far_bin, "sluice"), **more)

    def far_start(self, *arguments):
        return self.start(*arguments, cwd=self.at, program=os.path.join(self.far_bin, "sluice"))

    def refs(self, cachedir):
        return files_below(os.path.join(cachedir, "artifacts", "refs"))

    def shown(self, target, what, env=None):
        return self.sluice("show", "--deps", "all", "--format", what, target, cwd=self.at, env=env).stdout

    def test_artifacts_are_those_of_a_build_here(self):
        self.begin()
        self.far_sluice("build", "all.bst")
        # All were built there, and only the session's host has written names of its store.
        self.assertEqual({name.split("/")[1] for name in self.refs(self.cachedir)}, {"base", "a", "b", "local", "all"})
        self.assertTrue(self.refs(os.path.join(self.far, "cache")))
        self.assertEqual(self.shown("all.bst", "%{state}").split(), ["cached"] * 5)
        out = os.path.join(self.directory, "out")
        self.sluice("artifact", "checkout", "--directory", out, "all.bst", cwd=self.at)
        self.assertTrue(os.path.exists(os.path.join(out, "usr/share/b")))
        self.assertEqual(open(os.path.join(out, "sub/file"), encoding="ascii").read(), "two\n")
        # What was made is what is made here; logs, which tell times, aside.
        env = dict(self.env, XDG_CACHE_HOME=os.path.join(self.directory, "other-cache"))
        self.sluice("build", "all.bst", cwd=self.at, env=env)
        form = "%{name} %{state} %{full-key} %{artifact-cas-digest}"
        self.assertEqual(self.shown("all.bst", form), self.shown("all.bst", form, env))
        self.assertEqual(self.refs(self.cachedir), self.refs(os.path.join(env["XDG_CACHE_HOME"], "buildstream")))
        self.sluice(self.cachedir, program="sluice-store-check")
        self.assert_nothing_left_elsewhere()

    def test_logs_and_the_shell_into_a_failure_without_the_machine(self):
        self.begin()
        built = self.far_sluice("build", "bad.bst", status=1)
        self.assertIn("this is what went wrong", built.stdout + built.stderr)
        remove_tree(self.far)
        log = self.sluice("artifact", "log", "bad.bst", cwd=self.at).stdout
        self.assertIn("this is what went wrong", log)
        logs = [name for name in files_below(os.path.join(self.cachedir, "logs", "small", "bad")) if name.endswith(".log")]
        self.assertEqual(len(logs), 1)
        with open(os.path.join(self.cachedir, "logs", "small", "bad", logs[0]), encoding="utf-8") as file:
            self.assertIn("this is what went wrong", file.read())
        inside = self.sluice("shell", "--build", "--use-buildtree", "bad.bst", "--", "ls", cwd=self.at)
        self.assertIn("left-behind", inside.stdout)
        self.assert_nothing_left_elsewhere()

    def test_the_sessions_store_is_away_for_a_while(self):
        self.begin()
        build = self.far_start("build", "gated.bst")
        self.wait_until(lambda: self.at_gate(1), "the gate")
        self.cas.kill()
        self.cas.wait()
        self.open_gate(1)
        self.wait_until(lambda: "can't be reached" in build.stdout + build.stderr, "the warning")
        self.restart_cas()
        self.assertEqual(build.wait(), 0)
        self.assertEqual(self.shown("gated.bst", "%{state}").split()[-1], "cached")
        # It was built once.
        logs = [name for name in files_below(os.path.join(self.cachedir, "logs", "small", "gated")) if name.endswith(".log")]
        self.assertEqual(len(logs), 1)
        self.assert_nothing_left_elsewhere()

    def test_the_helper_is_killed(self):
        self.begin()
        build = self.far_start("build", "gated.bst")
        self.wait_until(lambda: self.at_gate(1), "the gate")
        self.kill("sluice-remote")
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(self.shown("gated.bst", "%{state}").split()[-1], "cached")
        self.assert_nothing_left_elsewhere()

    def test_whoever_is_revoked_can_give_nothing(self):
        self.begin()
        build = self.far_start("build", "gated.bst")
        self.wait_until(lambda: self.at_gate(1), "the gate")
        self.write_access((self.runner_fingerprint, "runner", {"revoked": True}))
        self.open_gate(1)
        # The next attempts can't even fetch.
        self.assertEqual(build.wait(), 1)
        self.assertIn("was revoked", build.stdout + build.stderr)
        self.assertNotIn("gated", {name.split("/")[1] for name in self.refs(self.cachedir)})
        self.assert_nothing_left_elsewhere()

    def test_processors_are_those_of_the_machine_that_builds(self):
        self.begin(max_jobs=3)
        built = self.far_sluice("--max-jobs", "7", "build", "jobs.bst")
        self.assertEqual(built.code, 0)
        log = self.sluice("artifact", "log", "jobs.bst", cwd=self.at).stdout
        self.assertIn("has -j3 7\n", log)
        # No key knows, nor the artifact's environment.
        self.assertIn("MAKEFLAGS: -j7\n", log)
        for jobs in ("2", "3", "7"):
            self.assertEqual(self.sluice("--max-jobs", jobs, "show", "--deps", "none", "--format", "%{state}", "jobs.bst", cwd=self.at).stdout.strip(), "cached")
        self.assert_nothing_left_elsewhere()


if __name__ == "__main__":
    main()
