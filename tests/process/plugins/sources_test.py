"""Kinds of sources that are only somebody's Python: tracked, fetched, staged, opened as workspaces; and plugins that do what
none should, which are a failure of their job and no more. Checks spec/plugins.md, H1 to H3, H7 to H13."""

import hashlib
import http.server
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import plugin_texts  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

FILES = {"a.txt": b"first\n", "b.txt": b"second\n"}
SUMS = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
KINDS = {"parts": plugin_texts.PARTS, "listing": plugin_texts.LISTING, "counted": plugin_texts.COUNTED,
         "odd": plugin_texts.ODD, "nested": plugin_texts.NESTED}


class Server:
    """Has FILES below /good/, and answers the first `busy` requests with 503."""

    def __init__(self):
        self.busy = 0
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                busy, outer.busy = outer.busy > 0, max(0, outer.busy - 1)
                data = FILES.get(self.path[len("/good/"):]) if self.path.startswith("/good/") else None
                self.send_response(503 if busy else 200 if data else 404)
                self.end_headers()
                if data and not busy:
                    self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.port = self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Plugins(SluiceTest):
    def setUp(self):
        super().setUp()
        self.checkouts = 0
        self.server = Server()
        self.addCleanup(self.server.close)
        site = os.path.join(self.directory, "site")
        self.env["PYTHONPATH"] = site
        self.env["SLUICE_SECRET"] = "of the user"
        self.write("home/secret", "of the user")
        self.write("site/sluice_test_plugins/__init__.py", "")
        self.write("site/sluice_test_plugins/sources/__init__.py", "")
        self.write("site/sluice_test_plugins/sources/words.py", "TEXT = 'by pip\\n'\n")
        self.write("site/sluice_test_plugins/sources/piped.py", plugin_texts.PIPED)
        self.write("site/sluice_test_plugins-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sluice-test-plugins\nVersion: 1.0\n")
        self.write("site/sluice_test_plugins-1.0.dist-info/entry_points.txt",
                   "[buildstream.plugins.sources]\npiped = sluice_test_plugins.sources.piped\n")
        self.configure("track:\n  source: all\n")
        near = "http://127.0.0.1:%d" % self.server.port
        self.at = self.project({
            "project.conf": """name: plug
min-version: 2.0
element-path: elements
fatal-warnings: [odd:late]
aliases:
  far: %s/none/
mirrors:
- name: good
  aliases: {far: ['%s/good/']}
plugins:
- origin: local
  path: plugins
  sources: [%s]
- origin: pip
  package-name: sluice-test-plugins
  sources: [piped]
""" % (near, near, ", ".join(KINDS)),
            **{"plugins/%s.py" % kind: text for kind, text in KINDS.items()},
        })

    def element(self, name, sources, kind="import"):
        self.write(os.path.join(self.at, "elements", name), "kind: %s\nsources:\n%s" % (kind, sources))

    def text(self, name):
        with open(os.path.join(self.at, "elements", name), encoding="utf-8") as file:
            return file.read()

    def configure(self, text):
        self.write("config/buildstream.conf", text)

    def run_sluice(self, *arguments, **options):
        return self.sluice(*arguments, cwd=self.at, **options)

    def state_of(self, name):
        return self.run_sluice("show", "--deps", "none", "--format", "%{state}", name).stdout.strip()

    def checked_out(self, name, what="source"):
        """The files of an element's sources, or of its artifact, and what they hold."""
        self.checkouts += 1
        directory = os.path.join(self.directory, "out%d" % self.checkouts)
        self.run_sluice(what, "checkout", "--deps", "none", "--directory", directory, name)
        found = {}
        for at, _, names in os.walk(directory):
            for file in names:
                path = os.path.join(at, file)
                with open(path, "rb") as opened:
                    found[os.path.relpath(path, directory)] = opened.read()
        return {path.split("/", 1)[1] if what == "source" else path: data for path, data in found.items()}

    def assert_clean(self):
        """No process, and nothing in the scratch directories."""
        self.assert_nothing_left()
        left = [os.path.join(at, name) for at, _, names in os.walk(os.path.join(self.cachedir, "build")) for name in names]
        self.assertEqual([path for path in left if not path.endswith("/owner")], [])
        self.assertEqual([name for name in os.listdir("/tmp") if "sluice-plugin" in name], [])


