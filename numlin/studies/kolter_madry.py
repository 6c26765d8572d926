"""Kolter and Madry, Adversarial Robustness, chapter 2 (linear models), run again and corrected.

Protocol: digits 0 and 1, logistic loss, start uniform in +-1/28, batches of 100 in random order,
constant step. The standard model takes 10 epochs of step 1; the robust one, l-inf eps = 0.2, 20
epochs of step 0.1. Training columns are running averages over the last epoch.

The tutorial says that its attacked errors also hold when pixels must stay in [0, 1]. They do
not: inside the box the exact worst case is clip(x - y eps sign(w), 0, 1), and it does less.

Source: https://adversarial-ml-tutorial.org/linear_models/
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from numlin.balls import LINF, LINF_BOX
from numlin.data import datasets
from numlin.losses import LOGISTIC
from numlin.model import LinearClassifier
from numlin.objective import is_error, objective, robust_margin
from numlin.optimum import minimise
from numlin.studies.clock import Clock
from numlin.support.arguments import check_number, pixels
from numlin.support.environment import environment
from numlin.support.files import write_json
from numlin.support.progress import Progress

EPS = 0.2
COMMON = {"loss": "logistic", "start": "fan-in", "batch_size": 100}
PROTOCOL = {
    "standard": {**COMMON, "eps": 0.0, "learning_rate": 1.0, "n_epochs": 10},
    "robust": {**COMMON, "eps": EPS, "learning_rate": 0.1, "n_epochs": 20},
}
PUBLISHED = {
    "standard, training": (0.000790, 0.002529),
    "standard, clean test": (0.000946, 0.001997),
    "standard, attacked": (0.845863, 3.451744),
    "standard, attacked in the pixel box": None,
    "robust, training (attacked)": (0.034741, 0.136175),
    "robust, clean test": (0.003783, 0.008186),
    "robust, attacked": (0.025059, 0.106629),
    "robust, attacked in the pixel box": None,
}
REMARK = (
    "The tutorial's remark that its attacked numbers also hold when pixels are clipped to [0, 1] "
    "does not hold: the rows 'in the pixel box' are the exact worst case there."
)


@dataclass
class KolterMadry:
    """Errors and losses over seeds.

    Attributes
    ----------
    dataset : dict
        name, digits, n_train, n_test, sha256 per file.
    seeds : list of int
    measured : dict
        For each row of `PUBLISHED` an array (n_seeds, 2) of error and loss.
    models : dict of LinearClassifier
        "standard" and "robust" of the first seed.
    objectives : dict
        For each model an array (n_seeds,) of the training objective of its last weights.
    optima : dict of Optimum
        The minimum of each objective, or its infimum: the standard one has no minimum.
    seconds : dict of float
        Per stage.
    """

    dataset: dict
    seeds: list
    measured: dict = field(default_factory=dict)
    models: dict = field(default_factory=dict)
    objectives: dict = field(default_factory=dict)
    optima: dict = field(default_factory=dict)
    seconds: dict = field(default_factory=dict)

    @property
    def caption(self):
        """What the table shows."""
        ours = (
            f"ours: median [least, largest] of {len(self.seeds)} seed{'s' * (len(self.seeds) > 1)}"
        )
        gaps = "; ".join(
            f"{name} {np.median(reached):.6f}, no linear classifier is below "
            f"{self.optima[name].lower_bound:.6f} (certified), gap {gap:.1e}"
            for name, reached in self.objectives.items()
            for gap in [np.median(reached) - self.optima[name].lower_bound]
        )
        return (
            f"Errors and losses under the l-inf attack of eps = {EPS}; {ours}. Training objective "
            f"at the end: {gaps}. {REMARK}"
        )

    def table(self):
        """Header and rows, as text: published error and loss, then median [min, max] of ours."""
        header = ["", "published error", "our error", "published loss", "our loss"]
        rows = []
        for name, published in PUBLISHED.items():
            row = [name]
            for column in range(2):
                values = self.measured[name][:, column]
                spread = f"[{values.min():.4f}, {values.max():.4f}]"
                row.append(f"{published[column]:.4f}" if published else "claimed the same")
                row.append(f"{np.median(values):.4f} {spread}")
            rows.append(row)
        return header, rows

    def results(self):
        """The JSON-ready record that `save` writes as results.json."""
        return {
            "schema": 1,
            "study": "kolter-madry",
            "dataset": self.dataset,
            "seeds": self.seeds,
            "rows": {
                name: {"published": _pair(published), **_pair(self.measured[name].T.tolist())}
                for name, published in PUBLISHED.items()
            },
            "objectives": {
                name: {
                    "objective": reached.tolist(),
                    "lower_bound": self.optima[name].lower_bound,
                    "gap": (reached - self.optima[name].lower_bound).tolist(),
                    "minimum": self.optima[name].objective,
                    "attained": self.optima[name].attained,
                }
                for name, reached in self.objectives.items()
            },
            "environment": environment(),
            "seconds": self.seconds,
        }

    def save(self, folder):
        """Write models/*.npz and results.json into `folder`, each file whole or not at all."""
        for name, model in self.models.items():
            model.save(Path(folder) / "models" / f"{name}.npz")
        write_json(Path(folder) / "results.json", self.results())


def run(source, digits=(0, 1), seed=0, engine="numba", n_seeds=8):
    """Train both models once a seed, from `seed` on, attack them, and return the `KolterMadry`.

    Parameters
    ----------
    source : numlin.data.datasets.Source
    digits : (int, int)
    seed : int
        The first.
    engine : "numba" or "numpy"
    n_seeds : int
        How many.

    Returns
    -------
    KolterMadry
        Its arrays are (n_seeds, 2).
    """
    check_number("seeds", n_seeds, low=1, integer=True)
    clock, seeds = Clock(), list(range(seed, seed + n_seeds))
    train = datasets.load("train", digits, np.uint8, source)
    X, y = datasets.load("test", digits, np.float64, source)
    about = datasets.describe(source, digits, train[1], y)
    study = KolterMadry(about, seeds, seconds=clock.seconds)
    clock.lap("data")
    found, reached = {name: [] for name in PUBLISHED}, {name: [] for name in PROTOCOL}
    pixels_train = pixels(train[0], np.float64)
    with Progress("training", 2 * len(seeds)) as progress:
        for seed in seeds:
            for name, protocol in PROTOCOL.items():
                model = LinearClassifier(**protocol, seed=seed, engine=engine)
                model.fit(*train, trained_on=study.dataset)
                study.models.setdefault(name, model)
                at_end = objective(model.w, model.b, pixels_train, train[1], model.eps, LOGISTIC)
                reached[name].append(at_end)
                for row, value in _rows(name, model, X, y).items():
                    found[row].append(value)
                progress.advance(note=f"{name}, seed {seed}")
    study.measured = {name: np.array(values) for name, values in found.items()}
    study.objectives = {name: np.array(values) for name, values in reached.items()}
    clock.lap("train")
    study.optima = {
        name: minimise(*train, protocol["eps"], loss=LOGISTIC)
        for name, protocol in PROTOCOL.items()
    }
    clock.lap("optimum")
    return study


def _pair(values):
    """{"error": ..., "loss": ...}, or None for what was not published."""
    return values and dict(zip(("error", "loss"), values, strict=True))


def _rows(name, model, X, y):
    """(error, loss) of the model for each of its rows in `PUBLISHED`."""
    training = f"{name}, training" + (" (attacked)" if model.eps else "")
    return {
        training: (model.errors_[-1], model.losses_[-1]),
        f"{name}, clean test": _error_and_loss(model, X, y, 0.0, LINF),
        f"{name}, attacked": _error_and_loss(model, X, y, EPS, LINF),
        f"{name}, attacked in the pixel box": _error_and_loss(model, X, y, EPS, LINF_BOX),
    }


def _error_and_loss(model, X, y, eps, ball):
    margin = robust_margin(model.w, model.b, X, y, eps, ball)
    return np.mean(is_error(margin)), LOGISTIC.value(margin).mean()
