"""A password in a URL is on no terminal, in no log, no record (R62) and no list of arguments."""

import base64
import glob
import hashlib
import http.server
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

SECRET = "s3cr3t-w0rd"
DATA = b"data\n"


class Server:
    """Gives /data to who knows the password, nothing to others, and holds what asks for /slow until it is let go."""

    def __init__(self):
        self.asked, self.go = threading.Event(), threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                good = "Basic " + base64.b64encode(b"user:" + SECRET.encode()).decode()
                if self.path.startswith("/slow"):
                    outer.asked.set()
                    outer.go.wait(60)
                status = 401 if self.headers.get("Authorization") != good else 404 if self.path.startswith("/missing") else 200
                self.send_response(status)
                self.send_header("Content-Length", str(len(DATA)))
                self.end_headers()
                self.wfile.write(DATA)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.at = "http://user:%s@127.0.0.1:%d" % (SECRET, self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


class Secrets(SluiceTest):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.close)
        source = "kind: import\nsources:\n- kind: remote\n  url: %s\n  ref: " + hashlib.sha256(DATA).hexdigest() + "\n"
        self.at = self.project({
            "project.conf": "name: mine\nmin-version: 2.0\nelement-path: elements\naliases:\n  far: %s/\n" % self.server.at,
            "elements/good.bst": source % "far:data",
            "elements/plain.bst": source % (self.server.at + "/data/y"),
            "elements/missing.bst": source % "far:missing",
            "elements/slow.bst": source % "far:slow",
            "elements/wrong.bst": (source % "far:data/z").replace("ref: ", "ref: 0")[:-2] + "\n",
        })
        self.write("project/elements/token.bst", source % ("far:missing?v=2&private_token=" + SECRET))

    def nowhere(self, *results):
        for result in results:
            self.assertNotIn(SECRET, result.stdout)
            self.assertNotIn(SECRET, result.stderr)
        looked = 0
        places = glob.glob(self.state + "/sluice/sessions/*/records.log*") + glob.glob(self.state + "/sluice/sessions/*/logs/**", recursive=True)
        places += glob.glob(self.cachedir + "/logs/**", recursive=True) + glob.glob(self.directory + "/*.json") + glob.glob(self.directory + "/*.log")
        for path in filter(os.path.isfile, places):
            with open(path, "rb") as file:
                self.assertNotIn(SECRET.encode(), file.read(), path)
            looked += 1
        return looked

    def test_runs(self):
        log, lines = os.path.join(self.directory, "log.json"), os.path.join(self.directory, "lines.log")
        results = []
        for verb, element, status in (("fetch", "good.bst", 0), ("fetch", "missing.bst", 1), ("fetch", "token.bst", 1), ("fetch", "wrong.bst", 1),
                                      ("track", "good.bst", 0), ("track", "missing.bst", 1), ("fetch", "plain.bst", 0)):
            with self.subTest((verb, element)):
                result = self.sluice("--debug", "--json-log", log, "--log-file", lines, "--network-retries", 0, "source", verb, element, cwd=self.at, status=status)
                self.assertIn("***@127.0.0.1", result.stderr)
                self.assertGreater(self.nowhere(result), 2)
        results.append(self.sluice("build", "good.bst", cwd=self.at))
        results.append(self.sluice("artifact", "log", "good.bst", cwd=self.at))
        results.append(self.sluice("show", "--format", "%{name} %{source-info}", "good.bst", "plain.bst", cwd=self.at))
        self.assertIn("***@127.0.0.1", results[-1].stdout)
        shown = self.sluice("show", "--json", "--fields", "name,sources", "good.bst", "plain.bst", cwd=self.at)
        results.append(shown)
        self.assertIn("***@127.0.0.1", json.dumps(json.loads(shown.stdout)))
        results.append(self.sluice("explain", "plain.bst", cwd=self.at))
        # The message about a download that went bad leaves out its file's name, which is made of the URL.
        for path in glob.glob(self.cachedir + "/sources/**/" + hashlib.sha256(DATA).hexdigest(), recursive=True):
            os.chmod(path, 0o644)
            with open(path, "w", encoding="utf-8") as file:
                file.write("bad")
        self.sluice("artifact", "delete", "good.bst", cwd=self.at)
        for kept in ("elementsources", "source_protos"):
            os.rename(os.path.join(self.cachedir, kept), os.path.join(self.cachedir, kept + ".gone"))
        results.append(self.sluice("source", "fetch", "good.bst", cwd=self.at))
        self.assertIn("damaged", results[-1].stderr)
        self.nowhere(*results)

    def test_remotes(self):
        remote = "http://user:%s@127.0.0.1:1" % SECRET
        self.nowhere(*[self.sluice("--debug", *arguments, cwd=self.at, status=None) for arguments in (
            ["build", "--artifact-remote", remote, "--source-remote", "url=%s,push=true" % remote, "good.bst"],
            ["artifact", "show", "--artifact-remote", remote, "good.bst"], ["artifact", "pull", "--artifact-remote", remote, "good.bst"],
            ["artifact", "checkout", "--artifact-remote", remote, "--directory", self.directory + "/out", "missing.bst"],
            ["build", "--artifact-remote", "url=%s,nonsense=1" % remote, "good.bst"], ["--bogus=" + remote, "build"])])

    def test_arguments(self):
        build = self.start("--on-error", "quit", "build", "--source-remote", "http://user:%s@127.0.0.1:1" % SECRET, "slow.bst", cwd=self.at)
        self.wait_until(self.server.asked.is_set, "the download")
        shown = {}
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    shown[path] = file.read()
            except OSError:
                continue
        self.assertTrue(any(b"sluice-download" in line for line in shown.values()), "no download is under way")
        for path, line in shown.items():
            self.assertNotIn(SECRET.encode(), line, path)
        self.server.go.set()
        self.assertEqual(build.wait(), 0)
        self.assertNotIn(SECRET, build.stdout + build.stderr)


main()
