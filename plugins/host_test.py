"""The host of plugins, asked as its asker asks while projects are loaded: what BuildStream answers to the same
(testdata/answers.json, made by ask_buildstream.py), what it tells of what plugins look at, and what it makes of plugins that
misbehave."""

import os
import sys
import textwrap
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from buildstream._host import keys, packing  # noqa: E402
from host_process import HERE, Ended, Host, HostTest, cases_of, differences, node  # noqa: E402

PROJECT = os.path.join(HERE, "testdata", "project")


class Answers(HostTest):
    def test_what_buildstream_answers(self):
        """H6, H7: keys, references, URLs, warnings and errors are BuildStream's, one after the other of one process."""
        project, cases = cases_of(os.path.join(HERE, "testdata", "answers.json"), PROJECT, self.mirrors)
        self.assertGreater(len(cases), 90)
        questions = [{**case["question"], "project": 0} for case in cases]
        answers, _ = self.started().load(questions, [project])
        for case, answer in zip(cases, answers):
            with self.subTest(case["target"]):
                self.assertEqual(differences(case, answer), [])

    def test_places(self):
        """An error has the place of what is wrong, or that of the plugin."""
        self.plugin('def preflight(self):\n    self.node.validate_keys(["ref"])')
        answer = self.answer(self.question({"ref": "abc", "reff": "x"}))
        self.assertEqual(answer["error"]["place"], ["some/element.bst", 9, 2])
        self.assertEqual((answer["error"]["domain"], answer["error"]["reason"]), ("source", "invalid-data"))
        self.plugin('def preflight(self):\n    raise SourceError("no")', kind="other")
        self.assertEqual(self.answer(self.question(kind="other"))["error"]["place"], ["some/element.bst", 7, 2])

    def test_failures_are_followed_by_answers(self):
        """H4: a question that fails is answered, and so is the next one. What isn't BuildStream's has its traceback."""
        self.plugin(
            """
            def get_unique_key(self):
                if self.ref == "exit":
                    sys.exit(3)
                if self.ref == "deep":
                    return self.get_unique_key()
                if self.ref == "zero":
                    return 1 // 0
                if self.ref == "interrupt":
                    raise KeyboardInterrupt
                if self.ref == "set":
                    return {1, 2}
                if self.ref == "node":
                    return self.node
                if self.ref == "unprintable":
                    class Odd(Exception):
                        def __str__(self):
                            raise ValueError
                    raise Odd
                return [self.ref]
            """
        )
        refs = ["a", "exit", "b", "deep", "c", "zero", "interrupt", "set", "node", "unprintable", "d"]
        answers = self.answers(*[self.question({"ref": ref}) for ref in refs])
        good = {index: answer["key"] for index, answer in enumerate(answers) if "error" not in answer}
        self.assertEqual(good, {0: '["a"]', 2: '["b"]', 4: '["c"]', 10: '["d"]'})
        for index in set(range(11)) - set(good):
            error = answers[index]["error"]
            self.assertEqual((error["domain"], error["reason"]), ("plugin", "unhandled-exception"), refs[index])
            self.assertIn("kind", error["message"])
        detail = answers[5]["error"]["detail"]
        self.assertIn("ZeroDivisionError", detail)
        self.assertIn(f'File "{self.directory}/plugins/kind.py", line', detail)
        self.assertNotIn("_host", detail)
        self.assertEqual(detail.splitlines()[1], f'  File "{self.directory}/plugins/kind.py", line 35, in get_unique_key')
        self.write("plugins/wrong.py", "def setup(:\n")
        detail = self.answer(self.question(kind="wrong"))["error"]["detail"]
        self.assertEqual(detail.splitlines()[0], f'  File "{self.directory}/plugins/wrong.py", line 1')

    def test_values_without_a_form(self):
        """A reference that is nothing YAML has is an error of that question."""
        self.plugin("def get_ref(self):\n    return object() if self.ref == 'object' else self.ref")
        answers = self.answers(self.question({"ref": "object"}), self.question())
        self.assertIn("type object has no form", answers[0]["error"]["message"])
        self.assertEqual(answers[1]["ref"], "abc")

    def test_flags_and_class(self):
        self.plugin(
            """
            BST_MIN_VERSION = "2.3"
            BST_REQUIRES_PREVIOUS_SOURCES_STAGE = True
            BST_STAGE_VIRTUAL_DIRECTORY = True
            BST_PLUGIN_DEPRECATED = True
            BST_PLUGIN_DEPRECATION_MESSAGE = "use another"
            """
        )
        answer = self.answer()
        self.assertEqual(
            answer["flags"], ["BST_REQUIRES_PREVIOUS_SOURCES_STAGE", "BST_STAGE_VIRTUAL_DIRECTORY", "BST_PLUGIN_DEPRECATED"]
        )
        self.assertEqual((answer["min_version"], answer["deprecation"]), ("2.3", "use another"))

    def test_references(self):
        """They are told as YAML has them, whatever they are in Python; by track, too."""
        ref = "('abc', [{'tag': 'v1', 'annotated': True, 3: 1.5}, None])"
        self.plugin(f"def get_ref(self):\n    return {ref}\ndef track(self):\n    return self.get_ref()")
        told = ["abc", [{"tag": "v1", "annotated": "True", "3": "1.5"}, None]]
        self.assertEqual(self.answer()["ref"], told)
        self.assertEqual(self.work("track")["ref"], told)

    def test_sources_of_elements(self):
        """Of its sources an element knows the kinds once they are made; what else it asks of one is refused by name."""
        self.plugin(
            """
            def configure(self, node):
                self.before = list(self.sources())
            def get_unique_key(self):
                return [self.before, [[each.name, each.get_kind()] for each in self.sources()]]
            """,
            base="Element",
        )
        question = {**self.question(type="element"), "variables": {}, "environment": {}, "public": None, "dependencies": []}
        (answer,) = self.answers({**question, "sources": ["local", "tar"]})
        self.assertEqual(answer["key"], '[[],[["some/element.bst-0","local"],["some/element.bst-1","tar"]]]')
        (answer,) = self.answers(question)
        self.assertEqual(answer["key"], "[[],[]]")
        self.plugin("def get_unique_key(self):\n    return [each.get_ref() for each in self.sources()]", base="Element")
        (answer,) = self.answers({**question, "sources": ["local"]})
        self.assertEqual(answer["error"]["reason"], "unsupported-by-host")
        self.assertIn("'get_ref' of a source", answer["error"]["message"])

    def test_elements(self):
        """What an element's class has of its own, and public data that it changed."""
        self.write(
            "plugins/kind.py",
            textwrap.dedent(
                """
                from buildstream import BuildElement, Node
                class Kind(BuildElement):
                    BST_MIN_VERSION = "2.0"
                    BST_ARTIFACT_VERSION = 5
                    def configure(self, node):
                        super().configure(node)
                        data = self.get_public_data("bst")
                        self.rules = data.get_mapping("split-rules").keys()
                        if self.get_variable("change"):
                            data["more"] = ["x"]
                            self.set_public_data("bst", data)
                        assert self.get_public_data("none") is None
                    def assemble(self, sandbox):
                        sandbox.run(["true"])
                    def get_unique_key(self):
                        return [self.rules, super().get_unique_key()]
                def setup():
                    return Kind
                """
            ),
        )
        question = self.question({"build-commands": ["make"]}, type="element")
        more = {"variables": {}, "environment": {"A": "b"}, "public": node({"bst": {"split-rules": {"devel": ["/x"]}}}), "dependencies": []}
        plain, changed = self.answers({**question, **more}, {**question, **more, "variables": {"change": "yes"}})
        self.assertEqual(
            plain["key"],
            '[["devel"],{"build-commands":["make"],"configure-commands":[],"install-commands":[],"strip-commands":[]}]',
        )
        self.assertEqual((plain["public"], plain["commands"], plain["base"], plain["artifact_version"]), (None, ["assemble"], "BuildElement", 5))
        self.assertEqual(plain["flags"], ["BST_RUN_COMMANDS", "BST_ELEMENT_HAS_ARTIFACT"])

        def stripped(packed):
            value = packed[3]
            if isinstance(value, dict):
                return {key: stripped(item) for key, item in value.items()}
            return [stripped(item) for item in value] if isinstance(value, list) else value

        self.assertEqual(stripped(changed["public"]), {"bst": {"split-rules": {"devel": ["/x"]}, "more": ["x"]}})

    def test_dependencies_of_dependencies(self):
        """dependencies() comes in BuildStream's order where the asker says what dependencies need."""
        self.write(
            "plugins/kind.py",
            textwrap.dedent(
                """
                from buildstream import Element
                from buildstream.types import _Scope
                class Kind(Element):
                    BST_MIN_VERSION = "2.0"
                    def configure(self, node):
                        pass
                    def preflight(self):
                        pass
                    def get_unique_key(self):
                        first = next(self.dependencies(recurse=False))
                        return [
                            [element.name for element in self.dependencies()],
                            [element.name for element in first.dependencies()],
                            [element.name for element in first.dependencies(recurse=False)],
                            self.search("d.bst").name,
                            self.search("none.bst"),
                            [[element.name for element in self._dependencies(scope, recurse=False)] for scope in _Scope],
                            [element.name for element in self._dependencies(_Scope.RUN)],
                        ]
                def setup():
                    return Kind
                """
            ),
        )
        dependency = {"kind": "stack", "project": "p", "config": None, "runtime": False, "build": False}
        dependencies = [
            {**dependency, "name": "a.bst", "build": True, "needs": [3, 2]},
            # It comes once for each of its configurations.
            {**dependency, "name": "a.bst", "build": True, "needs": [3, 2]},
            {**dependency, "name": "b.bst", "build": True, "runtime": True, "needs": [4]},
            {**dependency, "name": "c.bst", "needs": [4]},
            {**dependency, "name": "sub.bst:d.bst", "needs": []},
        ]
        question = self.question(type="element", variables={}, environment={}, public=None, dependencies=dependencies)
        answer = self.answer(question)
        self.assertEqual(
            answer.get("key"),
            '[["d.bst","c.bst","b.bst","a.bst"],["d.bst","c.bst","b.bst","a.bst"],["c.bst","b.bst"],"d.bst",null,'
            '[["a.bst","b.bst"],["a.bst","b.bst"],["b.bst"],[]],["d.bst","b.bst","some/element.bst"]]',
            answer,
        )
        # H22: where it isn't said, the asker is to say it.
        unknown = [{key: value for key, value in each.items() if key != "needs"} for each in dependencies]
        error = self.answer({**question, "dependencies": unknown})["error"]
        self.assertEqual((error["domain"], error["reason"]), ("plugin", "needs-dependencies"))
        self.assertIn("a.bst", error["message"])

    def test_names_across_junctions(self):
        """An element of a subproject names its dependencies as its own project does."""
        self.write(
            "plugins/kind.py",
            textwrap.dedent(
                """
                from buildstream import Element
                class Kind(Element):
                    BST_MIN_VERSION = "2.0"
                    def configure(self, node):
                        pass
                    def configure_dependencies(self, dependencies):
                        self.told = [[each.path, each.element.name, each.element.normal_name] for each in dependencies]
                    def preflight(self):
                        pass
                    def get_unique_key(self):
                        return [self.name, self.told]
                def setup():
                    return Kind
                """
            ),
        )
        names = ("sub.bst:deep/a.bst", "sub.bst:further.bst:b.bst")
        dependencies = [{"name": name, "kind": "x", "project": "q", "build": True, "runtime": False, "config": None} for name in names]
        more = {"type": "element", "variables": {}, "environment": {}, "public": None, "dependencies": dependencies}
        inner, outer = self.answers(self.question(element="sub.bst:e.bst", **more), self.question(element="e.bst", **more))
        self.assertEqual(
            inner.get("key"), '["e.bst",[["deep/a.bst","deep/a.bst","deep-a"],["further.bst:b.bst","b.bst","b"]]]', inner
        )
        self.assertIn('["sub.bst:deep/a.bst","deep/a.bst","deep-a"]', outer["key"])

    def test_private_things_are_refused_by_name(self):
        self.plugin("def get_unique_key(self):\n    return eval(self.ref)")
        asked = {
            "self._get_project().junction_refs": "Project.junction_refs",
            "self._get_context().artifactcache": "Context.artifactcache",
            "self._cache_directory()": "Plugin._cache_directory()",
            "__import__('buildstream').utils._site": "utils._site",
            "__import__('buildstream._yaml')": "buildstream._yaml",
        }
        for (text, named), answer in zip(asked.items(), self.answers(*[self.question({"ref": text}) for text in asked])):
            self.assertIn(named, answer["error"]["message"])
            self.assertIn("not provided to plugins by Sluice", answer["error"]["message"])
        # What is asked for carefully is simply not there.
        answer = self.answer(self.question({"ref": "getattr(self, '_cache_directory', 5)"}))
        self.assertEqual(answer["key"], "5")

    def test_stored_references(self):
        """A project that keeps references elsewhere: the element's has no effect, and is told."""
        self.plugin()
        config = {"ref": "abc"}
        inline, none, other, over = self.answers(
            self.question(config),
            self.question(config, stored={"clear": True, "node": None}),
            self.question(config, stored={"clear": True, "node": node({"ref": "def"})}),
            self.question(config, stored={"clear": False, "node": node({"ref": "ghi"})}),
        )
        self.assertEqual([answer["ref"] for answer in (inline, none, other, over)], ["abc", None, "def", "ghi"])
        self.assertEqual([answer["redundant"] for answer in (inline, none, other, over)], [None, "abc", "abc", None])
        self.assertEqual((none["resolved"], none["key"], other["key"]), (False, None, '["def"]'))

    def test_fatal_warnings(self):
        self.plugin('def preflight(self):\n    self.warn("careful", detail="more", warning_token="odd")')
        self.assertEqual(self.answer()["warnings"], [{"name": "kind:odd", "text": "careful", "detail": "more"}])
        self.project["fatal_warnings"] = ["kind:odd"]
        error = self.answer()["error"]
        self.assertEqual((error["reason"], error["message"].splitlines()[1]), ("kind:odd", "more"))
        self.assertIn("[kind:odd]: careful", error["message"])

    def test_aliases_that_the_parent_project_maps(self):
        self.plugin()
        self.project["closed"] = True
        error = self.answer(self.question({"url": "up:x"}))["error"]
        self.assertEqual((error["domain"], error["reason"]), ("source", "missing-alias-mapping"))
        self.project["aliases"] = {"up": {"url": "https://a/", "fetch": [], "track": ["https://a/"]}}
        error = self.answer(self.question({"url": "up:x"}))["error"]
        self.assertEqual((error["reason"], error["detail"]), ("missing-source-alias-target", "Check fetch controls in your user configuration"))


