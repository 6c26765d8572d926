"""The kernels: implementation and storage x batch size x eps, held against one `X @ w`.

An epoch goes through all rows in shuffled order unless it says "block shuffle", of 1024 rows, or
"file order", in which the processor reads ahead by itself. It starts where five epochs of
training left w, with warm caches. Its operations are those of every margin and of the gradient of
the active samples; its bytes those of X, once. Processor time.
"""

import importlib.util
import inspect
from functools import cache
from pathlib import Path

import numpy as np

from bench import limits
from bench.data import BATCH, BLOCK, EPS, expect_close, numpy_epoch, start
from bench.timing import Case, measure
from numlin import kernels
from numlin.kernels import frozen
from numlin.kernels.integers import MULTIPLIES_BYTES, fits_in_integers
from numlin.kernels.loop import reads_ahead
from numlin.support.arguments import aligned_copy

STORAGES = ("float64", "float32", "uint8")
BASELINE = "X @ w float32"
OWN_KERNEL = "yours,"  # how the rows of a user's kernel begin

# How far an epoch in the type of the weights may be from one in float64: the mean loss, by the
# rounding of a sum of 784 terms; the weights by some samples whose margin rounds to the other
# side of 1, each a step of learning_rate / batch_size, and in robust training by the weights
# that cross 0 a step sooner or later, eps * learning_rate each.
LOSS_TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
STEPS_TOLERANCE = {"float64": 1e-8, "float32": 20}
# And w must have gone, on average, the way that it should: an epoch that leaves it where it was
# is off by all of it.
WAY_TOLERANCE = {"float64": 1e-6, "float32": 0.1}


def rows(data, options):
    """Rows of the group `kernels`."""
    n_rounds = 21 if options.quick else 60
    found = cases(data, options.quick, options.kernel and OwnKernel(options.kernel))
    return measure("kernels", found, n_rounds, 0.5 if options.quick else 6)


def cases(data, quick=False, own=None):
    """The cases of the group: limits, baselines, kernels in three orders; fewer if `quick`.

    `own`, a user's kernel, is checked and timed beside numlin's wherever it takes the storage.
    """
    stored = {storage: data.stored(storage) for storage in STORAGES}
    found = limits.cases(stored["float32"])
    found += [
        limits.shuffled(stored[storage], start(data, 0.1).order) for storage in ("float32", "uint8")
    ]
    if MULTIPLIES_BYTES and fits_in_integers(frozen(data.pixels)):
        steps = start(data, 0.1)
        found.append(limits.bytes_multiplied(frozen(data.pixels), steps.order, steps.w))
    found += [product(stored[real], real) for real in ("float32", "float64")]
    exact = cache(
        lambda *key: numpy_epoch(
            stored["float64"], data.y.astype(np.float64), start(data, *key), np.float64
        )
    )
    grid = [
        (eps, size)
        for size in (1, BATCH, len(data.y))
        for eps in EPS
        if size == BATCH or eps == 0.1 or not quick
    ]
    for key in grid:
        for storage in STORAGES:
            found.append(epoch("numba", stored[storage], data, key, exact))
            if own and storage in own.storages:
                case = epoch("numba", stored[storage], data, key, exact, own.name)
                case.run.own(own)
                found.append(case)
        found.append(epoch("numpy", stored["float32"], data, key, exact))
    for order in ("block shuffle", "file order"):
        for storage in STORAGES:
            found.append(epoch("numba", stored[storage], data, (0.1, BATCH, order), exact))
    return found


def product(X, real):
    """One X @ w of NumPy: the least that anything that looks at every sample can do."""
    w = np.linspace(-1, 1, X.shape[1]).astype(real)

    def check():
        exact = X[:100].astype(np.float64) @ w
        expect_close("X @ w", (X @ w)[:100], exact, 1e-3 if real == "float32" else 1e-11)

    return Case(
        f"X @ w {real}",
        lambda: X @ w,
        check,
        rows=len(X),
        n_bytes=X.nbytes,
        flops=2 * X.size,
        real=real,
        baseline=BASELINE,
        note="NumPy, BLAS, one thread",
    )


