"""The host of plugins at work for jobs: sources are tracked, fetched and staged, by plugins of every sort and with what the
package gives them: mirrors, downloads, directories, helpers."""

import hashlib
import http.server
import os
import sys
import textwrap
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from buildstream._host import session  # noqa: E402
from host_process import HostTest, node  # noqa: E402


class Work(HostTest):
    def setUp(self):
        super().setUp()
        self.project["aliases"] = {
            "up": {"url": "https://up/", "fetch": ["https://m1/", "https://m2/", "https://up/"], "track": ["https://m1/", "https://up/"]},
            "other": {"url": "https://other/", "fetch": ["https://other/"], "track": ["https://other/"]},
        }

    def test_track(self):
        """The alias's own URI, the last, is asked first; then mirrors. What set_ref() writes is told."""
        self.plugin(
            """
            def track(self):
                self.info("asked " + self.translated)
                if "m1" not in self.translated:
                    raise SourceError("not there")
                return {"new": [self.translated]}
            def set_ref(self, ref, node):
                self.ref = ref
                node["ref"] = ref
                node["list"] = ["x"]
                node.safe_del("old")
            """
        )
        said = self.work("track", self.question({"url": "up:x", "ref": "abc", "old": "1", "kept": "2"}))
        ref = {"new": ["https://m1/x"]}
        self.assertEqual((said.get("ref"), said.get("shown")), (ref, str(ref)), said)
        self.assertEqual(said["writes"], {"ref": ref, "list": ["x"], "old": None})
        self.assertEqual([text for _, level, text in self.said() if level == "info"], ["asked https://up/x", "asked https://m1/x", f"Found new revision: {ref}"])

    def test_track_without_a_new_reference(self):
        self.plugin()
        said = self.work("track")
        self.assertEqual((said["ref"], said["shown"], said["writes"]), ("abc", "abc", {}))

    def test_track_without_any_reference(self):
        """A plugin that has none, and finds none, isn't given none to write."""
        self.plugin(
            """
            def set_ref(self, ref, node):
                node["ref"] = self.ref = "ref-" + ref
            """
        )
        said = self.work("track", self.question({"url": "up:x"}))
        self.assertEqual((said["ref"], said["shown"], said["writes"]), (None, None, {}))

    def test_track_of_stored_references(self):
        """Only what is kept elsewhere is written there."""
        self.plugin("def track(self):\n    return 'new'")
        said = self.work("track", self.question({"ref": "abc", "url": "up:x"}, stored={"clear": True, "node": node({"ref": "old"})}))
        self.assertEqual((said["ref"], said["writes"]), ("new", {"ref": "new"}))

    def test_previous_sources(self):
        self.plugin(
            """
            BST_REQUIRES_PREVIOUS_SOURCES_TRACK = True
            BST_REQUIRES_PREVIOUS_SOURCES_FETCH = True
            def track(self, *, previous_sources_dir):
                return previous_sources_dir
            def fetch(self, *, previous_sources_dir):
                self.info(previous_sources_dir)
            """
        )
        self.assertEqual(self.work("track", previous="/some/where")["ref"], "/some/where")
        self.work("fetch", previous="/some/where")
        self.assertEqual(self.said(), [("message", "info", "/some/where")])
        error = self.answer(self.question(index=0))["error"]
        self.assertEqual(error["domain"], "element")
        self.assertIn("cannot be the first source", error["message"])

    def test_fetch_by_mirrors(self):
        """Each URI of the alias is tried by a source of its own; the last failure is told."""
        self.plugin(
            """
            def fetch(self):
                self.info("asked " + self.translated + " " + self.translate_url(self.url))
                if self.ref not in self.translated:
                    raise SourceError("not at " + self.translated, temporary="2" in self.translated)
            """
        )
        self.assertEqual(self.work("fetch", self.question({"url": "up:x", "ref": "m2"}))["is"], "done")
        self.assertEqual([text for *_, text in self.said()], ["asked https://m1/x https://m1/x", "asked https://m2/x https://m2/x"])
        said = self.work("fetch", self.question({"url": "up:x", "ref": "m3"}))
        self.assertEqual((said["is"], said["message"], said["temporary"]), ("error", "not at https://up/x", False))
        # Only the alias of the primary URL stands for something else.
        self.plugin("def fetch(self):\n    self.info(self.translated + ' ' + self.more)\ndef configure(self, node):\n    super().configure(node)\n    self.more = self.translate_url('other:y', primary=False)", kind="two")
        self.work("fetch", self.question({"url": "up:x"}, kind="two"))
        self.assertEqual([text for *_, text in self.said()], ["https://m1/x other:y"])

    def test_fetchers(self):
        self.plugin(
            """
            def configure(self, node):
                super().configure(node)
                self.mark_download_url("other:b", primary=False)
            def get_source_fetchers(self):
                self.status("silent")
                for url in ("up:a", "other:b", "https://c/"):
                    self.status("silent")
                    yield Fetcher(self, url)
            """
        )
        with open(os.path.join(self.directory, "plugins/kind.py"), "a", encoding="utf-8") as file:
            file.write(textwrap.dedent(
                """
                class Fetcher(SourceFetcher):
                    def __init__(self, source, url):
                        super().__init__()
                        self.source, self.url = source, url
                        self.mark_download_url(url)
                    def fetch(self, alias_override=None, **kwargs):
                        url = self.source.translate_url(self.url, alias_override=alias_override, primary=False)
                        self.source.status(url)
                        if "m1" in url:
                            raise SourceError("not there")
                    def get_source_info(self):
                        return self.source.create_source_info(self.url, "a medium", "a type", "1", version_guess="1.0", extra_data={"a": "b"})
                """
            ))  # fmt: skip
        question = self.question({"url": "up:a", "ref": "x"})
        said = self.work("fetch", question)
        self.assertEqual(said["is"], "done", said)
        self.assertEqual([text for _, level, text in self.said() if level == "status"], ["https://m1/a", "https://m2/a", "https://other/b", "https://c/"])
        info = self.work("info", question)["info"]
        expected = {"kind": "kind", "medium": "a medium", "version_type": "a type", "version": "1", "guess": "1.0", "extra": {"a": "b"}, "provenance": None}
        self.assertEqual(info, [{"url": url, **expected} for url in ("up:a", "other:b", "https://c/")])

    def test_copies_into_a_directory_that_is_not_there(self):
        """It is made as the one that is copied is; as pip stages."""
        os.makedirs(os.path.join(self.directory, "src/sub"))
        os.chmod(os.path.join(self.directory, "src"), 0o750)
        for name in ("src/a", "src/sub/b"):
            self.write(name, "x")
        os.makedirs(os.path.join(self.directory, "staged"))
        self.plugin(
            f"""
            def stage(self, directory):
                from buildstream import utils
                utils.copy_files({os.path.join(self.directory, "src")!r}, os.path.join(directory, "one/two"))
            """
        )
        said = self.work("stage", self.question({"ref": "abc"}), directory=os.path.join(self.directory, "staged"))
        self.assertEqual(said["is"], "done", said)
        made = os.path.join(self.directory, "staged/one/two")
        self.assertEqual((sorted(os.listdir(made)), os.listdir(made + "/sub"), os.stat(made).st_mode & 0o777), (["a", "sub"], ["b"], 0o750))

    def test_key_before_work(self):
        """What a plugin finds out for its key it has when it works, unless it has no reference."""
        self.plugin(
            """
            made = None
            def get_unique_key(self):
                self.made = "made of " + self.ref
                return self.made
            def collect_source_info(self):
                yield self.create_source_info("u", "m", "t", self.made)
            """
        )
        (info,) = self.work("info", self.question({"ref": "abc"}))["info"]
        self.assertEqual(info["version"], "made of abc")
        (info,) = self.work("info", self.question({"url": "up:x"}))["info"]
        self.assertEqual(info["version"], "None")

    def test_info_without_a_version(self):
        """It is said as BuildStream shows it."""
        self.plugin("def collect_source_info(self):\n    yield self.create_source_info('u', 'm', 't', None)")
        (info,) = self.work("info")["info"]
        self.assertEqual((info["version"], info["guess"]), ("None", None))

    def test_no_info(self):
        self.plugin()
        self.assertEqual(self.work("info")["info"], [])
        (said,) = self.host.messages
        self.assertEqual((said["level"], said["name"]), ("warn", "unavailable-source-info"))

    def test_provenance(self):
        """A part's own provenance is told; the source's is known."""
        self.plugin(
            """
            def collect_source_info(self):
                from buildstream import Node
                own = Node.from_dict({"homepage": "https://part"})
                yield self.create_source_info("u", "m", "t", "1")
                yield self.create_source_info("u", "m", "t", "1", provenance_node=own)
            """
        )
        info = self.work("info", self.question(provenance=node({"homepage": "https://whole", "issue-tracker": "x"})))["info"]
        self.assertEqual([each["provenance"] for each in info], [None, {"homepage": "https://part"}])
        self.project["provenance_attributes"] = ["issue-tracker"]
        error = self.work("info")
        self.assertEqual((error["domain"], error["reason"]), ("load", "undefined-source-provenance-attribute"))

    def test_retries(self):
        """H15: an error that may pass is tried again, as often as was said; another one is not."""
        self.plugin(
            f"""
            def fetch(self):
                with open({self.directory + "/tries"!r}, "a") as file:
                    file.write("x")
                raise SourceError("again", temporary=self.ref == "temporary", detail="why")
            """
        )
        tries = os.path.join(self.directory, "tries")
        for ref, count in (("temporary", 3), ("final", 1)):
            said = self.work("fetch", self.question({"ref": ref}), retries=2)
            self.assertEqual((said["is"], said["temporary"], said["detail"]), ("error", ref == "temporary", "why"))
            self.assertEqual(os.path.getsize(tries), count)
            os.remove(tries)

    def test_stage(self):
        """Staging and workspaces, both ways; the cache is checked before."""
        target = os.path.join(self.directory, "target")
        body = """
            def validate_cache(self):
                self.info("checked")
            def stage{suffix}(self, directory):
                self.info("staged " + str(directory))
        """
        virtual = "\nBST_STAGE_VIRTUAL_DIRECTORY = True\n"
        self.plugin(textwrap.dedent(body.replace("{suffix}", "")), kind="plain")
        self.plugin(textwrap.dedent(body.replace("{suffix}", "_directory")) + virtual, kind="virtual")
        os.mkdir(target)
        for kind in ("plain", "virtual"):
            for action in ("stage", "init-workspace"):
                self.assertEqual(self.work(action, self.question(kind=kind), directory=target)["is"], "done")
                self.assertEqual([text for *_, text in self.said()], ["checked", "staged " + target])
        self.assertEqual(self.work("validate-cache", self.question(kind="plain"))["is"], "done")
        self.assertEqual([text for *_, text in self.said()], ["checked"])

    def test_signs_of_life(self):
        """H16: what takes long is heard of while it goes on, and not when it only waits."""
        said = []
        session.start(said.append)
        self.addCleanup(setattr, session, "PULSE", session.PULSE)
        session.PULSE = 0.02
        session.begin(working=True)
        deadline = time.monotonic() + 60
        with session.Pulse():
            while not said and time.monotonic() < deadline:
                pass
        self.assertEqual([each["level"] for each in said[:1]], ["debug"])
        with session.Pulse(), session.Program():
            said.clear()
            while not said and time.monotonic() < deadline:
                time.sleep(0.01)
        self.assertTrue(said)
        # A clock of the processor that stands: the host only waits.
        looks = []
        self.addCleanup(setattr, session, "process_time", session.process_time)
        session.process_time = lambda: looks.append(None) or 1.0
        said.clear()
        with session.Pulse():
            while len(looks) < 5 and time.monotonic() < deadline:
                time.sleep(0.01)
        self.assertEqual((len(looks) >= 5, said), (True, []))
        session.end()

    def test_cached(self):
        self.plugin(
            """
            def is_cached(self):
                if self.ref == "error":
                    raise SourceError("a real one", reason="real")
                if self.ref == "bug":
                    raise ValueError("a bug")
                return self.ref == "yes"
            """
        )
        self.assertEqual([self.work("cached", self.question({"ref": ref})).get("cached") for ref in ("yes", "no")], [True, False])
        self.assertEqual(self.work("cached", self.question({"ref": "error"}))["reason"], "real")
        said = self.work("cached", self.question({"ref": "bug"}))
        self.assertEqual((said["domain"], said["reason"]), ("plugin", "source-bug"))
        self.assertIn("a bug", said["message"])

    def test_activities(self):
        self.plugin(
            """
            def fetch(self):
                with self.timed_activity("outer", silent_nested=True):
                    self.status("unheard")
                    self.info("heard")
                    with self.timed_activity("inner"):
                        self.warn("heard, too", warning_token="odd")
                try:
                    with self.timed_activity("failing"):
                        raise SourceError("x")
                except SourceError:
                    pass
                self.debug("a word")
                self.info(str(self.blocking_activity(sum, ([1, 2],), "computing")))
                self.blocking_activity(int, ("x",), "failing again")
            """
        )
        said = self.work("fetch")
        self.assertEqual((said["domain"], said["message"]), ("plugin", "An error happened while running a blocking activity"))
        self.assertIn("ValueError", said["detail"])
        self.assertEqual(
            [(each["is"], each.get("text", each.get("success"))) for each in self.host.messages],
            [
                ("begin", "outer"), ("message", "heard"), ("message", "heard, too"), ("end", True), ("begin", "failing"),
                ("end", False), ("message", "a word"), ("begin", "computing"), ("end", True), ("message", "3"),
                ("begin", "failing again"), ("end", False),
            ],
        )  # fmt: skip
        self.assertEqual([each["name"] for each in self.host.messages if each.get("level") == "warn"], ["kind:odd"])

    def test_mirror_plugins(self):
        self.plugin("def fetch(self):\n    extra = {}\n    self.info(self.translate_url(self.url, suffix='/end', extra_data=extra) + str(extra))")
        self.write(
            "plugins/near.py",
            textwrap.dedent(
                """
                from buildstream import SourceMirror
                class Near(SourceMirror):
                    def configure(self, node):
                        node.validate_keys(["base", "aliases"])
                        self.base = node.get_str("base")
                        self.set_supported_aliases(node.get_str_list("aliases"))
                    def preflight(self):
                        pass
                    def get_unique_key(self):
                        return None
                    def translate_url(self, *, alias, alias_url, source_url, extra_data):
                        if extra_data is not None:
                            extra_data["http-auth"] = "bearer"
                        return "|".join([self.name, self.base, alias, alias_url, source_url])
                def setup():
                    return Near
                """
            ),
        )
        plugins = os.path.join(self.directory, "plugins")
        self.project["mirrors"] = [
            {"kind": "near", "file": plugins + "/near.py", "root": plugins, "module": "near", "files": ["project.conf"], "place": [0, 3, 0],
             "config": node({"name": "next", "kind": "near", "config": {"base": "https://near", "aliases": ["up"]}})}
        ]  # fmt: skip
        self.project["aliases"]["up"]["fetch"] = [{"mirror": 0, "alias": "parent"}, "https://up/"]
        said = self.work("fetch", self.question({"url": "up:x", "ref": "y"}))
        self.assertEqual(said["is"], "done", said)
        self.assertEqual([text for *_, text in self.said()], ["next|https://near|parent|https://up/|x/end{'http-auth': 'bearer'}"])


