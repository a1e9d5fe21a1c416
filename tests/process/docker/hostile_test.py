"""Registries, token servers and images that mean harm or are broken: each ends in an error that says what, and leaves nothing that could be taken for a layer."""

import json
import os
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from registry import DOCKER, DOCKER_LAYER, Layer, Web, digest, index, manifest  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402

PROJECT = "name: images\nmin-version: 2.5\nelement-path: elements\naliases:\n  reg: %s\nplugins:\n- origin: pip\n  package-name: buildstream-plugins\n  sources: [docker]\n"
SECRET = "a-token-that-nobody-else-may-see"


class Fake(Web):
    """A registry that says what a test wants: `answers` are bodies, or functions of the handler, by the end of the path."""

    def __init__(self):
        self.answers = {}
        self.arguments = ""

    def put(self, layers):
        """An image; its ref."""
        blobs, text = manifest(layers)
        for blob in blobs:
            self.answers["blobs/" + digest(blob)] = blob
        return self.put_manifest(text)

    def put_manifest(self, text):
        if not isinstance(text, bytes):
            text = json.dumps(text).encode()
        for name in (digest(text), "latest"):
            self.answers["manifests/" + name] = lambda handler: self.send(handler, text, Docker_Content_Digest=digest(text), Content_Type=DOCKER)
        return digest(text)[len("sha256:"):]

    def answer(self, handler):
        path = urllib.parse.unquote(urllib.parse.urlsplit(handler.path).path)
        found = [body for name, body in self.answers.items() if path.endswith(name)]
        if not found:
            self.send(handler, b"no", 404)
        elif callable(found[-1]):
            found[-1](handler)
        else:
            self.send(handler, found[-1])

    def endless(self, handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"{" * 65536)

    def command_lines(self):
        """What anybody on this machine could see of all programs."""
        lines = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open("/proc/%s/cmdline" % name, "rb") as file:
                        lines.append(file.read().decode("utf-8", "replace"))
                except OSError:
                    pass
        return "\n".join(lines)


