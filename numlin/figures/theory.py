"""The idea in seven pictures: losses and landscapes, and how a perturbation moves them."""

import numpy as np
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.patches import Rectangle

from numlin.figures.style import (
    COLOURS,
    DIGIT_COLOURS,
    EPS,
    GREY,
    LEFT_OVER,
    SHADE,
    SMALL,
    figure,
    halo,
    headline,
    listed,
    model_line,
    new_figure,
    signed,
)
from numlin.losses import hinge

PLANE_W, PLANE_B = np.array([4.0, 3.0]), -3.5
POINTS = np.array([
    (0.12, 0.3), (0.2, 0.5), (0.1, 0.86), (0.36, 0.14), (0.46, 0.26), (0.64, 0.5), (0.06, 0.62),
    (0.88, 0.62), (0.74, 0.92), (0.95, 0.42), (0.44, 0.94), (0.7, 0.66), (0.5, 0.76), (0.4, 0.6),
])  # fmt: skip
LABELS = np.repeat([-1, 1], 7)
"""Fourteen inputs of two pixels, the first digit seven times, then the second, and a classifier."""

PLANE_EPS = 0.08
TICKS = (0, 0.5, 1)


@figure(
    "The hinge loss of one sample against its margin y(w.x + b). A margin below 0 is a "
    "mistake (dashed: the loss that counts mistakes, which gives no direction to move in); between "
    "0 and 1 the answer is right but not by enough, and the loss still pulls with slope -1; from 1 "
    "on there is neither loss nor gradient. Below: where the test images stand with the regular "
    "model, on a logarithmic scale; the last bars hold what lies beyond."
)
def hinge_loss(article):
    """Hinge against margin, and the margins of the test images under the regular model."""
    model = article.runs["regular"].model
    margins = article.y_test * model.decision_function(article.X_test)
    right = np.clip(np.ceil(margins.max()), 4, 8)
    drawn, (axes, strip) = new_figure(2, 1, 4.2, sharex=True, height_ratios=(3, 1))
    margin = np.array([-2, 0, 1, right])
    axes.plot(margin, hinge(margin), color="black", label=r"hinge, $\max(0, 1 - m)$")
    axes.step([-2, 0, right], [1, 1, 0], "--", color=GREY, label="mistake: 1 if $m \\leq 0$")
    axes.set(ylabel="loss", xlim=(-2, right), ylim=(0, 3.2))
    axes.legend(loc="upper right")
    counts = np.histogram(margins, [-np.inf, 0, 1, np.inf])[0]
    zones = (
        (-1, 0.3, "a mistake"),
        (0.5, 1.9, "inside the\nmargin"),
        ((1 + right) / 2, 1.2, "right by enough:\nno loss, no gradient"),
    )
    for (x, y, zone), count in zip(zones, counts, strict=True):
        axes.text(x, y, f"{zone}\nn = {count:,}", ha="center", fontsize=SMALL)
    for ax in (axes, strip):
        ax.axvspan(0, 1, color=SHADE, lw=0)
        ax.axvspan(-2, 0, color=LEFT_OVER, lw=0)
    bins = np.linspace(-2, right, 81)
    strip.hist(np.clip(margins, -2, right), bins, color=COLOURS["regular"])
    strip.set(xlabel="margin $m = y\\,(w \\cdot x + b)$", ylabel="test images", yscale="log")
    strip.yaxis.set_major_formatter("{x:g}")
    strip.set_ylim(0.7, None)
    headline(drawn, f"{counts[2] / len(margins):.1%} of the test images cost the model nothing")
    return drawn


