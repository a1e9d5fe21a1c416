"""The host of plugins at work for elements: what a plugin does becomes calls of its asker; what comes back becomes what
BuildStream gives plugins."""

import hashlib
import os
import shutil
import sys
import textwrap
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from element_asker import PLUGIN, ElementTest  # noqa: E402
from host_process import Ended, node  # noqa: E402


class Directories(ElementTest):
    def test_files(self):
        """Files are written and read through the directory that both have, and nothing stays there."""
        said = self.assembled(
            """
            def assemble(self, sandbox):
                root = sandbox.get_virtual_directory()
                out = root.open_directory("output/deep", create=True)
                with out.open_file("a", mode="w") as file:
                    file.write("some text")
                    os.chmod(file.name, 0o755)
                with out.open_file("b", mode="xb") as file:
                    file.write(b"bytes")
                try:
                    with out.open_file("c", mode="w") as file:
                        raise KeyError
                except KeyError:
                    pass
                with out.open_file("a") as file:
                    self.say(file.read(), os.path.exists("/proc/self/fd/%d" % file.fileno()))
                with out.open_file("b", mode="rb") as file:
                    self.say(file.read())
                state = out.stat("a")
                self.say(list(out), len(out), bool(root.open_directory("output/deep")), str(out), state.size, state.executable)
                self.say(out.isfile("a"), out.isdir("a"), out.exists("c"), out.file_digest("b"), isinstance(out, Directory))
                with out.open_file("b", mode="w+b") as file:
                    pass
                self.say(out.stat("b").size, out.stat("b").executable)
                for mode, name in (("x", "a"), ("r", "none"), ("w", "../deep"), ("a", "a"), ("w", "a/x"), ("w", "none/x"), ("w", "..")):
                    with self.expect():
                        with out.open_file(name, mode=mode):
                            pass
                self.say(self.refused(out.file_digest, "."), self.refused(out.stat, "/a"), self.refused(out.readlink, "a"))
                return "/output"
            def expect(self):
                element = self
                class Block:
                    def __enter__(self):
                        pass
                    def __exit__(self, kind, error, traceback):
                        element.say("none" if kind is None else "{}: {}".format(kind.__name__, error))
                        return True
                return Block()
            """
        )
        self.assertEqual((said.get("collect"), said.get("public")), ("/output", None), said)
        self.assertEqual(self.asker.trees[0], {"output": {"deep": {"a": (b"some text", True), "b": (b"", False)}}})
        self.assertEqual(os.listdir(self.exchange), [])
        deep = "[CAS://output/deep]"
        self.assertEqual(
            self.infos(),
            [
                "some text|True", "b'bytes'", f"['a', 'b']|2|True|{deep}|9|True",
                "True|False|False|" + hashlib.sha256(b"bytes").hexdigest() + "|True", "0|False",
                f"DirectoryError: a already exists in {deep}", f"DirectoryError: none not found in {deep}",
                "DirectoryError: deep in [CAS://output] is not a file", "ValueError: Unsupported mode: `a`",
                f"DirectoryError: Cannot open a, which is a 'regular file' in the directory {deep}", f"DirectoryError: 'none' not found in {deep}",
                f"DirectoryError: Nothing in {deep} can be called '..'",
                f"DirectoryError: . not found in {deep}|ValueError: Invalid path '/a'|DirectoryError: Unsupported file type for readlink: regular file",
            ],
        )  # fmt: skip

    def test_links_and_paths(self):
        """Paths stay within the tree; links are followed when asked for, within it."""
        self.asker.trees[0] = {"etc": {"x": (b"x", False)}, "a": {"up": "../etc", "abs": "/etc/x", "loop": "loop", "out": "../../../etc/x", "none": "nowhere"}}
        said = self.assembled(
            """
            def assemble(self, sandbox):
                a = sandbox.get_virtual_directory().open_directory("a")
                self.say(a.open_directory("up", follow_symlinks=True), a.open_directory("../../a/./..//etc"), a.islink("abs"), a.readlink("abs"))
                self.say(a.isfile("abs", follow_symlinks=True), a.isfile("up/x"), a.isfile("up/x", follow_symlinks=True), a.isfile("out", follow_symlinks=True))
                self.say(a.exists("none"), a.exists("none", follow_symlinks=True), a.exists("loop", follow_symlinks=True), a.stat("abs").size)
                self.say(self.refused(a.open_directory, "up"), self.refused(a.open_directory, "loop", follow_symlinks=True))
                self.say(self.refused(a.open_directory, "up/new", create=True))
                a.open_directory("up/new", create=True, follow_symlinks=True)
                self.say(a.exists(""), a.exists("."), a.open_directory("") == a)
                return "/"
            """
        )
        self.assertEqual(said["is"], "done", said)
        self.assertEqual(
            self.infos(),
            [
                "[CAS://etc]|[CAS://etc]|True|/etc/x", "True|False|True|True", "True|False|False|6",
                "DirectoryError: Cannot open up, which is a 'symlink' in the directory [CAS://a]|"
                "DirectoryError: Cannot open loop in [CAS://a]: too many symbolic links",
                "DirectoryError: Cannot open up, which is a 'symlink' in the directory [CAS://a]", "False|False|True",
            ],
        )  # fmt: skip
        self.assertEqual(self.asker.trees[0]["etc"]["new"], {})

    def test_changes(self):
        """remove() and rename(), and what is known of a tree after each."""
        self.asker.trees[0] = {"a": {"f": (b"1", False), "d": {"e": {}, "x": (b"2", False)}}, "b": {"old": {"y": (b"3", False)}}}
        self.assembled(
            """
            def assemble(self, sandbox):
                root = sandbox.get_virtual_directory()
                self.say(list(root.list_relative_paths()))
                self.say(self.refused(root.remove, "a/d"), self.refused(root.remove, "none"), self.refused(root.remove, "a/../.."))
                root.remove("a/d/e")
                root.rename("a/f", "b/old")
                root.rename("a/d", "b/d")
                self.say(list(root.list_relative_paths()), root.isfile("b/old"))
                self.say(self.refused(root.rename, "b", "b/d/b"), self.refused(root.rename, "none", "b"), root.rename("b", "b"))
                root.rename("b/d", "b")
                root.remove("a", recursive=True)
                self.say(list(root.list_relative_paths()))
                return "/"
            """
        )
        self.assertEqual(
            self.infos(),
            [
                "['a', 'a/f', 'a/d', 'a/d/x', 'a/d/e', 'b', 'b/old', 'b/old/y']",
                "DirectoryError: [CAS://a/d] is not empty|DirectoryError: none not found in [CAS:/]|DirectoryError: .. not found in [CAS:/]",
                "['a', 'b', 'b/old', 'b/d', 'b/d/x']|True",
                "DirectoryError: Can't rename /b to /b/d/b, which is below it|DirectoryError: none not found in [CAS:/]|None",
                "['b', 'b/x']",
            ],
        )
        self.assertEqual(self.asker.trees[0], {"b": {"x": (b"2", False)}})

    def test_imports(self):
        """What a filter is asked about, in which order, and what of it is told; directories of this machine; one file."""
        tree = {"d": {"e": {}, "f": (b"", False)}, "o": {"p": (b"", False)}, "g": (b"", False), "l": "g"}
        self.asker.trees[0] = {"from": tree, "to": {}, "bad": {"d": (b"", False)}}
        self.asker.answers["import"] = {"written": ["w"], "overwritten": ["o"], "ignored": ["i"]}
        self.write("host/deep/script", "#!/bin/sh\n")
        os.chmod(os.path.join(self.directory, "host/deep/script"), 0o755)
        os.symlink("deep/script", os.path.join(self.directory, "host/link"))
        os.mkdir(os.path.join(self.directory, "pipes"))
        os.mkfifo(os.path.join(self.directory, "pipes/fifo"))
        said = self.assembled(
            f"""
            def assemble(self, sandbox):
                root = sandbox.get_virtual_directory()
                to, source = root.open_directory("to"), root.open_directory("from")
                asked = []
                result = to.import_files(source, filter_callback=lambda path: asked.append(path) or path not in ("d", "o/p"))
                self.say(asked, result.files_written, result.overwritten, result.ignored)
                self.say(to.import_files(source, collect_result=False))
                self.say(self.refused(root.open_directory("bad").import_files, source, filter_callback=lambda path: True))
                to.import_files({self.directory + "/host"!r})
                to.import_files({self.directory + "/host"!r}, filter_callback=lambda path: path == "link")
                self.say(self.refused(to.import_files, {self.directory + "/none"!r})[:30], self.refused(to.import_files, {self.directory + "/pipes"!r})[-50:])
                result = to.import_single_file({self.directory + "/host/deep/script"!r})
                self.say(len(result.files_written), to.stat("script").executable)
                result = to.import_single_file({self.directory + "/host/deep/script"!r})
                self.say(len(result.overwritten))
                return "/"
            """
        )
        self.assertEqual(said["is"], "done", said)
        infos = self.infos()
        self.assertEqual(infos[0], "['d/e', 'd/f', 'd', 'o/p', 'o', 'g', 'l']|['w']|['o']|['i']")
        self.assertEqual(infos[1:3], ["None", "DirectoryError: Destination is a regular file, not a directory: /d"])
        self.assertIn("DirectoryError: Error importin", infos[3])
        self.assertIn("neither a file, a directory nor a symbolic link", infos[3])
        self.assertEqual(infos[4:], ["1|True", "1"])
        imports = [(call["from_tree"], call["from_path"], call["path"], call["chosen"]) for call in self.asker.calls if call["call"] == "import"]
        chosen = ["d/e", "d/f", "o", "g", "l"]
        self.assertEqual(imports, [(0, "/from", "/to", chosen), (0, "/from", "/to", None), (1, "/", "/to", None), (2, "/", "/to", ["link"])])
        self.assertEqual(self.asker.trees[1], {"deep": {"script": (b"#!/bin/sh\n", True)}, "link": "deep/script"})
        self.assertEqual(os.listdir(self.exchange), [])

    def test_tar(self):
        self.asker.trees[0] = {"d": {"x": (b"text", True)}, "a": (b"", False), "l": "d/x"}
        said = self.assembled(
            """
            def assemble(self, sandbox):
                data = io.BytesIO()
                with tarfile.open(fileobj=data, mode="w") as tar:
                    sandbox.get_virtual_directory().export_to_tar(tar, "top", mtime=5)
                with tarfile.open(fileobj=io.BytesIO(data.getvalue())) as tar:
                    for entry in tar:
                        self.say(entry.name, oct(entry.mode), entry.mtime, entry.type, entry.linkname, entry.isreg() and tar.extractfile(entry).read())
                return "/"
            """
        )
        self.assertEqual(said["is"], "done", said)
        self.assertEqual(
            self.infos(),
            ["top/a|0o644|5|b'0'||b''", "top/d|0o755|5|b'5'||False", "top/d/x|0o755|5|b'0'||b'text'", "top/l|0o777|5|b'2'|d/x|False"],
        )

    def test_one_call_for_a_directory(self):
        """A tree that is walked costs a call for each directory, again and again; so does one that files are put into."""
        self.asker.trees[0] = {"a": {str(number): {"f": (b"", False)} for number in range(5)}}
        self.assembled(
            """
            def assemble(self, sandbox):
                root = sandbox.get_virtual_directory()
                for _ in range(3):
                    for path in root.list_relative_paths():
                        root.isdir(path), root.stat(path)
                out = root.open_directory("out", create=True)
                for number in range(20):
                    with out.open_file(str(number), mode="w"):
                        pass
                    assert out.exists(str(number))
                return "/"
            """
        )
        self.assertEqual((self.names().count("directory"), self.names().count("put"), len(self.asker.calls)), (7, 20, 28))


