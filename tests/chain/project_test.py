"""The chain's project loads: as it is, without what it is made of.

That is downloaded by `chain` alone, which a developer runs by hand. Here names stand for the archives; what is asked is whether Sluice knows all
that `project/` says, and whether it is still as long, and of as many kinds, as README.md has it."""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
from sluice_test import SluiceTest, main  # noqa: E402
from written import Written  # noqa: E402

SOURCES = {"cargo", "cargo2", "docker", "git", "git_module", "git_repo", "git_tag", "go_module", "local", "patch", "patch_queue", "pypi", "remote", "tar", "zip"}
ELEMENTS = {"autotools", "cmake", "collect_manifest", "compose", "filter", "import", "make", "manual", "meson", "pip", "script", "setuptools", "stack"}


class Names:
    """Stands for upstream.Upstream: names of files, and patches with nothing in them."""

    @staticmethod
    def archive(name):
        return "/none/%s_1.0.orig.tar.gz" % name

    @staticmethod
    def version(_):
        return "1.0"

    @staticmethod
    def patches(_, directory):
        os.makedirs(directory)
        with open(os.path.join(directory, "01-none.patch"), "w", encoding="ascii"):
            pass


class Project(SluiceTest):
    def test_loads(self):
        project = os.path.join(self.directory, "chain")
        written = Written(Names)
        written.write(project, {name: "http://127.0.0.1:1/" for name in ("git", "files", "crates", "registry")})
        shown = self.sluice("show", "--deps", "all", "-f", "%{kind} %{name} %{state}", "all.bst", cwd=project).stdout.splitlines()
        self.assertGreaterEqual(len(shown), 78)
        self.assertEqual(len(shown), len([name for name in written.texts if name.startswith("elements/")]), "elements that all.bst doesn't lead to")
        self.assertEqual({line.split()[0] for line in shown}, ELEMENTS)
        self.assertEqual(set(re.findall(r"^- kind: (\w+)", "".join(written.texts.values()), re.MULTILINE)), SOURCES)
        # What has sources to be tracked says so, and nothing else is wrong with it.
        self.assertEqual({line.split(" ", 2)[2] for line in shown}, {"no reference", "waiting", "buildable"})


main()
