"""Images from a real registry: tokens, mirrors, jobs that are killed or do the same at once, files that are damaged, other systems."""

import hashlib
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from git_servers import Between, free_port  # noqa: E402
from registry import DockerRegistry, Layer, TokenServer, index, manifest  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402

PROJECT = "name: images\nmin-version: 2.5\nelement-path: elements\naliases:\n  reg: %s\nplugins:\n- origin: pip\n  package-name: buildstream-plugins\n  sources: [docker]\n"
MEBIBYTE = 1 << 20


def noise(seed, size):
    return hashlib.shake_128(seed.encode()).digest(size)


class Registry(SluiceTest):
    def element(self, name, image, *lines, url, more=""):
        text = "kind: import\nsources:\n- kind: docker\n  registry-url: 'reg:'\n  image: %s\n%s" % (image, "".join("  %s\n" % line for line in lines))
        return self.project({"elements/%s.bst" % name: text, "project.conf": PROJECT % url + more})

    def checked_out(self, at, name):
        target = os.path.join(self.directory, "out")
        shutil.rmtree(target, ignore_errors=True)
        self.sluice("source", "checkout", "--deps", "none", "--directory", target, name + ".bst", cwd=at)
        return os.path.join(target, name)

    def content(self, at, name, file):
        with open(os.path.join(self.checked_out(at, name), file), "rb") as opened:
            return opened.read()

    def mirror(self, name=""):
        return os.path.join(self.cachedir, "sources/docker", name)

    def forget_staged(self):
        """The cache without what was staged; what was fetched stays."""
        for name in ("cas", "elementsources", "source_protos", "artifacts"):
            remove_tree(os.path.join(self.cachedir, name))

    def holding(self, secret):
        """Files of this test's programs in which the secret is."""
        found = []
        for top in (self.cachedir, self.state, self.env["XDG_CONFIG_HOME"], self.env["XDG_RUNTIME_DIR"], os.path.join(self.directory, "project")):
            for directory, _, files in os.walk(top):
                for name in files:
                    path = os.path.join(directory, name)
                    if os.path.isfile(path):
                        with open(path, "rb") as file:
                            if secret.encode() in file.read():
                                found.append(path)
        return found

    def test_tokens(self):
        with TokenServer(self.directory, password="hunter2") as tokens, DockerRegistry(self.directory, tokens) as registry:
            ref = registry.push("deep/er/app", "1.0", [Layer().file("etc/app", b"app")])
            at = self.element("a", "deep/er/app", "track: '1.0'", url=registry.url)
            # Nobody has told who asks.
            failed = self.sluice("source", "track", "a.bst", cwd=at, status=1).stderr
            self.assertIn("a.bst [line 3 column 2]: Failed to download %s" % tokens.url, failed)
            self.assertIn("401", failed)
            self.write("home/.netrc", "machine 127.0.0.1 login somebody password hunter2\n", 0o600)
            asked = len(tokens.requests)
            log = os.path.join(self.directory, "log.json")
            tracked = self.sluice("--json-log", log, "source", "track", "a.bst", cwd=at)
            with open(os.path.join(at, "elements/a.bst"), encoding="utf-8") as file:
                self.assertIn("ref: " + ref, file.read())
            self.assertEqual(self.content(at, "a", "etc/app"), b"app")
            # One token for all of an image that a job gets.
            self.assertEqual(len(tokens.requests), asked + 2)
            self.assertIn("scope=repository:deep/er/app:pull", tokens.requests[-1][0])
            with open(log, encoding="utf-8") as file:
                said = tracked.stdout + tracked.stderr + failed + file.read()
            given = tokens.token("repository:deep/er/app:pull").split(".")[0]
            for secret in ("hunter2", given):
                self.assertNotIn(secret, said)
                self.assertEqual(self.holding(secret), [])
        self.assert_nothing_left()

    def test_mirrors(self):
        with DockerRegistry(self.directory) as registry, DockerRegistry(os.path.join(self.directory, "second")) as second:
            for one in (registry, second):
                ref = one.push("app", "1.0", [Layer().file("a"), Layer().file("b")])
            newer = second.push("app", "1.0", [Layer().file("newer")])
            nobody = "http://127.0.0.1:%d/" % free_port()
            mirrors = "mirrors:\n- name: none\n  aliases: {reg: ['%s']}\n- name: second\n  aliases: {reg: ['%s']}\n" % (nobody, second.url)
            at = self.element("a", "app", "track: '1.0'", "ref: " + ref, url=nobody, more=mirrors)
            self.sluice("--network-retries", "0", "source", "fetch", "a.bst", cwd=at)
            self.assertEqual(sorted(os.listdir(self.checked_out(at, "a"))), ["a", "b"])
            self.write("config/buildstream.conf", "track:\n  source: mirrors\n")
            self.sluice("--network-retries", "0", "source", "track", "a.bst", cwd=at)
            with open(os.path.join(at, "elements/a.bst"), encoding="utf-8") as file:
                self.assertIn("ref: " + newer, file.read())
            # With a URL that ends in the image, it is the image that is at the mirror, too.
            self.write("project/elements/b.bst", "kind: import\nsources:\n- kind: docker\n  url: reg:app\n  ref: %s\n" % newer)
            self.assertEqual(self.content(at, "b", "newer"), b"newer")
        self.assert_nothing_left()

    def test_resumed(self):
        layers = [Layer().file("first", noise("first", MEBIBYTE)), Layer().file("second", noise("second", 8 * MEBIBYTE))]
        with DockerRegistry(self.directory) as registry:
            ref = registry.push("app", "1.0", layers)
            for killed in (["sluice-job"], ["sluice-download"], ["sluice-session", "sluice-scheduler", "sluice-runner", "sluice-job", "sluice-broker", "sluice-loader"]):
                with self.subTest(killed=killed), Between(registry, 5 * MEBIBYTE, "wait") as between, Between(registry) as later:
                    remove_tree(self.cachedir)
                    at = self.element("a", "app", "ref: " + ref, url=between.url)
                    fetch = self.start("--network-retries", "0", "source", "fetch", "a.bst", cwd=at)
                    self.wait_until(between.reached.is_set, "the middle of the second layer")
                    part = self.mirror(".%s.part" % self.digest(layers[1]))
                    self.wait_until(lambda: os.path.exists(part) and os.path.getsize(part) > 3 * MEBIBYTE, "what has come")
                    if len(killed) > 1:
                        fetch.process.kill()
                    for program in killed:
                        self.kill(program)
                    if killed != ["sluice-job"]:
                        # What was there isn't fetched again.
                        fetch.wait()
                        at = self.element("a", "app", "ref: " + ref, url=later.url)
                        self.sluice("source", "fetch", "a.bst", cwd=at)
                        self.assertLess(later.passed, 6 * MEBIBYTE)
                    # A job that is lost is done again by itself.
                    between.release()
                    fetch.wait()
                    self.assertEqual(self.content(at, "a", "second"), noise("second", 8 * MEBIBYTE))
                    self.assertEqual(sorted(os.listdir(self.mirror())), sorted(["sha256:%s.manifest.json" % ref] + [self.digest(layer) + ".tar.gz" for layer in layers]))
        self.assert_nothing_left()

    @staticmethod
    def digest(layer):
        return "sha256:" + hashlib.sha256(layer.data()).hexdigest()

    def test_parts_that_are_of_no_use(self):
        layer = Layer().file("a", noise("a", MEBIBYTE))
        data = layer.data()
        with DockerRegistry(self.directory) as registry:
            ref = registry.push("app", "1.0", [layer])
            at = self.element("a", "app", "ref: " + ref, url=registry.url)
            for what, part in (("all of it", data), ("more than it", data + b"more"), ("something else", b"x" * 1000), ("its beginning, and a fault", data[:5000] + b"x"), ("nothing", b"")):
                with self.subTest(what=what):
                    remove_tree(self.cachedir)
                    path = self.write(self.mirror(".%s.part" % self.digest(layer)), part)
                    self.sluice("--network-retries", "0", "source", "fetch", "a.bst", cwd=at)
                    self.assertEqual(self.content(at, "a", "a"), noise("a", MEBIBYTE))
                    self.assertFalse(os.path.exists(path))
        self.assert_nothing_left()

    def test_layers_that_images_share(self):
        shared = Layer().file("shared", noise("shared", 4 * MEBIBYTE))
        with DockerRegistry(self.directory) as registry, Between(registry, 2 * MEBIBYTE, "wait") as between:
            refs = {name: registry.push(name, "1.0", [shared, Layer().file(name)]) for name in ("a", "b")}
            for name, ref in refs.items():
                at = self.element(name, name, "ref: " + ref, url=between.url)
            self.write("project/elements/all.bst", "kind: stack\ndepends: [a.bst, b.bst]\n")
            fetch = self.start("source", "fetch", "--deps", "all", "all.bst", cwd=at)
            self.wait_until(between.reached.is_set, "the middle of a layer")
            between.release()
            self.assertEqual(fetch.wait(), 0, fetch)
            for name in refs:
                self.assertEqual(sorted(os.listdir(self.checked_out(at, name))), sorted([name, "shared"]))
            self.assertEqual([name for name in os.listdir(self.mirror()) if name.startswith(".")], [])
            # A third that has it all needs no server.
            registry.stop()
            self.forget_staged()
            self.assertEqual(self.content(at, "a", "a"), b"a")
        self.assert_nothing_left()

    def test_damaged(self):
        layers = [Layer().file("a", noise("a", 1000)), Layer().file("b", b"b")]
        with DockerRegistry(self.directory) as registry:
            ref = registry.push("app", "1.0", layers)
            at = self.element("a", "app", "ref: " + ref, url=registry.url)
            self.sluice("source", "fetch", "a.bst", cwd=at)
            for name in ("sha256:%s.manifest.json" % ref, self.digest(layers[0]) + ".tar.gz"):
                for damage in ("cut", "changed", "gone"):
                    with self.subTest(name=name, damage=damage):
                        self.forget_staged()
                        with open(self.mirror(name), "rb") as file:
                            whole = file.read()
                        os.unlink(self.mirror(name))
                        if damage != "gone":
                            self.write(self.mirror(name), whole[:100] if damage == "cut" else whole[:90] + b"?" + whole[91:])
                        said = self.sluice("source", "fetch", "a.bst", cwd=at).stderr
                        if damage != "gone":
                            self.assertIn("is damaged and is fetched again", said)
                        with open(self.mirror(name), "rb") as file:
                            self.assertEqual(file.read(), whole)
                        self.assertEqual(self.content(at, "a", "b"), b"b")
        self.assert_nothing_left()

    def test_systems(self):
        """The one for the system that is asked for is chosen, though another is for the same architecture and before it."""
        with DockerRegistry(self.directory) as registry:
            entries = []
            for system in ("windows", "linux"):
                blobs, text = manifest([Layer().file(system)])
                for blob in blobs:
                    registry.push_blob("app", blob)
                registry.push_manifest("app", system, text)
                entries.append((text, "amd64", system))
            registry.push_manifest("app", "latest", index(entries))
            for system in ("linux", "windows"):
                at = self.element(system, "app", "track: latest", "os: " + system, "architecture: amd64", url=registry.url)
                self.sluice("source", "track", system + ".bst", cwd=at)
                self.assertEqual(os.listdir(self.checked_out(at, system)), [system])
        self.assert_nothing_left()


main()
