"""The minimum of a smooth robust loss, squared hinge or logistic: Newton's method on few columns.

In the worst-case columns of `numlin.optimum.columns` the problem is

    min over u, v >= 0 and b of  F = 1/n sum loss(m_i),
                                 m_i = sum_j u_j Zplus_ij + v_j Zminus_ij + y_i b.

The dual. loss(m) = max over t of loss*(t) - t m, so with a_i = t_i / n, for every u, v, b and every
a that meets sum a_i y_i = 0, sum_i a_i Zplus_ij <= 0 and sum_i a_i Zminus_ij <= 0,

    F >= D(a) = 1/n sum loss*(t_i):

    loss             t_i at the minimum     loss*(t)
    squared hinge    2 max(0, 1 - m_i)      t - t^2 / 4,                          t >= 0
    logistic         1 / (1 + e^m_i)        - t log t - (1 - t) log(1 - t),       0 <= t <= 1

The slope of F along u_j is -sum_i a_i Zplus_ij: a column whose sum is not above 0 stays at 0.
A robust loss leaves few weights, so `newton` keeps few columns: those in use and those that
would pay most. Each step minimises the quadratic model over the columns kept, exactly, with the
weights held at 0 or above, and goes along it as far as F falls.

From nearly optimal to feasible. The a of a computed minimum misses the conditions by rounding.
With every column raised by a little, Z + delta, the sums at the minimum are those of Z plus
delta sum a_i, so sum a_i Z_ij <= -delta sum a_i up to rounding: delta is the smallest that rounding
cannot undo. It costs the bound about delta ||w||_1 sum a_i. At eps = 0 both columns of a pixel are
opposite, the conditions are equations, weights have no walls, and the a is solved for exactly
(`numlin.optimum.proof.rational.balance`).

Not attained. If every robust margin can be positive, the logistic loss has the infimum 0 and no
minimum. If they can be only >= 0, and not all are 0 (quasi-separable data: two equal images with
opposite labels beside others), the infimum is that of the samples that stay at 0, and again there
is no minimum: weights grow along such a direction for ever. The squared hinge attains its infimum.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numlin.losses import LOGISTIC, SQUARED_HINGE
from numlin.optimum.columns import column_sums, halves, margins, rounding, worst_case
from numlin.optimum.proof import rational

ENTRANTS = 64  # columns that join in one step
SUBSAMPLE, SMALL = 8, 4000  # a start from every eighth sample of more than so many
STEPS, LATE = 200, 6  # at most, and after the first that promises next to nothing
FLAT = 1e-13  # of F: a step that promises less is near the minimum
RIDGE = 1e-14  # of the largest curvature, so that dependent columns have a solution
FAR = 50.0  # margins at which a logistic loss of infimum 0 stops: e^-50
RAISES = 4.0, 64.0, 1e3, 1e4, 1e6  # delta, in roundings of a column sum


class Dual(NamedTuple):
    """loss*(t), its largest t, and the loss's curvature where its slope is -t."""

    value: Callable
    most: float
    curvature: Callable


def _entropy(t):
    """-t log t - (1 - t) log(1 - t), with 0 log 0 = 0."""
    inner = np.clip(t, 1e-300, 1 - 2.0**-53)
    return np.where(t > 0, -t * np.log(inner), 0) - np.where(t < 1, (1 - t) * np.log1p(-inner), 0)


DUALS = {
    SQUARED_HINGE.name: Dual(lambda t: t - t * t / 4, np.inf, lambda t: 2.0 * (t > 0)),
    LOGISTIC.name: Dual(_entropy, 1.0, lambda t: t * (1 - t)),
}


def newton(X, y, eps, loss, box, w, b, raised):
    """Minimise over the columns Z + raised from w (n_features,) and b.

    Returns w, b, the number of steps, and whether the steps end; they do not where the infimum
    is not attained. Stops early at a classifier that separates the classes robustly.
    """
    n, d = X.shape
    dual, wall, small = DUALS[loss.name], eps > 0, rounding(n) * max(_largest(X), eps)
    start = halves(w).ravel()
    kept = np.flatnonzero(start)
    x, A = np.append(start[kept], b), _columns(X, y, eps, box, kept, raised)
    steps, late, ends = 0, 0, True
    while steps < STEPS and late <= LATE:
        m = x @ A
        if m.min() > raised * np.abs(x[:-1]).sum():
            break
        t = -loss.derivative(m)
        total, least = t.sum(), loss.value(m).sum()
        sums = column_sums(X, y, t, eps, box).ravel() + raised * total
        over = sums.copy()
        over[kept] = 0
        if not wall:
            over[(kept + d) % (2 * d)] = 0
        g = -np.append(sums[kept], t @ y)
        free = np.append((x[:-1] > 0) | (g[:-1] < 0) | (not wall), True)
        if max(over.max(), np.abs(g[free]).max()) <= 2 * small * total:
            break
        entrants = np.argsort(-over)[: ENTRANTS if wall else d]
        entrants = entrants[over[entrants] > small * total]
        A = np.vstack([A[free][:-1], _columns(X, y, eps, box, entrants, raised)])
        x = np.concatenate([x[free][:-1], np.zeros(len(entrants)), x[-1:]])
        g = np.concatenate([g[free][:-1], -sums[entrants], g[-1:]])
        kept = np.append(kept[free[:-1]], entrants)
        bent = np.flatnonzero(t > 0)
        scaled = A[:, bent] * np.sqrt(dual.curvature(t[bent]))
        H = scaled @ scaled.T
        H[np.diag_indices_from(H)] += RIDGE * H.diagonal().max()
        move = quadratic(H, g, x) if wall else np.linalg.solve(H, -g)
        dm = move @ A
        steps, promise = steps + 1, -(g @ move)
        ends = bool(np.abs(dm).max() < 0.1 or promise > 1e-9 * least)
        if promise < FLAT * least:
            late += 1
        else:
            move *= _along(loss, m, dm, least)
        x += move
        x[:-1] = np.maximum(x[:-1], 0 if wall else -np.inf)
    w = np.zeros(2 * d)
    w[kept] = x[:-1]
    return w[:d] - w[d:], float(x[-1]), steps, ends


