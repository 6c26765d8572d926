"""One epoch of SGD in plain NumPy: what the compiled kernel computes, to be read."""

import numpy as np

from numlin import kernels
from numlin.balls import BALLS, water_level  # noqa: F401  (the twin of compiled.water_level)
from numlin.losses import LOSSES


def sgd_epoch(
    X,
    y,
    order,
    ahead,
    w,
    b,
    eps,
    loss,
    ball,
    learning_rate,
    batch_size,
    mean,
    proximal,
    score,
    grad_w,
    iterate_sum,
    screen,
):
    """One epoch of SGD on the robust loss.

    Each batch steps against a subgradient of the sum (or mean) of its robust losses::

        m_i    = y_i (w.x_i + b) - eps ||w||*             robust margin; ||.||* dual to the ball
        c_i    = loss'(m_i)
        grad_w = sum_i c_i (y_i x_i - eps v),  v in the subdifferential of ||w||*
        grad_b = sum_i c_i y_i
        w <- w - learning_rate * grad_w,  b <- b - learning_rate * grad_b

    Inside the pixel box (ball LINF_BOX), x_i gives way to the worst input in it,
    x_i* = clip(x_i - y_i eps sign(w), 0, 1), and the terms in eps are gone: by Danskin's theorem
    the subgradient at the worst input is a subgradient of the worst loss.

    The proximal step (ball LINF only) moves along the data part of grad_w, then soft-thresholds
    by learning_rate * eps * sum_i(-c_i): weights that the ball wipes out become exactly 0.

    Parameters
    ----------
    X : (n_samples, n_features) float64, float32, or uint8
        Pixels in [0, 1]; uint8 counts in 255ths.
    y : (n_samples,) int8
        Labels, -1 or +1.
    order : (n_visits,) int64
        Rows of X in the order to visit. Called slice by slice, cut between batches, the
        result is the same bit for bit.
    ahead : (n,) int64, or (0,)
        Rows of X to start reading, one at each visit, the last one from then on; a hint that
        changes no result. (0,): what is visited a few visits later. This twin takes no notice.
    w : (n_features,) float32 or float64
        Weights, changed in place.
    b : float
        Bias.
    eps : float
        Radius of the ball, in pixel units.
    loss, ball : int
        A code of `numlin.kernels`.
    learning_rate : (n_batches,) float64
        Step size of each batch; n_batches = ceil(n_visits / batch_size).
    batch_size : int
        The last batch may be shorter.
    mean : bool
        Divide by the length of the batch; else sum.
    proximal : bool
        Soft-threshold instead of stepping along eps v.
    score : (batch_size,) like w
        On return, w.x_i + b of the last batch (its first entries if it was shorter); rows that
        were skipped leave their entry as it was.
    grad_w : (n_features,) like w
        On return, the subgradient of the last batch, before its step.
    iterate_sum : (n_features + 1,) float64, or (0,)
        (w, b) after each batch is added to it; (0,) if no averaged iterate is wanted.
    screen : numlin.kernels.Screen
        Lets the compiled kernel skip rows that provably contribute nothing, which changes no
        result. This twin reads every row and takes no notice of it.

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
    numlin.kernels.compiled.sgd_epoch : the same, compiled.
    """
    loss, ball = LOSSES[kernels.LOSSES[loss]], BALLS[kernels.BALLS[ball]]
    white = 255 if X.dtype == np.uint8 else 1
    grad_b, loss_sum, mistakes = 0.0, 0.0, 0
    for batch, rate in enumerate(learning_rate):
        rows = order[batch * batch_size : (batch + 1) * batch_size]
        x, label = X[rows] / w.dtype.type(white), y[rows].astype(w.dtype)
        share = 1 / len(rows) if mean else 1.0
        score[: len(rows)] = x @ w + b

        drop, drop_slope = 0.0, 0.0
        if ball.bounds:
            x = x + ball.delta(w, x, label, eps)
        else:
            drop, drop_slope = eps * ball.dual_norm(w), eps * ball.dual_vector(w)
        robust_margin = label * (x @ w + b) - drop
        loss_sum += float(loss.value(robust_margin).sum())
        mistakes += int(np.count_nonzero(~(robust_margin > 0)))

        c = share * loss.derivative(robust_margin)
        data_grad, pull = (c * label) @ x, -c.sum() * drop_slope
        grad_w[:] = data_grad + pull
        grad_b = float(c @ label)
        if proximal:
            w -= rate * data_grad
            w[:] = np.sign(w) * np.maximum(np.abs(w) - rate * -c.sum() * eps, 0)
        else:
            w -= rate * grad_w
        b -= rate * grad_b
        if iterate_sum.size:
            iterate_sum += np.append(w, b)
    return b, grad_b, loss_sum, mistakes, len(order)
