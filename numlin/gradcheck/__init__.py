"""Checking your own gradients: a checker that knows what it cannot see.

A gradient is checked against the values of f, which know nothing of the chain rule:

    >>> import numpy as np
    >>> from numlin.gradcheck import check_gradient
    >>> def f(x):
    ...     return np.log1p(np.exp(x)).sum()
    >>> x = np.linspace(-2, 2, 5)
    >>> str(check_gradient(f, lambda x: 1 / (1 + np.exp(-x)), x).verdict)
    'pass'

A mistake is named with its place, both numbers, and its likely reason; in a test, say
`assert_gradient` instead. Several arguments, f(W, b), are a tuple:

    >>> def g(W, b):
    ...     return np.sum((W @ W.T + b) ** 2) / 4
    >>> def gradient(W, b):
    ...     R = (W @ W.T + b) / 2
    ...     return R @ W, R.sum()  # should be 2 * R @ W
    >>> print(check_gradient(g, gradient, (np.eye(2) + 1, 0.5)).likely)
    in W, a factor of 1/2

Where f has a kink at x no number is its slope, and the verdict is inconclusive:

    >>> report = check_gradient(lambda x: np.abs(x).sum(), np.sign, [0.0, 1.0], directions=0)
    >>> print(report.worst.name, report.verdict, report.worst.reason)
    x[0] inconclusive kink at x + 0 d: slope -1 on one side, 1 on the other; move x off it, \
or use check_subgradient

The criterion. Along a line phi(t) = f(x + t d) let c = gradient(x).d be the claim and S +- U the
slope of phi at 0 as it was measured: U is three times what the measured rounding of f can do to
S, and how far S is from an independent estimate at other steps. With
scale = max(|S|, |c|, ||gradient * d||_2) a probe

    passes  if |S - c| + U <= rtol scale,
    fails   if |S - c| > rtol scale + 10 V, for every S +- V that f shows on any scale,

and is inconclusive otherwise, with the reason; V is U and the rounding of c and of x, which is
4 eps |x| |phi''(0)|. An entry is held to its own size, however small beside others, and nothing
wider is allowed. Where no slope is to be seen, a claim passes as zero, as the report then notes, if

    max(|c|, |S - c|) <= V  and  W <= rtol R / 100,

R the steepest rise |phi(t) - phi(0)| / |t| that stands clear of rounding on the same line, up to
10 h or, if phi keeps its value there, where it first does further out, and W the largest V, unless
phi keeps its every bit that of steps no longer than x among them: f may be even about 0. Where phi
never rises, c = 0 passes.
Nothing fails between the slopes left and right of a kink at x, nor by half their difference more.

What is assumed: that f is smooth on some scale on which its rounding still shows the slope. A
right claim is first held against six values, at the finest steps, drawn at random, that can show
it. If they do not agree, phi is seen on all scales from the finest that x + t d can represent to
`h`, and a slope counts only if it agrees with all finer ones: that is what a wave, a bump or a kink
narrower than a step would break. A slope that is nearly sure enough is looked at again, by 256
values. Where a coarser scale disagrees, bisection finds the kink or jump. Where it disagrees by no
more than the last digits of x move f, as after a cancellation (1 - x^2 near 1), it may be right
itself, and what it shows does not fail. Steps that leave the domain of f (NaN, infinity, an
arithmetic error) are not used.

Declare kinks when you know them: quantities that change sign there, as in
`check_gradient(f, g, w, lambda w: {"1 - margin": 1 - m(w), "w": w})`. No step then crosses one,
and the report names those that x lies on. Read "inconclusive" as "ask better": move x off the
kink, compute f in float64, remove a large constant from f, raise h, fix its random numbers, or
ask for a larger rtol, as the reason says. For convex f at kinks there is `check_subgradient`, for
a second opinion `taylor_order`, for many values `check_jacobian`, `check_jvp`, `check_vjp`, and
for second derivatives `check_hessian` and `check_hvp`.

References: Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering
Software 4, 1982; More and Wild, Estimating computational noise, SIAM Journal on Scientific
Computing 33, 2011; Rockafellar, Convex Analysis, 1970, section 23.
"""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import numpy as np

from numlin.gradcheck.differences import EPS
from numlin.gradcheck.points import Function, Point, label, real
from numlin.gradcheck.probing import Probing, quiet, renamed
from numlin.gradcheck.verdicts import Probe, Report, Verdict

