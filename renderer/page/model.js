"use strict";

// The words that states, outcomes and origins have in the records.
const CACHED = "cached";
const FINISHED = new Set(["built", "pulled", "fetched", CACHED, "pushed", "done"]);
// What an element is in the page's counts, in their order.
const STATUSES = ["failed", "running", "built", "pulled", "fetched", "pushed", CACHED, "done", "waiting", "blocked", "unneeded"];
// Those of measured.h that have another name here.
const FATES = { "not reached": "blocked", "not needed": "unneeded" };

// What is known of a session: made of events (digest.h), in their order, one by one. An event that
// comes twice changes nothing.
class Model {
  constructor() {
    this.id = "";
    this.project = "";
    this.verb = "";
    this.state = "";
    this.started = 0;
    this.last = 0; // time of the last event
    this.over = false;
    this.elements = new Map(); // by full name
    this.jobs = new Map(); // by job and attempt
    this.runs = new Map(); // by number
    this.prompts = new Map(); // open ones, by id
    this.messages = [];
    this.suspensions = []; // {from, to}
    this.runners = new Map();
    this.status = null; // the newest one; while the session lives
    this.limits = null;
    this.measured = null;
    this.fates = new Map(); // statuses by element, once they are final
    this.version = 0;
    this.news = 0; // the version, statuses not counted
    this.tallied = null;
  }

  element(name) {
    let found = this.elements.get(name);
    if (!found) {
      found = { name, kind: "", state: "", brief: "", key: "", deps: null, expected: 0, jobs: [], failure: null, run: 0 };
      this.elements.set(name, found);
    }
    return found;
  }

  get run() {
    let newest = null;
    for (const run of this.runs.values()) newest = run;
    return newest;
  }

  apply(event) {
    ++this.version;
    if (event.k !== "status") ++this.news;
    if (event.k !== "status" && event.at) {
      if (!this.started || event.at < this.started) this.started = event.at;
      if (event.at > this.last) this.last = event.at;
    }
    const take = this["on_" + event.k];
    if (take) take.call(this, event);
  }

  on_session(e) {
    if (e.id) this.id = e.id;
    if (e.project) this.project = e.project;
    if (e.verb) this.verb = e.verb;
    const open = this.suspensions[this.suspensions.length - 1];
    if (e.state === "suspended") {
      if (!open || open.to) this.suspensions.push({ from: e.at, to: 0 });
    } else if (open && !open.to) {
      open.to = e.at;
    }
    if (e.state) this.state = e.state;
    if (e.state === "ended") this.over = true;
    if (e.builders) this.limits = { builders: e.builders, fetchers: e.fetchers || 0 };
  }

  on_run(e) {
    if (e.id) this.id = e.id;
    if (e.project) this.project = e.project;
    const run = { number: e.n || 0, verb: e.verb || "", at: e.at, targets: e.targets || [], directory: e.dir || "",
      strict: Boolean(e.strict), builders: e.builders || 0, logdir: e.logdir || "", cache: e.cache || "",
      names: [], has_deps: Boolean(e.deps), outcome: "", ms: 0, end: 0, failures: [] };
    const rows = e.elements || [];
    rows.forEach(([name, kind, state, brief, key], index) => {
      const element = this.element(name);
      Object.assign(element, { kind, state, brief, key, run: run.number });
      element.before = state; // what it was when the run began
      element.failure = null;
      run.names.push(name);
      if (e.deps) element.deps = (e.deps[index] || []).map(at => rows[at] && rows[at][0]).filter(Boolean);
    });
    this.runs.set(run.number, run);
  }

  on_plan(e) {
    const run = this.runs.get(e.n || 0) || this.run;
    if (run) run.names.forEach((name, index) => { this.element(name).expected = e.expected[index] || 0; });
  }

  set_keys(element, e) {
    if (e.brief) element.brief = e.brief;
    if (e.key) element.key = e.key;
    if (e.s) element.state = e.s;
  }

  on_state(e) { this.set_keys(this.element(e.e), e); }

  job(e) {
    const name = e.job + "." + (e.attempt || 1);
    let job = this.jobs.get(name);
    if (!job) {
      job = { id: e.job || 0, attempt: e.attempt || 1, element: e.e || "", action: e.a || "", runner: e.runner || "", host: e.host || "",
        slot: e.slot || 0, from: e.from || e.at, to: 0, ms: 0, outcome: "", origin: "", log: e.log || "", run: e.n || 0,
        cpu: 0, mem: 0, bytes: 0, text: "", detail: "", tail: "" };
      this.jobs.set(name, job);
      if (job.element) this.element(job.element).jobs.push(job);
    }
    return job;
  }

