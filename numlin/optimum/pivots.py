"""Compiled kernels of the simplex method: one pivot after the other on a `Tableau`.

`numlin.optimum.simplex` derives what happens here and drives it. The path of one pivot through
this file: `price_out` finds the multipliers, `entering` the edge with the steepest slope, `edge`
how everything moves along it, `first_zero` and `line_search` how far to go, `reweigh` and
`exchange` keep weights and basis up to date.
"""

from typing import NamedTuple

import numpy as np

from numlin.kernels.jit import jit

ABOVE, BELOW, ON = 0, 1, 2  # sides of the margin: r < 0, r > 0, basic
PIVOTING, OPTIMAL, UNBOUNDED = 0, 1, 2  # how a run of pivots ended
FREE, BENT, WALL = 0, 1, 2  # a coordinate at 0: no kink, a kink (it is paid for), not below

TOLERANCE = 1e-12  # a multiplier wrong by less is right
FLAT = 1e-9  # residuals and weights that change more slowly do not change along an edge
TIE = 1e-12  # shorter steps have length 0


class Tableau(NamedTuple):
    """A corner, its basis and its multipliers; the kernels change the arrays in place.

    m samples and D coordinates (d weights and the bias), of which at most K are basic.
    """

    Z: np.ndarray  # (m, D) signed samples y_i (x_i, 1)
    ZT: np.ndarray  # (D, m) the same, transposed
    h: np.ndarray  # (m,) targets: 1, or 1 and a shift
    drop: np.ndarray  # (D,) what a unit of |v_j| takes off every margin
    toll: np.ndarray  # (D,) what it costs by itself
    bend: np.ndarray  # (D,) FREE, BENT or WALL
    v: np.ndarray  # (D,) the point (w, b)
    sign: np.ndarray  # (D,) s_j of the basic coordinates, 0 for the others
    r: np.ndarray  # (m,) residuals
    side: np.ndarray  # (m,) ABOVE, BELOW or ON
    counts: np.ndarray  # (2,) k, and the steps of length 0 in a row
    samples: np.ndarray  # (K,) S, the first k in use
    coordinates: np.ndarray  # (K,) C, the first k in use
    inverse: np.ndarray  # (K, K) inverse of B, the first k rows (C) and columns (S) in use
    a: np.ndarray  # (K,) multipliers of S
    mass: np.ndarray  # (1,) sum of the multipliers of the samples below the margin
    pull: np.ndarray  # (D,) sum a_i z_i of the samples below the margin
    q: np.ndarray  # (D,) sum a_i z_i of all samples
    sample_weight: np.ndarray  # (m,) Devex weights of leaving the margin
    pixel_weight: np.ndarray  # (2, D) Devex weights of leaving 0 upwards, downwards


@jit
def price_out(t):
    """Set the multipliers t.a and t.q = sum a_i z_i; return sum a_i."""
    k = t.counts[0]
    total = t.mass[0]
    for j in range(t.q.size):
        t.q[j] = t.pull[j]
    for s in range(k):
        t.a[s] = 0.0
    for c in range(k):
        j = t.coordinates[c]
        slope = t.sign[j] * t.pull[j] - t.drop[j] * t.mass[0] - t.toll[j]
        for s in range(k):
            t.a[s] -= t.inverse[c, s] * slope
    for s in range(k):
        a, z = t.a[s], t.Z[t.samples[s]]
        total += a
        for j in range(t.q.size):
            t.q[j] += a * z[j]
    return total


@jit
def entering(t, total, unit, bland):
    """The edge to follow: (coordinate or -1, position in S or -1, direction or 0, slope)."""
    j_in, s_in, direction, slope, best = -1, -1, 0.0, 0.0, 0.0
    for j in range(t.v.size):
        pull = t.q[j] if t.bend[j] == WALL else abs(t.q[j])
        rate = t.drop[j] * total + t.toll[j] - pull
        if t.sign[j] == 0 and rate < -TOLERANCE and not (bland and j_in >= 0):
            upwards = t.q[j] > 0 or t.bend[j] == WALL
            merit = rate * rate / t.pixel_weight[0 if upwards else 1, j]
            if merit > best:
                j_in, direction, slope, best = j, (1.0 if upwards else -1.0), rate, merit
    if bland and j_in >= 0:
        return j_in, -1, direction, slope
    lowest = t.r.size
    for s in range(t.counts[0]):
        a, i = t.a[s], t.samples[s]
        rate = min(a, unit - a)
        if rate < -TOLERANCE:
            merit = rate * rate / t.sample_weight[i]
            if i < lowest if bland else merit > best:
                j_in, s_in, direction = -1, s, (-1.0 if a < 0 else 1.0)
                slope, best, lowest = rate, merit, i
    return j_in, s_in, direction, slope


