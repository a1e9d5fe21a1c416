#!/usr/bin/env python3
"""Random single edits of valid projects: BuildStream's answer to each beside Sluice's.

    mutations.py make GOLDEN DIRECTORY COUNT [SEED [all]]   writes COUNT edited projects; with `all` of those
                                                      with plugins of their own as well
    mutations.py ask DIRECTORY                        what BuildStream says (in a reference root)
    mutations.py compare DIRECTORY LOADER             what the loader says, and where that differs; also
                                                      where it fails, or a sanitizer in it reports something

Each edited project is a directory with `request` (as in tests/golden/loader) and `edit` (what was
changed), and beside it there is, after `ask`, its `.json`. An answer is an error's domain and reason, or for each
element its keys, variables, environment, configuration, public data and dependencies.
"""

import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys

PROJECTS = ["conf", "junctions", "kinds", "local", "options", "text", "refs", "workspaces", "sources", "wide", "order7", "across"]
PLUGIN_PROJECTS = ["plugins", "plugins-junction", "community"]
WORDS = ["", "x", "[]", "{}", "[a]", "{a: b}", "true", "1", "%{prefix}", "%{nothing}", "a.bst", "'", '"', "kind", "(>)", "(?)", "all"]


def edit_line(lines, rng):
    """One edit of a file's lines; a description, or None when it can't be done."""
    n = rng.randrange(len(lines))
    line = lines[n]
    how = rng.choice(["delete", "delete", "double", "indent", "dedent", "value", "value", "value", "key", "key", "swap", "character", "remove", "insert"])
    if how == "delete":
        del lines[n]
    elif how == "double":
        lines.insert(n, line)
    elif how == "indent":
        lines[n] = "  " + line
    elif how == "dedent":
        if not line.startswith("  "):
            return None
        lines[n] = line[2:]
    elif how == "value":
        if ":" not in line:
            return None
        lines[n] = line.split(":", 1)[0] + ": " + rng.choice(WORDS)
    elif how == "key":
        found = re.match(r"^(\s*(?:- )?)([^:\s]+)(:.*)$", line)
        if not found:
            return None
        lines[n] = found.group(1) + rng.choice(["x", found.group(2) + "s", "config", "name", "(@)", "(=)"]) + found.group(3)
    elif how == "swap":
        other = rng.randrange(len(lines))
        lines[n], lines[other] = lines[other], lines[n]
    elif not line.strip():
        return None
    else:
        at = rng.randrange(len(line))
        if how == "remove":
            lines[n] = line[:at] + line[at + 1 :]
        else:
            keep = 1 if how == "character" else 0
            lines[n] = line[:at] + rng.choice("abz019_-:.%{}[]()'\"#, /|>&*!?") + line[at + keep :]
    return "%s at line %d: %r" % (how, n + 1, line)


def make(golden, directory, count, seed, projects):
    rng = random.Random(seed)
    os.makedirs(directory, exist_ok=True)
    shutil.copy(os.path.join(golden, "user.conf"), os.path.join(directory, "user.conf"))
    for number in range(count):
        while True:
            project = rng.choice(projects)
            source = os.path.join(golden, project)
            requests = [f for f in sorted(os.listdir(source)) if f.endswith(".request")]
            files = []
            for top, _, names in os.walk(source):
                files += [os.path.join(top, f) for f in names if f.endswith((".bst", ".yml", ".conf", ".refs"))]
            file = os.path.relpath(rng.choice(sorted(files)), source)
            with open(os.path.join(source, file), encoding="utf-8") as stream:
                lines = stream.read().split("\n")
            what = edit_line(lines, rng)
            if what:
                break
        target = os.path.join(directory, "%04d" % number)
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("*.expected", "*.request", ".bst"))
        shutil.copy(os.path.join(source, rng.choice(requests)), os.path.join(target, "request"))
        with open(os.path.join(target, file), "w", encoding="utf-8") as stream:
            stream.write("\n".join(lines))
        with open(os.path.join(target, "edit"), "w", encoding="utf-8") as stream:
            stream.write("%s/%s: %s\n" % (project, file, what))


