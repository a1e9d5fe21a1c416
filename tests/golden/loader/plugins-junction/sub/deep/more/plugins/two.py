# A plugin for the tests of the loader.

from buildstream import BuildElement


class It(BuildElement):
    BST_MIN_VERSION = "2.0"
    BST_ARTIFACT_VERSION = 2


def setup():
    return It
