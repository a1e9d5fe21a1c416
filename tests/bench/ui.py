#!/usr/bin/python3
"""What renderers cost the scheduler: the same build with none, one, five, a stopped one, and one whose terminal accepts nothing.

Each build runs in a session of its own from empty caches, started with `build --detach`, so that no
renderer is there but those that are measured; these are attached before it starts, and stay. Measured
is the processor time of the scheduler's threads from before the run to its end, and the run's time by its records.
Rounds go through the variants in turn, forwards and backwards. `worst_ratio` is that of the medians of a
variant with renderers to that without which is furthest from 1.
"""

import os
import pty
import signal
import statistics
import subprocess
import sys

import common
from make_project import make_project
from record_log import RecordLog

DEADLINE = 120
VARIANTS = ("none", "one", "five", "stopped", "deaf")


def processor_time(pid):
    """Seconds that the threads which a process has now have run."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as file:
                total += int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # one that measures the cache's size and ends; it is no part of scheduling
    return total / 1e9


def process_of(session, program):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                arguments = file.read().split(b"\0")
        except OSError:
            continue
        if os.path.basename(arguments[0]).decode() == program and session.encode() in arguments:
            return int(pid)
    sys.exit("bench: session %s has no %s" % (session, program))


class Screens:
    """The renderers of one variant."""

    def __init__(self, variant, session, environment, directory):
        self.processes, self.masters = [], []
        for _ in range({"none": 0, "five": 5}.get(variant, 1)):
            master, slave = pty.openpty()
            process = subprocess.Popen([os.path.join(directory, "sluice-renderer"), "--session", session, "--style", "tty",
                                        "--width", "120", "--height", "40"], env=environment, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
            os.close(slave)
            self.processes.append(process)
            self.masters.append(master)
        # A renderer that has drawn its first frame is attached.
        for master in self.masters:
            os.read(master, 1)
        self.readers = []
        if variant == "stopped":
            self.processes[0].send_signal(signal.SIGSTOP)
        elif variant != "deaf":
            # The terminal is read by a process of its own, which does as little as can be.
            self.readers = [subprocess.Popen(["cat"], stdin=master, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for master in self.masters]

    def close(self):
        for process in self.processes + self.readers:
            process.kill()
            process.wait()
        for master in self.masters:
            os.close(master)


def one_build(work, project, variant, number):
    environment = dict(work.home("home-%d" % number), TERM="xterm")
    session = work.run(environment, project, "session", "start")[1].strip()
    log = RecordLog(os.path.join(environment["XDG_STATE_HOME"], "sluice", "sessions", session, "records.log"))
    scheduler = process_of(session, "sluice-scheduler")
    screens = Screens(variant, session, environment, os.path.dirname(work.command[0]))
    try:
        before = processor_time(scheduler)
        work.run(environment, project, "--builders", 2, "build", "--session", session, "--detach", "all.bst")

        def finished():
            return [record for record in log.read() if record["type"] == "run.finished"]

        (record,) = common.wait_for(finished, DEADLINE) or sys.exit("bench: waited in vain for the run's end")
        if record["outcome"] != "success":
            sys.exit("bench: the build ended in " + record["outcome"])
        return processor_time(scheduler) - before, record["elapsed"] / 1e9
    finally:
        screens.close()
        work.run(environment, project, "session", "stop", session)


def main():
    arguments = common.parser(__doc__.split("\n", maxsplit=1)[0]).parse_args()
    with common.Workplace(arguments.sluice) as work:
        project = work.join("project")
        make_project(project, elements=arguments.elements)
        print("ui: %d elements and their base, %d rounds, %s" % (arguments.elements, arguments.rounds, arguments.sluice), flush=True)
        one_build(work, project, "none", 0)  # warms the page cache
        cpu, wall = {v: [] for v in VARIANTS}, {v: [] for v in VARIANTS}
        number = 0
        for round_number in range(arguments.rounds):
            for variant in VARIANTS if round_number % 2 == 0 else VARIANTS[::-1]:
                number += 1
                seconds, took = one_build(work, project, variant, number)
                cpu[variant].append(seconds)
                wall[variant].append(took)
        for variant in VARIANTS:
            print("%-8s scheduler: %s s; run: %s s"
                  % (variant, common.spread(cpu[variant], "%.4f"), common.spread(wall[variant])), flush=True)
        ratios = [statistics.median(cpu[v]) / statistics.median(cpu["none"]) for v in VARIANTS[1:]]
        common.close("ui", worst_ratio=max(ratios, key=lambda ratio: abs(ratio - 1)),
                     wall_stopped_ratio=statistics.median(wall["stopped"]) / statistics.median(wall["none"]),
                     elements=arguments.elements, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
