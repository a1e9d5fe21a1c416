from buildstream import BuildElement, Element, Source
class X(Element):
    pass


def setup():
    return X
