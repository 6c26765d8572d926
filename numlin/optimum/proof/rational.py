"""The minimum as a fraction: exact arithmetic on the corner that floating point found.

Pixels are integers / 255 and eps = p/q is a decimal, so the corner of the robust hinge solves a
linear system with integer coefficients. With the residuals multiplied by 255 q,

    R_i = 255 q + 255 p ||w||_1 - y_i (q w.x_i + 255 q b),        x_i integers,

the basic weights u_j = s_j w_j and the multipliers t_i = n a_i of the samples S on the margin solve

    B u = 255 q,      B^T t = - sum over samples below the margin of their rows of B,
    B_ij = q s_j y_i x_ij - 255 p  (a pixel)  or  255 q y_i  (the bias).

For the l-inf margin the same holds with p = 0, q = 1 and B^T t = 255 on every weight.

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

import numpy as np

PRIME = 67108859  # the largest below 2^26: 785 products of two residues fit in 63 bits


class ProofError(ArithmeticError):
    """A corner that is not optimal in exact arithmetic."""


@dataclass(frozen=True)
class Proof:
    """A primal and a dual point of exactly equal value.

    `kind` is "minimum", where `value` is that of the robust hinge at `eps`, or "margin", where
    `value` is eps* and `eps` is 0. w_j = `weights`[j] / `scale`, b = `bias` / `scale`;
    n a_i = `multipliers`[i] / `multipliers_scale`, or 1 for i in `below`, and else 0.
    """

    kind: str
    eps: Fraction
    value: Fraction
    weights: dict
    bias: int
    scale: int
    multipliers: dict
    multipliers_scale: int
    below: list

    @property
    def lower_bound(self):
        """A float that is certainly not above `value`."""
        return max(0.0, math.nextafter(float(self.value), -1.0))


def prove(X, y, optimum):
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
    |sum a_i y_i x_ij| <= eps sum a_i, and sum a_i = F(w, b). Weak duality does the rest.
    """
    X, y, eps = _integers(X), np.asarray(y).astype(np.int64), Fraction(str(optimum.eps))
    p, q, basis = eps.numerator, eps.denominator, optimum.basis
    below = np.flatnonzero(optimum.multipliers > 0)
    below = below[~np.isin(below, basis.samples)]
    B = _matrix(X, y, p, q, basis, basis.samples)
    u, scale = solve(B, np.full(len(B), 255 * q, B.dtype))
    t, t_scale = solve(B.T, -_matrix(X, y, p, q, basis, below).sum(axis=0))
    weights, bias = _point(u, basis, X.shape[1])
    multipliers = {int(i): v for i, v in zip(basis.samples, t, strict=True) if v}

    norm = sum(abs(v) for v in weights.values())
    margins = _times(X, weights, q) + 255 * q * bias
    residuals = 255 * (q * scale + p * norm) - y * margins
    primal = Fraction(sum(r for r in residuals if r > 0), 255 * q * scale * len(y))
    mass, balance, reach = _moments(X, y, multipliers, t_scale, below)
    dual = Fraction(mass, t_scale * len(y))
    feasible = all(0 <= v <= t_scale for v in t) and balance == 0 and q * reach <= 255 * p * mass
    if not feasible or primal != dual:
        raise ProofError(
            f"the corner at eps = {eps} is not optimal: feasible {feasible}, "
            f"primal {float(primal)!r}, dual {float(dual)!r}"
        )
    return Proof("minimum", eps, primal, weights, bias, scale, multipliers, t_scale, below.tolist())


def prove_margin(X, y, margin):
    """Prove a `Margin` (eps* > 0) in exact arithmetic; arguments, result and errors as `prove`.

    X is (n_samples, n_features), y (n_samples,). Checked in integers: a_i >= 0,
    sum a_i y_i = 0, and min_i y_i (w.x_i + b) / ||w||_1 = max_j |sum a_i y_i x_ij| / sum a_i.
    """
    X, y, basis = _integers(X), np.asarray(y).astype(np.int64), margin.basis
    B = _matrix(X, y, 0, 1, basis, basis.samples)
    u, scale = solve(B, np.full(len(B), 255))
    t, t_scale = solve(B.T, np.where(basis.coordinates < X.shape[1], 255, 0))
    weights, bias = _point(u, basis, X.shape[1])
    multipliers = {int(i): v for i, v in zip(basis.samples, t, strict=True) if v}

    norm = sum(abs(v) for v in weights.values())
    primal = Fraction(min(y * (_times(X, weights, 1) + 255 * bias)), 255 * norm)
    mass, balance, reach = _moments(X, y, multipliers, t_scale, np.zeros(0, int))
    feasible = all(v >= 0 for v in t) and balance == 0
    if not feasible or primal != Fraction(reach, 255 * mass):
        raise ProofError(f"the margin is not {float(primal)!r}: feasible {feasible}")
    return Proof("margin", Fraction(0), primal, weights, bias, scale, multipliers, t_scale, [])


