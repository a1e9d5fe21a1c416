"""Sources that ask an index: pip with a real pip and a real index, and go_module, pypi and cpan where servers, archives and sources are hostile."""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../support"), os.path.join(HERE, "../../differential")]
from git_repositories import Repository, link  # noqa: E402
from index_servers import SecureWeb, Web  # noqa: E402
from package_elements import distribution, simple_index, tar  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

PROJECT = """name: packages
min-version: 2.5
element-path: elements
aliases:
  web: %s
  up: file://%s/
plugins:
- origin: pip
  package-name: buildstream-plugins
  sources: [pip]
- origin: pip
  package-name: buildstream-plugins-community
  sources: [go_module, pypi, cpan]
"""


class Packages(SluiceTest):
    def made(self, sources, web="http://127.0.0.1:1/", files=None):
        """A project with an element for each of {name: sources}."""
        texts = {"project.conf": PROJECT % (web, os.path.join(self.directory, "repositories"))}
        texts.update({"elements/%s.bst" % name: "kind: import\nsources:\n" + text for name, text in sources.items()})
        return self.project(dict(texts, **(files or {})))

    def staged(self, at, name):
        target = os.path.join(self.directory, "out", name)
        self.sluice("source", "checkout", "--deps", "none", "--directory", target, name + ".bst", cwd=at)
        return os.path.join(target, name)

    def read(self, *path):
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()

    def fails(self, words, *arguments, cwd, env=None):
        self.assertIn(words, self.sluice(*arguments, cwd=cwd, status=1, env=env).stderr)


class Pip(Packages):
    def test_what_pip_gets_is_tracked_fetched_and_staged(self):
        pages = simple_index(("one", "1.10", distribution("one", "1.10", "two>=2.0")), ("one", "1.9", distribution("one", "1.9")), ("two", "2.0.1", distribution("two", "2.0.1")))
        with Web(pages) as web:
            at = self.made({
                "named": "- kind: local\n  path: files\n- kind: pip\n  url: web:simple/\n  packages: [one]\n",
                "listed": "- kind: local\n  path: files\n- kind: pip\n  url: web:simple/\n  requirements-files: [requirements.txt]\n",
                "below": "- kind: local\n  path: files\n  directory: app/py\n- kind: pip\n  url: web:simple/\n  directory: app/py\n  requirements-files: [requirements.txt]\n",
                "away": "- kind: local\n  path: files\n- kind: pip\n  url: web:simple/\n  requirements-files: [../../etc/passwd]\n",
                "absent": "- kind: local\n  path: files\n- kind: pip\n  url: web:simple/\n  packages: [three]\n",
            }, web.url, {"files/requirements.txt": "one<1.10\n"})
            self.sluice("source", "track", "named.bst", "listed.bst", "below.bst", cwd=at)
            self.assertIn('  ref: "one==1.10\\ntwo==2.0.1"\n', self.read(at, "elements/named.bst"))
            for name in ("listed", "below"):  # what a source looks at is where it is staged itself
                self.assertIn("ref: 'one==1.9'\n", self.read(at, "elements/%s.bst" % name))
            self.assertIn("no file '../../etc/passwd'", self.sluice("source", "track", "away.bst", cwd=at, status=1).stderr)
            self.fails("Failed to install python packages", "source", "track", "absent.bst", cwd=at)
            self.sluice("source", "fetch", "named.bst", "listed.bst", cwd=at)
            info = self.sluice("show", "--deps", "none", "--format", "%{source-info}", "named.bst", cwd=at).stdout
            self.assertIn("medium: pypi", info)
            self.assertIn("package-name: two", info)
        # What was fetched is there without the index.
        self.assertEqual(sorted(os.listdir(os.path.join(self.staged(at, "named"), ".bst_pip_downloads"))), ["one-1.10.tar.gz", "two-2.0.1.tar.gz"])
        self.assertEqual(os.listdir(os.path.join(self.staged(at, "listed"), ".bst_pip_downloads")), ["one-1.9.tar.gz"])
        self.assert_nothing_left()

    def test_a_machine_without_pip_and_a_ref_with_an_option(self):
        at = self.made({"a": "- kind: local\n  path: files\n- kind: pip\n  url: web:simple/\n  packages: [one]\n  ref: one==1.0\n",
                        "option": "- kind: local\n  path: files\n- kind: pip\n  url: web:simple/\n  packages: [one]\n  ref: --extra-index-url=http://127.0.0.1:1/\n"},
                       files={"files/x": "x\n"})
        empty = os.path.join(self.directory, "empty")
        os.mkdir(empty)
        self.fails("Unable to find a suitable pip command", "source", "fetch", "a.bst", cwd=at, env=dict(self.env, PATH=empty))
        self.fails("'--extra-index-url=http://127.0.0.1:1/' is no package", "source", "fetch", "option.bst", cwd=at)
        self.assert_nothing_left()


