"""A runner that was let in and is hostile: it speaks of another's attempt, says again what was said, and gives itself another's name
(spec/access.md, A5, A10 to A14; spec/jobs.md, J12, J28, J42; spec/records.md, R11, R16). What it speaks of is a real build, of a real runner that has
joined, which a gate holds: nothing about that may change."""

import contextlib
import json
import os
import select
import socket
import sys
import threading

import msgpack
import zmq

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from access_test_case import AccessTest  # noqa: E402
from record_log import records  # noqa: E402
from sluice_test import TIMEOUT, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

LIE = "this is a lie"


def labelled(name, label, *commands):
    return manual(name, *commands) + "variables:\n  runner-labels: %s\n" % label


class Recorder:
    """Passes a port's connections on, and keeps what clients say."""

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own = self.listener.getsockname()[1]
        self.said = []
        self.over = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        ways = {}
        while not self.over:
            ready, _, _ = select.select([self.listener, *ways], [], [], 0.1)
            for one in ready:
                if one is self.listener:
                    client, _ = self.listener.accept()
                    server = socket.create_connection(("127.0.0.1", self.port))
                    kept = bytearray()
                    self.said.append(kept)
                    ways[client], ways[server] = (server, kept), (client, None)
                elif one in ways:
                    other, kept = ways[one]
                    data = b""
                    with contextlib.suppress(OSError):
                        data = one.recv(65536)
                    if kept is not None:
                        kept += data
                    with contextlib.suppress(OSError):
                        if data:
                            other.sendall(data)
                    if not data:
                        for end in (one, other):
                            ways.pop(end, None)
                            end.close()
        for end in ways:
            end.close()
        self.listener.close()

    def close(self):
        self.over = True
        self.thread.join()


