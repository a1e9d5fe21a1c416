# What of a plugin of this name matters to keys, for the tests of the loader.

from buildstream import Source


class Mirror:
    def __init__(self, ref):
        self.ref = ref


class AbstractGitTagSource(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.original_url = node.get_str("url")
        self.translate_url(self.original_url)
        self.use_lfs = node.get_bool("use-lfs", False)
        self.load_ref(node)
        self.extra_configure(node)

    def get_unique_key(self):
        key = [self.original_url, self.mirror.ref]
        key.extend(self.get_extra_unique_key())
        if self.use_lfs:
            key.append("use-lfs")
        return key

    def preflight(self):
        pass

    def load_ref(self, node):
        self.mirror = Mirror(node.get_str("ref", None))

    def get_ref(self):
        return self.mirror.ref

    def set_ref(self, ref, node):
        pass

    def is_cached(self):
        return False


class Mine(AbstractGitTagSource):
    def extra_configure(self, node):
        self.checkout = node.get_bool("checkout-submodules", True)
        self.urls = {}
        self.checkouts = {}
        submodules = node.get_mapping("submodules", {})
        for path in submodules.keys():
            submodule = submodules.get_mapping(path)
            self.urls[path] = submodule.get_str("url", None)
            if "checkout" in submodule:
                self.checkouts[path] = submodule.get_bool("checkout")

    def get_extra_unique_key(self):
        key = [] if self.checkout else [{"checkout_submodules": False}]
        if self.urls:
            key.append(self.urls)
        if self.checkouts:
            key.append({"submodule_checkout_overrides": self.checkouts})
        return key


def setup():
    return Mine
