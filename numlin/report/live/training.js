// Training, scrubbed: the weights at recorded steps of every trained model.

const runs = data.training.map((run) => {
  const [raw, n] = [new Float32Array(bytes(run.w).buffer), run.steps.length];
  return { ...run, frames: Array.from({ length: n }, (_, k) => raw.subarray(k * N_PIXELS, (k + 1) * N_PIXELS)) };
});
const longest = runs.reduce((most, run) => (run.frames.length > most.frames.length ? run : most));
const frame = (run) => Math.min(state.step, run.frames.length - 1);
state.step = longest.frames.length - 1;
find("step").max = state.step;

const stamps = runs.map((run, k) => {
  const stamp = element(find("stamps"), "figure");
  const canvas = element(stamp, "canvas", { width: WIDE, height: HIGH, role: "img", "aria-label": `Weights of ${run.name}` });
  const caption = element(stamp, "figcaption");
  element(caption, "b", { style: `border-color: ${colour(run.name)}` }, run.name);
  for (const what of ["accuracy", "loss"]) element(caption, "output", { id: `${what}-${k}`, "aria-live": "off" });
  return canvas;
});

const low = Math.floor(10 * Math.min(0.9, ...runs.flatMap(({ accuracy }) => accuracy.slice(1)))) / 10;
const learning = axes(
  find("learning"), [0, longest.frames.length - 1], [low, 1],
  longest.steps.flatMap((step, k) => (k % 4 ? [] : [[k, String(step)]])),
  [low, (1 + low) / 2, 1].map((share) => [share, percent(share, 0)]), "step",
);
for (const { name, accuracy } of runs) {
  line(find("learning"), accuracy.map((each, k) => [learning[0](k), learning[1](Math.max(each, low))]), name);
}
const hand = svg(find("learning"), "line", { class: "marker", y1: 0, y2: 160 });

part(
  () => [state.step],
  () => {
    runs.forEach((run, k) => {
      const w = run.frames[frame(run)];
      paintSigns(stamps[k], w, strongest(w) / 2, DIGIT_COLOURS);
      put(`accuracy-${k}`, run.accuracy[frame(run)], `${percent(run.accuracy[frame(run)])} right`);
      put(`loss-${k}`, run.loss[frame(run)], `loss ${text(run.loss[frame(run)])}`);
    });
    const step = longest.steps[frame(longest)];
    const epoch = (step / longest.steps.at(-1)) * longest.epochs;
    put("step-value", step, `${step}, epoch ${epoch.toFixed(2)}`);
    find("step").value = state.step;
    for (const end of ["x1", "x2"]) hand.setAttribute(end, learning[0](frame(longest)));
  },
);

on(find("step"), "input", ({ target }) => (state.step = Number(target.value)));

let playing;
on(find("play"), "click", () => {
  clearInterval(playing);
  if (state.step >= longest.frames.length - 1) state.step = 0;
  playing = setInterval(() => {
    state.step++;
    if (state.step >= longest.frames.length - 1) clearInterval(playing);
    show();
  }, 250);
});
words.step = [(k) => k >= 0 && k < longest.frames.length && (state.step = Math.floor(k)), () => state.step];
