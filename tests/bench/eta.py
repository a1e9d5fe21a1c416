#!/usr/bin/python3
"""How well the time that is left of a build is known: six builds of the same project, of which the first has no history.

Elements, in layers, sleep or compute for 0.1 to 4 s, so that builders wait for processors now and then. Each status of the five
builds with history says what is left (`remaining`, `low`, `high`); what was left in truth is known at the end. The figure is the
median of |expected - real| / real over all statuses of these builds but those of a build's last second; `first` is that of the
first status of each build alone, `within` the share of statuses whose real end lay between `low` and `high`, `fresh` the
median of the build without history, from the first status on that has an estimate.
"""

import os
import random
import statistics
import sys
import threading

import common
from make_project import make_root
from record_log import RecordLog

DEADLINE = 600
BUILDERS = 4


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make(project, elements, seed):
    chance = random.Random(seed)
    write(os.path.join(project, "project.conf"), "name: eta\nmin-version: 2.0\nelement-path: elements\n")
    make_root(os.path.join(project, "root"), ("sh", "sleep"))
    write(os.path.join(project, "elements/base.bst"), "kind: import\nsources:\n- kind: local\n  path: root\n")
    layers = max(2, elements // 8)
    names = ["e%03d.bst" % number for number in range(elements)]
    for number, name in enumerate(names):
        below = [other for at, other in enumerate(names) if at % layers == number % layers - 1]
        needs = ["base.bst"] + chance.sample(below, min(len(below), 2))
        seconds = min(4, 0.1 + chance.lognormvariate(-0.3, 0.9))
        command = "sleep %.2f" % seconds
        if chance.random() < 0.5:
            command = "i=0; while [ $i -lt %d ]; do i=$((i+1)); done" % (seconds * 400000)
        write(os.path.join(project, "elements", name),
              "kind: manual\nbuild-depends: [%s]\nvariables: {strip-binaries: ''}\nconfig:\n  build-commands:\n  - |\n    %s\n" % (", ".join(needs), command))
    write(os.path.join(project, "elements/all.bst"), "kind: stack\ndepends: [%s]\n" % ", ".join(names))
    return names


class Statuses(threading.Thread):
    """All statuses of a session."""

    def __init__(self, runtime):
        super().__init__(daemon=True)
        import msgpack
        import zmq
        self.unpack = msgpack.unpackb
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"status/")
        self.socket.setsockopt(zmq.RCVTIMEO, 200)
        self.socket.connect("ipc://%s/live-out" % runtime)
        self.again = zmq.Again
        self.seen, self.over = [], False
        self.start()

    def run(self):
        while not self.over:
            try:
                topic, body = self.socket.recv_multipart()
            except self.again:
                continue
            if topic == b"status/":
                self.seen.append(self.unpack(body))
        self.socket.close()


def one_build(work, environment, project):
    session = work.run(environment, project, "session", "start")[1].strip()
    state = os.path.join(environment["XDG_STATE_HOME"], "sluice", "sessions", session)
    with open(os.path.join(state, "runtime"), encoding="utf-8") as file:
        statuses = Statuses(file.read().strip())
    log = RecordLog(os.path.join(state, "records.log"))
    try:
        work.run(environment, project, "--builders", BUILDERS, "build", "--session", session, "--detach", "all.bst")
        found = common.wait_for(lambda: {record["type"]: record for record in log.read()}.get("run.finished"), DEADLINE)
        if not found or found["outcome"] != "success":
            sys.exit("bench: the build hasn't come to a good end: %s" % found)
    finally:
        statuses.over = True
        statuses.join()
        work.run(environment, project, "session", "stop", session)
    left = [((found["time"] - event["time"]) / 1e9, event["estimate"]) for event in statuses.seen if "estimate" in event]
    return [(real, estimate) for real, estimate in left if real > 1], found["elapsed"] / 1e9


def errors(said):
    return [abs(estimate["remaining"] / 1e9 - real) / real for real, estimate in said]


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    elements = min(arguments.elements, 60)
    with common.Workplace(arguments.sluice) as work:
        project = work.join("project")
        make(project, elements, arguments.seed)
        environment = work.home("home")
        all_said, firsts, fresh = [], [], []
        for number in range(arguments.rounds + 1):
            said, seconds = one_build(work, environment, project)
            if number == 0:
                fresh = errors(said)
                print("without history: %.1f s, median error %.3f" % (seconds, statistics.median(fresh)), flush=True)
            else:
                all_said += said
                firsts += errors(said[:1])
                print("build %d: %.1f s, %d statuses, median error %.3f, the first one's %.3f"
                      % (number, seconds, len(said), statistics.median(errors(said)), firsts[-1]), flush=True)
            work.run(environment, project, "artifact", "delete", "--deps", "all", "all.bst")
        within = sum(estimate["low"] / 1e9 <= real <= estimate["high"] / 1e9 for real, estimate in all_said) / len(all_said)
        common.close("eta", error=statistics.median(errors(all_said)), first=statistics.median(firsts), within=within,
                     fresh=statistics.median(fresh), elements=elements, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
