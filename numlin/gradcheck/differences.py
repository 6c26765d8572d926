"""What can be seen of the slope of f at x along one line, phi(t) = f(x + t d), and how surely.

On one scale: a polynomial through phi at eight steps drawn at random between -h and h, its slope
at 0, and the residual, which measures whatever is no polynomial: rounding, kinks, waves. On many
scales: from the finest that x + t d can represent to the widest, a slope counts only if it agrees
with those of all finer scales. Where a coarser scale disagrees, bisection finds the place, and the
rate at which the bend there shrinks with the interval tells a kink (the bend goes with the
interval) from a jump (it stays) and from mere curvature (it goes with the square).
"""

from typing import NamedTuple

import numpy as np

EPS = np.finfo(np.float64).eps
SIGMAS = 3
LOOKS = 128  # values for a slope that misses what is asked for by less than MISSED
MISSED = 8
NODES = np.array([-1, -0.8, -0.55, -0.3, 0.3, 0.55, 0.8, 1])
ONE_SIDE = np.array([0.08, 0.2, 0.33, 0.47, 0.6, 0.73, 0.87, 1])


class Line:
    """phi(t) = f(x + t d) along the j-th coordinate, or along a direction d (n,).

    `top` and `bottom` are the widest and the finest step of use, `unit` the size of an entry of x
    that moves, `grain` how far rounding may have moved x, `near` the step that first doubles an
    entry, `zero` whether x says nothing of scale.
    """

    def __init__(self, f, x, at_x, h, unit, j=None, d=None):
        self.f, self.x, self.at_x, self.unit, self.j, self.d = f, x, at_x, unit, j, d
        largest, uniform = np.max(np.abs(x)), unit == 1
        size = abs(x[j]) if d is None else largest / (1 if uniform else np.max(np.abs(d)))
        self.top = h * max(1.0, size)
        self.bottom = 64 * EPS * size or 1e-14 * self.top
        self.grain = 4 * EPS * (largest if uniform else size)
        self.zero = size == 0
        moves, x = (1.0, x[[j]]) if d is None else (d, x)
        self.near = np.min(np.where(x == 0, np.inf, np.abs(x / moves)))

    def point(self, t):
        """x + t d."""
        if self.d is not None:
            return self.x + t * self.d
        v = self.x.copy()
        v[self.j] += t
        return v

    def __call__(self, t):
        """The step that x + t d really makes, and phi there."""
        v = self.point(t)
        return (t if self.d is not None else v[self.j] - self.x[self.j]), self.f(v)


class Slope(NamedTuple):
    """A measured slope: `value` +- `error`, the step `h` it was seen at, and what f is like.

    `kind` is smooth, flat, kink, jump, rough or domain; `place` the step to the kink or jump,
    `sides` the slopes left and right of a kink at x, `others` further (value, error) that f shows
    on other scales and that a claim must contradict to be called wrong, the last with steps that
    leave no entry of x twice as large; `noise` the rounding of f, `swing` the steepest slope seen
    on any scale, `bend` the second derivative.
    """

    value: float
    error: float
    h: float
    kind: str = "smooth"
    place: float = 0.0
    sides: tuple = ()
    others: tuple = ()
    noise: float = 0.0
    swing: float = 0.0
    bend: float = 0.0


class Fit(NamedTuple):
    """One scale: slope, how the residual enters it, the residual, the largest rise, phi''."""

    h: float
    slope: float
    gain: float
    residual: float
    size: float
    bend: float
    error: float = np.inf


def fit(line, h, rng, nodes=NODES):
    """Slope of the polynomial of degree 4 or 6 through phi at about h * nodes, whichever is surer.

    None where a step leaves the domain.
    """
    points = [line(t) for t in h * nodes * rng.uniform(0.94, 1, len(nodes))]
    t, value = np.array([(0.0, line.at_x), *points]).T
    rise = value - line.at_x
    size = np.max(np.abs(rise))
    if not np.isfinite(size):
        return None
    floor = max(EPS / 2 * np.max(np.abs(value)), 5e-324)
    fits, rise = [], rise / (size or 1)
    for degree in (4, 6):
        basis = np.vander(t / h, degree + 1, increasing=True)
        solve = np.linalg.pinv(basis)
        coefficients = solve @ rise
        off = np.linalg.norm(basis @ coefficients - rise) / np.sqrt(8 - degree)
        slope, bend = size * coefficients[1:3] / h
        gain = np.linalg.norm(solve[1])
        fits.append(Fit(h, slope, gain, max(size * off, floor), size, 2 * bend / h))
    return min(fits, key=lambda one: one.gain * one.residual)


def rounding(fits):
    """The residual that no scale is without: the least that three neighbours all stay below."""
    triples = zip(fits, fits[1:], fits[2:])
    return min((max(one.residual for one in three) for three in triples), default=0.0)


