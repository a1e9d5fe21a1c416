"""What tests of `sluice web` and `sluice report` share: a project with gates, the server, requests and event streams."""

import http.client
import json
import os
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import TIMEOUT, SluiceTest  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

HOSTILE = "<img src=x onerror=window.hacked=1></script><script>window.hacked=2</script>"


class Stream:
    """A server-sent stream, read by a thread of its own. `events`: (type, id, data)."""

    def __init__(self, connection, socket, answer):
        self.connection, self.socket, self.answer = connection, socket, answer
        self.events, self.ended = [], False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        kind, data, last = "", [], ""
        try:
            for raw in self.answer:
                line = raw.decode().rstrip("\n")
                field, _, value = line.partition(": ")
                if field == "event":
                    kind = value
                elif field == "id":
                    last = value
                elif field == "data":
                    data.append(value)
                elif line == "":
                    if data:
                        self.events.append((kind or "message", last, "\n".join(data)))
                    kind, data = "", []
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass
        self.ended = True

    def messages(self):
        """The events of records, one by one, and the id of the last message."""
        found, last = [], None
        for kind, position, data in list(self.events):
            if kind == "message":
                found += json.loads(data)
                last = position
        return found, last

    def has(self, kind):
        return any(each[0] == kind for each in list(self.events))

    def close(self):
        try:
            self.socket.shutdown(2)
        except OSError:
            pass
        self.connection.close()
        self.thread.join(TIMEOUT)


class WebTest(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF,
            "elements/base.bst": BASE,
            "elements/first.bst": manual("first", "echo one"),
            "elements/slow.bst": manual("slow", "echo before", gate(1), "echo after"),
            "elements/last.bst": manual("last", depends=["slow.bst"]),
            "elements/bad.bst": manual("bad", "echo '%s'" % HOSTILE.replace("'", ""), gate(2)),
        })
        busybox_base(self.at)

    def serve(self, *arguments):
        self.web = self.start("web", "--no-open", *arguments, cwd=self.at)
        self.address = self.wait_until(lambda: re.match(r"http://127\.0\.0\.1:(\d+)/\?token=([0-9a-f]{64})(#\S*)?\n", self.web.stdout), "the address")
        self.port, self.token = int(self.address[1]), self.address[2]
        status, headers, _ = self.ask("GET", "/?token=" + self.token, cookie=None)
        self.assertEqual(status, 200)
        self.cookie = headers["Set-Cookie"].split(";")[0]
        return headers

    def connect(self, method, path, body=None, headers=(), cookie=""):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        sent = dict(headers)
        if cookie is not None:
            sent["Cookie"] = cookie or self.cookie
        connection.request(method, path, body, sent)
        # An answer that is the last one takes the socket away from its connection.
        self.socket = connection.sock
        return connection, connection.getresponse()

    def ask(self, method, path, body=None, headers=(), cookie=""):
        connection, answer = self.connect(method, path, body, headers, cookie)
        try:
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def stream(self, path, position=None):
        connection, answer = self.connect("GET", path, headers={} if position is None else {"Last-Event-ID": position})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        stream = Stream(connection, self.socket, answer)
        self.addCleanup(stream.close)
        return stream

    def steer(self, session, **what):
        return self.ask("POST", f"/s/{session}/steer", json.dumps(what), {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{self.port}"})
