"""The manual pages that docs/man.py makes of docs/commands: each verb has one, and neither man nor mandoc has anything to say about them."""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
COMMANDS = os.path.join(ROOT, "docs/commands")


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.made = os.path.join(cls.directory, "man1")
        subprocess.run([sys.executable, os.path.join(ROOT, "docs/man.py"), "1.2.3", COMMANDS, cls.made], check=True)
        cls.pages = sorted(glob.glob(os.path.join(cls.made, "*.1")))

    def own(self):
        """The pages that aren't another name of one."""
        for page in self.pages:
            with open(page, encoding="utf-8") as file:
                text = file.read()
            if not text.startswith(".so "):
                yield page, text

    def test_every_verb_has_a_page(self):
        names = {os.path.basename(page)[:-2] for page in self.pages}
        with open(os.path.join(COMMANDS, "README.md"), encoding="utf-8") as file:
            verbs = re.findall(r"^\| \[([a-z, -]+)\]\([a-z-]+\.md\) \|", file.read(), re.MULTILINE)
        self.assertGreater(len(verbs), 20)
        for row in verbs:
            group, _, several = row.rpartition(" ") if "," not in row else (row.split()[0], "", row.split(" ", 1)[1])
            for verb in several.split(", "):
                self.assertIn("-".join(["sluice", *([group] if group else []), verb]), names)
        for page in self.pages:
            with open(page, encoding="utf-8") as file:
                first = file.readline().split()
            if first[0] == ".so":
                self.assertTrue(os.path.exists(os.path.join(self.directory, first[1])), page)
                self.assertIn(os.path.join(self.directory, first[1]), [own for own, _ in self.own()])

    def test_a_page_has_what_its_document_has(self):
        by_name = {os.path.basename(page): text for page, text in self.own()}
        why = by_name["sluice-why.1"]
        for part in (".SH NAME", "sluice\\-why \\- show", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH JSON", "$ sluice why base/zlib.bst", "1.2.3"):
            self.assertIn(part, why)
        self.assertIn("\\fB\\-\\-deps none|build|run|all\\fR", by_name["sluice-build.1"])
        self.assertIn("sluice\\-session\\-control\\fR(1)", by_name["sluice-build.1"])
        for page, text in by_name.items():
            # Nothing of Markdown is left.
            self.assertNotRegex(text, r"\]\(|`|^\||^#", page)

    def test_man_has_nothing_to_say(self):
        if not shutil.which("man") or not shutil.which("groff"):
            self.skipTest("man or groff isn't installed")
        def told(page):
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", page], env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="80", PAGER="cat", MANPAGER="cat"),
                                  capture_output=True, text=True, check=True)
            return page, done.stderr, "SYNOPSIS" in done.stdout

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for page, errors, whole in pool.map(told, [page for page, _ in self.own()]):
                self.assertEqual((errors, whole), ("", True), page)

    def test_mandoc_has_nothing_to_say(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc isn't installed")
        for page, _ in self.own():
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), page)


unittest.main(verbosity=2)
