# What of a plugin of this name matters to keys, for the tests of the loader.

import os

from .git_tag import AbstractGitTagSource


class Mine(AbstractGitTagSource):
    BST_REQUIRES_PREVIOUS_SOURCES_TRACK = True

    def extra_configure(self, node):
        self.path = node.get_str("path")
        if os.path.isabs(self.path):
            self.path = os.path.relpath(self.path, "/")

    def get_extra_unique_key(self):
        key = []
        if self.path:
            key.append({"path": self.path})
        return key


def setup():
    return Mine
