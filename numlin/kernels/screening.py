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

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1 (dot products).
"""

import numpy as np

from numlin.kernels import Screen, frozen, no_screen
from numlin.kernels.compiled import ROUND_UP, row_norms

WORTH_IT = 0.7  # of all rows: with more to read than that, bounds cost as much as they save
PAUSE = 10  # epochs without screening when it did not pay, twice as many the next time


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
