"""numlin: regular and adversarially robust linear classification, from scratch and exact.

The root modules are the textbook: the objective, its gradient, training, the attack. Everything
else has a folder; the README's section "Where things are" is the order in which to read them.

The names below load when first used, so that importing numlin loads neither Numba nor
matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what editors and type checkers see
    from numlin.attacks import attack, minimal_perturbation, radii, robust_accuracy
    from numlin.balls import Ball
    from numlin.data.datasets import load
    from numlin.model import LinearClassifier
    from numlin.sgd import Training, fit, fit_many

__version__ = "0.1.0"

_HOMES = {
    "LinearClassifier": "model",
    "Training": "sgd",
    "fit": "sgd",
    "fit_many": "sgd",
    "load": "data.datasets",
    "Ball": "balls",
    "attack": "attacks",
    "minimal_perturbation": "attacks",
    "radii": "attacks",
    "robust_accuracy": "attacks",
}
__all__ = [
    "Ball",
    "LinearClassifier",
    "Training",
    "__version__",
    "attack",
    "fit",
    "fit_many",
    "load",
    "minimal_perturbation",
    "radii",
    "robust_accuracy",
]


if not TYPE_CHECKING:  # which would take any name for one of numlin's

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module 'numlin' has no attribute {name!r}")
        return getattr(import_module(f"numlin.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
