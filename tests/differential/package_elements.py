"""Modules of Go and distributions of Python and Perl, and the elements that have them as sources, for package_answers.py.

repositories(DIR) makes the git repositories, pages() is what is on the web ({path: page}), secure_pages() what is there by https
({(host, path): page}); write(DIR, URL of git, URL of the web, repositories) makes the project.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from git_repositories import Repository, executable, link, module  # noqa: E402

PROJECT = """name: packages
min-version: 2.5
element-path: elements
aliases:
  up: %(git)s
  web: %(web)s
plugins:
- %(plugins)s
  sources: [go_module, pypi, cpan]
"""
INSTALLED = "origin: pip\n  package-name: buildstream-plugins-community"
TIME = 1700000000


# ---- git


def repositories(top):
    """{name: Made}"""
    mod = Repository("mod")
    mod.commit("bare", {"a.go": "package mod\n", "README": "before modules\n"})
    mod.tag("v1.0.0", "bare", annotated=False)
    mod.commit("mod", {
        "go.mod": "module github.com/acme/mod\n\ngo 1.21\n\nrequire x v1\n", "pkg/b.go": "package pkg\n", "pkg/deep/c_test.go": "package deep\n", "pkg/data/x.txt": "x\n",
        "pkg/a.go.txt": "no go\n", "Zed/z.go": "package zed\n", "run.sh": executable("#!/bin/sh\n"), "link.go": link("a.go"), "up": link("../../../go.mod"), "pkg/linked": link("deep"),
        ".gitignore": "*.o\n", ".gitattributes": "*.txt eol=crlf\nexport.go export-ignore\n", "export.go": "package mod // $Id$\n", "vendor/own/v.go": "package own\n", "third": module("1" * 40),
        "sub/go.mod": "module github.com/acme/mod/sub\n", "sub/s.go": "package sub\n", "sub/inner/i.go": "package inner\n"})
    mod.tag("v1.2.0", "mod").tag("sub/v0.3.0", "mod", annotated=False)
    mod.commit("two", {"v2/go.mod": "module github.com/acme/mod/v2\r\ngo 1.22\r\n", "v2/m.go": "package mod\n", "v2/in/n.go": "package in\n", "v3": link("v2"), "v4": "a file\n"})
    for tag in ("v2.0.0", "v3.1.0", "v4.0.0", "v5.0.0", "v1.3.0-beta"):
        mod.tag(tag, "two", annotated=tag != "v3.1.0")
    mod.commit("late", {"late.go": "package mod\n"})
    old = Repository("old")
    old.commit("one", {"o.go": "package old\n"}).tag("v3.1.0", "one")
    return {repository.name: repository.finish(top) for repository in (mod, old)}


def page(content):
    return ("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><meta name=\"go-source\" content=\"a b c d\">\n<meta name=\"go-import\" content=\"%s\"></head>"
            "<body>Nothing to see.</body></html>\n" % content).encode()


def modules(made):
    """{name: (module, repository, version in go.sum or None, what go.mod says)}"""
    mod, pseudo = "github.com/acme/mod", made["mod"]["late"][:12]
    base = {
        "plain": (mod, "mod", "v1.2.0"), "bare": (mod, "mod", "v1.0.0"), "pseudo": (mod, "mod", "v0.0.0-20231114221320-" + pseudo),
        "pseudo-based": (mod, "mod", "v1.2.1-0.20231114221320-" + pseudo), "sub": (mod + "/sub", "mod", "v0.3.0"), "two": (mod + "/v2", "mod", "v2.0.0"),
        "linked": (mod + "/v3", "mod", "v3.1.0"), "four": (mod + "/v4", "mod", "v4.0.0"), "five": (mod + "/v5", "mod", "v5.0.0"), "two-pseudo": (mod + "/v2", "mod", "v2.0.1-0.20231114221320-" + pseudo),
        "beta": (mod, "mod", "v1.3.0-beta"), "incompatible": ("github.com/acme/old", "old", "v3.1.0+incompatible"),
        "vanity": ("example.org/mod", "mod", "v1.2.0"), "vanity-sub": ("example.org/mod/sub", "mod", "v0.3.0"), "vanity-two": ("example.org/mod/v2", "mod", "v2.0.0"),
        "missing": (mod, "mod", None), "no-tag": (mod, "mod", "v9.9.9"), "no-version": (mod, "mod", "1.2"), "no-commit": (mod, "mod", "v0.0.0-20231114221320-0123456789ab"),
    }
    return {name: what + ("module x\n\nrequire %s %s\n" % what[::2],) for name, what in base.items()} | {"indirect": base["plain"] + ("module x\n",)}


def go_source(module, repository, **ref):
    text = "- kind: go_module\n  url: up:%s\n  module: %s\n" % (repository, module)
    return text + ("  ref:\n" + "".join("    %s: %s\n" % (name.replace("_", "-"), value) for name, value in ref.items()) if ref else "")


def go_elements(made, old):
    mod = "github.com/acme/mod"
    commit = {label: made["mod"][label] for label in ("bare", "mod", "two", "late")}
    refs = {
        "plain": dict(go_version="v1.2.0", git_ref="v1.2.0-0-g" + commit["mod"], explicit="True"),
        "false": dict(go_version="v1.2.0", git_ref="v1.2.0-0-g" + commit["mod"], explicit="false"),
        "commit": dict(go_version="v0.0.0-20231114221320-x", git_ref=commit["late"], explicit="true"),
        "bare": dict(go_version="v1.0.0", git_ref="v1.0.0-0-g" + commit["bare"], explicit="True"),
        "far": dict(go_version="v1.2.0", git_ref="v1.2.0-2-g" + commit["late"], explicit="True"),
    }
    found = {"r-" + name: [go_source(mod, "mod", **ref)] for name, ref in refs.items()}
    tagged = lambda tag, label="two", **more: dict(go_version=tag, git_ref="%s-0-g%s" % (tag, commit[label]), explicit="True", **more)
    for name, module_name, ref in (("two", "/v2", tagged("v2.0.0")), ("three", "/v3", tagged("v3.1.0")), ("four", "/v4", tagged("v4.0.0")), ("five", "/v5", tagged("v5.0.0")), ("beta", "", tagged("v1.3.0-beta"))):
        found["r-" + name] = [go_source(mod + module_name, "mod", **ref)]
    sub = dict(go_version="v0.3.0", git_ref="sub/v0.3.0-0-g" + commit["mod"], explicit="True")
    if old:
        found["r-both"] = [go_source(mod, "mod", **refs["plain"]), go_source("example.org/else", "old", go_version="v3.1.0", git_ref=made["old"]["one"], explicit="False")]
        found["r-below"] = [go_source(mod + "/v2", "mod", **tagged("v2.0.0")), go_source(mod + "/v2/more", "old", go_version="v3.1.0", git_ref=made["old"]["one"], explicit="False")]
    else:
        sub["subdirectory"] = "sub"
        found["r-sub"] = [go_source(mod + "/sub", "mod", **sub)]
        found["r-sub-deep"] = [go_source(mod + "/sub", "mod", **dict(sub, subdirectory="sub/inner"))]
        found["r-sub-absent"] = [go_source(mod + "/sub", "mod", **dict(sub, subdirectory="no/such"))]
        found["r-outer-first"] = [go_source(mod, "mod", **refs["plain"]), go_source(mod + "/sub", "mod", **sub)]
        found["r-inner-first"] = [go_source(mod + "/sub", "mod", **sub), go_source(mod, "mod", **refs["plain"])]
        found["r-twice"] = [go_source(mod, "mod", **refs["plain"]), go_source(mod, "mod", **refs["bare"])]
    for name, (module_name, repository, _, _) in modules(made).items():
        found["t-" + name] = [go_source(module_name, repository)]
    return {"go-" + name: sources for name, sources in found.items()}


# ---- archives


def added(tar, name, content=b"", kind=tarfile.REGTYPE, mode=0o644, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname, member.size, member.mtime = kind, mode, target, len(content), TIME
    tar.addfile(member, io.BytesIO(content))


def tar(name, members):
    """members: {path: bytes, or a dictionary of what added() takes}"""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as made:
        for path, what in members.items():
            added(made, path, **(what if isinstance(what, dict) else {"content": what}))
    return raw.getvalue()


def zipped(members):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        for path, content in members.items():
            info = zipfile.ZipInfo(path, (2023, 11, 14, 22, 13, 20))
            info.external_attr = 0o100755 << 16
            made.writestr(info, content)
    return raw.getvalue()


def archives():
    folder = {"kind": tarfile.DIRTYPE, "mode": 0o755}
    usual = {"a-1.0": folder, "a-1.0/setup.py": b"setup\n", "a-1.0/bin/tool": {"content": b"tool\n", "mode": 0o755}, "a-1.0/odd": {"content": b"odd\n", "mode": 0o611}, "a-1.0/empty": folder,
             "a-1.0/link": {"kind": tarfile.SYMTYPE, "target": "bin/tool"}, "a-1.0/away": {"kind": tarfile.SYMTYPE, "target": "no/where"}, "outside": b"left out\n", "b/second": b"of another\n"}
    return {
        "ab/a-1.0.tar.gz": tar("a", usual), "ab/dotted-1.0.tar.gz": tar("a", {"./a/x": b"x\n", "./a/y/z": b"z\n"}), "ab/flat-1.0.tar.gz": tar("a", {"x": b"x\n"}),
        "ab/a-2.0.zip": zipped({"a-2.0/": b"", "a-2.0/setup.py": b"zip\n", "a-2.0/in/": b"", "a-2.0/in/x": b"x\n", "outside": b"left out\n", "b/second": b"other\n"}),
    }


# ---- pip


# A distribution that builds itself without anything else.
BACKEND = """import os
def prepare_metadata_for_build_wheel(directory, config_settings=None):
    made = os.path.join(directory, "%(name)s-%(version)s.dist-info")
    os.mkdir(made)
    with open(os.path.join(made, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: %(name)s\\nVersion: %(version)s\\n%(requires)s")
    return os.path.basename(made)
"""


def distribution(name, version, requires=""):
    told = {"name": name, "version": version, "requires": "Requires-Dist: %s\\n" % requires if requires else ""}
    top = "%s-%s/" % (name, version)
    return tar(name, {top + "pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n', top + "backend.py": (BACKEND % told).encode(),
                      top + "PKG-INFO": ("Metadata-Version: 2.1\nName: %(name)s\nVersion: %(version)s\n" % told).encode()})


def simple_index(*distributions):
    pages = {}
    for name, version, content in distributions:
        file = "%s-%s.tar.gz" % (name, version)
        pages["/files/" + file] = content
        pages["/simple/%s/" % name] = pages.get("/simple/%s/" % name, b"<!DOCTYPE html><html><body>") + \
            ('<a href="/files/%s#sha256=%s">%s</a>\n' % (file, hashlib.sha256(content).hexdigest(), file)).encode()
    return {path: page if isinstance(page, bytes) and path.startswith("/files") else (200, {"Content-Type": "text/html"}, page) for path, page in pages.items()}


# ---- Python


def index(*files, root="https://files.pythonhosted.org/packages/", **more):
    return json.dumps(dict({"meta": {"api-version": "1.0"}, "name": "x", "files": [
        {"filename": name, "url": root + "ab/" + name, "hashes": {"sha256": hashlib.sha256(name.encode()).hexdigest()}, "yanked": yanked} for name, yanked in files]}, **more)).encode()


def indices():
    versions = ["1.0", "1.2", "1.10", "1.9.post1", "2.0rc1", "2.0.dev3", "1.10.0", "1.8"]
    many = [("many-%s.tar.gz" % version, False) for version in versions] + [("many-1.11-py3-none-any.whl", False), ("many-9.0.tar.bz2", False), ("many-3.0.tar.gz", True), ("many-3.1.tar.gz", "why"),
                                                                             ("many-x.y.tar.gz", False), ("many.tar.gz", False), ("odd-name-1.4.zip", "")]
    return {
        "many": index(*many), "none": index(), "yanked": index(("yanked-1.0.tar.gz", True)), "only-pre": index(("only-pre-1.0a1.tar.gz", False), ("only-pre-1.0b1.tar.gz", False)),
        "both": index(("both-1.0.tar.gz", False), ("both-1.0.zip", False)), "gone": (404, {}, b"gone"),
    }


def pypi_source(name, *lines, ref=None):
    text = "- kind: pypi\n  name: %s\n  url: web:packages/\n" % name + "".join("  %s\n" % line for line in lines)
    return text + ("  ref:\n    sha256sum: %s\n    suffix: %s\n" % ref if ref else "")


def sum_of(name):
    return hashlib.sha256(archives()[name]).hexdigest()


def pypi_elements():
    found = {name: pypi_source(name) for name in indices()}
    for name, lines in {"pre": ["prereleases: True"], "include": ["include: ['1.*']"], "include-two": ["include: ['1.*', '*.2']"], "exclude": ["exclude: ['1.1*', '1.9*']"], "no-match": ["include: ['7.*']"],
                        "glob": ["include: ['1.[!1]*']"], "normal": ["include: ['1.8']"], "tracked-before": ["include: ['1.2']"]}.items():
        found["many-" + name] = pypi_source("many", *lines)
    refs = {os.path.basename(name): pypi_source("ref", "version: 5.1" if "dotted" in name else "include: []", ref=(sum_of(name), name)) for name in archives()}
    found.update({"ref-" + name.replace(".", "-"): source for name, source in refs.items()})
    found["ref-wrong"] = pypi_source("ref", ref=("0" * 64, "ab/a-1.0.tar.gz"))
    found["ref-absent"] = pypi_source("ref", ref=("1" * 64, "ab/no-1.0.tar.gz"))
    found["guess"] = pypi_source("guess", "version-guess-pattern: 'a-(\\d+)'", ref=(sum_of("ab/a-1.0.tar.gz"), "ab/a-1.0.tar.gz"))
    return {"pypi-" + name: [source] for name, source in found.items()}


# ---- Perl


def packages():
    lines = ["Acme::A       1.0  A/AB/ABC/a-1.0.tar.gz", "Acme::A::B   undef  A/AB/ABC/a-1.0.tar.gz", "Acme::Zip  2.0  A/AB/ABC/a-2.0.zip", "Acme::Absent  1  A/AB/ABC/no-1.0.tar.gz"]
    return gzip.compress("\n".join(["File:         02packages.details.txt", "Line-Count:   %d" % len(lines), ""] + lines + [""]).encode(), mtime=0)


def cpan_elements():
    source = lambda name, *lines: "- kind: cpan\n  name: %s\n  index: web:cpan/\n" % name + "".join("  %s\n" % line for line in lines)
    by = lambda name: ["suffix: authors/id/A/AB/ABC/" + name, "sha256sum: " + sum_of("ab/" + name)]
    found = {name: source("Acme::" + name) for name in ("A", "A::B", "Zip", "Absent", "Missing", "a")}
    found.update({"ref-" + name.replace(".", "-"): source("Acme::Ref", *by(name)) for name in ("a-1.0.tar.gz", "a-2.0.zip", "dotted-1.0.tar.gz")})
    found["ref-wrong"] = source("Acme::Ref", "suffix: authors/id/A/AB/ABC/a-1.0.tar.gz", "sha256sum: " + "0" * 64)
    found["half"] = source("Acme::A", "suffix: authors/id/A/AB/ABC/a-1.0.tar.gz")
    found["version"] = source("Acme::Ref", *by("a-1.0.tar.gz"), "version: '7'")
    return {"cpan-" + name.replace("::", "-"): [text] for name, text in found.items()}


# ---- all of it


def pages():
    found = {"/packages/" + name: content for name, content in archives().items()}
    found.update({"/cpan/authors/id/A/AB/ABC/" + os.path.basename(name): content for name, content in archives().items()})
    found["/cpan/modules/02packages.details.txt.gz"] = packages()
    return found


def secure_pages():
    found = {("pypi.org", "/simple/" + name): content for name, content in indices().items()}
    for path in ("/mod", "/mod/sub", "/mod/v2"):
        found["example.org", path + "?go-get=1"] = page("example.org/mod git https://example.org/mod.git")
    return found


def elements(made, old=False):
    """{name: sources}"""
    return dict(go_elements(made, old), **({} if old else dict(pypi_elements(), **cpan_elements())))


def write(directory, git, web, made, plugins=None, old=False):
    files = {"project.conf": PROJECT % {"git": git, "web": web, "plugins": plugins or INSTALLED}}
    for name, (module_name, _, version, go_mod) in modules(made).items():
        files["files/%s/go.mod" % name] = go_mod
        lines = ["example.org/other v1.0.0 h1:x=", "%s %s/go.mod h1:y=" % (module_name, version), "%s %s h1:z=" % (module_name, version)]
        files["files/%s/go.sum" % name] = "\n".join(lines[:1] if version is None else lines) + "\n"
    for name, sources in elements(made, old).items():
        if name.startswith("go-"):
            sources = ["- kind: local\n  path: files/%s\n" % (name[5:] if name.startswith("go-t-") else "plain")] + sources
        files["elements/%s.bst" % name] = "kind: import\nsources:\n" + "".join(sources)
    for path, text in files.items():
        path = os.path.join(directory, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
