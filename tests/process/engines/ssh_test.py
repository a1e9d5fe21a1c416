"""`sluice runner start --ssh`, with Debian's sshd on hosts of their own."""

import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from engine_test_case import LABEL, TIMEOUT, EngineTest, elsewhere
from hosts import why_not
from sluice_test import main
from workload import gate

SSHD = "/usr/sbin/sshd"


def why_no_ssh():
    missing = [path for path in (SSHD, "/usr/bin/ssh", "/usr/bin/ssh-keygen") if not os.path.exists(path)]
    return why_not() or ("ssh: no %s" % missing[0] if missing else None)


@unittest.skipIf(why_no_ssh(), why_no_ssh())
class Ssh(EngineTest):
    def setUp(self):
        super().setUp()
        hosts = self.start_hosts(3)
        key = os.path.join(self.directory, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key], check=True)
        with open(key, encoding="ascii") as file:
            hosts[0].write("/root/.ssh/id_ed25519", file.read(), 0o600)
        with open(key + ".pub", encoding="ascii") as file:
            public = file.read()
        known = ""
        for host in hosts.hosts[1:]:
            host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", "/root/host_key"])
            known += "%s %s" % (host.name, host.read("/root/host_key.pub"))
            host.write("/root/.ssh/authorized_keys", public, 0o600)
            host.write("/root/sshd_config", "ListenAddress %s\nHostKey /root/host_key\nPermitRootLogin yes\nUsePAM no\nPidFile none\n"
                                            "StrictModes no\nPasswordAuthentication no\n" % host.address)
        hosts[0].write("/root/.ssh/known_hosts", known)
        hosts[0].write("/root/ssh_config", "StrictHostKeyChecking yes\n")
        for host in hosts.hosts[1:]:
            self.start_sshd(host)

    def start_sshd(self, host):
        host.write("/run/sshd/is-there", "")
        process = host.popen([SSHD, "-D", "-e", "-f", "/root/sshd_config"], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until(lambda: self.hosts[0].run(["ssh", "-o", "BatchMode=yes", host.name, "true"], check=False).returncode == 0, "sshd")

    def start_runners(self, where, *options):
        return self.begin(0, "runner", "start", "--ssh", where, "--program", self.program("sluice"), *options, "--", "-F", "/root/ssh_config")

    def test_builds(self):
        self.copy_project({"a.bst": elsewhere("a", gate(1)), "b.bst": elsewhere("b", gate(2)),
                           "all.bst": "kind: stack\ndepends:\n- a.bst\n- b.bst\n"})
        self.start_session()
        start = self.start_runners("host1,host2,host9", "--slots", "1", "--label", LABEL)
        # One host that isn't there keeps nobody else from working.
        self.wait_for_text(start, "host9: ssh can't connect")
        runners = self.wait_for_runners(["host1", "host2"])
        self.assertEqual({(name, runner["host"], runner["slots"], tuple(runner["labels"])) for name, runner in runners.items()},
                         {("host1", "host1", 1, (LABEL,)), ("host2", "host2", 1, (LABEL,))})
        self.assert_on_no_command_line(self.secret())
        build = self.begin(0, "build", "--session", self.session, "all.bst")
        for number in (1, 2):
            self.wait_until(lambda n=number: self.at_gate(n), "gate %d" % number, TIMEOUT)
        for number in (1, 2):
            self.open_gate(number)
        self.assertEqual(build.wait(TIMEOUT), 0, build)
        # Anybody may have made what a and b are built on.
        for name, runner in self.runners().items():
            self.assertIn(runner["done"], (1, 2), name)
        # Told to end it has them finish and leave; the status tells of the host that was not reached.
        self.wait_for_text(start, "host9: ssh can't connect, 3 times in a row; given up")
        start.signal(signal.SIGTERM)
        self.assertEqual(start.wait(TIMEOUT), 1, start)
        for host in ("host1", "host2"):
            self.assertIn("%s: its runner has left" % host, start.stderr)
        self.wait_for_runners([])
        for i in (1, 2):
            self.assertEqual(self.hosts[i].pids("sluice-runner"), [])

    def test_lost_connections(self):
        self.copy_project({})
        self.start_session()
        start = self.start_runners("host1")
        self.wait_for_runners(["host1"])
        first = self.hosts[1].pids("sluice-runner")
        # The connection is lost, and a new one made; the runner of the first one leaves.
        for pid in self.hosts[0].pids("ssh"):
            os.kill(pid, signal.SIGKILL)
        self.wait_for_text(start, "host1: ")
        self.wait_until(lambda: self.hosts[1].pids("sluice-runner") not in ([], first) and
                        len(self.hosts[1].pids("sluice-runner")) == 1, "another runner", TIMEOUT)
        self.assertEqual(len(self.wait_until(lambda: len(self.runners()) == 1 and self.runners(), "one runner", TIMEOUT)), 1)
        # The host is switched off and on.
        self.hosts.kill(1)
        self.wait_for_text(start, "host1: the connection was lost", 180)
        self.hosts.start(1)
        self.start_sshd(self.hosts[1])
        self.wait_until(lambda: self.hosts[1].pids("sluice-runner"), "a runner again", TIMEOUT)
        # With the session all ends, and well.
        self.on(0, "session", "stop", self.session)
        self.assertEqual(start.wait(TIMEOUT), 0, start)
        self.assertEqual(self.hosts[1].pids("sluice-runner"), [])

    def test_what_can_go_wrong(self):
        self.copy_project({})
        plain = self.on(0, "session", "start").stdout.strip()
        refused = self.on(0, "runner", "start", "--ssh", "host1", "--session", plain, status=1)
        self.assertIn("can't be joined from other machines", refused.stderr)
        self.on(0, "session", "stop", plain)
        self.start_session()
        missing = self.on(0, "runner", "start", "--ssh", "host1", "--program", "/no/sluice", status=1)
        self.assertIn("host1: there is no program /no/sluice", missing.stderr)
        self.assertIn("host1: given up", missing.stderr)
        failing = self.on(0, "runner", "start", "--ssh", "host1", "--program", self.program("sluice"), "--address", "192.0.2.1",
                          "--", "-o", "User=nobody-of-this-name", status=1)
        self.assertIn("Permission denied", failing.stderr)


if __name__ == "__main__":
    main()
