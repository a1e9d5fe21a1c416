# A plugin for the tests of the loader.

from buildstream import Element


class It(Element):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        pass

    def preflight(self):
        pass

    def get_unique_key(self):
        return "it"


def setup():
    return It
