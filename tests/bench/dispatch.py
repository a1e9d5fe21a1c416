#!/usr/bin/python3
"""What a job costs that does nothing, beside bare ZeroMQ messages and make.

A session's scheduler gives jobs to one, two and eight runners, real processes over their real sockets: each job is given,
leased and journalled, its result kept in the runner's outbox, journalled and acknowledged. What is published: the run's records,
ten times a second the counts of its queues, and records of the jobs that fail; such brief jobs have no others. `raw` is
a ROUTER that gives as many messages of a JOB's size to as many DEALERs, which answer with a RESULT's. The last part runs /bin/true
without a sandbox, beside `make -j2`.
"""

import os
import statistics
import subprocess
import sys
import time

import common

BUILDERS = 2


class Line:
    """A program that prints lines."""

    def __init__(self, *argv, **options):
        self.process = subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, text=True, **options)

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            sys.exit("bench: %s ended with status %d" % (self.process.args[1], self.process.wait()))
        return text.strip()

    def end(self):
        if self.process.wait() != 0:
            sys.exit("bench: %s ended with status %d" % (self.process.args[1], self.process.returncode))


def cpu_ns(pid):
    """Processor time (ns) of all threads of a process, also those that ended meanwhile."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def resident(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Session(common.Session):
    """One with real runners."""

    def __init__(self, work, name):
        super().__init__(work, name)
        self.runners = []

    def start_runners(self, count):
        for number in range(count):
            self.runners.append(subprocess.Popen(
                [os.path.join(self.programs, "sluice-runner"), "--session", self.id, "--instance", "runner-%d" % (number + 2), "--epoch", "1"],
                env=self.environment, stdin=subprocess.DEVNULL))

    def run(self, bench, verb, snapshot, count):
        return Line(bench, "run", self.id, verb, snapshot, count, env=self.environment)

    def close(self):
        for runner in self.runners:
            runner.terminate()
        for runner in self.runners:
            runner.wait()
        super().close()


class Dispatch:
    def __init__(self, work, bench):
        self.work, self.bench = work, bench
        self.names = 0

    def session(self):
        self.names += 1
        return Session(self.work, "home-%d" % self.names)

    def snapshot(self, count):
        file = self.work.join("snapshot-%d" % count)
        if not os.path.exists(file):
            subprocess.run([self.bench, "snapshot", file, str(count), str(BUILDERS)], check=True)
        return file

    def jobs(self, verb, count, runners):
        """(jobs a second, microseconds of the scheduler's CPU for one)."""
        snapshot = self.snapshot(count)
        session = self.session()
        session.start_runners(runners)
        self.wait_for_runners(session, runners)
        before = cpu_ns(session.scheduler)
        run = session.run(self.bench, verb, snapshot, count)
        run.line()
        loaded = cpu_ns(session.scheduler)  # the snapshot is read before a run is accepted, and the first jobs are given
        seconds = int(run.line()) / 1e9
        spent = cpu_ns(session.scheduler)
        run.end()
        session.close()
        return count / seconds, (spent - loaded) / 1000 / count, (loaded - before) / 1000 / count

    def wait_for_runners(self, session, count):
        """Waits until all runners have said HELLO, so that no other is started for the first job."""
        log = os.path.join(session.environment["XDG_STATE_HOME"], "sluice", "sessions", session.id)
        if not common.wait_for(lambda: sum(name.startswith("outbox-") for name in os.listdir(log)) >= count, 30):
            sys.exit("bench: not all of %d runners came" % count)

    def queued(self, count):
        """Bytes that the scheduler keeps for each job that waits; nobody takes the jobs."""
        session = self.session()
        before = resident(session.scheduler)
        run = session.run(self.bench, "empty", self.snapshot(count), count)
        self.work.run(session.environment, self.work.path, "session", "suspend", session.id)
        run.line()
        after = resident(session.scheduler)
        run.process.kill()
        run.process.wait()
        session.close()
        return (after - before) / count

    def raw(self, count, runners, credit, batch):
        at = "ipc://" + self.work.join("raw")
        router = Line(self.bench, "router", at, count, credit, batch, runners)
        router.line()
        dealers = [subprocess.Popen([self.bench, "dealer", at]) for _ in range(runners)]
        seconds = int(router.line()) / 1e9
        router.end()
        for dealer in dealers:
            dealer.kill()
            dealer.wait()
        return count / seconds

    def make(self, count):
        directory = self.work.join("make")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "Makefile"), "w", encoding="ascii") as file:
            names = ["t%d" % number for number in range(count)]
            file.write(".PHONY: all %s\nall: %s\n%s:\n\t@/bin/true\n" % (" ".join(names), " ".join(names), " ".join(names)))
        began = time.perf_counter()
        subprocess.run(["make", "-s", "-j2", "-C", directory], check=True)
        return count / (time.perf_counter() - began)


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(elements=200000, rounds=3)
    parser.add_argument("--spawned", type=int, default=3000, help="jobs that run /bin/true")
    parser.add_argument("--queued", type=int, default=1000000, help="jobs of which the memory is measured, and a half and a quarter as many")
    arguments = parser.parse_args()
    bench = os.path.join(os.path.dirname(arguments.sluice), "dispatch_bench")
    count = arguments.elements
    with common.Workplace(arguments.sluice) as work:
        dispatch = Dispatch(work, bench)
        sizes = subprocess.run([bench, "size"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
        print("dispatch: %d jobs, a JOB of %s bytes, a RESULT of %s, %d rounds, %s" % (count, *sizes, arguments.rounds, arguments.sluice), flush=True)
        best, costs, raws = {}, {}, {}
        for _ in range(arguments.rounds):
            for runners in (1, 2, 8):
                rate, cost, loading = dispatch.jobs("empty", count, runners)
                raw = dispatch.raw(count, runners, 144, 16)
                print("%d runner%s: %.0f jobs a second, %.2f us of the scheduler's CPU a job (and %.2f to read the snapshot); raw: %.0f a second"
                      % (runners, "s" if runners > 1 else "", rate, cost, loading, raw), flush=True)
                for kept, figure in ((best, rate), (costs, cost), (raws, raw)):
                    kept.setdefault(runners, []).append(figure)
        trues, makes = [], []
        for _ in range(arguments.rounds):
            trues.append(dispatch.jobs("spawn", arguments.spawned, 1)[0])
            makes.append(dispatch.make(arguments.spawned))
            print("/bin/true: %.0f jobs a second; make -j2: %.0f" % (trues[-1], makes[-1]), flush=True)
        sizes = {}
        for queued in (arguments.queued // 4, arguments.queued // 2, arguments.queued):
            sizes[queued] = dispatch.queued(queued)
            print("%d queued jobs: %.0f bytes each" % (queued, sizes[queued]), flush=True)
        most = max(best, key=lambda runners: statistics.median(best[runners]))
        common.close("dispatch", jobs_per_second=statistics.median(best[most]), scheduler_us=statistics.median(costs[most]),
                     raw_per_second=statistics.median(raws[most]),
                     true_ratio=statistics.median(t / m for t, m in zip(trues, makes)), bytes_per_queued_job=sizes[arguments.queued],
                     runners=most, jobs=count, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
