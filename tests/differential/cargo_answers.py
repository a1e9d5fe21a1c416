#!/usr/bin/env python3
"""Sources of the kinds cargo and cargo2: what BuildStream 2.8.1 makes of some Cargo.lock files, and Sluice of the same.

    cargo_answers.py ask COMMAND          writes BuildStream's answers into ../golden/cargo.json; COMMAND runs it
    cargo_answers.py check BIN_DIR        asks Sluice, prints each difference and, last, "cargo compared=N differ=M"

Crates are served by a web server, laid out as the index's download host, repositories by a real `git daemon`. Per
element: key and state before and after track, what track writes into the .bst file, what failed, the staged tree with
what Cargo reads of it, and %{source-info}. Lock files name hosts that aren't there, so that they are the same wherever
they are made; aliases lead to the servers, which answers call SERVER and GIT.

BuildStream runs buildstream-plugins 2.8.0; cargo2 of buildstream-plugins-community with dulwich 0.24.10 and tomlkit 0.15.1.
"""

import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shlex
import sys
import tarfile
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import git_answers  # noqa: E402
from git_repositories import Repository, executable, link  # noqa: E402
from git_servers import GitDaemon  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/cargo.json")
SOURCE = re.compile(r"cargo2? source at \S+ \[line \d+ column \d+\]: ")
FAILURE = re.compile(r"^\[[^\]]*\]\[[^\]]*\]\[ *([a-z]+):(\S+)\.bst *\] (FAILURE|ERROR|BUG) (.*)$")
# A plugin's object that is shown by its address; and what only one of both says, or in other words.
OBJECT = re.compile(r"^<[^>]*>: ")
OTHERS_WORDS = re.compile(r"(failed to fetch)(?::| from).*|(Error mirroring \S+\.crate): .*| Root manifest:.*|^(Error staging source: ).*")
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


# ---- crates


def archive(name, version, files=None, raw=(), format="gz"):
    """A crate as `cargo package` makes it. raw: TarInfo objects that are added as they are."""
    top = "%s-%s/" % (name, version)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path, content in (files or {"Cargo.toml": '[package]\nname = "%s"\nversion = "%s"\n' % (name, version), "src/lib.rs": "// %s\n" % name}).items():
            mode, content = content if isinstance(content, tuple) else ("100644", content)
            info = tarfile.TarInfo(top + path)
            if mode == "120000":
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
                continue
            info.size, info.mode = len(content.encode()), int(mode[-3:], 8)
            tar.addfile(info, io.BytesIO(content.encode()))
        for info in raw:
            tar.addfile(info)
    return gzip.compress(data.getvalue(), mtime=0) if format == "gz" else data.getvalue()


class Crates:
    """Serves {path: bytes} below /crates/; `refused` are statuses by path, `mangled` what is served instead."""

    def __init__(self):
        self.files, self.requests, self.refused, self.mangled = {}, [], {}, {}
        self.held = threading.Event()
        self.holds = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = "http://127.0.0.1:%d/" % self.server.server_address[1]

    def add(self, name, version, **more):
        """The crate's SHA-256."""
        return self.put(name, version, archive(name, version, **more))

    def put(self, name, version, data):
        self.files[self.path(name, version)] = data
        return hashlib.sha256(data).hexdigest()

    @staticmethod
    def path(name, version):
        return "/crates/%s/%s-%s.crate" % (name, name, version)

    def answer(self, handler):
        path = handler.path
        self.requests.append(path)
        if path in self.holds:
            self.held.wait()
        data = self.mangled.get(path, self.files.get(path))
        status = self.refused.get(path, 200 if data is not None else 404)
        try:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(data or b"")))
            handler.end_headers()
            handler.wfile.write(data or b"")
        except OSError:
            pass

    def close(self):
        self.held.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- what is there


def manifest(name, **more):
    return "[package]\nname = \"%s\"\nversion = \"0.3.0\"\n" % name + "".join("%s = %s\n" % item for item in more.items())


