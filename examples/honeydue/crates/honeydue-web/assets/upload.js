// Files go from here straight to the bucket: presigned, sent with a progress bar, tried again, and attached when all are there.
"use strict";

const TRIES = 4;
const TYPES = {
  jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", webp: "image/webp",
  heic: "image/heic", heif: "image/heif", pdf: "application/pdf",
};

const form = document.querySelector("[data-upload]");
const picker = form.querySelector("input[type=file]");
const list = form.querySelector(".files");
const row = form.querySelector("template");
const button = form.querySelector("button[type=submit]");
const wrong = form.querySelector(".wrong");
const files = [];

const pause = (millis) => new Promise((over) => setTimeout(over, millis));

// Why something failed, and whether another try may help.
class Refused extends Error {
  constructor(message, again, code) {
    super(message);
    this.again = again;
    this.code = code;
  }
}

async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    throw new Refused("You seem to be offline.", true);
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const error = said.error ?? {};
  const again = answer.status >= 500 || error.code === "upload_in_hand";
  throw new Refused(error.message ?? `That did not work (${answer.status}).`, again, error.code);
}

// Some browsers do not know every type that we take.
function typeOf(file) {
  return file.type || TYPES[file.name.split(".").pop().toLowerCase()] || "application/octet-stream";
}

async function digest(file) {
  if (!globalThis.crypto?.subtle) return null;
  const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// One request with a progress bar, which fetch does not have. It can be stopped.
function transfer(how, one) {
  const { file, progress } = one;
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    one.stop = () => request.abort();
    request.open(how.method, how.url);
    let body = file;
    if (how.method === "POST") {
      body = new FormData();
      for (const [name, value] of Object.entries(how.fields)) body.append(name, value);
      body.append("file", file);
    } else {
      for (const [name, value] of Object.entries(how.headers)) {
        if (name !== "content-length") request.setRequestHeader(name, value);
      }
    }
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () =>
      request.status < 300 ? done() : failed(new Refused(`The store refused it (${request.status}).`, true));
    request.onerror = () => failed(new Refused("The connection was lost.", true));
    request.ontimeout = request.onerror;
    request.onabort = () => failed(new Refused("It was taken away.", false));
    request.timeout = 5 * 60 * 1000;
    request.send(body);
  });
}

// A few at a time: each waits its turn, and what the person has taken away is not sent.
const AT_ONCE = 3;
const turns = [];
let sending = 0;

async function send(one) {
  one.show("sending", "");
  if (sending >= AT_ONCE) await new Promise((turn) => turns.push(turn));
  sending += 1;
  try {
    if (!one.isGone) await transmit(one);
  } finally {
    sending -= 1;
    turns.shift()?.();
  }
}

// An upload that nobody will attach keeps no place, and nothing more of it is sent.
function giveUp(one) {
  one.isGone = true;
  one.stop?.();
  if (one.how) fetch(`/uploads/${one.how.upload_id}/cancel`, { method: "POST", keepalive: true }).catch(() => {});
}

async function transmit(one) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // What was signed is good for a quarter of an hour; then it is signed anew.
      if (!one.how || Date.parse(one.how.expires_at) < Date.now() + 30000) {
        const asked = {
          category: form.dataset.category, content_type: typeOf(one.file), content_length: one.file.size,
        };
        const sha256 = await digest(one.file);
        if (sha256) asked.sha256 = sha256;
        one.how = await ask("/uploads/presign", asked);
        if (one.isGone) return giveUp(one);
      }
      await transfer(one.how, one);
      one.progress(1);
      one.show("sent", "");
      return;
    } catch (error) {
      if (one.isGone) return;
      if (!error.again || attempt === TRIES) {
        one.show("failed", error.message, error.again || error.code === "too_many_uploads");
        return;
      }
      await pause(500 * 2 ** attempt);
    }
  }
}

function add(file) {
  const item = row.content.firstElementChild.cloneNode(true);
  const bar = item.querySelector("progress");
  item.querySelector(".name").textContent = file.name;
  item.querySelector(".size").textContent =
    file.size < 1e5 ? `${Math.ceil(file.size / 1e3)} kB` : `${(file.size / 1e6).toFixed(1)} MB`;
  const one = {
    file, how: null, state: "sending",
    progress: (part) => { bar.value = part; },
    show: (state, why, again = true) => {
      one.state = state;
      item.dataset.state = state;
      item.toggleAttribute("data-final", !again);
      item.querySelector(".why").textContent = why;
      settle();
    },
  };
  item.querySelector("[data-again]").onclick = () => send(one);
  item.querySelector("[data-remove]").onclick = () => {
    files.splice(files.indexOf(one), 1);
    giveUp(one);
    item.remove();
    settle();
  };
  files.push(one);
  list.append(item);
  send(one);
}

function settle() {
  const isSent = files.every((one) => one.state === "sent");
  button.disabled = !isSent || (form.dataset.needs === "files" && files.length === 0);
}

picker.onchange = () => {
  for (const file of picker.files) add(file);
  picker.value = "";
};

form.onsubmit = async (event) => {
  event.preventDefault();
  button.disabled = true;
  wrong.hidden = true;
  const body = { upload_ids: files.map((one) => one.how.upload_id) };
  const title = form.querySelector("[name=title]");
  if (title) body.title = title.value;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await ask(form.action, body);
      isAttached = true;
      location.assign(form.dataset.then);
      return;
    } catch (error) {
      // Without files nothing tells one request from the same one again.
      if (!error.again || attempt === TRIES || files.length === 0) {
        wrong.textContent = error.message;
        wrong.hidden = false;
        button.disabled = false;
        return;
      }
      await pause(500 * 2 ** attempt);
    }
  }
};

let isAttached = false;
addEventListener("pagehide", () => {
  if (!isAttached) files.forEach(giveUp);
});

settle();
