"""Plugins of sources for sources_test.py, as projects bring them."""

# Files below URLs, each with a fetcher of its own; the ref is a map from the names of files to their SHA-256.
PARTS = '''
import hashlib
import os
import urllib.error
import urllib.request

from buildstream import Source, SourceError, SourceFetcher


def name_of(url):
    return url.rpartition(":")[2]


def read(source, url):
    try:
        with source.timed_activity("Reading {}".format(url)), urllib.request.urlopen(url) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise SourceError("{}: {} says {}".format(source, url, error.code), temporary=error.code == 503) from error


class Part(SourceFetcher):
    def __init__(self, source, url, sha256):
        super().__init__()
        self.source, self.url, self.sha256 = source, url, sha256
        self.mark_download_url(url)

    def fetch(self, alias_override=None, **kwargs):
        path = self.source.path_of(self.sha256)
        if os.path.exists(path):
            return
        data = read(self.source, self.source.translate_url(self.url, alias_override=alias_override))
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise SourceError("{}: {} is another one now".format(self.source, self.url), reason="another")
        with self.source.tempdir() as directory:
            with open(os.path.join(directory, "part"), "wb") as file:
                file.write(data)
            os.rename(os.path.join(directory, "part"), path)


class Parts(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        node.validate_keys(["urls", "ref", *Source.COMMON_CONFIG_KEYS])
        self.urls = node.get_str_list("urls")
        for url in self.urls:
            self.mark_download_url(url)
        self.load_ref(node)

    def preflight(self):
        pass

    def get_unique_key(self):
        return [self.urls, self.ref]

    def load_ref(self, node):
        ref = node.get_mapping("ref", None)
        self.ref = None if ref is None else {name: ref.get_str(name) for name in ref.keys()}

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    def path_of(self, sha256):
        return os.path.join(self.get_mirror_directory(), sha256)

    def track(self):
        return {name_of(url): hashlib.sha256(read(self, self.translate_url(url))).hexdigest() for url in self.urls}

    def is_cached(self):
        return all(os.path.exists(self.path_of(sha256)) for sha256 in self.ref.values())

    def get_source_fetchers(self):
        for url in self.urls:
            yield Part(self, url, self.ref[name_of(url)])

    def stage(self, directory):
        for name, sha256 in self.ref.items():
            with open(self.path_of(sha256), "rb") as file, open(os.path.join(directory, name), "wb") as out:
                out.write(file.read())

    def collect_source_info(self):
        for url in self.urls:
            yield self.create_source_info(
                self.translate_url(url), "parts", "sha256", self.ref[name_of(url)], extra_data={"of": str(len(self.urls))}
            )


def setup():
    return Parts
'''

# Adds a file that lists what was there before.
LISTING = '''
import os

from buildstream import Source


class Listing(Source):
    BST_MIN_VERSION = "2.0"
    BST_REQUIRES_PREVIOUS_SOURCES_STAGE = True

    def configure(self, node):
        node.validate_keys(["name", *Source.COMMON_CONFIG_KEYS])
        self.name = node.get_str("name")

    def preflight(self):
        pass

    def get_unique_key(self):
        return self.name

    def load_ref(self, node):
        pass

    def get_ref(self):
        return None

    def set_ref(self, ref, node):
        pass

    def is_resolved(self):
        return True

    def is_cached(self):
        return True

    def fetch(self):
        pass

    def stage(self, directory):
        names = sorted(os.listdir(directory))
        with open(os.path.join(directory, self.name), "w", encoding="utf-8") as file:
            file.write(" ".join(names))

    def collect_source_info(self):
        return []


def setup():
    return Listing
'''

# Tracks and fetches by what the sources before it have staged; its ref is in two keys.
COUNTED = '''
import os

from buildstream import Source, SourceError


class Counted(Source):
    BST_MIN_VERSION = "2.0"
    BST_REQUIRES_PREVIOUS_SOURCES_TRACK = True
    BST_REQUIRES_PREVIOUS_SOURCES_FETCH = True

    def configure(self, node):
        node.validate_keys(["of", "ref", "bytes", "old", *Source.COMMON_CONFIG_KEYS])
        self.of = node.get_str("of")
        self.load_ref(node)

    def preflight(self):
        pass

    def get_unique_key(self):
        return [self.of, self.ref]

    def load_ref(self, node):
        ref = node.get_str("ref", None)
        self.ref = None if ref is None else (ref, node.get_str("bytes"))

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        self.ref = ref
        if ref is not None:
            node["ref"], node["bytes"] = ref
            if "old" in node:
                del node["old"]

    def _path(self):
        return os.path.join(self.get_mirror_directory(), self.ref[0])

    def _count(self, directory):
        with open(os.path.join(directory, self.of), encoding="utf-8") as file:
            text = file.read()
        return text.strip(), str(len(text))

    def track(self, *, previous_sources_dir):
        return self._count(previous_sources_dir)

    def is_cached(self):
        return os.path.exists(self._path())

    def fetch(self, *, previous_sources_dir):
        if self._count(previous_sources_dir) != tuple(self.ref):
            raise SourceError("{}: {} is not what it was".format(self, self.of))
        with open(self._path(), "w", encoding="utf-8") as file:
            file.write(self.ref[1])

    def stage(self, directory):
        with open(self._path(), encoding="utf-8") as file, open(os.path.join(directory, "count"), "w", encoding="utf-8") as out:
            out.write("{} of {}".format(file.read(), " ".join(sorted(os.listdir(directory)))))


def setup():
    return Counted
'''

