"""--jobserver: the makes of all builds share the processors. With a real make in the sandboxes."""

import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from workload import CONF, busybox_base  # noqa: E402

TOTAL = max(4, len(os.sched_getaffinity(0)))


def copy_program(name, base):
    """Copies a program with its libraries, to where its loader looks for them."""
    program = shutil.which(name)
    libraries = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout)
    for file in [program, *libraries]:
        target = base + file
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.realpath(file), target)
        os.chmod(target, 0o755)


class Jobserver(SluiceTest):
    def setUp(self):
        super().setUp()
        if shutil.which("make") is None:
            self.skipTest("make is missing")
        files = {"project.conf": CONF, "elements/base.bst": "kind: import\nsources:\n- kind: local\n  path: files/base\n"}
        for letter, number in (("a", 7001), ("b", 7002)):
            files["files/%s/Makefile" % letter] = "\n".join([
                "TARGETS := $(shell busybox seq 1 %d)" % (TOTAL + 2), "SHELL := /bin/sh", "all: $(TARGETS)",
                "$(TARGETS):", "\tbusybox sleep %d || test $$? = 138" % number, "install:", "\t@true", ""])
            files["elements/%s.bst" % letter] = "\n".join([
                "kind: manual", "build-depends: [base.bst]", "sources:", "- kind: local", "  path: files/%s" % letter,
                # As BuildStream's make and autotools have it.
                "environment:", "  MAKEFLAGS: -j%{max-jobs}", "environment-nocache: [MAKEFLAGS]",
                "config:", "  build-commands: [make]", "  install-commands: [make install]", ""])
        self.at = self.project(files)
        busybox_base(self.at)
        copy_program("make", os.path.join(self.at, "files/base"))

    def sleeping(self, number=None):
        found = []
        for pid, name in self.processes().items():
            if name != "busybox":
                continue
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if words[1:2] == [b"sleep"] and number in (None, int(words[2])):
                found.append(pid)
        return found

    def wait_sleeping(self, count, number=None):
        return self.wait_until(lambda: (lambda pids: pids if len(pids) == count else None)(self.sleeping(number)), "%d recipes" % count)

    def building(self, *options):
        return self.start("--builders", "2", "--max-jobs", str(TOTAL), "--on-error", "continue", *options, "build", "a.bst", "b.bst", cwd=self.at)

    def finish(self, build, status, most):
        def ended():
            pids = self.sleeping()
            self.assertLessEqual(len(pids), most)
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGUSR1)
                except ProcessLookupError:
                    pass
            return build.poll() is not None
        self.wait_until(ended, "the build to end")
        self.assertEqual(build.wait(), status)
        self.assert_nothing_left()

    def test_without_it_each_make_has_its_own(self):
        build = self.building()
        self.wait_sleeping(2 * TOTAL)
        self.finish(build, 0, 2 * TOTAL)

    def test_all_share(self):
        config = self.write("user.conf", "scheduler:\n  jobserver: true\n")
        build = self.building("--config", config)
        self.wait_sleeping(TOTAL)
        self.assertTrue(self.sleeping(7001) and self.sleeping(7002))
        # A make that ends makes room for another.
        for _ in range(3):
            os.kill(self.sleeping()[0], signal.SIGUSR1)
            self.wait_sleeping(TOTAL)
        self.finish(build, 0, TOTAL)
        # The job server is nothing that an artifact's environment tells of.
        log = self.sluice("artifact", "log", "a.bst", cwd=self.at).stdout
        self.assertIn("MAKEFLAGS: -j%d\n" % TOTAL, log)
        self.assertNotIn("jobserver", log)

    def test_a_make_that_is_killed_gives_all_back(self):
        build = self.building("--jobserver")
        self.wait_sleeping(TOTAL)
        self.wait_until(lambda: self.sleeping(7001) and self.sleeping(7002), "both makes")
        for pid, name in self.processes().items():
            if name == "make":
                with open("/proc/%d/cwd/Makefile" % pid, encoding="utf-8") as file:
                    if "7001" in file.read():
                        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: not self.sleeping(7001), "the end of the build whose make was killed")
        self.wait_sleeping(TOTAL, 7002)
        self.finish(build, 1, TOTAL)

    def test_keys_are_the_same(self):
        keys = [self.sluice(*options, "show", "--format", "%{name} %{full-key}", "a.bst", cwd=self.at).stdout
                for options in (("--jobserver",), ("--no-jobserver",), ())]
        self.assertEqual(len(set(keys)), 1)


if __name__ == "__main__":
    main()
