"use strict";
// What all parts of the page share: the data, the mathematics in float64, the state and the address.
// Names and formulas are those of the Python package: y is -1 or +1, pixels lie in [0, 1].

const ROUNDING = 1e-9; // a score this close to 0 lies on the boundary
const EPS_MAX = { linf: 0.5, l2: 5, l1: 50 };

const find = (id) => document.getElementById(id);
const all = (selector) => document.querySelectorAll(selector);
const SVG = document.querySelector("svg").namespaceURI;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const data = JSON.parse(find("data").textContent);
const [HIGH, WIDE] = data.shape; // rows and columns of an image
const N_PIXELS = HIGH * WIDE;
for (const canvas of all('canvas[width="28"]')) Object.assign(canvas, { width: WIDE, height: HIGH });
for (const canvas of all('canvas[width="448"]')) Object.assign(canvas, { width: 16 * WIDE, height: 16 * HIGH });

function bytes(base64) {
  const text = atob(base64);
  const raw = new Uint8Array(text.length);
  for (let k = 0; k < raw.length; k++) raw[k] = text.charCodeAt(k);
  return raw;
}

const floats = (base64) => new Float64Array(bytes(base64).buffer);

// Every 0 is followed by the number of zeros it stands for.
function unpacked(base64, length) {
  const [raw, pixels] = [bytes(base64), new Uint8Array(length)];
  for (let k = 0, j = 0; k < raw.length; k++) {
    if (raw[k]) pixels[j++] = raw[k];
    else j += raw[++k];
  }
  return pixels;
}

const N_IMAGES = data.y.length;
const pixels = unpacked(data.pixels, N_IMAGES * N_PIXELS);
const GREY = Float64Array.from({ length: 256 }, (_, k) => k / 255);
const image = (i) => Float64Array.from(pixels.subarray(i * N_PIXELS, (i + 1) * N_PIXELS), (byte) => GREY[byte]);
const digit = (y) => data.digits[y > 0 ? 1 : 0];
for (const model of [...data.models, ...(data.optimum ?? [])]) model.w = floats(model.w);

// Mathematics: numlin.objective and numlin.balls.

function score({ w, b }, x) {
  let total = 0;
  for (let j = 0; j < w.length; j++) total += w[j] * x[j];
  return total + b;
}

// Margins of all test images.
const margins = remembered((model) => {
  const used = Array.from(model.w.keys()).filter((j) => model.w[j]);
  return Float64Array.from(data.y, (y, i) => {
    let total = 0;
    for (const j of used) total += model.w[j] * GREY[pixels[i * N_PIXELS + j]];
    return y * (total + model.b);
  });
});

// Places of the weights, largest |w_j| first, and the dual norm of each ball.
const byStrength = remembered(({ w }) => Array.from(w.keys()).sort((i, j) => Math.abs(w[j]) - Math.abs(w[i]) || i - j));
const dualNorm = {
  linf: ({ w }) => sum(w.map(Math.abs)),
  l2: ({ w }) => Math.sqrt(sum(w.map((each) => each * each))),
  l1: (model) => Math.abs(model.w[byStrength(model)[0]]),
};

// How far each pixel can move against the margin before it meets the side of the box; where
// w_j = 0 it has no reason to.
const room = ({ w }, x, y) => x.map((pixel, j) => (y * w[j] > 0 ? pixel : w[j] ? 1 - pixel : 0));

// Smallest level with sum_j slope_j min(full_j, level) = target. The sum is concave in the level
// and straight between the full_j, so Newton's steps from 0 never overshoot and end at the answer.
function waterLevel(full, slope, target) {
  for (let level = 0; ; ) {
    let [poured, open] = [0, 0];
    for (let j = 0; j < full.length; j++) {
      if (full[j] <= level) poured += slope[j] * full[j];
      else open += slope[j];
    }
    if (!open) return poured + ROUNDING * 1e-3 < target ? Infinity : level;
    const next = (target - poured) / open;
    if (next <= level) return level;
    level = next;
  }
}

const widths = ({ w }) => w.map((each) => Math.max(Math.abs(each), 1e-150));

// The moves t_j against the margin of a perturbation of size eps.
function moves(model, x, y, eps, norm, box) {
  const { w } = model;
  if (!box) {
    if (norm === "linf") return w.map((each) => (each ? eps : 0));
    if (norm === "l2") return w.map((each) => (eps * Math.abs(each)) / (dualNorm.l2(model) || 1));
    return w.map((each, j) => (each && j === byStrength(model)[0] ? eps : 0));
  }
  const most = room(model, x, y);
  if (norm === "linf") return most.map((each) => Math.min(each, eps));
  if (norm === "l2") {
    const size = widths(model);
    const full = most.map((each, j) => (each / size[j]) ** 2);
    const level = Math.sqrt(waterLevel(full, size.map((each) => each * each), eps * eps));
    return most.map((each, j) => Math.min(each, level * size[j]));
  }
  let left = eps;
  const filled = new Float64Array(w.length);
  for (const j of byStrength(model)) left -= filled[j] = Math.min(most[j], left);
  return filled;
}

