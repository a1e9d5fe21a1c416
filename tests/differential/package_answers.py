#!/usr/bin/env python3
"""Sources of the kinds go_module, pypi and cpan: what BuildStream 2.8.1 and its plugins make of some eighty of them, and Sluice of the same.

    package_answers.py ask COMMAND          writes BuildStream's answers into ../golden/packages.json; COMMAND runs it
    package_answers.py check BIN_DIR        asks Sluice, prints each difference and, last, "packages compared=N differ=M"
    package_answers.py ask-old, check-old   the same of go_module before release 2.2, in ../golden/packages-old.json; of Sluice with the plugins
                                            in the directory that is named last, by whose text it knows that they are of that time

The elements are those of package_elements.py, their servers a real `git daemon`, a web server, and one that is the rest of the web. Per
element: key and state, what track writes into the .bst file, key and state then, where it says that it comes from, the staged tree with what
is the same in any .git, and at which step it fails. How an error is put is compared for those that are the plugin's own words.
"""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import package_elements  # noqa: E402
from git_answers import Asked, folded, look, read, shown_difference, unfolded  # noqa: E402
from git_servers import GitDaemon  # noqa: E402
from index_servers import SecureWeb, Web  # noqa: E402
from source_answers import answers  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/packages%s.json")
# The plugins' own words.
WORDS = re.compile(r"No matching refs|No matching release found|Cannot find any tracking for \S+|version string \S+ not recognized|\"\S+\" not found in .*|Failed to find \S+ from .*")
# Where Sluice does other than the plugin: what becomes of these isn't compared.
BETTER = {"go-t-missing": "the file is named in which the module isn't"}
# dulwich takes a mirror that is shallow for whole, after another element fetched less of it.
BETTER_OLD = ["go-r-far"]


def staged(_, directory):
    parts = {"staged": look(directory, True)}
    if os.path.exists(os.path.join(directory, "vendor/modules.txt")):
        parts["modules.txt"] = read(os.path.join(directory, "vendor/modules.txt")).splitlines()
    return parts


def is_tracked(state, _):
    return state.endswith("no reference")


def all_answers(program, directory, environment=None, old=False, plugins=None):
    made = package_elements.repositories(os.path.join(directory, "repositories"))
    names = sorted(package_elements.elements(made, old))
    write = lambda project, url, _: package_elements.write(project, url, web.url, made, plugins and "origin: local\n  path: plugins", old)
    with GitDaemon(os.path.join(directory, "repositories")) as git, Web(package_elements.pages()) as web, \
            SecureWeb(package_elements.secure_pages(), os.path.join(directory, "secure")) as secure:
        asked = Asked(program, directory, git.url, made, dict(environment or {}, **secure.environment), write)
        if plugins:
            shutil.copytree(plugins, os.path.join(asked.project, "plugins"))
        return json.loads(json.dumps(answers(asked, names, WORDS, is_tracked, staged, whole=False)).replace(web.url, "WEB/"))


def differences(expected, found, old=False):
    wrong, count = [], 0
    for name in sorted(set(expected) | set(found)):
        for part in sorted(set(expected.get(name, {})) | set(found.get(name, {}))):
            if (name in BETTER or old and name in BETTER_OLD) and part not in ("show", "info"):
                continue
            count += 1
            one, other = (told.get(name, {}).get(part) for told in (expected, found))
            if part == "tracked" and name.startswith("go-") and one and other:
                # What is fetched after one was tracked that names a commit alone isn't the same: their mirror is one.
                one, other = (told.split(" ", 1)[0] for told in (one, other))
            if one != other:
                wrong.append((name, part, one, other))
    return wrong, count


def check(programs, directory, environment=None, old=False, plugins=None):
    """(differences, how many parts were compared)"""
    os.makedirs(directory, exist_ok=True)
    found = all_answers([os.path.join(programs, "sluice")], directory, environment, old, plugins)
    with open(GOLDEN % ("-old" if old else ""), encoding="utf-8") as file:
        return differences(unfolded(json.load(file)), found, old)


def main(verb, operand, plugins=None):
    old = verb.endswith("-old")
    with tempfile.TemporaryDirectory() as directory:
        if verb.startswith("ask"):
            result = all_answers(shlex.split(operand), directory, old=old)
            with open(GOLDEN % ("-old" if old else ""), "w", encoding="utf-8") as file:
                json.dump(folded(result), file, indent=1, ensure_ascii=False)
                file.write("\n")
            return 0
        places = {"XDG_%s_HOME" % kind: os.path.join(directory, kind) for kind in ("STATE", "CACHE", "RUNTIME")}
        wrong, count = check(os.path.abspath(operand), directory, places, old, plugins)
    for name, part, expected, found in wrong:
        print("\n".join(["%s: %s" % (name, part)] + shown_difference(expected, found)))
    print("packages compared=%d differ=%d" % (count, len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
