"""The project whose elements have the repositories of git_repositories.py as sources.

write(DIR, URL, made) makes it in DIR; URL is where the repositories are. Each element has an alias of its
own name for it, and so mirrors of its own: what one element fetches changes nothing for another. Those with
submodules have the alias `up`, as the submodules that they list: BuildStream opens no workspace where the two differ. Elements are named by kind and repository:

    g-NAME    git, tracks the default branch            r-NAME    git_repo, tracks it, ref-format git-describe
    gd-NAME   git, ref-format git-describe, tags        rs-NAME   git_repo, sha1
    t-NAME    git_tag, tracks it                        tt-NAME   git_tag, tracks the newest tag in it

and git-..., repo-..., tag-... and module-... (git_module), which have something of their own.
"""

import os

PROJECT = """name: git
min-version: 2.5
element-path: elements
aliases:
  up: %s
%s
plugins:
- origin: pip
  package-name: buildstream-plugins
  sources: [git]
- origin: pip
  package-name: buildstream-plugins-community
  sources: [git_module, git_repo, git_tag, patch_queue]
"""

DEFAULT_BRANCH = {"trunk": "trunk"}
# Repositories that are too large to have four times, or whose elements are written below.
ONCE = {"many", "empty-repository", "subproject"}
# Repositories of which git_tag makes something of its own: the others are to it what they are to git.
TAGGED = {"linear", "annotated", "lightweight", "tagged-tip", "light-tip", "same-commit-tags", "side-tags", "merges", "date-skew", "deep", "ambiguous", "trunk", "detached", "nested-tag", "tag-of-tree",
          "empty-repository", "attributes", "lfs", "links", "modes", "empty-tree", "names", "unlisted-gitlink"}
WITH_SUBMODULES = {"absent-commit", "absent-repository", "broken-gitmodules", "odd-gitmodules", "middle", "nested", "nested-twice"}


def default_elements(name):
    branch = DEFAULT_BRANCH.get(name, "main")
    url = "up:" + name
    yield "g-" + name, [("kind", "git"), ("url", url), ("track", branch)]
    yield "r-" + name, [("kind", "git_repo"), ("url", url), ("track", branch), ("ref-format", "git-describe")]
    if name not in ONCE:
        yield "gd-" + name, [("kind", "git"), ("url", url), ("track", branch), ("ref-format", "git-describe"), ("track-tags", "true")]
        yield "rs-" + name, [("kind", "git_repo"), ("url", url), ("track", branch), ("ref-format", "sha1")]
    if name in TAGGED:
        yield "t-" + name, [("kind", "git_tag"), ("url", url), ("track", branch)]
        yield "tt-" + name, [("kind", "git_tag"), ("url", url), ("track", branch), ("track-tags", "true")]


