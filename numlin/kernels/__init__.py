"""One SGD epoch, twice: `reference` in plain NumPy, `compiled` in Numba, the same arguments.

Losses and balls travel to the kernels as integers, their places in the tuples below, so that
one compiled kernel serves all of them: a code is a branch per sample, never per feature.
"""

from importlib import import_module
from typing import NamedTuple

import numpy as np

LOSSES = ("hinge", "squared-hinge", "logistic")
BALLS = ("linf", "l2", "l1", "linf-box")
HINGE, SQUARED_HINGE, LOGISTIC = range(3)
LINF, L2, L1, LINF_BOX = range(4)

ENGINES = {"numba": "numlin.kernels.compiled", "numpy": "numlin.kernels.reference"}


def load(engine):
    """The module of kernels that `engine`, "numba" or "numpy", names; Numba loads only here."""
    return import_module(ENGINES[engine])


def codes(loss, norm, boxed):
    """The integers by which kernels know a loss and a ball."""
    return LOSSES.index(loss), BALLS.index(norm + "-box" if boxed else norm)


def frozen(array):
    """Read-only view of `array` (n, ...) as a plain, contiguous ndarray, copied only if it was not.

    Numba compiles a kernel once per argument type, and a read-only array, a writable one and a
    memory map are three types. Frozen, they are one: one compilation, any storage.
    """
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


NOTHING_AHEAD = frozen(np.empty(0, np.int64))  # the kernel looks ahead in the order itself


class Screen(NamedTuple):
    """What a kernel remembers of rows, to skip them later; empty arrays: it reads every row.

    `row_norm` and `floor` (n_samples,), `anchor` (n_features,) like w, `bounds` (4, 2): the rows
    PATH, REACH, CREDIT and LIMIT of screening.py for the labels -1 and +1; the relative error
    `rounding` of a score.
    """

    row_norm: np.ndarray
    floor: np.ndarray
    anchor: np.ndarray
    bounds: np.ndarray
    rounding: float


def no_screen(w):
    """The Screen with which a kernel reads every row; w (n_features,) gives the type."""
    return Screen(np.empty(0), np.empty(0), w[:0].copy(), np.zeros((4, 2)), 0.0)
