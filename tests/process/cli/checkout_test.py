"""`sluice artifact checkout` and `shell` with their options; $SLUICE_BST: each beside bst, from the same cache."""

import array
import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import tarfile
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../differential"))
from cachefiles import ARTIFACT, Cache, decode, field, varint  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

FIXED = 1321009871  # the time of everything in the cache
IMPORT = "kind: import\nsources:\n- kind: local\n  path: files/%s\n"

PROJECT = {
    "project.conf": "name: out\nmin-version: 2.0\nelement-path: elements\n",
    "elements/base.bst": IMPORT % "base" + "public:\n  bst:\n    integration-commands:\n    - echo integrated > /etc-integrated\n    - mkdir /made\n",
    "elements/lib.bst": IMPORT % "lib" + "runtime-depends: [base.bst]\n",
    "elements/tool.bst": IMPORT % "tool",
    "elements/app.bst": IMPORT % "app" + "build-depends: [tool.bst]\nruntime-depends: [lib.bst]\n",
    "files/lib/usr/lib/lib": "lib\n",
    "files/tool/usr/bin/tool": "tool\n",
    "files/app/usr/bin/app": "#!/bin/sh\n",
    "files/app/usr/share/app/data": "data\n",
}


def tree(root):
    """What a checkout is: by path its type, mode, content or target, and whether its time is that of the cache."""
    found = {}
    for where, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(where, name)
            info = os.lstat(path)
            kind = stat.S_IFMT(info.st_mode)
            content = ""
            if kind == stat.S_IFLNK:
                content = os.readlink(path)
            elif kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = file.read()
            # A link's own time and mode are nobody's choice.
            rest = () if kind == stat.S_IFLNK else (oct(stat.S_IMODE(info.st_mode)), info.st_mtime == FIXED)
            found[os.path.relpath(path, root)] = (kind, content) + rest
    return found


def members(path):
    with tarfile.open(path) as tar:
        return {m.name: (m.type, oct(m.mode), m.uid, m.gid, m.uname, m.gname, m.mtime, m.linkname,
                         tar.extractfile(m).read() if m.isfile() else b"") for m in tar}


