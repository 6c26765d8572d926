"""The minimum as a fraction: exact arithmetic on the corner that floating point found.

Pixels are integers / 255 and eps = p/q is a decimal, so the corner of the robust hinge solves a
linear system with integer coefficients. With the residuals multiplied by 255 q,

    R_i = 255 q + 255 p ||w||_1 - y_i (q w.x_i + 255 q b),        x_i integers,

the basic weights u_j = s_j w_j and the multipliers t_i = n a_i of the samples S on the margin solve

    B u = 255 q,      B^T t = - sum over samples below the margin of their rows of B,
    B_ij = q s_j y_i x_ij - 255 p  (a pixel)  or  255 q y_i  (the bias).

For the l-inf margin the same holds with p = 0, q = 1 and B^T t = 255 on every weight. In the
pixel box B holds worst-case columns instead (`numlin.optimum.columns`),

    B_ij = low_ij = max(0, q x_ij - 255 p)  or  -high_ij = -min(255 q, q x_ij + 255 p),

the first where y_i = 1 and w_j > 0, or y_i = -1 and w_j < 0.

The systems are solved p-adically (Dixon): an inverse modulo a prime gives the solution modulo the
prime, what is left over, divided by the prime, gives the next digit, and enough digits determine
the fraction. That costs k^2 machine operations a digit, where elimination costs k^3 long
multiplications. None of it has to be trusted: the proof is what `prove` and `prove_margin` check
afterwards, in integers, over all samples and pixels.

References
----------
Dixon, "Exact solution of linear equations using p-adic expansions", 1982.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from numlin.kernels.jit import jit
from numlin.support.arguments import Array

if TYPE_CHECKING:
    from numlin.optimum import Margin, Optimum

BALANCINGS = 4
DEPENDENT, LONELY = 1e-9, 1e-3  # of the largest entry; of a pixel's 255 levels
DIGITS, APART = 2**50, 10**11  # of weights and multipliers; the ends of a margin are over this
PRIME, HALF = 67108859, 2**13  # largest below 2^26: sums of 2^14 residues times 2^13 are exact


class ProofError(ArithmeticError):
    """A corner that is not optimal in exact arithmetic."""


@dataclass(frozen=True)
class Proof:
    """A primal and a dual point of exactly equal value.

    `kind` is "minimum" or "box", where `value` is that of the robust hinge at `eps`, free or in the
    pixel box; "margin", where `value` is eps* and `eps` is 0; or "box-margin", where eps* in the
    box is at least `value` and at most `eps`. w_j = `weights`[j] / `scale`,
    b = `bias` / `scale`; n a_i = `multipliers`[i] / `multipliers_scale`, or 1 for i in `below`,
    and else 0.
    """

    kind: str
    eps: Fraction
    value: Fraction
    weights: dict[int, int]
    bias: int
    scale: int
    multipliers: dict[int, int]
    multipliers_scale: int
    below: list[int]

    @property
    def lower_bound(self) -> float:
        """A float that is certainly not above `value`."""
        return max(0.0, math.nextafter(float(self.value), -1.0))


def prove(X: ArrayLike, y: ArrayLike, optimum: "Optimum") -> Proof:
    """Prove an `Optimum` in exact arithmetic.

    Parameters
    ----------
    X : (n_samples, n_features)
        uint8 pixels, read as multiples of 1/255.
    y : (n_samples,)
        Labels, -1 or +1.
    optimum : Optimum
        From `numlin.optimum.minimise`; its `eps` stands for the decimal that it prints as.

    Returns
    -------
    Proof

    Raises
    ------
    TypeError
        If X is not uint8: other pixels are not multiples of 1/255.
    ProofError
        If the corner is not optimal, which says that rounding misled the solver.

    Notes
    -----
    Checked in integers, over all samples and pixels: 0 <= n a_i <= 1, sum a_i y_i = 0,
    |sum a_i y_i x_ij| <= eps sum a_i (in the box that no sum of a_i Zplus_ij or a_i Zminus_ij is
    above 0), and sum a_i = F(w, b). Weak duality does the rest.
    """
    X, y, eps = _integers(X), np.asarray(y).astype(np.int64), Fraction(str(optimum.eps))
    p, q, basis, box = eps.numerator, eps.denominator, optimum.basis, optimum.box
    below = np.flatnonzero(optimum.multipliers > 0)
    below = below[~np.isin(below, basis.samples)]
    B = _matrix(X, y, p, q, basis, basis.samples, box)
    u, scale = solve(B, np.full(len(B), 255 * q, B.dtype))
    t, t_scale = solve(B.T, -_matrix(X, y, p, q, basis, below, box).sum(axis=0))
    weights, bias = _point(u, basis, X.shape[1], box)
    multipliers = {int(i): v for i, v in zip(basis.samples, t, strict=True) if v}

    residuals = 255 * q * scale - _margins(X, y, p, q, weights, bias, box)
    primal = Fraction(sum(r for r in residuals if r > 0), 255 * q * scale * len(y))
    mass, balance, reach = _moments(X, y, multipliers, t_scale, below, p, q, box)
    dual = Fraction(mass, t_scale * len(y))
    feasible = all(0 <= v <= t_scale for v in t) and balance == 0 and reach <= 0
    if not feasible or primal != dual:
        raise ProofError(
            f"the corner at eps = {eps} is not optimal: feasible {feasible}, "
            f"primal {float(primal)!r}, dual {float(dual)!r}"
        )
    kind = "box" if box else "minimum"
    return Proof(kind, eps, primal, weights, bias, scale, multipliers, t_scale, below.tolist())


def prove_margin(X: ArrayLike, y: ArrayLike, margin: "Margin") -> Proof:
    """Prove a `Margin` (eps* > 0) in exact arithmetic; arguments, result and errors as `prove`.

    X is (n_samples, n_features), y (n_samples,). Checked in integers: a_i >= 0,
    sum a_i y_i = 0, and min_i y_i (w.x_i + b) / ||w||_1 = max_j |sum a_i y_i x_ij| / sum a_i. In
    the pixel box eps* is in general no fraction: then its two ends, moved outwards, are proved.
    """
    X, y, basis = _integers(X), np.asarray(y).astype(np.int64), margin.basis
    if margin.box:
        return _prove_interval(X, y, margin)
    B = _matrix(X, y, 0, 1, basis, basis.samples, False)
    u, scale = solve(B, np.full(len(B), 255))
    t, t_scale = solve(B.T, np.where(basis.coordinates < X.shape[1], 255, 0))
    weights, bias = _point(u, basis, X.shape[1], False)
    multipliers = {int(i): v for i, v in zip(basis.samples, t, strict=True) if v}

    norm = sum(abs(v) for v in weights.values())
    primal = Fraction(min(_margins(X, y, 0, 1, weights, bias, False)), 255 * norm)
    mass, balance, reach = _moments(X, y, multipliers, t_scale, np.zeros(0, int), 0, 1, False)
    feasible = all(v >= 0 for v in t) and balance == 0
    if not feasible or primal != Fraction(reach, 255 * mass):
        raise ProofError(f"the margin is not {float(primal)!r}: feasible {feasible}")
    return Proof("margin", Fraction(0), primal, weights, bias, scale, multipliers, t_scale, [])


def _prove_interval(X, y, margin):
    """Prove that eps* in the box lies between two fractions: kind "box-margin"."""
    lower = Fraction(math.floor(margin.lower * APART) - 1, APART)
    upper = Fraction(math.ceil(margin.upper * APART) + 1, APART)
    unit = DIGITS / max(np.abs(margin.w).max(), abs(margin.b), 1e-300)
    weights = {int(j): round(margin.w[j] * unit) for j in np.flatnonzero(margin.w)}
    bias = round(margin.b * unit)
    least = min(_margins(X, y, lower.numerator, lower.denominator, weights, bias, True))
    t = np.rint(margin.multipliers / margin.multipliers.max() * DIGITS).astype(object)
    ahead = sum(t * y)
    t[np.argmax(t * (y == np.sign(ahead)))] -= abs(ahead)
    multipliers = {int(i): int(t[i]) for i in np.flatnonzero(t)}
    _, balance, reach = _moments(
        X, y, multipliers, 1, np.zeros(0, int), upper.numerator, upper.denominator, True
    )
    if least <= 0 or balance != 0 or reach > 0 or min(multipliers.values()) < 0:
        raise ProofError(
            f"the box margin is not between {float(lower)!r} and {float(upper)!r}: "
            f"separates {least > 0}, forbids {balance == 0 and reach <= 0}"
        )
    return Proof("box-margin", upper, lower, weights, bias, DIGITS, multipliers, DIGITS, [])


def balance(X: ArrayLike, y: ArrayLike, t: Array, most: float) -> Array:
    """Make sum t_i y_i = 0 and sum t_i y_i x_ij = 0 hold exactly: the dual conditions at eps = 0.

    The t_i (n_samples,) are put on a grid; then as many as there are independent conditions, those
    furthest from 0 and `most`, are solved for. All conditions are then checked in integers.

    Returns
    -------
    (n_samples,)
        The solution, each t_i within 2^-52 of itself.

    Raises
    ------
    ProofError
        If the solution leaves 0 <= t_i <= most, or the conditions were more than it solved.
    """
    X, y = _integers(X), np.asarray(y).astype(np.int64)
    grid = 1 << max(
        0, 52 - math.ceil(len(y) * max(1.0, t.max())).bit_length()
    )  # sums fit in 63 bits
    steps = np.rint(t * grid).astype(np.int64)
    for _ in range(BALANCINGS):
        rows = np.flatnonzero(steps > 0)
        M = np.column_stack([X[rows].astype(np.int64), np.full(len(rows), 255)]) * y[rows][:, None]
        S, C, lonely = _independent(M, np.minimum(t, most - t)[rows])
        if not lonely.any():
            break
        steps[rows[lonely]] = 0
    rest = np.delete(np.arange(len(rows)), S)
    pull = steps[rows[rest]] @ M[rest]
    numerators, scale = solve(M[np.ix_(S, C)].T, -pull[C])
    found = np.array(numerators, object)
    sums = scale * pull.astype(object) + found @ M[S].astype(object)
    limit = most if np.isinf(most) else int(most) * scale * grid
    if any(sums) or any(not 0 <= v <= limit for v in found):
        raise ProofError("no multipliers nearby meet the conditions at eps = 0")
    t = steps / grid
    t[rows[S]] = [float(Fraction(v, scale * grid)) for v in found]
    return t


def _independent(M, weights):
    """Rows S and columns C of a regular part of M (n, k), of all its rank in the weighted rows.

    And which rows (n,) hold, with next to no weight, a column that is not in the span of C.
    """
    left = M * weights[:, None]
    S, C = _eliminate(left, DEPENDENT * np.abs(left).max(initial=0))
    left[S] = 0
    left[:, C] = 0
    return S, C, (np.abs(left) > LONELY * weights[:, None]).any(axis=1)


@jit
def _eliminate(M, least):
    """Gauss elimination of M (n, k) in place, the largest entry of each column as its pivot."""
    n, k = M.shape
    is_pivot, rows, columns = np.zeros(n, np.bool_), [0][:0], [0][:0]
    for c in range(k):
        r = -1
        for i in range(n):
            if not is_pivot[i] and (r < 0 or abs(M[i, c]) > abs(M[r, c])):
                r = i
        if r >= 0 and abs(M[r, c]) > least:
            is_pivot[r] = True
            rows.append(r)
            columns.append(c)
            for i in range(n):
                if not is_pivot[i] and M[i, c] != 0:
                    factor = M[i, c] / M[r, c]
                    for j in range(k):
                        M[i, j] -= factor * M[r, j]
    return np.array(rows, np.int64), np.array(columns, np.int64)


def decimal(value: Fraction, places: int) -> str:
    """The decimal expansion of a Fraction >= 0, cut off after some places."""
    whole, rest = divmod(value.numerator, value.denominator)
    return f"{whole}.{rest * 10**places // value.denominator:0{places}d}"


def solve(B: Array, right: Array) -> tuple[list[int], int]:
    """x with B x = right, exactly: integer numerators (k,) and their common denominator > 0.

    B (k, k) and right (k,) hold integers. Raises ProofError if B is singular modulo `PRIME`.
    """
    inverse = _inverse((B % PRIME).astype(np.int64))
    sizes = np.abs(np.column_stack([B, right]).astype(object)).sum(axis=1)
    limit = 1 << sum(int(size).bit_length() for size in sizes)  # Hadamard: above every determinant
    high, low = (part.astype(np.float64) for part in np.divmod(inverse, HALF))
    largest = len(B) * int(np.abs(B).max(initial=1)) * PRIME
    fits = max(largest, int(np.abs(right).max(initial=0))) < 2**53
    B, number = (B.astype(np.float64), np.int64) if fits else (B.astype(object), object)
    digits, modulus, rest = [], 1, right.astype(number)
    while modulus <= 2 * limit**2:
        digit = (rest % PRIME).astype(np.float64)
        digit = ((high @ digit % PRIME) * HALF + low @ digit) % PRIME
        digits.append(digit.astype(np.int64))
        rest = (rest - (B @ (digit if fits else digits[-1])).astype(number)) // PRIME
        modulus *= PRIME
    base, parts = PRIME, [digit.astype(object) for digit in digits]
    while len(parts) > 1:
        parts = [a + base * b for a, b in zip_longest(parts[::2], parts[1::2], fillvalue=0)]
        base *= base
    residues = parts[0]
    scale = 1
    for residue in residues:
        if _centred(residue * scale, modulus) ** 2 > limit**2:
            scale *= _denominator(residue * scale % modulus, modulus, limit)
    numerators = [_centred(residue * scale, modulus) for residue in residues]
    common = math.gcd(scale, *numerators)
    return [v // common for v in numerators], scale // common


def _inverse(B):
    """The inverse (k, k) of B modulo PRIME by Gauss-Jordan elimination."""
    work = np.hstack([B, np.eye(len(B), dtype=np.int64)]).astype(np.float64)
    if not _eliminate_modulo(work, float(PRIME)):
        raise ProofError(f"the basis of size {len(B)} is singular modulo {PRIME}")
    return work[:, len(B) :].astype(np.int64)


@jit
def _eliminate_modulo(M, p):
    """Gauss-Jordan on M (k, n) modulo p, whole numbers below 2^26 in float64; if it is regular.

    Products are below 2^52, so exact, and so is x - p floor(x / p), which may be p too large or
    too small by the rounding of x / p.
    """
    k, n = M.shape
    for c in range(k):
        r = c
        while r < k and M[r, c] == 0:
            r += 1
        if r == k:
            return False
        if r != c:
            for j in range(n):
                M[c, j], M[r, j] = M[r, j], M[c, j]
        factor = _invert(int(M[c, c]), int(p))
        for j in range(n):
            M[c, j] = M[c, j] * factor % p
        for i in range(k):
            if i != c and M[i, c] != 0:
                factor = M[i, c]
                for j in range(n):
                    x = M[i, j] + factor * (p - M[c, j])
                    x -= p * np.floor(x * (1 / p))
                    x = x + p if x < 0 else x
                    M[i, j] = x - p if x >= p else x
    return True


@jit
def _invert(a, p):
    """1 / a modulo p, by Euclid."""
    r, r_next, d, d_next = p, a, 0, 1
    while r_next:
        quotient = r // r_next
        r, r_next = r_next, r - quotient * r_next
        d, d_next = d_next, d - quotient * d_next
    return d % p


def _centred(residue, modulus):
    """The representative of a residue in (-modulus/2, modulus/2]."""
    residue %= modulus
    return residue - modulus if 2 * residue > modulus else residue


def _denominator(residue, modulus, limit):
    """d of the fraction n/d = residue modulo `modulus` with |n|, d < limit (half of Euclid)."""
    r, r_next, d, d_next = modulus, residue, 0, 1
    while r_next >= limit:
        quotient = r // r_next
        r, r_next = r_next, r - quotient * r_next
        d, d_next = d_next, d - quotient * d_next
    return abs(d_next)


def _integers(X: ArrayLike) -> Array:
    """X (n_samples, n_features) if its pixels are uint8."""
    X = np.asarray(X)
    if X.dtype != np.uint8:
        raise TypeError(f"X: found {X.dtype} pixels, expected uint8, which are exact over 255")
    return X


def _columns(pixels, y, p, q, box):
    """255 q times Zplus and Zminus of pixels (n, k), labels y (n,): integers, (n, k) each."""
    number = np.int64 if max(p, q) < 2**31 else object
    x, move, y = q * pixels.astype(number), 255 * np.array(p, number), y[:, None]
    if not box:
        return y * x - move, -y * x - move
    low, high = np.maximum(x - move, 0), np.minimum(x + move, 255 * q)
    return np.where(y > 0, low, -high), np.where(y > 0, -high, low)


def _matrix(X, y, p, q, basis, rows, box):
    """Rows of B, as at the top of this module, for some samples: (len(rows), k)."""
    d, j, signs = X.shape[1], basis.coordinates, basis.signs.astype(int)
    is_bias = j == (2 * d if box else d)
    pixels = X[np.ix_(rows, np.where(is_bias, 0, j % d))]
    plus, minus = _columns(pixels, y[rows], p, q, box)
    weights = np.where(j < d if box else signs > 0, plus, minus)
    return np.where(is_bias, 255 * q * (signs * y[rows][:, None]).astype(plus.dtype), weights)


def _point(u, basis, n_features, box):
    """Numerators of the nonzero weights, by pixel, and of the bias."""
    weights, bias = {}, 0
    for j, sign, value in zip(basis.coordinates.tolist(), basis.signs, u, strict=True):
        if j == (2 * n_features if box else n_features):
            bias = int(sign) * value
        else:
            signed = -value if sign < 0 or j >= n_features else value
            weights[j % n_features] = weights.get(j % n_features, 0) + signed
    return {j: v for j, v in weights.items() if v}, bias


def _margins(X, y, p, q, weights, bias, box):
    """255 q times the robust margins, in Python integers: (n_samples,)."""
    values = np.array(list(weights.values()), object)
    plus, minus = _columns(X[:, list(weights)], y, p, q, box)
    worst = np.where(values > 0, plus, minus).astype(object) @ abs(values)
    return worst + 255 * q * bias * y.astype(object)


def _moments(X, y, multipliers, scale, below, p, q, box):
    """scale times sum t_i and sum t_i y_i, 255 q scale times the largest sum_i t_i Zplus_ij or
    sum_i t_i Zminus_ij, in Python integers."""
    rows, values = list(multipliers), np.array(list(multipliers.values()), object)
    sums = [
        scale * whole.sum(axis=0).astype(object) + values @ part.astype(object)
        for whole, part in zip(
            _columns(X[below], y[below], p, q, box), _columns(X[rows], y[rows], p, q, box),
            strict=True,
        )
    ]  # fmt: skip
    mass = scale * len(below) + sum(values)
    return mass, scale * int(y[below].sum()) + sum(y[rows].astype(object) * values), np.max(sums)
