"""How Rust's, Go's and Python's communities publish: a registry of crates, modules in git repositories, an index of distributions.

What they publish is real, and from Debian (upstream.py). Its versions are Debian's: the programs' lists of what they need say so in a commit
of their own, as any distribution does it.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

from upstream import git, run

# Module and the source package that has it, as gron needs them.
MODULES = {"github.com/fatih/color": "golang-github-fatih-color", "github.com/mattn/go-colorable": "golang-github-mattn-go-colorable",
           "github.com/mattn/go-isatty": "golang-github-mattn-go-isatty", "github.com/nwidger/jsoncolor": "golang-github-nwidger-jsoncolor",
           "github.com/pkg/errors": "golang-github-pkg-errors", "golang.org/x/sys": "golang-golang-x-sys"}
CRATES = ["librust-bstr-dev", "librust-clap-2-dev", "librust-grep-dev", "librust-ignore-dev", "librust-lazy-static-dev", "librust-log-dev", "librust-num-cpus-dev",
          "librust-regex-dev", "librust-serde-json-dev", "librust-termcolor-dev"]
# name on the index: source package
DISTRIBUTIONS = {"toml": "python-toml", "ply": "ply", "mccabe": "python-mccabe", "MarkupSafe": "markupsafe"}
STORAGE = "https://files.pythonhosted.org/packages/"


# ---- Rust


class Crates:
    """CRATE/CRATE-VERSION.crate below `top`, as static.crates.io has them, of Debian's librust-*-dev."""

    def __init__(self, upstream, seed, top):
        self.seed = seed
        self.vendored = os.path.join(upstream.work, "crates")
        unpacked = os.path.join(upstream.work, "librust")
        os.makedirs(unpacked)
        for package in upstream.packages(CRATES, seed.root):
            if os.path.basename(package).startswith("librust-"):
                run("dpkg-deb", "--extract", package, unpacked)
        os.makedirs(self.vendored)
        self.count = 0
        registry = os.path.join(unpacked, "usr/share/cargo/registry")
        for directory in sorted(os.listdir(registry)):
            source = os.path.join(registry, directory)
            with open(os.path.join(source, "Cargo.toml"), encoding="utf-8") as file:
                package = file.read().split("[package]", 1)[1]
            name, version = (re.search(r'^%s = "([^"]+)"' % key, package, re.MULTILINE).group(1) for key in ("name", "version"))
            data = crate(source, "%s-%s" % (name, version))
            os.makedirs(os.path.join(top, name), exist_ok=True)
            with open(os.path.join(top, name, "%s-%s.crate" % (name, version)), "wb") as file:
                file.write(data)
            # For cargo, who makes Cargo.lock: the crates as a directory of vendored ones, with the archives' checksums.
            target = os.path.join(self.vendored, directory)
            shutil.copytree(source, target, symlinks=True)
            with open(os.path.join(target, ".cargo-checksum.json"), "w", encoding="ascii") as file:
                json.dump({"files": {}, "package": hashlib.sha256(data).hexdigest()}, file)
            self.count += 1

    def lock(self, tree):
        """Makes Cargo.lock anew, for the crates that there are."""
        path = os.path.join(tree, "Cargo.toml")
        with open(path, encoding="utf-8") as file:
            parts = re.split(r"^(?=\[)", file.read(), flags=re.MULTILINE)
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(part for part in parts if not re.match(r"\[dev-dependencies|\[\[test|\[target\..*musl|\[features\]", part)))
        os.remove(os.path.join(tree, "Cargo.lock"))
        # Its settings for other systems; cargo2 and cargo write their own.
        shutil.rmtree(os.path.join(tree, ".cargo"), ignore_errors=True)
        home = os.path.join(tree, ".home")
        shutil.copytree(self.vendored, os.path.join(home, "vendored"), symlinks=True)
        with open(os.path.join(home, "config.toml"), "w", encoding="ascii") as file:
            file.write('[source.crates-io]\nreplace-with = "here"\n[source.here]\ndirectory = "/tree/.home/vendored"\n')
        self.seed.inside("cargo", "generate-lockfile", "--offline", cwd=tree, env={"CARGO_HOME": "/tree/.home"})
        shutil.rmtree(home)