def own_elements(made):
    """(name, [(key, value)]); a value that is a list has lines of their own."""

    def git(name, repository, *more):
        return "git-" + name, [("kind", "git"), ("url", "up:" + repository)] + list(more)

    def repo(name, repository, *more):
        return "repo-" + name, [("kind", "git_repo"), ("url", "up:" + repository)] + list(more)

    def tag(name, repository, *more):
        return "tag-" + name, [("kind", "git_tag"), ("url", "up:" + repository)] + list(more)

    def modules(name, repository, *sources, ref="c1"):
        """A repository, by git_repo, and submodules of it: (url, path, further keys)."""
        keys = [("kind", "git_repo"), ("url", "up:" + repository), ("ref", made[repository][ref] if ref in made[repository].ids else ref)]
        for url, path, *more in sources:
            keys += [("kind", "git_module"), ("url", "up:" + url), ("path", path)] + list(more)
        return "module-" + name, keys

    # Elements that are tracked.
    for name, track in (("feature", "feature/one"), ("release", "release-1.10"), ("commit", made["branches"]["c2"]), ("older", "main~1"), ("full-name", "refs/heads/main"), ("absent", "no-such-branch"), ("head", "HEAD")):
        yield git("track-" + name, "branches", ("track", track))
    for name, repository, track in (("tag", "annotated", "v1.0"), ("light-tag", "lightweight", "v1.1"), ("slashes", "slashes", "rel/2024/1.1"), ("both", "ambiguous", "both"), ("nested", "nested-tag", "outer"),
                                    ("tree", "tag-of-tree", "a-tree"), ("other-refs", "slashes", "refs/merge-requests/7/head"), ("glob", "versions", "v1.*")):
        yield git("track-" + name, repository, ("track", track), ("ref-format", "git-describe"), ("track-tags", "true"))
    for name, repository, track, exclude in (
            ("releases", "branches", "release-*", None), ("feature", "branches", "feature/*", None), ("full-name", "branches", "refs/heads/release-1.?", None), ("absent", "branches", "no-such-*", None),
            ("head", "branches", "HEAD", None), ("all-v", "versions", "v*", None), ("v1", "versions", "v1.*", None), ("excluded", "versions", "v*", ["v2.*", "*bad"]), ("none-left", "versions", "v2.*", ["v2*"]),
            ("any", "versions", "'*'", None), ("set", "versions", "v[!2]*", None), ("nightly", "versions", "nightly-????????", None), ("full-exclude", "versions", "v1.*", ["refs/tags/v1.10*"]),
            ("full-tags", "versions", "refs/tags/v1.9.*", None), ("tag-branch", "slashes", "my-tags", None), ("slashes", "slashes", "rel/*", None), ("other-refs", "slashes", "refs/merge-requests/*", None),
            ("both", "ambiguous", "both", None), ("annotated", "annotated", "v1.*", None), ("light", "lightweight", "v1.*", None), ("nested", "nested-tag", "outer", None), ("case", "versions", "V*", None)):
        for form in ("sha1", "git-describe"):
            yield repo("track-%s-%s" % (name, form[:3]), repository, ("track", track), ("ref-format", form), *([("exclude", exclude)] if exclude else []))
    yield git("no-track", "linear", ("ref", made["linear"]["c3"]))
    yield repo("no-track", "linear", ("ref", made["linear"]["c3"]))
    yield git("empty-repository-ref", "empty-repository", ("ref", made["linear"]["c1"]))
    yield git("no-repository", "no-such-repository", ("track", "main"), ("ref", "e" * 40))
    yield repo("no-repository", "no-such-repository", ("track", "main"), ("ref", "e" * 40))

    for name, repository, track, more in (
            ("feature", "branches", "feature/one", []), ("commit", "branches", made["branches"]["c2"], []), ("older", "branches", "main~1", []), ("absent", "branches", "no-such-branch", []),
            ("full-name", "branches", "refs/heads/main", []), ("head", "trunk", "HEAD", []), ("other-refs", "slashes", "refs/merge-requests/7/head", []), ("tag", "annotated", "v1.0", []),
            ("tree", "tag-of-tree", "a-tree", []), ("both", "ambiguous", "both", []), ("nested", "nested-tag", "outer", []),
            ("extra", "branches", "release-1.0", [("track-extra", ["release-1.2", "release-1.10"])]), ("extra-older", "branches", "main", [("track-extra", ["release-1.2"])]),
            ("extra-absent", "branches", "main", [("track-extra", ["no-such-branch"])]), ("extra-skew", "date-skew", "main", [("track-extra", ["other"])]),
            ("match", "versions", "main", [("track-tags", "true"), ("match", ["v1.9*", "v1.10.*"])]), ("exclude", "versions", "main", [("track-tags", "true"), ("exclude", ["v1.10", "v01*"])]),
            ("match-exclude", "versions", "main", [("track-tags", "true"), ("match", ["v*"]), ("exclude", ["v1*"])]), ("none-left", "versions", "main", [("track-tags", "true"), ("match", ["w*"])]),
            ("match-alone", "versions", "main", [("match", ["v2*"])]), ("extra-tags", "side-tags", "main", [("track-extra", ["side"]), ("track-tags", "true")])):
        yield tag("track-" + name, repository, ("track", track), *more)
    yield tag("no-track", "linear", ("ref", made["linear"]["c3"]))
    yield tag("no-repository", "no-such-repository", ("track", "main"), ("ref", "e" * 40))
    yield modules("track-one", "submodule", ("sub-a", "libs/a"))
    yield modules("track-two", "two-submodules", ("sub-a", "libs/a"), ("sub-b", "b"))
    yield modules("track-spaced", "spaced-submodule", ("sub-a", "with space"))
    yield modules("track-absolute", "submodule", ("sub-a", "/libs/a"))
    yield modules("track-absent", "submodule", ("sub-a", "libs/none"))
    yield modules("track-file", "file-at-submodule", ("sub-a", "a"))
    yield modules("track-unlisted", "unlisted-gitlink", ("sub-a", "a"))
    yield modules("track-folder", "submodule", ("sub-a", "libs"))
    yield modules("track-outside", "submodule", ("sub-a", "../libs/a"))
    yield modules("track-within", "nested", ("middle", "middle"), ("sub-a", "middle/deep/a"))
    yield modules("track-gone", "moved-submodule", ("sub-a", "a"), ref="c2")
    yield modules("track-absent-commit", "absent-commit", ("sub-a", "a"))

    # Elements whose refs are given.
    yield git("given", "linear", ("ref", made["linear"]["c2"]))
    yield git("given-describe", "annotated", ("ref", "v1.1-1-g" + made["annotated"]["c3"]))
    yield git("given-wrong-tag", "annotated", ("ref", "nonsense-7-g" + made["annotated"]["c3"]))
    yield git("exact-tag", "annotated", ("ref", "v1.0-0-g" + made["annotated"]["c1"]))
    yield git("exact-light", "lightweight", ("ref", "v1.1-0-g" + made["lightweight"]["c2"]))
    yield git("exact-absent-tag", "annotated", ("ref", "v9.9-0-g" + made["annotated"]["c1"]))
    yield git("short", "linear", ("ref", made["linear"]["c2"][:10]))
    yield git("branch-as-ref", "linear", ("ref", "main"))
    yield git("tag-object", "annotated", ("ref", made["annotated"]["tag v1.1"]))
    yield git("no-such-commit", "linear", ("ref", "f" * 40))
    yield git("not-in-track", "branches", ("track", "main"), ("ref", made["branches"]["release 1.2"]))
    yield git("not-in-tag", "annotated", ("track", "v1.0"), ("ref", made["annotated"]["c4"]))
    yield git("stray", "stray-commit", ("ref", made["stray-commit"]["stray"]))
    yield git("tagged", "annotated", ("ref", made["annotated"]["c4"]), ("tags", [
        "- tag: v1.0", "  commit: " + made["annotated"]["c1"], "  annotated: true", "- tag: own", "  commit: " + made["annotated"]["c3"], "  annotated: false"]))
    yield git("tagged-here", "annotated", ("ref", made["annotated"]["c2"]), ("tags", ["- tag: here", "  commit: " + made["annotated"]["c2"], "  annotated: true"]))
    yield git("tagged-merge", "merges", ("ref", made["merges"]["end"]), ("tags", [
        "- tag: v1", "  commit: " + made["merges"]["c1"], "  annotated: true", "- tag: left-1", "  commit: " + made["merges"]["left"], "  annotated: true"]))
    yield git("version", "annotated", ("ref", made["annotated"]["c3"]), ("version", "5.9"))
    yield git("pattern", "annotated", ("ref", made["annotated"]["c3"]), ("version-guess-pattern", "'(\\d+)'"))
    yield git("directory", "linear", ("directory", "sub/dir"), ("ref", made["linear"]["c2"]))
    yield repo("given", "linear", ("ref", made["linear"]["c2"]))
    yield repo("given-describe", "annotated", ("ref", "v1.0-2-g" + made["annotated"]["c3"]))
    yield repo("given-shallow", "deep", ("ref", "v1-40-g" + made["deep"]["c190"]))
    yield repo("given-too-shallow", "deep", ("ref", "v1-5-g" + made["deep"]["c190"]))
    yield repo("given-merge", "merges", ("ref", "v1-5-g" + made["merges"]["end"]))
    yield repo("exact-tag", "annotated", ("ref", "v1.0-0-g" + made["annotated"]["c1"]))
    yield repo("tag-object", "annotated", ("ref", "v1.1-0-g" + made["annotated"]["tag v1.1"]))
    yield repo("outer-tag-object", "nested-tag", ("ref", "outer-0-g" + made["nested-tag"]["tag outer"]))
    yield repo("exact-light", "lightweight", ("ref", "v1.1-0-g" + made["lightweight"]["c2"]))
    yield repo("absent-tag", "annotated", ("ref", "v9.9-0-g" + made["annotated"]["c1"]))
    yield repo("other-tag", "side-tags", ("ref", "side-1-2-g" + made["side-tags"]["c3"]))
    yield repo("slash-tag", "slashes", ("ref", "rel/2024/1.0-1-g" + made["slashes"]["c3"]))
    yield repo("nested-tag", "nested-tag", ("ref", "outer-1-g" + made["nested-tag"]["c3"]))
    yield repo("no-such-commit", "linear", ("track", "main"), ("ref", "f" * 40))
    yield repo("stray", "stray-commit", ("track", "main"), ("ref", made["stray-commit"]["stray"]))
    yield repo("stray-refused", "stray-refused", ("track", "main"), ("ref", made["stray-refused"]["stray"]))
    yield repo("version", "annotated", ("ref", made["annotated"]["c3"]), ("version", "5.9"))
    yield repo("pattern", "annotated", ("ref", made["annotated"]["c3"]), ("version-guess-pattern", "'(\\d+)'"))
    yield repo("directory", "linear", ("directory", "sub/dir"), ("ref", made["linear"]["c2"]))
    yield repo("dot-git-url", "linked.git", ("ref", made["linear"]["c2"]))

    yield tag("given", "linear", ("ref", made["linear"]["c2"]))
    yield tag("given-describe", "annotated", ("ref", "v1.1-1-g" + made["annotated"]["c3"]))
    yield tag("given-wrong-tag", "annotated", ("ref", "nonsense-7-g" + made["annotated"]["c3"]))
    yield tag("exact-tag", "annotated", ("ref", "v1.0-0-g" + made["annotated"]["c1"]))
    yield tag("exact-later", "deep", ("ref", "v1-0-g" + made["deep"]["c150"]))
    yield tag("exact-light", "lightweight", ("ref", "v1.1-0-g" + made["lightweight"]["c2"]))
    yield tag("exact-of-others", "same-commit-tags", ("ref", "a-noted-0-g" + made["same-commit-tags"]["c2"]))
    yield tag("exact-slashes", "slashes", ("ref", "rel/2024/1.0-0-g" + made["slashes"]["c2"]))
    yield tag("exact-full", "deep", ("ref", "v1-0-g" + made["deep"]["c150"]), ("full-clone", "1"))
    yield tag("exact-absent-tag", "annotated", ("ref", "v9.9-0-g" + made["annotated"]["c1"]))
    yield tag("short", "linear", ("ref", made["linear"]["c2"][:10]))
    yield tag("tag-object", "annotated", ("ref", made["annotated"]["tag v1.1"]))
    yield tag("no-such-commit", "linear", ("ref", "f" * 40))
    yield tag("stray", "stray-commit", ("ref", made["stray-commit"]["stray"]))
    yield tag("other-refs", "rewound", ("ref", made["rewound"]["c3"]))
    yield tag("lfs-off", "lfs", ("ref", made["lfs"]["c1"]), ("use-lfs", "false"))
    yield tag("directory", "linear", ("directory", "sub/dir"), ("ref", made["linear"]["c2"]))
    yield modules("given", "two-submodules", ("sub-a", "libs/a", ("ref", made["sub-a"]["c2"])), ("sub-b", "b", ("ref", made["sub-b"]["c1"])))
    yield modules("exact-tag", "submodule", ("sub-a", "libs/a", ("ref", "a-1-0-g" + made["sub-a"]["c1"])))
    yield modules("full-clone", "submodule", ("sub-a", "libs/a", ("ref", "a-1-0-g" + made["sub-a"]["c1"]), ("full-clone", "true")))
    yield modules("other-commit", "submodule", ("sub-a", "libs/a", ("ref", made["sub-a"]["c3"])))
    yield modules("elsewhere", "submodule", ("sub-a", "no/such/path", ("ref", made["sub-a"]["c3"])))
    yield modules("directory", "submodule", ("sub-a", "a", ("directory", "libs"), ("ref", made["sub-a"]["c2"])))
    yield modules("within", "nested", ("middle", "middle", ("ref", made["middle"]["c1"])), ("sub-a", "deep/a", ("directory", "middle"), ("ref", made["sub-a"]["c2"])))
    yield modules("no-such-commit", "submodule", ("sub-a", "libs/a", ("ref", "f" * 40)))
    yield modules("no-repository", "submodule", ("no-such-repository", "libs/a", ("ref", "f" * 40)))

    # Elements with submodules.
    def listed(name, repository, *lines, ref="c1", more=()):
        return git(name, repository, ("ref", made[repository][ref]), *more, ("submodules", list(lines)))

    for name, repository, *lines in (
            ("listed", "submodule", "libs/a:", "  url: up:sub-a"), ("listed-off", "submodule", "libs/a:", "  url: up:sub-a", "  checkout: false"), ("elsewhere", "submodule", "libs/a:", "  url: up:sub-b"),
            ("two-one-off", "two-submodules", "libs/a:", "  url: up:sub-a", "b:", "  checkout: false"), ("unadded", "unadded-submodule", "a:", "  url: up:sub-a", "ghost:", "  url: up:sub-b"),
            ("no-file", "file-at-submodule", "a:", "  url: up:sub-a"), ("nested", "nested", "middle:", "  url: up:middle", "b:", "  url: up:sub-b"), ("absent-commit", "absent-commit", "a:", "  url: up:sub-a"),
            ("invalid", "submodule", "libs/a:", "  url: up:sub-a", "no/such:", "  url: up:sub-b")):
        yield tag(name, repository, ("ref", made[repository]["c1"]), ("submodules", lines))
    yield tag("aliased", "aliased-submodule", ("ref", made["aliased-submodule"]["c1"]))
    yield tag("all-off", "two-submodules", ("ref", made["two-submodules"]["c1"]), ("checkout-submodules", "false"))
    yield tag("one-on", "two-submodules", ("ref", made["two-submodules"]["c1"]), ("checkout-submodules", "false"), ("submodules", ["b:", "  url: up:sub-b", "  checkout: true"]))
    yield listed("listed", "submodule", "libs/a:", "  url: up:sub-a")
    yield listed("listed-off", "submodule", "libs/a:", "  url: up:sub-a", "  checkout: false")
    yield listed("off-without-url", "submodule", "libs/a:", "  checkout: false")
    yield listed("listed-elsewhere", "submodule", "libs/a:", "  url: up:sub-b")
    yield listed("one-of-two", "two-submodules", "libs/a:", "  url: up:sub-a")
    yield listed("two-one-off", "two-submodules", "libs/a:", "  url: up:sub-a", "b:", "  url: up:sub-b", "  checkout: false")
    yield listed("invalid", "submodule", "libs/a:", "  url: up:sub-a", "no/such:", "  url: up:sub-b")
    yield listed("aliased-listed", "aliased-submodule", "a:", "  url: up:sub-a")
    yield listed("absent-listed", "absent-repository", "a:", "  url: up:sub-a")
    yield git("all-off", "two-submodules", ("ref", made["two-submodules"]["c1"]), ("checkout-submodules", "false"))
    yield listed("one-on", "two-submodules", "b:", "  url: up:sub-b", "  checkout: 1", more=[("checkout-submodules", "0")])
    yield listed("nested-listed", "nested", "middle:", "  url: up:middle", "middle/deep/a:", "  url: up:sub-a", "b:", "  url: up:sub-b")
    yield listed("nested-inner-off", "nested", "middle:", "  url: up:middle", "middle/deep/a:", "  url: up:sub-a", "  checkout: false", "b:", "  url: up:sub-b")
    yield listed("nested-outer-off", "nested", "middle:", "  url: up:middle", "  checkout: false", "b:", "  url: up:sub-b")
    yield listed("moved-old", "moved-submodule", "a:", "  url: up:sub-a")
    yield listed("moved-new", "moved-submodule", "elsewhere:", "  url: up:sub-a", ref="c2")