@figure(
    "Fourteen inputs of two pixels and a linear classifier. Left: the solid line is the boundary "
    "w.x + b = 0, the dashed ones have margin 1 for either digit, at distance 1/||w||_2 from it. "
    "An input on the wrong side of its own dashed line is joined to it by dots: that distance, "
    "times ||w||_2, is its loss. Right: the same losses over the margin; the others pay nothing."
)
def margin_in_the_plane(article):
    """Points, boundary and margin lines of a toy classifier, and the hinge loss of each point."""
    drawn, (plane, losses) = new_figure(1, 2, 3.1)
    _plane(plane, article, POINTS, margins=(0, -1, 1))
    margin = LABELS * (POINTS @ PLANE_W + PLANE_B)
    paying = margin < 1
    step = ((1 - margin) * LABELS)[paying, None] * PLANE_W / (PLANE_W @ PLANE_W)
    joints = np.stack([POINTS[paying], POINTS[paying] + step], axis=1)
    plane.add_collection(LineCollection(joints, colors="black", linewidths=1.2, linestyles=":"))
    foot = np.array([0.7, (-PLANE_B - 0.7 * PLANE_W[0]) / PLANE_W[1]])
    tip = foot + PLANE_W / (PLANE_W @ PLANE_W)
    plane.annotate("", tip, foot, arrowprops={"arrowstyle": "<->", "shrinkA": 0, "shrinkB": 0})
    halo(plane.text(0.86, 0.1, r"$1/||w||_2$", fontsize=SMALL, ha="center", va="center"))
    line = np.array([-1.2, 1, 3])
    losses.plot(line, hinge(line), color="black", lw=1.2)
    losses.vlines(margin[paying], 0, hinge(margin[paying]), color="black", lw=1.2, ls=":")
    _digits(losses, article, np.column_stack([margin, hinge(margin)]))
    losses.set(xlabel="margin $m$", ylabel=r"loss $\max(0, 1 - m)$")
    losses.set(xlim=(-1.2, 3), ylim=(-0.12, 2.2))
    mistakes = np.count_nonzero(margin <= 0)
    headline(drawn, f"{paying.sum()} of {len(POINTS)} points pay, {mistakes} of them for a mistake")
    return drawn


@figure(
    "The loss of a small fixed network along one input coordinate. The adversary may move the "
    "coordinate within the shaded interval of half-width eps. A step of eps along the sign of the "
    "gradient (square) is a guess that only the slope at the start supports: here it even lowers "
    "the loss, while the true worst case (star) lies on the other side."
)
def nonlinear_landscape(article):
    """Loss of a tiny random network over one coordinate: the gradient sign misleads."""
    return _landscape(network_loss, "loss of the network")


@figure(
    "The same coordinate for a linear model: where the hinge is active its loss is a straight "
    "line, so the slope is the same everywhere and the sign of the gradient points to the worst "
    "end of the interval. One step of eps is the exact worst case, and its price is eps|w_j|."
)
def linear_landscape(article):
    """The network replaced by its tangent: gradient step and worst case coincide."""
    slope = _slope(network_loss, START)
    return _landscape(lambda x: network_loss(START) + slope * (x - START), "loss of a linear model")


@figure(
    "The classifier of two pixels again, now against an adversary who may move each pixel by eps. "
    "Left: every input owns a square of half-width eps; squares that reach across the boundary are "
    "filled. Right: only the worst corner of each square matters, the input moved by "
    "-y eps sign(w). The filled squares are exactly those whose corner is misclassified (ringed)."
)
def perturbation_boxes(article):
    """Boxes of half-width eps around the toy points, and the points at their worst corners."""
    drawn, (boxes, corners) = new_figure(1, 2, 3.3)
    moved = POINTS - LABELS[:, None] * PLANE_EPS * np.sign(PLANE_W)
    wrong = LABELS * (moved @ PLANE_W + PLANE_B) <= 0
    colours = np.array(DIGIT_COLOURS)[(LABELS > 0).astype(int)]
    boxes.add_collection(
        PatchCollection(
            [Rectangle(point - PLANE_EPS, 2 * PLANE_EPS, 2 * PLANE_EPS) for point in POINTS],
            edgecolors=colours,
            facecolors=[colour + ("60" if hit else "00") for colour, hit in zip(colours, wrong)],
        )
    )
    _plane(boxes, article, POINTS)
    boxes.set_title(f"within reach, {EPS} = {PLANE_EPS}")
    _plane(corners, article, moved)
    paths = np.stack([POINTS, moved], axis=1)
    corners.add_collection(LineCollection(paths, colors=colours, linewidths=1))
    corners.plot(*moved[wrong].T, "o", ms=14, mfc="none", mec="black", mew=1.2)
    corners.set_title(r"at $x - y\,\epsilon\,\mathrm{sign}(w)$")
    headline(drawn, f"{wrong.sum()} of {len(POINTS)} points can be pushed across the boundary")
    return drawn