class Server(http.server.BaseHTTPRequestHandler):
    """Files, with what servers do about them."""

    protocol_version = "HTTP/1.1"
    asked = []
    content = b"some content\n"

    def do_GET(self):
        Server.asked.append((self.path, self.headers.get("If-None-Match"), self.headers.get("Authorization"), self.headers.get("User-Agent")))
        tag = '"%s"' % hashlib.sha256(Server.content).hexdigest()[:8]
        if self.path == "/none":
            self.reply(404, b"")
        elif self.path == "/secret" and not self.headers.get("Authorization"):
            self.reply(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        elif self.path == "/short":
            self.reply(200, Server.content, {"Content-Length": str(len(Server.content) + 1)})
        elif self.headers.get("If-None-Match") == tag:
            self.reply(304, b"")
        else:
            self.reply(200, Server.content, {"ETag": tag})

    def reply(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        pass


class Downloads(HostTest):
    """DownloadableFileSource."""

    def setUp(self):
        super().setUp()
        Server.asked = []
        Server.content = b"some content\n"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.base = f"http://127.0.0.1:{self.server.server_port}/"
        self.project["aliases"] = {"up": {"url": self.base, "fetch": [self.base], "track": [self.base]}}
        self.write(
            "plugins/kind.py",
            "from buildstream import DownloadableFileSource\nclass K(DownloadableFileSource):\n    BST_MIN_VERSION = '2.0'\ndef setup():\n    return K\n",
        )
        self.sha = hashlib.sha256(Server.content).hexdigest()

    def path(self, name, ref):
        return os.path.join(self.mirrors, "kind", "up_" + name, ref)

    def test_track_fetch_and_cached(self):
        self.started(environment={"HOME": self.directory})
        said = self.work("track", self.question({"url": "up:file"}))
        self.assertEqual((said.get("ref"), said.get("writes")), (self.sha, {"ref": self.sha}), said)
        question = self.question({"url": "up:file", "ref": self.sha})
        self.assertTrue(self.work("cached", question)["cached"])
        with open(self.path("file", self.sha), "rb") as file:
            self.assertEqual(file.read(), Server.content)
        # What is here is neither fetched again nor tracked again while it is the same.
        Server.asked = []
        self.work("fetch", question)
        self.assertEqual(Server.asked, [])
        self.assertEqual(self.work("track", question)["ref"], self.sha)
        self.assertEqual([tag is None for _, tag, *_ in Server.asked], [False])
        self.assertEqual(Server.asked[0][3], "BuildStream/2")
        Server.content = b"other content\n"
        said = self.work("track", question)
        self.assertEqual(said["ref"], hashlib.sha256(Server.content).hexdigest())
        self.assertIn("Potential man-in-the-middle attack!", [text for *_, text in self.said()])
        self.assertEqual(sorted(os.listdir(os.path.join(self.mirrors, "kind"))), ["up_file"])

    def test_fetch_of_something_else(self):
        said = self.work("fetch", self.question({"url": "up:file", "ref": "0" * 64}))
        self.assertEqual(said["message"], f"File downloaded from {self.base}file has sha256sum '{self.sha}', not '{'0' * 64}'!")
        self.assertFalse(said["temporary"])

    def test_failures_may_pass(self):
        for name, text in (("none", "HTTP Error 404: Not Found"), ("short", "Partial file 13/14")):
            said = self.work("fetch", self.question({"url": "up:" + name, "ref": self.sha}))
            self.assertTrue(said["message"].endswith(f": Error mirroring {self.base}{name}: {text}"), said)
            self.assertTrue(said["temporary"])
            self.assertFalse(os.path.exists(self.path(name, self.sha)))

    def test_netrc(self):
        self.write(".netrc", "machine 127.0.0.1\nlogin me\npassword secret\n")
        os.chmod(os.path.join(self.directory, ".netrc"), 0o600)
        self.started(environment={"HOME": self.directory})
        said = self.work("fetch", self.question({"url": "up:secret", "ref": self.sha}))
        self.assertEqual(said["is"], "done", said)
        self.assertEqual([bool(authorization) for _, _, authorization, _ in Server.asked], [False, True])

    def test_keys_and_info(self):
        keys_of = [
            answer.get("key")
            for answer in self.answers(
                self.question({"url": "up:x-1.2.tgz", "ref": "abc"}),
                self.question({"url": "up:x-1.2.tgz", "ref": "abc", "version-guess-pattern": "x"}),
                self.question({"url": "up:x-1.2.tgz", "ref": "abc", "version-guess-pattern": "x", "version": "9"}),
            )
        ]
        self.assertEqual(keys_of, ['["up:x-1.2.tgz","abc"]', '["up:x-1.2.tgz","abc","x"]', '["up:x-1.2.tgz","abc","9"]'])
        (info,) = self.work("info", self.question({"url": "up:x-1.2.3.tgz", "ref": "abc"}))["info"]
        self.assertEqual((info["url"], info["medium"], info["version_type"], info["version"], info["guess"]), (self.base + "x-1.2.3.tgz", "remote-file", "sha256", "abc", "1.2.3"))


class Directories(HostTest):
    """The directory that sources stage into."""

    def run_in(self, body):
        self.plugin("BST_STAGE_VIRTUAL_DIRECTORY = True\ndef stage_directory(self, directory):\n" + textwrap.indent(textwrap.dedent(body), "    "))
        target = os.path.join(self.directory, "target")
        os.makedirs(target, exist_ok=True)
        said = self.work("stage", directory=target)
        self.assertEqual(said["is"], "done", said)
        return target

    def test_methods(self):
        self.write("from/a.txt", "a")
        self.write("from/below/b.sh", "b")
        os.chmod(os.path.join(self.directory, "from/below/b.sh"), 0o755)
        target = self.run_in(
            f"""
            import io, tarfile
            from buildstream import Directory, DirectoryError, FileType
            assert isinstance(directory, Directory) and not directory and len(directory) == 0
            assert len(directory.import_files({self.directory + "/from"!r}).files_written) == 3
            directory.import_single_file({self.directory + "/from/a.txt"!r})
            assert sorted(directory) == ["a.txt", "below"]
            assert list(directory.list_relative_paths()) == ["a.txt", "below", "below/b.sh"]
            made = directory.open_directory("x/y", create=True)
            with made.open_file("new", mode="w") as file:
                file.write("text")
            with directory.open_file("x/y/new") as file:
                assert file.read() == "text"
            os.symlink("../below", str(directory.open_directory("x")) + "/link")
            os.symlink("/a.txt", str(directory.open_directory("x")) + "/root")
            assert directory.exists("x/link") and directory.islink("x/link") and not directory.isdir("x/link")
            assert directory.isdir("x/link", follow_symlinks=True)
            assert directory.isfile("x/root", follow_symlinks=True) and not directory.isfile("x/root")
            assert not directory.exists("x/link/b.sh") and directory.isfile("x/link/b.sh", follow_symlinks=True)
            assert directory.readlink("x/link") == "../below"
            found = directory.stat("below/b.sh")
            assert (found.file_type, found.executable, found.size) == (FileType.REGULAR_FILE, True, 1), found
            assert str(found.file_type) == "regular file"
            assert directory.file_digest("a.txt") == {hashlib.sha256(b"a").hexdigest()!r}
            directory.rename("a.txt", "x/moved")
            directory.remove("x/root")
            for call in (
                lambda: directory.remove("below"),
                lambda: directory.remove("none"),
                lambda: directory.open_directory("none"),
                lambda: directory.open_directory("x/moved"),
                lambda: directory.stat("none"),
                lambda: directory.open_file("x/moved", mode="x"),
                lambda: directory.file_digest("below"),
                lambda: directory.readlink("x/moved"),
            ):
                try:
                    call()
                except DirectoryError as error:
                    assert error.domain.name == "VIRTUAL_FS"
                else:
                    raise AssertionError("no error")
            try:
                directory.exists("/etc")
            except ValueError:
                pass
            else:
                raise AssertionError("no error")
            data = io.BytesIO()
            with tarfile.open(fileobj=data, mode="w") as archive:
                directory.export_to_tar(archive, "in")
            data.seek(0)
            with tarfile.open(fileobj=data) as archive:
                assert archive.getnames() == ["in/below", "in/below/b.sh", "in/x", "in/x/link", "in/x/moved", "in/x/y", "in/x/y/new"], archive.getnames()
                assert {{member.mtime for member in archive}} == {{1321009871}}
            directory.remove("below", recursive=True)
            """
        )
        self.assertEqual(sorted(os.listdir(target)), ["x"])

    def test_nothing_leads_out(self):
        """A link that leads out of the directory is one within it."""
        self.write("outside/secret", "x")
        self.run_in(
            f"""
            os.symlink({self.directory + "/outside"!r}, str(directory) + "/out")
            os.symlink("../outside", str(directory) + "/up")
            os.symlink("loop", str(directory) + "/loop")
            for path in ("out/secret", "up/secret", "loop", "loop/x"):
                assert not directory.exists(path, follow_symlinks=True), path
            """
        )


class Files(HostTest):
    """Helpers that copy."""

    def test_copies(self):
        self.write("from/a", "a")
        self.write("from/below/b", "b")
        os.symlink("a", os.path.join(self.directory, "from/link"))
        os.chmod(os.path.join(self.directory, "from/below"), 0o555)
        self.addCleanup(os.chmod, os.path.join(self.directory, "from/below"), 0o755)
        self.write("to/a", "old")
        self.write("to/below/full/x", "x")
        self.plugin(
            f"""
            def get_unique_key(self):
                from buildstream import utils
                src, dest = {self.directory + "/from"!r}, {self.directory + "/to"!r}
                first = utils.copy_files(src, dest, report_written=True)
                second = utils.link_files(src, {self.directory + "/linked"!r}, report_written=True, filter_callback=lambda path: path != "a")
                with utils.save_file_atomic(dest + "/saved") as file:
                    file.write("saved")
                try:
                    with utils.save_file_atomic(dest + "/lost") as file:
                        raise KeyError
                except KeyError:
                    pass
                try:
                    utils.move_atomic(src, dest)
                except utils.DirectoryExistsError:
                    pass
                with self.tempdir() as temporary:
                    os.makedirs(temporary + "/deep")
                    os.chmod(temporary, 0o555)
                return [first.overwritten, first.ignored, first.files_written, second.files_written, os.path.exists(temporary)]
            """
        )
        os.mkdir(os.path.join(self.directory, "linked"))
        answer = self.answer()
        self.assertEqual(answer.get("key"), '[["a"],[],["a","link","below","below/b"],["link","below","below/b"],false]', answer)
        place = lambda *parts: os.path.join(self.directory, *parts)  # noqa: E731
        self.assertEqual(sorted(os.listdir(place("to"))), ["a", "below", "link", "saved"])
        self.assertEqual(sorted(os.listdir(place("linked"))), ["below", "link"])
        self.assertTrue(os.path.samefile(place("linked/below/b"), place("from/below/b")))
        self.assertEqual(os.stat(place("to/below")).st_mode & 0o777, 0o555)
        os.chmod(place("to/below"), 0o755)
        os.chmod(place("linked/below"), 0o755)


if __name__ == "__main__":
    unittest.main(verbosity=2)
