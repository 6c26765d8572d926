"""Compiled kernels of the parametric simplex: one pivot after the other as lambda falls.

`numlin.optimum.walk` derives what happens here and drives it. The path of one pivot through this
file: `price_out` finds how the multipliers move with lambda, `breakpoint` who first stops them,
`edge` how the classifier moves there, `obstacle` how far it can, `exchange` who replaces whom.
"""

from typing import NamedTuple

import numpy as np

from numlin.kernels.jit import jit
from numlin.optimum.pivots import ABOVE, BELOW, ON

FLAT = 1e-9  # what changes more slowly does not change
TIE = 4e-12  # smaller residuals and weights are 0
MORE, LOW, SEPARATED, LOST = 0, 1, 2, 3  # how a run of pivots ended


class Trail(NamedTuple):
    """A corner of the path and its basis; the kernels change the arrays in place.

    m samples of n and D coordinates (d weights and the bias), of which at most K are basic. What
    depends on the targets has two rows, for 1 and for the infinitesimal shift.
    """

    X: np.ndarray  # (n, d) pixels
    XT: np.ndarray  # (d, n) the same, transposed
    one: float  # what stands for 1 in X, targets, margins and bias: 255 for uint8
    working: np.ndarray  # (m,) the samples that may meet the margin
    y: np.ndarray  # (m,) their labels
    r: np.ndarray  # (2, m) their residuals
    side: np.ndarray  # (m,) ABOVE, BELOW or ON
    counts: np.ndarray  # (2,) k, and the number of all samples below the margin
    samples: np.ndarray  # (K,) S, positions in `working`, the first k in use
    coordinates: np.ndarray  # (K,) C, the first k in use
    sign: np.ndarray  # (D,) s_j of the basic coordinates, 0 for the others
    u: np.ndarray  # (2, K) s_j v_j of C
    inverse: np.ndarray  # (K, K) inverse of B, the first k rows (C) and columns (S) in use
    columns: np.ndarray  # (K, m) y_i z_ij of C, as in X
    rows: np.ndarray  # (K, D) y_i z_ij of S, as in X
    t: np.ndarray  # (2, K) multipliers of S are t[0] + lambda t[1]
    q: np.ndarray  # (2, D) sum t_i z_i of all samples, likewise
    pull: np.ndarray  # (D,) sum z_i of the samples below the margin


class Log(NamedTuple):
    """What a run of pivots did; the first rows are in use."""

    events: np.ndarray  # (budget, 3) who entered, who left, direction: j, or ~i for a sample
    corners: np.ndarray  # (budget, 4) pivot that left a classifier, lambda, its hinges and norm
    sizes: np.ndarray  # (budget,) its k
    coordinates: np.ndarray  # (budget, K) where it may be nonzero, the first k in use
    values: np.ndarray  # (budget, K) its v_j there


@jit
def price_out(p):
    """Set the multipliers p.t and p.q, as functions of lambda."""
    k, d = p.counts[0], p.sign.size - 1
    for j in range(d + 1):
        p.q[0, j], p.q[1, j] = p.pull[j], 0.0
    for s in range(k):
        p.t[0, s], p.t[1, s] = 0.0, 0.0
    for c in range(k):
        j = p.coordinates[c]
        slope, toll = p.sign[j] * p.pull[j], 1.0 if j < d else 0.0
        for s in range(k):
            p.t[0, s] -= p.inverse[c, s] * slope
            p.t[1, s] += p.inverse[c, s] * toll
    for s in range(k):
        y, x = p.y[p.samples[s]], p.rows[s]
        fixed, rate = y * p.t[0, s], y * p.t[1, s]
        for j in range(d + 1):
            p.q[0, j] += fixed * x[j]
            p.q[1, j] += rate * x[j]


