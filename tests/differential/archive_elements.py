"""Images and zip archives, and the elements that have them as sources, for archive_answers.py.

push(registry) puts the images where they are fetched from, {name: ref}; archives(DIR) writes the zip archives;
write(DIR, registry's URL, archives' DIR, refs) makes the project. Elements are named by their kind and what is special of them.
"""

import io
import os
import stat
import struct
import sys
import tarfile
import warnings
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from registry import Layer, index, manifest  # noqa: E402

PROJECT = """name: archives
min-version: 2.5
element-path: elements
aliases:
  reg: %s/
  web: file://%s/
plugins:
- origin: pip
  package-name: buildstream-plugins
  sources: [docker]
- origin: pip
  package-name: buildstream-plugins-community
  sources: [zip]
"""


def images():
    """{name: layers}"""
    many = Layer().folder("./").folder("bin").file("bin/tool", mode=0o755).file("bin/setuid", mode=0o4755).file("etc/none", mode=0).file("etc/group-only", mode=0o070)
    many.file("etc/owner", mode=0o100).folder("private", 0o700).folder("closed", 0).file("closed/in", mode=0o600).link("to-tool", "bin/tool").link("absolute", "/etc/passwd").link("dangling", "no/where")
    many.link("up", "../..").file("long/" + "n" * 120 + "/" + "m" * 120).file("\u00fcml\u00e4ut/\u2603").hard("bin/hard", "bin/tool", 0o644).hard("bin/hard-2", "bin/tool", 0o755).folder("empty")
    lower = lambda: Layer().file("a").file("b").file("keep").folder("dir").file("dir/x").file("dir/y").file("dir/deep/z")
    return {
        "many": [many],
        "gnu": [Layer(tarfile.GNU_FORMAT).file("long/" + "n" * 120 + "/" + "m" * 120).link("l", "t" * 150).file("x")],
        "whiteout": [lower(), Layer().whiteout("a").whiteout("dir/x").whiteout("no-such"), Layer().file("a", b"again", 0o755)],
        "whiteout-folder": [lower(), Layer().whiteout("dir")],
        "whiteout-same-layer": [lower(), Layer().file("a", b"new").whiteout("a").file("b", b"new")],
        "whiteout-dots": [Layer().file("./a").file("b").file("c").file("./d"), Layer().whiteout("a").whiteout("./b").whiteout("c").whiteout("./d")],
        "whiteout-odd": [lower(), Layer().file(".wh.").file("dir/.wh..wh.plnk").file(".wh.a.wh.b")],
        "opaque": [lower(), Layer().folder("dir").opaque("dir").file("dir/new")],
        "opaque-prefix": [Layer().file("dir/x").file("dir2/y").file("dir"), Layer().opaque("dir")],
        "opaque-root": [lower(), Layer().opaque("").file("only")],
        "opaque-dots": [lower(), Layer().opaque("./dir")],
        "devices": [Layer().folder("dev").device("dev/null").file("dev/regular").link("dev/fd", "/proc/self/fd").device("console").device("disk", tarfile.BLKTYPE).device("fifo", tarfile.FIFOTYPE)
                    .file("./dev/dotted").file("device").file("usr/dev/kept")],
        "clash-link": [Layer().folder("usr").folder("usr/lib").link("lib", "usr/lib"), Layer().file("lib/x")],
        "clash-file": [Layer().file("lib"), Layer().file("lib/x")],
        "through-link": [Layer().folder("usr/lib").link("lib", "usr/lib").file("lib/x").link("usr/up", "../usr/lib").file("usr/up/y")],
        "hard-removed": [Layer().file("a", mode=0o755).hard("b", "a", 0o755).file("c").hard("d", "c"), Layer().whiteout("a")],
        "hard-to-dev": [Layer().file("dev/file").hard("kept", "dev/file")],
        "hard-dots": [Layer().file("./a").hard("b", "a").file("c").hard("d", "./c"), Layer().whiteout("./a").whiteout("c")],
        "hard-missing": [Layer().file("a").hard("b", "nowhere")],
        "hard-other-layer": [Layer().file("a"), Layer().hard("b", "a")],
        "hard-mode": [Layer().file("a", mode=0o755).hard("b", "a", 0o644)],
        "hard-to-link": [Layer().link("l", "a").file("a").hard("b", "l")],
        "over-empty": [Layer().folder("d"), Layer().file("d")],
        "over-full": [Layer().file("d/x"), Layer().file("d", b"ignored").file("e")],
        "over-full-link": [Layer().file("d/x"), Layer().link("d", "e")],
        "over-link": [Layer().link("l", "a").file("a"), Layer().file("l", b"file")],
        "link-over-file": [Layer().file("l"), Layer().link("l", "a")],
        "over-mode": [Layer().file("t", mode=0o755), Layer().file("t", b"other", 0o644)],
        "twice": [Layer().file("a", b"one", 0o755).file("b").file("a", b"two", 0o644)],
        "twice-kinds": [Layer().folder("a").link("b", "c").file("b", b"file").file("a", b"file")],
        "empty-layers": [Layer(), Layer().file("a"), Layer(), Layer().file("b")],
        "nothing": [Layer()],
        "absolute": [Layer().file("/etc/x").folder("/var").file("//srv/y")],
        "dots-inside": [Layer().folder("a").file("a/../b").file("./c/./d")],
        "dots-out": [Layer().file("ok").file("../out")],
        "link-out": [Layer().link("l", "/tmp").file("l/x")],
        "link-up": [Layer().link("l", "../..").file("l/x")],
        "three": [lower(), lower().file("dir/w"), Layer().whiteout("dir/y").opaque("dir/deep").file("dir/deep/new"), Layer().folder("dir", 0o700).file("dir/v")],
    }


