"""What isn't supported is said before anything starts, all at once, with its place and with what helps."""

import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

PLUGINS = os.path.join(HERE, "../../golden/loader/community/plugins")  # of these the keys are known
CONF = """\
name: test
min-version: 2.0
element-path: elements
plugins:
- origin: local
  path: plugins
  sources: [patch_queue, odd]
"""
ODD = """\
from buildstream import Source

class Odd(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.path = self.node_get_project_path(node.get_scalar("path"))

    def get_unique_key(self):
        return self.path

def setup():
    return Odd
"""


class Unsupported(SluiceTest):
    def make(self, files):
        # What plugins in Python could do isn't done here.
        self.write("config/buildstream.conf", "plugins: {enabled: false}\n")
        self.project({"project.conf": CONF, "plugins/odd.py": ODD, "patches/a.patch": "text\n", "files/hello": "hello\n",
                      "elements/base.bst": "kind: import\nsources: [{kind: local, path: files/base}]\n", **files})
        shutil.copy(os.path.join(PLUGINS, "patch_queue.py"), os.path.join(self.directory, "project/plugins"))
        self.base()

    def in_project(self, *arguments, **how):
        return self.sluice("-C", "project", *arguments, **how)

    def refused(self, *arguments):
        result = self.in_project(*arguments, status=1)
        told = result.stdout + result.stderr
        self.assertIn("nothing was started", told)
        self.assertNotIn(".log", told)  # every job that starts names its log
        return told

    def test_all_at_once(self):
        self.make({
            "elements/patched.bst": "kind: import\nsources:\n- kind: local\n  path: files\n- kind: patch_queue\n  path: patches\n",
            "elements/cwd.bst": "kind: script\nbuild-depends: [base.bst, patched.bst]\nvariables:\n  cwd: not/absolute\nconfig:\n  commands: [pwd]\n",
            "elements/root.bst": "kind: manual\nbuild-depends: [base.bst]\nvariables:\n  install-root: relative\n",
            "elements/all.bst": "kind: stack\ndepends: [patched.bst, cwd.bst, root.bst]\n",
        })
        self.assertEqual(self.in_project("show", "--deps", "none", "--format", "%{state}", "patched.bst").stdout, "fetch needed\n")
        told = self.refused("build", "all.bst")
        for wanted in ("4 elements can't be built", "patched.bst [line 5 column 2]: Sources of kind 'patch_queue' can't be fetched",
                       "It is so of 1 element (patched.bst), in the way of 2 elements more.",
                       "cwd.bst [line 4 column 7]: The variable 'cwd' is 'not/absolute', which is not an absolute path",
                       "root.bst [line 4 column 16]: The variable 'install-root' is 'relative', which is not an absolute path"):
            self.assertIn(wanted, told)
        told = self.refused("source", "fetch", "patched.bst", "cwd.bst")
        self.assertIn("1 element can't be fetched", told)
        self.assertNotIn("cwd.bst [", told)
        # An element that doesn't need what is unsupported is built.
        self.in_project("build", "base.bst")

    def test_show_says_it_all_and_goes_on(self):
        odd = "kind: import\nsources:\n- kind: odd\n  path: files\n"
        self.make({
            "elements/odd.bst": odd, "elements/odder.bst": odd.replace("files", "patches"),
            "elements/user.bst": "kind: compose\nbuild-depends: [odd.bst]\n",
            "elements/root.bst": "kind: manual\nbuild-depends: [base.bst]\nvariables: {install-root: relative}\n",
            "elements/all.bst": "kind: stack\ndepends: [odd.bst, odder.bst, user.bst, root.bst]\n",
        })
        shown = self.in_project("show", "--format", "%{name} %{state}", "all.bst")
        self.assertIn("odder.bst unsupported\n", shown.stdout)
        for wanted in ("odd.bst [line 3 column 2]: Source kind 'odd' is not supported",
                       "It is so of 2 elements (odd.bst is the first), in the way of 2 elements more.",
                       "root.bst [line 3 column 26]: The variable 'install-root' is 'relative', which is not an absolute path\n"
                       "    It is so of 1 element (root.bst), in the way of 1 element more."):
            self.assertIn(wanted, shown.stderr)
        self.assertNotIn("odder.bst [", shown.stderr)
        self.assertEqual(self.in_project("show", "base.bst").stderr, "")

    def test_a_plugin_whose_text_is_not_known(self):
        # Its key is, by what it says of configuration and key.
        self.make({"elements/manifest.bst": "kind: collect_manifest\nbuild-depends: [base.bst]\n",
                   "project.conf": CONF + "  elements: [collect_manifest]\n"})
        shutil.copy(os.path.join(PLUGINS, "collect_manifest.py"), os.path.join(self.directory, "project/plugins"))
        shown = self.in_project("show", "--deps", "none", "--format", "%{full-key}", "manifest.bst")
        self.assertRegex(shown.stdout, "^[0-9a-f]{64}\n$")
        self.assertIn("manifest.bst [line 1 column 0]: Elements of kind 'collect_manifest' can't be built", self.refused("build", "manifest.bst"))

    def test_a_workspace_in_place_of_sources(self):
        self.make({
            "elements/patched.bst": "kind: import\nsources:\n- kind: local\n  path: files\n- kind: patch_queue\n  path: patches\n",
            "elements/odd.bst": "kind: import\nsources:\n- kind: odd\n  path: files\n",
        })
        for element in ("patched.bst", "odd.bst"):
            with self.subTest(element):
                self.refused("build", element)
                directory = os.path.join(self.directory, "work", element)
                self.in_project("workspace", "open", "--no-checkout", "--directory", directory, element)
                self.write(os.path.join(directory, "mine"), "mine\n")
                self.in_project("build", element)
                self.assertIn("mine", self.in_project("artifact", "list-contents", element).stdout)

    def test_a_junction_that_cannot_be_fetched(self):
        for kind, number in (("patch_queue", 1), ("odd", 2)):
            with self.subTest(kind):
                self.make({"elements/sub.bst": "kind: junction\nsources:\n- kind: %s\n  path: patches\n" % kind,
                           "elements/top.bst": "kind: stack\ndepends: [sub.bst:lib.bst]\n"})
                refused = self.in_project("show", "top.bst", status=1)
                self.assertIn("sub.bst [line 3 column 2]", refused.stderr)
                directory = os.path.join(self.directory, "work", kind)
                self.in_project("workspace", "open", "--no-checkout", "--directory", directory, "sub.bst")
                self.write(os.path.join(directory, "project.conf"), "name: sub%d\nmin-version: 2.0\n" % number)
                self.write(os.path.join(directory, "lib.bst"), "kind: stack\n")
                self.assertIn("sub.bst:lib.bst", self.in_project("show", "top.bst").stdout)
                self.in_project("workspace", "close", "sub.bst")


main()
