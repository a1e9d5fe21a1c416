"""Mirrors that are plugins, for sources of native kinds: a file by HTTP with a token, a repository of git with submodules, an index
of which a suffix is asked; and plugins that fail otherwise than by saying so. Checks spec/plugins.md, H3, H23 and H24."""

import hashlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from index_servers import Web  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

# A server whose paths aren't those of what it mirrors: what plugins of mirrors are for.
MIRROR = """
import os

from urllib.parse import quote

from buildstream import SourceMirror, SourceMirrorError


class Quoted(SourceMirror):
    BST_MIN_VERSION = "2.2"

    def configure(self, node):
        node.validate_keys(["url", "aliases", "mischief"])
        self.url = node.get_str("url")
        self.mischief = node.get_str("mischief", "")
        self.set_supported_aliases(node.get_str_list("aliases"))
        if self.mischief == "ends at load":
            os._exit(3)

    def translate_url(self, *, alias, alias_url, source_url, extra_data):
        if self.mischief == "ends":
            os._exit(3)
        if self.mischief == "nothing":
            raise SourceMirrorError("nothing of {} here".format(source_url))
        if self.mischief == "lines":
            return self.url + "\\n" + source_url
        if self.url.startswith("http") and extra_data is not None:
            extra_data["http-auth"] = "bearer"
        return "{}{}/{}".format(self.url, alias, quote(source_url, safe="") if self.url.startswith("http") else source_url)


def setup():
    return Quoted
"""
DATA = b"of a mirror\n"
CONF = """name: mirrored
min-version: 2.2
element-path: elements
aliases: {up: 'http://127.0.0.1:1/'}
plugins:
- {origin: local, path: plugins, source-mirrors: [quoted]}
%s
mirrors:
%s
"""


