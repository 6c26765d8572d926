"""A lower bound from any dual point, made feasible.

How good is the best classifier? Since max(0, r) = max over 0 <= t <= 1 of t r, with a_i = t_i / n
the robust objective of exercise 4 is, for the worst a with 0 <= a_i <= 1/n,

    F(w, b) = max over a of  sum a_i - b sum a_i y_i - w.(sum a_i y_i x_i) + eps ||w||_1 sum a_i.

Whatever a is taken, F is at least what stands there. So sum a_i <= F(w, b) for *every* classifier
if the terms in b and w cannot pull it down. Show that this asks for, besides 0 <= a_i <= 1/n,

    sum a_i y_i = 0    and    ||sum a_i y_i x_i||_inf <= eps sum a_i.

A solver's a misses that by a little. Repair it, losing little: bring each a_i into its interval;
scale the class of the larger sum *down* to the other's sum (to a = 0 if that is 0 by now); and if
the last condition fails, mix with a given `inner` point that meets it strictly and the others too,
(1 - t) a + t inner. The excess of a mixture is at most the mixture of the excesses: take the
smallest t that this shows to suffice.
"""

import numpy as np

from numlin.learn.grading import Mistake, a, changed, show, worst_case


def make_feasible(a, inner, X, y, eps):
    """A feasible a (n_samples,); a and inner (n_samples,), X (n_samples, n_features)."""
    raise NotImplementedError


def _own(a, inner, X, y, eps):
    def excess(a):
        return np.abs((a * y) @ X).max() - eps * a.sum()

    a = np.clip(a, 0, 1 / len(y))
    up, down = a[y > 0].sum(), a[y < 0].sum()
    if min(up, down) == 0:
        return 0 * a
    a = a * np.where(y > 0, min(1, down / up), min(1, up / down))
    e, slack = excess(a), -excess(inner)
    return a if e <= 0 else a + e / (e + slack) * (inner - a)


OWN = {"make_feasible": _own}
SHOWN = (_own,)
SOURCE = ("numlin.optimum:lower_bound", "numlin.optimum:_balanced")
HINTS = (
    "np.clip; then the two class sums: the smaller over the larger is the factor of the heavier.",
    "Let e(a) = ||sum a_i y_i x_i||_inf - eps sum a_i; it is convex. Find t with "
    "(1 - t) e(a) + t e(inner) = 0.",
)
DIFFERS = "numlin returns the sum, moved to the safe side of its rounding: a theorem."


THREE = a(0.25, 0, 0.25), np.array([[1.0], [2.0], [1.0]]), a(-1, 1, 1), 0.25
FIVE = a(0.1, 0.1, 0.1, 0.15, 0.15), np.full((5, 1), 0.5), a(1, 1, 1, -1, -1), 0.1


def _mirrored(inner, X, y, eps):
    return inner, X, -y, eps


def _mistake(text, point, *swaps, on=THREE):
    return Mistake("make_feasible", text, changed(_own, *swaps), (a(*point), *on))


