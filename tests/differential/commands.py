#!/usr/bin/env python3
"""Commands in small projects: what BuildStream 2.8.1 says of each, and the same asked of Sluice.

    commands.py ask FILE...      writes BuildStream's answers into the files (in a reference root)
    commands.py check FILE...    asks Sluice ($SLUICE_BIN/sluice); status 1 when an answer differs

A file holds cases, each a project, commands in it, and answers:

    === NAME                     a case; its project is made anew
    config {...}                 user configuration besides the directories, as JSON
    --- PATH                     a file; its lines follow, each after "| "
    --- PATH (executable)        --- PATH/ (a directory)   --- PATH -> TARGET   --- PATH (fifo)
    --- PATH (tar FOLDER NAME)   a tar file of NAME in the project's folder FOLDER, which stands before it
    --- PATH (root)              a folder with this machine's shell and some small programs, to build in
    @ cwd=DIR project=DIR bare   how the next command is run: where, with which --directory ("-": none),
                                 without the options that every command gets
    $ ARGUMENTS                  a command, quoted as for a shell; DIR is the project's directory
    > success | usage | failure | error DOMAIN REASON [PLACE]
    ^ WORDS                      what the error is introduced by: "Error loading project"
    ? DOMAIN REASON              the last error of a task, where there was one that has a domain
    < TEXT                       a line of standard output
    : TEXT                       a line of the error's message, for whoever reads; compared by nobody
    ! PATH                       a file is written between commands; its lines follow
    = PATH                       a file as it is after the commands so far; its lines follow, or "(absent)"
    = PATH/                      what a folder holds, each with what it is: d, f, x (executable) or l
In files @DIR@ is the project's directory.

`failure` is a command that fails without an error that has a domain. PLACE is "FILE [line L column C]".
`> crash` stands where BuildStream itself fails: Sluice may say what it likes, but must end in order.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
from projects import SHELL, make_root  # noqa: E402
from trees import remove_tree  # noqa: E402

# Where an error says that it is, with whose it is where that stands before ("tar source at a.bst [line 3 column 2]").
PLACE = re.compile(r"(?:\w+ source at )?\S+ \[line \d+ column \d+\]")
INTRODUCTION = re.compile(r"^(Error (?:loading|instantiating) [a-z ]+): ", re.MULTILINE)


def parse(text):
    cases, target = [], None
    for line in text.splitlines():
        mark, rest = (line.split(" ", 1) + [""])[:2]
        if not line or mark == "#":
            continue
        if mark == "===":
            cases.append({"name": rest, "config": {}, "files": [], "runs": []})
            how = {}
        elif mark == "config":
            cases[-1]["config"] = json.loads(rest)
        elif mark == "---":
            target = []
            cases[-1]["files"].append((rest, target))
        elif mark == "!":
            target = []
            cases[-1]["runs"].append({"write": rest, "lines": target})
        elif mark == "=":
            target = []
            cases[-1]["runs"].append({"read": rest, "lines": target})
        elif mark == "|":
            target.append(rest)
        elif mark == "@":
            how = dict((word + "=").split("=")[:2] for word in rest.split())
        elif mark == "$":
            cases[-1]["runs"].append({"command": rest, "how": how, "answer": "", "by": "", "task": "", "out": [], "said": []})
            how = {}
        elif mark == ">":
            cases[-1]["runs"][-1]["answer"] = rest
        elif mark == "^":
            cases[-1]["runs"][-1]["by"] = rest
        elif mark == "?":
            cases[-1]["runs"][-1]["task"] = rest
        elif mark == "<":
            cases[-1]["runs"][-1]["out"].append(rest)
        elif mark == ":":
            cases[-1]["runs"][-1]["said"].append(rest)
        else:
            raise ValueError("not understood: " + line)
    return cases


def read_folder(folder):
    """The cases of all files of a folder, by the files' names."""
    cases = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".txt"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                cases += parse(file.read())
    return cases


def render(cases):
    lines = []
    add = lambda mark, text: lines.append((mark + " " + text).rstrip() if mark != "|" and mark != "<" else mark + " " + text)
    for case in cases:
        lines += ["", "=== " + case["name"]]
        if case["config"]:
            add("config", json.dumps(case["config"]))
        for path, content in case["files"]:
            add("---", path)
            for line in content:
                add("|", line)
        for run in case["runs"]:
            if "write" in run:
                add("!", run["write"])
                for line in run["lines"]:
                    add("|", line)
                continue
            if "read" in run:
                add("=", run["read"])
                for line in run["lines"]:
                    add("|", line)
                continue
            if run["how"]:
                add("@", " ".join(k + ("=" + v if v else "") for k, v in run["how"].items()))
            add("$", run["command"])
            add(">", run["answer"])
            if run["by"]:
                add("^", run["by"])
            if run["task"]:
                add("?", run["task"])
            for line in run["out"]:
                add("<", line)
            for line in run["said"]:
                add(":", line)
    return "\n".join(lines).lstrip("\n") + "\n"


