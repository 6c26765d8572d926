"""`numlin optimum`: the global minimum of the robust hinge, certified, and proved if asked."""

import argparse
import json
import textwrap
from decimal import Decimal
from pathlib import Path

import numpy as np

from numlin import optimum
from numlin.commands.shared import data_options, find_source, format_option, title
from numlin.data import datasets, idx
from numlin.figures import draw, save
from numlin.figures.price import PRICE_FIGURES
from numlin.objective import error_rate
from numlin.optimum.proof import certificate, rational
from numlin.studies import price
from numlin.support.files import Signals, check_target, staging
from numlin.support.progress import Progress, say
from numlin.support.text import table


def options(parser):
    """Declare the options of `numlin optimum`."""
    data_options(parser)
    parser.add_argument("--eps", type=float, nargs="+", help="default: 0.1 0.2 0.3")
    parser.add_argument(
        "--margin",
        action="store_true",
        help="instead, the largest eps at which all can be separated robustly",
    )
    parser.add_argument("--exact", action="store_true", help="prove it in exact arithmetic")
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="write the exact proof; of several eps, to FILE's name-EPS each",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--path",
        type=_grid,
        metavar="FROM:TO:STEP",
        help="a whole grid of eps, with eps*, results and figures",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("numlin-price"),
        help="folder to write with --path (default: numlin-price)",
    )
    format_option(parser)


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


def run(options):
    """Find the global minimum of the robust hinge, certify it, and prove it if asked."""
    if options.path and (options.eps or options.margin or options.exact or options.certificate):
        raise ValueError("--path goes with none of --eps, --margin, --exact, --certificate")
    if options.margin and options.eps:
        raise ValueError("--margin finds an eps, and goes with no --eps")
    if options.path:
        return _path(options)
    if options.certificate:
        check_target(options.certificate)
    wanted = ["margin"] if options.margin else options.eps or [0.1, 0.2, 0.3]
    source, digits = find_source(options), options.digits or (0, 1)
    X, y = datasets.load("train", digits, np.uint8, source)
    X_test, y_test = datasets.load("test", digits, np.float64, source)
    records, proofs = [], {}
    with Progress("solving", len(wanted)) as progress:
        for eps in wanted:
            found, record = _solve(X, y, X_test, y_test, eps)
            if options.exact or options.certificate:
                prove = rational.prove_margin if options.margin else rational.prove
                proof = prove(X, y, found)
                decimal = rational.decimal(proof.value, certificate.PLACES)
                record |= {"exact": str(proof.value), "decimal": decimal}
                if path := options.certificate:
                    path = path.with_stem(f"{path.stem}-{eps}") if len(wanted) > 1 else path
                    record["certificate"], proofs[path] = str(path), proof
            records.append(record)
            progress.advance()
    if proofs:
        images, labels = (idx.read(source.paths[f"train-{kind}"]) for kind in ("images", "labels"))
        with Signals():  # they come together
            for path, proof in proofs.items():
                certificate.write(path, proof, digits, images, labels)
    if options.json:
        about = {"dataset": datasets.describe(source, digits, y, y_test), "optima": records}
        print(json.dumps(about, indent=1, allow_nan=False))
        return
    what = "l-inf margin eps*" if options.margin else "global minimum of the robust hinge"
    print(f"{title(source.name, digits)}: {what}\n")
    header = ["eps", "value", "relative gap", "pixels", "test error", "robust test error"]
    print(table(header, [[shape(r[k]) for k, shape in _CELLS.items()] for r in records]))
    for record in records:
        if "exact" in record:
            exact = " / ".join(map(_shortened, record["exact"].split("/")))
            print(f"\neps {record['eps']}, proved in integers: {record['decimal']}...\n= {exact}")
        if "certificate" in record:
            print(f"\nCertificate written to {record['certificate']}")


_CELLS = {
    "eps": str,
    "value": "{:.15f}".format,
    "relative_gap": "{:.1e}".format,
    "n_pixels": str,
    "test_error": "{:.2%}".format,
    "robust_test_error": "{:.2%}".format,
}


def _shortened(digits):
    """A long whole number by its two ends."""
    n = len(digits)
    return digits if n <= 150 else f"{digits[:60]}...{digits[-20:]} ({n} digits)"


def _solve(X, y, X_test, y_test, eps):
    """The optimum at `eps`, or the margin of X (n_samples, n_features), and its record."""
    if eps == "margin":
        found = optimum.margin(X, y)
        if found.lower == 0:
            raise ValueError(
                "no hyperplane was found that separates the classes: the l-inf margin is at most "
                f"{found.upper:.3g}"
            )
        value, bound, attacked = found.lower, found.upper, found.lower
        relative_gap = (bound - value) / value
    else:
        found = optimum.minimise(X, y, eps)
        value, bound, attacked = found.objective, found.lower_bound, eps
        relative_gap = found.relative_gap
        if not found.certified:
            say(f"eps {eps:g}: not certified to 1e-9, see the gap")
    return found, {
        "eps": eps,
        "value": value,
        "bound": bound,
        "relative_gap": relative_gap,
        "n_pixels": int(np.count_nonzero(found.w)),
        "test_error": error_rate(found.w, found.b, X_test, y_test),
        "robust_test_error": error_rate(found.w, found.b, X_test, y_test, attacked),
    }


def _path(options):
    """Optima for a grid of eps: table, price.json and two figures."""
    source = find_source(options)
    with staging(options.out) as folder:
        result = price.run(source, options.digits or (0, 1), options.path)
        for name in PRICE_FIGURES:
            save(draw(name, result, PRICE_FIGURES), folder / f"{name}.{options.format}")
        result.save(folder)
        written = sorted(path.name for path in folder.iterdir())
    if options.json:
        print(json.dumps(result.results(), indent=1, allow_nan=False))
        return
    print(title(source.name, result.dataset["digits"]))
    print(textwrap.fill(result.caption, 100) + "\n")
    print(table(*result.table()))
    print(f"\nWritten to {options.out}: {', '.join(written)}")
