"""An element that may have nothing."""

from buildstream import Element


class LeafElement(Element):
    BST_MIN_VERSION = "2.0"
    BST_FORBID_RDEPENDS = True
    BST_FORBID_BDEPENDS = True
    BST_FORBID_SOURCES = True

    def configure(self, node):
        node.validate_keys([])

    def preflight(self):
        pass

    def get_unique_key(self):
        return {}


def setup():
    return LeafElement
