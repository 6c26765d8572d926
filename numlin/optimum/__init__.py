"""The best robust linear classifier: the global minimum of a robust loss, with its proof.

Training with the hinge minimises over w and b

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

In the pixel box the same holds with other columns: `numlin.optimum.columns` writes both balls as
ordinary training on worst-case columns with weights >= 0. The dual condition of pixel j becomes
sum_i a_i Zplus_ij <= 0 and sum_i a_i Zminus_ij <= 0, and nothing else changes. So it does with
other losses, whose dual objective is curved: `numlin.optimum.smooth`.
"""

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from numlin.balls import LINF, LINF_BOX, Ball, as_ball
from numlin.losses import HINGE, Loss
from numlin.optimum import box_margin, free_margin, interior, smooth
from numlin.optimum.columns import column_sums, halves, rounding, scale
from numlin.optimum.parametric import MORE, SEPARATED
from numlin.optimum.pivots import OPTIMAL
from numlin.optimum.proof import rational
from numlin.optimum.simplex import descend
from numlin.optimum.walk import Path, Walk
from numlin.optimum.working_sets import (
    EMPTY,
    SMALL,
    Basis,
    Problem,
    multipliers,
    outside_sums,
    search,
)
from numlin.support import arguments
from numlin.support.arguments import Array, check_choice, check_inside

INWARDS = 1e-3  # share of eps by which the inner dual point keeps away from its constraints
ROUNDING = 2.0**-53  # of one operation in float64
BUDGET = 100_000  # pivots
HARD, TOLL = 100.0, 0.01  # weights of a hinge and of ||w||_1 where no sample may be lost
LIFT = 1 + 1e-9  # margins of data that are separated
GAP = 1e-9  # largest relative gap before exact arithmetic is asked
START, ABOVE_MARGINS = 0.02, 0.1  # where walks to a smaller eps, and to eps*, begin


