"""On a terminal nothing that files, builds or projects say steers it; into a pipe goes what it is."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, busybox_base, manual  # noqa: E402

TITLE = "\x1b]0;evil\x07"
CLEAR = "\x1b[2J\x1b[1;1H"
ANSWER = "\x1b[c\x1bP$q\x1b\\"
RED = "\x1b[31m"
COLOR = r"\x1b\[3[0-7]m"


class Escapes(SluiceTest):
    def setUp(self):
        super().setUp()
        # The description's escapes are YAML's: it holds them all the same.
        described = 'description: "nice \\e]0;evil\\a thing \\e[2J"\nkind: import\nsources:\n- kind: local\n  path: files/named\n'
        self.at = self.project({"project.conf": CONF, "elements/base.bst": BASE, "elements/named.bst": described,
                                "elements/logs.bst": manual("logs", "printf '\\033]0;evil\\007\\033[2J\\033[31mred\\033[0m\\033[c said\\n'")})
        busybox_base(self.at)
        self.write("project/files/named/a" + TITLE + CLEAR + "\nb", "x\n")
        os.symlink("to" + TITLE, os.path.join(self.at, "files/named/link"))
        self.sluice("build", "named.bst", "logs.bst", cwd=self.at)

    def on_terminal(self, *arguments, env=None, status=0):
        shown = self.start(*arguments, cwd=self.at, pty=True, env=env)
        self.assertEqual(shown.wait(), status)
        self.wait_until(lambda: not shown._threads[0].is_alive(), "all that it wrote")
        return shown.stdout

    def harmless(self, text):
        for bad in ("\x1b]", "\x07", "\x1bP", "\x1b[2J", "\x1b[1;1H", "\x1b[c", "\x9b"):
            self.assertNotIn(bad, text)
        return text

    def test_contents(self):
        for detailed in ([], ["--long"]):
            text = self.harmless(self.on_terminal("artifact", "list-contents", *detailed, "named.bst"))
            self.assertIn("a?b", text)
            self.assertIn("link", text)
            piped = self.sluice("artifact", "list-contents", *detailed, "named.bst", cwd=self.at).stdout
            self.assertIn("a" + TITLE + CLEAR + "\nb", piped)

    def test_logs(self):
        for env in ({"PAGER": "cat"}, {"PAGER": ""}):
            text = self.harmless(self.on_terminal("artifact", "log", "logs.bst", env=env))
            self.assertIn(RED + "red", text)
            self.assertIn("said", text)
        self.assertIn(TITLE + "\x1b[2J" + RED, self.sluice("artifact", "log", "logs.bst", cwd=self.at).stdout)

    def test_what_projects_say(self):
        text = self.harmless(self.on_terminal("show", "--format", "%{name} %{description}", "named.bst"))
        self.assertIn("nice", text)
        self.assertIn("\x1b]0;evil\x07", self.sluice("show", "--format", "%{description}", "named.bst", cwd=self.at).stdout)
        for arguments in (["show", "x" + TITLE + ".bst"], ["build", "x" + CLEAR + ".bst"], ["artifact", "show", "x" + TITLE], ["workspace", "close", "x" + CLEAR],
                          ["query", "y" + TITLE], ["why", "x" + TITLE + ".bst"], ["session", "attach", "x" + TITLE], ["--on-error", "x" + TITLE, "show"],
                          ["source", "checkout", "x" + ANSWER + ".bst", "--directory", os.path.join(self.directory, "out")]):
            with self.subTest(arguments):
                shown = self.start(*arguments, cwd=self.at, pty=True)
                # A bracket makes a pattern of a target, and one that nothing matches is a warning, as in bst.
                self.assertIn(shown.wait(), (0, 1, 2) if arguments[0] in ("build", "source") else (1, 2))
                self.wait_until(lambda: not shown._threads[0].is_alive(), "all that it wrote")
                self.assertNotIn("\x1b]0;", shown.stdout)
                self.assertNotIn("\x07", shown.stdout)
                self.assertNotIn("\x1b[1;1H", shown.stdout)
                self.assertNotIn("\x1bP", shown.stdout)

    def test_no_color(self):
        for arguments in (["show", "named.bst"], ["artifact", "show", "named.bst"], ["artifact", "list-contents", "named.bst"], ["build", "named.bst"]):
            with self.subTest(arguments):
                self.assertRegex(self.on_terminal(*arguments), COLOR)
                self.assertRegex(self.on_terminal("--colors", *arguments, env={"NO_COLOR": "1"}), COLOR)
                self.assertRegex(self.on_terminal(*arguments, env={"NO_COLOR": ""}), COLOR)
                self.assertNotRegex(self.on_terminal(*arguments, env={"NO_COLOR": "1"}), COLOR)

    def test_json_log_on_standard_output(self):
        result = self.sluice("--json-log", "-", "build", "named.bst", cwd=self.at)
        self.assertTrue(result.stdout.startswith('{"v":'), result.stdout[:200])
        self.assertIn('"run.finished"', result.stdout)
        shown = self.sluice("--json-log", "-", "artifact", "show", "named.bst", cwd=self.at).stdout
        self.assertTrue(shown.startswith('{"v":'), shown)
        self.assertFalse(os.path.exists(os.path.join(self.at, "-")))


main()
