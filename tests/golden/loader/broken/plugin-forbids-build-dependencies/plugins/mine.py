from buildstream import BuildElement, Element, Source
class X(BuildElement):
    BST_MIN_VERSION = "2.0"
    BST_FORBID_BDEPENDS = True


def setup():
    return X
