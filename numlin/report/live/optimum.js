// The certified optima along eps, and beside each the article's model that was trained for most of it.

state.path = Math.max(0, data.optimum.findIndex(({ eps }) => eps >= 0.2));
find("path-eps").max = data.optimum.length - 1;
const trained = data.models.filter(({ kind }) => kind === "trained");
const nearest = (eps) => trained.reduce((best, each) => (Math.abs(each.eps - eps) < Math.abs(best.eps - eps) ? each : best));
const names = Object.keys(data.optimum[0].others);

const pair = ["optimum", "article"].map((what) => {
  const stamp = element(find("optima"), "figure");
  const canvas = element(stamp, "canvas", { width: WIDE, height: HIGH, role: "img", "aria-label": `Weights of the ${what}` });
  const caption = element(stamp, "figcaption");
  element(caption, "b", { id: `${what}-name` });
  for (const line of ["objective", "pixels", "clean", "attacked"]) element(caption, "output", { id: `${what}-${line}`, "aria-live": "off" });
  return canvas;
});

const costs = data.optimum.map(({ objective }) => objective);
const everything = [...costs.filter((each) => each > 0), ...data.optimum.flatMap(({ others }) => Object.values(others))];
const range = [Math.min(...everything) / 1.2, Math.max(...everything) * 1.2];
const decades = [0.001, 0.01, 0.1, 1, 10].filter((each) => each >= range[0] && each <= range[1]);
const [costX, costY] = axes(
  find("costs"), [0, 0.5], range, [0, 0.1, 0.2, 0.3, 0.4, 0.5].map((eps) => [eps, String(eps)]),
  decades.map((each) => [each, String(each)]), "eps", Math.log,
);
for (const name of names) line(find("costs"), data.optimum.map(({ eps, others }) => [costX(eps), costY(others[name])]), name);
line(find("costs"), data.optimum.filter(({ objective }) => objective > 0).map(({ eps, objective }) => [costX(eps), costY(objective)]), "").classList.add("least");
const cost = svg(find("costs"), "line", { class: "marker", y1: costY(range[0]), y2: costY(range[1]) });

part(
  () => [state.path],
  () => {
    const optimum = data.optimum[state.path];
    const { eps, objective, bound } = optimum;
    const article = nearest(eps);
    const ratio = article.name in optimum.others && objective > 0 ? `, ${(optimum.others[article.name] / objective).toFixed(2)} times the least` : "";
    const lines = [
      ["optimum", optimum, "the minimum", objective, `loss ${text(objective, 6)}, no less than ${text(bound, 6)}`],
      ["article", article, article.name, optimum.others[article.name], `loss ${text(optimum.others[article.name], 6)}${ratio}`],
    ];
    lines.forEach(([what, model, name, loss, words], k) => {
      const own = margins(model).toSorted();
      paintSigns(pair[k], model.w, strongest(model.w) / 2, DIGIT_COLOURS);
      find(`${what}-name`).textContent = name;
      put(`${what}-objective`, loss, words);
      const most = strongest(model.w);
      const count = model.w.filter((each) => Math.abs(each) > most / 100).length;
      put(`${what}-pixels`, count, `${count} weights above 1% of the largest`);
      for (const [line, drop] of [["clean", 0], ["attacked", eps * dualNorm.linf(model)]]) {
        const lost = countUpTo(own, drop) / N_IMAGES;
        put(`${what}-${line}`, lost, `${percent(lost)} of test images lost, ${line === "clean" ? "clean" : "attacked at eps"}`);
      }
    });
    put("path-value", eps, text(eps, 2));
    find("path-eps").value = state.path;
    find("path-eps").setAttribute("aria-valuetext", `eps ${eps}`);
    for (const end of ["x1", "x2"]) cost.setAttribute(end, costX(eps));
  },
);

on(find("path-eps"), "input", ({ target }) => (state.path = Number(target.value)));
words.path = [(k) => k >= 0 && k < data.optimum.length && (state.path = Math.floor(k)), () => state.path];
