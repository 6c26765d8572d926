// One image under attack, its pixels one by one, and a sheet to draw on.

const current = () => (state.drawing ? sheet.x : image(state.i));
// An unlabelled drawing is held for what the model reads.
const label = () => (state.drawing ? sheet.y || (score(state.model, sheet.x) > 0 ? 1 : -1) : data.y[state.i]);
const chosen = () => [state.model.name, state.drawing ? `${sheet.y} ${sheet.version}` : state.i];

function choose(i) {
  Object.assign(state, { i, drawing: false });
}

const attacked = {}; // the image x, its label y and score, the move delta, how far scores can get
part(
  () => [...chosen(), state.ball],
  () => {
    const [x, y] = [current(), label()];
    const before = score(state.model, x);
    const push = worst(state.model, x, y, limit(), norm(), boxed());
    const far = Math.abs(before + sum(push.map((d, j) => d * state.model.w[j])));
    const least = radius(state.model, y * before, x, y, norm(), boxed());
    Object.assign(attacked, { x, y, before, least, far: Math.max(Math.abs(before), far) || 1 });
    put("clean-score", before);
    put("clean-margin", y * before);
    put("radius", least);
    showRadius(least);
    paint(find("original"), x);
  },
);

part(
  () => [...chosen(), state.ball, state.eps],
  () => {
    const { model, eps } = state;
    const { x, y, before, least } = attacked;
    const delta = (attacked.delta = worst(model, x, y, eps, norm(), boxed()));
    const perturbed = x.map((pixel, j) => pixel + delta[j]);
    const after = score(model, perturbed);
    put("score", after);
    put("margin", y * after);
    put("verdict", ...verdict(before, after, least));
    showAxis(before, after);
    const [low, high] = [perturbed.reduce((a, b) => Math.min(a, b), 0), perturbed.reduce((a, b) => Math.max(a, b), 1)];
    paint(find("perturbed"), perturbed, low, high);
    const full = Math.max(strongest(delta), norm() === "linf" ? limit() : 0.1);
    paintSigns(find("delta"), delta, full, MOVE_COLOURS);
    say(find("range"), `white ${text(low, 2)}, black ${text(high, 2)}`);
    say(find("full"), `+ adds ink, \u2212 takes it; full colour at ${text(full, 2)}`);
  },
);

function verdict(before, after, least) {
  const y = label();
  const [own, other] = [digit(y), digit(-y)];
  const from = `eps = ${text(least)}`;
  const reason = least < Infinity
    ? `It takes ${from} to make it read as ${other}.`
    : `Nothing${boxed() ? " in the pixel box" : ""} makes it read as ${other}.`;
  if (state.drawing && !sheet.y) {
    if (!strongest(sheet.x)) return ["blank", `Draw a ${data.digits[0]} or a ${data.digits[1]} on x.`];
    const reads = y * after > 0 ? reason : `Under this attack it reads as ${other}.`;
    return ["unlabelled", `Your drawing reads as ${own}. ${reads} What is it meant as? Say so below.`];
  }
  if (y * before <= 0) return ["wrong", `\u2717 Wrong without any attack: this ${own} reads as ${other}.`];
  if (Math.abs(after) < ROUNDING) return ["boundary", `\u2717 On the boundary, at ${from}, which counts as a mistake.`];
  if (y * after < 0) return ["fooled", `\u2717 Fooled: this ${own} reads as ${other}, as it does from ${from} on.`];
  return ["right", `\u2713 Right: this ${own} reads as ${own}. ${reason}`];
}

// The radius: a mark on the sliders of eps, and a button that sets it.
function showRadius(least) {
  const share = least / limit();
  for (const mark of all(".mark")) {
    mark.hidden = !(share <= 1);
    mark.style.left = `calc(var(--left) + var(--thumb) / 2 + (100% - var(--left) - var(--thumb)) * ${Math.min(share, 1)})`;
  }
  for (const button of all('[data-does="to-radius"]')) {
    button.disabled = !(share <= 1);
    button.textContent = least === Infinity ? "No radius" : `Radius ${text(least)}`;
    button.setAttribute("aria-label", least === Infinity ? "No radius: no eps fools the model on this image" : `Radius ${text(least)}: set eps to it`);
  }
}

