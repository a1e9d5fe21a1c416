#!/usr/bin/env python3
"""Builds trivial sandboxed elements, and compares with as many bare bubblewraps.

Each round builds a generated project (wide, kind manual, one shell command each) from empty
caches with two builders, everything included from the start of the command to its end, and
runs as many `bwrap --cap-drop ALL` with the same root, the same mounts and the same command
in two parallel loops. Rounds alternate in which comes first; the ratio is that of one round,
and the figures are medians.

All is on a new filesystem where one can be made (common.Workplace), and nothing is removed before the end.
"""

import os
import statistics
import subprocess
import sys
import time

import common
from make_project import make_project, name_of

BUILDERS = 2


def bare_loop(root, scratch, count):
    """A shell that runs bwrap count times, as the sandbox does: what is written goes to a folder of its own."""
    command = [
        "bwrap", "--cap-drop", "ALL", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-ipc",
        "--die-with-parent", "--uid", "0", "--gid", "0", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", "--bind", scratch, "/buildstream-install", "--chdir", "/", "--",
        "sh", "-e", "-c", "echo > /buildstream-install/$N"]
    script = 'count=$1; shift; N=0; while [ "$N" -lt "$count" ]; do N=$((N + 1)); export N; "$@"; done'
    return subprocess.Popen(["sh", "-e", "-c", script, "loop", str(count)] + command, stdin=subprocess.DEVNULL)


def bare(work, root, elements, name):
    """Seconds for as many bare sandboxes, in as many loops as there are builders."""
    scratches = [work.join("bare-%s-%d" % (name, number)) for number in range(BUILDERS)]
    for scratch in scratches:
        os.makedirs(scratch)
    counts = [elements * (number + 1) // BUILDERS - elements * number // BUILDERS for number in range(BUILDERS)]
    started = time.perf_counter()
    loops = [bare_loop(root, scratch, count) for scratch, count in zip(scratches, counts)]
    codes = [loop.wait() for loop in loops]
    seconds = time.perf_counter() - started
    if any(codes):
        sys.exit("bench: a bare bwrap failed: %s" % codes)
    for scratch, count in zip(scratches, counts):
        written = os.listdir(scratch)
        if len(written) != count:
            sys.exit("bench: %d of %d bare sandboxes wrote their file" % (len(written), count))
    return seconds


def main():
    arguments = common.parser(__doc__.split("\n", maxsplit=1)[0]).parse_args()
    count = arguments.elements
    with common.Workplace(arguments.sluice, fresh=True) as work:
        project = work.join("project")
        make_project(project, elements=count)
        print("build: %d elements and their base, %d builders, %d rounds, %s"
              % (count, BUILDERS, arguments.rounds, arguments.sluice), flush=True)
        bare(work, os.path.join(project, "root"), count, "first")  # warms the page cache for both

        rates, bare_rates, ratios = [], [], []
        for number in range(arguments.rounds):
            environment = work.home("home-%d" % number)

            def build():
                seconds, output = work.run(environment, project, "--builders", BUILDERS, "build", "all.bst")
                if common.built(output) != count + 2:
                    sys.exit("%s\nbench: not all was built" % output[-4000:])
                return seconds

            def sandboxes():
                return bare(work, os.path.join(project, "root"), count, number)

            if number % 2 == 0:
                built, empty = build(), sandboxes()
            else:
                empty, built = sandboxes(), build()
            rates.append(count / built)
            bare_rates.append(count / empty)
            ratios.append(empty / built)
            print("round %d: %.2f s, %.1f elements a second; bare bwrap: %.2f s, %.1f a second; ratio %.3f"
                  % (number + 1, built, rates[-1], empty, bare_rates[-1], ratios[-1]), flush=True)

            # What was built is there.
            checkout = work.join("checkout-%d" % number)
            work.run(environment, project, "artifact", "checkout", "all.bst", "--directory", checkout)
            for element in range(count):
                name = name_of(element)[:-4]
                with open(os.path.join(checkout, name), encoding="utf-8") as file:
                    if file.read() != name + "\n":
                        sys.exit("bench: %s is not what it should be" % name)

        print("elements a second: %s; bare: %s; ratio: %s"
              % (common.spread(rates, "%.1f"), common.spread(bare_rates, "%.1f"), common.spread(ratios)))
        common.close("build", per_second=round(statistics.median(rates), 1), ratio=round(statistics.median(ratios), 3),
                     bare_per_second=round(statistics.median(bare_rates), 1), elements=count, rounds=arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
