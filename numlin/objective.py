"""The training objective and its subgradient, in plain NumPy: this file is the explanation.

Regular training minimises the mean loss of the margins; robust training the mean loss of the
margins after the worst perturbation,

    F(w, b) = 1/n sum_i loss(m_i),    m_i = y_i (w.x_i + b) - drop_i(w),

where drop_i is what the ball can take from sample i (see `numlin.balls`). For the hinge loss
and the l-inf ball of radius eps

    F(w, b) = 1/n sum_i max(0, 1 - y_i (w.x_i + b) + eps ||w||_1).

Because a loss decreases with the margin, the worst loss over the ball is the loss of the
smallest margin: the inner maximum is exact, and F is convex (a convex decreasing function of a
concave one). The chain rule gives its subgradient. With c_i = loss'(m_i) / n <= 0,

    grad_w = sum_i c_i (y_i x_i - d drop_i / dw),    grad_b = sum_i c_i y_i.

For hinge and l-inf, c_i = -1/n on the active samples (m_i < 1) and 0 on the rest, so

    grad_w = -1/n sum over active i of (y_i x_i - eps sign(w)).

Read its second term alone: every active sample pulls every weight towards zero by the step
times eps / n, unless the data pull harder. That is how robust training wipes out weak weights.

Kinks. F is piecewise smooth. At m_i = 1 the hinge's derivative is taken as 0, at w_j = 0
sign(0) = 0: each choice is a subgradient, so F(v) >= F(u) + grad.(v - u) holds for every v.
"""

import numpy as np

from numlin.balls import LINF, Ball
from numlin.losses import HINGE, Loss
from numlin.support.arguments import Array


def score(w: Array, b: float, X: Array) -> Array:
    """Scores w.x_i + b: `w` (n_features,), `X` (n_samples, n_features), result (n_samples,)."""
    return X @ w + b


def robust_margin(w: Array, b: float, X: Array, y: Array, eps: float = 0.0,
                  ball: Ball = LINF) -> Array:  # fmt: skip
    """Smallest margin within the ball: m_i = y_i (w.x_i + b) - drop_i(w).

    Parameters
    ----------
    w : (n_features,)
    b : float
    X : (n_samples, n_features)
        Pixels in [0, 1].
    y : (n_samples,)
        Labels, -1 or +1.
    eps : float
        Radius of the ball in pixel units; 0 gives the plain margin.
    ball : Ball
        What the adversary may do.

    Returns
    -------
    (n_samples,)
        Positive exactly when every point of the ball is classified correctly.
    """
    margin = y * score(w, b, X)
    return margin - ball.drop(w, X, y, eps) if eps else margin


def is_error(margin: Array) -> Array:
    """Where margins (n_samples,) are not positive: a score of 0 is an error, and so is a NaN."""
    return ~(margin > 0)


def objective(w: Array, b: float, X: Array, y: Array, eps: float = 0.0,
              loss: Loss = HINGE, ball: Ball = LINF) -> float:  # fmt: skip
    """Mean robust loss F(w, b) = 1/n sum_i loss(y_i (w.x_i + b) - drop_i(w)).

    Parameters
    ----------
    w, b, X, y, eps, ball
        As in `robust_margin`: `X` is (n_samples, n_features), `w` (n_features,).
    loss : Loss
        The margin loss.

    Returns
    -------
    float

    See Also
    --------
    subgradient : its slope.
    """
    return loss.value(robust_margin(w, b, X, y, eps, ball)).mean()


def subgradient(w: Array, b: float, X: Array, y: Array, eps: float = 0.0,
                loss: Loss = HINGE, ball: Ball = LINF) -> tuple[Array, float]:  # fmt: skip
    """A subgradient of `objective` in w and b; arguments as there.

    With c_i = loss'(m_i) / n,

        grad_w = sum_i c_i y_i x_i - sum_i c_i d drop_i / dw,    grad_b = sum_i c_i y_i.

    Returns
    -------
    grad_w : (n_features,)
    grad_b : float

    Notes
    -----
    Exact. Where F is differentiable this is the gradient; at kinks it is the subgradient fixed
    by the conventions at the top of this module.

    See Also
    --------
    numlin.kernels.reference.sgd_epoch : the same two lines inside SGD.
    """
    c = loss.derivative(robust_margin(w, b, X, y, eps, ball)) / len(y)
    grad_w = (c * y) @ X
    if eps:
        grad_w = grad_w - ball.drop_subgradient(w, X, y, eps, c)
    return grad_w, (c * y).sum()


def hessian_product(v_w: Array, v_b: float, w: Array, b: float, X: Array, y: Array,
                    eps: float = 0.0, loss: Loss = HINGE,
                    ball: Ball = LINF) -> tuple[Array, float]:  # fmt: skip
    """The Hessian of `objective` in (w, b), where it has one, times (v_w, v_b); else as there.

    With x_i + delta_i the worst input and dm_i = y_i ((x_i + delta_i).v_w + v_b),

        1/n sum_i loss''(m_i) dm_i y_i (x_i + delta_i, 1) - sum_i c_i (d^2 drop_i / dw^2) v_w,

    whose last term is 0 but for the l2 ball: eps (v_w - u (u.v_w)) / ||w||_2 with u = w / ||w||_2.

    Returns
    -------
    product_w : (n_features,)
    product_b : float

    Raises
    ------
    ValueError
        For the l2 ball in the pixel box, whose water level bends as well.
    """
    margin = robust_margin(w, b, X, y, eps, ball)
    if eps:
        if ball.norm == "l2" and ball.bounds:
            raise ValueError(
                "ball: found l2-box, expected a ball whose drop has second derivatives"
            )
        X = X + ball.delta(w, X, y, eps)
    change = loss.curvature(margin) * (X @ v_w + v_b) / len(y)
    product_w = change @ X
    if eps and ball.norm == "l2":
        u = ball.dual_vector(w)
        c = loss.derivative(margin).mean()
        product_w = product_w - c * eps * (v_w - u * (u @ v_w)) / ball.dual_norm(w)
    return product_w, change.sum()


def kinks(w: Array, b: float, X: Array, y: Array, eps: float = 0.0,
          loss: Loss = HINGE, ball: Ball = LINF) -> dict[str, Array]:  # fmt: skip
    """Quantities whose sign changes are the kinks of `objective`, for `numlin.gradcheck`.

    Arguments as in `objective`: `X` is (n_samples, n_features), `w` (n_features,).

    Returns
    -------
    dict of arrays
        The loss bends where m_i is one of its `kinks`. The l-inf ball bends its drop where
        w_j = 0, the free l2 ball nowhere but at w = 0; the others where the worst delta starts to
        move a pixel or meets the box.
    """
    margin = robust_margin(w, b, X, y, eps, ball)
    found = {f"{kink:g} - margin": kink - margin for kink in loss.kinks}
    if eps and ball.norm == "linf":
        found["w"] = w
    elif eps and ball != Ball("l2"):
        delta = found["delta"] = ball.delta(w, X, y, eps)
        if ball.bounds:
            low, high = ball.bounds
            found["distance to the box"] = np.minimum(X + delta - low, high - X - delta)
    return found


def error_rate(w: Array, b: float, X: Array, y: Array, eps: float = 0.0,
               ball: Ball = LINF) -> float:  # fmt: skip
    """Share of samples with an error in the ball, `is_error`; arguments as in `robust_margin`."""
    return float(np.mean(is_error(robust_margin(w, b, X, y, eps, ball))))
