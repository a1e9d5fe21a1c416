"""Git sources from real servers: git daemon, git http-backend behind a web server, servers that hang, lie or disappear, hostile repositories."""

import hashlib
import os
import shutil
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../support"), os.path.join(HERE, "../../differential")]
import git_repositories  # noqa: E402
from git_repositories import Repository, gitmodules, history, module  # noqa: E402
from git_servers import Between, GitDaemon, HttpBackend, Liar, Silent  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402

PROJECT = "name: git\nmin-version: 2.5\nelement-path: elements\naliases:\n  up: %s\nplugins:\n- origin: pip\n  package-name: buildstream-plugins\n  sources: [git]\n" \
          "- origin: pip\n  package-name: buildstream-plugins-community\n  sources: [git_module, git_repo, git_tag]\n"
KINDS = ("git", "git_repo")
ALL_KINDS = KINDS + ("git_tag",)
MEBIBYTE = 1 << 20
# MiB of a history that a shallow fetch leaves behind; releases are tried with 2048 by hand.
HISTORY_MIB = int(os.environ.get("SLUICE_TEST_HISTORY_MIB", "24"))


def noise(seed, size):
    """Bytes that don't compress, the same each time."""
    return hashlib.shake_128(seed.encode()).digest(size)


class GitServers(SluiceTest):
    IN_MEMORY = True

    def setUp(self):
        super().setUp()
        self.top = os.path.join(self.directory, "repositories")
        self.made = {}

    def make(self, *repositories):
        for repository in repositories:
            self.made[repository.name] = repository.finish(self.top)
        return self.made[repositories[-1].name]

    def element(self, name, *lines, url=None):
        text = "kind: import\nsources:\n- " + "\n  ".join(lines) + "\n"
        files = {"elements/%s.bst" % name: text}
        if url is not None:
            files["project.conf"] = PROJECT % url
        return self.project(files)

    def checked_out(self, at, name):
        target = os.path.join(self.directory, "out")
        shutil.rmtree(target, ignore_errors=True)
        self.sluice("source", "checkout", "--deps", "none", "--directory", target, name + ".bst", cwd=at)
        return os.path.join(target, name)

    def file(self, *path):
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()

    def config(self, **settings):
        lines = ["scheduler:"] + ["  %s: %s" % (name.replace("_", "-"), value) for name, value in settings.items()]
        return self.write("config/buildstream.conf", "\n".join(lines) + "\n")

    def kill_fetches(self):
        """Kills the gits that fetch; those that serve are children of this test, too, and go on."""
        for pid in self.pids("git"):
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    if b"fetch" in file.read().split(b"\0"):
                        os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended


class Kinds(GitServers):
    def test_every_url(self):
        made = self.make(history(Repository("some"), 3).tag("v1", "c2"))
        with GitDaemon(self.top) as daemon, HttpBackend(self.top, self.directory) as web:
            for kind in KINDS:
                for url in (daemon.url, web.url, "file://%s/" % self.top, self.top + "/"):
                    with self.subTest(kind=kind, url=url.split(":")[0]):
                        remove_tree(self.cachedir)
                        at = self.element("a", "kind: " + kind, "url: up:some", "track: main", "ref-format: git-describe", url=url)
                        self.sluice("source", "track", "a.bst", cwd=at)
                        self.assertIn("ref: v1-1-g" + made["c3"], self.file(at, "elements/a.bst"))
                        self.sluice("source", "fetch", "a.bst", cwd=at)
                        self.assertEqual(self.file(self.checked_out(at, "a"), "file"), "line 3\n")
        self.assert_nothing_left()

    def test_host_configuration_is_not_seen(self):
        """Hooks, filters and rewritten URLs of the user's git configuration have no effect."""
        made = self.make(history(Repository("some"), 2))
        mark = os.path.join(self.directory, "was here")
        hook = self.write("hooks/post-checkout", "#!/bin/sh\ntouch '%s'\n" % mark, 0o755)
        for name in ("reference-transaction", "post-merge", "pre-auto-gc", "post-index-change"):
            self.write("hooks/" + name, "#!/bin/sh\ntouch '%s'\n" % mark, 0o755)
        self.write("home/.gitconfig", "[core]\n\thooksPath = %s\n\tautocrlf = true\n\tfsmonitor = touch '%s'\n[url \"file:///nowhere/\"]\n\tinsteadOf = git://\n"
                   "[init]\n\ttemplateDir = %s\n[filter \"lfs\"]\n\tsmudge = touch '%s'\n" % (os.path.dirname(hook), mark, self.directory, mark))
        with GitDaemon(self.top) as server:
            for kind in KINDS:
                with self.subTest(kind=kind):
                    at = self.element("a", "kind: " + kind, "url: up:some", "ref: " + made["c2"], url=server.url)
                    environment = {"GIT_DIR": self.directory, "GIT_INDEX_FILE": "/nowhere", "GIT_SSH_COMMAND": "touch '%s'" % mark, "GIT_EXTERNAL_DIFF": "touch"}
                    self.sluice("source", "fetch", "a.bst", cwd=at, env=environment)
                    self.assertEqual(self.file(self.checked_out(at, "a"), "file"), "line 2\n")
                    self.assertFalse(os.path.exists(mark))


