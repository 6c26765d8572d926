"""From slopes to verdicts: the criterion, the report, and the likely reason of a mistake."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from numlin.gradcheck.differences import EPS, hides

SURELY = 10  # so many errors of the measurement lie between a claim and a slope that contradicts it
HIDE = 0.01  # of rtol times the steepest rise: so small must be what hides a slope of zero
HIDDEN = "zero within the rounding of f"


class Verdict(StrEnum):
    """What a check found; inconclusive is not a pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Probe:
    """One direction: the slope `numeric` of f beside the slope `analytic` that was claimed.

    `spread` is the uncertainty of the measured slope, `h` the step it was seen at, `error` the
    error relative to the scale of the criterion, `kinks` the names of declared kinks that no step
    avoided, None where none matter, `reason` why it is inconclusive and what to do, or what else
    was seen.
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
        found = (p for p in self.probes if p.verdict is self.verdict)
        return max(found, key=lambda p: np.nan_to_num(p.error, nan=np.inf))

    def __str__(self):
        count = sum(p.verdict is self.verdict for p in self.probes)
        share = f"{self.verdict}: {count} of {len(self.probes)} probes"
        text = f"{share}, relative error allowed {self.rtol:.0e}; worst at {self.worst}"
        likely = [f"likely: {self.likely}"] if self.likely else []
        return "\n".join([text, *likely, *(f"note: {note}" for note in self.notes)])


def judge(name, claim, slope, line, rtol, size, rounding, crossed=None):
    """The `Probe` of a `claim` beside the `slope` of `line`; the criterion of `numlin.gradcheck`.

    `size` is the root of the squared terms of the claim, `rounding` the sum of their sizes,
    `crossed` the declared kinks that no step avoided.
    """
    value, error = slope.value, slope.error
    scale, gap = max(abs(value), abs(claim), size), abs(value - claim)
    nothing, seen = 8 * EPS * rounding, ((value, error), *slope.others)
    blur = line.grain * abs(slope.bend) + nothing

    def contradicts(value, error):
        return abs(value - claim) > rtol * scale + SURELY * (error + blur)

    def hidden():
        near = max(e for _, e in seen) if slope.kind != "flat" else error
        if not (max(gap, abs(claim)) <= error + blur and near < np.inf):
            return False
        steep = hides(line, (near + blur) / (HIDE * rtol), slope.noise)
        return abs(claim) <= nothing if steep is None else steep

    verdict, reason = Verdict.INCONCLUSIVE, ""
    if slope.sides:
        low, high = sorted(slope.sides)
        if max(low - claim, claim - high) > (high - low) / 2 + rtol * scale + SURELY * error:
            verdict = Verdict.FAIL
    elif crossed:
        pass
    elif gap + error <= rtol * scale < np.inf:
        verdict = Verdict.PASS
    elif hidden():
        verdict, reason = Verdict.PASS, HIDDEN
    elif all(contradicts(*one) for one in seen):
        verdict = Verdict.FAIL
    if verdict is not Verdict.PASS and not crossed:
        reason = _reason(slope, line, scale, rtol, verdict)
    relative = gap / scale if scale and reason != HIDDEN else 0.0
    numbers = map(float, (value, claim, slope.h, relative))
    return Probe(name, *numbers, verdict, float(error), crossed, reason)


def _reason(slope, line, scale, rtol, verdict):
    """What f is like along a line where the verdict is not pass, and what to do about it."""
    seen = slope.error / scale if scale else np.inf
    at = f"at x + {slope.place:.6g} d"
    if slope.sides:
        sides = "slope {:.6g} on one side, {:.6g} on the other".format(*slope.sides)
        return f"kink at x + {slope.place:.2g} d: {sides}; move x off it, or use check_subgradient"
    if slope.kind == "domain" and not np.isfinite(slope.value):
        return "f is NaN or infinite near x on every scale: move x into the domain of f"
    bit = EPS * max(abs(line.at_x), 1e-300)
    inexact = slope.noise > 30 * bit + 3 * line.grain * abs(slope.value)
    known = f"f is only known to about {slope.noise:.0e}, its slope to a relative {seen:.0e}"
    if verdict is Verdict.FAIL:
        return known if seen > rtol or inexact else ""
    if slope.kind == "kink":
        return f"kink {at}, nobody declared it; move x further off it"
    if slope.kind == "jump":
        known, why = f"f jumps {at}", "it has steps, or loses digits inside; compute it in float64"
    elif slope.kind == "flat":
        why = "x is 0 there: raise h" if line.zero else "changes further away: it has lost digits"
        return f"f keeps its every bit up to h = {slope.h:.2g}, and {why}"
    elif line.grain * abs(slope.bend) > slope.error:
        return "the rounding of x moves the slope more than rtol allows: shift x"
    elif seen <= rtol:
        return "the claim is at the edge of what rtol allows"
    elif inexact:
        why = "it loses digits inside; compute it otherwise"
    elif slope.noise > 3 * bit:
        why = "the floats near x are too far apart; shift x"
    elif abs(line.at_x) > 1e3 * max(abs(slope.value), slope.error) * line.top:
        why = "remove a large constant, or terms that do not change here, from f"
    else:
        why = f"no step shows more than h = {slope.h:.0e}; move x"
    return f"{known}: {why}, or ask for a larger rtol"


def likely(g, measured, allowed, point, probes):
    """The mistake that the claimed `g` (n,) looks like beside `measured` (n,), NaN where unseen.

    An explanation counts if it leaves no entry further off than `allowed` (n,), as no pass is.
    """
    seen = np.isfinite(measured)
    wrong = seen & (np.abs(g - measured) > allowed)
    if not seen.any():
        failed = [p for p in probes if p.verdict is Verdict.FAIL]
        claim, truth, spread = np.array([(p.analytic, p.numeric, p.spread) for p in failed]).T
        return _factor(claim, truth, SURELY * spread + 1e-15 * np.abs(truth))
    if not wrong.any():
        return "an entry that was not probed: those that were agree"
    if not g[seen].any():
        return "the claimed gradient is zero"
    if wrong.sum() > 1 and (factor := _factor(g[seen], measured[seen], allowed[seen])):
        return factor
    hints = []
    for name, shape, end in zip(point.names, point.shapes, point.ends):
        part = slice(end - int(np.prod(shape)), end)
        if wrong.sum() == 1 == wrong[part].sum() < seen[part].sum():
            factor = _factor(g[wrong], measured[wrong], allowed[wrong]) or "the others agree"
            return f"one entry only, {point.entry(np.flatnonzero(wrong)[0])}: {factor}"
        if wrong[part].any():
            hint = _mistake(g[part], measured[part], allowed[part], shape, point.flat[part])
            hints += [f"in {name}, {hint}" if point.several and hint else hint]
    return "; ".join(filter(None, hints))


def _mistake(g, measured, allowed, shape, x):
    """The same for one argument x of that `shape`."""
    seen = np.isfinite(measured)
    claim, truth, allowed, x = g[seen], measured[seen], allowed[seen], x[seen]
    wrong = np.abs(claim - truth) > allowed
    if seen.all() and len(shape) == 2:
        turned = measured.reshape(shape).T
        if _near(g, turned.ravel(), allowed):
            return "transposed" + " (entries in the order of columns)" * (turned.shape != shape)
    if factor := _factor(claim[wrong], truth[wrong], allowed[wrong]):
        some = truth[~wrong].any() and claim[wrong].any()
        return factor + f" in {wrong.sum()} entries" * bool(some)
    order = np.argsort(truth)
    if seen.all() and _near(np.sort(claim), truth[order], allowed[order]):
        return "the right entries in the wrong places (permuted, rolled or stale)"
    for pattern, text in (
        (np.ones_like(x), "a constant"),
        (np.sign(x), "a multiple of sign(x) (an eps term at the wrong samples?)"),
        (x, "a multiple of x (a penalty?)"),
    ):
        if len(claim) > 2 and pattern.any():
            multiple = (truth - claim) @ pattern / (pattern @ pattern)
            if _near(truth - claim, multiple * pattern, allowed):
                return f"it lacks {text}: {multiple:.6g}"
    return ""


def _near(a, b, allowed):
    return np.all(np.abs(a - b) <= allowed)


def _factor(claim, truth, allowed):
    """The one ratio claim / truth in words: the sign, a whole number n, 1/n, or a plain number."""
    if not claim.any():
        return "zero" if len(claim) == 1 else f"zero in {len(claim)} entries where f has a slope"
    best = np.argmax(np.abs(truth) / allowed)
    if np.abs(truth[best]) <= allowed[best]:
        return ""
    ratio = claim[best] / truth[best]
    if not _near(claim, ratio * truth, (1 + abs(ratio)) * allowed):
        return ""
    known = allowed[best] / abs(truth[best]) + allowed[best] / abs(claim[best] or np.inf)
    if abs(ratio + 1) < known:
        return "the sign"
    for value, text in ((ratio, "{}"), (1 / ratio, "1/{}")):
        n = round(value) if abs(value) < 1e9 else 0
        if abs(n) >= 2 and abs(value / n - 1) < known:
            return f"a factor of {text.format(n)}"
    digits = np.clip(2 - np.log10(min(known, abs(ratio - 1))), 3, 9)
    return f"a factor of {ratio:.{int(digits)}g}"