def push(registry):
    """{name: ref}"""
    refs = {name: registry.push("lib/" + name, "latest", layers) for name, layers in images().items()}
    refs["oci"] = registry.push("oci", "1.0", [Layer().file("a"), Layer().whiteout("a").file("b")], oci=True)
    for layer, name in ((Layer().file("a").typed("application/vnd.oci.image.layer.v1.tar"), "plain"), (Layer().file("a").typed("application/vnd.oci.image.layer.v1.tar+zstd"), "zstd")):
        refs["oci-" + name] = registry.push("oci-" + name, "1.0", [layer], oci=True)
    for oci, name in ((False, "list"), (True, "index")):
        entries = []
        for architecture in ("arm64", "amd64", "s390x"):
            blobs, text = manifest([Layer().file("for-" + architecture)], oci)
            for blob in blobs:
                registry.push_blob(name, blob)
            refs["%s-%s" % (name, architecture)] = registry.push_manifest(name, architecture, text)
            entries.append((text, architecture, "linux"))
        refs[name] = registry.push_manifest(name, "latest", index(entries, oci))
    return refs


def member(name, mode=0o644, flags=None):
    info = zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6))
    info.create_system, info.external_attr = 3, mode << 16
    if flags is not None:
        info.flag_bits = flags
    return info


def zipped(*members, method=zipfile.ZIP_STORED):
    """Members are names, or (name, content), or (name, content, mode)."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")  # of two members of one name
        for one in members:
            name, content, mode = (one if isinstance(one, tuple) else (one,)) + ((None, 0o100644) if not isinstance(one, tuple) else (0o100644,) if len(one) == 2 else ())
            info = member(name, 0o40755 if name.endswith("/") and mode == 0o100644 else mode)
            info.compress_type = method
            archive.writestr(info, name.encode() if content is None else content)
    return out.getvalue()


def renamed(data, old, new):
    """The archive with a name that Python wouldn't write."""
    assert len(old) == len(new) and data.count(old) == 2
    return data.replace(old, new)


def archives():
    """{name: bytes}"""
    plain = zipped("pkg/", "pkg/a", ("pkg/run", b"#!/bin/sh\n", 0o100755), "pkg/sub/", "pkg/sub/deep/file", ("pkg/link", b"a", 0o120777), "pkg/empty/")
    damaged = bytearray(zipped("pkg/a", ("pkg/b", b"content-of-b")))
    damaged[damaged.index(b"content-of-b")] ^= 1
    encrypted = bytearray(zipped(("pkg/a", b"x" * 32)))
    for signature in (b"PK\3\4", b"PK\1\2"):
        at = encrypted.index(signature) + (6 if signature == b"PK\3\4" else 8)
        encrypted[at] |= 1
    return {
        "plain": plain,
        "deflated": zipped("pkg/a", ("pkg/b", b"b" * 5000), ("pkg/link", b"a", 0o120777), method=zipfile.ZIP_DEFLATED),
        "bzip2": zipped(("pkg/b", b"b" * 5000), method=zipfile.ZIP_BZIP2),
        "lzma": zipped(("pkg/b", b"b" * 5000), method=zipfile.ZIP_LZMA),
        "implied": zipped("pkg/a", "other/b"),
        "folders-alone": zipped("pkg/", "pkg/sub/"),
        "two": zipped("b/x", "a/y", "top"),
        "flat": zipped("a", "b"),
        "dotted": zipped("./pkg/a", "./b"),
        "absolute": zipped("/etc/x", "b"),
        "dots": zipped("pkg/../../out", "../up", "pkg/./a", "pkg//b"),
        "dots-folder": zipped("../", "pkg/../", "pkg/a"),
        "twice": zipped(("pkg/a", b"one"), ("pkg/b", b"x"), ("pkg/a", b"two")),
        "file-and-folder": zipped("pkg/a", "pkg/a/b"),
        "folder-and-file": zipped("pkg/a/", "pkg/a"),
        "unicode": zipped("pkg/\u00fcml\u00e4ut", "pkg/\u2603"),
        "cp437": renamed(zipped(("pkg/u?ml", b"x")), b"pkg/u?ml", b"pkg/u\x81ml"),
        "odd-modes": zipped(("pkg/none", b"x", 0), ("pkg/fifo", b"x", stat.S_IFIFO | 0o600), ("pkg/sticky", b"x", 0o107777)),
        "device": zipped(("pkg/char", b"x", stat.S_IFCHR | 0o600)),
        "prefix": b"#!/bin/sh\nexit 1\n" + plain,
        "trailing": plain + b"trailing",
        "empty": zipped(),
        "cut": plain[:-30],
        "no-zip": b"This is no archive.\n",
        "nothing": b"",
        "crc": bytes(damaged),
        "encrypted": bytes(encrypted),
        "method": plain.replace(struct.pack("<H", 0) + plain[10:14], struct.pack("<H", 97) + plain[10:14]),
        "backslash": zipped("pkg\\a", "pkg/b\\c"),
        "colon": zipped("pkg/C:\\x", "pkg/a:b"),
        "spaces": zipped("pkg/ a ", "pkg/b\nc"),
    }