@jit
def breakpoint(p, top):
    """Where lambda stops below `top`: (lambda, coordinate or -1, position in S or -1, direction).

    A multiplier of S reaches 0 or 1, or the pull on a pixel reaches lambda.
    """
    d = p.sign.size - 1
    if p.sign[d] == 0:
        return top, d, -1, 1.0
    best, j_in, s_in, direction = 0.0, -1, -1, 0.0
    for j in range(d):
        if p.sign[j] == 0:
            for sign in (1.0, -1.0):
                rate = 1 - sign * p.q[1, j]
                if rate > FLAT and sign * p.q[0, j] > best * rate:
                    best, j_in, direction = sign * p.q[0, j] / rate, j, sign
    for s in range(p.counts[0]):
        fixed, rate = p.t[0, s], p.t[1, s]
        if rate > FLAT * FLAT and -fixed > best * rate:
            best, j_in, s_in, direction = -fixed / rate, -1, s, -1.0
        elif rate < -FLAT * FLAT and fixed - 1 > -best * rate:
            best, j_in, s_in, direction = (fixed - 1) / -rate, -1, s, 1.0
    return min(best, top), j_in, s_in, direction


@jit
def edge(p, j_in, s_in, direction, du, dr):
    """Set du (k,), rates of p.u along the edge, and dr (m,), of the residuals."""
    k = p.counts[0]
    if j_in >= 0:
        entries(p, j_in, dr)
        for c in range(k):
            du[c] = 0.0
            for s in range(k):
                i = p.samples[s]
                du[c] -= direction * p.inverse[c, s] * p.y[i] * dr[i]
    else:
        for i in range(dr.size):
            dr[i] = 0.0
        for c in range(k):
            du[c] = -direction * p.inverse[c, s_in]
    for i in range(dr.size):
        dr[i] *= -direction
    c = 0
    while c + 4 <= k:  # four at a time, so that dr is read and written a quarter as often
        w, x = p.columns[c], p.columns[c + 1]
        y, z = p.columns[c + 2], p.columns[c + 3]
        a = p.sign[p.coordinates[c]] * du[c]
        b = p.sign[p.coordinates[c + 1]] * du[c + 1]
        e = p.sign[p.coordinates[c + 2]] * du[c + 2]
        f = p.sign[p.coordinates[c + 3]] * du[c + 3]
        for i in range(dr.size):
            dr[i] -= a * w[i] + b * x[i] + e * y[i] + f * z[i]
        c += 4
    while c < k:
        change, x = p.sign[p.coordinates[c]] * du[c], p.columns[c]
        for i in range(dr.size):
            dr[i] -= change * x[i]
        c += 1
    for i in range(dr.size):
        dr[i] *= p.y[i]
    for s in range(k):
        dr[p.samples[s]] = 0.0
    if s_in >= 0:
        dr[p.samples[s_in]] = direction


@jit
def entries(p, j, x):
    """Set x (m,) to the entries y_i z_ij of a coordinate."""
    if j == p.sign.size - 1:
        x[:] = p.one
    else:
        for i in range(x.size):
            x[i] = p.XT[j, p.working[i]]


@jit
def obstacle(p, du, dr):
    """What stops a step along the edge: (length, shift of the length, sample or -1, position in C).

    Lengths are compared first, and where they tie their infinitesimal shifts.
    """
    d, length, shift, i_out, c_out = p.sign.size - 1, np.inf, np.inf, -1, -1
    for c in range(p.counts[0]):
        if du[c] < -FLAT and p.coordinates[c] < d:
            length = min(length, max(0.0, p.u[0, c]) / -du[c])
    for i in range(dr.size):
        if (p.side[i] == ABOVE and dr[i] > FLAT) or (p.side[i] == BELOW and dr[i] < -FLAT):
            length = min(length, max(0.0, -p.r[0, i] / dr[i]))
    for c in range(p.counts[0]):
        if du[c] < -FLAT and p.coordinates[c] < d:
            there = p.u[0, c] + length * du[c]
            if there < TIE and p.u[1, c] / -du[c] < shift:
                shift, c_out = p.u[1, c] / -du[c], c
    for i in range(dr.size):
        if (p.side[i] == ABOVE and dr[i] > FLAT) or (p.side[i] == BELOW and dr[i] < -FLAT):
            there = abs(p.r[0, i] + length * dr[i])
            if there < TIE * p.one and -p.r[1, i] / dr[i] < shift:
                shift, i_out, c_out = -p.r[1, i] / dr[i], i, -1
    return length, shift, i_out, c_out