WORKSPACE = """# a comment, which is lost
[workspace]
members = ["crates/*", "more/deep"]
exclude = ["crates/none"]

[workspace.package]
version = "0.3.0"
edition = '2021'
authors = ["A <a@example.org>", 'B "b"']

[workspace.dependencies]
serde = { version = "1", features = ["derive"], default-features = false }
plain = "0.2"
beta = { path = "crates/beta" }

[workspace.lints.rust]
unsafe_code = "forbid"
"""
ALPHA = """[package]
name = "alpha"
version.workspace = true
edition = { workspace = true }
authors.workspace = true
description = \"\"\"two
lines\\t\"\"\"

[features]
default = []
full = ["serde/std"]

[dependencies]
serde = { workspace = true, features = ["std"], optional = true }
plain.workspace = true
beta = { workspace = true }
own = "1.5"

[target.'cfg(unix)'.dependencies]
plain = { workspace = true }

[dev-dependencies.serde]
workspace = true

[[bin]]
name = "one"
path = "src/one.rs"

[[bin]]
name = "two"

[package.metadata.x]
list = [1, 0x10, 1.50, true, 1979-05-27T07:32:00Z, [{ a = 1, b = { c = 2 } }]]

[lints]
workspace = true
"""
ROOT = """[package]
name = "rooted"
version = "0.3.0"
edition.workspace = true

[workspace]
members = ["sub"]
package.edition = "2018"
"""


def repositories(top):
    """{name: Made}"""
    made = {}
    for repository in (
        Repository("single.git").commit("c1", {"Cargo.toml": manifest("single"), "old": "1\n"})
        .commit("c2", {"Cargo.toml": manifest("single"), "src/lib.rs": "// 1\n", "run": executable("#!/bin/sh\n"), "to": link("run"), ".gitattributes": "* eol=crlf\n"})
        .tag("v1", "c2"),
        Repository("space").commit("c1", {"Cargo.toml": WORKSPACE, "README": "r\n", "crates/alpha/Cargo.toml": ALPHA, "crates/alpha/src/lib.rs": "// a\n",
                                          "crates/beta/Cargo.toml": manifest("beta"), "more/deep/Cargo.toml": manifest("deep", **{"edition.workspace": "true"}),
                                          "more/deep/x": link("../../README")}),
        Repository("rooted").commit("c1", {"Cargo.toml": ROOT, "src/lib.rs": "// r\n", "sub/Cargo.toml": manifest("sub")}),
        Repository("lacking").commit("c1", {"Cargo.toml": '[workspace]\nmembers = ["a"]\n', "a/Cargo.toml": manifest("lacking", **{"edition.workspace": "true"})}),
        Repository("bare").commit("c1", {"README": "no manifest\n"}),
    ):
        made[repository.name] = repository.finish(top)
    return made


def lock(*packages):
    """Cargo.lock of a project with those packages: (name, version, source, checksum)."""
    text = '# made by hand\nversion = 4\n\n[[package]]\nname = "own"\nversion = "0.1.0"\ndependencies = ["a"]\n'
    for name, version, source, checksum in packages:
        text += '\n[[package]]\nname = "%s"\nversion = "%s"\n' % (name, version)
        text += 'source = "%s"\n' % source if source else ""
        text += 'checksum = "%s"\n' % checksum if checksum else ""
    return text