class Sandboxes(ElementTest):
    def test_batches(self):
        """Commands of a batch go with its outermost end, with where they run and what they see."""
        self.asker.answers["run"] = lambda said: {"status": 3} if not said["batch"] else None
        said = self.assembled(
            """
            def configure_sandbox(self, sandbox):
                sandbox.set_environment({"A": "b"})
                sandbox.set_work_directory("/work")
                sandbox.mark_directory("/m")
            def assemble(self, sandbox):
                self.say(sandbox.run(["a", "b"], cwd="/x", label="unheard"), sandbox.run("c", root_read_only=True, env={"C": "d"}))
                with sandbox.batch(root_read_only=True, label="all", collect="/c"):
                    self.say(sandbox.run(["one"], root_read_only=True, label="first"))
                    with sandbox.batch(root_read_only=True, label="nested"):
                        sandbox.run(["two"], root_read_only=True, cwd="/y")
                        sandbox._create_empty_file("marker")
                    self.say(self.refused(sandbox.run, ["three"]))
                    with sandbox.batch(root_read_only=True):
                        self.run_cleanup_commands(sandbox)
                with sandbox.batch():
                    pass
                with sandbox.batch():
                    sandbox._clean_directory("/build")
                try:
                    with sandbox.batch():
                        sandbox.run(["lost"])
                        raise KeyError
                except KeyError:
                    pass
                return "/install"
            """
        )
        self.assertEqual(said["sandbox"], {"environment": {"A": "b"}, "work_directory": "/work", "marked": ["/m"], "own": None})
        self.assertEqual(self.infos(), ["3|3", "None", "AssertionError: Inconsistent sandbox flags in single command batch"])

        def step(argv, directory, label=None, **environment):
            return {"argv": argv, "directory": directory, "environment": {**(environment or {"A": "b"}), "PWD": directory}, "label": label}

        run = {"is": "call", "call": "run", "marked": ["/m"]}
        self.assertEqual(
            self.asker.calls,
            [
                {**run, "read_only": False, "batch": False, "steps": [step(["a", "b"], "/x")]},
                {**run, "read_only": True, "batch": False, "steps": [step(["c"], "/work", C="d")]},
                {**run, "read_only": True, "batch": True, "steps": [
                    step(["one"], "/work", "first"), step(["two"], "/y"), {"touch": "marker", "directory": "/y"}, {"clean": "/build"},
                ]},
            ],
        )  # fmt: skip

    def test_failures(self):
        """What a command that fails is to plugins, and what an artifact of a failure is collected from."""
        failure = {"do": "raise", "domain": "sandbox", "reason": "command-failed", "message": "Command failed", "detail": "d", "place": None, "temporary": False}
        self.asker.answers["run"] = failure
        body = """
            def configure_sandbox(self, sandbox):
                sandbox.set_environment({})
            def assemble(self, sandbox):
                try:
                    with sandbox.batch(collect="/partial"):
                        sandbox.run(["false"])
                except SandboxCommandError as error:
                    self.say(error, error.detail, error.collect, error.reason)
                    raise
        """
        said = self.assembled(body)
        self.assertEqual((said["is"], said["domain"], said["reason"], said["collect"]), ("error", "sandbox", "command-failed", "/partial"))
        self.assertEqual(self.infos(), ["Command failed|d|/partial|command-failed"])
        failure["reason"] = "missing-command"
        self.assertEqual(self.assembled(body)["collect"], None)
        for error, collect in (("ElementError('x', collect='/c', reason='r')", "/c"), ("ElementError('x')", None)):
            said = self.assembled(f"def assemble(self, sandbox):\n    raise {error}")
            self.assertEqual((said["domain"], said["message"], said["collect"]), ("element", "x", collect))
        # No artifact comes of other errors.
        for error in ("DirectoryError('x')", "ValueError('x')"):
            self.assertNotIn("collect", self.assembled(f"def assemble(self, sandbox):\n    raise {error}"))
        self.assertEqual(self.act("configure-sandbox", self.asked())["is"], "done")
        self.element("def stage(self, sandbox):\n    raise ElementError('x', collect='/c')")
        self.host.end()
        self.host = None
        self.act("configure-sandbox", self.asked())
        said = self.act("stage-element")
        self.assertEqual((said["is"], said["domain"], "collect" in said), ("error", "element", False))

    def test_errors_of_calls(self):
        """H17: each domain is its class, with all that was said."""
        self.element(
            """
            def stage(self, sandbox):
                try:
                    self.stage_dependency_artifacts(sandbox)
                except Exception as error:
                    self.say(type(error).__name__, error, error.domain.name, getattr(error.reason, "name", error.reason), error.detail)
            """
        )
        dependencies = [{"name": "a.bst", "kind": "k", "project": "p", "config": None, "runtime": False, "build": True, "needs": [], "artifact": 4, "key": "k"}]
        expected = {
            ("element", "overlaps"): "ElementError|m|ELEMENT|overlaps|d", ("plugin", "overlaps"): "PluginError|m|PLUGIN|overlaps|d",
            ("virtual-fs", None): "DirectoryError|m|VIRTUAL_FS|None|d", ("sandbox", "x"): "SandboxError|m|SANDBOX|x|d",
            ("load", "invalid-data"): "LoadError|m|LOAD|INVALID_DATA|d", ("odd", "x"): "PluginError|m|PLUGIN|x|d",
        }  # fmt: skip
        for (domain, reason), text in expected.items():
            self.asker.answers["stage"] = {"do": "raise", "domain": domain, "reason": reason, "message": "m", "detail": "d", "place": None, "temporary": False}
            self.act("configure-sandbox", self.asked(dependencies=dependencies))
            self.act("stage-element")
            self.assertEqual(self.infos(), [text])

    def test_elements_without_commands(self):
        said = self.assembled("BST_RUN_COMMANDS = False\ndef assemble(self, sandbox):\n    sandbox.run(['x'], env={})")
        self.assertEqual((said["domain"], said["reason"]), ("plugin", "unhandled-exception"))
        self.assertIn("Element specified BST_RUN_COMMANDS as False but called Sandbox.run()", said["message"])


