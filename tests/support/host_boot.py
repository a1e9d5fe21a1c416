"""What runs inside the test hosts of hosts.py; only that file starts it.

    host_boot.py room                          holds the switch's network and the hosts' disks
    host_boot.py host ROOM SPEC                starts the first process of a host; ROOM is the process of the room
    host_boot.py enter PID CWD ENV COMMAND...  runs a command in the host whose first process is PID

The first two end when their standard input ends, so nothing outlives a test that was killed.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
NAMESPACES = {"ipc": 0x08000000, "uts": 0x04000000, "net": 0x40000000, "pid": 0x20000000, "mnt": 0x00020000}
# The room's tmpfs covers a directory that every Linux has and no host needs to see.
ROOM = "/dev/shm"


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(source, target, kind, flags=0, data=None):
    check(LIBC.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags),
                     data.encode() if data else None), "mount %s on %s" % (source, target))


def bind(source, target, read_only):
    source = os.path.realpath(source)
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "a", encoding="utf-8"):
            pass
    mount(source, target, None, MS_BIND | MS_REC)
    if read_only:
        mount("none", target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def directory(path, mode=0o755):
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)


def devices(root):
    mount("tmpfs", root + "/dev", "tmpfs", MS_NOSUID, "mode=755,size=1m")
    for name in ("null", "zero", "full", "random", "urandom", "tty", "fuse"):
        if os.path.exists("/dev/" + name):
            bind("/dev/" + name, root + "/dev/" + name, False)
    for name in ("pts", "shm"):
        os.mkdir(root + "/dev/" + name)
    mount("devpts", root + "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    mount("tmpfs", root + "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    os.symlink("pts/ptmx", root + "/dev/ptmx")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink("/proc/self/fd/%d" % number, root + "/dev/" + name)
    os.symlink("/proc/self/fd", root + "/dev/fd")


def file_systems(spec):
    """The host's root: the system's programs, an /etc and directories of its own, what the test names, no more."""
    place = os.path.join(ROOM, spec["name"])
    root = place + "/root"
    directory(root)
    mount(root, root, None, MS_BIND)
    for name in sorted(os.listdir("/")):
        if name == "usr" or name.startswith(("bin", "sbin", "lib")):
            if os.path.islink("/" + name):
                if not os.path.islink(root + "/" + name):
                    os.symlink(os.readlink("/" + name), root + "/" + name)
            elif os.path.isdir("/" + name):
                bind("/" + name, root + "/" + name, True)
    for name in ("etc", "proc", "sys", "dev", "run", "home", "srv", "opt", "mnt", "var", "var/lib", "var/cache", "var/log", "var/spool"):
        directory(root + "/" + name)
    directory(root + "/root", 0o700)
    directory(root + "/tmp", 0o1777)
    directory(root + "/var/tmp", 0o1777)
    for name in ("upper", "work"):
        directory(place + "/" + name)
    mount("overlay", root + "/etc", "overlay", 0, "lowerdir=/etc,upperdir=%s/upper,workdir=%s/work" % (place, place))
    mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", root + "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    devices(root)
    mount("tmpfs", root + "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    mount("tmpfs", root + "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    directory(root + "/run/lock")
    directory(root + "/run/user")
    directory(root + "/run/user/0", 0o700)
    for name in ("run", "lock"):
        if not os.path.islink(root + "/var/" + name):
            os.symlink("/run" + ("/lock" if name == "lock" else ""), root + "/var/" + name)
    for path in spec["visible"]:
        bind(path, root + path, True)
    for path in spec["shared"]:
        bind(path, root + path, False)
    os.chdir(root)
    check(LIBC.syscall(ctypes.c_long(SYS_PIVOT_ROOT[os.uname().machine]), b".", b"."), "pivot_root")
    check(LIBC.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


def identity(spec):
    check(LIBC.sethostname(spec["name"].encode(), len(spec["name"])), "sethostname")
    files = {"hostname": spec["name"] + "\n", "machine-id": spec["machine"] + "\n", "resolv.conf": "",
             "hosts": "127.0.0.1 localhost\n::1 localhost\n" + "".join("%s %s\n" % tuple(pair) for pair in spec["hosts"])}
    for name, text in files.items():
        # A name may be a link to what this host has not; it is replaced, never followed.
        with contextlib.suppress(FileNotFoundError):
            os.unlink("/etc/" + name)
        with open("/etc/" + name, "w", encoding="utf-8") as file:
            file.write(text)


def wait_for_the_end():
    """Reaps what becomes this process's, until the test closes standard input."""

    def reap(_number, _frame):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass

    signal.signal(signal.SIGCHLD, reap)
    while os.read(0, 4096):
        pass


def room():
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", ROOM, "tmpfs", MS_NOSUID, "mode=700")
    for words in ("link set lo up", "link add br0 type bridge", "link set br0 up"):
        subprocess.run(["ip"] + words.split(), check=True, stdin=subprocess.DEVNULL)
    print("ready", flush=True)
    wait_for_the_end()


def host(holder, spec):
    """The first process of a host, and the one in front of it that dies with it and by whose death it dies."""
    check(LIBC.setns(os.open("/proc/%s/ns/mnt" % holder, os.O_RDONLY | os.O_CLOEXEC), NAMESPACES["mnt"]), "setns mnt")
    check(LIBC.unshare(sum(NAMESPACES.values())), "unshare")
    child = os.fork()
    if child != 0:
        os.close(0)
        os.close(1)
        os.waitpid(child, 0)
        return
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    outside = os.readlink("/proc/self")  # /proc is still the test's: this process's id as the test sees it.
    file_systems(spec)
    identity(spec)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)
    print(outside, flush=True)
    wait_for_the_end()


def enter(pid, cwd, environment, command):
    # Signals are passed on to the command. Those that come before it runs wait, as no handler must be missed.
    passed_on = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH}
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    descriptors = {name: os.open("/proc/%s/ns/%s" % (pid, name), os.O_RDONLY) for name in NAMESPACES}
    for name, kind in NAMESPACES.items():
        check(LIBC.setns(descriptors[name], kind), "setns " + name)
    child = os.fork()
    if child == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
        try:
            os.chdir(cwd)
            os.execvpe(command[0], command, environment)
        except OSError as error:
            os.write(2, ("%s: %s\n" % (command[0], error)).encode())
        os._exit(127)
    for number in passed_on:
        signal.signal(number, lambda got, _frame: os.kill(child, got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # A death by signal is told as a shell tells it: this process's own may have handlers.
    os._exit(code if code >= 0 else 128 - code)


def main():
    if sys.argv[1] == "room":
        room()
    elif sys.argv[1] == "host":
        host(sys.argv[2], json.loads(sys.argv[3]))
    else:
        enter(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]), sys.argv[5:])


if __name__ == "__main__":
    main()
