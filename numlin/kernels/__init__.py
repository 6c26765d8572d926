"""One epoch of SGD, three times, with the same arguments and the same result.

`reference` is the explanation, in NumPy; `plain` the same loop over numbers, which Numba
compiles: the first rung; `compiled` the fast kernel, whose docstring says what it adds.
`integers` and `screening` let it leave out what provably contributes nothing: the widening of raw
pixels, and whole rows.

`arguments` is the one place where a call is put together: `sgd_epoch(*arguments(...))`. Losses
and balls travel as integers, so that one compiled kernel serves all of them: a code is a branch
per sample, never per feature. An unknown code gives a loss of NaN.
"""

from importlib import import_module
from typing import NamedTuple

import numpy as np

from numlin.balls import LINF
from numlin.losses import HINGE, LOSSES
from numlin.support.arguments import aligned

ENGINES = {"numba": "numlin.kernels.compiled", "numpy": "numlin.kernels.reference"}
LOSS_CODES = {name: code for code, name in enumerate(LOSSES)}
BALL_CODES = {name: code for code, name in enumerate(("linf", "l2", "l1", "linf-box"))}


def load(engine):
    """The module of kernels that `engine`, "numba" or "numpy", names; Numba loads only here."""
    return import_module(ENGINES[engine])


class Samples(NamedTuple):
    """X (n_samples, n_features), float64, float32 or uint8 in 255ths, and y (n_samples,) int8."""

    X: np.ndarray
    y: np.ndarray


class Visits(NamedTuple):
    """Rows in the order to visit, `order` (n_visits,), and `ahead`, those to start reading.

    Called slice by slice, cut between batches, an epoch has the same result bit for bit. `ahead`
    (n,) is a hint that changes no result: one row at each visit, the last one from then on; if it
    is empty, what is visited a few visits later.
    """

    order: np.ndarray
    ahead: np.ndarray


class Risk(NamedTuple):
    """What is minimised: the radius `eps` in pixel units, and the codes of loss and ball."""

    eps: float
    loss: int
    ball: int


class Steps(NamedTuple):
    """How: `learning_rate` (n_batches,) float64 of each batch, the last of which may be shorter.

    `mean` divides a gradient by the length of the batch; else it is the sum. `proximal`
    soft-thresholds instead of stepping along eps v (ball linf only).
    """

    learning_rate: np.ndarray
    batch_size: int
    mean: bool
    proximal: bool


class Workspace(NamedTuple):
    """What an epoch changes in place.

    `w` (n_features,), float32 or float64, the weights. On return `grad_w` like w is the
    subgradient of the last batch, before its step. `score` (batch_size,) like w, or (0,): the
    w.x_i + b of that batch (its first entries if it was shorter; rows that were skipped leave
    their entry as it was). `iterate_sum` (n_features + 1,) float64, or (0,): (w, b) after each
    batch is added to it.
    """

    w: np.ndarray
    grad_w: np.ndarray
    score: np.ndarray
    iterate_sum: np.ndarray


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


class Arguments(NamedTuple):
    """All that `sgd_epoch` takes, in its order; `b` is the bias to start from."""

    samples: Samples
    visits: Visits
    risk: Risk
    steps: Steps
    workspace: Workspace
    b: float
    screen: Screen


def frozen(array):
    """Read-only view of `array` (n, ...) as a plain, contiguous ndarray, copied only if it was not.

    Numba compiles a kernel once per argument type, and a read-only array, a writable one and a
    memory map are three types. Frozen, they are one: one compilation, any storage.
    """
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


NOTHING_AHEAD = frozen(np.empty(0, np.int64))
NOTHING_SUMMED = np.empty(0)


def no_screen(w):
    """The Screen with which a kernel reads every row; w (n_features,) gives the type."""
    return Screen(np.empty(0), np.empty(0), w[:0].copy(), np.zeros((4, 2)), 0.0)


def arguments(X, y, w, b, order, learning_rate, batch_size, *, eps=0.0, loss=HINGE, ball=LINF,
              mean=True, proximal=False, ahead=NOTHING_AHEAD, grad_w=None, score=None,
              iterate_sum=NOTHING_SUMMED, screen=None):  # fmt: skip
    """The `Arguments` of an epoch; those left out are regular hinge training, nothing recorded.

    X (n_samples, n_features), y (n_samples,), w (n_features,); `loss` a Loss, `ball` a Ball that
    the kernels search themselves. For the rest see the groups above.
    """
    return Arguments(
        Samples(frozen(X), frozen(y)),
        Visits(frozen(order), frozen(ahead)),
        Risk(float(eps), LOSS_CODES[loss.name], BALL_CODES[ball.name]),
        Steps(frozen(learning_rate), batch_size, mean, proximal),
        Workspace(
            w,
            aligned(w.shape, w.dtype) if grad_w is None else grad_w,
            w[:0].copy() if score is None else score,
            iterate_sum,
        ),
        float(b),
        no_screen(w) if screen is None else screen,
    )
