"""Git sources over ssh, from a real sshd on loopback: the user's own keys, agent and known hosts are used, and nobody is ever asked.

ssh takes no directory from HOME: what is ~ it learns from /etc/passwd. Commands run where that file says that it is the test's own
directory (a mount namespace of bubblewrap), so that neither is anything of who runs the test used, nor anything of it changed.
"""

import os
import pwd
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../support"), os.path.join(HERE, "../../differential")]
from git_repositories import Repository, history  # noqa: E402
from git_servers import HOST, Silent, Sshd  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from trees import remove_tree  # noqa: E402

PROJECT = "name: git\nmin-version: 2.5\nelement-path: elements\naliases:\n  up: '%s'\nplugins:\n- origin: pip\n  package-name: buildstream-plugins\n  sources: [git]\n" \
          "- origin: pip\n  package-name: buildstream-plugins-community\n  sources: [git_repo]\n"
KINDS = ("git", "git_repo")


class Ssh(SluiceTest):
    def setUp(self):
        super().setUp()
        if not os.path.exists(Sshd.PROGRAM):
            self.skipTest("there is no " + Sshd.PROGRAM)
        self.top = os.path.join(self.directory, "repositories")
        self.made = history(Repository("some"), 2).finish(self.top)
        self.mark = os.path.join(self.directory, "mark")
        os.makedirs(os.path.join(self.env["HOME"], ".ssh"), mode=0o700)
        user = pwd.getpwuid(os.getuid())
        with open("/etc/passwd", encoding="utf-8") as file:
            lines = [line for line in file if line.split(":")[0] != user.pw_name]
        mine = ":".join([user.pw_name, "x", str(user.pw_uid), str(user.pw_gid), "", self.env["HOME"], "/bin/sh"]) + "\n"
        self.passwd = self.write("passwd", mine + "".join(lines))

    def tearDown(self):
        log = os.path.join(self.directory, "sshd/log")
        if self._failed() and os.path.exists(log):
            with open(log, encoding="utf-8", errors="replace") as file:
                print("======== sshd\n" + file.read(), file=sys.stderr)
        super().tearDown()

    def at_home(self, *arguments):
        """What runs a command where ~ is the test's HOME."""
        return ("--dev-bind", "/", "/", "--bind", self.passwd, "/etc/passwd", "--", self.program("sluice"), *arguments)

    def sluice(self, *arguments, **how):
        return super().sluice(*self.at_home(*arguments), program=shutil.which("bwrap"), **how)

    def start(self, *arguments, **how):
        return super().start(*self.at_home(*arguments), program=shutil.which("bwrap"), **how)

    def ssh_file(self, name, text):
        return self.write("home/.ssh/" + name, text, 0o600)

    def element(self, kind, url, *lines, alias="https://nowhere.example/"):
        return self.project({"project.conf": PROJECT % alias, "elements/a.bst": "kind: import\nsources:\n- " + "\n  ".join(["kind: " + kind, "url: '%s'" % url, *lines]) + "\n"})

    def built(self, kind, url, alias="https://nowhere.example/", env=None):
        """Tracked, fetched and built, from nothing."""
        remove_tree(self.cachedir)
        at = self.element(kind, url, "track: main", alias=alias)
        self.sluice("source", "track", "a.bst", cwd=at, env=env)
        with open(os.path.join(at, "elements/a.bst"), encoding="utf-8") as file:
            self.assertIn("ref: " + self.made["c2"], file.read())
        self.sluice("source", "fetch", "a.bst", cwd=at, env=env)
        self.sluice("build", "a.bst", cwd=at, env=env)
        out = os.path.join(self.directory, "out")
        shutil.rmtree(out, ignore_errors=True)
        self.sluice("artifact", "checkout", "--directory", out, "a.bst", cwd=at, env=env)
        with open(os.path.join(out, "file"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "line 2\n")

    def refused(self, kind, url, alias="https://nowhere.example/", verb="fetch"):
        """What is said, on a terminal, of a source that can't be had; nobody was asked, nothing was tried twice."""
        at = self.element(kind, url, "track: main", *(["ref: " + self.made["c2"]] if verb == "fetch" else []), alias=alias)
        done = self.start("--style", "tty", "--on-error", "quit", "source", verb, "a.bst", cwd=at, pty=True, columns=300)
        self.assertNotEqual(done.wait(), 0, done)
        for words in ("(yes/no", "'s password:", "passphrase for", "retrying"):
            self.assertFalse(words in done.stdout, words)
        self.assertFalse(os.path.exists(self.mark))
        return done.stdout

    def test_key_of_an_agent(self):
        agent_socket = os.path.join(self.directory, "agent")
        with Sshd(self.top, self.directory) as server, subprocess.Popen(["ssh-agent", "-D", "-a", agent_socket], stdout=subprocess.DEVNULL) as agent:
            try:
                self.wait_until(lambda: os.path.exists(agent_socket), "the agent's socket")
                subprocess.run(["ssh-add", "-q", server.identity], env={**self.env, "SSH_AUTH_SOCK": agent_socket}, check=True)
                self.ssh_file("known_hosts", server.known_host())
                for kind in KINDS:
                    with self.subTest(kind=kind):
                        self.built(kind, server.url + "some", env={"SSH_AUTH_SOCK": agent_socket})
                # A configuration may name variables, whatever they are called.
                self.ssh_file("config", "IdentityAgent ${TEST_AGENT}\n")
                self.built("git", server.url + "some", env={"TEST_AGENT": agent_socket})
            finally:
                agent.kill()
        self.assert_nothing_left()

    def test_key_and_host_of_the_configuration(self):
        with Sshd(self.top, self.directory) as server:
            self.ssh_file("known_hosts", server.known_host())
            self.ssh_file("config", "Host work\n  HostName %s\n  Port %d\n  User %s\n  IdentityFile %s\n" % (HOST, server.port, server.USER, server.identity))
            for kind in KINDS:
                for url, alias in (("ssh://work%s/some" % self.top, ""), ("up:some", "ssh://work%s/" % self.top), ("up:some", "work:%s/" % self.top)):
                    with self.subTest(kind=kind, url=url, alias=alias):
                        self.built(kind, url, alias=alias or "https://nowhere.example/")
            # As BuildStream: the host of scp's form would be an alias.
            at = self.element("git", "work:%s/some" % self.top, "track: main")
            self.assertIn("Invalid alias 'work'", self.sluice("source", "track", "a.bst", cwd=at, status=1).stderr)
        self.assert_nothing_left()

    def test_git_of_the_host_is_not_seen(self):
        """Neither its configuration nor variables say what is run in place of ssh."""
        self.write("home/.gitconfig", "[core]\n\tsshCommand = touch '%s'\n" % self.mark)
        touch = self.write("bin/touch", "#!/bin/sh\n: >'%s'\n" % self.mark, 0o755)
        with Sshd(self.top, self.directory) as server:
            self.ssh_file("known_hosts", server.known_host())
            self.ssh_file("config", "IdentityFile %s\n" % server.identity)
            self.built("git", server.url + "some", env={"GIT_SSH": touch, "GIT_SSH_COMMAND": touch, "GIT_PROXY_COMMAND": touch, "SSH_ASKPASS": touch, "SSH_ASKPASS_REQUIRE": "force",
                                                        "GIT_ASKPASS": touch, "DISPLAY": ":0"})
            self.assertFalse(os.path.exists(self.mark))
        self.assert_nothing_left()

    def test_unknown_host(self):
        with Sshd(self.top, self.directory) as server:
            self.ssh_file("config", "IdentityFile %s\n" % server.identity)
            for kind in KINDS:
                for verb in ("fetch", "track"):
                    with self.subTest(kind=kind, verb=verb):
                        said = self.refused(kind, server.url + "some", verb=verb)
                        self.assertIn("Host key verification failed", said)
                        self.assertIn("known_hosts", said)
            # One that is known by another key.
            with open(server.identity + ".pub", encoding="ascii") as file:
                self.ssh_file("known_hosts", "[%s]:%d %s" % (HOST, server.port, file.read()))
            self.assertIn("REMOTE HOST IDENTIFICATION HAS CHANGED", self.refused("git", server.url + "some"))
        self.assert_nothing_left()

    def test_server_that_wants_a_password(self):
        with Sshd(self.top, self.directory, password=True) as server:
            self.ssh_file("known_hosts", server.known_host())
            for kind in KINDS:
                with self.subTest(kind=kind):
                    self.assertIn("Permission denied (password)", self.refused(kind, server.url + "some"))
        self.assert_nothing_left()

    def test_key_with_a_passphrase(self):
        with Sshd(self.top, self.directory) as server:
            self.ssh_file("known_hosts", server.known_host())
            subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", server.identity], check=True, stdout=subprocess.DEVNULL)
            self.ssh_file("config", "IdentityFile %s\n" % server.identity)
            self.assertIn("Permission denied (publickey)", self.refused("git", server.url + "some"))
        self.assert_nothing_left()

    def test_hosts_as_options(self):
        """A host, a user or a path that ssh or the server's git would take for an option."""
        command = "-oProxyCommand=touch${IFS}" + self.mark
        with Sshd(self.top, self.directory) as server:
            self.ssh_file("known_hosts", server.known_host())
            self.ssh_file("config", "IdentityFile %s\n" % server.identity)
            for kind in KINDS:
                for url in ("ssh://%s/some" % command, "ssh://%s@%s/some" % (command, HOST), "ssh://-F%s/some" % self.mark,
                            "%s:some" % command, "git+ssh://%s/some" % command, "%s:-some" % HOST):
                    for verb in ("fetch", "track"):
                        with self.subTest(kind=kind, url=url, verb=verb):
                            self.refused(kind, "up:", alias=url, verb=verb)
        self.assert_nothing_left()

    def test_server_that_says_nothing(self):
        config = self.write("config/buildstream.conf", "scheduler:\n  network-retries: 0\n  network-timeout: 1\n")
        with Silent() as server:
            at = self.element("git", "ssh" + server.url.removeprefix("git") + "some", "ref: " + self.made["c2"])
            self.sluice("--config", config, "source", "fetch", "a.bst", cwd=at, status=1)
            # Without a limit it waits, and ends with who waits.
            waiting = self.start("--config", self.write("config/other.conf", "scheduler:\n  network-timeout: 0\n"), "source", "fetch", "a.bst", cwd=at)
            self.wait_until(lambda: self.pids("ssh"), "an ssh")
            os.kill(self.pids("sluice")[0], 15)
            self.assertNotEqual(waiting.wait(), 0)
            self.assert_nothing_left()


main()
