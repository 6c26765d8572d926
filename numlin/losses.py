"""Margin losses: convex, decreasing functions of one scalar, margin = y * (w.x + b).

A linear classifier touches its data only through the margins, so a loss is two scalar
functions: its value and its derivative. All three here are finite and accurate for margins
from -1e4 to 1e4.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numlin.support.arguments import Array


def hinge(margin: Array) -> Array:
    """Hinge loss max(0, 1 - m) of margins `m`, an array of any shape (n_samples,)."""
    return np.maximum(0, 1 - margin)


def hinge_derivative(margin: Array) -> Array:
    """Derivative of `hinge`: -1 where m < 1, else 0; at the kink m = 1 it is 0, shape kept.

    Every number in [-1, 0] is a subgradient at m = 1. The choice 0 means that a sample is
    active only when m < 1, strictly.
    """
    return np.where(margin < 1, -1, 0).astype(_float_of(margin))


def squared_hinge(margin: Array) -> Array:
    """Squared hinge loss max(0, 1 - m)^2 of margins `m`, an array of any shape (n_samples,)."""
    return np.square(hinge(margin))


def squared_hinge_derivative(margin: Array) -> Array:
    """Derivative of `squared_hinge`: -2 max(0, 1 - m), continuous, shape kept (n_samples,)."""
    return -2 * hinge(margin)


def logistic(margin: Array) -> Array:
    """Logistic loss log(1 + exp(-m)) of margins `m`, an array of any shape (n_samples,).

    Written as max(0, -m) + log1p(exp(-|m|)), whose exponential never overflows and whose
    value keeps full relative accuracy when m is large and the loss is near exp(-m).
    """
    return np.maximum(0, -margin) + np.log1p(np.exp(-np.abs(margin)))


def logistic_derivative(margin: Array) -> Array:
    """Derivative of `logistic`: -1 / (1 + exp(m)), shape kept (n_samples,).

    With t = exp(-|m|) <= 1 it is -t / (1 + t) for m >= 0 and -1 / (1 + t) for m < 0.
    """
    t = np.exp(-np.abs(margin))
    return -np.where(margin >= 0, t, 1) / (1 + t)


def hinge_curvature(margin: Array) -> Array:
    """Second derivative of `hinge`, 0 beside its kink, shape kept (n_samples,)."""
    return np.zeros_like(margin, dtype=_float_of(margin))


def squared_hinge_curvature(margin: Array) -> Array:
    """Second derivative of `squared_hinge`: 2 where m < 1, else 0, shape kept (n_samples,)."""
    return np.where(margin < 1, 2, 0).astype(_float_of(margin))


def logistic_curvature(margin: Array) -> Array:
    """Second derivative of `logistic`: t / (1 + t)^2 at t = exp(-|m|), shape kept (n_samples,)."""
    t = np.exp(-np.abs(margin))
    return t / np.square(1 + t)


def _float_of(margin):
    """The floating type in which a function of these margins is returned."""
    return np.result_type(margin, np.float32)


class Loss(NamedTuple):
    """A margin loss: `value` and its derivatives map margins (n_samples,) to the same shape.

    `kinks` are the margins at which a derivative of some order jumps. `flat` says that the loss
    is 0 from a margin of 1 on, so that such samples may be left out.
    """

    name: str
    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    curvature: Callable[[Array], Array]
    kinks: tuple[float, ...] = ()
    flat: bool = False


HINGE = Loss("hinge", hinge, hinge_derivative, hinge_curvature, kinks=(1.0,), flat=True)
SQUARED_HINGE = Loss(
    "squared-hinge",
    squared_hinge,
    squared_hinge_derivative,
    squared_hinge_curvature,
    kinks=(1.0,),
    flat=True,
)
LOGISTIC = Loss("logistic", logistic, logistic_derivative, logistic_curvature)

LOSSES = {loss.name: loss for loss in (HINGE, SQUARED_HINGE, LOGISTIC)}
