#!/usr/bin/env python3
"""Sources of the kinds git, git_repo, git_tag and git_module: what BuildStream 2.8.1 makes of some sixty repositories, and
Sluice of the same.

    git_answers.py ask COMMAND          writes BuildStream's answers into ../golden/git; COMMAND runs it
    git_answers.py check BIN_DIR        asks Sluice, prints each difference and, last, "git compared=N differ=M"

The repositories are those of git_repositories.py, served by a real `git daemon`, the elements those of
git_elements.py. Per element: key and state before and after track, what track writes into the .bst file, the
staged tree, what can be compared of a staged .git and of a workspace's, and warnings and errors. In them SERVER is the
daemon's URL and DIR the project's directory. A golden file holds the elements of one repository.

An element at which BuildStream itself fails ("crash") may become what it will with Sluice, in order.
BuildStream runs dulwich 0.24.10 for git_repo, the newest that the community's plugin works with. git_tag and git_module are those of
bst-plugins-experimental, with `submodules` among the keys of git_tag as its own text tells of it.

Those two stage a clone of their mirror, which has as much as was ever fetched into it: their mirrors go after tracking, and of a
.git is told what the commit's own history has.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import git_elements  # noqa: E402
import git_repositories  # noqa: E402
from git_repositories import git  # noqa: E402
from git_servers import GitDaemon  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/git")
FORMAT = "%{name} %{full-key} %{state}"
# Lines of a listing that are told; a longer one is told by its digest.
LONGEST = 48
LINE = re.compile(r"^\[[^\]]*\]\[[^\]]*\]\[ *([a-z]+):(\S+) *\] (WARNING|FAILURE|ERROR|BUG|SKIPPED) (.*)$")
# What is said by a program or a library of either is theirs, and some errors don't say which source it is.
SOURCE = re.compile(r"git(_repo|_tag|_module)? source at \S+ \[line \d+ column \d+\]: ")
OTHERS_WORDS = re.compile(r"(failed to fetch:).*")
# A nested activity that ends in failure repeats what failed it; a list of commits is left over in the plugin; URLs without
# an alias are spoken of by whichever element is the first to fetch a submodule.
NO_ERROR = re.compile(r"^(Fetching|Tracking|Staging|Setting up|refs [^ ]*\.\.|\[unaliased-url\])")
# What git or a version of it puts into every new repository.
TEMPLATE = {"hooks", "info", "description", "branches", "logs", "packed-refs", "COMMIT_EDITMSG", "ORIG_HEAD", "gc.log"}


# ---- what is in a directory


def entry(path):
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return "link %s -> %s" % ("%s", os.readlink(path))
    with open(path, "rb") as file:
        return "%s %s %s" % ("755" if mode & 0o100 else "644", hashlib.sha256(file.read()).hexdigest()[:16], "%s")


def listing(top):
    """Files, links and empty folders below `top`, but for .git and what a workspace adds."""
    lines = []
    for directory, folders, files in os.walk(os.fsencode(top)):
        if b".git" in folders:
            folders.remove(b".git")
        links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        for name in files + links:
            path = os.path.join(directory, name)
            shown = os.path.relpath(path, os.fsencode(top)).decode("utf-8", "backslashreplace")
            if shown != ".bstproject.yaml":
                lines.append(os.fsdecode(entry(path)).encode("utf-8", "backslashreplace").decode().replace("%s", shown))
        if not folders and not files and directory != os.fsencode(top):
            lines.append("folder " + os.path.relpath(directory, os.fsencode(top)).decode("utf-8", "backslashreplace"))
    return short(sorted(lines, key=lambda line: line.split(" ", 1)[1]))


def short(lines):
    if len(lines) <= LONGEST:
        return lines
    return ["%d lines, sha256 %s" % (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())]


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def said(top, *arguments):
    # The working tree's time stamps may be younger than the index says: status looks at the files then.
    return git(top, *arguments, check=False).decode("utf-8", "backslashreplace").splitlines()


def dot_git(top, objects):
    """What of `top`/.git is the same wherever and whenever it was made."""
    at = os.path.join(top, ".git")
    config = sorted(line for line in said(top, "config", "--file", os.path.join(at, "config"), "--list") if not line.startswith("branch."))
    status = [line for line in said(top, "status", "--porcelain") if ".bstproject.yaml" not in line]
    result = {
        "holds": sorted(name for name in os.listdir(at) if name not in TEMPLATE),
        "HEAD": read(os.path.join(at, "HEAD")).strip(),
        "config": config,
        "refs": said(top, "for-each-ref", "--format=%(refname) %(objectname)"),
        "shallow": short(sorted(read(os.path.join(at, "shallow")).split())),
        "describe": said(top, "describe", "--tags", "--always", "--long", "--abbrev=40"),
        "log": short(said(top, "log", "--format=%H")),
        "status": short(sorted(status)),
        "index": short(said(top, "ls-files", "--stage")),
    }
    if objects:
        result["objects"] = short(sorted(said(top, "cat-file", "--batch-all-objects", "--batch-check")))
    return {name: value for name, value in result.items() if value}


def clone(top):
    """What the history of HEAD has in a clone, whatever else its mirror had."""
    result = dot_git(top, False)
    result["config"] = [line for line in result["config"] if not line.startswith("remote.")]
    tags = said(top, "for-each-ref", "--merged=HEAD", "--format=%(refname) %(objectname)", "refs/tags")
    result["refs"] = tags
    # git writes the end of a history twice.
    result["shallow"] = sorted(set(result.get("shallow", [])))
    ids = sorted(line.split()[0] for line in said(top, "rev-list", "--objects", "HEAD", *[tag.split()[0] for tag in tags]))
    result["objects"] = short(git(top, "cat-file", "--batch-check", data="\n".join(ids).encode()).decode().splitlines())
    return {name: value for name, value in result.items() if value}


def repositories_in(top):
    for directory, folders, _ in os.walk(top):
        if ".git" in folders:
            folders.remove(".git")
            yield directory


def look(top, objects):
    """`objects`: with those in each .git, and of clones what their history has."""
    seen = {"tree": listing(top)}
    for repository in sorted(repositories_in(top)):
        cloned = objects and said(repository, "config", "--local", "remote.origin.fetch")
        seen["git " + os.path.relpath(repository, top)] = clone(repository) if cloned else dot_git(repository, objects)
    return seen


# ---- a program and its project


class Asked:
    """The project in a directory, and a program that is asked about it."""

    def __init__(self, program, directory, url, made, environment=None, write=git_elements.write):
        self.program = program
        self.environment = dict(os.environ, **(environment or {}))
        self.project = os.path.join(directory, "project")
        self.state = os.path.join(directory, "state")
        self.url = url
        self.made = made
        write(self.project, url, made)
        os.makedirs(self.state)
        self.config = os.path.join(self.state, "buildstream.conf")
        # BuildStream gives relative URLs to git as they are, which takes them from the mirror in which it works.
        os.makedirs(os.path.join(self.state, "sources/git"))
        for repository in made.values():
            os.symlink(repository.directory, os.path.join(self.state, "sources/git", repository.name))
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump({"cachedir": os.path.join(self.state, "cache"), "sourcedir": os.path.join(self.state, "sources"), "logdir": os.path.join(self.state, "logs"),
                       "workspacedir": os.path.join(self.state, "workspaces"), "logging": {"error-lines": 0, "message-lines": 200, "debug": False},
                       "scheduler": {"network-retries": 0}}, file)

    def run(self, *arguments):
        done = subprocess.run(self.program + ["--no-colors", "--no-interactive", "--on-error", "continue", "--config", self.config] + list(arguments), cwd=self.project,
                              env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=1800)
        return done.returncode, done.stdout.decode(), done.stderr.decode("utf-8", "replace")

    def nameless(self, text):
        return text.replace(self.url, "SERVER/").replace(self.project, "DIR").replace(self.state, "STATE")

    def told(self, stderr):
        """{element: [lines]}: warnings and errors, with their details."""
        result, detail = {}, None
        for line in stderr.split("\n"):
            found = LINE.match(line)
            if found:
                detail = None
                action, element, level, text = found.groups()
                name = element[:-4] if element.endswith(".bst") else element
                if NO_ERROR.match(text):
                    continue
                # A BUG is a failure in a plugin itself, whose words aren't compared.
                if level == "BUG":
                    result[name] = ["crash"]
                elif result.get(name) != ["crash"]:
                    detail = result.setdefault(name, [])
                    if level == "FAILURE":
                        text = OTHERS_WORDS.sub(r"\1", SOURCE.sub("", text))
                    text = self.nameless(level + " " + text)
                    known = text in detail
                    if not known:
                        detail.append(text)
                    # What follows a failure is what git said, in Sluice's words or in none.
                    if known or level == "FAILURE":
                        detail = None
            elif line.startswith(("Failure Summary", "Pipeline Summary", "Resolved key Summary")):
                break
            elif detail is not None and line.startswith("    ") and "Printing the last" not in line:
                detail.append(self.nameless(line))
            elif line.strip():
                detail = None
        return result

    def show(self, names):
        """{element: key and state}; "crash" where the state of one makes all fail."""
        result, names = {}, list(names)
        while True:
            status, out, err = self.run("show", "--deps", "none", "--format", FORMAT, *[name + ".bst" for name in names])
            if status == 0:
                return dict(result, **{line.split(".bst ")[0]: line.split(".bst ")[1] for line in out.splitlines()})
            at = re.search(r"^(?:\S+ \[line \d+ column \d+\]: )?Failed to determine state for (\S+)\.bst", err, re.MULTILINE)
            if at is None or at.group(1) not in names:
                raise RuntimeError("show fails:\n" + err)
            names.remove(at.group(1))
            result[at.group(1)] = "crash"

    def workspace(self, name):
        return os.path.join(self.state, "workspaces", name)

    def file(self, name):
        return os.path.join(self.project, "elements", name + ".bst")


def written(before, after):
    """The lines that track added; those of tags in order of name, for BuildStream has them in any."""
    before = before.splitlines()
    added = [line for line in after.splitlines() if line not in before]
    if "  tags:" in added:
        at = added.index("  tags:") + 1
        tags = sorted(added[n:n + 3] for n in range(at, len(added), 3))
        added[at:] = [" ".join(line.strip() for line in tag) for tag in tags]
    return added


def answers(asked):
    """{element: what became of it}"""
    names = sorted(git_elements.elements(asked.made))
    result = {name: {"show": state} for name, state in asked.show(names).items()}

    before = {name: read(asked.file(name)) for name in names}
    tracked = [name for name in names if before[name].count("\n  ref: ") < before[name].count("\n- kind: ")]
    _, _, err = asked.run("source", "track", *[name + ".bst" for name in tracked])
    told = asked.told(err)
    for name in tracked:
        result[name]["track"] = told.get(name, []) + written(before[name], read(asked.file(name)))
    for kind in ("git_tag", "git_module"):
        shutil.rmtree(os.path.join(asked.state, "sources", kind), ignore_errors=True)

    shown = asked.show(names)
    have_ref = [name for name in names if not shown[name].endswith(("no reference", "crash"))]
    _, _, err = asked.run("source", "fetch", *[name + ".bst" for name in have_ref])
    told = asked.told(err)
    for name in names:
        result[name]["tracked"] = shown[name]
    for name in have_ref:
        result[name]["fetch"] = told.get(name, [])
    shown = asked.show(have_ref)
    # What can't be staged, of which some say all the same that they are fetched, would end the checkout of all.
    failed = [name for name, lines in told.items() if any(line.startswith(("FAILURE", "crash")) for line in lines)]
    fetched = [name for name in have_ref if not shown[name].endswith(("fetch needed", "crash")) and name not in failed]
    for name in have_ref:
        result[name]["fetched"] = shown[name].split(" ", 1)[-1]

    with open(asked.file("all-that-is-here"), "w", encoding="utf-8") as file:
        file.write("kind: stack\ndepends:\n" + "".join("- %s.bst\n" % name for name in fetched))
    top = os.path.join(asked.state, "out")
    status, _, err = asked.run("source", "checkout", "--deps", "build", "--directory", top, "all-that-is-here.bst")
    if status != 0:
        raise RuntimeError("source checkout fails:\n" + err)
    # A look is a dozen commands of git; most of its time one waits for the next.
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for name, seen in zip(fetched, pool.map(lambda name: look(os.path.join(top, name), True), fetched)):
            result[name]["staged"] = seen
    shutil.rmtree(top)

    opened = [name for name in fetched if name.startswith(("g-", "r-", "git-", "repo-", "tag-", "module-")) and "-track-" not in name]
    open_workspaces(asked, opened)
    opened = [name for name in opened if os.path.isdir(asked.workspace(name)) and os.listdir(asked.workspace(name))]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        looks = pool.map(lambda name: look(asked.workspace(name), name.startswith(("r-", "repo-"))), opened)
        for name, seen in zip(opened, looks):
            result[name]["workspace"] = seen
    return json.loads(asked.nameless(json.dumps(result)))


def junctions(asked):
    """{"junction KIND": what became of it}: tracked, then fetched by what first needs its elements."""
    result = {}
    for kind in ("git", "git_repo"):
        seen = result["junction " + kind] = {}
        before = read(asked.file(kind))
        _, _, err = asked.run("source", "track", kind + ".bst")
        seen["track"] = asked.told(err).get(kind, []) + written(before, read(asked.file(kind)))
        _, out, _ = asked.run("show", "--deps", "all", "--format", FORMAT, "of-%s.bst" % kind)
        seen["show"] = out.splitlines()
        top = os.path.join(asked.state, "out-" + kind)
        asked.run("source", "checkout", "--deps", "none", "--directory", top, kind + ".bst:hello.bst")
        seen["staged"] = {"tree": listing(top)}
    return json.loads(asked.nameless(json.dumps(result)))


def all_answers(program, directory, url, made, environment=None):
    within = Asked(program, os.path.join(directory, "junctions"), url, made, environment, git_elements.write_junctions)
    return dict(answers(Asked(program, directory, url, made, environment)), **junctions(within))


def open_workspaces(asked, names):
    """One command for all, and where BuildStream itself fails at one, which ends it, another for those after it."""
    while names:
        status, _, err = asked.run("workspace", "open", *[name + ".bst" for name in names])
        if status == 0:
            return
        at = [name for name in re.findall(r"(?:\[ *main:|^)(\S+)\.bst ", err, re.MULTILINE) if name in names]
        if not at:
            raise RuntimeError("workspace open fails:\n" + err)
        names = [name for name in names if name != at[-1] and not os.path.isdir(asked.workspace(name))]


# ---- golden files


def folded(elements):
    """The same, where a part that equals that of an earlier element is "= ELEMENT PART"."""
    seen, result = {}, {}
    for name in sorted(elements):
        result[name] = {}
        for part, value in elements[name].items():
            if not isinstance(value, dict):
                result[name][part] = value
                continue
            result[name][part] = {}
            for key, inner in value.items():
                text = json.dumps(inner)
                result[name][part][key] = seen[text] if text in seen and len(text) > 80 else inner
                seen.setdefault(text, "= %s: %s %s" % (name, part, key))
    return result


def unfolded(elements):
    for element in elements.values():
        for part in element.values():
            for key, inner in part.items() if isinstance(part, dict) else ():
                if isinstance(inner, str) and inner.startswith("= "):
                    name, _, rest = inner[2:].partition(": ")
                    of, _, what = rest.partition(" ")
                    part[key] = elements[name][of][what]
    return elements


def write_golden(made, result):
    shutil.rmtree(GOLDEN, ignore_errors=True)
    os.makedirs(GOLDEN)
    of = {}
    elements = git_elements.elements(made)
    for name in result:
        of.setdefault(elements[name][0] if name in elements else "subproject", {})[name] = result[name]
    for repository, elements in of.items():
        with open(os.path.join(GOLDEN, repository + ".json"), "w", encoding="utf-8") as file:
            json.dump(folded(elements), file, indent=1, ensure_ascii=False)
            file.write("\n")


def read_golden():
    result = {}
    for name in sorted(os.listdir(GOLDEN)):
        if name.endswith(".json"):
            with open(os.path.join(GOLDEN, name), encoding="utf-8") as file:
                result.update(unfolded(json.load(file)))
    return result


# ---- what differs


# Where BuildStream fails and Sluice needn't.
BETTER = {
    "git-stray": "a commit that is on no branch is asked for by its id",
    "gd-light-tip": "a tag of the very commit is staged where the ref has its name",
    "git-track-light-tag": "the same",
}
BETTER.update({
    "tag-stray": BETTER["git-stray"],
    "module-track-folder": "a folder that has a submodule is none",
    "tag-track-tree": "a tree is no commit",
})
# Parts of elements in which what BuildStream does doesn't work either.
BETTER_PARTS = {
    (re.compile("gd?-absent-repository"), "fetch"): "a relative URL of a submodule is below the repository's",
    (re.compile("repo-no-(repository|such-commit)"), "fetch"): "what failed is said",
    (re.compile("rs?-lfs"), "staged"): "dulwich leaves an empty folder of a program that isn't there",
    (re.compile("rs?-lfs"), "workspace"): "the same",
    (re.compile("module-track-outside"), "track"): "the path itself is refused",
    (re.compile("r-(merges|two-roots)"), "workspace"): "a workspace has as much of the history as is in the mirror, and that depends on what was fetched before",
}


def with_head(expected, found):
    """What was found, without the ref's own commit in .git where BuildStream leaves that out: it does for a ref in the words of
    `git describe` whose tag is of that very commit, and then HEAD is a commit that isn't there."""
    git = expected.get("git .") if isinstance(expected, dict) else None
    if not git or "describe" in git and git["describe"] or not isinstance(found, dict) or "git ." not in found:
        return found
    head = git.get("HEAD", "")
    ours = dict(found["git ."])
    for part in ("describe", "log"):
        if part in git:
            ours[part] = git[part]
        else:
            ours.pop(part, None)
    for part in ("objects", "shallow"):
        if part in ours:
            left = [line for line in ours[part] if not line.startswith(head)]
            ours[part] = left
            if not left and part not in git:
                del ours[part]
    return dict(found, **{"git .": ours})


