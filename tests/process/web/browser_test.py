"""The page of `sluice web` and `sluice report` in a real browser: a prompt answered by a click, the keyboard, contrast, narrow screens, and texts
that would be HTML."""

import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sluice_test import main  # noqa: E402
from web_case import HOSTILE, WebTest  # noqa: E402
from browser import ENTER, ESCAPE, TAB, Browser, need_browser  # noqa: E402
from record_log import pack_log  # noqa: E402

# Of all texts that are seen: the contrast with what lies behind them, the worst first, where it is less than WCAG's AA asks for.
CONTRAST = """
const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const found = [];
let seen = 0;
for (const node of document.querySelectorAll("body *")) {
  if (!node.checkVisibility({ checkOpacity: true }) || node.closest(".unseen, .skip, [disabled], option") || node.tagName === "CANVAS") continue;
  if (![...node.childNodes].some(each => each.nodeType === 3 && each.data.trim())) continue;
  let behind = null;
  for (let up = node; up && !behind; up = up.parentElement) { const c = parse(getComputedStyle(up).backgroundColor); if (c[3] === 1) behind = c; }
  const style = getComputedStyle(node), a = light(parse(style.color)), b = light(behind || [255, 255, 255]);
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
  ++seen;
  if (ratio < (large ? 3 : 4.5)) found.push([ratio.toFixed(2), node.tagName, node.className, node.textContent.slice(0, 40)]);
}
return [seen, found.sort()];
"""
# What is drawn on the canvas: the names of bars on the bars' colours, and marks beside what they lie on.
COLOURS = """
const style = getComputedStyle(document.documentElement);
const of = name => style.getPropertyValue("--" + name).trim().match(/[0-9a-f]{2}/g).map(v => parseInt(v, 16) / 255).map(v => v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4));
const light = name => { const [r, g, b] = of(name); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const ratio = (one, other) => { const a = light(one), b = light(other); return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); };
return [["on-bar", "bar-build", 4.5], ["on-bar", "bar-fetch", 4.5], ["on-bar", "bar-pull", 4.5], ["on-bar", "bar-failed", 4.5], ["muted", "panel", 4.5], ["muted", "bg", 4.5], ["bar-critical", "bar-build", 3], ["accent", "bg", 3], ["control", "bg", 3]]
  .map(([one, other, least]) => [one, other, ratio(one, other), least]).filter(each => !(each[2] >= each[3]));
"""


# What fingers can't hit: less than 40 px high or wide. Links within sentences are as large as these.
SMALL = """
return [...document.querySelectorAll("button, select, input, label")].filter(node => node.checkVisibility() && !node.closest(".unseen, .skip, p:not(.row)") && node.type !== "checkbox")
  .map(node => [node, node.getBoundingClientRect()]).filter(([, box]) => box.width < 40 || box.height < 40).map(([node, box]) => [node.tagName, node.className, node.textContent.slice(0, 30), box.width, box.height]);
"""
# What the page shows of a session that is over, and whether it had found the same while that went on.
SHOWN = """
const { model } = (window.sluice_view || [...sluice_web.open.values()][0].view);
const { measured } = model;
const wrong = [...model.fates].filter(([name, fate]) => {
  model.fates.delete(name);
  const status = model.status_of(model.elements.get(name));
  model.fates.set(name, fate);
  return status !== fate && !(status === "waiting" && (fate === "blocked" || fate === "unneeded"));
}).map(([name, fate]) => [name, fate]);
return { counts: model.counts(), path: model.critical().steps.map(step => [step.job.id, step.ms]), path_ms: model.critical().sum, hit_rate: measured.hit_rate, ms: measured.ms, cpu: measured.cpu, memory: measured.memory,
  average: measured.load.average, suspended: measured.suspended, runners: measured.runners.map(each => [each[0], each[2]]), shown: document.querySelector(".counts").textContent, failures: model.failures().map(job => job.element), wrong };
"""

# A log's text in three pieces, wherever it is cut, is the text as a whole.
PIECES = """
const text = "a\\x1b[1;31mred\\x1b[0m\\r\\nb\\x1b]0;title\\x07c\\x1b]8;;x\\x1b\\\\d\\re\\x1bMf\\r";
const wrong = [];
for (let i = 0; i <= text.length; ++i) {
  for (let j = i; j <= text.length; ++j) {
    const log = new LogText();
    if (log.take(text.slice(0, i)) + log.take(text.slice(i, j)) + log.take(text.slice(j)) + log.rest() !== plain(text)) wrong.push([i, j]);
  }
}
return [plain(text), wrong, new LogText().take("\\x1b]" + "x".repeat(5000)).length];
"""
# An attempt that was lost with its runner, as a digest has it, and what is counted before and after.
LOST = """
const model = new Model();
for (const event of [{ k: "run", at: 1, elements: [["a.bst", "manual", "buildable", "", ""]] }, { k: "start", at: 2, job: 1, attempt: 1, e: "a.bst", a: "build" }]) model.apply(event);
const running = model.counts();
model.apply({ k: "status", at: 3 });
const kept = model.counts() === running;
model.apply({ k: "done", at: 9, from: 5, ms: 4, job: 1, attempt: 2, e: "a.bst", a: "build", outcome: "success" });
return [running.running, kept, model.counts().running, model.counts().built, [...model.jobs.values()].map(job => [job.outcome, job.ms])];
"""


