#!/usr/bin/env python3
"""Writes what BuildStream says of the golden projects. See README.md."""

import os
import re
import sys
import traceback

from buildstream import _yaml
from buildstream._context import Context
from buildstream._exceptions import BstError
from buildstream._message import MessageType
from buildstream._pipeline import dependencies, except_elements, get_selection
from buildstream._project import Project
from buildstream.types import _KeyStrength, _PipelineSelection, _Scope


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
    name = element._get_full_name()
    if name in request["keyless"]:
        lines[1:] = ["full-key: " + "?" * 64, "weak-key: None", "strict-key: None"]
    elif name in request["strictless"]:
        lines[1], lines[3] = "full-key: " + "?" * 64, "strict-key: None"
    if any(element.sources()):
        foreign = [s.get_kind() in request["foreign"] for s in element.sources()]
        lines.append("sources-key: %s" % (None if any(foreign) else sources.get_cache_key()))
        keys = [None if is_foreign else s._key for s, is_foreign in zip(element.sources(), foreign)]
        lines += ["source-key: %s %s" % (s.get_kind(), key) for s, key in zip(element.sources(), keys)]
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


# What depends on Python that isn't run: all keys of elements, their strict keys, kinds of sources.
UNKNOWN = ("keyless", "strictless", "foreign")


def read_request(path):
    request = {"targets": [], "deps": "all", "except": [], "option": [], "strict": "", "show": "", "touch": []}
    request.update({key: [] for key in UNKNOWN})
    if not os.path.exists(path):
        request["targets"] = ["target.bst"]
        return request
    with open(path, encoding="utf-8") as file:
        for line in file:
            key, value = line.strip().split(":", 1)
            if key == "option":
                request[key].append(tuple(value.split()))
            elif key in ("targets", "except", "touch") + UNKNOWN:
                request[key] += value.split()
            else:
                request[key] = value.strip()
    return request


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


def place_of(error):
    text = "%s\n%s" % (error, error.detail or "")
    # libyaml counts columns from 1 in what it says itself, and the last place is the error's.
    found = re.search(r"(\S+): Severely malformed YAML:.*line (\d+), column (\d+)", text, re.S)
    if found:
        return "%s %s %d" % (found.group(1), found.group(2), int(found.group(3)) - 1)
    found = re.search(r"(?:^|: | at |\s)(\S+) \[line (\d+) column (\d+)\]", text)
    if found:
        return "%s %s %s" % found.groups()
    found = re.search(r"^(?:\S+ \[line \d+ column \d+\]: )?(\S+): Malformed YAML:.* at line (\d+) column (\d+)", text, re.S)
    # A second document is noticed where it ends, which is not where anything is wrong.
    if found and "DocumentEndEvent" not in text:
        return "%s %d %s" % (found.group(1), int(found.group(2)) + 1, found.group(3))
    return "-"


def fail(directory):
    request = read_request(os.path.join(directory, "request"))
    try:
        with Context() as context:
            load(directory, request, context)
        domain, reason, place, message = "none", "", "-", "no error"
    except BstError as error:
        domain, reason, place = kebab(error.domain), kebab(error.reason) or "", place_of(error).replace(directory, "DIR")
        if reason == "conflicting-junction":
            place = "-"  # the places are those of the projects, in the detail
        message = "%s\n%s" % (error, error.detail or "")
    except BaseException as error:
        domain, reason, place, message = "crash", "", "-", repr(error)
    with open(os.path.join(directory, "expected.txt"), "w", encoding="utf-8") as file:
        file.write("domain: %s\nreason: %s\nplace: %s\n\n" % (domain, reason, place))
        file.write(message.replace(directory, "DIR").strip() + "\n")


root = os.path.abspath(sys.argv[1])
if __name__ == "__main__":
    for project in sorted(sys.argv[2:] or os.listdir(root)):
        directory = os.path.join(root, project)
        if not os.path.isdir(directory):
            continue
        if project == "broken":
            for case in sorted(os.listdir(directory)):
                if case.startswith("."):
                    continue
                in_child(lambda: fail(os.path.join(directory, case)))
            continue
        for file in sorted(os.listdir(directory)):
            if file.endswith(".request"):
                in_child(lambda: answer(directory, file[: -len(".request")]))
