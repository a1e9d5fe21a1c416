#!/usr/bin/env python3
"""The same build again, when there is nothing to do, beside ninja's null build of as many edges.

The generated project (wide, kind manual) is built once; each round then runs the same command
again, and ninja on a graph of the same shape in which everything is up to date. Both are whole
commands, from start to end. The figures are medians.
"""

import os
import statistics
import subprocess
import sys
import time

import common
from make_project import graph, make_project, write


def make_ninja(directory, dependencies):
    """The same graph for ninja: a base, an edge for each element, and all."""
    text = "rule make\n  command = touch $out\n\nbuild base: make\n"
    for number, lower in enumerate(dependencies):
        text += "build e%05d: make base %s\n" % (number, " ".join("e%05d" % other for other in lower))
    text += "build all: make %s\ndefault all\n" % " ".join("e%05d" % number for number in range(len(dependencies)))
    write(os.path.join(directory, "build.ninja"), text)


def ninja(directory):
    started = time.perf_counter()
    done = subprocess.run(["ninja", "-C", directory], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit("%s\nbench: ninja failed" % done.stdout)
    return seconds, done.stdout


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(rounds=15)
    parser.add_argument("--shape", choices=("wide", "deep", "layered"), default="wide")
    arguments = parser.parse_args()
    count = arguments.elements
    with common.Workplace(arguments.sluice) as work:
        project, environment = work.join("project"), work.home("home")
        make_project(project, elements=count, shape=arguments.shape)
        make_ninja(work.join("ninja"), graph(count, arguments.shape))
        print("null: %d elements and their base, %d rounds, %s" % (count, arguments.rounds, arguments.sluice), flush=True)

        first, output = work.run(environment, project, "--builders", 2, "build", "all.bst")
        if common.built(output) != count + 2:
            sys.exit("%s\nbench: not all was built" % output[-4000:])
        ninja(work.join("ninja"))
        print("the first build: %.2f s" % first, flush=True)

        ours, theirs = [], []
        for _ in range(arguments.rounds):
            seconds, output = work.run(environment, project, "--builders", 2, "build", "all.bst")
            if common.built(output) != 0:
                sys.exit("%s\nbench: something was built again" % output[-4000:])
            ours.append(seconds)
            seconds, output = ninja(work.join("ninja"))
            if "no work to do" not in output:
                sys.exit("%s\nbench: ninja had something to do" % output)
            theirs.append(seconds)

        print("seconds: %s; ninja: %s" % (common.spread(ours, "%.4f"), common.spread(theirs, "%.4f")))
        common.close("null", seconds=round(statistics.median(ours), 4), ninja_seconds=round(statistics.median(theirs), 4),
                     elements=count, rounds=arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
