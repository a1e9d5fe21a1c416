# What of a plugin of this name matters to keys, for the tests of the loader.

import os

from buildstream import Source, utils


class Guesser:
    def __init__(self, node):
        self.version = node.get_str("version", None)
        self.pattern = node.get_str("version-guess-pattern", None)

    def augment_unique_key(self, key):
        name, value = ("version", self.version) if self.version is not None else ("version-guess-pattern", self.pattern)
        if value is not None and isinstance(key, list):
            key.append(value)
        elif value is not None:
            key[name] = value
        return key


class Mine(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.guesser = Guesser(node)
        self.translate_url(node.get_str("index", "https://example.org/"))
        self.load_ref(node)

    def get_unique_key(self):
        return self.guesser.augment_unique_key([self.suffix, self.sha256sum])

    def preflight(self):
        pass

    def load_ref(self, node):
        ref = node.get_mapping("ref", {}) if "cpan" == "pypi" else node
        self.suffix = ref.get_str("suffix", None)
        self.sha256sum = ref.get_str("sha256sum", None)

    def get_ref(self):
        return None if self.suffix is None or self.sha256sum is None else True

    def set_ref(self, ref, node):
        pass

    def is_cached(self):
        return False


def setup():
    return Mine