class Clones(GitServers):
    """What git_tag and git_module do that BuildStream's plugins don't."""

    def test_modules_of_modules_are_tracked_where_they_are_staged(self):
        inner = self.make(history(Repository("inner"), 2))
        middle = self.make(Repository("middle").commit("c1", {".gitmodules": gitmodules(i=("deep/inner", "up:inner")), "deep/inner": module(inner["c1"])}))
        self.make(Repository("top").commit("c1", {".gitmodules": gitmodules(m=("middle", "up:middle")), "middle": module(middle["c1"])}))
        with GitDaemon(self.top) as server:
            at = self.element("a", "kind: git_repo", "url: up:top", "track: main", "directory: src", url=server.url)
            text = self.file(at, "elements/a.bst")
            for name, directory, path in (("middle", "src", "middle"), ("inner", "src/middle", "deep/inner")):
                text += "- kind: git_module\n  url: up:%s\n  directory: %s\n  path: %s\n" % (name, directory, path)
            self.write(os.path.join(at, "elements/a.bst"), text)
            self.sluice("source", "track", "a.bst", cwd=at)
            self.assertEqual([line.split()[1] for line in self.file(at, "elements/a.bst").splitlines() if line.startswith("  ref: ")],
                             [self.made["top"]["c1"], middle["c1"], inner["c1"]])
            self.sluice("source", "fetch", "a.bst", cwd=at)
            self.assertEqual(self.file(self.checked_out(at, "a"), "src/middle/deep/inner/file"), "line 1\n")
        self.assert_nothing_left()

    def test_files_of_lfs(self):
        made = self.make(Repository("large").commit("c1", {".gitattributes": "*.dat filter=lfs\n", "a.dat": "a pointer\n"}), history(Repository("plain"), 1))
        large = self.made["large"]["c1"]
        with GitDaemon(self.top) as server:
            lines = ("kind: git_tag", "url: up:large", "ref: " + large)
            at = self.element("a", *lines, "use-lfs: true", url=server.url)
            self.element("b", "kind: git_tag", "url: up:plain", "ref: " + made["c1"], "use-lfs: true")
            self.sluice("source", "fetch", "b.bst", cwd=at)
            done = self.sluice("source", "fetch", "a.bst", cwd=at, status=None)
            self.assertNotEqual(done.code, 0)
            self.assertIn("git_tag source at a.bst [line 3 column 2]: 'use-lfs': files of Git LFS can't be fetched", done.stderr)
            self.element("a", *lines)
            with open(os.path.join(at, "project.conf"), "a", encoding="utf-8") as file:
                file.write("fatal-warnings: ['git_tag:unused-lfs']\n")
            done = self.sluice("source", "fetch", "a.bst", cwd=at, status=None)
            self.assertNotEqual(done.code, 0)
            self.assertIn("[git_tag:unused-lfs]: git_tag source at a.bst [line 3 column 2]: Git LFS not configured", done.stderr)
            self.element("a", *lines, "use-lfs: false")
            self.sluice("source", "fetch", "a.bst", cwd=at)
            self.assertEqual(self.file(self.checked_out(at, "a"), "a.dat"), "a pointer\n")
        self.assert_nothing_left()


