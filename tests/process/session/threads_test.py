"""A user who may have few processes and threads (RLIMIT_NPROC): commands do their work with what there is, or say what they lack."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402

# A user whom nobody else is: the limit counts all processes of one. It doesn't bind root.
USER = 2_000_000_321
ELEMENTS = 200  # enough for reading and resolving them in several threads
MOST = 60


class Threads(SluiceTest):
    def setUp(self):
        super().setUp()
        if os.getuid() != 0:
            self.skipTest("root alone can be a user who has no other processes")

    def programs(self):
        """Copies of the programs where that user may run them: a checkout in root's home lets nobody else in."""
        at = os.path.join(self.directory, "bin")
        os.mkdir(at)
        for name in ("sluice", "sluice-loader"):
            shutil.copy2(self.program(name), at)
        return at

    def own(self):
        for where, _, names in os.walk(self.directory):
            for path in [where] + [os.path.join(where, name) for name in names]:
                os.chown(path, USER, USER, follow_symlinks=False)

    def limited(self, limit, *arguments, cwd):
        """A command of that user's, with so many processes and threads, and nothing in its cache: what it answered before isn't used."""
        remove_tree(self.env["XDG_CACHE_HOME"])
        os.mkdir(self.env["XDG_CACHE_HOME"])
        os.chown(self.env["XDG_CACHE_HOME"], USER, USER)
        return super().sluice("--reuid=%d" % USER, "--regid=%d" % USER, "--clear-groups", "prlimit", "--nproc=%d" % limit,
                              os.path.join(self.copies, "sluice"), *arguments, program="/usr/bin/setpriv", cwd=cwd, status=None)

    def test_every_limit(self):
        files = {"project.conf": "name: many\nmin-version: 2.0\nelement-path: elements\n"}
        for number in range(ELEMENTS):
            below = "depends: [e%d.bst]\n" % (number // 2) if number > 1 else ""
            files["elements/e%d.bst" % number] = "kind: stack\n" + below
        files["elements/all.bst"] = "kind: stack\ndepends: [%s]\n" % ", ".join("e%d.bst" % number for number in range(ELEMENTS))
        at = self.project(files)
        self.copies = self.programs()
        self.own()
        command = ("show", "--format", "%{name} %{full-key}", "all.bst")
        expected = self.limited(1000, *command, cwd=at)
        self.assertEqual(expected.code, 0)
        self.assertEqual(len(expected.stdout.splitlines()), ELEMENTS + 1)
        fewest = None
        for limit in range(1, MOST):
            done = self.limited(limit, *command, cwd=at)
            self.assert_told(done, limit)
            if done.code == 0:
                self.assertEqual(done.stdout, expected.stdout)
                fewest = fewest or limit
                if limit > fewest + 5:
                    break
        self.assertIsNotNone(fewest, "no limit was enough")

    def assert_told(self, done, limit):
        """Nothing crashed, and what failed says of what there was too little."""
        said = done.stdout + done.stderr
        for session in self.sessions():
            logs = os.path.join(self.session_directory(session), "logs")
            for name in os.listdir(logs) if os.path.isdir(logs) else []:
                with open(os.path.join(logs, name), encoding="utf-8", errors="replace") as file:
                    said += file.read()
        for words in ("terminate called", "signal 6", "Aborted", "thread.cpp"):
            self.assertNotIn(words, said, limit)
        if done.code != 0:
            self.assertIn("Resource temporarily unavailable", done.stderr, limit)


main()
