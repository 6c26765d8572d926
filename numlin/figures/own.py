"""Pictures of a model of your own, each drawn into an `ax` of your own, or into a new figure.

    figure, (left, right) = matplotlib.pyplot.subplots(1, 2)
    draw_weights(model.w, ax=left)
    draw_accuracy(numlin.radii(model.w, model.b, X, y), ax=right, label="mine")

Images are rows of X (n_samples, n_features); `shape`, (height, width), is how they are shown, by
default as near a square as it gets. Each function returns the axes.
"""

from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.ticker import PercentFormatter

from numlin.attacks import attack, minimal_perturbation, radii, robust_accuracy
from numlin.data.datasets import image_shape
from numlin.figures.style import (
    GREY,
    INK,
    SMALL,
    STYLE,
    Entry,
    count_strong,
    mosaic,
    new_figure,
    signed,
    stretch,
    weight_image,
)
from numlin.objective import score

CROSS = " \N{BALLOT X}"


def draw_weights(w, shape=None, ax=None):
    """The weights `w` (n_features,) as an image, its colours full at half of the largest weight."""
    ax, size = _axes(ax, 3.4), np.abs(w)
    weight_image(ax, np.reshape(w, shape or image_shape(len(w))), GREY)
    ax.set_xlabel(
        rf"$\max|w_j| = {size.max():.2f}$, $||w||_1 = {size.sum():.1f}$, "
        f"{count_strong(size)} of {size.size} above 1% of max",
        fontsize=SMALL,
    )
    return ax


def draw_accuracy(radius, eps=None, ax=None, **look):
    """Accuracy under attack against eps, exact, from the `radius` (n_samples,) of `numlin.radii`.

    `eps` (n_eps,) is 0 to 0.5 by default; `look` are keywords of `plot`, such as a label.
    """
    ax, eps = _axes(ax, 3.6), np.arange(101) / 200 if eps is None else np.asarray(eps)
    ax.plot(eps, robust_accuracy(radius, eps), **look)
    ax.set(xlabel=r"attack strength $\epsilon$", ylabel="accuracy", ylim=(-0.02, 1.02))
    ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    if "label" in look:
        ax.legend()
    return ax


def draw_radii(radius, bins=60, ax=None, **look):
    """How many images are how far from the boundary; infinite radii are not shown."""
    ax, finite = _axes(ax, 3.6), np.isfinite(radius)
    ax.hist(radius[finite], bins, **look)
    ax.set(xlabel=r"least $\epsilon$ that fools", ylabel=f"of {len(radius):,} images")
    if "label" in look:
        ax.legend()
    return ax


def draw_attack(w, b, X, y, eps, balls=("linf", "linf-box"), shape=None, ax=None):
    """The images, and below them the worst that an attack of strength `eps` makes of each.

    A column an image, so a few; a row a ball. Under each image its score, a cross where it is
    wrong. The grey scale runs from 0 (white) to 1 (black).
    """
    rows = [X, *(attack(w, b, X, y, eps, ball).X_adv for ball in balls)]
    names = ["unperturbed", *(f"{ball}, {eps:g}" for ball in balls)]
    notes = [
        [signed(s) + (CROSS if sign * s <= 0 else "") for s, sign in zip(score(w, b, row), y)]
        for row in rows
    ]
    return _images(ax, rows, notes, names, shape, below=9)


def draw_morph(w, b, X, y, ball="linf", steps=5, shape=None, ax=None):
    """Each image on the shortest way to the boundary, in equal steps; a row an image.

    Under each the distance travelled, and the score, 0 at the boundary. An image that is wrong
    stays. The grey scale of each image runs from -eps (white) to 1 + eps (black).
    """
    delta, radius = minimal_perturbation(w, b, X, y, ball)
    radius = np.where(np.isfinite(radius), radius, 0)
    rows, notes = [], []
    for x, d, r in zip(X, delta, radius, strict=True):
        way = np.linspace(0, 1, steps)[:, None]
        far, images = way[:, 0] * r, x + way * d
        notes.append([f"{e:.3f}\n{signed(s)}" for e, s in zip(far, score(w, b, images))])
        reach = np.abs(images - x).max(axis=1, keepdims=True)
        rows.append(stretch(images, reach))
    return _images(ax, rows, notes, None, shape, below=16)


def _axes(ax, height):
    if ax is not None:
        return ax
    with matplotlib.rc_context(STYLE):
        return new_figure(height=height)[1]


def _images(ax, rows, notes, names, shape, below):
    """Images (n_rows, n_columns, n_features) with a note under each and a name before each row."""
    rows = np.array(rows)
    cells = rows.reshape(*rows.shape[:2], *(shape or image_shape(rows.shape[2])))
    ax = _axes(ax, 0.9 + len(rows))
    x, lower = mosaic(ax, cells, below=below, cmap=INK, vmin=0, vmax=1)
    for row, at in enumerate(lower):
        for column, note in enumerate(notes[row]):
            ax.text(x[column], at + 1, note, ha="center", va="top", fontsize=SMALL)
        if names:
            ax.text(-4, at - 14, names[row], ha="right", va="center")
    return ax


def typical(radius, y, quantiles):
    """Indices of images of the first class, then of the second, at `quantiles` of `radius`.

    `radius` and `y` are (n_samples,), the result is (2 * n_quantiles,).
    """
    chosen = []
    for sign in (-1, 1):
        own = np.flatnonzero(y == sign)
        own = own[np.argsort(radius[own], kind="stable")]
        chosen += [own[int(q * (len(own) - 1))] for q in quantiles]
    return np.array(chosen)


class Subject(NamedTuple):
    """What is drawn: a classifier `w` (n_features,), `b`, and images X (n_samples, n_features)."""

    dataset: dict
    w: np.ndarray
    b: float
    X: np.ndarray
    y: np.ndarray

    def radii(self, ball):
        """The radius (n_samples,) of each image."""
        return radii(self.w, self.b, self.X, self.y, ball)

    def few(self, *quantiles):
        """w, b, X, y by name, of few images, at quantiles of the distance from the boundary."""
        chosen = typical(self.radii("linf"), self.y, quantiles)
        return {"w": self.w, "b": self.b, "X": self.X[chosen], "y": self.y[chosen]}


def _both(subject, draw_one):
    ax = draw_one(subject.radii("linf"), label="any pixel value", alpha=0.8)
    look = {"label": "pixels stay in [0, 1]", "alpha": 0.8}
    return draw_one(subject.radii("linf-box"), ax=ax, **look)


_DRAWN = {
    "weight-images": lambda s, shape: draw_weights(s.w, shape),
    "robust-accuracy-curves": lambda s, shape: _both(s, draw_accuracy),
    "radius-distributions": lambda s, shape: _both(s, draw_radii),
    "free-and-boxed-attack": lambda s, shape: draw_attack(
        **s.few(0.1, 0.5, 0.9), eps=0.2, shape=shape
    ),
    "morph-to-boundary": lambda s, shape: draw_morph(**s.few(0.5), shape=shape),
}
MODEL_FIGURES = {
    name: Entry(lambda s, draw=draw: draw(s, tuple(s.dataset["shape"])).figure, "")
    for name, draw in _DRAWN.items()
}
"""Those of the article's figures that need one model only, of a `Subject`, by the same names."""
