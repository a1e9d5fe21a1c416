#!/usr/bin/env python3
"""Kinds of sources that Sluice has itself, and the plugins that they stand for: the same configurations by both.

    oracle.py BIN_DIR SITE [PART...]

SITE is where Python finds the packages buildstream_plugins and buildstream_plugins_community and what they import (several
directories as in PYTHONPATH); neither is in Debian 12, so this is run by hand, for each new release of them. Of both it makes a
copy in which each plugin says a line more, so that its text isn't known: Sluice asks the plugin itself then (docs/plugins.md, "The host").
First it is seen that without the host nothing of the copy is known.

PARTS, all by default:

    git, archives, packages, cargo    what git_answers.py, archive_answers.py, package_answers.py and cargo_answers.py ask, natively
                                      and of the plugins: keys, references, source info, staged trees, workspaces, what fails
    pip                               the same of some elements with packages of an index on loopback
    FILE.txt                          of ../golden/commands and ../golden/loader/broken: commands in projects that have kinds of those
                                      packages; differences of the plugins' answers from BuildStream's where the native ones are right

Each difference is printed, and last "oracle compared=N differ=M"; the status is 1 when there are some.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import archive_answers  # noqa: E402
import cargo_answers  # noqa: E402
import commands  # noqa: E402
import git_answers  # noqa: E402
import git_repositories  # noqa: E402
import package_answers  # noqa: E402
from git_servers import GitDaemon  # noqa: E402
from index_servers import Web  # noqa: E402
from package_elements import distribution, simple_index  # noqa: E402
from source_answers import answers  # noqa: E402

PACKAGES = ("buildstream_plugins", "buildstream_plugins_community")
GOLDEN = os.path.join(HERE, "../golden")
FILES = ["commands/git_sources.txt", "commands/image_sources.txt", "commands/crates.txt", "commands/collections.txt", "commands/elements.txt", "loader/broken/crates.txt",
         "loader/broken/git-of-community.txt", "loader/broken/packages.txt", "loader/broken/sources.txt"]  # fmt: skip
# What each native kind needs to be asked for its key.
SHOWN = {
    "bzr": "url: up:x\n  track: t", "cargo": "url: up:x", "cargo2": "url: up:x", "cpan": "name: A::B", "docker": "image: x", "git": "url: up:x", "git_module": "url: up:x\n  path: x",
    "git_repo": "url: up:x\n  track: t", "git_tag": "url: up:x\n  track: t", "go_module": "url: up:x\n  module: x", "patch": "path: x.patch", "patch_queue": "path: patches", "pip": "packages: [x]",
    "pypi": "name: x", "zip": "url: up:x",
}  # fmt: skip

PIP = {
    "named": "packages: [one]", "several": "packages: [one, 'two<3']", "listed": "requirements-files: [requirements.txt]", "both": "packages: [two]\n  requirements-files: [requirements.txt]",
    "below": "directory: app\n  packages: [one]", "absent": "packages: [three]", "known": "packages: [one]\n  ref: |-\n    one==1.9\n    two==2.0.1", "gone": "packages: [one]\n  ref: one==7",
}  # fmt: skip


def write_pip(directory, url, _):
    files = {"project.conf": "name: pip\nmin-version: 2.0\nelement-path: elements\naliases:\n  web: %s\nplugins:\n- origin: pip\n  package-name: buildstream-plugins\n  sources: [pip]\n" % url,
             "files/requirements.txt": "one<1.10\n", "files/app/requirements.txt": "two\n"}  # fmt: skip
    files.update({"elements/%s.bst" % name: "kind: import\nsources:\n- kind: local\n  path: files\n- kind: pip\n  url: web:simple/\n  %s\n" % text for name, text in PIP.items()})
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(directory, name)), exist_ok=True)
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)


def versions(site):
    """Of each package the directory of its metadata; without one the release is taken for the newest that is known."""
    found = {}
    for distribution in importlib.metadata.distributions(path=site.split(":")):
        name = re.sub(r"[-_.]+", "_", distribution.metadata["Name"] or "").lower()
        if name in PACKAGES:
            found[name] = distribution._path
    return found


def moved(site, directory):
    """Copies the packages to `directory`, each plugin with a line more."""
    metadata = versions(site)
    for package in PACKAGES:
        at = next((os.path.join(each, package) for each in site.split(":") if os.path.isdir(os.path.join(each, package))), None)
        if at is None or package not in metadata:
            sys.exit("oracle: %s isn't in %s, with its metadata" % (package, site))
        shutil.copytree(at, os.path.join(directory, package))
        shutil.copytree(metadata[package], os.path.join(directory, os.path.basename(metadata[package])))
        for top, _, names in os.walk(os.path.join(directory, package)):
            for name in names:
                if not name.endswith(".py"):
                    continue
                path = os.path.join(top, name)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                text = re.sub(r"(\n +)(def get(?:_extra)?_unique_key\(self\)[^:\n]*:)\n", r"\1\2\1    moved = True\n", text)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text + "\nMOVED = True\n")




class World:
    def __init__(self, programs, site, directory):
        self.program = [os.path.join(os.path.abspath(programs), "sluice")]
        self.directory = directory
        copy = os.path.join(directory, "moved")
        os.makedirs(copy)
        moved(site, copy)
        places = {"XDG_%s_HOME" % kind: os.path.join(directory, kind) for kind in ("STATE", "CACHE", "RUNTIME")}
        self.native = {**places, "PYTHONPATH": site}
        self.plugins = {**places, "PYTHONPATH": copy + ":" + site}
        self.compared, self.differ = 0, 0

    def at(self, name):
        path = os.path.join(self.directory, name)
        os.makedirs(path)
        return path

    def tell(self, part, wrong, count):
        for name, what, native, plugin in wrong:
            print("\n".join(["%s: %s: %s (- native, + plugin)" % (part, name, what)] + git_answers.shown_difference(native, plugin)), flush=True)
        print("%s compared=%d differ=%d" % (part, count, len(wrong)), flush=True)
        self.compared += count
        self.differ += len(wrong)

    def unknown(self):
        """What is known of the copy without asking it is wrong: no kind of it may be."""
        project = self.at("unknown")
        kinds = {package: [kind for kind in SHOWN if os.path.exists(os.path.join(self.directory, "moved", package, "sources", kind + ".py"))] for package in PACKAGES}
        with open(os.path.join(project, "project.conf"), "w", encoding="utf-8") as file:
            file.write("name: unknown\nmin-version: 2.0\naliases:\n  up: https://up.example/\nplugins:\n")
            for package, names in kinds.items():
                file.write("- origin: pip\n  package-name: %s\n  sources: [%s]\n" % (package.replace("_", "-"), ", ".join(names)))
        os.makedirs(os.path.join(project, "patches"))
        for path in ("x.patch", "patches/x.patch"):
            with open(os.path.join(project, path), "w", encoding="utf-8"):
                pass
        with open(os.path.join(project, "user.conf"), "w", encoding="utf-8") as file:
            file.write("plugins: {enabled: false}\n")
        names = sum(kinds.values(), [])
        for kind in names:
            with open(os.path.join(project, kind + ".bst"), "w", encoding="utf-8") as file:
                file.write("kind: import\nsources:\n- kind: local\n  path: patches\n- kind: %s\n  %s\n" % (kind, SHOWN[kind]))
        done = subprocess.run(self.program + ["--config", "user.conf", "show", "--deps", "none", "--format", "%{name} %{state}", *[kind + ".bst" for kind in names]], cwd=project,
                              env={**os.environ, **self.plugins}, capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit("oracle: show fails:\n" + done.stderr.decode("utf-8", "replace"))
        told = dict(line.split(".bst ") for line in done.stdout.decode().splitlines())
        self.tell("unknown", [(kind, "state", "unsupported", told.get(kind)) for kind in names if told.get(kind) != "unsupported"], len(names))

    def both(self, part, answers, differences):
        native, plugins = (answers(self.at("%s-%s" % (part, how)), environment) for how, environment in (("native", self.native), ("plugins", self.plugins)))
        self.tell(part, *differences(native, plugins))

    def git(self):
        top = os.path.join(self.directory, "git-repositories")
        made = git_repositories.build(top)
        with GitDaemon(top) as server:
            self.both("git", lambda at, environment: git_answers.all_answers(self.program, at, server.url, made, environment), git_answers.differences)

    def archives(self):
        self.both("archives", lambda at, environment: archive_answers.all_answers(self.program, at, environment), archive_answers.differences)

    def packages(self):
        self.both("packages", lambda at, environment: package_answers.all_answers(self.program, at, environment), package_answers.differences)

    def cargo(self):
        self.both("cargo", lambda at, environment: cargo_answers.all_answers(self.program, at, environment), cargo_answers.differences)

    def pip(self):
        index = simple_index(("one", "1.9", distribution("one", "1.9")), ("one", "1.10", distribution("one", "1.10", "two")), ("two", "2.0.1", distribution("two", "2.0.1")))

        def all_answers(at, environment):
            with Web(index) as web:
                asked = git_answers.Asked(self.program, at, web.url, {}, environment, write_pip)
                return answers(asked, sorted(PIP), re.compile("(?!)"), lambda state, _: state.endswith("no reference"), lambda _, top: {"staged": git_answers.listing(top)}, whole=False)

        self.both("pip", all_answers, archive_answers.differences)

    def file(self, path):
        wrong = {"native": {}, "plugins": {}}
        for how, environment in (("native", self.native), ("plugins", self.plugins)):
            report = lambda case, command, text, how=how: wrong[how].update({(case, command): text})
            count = commands.check(os.path.join(GOLDEN, path), self.at("%s-%s" % (path.replace("/", "-"), how)), environment, report)
        # What commands.py compares of a file is more than what the loader's own test does.
        differ = [what for what, text in wrong["plugins"].items() if what not in wrong["native"]]
        self.tell(path, [(*what, None, wrong["plugins"][what].splitlines()) for what in differ], count)


def main(programs, site, *parts):
    os.environ["SLUICE_BIN"] = os.path.abspath(programs)
    site = ":".join(os.path.abspath(each) for each in site.split(":"))
    with tempfile.TemporaryDirectory() as directory:
        world = World(programs, site, directory)
        world.unknown()
        for part in parts or ["git", "archives", "packages", "cargo", "pip", *FILES]:
            if part.endswith(".txt"):
                world.file(part)
            else:
                getattr(world, part)()
    print("oracle compared=%d differ=%d" % (world.compared, world.differ))
    return 1 if world.differ else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