# Does what no plugin should.
ODD = '''
import os
import signal
import socket
import sys
import time

from buildstream import Source, SourceError


class Odd(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        node.validate_keys(["does", "in", "with", "ref", *Source.COMMON_CONFIG_KEYS])
        self.does = node.get_str("does")
        self.within = node.get_str("in", "fetch")
        self.argument = node.get_str("with", "")
        self.ref = node.get_str("ref", None)

    def preflight(self):
        pass

    def get_unique_key(self):
        return [self.does, self.within, self.argument, self.ref]

    def load_ref(self, node):
        self.ref = node.get_str("ref", None)

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    def track(self):
        self.act("track", None)
        return "new"

    def is_cached(self):
        return False

    def fetch(self):
        self.act("fetch", None)

    def stage(self, directory):
        self.act("stage", directory)
        with open(os.path.join(directory, "file"), "w", encoding="utf-8") as file:
            file.write("odd\\n")

    def act(self, where, directory):
        if where == self.within:
            getattr(self, self.does)(directory)

    def hang(self, directory):
        while True:
            time.sleep(1000)

    def exit(self, directory):
        os._exit(0)

    def crash(self, directory):
        os.kill(os.getpid(), signal.SIGSEGV)

    def fail(self, directory):
        raise KeyError("nothing of that name")

    def refuse(self, directory):
        raise SourceError("{}: no".format(self), reason="refused", detail="at all")

    def warn_of(self, directory):
        self.warn("It is late", warning_token="late")

    def speak(self, directory):
        print("on standard output")
        for _ in range(100):
            os.write(1, b"x" * 100000)
        os.write(2, b"\\x1b[31m\\xff" * 1000)
        sys.stdout.flush()

    def close(self, directory):
        os.close(0)
        os.close(1)
        os.close(2)

    def move(self, directory):
        os.chdir("/tmp")
        os.umask(0o777)
        os.umask(0o022)

    def scribble(self, directory):
        for number in range(3, 2000):
            try:
                os.write(number, b"\\xc1" * 1000)
            except OSError:
                pass
        time.sleep(1000)

    def fork(self, directory):
        if os.fork() == 0:
            os.setsid()
            with open(os.path.join(directory or "/tmp", "written"), "w", encoding="utf-8") as file:
                number = 0
                while True:
                    file.seek(0)
                    file.write("{:09}".format(number))
                    file.flush()
                    number += 1
        while directory is not None and not os.path.exists(os.path.join(directory, "written")):
            time.sleep(0.01)

    def swap(self, directory):
        for change in (lambda: os.rmdir(directory), lambda: os.rename(directory, directory + ".away")):
            try:
                change()
            except OSError:
                continue
            os.symlink(self.argument, directory)

    def trust(self, directory):
        with open(os.environ["REQUESTS_CA_BUNDLE"], encoding="utf-8") as file:
            raise SourceError("trusts {} by {}".format(file.read(), os.environ["ALL_PROXY"]))

    def look(self, directory):
        home, project, port = self.argument.split(":")
        seen = []
        for attempt in (
            lambda: open(home + "/secret", encoding="utf-8").read(),
            lambda: open(project + "/planted", "w", encoding="utf-8"),
            lambda: open(os.path.dirname(self.get_mirror_directory()) + "/other/there", encoding="utf-8"),
            lambda: socket.create_connection(("127.0.0.1", int(port)), 5),
            lambda: os.environ["SLUICE_SECRET"],
            lambda: os.kill(os.getppid(), signal.SIGKILL) if os.getppid() > 2 else os.kill(3000000, 0),
        ):
            try:
                attempt()
                seen.append("yes")
            except (OSError, KeyError):
                seen.append("no")
        with open(os.path.join(directory, "seen"), "w", encoding="utf-8") as file:
            file.write(" ".join(seen))


def setup():
    return Odd
'''

# One of an installed package.
PIPED = '''
import os

from buildstream import Source

from . import words


class Piped(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        node.validate_keys(Source.COMMON_CONFIG_KEYS)

    def preflight(self):
        pass

    def get_unique_key(self):
        return words.TEXT

    def load_ref(self, node):
        pass

    def get_ref(self):
        return None

    def set_ref(self, ref, node):
        pass

    def is_resolved(self):
        return True

    def is_cached(self):
        return True

    def fetch(self):
        pass

    def stage(self, directory):
        with open(os.path.join(directory, "piped"), "w", encoding="utf-8") as file:
            file.write(words.TEXT)

    def init_workspace(self, directory):
        self.stage(directory)
        with open(os.path.join(directory, "for-work"), "w", encoding="utf-8") as file:
            file.write("yes")


def setup():
    return Piped
'''

# Stages a project whose only element is what its configuration says.
NESTED = '''
import os

from buildstream import Source


class Nested(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        node.validate_keys(["name", "ref", *Source.COMMON_CONFIG_KEYS])
        self.name = node.get_str("name")
        self.ref = node.get_str("ref", None)

    def preflight(self):
        pass

    def get_unique_key(self):
        return [self.name, self.ref]

    def load_ref(self, node):
        self.ref = node.get_str("ref", None)

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    def is_cached(self):
        return os.path.exists(os.path.join(self.get_mirror_directory(), self.ref))

    def fetch(self):
        with open(os.path.join(self.get_mirror_directory(), self.ref), "w", encoding="utf-8") as file:
            file.write(self.name)

    def stage(self, directory):
        for name, text in (
            ("project.conf", "name: {}\\nmin-version: 2.0\\n".format(self.name)),
            ("thing.bst", "kind: import\\nsources:\\n- kind: local\\n  path: data\\n"),
            ("data", self.ref),
        ):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(text)


def setup():
    return Nested
'''
