"""The strongest attack on a linear classifier, in closed form, and what it leaves standing.

Because the score is linear, the worst perturbation of a ball is known (`numlin.balls`); for the
l-inf ball it is

    delta* = -y eps sign(w)

and no attack, however long it searches, does better. Kept inside the pixel box the worst
perturbed image is clip(x + delta*, 0, 1), again exactly.
"""

from typing import NamedTuple

import numpy as np

from numlin import kernels
from numlin.balls import PIXEL_BOX, Ball
from numlin.objective import score
from numlin.validation import check_eps, check_inputs


class Attack(NamedTuple):
    """Perturbed inputs (n_samples, n_features) and which of them are errors (n_samples,).

    `X_adv` may leave the pixel box, `X_adv_box` is the worst image inside it.
    """

    X_adv: np.ndarray
    success: np.ndarray
    X_adv_box: np.ndarray
    success_box: np.ndarray


def attack(w, b, X, y, eps, norm="linf"):
    """Worst perturbed inputs of strength `eps`, free and inside the pixel box.

    Parameters
    ----------
    w : (n_features,)
    b : float
    X : (n_samples, n_features)
        Pixels in [0, 1].
    y : (n_samples,)
        Labels, -1 or +1.
    eps : float or (n_samples,)
        Radius in pixel units, one for all or one for each.
    norm : "linf", "l2" or "l1"

    Returns
    -------
    Attack

    Notes
    -----
    `success` is decided by scoring the perturbed inputs again, y (w.x_adv + b) <= 0, not by the
    formula that made them.
    """
    X, eps = check_inputs(X, len(w)), check_eps(eps)
    worst = [X + Ball(norm, bounds).delta(w, X, y, eps) for bounds in (None, PIXEL_BOX)]
    X_adv, X_adv_box = worst[0], np.clip(worst[1], *PIXEL_BOX)
    return Attack(
        X_adv, y * score(w, b, X_adv) <= 0, X_adv_box, y * score(w, b, X_adv_box) <= 0
    )


def radii(w, b, X, y, ball, engine="numba"):
    """Exact distance of every sample to the decision boundary, (n_samples,).

    The smallest eps at which the worst perturbation of `ball` makes sample i an error: 0 if it
    is one already, infinite if nothing in the pixel box can. `X` is (n_samples, n_features).

    See Also
    --------
    numlin.balls.Ball.radius : the mathematics.
    minimal_perturbation : the perturbation of that size.
    """
    X = check_inputs(X, len(w))
    water_level = kernels.load(engine).water_level if ball.bounds else None
    return ball.radius(w, X, y, y * score(w, b, X), water_level)


def minimal_perturbation(w, b, X, y, ball):
    """The smallest perturbation that brings each sample to the boundary, and its size.

    Returns
    -------
    delta : (n_samples, n_features)
        Zero for samples that are errors already or that nothing can bring there.
    radius : (n_samples,)
        `radii`.
    """
    radius = radii(w, b, X, y, ball)
    return ball.delta(w, X, y, np.where(np.isinf(radius), 0, radius)), radius


def robust_accuracy(radius, eps):
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
    beaten = np.searchsorted(np.sort(radius), check_eps(eps), side="right")
    return (len(radius) - beaten) / len(radius)