def cases(directory):
    return [os.path.join(directory, d) for d in sorted(os.listdir(directory)) if d.isdigit()]


# ---- BuildStream


def ask(directory):
    sys.argv = ["make-expected.py", directory]
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden/loader"))
    import importlib

    harness = importlib.import_module("make-expected")
    from buildstream._context import Context
    from buildstream._exceptions import BstError

    def answer(case):
        request = harness.read_request(os.path.join(case, "request"))
        try:
            with Context() as context:
                elements = harness.load(case, request, context)
                result = {"elements": [described(e) for e in elements]}
        except BstError as error:
            result = {"error": [harness.kebab(error.domain), harness.kebab(error.reason) or ""], "message": str(error)}
        except BaseException as error:  # BuildStream itself crashes
            result = {"crash": repr(error)}
        with open(case + ".json", "w", encoding="utf-8") as stream:
            json.dump(result, stream)

    def described(e):
        from buildstream.types import _KeyStrength, _Scope

        names = lambda scope: [d._get_full_name() for d in e._dependencies(scope, recurse=False)]
        return {
            "name": e._get_full_name(),
            "kind": e.get_kind(),
            "weak": e._get_cache_key(_KeyStrength.WEAK) or "",
            "strict": e._Element__strict_cache_key or "",
            "variables": dict(e._Element__variables),
            "environment": e._Element__environment,
            "config": e._Element__config.strip_node_info(),
            "public": e._Element__public.strip_node_info(),
            "build": names(_Scope.BUILD),
            "runtime": names(_Scope.RUN),
        }

    # Tools that BuildStream looks for when it loads sources, and doesn't use.
    tools = os.path.join(directory, "tools")
    os.makedirs(tools, exist_ok=True)
    for tool in ("bzr", "python3.12"):
        with open(os.path.join(tools, tool), "w", encoding="utf-8") as stream:
            stream.write("#!/bin/sh\nexit 0\n")
        os.chmod(os.path.join(tools, tool), 0o755)
    os.environ["PATH"] += ":" + tools
    for case in cases(directory):
        harness.in_child(lambda: answer(case))


# ---- Sluice


def plain(node):
    if node["k"] == 1:
        return node["s"]
    return [plain(i) for i in node["l"]] if node["k"] == 2 else {k: plain(v) for k, v in node["m"]}


# Rows of a snapshot, as wire/model_fields.h has them.
ELEMENT = ("name", "full_name", "kind", "project", "dependencies", "keys", "sources_key", "has_sources", "sources_resolved",
           "sources_local", "builds", "unsupported", "unsupported_by")
DEPENDENCY = ("element", "build", "runtime", "strict")


# What sanitizers write before a report. Undefined behaviour alone doesn't end a program, nor change its status.
REPORT = re.compile(r"^.*(runtime error: |\w+Sanitizer:)", re.MULTILINE)


def failure(done):
    """How a program failed, with the report of a sanitizer or else the end of what it said; None when it did not."""
    said = done.stderr.decode(errors="replace")
    report = REPORT.search(said)
    if report is None and done.returncode == 0 and done.stdout:
        return None
    how = signal.Signals(-done.returncode).name if done.returncode < 0 else "status %d" % done.returncode
    return "%s\n%s" % (how, (said[report.start():][:8000] if report else said[-2000:]).rstrip())


