"""The dual norm, and who attains it.

An adversary may add any delta with ||delta|| <= 1 to x. A linear score w.x then moves by at most

    ||w||_* = max over ||v|| <= 1 of w.v,

the dual of the norm that measures delta. Derive it, and a v that attains it, when ||.|| is

    "linf"  max_j |v_j|        "l2"  sqrt(sum_j v_j^2)        "l1"  sum_j |v_j|.

A linear function is largest at a corner of the two that have corners, and Cauchy and Schwarz know
the third. Conventions: sign(0) = 0; in the l1 ball, of several equally good pixels the first alone
is moved; w = 0 has v = 0.
"""

import numpy as np

from numlin.balls import Ball
from numlin.learn.grading import Mistake, a, corners


def dual_norm(w, norm):
    """||w||_*, a float; w (n_features,), norm "linf", "l2" or "l1" is the one that measures v."""
    raise NotImplementedError


def dual_vector(w, norm):
    """A v (n_features,) of norm <= 1 with w.v = ||w||_*."""
    raise NotImplementedError


OWN = {
    "dual_norm": lambda w, norm: Ball(norm).dual_norm(w),
    "dual_vector": lambda w, norm: Ball(norm).dual_vector(w),
}
SOURCE = ("numlin.balls:Ball.dual_norm", "numlin.balls:Ball.dual_vector")
HINTS = (
    "l-inf: each v_j is chosen in [-1, 1] on its own. l1: one unit is shared out among the pixels.",
    "l-inf and l1 are dual to each other, l2 to itself. Divide by a norm only where it is not 0.",
)
DIFFERS = "numlin divides by the largest |w_j| first, so that no square over- or underflows."


def _vector(norm, wrong):
    """numlin's maximiser, but for one norm."""
    return lambda w, kind: wrong(w) if kind == norm else Ball(kind).dual_vector(w)


def _first_unit(w):
    v = np.zeros_like(w)
    v[np.argmax(np.abs(w))] = 1
    return v


MISTAKES = (
    Mistake("dual_norm", "the norm itself instead of its dual. The adversary's norm limits v; w "
            "is measured by the dual: with every |v_j| <= 1 the most that w.v can be is a sum.",
            lambda w, norm: Ball({"linf": "l1", "l2": "l2", "l1": "linf"}[norm]).dual_norm(w),
            (a(3, 4), "linf")),
    Mistake("dual_norm", "the square root is missing in l2. A norm doubles when w doubles; a sum "
            "of squares becomes four times as large.",
            lambda w, norm: w @ w if norm == "l2" else Ball(norm).dual_norm(w), (a(3, 4), "l2")),
    Mistake("dual_norm", "the absolute value is missing. The adversary chooses the sign of v_j, "
            "so a negative weight serves it as well.",
            lambda w, norm: {"linf": w.sum(), "l2": np.sqrt(w @ w), "l1": w.max()}[norm],
            (a(-3, -4), "linf")),
    Mistake("dual_vector", "sign(0) is 1. A weight of 0 gives the adversary nothing; by "
            "convention it does not move that pixel.",
            _vector("linf", lambda w: np.where(w >= 0, 1.0, -1.0)), (a(0, 2), "linf")),
    Mistake("dual_vector", "v is longer than 1 in l2: w is not divided by its norm. w.w is sum_j "
            "w_j^2; for w.v to be the norm of w, v must be w divided by it.",
            _vector("l2", lambda w: w.copy()), (a(3, 4), "l2")),
    Mistake("dual_vector", "0/0 at w = 0 in l2. At w = 0 every v of the ball attains the maximum, "
            "0; take v = 0.", _vector("l2", lambda w: w / np.sqrt(w @ w)), (a(0, 0), "l2")),
    Mistake("dual_vector", "v is longer than 1 in l1: every pixel moves. In the l1 ball the |v_j| "
            "share one unit: all of it goes to the largest weight.", _vector("l1", np.sign),
            (a(3, 4), "l1")),
    Mistake("dual_vector", "the sign is lost in l1. A negative weight gains from a negative move.",
            _vector("l1", _first_unit), (a(3, -4), "l1")),
    Mistake("dual_vector", "in l1 all of several equal weights move. The unit is spent once: by "
            "convention on the first of them.",
            _vector("l1", lambda w: np.sign(w) * (np.abs(w) == np.abs(w).max())), (a(2, -2), "l1")),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    rng = np.random.default_rng(3)
    vectors = [*rng.normal(size=(3, 4)), a(0, 2, 0, -1), a(3, -3, 3), a(0, 0), a(-5)]
    return [(name, (w, norm)) for w in vectors for norm in ("linf", "l2", "l1") for name in OWN]


def prove(s):
    """Held against every corner of each ball and random rivals inside."""
    rng = np.random.default_rng(0)
    for w, norm in (args for name, args in cases() if name == "dual_norm"):
        d, order = len(w), {"linf": np.inf, "l2": 2, "l1": 1}[norm]
        rivals = np.concatenate([corners(d), np.eye(d), -np.eye(d), rng.normal(size=(99, d))])
        most = (rivals @ w / np.linalg.norm(rivals, order, axis=1)).max()
        value = s("dual_norm", w, norm)
        s.holds(value >= most - 1e-12, f"is {value:.6g}, but a v of norm 1 has w.v = {most:.6g}")
        v = s("dual_vector", w, norm)
        length = np.linalg.norm(v, order)
        s.holds(length <= 1 + 1e-12, f"has norm {length:.6g}, expected at most 1")
        s.holds(abs(w @ v - value) < 1e-12, f"w.v = {w @ v:.6g}, but your norm is {value:.6g}")
    s.agrees()
    return "every corner of each ball and 99 rivals inside; ||v|| <= 1; w.v; ties, w = 0"
