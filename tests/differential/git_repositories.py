"""Git repositories of many shapes, the same to the last bit on every machine.

    git_repositories.py DIR      makes them all in DIR, one bare repository each

`git fast-import` makes the commits, with dates that count up from a fixed one, so that ids don't
depend on clock, user, configuration or version of git. build(DIR) returns {name: Made}: the ids by
the labels that the functions below give. URLs of submodules use the alias `up` or are relative.
"""

import os
import subprocess
import sys

WHO = "Tess Tester <tess@example.org>"
START = 1700000000
STEP = 3600
ENVIRONMENT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
MANY = 20000


def git(directory, *arguments, data=None, check=True):
    """What git says on standard output, as bytes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", "-c", "safe.directory=*"] + list(arguments), cwd=directory, env=dict(environment, **ENVIRONMENT), input=data,
                          capture_output=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError("git %s: %s" % (" ".join(arguments), done.stderr.decode("utf-8", "replace")))
    return done.stdout


def executable(content):
    return ("100755", content)


def link(target):
    return ("120000", target)


def module(commit):
    return ("160000", commit)


def quoted(path):
    raw = os.fsencode(path)
    return b'"' + b"".join(b"\\%03o" % c if c < 0x20 or c >= 0x7F or c in b'"\\' else bytes([c]) for c in raw) + b'"'


class Made:
    """A repository that is there: its directory and its ids by label."""

    def __init__(self, name, directory, ids):
        self.name = name
        self.directory = directory
        self.ids = ids

    def __getitem__(self, label):
        return self.ids[label]


class Repository:
    """Collects a stream for fast-import. Commits and annotated tags have labels."""

    def __init__(self, name):
        self.name = name
        self.stream = []
        self.marks = {}
        self.tips = {}
        self.time = START
        self.head = "refs/heads/main"
        self.after = []
        self.config = []

    def mark(self, label):
        self.marks[label] = len(self.marks) + 1
        return b"mark :%d\n" % self.marks[label]

    def commit(self, label, files=None, branch="main", parents=None, delete=(), at=None):
        """files: {path: text, bytes, executable(), link() or module()}. parents: labels; else the branch's last."""
        self.time = self.time + STEP if at is None else at
        add = self.stream.append
        ref = branch if branch.startswith("refs/") else "refs/heads/" + branch
        if parents is None:
            parents = [self.tips[ref]] if ref in self.tips else []
        add(b"reset %s\n\n" % ref.encode() if not parents else b"")
        add(b"commit %s\n" % ref.encode() + self.mark(label))
        add(("author %s %d +0000\ncommitter %s %d +0000\n" % (WHO, self.time, WHO, self.time)).encode())
        # With its repository's name no two repositories have the same commit: git_repo's keys have no URL.
        self.data(("%s: %s\n" % (self.name, label)).encode())
        for word, parent in zip(["from"] + ["merge"] * len(parents), parents):
            add(b"%s :%d\n" % (word.encode(), self.marks[parent]))
        for path in delete:
            add(b"D " + quoted(path) + b"\n")
        for path, what in (files or {}).items():
            mode, content = what if isinstance(what, tuple) else ("100644", what)
            content = content.encode() if isinstance(content, str) else content
            if mode == "160000":
                add(b"M 160000 %s " % content + quoted(path) + b"\n")
            else:
                add(b"M %s inline " % mode.encode() + quoted(path) + b"\n")
                self.data(content)
        self.tips[ref] = label
        return self

    def data(self, content):
        self.stream.append(b"data %d\n" % len(content) + content + b"\n")

    def tag(self, name, label, annotated=True):
        """An annotated tag gets the label "tag NAME"."""
        if annotated:
            self.time += STEP
            self.stream.append(b"tag %s\n" % name.encode() + self.mark("tag " + name) + b"from :%d\n" % self.marks[label])
            self.stream.append(("tagger %s %d +0000\n" % (WHO, self.time)).encode())
            self.data(b"About " + name.encode() + b"\n")
        else:
            self.ref("refs/tags/" + name, label)
        return self

    def ref(self, name, label):
        self.stream.append(b"reset %s\nfrom :%d\n\n" % (name.encode(), self.marks[label]))
        return self

    def finish(self, top):
        directory = os.path.join(top, self.name)
        os.makedirs(directory)
        git(directory, "-c", "init.defaultBranch=main", "init", "-q", "--bare", "--template=", directory)
        for key, value in self.config:
            git(directory, "config", key, value)
        marks = os.path.join(directory, "marks")
        git(directory, "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--force", "--export-marks=" + marks, data=b"".join(self.stream))
        ids = {}
        if self.marks:
            with open(marks, encoding="ascii") as file:
                by_mark = dict(line.split() for line in file)
            ids = {label: by_mark[":%d" % number] for label, number in self.marks.items()}
        if os.path.exists(marks):
            os.unlink(marks)
        for step in self.after:
            ids.update(step(directory, ids) or {})
        head = ids.get(self.head, self.head)
        git(directory, "update-ref", "--no-deref", "HEAD", head) if head in ids.values() else git(directory, "symbolic-ref", "HEAD", head)
        return Made(self.name, directory, ids)


