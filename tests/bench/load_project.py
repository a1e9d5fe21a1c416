#!/usr/bin/env python3
"""Makes projects to be loaded, not built: `load_project.py DIRECTORY --elements N --shape SHAPE`.

Shapes, each with a stack all.bst on top:

wide     N small elements of kind manual which depend on base.bst alone.
deep     a chain: each depends on the one before, at build time and at run time.
layered  like a distribution: a bootstrap of 100 elements and parts of 200 on top of it, in layers
         of 20, each part with its stack. Elements of many kinds, from tarballs with aliases and
         refs; a project.conf of several included files with options, overrides for each kind and
         split rules; elements which include shared files, set variables, environment and public
         data, append to inherited lists and have conditionals. Half of the dependencies are for
         build time, half for both times. (A key takes in all that is needed at build time, through
         others too: were the parts to grow with the project, so would the work for each key.)

The same arguments give the same project. As a module: load_project().
"""

import argparse
import hashlib
import os
import random
import sys

SHAPES = ("wide", "deep", "layered")
BOOTSTRAP, PART, LAYER = 100, 200, 20
PLUGINS = """plugins:
- origin: pip
  package-name: buildstream-plugins
  elements: [autotools, cmake, make, meson]
"""
PROJECT = """name: distribution
min-version: 2.0
element-path: elements
fatal-warnings: [overlaps]

(@):
- include/aliases.yml
- include/kinds.yml
- include/environment.yml

options:
  arch:
    type: arch
    description: The architecture to build for
    variable: target-arch
    values: [x86-64, aarch64, riscv64]
  debug_build:
    type: bool
    description: Whether to keep debugging aids
    default: False
  flavour:
    type: enum
    description: What the distribution is for
    values: [desktop, server]
    default: server

""" + PLUGINS
INCLUDES = {
    "aliases.yml": """aliases:
  gnu: https://ftp.example.org/gnu/
  kernel: https://kernel.example.org/pub/
  forge: https://forge.example.org/
""",
    "kinds.yml": """elements:
  autotools:
    variables:
      conf-local: --disable-static --enable-shared
      (?):
      - debug_build:
          conf-local: --disable-static --enable-shared --enable-debug
    config:
      install-commands:
        (>):
        - rm -f "%{install-root}%{libdir}"/*.la
  cmake:
    variables:
      cmake-local: -DBUILD_TESTING=OFF
    environment:
      NINJA_STATUS: '[%f/%t] '
  meson:
    variables:
      meson-local: -Ddocs=disabled
    public:
      bst:
        split-rules:
          meson-extras:
          - '%{datadir}/meson/**'
sources:
  tar:
    config:
      base-dir: '*'
variables:
  optimisation: -O2 -g
  hardening: -fstack-protector-strong -D_FORTIFY_SOURCE=2
  common-flags: '%{optimisation} %{hardening}'
  triplet: '%{target-arch}-unknown-linux-gnu'
  docs-dir: '%{datadir}/doc/%{element-name}'
  (?):
  - flavour == "desktop":
      optimisation: -O2
""",
    "environment.yml": """environment:
  CFLAGS: '%{common-flags}'
  CXXFLAGS: '%{common-flags}'
  LDFLAGS: -Wl,-z,relro
  MAKEFLAGS: -j%{max-jobs}
  SOURCE_DATE_EPOCH: '1321009871'
environment-nocache:
- MAKEFLAGS
split-rules:
  devel:
    (>):
    - '%{libdir}/cmake/**'
  extras:
  - '%{docs-dir}/**'
""",
    "python.yml": """variables:
  python-version: '3.11'
  site-packages: '%{libdir}/python%{python-version}/site-packages'
environment:
  PYTHONHASHSEED: '0'
""",
    "flags.yml": """variables:
  hardening: -fstack-protector-strong
public:
  bst:
    integration-commands:
    - ldconfig
""",
}


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def small(directory, elements, deep):
    write(os.path.join(directory, "project.conf"), "name: %s\nmin-version: 2.0\nelement-path: elements\n" % ("deep" if deep else "wide"))
    write(os.path.join(directory, "files", "hello", "hello.txt"), "hello\n")
    write(os.path.join(directory, "elements", "base.bst"), "kind: import\n\nsources:\n- kind: local\n  path: files/hello\n")
    names = ["e%06d.bst" % number for number in range(elements - 2)]
    for number, name in enumerate(names):
        below = names[number - 1] if deep and number else "base.bst"
        write(os.path.join(directory, "elements", name),
              "kind: manual\n\n%s:\n- %s\n\nconfig:\n  install-commands:\n  - echo %s > \"%%{install-root}/%s\"\n"
              % ("depends" if deep else "build-depends", below, name[:-4], name[:-4]))
    top = names[-1:] if deep else names
    write(os.path.join(directory, "elements", "all.bst"), "kind: stack\n\ndepends:\n" + "".join("- %s\n" % name for name in top))


