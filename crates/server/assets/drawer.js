// Records in place, and, with a button, in a window over the page.
function dress() {
  for (const box of document.querySelectorAll("details.ev > .recs")) {
    if (box.dataset.dressed) continue;
    box.dataset.dressed = "1";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Over the page";
    button.addEventListener("click", () => show(box, button));
    box.prepend(button);
  }
}

function show(box, from) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Records");
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.append(close, ...[...box.querySelectorAll(".rec")].map((r) => r.cloneNode(true)));
  dialog.addEventListener("close", () => {
    dialog.remove();
    from.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

// An action that a link names is opened; so is what holds the target.
function unfold() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") target.open = true;
}

// A table that is wider than its place can be reached and scrolled by keyboard.
function reach() {
  for (const box of document.querySelectorAll(".scroll,#card")) {
    if (box.id === "card") {
      if (box.scrollHeight > box.clientHeight) box.tabIndex = 0;
      continue;
    }
    if (box.scrollWidth <= box.clientWidth) continue;
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Table that scrolls sideways");
  }
}

dress();
unfold();
reach();
document.addEventListener("shown", dress);
document.addEventListener("shown", reach);
document.addEventListener("toggle", reach, true);
addEventListener("resize", reach);
addEventListener("hashchange", unfold);