// The axis is symmetric about the boundary and reaches as far as the strongest attack.
function showAxis(before, after) {
  const reach = Math.max(attacked.far, Math.abs(after));
  const unit = 10 ** Math.floor(Math.log10(reach));
  const edge = unit * [1, 2, 4, 6, 8, 10].find((step) => step * unit >= reach);
  const place = (value) => 50 + (50 * value) / edge;
  const axis = find("axis");
  const part = (name) => axis.querySelector(name);
  say(part(".left"), `\u2190 reads as ${data.digits[0]}`);
  say(part(".right"), `reads as ${data.digits[1]} \u2192`);
  part(".clean").style.left = `${place(before)}%`;
  part(".attacked").style.left = `${place(after)}%`;
  part(".path").style.left = `${place(Math.min(before, after))}%`;
  part(".path").style.width = `${place(Math.abs(before - after)) - 50}%`;
  axis.querySelectorAll("i").forEach((tick, k) => {
    tick.style.left = `${25 * k}%`;
    say(tick, String(Number((((k - 2) * edge) / 2).toPrecision(3))).replace("-", "\u2212"));
  });
  axis.setAttribute("aria-label", `Score ${text(before)}, ${text(after)} when perturbed; the boundary is at 0`);
}

part(
  () => [state.model.name],
  () => {
    paintSigns(find("weights"), state.model.w, strongest(state.model.w) / 2, DIGIT_COLOURS);
    find("votes").textContent = `ink at + votes for ${data.digits[1]}, at \u2212 for ${data.digits[0]}`;
    find("weights").setAttribute("aria-label", `The weights of ${state.model.name}`);
  },
);

part(chosen, () => {
  const { drawing, i, model } = state;
  find("draw").checked = drawing;
  find("label").disabled = find("eraser").disabled = !drawing;
  find("label").value = drawing ? sheet.y : label();
  find("undo").disabled = !drawing || !earlier.length;
  find("source-of-x").textContent = drawing
    ? "Your drawing. With the keyboard: choose a pixel with the arrows, space inks it."
    : `Test image ${i}, a ${digit(label())}.`;
  find("panes").classList.toggle("drawing", drawing);
  find("original").setAttribute("aria-label", drawing ? "Your drawing" : `The test image, a ${digit(label())}`);
  find("perturbed").setAttribute("aria-label", "The perturbed image");
  find("delta").setAttribute("aria-label", "The perturbation, a plus or minus for every pixel that moves");
  for (const { input, cross, i: each } of thumbs) {
    input.checked = !drawing && each === i;
    cross.hidden = margins(model)[each] > 0;
    input.setAttribute("aria-label", `Image ${each}, a ${digit(data.y[each])}${cross.hidden ? "" : ", mistaken"}`);
  }
});

const thumbs = data.thumbs.map((i) => {
  const holder = element(find("thumbs"), "label");
  const input = element(holder, "input", { type: "radio", name: "digit" });
  paint(element(holder, "canvas", { width: WIDE, height: HIGH }), image(i));
  on(input, "change", () => choose(i));
  return { input, cross: element(holder, "span", {}, "\u00d7"), i };
});

for (const button of all('[data-does="to-radius"]')) {
  on(button, "click", () => (state.eps = attacked.least));
}

// One pixel: under the pointer, or where the arrows have led.

state.pixel = (HIGH >> 1) * WIDE + (WIDE >> 1);
const cursors = Array.from(find("panes").querySelectorAll(".paper"), (paper) => element(paper, "span", { class: "cursor" }));

const meanPixel = remembered(() =>
  [-1, 1].map((y) => {
    const total = new Float64Array(N_PIXELS);
    data.y.forEach((each, i) => each === y && total.forEach((_, j) => (total[j] += GREY[pixels[i * N_PIXELS + j]])));
    return total.map((each) => each / data.y.filter((each) => each === y).length);
  }),
);

part(
  () => [...chosen(), state.ball, state.eps, state.pixel],
  () => {
    const { pixel: j, model } = state;
    const [row, column] = [Math.floor(j / WIDE), j % WIDE];
    const [w, x, delta] = [model.w[j], attacked.x[j], attacked.delta[j]];
    put("pixel-x", x);
    put("pixel-share", w * x);
    put("pixel-delta", delta);
    put("pixel-push", w * delta);
    ["first", "second"].forEach((name, k) => {
      put(`${name}-x`, meanPixel(data)[k][j]);
      put(`${name}-share`, w * meanPixel(data)[k][j]);
    });
    const vote = w ? `ink here votes for ${digit(w)}` : "it has no say";
    put("pixel", w, `Row ${row}, column ${column}: weight ${text(w)}, ${vote}.`);
    for (const cursor of cursors) Object.assign(cursor.style, { top: `${(100 * row) / HIGH}%`, left: `${(100 * column) / WIDE}%` });
  },
);

