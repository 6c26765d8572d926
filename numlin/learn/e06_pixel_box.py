"""The worst case in the pixel box.

A picture's pixels lie between 0 and 1, and so must those of a perturbed one:

    |x_adv_j - x_j| <= eps  and  0 <= x_adv_j <= 1 for every j,    y (w.x_adv + b) smallest.

The constraints still speak of one pixel at a time. Which interval may pixel j take, and which of
its ends is worst? Argue that your answer is the exact minimum, not a repaired guess; for the l2
ball the same repair would not be. A pixel whose weight is 0 stays where it is.
"""

import numpy as np

from numlin import attacks
from numlin.learn.grading import Mistake, a, changed, corners


def box_attack(w, X, y, eps):
    """X_adv (n_samples, n_features) in [0, 1].

    w (n_features,), X (n_samples, n_features) in [0, 1], y (n_samples,) of -1.0, +1.0, eps >= 0.
    """
    raise NotImplementedError


OWN = {"box_attack": lambda w, X, y, eps: attacks.attack(w, 0.0, X, y, eps, "linf-box").X_adv}
SOURCE = ("numlin.balls:Ball._room", "numlin.balls:Ball._moves", "numlin.balls:Ball.delta")
HINTS = (
    "Pixel j lives in [max(0, x_j - eps), min(1, x_j + eps)], and the margin is linear in it.",
    "For l-inf, take the attack of exercise 5 and see what the box does to each pixel.",
)
DIFFERS = (
    "numlin's balls compute the room of each pixel, since l2 and l1 need it; here a clip does."
)


def _free(w, X, y, eps):
    return X - y[:, None] * eps * np.sign(w)


def _clipped(w, X, y, eps):
    return np.clip(X - y[:, None] * eps * np.sign(w), 0, 1)


SHOWN = (_clipped,)


def _all_or_nothing(w, X, y, eps):
    moved = _free(w, X, y, eps)
    return np.where((moved >= 0) & (moved <= 1), moved, X)


def _shortened(w, X, y, eps):
    delta = _free(w, X, y, eps) - X
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(delta > 0, (1 - X) / delta, np.where(delta < 0, -X / delta, 1))
    return X + np.minimum(1, room.min(axis=1, keepdims=True)) * delta


def _mistake(text, example, wrong):
    w, x, y, eps = example
    return Mistake("box_attack", text, wrong, (a(*w), np.array([x], float), a(y), eps))


MISTAKES = (
    _mistake("the clip comes before the step, or not at all. X is in the box already; what may "
             "leave it is X + delta.", ([1], [0.25], 1, 0.5), _free),
    _mistake("delta is clipped to [0, 1], not X + delta. The box is where the picture lives; "
             "delta may be negative.", ([1], [0.75], 1, 0.5),
             lambda w, X, y, eps: X + np.clip(_free(w, X, y, eps) - X, 0, 1)),
    _mistake("a pixel that would leave the box does not move at all. It can still go to the side "
             "of the box, and that is worse than staying.", ([1], [0.25], 1, 0.5), _all_or_nothing),
    _mistake("the whole delta is shortened until it fits. The pixels do not share a budget: one "
             "at the side of the box does not stop the others.", ([1, 1], [0.25, 1], 1, 0.5),
             _shortened),
    _mistake("maximum for minimum: this attack helps the classifier. The margin must fall: y "
             "w.delta is to be negative.", ([1], [0.5], 1, 0.25),
             lambda w, X, y, eps: _clipped(-w, X, y, eps)),
    _mistake("delta is returned, not X + delta. The perturbed input is asked for.", ([1], [0.5], 1,
             0.25), lambda w, X, y, eps: _clipped(w, X, y, eps) - X),
    _mistake("the label y is missing. For y = -1 the worst move has the other sign.",
             ([1], [0.5], -1, 0.25), lambda w, X, y, eps: np.clip(X - eps * np.sign(w), 0, 1)),
    _mistake("only one side of the box is kept. A pixel may leave below 0 and above 1.",
             ([-1], [0.75], 1, 0.5), lambda w, X, y, eps: np.maximum(_free(w, X, y, eps), 0)),
    *(_mistake("a pixel of weight 0 moves. It changes no margin; by convention it stays: sign(0) "
               "= 0, and a weight that is not above 0 need not be below.", ([0], [0.5], 1, 0.25),
               changed(_clipped, ("y[:, None] * eps * np.sign(w)", f"eps * (2 * ({falls}) - 1)")))
      for falls in ("y[:, None] * w > 0", "y[:, None] * w >= 0", "(w >= 0) == (y[:, None] > 0)")),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    rng, found = np.random.default_rng(6), []
    for eps in (0.1, 0.45, 1.5, 0.0):
        X = np.clip(rng.uniform(-0.3, 1.3, (6, 4)), 0, 1)
        found.append((rng.normal(size=4), X, rng.choice([-1.0, 1.0], 6), eps))
    X, y = np.array([[0.5, 0.25], [0.0, 1.0]]), a(1, -1)
    found += [(a(0, -1), X, y, 0.5), (a(0, 0), X, y, 0.5)]
    return [("box_attack", args) for args in found]


def prove(s):
    """Held against every corner of ball and box together."""
    for name, args in cases():
        w, X, y, eps = args
        found = s(name, *args)
        s.holds(found.min() >= 0 and found.max() <= 1, "a pixel leaves [0, 1]")
        s.holds(np.abs(found - X).max() <= eps + 1e-12, "a pixel moves by more than eps")
        low, high = np.maximum(X - eps, 0)[:, None], np.minimum(X + eps, 1)[:, None]
        ends = np.where(corners(len(w)) > 0, high, low)
        excess = y * (found @ w) - (y[:, None] * (ends @ w)).min(axis=1)
        s.holds(excess.max() < 1e-12, f"a corner is worse for row {excess.argmax()}")
    s.agrees()
    return "no corner of ball and box together is worse; pixels on the side, w = 0, eps = 0 and > 1"
