"""`numlin evaluate`: clean and robust errors of a saved model, and its distance from the best."""

import numpy as np

from numlin.attacks import radii, robust_accuracy
from numlin.balls import BALLS, LINF
from numlin.commands.shared import load_model_and_data, load_split, model_options, title
from numlin.data import datasets
from numlin.losses import HINGE, LOSSES
from numlin.objective import error_rate, objective
from numlin.optimum import bound_within, minimise
from numlin.support.arguments import pixels
from numlin.support.text import table

SECONDS = 3.0  # to spend on the bound


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
    if model.ball.startswith("linf") or model.eps == 0:
        print("\n" + _gap(model, digits, source))


def _gap(model, digits, source):
    """How far a model's training objective is from the certified optimum of its loss and ball."""
    X, y = datasets.load("train", digits, np.uint8, source)
    loss, ball = LOSSES[model.loss], BALLS[model.ball] if model.eps else LINF
    reached = objective(model.w, model.b, pixels(X, np.float64), y, model.eps, loss, ball)
    whom, norm = "no linear classifier", np.inf
    if loss is HINGE and ball is LINF:
        size = float(np.abs(model.w).sum())
        bound, norm = bound_within(X, y, model.eps, size, SECONDS)
    else:
        bound = minimise(X, y, model.eps, loss=loss, ball=ball).lower_bound
    if norm < np.inf:
        whom += f" with ||w||_1 up to its {norm:.4g}"
    return (
        f"training objective at eps {model.eps:g}: {reached:.9f} ({loss.name}, {ball.name})\n"
        f"{whom} is below {bound:.9f} (certified), gap {reached - bound:.1e}"
    )
