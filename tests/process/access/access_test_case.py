"""A session that listens on TCP, and peers that are ZeroMQ's own CURVE sockets: what the tests of this folder share."""

import json
import os
import sys

import msgpack
import zmq
from zmq.utils import monitor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import TIMEOUT, SluiceTest  # noqa: E402

PROJECT = {"project.conf": "name: joined\nmin-version: 2.0\nelement-path: elements\n", "elements/a.bst": "kind: stack\n"}


class AccessTest(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)

    def listen(self, *options):
        """Starts a session that listens on ports of the system's choice."""
        started = self.sluice("session", "start", "--listen", "tcp://127.0.0.1:0", "--join-files", self.at, *options, cwd=self.at)
        return started.stdout.strip()

    def join_file(self, role):
        with open(os.path.join(self.at, role + ".json"), encoding="utf-8") as file:
            return json.load(file)

    def ports(self):
        """The ports of all sockets: no join file has them all."""
        return {**self.join_file("observe")["ports"], **self.join_file("runner")["ports"]}

    def peer(self, name, keys=None, server=None, kind=zmq.DEALER):
        """A socket that connects to the session's socket `name`, by `keys` (public, secret) or none, and its monitor."""
        link = self.context.socket(kind)
        if keys:
            link.curve_serverkey = (server or self.join_file("runner")["server-key"]).encode()
            link.curve_publickey, link.curve_secretkey = keys
        events = link.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
                                         | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        link.connect("tcp://127.0.0.1:%d" % self.ports()[name])
        self.addCleanup(link.close, 0)
        self.addCleanup(events.close, 0)
        return link, events

    def let_in(self, events):
        self.assertTrue(events.poll(1000 * TIMEOUT), "no handshake")
        return monitor.recv_monitor_message(events)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def say(self, link, name, **body):
        link.send_multipart([name, msgpack.packb(body)])

    def hears(self, link):
        """The next message that is neither a probe nor a heartbeat."""
        while True:
            self.assertTrue(link.poll(1000 * TIMEOUT), "no answer")
            name, *rest = link.recv_multipart()
            if name not in (b"", b"HEARTBEAT"):
                return name, msgpack.unpackb(rest[0])

    def ask(self, link, service, command, **arguments):
        """What the session answers to a request."""
        self.count = getattr(self, "count", 0) + 1
        request = {"id": "q%d" % self.count, "service": service, "command": command}
        if arguments:
            request["arguments"] = arguments
        self.say(link, b"REQUEST", **request)
        name, reply = self.hears(link)
        self.assertEqual(name, b"REPLY")
        return reply

    def enrol(self, role, name):
        """Keys that were enrolled by the join file of that role; and the name that they have."""
        join = self.join_file(role)
        link, events = self.peer("control", (join["enrolment-public-key"].encode(), join["enrolment-secret-key"].encode()))
        self.assertTrue(self.let_in(events))
        self.say(link, b"HELLO", protocol="control/1", role="client", instance="x")
        self.assertEqual(self.hears(link)[0], b"WELCOME")
        keys = zmq.curve_keypair()
        reply = self.ask(link, "broker", "enrol", public_key=keys[0].decode(), name=name)
        self.assertEqual(reply["status"], "done", reply)
        return keys, reply["result"]["name"]

    def works(self):
        """The session does what its owner says."""
        self.sluice("session", "suspend", cwd=self.at)
        self.sluice("session", "resume", cwd=self.at)