// delta = -y sign(w) t
function worst(model, x, y, eps, norm, box) {
  return moves(model, x, y, eps, norm, box).map((move, j) => -y * Math.sign(model.w[j]) * move);
}

// Smallest eps that takes the whole margin, 0 if there is none to take.
function radius(model, margin, x, y, norm, box) {
  if (margin <= 0) return 0;
  if (!box) return margin / dualNorm[norm](model);
  const most = room(model, x, y);
  if (norm === "linf") return waterLevel(most, model.w.map(Math.abs), margin);
  if (norm === "l2") {
    const size = widths(model);
    const level = waterLevel(most.map((each, j) => each / size[j]), size.map((each) => each * each), margin);
    if (level === Infinity) return Infinity;
    return Math.sqrt(sum(most.map((each, j) => Math.min(each, level * size[j]) ** 2)));
  }
  let spent = 0;
  for (const j of byStrength(model)) {
    const gain = Math.abs(model.w[j]) * most[j];
    if (gain >= margin) return spent + margin / Math.abs(model.w[j]);
    margin -= gain;
    spent += most[j];
  }
  return Infinity;
}

// Radii of all test images, and the same in rising order.
const radii = remembered((model, norm, box) => {
  const margin = margins(model);
  const found = margin.map((each, i) => radius(model, each, box && image(i), data.y[i], norm, box));
  return { each: found, rising: found.toSorted() };
});

