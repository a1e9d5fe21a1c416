#!/usr/bin/env python3
"""All elements of projects as `bst show` and `sluice show` show them, field by field.

    SLUICE_BIN=build/dev/bin SLUICE_BST="COMMAND" shows.py [-o NAME VALUE]... [--deps all] PROJECT...

SLUICE_BST is the command that runs bst; it must see the projects. A line "DIFFERS ..." for each field of an element that
differs; the last line has the numbers. Where a project can't be shown at once, its elements are shown one by one, and
where bst has an error for one the error's place must be the same (bst prints no reasons: commands.py compares those).
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile

FIELDS = ["name", "kind", "full-key", "state", "vars", "env", "config", "public", "deps", "build-deps", "runtime-deps"]
FORMAT = "\x1e" + "\x1f".join("%{" + field + "}" for field in FIELDS)
PLACE = re.compile(r"[^\s\[]+ \[line \d+ column \d+\]")


def elements_of(project):
    """Element files of the project itself, which a user could name."""
    with open(os.path.join(project, "project.conf"), encoding="utf-8") as file:
        found = re.search(r"^element-path:\s*(\S+)", file.read(), re.M)
    top = os.path.join(project, found.group(1).strip("'\"") if found else ".")
    names = []
    for directory, folders, files in os.walk(top):
        folders[:] = [f for f in folders if f != ".bst" and not (directory != top and os.path.exists(os.path.join(directory, f, "project.conf")))]
        if directory != top and os.path.exists(os.path.join(directory, "project.conf")):
            folders[:] = []
            continue
        names += [os.path.relpath(os.path.join(directory, f), top) for f in files if f.endswith(".bst")]
    return sorted(names)


class Asked:
    """One of the two programs, with a cache of its own."""

    def __init__(self, command, directory):
        self.command = command
        for name in ("home", "runtime"):
            os.makedirs(os.path.join(directory, name), mode=0o700)
        self.config = os.path.join(directory, "user.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("cachedir: %s/cache\nsourcedir: %s/sources\nlogdir: %s/logs\nbuild:\n  max-jobs: 2\n" % ((directory,) * 3))
        home = os.path.join(directory, "home")
        self.env = dict(os.environ, HOME=home, PEER_HOME=home, XDG_RUNTIME_DIR=os.path.join(directory, "runtime"),
                        XDG_STATE_HOME=home + "/state", XDG_CACHE_HOME=home + "/cache", XDG_CONFIG_HOME=home + "/config")

    def show(self, project, options, deps, names):
        """The elements' fields by name, or the text of the error."""
        arguments = ["--no-colors", "--no-verbose", "--config", self.config, "--directory", project]
        for option in options:
            arguments += ["-o"] + option
        done = subprocess.run(self.command + arguments + ["show", "--deps", deps, "--format", FORMAT] + names, env=self.env, cwd=project,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            return None, done.stderr.decode("utf-8", "replace").replace("\n    ", " ")
        shown = [text.rstrip("\n").split("\x1f") for text in done.stdout.decode("utf-8", "replace").split("\x1e")[1:]]
        return [(fields[0], dict(zip(FIELDS, fields))) for fields in shown], ""


def compare(project, options, deps, bst, sluice, counts):
    def one(names):
        theirs, their_error = bst.show(project, options, deps, names)
        ours, our_error = sluice.show(project, options, deps, names)
        if theirs is None and ours is None:
            counts["errors"] += 1
            place = PLACE.search(their_error)
            if place and place.group(0) not in our_error:
                differs(names[0], "error", our_error.strip()[-600:], their_error.strip()[-600:])
            return
        if theirs is None or ours is None:
            counts["elements"] += 1
            differs(names[0], "answer", our_error.strip()[-600:] or "shown", their_error.strip()[-600:] or "shown")
            return
        if [name for name, _ in theirs] != [name for name, _ in ours]:
            differs(names[0], "elements", " ".join(n for n, _ in ours), " ".join(n for n, _ in theirs))
            return
        for (name, a), (_, b) in zip(theirs, ours):
            counts["elements"] += 1
            wrong = [field for field in a if a[field] != b.get(field)]
            if wrong:
                for field in wrong[:3]:
                    differs(name, field, b.get(field), a[field], field is wrong[0])

    def differs(name, what, ours, reference, first=True):
        counts["different"] += first
        print("DIFFERS %s %s %s:\n    %s\n    expected %s" % (project, name, what, str(ours)[:1500], str(reference)[:1500]))
        sys.stdout.flush()

    names = elements_of(project)
    if bst.show(project, options, deps, names)[0] is not None:
        one(names)
        return
    for name in names:
        one([name])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", dest="options", nargs=2, action="append", default=[])
    parser.add_argument("--deps", default="none")
    parser.add_argument("projects", nargs="+")
    asked = parser.parse_args()
    counts = {"elements": 0, "errors": 0, "different": 0}
    with tempfile.TemporaryDirectory() as directory:
        programs = []
        for name, command in (("bst", shlex.split(os.environ["SLUICE_BST"])), ("sluice", [os.path.abspath(os.environ["SLUICE_BIN"]) + "/sluice"])):
            os.makedirs(os.path.join(directory, name))
            programs.append(Asked(command, os.path.join(directory, name)))
        for project in asked.projects:
            compare(os.path.abspath(project), asked.options, asked.deps, *programs, counts)
    print("shows: projects=%d elements=%d errors=%d different=%d" % (len(asked.projects), counts["elements"], counts["errors"], counts["different"]))
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
