"""`source fetch | track`, workspaces: references in files, keys as they were when something was said, processes that die meanwhile."""

import glob
import hashlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from record_log import RecordLog  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402

CONF = "name: small\nmin-version: 2.0\nelement-path: elements\naliases:\n  far: %s/\n"
TEXT = b"hello\n"
REF = hashlib.sha256(TEXT).hexdigest()
UNKNOWN = "????????"


class Server:
    """Answers every request with TEXT, but none before release()."""

    def __init__(self):
        self.requests = 0
        self.open = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                outer.open.wait()
                try:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(TEXT)
                except OSError:
                    pass  # who asked has gone

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def close(self):
        self.open.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Tracking(SluiceTest):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.close)
        self.at = self.project({
            "project.conf": CONF % self.server.url,
            "elements/a.bst": "kind: import\n\n# of which it is made\nsources:\n- kind: remote  # from afar\n  url: far:file\n",
            "elements/b.bst": "kind: import\nsources:\n- kind: remote\n  url: far:other\ndepends: [a.bst]\n",
        })

    def element(self, name="a.bst"):
        with open(os.path.join(self.at, "elements", name), encoding="utf-8") as file:
            return file.read()

    def change(self, text):
        with open(os.path.join(self.at, "elements/a.bst"), "w", encoding="utf-8") as file:
            file.write(text)

    def records(self):
        logs = glob.glob(os.path.join(self.env["XDG_STATE_HOME"], "sluice/sessions/*/records.log"))
        self.assertEqual(len(logs), 1)
        return RecordLog(logs[0]).read()

    def test_a_file_that_changed_meanwhile_is_left_alone(self):
        track = self.start("source", "track", "a.bst", cwd=self.at)
        self.wait_until(lambda: self.server.requests == 1, "a request")
        changed = self.element() + "# somebody's\n"
        self.change(changed)
        self.server.open.set()
        self.assertEqual(track.wait(), 1)
        self.assertEqual(self.element(), changed)
        self.assertIn("was changed after it was loaded", track.stderr)
        # Another command, which loads the file as it is now, tracks it.
        self.sluice("source", "track", "a.bst", cwd=self.at)
        self.assertEqual(self.element(), changed.replace("far:file\n", "far:file\n  ref: %s\n" % REF))
        self.assert_nothing_left()

    def test_processes_die_while_it_tracks(self):
        for program in ("sluice-scheduler", "sluice-loader", "sluice-runner"):
            with self.subTest(program=program):
                requests = self.server.requests
                track = self.start("source", "track", "--deps", "all", "b.bst", cwd=self.at)
                self.wait_until(lambda before=requests: self.server.requests >= before + 2, "both requests")
                self.kill(program)
                self.server.open.set()
                self.assertEqual(track.wait(), 0, track)
                for name in ("a.bst", "b.bst"):
                    self.assertEqual(self.element(name).count("ref: " + REF), 1)
                    with open(os.path.join(self.at, "elements", name), "w", encoding="utf-8") as file:
                        file.write(self.element_before[name])
                self.server.open.clear()
                self.assert_nothing_left()

    @property
    def element_before(self):
        return {"a.bst": "kind: import\n\n# of which it is made\nsources:\n- kind: remote  # from afar\n  url: far:file\n",
                "b.bst": "kind: import\nsources:\n- kind: remote\n  url: far:other\ndepends: [a.bst]\n"}

    def test_a_message_has_the_key_as_it_was_then(self):
        self.server.open.set()
        session = self.sluice("session", "start", cwd=self.at).stdout.split()[-1]
        renderer = self.start("session", "attach", session, "--style", "plain", cwd=self.at)
        self.wait_until(lambda: self.pids("sluice-renderer"), "a renderer")
        for pid in self.pids("sluice-renderer"):
            os.kill(pid, signal.SIGSTOP)
        stopped = self.pids("sluice-renderer")
        self.sluice("source", "track", "--session", session, "a.bst", cwd=self.at)
        key = self.sluice("show", "--format", "%{full-key}", "--deps", "none", "a.bst", cwd=self.at).stdout.strip()
        self.sluice("source", "fetch", "--session", session, "a.bst", cwd=self.at)
        self.sluice("build", "--session", session, "a.bst", cwd=self.at)

        # All is over when the renderer reads the first of it.
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        self.wait_until(lambda: renderer.stdout.count("Pipeline Summary") == 3, "three summaries")
        lines = [line for line in renderer.stdout.splitlines() if "a.bst" in line and line.startswith("[")]
        self.assertEqual({line[11:19] for line in lines if "track:a.bst" in line}, {UNKNOWN})
        resolved = renderer.stdout.split("Resolved key Summary\n")
        self.assertEqual(len(resolved), 2)  # the run that tracked has one
        self.assertIn("%s a.bst" % key, resolved[1].splitlines()[0])
        self.assertEqual({line[11:19] for line in lines if "fetch:a.bst" in line}, {key[:8]})
        self.assertEqual({line[11:19] for line in lines if "build:a.bst" in line}, {key[:8]})
        # The records themselves have the keys of their time, too.
        runs = {}
        for record in self.records():
            if "element" in record and "job" in record:
                runs.setdefault(record["run"]["number"], set()).add((record["element"].get("key", ""), record["element"]["brief"]))
        self.assertEqual(runs[1], {("", UNKNOWN)})
        self.assertEqual(runs[2], {(key, key[:8])})
        self.assertEqual(runs[3], {(key, key[:8])})
        self.sluice("session", "stop", session, cwd=self.at)
        self.assertEqual(renderer.wait(), 0)
        self.assert_nothing_left()

    def test_what_is_fetched_for_a_checkout_warns_once(self):
        self.server.open.set()
        with open(os.path.join(self.at, "elements/c.bst"), "w", encoding="utf-8") as file:
            file.write("kind: import\nsources:\n- kind: remote\n  url: %s/file\n" % self.server.url)
        self.sluice("source", "track", "c.bst", cwd=self.at)
        for _ in ("there", "to be fetched"):
            out = os.path.join(self.directory, "out")
            said = self.sluice("source", "checkout", "--force", "--directory", out, "c.bst", cwd=self.at).stderr
            self.assertEqual(said.count("[unaliased-url]"), 1, said)
            self.assertEqual(os.listdir(os.path.join(out, "c")), ["file"])
            remove_tree(self.env["XDG_CACHE_HOME"])
        self.assert_nothing_left()

    def test_fetch_without_a_reference(self):
        failed = self.sluice("source", "fetch", "a.bst", cwd=self.at, status=1)
        self.assertEqual(failed.stderr.count("Inconsistent pipeline"), 1)
        self.assertIn("source track", failed.stderr)
        self.assert_nothing_left()


