"""`numlin optimum`: the global minimum of a robust loss, certified, and proved if asked."""

import argparse
import json
from decimal import Decimal
from pathlib import Path

import numpy as np

from numlin import optimum
from numlin.balls import LINF, LINF_BOX
from numlin.commands.shared import check_out, data_options, find_data, format_option, path, title
from numlin.data import datasets, idx
from numlin.figures import draw, save
from numlin.figures.price import PRICE_FIGURES
from numlin.losses import LOSSES
from numlin.objective import error_rate
from numlin.optimum.proof import certificate, path_verifier, rational
from numlin.studies import price
from numlin.support.files import Signals, staging
from numlin.support.progress import Progress, say
from numlin.support.text import table, wrapped


def options(parser):
    """Declare the options of `numlin optimum`."""
    data_options(parser)
    parser.add_argument("--box", action="store_true", help="attacked pixels stay in [0, 1]")
    parser.add_argument("--loss", choices=LOSSES, default="hinge", help="default: hinge")
    parser.add_argument("--eps", type=float, nargs="+", help="default: 0.1 0.2 0.3")
    parser.add_argument(
        "--margin",
        action="store_true",
        help="instead, the largest eps at which all can be separated robustly",
    )
    parser.add_argument("--exact", action="store_true", help="prove it in exact arithmetic")
    parser.add_argument(
        "--certificate",
        type=path,
        metavar="FILE",
        help="write the exact proof; of several eps, to FILE's name-EPS each",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--path",
        type=_range,
        metavar="all|FROM:TO|FROM:TO:STEP",
        help="every optimum in a range of eps, with eps*, results and figures",
    )
    parser.add_argument(
        "--out",
        type=path,
        default=Path("numlin-price"),
        help="folder to write with --path (default: numlin-price)",
    )
    format_option(parser)


def _range(text):
    """FROM, TO and the decimals FROM, FROM + STEP, ... (or None) of "0:0.5:0.01"; all is 0:1."""
    try:
        low, high, *step = map(Decimal, "0:1".split(":") if text == "all" else text.split(":"))
        if 0 <= low <= high <= 1 and not step:
            return float(low), float(high), None
        (by,) = step
        if 0 <= low <= high and by > 0 and (high - low) / by <= 1000:
            grid = [float(low + k * by) for k in range(int((high - low) / by) + 1)]
            return float(low), float(high), grid
    except (ArithmeticError, ValueError):
        pass
    message = (
        f"found {text!r}, expected all, FROM:TO with 0 <= FROM <= TO <= 1, or "
        "FROM:TO:STEP, 0 <= FROM <= TO, STEP > 0, 1001 at the most"
    )
    raise argparse.ArgumentTypeError(message)


def run(options):
    """Find the global minimum of a robust loss, certify it, and prove it if asked."""
    if options.path and (options.eps or options.margin):
        raise ValueError("--path goes with none of --eps, --margin")
    if (
        options.path
        and options.box
        and (options.path[2] is None or options.exact or options.certificate)
    ):
        raise ValueError("--path with --box: expected FROM:TO:STEP, without a proof of the whole")
    if options.margin and options.eps:
        raise ValueError("--margin finds an eps, and goes with no --eps")
    exact = options.margin or options.path or options.exact or options.certificate
    if options.loss != "hinge" and exact:
        raise ValueError(
            f"--loss {options.loss}: --exact, --certificate, --margin, --path know the hinge only"
        )
    loss, ball = LOSSES[options.loss], LINF_BOX if options.box else LINF
    if options.certificate:
        check_out(options.certificate)
    if options.path and not options.box:
        return _path(options)
    grid = options.path[2] if options.path else options.eps or [0.1, 0.2, 0.3]
    wanted = ["margin"] if options.margin else grid
    source, digits = find_data(options)
    X, y = datasets.load("train", digits, np.uint8, source)
    X_test, y_test = datasets.load("test", digits, np.float64, source)
    solved = dict(zip(grid, optimum.path(X, y, grid, loss, ball))) if options.path else {}
    records, proofs = [], {}
    with Progress("solving", len(wanted)) as progress:
        for eps in wanted:
            exact = options.exact or options.certificate
            found, record = _solve(
                X, y, X_test, y_test, eps, loss, ball, bool(exact), solved.get(eps)
            )
            if exact:
                prove = rational.prove_margin if options.margin else rational.prove
                proof = prove(X, y, found)
                decimal = rational.decimal(proof.value, certificate.PLACES)
                record |= {"exact": str(proof.value), "decimal": decimal}
                if proof.kind == "box-margin":
                    record["exact_upper"] = str(proof.eps)
                if path := options.certificate:
                    path = path.with_stem(f"{path.stem}-{eps}") if len(wanted) > 1 else path
                    record["certificate"], proofs[path] = str(path), proof
            records.append(record)
            progress.advance()
    if proofs:
        images, labels = (idx.read(source.paths[f"train-{kind}"]) for kind in ("images", "labels"))
        with Signals():  # they come together
            for path, proof in proofs.items():
                certificate.write(path, proof, digits, images, labels, source.name)
    if options.json:
        about = {"dataset": datasets.describe(source, digits, y, y_test), "optima": records}
        print(json.dumps(about, indent=1, allow_nan=False))
        return
    what = "l-inf margin eps*" if options.margin else f"global minimum of the robust {loss.name}"
    where = ", attacked pixels in [0, 1]" if options.box else ""
    print(f"{title(source.name, digits)}: {what}{where}\n")
    value = "margin" if options.margin else "objective"
    header = ["eps", value, "relative gap", "pixels", "test error", "eps free", "eps in the box"]
    cells = {"eps": str, value: "{:.15f}".format, **_CELLS}
    print(table(header, [[shape(r[k]) for k, shape in cells.items()] for r in records]))
    for record in records:
        if "exact" in record:
            exact = " / ".join(map(_shortened, record["exact"].split("/")))
            print(f"\neps {record['eps']}, proved in integers: {record['decimal']}...\n= {exact}")
        if "exact_upper" in record:
            print(f"and not above {record['exact_upper']}")
        if "certificate" in record:
            print(f"\nCertificate written to {record['certificate']}")


