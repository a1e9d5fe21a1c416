"""Machines for tests that need several, made of namespaces on this one. Needs root and iproute2, else the test is skipped.

    from hosts import Hosts

    with Hosts(3, visible=[self.bin]) as hosts:
        hosts[0].write("/root/a", "text")
        session = hosts[0].popen([self.bin + "/sluice", "session", "start", "--listen", "tcp://%s:0" % hosts[0].address])
        print(hosts[1].run(["hostname"]).stdout)     # raises subprocess.CalledProcessError unless it ends in 0
        hosts.cut(1); hosts.heal(1)                  # a switch that drops all; the host sees its link up
        hosts.slow(1, "1mbit"); hosts.slow(1, None)  # both directions
        hosts.kill(2); hosts.start(2)                # power off; on again, with what was on its disk

A host has network, mount, pid, UTS and IPC namespaces of its own: a name, a loopback and an address (eth0 on a bridge of all
hosts), processes that see no others, and a root file system. Of this machine it sees /usr and the other directories of
programs, read-only; /etc, whose changes are its own; and the paths named `visible` (read-only) or `shared` (writable), under
their own names. All else is its own: /root, /home, /var, /srv, /opt are its disk, which is memory and stays when it is killed;
/tmp, /run and /dev/shm are empty each time that it starts. Bubblewrap runs in it as on a machine.

The bridge is in a network namespace without any link to this machine's, so that no address clashes and no packet leaves.

With `clocks` (the path of libclock_shift.so, built from tests/fault/clock_shift.c) every command that is started in a host has
a wall clock that hosts.set_clock(i, seconds) sets off, at once and for those that run already; monotonic clocks stay.

The kernel ends all of it when the test's process ends, however it ends: the first process of each host, with which all others
die, dies with the one that started it.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import unittest
import uuid

BOOT = [sys.executable, "-I", "-S", os.path.join(os.path.dirname(os.path.abspath(__file__)), "host_boot.py")]
NETWORK = "10.213.7."
CLOCK = "/run/clock_shift"
DEADLINE = 30


def why_not():
    """Why there can be no hosts here; None where there can."""
    if os.geteuid() != 0:
        return "hosts of namespaces: needs root"
    for program in ("ip", "unshare", "nsenter"):
        if not shutil.which(program):
            return "hosts of namespaces: no program %s" % program
    tried = subprocess.run(["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "ip", "link", "add", "br0", "type", "bridge"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if tried.returncode != 0:
        return "hosts of namespaces: %s" % tried.stdout.decode().strip()
    return None


def first_line(process, what):
    """The line that a process says when it is ready."""
    ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
    line = process.stdout.readline().decode().strip() if ready else ""
    if not line:
        process.kill()
        raise RuntimeError("%s did not start: %s" % (what, process.stderr.read().decode().strip() if process.stderr else "see above"))
    return line


class Host:
    """One machine. `name`, `address`, `pid` (of its first process, as this machine counts) and `env`, the environment that its
    commands have; a test may change that before it starts a command."""

    def __init__(self, name, address, clocks):
        self.name = name
        self.address = address
        self.pid = None
        self.machine = uuid.uuid4().hex
        self.process = None
        self.env = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root", "SHELL": "/bin/sh",
            "XDG_STATE_HOME": "/root/.local/state", "XDG_CACHE_HOME": "/root/.cache", "XDG_CONFIG_HOME": "/root/.config",
            "XDG_RUNTIME_DIR": "/run/user/0", "LC_ALL": "C.UTF-8", "TERM": "xterm-256color",
        }
        for variable in ("SLUICE_LOG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if variable in os.environ:
                self.env[variable] = os.environ[variable]
        if clocks:
            self.env.update({"LD_PRELOAD": clocks, "CLOCK_SHIFT": CLOCK})

    def argv(self, command, cwd="/root", env=None):
        """The command line that runs the command in this host, for those who start processes themselves. Signals to it reach
        the command, which dies with it; its status is the command's, 128 + N where signal N ended that."""
        if self.pid is None:
            raise RuntimeError("%s is switched off" % self.name)
        return BOOT + ["enter", str(self.pid), cwd, json.dumps({**self.env, **(env or {})})] + [str(word) for word in command]

    def run(self, command, cwd="/root", env=None, check=True, timeout=60, input=None, **options):  # pylint: disable=redefined-builtin
        """Runs to the end; .returncode, .stdout and .stderr are as subprocess.run()'s, as text."""
        options.setdefault("stdin", subprocess.PIPE if input is not None else subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("text", True)
        with subprocess.Popen(self.argv(command, cwd, env), **options) as process:
            try:
                out, err = process.communicate(input, timeout)
            except BaseException:
                process.kill()
                raise
        if check and process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, list(command), out, "%s\n%s" % (out, err))
        return subprocess.CompletedProcess(list(command), process.returncode, out, err)

    def popen(self, command, cwd="/root", env=None, **options):
        """A subprocess.Popen; its .pid is that of the process that stands for the command here (see inner_pid())."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("start_new_session", True)
        return subprocess.Popen(self.argv(command, cwd, env), **options)

    @staticmethod
    def inner_pid(process):
        """The command's own process, as this machine counts: for signals that aren't passed on, as SIGSTOP and SIGKILL."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with open("/proc/%d/task/%d/children" % (process.pid, process.pid), encoding="utf-8") as file:
                children = file.read().split()
            if children:
                return int(children[0])
            time.sleep(0.005)
        raise RuntimeError("no command runs in process %d" % process.pid)

    def processes(self):
        """{pid as this machine counts: name of the program} of all that runs in the host, but its first process."""
        found = {}
        space = os.readlink("/proc/%d/ns/pid" % self.pid)
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.pid:
                with contextlib.suppress(OSError):
                    if os.readlink("/proc/%s/ns/pid" % entry) == space:
                        with open("/proc/%s/cmdline" % entry, "rb") as file:
                            found[int(entry)] = os.path.basename(file.read().split(b"\0")[0].decode("utf-8", "replace"))
        return found

    def pids(self, program):
        return sorted(pid for pid, name in self.processes().items() if name == program)

    # ---- Its files, by the names that they have in it. No name may lead through an absolute symbolic link.

    def path(self, path):
        return "/proc/%d/root%s" % (self.pid, os.path.join("/root", path))

    def write(self, path, content, mode=0o644):
        where = self.path(path)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content if isinstance(content, bytes) else content.encode())

    def read(self, path):
        with open(self.path(path), "rb") as file:
            return file.read().decode("utf-8", "replace")

    def exists(self, path):
        return os.path.lexists(self.path(path))

    def copy(self, source, path):
        """Copies a file or directory of this machine into the host, as a person would who carries a disk over."""
        where = self.path(path)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        subprocess.run(["cp", "-a", source, where], check=True, stdin=subprocess.DEVNULL)