def parts_of(element):
    """What is compared of one, key apart from state; a relative URL of a submodule is told as what it stands for."""
    parts = {}
    for part, value in element.items():
        if part in ("show", "tracked") and " " in value:
            parts[part + " key"], parts[part + " state"] = value.split(" ", 1)
        elif part in ("track", "fetch"):
            parts[part] = [line.replace("'../", "'up:") for line in value]
        else:
            parts[part] = value
    return parts


def differences(expected, found):
    """(element, part, expected, found) of each that differs, and how many parts there are."""
    wrong, count = [], 0
    for name, element in sorted(expected.items()):
        crashed = "crash" in element.get("track", [""])[:1] + element.get("fetch", [""])[:1] + [element.get("fetched"), element.get("tracked")]
        if crashed or name in BETTER:
            continue
        parts, ours = parts_of(element), parts_of(found.get(name, {}))
        # BuildStream opens no workspace of some.
        ours = {part: value for part, value in ours.items() if part in parts or part != "workspace"}
        for part in sorted(set(parts) | set(ours)):
            if any(pattern.fullmatch(name) and part == better for pattern, better in BETTER_PARTS):
                continue
            count += part in parts
            if parts.get(part) != (with_head(parts.get(part), ours.get(part)) if part == "staged" else ours.get(part)):
                wrong.append((name, part, parts.get(part), ours.get(part)))
    return wrong, count