@jit
def edge(t, j_in, s_in, direction, du, dr):
    """Set du (k,), rates of the basic s_j v_j along the edge, and dr (m,), of all residuals."""
    k = t.counts[0]
    for i in range(dr.size):
        dr[i] = t.drop[j_in] - direction * t.ZT[j_in, i] if j_in >= 0 else 0.0
    for c in range(k):
        du[c] = -direction * t.inverse[c, s_in] if j_in < 0 else 0.0
        if j_in >= 0:
            for s in range(k):
                du[c] += t.inverse[c, s] * dr[t.samples[s]]
    growth = 0.0
    for c in range(k):
        j = t.coordinates[c]
        growth += t.drop[j] * du[c]
        change, z = t.sign[j] * du[c], t.ZT[j]
        for i in range(dr.size):
            dr[i] -= change * z[i]
    for i in range(dr.size):
        dr[i] += growth


@jit
def first_zero(t, du):
    """Step at which the first basic weight reaches 0, and its position in C, or -1."""
    reach, c_out = np.inf, -1
    for c in range(t.counts[0]):
        j = t.coordinates[c]
        if t.bend[j] != FREE and du[c] < -FLAT:
            step = max(0.0, -t.sign[j] * t.v[j] / du[c])
            if step < reach or (step == reach and j < t.coordinates[c_out]):
                reach, c_out = step, c
    return reach, c_out


@jit
def kinks(t, dr, reach, steps, crossers):
    """List the samples that meet the margin within reach, with their steps; return how many.

    Samples that are at the margin already come in order of |dr|, so that a large one stops.
    """
    n = 0
    for i in range(dr.size):
        if (t.side[i] == ABOVE and dr[i] > FLAT) or (t.side[i] == BELOW and dr[i] < -FLAT):
            step = max(-t.r[i] / dr[i], TIE * min(1.0, abs(dr[i])))
            if step < reach or step <= TIE:
                steps[n], crossers[n] = step, i
                n += 1
    return n


@jit
def nearest(steps, crossers, n, bland):
    """Position of the shortest of n steps; for Bland, of the lowest sample within a tie of it."""
    best = 0
    for e in range(1, n):
        if steps[e] < steps[best]:
            best = e
    if bland:
        longest = steps[best] + TIE
        for e in range(n):
            if steps[e] <= longest and crossers[e] < crossers[best]:
                best = e
    return best


@jit
def cross(t, i, unit):
    """Take sample i to the other side of the margin, with its multiplier."""
    change = unit if t.side[i] == ABOVE else -unit
    t.side[i] = BELOW if t.side[i] == ABOVE else ABOVE
    t.mass[0] += change
    for j in range(t.pull.size):
        t.pull[j] += change * t.Z[i, j]


@jit
def line_search(t, slope, dr, reach, unit, bland, steps, crossers):
    """Cross the samples passed until the slope turns; return the step and who stops it, or -1."""
    if bland and reach <= TIE:
        return reach, -1
    n = kinks(t, dr, reach, steps, crossers)
    while n > 0:
        e = nearest(steps, crossers, n, bland)
        i = crossers[e]
        slope += abs(dr[i]) * unit
        if bland or slope >= -TOLERANCE:
            return steps[e], i
        cross(t, i, unit)
        n -= 1
        steps[e], crossers[e] = steps[n], crossers[n]
    return reach, -1


@jit
def basis_row(t, i, row):
    """Set row (k,) to the row of B that sample i would have, times the inverse."""
    k = t.counts[0]
    for s in range(k):
        row[s] = 0.0
    for c in range(k):
        j = t.coordinates[c]
        entry, part = t.sign[j] * t.Z[i, j] - t.drop[j], t.inverse[c]
        for s in range(k):
            row[s] += entry * part[s]


@jit
def reweigh(t, j_in, s_in, direction, i_out, c_out, du, dr, row, z):
    """Devex: raise the weight of every edge by how fast it would move what leaves."""
    k = t.counts[0]
    if i_out >= 0:
        basis_row(t, i_out, row)
        pivot, total, own = dr[i_out], 1.0, 1.0
    else:
        pivot, total, own = du[c_out], 0.0, 0.0
        for s in range(k):
            row[s] = -t.inverse[c_out, s]
    for j in range(z.size):
        z[j] = own * t.Z[i_out, j]
    for s in range(k):
        share, basic = row[s], t.Z[t.samples[s]]
        total -= share
        for j in range(z.size):
            z[j] -= share * basic[j]
    if j_in >= 0:
        weight = t.pixel_weight[0 if direction > 0 else 1, j_in] / pivot**2
    else:
        weight = t.sample_weight[t.samples[s_in]] / pivot**2
    for j in range(z.size):
        cost = t.drop[j] * total
        t.pixel_weight[0, j] = max(t.pixel_weight[0, j], (z[j] - cost) ** 2 * weight)
        t.pixel_weight[1, j] = max(t.pixel_weight[1, j], (z[j] + cost) ** 2 * weight)
    for s in range(k):
        i = t.samples[s]
        t.sample_weight[i] = max(t.sample_weight[i], row[s] ** 2 * weight)
    if i_out >= 0:
        t.sample_weight[i_out] = max(1.0, weight)
    else:
        t.pixel_weight[0, t.coordinates[c_out]] = max(1.0, weight)
        t.pixel_weight[1, t.coordinates[c_out]] = max(1.0, weight)


