"""What becomes of elements by `show`, `source track`, `source fetch` and a checkout of their sources, for the tests that compare a
collection of sources with what BuildStream made of it (archive_answers.py, package_answers.py)."""

import json
import os

from git_answers import read, written


def failure(lines, words):
    """What of an element's errors is compared: that there are some, and the plugin's own words."""
    found = [match.group(0) for line in lines for match in [words.search(line)] if match]
    failed = any(line.startswith(("FAILURE", "crash")) for line in lines)
    return (["fails"] if failed else []) + sorted(set(found))


def answers(asked, names, words, is_tracked, look, whole):
    """{element: what became of it}

    is_tracked(state that `show` tells, text of the element) says which are tracked; look(name, directory) gives what is told of what
    an element staged, as parts. With `whole`, what track writes and where it comes from is told of every element; else the
    first of those that are tracked, and the second of those that have a ref."""
    result = {name: {"show": state} for name, state in asked.show(names).items()}
    before = {name: read(asked.file(name)) for name in names}
    _, _, err = asked.run("source", "track", *[name + ".bst" for name in names if is_tracked(result[name]["show"], before[name])])
    told = asked.told(err)
    for name in names:
        if is_tracked(result[name]["show"], before[name]) or whole:
            result[name]["track"] = failure(told.get(name, []), words) + written(before[name], read(asked.file(name)))
    shown = asked.show(names)
    have_ref = [name for name in names if not shown[name].endswith(("no reference", "crash"))]
    for name in names:
        result[name]["tracked"] = shown[name]
    informed = names if whole else have_ref
    status, out, err = asked.run("show", "--deps", "none", "--format", "= %{name}\n%{source-info}", *[name + ".bst" for name in informed])
    if status != 0:
        raise RuntimeError("show fails:\n" + err)
    for text in out.split("= ")[1:]:
        name, _, info = text.partition(".bst\n")
        result[name]["info"] = info.splitlines()
    _, _, err = asked.run("source", "fetch", *[name + ".bst" for name in have_ref])
    told = asked.told(err)
    for name in have_ref:
        result[name]["fetch"] = failure(told.get(name, []), words)
    staged = [name for name in have_ref if not result[name]["fetch"]]
    with open(asked.file("all-that-is-here"), "w", encoding="utf-8") as file:
        file.write("kind: stack\ndepends:\n" + "".join("- %s.bst\n" % name for name in staged))
    top = os.path.join(asked.state, "out")
    status, _, err = asked.run("source", "checkout", "--deps", "build", "--directory", top, "all-that-is-here.bst")
    if status != 0:
        raise RuntimeError("source checkout fails:\n" + err)
    for name in staged:
        result[name].update(look(name, os.path.join(top, name)))
    return json.loads(asked.nameless(json.dumps(result)))
