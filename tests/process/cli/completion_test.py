"""Completion of the command line, beside what bst answers to the same words.

tests/golden/completions.json holds bst 2.8.1's answers; with a reference root
    SLUICE_BST=COMMAND python3 tests/process/cli/completion_test.py --write
makes it again. Ours may have more: the verbs and options that bst hasn't got.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../golden/completions.json")
SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../cli")
SCRIPT = os.path.join(SCRIPTS, "completion.bash")

ELEMENTS = ("compose-all", "compose-exclude-dev", "compose-include-bin", "import-bin", "import-dev", "target")
FILES = {
    "project/project.conf": "name: test\nmin-version: 2.0\nelement-path: elements\n",
    "project/cache/keep": "", "project/files/bin-files/x": "", "project/files/dev-files/y": "",
    "project/elements/target.foo": "", "project/elements/target.bst.bar": "",
    "plain/project.conf": "name: test\nmin-version: 2.0\n",
    "plain/files/bin-files/x": "", "plain/files/dev-files/y": "",
    "deeper/project.conf": "name: test\nmin-version: 2.0\nelement-path: elements\n",
    "deeper/elements/base.bst": "kind: stack\n", "deeper/elements/base/wanted.bst": "kind: stack\n",
    "broken/project.conf": "name: [\n", "broken/a.bst": "kind: stack\n",
}
FILES.update({"project/elements/%s.bst" % name: "kind: stack\n" for name in ELEMENTS})
FILES.update({"plain/%s.bst" % name: "kind: stack\n" for name in ELEMENTS})

# The words, which of them is completed, and the directory.
CASES = [
    ("bst", 0, "."), ("bst ", 1, "."), ("bst artifact ", 2, "."), ("bst source ", 2, "."), ("bst w ", 1, "."), ("bst workspace ", 2, "."),
    ("bst -", 1, "."), ("bst --l", 1, "."), ("bst --no-colors build -", 3, "."), ("bst --no-colors --", 2, "."), ("bst -o a b -", 4, "."),
    ("bst --fetchers ", 2, "."), ("bst --no-colors ", 2, "."), ("bst --fetchers 4 ", 3, "."), ("bst -o a ", 3, "."), ("bst -o a b ", 4, "."),
    ("bst --on-error ", 2, "."), ("bst --cache-buildtrees ", 2, "."), ("bst show --deps ", 3, "."), ("bst show --deps=", 2, "."),
    ("bst show --deps b", 3, "."), ("bst show --deps=b", 2, "."), ("bst show --deps r", 3, "."), ("bst source track --deps ", 4, "."),
    ("bst show --deps = b", 4, "."), ("bst show --order ", 3, "."), ("bst show --format ", 3, "project"),
    ("bst --config ", 2, "project"), ("bst --log-file ", 2, "project"), ("bst --config f", 2, "project"), ("bst --config files", 2, "project"),
    ("bst --log-file files", 2, "project"), ("bst --config files/", 2, "project"), ("bst --log-file elements/", 2, "project"),
    ("bst --config ../", 2, "project/files"), ("bst --config ../elements/", 2, "project/files"), ("bst --config ../nofile", 2, "project/files"),
    ("bst --config /pony/rainbow/nobodyhas/this/file", 2, "project/files"),
    ("bst --directory ", 2, "project"), ("bst --directory elements/", 2, "project"), ("bst --directory ", 2, "project/files"),
    ("bst --directory ../", 2, "project/files"),
    ("bst show ", 2, "project"), ("bst build com", 2, "project"), ("bst show ", 2, "project/files"), ("bst build com", 2, "project/files"),
    ("bst --directory ../ show ", 4, "project/files"), ("bst --directory ../ build com", 4, "project/files"), ("bst -C ../ build com", 4, "project/files"),
    ("bst build target.bst ", 3, "project"), ("bst build --deps all c", 4, "project"), ("bst show --except ", 3, "project"),
    ("bst --directory ../ artifact checkout t ", 5, "project/files"), ("bst --directory ../ artifact checkout --directory ", 6, "project/files"),
    ("bst source checkout --directory ", 4, "project/files"), ("bst source checkout t", 3, "project"), ("bst source fetch --except t", 4, "project"),
    ("bst workspace open i", 3, "project"), ("bst workspace close i", 3, "project"), ("bst shell --build t", 3, "project"),
    ("bst show ", 2, "plain"), ("bst build com", 2, "plain"), ("bst show ", 2, "plain/files"), ("bst --directory ../ show ", 4, "plain/files"),
    ("bst --directory ../ show f", 4, "plain/files"), ("bst --directory ../ show files/", 4, "plain/files"),
    ("bst show base", 2, "deeper"), ("bst show base/", 2, "deeper"), ("bst show b", 2, "deeper"), ("bst show ", 2, "."), ("bst show ", 2, "broken"),
    ("bst --directory nowhere show ", 4, "project"),
    ("bst he", 1, "."), ("bst help ", 2, "."), ("bst help artifact ", 3, "."), ("bst help in", 2, "."), ("bst help source ", 3, "."),
    ("bst help w", 2, "."), ("bst help workspace ", 3, "."),
    ("bst nosuch ", 2, "."), ("bst init ", 2, "project"), ("bst 'artifact' ", 2, "."), ("bst artifact log t", 3, "project"),
]
# Words that Sluice offers and bst doesn't have.
OWN = {
    "query ", "why ", "collect ", "log ", "metrics ", "report ", "trace ", "web ", "explain ", "sbom ", "diff ", "--check ", "--json ", "session ", "runner ", "store ", "--listen ", "--advertise ", "--join-files ", "--join-expires ", "--allow-skew ", "--jobserver ", "--no-jobserver ", "--json-log ", "--style ", "--quiet ", "--session ", "--detach ",
}


def write_files(directory):
    for name, text in FILES.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def write_golden():
    answers = []
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        write_files(directory)
        for words, index, place in CASES:
            env = dict(os.environ, _BST_COMPLETION="complete", COMP_WORDS=words, COMP_CWORD=str(index), HOME=directory)
            done = subprocess.run([os.environ["SLUICE_BST"]], cwd=os.path.join(directory, place), env=env, stdout=subprocess.PIPE, check=False, text=True)
            answers.append(sorted(set(done.stdout.splitlines())))
    with open(GOLDEN, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps([*case, answer]) for case, answer in zip(CASES, answers)) + "\n]\n")


class Completion(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = os.path.join(self.directory, "of")
        write_files(self.at)

    def answer(self, words, index, place=".", name="_SLUICE_COMPLETION"):
        env = {name: "1", "COMP_WORDS": words, "COMP_CWORD": str(index)}
        return self.sluice(cwd=os.path.join(self.at, place), env=env).stdout.splitlines()

    def test_answers_are_those_of_bst(self):
        with open(GOLDEN, encoding="utf-8") as file:
            golden = json.load(file)
        self.assertEqual([tuple(case[:3]) for case in golden], CASES)
        for words, index, place, expected in golden:
            with self.subTest(words=words, index=index, place=place):
                ours = self.answer(words, index, place)
                self.assertEqual([word for word in ours if word not in OWN or word in expected], expected)

    def test_what_only_sluice_has(self):
        self.assertIn("query ", self.answer("sluice ", 1))
        self.assertEqual(self.answer("sluice session s", 2), ["start ", "stop ", "summary ", "suspend "])
        self.assertEqual(self.answer("sluice why ta", 2, "project"), ["target.bst "])
        self.assertEqual(self.answer("sluice build --session ", 3, "project"), [])
        session = self.sluice("session", "start", cwd=os.path.join(self.at, "project")).stdout.split()[-1]
        self.assertEqual(self.answer("sluice build --session ", 3, "project"), [session + " "])
        self.assertEqual(self.answer("sluice session attach 2", 3), [session + " "])
        self.sluice("session", "stop", session)
        self.assert_nothing_left()

    def test_artifacts(self):
        project = self.project({
            "project.conf": "name: test\nmin-version: 2.0\n",
            "a.bst": "kind: import\nsources:\n- kind: local\n  path: file\n",
            "file": "text\n",
        })
        before = self.answer("sluice artifact log ", 3, project)
        self.assertEqual(before, ["a.bst "])
        self.assertFalse(os.path.exists(os.path.join(self.env["XDG_CACHE_HOME"], "buildstream")))
        self.sluice("build", "a.bst", cwd=project)
        found = self.answer("sluice artifact log ", 3, project)
        self.assertEqual(found[0], "a.bst ")
        self.assertEqual([word.rsplit("/", 1)[0] for word in found[1:]], ["test/a", "test/a"])
        self.assertEqual(self.answer("sluice artifact log te", 3, project), found[1:])
        self.assertEqual(self.answer("sluice build te", 2, project), [])

    def test_senseless_requests(self):
        for env in ({"_SLUICE_COMPLETION": "1"}, {"_SLUICE_COMPLETION": "1", "COMP_WORDS": "a b", "COMP_CWORD": "x"},
                    {"_SLUICE_COMPLETION": "1", "COMP_WORDS": "a b", "COMP_CWORD": "-1"}):
            done = self.sluice(env=env, status=2)
            self.assertIn("COMP_CWORD", done.stderr)
        self.assertEqual(self.answer("sluice 'bui", 1), ["build "])
        self.assertEqual(self.answer("sluice", 99), self.answer("sluice", 1, name="_BST_COMPLETION"))

    def test_the_script_in_bash(self):
        text = ". %s; COMP_WORDS=(sluice show --deps = b); COMP_CWORD=4; _sluice_completion \"$SLUICE_BIN/sluice\"; printf '<%%s>' \"${COMPREPLY[@]}\"" % SCRIPT
        done = subprocess.run(["bash", "-c", text], cwd=self.at, env=dict(os.environ, **self.env), stdout=subprocess.PIPE, check=True, text=True)
        self.assertEqual(done.stdout, "<build >")

    def described(self, words, index, place="."):
        env = {"_SLUICE_COMPLETION": "described", "COMP_WORDS": words, "COMP_CWORD": str(index)}
        return [line.split("\t") for line in self.sluice(cwd=os.path.join(self.at, place), env=env).stdout.splitlines()]

    def test_words_and_what_they_are(self):
        for words, index in (("sluice source ", 2), ("sluice build -", 2), ("sluice -", 1), ("sluice session ", 2)):
            described = self.described(words, index)
            self.assertEqual([line[0] for line in described], self.answer(words, index))
            # What is said is what --help says, whose lines are broken elsewhere.
            said = " ".join(self.sluice(*words.split()[1:index], "--help").stdout.split())
            for line in described:
                self.assertEqual(len(line), 2, line)
                self.assertIn(line[1], said)
        self.assertIn(["none ", "No dependencies, just the element itself"], self.described("sluice build --deps ", 3))
        self.assertEqual(self.described("sluice show t", 2, "project"), [["target.bst "]])
        session = self.sluice("session", "start", cwd=os.path.join(self.at, "project")).stdout.split()[-1]
        self.assertEqual(self.described("sluice session stop ", 3), [[session + " ", "session, " + os.path.join(self.at, "project")]])
        self.sluice("session", "stop", session)
        self.assert_nothing_left()
        # What is about the past offers what has ended.
        ended = [[session + " ", "ended, session, " + os.path.join(self.at, "project")]]
        for words, index in (("sluice session summary ", 3), ("sluice session attach ", 3), ("sluice report --compare ", 3), ("sluice log --session ", 3)):
            self.assertEqual(self.described(words, index), ended)
        self.assertEqual(self.described("sluice session stop ", 3), [])

    def test_names_with_control_characters_are_left_out(self):
        for name in ("ta\x1b[31m.bst", "tb\n.bst", "tc\t.bst"):
            with open(os.path.join(self.at, "project/elements", name), "w", encoding="utf-8") as file:
                file.write("kind: stack\n")
        self.assertEqual(self.answer("sluice show t", 2, "project"), ["target.bst "])

    def shell(self, name, *arguments, source):
        """A shell on a terminal that has read the completion script for it."""
        if not shutil.which(name):
            self.skipTest("%s isn't installed" % name)
        os.makedirs(self.env["HOME"], exist_ok=True)
        env = {"PATH": self.bin + ":" + self.env["PATH"], "TERM": "xterm", "PS1": "$ ", "LC_ALL": "C.UTF-8"}
        shell = self.start(*arguments, program=shutil.which(name), env=env, cwd=os.path.join(self.at, "project"), pty=True)
        shell.write(source + "; printf 'is-%d\\n' 42\n")
        self.wait_until(lambda: "is-42" in shell.stdout, "the shell")
        return shell

    def typed(self, shell, keys, *expected):
        """Waits until all of that is on the terminal, since the keys."""
        before = len(shell.stdout)
        shell.write(keys)
        self.wait_until(lambda: all(part in shell.stdout[before:] for part in expected), "%r after %r" % (expected, keys))

    def completed(self, shell):
        """A verb, the value of an option in the same word and an element, by Tab; what came of it is run."""
        self.typed(shell, "\x15sluice --no-col\tsho\t--deps=n\t -f 'is:%{name}' ta\t\n", "is:target.bst")
        shell.write("exit\n")
        self.assertEqual(shell.wait(), 0)

    def test_bash_on_a_terminal(self):
        shell = self.shell("bash", "--norc", "-i", source=". %s" % SCRIPT)
        self.typed(shell, "sluice source \t\t", "fetch     (Fetch sources in a pipeline)", "track     (Track new source references)")
        self.completed(shell)

    # What zsh looks through for all the programs that there may be takes it a while.
    ZSH = "autoload -U compinit; fpath=(%s ${(M)fpath:#*Completion(|/Base|/Zsh)} ${fpath:#*Completion*}); compinit -D"

    def test_zsh_on_a_terminal(self):
        shell = self.shell("zsh", "-f", "-i", source=self.ZSH % "" + "; . %s/completion.zsh" % SCRIPTS)
        self.typed(shell, "sluice source \t", "-- Fetch sources in a pipeline", "-- Track new source references")
        self.completed(shell)

    def test_zsh_with_the_function_where_zsh_looks_for_it(self):
        functions = os.path.join(self.directory, "functions")
        os.makedirs(functions)
        shutil.copy(os.path.join(SCRIPTS, "completion.zsh"), os.path.join(functions, "_sluice"))
        shell = self.shell("zsh", "-f", "-i", source=self.ZSH % functions)
        self.typed(shell, "sluice source \t", "-- Fetch sources in a pipeline")
        self.completed(shell)

    def test_fish_on_a_terminal(self):
        shell = self.shell("fish", "--no-config", "-i", source="source %s/completion.fish" % SCRIPTS)
        self.typed(shell, "sluice source \t", "(Fetch sources in a pipeline)", "(Track new source references)")
        self.completed(shell)

    def test_fish_tells_what_words_are(self):
        if not shutil.which("fish"):
            self.skipTest("fish isn't installed")
        env = dict(self.env, PATH=self.bin + ":" + self.env["PATH"])
        text = 'source %s/completion.fish; for line in "sluice source " "sluice show --deps=n" "sluice show ta"; complete -C $line; end' % SCRIPTS
        done = subprocess.run(["fish", "--no-config", "-c", text], cwd=os.path.join(self.at, "project"), env=env, capture_output=True, check=True, text=True)
        self.assertEqual(done.stderr, "")
        lines = done.stdout.splitlines()
        self.assertIn("fetch\tFetch sources in a pipeline", lines)
        self.assertIn("--deps=none\tNo dependencies, just the element itself", lines)
        self.assertIn("target.bst", lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write_golden()
    else:
        main()