@jit
def grow(t, j, sign, i, row, column):
    """Add coordinate j, with its sign, and sample i to the basis (bordered inverse)."""
    k = t.counts[0]
    basis_row(t, i, row)
    for c in range(k):
        column[c] = 0.0
    schur = sign * t.Z[i, j] - t.drop[j]
    for s in range(k):
        entry = sign * t.Z[t.samples[s], j] - t.drop[j]
        schur -= row[s] * entry
        for c in range(k):
            column[c] += t.inverse[c, s] * entry
    for c in range(k):
        for s in range(k):
            t.inverse[c, s] += column[c] * row[s] / schur
        t.inverse[c, k] = -column[c] / schur
        t.inverse[k, c] = -row[c] / schur
    t.inverse[k, k] = 1 / schur
    t.coordinates[k], t.samples[k] = j, i
    t.sign[j], t.side[i], t.r[i] = sign, ON, 0.0
    t.counts[0] = k + 1


@jit
def shrink(t, c, s, row, column):
    """Take coordinate C[c] and sample S[s] out of the basis; the last ones take their places."""
    k = t.counts[0]
    for o in range(k):
        row[o], column[o] = t.inverse[c, o] / t.inverse[c, s], t.inverse[o, s]
    for p in range(k):
        for o in range(k):
            t.inverse[p, o] -= column[p] * row[o]
    for o in range(k):
        t.inverse[c, o] = t.inverse[k - 1, o]
    for p in range(k):
        t.inverse[p, s] = t.inverse[p, k - 1]
    t.sign[t.coordinates[c]] = 0.0
    t.coordinates[c], t.samples[s] = t.coordinates[k - 1], t.samples[k - 1]
    t.counts[0] = k - 1


@jit
def largest(values):
    """Position of the largest absolute value of values (k,)."""
    best = 0
    for e in range(1, values.size):
        if abs(values[e]) > abs(values[best]):
            best = e
    return best


@jit
def exchange(t, j_in, s_in, direction, i_out, c_out, unit, row, column):
    """Change the basis: who entered (j_in or s_in) for who stopped the step (i_out or c_out)."""
    k = t.counts[0]
    if s_in >= 0:
        t.side[t.samples[s_in]] = ABOVE
        if direction > 0:
            cross(t, t.samples[s_in], unit)
    if i_out >= 0 and t.side[i_out] == BELOW:
        cross(t, i_out, unit)
    if j_in >= 0 and i_out >= 0:
        grow(t, j_in, direction, i_out, row, column)
    elif j_in >= 0:
        s = largest(t.inverse[c_out, :k])
        i = t.samples[s]
        shrink(t, c_out, s, row, column)
        grow(t, j_in, direction, i, row, column)
    elif i_out >= 0:
        c = largest(t.inverse[:k, s_in])
        j, sign = t.coordinates[c], t.sign[t.coordinates[c]]
        shrink(t, c, s_in, row, column)
        grow(t, j, sign, i_out, row, column)
    else:
        shrink(t, c_out, s_in, row, column)


@jit
def pivots(t, unit, budget, patience):
    """Up to `budget` pivots on t, in place; return how many, and how they ended."""
    m, K = t.r.size, t.a.size
    du, row, column, z = np.zeros(K), np.zeros(K), np.zeros(K), np.zeros(t.v.size)
    dr, steps, crossers = np.zeros(m), np.zeros(m), np.zeros(m, np.int64)
    for n in range(budget):
        bland = t.counts[1] >= patience
        j_in, s_in, direction, slope = entering(t, price_out(t), unit, bland)
        if direction == 0:
            return n, OPTIMAL
        edge(t, j_in, s_in, direction, du, dr)
        reach, c_out = first_zero(t, du)
        step, i_out = line_search(t, slope, dr, reach, unit, bland, steps, crossers)
        if step == np.inf:
            return n, UNBOUNDED
        if step <= TIE:
            step = 0.0
        t.counts[1] = t.counts[1] + 1 if step == 0 else 0
        for c in range(t.counts[0]):
            j = t.coordinates[c]
            t.v[j] += step * t.sign[j] * du[c]
        if j_in >= 0:
            t.v[j_in] += step * direction
        if i_out < 0:
            t.v[t.coordinates[c_out]] = 0.0
        for i in range(m):
            t.r[i] += step * dr[i]
            if abs(t.r[i]) < TIE:
                t.r[i] = 0.0
        reweigh(t, j_in, s_in, direction, i_out, c_out, du, dr, row, z)
        exchange(t, j_in, s_in, direction, i_out, c_out, unit, row, column)
    return budget, PIVOTING
