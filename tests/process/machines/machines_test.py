"""A session and its runners on machines of their own, which share nothing but a network (spec/access.md, spec/jobs.md): what is built
there is what a single machine builds, and no machine's trouble loses or repeats anything that was finished."""

import contextlib
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from hosts import Hosts, why_not  # noqa: E402
from record_log import builds, records  # noqa: E402
from sluice_test import TIMEOUT, SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

# Seconds; how long an attempt is believed to go on that nothing is heard of.
LEASE = 2.0
PROJECT = {
    "project.conf": CONF,
    "elements/base.bst": BASE,
    # A source of its own, which has to travel; and an artifact that others need.
    "elements/source.bst": "kind: import\nbuild-depends:\n- base.bst\nsources:\n- kind: local\n  path: files/source\n",
    "files/source/usr/share/text": "travels\n" * 5000,
    "elements/all.bst": "kind: stack\ndepends:\n" + "".join("- work%d.bst\n" % i for i in range(8)),
}
PROJECT.update({"elements/work%d.bst" % i: manual("work%d" % i, "cat /usr/share/text > copy", depends=["source.bst"]) for i in range(8)})


def clock_library(directory):
    """Builds the library by which a host's clock is set off."""
    library = os.path.join(directory, "libclock_shift.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, "../../fault/clock_shift.c"), "-ldl"], check=True)
    return library


class Machines(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        if why_not():
            self.skipTest(why_not())
        self.bin = os.path.abspath(os.environ["SLUICE_BIN"])
        self.hosts = self.enter(Hosts(3, visible=[self.bin, os.path.dirname(HERE)]))

    def enter(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def bring(self, files):
        """The project on the first host, which is the session's, and here, for comparison."""
        self.at = self.project(files)
        busybox_base(self.at)
        self.hosts[0].copy(self.at, "/root/project")

    def on(self, host, *arguments, status=0, **options):
        """Runs sluice on a host, in the project."""
        cwd = "/root/project" if self.hosts[host].exists("/root/project") else "/root"
        done = self.hosts[host].run([self.bin + "/sluice", *arguments], cwd=cwd, check=False, timeout=TIMEOUT, **options)
        self.assertEqual(done.returncode, status, "%s on host%d:\n%s%s\n%s" % (arguments, host, done.stdout, done.stderr, self.logs()))
        return done

    def begin(self, host, *arguments, env=None):
        """Starts sluice on a host; its output goes to a file there."""
        cwd = "/root/project" if self.hosts[host].exists("/root/project") else "/root"
        process = self.hosts[host].popen(["sh", "-c", 'exec "$@" > /root/output-$$ 2>&1', "sh", self.bin + "/sluice", *arguments], cwd=cwd, env=env)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def start_session(self, *options, builders=1):
        """A session on the first host, which has `builders` of its own, that the others can join."""
        self.hosts[0].write("/root/.config/buildstream.conf", "scheduler:\n  builders: %d\n" % builders)
        started = self.on(0, "session", "start", "--listen", "tcp://%s:0" % self.hosts[0].address, "--join-files", "/root/project", *options,
                          env={"SLUICE_JOBS_LEASE_MS": str(int(1000 * LEASE))})
        self.session = started.stdout.strip()

    def join(self, host, *options):
        self.hosts[host].write("/root/runner.json", self.hosts[0].read("/root/project/runner.json"), 0o600)
        process = self.begin(host, "runner", "join", "/root/runner.json", "--slots", "2", *options)
        return process

    def runners(self):
        """What the session says of its runners, by name; nothing while it isn't there."""
        listed = self.hosts[0].run([self.bin + "/sluice", "runner", "list", "--json", self.session], check=False)
        return {runner["name"]: runner for runner in json.loads(listed.stdout)} if listed.returncode == 0 else {}

    def wait_for_runners(self, *names):
        self.wait_until(lambda: set(names) <= set(self.runners()), "runners %s" % ", ".join(names))

    def build(self, *targets):
        return self.begin(0, "--no-interactive", "--on-error", "continue", "build", "--session", self.session, *targets)

    def ends(self, process, status=0):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TIMEOUT)
        self.assertEqual(process.poll(), status, self.logs())

    def session_state(self):
        return self.hosts[0].path("/root/.local/state/sluice/sessions/" + self.session)

    def log(self):
        return records(self.session_state())

    def finished(self):
        """How often each element's build has succeeded."""
        counts = {}
        for name, _, _ in builds(self.log(), "job.finished", "success"):
            counts[name] = counts.get(name, 0) + 1
        return counts

    def logs(self):
        """What all that runs on the hosts has said: for the report of a test that has failed."""
        text = ""
        for host in self.hosts:
            if host.pid is None:
                continue
            for folder, _, names in os.walk(host.path("/root")):
                for name in names:
                    if (name.startswith("output-") or "/logs" in folder) and "/project/" not in folder:
                        with contextlib.suppress(OSError), open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                            content = file.read()
                        if content:
                            text += "---- %s: %s\n%s\n" % (host.name, os.path.join(folder.partition("/root")[2], name), content[-4000:])
        return text

    def digests(self, *targets):
        """The digests of the artifacts' files, as the session's host has them and as a build here has them."""
        form = "%{name} %{full-key} %{artifact-cas-digest}"
        there = self.on(0, "show", "--format", form, *targets).stdout
        self.sluice("build", *targets, cwd=self.at)
        here = self.sluice("show", "--format", form, *targets, cwd=self.at).stdout
        return there, here

    def test_builds_are_the_same(self):
        """Elements are built on two machines without any of the session's files, and are what one machine builds."""
        self.bring(PROJECT)
        self.start_session()
        joined = [self.join(1), self.join(2)]
        self.wait_for_runners("host1", "host2")
        self.ends(self.build("all.bst"))
        there, here = self.digests("all.bst")
        self.assertEqual(there, here)
        self.assertNotIn("None", there)
        runners = self.runners()
        self.assertGreater(runners["host1"]["done"] + runners["host2"]["done"], 0, self.logs())
        where = {record["job"]["runner"] for record in self.log() if record["type"] == "job.finished" and record["job"]["action"] == "build"}
        self.assertLessEqual({"host1", "host2"}, where, self.logs())
        # The log of what was built elsewhere is on the session's host.
        shown = self.on(0, "artifact", "log", "work0.bst").stdout
        self.assertIn("cat /usr/share/text", shown)
        # Whoever has joined leaves when the session ends.
        self.on(0, "session", "stop", self.session)
        for process in joined:
            self.ends(process)
        self.assertEqual(self.hosts[1].pids("sluice-runner") + self.hosts[2].pids("sluice-runner"), [])

    def test_failure_elsewhere(self):
        """What has failed on another machine is shown as ever: its log, its lines at the end, its build tree."""
        self.bring({**PROJECT, "elements/bad.bst": manual("bad", "echo nothing works > why; cat why; false", depends=["source.bst"]),
                    "project.conf": CONF})
        self.start_session()
        self.join(1)
        self.wait_for_runners("host1")
        # The session's own runner has a job that doesn't end, so that all others go elsewhere.
        self.ends(self.build("bad.bst"), 1)
        finished = [record for record in self.log() if record["type"] == "job.finished" and record["element"]["name"] == "bad.bst"
                    and record["job"]["action"] == "build"]
        self.assertIn("nothing works", finished[-1]["log_tail"])
        with open(self.hosts[0].path(finished[-1]["job"]["log_file"]), encoding="utf-8") as file:
            self.assertIn("nothing works", file.read())
        self.hosts.kill(1)
        self.assertIn("nothing works", self.on(0, "artifact", "log", "bad.bst").stdout)
        shell = self.on(0, "shell", "--build", "--use-buildtree", "bad.bst", "--", "cat", "why")
        self.assertIn("nothing works", shell.stdout)

    def test_log_while_it_runs(self):
        """The log of a job on one machine is read on another one while it is written, which isn't the session's either (R56 to R59)."""
        self.bring({**PROJECT, "elements/slow.bst": manual("slow", "echo before the gate", gate(1), "echo after the gate") + "variables:\n  runner-labels: far\n"})
        self.start_session()
        self.join(1, "--label", "far")
        self.wait_for_runners("host1")
        build = self.build("slow.bst")
        self.wait_at_gate(1)
        self.hosts[2].write("/root/observe.json", self.hosts[0].read("/root/project/observe.json"), 0o600)
        reader = self.hosts[2].popen(["sh", "-c", 'exec "$@" > /root/shown 2>/root/output-reader', "sh", self.bin + "/sluice", "session", "log", "slow.bst", "/root/observe.json"])
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        self.wait_until(lambda: self.hosts[2].exists("/root/shown") and "gate 1\n" in self.hosts[2].read("/root/shown"), "the log on the third host")
        # A network that was away for a while has cost nothing.
        self.hosts.cut(2)
        self.open_gate(1)
        self.ends(build)
        self.hosts.heal(2)
        self.ends(reader)
        shown = self.hosts[2].read("/root/shown")
        self.assertIn("before the gate", shown)
        self.assertIn("after the gate", shown)
        finished = [record for record in self.log() if record["type"] == "job.finished" and record["element"]["name"] == "slow.bst"]
        self.assertEqual(shown, self.hosts[0].read(finished[-1]["job"]["log_file"]))

    def busy(self):
        """A session whose own host has one job at a gate, and the job of another gate at host1."""
        self.bring({**PROJECT, "elements/first.bst": manual("first", gate(1)), "elements/second.bst": manual("second", gate(2)),
                    "elements/third.bst": manual("third", gate(3)),
                    "elements/gates.bst": "kind: stack\ndepends:\n- first.bst\n- second.bst\n- third.bst\n- all.bst\n"})
        self.start_session()
        joined = self.join(1)
        self.wait_for_runners("host1")
        build = self.build("gates.bst")
        for number in (1, 2, 3):
            self.wait_at_gate(number)
        return joined, build

    def runs_on(self, host, pid):
        """Whether a process is one of the host's, or descends from one, as those of sandboxes do."""
        own = os.readlink("/proc/%d/ns/pid" % self.hosts[host].pid)
        with contextlib.suppress(OSError):
            while pid > 1:
                if os.readlink("/proc/%d/ns/pid" % pid) == own:
                    return True
                with open("/proc/%d/stat" % pid, "rb") as file:
                    pid = int(file.read().rpartition(b")")[2].split()[1])
        return False

    def gates_of(self, host):
        """Which of the three gates a host's jobs wait at."""
        return [number for number in (1, 2, 3) if any(self.runs_on(host, pid) for pid in self.at_gate(number))]

    def open_all(self, but=()):
        for number in (1, 2, 3):
            if number not in but:
                self.open_gate(number)

    def test_killed(self):
        """A machine dies with its jobs: others do them, and nothing that was finished is done again."""
        _, build = self.busy()
        lost = self.gates_of(1)
        self.assertTrue(lost)
        self.join(2)
        self.wait_for_runners("host2")
        self.hosts.kill(1)
        for number in lost:
            self.wait_at_gate(number)
        self.open_all()
        self.ends(build)
        self.assertEqual({name: count for name, count in self.finished().items() if count != 1}, {})

    def test_cut_off(self):
        """A machine that was cut off has its jobs taken away; when it comes back it is one of the fleet again."""
        _, build = self.busy()
        lost = self.gates_of(1)
        self.hosts.cut(1)
        self.join(2)
        self.wait_for_runners("host2")
        self.assertTrue(lost)
        outside = lambda number: [pid for pid in self.at_gate(number) if not self.runs_on(1, pid)]  # noqa: E731
        for number in lost:
            self.wait_until(lambda n=number: outside(n), "the job of gate %d on another machine" % number)
        self.hosts.heal(1)
        # What it still did is cancelled.
        self.wait_until(lambda: not self.gates_of(1), "the end of what was taken away")
        for number in (1, 2, 3):
            for pid in self.wait_until(lambda n=number: outside(n), "gate %d" % number):
                os.kill(pid, 10)
        self.ends(build)
        self.assertEqual({name: count for name, count in self.finished().items() if count != 1}, {})
        self.wait_until(lambda: self.runners()["host1"]["silent"] < 5, "the machine that was cut off")

    def test_session_host_dies(self):
        """The session's host dies and is started again: the session goes on, with the runners that have waited for it (J95, J96)."""
        joined, build = self.busy()
        there = self.gates_of(1)
        self.assertTrue(there)
        before = self.finished()
        self.hosts.kill(0)
        build.wait()
        self.hosts.start(0)
        resumed = self.begin(0, "--no-interactive", "session", "resume", self.session)
        self.wait_for_runners("host1")
        self.assertEqual(self.gates_of(1), there, self.logs())  # what ran there has gone on
        for number in (1, 2, 3):
            self.wait_at_gate(number)
        self.open_all()
        self.ends(resumed)
        self.ends(joined)  # a session that was resumed ends with its run
        counts = self.finished()
        self.assertEqual({name: count for name, count in counts.items() if count != 1}, {})
        self.assertLessEqual(set(before), set(counts))

    def test_clock_of_another_hour(self):
        """No two machines' clocks are compared."""
        self.hosts.__exit__()
        self.hosts = self.enter(Hosts(2, visible=[self.bin, os.path.dirname(HERE)], clocks=clock_library(self.directory)))
        self.hosts.set_clock(0, 0)
        self.hosts.set_clock(1, 3600)
        self.bring(PROJECT)
        self.start_session()
        self.join(1)
        self.wait_for_runners("host1")
        self.ends(self.build("work0.bst", "work1.bst", "work2.bst", "work3.bst"))
        self.hosts.set_clock(1, -3600)
        self.ends(self.build("all.bst"))
        there, here = self.digests("all.bst")
        self.assertEqual(there, here)
        self.assertGreater(self.runners()["host1"]["done"], 0)

    def test_slow(self):
        """A machine behind 1 Mbit/s builds what it is given; nothing expires meanwhile."""
        self.bring(PROJECT)
        self.start_session()
        self.hosts.slow(1, "1mbit")
        self.join(1)
        self.wait_for_runners("host1")
        self.ends(self.build("all.bst"))
        self.assertEqual({name: count for name, count in self.finished().items() if count != 1}, {})

    def test_leaves(self):
        """A runner that is told to end finishes what it builds, gives back the rest, and is gone."""
        joined, build = self.busy()
        there = self.gates_of(1)
        self.assertTrue(there)
        self.on(0, "runner", "drain", "host1")
        self.wait_until(lambda: self.runners()["host1"]["draining"], "host1 draining")
        self.open_all()
        self.ends(joined)
        self.ends(build)
        self.assertNotIn("host1", self.runners())
        counts = self.finished()
        self.assertEqual({name: count for name, count in counts.items() if count != 1}, {})
        done_there = {record["element"]["name"] for record in self.log()
                      if record["type"] == "job.finished" and record["job"]["action"] == "build" and record["job"]["runner"] == "host1"}
        self.assertGreaterEqual(len(done_there), len(there))
        missing = self.on(0, "runner", "stop", "nobody", status=1)
        self.assertIn("nobody", missing.stderr)


main()
