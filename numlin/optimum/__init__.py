"""The best robust linear classifier: the global minimum of the robust hinge, with its proof.

Training minimises over w and b

    F(w, b) = 1/n sum_i max(0, 1 - y_i (w.x_i + b) + eps ||w||_1),

which is convex and piecewise linear, so its minimum can be computed, and proved.

The dual. Since max(0, r) = max over 0 <= t <= 1 of t r, with a_i = t_i / n,

    F(w, b) = max over 0 <= a_i <= 1/n of
              sum a_i  -  b sum a_i y_i  -  w . sum a_i y_i x_i  +  eps ||w||_1 sum a_i.

Swap min and max. Over b the minimum is -infinity unless sum a_i y_i = 0. Over w_j it is
-infinity unless |sum_i a_i y_i x_ij| <= eps sum a_i; then it is 0, at w_j = 0. What remains is

    max sum a_i  subject to  0 <= a_i <= 1/n,  sum a_i y_i = 0,
                             ||sum a_i y_i x_i||_inf <= eps sum a_i.

Whatever a meets these conditions, sum a_i <= F(w, b) for every w and b: a lower bound that needs
no trust in whoever found a. At the optimum both values are equal.

Geometry. Let A = sum a_i. Each class holds A/2, and 2a/A are weights of a mean of each class:
the conditions say that the two means are within 2 eps of each other in l-inf, each weight being
at most 2/(n A). The minimum is thus the largest mass A for which the *reduced* convex hulls
(weights capped at 2/(n A)) of the two classes come within 2 eps. If even the full hulls are
further apart no a but 0 is left, and the minimum is 0: the data can be separated robustly. The
largest such radius is the l-inf margin of the data,

    eps* = max over w of min_i y_i (w.x_i + b) / ||w||_1 = half the l-inf distance of the hulls.

Who carries the solution (complementary slackness). A sample with robust margin above 1 has
a_i = 0, one below has a_i = 1/n, and only samples exactly on the margin lie in between. A pixel
with |sum_i a_i y_i x_ij| < eps sum a_i has w_j = 0: the adversary's budget outweighs what the
pixel tells about the class.

Sparsity. A minimum is attained at a corner, where k equations "sample i is on the margin" fix k
unknowns, the bias and k - 1 weights, and all other weights are 0. The larger eps, the fewer
pixels pay: of MNIST's 784, 65 separate 0 from 1 at eps = 0.1, and two at eps = 0.3.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from numlin.optimum.pivots import OPTIMAL
from numlin.optimum.proof import rational
from numlin.optimum.simplex import descend
from numlin.optimum.working_sets import (
    EMPTY,
    Basis,
    Problem,
    multipliers,
    outside_sums,
    scale,
    search,
)
from numlin.support import arguments

INWARDS = 1e-3  # share of eps by which the inner dual point keeps away from its constraints
ROUNDING = 2.0**-53  # of one operation in float64
BUDGET = 100_000  # pivots
GAP = 1e-9  # largest relative gap before exact arithmetic is asked
HARD, TOLL = 100.0, 0.01  # weights of a hinge and of ||w||_1 where no sample may be lost


@dataclass(frozen=True)
class Optimum:
    """A minimum of the robust hinge: `w` (n_features,), `b` and what proves them.

    `multipliers` (n_samples,) are the dual a, and `basis` says which equations fix w and b.
    `lower_bound` holds for every linear classifier, also if `converged` is False because
    `n_pivots` reached the budget or rounding misled the last of them.
    """

    eps: float
    w: np.ndarray
    b: float
    objective: float
    lower_bound: float
    multipliers: np.ndarray
    basis: Basis
    n_pivots: int
    converged: bool

    @property
    def certified(self):
        """Whether the relative gap is at most 1e-9."""
        return self.relative_gap <= GAP

    @property
    def gap(self):
        """Objective minus lower bound: no classifier improves on this one by more."""
        return self.objective - self.lower_bound

    @property
    def relative_gap(self):
        """Gap over objective; 0 at an objective of 0, which nothing improves on."""
        return self.gap / self.objective if self.objective > 0 else 0.0


@dataclass(frozen=True)
class Margin:
    """The l-inf margin eps* lies in [`lower`, `upper`]: `w`, `b` prove the one, `multipliers`
    (n_samples,) the other. `lower` is 0 when no hyperplane that separates was found."""

    lower: float
    upper: float
    w: np.ndarray
    b: float
    multipliers: np.ndarray
    basis: Basis


def minimise(X, y, eps, start=None, budget=BUDGET):
    """Global minimum of F(w, b) = 1/n sum_i max(0, 1 - y_i (w.x_i + b) + eps ||w||_1).

    Parameters
    ----------
    X : (n_samples, n_features)
        Pixels: uint8, read as multiples of 1/255, or floating point, read as they are.
    y : (n_samples,)
        Labels, -1 or +1.
    eps : float
        Radius of the l-inf ball, at least 0.
    start : Optimum
        A minimum of the same data at another radius, to start from.
    budget : int
        Number of pivots after which to stop; the result says so in `converged`, and has the gap
        reached. The bound may take as many again.

    Returns
    -------
    Optimum

    Raises
    ------
    ValueError
        If eps is negative or not finite, or y holds anything but -1 and +1, or only one of them.

    Notes
    -----
    Exact up to rounding: the corner reached solves a linear system, and `lower_bound` proves that
    no other is better. A classifier with robust margins > 0 is scaled up to a loss of exactly 0.
    Where no dual point is strictly feasible, at eps = 0 and at eps* itself, floating point meets
    the dual conditions only by luck: then the bound comes from exact arithmetic
    (`numlin.optimum.proof.rational`) for uint8 pixels, and is 0 for others. Just below eps* the
    weights grow as 1/(eps* - eps), and rounding of the residuals with them.

    See Also
    --------
    numlin.objective.objective : F itself.
    numlin.optimum.proof.rational.prove : the same minimum as an exact fraction.
    """
    X, y = _checked(X, y)
    arguments.check_number("eps", eps)
    if X.dtype != np.uint8:
        unit = 2.0 ** np.ceil(np.log2(np.abs(X).max() or 1))  # a power of two divides exactly
        if not 1 / 16 <= unit <= 16:
            found = minimise(X / unit, y, eps / unit, start, budget)
            return replace(found, eps=eps, w=found.w / unit)
    eps = float(eps)
    price = np.append(np.full(X.shape[1], float(eps)), 0.0)
    problem = Problem(X, y, price, np.zeros_like(price), 1 / len(y))
    v, basis = np.zeros_like(price), EMPTY
    if start is not None:
        v, basis = np.append(start.w, start.b), start.basis
    corner = search(problem, v, basis, budget)
    v, a = corner.v, multipliers(problem, corner)
    least = 1 - problem.residuals(v).max()
    if least > 0:  # robustly separated: then all margins can be lifted to 1 and a little more
        v = v * ((1 + 1e-9) / least)
    objective = float(np.maximum(problem.residuals(v), 0).mean())
    rare = min((y > 0).mean(), (y < 0).mean())
    if objective > 2 * rare:  # rounding: the frequent class is a better answer than this corner
        v[:-1], v[-1], objective = 0, np.sign(y.sum()), 2 * rare
    converged, bound = corner.ending == OPTIMAL or objective == 0, 0.0
    if objective > 0 and eps > 0:
        bound = min(objective, lower_bound(a, _inner(problem, corner, budget), X, y, eps))
    optimum = Optimum(
        eps, v[:-1], v[-1], objective, bound, a, corner.basis, corner.n_pivots, converged
    )
    if converged and optimum.relative_gap > GAP and X.dtype == np.uint8:
        with suppress(rational.ProofError):
            exact = rational.prove(X, y, optimum).lower_bound
            optimum = replace(optimum, lower_bound=min(objective, exact))
    return optimum


def lower_bound(a, inner, X, y, eps):
    """A lower bound of F over all w and b, from multipliers that are nearly feasible.

    Both `a` and `inner` (n_samples,) are repaired without rounding by definition: clip to
    [0, 1/n]; scale the heavier class down, so that sum a_i y_i = 0. Then, with mass A = sum a_i
    and reach R = ||sum a_i y_i x_i||_inf, the mixture

        (1 - t) a + t inner,   t = max(0, R_a - eps A_a) / (R_a - eps A_a + eps A_inner - R_inner)

    meets R <= eps A, and its mass is the bound. `inner` must be strictly inside, for instance the
    optimum of a slightly smaller eps; if it is not and `a` is outside, the bound is 0.

    Notes
    -----
    Masses and reaches are computed in float64 and then moved to the safe side by the worst
    rounding error of a sum of n terms, (n + 8) 2^-53 sum |terms|, so the bound is a theorem, not
    an estimate. X is (n_samples, n_features), y (n_samples,).
    """
    mass, reach = _balanced(np.clip(a, 0, 1 / len(y)), X, y)
    inner_mass, inner_reach = _balanced(np.clip(inner, 0, 1 / len(y)), X, y)
    over, slack = reach - eps * mass, eps * inner_mass - inner_reach
    if over <= 0:
        return mass
    if slack <= 0:
        return 0.0
    share = over / (over + slack) * (1 + 8 * ROUNDING)
    return ((1 - share) * mass + share * inner_mass) * (1 - 8 * ROUNDING)


def margin(X, y):
    """The l-inf margin eps* = max over w, b of min_i y_i (w.x_i + b) / ||w||_1, as a `Margin`.

    Solves min ||w||_1 subject to y_i (w.x_i + b) >= 1, whose value is 1/eps*; X is
    (n_samples, n_features), y (n_samples,).

    Notes
    -----
    `lower` is the margin of w, b. `upper` comes from the dual: for all a >= 0 with
    sum a_i y_i = 0 no margin exceeds ||sum a_i y_i x_i||_inf / sum a_i, half the distance of two
    points of the convex hulls. Both are moved to the safe side of rounding and hold always. They
    meet for margins above 1e-4; for smaller ones, and where no hyperplane separates the classes,
    `lower` is 0 and `upper` about 1e-4 or less.
    """
    X, y = _checked(X, y)
    toll = np.append(np.full(X.shape[1], TOLL), 0.0)
    problem = Problem(X, y, np.zeros_like(toll), toll, HARD)
    corner = search(problem, np.zeros_like(toll), EMPTY, BUDGET)
    w, b, a = corner.v[:-1], corner.v[-1], multipliers(problem, corner)
    norm, slip = np.abs(w).sum(), (w.size + 8) * ROUNDING
    least = (1 - problem.residuals(corner.v)).min() - slip * (norm + abs(b))
    lower = least / norm * (1 - slip) if least > 0 else 0.0
    mass, reach = _balanced(np.maximum(a, 0), X, y)
    return Margin(lower, reach / mass * (1 + slip), w, b, a, corner.basis)


def path(X, y, grid):
    """The `Optimum` at every radius of `grid`, in its order, solved from large to small radii.

    X is (n_samples, n_features), y (n_samples,). Each starts from the next larger radius. Below
    the l-inf margin the minimum is 0 and the first classifier found stays the optimum.
    """
    found, optimum = {}, None
    for eps in sorted(grid, reverse=True):
        if optimum is not None and optimum.objective == 0:
            optimum = replace(optimum, eps=eps, n_pivots=0)
        else:
            optimum = minimise(X, y, eps, start=optimum)
        found[eps] = optimum
    return [found[eps] for eps in grid]


def _checked(X, y):
    """X (n_samples, n_features) as an array and y (n_samples,) in float64, or a ValueError."""
    X = arguments.check_inputs(X)
    return X, arguments.check_signs(y, len(X)).astype(float)


def _inner(problem, corner, budget):
    """Multipliers (n_samples,) optimal for eps (1 - INWARDS): strictly feasible for eps."""
    t = corner.tableau._replace(price=problem.price * (1 - INWARDS))
    outside = outside_sums(problem, corner.working, corner.below)
    descend(t, problem.unit, outside, budget)
    return multipliers(problem, replace(corner, tableau=t))


def _balanced(a, X, y):
    """Safe mass (rounded down) and reach (up) of a >= 0 with the heavier class scaled down."""
    positive, negative = a[y > 0].sum(), a[y < 0].sum()
    least = min(positive, negative)
    if least <= 0:
        return 0.0, 0.0
    used = np.flatnonzero(a)
    balanced = a[used] * np.where(y[used] > 0, least / positive, least / negative)
    q = (balanced * y[used]) @ X[used] * scale(X)
    slip = (len(y) + 8) * ROUNDING
    largest = 1.0 if X.dtype == np.uint8 else np.abs(X).max()
    return 2 * least * (1 - slip), np.abs(q).max() + 2 * least * largest * slip
