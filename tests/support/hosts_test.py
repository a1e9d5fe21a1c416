"""Tests of hosts.py: what a test may rely on when it says "another machine"."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hosts import Hosts, why_not
from sluice_test import SluiceTest, main

# Says its port, then gives back to each client what it sent.
ECHO = """
import socket, sys, threading
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
def answer(link):
    while data := link.recv(65536):
        link.sendall(data)
while True:
    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
"""

# Sends as many bytes as it is told and waits for them, once for each line of its input; says how long that took.
ASK = """
import socket, sys, time
link = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
print("connected", flush=True)
for line in sys.stdin:
    start, count = time.monotonic(), int(line)
    link.sendall(b"x" * count)
    while count:
        count -= len(link.recv(65536))
    print(time.monotonic() - start, flush=True)
"""

PYTHON = "/usr/bin/python3"


@unittest.skipIf(why_not(), why_not())
class TestHosts(SluiceTest):
    def hosts(self, count, **options):
        hosts = Hosts(count, **options)
        hosts.__enter__()  # pylint: disable=unnecessary-dunder-call
        self.addCleanup(hosts.__exit__)
        return hosts

    def background(self, host, *command, **options):
        process = host.popen(command, stdout=subprocess.PIPE, text=True, **options)

        def end():
            process.kill()
            process.wait()
            process.stdout.close()
            if process.stdin:
                process.stdin.close()

        self.addCleanup(end)
        return process

    def server(self, host, address):
        process = self.background(host, PYTHON, "-c", ECHO, address)
        return process.stdout.readline().strip()

    def client(self, host, address, port):
        process = self.background(host, PYTHON, "-u", "-c", ASK, address, port, stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), "connected\n")

        def ask(count):
            process.stdin.write("%d\n" % count)
            process.stdin.flush()
            return float(process.stdout.readline())

        return ask, process

    def test_each_is_a_machine_of_its_own(self):
        hosts = self.hosts(2, visible=[self.write("seen/a", "text")])
        self.assertEqual([host.run(["hostname"]).stdout for host in hosts], ["host0\n", "host1\n"])
        self.assertNotEqual(hosts[0].read("/etc/machine-id"), hosts[1].read("/etc/machine-id"))
        self.assertEqual(hosts[0].run(["cat", self.directory + "/seen/a"]).stdout, "text")
        self.assertNotEqual(hosts[0].run(["touch", self.directory + "/seen/a"], check=False).returncode, 0)
        self.assertNotEqual(hosts[0].run(["touch", "/usr/a"], check=False).returncode, 0)
        # Of this test's directory and of this repository it sees nothing else.
        self.assertEqual(hosts[0].run(["ls", self.directory]).stdout, "seen\n")
        self.assertFalse(hosts[0].exists(os.path.dirname(os.path.abspath(__file__))))
        # What one writes, the other doesn't see, nor this machine.
        for place in ("/tmp", "/root", "/run", "/var/tmp", "/home", "/etc", "/dev/shm"):
            hosts[0].run(["touch", place + "/of-one-host"])
            self.assertFalse(hosts[1].exists(place + "/of-one-host"), place)
            self.assertFalse(os.path.exists(place + "/of-one-host"), place)
        # Neither sees the other's processes, nor this machine's.
        self.background(hosts[0], "sleep", "1000")
        self.wait_until(lambda: hosts[0].pids("sleep"), "a process")
        self.assertEqual(hosts[1].run(["sh", "-c", "cat /proc/[0-9]*/comm"]).stdout.count("sleep"), 0)
        self.assertEqual(hosts[0].run(["sh", "-c", "cat /proc/[0-9]*/comm"]).stdout.count("sleep"), 1)

    def test_network(self):
        hosts = self.hosts(2)
        port = self.server(hosts[0], "127.0.0.1")
        with self.assertRaises(subprocess.CalledProcessError) as caught:
            hosts[1].run([PYTHON, "-c", ASK, "127.0.0.1", port])
        self.assertIn("Connection refused", caught.exception.stderr)
        ask, _ = self.client(hosts[1], "host0", self.server(hosts[0], hosts[0].address))
        ask(1000)
        # The test itself, in this machine's network, reaches none of them.
        with self.assertRaises(OSError):
            socket.create_connection((hosts[0].address, int(port)), timeout=0.2)

    def test_cut_and_healed(self):
        hosts = self.hosts(2)
        port = self.server(hosts[0], hosts[0].address)
        ask, process = self.client(hosts[1], hosts[0].address, port)
        ask(1)
        hosts.cut(1)
        process.stdin.write("1\n")
        process.stdin.flush()
        with self.assertRaises(subprocess.CalledProcessError) as caught:
            hosts[1].run([PYTHON, "-c", ASK.replace("timeout=30", "timeout=0.5"), hosts[0].address, port])
        self.assertIn("timed out", caught.exception.stderr)
        self.assertIn("LOWER_UP", hosts[1].run(["ip", "link", "show", "eth0"]).stdout)
        hosts.heal(1)
        # What was sent meanwhile comes, on the connection that was.
        self.assertGreater(float(process.stdout.readline()), 0.5)

    def test_slow_and_traffic(self):
        hosts = self.hosts(2)
        ask, _ = self.client(hosts[1], hosts[0].address, self.server(hosts[0], hosts[0].address))
        before = hosts.traffic(1)
        fast = ask(200000)
        after = hosts.traffic(1)
        for i in range(2):
            self.assertGreater(after[i] - before[i], 200000)
            self.assertLess(after[i] - before[i], 300000)
        hosts.slow(1, "1mbit")
        self.assertGreater(ask(200000), 1.2)
        hosts.slow(1, None)
        self.assertLess(ask(200000), 1)
        self.assertLess(fast, 1)

    def test_killed_and_started(self):
        hosts = self.hosts(2)
        hosts[0].write("/root/kept", "text", 0o600)
        hosts[0].write("/tmp/gone", "text")
        process = self.background(hosts[0], "sleep", "1000")
        inner = hosts[0].inner_pid(process)
        hosts.kill(0)
        self.assertFalse(os.path.exists("/proc/%d" % inner))
        self.assertEqual(process.wait(10), 128 + signal.SIGKILL)
        with self.assertRaises(RuntimeError):
            hosts[0].run(["true"])
        hosts.start(0)
        self.assertEqual(hosts[0].run(["cat", "/root/kept"]).stdout, "text")
        self.assertFalse(hosts[0].exists("/tmp/gone"))
        ask, _ = self.client(hosts[1], hosts[0].address, self.server(hosts[0], hosts[0].address))
        ask(1)

    def test_clock(self):
        library = os.path.join(self.bin, "libclock_shift.so")
        if not os.path.exists(library):
            self.skipTest("libclock_shift.so is not built")
        hosts = self.hosts(2, clocks=library)
        hosts.set_clock(1, 3600)

        def difference():
            return int(hosts[1].run(["date", "+%s"]).stdout) - time.time()

        self.assertAlmostEqual(difference(), 3600, delta=10)
        self.assertAlmostEqual(int(hosts[0].run(["date", "+%s"]).stdout), time.time(), delta=10)
        hosts.set_clock(1, -3600)
        self.assertAlmostEqual(difference(), -3600, delta=10)

    def test_commands(self):
        host = self.hosts(1)[0]
        self.assertEqual(host.run(["sh", "-c", "exit 3"], check=False).returncode, 3)
        self.assertEqual(host.run(["sh", "-c", "kill -SEGV $$"], check=False).returncode, 128 + signal.SIGSEGV)
        self.assertEqual(host.run(["cat"], input="text").stdout, "text")
        self.assertIn("no-such-program", host.run(["no-such-program"], check=False).stderr)
        # A signal to the process here reaches the command there; its death is the command's.
        process = self.background(host, "sh", "-c", "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.terminate()
        self.assertEqual(process.stdout.readline(), "got\n")
        self.assertEqual(process.wait(10), 5)
        process = self.background(host, "sleep", "1000")
        inner = host.inner_pid(process)
        self.wait_until(lambda: host.pids("sleep") == [inner], "the command")
        process.kill()
        self.wait_until(lambda: not host.pids("sleep"), "its end")

    def test_bubblewrap(self):
        if not shutil.which("bwrap"):
            self.skipTest("no bubblewrap")
        links = [word for name in ("bin", "lib", "lib64") if os.path.islink("/" + name) for word in ("--symlink", "usr/" + name, "/" + name)]
        shown = self.hosts(1)[0].run(["bwrap", "--unshare-all", "--unshare-user", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"] + links +
                                     ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "sh", "-c", "echo $$; id -u; ls /root"], check=False)
        self.assertEqual(shown.stdout, "2\n0\n", shown.stderr)

    def test_nothing_outlives_the_test(self):
        script = self.write("killed.py", """
import sys, time
sys.path.insert(0, %r)
from hosts import Hosts
with Hosts(2) as hosts:
    sleep = hosts[1].popen(["sleep", "1000"])
    print(hosts.room.pid, *[host.pid for host in hosts], hosts[1].inner_pid(sleep), flush=True)
    time.sleep(1000)
""" % os.path.dirname(os.path.abspath(__file__)))
        process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        pids = process.stdout.readline().split()
        self.assertEqual(len(pids), 4)
        process.kill()
        process.wait()
        self.wait_until(lambda: not set(pids) & {str(pid) for pid in self.processes()}, "their end", 10)


if __name__ == "__main__":
    main()
