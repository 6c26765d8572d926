"""One epoch of SGD as loops over numbers: the first step from NumPy to the fast kernel.

`sgd_epoch` is reference.sgd_epoch with its sums written out, for Numba to compile: sample by
sample, pixel by pixel, every row scored once and added once. `compiled.sgd_epoch` does the same in
another order, to wait less for memory; what both need of loss, ball and step is here.

Vectors are in the type of w (float32 or float64), scalars (b, margin, loss) in float64.
"""

import math

import numpy as np

from numlin.kernels import BALL_CODES, LOSS_CODES
from numlin.kernels.jit import jit
from numlin.support.arguments import WHITE

HINGE, SQUARED_HINGE, LOGISTIC = (
    LOSS_CODES[name] for name in ("hinge", "squared-hinge", "logistic")
)
LINF, L2, L1, LINF_BOX = (BALL_CODES[name] for name in ("linf", "l2", "l1", "linf-box"))
ZERO = np.float32(0)  # beside a float32 it leaves a float32, unlike 0


@jit
def loss_and_slope(margin, loss):
    """Loss of one margin and its derivative; a NaN, or an unknown code, comes out as a NaN."""
    gap = 1 - margin
    if loss == HINGE:
        return (0.0, 0.0) if gap <= 0 else (gap, -1.0)
    if loss == SQUARED_HINGE:
        return (0.0, 0.0) if gap <= 0 else (gap * gap, -2 * gap)
    if loss == LOGISTIC:
        decay = math.exp(-abs(margin))
        slope = -decay / (1 + decay) if margin > 0 else -1 / (1 + decay)
        return math.log1p(decay) + max(0.0, -margin), slope
    return np.nan, np.nan


@jit
def sign_times(length, weight):
    """length * sign(weight), with sign(0) = 0"""
    return length if weight > 0 else (-length if weight < 0 else ZERO)


@jit
def clip(pixel, white):
    """The pixel moved into the box [0, white]; a NaN stays."""
    return ZERO if pixel < 0 else (white if pixel > white else pixel)


@jit
def dual_norm(w, ball):
    """How far a margin drops per unit of eps; 0 in the box, where the pixels carry the drop."""
    if ball == LINF_BOX:
        return 0.0
    total = 0.0 if ball in (LINF, L2, L1) else np.nan
    if ball == LINF:
        for j in range(w.size):
            total += abs(w[j])
    elif ball == L2:
        for j in range(w.size):
            total += float(w[j]) * w[j]
        total = math.sqrt(total)
    elif ball == L1:
        for j in range(w.size):
            total = max(total, abs(w[j]))
    return total


@jit
def add_dual_norm(grad_w, pull, w, ball, norm):
    """grad_w += pull * (a subgradient of ||w|| in the norm dual to the ball)"""
    real = grad_w.dtype.type
    if ball == LINF:
        for j in range(w.size):
            grad_w[j] += sign_times(real(pull), w[j])
    elif ball == L2 and norm > 0:
        pull = real(pull / norm)
        for j in range(w.size):
            grad_w[j] += pull * w[j]
    elif ball == L1:
        for j in range(w.size):
            if abs(w[j]) == norm:
                grad_w[j] += sign_times(real(pull), w[j])
                break


@jit
def subgradient_step(w, grad_w, rate):
    """w -= rate * grad_w"""
    rate = w.dtype.type(rate)
    for j in range(w.size):
        w[j] -= rate * grad_w[j]


@jit
def proximal_step(w, grad_w, rate, pull):
    """Step along grad_w, then soft-threshold by rate*pull; completes the subgradient in grad_w."""
    real = w.dtype.type
    rate, pull, threshold = real(rate), real(pull), real(rate * pull)
    for j in range(w.size):
        moved = w[j] - rate * grad_w[j]
        grad_w[j] += sign_times(pull, w[j])
        w[j] = ZERO if abs(moved) <= threshold else moved - sign_times(threshold, moved)


@jit
def update_weights(w, grad_w, rate, pull, ball, norm, proximal):
    """Complete the subgradient in grad_w by pull * (that of the dual norm), and step against it."""
    if proximal:
        proximal_step(w, grad_w, rate, pull)
    else:
        if pull > 0:
            add_dual_norm(grad_w, pull, w, ball, norm)
        subgradient_step(w, grad_w, rate)


@jit
def add_iterate(iterate_sum, w, b):
    """iterate_sum += (w, b), unless it is empty"""
    if iterate_sum.size > 0:
        for j in range(w.size):
            iterate_sum[j] += w[j]
        iterate_sum[w.size] += b


@jit
def sgd_epoch(samples, visits, risk, steps, workspace, b, screen):
    """One epoch of SGD; changes the workspace, skips no row. See reference.sgd_epoch."""
    (X, y), order, (eps, loss, ball) = samples, visits.order, risk
    w, grad_w, score, iterate_sum = workspace
    white = float(WHITE) if X.itemsize == 1 else 1.0
    grad_b, loss_sum, mistakes = 0.0, 0.0, 0
    for batch in range(steps.learning_rate.size):
        first = batch * steps.batch_size
        last = min(first + steps.batch_size, order.size)
        share = 1.0 / (last - first) if steps.mean else 1.0
        norm = dual_norm(w, ball) if eps > 0 else 0.0
        batch_loss, slope_sum, grad_b = 0.0, 0.0, 0.0
        for j in range(w.size):
            grad_w[j] = 0
        for k in range(first, last):
            i, label = order[k], float(y[order[k]])
            shift = label * eps * white if ball == LINF_BOX else 0.0
            clean = worst = 0.0
            for j in range(w.size):
                clean += X[i, j] * w[j]
                worst += clip(X[i, j] - sign_times(shift, w[j]), white) * w[j]
            if ball != LINF_BOX:
                worst = clean
            if score.size > 0:
                score[k - first] = clean / white + b
            margin = label * (worst / white + b) - eps * norm
            value, slope = loss_and_slope(margin, loss)
            batch_loss += value
            mistakes += not margin > 0
            slope_sum += share * slope
            grad_b += share * slope * label
            weight = share * slope * label / white
            for j in range(w.size):
                pixel = float(X[i, j])
                if ball == LINF_BOX:
                    pixel = clip(pixel - sign_times(shift, w[j]), white)
                grad_w[j] += weight * pixel
        loss_sum += batch_loss
        rate = steps.learning_rate[batch]
        update_weights(w, grad_w, rate, -eps * slope_sum, ball, norm, steps.proximal)
        b -= rate * grad_b
        add_iterate(iterate_sum, w, b)
    return b, grad_b, loss_sum, mistakes, order.size
