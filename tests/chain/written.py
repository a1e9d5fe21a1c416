"""The chain's project (project/), written with what upstreams released and with the servers' URLs."""

import os
import re

import languages
from upstream import git

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = "chain"


class Written:
    """The project, and what its sources need on the servers."""

    def __init__(self, upstream, crates=None, files=None):
        self.upstream = upstream
        self.files = files
        self.texts = {}
        for name in sorted(os.listdir(os.path.join(HERE, "project"))):
            with open(os.path.join(HERE, "project", name), encoding="utf-8") as file:
                parts = re.split(r"^--- (\S+)\n", file.read(), flags=re.MULTILINE)
            self.texts.update(zip(parts[1::2], parts[2::2]))
        # What is on top of a release, each in a commit.
        self.changes = {"rust-ripgrep": [("Cargo.lock for Debian's crates", crates and crates.lock)], "gron": [("Modules as Debian has them", languages.modules_of_gron(upstream))],
                        "jq": [("Submodules", self.submodules)]}

    def needed(self, kind):
        """What stands after "@KIND:", each once."""
        return list(dict.fromkeys(re.findall("@%s:([^@]*)@" % kind, "".join(self.texts.values()))))

    def submodules(self, tree):
        os.makedirs(os.path.join(tree, "modules/oniguruma"), exist_ok=True)
        git(tree, "update-index", "--add", "--cacheinfo", "160000,%s,modules/oniguruma" % self.upstream.commit("libonig"))

    def serve(self):
        """Puts what the project needs where servers have it."""
        for name in self.needed("tar"):
            os.symlink(self.upstream.archive(name), os.path.join(self.files, os.path.basename(self.upstream.archive(name))))
        for name in self.needed("zip"):
            self.upstream.zipped(name, os.path.join(self.files, self.zip_name(name)))
        for name in self.needed("file"):
            self.upstream.single(*name.split(":"), os.path.join(self.files, name.split(":")[1]))
        # Those that are asked for their commits come first.
        names = self.needed("git")
        for name in sorted(names, key=lambda name: name in self.changes):
            self.upstream.repository(name, changes=self.changes.get(name, ()))

    def zip_name(self, name):
        return "%s-%s.zip" % (name, self.upstream.version(name))

    def write(self, directory, urls):
        for name in self.needed("patches") + self.needed("patch"):
            self.upstream.patches(name, os.path.join(directory, "patches", name))

        def value(match):
            kind, _, name = match.group(1).partition(":")
            folder = os.path.join("patches", name)
            return {"url": lambda: urls[name], "tar": lambda: os.path.basename(self.upstream.archive(name)), "zip": lambda: self.zip_name(name), "git": lambda: name,
                    "file": lambda: name.split(":")[1], "patches": lambda: folder,
                    "patch": lambda: os.path.join(folder, sorted(os.listdir(os.path.join(directory, folder)))[0])}[kind]()

        for path, text in self.texts.items():
            path = os.path.join(directory, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(re.sub(r"@([a-z]+:[^@]*)@", value, text).rstrip("\n") + "\n")

    def kinds(self):
        text = "".join(self.texts.values())
        return len(set(re.findall(r"^- kind: (\w+)", text, re.MULTILINE))), len(set(re.findall(r"^kind: (\w+)", text, re.MULTILINE)))