def shown_difference(expected, found):
    if isinstance(expected, dict) and isinstance(found, dict):
        lines = []
        for key in sorted(set(expected) | set(found)):
            if expected.get(key) != found.get(key):
                lines += ["  %s:" % key] + ["  " + line for line in shown_difference(expected.get(key), found.get(key))]
        return lines
    as_lines = lambda value: value if isinstance(value, list) else [json.dumps(value)] if value is not None else []
    expected, found = ([line if isinstance(line, str) else json.dumps(line) for line in as_lines(value)] for value in (expected, found))
    return ["  - " + line for line in expected if line not in found] + ["  + " + line for line in found if line not in expected] or ["  another order"]


def ask(command, directory):
    made = git_repositories.build(os.path.join(directory, "repositories"))
    with GitDaemon(os.path.join(directory, "repositories")) as server:
        write_golden(made, all_answers(shlex.split(command), directory, server.url, made))


def check(programs, directory, environment=None):
    """(differences, how many parts were compared)"""
    made = git_repositories.build(os.path.join(directory, "repositories"))
    with GitDaemon(os.path.join(directory, "repositories")) as server:
        return differences(read_golden(), all_answers([os.path.join(programs, "sluice")], directory, server.url, made, environment))


def main(verb, operand):
    with tempfile.TemporaryDirectory() as directory:
        if verb == "ask":
            ask(operand, directory)
            return 0
        places = {"XDG_%s_HOME" % kind: os.path.join(directory, kind) for kind in ("STATE", "CACHE", "RUNTIME")}
        wrong, count = check(os.path.abspath(operand), directory, places)
    for name, part, expected, found in wrong:
        print("\n".join(["%s: %s" % (name, part)] + shown_difference(expected, found)))
    print("git compared=%d differ=%d" % (count, len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