def history(repository, count, **more):
    for number in range(1, count + 1):
        repository.commit("c%d" % number, {"file": "line %d\n" % number, "dir/number": "%d\n" % number}, **more)
    return repository


def gitmodules(**modules):
    """NAME=(path, url)"""
    return "".join('[submodule "%s"]\n\tpath = %s\n\turl = %s\n' % (name, path, url) for name, (path, url) in modules.items())


# ---- the repositories, in the order in which they are made: those with submodules need others' ids


def plain():
    yield history(Repository("linear"), 5)
    yield history(Repository("single"), 1)

    branches = history(Repository("branches"), 2)
    branches.commit("feature", {"feature": "1\n"}, branch="feature/one", parents=["c2"])
    for number in ("1.0", "1.2", "1.10"):
        branches.commit("release " + number, {"release": number + "\n"}, branch="release-" + number, parents=["c1"])
    branches.commit("c3", {"file": "3\n"})
    yield branches

    slashes = history(Repository("slashes"), 3)
    slashes.ref("refs/heads/topic/a/b", "c2").ref("refs/merge-requests/7/head", "c1").ref("refs/heads/my-tags", "c2")
    yield slashes.tag("rel/2024/1.0", "c2").tag("rel/2024/1.1", "c3", annotated=False)

    yield history(Repository("annotated"), 4).tag("v1.0", "c1").tag("v1.1", "c2")
    yield history(Repository("lightweight"), 4).tag("v1.0", "c1", annotated=False).tag("v1.1", "c2", annotated=False)
    yield history(Repository("mixed-tags"), 6).tag("light-1", "c1", annotated=False).tag("v1", "c2").tag("light-2", "c4", annotated=False)
    yield history(Repository("tagged-tip"), 3).tag("v3.0", "c3")
    yield history(Repository("light-tip"), 3).tag("v3.0", "c3", annotated=False)
    yield history(Repository("same-commit-tags"), 4).tag("b-light", "c2", annotated=False).tag("a-noted", "c2").tag("c-noted", "c2")

    side = history(Repository("side-tags"), 2)
    side.commit("side", {"side": "s\n"}, branch="side", parents=["c1"]).tag("side-1", "side")
    yield side.commit("c3", {"file": "3\n"})

    merges = history(Repository("merges"), 2).tag("v1", "c1")
    merges.commit("left", {"left": "1\n"}, branch="left", parents=["c2"]).tag("left-1", "left")
    merges.commit("left 2", {"left": "2\n"}, branch="left")
    merges.commit("right", {"right": "1\n"}, parents=["c2"]).tag("right-1", "right", annotated=False)
    merges.commit("merge", {"left": "2\n"}, parents=["right", "left 2"])
    yield merges.commit("end", {"file": "end\n"})

    octopus = history(Repository("octopus"), 1).tag("root", "c1")
    for name in "abc":
        octopus.commit(name, {name: name + "\n"}, branch=name, parents=["c1"])
    octopus.tag("at-b", "b")
    yield octopus.commit("all", {name: name + "\n" for name in "abc"}, parents=["a", "b", "c"])

    skew = Repository("date-skew")
    skew.commit("c1", {"file": "1\n"}, at=START + 50000).tag("late", "c1")
    skew.commit("c2", {"file": "2\n"}, at=START + 10000).tag("early", "c2", annotated=False)
    skew.commit("other", {"other": "o\n"}, branch="other", parents=["c1"], at=START + 90000)
    skew.commit("merge", {"other": "o\n"}, parents=["c2", "other"], at=START + 20000)
    yield skew.commit("c3", {"file": "3\n"}, at=START + 5000)

    roots = history(Repository("two-roots"), 2)
    roots.commit("other root", {"other": "1\n"}, branch="other", parents=[]).tag("other-1", "other root")
    yield roots.commit("merge", {"other": "1\n"}, parents=["c2", "other root"])

    deep = Repository("deep")
    history(deep, 200).tag("v0", "c1").tag("v1", "c150").tag("v2", "c190", annotated=False)
    yield deep

    versions = history(Repository("versions"), 12)
    names = ("v1.2.3", "v1.9.0", "v1.10.0", "v2.0.0-rc1", "v2.0.0.alpha", "v2.0.0", "V3.0", "1.0", "nightly-20240101", "v1.10.0-bad", "v01.11", "v1.10")
    for number, name in enumerate(names, 1):
        versions.tag(name, "c%d" % number, annotated=number % 2 == 1)
    yield versions

    ambiguous = history(Repository("ambiguous"), 3)
    yield ambiguous.ref("refs/heads/both", "c1").tag("both", "c2")

    trunk = history(Repository("trunk"), 3, branch="trunk")
    trunk.head = "refs/heads/trunk"
    yield trunk

    detached = history(Repository("detached"), 3)
    detached.head = "c2"
    yield detached

    unborn = history(Repository("unborn-head"), 2)
    unborn.head = "refs/heads/nowhere"
    yield unborn

    yield Repository("empty-repository")

    nested = history(Repository("nested-tag"), 3).tag("inner", "c2")
    nested.after.append(lambda at, ids: nest_tag(at, ids["tag inner"], "outer"))
    yield nested

    trees = history(Repository("tag-of-tree"), 2)
    trees.after.append(lambda at, ids: git(at, "update-ref", "refs/tags/a-tree", git(at, "rev-parse", ids["c2"] + "^{tree}").decode().strip()) and None)
    trees.after.append(lambda at, ids: git(at, "update-ref", "refs/tags/a-blob", git(at, "rev-parse", ids["c2"] + ":file").decode().strip()) and None)
    yield trees

    for name, allowed in (("stray-commit", "true"), ("stray-refused", "false")):
        stray = history(Repository(name), 3)
        stray.commit("stray", {"stray": "s\n"}, branch="refs/heads/gone", parents=["c2"])
        stray.after.append(lambda at, ids: git(at, "update-ref", "-d", "refs/heads/gone") and None)
        stray.config = [("uploadpack.allowAnySHA1InWant", allowed)]
        yield stray

    rewound = history(Repository("rewound"), 3)
    yield rewound.ref("refs/heads/old", "c2").ref("refs/changes/01/1", "c3")


