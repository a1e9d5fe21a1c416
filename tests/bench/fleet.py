#!/usr/bin/python3
"""What a fleet of runners costs the scheduler.

Its core, without sockets, has a thousand runners with sixteen builds each, which beat once a second; then more builds are
given as those end, each RESULT and each STARTED by itself. What is measured is the processor time of the core alone, and what it
publishes and journals is packed, but goes nowhere. `fleet_main.cc` is the program.
"""

import os
import statistics
import subprocess

import common


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(rounds=5)
    parser.add_argument("--runners", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=16, help="builds that each runner has")
    parser.add_argument("--seconds", type=int, default=30, help="of beats, which take no longer than the core needs for them")
    parser.add_argument("--jobs", type=int, default=20000)
    arguments = parser.parse_args()
    bench = os.path.join(os.path.dirname(arguments.sluice), "fleet_bench")
    print("fleet: %d runners with %d builds each, %d seconds of beats, then %d jobs more, %d rounds, %s"
          % (arguments.runners, arguments.slots, arguments.seconds, arguments.jobs, arguments.rounds, bench), flush=True)
    beats, jobs = [], []
    with common.Workplace(arguments.sluice) as work:
        for _ in range(arguments.rounds):
            said = subprocess.run([bench, work.path] + [str(getattr(arguments, name)) for name in ("runners", "slots", "seconds", "jobs")],
                                  stdout=subprocess.PIPE, check=True, text=True).stdout.split()
            beats.append(float(said[0]))
            jobs.append(float(said[1]))
            print("beats: %.2f %% of a core; a job: %.2f us" % (beats[-1], jobs[-1]), flush=True)
    print("beats: %s %% of a core; a job: %s us" % (common.spread(beats, "%.2f"), common.spread(jobs, "%.2f")), flush=True)
    common.close("fleet", heartbeat_core_percent=statistics.median(beats), dispatch_us=statistics.median(jobs))


if __name__ == "__main__":
    main()
