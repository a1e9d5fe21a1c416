"""Builds the projects that are exchanged with BuildStream, and compares with what BuildStream made of
them (tests/golden/exchange)."""

import os
import platform
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
sys.path.insert(0, HERE)
import golden  # noqa: E402
from cachefiles import Cache  # noqa: E402
from projects import make_project, missing_programs  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/exchange")


@unittest.skipUnless(platform.machine() == "x86_64", "the golden files are of x86-64")
class Golden(SluiceTest):
    def setUp(self):
        super().setUp()
        self.config = self.write("test.conf", golden.CONFIG % self.cachedir)

    def expected(self, name):
        with open(os.path.join(GOLDEN, name), encoding="utf-8") as file:
            return file.read()

    def keys(self, name):
        run = lambda project, *arguments: self.sluice("-c", self.config, "-C", project, *arguments).stdout
        self.assertEqual(golden.project_keys(run, name, self.directory), self.expected(name + ".keys"))

    def artifacts(self, name, project_name):
        missing = missing_programs(name)
        if missing:
            self.skipTest("no %s on this machine" % ", ".join(missing))
        project = make_project(name, os.path.join(self.directory, name))
        self.sluice("-c", self.config, "-C", project, "build", "all.bst", timeout=300)
        self.assertEqual(golden.describe(Cache(self.cachedir), project_name), self.expected(name + ".artifacts"))

    def test_basic_keys(self):
        self.keys("basic")

    def test_basic_artifacts(self):
        self.artifacts("basic", "exchange")

    def test_collections_keys(self):
        self.keys("collections")

    def test_collections_artifacts(self):
        self.artifacts("collections", "collections")

    def test_tools_keys(self):
        self.keys("tools")

    def test_tools_artifacts(self):
        self.artifacts("tools", "tools")


main()