def quadratic(H, g, x):
    """The move that minimises g.move + move.H.move / 2 with x + move >= 0 but for the last (bias).

    H (k, k) is positive definite, g and x (k,). An active set method: whoever reaches 0 is held
    there; when the others are at their minimum, the one held that wants to rise most is let go.
    """
    move, free = np.zeros_like(x), (x > 0) | (g < 0)
    free[-1] = True
    for _ in range(10 * len(x)):
        F = np.flatnonzero(free)
        way = np.linalg.solve(H[np.ix_(F, F)], -(g + H @ move)[F])
        room = x[F] + move[F]
        blocked = (room + way < 0) & (len(x) - 1 > F)
        if blocked.any():
            steps = np.where(blocked, room / np.where(blocked, -way, 1), np.inf)
            first = np.argmin(steps)
            move[F] += steps[first] * way
            move[F[first]], free[F[first]] = -x[F[first]], False
            continue
        move[F] += way
        slope = np.where(free, 0, g + H @ move)
        if slope.min() >= -1e-12 * np.abs(g).max():
            break
        free[np.argmin(slope)] = True
    return move


def _along(loss, m, dm, least):
    """How far to go from margins m along dm: all the way if that goes down, else to the bottom."""
    slope = loss.derivative(m) @ dm
    end = m + dm
    if loss.derivative(end) @ dm <= -0.1 * slope and loss.value(end).sum() <= least:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if loss.derivative(m + middle * dm) @ dm < 0 else (low, middle)
    return (low + high) / 2


def _columns(X, y, eps, box, kept, raised):
    """Worst-case columns by number, Zplus and then Zminus, and y: (len(kept) + 1, n_samples)."""
    d = X.shape[1]
    plus, minus = worst_case(X[:, kept % d], y, eps, box)
    return np.vstack([np.where(kept < d, plus, minus).T + raised, y])


def lower_bound(t, X, y, eps, loss, box):
    """A lower bound of F over all w and b from t_i = n a_i, nearly feasible; 0 if infeasible.

    The heavier class of t (n_samples,) is scaled down, so that sum t_i y_i = 0 by definition. The
    other conditions are checked, for eps > 0 with the worst that rounding can do on the safe side;
    at eps = 0 they are equations, and uint8 pixels are needed to solve them exactly.
    """
    positive, negative = t[y > 0].sum(), t[y < 0].sum()
    least = min(positive, negative)
    if least <= 0:
        return 0.0
    t = t * np.where(y > 0, least / positive, least / negative)
    if eps > 0:
        slack = 2 * least * max(_largest(X), eps) * rounding(len(y))
        if column_sums(X, y, t, eps, box).max() > -slack:
            return 0.0
    elif X.dtype == np.uint8:
        try:
            t = rational.balance(X, y, t, DUALS[loss.name].most)
        except rational.ProofError:
            return 0.0
    else:
        return 0.0
    values, slip = DUALS[loss.name].value(t), (len(y) + 64) * 2.0**-53
    return max(0.0, (values.sum() - slip * (values.sum() + t.sum())) / len(y))


def minimise(X, y, eps, loss, box, w, b):
    """Minimise from a start w (n_features,), b; X (n_samples, n_features), y (n_samples,).

    Returns
    -------
    w, b, objective, bound
        `bound` is certified.
    a : (n_samples,)
        The multipliers.
    steps : int
    attained : bool
        Whether there is a minimum; otherwise w, b are somewhere on the way to the infimum.
    """
    n, total, unit = len(y), 0, rounding(len(y)) * max(_largest(X), eps)
    if n > SMALL:
        part = np.ascontiguousarray(X[::SUBSAMPLE])
        w, b, total, _ = newton(part, y[::SUBSAMPLE], eps, loss, box, w, b, 0.0)
    for roundings in RAISES if eps > 0 else (0.0,):
        raised = min(roundings * unit, eps / 8)
        w, b, steps, attained = newton(X, y, eps, loss, box, w, b, raised)
        total += steps
        m = margins(X, y, *halves(w), b, eps, box)
        if m.min() > 0:  # separated: all margins can be as large as one likes
            attained = loss is SQUARED_HINGE
            grown = max(1.0, (1 if attained else FAR) * (1 + 1e-9) / m.min())
            w, b, m, bound = w * grown, b * grown, m * grown, 0.0
        else:
            bound = lower_bound(
                -loss.derivative(m + raised * np.abs(w).sum()), X, y, eps, loss, box
            )
        if bound > 0 or m.min() > 0:
            break
    objective = float(loss.value(m).mean())
    return w, b, objective, min(bound, objective), -loss.derivative(m) / n, total, attained


def _largest(X):
    """A bound of |x| for the pixels X (n_samples, n_features), at least 1."""
    return 1.0 if X.dtype == np.uint8 else max(1.0, np.abs(X).max())
