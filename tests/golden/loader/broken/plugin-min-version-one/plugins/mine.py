from buildstream import BuildElement, Element, Source
class X(Element):
    BST_MIN_VERSION = "2"


def setup():
    return X
