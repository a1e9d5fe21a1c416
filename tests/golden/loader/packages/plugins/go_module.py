# What of a plugin of this name matters to keys, for the tests of the loader.

from buildstream import Source


class Mine(Source):
    BST_MIN_VERSION = "2.0"
    BST_REQUIRES_PREVIOUS_SOURCES_TRACK = True

    def configure(self, node):
        self.module = node.get_str("module")
        self.load_ref(node)
        self.translate_url(node.get_str("url"))

    def get_unique_key(self):
        return {"ref": self.ref, "module": self.module, "bugfix": 1}

    def load_ref(self, node):
        self.ref = None
        if "ref" in node:
            ref = node.get_mapping("ref")
            self.ref = {key: ref.get_str(key) for key in ("go-version", "git-ref", "subdirectory") if key in ref}
            self.ref["explicit"] = ref.get_bool("explicit")

    def preflight(self):
        pass

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        pass

    def is_cached(self):
        return False


def setup():
    return Mine
