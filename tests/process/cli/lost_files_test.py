"""Files of the user's: what a project needs is neither removed nor overwritten by workspaces and checkouts, and the refusal says where
it is needed; what may be replaced is there until the new one is whole. In a mount namespace of its own, for small filesystems."""

import os
import subprocess
import sys

if __name__ == "__main__" and not os.environ.get("SLUICE_TEST_NAMESPACE"):
    namespace = ["unshare", "--mount", "--propagation", "private"]
    if os.getuid() != 0:
        namespace = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]
    if subprocess.run([*namespace, "true"], check=False).returncode != 0:
        sys.exit("no mount namespace: unshare is missing or refused")
    os.environ["SLUICE_TEST_NAMESPACE"] = "1"
    os.execvp(namespace[0], [*namespace, sys.executable, *sys.argv])

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

LOCAL = "kind: import\nsources:\n- kind: local\n  path: %s\n"
PROJECT = {
    "project.conf": "name: mine\nmin-version: 2.0\nelement-path: elements\n(@): include/more.yml\n"
                    "options:\n  far:\n    type: bool\n    description: far\n    default: false\n",
    "include/more.yml": "variables:\n  more: files/seen\n",
    "elements/h.bst": LOCAL % "files/src",
    "elements/other.bst": LOCAL % "files/other",
    "elements/by-variable.bst": LOCAL % "'%{more}'",
    "elements/by-arch.bst": "kind: manual\n(?):\n- far:\n    sources:\n    - kind: local\n      path: files/arch\n",
    "elements/broken.bst": "kind: import\nsources:\n- kind: local\n  path: files/broken\n  nonsense: true\n",
    "elements/sub/deep.bst": "kind: stack\n",
    "files/src/main": "main\n",
    "files/src/sub/part": "part\n",
    "files/other/other": "other\n",
    "files/seen/seen": "seen\n",
    "files/arch/arch": "arch\n",
    "files/broken/broken": "broken\n",
}


def content(root):
    """Everything below a folder: the contents of files, and the names of folders."""
    found = {}
    for where, folders, files in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(where, name), root)] = None
        for name in files:
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = os.readlink(path) if os.path.islink(path) else file.read()
    return found


