"""The records of a session, read from its file without any process (base/append_log.h, spec/records.md)."""

import os
import struct
import zlib

import msgpack

MAGIC = b"SLUICE1\n"


class RecordLog:
    """Reads a log that may still be written: read() gives what is new and whole."""

    def __init__(self, path):
        self.path = path
        self.offset = 0

    def read(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        at = 0
        if self.offset == 0:
            if not data.startswith(MAGIC):
                return []
            at = len(MAGIC)
        found = []
        while at + 8 <= len(data):
            length, checksum = struct.unpack_from("<II", data, at)
            payload = data[at + 8:at + 8 + length]
            if len(payload) < length or zlib.crc32(payload) != checksum:
                break
            found.append(msgpack.unpackb(payload))
            at += 8 + length
        self.offset += at
        return found


def pack_log(entries):
    """The bytes of a log that has these."""
    payloads = [msgpack.packb(entry) for entry in entries]
    return MAGIC + b"".join(struct.pack("<II", len(payload), zlib.crc32(payload)) + payload for payload in payloads)


def records(session_directory):
    """All records of a session, in order. One that its scheduler published again after its own
    death (scheduler/README.md) is there once."""
    seen = set()
    found = []
    for record in RecordLog(os.path.join(session_directory, "records.log")).read():
        if record["type"] in ("job.queued", "job.started", "job.finished"):
            name = (record["type"], record["job"]["id"], record["job"]["attempt"])
            if name in seen:
                continue
            seen.add(name)
        found.append(record)
    return found


def builds(log, record_type, outcome=None):
    """[(element, attempt, time)] of the build jobs that were started or finished."""
    return [(record["element"]["name"], record["job"]["attempt"], record["time"])
            for record in log
            if record["type"] == record_type and record["job"]["action"].lower() == "build"
            and outcome in (None, record.get("outcome"))]