  on_start(e) {
    const job = this.job(e);
    if (!job.outcome) this.element(job.element).failure = null; // it is tried again
    this.end_lost(job, e.at);
  }

  // Attempts before this one that were never said to have ended.
  end_lost(job, at) {
    for (let attempt = job.attempt - 1; attempt > 0; --attempt) {
      const lost = this.jobs.get(job.id + "." + attempt);
      if (!lost || lost.outcome) break;
      Object.assign(lost, { outcome: "lost", to: at, ms: this.active(lost.from, at) });
    }
  }

  on_done(e) {
    const job = this.job(e);
    const element = this.element(job.element);
    Object.assign(job, { to: e.at, ms: e.ms || 0, outcome: e.outcome || "", origin: e.origin || "", cpu: e.cpu || 0, mem: e.mem || 0,
      bytes: e.bytes || 0, text: e.text || "", detail: e.detail || "", tail: e.tail || "", log: e.log || job.log,
      from: e.from || job.from });
    // A digest has no start of a job whose end it has.
    this.end_lost(job, job.from);
    this.set_keys(element, e);
    if (job.outcome === "failure" || job.outcome === "error") element.failure = job;
    else if (job.outcome === "success") element.failure = null;
  }

  on_end(e) {
    const run = this.runs.get(e.n || 0) || this.run;
    if (!run) return;
    Object.assign(run, { outcome: e.outcome || "", ms: e.ms || 0, end: e.at });
    for (const row of e.resolved || []) this.set_keys(this.element(row[0]), { s: row[2], brief: row[3], key: row[4] });
    for (const failure of e.failures || []) {
      const element = this.element(failure.e);
      const known = element.failure || {};
      element.failure = Object.assign({ id: failure.job, attempt: failure.attempt, element: failure.e, action: failure.a }, known,
        { text: failure.text || known.text, detail: failure.detail || known.detail, tail: failure.tail || known.tail, log: failure.log || known.log });
    }
  }

  on_prompt(e) { this.prompts.set(e.id || 0, e); }
  on_answered(e) { this.prompts.delete(e.id || 0); }

  on_message(e) {
    this.messages.push(e);
    if (this.messages.length > 2000) this.messages.shift();
  }

  on_runner(e) { this.runners.set(e.name, e); }

  on_status(e) {
    this.status = e;
    if (e.state) this.state = e.state;
    if (e.builders) this.limits = { builders: e.builders, fetchers: e.fetchers || 0 };
    if (e.prompts) {
      for (const prompt of e.prompts) if (!this.prompts.has(prompt.id || 0)) this.prompts.set(prompt.id || 0, prompt);
    }
  }

  // One of STATUSES.
  status_of(element) {
    const final = this.fates.get(element.name);
    if (final) return final;
    if (element.failure) return "failed";
    const jobs = element.jobs;
    for (const job of jobs) if (!job.outcome && !this.over) return "running";
    let best = "";
    for (const job of jobs) {
      if (job.outcome !== "success") continue;
      if (job.origin) best = job.origin;
      else if (job.action === "build") best = "built";
      else if (job.action === "pull") { if (element.state === CACHED || best === "") best = element.state === CACHED ? "pulled" : "done"; }
      else if (job.action === "fetch") { if (best === "" || best === "done") best = "fetched"; }
      else if (best === "") best = "done";
    }
    if (best === "fetched" && element.state !== CACHED && this.run && this.run.verb === "build") best = "";
    if (FINISHED.has(best)) return best;
    if (element.state === CACHED) return CACHED;
    const deps = element.deps || [];
    for (const name of deps) {
      const dep = this.elements.get(name);
      if (dep && (dep.failure || dep.blocked)) { element.blocked = true; return "blocked"; }
    }
    element.blocked = false;
    return "waiting";
  }

  // The time that its jobs took, in ms; those that run until `now`.
  time_of(element, now) {
    let sum = 0;
    for (const job of element.jobs) sum += job.outcome ? job.ms : this.active(job.from, now);
    return sum;
  }

  // The time between two moments in which the session wasn't suspended.
  active(from, to) {
    let ms = to - from;
    for (const each of this.suspensions) ms -= Math.max(0, Math.min(to, each.to || to) - Math.max(from, each.from));
    return Math.max(0, ms);
  }