@jit
def move(p, du, dr, length, shift):
    """Take the step along the edge."""
    for c in range(p.counts[0]):
        p.u[0, c] += length * du[c]
        p.u[1, c] += shift * du[c]
        if abs(p.u[0, c]) < TIE:
            p.u[0, c] = 0.0
    for i in range(dr.size):
        p.r[0, i] += length * dr[i]
        p.r[1, i] += shift * dr[i]
        if abs(p.r[0, i]) < TIE * p.one:
            p.r[0, i] = 0.0


@jit
def widen(p, j_in, direction, length, start, span):
    """Raise span (D,), the largest |v_j - start_j| so far, by the corner reached."""
    for c in range(p.counts[0]):
        j = p.coordinates[c]
        span[j] = max(span[j], abs(p.sign[j] * p.u[0, c] - start[j]))
    if j_in >= 0:
        span[j_in] = max(span[j_in], abs(direction * length - start[j_in]))


@jit
def cross(p, i, side):
    """Take sample i to a side of the margin, ABOVE or BELOW, from the other."""
    change = 1 if side == BELOW else -1
    p.side[i] = side
    p.counts[1] += change
    add_row(p, i, change, p.pull)


@jit
def add_row(p, i, factor, z):
    """Add factor z_i to z (D,)."""
    x, share = p.X[p.working[i]], factor * p.y[i]
    for j in range(x.size):
        z[j] += share * x[j]
    z[x.size] += share * p.one


@jit
def load(p, s, i):
    """Make sample i the one at position s of S."""
    p.samples[s], p.side[i], p.r[0, i], p.r[1, i] = i, ON, 0.0, 0.0
    x = p.X[p.working[i]]
    for j in range(x.size):
        p.rows[s, j] = x[j]
    p.rows[s, x.size] = p.one


@jit
def exchange(p, j_in, s_in, direction, length, shift, i_out, c_out, du, w):
    """Change the basis: who entered (j_in or s_in) for who stopped the step (i_out or c_out)."""
    k = p.counts[0]
    if s_in >= 0:
        i = p.samples[s_in]
        p.side[i] = ABOVE
        if direction > 0:
            cross(p, i, BELOW)
    if i_out >= 0:
        if p.side[i_out] == BELOW:
            cross(p, i_out, ABOVE)
        for s in range(k):
            w[s] = 0.0
        for c in range(k):
            entry = p.sign[p.coordinates[c]] * p.y[i_out] * p.columns[c, i_out]
            for s in range(k):
                w[s] += entry * p.inverse[c, s]
    else:
        p.sign[p.coordinates[c_out]] = 0.0
    if j_in >= 0 and i_out >= 0:  # one more of each: du = -direction * inverse * column of j_in
        entries(p, j_in, p.columns[k])
        schur = direction * p.y[i_out] * p.columns[k, i_out]
        for c in range(k):
            schur += p.sign[p.coordinates[c]] * p.y[i_out] * p.columns[c, i_out] * du[c]
        for c in range(k):
            for s in range(k):
                p.inverse[c, s] -= du[c] * w[s] / schur
            p.inverse[c, k] = du[c] / schur
        for s in range(k):
            p.inverse[k, s] = -w[s] / schur
        p.inverse[k, k] = 1 / schur
        p.coordinates[k], p.sign[j_in] = j_in, direction
        p.u[0, k], p.u[1, k] = length, shift
        load(p, k, i_out)
        p.counts[0] = k + 1
    elif i_out >= 0:  # a row of B is replaced
        for c in range(k):
            part = p.inverse[c, s_in] / w[s_in]
            for s in range(k):
                p.inverse[c, s] -= part * w[s]
            p.inverse[c, s_in] = part
        load(p, s_in, i_out)
    elif j_in >= 0:  # a column of B is replaced
        for s in range(k):
            part = -p.inverse[c_out, s] / du[c_out]
            for c in range(k):
                p.inverse[c, s] += part * du[c]
            p.inverse[c_out, s] = part
        p.coordinates[c_out], p.sign[j_in] = j_in, direction
        p.u[0, c_out], p.u[1, c_out] = length, shift
        entries(p, j_in, p.columns[c_out])
    else:  # one less of each; the last ones take their places
        for c in range(k):
            w[c] = p.inverse[c, s_in] / p.inverse[c_out, s_in]
        for c in range(k):
            if c != c_out:
                for s in range(k):
                    p.inverse[c, s] -= w[c] * p.inverse[c_out, s]
        k -= 1
        p.inverse[c_out] = p.inverse[k]
        for c in range(k):
            p.inverse[c, s_in] = p.inverse[c, k]
        p.coordinates[c_out], p.samples[s_in] = p.coordinates[k], p.samples[k]
        p.u[0, c_out], p.u[1, c_out] = p.u[0, k], p.u[1, k]
        p.columns[c_out], p.rows[s_in] = p.columns[k], p.rows[k]
        p.counts[0] = k


