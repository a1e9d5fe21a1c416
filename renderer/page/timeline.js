// Jobs over time, a row for each slot of each runner. Draws what is in sight alone, so that tens of
// thousands of jobs are as quick as ten.
class Timeline {
  constructor(model, on_pick, on_say) {
    this.model = model;
    this.on_pick = on_pick;
    this.on_say = on_say;
    this.from = 0; // what is in sight, in ms since the beginning; to === 0: all of it
    this.to = 0;
    this.picked = null;
    this.critical = new Set();
    this.lanes = [];
    this.tip = h("div", { class: "tip", hidden: true });
    this.canvas = h("canvas", { tabindex: "0", role: "img" });
    this.space = h("div", { class: "space" });
    this.box = h("div", { class: "timeline-box" }, this.canvas, this.space);
    const button = (label, text, act) => h("button", { type: "button", class: "small", "aria-label": label, title: label, onclick: act }, text);
    this.node = h("div", { class: "timeline" },
      h("div", { class: "bar" },
        button("Zoom in", "+", () => this.zoom(0.5)), button("Zoom out", "−", () => this.zoom(2)),
        button("Earlier", "◀", () => this.move(-0.25)), button("Later", "▶", () => this.move(0.25)),
        button("All of it", "All", () => this.all()), this.legend()),
      h("div", { class: "timeline-frame" }, this.box, this.tip));
    this.pointers = new Map();
    this.listen();
  }

  legend() {
    const one = (name, text) => h("span", { class: "key" }, h("i", { class: "swatch " + name }), text);
    return h("span", { class: "legend" }, one("build", "build"), one("fetch", "fetch"), one("pull", "pull, push"), one("failed", "failed"), one("critical", "critical path"), this.suspended_key = h("span", { class: "key" }, h("i", { class: "swatch suspended" }), "suspended"));
  }

  get begin() { return this.model.started; }
  get length() {
    const now = this.model.over || this.still ? this.model.last : Math.max(this.model.last, this.now || 0);
    return Math.max(1000, now - this.begin);
  }
  get view_to() { return this.to || this.length; }

  // `now`: of the machine where the session runs.
  update(now, critical) {
    this.now = now;
    this.suspended_key.hidden = !this.model.suspensions.length;
    this.critical = critical;
    if (this.seen !== this.model.jobs.size) this.arrange();
    this.draw();
  }

  arrange() {
    this.seen = this.model.jobs.size;
    const slots = new Map();
    for (const job of this.model.jobs.values()) {
      const name = job.runner + "\u0000" + String(job.slot).padStart(6, "0");
      if (!slots.has(name)) slots.set(name, []);
      slots.get(name).push(job);
    }
    this.lanes = [];
    let named = null;
    for (const name of [...slots.keys()].sort()) {
      const jobs = slots.get(name).sort((a, b) => a.from - b.from);
      const [runner, slot] = name.split("\u0000");
      // Jobs of one slot that overlap (it isn't the slot that they take) get rows of their own.
      const rows = [];
      for (const job of jobs) {
        let row = rows.find(each => each.end <= job.from);
        if (!row) rows.push(row = { jobs: [], end: 0 });
        row.jobs.push(job);
        row.end = job.to || Infinity;
      }
      for (const [index, row] of rows.entries()) {
        this.lanes.push({ runner: runner === named ? "" : runner || "?", first: runner !== named, slot: index ? "" : String(Number(slot) + 1), jobs: row.jobs });
        named = runner;
      }
    }
    this.space.style.height = this.height() + "px";
    this.canvas.setAttribute("aria-label", `Timeline: ${this.model.jobs.size} jobs in ${this.lanes.length} rows. Arrow keys move, plus and minus zoom, 0 shows all, n and p go from job to job. The table of elements has the same.`);
  }

  height() { return this.axis + this.lanes.length * this.row + 4; }
  get row() { return 20; }
  get axis() { return 22; }
  get gutter() { return this.width < 500 ? 62 : 110; }