class Work(Plugins):
    PARTS = "- kind: parts  # from afar\n  urls: [far:a.txt, far:b.txt]\n"

    def test_modules_of_pythonpath(self):
        """H10: a project's own plugin imports what lies where PYTHONPATH says, and nothing else of there is read."""
        self.write("mine/of_mine.py", "TEXT = 'mine'\n")
        self.env["PYTHONPATH"] = os.path.join(self.directory, "mine")
        at = self.project({
            "project.conf": "name: importing\nmin-version: 2.0\nplugins:\n- origin: local\n  path: plugins\n  sources: [importing]\n",
            "plugins/importing.py": "import of_mine\nfrom buildstream import Source\n\n\nclass Importing(Source):\n    BST_MIN_VERSION = '2.0'\n\n"
                                    "    def configure(self, node):\n        pass\n\n    def preflight(self):\n        pass\n\n"
                                    "    def get_unique_key(self):\n        return [of_mine.TEXT]\n\n    def load_ref(self, node):\n        pass\n\n"
                                    "    def get_ref(self):\n        return 'fixed'\n\n    def set_ref(self, ref, node):\n        pass\n\n"
                                    "    def fetch(self):\n        pass\n\n    def stage(self, directory):\n        pass\n\n"
                                    "    def is_cached(self):\n        return True\n\n\ndef setup():\n    return Importing\n",
            "element.bst": "kind: import\nsources:\n- kind: importing\n",
        })
        shown = self.sluice("show", "--format", "%{full-key}", "element.bst", cwd=at)
        self.assertRegex(shown.stdout, "^[0-9a-f]{64}\n$")

    def test_fetchers_mirrors_and_a_ref_of_several_values(self):
        self.element("parts.bst", self.PARTS)
        self.server.busy = 2  # the alias and its mirror, once
        tracked = self.run_sluice("source", "track", "parts.bst")
        self.assertIn("Try #1 failed, retrying", tracked.stderr + tracked.stdout)
        self.assertEqual(self.text("parts.bst"), "kind: import\nsources:\n" + self.PARTS +
                         "  ref:\n    a.txt: %s\n    b.txt: %s\n" % (SUMS["a.txt"], SUMS["b.txt"]))
        self.assertEqual(self.state_of("parts.bst"), "fetch needed")
        self.server.asked.clear()
        fetched = self.run_sluice("source", "fetch", "parts.bst")
        self.assertIn("Reading http://127.0.0.1:%d/good/a.txt" % self.server.port, fetched.stderr + fetched.stdout)
        self.assertIn("/good/b.txt", self.server.asked)
        self.assertEqual(self.state_of("parts.bst"), "buildable")
        self.server.asked.clear()
        self.assertEqual(self.checked_out("parts.bst"), FILES)
        self.run_sluice("build", "parts.bst")
        self.assertEqual(self.checked_out("parts.bst", "artifact"), FILES)
        self.assertEqual(self.server.asked, [])
        info = self.run_sluice("show", "--deps", "none", "--format", "%{source-info}", "parts.bst").stdout
        self.assertIn("kind: parts", info)
        self.assertIn("version: %s" % SUMS["b.txt"], info)
        self.assertIn("of: 2", info.replace("'", ""))
        self.assert_clean()

    def test_what_is_no_longer_there_is_fetched_by_the_plugin_again(self):
        self.element("parts.bst", self.PARTS)
        self.run_sluice("source", "track", "parts.bst")
        self.run_sluice("source", "fetch", "parts.bst")
        cas = os.path.join(self.cachedir, "elementsources")
        self.assertTrue(os.path.isdir(cas))
        os.rename(cas, cas + ".away")
        # What the plugin keeps itself is enough.
        self.assertEqual(self.state_of("parts.bst"), "buildable")
        os.unlink(os.path.join(self.cachedir, "sources/parts", SUMS["a.txt"]))
        self.assertEqual(self.state_of("parts.bst"), "fetch needed")

    def test_changes_what_was_before_tracks_by_it_and_fetches_by_it(self):
        self.element("all.bst", self.PARTS + "  directory: in\n- kind: piped\n  directory: in\n"
                     "- kind: counted  # by what is there\n  of: a.txt\n  old: x\n  directory: in\n- kind: listing\n  name: list\n")
        self.run_sluice("source", "track", "all.bst")
        self.assertIn("- kind: counted  # by what is there\n  of: a.txt\n  directory: in\n  ref: first\n  bytes: '6'\n",
                      self.text("all.bst").replace("bytes: 6", "bytes: '6'"))
        self.run_sluice("source", "fetch", "all.bst")
        expected = {"in/" + name: data for name, data in FILES.items()}
        expected.update({"in/piped": b"by pip\n", "in/count": b"6 of a.txt b.txt count piped", "list": b"in"})
        self.assertEqual(self.checked_out("all.bst"), expected)
        self.run_sluice("build", "all.bst")
        self.assertEqual(self.checked_out("all.bst", "artifact"), expected)
        # Nothing but the last state of it.
        self.assertEqual(self.run_sluice("source", "track", "all.bst").stderr.count("Found new revision"), 0)
        self.assert_clean()

    def test_show_asks_one_process_for_all_and_none_for_what_is_cached(self):
        starts = self.write("starts", "")
        self.write("first/bwrap", "#!/bin/sh\ntr '\\0' ' ' </proc/$PPID/cmdline >>%s\necho >>%s\nexec /usr/bin/bwrap \"$@\"\n"
                   % (starts, starts), 0o755)
        self.env["PATH"] = os.path.join(self.directory, "first") + ":" + self.env["PATH"]

        def count():
            # Those of `show` itself, not of its loader.
            with open(starts, encoding="utf-8") as file:
                return sum("/sluice show" in line for line in file)

        names = ["one.bst", "two.bst", "three.bst"]
        for name in names:
            self.element(name, "- kind: nested\n  name: %s\n  ref: v1\n" % name)
        shown = ("show", "--format", "%{name} %{state}", *names)
        self.assertEqual(self.run_sluice(*shown).stdout, "".join("%s fetch needed\n" % name for name in names))
        before = count()
        self.run_sluice(*shown)
        self.assertEqual(count() - before, 1)
        self.run_sluice("source", "fetch", *names)
        before = count()
        self.assertEqual(self.run_sluice(*shown).stdout, "".join("%s buildable\n" % name for name in names))
        self.assertEqual(count() - before, 0)

    def test_without_a_sandbox_all_is_done_as_with_one(self):
        self.configure("plugins:\n  sandbox: false\n")
        self.element("two.bst", "- kind: nested\n  name: two\n  ref: v1\n- kind: listing\n  name: list\n")
        self.run_sluice("build", "two.bst")
        self.assertEqual(set(self.checked_out("two.bst")), {"project.conf", "thing.bst", "data", "list"})
        self.assert_clean()

    def test_workspace(self):
        self.element("work.bst", self.PARTS + "  directory: in\n- kind: piped\n- kind: listing\n  name: list\n")
        self.run_sluice("source", "track", "work.bst")
        directory = os.path.join(self.directory, "workspace")
        self.run_sluice("workspace", "open", "--directory", directory, "work.bst")
        found = {os.path.relpath(os.path.join(at, name), directory) for at, _, names in os.walk(directory) for name in names}
        found.discard(".bstproject.yaml")
        self.assertEqual(found, {"in/a.txt", "in/b.txt", "piped", "for-work", "list"})
        self.run_sluice("build", "work.bst")
        self.assert_clean()

    def test_junction(self):
        self.write(os.path.join(self.at, "elements/sub.bst"), "kind: junction\nsources:\n- kind: nested\n  name: below\n  ref: v1\n")
        self.write(os.path.join(self.at, "elements/top.bst"), "kind: stack\ndepends: ['sub.bst:thing.bst']\n")
        self.run_sluice("build", "top.bst")
        self.assertEqual(self.run_sluice("show", "--format", "%{name} %{state}", "top.bst").stdout,
                         "sub.bst:thing.bst cached\ntop.bst cached\n")
        self.assert_clean()


    def test_a_workspace_is_left_by_no_link(self):
        # The first source stages a symbolic link that the second one's directory leads through.
        self.element("link.bst", "- kind: local\n  path: files\n- kind: piped\n  directory: out/in\n")
        os.makedirs(os.path.join(self.at, "files"))
        os.symlink(self.env["HOME"], os.path.join(self.at, "files/out"))
        opened = self.run_sluice("workspace", "open", "--directory", os.path.join(self.directory, "workspace"), "link.bst", status=1)
        self.assertEqual(os.listdir(self.env["HOME"]), ["secret"])
        self.assertNotIn("Traceback", opened.stderr)