def settle(fits, noise):
    """The scales, finest first, whose slopes agree with all finer ones; the first that does not.

    The residual of a scale, and `noise`, count on all coarser ones.
    """
    kept = []
    for one in fits:
        noise = max(noise, one.residual)
        one = one._replace(error=SIGMAS * one.gain * noise / one.h)
        if any(abs(one.slope - old.slope) > 1.5 * (one.error + old.error) for old in kept):
            return kept, one
        kept.append(one)
    return kept, None


def best(kept):
    """The `Slope` of the surest scale; the error has what the next surest differs by."""
    if len(kept) < 2:
        return Slope(np.nan, np.inf, np.nan)
    first, second = sorted(kept, key=lambda one: one.error)[:2]
    error = first.error + abs(first.slope - second.slope)
    return Slope(first.slope, error, first.h, "smooth" if first.size else "flat", bend=first.bend)


def look_again(line, found, rng):
    """The slope `found` from LOOKS values at its step, and as many at half of that.

    A kink at x is one more unknown, and half its bend counts as error.
    """
    seen = []
    for h in (found.h, found.h / 2):
        t, value = np.array([line(t) for t in rng.uniform(-h, h, LOOKS)]).T
        basis = np.column_stack([np.vander(t / h, 6, increasing=True), np.abs(t / h)])
        solve, rise = np.linalg.pinv(basis), value - line.at_x
        coefficients = solve @ rise
        noise = np.std(basis @ coefficients - rise) * np.linalg.norm(solve[1])
        seen.append((coefficients[1] / h, (SIGMAS * noise + abs(coefficients[6])) / h))
    (value, error), (other, _) = sorted(seen, key=lambda one: one[1])
    error += abs(value - other)
    if not error < found.error:
        return found
    return found._replace(value=value, error=error, others=(*found.others, found[:2]))


def first_step(line, claim, noise, rtol):
    """The finest step at which a slope of size `claim` stands a dozen times clear of rounding."""
    h = 40 * noise / (rtol * abs(claim)) if claim else np.inf
    return min(max(h, line.bottom), line.top / 10)


def quick(line, h, noise):
    """Slope from six values: central differences at about h, 3h, 9h, extrapolated to 0.

    The error is how far the extrapolations differ, the rounding, and the part of
    phi(h) - 2 phi(0) + phi(-h) that goes with h, as at a kink, instead of its square.
    """
    rng = np.random.default_rng(7)
    factors = np.array([1, rng.uniform(2.6, 3.4), rng.uniform(7, 10)])
    ups, downs = ([line(sign * t) for t in h * factors] for sign in (1, -1))
    (up_t, up), (down_t, down) = np.transpose(ups), np.transpose(downs)
    (a, b, c), (p, q, r) = (up - down) / (up_t - down_t), ((up_t - down_t) / 2) ** 2
    bends = ((up - line.at_x) + (down - line.at_x)) / factors
    if not np.isfinite(a + b + c):
        return Slope(np.nan, np.inf, h, "domain")
    near, far = a + (a - b) / (q / p - 1), b + (b - c) / (r / q - 1)
    value = near + (near - far) / (r / p - 1)
    kink = abs(factors[2] * bends[0] - bends[2]) / (factors[2] - 1)
    error = abs(value - near) + abs(near - far) + (SIGMAS * noise + kink) / h
    return Slope(value, error, h, noise=noise)


def still(line, noise):
    """A slope of 0 where phi keeps its every bit at three steps far apart, both ways, else None."""
    steps = line.top * np.array([0.013, 1.7e-5, 2.3e-8])
    if any(line(sign * t)[1] != line.at_x for t in steps for sign in (1, -1)):
        return None
    return Slope(0.0, SIGMAS * noise / steps[0], steps[0], "flat", noise=noise)


