"""The host of plugins as a test has it: a process of which the test is the asker."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from buildstream._host.packing import pack, unpack  # noqa: E402

PATIENCE = 60  # seconds until a host that says nothing is a failure


class Ended(Exception):
    """The host has ended; the text is what it wrote into its log."""


class Host:
    """A host, greeted."""

    def __init__(self, environment=None, memory=0, greet=True):
        self.log = tempfile.TemporaryFile()
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        null = os.open(os.devnull, os.O_RDWR)
        self.process = subprocess.Popen(
            # The shell gives the host the descriptors that it has from its asker, and no others. Numbers of two digits need bash.
            ["/bin/bash", "-c", 'exec 3<&%d %d<&-; exec "$@"' % (theirs.fileno(), theirs.fileno()) if theirs.fileno() != 3 else 'exec "$@"',
             "sh", sys.executable, "-s", "-B", os.path.join(HERE, "host.py")],
            stdin=null,
            stdout=self.log,
            stderr=self.log,
            pass_fds=[theirs.fileno()],
            cwd="/",
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/", **(environment or {})},
        )
        os.close(null)
        theirs.close()
        self.file = self.socket.makefile("rb")
        self.requests = 0
        self.messages = []
        if greet:
            self.send({"do": "hello", "protocol": "plugins/1", "version": "2.8.1", "memory": memory})
            self.welcome = self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """The host's status after its asker has gone."""
        self.file.close()
        self.socket.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.log.close()
        return self.process.returncode

    def written(self):
        """What the host, its plugins and their programs wrote."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, said):
        data = pack(said)
        self.send_bytes(len(data).to_bytes(4, "big") + data)

    def receive(self):
        head = self.file.read(4)
        if len(head) < 4:
            self.process.wait(PATIENCE)
            raise Ended(self.written())
        return unpack(self.file.read(int.from_bytes(head, "big")))

    def load(self, questions, projects):
        """The answers, and what was read; messages are kept."""
        self.requests += 1
        self.send({"do": "load", "id": self.requests, "projects": projects, "questions": questions})
        answers = []
        while True:
            said = self.receive()
            if said["is"] == "message":
                self.messages.append(said)
                continue
            assert said["id"] == self.requests, said
            if said["is"] == "done":
                assert len(answers) == len(questions), said
                return answers, [tuple(read) for read in said["read"]]
            assert said["is"] == "answer" and said["index"] == len(answers), said
            answers.append(said)

    def work(self, action, question, project, answer=None, **more):
        """What the work ends with; all else that was said is kept. Calls are answered by a function."""
        self.requests += 1
        request = {"directory": None, "previous": None, "retries": 0, **more}
        self.send({"do": "work", "id": self.requests, "action": action, "question": question, "project": project, **request})
        while True:
            said = self.receive()
            if said["is"] in ("done", "error"):
                assert said["id"] == self.requests, said
                return said
            if said["is"] == "call":
                self.send(answer(said))
                continue
            self.messages.append(said)


def differences(case, answer):
    """How an answer of the host differs from what BuildStream made of the same: pairs of texts, for people."""
    theirs, failure = case["answer"], case["failure"]
    error = theirs.get("error") or failure
    if error is not None:
        ours = answer.get("error")
        if ours is None:
            return [("no error", error)]
        names = ["domain", "reason"]
        if error["reason"] != "unhandled-exception":
            names += ["message", "detail"]
        found = [(ours[name], error[name]) for name in names if ours[name] != error[name]]
        if "type" in error and error["type"] not in (ours["detail"] or ""):
            found.append((ours["detail"], error["type"]))
        return found
    if "error" in answer:
        return [(answer["error"], "no error")]
    ours = {name: answer[name] for name in theirs}
    if "urls" in ours:
        ours["urls"] = sorted(url["url"] for url in ours["urls"])
    return [(ours[name], theirs[name]) for name in theirs if ours[name] != theirs[name]]


def cases_of(path, project, sources):
    """What a file of ask_buildstream.py has: the project, and its cases."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    said = json.loads(text.replace("@PROJECT@", project).replace("@SOURCES@", sources).replace("@API@", os.path.join(HERE, "buildstream")))
    return said["project"], said["cases"]


# A source to which each test adds what it is about.
SOURCE = """
import os
import sys
from buildstream import DownloadableFileSource, Element, Source, SourceError, SourceFetcher

class Base:
    BST_MIN_VERSION = "2.0"
    def configure(self, node):
        self.url = node.get_str("url", None)
        self.ref = node.get_str("ref", None)
        self.node = node
        if self.url:
            self.translated = self.translate_url(self.url)
    def preflight(self):
        pass
    def get_unique_key(self):
        return [self.ref]
    def load_ref(self, node):
        self.ref = node.get_str("ref", None)
    def get_ref(self):
        return self.ref
    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref
    def is_cached(self):
        return False

class Plugin(Base, {base}):
{body}

def setup():
    return Plugin
"""


def node(value, line=1):
    """The NODE of plain data, in the first file."""
    if isinstance(value, dict):
        value = {key: node(item, line + number) for number, (key, item) in enumerate(value.items())}
    elif isinstance(value, list):
        value = [node(item, line + number) for number, item in enumerate(value)]
    return [0, line, 2, value]


class HostTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.directory = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.mirrors = os.path.join(self.directory, "mirrors")
        self.project = {"name": "p", "directory": self.directory, "aliases": {}}
        self.host = None

    def started(self, **options):
        """A host that ends with the test, and is asked by the methods below."""
        self.host = Host(**options)
        self.addCleanup(self.host.end)
        return self.host

    def write(self, path, text, mode="w"):
        path = os.path.join(self.directory, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, mode, encoding=None if "b" in mode else "utf-8") as file:
            file.write(text)
        return path

    def plugin(self, body="", base="Source", kind="kind", name="plugins"):
        """Writes a plugin."""
        body = textwrap.indent(textwrap.dedent(body) or "pass\n", "    ")
        return self.write(f"{name}/{kind}.py", SOURCE.replace("{base}", base).replace("{body}", body))

    def question(self, config=None, kind="kind", name="plugins", **more):
        root = os.path.join(self.directory, name)
        return {
            "type": "source", "kind": kind, "file": f"{root}/{kind}.py", "root": root, "module": kind, "project": 0,
            "element": "some/element.bst", "files": ["some/element.bst"], "place": [0, 7, 2], "index": 1, "directory": None,
            "mirror_directory": os.path.join(self.mirrors, kind), "provenance": None,
            "config": node(config or {"ref": "abc"}, 8), **more,
        }  # fmt: skip

    def answers(self, *questions):
        host = self.host or self.started()
        return host.load(list(questions) or [self.question()], [self.project])[0]

    def answer(self, *questions):
        return self.answers(*questions)[0]

    def read(self, *questions):
        """What was read, but for the directories that modules were looked for in."""
        host = self.host or self.started()
        return [(what, path) for what, path in host.load(list(questions) or [self.question()], [self.project])[1]]

    def work(self, action, question=None, **more):
        host = self.host or self.started()
        host.messages.clear()
        return host.work(action, question or self.question(), self.project, **more)

    def said(self):
        return [(said["is"], said.get("level"), said.get("text")) for said in self.host.messages]