_FACTORS = "np.where(y > 0, min(1, down / up), min(1, up / down))"
MISTAKES = (
    _mistake("negative a_i are kept. t_i >= 0: with a negative one, t r is not below max(0, r).",
             (0.25, -0.25, 0.25), ("a, 0, 1", "a, None, 1")),
    _mistake("a_i above 1/n are kept. t_i <= 1: with a larger one, t r is not below max(0, r).",
             (0.5, 0, 0.5), ("1 / len(y)", "None")),
    _mistake("the classes are not balanced. Unless sum a_i y_i = 0, some b pulls the bound down "
             "to minus infinity.", (0.25, 0, 0.125), (_FACTORS, "1")),
    _mistake("the lighter class is scaled up. That can carry an a_i above 1/n; scaling down "
             "cannot.", (1 / 3, 0, 0.25), ("min(1", "max(1")),
    *(_mistake("one class is scaled whichever is heavier. Scale down the class of the larger sum: "
               "here the lighter one is scaled up, beyond 1/n.", (0.2, 0, 0, 0.2, 0.2),
               (_FACTORS, factors), on=on)
      for on, factors in ((FIVE, "np.where(y > 0, down / up, 1)"),
                          (_mirrored(*FIVE), "np.where(y < 0, up / down, 1)"))),
    _mistake("the heavier class is taken by the number of its samples. Their sum decides: here two "
             "samples are heavier than three.", (0.2, 0, 0, 0.2, 0.2),
             (_FACTORS, "np.where(y * y.sum() > 0, (down / up) ** np.sign(y.sum()), 1)"), on=FIVE),
    _mistake("the condition on sum a_i y_i x_i is not met. Where |sum_i a_i y_i x_ij| > eps sum "
             "a_i, some w_j pulls the bound down.", (0.25, 0.25, 0), ("e <= 0", "True")),
    _mistake("a is scaled down as a whole. Both sides of ||sum a_i y_i x_i|| <= eps sum a_i "
             "shrink alike: no factor mends it.", (0.25, 0.25, 0), ("(inner - a)", "-a")),
    _mistake("the shares of the mixture are exchanged. At t = 0 the mixture is a itself: the more "
             "a exceeds, the larger t.", (0.3, 0.3, 0), ("e / (e", "slack / (e")),
    _mistake("t = e(a) / (e(a) + e(inner)). e(inner) is negative: (1 - t) e(a) + t e(inner) = 0 "
             "has the difference below.", (0.3, 0.3, 0), ("e + slack", "e - slack")),
    _mistake("the label y is missing in sum a_i y_i x_i. The slope of the i-th margin in w is y_i "
             "x_i.", (0.25, 0.25, 0), ("(a * y)", "a")),
    _mistake("the absolute value is missing in max_j |sum_i a_i y_i x_ij|. An entry far below 0 "
             "pulls the bound down too, with a w_j of the other sign.", (0.25, 0.25, 0),
             ("np.abs((a * y) @ X)", "((a * y) @ X)"), on=_mirrored(*THREE)),
    _mistake("the 2-norm of sum a_i y_i x_i. The dual of the l1 norm is the largest entry: each "
             "|sum_i a_i y_i x_ij| has eps sum a_i to itself.", (0.25, 0.25, 0),
             ("np.abs((a * y) @ X).max()", "np.sqrt((((a * y) @ X) ** 2).sum())"),
             on=(THREE[0], np.array([[0.0, 0], [0.5, 0.5], [0, 0]]), THREE[2], 0.3)),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    rng, found = np.random.default_rng(13), [("make_feasible", m.example) for m in MISTAKES]
    for n, d, few in ((8, 3, -1.0), (9, 2, 1.0), (6, 4, -1.0)):
        X, y = rng.uniform(size=(n, d)), np.where(rng.permutation(n) % 3, -few, few)
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
    """Held against objectives that no bound may exceed, and the certified minimum."""
    rng = np.random.default_rng(0)
    for name, args in cases():
        _, _, X, y, eps = args
        found, least = s(name, *args), s.exercise.OWN[name](*args).sum()
        ends = found.min() >= -1e-12 and found.max() <= 1 / len(y) + 1e-12
        s.holds(ends, f"leaves [0, 1/n]: {show(found)}")
        s.holds(abs(found @ y) < 1e-12, f"sum a_i y_i = {found @ y:.6g}, not 0")
        reach, most = np.abs((found * y) @ X).max(), eps * found.sum()
        s.holds(reach <= most + 1e-12, f"||sum a_i y_i x_i|| = {reach:.6g}, above {most:.6g}")
        for v in rng.normal(size=(20, X.shape[1] + 1)) * rng.uniform(0, 3, (20, 1)):
            F = worst_case(v[:-1], v[-1], X, y, eps)
            s.holds(
                found.sum() <= F + 1e-12, f"bound {found.sum():.6g}, but F = {F:.6g} at {show(v)}"
            )
        loose = f"its sum is {found.sum():.9g}, possible is {least:.9g}"
        true = "feasible here and a true bound, but not the best: a smaller repair suffices"
        s.holds(found.sum() > least - 1e-9, loose, true)
    return f"all conditions; below F of {20 * len(cases())} classifiers; no less than numlin's"
