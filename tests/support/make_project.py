#!/usr/bin/env python3
"""Makes BuildStream projects of any size, for benchmarks and tests.

    make_project.py DIRECTORY --elements 200 --shape wide --kind manual

writes project.conf and elements/: base.bst, e00000.bst and so on, and all.bst, a stack of
those that nothing else depends on. So there are N + 2 elements.

Shapes: "wide": every element depends on base.bst alone; "deep": each on the one before;
"layered": layers of equal size, each element depends on --fan-in elements of the layer below
(chosen by --seed). In all of them, every element that runs commands build-depends on base.bst.

Kinds: "manual" and "script" run one shell command in a sandbox that writes one file; "import"
takes one file from the project; "stack" does nothing. base.bst imports a root of a few files:
this machine's shell and the libraries that it needs.

The same arguments give the same project on the same machine. As a module: make_project().
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys

KINDS = ("manual", "script", "import", "stack")
SHAPES = ("wide", "deep", "layered")
DEPENDENCIES = {"build": "build-depends", "runtime": "runtime-depends", "all": "depends"}

# Mount points of a sandbox, and where the benchmark's bare bubblewrap writes.
FOLDERS = ("dev", "proc", "tmp", "buildstream-install")


def make_root(directory, programs=("sh",)):
    """A root in which the programs run: this machine's, with what the dynamic linker says that they need."""
    wanted = {}
    for program in programs:
        outside = shutil.which(program, path="/usr/bin:/bin")
        if outside is None:
            raise SystemExit("make_project: no %s" % program)
        wanted["/bin/" + program] = outside
        for line in subprocess.run(["ldd", outside], check=True, capture_output=True, text=True).stdout.splitlines():
            found = re.search(r"(/\S+) \(0x", line)
            if found:
                wanted[found.group(1)] = found.group(1)
    for folder in FOLDERS:
        os.makedirs(os.path.join(directory, folder), exist_ok=True)
    for inside, outside in sorted(wanted.items()):
        path = directory + inside
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copyfile(os.path.realpath(outside), path)
        os.chmod(path, 0o755)


def name_of(number):
    return "e%05d.bst" % number


def graph(elements, shape, layers=10, fan_in=3, seed=1):
    """For each element the numbers of those that it depends on, all of them smaller."""
    if shape == "wide":
        return [[] for _ in range(elements)]
    if shape == "deep":
        return [[number - 1] if number else [] for number in range(elements)]
    chance = random.Random(seed)
    layers = max(1, min(layers, elements))
    bounds = [elements * layer // layers for layer in range(layers + 1)]
    result = []
    for layer in range(layers):
        below = range(bounds[layer - 1], bounds[layer]) if layer else range(0)
        for _ in range(bounds[layer], bounds[layer + 1]):
            result.append(sorted(chance.sample(below, min(fan_in, len(below)))))
    return result


def element_text(number, kind, dependencies, dependency_type):
    name = name_of(number)[:-4]
    lists = {}
    if kind in ("manual", "script"):
        lists["build-depends"] = ["base.bst"]
    # A script has no runtime dependencies, a stack nothing else than both.
    key = {"script": "build-depends", "stack": "depends"}.get(kind, DEPENDENCIES[dependency_type])
    if dependencies:
        lists.setdefault(key, []).extend(name_of(other) for other in dependencies)
    elif kind == "stack":
        lists[key] = ["base.bst"]

    text = "kind: %s\n" % kind
    for key in sorted(lists):
        text += "\n%s:\n" % key + "".join("- %s\n" % other for other in lists[key])
    # The file's name and content are the element's own, so that no two artifacts are alike.
    if kind == "manual":
        text += "\nconfig:\n  install-commands:\n  - echo %s > \"%%{install-root}/%s\"\n" % (name, name)
    elif kind == "script":
        text += "\nconfig:\n  commands:\n  - echo %s > \"%%{install-root}/%s\"\n" % (name, name)
    elif kind == "import":
        text += "\nsources:\n- kind: local\n  path: files/%s\n" % name
    return text


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_project(directory, elements=200, shape="wide", kind="manual", dependency_type="build",
                 layers=10, fan_in=3, seed=1, name="generated"):
    """Writes the project into a folder that is new or empty. Returns the list of dependency lists."""
    if os.path.isdir(directory) and os.listdir(directory):
        raise SystemExit("make_project: %s is not empty" % directory)
    write(os.path.join(directory, "project.conf"),
          "name: %s\nmin-version: 2.0\nelement-path: elements\n" % name)
    make_root(os.path.join(directory, "root"))
    write(os.path.join(directory, "elements", "base.bst"),
          "kind: import\n\nsources:\n- kind: local\n  path: root\n")
    dependencies = graph(elements, shape, layers, fan_in, seed)
    tops = set(range(elements))
    for number, lower in enumerate(dependencies):
        tops.difference_update(lower)
        write(os.path.join(directory, "elements", name_of(number)),
              element_text(number, kind, lower, dependency_type))
        if kind == "import":
            own = name_of(number)[:-4]
            write(os.path.join(directory, "files", own, own), own + "\n")
    write(os.path.join(directory, "elements", "all.bst"),
          "kind: stack\n\ndepends:\n" + "".join("- %s\n" % name_of(number) for number in sorted(tops)))
    return dependencies


def main():
    parser = argparse.ArgumentParser(description="Makes a BuildStream project of any size.")
    parser.add_argument("directory")
    parser.add_argument("--elements", type=int, default=200)
    parser.add_argument("--shape", choices=SHAPES, default="wide")
    parser.add_argument("--kind", choices=KINDS, default="manual")
    parser.add_argument("--dependency-type", choices=sorted(DEPENDENCIES), default="build")
    parser.add_argument("--layers", type=int, default=10, help="of the layered shape")
    parser.add_argument("--fan-in", type=int, default=3, help="of the layered shape")
    parser.add_argument("--seed", type=int, default=1, help="of the layered shape")
    parser.add_argument("--name", default="generated", help="the project's")
    arguments = parser.parse_args()
    if arguments.elements < 1 or arguments.layers < 1 or arguments.fan_in < 0:
        parser.error("numbers of elements and layers start at 1")
    make_project(**vars(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