class HostileRunner(Gates, AccessTest):
    def setUp(self):
        super().setUp()
        self.project({
            "project.conf": CONF, "elements/base.bst": BASE,
            "elements/honest.bst": labelled("honest", "far", "echo honest words", gate(1), "echo the last words"),
            "elements/evil.bst": labelled("evil", "evil", "true"),
            "elements/both.bst": "kind: stack\ndepends:\n- honest.bst\n- evil.bst\n"})
        busybox_base(self.at)

    def begin(self):
        """A session with a runner, `one`, that others may join. Base is built."""
        self.session = self.listen("--allow-skew")
        self.sluice("build", "--session", self.session, "base.bst", cwd=self.at)

    def join_one(self, file="runner.json"):
        one = self.start("runner", "join", file, "--name", "one", "--label", "far", "--cache", os.path.join(self.directory, "far"), cwd=self.at)
        self.wait_until(lambda: "one" in self.sluice("runner", "list", cwd=self.at).stdout, "the runner")
        return one

    def build(self, *targets):
        return self.start("--on-error", "continue", "build", "--session", self.session, *targets, cwd=self.at)

    def records(self):
        return records(self.session_directory(self.session))

    def started(self, element):
        """The job section of the element's build that started last; None before."""
        found = [event["job"] for event in self.records() if event["type"] == "job.started" and event["element"]["name"] == element]
        return found[-1] if found else None

    def finished(self, element):
        return [event for event in self.records() if event["type"] == "job.finished" and event["element"]["name"] == element]

    def process_log(self, name):
        with open(os.path.join(self.session_directory(self.session), "logs", name + ".log"), encoding="utf-8") as file:
            return file.read()

    # ---- Eve

    def eve_joins(self, epoch=1):
        self.eve, self.name = self.enrol("runner", "eve")
        self.hello = {"protocol": "jobs/1", "role": "runner", "instance": self.name, "epoch": epoch}
        self.jobs, events = self.peer("jobs", self.eve)
        self.assertTrue(self.let_in(events))
        self.in_hand = []
        self.greet(self.jobs, "WELCOME")

    def greet(self, link, answer, hello=None, **more):
        self.say(link, b"HELLO", hello=hello or self.hello, host="evehost", slots=1, remote=True, machine="eve", platform="linux/x86-64", labels=["evil"],
                 connection=1, **more)
        name, body = self.hears_job(link)
        self.assertEqual(name, answer.encode(), body)
        return body

    def hears_job(self, link=None):
        """The next message of the scheduler; its heartbeats are answered."""
        link = link or self.jobs
        while True:
            self.assertTrue(link.poll(1000 * TIMEOUT), "no answer")
            name, *rest = link.recv_multipart()
            if name == b"HEARTBEAT":
                self.say(link, b"HEARTBEAT", running=self.in_hand)
            elif name not in (b"", b"WATCH"):
                return name, msgpack.unpackb(rest[0])

    def gets_job(self):
        """A job of its own: its id, ticket, and the context of what it says."""
        name, batch = self.hears_job()
        self.assertEqual(name, b"JOB")
        job = batch["jobs"][0]
        self.in_hand = [job["id"]]
        self.say(self.jobs, b"STARTED", jobs=[{"id": job["id"], "slot": 0, "time": 1}])
        return job

    def publishes(self, epoch=1, instance=None):
        """A link to the broker's records. The answer to HELLO, too."""
        link, events = self.peer("records", self.eve)
        self.assertTrue(self.let_in(events))
        self.say(link, b"HELLO", protocol="records/1", role="runner", instance=instance or self.name, epoch=epoch)
        name, body = self.hears(link)
        self.assertEqual(name, b"WELCOME")
        return link, body

    def event(self, job, attempt, runner, element, kind="job.message", text=LIE):
        return {"v": 1, "type": kind, "time": 1, "level": "info", "text": text,
                "element": {"project": "small", "name": element, "kind": "manual", "key": "", "brief": "", "strict": True, "state": ""},
                "job": {"id": job, "action": "build", "attempt": attempt, "runner": runner, "host": "h", "slot": 0, "started": 0, "elapsed": 0, "log_file": ""}}

    @staticmethod
    def twice(first, second):
        """A map that has each key of the two, so that some are there twice."""
        packer = msgpack.Packer()
        entries = [*first.items(), *second.items()]
        return packer.pack_map_header(len(entries)) + b"".join(packer.pack(part) for entry in entries for part in entry)

    def lies(self, own, victim):
        """Events about another's attempt, packed, and tickets that don't show it: (what it is, event, ticket)."""
        honest = self.event(victim["id"], victim["attempt"], victim["runner"], "honest.bst")
        as_eve = self.event(victim["id"], victim["attempt"], self.name, "honest.bst")
        mine = self.event(own["id"]["job"], own["id"]["attempt"], self.name, "evil.bst", text=LIE)
        for tickets, ticket in (("its own", own["ticket"]), ("a guess", "0" * 32), ("an empty one", ""), ("a long one", "f" * 4096)):
            yield "another's attempt, with " + tickets, msgpack.packb(honest), ticket
            yield "another's attempt as its own, with " + tickets, msgpack.packb(as_eve), ticket
        # Of a key that is there twice, readers take either.
        yield "both, its own first", self.twice(mine, {"job": honest["job"], "element": honest["element"]}), own["ticket"]
        yield "both, its own last", self.twice({"job": honest["job"], "element": honest["element"]}, mine), own["ticket"]
        inner = dict(mine)
        inner["job"] = 0
        packed = msgpack.packb(inner).replace(msgpack.packb("job") + b"\x00",
                                              msgpack.packb("job") + self.twice(mine["job"], {"id": victim["id"], "runner": victim["runner"]}))
        yield "both, in one section", packed, own["ticket"]

    def at_the_gate(self, one):
        """A build whose job is held at `one`, and a job of Eve's; (build, the job of one, hers)."""
        self.assertIsNone(one.poll())
        build = self.build("both.bst")
        own = self.gets_job()
        self.wait_at_gate(1)
        victim = self.wait_until(lambda: self.started("honest.bst"), "the start of the job")
        self.assertEqual((victim["runner"], victim["attempt"]), ("one", 1))
        return build, victim, own

    def comes_out_right(self, build, victim, own, message="eve"):
        """The held job ends as it would have; Eve's own fails, as she says."""
        self.assertEqual(len(self.at_gate(1)), 1)
        self.assertEqual(self.finished("honest.bst"), [])
        self.open_gate(1)
        self.wait_until(lambda: self.finished("honest.bst"), "the end of the job")
        self.say(self.jobs, b"RESULT", results=[{"id": own["id"], "status": "failure", "error": {"domain": "job", "reason": "failed", "message": message}}])
        name, acknowledged = self.hears_job()
        self.assertEqual((name, acknowledged["jobs"]), (b"RESULT-ACK", [own["id"]]))
        self.assertEqual(build.wait(), 1, build)
        ended = self.finished("honest.bst")
        self.assertEqual([(event["outcome"], event["job"]["runner"], event["job"]["attempt"]) for event in ended], [("success", "one", 1)])
        self.assertEqual([event["outcome"] for event in self.finished("evil.bst")], ["failure"])
        with open(ended[0]["job"]["log_file"], encoding="utf-8") as file:
            text = file.read()
        self.assertIn("the last words", text)
        self.assertNotIn(LIE, text)
        for event in self.records():
            self.assertNotIn(LIE, str(event))
        self.assertEqual(self.sluice("show", "--deps", "none", "--format", "%{state}", "honest.bst", cwd=self.at).stdout.strip(), "cached")
        # A session is suspended when all of its runners say so.
        self.say(self.jobs, b"GOODBYE", why="done")
        self.wait_until(lambda: "eve" not in self.sluice("runner", "list", cwd=self.at).stdout, "the end of eve")
        self.works()

    # ---- Another's attempt

    def test_reports_of_another_runners_attempt(self):
        """STARTED, HEARTBEAT, HELLO, RESULT, DRAIN: ignored, and said in the scheduler's log (J28, J42)."""
        self.begin()
        one = self.join_one()
        self.eve_joins()
        build, victim, own = self.at_the_gate(one)
        other = {"job": victim["id"], "attempt": 1}
        cancelled = (b"CANCEL", [other])

        def answer():
            name, body = self.hears_job()
            return name, body["jobs"]
        self.say(self.jobs, b"STARTED", jobs=[{"id": other, "slot": 7, "time": 1}])
        self.assertEqual(answer(), cancelled)
        self.say(self.jobs, b"HEARTBEAT", running=[other, own["id"]], outbox=[other])
        self.assertEqual(answer(), cancelled)
        for status, more in (("success", {}), ("failure", {}), ("error", {"error": {"domain": "remote", "reason": "lost", "message": LIE}}), ("killed", {}),
                             ("skipped", {}), ("success", {"artifact_message": {"hash": "0" * 64, "size": 4}, "log_tail": LIE})):
            self.say(self.jobs, b"RESULT", results=[{"id": other, "status": status, **more}])
            self.assertEqual(answer(), (b"RESULT-ACK", [other]), status)
        # An attempt that nobody has.
        for attempt in (0, 2, 2 ** 32 - 1):
            self.say(self.jobs, b"RESULT", results=[{"id": {**other, "attempt": attempt}, "status": "failure"}])
            self.assertEqual(answer()[0], b"RESULT-ACK")
        self.greet(self.jobs, "WELCOME", running=[other, own["id"]], outbox=[other])
        self.assertEqual(answer(), cancelled)
        self.say(self.jobs, b"DRAIN", why=LIE, returned=[other])
        self.say(self.jobs, b"STARTED", jobs=[{"id": other, "slot": 7, "time": 1}])
        self.assertEqual(answer(), cancelled)
        self.assertIn("runner eve speaks of job %d attempt 1, which is that of one: ignored" % victim["id"], self.process_log("sluice-scheduler"))
        self.assertEqual(self.started("honest.bst"), victim)
        self.comes_out_right(build, victim, own)

    def test_records_of_another_runners_attempt(self):
        """Refused by name, with whatever ticket; and said in the broker's log (A12, A13)."""
        self.begin()
        one = self.join_one()
        self.eve_joins()
        build, victim, own = self.at_the_gate(one)
        link, _ = self.publishes()
        for what, packed, ticket in self.lies(own, victim):
            with self.subTest(what=what):
                self.say(link, b"APPEND", first=1, types=["job.message"], records=[packed], tickets=[ticket])
                self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "bad-ticket"}))
        honest = msgpack.packb(self.event(victim["id"], 1, "one", "honest.bst"))
        for tickets in ([], [own["ticket"]] * 2):
            self.say(link, b"APPEND", first=1, types=["job.message"], records=[honest], tickets=tickets)
            self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "malformed"}))
        for kind in ("job.finished", "job.started", "run.finished", "session.ended", "prompt.opened", "runner.left"):
            self.say(link, b"APPEND", first=1, types=[kind], tickets=[own["ticket"]],
                     records=[msgpack.packb(self.event(own["id"]["job"], 1, self.name, "evil.bst", kind))])
            self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "not-allowed"}), kind)
        # One good record doesn't bring a bad one in.
        good = msgpack.packb(self.event(own["id"]["job"], 1, self.name, "evil.bst", text="eve works"))
        self.say(link, b"APPEND", first=1, types=["job.message"] * 2, records=[good, honest], tickets=[own["ticket"]] * 2)
        self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "bad-ticket"}))
        self.say(link, b"APPEND", first=1, types=["job.message"], records=[good], tickets=[own["ticket"]])
        self.assertEqual(self.hears(link), (b"ACK", {"upto": 1}))
        self.assertEqual([event["src"] for event in self.records() if event.get("text") == "eve works"], ["eve"])
        self.assertIn("eve may not publish the records that it did: bad-ticket", self.process_log("sluice-broker"))
        self.comes_out_right(build, victim, own)

    def test_logs_of_another_runners_attempt(self):
        """No reader sees what isn't of its runner, and the broker's log says so (A12)."""
        self.begin()
        one = self.join_one()
        self.eve_joins()
        build, victim, own = self.at_the_gate(one)
        reader = self.context.socket(zmq.SUB)
        reader.connect(self.endpoint("live-out", self.session))
        self.addCleanup(reader.close, 0)
        wanted = ["log/%d/" % victim["id"], "log-from/%d/0/r/" % victim["id"], "log/%d/" % own["id"]["job"], "log-from/%d/0/r/" % own["id"]["job"], "status/"]
        live, events = self.peer("live-in", self.eve, kind=zmq.XPUB)
        self.assertTrue(self.let_in(events))
        for topic in wanted:
            reader.subscribe(topic)
        heard = set()
        while not set(wanted) <= heard:
            self.assertTrue(live.poll(1000 * TIMEOUT), heard)
            heard.add(live.recv()[1:].decode())
        topics = [topic.encode() for topic in wanted]
        for _, packed, ticket in self.lies(own, victim):
            for topic in topics:
                live.send_multipart([topic, packed, ticket.encode()])
                live.send_multipart([topic, packed])
                live.send_multipart([topic, packed, ticket.encode(), b""])
        # Its own, under another's topic, and what is the scheduler's alone.
        mine = msgpack.packb(self.event(own["id"]["job"], 1, self.name, "evil.bst", "log"))
        for topic in (topics[0], topics[1], b"status/", topics[0] + b"x/", b"log-from/%d" % victim["id"]):
            live.send_multipart([topic, mine, own["ticket"].encode()])
        good = msgpack.packb({**self.event(own["id"]["job"], 1, self.name, "evil.bst", "log", "eve works"), "offset": 0})
        live.send_multipart([topics[2], good, own["ticket"].encode()])
        live.send_multipart([topics[3], good, own["ticket"].encode()])
        heard = []
        while sum(b"eve works" in packed for _, packed in heard) < 2:
            self.assertTrue(reader.poll(1000 * TIMEOUT), "what is its own")
            heard.append(reader.recv_multipart())
        self.assertEqual([(topic, packed) for topic, packed in heard if LIE.encode() in packed], [])
        self.assertEqual([topic for topic, packed in heard if b"eve works" in packed], topics[2:4])
        self.wait_until(lambda: any(topic == topics[1] and b"honest words" in packed for topic, packed in heard)
                        or (reader.poll(100) and heard.append(reader.recv_multipart())), "the log of the one that has it")
        self.assertIn("eve may not publish what it did under log/%d/" % victim["id"], self.process_log("sluice-broker"))
        shown = self.start("session", "log", "honest.bst", self.session, cwd=self.at)
        self.wait_until(lambda: "gate 1\n" in shown.stdout, "the log")
        self.comes_out_right(build, victim, own)
        self.assertEqual(shown.wait(), 0, shown)
        self.assertNotIn(LIE, shown.stdout)

    def test_more_than_anybody_has_to_say(self):
        """Messages beyond any that a runner has to send are refused unread; long texts are cut (J101, J102), and stop nobody's records."""
        self.begin()
        one = self.join_one()
        self.eve_joins()
        build, victim, own = self.at_the_gate(one)
        ids = [{"job": number, "attempt": 1} for number in range(100000)]
        for name, body in ((b"STARTED", {"jobs": [{"id": one, "slot": 0, "time": 1} for one in ids]}), (b"HEARTBEAT", {"running": ids}),
                           (b"DRAIN", {"why": "w" * (1 << 20)}), (b"GOODBYE", {"why": "w" * (1 << 20)}), (b"CHATTER", {"text": "t" * (1 << 20)}),
                           (b"HELLO", {"hello": self.hello, "host": "evehost", "slots": 1, "remote": True, "running": ids}),
                           (b"RESULT", {"results": [{"id": own["id"], "status": "failure", "log_tail": "t" * (16 << 20)}]})):
            with self.subTest(name=name):
                self.say(self.jobs, name, **body)
                self.assertEqual(self.hears_job(), (b"REFUSED", {"reason": "malformed"}))
        self.comes_out_right(build, victim, own, "m" * (15 << 20))
        [ended] = self.finished("evil.bst")
        self.assertEqual(len(ended["error"]["message"]), 65536)
        self.assertTrue(ended["error"]["message"].endswith("mm[...]"))
        self.assertEqual([event["outcome"] for event in self.records() if event["type"] == "run.finished"][:2], ["success", "failure"])

    # ---- What was said before

    def test_bytes_of_another_connection(self):
        """What went over another's connections, said again to the last byte, is no handshake: CURVE's keys are of one connection (A2)."""
        self.begin()
        join = self.join_file("runner")
        recorders = {name: Recorder(port) for name, port in join["ports"].items()}
        for recorder in recorders.values():
            self.addCleanup(recorder.close)
        self.write(os.path.join(self.at, "recorded.json"), json.dumps({**join, "ports": {name: one.own for name, one in recorders.items()}}))
        one = self.join_one("recorded.json")
        self.eve_joins()
        build, victim, own = self.at_the_gate(one)
        before = self.sluice("runner", "list", "--json", cwd=self.at).stdout
        count = len(self.records())
        for name in ("jobs", "records", "live-in"):
            said = [bytes(kept) for kept in recorders[name].said if len(kept) > 300]
            self.assertTrue(said, name)
            for kept in said:
                with self.subTest(name=name, bytes=len(kept)):
                    again = socket.create_connection(("127.0.0.1", join["ports"][name]), timeout=TIMEOUT)
                    with again, contextlib.suppress(ConnectionError):
                        again.sendall(kept)
                        answered = b""
                        while chunk := again.recv(65536):
                            answered += chunk
                        # A greeting, a WELCOME that is for other keys, and the end.
                        self.assertLess(len(answered), 300)
        self.assertEqual(len(self.records()), count)
        names = lambda text: sorted((runner["name"], runner["slots"]) for runner in json.loads(text))  # noqa: E731
        self.assertEqual(names(self.sluice("runner", "list", "--json", cwd=self.at).stdout), names(before))
        self.assertEqual(self.started("honest.bst"), victim)
        self.say(self.jobs, b"HEARTBEAT", running=self.in_hand)
        self.comes_out_right(build, victim, own)

    def test_messages_of_earlier_epochs_and_attempts(self):
        """HELLO, RESULT and APPEND, said again to the last byte (J12, J28, R11, R16)."""
        self.begin()
        one = self.join_one()
        self.eve_joins(epoch=5)
        build, victim, first = self.at_the_gate(one)
        link, _ = self.publishes(epoch=5)
        record = msgpack.packb(self.event(first["id"]["job"], 1, self.name, "evil.bst", text="eve works"))
        append = [b"APPEND", msgpack.packb({"first": 1, "types": ["job.message"], "records": [record], "tickets": [first["ticket"]]})]
        result = [b"RESULT", msgpack.packb({"results": [{"id": first["id"], "status": "killed"}]})]
        link.send_multipart(append)
        self.assertEqual(self.hears(link), (b"ACK", {"upto": 1}))
        self.in_hand = []
        self.jobs.send_multipart(result)
        # It was killed by nobody: the attempt is lost, and given again.
        second = None
        while second is None:
            name, body = self.hears_job()
            if name == b"JOB":
                second = body["jobs"][0]
        self.assertEqual(second["id"], {"job": first["id"]["job"], "attempt": 2})
        self.assertNotEqual(second["ticket"], first["ticket"])
        self.in_hand = [second["id"]]
        self.say(self.jobs, b"STARTED", jobs=[{"id": second["id"], "slot": 0, "time": 1}])
        # The same again changes nothing.
        self.jobs.send_multipart(result)
        name, body = self.hears_job()
        self.assertEqual((name, body["jobs"]), (b"RESULT-ACK", [first["id"]]))
        link.send_multipart(append)
        self.assertEqual(self.hears(link), (b"ACK", {"upto": 1}))
        # A ticket is of one attempt.
        later = msgpack.packb(self.event(second["id"]["job"], 2, self.name, "evil.bst"))
        self.say(link, b"APPEND", first=2, types=["job.message"], records=[later], tickets=[first["ticket"]])
        self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "bad-ticket"}))
        # Another epoch of hers; what an earlier one has said is refused, at both ends.
        old = dict(self.hello)
        self.hello["epoch"] = 6
        again, events = self.peer("jobs", self.eve)
        self.assertTrue(self.let_in(events))
        self.jobs, before = again, self.jobs
        self.greet(self.jobs, "WELCOME", running=[second["id"]])
        self.greet(before, "REFUSED", hello=old)
        late, events = self.peer("jobs", self.eve)
        self.assertTrue(self.let_in(events))
        self.assertEqual(self.greet(late, "REFUSED", hello=old, running=[first["id"]])["reason"], "stale-epoch")
        newer, _ = self.publishes(epoch=6)
        self.say(newer, b"APPEND", first=1, types=["job.message"], records=[msgpack.packb(self.event(second["id"]["job"], 2, self.name, "evil.bst", text="eve is new"))],
                 tickets=[second["ticket"]])
        self.assertEqual(self.hears(newer), (b"ACK", {"upto": 1}))
        older, _ = self.publishes(epoch=5)
        older.send_multipart(append)
        self.assertEqual(self.hears(older), (b"REFUSED", {"reason": "stale-epoch"}))
        self.assertEqual([event["text"] for event in self.records() if event["src"] == "eve"], ["eve works", "eve is new"])
        self.comes_out_right(build, victim, second)

    def test_a_runner_whose_records_are_refused(self):
        """It gives up and says why, instead of holding its results back for ever (R18a)."""
        self.begin()
        one = self.join_one()
        # The owner's own machine may use any name; a later epoch makes all that the runner says stale.
        link = self.context.socket(zmq.DEALER)
        link.connect(self.endpoint("records", self.session))
        self.addCleanup(link.close, 0)
        self.say(link, b"HELLO", protocol="records/1", role="runner", instance="one", epoch=2 ** 63)
        self.assertEqual(self.hears(link)[0], b"WELCOME")
        self.say(link, b"APPEND", first=1, types=["message"], records=[msgpack.packb({"v": 1, "type": "message", "time": 1, "text": "x"})])
        self.assertEqual(self.hears(link), (b"ACK", {"upto": 1}))
        build = self.build("honest.bst")
        self.assertEqual(one.wait(), 1, one)
        self.assertIn("the session takes no records of this runner: ", one.stderr)
        self.assertIn("stale-epoch", one.stderr)
        build.signal(9)

    # ---- Another's name

    def test_another_runners_name(self):
        """The name is the key's (A10, A14): HELLO with another one is refused, or counts as of whom it is."""
        self.begin()
        one = self.join_one()
        self.eve_joins()
        build, victim, own = self.at_the_gate(one)
        for epoch in (1, victim["started"], 2 ** 63):
            link, events = self.peer("jobs", self.eve)
            self.assertTrue(self.let_in(events))
            refused = self.greet(link, "REFUSED", hello={**self.hello, "instance": "one", "epoch": epoch}, running=[{"job": victim["id"], "attempt": 1}])
            self.assertEqual(refused["reason"], "instance")
            # Nor is it heard after that.
            self.say(link, b"RESULT", results=[{"id": {"job": victim["id"], "attempt": 1}, "status": "failure"}])
            self.assertEqual(self.hears_job(link), (b"REFUSED", {"reason": "no-hello"}))
            self.say(link, b"GOODBYE", why=LIE)
            self.assertEqual(self.hears_job(link), (b"REFUSED", {"reason": "no-hello"}))
        self.assertIn("eve is refused at the jobs' socket: instance", self.process_log("sluice-scheduler"))
        # At the broker it is who it is: an epoch of the other's isn't used up, and its tickets aren't known.
        link, welcome = self.publishes(epoch=2 ** 63, instance="one")
        self.assertEqual(welcome["acknowledged"], 0)
        honest = msgpack.packb(self.event(victim["id"], 1, "one", "honest.bst"))
        self.say(link, b"APPEND", first=1, types=["job.message"], records=[honest], tickets=[own["ticket"]])
        self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "bad-ticket"}))
        mine = msgpack.packb(self.event(own["id"]["job"], 1, self.name, "evil.bst", text="eve works"))
        self.say(link, b"APPEND", first=1, types=["job.message"], records=[mine], tickets=[own["ticket"]])
        self.assertEqual(self.hears(link), (b"ACK", {"upto": 1}))
        self.assertEqual([event["src"] for event in self.records() if event.get("text") == "eve works"], ["eve"])
        self.assertIsNone(one.poll())
        self.comes_out_right(build, victim, own)
        # What it said until the end is its own, in the log and in order.
        said = [event["seq"] for event in self.records() if event["src"] == "one"]
        self.assertGreater(len(said), 2)
        self.assertEqual(said, list(range(1, len(said) + 1)))


main()