__all__ = [
    "Probe",
    "Report",
    "Verdict",
    "assert_gradient",
    "check_gradient",
    "check_hessian",
    "check_hvp",
    "check_jacobian",
    "check_jvp",
    "check_subgradient",
    "check_vjp",
    "taylor_order",
]


def check_gradient(
    f: Callable,
    gradient: Callable,
    x: Any,
    kinks: Callable | None = None,
    *,
    rtol: float = 1e-7,
    h: float = 0.125,
    coordinates: Iterable[int] | None = None,
    directions: int = 5,
    rng: Any = None,
) -> Report:
    """Compare gradient(x).d with the slope of `f` along many directions d.

    Parameters
    ----------
    f : callable
        Maps x to one number, computed in float64.
    gradient : callable
        Maps x to an array of the shape of x: what is to be checked.
    x : array of any shape, such as (n_features,), or a tuple of such arrays
        For a tuple (W, b), f(W, b) is a number and gradient(W, b) returns two arrays; entries are
        named after the parameters of f: W[3, 0], b.
    kinks : callable, optional
        Maps x to a dict of arrays, such as {"1 - margin": 1 - m, "w": w}: f is smooth wherever
        none of their entries changes sign. Without it kinks are searched for where f looks rough.
    rtol : float
        Largest relative error allowed.
    h : float
        Widest step tried, times |x_j| where that is larger than 1.
    coordinates : sequence of int, optional
        Coordinates to probe, as places in x.ravel(); all by default.
    directions : int
        Random unit directions to probe besides, each of which sees every coordinate; those whose x
        is too small beside the largest for that are probed by themselves as well.
    rng : numpy.random.Generator, optional
        Draws the directions; by default they are the same each time.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        For an argument that is no such thing, a gradient that is not finite or not of the shape
        of x, or when nothing is to be probed.

    Notes
    -----
    The criterion is at the top of this package. f and gradient get their own copy of x in every
    call; the report notes if they change it, and is inconclusive if they answer differently when
    they are asked again.
    """
    probing = Probing(f, x, kinks, rtol, h, coordinates, directions, rng)
    point, claimed = probing.point, Function(gradient, probing.point, "gradient")
    g = point.pack(claimed.raw(point.flat), "gradient")
    report = probing.report(g)
    with quiet():
        again = point.pack(claimed.raw(point.flat), "gradient")
    if not np.allclose(again, g, rtol=1e-12, atol=0):
        why = "gradient is not a function: called again at x it returns something else"
        report = probing.undecided(g, why)
    notes = (*report.notes, claimed.changes) if claimed.changes else report.notes
    return Report(report.probes, report.rtol, report.likely, notes)


def assert_gradient(
    f: Callable, gradient: Callable, x: Any, kinks: Callable | None = None, **options
) -> None:
    """Raise AssertionError unless `check_gradient` passes at x (n_features,); arguments as there.

    An inconclusive check raises too: move x off the kinks that the message names, declare kinks
    that it does not name, or use `check_subgradient`.
    """
    __tracebackhide__ = True
    report = check_gradient(f, gradient, x, kinks, **options)
    if report.verdict is not Verdict.PASS:
        raise AssertionError(str(report))


def check_jacobian(
    f: Callable,
    jacobian: Callable,
    x: Any,
    kinks: Callable | None = None,
    *,
    directions: int = 2,
    **options,
) -> Report:
    """Compare jacobian(x), the slopes of all values of `f` in all entries of x, with differences.

    f maps x to an array of any shape, (n_values,) for instance, and jacobian to one of that shape
    followed by that of x: [i, j] is d f_i / d x_j. Every value of f is checked as one function of
    `check_gradient`, which says the rest. The probes of the `Report` are named "f[i] along x[j]".
    """
    point, values = _values(f, x)
    claimed = Function(jacobian, point, "jacobian").raw(point.flat)
    J = point.pack(claimed, "jacobian", values.shape).reshape(-1, point.flat.size)
    reports = []
    for i, g in enumerate(J):
        name = label("f", np.unravel_index(i, values.shape))
        value = Probing(_weighed(f, i), point, kinks, directions=directions, **options)
        reports.append(renamed(value.report(g), f"{name} along "))
    return _together(reports)


