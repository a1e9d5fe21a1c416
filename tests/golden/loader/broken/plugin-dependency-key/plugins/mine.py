from buildstream import BuildElement, Element, Source
class X(BuildElement):
    BST_MIN_VERSION = "2.0"


def setup():
    return X