class Modules(HostTest):
    def test_packages(self):
        """A plugin of a package is found below its root, has its siblings and its parents, and what lies beside it."""
        self.write("site/beside.py", "NAME = 'beside'\n")
        self.write("site/some/__init__.py", "NAME = 'some'\n")
        self.write("site/some/sources/__init__.py", "")
        self.write("site/some/sources/_helper.py", "NAME = 'helper'\n")
        self.plugin("def get_unique_key(self):\n    return NAMES", kind="kind", name="site/some/sources")
        with open(os.path.join(self.directory, "site/some/sources/kind.py"), "a", encoding="utf-8") as file:
            file.write("from ._helper import NAME as one\nfrom .. import NAME as two\nfrom beside import NAME as three\nNAMES = [one, two, three]\n")
        question = self.question(name="site/some/sources", module="some.sources.kind", root=os.path.join(self.directory, "site"))
        answer = self.answer(question)
        self.assertEqual(answer.get("key"), '["helper","some","beside"]', answer)

    def test_changed_modules_are_loaded_again(self):
        """H14: somebody works on a plugin, or on what it imports, while the host lives."""
        self.plugin("def get_unique_key(self):\n    from . import _word\n    return [_word.WORD]")
        word = self.write("plugins/_word.py", "WORD = 'one'\n")
        self.assertEqual(self.answer()["key"], '["one"]')
        self.assertEqual(self.answer()["key"], '["one"]')
        with open(word, "w", encoding="utf-8") as file:
            file.write("WORD = 'another'\n")
        self.assertEqual(self.answer()["key"], '["another"]')
        self.plugin("def get_unique_key(self):\n    os.environ['SET'] = os.environ.get('SET', '') + 'x'\n    return [os.environ['SET']]")
        self.assertEqual(self.answer()["key"], '["x"]')
        # Neither does anything last that a plugin kept of a file.
        data = self.write("data", "one")
        self.plugin(f"KEPT = []\ndef get_unique_key(self):\n    if not self.KEPT:\n        with open({data!r}) as file:\n            self.KEPT.append(file.read())\n    return [self.KEPT, os.environ.get('SET')]")
        self.assertEqual(self.answer()["key"], '[["one"],null]')
        process = self.host.process.pid
        for text in ("other", "third"):
            self.write("data", text)
            self.assertEqual(self.answer()["key"], f'[["{text}"],null]')
        self.assertEqual((self.host.process.poll(), self.host.process.pid), (None, process))

    def test_modules_that_come_later(self):
        """Who looks for a module and finds none depends on the directories where it could have been."""
        beside = os.path.join(self.directory, "beside")
        os.mkdir(beside)
        self.plugin(
            """
            def get_unique_key(self):
                try:
                    import perhaps_some_day
                    return ["there"]
                except ImportError:
                    return ["not there"]
            """
        )
        host = self.started(environment={"PYTHONPATH": beside})
        answers, read = host.load([self.question()], [self.project])
        self.assertEqual(answers[0]["key"], '["not there"]')
        self.assertIn(("directory", beside), read)

    def test_processes_of_plugins(self):
        """multiprocessing works, by children that know the plugin."""
        self.plugin("def get_unique_key(self):\n    import multiprocessing\n    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        return pool.map(abs, [-1, -2])")
        self.assertEqual(self.answer().get("key"), "[1,2]")

    def test_nothing_is_written_beside_plugins(self):
        self.plugin()
        self.answer()
        self.assertEqual(os.listdir(os.path.join(self.directory, "plugins")), ["kind.py"])

    def test_two_kinds_of_one_name(self):
        """Two projects may have kinds of one name, and a source and an element may, too."""
        self.plugin("def get_unique_key(self):\n    return ['a']", name="a")
        self.plugin("def get_unique_key(self):\n    return ['b']", name="b")
        answers = self.answers(self.question(name="a"), self.question(name="b"), self.question(name="a"))
        self.assertEqual([answer["key"] for answer in answers], ['["a"]', '["b"]', '["a"]'])


