#!/usr/bin/env python3
"""Makes the events of a session from what BuildStream printed of one, one event of JSON a line.

    from_bst_log.py LOG TAIL > EVENTS

LOG is the standard error of `bst build` without colours. TAIL gets the lines of the job log that
LOG shows below a failure. The golden tests render EVENTS and compare with LOG; so what stands in
LOG is what must come out again, by another way.
"""

import datetime
import json
import re
import sys

LINE = re.compile(r"\[(\d\d:\d\d:\d\d|--:--:--)\]\[(.{8})\]\[ *([\w-]+):(.*?) *\] (\w+) +(.*)")
SECOND = 1_000_000_000


def nanoseconds(text):
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return (hours * 3600 + minutes * 60 + seconds) * SECOND


class Converter:
    def __init__(self, lines):
        self.lines = lines
        self.at = 0
        self.events = []
        self.keys = {}
        self.jobs = {}
        self.tail = []
        self.failures = []
        self.session = {"id": "20261122-120000-0000", "project": "", "verb": "", "started": 0, "elapsed": 0,
                        "state": "active"}
        self.run = None
        self.logdir = ""

    def peek(self, ahead=0):
        return self.lines[self.at + ahead] if self.at + ahead < len(self.lines) else None

    def event(self, kind, **keys):
        event = {"v": 1, "type": kind, "time": self.session["started"], "session": dict(self.session)}
        if self.run:
            event["run"] = dict(self.run)
        event.update({key: value for key, value in keys.items() if value not in (None, "")})
        self.events.append(event)

    def indented(self):
        """The lines of a message's detail, which follow it after an empty one."""
        if self.peek() != "" or not (self.peek(1) or "").startswith("    "):
            return None
        if (self.peek(1) or "").startswith(("    Printing the last", "    Log file:")):
            return None
        self.at += 1
        detail = []
        while not (self.peek() == "" and (self.peek(1) is None or LINE.fullmatch(self.peek(1)))):
            detail.append(self.peek()[4:])
            self.at += 1
        self.at += 1
        more = re.fullmatch(r"Message contains (\d+) additional lines", detail[-1])
        if more:
            detail[-1:] = ["line %d that is not shown" % i for i in range(int(more[1]))]
        return "\n".join(detail) + "\n"

    def excerpt(self):
        """The path of the log below a failure."""
        if self.peek() != "":
            return None
        if (self.peek(1) or "").startswith("    Log file:"):
            path = self.peek(1).split()[-1]
            self.at += 3
            return path
        if not (self.peek(1) or "").startswith("    Printing the last"):
            return None
        path = self.peek(2).strip()
        self.at += 4
        tail = []
        while self.peek() != "    " + "=" * 70:
            tail.append(self.peek()[4:])
            self.at += 1
        self.at += 2
        self.tail = tail
        return path

    def message(self, match):
        elapsed, key, action, name, level, text = match.groups()
        level = {"WARNING": "warn"}.get(level, level.lower())
        # What isn't timed has no elapsed at all.
        ns = None if elapsed.startswith("--") else nanoseconds(elapsed)
        keys = {"level": level, "text": text, "elapsed": ns or None}
        if name != "core activity":
            keys["element"] = {"project": "golden", "name": name, "kind": "manual", "key": self.keys.get(name, key),
                               "brief": key, "strict": True, "state": ""}
        keys["detail"] = self.indented()
        if action == "main":
            if name == "core activity" and level == "start" and not self.session["verb"]:
                self.session["verb"] = text.lower()
                self.event("session.started")
            self.event("message", **keys)
            if self.run and name == "core activity" and text.lower() == self.run["verb"]:
                self.finish(level)
            return
        job = self.jobs.setdefault((name, action), {
            "id": len(self.jobs) + 1, "action": action, "attempt": 1, "runner": "runner-1", "host": "here", "slot": 0,
            "started": self.session["started"], "elapsed": 0, "log_file": ""})
        path = self.excerpt() if level == "failure" else None
        if path or text.endswith(".log"):
            path = path or text
            job["log_file"] = path if path.startswith(self.logdir) else self.logdir + "/" + path
            job["elapsed"] = ns or 0
            if level == "start":
                self.event("job.started", element=keys["element"], job=dict(job))
            else:
                if level == "failure":
                    self.failures.append({"element": keys["element"], "job": dict(job), "text": text,
                                          "detail": keys["detail"] or ""})
                self.event("job.finished", element=keys["element"], job=dict(job), outcome=level,
                           detail=keys["detail"], text=text if level == "failure" else None)
        else:
            self.event("job.message", job=dict(job), **keys)

    def values(self, indent="    "):
        found = {}
        while (self.peek() or "").startswith(indent):
            name, value = self.peek()[len(indent):].split(":", 1)
            found[name.strip()] = value.strip()
            self.at += 1
        return found

    def heading(self):
        self.at += 2
        session = self.values()
        self.session["project"], directory = re.fullmatch(r"(\S+) \((.*)\)", session["Project"]).groups()
        started = datetime.datetime.strptime(session["Session Start"], "%A, %d-%m-%Y at %H:%M:%S")
        self.session["started"] = int(started.replace(tzinfo=datetime.timezone.utc).timestamp()) * SECOND
        self.at += 2
        user = self.values()
        self.logdir = user["Log Files"]
        heading = {
            "directory": directory, "targets": session["Targets"].split(", "),
            "config_file": user["Configuration File"], "cachedir": user["Cache Directory"], "logdir": self.logdir,
            "sourcedir": user["Source Mirrors"], "builddir": user["Build Area"],
            "strict": user["Strict Build Plan"] == "Yes", "fetchers": int(user["Maximum Fetch Tasks"]),
            "builders": int(user["Maximum Build Tasks"]), "pushers": int(user["Maximum Push Tasks"]),
            "network_retries": int(user["Maximum Network Retries"]), "projects": []}
        self.at += 1
        while self.peek().startswith("Project: "):
            project = {"name": self.peek()[9:], "junction": "", "loaded_by": "", "options": [],
                       "element_plugins": [], "source_plugins": []}
            self.at += 2
            while self.peek().startswith("    "):
                key = {"Project Options": "options", "Element Plugins": "element_plugins",
                       "Source Plugins": "source_plugins"}[self.peek().strip()]
                self.at += 1
                project[key] = [list(item) for item in self.values(" " * 8).items()]
                self.at += 1
            heading["projects"].append(project)
        self.at += 1
        elements = []
        while not self.peek().startswith("="):
            state, key, name = re.fullmatch(r"(.{12}) (\S+) (\S+) ", self.peek()).groups()
            self.keys[name] = key
            elements.append({"project": self.session["project"], "name": name, "kind": "manual", "key": key,
                             "brief": key[:8], "strict": True, "state": state.strip()})
            self.at += 1
        self.at += 1
        self.run = {"number": 1, "verb": self.session["verb"], "elapsed": 0}
        totals = dict(re.findall(r"^    (Total|Session): +(\d+)$", "\n".join(self.lines), re.M))
        self.run["total"], self.run["elements"] = int(totals["Total"]), int(totals["Session"])
        self.event("run.started", heading=heading, elements=elements)

    def finish(self, outcome):
        queues = []
        for line in self.lines[self.at:]:
            found = re.fullmatch(r"    (\S+) Queue: processed (\d+), +skipped (\d+), +failed (\d+) +", line)
            if found:
                name, processed, skipped, failed = found.groups()
                queues.append({"name": name, "waiting": 0, "active": 0, "processed": int(processed),
                               "skipped": int(skipped), "failed": int(failed)})
        self.at = len(self.lines)
        self.event("run.finished", outcome=outcome, queues=queues, failures=self.failures or None)

    def convert(self):
        while self.at < len(self.lines):
            line = self.peek()
            if line == "" and (self.peek(1) or "").startswith("BuildStream Version"):
                self.heading()
                continue
            match = LINE.fullmatch(line)
            self.at += 1
            if match:
                self.message(match)
        self.session["state"] = "ended"
        self.event("session.ended")


def main():
    with open(sys.argv[1]) as log:
        lines = log.read().split("\n")
    while lines and not lines[0].startswith("["):
        lines.pop(0)  # the command, in a golden log
    converter = Converter(lines)
    converter.convert()
    for event in converter.events:
        print(json.dumps(event))
    with open(sys.argv[2], "w") as tail:
        tail.write("".join(line + "\n" for line in converter.tail))


main()
