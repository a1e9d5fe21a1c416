"""`sluice metrics`: the text that Prometheus reads, printed, served and written to a file; scraped by a real Prometheus."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from record_log import records  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? ([0-9.e+-]+|\+Inf|NaN)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{(name, ((label, value), ...)): number}, of a text that is as the format (0.0.4) wants it."""
    values, families, family = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in families, "twice: " + line
            families.add(family)
            continue
        if line.startswith("# TYPE "):
            assert line.split()[2] == family and line.split()[3] in ("counter", "gauge", "histogram"), line
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, "no sample: " + line
        assert sample[1] == family or sample[1] in [family + suffix for suffix in ("_bucket", "_sum", "_count")], line
        key = (sample[1], tuple(sorted(LABEL.findall(sample[2] or ""))))
        assert key not in values, "twice: " + line
        values[key] = float(sample[3])
    assert text.endswith("\n")
    return values


def value(values, name, **labels):
    return values.get((name, tuple(sorted(labels.items()))))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class MetricsTest(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF, "elements/base.bst": BASE,
            "elements/a.bst": manual("a", gate(1)), "elements/b.bst": manual("b"), "elements/bad.bst": manual("bad", "false"),
            "elements/all.bst": "kind: stack\ndepends:\n- a.bst\n- b.bst\n- bad.bst\n"})
        busybox_base(self.at)

    def get(self, url, **headers):
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            self.last_type = answer.headers["Content-Type"]
            return answer.read().decode()

    def serve(self, *arguments):
        metrics = self.start("metrics", *arguments, "--listen", "127.0.0.1:0", cwd=self.at)
        self.wait_until(lambda: "\n" in metrics.stdout, "the address")
        return metrics, metrics.stdout.split()[0]

    def build(self):
        return self.start("--on-error", "continue", "--builders", "2", "build", "all.bst", cwd=self.at)

    def test_served_and_written(self):
        textfile = os.path.join(self.directory, "sluice.prom")
        metrics, url = self.serve("--textfile", textfile)
        build = self.build()
        self.wait_at_gate(1)

        def now():
            return parse(self.get(url))

        self.wait_until(lambda: value(now(), "sluice_jobs_total", action="build", outcome="failure") == 1, "the failure")
        session = self.sessions()[-1]
        values = self.wait_until(lambda: value(now(), "sluice_cache_bytes", session=session) and now(), "the status")
        self.assertEqual(self.last_type, "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(value(values, "sluice_active_jobs", session=session, action="build"), 1)
        self.assertEqual(value(values, "sluice_builders", session=session), 2)
        self.assertEqual(value(values, "sluice_session_info", session=session, project="small", verb="build", state="active"), 1)
        self.assertEqual(value(values, "sluice_queue_jobs", session=session, queue="Build", state="active"), 1)
        self.open_gate(1)
        build.wait()
        # Gauges go with their session, and what was counted stays.
        self.wait_until(lambda: not any("session" in dict(labels) for _, labels in now()), "the end of the session")
        self.check_counts(now(), records(self.session_directory()))
        with open(textfile, encoding="utf-8") as file:
            self.check_counts(parse(file.read()), records(self.session_directory()))
        # The next session is added up.
        self.sluice("build", "b.bst", "bad.bst", cwd=self.at, status=None)
        self.wait_until(lambda: value(now(), "sluice_sessions_total") == 2, "the second session")
        # A page of the web that has a name of its own for this machine reads nothing.
        for host in ("evil.example:80", "127.0.0.1.evil.example", "127.evil.example:9109"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.get(url, Host=host)
            self.assertEqual(refused.exception.code, 403, host)
        self.assertTrue(self.get(url, Host="localhost:1"))
        # What is posted isn't waited for, nor read.
        with socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(url).port), timeout=30) as posts:
            posts.sendall(b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.assertTrue(posts.recv(100).startswith(b"HTTP/1.1 405 "))
        self.assertTrue(self.get(url))
        metrics.signal(15)
        self.assertEqual(metrics.wait(), 0, metrics)

    def check_counts(self, values, log):
        expected = {}
        for record in log:
            if record["type"] == "job.finished":
                key = (record["job"]["action"], record["outcome"])
                expected[key] = expected.get(key, 0) + 1
        found = {tuple(v for _, v in labels): int(number) for (name, labels), number in values.items() if name == "sluice_jobs_total"}
        self.assertEqual(found, expected)
        for action in {action for action, _ in expected}:
            count = sum(number for (of, _), number in expected.items() if of == action)
            self.assertEqual(value(values, "sluice_job_duration_seconds_count", action=action), count)
            self.assertEqual(value(values, "sluice_job_duration_seconds_bucket", action=action, le="+Inf"), count)
        self.assertEqual(value(values, "sluice_runs_total", verb="build", outcome="failure"), 1)
        for labels in (dict(labels) for _, labels in values):
            self.assertFalse([one for one in labels.values() if ".bst" in one], "an element as a label")

    def test_printed(self):
        build = self.build()
        self.open_gate(1)
        build.wait()
        text = self.sluice("metrics", cwd=self.at).stdout
        values = parse(text)
        self.check_counts(values, records(self.session_directory()))
        states = {dict(labels)["state"]: number for (name, labels), number in values.items() if name == "sluice_elements"}
        self.assertEqual(sum(states.values()), 5)
        self.assertEqual(states["cached"], 3)
        if shutil.which("promtool"):
            checked = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))
        for wrong in ("0.0.0.0:0", "127.0.0.1", "127.0.0.1:x", "example.org:80", "127.evil.example:0"):
            self.assertIn("--listen", self.sluice("metrics", "--listen", wrong, cwd=self.at, status=2).stderr)

    @unittest.skipUnless(shutil.which("prometheus"), "prometheus is not installed")
    def test_scraped_by_prometheus(self):
        _, url = self.serve()
        port = free_port()
        config = self.write("prometheus.yml", json.dumps({
            "global": {"scrape_interval": "200ms"},
            "scrape_configs": [{"job_name": "sluice", "static_configs": [{"targets": [urllib.parse.urlsplit(url).netloc]}]}]}))
        self.start("--config.file=" + config, "--storage.tsdb.path=" + os.path.join(self.directory, "tsdb"),
                   "--web.listen-address=127.0.0.1:%d" % port, program=shutil.which("prometheus"))

        def query(expression):
            try:
                answer = json.loads(self.get("http://127.0.0.1:%d/api/v1/query?query=%s" % (port, urllib.parse.quote(expression))))
            except OSError:
                return None
            return {tuple(sorted((k, v) for k, v in one["metric"].items() if k not in ("instance", "job", "__name__"))): float(one["value"][1])
                    for one in answer["data"]["result"]}

        build = self.build()
        self.wait_at_gate(1)
        session = self.wait_until(lambda: query("sluice_session_info"), "the session in Prometheus")
        self.assertEqual([dict(labels)["session"] for labels in session], self.sessions())
        self.open_gate(1)
        build.wait()
        # The stack isn't reached.
        expected = {(("action", "build"), ("outcome", "success")): 3.0, (("action", "build"), ("outcome", "failure")): 1.0}
        self.wait_until(lambda: query("sluice_runs_total"), "the run in Prometheus")
        found = query("sluice_jobs_total")
        self.assertEqual({key: number for key, number in found.items() if ("action", "build") in key}, expected)
        self.assertEqual(list((query("histogram_quantile(0.5, sluice_job_duration_seconds_bucket{action='build'})") or {})),
                         [(("action", "build"),)])


main()