  colors() {
    const style = getComputedStyle(this.node);
    const of = name => style.getPropertyValue("--" + name).trim();
    return { fg: of("fg"), muted: of("muted"), line: of("line"), bg: of("bg"), control: of("control"), stripe: of("panel"), build: of("bar-build"), fetch: of("bar-fetch"), pull: of("bar-pull"),
      failed: of("bar-failed"), on: of("on-bar"), critical: of("bar-critical"), suspended: of("bar-suspended"), focus: of("accent") };
  }

  x(ms) { return this.gutter + (ms - this.from) / (this.view_to - this.from) * (this.width - this.gutter); }
  time(x) { return this.from + (x - this.gutter) / (this.width - this.gutter) * (this.view_to - this.from); }

  draw() {
    const width = this.box.clientWidth;
    const shown = Math.min(this.height(), 480);
    if (!width) return;
    this.box.style.height = shown + "px";
    const scale = window.devicePixelRatio || 1;
    this.width = width;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(shown * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(shown * scale);
      this.canvas.style.width = width + "px";
      this.canvas.style.height = shown + "px";
    }
    this.space.style.marginTop = -shown + "px";
    const c = this.canvas.getContext("2d");
    const colors = this.colors();
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.fillStyle = colors.bg;
    c.fillRect(0, 0, width, shown);
    c.font = "12px system-ui, sans-serif";
    c.textBaseline = "middle";
    const scroll = this.box.scrollTop;
    const first = Math.max(0, Math.floor(scroll / this.row));
    const last = Math.min(this.lanes.length, Math.ceil((scroll + shown) / this.row));
    const y_of = index => this.axis + index * this.row - scroll;
    c.save();
    c.beginPath();
    c.rect(0, this.axis, width, shown - this.axis);
    c.clip();
    for (let i = first; i < last; ++i) {
      if (i % 2) { c.fillStyle = colors.stripe; c.fillRect(0, y_of(i), width, this.row); }
    }
    const labels = [];
    for (let i = first; i < last; ++i) this.draw_lane(c, colors, this.lanes[i], y_of(i), labels);
    // Jobs that were suspended did nothing: it lies over them.
    c.fillStyle = colors.suspended;
    c.globalAlpha = 0.7;
    for (const each of this.model.suspensions) {
      const left = Math.max(this.gutter, this.x(each.from - this.begin));
      const right = Math.min(width, this.x((each.to || this.now || this.model.last) - this.begin));
      if (right > left) c.fillRect(left, this.axis, Math.max(1, right - left), shown);
    }
    c.globalAlpha = 1;
    c.fillStyle = colors.on;
    for (const { text, x, y, room } of labels) c.fillText(this.fit(c, text, room), x, y);
    // Names of rows lie over bars that reach to the left of what is in sight.
    for (let i = first; i < last; ++i) {
      c.fillStyle = i % 2 ? colors.stripe : colors.bg;
      c.fillRect(0, y_of(i), this.gutter, this.row);
      this.draw_label(c, colors, this.lanes[i], y_of(i), i > 0);
    }
    c.restore();
    this.draw_axis(c, colors, shown);
  }

