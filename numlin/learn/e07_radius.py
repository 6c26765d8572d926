"""Radius, and the whole accuracy curve from one sort.

The radius of a sample is the smallest eps at which the adversary of exercise 5 turns it into an
error, that is, brings its margin y (w.x + b) to 0 (a score of 0 is an error). You know how fast
the margin falls with eps. Mind what is an error already, and w = 0, where nothing helps.

The robust accuracy at eps is the share of samples that are no error after the attack of strength
eps. Given all radii, one sort answers for any number of eps; comparing every eps with every
radius is slower by far.
"""

import numpy as np

from numlin import attacks
from numlin.learn.e02_gradient import check_vectorised
from numlin.learn.grading import Mistake, a, corners, samples


def radii(w, b, X, y):
    """(n_samples,), in [0, inf]; w (n_features,), X (n_samples, n_features), y of -1.0 and +1.0."""
    raise NotImplementedError


def robust_accuracy(radius, eps):
    """Accuracy at every eps (n_eps,) from the radii (n_samples,); neither is sorted."""
    raise NotImplementedError


OWN = {
    "radii": lambda w, b, X, y: attacks.radii(w, b, X, y, "linf", "numpy"),
    "robust_accuracy": attacks.robust_accuracy,
}
SOURCE = ("numlin.balls:Ball.radius", "numlin.attacks:robust_accuracy")
HINTS = (
    "The margin falls by eps ||w||_1 (exercise 4): a straight line in eps. Where is it 0?",
    "np.searchsorted counts sorted radii below a value; its `side` decides about equal ones.",
)
DIFFERS = "numlin's also inverts the bent line along which a margin falls in the pixel box."


def _radii(w, b, X, y, size=lambda w: np.abs(w).sum(), least=0.0, label=1, bias=1):
    margin = np.maximum((y if label else 1) * (X @ w + bias * b), least)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(margin != 0, margin / size(w), 0)


def _mistake(text, example, wrong=None, **changed):
    w, b, x, y = example
    wrong = wrong or (lambda *args: _radii(*args, **changed))
    return Mistake("radii", text, wrong, (a(*w), b, np.array([x], float), a(y)))


def _accuracy(text, wrong, radius, eps):
    return Mistake("robust_accuracy", text, wrong, (a(*radius), a(eps)))


def _share(condition):
    return lambda radius, eps: condition(radius, np.asarray(eps)[:, None]).mean(axis=1)


MISTAKES = (
    _mistake("||w||_2 for the dual norm ||w||_1. In the l-inf ball the margin falls by eps "
             "||w||_1; margin / ||w||_2 is the Euclidean distance.", ([3, 4], 0.0, [1, 1], 1),
             size=lambda w: np.sqrt(w @ w)),
    _mistake("a negative radius at errors. A sample that is an error already needs no attack: its "
             "radius is 0.", ([1], 0.0, [1], -1), least=-np.inf),
    _mistake("the distance of errors too: |margin| for the margin. A radius is the distance to "
             "becoming an error; an error has none to go.", ([1], 0.0, [1], -1),
             lambda w, b, X, y: _radii(w, b, X, np.sign(X @ w + b))),
    _mistake("the label y is missing. The margin is y (w.x + b): a negative score is right for y "
             "= -1.", ([1], 0.0, [1], -1), label=0),
    _mistake("the bias is forgotten. The margin is y (w.x + b), with b.", ([1], 1.0, [1], 1),
             bias=0),
    _mistake("w = 0 divides by 0. With w = 0 the score is b whatever the adversary does: 0 for "
             "errors, infinite for the rest.", ([0], 0.0, [1], 1),
             lambda w, b, X, y: np.maximum(y * (X @ w + b), 0) / np.abs(w).sum()),
    _accuracy("strict for weak inequality: at eps = radius the sample counts as right. At its "
              "radius the margin is 0, and a score of 0 is an error: right means radius > eps.",
              _share(lambda r, e: r >= e), (1, 2), 1),
    _accuracy("radii are searched that are not sorted. np.searchsorted takes for granted that its "
              "array is sorted, and does not look.",
              lambda radius, eps: 1 - np.searchsorted(radius, eps, "right") / len(radius), (3, 1),
              2),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    rng = np.random.default_rng(7)
    found = [("radii", (w, b, X, y)) for w, b, X, y, _ in samples()]
    for radius in (rng.uniform(size=9), a(0.5, 0, np.inf, 0.25, 0.25), a(0)):
        found.append(("robust_accuracy", (radius, a(0.25, 0, 1, 0.5, *rng.uniform(size=3)))))
    return found


def prove(s):
    """Held against the worst corner at the radius, and a plain loop's time."""

    def least(eps, w, b, x, k):
        return (k * ((x + eps * corners(len(w))) @ w + b)).min()

    for w, b, X, y, _ in samples():
        for x, k, r in zip(X, y, s("radii", w, b, X, y)):
            if 0 < r < np.inf:
                margin = least(r, w, b, x, k)
                s.holds(abs(margin) < 1e-9, f"at eps = {r:.6g} {x} has the margin {margin:.6g}")
            else:
                stands = least(1e6 if r else 0.0, w, b, x, k) > 0
                s.holds(stands == (r > 0) and r >= 0, f"{r:g} is not the radius of {x}")
    s.agrees()
    rng = np.random.default_rng(0)
    check_vectorised(s, "robust_accuracy", rng.uniform(size=20000), rng.uniform(size=2000))
    return "at its radius each sample's worst corner has margin 0; ties, w = 0; its time"