@dataclass(frozen=True)
class Optimum:
    """A minimum of a robust loss, free or in the pixel `box`: `w` (n_features,), `b` and its proof.

    `multipliers` (n_samples,) are the dual a, and `basis` says which equations fix w and b (none
    for a smooth loss, where `n_pivots` counts Newton steps). `lower_bound` holds for every linear
    classifier, also if `converged` is False because `n_pivots` reached the budget or rounding
    misled the last of them. If not `attained`, there is no minimum, and w, b are on the way to
    the infimum.
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
    box: bool = False
    loss: str = "hinge"
    attained: bool = True

    @property
    def certified(self) -> bool:
        """Whether the relative gap is at most 1e-9."""
        return self.relative_gap <= GAP

    @property
    def gap(self) -> float:
        """Objective minus lower bound: no classifier improves on this one by more."""
        return self.objective - self.lower_bound

    @property
    def relative_gap(self) -> float:
        """Gap over objective; 0 at an objective of 0, which nothing improves on.

        Where an infimum of 0 is not attained, the gap itself: nothing comes near it relatively.
        """
        if not self.attained and self.lower_bound == 0:
            return self.gap
        return self.gap / self.objective if self.objective > 0 else 0.0


@dataclass(frozen=True)
class Margin:
    """The l-inf margin eps* lies in [`lower`, `upper`]: `w`, `b` prove the one, `multipliers`
    (n_samples,) the other. `lower` is 0 when no hyperplane that separates was found. In the pixel
    `box` both ends are known up to rounding, and a proof moves them outwards."""

    lower: float
    upper: float
    w: np.ndarray
    b: float
    multipliers: np.ndarray
    basis: Basis
    box: bool = False


def minimise(X: ArrayLike, y: ArrayLike, eps: float, start: Optimum | None = None,
             budget: int = BUDGET, loss: Loss = HINGE, ball: Ball | str = LINF,
             corner: bool = False) -> Optimum:  # fmt: skip
    """Global minimum of F(w, b) = 1/n sum_i loss(y_i (w.x_i + b) - drop_i(w)).

    The drop is what the l-inf ball can take from a margin: eps ||w||_1, or less in the pixel box.

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
        reached. The bound may take as many again. Newton steps, if any, are few and not limited.
    loss : Loss
        The hinge, the squared hinge or the logistic loss of `numlin.losses`.
    ball : Ball
        "linf" or "linf-box" of `numlin.balls`, or the name.
    corner : bool
        Whether w and b are to be a corner with a basis, as `numlin.optimum.proof.rational.prove`
        needs. It comes later than a point inside the face of all optima at eps = 0, which may be
        large (`numlin.optimum.interior`).

    Returns
    -------
    Optimum

    Raises
    ------
    ValueError
        If eps is negative or not finite, or y holds anything but -1 and +1, or only one of them,
        for another ball, or if pixels lie outside of the box.

    Notes
    -----
    The hinge is exact up to rounding: the corner reached solves a linear system, and `lower_bound`
    proves that no other is better. A classifier with robust margins > 0 is scaled up to a hinge of
    exactly 0, and to a logistic loss that nobody can tell from 0, its infimum. Where no dual point
    is strictly feasible, at eps = 0 and at eps* itself, floating point meets the dual conditions
    only by luck: then the bound comes from exact arithmetic (`numlin.optimum.proof.rational`; of
    the smooth losses only at eps = 0) for uint8 pixels, and is 0 for others. Just below eps* the
    weights grow as 1/(eps* - eps), and rounding of the residuals with them.

    See Also
    --------
    numlin.objective.objective : F itself.
    numlin.optimum.proof.rational.prove : the same minimum as an exact fraction.
    """
    X, y = _checked(X, y)
    arguments.check_number("eps", eps)
    box, unit = _is_box(ball, X), _unit(X)
    if not box and unit != 1:
        found = minimise(X / unit, y, eps / unit, start, budget, loss=loss)
        return replace(found, eps=eps, w=found.w / unit)
    eps = float(eps)
    if loss is not HINGE:
        w, b = (np.zeros(X.shape[1]), 0.0) if start is None else (start.w, start.b)
        w, b, objective, bound, a, steps, attained = smooth.minimise(X, y, eps, loss, box, w, b)
        optimum = Optimum(
            eps, w, b, objective, bound, a, EMPTY, steps, True, box, loss.name, attained
        )
        return replace(optimum, converged=optimum.certified)
    walk = None
    if not box and eps < START and start is None and len(y) > SMALL:
        if eps == 0 and not corner and X.dtype == np.uint8 and (inside := _inside(X, y)):
            return inside
        start = minimise(X, y, START)
        if start.objective == 0:
            return replace(start, eps=eps)
        walk = Walk(X, y, start)
    drop = np.append(np.full(X.shape[1] * (2 if box else 1), 0.0 if box else eps), 0.0)
    problem = Problem(X, y, drop, np.zeros_like(drop), 1 / len(y), eps if box else None)
    if walk:
        walk.down(eps, lambda walk: len(walk.events) >= budget)
        v, a = np.append(*walk.current.classifier(eps)), walk.multipliers(eps)
        basis, n_pivots, converged = walk.basis, len(walk.events), walk.ending != MORE
    else:
        v, basis = np.zeros_like(drop), EMPTY
        if start is not None:
            v = np.append(halves(start.w) if box else start.w, start.b)
            basis = start.basis if start.box == box else EMPTY
        found = search(problem, v, basis, budget)
        v, a = found.v, multipliers(problem, found)
        basis, n_pivots, converged = found.basis, found.n_pivots, found.ending == OPTIMAL
    if box:
        up, down = v[:-1].reshape(2, -1)
        v = np.append(halves(up - down), v[-1])
    least = 1 - problem.residuals(v).max()
    if least > 0:  # robustly separated: then all margins can be lifted to 1 and a little more
        v = v * (LIFT / least)
    objective = float(np.maximum(problem.residuals(v), 0).mean())
    rare = min((y > 0).mean(), (y < 0).mean())
    if objective > 2 * rare:  # rounding: the frequent class is a better answer than this corner
        v[:-1], v[-1], objective = 0, np.sign(y.sum()), 2 * rare
    converged, bound = converged or objective == 0, 0.0
    if objective > 0 and eps > 0:
        if walk:
            walk.down(eps * (1 - INWARDS))
            inner = walk.multipliers(eps * (1 - INWARDS))
        else:
            inner = _inner(problem, found, INWARDS * eps, budget)
        bound = min(objective, lower_bound(a, inner, X, y, eps, box))
    w = v[: X.shape[1]] - v[X.shape[1] : -1] if box else v[:-1]
    optimum = Optimum(eps, w, v[-1], objective, bound, a, basis, n_pivots, converged, box)
    if converged and optimum.relative_gap > GAP and X.dtype == np.uint8:
        with suppress(rational.ProofError):
            exact = rational.prove(X, y, optimum).lower_bound
            optimum = replace(optimum, lower_bound=min(objective, exact))
    return optimum


def _inside(X, y):
    """The `Optimum` at eps = 0 by `numlin.optimum.interior`, None where that is not certified.

    X (n_samples, n_features) is uint8: only such multipliers can be balanced exactly.
    """
    used, a = np.flatnonzero(X.any(axis=0)), np.zeros(len(y))
    Z = np.append(X[:, used] * scale(X), np.ones((len(y), 1)), axis=1) * y[:, None]
    try:
        with np.errstate(all="ignore"):  # a lost path says so
            v, t, steps = interior.minimise(Z)
        least = (Z @ v).min()
        if least > 0:
            v = v * (LIFT / least)
        else:
            a = rational.balance(X, y, t, 1.0) / len(y)
    except (np.linalg.LinAlgError, rational.ProofError):
        return None
    w, objective = np.zeros(X.shape[1]), float(np.maximum(1 - Z @ v, 0).mean())
    w[used], bound = v[:-1], min(objective, a.sum() * (1 - (len(y) + 8) * ROUNDING))
    found = Optimum(0.0, w, float(v[-1]), objective, bound, a, EMPTY, steps, True)
    return found if found.certified else None


def lower_bound(a: Array, inner: Array, X: Array, y: Array, eps: float, box: bool = False) -> float:
    """A lower bound of F over all w and b, from multipliers that are nearly feasible.

    Both `a` and `inner` (n_samples,) are repaired without rounding by definition: clip to
    [0, 1/n]; scale the heavier class down, so that sum a_i y_i = 0. Then, with mass A = sum a_i
    and reach R = ||sum a_i y_i x_i||_inf, the mixture

        (1 - t) a + t inner,   t = max(0, R_a - eps A_a) / (R_a - eps A_a + eps A_inner - R_inner)

    meets R <= eps A, and its mass is the bound. In the `box` R is the largest of all
    sum_i a_i Zplus_ij and sum_i a_i Zminus_ij, and is held against 0 instead of eps A. `inner` must
    be strictly inside, for instance the optimum of a slightly smaller eps; if it is not and `a` is
    outside, the bound is 0.

    Notes
    -----
    Masses and reaches are computed in float64 and then moved to the safe side by the worst
    rounding error of a sum, of n terms (n + 8) 2^-53 sum |terms|, in blocks as in
    `numlin.optimum.columns.rounding`, so the bound is a theorem, not an estimate. X is
    (n_samples, n_features), y (n_samples,).
    """
    radius, drop = (eps, 0.0) if box else (None, eps)
    mass, reach = _balanced(np.clip(a, 0, 1 / len(y)), X, y, radius)
    inner_mass, inner_reach = _balanced(np.clip(inner, 0, 1 / len(y)), X, y, radius)
    over, slack = reach - drop * mass, drop * inner_mass - inner_reach
    if over <= 0:
        return mass
    if slack <= 0:
        return 0.0
    share = over / (over + slack) * (1 + 8 * ROUNDING)
    return ((1 - share) * mass + share * inner_mass) * (1 - 8 * ROUNDING)


def margin(X: ArrayLike, y: ArrayLike, ball: Ball | str = LINF) -> Margin:
    """The l-inf margin eps* = max over w, b of min_i y_i (w.x_i + b) / ||w||_1, as a `Margin`.

    In the `ball` "linf-box" the largest eps at which all images can be separated when attacked
    pixels stay in [0, 1] (`numlin.optimum.box_margin`). The free one is the lower end of the path
    (`numlin.optimum.walk`), found directly if there are many samples
    (`numlin.optimum.free_margin`). X is (n_samples, n_features), y (n_samples,).

    Notes
    -----
    `lower` is the margin of w, b. `upper` comes from the dual: for all a >= 0 with
    sum a_i y_i = 0 no margin exceeds ||sum a_i y_i x_i||_inf / sum a_i, half the distance of two
    points of the convex hulls. Both are moved to the safe side of rounding and hold always. Where
    no hyperplane separates the classes, `lower` is 0 and `upper` the rounding of a sum, at most
    about 1e-12: the minimum at eps = 0, where the path ends, is positive.
    """
    X, y = _checked(X, y)
    if _is_box(ball, X):
        return _boxed_margin(X, y)
    unit = _unit(X)
    if unit != 1:
        found = margin(X / unit, y)
        return replace(found, lower=found.lower * unit, upper=found.upper * unit, w=found.w / unit)
    few = X.dtype != np.uint8 or len(y) <= SMALL
    if not few and (found := free_margin.corner(X, y)):
        found = _margin(X, y, *found)
        if found.upper - found.lower <= GAP * found.lower:
            return found
    if not few and (inside := _inside(X, y)) and inside.objective > 0:
        return _margin(X, y, inside.w, inside.b, inside.multipliers, EMPTY)
    walk = _walk(X, y, ABOVE_MARGINS)
    walk.down(0.0)
    w, b = walk.current.classifier(0.0)
    return _margin(X, y, w, b, walk.multipliers(0.0), walk.basis)


def _margin(X, y, w, b, a, basis):
    """The `Margin` between the margin of w (n_features,), b and what a (n_samples,) allows."""
    norm, used, a = np.abs(w).sum(), np.flatnonzero(w), np.maximum(a, 0)
    slip = (used.size + 8) * ROUNDING
    least = (y * (X[:, used] @ (w[used] * scale(X)) + b)).min() - slip * (norm + abs(b))
    lower = least / norm * (1 - slip) if least > 0 else 0.0
    mass, reach = _balanced(a[a > 0], X[a > 0], y[a > 0])
    return Margin(lower, reach / mass * (1 + slip), w, b, a, basis)


def _boxed_margin(X, y):
    """`margin` in the pixel box, which is at least the free one."""
    free = margin(X, y)
    if free.lower > 0:
        found = box_margin.interval(X, y, free.lower, HARD, TOLL, BUDGET)
    else:
        found = 0.0, 1.0, free.w, free.b, free.multipliers, EMPTY
    return Margin(*found, box=True)


def path(X: ArrayLike, y: ArrayLike, grid: Collection[float], loss: Loss = HINGE,
         ball: Ball | str = LINF) -> list[Optimum]:  # fmt: skip
    """The `Optimum` at every radius of `grid`, in its order, solved from large to small radii.

    X is (n_samples, n_features), y (n_samples,); loss and ball as in `minimise`. Each
    starts from the next larger radius. Below the l-inf margin the minimum is 0 and the first
    classifier found stays the optimum.
    """
    found, optimum = {}, None
    for eps in sorted(grid, reverse=True):
        if optimum is not None and optimum.objective == 0:
            optimum = replace(optimum, eps=eps, n_pivots=0)
        else:
            optimum = minimise(X, y, eps, start=optimum, loss=loss, ball=ball)
        found[eps] = optimum
    return [found[eps] for eps in grid]


def whole_path(X: ArrayLike, y: ArrayLike, low: float = 0.0, high: float = 1.0,
               grid: Iterable[float] = ()) -> Path:  # fmt: skip
    """Every optimum for `low` <= eps <= `high`, as a `Path`; see `numlin.optimum.walk`.

    X is (n_samples, n_features), y (n_samples,), with pixels of order 1 if they are not uint8. For
    every eps of `grid` the result has a certified lower bound as well, in `bounds`.
    """
    X, y = _checked(X, y)
    arguments.check_number("low", low)
    arguments.check_number("high", high, low)
    if _unit(X) != 1:
        raise ValueError(f"X: found values up to {np.abs(X).max():.3g}, expected pixels of order 1")
    walk, bounds = _walk(X, y, high), {}
    for eps in sorted(grid, reverse=True):
        walk.down(eps)
        value, a, inwards = walk.current.value(eps), walk.multipliers(eps), eps * (1 - INWARDS)
        if value * eps == 0:
            bounds[eps] = 0.0
        elif inwards < low:  # the path is not to be followed that far
            bounds[eps] = minimise(X, y, eps).lower_bound
        else:
            walk.down(inwards)
            bounds[eps] = min(value, lower_bound(a, walk.multipliers(inwards), X, y, eps))
    walk.down(low)
    segments = [
        replace(s, low=max(s.low, low), high=min(s.high, high))
        for s in [walk.current, *reversed(walk.passed)]
        if s.low < high or s.low == low
    ]
    return Path(segments, low, high, walk, bounds)


def bound_within(X: ArrayLike, y: ArrayLike, eps: float, norm: float,
                 seconds: float) -> tuple[float, float]:  # fmt: skip
    """A lower bound of F in about so many seconds, and the largest ||w||_1 for which it holds.

    The latter is infinite unless the path from larger eps, on which eps is sought, took too long.
    Where it stands, with multipliers a whose mass is A and whose reach is R (see `lower_bound`),

        F(w, b) >= A - (R - eps A) ||w||_1,

    which is best for the `norm` of a classifier to be compared: the path stops there or at eps.
    """
    X, y = _checked(X, y)
    deadline = time.monotonic() + seconds
    if eps >= START or len(y) <= SMALL:
        return minimise(X, y, eps).lower_bound, np.inf
    start = minimise(X, y, START)
    if start.objective == 0:
        return 0.0, np.inf
    walk = Walk(X, y, start)
    walk.down(
        eps, lambda walk: walk.current.l1 * (1 + eps * norm) > norm or time.monotonic() > deadline
    )
    if walk.ending == SEPARATED:
        return 0.0, np.inf
    mass, reach = _balanced(np.clip(walk.multipliers(walk.current.low), 0, 1 / len(y)), X, y)
    over = (reach - eps * mass) * (1 + 8 * ROUNDING)
    return (
        (mass, np.inf) if over <= 0 else (max(0.0, mass - over * norm) * (1 - 8 * ROUNDING), norm)
    )


def _walk(X, y, high):
    """A walk that starts at eps = `high` or above."""
    if len(y) <= SMALL or high >= 1:
        return Walk(X, y)
    start = minimise(X, y, high)
    while start.objective == 0:
        start = minimise(X, y, max(2 * start.eps, ABOVE_MARGINS))
    return Walk(X, y, start)


def _unit(X):
    """The power of two by which the pixels are divided first: it divides exactly."""
    unit = 2.0 ** np.ceil(np.log2(np.abs(X).max() or 1))
    return 1.0 if X.dtype == np.uint8 or 1 / 16 <= unit <= 16 else unit


def _is_box(ball, X):
    """Whether an l-inf ball is one in the pixel box, which then holds X (n_samples, n_features)."""
    ball = as_ball(ball)
    check_choice("ball", ball.name, (LINF.name, LINF_BOX.name))
    if ball.bounds and X.dtype != np.uint8:
        check_inside(X, ball.bounds)
    return ball.bounds is not None


def _checked(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """X (n_samples, n_features) as an array and y (n_samples,) in float64, or a ValueError."""
    X = arguments.check_inputs(X)
    X = np.ascontiguousarray(X, np.uint8 if X.dtype == np.uint8 else float)
    return X, arguments.check_signs(y, len(X)).astype(float)


def _inner(problem, corner, discount, budget):
    """Multipliers (n_samples,) optimal where weights drop less: strictly feasible at the drop."""
    drop = problem.drop - discount
    drop[-1] = 0
    t = corner.tableau._replace(drop=drop)
    outside = outside_sums(problem, corner.working, corner.below)
    descend(t, problem.unit, outside, budget)
    return multipliers(problem, replace(corner, tableau=t))


def _balanced(a, X, y, box=None):
    """Safe mass (rounded down) and reach (up) of a >= 0 with the heavier class scaled down.

    The reach of the free ball, or, in the pixel box, of the ball of radius `box`.
    """
    positive, negative = a[y > 0].sum(), a[y < 0].sum()
    least = min(positive, negative)
    if least <= 0:
        return 0.0, 0.0
    balanced = a * np.where(y > 0, least / positive, least / negative)
    largest = 1.0 if X.dtype == np.uint8 or box is not None else np.abs(X).max()
    reach = column_sums(X, y, balanced, box or 0.0, box is not None).max()
    mass = 2 * least * (1 - (len(y) + 8) * ROUNDING)
    return mass, reach + 2 * least * largest * rounding(len(y))
