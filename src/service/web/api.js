// The service, as the page uses it.
import { text } from "./texts.js";

export class Refused extends Error {
  constructor(status, error, hint) { super(error); this.status = status; this.hint = hint; }
}

let token = sessionStorage.getItem("token") || "";

function headers() { return token ? { Authorization: `Bearer ${token}` } : {}; }

async function askToken() {
  const dialog = document.getElementById("ask");
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  token = document.getElementById("token").value;
  sessionStorage.setItem("token", token);
  return dialog.returnValue === "ok" && token;
}

function refused(status, body) {
  let said = {};
  try { said = JSON.parse(body); } catch { /* not the service's own words, such as a proxy's */ }
  return new Refused(status, said.error || `HTTP ${status}`, said.hint || "");
}

export async function ask(address, options = {}) {
  let reply;
  try {
    reply = await fetch(address, { ...options, headers: headers() });
  } catch {
    throw new Refused(0, text("gone"), text("tryLater"));
  }
  if (reply.status === 401 && await askToken()) return ask(address, options);
  if (!reply.ok) throw refused(reply.status, await reply.text());
  return reply;
}

// XMLHttpRequest tells how much has been sent, fetch does not.
export function upload(blob, report, signal) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("file", blob, "recording");
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/separate");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && report(event.loaded / event.total);
    request.onerror = () => reject(new Refused(0, text("gone"), text("tryLater")));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onload = async () => {
      if (request.status === 401 && await askToken()) resolve(upload(blob, report, signal));
      else if (request.status === 202) resolve(JSON.parse(request.responseText));
      else reject(refused(request.status, request.responseText));
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

export async function follow(job, report, signal) {
  while (!signal.aborted) {
    const view = await (await ask(`/v1/jobs/${job}`)).json();
    if (view.state === "done") return view;
    if (view.state === "failed") throw new Refused(view.status, view.error, view.hint);
    if (view.state === "cancelled") throw new Refused(0, text("cancelled"), "");
    report(view);
    await new Promise((done) => setTimeout(done, 300));
  }
  throw new DOMException("", "AbortError");
}
