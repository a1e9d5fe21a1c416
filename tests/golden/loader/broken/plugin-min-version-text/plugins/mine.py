from buildstream import BuildElement, Element, Source
class X(Element):
    BST_MIN_VERSION = "a.pony"


def setup():
    return X
