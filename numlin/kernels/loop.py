"""The kernel with all its arguments: what a training loop holds from one call to the next.

`numlin.sgd` says which samples come when, and at which rate; here a pass over them becomes kernel
calls, one for the whole pass, or one a batch if a callback watches batches.
"""

import math
from dataclasses import fields

import numpy as np

from numlin import kernels
from numlin.balls import BALLS
from numlin.losses import LOSSES
from numlin.support.arguments import Array, aligned_copy, check_finite, check_number

SCREEN_FROM = 50  # epochs: from here on skipping rows gains more than its preparation costs
SCREEN_BATCH = 50  # samples: the bounds are renewed with every batch, which must be worth it
READ_AHEAD = 2**20  # bytes: longer blocks drive each other out of a second-level cache of that


def reads_ahead(X: Array, shuffle_block: int) -> bool:
    """Whether blocks of so many rows of X (n_samples, n_features) are no longer than READ_AHEAD."""
    return int(shuffle_block) * X.shape[1] * X.itemsize <= READ_AHEAD


def storage(X, dtype):
    """X (n_samples, n_features) as kernels read it: raw uint8 pixels, or floats of `dtype`."""
    return kernels.frozen(X if X.dtype in (np.uint8, dtype) else aligned_copy(X, dtype))


def _settings(training):
    return [getattr(training, field.name) for field in fields(training)]


class Loop:
    """Kernel calls on X (n_samples, n_features) and y (n_samples,) that move w and b of `state`.

    `state` is the `numlin.callbacks.State` that the callbacks see.
    """

    def __init__(self, X, y, state, callbacks):
        t, w, d = state.training, state.w, X.shape[1]
        dtype = w.dtype
        self.watched = any(callback.on_batch for callback in callbacks)
        self.callbacks = callbacks
        self.kernel = kernels.load(t.engine).sgd_epoch
        self.X = storage(X, dtype)
        self.y = kernels.frozen(y)
        self.batch_size = min(t.batch_size, len(X))
        self.score = np.empty(self.batch_size if self.watched else 0, dtype)
        self.iterate_sum = np.zeros(d + 1 if t.average else 0)
        self.n_steps = math.ceil(len(X) / self.batch_size)
        self.grad_w = aligned_copy(np.zeros(d), dtype)
        self.state, self.training, self.settings = state, t, _settings(t)
        self.screening, self.read_all = None, kernels.no_screen(w)
        if self._screens():
            from numlin.kernels.screening import Screening

            self.screening = Screening(self.X, w)

    def _screens(self):
        """Whether rows may be skipped: exact where a margin above 1 costs nothing, and unseen."""
        t = self.state.training
        skippable = LOSSES[t.loss].flat and not BALLS[t.ball].bounds
        long_enough = t.n_epochs >= SCREEN_FROM and self.batch_size >= SCREEN_BATCH
        return t.engine == "numba" and skippable and long_enough and not self.watched

    def run(self, order, ahead, rates):
        """Visit the samples in `order`, with one of the `rates` for each batch."""
        state, self.rows_read = self.state, 0
        if self.watched:
            loss, mistakes = self._run_batches(order, ahead, rates)
        else:
            loss, mistakes = self._call(order, ahead, rates)
        state.epoch_loss, state.epoch_error = loss / len(order), mistakes / len(order)

    def _run_batches(self, order, ahead, rates):
        state, size = self.state, self.batch_size
        loss_sum = mistakes = visited = 0
        for state.batch, state.learning_rate in enumerate(rates):
            state.rows = order[state.batch * size : (state.batch + 1) * size]
            to_read = ahead[state.batch * size :]
            loss, wrong = self._call(state.rows, to_read, rates[state.batch : state.batch + 1])
            loss_sum, mistakes = loss_sum + loss, mistakes + wrong
            visited += len(state.rows)
            state.labels, state.scores = self.y[state.rows], self.score[: len(state.rows)]
            state.batch_loss = loss / len(state.rows)
            state.epoch_loss, state.epoch_error = loss_sum / visited, mistakes / visited
            for callback in self.callbacks:
                if callback.on_batch:
                    callback.on_batch(state)
                    self.check_state(callback)
        return loss_sum, mistakes

    def _call(self, order, ahead, rates):
        """One kernel call: moves w and b, returns the sum of the losses and the mistakes."""
        t, state = self.state.training, self.state
        screen = self.screening.screen() if self.screening else self.read_all
        if screen.floor.size or not reads_ahead(self.X, t.shuffle_block):
            ahead = kernels.NOTHING_AHEAD  # a row that is skipped is not worth reading
        state.grad_w = self.grad_w
        arguments = kernels.arguments(
            self.X,
            self.y,
            state.w,
            state.b,
            order,
            rates,
            self.batch_size,
            eps=t.eps,
            loss=LOSSES[t.loss],
            ball=BALLS[t.ball],
            mean=t.reduction == "mean",
            proximal=t.update == "proximal",
            ahead=ahead,
            grad_w=self.grad_w,
            score=self.score,
            iterate_sum=self.iterate_sum,
            screen=screen,
        )
        state.b, state.grad_b, loss, mistakes, rows_read = self.kernel(*arguments)
        self.rows_read += rows_read
        if self.screening:
            self.screening.note(rows_read)
        return loss, mistakes

    def check_state(self, callback):
        """ValueError unless w and b are fit for the kernel still, and the training is as it was."""
        w, like, name = self.state.w, self.grad_w, type(callback).__name__
        if type(w) is not np.ndarray or (w.shape, w.dtype) != (like.shape, like.dtype):
            expected = f"{like.dtype} numbers of shape {like.shape}"
            raise ValueError(f"{name}: state.w: found {w!r:.50}, expected {expected}")
        if not w.flags.carray:
            raise ValueError(f"{name}: state.w: found it read-only or not contiguous")
        check_finite(w, f"{name}: state.w")
        check_number(f"{name}: state.b", self.state.b, -math.inf)
        if self.state.training is not self.training or _settings(self.training) != self.settings:
            raise ValueError(f"{name}: state.training: found it changed, expected it as it was")

    def result(self):
        """The last iterate, or the mean of all."""
        if not self.state.training.average:
            return self.state.w, self.state.b
        mean = self.iterate_sum / (self.n_steps * self.state.training.n_epochs)
        return mean[:-1].astype(self.state.w.dtype), float(mean[-1])
