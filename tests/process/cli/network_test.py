"""Fetching from a real HTTP server on the loopback interface: tries, their delays, limits, and what goes on meanwhile."""

import hashlib
import http.server
import io
import json
import os
import sys
import tarfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, busybox_base  # noqa: E402


class Server:
    """Serves archives; `answers[name]` are the statuses of its first requests, and a name in `held` waits."""

    def __init__(self):
        self.files, self.answers, self.requests = {}, {}, []
        self.held = set()
        self.active = self.most = 0
        self.changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.release(*list(self.held))
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def url(self, name):
        return "http://127.0.0.1:%d/%s.tar" % (self.server.server_address[1], name)

    def add(self, name):
        """An archive with one file; its SHA-256."""
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            info = tarfile.TarInfo("top/" + name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
        self.files[name] = data.getvalue()
        return hashlib.sha256(self.files[name]).hexdigest()

    def answer(self, handler):
        name = os.path.basename(handler.path)[:-len(".tar")]
        with self.changed:
            self.requests.append((name, time.monotonic()))
            self.active += 1
            self.most = max(self.most, self.active)
            status = self.answers[name].pop(0) if self.answers.get(name) else 200
            self.changed.wait_for(lambda: name not in self.held)
            self.active -= 1
        try:
            handler.send_response(status)
            handler.end_headers()
            handler.wfile.write(self.files[name] if status == 200 else b"no")
        except OSError:
            pass

    def times(self, name):
        with self.changed:
            return [when for who, when in self.requests if who == name]

    def release(self, *names):
        with self.changed:
            self.held.difference_update(names)
            self.changed.notify_all()


class Network(SluiceTest):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.close)

    def make(self, *names, more=()):
        files = {"project.conf": CONF, "elements/base.bst": BASE, **dict(more)}
        for name in names:
            files["elements/%s.bst" % name] = "kind: import\nsources:\n- kind: tar\n  url: %s\n  ref: %s\n" % (self.server.url(name), self.server.add(name))
        files["elements/all.bst"] = "kind: stack\ndepends: [%s]\n" % ", ".join("%s.bst" % name for name in names)
        at = self.project(files)
        busybox_base(at)
        return at

    def records(self, log):
        with open(log, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_tried_again_later_each_time(self):
        at = self.make("a")
        self.server.answers["a"] = [503, 429]
        log = os.path.join(self.directory, "log.json")
        self.sluice("--json-log", log, "build", "a.bst", cwd=at)
        times = self.server.times("a")
        self.assertEqual(len(times), 3)
        self.assertGreaterEqual(times[1] - times[0], 0.5)
        self.assertGreaterEqual(times[2] - times[1], 1.0)
        said = [r for r in self.records(log) if r.get("text", "").startswith("Try #")]
        self.assertEqual([r["text"] for r in said], ["Try #1 failed, retrying", "Try #2 failed, retrying"])
        self.assertEqual([r["level"] for r in said], ["failure", "failure"])
        self.assertRegex(said[0]["detail"], r"503[^\n]*\nThe next try comes in 0\.[56] s")
        self.assertRegex(said[1]["detail"], r"429[^\n]*\nThe next try comes in 1\.[012] s")
        self.assertEqual(said[0]["element"]["name"], "a.bst")
        self.assert_nothing_left()

    def test_how_often(self):
        at = self.make("a", "b", "c")
        self.server.answers = {"a": [500] * 9, "b": [500] * 9, "c": [500] * 9}
        self.assertIn("Error mirroring", self.sluice("--network-retries", "0", "build", "a.bst", cwd=at, status=1).stderr)
        self.assertEqual(len(self.server.times("a")), 1)
        self.sluice("build", "b.bst", cwd=at, status=1)
        self.assertEqual(len(self.server.times("b")), 3)
        config = self.write("user.conf", "scheduler:\n  network-retries: 1\n")
        self.sluice("--config", config, "build", "c.bst", cwd=at, status=1)
        self.assertEqual(len(self.server.times("c")), 2)
        # A download that came whole with another content, and one that the server refuses, is not tried again.
        self.server.answers = {"a": [404] * 9}
        self.sluice("build", "a.bst", cwd=at, status=1)
        self.assertEqual(len(self.server.times("a")), 2)
        self.server.answers = {}
        self.server.files["b"] = b"something else"
        self.assertIn("has sha256sum", self.sluice("build", "b.bst", cwd=at, status=1).stderr)
        self.assertEqual(len(self.server.times("b")), 4)
        self.assert_nothing_left()

    def test_killed_while_it_waits(self):
        at = self.make("a")
        self.server.answers["a"] = [503] * 20
        build = self.start("--network-retries", "20", "build", "a.bst", cwd=at)
        self.wait_until(lambda: "Try #4 failed" in build.stderr, "a delay of four seconds")
        began = time.monotonic()
        self.sluice("session", "kill", cwd=at)
        self.assertEqual(build.wait(), 1)
        self.assertLess(time.monotonic() - began, 3)
        self.assert_nothing_left()

    def test_building_starts_before_everything_is_fetched(self):
        more = {"elements/made.bst": "kind: manual\nbuild-depends: [base.bst, a.bst]\nconfig:\n  build-commands: [cat /a]\n  install-commands: [\"true\"]\n"}
        at = self.make("a", "b", more=more)
        self.server.held.add("b")
        build = self.start("--builders", "1", "--fetchers", "1", "build", "all.bst", "made.bst", cwd=at)
        state = lambda element: self.sluice("show", "--deps", "none", "--format", "%{state}", element, cwd=at).stdout.strip()  # noqa: E731
        self.wait_until(lambda: state("made.bst") == "cached", "an element to be built while another is fetched")
        self.assertEqual(state("b.bst"), "fetch needed")
        self.server.release("b")
        self.assertEqual(build.wait(), 0)
        self.assert_nothing_left()

    def test_fetchers(self):
        """Many hanging downloads take no builder, and no more of them run than is said."""
        names = ["f%d" % number for number in range(8)]
        at = self.make(*names)
        self.server.held.update(names)
        build = self.start("--builders", "1", "--fetchers", "3", "build", "all.bst", "base.bst", cwd=at)
        self.wait_until(lambda: self.server.active == 3, "three downloads")
        self.wait_until(lambda: "base.bst" in build.stderr and "SUCCESS" in build.stderr, "a build beside them")
        self.sluice("session", "fetchers", "6", cwd=at)
        self.wait_until(lambda: self.server.active == 6, "six downloads")
        self.server.release(*names)
        self.assertEqual(build.wait(), 0)
        self.assertEqual(self.server.most, 6)
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