class Checkout(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)
        self.base()
        os.makedirs(os.path.join(self.at, "files/app/empty"))
        os.chmod(os.path.join(self.at, "files/app/usr/bin/app"), 0o755)
        os.symlink("app", os.path.join(self.at, "files/app/usr/bin/link"))
        os.symlink("/nowhere", os.path.join(self.at, "files/app/usr/dangling"))

    def out(self, *arguments, status=0, into="out"):
        where = os.path.join(self.directory, into)
        result = self.sluice("artifact", "checkout", *arguments, "--directory", where, cwd=self.at, status=status)
        return tree(where) if status == 0 else result

    def test_options(self):
        self.sluice("build", "app.bst", cwd=self.at)
        began = int(time.time())
        plain = self.out("app.bst")
        self.assertEqual(plain["usr/bin/app"], (stat.S_IFREG, b"#!/bin/sh\n", "0o755", False))
        self.assertEqual(plain["usr/share/app/data"], (stat.S_IFREG, b"data\n", "0o644", False))
        self.assertEqual(plain["usr/bin/link"], (stat.S_IFLNK, "app"))
        self.assertEqual(plain["empty"][0], stat.S_IFDIR)
        self.assertEqual(plain["etc-integrated"][1], b"integrated\n")
        self.assertIn("made", plain)
        self.assertNotIn("usr/bin/tool", plain)
        self.assertGreaterEqual(os.stat(os.path.join(self.directory, "out/usr/share/app/data")).st_mtime, began)
        self.assertNotIn("etc-integrated", self.out("--no-integrate", "app.bst", into="raw"))
        self.assertEqual(set(self.out("--deps", "none", "--no-integrate", "app.bst", into="none")) & {"usr/lib", "bin"}, set())
        built_with = self.out("--deps", "build", "--no-integrate", "app.bst", into="build")
        self.assertEqual([path for path in sorted(built_with) if path.startswith("usr/bin/")], ["usr/bin/tool"])
        everything = self.out("--deps", "all", "app.bst", into="all")
        self.assertTrue({"usr/bin/tool", "usr/bin/app", "usr/lib/lib"} <= set(everything))

        linked = self.out("--hardlinks", "app.bst", into="linked")
        self.assertEqual({path: entry[:2] for path, entry in linked.items()}, {path: entry[:2] for path, entry in plain.items()})
        data = os.stat(os.path.join(self.directory, "linked/usr/share/app/data"))
        self.assertGreater(data.st_nlink, 1)
        self.assertEqual((oct(stat.S_IMODE(data.st_mode)), data.st_mtime), ("0o444", FIXED))
        # The store's own objects are not what a user gets to write to.
        objects = {os.stat(os.path.join(where, name)).st_ino for where, _, names in os.walk(os.path.join(self.cachedir, "cas/objects")) for name in names}
        self.assertNotIn(data.st_ino, objects)

    def test_what_overwrites_what_is_said(self):
        self.write(os.path.join(self.at, "elements/over.bst"), IMPORT % "over" + "runtime-depends: [lib.bst]\n")
        self.write(os.path.join(self.at, "files/over/usr/lib/lib"), "other\n")
        self.sluice("build", "over.bst", cwd=self.at)
        where = os.path.join(self.directory, "out")
        for command in (["artifact", "checkout", "--directory", where], ["shell"]):
            said = self.sluice(*command, "over.bst", *([] if where in command else ["--", "true"]), cwd=self.at)
            self.assertEqual(said.stderr.count("WARNING [overlaps]: Non-whitelisted overlaps detected"), 1, said.stderr)
            self.assertIn("/usr/lib/lib: over.bst is not permitted to overlap other elements, order over.bst above lib.bst", said.stderr)

    def test_refusals(self):
        self.sluice("build", "app.bst", cwd=self.at)
        self.out("app.bst")
        self.assertIn("not empty", self.out("app.bst", status=1).stderr)
        self.write("out/usr/share/app/data", "changed")
        self.write("out/mine", "stays")
        forced = self.out("--force", "app.bst")
        self.assertEqual((forced["usr/share/app/data"][1], forced["mine"][1]), (b"data\n", b"stays"))
        archive = os.path.join(self.directory, "a.tar")
        for wrong in (["--hardlinks", "--tar", archive], ["--tar", archive, "--directory", "x"], ["--compression", "gz"], ["--tar", "a.tar.zip"]):
            self.assertNotEqual(self.sluice("artifact", "checkout", *wrong, "app.bst", cwd=self.at, status=None).code, 0)
        self.assertFalse(os.path.exists(archive))
        # Nothing is ever written through a link that leads out.
        os.makedirs(os.path.join(self.directory, "elsewhere"))
        os.makedirs(os.path.join(self.directory, "trap"))
        os.symlink(os.path.join(self.directory, "elsewhere"), os.path.join(self.directory, "trap/usr"))
        self.sluice("artifact", "checkout", "--force", "--directory", os.path.join(self.directory, "trap"), "app.bst", cwd=self.at, status=None)
        self.assertEqual(os.listdir(os.path.join(self.directory, "elsewhere")), [])

    def test_archives(self):
        self.sluice("build", "app.bst", cwd=self.at)
        first = None
        for name, magic in (("a.tar", None), ("a.tar.gz", b"\x1f\x8b"), ("a.tar.xz", b"\xfd7zXZ"), ("a.tar.bz2", b"BZh"), ("a.tgz", None)):
            path = os.path.join(self.directory, name)
            self.sluice("artifact", "checkout", "--tar", path, "app.bst", cwd=self.at)
            if magic:
                with open(path, "rb") as file:
                    self.assertTrue(file.read(8).startswith(magic), name)
            first = first or members(path)
            self.assertEqual(members(path), first)
        self.assertEqual(first["./usr/bin/app"][:7], (tarfile.REGTYPE, "0o755", 0, 0, "", "", FIXED))
        odd = os.path.join(self.directory, "b.tar.gz")
        result = self.sluice("artifact", "checkout", "--tar", odd, "--compression", "xz", "app.bst", cwd=self.at)
        self.assertIn("overridden by --compression", result.stderr)
        with open(odd, "rb") as file:
            self.assertTrue(file.read(6).startswith(b"\xfd7zXZ"))

    @unittest.skipUnless("SLUICE_BST" in os.environ, "set SLUICE_BST to compare with bst")
    def test_beside_bst(self):
        self.sluice("build", "app.bst", cwd=self.at)
        count = 0

        def both(arguments, prepare=None):
            nonlocal count
            count += 1
            results = []
            for name, run in (("ours", self.sluice), ("theirs", self.bst)):
                where = os.path.join(self.directory, "%s-%d" % (name, count))
                if prepare:
                    prepare(where)
                result = run("artifact", "checkout", *arguments, "--directory", where, "app.bst", cwd=self.at, status=None)
                results.append((result.code == 0, tree(where) if os.path.isdir(where) else None))
            self.assertEqual(*results, arguments)

        def occupied(where):
            os.makedirs(os.path.join(where, "usr/share/app"))
            for path in ("usr/share/app/data", "mine"):
                with open(os.path.join(where, path), "w", encoding="utf-8") as file:
                    file.write("old")

        for arguments in ([], ["--no-integrate"], ["--integrate"], ["--hardlinks"], ["--hardlinks", "--no-integrate"], ["--deps", "none", "--no-integrate"],
                          ["--deps", "build", "--no-integrate"], ["--deps", "all"], ["--force"], ["--force", "--hardlinks"]):
            both(arguments)
        both([], occupied)
        both(["--force"], occupied)
        for name in ("a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2"):
            archives = []
            for run in (self.sluice, self.bst):
                path = os.path.join(self.directory, "%d-%s" % (len(archives), name))
                run("artifact", "checkout", "--tar", path, "app.bst", cwd=self.at)
                archives.append(members(path))
            self.assertEqual(*archives, name)
        for wrong in (["--hardlinks", "--tar", "x.tar"], ["--tar", "x.tar", "--directory", "x"], ["--compression", "gz"], ["--tar", "x.tar.zip"]):
            codes = [run("artifact", "checkout", *wrong, "app.bst", cwd=self.at, status=None).code != 0 for run in (self.sluice, self.bst)]
            self.assertEqual(codes, [True, True], wrong)


    def test_interrupted(self):
        """A command that works for long ends by the signals that end commands, also after a build of its own."""
        with open(os.path.join(self.at, "files/app/large"), "wb") as file:
            file.truncate(8 << 20)
        self.sluice("build", "app.bst", cwd=self.at)
        source = ("source", "checkout", "--tar", "-", "app.bst")
        for number in (signal.SIGTERM, signal.SIGINT):
            for verb in (("artifact", "checkout", "--tar", "-", "app.bst"), source):
                process = subprocess.Popen([self.program("sluice"), *verb], cwd=self.at, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                try:
                    # Its output is in a pipe that nobody reads: from here on it can't end by itself.
                    self.wait_until(lambda: self.readable(process.stdout) > 0, "the beginning of the archive")
                    process.send_signal(number)
                    self.assertEqual(process.wait(20), -number, verb)
                finally:
                    process.kill()
                    process.communicate()

    def readable(self, file):
        count = array.array("i", [0])
        fcntl.ioctl(file.fileno(), termios.FIONREAD, count)
        return count[0]

    def test_unfolds(self):
        """An artifact whose messages of 3 KB would be a million directories."""
        self.sluice("build", "tool.bst", cwd=self.at)
        key = self.sluice("show", "--deps", "none", "--format", "%{full-key}", "tool.bst", cwd=self.at).stdout.strip()
        ref = os.path.join(self.cachedir, "artifacts/refs/out/tool", key)
        cache = Cache(self.cachedir)
        with open(ref, "rb") as file:
            artifact = file.read()
        files = decode(artifact, ARTIFACT)["files"]
        below = cache.add(b"")
        for _ in range(20):
            # Two entries, "a" and "b", with one digest.
            below = cache.add(b"".join(field(2, field(1, name) + field(2, below)) for name in (b"a", b"b")))
        before = field(1, files["hash"].encode()) + b"\x10" + varint(files["size"])
        self.assertEqual(artifact.count(field(8, before)), 1)
        # The artifact is replaced under both of its keys.
        for where, _, names in os.walk(os.path.join(self.cachedir, "artifacts/refs/out/tool")):
            for name in names:
                with open(os.path.join(where, name), "wb") as file:
                    file.write(artifact.replace(field(8, before), field(8, below)))
        for verb in (("checkout", "--deps", "none", "--directory", "hostile"), ("list-contents",)):
            wrong = self.sluice("artifact", *verb, "out/tool/" + key, cwd=self.at, status=None)
            self.assertRegex(wrong.stdout + wrong.stderr, "not (yet )?cached")
        self.assertFalse(os.path.exists(os.path.join(self.at, "hostile/a")))
        # The hostile artifact counts as none, so that the element is built again, and can be used.
        self.sluice("build", "tool.bst", cwd=self.at)
        self.assertIn("usr/bin/tool", self.out("--no-integrate", "tool.bst", into="good"))


class Shell(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": "name: sh\nmin-version: 2.0\nelement-path: elements\nshell:\n  command: [sh]\n  environment:\n    GREETING: hello\n"
                            "    INHERITED: $INHERITED\n  host-files:\n  - %s\n" % __file__,
            "elements/base.bst": IMPORT % "base" + "environment:\n  OWN: element\n",
        })
        self.base()
        self.env["INHERITED"] = "from-outside"
        self.sluice("build", "base.bst", cwd=self.at)

    def shell(self, *arguments, status=0):
        return self.sluice("shell", *arguments, cwd=self.at, status=status)

    def test_isolate(self):
        show = "echo [$GREETING][$INHERITED][$OWN]; if test -e %s; then echo file; fi" % __file__
        # test(1) is not in the base; sh has it built in.
        open_ = self.shell("base.bst", "--", "sh", "-c", show).stdout
        isolated = self.shell("--isolate", "base.bst", "--", "sh", "-c", show).stdout
        self.assertEqual(open_, "[hello][from-outside][element]\nfile\n")
        self.assertEqual(isolated, "[][][element]\n")
        # A shell has the host's network; with --isolate it has none.
        interfaces = [re.findall(r"^\s*(\S+):", self.shell(*which, "base.bst", "--", "cat", "/proc/net/dev").stdout, re.M) for which in ([], ["--isolate"])]
        with open("/proc/net/dev", encoding="utf-8") as file:
            self.assertEqual(interfaces, [re.findall(r"^\s*(\S+):", file.read(), re.M), ["lo"]])

    def test_mount(self):
        self.write("host/one", "of the host\n")
        host = os.path.join(self.directory, "host")
        mounts = ["--mount", host, "/mnt/here", "--mount", host + "/one", "/etc/file", "base.bst", "--", "cat", "/mnt/here/one", "/etc/file"]
        self.assertEqual(self.shell(*mounts).stdout, "of the host\nof the host\n")
        self.assertNotEqual(self.shell("--isolate", *mounts, status=None).code, 0)  # as in bst: nothing of the host
        self.shell("--mount", host, "/mnt", "base.bst", "--", "sh", "-c", "echo written > /mnt/two")
        with open(os.path.join(host, "two"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "written\n")
        missing = self.shell("--mount", host + "/none", "/mnt", "base.bst", "--", "true", status=None)
        self.assertNotEqual(missing.code, 0)
        self.assertIn(host + "/none", missing.stderr)
        self.assertNotEqual(self.shell("base.bst", "--", "sh", "-c", "echo x > /etc-file", status=None).code, 0)
        self.assertEqual(self.shell("base.bst", "--", "sh", "-c", "exit 7", status=None).code, 7)

    @unittest.skipUnless("SLUICE_BST" in os.environ, "set SLUICE_BST to compare with bst")
    def test_beside_bst(self):
        self.write("host/one", "of the host\n")
        host = os.path.join(self.directory, "host")
        for arguments in (["base.bst", "--", "sh", "-c", "echo [$GREETING][$OWN]"], ["--isolate", "base.bst", "--", "sh", "-c", "echo [$GREETING][$OWN]"],
                          ["--mount", host, "/mnt", "base.bst", "--", "cat", "/mnt/one"], ["base.bst", "--", "sh", "-c", "exit 7"]):
            ours, theirs = [run("shell", *arguments, cwd=self.at, status=None) for run in (self.sluice, self.bst)]
            self.assertEqual((ours.code, ours.stdout), (theirs.code, theirs.stdout), arguments)


main()