class InBrowser(WebTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need_browser()

    def browser(self, **how):
        browser = Browser(**how)
        self.addCleanup(browser.close)
        return browser

    def check_page(self, browser):
        self.assertEqual(browser.messages(), [])
        seen, low = browser.run(CONTRAST)
        self.assertGreater(seen, 10)
        self.assertEqual(low, [])
        self.assertEqual(browser.run(COLOURS), [])
        self.assertNotIn("[object", browser.run("return document.body.innerText"))
        width, room = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
        self.assertLessEqual(width, room)
        self.assertEqual(browser.run("return window.hacked || document.querySelectorAll('img, iframe, object').length"), 0)

    def check_numbers(self, browser, session):
        """The page says what `session summary` says."""
        said = json.loads(self.sluice("session", "summary", "--json", session, cwd=self.at).stdout)
        run, shown = said["run"], browser.run(SHOWN)
        self.assertEqual(shown["wrong"], [])
        names = {"not reached": "blocked", "not needed": "unneeded"}
        self.assertEqual({names.get(name, name): count for name, count in run["counts"].items() if count}, {name: count for name, count in shown["counts"].items() if count})
        self.assertIn(f"of {run['elements']} elements", shown["shown"])
        self.assertEqual(shown["path"], [[job["job"], int(job["duration"] * 1000 + 1e-6)] for job in run["critical-path"]["jobs"]])
        self.assertEqual(shown["runners"], [[each["name"], each["jobs"]] for each in run["runners"]])
        self.assertEqual(sorted(shown["failures"]), sorted(each["element"] for each in said["failures"]))
        for name, value in (("path_ms", run["critical-path"]["duration"]), ("ms", run["duration"]), ("suspended", run["suspended"]), ("cpu", run["cpu"] or 0)):
            self.assertAlmostEqual(shown[name], value * 1000, delta=1.001, msg=name)
        self.assertEqual([shown["hit_rate"], shown["memory"], shown["average"]], [run["hit-rate"], run["memory"] or 0, run["builders"]["average"]])

    def test_a_prompt_is_answered_and_the_keyboard_does_everything(self):
        build = self.start("--builders", "2", "build", "bad.bst", "last.bst", cwd=self.at, pty=True)
        self.wait_at_gate(1)
        self.wait_at_gate(2)
        self.serve()
        browser = self.browser()
        browser.open(self.address[0].strip())
        browser.wait("return document.querySelectorAll('.active li').length === 2")
        self.assertNotIn("token", browser.run("return location.href"))
        self.open_gate(2, signal.SIGTERM)
        browser.wait("return document.querySelector('.prompt button')")
        browser.wait("return document.querySelector('.failure .log')")
        self.assertIn("<img src=x onerror=window.hacked=1>", browser.run("return document.querySelector('.failure .log').textContent"))
        self.check_page(browser)
        browser.wait("return document.querySelector('#said').textContent.includes('bad.bst')")
        # By keys: help, the filter, a part of the page; where the focus is, is seen.
        browser.keys("?")
        browser.wait("return document.querySelector('dialog[open]')")
        self.check_page(browser)
        browser.keys(ESCAPE)
        browser.wait("return !document.querySelector('dialog')")
        browser.keys("/")
        browser.wait("return document.activeElement.type === 'search'")
        browser.keys("slow")
        browser.wait("return document.querySelectorAll('.elements tbody tr').length === 1")
        browser.keys(ESCAPE)
        browser.keys("q")
        browser.wait("return document.activeElement.textContent.startsWith('Questions')")
        browser.keys(TAB)
        self.assertEqual(browser.run("return document.activeElement.textContent"), "Continue")
        self.assertNotEqual(browser.run("return getComputedStyle(document.activeElement).outlineStyle"), "none")
        # Nothing is terminated by a click that slipped.
        browser.run("[...document.querySelectorAll('.prompt button')].find(each => each.textContent === 'Terminate').click()")
        browser.wait("return document.querySelector('dialog[open] .danger')")
        browser.keys(ESCAPE)
        browser.wait("return !document.querySelector('dialog')")
        browser.run("[...document.querySelectorAll('.prompt button')].find(each => each.textContent === 'Log').click()")
        browser.wait("return document.querySelector('.log-view') && document.querySelector('.log-view').textContent.includes('gate 2')")
        browser.keys(ESCAPE)
        browser.wait("return !document.querySelector('dialog')")
        browser.click(".prompt button")
        browser.wait("return document.querySelector('section.prompts').hidden")
        self.open_gate(1)
        self.assertEqual(build.wait(), 1)
        browser.wait("return document.querySelector('.session').dataset.outcome === 'failure'")
        browser.wait("return [...sluice_web.open.values()][0].model.fates.size > 0")
        self.check_numbers(browser, self.sessions()[-1])
        # The list of sessions, by keys alone.
        browser.keys("l")
        browser.wait("return document.querySelector('dialog .list button') === document.activeElement")
        browser.keys(ENTER)
        browser.wait("return document.querySelectorAll('.session').length === 0")
        browser.keys(ESCAPE)

    def test_narrow_and_dark(self):
        self.sluice("build", "first.bst", cwd=self.at)
        self.serve()
        for dark in (False, True):
            browser = self.browser(width=360, height=740, dark=dark, touch=True)
            browser.open(self.address[0].strip())
            browser.wait("return document.querySelector('.session') && document.querySelector('.session').dataset.outcome === 'success'")
            self.check_page(browser)
            self.assertEqual(browser.run(SMALL), [])
            browser.run("[...document.querySelectorAll('.elements tbody button')].find(each => each.textContent === 'first.bst').click()")
            browser.wait("return document.querySelector('dialog[open]').textContent.includes('No earlier session')")
            self.check_page(browser)
            self.assertEqual(browser.run(SMALL), [])

    def hostile_session(self, count):
        """A session of the past whose records say what would be HTML."""
        session = {"id": "20260101-000000-000-0000", "project": HOSTILE, "verb": "build", "started": 1, "elapsed": 1, "state": "active"}
        run = {"number": 1, "verb": "build", "elapsed": 1, "elements": count, "position": 0}
        names = [HOSTILE] + [f"element-{i}.bst" for i in range(1, count)]

        def element(i, state):
            return {"project": "p", "name": names[i], "kind": "manual", "key": "%064x" % i, "brief": "%08x" % i, "strict": True, "state": state}

        def event(kind, at, **more):
            return {"v": 1, "type": kind, "time": 10**18 + at * 10**6, "session": session, "run": run, **more}

        entries = [event("session.started", 0),
                   event("run.started", 1, heading={"directory": "/p", "targets": [HOSTILE]}, elements=[element(i, "buildable") for i in range(count)],
                         plan={"dependencies": [[] if i % 100 == 0 else [i - 1] for i in range(count)]})]
        for i in range(count):
            job = {"id": i + 1, "action": "build", "attempt": 1, "runner": "runner", "host": "h", "slot": i % 16, "started": 10**18 + (10 + i // 16 * 100) * 10**6, "elapsed": 90 * 10**6,
                   "log_file": "/logs/" + HOSTILE}
            failed = i == 0
            entries.append(event("job.finished", 10 + i // 16 * 100 + 90, job=job, element=element(i, "failed" if failed else "cached"), outcome="failure" if failed else "success",
                                 text=HOSTILE if failed else "", log_tail=HOSTILE if failed else ""))
        entries += [event("run.finished", 20 + count * 10, outcome="failure", failures=[]), event("session.ended", 21 + count * 10)]
        directory = os.path.join(self.state, "sluice", "sessions", session["id"])
        os.makedirs(directory)
        with open(os.path.join(directory, "records.log"), "wb") as file:
            file.write(pack_log(entries))
        self.write(os.path.join(directory, "session.json"), '{"id": "%s", "project": "/p", "verb": "build", "started": 1, "pid": 1, "state": "ended"}' % session["id"])
        return session["id"]

    def report(self, session):
        page = os.path.join(self.directory, "report.html")
        self.sluice("report", session, "--output", page, cwd=self.at, timeout=240)
        return page

    def test_a_hostile_session_is_texts(self):
        session = self.hostile_session(3)
        page = self.report(session)
        browser = self.browser()
        browser.open("file://" + page)
        self.assertEqual(browser.run("return [...document.querySelectorAll('.failure')].map(each => each.textContent.includes('onerror=window.hacked'))"), [True])
        self.check_numbers(browser, session)
        self.check_page(browser)
        self.assertEqual(browser.run(PIECES), ["ared\nbcd\nef\n", [], 5000])
        self.assertEqual(browser.run(LOST), [1, True, 0, 1, [["lost", 3], ["success", 4]]])
        browser.click(".failure .name")
        browser.wait("return document.querySelector('dialog[open]')")
        self.check_page(browser)
        browser.command("Emulation.setScriptExecutionDisabled", value=True)
        browser.open("file://" + page)
        text = browser.command("DOM.getDocument", depth=-1)
        self.assertIn("onerror=window.hacked", str(text))
        self.assertIn("3 elements", str(text))

    def test_many_jobs(self):
        page = self.report(self.hostile_session(30000))
        browser = self.browser()
        browser.open("file://" + page)
        browser.wait("return document.querySelectorAll('.elements tbody tr').length === 200")
        browser.run("document.querySelector('canvas').focus()")
        # Frames of a zoom into the middle, drawn one by one.
        took = browser.run("const view = sluice_view.timeline; const begin = performance.now(); for (let i = 0; i < 20; ++i) view.zoom(0.8); view.all(); return (performance.now() - begin) / 21")
        self.assertLess(took, 200)
        begin = time.monotonic()
        browser.keys("/")
        browser.keys("29999")
        browser.wait("return document.querySelectorAll('.elements tbody tr').length === 1")
        self.assertLess(time.monotonic() - begin, 20)


if __name__ == "__main__":
    main()
