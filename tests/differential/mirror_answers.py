#!/usr/bin/env python3
"""What is tried to be fetched or tracked, in which order: BuildStream 2.8.1 and Sluice in the projects of mirror_cases.py.

    mirror_answers.py ask           writes BuildStream's answers into ../golden/mirrors.json (in a reference root)
    mirror_answers.py check BIN_DIR [PART]   asks Sluice; status 1 when an answer differs. PART of a case's name: those alone

An answer is [how the command ended, the last error of a task, ["URL AS"...] as they were tried].
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import mirror_cases  # noqa: E402
from trees import remove_tree  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/mirrors.json")
TRY = re.compile(r"INFO +TRY (\S+ \S+)")


class Place:
    """A directory for one project at a time."""

    def __init__(self, directory):
        self.project = os.path.join(directory, "project")
        self.state = os.path.join(directory, "state")
        self.config = os.path.join(directory, "buildstream.conf")

    def make(self, case):
        for path in (self.project, self.state):
            remove_tree(path)
            os.makedirs(path)
        for name, text in case["files"].items():
            path = os.path.join(self.project, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        config = dict(case["config"], cachedir=self.state + "/cache", sourcedir=self.state + "/sources", logdir=self.state + "/logs")
        config["scheduler"] = {"network-retries": 0}
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump(config, file)

    def arguments(self, case):
        return ["--no-colors", "--config", self.config, "--directory", self.project, *case["arguments"]]

    def environment(self, case):
        return {"PYTHONPATH": os.path.join(self.project, "site")} if case["site"] else {}

    def tries(self, told):
        return [line.replace(self.project, "@DIR@") for line in TRY.findall(told)]


def ask():
    os.environ["BST_TEST_SUITE"] = "1"  # it remembers its last error then
    from buildstream._exceptions import get_last_exception, get_last_task_error
    from buildstream._frontend import cli

    def kebab(value):
        return value.name.lower().replace("_", "-") if hasattr(value, "name") else value

    def in_child(place, case, base):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.chdir(place.project)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number, name in ((1, ".out"), (2, ".err")):
                os.dup2(os.open(base + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            me, status = os.getpid(), None
            sys.path[:0] = [path for path in place.environment(case).values()]
            try:
                cli.main(args=place.arguments(case), prog_name="bst")
            except SystemExit as end:
                status = end.code
            except BaseException:
                pass
            if os.getpid() != me:
                os._exit(0)
            answer, task, error = "crash", "", get_last_exception()
            if status == 0:
                answer = "success"
            elif error is not None:
                answer = "%s %s" % (kebab(error.domain), kebab(error.reason) or "-")
                domain, reason = get_last_task_error()
                task = "%s %s" % (kebab(domain), kebab(reason) or "-") if domain else ""
            with open(base + ".answer", "w", encoding="utf-8") as file:
                json.dump([answer, task], file)
            os._exit(0)
        os.waitpid(pid, 0)
        with open(base + ".answer", encoding="utf-8") as answer, open(base + ".err", encoding="utf-8") as told:
            return [*json.load(answer), place.tries(told.read())]

    answers = {}
    with tempfile.TemporaryDirectory() as directory:
        place = Place(directory)
        for name, case in mirror_cases.tries().items():
            place.make(case)
            answers[name] = in_child(place, case, os.path.join(directory, "run"))
    with open(GOLDEN, "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join("%s: %s" % (json.dumps(name), json.dumps(answer)) for name, answer in answers.items()) + "\n}\n")


def golden():
    with open(GOLDEN, encoding="utf-8") as file:
        return json.load(file)


def of_sluice(bin_directory, place, case, environment):
    """The same of a session of Sluice."""
    log = os.path.join(place.state, "log.json")
    done = subprocess.run([os.path.join(bin_directory, "sluice"), *place.arguments(case)], env=dict(environment, SLUICE_JSON_LOG=log, **place.environment(case)),
                          cwd=place.project, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120)  # fmt: skip
    told = done.stderr.decode("utf-8", "replace")
    if done.returncode == 0:
        return ["success", "", place.tries(told)], told
    errors = []
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            errors = [record for record in map(json.loads, file) if record["type"] == "error"]
    words = lambda error: "%s %s" % (error.get("domain") or "-", error.get("reason") or "-")
    task = [words(error) for error in errors if error.get("scope") == "task"]
    return [words(errors[-1]) if errors else "failure", (task or [""])[-1], place.tries(told)], told


def differs(answer, expected):
    """Where BuildStream gives no reason, one that is given says more."""
    same = lambda ours, theirs: ours == theirs or (theirs.endswith(" -") and ours.startswith(theirs[:-1]))
    return not (same(answer[0], expected[0]) and same(answer[1], expected[1]) and answer[2] == expected[2])


def check(bin_directory, directory, environment, names, report, workers=2):
    """Calls report(name, expected, answer, what was said) for each difference."""
    cases, expected = mirror_cases.tries(), golden()
    names = [name for name in names if name in cases]

    def work(number):
        place = Place(os.path.join(directory, str(number)))
        for name in names[number::workers]:
            place.make(cases[name])
            answer, told = of_sluice(bin_directory, place, cases[name], environment)
            if differs(answer, expected[name]):
                report(name, expected[name], answer, told)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    return len(names)


def main(verb, bin_directory="", part=""):
    if verb == "ask":
        ask()
        return 0
    found = []
    with tempfile.TemporaryDirectory() as directory:
        state = {"XDG_%s_HOME" % kind: os.path.join(directory, kind) for kind in ("STATE", "CACHE")}
        names = [name for name in golden() if part in name]
        count = check(os.path.abspath(bin_directory), directory, dict(os.environ, **state), names, lambda *wrong: found.append(wrong))
    for name, expected, answer, told in found:
        print("=== %s\nBuildStream: %s\nSluice:      %s" % (name, json.dumps(expected), json.dumps(answer)))
        if os.environ.get("TOLD"):
            print(told)
    print("%d cases, %d differ" % (count, len(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