class BuildScripts(SluiceTest):
    """`source checkout --include-build-scripts`, whose scripts are run in a root that has a shell and little else."""

    def test_they_build_and_install(self):
        at = self.project({
            "project.conf": "name: small\nmin-version: 2.0\nelement-path: elements\n",
            "elements/data.bst": "kind: import\nsources:\n- kind: local\n  path: files/data\nconfig:\n  source: sub\n  target: /opt/x\n",
            "elements/none.bst": "kind: stack\n",
            "elements/lib/a.bst": "kind: manual\nbuild-depends: [data.bst, none.bst]\nsources:\n- kind: local\n  path: files/source\n"
                                  "environment:\n  WORD: it's $HOME\nconfig:\n  build-commands:\n  - cp word made\n  - echo \"$WORD\" >> made\n"
                                  "  install-commands:\n  - mkdir -p %{install-root}/usr/share\n  - cp made %{install-root}/usr/share/made\n",
            "elements/bad.bst": "kind: manual\nbuild-depends: [data.bst]\nconfig:\n  build-commands:\n  - test -e /opt/y\n",
            "files/data/sub/there": "there\n",
            "files/source/word": "word\n",
        })
        root = os.path.join(self.directory, "root")
        os.makedirs(os.path.join(root, "bin"))
        busybox = shutil.copy(shutil.which("busybox"), os.path.join(root, "bin"))
        for applet in subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split():
            if applet != "busybox":
                os.symlink("busybox", os.path.join(root, "bin", applet))

        def built(target, status):
            out = os.path.join(self.directory, "out-" + target.replace("/", "-"))
            self.sluice("source", "checkout", "--deps", "all", "--include-build-scripts", "--directory", out, target, cwd=at)
            command = ["bwrap", "--bind", root, "/", "--proc", "/proc", "--dev", "/dev", "--ro-bind", out, "/src", "--clearenv", "--unshare-net",
                       "sh", "/src/build.sh"]
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
            self.assertEqual(result.returncode, status, result.stdout)
            return sorted(os.listdir(out)), result.stdout

        names, _ = built("lib/a.bst", 0)
        self.assertEqual(names, ["build-data", "build-lib-a", "build.sh", "data", "lib-a"])
        with open(os.path.join(root, "usr/share/made"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "word\nit's $HOME\n")
        with open(os.path.join(root, "opt/x/there"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "there\n")
        _, said = built("bad.bst", 1)
        self.assertIn("build-bad failed", said)
        self.assert_nothing_left()


class Workspaces(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": "name: small\nmin-version: 2.0\nelement-path: elements\n",
            "elements/base.bst": "kind: import\nsources:\n- kind: local\n  path: files/base\n",
            "elements/a.bst": "kind: manual\nbuild-depends: [base.bst]\nsources:\n- kind: local\n  path: files/source\nconfig:\n"
                              "  install-commands:\n  - mkdir -p %{install-root}/usr\n  - cp word %{install-root}/usr/word\n",
            "files/source/word": "before\n",
        })
        self.base()

    def test_a_build_in_a_workspace(self):
        shown = ["show", "--deps", "none", "--format", "%{name} %{state} %{full-key}", "a.bst"]
        self.sluice("build", "a.bst", cwd=self.at)
        plain = self.sluice(*shown, cwd=self.at).stdout
        self.sluice("workspace", "open", "--directory", "w", "a.bst", cwd=self.at)
        opened = self.sluice(*shown, cwd=self.at).stdout
        self.assertNotEqual(opened.split()[2], plain.split()[2])
        word = os.path.join(self.at, "w/word")
        with open(word, "w", encoding="utf-8") as file:
            file.write("after\n")
        self.assertNotEqual(self.sluice(*shown, cwd=self.at).stdout, opened)
        # From within the workspace, without naming the element.
        inside = os.path.join(self.at, "w")
        self.sluice("build", cwd=inside)
        self.sluice("artifact", "checkout", "--directory", os.path.join(self.directory, "out"), cwd=inside)
        with open(os.path.join(self.directory, "out/usr/word"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "after\n")
        self.assertEqual(self.sluice("shell", "--build", "a.bst", "--", "cat", "word", cwd=inside).stdout, "after\n")
        # The directory that the project has itself is as it was.
        self.sluice("workspace", "close", cwd=inside)
        self.assertEqual(self.sluice(*shown, cwd=self.at).stdout, plain)
        self.assertTrue(os.path.exists(word))
        self.assert_nothing_left()

    def test_two_commands_at_once_lose_no_workspace(self):
        opening = [self.start("workspace", "open", "--directory", "w-" + name, name + ".bst", cwd=self.at) for name in ("a", "base")]
        for command in opening:
            self.assertEqual(command.wait(), 0, command)
        self.assertEqual(self.sluice("workspace", "list", cwd=self.at).stdout.count("- element:"), 2)


main()
