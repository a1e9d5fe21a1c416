"""Projects behind junctions that have to be fetched first: by show, by build, from mirrors."""

import hashlib
import io
import os
import socket
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo("top/" + name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return out.getvalue()


def junction(url, data):
    return "kind: junction\nsources:\n- kind: tar\n  url: %s\n  ref: %s\n" % (url, hashlib.sha256(data).hexdigest())


CONF = "name: %s\nmin-version: 2.0\nelement-path: elements\naliases:\n  far: file://%s/\n"
# The first mirror has nothing, so that the second is asked.
MIRRORS = "mirrors:\n- name: empty\n  aliases: {far: ['file:///nowhere/']}\n- name: good\n  aliases: {far: ['file://%s/']}\n"


class Subprojects(SluiceTest):
    def setUp(self):
        super().setUp()
        self.mirror = os.path.join(self.directory, "mirror")
        inner = tar({"project.conf": b"name: inner\nmin-version: 2.0\nelement-path: elements\n",
                     "elements/thing.bst": b"kind: import\nsources:\n- kind: local\n  path: data\n", "data/file": b"hello\n"})
        outer = tar({"project.conf": (CONF % ("outer", self.mirror)).encode(),
                     "elements/inner.bst": junction("far:inner.tar", inner).encode(),
                     "elements/user.bst": b"kind: stack\ndepends: ['inner.bst:thing.bst']\n"})
        self.write("mirror/inner.tar", inner)
        self.write("mirror/outer.tar", outer)
        self.at = self.project({
            "project.conf": CONF % ("top", "/nowhere") + MIRRORS % self.mirror,
            "elements/outer.bst": junction("far:outer.tar", outer),
            "elements/all.bst": "kind: stack\ndepends: ['outer.bst:user.bst']\n",
        })

    def test_junctions_are_asked_of_no_cache(self):
        with socket.create_server(("127.0.0.1", 0)) as cache:
            cache.setblocking(False)
            self.project({"project.conf": CONF % ("top", "/nowhere") + MIRRORS % self.mirror
                          + "source-caches:\n- url: http://127.0.0.1:%d\n" % cache.getsockname()[1]})
            shown = self.sluice("show", "--format", "%{name}", "all.bst", cwd=self.at)
            self.assertIn("Fetching file://%s/outer.tar" % self.mirror, shown.stderr)
            self.assertRaises(BlockingIOError, cache.accept)

    def test_show(self):
        shown = ["show", "--format", "%{name} %{state}", "all.bst"]
        expected = "outer.bst:inner.bst:thing.bst buildable\nouter.bst:user.bst waiting\nall.bst waiting\n"
        first = self.sluice(*shown, cwd=self.at)
        self.assertEqual(first.stdout, expected)
        self.assertIn("Fetching file://%s/outer.tar" % self.mirror, first.stderr)
        self.assertIn("Fetching file://%s/inner.tar" % self.mirror, first.stderr)
        again = self.sluice(*shown, cwd=self.at)
        self.assertEqual((again.stdout, again.stderr), (expected, ""))
        # The subproject comes from the store alone: what was staged is away, and the mirror is.
        os.rename(os.path.join(self.at, ".bst"), os.path.join(self.directory, "staged"))
        os.rename(self.mirror, self.mirror + "-gone")
        third = self.sluice(*shown, cwd=self.at)
        self.assertEqual((third.stdout, third.stderr), (expected, ""))

    def test_build(self):
        log = os.path.join(self.directory, "log")
        self.sluice("--log-file", log, "build", "all.bst", cwd=self.at)
        self.assertEqual(self.sluice("show", "--format", "%{name} %{state}", "--deps", "none", "all.bst", cwd=self.at).stdout, "all.bst cached\n")
        with open(log, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(text.count("SUCCESS Fetch\n"), 2)
        self.assertEqual(text.count("SUCCESS Build\n"), 1)

    def test_missing(self):
        os.rename(os.path.join(self.mirror, "inner.tar"), os.path.join(self.directory, "elsewhere.tar"))
        for command in ("show", "build"):
            failed = self.sluice(command, "all.bst", cwd=self.at, status=1)
            self.assertIn("inner.tar", failed.stderr)
        self.assertEqual(self.sluice("show", "--format", "%{name} %{state}", "outer.bst", cwd=self.at).stdout, "outer.bst junction\n")

    def test_mirrors(self):
        nowhere = "Fetching file:///nowhere/outer.tar"
        first = self.sluice("--default-mirror", "good", "show", "--deps", "none", "outer.bst:user.bst", cwd=self.at)
        self.assertNotIn(nowhere, first.stderr)
        self.project({".bst/staged-junctions/outer.bst/none": ""})
        self.env["XDG_CACHE_HOME"] = os.path.join(self.directory, "cache2")
        self.sluice("show", "--deps", "none", "outer.bst:user.bst", cwd=self.at)
        os.rename(os.path.join(self.at, ".bst"), os.path.join(self.directory, "staged"))
        second = self.sluice("show", "--deps", "none", "outer.bst:user.bst", cwd=self.at)
        self.assertLess(second.stderr.index(nowhere), second.stderr.index("Fetching file://%s/outer.tar" % self.mirror))


main()