def text_of(name, keys):
    lines = ["kind: import", "sources:"]
    for key, value in keys:
        start = "- " if key == "kind" else "  "
        if key == "url" and not of_submodules(value):
            value = value.replace("up:", name + ":")
        if not isinstance(value, list):
            lines.append("%s%s: %s" % (start, key, value))
        elif value and ":" not in value[0]:
            lines.append("%s%s: [%s]" % (start, key, ", ".join("'%s'" % word for word in value)))
        else:
            lines += ["%s%s:" % (start, key)] + ["  " + line if line.startswith(("-", "  ")) and key == "tags" else "    " + line for line in value]
    return "\n".join(lines) + "\n"


def of_submodules(url):
    return "submodule" in url or url[3:] in WITH_SUBMODULES


def elements(made):
    """{name: (repository, text)}"""
    result = {}
    for repository in made:
        for name, keys in default_elements(repository):
            result[name] = (repository, text_of(name, keys))
    for name, keys in own_elements(made):
        assert name not in result, name
        result[name] = (keys[1][1].split(":")[1], text_of(name, keys))
    return result


def write(directory, url, made):
    os.makedirs(os.path.join(directory, "elements"))
    with open(os.path.join(directory, "project.conf"), "w", encoding="utf-8") as file:
        file.write(PROJECT % (url, "\n".join("  %s: %s" % (name, url) for name in elements(made))))
    for name, (_, text) in elements(made).items():
        with open(os.path.join(directory, "elements", name + ".bst"), "w", encoding="utf-8") as file:
            file.write(text)


def write_junctions(directory, url, _made):
    """A project whose subprojects come from git: one by each kind, and one that is in a folder of another's sources."""
    os.makedirs(os.path.join(directory, "elements"))
    files = {"project.conf": PROJECT % (url, "")}
    for kind in ("git", "git_repo"):
        files["elements/%s.bst" % kind] = "kind: junction\nsources:\n- kind: %s\n  url: up:subproject\n  track: main\n  ref-format: git-describe\n" % kind
        files["elements/of-%s.bst" % kind] = "kind: stack\ndepends:\n- %s.bst:hello.bst\n" % kind
    for name, text in files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)
