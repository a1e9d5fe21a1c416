"""Somebody who was let in to look on, and would use up the session (spec/access.md, A20a, A33; spec/records.md, R2a, R20a, R51b): what he asks for and doesn't
read, the connections that he makes, what he says of himself. The session's own processes go on, and the broker stays small."""

import os
import resource
import socket
import sys
import time

import msgpack
import zmq

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from access_test_case import AccessTest  # noqa: E402
from sluice_test import TIMEOUT, main  # noqa: E402

RECORDS = 100
RECORD = 300 * 1024
READERS = 16
ASKED = 400
OF_KEY = 64


class HostileObserver(AccessTest):
    def setUp(self):
        super().setUp()
        self.session = self.listen()

    def own(self, name, instance, kind=zmq.DEALER, role="client"):
        """A link of the session's own machine that was welcomed."""
        link = self.context.socket(kind)
        link.connect(self.endpoint(name, self.session))
        self.addCleanup(link.close, 0)
        if kind == zmq.DEALER:
            self.say(link, b"HELLO", protocol=name + "/1", role=role, instance=instance, epoch=1)
            self.assertEqual(self.hears(link)[0], b"WELCOME")
        return link

    def broker_bytes(self):
        pid, = self.pids("sluice-broker")
        with open("/proc/%d/status" % pid, encoding="utf-8") as file:
            return max(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

    def test_asks_for_everything_and_reads_nothing(self):
        """What is kept for him is bounded; others read all, and publishers are answered (R20a)."""
        publisher = self.own("records", "filler", role="runner")
        record = msgpack.packb({"v": 1, "type": "message", "time": 1, "level": "debug", "text": "x" * RECORD})
        for first in range(1, RECORDS + 1):
            self.say(publisher, b"APPEND", first=first, types=["message"], records=[record])
            self.assertEqual(self.hears(publisher), (b"ACK", {"upto": first}))
        before = self.broker_bytes()
        eve, _ = self.enrol("observe", "eve")
        links = []
        for number in range(READERS):
            link = self.context.socket(zmq.DEALER)
            link.rcvhwm, link.sndhwm, link.rcvbuf = 1, 2 * ASKED, 64 * 1024
            link.curve_serverkey = self.join_file("observe")["server-key"].encode()
            link.curve_publickey, link.curve_secretkey = eve
            link.connect("tcp://127.0.0.1:%d" % self.ports()["records"])
            self.addCleanup(link.close, 0)
            self.say(link, b"HELLO", protocol="records/1", role="collector", instance="x%d" % number)
            for _ in range(ASKED):
                self.say(link, b"NEXT", cursor=1, max=4096, wait_ms=0)
            # The last one shows that all were taken.
            self.say(link, b"NEXT", cursor=2, max=4096, wait_ms=0)
            links.append(link)
        control = self.own("control", "looks")

        def taken():
            peers = self.ask(control, "broker", "peers")["result"]["peers"]
            return sum(peer["instance"] == "eve" and peer["cursor"] == 2 for peer in peers) == READERS
        self.wait_until(taken, "all that is asked for")
        # READERS * ASKED answers of a MiB would be 6 GiB.
        self.assertLess(self.broker_bytes() - before, (READERS * 4 + 64) << 20)
        # Who reads gets everything, and so does who publishes.
        reader = self.own("records", "reads", role="collector")
        cursor, texts = 1, 0
        while texts < RECORDS:
            self.say(reader, b"NEXT", cursor=cursor, max=4096, wait_ms=1000)
            name, batch = self.hears(reader)
            self.assertEqual(name, b"BATCH")
            texts += sum(len(packed) > RECORD for packed in batch["records"])
            self.assertEqual(batch["next"], cursor + len(batch["records"]))
            cursor = batch["next"]
        self.say(publisher, b"APPEND", first=RECORDS + 1, types=["message"], records=[record])
        self.assertEqual(self.hears(publisher), (b"ACK", {"upto": RECORDS + 1}))
        # So does eve, when she reads: what she asked for last comes last.
        for link in links[:2]:
            wanted = None
            while wanted != 2:
                name, batch = self.hears(link)
                if name == b"BATCH":
                    wanted = batch["next"] - len(batch["records"])
        self.works()

    def test_names_a_long_host(self):
        """It is refused, and nothing of it is kept (A20a)."""
        path = os.path.join(self.session_directory(self.session), "access/list")
        join = self.join_file("observe")
        link, events = self.peer("control", (join["enrolment-public-key"].encode(), join["enrolment-secret-key"].encode()))
        self.assertTrue(self.let_in(events))
        self.say(link, b"HELLO", protocol="control/1", role="client", instance="x")
        self.assertEqual(self.hears(link)[0], b"WELCOME")
        size = os.path.getsize(path)
        for host in ("h" * (4 << 20), "a\nb", "h" * 256):
            reply = self.ask(link, "broker", "enrol", public_key=zmq.curve_keypair()[0].decode(), name="eve", host=host)
            self.assertEqual((reply["status"], reply["error"]["reason"]), ("refused", "bad-host"))
        self.assertEqual(os.path.getsize(path), size)
        reply = self.ask(link, "broker", "enrol", public_key=zmq.curve_keypair()[0].decode(), name="eve", host="h" * 255)
        self.assertEqual(reply["result"]["name"], "eve")
        self.works()

    def test_takes_others_subscriptions_back(self):
        """A subscription is ended by whoever has it (R51b)."""
        eve, _ = self.enrol("observe", "eve")
        publisher = self.own("live-in", "", zmq.XPUB)
        reader = self.own("live-out", "", zmq.SUB)
        reader.subscribe("status/")
        self.assertTrue(reader.poll(1000 * TIMEOUT), "the status")
        # An XSUB whose queue has room for one subscription says the end of the others all the same.
        raw = self.context.socket(zmq.XSUB)
        raw.sndhwm = 1
        raw.curve_serverkey = self.join_file("observe")["server-key"].encode()
        raw.curve_publickey, raw.curve_secretkey = eve
        for topic in (b"a/", b"log/", b"status/"):
            raw.send(b"\1" + topic)
        self.addCleanup(raw.close, 0)
        events = raw.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self.addCleanup(events.close, 0)
        raw.connect("tcp://127.0.0.1:%d" % self.ports()["live-out"])
        self.assertTrue(self.let_in(events))
        # Then its queue has room again.
        heard = None
        while heard != b"\1a/":
            self.assertTrue(publisher.poll(1000 * TIMEOUT), "the subscription")
            heard = publisher.recv()
        raw.send(b"\0status/")
        self.assertTrue(events.poll(1000 * TIMEOUT), "the end of the connection")
        while reader.poll(0):
            reader.recv_multipart()
        for _ in range(3):
            self.assertTrue(reader.poll(1000 * TIMEOUT), "the status")
            self.assertTrue(reader.recv_multipart()[0].startswith(b"status/"))

    def test_many_connections_of_one_key(self):
        """64 of them are peers, and the others' room isn't hers (R2a)."""
        eve, _ = self.enrol("observe", "eve")
        answers = []
        for _ in range(OF_KEY + 1):
            link, _ = self.peer("control", eve)
            self.say(link, b"HELLO", protocol="control/1", role="client", instance="x")
            answers.append(self.hears(link))
        self.assertEqual([name for name, _ in answers], [b"WELCOME"] * OF_KEY + [b"REFUSED"])
        self.assertEqual(answers[-1][1], {"reason": "too-many-peers"})
        ann, _ = self.enrol("observe", "ann")
        link, _ = self.peer("control", ann)
        self.say(link, b"HELLO", protocol="control/1", role="client", instance="x")
        self.assertEqual(self.hears(link)[0], b"WELCOME")
        self.works()

    def test_more_connections_than_there_are_descriptors(self):
        """Half of them are the session's own (A33)."""
        pid, = self.pids("sluice-broker")
        few = 256
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
        crowd = []
        self.addCleanup(lambda: [one.close() for one in crowd])
        for _ in range(2 * few):
            one = socket.create_connection(("127.0.0.1", self.ports()["control"]), timeout=TIMEOUT)
            one.setblocking(False)
            crowd.append(one)

        def turned_away():
            count = 0
            for one in crowd:
                try:
                    count += one.recv(1024) == b""
                except BlockingIOError:
                    pass
                except OSError:
                    count += 1
            return count > few // 2
        self.wait_until(turned_away, "connections that are refused")
        self.assertLess(len(os.listdir("/proc/%d/fd" % pid)), few * 3 // 4)
        self.works()
        self.assertEqual(self.pids("sluice-broker"), [pid])
        # A handshake has ten seconds: then there is room again.
        for one in crowd:
            one.close()
        deadline = time.monotonic() + TIMEOUT
        while len(os.listdir("/proc/%d/fd" % pid)) > few // 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.enrol("observe", "eve")


main()
