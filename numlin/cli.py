"""The command line: its options, and what happens to a user's mistake.

What the commands do is in `numlin.commands`, which loads when one is run.
"""

import argparse
import os
import signal
import sys
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import numlin


def run():
    """The process `numlin`: `main`, with what only a process may set.

    A polite kill is a Ctrl-C, and cleans up as that does. NumPy's products here wait for memory
    and gain nothing from more threads; with one, results do not depend on the number of
    processors. NumPy reads that when it loads, which is later.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())


def main(argv=None):
    """Run the command in `argv` (default: the process's own) and return its exit code.

    A mistake of the user's is one line on standard error and exit code 2, Ctrl-C is 130.
    """
    options = _parser().parse_args(argv)
    try:
        from numlin import commands

        return getattr(commands, options.command)(options) or 0
    except (ValueError, ArithmeticError, OSError, MemoryError) as error:
        print(f"numlin: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("numlin: interrupted", file=sys.stderr)
        return 130


def _one_line(error):
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or "out of memory"


def _parser():
    parser = argparse.ArgumentParser(prog="numlin", description=numlin.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"numlin {numlin.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, purpose):
        added = commands.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(command=name)
        return added

    reproduce = command("reproduce", "run the article from data to figures")
    studies = ("article", "kolter-madry", "transfer")
    reproduce.add_argument(
        "--study",
        choices=studies,
        default="article",
        help="which published experiment to run (default: article)",
    )
    _data_options(reproduce)
    _run_options(reproduce, "numlin-results, numlin-kolter-madry, numlin-transfer")
    reproduce.add_argument("--seeds", type=int, help="kolter-madry: how many (default: 8)")
    reproduce.add_argument(
        "--no-figures",
        dest="figures",
        action="store_false",
        help="article: neither draw nor show figures",
    )

    figures = command("figures", "draw some or all of the article's figures")
    figures.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    figures.add_argument("--list", action="store_true", help="name the figures and stop")
    _data_options(figures)
    _run_options(figures, "numlin-figures")

    check = command("check", "verify every gradient by finite differences")
    _data_options(check)
    check.add_argument("--seed", type=int, default=0)
    check.add_argument("--samples", type=int, default=24, help="test images used (default: 24)")

    _data_dir_option(command("data", "fetch and verify MNIST, and say what is there"))

    train = command("train", "train one model and save it")
    _data_options(train)
    train.add_argument("--out", default="model.npz", help="file to write (default: model.npz)")
    _training_options(train)

    evaluate = command("evaluate", "clean and robust errors of a saved model")
    _model_options(evaluate)

    optimum = command("optimum", "find and certify the global minimum of the robust hinge")
    _data_options(optimum)
    optimum.add_argument("--eps", type=float, nargs="+", help="default: 0.1 0.2 0.3")
    optimum.add_argument(
        "--margin",
        action="store_true",
        help="instead, the largest eps at which all can be separated robustly",
    )
    optimum.add_argument("--exact", action="store_true", help="prove it in exact arithmetic")
    optimum.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="write the exact proof; of several eps, to FILE's name-EPS each",
    )
    optimum.add_argument("--json", action="store_true", help="print JSON instead of a table")
    optimum.add_argument(
        "--path",
        type=_grid,
        metavar="FROM:TO:STEP",
        help="a whole grid of eps, with eps*, results and figures",
    )
    optimum.add_argument(
        "--out",
        type=Path,
        default=Path("numlin-price"),
        help="folder to write with --path (default: numlin-price)",
    )
    _format_option(optimum)

    verify = command("verify", "check a certificate against the data, in integers")
    verify.add_argument("certificate", help="a file written by `numlin optimum --certificate`")
    _data_options(verify, digits=False)

    attack = command("attack", "attack test images with a saved model")
    _model_options(attack)
    attack.add_argument("--out", help="write the perturbed images to this .npz file")
    return parser


def _grid(text):
    """The decimals FROM, FROM + STEP, ... up to TO of "0:0.5:0.01"."""
    try:
        low, high, step = map(Decimal, text.split(":"))
        if 0 <= low <= high and step > 0 and (high - low) / step <= 1000:
            return [float(low + k * step) for k in range(int((high - low) / step) + 1)]
    except (ArithmeticError, ValueError):
        pass
    message = f"found {text!r}, expected FROM:TO:STEP, 0 <= FROM <= TO, STEP > 0, 1001 at the most"
    raise argparse.ArgumentTypeError(message)


def _data_options(parser, digits=True):
    parser.add_argument(
        "--data",
        choices=("auto", "mnist", "synthetic"),
        default="auto",
        help="auto falls back on synthetic digits without network (default: auto)",
    )
    _data_dir_option(parser)
    if digits:
        parser.add_argument(
            "--digits",
            type=int,
            nargs=2,
            metavar=("A", "B"),
            help="A is y = -1, B is y = +1 (default: a model's own, or 0 1)",
        )


def _data_dir_option(parser):
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="folder of the four MNIST files (default: $NUMLIN_DATA, else the user cache)",
    )


def _run_options(parser, out):
    parser.add_argument("--out", type=Path, help=f"folder to write (default: {out})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("numba", "numpy"), default="numba")
    _format_option(parser)


def _format_option(parser):
    parser.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of figures")


def _model_options(parser):
    parser.add_argument("model", help="a file written by `numlin train` or `reproduce`")
    _data_options(parser)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument("--norm", choices=("linf", "l2", "l1"), default="linf")


def _training_options(parser):
    """One option for each field of `Training`, of its type; the values are checked by it."""
    from numlin.sgd import Training

    parser.add_argument("--box", action="store_true", help="perturbed inputs stay in the pixel box")
    for field in fields(Training):
        if field.type is bool:
            parser.add_argument(f"--{field.name}", action="store_true")
        elif field.name != "bounds":
            parser.add_argument(
                "--" + field.name.replace("_", "-"),
                type=field.type,
                default=field.default,
                help=f"default: {field.default}",
            )
