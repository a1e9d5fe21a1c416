const PAGE_ROWS = 200;
const PATH_STEPS = 20;
const WORDS = { failed: "failed", running: "running", built: "built", pulled: "pulled", fetched: "fetched", cached: "cached", done: "done", waiting: "waiting", blocked: "not reached", pushed: "pushed", unneeded: "not needed" };
const MARKS = { failed: "✗", running: "▶", built: "✓", pulled: "↓", fetched: "↓", cached: "=", done: "✓", waiting: "·", blocked: "–", pushed: "↑", unneeded: " " };
const OUTCOMES = { success: "succeeded", failure: "failed", terminated: "was terminated", quit: "was quit", interrupted: "was interrupted", nothing: "had nothing to do" };
const STATES = { active: "runs", suspended: "is suspended", quitting: "finishes what runs", ending: "ends" };
const CHOICES = { continue: "Continue", retry: "Try again", quit: "Quit", terminate: "Terminate" };

// Everything of one session. `live`: how it is steered and its logs are read (web.js); null in a
// report.
class View {
  constructor(model, live, extra) {
    this.model = model;
    this.live = live;
    this.why = (extra && extra.why) || {};
    this.earlier = (extra && extra.earlier) || null;
    this.sort = { by: "time", down: true };
    this.row_nodes = new Map();
    this.shown = PAGE_ROWS;
    this.section_nodes = {};
    this.timeline = new Timeline(model, name => this.details(name), announce);
    this.timeline.still = !live;
    this.build();
  }

  now() {
    if (this.model.over || !this.live) return this.model.last;
    return Math.max(this.model.last, Date.now());
  }

