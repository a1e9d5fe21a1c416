"""`cache.quota`, `low-watermark` and `reserved-disk-space`: what expires, what stays, and what is said when nothing fits."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

MB = 1_000_000


class Quota(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({"project.conf": "name: test\nmin-version: 2.0\n"})

    def element(self, name, size, *depends):
        """An element that imports `size` random bytes."""
        self.write("project/files/%s/data" % name, os.urandom(size))
        self.write("project/%s.bst" % name, "kind: import\nsources:\n- kind: local\n  path: files/%s\ndepends: [%s]\n" % (
            name, ", ".join(d + ".bst" for d in depends)))

    def limit(self, text):
        self.write("config/buildstream.conf", "cache: {%s}\n" % text)

    def build(self, name, status=0):
        result = self.sluice("build", name + ".bst", cwd=self.at, status=status)
        self.assert_nothing_left()  # what a living process has used stays
        return result

    def states(self, *names):
        shown = self.sluice("show", "--deps", "none", "--format", "%{name} %{state}", *[n + ".bst" for n in names], cwd=self.at)
        by_name = dict(line.split(".bst ") for line in shown.stdout.splitlines())
        return [by_name[name] == "cached" for name in names]

    def used(self):
        total = 0
        for place in ("cas/objects", "sluice/files"):
            for top, _, files in os.walk(os.path.join(self.cachedir, place)):
                total += sum(os.path.getsize(os.path.join(top, name)) for name in files)
        return total

    def test_the_oldest_expires(self):
        self.limit("quota: 10000000")
        self.element("one", 6 * MB)
        self.element("two", 6 * MB)
        self.build("one")
        self.assertEqual(self.states("one"), [True])
        self.build("two")
        self.assertEqual(self.states("one", "two"), [False, True])
        self.assertLessEqual(self.used(), 10 * MB)

    def test_the_order_is_that_of_use_and_the_low_watermark_is_what_stays(self):
        self.limit("quota: 9000K, low-watermark: 50%")
        for name in ("dep", "unrelated", "target", "target2"):
            self.element(name, 2 * MB)
            self.build(name)
        self.sluice("artifact", "checkout", "dep.bst", "--directory", os.path.join(self.directory, "out"), cwd=self.at)
        self.element("expire", 2 * MB)
        self.build("expire")  # room is made before its 2 MB come: 4500K of the others stay
        self.assertEqual(self.states("unrelated", "target", "target2", "dep", "expire"), [False, False, True, True, True])

    def test_what_this_session_needs_stays(self):
        self.limit("quota: 10000000")
        self.element("dependency", 5 * MB)
        self.element("unrelated", 4 * MB)
        self.element("target", 2 * MB, "dependency")
        self.build("dependency")
        self.build("unrelated")
        self.assertEqual(self.states("dependency", "unrelated"), [True, True])
        self.build("target")
        self.assertEqual(self.states("dependency", "unrelated", "target"), [True, False, True])

    def test_a_session_that_needs_too_much_fails_and_keeps_what_it_has(self):
        self.limit("quota: 10000000")
        self.element("one", 8 * MB)
        self.element("two", 8 * MB, "one")
        self.build("one")
        log = os.path.join(self.directory, "log.json")
        failed = self.sluice("--json-log", log, "build", "two.bst", cwd=self.at, status=1)
        self.assertIn("Cache too full", failed.stderr)
        with open(log, encoding="utf-8") as file:
            errors = [record["error"] for record in map(json.loads, file) if record.get("error")]
        self.assertIn(("cas", "cache-too-full"), [(error["domain"], error["reason"]) for error in errors])
        self.assertEqual(self.states("one"), [True])  # the other's sources would need room

    def test_a_smaller_quota_than_before(self):
        self.limit("quota: 10000000")
        self.element("one", 8 * MB)
        self.element("two", 4 * MB)
        self.build("one")
        self.limit("quota: 5000000")
        self.build("two")
        self.assertEqual(self.states("one", "two"), [False, True])

    def test_the_reserved_disk_space_is_kept(self):
        self.element("one", MB)
        self.limit("reserved-disk-space: 100%")
        failed = self.build("one", status=1)
        self.assertIn("cache.reserved-disk-space", failed.stderr)
        self.limit("reserved-disk-space: 1K")
        self.build("one")

    def test_sandboxes_too(self):
        """Input roots of sandboxes and their files count against the quota, and expire first."""
        self.base(programs=("sh",))
        self.element("data", 3 * MB)
        self.write("project/base.bst", "kind: import\nsources: [{kind: local, path: files/base}]\n")
        self.write("project/app.bst", "kind: manual\nbuild-depends: [base.bst]\nconfig: {install-commands: ['echo 1 >/dev/null']}\n")
        self.build("app")
        used = self.used()
        self.assertTrue(os.listdir(os.path.join(self.cachedir, "sluice/roots")))
        self.limit("quota: %d, low-watermark: 100%%" % (used + MB))
        self.build("data")
        self.assertLessEqual(self.used(), used + MB)
        self.assertEqual(self.states("base", "app", "data"), [True, True, True])
        self.assertFalse(os.listdir(os.path.join(self.cachedir, "sluice/roots")))

    def test_delete_frees(self):
        self.base(programs=("sh", "cat"))
        self.write("project/base.bst", "kind: import\nsources: [{kind: local, path: files/base}]\n")
        make = "kind: manual\nbuild-depends: [base.bst]\nconfig: {install-commands: ['cat %s > %%{install-root}/data']}\n"
        self.write("project/one.bst", make % "/bin/sh /bin/cat")
        self.write("project/two.bst", make % "/bin/cat /bin/sh")
        self.build("one")
        self.build("two")
        before = self.used()
        self.sluice("artifact", "delete", "one.bst", cwd=self.at)
        size = sum(os.path.getsize(os.path.join(self.at, "files/base/bin", name)) for name in ("sh", "cat"))
        self.assertLess(self.used(), before - size)
        self.assertEqual(self.states("one", "two"), [False, True])


main()
