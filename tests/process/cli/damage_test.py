"""A byte that was changed in the cache never leaves it: builds and checkouts notice, and it is built or pulled again in the same run;
`store check` finds it and repairs."""

import glob
import hashlib
import os
import re
import shutil
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402

DATA = b"what the library holds, and every build must see as it is\n"


def flip(path):
    """Another byte in the middle; size, mode and times stay."""
    info = os.stat(path)
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 1
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.write(data)
    os.chmod(path, stat.S_IMODE(info.st_mode))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


class Damage(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": "name: small\nmin-version: 2.0\nelement-path: elements\n",
            "files/lib/data": DATA.decode(),
            "elements/base.bst": "kind: import\nsources: [{kind: local, path: files/base}]\n",
            "elements/lib.bst": "kind: import\nsources: [{kind: local, path: files/lib}]\n",
            "elements/made.bst": "kind: manual\nbuild-depends: [base.bst]\n"
                                 "config: {install-commands: ['echo made here > %{install-root}/made']}\n",
        })
        self.base()
        for number in range(3):
            self.write(os.path.join(self.at, "elements/use%d.bst" % number),
                       "kind: manual\nbuild-depends: [base.bst, lib.bst, made.bst]\n"
                       "config: {install-commands: ['cat /data /made > %%{install-root}/copy%d']}\n" % number)

    def object_of(self, content):
        digest = hashlib.sha256(content).hexdigest()
        return os.path.join(self.cachedir, "cas/objects", digest[:2], digest[2:])

    def copy(self, number):
        out = os.path.join(self.directory, "out%d" % number)
        self.sluice("artifact", "checkout", "--directory", out, "use%d.bst" % number, cwd=self.at)
        with open(os.path.join(out, "copy%d" % number), "rb") as file:
            return file.read()

    def forget_copies(self):
        remove_tree(os.path.join(self.cachedir, "sluice/roots"))
        remove_tree(os.path.join(self.cachedir, "sluice/files"))

    def test_a_build_heals_the_store(self):
        self.sluice("build", "use0.bst", cwd=self.at)
        # A file that a build made is built again; one that the project has is imported again.
        for number, content, again in ((1, b"made here\n", "made.bst"), (2, DATA, "lib.bst")):
            self.forget_copies()
            flip(self.object_of(content))
            built = self.sluice("build", "use%d.bst" % number, cwd=self.at)
            text = built.stdout + built.stderr
            self.assertRegex(text, r"was damaged in the store")
            self.assertRegex(text, r"build:(small/)?%s" % re.escape(again))
            self.assertEqual(self.copy(number), DATA + b"made here\n")
            self.sluice("store", "check")

    def test_a_build_does_not_see_a_damaged_copy(self):
        self.sluice("build", "use0.bst", cwd=self.at)
        digest = hashlib.sha256(DATA).hexdigest()
        twins = glob.glob(os.path.join(self.cachedir, "sluice/files", digest[:2], digest[2:] + "-*"))
        self.assertTrue(twins)
        for twin in twins:
            flip(twin)
        # The damaged file lies in an input root that an earlier session made.
        self.sluice("build", "use1.bst", cwd=self.at)
        self.assertEqual(self.copy(1), DATA + b"made here\n")

    def test_checkout(self):
        self.sluice("build", "lib.bst", cwd=self.at)
        out = os.path.join(self.directory, "out")
        for options in (["--directory", out], ["--hardlinks", "--directory", out], ["--tar", out + ".tar"]):
            flip(self.object_of(DATA))
            said = self.sluice("artifact", "checkout", *options, "lib.bst", cwd=self.at, status=1)
            self.assertIn("was damaged in the store", said.stderr)
            self.assertFalse(os.path.exists(os.path.join(out, "data")))
            self.assertFalse(os.path.exists(out + ".tar"))
            # The element counts as not cached from here on, so that it is built again.
            self.sluice("build", "lib.bst", cwd=self.at)
            shutil.rmtree(out, ignore_errors=True)
        self.sluice("artifact", "checkout", "--directory", out, "lib.bst", cwd=self.at)
        with open(os.path.join(out, "data"), "rb") as file:
            self.assertEqual(file.read(), DATA)

    def test_checkout_pulls_what_is_damaged(self):
        server = self.start("--bind", "127.0.0.1:0", "--allow-push", os.path.join(self.directory, "served"), program="sluice-cas")
        self.wait_until(lambda: re.search(r"http://\S+", server.stdout), "the address of the server")
        remote = ("--artifact-remote", re.search(r"http://\S+", server.stdout).group(0))
        self.sluice("build", *remote, "lib.bst", cwd=self.at)
        flip(self.object_of(DATA))
        out = os.path.join(self.directory, "out")
        self.sluice("artifact", "checkout", *remote, "--directory", out, "lib.bst", cwd=self.at)
        with open(os.path.join(out, "data"), "rb") as file:
            self.assertEqual(file.read(), DATA)

    def test_store_check(self):
        self.assertIn("There is no cache", self.sluice("store", "check", status=1).stderr)
        self.sluice("build", "use0.bst", cwd=self.at)
        good = self.sluice("store", "check").stdout
        self.assertRegex(good, r"^\d+ objects, \d+ refs: 0 damaged, 0 incomplete, 0 damaged copies\n$")
        path = self.object_of(b"made here\n")
        flip(path)
        found = self.sluice("store", "check", status=1).stdout
        self.assertIn("damaged: " + os.path.relpath(path, self.cachedir), found)
        self.assertTrue(os.path.exists(path))
        repaired = self.sluice("store", "check", "--repair").stdout
        self.assertRegex(repaired, r"1 damaged, [1-9]\d* incomplete, 0 damaged copies; [1-9]\d* removed\n$")
        self.assertFalse(os.path.exists(path))
        self.assertIn(" 0 damaged, 0 incomplete", self.sluice("store", "check").stdout)
        self.sluice("build", "use0.bst", "made.bst", cwd=self.at)
        self.assertEqual(self.copy(0), DATA + b"made here\n")


if __name__ == "__main__":
    main()
