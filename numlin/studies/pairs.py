"""Every two digits: how far apart they are, and what robustness costs between them.

For each of the 45 pairs the l-inf margin eps* of the training set, up to which a hyperplane
separates it robustly, or that there is none; the smallest robust hinge F* at eps = 0.1; and the
test error of the classifier that attains it, attacked at 0.1. Nothing is trained: eps* lies between
two certified bounds, a pair without has the same certificate for 0 (`numlin.optimum.margin`), and
F* has its lower bound (`numlin.optimum.minimise`).
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from numlin.data import datasets, idx
from numlin.objective import error_rate
from numlin.optimum import margin, minimise
from numlin.studies.clock import Clock
from numlin.support.environment import environment
from numlin.support.files import write_json
from numlin.support.progress import Progress

EPS = 0.1


@dataclass
class Pairs:
    """What `solve` found for every pair, as (n_pairs,) arrays in the order of `pairs`."""

    dataset: dict
    pairs: list
    lower: np.ndarray
    upper: np.ndarray
    objective: np.ndarray
    bound: np.ndarray
    n_pixels: np.ndarray
    clean_error: np.ndarray
    robust_error: np.ndarray
    seconds: dict = field(default_factory=dict)

    eps = EPS

    @property
    def caption(self):
        """What the table shows."""
        gaps = ((self.upper - self.lower) / self.upper)[self.lower > 0]
        return (
            "The l-inf margin eps* of the training set of any two digits, the global minimum F* of "
            f"the robust hinge at eps = {EPS}, and test errors of the classifier that attains it. "
            f"{np.count_nonzero(self.lower == 0)} pairs cannot be separated by a hyperplane: their "
            f"eps* is certified below {self.upper[self.lower == 0].max(initial=0):.0e}. "
            f"Largest relative gap of the others' eps*: {gaps.max(initial=0):.0e}, of "
            f"F*: {((self.objective - self.bound) / self.objective).max():.0e}"
        )

    def table(self):
        """Header and rows, as text."""
        header = ["digits", "eps*", f"F* at {EPS}", "pixels", "test error", f"attacked at {EPS}"]
        errors = self.clean_error, self.robust_error
        columns = zip(
            self.pairs, self.lower, self.objective, self.n_pixels.astype(int), *errors, strict=True
        )
        return header, [
            [f"{a} {b}", f"{star:.10f}" if star else "inseparable", f"{least:.10f}", str(pixels),
             f"{clean:.2%}", f"{robust:.2%}"]
            for (a, b), star, least, pixels, clean, robust in columns
        ]  # fmt: skip

    def results(self):
        """The JSON-ready record that `save` writes as results.json."""
        names = "lower upper objective bound n_pixels clean_error robust_error".split()
        columns = {name: getattr(self, name).tolist() for name in names}
        return {
            "schema": 1,
            "study": "pairs",
            "dataset": self.dataset,
            "eps": EPS,
            "digits": self.pairs,
            "eps_star": [star or None for star in columns["lower"]],
            **columns,
            "environment": environment(),
            "seconds": self.seconds,
        }

    def save(self, folder):
        """Write results.json into `folder`, whole or not at all."""
        write_json(Path(folder) / "results.json", self.results())


def run(source, digits=None, seed=0, engine="numba"):
    """Solve every pair, on all processors, and return the `Pairs`; the other arguments are moot."""
    clock = Clock()
    train, test = (idx.read(source.paths[f"{split}-labels"]) for split in ("train", "test"))
    digits, found = np.unique(train), []
    pairs = list(combinations(digits.tolist(), 2))
    with Progress("solving", len(pairs)) as progress, ProcessPoolExecutor() as pool:
        for row in pool.map(solve, [source] * len(pairs), pairs):
            found.append(row)
            progress.advance()
    clock.lap("solve")
    about = datasets.describe(source, digits, train, test)
    return Pairs(about, pairs, *np.array(found).T, clock.seconds)


def solve(source, digits):
    """Bounds of eps*, F* and its bound, pixels, clean and robust test error of one pair: (7,)."""
    X, y = datasets.load("train", digits, np.uint8, source)
    X_test, y_test = datasets.load("test", digits, np.float64, source)
    star, best = margin(X, y), minimise(X, y, EPS)
    errors = [error_rate(best.w, best.b, X_test, y_test, attacked) for attacked in (0.0, EPS)]
    pixels = np.count_nonzero(best.w)
    return star.lower, star.upper, best.objective, best.lower_bound, pixels, *errors
