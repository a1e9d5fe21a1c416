"""Kinds of elements that are only somebody's Python: what their plugins do that none should, while they are built, is a failure of
their element that names it, and no more. That they build what BuildStream builds is in golden/commands/plugin_elements.txt. Checks
spec/plugins.md, H2, H3, H8 and H17 to H20."""

import os
import re
import shutil
import sys
import textwrap

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from make_project import make_root  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

CONF = """\
name: plug
min-version: 2.0
element-path: elements
fatal-warnings: [code:late]
plugins:
- origin: local
  path: plugins
  elements: [code, steps]
"""
# As the kind `manual` is, but said in Python.
STEPS = """\
from buildstream import BuildElement


class Steps(BuildElement):
    BST_MIN_VERSION = "2.0"

    def assemble(self, sandbox):
        return super().assemble(sandbox)


def setup():
    return Steps
"""
# Each element says what is done in the one place or the other; `call` is the host's way to its asker, past what the plugin API checks.
PLUGIN = """\
import os
from buildstream import Element, ElementError


def call(name, /, **fields):
    from buildstream._host import calls
    return calls._ask({"is": "call", "call": name, **fields})


def shared(name):
    from buildstream._host import calls
    return calls.path_of(name)


class Code(Element):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.code = {step: node.get_str(step, "pass") for step in ("sandbox", "stage", "assemble")}

    def preflight(self):
        pass

    def get_unique_key(self):
        return self.code

    def do(self, step, sandbox):
        names = {**globals(), "self": self, "sandbox": sandbox, "root": sandbox.get_virtual_directory(), "collect": "/out"}
        exec(self.code[step], names)
        return names["collect"]

    def configure_sandbox(self, sandbox):
        self.do("sandbox", sandbox)

    def stage(self, sandbox):
        sandbox.get_virtual_directory().open_directory("out", create=True)
        self.do("stage", sandbox)

    def generate_script(self):
        if "script" not in self.name:
            return super().generate_script()
        return "echo %s > made\\n" % self.get_variable("prefix")

    def assemble(self, sandbox):
        with sandbox.get_virtual_directory().open_file("out/file", mode="w") as file:
            file.write("made")
        return self.do("assemble", sandbox)


def setup():
    return Code
"""
# name: (step, what is done there, what is told)
WRONG = {
    "exits": ("sandbox", "raise SystemExit(3)", "SystemExit"),
    "ends": ("stage", "os._exit(0)", "The process that runs the plugin has ended"),
    "crashes": ("assemble", "__import__('ctypes').string_at(0)", "The process that runs the plugin has ended"),
    "hangs": ("assemble", "while True: pass", "The plugin said nothing for 4 s (plugins.timeout)"),
    "hoards": ("stage", "self.all = [bytearray(1 << 26) for _ in range(1 << 20)]", "MemoryError"),
    "recurs": ("stage", "self.stage(sandbox)", "RecursionError"),
    "no-program": ("assemble", "sandbox.run([], env={})", "A command needs a program"),
    "no-call": ("stage", "call('nothing')", "called for 'nothing', which nothing is"),
    "no-tree": ("stage", "call('directory', tree=7, path='/')", "called for a tree that there isn't"),
    "no-number": ("stage", "call('directory', tree='0', path='/')", "called for a tree that there isn't"),
    "no-dependency": ("stage", "call('public', element=3)", "called for a dependency that there isn't"),
    "no-path": ("stage", "call('make_directory', tree=0)", "called for something without 'path'"),
    "no-texts": ("assemble", "call('import', tree=0, path='/', from_tree=0, from_path='/', chosen=[1])", "whose 'chosen' is no list of texts"),
    "no-action": ("stage", "call('stage', tree=0, elements=[], action='burn', orphans=True)", "called for the overlap action 'burn'"),
    "no-steps": ("assemble", "call('run', steps=[{}], batch=True)", "called for a command without a program"),
    "no-batch": ("assemble", "call('run', steps=[], batch=False)", "called for several commands that are no batch"),
    "no-name": ("assemble", "call('put', tree=0, path='/out/x', name='../../x')", "called for a file named '../../x'"),
    "no-frame": ("assemble", "from buildstream._host import session; session._send({'is': 'gossip'})", "what is no answer to its work"),
    "no-words": ("assemble", "os.write(900, b'\\xff' * 64)", "The plugin's process sent what is no message"),
    "out-of-root": ("stage", "raise ElementError(str(call('make_directory', tree=0, path='/a/../../b')))", "'domain': 'virtual-fs'"),
    "deep": ("stage", "raise ElementError(str(call('make_directory', tree=0, path='/d' * 5000)))", "'domain': 'virtual-fs'"),
    "long": ("stage", "raise ElementError(str(call('make_directory', tree=0, path='/' + 'd' * 300)))", "'domain': 'virtual-fs'"),
    "bytes": ("stage", "raise ElementError(str(call('make_directory', tree=0, path='/\\udcff')))", "'domain': 'virtual-fs'"),
    "zero": ("stage", "raise ElementError(str(call('make_directory', tree=0, path='/a\\0b')))", "'domain': 'virtual-fs'"),
    "rename-bytes": ("assemble", "raise ElementError(str(call('rename', tree=0, path='/out/file', to='/out/\\udcff')))", "'domain': 'virtual-fs'"),
    "put-bytes": ("assemble", "open(shared('o'), 'w').close(); raise ElementError(str(call('put', tree=0, path='/out/\\udcff', name='o')))", "'domain': 'virtual-fs'"),
    "into-itself": ("assemble", "call('import', tree=0, path='/out/in', from_tree=0, from_path='/'); call('rename', tree=0, path='/out', to='/out/in/x'); "
                    "raise ElementError(str(call('directory', tree=0, path='/')))", "'entries'"),
    "environment": ("sandbox", "sandbox.set_environment({'A': '\\udcff'})", "has what is not UTF-8 in A"),
    "public": ("assemble", "from buildstream.node import MappingNode; self.set_public_data('x', MappingNode.from_dict({'a': '\\udcff'}))", "no node of UTF-8 texts"),
    "relative": ("sandbox", "sandbox.mark_directory('here')", "The directories marked in the sandbox must be absolute paths"),
    "collects-a-number": ("assemble", "collect = 7", "assemble() returned what is no path: 7"),
    "thread": ("stage", textwrap.dedent("""
        import threading
        failed = []
        def far():
            try:
                self.stage_sources(sandbox, '/far')
            except Exception as error:
                failed.append(error)
        thread = threading.Thread(target=far)
        thread.start(); thread.join()
        raise failed[0]"""), "Sandboxes and artifacts can only be used by the thread that works"),
    "warns": ("assemble", "self.warn('It is late', warning_token='late')", "[code:late]: It is late"),
    # What isn't granted.
    "link": ("assemble", "os.symlink('/etc', shared('l')); raise ElementError(str(call('take', name='l')))", "'reason': 'not-found'"),
    "file-link": ("assemble", "os.symlink('@SECRET@', shared('l')); raise ElementError(str(call('put', tree=0, path='/out/s', name='l')))", "'reason': 'not-found'"),
    "pipe": ("assemble", "os.mkfifo(shared('p')); raise ElementError(str(call('put', tree=0, path='/out/p', name='p')))", "'reason': 'not-a-file'"),
    "overwrites": ("assemble", "open(shared('o'), 'w').close(); raise ElementError(str(call('get', tree=0, path='/out/file', name='o')))", "'reason': 'not-found'"),
    "project": ("stage", "open('@PROJECT@/planted', 'w')", "Read-only file system"),
    "home": ("stage", "open('@SECRET@').read()", "No such file or directory"),
    "cache": ("assemble", "open('@CACHE@/cas/planted', 'w')", "No such file or directory"),
    "network": ("assemble", "__import__('socket').create_connection(('127.0.0.1', 1), 5)", "Connection refused"),
}
# What a plugin does to its own process is its own.
HARMLESS = {
    "prints": "print('noise' * 1000); os.write(1, b'more'); os.write(2, b'more')",
    "moves": "os.chdir('/usr')",
    "leaves": "__import__('subprocess').Popen(['sleep', '1000'])",
    "forks": "os.fork() or os._exit(0)",
    "masks": "import signal; os.umask(0o777); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "closes": "import sys; sys.stdout = sys.stderr = None; os.close(1); os.close(2)",
}


