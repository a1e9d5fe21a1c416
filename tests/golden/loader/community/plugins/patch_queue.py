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
        path = self.node_get_project_path(node.get_scalar("path"), check_is_dir=True)
        self.path = os.path.join(self.get_project_directory(), path)

    def is_resolved(self):
        return True

    def __get_patches(self):
        return [os.path.join(self.path, name) for name in sorted(os.listdir(self.path))]

    def get_unique_key(self):
        return [utils.sha256sum(p) for p in self.__get_patches()]

    def preflight(self):
        pass

    def load_ref(self, node):
        pass

    def get_ref(self):
        return None

    def set_ref(self, ref, node):
        pass

    def is_cached(self):
        return False


def setup():
    return Mine
