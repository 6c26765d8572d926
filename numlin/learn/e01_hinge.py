"""The hinge and its subgradient.

A linear classifier touches its data only through margins m = y (w.x + b). The hinge loss

    loss(m) = max(0, 1 - m)

asks for a margin of 1, not only for the right side. It is convex, and smooth but for one point.
A number s is a subgradient at m if the line through (m, loss(m)) with slope s lies nowhere above
the loss: loss(k) >= loss(m) + s (k - m) for every k. Where the loss is smooth only one s does
that. Find the others. Among them numlin takes the one by which a sample counts as active when
m < 1, strictly.
"""

from functools import partial

import numpy as np

from numlin import losses
from numlin.gradcheck import check_gradient, check_subgradient
from numlin.learn.grading import Mistake, a, beside, passes


def hinge(margin):
    """The loss of every margin; an array of any shape gives an array of that shape."""
    raise NotImplementedError


def hinge_derivative(margin):
    """A subgradient at every margin, same shape, floating point."""
    raise NotImplementedError


OWN = {"hinge": losses.hinge, "hinge_derivative": losses.hinge_derivative}
SOURCE = ("numlin.losses:hinge", "numlin.losses:hinge_derivative")
HINTS = (
    "Draw the loss. To the left of m = 1 it falls by 1 when m grows by 1; what does it do right?",
    "np.maximum compares an array with a number; np.where chooses by a condition, strict here.",
)
DIFFERS = "numlin's keeps the type of the margins: training in float32 stays in float32."
MISTAKES = (
    Mistake("hinge", "the maximum with 0 is missing. A margin above 1 costs nothing; without the "
            "maximum it earns something.", lambda m: 1 - m, (a(3),)),
    Mistake("hinge", "the perceptron's loss max(0, -m). The hinge asks for a margin of 1: it "
            "already costs where m < 1, not only where m < 0.", lambda m: np.maximum(0, -m),
            (a(0.5),)),
    Mistake("hinge_derivative", "weak inequality for strict: the kink counts as active. At m = 1 "
            "every number in [-1, 0] is a subgradient; active means m < 1, so 0 is taken.",
            lambda m: np.where(m <= 1, -1.0, 0.0), (a(1),)),
    Mistake("hinge_derivative", "a subgradient at the kink, but not the one asked for. Every "
            "number in [-1, 0] is one at m = 1; active means m < 1, strictly, so 0 is taken.",
            lambda m: np.where(m == 1, -0.5, np.where(m < 1, -1.0, 0.0)), (a(1),)),
    Mistake("hinge_derivative", "the sign: the loss falls as the margin grows. 1 - m has the "
            "slope -1 in m: the minus of the inner function is lost.",
            lambda m: np.where(m < 1, 1.0, 0.0), (a(0),)),
    Mistake("hinge_derivative", "active below 0 instead of below 1. The kink is where 1 - m = 0. "
            "A margin between 0 and 1 is correct and still costs.",
            lambda m: np.where(m < 0, -1.0, 0.0), (a(0.5),)),
    Mistake("hinge_derivative", "the slope of the squared hinge. The hinge is a straight line "
            "below 1: its slope there does not depend on m.", lambda m: -2 * np.maximum(0, 1 - m),
            (a(0),)),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    margins = (np.linspace(-3, 3, 13), np.array([[1.0, 1.0], [0.0, 2.0]]), np.array(-0.3), a(-1e9))
    return [(name, (m,)) for m in margins for name in OWN]


def prove(s):
    """Held against central differences away from the kink, the subgradient inequality at it."""

    def f(m):
        return sum(max(0.0, 1.0 - k) for k in m)

    for m in np.linspace(-3, 3, 13):
        found = s("hinge", a(m))
        s.holds(abs(found[0] - f([m])) < 1e-12, beside(found, a(f([m]))))
    slope = partial(s, "hinge_derivative")
    smooth = check_gradient(f, slope, a(-2, 0.5, 0.9, 1.1, 3), lambda m: {"1 - m": 1 - m})
    passes(smooth, "slope away from the kink")
    passes(check_subgradient(f, slope, a(1, 1, 0)), "at the kink")
    s.agrees()
    return "10 central differences, 276 subgradient inequalities at the kink"