class Reads(HostTest):
    def test_what_is_read(self):
        """H5: files, directories, questions about paths, variables; of the plugin and of what it imports."""
        data = self.write("data/one.txt", "1")
        listed = os.path.join(self.directory, "data")
        self.write("plugins/_helper.py", f"import os\nSIZE = os.stat({data!r}).st_size\n")
        self.plugin(
            f"""
            def get_unique_key(self):
                from . import _helper
                import pathlib, shutil, glob
                with open({data!r}) as file:
                    text = file.read()
                os.listdir({listed!r})
                os.path.exists({listed + "/none"!r})
                pathlib.Path({listed + "/path"!r}).is_file()
                glob.glob({listed + "/deep"!r} + "/*")
                os.environ.get("SOME_NAME")
                os.getenv("OTHER_NAME")
                "THIRD_NAME" in os.environ
                shutil.which("no-such-program", path={listed!r})
                with open({listed + "/written"!r}, "w") as file:
                    file.write(text)
                return [text]
            """
        )
        read = self.read()
        for what, path in [
            ("file", data), ("directory", listed), ("exists", data), ("exists", listed + "/none"), ("exists", listed + "/path"),
            ("directory", listed + "/deep"), ("environment", "SOME_NAME"), ("environment", "OTHER_NAME"),
            ("environment", "THIRD_NAME"), ("exists", listed + "/no-such-program"),
            ("file", os.path.join(self.directory, "plugins/kind.py")), ("file", os.path.join(self.directory, "plugins/_helper.py")),
        ]:  # fmt: skip
            self.assertIn((what, path), read)
        self.assertNotIn(("file", listed + "/written"), read)
        own = [path for what, path in read if what != "environment" and (path.startswith(HERE) or path.startswith(os.path.dirname(os.__file__)))]
        self.assertEqual(own, [])
        self.assertEqual(len(read), len(set(read)))

    def test_a_second_request_has_read_the_modules_too(self):
        """What is imported already is not read again, and the answer is made of it all the same."""
        self.plugin()
        first = self.read()
        self.assertIn(("file", os.path.join(self.directory, "plugins/kind.py")), first)
        self.assertLessEqual(set(first), set(self.read()))

    def test_project_paths(self):
        self.write("files/x.txt", "x")
        self.plugin('def get_unique_key(self):\n    return self.node_get_project_path(self.node.get_scalar("path"))')
        read = self.read(self.question({"ref": "a", "path": "files/x.txt"}), self.question({"ref": "a", "path": "files/none"}))
        self.assertIn(("exists", os.path.join(self.directory, "files/x.txt")), read)
        self.assertIn(("exists", os.path.join(self.directory, "files/none")), read)
        answer = self.answer(self.question({"ref": "a", "path": "files/x.txt/y"}))
        self.assertEqual(answer["error"]["reason"], "missing-file")

    def test_relative_paths(self):
        """Paths are absolute, and whoever leaves the working directory is brought back."""
        self.write("data/one.txt", "1")
        self.plugin(
            f"""
            def get_unique_key(self):
                before = os.getcwd()
                os.chdir({self.directory!r})
                with open("data/../data/one.txt") as file:
                    return [before, file.read()]
            """
        )
        question = self.question()
        answers, read = self.started().load([question, question], [self.project])
        self.assertEqual([answer.get("key") for answer in answers], ['["/","1"]'] * 2)
        self.assertIn(("file", os.path.join(self.directory, "data/one.txt")), read)


