"""numlin: regular and adversarially robust linear classification, from scratch and exact.

Reading order: `losses`, `balls`, `objective` are the mathematics in NumPy; `kernels` is one
epoch of SGD, plain and compiled; `sgd` the loop above it; `model` the estimator; `attacks` the
exact adversary; `studies` the published experiments run again.

The names below load when first used, so that importing numlin loads neither Numba nor
matplotlib.
"""

from importlib import import_module

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
__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'numlin' has no attribute {name!r}")
    return getattr(import_module(f"numlin.{_HOMES[name]}"), name)


def __dir__():
    return sorted(__all__)