// How many of `rising` numbers are at most `limit`.
function countUpTo(rising, limit) {
  let [low, high] = [0, rising.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

// A function of a model and perhaps a ball that computes each answer once.
function remembered(compute) {
  const answers = new Map();
  return (model, ...ball) => {
    if (!answers.has(model)) answers.set(model, {});
    return (answers.get(model)[ball] ??= compute(model, ...ball));
  };
}

// State: what is chosen on the page. A `sheet` is a drawing, y its label once it has been told.

const state = { model: data.models[0], eps: 0.1, ball: "linf", i: data.thumbs[0], drawing: false };
const sheet = { x: new Float64Array(N_PIXELS), y: 0, version: 0 };
state.i = data.thumbs.findLast((i) => data.y[i] < 0) ?? data.thumbs[0];

const norm = () => state.ball.split("-")[0];
const boxed = () => state.ball.endsWith("-box");
const limit = () => EPS_MAX[norm()];

// Another norm is another unit: eps keeps its share of the slider.
function setBall(ball) {
  const share = state.eps / limit();
  state.ball = ball;
  state.eps = Number((share * limit()).toPrecision(6));
}

// Each part of the page is shown anew when what it depends on has changed.

const parts = [];

function part(dependsOn, draw) {
  let seen;
  parts.push(() => {
    const now = dependsOn().join();
    if (now !== seen) draw();
    seen = now;
  });
}

const show = () => parts.forEach((each) => each());

function on(target, event, change) {
  target.addEventListener(event, (occurred) => {
    change(occurred);
    show();
    keepAddress();
  });
}

function text(value, places = 4) {
  if (value === Infinity) return "none";
  return value.toFixed(places).replace(/^-(0\.0*)$/, "$1").replace("-", "\u2212");
}

const percent = (share, places = 2) => `${(100 * share).toFixed(places)}%`;

// A new text is laid out anew, even if it is the old one.
function say(node, shown) {
  if (node.textContent !== shown) node.textContent = shown;
}

function put(id, value, shown = text(value)) {
  find(id).dataset.value = value;
  say(find(id), shown);
}

// Drawing.

function element(parent, tag, attributes = {}, content = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (content) made.append(content);
  parent.append(made);
  return made;
}

function svg(parent, tag, attributes = {}, content = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (content) made.append(content);
  parent.append(made);
  return made;
}

// Pixels in grey, white at `low` and black at `high`.
function paint(canvas, x, low = 0, high = 1) {
  const shades = new ImageData(WIDE, HIGH);
  shades.data.fill(255);
  for (let j = 0; j < N_PIXELS; j++) {
    const grey = (255 * (high - x[j])) / (high - low);
    for (let channel = 0; channel < 3; channel++) shades.data[4 * j + channel] = grey;
  }
  canvas.getContext("2d").putImageData(shades, 0, 0);
}

// One cell a pixel, more saturated the larger its size, full at `full`, with its sign.
function paintSigns(canvas, values, full, [minus, plus]) {
  const context = canvas.getContext("2d");
  const cell = canvas.width / WIDE;
  context.clearRect(0, 0, canvas.width, canvas.height);
  const fill = (style, [x, y, width, height], where) => {
    context.fillStyle = style;
    for (let j = 0; j < N_PIXELS; j++) {
      if (!where(values[j])) continue;
      context.globalAlpha = Math.min(1, Math.abs(values[j]) / full);
      context.fillRect(cell * (j % WIDE) + x, cell * Math.floor(j / WIDE) + y, width, height);
    }
  };
  fill(minus, [0, 0, cell, cell], (value) => value < 0);
  fill(plus, [0, 0, cell, cell], (value) => value > 0);
  if (cell < 8) return;
  fill("#000", [4, 7, 8, 2], (value) => value);
  fill("#000", [7, 4, 2, 8], (value) => value > 0);
}

const DIGIT_COLOURS = ["#4d9221", "#c51b7d"];
const MOVE_COLOURS = ["#5aa5d8", "#e69f00"];
const colour = (name) => `var(--model-${data.models.findIndex((each) => each.name === name) % 4})`;
const strongest = (w) => w.reduce((most, each) => Math.max(most, Math.abs(each)), 0);

// Axes of a chart with room for labels; returns the functions from its units to the drawing's.
function axes(chart, [left, right], [low, high], xTicks, yTicks, xLabel, y = (value) => value) {
  const { width, height } = chart.viewBox.baseVal;
  const X = (value) => 46 + ((width - 60) * (value - left)) / (right - left);
  const Y = (value) => height - 40 - ((height - 54) * (y(value) - y(low))) / (y(high) - y(low));
  chart.replaceChildren();
  for (const [value, label] of yTicks) {
    svg(chart, "line", { class: "grid", x1: X(left), x2: X(right), y1: Y(value), y2: Y(value) });
    svg(chart, "text", { x: X(left) - 6, y: Y(value) + 4, "text-anchor": "end" }, label);
  }
  for (const [value, label] of xTicks) svg(chart, "text", { x: X(value), y: height - 23, "text-anchor": "middle" }, label);
  svg(chart, "text", { x: (X(left) + X(right)) / 2, y: height - 6, "text-anchor": "middle" }, xLabel);
  return [X, Y];
}

function line(chart, points, name, dashed) {
  const place = points.map((point) => point.map((value) => value.toFixed(1)).join()).join(" ");
  return svg(chart, "polyline", { points: place, style: `stroke: ${colour(name)}`, class: dashed ? "curve dashed" : "curve" });
}

// Controls that stand in several places: a model, a ball, an eps.

for (const select of all('[data-sets="model"]')) {
  for (const { name } of data.models) select.append(new Option(name));
  on(select, "change", () => (state.model = data.models[select.selectedIndex]));
}
for (const select of all('[data-sets="ball"]')) {
  for (const ball of data.balls) {
    select.append(new Option(ball.replace("linf", "l-inf").replace("-box", ", boxed"), ball));
  }
  on(select, "change", () => setBall(select.value));
}
for (const slider of all('[data-sets="eps"]')) on(slider, "input", () => (state.eps = Number(slider.value)));

part(
  () => [norm()],
  () => {
    for (const each of all('[data-sets="eps"]')) Object.assign(each, { max: limit(), step: limit() / 500 });
    for (const scale of all(".scale")) {
      scale.replaceChildren();
      for (let k = 0; k <= 5; k++) element(scale, "i", {}, String((k * limit()) / 5));
    }
  },
);
part(
  () => [state.model.name, state.ball, state.eps],
  () => {
    for (const name of ["model", "ball", "eps"]) {
      const now = String(state[name].name ?? state[name]);
      all(`[data-sets="${name}"]`).forEach((each) => each.value === now || (each.value = now));
    }
    all('[data-shows="eps"]').forEach((each) => say(each, text(state.eps, norm() === "linf" ? 3 : 2)));
  },
);

// A state can be asked for in the address, after ? or #, for instance
// #digit=12&model=regular&eps=0.15&ball=linf-box. The digit is a row of X_test, or "drawn" for a
// blank sheet. Parts of the page add their own words to `words`: [read, write].

const words = {
  model: [(name) => (state.model = data.models.find((each) => each.name === name) ?? state.model), () => state.model.name],
  ball: [(ball) => data.balls.includes(ball) && setBall(ball), () => state.ball],
  eps: [(eps) => eps >= 0 && eps <= limit() && (state.eps = Number(eps)), () => state.eps],
};

function preset(address) {
  const asked = new URLSearchParams(address.slice(1));
  for (const [name, [read]] of Object.entries(words)) if (asked.get(name)) read(asked.get(name));
}

let waiting;
function keepAddress() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const chosen = new URLSearchParams(Object.entries(words).map(([name, [, write]]) => [name, write()]));
    history.replaceState(null, "", `#${chosen}`);
  }, 250);
}