@figure(
    "The worst perturbation lowers every margin by eps||w||_1, whatever the input, so robust "
    "training sees the hinge shifted to the right by that much. The four curves use the "
    "trained weights of the four models; the arrows are their shifts."
)
def robust_hinge(article):
    """The hinge of each model shifted by its own eps ||w||_1."""
    drawn, axes = new_figure(height=3.5)
    shifts = {name: run.model.eps * np.abs(run.model.w).sum() for name, run in article.runs.items()}
    right = max(shifts.values()) + 2.2
    for k, (name, shift) in enumerate(shifts.items()):
        look = model_line(name) | {"marker": ""}
        if shift:
            look["label"] += f": shifted by {shift:.2f}"
            height = 1.0 - 0.28 * k
            axes.annotate(
                "",
                (1 + shift - height, height),
                (1 - height, height),
                arrowprops={"arrowstyle": "->", "color": look["color"], "shrinkA": 0, "shrinkB": 0},
            )
        margin = np.array([-1, 1 + shift, right])
        axes.plot(margin, hinge(margin - shift), **look)
    axes.set(
        xlabel="margin of the unperturbed image, $m = y\\,(w \\cdot x + b)$",
        xlim=(-1, right),
        ylabel=r"$\max(0, 1 - m + \epsilon||w||_1)$",
        ylim=(0, None),
    )
    axes.legend(loc="upper right")
    taken = listed(shift for shift in shifts.values() if shift)
    headline(drawn, f"At their own eps the robust models give up {taken} of every margin")
    return drawn


@figure(
    "The loss over one weight w_j. The active samples pull w_j with slope c; the worst-case term "
    "adds eps|w_j|, whose slope eps sign(w_j) always points uphill from 0. Left, a strong pixel, "
    "c > eps: training goes the same way, only slower. Right, a weak pixel, c < eps: for "
    "positive w_j the slope changes sign, the minimum is at w_j = 0, and the weight is wiped out."
)
def robust_landscape(article):
    """Loss over one weight with and without eps |w_j|, for a strong and a weak pixel."""
    drawn, axes = new_figure(1, 2, 3.7, sharey=True)
    w, eps = np.array([-1.0, 0.0, 1.0]), 0.1
    for ax, kind, c in zip(axes, ("strong", "weak"), (0.3, 0.04), strict=True):
        robust, colour = -c * w + eps * np.abs(w), COLOURS["robust-0.1"]
        ax.axvline(0, color=GREY, lw=0.8)
        for name, loss, formula in (
            ("regular", -c * w, r"regular: $-c\,w_j$"),
            ("robust-0.1", robust, r"robust: $-c\,w_j + \epsilon|w_j|$"),
        ):
            ax.plot(w, loss, **model_line(name) | {"marker": "", "label": formula})
        for x, slope in ((-0.5, -c - eps), (0.5, -c + eps)):
            y, step = np.interp(x, w, robust), -0.2 * np.sign(slope)
            ax.annotate(
                "",
                (x + step, y + slope * step + 0.02),
                (x, y + 0.02),
                arrowprops={"arrowstyle": "-|>", "color": colour},
            )
            halo(ax.text(x, y + 0.05, f"slope {signed(slope)}", fontsize=SMALL))
        if c < eps:
            ax.plot(0, 0, "*", ms=14, color=colour, mec="white")
            ax.annotate(
                "minimum at $w_j = 0$",
                (0, -0.01),
                (0.1, -0.2),
                fontsize=SMALL,
                arrowprops={"arrowstyle": "-", "color": GREY},
            )
        relation = ">" if c > eps else "<"
        ax.set(
            title=f"{kind} pixel:\npull c = {c} {relation} {EPS} = {eps}",
            xlabel="weight $w_j$",
            xlim=(-1, 1),
            xticks=[-1, -0.5, 0, 0.5, 1],
        )
    axes[0].set_ylabel("loss, up to a constant")
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    headline(drawn, f"A pull below eps = {eps} leaves the minimum at 0")
    return drawn


