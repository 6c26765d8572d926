"""One epoch of SGD, compiled: as fast as the data can be read.

A linear model does two flops per number it reads, so the limit is memory traffic, and the
kernel is fast because it moves little:

- Each row is read from memory once. Its dot product with w brings it into the first-level
  cache; if the sample is active, it is added to the gradient from there.
- Rows are read where they lie, in the order asked for: no shuffled copy, no batch matrix. Raw
  uint8 pixels, a quarter of the bytes of float32, are widened in registers.
- While one row is worked on, the start of the next but one is on its way (`start_reading`): in
  shuffled order the processor cannot guess where that lies.
- A sample that is not active costs one dot product and nothing else, and a batch without an
  active sample leaves w, its norm and the gradient alone.
- w, grad_w and a row together take 9 kB (float32): they stay in the first-level cache.
- The loops over features have no branches, and sums may be re-associated (see jit.py), so that
  the compiler turns them into packed fused multiply-adds, a sum into four independent
  accumulators. With AVX-512 the core of `dot` is four times
  ``vfmadd231ps (X), zmm, zmm``: 64 pixels in eight instructions.

Vectors are in the type of w (float32 or float64), scalars (b, margin, loss) in float64. The
explanation of what is computed is in reference.py, that of skipping rows in screening.py.
"""

import math

import numpy as np

from numlin.kernels import L1, L2, LINF, LINF_BOX, LOGISTIC, SQUARED_HINGE
from numlin.kernels.jit import jit, prefetch, wide_vectors

CACHE_LINE = 64  # bytes
ROWS_AHEAD = 2
BYTES_AHEAD = 1024  # of a row: from there on the processor reads ahead by itself