def nest_tag(directory, inner, name):
    text = "object %s\ntype tag\ntag %s\ntagger %s %d +0000\n\nA tag of a tag\n" % (inner, name, WHO, START)
    outer = git(directory, "mktag", data=text.encode()).decode().strip()
    git(directory, "update-ref", "refs/tags/" + name, outer)
    return {"tag " + name: outer}


def contents():
    attributes = Repository("attributes")
    attributes.commit("c1", {
        ".gitattributes": "*.crlf text eol=crlf\n*.lf text eol=lf\n*.auto text=auto\n*.bin -text\n*.id ident\nignored export-ignore\n"
                          "subst export-subst\n*.filtered filter=unset-filter\n*.u16 working-tree-encoding=UTF-16LE-BOM text\n",
        "a.crlf": "one\ntwo\n", "a.lf": "one\ntwo\n", "a.auto": "one\ntwo\n", "a.bin": b"one\r\ntwo\n\0", "mixed.auto": "one\r\ntwo\n",
        "a.id": "$Id$\n", "ignored": "here\n", "subst": "$Format:%H$\n", "a.filtered": "as it is\n", "a.u16": "ab\n", "plain.txt": "one\ntwo\n"})
    attributes.commit("c2", {"dir/.gitattributes": "*.lf eol=crlf\n", "dir/b.lf": "one\ntwo\n", "dir/b.id": "$Id: old $\n"})
    yield attributes

    lfs = Repository("lfs")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 12\n" % ("4d7a" * 16)
    yield lfs.commit("c1", {".gitattributes": "*.dat filter=lfs diff=lfs merge=lfs -text\n", "big.dat": pointer, "small": "s\n"})

    links = Repository("links")
    yield links.commit("c1", {"target": "t\n", "dir/file": "f\n", "good": link("target"), "dangling": link("no/such/file"), "absolute": link("/etc/hostname"),
                              "to-dir": link("dir"), "dir/up": link("../target"), "chain": link("good"), "outside": link("../../../outside"),
                              "long": link("x/" * 100 + "end"), "loop": link("loop")}).tag("v1", "c1")

    modes = Repository("modes")
    modes.commit("c1", {"run.sh": executable("#!/bin/sh\n"), "plain": "p\n", "dir/tool": executable(b"\x7fELF"), "turns": "x\n", "empty": "", "empty-run": executable("")})
    yield modes.commit("c2", {"turns": executable("x\n"), "run.sh": "#!/bin/sh\n"}).tag("v1", "c1")

    yield Repository("empty-tree").commit("c1").tag("v0", "c1")
    yield Repository("emptied").commit("c1", {"a": "a\n", "d/b": "b\n"}).commit("c2", delete=["a", "d/b"])

    names = ["übergröße", "日本語/ファイル", "e\u0301 combined", "a space", "tab\there", 'quote"s', "back\\slash", "-dash", "--force", "#hash", "star*", "*", "[x]", "~tilde",
             "$dollar", "%41", "trailing.", " leading", "a" * 200, "new\nline"]
    yield Repository("names").commit("c1", {name: "%d\n" % number for number, name in enumerate(names)})
    yield Repository("raw-names").commit("c1", {os.fsdecode(b"latin-\xe4"): "1\n", "plain": "2\n"})
    yield Repository("case-names").commit("c1", {"Same": "1\n", "same": "2\n", "DIR/a": "3\n", "dir/A": "4\n"})
    yield Repository("deep-paths").commit("c1", {"/".join("level%d" % n for n in range(40)) + "/end": "e\n", "l/" * 300 + "e": "e\n"})

    dots = Repository("dot-names")
    yield dots.commit("c1", {".gitignore": "*.o\nignored\n", ".gitkeep": "", ".github/workflow.yml": "w\n", ".git-blame-ignore-revs": "# none\n", ".gitreview": "r\n",
                             "dir/.gitignore": "*\n", "git/HEAD": "h\n", "x.git/config": "c\n", "ignored": "yet here\n", "a.o": "o\n", ".mailmap": "m\n"})

    binary = Repository("binary")
    noise = b"".join(bytes([(n * n + 7 * n + n // 251) % 256]) for n in range(65536))
    yield binary.commit("c1", {"noise": noise * 16, "zeros": b"\0" * 100000, "cr": b"a\r\nb\r\n", "no-end": b"no newline"})

    many = Repository("many")
    many.commit("c1", {"d%03d/f%03d" % (n // 100, n % 100): "%d\n" % n for n in range(MANY)})
    yield many.commit("c2", {"d000/f000": "changed\n"}).tag("v1", "c1")

    subproject = Repository("subproject")
    subproject.commit("c1", {"project.conf": "name: within\nmin-version: 2.0\nelement-path: elements\n", "elements/hello.bst": "kind: import\nsources:\n- kind: local\n  path: files\n",
                             "files/hello": "hello\n"})
    yield subproject.commit("c2", {"files/hello": "hello again\n"}).tag("v1", "c1")


def with_submodules(made):
    a, b = made["sub-a"], made["sub-b"]
    absent = "1234567890123456789012345678901234567890"

    def one(name, modules, files):
        return Repository(name).commit("c1", dict({".gitmodules": modules, "README": name + "\n"}, **files)).tag("v1", "c1")

    yield one("submodule", gitmodules(a=("libs/a", "../sub-a")), {"libs/a": module(a["c2"])})
    yield one("submodule-old", gitmodules(a=("libs/a", "../sub-a")), {"libs/a": module(a["c1"])})
    yield one("two-submodules", gitmodules(a=("libs/a", "../sub-a"), b=("b", "../sub-b")), {"libs/a": module(a["c2"]), "b": module(b["c1"])})
    yield one("aliased-submodule", gitmodules(a=("a", "up:sub-a")), {"a": module(a["c2"])})
    yield one("unadded-submodule", gitmodules(a=("a", "../sub-a"), ghost=("ghost", "../sub-b")), {"a": module(a["c2"])})
    yield one("file-at-submodule", gitmodules(a=("a", "../sub-a")), {"a": "a file\n"})
    yield one("unlisted-gitlink", "", {"a": module(a["c2"]), "b": module(absent)})
    yield one("absent-commit", gitmodules(a=("a", "../sub-a")), {"a": module(absent)})
    yield one("absent-repository", gitmodules(a=("a", "../no-such")), {"a": module(a["c2"])})
    yield one("spaced-submodule", '[submodule "with space"]\n\turl = ../sub-a\n\tpath = with space\n\tbranch = main\n\tignore = dirty\n', {"with space": module(a["c2"])})
    yield one("broken-gitmodules", "[submodule \"a\"\npath = a\n", {"a": module(a["c2"])})
    yield one("odd-gitmodules", "# a comment\n; another\n[other]\nkey = 1\n" + gitmodules(a=("a", "../sub-a")), {"a": module(a["c2"])})
    middle = yield one("middle", gitmodules(a=("deep/a", "../sub-a")), {"deep/a": module(a["c2"])})
    top = yield one("nested", gitmodules(middle=("middle", "../middle"), b=("b", "../sub-b")), {"middle": module(middle["c1"]), "b": module(b["c1"])})
    yield one("nested-twice", gitmodules(nested=("sub/nested", "../nested")), {"sub/nested": module(top["c1"])})

    moved = one("moved-submodule", gitmodules(a=("a", "../sub-a")), {"a": module(a["c1"])})
    moved.commit("c2", {".gitmodules": gitmodules(a=("elsewhere", "../sub-a")), "elsewhere": module(a["c2"])}, delete=["a"])
    yield moved


def build(top):
    """Makes all repositories below `top`; returns {name: Made}."""
    os.makedirs(top, exist_ok=True)
    made = {}
    for group in (plain(), contents(), iter([history(Repository("sub-a"), 3).tag("a-1", "c1"), history(Repository("sub-b"), 2)])):
        for repository in group:
            made[repository.name] = repository.finish(top)
    os.symlink("linear", os.path.join(top, "linked.git"))
    modules, result = with_submodules(made), None
    while True:
        try:
            repository = modules.send(result)
        except StopIteration:
            return made
        result = made[repository.name] = repository.finish(top)


if __name__ == "__main__":
    for name, repository in build(os.path.abspath(sys.argv[1])).items():
        print(name, repository.ids.get("c1", "-"))
