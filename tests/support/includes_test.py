"""No process has the headers of another: what two of them need lies in a folder of its own."""

import os
import re
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PROCESSES = {"broker", "loader", "scheduler", "jobs", "remote", "renderer", "cli"}
# What processes share, which knows of none of them.
SHARED = {"base", "model", "yaml", "wire", "store", "sources", "project", "sandbox", "elements"}
# File, header: why. One that is needed no more has to go.
EXCEPTIONS = {
    ("jobs/remotes_test.cc", "remote/real_server.h"): "jobs pull from and push to the real server",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"/]+)/([^"]+)"', re.M)


def foreign_headers(root):
    """Pairs of a file and a header of a process that the file's folder isn't."""
    found = set()
    for folder in PROCESSES | SHARED:
        for place, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if not name.endswith((".h", ".cc", ".c", ".in")):
                    continue
                path = os.path.join(place, name)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                for of, header in INCLUDE.findall(text):
                    if of in PROCESSES and of != folder:
                        found.add((os.path.relpath(path, root), of + "/" + header))
    return found


class Includes(unittest.TestCase):
    def test_no_process_has_the_headers_of_another(self):
        found = foreign_headers(ROOT)
        self.assertEqual(sorted(found - EXCEPTIONS.keys()), [])
        self.assertEqual(sorted(EXCEPTIONS.keys() - found), [], "exceptions that nothing needs")

    def test_every_folder_is_there(self):
        for folder in PROCESSES | SHARED:
            self.assertTrue(os.path.exists(os.path.join(ROOT, folder, "CMakeLists.txt")), folder)

    def test_what_is_found(self):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {
                "cli/a.cc": '#include "cli/b.h"\n#include "wire/c.h"\n  #  include "jobs/d.h"\n',
                "wire/e.h": '#include "loader/f.h"\n#include <loader/g.h>\n// #include "jobs/d.h"\n',
                "tests/h.cc": '#include "jobs/d.h"\n',
            }.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            self.assertEqual(foreign_headers(root), {("cli/a.cc", "jobs/d.h"), ("wire/e.h", "loader/f.h")})


if __name__ == "__main__":
    unittest.main()