def component(name, kind, build, both, chance):
    """The text of one element of a distribution."""
    text = "kind: %s\ndescription: The component %s, which others need.\n" % (kind, name)
    if chance.random() < 0.25:
        text += "\n(@):\n- include/%s\n" % chance.choice(("python.yml", "flags.yml"))
    if build:
        text += "\nbuild-depends:\n" + "".join("- %s\n" % other for other in build)
    if both:
        text += "\ndepends:\n" + "".join("- %s\n" % other for other in both)
    if kind != "stack":
        ref = hashlib.sha256(name.encode()).hexdigest()
        text += "\nsources:\n- kind: tar\n  url: %s:%s/%s-%d.%d.tar.xz\n  ref: %s\n" % (
            chance.choice(("gnu", "kernel", "forge")), name, name, chance.randrange(9), chance.randrange(30), ref)
    if kind == "stack":
        return text
    text += "\nvariables:\n  component: %s\n" % name
    if kind == "manual":
        text = text.replace("  component: %s\n" % name, "  component: %s\n  make-args: V=1 -j%%{max-jobs}\n" % name)
        text += """
config:
  build-commands:
  - make %{make-args}
  install-commands:
  - |
    make DESTDIR="%{install-root}" PREFIX="%{prefix}" install
    rm -rf "%{install-root}%{docs-dir}/old"
"""
    else:
        local = {"autotools": "conf-local", "cmake": "cmake-local", "meson": "meson-local", "make": "make-args"}[kind]
        text += "  %s: >-\n    --with-%s\n    --without-tests\n" % (local, name)
        if chance.random() < 0.3:
            text += "  (?):\n  - debug_build:\n      strip-binaries: ''\n"
    if chance.random() < 0.3:
        text += "\nenvironment:\n  %s_CACHE: '%%{build-root}/cache'\n" % name.replace("-", "_").upper()
    if chance.random() < 0.5:
        text += ("\npublic:\n  bst:\n    split-rules:\n      devel:\n        (>):\n        - '%%{libdir}/lib%s.so'\n"
                 "        - '%%{includedir}/%s/**'\n" % (name, name))
    return text


def layered(directory, elements, seed):
    chance = random.Random(seed)
    write(os.path.join(directory, "project.conf"), PROJECT)
    for name, text in INCLUDES.items():
        write(os.path.join(directory, "include", name), text)
    write(os.path.join(directory, "files", "hello", "hello.txt"), "hello\n")
    write(os.path.join(directory, "elements", "base.bst"), "kind: import\n\nsources:\n- kind: local\n  path: files/hello\n")
    kinds = ("autotools", "cmake", "meson", "make", "manual")

    def part(folder, size, common):
        """Layers of equal size; an element needs some of those below it. Returns the stack of them all."""
        done, used = [], set()
        for index in range(size - 1):
            below = done[:index // LAYER * LAYER]
            chosen = chance.sample(below, min(len(below), chance.randrange(1, 7)))
            half = len(chosen) // 2
            used.update(chosen)
            own = "component-%s-%d" % (folder, index)
            path = "%s/%s.bst" % (folder, own)
            write(os.path.join(directory, "elements", path),
                  component(own, chance.choice(kinds), common + chosen[:half], chosen[half:], chance))
            done.append(path)
        stack = folder + "/stack.bst"
        write(os.path.join(directory, "elements", stack),
              component(folder, "stack", [], [name for name in done if name not in used], chance))
        return stack

    # base.bst and all.bst are among the elements.
    left = elements - 2
    bootstrap = part("bootstrap", min(BOOTSTRAP, left), ["base.bst"])
    left -= min(BOOTSTRAP, left)
    stacks = [bootstrap]
    while left > 0:
        stacks.append(part("part-%03d" % len(stacks), min(PART, left), [bootstrap]))
        left -= min(PART, left)
    write(os.path.join(directory, "elements", "all.bst"), "kind: stack\n\ndepends:\n" + "".join("- %s\n" % name for name in stacks))


def load_project(directory, elements, shape, seed=1):
    if os.path.isdir(directory) and os.listdir(directory):
        raise SystemExit("load_project: %s is not empty" % directory)
    if shape == "layered":
        layered(directory, elements, seed)
    else:
        small(directory, elements, shape == "deep")


def main():
    parser = argparse.ArgumentParser(description="Makes a project to be loaded.")
    parser.add_argument("directory")
    parser.add_argument("--elements", type=int, default=1000)
    parser.add_argument("--shape", choices=SHAPES, default="layered")
    parser.add_argument("--seed", type=int, default=1, help="of the layered shape")
    arguments = parser.parse_args()
    if arguments.elements < 3:
        parser.error("there are at least three elements")
    load_project(**vars(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
