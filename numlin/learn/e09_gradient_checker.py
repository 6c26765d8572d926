"""A gradient checker that is not fooled by a kink.

Exercise 8 compares a gradient with the function. Three things fool the simple version.

    Scale    A difference of 1e-6 is nothing beside 1e8, and everything beside 1e-8.
    Places   One wrong coordinate of many is one mistake; so is a NaN.
    Kinks    Where f bends between x - h d and x + h d, D(h) is an average of two slopes and says
             nothing, be it equal to the gradient or not.

f is smooth wherever no entry of kinks(x) changes sign (an entry of 0 at x itself is a kink too).
For every coordinate: find a step h, from 1e-4 down to 1e-7, such that kinks have the same signs at
x - h d, x and x + h d. Judge what can be judged, to a relative error of 1e-4. Say "fail" if any
coordinate is wrong, else "inconclusive" if for one there is no such step, else "pass".
"""

import numpy as np

from numlin.gradcheck import check_gradient
from numlin.learn.grading import Mistake, Named, a, show


def verdict(f, gradient, x, kinks):
    """The word "pass", "fail" or "inconclusive"; f(x) a float, gradient(x) (n,), kinks(x) (k,)."""
    raise NotImplementedError


def _own(f, gradient, x, kinks):
    if not np.isfinite(gradient(x)).all():
        return "fail"
    report = check_gradient(f, gradient, x, lambda u: {"kinks": kinks(u)}, rtol=1e-6, directions=0)
    return str(report.verdict)


OWN = {"verdict": _own}
SOURCE = ("numlin.gradcheck:check_gradient", "numlin.gradcheck:check_subgradient")
HINTS = (
    "Halve h until np.sign(kinks(...)) is the same at the three points. No such h: inconclusive.",
    "|D - g| <= rtol max(|D|, |g|) needs no division and passes 0 beside 0. A NaN compares false.",
)
DIFFERS = "numlin's extrapolates, bounds rounding, adds random directions and names kinks."


def _checker(low=1e-7, watch=True, blind="inconclusive", places=None, slack=None, rtol=1e-5,
             gap=abs, order=("fail", "inconclusive", "pass")):  # fmt: skip
    """A checker with one thing changed."""

    def judge(f, gradient, x, kinks):
        g, words, k = gradient(x), [], np.sign(kinks(x))
        for j, d in list(enumerate(np.eye(len(x))))[:places]:
            h = 1e-4
            while h > low:
                ends = [np.sign(kinks(x + side * h * d)) for side in (-1, 1)]
                if not watch or np.array_equal(ends, [k, k]):
                    D = (f(x + h * d) - f(x - h * d)) / (2 * h)
                    close = gap(D - g[j]) <= (slack or rtol * max(abs(D), abs(g[j])))
                    words.append("pass" if close else "fail")
                    break
                h /= 2
            else:
                words.append(blind)
        return next(word for word in order if word in words)

    return judge


SMOOTH = Named("no kinks", lambda x: np.ones(1))
CUBIC = Named("x -> sum of x^3", lambda x: float((x**3).sum()))
SQUARE = Named("x -> x.x", lambda x: float(x @ x))
ABS = Named("x -> sum of |x|", lambda x: float(np.abs(x).sum()))
ITSELF = Named("x -> x", lambda x: x)


def _constant(*g):
    return Named(f"always {list(g)}", lambda x: a(*g))


def _scaled(c, f):
    return Named(f"{show(c)} times {f}", lambda x: c * f(x))


def _mistake(text, example, **changed):
    return Mistake("verdict", text, _checker(**changed), example)


MISTAKES = (
    _mistake("kinks are not looked at. At x = 0, |x| has D(h) = 0 for every h: equal to the "
             "gradient claimed here, and no evidence.", (ABS, _constant(0), a(0), ITSELF),
             watch=False),
    _mistake("at a kink it says pass. Nothing was compared, so nothing passed: that is what "
             "inconclusive is for.", (ABS, _constant(1), a(0), ITSELF), blind="pass"),
    _mistake("at a kink it says fail. D(h) averages two slopes there; that it differs from a "
             "subgradient is no fault of this one.", (ABS, _constant(1), a(0), ITSELF),
             blind="fail"),
    _mistake("one step for all: h is not made smaller to avoid a kink. The kink is 1e-5 away: a "
             "step of 1e-6 does not reach it.", (ABS, _constant(1), a(1e-5), ITSELF),
             low=9e-5),
    _mistake("an absolute tolerance. Both slopes are of order 1e-8, one is twice the other: the "
             "difference is small, the mistake not.",
             (_scaled(1e-8, SQUARE), _constant(4e-8), a(1), SMOOTH), slack=1e-5),
    _mistake("only the first coordinate is checked. The second slope of x^3 at x = 1 is 3, and 4 "
             "is claimed.", (CUBIC, _constant(3, 4), a(1, 1), SMOOTH), places=1),
    _mistake("a tolerance that lets mistakes of a percent through. A slope of 3 with 3.01 claimed "
             "is off by 3 in 1,000: D(h) knows it to 8 digits here.",
             (CUBIC, _constant(3.01), a(1), SMOOTH), rtol=0.01),
    _mistake("the sign of the difference: D - g instead of |D - g|. A gradient that is too large "
             "makes D - g negative, and that is below any tolerance.",
             (CUBIC, _constant(4), a(1), SMOOTH), gap=float),
    _mistake("a NaN passes. All comparisons with a NaN are false: ask whether the gap is small, "
             "not whether it is large.", (CUBIC, _constant(np.nan), a(1), SMOOTH),
             gap=lambda v: np.nan_to_num(abs(v))),
    _mistake("inconclusive hides a fail. The first coordinate sits on a kink; the second has "
             "slope 1 and 2 is claimed: that is wrong.", (ABS, _constant(0, 2), a(0, 3), ITSELF),
             order=("inconclusive", "fail", "pass")),
)  # fmt: skip


def cases():
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
    truth = "pass fail fail fail fail pass pass fail pass pass fail inconclusive pass".split()
    for (name, args), word in zip(cases(), truth):
        found = s(name, *args)
        s.holds(found == word, f"yours says {found}, but it is: {word}")
    s.agrees()
    return "right gradients of any scale pass, planted mistakes fail, kinks are known"
