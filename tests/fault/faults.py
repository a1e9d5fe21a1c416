"""Something happens to the processes of a build of 60 elements at a random instant:

    kill   one of them is killed with SIGKILL
    stop   one is stopped with SIGSTOP for several leases, then continued
    all    all are killed; then `sluice session resume`, or the command again

A run is named by what happens, the process and a seed; the seed decides the instant (after so many records, or after a
part of the time that an undisturbed build takes), and which of several processes it is. Checked is:

- whoever is said to be replaceable (GOES_ON) was replaced, and whoever was stopped did no harm: the build succeeded by itself;
- after the command was run again, if it had to be, the artifacts are those of an undisturbed build;
- nothing that had finished was built twice, over all sessions;
- every object of the store is what its name says, every artifact whole;
- a further build has nothing to do;
- no process, mount, socket is left, and once another session had jobs no temporary file or scratch directory.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from record_log import RecordLog, builds, records  # noqa: E402
from sluice_test import TIMEOUT, SluiceTest  # noqa: E402
from workload import BASE, CONF, busybox_base, manual, spin  # noqa: E402

# What can be killed: the names of the processes. The last two are one of what the runner has below it
# at that instant: its own processes, and those in a sandbox.
VICTIMS = {
    "session": ("sluice-session",),
    "broker": ("sluice-broker",),
    "loader": ("sluice-loader",),
    "scheduler": ("sluice-scheduler",),
    "runner": ("sluice-runner",),
    "renderer": ("sluice-renderer",),
    "cli": ("sluice",),
    "job": ("sluice-job",),
    "sandbox": ("bwrap", "sh", "busybox"),
}
GOES_ON = ("broker", "loader", "scheduler", "runner", "renderer", "job")
KINDS = [(how, process) for how in ("kill", "stop") for process in VICTIMS] + [("all", "processes")]
# Instead of ten seconds: a stop outlasts several. What is silent for so long on a busy machine is fenced though
# it wasn't stopped; that has to do no harm either, so that nothing is left out here for it.
LEASE = 2.0
STOP = 2.5 * LEASE


def project():
    """60 elements: layers of eight, each upon one or two of the layer below; some take longer than others."""
    files = {
        "project.conf": CONF,
        "elements/base.bst": BASE,
        "elements/data.bst": "kind: import\nsources:\n- kind: local\n  path: files/data\n",
        "elements/six.bst": manual("six", depends=["data.bst"]),
        "elements/last.bst": "kind: import\nsources:\n- kind: local\n  path: files/last\n",
        "files/last/usr/share/last": "last\n",
        **{"files/data/usr/share/data/%d" % n: "%d\n" % n * 1000 * n for n in range(8)},
    }
    names = ["e%02d" % n for n in range(56)]
    for n, name in enumerate(names):
        below = {names[n - 8], names[n - 8 + 3 * n % 8]} if n >= 8 else set()
        files["elements/%s.bst" % name] = manual(name, spin(30000 if n % 7 == 0 else 1000),
                                                 depends=sorted(b + ".bst" for b in below if b < name))
    top = "".join("- %s.bst\n" % name for name in [*names[-8:], "six", "data"])
    files["elements/image.bst"] = "kind: compose\nbuild-depends:\n" + top
    return files


PROJECT = project()


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """{number: value} of a protobuf message; a field's last value counts."""
    found, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            found[tag >> 3], at = varint(data, at)
        else:
            assert tag & 7 == 2, "neither a number nor bytes"
            length, at = varint(data, at)
            found[tag >> 3], at = data[at:at + length], at + length
    return found


