# A plugin for the tests of the loader.
"""behaving

A text about it, which says def setup(): and class X.
"""
from buildstream import Element


class Behaving(Element):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.anything = node.get_str("anything")

    def configure_dependencies(self, dependencies):
        pass

    def preflight(self):
        pass

    def get_unique_key(self):
        return {"anything": self.anything}


# Plugin entry point
def setup():
    return Behaving
