#!/usr/bin/env python3
"""Sources of the kinds docker and zip: what BuildStream 2.8.1 and its plugins make of some hundred of them, and Sluice of the same.

    archive_answers.py ask COMMAND          writes BuildStream's answers into ../golden/archives.json; COMMAND runs it
    archive_answers.py check BIN_DIR        asks Sluice, prints each difference and, last, "archives compared=N differ=M"

The images are those of archive_elements.py, in a real docker-registry. Per element: its key and state, what track writes
into the .bst file, its key then, where it says that it comes from, the staged tree, and at which step it fails. How an error
is put is compared for those that are the plugin's own words.
"""

import json
import os
import re
import shlex
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import archive_elements  # noqa: E402
from git_answers import Asked, listing, read, shown_difference, written  # noqa: E402
from registry import DockerRegistry  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/archives.json")
# The plugins' own words.
WORDS = re.compile(r"Could not find base directory matching pattern: .*|Destination is a [a-z ]+, not a directory: .*|No images found for architecture .*|Unsupported layer type: .*"
                   r"|Requested image sha256:\w+, got manifest with digest sha256:\w+")
# Where Sluice does other than the plugin: what becomes of these isn't compared.
BETTER = {
    "docker-list-ref": "says which image was asked for, and doesn't name the one that was chosen",
    "docker-index-ref": "the same",
    "docker-hard-to-link": "a link, as with Python before 3.14.10; since then a file of its target's content, of this machine's where that leads out",
    "zip-backslash": "a name of a zip archive without a slash has backslashes for slashes",
    "zip-backslash-whole": "the same",
    "zip-device": "libarchive has no content of what says it is a device: an error",
    "zip-device-whole": "the same",
}


def failure(lines):
    """What of an element's errors is compared: that there are some, and the plugin's own words."""
    if not any(line.startswith(("FAILURE", "crash")) for line in lines):
        return []
    found = [match.group(0) for line in lines for match in [WORDS.search(line)] if match]
    return ["fails"] + sorted(set(found))


def answers(asked, refs):
    """{element: what became of it}"""
    names = sorted(archive_elements.elements(refs))
    result = {name: {"show": state} for name, state in asked.show(names).items()}
    before = {name: read(asked.file(name)) for name in names}
    _, _, err = asked.run("source", "track", *[name + ".bst" for name in names if "\n  ref: " not in before[name]])
    told = asked.told(err)
    for name in names:
        result[name]["track"] = failure(told.get(name, [])) + written(before[name], read(asked.file(name)))
    shown = asked.show(names)
    have_ref = [name for name in names if not shown[name].endswith(("no reference", "crash"))]
    for name in names:
        result[name]["tracked"] = shown[name]
    status, out, err = asked.run("show", "--deps", "none", "--format", "= %{name}\n%{source-info}", *[name + ".bst" for name in names])
    if status != 0:
        raise RuntimeError("show fails:\n" + err)
    for text in out.split("= ")[1:]:
        name, _, info = text.partition(".bst\n")
        result[name]["info"] = info.splitlines()
    _, _, err = asked.run("source", "fetch", *[name + ".bst" for name in have_ref])
    told = asked.told(err)
    for name in have_ref:
        result[name]["fetch"] = failure(told.get(name, []))
    staged = [name for name in have_ref if not result[name]["fetch"]]
    with open(asked.file("all-that-is-here"), "w", encoding="utf-8") as file:
        file.write("kind: stack\ndepends:\n" + "".join("- %s.bst\n" % name for name in staged))
    top = os.path.join(asked.state, "out")
    status, _, err = asked.run("source", "checkout", "--deps", "build", "--directory", top, "all-that-is-here.bst")
    if status != 0:
        raise RuntimeError("source checkout fails:\n" + err)
    for name in staged:
        result[name]["staged"] = listing(os.path.join(top, name))
    return json.loads(asked.nameless(json.dumps(result)))


def all_answers(program, directory, environment=None):
    os.makedirs(directory, exist_ok=True)
    with DockerRegistry(directory) as registry:
        refs = archive_elements.push(registry)
        place = os.path.join(directory, "web")
        asked = Asked(program, directory, registry.url[:-1], {}, environment, lambda project, url, _: archive_elements.write(project, url, place, refs))
        return json.loads(json.dumps(answers(asked, refs)).replace(place, "WEB"))


def check(programs, directory, environment=None):
    """(differences, how many parts were compared)"""
    found = all_answers([os.path.join(programs, "sluice")], directory, environment)
    wrong, count = [], 0
    with open(GOLDEN, encoding="utf-8") as file:
        expected = json.load(file)
    for name in sorted(set(expected) | set(found)):
        for part in sorted(set(expected.get(name, {})) | set(found.get(name, {}))):
            if name in BETTER and part in ("fetch", "staged"):
                continue
            count += 1
            one, other = expected.get(name, {}).get(part), found.get(name, {}).get(part)
            if one != other:
                wrong.append((name, part, one, other))
    return wrong, count


def main(verb, operand):
    with tempfile.TemporaryDirectory() as directory:
        if verb == "ask":
            result = all_answers(shlex.split(operand), directory)
            with open(GOLDEN, "w", encoding="utf-8") as file:
                json.dump(result, file, indent=1, ensure_ascii=False)
                file.write("\n")
            return 0
        places = {"XDG_%s_HOME" % kind: os.path.join(directory, kind) for kind in ("STATE", "CACHE", "RUNTIME")}
        wrong, count = check(os.path.abspath(operand), directory, places)
    for name, part, expected, found in wrong:
        print("\n".join(["%s: %s" % (name, part)] + shown_difference(expected, found)))
    print("archives compared=%d differ=%d" % (count, len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
