"""`sluice trace`: Trace Event JSON that a strict reader takes, and OTLP that a collector gets."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from http_ends import HttpEnd  # noqa: E402
from otlp import spans  # noqa: E402
from record_log import MAGIC, pack_log, records  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402
from trace_events import Trace  # noqa: E402
from workload import BASE, CONF, Gates, busybox_base, gate, manual  # noqa: E402

SUSPENDED = 2.0


class TraceTest(Gates, SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({
            "project.conf": CONF, "elements/base.bst": BASE,
            "elements/a.bst": manual("a", gate(1)), "elements/b.bst": manual("b"),
            "elements/c.bst": manual("c", depends=["a.bst", "b.bst"]), "elements/bad.bst": manual("bad", "echo oops", "false"),
            "elements/all.bst": "kind: stack\ndepends:\n- c.bst\n- bad.bst\n"})
        busybox_base(self.at)

    def build_with_a_suspension(self):
        build = self.start("--on-error", "continue", "--builders", "2", "build", "all.bst", cwd=self.at)
        self.wait_at_gate(1)
        # Both builders: only the gate runs on.
        self.wait_until(lambda: any(r["type"] == "job.finished" and r["element"]["name"] == "bad.bst" for r in self.log()), "the failure")
        self.running = self.trace()
        self.sluice("session", "suspend", cwd=self.at)
        begun = self.wait_until(lambda: [r["time"] for r in self.log() if r["type"] == "session.suspended"], "the suspension")[0]
        self.wait_until(lambda: self.wall() - begun > SUSPENDED * 1e9, "two seconds of suspension")
        self.sluice("session", "resume", cwd=self.at)
        self.open_gate(1)
        self.assertNotEqual(build.wait(), 0)

    @staticmethod
    def wall():
        return time.time_ns()

    def log(self):
        return records(self.session_directory())

    def trace(self, *arguments):
        path = os.path.join(self.directory, "trace.json")
        self.sluice("trace", "--output", path, *arguments, cwd=self.at)
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def test_of_a_session(self):
        self.build_with_a_suspension()
        log = self.log()
        finished = {(r["job"]["id"], r["job"]["attempt"]): r for r in log if r["type"] == "job.finished"}
        self.check_running(Trace(self.running))
        trace = Trace(self.trace())
        self.check_chrome(trace, log, finished)
        self.check_otlp(self.trace("--format", "otlp"), log, finished)
        self.check_sent(finished)

    def check_running(self, trace):
        """Of a session that goes on there is what there was."""
        jobs = {(one.args["element"], one.args["outcome"]) for one in trace.slices("build")}
        self.assertIn(("a.bst", "running"), jobs)
        self.assertIn(("bad.bst", "failure"), jobs)
        self.assertFalse(trace.other["ended"])

    def check_chrome(self, trace, log, finished):
        jobs = [one for one in trace.slices("build") + trace.slices("fetch") if "job" in one.args]
        self.assertEqual(sorted((one.args["job"], one.args["attempt"]) for one in jobs), sorted(finished))
        for one in jobs:
            record = finished[one.args["job"], one.args["attempt"]]
            self.assertEqual(one.args["element"], record["element"]["name"])
            self.assertEqual(one.args["outcome"], record["outcome"])
            self.assertEqual(one.args["key"], record["element"]["key"])
        by_element = {one.args["element"]: one for one in trace.slices("build")}
        self.assertTrue(by_element["bad.bst"].args["message"])
        # Nothing was busy while nothing could be: the gate's job was suspended for more than two seconds.
        ended = [r for r in log if r["type"] == "session.ended"][0]
        active = ended["session"]["elapsed"]
        passed = ended["time"] - ended["session"]["started"]
        self.assertLess(active, passed - SUSPENDED * 1e9)
        last = max(one.end for slices in trace.threads.values() for one in slices)
        self.assertLessEqual(last, active + 1e6)
        self.assertLess(by_element["a.bst"].end - by_element["a.bst"].begin, passed - SUSPENDED * 1e9)
        self.assertEqual(len(trace.instants), 1)
        self.assertGreaterEqual(trace.instants[0]["args"]["seconds_left_out"], SUSPENDED)
        # Steps in their jobs, slots as threads, runs, counters.
        def element_of(one):
            # A step may lie in another one.
            return one.args["element"] if "element" in one.args else element_of(one.parent)

        steps = {(element_of(one), one.name) for one in trace.slices("step")}
        for element in ("a.bst", "c.bst"):
            self.assertIn((element, "Running commands"), steps)
        self.assertIn("slot 1", trace.thread_names.values())
        self.assertIn("runner on ", " ".join(trace.names.values()))
        self.assertEqual([one.args["outcome"] for one in trace.slices("run")], ["failure"])
        counts = [args["jobs"] for _, args in trace.counters["active build jobs"]]
        self.assertGreaterEqual(max(counts), 2)
        self.assertEqual(counts[-1], 0)
        flows = {(one.args["element"], other.args["element"]) for one, other, name in trace.flows if name == "dependency"}
        if any("plan" in r for r in log if r["type"] == "run.started"):
            self.assertLessEqual({("a.bst", "c.bst"), ("b.bst", "c.bst"), ("base.bst", "a.bst")}, flows)

    def check_otlp(self, request, log, finished):
        found = spans(request)
        session = self.sessions()[-1]
        self.assertEqual(len({one.trace for one in found}), 1)
        by_id = {one.id: one for one in found}
        self.assertEqual(len(by_id), len(found))
        roots = [one for one in found if one.parent is None]
        self.assertEqual([one.attributes["sluice.session"] for one in roots], [session])
        self.assertEqual(roots[0].events, ["session.suspended", "session.resumed"])
        for one in found:
            self.assertTrue(one.parent is None or one.parent in by_id, one.raw)
            self.assertTrue(all(link in by_id for link in one.links), one.raw)
            if one.parent:
                parent = by_id[one.parent]
                self.assertTrue(parent.begin <= one.begin and one.end <= parent.end, (one.raw, parent.raw))
        runs = [one for one in found if "cicd.pipeline.result" in one.attributes]
        self.assertEqual([(one.name, one.kind, one.attributes["cicd.pipeline.result"], one.failed, one.attributes["error.type"])
                          for one in runs], [("BUILD small", 2, "failure", True, "failure")])
        self.assertEqual(runs[0].attributes["cicd.pipeline.run.id"], session + "/1")
        jobs = {tuple(map(int, one.attributes["cicd.pipeline.task.run.id"].split("."))): one for one in found
                if "cicd.pipeline.task.run.id" in one.attributes}
        self.assertEqual(set(jobs), set(finished))
        for name, one in jobs.items():
            record = finished[name]
            self.assertEqual(one.attributes["cicd.pipeline.task.run.result"], record["outcome"])
            self.assertEqual(one.attributes["cicd.pipeline.task.name"], "%s %s" % (record["job"]["action"], record["element"]["name"]))
            self.assertEqual(one.attributes["cicd.worker.name"], record["job"]["host"])
            self.assertTrue(one.attributes["cicd.pipeline.task.run.url.full"].startswith("file://"))
            self.assertEqual(one.failed, record["outcome"] == "failure")
            self.assertEqual("error.type" in one.attributes, record["outcome"] == "failure")
            self.assertEqual(one.events, ["failure"] if record["outcome"] == "failure" else [])

    def check_sent(self, finished):
        """The same spans by HTTP, with the same ids; what the collector says is told."""
        end = HttpEnd(lambda path, request: spans(request) or path == "/v1/traces" or 1 / 0)
        self.addCleanup(end.go_away)
        self.sluice("trace", "--otlp", end.url, cwd=self.at)
        self.assertEqual(end.wrong, [])
        sent = {one.id for _, request in end.posts for one in spans(request)}
        self.assertEqual(sent, {one.id for one in spans(self.trace("--format", "otlp"))})
        end.answer = (200, b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}')
        self.assertIn("3 spans were rejected: too old", self.sluice("trace", "--otlp", end.url, cwd=self.at, status=1).stderr)
        end.broken = 503
        self.assertIn("answers 503", self.sluice("trace", "--otlp", end.url, cwd=self.at, status=1).stderr)

    def test_wrong_use(self):
        self.assertIn("There was no session yet", self.sluice("trace", cwd=self.at, status=1).stderr)
        self.assertIn("There is no session 'x'", self.sluice("trace", "x", cwd=self.at, status=1).stderr)
        self.assertIn("--format", self.sluice("trace", "--format", "x", cwd=self.at, status=2).stderr)
        self.sluice("build", "b.bst", cwd=self.at)
        # No option counts for nothing.
        for arguments, what in ((["--otlp", "http://127.0.0.1:1", "--output", "x"], "--output"),
                                (["--otlp", "http://127.0.0.1:1", "--format", "otlp"], "--format"), (["--headers", "x"], "--headers")):
            self.assertIn(what, self.sluice("trace", *arguments, cwd=self.at, status=2).stderr)

    def test_a_record_that_cannot_be_read(self):
        """Others make their trace all the same, and it is said."""
        self.sluice("build", "b.bst", cwd=self.at)
        whole = self.trace()
        with open(os.path.join(self.session_directory(), "records.log"), "ab") as file:
            file.write(pack_log([{"v": 1, "type": 5}])[len(MAGIC):])
        self.assertEqual(self.trace(), whole)
        self.assertIn("1 record is left out, since it can't be read: ", self.sluice("trace", cwd=self.at).stderr)


main()
