"""The loader asked once, by a packed request on its standard input (spec/snapshot.md)."""

import os
import stat
import sys

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../support"))
from sluice_test import SluiceTest, main

PROJECT = {
    "project.conf": "name: one-shot\nmin-version: 2.0\n",
    "first.bst": "kind: import\nsources:\n- kind: local\n  path: files\n",
    "last.bst": "kind: stack\ndepends:\n- first.bst\n",
    "files/hello": "hello\n",
    "wrong.bst": "kind: stack\ndepends: [\n",
}


class OneShot(SluiceTest):
    def setUp(self):
        super().setUp()
        for name, text in PROJECT.items():
            self.write("project/" + name, text)
        self.config = self.write("user.conf", "cachedir: %s\n" % self.cachedir)

    def ask(self, **arguments):
        arguments = {"directory": os.path.join(self.directory, "project"), "config": self.config, "deps": "all", "bodies": True, **arguments}
        return self.ask_bytes(msgpack.packb(arguments), 0)

    def ask_bytes(self, request, status):
        path = self.write("request", request)
        # Through a shell, since what it writes are no lines of text.
        self.sluice("-c", 'exec "$0" --one-shot <"$1" >"$2"', self.program("sluice-loader"), path, path + ".answer",
                    program="/bin/sh", status=status)
        with open(path + ".answer", "rb") as file:
            answer = file.read()
        return msgpack.unpackb(answer, strict_map_key=False) if answer else None  # fails when anything else is there (L6)

    def files(self, *within):
        top = os.path.join(self.directory, *within)
        return sorted(os.path.relpath(os.path.join(at, name), top) for at, _, names in os.walk(top) for name in names)

    def test_a_snapshot_or_an_error(self):
        """L1, L2, L6: an error has its place, and is an answer."""
        good = self.ask(targets=["last.bst"])
        self.assertIsNone(good.get("error"))
        self.assertTrue(good["snapshot"].startswith(b"SLSNAP1\n"))
        self.assertEqual(good["elements"], 2)
        bad = self.ask(targets=["wrong.bst"])
        self.assertFalse(bad["snapshot"])
        self.assertEqual([bad["error"][key] for key in ("domain", "reason", "file", "line", "column")],
                         ["load", "invalid-yaml", "wrong.bst", 3, 0])

    def test_malformed(self):
        """L6: requests that aren't one end in status 2, without an answer."""
        for request in (b"", b"\xc1", msgpack.packb([1, 2]), msgpack.packb({"targets": 3})):
            with self.subTest(request=request):
                self.assertIsNone(self.ask_bytes(request, 2))

    def test_file(self):
        """L3: the file instead of the bytes, and nobody else's."""
        path = os.path.join(self.directory, "snapshots", "1")
        os.mkdir(os.path.dirname(path))
        answer = self.ask(targets=["last.bst"], snapshot_file=path)
        self.assertFalse(answer["snapshot"])
        self.assertEqual(answer["snapshot_file"], path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), self.ask(targets=["last.bst"])["snapshot"])
        self.assertEqual(os.listdir(os.path.dirname(path)), ["1"])

    def test_changes_nothing(self):
        """L4: nothing in the project; in the store only what it is told to import, as its key says."""
        before = self.files("project")
        self.ask(targets=["last.bst"])
        self.assertEqual(self.files("project"), before)
        self.assertEqual([name for name in self.files("cache") if "cas/objects/" in name], [])
        self.ask(targets=["last.bst"], import_sources=True)
        self.assertEqual(self.files("project"), before)
        kept = [name for name in self.files("cache") if "cas/objects/" in name]
        hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"  # sha256sum of "hello\n"
        self.assertTrue([name for name in kept if name.endswith("cas/objects/%s/%s" % (hello[:2], hello[2:]))], kept)


main()
