"""Makes the projects that Sluice and BuildStream exchange artifacts of.

What git can't hold is added to what lies in projects/: files/base, a root of this machine's own
programs; an empty folder; an archive with its ref. The same machine makes the same project, whatever
the folder it is made in, so keys can be compared across folders. With base=None a file with a fixed
text stands for the root: such a project can't be built, but its keys are the same everywhere.
"""

import glob
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import urllib.parse

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "projects")

SHELL = ("cat", "chmod", "cp", "env", "find", "grep", "ln", "ls", "mkdir", "mv", "rm", "sed", "sleep", "sort", "touch",
         "tr", "uname")
PROGRAMS = {"basic": SHELL, "collections": SHELL, "tools": SHELL + ("make", "cmake", "ninja")}


def missing_programs(name):
    """What this machine lacks of what the project's root is made of."""
    return [program for program in ("sh",) + PROGRAMS[name] if shutil.which(program, path="/usr/bin:/bin") is None]


def _copy(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(os.path.realpath(source), target)
    os.chmod(target, 0o755)


def make_root(root, programs):
    """A shell and `programs` of this machine, with their libraries, as a root to build in."""
    libraries = set()
    for program in ("sh",) + programs:
        path = shutil.which(program, path="/usr/bin:/bin")
        _copy(path, os.path.join(root, "bin/sh" if program == "sh" else "usr/bin/" + program))
        linked = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
        libraries.update(word for line in linked.splitlines() for word in line.split() if word.startswith("/"))
    for library in libraries:
        _copy(library, root + library)
    if "cmake" in programs:
        for folder in glob.glob("/usr/share/cmake-*"):
            shutil.copytree(folder, root + folder, symlinks=True)


def _make_archive(path):
    """Byte for byte the same everywhere: no compression, fixed owners and times."""
    def add(archive, name, kind=tarfile.REGTYPE, mode=0o644, content=b"", link=""):
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.size, member.linkname, member.mtime = kind, mode, len(content), link, 1000000000
        archive.addfile(member, io.BytesIO(content))

    os.makedirs(os.path.dirname(path))
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        top = "packed-1.0"
        add(archive, top, tarfile.DIRTYPE, 0o755)
        add(archive, top + "/README", content=b"packed\n")
        add(archive, top + "/bin", tarfile.DIRTYPE, 0o755)
        add(archive, top + "/bin/tool", mode=0o755, content=b"#!/bin/sh\necho tool\n")
        add(archive, top + "/bin/tool-hard", tarfile.LNKTYPE, link=top + "/bin/tool")
        add(archive, top + "/bin/tool-link", tarfile.SYMTYPE, link="tool")
        add(archive, top + "/none", tarfile.DIRTYPE, 0o700)
        add(archive, top + "/" + "long-name-" * 12, content=b"long\n")
        add(archive, top + "/secret", mode=0o600, content=b"secret\n")


def make_project(name, directory, base=True):
    """The project `name` in a new folder; returns the folder."""
    shutil.copytree(os.path.join(HERE, name), directory, symlinks=True)
    root = os.path.join(directory, "files/base")
    os.makedirs(os.path.join(root, "etc"))
    with open(os.path.join(root, "etc/base"), "w", encoding="utf-8") as file:
        file.write("base\n")
    if base:
        make_root(root, PROGRAMS[name])
    if name != "basic":
        return directory
    os.makedirs(os.path.join(directory, "files/tree/empty/too"))
    archive = os.path.join(directory, "archives/packed-1.0.tar")
    _make_archive(archive)
    with open(archive, "rb") as file:
        ref = hashlib.sha256(file.read()).hexdigest()
    os.makedirs(os.path.join(directory, "generated"))
    with open(os.path.join(directory, "generated/aliases.yml"), "w", encoding="utf-8") as file:
        file.write("archives: file://%s/\n" % urllib.parse.quote(os.path.dirname(archive)))
    for element in ("packed", "two-sources"):
        path = os.path.join(directory, "elements", element + ".bst")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("@REF@", ref))
    return directory
