"""Suboptimality against time: how fast variants of SGD come near the best robust model there is.

Each point is a whole fit of so many epochs: its wall time, and by how much the robust objective of
its model, computed in float64 over all training rows, exceeds the global minimum.
"""

import time

import numpy as np

from bench.timing import WrongResult, skipped
from numlin.objective import objective
from numlin.sgd import Training, fit
from numlin.support.progress import Progress

MINIMUM = {0.1: 0.0222018318, 0.2: 0.0754299099, 0.3: 0.1219450538}
"""Of the mean robust hinge on MNIST's training images of 0 and 1, from a linear program."""

VARIANTS = {
    "constant step": {"learning_rate": 0.01},
    "linear decay": {"learning_rate": 0.1, "schedule": "linear"},
    "linear decay, proximal": {"learning_rate": 0.1, "schedule": "linear", "update": "proximal"},
    "1/sqrt(t), averaged": {"learning_rate": 0.1, "schedule": "sqrt", "average": True},
}
EPOCHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def rows(data, options):
    """Rows of the group `convergence`, one for each variant and eps."""
    if data.name != "mnist":
        return [skipped("convergence", f"the global minimum is known for MNIST, not {data.name}")]
    epochs = [n for n in EPOCHS if not options.quick or n <= 20]
    X = data.stored("float64")
    seeds = range(1 if options.quick else 3)
    with Progress("convergence", len(seeds) * len(MINIMUM) * len(VARIANTS)) as progress:
        found = {
            (name, eps): {
                "name": f"{name}, eps {eps:g}",
                "variant": name,
                "eps": eps,
                "epochs": epochs,
                "times": [],
                "excess": [],
            }
            for eps in MINIMUM
            for name in VARIANTS
        }
        for seed in seeds:
            for (name, eps), row in found.items():
                points = [_point(data, X, eps, VARIANTS[name], seed, n) for n in epochs]
                for key, values in zip(("times", "excess"), zip(*points, strict=True), strict=True):
                    row[key].append(list(values))
                progress.advance()
    return list(found.values())


def _point(data, X, eps, variant, seed, n_epochs):
    """Seconds of one fit on raw pixels, and its distance to the minimum in float64."""
    training = Training(eps=eps, n_epochs=n_epochs, seed=seed, **variant)
    before = time.perf_counter()
    found = fit(data.pixels, data.y, training)
    seconds = time.perf_counter() - before
    excess = objective(found.w.astype(np.float64), found.b, X, data.y, eps) - MINIMUM[eps]
    if excess < -1e-9:  # MINIMUM has ten decimals
        raise WrongResult(f"convergence: {training} ends {-excess:.3g} below the global minimum")
    return seconds, excess
