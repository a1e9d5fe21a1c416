"""Mistakes in projects, through the command line: each ends in status 1 with one error that names file,
line and column, from `show` as from `build`; none is a crash, and no process is left. The projects are
those of tests/golden/loader/broken, which has BuildStream 2.8.1's words beside them."""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
import commands  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

BROKEN = os.path.join(HERE, "../golden/loader/broken")

# The whole message; DIR is the project's directory.
MISTAKES = {
    "bad-yaml": "target.bst [line 4 column 9]: Malformed YAML: end of sequence flow not found",
    "duplicate-key": "target.bst [line 5 column 2]: Malformed YAML: Duplicate key one",
    "missing-file": "target.bst [line 4 column 2]: Could not find element 'gone/missing.bst' in elements directory 'DIR/.'",
    "cycle": "b.bst [line 3 column 2]: Circular dependency detected at element: target.bst\n"
             "Dependency chain: target.bst -> a.bst -> b.bst -> target.bst",
    "undefined-variable": "target.bst [line 5 column 4]: Reference to undefined variable 'nonsense'",
    "protected-variable": "target.bst [line 3 column 16]: invalid redefinition of protected variable 'element-name'",
    "unknown-kind": "target.bst [line 1 column 0]: No element plugin registered for kind 'nonsense'",
    "unknown-element-key": "target.bst [line 3 column 10]: Unexpected key: variable",
    "mixed-list-directive": "target.bst [line 4 column 4]: Dictionary contains list composition directives and arbitrary keys",
    "local-missing": "target.bst [line 4 column 8]: Specified path 'files' does not exist",
    "bad-include": "target.bst [line 3 column 7]: Could not find file at DIR/gone.yml",
    "bad-expression": "target.bst [line 4 column 4]: Failed to evaluate expression (debug and): unexpected end, expected an expression",
    "bad-option-default": "Error loading project: project.conf [line 8 column 13]: Invalid value for enum option 'debug': c\n\n"
                          "    Valid values: a, b",
}


class Mistakes(SluiceTest):
    def test_show_and_build(self):
        cases = {case["name"]: case for case in commands.read_folder(BROKEN)}
        for name, message in MISTAKES.items():
            project = os.path.join(self.directory, name)
            for entry, content in cases[name]["files"]:
                commands.write_file(project, entry, content)
            for verb in ("show", "build"):
                with self.subTest(project=name, verb=verb):
                    result = self.sluice(verb, "target.bst", cwd=project, status=1)
                    self.assertEqual(result.stdout, "")
                    told = result.stderr.strip().replace(os.path.realpath(project), "DIR")
                    if verb == "build":
                        steps, _, told = told.partition(" FAILURE Loading elements\n\n")
                        self.assertIn(" START   Loading elements\n", steps)
                    # Below the error Sluice shows the line, and says what may have been meant, which BuildStream doesn't.
                    told = re.sub(r"\n\n +[0-9]+ \| [^\n]*\n +\| +\^", "", told)
                    told = re.sub(r"\n+ *Did you mean [^\n]*", "", told)
                    self.assertEqual(told, message)
        self.assert_nothing_left()


main()
