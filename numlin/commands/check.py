"""`numlin check`: every gradient of numlin beside its finite difference."""

import numpy as np

from numlin.commands.shared import data_options, find_data, title
from numlin.data import datasets
from numlin.studies import gradients
from numlin.support.arguments import check_number
from numlin.support.text import table


def options(parser):
    """Declare the options of `numlin check`."""
    data_options(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the point (default: 0)")
    parser.add_argument("--samples", type=int, default=24, help="test images used (default: 24)")


def run(options):
    """Compare every gradient with finite differences; exit code 1 if any fails."""
    check_number("samples", options.samples, low=2, integer=True)
    check_number("seed", options.seed, integer=True)
    source, digits = find_data(options)
    X, y = datasets.load("test", digits, np.float64, source)
    X, y = X[: options.samples], y[: options.samples]
    rows = gradients.check_all(X, y, options.seed)
    failed = gradients.failed(rows)
    print(
        f"{title(source.name, digits)}, {len(y)} test images:\ngradients against central "
        "differences in float64\n"
    )
    print(table(*gradients.table(rows)))
    for row in failed:
        print(f"\n{row.loss}, {row.ball}, {row.engine}: {row.report}")
    print(f"\n{len(rows) - len(failed)} of {len(rows)} pass")
    return 1 if failed else 0
