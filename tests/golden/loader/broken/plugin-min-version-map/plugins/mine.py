from buildstream import BuildElement, Element, Source
class X(Element):
    BST_MIN_VERSION = {"major": 2, "minor": 0}


def setup():
    return X
