"""One scalar f at one x: what all of its probes share, and each probe."""

import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from numlin.gradcheck.differences import EPS, Line, Slope, first_step, measure, quick, still
from numlin.gradcheck.points import Function, Point, label
from numlin.gradcheck.verdicts import HIDDEN, HIDE, SURELY, Probe, Report, Verdict, judge, likely
from numlin.support.arguments import check_number

CONFIRMED = 4  # failures seen on all scales, after which a precise contradiction is believed
FAITHFUL = 100 * EPS  # relative difference of two calls at x that threads may make


class Probing:
    """Measures f along lines through x; the criterion is that of the package.

    `coordinates` and `directions` are what is to be probed, `noise` the rounding of f, `swing`
    the steepest slope that f shows on any scale along one line, `trouble` why nothing can be
    measured at all, if so.
    """

    def __init__(
        self, f, x, kinks=None, rtol=1e-7, h=0.125, coordinates=None, directions=5, rng=None
    ):
        check_number("rtol", rtol, strict=True)
        check_number("h", h, strict=True)
        check_number("directions", directions, integer=True)
        self.point = x if isinstance(x, Point) else Point(x, f)
        self.f, self.kinks, self.rtol, self.h = Function(f, self.point), kinks, float(rtol), h
        x = self.x = self.point.flat
        sizes = np.abs(x[x != 0])
        mixed = sizes.size and sizes.max() > 1e8 * sizes.min()
        self.unit = np.where(x == 0, np.median(sizes), np.abs(x)) if mixed else np.ones_like(x)
        every = range(x.size) if coordinates is None else coordinates
        self.coordinates = [_coordinate(j, x.size) for j in every]
        rng = np.random.default_rng(0 if rng is None else rng)
        self.directions = [self._unit(z) for z in rng.normal(size=(directions, x.size))]
        if directions:  # too small beside the rest for these to see
            blind = np.flatnonzero(self.unit < self.rtol * np.max(self.unit)).tolist()
            self.coordinates = list(dict.fromkeys(self.coordinates + blind))
        if not self.coordinates and not directions:
            raise ValueError("coordinates, directions: found none, expected at least one")
        self.at_x = self.f.number(self.f.raw(x))
        with quiet():
            self.trouble = self._trouble()
            if not self.trouble:
                self._look_around()

    def _unit(self, z):
        """The unit direction of z (n,), in the units of x."""
        d = z * self.unit
        largest = np.max(np.abs(d))
        return d / largest / np.linalg.norm(d / largest)

    def _trouble(self):
        if not np.isfinite(self.at_x):
            return f"f(x) is {self.at_x}: move x into the domain of f"
        for again in (self.f(self.x) for _ in range(3)):
            if not abs(again - self.at_x) <= FAITHFUL * abs(self.at_x):
                was = f"f(x) was {self.at_x:.9g} and is {again:.9g} when called again"
                return f"f is not a function: {was}; fix its random numbers and what it remembers"
        return ""

    def _look_around(self):
        """One line on all scales: how f rounds, and how steep it is."""
        lines = self.directions or [self._unit(np.random.default_rng(1).normal(size=self.x.size))]
        seen = measure(self.line(d=lines[0]), self.rtol, np.random.default_rng(2))
        self.noise = max(seen.noise, EPS / 2 * abs(self.at_x), 5e-324)
        self.swing = seen.swing * np.max(self.unit)

    def line(self, j=None, d=None):
        """phi along the j-th coordinate or along d (n,)."""
        unit = self.unit[j] if d is None else np.max(self.unit)
        return Line(self.f, self.x, self.at_x, self.h, unit, j, d)

    def lines(self):
        """(name, line) of all probes."""
        for j in self.coordinates:
            yield self.point.entry(j), self.line(j)
        for k, d in enumerate(self.directions):
            yield f"direction {k}", self.line(d=d)

    def report(self, g):
        """All probes of the claimed gradient g (n,)."""
        with quiet():
            probes, failed = [], 0
            for name, line in self.lines():
                terms = g[[line.j]] if line.d is None else g * line.d
                probes.append(self.probe(name, line, terms, failed >= CONFIRMED))
                failed += probes[-1].verdict is Verdict.FAIL
            self.trouble = self.trouble or self._trouble()
        if self.trouble:
            return self.undecided(g)
        measured, allowed = np.full((2, self.x.size), np.nan)
        for j, p in zip(self.coordinates, probes):
            if p.verdict is not Verdict.INCONCLUSIVE:
                size = max(abs(p.numeric), abs(p.analytic))
                measured[j], allowed[j] = p.numeric, self.rtol * size + SURELY * p.spread
        looks = likely(g, measured, allowed, self.point, probes) if failed else ""
        hidden = [p.name for p in probes if p.reason == HIDDEN]
        notes = self.notes()
        if hidden:
            names = ", ".join(hidden[:4]) + ", ..." * (len(hidden) > 4)
            at_most = f"at most {HIDE * self.rtol:.0e} of the steepest rise on that line"
            notes += (f"{len(hidden)} passed as zero within the rounding of f, {at_most}: {names}",)
        return Report(tuple(probes), self.rtol, looks, notes)

    def notes(self):
        """What f did that a function does not do."""
        return (self.f.changes,) if self.f.changes else ()

    def undecided(self, g, why=""):
        """A report that says of every probe why nothing can be said."""
        claims = (
            (name, g[line.j] if line.d is None else g @ line.d) for name, line in self.lines()
        )
        probes = tuple(self._silent(name, claim, why) for name, claim in claims)
        return Report(probes, self.rtol, "", self.notes())

    def _silent(self, name, claim, why=""):
        undecided = 0.0, Verdict.INCONCLUSIVE, np.inf, None
        return Probe(name, np.nan, float(claim), self.h, *undecided, why or self.trouble)

    def probe(self, name, line, terms, believe=False):
        """The verdict along one line, of which the claim is the sum of `terms`.

        Six values if they agree with the claim, all scales if not; after CONFIRMED failures, with
        `believe`, six values that agree among themselves are enough to contradict it.
        """
        claim, rounding = float(terms.sum()), np.abs(terms).sum()
        if self.trouble:
            return self._silent(name, claim)
        largest = np.max(np.abs(terms)) or 1.0  # divided out, so that no square overflows
        size = largest * np.linalg.norm(terms / largest)
        crossed = () if self.kinks else None

        def verdict(slope):
            return judge(name, claim, slope, line, self.rtol, size, rounding, crossed)

        nothing = abs(claim) <= 8 * EPS * rounding
        for guess in (claim, None):
            if nothing:
                slope = still(line, self.noise)
            else:
                h = first_step(line, claim if guess else slope.value, self.noise, self.rtol)
                blocked = self.kinks and self.crossed(line, 10 * h)
                slope = None if blocked else quick(line, h, self.noise)
            found = verdict(slope) if slope else None
            if found and found.verdict is Verdict.PASS and (nothing or found.reason != HIDDEN):
                return found
            if not (believe and slope and np.isfinite(slope.value)):
                break
            if guess is None and found.verdict is Verdict.FAIL:
                return found
        top, crossed = self._widest(line) if self.kinks else (line.top, crossed)
        if crossed:
            return verdict(Slope(np.nan, np.inf, top, "declared"))
        finest = first_step(line, claim, self.noise, self.rtol) / 10
        if claim and line.zero:
            finest = 4 * self.noise / (self.rtol * abs(claim))
        return verdict(measure(line, self.rtol, np.random.default_rng(3), top, finest, size))

    def crossed(self, line, t):
        """Names of the declared kinks between x - t d and x + t d."""
        at_x, *ends = (self._signs(v) for v in (self.x, line.point(t), line.point(-t)))
        found = []
        for name, sign in at_x.items():
            places = np.argwhere((ends[0][name] != sign) | (ends[1][name] != sign))
            found += [label(name, place) for place in places]
        return tuple(found)

    def _signs(self, flat):
        return {name: np.sign(v) for name, v in self.kinks(*self.point.unpack(flat)).items()}

    def _widest(self, line):
        """The first of top, top/2, top/4, ... that meets no kink; the kinks in the way if none."""
        t = line.top
        while (crossed := self.crossed(line, t)) and t / 2 >= line.bottom:
            t /= 2
        return t, crossed


def renamed(report, prefix):
    """The report with every probe's name after `prefix`."""
    return replace(report, probes=tuple(replace(p, name=prefix + p.name) for p in report.probes))


@contextmanager
def quiet():
    """Steps may leave the domain of f: no warning of arithmetic in this block."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _coordinate(j, n):
    if isinstance(j, bool) or not isinstance(j, int | np.integer) or not 0 <= j < n:
        raise ValueError(f"coordinates: found {j!r}, expected integers from 0 to {n - 1}")
    return int(j)
