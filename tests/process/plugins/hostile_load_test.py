"""Plugins that misbehave while a project is loaded: each is one error with its kind, its file and its place, and no more."""

import os
import re
import sys
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

CONF = """\
name: test
min-version: 2.0
element-path: elements
plugins:
- origin: local
  path: plugins
  sources: [odd, even]
"""
PLUGIN = """\
{top}
from buildstream import Source


class Odd(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.ref = node.get_str("ref", None)
{configure}

    def preflight(self):
        pass

    def get_unique_key(self):
{key}

    def is_resolved(self):
        return True

    def is_cached(self):
        return False

    def load_ref(self, node):
        pass

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        pass

    def fetch(self):
        pass

    def stage(self, directory):
        pass


def setup():
    return Odd
"""
ELEMENT = "kind: import\nsources:\n- kind: odd\n  ref: '1'\n"
PLACE = re.compile(r"^odd\.bst \[line [34] column [27]\]: (?!odd\.bst)", re.MULTILINE)

# name: (what it does in configure(), what must be told)
CONFIGURE = {
    "exit": ("raise SystemExit(3)", "SystemExit"),
    "exit at once": ("__import__('os')._exit(0)", "has ended"),
    "crash": ("__import__('ctypes').string_at(0)", "has ended"),
    "kill": ("__import__('os').kill(__import__('os').getpid(), 9)", "has ended"),
    "kill all": ("__import__('os').kill(-1, 9)", "No such process"),
    "hang": ("while True: pass", "said nothing for 3 s"),
    "sleep": ("__import__('time').sleep(1000)", "said nothing for 3 s"),
    "stop": ("__import__('os').kill(__import__('os').getpid(), 19)", "said nothing for 3 s"),
    "memory": ("self.all = [bytearray(1 << 26) for _ in range(1 << 20)]", "MemoryError"),
    "recursion": ("self.configure(node)", "RecursionError"),
    "exception": ("raise ValueError('out of order')", "ValueError: out of order"),
    "base exception": ("raise BaseException('quite out of order')", "quite out of order"),
    "socket closed": ("__import__('os').closerange(3, 1 << 12)", "has ended"),
    "other type": ("node.get_int('ref'), node.get_sequence('ref')", "Value of 'ref' is not of the expected type"),
    "no module": ("import nothing_of_that_name", "nothing_of_that_name"),
}
KEY = {
    "key of objects": ("return object()", "is not JSON serializable"),
    "key of itself": ("a = []; a.append(a); return a", "Circular reference"),
    "key of bytes": ("return [b'abc']", "b'abc' is not JSON serializable"),
    "key raises": ("raise KeyError('lost')", "lost"),
}
# What it tries is refused by the system, so that it becomes an error of the plugin.
FORBIDDEN = {
    "writes into the project": ("open(@PROJECT@ + '/project.conf', 'w')", "Read-only file system"),
    "writes into home": ("open(@HOME@ + '/x', 'w')", "No such file or directory"),
    "reads the home": ("open(@HOME@ + '/secret').read()", "No such file or directory"),
    "network": ("__import__('socket').create_connection(('127.0.0.1', @PORT@), 5)", "Connection refused"),
    "becomes root": ("__import__('os').mknod('/tmp/disk', 0o60600, 2049)", "Operation not permitted"),
    "mounts": ("import subprocess; subprocess.run(['mount', '-t', 'tmpfs', 'x', '/mnt'], check=True)", "CalledProcessError"),
    "the cache": ("open(@CACHE@ + '/cas/x', 'w')", "No such file or directory"),
}
# What the plugin does to its own process is no error.
HARMLESS = {
    "prints": "print('noise' * 1000); __import__('os').write(1, b'more noise'); __import__('os').write(2, b'noise')",
    "changes directory": "__import__('os').chdir('/usr')",
    "umask, limits and signals": "import os, signal; os.umask(0o777); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "leaves a process": "import subprocess; subprocess.Popen(['sleep', '1000'])",
    "forks and returns twice": "import os; os.fork()",
    "takes the standard streams away": "import sys, os; sys.stdout = sys.stderr = None; os.close(1); os.close(2)",
    "changes the environment": "import os; os.environ.clear()",
    "changes modules": "import json; json.dumps = None; import os; os.path.join = None",
    "threads": "import threading, time; threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
}


