// An element of the page. Texts come in as text: nothing of a session is ever read as HTML.
function h(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "hidden" || name === "disabled" || name === "checked" || name === "open") node[name] = Boolean(value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== "") node.append(child);
  return node;
}

// Makes `parent` hold these, and touches nothing when it does already: the focus stays where it is.
function hold(parent, nodes) {
  const focus = document.activeElement;
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
  if (focus && focus !== document.activeElement && parent.contains(focus)) focus.focus({ preventScroll: true });
}

function say_text(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// For screen readers: said when they have nothing else to say.
function announce(text) {
  const place = document.getElementById("said");
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 50);
}

// A dialog that Escape and its button close.
function open_dialog(title, ...content) {
  const close = () => dialog.close();
  const dialog = h("dialog", { "aria-label": title },
    h("div", { class: "dialog-head" }, h("h2", null, title), h("button", { type: "button", class: "small", onclick: close, "aria-label": "Close" }, "✕")), ...content);
  const back = document.activeElement;
  dialog.addEventListener("close", () => { dialog.remove(); if (back && back.isConnected) back.focus(); });
  dialog.addEventListener("click", event => { if (event.target === dialog) close(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Asks before something that can't be taken back.
function confirm_first(question, verb, then) {
  const dialog = open_dialog("Are you sure?", h("p", null, question),
    h("p", { class: "row" },
      h("button", { type: "button", class: "danger", onclick: () => { dialog.close(); then(); } }, verb),
      h("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "No")));
}
