"""That the checks of faults.py see what they are there for: each is shown damage that was made by hand."""

import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import Fault  # noqa: E402
from sluice_test import main  # noqa: E402


class Checks(Fault):
    def setUp(self):
        super().setUp()
        self.use("c")
        self.assertEqual(self.build().wait(), 0)
        self.wait_for_the_end(wrong := [])
        self.expected = self.artifacts()
        self.check_result(self.expected, wrong)
        self.check_builds(wrong)
        self.check_rest(wrong)
        self.assertEqual(wrong, [])

    def found(self, check, *arguments, **options):
        wrong = []
        check(*arguments, wrong=wrong, **options)
        return "\n".join(wrong)

    def ref(self, element):
        return [ref for ref in self.expected if ref.startswith("small/%s/" % element)][0]

    def test_artifacts(self):
        path = os.path.join(self.cachedir, "artifacts", "refs", self.ref("six"))
        with open(os.path.join(self.cachedir, "artifacts", "refs", self.ref("e01")), "rb") as file:
            other = file.read()
        os.chmod(path, 0o644)
        with open(path, "wb") as file:
            file.write(other)
        self.assertIn("differs", self.found(self.check_result, self.expected))
        os.unlink(path)
        self.assertIn("is missing", self.found(self.check_result, self.expected))
        expected = {ref: parts for ref, parts in self.expected.items() if ref != self.ref("e01")}
        self.assertIn("artifact %s is too much" % self.ref("e01"), self.found(self.check_result, expected))

    def test_objects(self):
        top = os.path.join(self.cachedir, "cas", "objects")
        folder = sorted(os.listdir(top))[0]
        path = os.path.join(top, folder, os.listdir(os.path.join(top, folder))[0])
        os.chmod(path, 0o644)
        with open(path, "r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([(first or b"x")[0] ^ 1]))
        os.chmod(path, 0o444)
        self.assertIn("corrupt", self.found(self.check_result, self.expected))

    def test_built_twice(self):
        element = os.path.join(self.cachedir, "artifacts", "refs", "small", "six")
        for name in os.listdir(element):
            os.unlink(os.path.join(element, name))
        self.sluice("build", "six.bst", cwd=self.at)
        self.assertIn("six.bst was built before", self.found(self.check_builds))

    def test_left_behind(self):
        os.makedirs(os.path.join(self.cachedir, "build", "sluice-of-a-dead-runner"))
        self.assertIn("sluice-of-a-dead-runner", self.found(self.check_rest))
        os.makedirs(os.path.join(self.cachedir, "sluice", "tmp"), exist_ok=True)
        with open(os.path.join(self.cachedir, "sluice", "tmp", "12-1"), "wb"):
            pass
        self.assertIn("12-1", self.found(self.check_rest))
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(os.path.join(self.env["XDG_RUNTIME_DIR"], "sluice", "left"))
            self.assertIn("socket is left", self.found(self.check_rest))

    def test_process_left(self):
        sleeper = subprocess.Popen(["sleep", "600"])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        self.assertIn("sleep", self.found(self.wait_for_the_end, timeout=0.1))


main()