START, REACH = 0.54, 0.2


def network_loss(x):
    """Hinge loss max(0, 1 - v.tanh(a x + c)) of a network with 16 fixed random hidden units.

    `x` is one input coordinate of any shape, the result has the same.
    """
    rng = np.random.default_rng(53)
    a, c, v = rng.normal(0, 9, 16), rng.uniform(-7, 7, 16), rng.normal(0, 0.5, 16)
    return hinge(np.tanh(np.multiply.outer(x, a) + c) @ v)


def _slope(loss, x, h=1e-6):
    return (loss(x + h) - loss(x - h)) / (2 * h)


def _landscape(loss, ylabel):
    """Loss over a coordinate with the adversary's interval, gradient step and worst case."""
    drawn, axes = new_figure(height=3.3)
    x = np.linspace(0, 1, 501)
    reachable = np.linspace(START - REACH, START + REACH, 401)
    slope = _slope(loss, START)
    stepped = START + REACH * np.sign(slope)
    worst = reachable[loss(reachable).argmax()]
    axes.axvspan(reachable[0], reachable[-1], color=SHADE, lw=0)
    axes.plot(x, loss(x), color="black")
    tangent = START + np.array([-0.08, 0.08])
    axes.plot(tangent, loss(START) + slope * (tangent - START), color=GREY, lw=3.5)
    for at, label, look in (
        (START, "the input $x_j$ and the slope there", {"marker": "o", "ms": 8}),
        (
            stepped,
            r"gradient step, $x_j + \epsilon\,\mathrm{sign}(\partial L/\partial x_j)$",
            {"marker": "s", "ms": 13, "mfc": "none", "mew": 1.5},
        ),
        (worst, f"worst case within {EPS}", {"marker": "*", "ms": 13, "mec": "white"}),
    ):
        axes.plot(at, loss(at), color="black", label=label, ls="", **look)
    axes.set(xlabel="one input coordinate $x_j$ (pixel units)", ylabel=ylabel)
    axes.set(xlim=(0, 1), ylim=(0, 2))
    axes.annotate("", (reachable[0], 0.1), (START, 0.1), arrowprops={"arrowstyle": "<->"})
    axes.text((reachable[0] + START) / 2, 0.14, EPS, ha="center")
    axes.legend(loc="upper right")
    reached, most = float(loss(stepped)), float(loss(worst))
    better = f"Of a loss of {most:.2f} within reach the slope finds only {reached:.2f}"
    headline(
        drawn, better if most - reached > 1e-3 else f"The slope finds all there is, {most:.2f}"
    )
    return drawn


def _plane(axes, article, points, margins=(0,)):
    """Lines of the toy classifier at scores `margins`, and `points` (14, 2) as their digits."""
    x = np.array([-0.3, 1.3])
    for level in margins:
        y = (level - PLANE_B - PLANE_W[0] * x) / PLANE_W[1]
        axes.plot(x, y, "--" if level else "-", color="black", lw=1.2)
    _digits(axes, article, points)
    axes.set(xlabel="pixel 1", ylabel="pixel 2", aspect="equal")
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), xticks=TICKS, yticks=TICKS)


def _digits(axes, article, points):
    """Write the digit of each sample at its place, `points` (14, 2)."""
    for sign, digit, colour in zip((-1, 1), article.dataset["digits"], DIGIT_COLOURS, strict=True):
        axes.plot(
            *points[sign == LABELS].T,
            marker=f"${digit}$",
            ms=8,
            ls="",
            color=colour,
            zorder=3,
            clip_on=False,
        )
