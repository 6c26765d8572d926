"""Stochastic (sub)gradient descent: the loop above the kernels.

One epoch is one call of a kernel, compiled or plain NumPy; everything that stops, logs or calls
back is Python. All randomness, the start and the order of the samples, is drawn here.
"""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from numlin import kernels
from numlin.balls import BALLS
from numlin.callbacks import Callback, State
from numlin.kernels.loop import Loop, storage
from numlin.losses import LOSSES
from numlin.support.arguments import (
    Array,
    aligned_copy,
    check_choice,
    check_inputs,
    check_inside,
    check_number,
    check_signs,
)
from numlin.support.progress import Progress
from numlin.support.threads import side_by_side

SCHEDULES = {
    "constant": lambda t, n_steps: np.ones_like(t),
    "linear": lambda t, n_steps: 1 - t / n_steps,
    "sqrt": lambda t, n_steps: 1 / np.sqrt(t + 1),
}
STARTS = {
    "zero": lambda d: (0.0, 0.0),
    "glorot": lambda d: (math.sqrt(6 / (d + 1)), 0.0),
    "fan-in": lambda d: (1 / math.sqrt(d), 1 / math.sqrt(d)),
}


@dataclass(kw_only=True)
class Training:
    """How a linear classifier is trained: objective, steps, start and engine.

    Parameters
    ----------
    eps : float
        Radius of the perturbation ball in pixel units; 0 trains the regular classifier.
    loss : "hinge", "squared-hinge" or "logistic"
    ball : "linf", "l2", "l1" or "linf-box"
        What the adversary may do; "linf-box" keeps perturbed inputs in the pixel box.
    learning_rate : float
        Of the first step.
    schedule : "constant", "linear" or "sqrt"
        Step t of T has learning_rate times 1, 1 - t / T, or 1 / sqrt(t + 1), t from 0.
    n_epochs, batch_size : int
        Every epoch visits every sample once, in a new random order.
    shuffle_block : int
        0 shuffles all samples together, n shuffles blocks of n neighbours: see `epoch_order`.
    reduction : "mean" or "sum"
        Over the samples of a batch. A sum's gradient is batch_size times as long.
    update : "subgradient" or "proximal"
        How eps ||w||_1 is stepped: by eps sign(w), or by its soft-threshold, whose weights
        become exactly zero. Proximal for the ball "linf" only.
    average : bool
        Return the mean of the iterates instead of the last.
    start : "zero", "glorot" or "fan-in"
        w and b = 0; w uniform in +-sqrt(6 / (n_features + 1)) and b = 0; both uniform in
        +-1 / sqrt(n_features).
    seed : int
        Of start and order. Same seed, same result.
    dtype : "float32" or "float64"
        Of the weights and, unless it is raw uint8 pixels, of the data.
    engine : "numba" or "numpy"
        Compiled kernels, or their readable twins.
    """

    eps: float = 0.0
    loss: str = "hinge"
    ball: str = "linf"
    learning_rate: float = 0.1
    schedule: str = "constant"
    n_epochs: int = 10
    batch_size: int = 100
    shuffle_block: int = 0
    reduction: str = "mean"
    update: str = "subgradient"
    average: bool = False
    start: str = "glorot"
    seed: int = 0
    dtype: str = "float32"
    engine: str = "numba"

    def validate(self) -> None:
        """Raise ValueError for the first field that is out of its range; see the class."""
        check_number("eps", self.eps)
        check_choice("loss", self.loss, LOSSES)
        check_choice("ball", self.ball, kernels.BALL_CODES)
        check_number("learning_rate", self.learning_rate, strict=True)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_number("n_epochs", self.n_epochs, low=1, integer=True)
        check_number("batch_size", self.batch_size, low=1, integer=True)
        check_number("shuffle_block", self.shuffle_block, integer=True)
        check_choice("reduction", self.reduction, ("mean", "sum"))
        check_choice("update", self.update, ("subgradient", "proximal"))
        check_choice("start", self.start, STARTS)
        check_number("seed", self.seed, integer=True)
        check_choice("dtype", self.dtype, ("float32", "float64"))
        check_choice("engine", self.engine, kernels.ENGINES)
        if self.update == "proximal" and self.ball != "linf":
            raise ValueError(f"update: found proximal steps with ball {self.ball}, expected linf")