def write_tar(path, directory, folder, member):
    def plain(info):  # as on any machine
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
        return info

    top = os.path.join(directory, folder, member)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(top, member, recursive=False, filter=plain)
        for name in sorted(os.path.relpath(os.path.join(at, name), top) for at, folders, files in os.walk(top) for name in folders + files):
            tar.add(os.path.join(top, name), "%s/%s" % (member, name), recursive=False, filter=plain)


def write_file(directory, entry, content):
    name, _, what = entry.partition(" ")
    content = [line.replace("@DIR@", directory) for line in content]
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path.rstrip("/")), exist_ok=True)
    if name.endswith("/"):
        os.makedirs(path, exist_ok=True)
    elif what.startswith("-> "):
        os.symlink(what[3:], path)
    elif what == "(fifo)":
        os.mkfifo(path)
    elif what.startswith("(tar "):
        write_tar(path, directory, *what[5:-1].split(" "))
    elif what == "(root)":
        make_root(path, SHELL + ("cmp", "echo", "id", "pwd", "stat", "test", "true", "false"))
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in content))
        os.chmod(path, 0o755 if what == "(executable)" else 0o644)


def entries_of(top):
    lines = []
    for directory, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(directory, name)
            kind = "l" if os.path.islink(path) else "d" if os.path.isdir(path) else "x" if os.access(path, os.X_OK) else "f"
            lines.append("%s %s%s" % (kind, os.path.relpath(path, top), " -> " + os.readlink(path) if kind == "l" else ""))
    return sorted(lines, key=lambda line: line[2:])


def read_file(directory, name):
    if name.endswith("/") and os.path.isdir(os.path.join(directory, name)):
        return entries_of(os.path.join(directory, name))
    try:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return ["(absent)"]
    return text.replace(directory, "@DIR@").split("\n")[:-1]


