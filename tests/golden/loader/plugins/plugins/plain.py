# A plugin for the tests of the loader.
"""plain

A text about it, which says def setup(): and class X.
"""
from buildstream import BuildElement


class Plain(BuildElement):
    """It only has defaults."""
    # pylint: disable=attribute-defined-outside-init

    BST_MIN_VERSION = "2.0"


# Plugin entry point
def setup():
    return Plain
