"""One epoch of SGD, compiled: as fast as the data can be read.

A linear model does two flops per number it reads, so the limit is memory traffic, and the
kernel is fast because it moves little:

- Each row is read from memory once. Its dot product with w brings it into the first-level
  cache; if the sample is active, it is added to the gradient from there.
- Rows are read where they lie, in the order asked for: no shuffled copy, no batch matrix. Raw
  uint8 pixels, a quarter of the bytes of float32, are widened in registers.
- A sample that is not active costs one dot product and nothing else, and a batch without an
  active sample leaves w, its norm and the gradient alone.
- w, grad_w and a row together take 9 kB (float32): they stay in the first-level cache.
- The loops over features have no branches, and sums may be re-associated (see jit.py): the
  compiler makes packed fused multiply-adds of them, a sum in four independent accumulators.

Vectors are in the type of w (float32 or float64), scalars (b, margin, loss) in float64.
"""

import math

import numpy as np

from numlin.kernels import L1, L2, LINF, LINF_BOX, LOGISTIC, SQUARED_HINGE
from numlin.kernels.jit import jit


@jit
def loss_and_slope(margin, loss):
    """Loss of one margin and its derivative; a NaN comes out as a NaN."""
    if loss == LOGISTIC:
        decay = math.exp(-abs(margin))
        slope = -decay / (1 + decay) if margin > 0 else -1 / (1 + decay)
        return math.log1p(decay) + max(0.0, -margin), slope
    gap = 1 - margin
    if gap <= 0:
        return 0.0, 0.0
    if loss == SQUARED_HINGE:
        return gap * gap, -2 * gap
    return gap, -1.0


@jit
def dot(x, w):
    """x . w"""
    real = w.dtype.type
    total = real(0)
    for j in range(w.size):
        total += real(x[j]) * w[j]
    return total


@jit
def add(grad_w, step, x):
    """grad_w += step * x"""
    real = grad_w.dtype.type
    step = real(step)
    for j in range(grad_w.size):
        grad_w[j] += step * real(x[j])


@jit
def sign_times(step, weight):
    """step * sign(weight), with sign(0) = 0"""
    return step if weight > 0 else (-step if weight < 0 else step * 0)


@jit
def clip(pixel, white):
    """The pixel moved into the box [0, white]; a NaN stays."""
    return white * 0 if pixel < 0 else (white if pixel > white else pixel)


@jit
def dot_in_box(x, w, shift, white):
    """x_adv . w for the worst x_adv = clip(x - shift * sign(w))"""
    real = w.dtype.type
    shift, white, total = real(shift), real(white), real(0)
    for j in range(w.size):
        total += clip(real(x[j]) - sign_times(shift, w[j]), white) * w[j]
    return total


@jit
def add_in_box(grad_w, step, x, w, shift, white):
    """grad_w += step * x_adv for the worst x_adv = clip(x - shift * sign(w))"""
    real = w.dtype.type
    shift, white, step = real(shift), real(white), real(step)
    for j in range(w.size):
        grad_w[j] += step * clip(real(x[j]) - sign_times(shift, w[j]), white)


@jit
def dual_norm(w, ball):
    """How far a margin drops per unit of eps; 0 in the box, where the pixels carry the drop."""
    total = 0.0
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
def add_dual_norm(grad_w, step, w, ball, norm):
    """grad_w += step * (a subgradient of ||w|| in the norm dual to the ball)"""
    step = grad_w.dtype.type(step)
    if ball == LINF:
        for j in range(w.size):
            grad_w[j] += sign_times(step, w[j])
    elif ball == L2 and norm > 0:
        add(grad_w, step / norm, w)
    elif ball == L1:
        for j in range(w.size):
            if abs(w[j]) == norm:
                grad_w[j] += sign_times(step, w[j])
                break


@jit
def descend(w, grad_w, rate):
    """w -= rate * grad_w"""
    rate = w.dtype.type(rate)
    for j in range(w.size):
        w[j] -= rate * grad_w[j]


@jit
def step_proximal(w, grad_w, rate, pull):
    """Step along grad_w, then soft-threshold by rate*pull; leaves the full subgradient in grad_w."""
    real = w.dtype.type
    rate, pull, threshold = real(rate), real(pull), real(rate * pull)
    for j in range(w.size):
        moved = w[j] - rate * grad_w[j]
        grad_w[j] += sign_times(pull, w[j])
        w[j] = rate * 0 if abs(moved) <= threshold else moved - sign_times(threshold, moved)


@jit
def sgd_epoch(X, y, order, w, b, eps, loss, ball, learning_rate, batch_size, mean, proximal,
              score, grad_w, iterate_sum):
    """One epoch of SGD; changes w, score, grad_w, iterate_sum. Twin: reference.sgd_epoch."""
    white = 255.0 if X.itemsize == 1 else 1.0  # what a white pixel is in X
    loss_sum, mistakes, grad_b, norm = 0.0, 0, 0.0, 0.0
    w_moved, grad_is_zero = True, False
    for batch in range(learning_rate.size):
        rows = order[batch * batch_size:(batch + 1) * batch_size]
        share = 1.0 / rows.size if mean else 1.0
        if w_moved and eps > 0:
            norm = dual_norm(w, ball)
        w_moved, batch_loss, slope_sum, grad_b = False, 0.0, 0.0, 0.0
        for k in range(rows.size):
            x, label = X[rows[k]], float(y[rows[k]])
            shift = label * eps * white
            clean = dot(x, w) / white
            worst = dot_in_box(x, w, shift, white) / white if ball == LINF_BOX else clean
            score[k] = clean + b
            robust_margin = label * (worst + b) - eps * norm
            mistakes += not robust_margin > 0
            value, slope = loss_and_slope(robust_margin, loss)
            batch_loss += value
            if slope != 0:
                if not (w_moved or grad_is_zero):
                    grad_w[:] = 0
                w_moved = True
                slope_sum += slope
                step = share * slope * label
                grad_b += step
                if ball == LINF_BOX:
                    add_in_box(grad_w, step / white, x, w, shift, white)
                else:
                    add(grad_w, step / white, x)
        loss_sum += batch_loss
        rate = learning_rate[batch]
        if w_moved:
            pull = -share * eps * slope_sum
            if proximal:
                step_proximal(w, grad_w, rate, pull)
            else:
                if pull > 0:
                    add_dual_norm(grad_w, pull, w, ball, norm)
                descend(w, grad_w, rate)
            b -= rate * grad_b
        elif not grad_is_zero:
            grad_w[:] = 0
        grad_is_zero = not w_moved
        if iterate_sum.size > 0:
            iterate_sum[:-1] += w
            iterate_sum[-1] += b
    return b, grad_b, loss_sum, mistakes


@jit
def water_level(full_at, slope, target):
    """Level at which vessels hold `target`, by Newton's method. Twin: numlin.balls.water_level.

    The content is concave and piecewise linear in the level, so Newton's steps from 0 never
    overshoot and end, exactly, on the first piece that is met twice.
    """
    level = np.zeros(target.size)
    for i in range(target.size):
        content, before, pieces = 0.0, -1.0, 0.0
        for j in range(slope.size):
            content += slope[j] * full_at[i, j]
        if content < target[i]:
            level[i] = np.inf
        while content >= target[i] > 0:
            held, pieces = 0.0, 0.0
            for j in range(slope.size):
                held += slope[j] * min(full_at[i, j], level[i])
                pieces += slope[j] * (full_at[i, j] > level[i])
            if pieces == before or pieces == 0 or held >= target[i]:
                break
            level[i] += (target[i] - held) / pieces
            before = pieces
    return level
