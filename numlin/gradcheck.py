"""A gradient checker for functions with kinks, for use in any test.

The central difference of f at x along a direction d,

    D(h) = (f(x + h d) - f(x - h d)) / (2 h) = f'(x).d + a h^2 + b h^4 + ...,

knows nothing of the chain rule and so catches its mistakes. Two things spoil it: a small h
magnifies the rounding of f, and a kink between x - h d and x + h d makes D the average of two
slopes, so 0.5 against 1 is then no bug. So h starts large, is halved until no declared kink lies
in between, and the powers of h are extrapolated away. Where f is affine D(h) is exact for every
h: nine digits can be demanded of a gradient instead of four. Where f is smooth, `taylor_order`
gives a second opinion. At a kink of a convex f, `check_subgradient` asks for an inequality.

References: Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering
Software 4, 1982; Rockafellar, Convex Analysis, 1970, section 23.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import product

import numpy as np

ROUNDING = 10 * np.finfo(np.float64).eps
SHRINK, DOUBT = 0.6, 1000


class Verdict(StrEnum):
    """What a check found; inconclusive is not a pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Probe:
    """One direction: the slope `numeric` of f beside the slope `analytic` that was claimed.

    `h` is the step, `error` the relative error, `spread` the uncertainty of the finite
    difference, `kinks` the names of those that no step avoided, None where none matter.
    """

    name: str
    numeric: float
    analytic: float
    h: float
    error: float
    verdict: Verdict
    spread: float = 0.0
    kinks: tuple | None = None

    def __str__(self):
        text = (
            f"{self.name}: claimed slope {self.analytic:.12g}, finite difference "
            f"{self.numeric:.12g} +- {self.spread:.0e}, relative error {self.error:.1e}, "
            f"step h = {self.h:.3g}"
        )
        if self.kinks is None:
            return text
        more = f" and {len(self.kinks) - 4} more" if len(self.kinks) > 4 else ""
        return f"{text}, kinks crossed: {', '.join(self.kinks[:4]) or 'none declared'}{more}"


@dataclass(frozen=True)
class Report:
    """All probes of one check; `str(report)` is the message for a person."""

    probes: tuple
    rtol: float

    @property
    def verdict(self):
        """Fail if any probe fails, else inconclusive if any probe is, else pass."""
        found = {p.verdict for p in self.probes}
        return next(v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in found)

    @property
    def worst(self):
        """The probe of the largest relative error among those that share the verdict."""
        return max((p for p in self.probes if p.verdict is self.verdict), key=lambda p: p.error)

    def __str__(self):
        count = sum(p.verdict is self.verdict for p in self.probes)
        share = f"{self.verdict}: {count} of {len(self.probes)} probes"
        return f"{share}, relative error allowed {self.rtol:.0e}; worst at {self.worst}"


def check_gradient(
    f, gradient, x, kinks=None, *, rtol=1e-7, h=0.125, coordinates=None, directions=5, rng=None
):
    """Compare gradient(x).d with the central difference of `f` along many directions d.

    Parameters
    ----------
    f : callable
        Maps x to a float, computed in float64.
    gradient : callable
        Maps x to an array of the shape of x: what is to be checked.
    x : array of any shape, such as (n_features,)
    kinks : callable, optional
        Maps x to a dict of arrays, such as {"1 - margin": 1 - m, "w": w}: f is smooth wherever
        none of their entries changes sign. Without it f is taken to be smooth near x.
    rtol : float
        Largest relative error allowed.
    h : float
        Largest step tried: no longer than the scale on which f curves.
    coordinates : sequence of int, optional
        Coordinates to probe, as places in x.ravel(); all by default.
    directions : int
        Random unit directions to probe besides, each of which sees every coordinate.
    rng : numpy.random.Generator, optional
        Draws the directions; by default they are the same each time.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        When the gradient is not finite or not of the shape of x, or nothing is to be probed.

    Notes
    -----
    Let noise = 10 eps_machine (|f| + |gradient|.|x|) / h, what rounding does to D; spread, how
    far the last extrapolations differ; allowed = max(rtol |D|, rtol |gradient.d|, noise). A probe

        fails   if |D - gradient.d| > allowed + 1000 spread,
        passes  if |D - gradient.d| <= allowed and spread <= allowed,

    and is inconclusive otherwise, or if every step down to h = 10 eps_machine / rtol crosses
    a kink: below that, noise would excuse too much. A gradient of zero passes only where D itself
    is noise, by its spread and by a third of the bound above. The relative error in the report is
    rtol |D - gradient.d| / allowed.
    """
    x = np.asarray(x, dtype=np.float64)
    g = _checked(gradient, x)
    along = _directions(x, coordinates, directions, rng)
    return Report(tuple(_probe(f, g, x, d, name, kinks, h, rtol) for name, d in along), rtol)


