"""The umask that Sluice is run with: what is made for the user follows it, in the way of BuildStream (whose modes these are), and
what is built, its keys, and what a build sees, do not."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../differential"))
from projects import SHELL, make_root  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

PROJECT = {
    "project.conf": "name: mine\nmin-version: 2.0\nelement-path: elements\n",
    "elements/root.bst": "kind: import\nsources:\n- kind: local\n  path: files/root\n",
    "elements/src.bst": "kind: import\nsources:\n- kind: local\n  path: files/src\n",
    "elements/work.bst": "kind: manual\nbuild-depends: [root.bst]\nsources:\n- kind: local\n  path: files/src\nvariables:\n"
                         "  build-root: /deep/er/here\nconfig:\n  install-commands:\n"
                         "  - (umask; stat -c '%a %n' / /deep /deep/er /deep/er/here /deep/er/here/* %{install-root} /tmp) > seen\n"
                         "  - mkdir -p %{install-root}/d; cp -p seen plain exec %{install-root}; chmod 600 %{install-root}/plain\n",
    "files/src/plain": "plain\n",
    "files/src/exec": "#!/bin/sh\n",
}
MASKS = (0o022, 0o077, 0o002, 0o027)


def modes(top, *paths):
    return {path: "%o" % (os.stat(os.path.join(top, path)).st_mode & 0o7777) for path in paths}


class Umask(SluiceTest):
    def under(self, mask):
        """All that is compared: modes and keys, of a project and caches that are new."""
        at = self.project(PROJECT, name="mine-%03o" % mask)
        make_root(os.path.join(at, "files/root"), SHELL + ("stat",))
        os.chmod(os.path.join(at, "files/src/exec"), 0o755)
        cache = os.path.join(self.directory, "cache-%03o" % mask)
        config = os.path.join(self.directory, "%03o.conf" % mask)
        with open(config, "w", encoding="utf-8") as file:
            file.write("cachedir: %s\nsourcedir: %s/sources\nlogdir: %s/logs\n" % (cache, cache, cache))
        before = os.umask(mask)
        try:
            run = lambda *words: self.sluice("--config", config, *words, cwd=at).stdout  # noqa: E731
            run("build", "work.bst", "src.bst")
            same = [run("show", "--deps", "all", "--format", "%{name} %{full-key}", "work.bst"),
                    run("artifact", "list-contents", "--long", "work.bst")]
            run("artifact", "checkout", "--directory", at + "/out", "work.bst")
            run("artifact", "checkout", "--tar", at + "/out.tar", "work.bst")
            run("source", "checkout", "--directory", at + "/sources", "src.bst")
            run("workspace", "open", "--directory", at + "/ws", "src.bst")
        finally:
            os.umask(before)
        with open(at + "/out/seen", encoding="utf-8") as file:
            same.append(file.read())
        logs = os.path.join(cache, "logs")
        log = [os.path.relpath(os.path.join(where, name), cache) for where, _, names in os.walk(logs) for name in names if "build" in name][0]
        made = {**modes(at, "out", "out/d", "out/plain", "out/exec", "out.tar", "sources", "ws", "ws/plain", "ws/exec",
                        "ws/.bstproject.yaml", ".bst2", ".bst2/workspaces.yml"),
                **modes(cache, ".", "cas", "cas/objects", "artifacts", "artifacts/refs", "logs", os.path.dirname(log))}
        made.update({"log": modes(cache, log)[log], "object directory": max(modes(cache + "/cas/objects", *os.listdir(cache + "/cas/objects")).values())})
        shutil.rmtree(at)
        return same, made

    def test_what_follows_it_and_what_does_not(self):
        first = None
        for mask in MASKS:
            with self.subTest(umask="%03o" % mask):
                same, made = self.under(mask)
                first = first or same
                self.assertEqual(same, first)
                self.assertEqual(same[2].split("\n")[:4], ["0022", "755 /", "755 /deep", "755 /deep/er"])
                files = ("out/plain", "out.tar", "ws/plain", "ws/.bstproject.yaml", ".bst2/workspaces.yml", "log")
                self.assertEqual(made, {name: "%o" % ((0o666 if name in files else 0o777) & ~mask) for name in made})
        self.assert_nothing_left()


main()