class Hostile(SluiceTest):
    def setUp(self):
        super().setUp()
        self.fake = Fake()
        self.fake.__enter__()
        self.addCleanup(lambda: self.fake.__exit__())
        self.config = self.write("user.conf", "scheduler:\n  network-retries: 0\n  network-timeout: 1\n")

    def sources(self, *lines):
        text = "kind: import\nsources:\n- kind: docker\n  registry-url: 'reg:'\n  image: app\n" + "".join("  %s\n" % line for line in lines)
        return self.project({"elements/a.bst": text, "project.conf": PROJECT % self.fake.url})

    def fails(self, verb, *lines):
        remove_tree(self.cachedir)
        at = self.sources(*lines)
        said = self.sluice("--config", self.config, "source", verb, "a.bst", cwd=at, status=1).stderr
        self.assertIn("docker source at a.bst [line 3 column 2]: ", said)
        mirror = os.path.join(self.cachedir, "sources/docker")
        for name in os.listdir(mirror) if os.path.isdir(mirror) else ():
            with open(os.path.join(mirror, name), "rb") as file:
                self.assertTrue(name.startswith(digest(file.read())) or os.path.getsize(file.name) <= 1 << 20 and name.startswith("."), name)
        self.assert_nothing_left()
        return said

    def test_blobs(self):
        layer = Layer().file("a", b"a" * 5000)
        ref = self.fake.put([layer])
        data, name = layer.data(), "blobs/" + digest(layer.data())

        def cut(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data[:1000])

        for answer, said in ((b"x" * len(data), "is corrupt; got content hash of sha256:"), (data[:-1], "is corrupt; got content hash of sha256:"), (b"", "is corrupt"), (data + b"x", "it is longer than %d bytes" % len(data)),
                             (self.fake.endless, "it is longer than %d bytes" % len(data)), (cut, "Failed to download " + self.fake.url)):
            with self.subTest(said=said):
                self.fake.answers[name] = answer
                self.assertIn(said, self.fails("fetch", "ref: " + ref))
        # What came of it is gone on with, wherever the answer begins.
        at = self.sources("ref: " + ref)
        self.fake.answers[name] = lambda handler: self.fake.send(handler, data[int(handler.headers["Range"][6:-1]):], 206, Content_Range="bytes %d-%d/%d" % (int(handler.headers["Range"][6:-1]), len(data) - 1, len(data)))
        self.sluice("--config", self.config, "source", "fetch", "a.bst", cwd=at)
        self.assertEqual([dict(headers).get("Range") for path, headers in self.fake.requests if "blobs" in path][-1], "bytes=1000-")
        for answer in (data, lambda handler: self.fake.send(handler, data[7:], 206, Content_Range="bytes 7-%d/%d" % (len(data) - 1, len(data)))):
            remove_tree(self.cachedir)
            self.fake.answers[name] = cut
            self.sluice("--config", self.config, "source", "fetch", "a.bst", cwd=at, status=1)
            self.fake.answers[name] = answer
            self.sluice("--config", self.config, "source", "fetch", "a.bst", cwd=at, status=0 if answer is data else 1)

    def test_manifests(self):
        layer = Layer().file("a")
        ref = self.fake.put([layer])
        self.fake.answers["manifests/sha256:" + ref] = self.fake.answers["manifests/latest"] = lambda handler: self.fake.send(handler, manifest([Layer().file("b")])[1], Docker_Content_Digest="sha256:" + ref)
        self.assertIn("Server returned a non-matching content digest. Our digest: sha256:", self.fails("fetch", "ref: " + ref))
        self.assertIn("Server returned a non-matching content digest. Our digest: sha256:", self.fails("track", "track: latest"))
        self.fake.answers["manifests/latest"] = manifest([layer])[1]
        self.assertIn("Server did not set the Docker-Content-Digest header.", self.fails("track", "track: latest"))
        self.fake.answers["manifests/latest"] = self.fake.endless
        self.assertIn("it is longer than 4194304 bytes", self.fails("track", "track: latest"))
        for text, said in ((b"<html>", "did not return a valid manifest"), (b"[1]", "did not return a valid manifest"), (b"[" * 100000, "did not return a valid manifest"), ({}, "did not include the schemaVersion key"),
                           ({"schemaVersion": 1}, "Schema version 1 is unsupported"), ({"schemaVersion": 2, "mediaType": "text/plain"}, "Unsupported manifest type text/plain"), ({"schemaVersion": 2, "mediaType": 7}, "Unsupported manifest type"),
                           ({"schemaVersion": 2, "manifests": "none"}, "No images found for architecture"), ({"schemaVersion": 2, "manifests": [7, {"platform": []}]}, "No images found for architecture")):
            with self.subTest(text=text[:20] if isinstance(text, bytes) else text):
                self.fake.put_manifest(text)
                self.assertIn(said, self.fails("track", "track: latest"))
        # What they say needs not be text, what is said of it is.
        self.fake.put_manifest(b"\xff\xfe\x1b]0;title\x07 no text")
        log = os.path.join(self.directory, "log.json")
        self.sluice("--json-log", log, "source", "track", "a.bst", cwd=self.sources("track: latest"), status=1)
        with open(log, encoding="utf-8") as file:
            self.assertIn("no text", "".join(json.loads(line).get("detail", "") for line in file))
        for layers, said in ((None, "The manifest has no layers"), (7, "The manifest has no layers"), ([7], "Unsupported layer type"), ([{"mediaType": DOCKER_LAYER}], "The digest of a layer is no SHA-256: ''"),
                             ([{"mediaType": DOCKER_LAYER, "digest": "sha256:../../../../outside"}], "The digest of a layer is no SHA-256: 'sha256:../../../../outside'"),
                             ([{"mediaType": DOCKER_LAYER, "digest": "sha512:" + "a" * 128}], "The digest of a layer is no SHA-256"), ([{"mediaType": DOCKER_LAYER, "digest": "sha256:" + "A" * 64}], "The digest of a layer is no SHA-256")):
            with self.subTest(layers=layers):
                ref = self.fake.put_manifest({"schemaVersion": 2, "mediaType": DOCKER, "layers": layers})
                self.assertIn(said, self.fails("fetch", "ref: " + ref))
        # Lists that lead to lists, as far as that goes.
        text = manifest([layer])[1]
        for _ in range(6):
            text = index([(text, "amd64", "linux")])
            self.fake.put_manifest(text)
        self.assertIn("Lists of manifests lead to lists without end", self.fails("track", "track: latest", "architecture: amd64", "os: linux"))

    def test_ways_elsewhere(self):
        self.fake.put([Layer().file("a")])
        redirect = lambda to: lambda handler: self.fake.send(handler, b"", 307, Location=to)
        self.write("secret", "secret of this machine")
        for to, said in (("/v2/app/manifests/latest", "redirected without end"), ("file://%s/secret" % self.directory, "can't be downloaded"), ("gopher://127.0.0.1/", "can't be downloaded")):
            with self.subTest(to=to):
                self.fake.answers["manifests/latest"] = redirect(to)
                before = len(self.fake.requests)
                self.assertIn(said, self.fails("track", "track: latest"))
                self.assertLess(len(self.fake.requests) - before, 30)

    def test_servers_that_hang(self):
        ref = self.fake.put([Layer().file("a")])
        names = [name for name in self.fake.answers if name.startswith("blobs/")][1:] + ["manifests/sha256:" + ref]
        hang = lambda handler: handler.rfile.read()
        for name in names:
            with self.subTest(name=name):
                answer, self.fake.answers[name] = self.fake.answers[name], hang
                self.assertRegex(self.fails("fetch", "ref: " + ref), "(?i)too slow|timed out|timeout")
                self.fake.answers[name] = answer

    def challenge(self, text):
        """The registry wants a token with SECRET in it, and challenges by `text`."""
        def answer(handler, whole):
            if handler.headers.get("Authorization") == "Bearer " + SECRET:
                self.fake.arguments += self.fake.command_lines()
                whole(handler) if callable(whole) else self.fake.send(handler, whole)
            else:
                self.fake.send(handler, b"", 401, **({"WWW_Authenticate": text} if text else {}))
        for name, whole in list(self.fake.answers.items()):
            self.fake.answers[name] = lambda handler, whole=whole: answer(handler, whole)

    def test_tokens_go_nowhere_else(self):
        layer = Layer().file("a", b"from elsewhere")
        ref = self.fake.put([layer])
        with Fake() as elsewhere:
            elsewhere.answers["there"] = layer.data()
            elsewhere.answers["token"] = lambda handler: elsewhere.send(handler, json.dumps({"access_token": SECRET}).encode())
            self.fake.answers["blobs/" + digest(layer.data())] = lambda handler: self.fake.send(handler, b"", 307, Location=elsewhere.url + "there")
            self.challenge('Bearer realm="%stoken?a=b",service="it, \\"self\\"",scope="repository:app:pull,push"' % elsewhere.url)
            at = self.sources("ref: " + ref)
            said = self.sluice("--config", self.config, "source", "fetch", "a.bst", cwd=at)
            self.assertEqual([path for path, _ in elsewhere.requests], ["/token?a=b&service=it,%20%22self%22&scope=repository:app:pull,push", "/there"])
            for _, headers in elsewhere.requests:
                self.assertNotIn("Authorization", headers)
            self.assertIn("sluice-download", self.fake.arguments)
            self.assertNotIn(SECRET, self.fake.arguments + said.stdout + said.stderr)
        self.assert_nothing_left()

    def test_token_servers(self):
        for text, said in (("", "it asks for no token"), ('Basic realm="x"', "it asks for no token"), ("Bearer", "it asks for no token"), ('Bearer service="x"', "it asks for no token"), ('Bearer realm="', "it asks for no token"),
                           ('Bearer realm="file:///etc/passwd",service="s",scope="s"', "its tokens come from file:///etc/passwd, which isn't asked"), ('Bearer realm="ftp://127.0.0.1/",service="s"', "which isn't asked"),
                           ('Bearer realm="http://127.0.0.1:1/",service="s"', "Failed to download http://127.0.0.1:1/")):
            with self.subTest(text=text):
                self.fake.put([Layer().file("a")])
                self.challenge(text)
                self.assertIn(said, self.fails("track", "track: latest"))
        for answer, said in ((b"{}", "gave no token"), (b"[]", "gave no token"), (b"no json", "gave no token"), (b'{"token": 7}', "gave no token"), (json.dumps({"token": SECRET + "\nX-Injected: yes"}).encode(), "gave no token"),
                             (self.fake.endless, "it is longer than"), (b'{"token": "another"}', "401"), (lambda handler: handler.rfile.read(), "(?i)too slow|timed out|timeout")):
            with self.subTest(answer=answer), Fake() as tokens:
                tokens.answers["token"] = answer
                self.fake.put([Layer().file("a")])
                self.challenge('Bearer realm="%stoken",service="s",scope="repository:app:pull"' % tokens.url)
                before = len(self.fake.requests)
                self.assertRegex(self.fails("track", "track: latest"), said)
                # A token that isn't taken is no reason to ask for another, and another.
                self.assertLessEqual(len(self.fake.requests) - before, 2)
                self.assertEqual(len(tokens.requests), 1)
                for _, headers in self.fake.requests:
                    self.assertNotIn("X-Injected", headers)

    def test_names_that_lead_out(self):
        for layers, said in (([Layer().file("../out")], "member '../out': its name leads out"), ([Layer().link("l", "/"), Layer().file("l/x")], "Destination is a symlink, not a directory: /l"),
                             ([Layer().link("l", self.directory).file("l/x")], "it would be written through the link 'l'"), ([Layer().hard("h", "/etc/passwd")], "it is a hard link to the absolute path '/etc/passwd'"),
                             ([Layer().hard("h", "../../etc/passwd")], "it is a hard link to '../../etc/passwd', out of the directory")):
            with self.subTest(said=said):
                ref = self.fake.put(layers)
                said_all = self.fails("fetch", "ref: " + ref)
                self.assertIn(said, said_all)
                self.assertIn("app, layer sha256:", said_all)
                self.assertFalse(os.path.exists(os.path.join(self.directory, "x")))


main()
