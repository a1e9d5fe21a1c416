# What of a plugin of this name matters to keys, for the tests of the loader.

from buildstream import Source


class Mine(Source):
    BST_MIN_VERSION = "2.0"
    BST_REQUIRES_PREVIOUS_SOURCES_TRACK = True

    def configure(self, node):
        self.original_url = node.get_str("url", "https://static.crates.io/crates")
        self.cargo_lock = node.get_str("cargo-lock", "Cargo.lock")
        self.vendor_dir = node.get_str("vendor-dir", ".vendored-crates")
        node.get_mapping("git-mirrors", {})
        node.validate_keys(Source.COMMON_CONFIG_KEYS + ["url", "ref", "cargo-lock", "vendor-dir", "git-mirrors"])
        self.mark_download_url(self.original_url if self.original_url[-1] in ":/" else self.original_url + "/")
        for crate in node.get_sequence("ref", []):
            if crate.get_str("kind", "") == "git":
                self.mark_download_url(crate.get_str("repo"), primary=False)
        self.load_ref(node)

    def get_unique_key(self):
        return [
            self.original_url,
            self.cargo_lock,
            self.vendor_dir,
            self.ref,
            "a",
        ]

    def is_resolved(self):
        return all(crate.get("sha", "") is not None for crate in self.ref)

    def preflight(self):
        pass

    def load_ref(self, node):
        self.ref = [self.crate(one) for one in node.get_sequence("ref", [])]

    @staticmethod
    def crate(one):
        crate = {"kind": "git" if one.get_str("kind", "") == "git" else "registry"}
        crate.update(name=one.get_str("name"), version=one.get_str("version"))
        if crate["kind"] == "registry":
            return dict(crate, sha=one.get_str("sha", None))
        crate.update(repo=one.get_str("repo"), commit=one.get_str("commit"))
        query = {key: value.as_str() for key, value in one.get_mapping("query", {}).items()}
        return dict(crate, query=query) if query else crate

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        pass

    def track(self, *, previous_sources_dir=None):
        pass

    def fetch(self, **kwargs):
        pass

    def stage(self, directory):
        pass

    def is_cached(self):
        return True


def setup():
    return Mine
