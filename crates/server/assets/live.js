// What is new is told and not done: no row moves under the hand.
const bar = document.getElementById("live");
const fresh = new Set();
let missed = false;

function show() {
  const words = [];
  if (fresh.size) words.push(`${fresh.size} new or changed`);
  if (missed) words.push("the connection was lost for a while");
  if (!words.length) return;
  const text = document.createElement("span");
  text.textContent = `${words.join("; ")} – press r`;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Show";
  button.addEventListener("click", refresh);
  bar.replaceChildren(text, button);
}

function refresh() {
  if (fresh.size || missed) location.reload();
}

function hear(event) {
  let news;
  try {
    news = JSON.parse(event.data);
  } catch {
    return;
  }
  if (news.kind !== "case" || !Number.isInteger(news.number)) return;
  const page = document.body.querySelector("[data-page-case]");
  if (page && page.dataset.pageCase !== String(news.number)) return;
  fresh.add(news.number);
  show();
}

document.addEventListener("refresh", refresh);
if (bar && (document.getElementById("queue") || document.querySelector("[data-page-case]"))) {
  const from = new EventSource("/api/v1/events");
  let lost = false;
  from.addEventListener("change", hear);
  from.addEventListener("missed", () => {
    missed = true;
    show();
  });
  from.addEventListener("error", () => (lost = true));
  from.addEventListener("open", () => {
    if (!lost) return;
    lost = false;
    missed = true;
    show();
  });
  addEventListener("pagehide", () => from.close());
}
