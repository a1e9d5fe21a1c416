# What of a plugin of this name matters to keys, for the tests of the loader.

from buildstream import Element


class Mine(Element):
    BST_MIN_VERSION = "2.0"
    BST_ARTIFACT_VERSION = 2

    def configure(self, node):
        if "path" in node:
            self.path = self.node_subst_vars(node.get_scalar("path"))
        else:
            self.path = None

    def get_unique_key(self):
        key = {"path": self.path}
        return key

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
