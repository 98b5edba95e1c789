// Passkeys: the service asks, the key answers, the answer goes back. What needs a script or a key stays hidden without.
const can = window.PublicKeyCredential?.parseRequestOptionsFromJSON && PublicKeyCredential.parseCreationOptionsFromJSON;
const says = document.getElementById("passkey-says");

function say(text) {
  if (!says) return;
  says.textContent = text;
  says.hidden = text === "";
}

async function post(path, body, csrf) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  if (csrf) headers["x-csrf-token"] = csrf;
  const answer = await fetch("/api/v1" + path, { method: "POST", headers, body: JSON.stringify(body) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail ?? "The service answered " + answer.status + ".");
  return said;
}

// What browsers say of keys is a name.
function why(error) {
  if (error.name === "NotAllowedError") return "No key answered. Try again, or come in another way.";
  if (error.name === "InvalidStateError") return "This key is registered already.";
  if (error.name === "SecurityError") return "Passkeys work only under the service's own name.";
  return error.message;
}

async function enter(button, second) {
  const offer = await post("/session/passkey/offer", { second });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(offer.options);
  const answer = await navigator.credentials.get({ publicKey });
  await post("/session/passkey", { ticket: offer.ticket, answer: answer.toJSON() });
  location.assign(button.dataset.then || "/");
}

async function add(button) {
  const form = button.closest("form");
  const csrf = form.elements.csrf_token.value;
  const offer = await post("/me/passkeys/offer", { password: form.elements.password?.value ?? "" }, csrf);
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(offer.options);
  const answer = await navigator.credentials.create({ publicKey });
  const name = form.elements.name.value;
  const made = await post("/me/passkeys", { ticket: offer.ticket, name, answer: answer.toJSON() }, csrf);
  const codes = document.getElementById("passkey-codes");
  if (made.recovery_codes.length === 0 || !codes) {
    location.assign(button.dataset.then || "/account");
    return;
  }
  const list = codes.querySelector("ul");
  for (const code of made.recovery_codes) {
    const line = document.createElement("li");
    line.appendChild(document.createElement("code")).textContent = code;
    list.append(line);
  }
  form.hidden = true;
  codes.hidden = false;
  codes.tabIndex = -1;
  codes.focus();
}

const acts = { "sign-in": (b) => enter(b, false), second: (b) => enter(b, true), add };

if (can) {
  for (const part of document.querySelectorAll("[data-passkey-part]")) part.hidden = false;
  for (const button of document.querySelectorAll("button[data-passkey]")) {
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      button.disabled = true;
      say("");
      try {
        await acts[button.dataset.passkey](button);
      } catch (error) {
        say(why(error));
      } finally {
        button.disabled = false;
      }
    });
  }
}