class Misbehaviour(HostTest):
    def test_a_plugin_that_ends_the_process(self):
        """H3: the host is gone, and the answers before that are there."""
        self.plugin("def get_unique_key(self):\n    if self.ref == 'end':\n        os.write(2, b'last words')\n        os._exit(5)\n    return [1]")
        host = self.started()
        host.send({"do": "load", "id": 1, "projects": [self.project], "questions": [self.question(), self.question({"ref": "end"})]})
        with self.assertRaises(Ended) as ended:
            while True:
                said = host.receive()
                self.assertEqual((said["is"], said["index"]), ("answer", 0))
        self.assertIn("last words", str(ended.exception))
        self.assertEqual(host.process.returncode, 5)

    def test_what_is_printed(self):
        """Neither what plugins print nor what their programs print gets between frames."""
        self.plugin(
            """
            def preflight(self):
                print("printed")
                print("complained", file=sys.stderr)
                os.system("echo by a shell")
                self.call(["sh", "-c", "echo called; echo to stderr >&2"])
                self.log("logged", detail="its detail")
            def get_unique_key(self):
                return self.check_output(["sh", "-c", "echo collected; cat; exit 3"], env={"PATH": os.environ["PATH"]})
            """
        )
        self.assertEqual(self.answer()["key"], '[3,"collected\\n"]')
        sent = [said["text"] for said in self.host.messages]
        self.assertEqual(sent, ["Running host command"] * 2)
        self.assertIn("echo called", self.host.messages[0]["detail"])
        self.host.socket.shutdown(1)
        self.host.process.wait(60)
        log = self.host.written()
        for text in ("printed", "complained", "by a shell", "called", "to stderr", "logged\nits detail"):
            self.assertIn(text, log)

    def test_programs_that_fail(self):
        self.plugin('def preflight(self):\n    self.call(["sh", "-c", "exit 3"], fail="It did not work", fail_temporarily=True)')
        error = self.answer()["error"]
        self.assertEqual(error["message"].count("kind source at some/element.bst [line 7 column 2]: "), 2)
        self.assertTrue(error["message"].endswith("It did not work"))

    def test_descriptors(self):
        """The socket is none of those that plugins and their programs see."""
        self.plugin(
            """
            def preflight(self):
                try:
                    os.close(3)
                except OSError:
                    pass
                os.closerange(4, 256)
                sys.stdout.close()
                sys.stderr = None
            def get_unique_key(self):
                return self.check_output(["sh", "-c", "ls /proc/self/fd | wc -l"])[1].strip()
            """
        )
        # 0, 1, 2, and the directory that ls reads.
        self.assertEqual([answer.get("key") for answer in self.answers(*[self.question()] * 2)], ['"4"'] * 2)

    def test_children_that_come_back(self):
        """A child that was forked has no voice, and does not keep the socket open."""
        self.plugin(
            """
            def preflight(self):
                child = os.fork()
                if child:
                    self.status = os.waitpid(child, 0)[1]
                else:
                    self.info("from the child")
            def get_unique_key(self):
                return [self.status]
            """
        )
        self.assertEqual([answer["key"] for answer in self.answers(*[self.question()] * 2)], [f"[{70 << 8}]"] * 2)
        self.assertEqual(self.host.messages, [])

    def test_children_that_stay(self):
        self.plugin(
            """
            def preflight(self):
                if os.fork() == 0:
                    import signal
                    signal.alarm(60)
                    signal.pause()
            def get_unique_key(self):
                os._exit(9)
            """
        )
        host = self.started()
        host.send({"do": "load", "id": 1, "projects": [self.project], "questions": [self.question()]})
        self.assertRaises(Ended, host.receive)

    def test_threads_that_stay(self):
        """What threads say after their request is dropped: nobody expects it."""
        self.plugin(
            """
            def preflight(self):
                import threading
                self.go = GO
                threading.Thread(target=self.wait, daemon=True).start()
            def wait(self):
                self.go.wait()
                self.info("late")
                SAID.set()
            def get_unique_key(self):
                if self.ref == "second":
                    return []
                return []
            def is_resolved(self):
                return True
            """
        )
        path = os.path.join(self.directory, "plugins/kind.py")
        with open(path, "a", encoding="utf-8") as file:
            file.write("import threading\nGO = threading.Event()\nSAID = threading.Event()\n")
        self.answer()
        # The next request lets it go, and it speaks while that is answered: a message within a request is in order.
        self.plugin("def get_unique_key(self):\n    return ['fine']", kind="other")
        self.assertEqual(self.answer(self.question(kind="other"))["key"], '["fine"]')

    def test_memory(self):
        self.plugin("def get_unique_key(self):\n    return [len(bytearray(1 << 31))]")
        self.started(memory=1 << 30)
        self.assertIn("MemoryError", self.answer()["error"]["detail"])
        self.plugin(kind="small")
        self.assertEqual(self.answer(self.question(kind="small"))["key"], '["abc"]')


