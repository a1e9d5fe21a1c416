# A plugin for the tests of the loader.
"""versioned

A text about it, which says def setup(): and class X.
"""
from buildstream import BuildElement


class Versioned(BuildElement):
    BST_MIN_VERSION = "2.1"
    BST_ARTIFACT_VERSION = 3
    BST_STRICT_REBUILD = True
    BST_FORBID_SOURCES = True


# Plugin entry point
def setup():
    return Versioned
