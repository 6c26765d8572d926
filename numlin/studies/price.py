"""The price of robustness: the best that any linear classifier can do, for a grid of eps.

At every eps the global minimum of the robust hinge is found and certified (`numlin.optimum`), and
the classifier that attains it is tested, on clean images and under the attack it was made for. Up
to the l-inf margin eps* of the training set the minimum is 0.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from numlin.data import datasets
from numlin.objective import error_rate
from numlin.optimum import Margin, margin, path
from numlin.studies.clock import Clock
from numlin.support.environment import environment
from numlin.support.files import write_json


@dataclass
class Price:
    """The optimum at each eps of a grid.

    Attributes
    ----------
    dataset : dict
        name, digits, n_train, n_test, sha256 per file.
    eps : (n_eps,)
    optima : list of Optimum
    clean_error, robust_error : (n_eps,)
        Test errors without attack, and under free l-inf attacks of the same eps.
    margin : Margin
        eps*, between two certified bounds.
    """

    dataset: dict
    eps: np.ndarray
    optima: list
    clean_error: np.ndarray
    robust_error: np.ndarray
    margin: Margin
    seconds: dict = field(default_factory=dict)

    @property
    def n_pixels(self):
        """Number of non-zero weights at each eps."""
        return [int(np.count_nonzero(optimum.w)) for optimum in self.optima]

    @property
    def span(self):
        """Limits of the eps axis, never of length 0."""
        return float(self.eps.min()), float(max(self.eps.max(), self.eps.min() + 0.01))

    @property
    def caption(self):
        """What the table shows."""
        star = f"is {self.margin.lower:.12f}"
        if self.margin.lower == 0:
            star = f"is at most {self.margin.upper:.3g}"
        return (
            "Global minimum of the robust hinge; test errors of the classifier that attains it, "
            f"clean and attacked at eps. The l-inf margin eps* of the training set {star}. Up to "
            "eps* many classifiers have a loss of 0, and one of them stands for all"
        )

    def table(self):
        """Header and rows, as text."""
        header = ["eps", "minimum", "gap", "pixels", "test error", "robust test error"]
        columns = zip(
            self.eps, self.optima, self.n_pixels, self.clean_error, self.robust_error, strict=True
        )
        return header, [
            [f"{eps:g}", f"{optimum.objective:.12f}", f"{optimum.gap:.1e}", str(n_pixels),
             f"{clean:.2%}", f"{robust:.2%}"]
            for eps, optimum, n_pixels, clean, robust in columns
        ]  # fmt: skip

    def results(self):
        """The JSON-ready record that `save` writes as price.json."""
        return {
            "schema": 1,
            "study": "price",
            "dataset": self.dataset,
            "eps": self.eps.tolist(),
            "minimum": [optimum.objective for optimum in self.optima],
            "lower_bound": [optimum.lower_bound for optimum in self.optima],
            "n_pixels": self.n_pixels,
            "test_error": self.clean_error.tolist(),
            "robust_test_error": self.robust_error.tolist(),
            "margin": {"lower": self.margin.lower, "upper": self.margin.upper},
            "environment": environment(),
            "seconds": self.seconds,
        }

    def save(self, folder):
        """Write price.json into `folder`, whole or not at all."""
        write_json(Path(folder) / "price.json", self.results())


def run(source, digits, grid):
    """Find the optimum at every eps of `grid` (n_eps,), and eps*; return the `Price`.

    Parameters
    ----------
    source : numlin.data.datasets.Source
    digits : (int, int)
    grid : sequence of float
    """
    clock = Clock()
    X, y = datasets.load("train", digits, np.uint8, source)
    X_test, y_test = datasets.load("test", digits, np.float64, source)
    about = datasets.describe(source, digits, y, y_test)
    clock.lap("data")
    optima = path(X, y, grid)
    clock.lap("path")
    found = margin(X, y)
    clock.lap("margin")
    clean, robust = (
        np.array([
            error_rate(optimum.w, optimum.b, X_test, y_test, attacked * optimum.eps)
            for optimum in optima
        ])
        for attacked in (0, 1)
    )  # fmt: skip
    return Price(about, np.array(grid), optima, clean, robust, found, clock.seconds)
