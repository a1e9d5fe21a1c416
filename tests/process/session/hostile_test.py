"""Peers that claim to be what they aren't, and send more than anybody may, to a session that builds."""

import os
import socket
import sys

import msgpack
import zmq

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from sluice_test import TIMEOUT, SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

HUGE = 2 ** 63 - 1
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def command(name, body):
    return bytes([4, len(name) + 1 + len(body), len(name)]) + name + body


def property_of(name, value):
    return bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value


class Hostile(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({"project.conf": CONF, "elements/base.bst": BASE, "elements/slow.bst": manual("slow", gate(1)),
                                "elements/after.bst": manual("after", depends=["slow.bst"])})
        busybox_base(self.at)
        self.context = zmq.Context()
        self.links = []
        self.addCleanup(self.context.destroy, 0)
        self.build = self.start("build", "after.bst", cwd=self.at)
        self.wait_at_gate(1)

    def peer(self, endpoint):
        link = self.context.socket(zmq.DEALER)
        link.connect(self.endpoint(endpoint))
        self.links.append(link)
        return link

    def say(self, link, name, **body):
        link.send_multipart([name, msgpack.packb(body)])

    def hears(self, link, *but):
        """The next message that is neither a probe nor a heartbeat."""
        while True:
            self.assertTrue(link.poll(1000 * TIMEOUT), "no answer")
            name, *rest = link.recv_multipart()
            if name not in (b"", b"HEARTBEAT", *but):
                return name, msgpack.unpackb(rest[0])

    def finish(self):
        """The session can be suspended and resumed, and its build ends well, whatever the hostile peer said."""
        self.sluice("session", "suspend", cwd=self.at)
        self.sluice("session", "resume", cwd=self.at)
        self.open_gate(1)
        self.assertEqual(self.build.wait(), 0)
        self.assertIn("Build Queue: processed 3", self.build.stderr)
        self.assert_nothing_left()

    def test_a_scheduler_that_is_none(self):
        """Neither control nor records are taken from the supervisor's children by their names (control C3, records R2)."""
        for role in ("scheduler", "loader"):
            link = self.peer("control")
            self.say(link, b"HELLO", protocol="control/1", role=role, instance=role, epoch=HUGE, service=True)
            self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "not-of-session"}))
            self.say(link, b"REPLY", id="1", status="done", source="x")
            self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "no-hello"}))
        for instance in ("scheduler", "loader", "runner", "broker"):
            link = self.peer("records")
            self.say(link, b"HELLO", protocol="records/1", role="client", instance=instance, epoch=HUGE)
            self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "not-of-session"}))
            self.say(link, b"APPEND", first=1, types=["message"], records=[msgpack.packb({"type": "message"})])
            self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "no-hello"}))
        link = self.peer("jobs")
        self.say(link, b"HELLO", hello={"protocol": "jobs/1", "role": "runner", "instance": "runner", "epoch": HUGE}, host="elsewhere", slots=1000)
        self.assertEqual(self.hears(link), (b"REFUSED", {"reason": "not-of-session"}))
        self.finish()

    def memory_of(self, pid):
        with open("/proc/%d/statm" % pid, encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def test_a_message_without_end(self):
        """A message that never ends: the connection is reset before the message fills the receiver's memory (records R5a)."""
        for endpoint, program in (("records", "sluice-broker"), ("control", "sluice-broker"), ("live-in", "sluice-broker"),
                                  ("live-out", "sluice-broker"), ("jobs", "sluice-scheduler")):
            (pid,) = self.pids(program)
            before = self.memory_of(pid)
            kind = {"live-in": b"XPUB", "live-out": b"SUB"}.get(endpoint, b"DEALER")
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(TIMEOUT)
                peer.connect(self.endpoint(endpoint)[len("ipc://"):])
                peer.sendall(GREETING + command(b"READY", property_of(b"Socket-Type", kind) + property_of(b"Identity", b"")))
                with self.assertRaises(OSError):
                    for _ in range(10_000):
                        peer.sendall(b"\x01\x00" * 10_000)  # frames of nothing, each with MORE
            self.assertEqual(self.pids(program), [pid])
            self.assertLess(self.memory_of(pid) - before, 64 << 20)
        self.finish()


if __name__ == "__main__":
    main()
