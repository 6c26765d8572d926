"use strict";
// The playground: the worst perturbation of one image for one linear model, computed in float64.
// Names and formulas are those of the Python package: y is -1 or +1, pixels lie in [0, 1].

const SIDE = 28;
const EPS_MAX = 0.5;
const ROUNDING = 1e-9; // a score this close to 0 lies on the boundary

const find = (id) => document.getElementById(id);
const sum = (values) => values.reduce((total, value) => total + value, 0);
const data = JSON.parse(find("data").textContent);
for (const model of data.models) model.w = Float64Array.from(model.w);
for (const image of data.images) {
  image.x = Float64Array.from(atob(image.pixels), (byte) => byte.charCodeAt(0) / 255);
}

// Mathematics.

function score(model, x) {
  return sum(x.map((pixel, j) => model.w[j] * pixel)) + model.b;
}

// How far each pixel can move against the margin before it meets the side of the box; where
// w_j = 0 it has no reason to.
function room(model, x, y) {
  return x.map((pixel, j) => (y * model.w[j] > 0 ? pixel : 1 - pixel));
}

// delta = -y sign(w) eps, or -y sign(w) min(room, eps) in the box.
function worst(model, x, y, eps, box) {
  const moves = box ? room(model, x, y).map((most) => Math.min(most, eps)) : x.map(() => eps);
  return moves.map((move, j) => -y * Math.sign(model.w[j]) * move);
}

// Smallest eps that takes the whole margin: margin / ||w||_1, or in the box the eps with
// sum_j |w_j| min(room_j, eps) = margin. That sum bends where a pixel has no room left; walk from
// bend to bend, the slope being the |w_j| of the pixels still free, to the piece that reaches it.
function radius(model, x, y, box) {
  const size = model.w.map(Math.abs);
  let margin = y * score(model, x);
  let slope = sum(size);
  if (margin <= 0) return 0;
  if (!box) return margin / slope;
  const bends = room(model, x, y);
  let eps = 0;
  for (const j of Array.from(bends.keys()).sort((i, j) => bends[i] - bends[j])) {
    const drop = (bends[j] - eps) * slope;
    if (drop >= margin) return eps + margin / slope;
    margin -= drop;
    slope -= size[j];
    eps = bends[j];
  }
  return Infinity;
}

// State: what is chosen. `x` and `y` are the image's own, or those of the drawing.

const state = { model: data.models[0], eps: 0.1, box: false, drawing: false };
const pen = { row: 14, column: 14 };
choose(data.images[data.images.findLastIndex((image) => image.y < 0)] ?? data.images[0]);

function choose(image) {
  Object.assign(state, { image, x: image.x, y: image.y, drawing: false });
}

function clear() {
  Object.assign(state, { x: new Float64Array(SIDE * SIDE), drawing: true });
}

const digit = (y) => data.digits[y > 0 ? 1 : 0];

// Showing it.

function text(value, places = 4) {
  if (value === Infinity) return "none";
  return value.toFixed(places).replace(/^-(0\.0*)$/, "$1").replace("-", "\u2212");
}

function put(id, value, shown = text(value)) {
  find(id).dataset.value = value;
  if (find(id).textContent !== shown) find(id).textContent = shown;
}

function show() {
  const { model, x, y, eps, box } = state;
  const delta = worst(model, x, y, eps, box);
  const perturbed = x.map((pixel, j) => pixel + delta[j]);
  const before = score(model, x);
  const after = score(model, perturbed);
  const least = radius(model, x, y, box);
  put("clean-score", before);
  put("clean-margin", y * before);
  put("score", after);
  put("margin", y * after);
  put("radius", least);
  put("eps-value", eps);
  put("verdict", ...verdict(before, after, least));
  showControls(least);
  showAxis(before, after);
  paint(find("original"), x, 0, 1);
  paint(find("perturbed"), perturbed, box ? 0 : -eps, box ? 1 : 1 + eps);
  paintSigns(find("delta"), delta);
}

function verdict(before, after, least) {
  const { y, box } = state;
  const other = digit(-y);
  const from = `eps = ${text(least)}`;
  if (y * before <= 0) return ["wrong", `\u2717 Wrong without any attack: this ${digit(y)} reads as ${other}.`];
  if (Math.abs(after) < ROUNDING) return ["boundary", `\u2717 On the boundary, at ${from}, which counts as a mistake.`];
  if (y * after < 0) return ["fooled", `\u2717 Fooled: this ${digit(y)} reads as ${other}, as it does from ${from} on.`];
  const reason = least < Infinity
    ? `It takes ${from} to make it read as ${other}.`
    : `Nothing${box ? " in the pixel box" : ""} makes it read as ${other}.`;
  return ["right", `\u2713 Right: this ${digit(y)} reads as ${digit(y)}. ${reason}`];
}

