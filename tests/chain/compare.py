"""What two tools made of the same project: keys, and artifacts from their caches, element by element."""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../differential"))
from cachefiles import Cache  # noqa: E402

# Names and modes of what is in a tree, its contents, its links; what an element tells of itself and of what it was built with.
TREES = ("files", "sources")
TEXTS = ("public_data", "low_diversity_meta")
PLAIN = ("version", "build_success", "strong_key", "weak_key", "strict_key", "was_workspaced", "build_deps")


class Artifacts:
    """The artifacts of a cache by element's name and key."""

    def __init__(self, cachedir, project, keys):
        self.cache = Cache(cachedir)
        self.found = {}
        for element, key in keys.items():
            ref = "%s/%s/%s" % (project, element.removesuffix(".bst").replace("/", "-"), key)
            if os.path.exists(os.path.join(cachedir, "artifacts/refs", ref)):
                self.found[element] = self.cache.artifact(ref)

    def described(self, element):
        """All that must be equal, or None without an artifact."""
        if element not in self.found:
            return None
        artifact = self.found[element]
        told = {field: artifact.get(field) for field in PLAIN}
        for field in TREES:
            told[field] = self.cache.listing(artifact[field]) if artifact.get(field) else None
        for field in TEXTS:
            told[field] = self.cache.blob(artifact[field]).decode() if artifact.get(field) else None
        return told


def differences(ours, theirs):
    """Lines, at most some of each field."""
    if ours is None or theirs is None:
        return ["built by %s alone" % ("the other" if ours is None else "us")] if ours is not theirs else ["built by neither"]
    lines = []
    for field in ours:
        left, right = ours[field], theirs[field]
        if left == right:
            continue
        if isinstance(left, dict) and isinstance(right, dict):
            names = sorted(name for name in set(left) | set(right) if left.get(name) != right.get(name))
            lines += ["%s: %d paths" % (field, len(names))] + ["  %s: %s | %s" % (name, left.get(name), right.get(name)) for name in names[:5]]
        else:
            lines.append("%s: %s | %s" % (field, json.dumps(left)[:2000], json.dumps(right)[:2000]))
    return lines


def paths(ours, theirs):
    """Which paths of the artifact's own files differ."""
    left, right = (told and told["files"] or {} for told in (ours, theirs))
    return {name for name in set(left) | set(right) if left.get(name) != right.get(name)}
