// The page of `sluice web`: sessions side by side, each followed by a stream of its own.
class Web {
  constructor() {
    this.open = new Map(); // Session by id
    this.list = [];
    this.readonly = false;
    this.main = document.getElementById("sessions");
    this.main.replaceChildren();
    this.offline = h("p", { class: "offline", role: "status", hidden: true });
    this.empty = h("p", null, "No session is open. ", h("button", { type: "button", onclick: () => this.show_list() }, "Sessions"));
    document.getElementById("top").append(h("button", { type: "button", class: "small", onclick: () => this.show_list() }, "Sessions"), h("button", { type: "button", class: "small", onclick: show_keys }, "Keys"));
    document.getElementById("top").after(this.offline);
    // The token isn't needed any more, and shall not be copied with the address.
    const wanted = location.hash.slice(1);
    history.replaceState(null, "", "/" + location.hash);
    listen_to_keys(() => [...this.open.values()].map(each => each.view), () => this.show_list());
    setInterval(() => this.tick(), 500);
    document.addEventListener("visibilitychange", () => this.visible());
    this.refresh().then(() => {
      const ids = wanted.split(",").filter(id => this.list.some(each => each.id === id));
      const first = this.list.find(each => each.alive) || this.list[0];
      for (const id of ids.length ? ids : first ? [first.id] : []) this.show(id);
      this.arrange();
    });
    setInterval(() => { if (!document.hidden) this.refresh(); }, 10000);
  }

  async refresh() {
    try {
      const answer = await fetch("/sessions");
      if (!answer.ok) throw new Error(await answer.text());
      const { readonly, sessions } = await answer.json();
      this.readonly = readonly;
      this.list = sessions;
      this.offline.hidden = true;
    } catch (error) {
      say_text(this.offline, `sluice web doesn't answer: ${error.message}`);
      this.offline.hidden = false;
    }
  }

  // A browser has six connections to one place: streams that nobody sees give theirs back.
  visible() {
    clearTimeout(this.hidden_timer);
    if (document.hidden) this.hidden_timer = setTimeout(() => this.open.forEach(each => each.pause()), 30000);
    else { this.open.forEach(each => each.resume()); this.refresh(); }
  }

  tick() {
    if (document.hidden) return;
    for (const session of this.open.values()) { session.measure(); session.view.update(false); }
    const first = [...this.open.values()][0];
    if (!first) { document.title = "Sluice"; return; }
    const { model } = first;
    const failed = model.failures().length, counts = model.status && model.status.progress;
    document.title = [failed ? `✗${failed}` : "", model.outcome() ? OUTCOMES[model.outcome()] : counts ? `${counts.done}/${counts.elements}` : "", model.project || "Sluice"].filter(Boolean).join(" ");
  }

  show(id) {
    if (!this.open.has(id)) {
      if (this.open.size >= 3) { const [oldest] = this.open.keys(); this.hide(oldest); }
      this.open.set(id, new Session(this, id));
    }
    this.arrange();
    return this.open.get(id);
  }

  hide(id) {
    const session = this.open.get(id);
    if (!session) return;
    session.close();
    this.open.delete(id);
    this.arrange();
  }

  arrange() {
    // One that is alone needs no place to be hidden from: the list does that.
    for (const each of this.open.values()) each.view.corner.hidden = this.open.size < 2;
    hold(this.main, this.open.size ? [...this.open.values()].map(each => each.view.node) : [this.empty]);
    history.replaceState(null, "", "/#" + [...this.open.keys()].join(","));
  }

  async show_list() {
    const items = h("ul", { class: "list" });
    const dialog = open_dialog("Sessions", h("p", { class: "muted" }, "Up to three are shown side by side."), items);
    await this.refresh();
    const fill = () => hold(items, this.list.length ? this.list.slice(0, 300).map(each => {
      const shown = this.open.has(each.id);
      return h("li", null, h("span", { class: "badge " + (each.alive ? "alive" : each.state === "dead" || each.outcome === "failure" ? "bad" : "") }, each.alive ? STATES[each.state] || "runs" : each.state === "dead" ? "was killed" : OUTCOMES[each.outcome] || "ended"),
        h("b", null, each.project.split("/").pop() || each.project), h("span", { class: "targets" }, [each.verb, ...(each.targets || [])].join(" ")),
        h("span", { class: "muted" }, [date(each.started / 1e6), duration(each.ms)].filter(Boolean).join(" · ")), h("code", { class: "muted" }, each.id),
        h("button", { type: "button", class: "small", onclick: () => { if (shown) this.hide(each.id); else this.show(each.id); fill(); } }, shown ? "Hide" : "Show"),
        shown ? null : h("button", { type: "button", class: "small", onclick: () => { for (const id of [...this.open.keys()]) this.hide(id); this.show(each.id); dialog.close(); } }, "Show only this"));
    }) : [h("li", null, "There is none.")]);
    fill();
    const first = items.querySelector("button");
    if (first) first.focus();
  }
}

