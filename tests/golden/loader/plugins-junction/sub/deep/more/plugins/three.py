# A plugin for the tests of the loader.

from buildstream import BuildElement


class It(BuildElement):
    BST_MIN_VERSION = "2.0"
    BST_PLUGIN_DEPRECATED = True
    BST_PLUGIN_DEPRECATION_MESSAGE = "no more"


def setup():
    return It
