#!/usr/bin/python3
"""Prints a line for each finished job of a session: collector.py [SESSION] (default: the newest).

Reads the session's records from the first on (spec/records.md), through restarts of
its broker, until the session has ended."""
import os, sys
import msgpack, zmq  # python3-zmq, python3-msgpack

state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
session = sys.argv[1] if len(sys.argv) > 1 else max(os.listdir(state + "/sluice/sessions"))
with open("%s/sluice/sessions/%s/runtime" % (state, session)) as file:
    runtime = file.read().strip()

link = zmq.Context().socket(zmq.DEALER)
link.connect("ipc://%s/records" % runtime)
cursor, silent, ended = 1, 0, False

def say(name, **body):
    link.send_multipart([name, msgpack.packb(body)])

while not ended and silent < 10:
    if not link.poll(3000):
        silent += 1
        continue
    name, *rest = link.recv_multipart()
    body, silent = msgpack.unpackb(rest[0]) if rest else {}, 0
    if name == b"" or (name, body.get("reason")) == (b"REFUSED", "no-hello"):
        say(b"HELLO", protocol="records/1", role="collector", instance="collector-%d" % os.getpid())
    elif name == b"REFUSED":
        sys.exit("the broker refused: " + body["reason"])
    elif name == b"BATCH":
        for record in map(msgpack.unpackb, body["records"][max(0, cursor + len(body["records"]) - body["next"]):]):
            if record["type"] == "job.finished":
                print(record["cursor"], record["element"]["name"], record["job"]["action"], record["outcome"], flush=True)
        cursor, ended = max(cursor, body["next"]), body["ended"]
    if name in (b"WELCOME", b"BATCH") and not ended:
        say(b"NEXT", cursor=cursor, wait_ms=2000)
sys.exit(not ended)
