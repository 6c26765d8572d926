"""A small certificate, checked in fractions.

Exercise 13 gives sum a_i <= F(w, b) for every feasible a and every classifier. So whoever shows a
classifier (w, b) and a feasible a of *equal* value has proved that nothing is better: no solver
needs to be trusted, only arithmetic, if it is exact.

Given such a certificate in `fractions.Fraction`, say whether it proves that `value` is the minimum
of F. Write down every condition that the argument uses, and check each one exactly, <= where it
says <=. No number may become a float: those that cheat do so by 1e-30.
"""

from fractions import Fraction
from operator import mul

import numpy as np

from numlin.learn.grading import Mistake, worst_case


def proves(w, b, a, value, X, y, eps):
    """True or False. w (n_features,) and a (n_samples,) are lists of Fraction, X a list of such
    lists, y a list of -1 and 1; b, value and eps are Fractions.
    """
    raise NotImplementedError


def _twin(skip="", number=Fraction, strict="", hinge=max, size=abs):
    """The check with one thing changed."""

    def within(name, low, high):
        return low < high if name == strict else low <= high

    def proves(w, b, a, value, X, y, eps):
        w, a, *X = (list(map(number, v)) for v in (w, a, *X))
        b, value, eps, n = number(b), number(value), number(eps), number(len(y))
        drop = eps * sum(map(abs, w))
        margins = [k * (sum(map(mul, w, x)) + b) - drop for x, k in zip(X, y)]
        moments = [sum(map(mul, map(mul, a, y), column)) for column in zip(*X)]
        conditions = {
            "above": all(v >= 0 for v in a),
            "below": all(within("below", v * n, 1) for v in a),
            "balance": sum(map(mul, a, y)) == 0,
            "reach": all(within("reach", size(m), eps * sum(a)) for m in moments),
            "primal": sum(hinge(0, 1 - m) for m in margins) / n == value,
            "dual": sum(a) == value,
        }
        return all(met for name, met in conditions.items() if name != skip)

    return proves


OWN = {"proves": _twin()}
SOURCE = ("numlin.optimum.proof.verifier:verify",)
HINTS = (
    "A feasible a meets four conditions (exercise 13); and F(w, b) = value, and sum a_i = value.",
    "Fractions add, multiply and compare exactly; NumPy arrays of floats and 0.5 do not.",
)
DIFFERS = "numlin's reads a file that names the data by hash, and works in integers."


def _claim(w, b, a, value, x, y, eps):
    """The arguments for samples x of one pixel."""
    w, a, x = (list(map(Fraction, v)) for v in (w, a, x))
    return w, Fraction(b), a, Fraction(value), [[v] for v in x], y, Fraction(eps)


def _mistake(text, *claim, **changed):
    return Mistake("proves", text, _twin(**changed), _claim(*claim))


HALF, TINY = ["1/2", "1/2"], Fraction(1, 10**30)
SIX = [0, "3/4", "-5/4", 1, "1/4", "9/4"], [-1, -1, -1, 1, 1, 1], "1/16"  # minimum 4/7, by hand
PROOF = _claim(["16/7"], "-8/7", ["5/42", "1/6", 0] * 2, "4/7", *SIX)
MISTAKES = (
    _mistake("a_i <= 1/n is not checked. Larger a_i prove nothing: t r is not below max(0, r) for "
             "t > 1. The minimum is 1 here.", [0], 2, ["3/4", "3/4"], "3/2", [0, 1], [-1, 1], 1,
             skip="below"),
    _mistake("a_i >= 0 is not checked. A negative a_i proves nothing: t r is not below max(0, r) "
             "for t < 0. The minimum is 4/7 here.", ["8/7"], "-4/7", ["1/6", "1/6", "-1/42"] * 2,
             "13/21", *SIX, skip="above"),
    _mistake("sum a_i y_i = 0 is not checked. Else some b pulls the bound down: here b = 1 is "
             "better, 2/3.", [0], 0, ["1/3", "1/3", "1/3"], 1, [0, 1, 1], [-1, 1, 1], 1,
             skip="balance"),
    _mistake("|sum a_i y_i x_ij| <= eps sum a_i is not checked. Else some w_j pulls the bound "
             "down: these two samples can be separated, the minimum is 0.", [0], 0, HALF, 1,
             [0, 1], [-1, 1], "1/4", skip="reach"),
    _mistake("the absolute value is missing in |sum a_i y_i x_ij|. w_j may be negative: these two "
             "samples can be separated, the minimum is 0.", [0], 0, HALF, 1, [1, 0], [-1, 1],
             "1/4", size=lambda r: r),
    _mistake("F(w, b) is not computed. The bound 1 is right, but this classifier does not reach "
             "it: F(w, b) = 3/2.", [0], 2, HALF, 1, [0, 1], [-1, 1], "1/2", skip="primal"),
    _mistake("sum a_i is not compared. This classifier has the value 1, but a = 0 bounds F by 0 "
             "only: nothing is proved.", [0], 0, [0, 0], 1, [0, 1], [-1, 1], "1/2", skip="dual"),
    _mistake("fractions become floats. This a_i is 1/2 + 1e-30, which a float does not hold, and "
             "so is above 1/n.", [0], 0, [Fraction(1, 2) + TINY] * 2, 1, [0, 1],
             [-1, 1], 1, number=float),
    _mistake("strict for weak inequality in a_i <= 1/n. Equality is allowed, and at a minimum "
             "above 0 it is met by every sample below the margin.",
             [0], 0, HALF, 1, [0, 1], [-1, 1], 1, strict="below"),
    _mistake("strict for weak inequality in <= eps sum a_i. Equality is allowed; at a minimum it "
             "is the rule for every pixel that has a weight.",
             [0], 0, HALF, 1, [0, 1], [-1, 1], "1/2", strict="reach"),
    _mistake("the maximum with 0 is missing in F. A robust margin above 1 costs nothing; it earns "
             "nothing either.", [4], -2, [0, 0], 0, [0, 1], [-1, 1], "1/8",
             hinge=lambda zero, r: r),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    found, (w, b, a, value, X, *data) = [m.example for m in MISTAKES], PROOF
    for sign in (1, -1):
        w, X = [sign * w[0], Fraction(0)], [[sign * x[0], Fraction(1, 2)] for x in X]
        found += [(w, b, a, value, X, *data), (w, b, a, value + TINY, X, *data)]
        found += [(w, b + TINY, a, value, X, *data), ([2 * v for v in w], b, a, value, X, *data)]
        found += [(w, b, [v + TINY for v in a], value, X, *data), (w, b, a[::-1], value, X, *data)]
    return [("proves", args) for args in found]


def prove(s):
    """Held against true proofs, and cheats that only one condition notices."""
    rng = np.random.default_rng(0)
    for name, args in cases():
        w, b, _, value, X, y, eps = args
        if s(name, *args):  # then no classifier around may be better
            X, y, v = np.array(X, float), np.array(y, float), np.array([*w, b], float)
            for u in v + rng.normal(size=(50, len(v))) * rng.choice([0.1, 1], (50, 1)):
                F = worst_case(u[:-1], u[-1], X, y, float(eps))
                s.holds(value - 1e-9 < F, f"is accepted, but F = {F:.6g} at (w, b) = {u}")
    s.agrees()
    return "true proofs accepted, cheats by 1e-30 and by each condition refused; rivals of the rest"
