#!/usr/bin/python3
"""What renderers and collectors cost the scheduler: the same build with none, with each kind, and with all of them at once.

Each build runs in a session of its own from empty caches, started with `build --detach`, so that nobody looks on
but those that are measured; these are attached before it starts, and stay. Measured is the processor time of the
scheduler's threads from before the run to its end, and the run's time by its records. Rounds go through the variants
in turn, forwards and backwards. `all_ratio` is the median of `all` to that of `none`; `worst_ratio` the one furthest from 1.

With --instructions the scheduler runs in callgrind, and its instructions are counted rather than its time: neighbours on
the same core, which cost time and which all onlookers are, change nothing about these. What the kernel does isn't counted.
The scheduler takes far longer then, so that a run has some times as many statuses as it has really.
"""

import contextlib
import http.client
import os
import pty
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

import common
from make_project import make_project
from record_log import RecordLog

DEADLINE = 120
PIPED = ("plain", "reader", "github", "gitlab")
# What each variant attaches.
VARIANTS = {
    "none": (),
    "calm": ("calm",),
    "tty": ("tty",),
    "five": ("tty",) * 5,
    "stopped": ("stopped",),
    "deaf": ("deaf",),
    "web": ("web",),
    "metrics": ("metrics",),
    "collect": ("collect",),
    "all": ("calm", "tty", *PIPED, "web", "metrics", "collect"),
}


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


SCHEDULER = "sluice-scheduler"


