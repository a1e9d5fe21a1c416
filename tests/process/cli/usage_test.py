"""Help, versions, usage errors and what isn't supported yet: output, stream and status."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

VERBS = [[], ["build"], ["show"], ["shell"], ["artifact"], ["artifact", "checkout"], ["artifact", "list-contents"],
         ["artifact", "log"], ["artifact", "show"], ["session"], ["session", "list"], ["session", "attach"],
         ["session", "suspend"], ["session", "resume"], ["session", "quit"], ["session", "kill"], ["help"]]


class Usage(SluiceTest):
    def test_help_everywhere(self):
        for verb in VERBS:
            for arguments in ([*verb, "--help"], [*verb, "-h"], ["help", *verb]):
                with self.subTest(arguments):
                    if arguments == ["help", "help"] or arguments[-2:] == ["help", "-h"] or arguments[-2:] == ["help", "--help"]:
                        continue  # bst's `help` has no help either
                    result = self.sluice(*arguments)
                    self.assertTrue(result.stdout.startswith("Usage: " + " ".join(["sluice", *verb])), result.stdout)
                    self.assertEqual(result.stderr, "")

    def test_version(self):
        self.assertRegex(self.sluice("--version").stdout, r"^sluice \d+\.\d+\.\d+\n$")

    def test_usage_errors(self):
        for arguments in (["bogus"], ["--bogus"], ["build", "--deps", "bogus"], ["artifact"], ["artifact", "bogus"], ["session"],
                          ["--builders", "x", "build"], ["-o", "one", "build"], ["--config", "/nonexistent", "show"], []):
            with self.subTest(arguments):
                result = self.sluice(*arguments, status=2)
                self.assertEqual(result.stdout, "")
                self.assertIn("Usage: sluice", result.stderr)

    def test_a_standard_output_that_takes_nothing(self):
        at = self.project({"project.conf": "name: small\nmin-version: 2.0\n", "a.bst": "kind: stack\n"})
        for arguments in (["--help"], ["show", "a.bst"], ["--help", "build"]):
            for where in (">&-", "> /dev/full"):
                with self.subTest(arguments + [where]):
                    done = subprocess.run(["sh", "-c", 'exec "$0" "$@" ' + where, self.program("sluice"), *arguments], cwd=at, env=self.env,
                                          stderr=subprocess.PIPE, text=True, check=False, timeout=60)
                    self.assertEqual(done.returncode, 1, done)
                    self.assertRegex(done.stderr, "Bad file descriptor|No space left on device")

    def init(self, *answers, status=0):
        place = os.path.join(self.directory, "made")
        init = self.start("init", place, pty=True)
        for question, answer in answers:
            self.wait_until(lambda: init.stdout.rstrip("\n").endswith(question), question)
            init.write(answer)
        self.assertEqual(init.wait(), status, init.stdout)
        self.wait_until(lambda: not init._threads[0].is_alive(), "all that it wrote")
        conf = os.path.join(place, "project.conf")
        if not os.path.exists(conf):
            self.assertFalse(os.path.exists(place))
            return init.stdout, ""
        with open(conf, encoding="utf-8") as file:
            return init.stdout, file.read()

    def test_init_on_a_terminal(self):
        ask = ("Project name: ", "Minimum version [2.8]: ", "Element path [elements]: ")
        for keys in ("\x03", "\x04"):
            self.assertIn("Aborted!", self.init((ask[0], keys), status=1)[0])
            self.assertIn("Aborted!", self.init((ask[0], "name\n"), (ask[1], keys), status=1)[0])
        shown, conf = self.init((ask[0], "9bad\n"), (ask[0], "good\n"), (ask[1], "1.0\n"), (ask[1], "2.0\n"), (ask[2], "/abs\n"), (ask[2], "below\n"))
        self.assertIn("name: good\n", conf)
        self.assertIn("min-version: 2.0\n", conf)
        self.assertIn("element-path: below\n", conf)
        self.assertEqual(shown.count("Error: "), 3)

    def test_init_answered_by_a_pipe(self):
        piped = self.start("-c", "printf 'piped\\n\\n\\n' | %s init made" % self.program("sluice"), pty=True, program="/bin/sh")
        self.assertEqual(piped.wait(), 0)
        with open(os.path.join(self.directory, "made", "project.conf"), encoding="utf-8") as file:
            self.assertIn("name: piped\nmin-version: 2.8\n".replace("\nmin", "\n\n# Required BuildStream version\nmin"), file.read())

    def test_a_log_that_cannot_be_written(self):
        at = self.project({"project.conf": "name: p\nmin-version: 2.0\n", "a.bst": "kind: stack\n"})
        for file in (os.path.join(self.directory, "none", "log"), self.directory):
            for verb in (["build", "a.bst"], ["show", "a.bst"], ["artifact", "log", "a.bst"]):
                with self.subTest([file, verb]):
                    failed = self.sluice("--log-file", file, *verb, cwd=at, status=1)
                    self.assertIn("Could not open file '%s'" % file, failed.stderr)
                    self.assertEqual(failed.stdout, "")
        self.assertEqual(self.sluice("show", "-f", "%{state}", "a.bst", cwd=at).stdout, "buildable\n")

    def test_no_session(self):
        self.assertEqual(self.sluice("session", "list").stdout, "")
        for verb in ("attach", "suspend", "resume", "quit", "kill"):
            self.assertIn("no session", self.sluice("session", verb, status=1).stderr)
            self.assertIn("nonsense", self.sluice("session", verb, "nonsense", status=1).stderr)

    def test_bad_artifact_names(self):
        bad = self.sluice("artifact", "list-contents", "nothing", status=1)
        self.assertIn("does not appear to be an artifact or element name: nothing", bad.stderr)
        deps = self.sluice("artifact", "checkout", "p/e/" + "0" * 64, "--directory", "out", status=1)
        self.assertIn("--deps run", deps.stderr)


main()
