"""One epoch of SGD, compiled: as fast as the data can be read.

A linear model does two flops per number it reads, so the limit is memory traffic, and the
kernel is fast because it moves little and never waits for one thing at a time:

- Each row is read from memory once. The rows of a batch are scored in blocks that a
  second-level cache holds, and the active ones are added to the gradient from there.
- Rows are read where they lie, in the order asked for: no shuffled copy, no batch matrix. Raw
  uint8 pixels, a quarter of the bytes of float32, are widened in registers; most need not even be
  that, as exact sums of integers show that their samples are not active (integers.py).
- Four rows are scored at a time (`dot_four`): one reading of w serves them all, and four rows
  come from memory side by side.
- In shuffled order the processor cannot guess where the next row lies. `start_reading` asks for
  it eight rows ahead, as much of it as suits the processor, into the second-level cache. Asked for
  in the first-level cache, float32 rows take half as long again, as if part of what they ask for
  were refused. Where short blocks of the data are shuffled (sgd.epoch_order), the next one is read
  in file order, as memory likes best, while the present one is visited out of the cache.
- A sample that is not active costs one dot product and nothing else, and a batch without an
  active sample leaves w, its norm and the gradient alone. So scores stay valid until w moves: of
  batches shorter than LOOK_AHEAD, several are scored together, and what is left when w moves is
  scored again, from the cache.
- The loops over features have no branches, and sums may be re-associated (see jit.py), so that
  the compiler turns them into packed fused multiply-adds, a sum into four independent
  accumulators. With AVX-512 the core of `dot_four` is sixteen times
  ``vfmadd231ps (X), zmm, zmm``, four rows of 64 pixels, and four loads of w.

All four sums of `dot_four` are taken in the same order, so how rows are grouped changes no bit of
the result. `dot` may round otherwise: which of the two scores a row depends on the arguments of
the epoch alone, never on the state of training.

`python -m bench ladder` climbs from plain.py to here and says what each of these gains on the
machine at hand.

What is computed is explained in reference.py, and written out loop by loop in plain.py; how raw
pixels are summed in integers, in integers.py, and how rows are skipped, in screening.py.
"""

import numpy as np

from numlin.kernels import LOSS_CODES
from numlin.kernels.integers import (
    MULTIPLIES_BYTES,
    dot_four_bytes,
    fits_in_integers,
    new_rounded,
    round_weights,
    unit_for,
)
from numlin.kernels.jit import PROCESSOR, jit, prefetch, wide_vectors
from numlin.kernels.plain import (
    LINF_BOX,
    add_iterate,
    clip,
    dual_norm,
    loss_and_slope,
    sign_times,
    update_weights,
)
from numlin.kernels.screening import can_skip, move_anchor, note_floor, update_bounds
from numlin.losses import LOSSES
from numlin.support.arguments import CACHE_LINE, WHITE

ROWS_AHEAD = 8  # 25 kB of float32; anything from 4 to 24 does as well
# How much of a row is asked for, by a rule on the processor's name. Measured on MNIST in shuffled
# order: asking for whole rows gains a third on Zen 4 and costs a third on Granite Rapids, whose
# own read-ahead takes over after two cache lines; rows of 1 kB it takes well as a whole. Others,
# Arm among them, are asked for the start only, which gained or was neutral on both. The machine
# code on disk is kept by processor, and no result depends on it.
SHORT_ROW = 1024  # bytes
BYTES_AHEAD = 4096 if PROCESSOR.startswith("znver") else 2 * CACHE_LINE
GROUP = 4  # rows scored at a time: 16 accumulators, which AVX-512 has registers for
BLOCK, BLOCK_BYTES = 128, 2**19  # most that is scored before any of it is added
LOOK_AHEAD = 32  # rows scored together where batches are shorter: more are wasted when w moves
RENEW_UNIT = 16  # roundings of w after which the largest weight is looked for anew
ROUND_FROM = 16  # rows in a block: from here on integers are worth rounding w
FEW = 4  # while more than one row in so many is active, integers save nothing

# Codes of the losses that a margin of 1 or more costs nothing.
FLAT = tuple(code for name, code in LOSS_CODES.items() if LOSSES[name].flat)