def assert_gradient(f, gradient, x, kinks=None, **options):
    """Raise AssertionError unless `check_gradient` passes at x (n_features,); arguments as there.

    An inconclusive check raises too: move x off the kinks that the message names, declare kinks
    that it does not name, or use `check_subgradient`.
    """
    __tracebackhide__ = True
    report = check_gradient(f, gradient, x, kinks, **options)
    if report.verdict is not Verdict.PASS:
        raise AssertionError(str(report))


def check_subgradient(f, subgradient, x, *, rtol=1e-9, directions=20, rng=None):
    """Check that g = subgradient(x) is a subgradient of the convex function `f` at x.

        f(x + t d) >= f(x) + t g.d    for every direction d and every length t > 0.

    Parameters
    ----------
    f, subgradient, x, rtol, rng
        As in `check_gradient`; x may lie on any number of kinks.
    directions : int
        Random unit directions, besides all coordinates; each is gone both ways.

    Returns
    -------
    Report
        One probe per direction, sign and length t, its `h`; never inconclusive.

    Notes
    -----
    Lengths run from 1 to 2^-20. The slope (f(x + t d) - f(x)) / t falls to the one-sided
    derivative f'(x; d) as t goes to 0, so the shortest lengths check f'(x; d) >= g.d and, the
    other way, g.d >= -f'(x; -d). Where f is smooth the two meet: only its gradient passes.
    """
    x = np.asarray(x, dtype=np.float64)
    g, at_x = _checked(subgradient, x), f(x)
    probes = []
    for along, d in _directions(x, None, directions, rng):
        for sign, t in product((1, -1), 0.5 ** np.arange(0, 21, 4)):
            v = x + sign * t * d
            at_v = f(v)
            numeric, analytic = (at_v - at_x) / t, np.sum(g * (v - x)) / t
            noise = ROUNDING * (max(abs(at_x), abs(at_v)) + np.sum(np.abs(g * x))) / t
            shortfall = 0.0 if numeric >= analytic else analytic - numeric
            scale = max(abs(numeric), abs(analytic), noise / rtol) or 1
            verdict = Verdict.PASS if shortfall <= rtol * scale else Verdict.FAIL
            name = f"{sign:+d} * {along}"
            probes.append(Probe(name, numeric, analytic, t, shortfall / scale, verdict))
    return Report(tuple(probes), rtol)


def taylor_order(f, gradient, x, *, h=0.125, rng=None):
    """Order at which the Taylor remainder of `f` vanishes along one random unit direction d.

        |f(x + h d) - f(x) - h gradient(x).d| ~ h^order

    Parameters
    ----------
    f, gradient, x, h, rng
        As in `check_gradient`; f must be smooth between x and x + h d.

    Returns
    -------
    float
        2 for the gradient of a curved function, 1 for a wrong gradient; infinite when the
        remainder is nothing but rounding, as for an affine function. Fitted to the four
        shortest of the steps h, h/2, h/4, ... whose remainder stands clear of rounding.
    """
    x = np.asarray(x, dtype=np.float64)
    g = _checked(gradient, x)
    ((_, d),) = _directions(x, (), 1, rng)
    steps, at_x = h * 0.5 ** np.arange(20), f(x)
    remainder = np.array([abs(f(x + step * d) - at_x - step * np.sum(g * d)) for step in steps])
    clear = np.flatnonzero(remainder > 10 * ROUNDING * (abs(at_x) + np.sum(np.abs(g * x))))[-4:]
    if len(clear) < 2:
        return np.inf
    return float(np.polyfit(np.log(steps[clear]), np.log(remainder[clear]), 1)[0])


