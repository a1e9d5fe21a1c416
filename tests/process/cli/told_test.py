"""What is told is told whole: by a renderer that comes when its session has ended already, beside a broker that says nothing for
longer than anybody should wait, and with another user's directory where the sockets should be."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from record_log import records  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

# A renderer that begins when its session's sockets are gone.
LATE = """#!/bin/sh
while test -e "$XDG_RUNTIME_DIR"/sluice/*/records; do busybox sleep 0.01; done
exec %s "$@"
"""
STALL = 15  # seconds; a broker used to be given up after 10


def lines_of(output):
    """Its lines without times and keys; those of the session's own end may come in between."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    text = re.sub(r"\d\d:\d\d:\d\d(\.\d+)?", "TIME", re.sub(r"[0-9a-f]{64}|\b[0-9a-f]{8}\b", "KEY", text))
    return re.sub(r"\d{8}-\d{6}-\d{3}-[0-9a-f]{4}", "SESSION", text).replace("\r", "")


class Told(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF,
            "elements/base.bst": BASE,
            "elements/good.bst": manual("good"),
            "elements/slow.bst": manual("slow", gate(1)),
            "elements/noref.bst": "kind: import\nsources:\n- kind: tar\n  url: http://localhost:1/nothing.tar\n",
            "elements/nokind.bst": "kind: unheard-of\n",
            "elements/broken.bst": "kind: import\nsources:\n- kind: local\n  path: files/nowhere\n",
        })
        busybox_base(self.at)

    def programs_with(self, name, text):
        """A directory with all programs, one of which is this script."""
        folder = os.path.join(self.directory, "programs")
        os.makedirs(folder)
        for program in os.listdir(self.bin):
            if program.startswith("sluice"):
                os.symlink(os.path.join(self.bin, program), os.path.join(folder, program))
        os.unlink(os.path.join(folder, "sluice"))
        shutil.copyfile(os.path.join(self.bin, "sluice"), os.path.join(folder, "sluice"))
        os.chmod(os.path.join(folder, "sluice"), 0o755)
        os.unlink(os.path.join(folder, name))
        self.write(os.path.join(folder, name), text, 0o755)
        return os.path.join(folder, "sluice")

    # What the error of each element says, which is told once.
    FAILING = {
        "noref.bst": "Inconsistent pipeline",
        "nokind.bst": "unheard-of",
        "broken.bst": "'files/nowhere'",
        "missing.bst": "Could not find element 'missing.bst'",
    }

    def assert_whole(self, done, named):
        self.assertNotIn("There is no session", done.stderr)
        self.assertRegex(done.stderr, "START +Loading elements")
        self.assertRegex(done.stderr, "(SUCCESS|FAILURE) +Loading elements")
        # The line of the file, which stands below the error, says it once more.
        said = [line for line in done.stderr.splitlines() if not re.match(r" +[0-9]* \| ", line)]
        self.assertEqual("\n".join(said).count(named), 1, done.stderr)

    def test_a_renderer_that_comes_too_late(self):
        late = self.programs_with("sluice-renderer", LATE % self.program("sluice-renderer"))
        for element, named in self.FAILING.items():
            in_time = self.sluice("build", element, cwd=self.at, status=None)
            self.assertNotEqual(in_time.code, 0)
            self.assert_whole(in_time, named)
            log = os.path.join(self.directory, element + ".log")
            too_late = self.sluice("--json-log", log, "build", element, cwd=self.at, status=in_time.code, program=late)
            self.assertEqual(lines_of(too_late.stderr), lines_of(in_time.stderr))
            with open(log, encoding="utf-8") as file:
                told = [json.loads(line) for line in file]
            self.assertIn("Loading elements", [record.get("text") for record in told])
            self.assertIn("session.ended", [record["type"] for record in told])
        self.assert_nothing_left()

    def test_every_line_each_time_beside_load(self):
        load = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2 * os.cpu_count())]
        try:
            for round_ in range(6):
                for element, named in self.FAILING.items():
                    done = self.sluice("build", element, cwd=self.at, status=None)
                    self.assertNotEqual(done.code, 0)
                    self.assert_whole(done, named)
        finally:
            for process in load:
                process.kill()
                process.wait()
        self.assert_nothing_left()

    # ---- A broker that stalls

    def stall(self, brokers):
        for pid in brokers:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(STALL)  # what is done to it
        for pid in brokers:
            os.kill(pid, signal.SIGCONT)

    def test_a_broker_that_stalls(self):
        """The broker stalls in the middle of a build with a terminal attached, and before another project is loaded (records R33, control C14)."""
        log = os.path.join(self.directory, "log")
        build = self.start("--json-log", log, "build", "slow.bst", cwd=self.at)
        self.wait_at_gate(1)
        attached = self.start("session", "attach", "--style", "plain", cwd=self.at)
        self.wait_until(lambda: "START   Build" in attached.stdout, "the attached one to read")
        (running,) = self.pids("sluice-broker")
        other = self.start("build", "good.bst", cwd=self.at)
        begins = self.wait_until(lambda: [pid for pid in self.pids("sluice-broker") if pid != running], "the other's broker")
        self.stall([running, *begins])
        self.assertIsNone(build.poll())
        self.assertIsNone(attached.poll())
        self.assertIsNone(other.poll())
        self.open_gate(1)
        for terminal, queue in ((build, "Build Queue: processed"), (other, "Build Queue: processed")):
            self.assertEqual(terminal.wait(), 0, terminal)
            self.assertIn(queue, terminal.stderr)
        self.assertEqual(attached.wait(), 0)
        self.assertIn("Pipeline Summary", attached.stdout)
        with open(log, encoding="utf-8") as file:
            self.assertEqual(json.loads(file.readlines()[-1])["type"], "session.ended")
        self.assertEqual([r for r in records(self.session_directory(self.sessions()[0])) if r["type"] == "error"], [])
        self.assert_nothing_left()

    # ---- Another user's directory

    def test_a_place_for_sockets_that_is_somebody_elses(self):
        """It can be anybody's who was there first; what is done instead is said, and found from other terminals (P16)."""
        if os.getuid() != 0:
            self.skipTest("needs root, to give a directory to somebody else")
        runtime = os.path.join(self.env["XDG_RUNTIME_DIR"], "sluice")
        os.makedirs(runtime, mode=0o700)
        os.chown(runtime, 65534, 65534)
        build = self.start("build", "slow.bst", cwd=self.at)
        self.wait_at_gate(1)
        (session,) = self.sessions()
        with open(os.path.join(self.session_directory(session), "runtime"), encoding="utf-8") as file:
            sockets = file.read().strip()
        self.assertTrue(os.path.exists(os.path.join(sockets, "records")))
        self.assertIn("WARNING %s belongs to user 65534: the session's sockets are in %s\n" % (runtime, os.path.dirname(sockets)), build.stderr)
        # A command whose XDG_RUNTIME_DIR is another finds the session all the same.
        self.sluice("session", "suspend", session, cwd=self.at, env={"XDG_RUNTIME_DIR": os.path.join(self.directory, "another")})
        self.sluice("session", "resume", session, cwd=self.at)
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.assertIn("Build Queue: processed 2", build.stderr)
        self.assertFalse(os.path.exists(sockets))
        self.assertEqual(os.listdir(runtime), [])
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
