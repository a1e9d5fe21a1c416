"""`sluice web` over HTTP: who gets in, records without loss, logs, steering."""

import json
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sluice_test import main  # noqa: E402
from web_case import WebTest  # noqa: E402


class Web(WebTest):
    def test_who_gets_in(self):
        headers = self.serve()
        self.assertIn("HttpOnly", headers["Set-Cookie"])
        self.assertIn("SameSite=Strict", headers["Set-Cookie"])
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["Referrer-Policy"], "no-referrer")
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertNotIn("Access-Control-Allow-Origin", headers)
        for path in ("/", "/page.js", "/sessions", "/s/x/events", "/?token=" + "0" * 64):
            self.assertEqual(self.ask("GET", path, cookie=None)[0], 403, path)
        self.assertEqual(self.ask("GET", "/", cookie=self.cookie[:-1] + "x")[0], 403)
        for host in ("evil.example", "127.0.0.1.evil.example:80", ""):
            self.assertEqual(self.ask("GET", "/", headers={"Host": host})[0], 421, host)
        self.assertEqual(self.ask("GET", "/", headers={"Host": "localhost:1"})[0], 200)
        # A page of another port has the cookie sent, being of the same site.
        self.assertEqual(self.ask("GET", "/sessions", headers={"Sec-Fetch-Site": "same-site"})[0], 403)
        self.assertEqual(self.ask("GET", "/sessions", headers={"Sec-Fetch-Site": "same-origin"})[0], 200)
        self.assertEqual(self.ask("GET", "/s/..%2f..%2fetc/events")[0], 404)
        self.assertEqual(self.ask("GET", "/s/" + "a" * 5000 + "/events")[0], 400)
        json_type = {"Content-Type": "application/json"}
        for origin in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
            self.assertEqual(self.ask("POST", "/s/x/steer", "{}", {**json_type, **origin})[0], 403, origin)
        own = {"Origin": f"http://127.0.0.1:{self.port}"}
        self.assertEqual(self.ask("POST", "/s/x/steer", "{}", own)[0], 415)
        self.assertEqual(self.ask("POST", "/s/x/steer", "{}", {**own, **json_type})[0], 404)
        self.assertEqual(self.ask("PUT", "/", "x", {**own, **json_type})[0], 405)
        # What has no end is given up, and others are served meanwhile.
        with socket.create_connection(("127.0.0.1", self.port)) as endless:
            endless.sendall(b"GET / HTTP/1.1\r\n")
            sent = 0
            try:
                while sent < 1 << 20:
                    sent += endless.send(b"X-A: " + b"a" * 4000 + b"\r\n")
            except OSError:
                pass
            self.assertEqual(self.ask("GET", "/sessions")[0], 200)
            endless.settimeout(30)
            try:
                while endless.recv(65536):
                    pass
            except ConnectionError:
                pass
        self.web.process.send_signal(signal.SIGINT)
        self.assertEqual(self.web.wait(), 0)

    def test_a_reconnect_loses_nothing_whoever_is_killed(self):
        build = self.start("build", "first.bst", "last.bst", cwd=self.at)
        self.wait_at_gate(1)
        self.serve()
        session = self.sessions()[-1]
        early = self.stream(f"/s/{session}/events")
        self.wait_until(lambda: early.has("caught"), "the past")
        # One that stops reading keeps nobody waiting.
        stopped, _ = self.connect("GET", f"/s/{session}/events")
        self.addCleanup(stopped.close)
        early.close()
        before, position = early.messages()
        self.assertTrue(any(each["k"] == "start" and each["e"] == "slow.bst" for each in before), before)
        self.kill("sluice-broker")
        late = self.stream(f"/s/{session}/events", position)
        self.wait_until(lambda: late.has("status"), "a status of the broker that was started again")
        self.open_gate(1)
        self.assertEqual(build.wait(), 0)
        self.wait_until(lambda: late.has("over"), "the end")
        after, _ = late.messages()
        whole = self.stream(f"/s/{session}/events")
        self.wait_until(lambda: whole.has("over"), "all of it")
        self.assertEqual(before + after, whole.messages()[0])
        done = [each["e"] for each in after if each["k"] == "done"]
        # The first one may have been done before the stream began, or not.
        self.assertEqual([element for element in done if element != "first.bst"], ["slow.bst", "last.bst"])
        listed = json.loads(self.ask("GET", "/sessions")[2])["sessions"]
        self.assertEqual([each["id"] for each in listed], [session])
        self.assertFalse(listed[0]["alive"])
        why = json.loads(self.ask("GET", f"/s/{session}/why?element=first.bst")[2])
        self.assertEqual(why["first.bst"]["what"], "first")
        self.assertEqual(self.ask("GET", f"/s/{session}/why")[0], 404)

    def test_a_log_is_followed_and_a_session_steered(self):
        build = self.start("--builders", "1", "build", "last.bst", cwd=self.at)
        self.wait_at_gate(1)
        self.serve()
        session = self.sessions()[-1]
        events = self.stream(f"/s/{session}/events")
        self.wait_until(lambda: events.has("caught"), "the past")
        job = next(each for each in events.messages()[0] if each["k"] == "start" and each["e"] == "slow.bst")
        log = self.stream(f"/s/{session}/log?job={job['job']}&attempt=1")
        text = lambda stream: "".join(json.loads(each[2]) for each in list(stream.events) if each[0] == "message")  # noqa: E731
        self.wait_until(lambda: "gate 1" in text(log), "the log at the gate")
        self.assertEqual(self.ask("GET", f"/s/{session}/log?job=999")[0], 404)
        status, _, said = self.steer(session, command="builders", number=2)
        self.assertEqual((status, json.loads(said)), (200, {"status": "done"}))
        self.assertEqual(self.steer(session, command="suspend")[0], 200)
        self.wait_until(lambda: any(each.get("state") == "suspended" for each in events.messages()[0]), "the suspension")
        self.assertEqual(self.steer(session, command="resume")[0], 200)
        self.assertEqual(self.steer(session, command="builders", number=0)[0], 400)
        self.assertEqual(self.steer(session, command="rm -rf")[0], 400)
        self.assertEqual(json.loads(self.steer(session, command="answer", prompt=77, choice="quit")[2])["status"], "refused")
        self.open_gate(1)
        self.wait_until(lambda: log.has("over"), "the log's end")
        self.assertIn("after", text(log))
        self.assertEqual(self.ask("GET", f"/s/{session}/log.txt?job={job['job']}&attempt=1")[2], text(log))
        rest = self.stream(f"/s/{session}/log?job={job['job']}&attempt=1", str(len(text(log).encode()) - 5))
        self.wait_until(lambda: rest.has("over"), "the rest")
        self.assertEqual(text(rest), text(log)[-5:])
        self.assertEqual(build.wait(), 0)
        self.assertEqual(json.loads(self.steer(session, command="suspend")[2])["status"], "refused")

    def test_who_only_looks_steers_nothing(self):
        self.sluice("build", "first.bst", cwd=self.at)
        self.serve("--read-only")
        self.assertEqual(self.steer(self.sessions()[-1], command="suspend")[0], 403)
        self.assertTrue(json.loads(self.ask("GET", "/sessions")[2])["readonly"])
        # A description that was damaged says nothing, and keeps no other one from being listed.
        other, damaged = self.sessions()[-1], "20200101-000000-000-0000"
        self.write(os.path.join(self.session_directory(damaged), "session.json"), '{"project": [], "verb": {}, "started": "x", "state": 7}')
        status, _, text = self.ask("GET", "/sessions")
        self.assertEqual(status, 200)
        listed = {each["id"]: each for each in json.loads(text)["sessions"]}
        self.assertEqual(listed[other]["verb"], "build")
        self.assertEqual([listed[damaged][name] for name in ("project", "verb", "started", "state", "alive")], ["", "", 0, "", False])

    def test_mistakes(self):
        self.assertEqual(self.sluice("web", "no-such-session", cwd=self.at, status=None).code, 1)
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        result = self.sluice("web", "--no-open", "--port", str(taken.getsockname()[1]), cwd=self.at, status=1)
        self.assertIn("can't be had", result.stderr)
        self.assertEqual(self.sluice("report", "no-such-session", cwd=self.at, status=None).code, 1)
        self.assertEqual(self.sluice("report", cwd=self.at, status=None).code, 1)


if __name__ == "__main__":
    main()