@jit
def bytes_ahead(X):
    """How much of a row of X is asked for: all of a short row, else at most BYTES_AHEAD."""
    n_bytes = X.shape[1] * X.itemsize
    return min(n_bytes, BYTES_AHEAD) if n_bytes > SHORT_ROW else n_bytes


@jit
def start_reading(X, i):
    """Have the start of X[i] brought into the second-level cache."""
    n_bytes = bytes_ahead(X)
    for byte in range(0, n_bytes, CACHE_LINE):
        prefetch(X, i, byte)
    prefetch(X, i, n_bytes - 1)  # a row that starts within a line ends within one more


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
def dot_four(X, g, h, i, k, w):
    """X[g] . w, X[h] . w, X[i] . w and X[k] . w, each summed in the same order."""
    wide_vectors()
    real = w.dtype.type
    of_g = of_h = of_i = of_k = real(0)
    for j in range(w.size):
        of_g += real(X[g, j]) * w[j]
        of_h += real(X[h, j]) * w[j]
        of_i += real(X[i, j]) * w[j]
        of_k += real(X[k, j]) * w[j]
    return of_g, of_h, of_i, of_k


@jit
def add(grad_w, weight, X, i):
    """grad_w += weight * X[i]"""
    wide_vectors()
    real = grad_w.dtype.type
    weight = real(weight)
    for j in range(grad_w.size):
        grad_w[j] += weight * real(X[i, j])


@jit
def dot_in_box(X, i, w, shift, white):
    """x_adv . w for the worst x_adv = clip(X[i] - shift * sign(w))"""
    real = w.dtype.type
    shift, white, total = real(shift), real(white), real(0)
    for j in range(w.size):
        total += clip(real(X[i, j]) - sign_times(shift, w[j]), white) * w[j]
    return total


@jit
def add_in_box(grad_w, weight, X, i, w, shift, white):
    """grad_w += weight * x_adv for the worst x_adv = clip(X[i] - shift * sign(w))"""
    real = w.dtype.type
    shift, white, weight = real(shift), real(white), real(weight)
    for j in range(w.size):
        grad_w[j] += weight * clip(real(X[i, j]) - sign_times(shift, w[j]), white)


# Rows that are scored together, in a block, and what is known of them. One array: Numba passes
# each of an array's seven numbers, and counts its users, at every call.
VISIT = np.dtype(
    (
        np.record,
        [
            ("position", np.int64),  # in the order
            ("row", np.int64),  # of X
            ("ahead", np.int64),  # the row to start reading at this visit
            ("label", np.float64),
            ("clean", np.float64),  # the dot product with w, in units of X
            ("margin", np.float64),  # the robust one
        ],
    )
)


@jit
def choose_rows(block, y, visits, first, last, screen):
    """Fill the block with what must be read of order[first:last], and count it; rows ahead too."""
    order, ahead = visits
    count = 0
    for k in range(first, last):
        visit = block[count]
        visit.position, visit.row, visit.label = k, order[k], y[order[k]]
        count += not (screen.floor.size > 0 and can_skip(screen, order[k], visit.label))
    for k in range(ROWS_AHEAD):
        block[count + k].row = order[min(last + k, order.size - 1)]
    for k in range(count):
        if ahead.size > 0:
            block[k].ahead = ahead[min(block[k].position, ahead.size - 1)]
        else:
            block[k].ahead = block[k + ROWS_AHEAD].row
    return count


@jit
def score_rows(block, count, X, w, singly, touch):
    """Set `clean` to X[i] . w in the first `count` of the block, and start reading those ahead.

    To `touch` a row is to read a pixel of it, which has a mapped file's page fetched, as no hint
    would.
    """
    last = count - 1
    at_a_time = 1 if singly else GROUP
    for k in range(0, count, at_a_time):
        for visit in range(k, min(k + at_a_time, count)):
            if touch:
                block[-1].clean = X[block[visit].ahead, 0]
            start_reading(X, block[visit].ahead)
        if singly:
            block[k].clean = dot(X, block[k].row, w)
        else:
            g, h, i, j = k, min(k + 1, last), min(k + 2, last), min(k + 3, last)
            scores = dot_four(X, block[g].row, block[h].row, block[i].row, block[j].row, w)
            block[g].clean, block[h].clean, block[i].clean, block[j].clean = scores


