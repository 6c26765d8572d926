"""The simplex method for a sum of hinges: from corner to corner, always downhill.

The problem, in the signed samples z_i = y_i (x_i, 1) and the point v = (w, b):

    min over v of  sum_i unit * max(0, r_i) + sum_j toll_j |v_j|,
    r_i = h_i - z_i.v + sum_j drop_j |v_j|.

The drop of a weight is taken off every margin (eps, for robust training), its toll paid once (an l1
penalty); the bias costs nothing. In the pixel box the coordinates are (u, v, b), w = u - v, the
z_i worst-case columns (`numlin.optimum.columns`) without a drop, and u and v have a wall at 0.
The objective is convex and piecewise linear, so a minimum sits at a corner: k residuals are 0 (the
samples S *on* the margin) and all but k coordinates are 0. As long as the basic coordinates C keep
their signs s_j, the residuals of S are affine in them, and their rates of change are minus the
basis matrix, whose inverse is carried along:

    B_ij = s_j z_ij - drop_j,    i in S, j in C.

A sample below the margin (r > 0) has the multiplier a_i = unit, one above it a_i = 0, and those
on the margin the multipliers that make the slope along every basic coordinate vanish. An edge of
descent leaves the corner where a multiplier is wrong:

    a weight at 0 with |sum_i a_i z_ij| > drop_j sum_i a_i + toll_j may leave 0
    (a wall keeps it from going below: there only the sum itself counts, not its absolute value),
    a sample on the margin with a_i < 0 or a_i > unit may leave the margin.

Along an edge every residual is linear. Whenever a sample crosses the margin the slope rises by
unit * |dr_i|, and the step goes on through all these kinks until the slope turns (the long step)
or a basic weight reaches 0. Then one coordinate or sample takes the place of another. Among the
edges the steepest is taken, in Devex weights, which guess how far an edge moves everything else.

It always ends. Pixels are multiples of 1/255, so thousands of samples can meet at one corner, and
steps of length 0 could go round in circles. Hence `descend` first solves the problem with targets
h_i = 1 + a random shift of at most 1e-6, where corners are simple and each step goes down. The
last basis is then mended for h_i = 1; the few pivots left are kept finite by Bland's rule (lowest
index in, lowest index out, first kink), which takes over after `PATIENCE` steps of length 0.

References
----------
Barrodale and Roberts, "An improved algorithm for discrete l1 linear approximation", 1973 (the
long step). Harris, "Pivot selection methods of the Devex LP code", 1973. Bland, "New finite
pivoting rules for the simplex method", 1977.
"""

import numpy as np

from numlin.optimum.pivots import (
    ABOVE,
    BELOW,
    BENT,
    FREE,
    PIVOTING,
    TIE,
    UNBOUNDED,
    WALL,
    Tableau,
    largest,
    pivots,
    shrink,
)

SHIFTS = 1e-6, 0.0  # of the targets, against ties, and then none
PIVOTS_PER_INVERSE = 64  # then inverse, corner and sums are computed afresh
PATIENCE = 100  # steps of length 0 before Bland's rule


def refresh(t, unit, outside):
    """Recompute corner, residuals, sums and inverse of `t` from its basis, mending the basis.

    A basic weight on the wrong side of 0 leaves, with the sample that depends on it most; a
    basis that rounding has made singular is given up.
    """
    row, column = np.zeros(t.a.size), np.zeros(t.a.size)
    while True:
        k = t.counts[0]
        S, C = t.samples[:k], t.coordinates[:k]
        try:
            t.inverse[:k, :k] = np.linalg.inv(t.Z[np.ix_(S, C)] * t.sign[C] - t.drop[C])
        except np.linalg.LinAlgError:
            t.side[S], t.sign[:], t.counts[0] = ABOVE, 0, 0
            continue
        t.v[:] = 0
        for _ in range(2):
            t.v[C] += t.sign[C] * (t.inverse[:k, :k] @ residuals(t)[S])
        u = np.where(t.bend[C] != FREE, t.sign[C] * t.v[C], 0)
        if k == 0 or u.min() >= -TIE:
            break
        c = np.argmin(u)
        s = largest(t.inverse[c, :k])
        t.side[S[s]] = ABOVE
        shrink(t, c, s, row, column)
    t.v[np.abs(t.v) < TIE] = 0
    t.r[:] = residuals(t)
    t.r[np.abs(t.r) < TIE] = 0
    t.r[S] = 0
    t.side[(t.r > 0) & (t.side == ABOVE)] = BELOW
    t.side[(t.r < 0) & (t.side == BELOW)] = ABOVE
    below = t.side == BELOW
    t.mass[0] = outside[0] + unit * below.sum()
    t.pull[:] = outside[1] + unit * (below @ t.Z)
    t.sample_weight[:] = 1
    t.pixel_weight[:] = 1


def residuals(t):
    """r_i = h_i - z_i.v + sum_j drop_j |v_j| of all samples of `t`: (m,)."""
    used = np.flatnonzero(t.v)
    return t.h + t.drop @ np.abs(t.v) - t.v[used] @ t.ZT[used]


def tableau(Z, drop, toll, walled=False):
    """The tableau of signed samples Z (m, D), drops and tolls (D,), at v = 0 with no basis.

    If `walled`, every coordinate but the last, the bias, stays at 0 or above.
    """
    m, D = Z.shape
    K = min(m, D) + 1
    number, array = np.int64, np.zeros
    bend = np.where(drop + toll > 0, BENT, FREE)
    bend[:-1] = WALL if walled else bend[:-1]
    return Tableau(
        Z=Z, ZT=np.ascontiguousarray(Z.T), h=np.ones(m), drop=drop, toll=toll, bend=bend,
        v=array(D), sign=array(D), r=np.ones(m), side=np.full(m, BELOW), counts=array(2, number),
        samples=array(K, number), coordinates=array(K, number), inverse=array((K, K)),
        a=array(K), mass=array(1), pull=array(D), q=array(D),
        sample_weight=np.ones(m), pixel_weight=np.ones((2, D)),
    )  # fmt: skip


def descend(t, unit, outside, budget):
    """Pivot `t` down to its minimum, in place; return the number of pivots and how it ended.

    `outside` holds sum a_i and sum a_i z_i (D,) of samples that are not in `t` and are taken to
    stay below the margin. The targets are shifted at random by at most each of `SHIFTS` in turn.
    """
    total, ending = 0, PIVOTING
    for shift in SHIFTS:
        t.h[:] = 1 + shift * np.random.default_rng(0).random(t.h.size)
        n = PIVOTS_PER_INVERSE
        while n > 0 and total < budget and ending != UNBOUNDED:
            refresh(t, unit, outside)
            n, ending = pivots(t, unit, min(PIVOTS_PER_INVERSE, budget - total), PATIENCE)
            total += n
    return total, ending
