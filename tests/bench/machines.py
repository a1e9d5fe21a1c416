#!/usr/bin/python3
"""What it costs to build on other machines.

Three hosts (namespaces joined by a switch, tests/support/hosts.py) share no files: the session's, and two with a runner each. They
build examples/distro, whose sources examples/distro/fetch has fetched, and one host of as many slots builds it too, from empty stores, in turns.
The artifacts' digests are compared. All hosts share this machine's processors, so that `ratio` (one host's time to the machines') is what is
lost on the way, and not what more machines would gain. `moved` are the bytes that the runners were sent and have sent.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import common
from hosts import Hosts, why_not

HERE = os.path.dirname(os.path.abspath(__file__))
DISTRO = os.path.join(HERE, "../../examples/distro")
SHOWN = "%{name} %{full-key} %{artifact-cas-digest}"
HOUR = 3600


class Fleet:
    """Hosts of which the first has the project."""

    def __init__(self, count, arguments, downloads):
        self.sluice = arguments.sluice
        self.hosts = Hosts(count, visible=[os.path.dirname(os.path.realpath(arguments.sluice)), downloads])
        self.targets = arguments.targets

    def __enter__(self):
        self.hosts.__enter__()
        self.hosts[0].copy(os.path.realpath(DISTRO), "/root/project")
        return self

    def __exit__(self, *error):
        self.hosts.__exit__(*error)

    def on(self, host, *words):
        cwd = "/root/project" if host == 0 else "/root"
        return self.hosts[host].run([self.sluice, "--no-interactive", *words], cwd=cwd, timeout=HOUR).stdout

    def builders(self, number):
        self.hosts[0].write("/root/.config/buildstream.conf", "scheduler:\n  builders: %d\n" % number)

    def build(self, *words):
        started = time.monotonic()
        self.on(0, "build", *words, *self.targets)
        return time.monotonic() - started

    def artifacts(self):
        return sorted(self.on(0, "show", "--format", SHOWN, *self.targets).splitlines())


def one_host(arguments, downloads):
    with Fleet(1, arguments, downloads) as fleet:
        fleet.builders(1 + 2 * arguments.slots)
        return fleet.build(), fleet.artifacts()


def three_hosts(arguments, downloads):
    with Fleet(3, arguments, downloads) as fleet:
        fleet.builders(1)
        session = fleet.on(0, "session", "start", "--listen", "tcp://%s:0" % fleet.hosts[0].address, "--join-files", "/root").split()[-1]
        for host in (1, 2):
            fleet.hosts[host].write("/root/runner.json", fleet.hosts[0].read("/root/runner.json"), 0o600)
            fleet.hosts[host].popen([fleet.sluice, "runner", "join", "/root/runner.json", "--slots", str(arguments.slots)],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def runners():
            return [one for one in json.loads(fleet.on(0, "runner", "list", "--json", session)) if one["remote"]]
        if not common.wait_for(lambda: len(runners()) == 2, 60):
            sys.exit("bench: the runners have not joined")
        seconds = fleet.build("--session", session)
        done = {one["name"]: one["done"] for one in runners()}
        moved = sum(sum(fleet.hosts.traffic(host)) for host in (1, 2))
        return seconds, fleet.artifacts(), done, moved


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(rounds=1)
    parser.add_argument("--slots", type=int, default=1, help="builds at once of each runner; one host has two of these and one more")
    parser.add_argument("targets", nargs="*", default=["image.bst", "check.bst"])
    arguments = parser.parse_args()
    if why_not():
        sys.exit("bench: %s" % why_not())
    downloads = os.path.join(os.environ.get("SLUICE_DOWNLOADS") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                                                                                "sluice/downloads"))
    subprocess.run([os.path.join(DISTRO, "fetch"), "--quiet"], check=True)
    ones, threes, moved = [], [], []
    for _ in range(arguments.rounds):
        seconds, here = one_host(arguments, downloads)
        ones.append(seconds)
        print("one host with %d slots: %.1f s" % (1 + 2 * arguments.slots, seconds), flush=True)
        seconds, there, done, bytes_moved = three_hosts(arguments, downloads)
        threes.append(seconds)
        moved.append(bytes_moved)
        print("three hosts: %.1f s; %s; %.1f MB moved" % (seconds, ", ".join("%s did %d" % one for one in sorted(done.items())), bytes_moved / 1e6),
              flush=True)
        differing = [line for line in there if line not in here]
        print("%d artifacts, %d differ%s" % (len(there), len(differing), "".join("\n  " + line for line in differing)), flush=True)
    common.close("machines", one=statistics.median(ones), three=statistics.median(threes),
                 ratio=statistics.median(ones) / statistics.median(threes), moved_mb=statistics.median(moved) / 1e6)


if __name__ == "__main__":
    main()
