// Two pixels instead of 784: points, boundary, losses and weights, and training by steps.

const BATCH = 4;
const [LOW, HIGH] = [-0.04, 1.04]; // of the plane, as drawn
const ARROW = 0.05; // length of w as drawn, times ||w||
const FAR = 8; // of the plane of weights
const N = data.plane.points.length;
// The classes in turn, so that every batch has both: 0, 7, 1, 8, ... for seven points of each.
const order = Array.from({ length: N }, (_, k) => Math.floor(k / 2) + (k % 2) * (N / 2));

const plane = {};
function reset() {
  const { points, y, w, b, eps } = data.plane;
  Object.assign(plane, { points: points.map((each) => [...each]), y, w: [...w], b, eps, at: 0, trail: [[...w]] });
}
reset();
let version = 0;

const norm1 = (w) => Math.abs(w[0]) + Math.abs(w[1]);
const marginOf = (k, w, b) => plane.y[k] * (plane.points[k][0] * w[0] + plane.points[k][1] * w[1] + b);

// numlin.objective.subgradient on the points `rows`: the mean robust hinge and its slope.
function slope(rows, w, b, eps) {
  let [loss, g1, g2, gb, active] = [0, 0, 0, 0, 0];
  for (const k of rows) {
    const robust = marginOf(k, w, b) - eps * norm1(w);
    loss += Math.max(0, 1 - robust) / rows.length;
    if (robust >= 1) continue;
    const c = -1 / rows.length;
    active -= c;
    g1 += c * plane.y[k] * plane.points[k][0];
    g2 += c * plane.y[k] * plane.points[k][1];
    gb += c * plane.y[k];
  }
  const pull = active * eps;
  return { loss, w: [g1 + pull * Math.sign(w[0]), g2 + pull * Math.sign(w[1])], b: gb };
}

// numlin.kernels.reference.sgd_epoch: one step for each batch, against the mean of its slopes.
function train(batches) {
  const rate = Number(find("plane-rate").value);
  for (let k = 0; k < batches; k++) {
    const step = slope(order.slice(plane.at, plane.at + BATCH), plane.w, plane.b, plane.eps);
    plane.w = plane.w.map((each, j) => each - rate * step.w[j]);
    plane.b -= rate * step.b;
    plane.at = plane.at + BATCH < N ? plane.at + BATCH : 0;
    plane.trail.push([...plane.w]);
  }
}

// The three drawings. What never changes in number is made once and moved.

const across = (value) => (300 * (value - LOW)) / (HIGH - LOW);
const up = (value) => 300 - across(value);
const lossX = (margin) => 34 + (258 * (margin + 2)) / 6;
const lossY = (loss) => 262 - 80 * loss;
const weightX = (w) => 150 + (150 * w) / FAR;
const weightY = (w) => 150 - (150 * w) / FAR;

const set = (node, attributes) => {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
};
const [points, losses, weights] = ["points", "loss", "weights"].map((name) => find(`plane-${name}`));
const side = (k) => `digit-${plane.y[k] > 0 ? 1 : 0}`;
const each = (make) => Array.from({ length: N }, (_, k) => make(k));

