"""No plugin: setup() returns no type."""


def setup():
    return "PlainSource"
