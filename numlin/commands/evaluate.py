"""`numlin evaluate`: clean and robust errors of a saved model, and its distance from the best."""

import numpy as np

from numlin.attacks import radii, robust_accuracy
from numlin.commands.shared import load_model_and_data, load_split, model_options, title
from numlin.data import datasets
from numlin.objective import error_rate, objective
from numlin.optimum import minimise
from numlin.support.arguments import pixels
from numlin.support.text import table


def options(parser):
    """Declare the options of `numlin evaluate`."""
    model_options(parser)


def run(options):
    """Print clean and robust errors of a saved model on both splits."""
    model, source, digits = load_model_and_data(options)
    rows = []
    for split in ("train", "test"):
        X, y = load_split(model, split, digits, source)
        cells = [f"{error_rate(model.w, model.b, X, y):.2%}"]
        for ball in options.ball:
            radius = radii(model.w, model.b, X, y, ball, model.engine)
            cells += [f"{error:.2%}" for error in 1 - robust_accuracy(radius, options.eps)]
        rows.append([split, f"{len(y):,}", *cells])
    print(f"{options.model} on {title(source.name, digits)}: errors, clean and attacked\n")
    strengths = [f"{ball} {eps:g}" for ball in options.ball for eps in options.eps]
    print(table(["split", "images", "error", *strengths], rows))
    if model.loss == "hinge" and (model.ball == "linf" or model.eps == 0):
        print("\n" + _gap(model, digits, source))


def _gap(model, digits, source):
    """How far a hinge model's training objective is from the certified optimum."""
    X, y = datasets.load("train", digits, np.uint8, source)
    reached = objective(model.w, model.b, pixels(X, np.float64), y, model.eps)
    bound = minimise(X, y, model.eps).lower_bound
    return (
        f"training objective at eps {model.eps:g}: {reached:.9f}, no linear classifier is below "
        f"{bound:.9f} (certified), gap {reached - bound:.1e}"
    )
