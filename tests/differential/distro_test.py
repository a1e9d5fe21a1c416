"""The example's elements as BuildStream 2.8.1 sees them: kinds, names, keys, dependencies.

tests/golden/distro.keys is what
    bst show -f "$FORMAT" image.bst check.bst        (FORMAT is below)
says in a copy of examples/distro whose generated/base.yml has the ref REF. Nothing is downloaded."""

import os
import platform
import shutil
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from sluice_test import SluiceTest, main  # noqa: E402

REF = "b9d7d2713bd8c5901e408efed31988822fc64fc3e56161578cb24759afc3233f"
FORMAT = "%{kind} %{name} %{full-key}\nbuild-deps:\n%{build-deps}\nruntime-deps:\n%{runtime-deps}\n"


class Distro(SluiceTest):
    def copy(self):
        project = os.path.join(self.directory, "distro")
        shutil.copytree(os.path.join(HERE, "../../examples/distro"), project, symlinks=True,
                        ignore=shutil.ignore_patterns("generated"))
        self.write("distro/generated/aliases.yml", "downloads: file:///none/\nbase: file:///none/base/\n")
        self.write("distro/generated/base.yml", "ref: %s\n" % REF)
        return project

    @unittest.skipUnless(platform.machine() == "x86_64", "the golden file is of x86-64")
    def test_keys(self):
        shown = self.sluice("show", "-f", FORMAT, "image.bst", "check.bst", cwd=self.copy()).stdout
        with open(os.path.join(HERE, "../golden/distro.keys"), encoding="utf-8") as file:
            self.assertEqual(shown, file.read())

    def test_reference(self):
        project = self.copy()
        config = self.write("keys.conf", "cachedir: %s\n" % self.cachedir)
        for extra in ([], ["-o", "checks", "true"]):
            shown = self.sluice("-c", config, *extra, "show", "-f", FORMAT + "%{vars}%{env}%{public}%{config}", "image.bst", "check.bst",
                                cwd=project).stdout
            reference = self.bst(*extra, "show", "-f", FORMAT + "%{vars}%{env}%{public}%{config}", "image.bst", "check.bst",
                                 cwd=project).stdout
            self.assertEqual(shown, reference)


main()