@jit
def find_active(block, active, count, b, drop, white, all_of_them):
    """Set `margin`, list the places of the active rows, and count them: a NaN is active, too."""
    n_active = 0
    for k in range(count):
        visit = block[k]
        visit.margin = visit.label * (visit.clean / white + b) - drop
        active[n_active] = k
        n_active += all_of_them or not visit.margin >= 1
    return n_active


@jit
def find_doubtful(block, active, count, X, rounded, unit, b, drop, white, touch):
    """List and count rows whose margin may be below 1, by their sums in integers.

    `unit` is that of the weights in `rounded`, `drop` includes what rounding may have added. Rows
    ahead are read as in `score_rows`.
    """
    if rounded is None:
        return 0
    scale, n_bytes, last, n_doubtful = unit / white, bytes_ahead(X), count - 1, 0
    for k in range(0, count, GROUP):
        g, h, i, j = (
            block[k],
            block[min(k + 1, last)],
            block[min(k + 2, last)],
            block[min(k + 3, last)],
        )
        if touch:
            block[-1].clean = X[g.ahead, 0] + X[h.ahead, 0] + X[i.ahead, 0] + X[j.ahead, 0]
        of_g, of_h, of_i, of_j = dot_four_bytes(
            X, g.row, h.row, i.row, j.row, rounded, g.ahead, h.ahead, i.ahead, j.ahead, n_bytes
        )
        active[n_doubtful] = k
        n_doubtful += not g.label * (scale * of_g + b) - drop >= 1
        active[n_doubtful] = k + 1
        n_doubtful += k + 1 <= last and not h.label * (scale * of_h + b) - drop >= 1
        active[n_doubtful] = k + 2
        n_doubtful += k + 2 <= last and not i.label * (scale * of_i + b) - drop >= 1
        active[n_doubtful] = k + 3
        n_doubtful += k + 3 <= last and not j.label * (scale * of_j + b) - drop >= 1
    return n_doubtful


@jit
def score_doubtful(block, active, n_doubtful, X, w, b, drop, white, rounded):
    """Score the doubtful rows in floating point, keep the active ones in the list, count them."""
    if rounded is None:
        return 0
    last, n_active = n_doubtful - 1, 0
    for m in range(0, n_doubtful, GROUP):
        g, h = block[active[m]], block[active[min(m + 1, last)]]
        i, j = block[active[min(m + 2, last)]], block[active[min(m + 3, last)]]
        g.clean, h.clean, i.clean, j.clean = dot_four(X, g.row, h.row, i.row, j.row, w)
        for place in range(m, min(m + GROUP, n_doubtful)):
            visit = block[active[place]]
            visit.margin = visit.label * (visit.clean / white + b) - drop
            active[n_active] = active[place]
            n_active += not visit.margin >= 1
    return n_active


@jit
def worsen_in_box(block, count, X, w, b, eps, white):
    """Replace `margin` by that of the worst input in the pixel box."""
    for k in range(count):
        visit = block[k]
        shift = visit.label * eps * white
        worst = dot_in_box(X, visit.row, w, shift, white) / white
        visit.margin = visit.label * (worst + b)


@jit
def note_scores(block, count, b, white, tail, score, screen):
    """Keep the scores of the last batch, which starts at `tail`, and the floors of all rows."""
    for k in range(count):
        visit = block[k]
        if visit.position >= tail:
            score[visit.position - tail] = visit.clean / white + b
        if screen.floor.size > 0:
            note_floor(screen, visit.row, visit.label, visit.clean / white)


