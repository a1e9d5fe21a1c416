"""No source: setup() returns an element."""

from buildstream import Element


class AlienElement(Element):
    BST_MIN_VERSION = "2.0"


def setup():
    return AlienElement
