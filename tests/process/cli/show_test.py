"""`sluice show` as a process. What it prints was compared with bst 2.8.1 (golden/), byte for
byte; where $SLUICE_BST is set it is compared again."""

import json
import os
import platform
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")

PROJECT = {
    "project.conf": """\
name: show
min-version: 2.0
element-path: elements
aliases:
  up: https://example.org/
plugins:
- origin: pip
  package-name: buildstream-plugins
  elements:
  - autotools
options:
  debug:
    type: bool
    description: Debugging
    default: false
variables:
  greeting: "it's: a \\"test\\""
""",
    "elements/data.bst": """\
kind: import
description: |
  Some files
  in two lines
sources:
- kind: local
  path: files
public:
  bst:
    split-rules:
      extra: [/usr/share/**]
  other:
    key: 'yes'
    empty: ''
    lines: |
      one
      two
""",
    "elements/tool.bst": """\
kind: manual
build-depends:
- data.bst
depends:
- filename: lib/base.bst
  type: runtime
config:
  build-commands:
  - echo "%{greeting}"
  - |
    if true; then
      echo %{max-jobs} > /dev/null
    fi
environment:
  MARK: "#%{project-name}"
""",
    "elements/lib/base.bst": """\
kind: stack
(?):
- debug:
    depends: [data.bst]
""",
    "elements/fetched.bst": """\
kind: manual
depends: [tool.bst]
sources:
- kind: tar
  url: up:thing-1.0.tar.gz
  ref: 1fe3d5a8c0c1b2d4e5f60718293a4b5c6d7e8f901234567890abcdef12345678
""",
    "elements/unresolved.bst": """\
kind: manual
sources:
- kind: tar
  url: up:thing-2.0.tar.gz
""",
    "elements/all.bst": "kind: stack\ndepends: [fetched.bst, unresolved.bst, tool.bst]\n",
    "files/usr/share/greeting": "hello\n",
}

# name: (arguments before the verb, arguments)
SHOWN = {
    "default": ([], ["all.bst"]),
    "colors": (["--colors"], ["all.bst"]),
    "colors-format": (["--colors"], ["all.bst", "-f", "%{name} %{kind} %{key: >10} %{state} %{description} [%{workspaced}]"]),
    "deps-none": ([], ["--deps", "none", "all.bst", "tool.bst"]),
    "deps-run": ([], ["--deps", "run", "fetched.bst"]),
    "deps-build": ([], ["--deps", "build", "tool.bst"]),
    "except": ([], ["all.bst", "--except", "tool.bst"]),
    "alpha": ([], ["--order", "alpha", "all.bst", "-f", "%{name}"]),
    "option": (["-o", "debug", "true"], ["lib/base.bst", "-f", "%{name}|%{full-key}"]),
    "padding": ([], ["all.bst", "-f", "%{name:*^20}|%{state: >14}|%{key:<10}|%{kind:.3}"]),
    "dependencies": ([], ["all.bst", "-f", "%{name}:\n%{deps}\n%{build-deps}\n%{runtime-deps}"]),
    "config": ([], ["--deps", "none", "tool.bst", "-f", "%{config}"]),
    "vars": (["--max-jobs", "3"], ["--deps", "none", "tool.bst", "-f", "%{vars}"]),
    "env": ([], ["--deps", "none", "tool.bst", "-f", "%{env}"]),
    "public": ([], ["--deps", "none", "data.bst", "-f", "%{public}"]),
    "description": ([], ["--deps", "none", "data.bst", "-f", "<%{description}>"]),
    "digest": ([], ["--deps", "none", "data.bst", "-f", "<%{artifact-cas-digest}>"]),
    "text": ([], ["--deps", "none", "data.bst", "-f", "100% {name} %{nothing}"]),
}


class Show(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)

    def show(self, name, status=0):
        before, after = SHOWN[name]
        return self.sluice(*before, "show", *after, cwd=self.at, status=status)

    def test_golden(self):
        if platform.machine() != "x86_64":
            self.skipTest("keys are made of the machine's architecture")
        for name in SHOWN:
            with self.subTest(name):
                with open(os.path.join(GOLDEN, "show-%s.txt" % name), encoding="utf-8") as file:
                    self.assertEqual(self.show(name).stdout, file.read())

    @unittest.skipUnless(os.environ.get("SLUICE_BST"), "SLUICE_BST is not set: no reference BuildStream")
    def test_same_as_reference(self):
        for name, (before, after) in SHOWN.items():
            with self.subTest(name):
                self.assertEqual(self.show(name).stdout, self.bst(*before, "show", *after, cwd=self.at).stdout)

    def test_directory_from_below_and_from_afar(self):
        below = self.sluice("show", "lib/base.bst", cwd=os.path.join(self.at, "elements", "lib"))
        afar = self.sluice("-C", self.at, "show", "lib/base.bst")
        self.assertEqual(below.stdout, afar.stdout)
        self.assertIn("lib/base.bst", afar.stdout)

    def test_errors_name_the_place(self):
        self.write("project/elements/bad.bst", "kind: manual\nbogus: 1\n")
        bad = self.sluice("--json-log", os.path.join(self.directory, "log"), "show", "bad.bst", cwd=self.at, status=1)
        self.assertEqual(bad.stdout, "")
        self.assertIn("bad.bst [line 2 column 7]: Unexpected key: bogus", bad.stderr)
        with open(os.path.join(self.directory, "log"), encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        self.assertEqual(records[0]["text"], "show")
        last = records[-1]
        self.assertEqual((last["type"], last["scope"], last["domain"], last["reason"]), ("error", "main", "load", "invalid-data"))
        self.assertEqual(last["provenance"], {"file": "bad.bst", "line": 2, "column": 7})

    def test_missing_element_and_project(self):
        self.assertIn("nothing.bst", self.sluice("show", "nothing.bst", cwd=self.at, status=1).stderr)
        self.assertIn("project.conf", self.sluice("show", "all.bst", cwd=self.env["HOME"], status=1).stderr)

    def test_format_that_python_refuses(self):
        self.assertIn("Invalid format specifier", self.sluice("show", "all.bst", "-f", "%{name:d}", cwd=self.at, status=1).stderr)

    def test_success_in_the_json_log(self):
        log = os.path.join(self.directory, "log")
        self.sluice("show", "all.bst", cwd=self.at, env={"SLUICE_JSON_LOG": log})
        with open(log, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        self.assertEqual([(r["type"], r["level"], r["text"]) for r in records],
                         [("message", "start", "show"), ("message", "success", "show")])

    def test_reader_that_leaves(self):
        result = self.sluice("-c", '"$0" -C "$1" show all.bst | true; exit ${PIPESTATUS[0]}', self.program("sluice"), self.at,
                             program="/bin/bash", status=None)
        self.assertEqual(result.stderr, "")


def approve():
    """Writes golden/ from the reference: python3 show_test.py --approve (with $SLUICE_BST)."""
    test = Show("test_golden")
    test.setUp()
    try:
        os.makedirs(GOLDEN, exist_ok=True)
        for name, (before, after) in SHOWN.items():
            with open(os.path.join(GOLDEN, "show-%s.txt" % name), "w", encoding="utf-8") as file:
                file.write(test.bst(*before, "show", *after, cwd=test.at).stdout)
    finally:
        test.tearDown()


if "--approve" in sys.argv:
    os.environ.setdefault("SLUICE_BIN", "/nonexistent")
    approve()
else:
    main()
