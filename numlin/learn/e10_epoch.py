"""One epoch of SGD.

Cut `order`, the samples in the order of this epoch, into batches of batch_size; the last one may
be shorter. For each batch in turn take a step against the subgradient of exercise 4, of the mean
over *that batch*, at the w and b that the batch before has left:

    w <- w - learning_rate grad_w,    b <- b - learning_rate grad_b.

Both gradients are taken before either is changed. Return the new w and b and leave the arguments
as they are. Why does a batch of half the length not get half the step?
"""

import numpy as np

from numlin import kernels, objective
from numlin.gradcheck import check_gradient
from numlin.kernels import reference
from numlin.learn.grading import (
    Mistake,
    a,
    at_point,
    changed,
    distance,
    passes,
    samples,
    worst_case,
)


def sgd_epoch(w, b, X, y, order, eps, learning_rate, batch_size):
    """(w, b) after one epoch; order (n,) are row numbers of X.

    w (n_features,), b a float, X (n_samples, n_features), y (n_samples,) of -1.0 and +1.0.
    """
    raise NotImplementedError


def plain(w, b, X, y, order, eps, learning_rate, batch_size):
    """The epoch, for twins with a part exchanged."""
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        x, k = X[rows], y[rows]
        active = k * (x @ w + b) - eps * np.abs(w).sum() < 1
        grad_w = (-(active * k) @ x + active.sum() * eps * np.sign(w)) / len(rows)
        grad_b = -(active * k).sum() / len(rows)
        w, b = w - learning_rate * grad_w, b - learning_rate * grad_b
    return w, b


def _own(w, b, X, y, order, eps, learning_rate, batch_size):
    w, rates = w.copy(), np.full(-(-len(order) // batch_size), learning_rate)
    call = kernels.arguments(X, y.astype(np.int8), w, b, order, rates, batch_size, eps=eps)
    return w, reference.sgd_epoch(*call)[0]


OWN = {"sgd_epoch": _own}
SOURCE = ("numlin.kernels.reference:sgd_epoch",)
HINTS = (
    "range(0, len(order), batch_size) gives the starts; a slice that reaches too far is cut short.",
    "Let your function of exercise 4 do the work: X[rows], y[rows] are a data set of their own.",
)
DIFFERS = "numlin's also counts losses and mistakes, and takes any loss, ball and step sizes."


def mistake(text, rows, order, size, *swaps, w=0.0, eps=0.0):
    """A mistake of an epoch over samples (x, y) in one dimension, learning rate 1, b = 0."""
    X, y = map(np.array, zip(*np.array(rows, float)))
    example = (a(w), 0.0, X[:, None].copy(), y, np.array(order), eps, 1.0, size)
    return Mistake("sgd_epoch", text, changed(plain, *swaps), example)


_LOOP, _STEP = "    for start", "w, b = w - learning_rate * grad_w, b"
MISTAKES = (
    mistake("averaging over a short batch as if it were full. The last batch has fewer samples: "
            "its mean is over those it has, not over batch_size.", [(1, 1)], [0], 2,
            ("/ len(rows)", "/ batch_size")),
    mistake("the last, short batch is left out. Every sample is visited once in an epoch.",
            [(1, 1)], [0], 2, ("len(order), b", "len(order) - batch_size + 1, b")),
    mistake("sum for mean: the step grows with the batch. The gradient is that of the mean over "
            "the batch.", [(1, 1), (1, 1)], [0, 1], 2, ("/ len(rows)", "")),
    mistake("`order` is not used. Batches are cut from `order`, and its entries are rows of X.",
            [(1, 1), (3, 1)], [1, 0], 1, ("= order[", "= np.arange(len(order))[")),
    mistake("all batches see the first w. Each batch starts where the one before has stopped; "
            "else it is one long step.", [(2, 1), (2, 1)], [0, 1], 1, ("x @ w + b", "x @ u + c"),
            ("(w)", "(u)"), (_LOOP, f"    u, c = w, b\n{_LOOP}")),
    mistake("grad_b is taken after w has moved. Both gradients belong to one point (w, b): "
            "compute both, then step.", [(2, 1)], [0], 1, (_STEP, "b = b"), ("grad_b = -(active",
            "w = w - learning_rate * grad_w; "
            "grad_b = -((k * (x @ w + b) - eps * np.abs(w).sum() < 1)")),
    mistake("the bias is forgotten. b takes the same step along its own gradient.", [(1, 1)], [0],
            1, ("b - learning_rate * grad_b", "b")),
    mistake("the eps term at inactive samples. eps sign(w) counts for the share of the batch that "
            "is active.", [(3, 1)], [0], 1, ("active.sum() *", "len(rows) *"), w=1.0, eps=0.5),
    mistake("the gradient of one batch goes on into the next. Start each batch from a gradient of "
            "0.", [(1, 1), (0.5, -1)], [0, 1], 1, ("grad_w = (", "grad_w = grad_w + ("),
            (_LOOP, f"    grad_w = 0 * w\n{_LOOP}")),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    rng, found = np.random.default_rng(10), []
    for w, b, X, y, eps in samples():
        for size in (1, 3, len(y), 100):
            found.append(("sgd_epoch", (w, b, X, y, rng.permutation(len(y)), eps, 0.25, size)))
    return found


def prove(s):
    """Held against central differences of one step, and an epoch batch by batch."""

    def step(w, b, X, y, rows, eps, size):
        moved = s("sgd_epoch", w, b, X, y, rows, eps, 1.0, size)
        return w - moved[0], b - moved[1]

    for w, b, X, y, eps in samples()[:4]:
        for rows in (np.arange(len(y)), np.arange(len(y))[::-2].copy()):
            batch = X[rows], y[rows], eps
            f, kinks = at_point(worst_case, *batch), at_point(objective.kinks, *batch)
            slope = at_point(step, X, y, rows, eps, len(y))
            what = f"the step of one batch of {len(rows)}, batch_size = {len(y)}"
            passes(check_gradient(f, slope, (w, b), kinks), what, len(rows))
    for name, (w, b, X, y, order, eps, rate, size) in cases():
        cut = size * ((len(order) - 1) // size)
        start = s(name, w, b, X, y, order[:cut], eps, rate, size) if cut else (w, b)
        two = s(name, *start, X, y, order[cut:], eps, rate, size)
        whole = s(name, w, b, X, y, order, eps, rate, size)
        s.holds(distance(two, whole) < 1e-9, "is not the same as its batches one after another")
    s.agrees()
    return "one step is the gradient, by central differences; an epoch is its batches, one by one"
