"""Exact screening: leave out the samples whose robust margin provably still exceeds 1.

With the hinge (or its square) such a sample adds exactly nothing to the loss and the gradient, so
the weights are the same, bit for bit, as if every row had been read. Most rows of a trained model
are of this kind.

The bound. Row i was last read when the weights were u; now they are w. For a label of +1, and
pixels x >= 0, only weights that fell can lower the score, and by Cauchy-Schwarz::

    w.x = u.x + (w - u).x >= u.x - ||(w - u)^-|| ||x||

For -1 it is the weights that rose, (w - u)^+. To know these norms for every u would take a
vector per row. So the way from u to w is led over anchors, the weights at the start of each epoch,
u -> a -> a' -> w, and the norms are added up by the triangle inequality:

    PATH    from the first anchor to the present one, a sum of one norm per epoch
    CREDIT  PATH less the way from the present anchor back to w: subtracted when row i is read
    REACH   PATH plus the way from the present anchor to w: added when row i is judged
    floor   y w.x + ||x|| CREDIT when row i is read; later, y w.x >= floor - ||x|| REACH
    LIMIT   1 - y b + eps ||w||*, from the present b and w: skip row i if the bound exceeds it

Most steps of SGD undo an earlier one, and so the way is measured from epoch to epoch: on MNIST 0
against 1 the sum of the norms of all steps is 11 times as long at eps = 0 and 56 times at 0.3.

Rounding. The bound must hold for the margin that the kernel would have computed. A dot product of
n terms, summed in any order, is off by at most about n u ||w|| ||x||, u the unit roundoff of w's
type: `rounding` is twice that, counted in CREDIT for the old score and in REACH for the new one.
All else is computed in float64, and REACH, LIMIT and the norms are raised by a relative 1e-9.

The kernel calls four functions of this file: `move_anchor` when an epoch starts, `update_bounds`
when w has moved, `can_skip` before a row is read and `note_floor` after.

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1 (dot products).
"""

import math

import numpy as np

from numlin.kernels import Screen, frozen, no_screen
from numlin.kernels.jit import jit
from numlin.support.arguments import WHITE

PATH, REACH, CREDIT, LIMIT = range(4)  # rows of Screen.bounds
ROUND_UP = 1 + 1e-9  # covers millions of float64 roundings

WORTH_IT = 0.7  # of all rows: with more to read than that, bounds cost as much as they save
PAUSE = 10  # epochs without screening when it did not pay, twice as many the next time


@jit
def row_norms(X):
    """||x|| of each row, for pixels in [0, 1]; NaN (never skipped) where a pixel is negative.

    Numba's float(x) of a float32 is one, where Python's is a float64.
    """
    white = float(WHITE) if X.itemsize == 1 else 1.0
    norms = np.empty(X.shape[0])
    for i in range(X.shape[0]):
        total, lowest = 0.0, 0.0
        for j in range(X.shape[1]):
            pixel = np.float64(X[i, j])
            total += pixel * pixel
            lowest += pixel - abs(pixel)
        norms[i] = math.sqrt(total) / white if lowest == 0 else np.nan
    return norms


@jit
def rise_and_fall(w, anchor):
    """Norms of the positive and of the negative part of w - anchor, rounded up."""
    rise, fall = 0.0, 0.0
    for j in range(w.size):
        move = np.float64(w[j]) - np.float64(anchor[j])
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
    square = 0.0
    for j in range(w.size):
        square += np.float64(w[j]) * np.float64(w[j])
    rounding = screen.rounding * math.sqrt(square) * ROUND_UP
    reach[0] = (path[0] + rise) * ROUND_UP + rounding
    reach[1] = (path[1] + fall) * ROUND_UP + rounding
    credit[0] = path[0] - fall - rounding
    credit[1] = path[1] - rise - rounding
    one = 1 + (ROUND_UP - 1) * (1 + abs(b) + drop)
    limit[0], limit[1] = one + drop + b, one + drop - b


@jit
def can_skip(screen, i, label):
    """Whether the robust margin of row i provably exceeds 1."""
    side = int(label > 0)
    floor = screen.floor[i] - screen.row_norm[i] * screen.bounds[REACH, side]
    return floor > screen.bounds[LIMIT, side]


@jit
def note_floor(screen, i, label, score):
    """Remember of row i, just read, how high its label * w.x was, by what this `score` says."""
    credit = screen.row_norm[i] * screen.bounds[CREDIT, int(label > 0)]
    screen.floor[i] = label * score + credit


class Screening:
    """Screens while that pays: after an epoch that read most rows all the same, it pauses.

    Valid for the hinge and the squared hinge, and every ball but the pixel box. A row with a
    negative or NaN pixel is always read.
    """

    def __init__(self, X, w):
        """X (n_samples, n_features) the rows to be trained on, w (n_features,) the start."""
        n_samples, n_features = X.shape
        rounding = (n_features + 16) * float(np.finfo(w.dtype).eps)
        self._off = no_screen(w)
        self._on = Screen(
            row_norms(frozen(X)) * ROUND_UP,
            np.full(n_samples, -np.inf),
            w.copy(),
            np.zeros((4, 2)),
            rounding,
        )
        self._pause, self._next_pause = 0, PAUSE
        self._fresh = False

    def screen(self):
        """The Screen for the next epoch."""
        return self._off if self._pause else self._on

    def note(self, rows_read):
        """Take account of how many rows the epoch read.

        An epoch after a pause is not judged: it catches up with what moved meanwhile.
        """
        if self._pause:
            self._pause -= 1
            self._fresh = False
        elif self._fresh and rows_read > WORTH_IT * self._on.floor.size:
            self._pause, self._next_pause = self._next_pause, 2 * self._next_pause
        else:
            self._fresh = True
