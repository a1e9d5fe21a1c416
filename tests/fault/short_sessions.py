#!/usr/bin/python3
"""Many short sessions, one after the other or some at once, beside load: none may end otherwise than it was meant to.

    tests/fault/short_sessions.py --bin build/release/bin [--sessions 5000] [--at-once 4] [--load 4]

Each is `sluice build` of an element that is cached or of one that fails before anything runs, in turn.
What is looked for: another status than the right one, "ended unexpectedly", a line that is missing, a process that
died (the supervisor's log says of what), one that is left. The log folders of sessions that were not as they should be are kept.
Last line: `sessions=N wrong=N unexpected=N deaths=N left=N`; status 1 when any but the first is more than 0.
"""

import argparse
import concurrent.futures
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

PROJECT = {
    "project.conf": "name: short\nmin-version: 2.0\nelement-path: elements\n",
    "elements/cached.bst": "kind: import\nsources:\n- kind: local\n  path: files/one\n",
    "elements/noref.bst": "kind: import\nsources:\n- kind: tar\n  url: http://localhost:1/nothing.tar\n",
    "elements/nokind.bst": "kind: unheard-of\n",
    "files/one": "one\n",
}
# The arguments of a command, its status, and what it must have said.
KINDS = [
    (["build", "cached.bst"], 0, ["Loading elements", "Pipeline Summary"]),
    (["build", "noref.bst"], None, ["Loading elements", "noref.bst"]),
    (["build", "nokind.bst"], None, ["Loading elements", "unheard-of"]),
    (["build", "cached.bst"], 0, ["Loading elements", "Pipeline Summary"]),
]
PR_SET_CHILD_SUBREAPER = 36


class Runner:
    def __init__(self, options):
        self.options = options
        self.program = os.path.join(os.path.abspath(options.bin), "sluice")
        self.directory = tempfile.mkdtemp(prefix="short-", dir="/tmp")
        self.lock = threading.Lock()
        self.count = {"sessions": 0, "wrong": 0, "unexpected": 0, "deaths": 0, "left": 0}
        for path, text in PROJECT.items():
            path = os.path.join(self.directory, "project", path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

    def environment(self, worker):
        home = os.path.join(self.directory, "home-%d" % worker)
        names = {"HOME": "", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "XDG_RUNTIME_DIR": "run"}
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                       **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}
        for name, folder in names.items():
            environment[name] = os.path.join(home, folder)
            os.makedirs(environment[name], mode=0o700, exist_ok=True)
        return environment

    def tell(self, what, number, text):
        with self.lock:
            print("session %d: %s\n%s" % (number, what, text), flush=True)

    def one(self, number, environment):
        arguments, status, said = KINDS[number % len(KINDS)]
        done = subprocess.run([self.program, "--no-interactive", *arguments], cwd=os.path.join(self.directory, "project"), env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        fine = (done.returncode == status if status is not None else done.returncode in (1, 255)) and all(word in text for word in said)
        unexpected = "unexpectedly" in text or "There is no session" in text
        sessions = os.path.join(environment["XDG_STATE_HOME"], "sluice", "sessions")
        deaths = 0
        for session in os.listdir(sessions):
            log = os.path.join(sessions, session, "logs", "sluice-session.log")
            try:
                with open(log, encoding="utf-8") as file:
                    deaths += len(re.findall("was killed by signal|ended with status [1-9]|did not end within", file.read()))
            except OSError as error:
                fine = False
                text += "\n%s" % error
        with self.lock:
            self.count["sessions"] += 1
            self.count["wrong"] += not fine
            self.count["unexpected"] += unexpected
            self.count["deaths"] += deaths
        if not fine or unexpected or deaths:
            kept = os.path.join(self.directory, "kept-%d" % number)
            shutil.copytree(sessions, kept, symlinks=True)
            self.tell("status %s, %d deaths, %s" % (done.returncode, deaths, kept), number, text)
        shutil.rmtree(sessions)

    def work(self, worker):
        environment = self.environment(worker)
        for number in range(worker, self.options.sessions, self.options.at_once):
            self.one(number, environment)

    def left(self):
        """Processes that still descend from this one, which adopts what loses its parents. One that waits for the disk may."""
        def name(pid):
            try:
                with open("/proc/%s/comm" % pid, encoding="utf-8") as file:
                    return file.read().strip()
            except OSError:
                return ""

        def children():
            with open("/proc/self/task/%d/children" % os.getpid(), encoding="ascii") as file:
                return [pid for pid in file.read().split() if name(pid) not in ("", "sluice-sync")]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
        return len(children())

    def run(self):
        load = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(self.options.load)]
        try:
            with concurrent.futures.ThreadPoolExecutor(self.options.at_once) as pool:
                for done in [pool.submit(self.work, worker) for worker in range(self.options.at_once)]:
                    done.result()
        finally:
            for process in load:
                process.send_signal(signal.SIGKILL)
                process.wait()
        self.count["left"] = self.left()
        if not any(value for name, value in self.count.items() if name != "sessions"):
            shutil.rmtree(self.directory)
        print(" ".join("%s=%d" % item for item in self.count.items()))
        return int(any(value for name, value in self.count.items() if name != "sessions"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("SLUICE_BIN"), required="SLUICE_BIN" not in os.environ,
                        help="the directory that holds the programs")
    parser.add_argument("--sessions", type=int, default=5000)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--load", type=int, default=4, help="processes that use the processor all the time")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return Runner(options).run()


if __name__ == "__main__":
    sys.exit(main())
