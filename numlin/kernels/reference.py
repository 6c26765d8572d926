"""One epoch of SGD in plain NumPy: what the compiled kernels compute, to be read."""

import numpy as np

from numlin.balls import BALLS, water_level  # noqa: F401  (the twin of compiled.water_level)
from numlin.kernels import BALL_CODES
from numlin.losses import LOSSES
from numlin.objective import is_error
from numlin.support.arguments import white


def sgd_epoch(samples, visits, risk, steps, workspace, b, screen):
    """One epoch of SGD on the robust loss.

    Each batch steps against a subgradient of the sum (or mean) of its robust losses::

        m_i    = y_i (w.x_i + b) - eps ||w||*             robust margin; ||.||* dual to the ball
        c_i    = loss'(m_i)
        grad_w = sum_i c_i (y_i x_i - eps v),  v in the subdifferential of ||w||*
        grad_b = sum_i c_i y_i
        w <- w - learning_rate * grad_w,  b <- b - learning_rate * grad_b

    Inside the pixel box x_i gives way to the worst input in it,
    x_i* = clip(x_i - y_i eps sign(w), 0, 1), and the terms in eps are gone: by Danskin's theorem
    the subgradient at the worst input is a subgradient of the worst loss.

    The proximal step moves along the data part of grad_w, then soft-thresholds by
    learning_rate * eps * sum_i(-c_i): weights that the ball wipes out become exactly 0.

    Parameters
    ----------
    samples, visits, risk, steps, workspace, screen
        Groups of `numlin.kernels`, which says what is in them; X is (n_samples, n_features).
        This twin takes no notice of `visits.ahead` and `screen`.
    b : float
        Bias.

    Returns
    -------
    b, grad_b : float
        The new bias; its gradient in the last batch.
    loss_sum : float
        Sum of the robust losses, each at the time its batch was visited.
    mistakes : int
        How many robust margins were not positive then (a NaN counts as a mistake).
    rows_read : int
        n_visits less the rows skipped.

    See Also
    --------
    numlin.kernels.plain.sgd_epoch : the same as loops over numbers, compiled.
    numlin.kernels.compiled.sgd_epoch : the same, fast.
    """
    (X, y), order, eps = samples, visits.order, risk.eps
    loss, ball = list(LOSSES.values())[risk.loss], BALLS[list(BALL_CODES)[risk.ball]]
    w, grad_w, score, iterate_sum = workspace
    grad_b, loss_sum, mistakes = 0.0, 0.0, 0
    for batch, rate in enumerate(steps.learning_rate):
        rows = order[batch * steps.batch_size : (batch + 1) * steps.batch_size]
        x, label = X[rows] / w.dtype.type(white(X)), y[rows].astype(w.dtype)
        share = 1 / len(rows) if steps.mean else 1.0
        if score.size:
            score[: len(rows)] = x @ w + b

        drop, drop_slope = 0.0, 0.0
        if ball.bounds:
            x = x + ball.delta(w, x, label, eps)
        else:
            drop, drop_slope = eps * ball.dual_norm(w), eps * ball.dual_vector(w)
        robust_margin = label * (x @ w + b) - drop
        loss_sum += float(loss.value(robust_margin).sum())
        mistakes += int(np.count_nonzero(is_error(robust_margin)))

        c = share * loss.derivative(robust_margin)
        data_grad, pull = (c * label) @ x, -c.sum() * drop_slope
        grad_w[:] = data_grad + pull
        grad_b = float(c @ label)
        if steps.proximal:
            w -= rate * data_grad
            w[:] = np.sign(w) * np.maximum(np.abs(w) - rate * -c.sum() * eps, 0)
        else:
            w -= rate * grad_w
        b -= rate * grad_b
        if iterate_sum.size:
            iterate_sum += np.append(w, b)
    return b, grad_b, loss_sum, mistakes, len(order)
