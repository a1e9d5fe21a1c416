"""Common mistakes on the command line and in projects: what is said of each, beside tests/golden/mistakes.txt.

SLUICE_APPROVE=1 writes that file anew. Whoever reads it should see at once what to type instead.
"""

import os
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../golden/mistakes.txt")

PROJECT = {
    "project.conf": """name: shapes
min-version: 2.0
element-path: elements
options:
  color:
    type: enum
    description: The paint
    values: [red, green, blue]
    default: red
""",
    "elements/hello.bst": "kind: stack\n",
    "elements/base/zlib.bst": "kind: stack\n",
    "elements/app.bst": "kind: stack\ndepends:\n- hello.bst\n",
    "elements/kind.bst": "kidn: stack\n",
    "elements/key.bst": "kind: stack\nvariables:\n  prefix: /usr\ndepend:\n- hello.bst\n",
    "elements/missing.bst": "kind: stack\ndepends:\n- helo.bst\n",
    "elements/tab.bst": "kind: stack\ndescription: |\n  text\nvariables:\n\tname: größer\n",
    "elements/list.bst": "kind: stack\ndepends: [hello.bst, base/zlib.bst\n",
    "elements/deep.bst": "kind: stack\nvariables:\n  größe: \"%{grösse}\"   # a value that isn't there\ndepends:\n- filename: hello.bst\n  type: biuld\n",
}

# The directory of the project in which each is typed, and the command.
MISTAKES = [
    (".", "sluice biuld hello.bst"),
    (".", "sluice checkout hello.bst"),
    (".", "sluice source fecth hello.bst"),
    (".", "sluice source"),
    (".", "sluice sesion list"),
    (".", "sluice help biuld"),
    (".", "sluice build --dep all hello.bst"),
    (".", "sluice build --builders 4 hello.bst"),
    (".", "sluice --deps all build hello.bst"),
    (".", "sluice --builders four build hello.bst"),
    (".", "sluice show --deps biuld hello.bst"),
    (".", "sluice --on-error contineu build hello.bst"),
    (".", "sluice shell hello.bst ls -l"),
    (".", "sluice why"),
    (".", "sluice show helo.bst"),
    (".", "sluice show hello"),
    (".", "sluice show elements/hello.bst"),
    ("elements", "sluice show base/zlib"),
    (".", "sluice show zlib.bst"),
    (".", "sluice show --except helo.bst app.bst"),
    (".", "sluice -o colour red show hello.bst"),
    (".", "sluice -o color gren show hello.bst"),
    (".", "sluice -o color=green show hello.bst"),
    (".", "sluice show kind.bst"),
    (".", "sluice show key.bst"),
    (".", "sluice show missing.bst"),
    (".", "sluice show tab.bst"),
    (".", "sluice show list.bst"),
    (".", "sluice show deep.bst"),
    ("..", "sluice show hello.bst"),
]


class Mistakes(SluiceTest):
    def test_what_is_said(self):
        project = self.project(PROJECT)
        said = []
        for place, command in MISTAKES:
            at = os.path.normpath(os.path.join(project, place))
            done = subprocess.run([self.program("sluice"), *shlex.split(command)[1:]], cwd=at, env=self.env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True, timeout=60)
            self.assertEqual(done.stdout, "", command)
            text = done.stderr.replace(project, "PROJECT").replace(self.directory, "DIRECTORY")
            where = "" if place == "." else "[in %s] " % place
            said.append("%s$ %s\n%s[status %d]\n" % (where, command, text, done.returncode))
        text = "\n".join(said)
        if os.environ.get("SLUICE_APPROVE"):
            with open(GOLDEN, "w", encoding="utf-8") as file:
                file.write(text)
        with open(GOLDEN, encoding="utf-8") as file:
            self.assertEqual(text, file.read())
        self.assert_nothing_left()


main()
