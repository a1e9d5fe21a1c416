"""Help, versions, usage errors and what isn't supported yet: output, stream and status."""

import os
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