// One session: its model, its view, its stream.
class Session {
  constructor(web, id) {
    this.web = web;
    this.id = id;
    this.model = new Model();
    this.model.id = id;
    this.cursor = 1;
    this.view = new View(this.model, this, null);
    this.view.corner.append(h("button", { type: "button", class: "small", "aria-label": `Hide session ${id}`, onclick: () => web.hide(id) }, "✕ Hide"));
    this.note = h("p", { class: "offline", role: "status", hidden: true });
    this.view.node.prepend(this.note);
    this.resume();
  }

  get info() { return this.web.list.find(each => each.id === this.id); }
  get may_steer() { return !this.web.readonly && !this.model.over; }
  url(what) { return `/s/${this.id}/${what}`; }

  resume() {
    if (this.source || this.ended) return;
    const source = this.source = new EventSource(this.url("events?from=" + this.cursor));
    source.onmessage = message => {
      for (const event of JSON.parse(message.data)) this.model.apply(event);
      this.cursor = Number(message.lastEventId) || this.cursor;
      this.note.hidden = true;
      if (this.caught) this.draw();
    };
    source.addEventListener("caught", () => { this.caught = true; this.note.hidden = true; this.measure(); this.draw(); });
    source.addEventListener("status", message => { this.model.apply(Object.assign(JSON.parse(message.data), { k: "status" })); });
    source.addEventListener("over", () => { this.ended = true; this.model.over = true; this.model.status = null; this.pause(); this.measure_at = 0; this.measure(); this.draw(); });
    source.addEventListener("trouble", message => { this.say(JSON.parse(message.data)); this.ended = true; this.pause(); });
    source.onerror = () => {
      this.say("The connection is gone; trying again. Nothing is lost.");
      // Some answers a browser takes for final.
      if (source.readyState === EventSource.CLOSED && this.source === source) { this.pause(); this.timer = setTimeout(() => this.resume(), 3000); }
    };
  }

  // What takes reading all of the records: as often as jobs end, and a tenth of the time at most.
  async measure() {
    const { model } = this;
    if (!this.caught || this.measuring || performance.now() < (this.measure_at || 0)) return;
    const state = [model.jobs.size, [...model.jobs.values()].filter(job => job.outcome).length, model.over].join();
    if (this.measured_of === state && (model.over || performance.now() < this.measured_until)) return;
    this.measuring = true;
    const begin = performance.now();
    try {
      const answer = await fetch(this.url("measured"));
      if (answer.ok) {
        model.take(await answer.json());
        this.measured_of = state;
        this.draw();
      }
    } catch { /* the list says that nobody answers */ }
    this.measuring = false;
    const now = performance.now();
    this.measure_at = now + Math.max(1000, 10 * (now - begin));
    this.measured_until = now + 10000;
  }

