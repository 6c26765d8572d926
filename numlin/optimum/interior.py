"""An interior point method for the hinge: through the middle instead of along edges.

Where hundreds of samples are on the margin, at eps = 0 and at eps*, the simplex methods take tens
of thousands of pivots, and few Newton steps come sooner to the minimum. In the signed samples
z_i = y_i (x_i, 1), with r_i = 1 - z_i.v split into two parts, and v_j = up_j - down_j where a
coordinate is paid for, primal and dual are

    min sum xi_i + sum toll_j |v_j|  with  xi_i - s_i = 1 - z_i.v,  xi_i, s_i, up_j, down_j >= 0;
    max sum t_i  with  |q_j| <= toll_j,  q_j = sum t_i z_ij,        0 <= t_i <= 1.

Both are optimal where the products t_i s_i, (1 - t_i) xi_i, (toll_j - q_j) up_j and
(toll_j + q_j) down_j are all 0. On the *central path* they are mu > 0 instead, which makes the
equations smooth. A step is Newton's for a smaller mu: with

    dt_i = D_i (g_i - z_i.dv),   D_i = 1 / (s_i / t_i + xi_i / (1 - t_i)),
    dq_j = (dv_j - e_j) / E_j,   E_j = up_j / (toll_j - q_j) + down_j / (toll_j + q_j),

(dq_j = -q_j where nothing is paid) all unknowns but v go, and

    (Z^T D Z + 1 / E) dv = Z^T D g + e / E,    or + q where nothing is paid,

remains. How far one could go towards mu = 0 says which mu to take (the predictor), and the second
order of the products is put into g and e (the corrector). The sum of all products is what
separates the two values once the linear equations hold.

The t_i strictly between 0 and 1 are those of the samples on the margin, up to about mu. At eps = 0
they miss sum t_i z_i = 0 by rounding; `numlin.optimum.proof.rational.balance` makes a proof of
them. At eps* samples and coordinates are told apart so clearly that they make a basis.

References
----------
Mehrotra, "On the implementation of a primal-dual interior point method", 1992.
"""

from typing import NamedTuple

import numpy as np

NARROW = 1e-12  # the last mu, of the first
ROUGH = 1e-2  # of the first mu, down to which float32 is enough for the matrix
CLOSE = 1e-7  # of the first mu: from here on the rest may be given up
SETTLED = 1e-3  # of the first mu, from which on v is near its end
NEAR = 1e-8  # of 0 or 1
STEPS = 100
INSIDE = 0.9995  # of the way to the first wall
RIDGE = 1e-16, 1e-6  # of the diagonal, in float64 and float32, so that dependent columns do no harm
BLOCK = 96  # a triangle of so many rows is inverted at once


class Place(NamedTuple):
    """Where a step is taken from, with the matrix of its equations.

    The `walls` are t, 1 - t (n,), toll - q and toll + q of the P paid coordinates (P,); `against`
    them stand s, xi, up and down.
    """

    walls: list
    against: list
    misses: list  # by which each wall misses its definition; of t and 1 - t nothing
    off: np.ndarray  # (n,) by which xi_i - s_i misses 1 - z_i.v
    paid: np.ndarray  # (P,) coordinates
    pull: np.ndarray  # (D,) q where nothing is paid, or 0
    weights: np.ndarray  # (n,) the diagonal D above
    stretch: np.ndarray  # (P,) E
    H: np.ndarray  # (D, D) the matrix
    inverse: np.ndarray  # (D, D) of its Cholesky factor


