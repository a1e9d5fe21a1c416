"""A source of another version."""

from buildstream import Source


class VersionSource(Source):
    BST_MIN_VERSION = "2.99"


def setup():
    return VersionSource
