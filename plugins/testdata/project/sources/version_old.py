"""A source of another version."""

from buildstream import Source


class VersionSource(Source):
    BST_MIN_VERSION = "1.0"


def setup():
    return VersionSource
