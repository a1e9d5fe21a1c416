"""`sluice build --check` and `sluice artifact diff`, with real builds."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

MANUAL = "kind: manual\nbuild-depends: [base.bst]\nconfig:\n  install-commands:\n  - mkdir -p %{install-root}/d\n"
PROJECT = {
    "project.conf": "name: small\nmin-version: 2.0\nelement-path: elements\n",
    "elements/base.bst": "kind: import\nsources:\n- kind: local\n  path: files/base\n",
    "elements/same.bst": MANUAL + "  - echo same > %{install-root}/d/same\n",
    "elements/random.bst": MANUAL + "  - cat /proc/sys/kernel/random/uuid > %{install-root}/d/random\n  - echo same > %{install-root}/d/same\n",
    "elements/all.bst": "kind: stack\ndepends: [same.bst, random.bst]\n",
}


class Check(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)
        self.base()

    def digest(self, element):
        return self.sluice("show", "-d", "none", "-f", "%{artifact-cas-digest}", element, cwd=self.at).stdout

    def test_check(self):
        # What isn't cached is built first.
        good = self.sluice("build", "--check", "same.bst", cwd=self.at)
        self.assertIn("Check Queue: processed 1", good.stderr)
        self.assertIn("Build Queue: processed 2", good.stderr)
        self.sluice("build", "all.bst", cwd=self.at)
        before = self.digest("random.bst")
        # All are checked, whatever one of them is; a run-time dependency too.
        bad = self.sluice("build", "--check", "--deps", "all", "all.bst", cwd=self.at, status=1)
        self.assertIn("Not reproducible: 1 file is different when it is built again", bad.stderr)
        self.assertIn("~ d/random: content from byte ", bad.stderr)
        self.assertIn("Check Queue: processed 3, skipped 0, failed 1", bad.stderr)
        self.assertEqual(self.digest("random.bst"), before)
        # The same for programs.
        told = self.sluice("build", "--check", "--json", "--deps", "all", "all.bst", cwd=self.at, status=1)
        document = json.loads(told.stdout)
        self.assertEqual((document["format"], document["outcome"]), ("sluice-check/1", "failure"))
        checked = {one["element"]: one for one in document["elements"]}
        self.assertEqual({name: one["reproducible"] for name, one in checked.items()},
                         {"base.bst": True, "same.bst": True, "random.bst": False, "all.bst": True})
        self.assertRegex(checked["random.bst"]["differences"][0], "^~ d/random: content from byte ")
        self.assertTrue(os.path.exists(checked["random.bst"]["log"]))
        self.assertIn("--json requires --check", self.sluice("build", "--json", "same.bst", cwd=self.at, status=2).stderr)
        self.assertEqual(self.sluice("artifact", "show", "random.bst", cwd=self.at).stdout.split(), ["cached", "random.bst"])
        # Dependencies are used as they are, and nothing of them is checked.
        alone = self.sluice("build", "--check", "all.bst", cwd=self.at)
        self.assertIn("Check Queue: processed 1, skipped 2, failed 0", alone.stderr)
        self.assertIn("Only strict builds can be checked", self.sluice("--no-strict", "build", "--check", "same.bst", cwd=self.at, status=1).stderr)

    def diff(self, *arguments, status):
        return self.sluice("artifact", "diff", *arguments, cwd=self.at, status=status).stdout

    def test_diff(self):
        self.sluice("build", "all.bst", cwd=self.at)
        key = self.sluice("show", "-d", "none", "-f", "%{full-key}", "same.bst", cwd=self.at).stdout.strip()
        old = "small/same/" + key
        self.assertIn("Files: the same\nKey: the same\n", self.diff(old, "same.bst", status=0))
        self.write("project/elements/same.bst", MANUAL + "  - echo other > %{install-root}/d/same\n  - cp /bin/cat %{install-root}/d/new\n")
        self.sluice("build", "same.bst", cwd=self.at)
        text = self.diff("--text", "small/same/%s*" % key[:8], "same.bst", status=1)
        self.assertIn("  + d/new: file that can be executed, ", text)
        self.assertIn("  ~ d/same: content from byte 0 (line 1) on, 5 -> 6 bytes\n", text)
        self.assertIn("    -same\n    +other\n", text)
        self.assertIn("Key:\n  configuration install-commands[1]\n", text)
        document = json.loads(self.diff("--json", old, "same.bst", status=1))
        self.assertEqual((document["format"], document["same"]), ("sluice-artifact-diff/1", False))
        self.assertEqual([(file["path"], file["how"]) for file in document["files"]], [("d/new", "added"), ("d/same", "changed")])
        self.assertTrue(document["key"]["inputs-kept"])
        # What a key was made of can't be had any more.
        os.unlink(os.path.join(self.cachedir, "sluice/key-inputs", key[:2], key[2:]))
        self.assertIn("doesn't say what it was made of; there may be changes in: source, configuration", " ".join(self.diff(old, "same.bst", status=1).split()))
        # Trouble isn't a difference.
        self.diff("small/*/*", "same.bst", status=2)
        self.diff("same.bst", "no.bst", status=2)
        self.diff("same.bst", status=2)


if __name__ == "__main__":
    main()