class Protocol(HostTest):
    def test_hello(self):
        """H1: the same protocol, or none."""
        self.assertEqual((self.started().welcome["is"], self.host.welcome["protocol"]), ("welcome", "plugins/1"))
        for hello in ({"do": "hello", "protocol": "plugins/2"}, {"do": "load", "id": 1}, {}):
            with Host(greet=False) as host:
                host.send(hello)
                self.assertRaises(Ended, host.receive)

    def test_what_is_no_frame(self):
        """H2: too much, no map, an unknown request, half of one."""
        good = packing.pack({"do": "load"})
        for data in (
            b"\xff\xff\xff\xff",
            (1 << 26 | 1).to_bytes(4, "big"),
            b"\0\0\0\1\x93",
            b"\0\0\0\1\xc0",
            b"\0\0\0\2\xc0\xc0",
            b"\0\0\0\1\xcb",
            b"\0\0\0\3\x81\x01\x02",
            b"\0\0\0\5\xdf\xff\xff\xff\xff",
            (len(good) + 1).to_bytes(4, "big") + good,
            b"".join((len(each).to_bytes(4, "big") + each) for each in [packing.pack({"do": "dance", "id": 1})]),
            b"".join((len(each).to_bytes(4, "big") + each) for each in [packing.pack({"do": "work", "id": 1})]),
        ):
            with self.subTest(data), Host() as host:
                host.send_bytes(data)
                host.socket.shutdown(1)
                self.assertRaises(Ended, host.receive)
                self.assertEqual(host.process.returncode, 1)

    def test_version(self):
        self.plugin("def get_unique_key(self):\n    import buildstream\n    from buildstream import utils\n    return [buildstream.__version__, utils.get_bst_version()]")
        self.assertEqual(self.answer()["key"], '["2.8.1",[2,8]]')

    def test_packing(self):
        numbers = [0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
        numbers += [-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63)]
        texts = ["", "a" * 31, "a" * 32, "a" * 255, "a" * 256, "a" * 65536, "é\udc80\U0001f600"]
        shapes = [[1] * 15, [1] * 16, [1] * 65536, {str(i): i for i in range(15)}, {str(i): i for i in range(70000)}, [{"a": [None, True, False]}]]
        for value in [*numbers, *texts, *shapes]:
            self.assertEqual(packing.unpack(packing.pack(value)), value)
        try:
            import msgpack
        except ImportError:
            pass
        else:
            self.assertEqual(packing.pack(numbers), msgpack.packb(numbers))
            self.assertEqual(packing.unpack(msgpack.packb([numbers, shapes])), [numbers, shapes])
        for value in (2**64, -(2**63) - 1, 1.5, b"x", {1: 2}, {1}, "\ud800"):
            self.assertRaises(packing.PackingError, packing.pack, value)
        deep = []
        for _ in range(100000):
            deep = [deep]
        self.assertRaises(packing.PackingError, packing.pack, deep)
        self.assertRaises(packing.PackingError, packing.unpack, b"\x91" * 100000 + b"\xc0")

    def test_key_json(self):
        """H6, with what BuildStream's encoder (ujson 5) made of each."""
        for value, text in [
            ("\x7f\x1f\b\f\n\r\t\"\\/", '"\x7f\\u001f\\b\\f\\n\\r\\t\\"\\\\/"'),
            ("\\u007f\x7f", '"\\\\u007f\x7f"'),
            ("é\U0001f600", '"\\u00e9\\ud83d\\ude00"'),
            ("\udc80", '"\\udc80"'),
            ({"b": 1, "a": [True, None, (1, 2)]}, '{"a":[true,null,[1,2]],"b":1}'),
            ({1: 2, 10: 3, 2: 4}, '{"1":2,"2":4,"10":3}'),
            ({True: 1}, '{"true":1}'),
            ({("a",): 1}, "{\"('a',)\":1}"),
            ([1.0, 1e22, 1e-7, 0.1, -0.0, float("inf"), float("nan")], "[1.0,1e+22,1e-7,0.1,-0.0,Infinity,NaN]"),
            ([2**63, 2**70, -(2**63) - 1], "[9223372036854775808,1180591620717411303424,-9223372036854775809]"),
            ([{"\x7f": "\x7f"}, {}, []], '[{"\x7f":"\x7f"},{},[]]'),
        ]:
            self.assertEqual(keys.key_json(value), text)
        for value in ({1, 2}, object(), {1: 2, "a": 3}, b"x", [{1}]):
            self.assertRaises(TypeError, keys.key_json, value)


if __name__ == "__main__":
    unittest.main(verbosity=2)
