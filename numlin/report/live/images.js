// All test images at once: how many stand at eps, and which falls next.

state.compared = new Set(data.models.filter(({ kind }) => kind === "trained").map(({ name }) => name));
for (const { name } of data.models) {
  const box = element(element(find("compared"), "label"), "input", { type: "checkbox" });
  box.checked = state.compared.has(name);
  const key = element(box.parentNode, "span", { class: "key", style: `color: ${colour(name)}` }, "\u25cf ");
  key.after(name);
  on(box, "change", () => state.compared[box.checked ? "add" : "delete"](name));
}
const shown = () => data.models.filter((each) => state.compared.has(each.name) || each === state.model);

const moving = { X: null, Y: null };
part(
  () => [state.model.name, state.ball, ...state.compared],
  () => {
    const ticks = Array.from({ length: 6 }, (_, k) => [(k * limit()) / 5, String((k * limit()) / 5)]);
    const shares = [0, 0.25, 0.5, 0.75, 1].map((share) => [share, percent(share, 0)]);
    const [X, Y] = axes(find("curves"), [0, limit()], [0, 1], ticks, shares, "eps");
    for (const model of shown()) {
      const points = Array.from({ length: 201 }, (_, k) => (k * limit()) / 200);
      const { rising } = radii(model, norm(), boxed());
      const curve = points.map((eps) => [X(eps), Y(1 - countUpTo(rising, eps) / N_IMAGES)]);
      line(find("curves"), curve, model.name, model.kind === "optimum").classList.toggle("own", model === state.model);
    }
    Object.assign(moving, { X, Y, line: svg(find("curves"), "line", { class: "marker", y1: Y(0), y2: Y(1) }) });
    moving.dots = shown().map(({ name }) => svg(find("curves"), "circle", { r: 5, style: `fill: ${colour(name)}` }));
  },
);

part(
  () => [state.model.name, state.ball, state.eps, ...state.compared],
  () => {
    const { X, Y, dots } = moving;
    moving.line.setAttribute("x1", X(state.eps));
    moving.line.setAttribute("x2", X(state.eps));
    const counts = shown().map((model, k) => {
      const count = countUpTo(radii(model, norm(), boxed()).rising, state.eps);
      dots[k].setAttribute("cx", X(state.eps));
      dots[k].setAttribute("cy", Y(1 - count / N_IMAGES));
      return `${model.name}: ${count.toLocaleString("en")}`;
    });
    const { each, rising } = radii(state.model, norm(), boxed());
    const count = countUpTo(rising, state.eps);
    put("fooled", count, `Fooled now, of ${N_IMAGES.toLocaleString("en")}: ${counts.join(", ")}.`);
    find("curves").setAttribute("aria-label", `Share of test images that stand, against eps. ${find("fooled").textContent}`);
    const least = rising[count];
    const none = !(least < Infinity);
    moving.next = none ? null : each.indexOf(least);
    find("next").hidden = find("take").hidden = none;
    if (none) return put("falls", -1, `Nothing more falls to ${state.model.name} at any eps.`);
    paint(find("next"), image(moving.next));
    const name = `test image ${moving.next}, a ${digit(data.y[moving.next])}`;
    put("falls", moving.next, `Next to fall for ${state.model.name}: ${name}, at eps = ${text(least)}.`);
  },
);

on(find("take"), "click", () => {
  Object.assign(state, { i: moving.next, drawing: false });
  find("playground").scrollIntoView();
});
