#include "coordinator/inspect/page_parts.h"

namespace varve {

// Texts reach the page as textContent alone.
const std::string_view kPageScript = R"js("use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const canvas = element("heat");
const cells = Math.ceil(data.rows / data.cellRows);
const left = 58, bottom = 18, gap = 6, strip = 22;
let height = 0;

const count = (n) => n.toLocaleString("en-US");
const percent = (share) => (100 * share).toFixed(share < 0.001 && share > 0 ? 3 : 1) + " %";
const map = () => data.maps.length ? data.maps[element("map") ? element("map").value : 0] : null;
const asked = () => data.questions[element("asked").value];
const byHead = () => element("heads") !== null && element("heads").checked;
const lines = () => map() ? data.layers * (byHead() ? data.heads : 1) : 0;
const lineHeight = () => Math.max(3, Math.min(14, Math.floor(480 / Math.max(1, lines()))));
const cellRows = (cell) => Math.min(data.cellRows, data.rows - cell * data.cellRows);

// Rows kept and rows there were, of a line of the picture.
function keptIn(line, cell) {
  const layers = map().layers;
  if (byHead()) {
    const rows = layers[Math.floor(line / data.heads)];
    return [rows[(line % data.heads) * cells + cell], cellRows(cell)];
  }
  let sum = 0;
  for (let head = 0; head < data.heads; ++head) sum += layers[line][head * cells + cell];
  return [sum, data.heads * cellRows(cell)];
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).split(",").map(Number);
}

// On paper the controls are missing.
function describe() {
  const kept = element("map") ? "Kept for " + element("map").selectedOptions[0].text + ". " : "";
  element("drawn").textContent = kept + "Attention of the answer to " + asked().id + ".";
}

function draw() {
  describe();
  const width = canvas.clientWidth, scale = window.devicePixelRatio || 1;
  height = lines() * lineHeight() + gap + strip + bottom;
  canvas.style.height = height + "px";
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const g = canvas.getContext("2d");
  g.scale(scale, scale);
  const none = color("--cell-none"), all = color("--cell-all"), hot = color("--asked-all");
  const shade = (share, to) => {
    const part = Math.sqrt(Math.max(0, Math.min(1, share)));
    return "rgb(" + none.map((from, i) => Math.round(from + part * (to[i] - from))) + ")";
  };
  const step = (width - left) / cells;
  const box = (cell, y, h, fill) => {
    g.fillStyle = fill;
    const from = Math.floor((left + cell * step) * scale) / scale;
    const to = Math.floor((left + (cell + 1) * step) * scale) / scale;
    g.fillRect(from, y, Math.max(to - from, 1 / scale), h);
  };
  for (let line = 0; line < lines(); ++line) {
    for (let cell = 0; cell < cells; ++cell) {
      const [kept, rows] = keptIn(line, cell);
      box(cell, line * lineHeight(), lineHeight(), shade(kept / rows, all));
    }
  }
  const top = lines() * lineHeight() + gap;
  const first = Math.ceil(Math.max(1, data.documentBegin) / data.cellRows);
  const most = Math.max(1e-12, ...asked().cells.slice(first));
  for (let cell = 0; cell < cells; ++cell) {
    box(cell, top, strip, shade(asked().cells[cell] / most, hot));
  }
  g.fillStyle = getComputedStyle(document.body).color;
  g.font = "11px system-ui, sans-serif";
  g.textAlign = "right";
  const every = Math.max(1, Math.ceil(14 / (lineHeight() * (byHead() ? data.heads : 1))));
  for (let layer = 0; map() && layer < data.layers; layer += every) {
    const line = layer * (byHead() ? data.heads : 1);
    g.fillText((layer === 0 ? "layer " : "") + layer, left - 6, line * lineHeight() + 10);
  }
  g.fillText("attention", left - 6, top + 15);
  g.textAlign = "center";
  const ticks = Math.max(1, Math.floor((width - left) / 70));
  const power = 10 ** Math.floor(Math.log10(data.rows / ticks));
  const apart = [1, 2, 5, 10].map((f) => f * power).find((d) => d * ticks >= data.rows);
  for (let row = 0; row < data.rows; row += Math.max(1, apart)) {
    const x = left + Math.max(14, row / data.rows * (width - left));
    g.fillText(count(row), Math.min(x, width - 20), height - 4);
  }
}

function textOf(from, to) {
  return data.spans.slice(Math.floor(from / data.spanRows), Math.ceil(to / data.spanRows)).join("");
}

function show(event) {
  const place = canvas.getBoundingClientRect();
  const cell = Math.floor((event.clientX - place.left - left) / (place.width - left) * cells);
  if (cell < 0 || cell >= cells) return;
  const line = Math.floor((event.clientY - place.top) / lineHeight());
  const from = cell * data.cellRows, to = from + cellRows(cell);
  let what = "tokens " + count(from) + "–" + count(to - 1);
  if (line >= 0 && line < lines()) {
    const [kept, rows] = keptIn(line, cell);
    const layer = byHead() ?
        Math.floor(line / data.heads) + ", key head " + line % data.heads : line;
    what = "layer " + layer + ", " + what + ": kept " + count(kept) + " of " + count(rows) +
        " rows (" + percent(kept / rows) + ")";
  }
  what += "; attention of " + asked().id + ": " + percent(asked().cells[cell]);
  const text = textOf(from, to);
  const shown = text.length > 600 ? text.slice(0, 600) + " …" : text;
  element("under").replaceChildren(what, document.createElement("br"), shown);
}

// All spans in a row, in lower case, and where each begins.
let whole = null, begins = null;
function find() {
  const words = element("find").value.toLowerCase();
  element("found").replaceChildren();
  if (words.length < 2) return;
  if (whole === null) {
    begins = [];
    let at = 0;
    const lower = data.spans.map((span) => span.toLowerCase());
    for (const span of lower) { begins.push(at); at += span.length; }
    whole = lower.join("");
  }
  let found = 0, span = 0;
  for (let at = whole.indexOf(words); at >= 0; at = whole.indexOf(words, at + words.length)) {
    if (++found > 20) continue;
    while (span + 1 < begins.length && begins[span + 1] <= at) ++span;
    let end = span + 1;
    while (end < begins.length && begins[end] < at + words.length) ++end;
    let kept = data.layers;
    if (map()) kept = Math.max(...map().spanLayers.slice(span, end));
    const where = document.createElement("div"), text = document.createElement("div");
    where.className = "where";
    where.textContent = "tokens " + count(span * data.spanRows) + "–" +
        count(Math.min(end * data.spanRows, data.rows) - 1) + ", rows of it in " + kept + " of " +
        data.layers + " layers";
    text.className = "text";
    text.textContent = "… " + data.spans.slice(Math.max(0, span - 2), end + 2).join("") + " …";
    const item = document.createElement("div");
    item.className = "found";
    item.append(where, text);
    element("found").append(item);
  }
  const sum = document.createElement("p");
  sum.textContent = found === 0 ? "Nowhere." :
      found > 20 ? count(found) + " places, of which these are the first 20" :
      found === 1 ? "One place" : found + " places";
  element("found").prepend(sum);
}

canvas.addEventListener("pointermove", show);
canvas.addEventListener("pointerdown", show);
for (const id of ["map", "heads", "asked"]) {
  if (element(id)) element(id).addEventListener("change", draw);
}
if (element("map")) element("map").addEventListener("change", find);
element("find").addEventListener("input", find);
window.addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
// Paper is white, and has no use for what is folded.
matchMedia("print").addEventListener("change", draw);
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
draw();
})();
)js";

}  // namespace varve