  pause() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    this.source = null;
  }

  close() { this.pause(); this.ended = true; }

  say(text) {
    say_text(this.note, text);
    this.note.hidden = false;
  }

  draw() {
    if (this.drawing) return;
    this.drawing = setTimeout(() => { this.drawing = 0; this.view.update(true); }, this.model.elements.size > 2000 ? 1000 : 100);
  }

  // Buttons that steer; drawn anew when what they offer changes.
  tools(place) {
    const key = [this.may_steer, this.model.state, this.model.limits && this.model.limits.builders, this.model.outcome()].join();
    if (this.tool_key === key) return;
    this.tool_key = key;
    const steer = this.may_steer;
    place.hidden = !steer;
    if (!steer) return hold(place, []);
    const button = (text, act, style) => h("button", { type: "button", class: style || "", onclick: act }, text);
    const builders = this.model.limits ? this.model.limits.builders : (this.model.run && this.model.run.builders) || 0;
    const had = document.activeElement && place.contains(document.activeElement) ? document.activeElement.textContent : null;
    hold(place, [
      this.model.state === "suspended" ? button("Resume", () => this.steer({ command: "resume" }), "primary") : button("Suspend", () => this.steer({ command: "suspend" })),
      button("Quit", () => confirm_first("What runs is finished, and nothing more is started.", "Quit", () => this.steer({ command: "quit" })), "danger"),
      button("Kill", () => confirm_first("The jobs of this run are killed; what they have done is lost.", "Kill", () => this.steer({ command: "kill" })), "danger"),
      builders ? h("span", { class: "row", role: "group", "aria-label": "Builders" }, h("span", null, `${builders} builders`),
        h("button", { type: "button", class: "small", "aria-label": "One builder less", disabled: builders <= 1, onclick: () => this.steer({ command: "builders", number: builders - 1 }) }, "−"),
        h("button", { type: "button", class: "small", "aria-label": "One builder more", onclick: () => this.steer({ command: "builders", number: builders + 1 }) }, "+")) : null].filter(Boolean));
    if (had) { const again = [...place.querySelectorAll("button")].find(each => each.textContent === had); if (again) again.focus(); }
  }

  async steer(what) {
    try {
      const answer = await fetch(this.url("steer"), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) });
      const text = await answer.text();
      const said = answer.headers.get("Content-Type").startsWith("application/json") ? JSON.parse(text) : { status: "refused", error: text };
      if (said.status === "done" || said.status === "accepted") { announce(`${what.command}: done`); this.note.hidden = true; }
      else this.say(said.status === "unknown" ? `No answer to ${what.command} in time: it may have been carried out.` : `${what.command} was refused: ${said.error || ""}`);
    } catch (error) {
      this.say(`${what.command} couldn't be sent: ${error.message}`);
    }
  }

  answer(prompt, choice) {
    const act = () => this.steer({ command: "answer", prompt: prompt.id || 0, choice });
    if (choice === "terminate") confirm_first("All jobs of this run are killed.", "Terminate", act);
    else act();
  }

  retry(element) { this.steer({ command: "retry", element }); }

  // Earlier ones of the same project.
  earlier() {
    const mine = this.info;
    return mine ? this.web.list.filter(each => each.project === mine.project && each.id < this.id).slice(0, 50) : [];
  }

  async compare_with(id) {
    if (!id) { this.view.earlier = null; this.view.compare(); return; }
    try {
      const answer = await fetch(`/s/${id}/digest`);
      if (!answer.ok) throw new Error((await answer.json()).error);
      this.view.earlier = model_of(await answer.json());
      this.view.earlier.over = true;
    } catch (error) {
      return this.say(`Session ${id} can't be read: ${error.message}`);
    }
    this.view.compare();
  }

  async ask_why(name) {
    try {
      const answer = await fetch(this.url("why?element=" + encodeURIComponent(name)));
      const found = await answer.json();
      return found[name] || { text: found.error ? `Unknown: ${found.error}` : "Unknown.", passing: true };
    } catch (error) {
      return { text: `Unknown: ${error.message}`, passing: true };
    }
  }

  // A log as it grows: its last 300,000 characters.
  show_log(job) {
    const pre = h("pre", { class: "log log-view", tabindex: "0", "aria-label": "Log" });
    const state = h("span", { class: "muted", role: "status" }, "reading");
    const follow = h("input", { type: "checkbox", checked: true });
    const place = `job=${job.id}&attempt=${job.attempt || 1}`;
    const dialog = open_dialog(`Log of ${job.element}`, h("p", { class: "row" }, h("label", null, follow, " stay at the end"), h("a", { href: this.url("log.txt?" + place), target: "_blank", rel: "noreferrer" }, "as a text"), state), pre, job.log ? h("p", null, h("code", { class: "path" }, job.log)) : null);
    const source = new EventSource(this.url("log?" + place));
    const text = document.createTextNode(""), pieces = new LogText();
    pre.append(text);
    source.onmessage = message => {
      text.appendData(pieces.take(JSON.parse(message.data)));
      if (text.length > 400000) { text.deleteData(0, text.length - 300000); say_text(state, "only the end is shown"); }
      if (follow.checked) pre.scrollTop = pre.scrollHeight;
    };
    source.addEventListener("over", message => {
      source.close();
      text.appendData(pieces.rest());
      const error = JSON.parse(message.data);
      say_text(state, error ? `its rest can't be had: ${error}` : "ended");
    });
    source.onerror = () => say_text(state, source.readyState === EventSource.CLOSED ? "can't be had" : "the connection is gone; trying again");
    source.onopen = () => say_text(state, "follows");
    dialog.addEventListener("close", () => source.close());
  }
}