  // Names of jobs are added to `labels`.
  draw_lane(c, colors, lane, y, labels) {
    const jobs = lane.jobs;
    const begin = this.begin + this.from, end = this.begin + this.view_to;
    // The first job that ends in sight: in a row each ends before the next begins.
    let low = 0, high = jobs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((jobs[middle].to || Infinity) < begin) low = middle + 1; else high = middle;
    }
    let drawn = -1; // up to which pixel
    for (let i = low; i < jobs.length && jobs[i].from <= end; ++i) {
      const job = jobs[i];
      const left = Math.max(this.gutter, this.x(job.from - this.begin));
      const right = Math.min(this.width, this.x((job.to || (this.model.over ? job.from : Math.max(job.from, this.now || this.model.last))) - this.begin));
      const special = job === this.picked || this.critical.has(job) || this.bad(job);
      if (right <= drawn + 0.5 && !special) continue;
      const size = Math.max(1, right - left - (right - left > 3 ? 1 : 0));
      c.fillStyle = this.bad(job) ? colors.failed : job.action === "build" ? colors.build : job.action === "fetch" || job.action === "track" ? colors.fetch : colors.pull;
      c.globalAlpha = job.outcome ? 1 : 0.75;
      c.fillRect(left, y + 2, size, this.row - 4);
      c.globalAlpha = 1;
      if (this.critical.has(job)) { c.fillStyle = colors.critical; c.fillRect(left, y + this.row - 4, size, 3); }
      if (job === this.picked) { c.strokeStyle = colors.fg; c.lineWidth = 2; c.strokeRect(left, y + 2, size, this.row - 4); }
      if (size > 34) labels.push({ text: job.element, x: left + 4, y: y + this.row / 2, room: size - 8 });
      drawn = right;
    }
  }

  draw_axis(c, colors) {
    c.fillStyle = colors.bg;
    c.fillRect(0, 0, this.width, this.axis);
    const span = this.view_to - this.from;
    const steps = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000, 600000, 900000, 1800000, 3600000, 7200000, 14400000, 43200000, 86400000];
    const step = steps.find(each => each / span * (this.width - this.gutter) > 70) || steps[steps.length - 1];
    c.strokeStyle = colors.line;
    c.lineWidth = 1;
    for (let at = Math.ceil(this.from / step) * step; at <= this.view_to; at += step) {
      const x = Math.round(this.x(at)) + 0.5;
      c.beginPath();
      c.moveTo(x, this.axis - 5);
      c.lineTo(x, this.axis);
      c.stroke();
      const text = this.clock(at, step);
      c.fillStyle = colors.muted;
      c.fillText(text, Math.min(x, this.width - c.measureText(text).width - 2), this.axis / 2);
    }
    c.beginPath();
    c.moveTo(this.gutter, this.axis - 0.5);
    c.lineTo(this.width, this.axis - 0.5);
    c.stroke();
  }

  clock(ms, step) {
    const two = value => String(value).padStart(2, "0");
    const s = Math.floor(ms / 1000);
    const text = s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
    return step < 1000 ? `${text}.${String(ms % 1000).padStart(3, "0")}` : text;
  }

  // A runner's name is beside its first row alone, a slot's number beside each.
  draw_label(c, colors, lane, y, apart) {
    c.fillStyle = colors.muted;
    const slot = c.measureText(lane.slot).width;
    c.fillText(lane.slot, this.gutter - 6 - slot, y + this.row / 2);
    c.fillText(this.fit(c, lane.runner, this.gutter - 14 - slot), 4, y + this.row / 2);
    if (!lane.first || !apart) return;
    c.fillStyle = colors.control;
    c.fillRect(0, y, this.width, 1);
  }

  fit(c, text, room) {
    if (c.measureText(text).width <= room) return text;
    const wide = Math.max(1, c.measureText("abcdefghij").width / 10);
    let most = Math.floor(room / wide);
    while (most > 1 && c.measureText(text.slice(0, most) + "…").width > room) --most;
    return most > 1 ? text.slice(0, most) + "…" : "";
  }

  bad(job) { return job.outcome === "failure" || job.outcome === "error" || job.outcome === "killed"; }

  zoom(factor, around) {
    const span = this.view_to - this.from;
    const middle = around === undefined ? this.from + span / 2 : around;
    const next = Math.min(this.length, Math.max(10, span * factor));
    this.show(middle - (middle - this.from) / span * next, next);
  }

  move(part) {
    const span = this.view_to - this.from;
    this.show(this.from + span * part, span);
  }

  show(from, span) {
    if (span >= this.length * 0.999) return this.all();
    this.from = Math.max(0, Math.min(from, this.length - span));
    this.to = this.from + span;
    this.draw();
  }

  all() {
    this.from = this.to = 0;
    this.draw();
  }

  at(x, y) {
    const lane = this.lanes[Math.floor((y + this.box.scrollTop - this.axis) / this.row)];
    if (!lane || x < this.gutter || y < this.axis) return null;
    const pixel = (this.view_to - this.from) / (this.width - this.gutter);
    const time = this.begin + this.time(x);
    let best = null;
    for (const job of lane.jobs) {
      if (job.from - 3 * pixel > time) break;
      if ((job.to || Infinity) + 3 * pixel >= time) best = job;
    }
    return best;
  }

  describe(job) {
    const took = job.outcome ? `${job.outcome} after ${duration(job.ms || job.to - job.from)}` : "running";
    return `${job.action} ${job.element}: ${took}, ${job.runner} ${job.slot + 1}, from ${this.clock(job.from - this.begin, 1000)}`;
  }

  hint(job, x, y) {
    this.tip.hidden = !job;
    if (!job) return;
    this.tip.textContent = this.describe(job);
    this.tip.style.left = Math.max(0, Math.min(x + 8, this.width - this.tip.offsetWidth - 4)) + "px";
    this.tip.style.top = Math.max(0, y - this.tip.offsetHeight - 8) + "px";
  }

  // To the next job in the order of their beginnings, or the one before.
  step(by) {
    const jobs = [...this.model.jobs.values()].sort((a, b) => a.from - b.from);
    if (!jobs.length) return;
    const at = this.picked ? jobs.indexOf(this.picked) + by : by > 0 ? 0 : jobs.length - 1;
    this.picked = jobs[Math.max(0, Math.min(jobs.length - 1, at))];
    const begin = this.picked.from - this.begin;
    const span = this.view_to - this.from;
    if (begin < this.from || begin > this.view_to) this.show(begin - span / 3, span);
    const lane = this.lanes.findIndex(each => each.jobs.includes(this.picked));
    const y = this.axis + lane * this.row;
    if (y < this.box.scrollTop + this.axis || y + this.row > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = y - this.box.clientHeight / 2;
    this.draw();
    this.on_say(this.describe(this.picked));
  }

  listen() {
    const canvas = this.canvas;
    const place = event => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    canvas.addEventListener("wheel", event => {
      // The page scrolls as ever, unless the timeline was clicked or Ctrl is held.
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.move(Math.sign(event.deltaX || event.deltaY) * 0.1);
      else this.zoom(Math.pow(1.0018, event.deltaY), this.time(place(event)[0]));
    }, { passive: false });
    canvas.addEventListener("pointerdown", event => {
      const [x, y] = place(event);
      this.pointers.set(event.pointerId, { x, y });
      this.moved = false;
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", event => {
      const [x, y] = place(event);
      const held = this.pointers.get(event.pointerId);
      if (!held) return this.hint(this.at(x, y), x, y);
      const all = [...this.pointers.values()];
      const per = (this.view_to - this.from) / (this.width - this.gutter);
      if (all.length === 2) {
        const apart = () => Math.max(10, Math.abs(all[0].x - all[1].x));
        const before = apart();
        held.x = x; held.y = y;
        this.moved = true;
        this.zoom(before / apart(), this.time((all[0].x + all[1].x) / 2));
      } else if (Math.abs(x - held.x) > (this.moved ? 0 : 4)) {
        this.moved = true;
        this.show(this.from - (x - held.x) * per, this.view_to - this.from);
        held.x = x; held.y = y;
      }
    });
    const release = event => {
      const [x, y] = place(event);
      const was = this.pointers.delete(event.pointerId);
      if (event.type === "pointerup" && was && !this.moved) {
        const job = this.at(x, y);
        this.picked = job;
        this.draw();
        if (job) this.on_pick(job.element);
      }
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", () => this.hint(null));
    canvas.addEventListener("keydown", event => {
      const act = { "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), "0": () => this.all(), Home: () => this.show(0, this.view_to - this.from),
        End: () => this.show(this.length, this.view_to - this.from), ArrowLeft: () => this.move(-0.2), ArrowRight: () => this.move(0.2),
        ArrowUp: () => { this.box.scrollTop -= 60; }, ArrowDown: () => { this.box.scrollTop += 60; },
        n: () => this.step(1), p: () => this.step(-1), Enter: () => this.picked && this.on_pick(this.picked.element) }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    });
    this.box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    window.addEventListener("beforeprint", () => this.draw());
  }
}
