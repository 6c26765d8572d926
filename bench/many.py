"""Many models at once: 32 fits, one after another and side by side on two threads.

Eight seeds for each of four eps, ten epochs each, wall time. Bit for bit the same models.
"""

import time

import numpy as np

from bench.timing import Case, WrongResult, measure
from numlin.sgd import Training, fit, fit_many

MODELS = 32
EPS = (0.0, 0.1, 0.2, 0.3)


def rows(data, options):
    """Rows of the group `many`."""
    n_epochs = 1 if options.quick else 10
    cases = [case for storage in ("uint8", "float32") for case in _cases(data, storage, n_epochs)]
    return measure("many", cases, 5 if options.quick else 11)


def _cases(data, storage, n_epochs):
    X = data.stored(storage)
    jobs = [
        (
            X,
            data.y,
            Training(
                eps=EPS[k % 4],
                learning_rate=0.01 if EPS[k % 4] else 0.1,
                seed=k // 4,
                n_epochs=n_epochs,
            ),
        )
        for k in range(MODELS)
    ]

    def alone():
        return [fit(*job) for job in jobs]

    def check():
        for one, other in zip(alone(), fit_many(jobs, 2), strict=True):
            if not (np.array_equal(one.w, other.w) and one.b == other.b):
                raise WrongResult(f"fit_many {storage}: a model differs from that of fit")

    def case(name, run, check=None, note=""):
        return Case(
            f"{name} {storage}",
            run,
            check,
            rows=MODELS * n_epochs * len(X),
            baseline=f"fit, one by one {storage}",
            clock=time.perf_counter,
            note=note,
        )

    return [
        case("fit, one by one", alone, check),
        case("fit_many, one thread", lambda: fit_many(jobs, 1), note="checks X only once"),
        case("fit_many, two threads", lambda: fit_many(jobs, 2)),
    ]
