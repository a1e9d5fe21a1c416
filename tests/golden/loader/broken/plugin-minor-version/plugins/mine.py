from buildstream import BuildElement, Element, Source
class Base(Source):
    BST_MIN_VERSION = "2.1000"


class X(Base):
    pass


def setup():
    return X