def minimise(Z, toll=None, enough=None):
    """v (D,) and t (n,) of min sum max(0, 1 - Z v) + toll.|v|, and the steps taken.

    Z is (n, D) signed samples, toll (D,). t_i within `NEAR` of 0 and 1, in relation to their size,
    are put there. Without tolls it stops early at a v that separates the classes, Z v > 0; with
    them it asks `enough(v)` once, when v is near its end, whether to stop. Raises LinAlgError
    where rounding ends the way.
    """
    n, D = Z.shape
    toll = np.zeros(D) if toll is None else toll
    paid = np.flatnonzero(toll)
    first = min(toll.max(), 0.5) if paid.size else 2 / (1 + 5**0.5)  # about equal products
    v, t, ones = np.zeros(D), np.full(n, first), np.ones(paid.size)
    s = np.ones(n) if paid.size else 1 / t  # without tolls xi - s = 1 as well
    walls = [t, 1 - t, toll[paid], toll[paid]]
    against = [s, t * s / (1 - t), ones, ones]
    narrow, mu_first, asked, n_steps = Z.astype(np.float32), None, enough is None, 0
    n_products = 2 * (n + paid.size)
    for _ in range(STEPS):
        margin, mu = Z @ v, _product(walls, against) / n_products
        mu_first = mu_first or mu
        if not np.isfinite(mu + margin.sum()):
            raise np.linalg.LinAlgError("the central path was lost")
        if mu <= NARROW * mu_first or (not paid.size and margin.min() > 0):
            break
        if not asked and mu <= SETTLED * mu_first:
            asked = True
            if enough(v):
                break
        try:
            rough = narrow if mu > ROUGH * mu_first else Z
            here = _place(Z, rough, walls, against, paid, toll, margin)
        except np.linalg.LinAlgError:
            if mu > CLOSE * mu_first:
                raise
            break  # what singles out the last few digits is below rounding
        products = [-a * x for a, x in zip(walls, against, strict=True)]
        _, da, dx = _newton(Z, here, products)
        a, x = _reach(walls, da), _reach(against, dx)
        there = _product(_moved(walls, da, a), _moved(against, dx, x)) / n_products
        aim = (there / mu) ** 3 * mu
        second = [p + aim - a * x for p, a, x in zip(products, da, dx, strict=True)]
        dv, da, dx = _newton(Z, here, second)
        a, x = _reach(walls, da), _reach(against, dx)
        v, walls, against = v + x * dv, _moved(walls, da, a), _moved(against, dx, x)
        walls[1], n_steps = 1 - walls[0], n_steps + 1
    else:
        raise np.linalg.LinAlgError("the central path is too long")
    near, t = NEAR * (first if paid.size else 1.0), walls[0]
    return v, np.where(t < near, 0, np.where(t > 1 - NEAR, 1, t)), n_steps


def _place(Z, rough, walls, against, paid, toll, margin):
    """The `Place` of an iterate; `rough` is Z in float32, or Z where that is not enough."""
    (t, rest, over, under), (s, xi, up, down), q = walls, against, walls[0] @ Z
    weights, stretch = 1 / (s / t + xi / rest), up / over + down / under
    W = rough * np.sqrt(weights).astype(rough.dtype)[:, None]
    H = (W.T @ W).astype(np.float64)
    H[paid, paid] += 1 / stretch
    diagonal, ridge = H.diagonal(), RIDGE[int(rough.dtype == np.float32)]
    H[np.diag_indices(len(H))] += ridge * (diagonal + 1e-3 * diagonal.max())
    misses = [0.0, 0.0, toll[paid] - q[paid] - over, toll[paid] + q[paid] - under]
    return Place(
        walls, against, misses, 1 - margin - xi + s, paid,
        np.where(toll > 0, 0.0, q), weights, stretch, H, _inverse(np.linalg.cholesky(H)),
    )  # fmt: skip


def _newton(Z, here, products):
    """Moves of v, of the walls and of what is against them, that change each product so much."""
    (t, rest, over, under), (up, down) = here.walls, here.against[2:]
    low, high, upper, downer = products
    g = here.off - high / rest + low / t
    e = (upper - up * here.misses[2]) / over - (downer - down * here.misses[3]) / under
    right = (here.weights * g) @ Z + here.pull
    right[here.paid] += e / here.stretch
    dv = here.inverse.T @ (here.inverse @ right)
    dv += here.inverse.T @ (here.inverse @ (right - here.H @ dv))
    dt, dq = here.weights * (g - Z @ dv), (dv[here.paid] - e) / here.stretch
    walls = [dt, -dt, here.misses[2] - dq, here.misses[3] + dq]
    pairs = zip(products, here.walls, here.against, walls, strict=True)
    return dv, walls, [(p - x * da) / a for p, a, x, da in pairs]


def _reach(values, moves):
    """How much of the moves to go, at most 1, so that every value stays above 0."""
    walls = (
        np.min(np.where(dx < 0, -x / np.minimum(dx, -1e-300), np.inf), initial=np.inf)
        for x, dx in zip(values, moves, strict=True)
    )
    return min(1.0, INSIDE * min(walls))


def _moved(values, moves, share):
    """Each of the values, a share of its move further."""
    return [x + share * dx for x, dx in zip(values, moves, strict=True)]


def _product(walls, against):
    """The sum of all products."""
    return sum(a @ x for a, x in zip(walls, against, strict=True))


def _inverse(L):
    """Inverse of a lower triangle L (k, k), by halves: a quarter of the time of np.linalg.inv."""
    k = len(L)
    if k <= BLOCK:
        return np.linalg.inv(L)
    half, inverse = k // 2, np.zeros((k, k))
    inverse[:half, :half], inverse[half:, half:] = (
        _inverse(L[:half, :half]),
        _inverse(L[half:, half:]),
    )
    inverse[half:, :half] = -inverse[half:, half:] @ (L[half:, :half] @ inverse[:half, :half])
    return inverse
