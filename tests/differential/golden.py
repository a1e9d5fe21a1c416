"""Golden files of the exchanged projects: what BuildStream says, in a form that is the same on every
x86-64 machine. `exchange --golden` writes them, golden_test.py compares Sluice with them.

PROJECT.keys: "kind name full-key" of all elements, of the project whose root is a fixed text (see
projects.py), since the key of a real root is each machine's own.
PROJECT.artifacts: for each artifact what was built: whether it succeeded, its dependencies without
their keys, public data, and its files without those of the root.
"""

import os
import re

from cachefiles import Cache
from projects import make_project

KEYS = "%{kind} %{name} %{full-key}"
CONFIG = "cachedir: %s\nbuild:\n  max-jobs: 2\n"


def project_keys(run, name, directory):
    """`run` takes arguments of show and gives its standard output."""
    project = make_project(name, os.path.join(directory, name + "-placeholder"), base=False)
    targets = ["all.bst"] + (["after-fail.bst"] if name == "basic" else [])
    return run(project, "show", "-f", KEYS, *targets)


def describe(cache, project):
    """The artifacts of a cache as text: one for each element, which has to have one strong key."""
    root = None
    texts = []
    refs = [ref for ref in cache.refs() if ref.split("/")[0] == project]
    base = [cache.artifact(ref) for ref in refs if ref.split("/")[1] == "base"][0]
    root = set(cache.listing(base["files"])) - {"etc"}
    for ref in refs:
        artifact = cache.artifact(ref)
        name = ref.split("/")[1]
        if artifact["strong_key"] != ref.split("/")[2]:
            continue  # the same artifact under its weak key
        lines = ["=== " + name, "version: %d" % artifact.get("version", 0), "build_success: %d" % artifact.get("build_success", 0)]
        lines += ["%s: %s" % (field, artifact[field]) for field in ("build_error", "build_error_details") if field in artifact]
        lines += ["build_dep: %s %s" % (dep["project_name"], dep["element_name"]) for dep in artifact.get("build_deps", [])]
        lines += ["log: %s" % re.sub("[0-9a-f]{8}-build.[0-9]{8}-[0-9]{6}", "KEY-build.DATE", log["name"]) for log in artifact.get("logs", [])]
        for field in ("public_data", "low_diversity_meta", "high_diversity_meta"):
            lines += ["--- " + field, cache.blob(artifact[field]).decode().rstrip("\n")]
        for field in ("files", "buildtree"):
            if field in artifact:
                lines += ["--- " + field]
                lines += ["/%s: %s" % (path, what) for path, what in sorted(cache.listing(artifact[field]).items()) if path not in root]
        texts.append("\n".join(lines) + "\n")
    return "".join(texts)


def write(directory, name, cache, comparison, _timeout):
    """Called by exchange, with a cache that bst has filled."""
    os.makedirs(directory, exist_ok=True)
    config = comparison.config("keys")
    keys = project_keys(lambda project, *arguments: comparison.run("bst", config, project, *arguments)[0], name, comparison.directory)
    with open(os.path.join(directory, name + ".keys"), "w", encoding="utf-8") as file:
        file.write(keys)
    project = "exchange" if name == "basic" else name
    with open(os.path.join(directory, name + ".artifacts"), "w", encoding="utf-8") as file:
        file.write(describe(cache, project))


__all__ = ["CONFIG", "Cache", "describe", "project_keys", "write"]
