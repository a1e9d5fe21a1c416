# What of a plugin of this name matters to keys, for the tests of the loader.

from buildstream import Source


class Mine(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.translate_url(node.get_str("index", "https://cpan.metacpan.org/"))
        self.load_ref(node)

    def get_unique_key(self):
        return [self.suffix, self.sha256sum]

    def load_ref(self, node):
        ref = node
        self.suffix = ref.get_str("suffix", None)
        self.sha256sum = ref.get_str("sha256sum", None)

    def preflight(self):
        pass

    def get_ref(self):
        return None if self.suffix is None or self.sha256sum is None else True

    def set_ref(self, ref, node):
        pass

    def is_cached(self):
        return False


def setup():
    return Mine