class Hosts:
    """As many hosts, named host0, host1, ... A list of them; started by `with`."""

    def __init__(self, count, visible=(), shared=(), clocks=None):
        self.hosts = [Host("host%d" % i, NETWORK + str(i + 1), clocks) for i in range(count)]
        self.visible = [os.path.abspath(path) for path in visible] + ([os.path.abspath(clocks)] if clocks else [])
        self.shared = [os.path.abspath(path) for path in shared]
        self.clocks = clocks
        self.room = None

    def __enter__(self):
        reason = why_not()
        if reason:
            raise unittest.SkipTest(reason)
        try:
            self.room = subprocess.Popen(["unshare", "--net", "--mount"] + BOOT + ["room"], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, start_new_session=True)
            first_line(self.room, "the room of hosts")
            for i in range(len(self.hosts)):
                self.start(i)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for i, host in enumerate(self.hosts):
            if host.process is not None:
                self.kill(i)
        if self.room is not None:
            self.room.stdin.close()
            self.room.wait(DEADLINE)
            self.room.stdout.close()
            self.room = None

    def __getitem__(self, i):
        return self.hosts[i]

    def __iter__(self):
        return iter(self.hosts)

    def __len__(self):
        return len(self.hosts)

    # ---- Power

    def start(self, i):
        """Switches a host on."""
        host = self.hosts[i]
        spec = {"name": host.name, "machine": host.machine, "visible": self.visible, "shared": self.shared,
                "hosts": [(other.address, other.name) for other in self.hosts]}
        host.process = subprocess.Popen(BOOT + ["host", str(self.room.pid), json.dumps(spec)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, start_new_session=True)
        host.pid = int(first_line(host.process, host.name))
        self._switch("ip", "link", "add", self._port(i), "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
        self._switch("ip", "link", "set", self._port(i), "master", "br0", "up")
        self._inside(i, "ip", "address", "add", host.address + "/24", "dev", "eth0")
        # A machine that is switched on again has the address by which others' neighbour tables know it.
        self._inside(i, "ip", "link", "set", "eth0", "address", "02:00:00:00:00:%02x" % (i + 1))
        self._inside(i, "ip", "link", "set", "eth0", "up")

    def kill(self, i):
        """Switches a host off: all its processes are gone when this returns."""
        host = self.hosts[i]
        if host.process is None:
            return
        if host.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(host.pid, signal.SIGKILL)
        host.process.stdin.close()
        deadline = time.monotonic() + DEADLINE
        while host.process.poll() is None:
            self._reap_orphans()
            if time.monotonic() > deadline:
                raise RuntimeError("%s can't be switched off" % host.name)
            time.sleep(0.005)
        host.process.stdout.close()
        host.process = host.pid = None
        # The kernel takes an interface away some time after its namespace; the next one has its name.
        self._switch("ip", "link", "del", self._port(i), check=False)

    @staticmethod
    def _reap_orphans():
        """A host is gone when all of its processes were waited for. Where the test is a subreaper, as SluiceTest is, it is the
        parent of commands whose stand-in was killed; nobody else waits for these."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                with open("/proc/%s/status" % entry, encoding="utf-8") as file:
                    status = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
                # Of another PID namespace than ours, so no process that the test has started itself.
                if status["State"].split()[0] == "Z" and int(status["PPid"]) == os.getpid() and len(status["NSpid"].split()) > 1:
                    os.waitpid(int(entry), os.WNOHANG)

    # ---- Network

    def cut(self, i):
        """Nothing of a host gets through any more, and nobody is told."""
        self._switch("ip", "link", "set", self._port(i), "nomaster")

    def heal(self, i):
        self._switch("ip", "link", "set", self._port(i), "master", "br0")

    def slow(self, i, rate):
        """As many bits a second in each direction, as tc(8) writes them ("1mbit"); None: as fast as it can."""
        for run, device in ((self._switch, self._port(i)), (lambda *words, **options: self._inside(i, *words, **options), "eth0")):
            if rate is None:
                run("tc", "qdisc", "del", "dev", device, "root", check=False)
                continue
            if not shutil.which("tc"):
                raise unittest.SkipTest("slow hosts: no program tc")
            done = run("tc", "qdisc", "replace", "dev", device, "root", "tbf", "rate", rate, "burst", "16kb", "latency", "400ms", check=False)
            if done.returncode != 0:
                raise unittest.SkipTest("slow hosts: no tbf in this kernel: %s" % done.stdout.decode().strip())

    def traffic(self, i):
        """(bytes that the host sent, bytes that it was sent) since it was switched on, headers included."""
        shown = self._switch("ip", "-s", "-j", "link", "show", self._port(i))
        stats = json.loads(shown.stdout)[0]["stats64"]
        return stats["rx"]["bytes"], stats["tx"]["bytes"]

    # ---- Clock

    def set_clock(self, i, seconds):
        """Sets a host's wall clock off by as many seconds from this machine's."""
        if not self.clocks:
            raise RuntimeError("Hosts(clocks=...) was not given")
        # A reader must never find half a number.
        self.hosts[i].write(CLOCK + ".new", str(int(seconds)))
        os.rename(self.hosts[i].path(CLOCK + ".new"), self.hosts[i].path(CLOCK))

    @staticmethod
    def _port(i):
        return "port%d" % i

    def _switch(self, *words, check=True):
        return self._in_network(self.room.pid, words, check)

    def _inside(self, i, *words, check=True):
        return self._in_network(self.hosts[i].pid, words, check)

    @staticmethod
    def _in_network(pid, words, check):
        done = subprocess.run(["nsenter", "--target", str(pid), "--net"] + list(words), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if check and done.returncode != 0:
            raise RuntimeError("%s: %s" % (" ".join(words), done.stdout.decode().strip()))
        return done
