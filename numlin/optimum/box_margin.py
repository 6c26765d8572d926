"""The l-inf margin in the pixel box: the largest eps at which all images can be separated.

For the free ball eps* is a linear programme. In the box the columns themselves depend on eps, and
eps* need not be rational: clipped corners stand still while others move. But each classifier has
an eps up to which it separates, the smallest radius of its images (`numlin.balls`), and each dual
point an eps from which on it forbids separation: with a_i >= 0 and sum a_i y_i = 0, if no sum of
a_i Zplus_ij or a_i Zminus_ij is above 0, no classifier has sum a_i m_i > 0. Both ends close in on
eps*: the best classifier and the dual point of a radius between them come from

    max over ||w||_1 <= 1 of min_i m_i,

solved as min ||w||_1 with m_i + lift ||w||_1 >= 1 (the lift keeps ||w||_1 finite where the maximum
is 0). The slopes of both bounds there are those of the maximum itself, so the interval shrinks
faster and faster, as in Newton's method.
"""

import numpy as np

from numlin.balls import BALLS
from numlin.optimum.columns import column_sums, scale
from numlin.optimum.working_sets import EMPTY, Problem, multipliers, search

CLOSE = 1e-10  # ends of the interval that are close enough
ROUNDS = 40


def interval(X, y, lower, hard, toll, budget):
    """(lower, upper, w, b, a, basis) from a lower end > 0, such as the free margin.

    X is (n_samples, n_features), y (n_samples,). `hard` is the weight of a hinge, `toll` that of
    ||w||_1. Both ends are known up to rounding; w, b and a (n_samples,) attain them.
    """
    d, upper, eps, basis = X.shape[1], 1.0, lower, EMPTY
    start, w, b, a = np.zeros(2 * d + 1), None, 0.0, None
    for _ in range(ROUNDS):
        drop = np.append(np.full(2 * d, -eps / 4), 0.0)
        tolls = np.append(np.full(2 * d, toll), 0.0)
        problem = Problem(X, y, drop, tolls, hard, eps)
        corner = search(problem, start, basis, budget)
        start, basis = corner.v, corner.basis
        found = start[:d] - start[d:-1], start[-1]
        reached = _separates_up_to(X, y, *found)
        if w is None or reached > lower:
            lower, (w, b) = max(lower, reached), found
        weights = np.maximum(multipliers(problem, corner), 0)
        forbidden = _forbids_from(X, y, weights)
        if a is None or forbidden < upper:
            upper, a = forbidden, weights
        if upper - lower <= CLOSE:
            break
        eps = (lower + upper) / 2
    return lower, upper, w, b, a, basis


def _separates_up_to(X, y, w, b):
    """Smallest radius in the box: below it w (n_features,), b separate X (n, d), y (n,)."""
    used = np.flatnonzero(w)
    x = X[:, used] * scale(X)
    return BALLS["linf-box"].radius(w[used], x, y, y * (x @ w[used] + b)).min()


def _forbids_from(X, y, a):
    """Smallest eps at which a (n_samples,), its classes balanced, forbids separation, or 1."""
    rows = np.flatnonzero(a)
    X, y, a = X[rows], y[rows], a[rows].copy()
    if not (y > 0).any() or not (y < 0).any():
        return 1.0
    a[y > 0] *= a[y < 0].sum() / a[y > 0].sum()
    low, high = 0.0, 1.0
    while high - low > 1e-15:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        over = column_sums(X, y, a, middle, True).max() > 0
        low, high = (middle, high) if over else (low, middle)
    return high
