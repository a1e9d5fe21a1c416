"""An asker of a host that works for elements, as tests have it: a small one with trees in memory."""

import hashlib
import os
import sys
import textwrap

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from host_process import HostTest, node  # noqa: E402

PLUGIN = """
import io
import os
import signal
import tarfile
import threading
from buildstream import (
    BuildElement, Directory, DirectoryError, Element, ElementError, FileType, Node, OverlapAction, Sandbox, SandboxCommandError,
    ScriptElement,
)

class Kind({base}):
    BST_MIN_VERSION = "2.0"
    def configure(self, node):
        pass
    def preflight(self):
        pass
    def get_unique_key(self):
        return 1
    def configure_sandbox(self, sandbox):
        pass
    def stage(self, sandbox):
        pass

    def refused(self, function, *args, **options):
        try:
            return function(*args, **options)
        except (AssertionError, DirectoryError, ElementError, SandboxCommandError, ValueError) as error:
            return "{}: {}".format(type(error).__name__, error)

    def say(self, *what):
        self.info("|".join(str(part) for part in what))

    # What a test is about follows.
{body}

def setup():
    return Kind
"""


class Asker:
    """Answers calls from trees in memory: maps from names to maps, bytes with whether they can be run, and targets of links."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.trees = [{}]
        self.calls = []
        self.answers = {}  # what calls that have nothing to do with trees return, or raise

    def __call__(self, said):
        name = said["call"]
        self.calls.append(said)
        if name not in self.answers:
            found = getattr(self, name)(**{key: value for key, value in said.items() if key not in ("is", "call")})
        else:
            found = self.answers[name]
            found = found(said) if callable(found) else found
        return found if found and "do" in found else {"do": "return", **(found or {})}

    def at(self, tree, path, make=False):
        assert path.startswith("/") and not {"", ".", ".."} & set(path.strip("/").split("/")) or path == "/", path
        found = self.trees[tree]
        for name in filter(None, path.split("/")):
            if make:
                found = found.setdefault(name, {})
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found

    def above(self, tree, path):
        above, _, name = path.rpartition("/")
        return self.at(tree, above or "/"), name

    def path(self, name):
        assert "/" not in name and name not in ("", ".", "..")
        path = os.path.join(self.exchange, name)
        assert not os.path.islink(path)
        return path

    def directory(self, tree, path):
        found = self.at(tree, path)
        if not isinstance(found, dict):
            return {"entries": None}
        entries = []
        for name, value in found.items():
            if isinstance(value, dict):
                entries.append([name, 1, 0, False, None, None, None])
            elif isinstance(value, tuple):
                entries.append([name, 2, len(value[0]), value[1], hashlib.sha256(value[0]).hexdigest(), None, None])
            else:
                entries.append([name, 3, 0, False, None, value, None])
        return {"entries": sorted(entries, key=lambda entry: (entry[1], entry[0]))}

    def make_directory(self, tree, path):
        self.at(tree, path, make=True)

    def put(self, tree, path, name):
        above, last = self.above(tree, path)
        with open(self.path(name), "rb") as file:
            above[last] = file.read(), bool(os.stat(file.fileno()).st_mode & 0o100)

    def get(self, tree, path, name):
        assert not os.path.lexists(self.path(name))
        with open(self.path(name), "wb") as file:
            file.write(self.at(tree, path)[0])

    def remove(self, tree, path):
        above, last = self.above(tree, path)
        del above[last]

    def rename(self, tree, path, to):
        above, last = self.above(tree, path)
        moved = above.pop(last)
        above, last = self.above(tree, to)
        above[last] = moved

    def take(self, name):
        def read(path):
            found = {}
            for entry in os.scandir(path):
                if entry.is_symlink():
                    found[entry.name] = os.readlink(entry.path)
                elif entry.is_dir():
                    found[entry.name] = read(entry.path)
                else:
                    with open(entry.path, "rb") as file:
                        found[entry.name] = file.read(), bool(entry.stat().st_mode & 0o100)
            return found

        self.trees.append(read(self.path(name)))
        return {"tree": len(self.trees) - 1}

    def subsandbox(self):
        self.trees.append({})
        return {"tree": len(self.trees) - 1}

    def digest(self, tree, path):
        return {"hash": "h%d" % tree, "size": 7}


class ElementTest(HostTest):
    def setUp(self):
        super().setUp()
        self.exchange = os.path.join(self.directory, "exchange")
        os.mkdir(self.exchange)
        self.asker = Asker(self.exchange)

    def element(self, body="", base="Element"):
        text = PLUGIN.replace("{base}", base).replace("{body}", textwrap.indent(textwrap.dedent(body), "    "))
        self.write("plugins/kind.py", text)

    def asked(self, config=None, **more):
        return self.question(
            config, type="element", element="some/element.bst", environment={"PATH": "/bin"}, key="0123456789abcdef",
            **{"variables": {"build-root": "/build", "install-root": "/install"}, "public": node({"bst": {}}), "dependencies": [], **more},
        )  # fmt: skip

    def act(self, action, question=None):
        host = self.host or self.started()
        host.messages.clear()
        self.asker.calls.clear()
        question = question or {"element": "some/element.bst"}
        return host.work(action, question, self.project, answer=self.asker, directory=self.exchange)

    def assembled(self, body, **more):
        """What assemble() ends with, after the other two actions."""
        base = more.pop("base", "Element")
        self.element(body, base)
        for action, question in (("configure-sandbox", self.asked(more.pop("config", None), **more)), ("stage-element", None)):
            said = self.act(action, question)
            self.assertEqual(said["is"], "done", said)
        return self.act("assemble")

    def infos(self):
        return [said["text"] for said in self.host.messages if said.get("level") == "info"]

    def names(self):
        return [call["call"] for call in self.asker.calls]