@jit
def sgd_epoch(samples, visits, risk, steps, workspace, b, screen):
    """One epoch of SGD; changes the workspace and the screen. See reference.sgd_epoch.

    Three places in the order move along, and `used` counts the active rows of the block used up:

        first          done                scored
          |--- in grad_w --|--- in the block ---|--- not looked at yet ---
          |------------- batch -------------|

    When w moves, at the end of a batch, what is in the block beyond it is void and scored again.
    """
    (X, y), order, (eps, loss, ball) = samples, visits.order, risk
    learning_rate, batch_size, mean, proximal = steps
    w, grad_w, score, iterate_sum = workspace
    white = float(WHITE) if X.itemsize == 1 else 1.0  # what a white pixel is in X
    screening, boxed, touch = screen.floor.size > 0, ball == LINF_BOX, visits.ahead.size > 0
    # In the box the margin that counts is yet to come when a block is scored.
    all_of_them = boxed or loss not in FLAT
    # Where a batch of a few is likely to move w, what is scored beside it is likely to be wasted.
    singly = GROUP == 1 or (batch_size < GROUP and (eps > 0 or loss not in FLAT))
    n_visits = min(order.size, learning_rate.size * batch_size)
    tail = n_visits if score.size == 0 else (learning_rate.size - 1) * batch_size
    # Rounding w must be worth it, and the scores not be wanted.
    in_integers = (
        MULTIPLIES_BYTES and fits_in_integers(X) and not (screening or all_of_them or singly)
    )
    block_size = max(GROUP, min(BLOCK, BLOCK_BYTES // (X.shape[1] * X.itemsize)))
    if screening:
        move_anchor(screen, w)
    block = np.empty(BLOCK + ROWS_AHEAD, VISIT)
    active, rounded = np.empty(BLOCK + GROUP, np.int64), new_rounded(X)
    unit, slack, stale, roundings, few_active = 1.0, 0.0, True, 0, True
    grad_b, loss_sum, mistakes, skipped = 0.0, 0.0, 0, 0
    norm, drop, w_moved = 0.0, 0.0, True
    scored, look_ahead, n_active, used = 0, 0, 0, 0
    for batch in range(learning_rate.size):
        first = batch * batch_size
        last = min(first + batch_size, n_visits)
        share = 1.0 / (last - first) if mean else 1.0
        if w_moved:
            for j in range(w.size):
                grad_w[j] = 0
            norm = dual_norm(w, ball) if eps > 0 else 0.0
            drop = eps * norm
            if screening:
                update_bounds(screen, w, b, drop)
            stale = True
            scored, look_ahead, n_active, used = first, 1 if singly else GROUP, 0, 0
        batch_loss, slope_sum, grad_b, w_moved = 0.0, 0.0, 0.0, False
        done = first
        while done < last:
            if done == scored:
                if screening or w_moved:
                    look_ahead = 0  # further rows may be skipped, or must be scored again
                scored = min(scored + block_size, max(last, first + look_ahead), n_visits)
                look_ahead = min(2 * look_ahead, LOOK_AHEAD)
                count = choose_rows(block, y, visits, done, scored, screen)
                worth_it = few_active and not (stale and scored - done < ROUND_FROM)
                if in_integers and worth_it and scored <= tail:
                    if stale:
                        if roundings % RENEW_UNIT == 0:
                            unit = unit_for(w)
                        slack = round_weights(w, 1 + abs(b) + drop, unit, rounded)
                        roundings, stale = roundings + 1, False
                    n_active = find_doubtful(
                        block, active, count, X, rounded, unit, b, drop + slack, white, touch
                    )
                    n_active = score_doubtful(
                        block, active, n_active, X, w, b, drop, white, rounded
                    )
                else:
                    score_rows(block, count, X, w, singly, touch)
                    n_active = find_active(block, active, count, b, drop, white, all_of_them)
                few_active = FEW * n_active <= count
                if boxed:
                    worsen_in_box(block, count, X, w, b, eps, white)
                skipped += scored - done - count
                if screening or scored > tail:
                    note_scores(block, count, b, white, tail, score, screen)
                used = 0
            done = min(last, scored)
            while used < n_active and block[active[used]].position < done:
                visit = block[active[used]]
                i, label = visit.row, visit.label
                value, slope = loss_and_slope(visit.margin, loss)
                if slope != 0:
                    w_moved = True
                    batch_loss += value
                    mistakes += not visit.margin > 0
                    slope_sum += slope
                    weight = share * slope * label
                    grad_b += weight
                    if boxed:
                        add_in_box(grad_w, weight / white, X, i, w, label * eps * white, white)
                    else:
                        add(grad_w, weight / white, X, i)
                used += 1
        loss_sum += batch_loss
        if w_moved:
            rate, pull = learning_rate[batch], -share * eps * slope_sum
            update_weights(w, grad_w, rate, pull, ball, norm, proximal)
            b -= rate * grad_b
        if iterate_sum.size > 0:
            add_iterate(iterate_sum, w, b)
    return b, grad_b, loss_sum, mistakes, n_visits - skipped


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
