import { Refused, ask, follow, upload } from "./api.js";
import { decode, draw, mono, wav } from "./audio.js";
import { showPerformance } from "./performance.js";
import { Player } from "./player.js";
import { errorText, switchLanguage, text, translate } from "./texts.js";
import * as waves from "./waves.js";

const $ = (id) => document.getElementById(id);
const TONES = [[195, 207, 226], [76, 201, 176], [255, 159, 107], [183, 155, 255], [255, 209, 102], [143, 215, 255], [255, 143, 177], [170, 220, 120], [220, 200, 180]];
const LONGEST = 1800; // seconds that are decoded in the page: memory

const player = new Player(refresh);
let limits = null, model = { sample_rate: 8000 }, current = null, abort = null, tracks = [];

// --- what is seen

function see(name) {
  for (const part of ["drop", "recording", "working"]) $(part).classList.toggle("hidden", part !== name);
  $("start").classList.toggle("hidden", name === "result");
  $("result").classList.toggle("hidden", name !== "result");
  waves.show(name !== "result");
  if (name === "drop") waves.untangle(0);
}

let toastTimer;
function toast(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Refused)) console.error(error);
  [$("toast-error").textContent, $("toast-hint").textContent] = errorText(error);
  $("toast").classList.remove("hidden");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.add("hidden"), 12000);
}

function phase(words, share) {
  $("phase").textContent = words;
  if (share === null) $("progress").removeAttribute("value");
  else $("progress").value = share;
}

function clock(seconds, digits = 1) {
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
}

function route() {
  const figures = location.hash === "#performance";
  $("toast").classList.add("hidden");
  $("home").classList.toggle("hidden", figures);
  $("figures").classList.toggle("hidden", !figures);
  $("nav-performance").toggleAttribute("aria-current", figures);
  $("nav-home").toggleAttribute("aria-current", !figures);
  if (figures) { player.stop(); showPerformance($("figures")).catch(toast); } else drawAll();
}

function words() {
  translate();
  if (limits) $("limits").textContent = text("limits", { minutes: Math.floor(limits.max_seconds / 60), megabytes: Math.floor(limits.max_body_bytes / 1e6) });
  for (const track of tracks) track.words();
  refresh();
  if (location.hash === "#performance") route();
}

// --- from a recording to its voices

async function separate(blob, name) {
  abort = new AbortController();
  const { signal } = abort;
  see("working");
  $("toast").classList.add("hidden");
  $("cancel").focus();
  let job = null;
  try {
    if (limits && blob.size > limits.max_body_bytes) throw new Refused(413, `> ${limits.max_body_bytes / 1e6} MB`, text("limits", { minutes: limits.max_seconds / 60, megabytes: limits.max_body_bytes / 1e6 }));
    const sent = (share) => phase(text("uploading", { percent: Math.round(100 * share) }), 0.15 * share);
    sent(0);
    try {
      job = (await upload(blob, sent, signal)).id;
    } catch (error) { // what the service cannot read the browser may
      if (!(error instanceof Refused) || ![415, 422].includes(error.status)) throw error;
      const buffer = await decode(await blob.arrayBuffer(), 48000).catch(() => { throw error; });
      blob = wav(mono(buffer), 48000);
      job = (await upload(blob, sent, signal)).id;
    }
    const view = await follow(job, (state) => {
      const share = state.progress, place = state.place;
      if (state.state === "queued") phase(place ? text("queued", { place }) : text("next"), 0.15);
      else phase(text("running", { percent: Math.round(100 * share) }), 0.15 + 0.75 * share);
      waves.untangle(0.1 + 0.8 * share);
    }, signal);
    phase(text("fetching"), 0.93);
    waves.untangle(1);
    await open(view, blob, name, signal);
  } catch (error) {
    if (job) ask(`/v1/jobs/${job}`, { method: "DELETE" }).catch(() => {});
    see(current ? "result" : "drop");
    toast(error);
  }
}