  counts() { return this.tally().counts; }
  failures() { return this.tally().failures; }

  // Made anew only when something has come that says of elements or jobs: pages ask several times a second.
  tally() {
    const of = `${this.news} ${this.over}`;
    if (this.tallied && this.tallied.of === of) return this.tallied;
    const counts = Object.fromEntries(STATUSES.map(name => [name, 0]));
    const failures = [];
    // Dependencies come before what needs them, so that `blocked` passes on in one go.
    for (const element of this.elements.values()) {
      ++counts[this.status_of(element)];
      if (element.failure) failures.push(element.failure);
    }
    return this.tallied = { of, counts, failures };
  }

  // The outcome of the newest run in a word; "" while it goes on.
  outcome() {
    const run = this.run;
    if (!run) return this.over ? "nothing" : "";
    if (run.outcome) return run.outcome;
    return this.over ? "interrupted" : "";
  }

  // What was measured of the session up to now (measured.h): it holds until the next comes.
  take(measured) {
    if (!measured) return;
    ++this.version;
    ++this.news;
    this.measured = measured;
    // What was heard since is newer.
    const heard = this.suspensions;
    this.suspensions = measured.pauses.map(([from, to]) => ({ from, to: to || (heard.find(each => each.from === from) || { to: 0 }).to }));
    this.suspensions.push(...heard.filter(each => each.from > measured.at));
    const run = this.runs.get(measured.run);
    this.fates = new Map();
    if (measured.over && run) run.names.forEach((name, index) => this.fates.set(name, FATES[measured.fates[index]] || measured.fates[index]));
  }

  // The longest chain of jobs of which each had to wait for the one before: steps of {job, ms, waited}; null when it isn't known.
  critical() {
    const path = this.measured && this.measured.path;
    if (!path) return null;
    const steps = path.jobs.map(([name, ms, waited]) => ({ job: this.jobs.get(name), ms, waited })).filter(step => step.job);
    return steps.length ? { steps, sum: path.ms, waited: steps.reduce((sum, step) => sum + step.waited, 0) } : null;
  }
}

// What became of elements between an earlier session and a later one: rows of {name, before, after}
// (ms of their builds, null without one), `failed` or `mended`, and whether the key changed.
function compare(earlier, later) {
  const rows = [];
  const built = element => {
    if (!element) return null;
    const jobs = element.jobs.filter(job => job.action === "build" && job.outcome === "success");
    return jobs.length ? jobs[jobs.length - 1].ms : null;
  };
  for (const element of later.elements.values()) {
    const was = earlier.elements.get(element.name);
    const row = { name: element.name, before: built(was), after: built(element), fresh: !was, gone: false,
      key: Boolean(was && was.key && element.key && was.key !== element.key),
      failed: Boolean(element.failure && !(was && was.failure)), mended: Boolean(was && was.failure && !element.failure) };
    row.change = row.before !== null && row.after !== null ? row.after - row.before : null;
    rows.push(row);
  }
  for (const element of earlier.elements.values()) {
    if (later.elements.has(element.name)) continue;
    rows.push({ name: element.name, before: built(element), after: null, fresh: false, gone: true, key: false, failed: false, mended: false, change: null });
  }
  return rows;
}

function duration(ms) {
  if (ms === null || ms === undefined || ms < 0) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  const whole = Math.round(s);
  const two = value => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)} min`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)} h`;
}

function bytes(count) {
  if (!count) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) { count /= 1024; ++unit; }
  return `${count.toFixed(unit && count < 10 ? 1 : 0)} ${units[unit]}`;
}

function date(ms) {
  return ms ? new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) : "";
}

// A log's text without what steers terminals.
function plain(text) {
  return text.replace(/\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]/g, "").replace(/\r\n?/g, "\n").replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "");
}

// A text that comes piece by piece, as plain() would have it in one: what of a piece has only begun
// (a sequence, a line's end) is held until the rest of it comes.
class LogText {
  constructor() { this.held = ""; }

  take(piece) {
    const text = this.held + piece;
    const begun = text.search(/\r?(?:\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?)?)?$/);
    // What is longer is none that ends.
    const cut = text.length - begun > 4096 ? text.length : begun;
    this.held = text.slice(cut);
    return plain(text.slice(0, cut));
  }

  rest() {
    const text = this.held;
    this.held = "";
    return plain(text);
  }
}
