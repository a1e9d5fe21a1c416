"""`sluice collect`: every record gets to every destination, though the broker and the destinations are killed meanwhile."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from http_ends import HttpEnd  # noqa: E402
from otlp import spans  # noqa: E402
from record_log import RecordLog  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

JOURNALD = "/lib/systemd/systemd-journald"
# Its directories are the test's, in a mount namespace of its own.
START_JOURNALD = """
mount --make-rprivate / && mount --bind "$1/systemd" /run/systemd && mount --bind "$1/log" /run/log &&
exec %s
""" % JOURNALD
SYSLOG = re.compile(r"<(\d+)>1 (\S+) (\S+) sluice (\S+) (\S+) \[sluice@32473((?: [a-z_]+=\"(?:[^\"\\\]]|\\.)*\")*)\] \ufeff?(.*)")
PARAMETER = re.compile(r' ([a-z_]+)="((?:[^"\\]|\\.)*)"')


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class LinesEnd:
    """A TCP or unix server that keeps the lines of connections; one that was broken off by go_away() leaves what it had read."""

    def __init__(self, path=None):
        self.path, self.port, self.lines = path, 0, []
        self.come_back()

    def come_back(self):
        end = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    if line.endswith(b"\n"):
                        end.lines.append(line)

        if self.path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self.server = socketserver.ThreadingUnixStreamServer(self.path, Handler)
        else:
            socketserver.ThreadingTCPServer.allow_reuse_address = True
            self.server = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Handler)
            self.port = self.server.server_address[1]
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def go_away(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def check_loki(path, body):
    """What Loki's push API takes, and no more labels than there may be."""
    if path != "/loki/api/v1/push" or set(body) != {"streams"}:
        raise ValueError(path)
    seen = set()
    for stream in body["streams"]:
        if set(stream) != {"stream", "values"} or set(stream["stream"]) != {"service_name", "project", "level"}:
            raise ValueError(stream["stream"])
        labels = tuple(sorted(stream["stream"].items()))
        if labels in seen or stream["stream"]["level"] not in ("debug", "info", "warn", "error", "critical"):
            raise ValueError(labels)
        seen.add(labels)
        for time, line in stream["values"]:
            if not re.fullmatch("[0-9]{19}", time) or str(json.loads(line)["time"]) != time:
                raise ValueError(time)


