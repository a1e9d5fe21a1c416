"""A source with a URL and a reference, which stages nothing."""

from buildstream import Source

from ._shared import joined


class PlainSource(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        node.validate_keys(["url", "ref", "also", *Source.COMMON_CONFIG_KEYS])
        self.url = node.get_str("url")
        self.ref = node.get_str("ref", None)
        self.also = node.get_str_list("also", [])
        self.translated = self.translate_url(self.url)
        for url in self.also:
            self.mark_download_url(url, primary=False)

    def preflight(self):
        pass

    def get_unique_key(self):
        return {"url": self.url, "ref": self.ref, "also": self.also, "shared": joined("a", self._directory or "")}

    def load_ref(self, node):
        self.ref = node.get_str("ref", None)

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    def is_cached(self):
        return False


def setup():
    return PlainSource
