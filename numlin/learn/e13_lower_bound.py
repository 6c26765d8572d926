"""A lower bound from any dual point, made feasible.

How good is the best classifier? Since max(0, r) = max over 0 <= t <= 1 of t r, with a_i = t_i / n
the robust objective of exercise 4 is, for the worst a with 0 <= a_i <= 1/n,

    F(w, b) = max over a of  sum a_i - b sum a_i y_i - w.(sum a_i y_i x_i) + eps ||w||_1 sum a_i.

Whatever a is taken, F is at least what stands there. So sum a_i <= F(w, b) for *every* classifier
if the terms in b and w cannot pull it down. Show that this asks for, besides 0 <= a_i <= 1/n,

    sum a_i y_i = 0    and    ||sum a_i y_i x_i||_inf <= eps sum a_i.

A solver's a misses that by a little. Repair it, losing little: bring each a_i into its interval;
scale the heavier class *down*, to a = 0 if the other is empty; and if the last condition fails,
mix with a given `inner` point that meets it strictly and the others too, (1 - t) a + t inner, with
a small t that provably suffices: the excess of a mixture is at most the mixture of the excesses.
"""

import numpy as np

from numlin.learn.grading import Mistake, a, worst_case


def make_feasible(a, inner, X, y, eps):
    """A feasible a (n_samples,); a and inner (n_samples,), X (n_samples, n_features)."""
    raise NotImplementedError


def _twin(low=0.0, cap=lambda n: 1 / n, balance=True, mix="mix", label=True):
    """The repair with one thing changed."""

    def excess(a, X, y, eps):
        return np.abs((a * y if label else a) @ X).max() - eps * a.sum()

    def make_feasible(a, inner, X, y, eps):
        a = np.clip(a, low, cap(len(y)))
        heavy, light = (a[y == k].sum() for k in (1, -1))
        if balance is True:
            least = min(heavy, light)
            a = a * np.where(y > 0, least / (heavy or 1), least / (light or 1))
        elif balance == "up":
            a = a * np.where(y > 0, max(1, light / (heavy or 1)), max(1, heavy / (light or 1)))
        over, slack = excess(a, X, y, eps), -excess(inner, X, y, eps)
        if over <= 0 or mix == "none":
            return a
        share = over / (over + slack)
        if mix == "scale":
            return a * eps * a.sum() / np.abs((a * y) @ X).max()
        return a + (1 - share if mix == "other" else share) * (inner - a)

    return make_feasible


OWN = {"make_feasible": _twin()}
SOURCE = ("numlin.optimum:lower_bound", "numlin.optimum:_balanced")
HINTS = (
    "np.clip; then the two class sums: the smaller over the larger is the factor of the heavier.",
    "Let e(a) = ||sum a_i y_i x_i||_inf - eps sum a_i; it is convex. Find t with "
    "(1 - t) e(a) + t e(inner) = 0.",
)
DIFFERS = "numlin returns the sum, moved to the safe side of its rounding: a theorem."


def _mistake(text, point, **changed):
    """On x = 1 (y = -1), x = 2 and x = 1 (y = +1), eps = 1/4, inner = (1/4, 0, 1/4)."""
    X, y = np.array([[1.0], [2.0], [1.0]]), a(-1, 1, 1)
    return Mistake(
        "make_feasible", text, _twin(**changed), (a(*point), a(0.25, 0, 0.25), X, y, 0.25)
    )


MISTAKES = (
    _mistake("negative a_i are kept. t_i >= 0: with a negative one, t r is not below max(0, r).",
             (0.25, -0.25, 0.25), low=-np.inf),
    _mistake("a_i above 1/n are kept. t_i <= 1: with a larger one, t r is not below max(0, r).",
             (0.5, 0, 0.5), cap=lambda n: np.inf),
    _mistake("the classes are not balanced. Unless sum a_i y_i = 0, some b pulls the bound down "
             "to minus infinity.", (0.25, 0, 0.125), balance=False),
    _mistake("the lighter class is scaled up. That can carry an a_i above 1/n; scaling down "
             "cannot.", (1 / 3, 0, 0.25), balance="up"),
    _mistake("the condition on sum a_i y_i x_i is not met. Where |sum_i a_i y_i x_ij| > eps sum "
             "a_i, some w_j pulls the bound down.", (0.25, 0.25, 0), mix="none"),
    _mistake("a is scaled down as a whole. Both sides of ||sum a_i y_i x_i|| <= eps sum a_i "
             "shrink alike: no factor mends it.", (0.25, 0.25, 0), mix="scale"),
    _mistake("the shares of the mixture are exchanged. At t = 0 the mixture is a itself: the more "
             "a exceeds, the larger t.", (0.3, 0.3, 0), mix="other"),
    _mistake("the label y is missing in sum a_i y_i x_i. The slope of the i-th margin in w is y_i "
             "x_i.", (0.25, 0, 0.25), label=False),
)  # fmt: skip


def cases():
    rng, found = np.random.default_rng(13), [("make_feasible", m.example) for m in MISTAKES]
    for n, d in ((8, 3), (9, 2), (6, 4)):
        X, y = rng.uniform(size=(n, d)), np.where(np.arange(n) % 3, 1.0, -1.0)
        inner = np.where(y > 0, 0.3 / (y > 0).sum(), 0.3 / (y < 0).sum())
        eps = 0.55 * np.abs((inner * y) @ X).max() / 0.3
        points = (
            rng.uniform(-0.5, 2, n) / n,
            inner,
            0 * y,
            -y,
            (y > 0) / n,
            9 * rng.uniform(size=n),
        )
        found += [("make_feasible", (point, inner, X, y, eps)) for point in points]
    return found


def prove(s):
    rng = np.random.default_rng(0)
    for name, args in cases():
        _, _, X, y, eps = args
        found, least = s(name, *args), s.exercise.OWN[name](*args).sum()
        ends = found.min() >= -1e-12 and found.max() <= 1 / len(y) + 1e-12
        s.holds(ends, f"leaves [0, 1/n]: {found}")
        s.holds(abs(found @ y) < 1e-12, f"sum a_i y_i = {found @ y:.6g}, not 0")
        reach, most = np.abs((found * y) @ X).max(), eps * found.sum()
        s.holds(reach <= most + 1e-12, f"||sum a_i y_i x_i|| = {reach:.6g}, above {most:.6g}")
        for v in rng.normal(size=(20, X.shape[1] + 1)) * rng.uniform(0, 3, (20, 1)):
            F = worst_case(v[:-1], v[-1], X, y, eps)
            s.holds(found.sum() <= F + 1e-12, f"bound {found.sum():.6g}, but F = {F:.6g} at {v}")
        s.holds(found.sum() > least - 1e-9, f"bound {found.sum():.6g}, possible {least:.6g}")
    return f"all conditions; below F of {20 * len(cases())} classifiers; no less than numlin's"
