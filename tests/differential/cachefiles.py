"""Reads artifacts in the cache layout that Sluice and BuildStream share, without either of them, and writes what neither would make.

artifacts/refs/PROJECT/ELEMENT/KEY is a serialized buildstream.v2.Artifact, cas/objects/xx/yyy a blob
by its SHA-256; folders are build.bazel.remote.execution.v2.Directory messages.
"""

import hashlib
import os

# number: (name, kind); kinds: int, text, bytes, digest, or a table of the same sort.
DIGEST = {1: ("hash", "text"), 2: ("size", "int")}
DEPENDENCY = {1: ("project_name", "text"), 2: ("element_name", "text"), 3: ("cache_key", "text"), 4: ("was_workspaced", "int")}
LOG = {1: ("name", "text"), 2: ("digest", DIGEST)}
VARIABLE = {1: ("name", "text"), 2: ("value", "text")}
SANDBOX = {1: ("environment", VARIABLE), 2: ("working_directory", "text"), 3: ("subsandbox_digests", DIGEST),
           4: ("marked_directories", "text")}
ARTIFACT = {
    1: ("version", "int"), 2: ("build_success", "int"), 3: ("build_error", "text"), 4: ("build_error_details", "text"),
    5: ("strong_key", "text"), 6: ("weak_key", "text"), 7: ("was_workspaced", "int"), 8: ("files", DIGEST),
    9: ("build_deps", DEPENDENCY), 10: ("public_data", DIGEST), 11: ("logs", LOG), 12: ("buildtree", DIGEST),
    13: ("sources", DIGEST), 14: ("low_diversity_meta", DIGEST), 15: ("high_diversity_meta", DIGEST),
    16: ("strict_key", "text"), 17: ("buildroot", DIGEST), 18: ("buildsandbox", SANDBOX)}
REPEATED = {"environment", "subsandbox_digests", "marked_directories", "build_deps", "logs", "files_", "directories",
            "symlinks", "properties"}
PROPERTY = {1: ("name", "text"), 2: ("value", "text")}
NODE_PROPERTIES = {1: ("properties", PROPERTY), 2: ("mtime", "bytes"), 3: ("unix_mode", "bytes")}
FILE = {1: ("name", "text"), 2: ("digest", DIGEST), 4: ("is_executable", "int"), 6: ("node_properties", NODE_PROPERTIES)}
FOLDER = {1: ("name", "text"), 2: ("digest", DIGEST)}
SYMLINK = {1: ("name", "text"), 2: ("target", "text"), 4: ("node_properties", NODE_PROPERTIES)}
DIRECTORY = {1: ("files_", FILE), 2: ("directories", FOLDER), 3: ("symlinks", SYMLINK), 5: ("node_properties", NODE_PROPERTIES)}


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def decode(data, table):
    """A message as a dictionary, fields in the order in which they are numbered. A field that the
    table doesn't know is an error."""
    found = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        name, kind = table[tag >> 3]
        if tag & 7 == 0:
            value, at = _varint(data, at)
        elif tag & 7 == 2:
            size, at = _varint(data, at)
            value = data[at:at + size]
            at += size
            if len(value) != size:
                raise ValueError("a field that is cut off")
            if isinstance(kind, dict):
                value = decode(value, kind)
            elif kind == "text":
                value = value.decode()
        else:
            raise ValueError("wire type %d" % (tag & 7))
        if name in REPEATED:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, data):
    """A field of bytes, a text or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


class Cache:
    def __init__(self, cachedir):
        self.cachedir = cachedir

    def add(self, data):
        """Adds a blob; its digest as a message."""
        name = hashlib.sha256(data).hexdigest()
        path = os.path.join(self.cachedir, "cas/objects", name[:2], name[2:])
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, 0o444)
        return field(1, name.encode()) + (b"\x10" + varint(len(data)) if data else b"")

    def blob(self, digest):
        path = os.path.join(self.cachedir, "cas/objects", digest["hash"][:2], digest["hash"][2:])
        with open(path, "rb") as file:
            data = file.read()
        if len(data) != digest.get("size", 0) or hashlib.sha256(data).hexdigest() != digest["hash"]:
            raise ValueError("%s is not what its name says" % path)
        return data

    def refs(self):
        """All artifacts' names: PROJECT/ELEMENT/KEY."""
        top = os.path.join(self.cachedir, "artifacts/refs")
        return sorted(os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names)

    def artifact_bytes(self, ref):
        with open(os.path.join(self.cachedir, "artifacts/refs", ref), "rb") as file:
            return file.read()

    def artifact(self, ref):
        return decode(self.artifact_bytes(ref), ARTIFACT)

    def listing(self, digest, prefix=""):
        """{path: description} of a tree; every blob is read and verified."""
        found = {}
        message = decode(self.blob(digest), DIRECTORY)
        for node in message.get("files_", []):
            self.blob(node["digest"])
            extra = " %r" % node["node_properties"] if "node_properties" in node else ""
            found[prefix + node["name"]] = "file%s %s%s" % (" executable" if node.get("is_executable") else "", node["digest"]["hash"], extra)
        for node in message.get("symlinks", []):
            extra = " %r" % node["node_properties"] if "node_properties" in node else ""
            found[prefix + node["name"]] = "link %s%s" % (node["target"], extra)
        for node in message.get("directories", []):
            found[prefix + node["name"]] = "folder"
            found.update(self.listing(node["digest"], prefix + node["name"] + "/"))
        if "node_properties" in message:
            found[prefix + "."] = "folder %r" % message["node_properties"]
        return found