class LostFiles(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)

    def small(self, name, size):
        path = os.path.join(self.directory, name)
        os.makedirs(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d,mode=0755" % size, "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)
        return path

    def refused(self, *arguments, says, keeps=None, cwd=None):
        before = content(keeps or self.directory + "/project")
        result = self.sluice(*arguments, cwd=cwd or self.at, status=1)
        for text in says:
            self.assertIn(text, result.stderr)
        after = content(keeps or self.directory + "/project")
        for made in (".bst2", ".bst"):  # the lock's folder may be new
            before.pop(made, None), after.pop(made, None)
        self.assertEqual(after, before)

    def test_reset_of_sources_that_the_element_reads(self):
        self.sluice("workspace", "open", "h.bst", "--no-checkout", "--directory", "files/src", cwd=self.at)
        for verb in (["reset"], ["reset", "--all"], ["close", "--remove-dir"], ["close", "--remove-dir", "--all"]):
            names = [] if "--all" in verb else ["h.bst"]
            self.refused("workspace", *verb, *names, says=["h.bst [line 4 column 8]", "files/src", "which h.bst reads"])
        self.refused("workspace", "open", "--force", "h.bst", says=["h.bst [line 4 column 8]"])
        self.sluice("workspace", "close", "h.bst", cwd=self.at)
        self.assertEqual(content(self.at + "/files/src"), {"main": b"main\n", "sub": None, "sub/part": b"part\n"})

    def test_open_onto_what_the_project_needs(self):
        home = self.env["HOME"]
        self.write(home + "/letter", "dear\n")
        cases = {
            "files/src": ["h.bst [line 4 column 8]", "which h.bst reads"],
            "files/src/sub": ["h.bst [line 4 column 8]", "lies in"],
            "files": [".bst [line", "holds 'files/"],
            "files/arch": ["by-arch.bst [line 6 column 12]"],
            "files/seen": ["by-variable.bst [line 3 column 2]", "which by-variable.bst reads"],
            "include": ["project.conf [line 4 column 5]", "which project.conf includes"],
            "elements": ["project.conf [line 3 column 14]", "element path"],
            "elements/sub": ["project.conf [line 3 column 14]", "element path"],
            ".": ["project.conf"],
            "..": ["project.conf"],
            home: ["your home directory"],
            self.cachedir: ["the cache"],
        }
        self.sluice("source", "fetch", "other.bst", cwd=self.at)
        os.makedirs(self.cachedir + "/cas", exist_ok=True)
        os.remove(self.at + "/elements/broken.bst")  # a project that loads: sources named by variables are known too
        for directory, says in cases.items():
            with self.subTest(directory):
                self.refused("workspace", "open", "--force", "--directory", directory, "other.bst", says=says)
        self.assertEqual(content(home), {"letter": b"dear\n"})

    def test_a_project_with_mistakes_is_protected_too(self):
        for directory, element in (("files/src", "h.bst"), ("files/broken", "broken.bst"), ("files/arch", "by-arch.bst")):
            with self.subTest(directory):
                self.refused("workspace", "open", "--force", "--directory", directory, "other.bst", says=[element + " [line", directory])

    def test_another_workspace(self):
        self.sluice("workspace", "open", "h.bst", "--directory", "../ws/h", cwd=self.at)
        self.write("ws/h/edited", "edited\n")
        for directory in ("../ws/h", "../ws", "../ws/h/sub"):
            with self.subTest(directory):
                self.refused("workspace", "open", "--force", "--directory", directory, "other.bst",
                             says=["the workspace of h.bst", "workspaces.yml [line"], keeps=self.directory + "/ws")
        self.write("ws/h/.bst2", "")
        self.refused("workspace", "open", "--force", "--directory", "../ws/h/sub", "h.bst", says=["lies in the workspace that is replaced"],
                     keeps=self.directory + "/ws")
        # A workspace's own directory is replaced: nothing of the old one is left in it or beside it.
        self.sluice("workspace", "reset", "h.bst", cwd=self.at)
        self.assertEqual(sorted(content(self.directory + "/ws")), ["h", "h/.bstproject.yaml", "h/main", "h/sub", "h/sub/part"])
        self.sluice("workspace", "open", "--force", "h.bst", "--directory", "../ws/second", cwd=self.at)
        self.assertEqual(sorted(os.listdir(self.directory + "/ws")), ["second"])

    def test_a_link_to_a_workspace(self):
        os.makedirs(self.directory + "/real")
        os.symlink("real", self.directory + "/link")
        self.sluice("workspace", "open", "h.bst", "--directory", "../link/ws", cwd=self.at)
        self.sluice("workspace", "open", "--force", "h.bst", "--directory", "../real/ws", cwd=self.at)
        self.assertEqual(sorted(content(self.directory + "/real/ws")), [".bstproject.yaml", "main", "sub", "sub/part"])
        os.symlink("real/ws", self.directory + "/straight")
        self.sluice("workspace", "open", "--force", "h.bst", "--directory", "../straight", cwd=self.at)
        self.assertTrue(os.path.islink(self.directory + "/straight"))
        self.assertEqual(sorted(content(self.directory + "/real/ws")), [".bstproject.yaml", "main", "sub", "sub/part"])

    def test_an_empty_directory_stays_the_same(self):
        place = os.path.join(self.directory, "place")
        os.makedirs(place)
        inode = os.stat(place).st_ino
        self.sluice("-C", self.at, "workspace", "open", "h.bst", "--directory", ".", cwd=place)
        self.assertEqual(os.stat(place).st_ino, inode)
        self.assertIn("main", os.listdir(place))

    def test_no_room_for_the_new_one(self):
        disk = self.small("disk", 1 << 20)
        self.write(self.at + "/files/other/large", "x" * 700_000)
        self.sluice("workspace", "open", "other.bst", "--directory", disk + "/ws", cwd=self.at)
        self.write(disk + "/ws/edited", "edited\n")
        before, listed = content(disk), self.sluice("workspace", "list", cwd=self.at).stdout
        self.sluice("source", "fetch", "other.bst", cwd=self.at)
        failed = self.sluice("workspace", "reset", "other.bst", cwd=self.at, status=1)
        self.assertIn("No space left", failed.stderr)
        self.assertEqual(content(disk), before)
        self.assertEqual(self.sluice("workspace", "list", cwd=self.at).stdout, listed)
        self.write("disk/mine/file", "mine\n")
        before = content(disk)
        self.assertIn("No space left", self.sluice("workspace", "open", "--force", "other.bst", "--directory", disk + "/mine", cwd=self.at, status=1).stderr)
        self.assertEqual(content(disk), before)

    def test_a_directory_that_cannot_be_swapped(self):
        disk = self.small("disk", 1 << 20)  # a mount point
        self.write("disk/file", "mine\n")
        failed = self.sluice("workspace", "open", "--force", "h.bst", "--directory", disk, cwd=self.at, status=1)
        self.assertIn(disk, failed.stderr)
        self.assertEqual(content(disk), {"file": b"mine\n"})
        self.assertNotIn(".disk", "".join(os.listdir(self.directory)))

    def test_checkouts_leave_what_the_project_needs(self):
        self.sluice("build", "h.bst", cwd=self.at)
        self.write("project/files/src/main", "changed since\n")
        self.sluice("--no-strict", "show", "h.bst", cwd=self.at)
        key = self.sluice("artifact", "show", "mine/h/*", cwd=self.at).stdout.split()[-1]
        os.makedirs(self.at + "/elements/usr")
        for arguments in (["artifact", "checkout", "--force", "--deps", "none", "--directory", "files/src", key],
                          ["source", "checkout", "--force", "--directory", "files", "h.bst"],
                          ["artifact", "checkout", "--force", "--deps", "none", "--tar", "project.conf", key],
                          ["artifact", "checkout", "--force", "--deps", "none", "--tar", "elements/h.bst", key],
                          ["source", "checkout", "--force", "--tar", "files/src/main", "h.bst"]):
            with self.subTest(arguments):
                if arguments[4] == "files":
                    self.write("project/files/h/main", "not needed\n")
                    self.sluice(*arguments, cwd=self.at)
                    continue
                self.refused(*arguments, says=["is left as it is"])
        # A directory that no element needs may be in the project.
        self.write("project/out/main", "old\n")
        self.sluice("artifact", "checkout", "--force", "--deps", "none", "--directory", "out", key, cwd=self.at)
        self.assertEqual(content(self.at + "/out")["main"], b"main\n")

    def test_a_checkout_without_room_loses_nothing(self):
        self.write(self.at + "/files/other/large", "x" * 700_000)
        self.sluice("build", "other.bst", cwd=self.at)
        disk = self.small("disk", 1 << 20)
        self.write("disk/out/large", "mine" * 100_000)
        self.write("disk/out.tar", "mine\n")
        before = content(disk)
        for arguments in (["artifact", "checkout", "--force", "--directory", disk + "/out", "other.bst"],
                          ["artifact", "checkout", "--force", "--tar", disk + "/out.tar", "other.bst"],
                          ["source", "checkout", "--force", "--tar", disk + "/out.tar", "other.bst"]):
            with self.subTest(arguments):
                self.assertIn("No space left", self.sluice(*arguments, cwd=self.at, status=1).stderr)
                self.assertEqual(content(disk), before)

    def test_an_archive_in_the_place_of_another(self):
        self.sluice("build", "h.bst", cwd=self.at)
        self.write("out.tar", "old\n", mode=0o640)
        os.symlink("out.tar", self.directory + "/link.tar")
        self.sluice("artifact", "checkout", "--force", "--tar", self.directory + "/link.tar", "h.bst", cwd=self.at)
        self.assertTrue(os.path.islink(self.directory + "/link.tar"))
        self.assertEqual(os.stat(self.directory + "/out.tar").st_mode & 0o777, 0o640)
        self.assertGreater(os.stat(self.directory + "/out.tar").st_size, 1000)
        piped = self.sluice("artifact", "checkout", "--force", "--tar", "/dev/stdout", "h.bst", cwd=self.at).stdout
        self.assertIn("./main", piped)


main()
