"""What packaging/debian says beside where it comes from: scripts/packages, and the project's version."""

import os
import re
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
# Of "To build": what debhelper brings, or only makes compiling quicker, or is for tests, which a package's build doesn't run.
NOT_FOR_PACKAGES = {"g++", "ccache", "catch2"}
# The field says that it is the build machine's.
QUALIFIED = {"python3:any": "python3"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def listed(part):
    """The names in one part of scripts/packages."""
    found = re.search(r"^# %s\n(.*?)(?:\n\n|\Z)" % re.escape(part), read("scripts/packages"), re.MULTILINE | re.DOTALL)
    return {line.split()[0] for line in found[1].splitlines()}


def field(paragraph, name):
    """The names of packages in a field of a paragraph of debian/control; {} is where substitutions would be."""
    found = re.search(r"^%s:((?:.*\n)(?: .*\n)*)" % re.escape(name), paragraph, re.MULTILINE)
    names = {re.sub(r"\s*\(.*\)", "", each).strip() for each in found[1].split(",")} if found else set()
    return {QUALIFIED.get(each, each) for each in names if each and not each.startswith("${")}


class Packaging(unittest.TestCase):
    def setUp(self):
        self.source, *self.packages = (paragraph + "\n" for paragraph in read("packaging/debian/control").strip().split("\n\n"))
        self.sluice = next(each for each in self.packages if "Package: sluice\n" in each)

    def test_build_depends(self):
        self.assertEqual(field(self.source, "Build-Depends") - {"debhelper-compat", "python3"}, listed("To build") - NOT_FOR_PACKAGES)

    def test_depends(self):
        self.assertEqual(field(self.sluice, "Depends") | field(self.sluice, "Recommends") - {"python3-pip"}, listed("To run"))

    def test_version(self):
        version = re.search(r"^project\(sluice VERSION ([\d.]+)", read("CMakeLists.txt"), re.MULTILINE)[1]
        self.assertEqual(re.match(r"sluice \(([^)]*)\)", read("packaging/debian/changelog"))[1], version)

    def test_every_package_has_its_files(self):
        names = [re.search(r"^Package: (\S+)", each, re.MULTILINE)[1] for each in self.packages]
        self.assertEqual(sorted(names), sorted(name[:-len(".install")] for name in os.listdir(os.path.join(ROOT, "packaging/debian"))
                                               if name.endswith(".install")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
