"""What the tests of engines share: a session on the first of several hosts, and runners on the others."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from hosts import Hosts
from sluice_test import Background, SluiceTest
from workload import BASE, CONF, Gates, busybox_base, manual

# All of these have to be there: builds go from one host to others, which takes seconds, also on a loaded machine.
TIMEOUT = 120


# What the runners of these tests offer, and the session's own does not.
LABEL = "elsewhere"


def elsewhere(name, *commands, depends=()):
    """As workload.manual(); nothing but runners of engines builds it."""
    return manual(name, *commands, depends=depends) + "variables:\n  runner-labels: %s\n" % LABEL


class EngineTest(Gates, SluiceTest):
    """`hosts` of each test: start_hosts(). What is started on them, is listed when a test fails."""

    PROJECT = "/root/project"

    def start_hosts(self, count, **options):
        self.hosts = Hosts(count, visible=[self.bin, *options.pop("visible", [])], **options)
        self.hosts.__enter__()  # pylint: disable=unnecessary-dunder-call
        self.addCleanup(self.hosts.__exit__)
        return self.hosts

    def copy_project(self, elements):
        """{name: text} of elements besides base.bst, into the first host."""
        files = {"project.conf": CONF, "elements/base.bst": BASE}
        files.update({"elements/" + name: text for name, text in elements.items()})
        project = self.project(files)
        busybox_base(project)
        self.hosts[0].copy(project, self.PROJECT)

    def on(self, i, *arguments, status=0, program="sluice", **options):
        """A program of Sluice's on a host, to its end. As SluiceTest.sluice()."""
        argv = self.hosts[i].argv([self.program(program), *arguments], **{"cwd": self.PROJECT if i == 0 else "/root", **options})
        return self.sluice(*argv[1:], program=argv[0], status=status, timeout=TIMEOUT)

    def begin(self, i, *arguments, program="sluice", **options) -> Background:
        """The same in the background."""
        argv = self.hosts[i].argv([self.program(program), *arguments], **{"cwd": self.PROJECT if i == 0 else "/root", **options})
        return self.start(*argv[1:], program=argv[0])

    def start_session(self, *options):
        """A session of the first host that others can join; its id."""
        self.session = self.on(0, "session", "start", "--listen", "tcp://%s:7420" % self.hosts[0].address, *options).stdout.strip()
        return self.session

    def session_path(self, name):
        return "/root/.local/state/sluice/sessions/%s/%s" % (self.session, name)

    def runners(self):
        """{name: what `runner list` says} of those that came from elsewhere."""
        shown = self.on(0, "runner", "list", "--json", self.session).stdout
        return {runner["name"]: runner for runner in json.loads(shown) if runner["remote"]}

    def wait_for_runners(self, names):
        return self.wait_until(lambda: (found := self.runners()).keys() == set(names) and (found or True), "runners %s" % sorted(names), TIMEOUT)

    def wait_for_text(self, background, text, timeout=TIMEOUT):
        """Until a command in the background has said that."""
        deadline = time.monotonic() + timeout
        while text not in background.stdout + background.stderr:
            if background.poll() is not None and text not in background.stdout + background.stderr:
                self.fail("it has ended without saying %r:\n%s" % (text, background))
            if time.monotonic() > deadline:
                self.fail("it never said %r:\n%s" % (text, background))
            time.sleep(0.02)

    def secret(self):
        """The half of the enrolment key that nobody may see."""
        return json.loads(self.hosts[0].read(self.session_path("runner.json")))["enrolment-secret-key"]

    def assert_on_no_command_line(self, text):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open("/proc/%s/cmdline" % entry, "rb") as file:
                        line = file.read()
                except OSError:
                    continue
                self.assertNotIn(text.encode(), line)
