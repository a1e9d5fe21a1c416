"""`sluice show --json`, `query`, `why` and `explain` as processes; $SLUICE_BST: beside bst."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

CONF = "name: small\nmin-version: 2.0\nelement-path: elements\nvariables:\n  place: share\n"
IMPORT = "kind: import\nsources:\n- kind: local\n  path: files/%s\n"

# all -> app -(build)-> lib -> base; app -(build)-> tool -(build)-> base
PROJECT = {
    "project.conf": CONF,
    "elements/base.bst": IMPORT % "base",
    "elements/lib.bst": IMPORT % "lib" + "config:\n  target: /usr/%{place}\ndepends: [base.bst]\n",
    "elements/tool.bst": IMPORT % "tool" + "build-depends: [base.bst]\n",
    "elements/app.bst": IMPORT % "app" + "build-depends: [lib.bst, tool.bst]\npublic:\n  x: [one, {two: 'three'}]\n",
    "elements/all.bst": "kind: stack\ndescription: Everything\ndepends: [app.bst]\n",
    "elements/untracked.bst": "kind: manual\nsources:\n- kind: tar\n  url: file:///nowhere\n",
    "elements/after.bst": "kind: manual\nbuild-depends: [untracked.bst]\n",
    "files/base/base": "base\n",
    "files/lib/lib": "lib\n",
    "files/tool/tool": "tool\n",
    "files/app/app": "app\n",
    "files/app/gone/file": "same\n",
    "files/app/same/link": "same\n",
}


class Inspect(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)

    def names(self, *query):
        return self.sluice("query", *query, cwd=self.at).stdout.split()

    def json(self, *arguments):
        return json.loads(self.sluice(*arguments, cwd=self.at).stdout)

    def change(self, path, old, new):
        name = os.path.join(self.at, path)
        with open(name, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        self.write("project/" + path, text.replace(old, new))


class Show(Inspect):
    def test_json(self):
        document = self.json("show", "--json", "all.bst")
        self.assertEqual((document["format"], document["project"]), ("sluice-elements/1", "small"))
        shown = self.sluice("show", "-f", "%{name} %{kind} %{full-key} %{state}", "all.bst", cwd=self.at).stdout.splitlines()
        self.assertEqual([" ".join([e["name"], e["kind"], e["key"], e["state"]]) for e in document["elements"]], shown)
        app = document["elements"][-2]
        self.assertEqual(list(app), ["name", "kind", "project", "junction", "key", "state", "dependencies"])
        self.assertEqual(app["dependencies"], [{"name": name, "build": True, "runtime": False, "strict": False} for name in ("lib.bst", "tool.bst")])

    def test_json_fields(self):
        app, = self.json("show", "--json", "--fields", "all", "-d", "none", "app.bst")["elements"]
        self.assertEqual(app["public"]["x"], ["one", {"two": "three"}])
        self.assertEqual(app["vars"]["place"], "share")
        self.assertEqual(app["sources"][0]["path"], os.path.join(self.at, "files/app"))
        self.assertEqual(app["sources"][0]["provenance"]["line"], 3)
        self.assertIsNone(app["artifact"])
        self.assertEqual(app["keys"]["strict"], app["key"])
        one, = self.json("show", "--json", "--fields", "description,name", "-d", "none", "all.bst")["elements"]
        self.assertEqual(one, {"name": "all.bst", "description": "Everything"})
        without, = self.json("show", "--json", "--fields", "key,state", "-d", "none", "untracked.bst")["elements"]
        self.assertEqual(without, {"key": None, "state": "no reference"})
        self.assertIn("There is no field 'nmae'", self.sluice("show", "--json", "--fields", "nmae", cwd=self.at, status=1).stderr)
        self.sluice("show", "--fields", "name", cwd=self.at, status=2)
        self.sluice("show", "--json", "--format", "%{name}", cwd=self.at, status=2)


class Query(Inspect):
    def test_sets(self):
        self.assertEqual(self.names("deps(app.bst)"), ["base.bst", "lib.bst", "tool.bst", "app.bst"])
        self.assertEqual(self.names("rdeps(base.bst, 1)"), ["base.bst", "lib.bst", "tool.bst"])
        self.assertEqual(self.names("rdeps(base.bst)", "-u", "tool.bst"), ["base.bst", "tool.bst"])
        self.assertEqual(self.names("--order", "alpha", "all() - kind(import, all())"), ["after.bst", "all.bst", "untracked.bst"])
        self.assertEqual(self.names("kind(script, all())"), [])
        # An element that the query names is loaded though the universe lacks it.
        self.assertEqual(self.names("untracked.bst + rdeps(base.bst)", "-u", "tool.bst"), ["base.bst", "tool.bst", "untracked.bst"])

    def test_formats(self):
        keys = self.sluice("show", "-f", "%{name} %{state} %{full-key}", "-d", "none", "app.bst", cwd=self.at).stdout
        self.assertEqual(self.sluice("query", "-f", "%{name} %{state} %{full-key}", "app.bst", cwd=self.at).stdout, keys)
        document = self.json("query", "--json", "--fields", "name,state", "deps(tool.bst)")
        self.assertEqual(document["elements"], [{"name": "base.bst", "state": "buildable"}, {"name": "tool.bst", "state": "waiting"}])
        self.assertEqual(self.json("query", "--json", "app.bst - app.bst")["elements"], [])
        self.assertEqual(self.sluice("query", "--dot", "deps(all.bst) - lib.bst", cwd=self.at).stdout,
                         'digraph elements {\n  "base.bst";\n  "tool.bst";\n  "tool.bst" -> "base.bst";\n  "app.bst";\n'
                         '  "app.bst" -> "tool.bst";\n  "all.bst";\n  "all.bst" -> "app.bst";\n}\n')

    def test_errors(self):
        self.assertIn("Column 6 of the query: an element", self.sluice("query", "deps(", cwd=self.at, status=1).stderr)
        self.assertIn("Could not find element 'no.bst'", self.sluice("query", "deps(no.bst)", cwd=self.at, status=1).stderr)
        self.assertIn("Could not find element 'no.bst'", self.sluice("query", "all() - no.bst", cwd=self.at, status=1).stderr)
        self.sluice("query", cwd=self.at, status=2)
        self.assertIn("rdeps(X)", self.sluice("query", "--help", cwd=self.at).stdout)


class Why(Inspect):
    def test_chains(self):
        self.assertEqual(self.sluice("why", "lib.bst", cwd=self.at).stdout,
                         "all.bst\n  app.bst  [build, runtime]\n  lib.bst  [build]\n")
        self.assertEqual(self.sluice("why", "--all", "base.bst", "app.bst", cwd=self.at).stdout,
                         "app.bst\n  lib.bst  [build]\n  base.bst  [build, runtime]\n\napp.bst\n  tool.bst  [build]\n  base.bst  [build]\n")
        limited = self.sluice("why", "--all", "--limit", "1", "base.bst", "app.bst", cwd=self.at).stdout
        self.assertIn("\n1 more chain; --limit shows more\n", limited)
        self.assertEqual(self.sluice("why", "-d", "build", "base.bst", "app.bst", cwd=self.at).stdout,
                         "app.bst\n  lib.bst  [build]\n  base.bst  [build, runtime]\n")
        document = self.json("why", "--json", "--all", "base.bst", "app.bst", "tool.bst")
        self.assertEqual((document["element"], document["targets"], document["total"]), ("base.bst", 2, 3))
        self.assertEqual([[step["name"] for step in chain] for chain in document["chains"]],
                         [["tool.bst", "base.bst"], ["app.bst", "lib.bst", "base.bst"], ["app.bst", "tool.bst", "base.bst"]])
        self.assertEqual(document["chains"][0][1], {"name": "base.bst", "build": True, "runtime": False, "strict": False})

    def test_what_nothing_needs(self):
        self.assertIn("No target needs untracked.bst", self.sluice("why", "untracked.bst", "all.bst", cwd=self.at, status=1).stderr)
        self.assertIn("No target needs lib.bst at run time", self.sluice("why", "-d", "run", "lib.bst", "all.bst", cwd=self.at, status=1).stderr)
        self.assertIn("Could not find element 'no.bst'", self.sluice("why", "no.bst", "all.bst", cwd=self.at, status=1).stderr)


class Explain(Inspect):
    def explain(self, *arguments):
        return self.json("explain", "--json", *arguments)

    def test_before_and_after_a_build(self):
        self.assertEqual(self.explain("all.bst")["verdict"], "never-built")
        self.assertIn("the cache has no artifact of it at all", self.sluice("explain", "all.bst", cwd=self.at).stdout)
        self.assertEqual(self.explain("untracked.bst")["verdict"], "no-reference")
        after = self.explain("after.bst")
        self.assertEqual((after["verdict"], after["detail"]), ("unknown-key", "untracked.bst"))
        self.sluice("build", "all.bst", cwd=self.at)
        cached = self.explain("all.bst")
        self.assertEqual((cached["verdict"], cached["compared"], cached["causes"]), ("cached", None, []))

    def test_a_failed_build(self):
        self.base(programs=("sh", "false"))
        self.write("project/elements/broken.bst", "kind: manual\nbuild-depends: [base.bst]\nconfig:\n  build-commands:\n  - 'false'\n")
        self.sluice("build", "broken.bst", cwd=self.at, status=1)
        failed = self.explain("broken.bst")
        self.assertEqual((failed["verdict"], failed["detail"]), ("failed", "Command failed"))
        self.assertIn("--retry-failed builds it again", self.sluice("explain", "broken.bst", cwd=self.at).stdout)
        # In a build that isn't strict a failure of other dependencies isn't taken, as an artifact would be.
        loosely = lambda: json.loads(self.sluice("--no-strict", "explain", "--json", "broken.bst", cwd=self.at).stdout)  # noqa: E731
        self.assertEqual(loosely()["verdict"], "failed")
        self.write("project/files/base/more", "more\n")
        loose = loosely()
        self.assertEqual((loose["verdict"], loose["compared"]["key"]), ("changed", failed["key"]))
        self.assertNotEqual(loose["key"], failed["key"])
        os.remove(os.path.join(self.at, "files/base/more"))
        self.change("elements/broken.bst", "'false'", "'true'")
        compared = self.explain("broken.bst")["compared"]
        self.assertEqual((compared["success"], compared["changes"]),
                         (False, [{"what": "config", "where": "build-commands[0]", "before": "false", "after": "true"}]))
        self.assertIn("one can be explained at a time", self.sluice("explain", "*.bst", cwd=self.at, status=1).stderr)

    def test_own_change_and_root_cause(self):
        self.sluice("build", "all.bst", cwd=self.at)
        old = {name: self.explain(name)["key"] for name in ("all.bst", "app.bst", "lib.bst")}
        self.change("project.conf", "place: share", "place: lib")
        lib = self.explain("lib.bst")
        self.assertEqual((lib["verdict"], lib["compared"]["key"], lib["causes"]), ("changed", old["lib.bst"], []))
        self.assertEqual(lib["compared"]["changes"], [{"what": "config", "where": "target", "before": "/usr/share", "after": "/usr/lib"}])
        self.assertEqual(lib["compared"]["variables"], [{"what": "variable", "where": "place", "before": "share", "after": "lib"}])
        everything = self.explain("all.bst")
        self.assertTrue(everything["compared"]["same-weak-key"])
        self.assertEqual(everything["compared"]["changes"], [])
        self.assertEqual([(d["name"], d["how"], d["before"]) for d in everything["compared"]["dependencies"]], [("app.bst", "key", old["app.bst"])])
        cause, = everything["causes"]
        self.assertEqual((cause["element"], cause["chain"], cause["before"], cause["after"]),
                         ("lib.bst", ["all.bst", "app.bst", "lib.bst"], old["lib.bst"], lib["key"]))
        self.assertEqual(cause["changes"], lib["compared"]["changes"])
        text = self.sluice("explain", "all.bst", cwd=self.at).stdout
        self.assertIn("  lib.bst  (all.bst -> app.bst -> lib.bst)\n    configuration target\n      - /usr/share\n      + /usr/lib\n", text)
        # A build that isn't strict uses the artifact that is in the cache.
        loose = json.loads(self.sluice("--no-strict", "explain", "--json", "all.bst", cwd=self.at).stdout)
        self.assertEqual((loose["verdict"], loose["key"], loose["strict"]), ("cached", old["all.bst"], False))
        # With the setting back as it was, the artifact is compared with what was used last.
        self.change("project.conf", "place: lib", "place: share")
        self.assertEqual(self.explain("all.bst")["verdict"], "cached")

    def test_each_kind_of_change(self):
        self.sluice("build", "all.bst", cwd=self.at)
        key = self.explain("app.bst")["key"]
        self.change("files/app/app", "app", "other")
        os.remove(os.path.join(self.at, "files/app/gone/file"))
        self.write("project/files/app/new/file", "new")
        self.change("elements/app.bst", "[lib.bst, tool.bst]", "[base.bst, lib.bst]")
        self.change("elements/app.bst", "'three'", "'four'")
        app = self.explain("app.bst")
        changes = {(change["what"], change["where"]): (change["before"], change["after"]) for change in app["compared"]["changes"]}
        self.assertEqual(set(changes), {("source", "1 (local): content of files/app"), ("public", "x[1].two")})
        self.assertEqual(changes[("public", "x[1].two")], ("three", "four"))
        source, = [change for change in app["compared"]["changes"] if change["what"] == "source"]
        self.assertEqual((source["files"], source["more-files"]),
                         ([{"path": "app", "how": "changed"}, {"path": "gone/file", "how": "removed"}, {"path": "new/file", "how": "added"}], False))
        self.assertEqual([(d["name"], d["how"]) for d in app["compared"]["dependencies"]], [("tool.bst", "removed")])
        self.assertIn("dependency removed: tool.bst", self.sluice("explain", "app.bst", cwd=self.at).stdout)
        self.sluice("build", "all.bst", cwd=self.at)
        back = self.explain("--against", key[:20], "app.bst")
        self.assertEqual((back["verdict"], back["compared"]["key"]), ("cached", key))
        self.assertEqual(len(back["compared"]["changes"]), 2)
        self.assertIn("no artifact in the cache whose key begins with 00", self.sluice("explain", "--against", "00", "app.bst", cwd=self.at, status=1).stderr)

    def test_kept_inputs_are_checked_and_not_needed(self):
        """An artifact without key inputs, as bst makes it, is explained all the same; damaged key inputs count as none."""
        self.sluice("build", "all.bst", cwd=self.at)
        kept = os.path.join(self.cachedir, "sluice/key-inputs")
        files = [os.path.join(where, name) for where, _, names in os.walk(kept) for name in names]
        self.assertEqual(len(files), 5)
        for name in files:
            os.chmod(name, 0o644)
            with open(name, "r+", encoding="utf-8") as file:
                text = file.read().replace('"element-plugin-version":0', '"element-plugin-version":7')
                file.seek(0)
                file.write(text)
        self.change("project.conf", "place: share", "place: lib")
        lib = self.explain("lib.bst")["compared"]
        self.assertEqual((lib["inputs-kept"], lib["changes"], lib["unknown"]),
                         (False, [], ["source", "config", "plugin-version", "fatal-warnings"]))
        self.assertEqual(lib["variables"], [{"what": "variable", "where": "place", "before": "share", "after": "lib"}])
        everything = self.explain("all.bst")
        self.assertEqual([cause["element"] for cause in everything["causes"]], ["lib.bst"])
        self.assertIn("was not built by Sluice", self.sluice("explain", "all.bst", cwd=self.at).stdout)

    def test_artifacts_that_are_gone_or_damaged(self):
        self.sluice("build", "all.bst", cwd=self.at)
        old = self.explain("lib.bst")["key"]
        cache = self.cachedir
        self.change("project.conf", "place: share", "place: lib")
        os.remove(os.path.join(cache, "artifacts/refs/small/lib", old))
        cause, = self.explain("all.bst")["causes"]
        self.assertEqual((cause["element"], cause["what"], cause["before"]), ("lib.bst", "gone", old))
        self.change("project.conf", "place: lib", "place: share")
        for where, _, names in os.walk(os.path.join(cache, "cas/objects")):
            for name in names:
                with open(os.path.join(where, name), "rb") as file:
                    if file.read() == b"app\n":
                        os.remove(file.name)
        gone = self.explain("app.bst")
        self.assertEqual((gone["verdict"], gone["detail"]), ("incomplete", "1"))

    @unittest.skipUnless("SLUICE_BST" in os.environ, "set SLUICE_BST to compare with bst")
    def test_beside_bst(self):
        """bst builds first; then each uses what the other built, key inputs or not."""
        self.bst("build", "all.bst", cwd=self.at)
        self.assertEqual(self.explain("all.bst")["verdict"], "cached")
        self.change("project.conf", "place: share", "place: lib")
        lib = self.explain("lib.bst")["compared"]
        self.assertEqual((lib["inputs-kept"], [change["where"] for change in lib["variables"]]), (False, ["place"]))
        self.sluice("build", "all.bst", cwd=self.at)
        states = self.bst("show", "-f", "%{state}", "all.bst", cwd=self.at).stdout.split()
        self.assertEqual(states, ["cached"] * 5)
        self.bst("artifact", "list-contents", "app.bst", cwd=self.at)
        self.assertEqual(self.explain("all.bst")["verdict"], "cached")


main()
