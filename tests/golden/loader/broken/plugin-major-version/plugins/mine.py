from buildstream import BuildElement, Element, Source
class X(Element):
    BST_MIN_VERSION = "1.0"


def setup():
    return X
