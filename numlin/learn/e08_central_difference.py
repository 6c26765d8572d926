"""Central difference, and the order of its error.

To see whether a derivation is right, compare it with the function itself. Along a direction d,

    f(x + h d) = f(x) + h f'(x).d + h^2/2 f''(x)[d, d] + h^3/6 f'''(x)[d, d, d] + ...

Combine f(x + h d) and f(x - h d) so that f(x) and the term in h^2 drop out, and solve for f'(x).d.
What is left is an error C h^p: which p?

Then measure p instead of believing it: errors at several steps h lie on a straight line in a
suitable picture; p is its slope, fitted by least squares through all of them.
"""

from functools import partial

import numpy as np

from numlin.learn.grading import Mistake, Named, a


def central_difference(f, x, d, h):
    """An estimate of f'(x).d, a float; f takes x (n_features,), d (n_features,) has any length."""
    raise NotImplementedError


def error_order(steps, errors):
    """The p of errors = C steps^p, a float; both (n_steps,), positive."""
    raise NotImplementedError


OWN = {
    "central_difference": lambda f, x, d, h: (f(x + h * d) - f(x - h * d)) / (2 * h),
    "error_order": lambda steps, errors: float(np.polyfit(np.log(steps), np.log(errors), 1)[0]),
}
SOURCE = ("numlin.gradcheck:taylor_order",)
HINTS = (
    "Subtract the expansion for -h from that for +h: even powers go. Divide by what stands at f'.",
    "log error = log C + p log h. np.polyfit with degree 1 fits a line.",
)
DIFFERS = "numlin extrapolates powers of h away, and fits steps clear of rounding only."


def _difference(text, wrong):
    x_squared, x, d = Named("x -> x^2", lambda x: float(x @ x)), a(3), a(2)
    return Mistake("central_difference", text, wrong, (x_squared, x, d, 0.25))


def _order(text, wrong):
    return Mistake("error_order", text, wrong, (a(1, 0.5), a(4, 1)))


MISTAKES = (
    _difference("a one-sided difference. f(x + h d) - f(x) keeps the term in h^2: after division "
                "an error of order h remains.", lambda f, x, d, h: (f(x + h * d) - f(x)) / h),
    _difference("divided by h instead of 2h. From x - h d to x + h d it is a way of 2h.",
                lambda f, x, d, h: (f(x + h * d) - f(x - h * d)) / h),
    _difference("d is forgotten: every coordinate moves by h. The step goes along d, to x + h d.",
                lambda f, x, d, h: (f(x + h) - f(x - h)) / (2 * h)),
    _order("the slope of the errors themselves, not of their logarithms. C h^p is no straight "
           "line over h; its logarithm is one over log h.",
           lambda steps, errors: float(np.polyfit(steps, errors, 1)[0])),
    _order("only one logarithm is taken. log C h^p = log C + p log h: straight over log h, not "
           "over h.", lambda steps, errors: float(np.polyfit(steps, np.log(errors), 1)[0])),
    _order("steps and errors are exchanged. p is how fast log error changes with log h; the other "
           "way it is 1/p.",
           lambda steps, errors: float(np.polyfit(np.log(errors), np.log(steps), 1)[0])),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    rng, found = np.random.default_rng(8), []
    cubic = Named("x -> sum of x^3 + x_0 x_1", lambda x: float((x**3).sum() + x[0] * x[1]))
    constant = Named("x -> 7", lambda x: 7.0)
    for h in (0.5, 0.125, 1.0):
        x, d = rng.normal(size=(2, 3))
        found += [("central_difference", (f, x, d, h)) for f in (cubic, constant)]
    steps = 0.5 ** np.arange(1, 6)
    for C, p in ((3.0, 2.0), (0.1, 4.0), (2.0, 1.0), (5.0, 0.5)):
        found.append(("error_order", (steps, C * steps**p)))
    return [*found, ("error_order", (steps[:3], a(0.3, 0.05, 0.02)))]


def prove(s):
    """Held against slopes known by hand and the order of the error."""
    difference, order = partial(s, "central_difference"), partial(s, "error_order")
    steps = 0.5 ** np.arange(2, 7)
    for power, p in ((3, 2), (5, 4)):  # at 0, D(h) of x^3 is h^2 and of x^5 is h^4
        f = Named(f"x -> x^{power}", lambda x, power=power: float(x[0] ** power))
        errors = np.array([difference(f, a(0), a(1), h) for h in steps])
        s.holds(np.allclose(errors, steps**p), f"D(h) is {errors}, by hand h^{p} at h = {steps}")
        s.holds(abs(order(steps, errors) - p) < 1e-9, f"is not {p}")
    f = Named("x -> exp x_0 + sin x_1", lambda x: float(np.exp(x[0]) + np.sin(x[1])))
    slope = np.exp(0.3) + 2 * np.cos(-0.2)  # along (1, 2), by hand
    errors = np.array([abs(difference(f, a(0.3, -0.2), a(1, 2), h) - slope) for h in steps])
    s.holds(errors.all() and abs(order(steps, errors) - 2) < 0.02, "is not 2, on exp and sin")
    s.agrees()
    return f"x^3, x^5, known errors; on exp and sin you measured order {order(steps, errors):.4f}"
