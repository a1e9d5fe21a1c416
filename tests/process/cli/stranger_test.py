#!/usr/bin/env python3
"""Another user of the machine, who may read the project and the cache, holds the lock of whatever he can open there:
everything goes on, for what is waited for lies where he opens nothing."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

NOBODY = 65534

# Takes every lock below the directory that it is given, says how many it has, and keeps them until it is ended.
STRANGER = """
import fcntl, os, sys, time
os.setgid(%d); os.setuid(%d)
held = []
for top, folders, files in os.walk(sys.argv[1]):
    for name in [top] + [os.path.join(top, name) for name in files]:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(fd)
        except OSError:
            pass
print("holds", len(held), flush=True)
time.sleep(3600)
""" % (NOBODY, NOBODY)


class Stranger(SluiceTest):
    def test_all_goes_on(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be another user")
        project = self.project({
            "project.conf": "name: shared\nmin-version: 2.0\nelement-path: elements\n",
            "elements/base.bst": "kind: import\nsources: [{kind: local, path: files/base}]\n",
            "elements/app.bst": "kind: manual\nbuild-depends: [base.bst]\nconfig: {install-commands: ['echo 1 >/dev/null']}\n",
            "elements/src.bst": "kind: import\nsources: [{kind: local, path: files/src}]\n",
            "files/src/a": "a\n",
            "elements/tar.bst": "kind: import\nsources: [{kind: remote, url: 'file://%s/data'}]\n" % self.directory,
        })
        self.base(programs=("sh",))
        self.write("data", "data\n")
        # The modes that a umask of 022 gives: the stranger may look into everything.
        for name in ("", "cache", "state", "home", "config", "run"):
            os.chmod(os.path.join(self.directory, name), 0o755)
        self.sluice("build", "app.bst", cwd=project)
        self.sluice("workspace", "open", "--directory", os.path.join(self.directory, "ws"), "src.bst", cwd=project)
        stranger = self.start("-c", STRANGER, self.directory, program=sys.executable)
        self.wait_until(lambda: "holds" in stranger.stdout, "the stranger's locks: " + stranger.stderr)
        self.assertGreater(int(stranger.stdout.split()[1]), 10)
        # This build uses the input root that is there, and makes another.
        self.write("project/elements/app.bst", "kind: manual\nbuild-depends: [base.bst]\nconfig: {install-commands: ['echo 2 >/dev/null']}\n")
        self.sluice("build", "app.bst", cwd=project)
        self.sluice("source", "track", "tar.bst", cwd=project)
        with open(os.path.join(project, "elements/tar.bst"), encoding="utf-8") as file:
            self.assertIn("ref:", file.read())
        self.sluice("workspace", "list", cwd=project)
        self.sluice("workspace", "close", "src.bst", cwd=project)
        self.sluice("session", "list", cwd=project)
        self.assertIsNone(stranger.poll())


main()
