"""A session that listens on TCP, and those who come there: with a join file, without one, with somebody else's, too often, too slowly
(spec/access.md). The peers are ZeroMQ's own CURVE sockets and plain TCP."""

import json
import os
import socket
import stat
import sys
import time

import msgpack
import zmq

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from access_test_case import AccessTest  # noqa: E402
from sluice_test import TIMEOUT, main  # noqa: E402

SOCKETS = ("control", "records", "live-in", "live-out", "jobs")
CONNECTIONS = 2000


class Access(AccessTest):
    def test_join_files(self):
        session = self.listen()
        for role in ("runner", "observe", "control"):
            path = os.path.join(self.at, role + ".json")
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assertEqual(self.join_file(role)["session"], session)
        self.assertEqual(set(self.join_file("runner")["ports"]), {"control", "records", "live-in", "jobs", "cas"})
        self.assertEqual(set(self.join_file("observe")["ports"]), {"control", "records", "live-out"})
        keys = os.path.join(self.session_directory(session), "access")
        for name in os.listdir(keys):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(keys, name)).st_mode), 0o600, name)

    def test_wrong_join_files(self):
        """Each says what is wrong with it, at once (A40)."""
        self.listen()
        right = self.join_file("runner")

        def says(change, *words):
            join = {**right, **change}
            for name in [name for name, value in join.items() if value is None]:
                del join[name]
            self.write(os.path.join(self.at, "changed.json"), json.dumps(join))
            refused = self.sluice("runner", "join", "changed.json", cwd=self.at, status=1)
            for word in words:
                self.assertIn(word, refused.stderr)
        stranger = zmq.curve_keypair()
        says({"server-key": zmq.curve_keypair()[0].decode()}, "doesn't have the session's key")
        says({"enrolment-public-key": stranger[0].decode(), "enrolment-secret-key": stranger[1].decode()}, "doesn't let this key in")
        says({"sluice-join": 2}, "version 2")
        says({"server-key": None}, "'server-key' is missing")
        says({"server-key": "short"}, "40 characters")
        says({"ports": {"control": 70000}}, "70000 is no port")
        says({"ports": {}}, "has no port for control")
        says({"role": "root"}, "there is no role 'root'")
        self.write(os.path.join(self.at, "changed.json"), "{")
        self.assertIn("is no join file", self.sluice("runner", "join", "changed.json", cwd=self.at, status=1).stderr)
        self.assertIn("lets nobody build", self.sluice("runner", "join", "observe.json", cwd=self.at, status=1).stderr)
        self.assertIn("is for runners", self.sluice("session", "attach", "runner.json", cwd=self.at, status=1).stderr)

    def test_expired(self):
        """A join file that has expired lets nobody in any more (A22)."""
        self.listen("--join-expires", "1s")
        join = self.join_file("runner")
        self.wait_until(lambda: time.time_ns() > join["expires-ns"], "the join file's end")
        self.assertIn("has expired at", self.sluice("runner", "join", "runner.json", cwd=self.at, status=1).stderr)
        link, events = self.peer("control", (join["enrolment-public-key"].encode(), join["enrolment-secret-key"].encode()))
        self.assertFalse(self.let_in(events))

    def test_strangers(self):
        """Whoever has no key, or one that nobody knows, gets no further than the handshake, at each of the sockets (A2, A4)."""
        self.listen()
        for name in SOCKETS:
            kind = {"live-in": zmq.PUB, "live-out": zmq.SUB}.get(name, zmq.DEALER)
            with self.subTest(name=name, keys="a stranger's"):
                self.assertFalse(self.let_in(self.peer(name, zmq.curve_keypair(), kind=kind)[1]))
            with self.subTest(name=name, keys="none"):
                self.assertFalse(self.let_in(self.peer(name, kind=kind)[1]))
            with self.subTest(name=name, keys="for another session"):
                self.assertFalse(self.let_in(self.peer(name, zmq.curve_keypair(), zmq.curve_keypair()[0].decode(), kind=kind)[1]))
        # Keys that may enrol come to one socket; those of an observer not to what is for runners.
        join = self.join_file("runner")
        for name in ("records", "live-in", "live-out", "jobs"):
            kind = {"live-in": zmq.PUB, "live-out": zmq.SUB}.get(name, zmq.DEALER)
            self.assertFalse(self.let_in(self.peer(
                name, (join["enrolment-public-key"].encode(), join["enrolment-secret-key"].encode()), kind=kind)[1]), name)
        observer, _ = self.enrol("observe", "eve")
        self.assertFalse(self.let_in(self.peer("jobs", observer)[1]))
        self.assertFalse(self.let_in(self.peer("live-in", observer, kind=zmq.PUB)[1]))
        self.works()

    def test_an_observer_does_nothing(self):
        """Who may look on may do nothing else, whatever he says that he is (A10, A11)."""
        self.listen()
        keys, name = self.enrol("observe", "eve")
        self.assertEqual(name, "eve")
        link, events = self.peer("control", keys)
        self.assertTrue(self.let_in(events))
        self.say(link, b"HELLO", protocol="control/1", role="scheduler", instance="scheduler", epoch=2 ** 62, service=True)
        self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "not-of-session"}))
        self.say(link, b"HELLO", protocol="control/1", role="client", instance="somebody")
        self.assertEqual(self.hears(link)[0], b"WELCOME")
        for service, command in (("scheduler", "suspend"), ("scheduler", "kill"), ("scheduler", "end"), ("scheduler", "run"),
                                 ("broker", "enrol"), ("broker", "revoke"), ("loader", "load"), ("loader", "write-refs")):
            reply = self.ask(link, service, command)
            self.assertEqual((reply["status"], reply["error"]["reason"]), ("refused", "not-allowed"), command)
        peers = self.ask(link, "broker", "peers")["result"]["peers"]
        self.assertIn("eve", [peer["instance"] for peer in peers])
        self.assertEqual(self.ask(link, "scheduler", "status")["status"], "done")
        # It publishes nothing.
        records, events = self.peer("records", keys)
        self.assertTrue(self.let_in(events))
        self.say(records, b"HELLO", protocol="records/1", role="scheduler", instance="scheduler", epoch=2 ** 62)
        self.assertEqual(self.hears(records)[0], b"WELCOME")
        self.say(records, b"APPEND", first=1, types=["session.ended"], records=[msgpack.packb({"v": 1, "type": "session.ended", "time": 1})])
        self.assertEqual(self.hears(records), (b"REFUSED", {"reason": "not-allowed"}))
        self.works()

    def test_a_runner_says_nothing_but_of_its_own(self):
        """A runner has its own name and no other, and no attempt that it wasn't given (A12, A14)."""
        self.listen()
        keys, name = self.enrol("runner", "scheduler")
        self.assertEqual(name, "scheduler-2")
        jobs, events = self.peer("jobs", keys)
        self.assertTrue(self.let_in(events))
        hello = {"protocol": "jobs/1", "role": "runner", "instance": name, "epoch": 1}
        for wrong, reason in (({"instance": "runner"}, "not-of-session"), ({"instance": "other"}, "instance")):
            self.say(jobs, b"HELLO", hello={**hello, **wrong}, host="h", slots=1, remote=True)
            self.assertEqual(self.hears(jobs), (b"REFUSED", {"reason": reason}))
        # Nor is it of the session's own host, where credentials are.
        self.say(jobs, b"HELLO", hello=hello, host="h", slots=1)
        self.assertEqual(self.hears(jobs), (b"REFUSED", {"reason": "not-allowed"}))
        # Before HELLO nothing is taken.
        self.say(jobs, b"RESULT", results=[])
        self.assertEqual(self.hears(jobs), (b"REFUSED", {"reason": "no-hello"}))

        records, events = self.peer("records", keys)
        self.assertTrue(self.let_in(events))
        self.say(records, b"HELLO", protocol="records/1", role="runner", instance=name, epoch=1)
        self.assertEqual(self.hears(records)[0], b"WELCOME")
        said = msgpack.packb({"v": 1, "type": "job.message", "time": 1, "text": "x",
                              "job": {"id": 1, "action": "build", "attempt": 1, "runner": name, "host": "h", "slot": 0, "started": 0,
                                      "elapsed": 0, "log_file": ""}})
        for body, reason in (({"types": ["job.message"], "records": [said]}, "malformed"),
                             ({"types": ["job.message"], "records": [said], "tickets": ["0" * 32]}, "bad-ticket"),
                             ({"types": ["job.finished"], "records": [said], "tickets": ["0" * 32]}, "not-allowed")):
            self.say(records, b"APPEND", first=1, **body)
            self.assertEqual(self.hears(records), (b"REFUSED", {"reason": reason}))
        self.say(records, b"NEXT", cursor=1)
        self.assertEqual(self.hears(records), (b"REFUSED", {"reason": "not-allowed"}))
        self.works()

    def test_revoked(self):
        """Who was revoked is cut off and stays out; the others come back by themselves (A21, A30)."""
        self.listen()
        eve, _ = self.enrol("observe", "eve")
        ann, _ = self.enrol("observe", "ann")
        links = {}
        for name, keys in (("eve", eve), ("ann", ann)):
            links[name], events = self.peer("control", keys)
            self.assertTrue(self.let_in(events))
            self.say(links[name], b"HELLO", protocol="control/1", role="client", instance=name)
            self.assertEqual(self.hears(links[name])[0], b"WELCOME")
        missing = self.sluice("session", "revoke", "nobody", cwd=self.at, status=1)
        self.assertIn("Nobody was enrolled as 'nobody'", missing.stderr)
        self.sluice("session", "revoke", "eve", cwd=self.at)
        # The other end greets a connection that was made again with an empty message.
        self.assertTrue(self.wait_for_greeting(links["ann"]))
        self.say(links["ann"], b"HELLO", protocol="control/1", role="client", instance="ann")
        self.assertEqual(self.hears(links["ann"])[0], b"WELCOME")
        self.assertFalse(self.let_in(self.peer("control", eve)[1]))
        self.assertEqual(self.ask(links["ann"], "broker", "ping")["status"], "done")
        self.works()

    def wait_for_greeting(self, link):
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            if link.poll(1000) and link.recv_multipart() == [b""]:
                return True
        return False

    def test_a_broker_that_is_started_again_knows_everybody(self):
        """A session listens at the same ports, and knows the same keys, as long as it is resumed (A1)."""
        session = self.listen()
        keys, _ = self.enrol("observe", "eve")
        self.kill("sluice-broker")
        link, events = self.peer("control", keys)
        self.assertTrue(self.let_in(events))
        before = self.ports()
        # All of the session's processes die; it is resumed at the same ports, by the same keys.
        for program in ("sluice-session", "sluice-broker", "sluice-loader", "sluice-scheduler", "sluice-cas"):
            self.kill(program)
        self.wait_until(lambda: not self.pids("sluice-session"), "the session's death")
        resumed = self.start("session", "resume", session, cwd=self.at)
        again, events = self.peer("control", keys)
        self.assertTrue(self.let_in(events))
        self.assertEqual(self.ports(), before)
        resumed.signal(15)
        resumed.wait()

    def test_a_runner_that_joins(self):
        """Its keys stay where they are, and what it is called, from one start to the next (A41, J91)."""
        session = self.listen()
        epochs = []
        for _ in range(2):
            runner = self.start("runner", "join", "runner.json", "--name", "one", "--idle", "1s", cwd=self.at)
            self.assertEqual(runner.wait(), 0, runner)
            self.assertIn("as one,", runner.stderr)
            place = os.path.join(self.env["XDG_STATE_HOME"], "sluice/joined", session + "-one")
            self.assertEqual(stat.S_IMODE(os.stat(place).st_mode), 0o700)
            for name in ("joined", "tls.key", "tls.crt", "cas.crt", "outbox-one.log"):
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(place, name)).st_mode), 0o600, name)
            with open(os.path.join(place, "joined"), "rb") as file:
                epochs.append(msgpack.unpackb(file.read())["epoch"])
        self.assertLess(*epochs)

    def test_a_runner_that_is_revoked(self):
        """It ends, and says why (J94)."""
        self.listen()
        runner = self.start("runner", "join", "runner.json", "--name", "one", cwd=self.at)
        self.wait_until(lambda: "one" in self.sluice("runner", "list", cwd=self.at).stdout, "the runner")
        self.sluice("session", "revoke", "one", cwd=self.at)
        self.assertEqual(runner.wait(), 1)
        self.assertIn("its key was revoked", runner.stderr)
        again = self.sluice("runner", "join", "runner.json", "--name", "one", cwd=self.at, status=1)
        self.assertIn("This key was revoked", again.stderr)

    def test_crowds_and_loiterers(self):
        """Connections that say nothing, or a byte at a time, keep nobody out for long."""
        self.listen()
        crowd = []
        self.addCleanup(lambda: [one.close() for one in crowd])
        for _ in range(CONNECTIONS):
            one = socket.create_connection(("127.0.0.1", self.ports()["control"]), timeout=TIMEOUT)
            one.setblocking(False)
            crowd.append(one)
        self.works()
        loiterer = socket.create_connection(("127.0.0.1", self.ports()["control"]), timeout=TIMEOUT)
        self.addCleanup(loiterer.close)
        loiterer.sendall(b"\xff")
        self.enrol("observe", "eve")
        # A handshake has ten seconds.
        loiterer.settimeout(TIMEOUT)
        read = b"x"
        while read:
            try:
                read = loiterer.recv(4096)
            except ConnectionResetError:
                break
        self.works()


main()