function showControls(least) {
  const { model, y, eps, box, image, drawing } = state;
  const share = Math.min(least, EPS_MAX) / EPS_MAX;
  const place = `var(--thumb) / 2 + (100% - var(--thumb)) * ${share}`;
  find("model").value = model.name;
  find("eps").value = eps;
  find(box ? "boxed" : "free").checked = true;
  find("to-radius").disabled = !(least <= EPS_MAX);
  find("mark").hidden = least > EPS_MAX;
  find("mark").style.left = `calc(${place})`;
  find("mark-label").style.left = `clamp(0px, ${place} - 4em, 100% - 8em)`;
  find("mark-label").textContent = least === Infinity ? "no radius" : `radius ${text(least)}${share < 1 ? "" : " \u2192"}`;
  find("range").textContent = `white ${text(box ? 0 : -eps, 2)}, black ${text(box ? 1 : 1 + eps, 2)}`;
  find("draw").checked = drawing;
  find("label").disabled = !drawing;
  find("label").value = y;
  find("source-of-x").textContent = drawing
    ? "Your drawing; with the keyboard, arrows move the pen and space inks."
    : `Test image ${image.index}, a ${digit(y)}`;
  document.querySelector(".images").classList.toggle("drawing", drawing);
  find("original").tabIndex = drawing ? 0 : -1;
  find("original").setAttribute("aria-label", drawing ? "Your drawing" : `The test image, a ${digit(y)}`);
  find("perturbed").setAttribute("aria-label", "The perturbed image");
  find("delta").setAttribute("aria-label", "The perturbation, a plus or minus for every pixel that moves");
  find("link").hidden = drawing;
  find("link").href = `#${new URLSearchParams({ digit: image.index, model: model.name, eps, box: Number(box) })}`;
  for (const { input, cross, image: each } of thumbs) {
    input.checked = !drawing && each === image;
    cross.hidden = each.y * score(model, each.x) > 0;
    input.setAttribute("aria-label", `Image ${each.index}, a ${digit(each.y)}${cross.hidden ? "" : ", mistaken"}`);
  }
}

// The axis is symmetric about the boundary and reaches as far as the strongest attack.
function showAxis(before, after) {
  const { model, x, y, box } = state;
  const far = Math.abs(before + sum(worst(model, x, y, EPS_MAX, box).map((d, j) => d * model.w[j])));
  const reach = Math.max(Math.abs(before), far) || 1;
  const unit = 10 ** Math.floor(Math.log10(reach));
  const limit = unit * [1, 2, 4, 6, 8, 10].find((step) => step * unit >= reach);
  const percent = (value) => 50 + (50 * value) / limit;
  const axis = find("axis");
  const part = (name) => axis.querySelector(name);
  part(".left").textContent = `\u2190 reads as ${data.digits[0]}`;
  part(".right").textContent = `reads as ${data.digits[1]} \u2192`;
  part(".clean").style.left = `${percent(before)}%`;
  part(".attacked").style.left = `${percent(after)}%`;
  part(".path").style.left = `${percent(Math.min(before, after))}%`;
  part(".path").style.width = `${percent(Math.abs(before - after)) - 50}%`;
  axis.querySelectorAll("i").forEach((tick, k) => {
    tick.style.left = `${25 * k}%`;
    tick.textContent = String(Number((((k - 2) * limit) / 2).toPrecision(3))).replace("-", "\u2212");
  });
  axis.setAttribute("aria-label", `Score ${text(before)}, ${text(after)} when perturbed; the boundary is at 0`);
}