PATH, REACH, CREDIT, LIMIT = range(4)  # rows of Screen.bounds
ROUND_UP = 1 + 1e-9  # covers millions of float64 roundings


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
def start_reading(X, i):
    """Have the start of X[i] brought into the first-level cache."""
    for j in range(0, min(X.shape[1], BYTES_AHEAD // X.itemsize), CACHE_LINE // X.itemsize):
        prefetch(X, i, j)


@jit
def dot(X, i, w):
    """X[i] . w"""
    wide_vectors()
    real = w.dtype.type
    total = real(0)
    for j in range(w.size):
        total += real(X[i, j]) * w[j]
    return total


@jit
def add(grad_w, step, X, i):
    """grad_w += step * X[i]"""
    wide_vectors()
    real = grad_w.dtype.type
    step = real(step)
    for j in range(grad_w.size):
        grad_w[j] += step * real(X[i, j])


@jit
def sign_times(step, weight):
    """step * sign(weight), with sign(0) = 0"""
    return step if weight > 0 else (-step if weight < 0 else step * 0)


@jit
def clip(pixel, white):
    """The pixel moved into the box [0, white]; a NaN stays."""
    return white * 0 if pixel < 0 else (white if pixel > white else pixel)


@jit
def dot_in_box(X, i, w, shift, white):
    """x_adv . w for the worst x_adv = clip(X[i] - shift * sign(w))"""
    real = w.dtype.type
    shift, white, total = real(shift), real(white), real(0)
    for j in range(w.size):
        total += clip(real(X[i, j]) - sign_times(shift, w[j]), white) * w[j]
    return total


@jit
def add_in_box(grad_w, step, X, i, w, shift, white):
    """grad_w += step * x_adv for the worst x_adv = clip(X[i] - shift * sign(w))"""
    real = w.dtype.type
    shift, white, step = real(shift), real(white), real(step)
    for j in range(w.size):
        grad_w[j] += step * clip(real(X[i, j]) - sign_times(shift, w[j]), white)


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
    real = grad_w.dtype.type
    if ball == LINF:
        for j in range(w.size):
            grad_w[j] += sign_times(real(step), w[j])
    elif ball == L2 and norm > 0:
        step = real(step / norm)
        for j in range(w.size):
            grad_w[j] += step * w[j]
    elif ball == L1:
        for j in range(w.size):
            if abs(w[j]) == norm:
                grad_w[j] += sign_times(real(step), w[j])
                break


@jit
def descend(w, grad_w, rate):
    """w -= rate * grad_w"""
    rate = w.dtype.type(rate)
    for j in range(w.size):
        w[j] -= rate * grad_w[j]


@jit
def descend_and_shrink(w, grad_w, rate, pull):
    """Step along grad_w, then soft-threshold by rate*pull; completes the subgradient in grad_w."""
    real = w.dtype.type
    rate, pull, threshold = real(rate), real(pull), real(rate * pull)
    for j in range(w.size):
        moved = w[j] - rate * grad_w[j]
        grad_w[j] += sign_times(pull, w[j])
        w[j] = rate * 0 if abs(moved) <= threshold else moved - sign_times(threshold, moved)


@jit
def step(w, grad_w, rate, pull, ball, norm, proximal):
    """Complete the subgradient in grad_w by pull * (that of the dual norm), and step against it."""
    if proximal:
        descend_and_shrink(w, grad_w, rate, pull)
    else:
        if pull > 0:
            add_dual_norm(grad_w, pull, w, ball, norm)
        descend(w, grad_w, rate)


@jit
def row_norms(X):
    """||x|| of each row, for pixels in [0, 1]; NaN (never skipped) where a pixel is negative."""
    white = 255.0 if X.itemsize == 1 else 1.0
    norms = np.empty(X.shape[0])
    for i in range(X.shape[0]):
        total, lowest = 0.0, 0.0
        for j in range(X.shape[1]):
            pixel = float(X[i, j])
            total += pixel * pixel
            lowest += pixel - abs(pixel)
        norms[i] = math.sqrt(total) / white if lowest == 0 else np.nan
    return norms


@jit
def rise_and_fall(w, anchor):
    """Norms of the positive and of the negative part of w - anchor, rounded up."""
    rise, fall = 0.0, 0.0
    for j in range(w.size):
        move = float(w[j]) - float(anchor[j])
        up = (move + abs(move)) / 2
        rise += up * up
        fall += (move - up) * (move - up)
    return math.sqrt(rise) * ROUND_UP, math.sqrt(fall) * ROUND_UP


@jit
def move_anchor(screen, w):
    """Add the way from the anchor to w to PATH, and make w the anchor."""
    rise, fall = rise_and_fall(w, screen.anchor)
    screen.bounds[PATH, 0] += rise
    screen.bounds[PATH, 1] += fall
    for j in range(w.size):
        screen.anchor[j] = w[j]


@jit
def update_bounds(screen, w, b, drop):
    """Set REACH, CREDIT and LIMIT to the present w, b and drop of the margins."""
    path, reach, credit, limit = screen.bounds
    rise, fall = rise_and_fall(w, screen.anchor)
    rounding = screen.rounding * dual_norm(w, L2)
    reach[0] = (path[0] + rise) * ROUND_UP + rounding
    reach[1] = (path[1] + fall) * ROUND_UP + rounding
    credit[0] = path[0] - fall - rounding
    credit[1] = path[1] - rise - rounding
    one = 1 + (ROUND_UP - 1) * (1 + abs(b) + drop)
    limit[0], limit[1] = one + drop + b, one + drop - b


@jit
def can_skip(screen, y, i):
    """Whether the robust margin of row i provably exceeds 1."""
    if screen.floor.size == 0:
        return False
    side = int(y[i] > 0)
    floor = screen.floor[i] - screen.row_norm[i] * screen.bounds[REACH, side]
    return floor > screen.bounds[LIMIT, side]


@jit
def plan_visits(visits, screen, y, order, first, last):
    """Fill visits with the positions to read, which are counted, and ROWS_AHEAD further ones."""
    count = 0
    for k in range(first, last):
        visits[count] = k
        count += not can_skip(screen, y, order[k])
    for ahead in range(ROWS_AHEAD):
        visits[count + ahead] = min(last + ahead, order.size - 1)
    return count


@jit
def sgd_epoch(X, y, order, w, b, eps, loss, ball, learning_rate, batch_size, mean, proximal,
              score, grad_w, iterate_sum, screen):
    """One epoch of SGD; changes w, score, grad_w, iterate_sum, screen. See reference.sgd_epoch."""
    white = 255.0 if X.itemsize == 1 else 1.0  # what a white pixel is in X
    screening = screen.floor.size > 0
    if screening:
        move_anchor(screen, w)
    grad_b, loss_sum, mistakes, rows_read = 0.0, 0.0, 0, 0
    visits = np.empty(min(batch_size, order.size) + ROWS_AHEAD, np.int64)
    norm, w_moved = 0.0, True
    for batch in range(learning_rate.size):
        first = batch * batch_size
        last = min(first + batch_size, order.size)
        share = 1.0 / (last - first) if mean else 1.0
        if w_moved:
            for j in range(w.size):
                grad_w[j] = 0
            norm = dual_norm(w, ball) if eps > 0 else 0.0
        if w_moved and screening:
            update_bounds(screen, w, b, eps * norm)
        batch_loss, slope_sum, grad_b, w_moved = 0.0, 0.0, 0.0, False
        count = plan_visits(visits, screen, y, order, first, last)
        rows_read += count
        for visit in range(count):
            start_reading(X, order[visits[visit + ROWS_AHEAD]])
            i = order[visits[visit]]
            label = float(y[i])
            shift = label * eps * white
            clean = dot(X, i, w) / white
            worst = dot_in_box(X, i, w, shift, white) / white if ball == LINF_BOX else clean
            if screening:
                credit = screen.bounds[CREDIT, int(label > 0)]
                screen.floor[i] = label * clean + screen.row_norm[i] * credit
            score[visits[visit] - first] = clean + b
            robust_margin = label * (worst + b) - eps * norm
            value, slope = loss_and_slope(robust_margin, loss)
            batch_loss += value
            mistakes += not robust_margin > 0
            if slope != 0:
                w_moved = True
                slope_sum += slope
                weight = share * slope * label
                grad_b += weight
                if ball == LINF_BOX:
                    add_in_box(grad_w, weight / white, X, i, w, shift, white)
                else:
                    add(grad_w, weight / white, X, i)
        loss_sum += batch_loss
        if w_moved:
            step(w, grad_w, learning_rate[batch], -share * eps * slope_sum, ball, norm, proximal)
            b -= learning_rate[batch] * grad_b
        if iterate_sum.size > 0:
            for j in range(w.size):
                iterate_sum[j] += w[j]
            iterate_sum[w.size] += b
    return b, grad_b, loss_sum, mistakes, rows_read


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
