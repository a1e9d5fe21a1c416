#!/usr/bin/env python3
"""Writes what BuildStream says of the golden projects. See README.md."""

import json
import os
import re
import sys
import tempfile
import traceback

from buildstream import _yaml
from buildstream._context import Context
from buildstream._exceptions import BstError
from buildstream._message import MessageType
from buildstream._pipeline import dependencies, except_elements, get_selection
from buildstream._project import Project
from buildstream.types import _KeyStrength, _PipelineSelection, _Scope

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../differential"))
import commands  # noqa: E402


# The time that `touch` in a request gives files: keys of workspaces depend on it.
TOUCHED = 1600000000


def kebab(value):
    return value.name.lower().replace("_", "-") if hasattr(value, "name") else value


def fetch(junctions):
    for junction in junctions:
        junction._fetch()
        junction._fetch_done(False)


warnings = []


def note_warning(message, is_silenced=False):
    if message.message_type == MessageType.WARN:
        warnings.append(" ".join(("%s\n%s" % (message.message, message.detail or "")).split()))


def load(directory, request, context):
    own = os.path.join(directory, "user.conf")
    context.load(own if os.path.exists(own) else os.path.join(root, "user.conf"))
    context.messenger.set_message_handler(note_warning)
    if request["strict"]:
        context._strict_build_plan = request["strict"] == "true"
    project = Project(directory, context, cli_options=request["option"], fetch_subprojects=fetch)
    targets = request["targets"] or project.get_default_targets()
    loader = project.load_elements(list(targets) + request["except"])
    context.ensure_fully_loaded()
    elements, excepted = loader[: len(targets)], loader[len(targets) :]
    selected = get_selection(context, elements, _PipelineSelection(request["deps"]))
    selected = except_elements(elements, selected, excepted)
    if request["strict"] == "false":
        # Full keys are then known when it is known what is in the cache: here nothing.
        context.initialize_remotes(False, False)
        for element in selected:
            element._set_required(_Scope.RUN)
        for element in dependencies(elements, _Scope.ALL):
            if element._get_cache_key(_KeyStrength.WEAK):
                element._load_artifact(pull=False)
                element._query_source_cache()
                element._load_artifact_done()
    return selected


def describe(element, request):
    everything = request["show"] != "keys"
    sources = element._Element__sources
    lines = [
        "=== %s %s" % (element._get_full_name(), element.get_kind()),
        "full-key: %s" % element._get_display_key().full,
        "weak-key: %s" % element._get_cache_key(_KeyStrength.WEAK),
        "strict-key: %s" % element._Element__strict_cache_key,
    ]
    # What nobody knows who doesn't run Python.
    if any(element.sources()):
        lines.append("sources-key: %s" % sources.get_cache_key())
        lines += ["source-key: %s %s" % (s.get_kind(), s._key) for s in element.sources()]
    text = "\n".join(lines) + "\n"
    if not everything:
        return text
    dump = _yaml.roundtrip_dump_string
    names = lambda scope: [e._get_full_name() for e in element._dependencies(scope, recurse=False)]
    text += "description: %s\n" % " ".join(element._description.splitlines())
    text += "--- vars\n" + dump(dict(element._Element__variables))
    text += "--- env\n" + dump(element._Element__environment)
    text += "--- config\n" + dump(element._Element__config)
    text += "--- public\n" + dump(element._Element__public)
    text += "--- deps\n" + dump(names(_Scope.ALL))
    text += "--- build-deps\n" + dump(names(_Scope.BUILD))
    text += "--- runtime-deps\n" + dump(names(_Scope.RUN))
    return text


def parse_request(text):
    request = {"targets": [], "deps": "all", "except": [], "option": [], "strict": "", "show": "", "touch": []}
    for line in text.splitlines():
        key, value = line.strip().split(":", 1)
        if key == "option":
            request[key].append(tuple(value.split()))
        elif key in ("targets", "except", "touch"):
            request[key] += value.split()
        else:
            request[key] = value.strip()
    return request


