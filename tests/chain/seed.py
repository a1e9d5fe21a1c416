"""The seed: a Debian root with compilers, and Rust's and Go's on top of it, as images of several layers in a container registry.

The root is that of examples/distro (base/make-base, made once by its `fetch`); what else building takes comes from unpacked packages. Each
layer is the same, byte for byte, for the same packages.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from registry import Layer  # noqa: E402
from upstream import run  # noqa: E402

DISTRO = os.path.join(HERE, "../../examples/distro")
TOOLS = ["g++", "bison", "flex", "python3-pip", "python3-wheel", "python3-setuptools"]
# Whom no build asks: documentation, tests, and Go's libraries for looking for races.
NEEDLESS = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bug", "usr/share/perl/5.36.0/pod",
            "usr/share/go-1.19/test", "usr/share/go-1.19/doc", "usr/lib/go-1.19/pkg/linux_amd64_race", "usr/share/bash-completion")


class Seed:
    def __init__(self, upstream, work):
        self.upstream = upstream
        self.work = os.path.join(work, "seed")
        self.layers = os.path.join(upstream.downloads, "layers")
        os.makedirs(self.layers, exist_ok=True)
        # Its own folder of downloads is the one above ours.
        run(os.path.join(DISTRO, "fetch"), "--quiet", env=dict(os.environ, SLUICE_DOWNLOADS=os.path.dirname(upstream.downloads)))
        self.base = self.newest_base(os.path.dirname(upstream.downloads))
        self.root = os.path.join(self.work, "root")
        os.makedirs(self.root)
        run("tar", "--extract", "--no-same-owner", "--file", self.base, "--directory", self.root)
        self.packed = {"base": self.base}
        self.tools = self.unpacked("tools", TOOLS)
        self.rust = self.unpacked("rust", ["cargo", "rustc"])
        self.go = self.unpacked("go", ["golang-go"])

    @staticmethod
    def newest_base(downloads):
        bases = [os.path.join(downloads, name, "debian-12.tar.gz") for name in os.listdir(downloads) if name.startswith("base-")]
        return max((path for path in bases if os.path.exists(path)), key=os.path.getmtime)

    def unpacked(self, name, packages):
        """The directory, after its layer was packed too, if that isn't there since last time."""
        directory = os.path.join(self.work, name)
        os.makedirs(directory)
        files = self.upstream.packages(packages, self.root)
        for package in files:
            run("dpkg-deb", "--extract", package, directory)
        for path in NEEDLESS:
            shutil.rmtree(os.path.join(directory, path), ignore_errors=True)
        made_of = "\n".join([os.path.basename(file) for file in files] + list(NEEDLESS))
        self.packed[name] = os.path.join(self.layers, "%s-%s.tar.gz" % (name, hashlib.sha256(made_of.encode()).hexdigest()[:12]))
        if not os.path.exists(self.packed[name]):
            pack(directory, self.packed[name])
        return directory

    def push(self, registry):
        """The images debian, debian-rust and debian-go, each with the tag "bookworm"."""
        # What CMake tells of itself is taken away again, as a Dockerfile's RUN would do it.
        needless = Layer().whiteout("usr/share/cmake-3.25/Help").whiteout("usr/share/aclocal-1.16/README")
        registry.push("debian", "bookworm", [self.layer("base"), self.layer("tools"), needless])
        registry.push("debian-rust", "bookworm", [self.layer("rust")])
        registry.push("debian-go", "bookworm", [self.layer("go")], oci=True)

    def layer(self, name):
        layer = Layer()
        with open(self.packed[name], "rb") as file:
            layer.bytes = file.read()
        return layer

    def inside(self, *command, cwd, env=None):
        """Runs a command with the seed's programs, and cwd alone to write into, without a network."""
        libraries = ":".join("/%s/usr/lib/x86_64-linux-gnu" % part for part in ("rust", "tools"))
        argv = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", os.path.join(self.root, "usr"), "/usr", "--ro-bind", os.path.join(self.root, "etc"), "/etc",
                "--ro-bind", self.rust, "/rust", "--ro-bind", self.tools, "/tools", "--bind", cwd, "/tree", "--chdir", "/tree", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        for name in ("bin", "sbin", "lib", "lib64"):
            argv += ["--symlink", "usr/" + name, "/" + name]
        given = dict({"PATH": "/rust/usr/bin:/usr/bin", "LD_LIBRARY_PATH": libraries, "HOME": "/tmp", "LC_ALL": "C.UTF-8"}, **(env or {}))
        return run(*argv, "--clearenv", *[word for name, value in given.items() for word in ("--setenv", name, value)], "--", *command)


def pack(directory, target):
    """Makes a gzipped tar file of what is in `directory`, without whose and when it is."""

    def plain(member):
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = "root"
        return member

    with open(target + ".new", "wb") as out, gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=1, mtime=0) as gz, \
            tarfile.open(fileobj=gz, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(os.listdir(directory)):
            tar.add(os.path.join(directory, name), name, filter=plain)  # in the order of names, below too
    os.rename(target + ".new", target)
