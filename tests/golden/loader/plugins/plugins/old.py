# A plugin for the tests of the loader.
"""old

A text about it, which says def setup(): and class X.
"""
from buildstream import BuildElement


class Old(BuildElement):
    BST_MIN_VERSION = "2.0"
    BST_PLUGIN_DEPRECATED = True
    BST_PLUGIN_DEPRECATION_MESSAGE = "Use something newer."


# Plugin entry point
def setup():
    return Old