_CELLS = {
    "relative_gap": "{:.1e}".format,
    "pixels": str,
    "test_error": "{:.2%}".format,
    "free_test_error": "{:.2%}".format,
    "box_test_error": "{:.2%}".format,
}


def _shortened(digits):
    """A long whole number by its two ends."""
    n = len(digits)
    return digits if n <= 150 else f"{digits[:60]}...{digits[-20:]} ({n} digits)"


def _solve(X, y, X_test, y_test, eps, loss, ball, corner, found=None):
    """The optimum at `eps`, or the margin of X (n_samples, n_features), and its record.

    `corner` as in `numlin.optimum.minimise`.
    """
    if eps == "margin":
        found = optimum.margin(X, y, ball)
        if found.lower == 0:
            raise ValueError(
                "no hyperplane separates the classes: the path of optima ends at eps = 0 with a "
                f"loss, and the l-inf margin is at most {found.upper:.3g}"
            )
        attacked, relative_gap = found.lower, (found.upper - found.lower) / found.lower
        values = {"margin": found.lower, "bound": found.upper}
    else:
        found = found or optimum.minimise(X, y, eps, loss=loss, ball=ball, corner=corner)
        attacked, relative_gap = eps, found.relative_gap
        values = {"objective": found.objective, "bound": found.lower_bound}
        if not found.attained:
            say(
                f"eps {eps:g}: the infimum of the {loss.name} loss is not attained; the weights "
                "grow for ever, and these are as far as it is worth to follow them"
            )
        if not found.certified:
            say(f"eps {eps:g}: not certified to 1e-9, see the gap")
        values["attained"] = found.attained
    errors = [
        error_rate(found.w, found.b, X_test, y_test, radius, ball)
        for radius, ball in ((0.0, LINF), (attacked, LINF), (attacked, LINF_BOX))
    ]
    return found, {
        "eps": eps,
        "loss": loss.name,
        "ball": ball.name,
        **values,
        "relative_gap": relative_gap,
        "pixels": int(np.count_nonzero(found.w)),
        **dict(zip(("test_error", "free_test_error", "box_test_error"), errors, strict=True)),
    }


def _path(options):
    """Every optimum in a range of eps: table, price.json and figures; proved if asked."""
    source, digits = find_data(options)
    with staging(options.out) as folder:
        result = price.run(source, digits, *options.path)
        if options.exact or options.certificate:
            result.exact = _prove_path(result.path, digits, source, options.certificate)
        for name in PRICE_FIGURES:
            save(draw(name, result, PRICE_FIGURES), folder / f"{name}.{options.format}")
        result.save(folder)
        written = sorted(path.name for path in folder.iterdir())
    if options.json:
        print(json.dumps(result.results(), indent=1, allow_nan=False))
        return
    print(title(source.name, result.dataset["digits"]))
    print(wrapped(result.caption) + "\n")
    print(table(*result.table()))
    if result.exact is not None:
        print(f"\nAll {len(result.path.segments):,} segments are proved in integers")
    print(f"\nWritten to {options.out}: {', '.join(written)}")


def _prove_path(path, digits, source, certificate_path):
    """The exact eps between the classifiers of a `Path`, its certificate written if asked."""
    X, y = datasets.load("train", digits, np.uint8, source)
    claim = certificate.path_claim(path)
    with Progress("proving", path_verifier.PIECES) as progress:
        try:
            proof = path_verifier.check(claim, X, y, advance=progress.advance)
        except path_verifier.PathError:
            if path.walk.start == np.inf:
                raise
            # The corner it set out from was one in floating point only: from the bias, then.
            claim = certificate.path_claim(optimum.whole_path(X, y, path.low))
            proof = path_verifier.check(claim, X, y, advance=progress.advance)
    if certificate_path:
        images, labels = (idx.read(source.paths[f"train-{kind}"]) for kind in ("images", "labels"))
        certificate.write_path(certificate_path, claim, proof, digits, images, labels, source.name)
    return proof[0]
