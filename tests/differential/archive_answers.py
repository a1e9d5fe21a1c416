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
from git_answers import Asked, listing, shown_difference  # noqa: E402
from registry import DockerRegistry  # noqa: E402
from source_answers import answers  # noqa: E402

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


def staged(_, directory):
    return {"staged": listing(directory)}


def is_tracked(_, text):
    return "\n  ref: " not in text


def all_answers(program, directory, environment=None):
    os.makedirs(directory, exist_ok=True)
    with DockerRegistry(directory) as registry:
        refs = archive_elements.push(registry)
        place = os.path.join(directory, "web")
        asked = Asked(program, directory, registry.url[:-1], {}, environment, lambda project, url, _: archive_elements.write(project, url, place, refs))
        return json.loads(json.dumps(answers(asked, sorted(archive_elements.elements(refs)), WORDS, is_tracked, staged, whole=True)).replace(place, "WEB"))


def differences(expected, found):
    wrong, count = [], 0
    for name in sorted(set(expected) | set(found)):
        for part in sorted(set(expected.get(name, {})) | set(found.get(name, {}))):
            if name in BETTER and part in ("fetch", "staged"):
                continue
            count += 1
            one, other = expected.get(name, {}).get(part), found.get(name, {}).get(part)
            if one != other:
                wrong.append((name, part, one, other))
    return wrong, count


def check(programs, directory, environment=None):
    """(differences, how many parts were compared)"""
    found = all_answers([os.path.join(programs, "sluice")], directory, environment)
    with open(GOLDEN, encoding="utf-8") as file:
        return differences(json.load(file), found)


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