class Projects:
    """Makes one project after another in a directory of the same name, which some messages have in them."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "project")
        self.state = os.path.join(directory, "state")

    def make(self, case):
        for path in (self.directory, self.state):
            remove_tree(path)
            os.makedirs(path)
        for entry, content in case["files"]:
            write_file(self.directory, entry, content)
        cache = os.path.join(self.state, "cache")
        config = dict(case["config"], cachedir=cache, sourcedir=cache + "/sources", logdir=cache + "/logs")
        config.setdefault("build", {"max-jobs": 2})  # else it is the machine's
        self.config = os.path.join(self.state, "buildstream.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)

    def arguments(self, run):
        arguments = [word.replace("DIR", self.directory) for word in shlex.split(run["command"])]
        if "bare" in run["how"]:
            return arguments
        place = run["how"].get("project", ".")
        given = [] if place == "-" else ["--directory", os.path.normpath(os.path.join(self.directory, place))]
        return ["--no-colors", "--no-verbose", "--config", self.config] + given + arguments

    def cwd(self, run):
        return os.path.join(self.directory, run["how"].get("cwd", "."))

    def nameless(self, text):
        return text.replace(self.directory, "DIR").replace(self.state, "STATE")

    def lines(self, text):
        return self.nameless(text[:-1] if text.endswith("\n") else text).split("\n")


def introduction(told):
    found = INTRODUCTION.search(told)
    return found.group(1) if found else ""


# ---- BuildStream


def ask(names):
    os.environ["BST_TEST_SUITE"] = "1"  # it remembers its last error then
    from buildstream._exceptions import get_last_exception, get_last_task_error
    from buildstream._frontend import cli

    def kebab(value):
        return value.name.lower().replace("_", "-") if hasattr(value, "name") else value

    def in_child(run, projects, base):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.chdir(projects.cwd(run))
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number, name in ((1, ".out"), (2, ".err")):
                os.dup2(os.open(base + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            me, status, answer, by, task = os.getpid(), 0, "crash", "", ""
            try:
                cli.main(args=projects.arguments(run), prog_name="bst")
            except SystemExit as end:
                status = end.code
            except BaseException:
                status = None
            if os.getpid() != me:
                os._exit(0)
            with open(base + ".err", encoding="utf-8") as file:
                told = file.read()
            error = get_last_exception()
            if status == 0:
                answer = "success"
            elif status == 2:
                answer = "usage"
            elif "Traceback (most recent call last)" not in told and status is not None:
                # The last error may be one that was dealt with: then nobody was told of it.
                answer = "failure"
                if error is not None and (not str(error) or str(error) in told):
                    place = PLACE.match(str(error))
                    words = ["error", kebab(error.domain), kebab(error.reason) or "-"] + ([place.group(0)] if place else [])
                    answer = " ".join(words)
                    by = introduction(told)
            if answer == "error stream -":
                domain, reason = get_last_task_error()
                task = "%s %s" % (kebab(domain), kebab(reason) or "-") if domain else ""
            with open(base + ".answer", "w", encoding="utf-8") as file:
                json.dump([answer, by, task], file)
            os._exit(0)
        os.waitpid(pid, 0)
        with open(base + ".answer", encoding="utf-8") as answer, open(base + ".out", encoding="utf-8") as out:
            return json.load(answer) + [out.read()]

    for name in names:
        with open(name, encoding="utf-8") as file:
            cases = parse(file.read())
        with tempfile.TemporaryDirectory() as directory:
            projects = Projects(directory)
            for case in cases:
                projects.make(case)
                for run in case["runs"]:
                    if "write" in run:
                        write_file(projects.directory, run["write"], run["lines"])
                        continue
                    if "read" in run:
                        run["lines"] = read_file(projects.directory, run["read"])
                        continue
                    run["answer"], run["by"], run["task"], out = in_child(run, projects, os.path.join(directory, "run"))
                    run["answer"] = projects.nameless(run["answer"])
                    run["out"] = projects.lines(out) if out and run["answer"] == "success" else []
        with open(name, "w", encoding="utf-8") as file:
            file.write(render(cases))


# ---- Sluice


def sluice(run, projects, environment):
    log = os.path.join(projects.state, "log.json")
    if os.path.exists(log):
        os.unlink(log)
    done = subprocess.run([os.path.abspath(os.path.join(os.environ["SLUICE_BIN"], "sluice"))] + projects.arguments(run), cwd=projects.cwd(run),
                          env=dict(os.environ, SLUICE_JSON_LOG=log, **environment), stdin=subprocess.DEVNULL,
                          capture_output=True, check=False, timeout=120)
    out = done.stdout.decode("utf-8", "replace")
    if done.returncode == 0:
        return "success", "", projects.lines(out) if out else [], ""
    if done.returncode < 0:
        return "killed by signal %d" % -done.returncode, "", [], ""
    if done.returncode == 2:
        return "usage", "", [], ""
    errors = [{}]
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        errors += [record for record in records if record["type"] == "error"]
        if records[-1]["type"] != "error":
            errors.append({})
    told = projects.nameless(done.stderr.decode("utf-8", "replace"))
    of_tasks = [said(error) for error in errors if error.get("scope") == "task"]
    return said(errors[-1], "error ") or "failure", (of_tasks or [""])[-1], [], told


def said(error, prefix=""):
    return "%s%s %s" % (prefix, error["domain"], error.get("reason") or "-") if "domain" in error else ""


def difference(run, answer, task, out, told):
    expected = run["answer"]
    if expected == "crash":
        return "it was killed" if answer.startswith("killed") else None
    if expected == "failure" and answer.startswith("error"):
        return None  # an error with a domain says more
    place = PLACE.search(expected) if expected.startswith("error") else None
    if place is not None and place.group(0) not in told:
        return "no %r in what it said: %s" % (place.group(0), told)
    if expected.startswith("error") and introduction(told) != run["by"]:
        return "introduced by %r, not %r: %s" % (introduction(told), run["by"], told)
    if (expected[: place.start()].strip() if place else expected) != answer:
        return "%r, not %r: %s" % (answer, expected, told)
    # Where BuildStream gives no reason, one that is given says more.
    if run["task"] and run["task"] != task and not (run["task"].endswith(" -") and task.startswith(run["task"][:-1])):
        return "a task ended with %r, not %r: %s" % (task, run["task"], told)
    return None if out == run["out"] else "standard output is\n%s\nnot\n%s" % ("\n".join(out), "\n".join(run["out"]))


def check(name, directory, environment, report):
    """Calls report(case, command, what differs) for each difference; the number of commands."""
    with open(name, encoding="utf-8") as file:
        cases = parse(file.read())
    projects, count = Projects(directory), 0
    for case in cases:
        projects.make(case)
        for run in case["runs"]:
            if "write" in run:
                write_file(projects.directory, run["write"], run["lines"])
                continue
            if "read" in run:
                lines = read_file(projects.directory, run["read"])
                if lines != run["lines"]:
                    report(case["name"], "= " + run["read"], "it is\n%s\nnot\n%s" % ("\n".join(lines), "\n".join(run["lines"])))
                continue
            count += 1
            wrong = difference(run, *sluice(run, projects, environment))
            if wrong:
                report(case["name"], run["command"], wrong)
    return count


def main(verb, names):
    if verb == "ask":
        ask(names)
        return 0
    found = []
    for name in names:
        with tempfile.TemporaryDirectory() as directory:
            state = {"XDG_%s_HOME" % kind: os.path.join(directory, kind) for kind in ("STATE", "CACHE")}
            count = check(name, directory, state, lambda *wrong: found.append(wrong))
            print("%s: %d commands" % (name, count))
    for wrong in found:
        print("=== %s\n$ %s\n%s\n" % wrong)
    print("%d differ" % len(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [os.path.abspath(name) for name in sys.argv[2:]]))
