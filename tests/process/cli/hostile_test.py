"""Every command where something that it counts on isn't there: its folder, its home, room on the disk, descriptors. It does its work or
says what is wrong; nothing ends by a signal or an exception, and nothing hangs. In a mount namespace of its own, for small filesystems."""

import os
import resource
import shutil
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

PROJECT = {
    "project.conf": "name: mine\nmin-version: 2.0\nelement-path: elements\naliases:\n  far: file:///nowhere/\n",
    "elements/a.bst": "kind: import\nsources:\n- kind: local\n  path: files\n",
    "elements/s.bst": "kind: stack\ndepends: [a.bst]\n",
    "elements/far.bst": "kind: import\nsources:\n- kind: remote\n  url: far:gone\n  ref: " + "0" * 64 + "\n",
    "files/file": "file\n",
}
COMMANDS = [
    ["build", "s.bst"], ["build"], ["show", "s.bst"], ["show"], ["query", "deps(s.bst)"], ["why", "a.bst"], ["explain", "a.bst"], ["sbom"],
    ["shell", "s.bst", "--", "true"], ["shell", "--build", "a.bst", "--", "true"], ["source", "fetch", "far.bst"], ["source", "track", "far.bst"],
    ["source", "checkout", "--directory", "OUT/sources", "a.bst"], ["source", "checkout", "--tar", "OUT/s.tar", "a.bst"], ["source", "push", "a.bst"],
    ["workspace", "list"], ["workspace", "open", "--directory", "OUT/ws", "a.bst"], ["workspace", "reset", "a.bst"],
    ["workspace", "open", "--force", "--directory", "OUT/ws", "a.bst"], ["workspace", "close", "--remove-dir", "a.bst"],
    ["artifact", "show", "s.bst"], ["artifact", "checkout", "--directory", "OUT/artifact", "a.bst"], ["artifact", "checkout", "--tar", "OUT/a.tar", "a.bst"],
    ["artifact", "list-contents", "a.bst"], ["artifact", "log", "a.bst"], ["artifact", "log", "--out", "OUT/log", "a.bst"],
    ["artifact", "pull", "a.bst"], ["artifact", "push", "a.bst"], ["artifact", "delete", "s.bst"], ["init", "--project-name", "new", "OUT/new"],
    ["session", "list"], ["session", "attach"], ["session", "suspend"], ["session", "stop"], ["help", "build"], ["--version"], ["build", "--bogus"],
]


class Hostile(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)
        self.out = os.path.join(self.directory, "out")
        self.plain = {name: value for name, value in self.env.items() if not name.startswith("XDG_")}

    def small(self, name, options):
        path = os.path.join(self.directory, name)
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)
        return path

    def run_one(self, arguments, env, cwd=None, preexec=None, shell=None):
        argv = [self.program("sluice")] + [word.replace("OUT", self.out) for word in arguments]
        if shell is not None:
            argv = ["sh", "-c", shell, "sh"] + argv
        done = subprocess.run(argv, cwd=cwd or self.at, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
                              preexec_fn=preexec)
        told = done.stderr.decode("utf-8", "replace")
        what = "%s\n%s%s[status %d]" % (" ".join(argv), done.stdout.decode("utf-8", "replace")[-2000:], told[-4000:], done.returncode)
        self.assertIn(done.returncode, (0, 1, 2), what)
        for sign in ("terminate called", "what():", "std::", "Aborted", "core dumped", "Segmentation", "ended unexpectedly", "Assertion", "internal error"):
            self.assertNotIn(sign, told, what)
        if done.returncode != 0:
            self.assertNotEqual(told.strip(), "", what)
        return done.returncode, told

    def all(self, env, commands=COMMANDS, **how):
        codes = {}
        os.makedirs(self.out, exist_ok=True)
        for arguments in commands:
            with self.subTest(" ".join(arguments)):
                codes[" ".join(arguments)] = self.run_one(arguments, env, **how)
        self.wait_until(lambda: not self.pids("sluice-session"), "sessions to end")
        return codes

    def test_a_folder_that_was_deleted(self):
        gone = 'mkdir -p "$0.gone"; cd "$0.gone"; rmdir "$0.gone"; exec "$@"'.replace("$0", os.path.join(self.directory, "here"))
        for front, commands in (([], COMMANDS), (["-C", self.at], COMMANDS[::3]), (["-C", "relative"], COMMANDS[::6])):
            codes = self.all(self.env, commands=[front + command for command in commands], shell=gone)
            key = " ".join(front + ["build", "s.bst"])
            self.assertEqual(codes[key][0], 0 if front == ["-C", self.at] else 1, codes[key])
            if front != ["-C", self.at]:
                self.assertIn("The current directory can't be found", codes[key][1])
        # Completion has no current directory either.
        done = subprocess.run(["sh", "-c", gone, "sh", self.program("sluice")], env={**self.env, "_SLUICE_COMPLETION": "1",
                                                                                  "COMP_WORDS": "sluice show ", "COMP_CWORD": "2"}, check=False, capture_output=True)
        self.assertIn(done.returncode, (0, 1, 2), done.stderr)
        self.assertNotIn(b"terminate", done.stderr)

    def test_a_home_that_is_not_there(self):
        codes = self.all({**self.plain, "HOME": os.path.join(self.directory, "nowhere")})
        self.assertEqual(codes["build s.bst"][0], 0, codes["build s.bst"])

    def test_a_home_that_cannot_be_made_or_written(self):
        read_only = self.small("readonly", "ro,size=64k")
        for home, why in ((read_only + "/below", "Read-only file system"), (os.path.join(self.at, "project.conf"), "Not a directory")):
            codes = self.all({**self.plain, "HOME": home})
            for command in ("help build", "--version", "init --project-name new OUT/new"):
                self.assertEqual(codes[command][0], 0, codes[command])
            self.assertEqual(codes["build s.bst"][0], 1)
            self.assertIn(why, codes["build s.bst"][1])
            shutil.rmtree(self.out)

    def test_no_home(self):
        for env, commands in (({}, COMMANDS), ({"HOME": "relative"}, COMMANDS[::5])):
            without = {name: value for name, value in self.plain.items() if name != "HOME"}
            config = self.write("conf", "cachedir: {0}\nsourcedir: {0}/sources\nlogdir: {0}/logs\n".format(self.cachedir))
            self.all({**without, **env, "XDG_STATE_HOME": self.state}, commands=[["--config", config] + command for command in commands])

    def test_a_full_disk(self):
        for size, files, commands in (("4k", 8, COMMANDS[::3]), ("64k", 200, COMMANDS[1::3]), ("256k", 1000, COMMANDS)):
            disk = self.small("disk" + size, "size=%s,nr_inodes=%d" % (size, files))
            env = {**self.env, **{"XDG_%s_HOME" % kind: os.path.join(disk, kind.lower()) for kind in ("STATE", "CACHE", "CONFIG")}}
            out = self.out
            self.out = os.path.join(disk, "out")
            try:
                self.all(env, commands=commands)
            finally:
                self.out = out
        shutil.rmtree(self.out, ignore_errors=True)

    def test_few_descriptors(self):
        for limit, commands in ((64, COMMANDS), (16, COMMANDS[::3])):
            def lower(limit=limit):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            codes = self.all(self.env, commands=commands, preexec=lower)
            if limit == 64:
                for command in ("build s.bst", "show s.bst", "artifact list-contents a.bst", "workspace list"):
                    self.assertEqual(codes[command][0], 0, codes[command])


main()