def read_request(path):
    with open(path, encoding="utf-8") as file:
        return parse_request(file.read())


def in_child(write):
    """BuildStream keeps state in its modules, so each load has a process of its own."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            write()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        sys.exit("failed")


def answer(directory, name):
    request = read_request(os.path.join(directory, name + ".request"))
    for path in request["touch"]:
        for top, directories, files in os.walk(os.path.join(directory, path)):
            for each in [""] + files:
                os.utime(os.path.join(top, each), (TOUCHED, TOUCHED))
    with Context() as context:
        elements = load(directory, request, context)
        with open(os.path.join(directory, name + ".expected"), "w", encoding="utf-8") as file:
            for element in elements:
                file.write(describe(element, request))
            for warning in sorted(warnings):
                file.write("=== warning: %s\n" % warning.replace(directory, "DIR"))


PLACE = "%s [line %s column %s]"


def place_of(error):
    text = "%s\n%s" % (error, error.detail or "")
    # libyaml counts columns from 1 in what it says itself, and the last place is the error's.
    found = re.search(r"(\S+): Severely malformed YAML:.*line (\d+), column (\d+)", text, re.S)
    if found:
        return PLACE % (found.group(1), found.group(2), int(found.group(3)) - 1)
    found = re.search(r"(?:^|: | at |\s)(\S+) \[line (\d+) column (\d+)\]", text)
    if found:
        return PLACE % found.groups()
    found = re.search(r"^(?:\S+ \[line \d+ column \d+\]: )?(\S+): Malformed YAML:.* at line (\d+) column (\d+)", text, re.S)
    # A second document is noticed where it ends, which is not where anything is wrong.
    if found and "DocumentEndEvent" not in text:
        return PLACE % (found.group(1), int(found.group(2)) + 1, found.group(3))
    return ""


def fail(directory, run):
    """Writes what BuildStream answers to the run of a case whose project is in the directory: beside it, as JSON."""
    request = parse_request("")
    words = run["command"].split()[1:]  # behind "show"
    while words:
        word = words.pop(0)
        if word == "--option":
            request["option"].append((words.pop(0), words.pop(0)))
        else:
            request["targets"].append(word)
    try:
        with Context() as context:
            load(directory, request, context)
        answer, message = "success", "no error"
    except BstError as error:
        place = place_of(error).replace(directory, "DIR")
        if kebab(error.reason) == "conflicting-junction":
            place = ""  # the places are those of the projects, in the detail
        answer = ("error %s %s %s" % (kebab(error.domain), kebab(error.reason) or "-", place)).strip()
        message = "%s\n%s" % (error, error.detail or "")
    except BaseException as error:
        answer, message = "crash", repr(error)
    run["answer"], run["said"] = answer, message.replace(directory, "DIR").strip().split("\n")
    with open(directory + ".json", "w", encoding="utf-8") as file:
        json.dump(run, file)


def ask_broken(path):
    with open(path, encoding="utf-8") as file:
        cases = commands.parse(file.read())
    for case in cases:
        with tempfile.TemporaryDirectory() as top:
            directory = os.path.join(os.path.realpath(top), "project")
            for entry, content in case["files"]:
                commands.write_file(directory, entry, content)
            in_child(lambda: fail(directory, case["runs"][0]))
            with open(directory + ".json", encoding="utf-8") as file:
                case["runs"] = [json.load(file)]
    with open(path, "w", encoding="utf-8") as file:
        file.write(commands.render(cases))


root = os.path.abspath(sys.argv[1])
if __name__ == "__main__":
    for project in sorted(sys.argv[2:] or os.listdir(root)):
        directory = os.path.join(root, project)
        if not os.path.isdir(directory):
            continue
        if project == "broken":
            for file in sorted(os.listdir(directory)):
                ask_broken(os.path.join(directory, file))
            continue
        for file in sorted(os.listdir(directory)):
            if file.endswith(".request"):
                in_child(lambda: answer(directory, file[: -len(".request")]))
