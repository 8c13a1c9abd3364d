// The page that says how good and how fast the model is.
import { ask } from "./api.js";
import { text } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

function element(name, content = "", className = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (content !== "") made.append(...[content].flat());
  return made;
}

function figure(big, unit, note) {
  return element("div", [element("div", [big, " ", element("small", unit)], "big"), element("div", note, "soft small")], "card");
}

function chart({ counts, edges, mean }) {
  const width = 700, height = 250, left = 34, bottom = 40, most = Math.max(...counts);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "chart");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", text("distribution"));
  const add = (name, attributes, content) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (content !== undefined) made.textContent = content;
    svg.append(made);
  };
  const low = edges[0], high = edges[edges.length - 1] > low ? edges[edges.length - 1] : low + 1;
  const x = (value) => left + ((value - low) / (high - low)) * (width - left - 12);
  const y = (count) => height - bottom - (count / most) * (height - bottom - 18);
  counts.forEach((count, i) => add("rect", { x: x(edges[i]) + 1, y: y(count), width: Math.max(1, x(edges[i + 1]) - x(edges[i]) - 2),
    height: height - bottom - y(count), rx: 3, class: edges[i] + edges[i + 1] > 0 ? "better" : "worse" }));
  const step = Math.max(1, Math.ceil((high - low) / 8));
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) add("text", { x: x(tick), y: height - 22, "text-anchor": "middle" }, tick);
  add("text", { x: left - 6, y: y(most) + 5, "text-anchor": "end" }, most);
  add("text", { x: left - 6, y: y(0), "text-anchor": "end" }, 0);
  add("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, text("axis"));
  add("line", { x1: x(mean), x2: x(mean), y1: 10, y2: height - bottom });
  return svg;
}

// Headings, lists, tables, code and paragraphs: every text goes in as text, never as HTML.
function markdown(source) {
  const root = element("div", "", "markdown");
  const inline = (words) => words.replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) =>
    part.startsWith("`") ? element("code", part.slice(1, -1)) : part.startsWith("**") ? element("b", part.slice(2, -2)) : part);
  const lines = source.split("\n");
  const paragraph = [];
  const flush = () => { if (paragraph.length) root.append(element("p", inline(paragraph.splice(0).join(" ")))); };
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i], heading = /^(#+)\s+(.*)/.exec(line);
    const taken = (test) => { const found = []; while (i < lines.length && test(lines[i])) found.push(lines[i++]); i--; return found; };
    if (line.startsWith("```")) { flush(); i++; root.append(element("pre", element("code", taken((l) => !l.startsWith("```")).join("\n")))); i++; }
    else if (heading) { flush(); root.append(element(heading[1].length < 3 ? "h3" : "h4", inline(heading[2]))); }
    else if (/^\s*[-*]\s/.test(line)) {
      flush();
      const items = [];
      for (const l of taken((l) => /^\s*[-*]\s|^\s{2,}\S/.test(l))) if (/^\s*[-*]\s/.test(l)) items.push(l.replace(/^\s*[-*]\s/, "")); else items[items.length - 1] += ` ${l.trim()}`;
      root.append(element("ul", items.map((item) => element("li", inline(item)))));
    } else if (line.startsWith("|")) {
      flush();
      const rows = taken((l) => l.startsWith("|")).filter((l) => !/^[|\s:-]+$/.test(l)).map((l) => l.replace(/^\||\|\s*$/g, "").split("|"));
      root.append(element("div", element("table", rows.map((row, r) => element("tr", row.map((cell) => element(r ? "td" : "th", inline(cell.trim())))))), "wide"));
    } else if (!line.trim()) flush();
    else paragraph.push(line.trim());
  }
  flush();
  return root;
}

export async function showPerformance(place) {
  place.replaceChildren(element("p", text("busy"), "soft"));
  const { model, card, evaluation, machine } = await (await ask("/v1/performance")).json();
  const speed = machine.real_time_factor ? 1 / machine.real_time_factor : null;
  const cards = element("div", "", "cards");
  cards.append(speed ? figure(speed < 10 ? speed.toFixed(1) : Math.round(speed), text("speed"), text("speedNote", machine))
    : figure("…", text("speed"), text("measuring")));
  if (evaluation) {
    const { mean, ci95, median, utterances: count, improved } = evaluation;
    cards.append(figure(`${mean.toFixed(1)} dB`, ci95 ? `± ${((ci95[1] - ci95[0]) / 2).toFixed(1)}` : "",
      `${text("gain")} ${text("gainNote", { count, median: median.toFixed(1) })}`));
    cards.append(figure(`${Math.round((100 * improved) / count)} %`, text("improved"), text("ofAll", { improved, count })));
  }
  const sheet = element("div", element("h2", text("distribution")), "card");
  sheet.append(evaluation ? chart(evaluation) : element("p", text("noEvaluation"), "soft"));
  const facts = element("div", element("h2", text("model")), "card");
  const rows = { [text("rate")]: `${model.sample_rate} Hz`, [text("speakers")]: model.num_spks, ...model.config };
  delete rows.sample_rate;
  delete rows.num_spks;
  facts.append(element("p", element("code", model.name)), element("div", element("table", Object.entries(rows).map(([name, value]) =>
    element("tr", [element("td", name), element("td", String(value))]))), "wide"));
  const about = element("div", element("h2", text("card")), "card");
  about.append(card ? markdown(card) : element("p", text("noCard"), "soft"));
  place.replaceChildren(element("h1", text("figuresTitle")), cards, sheet, about, facts);
}