class Elements(SluiceTest):
    def setUp(self):
        super().setUp()
        self.secret = self.write("home/secret", "of the user")
        self.at = self.project({"project.conf": CONF, "plugins/code.py": PLUGIN, "plugins/steps.py": STEPS})
        self.configure()

    def configure(self, sandbox=True):
        self.write("config/buildstream.conf", "scheduler:\n  on-error: continue\n  builders: 2\nplugins:\n  timeout: 4\n  memory: 512M\n"
                   + ("" if sandbox else "  sandbox: false\n"))

    def element(self, name, step, code):
        for word, value in {"@SECRET@": self.secret, "@PROJECT@": self.at, "@CACHE@": self.cachedir}.items():
            code = code.replace(word, value)
        self.write(os.path.join(self.at, "elements", name + ".bst"),
                   "kind: code\nconfig:\n  %s: |\n%s\n" % (step, textwrap.indent(code.strip("\n"), " " * 4)))

    def assert_clean(self):
        self.assert_nothing_left()
        left = [os.path.join(at, name) for at, _, names in os.walk(os.path.join(self.cachedir, "build")) for name in names]
        self.assertEqual([path for path in left if not path.endswith("/owner")], [])

    def logs_of(self, name):
        found = []
        for at, _, names in os.walk(os.path.join(self.cachedir, "logs")):
            if os.path.basename(at) == name:
                for log in sorted(names):
                    with open(os.path.join(at, log), encoding="utf-8", errors="replace") as file:
                        found.append(file.read())
        self.assertTrue(found, name)
        return "".join(found)

    def test_what_is_wrong_is_told(self):
        for name, (step, code, _) in WRONG.items():
            self.element(name, step, code)
        self.element("good", "stage", "pass")
        self.sluice("build", *["%s.bst" % name for name in [*WRONG, "good"]], cwd=self.at, status=1)
        self.assert_clean()
        for name, (_, _, told) in WRONG.items():
            with self.subTest(name):
                log = self.logs_of(name)
                self.assertIn(told, log)
                self.assertIn("%s.bst" % name, log)
        states = self.sluice("show", "--deps", "none", "--format", "%{name} %{state}",
                             *["%s.bst" % name for name in [*WRONG, "good"]], cwd=self.at).stdout.split("\n")
        self.assertIn("good.bst cached", states)
        self.assertEqual([line for line in states if line.endswith(" cached")], ["good.bst cached"])
        self.assertNotIn("planted", os.listdir(self.at))

    def check_harmless(self):
        for name, code in HARMLESS.items():
            self.element(name, "stage", code)
        self.sluice("build", *["%s.bst" % name for name in HARMLESS], cwd=self.at)
        self.assert_clean()
        for name in HARMLESS:
            with self.subTest(name):
                out = os.path.join(self.directory, "out")
                self.sluice("artifact", "checkout", "--directory", out, name + ".bst", cwd=self.at)
                with open(os.path.join(out, "file"), encoding="utf-8") as file:
                    self.assertEqual(file.read(), "made")
                shutil.rmtree(out)

    def test_what_is_harmless(self):
        self.check_harmless()

    def test_without_a_sandbox(self):
        self.configure(sandbox=False)
        del_leaves = HARMLESS.pop("leaves")
        self.addCleanup(HARMLESS.__setitem__, "leaves", del_leaves)
        self.check_harmless()

    def test_a_build_that_is_terminated_takes_its_plugin_along(self):
        self.configure()
        self.write("config/buildstream.conf", "plugins:\n  timeout: 0\n")
        self.element("waits", "assemble", "__import__('time').sleep(1000)")
        build = self.start("--style", "tty", "build", "waits.bst", cwd=self.at, pty=True)
        self.wait_until(lambda: self.pids("python3"), "a host")
        build.write("\x03")
        self.wait_until(lambda: "Choice" in build.stdout or build.poll() is not None, "a question")
        build.write("t\n")
        self.assertNotEqual(build.wait(), 0)
        self.assert_clean()

    def test_is_built_as_kinds_that_are_built_in(self):
        """H19: in the same sandbox, on the same root, which integration has made once."""
        make_root(os.path.join(self.at, "files/root"))
        elements = {"base.bst": "kind: import\nsources: [{kind: local, path: files/root}]\n"
                                "public: {bst: {integration-commands: ['echo integrated > /integrated']}}\n"}
        for kind in ("manual", "steps"):
            elements[kind + ".bst"] = ("kind: %s\nbuild-depends: [base.bst]\nconfig: {install-commands: ['read line < /integrated && "
                                       "echo $line > %%{install-root}/file']}\n" % kind)
        for name, text in elements.items():
            self.write(os.path.join(self.at, "elements", name), text)
        self.sluice("build", "manual.bst", cwd=self.at)
        integrated = os.path.join(self.cachedir, "sluice/integrated")
        before = os.listdir(integrated)
        self.assertEqual(len(before), 1)
        self.sluice("build", "steps.bst", cwd=self.at)
        self.assertEqual(os.listdir(integrated), before)
        listed = [self.sluice("artifact", "list-contents", "--long", name, cwd=self.at).stdout.split("\n", 1)[1]
                  for name in ("manual.bst", "steps.bst")]
        self.assertEqual(listed[0], listed[1])
        self.assertIn("11", listed[0])
        steps = re.compile(r"^\[[^\]]*\] (\w+ +)(?:\[\w+\] )?(\S+: (?:Staging|Integrating|Running|Caching).*)", re.MULTILINE)
        said = [[found.group(1).strip() + " " + re.sub("/[0-9a-f]{8}", "", found.group(2)) for found in steps.finditer(self.logs_of(name))]
                for name in ("manual", "steps")]
        self.assertEqual(said[0], [line.replace("steps.bst", "manual.bst") for line in said[1]])
        self.assertGreater(len(said[0]), 6)

    def test_build_scripts(self):
        self.element("script", "stage", "pass")
        self.element("none", "stage", "pass")
        self.write(os.path.join(self.at, "elements/both.bst"), "kind: stack\ndepends: [script.bst, none.bst]\n")
        out = os.path.join(self.directory, "scripts")
        self.sluice("source", "checkout", "--include-build-scripts", "--deps", "all", "--directory", out, "both.bst", cwd=self.at)
        self.assertEqual(sorted(os.listdir(out)), ["build-script", "build.sh"])
        with open(os.path.join(out, "build-script"), encoding="utf-8") as file:
            self.assertIn("echo /usr > made\n", file.read())
        self.assert_clean()

    def test_disabled(self):
        self.write("config/buildstream.conf", "plugins:\n  enabled: false\n")
        self.element("good", "stage", "pass")
        told = self.sluice("build", "good.bst", cwd=self.at, status=1).stderr
        self.assertIn("Element kind 'code' is not supported", told)


main()
