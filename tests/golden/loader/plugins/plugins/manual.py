# A plugin for the tests of the loader.
"""manual

A text about it, which says def setup(): and class X.
"""
from buildstream import BuildElement


class Manual(BuildElement):
    BST_MIN_VERSION = "2.0"


# Plugin entry point
def setup():
    return Manual