class World:
    """Elements {name: (lock file or None, source's YAML)} of what the servers have."""

    def __init__(self, crates, made):
        self.elements = {}
        a, a2, b = crates.add("a", "1.0.0"), crates.add("a", "2.0.0-rc.1+build"), crates.add(
            "b", "0.1.0", files={"Cargo.toml": manifest("b"), "bin/run": ("100755", "#!/bin/sh\n"), "to": ("120000", "bin/run"), "deep/er/file": "x\n"})
        plain = [("b", "0.1.0", REGISTRY, b), ("a", "2.0.0-rc.1+build", REGISTRY, a2), ("a", "1.0.0", REGISTRY, a)]
        git = lambda name, label, query="": "git+https://git.example/%s%s#%s" % (name, query, made[name][label])
        single = ("single", "0.3.0", git("single.git", "c2", "?tag=v1"), None)
        for kind in ("cargo", "cargo2"):
            self.add(kind, "plain", lock(*plain))
            self.add(kind, "no-sums", lock(("a", "1.0.0", REGISTRY, None), ("b", "0.1.0", REGISTRY, None)))
            self.add(kind, "none", lock())
            self.add(kind, "no-lock", None)
            self.add(kind, "malformed", "[[package]\n")
            self.add(kind, "gone", lock(("gone", "1.0.0", REGISTRY, None)))
            self.add(kind, "elsewhere", lock(*plain), "  cargo-lock: deep/other.lock\n  vendor-dir: ven/dor\n  directory: sub\n", "deep/other.lock")
            self.add(kind, "not-there", lock(*plain), "  directory: sub\n")
            self.add(kind, "ready", lock(*plain), "  ref:\n  - sha: %s\n    name: a\n    version: 1.0.0\n    extra: 1\n" % a)
            self.add(kind, "same", lock(plain[0]), "  ref:\n  - %sname: b\n    version: 0.1.0\n    sha: %s\n" % ("kind: registry\n    " if kind == "cargo2" else "", b))
            self.add(kind, "no-sha", lock(plain[0]), "  ref:\n  - name: b\n    version: 0.1.0\n")
            self.add(kind, "empty", lock(plain[0]), "  ref: []\n")
        self.add("cargo", "told", lock(*plain), "  ref:\n  - name: b\n    version: 0.1.0\n    sha: %s\n    provenance:\n      homepage: https://example.org/b\n" % b)
        self.add("cargo2", "told", lock(*plain), "  provenance:\n    homepage: https://example.org/all\n")
        mirrors = "  git-mirrors:\n    https://git.example/: 'gits:'\n    https://git: 'none:'\n"
        self.add("cargo2", "git", lock(plain[2], single), mirrors)
        self.add("cargo2", "git-old", lock(("single", "0.3.0", git("single.git", "c1", "?rev=ab%20c&branch=a%2Fb&empty="), None)), mirrors)
        self.add("cargo2", "members", lock(("alpha", "0.3.0", git("space", "c1"), None), ("beta", "0.3.0", git("space", "c1"), None),
                                           ("deep", "0.3.0", git("space", "c1", "?rev=1"), None)), mirrors)
        self.add("cargo2", "rooted", lock(("rooted", "0.3.0", git("rooted", "c1"), None)), mirrors)
        self.add("cargo2", "sparse", lock(("a", "1.0.0", "sparse+https://index.example/", a)))
        self.add("cargo2", "lacking", lock(("lacking", "0.3.0", git("lacking", "c1"), None)), mirrors)
        self.add("cargo2", "stranger", lock(("other", "0.3.0", git("space", "c1"), None)), mirrors)
        self.add("cargo2", "stranger-alone", lock(("other", "0.3.0", git("single.git", "c2"), None)), mirrors)
        self.add("cargo2", "no-such-commit", lock(("single", "0.3.0", "git+https://git.example/single.git#" + "5a" * 20, None)), mirrors)
        self.add("cargo2", "no-such-repository", lock(("single", "0.3.0", "git+https://git.example/nothing#" + "5a" * 20, None)), mirrors)

    def add(self, kind, name, text, more="", file="Cargo.lock"):
        self.elements["%s-%s" % (kind, name)] = (kind, text, more, file)

    def write(self, project, crates_url, git_url):
        elements = os.path.join(project, "elements")
        os.makedirs(elements)
        with open(os.path.join(project, "project.conf"), "w", encoding="utf-8") as file:
            file.write("name: crates\nmin-version: 2.5\nelement-path: elements\naliases:\n  crates: %s\n  gits: %s\n  none: http://none.example/\n"
                       "plugins:\n- origin: pip\n  package-name: buildstream-plugins\n  sources: [cargo]\n"
                       "- origin: pip\n  package-name: buildstream-plugins-community\n  sources: [cargo2]\n" % (crates_url, git_url))
        for name, (kind, text, more, lock_name) in self.elements.items():
            path = os.path.join(project, "files", name, lock_name)
            os.makedirs(os.path.dirname(path))
            if text is not None:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            with open(os.path.join(elements, name + ".bst"), "w", encoding="utf-8") as file:
                file.write("kind: import\nsources:\n- kind: local\n  path: files/%s\n%s- kind: %s\n  url: crates:crates\n%s"
                           % (name, "  directory: sub\n" if "directory: sub" in more and name.endswith("elsewhere") else "", kind, more))


# ---- a program is asked


class Asked(git_answers.Asked):
    def __init__(self, program, directory, crates_url, git_url, world, environment=None):
        super().__init__(program, directory, git_url, {}, environment, lambda project, *_: world.write(project, crates_url, git_url))
        self.crates_url = crates_url

    def nameless(self, text):
        return super().nameless(text.replace(self.url, "GIT/")).replace(self.crates_url, "SERVER/")

    def failures(self, stderr):
        """{element: the last failure of its own}"""
        result = {}
        for line in stderr.split("\n"):
            found = FAILURE.match(line)
            # A nested activity that ends in failure comes before what failed it, and a BUG is one in the plugin itself.
            if found and found.group(3) == "BUG":
                result[found.group(2)] = "crash"
            elif found and result.get(found.group(2)) != "crash" and not found.group(4).startswith(("Downloading", "Fetching from", "Tracking", "Staging")):
                text = OBJECT.sub("", SOURCE.sub("", found.group(4)))
                result[found.group(2)] = self.nameless(OTHERS_WORDS.sub(lambda found: "".join(found.groups("")), text).replace("Unkown", "Unknown"))
        return result


