"""The price of robustness: the best that any linear classifier can do, for every eps.

The exact path (`numlin.optimum.walk`) gives the global minimum of the robust hinge and the
classifier that attains it for all eps at once. On a grid they are certified once more, and tested,
on clean images and under the attack they were made for. Up to the l-inf margin eps* of the training
set the minimum is 0. And past half the distance of the nearest two images of different classes
(`nearest`) no classifier at all, linear or not, is right about both all over their balls.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path as File

import numpy as np

from numlin import optimum
from numlin.data import datasets
from numlin.objective import error_rate
from numlin.optimum import Margin, Path
from numlin.optimum.nearest import nearest
from numlin.studies.clock import Clock
from numlin.support.environment import environment
from numlin.support.files import write_json

GRID = 51  # points where no grid is given


@dataclass
class Price:
    """The optimum at every eps of a range, tested on a grid.

    Attributes
    ----------
    dataset : dict
        name, digits, n_train, n_test, sha256 per file.
    path : Path
    eps : (n_eps,)
    clean_error, robust_error : (n_eps,)
        Test errors without attack, and under l-inf attacks of the same eps and ball.
    margin : Margin
        eps*, between two certified bounds.
    touching : float
        The eps from which two balls of training images of different classes meet.
    exact : list of Fraction, or None
        The eps between the segments, if they are proved.
    """

    dataset: dict
    path: Path
    eps: np.ndarray
    clean_error: np.ndarray
    robust_error: np.ndarray
    margin: Margin
    touching: float
    seconds: dict = field(default_factory=dict)
    exact: list | None = None

    @property
    def minimum(self):
        """F* at each eps."""
        return [self.path.at(eps).value(eps) for eps in self.eps]

    @property
    def eps_star(self):
        """eps* as a float, or None where no hyperplane separates the classes."""
        return self.margin.lower or None

    @property
    def n_pixels(self):
        """Number of non-zero weights at each eps."""
        return [self.path.at(eps).n_pixels for eps in self.eps]

    @property
    def span(self):
        """Limits of the eps axis, never of length 0."""
        return float(self.eps.min()), float(max(self.eps.max(), self.eps.min() + 0.01))

    @property
    def caption(self):
        """What the table shows."""
        star = f"is {self.margin.lower:.12f}" if self.eps_star else "is none: no hyperplane does"
        return (
            f"{len(self.path.segments):,} classifiers are the global minimum of the robust hinge "
            f"for some eps from {self.path.low:g} to {self.path.high:g}; test errors, clean and "
            "attacked at eps, on a grid. The largest eps at which the training set can be "
            f"separated robustly, eps*, {star}. Up to eps* many classifiers have a loss of 0, and "
            "one of them stands for all"
        )

    def table(self):
        """Header and rows, as text."""
        header = ["eps", "minimum", "gap", "pixels", "test error", "robust test error"]
        columns = zip(
            self.eps, self.minimum, self.n_pixels, self.clean_error, self.robust_error, strict=True
        )
        return header, [
            [f"{eps:g}", f"{least:.12f}", f"{least - self.path.bounds[eps]:.1e}", str(n_pixels),
             f"{clean:.2%}", f"{robust:.2%}"]
            for eps, least, n_pixels, clean, robust in columns
        ]  # fmt: skip

    def segments(self):
        """The JSON-ready segments, from small to large eps."""
        found = [
            {"eps": [s.low, s.high], "hinge": s.hinge, "l1": s.l1, "pixels": s.n_pixels}
            for s in self.path.segments
        ]
        if self.exact is not None:
            low, high = Fraction(str(self.path.low)), Fraction(str(self.path.high))
            ends = [low, *(eps for eps in reversed(self.exact) if low < eps < high), high]
            for record, span in zip(found, pairwise(ends), strict=True):
                record["eps_exact"] = [str(eps) for eps in span]
        return found

    def results(self):
        """The JSON-ready record that `save` writes as price.json."""
        return {
            "schema": 2,
            "study": "price",
            "dataset": self.dataset,
            "eps_star": self.eps_star,
            "segments": self.segments(),
            "n_pivots": len(self.path.walk.events),
            "eps": self.eps.tolist(),
            "minimum": self.minimum,
            "lower_bound": [self.path.bounds[eps] for eps in self.eps],
            "n_pixels": self.n_pixels,
            "test_error": self.clean_error.tolist(),
            "robust_test_error": self.robust_error.tolist(),
            "margin": {"lower": self.margin.lower, "upper": self.margin.upper},
            "touching": self.touching,
            "environment": environment(),
            "seconds": self.seconds,
        }

    def save(self, folder):
        """Write price.json into `folder`, whole or not at all."""
        write_json(File(folder) / "price.json", self.results())


def run(source, digits, low, high, grid=None):
    """Find the optimum at every eps from `low` to `high`, and eps*; return the `Price`.

    Parameters
    ----------
    source : numlin.data.datasets.Source
    digits : (int, int)
    low, high : float
    grid : sequence of float
        Where the optima are tested; default: 51 points up to the last change of the classifier.
    """
    clock = Clock()
    X, y = datasets.load("train", digits, np.uint8, source)
    X_test, y_test = datasets.load("test", digits, np.float64, source)
    about = datasets.describe(source, digits, y, y_test)
    clock.lap("data")
    grid = np.linspace(low, min(high, 0.5), GRID) if grid is None else np.array(grid)
    found = optimum.whole_path(X, y, low, high, grid)
    clock.lap("path")
    star = optimum.margin(X, y)
    clock.lap("margin")
    touching = nearest(X, y)
    clock.lap("nearest")
    errors = np.empty((2, len(grid)))
    for k, eps in enumerate(grid):
        w, b = found.at(eps).classifier(eps)
        errors[:, k] = [error_rate(w, b, X_test, y_test, attacked) for attacked in (0.0, eps)]
    return Price(about, found, grid, *errors, star, touching, clock.seconds)