def decimal(value, places):
    """The decimal expansion of a Fraction >= 0, cut off after some places."""
    whole, rest = divmod(value.numerator, value.denominator)
    return f"{whole}.{rest * 10**places // value.denominator:0{places}d}"


def solve(B, right):
    """x with B x = right, exactly: integer numerators (k,) and their common denominator > 0.

    B (k, k) and right (k,) hold integers. Raises ProofError if B is singular modulo `PRIME`.
    """
    inverse = _inverse((B % PRIME).astype(np.int64))
    sizes = np.abs(np.column_stack([B, right]).astype(object)).sum(axis=1)
    limit = 1 << sum(int(size).bit_length() for size in sizes)  # Hadamard: above every determinant
    fits = len(B) * int(np.abs(B).max(initial=1)) * PRIME < 2**62
    wide, rest = (B, right) if fits else (B.astype(object), right.astype(object))
    digits, modulus = [], 1
    while modulus <= 2 * limit**2:
        digits.append(inverse @ (rest % PRIME).astype(np.int64) % PRIME)
        rest = (rest - wide @ digits[-1]) // PRIME
        modulus *= PRIME
    residues = np.zeros(len(B), object)
    for digit in reversed(digits):
        residues = residues * PRIME + digit.astype(object)
    scale = 1
    for residue in residues:
        if _centred(residue * scale, modulus) ** 2 > limit**2:
            scale *= _denominator(residue * scale % modulus, modulus, limit)
    numerators = [_centred(residue * scale, modulus) for residue in residues]
    common = math.gcd(scale, *numerators)
    return [v // common for v in numerators], scale // common


def _inverse(B):
    """The inverse (k, k) of B modulo PRIME by Gauss-Jordan elimination."""
    k = len(B)
    work = np.hstack([B, np.eye(k, dtype=np.int64)])
    for c in range(k):
        pivots = np.flatnonzero(work[c:, c])
        if not pivots.size:
            raise ProofError(f"the basis of size {k} is singular modulo {PRIME}")
        work[[c, c + pivots[0]]] = work[[c + pivots[0], c]]
        work[c] = work[c] * pow(int(work[c, c]), -1, PRIME) % PRIME
        factors = work[:, c].copy()
        factors[c] = 0
        work = (work - factors[:, None] * work[c]) % PRIME
    return work[:, k:]


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


def _integers(X):
    """X (n_samples, n_features) if its pixels are uint8."""
    X = np.asarray(X)
    if X.dtype != np.uint8:
        raise TypeError(f"X: found {X.dtype} pixels, expected uint8, which are exact over 255")
    return X


def _matrix(X, y, p, q, basis, rows):
    """Rows of B, as at the top of this module, for some samples: (len(rows), k)."""
    number = np.int64 if max(p, q) < 2**31 else object
    signs, is_bias = basis.signs.astype(int).astype(number), basis.coordinates == X.shape[1]
    pixels = X[np.ix_(rows, np.where(is_bias, 0, basis.coordinates))].astype(number)
    signed = np.where(is_bias, 255, pixels) * (q * signs) * y[rows][:, None]
    return signed - np.where(is_bias, 0, 255) * np.array(p, number)


def _point(u, basis, n_features):
    """Numerators of the nonzero weights, by pixel, and of the bias."""
    signed = {int(j): int(s) * v for j, s, v in zip(basis.coordinates, basis.signs, u, strict=True)}
    bias = signed.pop(n_features, 0)
    return {j: v for j, v in signed.items() if v}, bias


def _times(X, weights, factor):
    """factor * X @ weights in Python integers: (n_samples,)."""
    values = np.array([factor * v for v in weights.values()], object)
    return X[:, list(weights)].astype(object) @ values


def _moments(X, y, multipliers, scale, below):
    """scale times sum t_i, sum t_i y_i and max_j |sum t_i y_i x_ij|, in Python integers."""
    rows, values = list(multipliers), np.array(list(multipliers.values()), object)
    signed = y[rows].astype(object) * values
    q = scale * (y[below] @ X[below]).astype(object) + signed @ X[rows].astype(object)
    return (
        scale * len(below) + sum(values),
        scale * int(y[below].sum()) + sum(signed),
        max(abs(v) for v in q),
    )
