// Triage by keyboard. No modifiers, nothing while somebody writes; everything here can be done by mouse and tab as well.
const rows = () => [...document.querySelectorAll("table.rows tbody tr")];
const current = () => document.querySelector("table.rows tbody tr[aria-selected=true]");
let wanted = 0;
// Somebody goes to another page: what is on its way for this one breaks off, and must not call them back.
let leaving = false;
addEventListener("beforeunload", () => (leaving = true));
addEventListener("pageshow", () => (leaving = false));

function mark(row) {
  for (const r of rows()) {
    r.setAttribute("aria-selected", String(r === row));
    r.tabIndex = r === row ? 0 : -1;
  }
}

// Shows the answer of a row beside the queue. The address follows, so that going back and sharing work.
async function choose(row) {
  mark(row);
  row.focus();
  row.scrollIntoView({ block: "nearest" });
  const card = document.getElementById("card");
  if (!card || !row.dataset.card) return;
  const mine = ++wanted;
  card.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(row.dataset.card, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("card");
    if (mine !== wanted || !fresh) return;
    card.replaceChildren(...document.importNode(fresh, true).childNodes);
    history.replaceState(null, "", row.dataset.card);
    card.removeAttribute("aria-busy");
    document.dispatchEvent(new Event("shown"));
  } catch {
    if (mine === wanted && !leaving) location.assign(row.dataset.card);
  }
}

function step(by) {
  const all = rows();
  if (all.length === 0) return;
  const at = all.indexOf(current());
  const to = at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by));
  if (to !== at || document.activeElement !== all[to]) choose(all[to]);
}

function selection() {
  return document.querySelectorAll("#bulk input[name=case]:checked").length;
}

function open(id) {
  const act = document.getElementById(id);
  if (!act) return;
  act.open = true;
  act.querySelector("input:not([type=hidden]),textarea,select,button")?.focus();
}

function bulk(what) {
  const form = document.getElementById("bulk");
  form.elements.act.value = what;
  if (what === "assign") form.requestSubmit();
  else document.getElementById("bulk-reason").focus();
}

function go(where) {
  if (where === "q") location.assign("/queue");
  if (where === "u") {
    const to = current()?.dataset.user ?? document.querySelector("[data-user]")?.dataset.user;
    if (to) location.assign(to);
  }
  if (where === "s") {
    const row = current();
    if (row?.dataset.href) location.assign(row.dataset.href + "#sessions");
    else location.hash = "#sessions";
  }
}

let going = 0;
const acts = {
  j: () => step(1),
  k: () => step(-1),
  x: () => current()?.querySelector("input[name=case]")?.click(),
  e: () => (selection() ? bulk("escalate") : open("act-escalate")),
  b: () => open("act-benign"),
  c: () => {
    const to = document.getElementById("do-contain");
    if (to) to.click();
    else {
      location.hash = "#contain";
      document.getElementById("contain")?.focus();
    }
  },
  a: () => (selection() ? bulk("assign") : document.getElementById("do-assign")?.requestSubmit()),
  n: () => open("act-note"),
  u: () => document.getElementById("undo")?.requestSubmit(),
  r: () => document.dispatchEvent(new Event("refresh")),
  "/": () => document.getElementById("filter")?.focus(),
  "?": () => {
    const keys = document.getElementById("keys");
    if (!keys) return;
    keys.open = !keys.open;
    if (keys.open) keys.querySelector("summary").focus();
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const on = event.target;
  const writes = on instanceof HTMLElement && (on.isContentEditable || on.matches("textarea,select,input:not([type=checkbox]):not([type=radio])"));
  if (event.key === "Escape" && writes) {
    on.closest("details.act")?.removeAttribute("open");
    (current() ?? document.getElementById("main")).focus();
    event.preventDefault();
    return;
  }
  if (writes || document.querySelector("dialog[open]")) return;
  if (event.key === "Enter") {
    if (on instanceof HTMLElement && on.matches("table.rows tbody tr") && on.dataset.href) location.assign(on.dataset.href);
    return;
  }
  if (Date.now() - going < 1500 && "qus".includes(event.key)) {
    going = 0;
    event.preventDefault();
    go(event.key);
    return;
  }
  if (event.key === "g") {
    going = Date.now();
    return;
  }
  const act = Object.hasOwn(acts, event.key) ? acts[event.key] : undefined;
  if (act) {
    event.preventDefault();
    act();
  }
});

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  const row = event.target.closest?.("table.rows tbody tr");
  const link = event.target.closest?.("a,button,input,summary,label");
  if (!row || !row.dataset.card || (link && link.getAttribute("href") !== row.dataset.card)) return;
  event.preventDefault();
  choose(row);
});

// Back from a form: where the work was.
if (new URLSearchParams(location.search).has("case")) current()?.focus({ preventScroll: false });