class Faults(GitServers):
    def big(self):
        repository = Repository("big")
        for number in range(1, 5):
            repository.commit("c%d" % number, {"noise": noise("big %d" % number, MEBIBYTE)})
        return self.make(repository)

    def test_killed_in_the_middle_of_a_clone(self):
        made = self.big()
        with GitDaemon(self.top) as server:
            for kind in KINDS:
                for program in ("sluice-runner", "sluice-job", "sluice-scheduler", "git"):
                    with self.subTest(kind=kind, program=program), Between(server, MEBIBYTE, "wait") as between:
                        remove_tree(self.cachedir)
                        at = self.element("a", "kind: " + kind, "url: up:big", "ref: " + made["c4"], url=between.url)
                        fetch = self.start("source", "fetch", "a.bst", cwd=at)
                        self.wait_until(between.reached.is_set, "the middle of the pack")
                        self.kill_fetches() if program == "git" else self.kill(program)
                        between.release()
                        fetch.wait()
                        # Whatever became of the first fetch, what it left is no hindrance to the next.
                        self.sluice("source", "fetch", "a.bst", cwd=at)
                        with open(os.path.join(self.checked_out(at, "a"), "noise"), "rb") as file:
                            self.assertEqual(file.read(), noise("big 4", MEBIBYTE))
        self.assert_nothing_left()

    def test_killed_whole_session(self):
        made = self.big()
        with GitDaemon(self.top) as server:
            for kind in KINDS:
                with self.subTest(kind=kind), Between(server, MEBIBYTE, "wait") as between:
                    remove_tree(self.cachedir)
                    at = self.element("a", "kind: " + kind, "url: up:big", "ref: " + made["c4"], url=between.url)
                    fetch = self.start("source", "fetch", "a.bst", cwd=at)
                    self.wait_until(between.reached.is_set, "the middle of the pack")
                    fetch.process.kill()
                    for program in ("sluice-session", "sluice-scheduler", "sluice-runner", "sluice-job", "sluice-broker", "sluice-loader"):
                        self.kill(program)
                    between.release()
                    fetch.wait()
                    self.sluice("source", "fetch", "a.bst", cwd=at)
                    self.assertEqual(os.path.getsize(os.path.join(self.checked_out(at, "a"), "noise")), MEBIBYTE)

    def test_two_sessions_on_one_mirror(self):
        made = self.big()
        with GitDaemon(self.top) as server:
            for kind in KINDS:
                with self.subTest(kind=kind), Between(server, MEBIBYTE, "wait") as between:
                    remove_tree(self.cachedir)
                    at = self.element("a", "kind: " + kind, "url: up:big", "ref: " + made["c4"], url=between.url)
                    self.element("b", "kind: " + kind, "url: up:big", "ref: " + made["c3"])
                    first = self.start("source", "fetch", "a.bst", cwd=at)
                    self.wait_until(between.reached.is_set, "the middle of the pack")
                    second = self.start("source", "fetch", "b.bst", cwd=at)
                    between.release()
                    self.assertEqual(first.wait(), 0, first)
                    self.assertEqual(second.wait(), 0, second)
                    for name, number in (("a", 4), ("b", 3)):
                        with open(os.path.join(self.checked_out(at, name), "noise"), "rb") as file:
                            self.assertEqual(file.read(), noise("big %d" % number, MEBIBYTE))
        self.assert_nothing_left()

    def test_server_that_hangs(self):
        with Silent() as server:
            for kind in KINDS:
                for verb in ("fetch", "track"):
                    with self.subTest(kind=kind, verb=verb):
                        at = self.element("a", "kind: " + kind, "url: up:some", "track: main", *(["ref: " + "1" * 40] if verb == "fetch" else []), url=server.url)
                        before = len(server.accepted)
                        waiting = self.start("source", verb, "a.bst", cwd=at)
                        self.wait_until(lambda: len(server.accepted) > before, "a connection")
                        # A command that waits for the server can be stopped, with all its processes.
                        waiting.signal(15)
                        self.assertNotEqual(waiting.wait(), 0)
                        self.assert_nothing_left()

    def test_server_that_hangs_with_timeout(self):
        config = self.config(network_retries=0, network_timeout=1)
        with Silent() as server:
            for kind in KINDS:
                for verb in ("fetch", "track"):
                    with self.subTest(kind=kind, verb=verb):
                        at = self.element("a", "kind: " + kind, "url: up:some", "track: main", *(["ref: " + "1" * 40] if verb == "fetch" else []), url=server.url)
                        done = self.sluice("--config", config, "source", verb, "a.bst", cwd=at, status=1)
                        self.assertIn("network-timeout", done.stderr)
                        self.assert_nothing_left()

    def test_server_that_lies(self):
        made = self.make(history(Repository("some"), 2))
        claimed = "f" * 40
        with Liar(claimed, made.directory, made["c2"]) as server:
            for kind in KINDS:
                with self.subTest(kind=kind):
                    at = self.element("a", "kind: " + kind, "url: up:some", "track: main", url=server.url)
                    self.element("b", "kind: " + kind, "url: up:some", "track: main", "ref: " + claimed)
                    self.sluice("--config", self.config(network_retries=0, network_timeout=2), "source", "fetch", "b.bst", cwd=at, status=1)
                    self.assertTrue(server.wanted)
                    self.sluice("show", "b.bst", cwd=at)
        # An honest server at the same place is believed.
        with GitDaemon(self.top) as server:
            for kind in KINDS:
                at = self.element("a", "kind: " + kind, "url: up:some", "ref: " + made["c2"], url=server.url)
                self.sluice("source", "fetch", "a.bst", cwd=at)
                self.assertEqual(self.file(self.checked_out(at, "a"), "file"), "line 2\n")
        self.assert_nothing_left()

    def test_server_that_disappears(self):
        made = self.big()
        config = self.config(network_retries=0)
        with GitDaemon(self.top) as daemon, HttpBackend(self.top, self.directory) as web:
            for kind in KINDS:
                for server in (daemon, web):
                    with self.subTest(kind=kind, scheme=server.scheme), Between(server, MEBIBYTE, "close") as between:
                        remove_tree(self.cachedir)
                        at = self.element("a", "kind: " + kind, "url: up:big", "ref: " + made["c4"], url=between.url)
                        self.sluice("--config", config, "source", "fetch", "a.bst", cwd=at, status=1)
                        between.release()
                        self.sluice("--config", config, "source", "fetch", "a.bst", cwd=at)
                        self.assertEqual(os.path.getsize(os.path.join(self.checked_out(at, "a"), "noise")), MEBIBYTE)
        self.assert_nothing_left()

    def damage(self, kind, what):
        """Leaves a mirror without some of what its refs lead to, and the cache without what was staged from it."""
        mirrors = os.path.join(self.cachedir, "sources", kind)
        mirror = os.path.join(mirrors, *os.listdir(mirrors))
        for name in ("cas", "elementsources", "source_protos", "artifacts"):
            remove_tree(os.path.join(self.cachedir, name))
        packs = os.path.join(mirror, "objects/pack")
        moved = os.path.join(self.directory, "packs")
        shutil.rmtree(moved, ignore_errors=True)
        shutil.move(packs, moved)
        os.mkdir(packs)
        for name in os.listdir(moved):
            path = os.path.join(moved, name)
            if what == "pack cut" and name.endswith(".pack"):
                os.chmod(path, 0o644)
                os.truncate(path, os.path.getsize(path) // 2)
            if what == "pack cut":
                shutil.copy(path, packs)
            elif name.endswith(".pack"):
                with open(path, "rb") as file:
                    git_repositories.git(mirror, "unpack-objects", "-q", data=file.read())
        if what == "pack cut":
            return
        name = {"blob gone": "HEAD:noise", "blob cut": "HEAD:noise", "tree gone": "HEAD^{tree}", "commit gone": "HEAD~1"}[what]
        commit = git_repositories.git(mirror, "for-each-ref", "--count=1", "--format=%(objectname)").decode().strip()
        sha = git_repositories.git(mirror, "rev-parse", name.replace("HEAD", commit)).decode().strip()
        path = os.path.join(mirror, "objects", sha[:2], sha[2:])
        if what.endswith("cut"):
            os.chmod(path, 0o644)
            os.truncate(path, os.path.getsize(path) // 2)
        else:
            os.unlink(path)

    def test_mirror_that_lacks_what_its_refs_lead_to(self):
        """As a machine leaves it that goes down, or somebody else's git that was killed."""
        made = self.big()
        with GitDaemon(self.top) as server:
            for kind in ALL_KINDS:
                for of in ("a commit", "a history"):
                    for what in ("pack cut", "blob gone", "blob cut", "tree gone", "commit gone"):
                        if (of, what) == ("a commit", "commit gone") or (kind, of) == ("git_tag", "a commit"):
                            continue
                        with self.subTest(kind=kind, of=of, what=what):
                            remove_tree(self.cachedir)
                            form = [] if kind == "git_tag" else ["ref-format: git-describe"]
                            at = self.element("a", "kind: " + kind, "url: up:big", "track: main", *form, "ref: " + made["c4"], url=server.url)
                            if of == "a history":
                                self.sluice("source", "track", "a.bst", cwd=at)
                            else:
                                at = self.element("a", "kind: " + kind, "url: up:big", "ref: " + made["c4"])
                            self.sluice("source", "fetch", "a.bst", cwd=at)
                            self.damage(kind, what)
                            done = self.sluice("source", "fetch", "a.bst", cwd=at)
                            # What is left of a pack may be enough, and the history isn't looked at by all.
                            if what not in ("commit gone", "pack cut"):
                                self.assertIn("Objects are missing in", done.stderr)
                            with open(os.path.join(self.checked_out(at, "a"), "noise"), "rb") as file:
                                self.assertEqual(file.read(), noise("big 4", MEBIBYTE))
                            # The history is whole, too.
                            self.sluice("workspace", "open", "--directory", os.path.join(self.directory, "workspace"), "a.bst", cwd=at)
                            log = git_repositories.git(os.path.join(self.directory, "workspace"), "log", "--format=%H")
                            self.assertEqual(log.decode().split(), [made["c%d" % number] for number in (4, 3, 2, 1)])
                            self.sluice("workspace", "close", "--remove-dir", "a.bst", cwd=at)
        self.assert_nothing_left()

    def test_no_prompt_waits(self):
        """A server that wants a password is an error; nobody is asked."""
        made = self.make(history(Repository("some"), 1))
        with HttpBackend(self.top, self.directory, password=True) as server:
            for kind in KINDS:
                with self.subTest(kind=kind):
                    at = self.element("a", "kind: " + kind, "url: up:some", "ref: " + made["c1"], url=server.url)
                    fetch = self.start("--no-interactive", "--config", self.config(network_retries=0), "source", "fetch", "a.bst", cwd=at, pty=True)
                    self.assertNotEqual(fetch.wait(), 0)
                    self.assertNotIn("Username for", fetch.stdout)
        self.assert_nothing_left()


class Sizes(GitServers):
    def test_twenty_thousand_files(self):
        many = Repository("many")
        many.commit("c1", {"d%03d/f%03d" % (n // 100, n % 100): "%d\n" % n for n in range(git_repositories.MANY)})
        made = self.make(many)
        with GitDaemon(self.top) as server:
            for kind in KINDS:
                with self.subTest(kind=kind):
                    at = self.element(kind, "kind: " + kind, "url: up:many", "ref: " + made["c1"], url=server.url)
                    self.sluice("source", "fetch", kind + ".bst", cwd=at)
                    out = self.checked_out(at, kind)
                    self.assertEqual(sum(len(files) for top, _, files in os.walk(out) if "/.git" not in top), git_repositories.MANY)
                    self.assertEqual(self.file(out, "d199/f099"), "19999\n")

    def test_shallow_fetch_of_a_large_history(self):
        history_of = Repository("history")
        # Each commit replaces the same file: a checkout has one of them, the history all.
        for number in range(HISTORY_MIB):
            history_of.commit("c%d" % number, {"noise": noise("history %d" % number, MEBIBYTE)})
        last = "c%d" % (HISTORY_MIB - 1)
        made = self.make(history_of.tag("v1", last))
        with GitDaemon(self.top) as server:
            for kind in KINDS:
                with self.subTest(kind=kind), Between(server) as between:
                    at = self.element(kind, "kind: " + kind, "url: up:history", "ref: v1-0-g" + made[last], url=between.url)
                    self.sluice("source", "fetch", kind + ".bst", cwd=at, timeout=600)
                    self.assertEqual(os.path.getsize(os.path.join(self.checked_out(at, kind), "noise")), MEBIBYTE)
                    self.assertLess(between.passed, 2 * MEBIBYTE)
        self.assert_nothing_left()


class Hostile(GitServers):
    """Repositories whose contents attack whoever fetches and stages them."""

    def setUp(self):
        super().setUp()
        self.mark = os.path.join(self.directory, "mark")
        self.victim = self.make(history(Repository("victim"), 1))

    def hostile(self, name, modules, files):
        return self.make(Repository(name).commit("c1", dict({".gitmodules": modules, "README": "r\n"}, **files)))

    def refused(self, server, made, *more):
        at = self.element(made.name, "kind: git", "url: up:" + made.name, "ref: " + made["c1"], *more, url=server.url)
        done = self.sluice("--config", self.config(network_retries=0), "source", "fetch", made.name + ".bst", cwd=at, status=1)
        self.assertFalse(os.path.exists(self.mark), done)
        return done

    def test_urls_of_submodules(self):
        commit = self.victim["c1"]
        urls = {"ext": "ext::sh -c touch% " + self.mark, "option": "-u./payload", "upload-pack": "--upload-pack=touch " + self.mark, "ssh": "ssh://-oProxyCommand=touch " + self.mark + "/x",
                "scp": "-oProxyCommand=touch:x", "fd": "fd::17/foo", "newline": '"git://host/%0a' + self.mark + '"'}
        with GitDaemon(self.top) as server:
            for name, url in urls.items():
                with self.subTest(url=url):
                    self.refused(server, self.hostile("url-" + name, gitmodules(a=("a", url)), {"a": module(commit)}))
        self.assert_nothing_left()

    def test_paths_of_submodules(self):
        """Nothing is written outside of the source, nothing into .git."""
        commit = self.victim["c1"]
        outside = os.path.join(self.directory, "outside")

        def escaped():
            return [top for top, folders, _ in os.walk(self.directory) if "outside" in folders]

        paths = ("../outside", "a/../../outside", ".git/hooks", ".git", "a/.git/modules", outside, ".GIT/hooks", "")
        with GitDaemon(self.top) as server:
            for number, path in enumerate(paths):
                made = self.hostile("path-%d" % number, gitmodules(a=(path, "up:victim")), {"a": module(commit)})
                for kind in ("git", "git_tag"):
                    with self.subTest(path=path, kind=kind):
                        at = self.element(made.name, "kind: " + kind, "url: up:" + made.name, "ref: " + made["c1"], url=server.url)
                        self.sluice("--config", self.config(network_retries=0), "source", "fetch", made.name + ".bst", cwd=at, status=None)
                        self.assertEqual(escaped(), [])
                        if path == "":
                            continue
                        # The path comes from the element's configuration here.
                        self.element(made.name, "kind: " + kind, "url: up:" + made.name, "ref: " + made["c1"], "submodules:", "  '%s':" % path, "    url: up:victim")
                        self.sluice("--config", self.config(network_retries=0), "source", "fetch", made.name + ".bst", cwd=at, status=None)
                        self.assertEqual(escaped(), [])
        self.assert_nothing_left()

    def test_paths_of_modules(self):
        """git_module writes below its source alone, and its own path is refused where it is written."""
        with GitDaemon(self.top) as server:
            for path in ("../outside", "a/../../outside", ".git/hooks", ".git", "a/.GIT/x"):
                with self.subTest(path=path):
                    at = self.element("m", "kind: git_repo", "url: up:victim", "ref: " + self.victim["c1"], url=server.url)
                    self.write(os.path.join(at, "elements/m.bst"), self.file(at, "elements/m.bst") +
                               "- kind: git_module\n  url: up:victim\n  path: %s\n  ref: %s\n" % (path, self.victim["c1"]))
                    done = self.sluice("--config", self.config(network_retries=0), "source", "fetch", "m.bst", cwd=at, status=None)
                    self.assertNotEqual(done.code, 0)
                    self.assertIn("git_module source at m.bst [line 6 column 2]: '%s' is no path of a submodule" % path, done.stderr)
                    self.assertEqual([top for top, folders, _ in os.walk(self.directory) if "outside" in folders], [])
        self.assert_nothing_left()

    def raw(self, name, *entries):
        """A commit whose tree git wouldn't make: (mode, name, text or {…})."""
        made = self.make(history(Repository(name), 1))

        def tree(rows):
            raw = b""
            for mode, entry, content in rows:
                sha = tree(content) if isinstance(content, tuple) else content if mode == "160000" else \
                    git_repositories.git(made.directory, "hash-object", "-w", "--stdin", data=content.encode()).decode().strip()
                raw += mode.encode() + b" " + entry.encode() + b"\0" + bytes.fromhex(sha)
            return git_repositories.git(made.directory, "hash-object", "--literally", "-w", "-t", "tree", "--stdin", data=raw).decode().strip()

        text = "tree %s\nauthor %s 1 +0000\ncommitter %s 1 +0000\n\nbad\n" % (tree(entries), git_repositories.WHO, git_repositories.WHO)
        made.ids["c1"] = git_repositories.git(made.directory, "hash-object", "-w", "-t", "commit", "--stdin", data=text.encode()).decode().strip()
        git_repositories.git(made.directory, "update-ref", "refs/heads/main", made["c1"])
        return made

    def test_trees(self):
        """Names that leave the tree or go into .git, links that are followed by what comes after them."""
        outside = os.path.join(self.directory, "outside")
        os.makedirs(outside)
        hook = (("100755", "post-checkout", "#!/bin/sh\ntouch %s\n" % self.mark),)
        trees = {
            "dot-git": (("40000", ".git", (("40000", "hooks", hook),)),),
            "upper": (("40000", ".GIT", (("40000", "hooks", hook),)),),
            "dots": (("40000", "..", (("100644", "outside-file", "x\n"),)),),
            "slash": (("100644", "../outside/file", "x\n"),),
            "absolute": (("100644", outside + "/file", "x\n"),),
            "link-then-folder": (("120000", "a", outside), ("40000", "a", (("100644", "file", "x\n"),))),
            "link-modules": (("120000", ".gitmodules", "/etc/passwd"), ("100644", "README", "r\n")),
            "fifo": (("10000", "pipe", "x"),),
            "link-then-submodule": (("100644", ".gitmodules", gitmodules(a=("a/b", "up:victim"))), ("120000", "a", outside), ("40000", "a", (("160000", "b", self.victim["c1"]),))),
        }
        with GitDaemon(self.top) as server:
            for name, rows in trees.items():
                made = self.raw("tree-" + name, *rows)
                for kind in ALL_KINDS:
                    with self.subTest(tree=name, kind=kind):
                        at = self.element(kind, "kind: " + kind, "url: up:" + made.name, "ref: " + made["c1"], url=server.url)
                        done = self.sluice("--config", self.config(network_retries=0), "source", "fetch", kind + ".bst", cwd=at, status=None)
                        self.assertFalse(os.path.exists(self.mark), done)
                        self.assertEqual(os.listdir(outside), [], done)
                        self.assertFalse(os.path.exists(os.path.join(self.directory, "outside-file")), done)
                        if done.code == 0:
                            out = self.checked_out(at, kind)
                            self.assertFalse(os.path.exists(os.path.join(out, ".git/hooks/post-checkout")), done)
        self.assert_nothing_left()

    def test_endless_submodules(self):
        """A repository that is its own submodule, at every commit the one before."""
        chain = Repository("chain")
        chain.commit("c0", {"README": "0\n"})
        made = chain.finish(self.top)
        last = made["c0"]
        for number in range(1, 25):
            chain.commit("c%d" % number, {".gitmodules": gitmodules(a=("a", "up:chain")), "a": module(last)}, parents=["c%d" % (number - 1)])
            shutil.rmtree(made.directory)
            made = chain.finish(self.top)
            last = made["c%d" % number]
        with GitDaemon(self.top) as server:
            at = self.element("a", "kind: git", "url: up:chain", "ref: " + last, url=server.url)
            self.sluice("source", "fetch", "a.bst", cwd=at)
            self.assertEqual(self.file(self.checked_out(at, "a"), *["a"] * 24, "README"), "0\n")
        self.assert_nothing_left()

    def test_refs_as_options(self):
        """Tracks, refs and tags that look like options."""
        with GitDaemon(self.top) as server:
            for kind in KINDS:
                for key in ("track: --upload-pack=touch " + self.mark, "track: '-n1'", "track: --output=" + self.mark, "ref: --output=" + self.mark, "ref: '-x-0-g%s'" % self.victim["c1"]):
                    with self.subTest(kind=kind, key=key):
                        at = self.element("a", "kind: " + kind, "url: up:victim", key, url=server.url)
                        verb = "track" if key.startswith("track") else "fetch"
                        done = self.sluice("--config", self.config(network_retries=0), "source", verb, "a.bst", cwd=at, status=None)
                        self.assertFalse(os.path.exists(self.mark), done)
# `git` takes a ref for what comes after its last "-g", whatever is before it.
                        if "-0-g" not in key:
                            self.assertNotEqual(done.code, 0)
        self.assert_nothing_left()


main()
