#!/usr/bin/env python3
"""Moves data through the store: --files small files and one of --mib MiB, beside cp -r, sha256sum and tar of the same.

Each round, from empty caches: `build` of an element that imports them, the same again, and with one file changed; of
one that reads them as a dependency (`stage`: from the command's start to what the sandbox's first command says is the time), and
of two more, one after the other (`stage_second`: from the one's last command to the other's first); of one that copies them into its install root (`capture`: from its last command to the command's
end); of a compose of all; `artifact checkout` copied, hard-linked and as a tar; push to a sluice-cas and pull by a user who
has nothing. `limit` is the dearer of `cp -r` and `sha256sum` in two processes. Processor seconds (user and system, of
all processes) stand beside each, since other work on the machine doesn't change these much.

With $SLUICE_BST (a command that runs the reference) the same is done by bst, once, and casupload, casdownload and
buildbox-casd, which are reached by the same command, move the data to and from both servers. All is on a new
filesystem where one can be made. The figures are medians.
"""

import glob
import os
import random
import re
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

import common
from make_project import make_root, write

DEADLINE = 60
PER_FOLDER = 100
SMALL = 8 << 10  # the mean size of a small file
USES = """kind: manual
build-depends: [base.bst, data.bst]
variables: {strip-binaries: ''}
config:
  install-commands:
  - date "+bench-first %%s.%%N"
  - echo %s > "%%{install-root}/%s"
  - date "+bench-last %%s.%%N"
"""
CAPTURED = """kind: manual
build-depends: [base.bst, data.bst]
variables: {strip-binaries: ''}
config:
  install-commands:
  - cp -r /data "%{install-root}/captured"
  - date "+bench-last %s.%N"
"""