def check_jvp(
    f: Callable,
    jvp: Callable,
    x: Any,
    kinks: Callable | None = None,
    *,
    directions: int = 20,
    rng: Any = None,
    **options,
) -> Report:
    """Compare jvp(x, v) = J v with differences of `f` along random v: u.(J v) for random u.

    f maps x to an array of any shape, (n_values,) for instance, and jvp maps x and a v of the shape
    of x to one of the shape of f(x); for several arguments it is jvp(W, b, v), v a tuple like x.
    `directions` is how many pairs (u, v); all else as in `check_gradient`. Returns a `Report`.
    """
    point, values = _values(f, x)
    rng = np.random.default_rng(0 if rng is None else rng)
    J, reports = Function(jvp, point, "jvp"), []
    for k in range(directions):
        u = rng.normal(size=values.shape)
        options |= {"coordinates": (), "directions": 1, "rng": rng}
        value = Probing(_weighed(f, u), point, kinks, **options)
        (v,) = value.directions
        Jv = real(J.raw(point.flat, point.like(v)), "jvp")
        if Jv.shape != values.shape:
            raise ValueError(f"jvp: found shape {Jv.shape}, expected that of f(x), {values.shape}")
        with quiet():
            probe = value.probe(f"pair {k}", value.line(d=v), np.ravel(u * Jv))
        reports.append(Report((probe,), value.rtol, "", value.notes()))
    return _together(reports)


def check_vjp(
    f: Callable,
    vjp: Callable,
    x: Any,
    kinks: Callable | None = None,
    *,
    directions: int = 5,
    rng: Any = None,
    **options,
) -> Report:
    """Compare vjp(x, u) = J^T u with the gradient of u.f(x) for random u.

    vjp maps x and a u of the shape of f(x) to an array of the shape of x, (n_features,) for
    instance; for several arguments it is vjp(W, b, u) and returns two arrays. `directions` is how
    many u, for each of which every coordinate of x is probed; all else as in `check_jvp`.
    """
    point, values = _values(f, x)
    rng = np.random.default_rng(0 if rng is None else rng)
    reports = []
    for k, u in enumerate(rng.normal(size=(directions, *values.shape))):
        found = check_gradient(
            _weighed(f, u), lambda *x, u=u: vjp(*x, u.copy()), point, kinks, rng=rng, **options
        )
        reports.append(renamed(found, f"u {k} along "))
    return _together(reports)


def check_hessian(
    gradient: Callable, hessian: Callable, x: Any, kinks: Callable | None = None, **options
) -> Report:
    """Compare hessian(x) with differences of `gradient`; check that one by `check_gradient` first.

    hessian maps x (n_features,), or of any shape, to an array of the shape of x twice; all else
    as in `check_jacobian`.
    """
    return check_jacobian(gradient, hessian, x, kinks, **options)


def check_hvp(
    gradient: Callable, hvp: Callable, x: Any, kinks: Callable | None = None, **options
) -> Report:
    """Compare hvp(x, v), the Hessian times v (n_features,), with differences of `gradient`.

    For several arguments it is hvp(W, b, v), v a tuple like x, and returns as many arrays as
    gradient; all else as in `check_jvp`.
    """
    point = Point(x, gradient)
    return check_jvp(
        lambda *x: point.pack(gradient(*x), "gradient"),
        lambda *x: point.pack(hvp(*x), "hvp"),
        point,
        kinks,
        **options,
    )


def check_subgradient(
    f: Callable,
    subgradient: Callable,
    x: Any,
    *,
    rtol: float = 1e-9,
    directions: int = 20,
    rng: Any = None,
) -> Report:
    """Check that g = subgradient(x) is a subgradient of the convex function `f` at x.

        f(x + t d) >= f(x) + t g.d    for every direction d and every length t > 0.

    Arguments as in `check_gradient`; x (n_features,) may lie on any number of kinks, f be infinite
    outside its domain. `directions` is how many random unit d, besides all coordinates; each is
    gone both ways. The `Report` has one probe per direction, sign and length t, its `h`;
    inconclusive where the rounding of f hides every slope.

    Notes
    -----
    Lengths run from 1 to 2^-20, times |x_j| where that is larger than 1. The slope
    (f(x + t d) - f(x)) / t falls to the one-sided derivative f'(x; d) as t goes to 0, so the
    shortest lengths check f'(x; d) >= g.d and, the other way, g.d >= -f'(x; -d). Where f is smooth
    the two meet: only its gradient passes.
    """
    value = Probing(f, x, None, rtol, 1.0, None, directions, rng)
    claimed = Function(subgradient, value.point, "subgradient")
    g = value.point.pack(claimed.raw(value.x), "subgradient")
    if value.trouble:
        return value.undecided(g)
    probes = []
    with quiet():
        for name, line in value.lines():
            for sign, part in product((1, -1), 0.5 ** np.arange(0, 21, 4)):
                probes.append(_inequality(value, line, sign * part * line.top, g, name))
    notes = (*value.notes(), claimed.changes) if claimed.changes else value.notes()
    return Report(tuple(probes), rtol, "", notes)