for (const [panel, name] of [[points, "w-tip"], [weights, "w-tip"], [weights, "slope"], [weights, "robust"]]) {
  const marker = svg(svg(panel, "defs"), "marker", { id: `${panel.id}-${name}`, viewBox: "0 0 10 10", refX: 8, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto" });
  svg(marker, "path", { d: "M0 0L10 5L0 10z", class: name });
}

const boxes = each((k) => svg(points, "rect", { class: `reach ${side(k)}` }));
const marginLines = [-1, 1].map(() => svg(points, "line", { class: "dashed" }));
const boundary = svg(points, "line", { class: "boundary" });
const corners = each((k) => svg(points, "g", { class: side(k) }));
corners.forEach((corner) => {
  svg(corner, "line");
  svg(corner, "circle", { r: 3 });
});
const shaft = svg(points, "line", { class: "w", "marker-end": "url(#plane-points-w-tip)" });
const digits = each((k) => handle(points, `${side(k)} point`, (node) => svg(node, "text", { "text-anchor": "middle", y: 6 }, String(digit(plane.y[k])))));
const grip = handle(points, "grip", (node) => svg(node, "circle", { r: 7 }));
const tip = handle(points, "tip", (node) => svg(node, "circle", { r: 9 }));

svg(losses, "rect", { class: "paying", x: lossX(-2), width: lossX(1) - lossX(-2), y: 0, height: lossY(0) });
for (let k = -2; k <= 4; k++) svg(losses, "text", { x: lossX(k), y: 282, "text-anchor": "middle" }, String(k).replace("-", "\u2212"));
for (let k = 0; k <= 3; k++) svg(losses, "text", { x: 26, y: lossY(k) + 5, "text-anchor": "end" }, String(k));
svg(losses, "text", { x: 163, y: 298, "text-anchor": "middle" }, "margin");
const curves = ["hinge", "hinge robust"].map((name) => svg(losses, "polyline", { class: name }));
const paid = each((k) => svg(losses, "circle", { r: 4, class: side(k) }));
const robustly = each((k) => svg(losses, "circle", { r: 4, class: `${side(k)} robust` }));

const shade = find("plane-shade").getContext("2d");
const CELLS = find("plane-shade").width;
svg(weights, "path", { d: "M150 0V300M0 150H300", class: "cross" });
for (const k of [-6, -3, 3, 6]) {
  svg(weights, "text", { x: weightX(k), y: 164, "text-anchor": "middle" }, String(k).replace("-", "\u2212"));
  svg(weights, "text", { x: 146, y: weightY(k) + 5, "text-anchor": "end" }, String(k).replace("-", "\u2212"));
}
const trail = svg(weights, "polyline", { class: "trail" });
const arrows = ["slope", "robust"].map((name) => svg(weights, "line", { class: `arrow ${name}`, "marker-end": `url(#plane-weights-${name})` }));
const w = handle(weights, "tip", (node) => svg(node, "circle", { r: 7 }));

function handle(panel, name, draw) {
  const node = svg(panel, "g", { class: `handle ${name}`, tabindex: 0, role: "slider", "aria-valuenow": 0 });
  svg(node, "circle", { class: "target", r: 14 });
  draw(node);
  return node;
}

function moveHandle(node, x, y, label, [first, second]) {
  const said = second === undefined ? text(first, 2) : `${text(first, 2)}, ${text(second, 2)}`;
  set(node, { transform: `translate(${x.toFixed(2)} ${y.toFixed(2)})`, "aria-label": label, "aria-valuenow": first.toFixed(2), "aria-valuetext": said });
}

// The point of the boundary nearest to the middle: there w is rooted.
function root() {
  const square = plane.w[0] ** 2 + plane.w[1] ** 2 || 1;
  const excess = (0.5 * plane.w[0] + 0.5 * plane.w[1] + plane.b) / square;
  return [0.5 - excess * plane.w[0], 0.5 - excess * plane.w[1]].map((each) => Math.min(0.95, Math.max(0.05, each)));
}

function level(node, value) {
  const length = Math.hypot(...plane.w);
  node.style.display = length ? "" : "none";
  if (!length) return;
  // w.p + b = value: a point on it, and 2 to either side.
  const [x, y] = plane.w.map((each) => (each * (value - plane.b)) / length ** 2);
  const [dx, dy] = [(-2 * plane.w[1]) / length, (2 * plane.w[0]) / length];
  set(node, { x1: across(x - dx), y1: up(y - dy), x2: across(x + dx), y2: up(y + dy) });
}

function drawPoints(shift) {
  const { w, b, eps, y } = plane;
  level(boundary, 0);
  marginLines.forEach((node, k) => level(node, 2 * k - 1));
  const reach = across(eps) - across(0);
  plane.points.forEach(([p, q], k) => {
    const lost = marginOf(k, w, b) - shift <= 0;
    set(boxes[k], { x: across(p) - reach, y: up(q) - reach, width: 2 * reach, height: 2 * reach });
    boxes[k].classList.toggle("lost", lost);
    const corner = [across(p - y[k] * eps * Math.sign(w[0])), up(q - y[k] * eps * Math.sign(w[1]))];
    set(corners[k].firstChild, { x1: across(p), y1: up(q), x2: corner[0], y2: corner[1] });
    set(corners[k].lastChild, { cx: corner[0], cy: corner[1] });
    corners[k].style.display = eps ? "" : "none";
    moveHandle(digits[k], across(p), up(q), `Point ${k + 1}, a ${digit(y[k])}`, [p, q]);
  });
  const [x0, y0] = root();
  const [x1, y1] = [across(x0 + ARROW * w[0]), up(y0 + ARROW * w[1])];
  set(shaft, { x1: across(x0), y1: up(y0), x2: x1, y2: y1 });
  moveHandle(grip, across(x0), up(y0), "The boundary: moves b", [b]);
  moveHandle(tip, x1, y1, "The tip of w", w);
}

function drawLosses(shift) {
  const hinge = (margin) => Math.max(0, 1 - margin);
  [0, shift].forEach((by, which) => {
    const kinks = [-2, 1 + by, Math.max(4, 1 + by)];
    curves[which].setAttribute("points", kinks.map((each) => `${lossX(each)},${lossY(hinge(each - by))}`).join(" "));
    [paid, robustly][which].forEach((node, k) => {
      const margin = marginOf(k, plane.w, plane.b);
      set(node, { cx: lossX(margin), cy: lossY(hinge(margin - by)) });
      node.style.display = which && !shift ? "none" : "";
    });
  });
}

function drawWeights(plain, robust) {
  const { w: at, b, eps } = plane;
  const cells = new ImageData(CELLS, CELLS);
  for (let k = 0; k < CELLS * CELLS; k++) {
    const spot = [2 * (((k % CELLS) + 0.5) / CELLS) - 1, 1 - 2 * ((Math.floor(k / CELLS) + 0.5) / CELLS)];
    const there = spot.map((each) => FAR * each);
    const shift = eps * norm1(there);
    let loss = 0;
    for (let i = 0; i < N; i++) loss += Math.max(0, 1 + shift - marginOf(i, there, b)) / N;
    cells.data.set([178, 74, 20, Math.min(140, 32 * loss)], 4 * k);
  }
  shade.putImageData(cells, 0, 0);
  trail.setAttribute("points", plane.trail.slice(-400).map(([p, q]) => `${weightX(p).toFixed(1)},${weightY(q).toFixed(1)}`).join(" "));
  [plain, robust].forEach((slope, k) => {
    const end = at.map((each, j) => each - 8 * slope.w[j]);
    set(arrows[k], { x1: weightX(at[0]), y1: weightY(at[1]), x2: weightX(end[0]), y2: weightY(end[1]) });
    arrows[k].style.display = Math.hypot(...slope.w) > 1e-9 && (!k || eps) ? "" : "none";
  });
  moveHandle(w, weightX(at[0]), weightY(at[1]), "The weights w", at);
}

part(
  () => [version, plane.eps],
  () => {
    const { w, b, eps } = plane;
    const shift = eps * norm1(w);
    const [plain, robust] = [slope(order, w, b, 0), slope(order, w, b, eps)];
    drawPoints(shift);
    drawLosses(shift);
    drawWeights(plain, robust);
    find("plane-eps").value = eps;
    put("plane-eps-value", eps, text(eps, 3));
    for (const [name, value] of [["w1", w[0]], ["w2", w[1]], ["b", b]]) put(`plane-${name}`, value);
    for (const [name, { w: [first, second], b: third }] of [["grad", robust], ["hinge", plain]]) {
      [first, second, third].forEach((value, k) => put(`plane-${name}${[1, 2, "b"][k]}`, value));
    }
    const [wrong, lost] = [0, shift].map((drop) => order.filter((k) => marginOf(k, w, b) - drop <= 0).length);
    put("plane-verdict", robust.loss, `Loss: hinge ${text(plain.loss)}, robust ${text(robust.loss)}. Of ${N} points ${wrong} are wrong, ${lost} are lost to the adversary, who takes ${text(shift)} off every margin.`);
  },
);

// Dragging and keys.

function spot(event, panel) {
  const box = panel.getBoundingClientRect();
  return [(300 * (event.clientX - box.left)) / box.width, (300 * (event.clientY - box.top)) / box.height];
}
const inPlane = ([x, y]) => [x, 300 - y].map((each) => Math.min(1, Math.max(0, LOW + (each * (HIGH - LOW)) / 300)));

function setW(values) {
  const anchor = root();
  plane.w = values.map((each) => Math.min(FAR, Math.max(-FAR, each)));
  plane.b = -(plane.w[0] * anchor[0] + plane.w[1] * anchor[1]);
  plane.trail = [[...plane.w]];
}
function setBoundary([x, y]) {
  plane.b = -(plane.w[0] * x + plane.w[1] * y);
}

// Each handle with what a pointer at a spot of its panel does, and what a step of the arrows does.
const handles = [
  ...digits.map((node, k) => [node, points, (at) => (plane.points[k] = inPlane(at)),
    (dx, dy) => (plane.points[k] = [plane.points[k][0] + dx / 50, plane.points[k][1] + dy / 50].map((each) => Math.min(1, Math.max(0, each))))]),
  [grip, points, (at) => setBoundary(inPlane(at)), (dx, dy) => (plane.b += (dx + dy) / 10)],
  [tip, points, (at, from) => setW([at[0] - across(from[0]), up(from[1]) - at[1]].map((each) => each / (across(ARROW) - across(0)))),
    (dx, dy) => setW([plane.w[0] + dx / 4, plane.w[1] + dy / 4])],
  [w, weights, ([x, y]) => moveWeights([((x - 150) * FAR) / 150, ((150 - y) * FAR) / 150]),
    (dx, dy) => moveWeights([plane.w[0] + dx / 4, plane.w[1] + dy / 4])],
];
function moveWeights(values) {
  plane.w = values.map((each) => Math.min(FAR, Math.max(-FAR, each)));
  plane.trail = [[...plane.w]];
}

for (const [node, panel, drag, step] of handles) {
  let [pointer, from] = [null, null];
  node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false }); // no scrolling
  on(node, "pointerdown", (event) => {
    if (event.button !== 0) return;
    node.setPointerCapture(event.pointerId);
    [pointer, from] = [event.pointerId, root()];
    event.preventDefault();
    node.focus();
  });
  on(node, "pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    drag(spot(event, panel), from);
    version++;
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) on(node, end, () => (pointer = null));
  on(node, "keydown", (event) => {
    const steps = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!steps) return;
    event.preventDefault();
    step(...steps);
    version++;
  });
}

on(find("plane-eps"), "input", ({ target }) => (plane.eps = Number(target.value)));
const perEpoch = Math.ceil(N / BATCH);
for (const [name, act] of Object.entries({
  batch: () => train(1),
  epoch: () => train(perEpoch - plane.at / BATCH),
  epochs: () => train(50 * perEpoch - plane.at / BATCH),
  zero: () => Object.assign(plane, { w: [0, 0], b: 0, at: 0, trail: [[0, 0]] }),
  reset,
})) {
  on(find(`plane-${name}`), "click", () => {
    act();
    version++;
  });
}

words.plane = [
  (asked) => {
    const [w1, w2, b, eps] = asked.split(" ").map(Number);
    if (![w1, w2, b, eps].every(Number.isFinite)) return;
    Object.assign(plane, { w: [w1, w2], b, eps: Math.min(0.4, Math.max(0, eps)), at: 0, trail: [[w1, w2]] });
    version++;
  },
  () => [...plane.w, plane.b, plane.eps].join(" "),
];
