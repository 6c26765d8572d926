"""Options and steps that several commands share."""

from pathlib import Path

import numpy as np

from numlin.balls import BALLS
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.support.arguments import check_inputs
from numlin.support.progress import say


def data_options(parser, digits=True):
    """Add --data, --data-dir and, unless there is no choice, --digits."""
    parser.add_argument(
        "--data",
        choices=("auto", "mnist", "synthetic"),
        default="auto",
        help="auto falls back on synthetic digits without network (default: auto)",
    )
    data_dir_option(parser)
    if digits:
        parser.add_argument(
            "--digits",
            type=int,
            nargs=2,
            metavar=("A", "B"),
            help="A is y = -1, B is y = +1 (default: a model's own, or 0 1)",
        )


def data_dir_option(parser):
    """Add --data-dir."""
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="folder of the four MNIST files (default: $NUMLIN_DATA, else the user cache)",
    )


def run_options(parser, out):
    """Add what every study takes; `out` says which folder is the default."""
    parser.add_argument("--out", type=Path, help=f"folder to write (default: {out})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("numba", "numpy"), default="numba")
    format_option(parser)


def format_option(parser):
    """Add --format."""
    kinds, about = ("png", "svg", "pdf"), "of figures (default: %(default)s)"
    parser.add_argument("--format", choices=kinds, default="png", help=about)


def model_options(parser):
    """Add the saved model, the data, and the attack on it."""
    parser.add_argument("model", help="a file written by `numlin train` or `reproduce`")
    data_options(parser)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument(
        "--ball",
        nargs="+",
        choices=BALLS,
        default=["linf", "linf-box"],
        metavar="BALL",
        help=f"one or more of {', '.join(BALLS)} (default: linf linf-box)",
    )


def find_source(options):
    """Find the data, and say loudly when it is not MNIST."""
    source = datasets.find(options.data, options.data_dir)
    if source.note:
        say(source.note)
    return source


def title(name, digits):
    """What the data are called in front of a result."""
    kind = "MNIST" if name == "mnist" else f"{name.upper()} DIGITS (not MNIST),"
    return f"{kind} {digits[0]} against {digits[1]}"


def load_model_and_data(options):
    """The model of the file, the data, and the digits: those asked for, else those it knows."""
    model = LinearClassifier.load(options.model)
    digits = options.digits or model.trained_on_.get("digits", (0, 1))
    if not isinstance(digits, list | tuple) or [*map(type, digits)] != [int, int]:
        raise ValueError(f"{options.model}: digits: found {digits!r}, expected two from 0 to 9")
    return model, find_source(options), tuple(digits)


def load_split(model, split, digits, source):
    """Images in float64 and labels, known to fit the model."""
    X, y = datasets.load(split, digits, np.float64, source)
    return check_inputs(X, len(model.w), "images"), y