def texts(top):
    """What Cargo reads of a staged tree."""
    result = {}
    for directory, _, files in os.walk(top):
        for name in files:
            path = os.path.join(directory, name)
            shown = os.path.relpath(path, top)
            if name in ("config", "config.toml") and "/.cargo/" in path or name == ".cargo-checksum.json" or name == "Cargo.toml" and "registry" not in shown:
                result[shown] = git_answers.read(path).splitlines()
    return result


def look(top):
    seen = git_answers.look(top, True)
    # Those are told by their text, which has the servers' URLs.
    seen["tree"] = sorted("config " + line.rsplit(" ", 1)[1] if "/.cargo/config" in line else line for line in seen["tree"])
    return dict(seen, texts=texts(top))


def info(asked, name):
    status, out, _ = asked.run("show", "--deps", "none", "--format", "%{source-info}", name + ".bst")
    return asked.nameless(out).splitlines() if status == 0 else "fails"


def answers(asked, world):
    """{element: what became of it}"""
    names = sorted(world.elements)
    result = {name: {"show": state} for name, state in asked.show(names).items()}
    before = {name: git_answers.read(asked.file(name)) for name in names}
    _, _, err = asked.run("source", "track", *[name + ".bst" for name in names])
    failed = asked.failures(err)
    for name in names:
        result[name]["track"] = [failed[name]] if name in failed else git_answers.read(asked.file(name))[len(before[name].split("  ref:")[0]):].splitlines()
    shown = asked.show(names)
    have_ref = [name for name in names if not shown[name].endswith(("no reference", "crash"))]
    _, _, err = asked.run("source", "fetch", *[name + ".bst" for name in have_ref])
    failed = asked.failures(err)
    fetched = [name for name in have_ref if name not in failed]
    for name in names:
        result[name]["tracked"] = shown[name]
    for name, text in failed.items():
        result[name]["fetch"] = text
    for name in fetched:
        top = os.path.join(asked.state, "out")
        status, _, err = asked.run("source", "checkout", "--deps", "none", "--directory", top, name + ".bst")
        result[name]["staged"] = {"fails": asked.failures(err).get(name)} if status != 0 else look(top)
        result[name]["info"] = info(asked, name)
        git_answers.shutil.rmtree(top, ignore_errors=True)
    return json.loads(asked.nameless(json.dumps(result)))


def all_answers(program, directory, environment=None):
    top = os.path.join(directory, "repositories")
    made = repositories(top)
    # What no branch leads to any more is given by its id all the same.
    for repository in made.values():
        git_answers.git(repository.directory, "config", "uploadpack.allowAnySHA1InWant", "true")
    with Crates() as crates, GitDaemon(top) as server:
        world = World(crates, made)
        return answers(Asked(program, directory, crates.url, server.url, world, environment), world)


# ---- what differs

# Where BuildStream crashes, or fails in the words of a library.
BETTER = {("cargo2-lacking", "fetch"), ("cargo2-no-such-commit", "fetch")}


def told(part, value):
    """Values of `query` are compared without quotation marks, which Sluice gives what others may take for a number."""
    return [line.replace("'", "") if line.startswith("      ") else line for line in value] if part == "track" and value else value



def differences(expected, found):
    wrong, count = [], 0
    for name, element in sorted(expected.items()):
        for part in sorted(set(element) | set(found.get(name, {}))):
            if (name, part) in BETTER:
                continue
            count += 1
            wanted, ours = (told(part, one.get(name, {}).get(part)) for one in (expected, found))
            if wanted != ours:
                wrong.append((name, part, wanted, ours))
    return wrong, count


def check(programs, directory, environment=None):
    """(differences, how many parts were compared)"""
    with open(GOLDEN, encoding="utf-8") as file:
        expected = json.load(file)
    return differences(expected, all_answers([os.path.join(programs, "sluice")], directory, environment))


def main(verb, operand):
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/tmp")) as directory:
        if verb == "ask":
            result = all_answers(shlex.split(operand), directory)
            with open(GOLDEN, "w", encoding="utf-8") as file:
                json.dump(result, file, indent=1, ensure_ascii=False, sort_keys=True)
                file.write("\n")
            return 0
        places = {"XDG_%s_HOME" % kind: os.path.join(directory, kind) for kind in ("STATE", "CACHE", "RUNTIME")}
        wrong, count = check(os.path.abspath(operand), directory, places)
    for name, part, expected, found in wrong:
        print("\n".join(["%s: %s" % (name, part)] + git_answers.shown_difference(expected, found)))
    print("cargo compared=%d differ=%d" % (count, len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
