"""The article as an experiment: one regular and three robust classifiers, then the attack.

Protocol: batches of 100, 10 epochs, constant step, Glorot start. The regular model takes steps
of 0.1 on the mean hinge loss; the robust ones, eps = 0.1, 0.2, 0.3, steps of 0.0001 on the
*sum* over the batch (the gradient of an unreduced loss vector), which is 0.01 on the mean.
Then every test image is moved by -y eps sign(w) for 101 values of eps. Beside the four stand the
global minima of the three robust objectives (`numlin.optimum`), from which ten epochs stay far,
those of a few more eps, and those against the adversary who must keep all pixels in [0, 1].
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numlin.attacks import radii, robust_accuracy
from numlin.balls import BALLS, LINF, LINF_BOX
from numlin.callbacks import BatchMetrics, EpochMetrics, GradientCollector, WeightSnapshots
from numlin.data import datasets
from numlin.losses import hinge
from numlin.model import LinearClassifier
from numlin.objective import error_rate, objective, score
from numlin.optimum import path
from numlin.optimum.ahead import compiling
from numlin.sgd import Training, fit
from numlin.studies.clock import Clock
from numlin.support.arguments import pixels
from numlin.support.environment import environment
from numlin.support.files import write_json
from numlin.support.progress import Progress
from numlin.support.threads import side_by_side

ATTACK_EPS = np.arange(101) / 200
TABLE_EPS = (0.1, 0.2, 0.3)
PATH_EPS = (0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.48)
PROTOCOL = {
    "regular": {"eps": 0.0, "learning_rate": 0.1, "reduction": "mean"},
    **{
        f"robust-{eps}": {"eps": eps, "learning_rate": 0.0001, "reduction": "sum"}
        for eps in TABLE_EPS
    },
}


class Records(NamedTuple):
    """The callbacks of one training run.

    `metrics` has per epoch train_loss, train_error, test_loss, test_error; `batches` the loss
    and accuracy of every batch, `gradients` its subgradient, `snapshots` the weights after
    every epoch.
    """

    metrics: EpochMetrics
    batches: BatchMetrics
    gradients: GradientCollector
    snapshots: WeightSnapshots


@dataclass
class ModelRun:
    """One trained model with what was recorded on the way.

    Attributes
    ----------
    model : LinearClassifier
    train_loss : float
        The training objective at the end, with the model's own eps.
    train_error : float
        Share of clean training images in error; `test_error` is that of the test images.
    test_mistakes : int
    radius, radius_box : (n_test,)
        Exact l-inf distance of every test image to the boundary, free and in the pixel box.
    lower_bound : float
        Certified: no linear classifier has a smaller training objective at this eps.
    records : Records or None
        What was recorded during training; None for the optima.
    path_loss : (n_path,)
        The training objective of this model at every eps of `PATH_EPS`.
    """

    model: LinearClassifier
    train_loss: float
    train_error: float
    test_mistakes: int
    radius: np.ndarray
    radius_box: np.ndarray
    lower_bound: float = 0.0
    records: Records | None = None
    path_loss: np.ndarray | None = None

    @property
    def gap(self):
        """Training objective minus its lower bound: how far the model is from the optimum."""
        return self.train_loss - self.lower_bound

    @property
    def test_error(self):
        """The share of clean test images in error."""
        return self.test_mistakes / len(self.radius)

    def robust_error(self, eps, box=False):
        """Share of test images that an attack of strength `eps`, float or (n_eps,), fools."""
        return 1 - robust_accuracy(self.radius_box if box else self.radius, eps)


@dataclass
class Article:
    """Everything the experiment found; its figures and tables are drawn from this alone.

    Attributes
    ----------
    dataset : dict
        name, digits, n_train, n_test, shape of an image, sha256 per file.
    seed : int
    X_test, y_test : (n_test, n_features), (n_test,)
        In float64.
    runs : dict of ModelRun
        Keyed "regular", "robust-0.1", "robust-0.2", "robust-0.3".
    optima : dict of ModelRun
        The global minima of the robust objectives, keyed "optimum-0.1", "optimum-0.2",
        "optimum-0.3", and in the pixel box, keyed "boxed-0.1", "boxed-0.2", "boxed-0.3".
    path : list of Optimum
        The free global minima at every eps of `PATH_EPS`.
    seconds : dict of float
        Per stage; "compile" is a first training of two samples, which compiles the kernel or
        loads it from its cache.
    """

    dataset: dict
    seed: int
    X_test: np.ndarray
    y_test: np.ndarray
    runs: dict = field(default_factory=dict)
    optima: dict = field(default_factory=dict)
    path: list = field(default_factory=list)
    seconds: dict = field(default_factory=dict)

    @property
    def shape(self):
        """(height, width) of an image."""
        return tuple(self.dataset.get("shape", (28, 28)))

    def results(self):
        """The JSON-ready record that `save` writes as results.json."""
        return {
            "schema": 1,
            "dataset": self.dataset,
            "seed": self.seed,
            "models": {
                name: {
                    "eps": run.model.eps,
                    "train_loss": run.train_loss,
                    "train_error": run.train_error,
                    "test_error": run.test_error,
                    "test_mistakes": run.test_mistakes,
                    "history": run.records.metrics.history,
                    "lower_bound": run.lower_bound,
                    "gap": run.gap,
                }
                for name, run in self.runs.items()
            },
            "optima": {
                name: {
                    "eps": run.model.eps,
                    "ball": run.model.ball,
                    "train_loss": run.train_loss,
                    "lower_bound": run.lower_bound,
                    "gap": run.gap,
                    "n_pixels": int(np.count_nonzero(run.model.w)),
                    "train_error": run.train_error,
                    "test_error": run.test_error,
                    "test_mistakes": run.test_mistakes,
                }
                for name, run in self.optima.items()
            },
            "path": {
                "eps": [found.eps for found in self.path],
                "minimum": [found.objective for found in self.path],
                "lower_bound": [found.lower_bound for found in self.path],
                "n_pixels": [int(np.count_nonzero(found.w)) for found in self.path],
            },
            "attack": {
                "eps": ATTACK_EPS.tolist(),
                "robust_accuracy": self._curves("radius"),
                "robust_accuracy_box": self._curves("radius_box"),
            },
            "environment": environment(),
            "seconds": self.seconds,
        }

    def _curves(self, kind):
        return {
            name: robust_accuracy(getattr(run, kind), ATTACK_EPS).tolist()
            for name, run in (self.runs | self.optima).items()
        }

    caption = (
        "Errors on clean images, then under l-inf attacks, free (eps) or in the pixel box (box); "
        "training objective at the model's own eps and ball, a certified lower bound of what any "
        "linear classifier reaches (0 for the regular model, as for any), and the gap between them"
    )

    def table(self):
        """Header and rows of the result table, as text."""
        header = ["model", "train error", "test error", "mistakes"]
        header += [f"eps {eps}" for eps in TABLE_EPS] + [f"box {eps}" for eps in TABLE_EPS]
        header += ["objective", "bound", "gap"]
        rows = []
        for name, run in (self.runs | self.optima).items():
            errors = [run.train_error, run.test_error]
            robust = [run.robust_error(eps, box) for box in (False, True) for eps in TABLE_EPS]
            cells = [f"{error:.2%}" for error in errors + robust]
            ending = [f"{run.train_loss:.6f}", f"{run.lower_bound:.6f}", f"{run.gap:.1e}"]
            rows.append([name, *cells[:2], str(run.test_mistakes), *cells[2:], *ending])
        return header, rows

    def save(self, folder):
        """Write models/*.npz and results.json into `folder`, each file whole or not at all."""
        for name, run in (self.runs | self.optima).items():
            run.model.save(Path(folder) / "models" / f"{name}.npz")
        write_json(Path(folder) / "results.json", self.results())


def run(source, digits=(0, 1), seed=0, engine="numba"):
    """Train the four models, attack them, and return the `Article`.

    Parameters
    ----------
    source : numlin.data.datasets.Source
        Where the digits come from.
    digits : (int, int)
        The first is y = -1, the second y = +1.
    seed : int
        Of start and order; the four models share both.
    engine : "numba" or "numpy"

    Returns
    -------
    Article
        With X_test of shape (n_test, 784).
    """
    clock = Clock()
    raw, y = datasets.load("train", digits, np.uint8, source)
    raw_test, y_test = datasets.load("test", digits, np.uint8, source)
    train, test = (pixels(raw, np.float32), y), (pixels(raw_test, np.float32), y_test)
    X_test = pixels(raw_test, np.float64)
    article = Article(
        dataset=datasets.describe(source, digits, y, y_test),
        seed=seed,
        X_test=X_test,
        y_test=y_test,
        seconds=clock.seconds,
    )
    clock.lap("data")
    trained = {}
    with Progress("training", len(PROTOCOL) + 1) as progress:
        with compiling():
            fit(np.eye(2, dtype=np.float32), [-1, 1], Training(n_epochs=1, engine=engine))
            clock.lap("compile")
            for name, protocol in PROTOCOL.items():
                progress.advance(note=name)
                model = LinearClassifier(**protocol, seed=seed, engine=engine)
                trained[name] = model, _record(model, train, test, article.dataset)
            clock.lap("train")
            progress.advance(note="the optima, free and in the pixel box")
        both = (PATH_EPS, LINF), (TABLE_EPS, LINF_BOX)
        article.path, boxed = side_by_side(lambda job: path(raw, y, job[0], ball=job[1]), both, 2)
        optima = {f"optimum-{found.eps}": found for found in article.path if found.eps in TABLE_EPS}
        optima |= {f"boxed-{found.eps}": found for found in boxed}
        clock.lap("optimum")
    models = {name: model for name, (model, _) in trained.items()}
    for name, found in optima.items():
        models[name] = LinearClassifier.from_weights(
            found.w,
            found.b,
            eps=found.eps,
            ball=LINF_BOX.name if found.box else LINF.name,
            engine=engine,
            trained_on={**article.dataset, "solver": "numlin.optimum.path"},
        )
    X = pixels(raw, np.float64)
    runs = side_by_side(lambda model: _evaluate(model, X, y, X_test, y_test), models.values(), 2)
    runs = dict(zip(models, runs, strict=True))
    bounds = {0.0: 0.0} | {eps: optima[f"optimum-{eps}"].lower_bound for eps in TABLE_EPS}
    for name, (model, records) in trained.items():
        run = article.runs[name] = runs[name]
        run.lower_bound, run.records = bounds[model.eps], records
    for name, found in optima.items():
        run = article.optima[name] = runs[name]
        run.lower_bound = found.lower_bound
    clock.lap("attack")
    return article


def _record(model, train, test, dataset):
    """Fit `model` with every recorder attached, and return the recorders."""
    records = Records(
        EpochMetrics(train=train, test=test), BatchMetrics(), GradientCollector(), WeightSnapshots()
    )
    model.fit(*train, callbacks=records, trained_on=dataset)
    return records


def _evaluate(model, X, y, X_test, y_test):
    """The `ModelRun` of a model, everything in float64."""
    w, b = model.w, model.b
    margin, drops = y * score(w, b, X), np.multiply(PATH_EPS, LINF.dual_norm(w))
    return ModelRun(
        model=model,
        train_loss=float(objective(w, b, X, y, model.eps, ball=BALLS[model.ball])),
        train_error=error_rate(w, b, X, y),
        test_mistakes=round(error_rate(w, b, X_test, y_test) * len(y_test)),
        radius=radii(w, b, X_test, y_test, LINF, model.engine),
        radius_box=radii(w, b, X_test, y_test, LINF_BOX, model.engine),
        path_loss=np.array([hinge(margin - drop).mean() for drop in drops]),
    )
