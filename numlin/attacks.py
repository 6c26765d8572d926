"""The strongest attack on a linear classifier, in closed form, and what it leaves standing.

Because the score is linear, the worst perturbation of a ball is known (`numlin.balls`); for the
l-inf ball it is

    delta* = -y eps sign(w)

and no attack, however long it searches, does better. Kept inside the pixel box the worst
perturbed image is clip(x + delta*, 0, 1), again exactly.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from numlin import kernels
from numlin.balls import Ball, as_ball
from numlin.objective import is_error, score
from numlin.support.arguments import (
    Array,
    Radii,
    check_choice,
    check_classifier,
    check_eps,
    check_inputs,
    check_signs,
    pixels,
)


class Attack(NamedTuple):
    """Perturbed inputs (n_samples, n_features) and which of them are errors (n_samples,)."""

    X_adv: Array
    success: Array


def attack(w: ArrayLike, b: float, X: ArrayLike, y: ArrayLike, eps: Radii,
           ball: Ball | str = "linf") -> Attack:  # fmt: skip
    """Worst perturbed inputs of strength `eps` in a ball.

    Parameters
    ----------
    w : (n_features,)
    b : float
    X : (n_samples, n_features)
        Floating point, or uint8 pixels, which count as x / 255.
    y : (n_samples,)
        Labels, -1 or +1.
    eps : float or (n_samples,)
        Radius in pixel units, one for all or one for each.
    ball : str or Ball
        A key of `numlin.balls.BALLS`: "linf", "l2", "l1", or "linf-box", "l2-box", "l1-box",
        whose perturbed inputs stay in the pixel box.

    Returns
    -------
    Attack

    Raises
    ------
    ValueError
        For an argument that is not of that kind, or holds a NaN or an infinity, or inputs that
        are outside of the box themselves.

    Notes
    -----
    `success` is decided by scoring the perturbed inputs again, y (w.x_adv + b) <= 0, not by the
    formula that made them.
    """
    w, b, X, y = _checked(w, b, X, y)
    return _attack(w, b, X, y, check_eps(eps, len(y)), as_ball(ball))


def radii(w: ArrayLike, b: float, X: ArrayLike, y: ArrayLike,
          ball: Ball | str = "linf", engine: str = "numba") -> Array:  # fmt: skip
    """Exact distance of every sample to the decision boundary, (n_samples,).

    The smallest eps at which the worst perturbation of `ball` makes sample i an error: 0 if it
    is one already, infinite if nothing in the pixel box can. Arguments as in `attack`: `X` is
    (n_samples, n_features); `engine`, "numba" or "numpy", inverts the drop in the box.

    In floating point too: `attack` with eps = radius, of the same samples, succeeds on every one
    whose radius is finite, and on no other with any eps. Where the exact distance, rounded, falls
    short of that, the radius is the distance for a margin larger by what rounding can do, at most
    2 (n_features + 4) eps_machine (||w||_1 (max |x| + 1) + |b|).

    See Also
    --------
    numlin.balls.Ball.radius : the mathematics.
    minimal_perturbation : the perturbation of that size.
    """
    check_choice("engine", engine, kernels.ENGINES)
    return _radii(*_checked(w, b, X, y), as_ball(ball), engine)


def minimal_perturbation(w: ArrayLike, b: float, X: ArrayLike, y: ArrayLike,
                         ball: Ball | str = "linf") -> tuple[Array, Array]:  # fmt: skip
    """The smallest perturbation that brings each sample to the boundary, and its size.

    Arguments as in `radii`: `X` is (n_samples, n_features).

    Returns
    -------
    delta : (n_samples, n_features)
        Zero for samples that are errors already or that nothing can bring there.
    radius : (n_samples,)
        `radii`.
    """
    w, b, X, y = _checked(w, b, X, y)
    ball = as_ball(ball)
    radius = _radii(w, b, X, y, ball, "numba")
    return ball.delta(w, X, y, np.where(np.isinf(radius), 0, radius)), radius


def robust_accuracy(radius: ArrayLike, eps: Radii) -> Array | float:
    """Share of samples that no perturbation of size eps turns into an error.

    Parameters
    ----------
    radius : (n_samples,)
        From `radii`.
    eps : float or (n_eps,)
        One or many strengths; one sort of the radii serves all.

    Returns
    -------
    float or (n_eps,)
        mean(radius > eps): at a radius of exactly eps the score is 0, an error.
    """
    radius = np.sort(np.asarray(radius, np.float64))
    if radius.ndim != 1 or not radius.size or np.isnan(radius[-1]):
        raise ValueError(
            f"radius: found shape {radius.shape}, or a NaN, expected (n_samples,) distances"
        )
    beaten = np.searchsorted(radius, check_eps(eps), side="right")
    return (len(radius) - beaten) / len(radius)


def _radii(w, b, X, y, ball, engine):
    """`radii` of arguments that are known to be good."""
    level = kernels.load(engine).water_level if ball.bounds else None
    margin, whole = y * score(w, b, X), ball.whole_box(w, X, y)
    radius = ball.radius(w, X, y, margin, level)
    size = np.abs(w).sum() * (np.abs(X).max(axis=1) + np.minimum(radius, 1)) + abs(b)
    slack = 2 * (len(w) + 4) * np.finfo(margin.dtype).eps * size
    for share in (1 / 64, 1 / 8, 1):
        eps = np.minimum(radius, whole)
        late = ~_attack(w, b, X, y, np.where(np.isinf(eps), 0, eps), ball).success
        if not late.any():
            break
        surely = margin[late] + share * slack[late]
        radius[late] = ball.radius(w, X[late], y[late], surely, level)
    beyond = np.isinf(radius)
    if ball.bounds and beyond.any():
        whole = np.where(np.isinf(whole), 0, whole)
        beyond &= _attack(w, b, X, y, whole, ball).success
        radius = np.where(beyond, whole, radius)
    return radius


def _attack(w, b, X, y, eps, ball):
    """`attack` of arguments that are known to be good."""
    with np.errstate(over="ignore"):  # an infinite score is as wrong as any
        X_adv = X + ball.delta(w, X, y, eps)
        if ball.bounds:
            X_adv = np.clip(X_adv, *ball.bounds)
        return Attack(X_adv, is_error(y * score(w, b, X_adv)))


def _checked(w, b, X, y) -> tuple[Array, float, Array, Array]:
    """The arguments of an attack, known to be good: X (n_samples, n_features) as pixels."""
    w, b = check_classifier(w, b)
    X = check_inputs(X, len(w))
    if X.dtype.kind != "f" or X.dtype.itemsize > 8:
        X = pixels(X, np.float64)
    return w, b, X, check_signs(y, len(X), False)
