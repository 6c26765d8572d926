"""The hinge at eps = 0 by an interior point method: through the middle instead of along edges.

Without an adversary every pixel may have a weight. Hundreds of samples are on the margin then, the
simplex methods take tens of thousands of pivots, and few Newton steps come sooner to the minimum.
In the signed samples z_i = y_i (x_i, 1), with r_i = 1 - z_i.v split into two parts, primal and dual
are

    min sum xi_i  with  xi_i - s_i = 1 - z_i.v,  xi_i, s_i >= 0;
    max sum t_i   with  sum t_i z_i = 0,         0 <= t_i <= 1.

Both are optimal where t_i s_i = 0 and (1 - t_i) xi_i = 0. On the *central path* both products are
mu > 0 instead, which makes the equations smooth. A step is Newton's for a smaller mu: with
dt_i = D_i (g_i - z_i.dv), D_i = 1 / (s_i / t_i + xi_i / (1 - t_i)), all unknowns but v go, and

    Z^T D Z dv = Z^T D g + Z^T t

remains. How far one could go towards mu = 0 says which mu to take (the predictor), and the second
order of the products is put into g (the corrector). The sum of all products is what separates the
two values, 2 n mu once the linear equations hold.

The t_i strictly between 0 and 1 are those of the samples on the margin, up to about mu. They miss
sum t_i z_i = 0 by rounding; `numlin.optimum.proof.rational.balance` makes a proof of them.

References
----------
Mehrotra, "On the implementation of a primal-dual interior point method", 1992.
"""

from typing import NamedTuple

import numpy as np

NARROW = 1e-12  # the last mu
NEAR = 1e-8  # of 0 or 1
ROUGH = 1e-2  # mu down to which float32 is enough for the matrix
STEPS = 100
INSIDE = 0.9995  # of the way to the first wall
RIDGE = 1e-16, 1e-6  # of the diagonal, in float64 and float32, so that dependent columns do no harm


class Place(NamedTuple):
    """Where a step is taken from, with the matrix of its equations."""

    t: np.ndarray  # (n,)
    xi: np.ndarray  # (n,)
    s: np.ndarray  # (n,)
    off: np.ndarray  # (n,) by which xi_i - s_i misses 1 - z_i.v
    pull: np.ndarray  # (D,) sum t_i z_i
    weights: np.ndarray  # (n,) the diagonal of the matrix D above
    H: np.ndarray  # (D, D) Z^T D Z
    inverse: np.ndarray  # (D, D) of its Cholesky factor


def minimise(Z):
    """v (D,) and t (n,) of min sum max(0, 1 - Z v), and the steps taken; Z (n, D) signed samples.

    Stops early at a v that separates the classes, Z v > 0. t_i within `NEAR` of 0 and 1 are put
    there. Raises LinAlgError where rounding ends the way.
    """
    n, D = Z.shape
    v, golden = np.zeros(D), np.full(n, (1 + 5**0.5) / 2)
    t, xi, s = 1 / golden, 1 + golden, golden  # xi - s = 1 and t s = (1 - t) xi = 1: mu = 1
    narrow = Z.astype(np.float32)
    for step in range(STEPS):
        margin, mu = Z @ v, (t @ s + (1 - t) @ xi) / (2 * n)
        if not np.isfinite(mu + margin.sum()):
            break
        if mu <= NARROW or margin.min() > 0:
            return v, np.where(t < NEAR, 0, np.where(t > 1 - NEAR, 1, t)), step
        weights, rows = 1 / (s / t + xi / (1 - t)), narrow if mu > ROUGH else Z
        W = rows * np.sqrt(weights).astype(rows.dtype)[:, None]
        H = (W.T @ W).astype(np.float64)
        H[np.diag_indices(D)] += RIDGE[int(mu > ROUGH)] * (H.diagonal() + 1e-3 * H.diagonal().max())
        inverse = np.linalg.inv(np.linalg.cholesky(H))
        here = Place(t, xi, s, 1 - margin - xi + s, t @ Z, weights, H, inverse)
        _, dt, dxi, ds = _newton(Z, here, -(1 - t) * xi, -t * s)
        a, b = _reach((t, dt), (1 - t, -dt)), _reach((s, ds), (xi, dxi))
        there = (t + a * dt) @ (s + b * ds) + (1 - t - a * dt) @ (xi + b * dxi)
        aim = (there / (2 * n * mu)) ** 3 * mu
        dv, dt, dxi, ds = _newton(Z, here, aim - (1 - t) * xi + dt * dxi, aim - t * s - dt * ds)
        a, b = _reach((t, dt), (1 - t, -dt)), _reach((s, ds), (xi, dxi))
        v, t, xi, s = v + b * dv, t + a * dt, xi + b * dxi, s + b * ds
    raise np.linalg.LinAlgError("the central path was lost, or is too long")


def _newton(Z, here, high, low):
    """Moves of v, t, xi and s for which (1 - t_i) xi_i changes by `high` (n,), t_i s_i by `low`."""
    t, xi, s = here.t, here.xi, here.s
    g = here.off - high / (1 - t) + low / t
    right = (here.weights * g) @ Z + here.pull
    dv = here.inverse.T @ (here.inverse @ right)
    dv += here.inverse.T @ (here.inverse @ (right - here.H @ dv))
    dt = here.weights * (g - Z @ dv)
    return dv, dt, (high + xi * dt) / (1 - t), (low - s * dt) / t


def _reach(*moves):
    """How much of the moves (x, dx) to go, at most 1, so that every x stays above 0."""
    walls = [np.min(np.where(dx < 0, -x / np.minimum(dx, -1e-300), np.inf)) for x, dx in moves]
    return min(1.0, INSIDE * min(walls))