// Pixels in grey, white at `low` and black at `high`.
function paint(canvas, x, low, high) {
  const pixels = new ImageData(SIDE, SIDE);
  x.forEach((value, j) => {
    const grey = (255 * (high - value)) / (high - low);
    pixels.data.set([grey, grey, grey, 255], 4 * j);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

// One cell a pixel, more saturated the farther it moves, with its sign.
function paintSigns(canvas, delta) {
  const context = canvas.getContext("2d");
  const cell = canvas.width / SIDE;
  context.clearRect(0, 0, canvas.width, canvas.height);
  delta.forEach((value, j) => {
    const [left, top] = [cell * (j % SIDE), cell * Math.floor(j / SIDE)];
    if (value === 0) return;
    context.globalAlpha = Math.min(1, Math.abs(value) / EPS_MAX);
    context.fillStyle = value > 0 ? "#e69f00" : "#5aa5d8";
    context.fillRect(left, top, cell, cell);
    context.globalAlpha = 0.75;
    context.fillStyle = value > 0 ? "#5c3d00" : "#04365c";
    context.fillRect(left + 4, top + 7, 8, 2);
    if (value > 0) context.fillRect(left + 7, top + 4, 2, 8);
  });
}

// Controls.

const thumbs = data.images.map((image) => {
  const [label, input, canvas, cross] = ["label", "input", "canvas", "span"].map((tag) => document.createElement(tag));
  Object.assign(input, { type: "radio", name: "digit" });
  Object.assign(canvas, { width: SIDE, height: SIDE });
  cross.textContent = "\u00d7";
  paint(canvas, image.x, 0, 1);
  on(input, "change", () => choose(image));
  label.append(input, canvas, cross);
  find("thumbs").append(label);
  return { input, cross, image };
});
for (const { name } of data.models) find("model").append(new Option(name));
for (const y of [-1, 1]) find("label").append(new Option(digit(y), y));

function on(target, event, change) {
  target.addEventListener(event, (occurred) => {
    change(occurred);
    show();
  });
}

on(find("model"), "change", ({ target }) => (state.model = data.models[target.selectedIndex]));
on(find("free"), "change", () => (state.box = false));
on(find("boxed"), "change", () => (state.box = true));
on(find("eps"), "input", ({ target }) => (state.eps = Number(target.value)));
on(find("to-radius"), "click", () => (state.eps = radius(state.model, state.x, state.y, state.box)));
on(find("draw"), "change", ({ target }) => (target.checked ? (state.drawing = true) : choose(state.image)));
on(find("clear"), "click", clear);
on(find("label"), "change", ({ target }) => (state.y = Number(target.value)));

// A line of a round soft pen from where it was, in steps of at most half a pixel.
function ink(row, column) {
  const [rows, columns] = [row - pen.row, column - pen.column];
  const steps = Math.ceil(2 * Math.hypot(rows, columns)) || 1;
  for (let k = 1; k <= steps; k++) {
    const [r, c] = [pen.row + (rows * k) / steps, pen.column + (columns * k) / steps];
    state.x = state.x.map((pixel, j) => {
      const distance = Math.hypot(Math.floor(j / SIDE) - r, (j % SIDE) - c);
      return Math.max(pixel, Math.round(255 * Math.min(1, Math.max(0, 2 - distance))) / 255);
    });
  }
  Object.assign(pen, { row, column });
}

function stroke(event, begins) {
  if (!state.drawing || !event.buttons) return;
  const paper = find("original").getBoundingClientRect();
  const column = ((event.clientX - paper.left) / paper.width) * SIDE - 0.5;
  const row = ((event.clientY - paper.top) / paper.height) * SIDE - 0.5;
  if (begins) Object.assign(pen, { row, column });
  ink(row, column);
}

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], " ": [0, 0] };

function key(event) {
  const move = state.drawing && MOVES[event.key];
  if (!move) return;
  event.preventDefault();
  const inside = (place) => Math.min(SIDE - 1, Math.max(0, Math.round(place)));
  Object.assign(pen, { row: inside(pen.row + move[0]), column: inside(pen.column + move[1]) });
  if (event.key === " ") ink(pen.row, pen.column);
  Object.assign(find("pen").style, { top: `${(100 * pen.row) / SIDE}%`, left: `${(100 * pen.column) / SIDE}%` });
  find("pen").hidden = false;
}

on(find("original"), "pointerdown", (event) => stroke(event, true));
on(find("original"), "pointermove", (event) => stroke(event, false));
on(find("original"), "keydown", key);
on(find("original"), "blur", () => (find("pen").hidden = true));

// A state can be asked for in the address: ?digit=12&model=regular&eps=0.15&box=1, or after #. The
// digit is a row of X_test, or "drawn" for a blank sheet, whose label=1 says what it is to be.

function preset(address) {
  const asked = new URLSearchParams(address.slice(1));
  const image = data.images.find(({ index }) => String(index) === asked.get("digit"));
  const eps = Number(asked.get("eps") ?? NaN);
  if (image) choose(image);
  if (asked.get("digit") === "drawn") clear();
  if (state.drawing && asked.has("label")) state.y = asked.get("label") === String(digit(1)) ? 1 : -1;
  state.model = data.models.find(({ name }) => name === asked.get("model")) ?? state.model;
  if (eps >= 0 && eps <= EPS_MAX) state.eps = eps;
  if (asked.has("box")) state.box = asked.get("box") === "1";
}

on(window, "hashchange", () => preset(location.hash));
preset(location.search);
preset(location.hash);
show();
