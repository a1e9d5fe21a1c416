"""What has been: `session what-ran`, `what-failed`, `summary`, `list`, `attach` of one that ended, `replay`, and `log`."""

import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from record_log import MAGIC, pack_log  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402


class Past(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF, "elements/base.bst": BASE, "elements/good.bst": manual("good", "echo all is well"),
            "elements/bad.bst": manual("bad", "echo the last words", "false", depends=["good.bst"]),
            "elements/app.bst": manual("app", depends=["bad.bst"]),
            "elements/slow.bst": manual("slow", "echo it begins", gate(1), "echo it ends")})
        busybox_base(self.at)

    def session(self, *arguments, **options):
        return self.sluice("session", *arguments, cwd=self.at, **options)

    def json(self, *arguments):
        return json.loads(self.session(*arguments, "--json").stdout)

    def test_a_build_that_failed(self):
        self.sluice("--on-error", "continue", "build", "app.bst", cwd=self.at, status=1)
        (id,) = self.sessions()

        ran = self.json("what-ran")
        self.assertEqual(ran["session"], id)
        builds = {job["element"]: job for job in ran["jobs"] if job["action"] == "build"}
        self.assertEqual({name: job["outcome"] for name, job in builds.items()}, {"base.bst": "success", "good.bst": "success", "bad.bst": "failure"})
        self.assertEqual([job["started"] for job in ran["jobs"]], sorted(job["started"] for job in ran["jobs"]))
        self.assertTrue(os.path.exists(builds["bad.bst"]["log"]))
        self.assertGreater(builds["good.bst"]["duration"], 0)
        self.assertEqual([job["element"] for job in self.json("what-ran", id, "--element", "b*", "--sort", "element", "--action", "build")["jobs"]],
                         ["bad.bst", "base.bst"])
        text = self.session("what-ran").stdout
        self.assertEqual(len(text.splitlines()), 1 + len(ran["jobs"]))
        self.assertIn("No such job", self.session("what-ran", "--element", "nobody").stderr)

        failed = self.session("what-failed").stdout
        self.assertEqual(failed.count("build bad.bst:"), 1)
        self.assertIn(builds["bad.bst"]["log"], failed)
        self.assertIn("| the last words", failed.replace("    ", ""))
        self.assertEqual([one["element"] for one in self.json("what-failed")["failures"]], ["bad.bst"])

        summary = self.json("summary", id)
        counts = summary["run"]["counts"]
        self.assertEqual((counts["built"], counts["failed"], counts["not reached"]), (2, 1, 1))
        self.assertEqual(summary["run"]["targets"], ["app.bst"])
        self.assertEqual(summary["outcome"], "failure")
        text = self.session("summary").stdout
        self.assertIn("1 failed, 2 built, 1 not reached", text)
        self.assertIn("bad.bst", text)
        self.assertIn("has no run 2", self.session("summary", "--run", "2", status=1).stderr)

        # The supervisor has noted how it went: nobody reads the records for that.
        self.assertEqual(self.session_json(id)["course"]["outcome"], "failure")
        os.rename(os.path.join(self.session_directory(id), "records.log"), os.path.join(self.session_directory(id), "kept"))
        (row,) = self.json("list", "--failed", "--here", "--last", "1")
        self.assertEqual((row["id"], row["outcome"], row["targets"], row["state"]), (id, "failure", ["app.bst"], "ended"))
        self.assertGreater(row["duration"], 0)
        os.rename(os.path.join(self.session_directory(id), "kept"), os.path.join(self.session_directory(id), "records.log"))
        self.assertEqual(self.json("list", "--state", "active"), [])

        # One that has ended is shown whole, and ends as its last run did.
        shown = self.session("attach", id, status=1)
        self.assertIn("FAILURE", shown.stdout)
        self.assertIn("Pipeline Summary", shown.stdout)
        lines = self.session("attach", "--style", "json", id, status=1).stdout
        self.assertEqual(self.session("replay", "--speed", "max", "--style", "json").stdout, lines)
        self.assertEqual(self.session("replay", "--speed", "1000", id).stdout, shown.stdout)
        self.assertIn("has started no job", self.session("replay", "--skip-to", "app.bst", status=1).stderr)

        # What is counted is counted once.
        end = self.session("attach", "--style", "reader", id, status=1).stdout
        self.assertIn(": " + ", ".join(re.search("Elements +[0-9]+: (.*)", text).group(1).split(", ")) + ".\n", end)

        # On a terminal the status area is there, made of the records.
        replay = self.start("session", "replay", "--style", "tty", "--max-pause", "1s", "--speed", "0.2", id, cwd=self.at, pty=True)
        self.assertEqual(replay.wait(), 0, replay)
        self.assertIn("Built", replay.stdout)
        # Keys hold it, and end it.
        replay = self.start("session", "replay", "--style", "calm", "--speed", "0.01", id, cwd=self.at, pty=True)
        self.wait_seen(replay, re.escape("+/- speed (0.01x)"))
        replay.write(" ")
        self.wait_seen(replay, "paused")
        replay.write("+")
        self.wait_seen(replay, re.escape("+/- speed (0.02x)"))
        replay.write("q")
        self.assertEqual(replay.wait(), 0, replay)

    def test_a_build_that_went_well(self):
        self.sluice("build", "good.bst", cwd=self.at)
        (id,) = self.sessions()
        self.assertIn("SUCCESS", self.session("attach", id).stdout)
        self.assertIn("Nothing has failed", self.session("what-failed").stderr)
        self.assertEqual(self.json("list", "--failed"), [])
        self.assertEqual(self.json("list")[0]["outcome"], "success")
        # The job's log, and, when that is gone, the artifact's.
        log = self.sluice("log", "good.bst", cwd=self.at).stdout
        self.assertIn("all is well", log)
        both = self.sluice("log", "good.bst", "base.bst", cwd=self.at).stdout
        self.assertIn("good.bst | ", both)
        self.assertTrue(all(line.startswith(("good.bst | ", "base.bst | ")) for line in both.splitlines()))
        shutil.rmtree(os.path.join(self.cachedir, "logs", "small", "good"))
        self.assertIn("all is well", self.sluice("log", "good.bst", cwd=self.at).stdout)
        self.assertIn("app.bst has no log", self.sluice("log", "app.bst", cwd=self.at, status=1).stderr)
        # Outside of the project there is no artifact to look for.
        gone = self.sluice("log", "good.bst", "app.bst", "--session", id, cwd=self.directory, status=1).stderr
        self.assertIn("a job of good.bst, whose log isn't there any more", gone)
        self.assertIn("has started no job of 'app.bst'", gone)
        # Of records that can't be read it is said that they are missing.
        self.assertNotIn("can't be read", self.session("summary").stderr)
        with open(os.path.join(self.session_directory(id), "records.log"), "ab") as file:
            file.write(pack_log([{"v": 1, "type": 5}])[len(MAGIC):])
        self.assertRegex(self.session("summary").stderr, r"WARNING 1 of the \d+ records of session %s can't be read" % id)

    def test_what_is_cached_is_what_the_run_worked_on(self):
        """What a cached element was built with is in the pipeline, and nobody's business (screen and summary say the same)."""
        self.sluice("build", "good.bst", cwd=self.at)
        with open(os.path.join(self.at, "elements/top.bst"), "w", encoding="ascii") as file:
            file.write("kind: stack\ndepends: [mid.bst]\n")
        with open(os.path.join(self.at, "elements/mid.bst"), "w", encoding="ascii") as file:
            file.write(manual("mid", depends=["good.bst"]))
        self.sluice("build", "mid.bst", cwd=self.at)
        end = self.sluice("--style", "reader", "build", "top.bst", cwd=self.at).stderr
        self.assertRegex(end, r"after [^:]*: 1 built, 1 cached\.\n")
        self.assertRegex(self.session("summary").stdout, "Elements +2: 1 built, 1 cached\n")
        counts = self.json("summary")["run"]["counts"]
        self.assertEqual((counts["built"], counts["cached"], counts["not needed"]), (1, 1, 2))

    def test_a_build_that_runs(self):
        build = self.start("build", "slow.bst", cwd=self.at)
        # Who waits for it has all of it.
        self.wait_until(lambda: self.sessions(), "the session")
        self.wait_at_gate(1)
        follows = self.start("log", "-f", "slow.bst", cwd=self.at)
        plain = self.start("log", "slow.bst", cwd=self.at)
        for reader in (follows, plain):
            self.wait_until(lambda: "it begins" in reader.stdout, "the log")
        job = [one for one in self.json("what-ran")["jobs"] if one["element"] == "slow.bst" and one["action"] == "build"][0]
        self.assertIsNone(job["outcome"])
        self.assertIn("goes on", self.session("summary").stdout)
        (row,) = self.json("list")
        self.assertEqual((row["state"], row["outcome"], row["targets"]), ("active", None, ["slow.bst"]))
        self.open_gate(1)
        self.assertEqual(build.wait(), 0, build)
        for reader in (follows, plain):
            self.assertEqual(reader.wait(), 0, reader)
            self.assertIn("it ends", reader.stdout)


main()
