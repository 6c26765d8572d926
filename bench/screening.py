"""Exact screening: `fit` as it is, against `fit` that reads every row in every epoch.

The article's training, but longer. The weights and every epoch's loss are equal bit for bit.
"""

from contextlib import contextmanager

import numpy as np

from bench.data import rate
from bench.timing import Case, WrongResult, measure
from numlin.kernels import loop
from numlin.sgd import Training, fit

EPS = (0.0, 0.1, 0.2, 0.3)


def rows(data, options):
    """Rows of the group `screening`."""
    n_epochs = 50 if options.quick else 1000
    X = data.stored("float32")
    cases = [
        case
        for eps in (EPS[::3] if options.quick else EPS)
        for case in _cases(X, data.y, eps, n_epochs)
    ]
    return measure("screening", cases, 5)


@contextmanager
def reading_every_row():
    """In this block `fit` screens nothing."""
    usual = loop.SCREEN_FROM
    loop.SCREEN_FROM = np.inf
    try:
        yield
    finally:
        loop.SCREEN_FROM = usual


def _cases(X, y, eps, n_epochs):
    training = Training(eps=eps, learning_rate=rate(eps), n_epochs=n_epochs)

    def every_row():
        with reading_every_row():
            return fit(X, y, training)

    screened, full = fit(X, y, training), every_row()
    baseline = f"every row, eps {eps:g}"
    visits = n_epochs * len(X)

    def check():
        if not (
            np.array_equal(screened.w, full.w)
            and screened.b == full.b
            and np.array_equal(screened.losses, full.losses)
        ):
            raise WrongResult(f"screening at eps {eps:g} changes the model")

    return [
        Case(baseline, every_row, rows=visits, baseline=baseline),
        Case(
            f"screened, eps {eps:g}",
            lambda: fit(X, y, training),
            check,
            rows=visits,
            baseline=baseline,
            note=f"{screened.rows_read.mean():.1%} of the rows read over "
            f"{n_epochs} epochs, batch {training.batch_size}",
        ),
    ]