@jit
def sums(p):
    """sum_i max(0, r_i) and ||v||_1 at the corner."""
    d, hinges, norm = p.sign.size - 1, p.one * p.counts[1], 0.0
    for c in range(p.counts[0]):
        j = p.coordinates[c]
        hinges -= p.u[0, c] * p.sign[j] * p.pull[j]
        norm += p.u[0, c] if j < d else 0.0
    return hinges, norm


@jit
def follow(p, top, low, zero, start, span, log):
    """Pivots down the path from lambda = `top`; return (pivots, corners, lambda, ending).

    Until `log` is full (MORE), eps is `low` or lambda `zero` (LOW), or no sample is below the
    margin (SEPARATED). Widens `span` (D,) by what v does on the way from `start`.
    """
    du, w, dr, n_corners = np.zeros(p.t.shape[1]), np.zeros(p.t.shape[1]), np.zeros(p.y.size), 0
    for n in range(len(log.events)):
        if p.counts[1] == 0:
            return n, n_corners, top, SEPARATED
        hinges, norm = sums(p)
        price_out(p)
        below, j_in, s_in, direction = breakpoint(p, top)
        if below <= max(zero, low * (hinges + below * norm)):
            return n, n_corners, top, LOW
        top = below
        edge(p, j_in, s_in, direction, du, dr)
        length, shift, i_out, c_out = obstacle(p, du, dr)
        if i_out < 0 and c_out < 0:
            return n, n_corners, top, LOST
        log.events[n, 0] = j_in if j_in >= 0 else ~p.working[p.samples[s_in]]
        log.events[n, 1] = p.coordinates[c_out] if c_out >= 0 else ~p.working[i_out]
        log.events[n, 2] = direction
        if length * max(np.abs(du).max(), 1.0 if j_in >= 0 else 0.0) > TIE:
            k = log.sizes[n_corners] = p.counts[0]
            log.corners[n_corners, 0], log.corners[n_corners, 1] = n, top
            log.corners[n_corners, 2], log.corners[n_corners, 3] = hinges, norm
            for c in range(k):
                j = log.coordinates[n_corners, c] = p.coordinates[c]
                log.values[n_corners, c] = p.sign[j] * p.u[0, c]
            n_corners += 1
        move(p, du, dr, length, shift)
        widen(p, j_in, direction, length, start, span)
        exchange(p, j_in, s_in, direction, length, shift, i_out, c_out, du, w)
    return len(log.events), n_corners, top, MORE


@jit
def scores(XT, one, coordinates, v, out):
    """Add sum_j x_ij v_j to out (p, n), for v (p, k) of some coordinates (k,)."""
    d, n = XT.shape
    for c in range(coordinates.size):
        j = coordinates[c]
        for row in range(len(v)):
            value, z = v[row, c], out[row]
            if j == d:
                for i in range(n):
                    z[i] += one * value
            else:
                x = XT[j]
                for i in range(n):
                    z[i] += x[i] * value
