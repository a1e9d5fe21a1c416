"""Crates of a Cargo.lock from real servers: mirrors, servers that refuse, lie or hang, archives and repositories that mean harm."""

import os
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../support"), os.path.join(HERE, "../../differential")]
from cargo_answers import REGISTRY, Crates, archive, lock, manifest  # noqa: E402
from git_repositories import Repository, link  # noqa: E402
from git_servers import GitDaemon  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

CONF = """name: crates
min-version: 2.5
element-path: elements
mirrors:
- name: first
  aliases:
    crates: [%s]
    gits: [%s]
aliases:
  crates: %s
  gits: %s
plugins:
- origin: pip
  package-name: buildstream-plugins
  sources: [cargo]
- origin: pip
  package-name: buildstream-plugins-community
  sources: [cargo2]
"""
LOCAL = "kind: import\nsources:\n- kind: local\n  path: files\n"


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


class CratesTest(SluiceTest):
    def setUp(self):
        super().setUp()
        self.first, self.second = Crates(), Crates()
        self.addCleanup(self.first.close)
        self.addCleanup(self.second.close)
        self.repositories = os.path.join(self.directory, "repositories")
        os.makedirs(os.path.join(self.repositories, "none"))
        self.daemon = GitDaemon(self.repositories).start()
        self.addCleanup(self.daemon.stop)
        self.git = self.daemon.url

    def finish(self):
        self.daemon.stop()
        self.assert_nothing_left()

    def make(self, elements, lock_text=""):
        """elements: {name: YAML of the source, behind `kind: cargo2` and its URL; or whole}"""
        files = {"project.conf": CONF % (self.first.url, self.git + "none/", self.second.url, self.git), "files/Cargo.lock": lock_text}
        for name, text in elements.items():
            files["elements/%s.bst" % name] = LOCAL + (text if text.startswith("- kind") else "- kind: cargo2\n  url: crates:crates\n" + text)
        return self.project(files)

    @staticmethod
    def ref(*crates):
        return "  ref:\n" + "".join("  - {name: '%s', version: '%s', sha: '%s'}\n" % crate for crate in crates)

    @staticmethod
    def git_ref(name, repository, commit):
        return "  - {kind: git, name: '%s', version: 0.3.0, repo: 'gits:%s', commit: %s}\n" % (name, repository, commit)

    def config(self, **scheduler):
        return self.write("user.conf", "scheduler:\n" + "".join("  %s: %s\n" % (key.replace("_", "-"), value) for key, value in scheduler.items()))

    def fetch(self, at, *names, status=0, config=None):
        arguments = ["--on-error", "continue", "--config", config or self.config(network_retries=0)]
        return self.sluice(*arguments, "source", "fetch", *[name + ".bst" for name in names], cwd=at, status=status).stderr

    def checkout(self, at, name):
        top = os.path.join(self.directory, "out-" + name)
        self.sluice("source", "checkout", "--directory", top, name + ".bst", cwd=at)
        return os.path.join(top, name)

    def downloads(self):
        found = []
        for directory, _, files in os.walk(os.path.join(self.cachedir, "sources")):
            found += [os.path.join(directory, name) for name in files if ".git/" not in directory + "/"]
        return found

    def said(self, err, element, *texts):
        """Some line about the element has each of the texts."""
        lines = [line for line in err.split("\n") if ":%s.bst" % element in line]
        for text in texts:
            self.assertTrue(any(text in line for line in lines), "%s: no %r in\n%s" % (element, text, "\n".join(lines)))

    def test_mirrors(self):
        # What the first has not, refuses, or has with another content comes from the second.
        shas = {}
        for name in ("gone", "busy", "other", "both"):
            shas[name] = self.second.add(name, "1.0.0")
            self.first.add(name, "1.0.0")
        del self.first.files[Crates.path("gone", "1.0.0")]
        self.first.refused[Crates.path("busy", "1.0.0")] = 503
        self.first.mangled[Crates.path("other", "1.0.0")] = b"something else"
        crate = Repository("crate").commit("c1", {"Cargo.toml": manifest("crate")}).finish(self.repositories)
        crates = [(name, "1.0.0", sha) for name, sha in shas.items()]
        at = self.make({"all": self.ref(*crates) + self.git_ref("crate", "crate", crate["c1"])})
        self.fetch(at, "all")
        self.assertIn(Crates.path("gone", "1.0.0"), self.first.requests)
        self.assertNotIn(Crates.path("both", "1.0.0"), self.second.requests)
        top = os.path.join(self.checkout(at, "all"), ".vendored-crates")
        self.assertEqual(sorted(os.listdir(top)), ["both-1.0.0", "busy-1.0.0", "crate-0.3.0", "gone-1.0.0", "other-1.0.0"])
        # All is there: nobody is asked again.
        asked = len(self.first.requests) + len(self.second.requests)
        self.fetch(at, "all")
        self.assertEqual(len(self.first.requests) + len(self.second.requests), asked)
        self.finish()

    def test_servers_that_fail(self):
        # The last one that is asked is spoken of.
        sha = {name: self.second.add(name, "1.0.0") for name in ("wrong", "hangs", "gone", "good")}
        self.second.mangled[Crates.path("wrong", "1.0.0")] = b"something else"
        self.second.holds.add(Crates.path("hangs", "1.0.0"))
        del self.second.files[Crates.path("gone", "1.0.0")]
        elements = {name: self.ref((name, "1.0.0", sha[name])) for name in sha}
        elements["no-commit"] = "  ref:\n" + self.git_ref("x", "crate", "5" * 40)
        Repository("crate").commit("c1", {"Cargo.toml": manifest("x")}).finish(self.repositories)
        at = self.make(elements)
        err = self.fetch(at, *elements, status=1, config=self.config(network_retries=0, network_timeout=1))
        self.said(err, "wrong", "has sha256sum", sha["wrong"])
        self.said(err, "hangs", "Error mirroring")
        self.said(err, "gone", "404")
        self.said(err, "no-commit", "5" * 40)
        # Only the good one is there, under its name, with no rest of the others.
        self.assertEqual([os.path.basename(path) for path in self.downloads()], [sha["good"]])
        # Tracking says what it lacks, too, and changes nothing.
        self.write("project/files/Cargo.lock", lock(("gone", "1.0.0", REGISTRY, None)))
        before = elements["good"]
        err = self.sluice("--config", self.config(network_retries=0), "source", "track", "good.bst", cwd=at, status=1).stderr
        self.said(err, "good", "Error mirroring", "gone-1.0.0.crate")
        with open(os.path.join(at, "elements/good.bst"), encoding="utf-8") as file:
            self.assertIn(before, file.read())
        self.second.held.set()
        self.finish()

    def test_archives_that_mean_harm(self):
        outside = self.write("outside", "kept\n")
        plain = {"Cargo.toml": manifest("x")}
        harm = {
            "up": [member("up-1.0.0/../../../../escaped")],
            "absolute": [member("/" + os.path.relpath(self.directory, "/") + "/escaped")],
            "through": [member("through-1.0.0/out", tarfile.SYMTYPE, self.directory), member("through-1.0.0/out/escaped")],
            "hard": [member("hard-1.0.0/stolen", tarfile.LNKTYPE, outside)],
            "two": [member("neighbour-1.0.0/src/lib.rs")],
            "checksum": [member("checksum-1.0.0/.cargo-checksum.json", tarfile.SYMTYPE, outside)],
        }
        elements = {name: self.ref((name, "1.0.0", self.first.add(name, "1.0.0", files=plain, raw=raw))) for name, raw in harm.items()}
        for name, data in {"cut": archive("cut", "1.0.0")[:-20], "text": b"not an archive", "nothing": b""}.items():
            elements[name] = self.ref((name, "1.0.0", self.first.put(name, "1.0.0", data)))
        good = self.first.add("x", "1.0.0")
        elements["name"] = self.ref(("../x", "1.0.0", good))
        elements["version"] = self.ref(("x", "../../x", good))
        elements["sha"] = self.ref(("x", "1.0.0", "../" + good))
        elements["vendor"] = "  vendor-dir: a/../../b\n" + self.ref(("x", "1.0.0", good))
        elements["vendor-root"] = "  vendor-dir: %s\n" % self.directory + self.ref(("x", "1.0.0", good))
        at = self.make(elements)
        err = self.fetch(at, *elements, status=1)
        self.said(err, "up", "leads out of the directory")
        self.said(err, "through", "out of the directory")
        self.said(err, "hard", "hard link")
        self.said(err, "two", "it is to hold one directory")
        for name in ("cut", "text", "nothing"):
            self.said(err, name, "Error staging source", name + "-1.0.0.crate")
        self.said(err, "name", "'../x' is no name or version of a crate")
        self.said(err, "version", "'../../x' is no name or version of a crate")
        self.said(err, "sha", "is no SHA-256")
        self.said(err, "vendor", "vendor-dir 'a/../../b' leads out of the sources")
        self.said(err, "vendor-root", "leads out of the sources")
        # A file that stands where Cargo looks is replaced, not written through.
        top = self.checkout(at, "checksum")
        with open(os.path.join(top, ".vendored-crates/checksum-1.0.0/.cargo-checksum.json"), encoding="utf-8") as file:
            self.assertIn('"files": {}', file.read())
        with open(outside, encoding="utf-8") as file:
            self.assertEqual(file.read(), "kept\n")
        self.assertFalse(os.path.exists(os.path.join(self.directory, "escaped")))
        self.finish()

    def test_repositories_that_mean_harm(self):
        victim = os.path.dirname(self.write("victim/Cargo.toml", manifest("victim")))
        workspace = lambda *members: "[workspace]\nmembers = [%s]\npackage.version = '1'\n" % ", ".join("'%s'" % one for one in members)
        made = {name: Repository(name).commit("c1", files).finish(self.repositories)["c1"] for name, files in {
            "above": {"Cargo.toml": workspace("../../../../../../../../" + victim[1:])},
            "absolute": {"Cargo.toml": workspace(victim)},
            "linked": {"Cargo.toml": workspace("in"), "in": link(victim)},
            "manifest": {"Cargo.toml": workspace("in"), "in/Cargo.toml": link(victim + "/Cargo.toml")},
            "root": {"Cargo.toml": link(victim + "/Cargo.toml")},
            "broken": {"Cargo.toml": "[workspace\n"},
            "same": {"Cargo.toml": manifest("x")},
        }.items()}
        elements = {name: "  ref:\n" + self.git_ref("victim", name, commit) for name, commit in made.items()}
        elements["same"] = self.ref(("x", "0.3.0", self.first.add("x", "0.3.0"))) + self.git_ref("x", "same", made["same"])
        elements["option"] = "  ref:\n" + self.git_ref("x", "same", "--upload-pack=true")
        at = self.make(elements)
        err = self.fetch(at, *elements, status=1)
        for name in ("above", "absolute", "linked", "manifest"):
            self.said(err, name, "Crate 'victim' neither found in root nor workspace manifests")
        self.said(err, "root", "has no file Cargo.toml")
        self.said(err, "broken", "malformed Cargo.toml")
        self.said(err, "same", "from multiple sources")
        self.said(err, "option", "is no commit")
        with open(os.path.join(victim, "Cargo.toml"), encoding="utf-8") as file:
            self.assertEqual(file.read(), manifest("victim"))
        self.finish()

    def test_lock_files_that_mean_harm(self):
        outside = self.write("outside.lock", lock(("a", "1.0.0", REGISTRY, "a" * 64)))
        at = self.make({"up": "  cargo-lock: ../outside.lock\n", "linked": "  cargo-lock: linked.lock\n", "ref": ""},
                       lock(("../a", "1.0.0", REGISTRY, "a" * 64)))
        os.symlink(outside, os.path.join(at, "files/linked.lock"))
        os.symlink("Cargo.lock", os.path.join(at, "files/inside.lock"))
        err = self.sluice("--on-error", "continue", "source", "track", "up.bst", "linked.bst", "ref.bst", cwd=at, status=1).stderr
        self.said(err, "up", "cargo-lock '../outside.lock' leads out of the sources")
        self.said(err, "linked", "Failed to find Cargo.lock file at: linked.lock")
        self.said(err, "ref", "'../a' is no name or version of a crate")
        self.write("project/files/Cargo.lock", lock(("a", "1.0.0", REGISTRY, "a" * 64)))
        self.write("project/elements/ref.bst", LOCAL + "- kind: cargo2\n  url: crates:crates\n  cargo-lock: inside.lock\n")
        self.sluice("source", "track", "ref.bst", cwd=at)
        with open(os.path.join(at, "elements/ref.bst"), encoding="utf-8") as file:
            self.assertIn("sha: " + "a" * 64, file.read())
        self.finish()


main()
