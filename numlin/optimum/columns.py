"""Worst-case columns: both balls and every loss as ordinary training with weights >= 0.

Write w = u - v with u, v >= 0. The worst input of a sample depends on the signs of w alone, so
where u_j v_j = 0 the robust margin of sample i is

    m_i = sum_j u_j Zplus_ij + v_j Zminus_ij + y_i b,
    free:          Zplus = y x - eps,                 Zminus = -y x - eps,
    pixel box:     Zplus = y clip(x - y eps, 0, 1),   Zminus = -y clip(x + y eps, 0, 1).

The condition u_j v_j = 0 may be left out. Zplus_ij + Zminus_ij is minus the width of the interval
in which the adversary may choose pixel j of sample i, so it is never positive: taking min(u_j, v_j)
off both lowers no margin, and raises no loss, since losses fall with the margin. What is left is
linear, min over u, v >= 0 and b of mean loss(m_i), and its dual asks of multipliers a_i >= 0

    sum a_i y_i = 0,    sum_i a_i Zplus_ij <= 0,    sum_i a_i Zminus_ij <= 0    for all j.

For the free ball the two become |sum_i a_i y_i x_ij| <= eps sum a_i. Columns are made from the
pixels when wanted: as float64 all of them take 16 times the memory of uint8 pixels.
"""

import numpy as np

from numlin.kernels.jit import jit
from numlin.support.arguments import white

BLOCK = 128  # rows whose sums are rounded together


def scale(X):
    """What makes a pixel of X (n_samples, n_features) out of an element: 1/255 for uint8."""
    return 1 / white(X)


def worst_case(X, y, eps, box, out=None):
    """Zplus and Zminus, (n_samples, n_features) each, of X and y (n_samples,).

    `out` is where to put them; in place, since new memory costs more than the arithmetic.
    """
    plus, minus = out or np.empty((2, *X.shape))
    np.multiply(X, scale(X), out=minus)
    if not box:
        minus *= -np.asarray(y, float)[:, None]
        np.negative(minus, out=plus)
        plus -= eps
        minus -= eps
        return plus, minus
    low = np.maximum(np.subtract(minus, eps, out=plus), 0, out=plus)
    minus += eps
    high = np.minimum(minus, 1, out=minus)
    np.negative(high, out=minus)
    first = np.asarray(y) < 0
    low[first], minus[first] = minus[first], low[first]
    return plus, minus


def margins(X, y, u, v, b, eps, box):
    """sum_j u_j Zplus_ij + v_j Zminus_ij + y_i b from the pixels in use, with u and v
    (n_features,): (n_samples,)."""
    used = np.flatnonzero(u + v)
    plus, minus = worst_case(X[:, used], y, eps, box)
    return plus @ u[used] + minus @ v[used] + b * y


def halves(w):
    """(u, v) of w = u - v with u, v >= 0 and u_j v_j = 0: (2, n_features)."""
    return np.stack([np.maximum(w, 0), np.maximum(-w, 0)])


def column_sums(X, y, a, eps, box):
    """sum_i a_i Zplus_ij and sum_i a_i Zminus_ij: (2, n_features).

    X is (n_samples, n_features), y and a (n_samples,). For a_i >= 0 rounding moves a sum by less
    than `rounding(n_samples)` sum_i a_i max(largest |x|, 1, eps).

    See Also
    --------
    worst_case : the columns themselves; this is a @ of them.
    """
    y = np.asarray(y, float)
    if box:
        return _box_sums(X, y, a, eps, scale(X))
    pull, drop = _pull(X, a * y, scale(X)), eps * a.sum()
    return np.stack([pull - drop, -pull - drop])


def rounding(n_samples):
    """Relative error of a column sum: within a block of rows, over the blocks, and of the terms,
    which may have been scaled by a quotient of two sums of NumPy's (each within 45 roundings)."""
    return (BLOCK + n_samples / BLOCK + 128) * 2.0**-53


@jit
def _pull(X, a, unit):
    """sum_i a_i x_i (n_features,), in blocks of rows."""
    n, d = X.shape
    total, part = np.zeros(d), np.zeros(d)
    for start in range(0, n, BLOCK):
        part[:] = 0
        for i in range(start, min(start + BLOCK, n)):
            if a[i] != 0:
                row, share = X[i], a[i] * unit
                for j in range(d):
                    part[j] += share * row[j]
        for j in range(d):
            total[j] += part[j]
    return total


@jit
def _box_sums(X, y, a, eps, unit):
    """Sums of low and high ends by class, in blocks of rows; twin: `worst_case`."""
    n, d = X.shape
    total, part = np.zeros((2, d)), np.zeros((2, d))
    for start in range(0, n, BLOCK):
        part[:] = 0
        for i in range(start, min(start + BLOCK, n)):
            if a[i] != 0:
                low, high = (part[0], part[1]) if y[i] > 0 else (part[1], part[0])
                row, share = X[i], a[i]
                for j in range(d):
                    low[j] += share * max(row[j] * unit - eps, 0.0)
                    high[j] -= share * min(row[j] * unit + eps, 1.0)
        for j in range(d):
            total[0, j] += part[0, j]
            total[1, j] += part[1, j]
    return total
