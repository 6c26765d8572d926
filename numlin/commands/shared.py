"""Options and steps that several commands share."""

import argparse
from contextlib import suppress

import numpy as np

from numlin.balls import BALLS
from numlin.data import datasets, mirrors
from numlin.model import LinearClassifier
from numlin.support.arguments import check_inputs, check_path
from numlin.support.files import replacing
from numlin.support.progress import say

FALLBACK = """\
******************************************************************************
*  SYNTHETIC DIGITS, NOT MNIST. MNIST is not on this machine, and
*  {reason}
*  For MNIST run `numlin data` when there is a network, or name the folder that
*  holds its four files with --data-dir or $NUMLIN_DATA.
******************************************************************************"""


def data_options(parser, digits=True):
    """Add --data, --data-dir and, unless there is no choice, --digits."""
    parser.add_argument(
        "--data",
        choices=("auto", *datasets.TITLES, "synthetic"),
        default="auto",
        help="auto is what --data-dir holds, else MNIST (default: auto)",
    )
    data_dir_option(parser)
    if digits:
        parser.add_argument(
            "--digits",
            type=int,
            nargs=2,
            metavar=("A", "B"),
            help="any two labels: A is y = -1, B is y = +1 (default: a model's own, or 0 1, or "
            "the only two that there are)",
        )


def data_dir_option(parser):
    """Add --data-dir."""
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        type=path,
        help="folder of four IDX files, or an .npz file, of any data set; DIR/PREFIX chooses one "
        "of several (default: $NUMLIN_DATA, else the user cache)",
    )


def run_options(parser, out):
    """Add what every study takes; `out` says which folder is the default."""
    parser.add_argument("--out", type=path, help=f"folder to write (default: {out})")
    parser.add_argument("--seed", type=int, default=0, help="of start and order (default: 0)")
    engines = "compiled kernels, or their readable twins (default: numba)"
    parser.add_argument("--engine", choices=("numba", "numpy"), default="numba", help=engines)
    format_option(parser)


def format_option(parser):
    """Add --format."""
    kinds, about = ("png", "svg", "pdf"), "of figures (default: %(default)s)"
    parser.add_argument("--format", choices=kinds, default="png", help=about)


def model_options(parser):
    """Add the saved model, the data, and the attack on it."""
    parser.add_argument("model", type=path, help="a file that `numlin train` or `reproduce` wrote")
    data_options(parser)
    strengths = "of the attacks, in pixel units (default: 0.1 0.2 0.3)"
    parser.add_argument("--eps", type=float, nargs="+", default=[0.1, 0.2, 0.3], help=strengths)
    parser.add_argument(
        "--ball",
        nargs="+",
        choices=BALLS,
        default=["linf", "linf-box"],
        metavar="BALL",
        help=f"one or more of {', '.join(BALLS)} (default: linf linf-box)",
    )


def path(text):
    """A path of the command line, ~ expanded."""
    try:
        return check_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(error) from None


def check_out(path):
    """Raise OSError before the work if the file `path` cannot be written after it."""
    with suppress(StopIteration), replacing(path):
        raise StopIteration


def find_data(options, fallback=False):
    """The data and the two labels to tell apart.

    With `fallback` synthetic digits stand in for MNIST where that cannot be had, which is said.
    """
    try:
        source = datasets.find(options.data, options.data_dir)
    except datasets.DatasetError as error:
        reason = error.__cause__
        if not (fallback and options.data == "auto" and isinstance(reason, mirrors.DownloadError)):
            raise
        say(FALLBACK.format(reason=str(reason).replace("; ", "\n*    ")))
        source = datasets.find("synthetic")
    return source, tuple(options.digits or datasets.two_classes(source))


def title(name, digits):
    """What the data are called in front of a result."""
    called = datasets.title(name)
    return f"{called}{',' * called.endswith(')')} {digits[0]} against {digits[1]}"


def load_model_and_data(options):
    """The model of the file, the data, and the labels: the model's own, or others if asked for.

    It is said when these are others than it was trained on. The model's own keep their order.
    """
    model = LinearClassifier.load(options.model)
    source = datasets.find(options.data, options.data_dir)
    own = model.trained_on_.get("digits", model.classes_.tolist())
    if not isinstance(own, list | tuple) or [*map(type, own)] != [int, int]:
        if "digits" in model.trained_on_ and not options.digits:
            raise ValueError(f"{options.model}: digits: found {own!r}, expected two labels")
        own = None
    if own == [-1, 1]:  # signs: they do not tell which labels of a data set they were
        own = None
    digits = options.digits or own
    if not digits:
        raise ValueError(f"{options.model}: it does not name its two labels: --digits A B")
    digits = own if own and sorted(digits) == sorted(own) else digits
    trained = title(str(model.trained_on_.get("name", source.name)), own or digits)
    if trained != title(source.name, digits):
        say(f"{options.model}: trained on {trained}, used on {title(source.name, digits)}")
    return model, source, tuple(digits)


def load_split(model, split, digits, source):
    """Images in float64 and labels, known to fit the model."""
    X, y = datasets.load(split, digits, np.float64, source)
    return check_inputs(X, len(model.w), "images"), y
