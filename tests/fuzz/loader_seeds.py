#!/usr/bin/env python3
"""Writes the corpora that the loader's fuzzers start from: loader_seeds.py DIRECTORY

Makes DIRECTORY/yaml and DIRECTORY/format of the golden projects of the loader and of what
BuildStream said of generated YAML (tests/golden/loader). One of them in STEP, so that a replay
takes seconds."""

import json
import os
import sys

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "loader")
STEP = 3
KEPT = (".bst", ".conf", ".yml", ".yaml", ".refs")


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def project(folder):
    """A project as one input: see format.cc."""
    files = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if name.endswith(KEPT):
                with open(path, "rb") as file:
                    files[os.path.relpath(path, folder)] = file.read()
    whole = files.pop("project.conf", b"")
    for name in sorted(files):
        whole += b"\n==== " + name.encode() + b"\n" + files[name]
    return whole


def main():
    target = sys.argv[1]
    broken = os.path.join(GOLDEN, "broken")
    for number, name in enumerate(sorted(os.listdir(broken))):
        if number % STEP == 0:
            write(os.path.join(target, "format", "seed-" + name), project(os.path.join(broken, name)))
        if number % STEP == 1:
            with open(os.path.join(broken, name, "target.bst"), "rb") as file:
                write(os.path.join(target, "yaml", "seed-" + name), file.read())
    for name in ("kinds", "options", "order1", "text", "junctions"):
        # Whole projects, with what the fuzzer loads on top.
        folder = os.path.join(GOLDEN, name)
        with open(os.path.join(folder, "project.conf"), encoding="utf-8") as file:
            elements = "elements" if "element-path: elements" in file.read() else ""
        names = sorted(file for file in os.listdir(os.path.join(folder, elements)) if file.endswith(".bst"))
        top = "kind: stack\ndepends:\n" + "".join("- %s\n" % file for file in names)
        write(os.path.join(target, "format", "seed-whole-" + name),
              project(folder) + ("\n==== %s\n" % os.path.join(elements, "target.bst") + top).encode())
    with open(os.path.join(GOLDEN, "yaml.jsonl"), encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number % 100 == 0:
                write(os.path.join(target, "yaml", "seed-%05d" % number), json.loads(line)[0].encode("utf-8", "surrogatepass"))


if __name__ == "__main__":
    main()
