"""`numlin train`: one model, trained and saved."""

from dataclasses import fields

import numpy as np

from numlin.callbacks import LossLogger
from numlin.commands.shared import data_options, find_source, title
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.sgd import Training
from numlin.support.files import check_target


def options(parser):
    """Declare the options of `numlin train`: one for each field of `Training`, of its type."""
    data_options(parser)
    parser.add_argument("--out", default="model.npz", help="file to write (default: model.npz)")
    for field in fields(Training):
        if field.type is bool:
            parser.add_argument(f"--{field.name}", action="store_true")
        else:
            parser.add_argument(
                "--" + field.name.replace("_", "-"),
                type=field.type,
                default=field.default,
                help=f"default: {field.default}",
            )


def run(options):
    """Train one model and save it."""
    check_target(options.out)
    source, digits = find_source(options), options.digits or (0, 1)
    X, y = datasets.load("train", digits, np.uint8, source)
    model = LinearClassifier(**{f.name: getattr(options, f.name) for f in fields(LinearClassifier)})
    about = {"name": source.name, "digits": list(digits), "sha256": source.sha256}
    model.fit(X, y, callbacks=[LossLogger()], trained_on=about)
    model.save(options.out)
    print(f"Trained on {title(source.name, digits)}: {options.out}")