def _probe(f, g, x, d, name, kinks, h, rtol):
    """The verdict along one direction d."""
    smallest = ROUNDING / rtol
    h, crossed = _widest_step(kinks, x, d, h, smallest)
    numeric, spread, noise, h = _central_difference(f, x, d, h, smallest / 2, abs(g * x).sum())
    analytic = np.sum(g * d)
    gap, scale = abs(numeric - analytic), max(abs(numeric), abs(analytic), noise / rtol) or 1
    verdict = Verdict.INCONCLUSIVE
    if not crossed and gap > rtol * scale + DOUBT * spread:
        verdict = Verdict.FAIL
    elif not crossed and max(gap, spread) <= rtol * scale:
        unexplained = analytic == 0 and abs(numeric) > max(3 * spread, noise / 3)
        verdict = Verdict.INCONCLUSIVE if unexplained else Verdict.PASS
    return Probe(name, numeric, analytic, h, gap / scale, verdict, spread, crossed)


def _widest_step(kinks, x, d, h, smallest):
    """The first of h, h/2, h/4, ... that meets no kink; the kinks in the way if none does."""
    if kinks is None:
        return h, ()
    signs = {name: np.sign(values) for name, values in kinks(x).items()}
    while True:
        up, down = kinks(x + h * d), kinks(x - h * d)
        crossed = [
            (name, np.argwhere((np.sign(up[name]) != sign) | (np.sign(down[name]) != sign)))
            for name, sign in signs.items()
        ]
        if h / 2 < smallest or not any(len(places) for _, places in crossed):
            return h, tuple(_entry(name, place) for name, places in crossed for place in places)
        h /= 2


def _central_difference(f, x, d, h, smallest, own_noise):
    """Slope of f along d by Ridders' extrapolation: (slope, spread, noise, h) of the best row."""
    best, coarser = (np.nan, np.inf, np.inf, h), []
    while h >= smallest:
        up, down = f(x + h * d), f(x - h * d)
        noise = ROUNDING * (max(abs(up), abs(down)) + own_noise) / h
        row, spreads = [(up - down) / (2 * h)], [np.inf]
        for k, old in enumerate(coarser):
            row.append(row[k] + (row[k] - old) / (SHRINK ** (-2 * k - 2) - 1))
            spreads.append(max(abs(row[k + 1] - row[k]), abs(row[k + 1] - old)))
            if spreads[-1] + noise < best[1] + best[2]:
                best = row[-1], spreads[-1], noise, h
        if not noise < min(spreads) <= DOUBT * best[1]:
            break
        coarser, h = row, h * SHRINK
    return best


def _directions(x, coordinates, count, rng):
    """Names and unit directions: the coordinates of x (None is all), then `count` random ones."""
    rng = rng or np.random.default_rng(0)
    found = []
    for j in range(x.size) if coordinates is None else coordinates:
        axis = np.zeros_like(x)
        axis.flat[j] = 1
        found.append((_entry("x", np.unravel_index(j, x.shape)), axis))
    for k, d in enumerate(rng.normal(size=(count, *x.shape))):
        found.append((f"direction {k}", d / np.sqrt(np.sum(d * d))))
    if not found or not x.size:
        raise ValueError("coordinates, directions: found none, expected at least one")
    return found


def _entry(name, place):
    """name[i, j], or the name alone for a scalar."""
    return f"{name}[{', '.join(str(i) for i in place)}]" if len(place) else name


def _checked(gradient, x):
    """gradient(x), which must be finite and of the shape of x."""
    g = np.asarray(gradient(x))
    if g.shape != x.shape:
        raise ValueError(f"gradient: found shape {g.shape}, expected that of x, {x.shape}")
    if not np.isfinite(g).all():
        place = _entry("x", np.argwhere(~np.isfinite(g))[0])
        raise ValueError(f"gradient: found NaN or infinity at {place}, expected finite numbers")
    return g
