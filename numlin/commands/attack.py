"""`numlin attack`: the test images moved by a saved model's worst perturbation."""

import numpy as np

from numlin.attacks import attack
from numlin.commands.shared import (
    check_out,
    load_model_and_data,
    load_split,
    model_options,
    path,
    title,
)
from numlin.support.files import replacing
from numlin.support.text import table


def options(parser):
    """Declare the options of `numlin attack`."""
    model_options(parser)
    parser.add_argument("--out", type=path, help="write the perturbed images to this .npz file")


def run(options):
    """Attack the test images with a saved model's worst perturbation; keep them if asked."""
    if options.out:
        check_out(options.out)
    model, source, digits = load_model_and_data(options)
    X, y = load_split(model, "test", digits, source)
    rows, kept = [], {"y": y}
    for eps in options.eps:
        rows.append([f"{eps:g}"])
        for ball in options.ball:
            worst = attack(model.w, model.b, X, y, eps, ball)
            rows[-1].append(f"{worst.success.mean():.2%}")
            kept[f"X_adv_{ball}_{eps:g}"] = worst.X_adv
    print(f"{options.model} on {title(source.name, digits)}: share of test images fooled\n")
    print(table(["eps", *options.ball], rows))
    if options.out:
        with replacing(options.out) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **kept)
        print(f"\nPerturbed images written to {options.out}")
