# One of that name that does something else: its key isn't known.

from buildstream import Element


class Mine(Element):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.directory = node.get_str("directory")

    def get_unique_key(self):
        return self.directory

    def preflight(self):
        pass

    def configure_sandbox(self, sandbox):
        pass

    def stage(self, sandbox):
        pass

    def assemble(self, sandbox):
        return "/"


def setup():
    return Mine