class Epoch:
    """One call of `sgd_epoch`, compiled ("numba") or its twin ("numpy"), with all its arguments.

    X (n_samples, n_features), y (n_samples,); calling trains `w` (n_features,) on, `reset` puts
    it back to the start.
    """

    def __init__(self, engine, X, y, start):
        real = np.float64 if X.dtype == np.float64 else np.float32
        self.start = start
        self.w = aligned_copy(start.w, real)
        n_batches = -(-len(start.order) // start.batch_size)
        self.kernel = kernels.load(engine).sgd_epoch
        self.arguments = kernels.arguments(
            X,
            y,
            self.w,
            start.b,
            start.order,
            np.full(n_batches, start.learning_rate),
            start.batch_size,
            eps=start.eps,
            ahead=start.ahead if reads_ahead(X, BLOCK) else kernels.NOTHING_AHEAD,
        )

    def own(self, kernel):
        """Call a user's kernel instead, which may keep the scores of the last batch."""
        steps, workspace = self.arguments.steps, self.arguments.workspace
        room = workspace._replace(score=np.empty(steps.batch_size, self.w.dtype))
        self.kernel, self.arguments = kernel, self.arguments._replace(workspace=room)

    def reset(self):
        """Back to the start."""
        self.w[:] = self.start.w

    def __call__(self):
        return self.kernel(*self.arguments)


class OwnKernel:
    """A user's kernel, "FILE:FUNCTION", with the arguments of numlin's or the simpler ones below.

    The function takes either the seven groups of `numlin.kernels.Arguments`, or

        b = function(X, y, order, w, b, eps, learning_rate, batch_size)

    and changes w; hinge, l-inf ball, mean over the batch. It may name the storages that it takes
    in `function.storages`; else those are float64 and float32.
    """

    def __init__(self, where):
        file, _, name = str(where).rpartition(":")
        if not file or not Path(file).is_file():
            raise ValueError(
                f"--with: found {where!r}, expected FILE:FUNCTION of a file that exists"
            )
        spec = importlib.util.spec_from_file_location(Path(file).stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.function, self.name = getattr(module, name, None), f"{OWN_KERNEL} {name},"
        plain = getattr(self.function, "py_func", self.function)
        if not callable(plain):
            raise ValueError(f"--with: {file} has no function {name!r}")
        self.n_arguments = len(inspect.signature(plain).parameters)
        if self.n_arguments not in (7, 8):
            raise ValueError(
                f"--with: {name} takes {self.n_arguments} arguments, expected the 7 groups of "
                "numlin.kernels or X, y, order, w, b, eps, learning_rate, batch_size"
            )
        self.storages = getattr(plain, "storages", ("float64", "float32"))

    def __call__(self, *arguments):
        """As `sgd_epoch`; a simple kernel says nothing of losses and mistakes (NaN)."""
        if self.n_arguments == 7:
            return self.function(*arguments)
        (X, y), visits, risk, steps, workspace, b, _ = arguments
        rate, size = float(steps.learning_rate[0]), steps.batch_size
        b = self.function(X, y, visits.order, workspace.w, b, risk.eps, rate, size)
        return b, np.nan, np.nan, 0, len(visits.order)


def epoch(engine, X, data, key, exact, what=None):
    """The case of an epoch of numlin's kernel, or its twin, on X (n_samples, n_features).

    `key` is what `bench.data.start` takes, and exact(*key) the plain loop's result in float64.
    """
    steps = start(data, *key)
    run = Epoch(engine, X, data.y, steps)
    real = run.w.dtype.name
    eps, batch_size, order = (*key, "shuffled")[:3]
    what = what or {"numba": "kernel", "numpy": "twin"}[engine]
    size = "full" if batch_size == len(X) else batch_size
    name = f"{what} {X.dtype} batch {size} eps {eps:g}" + f", {order}" * (order != "shuffled")
    w, b, loss, n_active = exact(*key)

    def check():
        run.reset()
        found_b, _, loss_sum, _, _ = run()
        if not np.isnan(loss_sum):
            expect_close(f"{name}, loss", loss_sum / len(X), loss, LOSS_TOLERANCE[real])
        step = steps.learning_rate * max(1 / batch_size, eps)
        expect_close(f"{name}, w", run.w, w, STEPS_TOLERANCE[real] * step)
        expect_close(f"{name}, b", found_b, b, STEPS_TOLERANCE[real] * step)
        way = np.abs(w - steps.w).mean()
        away = np.abs(run.w - w).mean() / way if way else 0.0
        expect_close(f"{name}, w, as a share of its way", away, 0, WAY_TOLERANCE[real])

    return Case(
        name,
        run,
        check,
        run.reset,
        rows=len(X),
        n_bytes=X.nbytes,
        real=real,
        flops=2 * X.shape[1] * (len(X) + n_active),
        baseline=BASELINE,
    )
