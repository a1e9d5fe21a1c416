#!/usr/bin/python3
"""What is written to show a build: bytes and lines an element, on a terminal and into a pipe.

A generated project of trivial elements is built from empty caches in each style, and built again when there is nothing to do,
on a terminal of 80 columns and 24 rows, and into a pipe. With $SLUICE_BST (a command that runs the reference) bst does the same.
Lines are line feeds: of a terminal, those that scroll.
"""

import fcntl
import os
import pty
import shlex
import struct
import subprocess
import sys
import termios

import common
from make_project import make_project

COLUMNS, ROWS = 80, 24


def read_all(descriptor):
    said = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # nobody has the terminal any more
            return said
        if not part:
            return said
        said += part


def shown(argv, environment, directory, terminal):
    """All that a command writes, on a terminal or into a pipe."""
    if terminal:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    else:
        ours, theirs = os.pipe()
    process = subprocess.Popen(argv, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said = read_all(ours)
    os.close(ours)
    if process.wait() != 0:
        sys.exit("%s\nbench: status %d: %s" % (said[-4000:].decode("utf-8", "replace"), process.returncode, shlex.join(argv)))
    return said


def measure(name, command, environment, project, elements, terminal):
    """Bytes and lines an element of a build, and bytes of one that has nothing to do."""
    first = shown(command, environment, project, terminal)
    again = shown(command, environment, project, terminal)
    print("%-22s %8.0f bytes and %5.2f lines an element; nothing to do: %6d bytes, %4d lines"
          % (name, len(first) / elements, first.count(b"\n") / elements, len(again), again.count(b"\n")), flush=True)
    return len(first) / elements


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--before", help="another sluice, of which the style that it has by itself is measured too")
    arguments = parser.parse_args()
    count = arguments.elements
    figures = {}
    with common.Workplace(arguments.sluice) as work:
        project = work.join("project")
        make_project(project, elements=count)
        print("screen: %d elements, %s" % (count, arguments.sluice), flush=True)
        variants = [(style, work.command, ["--style", style], True) for style in ("calm", "tty", "reader")]
        variants += [(style, work.command, ["--style", style], False) for style in ("plain", "reader", "github", "gitlab")]
        if arguments.before:
            variants += [("before", shlex.split(arguments.before), [], terminal) for terminal in (True, False)]
        for style, command, options, terminal in variants:
            where = "pty" if terminal else "pipe"
            environment = dict(work.home("home-%s-%s" % (style, where)), TERM="xterm-256color", LC_ALL="C.UTF-8")
            figures[style + "_" + where] = measure("%s, %s" % (style, where), command + options + ["--builders", "2", "build", "all.bst"],
                                                   environment, project, count, terminal)
        if os.environ.get("SLUICE_BST"):
            for terminal in (True, False):
                where = "pty" if terminal else "pipe"
                cache = work.join("bst-" + where)
                config = work.join("bst-%s.conf" % where)
                with open(config, "w", encoding="ascii") as file:
                    file.write("cachedir: %s\n" % cache)
                environment = dict(os.environ, TERM="xterm-256color")
                command = shlex.split(os.environ["SLUICE_BST"]) + ["--config", config, "-C", project, "--builders", "2", "build", "all.bst"]
                figures["bst_" + where] = measure("bst, " + where, command, environment, project, count, terminal)
    common.close("screen", elements=count, **{name: round(value) for name, value in figures.items()})


if __name__ == "__main__":
    main()