def _inequality(value, line, t, g, name):
    """The probe of the subgradient inequality at x + t d."""
    v = line.point(t)
    at_v, length = value.f(v), abs(t)
    at_v = np.inf if np.isnan(at_v) else at_v
    numeric, analytic = (at_v - value.at_x) / length, g @ (v - value.x) / length
    noise = 10 * max(value.noise, EPS * abs(at_v) / 2 if np.isfinite(at_v) else 0.0) / length
    shortfall = max(analytic - numeric, 0.0)
    slope = max(abs(analytic), abs(numeric) if np.isfinite(numeric) else 0.0)
    verdict, reason = Verdict.PASS, ""
    if shortfall > value.rtol * slope + noise:
        verdict = Verdict.FAIL
    elif length == line.top and noise > max(0.1 * slope, 1e-7 * value.swing / line.unit):
        verdict, reason = Verdict.INCONCLUSIVE, "the rounding of f hides the slope"
    name = f"{'+' if t > 0 else '-'}1 * {name}"
    error = shortfall / (max(slope, noise / value.rtol) or 1)
    numbers = map(float, (numeric, analytic, length, error))
    return Probe(name, *numbers, verdict, reason=reason)


def taylor_order(
    f: Callable, gradient: Callable, x: Any, *, h: float = 0.125, rng: Any = None
) -> float:
    """Order at which the Taylor remainder of `f` vanishes along one random unit direction d.

        |f(x + h d) - f(x) - h gradient(x).d| ~ h^order

    Arguments as in `check_gradient`; f must be smooth between x (n_features,) and x + h d. It is 2
    for the gradient of a curved function, 1 for a wrong gradient; infinite when the remainder is
    nothing but rounding, as for an affine function; NaN when f is not finite, or not a function.
    Fitted to the four shortest of the steps h, h/2, h/4, ... whose remainder stands clear of
    rounding.
    """
    value = Probing(f, x, None, 1e-7, h, (), 1, rng)
    g = value.point.pack(Function(gradient, value.point).raw(value.x), "gradient")
    if value.trouble:
        return np.nan
    line = value.line(d=value.directions[0])
    steps = line.top * 0.5 ** np.arange(20)
    with quiet():
        ends = [line.point(t) for t in steps]
        rise = np.array([value.f(v) for v in ends]) - value.at_x
    inside = np.isfinite(rise)
    remainder = np.abs(rise - [g @ (v - value.x) for v in ends])
    noise = 100 * (value.noise + EPS * abs(value.at_x))
    clear = np.flatnonzero(inside & (remainder > noise))[-4:]
    if inside.sum() < 4:
        return np.nan
    if len(clear) < 2:
        return np.inf
    return float(np.polyfit(np.log(steps[clear]), np.log(remainder[clear]), 1)[0])


def _values(f, x):
    """x as a `Point`, and f(x), an array of any shape (n_values,)."""
    point = x if isinstance(x, Point) else Point(x, f)
    return point, real(Function(f, point).raw(point.flat), "f")


def _weighed(f, u):
    """x -> u.f(x) for weights `u` (n_values,), or the u-th value of f(x) for an integer."""
    if isinstance(u, int):
        return lambda *x: np.ravel(f(*x))[u]
    return lambda *x: np.sum(u * f(*x))


def _together(reports):
    """One report of all probes, with every hint and note once."""
    if not reports:
        raise ValueError("directions: found 0, expected at least one")
    probes = tuple(probe for report in reports for probe in report.probes)
    hints = dict.fromkeys(report.likely for report in reports if report.likely)
    notes = dict.fromkeys(note for report in reports for note in report.notes)
    return Report(probes, reports[0].rtol, "; ".join(list(hints)[:3]), tuple(notes))
