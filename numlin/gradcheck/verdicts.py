"""From slopes to verdicts: the criterion, the report, and the likely reason of a mistake."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from numlin.gradcheck.differences import EPS

SURELY = 10  # so many errors of the measurement lie between a claim and a slope that contradicts it
TINY, LAX = 0.05, 100  # entries small beside a typical one may hide in rounding so far
SAME = "the same"


class Verdict(StrEnum):
    """What a check found; inconclusive is not a pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Probe:
    """One direction: the slope `numeric` of f beside the slope `analytic` that was claimed.

    `spread` is the uncertainty of the measured slope, `h` the step it was seen at, `error` the
    relative error, `kinks` the names of declared kinks that no step avoided, None where none
    matter, `reason` why it is inconclusive and what to do, or what else was seen.
    """

    name: str
    numeric: float
    analytic: float
    h: float
    error: float
    verdict: Verdict
    spread: float = 0.0
    kinks: tuple | None = None
    reason: str = ""

    def __str__(self):
        text = (
            f"{self.name}: claimed slope {self.analytic:.12g}, finite difference "
            f"{self.numeric:.12g} +- {self.spread:.0e}, relative error {self.error:.1e}, "
            f"step h = {self.h:.3g}"
        )
        if self.kinks:
            more = f" and {len(self.kinks) - 4} more" if len(self.kinks) > 4 else ""
            text += f", kinks crossed: {', '.join(self.kinks[:4])}{more}"
        return f"{text}; {self.reason}" if self.reason else text


@dataclass(frozen=True)
class Report:
    """All probes of one check; `str(report)` is the message for a person.

    `likely` is the mistake that the failures look like, `notes` what f or the gradient did that
    a function does not do.
    """

    probes: tuple
    rtol: float
    likely: str = ""
    notes: tuple = ()

    @property
    def verdict(self):
        """Fail if any probe fails, else inconclusive if any probe is, else pass."""
        found = {p.verdict for p in self.probes}
        return next(v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in found)

    @property
    def worst(self):
        """The probe of the largest relative error among those that share the verdict."""
        return max((p for p in self.probes if p.verdict is self.verdict), key=_badness)

    def __str__(self):
        count = sum(p.verdict is self.verdict for p in self.probes)
        share = f"{self.verdict}: {count} of {len(self.probes)} probes"
        text = f"{share}, relative error allowed {self.rtol:.0e}; worst at {self.worst}"
        likely = [f"likely: {self.likely}"] if self.likely else []
        return "\n".join([text, *likely, *(f"note: {note}" for note in self.notes)])


def _badness(probe):
    return probe.error if np.isfinite(probe.error) else np.inf


def judge(name, claim, slope, rtol, size, rounding, swing, typical=0.0, crossed=None):
    """The `Probe` of a `claim` beside a measured `slope`; the criterion of `numlin.gradcheck`.

    `size` is the root of the squared terms of the claim, `rounding` the sum of their sizes,
    `swing` the steepest slope of f seen anywhere, `typical` the geometric mean of the entries of
    the claimed gradient, `crossed` the declared kinks that no step avoided.
    """
    value, error = slope.value, slope.error
    scale, gap = max(abs(value), abs(claim), size), abs(value - claim)

    def contradicts(value, error):
        return abs(value - claim) > rtol * scale + SURELY * error

    nothing = max(abs(claim), abs(value) - error) <= 8 * EPS * rounding
    verdict = Verdict.INCONCLUSIVE
    if slope.sides:
        low, high = sorted(slope.sides)
        if max(low - claim, claim - high) > rtol * scale + SURELY * error:
            verdict = Verdict.FAIL
    elif not crossed and (
        gap + error <= rtol * scale < np.inf
        or gap <= error <= rtol * min(TINY * typical, LAX * scale)
        or (nothing and (slope.kind == "constant" or error <= rtol * swing))
    ):
        verdict = Verdict.PASS
    elif not crossed and all(contradicts(*seen) for seen in ((value, error), *slope.others)):
        verdict = Verdict.FAIL
    relative = float(gap / scale) if scale else 0.0
    reason = "" if verdict is Verdict.PASS or crossed else _reason(slope, scale, rtol)
    value, error, h = float(value), float(error), float(slope.h)
    return Probe(name, value, claim, h, relative, verdict, error, crossed, reason)