async function open(view, blob, name, signal) {
  const short = name.replace(/\.[^.]*$/, "");
  let buffers = [];
  if (view.seconds <= LONGEST) {
    const voices = await Promise.all(view.voices.map(async (address) => (await ask(address, { signal })).arrayBuffer()));
    const rate = view.sample_rate;
    buffers = await Promise.all(voices.map((bytes) => decode(bytes, rate)));
    const whole = await blob.arrayBuffer().then((bytes) => decode(bytes, rate)).then(mono, () => null);
    const mixture = new AudioBuffer({ length: buffers[0].length, sampleRate: buffers[0].sampleRate, numberOfChannels: 1 });
    const out = mixture.getChannelData(0);
    for (let i = 0; i < out.length; i++) { // where the browser does not know the format: what the voices add up to
      out[i] = whole ? whole[i] || 0 : buffers.reduce((sum, buffer) => sum + buffer.getChannelData(0)[i], 0);
    }
    buffers.unshift(mixture);
  } else toast(new Refused(0, text("long"), ""));
  forget();
  current = { view, short };
  $("name").textContent = name;
  see("result");
  tracks.forEach((track) => track.element.remove());
  const peak = Math.max(0.01, ...buffers.map(loudest));
  tracks = (buffers.length ? buffers : [null, ...view.voices.map(() => null)]).map((buffer, i) => new Track(i, buffer, peak));
  player.load(buffers);
  words();
  drawAll();
  $("play").disabled = !buffers.length;
  $("play").focus();
}

function loudest(buffer) {
  return buffer.getChannelData(0).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

function forget() {
  if (current) ask(`/v1/jobs/${current.view.id}`, { method: "DELETE" }).catch(() => {});
  current = null;
}

async function save(address, name) {
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await (await ask(address)).blob());
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) { toast(error); }
}

// --- one row of the result

class Track {
  constructor(index, buffer, peak) {
    this.index = index; this.buffer = buffer; this.peak = peak;
    this.element = document.createElement("article");
    this.element.className = "track";
    this.element.style.setProperty("--tone", `rgb(${TONES[index]})`);
    const top = document.createElement("div");
    top.className = "top";
    this.title = document.createElement("strong");
    top.append(this.title);
    this.buttons = {};
    const button = (name, act) => {
      const made = (this.buttons[name] = document.createElement("button"));
      made.type = "button";
      made.dataset.act = name;
      made.onclick = act;
      top.append(made);
    };
    if (buffer) {
      button("solo", () => player.solo(index));
      if (index) button("mute", () => player.mute(index));
    }
    if (index) button("download", () => save(current.view.voices[index - 1], `${current.short}_s${index}.wav`));
    this.element.append(top);
    if (buffer) {
      this.screen = document.createElement("div");
      this.screen.className = "screen";
      this.screen.tabIndex = 0;
      this.screen.setAttribute("role", "slider");
      this.screen.setAttribute("aria-valuemin", "0");
      this.screen.setAttribute("aria-valuemax", buffer.duration.toFixed(1));
      this.canvas = document.createElement("canvas");
      this.head = document.createElement("div");
      this.head.className = "head";
      this.screen.append(this.canvas, this.head);
      const seek = (event) => player.seek(((event.clientX - this.screen.getBoundingClientRect().left) / this.screen.clientWidth) * player.duration);
      this.screen.onpointerdown = (event) => { seek(event); this.screen.setPointerCapture(event.pointerId); };
      this.screen.onpointermove = (event) => { if (event.buttons & 1) seek(event); };
      this.element.append(this.screen);
    }
    $("tracks").append(this.element);
  }

  words() {
    this.title.textContent = this.index ? text("voice", { number: this.index }) : text("mixture");
    for (const [name, button] of Object.entries(this.buttons)) button.textContent = text(name);
    this.screen?.setAttribute("aria-label", `${this.title.textContent}: ${text("seek")}`);
  }

  draw() {
    if (!this.buffer || !this.canvas.clientWidth) return;
    const rate = this.buffer.sampleRate;
    draw(this.canvas, this.buffer.getChannelData(0), rate, Math.min(model.sample_rate, rate, current.view.sample_rate) / 2, TONES[this.index], this.peak);
  }

  refresh() {
    const state = player.tracks[this.index];
    if (!state) return;
    this.buttons.solo.setAttribute("aria-pressed", state.solo);
    this.buttons.mute?.setAttribute("aria-pressed", state.mute);
    this.element.classList.toggle("off", !player.heard(state));
  }

  move(share) {
    if (!this.screen) return;
    this.head.style.transform = `translateX(${share * (this.screen.clientWidth - 2)}px)`;
    this.screen.setAttribute("aria-valuenow", player.time.toFixed(1));
  }
}

function drawAll() { for (const track of tracks) track.draw(); }

function refresh() {
  $("play").setAttribute("aria-pressed", player.playing);
  $("play-name").textContent = text(player.playing ? "pause" : "play");
  $("play-shape").setAttribute("d", player.playing ? "M6 4h4v16H6zM14 4h4v16h-4z" : "M7 4l13 8-13 8z");
  for (const track of tracks) track.refresh();
  tick();
}

