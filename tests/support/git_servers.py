"""Git servers on loopback for tests: `git daemon`, `git http-backend` behind a web server, sshd, and some that misbehave.

    with GitDaemon(top) as server:      # serves every repository below top
        url = server.url + "repository"

Every server takes a port that the system chose, is waited for by connecting to it, and is gone after `with`.
"""

import os
import pwd
import signal
import socket
import subprocess
import threading
import time

HOST = "127.0.0.1"
DEADLINE = float(os.environ.get("SLUICE_TEST_TIMEOUT", "60"))


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Server:
    """A program that listens: subclasses give arguments(port) and scheme."""

    scheme = "git"

    def __init__(self, top):
        self.top = os.path.abspath(top)
        self.port = None
        self.process = None

    @property
    def url(self):
        return "%s://%s:%d/" % (self.scheme, HOST, self.port)

    def arguments(self, port):
        raise NotImplementedError

    def environment(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return dict(environment, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")

    def start(self):
        # Somebody may take the port between the look for one and the server's own bind: another then.
        for _ in range(20):
            self.port = free_port()
            self.process = subprocess.Popen(self.arguments(self.port), env=self.environment(), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            if self.answers():
                return self
            self.stop()
        raise RuntimeError("%s didn't start" % type(self).__name__)

    def answers(self):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection((HOST, self.port), timeout=1):
                    return self.process.poll() is None
            except OSError:
                time.sleep(0.01)  # nothing tells when a program listens: it is asked again
        return False

    def stop(self):
        """Ends it with all that it started, at once: clients see it disappear."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()


class GitDaemon(Server):
    """`git daemon`: git://"""

    def arguments(self, port):
        return ["git", "daemon", "--export-all", "--informative-errors", "--listen=" + HOST, "--port=%d" % port, "--base-path=" + self.top, self.top]


class HttpBackend(Server):
    """`git http-backend` behind lighttpd: http://; with `password` for "somebody" with "secret" alone."""

    scheme = "http"
    BACKEND = "/usr/lib/git-core/git-http-backend"

    def __init__(self, top, directory, password=False):
        super().__init__(top)
        self.directory = directory
        self.password = password

    def arguments(self, port):
        secret = os.path.join(self.directory, "lighttpd.user")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("somebody:secret\n")
        config = os.path.join(self.directory, "lighttpd.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write('server.modules = ("mod_alias", "mod_setenv", "mod_cgi")\n'
                       'server.bind = "%s"\nserver.port = %d\nserver.document-root = "%s"\n'
                       'server.upload-dirs = ("%s")\nserver.errorlog = "/dev/null"\n'
                       'alias.url = ("/" => "%s/")\ncgi.assign = ("" => "")\n'
                       'setenv.set-environment = ("GIT_PROJECT_ROOT" => "%s", "GIT_HTTP_EXPORT_ALL" => "1", "GIT_CONFIG_GLOBAL" => "/dev/null",\n'
                       '  "GIT_CONFIG_COUNT" => "1", "GIT_CONFIG_KEY_0" => "safe.directory", "GIT_CONFIG_VALUE_0" => "*")\n'
                       % (HOST, port, self.directory, self.directory, self.BACKEND, self.top))
            if self.password:
                file.write('server.modules += ("mod_auth", "mod_authn_file")\nauth.backend = "plain"\nauth.backend.plain.userfile = "%s"\n'
                           'auth.require = ("" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))\n' % secret)
        return ["lighttpd", "-D", "-f", config]


class Sshd(Server):
    """OpenSSH's server with a host key, a configuration and authorized keys of its own: ssh://

    Who runs the test logs in, with the key `identity`, or not at all where the server wants a password (`password`).
    """

    scheme = "ssh"
    PROGRAM = "/usr/sbin/sshd"
    USER = pwd.getpwuid(os.getuid()).pw_name

    def __init__(self, top, directory, password=False):
        super().__init__(top)
        self.directory = os.path.join(directory, "sshd")
        self.password = password
        self.log = os.path.join(self.directory, "log")
        self.identity = os.path.join(self.directory, "identity")
        self.host_key = os.path.join(self.directory, "host")
        os.makedirs(self.directory, exist_ok=True)
        for key in (self.identity, self.host_key):
            if not os.path.exists(key):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key], check=True)

    @property
    def url(self):
        return "ssh://%s@%s:%d%s/" % (self.USER, HOST, self.port, self.top)

    def known_host(self):
        """A line for known_hosts."""
        with open(self.host_key + ".pub", encoding="ascii") as file:
            return "[%s]:%d %s" % (HOST, self.port, file.read())

    def arguments(self, port):
        # Where sshd keeps nothing, but looks whether it is there; a service's start makes it.
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        config = os.path.join(self.directory, "config")
        with open(config, "w", encoding="utf-8") as file:
            file.write("ListenAddress %s:%d\nHostKey %s\nAuthorizedKeysFile %s.pub\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
                       "KbdInteractiveAuthentication no\nAuthenticationMethods %s\nLogLevel VERBOSE\nSetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1\n"
                       % (HOST, port, self.host_key, self.identity, "password" if self.password else "publickey"))
        return [self.PROGRAM, "-D", "-f", config, "-E", self.log]


class Silent:
    """Accepts every connection and never says a word."""

    scheme = "git"

    def __enter__(self):
        self.listener = socket.create_server((HOST, 0))
        self.url = "%s://%s:%d/" % (self.scheme, HOST, self.listener.getsockname()[1])
        self.accepted = []
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def accept(self):
        while True:
            try:
                self.accepted.append(self.listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *unused):
        # shutdown() wakes the thread, close() alone wouldn't.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for connection in self.accepted:
            connection.close()


class Liar(Silent):
    """Advertises one commit, and sends the objects of another: what is asked for never comes."""

    def __init__(self, claimed, repository, other):
        self.claimed = claimed
        self.pack = subprocess.run(["git", "-c", "safe.directory=*", "pack-objects", "--stdout", "--revs", "-q"], cwd=repository, input=other.encode() + b"\n",
                                   capture_output=True, check=True).stdout
        self.wanted = 0

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.accepted.append(connection)
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    @staticmethod
    def line(text):
        return b"%04x" % (len(text) + 4) + text

    def talk(self, connection):
        stream = connection.makefile("rwb")
        try:
            self.read_line(stream)
            claimed = self.claimed.encode()
            stream.write(self.line(claimed + b" HEAD\0ofs-delta shallow allow-tip-sha1-in-want\n") + self.line(claimed + b" refs/heads/main\n") + b"0000")
            stream.flush()
            while True:
                said = self.read_line(stream)
                if said is None:
                    return
                if said.startswith(b"want"):
                    self.wanted += 1
                if said.startswith(b"done"):
                    break
            stream.write(self.line(b"NAK\n") + self.pack)
            stream.flush()
        except OSError:
            pass
        finally:
            connection.close()

    @staticmethod
    def read_line(stream):
        """None at the end of what a client says."""
        length = stream.read(4)
        if len(length) < 4:
            return None
        return stream.read(max(int(length, 16) - 4, 0))


class Between:
    """Stands between clients and a server, counts what it sends, and stops in the middle.

    `limit` bytes from the server pass, over all connections; then the connection breaks ("close"),
    or nothing more comes until release() ("wait").
    """

    def __init__(self, server, limit=None, then="close"):
        self.server = server
        self.limit = limit
        self.then = then
        self.passed = 0
        self.open = threading.Event()
        self.lock = threading.Lock()
        self.reached = threading.Event()

    def __enter__(self):
        self.listener = socket.create_server((HOST, 0))
        self.url = "%s://%s:%d/" % (self.server.scheme, HOST, self.listener.getsockname()[1])
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.release()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def release(self):
        self.limit = None
        self.open.set()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self.server.port))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self.carry, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, True), daemon=True).start()

    def carry(self, source, target, counted):
        try:
            while data := source.recv(65536):
                count = self.room(len(data)) if counted else len(data)
                target.sendall(data[:count])
                if count < len(data):
                    self.reached.set()
                    if self.then == "close":
                        break
                    self.open.wait()
                    target.sendall(data[count:])
        except OSError:
            pass
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR if counted else socket.SHUT_RD if one is source else socket.SHUT_WR)
            except OSError:
                pass

    def room(self, count):
        """How many of `count` bytes may pass."""
        with self.lock:
            if self.limit is not None:
                count = max(0, min(count, self.limit - self.passed))
            self.passed += count
            return count
