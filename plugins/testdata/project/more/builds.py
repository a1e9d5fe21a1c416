"""An element as most are."""

from buildstream import BuildElement


class BuildsElement(BuildElement):
    BST_MIN_VERSION = "2.0"
    BST_ARTIFACT_VERSION = 3


def setup():
    return BuildsElement
