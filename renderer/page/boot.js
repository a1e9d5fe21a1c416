const KEYS = [["?", "this list"], ["/", "filter elements"], ["f", "failures"], ["q", "questions"], ["r", "what runs"], ["t", "timeline"], ["c", "critical path"], ["e", "elements"], ["m", "warnings and errors"], ["l", "list of sessions"], ["Esc", "close what is open"]];
const PARTS = { f: "failures", q: "prompts", r: "running", t: "timeline", c: "critical", e: "elements", m: "messages" };

function remembered(name) { try { return localStorage.getItem("sluice-" + name); } catch { return null; } }
function remember(name, value) { try { localStorage.setItem("sluice-" + name, value); } catch { /* a file may have no place for it */ } }

function show_keys() {
  const on = h("input", { type: "checkbox", checked: remembered("keys") !== "off", onchange: () => remember("keys", on.checked ? "on" : "off") });
  open_dialog("Keys", h("dl", { class: "details keys" }, KEYS.map(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])),
    h("p", null, "In the timeline: ", h("kbd", null, "+"), " ", h("kbd", null, "−"), " ", h("kbd", null, "0"), " and the arrows; ", h("kbd", null, "n"), " and ", h("kbd", null, "p"), " go from job to job, ", h("kbd", null, "Enter"), " shows its element."),
    h("p", null, h("label", null, on, " Keys do something")));
}

// `views`: gives those that are shown, the one in use first; `list`: shows the list of sessions.
function listen_to_keys(views, list) {
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.key === "?") { event.preventDefault(); return show_keys(); }
    if (remembered("keys") === "off") return;
    const view = views()[0];
    if (event.key === "l" && list) { event.preventDefault(); return list(); }
    if (!view) return;
    if (event.key === "/") { event.preventDefault(); view.go("elements"); view.filter.focus(); }
    else if (PARTS[event.key]) { event.preventDefault(); view.go(PARTS[event.key]); }
  });
}

function model_of(events) {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

function show_report(data) {
  const model = model_of(data.events);
  if (data.ended) model.over = true;
  model.take(data.measured);
  const view = new View(model, null, { why: data.why, earlier: data.earlier ? model_of(data.earlier.events) : null });
  if (view.earlier) view.earlier.over = true;
  const main = document.getElementById("sessions");
  main.replaceChildren(view.node);
  document.getElementById("top").append(h("span", { class: "muted" }, `Report of ${date(data.made)}, ${data.program}`), h("button", { type: "button", class: "small", onclick: show_keys }, "Keys"));
  view.update(true);
  listen_to_keys(() => [view], null);
  return view;
}

(() => {
  const embedded = document.getElementById("data");
  if (embedded) window.sluice_view = show_report(JSON.parse(embedded.textContent));
  else window.sluice_web = new Web();
})();
