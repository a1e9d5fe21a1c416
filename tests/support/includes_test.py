"""No process has the headers of another: what two of them need lies in a folder of its own. Threads are started by base/threads.h
alone, which knows what to do when there is none to be had."""

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
THREAD = re.compile(r"std::jthread|std::async|pthread_create|std::vector<std::thread>|std::thread(?: \w+)?[({]")


def sources(root):
    """(folder, path from the root, text) of every file of code."""
    for folder in PROCESSES | SHARED:
        for place, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith((".h", ".cc", ".c", ".in")):
                    path = os.path.join(place, name)
                    with open(path, encoding="utf-8") as file:
                        yield folder, os.path.relpath(path, root), file.read()


def foreign_headers(root):
    """Pairs of a file and a header of a process that the file's folder isn't."""
    return {(path, of + "/" + header) for folder, path, text in sources(root) for of, header in INCLUDE.findall(text) if of in PROCESSES and of != folder}


def threads(root):
    """Pairs of a file and what starts a thread in it, but for tests."""
    return {(path, start) for _, path, text in sources(root) if not path.endswith("_test.cc") and path != "base/threads.cc" for start in THREAD.findall(text)}


class Includes(unittest.TestCase):
    def test_no_process_has_the_headers_of_another(self):
        found = foreign_headers(ROOT)
        self.assertEqual(sorted(found - EXCEPTIONS.keys()), [])
        self.assertEqual(sorted(EXCEPTIONS.keys() - found), [], "exceptions that nothing needs")

    def test_threads_are_started_in_one_place(self):
        self.assertEqual(sorted(threads(ROOT) - {("base/threads.h", "std::vector<std::thread>")}), [])

    def test_every_folder_is_there(self):
        for folder in PROCESSES | SHARED:
            self.assertTrue(os.path.exists(os.path.join(ROOT, folder, "CMakeLists.txt")), folder)

    def test_what_is_found(self):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {
                "cli/a.cc": '#include "cli/b.h"\n#include "wire/c.h"\n  #  include "jobs/d.h"\n',
                "wire/e.h": '#include "loader/f.h"\n#include <loader/g.h>\n// #include "jobs/d.h"\n',
                "tests/h.cc": '#include "jobs/d.h"\n',
                "base/threads.cc": "std::thread(work);\n",
                "base/i.h": "std::thread thread_;\n",
                "base/i_test.cc": "std::thread one(work);\n",
                "base/j.cc": "auto many = std::vector<std::thread>();\nstd::thread one{work};\nthread_ = std::thread([] {});\nstd::jthread two;\n",
            }.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            self.assertEqual(foreign_headers(root), {("cli/a.cc", "jobs/d.h"), ("wire/e.h", "loader/f.h")})
            self.assertEqual(threads(root), {("base/j.cc", start) for start in ("std::vector<std::thread>", "std::thread one{", "std::thread(", "std::jthread")})


if __name__ == "__main__":
    unittest.main()
