"""Real software for the chain, from Debian 12's archive by apt: what upstreams released, as they would serve it.

    upstream = Upstream(DOWNLOADS, WORK)
    upstream.archive("zlib")        the archive that upstream released: DOWNLOADS/zlib_1.2.13.dfsg.orig.tar.bz2
    upstream.zipped("cjson")        the same files as a zip archive
    upstream.repository("scdoc")    a git repository: what was released is a commit with a tag
    upstream.patches("dtach", DIR)  Debian's patches, in their order
    upstream.packages(NAMES, ROOT)  the .deb files that ROOT lacks for these packages

apt's own configuration says where the archive is; lists and caches are ours, those of the system aren't touched. What was downloaded
before isn't downloaded again. Nothing is invented: versions are those that Debian 12 has on this day.
"""

import os
import re
import shutil
import subprocess
import tarfile
import zipfile

SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Commits are as old as this, so that the same release has the same id every time.
DATE = "1500000000 +0000"


class NotThere(Exception):
    """The archive lacks something, or apt doesn't know of one."""


def run(*command, cwd=None, env=None, text=None):
    done = subprocess.run(command, cwd=cwd, env=env, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode("utf-8", "backslashreplace")
    if done.returncode != 0:
        raise NotThere("%s: status %d\n%s" % (" ".join(command), done.returncode, output[-3000:]))
    return output


def git(repository, *arguments):
    who = {"GIT_%s_%s" % (role, part): value for role in ("AUTHOR", "COMMITTER") for part, value in (("NAME", "Upstream"), ("EMAIL", "upstream@example.org"), ("DATE", DATE))}
    return run("git", "-c", "init.defaultBranch=main", "-c", "core.autocrlf=false", "-c", "protocol.file.allow=always", "-C", repository, *arguments,
               env=dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", **who)).strip()


class Upstream:
    def __init__(self, downloads, work):
        self.downloads = downloads
        self.work = work
        self.names = {}
        self.repositories = os.path.join(work, "git")
        os.makedirs(downloads, exist_ok=True)
        os.makedirs(self.repositories, exist_ok=True)
        self.uri = self.mirror()
        run("apt-get", *self.options(), "update")

    # ---- apt

    @staticmethod
    def mirror():
        for line in run("apt-get", "indextargets", "--format", "$(RELEASE) $(CODENAME) $(REPO_URI)", "Created-By: Packages").splitlines():
            release, codename, uri = line.split(" ", 2)
            if SUITE in (release, codename):
                return uri
        raise NotThere("apt isn't configured with an archive of Debian 12 (%s)" % SUITE)

    def options(self, status="/dev/null", cache=None):
        """As `fetch` of examples/distro has them, and binary packages."""
        top = os.path.join(self.work, "apt")
        cache = cache or os.path.join(top, "cache")
        for folder in (os.path.join(top, "lists/partial"), os.path.join(cache, "archives/partial")):
            os.makedirs(folder, exist_ok=True)
        listed = os.path.join(top, "sources.list")
        if not os.path.exists(listed):
            signed = "[signed-by=%s] " % KEYRING if os.path.exists(KEYRING) else ""
            with open(listed, "w", encoding="ascii") as file:
                file.write("".join("%s %s%s %s main\n" % (kind, signed, self.uri, SUITE) for kind in ("deb", "deb-src")))
        given = {"Dir::State": top, "Dir::State::Lists": os.path.join(top, "lists"), "Dir::State::status": status, "Dir::Cache": cache,
                 "Dir::Etc::SourceList": listed, "Dir::Etc::SourceParts": "/dev/null", "APT::Install-Recommends": "false", "Debug::NoLocking": "true",
                 # What apt parsed is kept for the next call; images of containers have this off.
                 "Dir::Cache::pkgcache": "pkgcache.bin", "Dir::Cache::srcpkgcache": "srcpkgcache.bin"}
        if os.getuid() == 0:
            given["APT::Sandbox::User"] = "root"
        return ["-q"] + [word for name, value in given.items() for word in ("-o", "%s=%s" % (name, value))]

    def source(self, name, part, ending):
        """The file of source package `name` that `ending` matches; `part` is apt-get's option that leaves out the others."""
        said = run("apt-get", *self.options(), "source", "--print-uris", part, name)
        for file, size in re.findall(r"^'[^']*' (\S+) (\d+) ", said, re.MULTILINE):
            if re.search(ending, file):
                path = os.path.join(self.downloads, file)
                if not os.path.exists(path) or os.path.getsize(path) != int(size):
                    run("apt-get", *self.options(), "source", "--download-only", part, name, cwd=self.downloads)
                return path
        raise NotThere("the source package %s has no %s" % (name, ending))

    def packages(self, names, root):
        """.deb files of `names` and of what they need, without what the system in `root` has; in alphabetical order."""
        cache = os.path.join(self.downloads, "packages")
        status = os.path.join(root, "var/lib/dpkg/status")
        options = self.options(status, cache)
        # What is already in the cache has no URI any more: names are those of the simulation.
        said = run("apt-get", *options, "install", "--yes", "--simulate", *names)
        run("apt-get", *options, "install", "--yes", "--download-only", *names)
        found = re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", said, re.MULTILINE)
        return sorted(os.path.join(cache, "archives", "%s_%s_%s.deb" % (name, version.replace(":", "%3a"), architecture)) for name, version, architecture in found)

    # ---- what upstreams serve

    def archive(self, name):
        if name not in self.names:
            self.names[name] = self.source(name, "--tar-only", r"\.orig\.tar\.\w+$")
        return self.names[name]

    def version(self, name):
        """Without what Debian appends where it left something out."""
        return re.sub(r"[+.](dfsg|ds|repack)\d*$", "", os.path.basename(self.archive(name)).split("_", 1)[1].split(".orig.")[0])

    def unpacked(self, name, directory):
        """Unpacks it; the only folder in it, or `directory`."""
        os.makedirs(directory)
        run("tar", "--extract", "--no-same-owner", "--file", self.archive(name), "--directory", directory)
        inside = os.listdir(directory)
        return os.path.join(directory, inside[0]) if len(inside) == 1 else directory

    def zipped(self, name, target):
        """As `git archive --format=zip` and those who have no Unix do it."""
        with tarfile.open(self.archive(name)) as tar, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
            for member in tar.getmembers():
                if member.isdir():
                    made.writestr(zipfile.ZipInfo(member.name.rstrip("/") + "/"), b"")
                elif member.isfile():
                    made.writestr(zipfile.ZipInfo(member.name), tar.extractfile(member).read(), zipfile.ZIP_DEFLATED)
        return target

    def single(self, name, path, target):
        """One file of what was released: "xxhash.h"."""
        with tarfile.open(self.archive(name)) as tar:
            for member in tar.getmembers():
                if member.name.split("/", 1)[-1] == path:
                    with open(target, "wb") as file:
                        shutil.copyfileobj(tar.extractfile(member), file)
                    return target
        raise NotThere("%s has no %s" % (self.archive(name), path))

    def patches(self, name, directory):
        """Debian's patches, named so that the alphabet is their order."""
        os.makedirs(directory)
        with tarfile.open(self.source(name, "--diff-only", r"\.debian\.tar\.\w+$")) as tar:
            read = lambda path: tar.extractfile("debian/patches/" + path).read()
            series = [line.split()[0] for line in read("series").decode().splitlines() if line.strip() and not line.startswith("#")]
            for number, patch in enumerate(series, 1):
                with open(os.path.join(directory, "%02d-%s" % (number, os.path.basename(patch).removesuffix(".patch") + ".patch")), "wb") as file:
                    file.write(read(patch))
        return directory

    def repository(self, name, tag="v%s", changes=()):
        """A repository of one release with its tag; on top of it a commit for each of `changes`: (what it says, what changes the files in a directory)."""
        path = os.path.join(self.repositories, name)
        scratch = os.path.join(self.work, "unpacked", name)
        tree = self.unpacked(name, scratch)
        git(tree, "init", "--quiet")
        git(tree, "add", "--all", "--force")
        git(tree, "commit", "--quiet", "--message", "Release %s" % self.version(name))
        git(tree, "tag", "--annotate", "--message", "Release %s" % self.version(name), tag % self.version(name))
        for message, change in changes:
            change(tree)
            git(tree, "add", "--all", "--force")
            git(tree, "commit", "--quiet", "--message", message)
        git(self.work, "clone", "--quiet", "--bare", tree, path)
        shutil.rmtree(scratch)
        return path

    def commit(self, name, revision="main"):
        return git(os.path.join(self.repositories, name), "rev-parse", revision + "^{commit}")
