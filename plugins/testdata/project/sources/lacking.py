"""A source that has none of the methods that it must have."""

from buildstream import Source


class LackingSource(Source):
    BST_MIN_VERSION = "2.0"


def setup():
    return LackingSource