function place(event, paper) {
  const box = paper.getBoundingClientRect();
  return [((event.clientY - box.top) / box.height) * HIGH - 0.5, ((event.clientX - box.left) / box.width) * WIDE - 0.5];
}

const inside = (value, k) => Math.min([HIGH, WIDE][k] - 1, Math.max(0, Math.round(value)));

for (const paper of all("#panes canvas")) {
  for (const event of ["pointermove", "pointerdown"]) {
    on(paper, event, (occurred) => {
      const [row, column] = place(occurred, paper).map(inside);
      state.pixel = row * WIDE + column;
    });
  }
}

// The pen: a stroke begins on the paper, is followed wherever it goes, and ends where it is lifted.

const stroke = { pointer: null, from: null };
const earlier = []; // sheets, for Undo

function begin() {
  earlier.push(sheet.x);
  sheet.version++;
}

// A line of a round soft pen from [row, column] to [row, column], in steps of at most half a pixel.
function ink(from, to) {
  const [rows, columns] = [to[0] - from[0], to[1] - from[1]];
  const steps = Math.ceil(2 * Math.hypot(rows, columns)) || 1;
  const touched = new Float64Array(N_PIXELS);
  for (let k = 0; k <= steps; k++) {
    const [r, c] = [from[0] + (rows * k) / steps, from[1] + (columns * k) / steps];
    for (let j = 0; j < N_PIXELS; j++) {
      const distance = Math.hypot(Math.floor(j / WIDE) - r, (j % WIDE) - c);
      touched[j] = Math.max(touched[j], Math.min(1, Math.max(0, 2 - distance)));
    }
  }
  const erases = find("eraser").checked;
  sheet.x = sheet.x.map((pixel, j) => (erases ? Math.min(pixel, 1 - touched[j]) : Math.max(pixel, touched[j])));
  sheet.x = sheet.x.map((pixel) => Math.round(255 * pixel) / 255);
  sheet.version++;
}

on(find("original"), "pointerdown", (event) => {
  if (!state.drawing || stroke.pointer !== null || event.button !== 0) return;
  find("original").setPointerCapture(event.pointerId);
  Object.assign(stroke, { pointer: event.pointerId, from: place(event, find("original")) });
  begin();
  ink(stroke.from, stroke.from);
});
on(find("original"), "pointermove", (event) => {
  if (event.pointerId !== stroke.pointer) return;
  const to = place(event, find("original"));
  ink(stroke.from, to);
  stroke.from = to;
});
for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
  on(find("original"), end, (event) => event.pointerId === stroke.pointer && (stroke.pointer = null));
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
on(find("panes"), "keydown", (event) => {
  const at = [Math.floor(state.pixel / WIDE), state.pixel % WIDE];
  if (ARROWS[event.key]) {
    const [row, column] = ARROWS[event.key].map((step, k) => inside(at[k] + step, k));
    state.pixel = row * WIDE + column;
  } else if (event.key === " " && state.drawing) {
    begin();
    ink(at, at);
  } else return;
  event.preventDefault();
});

on(find("draw"), "change", ({ target }) => (state.drawing = target.checked));
on(find("undo"), "click", () => {
  sheet.x = earlier.pop();
  sheet.version++;
});
on(find("clear"), "click", () => {
  begin();
  Object.assign(sheet, { x: new Float64Array(N_PIXELS), y: 0 });
  state.drawing = true;
});
find("label").append(new Option("\u2026", 0), ...[-1, 1].map((y) => new Option(`a ${digit(y)}`, y)));
on(find("label"), "change", ({ target }) => (sheet.y = Number(target.value)));

words.digit = [
  (asked) => {
    if (asked === "drawn") state.drawing = true;
    else if (/^\d+$/.test(asked) && asked < N_IMAGES) choose(Number(asked));
  },
  () => state.i,
];
words.pixel = [(j) => j >= 0 && j < N_PIXELS && (state.pixel = Math.floor(j)), () => state.pixel];
