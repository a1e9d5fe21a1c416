#!/usr/bin/env python3
"""Writes the corpora that the loader's fuzzers start from: loader_seeds.py DIRECTORY

Makes DIRECTORY/yaml and DIRECTORY/format of the golden projects of the loader and of what
BuildStream said of generated YAML (tests/golden/loader). One of them in STEP, so that a replay
takes seconds."""

import json
import os
import sys

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "loader")
sys.path.insert(0, os.path.join(GOLDEN, "..", "..", "differential"))
import commands  # noqa: E402

STEP = 3
KEPT = (".bst", ".conf", ".yml", ".yaml", ".refs")


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def files_of(folder):
    files = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                files[os.path.relpath(path, folder)] = file.read()
    return files


def project(files):
    """A project's files, from names to bytes, as one input: see format.cc."""
    files = {name: data for name, data in files.items() if name.endswith(KEPT)}
    whole = files.pop("project.conf", b"")
    for name in sorted(files):
        whole += b"\n==== " + name.encode() + b"\n" + files[name]
    return whole


def main():
    target = sys.argv[1]
    broken = {case["name"]: case["files"] for case in commands.read_folder(os.path.join(GOLDEN, "broken"))}
    for number, name in enumerate(sorted(broken)):
        files = {path: "".join(line + "\n" for line in lines).encode() for path, lines in broken[name]}
        if number % STEP == 0:
            write(os.path.join(target, "format", "seed-" + name), project(files))
        if number % STEP == 1:
            write(os.path.join(target, "yaml", "seed-" + name), files["target.bst"])
    for name in ("kinds", "options", "order1", "text", "junctions"):
        # Whole projects, with what the fuzzer loads on top.
        folder = os.path.join(GOLDEN, name)
        with open(os.path.join(folder, "project.conf"), encoding="utf-8") as file:
            elements = "elements" if "element-path: elements" in file.read() else ""
        names = sorted(file for file in os.listdir(os.path.join(folder, elements)) if file.endswith(".bst"))
        top = "kind: stack\ndepends:\n" + "".join("- %s\n" % file for file in names)
        write(os.path.join(target, "format", "seed-whole-" + name),
              project(files_of(folder)) + ("\n==== %s\n" % os.path.join(elements, "target.bst") + top).encode())
    with open(os.path.join(GOLDEN, "yaml.jsonl"), encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number % 100 == 0:
                write(os.path.join(target, "yaml", "seed-%05d" % number), json.loads(line)[0].encode("utf-8", "surrogatepass"))


if __name__ == "__main__":
    main()