def elements(refs):
    """{name: [(key, value)] of its source}"""
    result = {}

    def docker(name, image, *more, tag="latest"):
        result["docker-" + name] = [("kind", "docker"), ("registry-url", "'reg:'"), ("image", image), ("track", tag)] + list(more)

    for name in images():
        docker(name, "lib/" + name)
    docker("oci", "oci", tag="'1.0'")
    docker("oci-plain", "oci-plain", tag="'1.0'")
    docker("oci-zstd", "oci-zstd", tag="'1.0'")
    for name in ("list", "index"):
        docker(name, name)
        docker(name + "-arm", name, ("architecture", "arm64"))
        docker(name + "-none", name, ("architecture", "vax"))
        docker(name + "-tag", name, tag="s390x")
        docker(name + "-ref", name, ("ref", refs[name]))
        docker(name + "-own-ref", name, ("ref", refs[name + "-s390x"]))
    docker("no-tag", "lib/many", tag="no-such")
    docker("no-image", "lib/no-such")
    docker("no-ref", "lib/many", ("ref", "e" * 64))
    docker("odd-ref", "lib/many", ("ref", "latest"))
    docker("version", "lib/many", ("version", "'1.2'"))
    docker("folder", "lib/many", ("directory", "below/it"))
    docker("slash", "/lib/many")
    result["docker-untracked"] = [("kind", "docker"), ("registry-url", "'reg:'"), ("image", "lib/many"), ("ref", refs["many"])]
    result["docker-nothing-to-track"] = [("kind", "docker"), ("registry-url", "'reg:'"), ("image", "lib/many")]
    result["docker-by-url"] = [("kind", "docker"), ("url", "reg:lib/many"), ("track", "latest")]
    result["docker-by-url-version"] = [("kind", "docker"), ("url", "reg:lib/whiteout"), ("ref", refs["whiteout"]), ("version", "2")]
    for name in archives():
        result["zip-" + name] = [("kind", "zip"), ("url", "web:%s.zip" % name)]
        result["zip-%s-whole" % name] = [("kind", "zip"), ("url", "web:%s.zip" % name), ("base-dir", "''")]
    for name, archive, pattern in (("sub", "plain", "'pkg/*'"), ("slash", "plain", "pkg/"), ("deep", "plain", "'**/deep'"), ("none", "plain", "no-such"), ("second", "two", "b"), ("class", "two", "'[bc]'"), ("rooted", "plain", "/pkg")):
        result["zip-base-" + name] = [("kind", "zip"), ("url", "web:%s.zip" % archive), ("base-dir", pattern)]
    result["zip-version"] = [("kind", "zip"), ("url", "web:plain.zip"), ("version", "'1.0'")]
    result["zip-folder"] = [("kind", "zip"), ("url", "web:plain.zip"), ("directory", "below")]
    return result


def write(directory, url, place, refs):
    os.makedirs(os.path.join(directory, "elements"))
    os.makedirs(place, exist_ok=True)
    for name, data in archives().items():
        with open(os.path.join(place, name + ".zip"), "wb") as file:
            file.write(data)
    with open(os.path.join(directory, "project.conf"), "w", encoding="utf-8") as file:
        file.write(PROJECT % (url, place))
    for name, source in elements(refs).items():
        with open(os.path.join(directory, "elements", name + ".bst"), "w", encoding="utf-8") as file:
            file.write("kind: import\nsources:\n- " + "\n  ".join("%s: %s" % pair for pair in source) + "\n")
