"""The same epoch, compiled.

NumPy walks through a batch several times and keeps every product in memory. A compiled loop reads
each sample while it is at hand. Write exercise 10 again, same arguments and result, as loops over
samples and features that Numba compiles (@numba.njit; np.sign, np.abs and friends still work), no
slower than twice numlin's own plain loop.

Two things decide. In what order do the loops run over an array whose last index is the fastest?
And a sum that must be added up in the order written is one long chain, each addition waiting for
the one before: `fastmath` with a set of flags tells the compiler what it may do instead. Which
flag permits that, and which ones would also promise that there is no NaN?
"""

import time

import numpy as np

from numlin.learn import e10_epoch
from numlin.learn.e10_epoch import mistake
from numlin.learn.grading import Wrong


def sgd_epoch(w, b, X, y, order, eps, learning_rate, batch_size):
    """(w, b) after one epoch, as in exercise 10; X (n_samples, n_features) is C-contiguous."""
    raise NotImplementedError


LIMIT = 20.0  # seconds; some are the compiler's
OWN = e10_epoch.OWN
SOURCE = ("numlin.kernels.plain:sgd_epoch",)
HINTS = (
    "Two loops over features per sample, one for the score, one that adds to the gradient if the "
    "sample is active; ||w||_1 once per batch; the step once per batch.",
    'Row by row: X[i, j] with j inside. The flags {"reassoc", "contract"} cut a sum in parts.',
)
DIFFERS = "numlin's also knows other losses and balls; kernels/compiled.py is the fast one."
MISTAKES = (
    mistake("a step for every sample, not for every batch. The gradient is added up over the "
            "batch, all at the same w; then comes one step.", [(1, 1), (2, -1)], [0, 1], 2,
            (", batch_size):\n        rows", ", 1):\n        rows"), ("+ batch_size]", "+ 1]")),
    *(m for m in e10_epoch.MISTAKES if not m.text.startswith("grad_b is taken after")),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    return e10_epoch.cases()


def prove(s):
    """Held against the plain loop, and numlin's own time."""
    e10_epoch.prove(s)
    found = s.functions["sgd_epoch"]
    if not hasattr(found, "py_func"):
        raise Wrong("right, but not compiled: put @numba.njit(...) above sgd_epoch")
    from numlin.kernels import arguments, plain

    rng = np.random.default_rng(11)
    X, y = rng.uniform(size=(1000, 784)), rng.choice([-1.0, 1.0], 1000)
    w, order = rng.normal(size=784), rng.permutation(1000)
    own = arguments(X, y.astype(np.int8), w.copy(), 0.0, order, np.full(10, 0.01), 100, eps=0.1)
    runs = ((found, (w, 0.0, X, y, order, 0.1, 0.01, 100)), (plain.sgd_epoch, own))
    seconds = np.empty((2, 15))
    for k in range(15):
        for who, (epoch, args) in enumerate(runs):
            start = time.perf_counter()
            epoch(*args)
            seconds[who, k] = time.perf_counter() - start
    ratio = np.divide(*seconds.min(axis=1))
    if ratio > 2:
        raise Wrong(
            f"right, but {ratio:.1f} times as slow as numlin's plain loop, allowed is 2: does it "
            "walk along rows, and may the compiler cut its sums into parts (fastmath)?"
        )
    flags = "; a sum that may be cut in parts (fastmath) is faster" if ratio > 0.8 else ""
    return f"as exercise 10; {ratio:.2f} times the time of numlin's plain loop{flags}"
