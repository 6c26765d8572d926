"""Does an attack computed without the model fool it? The article's models against one another.

The training set is split in two disjoint halves. Surrogates learn from one half, victims from
the other, by the article's four protocols. The perturbation -y eps sign(w) of each surrogate is
added to the test images, and each victim classifies them: a black-box attack, for all it uses
of the victim is that it is linear too. The victims' own attacks stand beside it.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from numlin.attacks import attack
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.objective import error_rate
from numlin.studies.article import PROTOCOL
from numlin.studies.clock import Clock
from numlin.support.environment import environment
from numlin.support.files import write_json
from numlin.support.progress import Progress

EPS = 0.1


@dataclass
class Transfer:
    """Errors of four victims under the attacks of four surrogates, and under their own.

    Attributes
    ----------
    dataset : dict
        name, digits, n_train, n_test, sha256 per file.
    seed : int
    eps : float
        Strength of every attack, in pixel units.
    error : (4, 4)
        Row: surrogate, column: victim, in the order of the article's protocols.
    white_box, clean : (4,)
        Error of each victim under its own attack, and without any.
    """

    dataset: dict
    seed: int
    eps: float
    error: np.ndarray
    white_box: np.ndarray
    clean: np.ndarray
    seconds: dict = field(default_factory=dict)

    @property
    def caption(self):
        """What the table shows."""
        return (
            f"Errors of victims on test images moved by l-inf {self.eps} along the weights of "
            "surrogates that were trained on the other half of the training set"
        )

    def table(self):
        """Header and rows, as text."""
        rows = [["clean images", *self.clean], ["its own attack", *self.white_box]]
        rows += [[f"attack on {k}", *row] for k, row in zip(PROTOCOL, self.error, strict=True)]
        header = ["victim's error under", *PROTOCOL]
        return header, [[name, *(f"{error:.2%}" for error in errors)] for name, *errors in rows]

    def results(self):
        """The JSON-ready record that `save` writes as results.json."""
        return {
            "schema": 1,
            "study": "transfer",
            "dataset": self.dataset,
            "seed": self.seed,
            "eps": self.eps,
            "models": list(PROTOCOL),
            "error_by_surrogate_and_victim": self.error.tolist(),
            "white_box_error": self.white_box.tolist(),
            "clean_error": self.clean.tolist(),
            "environment": environment(),
            "seconds": self.seconds,
        }

    def save(self, folder):
        """Write results.json into `folder`, whole or not at all."""
        write_json(Path(folder) / "results.json", self.results())


def run(source, digits=(0, 1), seed=0, engine="numba", eps=EPS):
    """Train four surrogates and four victims on disjoint halves; return the `Transfer`.

    Parameters
    ----------
    source : numlin.data.datasets.Source
    digits : (int, int)
    seed : int
        Of the split; surrogates start from it, victims from the next one.
    engine : "numba" or "numpy"
    eps : float
        Strength of the attack.

    Returns
    -------
    Transfer
        Its matrix is (4, 4).
    """
    clock = Clock()
    X, y = datasets.load("train", digits, np.uint8, source)
    X_test, y_test = datasets.load("test", digits, np.float64, source)
    dataset = datasets.describe(source, digits, y, y_test)
    clock.lap("data")
    halves = np.array_split(np.random.default_rng(seed).permutation(len(X)), 2)
    with Progress("training", 2 * len(PROTOCOL)) as progress:
        surrogates, victims = (
            _train(X[half], y[half], seed + k, engine, progress) for k, half in enumerate(halves)
        )
    clock.lap("train")

    def error(model, images):
        return error_rate(model.w, model.b, images, y_test)

    def attacked(model):
        return attack(model.w, model.b, X_test, y_test, eps).X_adv

    images = [attacked(surrogate) for surrogate in surrogates]
    matrix = np.array([[error(victim, moved) for victim in victims] for moved in images])
    white_box = np.array([error(victim, attacked(victim)) for victim in victims])
    clean = np.array([error(victim, X_test) for victim in victims])
    clock.lap("attack")
    return Transfer(dataset, seed, eps, matrix, white_box, clean, clock.seconds)


def _train(X, y, seed, engine, progress):
    """The article's four models, trained on X (n_samples, n_features) and y (n_samples,)."""
    models = []
    for name, protocol in PROTOCOL.items():
        models.append(LinearClassifier(**protocol, seed=seed, engine=engine).fit(X, y))
        progress.advance(note=name)
    return models
