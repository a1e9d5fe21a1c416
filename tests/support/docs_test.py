"""What the documents name is there: links lead somewhere, and files named by their path exist.

A path is what stands between backquotes with a folder of this repository in front, as `loader/elements/cache_keys.h`, seen from the top or from where the
document lies. Names without a folder in front, and with stars in them, aren't looked at."""

import glob
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`([\w.-]+(?:/[\w.-]+)+/?)`")
# A protocol (jobs/1), an element, a name that stands for any.
PLACEHOLDER = re.compile(r"/\d+$|\.bst$|\b[A-Z]{3,}\b|NAME_")
# Other worlds than this repository's: what a user's machine or a build has.
ELSEWHERE = ("build/",)


def documents():
    """Those that git knows, or all where there is no git."""
    try:
        names = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        return [name for name in names if name and os.path.exists(os.path.join(ROOT, name))]
    except (OSError, subprocess.CalledProcessError):
        found = glob.glob("**/*.md", root_dir=ROOT, recursive=True)
        return [name for name in found if not name.startswith(ELSEWHERE)]


def anchors(path):
    with open(path, encoding="utf-8") as file:
        heads = re.findall(r"^#+ (.*)$", file.read(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


class Documents(unittest.TestCase):
    def each(self):
        names = documents()
        self.assertGreater(len(names), 30)
        for name in names:
            with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                # What stands in a block of code is somebody's terminal, or a diagram.
                yield name, re.sub(r"^```.*?^```", "", file.read(), flags=re.MULTILINE | re.DOTALL)

    def test_links(self):
        for name, text in self.each():
            for link in LINK.findall(text):
                if "://" in link or link.startswith("mailto:"):
                    continue
                path, _, anchor = link.partition("#")
                target = os.path.join(ROOT, os.path.dirname(name), path) if path else os.path.join(ROOT, name)
                with self.subTest(document=name, link=link):
                    self.assertTrue(os.path.exists(target))
                    if anchor and target.endswith(".md"):
                        self.assertIn(anchor, anchors(target))

    def test_files_that_are_named(self):
        folders = {entry for entry in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, entry)) and not entry.startswith(".")}
        for name, text in self.each():
            for path in NAMED.findall(text):
                first = path.split("/")[0]
                if first not in folders or path.startswith(ELSEWHERE) or PLACEHOLDER.search(path) or name == "CHANGELOG.md":
                    continue
                with self.subTest(document=name, path=path):
                    self.assertTrue(any(os.path.exists(os.path.join(ROOT, at, path)) for at in ("", os.path.dirname(name))))


if __name__ == "__main__":
    sys.argv[1:] = [word for word in sys.argv[1:] if word.startswith("-")]
    unittest.main(verbosity=2)
