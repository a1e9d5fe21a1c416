#!/usr/bin/env python3
"""Loads a project whose elements and sources are of kinds that are Python of its own: `show` of every element's name and key.

Beside it a project of the same shape whose kinds are native (`manual` with a `remote` source each). "First" has empty caches of
its own, "after" is the same command again, which is answered without Python. With $SLUICE_BST (a command that runs the
reference BuildStream), bst's time for the project with plugins, once; its output must be the same.
"""

import os
import shutil
import statistics
import sys
import textwrap
import time

import common
import load

SOURCE = '''\
from buildstream import Source


class CheckedSource(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        node.validate_keys(["url", "ref", "parts"] + Source.COMMON_CONFIG_KEYS)
        self.url = node.get_str("url")
        self.ref = node.get_str("ref", None)
        self.parts = node.get_str_list("parts", [])
        self.mark_download_url(self.url)

    def preflight(self):
        pass

    def get_unique_key(self):
        return [self.url, self.ref, {"parts": self.parts}]

    def is_resolved(self):
        return self.ref is not None

    def is_cached(self):
        return False

    def load_ref(self, node):
        self.ref = node.get_str("ref", None)

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    def fetch(self):
        pass

    def stage(self, directory):
        pass


def setup():
    return CheckedSource
'''

ELEMENT = '''\
from buildstream import BuildElement


class NotedElement(BuildElement):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.notes = node.get_str_list("notes", [])
        node.safe_del("notes")
        super().configure(node)

    def get_unique_key(self):
        return {"notes": self.notes, "commands": super().get_unique_key()}


def setup():
    return NotedElement
'''


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_project(directory, elements, plugins):
    """Chains of 50 elements, each built with the one before it; all.bst is on top of all."""
    conf = "name: plugged\nmin-version: 2.0\nelement-path: elements\naliases:\n  up: https://example.com/\n"
    if plugins:
        conf += "plugins:\n- origin: local\n  path: plugins\n  sources:\n  - checked\n  elements:\n  - noted\n"
        write(os.path.join(directory, "plugins/checked.py"), SOURCE)
        write(os.path.join(directory, "plugins/noted.py"), ELEMENT)
    write(os.path.join(directory, "project.conf"), conf)
    for number in range(elements - 1):
        source = "kind: checked\n  parts: [one, 'part %d']" % number if plugins else "kind: remote"
        notes = "  notes: ['note %d']\n" % number if plugins else ""
        depends = "build-depends: [e%d.bst]\n" % (number - 1) if number % 50 else ""
        write(os.path.join(directory, "elements/e%d.bst" % number), textwrap.dedent("""\
            kind: {}
            {}sources:
            - {}
              url: up:file-{}.tar
              ref: {:064x}
            config:
            {}  build-commands:
              - make {}
            """).format("noted" if plugins else "manual", depends, source, number, number, notes, number))
    write(os.path.join(directory, "elements/all.bst"), "kind: stack\ndepends: [%s]\n" % ", ".join("e%d.bst" % number for number in range(elements - 1)))


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(elements=1000)
    arguments = parser.parse_args()
    reference = os.environ.get("SLUICE_BST")
    medians, outputs = {}, {}
    with common.Workplace(arguments.sluice) as work:
        for kind in ("plugins", "native"):
            make_project(work.join(kind), arguments.elements, kind == "plugins")
        time.sleep(common.SETTLED)
        times = {(kind, turn): [] for kind in ("plugins", "native") for turn in ("first", "after")}
        # In turns, so that what else the machine does is shared.
        for _ in range(arguments.rounds):
            for kind in ("plugins", "native"):
                environment = work.home("home")
                os.makedirs(os.path.join(environment["XDG_CACHE_HOME"], "buildstream"))
                for turn in ("first", "after"):
                    seconds, _, output = load.measure(work, environment, work.join(kind))
                    times[kind, turn].append(seconds)
                    if output != outputs.setdefault(kind, output) or output.count(b"\n") != arguments.elements or b"?" in output:
                        sys.exit("bench: %s: the output isn't what it was or should be" % kind)
                shutil.rmtree(work.join("home"))
        for (kind, turn), seconds in times.items():
            medians[kind, turn] = statistics.median(seconds)
            print("%-8s %-6s %s s" % (kind, turn, common.spread(seconds)), flush=True)
        bst = "absent"
        if reference:
            told = load.bst(reference, work, work.join("plugins"), outputs["plugins"])
            print("bst: " + told, flush=True)
            bst = told.split()[1] if told.startswith("bst ") and "fails" not in told else "failed"
    common.close("plugins", first=round(medians["plugins", "first"], 4), after=round(medians["plugins", "after"], 4),
                 native_after=round(medians["native", "after"], 4), bst=bst, native_first=round(medians["native", "first"], 4))
    return 0


if __name__ == "__main__":
    sys.exit(main())
