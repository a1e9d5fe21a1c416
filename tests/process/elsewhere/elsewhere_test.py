"""A session whose builds are done by a runner that has a store of its own (spec/jobs.md, J80 to J89)."""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from elsewhere import Elsewhere  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names)


class Builds(Gates, Elsewhere, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF, "elements/base.bst": BASE,
            "elements/a.bst": manual("a", "cat /dev/null"), "elements/b.bst": manual("b", "test -f /usr/share/a", depends=["a.bst"]),
            "elements/local.bst": "kind: import\nsources:\n- kind: local\n  path: files/one\n- kind: local\n  path: files/two\n  directory: sub\n",
            "elements/all.bst": "kind: stack\ndepends: [a.bst, b.bst, local.bst]\n",
            "files/one/file": "one\n", "files/two/file": "two\n"})
        busybox_base(self.at)
        self.far = self.elsewhere()
        self.far_bin = self.programs_elsewhere()

    def far_sluice(self, *arguments, **more):
        return self.sluice(*arguments, cwd=self.at, program=os.path.join(self.far_bin, "sluice"), **more)

    def refs(self, cachedir):
        folder = os.path.join(cachedir, "artifacts", "refs")
        return {name: open(os.path.join(folder, name), "rb").read() for name in files_below(folder)}

    def test_artifacts_are_those_of_a_build_here(self):
        built = self.far_sluice("build", "all.bst")
        self.assertIn("SUCCESS", built.stdout + built.stderr)
        here = self.refs(self.cachedir)
        # Only the session's host writes refs of its store; all elements are there, under both keys.
        self.assertEqual({name.split("/")[1] for name in here}, {"base", "a", "b", "local", "all"})
        self.sluice("artifact", "checkout", "--directory", os.path.join(self.directory, "out"), "b.bst", cwd=self.at)
        self.assertTrue(os.path.exists(os.path.join(self.directory, "out", "usr/share/b")))
        # What was fetched and built lies in the other store.
        self.assertTrue(files_below(os.path.join(self.far, "cache", "cas", "objects")))
        # What was made is what is made here; logs, which tell times, aside.
        env = dict(self.env, XDG_CACHE_HOME=os.path.join(self.directory, "other-cache"))
        self.sluice("build", "all.bst", cwd=self.at, env=env)
        form = ("show", "--deps", "all", "--format", "%{name} %{state} %{full-key} %{artifact-cas-digest}", "all.bst")
        self.assertEqual(self.sluice(*form, cwd=self.at).stdout, self.sluice(*form, cwd=self.at, env=env).stdout)
        self.assertEqual(set(here), set(self.refs(os.path.join(env["XDG_CACHE_HOME"], "buildstream"))))
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