class Fit(NamedTuple):
    """What `fit` found.

    `w` (n_features,) and `b` classify; `losses` and `errors` (n_epochs,) are running averages
    over each epoch, `rows_read` (n_epochs,) the share of rows that it had to read.
    """

    w: np.ndarray
    b: float
    losses: np.ndarray
    errors: np.ndarray
    rows_read: np.ndarray

    def __repr__(self) -> str:
        return (
            f"Fit({self.w.size} weights, b = {self.b:.6g}, {len(self.losses)} epochs: loss "
            f"{self.losses[0]:.6g} -> {self.losses[-1]:.6g}, error {self.errors[0]:.2%} -> "
            f"{self.errors[-1]:.2%})"
        )


class DivergenceError(ArithmeticError):
    """Training left the finite numbers."""


def fit(X: ArrayLike, y: ArrayLike, training: Training | None = None,
        callbacks: Iterable[Callback] = ()) -> Fit:  # fmt: skip
    """Minimise the mean robust loss of `numlin.objective` by mini-batch (sub)gradient steps.

        w <- w - learning_rate_t * grad_w,    b <- b - learning_rate_t * grad_b

    Parameters
    ----------
    X : (n_samples, n_features)
        Floating point, or uint8 pixels, which count as x / 255 and are not copied.
    y : (n_samples,)
        Labels, -1 or +1.
    training : Training, optional
        Everything else.
    callbacks : iterable of Callback
        Called after every epoch, and after every batch if one of them defines `on_batch`.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        For a bad argument.
    DivergenceError
        When loss or weights are no longer finite; it names the epoch and the learning rate.
    """
    training = training or Training()
    training.validate()
    X = check_inputs(X)
    return _fit(X, check_signs(y, len(X)), training, list(callbacks))


def fit_many(jobs: Iterable[tuple[ArrayLike, ArrayLike, Training | None]],
             n_threads: int | None = None) -> list[Fit]:  # fmt: skip
    """Train many models side by side, one a thread, on data that they share.

    Parameters
    ----------
    jobs : iterable of (X, y, training)
        As in `fit`: X (n_samples, n_features), y (n_samples,). Jobs may differ in anything, eps,
        seed, learning rate, digits; the same array in several jobs is checked and kept once.
    n_threads : int, optional
        How many train at a time; all processors by default.

    Returns
    -------
    list of Fit
        In the order of the jobs, the same numbers, bit for bit, as from one `fit` after another.

    Raises
    ------
    ValueError, DivergenceError
        As `fit`: for a bad parameter or X of any job before any is trained, else for the first
        job in the list that fails.

    Notes
    -----
    A compiled kernel runs without Python's global lock, so threads share memory and still run at
    once. The NumPy engine works too, without the gain.
    """
    if n_threads is not None:
        check_number("n_threads", n_threads, low=1, integer=True)
    runs = [(X, y, training or Training()) for X, y, training in jobs]
    for _, _, training in runs:
        training.validate()
    distinct = {id(X): X for X, _, _ in runs}
    checked = {key: check_inputs(X) for key, X in distinct.items()}
    stored = {
        (id(X), training.dtype): storage(checked[id(X)], training.dtype) for X, _, training in runs
    }
    with Progress("training", len(runs)) as progress:

        def run(job):
            X, y, training = job
            result = _fit(stored[id(X), training.dtype], check_signs(y, len(X)), training)
            progress.advance()
            return result

        return side_by_side(run, runs, n_threads or os.cpu_count() or 1)


