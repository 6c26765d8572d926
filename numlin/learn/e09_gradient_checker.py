"""A gradient checker that is not fooled by a kink.

Exercise 8 compares a gradient with the function. Three things fool the simple version.

    Scale    A difference of 1e-6 is nothing beside 1e8, and everything beside 1e-8.
    Places   One wrong coordinate of many is one mistake; so is a NaN.
    Kinks    Where f bends between x - h d and x + h d, D(h) is an average of two slopes and says
             nothing, be it equal to the gradient or not.

f is smooth along d wherever no entry of kinks changes its sign, where sign(0) = 0: an entry that is
0 at x but not beside it has changed, one that is 0 all along has not. For every coordinate: find a
step h, from 1e-4 down to 1e-7, such that each entry has one sign at x - h d, x and x + h d. Judge
what can be judged, to 1e-4 relative to the larger of |D| and |g|. Say "fail" if any coordinate is
wrong, else "inconclusive" if for one there is no such step, else "pass". (Where the true slope is 0
rounding is compared with 0, and only an error bound could tell: leave that aside.)
"""

import numpy as np

from numlin.learn.grading import Mistake, Named, a, beside, changed, show


def verdict(f, gradient, x, kinks):
    """The word "pass", "fail" or "inconclusive"; f(x) a float, gradient(x) (n,), kinks(x) (k,)."""
    raise NotImplementedError


def _own(f, gradient, x, kinks):
    g, signs, words = gradient(x), np.sign(kinks(x)), []
    for j, d in enumerate(np.eye(len(x))):
        h, word = 1e-4, "inconclusive"
        while h > 1e-7 and word == "inconclusive":
            left, right = np.sign(kinks(x - h * d)), np.sign(kinks(x + h * d))
            if np.array_equal([left, right], [signs, signs]):
                D = (f(x + h * d) - f(x - h * d)) / (2 * h)
                word = "pass" if abs(D - g[j]) <= 1e-4 * max(abs(D), abs(g[j])) else "fail"
            h /= 2
        words.append(word)
    return next(word for word in ("fail", "inconclusive", "pass") if word in words)


OWN = {"verdict": _own}
SHOWN = (_own,)
SOURCE = ("numlin.gradcheck:check_gradient", "numlin.gradcheck:check_subgradient")
HINTS = (
    "Halve h until np.sign(kinks(...)) is the same at the three points. No such h: inconclusive.",
    "|D - g| <= rtol max(|D|, |g|) needs no division and passes 0 beside 0. A NaN compares false.",
)
DIFFERS = "numlin's extrapolates, bounds rounding, adds random directions and names kinks."


SMOOTH = Named("no kinks", lambda x: np.ones(1))
CUBIC = Named("x -> sum of x^3", lambda x: float((x**3).sum()))
SQUARE = Named("x -> x.x", lambda x: float(x @ x))
ABS = Named("x -> sum of |x|", lambda x: float(np.abs(x).sum()))
ITSELF = Named("x -> x", lambda x: x)
ABS_EACH = Named("x -> |x|", np.abs)
NOTHING = Named("x -> 0 x", lambda x: 0 * x)


def _constant(*g):
    return Named(f"always {list(g)}", lambda x: a(*g))


def _scaled(c, f):
    return Named(f"{show(c)} times {f}", lambda x: c * f(x))


def _mistake(text, example, *swaps):
    return Mistake("verdict", text, changed(_own, *swaps), example)