class Hostile(Packages):
    def test_indices_of_python_that_are_none(self):
        whole = {"filename": "x-1.0.tar.gz", "url": "https://files.pythonhosted.org/packages/x-1.0.tar.gz", "hashes": {"sha256": "0" * 64}, "yanked": False}
        pages = {
            "html": (b"<html>", "is no JSON"), "cut": (b'{"files": [', "is no JSON"), "list": (b"[]", "has no list 'files'"), "text": (b'{"files": "x"}', "has no list 'files'"),
            "elsewhere": (json.dumps({"files": [dict(whole, url="file:///etc/passwd")]}).encode(), "not below"), "deep": (b"[" * 100000, "is no JSON"),
            "no-sum": (json.dumps({"files": [dict(whole, hashes={})]}).encode(), "tells no URL and SHA-256"), "no-text": (json.dumps({"files": [dict(whole, url=7)]}).encode(), "tells no URL"),
        }
        odd = json.dumps({"files": [7, None, {}, {"filename": 3}, dict(whole, filename="x-1.0.tar.gz\n"), dict(whole, yanked=None)]}).encode()
        with SecureWeb({("pypi.org", "/simple/" + name): page for name, (page, _) in pages.items()} | {("pypi.org", "/simple/odd"): odd}, os.path.join(self.directory, "secure")) as web:
            at = self.made({name: "- kind: pypi\n  name: %s\n" % name for name in list(pages) + ["odd"]})
            env = dict(self.env, **web.environment)
            for name, (_, words) in pages.items():
                with self.subTest(index=name):
                    before = self.read(at, "elements", name + ".bst")
                    self.fails(words, "source", "track", name + ".bst", cwd=at, env=env)
                    self.assertEqual(self.read(at, "elements", name + ".bst"), before)
            self.sluice("source", "track", "odd.bst", cwd=at, env=env)
            self.assertIn("suffix: x-1.0.tar.gz", self.read(at, "elements/odd.bst"))
            self.assertEqual({headers.get("Accept") for _, headers in web.asked}, {"application/vnd.pypi.simple.v1+json"})
        self.assert_nothing_left()

    def test_indices_of_perl_that_are_none(self):
        index = "/%s/modules/02packages.details.txt.gz"
        pages = {"plain": (b"File: x\n\nA 1 a\n", "can't be unpacked"), "cut": (gzip.compress(b"File: x\n\n" + os.urandom(5000))[:-900], "can't be unpacked"),
                 "empty": (gzip.compress(b""), "not found in"), "short": (gzip.compress(b"File: x\n\nA 1\n"), "line 3 tells no module"), "long": (gzip.compress(b"\nB 1 b\nA 1 a b\n"), "line 3 tells no module"),
                 "bomb": (gzip.compress(b"\n" + b"\0" * (130 << 20), 1), "can't be unpacked"), "away": (gzip.compress(b"\nA 1 ../../../../secret.tar.gz\n"), "404")}
        with Web({index % name: page for name, (page, _) in pages.items()}) as web:
            at = self.made({name: "- kind: cpan\n  name: A\n  index: web:%s/\n" % name for name in pages}, web.url)
            for name, (_, words) in pages.items():
                with self.subTest(index=name):
                    self.fails(words, "source", "track", name + ".bst", cwd=at)
        self.assert_nothing_left()

    def test_archives_that_lead_out_or_are_others(self):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as made:
            member = tarfile.TarInfo("x/../../../out")
            made.addfile(member, io.BytesIO(b""))
        secret = self.write("secret", "secret\n")
        archives = {"out.tar.gz": (raw.getvalue(), "out of the directory"), "cut.tar.gz": (tar("x", {"x/a": os.urandom(9000)})[:-800], "truncated gzip input"), "none.tar.gz": (b"no archive", "Unrecognized archive format")}
        with Web({"/" + name: content for name, (content, _) in archives.items()}) as web:
            ref = "- kind: pypi\n  name: x\n  url: '%s'\n  ref:\n    suffix: %s\n    sha256sum: %s\n"
            sources = {name.partition(".")[0]: ref % ("web:", name, hashlib.sha256(content).hexdigest()) for name, (content, _) in archives.items()}
            sources["other"] = ref % ("web:", "none.tar.gz", "0" * 64)
            sources["no-sum"] = ref % ("web:", "none.tar.gz", "../../../" + os.path.basename(secret))
            at = self.made(sources, web.url)
            for name, (_, words) in archives.items():
                with self.subTest(archive=name):
                    self.fails(words, "source", "checkout", "--directory", os.path.join(self.directory, "out"), name.partition(".")[0] + ".bst", cwd=at)
            self.fails("has sha256sum '%s'" % hashlib.sha256(b"no archive").hexdigest(), "source", "fetch", "other.bst", cwd=at)
            self.fails("is no SHA-256", "source", "fetch", "no-sum.bst", cwd=at)
        self.assert_nothing_left()

    def test_modules_of_go_that_lead_out(self):
        away = os.path.join(self.directory, "away")
        os.mkdir(away)
        repository = Repository("mod").commit("one", {"go.mod": link("/etc/hostname"), "a.go": "package a\n", "out": link(away), "up": link("../.."), "in/go.mod": "go 1.2\n"}).tag("v1.0.0", "one")
        made = repository.finish(os.path.join(self.directory, "repositories"))
        go = "- kind: go_module\n  url: up:mod\n  module: %s\n  ref:\n    go-version: v1.0.0\n    git-ref: %s\n    explicit: True\n" % ("%s", made["one"])
        local = "- kind: local\n  path: files/%s\n"
        at = self.made({
            "up": local % "plain" + go % "../../away/x", "absolute": local % "plain" + go % away, "subdirectory": local % "plain" + go % "a.b/c" + "    subdirectory: ../..\n",
            "link": local % "plain" + go % "a.b/c" + "    subdirectory: out\n", "vendor": local % "linked" + go % "a.b/c", "list": local % "list" + go % "a.b/c", "file": local % "file" + go % "a.b/c",
            "fine": local % "plain" + go % "a.b/c",
        }, files={"files/plain/x": "x\n", "files/list/vendor/x": "x\n", "files/file/vendor/a.b": "a file\n"})
        os.makedirs(os.path.join(at, "files/linked"))
        os.symlink(away, os.path.join(at, "files/linked/vendor"))
        os.symlink(os.path.join(away, "list"), os.path.join(at, "files/list/vendor/modules.txt"))
        for name, words in {"up": "leads out of its directory", "absolute": "is no path below", "subdirectory": "leads out of its directory", "link": "is no directory of the sources",
                            "vendor": "is no directory of the sources", "list": "modules.txt is no regular file", "file": "is no directory of the sources"}.items():
            with self.subTest(element=name):
                self.fails(words, "source", "checkout", "--directory", os.path.join(self.directory, "out", name), name + ".bst", cwd=at)
        top = self.staged(at, "fine")
        # What go.mod says is that file's own, not of what it is a link to.
        self.assertEqual(self.read(top, "vendor/modules.txt"), "# a.b/c v1.0.0\n## explicit\na.b/c\na.b/c/in\n")
        self.assertEqual(os.listdir(away), [])
        self.sluice("workspace", "open", "--directory", os.path.join(self.directory, "ws"), "fine.bst", cwd=at)
        self.assertEqual(self.read(self.directory, "ws/vendor/modules.txt"), self.read(top, "vendor/modules.txt"))
        self.assert_nothing_left()

    def test_modules_that_cannot_be_tracked(self):
        Repository("mod").commit("one", {"a.go": "package a\n"}).tag("v1.0.0", "one").finish(os.path.join(self.directory, "repositories"))
        sums = {"short": "example.org/m v1.0.0\n", "other": "example.org/n v1.0.0 h1:x=\n", "dash": "example.org/m --upload-pack=x h1:x=\n", "page": "example.org/m v1.0.0 h1:x=\n", "long": "example.org/m v%s h1:x=\n" % ("1" * 9000)}
        at = self.made({name: "- kind: local\n  path: files/%s\n- kind: go_module\n  url: up:mod\n  module: example.org/m\n" % name for name in list(sums) + ["none"]},
                       files=dict({"files/%s/go.sum" % name: text for name, text in sums.items()}, **{"files/%s/go.mod" % name: "module x\n" for name in sums}, **{"files/none/go.mod": "module x\n"}))
        with SecureWeb({("example.org", "/m?go-get=1"): b'<meta name="go-import" content="example.org/other git u">'}, os.path.join(self.directory, "secure")) as web:
            env = dict(self.env, **web.environment)
            for name, words in {"short": "go.sum line 1: ", "other": "go.sum did not contain example.org/m", "dash": "does not say which repository", "page": "does not say which repository",
                                "none": "no file go.sum", "long": "too long"}.items():
                with self.subTest(element=name):
                    self.fails(words, "source", "track", name + ".bst", cwd=at, env=env)
            web.pages["example.org", "/m?go-get=1"] = b'<meta name="go-import" content="example.org/m git u">'
            self.fails("version string --upload-pack=x not recognized", "source", "track", "dash.bst", cwd=at, env=env)
        self.assert_nothing_left()


main()
