"""The data that is timed, and one epoch of SGD on it, written once more and plainly."""

from typing import NamedTuple

import numpy as np

from bench.timing import WrongResult
from numlin.data import datasets
from numlin.kernels import NOTHING_AHEAD
from numlin.sgd import Training, epoch_order, fit
from numlin.support import arguments
from numlin.support.progress import say

BATCH = 100
BLOCK = 1024  # rows of a shuffled block, 0.8 MB of raw pixels: second-level caches hold one
EPS = (0.0, 0.1, 0.3)


class Data(NamedTuple):
    """Two digits: raw pixels (n_samples, n_features) uint8, labels (n_samples,); train and test.

    `middle` has, for each of EPS, the w (n_features,) and b of a model in the middle of training.
    """

    name: str
    pixels: np.ndarray
    y: np.ndarray
    test_pixels: np.ndarray
    y_test: np.ndarray
    middle: dict

    def stored(self, storage):
        """The training pixels as "uint8", or over 255 as "float32" or "float64"."""
        return self.pixels if storage == "uint8" else arguments.pixels(self.pixels, storage)


def find(data_dir=None):
    """MNIST, or what the folder holds; where neither can be had the synthetic strokes, and so said.

    Every result carries the name.
    """
    try:
        return datasets.find("auto", data_dir)
    except datasets.DatasetError as error:
        if data_dir is not None:
            raise
        say(f"synthetic digits are timed: {error}")
        return datasets.find("synthetic")


def load(data_dir=None):
    """Digits 0 and 1 of `find`."""
    source = find(data_dir)
    train, test = (datasets.load(part, dtype="uint8", source=source) for part in ("train", "test"))
    return of(source.name, *train, *test)


def of(name, pixels, y, test_pixels, y_test):
    """`Data` of these arrays; its models have seen five of the article's ten epochs."""
    fits = (fit(pixels, y, Training(eps=eps, learning_rate=rate(eps), n_epochs=5)) for eps in EPS)
    middle = {eps: (found.w, found.b) for eps, found in zip(EPS, fits, strict=True)}
    return Data(name, pixels, y, test_pixels, y_test, middle)


def rate(eps, batch_size=BATCH):
    """The article's step size: 0.1 on the mean of 100 samples, 0.01 in robust training.

    A smaller batch takes its share of that, which is the same step for a sample.
    """
    return (0.01 if eps else 0.1) * min(1, batch_size / BATCH)


class Start(NamedTuple):
    """Where an epoch starts and how it goes: w (n_features,), b, order (n_samples,), steps.

    `ahead` says what to read ahead, as in `sgd.epoch_order`.
    """

    w: np.ndarray
    b: float
    order: np.ndarray
    ahead: np.ndarray
    eps: float
    batch_size: int
    learning_rate: float


def start(data, eps, batch_size=BATCH, order="shuffled"):
    """The sixth of ten epochs: neither the busy first nor the idle last one."""
    n_samples = len(data.y)
    rng = np.random.default_rng(0)
    rows, ahead = {
        "shuffled": lambda: epoch_order(n_samples, 0, rng),
        "block shuffle": lambda: epoch_order(n_samples, BLOCK, rng),
        "file order": lambda: (np.arange(n_samples), NOTHING_AHEAD),
    }[order]()
    return Start(*data.middle[eps], rows, ahead, eps, batch_size, rate(eps, batch_size))


def numpy_epoch(X, y, start, real):
    """One epoch by a plain NumPy loop, the way a careful user would write it.

    X (n_samples, n_features) of type `real` or raw uint8, y (n_samples,) of type `real`.

    Returns
    -------
    w, b
        After the epoch, w (n_features,).
    loss : float
        Mean of the robust hinge losses, each at the time of its batch.
    n_active : int
        How many samples had a part in a gradient.
    """
    w, b, eps, size = start.w.astype(real), real(start.b), real(start.eps), start.batch_size
    rate, loss, n_active = real(start.learning_rate), 0.0, 0
    for first in range(0, len(start.order), size):
        rows = start.order[first : first + size]
        x, label = arguments.pixels(X[rows], real), y[rows]
        gap = 1 - label * (x @ w + b) + eps * np.abs(w).sum()
        active = gap > 0
        loss += gap[active].sum()
        count = np.count_nonzero(active)
        n_active += count
        if count:
            pull = label * active
            w -= rate / len(rows) * (count * eps * np.sign(w) - pull @ x)
            b += rate / len(rows) * pull.sum()
    return w, float(b), float(loss) / len(start.order), int(n_active)


def expect_close(name, found, expected, tolerance):
    """Raise WrongResult unless arrays (n,) or numbers are finite and closer than `tolerance`."""
    gap = np.max(np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64)))
    if not gap <= tolerance:
        raise WrongResult(f"{name}: off by {gap:.3g}, expected at most {tolerance:g}")