def crate(directory, name):
    """A .crate file: what `cargo package` would make of it."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as gz, tarfile.open(fileobj=gz, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder, folders, files in os.walk(directory):
            folders.sort()
            for file in sorted(files):
                path = os.path.join(folder, file)
                if file == ".cargo-checksum.json" or os.path.islink(path):
                    continue
                member = tarfile.TarInfo(os.path.join(name, os.path.relpath(path, directory)))
                member.size, member.mode, member.mtime = os.path.getsize(path), 0o755 if os.access(path, os.X_OK) and os.stat(path).st_mode & 0o100 else 0o644, 1
                with open(path, "rb") as content:
                    tar.addfile(member, content)
    return out.getvalue()


# ---- Go


def module_version(upstream, module):
    """Its release; of one that has none the pseudo-version of the only commit."""
    version = upstream.version(MODULES[module])
    if re.fullmatch(r"\d+\.\d+\.\d+", version):
        return "v" + version
    return "v0.0.0-%s000000-%s" % (version, upstream.commit(MODULES[module])[:12])


def module_hash(upstream, module, version):
    """What go.sum says of a module: the hash of its files' hashes."""
    files = subprocess.run(["git", "-C", os.path.join(upstream.repositories, MODULES[module]), "archive", "main"], check=True, stdout=subprocess.PIPE).stdout
    lines = []
    with tarfile.open(fileobj=io.BytesIO(files)) as tar:
        for member in tar.getmembers():
            if member.isfile():
                lines.append("%s  %s@%s/%s\n" % (hashlib.sha256(tar.extractfile(member).read()).hexdigest(), module, version, member.name))
    return "h1:" + base64.b64encode(hashlib.sha256("".join(sorted(lines, key=lambda line: line[66:])).encode()).digest()).decode()


def modules_of_gron(upstream):
    """Writes into go.mod and go.sum of a tree what there is of its modules."""

    def change(tree):
        path = os.path.join(tree, "go.mod")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        sums = []
        for module in MODULES:
            version = module_version(upstream, module)
            text = re.sub(r"(\b%s) v\S+" % re.escape(module), r"\1 " + version, text)
            sums.append("%s %s %s\n" % (module, version, module_hash(upstream, module, version)))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with open(os.path.join(tree, "go.sum"), "w", encoding="utf-8") as file:
            file.write("".join(sums))

    return change


def go_pages(git_url):
    """What a module's name leads to by HTTPS, where that is no well-known host: {(host, path): page}."""
    pages = {}
    for module, repository in MODULES.items():
        host, _, path = module.partition("/")
        if host != "github.com":
            meta = '<html><head><meta name="go-import" content="%s git %s%s"></head></html>' % (module, git_url, repository)
            pages[host, "/" + path + "?go-get=1"] = (200, {"Content-Type": "text/html"}, meta.encode())
    return pages


# ---- Python


def index_pages(upstream):
    """The index's simple API by JSON, and the storage of files that it names: {(host, path): page}."""
    pages = {}
    for name, package in DISTRIBUTIONS.items():
        path, version = upstream.archive(package), upstream.version(package)
        with open(path, "rb") as file:
            data = file.read()
        digest = hashlib.sha256(data).hexdigest()
        filename = "%s-%s.tar.gz" % (name, version)
        place = "%s/%s/%s/%s" % (digest[:2], digest[2:4], digest[4:], filename)
        files = [{"filename": filename, "url": STORAGE + place, "hashes": {"sha256": digest}, "yanked": False, "requires-python": None, "size": len(data)}]
        text = json.dumps({"meta": {"api-version": "1.1"}, "name": name.lower(), "versions": [version], "files": files}).encode()
        for asked in ("/simple/" + name, "/simple/" + name + "/"):
            pages["pypi.org", asked] = (200, {"Content-Type": "application/vnd.pypi.simple.v1+json"}, text)
        pages["files.pythonhosted.org", "/packages/" + place] = data
    return pages