class Elements(ElementTest):
    dependency = {"kind": "stack", "project": "p", "config": None, "runtime": False, "build": False}

    def dependencies(self):
        return [
            {**self.dependency, "name": "a.bst", "build": True, "needs": [1], "artifact": 10, "key": "ka"},
            {**self.dependency, "name": "b.bst", "build": True, "needs": [], "artifact": 11, "key": "kb"},
        ]

    def test_staging(self):
        """What is staged, integrated and asked of dependencies, and where that is refused."""
        self.asker.answers["stage"] = {"written": ["f"], "overwritten": ["o"], "ignored": []}
        self.asker.answers["public"] = lambda said: {"public": node({"bst": {"integration-commands": ["ldconfig"]}, "more": {"x": str(said["element"])}})}
        self.asker.answers["manifest"] = {"paths": ["bin", "bin/sh"]}
        self.asker.answers["variables"] = {"variables": {"v": "1"}}
        self.asker.answers["environment"] = {"environment": {"E": "2"}}
        self.asker.answers["run"] = {}
        info = {"url": "u", "medium": "git", "version_type": "commit", "version": "1", "guess": "1.0", "extra": {"a": "b"}, "provenance": {"homepage": "h"}}
        self.asker.answers["sources"] = {"sources": [{"kind": "git", "info": [info]}]}
        self.element(
            """
            def configure_sandbox(self, sandbox):
                self.say(self.refused(self.stage_dependency_artifacts, sandbox))
            def stage(self, sandbox):
                self.stage_dependency_artifacts(sandbox)
                a = next(each for each in self.dependencies() if each.name == "a.bst")
                result = a.stage_artifact(sandbox, path="/sys//root", action=OverlapAction.ERROR, include=["x"], orphans=False)
                self.say(result.files_written, result.overwritten)
                self.stage_dependency_artifacts(sandbox, [self.search("b.bst")], path="/", action=OverlapAction.IGNORE, exclude=["y"])
                self.say(self.refused(self.stage_artifact, sandbox))
                with sandbox.batch():
                    for each in self.dependencies():
                        each.integrate(sandbox)
            def assemble(self, sandbox):
                a = self.search("a.bst")
                self.say(self.refused(a.stage_artifact, sandbox))
                self.say(a.get_artifact_name(), self.get_artifact_name(), list(a.compute_manifest(include=["x"])), a.get_variable("v"), a.get_environment())
                self.say(a.get_public_data("more").get_str("x"), a.get_public_data("none"))
                (source,) = a.sources()
                (info,) = source.collect_source_info()
                self.say(source.get_kind(), info.serialize(), hasattr(source, "translate_url"), info.homepage)
                with self.subsandbox(sandbox) as sub:
                    self.stage_dependency_artifacts(sub, [a])
                    digest = sub.get_virtual_directory()._get_digest()
                    sub.get_virtual_directory().open_directory("new", create=True)
                    self.say(digest.hash, digest.size_bytes)
                    sub.set_environment({})
                    try:
                        sub.run(["x"])
                    except Exception as error:
                        self.say(type(error).__name__, error)
                    kept = sub
                self.say(self.refused(self.stage_dependency_artifacts, kept))
                data = self.get_public_data("bst")
                data["new"] = ["x"]
                self.set_public_data("bst", data)
                self.stage_sources(sandbox, "/src")
                return "/"
            """
        )
        self.asker.answers["stage_sources"] = {}
        self.act("configure-sandbox", self.asked(dependencies=self.dependencies()))
        outside = "AssertionError: Attempted to stage artifacts outside of Element.stage()"
        self.assertEqual(self.infos(), [outside])
        self.act("stage-element")
        self.assertEqual(self.infos(), ["['f']|['o']", "ElementError: No artifacts to stage"])
        stage = {"is": "call", "call": "stage", "tree": 0, "include": None, "exclude": None, "orphans": True, "path": "/"}
        self.assertEqual(
            [call for call in self.asker.calls if call["call"] in ("stage", "run")],
            [
                {**stage, "elements": [11, 10], "action": "warning"},
                {**stage, "elements": [10], "path": "/sys/root", "action": "error", "include": ["x"], "orphans": False},
                {**stage, "elements": [11], "action": "ignore", "exclude": ["y"]},
                {"is": "call", "call": "run", "steps": [{"integrate": 11}, {"integrate": 10}], "read_only": False, "marked": [], "batch": True},
            ],
        )
        said = self.act("assemble")
        self.assertEqual(said["is"], "done", said)
        self.assertEqual(
            self.infos(),
            [
                outside, "p/a/ka|p/some-element/0123456789abcdef|['bin', 'bin/sh']|1|{'E': '2'}", "10|None",
                "git|{'kind': 'git', 'url': 'u', 'homepage': 'h', 'provenance': {'homepage': 'h'}, 'medium': 'git', 'version-type': 'commit', "
                "'version': '1', 'version-guess': '1.0', 'extra-data': {'a': 'b'}}|False|h",
                "h1|7", "ImplError|Sandbox of type 'Sandbox' does not implement _run()", outside,
            ],
        )  # fmt: skip
        self.assertEqual(said["public"][3]["bst"][3]["new"][3][0][3], "x")
        self.assertEqual((self.asker.trees[0]["src"], self.asker.trees[1]), ({}, {"new": {}}))
        self.assertEqual(self.names().count("public"), 1)

    def test_dependencies_that_come_twice(self):
        """What a dependency needs is counted as the question has it, where one with two configurations comes twice."""
        twice = {**self.dependency, "name": "a.bst", "build": True, "needs": [2], "artifact": 0, "key": "k"}
        dependencies = [
            {**twice, "config": node({"location": "/x"})}, {**twice, "config": node({"location": "/y"})},
            {**self.dependency, "name": "b.bst", "needs": [3], "artifact": 1, "key": "k"}, {**self.dependency, "name": "c.bst", "needs": [], "artifact": 2, "key": "k"},
        ]  # fmt: skip
        self.assembled(
            """
            def configure_dependencies(self, dependencies):
                self.places = [(each.element.name, each.config.get_str("location")) for each in dependencies]
            def assemble(self, sandbox):
                self.say(self.places, [each.name for each in self.dependencies()])
                return "/"
            """,
            dependencies=dependencies,
        )
        self.assertEqual(self.infos(), ["[('a.bst', '/x'), ('a.bst', '/y')]|['c.bst', 'b.bst', 'a.bst']"])

    def test_build_elements(self):
        """Layout, digests, the four steps, the marker of workspaces and the end of the build root."""
        self.asker.answers["stage"] = {"written": [], "overwritten": [], "ignored": []}
        self.asker.answers.update({"run": {}, "stage_sources": {}})
        self.write("plugins/kind.py", "from buildstream import BuildElement\nclass K(BuildElement):\n    BST_MIN_VERSION = '2.0'\ndef setup():\n    return K\n")
        dependencies = self.dependencies()
        dependencies[1]["config"] = node({"location": "/sysroot", "digest-environment": "DIGEST"})
        question = self.asked({"configure-commands": ["conf"], "install-commands": ["make install"]}, dependencies=dependencies, workspaced=True)
        question["variables"]["command-subdir"] = "sub"
        said = self.act("configure-sandbox", question)
        environment = {"PATH": "/bin", "DIGEST": "h1/7"}
        sandbox = {"environment": environment, "work_directory": "/build/sub", "marked": ["/build", "/install"], "own": environment}
        self.assertEqual(said["sandbox"], sandbox)
        activities = lambda: [said["text"] for said in self.host.messages if said["is"] == "begin" and said["silent"]]  # noqa: E731
        self.assertEqual(activities(), ["Staging dependencies for 'DIGEST' in subsandbox"])
        self.act("stage-element")
        self.assertEqual(activities(), ["Staging dependencies at: /", "Staging dependencies at: /sysroot", "Integrating sandbox"])
        self.assertEqual([call["elements"] for call in self.asker.calls if call["call"] == "stage"], [[11, 10], [11]])
        for prepared in (False, True):
            if prepared:
                self.act("configure-sandbox", question)
                shutil.rmtree(self.exchange)
                os.mkdir(self.exchange)
                self.asker.trees[0] = {}
                self.act("stage-element")
                self.asker.trees[0]["build"] = {".bst-prepared": (b"", False)}
            said = self.act("assemble")
            self.assertEqual(said.get("collect"), "/install", said)
            (run,) = [call for call in self.asker.calls if call["call"] == "run"]
            texts = [step.get("label") or step.get("touch") for step in run["steps"]]
            self.assertEqual(texts, ["make install"] if prepared else ["conf", ".bst-prepared", "make install"])
            self.assertEqual(run["steps"][-1]["argv"], ["sh", "-c", "-e", "make install\n"])
            self.assertTrue(run["read_only"])
        script = self.act("script", question)["script"]
        self.assertEqual(script, "(set -ex; conf\n) || exit 1\n(set -ex; make install\n) || exit 1\n")
        self.act("configure-sandbox", {**question, "workspaced": False})
        self.asker.trees[0] = {}
        self.act("stage-element")
        self.act("assemble")
        self.assertEqual(self.asker.calls[-1]["steps"][-1], {"clean": "/build"})

    def test_script_elements(self):
        self.asker.answers["stage"] = {"written": [], "overwritten": [], "ignored": []}
        self.asker.answers["run"] = {}
        said = self.assembled(
            """
            BST_FORBID_SOURCES = False
            def configure(self, node):
                self.set_work_dir("/w")
                self.set_install_root("/out")
                self.set_root_read_only(True)
                self.add_commands("one", ["a", "b"])
                self.add_commands("two", ["c"])
            configure_sandbox = ScriptElement.configure_sandbox
            stage = ScriptElement.stage
            """,
            base="ScriptElement",
            dependencies=self.dependencies(),
        )
        self.assertEqual(said["collect"], "/out")
        self.assertEqual([step.get("label") or step for step in self.asker.calls[-1]["steps"]], ["a", "b", "c", {"clean": "/build"}])
        self.assertEqual(self.asker.trees[0], {"out": {}})