def parent_of(pid):
    """The parent of a process; 0 when it is gone."""
    with contextlib.suppress(OSError):
        with open("/proc/%d/stat" % pid, "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    return 0


class Fault(SluiceTest):
    """Gives run(); no test by itself."""

    # What is hit is processes. Where it matters what a disk does, a test has one.
    IN_MEMORY = True
    ELEMENTS = 60
    FILES = PROJECT
    undisturbed = None  # (artifacts, seconds, number of records), of one build for all seeds

    def setUp(self):
        super().setUp()
        self.at = self.project(self.FILES)
        self.env["SLUICE_JOBS_LEASE_MS"] = str(int(LEASE * 1000))
        busybox_base(self.at)
        for n in range(8):  # times and modes are no part of what is built
            os.chmod(os.path.join(self.at, "files/data/usr/share/data/%d" % n), 0o644)

    def use(self, name):
        """A state, a cache and sockets of their own."""
        top = os.path.join(self.directory, name)
        self.state = os.path.join(top, "state")
        self.cachedir = os.path.join(top, "cache", "buildstream")
        for variable, folder in (("XDG_STATE_HOME", "state"), ("XDG_CACHE_HOME", "cache"), ("XDG_RUNTIME_DIR", "run")):
            self.env[variable] = os.path.join(top, folder)
            os.makedirs(self.env[variable], mode=0o700)

    def build(self):
        return self.start("--builders", 2, "--no-interactive", "build", "image.bst", cwd=self.at)

    def artifacts(self):
        """{ref: what it holds} of all artifacts: success, files, public data."""
        found = {}
        top = os.path.join(self.cachedir, "artifacts", "refs")
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    artifact = fields(file.read())
                found[os.path.relpath(path, top)] = tuple(value.hex() if isinstance(value, bytes) else value
                                                      for value in map(artifact.get, (2, 8, 10)))
        return found

    def measure(self):
        if Fault.undisturbed is None:
            self.use("u")
            began = time.monotonic()
            build = self.build()
            self.assertEqual(build.wait(), 0, build)
            seconds = time.monotonic() - began
            Fault.undisturbed = (self.artifacts(), seconds, len(records(self.session_directory())))
            self.assertEqual(len({os.path.dirname(ref) for ref in Fault.undisturbed[0]}), self.ELEMENTS)
        return Fault.undisturbed

    def victims(self, process, build):
        if process == "cli":
            return [build.pid] if build.poll() is None else []
        found = [pid for pid, name in self.processes().items() if name in VICTIMS[process]]
        if process == "job":  # what a job forked and hasn't become bubblewrap yet is one in the sandbox
            found = [pid for pid in found if self._program_of(parent_of(pid)) not in VICTIMS[process]]
        return found

    def wait_for_instant(self, build, chance, seconds, count):
        """Waits for a random instant of the build; returns what instant that is."""
        deadline = time.monotonic() + TIMEOUT
        if chance.random() < 0.5:
            after = chance.uniform(0, seconds)
            instant = "after %.3f s" % after
            began = time.monotonic()
            due = lambda: time.monotonic() - began >= after
        else:
            after = chance.randint(1, count)
            instant = "after record %d" % after
            seen = []
            logs = []

            def due():
                if not logs and self.sessions():
                    logs.append(RecordLog(os.path.join(self.session_directory(), "records.log")))
                seen.extend(log for reader in logs for log in reader.read())
                return len(seen) >= after
        while not due() and build.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        return instant

    def hit(self, build, process, chance, number):
        """Signals one of them; one that isn't there yet (the runner) is waited for. (its pid, its name), or (None, None)."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            pids = self.victims(process, build)
            if pids:
                pid = chance.choice(sorted(pids))
                name = self._program_of(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                    return pid, name
            if build.poll() is not None:
                break
            time.sleep(0.001)
        return None, None

    def stop_for_leases(self, pid):
        time.sleep(STOP)  # the stop itself is the test: nothing is waited for
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def kill_everything(self):
        """All at once: none may see that another is gone (a supervisor without its command ends the session in order,
        and then there is nothing to resume). So all are stopped first; each twice, for what was started meanwhile."""
        names = {}
        for number in (signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL, signal.SIGKILL):
            for pid, name in self.processes().items():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                    names[pid] = name
        return len(names)

    def fault(self, how, process, seed):
        """Runs one; returns (what happened, [what is wrong], whether somebody was hit)."""
        expected, seconds, count = self.measure()
        chance = random.Random("%s %s %d" % (how, process, seed))
        self.use("%s%s%d" % (how[0], process[0], seed))
        wrong = []
        build = self.build()
        instant = self.wait_for_instant(build, chance, seconds, count)
        name = None
        if how == "all":
            ended = build.poll() is not None
            number = self.kill_everything()
            name = None if ended else "%d processes" % number
        else:
            pid, name = self.hit(build, process, chance, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
            if pid is not None and how == "stop":
                self.stop_for_leases(pid)
        code = build.wait()
        story = "%s of %s seed=%d %s: %s, status %s" % (how, process, seed, instant, name or "had ended before", code)
        if code != 0 and (how == "stop" or how == "kill" and process in GOES_ON):
            wrong.append("the build ended with status %s: %s" % (code, self.errors() or build.stderr[-2000:]))
        at_once = code != 0 and how == "kill" and chance.random() < 0.5
        if not at_once:
            self.wait_for_the_end(wrong)
        if code != 0 and how == "all" and chance.random() < 0.5 and self.resumable():
            resumed = self.sluice("session", "resume", self.sessions()[-1], cwd=self.at, status=None)
            story += ", resumed: status %s" % resumed.code
            self.wait_for_the_end(wrong)
            if resumed.code != 0:
                wrong.append("resumed it ended with status %s" % resumed.code)
        elif code != 0:
            story += ", again " + ("at once" if at_once else "later")
            # What a process in the sandbox was killed by can't be known: to the build its command failed.
            retry = ["--retry-failed"] if how == "all" or process == "sandbox" else []
            again = self.sluice("--builders", 2, "build", *retry, "image.bst", cwd=self.at, status=None)
            if again.code != 0:
                wrong.append("run again it ended with status %s" % again.code)
            self.wait_for_the_end(wrong)
        self.check_result(expected, wrong)
        self.check_builds(wrong)
        nothing = self.sluice("build", "image.bst", cwd=self.at, status=None)
        if nothing.code != 0 or not re.search(r"Build Queue: +processed 0, skipped \d+, failed 0", nothing.stderr):
            wrong.append("a further build had something to do")
        self.wait_for_the_end(wrong)
        # What a session that was killed left on the disk is removed by the next that has jobs.
        self.sluice("build", "last.bst", cwd=self.at)
        self.wait_for_the_end(wrong)
        self.check_rest(wrong)
        return story, wrong, name is not None

    def errors(self):
        """What the last session says of what went wrong."""
        return "; ".join("%s: %s" % (r.get("element", {}).get("name"), r["error"]) for r in records(self.session_directory())
                         if r["type"] == "error")

    def resumable(self):
        """Whether a run had begun, so that there is something to resume; otherwise the command is run again."""
        return bool(self.sessions()) and any(r["type"] == "run.started" for r in records(self.session_directory()))

    def wait_for_the_end(self, wrong, timeout=30):
        deadline = time.monotonic() + timeout
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.005)
        left = self.processes()
        if left:
            wrong.append("processes are left: %s" % sorted(left.values()))
            self._kill_all()

    def check_result(self, expected, wrong):
        actual = self.artifacts()
        for ref in sorted(set(expected) | set(actual)):
            if ref not in actual:
                wrong.append("artifact %s is missing" % ref)
            elif ref not in expected:
                wrong.append("artifact %s is too much" % ref)
            elif actual[ref] != expected[ref]:
                wrong.append("artifact %s differs" % ref)
        check = subprocess.run([self.program("sluice-store-check"), self.cachedir], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False, timeout=TIMEOUT)
        if check.returncode != 0:
            wrong.append("the store: " + check.stdout.decode().strip())

    def check_builds(self, wrong):
        """Whose success was recorded is not started again: not later in its session, nor in one that began later."""
        logs = [records(self.session_directory(session)) for session in self.sessions()]
        done = {}
        for log in logs:
            begun = log[0]["time"] if log else 0
            # In the log's order, which is not that of the clock: two publishers have one.
            here = set()
            for record in log:
                for element, attempt, _ in builds([record], "job.started"):
                    if element in here or done.get(element, begun) < begun:
                        wrong.append("%s was built before, and was started again (attempt %d)" % (element, attempt))
                for element, _, when in builds([record], "job.finished", "success"):
                    here.add(element)
                    done[element] = min(when, done.get(element, when))

    def check_rest(self, wrong):
        wrong += ["mount is left: " + mount for mount in self.mounts()]
        wrong += ["socket is left: " + socket for socket in self.sockets()]
        for folder in (os.path.join(self.env["XDG_RUNTIME_DIR"], "sluice"), os.path.join(self.cachedir, "build"),
                       os.path.join(self.cachedir, "sluice", "tmp")):
            if os.path.isdir(folder):
                wrong += ["left in %s: %s" % (os.path.relpath(folder, self.directory), name) for name in os.listdir(folder)]
