"""What robustness costs at best: the exact path of the global minimum as eps grows."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from numlin.figures.style import (
    DIGIT_COLOURS,
    EPS,
    STRENGTH,
    WEIGHT_MAP,
    figure,
    headline,
    mosaic,
    new_figure,
)
from numlin.optimum import minimise

PRICE_FIGURES: dict = {}
PAIRS_FIGURES: dict = {}
MARGIN = {"color": "0.45", "linestyle": ":", "linewidth": 1.4}
TOUCHING = {"color": "0.45", "linestyle": "--", "linewidth": 1.2}


@figure(
    "The price of robustness. Left: the smallest training objective that any linear classifier "
    "reaches at each eps, exactly, with a tick wherever the classifier changes; at the l-inf "
    "margin eps* of the training set (dotted) it jumps to 0. Below the dashed line no training "
    "image of one class meets one of the other, so that some classifier, not linear, makes no "
    "mistake. Right: test errors of these optima, on clean images and under free attacks of the "
    "eps they were made for. Up to eps* many classifiers have a loss of 0; one stands for all.",
    PRICE_FIGURES,
)
def price_of_robustness(price):
    """Minimum, clean and robust test error against eps; see `numlin.studies.price.Price`."""
    drawn, (left, right) = new_figure(1, 2, 3.6)
    low, high = price.span
    segments = [s for s in price.path.segments if s.hinge > 0]
    edges = np.array([[s.low, min(s.high, high)] for s in segments]).reshape(-1, 2)
    steps = np.linspace(0, 1, 9)
    inside = [a + (b - a) * steps for a, b in edges if a <= high]
    values = [s.value(eps) for s, eps in zip(segments, inside)]
    left.plot(np.concatenate([[], *inside]), np.concatenate([[], *values]), color="black")
    left.plot(edges[:, 0], np.zeros(len(edges)), "|", color="black", markersize=7, alpha=0.25)
    for axes, name in ((left, f"{EPS}*"), (right, None)):
        if price.eps_star:
            label = name and f"{name} = {price.eps_star:.4f}"
            axes.axvline(price.eps_star, label=label, **MARGIN)
        if low <= price.touching <= high:
            label = name and f"any classifier: {EPS} = {price.touching:.4f}"
            axes.axvline(price.touching, label=label, **TOUCHING)
        axes.set(xlabel=STRENGTH, xlim=price.span)
    left.set(title="global minimum", ylabel="mean robust hinge", ylim=(0, None))
    right.plot(price.eps, price.robust_error, color="#0072b2", label=f"attacked at {EPS}")
    right.plot(price.eps, price.clean_error, "--", color="#d55e00", label="clean images")
    right.set(title="test error of the optimum", ylim=(0, None))
    right.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left")
    free = f"Robustness costs nothing up to eps = {price.margin.lower:.4f}"
    headline(drawn, free if price.eps_star else "Robustness costs from the first eps on")
    return drawn


@figure(
    "Which pixels carry weight at the global minimum for each eps: one row for each pixel that "
    "ever does, in the order in which they enter as eps falls, coloured by the digit that it "
    "speaks for. Every weight costs eps in every robust margin, so as eps grows fewer pixels are "
    "worth it. Above, their number.",
    PRICE_FIGURES,
)
def pixels_against_eps(price):
    """Number of weights, and the pixels entering and leaving, against eps; see `Price`."""
    low, high = price.span
    eps = np.linspace(low, high, 721)
    eps = (eps[1:] + eps[:-1]) / 2
    weights = np.stack([price.path.at(min(e, price.path.high)).vector for e in eps])
    used = np.flatnonzero(weights.any(axis=0))
    used = used if used.size else np.zeros(1, int)  # an empty row
    last = weights.shape[0] - 1 - np.argmax(weights[::-1, used] != 0, axis=0)
    image = weights[:, used[np.argsort(-last, kind="stable")]].T
    image = np.sign(image) * np.sqrt(np.abs(image) / (np.abs(image).max() or 1))
    drawn, (upper, lower) = new_figure(2, 1, 5.6, sharex=True, height_ratios=(1, 3))
    upper.plot(eps, np.count_nonzero(weights, axis=1), color="black")
    upper.set(ylabel="weights", ylim=(0, None))
    lower.imshow(
        np.where(image == 0, np.nan, image), cmap=WEIGHT_MAP, vmin=-0.6, vmax=0.6, aspect="auto",
        extent=(low, high, len(used), 0),
    )  # fmt: skip
    lower.set(xlabel=STRENGTH, ylabel="pixels, as they enter", xlim=(low, high))
    lower.grid(False)
    for axes in (upper, lower):
        if price.eps_star:
            axes.axvline(price.eps_star, **MARGIN)
    counts = np.count_nonzero(weights, axis=1)
    ends = [(counts[k], eps[k]) for k in (np.argmax(counts), len(eps) // 2)]
    headline(drawn, "{} pixels carry weight at eps = {:.3f}, {} at {:.3f}".format(*sum(ends, ())))
    return drawn


@figure(
    "The weights of the global minimum along eps, as images, each scaled by its largest weight: "
    "strokes dissolve into dots, and the last ones to pay are the two or three pixels in the "
    "middle.",
    PRICE_FIGURES,
)
def weights_along_eps(price):
    """A strip of weight images along eps; see `Price`."""
    low, high = price.span
    low = max(low, price.eps_star or 0.0)
    pieces = [s for s in price.path.segments if s.n_pixels and s.low <= high and s.high > low]
    top = min(high, pieces[-1].high) if pieces else high
    eps = low + (top - low) * ((np.arange(16) + 0.5) / 16) ** 2
    cells = np.stack([price.path.at(min(e, price.path.high)).vector for e in eps])
    side = int(np.sqrt(cells.shape[1]))
    cells = cells / np.maximum(np.abs(cells).max(axis=1, keepdims=True), 1e-12)
    cells = cells.reshape(2, 8, side, -1)
    drawn, axes = new_figure(height=2.6)
    x, lower = mosaic(axes, cells, cmap=WEIGHT_MAP, vmin=-0.5, vmax=0.5)
    for k, e in enumerate(eps):
        axes.text(x[k % 8], lower[k // 8] + 2, f"{e:.3f}", ha="center", va="top", fontsize=8)
    headline(drawn, f"As eps grows from {eps[0]:.3f} to {eps[-1]:.3f}, fewer pixels decide")
    return drawn


@figure(
    "The geometry of the minimum, in two dimensions. Each class has a reduced hull, the means "
    "under weights of at most 2 / (n F*): at F* = 1 a point, at F* = 0 the whole hull (thin). The"
    " minimum at eps is the largest mass F* for which the two reduced hulls come within 2 eps in "
    "the l-inf norm: the square of radius 2 eps around a point of one touches the other. As eps "
    "grows, the hulls shrink towards the means of the classes. Black: the optimal classifier.",
    PRICE_FIGURES,
)
def reduced_hulls(price):
    """Both reduced hulls at four eps, for points that are drawn here."""
    rng = np.random.default_rng(5)
    middles = np.repeat([[0.37, 0.44], [0.63, 0.56]], 18, axis=0)
    X = np.clip(middles + rng.normal(0, 0.13, (36, 2)), 0, 1)
    y = np.repeat([-1.0, 1.0], 18)
    drawn, panels = new_figure(1, 4, 2.5, sharex=True, sharey=True)
    for axes, eps in zip(panels, (0.0, 0.05, 0.1, 0.14)):
        found = minimise(X, y, eps)
        for label, colour in zip((-1, 1), DIGIT_COLOURS):
            points = X[y == label]
            axes.plot(*points.T, ".", color=colour, markersize=4)
            for cap, alpha in ((1.0, 0.08), (2 / (len(y) * found.objective), 0.35)):
                axes.fill(*reduced_hull(points, cap).T, color=colour, alpha=alpha, linewidth=0)
            a = found.multipliers * (y == label)
            if a.sum():
                mean = a @ X / a.sum()
                axes.plot(*mean, "o", color=colour, markersize=4)
                if label < 0:
                    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
                    axes.plot(*(mean + 2 * eps * square).T, color="0.4", linewidth=1)
        if found.w.any():
            line = np.array([-1.0, 2.0])
            steep = np.argmax(np.abs(found.w))
            other = (-found.b - found.w[1 - steep] * line) / found.w[steep]
            axes.plot(*((other, line) if steep == 0 else (line, other)), "k-", linewidth=1.2)
        axes.set(title=f"{EPS} = {eps:g}, F* = {found.objective:.2f}", aspect="equal")
        axes.set(xlim=(0.05, 0.95), ylim=(0.05, 0.95), xticks=[], yticks=[])
    headline(drawn, "The reduced hulls shrink apart as eps grows, to stay within 2 eps")
    return drawn


def reduced_hull(points, cap):
    """The hull of all means of points (n, 2) under weights of at most `cap`: vertices (m, 2)."""
    angles = np.linspace(0, 2 * np.pi, 721)
    order = np.argsort(-points @ np.stack([np.cos(angles), np.sin(angles)]), axis=0, kind="stable")
    weights = np.clip(1 - cap * np.arange(len(points)), 0, min(cap, 1.0))
    return np.einsum("i,ijk->jk", weights, points[order])


@figure(
    "Any two digits. Above the diagonal: the l-inf margin eps* of the training set, on a "
    "logarithmic scale of colour; a cross where no hyperplane separates the two. Below: the "
    "smallest robust hinge F* at eps = 0.1, and under it the test error of that classifier "
    "attacked at 0.1.",
    PAIRS_FIGURES,
)
def all_pairs(study):
    """eps*, F* and robust test error of all pairs as a matrix; see `numlin.studies.pairs.Pairs`."""
    digits = study.dataset["digits"]
    size = len(digits)
    stars, least = np.full((2, size, size), np.nan)
    drawn, axes = new_figure(height=6.6)
    for (a, b), star, value, error in zip(
        study.pairs, study.lower, study.objective, study.robust_error, strict=True
    ):
        i, k = digits.index(a), digits.index(b)
        stars[i, k], least[k, i] = np.log(star) if star else np.nan, value
        text = f"{star:.4f}" if star else "\N{MULTIPLICATION SIGN}"
        axes.text(k, i, text, ha="center", va="center", fontsize=8)
        axes.text(i, k, f"{value:.3f}\n{error:.1%}", ha="center", va="center", fontsize=7.5)
    axes.imshow(stars, cmap="Greens", vmax=np.log(0.2), vmin=np.log(1e-4))
    axes.imshow(least, cmap="Oranges", vmin=0, vmax=1.2)
    axes.set(xticks=range(size), xticklabels=digits, yticks=range(size), yticklabels=digits)
    axes.set(title=f"above: {EPS}*; below: F* and robust error at {study.eps}")
    axes.grid(False)
    apart = np.count_nonzero(study.lower)
    headline(drawn, f"A hyperplane separates {apart} of {len(study.pairs)} pairs of digits")
    return drawn