def load(loader, directory, case):
    import msgpack

    own = os.path.join(case, "user.conf")
    arguments = {"directory": case, "targets": [], "except": [], "options": [], "deps": "all", "bodies": True,
                 "config": own if os.path.exists(own) else os.path.join(directory, "user.conf")}
    with open(os.path.join(case, "request"), encoding="utf-8") as stream:
        for line in stream:
            key, value = line.strip().split(":", 1)
            if key in ("targets", "except"):
                arguments[key] += value.split()
            elif key == "option":
                arguments["options"].append(value.split())
            elif key == "deps":
                arguments["deps"] = value.strip()
            elif key == "strict":
                arguments["strict"] = value.strip() == "true"
    done = subprocess.run([loader, "--one-shot"], input=msgpack.packb(arguments), capture_output=True, check=False)
    failed = failure(done)
    if failed is not None:
        return {"crash": failed}
    result = msgpack.unpackb(done.stdout, strict_map_key=False)
    if result.get("error"):
        return {"error": [result["error"]["domain"], result["error"]["reason"]], "message": result["error"]["message"]}
    snapshot = result["snapshot"]
    size = struct.unpack("<I", snapshot[8:12])[0]
    header = msgpack.unpackb(snapshot[12 : 12 + size], strict_map_key=False)
    rows = [dict(zip(ELEMENT, row, strict=True)) for row in header["elements"]]
    elements, at = [], 12 + size
    for element, length in zip(rows, header["body_sizes"]):
        body = msgpack.unpackb(snapshot[at : at + length], strict_map_key=False)
        at += length
        dependencies = [dict(zip(DEPENDENCY, row, strict=True)) for row in element["dependencies"]]
        names = lambda kind: [rows[d["element"]]["full_name"] for d in dependencies if d[kind]]
        elements.append({
            "name": element["full_name"],
            "kind": element["kind"],
            "unsupported": element["unsupported_by"],
            "weak": element["keys"]["weak"],
            "strict": element["keys"]["strict"],
            "variables": dict(body["variables"]),
            "environment": {**dict(body["environment"]), **(plain(body["nested_env"]) if body["nested_env"]["k"] else {})},
            "config": plain(body["config"]),
            "public": plain(body["public"]),
            "build": names("build"),
            "runtime": names("runtime"),
        })
    return {"elements": [elements[i] for i in result["selection"]]}


def difference(theirs, ours):
    if "crash" in ours:
        return "the loader fails: " + ours["crash"]
    if "crash" in theirs:
        return None if "error" in ours else "BuildStream itself fails, Sluice doesn't: " + theirs["crash"]
    if "error" in theirs and ours.get("error") == ["load", "subproject-fetch-needed"]:
        return None  # what fetching a junction says isn't asked here
    if "error" in theirs or "error" in ours:
        if theirs.get("error") == ours.get("error"):
            return None
        say = lambda a: "%s (%s)" % ("/".join(a["error"]), a["message"].split("\n")[0]) if "error" in a else "fine"
        return "bst: %s\n      sluice: %s" % (say(theirs), say(ours))
    if [e["name"] for e in theirs["elements"]] != [e["name"] for e in ours["elements"]]:
        return "other elements, or in another order"
    for a, b in zip(theirs["elements"], ours["elements"]):
        for key in a:
            if key in ("weak", "strict") and b["unsupported"] and not b[key]:
                continue  # behaviour that comes from Python alone
            if a[key] != b[key]:
                return "%s: %s: %s / %s" % (a["name"], key, str(a[key])[:300], str(b[key])[:300])
    return None


def compare(directory, loader):
    found, crashes, elements, errors, total = 0, 0, 0, 0, 0
    for case in cases(directory):
        with open(case + ".json", encoding="utf-8") as stream:
            theirs = json.load(stream)
        total += 1
        errors += "error" in theirs
        elements += len(theirs.get("elements", []))
        ours = load(loader, directory, case)
        crashes += "crash" in ours
        wrong = difference(theirs, ours)
        if wrong:
            found += 1
            with open(os.path.join(case, "edit"), encoding="utf-8") as stream:
                print("%s %s      %s" % (os.path.basename(case), stream.read(), wrong))
    print("mutations=%d errors=%d elements=%d disagreements=%d crashes=%d" % (total, errors, elements, found, crashes))
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]) if len(sys.argv) > 5 else 1,
             PROJECTS + PLUGIN_PROJECTS if sys.argv[6:] == ["all"] else PROJECTS)
    elif sys.argv[1] == "ask":
        ask(os.path.abspath(sys.argv[2]))
    else:
        sys.exit(compare(os.path.abspath(sys.argv[2]), sys.argv[3]))
