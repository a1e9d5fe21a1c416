#!/usr/bin/env python3
"""Loads generated projects: `show` of every element's name and key, the first time and after.

Three shapes (load_project.py) of 1,000, 5,000, 20,000 and 100,000 elements. A measurement is a
whole command, from start to end. "First" has empty caches of its own (files are in the system's
page cache, as they have just been written); "after" is the same command again. Memory is the
peak of the largest of the command's processes. Beside it, with $SLUICE_BST (a command that runs
the reference BuildStream), bst's time for the same projects up to --bst-elements, once; its
output must be the same.

The closing figures are the medians for the shape that is the slowest, or needs the most, of the three.
"""

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import common
from load_project import SHAPES, load_project

SIZES = (1000, 5000, 20000, 100000)
FORMAT = "%{name} %{full-key}"


def measure(work, environment, project):
    """Seconds, peak in KiB, and the output."""
    with tempfile.TemporaryFile(dir=work.path) as output:
        argv = work.command + ["-C", project, "show", "--format", FORMAT, "all.bst"]
        started = time.perf_counter()
        child = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE)
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        child.stderr.close()
        if child.returncode != 0:
            sys.exit("%s\nbench: status %d: %s" % (said.decode(errors="replace")[-4000:], child.returncode, shlex.join(argv)))
        output.seek(0)
        return seconds, usage.ru_maxrss, output.read()


def bst(command, work, project, expected):
    """bst's seconds as text; says so where it can't load the project, ends the benchmark where it differs."""
    folder = work.join("bst")
    environment = dict(os.environ, PEER_HOME=folder, HOME=folder)
    os.makedirs(folder, exist_ok=True)
    configuration = work.join("bst.conf")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write("cachedir: %s\nlogdir: %s\nsourcedir: %s\n" % (folder + "/cache", folder + "/logs", folder + "/sources"))
    argv = shlex.split(command) + ["--config", configuration, "-C", project, "--no-interactive", "--no-colors",
                                   "show", "--format", FORMAT, "all.bst"]
    started = time.perf_counter()
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        return "bst fails (%s)" % (last[-1].strip()[:60] if last else "status %d" % done.returncode)
    if done.stdout.strip() != expected.strip():
        sys.exit("bench: bst's names and keys of %s differ" % project)
    return "bst %.2f s, the same keys" % seconds


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(elements=None)
    parser.add_argument("--shape", choices=SHAPES, action="append", help="only this one")
    parser.add_argument("--bst-elements", type=int, default=5000, help="the largest project that bst is given")
    arguments = parser.parse_args()
    sizes = (arguments.elements,) if arguments.elements else SIZES
    reference = os.environ.get("SLUICE_BST")
    worst = {}
    with common.Workplace(arguments.sluice) as work:
        for shape in arguments.shape or SHAPES:
            for size in sizes:
                project = work.join("project")
                load_project(project, size, shape)
                settled = time.time() + common.SETTLED
                rounds = arguments.rounds if size <= 5000 else min(arguments.rounds, 2)
                first, after, peaks, expected = [], [], [], None
                time.sleep(max(0.0, settled - time.time()))
                for _ in range(rounds):
                    environment = work.home("home")
                    # The home of a user who has built something: the cache, where answers are kept, is there.
                    os.makedirs(os.path.join(environment["XDG_CACHE_HOME"], "buildstream"))
                    for times in (first, after):
                        seconds, peak, output = measure(work, environment, project)
                        times.append(seconds)
                        peaks.append(peak)
                        if output != (expected or output) or output.count(b"\n") != size:
                            sys.exit("bench: %s, %d elements: the output isn't what it was or should be" % (shape, size))
                        expected = output
                    shutil.rmtree(work.join("home"))
                line = "%-8s %6d elements: first %s s, after %s s, peak %.1f MiB" % (
                    shape, size, common.spread(first), common.spread(after), max(peaks) / 1024)
                if reference and size <= arguments.bst_elements:
                    line += ", " + bst(reference, work, project, expected)
                print(line, flush=True)
                figures = worst.setdefault(size, [0.0, 0.0, 0])
                for index, value in enumerate((statistics.median(first), statistics.median(after), max(peaks) * 1024 // size)):
                    figures[index] = max(figures[index], value)
                shutil.rmtree(project)
    if len(sizes) == 1:
        first, after, peak = worst[sizes[0]]
        common.close("load", first=round(first, 4), after=round(after, 4), bytes_per_element=peak)
        return 0
    common.close("load", first_5000=round(worst[5000][0], 3), after_5000=round(worst[5000][1], 3),
                 first_100000=round(worst[100000][0], 2), after_100000=round(worst[100000][1], 2),
                 bytes_per_element=worst[100000][2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