class CollectTest(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        elements = {"elements/e%d.bst" % i: manual("e%d" % i, gate(i % 2 + 1)) for i in range(4)}
        self.at = self.project({"project.conf": CONF, "elements/base.bst": BASE, "elements/quick.bst": manual("quick"),
                                "elements/bad.bst": manual("bad", "false"), **elements,
                                "elements/all.bst": "kind: stack\ndepends:\n" + "".join("- e%d.bst\n" % i for i in range(4)) + "- bad.bst\n"})
        busybox_base(self.at)

    # ---- Ends, each with a way to say which cursors it has got, and to be killed and begun again.

    def collect(self, *arguments, cursors=None):
        more = ("--cursor-file", os.path.join(self.directory, cursors)) if cursors else ()
        return self.start("collect", *arguments, *more, cwd=self.at)

    def journald(self):
        top = os.path.join(self.directory, "jd")
        os.makedirs(os.path.join(top, "systemd/journal"))
        os.makedirs(os.path.join(top, "log"))
        self.write("jd/systemd/journald.conf.d/test.conf", "[Journal]\nStorage=volatile\nForwardToSyslog=no\nReadKMsg=no\nAudit=no\n"
                   "RateLimitIntervalSec=0\nRuntimeMaxUse=50M\n")
        at = os.path.join(top, "systemd/journal/socket")

        def begin():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(at)
            self.start("-m", "sh", "-c", START_JOURNALD, "sh", top, program=shutil.which("unshare"))
            self.wait_until(lambda: os.path.exists(at), "journald's socket")

        def entries():
            done = subprocess.run(["journalctl", "-D", os.path.join(top, "log/journal"), "-o", "json", "--no-pager", "--output-fields="
                                   "MESSAGE,PRIORITY,SLUICE_CURSOR,SLUICE_SESSION,SLUICE_ELEMENT,SLUICE_TYPE,SLUICE_OUTCOME"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            found = [json.loads(line) for line in done.stdout.splitlines()]
            return [one for one in found if "SLUICE_CURSOR" in one]

        begin()
        return at, entries, lambda: self.kill("systemd-journald"), begin

    def rsyslog(self):
        out = os.path.join(self.directory, "rsyslog.out")
        port, local = free_port(), os.path.join(self.directory, "log.sock")
        config = self.write("rsyslog.conf", 'module(load="imtcp")\nmodule(load="imudp")\nmodule(load="imuxsock" SysSock.Use="off")\n'
                            'input(type="imtcp" port="%d" address="127.0.0.1")\ninput(type="imudp" port="%d" address="127.0.0.1")\n'
                            'input(type="imuxsock" Socket="%s" UseSpecialParser="off" ParseHostname="on" RateLimit.Interval="0")\n'
                            'template(name="raw" type="string" string="%%rawmsg%%\\n")\n'
                            '*.* action(type="omfile" file="%s" template="raw")\n' % (port, port, local, out))

        def begin():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(local)
            self.start("-n", "-f", config, "-i", os.path.join(self.directory, "rsyslog.pid"), program=shutil.which("rsyslogd"))
            self.wait_until(lambda: os.path.exists(local) and self.listens(port), "rsyslogd")

        def cursors():
            if not os.path.exists(out):
                return []
            with open(out, encoding="utf-8") as file:
                return [self.parsed_syslog(line) for line in file if line.endswith("\n") and "sluice@32473" in line]

        begin()
        # In order: it writes what it has read first.
        return port, local, cursors, lambda: self.kill("rsyslogd", signal.SIGTERM), begin

    @staticmethod
    def listens(port):
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0

    def parsed_syslog(self, line):
        line = re.sub(r"#(\d{3})", lambda code: chr(int(code[1], 8)), line.rstrip("\n"))
        parsed = SYSLOG.fullmatch(line)
        self.assertTrue(parsed, line)
        fields = dict(PARAMETER.findall(parsed[6]))
        self.assertEqual(fields["type"], parsed[5])
        self.assertEqual(fields["session"], parsed[4])
        return fields

    def hook(self):
        out = os.path.join(self.directory, "hooked")
        return "cat >> %s; test $SLUICE_CURSOR != 5 || exit 3" % out, lambda: self.json_lines(out)

    @staticmethod
    def json_lines(path):
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    # ---- Tests

    def session_log(self, session):
        return RecordLog(os.path.join(self.session_directory(session), "records.log")).read()

    def test_nothing_is_lost(self):
        """All kinds at once, of one session: its broker is killed twice, each destination once, and each collector once."""
        loki, otlp = HttpEnd(check_loki, (204, b"")), HttpEnd(lambda _, body: spans(body))
        lines, local_lines = LinesEnd(), LinesEnd(os.path.join(self.directory, "lines.sock"))
        command, hooked = self.hook()
        kinds = {"ndjson": ("ndjson", "tcp://127.0.0.1:%d" % lines.port), "unix": ("ndjson", "unix:" + local_lines.path),
                 "loki": ("loki", loki.url), "otlp": ("otlp", otlp.url), "exec": ("exec", command, "--jobs", "4")}
        got = {"ndjson": lambda: [json.loads(line)["cursor"] for line in list(lines.lines)],
               "unix": lambda: [json.loads(line)["cursor"] for line in list(local_lines.lines)],
               "loki": lambda: [json.loads(line)["cursor"] for _, body in list(loki.posts) for stream in body["streams"]
                                for _, line in stream["values"]],
               "exec": lambda: [record["cursor"] for record in hooked()]}
        ends = [(lines.go_away, lines.come_back), (local_lines.go_away, local_lines.come_back), (loki.go_away, loki.come_back),
                (otlp.go_away, otlp.come_back)]
        for one in (loki, otlp, lines, local_lines):
            self.addCleanup(one.go_away)
        entries = None
        if os.path.exists(JOURNALD) and os.geteuid() == 0:
            at, entries, stop, begin = self.journald()
            kinds["journald"] = ("journald", at)
            got["journald"] = lambda: [int(one["SLUICE_CURSOR"]) for one in entries()]
            ends.append((stop, begin))
        if shutil.which("rsyslogd"):
            port, local, cursors, stop, begin = self.rsyslog()
            kinds["syslog"] = ("syslog", "tcp://127.0.0.1:%d" % port)
            got["syslog"] = lambda: [int(one["cursor"]) for one in cursors()]
            ends.append((stop, begin))

        started = self.sluice("session", "start", cwd=self.at)
        session = self.sessions()[-1]
        self.assertIn(session, started.stdout + started.stderr)
        running = {name: self.collect(*arguments, "--session", session, cursors=name + ".cursors") for name, arguments in kinds.items()}
        build = self.start("--on-error", "continue", "--builders", "2", "build", "--session", session, "all.bst", cwd=self.at)
        self.wait_at_gate(1)
        for name, of in got.items():
            self.wait_until(lambda of=of: len(set(of())) > 5, "the first records at " + name)
        self.kill("sluice-broker")
        # Every destination is gone, and more happens.
        for stop, _ in ends:
            stop()
        self.open_gate(1)
        self.wait_at_gate(2)
        self.kill("sluice-broker")
        for name in kinds:
            if name != "exec":
                self.wait_until(lambda name=name: "tried again" in running[name].stderr, "%s to say that its destination is gone" % name)
        for name, collector in running.items():
            collector.signal(signal.SIGKILL)
            collector.wait()
        running = {name: self.collect(*arguments, "--session", session, cursors=name + ".cursors") for name, arguments in kinds.items()}
        for _, begin in ends:
            begin()
        while build.poll() is None:
            for number in (1, 2):
                for pid in self.at_gate(number):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGUSR1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                build.process.wait(0.05)
        self.sluice("session", "stop", session, cwd=self.at)
        for name, collector in running.items():
            self.assertEqual(collector.wait(), 0, collector)
        log = self.session_log(session)
        every = set(range(1, len(log) + 1))
        for name, of in got.items():
            self.wait_until(lambda of=of: every <= set(of()), "all %d records at %s" % (len(log), name), 20)
            self.assertEqual(set(of()), every, name)
            print("%s: %d records, %d of them twice, 0 lost" % (name, len(every), len(of()) - len(every)), flush=True)
        jobs = {(r["job"]["id"], r["job"]["attempt"]) for r in log if r["type"] == "job.finished"}
        sent = [one for _, body in otlp.posts for one in spans(body)]
        self.assertEqual({tuple(map(int, one.attributes["cicd.pipeline.task.run.id"].split("."))) for one in sent
                          if "cicd.pipeline.task.run.id" in one.attributes}, jobs)
        self.assertEqual(len([one for one in sent if one.parent is None]), 1)
        self.assertEqual(loki.wrong + otlp.wrong, [])
        if entries:
            self.check_journal(entries(), log)
        self.assertIn("ended with status 3", "".join(str(one) for one in self._backgrounds))

    def check_journal(self, entries, log):
        by_cursor = {int(one["SLUICE_CURSOR"]): one for one in entries}
        for cursor, record in enumerate(log, 1):
            entry = by_cursor[cursor]
            self.assertEqual(entry["SLUICE_TYPE"], record["type"])
            if "element" in record:
                self.assertEqual(entry["SLUICE_ELEMENT"], record["element"]["name"])
            if record["type"] == "job.finished" and record["outcome"] == "failure":
                self.assertEqual((entry["PRIORITY"], entry["SLUICE_OUTCOME"]), ("3", "failure"))
                self.assertIn("[build:bad.bst]", entry["MESSAGE"])

    def test_sessions_that_come_and_go(self):
        """Without a session: all that begin while it runs, and while it is away."""
        lines = LinesEnd()
        self.addCleanup(lines.go_away)
        address = "tcp://127.0.0.1:%d" % lines.port

        def got():
            found = {}
            for line in list(lines.lines):
                record = json.loads(line)
                found.setdefault(record["session"]["id"], set()).add(record["type"])
            return found

        self.sluice("build", "base.bst", cwd=self.at)
        before = self.sessions()
        collector = self.collect("ndjson", address, "--types", "run.*,session.ended", cursors="all")
        self.wait_until(lambda: os.path.exists(os.path.join(self.directory, "all")), "the cursor file")
        self.sluice("build", "quick.bst", cwd=self.at)
        first = self.sessions()[-1]
        self.wait_until(lambda: "session.ended" in got().get(first, ()), "the first session")
        collector.signal(signal.SIGTERM)
        self.assertEqual(collector.wait(), 0)
        self.sluice("build", "bad.bst", cwd=self.at, status=None)
        second = self.sessions()[-1]
        collector = self.collect("ndjson", address, "--types", "run.*,session.ended", cursors="all")
        self.wait_until(lambda: "session.ended" in got().get(second, ()), "the session that it had missed")
        self.assertNotIn(before[-1], got())
        self.assertTrue(all(one <= {"run.started", "run.planned", "run.finished", "session.ended"} for one in got().values()), got())
        counted = [json.loads(line)["session"]["id"] for line in lines.lines if json.loads(line)["type"] == "session.ended"]
        self.assertEqual(sorted(counted), [first, second])
        # Nobody else keeps his place in the same file.
        other = self.sluice("collect", "ndjson", address, "--cursor-file", os.path.join(self.directory, "all"), cwd=self.at, status=1)
        self.assertIn("Another collector", other.stderr)

    def test_syslog_and_hooks(self):
        self.sluice("build", "quick.bst", cwd=self.at)
        session = self.sessions()[-1]
        log = self.session_log(session)
        of_jobs = [number for number, r in enumerate(log, 1) if r["type"] == "job.finished"]
        if shutil.which("rsyslogd"):
            port, local, cursors, _, _ = self.rsyslog()
            for address in (local, "udp://127.0.0.1:%d" % port):
                before = len(cursors())
                self.sluice("collect", "syslog", address, "--session", session, "--types", "job.finished", cwd=self.at)
                self.wait_until(lambda: len(cursors()) >= before + len(of_jobs), "rsyslog by " + address)
                self.assertEqual([int(one["cursor"]) for one in cursors()[before:]], of_jobs)
        # A hook that asks for another try gets it, one that takes too long is killed, and neither keeps the rest.
        tries = os.path.join(self.directory, "tries")
        done = self.sluice("collect", "exec", "echo $SLUICE_TYPE >> %s; test $(wc -l < %s) -ge 3 || exit 75" % (tries, tries),
                           "--session", session, "--types", "run.finished", cwd=self.at)
        with open(tries, encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["run.finished"] * 3)
        self.assertIn("is tried again", done.stderr)
        done = self.sluice("collect", "exec", "sleep 600 & sleep 600", "--session", session, "--types", "run.finished", "--timeout", "1",
                           cwd=self.at)
        self.assertIn("took longer than 1 s", done.stderr)
        # What refuses for good ends it, and the place is kept.
        end = HttpEnd(answer=(204, b""))
        self.addCleanup(end.go_away)
        end.broken = 401
        file = os.path.join(self.directory, "loki.cursors")
        refused = self.sluice("collect", "loki", end.url, "--session", session, "--cursor-file", file, cwd=self.at, status=1)
        self.assertIn("answers 401", refused.stderr)
        end.broken = None
        self.sluice("collect", "loki", end.url, "--session", session, "--cursor-file", file, cwd=self.at)
        got = [json.loads(line)["cursor"] for _, body in end.posts for stream in body["streams"] for _, line in stream["values"]]
        self.assertEqual(sorted(got), list(range(1, len(log) + 1)))
        # There is nothing more then.
        posts = len(end.posts)
        self.sluice("collect", "loki", end.url, "--session", session, "--cursor-file", file, cwd=self.at)
        self.assertEqual(len(end.posts), posts)

    def test_a_record_that_is_refused_keeps_no_other_one_back(self):
        self.sluice("build", "quick.bst", cwd=self.at)
        session = self.sessions()[-1]
        count = len(self.session_log(session))

        def take(_, body):
            for stream in body["streams"]:
                for _, line in stream["values"]:
                    if json.loads(line)["cursor"] in (2, count):
                        raise ValueError("entry too far behind")

        end = HttpEnd(take, (204, b""))
        self.addCleanup(end.go_away)
        done = self.sluice("collect", "loki", end.url, "--session", session, cwd=self.at, status=1)
        got = [json.loads(line)["cursor"] for _, body in end.posts for stream in body["streams"] for _, line in stream["values"]]
        self.assertEqual(sorted(got), [cursor for cursor in range(1, count + 1) if cursor not in (2, count)])
        for cursor in (2, count):
            self.assertRegex(done.stderr, "record %d of session %s is left out: .* answers 400: .*entry too far behind" % (cursor, session))

    def test_notifications(self):
        """By what stands on the PATH as notify-send: how it is shown is its business."""
        out = os.path.join(self.directory, "notified")
        self.write("bin/notify-send", "#!/bin/sh\nfor i; do echo \"$i\"; done >> %s\n" % out, 0o755)
        env = {"PATH": os.path.join(self.directory, "bin") + ":" + self.env["PATH"]}
        # A collector that is slow to start may find the session there already.
        self.start("collect", "notify", "--after", "0", "--from", "start", cwd=self.at, env=env)
        build = self.start("--style", "tty", "build", "bad.bst", cwd=self.at, pty=True)
        self.wait_until(lambda: os.path.exists(out) and "waits for an answer" in open(out, encoding="utf-8").read(), "the question")
        build.write("quit\n")
        build.wait()
        self.wait_until(lambda: "build has failed" in open(out, encoding="utf-8").read(), "the end")
        with open(out, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("small: bad.bst failed", text)
        self.assertIn("--urgency=critical", text)
        missing = self.sluice("collect", "notify", cwd=self.at, status=1, env={"PATH": os.path.join(self.directory, "none")})
        self.assertIn("notify-send", missing.stderr)

    def test_wrong_use(self):
        for arguments, what in ((["x"], "'x' is none of"), (["syslog"], "where to is missing"), (["ndjson", "udp://a:1"], "ndjson goes by"),
                                (["ndjson", "tcp://a"], "no address"), (["journald", "--from", "then"], "--from"),
                                (["exec", "true", "--jobs", "0"], "--jobs"), (["journald", "--jobs", "2"], "--jobs: that is nothing to journald"),
                                (["exec", "true", "--headers", "x"], "--headers: that")):
            self.assertIn(what, self.sluice("collect", *arguments, cwd=self.at, status=2).stderr)
        self.assertIn("no http or https URL", self.sluice("collect", "loki", "ftp://a", cwd=self.at, status=1).stderr)
        file = self.write("cursors", "sluice-collect 1\nsomething else entirely\n")
        self.assertIn("line 2", self.sluice("collect", "exec", "true", "--cursor-file", file, cwd=self.at, status=1).stderr)


main()
