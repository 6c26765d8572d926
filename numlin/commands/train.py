"""`numlin train`: one model, trained and saved."""

import re
from dataclasses import fields
from inspect import cleandoc
from pathlib import Path

import numpy as np

from numlin.callbacks import LossLogger
from numlin.commands.shared import check_out, data_options, find_data, path, title
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.objective import error_rate
from numlin.sgd import Training
from numlin.support.arguments import pixels
from numlin.support.progress import say

TYPES = ("bool", "float", "int")


def options(parser):
    """Declare the options of `numlin train`: one for each field of `Training`, of its type."""
    data_options(parser)
    out = "file to write (default: model.npz)"
    parser.add_argument("--out", type=path, default=Path("model.npz"), help=out)
    about = _meanings(Training.__doc__)
    for field in fields(Training):
        if field.type is bool:
            parser.add_argument(f"--{field.name}", action="store_true", help=about.get(field.name))
        else:
            parser.add_argument(
                "--" + field.name.replace("_", "-"),
                type=field.type,
                default=field.default,
                metavar=field.type.__name__.upper(),
                help=f"{about.get(field.name, '')} (default: {field.default})".replace("%", "%%"),
            )


def _meanings(docstring):
    """{field: choices and meaning} of a docstring's parameters."""
    entry = r"^(\w+(?:, \w+)*) : (.*)\n((?: {4}.*\n?)*)"
    return {
        name: " ".join(f"{'' if kind in TYPES else kind}. {text}".split()).removeprefix(". ")
        for names, kind, text in re.findall(entry, cleandoc(docstring or ""), re.MULTILINE)
        for name in names.split(", ")
    }


def run(options):
    """Train one model and save it."""
    check_out(options.out)
    source, digits = find_data(options)
    X, y = datasets.load("train", digits, np.uint8, source)
    model = LinearClassifier(**{f.name: getattr(options, f.name) for f in fields(LinearClassifier)})
    about = {"name": source.name, "digits": list(digits), "sha256": source.sha256}
    model.fit(X, y, callbacks=[LossLogger()], trained_on=about)
    replaced = " (which was there, and is replaced)" if options.out.exists() else ""
    model.save(options.out)
    print(f"Trained on {title(source.name, digits)}: {options.out}{replaced}")
    wrong = error_rate(model.w, model.b, pixels(X, np.float64), y)
    guessing = min(np.mean(y > 0), np.mean(y < 0))
    if wrong >= guessing:
        guess = f"one answer for all would have {guessing:.2%}: try other steps, or a smaller eps"
        say(f"numlin: warning: {wrong:.2%} of the training images are errors, {guess}")