function tick() {
  $("now").textContent = clock(player.time || 0);
  $("length").textContent = clock(player.duration || 0);
  for (const track of tracks) track.move(player.duration ? player.time / player.duration : 0);
}

function frames() {
  if (player.playing) tick();
  requestAnimationFrame(frames);
}

// --- the microphone

const recorder = { stop: null };

async function record() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: true } });
  } catch {
    toast(new Refused(0, text("noMicrophone"), text("allowMicrophone")));
    return;
  }
  const context = new AudioContext(), analyser = context.createAnalyser(), level = new Float32Array(1024);
  context.createMediaStreamSource(stream).connect(analyser);
  const media = new MediaRecorder(stream), pieces = [], begun = Date.now();
  media.ondataavailable = (event) => pieces.push(event.data);
  const watch = setInterval(() => {
    $("clock").textContent = clock((Date.now() - begun) / 1000, 0);
    analyser.getFloatTimeDomainData(level);
    const power = level.reduce((sum, x) => sum + x * x, 0) / level.length;
    $("level").style.transform = `scaleX(${Math.max(0, Math.min(1, 1 + Math.log10(power + 1e-9) / 5))})`;
    if (limits && Date.now() - begun > 1000 * limits.max_seconds) recorder.stop(true);
  }, 80);
  media.onstop = async () => {
    clearInterval(watch);
    stream.getTracks().forEach((track) => track.stop());
    const rate = context.sampleRate;
    context.close();
    if (!recorder.wanted) { see("drop"); return; }
    try {
      const samples = mono(await decode(await new Blob(pieces).arrayBuffer(), rate));
      if (samples.length < rate / 10) throw new Error();
      separate(wav(samples, rate), `${text("recordedName")}.wav`);
    } catch { see("drop"); toast(new Refused(0, text("tooShort"), "")); }
  };
  recorder.stop = (wanted) => { recorder.wanted = wanted; media.stop(); };
  media.start(1000);
  see("recording");
  $("stop").focus();
}

// --- what the user does

$("choose").onclick = () => $("file").click();
$("file").onchange = () => { const [file] = $("file").files; $("file").value = ""; if (file) separate(file, file.name); };
$("demo").onclick = async () => {
  try { separate(await (await ask("/v1/demo")).blob(), `${text("demoName")}.flac`); } catch (error) { toast(error); }
};
$("record").onclick = record;
$("stop").onclick = () => recorder.stop(true);
$("discard").onclick = () => recorder.stop(false);
$("cancel").onclick = () => abort?.abort();
$("play").onclick = () => player.toggle();
$("again").onclick = () => { player.stop(); see("drop"); $("choose").focus(); };
$("all").onclick = () => save(current.view.results, `${current.short}_voices.zip`);
$("toast-close").onclick = () => $("toast").classList.add("hidden");
$("language").onclick = () => { switchLanguage(); words(); };

let inside = 0; // dragenter and dragleave come for every element in between
addEventListener("dragenter", (event) => { event.preventDefault(); inside++; $("drop").classList.add("over"); });
addEventListener("dragleave", () => { if (--inside <= 0) $("drop").classList.remove("over"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  $("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (!file || !$("working").classList.contains("hidden") || !$("recording").classList.contains("hidden")) return;
  player.stop();
  location.hash = "";
  separate(file, file.name);
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("ask").open || $("result").classList.contains("hidden") || $("home").classList.contains("hidden")) return;
  const button = event.target.closest?.("button, a, input");
  if (event.key === " " && (!button || button === $("play"))) { event.preventDefault(); player.toggle(); }
  else if (event.key === "ArrowLeft") player.seek(player.time - 2);
  else if (event.key === "ArrowRight") player.seek(player.time + 2);
  else if (event.key === "Home") player.seek(0);
  else if (/^[0-8]$/.test(event.key) && player.tracks[+event.key]) player.solo(+event.key);
});
let resizing;
addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => { drawAll(); tick(); }, 120); });
addEventListener("hashchange", route);
addEventListener("pagehide", () => { if (current) fetch(`/v1/jobs/${current.view.id}`, { method: "DELETE", keepalive: true, headers: sessionStorage.getItem("token") ? { Authorization: `Bearer ${sessionStorage.getItem("token")}` } : {} }).catch(() => {}); });

waves.start($("waves"));
words();
see("drop");
route();
frames();
ask("/v1/models").then((reply) => reply.json()).then((facts) => { limits = facts.limits; [model] = facts.models; words(); }).catch(toast);
document.body.dataset.ready = "yes";
