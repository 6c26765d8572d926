"""Look into training while it runs: a callback is called with the state of the loop.

`on_epoch` is called after every epoch. `on_batch` is called after every batch, but only if some
callback defines it; otherwise a whole epoch is one kernel call and nothing is collected.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from numlin.balls import BALLS
from numlin.losses import LOSSES
from numlin.objective import is_error, score
from numlin.support.arguments import Array, check_inputs, check_signs, pixels

if TYPE_CHECKING:
    from numlin.sgd import Training

NOT_YET: Any = None  # an array from the first step on


@dataclass
class State:
    """What a callback may see. Arrays are the loop's own: copy what is to be kept.

    w and b may be changed, in place or by others of the same type and shape, and training goes on
    from them. `training` may not; whatever else is changed has no effect.

    Attributes
    ----------
    training : Training
        What is being run, with its `loss`, `ball` and `eps`.
    epoch : int
        From 0.
    batch : int
        From 0 in each epoch; only kept where some callback defines `on_batch`.
    learning_rate : float
        Of the last step.
    w, b : (n_features,), float
        After the last step.
    rows : (batch,)
        The samples of the last batch, as indices into the training set.
    labels : (batch,)
        Their y.
    scores : (batch,)
        Their w.x + b *before* the step.
    batch_loss : float
        Mean of their robust losses before the step.
    grad_w, grad_b : (n_features,), float
        The batch's subgradient, mean or sum as in `training`, before the step.
    epoch_loss, epoch_error : float
        Averages over the samples of the epoch so far, each seen before its own step.
    """

    training: "Training"
    epoch: int = 0
    batch: int = 0
    learning_rate: float = 0.0
    w: Array = NOT_YET
    b: float = 0.0
    rows: Array = NOT_YET
    labels: Array = NOT_YET
    scores: Array = NOT_YET
    batch_loss: float = 0.0
    grad_w: Array = NOT_YET
    grad_b: float = 0.0
    epoch_loss: float = 0.0
    epoch_error: float = 0.0


class Callback:
    """Base of all callbacks; override what is needed."""

    on_batch: Callable[[State], None] | None = None

    def on_epoch(self, state: State) -> None:
        """Called after every epoch."""


class LossLogger(Callback):
    """Print one line an epoch: running loss and error."""

    def __init__(self, write: Callable[[str], object] = print) -> None:
        self.write = write

    def on_epoch(self, state: State) -> None:
        """Write the line."""
        self.write(
            f"epoch {state.epoch + 1:3d}/{state.training.n_epochs}"
            f"  loss {state.epoch_loss:.6f}  error {state.epoch_error:.4%}"
        )


class EpochMetrics(Callback):
    """Loss and error on whole data sets after every epoch.

    Parameters
    ----------
    **sets : (X, y)
        Named data sets, for instance train=(X, y), test=(X_test, y_test), as in `numlin.fit`.

    Attributes
    ----------
    history : dict of list
        "train_loss", "train_error", ...: the robust objective of the training and the error on
        the unperturbed samples, one number an epoch.
    """

    def __init__(self, **sets: tuple[ArrayLike, ArrayLike]) -> None:
        self.sets = {}
        for name, (X, y) in sets.items():
            X = check_inputs(X, name=name)
            X = X if X.dtype.kind == "f" else pixels(X, np.float64)
            self.sets[name] = X, check_signs(y, len(X), both=False)
        both = (f"{name}_{what}" for name in sets for what in ("loss", "error"))
        self.history: dict[str, list[float]] = {key: [] for key in both}

    def on_epoch(self, state: State) -> None:
        """Evaluate w and b on each set."""
        t = state.training
        for name, (X, y) in self.sets.items():
            margin = y * score(state.w, state.b, X)
            drop = BALLS[t.ball].drop(state.w, X, y, t.eps) if t.eps else 0
            loss = LOSSES[t.loss].value(margin - drop).mean()
            self.history[f"{name}_loss"].append(float(loss))
            self.history[f"{name}_error"].append(float(np.mean(is_error(margin))))


class BatchMetrics(Callback):
    """Mean loss and accuracy of every batch, before its step.

    Attributes
    ----------
    loss, accuracy : list of float
        One number a batch, over all epochs.
    """

    def __init__(self) -> None:
        self.loss: list[float] = []
        self.accuracy: list[float] = []

    def on_batch(self, state: State) -> None:
        """Append the batch's two numbers."""
        self.loss.append(state.batch_loss)
        self.accuracy.append(1 - float(np.mean(is_error(state.labels * state.scores))))


class GradientCollector(Callback):
    """The subgradient of every batch.

    Attributes
    ----------
    grad_w : list of (n_features,)
    grad_b : list of float
    """

    def __init__(self) -> None:
        self.grad_w: list[Array] = []
        self.grad_b: list[float] = []

    def on_batch(self, state: State) -> None:
        """Keep a copy."""
        self.grad_w.append(state.grad_w.copy())
        self.grad_b.append(float(state.grad_b))


class WeightSnapshots(Callback):
    """The weights after every epoch.

    Attributes
    ----------
    w : list of (n_features,)
    b : list of float
    """

    def __init__(self) -> None:
        self.w: list[Array] = []
        self.b: list[float] = []

    def on_epoch(self, state: State) -> None:
        """Keep a copy."""
        self.w.append(state.w.copy())
        self.b.append(float(state.b))