class Misuse(ElementTest):
    def test_nothing_of_jobs_is_imported_before(self):
        """A load pays for no sandbox, unless a plugin names one."""
        self.write("plugins/kind.py", textwrap.dedent("""
            import sys
            from buildstream import Element, ElementError
            class Kind(Element):
                BST_MIN_VERSION = "2.0"
                def configure(self, node):
                    pass
                def preflight(self):
                    pass
                def get_unique_key(self):
                    parts = ("buildstream.sandbox", "buildstream.storage", "buildstream._host.elements", "buildstream._host.calls")
                    return [name for name in sys.modules if name.startswith(parts)]
            def setup():
                return Kind
            """))  # fmt: skip
        self.assertEqual(self.answer(self.asked()).get("key"), "[]")

    def test_no_job(self):
        """What needs a job is refused by name while projects are loaded."""
        for method, call in (("integrate", "integrate(None)"), ("stage_sources", "stage_sources(None, '/')"), ("get_artifact_name", "get_artifact_name()")):
            self.element(f"def preflight(self):\n    self.{call}")
            error = self.answer({**self.asked(), "key": None})["error"]
            self.assertEqual(error["reason"], "not-in-a-job")
            self.assertIn(method + "()", error["message"])
            self.host.end()
            self.host = None

    def test_threads(self):
        """H21: only the thread that works may call, and nothing may in the midst of a call."""
        said = self.assembled(
            """
            def assemble(self, sandbox):
                root = sandbox.get_virtual_directory()
                def run():
                    try:
                        len(root)
                    except Exception as error:
                        errors.append(error)
                errors = []
                thread = threading.Thread(target=run)
                thread.start()
                thread.join()
                self.say(errors[0], errors[0].reason, len(root))
                return "/"
            """
        )
        self.assertEqual(said["is"], "done", said)
        self.assertIn("|not-the-thread|0", self.infos()[0])

    def test_interrupted_calls(self):
        """A plugin whose signal handler throws an answer away has no more of them, whatever it does about that."""
        self.asker.answers["digest"] = self.slowly
        self.element(
            """
            def assemble(self, sandbox):
                def handle(*_):
                    raise TimeoutError
                signal.signal(signal.SIGUSR1, handle)
                try:
                    sandbox.get_virtual_directory()._get_digest()
                except TimeoutError:
                    pass
                try:
                    return "/" + "".join(sandbox.get_virtual_directory())
                except BaseException:
                    return "/"
            """
        )
        self.act("configure-sandbox", self.asked())
        self.act("stage-element")
        with self.assertRaises((Ended, BrokenPipeError, ConnectionResetError)):
            self.act("assemble")
        self.assertEqual(self.host.process.wait(60), 1)

    def slowly(self, said):
        os.kill(self.host.process.pid, 10)
        # The host has seen it when it ends.
        self.host.process.wait(60)
        return {}

    def test_answers_that_are_none(self):
        """H2: what is no answer ends the host."""
        for answer in (b"\xff\xff\xff\xff", {"do": "hello"}, {}):
            self.element("def assemble(self, sandbox):\n    return str(len(sandbox.get_virtual_directory()))")
            self.act("configure-sandbox", self.asked())
            self.act("stage-element")
            host = self.host
            host.send({"do": "work", "id": 9, "action": "assemble", "question": {"element": "some/element.bst"}, "project": self.project, "directory": self.exchange, "previous": None, "retries": 0})
            self.assertEqual(host.receive()["is"], "call")
            host.send_bytes(answer) if isinstance(answer, bytes) else host.send(answer)
            with self.assertRaises(Ended):
                host.receive()
            self.assertEqual(host.process.returncode, 1)
            self.host = None

    def test_what_goes_on_with_nothing(self):
        """An action that follows none ends the host, and so does one of another element."""
        self.element()
        for first in (None, self.asked()):
            self.started()
            if first:
                self.act("configure-sandbox", first)
            with self.assertRaises(Ended):
                self.act("assemble", {"element": "some/element.bst" if first is None else "other.bst"})
            self.assertEqual(self.host.process.returncode, 1)

    def test_values_that_have_no_form(self):
        """What a plugin gives that is no text is its failure, and no end of the host."""
        for body in (
            "    sandbox.run([b'x'], env={})", "    sandbox.run([], env={})", "    sandbox.run(['x'], env={'A': 1})", "    return b'/'",
            "    sandbox.get_virtual_directory().open_directory('a\\0b', create=True)", "    raise ElementError('x', collect=b'/')",
        ):  # fmt: skip
            said = self.assembled("def assemble(self, sandbox):\n" + body)
            self.assertEqual(said["is"], "error", said)
        said = self.assembled("def assemble(self, sandbox):\n    sandbox.run(['x' * (65 << 20)], env={})")
        self.assertIn("more than 64 MiB", said["message"])
        self.assertEqual(self.assembled("def assemble(self, sandbox):\n    return '/'")["is"], "done")


if __name__ == "__main__":
    unittest.main(verbosity=2)