def make_data(directory, files, mib):
    """Files whose contents are all different; how many bytes."""
    chance = random.Random(11)
    total = 0
    for number in range(files):
        folder = os.path.join(directory, "d%03d" % (number // PER_FOLDER % 997), "e%d" % (number // PER_FOLDER // 997))
        if number % PER_FOLDER == 0:
            os.makedirs(folder, exist_ok=True)
        size = chance.randrange(SMALL // 4, SMALL * 7 // 4)
        total += size
        with open(os.path.join(folder, "f%06d" % number), "wb") as file:
            file.write(chance.randbytes(size))
    if mib:
        with open(os.path.join(directory, "large"), "wb") as file:
            for _ in range(mib):
                file.write(chance.randbytes(1 << 20))
    return total + (mib << 20)


def make_project(directory, files, mib):
    write(os.path.join(directory, "project.conf"), "name: data\nmin-version: 2.0\nelement-path: elements\n")
    elements = {
        "base": "kind: import\nsources: [{kind: local, path: root}]\n",
        "data": "kind: import\nsources: [{kind: local, path: files}]\nconfig: {target: /data}\n",
        "first": USES % ("first", "first"),
        "second": USES % ("second", "second"),
        "third": USES % ("third", "third"),
        "captured": CAPTURED,
        "composed": "kind: compose\nbuild-depends: [data.bst, captured.bst]\n",
    }
    for name, text in elements.items():
        write(os.path.join(directory, "elements", name + ".bst"), text)
    make_root(os.path.join(directory, "root"), ("sh", "cp", "date"))
    return make_data(os.path.join(directory, "files"), files, mib)


def children():
    with open("/proc/self/task/%d/children" % os.getpid(), encoding="ascii") as file:
        return {int(pid) for pid in file.read().split()}


class Meter:
    """Times commands: seconds, and processor seconds of everything that they started."""

    PR_SET_CHILD_SUBREAPER = 36

    def __init__(self, work):
        self.work = work
        self.servers = set()
        # Orphans of a command become children of this process, which counts them.
        common.libc().prctl(self.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def used(self):
        times = os.times()
        return times.children_user + times.children_system

    def run(self, argv, environment=None, output=None):
        """(seconds, processor seconds, what it said)"""
        os.sync()
        before, started = self.used(), time.time()
        done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, stdout=output or subprocess.PIPE,
                              stderr=subprocess.STDOUT if output is None else subprocess.PIPE, text=True, errors="replace", check=False)
        ended = time.time()
        if done.returncode != 0:
            sys.exit("%s\nbench: status %d: %s" % ((done.stdout or done.stderr or "")[-4000:], done.returncode, shlex.join(argv)))
        deadline = time.monotonic() + DEADLINE
        while children() - self.servers and time.monotonic() < deadline:
            for pid in children() - self.servers:
                os.waitpid(pid, 0)
        return Taken(started, ended, self.used() - before, done.stdout)


class Taken:
    def __init__(self, started, ended, cpu, said):
        self.started, self.ended, self.cpu, self.said = started, ended, cpu, said
        self.seconds = ended - started

    def __str__(self):
        return "%.2f s (processors %.2f)" % (self.seconds, self.cpu)


def mark(folder, element, name):
    """The time that a command in the element's sandbox said."""
    for path in glob.glob(os.path.join(folder, "**", element, "*.log"), recursive=True):
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.findall(r"^bench-%s ([0-9.]+)$" % name, file.read(), re.MULTILINE)
        if found:
            return float(found[-1])
    sys.exit("bench: no log says when the %s command ran" % name)


def disk_use(folder):
    """Bytes of all inodes below."""
    seen, total = set(), 0
    for where, folders, files in os.walk(folder):
        for name in folders + files:
            info = os.lstat(os.path.join(where, name))
            if info.st_ino not in seen:
                seen.add(info.st_ino)
                total += info.st_blocks * 512
    return total


def change(project, number):
    """Changes the content of one file."""
    write(os.path.join(project, "files", "d000", "e0", "f000000"), "changed %d\n" % number)


def same(directory, project, what):
    done = subprocess.run(["diff", "-rq", directory, os.path.join(project, "files")], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit("%s\nbench: the %s is not what was imported" % (done.stdout[-2000:], what))


class Tool:
    """sluice, or bst, with a home of its own."""

    def __init__(self, meter, command, work, name, project):
        self.meter, self.command, self.project = meter, command, project
        self.folder = work.join(name)
        self.environment = work.home(name)
        self.environment["PEER_HOME"] = self.folder
        configuration = os.path.join(self.folder, "bst.conf")
        write(configuration, "cachedir: %s/store\nlogdir: %s/logs\nsourcedir: %s/sources\n" % ((self.folder,) * 3))
        self.options = ["--config", configuration, "-C", project, "--no-interactive", "--no-colors", "--builders", "1"]
        self.taken = {}

    def __call__(self, name, *arguments, output=None):
        taken = self.meter.run(self.command + self.options + list(arguments), self.environment, output)
        self.taken[name] = taken
        return taken

    def build(self, name, expected, *elements):
        taken = self(name, "build", *elements)
        if common.built(taken.said) != expected:
            sys.exit("%s\nbench: not what should be was built" % taken.said[-4000:])
        return taken

    def mark(self, element, name):
        return mark(os.path.join(self.folder, "logs"), element, name)

    def everything(self, number):
        """One round of what both can do. Figures by name, in seconds."""
        figures = {}
        figures["import"] = self.build("import", 1, "data.bst").seconds
        figures["null"] = self.build("null", 0, "data.bst").seconds
        change(self.project, number)
        figures["changed"] = self.build("changed", 1, "data.bst").seconds
        figures["stage"] = -self.build("first build over it", 2, "first.bst").started + self.mark("first", "first")
        self.disk = disk_use(os.path.join(self.folder, "store"))
        # Two builds of another session: its first, and one after it.
        two = self.build("two builds over it", 2, "second.bst", "third.bst")
        earlier, later = sorted(("second", "third"), key=lambda element: self.mark(element, "first"))
        figures["stage_again"] = self.mark(earlier, "first") - two.started
        figures["stage_second"] = self.mark(later, "first") - self.mark(earlier, "last")
        figures["capture"] = self.build("build that copies it", 1, "captured.bst").ended - self.mark("captured", "last")
        figures["compose"] = self.build("compose", 1, "composed.bst").seconds
        out = os.path.join(self.folder, "out")
        figures["checkout"] = self("checkout", "artifact", "checkout", "data.bst", "--directory", out).seconds
        same(os.path.join(out, "data"), self.project, "checkout")
        shutil.rmtree(out)
        figures["hardlinks"] = self("checkout --hardlinks", "artifact", "checkout", "--hardlinks", "data.bst", "--directory", out).seconds
        same(os.path.join(out, "data"), self.project, "checkout of hard links")
        shutil.rmtree(out)
        figures["tar"] = self("checkout --tar", "artifact", "checkout", "data.bst", "--tar", out + ".tar").seconds
        os.unlink(out + ".tar")
        return figures


class Server:
    """A cache server on a port that the system chose; ends with the benchmark."""

    def __init__(self, meter, command, work, name):
        self.meter = meter
        self.log = work.join(name + ".log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        meter.servers.add(self.process.pid)

    def wait_for(self, condition):
        value = common.wait_for(condition, DEADLINE, hopeless=lambda: self.process.poll() is not None)
        if not value:
            with open(self.log, encoding="utf-8") as log:
                sys.exit("%s\nbench: a server didn't start" % log.read()[-2000:])
        return value

    def address(self):
        with open(self.log, encoding="utf-8") as log:
            found = re.search(r"http://\S+", log.read())
        return found and found.group(0)

    def answers(self, port):
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.meter.servers.discard(self.process.pid)


def sluice_cas(meter, work, name):
    command = [os.path.join(os.path.dirname(shutil.which(work.command[0])), "sluice-cas"), "--bind", "127.0.0.1:0", "--allow-push", work.join(name)]
    server = Server(meter, command, work, name)
    return server, server.wait_for(server.address)


def buildbox_casd(meter, work, prefix, name):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(meter, prefix + ["buildbox-casd", "--bind=127.0.0.1:%d" % port, work.join(name)], work, name)
    server.wait_for(lambda: server.answers(port))
    return server, "http://127.0.0.1:%d" % port


def transfer(meter, work, project, pusher, name, make_server):
    """Push to a new server, then pull with an empty cache: figures, as everything()."""
    server, url = make_server(meter, work, "server-" + name)
    figures = {"push": pusher("push to " + name, "artifact", "push", "--artifact-remote", url, "data.bst").seconds}
    puller = Tool(meter, pusher.command, work, "puller-" + name, project)
    figures["pull"] = puller("pull", "artifact", "pull", "--artifact-remote", url, "data.bst").seconds
    pusher.taken["pull from " + name] = puller.taken["pull"]
    server.end()
    return figures


def reference_transfer(meter, work, prefix, project, name, make_server):
    """casupload and casdownload of the same; what they took as text."""
    server, url = make_server(meter, work, "reference-" + name)
    up = meter.run(prefix + ["casupload", "--remote=" + url, "--output-digest-file=" + work.join("digest"), os.path.join(project, "files")])
    with open(work.join("digest"), encoding="utf-8") as file:
        digest = file.read().strip()
    target = work.join("downloaded-" + name)
    os.makedirs(target)
    down = meter.run(prefix + ["casdownload", "--remote=" + url, "--root-digest=" + digest, "--destination-dir=" + target])
    same(target, project, "download")
    shutil.rmtree(target)
    server.end()
    return "casupload to %s: %s; casdownload: %s" % (name, up, down)


def limits(meter, work, project):
    """cp -r, sha256sum in two processes, tar."""
    files, copy = os.path.join(project, "files"), work.join("copy")
    found = {"cp -r": meter.run(["cp", "-r", files, copy])}
    shutil.rmtree(copy)
    found["sha256sum"] = meter.run(["sh", "-c", 'find "$0" -type f -print0 | xargs -0 -P 2 -n 200 sha256sum | tail -1', files])
    found["tar"] = meter.run(["tar", "-C", files, "-cf", copy + ".tar", "."])
    os.unlink(copy + ".tar")
    return found


def show(title, taken):
    print(title + ": " + "; ".join("%s %s" % (name, value) for name, value in taken.items()), flush=True)


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(rounds=3)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--mib", type=int, default=256)
    arguments = parser.parse_args()
    if arguments.files < 1 or arguments.mib < 0:
        parser.error("one file at least")
    with common.Workplace(arguments.sluice, fresh=True) as work:
        meter = Meter(work)
        project = work.join("project")
        total = make_project(project, arguments.files, arguments.mib)
        print("data: %d files and one of %d MiB, %.1f MB in all, %d rounds, %s"
              % (arguments.files, arguments.mib, total / 1e6, arguments.rounds, arguments.sluice), flush=True)
        sources = disk_use(os.path.join(project, "files")) + disk_use(os.path.join(project, "root"))
        time.sleep(common.SETTLED)
        rounds, bounds, ratios = {}, {"cp -r": [], "sha256sum": [], "tar": []}, {}
        for number in range(arguments.rounds):
            found = limits(meter, work, project)
            for name, taken in found.items():
                bounds[name].append(taken.seconds)
            limit = max(found["cp -r"].seconds, found["sha256sum"].seconds)
            cpu_limit = max(found["cp -r"].cpu, found["sha256sum"].cpu)
            show("round %d" % (number + 1), found)
            tool = Tool(meter, work.command, work, "home-%d" % number, project)
            figures = tool.everything(number)
            figures.update(transfer(meter, work, project, tool, "sluice-cas", sluice_cas))
            show("  sluice", tool.taken)
            for name, seconds in figures.items():
                rounds.setdefault(name, []).append(seconds)
                if name in ("import", "capture", "checkout"):
                    ratios.setdefault(name, []).append(seconds / limit)
            print("  of the limit: import %.2f, capture %.2f, checkout %.2f; of its processor seconds: import %.2f, checkout %.2f"
                  % (figures["import"] / limit, figures["capture"] / limit, figures["checkout"] / limit,
                     tool.taken["import"].cpu / cpu_limit, tool.taken["checkout"].cpu / cpu_limit))
            print("  changed, above a null build: %.3f s; the cache takes %.2f times the sources' place on disk"
                  % (figures["changed"] - figures["null"], tool.disk / sources), flush=True)
            shutil.rmtree(tool.folder)
        bst = {}
        reference = shlex.split(os.environ.get("SLUICE_BST", ""))
        if reference:
            tool = Tool(meter, reference, work, "bst", project)
            bst = tool.everything(arguments.rounds)
            show("bst", tool.taken)
            shutil.rmtree(tool.folder)
            if os.path.basename(reference[-1]) == "bst":
                prefix = reference[:-1]
                casd = lambda meter, work, name: buildbox_casd(meter, work, prefix, name)
                print(reference_transfer(meter, work, prefix, project, "sluice-cas", sluice_cas), flush=True)
                print(reference_transfer(meter, work, prefix, project, "buildbox-casd", casd), flush=True)
                tool = Tool(meter, work.command, work, "home-casd", project)
                tool.build("import", 1, "data.bst")
                transfer(meter, work, project, tool, "buildbox-casd", casd)
                show("sluice", tool.taken)
        middle = {name: round(statistics.median(values), 3) for name, values in rounds.items()}
        print("seconds: " + ", ".join("%s %s" % (name, common.spread(values, "%.2f")) for name, values in rounds.items()))
        print("of the limit: " + ", ".join("%s %s" % (name, common.spread(values, "%.2f")) for name, values in ratios.items()))
        common.close("data", **{"import": middle["import"]}, changed=middle["changed"], stage=middle["stage"], capture=middle["capture"],
                     checkout=middle["checkout"], limit=round(max(statistics.median(bounds[name]) for name in ("cp -r", "sha256sum")), 3),
                     **{"bst_" + name: round(bst[name], 3) if bst else "-" for name in ("import", "capture", "checkout")},
                     null=middle["null"], stage_second=middle["stage_second"], rounds=arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