class Mirrors(SluiceTest):
    def setUp(self):
        super().setUp()
        self.write("home/.netrc", "machine 127.0.0.1 login me password of-mine\n", 0o600)
        self.write("config/buildstream.conf", "scheduler: {network-retries: 0}\n")

    def make(self, mirrors, sources, origins=""):
        items = "".join("- {name: m%d, kind: quoted, config: {url: '%s', aliases: [up], mischief: '%s'}}\n" % (number, *mirror) for number, mirror in enumerate(mirrors))
        self.at = self.project({"project.conf": CONF % (origins, items), "plugins/quoted.py": MIRROR, "elements/a.bst": "kind: import\nsources:\n" + sources})

    def run_sluice(self, *arguments, **options):
        return self.sluice(*arguments, cwd=self.at, **options)

    def checked_out(self):
        directory = os.path.join(self.directory, "out")
        self.run_sluice("source", "checkout", "--directory", directory, "a.bst")
        return sorted(os.path.relpath(os.path.join(at, name), directory + "/a") for at, _, names in os.walk(directory) for name in names)

    def test_a_file(self):
        """H23: asked when the turn of its URL comes, after a mirror that has nothing; with the token of ~/.netrc, as it says."""
        with Web({"/up/some%2Fdata": DATA}) as web:
            self.make([("http://127.0.0.1:1/", "nothing"), (web.url, "")], "- {kind: remote, url: 'up:some/data', ref: %s}\n" % hashlib.sha256(DATA).hexdigest())
            self.run_sluice("source", "fetch", "a.bst")
            self.assertEqual([(path, headers.get("Authorization")) for path, headers in web.asked], [("/up/some%2Fdata", "Bearer of-mine")])
        self.assertEqual(self.checked_out(), ["data"])
        self.assert_nothing_left()

    def test_a_file_of_an_index(self):
        """What a kind appends to its URL is a part of what the plugin is asked for: quoted here, as one name."""
        with Web({"/up/packages%2Fa%2Fx-1.0.tar.gz": DATA}) as web:
            self.make([(web.url, "")], "- kind: pypi\n  url: 'up:packages/'\n  name: x\n  ref:\n    suffix: a/x-1.0.tar.gz\n    sha256sum: %s\n" % hashlib.sha256(DATA).hexdigest(),
                      "- {origin: pip, package-name: buildstream-plugins-community, sources: [pypi]}")  # fmt: skip
            # It is no archive: what is asked for is what counts here.
            self.run_sluice("source", "fetch", "a.bst", status=None)
            self.assertEqual([path for path, _ in web.asked], ["/up/packages%2Fa%2Fx-1.0.tar.gz"])

    def test_all_that_was_tried_is_told(self):
        with Web({}) as web:
            self.make([("http://127.0.0.1:1/", "nothing"), (web.url, "")], "- {kind: remote, url: 'up:some/data', ref: %s}\n" % ("0" * 64))
            failed = self.run_sluice("source", "fetch", "a.bst", status=1)
        for told in ("nothing of some/data here", "Error mirroring %sup/some%%2Fdata: " % web.url, "Error mirroring http://127.0.0.1:1/some/data: "):
            self.assertIn(told, failed.stderr.partition("Tried in turn:")[2])

    def git(self, directory, *arguments):
        done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always", "-C", directory, *arguments],
                              env=dict(self.env, GIT_CONFIG_NOSYSTEM="1"), capture_output=True, text=True, check=True)  # fmt: skip
        return done.stdout.strip()

    def repositories(self, named, found):
        """Three below `served/up`, of which one has the others as submodules by these URLs; the commit of that one."""
        top = os.path.join(self.directory, "served/up")
        for name in ("main", "named", "found"):
            os.makedirs(os.path.join(top, name))
            self.git(os.path.join(top, name), "init", "-q", "-b", "main")
            self.write(os.path.join(top, name, name + ".txt"), name)
            self.git(os.path.join(top, name), "add", ".")
            self.git(os.path.join(top, name), "commit", "-qm", "one")
        main_directory = os.path.join(top, "main")
        for name, url in (("named", named), ("found", found)):
            self.git(main_directory, "submodule", "add", "-q", os.path.join(top, name), name)
            self.git(main_directory, "config", "-f", ".gitmodules", "submodule.%s.url" % name, url % {"top": top})
        self.git(main_directory, "add", ".")
        self.git(main_directory, "commit", "-qm", "two")
        return top, self.git(main_directory, "rev-parse", "HEAD")

    def fetch_of_git(self, top, commit, url, more=""):
        self.make([("file://%s/" % os.path.dirname(top), "")], "- kind: git\n  url: %s\n  ref: %s\n%s" % (url, commit, more),
                  "- {origin: pip, package-name: buildstream-plugins, sources: [git]}")  # fmt: skip
        self.run_sluice("source", "fetch", "a.bst")
        self.assertEqual([name for name in self.checked_out() if name.endswith(".txt")], ["found/found.txt", "main.txt", "named/named.txt"])
        self.assert_nothing_left()

    def test_git_with_submodules(self):
        """The repository, a submodule that the source names by an alias, and one that has a URL with an alias itself."""
        top, commit = self.repositories("http://127.0.0.1:1/elsewhere", "up:found")
        self.fetch_of_git(top, commit, "up:main", "  submodules:\n    named: {url: 'up:named'}\n")

    def test_git_with_one_submodule_at_a_mirror(self):
        """The repository and one of its submodules have no alias; where the other one was is nothing any more."""
        top, commit = self.repositories("http://127.0.0.1:1/elsewhere", "file://%(top)s/found")
        self.fetch_of_git(top, commit, "file://%s/main" % top, "  submodules:\n    named: {url: 'up:named'}\n")

    def test_git_at_a_mirror_with_submodules_elsewhere(self):
        top, commit = self.repositories("file://%(top)s/named", "../found")
        # A repository of another machine names none of this one, but where the source says so.
        self.fetch_of_git(top, commit, "up:main", "  submodules:\n    named: {url: 'file://%s/named'}\n" % top)

    def test_tracked(self):
        with Web({"/up/some%2Fdata": DATA}) as web:
            self.make([(web.url, "")], "- {kind: remote, url: 'up:some/data'}\n")
            self.write("config/buildstream.conf", "track: {source: mirrors}\nscheduler: {network-retries: 0}\n")
            self.run_sluice("source", "track", "a.bst")
        with open(os.path.join(self.at, "elements/a.bst"), encoding="utf-8") as file:
            self.assertIn(hashlib.sha256(DATA).hexdigest(), file.read())

    def test_its_process_ends_at_load(self):
        """H3, H24: told with the plugin's file and the place of the mirror, also where nothing is fetched."""
        self.make([("http://127.0.0.1:1/", "ends at load")], "- {kind: local, path: plugins}\n")
        failed = self.run_sluice("show", "a.bst", status=1)
        self.assertRegex(failed.stderr, r"project.conf \[line 9 column 2\].*quoted.*plugins/quoted.py")

    def test_its_process_ends_when_it_is_asked(self):
        """H23: such a failure isn't left to the next URL, which would hide it."""
        with Web({"/some/data": DATA}) as web:
            for mischief in ("ends", "lines"):
                self.make([(web.url, mischief)], "- {kind: remote, url: 'up:some/data', ref: %s}\n" % hashlib.sha256(DATA).hexdigest())
                self.assertEqual(self.run_sluice("show", "--format", "%{state}", "a.bst").stdout.strip(), "fetch needed")
                failed = self.run_sluice("source", "fetch", "a.bst", status=1)
                self.assertRegex(failed.stderr, r"remote source at a.bst \[line 3 column 2\].*plugins/quoted.py")
            self.assertEqual(web.asked, [])
        self.assert_nothing_left()


main()
