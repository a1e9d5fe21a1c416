#!/usr/bin/python3
"""What a fleet of runners costs a session's scheduler and broker.

First the scheduler's core, without sockets: a thousand runners with sixteen builds each, which beat once a second; then more
builds are given as those end, each RESULT and each STARTED by itself. What is measured is the processor time of the core alone, and
what it publishes and journals is packed, but goes nowhere.

Then a whole session, with the real scheduler and broker, and all runners in one process, each with keys of its own, and the core, the
outbox and the three links over TCP of a real one: they are enrolled and join all at once; they are idle, and what heartbeats cost is measured; they do brief jobs, while a
tenth of them leaves each second without a word and comes again a second later, and a `status/full/` reader is attached.
`fleet_main.cc` is the program.
"""

import os
import statistics
import subprocess

import common


def core(bench, work, arguments):
    """(percent of a core for beats, microseconds for a job)."""
    said = subprocess.run([bench, "core", work.path] + [str(getattr(arguments, name)) for name in ("runners", "slots", "seconds", "core_jobs")],
                          stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    return float(said[0]), float(said[1])


def crowd(bench, work, arguments, number):
    """The figures of a session with all runners, by name."""
    session = common.Session(work, "home-%d" % number, *([] if arguments.ipc else ["--listen", "tcp://127.0.0.1:0"]))
    join = "" if arguments.ipc else os.path.join(session.environment["XDG_STATE_HOME"], "sluice", "sessions", session.id, "runner.json")
    directory = work.join("crowd-%d" % number)
    os.makedirs(directory)
    try:
        said = subprocess.run([bench, "crowd", session.id, directory] + [str(getattr(arguments, name)) for name in ("runners", "slots", "seconds", "jobs", "churn")]
                              + [str(session.scheduler), str(common.pid_of("sluice-broker", session.id)), join],
                              stdout=subprocess.PIPE, check=True, text=True, env=session.environment).stdout
    finally:
        session.close()
    return {name: float(value) for name, _, value in (word.partition("=") for word in said.split())}


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(rounds=3)
    parser.add_argument("--runners", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=16, help="builds that each runner can do at once")
    parser.add_argument("--seconds", type=int, default=20, help="of beats of idle runners; of the core's, which take no longer than it needs for them")
    parser.add_argument("--core-jobs", type=int, default=20000, help="builds that the core gives")
    parser.add_argument("--jobs", type=int, default=600000, help="empty jobs of the whole session")
    parser.add_argument("--ipc", action="store_true", help="runners on ipc instead of TCP with CURVE")
    parser.add_argument("--churn", type=float, default=0.1, help="the part of the runners that leaves each second")
    arguments = parser.parse_args()
    bench = os.path.join(os.path.dirname(arguments.sluice), "fleet_bench")
    print("fleet: %d runners of %d slots, %d seconds of beats, then %d jobs, %d rounds, load %.1f, %s"
          % (arguments.runners, arguments.slots, arguments.seconds, arguments.jobs, arguments.rounds, os.getloadavg()[0], bench), flush=True)
    beats, costs, crowds = [], [], []
    with common.Workplace(arguments.sluice) as work:
        for number in range(arguments.rounds):
            beat, cost = core(bench, work, arguments)
            beats.append(beat)
            costs.append(cost)
            print("the core alone: beats: %.2f %% of a core; a build: %.2f us" % (beat, cost), flush=True)
            figures = crowd(bench, work, arguments, number)
            crowds.append(figures)
            print("joined in %(join_seconds).2f s; idle: scheduler %(scheduler_idle).2f %%, broker %(broker_idle).2f %% of a core; "
                  "%(jobs_per_second).0f jobs a second, all done after %(all_done_seconds).1f s, %(scheduler_job_us).2f us of the scheduler each, broker %(broker_work).1f %%; "
                  "%(left).0f left, %(full_events).0f status/full/ events" % figures, flush=True)
    print("the core alone: beats: %s %% of a core; a build: %s us" % (common.spread(beats, "%.2f"), common.spread(costs, "%.2f")), flush=True)

    def median(name):
        return statistics.median(figures[name] for figures in crowds)
    common.close("fleet", runners=arguments.runners, jobs_per_second=median("jobs_per_second"), scheduler_core_percent=median("scheduler_idle"),
                 broker_core_percent=median("broker_idle"), join_seconds=median("join_seconds"), core_beats_percent=statistics.median(beats),
                 core_build_us=statistics.median(costs), scheduler_job_us=median("scheduler_job_us"))


if __name__ == "__main__":
    main()