def epoch_order(n_samples: int, shuffle_block: int,
                rng: np.random.Generator) -> tuple[Array, Array]:  # fmt: skip
    """The order of one epoch, every sample once, and what to read ahead in it.

    Parameters
    ----------
    n_samples : int
    shuffle_block : int
        0 shuffles all samples. Otherwise the blocks of so many consecutive samples are shuffled,
        and within each block its samples.
    rng : numpy.random.Generator

    Returns
    -------
    order : (n_samples,) int64
    ahead : (n,) int64
        For each visit the row that a kernel should start to read: the row as many places further
        as a block is long, were blocks visited in file order. Empty where there is but one block.

    Notes
    -----
    What blocks trade. Data that does not fit in the cache, or in memory, is then read nearly in
    sequence: of a memory-mapped file a block is fetched whole and used up before the next, where
    a full shuffle waits for another far page with every sample. In return a batch mixes
    neighbours only, samples of different blocks never meet in one (but where two blocks touch),
    and the order has fewer outcomes. That costs nothing where the file itself is well mixed. A
    file sorted by label gives batches of one label, and its SGD swings from block to block:
    shuffle such a file once on disk. A block should be many batches long.
    Blocks of up to `numlin.kernels.loop.READ_AHEAD` bytes are read ahead: the next one while one
    is visited.
    """
    if not shuffle_block:
        return rng.permutation(n_samples), kernels.NOTHING_AHEAD
    shuffle_block = min(int(shuffle_block), n_samples)
    starts = rng.permutation(np.arange(0, n_samples, shuffle_block))
    lengths = np.minimum(shuffle_block, n_samples - starts)
    ends = np.cumsum(lengths)
    in_sequence = np.ones(n_samples, np.int64)  # steps of 1, but from block to block; then summed
    in_sequence[0] = starts[0]
    in_sequence[ends[:-1]] = starts[1:] - starts[:-1] - lengths[:-1] + 1
    np.cumsum(in_sequence, out=in_sequence)
    order = in_sequence.copy()
    for end, length in zip(ends.tolist(), lengths.tolist(), strict=True):
        rng.shuffle(order[end - length : end])
    return order, in_sequence[shuffle_block:]


def _fit(X, y, training, callbacks=()):
    """`fit` on arguments that are known to be good."""
    bounds = BALLS[training.ball].bounds
    if bounds and X.dtype != np.uint8:
        check_inside(X, bounds)
    rng = np.random.default_rng(training.seed)
    reach_w, reach_b = STARTS[training.start](X.shape[1])
    w = aligned_copy(rng.uniform(-reach_w, reach_w, X.shape[1]), training.dtype)
    state = State(training, w=w, b=float(rng.uniform(-reach_b, reach_b)))
    loop = Loop(X, y, state, callbacks)
    losses, errors, rows_read = np.empty((3, training.n_epochs))
    schedule, n_steps = SCHEDULES[training.schedule], loop.n_steps
    for epoch in range(training.n_epochs):
        steps = np.arange(epoch * n_steps, (epoch + 1) * n_steps, dtype=np.float64)
        rates = training.learning_rate * schedule(steps, training.n_epochs * n_steps)
        state.epoch, state.learning_rate = epoch, rates[-1]
        with np.errstate(over="ignore", invalid="ignore"):
            loop.run(*epoch_order(len(X), training.shuffle_block, rng), rates)
        losses[epoch], errors[epoch] = state.epoch_loss, state.epoch_error
        if not (np.isfinite([losses[epoch], state.b]).all() and np.isfinite(state.w).all()):
            raise DivergenceError(
                f"training diverged in epoch {epoch + 1} of {training.n_epochs}: loss or weights "
                f"are not finite (mean loss {state.epoch_loss:g}) at learning rate "
                f"{state.learning_rate:g}; try a smaller one"
            )
        rows_read[epoch] = loop.rows_read / len(X)
        for callback in callbacks:
            callback.on_epoch(state)
            loop.check_state(callback)
    return Fit(*loop.result(), losses, errors, rows_read)
