#!/usr/bin/env python3
"""A corpus of inputs in one file: tests/fuzz/corpus/TARGET.txt.

    corpus.py unpack FILE DIRECTORY     writes each input into a file of its own
    corpus.py pack FILE DIRECTORY...    writes FILE anew from the inputs in the directories
    corpus.py replay FILE PROGRAM       unpacks into a directory that is gone afterwards, and runs PROGRAM on it

A line is an input: its name, a blank, its bytes as printable ASCII; what isn't that, and "%", is written as in
URLs (%0A). Lines are sorted by name, so that the same inputs always give the same file.
It is a text, not a tar, since most inputs are texts: a new one is a line that can be read in a diff, two branches that
add some merge, and headers and padding would be three quarters of a tar of such small files."""

import os
import subprocess
import sys
import tempfile
from urllib.parse import quote_from_bytes, unquote_to_bytes

PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def parse(text):
    inputs = {}
    for line in text.splitlines():
        name, _, data = line.partition(" ")
        if not name or "/" in name or name.startswith(".") or name in inputs:
            raise ValueError("not a line of a corpus: " + line[:100])
        inputs[name] = unquote_to_bytes(data)
    return inputs


def render(inputs):
    return "".join("%s %s\n" % (name, quote_from_bytes(inputs[name], safe=PLAIN)) for name in sorted(inputs))


def read(path):
    with open(path, encoding="ascii") as file:
        text = file.read()
    inputs = parse(text)
    if not inputs or render(inputs) != text:
        raise ValueError("%s was not written by corpus.py pack" % path)
    return inputs


def unpack(path, directory):
    inputs = read(path)
    os.makedirs(directory, exist_ok=True)
    for name, data in inputs.items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(data)


def pack(path, directories):
    inputs = {}
    for directory in directories:
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as file:
                data = file.read()
            if inputs.setdefault(name, data) != data:
                raise ValueError("two inputs are called %s" % name)
    text = render(inputs)
    if render(parse(text)) != text:
        raise ValueError("names with blanks or lines in them can't be packed")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def replay(path, program):
    with tempfile.TemporaryDirectory() as directory:
        unpack(path, directory)
        return subprocess.run([program, directory], check=False).returncode


def main(arguments):
    if len(arguments) >= 3 and arguments[0] == "pack":
        return pack(arguments[1], arguments[2:])
    if len(arguments) == 3 and arguments[0] in ("unpack", "replay"):
        status = (unpack if arguments[0] == "unpack" else replay)(*arguments[1:])
        return 1 if status and status < 0 else status  # a negative one is a signal's, of a program that was killed
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