def _reason(slope, scale, rtol):
    """What f is like along a line where the verdict is not pass, and what to do about it."""
    seen = slope.error / scale if scale else np.inf
    if slope.kind == "domain" and not np.isfinite(slope.value):
        return "f is NaN or infinite near x on every scale: move x into the domain of f"
    if slope.sides:
        low, high = slope.sides
        return (
            f"kink at x + {slope.place:.2g} d: slope {low:.6g} on one side, {high:.6g} on the "
            "other; move x off it, or use check_subgradient"
        )
    if slope.kind == "kink":
        return f"kink at x + {slope.place:.6g} d, nobody declared it"
    if slope.kind == "jump":
        return (
            f"f jumps at x + {slope.place:.6g} d: it has steps, or loses digits inside; "
            "compute it in float64, or ask for a larger rtol"
        )
    if slope.kind == "flat" and seen > rtol:
        return (
            "f does not change in its last digit near x, but does further away: it has lost digits"
        )
    if seen > rtol:
        return (
            f"f is only known to about {slope.noise:.0e}, its slope to a relative {seen:.0e}: "
            "remove a large constant from f, or ask for a larger rtol"
        )
    return ""


def likely(g, measured, point, probes):
    """The mistake that the claimed `g` (n,) looks like beside `measured` (n,), NaN where unseen."""
    seen = np.isfinite(measured)
    claim, truth = g[seen], measured[seen]
    names, shapes, x = point.entry, point.shapes, point.flat
    if not seen.any():
        failed = [p for p in probes if p.verdict is Verdict.FAIL]
        return _common(*np.array([(p.analytic, p.numeric) for p in failed]).T)
    close = _close(claim, truth)
    wrong = int((~close).sum())
    if not claim.any():
        return "the claimed gradient is zero"
    whole = seen.all()
    if whole and len(shapes) == 1 and len(shapes[0]) == 2:
        rows, columns = shapes[0]
        if rows == columns and _close(g, measured.reshape(rows, columns).T.ravel()).all():
            return "transposed"
        if _close(g, measured.reshape(rows, columns).ravel(order="F")).all():
            return "transposed (entries in the order of columns)"
    if len(shapes) > 1 and whole and wrong:
        parts = np.split(np.arange(g.size), point.ends[:-1])
        hints = [(n, _common(g[k], measured[k])) for n, k in zip(point.names, parts)]
        named = [f"in {n}, {hint}" for n, hint in hints if hint and hint != SAME]
        if named:
            return "; ".join(named)
    if wrong == 1 < len(claim):
        j = np.flatnonzero(seen)[int(np.flatnonzero(~close)[0])]
        return f"one entry only, {names(j)}: {_factor(g[j], measured[j]) or 'the others agree'}"
    factor = _common(claim[~close], truth[~close])
    if wrong and factor:
        where = "" if wrong == len(claim) or not truth[close].any() else f" in {wrong} entries"
        return factor + where
    if whole and _close(np.sort(g), np.sort(measured)).all():
        return "the right entries in the wrong places (permuted, rolled or stale)"
    missing = truth - claim
    for shape, text in (
        (np.ones_like(x), "a constant"),
        (np.sign(x), "a multiple of sign(x) (an eps term at the wrong samples?)"),
        (x, "a multiple of x (a penalty?)"),
    ):
        shape = shape[seen]
        if len(claim) > 2 and shape.any():
            multiple = missing @ shape / (shape @ shape)
            if _close(missing, multiple * shape, 1e-4 * np.max(np.abs(missing))).all():
                return f"it lacks {text}: {multiple:.6g}"
    if (claim[~close] == 0).all():
        return f"zero in {wrong} entries where f has a slope"
    return ""


def _close(a, b, atol=0.0):
    return np.abs(a - b) <= 1e-4 * np.maximum(np.abs(a), np.abs(b)) + atol


def _common(claim, truth):
    """The factor that all claims share, in words."""
    if not len(truth) or not truth.all():
        return ""
    ratio = claim / truth
    same = np.abs(ratio - ratio[0]) <= 1e-4 * np.abs(ratio[0])
    return _factor(claim[0], truth[0]) if same.all() else ""


def _factor(claim, truth):
    """claim / truth in words: the sign, a whole number n, 1/n, or a plain number."""
    if not truth or not claim:
        return "zero" if not claim else ""
    ratio = claim / truth
    if abs(ratio - 1) < 1e-4:
        return SAME
    if abs(ratio + 1) < 1e-4:
        return "the sign"
    for value, text in ((ratio, "{}"), (1 / ratio, "1/{}")):
        n = round(value) if abs(value) < 1e9 else 0
        if abs(n) >= 2 and abs(value / n - 1) < 1e-4:
            return f"a factor of {text.format(n)}"
    return f"a factor of {ratio:.9g}"
