"""Runners that have joined a session and have a storage service of their own machine's configuration (spec/jobs.md, J97, J98): a real
sluice-cas, by TLS with a client's certificate, from which blobs come before the session's store is asked for them."""

import hashlib
import json
import os
import shutil
import signal
import socket
import stat
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from elsewhere import Elsewhere  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, busybox_base, manual  # noqa: E402

TRUTH, LIE = b"this is the truth\n", b"that is not truth\n"
# More than a message's frame has, so that no proxy can miss all of it.
TOLD = TRUTH * 2000


def labelled(label, text):
    """An element that is built by the runner of that label, never on the session's host."""
    return text + "variables:\n  runner-labels: %s\n" % label


class Liar:
    """A proxy in front of a server that changes what the server says of the truth."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lies = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            threading.Thread(target=self.copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.copy, args=(server, client, True), daemon=True).start()

    def copy(self, source, to, lies):
        try:
            while data := source.recv(65536):
                if lies:
                    self.lies += data.count(TRUTH)
                    data = data.replace(TRUTH, LIE)
                to.sendall(data)
        except OSError:
            pass
        for end in (source, to):
            end.close()

    def close(self):
        self.listener.close()


class Storage(Elsewhere, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF, "elements/base.bst": BASE, "files/base/etc/told": TOLD,
            "elements/a.bst": labelled("one", manual("a", "cat /etc/told > /dev/null", "test \"$(busybox head -n 1 /etc/told)\" = 'this is the truth'")),
            "elements/b.bst": labelled("two", manual("b", "test -f /usr/share/a", depends=["a.bst"])),
        })
        busybox_base(self.at)
        # What is built on the session's host, and is input of all else.
        self.sluice("build", "base.bst", cwd=self.at)
        self.storage = os.path.join(self.directory, "storage")
        self.certificates = [self.identity("server", "localhost"), self.identity("client", "host-b"), self.identity("stranger", "host-c")]

    def serve(self, *options, secure=True):
        """Starts the storage service; gives its port."""
        (key, certificate, _), (_, client, _), _ = self.certificates
        tls = ["--server-key", key, "--server-cert", certificate, "--client-certs", client] if secure else []
        self.server = self.start(self.storage, "--bind", "127.0.0.1:0", "--allow-push", *tls, *options, program="sluice-cas")
        self.wait_until(lambda: "\n" in self.server.stdout, "the address of the server")
        return int(self.server.stdout.split()[1].rsplit(":", 1)[1])

    def knows_the_base(self):
        """Has the storage service have what was built until now."""
        shutil.copytree(self.cachedir, self.storage, symlinks=True)

    def listen(self):
        started = self.sluice("session", "start", "--listen", "tcp://127.0.0.1:0", "--join-files", self.at, cwd=self.at)
        self.session = started.stdout.strip()

    def join(self, name, url, who=1):
        """A runner with a configuration, a store and all else of its own."""
        far = os.path.join(self.directory, "far-" + name)
        env = {"HOME": far + "/home", **{"XDG_%s_HOME" % what: "%s/%s" % (far, what.lower()) for what in ("STATE", "CACHE", "CONFIG")},
               "XDG_RUNTIME_DIR": far + "/run"}
        for directory in env.values():
            os.makedirs(directory, mode=0o700)
        auth = ""
        if url.startswith("https"):
            key, certificate, _ = self.certificates[who]
            auth = "    auth: {server-cert: %s, client-key: %s, client-cert: %s}\n" % (self.certificates[0][1], key, certificate)
        self.write(env["XDG_CONFIG_HOME"] + "/buildstream.conf", "cache:\n  storage-service:\n    url: %s\n%s" % (url, auth))
        runner = self.start("runner", "join", "runner.json", "--name", name, "--label", name, "--slots", "2", cwd=self.at, env=env)
        self.wait_until(lambda: name in self.runners(), "the runner %s" % name)
        return runner, env["XDG_CACHE_HOME"] + "/sluice/runner"

    def runners(self):
        listed = self.sluice("runner", "list", "--json", self.session, cwd=self.at)
        return {runner["name"]: runner for runner in json.loads(listed.stdout)}

    def build(self, *targets):
        built = self.sluice("build", "--session", self.session, *targets, cwd=self.at)
        return built.stdout + built.stderr

    def log(self, element):
        return self.sluice("artifact", "log", element, cwd=self.at).stdout

    def ends(self, *runners):
        self.sluice("session", "stop", self.session, cwd=self.at)
        for runner in runners:
            self.assertEqual(runner.wait(), 0, runner)
        self.server.signal(signal.SIGTERM)
        self.server.wait()
        self.assert_nothing_left()

    def test_inputs_come_from_it_and_others_find_there_what_was_made(self):
        self.knows_the_base()
        url = "https://localhost:%d" % self.serve()
        self.listen()
        one, _ = self.join("one", url)
        self.build("a.bst")
        said = self.runners()["one"]
        # The session's store was asked for nothing.
        self.assertEqual(said["fetched"], 0)
        self.assertGreater(said["storage-fetched"], 1_000_000)
        self.assertGreater(said["uploaded"], 0)
        self.assertGreater(said["storage-uploaded"], 0)
        log = self.log("a.bst")
        self.assertIn("Fetched %d bytes <- %s, 0 bytes <- the session's store" % (said["storage-fetched"], url), log)
        self.assertNotIn("WARNING", log)
        # A second one, whose store is empty, gets what the first one made from there.
        two, _ = self.join("two", url)
        self.build("b.bst")
        said = self.runners()["two"]
        self.assertEqual(said["fetched"], 0)
        self.assertGreater(said["storage-fetched"], 1_000_000)
        # Nothing of the credentials, which are files there, was told to the session.
        with open(self.session_directory(self.session) + "/records.log", "rb") as file:
            records = file.read()
        self.assertNotIn(b"client.key", records)
        self.assertIn(url.encode(), records)
        self.ends(one, two)

    def test_what_it_lacks_is_offered_to_it(self):
        url = "https://localhost:%d" % self.serve()
        self.listen()
        one, cache = self.join("one", url)
        self.build("a.bst")
        said = self.runners()["one"]
        self.assertEqual(said["storage-fetched"], 0)
        self.assertGreater(said["fetched"], 1_000_000)
        # The session's host has given each byte once; all others find it there.
        travelled = self.objects(cache) & self.objects(self.cachedir)
        self.assertIn(hashlib.sha256(TOLD).hexdigest(), travelled)
        self.wait_until(lambda: travelled <= self.objects(self.storage), "what travelled in the storage service")
        two, _ = self.join("two", url)
        self.build("b.bst")
        self.assertEqual(self.runners()["two"]["fetched"], 0)
        self.ends(one, two)

    def test_it_is_down(self):
        self.knows_the_base()
        url = "https://localhost:%d" % self.serve()
        self.server.signal(signal.SIGKILL)
        self.server.wait()
        self.listen()
        one, _ = self.join("one", url)
        out = self.build("a.bst")
        self.assertIn("Storage service %s is done without" % url, out)
        said = self.runners()["one"]
        self.assertEqual((said["storage-fetched"], said["storage-uploaded"], said["failed"]), (0, 0, 0))
        self.assertGreater(said["fetched"], 1_000_000)
        self.assertIn("Storage service %s is done without" % url, self.log("a.bst"))
        self.ends(one)

    def test_it_wants_other_credentials(self):
        self.knows_the_base()
        url = "https://localhost:%d" % self.serve()
        self.listen()
        one, _ = self.join("one", url, who=2)
        self.build("a.bst")
        self.assertEqual(self.runners()["one"]["storage-fetched"], 0)
        self.assertIn("Storage service %s is done without" % url, self.log("a.bst"))
        self.ends(one)

    def test_it_lies_about_a_blob(self):
        self.knows_the_base()
        liar = Liar(self.serve(secure=False))
        self.addCleanup(liar.close)
        url = "http://127.0.0.1:%d" % liar.port
        self.listen()
        one, cache = self.join("one", url)
        self.build("a.bst")
        self.assertGreater(liar.lies, 0)
        log = self.log("a.bst")
        self.assertIn("Storage service %s gave what was refused" % url, log)
        self.assertIn(hashlib.sha256(TOLD).hexdigest(), log)
        said = self.runners()["one"]
        # That blob alone came from the session.
        self.assertEqual(said["fetched"], len(TOLD))
        self.assertGreater(said["storage-fetched"], 1_000_000)
        self.sluice(cache, program="sluice-store-check")
        self.ends(one)

    def test_its_disk_is_damaged(self):
        self.knows_the_base()
        told = self.object(self.storage, TOLD)
        os.chmod(told, stat.S_IRUSR | stat.S_IWUSR)
        with open(told, "wb") as file:
            file.write(TOLD.replace(TRUTH, LIE))
        url = "https://localhost:%d" % self.serve()
        self.listen()
        one, cache = self.join("one", url)
        self.build("a.bst")
        self.assertEqual(self.runners()["one"]["fetched"], len(TOLD))
        self.sluice(cache, program="sluice-store-check")

        # What is right was given to it.
        def mended():
            if not os.path.exists(told):
                return False
            with open(told, "rb") as file:
                return file.read() == TOLD
        self.wait_until(mended, "the blob to be mended")
        self.ends(one)

    def objects(self, cachedir):
        found = set()
        for at, _, names in os.walk(os.path.join(cachedir, "cas", "objects")):
            found.update(os.path.basename(at) + name for name in names)
        return found

    def object(self, cachedir, content):
        """Where a store has a blob."""
        name = hashlib.sha256(content).hexdigest()
        return os.path.join(cachedir, "cas", "objects", name[:2], name[2:])


if __name__ == "__main__":
    main()