  build() {
    this.title = h("h2", null);
    this.facts = h("p", { class: "facts" });
    this.bar = h("div", { class: "progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, h("i", null));
    this.counts = h("ul", { class: "counts" });
    this.numbers = h("p", { class: "facts" });
    this.estimate = h("p", { class: "estimate" });
    this.tools = h("div", { class: "row tools" });
    this.corner = h("div", { class: "corner" });
    this.nav = h("nav", { class: "sections", "aria-label": "Parts of this page" });
    this.node = h("article", { class: "session" },
      h("header", { class: "head" }, h("div", { class: "title" }, this.title, this.corner), this.facts, this.bar, this.counts, this.numbers, this.estimate, this.tools), this.nav);
    const section = (name, title, ...content) => {
      const heading = h("h3", { tabindex: "-1" }, title);
      const node = h("section", { class: "part " + name }, heading, ...content);
      const link = h("button", { type: "button", class: "link", onclick: () => this.go(name) }, title);
      this.section_nodes[name] = { node, heading, link, title };
      this.node.append(node);
      return node;
    };
    this.prompts = h("div", { class: "cards" });
    section("prompts", "Questions", this.prompts);
    this.failures = h("div", { class: "cards" });
    section("failures", "Failures", this.failures);
    this.active = h("ul", { class: "active" });
    this.idle = h("p", { class: "muted" });
    section("running", "Running", this.active, this.idle);
    section("timeline", "Timeline", h("p", { class: "muted hint" }, "Click it: the wheel zooms, dragging moves; + − 0 and the arrows do as well."), this.timeline.node);
    this.path = h("div", null);
    section("critical", "Critical path", this.path);
    this.runners = h("tbody", null);
    section("runners", "Runners", h("div", { class: "scroll" }, h("table", null, h("thead", null, h("tr", null, ["Runner", "Machine", "Jobs", "Failed", "Lost", "Busy", ""].map((text, index) => h("th", { scope: "col", class: index > 1 && index < 6 ? "num" : "" }, text)))), this.runners)));
    this.compared = h("div", null);
    section("compare", "Compared with an earlier session", this.compared);
    this.reasons = h("div", null);
    section("why", "Why elements were built", this.reasons);
    this.build_elements(section);
    this.said = h("ul", { class: "messages" });
    section("messages", "Warnings and errors", this.said);
    this.node.append(h("p", { class: "muted small-print" }, this.about = h("span", null)));
    hold(this.nav, Object.values(this.section_nodes).map(each => each.link));
  }

  build_elements(section) {
    this.filter = h("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter elements by name", oninput: () => { this.shown = PAGE_ROWS; this.elements(true); } });
    this.only = h("select", { "aria-label": "Only elements that are", onchange: () => { this.shown = PAGE_ROWS; this.elements(true); } },
      h("option", { value: "" }, "all"), STATUSES.map(name => h("option", { value: name }, WORDS[name])));
    this.found = h("span", { class: "muted", role: "status" });
    this.body = h("tbody", null);
    const columns = [["status", "", "State"], ["name", "", "Element"], ["time", "num", "Time"], ["change", "num wide", "Before"], ["cpu", "num wide", "CPU"], ["mem", "num wide", "Memory"], ["kind", "wide", "Kind"], ["key", "wide", "Key"]];
    this.heads = columns.map(([by, style, text]) => h("th", { scope: "col", class: style }, h("button", { type: "button", class: "sort", onclick: () => this.sort_by(by) }, text)));
    columns.forEach(([by], index) => { this.heads[index].by = by; });
    this.more = h("button", { type: "button", onclick: () => { this.shown += PAGE_ROWS * 5; this.elements(true); } }, "Show more");
    section("elements", "Elements", h("div", { class: "row filters" }, this.filter, this.only, this.found),
      h("div", { class: "scroll" }, h("table", null, h("thead", null, h("tr", null, this.heads)), this.body)), this.more);
  }

  go(name) {
    const { heading, node } = this.section_nodes[name];
    if (node.hidden) return;
    node.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    heading.focus({ preventScroll: true });
  }

  show(name, shown, count) {
    const { node, link, title, heading } = this.section_nodes[name];
    node.hidden = link.hidden = !shown;
    const text = count === undefined ? title : `${title} (${count})`;
    say_text(link, text);
    say_text(heading, text);
  }

  // Draws what has changed. Called often; `whole`: also what is costly.
  update(whole) {
    const model = this.model;
    this.head();
    this.show_prompts();
    this.show_failures();
    this.running();
    if (whole || this.drawn !== model.version) {
      this.drawn = model.version;
      const path = model.critical();
      this.timeline.update(this.now(), new Set(path ? path.steps.map(step => step.job) : []));
      this.show("timeline", model.jobs.size > 0);
      this.critical(path);
      this.show_runners();
      this.elements();
      this.messages();
      this.compare();
      this.show_reasons();
      say_text(this.about, this.about_text());
    } else if (!model.over && this.live) {
      this.timeline.update(this.now(), this.timeline.critical);
    }
  }

  head() {
    const model = this.model, run = model.run, outcome = model.outcome();
    const names = run ? run.targets : [];
    const targets = names.length > 4 ? `${names.slice(0, 3).join(" ")} and ${names.length - 3} more` : names.join(" ");
    say_text(this.title, [model.project || "A session", targets].filter(Boolean).join(": "));
    const took = (run && run.ms) || (model.status && model.status.ms) || model.active(model.started, this.now());
    const state = outcome ? OUTCOMES[outcome] || outcome : STATES[model.state] || model.state || "starts";
    say_text(this.facts, [`${(run && run.verb) || model.verb || ""} ${state}`.trim(), duration(took), date(model.started), model.id].filter(Boolean).join(" · "));
    this.node.dataset.outcome = outcome || (model.state === "suspended" ? "suspended" : "running");
    const counts = model.counts();
    const progress = !outcome && model.status && model.status.progress;
    const all = progress ? progress.elements : model.elements.size - counts.unneeded;
    const done = progress ? progress.done : [...FINISHED].reduce((sum, name) => sum + counts[name], 0);
    const part = all ? Math.min(100, Math.round(done / all * 100)) : model.over ? 100 : 0;
    this.bar.firstChild.style.width = part + "%";
    this.bar.setAttribute("aria-valuenow", part);
    this.bar.setAttribute("aria-valuetext", `${done} of ${all} elements`);
    const measured = model.measured;
    const items = [["", `${done} of ${all}`, "elements"], ...STATUSES.filter(name => counts[name]).map(name => [name, String(counts[name]), WORDS[name]])];
    if (measured && measured.over && measured.hit_rate !== null) items.push(["", `${Math.round(measured.hit_rate * 100)}\u00a0%`, "hit rate"]);
    const key = JSON.stringify(items);
    if (this.count_key !== key) {
      this.count_key = key;
      hold(this.counts, items.map(([name, number, word]) => h("li", { class: name }, h("b", null, number), " ", word)));
    }
    const estimate = !outcome && model.status && model.status.estimate;
    let text = "";
    if (!outcome && model.prompts.size && !(model.status && model.status.running)) text = model.prompts.size > 1 ? `${model.prompts.size} failures wait for an answer` : "It waits for an answer";
    else if (estimate) {
      text = estimate.left ? `About ${duration(estimate.left)} left` : "How long it will take isn't known yet";
      if (estimate.high > estimate.low) text += ` (${duration(estimate.low)} to ${duration(estimate.high)})`;
      if (estimate.guessed) text += `; ${estimate.guessed} elements were never built before`;
    }
    if (model.status && model.status.text && !outcome) text += (text ? ". " : "") + model.status.text;
    say_text(this.estimate, text);
    this.estimate.hidden = !text;
    say_text(this.numbers, measured ? this.numbers_text(measured) : "");
    this.numbers.hidden = !this.numbers.textContent;
    if (this.live) this.live.tools(this.tools);
    else this.tools.hidden = true;
  }

  numbers_text({ load, cpu, memory, largest, fetched, uploaded, suspended }) {
    const busy = load.average ? `${load.average.toFixed(1)}${load.builders ? ` of ${load.builders}` : ""} builders busy on average` : "";
    return [busy, cpu && `${duration(cpu)} of CPU`, memory && `at most ${bytes(memory)} of memory${largest ? ` (${largest})` : ""}`, fetched && `${bytes(fetched)} fetched`,
      uploaded && `${bytes(uploaded)} uploaded`, suspended > 500 && `${duration(suspended)} suspended`].filter(Boolean).join(" · ");
  }

  log_button(job) {
    if (!this.live || !job || !job.id || !job.log) return null;
    return h("button", { type: "button", onclick: () => this.live.show_log(job) }, "Log");
  }

  show_prompts() {
    const open = this.model.over ? [] : [...this.model.prompts.values()];
    this.show("prompts", open.length > 0, open.length);
    const key = open.map(prompt => prompt.id).join() + this.allowed();
    if (this.prompt_key === key) return;
    this.prompt_key = key;
    hold(this.prompts, open.map((prompt, index) => h("div", { class: "card prompt", role: "group", "aria-label": `Question about ${prompt.e}` },
      h("p", null, h("b", null, prompt.e), ` failed: ${prompt.text || ""}`, open.length > 1 ? h("span", { class: "muted" }, ` ${index + 1} of ${open.length}`) : null),
      h("p", { class: "row" }, (prompt.choices || []).map(choice => h("button", { type: "button", class: choice === "terminate" ? "danger" : choice === "retry" ? "primary" : "",
        disabled: !this.allowed(), onclick: () => this.live.answer(prompt, choice) }, CHOICES[choice] || choice)), this.log_button(this.job_of(prompt))))));
    if (open.length) announce(`${open[open.length - 1].e} failed and waits for an answer`);
  }

  allowed() { return Boolean(this.live && this.live.may_steer); }

  job_of(prompt) {
    const element = this.model.elements.get(prompt.e);
    return element && element.failure;
  }

  show_failures() {
    const failures = this.model.failures();
    this.show("failures", failures.length > 0, failures.length);
    const key = failures.map(job => job.element + job.id + "." + job.attempt + (job.tail ? 1 : 0)).join() + this.allowed() + this.model.outcome();
    if (this.failure_key === key) return;
    const fresh = this.failure_key !== undefined && failures.length > (this.failure_count || 0);
    this.failure_key = key;
    this.failure_count = failures.length;
    hold(this.failures, failures.slice(0, 200).map(job => this.failure(job)));
    if (failures.length > 200) this.failures.append(h("p", null, `and ${failures.length - 200} more: the table of elements has them`));
    if (fresh) { const job = failures[failures.length - 1]; announce(`${job.element} failed: ${job.text}`); }
  }

  failure(job) {
    const retry = this.allowed() && !this.model.outcome() ? h("button", { type: "button", onclick: () => this.live.retry(job.element) }, "Try again") : null;
    const tail = job.tail ? h("pre", { class: "log", tabindex: "0", "aria-label": `The last lines of the log of ${job.element}` }, plain(job.tail)) : null;
    // What went wrong is at its end.
    if (tail) requestAnimationFrame(() => { tail.scrollTop = tail.scrollHeight; });
    return h("div", { class: "card failure" },
      h("p", null, h("span", { class: "mark failed" }, "✗ "), h("button", { type: "button", class: "link name", onclick: () => this.details(job.element) }, job.element), " ", h("span", null, job.text || `${job.action} failed`)),
      job.detail ? h("pre", null, plain(job.detail)) : null,
      tail,
      h("p", { class: "row" }, retry, this.log_button(job), job.log ? h("code", { class: "path" }, job.log) : null));
  }

  running() {
    const model = this.model;
    const now = this.now();
    let jobs = [];
    if (this.live && !model.over) {
      if (model.status && model.status.active) jobs = model.status.active;
      else jobs = [...model.jobs.values()].filter(job => !job.outcome).map(job => ({ e: job.element, a: job.action, job: job.id, attempt: job.attempt, ms: model.active(job.from, now), runner: job.runner }));
    }
    const total = Math.max(jobs.length, (model.status && model.status.running) || 0);
    this.show("running", jobs.length > 0 || Boolean(!model.over && model.status && model.status.idle), total);
    this.active_rows = this.active_rows || new Map();
    const order = [...jobs].sort((a, b) => Number(b.critical || 0) - Number(a.critical || 0) || b.ms - a.ms).slice(0, 64);
    const rows = order.map(job => this.active_row(job));
    hold(this.active, rows);
    const there = new Set(rows);
    for (const [key, row] of this.active_rows) if (!there.has(row)) this.active_rows.delete(key);
    const status = model.status || {};
    say_text(this.idle, !model.over && status.idle ? `${status.idle} builder${status.idle > 1 ? "s" : ""} idle${status.idlewhy ? ": " + status.idlewhy : ""}` : total > order.length ? `and ${total - order.length} more` : "");
  }

  active_row(job) {
    const key = job.job + "." + job.attempt;
    let row = this.active_rows.get(key);
    if (!row) {
      const name = h("button", { type: "button", class: "link name", onclick: () => this.details(job.e) }, job.e);
      row = h("li", null, h("div", { class: "line" }, h("span", { class: "action" }, job.a), name, h("span", { class: "time" }), h("span", { class: "flag" }, "critical"),
        this.log_button(this.model.jobs.get(key))), h("div", { class: "meter" }, h("i", null)), h("code", { class: "last" }));
      this.active_rows.set(key, row);
    }
    const [line, meter, last] = row.children;
    say_text(line.children[2], [duration(job.ms), job.expected ? `of about ${duration(job.expected)}` : "", job.step || ""].filter(Boolean).join(" · ").replace(" · of", " of"));
    line.children[3].hidden = !job.critical;
    meter.hidden = !job.expected;
    if (job.expected) {
      meter.firstChild.style.width = Math.min(100, job.ms / job.expected * 100) + "%";
      meter.classList.toggle("over", job.ms > job.expected);
    }
    say_text(last, plain(job.line || ""));
    last.hidden = !job.line;
    return row;
  }

  critical(path) {
    const some = this.model.jobs.size > 0;
    this.show("critical", some);
    if (!some) return;
    const { measured } = this.model;
    if (!path) {
      this.path_key = null;
      return hold(this.path, [h("p", { class: "muted" }, !measured ? "Looking…" : measured.path ? "Nothing has been done yet." : "Unknown: the records of this session don't say what depends on what.")]);
    }
    const key = path.steps.map(step => `${step.job.id}.${step.job.attempt}.${step.job.outcome}`).join() + this.whole_path;
    if (this.path_key !== key) this.draw_path(path, key);
    // What runs does so since it was measured.
    const since = measured.over || this.model.over ? 0 : this.model.active(measured.at, this.now());
    const took = measured.ms + since;
    let sum = path.sum;
    for (const { job, ms } of path.steps) if (!job.outcome && since) sum += Math.max(0, this.model.active(job.from, this.now()) - ms);
    for (const { step, time } of this.path_times) say_text(time, duration(step.job.outcome || !since ? step.ms : this.model.active(step.job.from, this.now())));
    say_text(this.path_sum, duration(sum));
    say_text(this.path_text, ` of work had to be done one after the other; the run ${measured.over ? "took" : "has taken"} ${duration(took)}${measured.over ? "" : " up to now"} (${took ? Math.min(100, Math.round(sum / took * 100)) : 0}\u00a0%).` +
      (path.waited > 500 ? ` On this path jobs waited ${duration(path.waited)} for their turn.` : ""));
  }

  draw_path(path, key) {
    this.path_key = key;
    this.path_times = [];
    const longest = Math.max(1, ...path.steps.map(step => step.ms));
    hold(this.path, [
      h("p", null, this.path_sum = h("b", null), this.path_text = h("span", null)),
      h("ol", { class: "path-list" }, this.path_steps(path.steps).map(step => {
        const bar = h("i", { class: this.timeline.bad(step.job) ? "failed" : step.job.action }), time = h("span", { class: "time" });
        bar.style.width = Math.max(0.5, step.ms / longest * 100) + "%";
        this.path_times.push({ step, time });
        return h("li", null, h("div", { class: "line" }, h("span", { class: "action" }, step.job.action), h("button", { type: "button", class: "link name", onclick: () => this.details(step.job.element) }, step.job.element),
          step.waited > 500 ? h("span", { class: "waited" }, `waited ${duration(step.waited)}`) : null, time), h("div", { class: "meter" }, bar));
      })), path.steps.length > PATH_STEPS && !this.whole_path ? h("p", null, h("button", { type: "button", onclick: () => { this.whole_path = true; this.critical(path); } }, `Show all ${path.steps.length} steps`), h("span", { class: "muted" }, ` These are the ${PATH_STEPS} longest.`)) : null].filter(Boolean));
  }

  // Who ran jobs; those of other machines also when they have run none.
  show_runners() {
    const { measured, runners } = this.model;
    const used = measured ? measured.runners : [];
    const rows = [...used, ...[...runners.values()].filter(each => !used.some(([name]) => name === each.name)).map(each => [each.name, each.host || "", 0, 0, 0, 0])];
    this.show("runners", runners.size > 0 || used.length > 1, rows.length);
    const key = JSON.stringify(rows) + runners.size + [...runners.values()].map(each => each.what).join();
    if (this.runner_key === key) return;
    this.runner_key = key;
    hold(this.runners, rows.map(([name, host, jobs, failed, lost, busy]) => {
      const told = runners.get(name);
      return h("tr", null, h("th", { scope: "row" }, name), h("td", null, host), [jobs, failed, lost].map(count => h("td", { class: "num" }, String(count))), h("td", { class: "num" }, duration(busy)),
        h("td", null, told && told.what !== "joined" ? [told.what, told.why].filter(Boolean).join(": ") : ""));
    }));
  }

  // The longest ones, in the order in which they ran.
  path_steps(steps) {
    if (this.whole_path || steps.length <= PATH_STEPS) return steps;
    const longest = new Set([...steps].sort((a, b) => b.ms - a.ms).slice(0, PATH_STEPS));
    return steps.filter(step => longest.has(step));
  }

  sort_by(by) {
    this.sort = { by, down: this.sort.by === by ? !this.sort.down : by === "time" || by === "cpu" || by === "mem" || by === "change" };
    this.elements(true);
  }

  before_of(name) {
    if (!this.compare_rows) return null;
    const row = this.compare_rows.get(name);
    return row ? row.before : null;
  }

  elements() {
    const model = this.model, now = this.now();
    const text = this.filter.value.trim().toLowerCase(), only = this.only.value;
    const rows = [];
    for (const element of model.elements.values()) {
      if (text && !element.name.toLowerCase().includes(text)) continue;
      const status = model.status_of(element);
      if (only && status !== only) continue;
      let cpu = 0, mem = 0;
      for (const job of element.jobs) { cpu += job.cpu; mem = Math.max(mem, job.mem); }
      rows.push({ element, name: element.name, status, time: model.time_of(element, now), kind: element.kind, key: element.brief, cpu, mem, change: this.before_of(element.name) });
    }
    const { by, down } = this.sort;
    const value = by === "status" ? row => STATUSES.indexOf(row.status) : row => row[by];
    rows.sort((a, b) => {
      const x = value(a), y = value(b);
      const order = x === y ? 0 : x === null ? -1 : y === null ? 1 : x < y ? -1 : 1;
      return order ? (down ? -order : order) : a.name < b.name ? -1 : 1;
    });
    for (const head of this.heads) {
      head.setAttribute("aria-sort", head.by === by ? (down ? "descending" : "ascending") : "none");
      if (head.by === "change") head.hidden = !this.compare_rows;
    }
    hold(this.body, rows.slice(0, this.shown).map(row => this.element_row(row)));
    this.more.hidden = rows.length <= this.shown;
    say_text(this.found, rows.length === model.elements.size ? `${rows.length} elements` : `${rows.length} of ${model.elements.size} elements`);
    this.show("elements", model.elements.size > 0, model.elements.size);
  }

  element_row(row) {
    let node = this.row_nodes.get(row.name);
    if (!node) {
      node = h("tr", null, h("td", null, h("span", { class: "mark", "aria-hidden": "true" }), " ", h("span", null)), h("th", { scope: "row" }, h("button", { type: "button", class: "link name", onclick: () => this.details(row.name) }, row.name)),
        h("td", { class: "num" }), h("td", { class: "num wide" }), h("td", { class: "num wide" }), h("td", { class: "num wide" }), h("td", { class: "wide" }), h("td", { class: "wide" }, h("code", null)));
      this.row_nodes.set(row.name, node);
    }
    const cells = node.children;
    const mark = cells[0].firstChild;
    mark.className = "mark " + row.status;
    say_text(mark, MARKS[row.status]);
    say_text(cells[0].lastChild, WORDS[row.status]);
    say_text(cells[2], row.time ? duration(row.time) : "");
    cells[3].hidden = !this.compare_rows;
    say_text(cells[3], row.change === null ? "" : duration(row.change));
    say_text(cells[4], row.cpu ? duration(row.cpu) : "");
    say_text(cells[5], bytes(row.mem));
    say_text(cells[6], row.kind);
    say_text(cells[7].firstChild, row.key);
    return node;
  }

  messages() {
    const list = this.model.messages;
    this.show("messages", list.length > 0, list.length);
    if (this.message_count === list.length && list.length < 2000) return;
    this.message_count = list.length;
    hold(this.said, list.slice(-200).map(each => h("li", { class: each.level }, h("b", null, each.level), " ", each.e ? h("code", null, each.e + " ") : null, each.text || "",
      each.file ? h("code", { class: "path" }, ` ${each.file}:${each.line || 1}`) : null, each.detail ? h("pre", null, plain(each.detail)) : null)));
  }

  compare() {
    const there = Boolean(this.earlier);
    const others = this.live ? this.live.earlier() : [];
    this.show("compare", there || others.length > 0);
    const key = (there ? this.earlier.id + this.earlier.version : "") + "/" + this.model.version + "/" + others.map(each => each.id).join();
    if (this.compare_key === key) return;
    this.compare_key = key;
    const nodes = [];
    if (others.length) {
      if (!this.choice) this.choice = h("select", { "aria-label": "Compare with", onchange: () => this.live.compare_with(this.choice.value) });
      const chosen = this.earlier ? this.earlier.id : "";
      hold(this.choice, [h("option", { value: "" }, "choose a session"), ...others.map(each => h("option", { value: each.id, selected: each.id === chosen }, `${date(each.started / 1e6)} ${each.id}`))]);
      nodes.push(h("p", null, this.choice));
    }
    this.compare_rows = null;
    if (there) nodes.push(...this.comparison());
    hold(this.compared, nodes);
    if (there) this.elements();
  }

  // A part of a list of elements, with what `text` says of each; where there is nothing to say, names alone.
  list_of(title, part, text) {
    if (!part.length) return [];
    const name = row => (this.model.elements.has(row.name) ? h("button", { type: "button", class: "link name", onclick: () => this.details(row.name) }, row.name) : h("span", null, row.name));
    const shown = part.slice(0, 50), more = part.length > shown.length ? `and ${part.length - shown.length} more` : "";
    const heading = h("h4", null, `${title} (${part.length})`);
    if (!text) return [heading, h("p", { class: "names" }, shown.map(name), more && h("span", { class: "muted" }, more))];
    return [heading, h("ul", { class: "plain" }, shown.map(row => h("li", null, name(row), " ", h("span", { class: "muted" }, text(row)))), more ? h("li", { class: "muted" }, more) : null)];
  }

  comparison() {
    const rows = compare(this.earlier, this.model);
    this.compare_rows = new Map(rows.map(row => [row.name, row]));
    const then = this.earlier.run, now = this.model.run;
    const times = row => `${duration(row.before)} → ${duration(row.after)} (${row.change > 0 ? "+" : "−"}${duration(Math.abs(row.change))})`;
    const weighty = rows.filter(row => row.change !== null && Math.abs(row.change) > Math.max(500, row.before * 0.1));
    const took = each => (each ? each.ms || (each.end ? each.end - each.at : 0) : 0);
    const nothing = h("p", { class: "muted" }, "No element failed, changed its key or took notably longer or shorter.");
    const parts = [
      ...this.list_of("Newly failed", rows.filter(row => row.failed)),
      ...this.list_of("Failed then, not now", rows.filter(row => row.mended)),
      ...this.list_of("Took longer", weighty.filter(row => row.change > 0).sort((a, b) => b.change - a.change), times),
      ...this.list_of("Took shorter", weighty.filter(row => row.change < 0).sort((a, b) => a.change - b.change), times),
      ...this.list_of("Other keys", rows.filter(row => row.key), row => {
        const was = this.earlier.elements.get(row.name);
        return `${was.brief} → ${this.model.element(row.name).brief}`;
      }),
      ...this.list_of("New elements", rows.filter(row => row.fresh)),
      ...this.list_of("Elements that are gone", rows.filter(row => row.gone))];
    return [h("p", null, `${this.earlier.id}, ${date(this.earlier.started)}: ${duration(took(then))} then, ${duration(took(now))} now.`), ...(parts.length ? parts : [nothing])];
  }

  about_text() {
    const run = this.model.run;
    if (!run) return "";
    return [run.targets.length > 4 && `${run.targets.length} targets: ${run.targets.join(" ")}`, run.directory && `Project in ${run.directory}`, run.logdir && `logs below ${run.logdir}`, run.builders && `${run.builders} builders`, run.strict ? "strict" : "not strict"].filter(Boolean).join(", ") + ".";
  }

  // All there is to say of one element.
  details(name) {
    const element = this.model.elements.get(name);
    if (!element) return;
    const model = this.model;
    const fact = (term, value) => (value ? [h("dt", null, term), h("dd", null, value)] : []);
    const link = other => h("button", { type: "button", class: "link name", onclick: () => { dialog.close(); this.details(other); } }, other);
    const some = names => (names.length ? h("span", { class: "names" }, names.slice(0, 40).map(each => [link(each), " "]), names.length > 40 ? `and ${names.length - 40} more` : "") : null);
    const needed_by = [...model.elements.values()].filter(each => each.deps && each.deps.includes(name)).map(each => each.name);
    const status = model.status_of(element);
    const again = element.jobs.some(job => job.attempt > 1);
    const jobs = element.jobs.length ? h("div", { class: "scroll" }, h("table", null, h("thead", null, h("tr", null, ["Job", again ? "Attempt" : null, "Where", "Time", "CPU", "Memory", "Outcome", ""].filter(text => text !== null).map(text => h("th", { scope: "col" }, text)))),
      h("tbody", null, element.jobs.map(job => h("tr", null, h("td", null, `${job.action} ${job.id}`), again ? h("td", null, String(job.attempt)) : null, h("td", null, `${job.runner} ${job.slot + 1}`), h("td", null, duration(job.outcome ? job.ms : model.active(job.from, this.now()))),
        h("td", null, job.cpu ? duration(job.cpu) : ""), h("td", null, bytes(job.mem)), h("td", null, [job.outcome || "running", job.origin].filter(Boolean).join(", ")), h("td", null, this.log_button(job))))))) : null;
    const log = element.jobs.length ? element.jobs[element.jobs.length - 1].log : "";
    const why = h("div", null, this.why_of(name));
    const dialog = open_dialog(name,
      h("p", null, h("span", { class: "mark " + status, "aria-hidden": "true" }, MARKS[status] + " "), WORDS[status]),
      h("dl", { class: "details" }, fact("Kind", element.kind), fact("Key", h("code", null, element.key || element.brief || "not known yet")), fact("State", element.state),
        fact("Needs", element.deps ? some(element.deps) : null), fact("Needed by", some(needed_by)), fact("Log", log && h("code", { class: "path" }, log))),
      h("h3", null, "Why it was built"), why, jobs ? h("h3", null, "Jobs") : null, jobs,
      element.failure ? h("h3", null, "Failure") : null, element.failure ? this.failure(element.failure) : null);
    if (!this.live || this.why[name] || !this.why_known(element)) return;
    this.live.ask_why(name).then(found => {
      this.why[name] = found;
      if (dialog.isConnected) hold(why, this.why_of(name));
      if (found.passing) delete this.why[name];
    });
  }

  // Of a report, which knows them all: what it began with comes first.
  show_reasons() {
    if (this.live) return this.show("why", false);
    const all = Object.entries(this.why).map(([name, why]) => Object.assign({ name }, why));
    const some = list => Boolean(list && list.length);
    const changed = all.filter(each => each.what === "changed");
    const itself = changed.filter(each => some(each.changes));
    const with_what = changed.filter(each => !some(each.changes) && some(each.dependencies));
    this.show("why", all.length > 0, all.length);
    hold(this.reasons, [
      ...this.list_of("Changed themselves", itself, each => each.changes.slice(0, 3).map(one => [one.what, one.where].filter(Boolean).join(" ")).join(", ") + (each.changes.length > 3 ? "…" : "")),
      ...this.list_of("Built with what has changed", with_what, each => each.dependencies.slice(0, 3).map(one => one.name).join(", ") + (each.dependencies.length > 3 ? "…" : "")),
      ...this.list_of("Have another key; by what is unknown", changed.filter(each => !some(each.changes) && !some(each.dependencies))),
      ...this.list_of("Failed before", all.filter(each => each.what === "failed-then")),
      ...this.list_of("No artifact in the cache any more", all.filter(each => each.what === "again")),
      ...this.list_of("In no earlier session", all.filter(each => each.what === "first"))]);
  }

  why_known(element) { return element.jobs.some(job => job.action === "build" && job.outcome); }

  why_of(name) {
    const found = this.why[name];
    const element = this.model.elements.get(name);
    const built = element.jobs.some(job => job.action === "build");
    if (!built) return [h("p", { class: "muted" }, "It wasn't built in this session.")];
    if (!this.why_known(element) && this.live) return [h("p", { class: "muted" }, "It is being built: why is found when that is done.")];
    if (!found) return [h("p", { class: "muted" }, this.live ? "Looking…" : "Unknown.")];
    const nodes = [h("p", null, found.text)];
    const value = text => (text === undefined || text === null ? "nothing" : text.length > 300 ? text.slice(0, 300) + "…" : text);
    if (found.changes && found.changes.length) nodes.push(h("ul", { class: "plain changes" }, found.changes.map(each => h("li", null, h("b", null, [each.what, each.where].filter(Boolean).join(" ")), h("div", { class: "was" }, "− ", value(each.before)), h("div", { class: "is" }, "+ ", value(each.after))))));
    if (found.dependencies && found.dependencies.length) nodes.push(h("ul", { class: "plain" }, found.dependencies.map(each => h("li", null, this.model.elements.has(each.name) ? h("b", null, each.name) : each.name, ` ${each.how}`))));
    return nodes;
  }
}
