"""What this machine can do at best, on one thread: read memory, and multiply and add.

Both kernels are as plain as the ones they are a limit for, and compiled with the same options.
"""

import numpy as np

from bench.timing import FMA_LIMIT, READ_LIMIT, Case, WrongResult
from numlin.kernels.compiled import GROUP, ROWS_AHEAD, start_reading
from numlin.kernels.integers import dot_four_bytes, new_rounded, round_weights, unit_for
from numlin.kernels.jit import jit, wide_vectors

DEGREE = 16  # multiply-adds for every number that is loaded
IN_CACHE = 2048  # numbers: they stay in the first-level cache


@jit
def read(words):
    """Sum of all words (n,)."""
    wide_vectors()
    total = 0
    for j in range(words.size):
        total += words[j]
    return total


@jit
def read_rows(words, order):
    """Sum of all words (n_samples, n), row by row in `order` (n_samples,), asked for ahead."""
    wide_vectors()
    total = 0
    for k in range(order.size):
        start_reading(words, order[min(k + ROWS_AHEAD, order.size - 1)])
        for j in range(words.shape[1]):
            total += words[order[k], j]
    return total


@jit
def sum_bytes(X, order, rounded):
    """Sum of x.q of the rows X (n_samples, n_features) in `order`, four at a time, asked for ahead.

    q are the integers in `rounded`; a last group cut short is left out.
    """
    total, last = 0, order.size - 1
    for k in range(0, order.size - GROUP + 1, GROUP):
        ahead = k + ROWS_AHEAD
        of_g, of_h, of_i, of_j = dot_four_bytes(
            X, order[k], order[k + 1], order[k + 2], order[k + 3], rounded,
            order[min(ahead, last)], order[min(ahead + 1, last)], order[min(ahead + 2, last)],
            order[min(ahead + 3, last)], X.shape[1],
        )  # fmt: skip
        total += of_g + of_h + of_i + of_j
    return total


@jit
def multiply_add(x, repeats, out):
    """out[j] += 1 + x + ... + x^DEGREE at x[j] by Horner's rule, `repeats` times."""
    wide_vectors()
    one = x.dtype.type(1)
    for _ in range(repeats):
        for j in range(x.size):
            value = one
            for _ in range(DEGREE):
                value = value * x[j] + one
            out[j] += value


def cases(X, repeats=2000):
    """The limits as cases: reading X (n_samples, n_features) in order, multiply-adds."""
    words = X.reshape(-1)[: X.size // 8 * 8].view(np.int64)

    def check():
        if read(words) != words.sum():
            raise WrongResult(f"{READ_LIMIT}: found {read(words)}, expected {words.sum()}")

    return [
        Case(
            READ_LIMIT,
            lambda: read(words),
            check,
            n_bytes=words.nbytes,
            note=f"the {words.nbytes / 1e6:.0f} MB of X {X.dtype}, in order",
        ),
        *(_multiply_add(real, repeats) for real in FMA_LIMIT),
    ]


def shuffled(X, order):
    """The case of reading every row of X (n_samples, n_features) once, in `order`."""
    words = X[:, : X.shape[1] // 8 * 8].view(np.int64)
    name = f"{READ_LIMIT}, {X.dtype} rows shuffled"

    def check():
        if read_rows(words, order) != words.sum():
            raise WrongResult(f"{name}: found {read_rows(words, order)}, expected {words.sum()}")

    return Case(
        name,
        lambda: read_rows(words, order),
        check,
        rows=len(X),
        n_bytes=X.nbytes,
        baseline=name,
        note="every row once, in the order of an epoch, asked for ahead as the kernels do",
    )


def bytes_multiplied(X, order, w):
    """The case of all sums that the kernel takes of raw pixels X in `order`, with w rounded."""
    name = "limit: sums of bytes, uint8 rows shuffled"
    rounded = new_rounded(X)
    round_weights(w, 1.0, unit_for(w), rounded)
    q = rounded[: X.shape[1]].astype(np.int64)

    def check():
        rows = X[order[: len(order) // GROUP * GROUP]].astype(np.int64)
        expected = int((rows @ q).sum())
        if (found := sum_bytes(X, order, rounded)) != expected:
            raise WrongResult(f"{name}: found {found}, expected {expected}")

    return Case(
        name,
        lambda: sum_bytes(X, order, rounded),
        check,
        rows=len(X),
        n_bytes=X.nbytes,
        baseline=f"{READ_LIMIT}, uint8 rows shuffled",
        note="what the kernel sums in integers, with nothing else done",
    )


def _multiply_add(real, repeats):
    x, out = np.full(IN_CACHE, 0.5, real), np.zeros(IN_CACHE, real)

    def check():
        out[:] = 0
        multiply_add(x, 1, out)
        series = 2 - 0.5**DEGREE
        if not np.array_equal(out, np.full(IN_CACHE, series, real)):
            raise WrongResult(f"{FMA_LIMIT[real]}: found {out[0]}, expected {series}")

    return Case(
        FMA_LIMIT[real],
        lambda: multiply_add(x, repeats, out),
        check,
        real=real,
        flops=2 * DEGREE * IN_CACHE * repeats,
        note="Horner's rule, in first-level cache",
    )
