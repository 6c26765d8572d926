"""Cases that take turns, and what their samples say."""

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numlin.support.progress import Progress

LEAST_ROUNDS = 5
WARM_RUNS, WARM_SECONDS = 4, 0.02  # off the clock before each sample: so many runs, but not longer
READ_LIMIT = "limit: read"
FMA_LIMIT = {real: f"limit: multiply-add {real}" for real in ("float32", "float64")}


class WrongResult(AssertionError):
    """A case computes something else than it should, so its speed means nothing."""


@dataclass
class Case:
    """Something to time.

    Parameters
    ----------
    name : str
        Unique in its group.
    run : callable
        What is timed.
    check : callable, optional
        Called once before any timing; raises WrongResult if `run` is wrong.
    before : callable, optional
        Called before each `run`, off the clock.
    rows, n_bytes, flops : int
        Data rows visited by one run, bytes of data that it must read, operations that it must do.
    real : str
        Precision of its arithmetic, which names the multiply-add limit it is held against.
    baseline : str
        Name of the case in the same group that its time per row is divided by.
    note : str
        What a reader has to know, above all what is not equal.
    clock : callable
        Processor time, for work of one thread: what other programs take is not counted. For
        several threads or files it must be time.perf_counter.
    """

    name: str
    run: Callable
    check: Callable | None = None
    before: Callable | None = None
    rows: int = 0
    n_bytes: int = 0
    flops: int = 0
    real: str = "float32"
    baseline: str = ""
    note: str = ""
    clock: Callable = time.process_time

    def sample(self, n_runs=1):
        """Seconds of the last of `n_runs` runs."""
        for _ in range(n_runs):
            if self.before:
                self.before()
            start = self.clock()
            self.run()
            seconds = self.clock() - start
        return seconds

    def row(self, rounds, seconds):
        """The case and its samples (n_rounds,), ready for JSON."""
        kept = ("name", "rows", "n_bytes", "flops", "real", "baseline", "note")
        return {key: getattr(self, key) for key in kept} | {
            "clock": self.clock.__name__,
            "rounds": rounds,
            "seconds": seconds,
        }


def last_line(done):
    """The last words of a finished process, or its exit code if it died without any."""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def skipped(name, reason):
    """The row of a case that cannot run here."""
    return {"name": name, "skipped": reason}


def measure(label, cases, n_rounds, budget=10.0, seed=0):
    """Check and warm up every case, then time them in rounds, each in a new random order.

    What disturbs the machine for a while disturbs all cases alike, so that their ratios hold
    even where the times do not. A short case is repeated before its sample, so that it finds in
    the caches what its own runs left there, as an epoch in training does, and not what another
    case left. A case that would take more than `budget` seconds in all sits out
    most rounds, at even distances, but takes part in at least LEAST_ROUNDS.

    Parameters
    ----------
    label : str
        For the progress line.
    cases : list of Case
    n_rounds : int
    budget : float
        Seconds.
    seed : int
        Of the order within the rounds.

    Returns
    -------
    list of dict
        `Case.row` of each.
    """
    rng = np.random.default_rng(seed)
    strides, n_runs = [], []
    for case in cases:
        if case.check:
            case.check()
        cost = case.sample()
        n_runs.append(1 + min(WARM_RUNS, int(WARM_SECONDS / max(cost, 1e-9))))
        wanted = math.ceil(cost * n_runs[-1] * n_rounds / budget)
        strides.append(max(1, min(wanted, (n_rounds - 1) // (LEAST_ROUNDS - 1))))
    rounds, seconds = [[] for _ in cases], [[] for _ in cases]
    gc.collect()
    gc.disable()
    try:
        with Progress(label, n_rounds) as progress:
            for round_ in range(n_rounds):
                for i in rng.permutation(len(cases)):
                    if round_ % strides[i] == 0:
                        seconds[i].append(cases[i].sample(n_runs[i]))
                        rounds[i].append(round_)
                progress.advance()
    finally:
        gc.enable()
    return [case.row(*samples) for case, *samples in zip(cases, rounds, seconds, strict=True)]


def summary(row, group):
    """Statistics of a row, in the light of its `group`, the rows measured with it.

    Returns
    -------
    dict
        median, minimum, iqr in seconds; rows_per_s, gb_per_s, gflop_per_s at the median;
        of_read_limit and of_fma_limit as shares; ratio, the time per row over the baseline's.
        A quantity that means nothing for the row is left out.
    """
    named = {other["name"]: other for other in group if "seconds" in other}
    median = float(np.median(row["seconds"]))
    found = {"median": median, "minimum": min(row["seconds"]), "iqr": iqr(row["seconds"])}
    for key, count, unit in (
        ("rows_per_s", "rows", 1),
        ("gb_per_s", "n_bytes", 1e9),
        ("gflop_per_s", "flops", 1e9),
    ):
        if row[count]:
            found[key] = row[count] / unit / median
    for share, count, limit in (
        ("of_read_limit", "n_bytes", READ_LIMIT),
        ("of_fma_limit", "flops", FMA_LIMIT[row["real"]]),
    ):
        if row[count] and limit in named:
            best = named[limit][count] / np.median(named[limit]["seconds"])
            found[share] = row[count] / median / float(best)
    if row["baseline"] in named:
        base = named[row["baseline"]]
        found["ratio"] = _per_row(row) / _per_row(base)
    return found


def iqr(samples):
    """Distance from the first quartile to the third of samples (n,)."""
    low, high = np.percentile(samples, (25, 75))
    return float(high - low)


def _per_row(row):
    return float(np.median(row["seconds"])) / (row["rows"] or 1)
