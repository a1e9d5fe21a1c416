"""A source of another version."""

from buildstream import Source


class VersionSource(Source):
    BST_MIN_VERSION = None


def setup():
    return VersionSource