class HostileLoad(SluiceTest):
    def setUp(self):
        super().setUp()
        self.configure(60)
        self.write("home/secret", "secret\n")
        self.directories = {"@PROJECT@": repr(os.path.join(self.directory, "project")), "@HOME@": repr(self.env["HOME"]),
                            "@CACHE@": repr(self.cachedir)}

    def configure(self, timeout):
        self.write("config/buildstream.conf", "plugins:\n  timeout: %d\n  memory: 256M\n" % timeout)

    def plugin(self, top="", configure="pass", key="return self.ref"):
        for name, value in self.directories.items():
            top, configure = top.replace(name, value), configure.replace(name, value)
        return PLUGIN.format(top=top, configure=textwrap.indent(configure, " " * 8), key=textwrap.indent(key, " " * 8))

    def show(self, plugin, status):
        self.project({"project.conf": CONF, "plugins/odd.py": plugin, "plugins/even.py": self.plugin(),
                      "elements/odd.bst": ELEMENT, "elements/even.bst": ELEMENT.replace("odd", "even"),
                      "elements/all.bst": "kind: stack\ndepends: [even.bst, odd.bst]\n"})
        result = self.sluice("-C", "project", "show", "--format", "%{name} %{full-key}", "all.bst", status=status)
        self.assert_nothing_left()
        return result

    def refused(self, plugin, wanted):
        self.configure(3 if "3 s" in wanted else 60)
        told = self.show(plugin, 1).stderr
        self.assertIn(wanted, told)
        self.assertRegex(told, PLACE)
        self.assertIn("odd", told)
        self.assertNotIn("even.bst", told)

    def test_configure(self):
        for name, (code, wanted) in CONFIGURE.items():
            with self.subTest(name):
                self.refused(self.plugin(configure=code), wanted)

    def test_key(self):
        for name, (code, wanted) in KEY.items():
            with self.subTest(name):
                self.refused(self.plugin(key=code), wanted)

    def test_what_is_not_granted(self):
        import socket
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.directories["@PORT@"] = str(server.getsockname()[1])
            for name, (code, wanted) in FORBIDDEN.items():
                with self.subTest(name):
                    self.refused(self.plugin(configure=code), wanted)
        with open(os.path.join(self.directory, "project/project.conf"), encoding="utf-8") as file:
            self.assertEqual(file.read(), CONF)

    def test_when_it_is_imported(self):
        for name, (code, wanted) in {"exit": ("import os; os._exit(1)", "has ended"), "raise": ("raise OSError('not today')", "not today"),
                                     "hang": ("while True: pass", "said nothing for 3 s")}.items():
            with self.subTest(name):
                self.refused(self.plugin(top=code), wanted)

    def test_harmless(self):
        keys = self.show(self.plugin(), 0).stdout
        for name, code in HARMLESS.items():
            with self.subTest(name):
                # Another text, so that nothing that was kept is the answer.
                result = self.show(self.plugin(configure=code), 0)
                self.assertEqual(result.stdout, keys)
                self.assertNotIn("noise", result.stderr)

    def test_many_questions_have_two_hosts(self):
        """H3: what ends one of them is told of the element that it was asked about, and no other goes without an answer."""
        ends = "if self.ref in %r:\n    __import__('os')._exit(0)"
        names = ["e%d.bst" % number for number in range(450)]
        for ending, told in ((("10", "440"), "e10.bst"), (("440",), "e440.bst"), ((), None)):
            with self.subTest(ending):
                plugin = self.plugin(configure=ends % (ending,))
                self.project({"project.conf": CONF, "plugins/odd.py": plugin, "plugins/even.py": self.plugin(),
                              **{"elements/" + name: ELEMENT.replace("'1'", "'%d'" % number) for number, name in enumerate(names)},
                              "elements/all.bst": "kind: stack\ndepends: [%s]\n" % ", ".join(names)})
                result = self.sluice("-C", "project", "show", "--format", "%{name} %{full-key}", "all.bst", status=0 if told is None else 1)
                self.assert_nothing_left()
                if told is not None:
                    self.assertIn("%s [line 3 column 2]" % told, result.stderr)
                    self.assertIn("has ended", result.stderr)
                    continue
                shown = dict(line.split() for line in result.stdout.splitlines())
                self.assertEqual(len(set(shown.values())), len(names) + 1)
                self.assertNotIn("?", "".join(shown.values()))

    def test_second_time_without_python(self):
        self.show(self.plugin(), 0)
        first = self.show(self.plugin(), 0).stdout
        again = self.sluice("-C", "project", "show", "--format", "%{name} %{full-key}", "all.bst",
                            env={"PATH": self.directory}).stdout
        self.assertEqual(again, first)


main()
