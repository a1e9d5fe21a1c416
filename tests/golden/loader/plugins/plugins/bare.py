# A plugin for the tests of the loader.
"""bare

A text about it, which says def setup(): and class X.
"""
from buildstream import BuildElement


class Bare(BuildElement):
    BST_MIN_VERSION = "2.0"
    pass


# Plugin entry point
def setup():
    return Bare