class Odd(Plugins):
    def odd(self, does, within="fetch", argument=""):
        self.element("odd.bst", "- kind: odd\n  does: %s\n  in: %s\n  with: '%s'\n  ref: old\n" % (does, within, argument))

    def failure(self, *arguments):
        out = self.run_sluice("--on-error", "continue", *arguments, status=1)
        self.assert_clean()
        return out.stdout + out.stderr

    def test_failures_name_the_plugin(self):
        self.element("good.bst", "- kind: piped\n")
        for does, within, said in (
                ("exit", "fetch", "The process that runs the plugin has ended"),
                ("crash", "stage", "The process that runs the plugin has ended"),
                ("scribble", "fetch", "The plugin's process sent what is no message"),
                ("fail", "stage", "nothing of that name"),
        ):
            with self.subTest(does):
                self.odd(does, within)
                told = self.failure("source", "fetch", "odd.bst", "good.bst")
                self.assertIn(said, told)
                self.assertIn("odd.bst [line 3 column 2]", told)
                self.assertIn("plugins/odd.py", told)
                self.assertEqual(self.state_of("good.bst"), "buildable")

    def test_own_errors_and_fatal_warnings(self):
        self.odd("refuse")
        told = self.failure("source", "fetch", "odd.bst")
        self.assertIn("odd source at odd.bst [line 3 column 2]: no", told)
        self.assertIn("at all", told)
        self.odd("warn_of")
        self.assertIn("[odd:late]: It is late", self.failure("source", "fetch", "odd.bst"))

    def test_a_silent_plugin_is_ended(self):
        self.configure("plugins:\n  timeout: 1\n")
        self.odd("hang", "track")
        self.assertIn("The plugin said nothing for 1 s (plugins.timeout)", self.failure("source", "track", "odd.bst"))

    def test_a_session_that_is_terminated_takes_its_plugins_along(self):
        self.odd("hang")
        fetch = self.start("--style", "tty", "source", "fetch", "odd.bst", cwd=self.at, pty=True)
        self.wait_until(lambda: self.pids("python3"), "a host")
        fetch.write("\x03")
        self.wait_until(lambda: "Choice" in fetch.stdout or "erminate" in fetch.stdout or fetch.poll() is not None, "a question")
        fetch.write("t\n")
        self.assertNotEqual(fetch.wait(), 0)
        self.assert_clean()

    def test_what_plugins_do_to_their_process_is_theirs(self):
        for does, within in (("speak", "fetch"), ("close", "fetch"), ("move", "stage"), ("fork", "fetch")):
            with self.subTest(does):
                self.odd(does, within)
                self.element("odd.bst", self.text("odd.bst").split("sources:\n")[1] + "- kind: piped\n")
                self.run_sluice("source", "fetch", "odd.bst")
                self.assertEqual(self.checked_out("odd.bst"), {"file": b"odd\n", "piped": b"by pip\n"})
                self.assert_clean()

    def test_who_writes_on_writes_nothing_into_the_store(self):
        self.odd("fork", "stage")
        self.run_sluice("source", "fetch", "odd.bst")
        found = self.checked_out("odd.bst")
        self.assertEqual(set(found), {"file", "written"})
        for at, _, names in os.walk(os.path.join(self.cachedir, "cas/objects")):
            for name in names:
                with open(os.path.join(at, name), "rb") as file:
                    self.assertEqual(hashlib.sha256(file.read()).hexdigest(), os.path.basename(at) + name)
        self.assert_clean()

    def test_a_name_leads_nowhere(self):
        # A kind's directory of mirrors is called by its name: this one would be that of the store.
        planting = plugin_texts.NESTED.replace(
            "def preflight(self):", "def preflight(self):\n        open(self.get_mirror_directory() + '/planted', 'w').close()")
        self.assertNotEqual(planting, plugin_texts.NESTED)
        self.project({"project.conf": "name: bad\nmin-version: 2.0\nplugins:\n- origin: local\n  path: plugins\n  sources: [../cas]\n",
                      "cas.py": planting, "plugins/none": "",
                      "bad.bst": "kind: import\nsources:\n- kind: ../cas\n  name: x\n  ref: v1\n"}, "bad")
        out = self.sluice("show", "bad.bst", cwd=os.path.join(self.directory, "bad"), status=1)
        self.assertIn("Failed to load source plugin '../cas': Plugin names cannot contain dots.", out.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.cachedir, "cas/planted")))

    def test_asks_by_the_user_s_proxies_and_certificates(self):
        """H8, H10"""
        self.write("away/ca.pem", "the user's")
        self.env.update(REQUESTS_CA_BUNDLE=os.path.join(self.directory, "away/ca.pem"), ALL_PROXY="http://127.0.0.1:1")
        self.odd("trust")
        self.assertIn("trusts the user's by http://127.0.0.1:1", self.failure("source", "fetch", "odd.bst"))

    def test_sees_no_more_than_it_must(self):
        self.write(os.path.join(self.cachedir, "sources/other/there"), "of another kind")
        self.odd("look", "stage", "%s:%s:%d" % (self.env["HOME"], self.at, self.server.port))
        self.run_sluice("source", "fetch", "odd.bst")
        self.assertEqual(self.checked_out("odd.bst")["seen"], b"no no no no no no")
        self.assertFalse(os.path.exists(os.path.join(self.at, "planted")))
        self.odd("swap", "stage", self.env["HOME"])
        self.element("odd.bst", self.text("odd.bst").split("sources:\n")[1])
        self.run_sluice("source", "fetch", "odd.bst", status=None)
        self.assertEqual(self.checked_out("odd.bst"), {"file": b"odd\n"})


main()