def measure(line, rtol, rng, top=None, finest=np.inf, scale=0.0):
    """The slope along `line`, as sure as it can be had from all scales up to `top`, a `Slope`.

    Sure enough is an error of `rtol` times the slope, or times `scale` if that is larger.
    """
    top = line.top if top is None else top
    bottom = min(line.bottom, top / 64, max(finest, 1e-300) if line.zero else np.inf)
    count = int(np.clip(np.log(top / bottom) / np.log(6), 4, 60)) + 1
    steps = np.geomspace(bottom, top, count)
    fits = [one for h in steps if (one := fit(line, h, rng))]
    if len(fits) < 3:
        return _sides(line, steps, rng) or Slope(np.nan, np.inf, top, "domain")
    noise, swing = rounding(fits), max(abs(one.slope) for one in fits)
    kept, odd = settle(fits, noise)
    found = fine = best(kept)._replace(noise=noise)
    allowed = rtol * max(scale, abs(fine.value))
    if odd:
        kind, place, size = locate(line, odd.h, noise)
        if kind == "rough" and 0 < size < odd.residual / 30:
            kind, place, size = locate(line, 0.83 * odd.h, noise)  # halves in step with a wave
        found = fine._replace(kind=kind, place=place)
        lost = fine.kind == "flat" and kind != "kink"
        if kind == "kink":  # slopes must differ by nothing else on the other side of x
            one = fit(line, odd.h, rng, -ONE_SIDE if place > 0 else ONE_SIDE) or odd
            odd = one._replace(error=SIGMAS * one.gain * max(noise, one.residual) / odd.h)
        if kind in ("kink", "jump", "rough") or odd.residual <= line.grain * abs(odd.slope):
            found = found._replace(others=((odd.slope, odd.error),))
        if lost or (kind in ("jump", "rough") and abs(place) < 0.01 * top):
            size = max(size, 3 * odd.residual)
            wide = best(settle(fits, size)[0])
            if lost or wide.error < 0.1 * abs(wide.value):
                found = wide._replace(kind=kind, place=place, others=(fine[:2],), noise=size)
    elif fine.kind == "flat":
        found = fine._replace(others=((0.0, max(kept[-1].error, stair(line, top, noise) / top)),))
    elif fine.error > max(allowed, 1e-14 * swing):
        kind, place, _ = locate(line, kept[-1].h, noise)
        if kind == "kink":
            found = _sides(line, steps, rng, place) or fine._replace(kind=kind, place=place)
    if not found.sides and allowed / 2 < found.error < MISSED * allowed:
        found = look_again(line, found, rng)
    kind = "domain" if len(fits) < count and found.kind == "smooth" else found.kind
    near = min([one for one in kept if one.h <= line.near] or kept, key=lambda one: one.error)
    others = (*found.others, (near.slope, near.error))
    return found._replace(kind=kind, swing=swing, others=others)


def stair(line, top, noise):
    """Height of the first bend of phi beyond `top` if that is a jump, else 0: lost digits are."""
    bends = (locate(line, h, noise) for h in top * 4.0 ** np.arange(1, 5))
    kind, _, height = next((one for one in bends if one[2]), ("smooth", 0, 0))
    return height if kind in ("jump", "rough") else 0.0


def hides(line, slope, noise):
    """Whether phi rises steeper than `slope`: somewhere up to ten of the widest step or, if it does
    not move by more than a rounding there, where it first does by ten further out. None if never.
    """
    moved = False
    for k in (0, 1, -1, -2, -3, *range(2, 30)):
        if k == 2 and moved:
            return False
        for sign in (1, -1):
            step, value = line(sign * line.top * 10.0**k)
            rise, rounded = abs(value - line.at_x), max(noise, EPS * abs(value))
            moved, clear = moved or rise > rounded, rise - 10 * rounded
            if clear > slope * abs(step) or (clear > 0 and k > 1):
                return clear > slope * abs(step)
    return None


def locate(line, h, noise):
    """The sharpest bend of phi between -h and h: (kink, jump, smooth or rough, place, its size).

    Three points; the interval is halved around the triple that bends most until rounding hides
    the bend.
    """
    a, m, b = -h, 0.0, h
    at = {t: line(t)[1] for t in (a, m, b)}
    bends = []
    for _ in range(44):
        left, right = (a + m) / 2, (m + b) / 2
        at[left], at[right] = line(left)[1], line(right)[1]
        triples = ((a, left, m), (left, m, right), (m, right, b))
        sizes = [abs((at[p] - at[q]) + (at[r] - at[q])) for p, q, r in triples]
        if not np.isfinite(sizes).all():
            return "domain", m, 0.0
        moved = line.grain * abs(at[b] - at[a]) / (b - a)  # phi, as x + t d is rounded
        floor = max(8 * noise, 4 * EPS * max(abs(at[m]), abs(at[a])), moved)
        (a, m, b), bend = triples[int(np.argmax(sizes))], max(sizes)
        if bend <= floor or b - a <= 8 * EPS * h:
            break
        bends.append(bend)
    if len(bends) < 4:
        return "rough", m, max(bends, default=0.0)
    late = bends[-max(4, len(bends) // 2) :]
    rate = np.log2(late[0] / late[-1]) / (len(late) - 1)
    vanished = bend <= floor and late[-1] > 16 * floor  # at once: between two steps of a stair
    kind = "jump" if rate < 0.5 or vanished else "kink" if rate < 1.5 else "smooth"
    return kind, m, late[-1]


def _sides(line, steps, rng, place=0.0):
    """The slopes left and right of x where they surely differ, else None."""
    sides = []
    for sign in (-1, 1):
        fits = [one for h in steps if (one := fit(line, h, rng, sign * ONE_SIDE))]
        noise = rounding(fits)
        sides.append(best(settle(fits, noise)[0])[:3])
    (low, low_error, h), (high, high_error, _) = sides
    error = max(low_error, high_error)
    if not error < 0.1 * abs(high - low):
        return None
    return Slope((low + high) / 2, error, h, "kink", place, (low, high), noise=noise)
