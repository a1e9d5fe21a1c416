# A plugin for the tests of the loader.
"""behaving_source

A text about it, which says def setup(): and class X.
"""
from buildstream import Source


class BehavingSource(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.url = self.translate_url(node.get_str("url"))
        self.ref = node.get_str("ref", None)

    def preflight(self):
        pass

    def get_unique_key(self):
        return [self.url, self.ref]

    def load_ref(self, node):
        self.ref = node.get_str("ref", None)

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    def is_cached(self):
        return False


# Plugin entry point
def setup():
    return BehavingSource
