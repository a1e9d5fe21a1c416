"""`session log`: the log of a job that runs, from a byte on and to its end, wherever the job runs; and what a subscriber of log-from/ gets
(spec/records.md, R56 to R59)."""

import glob
import json
import os
import sys

import msgpack
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from elsewhere import Elsewhere  # noqa: E402
from sluice_test import TIMEOUT, SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

# Several windows of a log, and then a gate.
LINES = 12000
MANY = "i=0; while [ $i -lt %d ]; do echo \"$i is what this line says, and it says it at some length so that there is something to read\"; i=$((i+1)); done" % LINES
LABELS = "variables:\n  runner-labels: far\n"


class SessionLog(Gates, Elsewhere, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF, "elements/base.bst": BASE,
            "elements/long.bst": manual("long", MANY, gate(1), "echo the last words"),
            "elements/labelled.bst": manual("labelled", MANY, gate(1), "echo the last words") + LABELS,
            "elements/later.bst": manual("later", gate(2), depends=["long.bst"])})
        busybox_base(self.at)
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)

    def log_file(self, element):
        found = glob.glob(os.path.join(self.cachedir, "logs", "small", element, "*-build.*.log"))
        self.assertEqual(len(found), 1, found)
        with open(found[0], "rb") as file:
            return file.read().decode()

    def follow(self, *arguments, env=None):
        return self.start("session", "log", *arguments, cwd=self.at, env=env)

    def shown(self, reader, text="gate 1\n"):
        self.wait_until(lambda: text in reader.stdout, "the log at the gate")
        self.assertIn("%d is what" % (LINES - 1), reader.stdout)

    def ends(self, reader, text):
        self.assertEqual(reader.wait(), 0, reader)
        self.assertEqual(reader.stdout, text)

    def read_while_it_runs(self, build):
        """Readers of all kinds, of a build that is at the gate; each has the whole log in the end."""
        self.wait_at_gate(1)
        whole = self.follow("long.bst")
        self.shown(whole)
        # Who comes late, and from the same byte, gets the same; and whoever wants less gets less.
        late = self.follow("long.bst")
        self.shown(late)
        job = self.job("long.bst")
        size = len(whole.stdout)
        numbered = self.follow(str(job), "--from", str(size - 20))
        self.wait_until(lambda: "gate 1\n" in numbered.stdout, "the end of what there is")
        past = self.sluice("session", "log", "long.bst", "--from", "1000000000", cwd=self.at, status=1)
        self.assertIn("The log has", past.stderr)
        self.assertIn("has started no job of 'later.bst'", self.sluice("session", "log", "later.bst", cwd=self.at, status=1).stderr)
        self.assertIn("has started no job 4711", self.sluice("session", "log", "4711", cwd=self.at, status=1).stderr)
        self.assertIsNone(whole.poll())
        self.open_gate(1)
        self.wait_at_gate(2)
        text = self.log_file("long")
        self.assertIn("the last words", text)
        self.ends(whole, text)
        self.ends(late, text)
        self.ends(numbered, text[size - 20:])
        # When the job has ended, the log is there all the same.
        self.assertEqual(self.sluice("session", "log", "long.bst", cwd=self.at).stdout, text)
        self.assertEqual(self.sluice("session", "log", str(job), "--from", str(size), cwd=self.at).stdout, text[size:])
        past = self.sluice("session", "log", "long.bst", "--from", str(len(text) + 1), cwd=self.at, status=1)
        self.assertIn("The log has %d bytes" % len(text), past.stderr)
        # A reader whose session ends has all of it, too.
        last = self.follow("later.bst")
        self.wait_until(lambda: "gate 2\n" in last.stdout, "the log of the other job")
        self.open_gate(2)
        self.assertEqual(build.wait(), 0, build)
        self.ends(last, self.log_file("later"))

    def job(self, element):
        """The number of the job that builds an element, as records say."""
        link = self.context.socket(zmq.DEALER)
        link.connect(self.endpoint("records"))
        self.addCleanup(link.close, 0)
        link.send_multipart([b"HELLO", msgpack.packb({"protocol": "records/1", "role": "client", "instance": "test"})])
        link.send_multipart([b"NEXT", msgpack.packb({"cursor": 1, "max": 4096})])
        while True:
            self.assertTrue(link.poll(1000 * TIMEOUT))
            name, *rest = link.recv_multipart()
            if name == b"BATCH":
                for packed in msgpack.unpackb(rest[0])["records"]:
                    event = msgpack.unpackb(packed) if isinstance(packed, bytes) else packed
                    if event["type"] == "job.started" and event["element"]["name"] == element and event["job"]["action"] == "build":
                        return event["job"]["id"]
                self.fail("no job")

    def test_here(self):
        build = self.start("build", "later.bst", cwd=self.at)
        self.read_while_it_runs(build)
        self.assert_nothing_left()

    def test_with_a_runner_that_shares_no_files(self):
        far = self.elsewhere()
        programs = self.programs_elsewhere()
        build = self.start("build", "later.bst", cwd=self.at, program=os.path.join(programs, "sluice"))
        self.wait_at_gate(1)
        # While it is written the log is there, and not here.
        self.assertTrue(glob.glob(os.path.join(far, "logs", "small", "long", "*-build.*.log")))
        self.assertEqual(glob.glob(os.path.join(self.cachedir, "logs", "small", "long", "*-build.*.log")), [])
        self.read_while_it_runs(build)
        self.assert_nothing_left_elsewhere()

    def test_a_reader_that_stops(self):
        """It costs nobody anything, and has all of it when it goes on."""
        build = self.start("build", "long.bst", cwd=self.at)
        self.wait_at_gate(1)
        stopped = self.follow("long.bst")
        stopped.stop_reading()
        other = self.follow("long.bst")
        self.shown(other)
        self.assertNotIn("gate 1\n", stopped.stdout)
        stopped.go_on_reading()
        self.shown(stopped)
        # Whoever wants the beginning only can leave.
        head = self.sluice("-c", '"$0" session log long.bst | busybox head -n 1', self.program("sluice"), program="/bin/sh", cwd=self.at)
        self.assertEqual(head.stdout, other.stdout.splitlines(True)[0])
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.ends(stopped, self.log_file("long"))
        self.ends(other, self.log_file("long"))

    def test_the_broker_dies(self):
        """What is lost of live events is asked for again (R59)."""
        build = self.start("build", "long.bst", cwd=self.at)
        self.wait_at_gate(1)
        reader = self.follow("long.bst")
        self.shown(reader)
        self.kill("sluice-broker")
        self.wait_until(lambda: self.pids("sluice-broker"), "another broker")
        late = self.follow("long.bst")
        self.shown(late)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.ends(reader, self.log_file("long"))
        self.ends(late, self.log_file("long"))

    def test_another_attempt(self):
        """The job is lost with its runner; the log of the next attempt follows, and it is said."""
        build = self.start("build", "long.bst", cwd=self.at)
        lost = self.wait_at_gate(1)
        reader = self.follow("long.bst")
        self.shown(reader)
        first = reader.stdout
        self.kill("sluice-runner")
        self.wait_at_gate(1, but=lost)
        self.wait_until(lambda: reader.stdout.count("gate 1\n") >= 2, "the log of the second attempt")
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(reader.wait(), 0)
        self.assertIn("Attempt 1 of job", reader.stderr)
        self.assertTrue(reader.stdout.startswith(first))
        # Attempts of one second write into one file, one behind the other.
        logs = []
        for path in glob.glob(os.path.join(self.cachedir, "logs", "small", "long", "*-build.*.log")):
            with open(path, encoding="utf-8") as file:
                logs.append(file.read())
        self.assertIn(reader.stdout[len(first):], logs)
        self.assertIn("the last words", reader.stdout[len(first):])

    def test_from_another_machine(self):
        """By a join file, of a runner that has joined: over TCP, with tickets, and without any of the session's files."""
        started = self.sluice("session", "start", "--listen", "tcp://127.0.0.1:0", "--join-files", self.at, cwd=self.at)
        session = started.stdout.strip()
        runner = self.start("runner", "join", "runner.json", "--name", "one", "--label", "far", "--cache", os.path.join(self.directory, "far"), cwd=self.at)
        self.wait_until(lambda: "one" in self.sluice("runner", "list", cwd=self.at).stdout, "the runner")
        build = self.start("build", "--session", session, "labelled.bst", cwd=self.at)
        self.wait_at_gate(1)
        env = {name: os.path.join(self.directory, "other", name) for name in self.env if name.startswith("XDG_")}
        for path in env.values():
            os.makedirs(path, mode=0o700)
        reader = self.follow("labelled.bst", "observe.json", env=env)
        self.shown(reader)
        head = reader.stdout
        # Others that read its records, and keep nothing of it here.
        trace = json.loads(self.sluice("trace", "observe.json", cwd=self.at, env=env).stdout)
        self.assertTrue([event for event in trace["traceEvents"] if event.get("args", {}).get("element") == "labelled.bst"])
        self.assertIn('session="%s"' % session, self.sluice("metrics", "observe.json", cwd=self.at, env=env).stdout)
        collector = self.start("collect", "--session", "observe.json", "--types", "job.finished,session.ended", "exec", "cat", cwd=self.at, env=env)
        for verb in (("report",), ("web", "--no-open")):
            self.assertIn("only sessions of this machine", self.sluice(*verb, "observe.json", cwd=self.at, env=env, status=1).stderr)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0, build)
        text = self.log_file("labelled")
        self.ends(reader, text)
        self.assertTrue(text.startswith(head))
        self.wait_until(lambda: '"job.finished"' in collector.stdout, "what is collected")
        collector.signal(15)
        self.assertEqual(collector.wait(), 0, collector)
        # The runner has it for a while yet, though its file is gone.
        self.assertEqual(self.sluice("session", "log", "labelled.bst", "observe.json", cwd=self.at, env=env).stdout, text)
        runner.signal(15)
        self.assertEqual(runner.wait(), 0, runner)
        gone = self.sluice("session", "log", "labelled.bst", "observe.json", cwd=self.at, env=env, status=1)
        self.assertIn("its runner one doesn't show its log any more", gone.stderr)
        # Where the session is nothing is lacking.
        self.assertEqual(self.sluice("session", "log", "labelled.bst", cwd=self.at).stdout, text)

    def events(self, link, topic, wanted):
        """What is said under a topic, until `wanted` of all of it."""
        found = []
        link.subscribe(topic)
        while not found or not wanted(found):
            self.assertTrue(link.poll(1000 * TIMEOUT), topic)
            name, packed = link.recv_multipart()
            if name.decode() == topic:
                found.append(msgpack.unpackb(packed))
        link.unsubscribe(topic)
        return found

    def test_subscribers(self):
        """Any program can read a log in a page of code; and what it may get instead (R56, R58)."""
        build = self.start("build", "long.bst", cwd=self.at)
        self.wait_at_gate(1)
        job = self.job("long.bst")
        link = self.context.socket(zmq.SUB)
        link.connect(self.endpoint("live-out"))
        self.addCleanup(link.close, 0)
        text, window = "", 0
        while "gate 1\n" not in text:
            window += 1
            for event in self.events(link, "log-from/%d/%d/test%d/" % (job, len(text), window),
                                     lambda found: found[-1].get("last") or found[-1]["offset"] + len(found[-1].get("text", "")) == found[-1]["size"]):
                self.assertEqual(event["offset"], len(text))
                self.assertFalse(event["ended"])
                text += event.get("text", "")
        self.assertGreater(window, 3)
        for offset, reason in (("x", "bad-offset"), ("-1", "bad-offset"), ("9" * 40, "bad-offset"), (str(2 ** 64 - 1), "past-end")):
            refused = self.events(link, "log-from/%d/%s/test/" % (job, offset), lambda found: True)[0]
            self.assertEqual((refused["error"]["domain"], refused["error"]["reason"], refused["last"]), ("log", reason, True))
            self.assertEqual(refused["size"], len(text))
        # Nobody answers about other jobs, or in another form: the next answer is that to the last question.
        for topic in ("log-from/4711/0/a/", "log-from/%d/0/" % job, "log-from/x/0/a/", "log-from/%d/0/a.b/" % job, "log-from/%d" % job):
            link.subscribe(topic)
        # The same topic is heard by whoever comes second, but not begun again.
        second = self.context.socket(zmq.SUB)
        second.connect(self.endpoint("live-out"))
        self.addCleanup(second.close, 0)
        link.subscribe("log-from/%d/%d/same/" % (job, len(text)))
        self.assertTrue(link.poll(1000 * TIMEOUT))
        self.assertEqual(link.recv_multipart()[0].decode(), "log-from/%d/%d/same/" % (job, len(text)))
        second.subscribe("log-from/%d/%d/same/" % (job, len(text)))
        self.assertTrue(second.poll(1000 * TIMEOUT))
        self.open_gate(1)
        rest = ""
        while "the last words\n" not in rest:
            self.assertTrue(second.poll(1000 * TIMEOUT))
            event = msgpack.unpackb(second.recv_multipart()[1])
            self.assertEqual(event["offset"], len(text) + len(rest))
            rest += event.get("text", "")
        self.assertEqual(build.wait(), 0)
        # What follows the last words may come in another piece.
        self.assertEqual(text + rest, self.log_file("long")[:len(text + rest)])


main()