class Counted:
    """A copy of the measured programs whose scheduler runs in callgrind. Figures are millions of instructions."""

    def __init__(self, work):
        given = os.path.dirname(os.path.realpath(shutil.which(work.command[0])))
        if not os.path.exists(os.path.join(given, SCHEDULER)):
            sys.exit("bench: --instructions is for the programs of a build, which lie together: there is no %s in %s" % (SCHEDULER, given))
        programs, libexec = work.join("counted", "bin"), work.join("counted", "libexec", "sluice")
        shutil.copytree(given, programs, symlinks=True)
        os.makedirs(libexec)
        os.rename(os.path.join(programs, SCHEDULER), os.path.join(libexec, SCHEDULER))
        self.counts = work.join("counted", "instructions")
        with open(os.path.join(programs, SCHEDULER), "w", encoding="ascii") as file:
            file.write('#!/bin/sh\nexec valgrind -q --tool=callgrind --callgrind-out-file=%s.%%p %s/%s "$@"\n' % (self.counts, libexec, SCHEDULER))
        os.chmod(os.path.join(programs, SCHEDULER), 0o755)
        work.command[0] = os.path.join(programs, "sluice")

    @staticmethod
    def control(action, pid):
        """callgrind answers as soon as it has begun its program."""
        def done():
            return subprocess.run(["callgrind_control", action, str(pid)], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode == 0

        common.wait_for(done, DEADLINE) or sys.exit("bench: callgrind_control %s %d gets no answer" % (action, pid))

    def start(self, pid):
        self.control("--zero", pid)
        return 0

    def read(self, pid):
        self.control("--dump", pid)
        with open("%s.%d.1" % (self.counts, pid), encoding="ascii", errors="replace") as file:
            return sum(int(total) for total in re.findall(r"^totals: (\d+)", file.read(), re.MULTILINE)) / 1e6


class Timed:
    """The time that a scheduler's threads take."""

    start = staticmethod(processor_time)
    read = staticmethod(processor_time)


class Onlookers:
    """The renderers and collectors of one variant, attached when this is made."""

    def __init__(self, names, session, environment, directory):
        self.session, self.environment, self.directory = session, environment, directory
        self.processes, self.masters, self.sockets, self.threads = [], [], [], []
        self.stop = threading.Event()
        for name in names:
            if name in ("calm", "tty", "stopped", "deaf"):
                self.screen(name)
            elif name in PIPED:
                self.start("sluice-renderer", "--session", session, "--style", name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            else:
                getattr(self, name)()

    def start(self, program, *arguments, **where):
        if program != "sluice-renderer":
            program, arguments = "sluice", (program, *arguments)
        process = subprocess.Popen([os.path.join(self.directory, program), *arguments], env=self.environment, stdin=subprocess.DEVNULL, **where)
        self.processes.append(process)
        return process

    def thread(self, target):
        self.threads.append(threading.Thread(target=target, daemon=True))
        self.threads[-1].start()

    def screen(self, name):
        master, slave = pty.openpty()
        process = self.start("sluice-renderer", "--session", self.session, "--style", "calm" if name == "calm" else "tty",
                             "--width", "120", "--height", "40", stdout=slave, stderr=slave)
        os.close(slave)
        self.masters.append(master)
        # A renderer that has drawn its first frame is attached.
        os.read(master, 1)
        if name == "stopped":
            process.send_signal(signal.SIGSTOP)
        elif name != "deaf":
            # The terminal is read by a process of its own, which does as little as can be.
            self.processes.append(subprocess.Popen(["cat"], stdin=master, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def address(self, process):
        return process.stdout.readline().split()[0]

    def web(self):
        """A page that is open: its stream of records, and that of its status."""
        server = self.start("web", self.session, "--no-open", stdout=subprocess.PIPE, text=True)
        parts = urllib.parse.urlsplit(self.address(server))
        first = http.client.HTTPConnection(parts.netloc, timeout=DEADLINE)
        first.request("GET", parts.path + "?" + parts.query)
        cookie = first.getresponse().headers["Set-Cookie"].split(";")[0]
        stream = http.client.HTTPConnection(parts.netloc, timeout=DEADLINE)
        stream.request("GET", "/s/%s/events" % self.session, headers={"Cookie": cookie})
        answer = stream.getresponse()
        if answer.status != 200 or not answer.readline():
            sys.exit("bench: the page has no stream: %d" % answer.status)
        self.sockets += [first, stream]
        self.thread(lambda: self.drain(answer.read1))

    def metrics(self):
        """Scraped each second."""
        url = self.address(self.start("metrics", "--listen", "127.0.0.1:0", stdout=subprocess.PIPE, text=True))

        def scrape():
            with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
                return self.session in answer.read().decode()

        common.wait_for(scrape, DEADLINE) or sys.exit("bench: %s has nothing of the session" % url)

        def scrape_on():
            while not self.stop.wait(1):
                scrape()

        self.thread(scrape_on)

    def collect(self):
        """Records in JSON, to a server that reads them and does no more."""
        server = socket.create_server(("127.0.0.1", 0))
        self.sockets.append(server)
        arrived = threading.Event()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        while connection.recv(1 << 16):
                            arrived.set()

        self.thread(serve)
        self.start("collect", "ndjson", "tcp://127.0.0.1:%d" % server.getsockname()[1], "--session", self.session)
        if not arrived.wait(DEADLINE):
            sys.exit("bench: no record was collected")

    @staticmethod
    def drain(read):
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while read(1 << 16):
                pass

    def close(self):
        self.stop.set()
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        for each in self.sockets:
            if isinstance(each, socket.socket):
                # accept() goes on waiting when the socket is only closed.
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            each.close()
        for master in self.masters:
            os.close(master)
        for thread in self.threads:
            thread.join(DEADLINE)


def one_build(work, project, variant, number, meter):
    environment = dict(work.home("home-%d" % number), TERM="xterm")
    session = work.run(environment, project, "session", "start")[1].strip()
    log = RecordLog(os.path.join(environment["XDG_STATE_HOME"], "sluice", "sessions", session, "records.log"))
    scheduler = common.pid_of(SCHEDULER, session)
    onlookers = Onlookers(VARIANTS[variant], session, environment, os.path.dirname(work.command[0]))
    try:
        before = meter.start(scheduler)
        work.run(environment, project, "--builders", 2, "build", "--session", session, "--detach", "all.bst")

        def finished():
            return [record for record in log.read() if record["type"] == "run.finished"]

        (record,) = common.wait_for(finished, DEADLINE) or sys.exit("bench: waited in vain for the run's end")
        if record["outcome"] != "success":
            sys.exit("bench: the build ended in " + record["outcome"])
        return meter.read(scheduler) - before, record["elapsed"] / 1e9
    finally:
        onlookers.close()
        work.run(environment, project, "session", "stop", session)


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--variants", default=",".join(VARIANTS), help="of these only, none among them: %(default)s")
    parser.add_argument("--instructions", action="store_true", help="count the scheduler's instructions rather than its time")
    arguments = parser.parse_args()
    chosen = arguments.variants.split(",")
    if not set(chosen) <= set(VARIANTS) or "none" not in chosen or len(chosen) < 2:
        parser.error("--variants: none, and others of " + ", ".join(VARIANTS))
    if arguments.instructions and shutil.which("callgrind_control") is None:
        sys.exit("bench: --instructions needs valgrind")
    with common.Workplace(arguments.sluice) as work:
        project = work.join("project")
        make_project(project, elements=arguments.elements)
        print("ui: %d elements and their base, %d rounds, %s" % (arguments.elements, arguments.rounds, arguments.sluice), flush=True)
        meter, unit = (Counted(work), "million instructions") if arguments.instructions else (Timed, "s")
        one_build(work, project, "none", 0, meter)  # warms the page cache
        cpu, wall = {v: [] for v in chosen}, {v: [] for v in chosen}
        number = 0
        for round_number in range(arguments.rounds):
            for variant in chosen if round_number % 2 == 0 else chosen[::-1]:
                number += 1
                seconds, took = one_build(work, project, variant, number, meter)
                cpu[variant].append(seconds)
                wall[variant].append(took)
        base = statistics.median(cpu["none"])
        ratios = {variant: statistics.median(cpu[variant]) / base for variant in chosen if variant != "none"}
        for variant in chosen:
            print("%-8s scheduler: %s %s, %.3f of none; run: %s s"
                  % (variant, common.spread(cpu[variant], "%.4f"), unit, ratios.get(variant, 1), common.spread(wall[variant])), flush=True)
        figures = {variant + "_ratio": ratios[variant] for variant in ("all",) if variant in ratios}
        common.close("ui", worst_ratio=max(ratios.values(), key=lambda ratio: abs(ratio - 1)), **figures,
                     elements=arguments.elements, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
