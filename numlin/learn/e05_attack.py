"""The attack in closed form.

Given w, the adversary of exercise 4 moves a sample x of label y to the x_adv with

    |x_adv_j - x_j| <= eps for every pixel j,    y (w.x_adv + b) as small as it can be.

The score is linear, so no search is needed: each pixel moves on its own. Write the worst input of
every sample. A pixel whose weight is 0 stays where it is.
"""

import numpy as np

from numlin import attacks
from numlin.learn.grading import Mistake, a, corners, samples


def attack(w, X, y, eps):
    """X_adv (n_samples, n_features); w (n_features,), y (n_samples,) of -1.0 and +1.0, eps >= 0."""
    raise NotImplementedError


OWN = {"attack": lambda w, X, y, eps: attacks.attack(w, 0.0, X, y, eps).X_adv}
SOURCE = ("numlin.balls:Ball.delta", "numlin.attacks:attack")
HINTS = (
    "One pixel: the margin changes by y w_j delta_j with |delta_j| <= eps. Which delta_j is worst?",
    "Only the sign of y w_j matters. y belongs to rows, w to columns: give y a second axis.",
)
DIFFERS = "numlin's also attacks in l2 and l1 and scores what it made to decide success."


def _mistake(text, example, wrong):
    w, x, y, eps = example
    return Mistake("attack", text, wrong, (a(*w), np.array([x], float), a(y), eps))


MISTAKES = (
    _mistake("the label y is missing. For y = -1 the margin is -(w.x + b): the worst move has the "
             "other sign.", ([1], [0], -1, 0.5),
             lambda w, X, y, eps: X - eps * np.sign(w) * np.ones_like(X)),
    _mistake("maximum for minimum: this attack helps the classifier. The margin must fall: y "
             "w.delta is to be negative.", ([1], [0], 1, 0.5),
             lambda w, X, y, eps: X + y[:, None] * eps * np.sign(w)),
    _mistake("a step along the gradient w instead of its sign. In the l-inf ball every pixel has "
             "eps to spend, whatever its weight; along w the weak pixels spend less, the strong "
             "ones more than they may.", ([2], [0], 1, 0.5),
             lambda w, X, y, eps: X - y[:, None] * eps * w),
    _mistake("the l2 attack. w / ||w||_2 is worst among delta of length eps; here every single "
             "pixel may move by eps.", ([3, 4], [0, 0], 1, 0.5),
             lambda w, X, y, eps: X - y[:, None] * eps * w / np.sqrt(w @ w)),
    _mistake("sign(0) is 1. A pixel of weight 0 changes no margin; by convention it stays.",
             ([0], [0], 1, 0.5),
             lambda w, X, y, eps: X - y[:, None] * eps * np.where(w >= 0, 1.0, -1.0)),
    _mistake("delta instead of X + delta. The perturbed input is asked for, not the perturbation.",
             ([1], [1], 1, 0.5),
             lambda w, X, y, eps: -y[:, None] * eps * np.sign(w) * np.ones_like(X)),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    return [("attack", (w, X, y, eps)) for w, _, X, y, eps in samples()]


def prove(s):
    """Held against every corner of the ball."""
    for name, args in cases():
        w, X, y, eps = args
        found = s(name, *args)
        farthest = np.abs(found - X).max()
        s.holds(farthest <= eps + 1e-12, f"a pixel moves by {farthest:.6g}, more than eps")
        least = (y[:, None] * ((X[:, None] + eps * corners(len(w))) @ w)).min(axis=1)
        excess = y * (found @ w) - least
        s.holds(excess.max() < 1e-12, f"a corner is worse for row {excess.argmax()}: {least}")
    s.agrees()
    return "no corner of the ball is worse, no pixel moves by more than eps; w = 0, eps = 0"
