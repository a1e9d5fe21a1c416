"""What the benchmarks share: a directory with caches of its own, rounds, and the closing line.

Every benchmark takes --sluice COMMAND, to measure another program of the same command line
(an installed sluice, or bst) in the same way.
"""

import argparse
import ctypes
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

CLONE_NEWNS = 0x20000
# Seconds: changes of a file within two of each other may have the same times, so that what has just been
# written is read again (project/lookups.h).
SETTLED = 2.5


def libc():
    return ctypes.CDLL(None)


def parser(description):
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--sluice", default=os.path.join(os.environ.get("SLUICE_BIN", ""), "sluice"),
                        help="the command to measure (default: sluice in $SLUICE_BIN)")
    result.add_argument("--rounds", type=int, default=5)
    result.add_argument("--elements", type=int, default=200)
    return result


class Workplace:
    """A temporary directory, removed at the end; each home in it is a user's of its own.

    `fresh`: on a new ext4 of its own, where root may mount one. ext4 doesn't reuse an inode for up to six minutes after it
    was freed, and searches past all such for each new file: on a filesystem from which a test or another benchmark has
    just been removed, what makes many files takes half as long again, and what makes few doesn't.
    """

    def __init__(self, command, fresh=False):
        self.command = shlex.split(command)
        if shutil.which(self.command[0]) is None:
            sys.exit("bench: %s is not there" % self.command[0])
        # Short, because a socket's path has 107 bytes.
        self.path = tempfile.mkdtemp(prefix="slb-", dir=os.environ.get("SLUICE_BENCH_TMP", "/tmp"))
        self.image = self.mount_fresh() if fresh else None
        if fresh and self.image is None:
            print("on the filesystem of %s: no new one could be made" % self.path, flush=True)

    def mount_fresh(self):
        image = self.path + ".ext4"
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            return None
        with open(image, "wb") as file:
            file.truncate(16 << 30)  # sparse
        # Nobody else sees the mount, and it goes with this process.
        if libc().unshare(CLONE_NEWNS) != 0:
            return None
        # Two million inodes: `data` copies its files a dozen times.
        for argv in (["mount", "--make-rprivate", "/"], ["mkfs.ext4", "-q", "-F", "-i", "8192", image], ["mount", "-o", "loop", image, self.path]):
            if subprocess.run(argv, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
                os.unlink(image)
                return None
        return image

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.image is not None:
            subprocess.run(["umount", "-l", self.path], check=False)
            os.unlink(self.image)
            os.rmdir(self.path)
            return
        subprocess.run(["chmod", "-R", "u+rwX", self.path], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.path, ignore_errors=True)

    def join(self, *parts):
        return os.path.join(self.path, *parts)

    def home(self, name):
        """An environment without anybody's caches, sessions and configuration."""
        environment = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "LC_ALL") or key.endswith("SAN_OPTIONS")}
        environment.update(TERM="dumb", HOME=self.join(name))
        for key, folder in (("CACHE_HOME", "cache"), ("CONFIG_HOME", "config"), ("STATE_HOME", "state"),
                            ("RUNTIME_DIR", "run"), ("DATA_HOME", "data")):
            environment["XDG_" + key] = self.join(name, folder)
            os.makedirs(self.join(name, folder), mode=0o700, exist_ok=True)
        return environment

    def run(self, environment, project, *arguments, prefix=()):
        """Runs the measured command in a project; returns the seconds that it took and what it said."""
        argv = self.command + ["-C", project, "--no-interactive"] + [str(argument) for argument in arguments]
        started = time.perf_counter()
        done = subprocess.run(list(prefix) + argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            sys.exit("%s\nbench: status %d: %s" % (done.stdout[-4000:], done.returncode, shlex.join(argv)))
        return seconds, done.stdout


def pid_of(program, session):
    """Of a session's process, which another program may run (callgrind). It may be just starting."""
    def found():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if session.encode() in words and program.encode() in map(os.path.basename, words):
                return int(pid)
        return None

    return wait_for(found, 60) or sys.exit("bench: no %s of session %s" % (program, session))


class Session:
    """A session that was started for its own sake, in a home of its own."""

    def __init__(self, work, name, *options):
        self.work = work
        self.environment = work.home(name)
        # What is said of a session that listens comes before its id.
        self.id = work.run(self.environment, work.path, "session", "start", *options)[1].split()[-1]
        self.scheduler = pid_of("sluice-scheduler", self.id)
        self.programs = os.path.dirname(work.command[0])

    def close(self):
        self.work.run(self.environment, self.work.path, "session", "stop", self.id)


def wait_for(condition, timeout, hopeless=lambda: False):
    """What `condition` gives once that is true; None after so many seconds, or when it can't come true any more."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline or hopeless():
            return None
        time.sleep(0.01)


def built(output):
    """How many elements a build says that it built (the closing summary); it must say so."""
    found = re.search(r"Build Queue:\s+processed\s+(\d+)", output)
    if found is None:
        sys.exit("%s\nbench: no summary of the build queue" % output[-4000:])
    return int(found.group(1))


def spread(values, form="%.3f"):
    """Median (smallest to largest)."""
    return ("%s (%s to %s)" % (form, form, form)) % (statistics.median(values), min(values), max(values))


def close(name, **figures):
    """The last line."""
    print(name, " ".join("%s=%s" % (key, ("%.4g" % value) if isinstance(value, float) else value)
                         for key, value in figures.items()), flush=True)
