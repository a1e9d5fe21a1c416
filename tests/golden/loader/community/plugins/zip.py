# What of a plugin of this name matters to keys, for the tests of the loader.

from buildstream import DownloadableFileSource


class Mine(DownloadableFileSource):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        super().configure(node)
        self.base_dir = node.get_str("base-dir", "*")

    def get_unique_key(self):
        return super().get_unique_key() + [self.base_dir]


def setup():
    return Mine