_LOOK = "np.array_equal([left, right], [signs, signs])"
_D, _MOST = "(f(x + h * d) - f(x - h * d)) / (2 * h)", "max(abs(D), abs(g[j]))"
MISTAKES = (
    _mistake("kinks are not looked at. At x = 0, |x| has D(h) = 0 for every h: equal to the "
             "gradient claimed here, and no evidence.", (ABS, _constant(0), a(0), ITSELF),
             (_LOOK, "True")),
    _mistake("kinks at x itself are not looked at: left and right agree, but not with the middle. "
             "f bends where an entry is 0 at x alone.", (ABS, _constant(0), a(0), ABS_EACH),
             (_LOOK, "np.array_equal(left, right)")),
    *(_mistake("kinks are looked at on one side only. The kink is 1e-5 away on the other side: no "
               "step may reach beyond it.", (ABS, _constant(slope), a(slope * 1e-5), ITSELF),
               (_LOOK, f"np.array_equal({side}, signs)"))
      for side, slope in (("right", 1), ("left", -1))),
    _mistake("a kink entry that is 0 all along d blocks the coordinate. It does not change its "
             "sign: along d it is no kink.", (SQUARE, _constant(2), a(1), NOTHING),
             (_LOOK, "(left * right > 0).all()")),
    _mistake("at a kink it says pass. Nothing was compared, so nothing passed: that is what "
             "inconclusive is for.", (ABS, _constant(1), a(0), ITSELF),
             ('h, word = 1e-4, "inconclusive"', 'h, word = 1e-4, "pass"'),
             ('and word == "inconclusive"', ""), ("h /= 2", "h = h / 2 if word == 'pass' else 0")),
    _mistake("at a kink it says fail. D(h) averages two slopes there; that it differs from a "
             "subgradient is no fault of this one.", (ABS, _constant(1), a(0), ITSELF),
             ("words.append(word)", "words.append('fail' if word == 'inconclusive' else word)")),
    _mistake("one step for all: h is not made smaller to avoid a kink. The kink is 1e-5 away: a "
             "step of 1e-6 does not reach it.", (ABS, _constant(1), a(1e-5), ITSELF),
             ("h /= 2", "h = 0")),
    _mistake("a one-sided difference. Its error is of order h, too much for 1e-4; the central one "
             "has h^2.", (CUBIC, _constant(0.75), a(0.5), SMOOTH),
             (_D, "(f(x + h * d) - f(x)) / h")),
    _mistake("an absolute tolerance. Both slopes are of order 1e-8, one is twice the other: the "
             "difference is small, the mistake not.",
             (_scaled(1e-8, SQUARE), _constant(4e-8), a(1), SMOOTH), (f"1e-4 * {_MOST}", "1e-5")),
    _mistake("a tolerance relative to the whole gradient. Beside a slope of 30,000 the error of "
             "1 % in the other is small, but each coordinate is judged by itself.",
             (CUBIC, _constant(3.03, 3e4), a(1, 100), SMOOTH), (_MOST, "np.linalg.norm(g)")),
    _mistake("only the first coordinate is checked. The second slope of x^3 at x = 1 is 3, and 4 "
             "is claimed.", (CUBIC, _constant(3, 4), a(1, 1), SMOOTH),
             ("np.eye(len(x))", "np.eye(len(x))[:1]")),
    _mistake("the sign of the difference: D - g instead of |D - g|. A gradient that is too large "
             "makes D - g negative, and that is below any tolerance.",
             (CUBIC, _constant(4), a(1), SMOOTH), ("abs(D - g[j])", "D - g[j]")),
    _mistake("a NaN passes. All comparisons with a NaN are false: ask whether the gap is small, "
             "not whether it is large.", (CUBIC, _constant(np.nan), a(1), SMOOTH),
             ('"pass" if abs', '"fail" if abs'), ('else "fail"', 'else "pass"'), ("<=", ">")),
    _mistake("inconclusive hides a fail. The first coordinate is too near to a kink; the second "
             "has slope 1 and 2 is claimed: that is wrong.",
             (ABS, _constant(0, 2), a(1e-9, 3), ITSELF),
             ('"fail", "inconclusive", "pass"', '"inconclusive", "fail", "pass"')),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    right, hinge = Named("3 x^2", lambda x: 3 * x**2), Named("1 - x", lambda x: 1 - x)
    loss = Named("x -> sum max(0, 1 - x)", lambda x: float(np.maximum(0, 1 - x).sum()))
    x, near = a(1, -2, 0.5), a(1e-5, -0.5)
    probes = [
        (CUBIC, right, x, SMOOTH),
        *((CUBIC, _scaled(f, right), x, SMOOTH) for f in (a(1, 1, 1.001), a(1, 1, 0), -1.0)),
        (CUBIC, _constant(np.nan, 12, 0.75), x, SMOOTH),
        *((_scaled(c, SQUARE), _scaled(2 * c, ITSELF), x, SMOOTH) for c in (1e-8, 1e8)),
        (_scaled(1e8, SQUARE), _constant(2e8, -4e8, 1.01e8), x, SMOOTH),
        (_scaled(0.0, SQUARE), _constant(0, 0, 0), x, SMOOTH),
        *((ABS, _constant(1, slope), near, ITSELF) for slope in (-1, -1.01)),
        (loss, _constant(-0.5, 0), a(1, 3), hinge),
        (loss, _constant(-1, 0), a(1 - 1e-5, 3), hinge),
    ]
    return [("verdict", args) for args in probes + [m.example for m in MISTAKES]]


def prove(s):
    """Held against right gradients that must pass and planted mistakes that must not."""
    truth = "pass fail fail fail fail pass pass fail pass pass fail inconclusive pass".split()
    for (name, args), word in zip(cases(), truth):
        found = s(name, *args)
        s.holds(found == word, beside(found, word))
    s.agrees()
    return "right gradients of any scale pass, planted mistakes fail, kinks are known"
