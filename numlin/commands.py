"""What each command of `numlin` does: a function of the parsed options, named after it."""

import json
import sys
import textwrap
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import numpy as np

from numlin.attacks import attack as worst_inputs
from numlin.attacks import radii, robust_accuracy
from numlin.balls import PIXEL_BOX, Ball
from numlin.callbacks import LossLogger
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.objective import error_rate, objective
from numlin.studies import gradients
from numlin.studies.clock import Clock
from numlin.support.arguments import check_choice, check_inputs, check_number, pixels
from numlin.support.files import replacing, staging
from numlin.support.progress import Progress
from numlin.support.text import table

OUTPUTS = ("results.json", "report.html", "models/*.npz", "figures/[0-9][0-9]-*.*")


def reproduce(options):
    """Run a study from data to tables, results and figures; what an earlier run left there goes."""
    extra = {}
    if options.seeds is not None:
        if options.study != "kolter-madry":
            raise ValueError("--seeds: only --study kolter-madry runs over several seeds")
        extra["n_seeds"] = options.seeds
    source = _source(options)
    study = import_module("numlin.studies." + options.study.replace("-", "_"))
    name = "results" if options.study == "article" else options.study
    out = options.out or Path(f"numlin-{name}")
    with staging(out, OUTPUTS) as folder:
        result = study.run(source, options.digits or (0, 1), options.seed, options.engine, **extra)
        if options.study == "article":
            names = _figure_names() if options.figures else []
            drawn = _draw(result, names, folder / "figures", options.format)
            _report(result, drawn, folder)
        result.save(folder)
        written = sorted(path.name for path in folder.iterdir())
    data = result.dataset
    print(
        f"{_title(data['name'], data['digits'])}: {data['n_train']:,} training and "
        f"{data['n_test']:,} test images"
    )
    print(textwrap.fill(result.caption, 100) + "\n")
    print(table(*result.table()))
    print(f"\nWritten to {out}: {', '.join(written)}")


def figures(options):
    """Draw some or all figures of the article, or list them."""
    known = _figure_names()
    for name in options.names:
        check_choice("figure", name, known)
    names = options.names or known
    if options.list:
        print("\n".join(names))
        return
    from numlin.studies import article

    source, out = _source(options), options.out or Path("numlin-figures")
    with staging(out) as folder:
        result = article.run(source, options.digits or (0, 1), options.seed, options.engine)
        _draw(result, names, folder, options.format)
    data = result.dataset
    print(f"{_title(data['name'], data['digits'])}: {len(names)} figures in {out}")


def check(options):
    """Compare every gradient with finite differences; exit code 1 if any fails."""
    check_number("samples", options.samples, low=2, integer=True)
    check_number("seed", options.seed, integer=True)
    source, digits = _source(options), options.digits or (0, 1)
    X, y = datasets.load("test", digits, np.float64, source)
    X, y = X[: options.samples], y[: options.samples]
    rows = gradients.check_all(X, y, options.seed)
    failed = gradients.failed(rows)
    print(
        f"{_title(source.name, digits)}, {len(y)} test images: gradients against central "
        "differences in float64\n"
    )
    print(table(*gradients.table(rows)))
    for row in failed:
        print(f"\n{row.loss}, {row.ball}, {row.engine}: {row.report}")
    print(f"\n{len(rows) - len(failed)} of {len(rows)} pass")
    return 1 if failed else 0


def data(options):
    """Fetch what is missing of MNIST, verify, and say what is there."""
    folder, problem = datasets.mnist_folder(options.data_dir), None
    try:
        files = datasets.download(folder)
    except ValueError as error:
        files, problem = datasets.status(folder), error
    rows = [
        [file.path.name, f"{file.n_bytes:,}", file.sha256[:16] or "-", file.problem or "is MNIST's"]
        for file in files
    ]
    print(f"MNIST in {folder}\n")
    print(table(["file", "bytes", "sha256", "verdict"], rows))
    if problem:
        raise problem


def train(options):
    """Train one model and save it."""
    if Path(options.out).is_dir():
        raise IsADirectoryError(f"--out: found the folder {options.out}, expected a file to write")
    source, digits = _source(options), options.digits or (0, 1)
    X, y = datasets.load("train", digits, np.uint8, source)
    options.bounds = PIXEL_BOX if options.box else None
    model = LinearClassifier(**{f.name: getattr(options, f.name) for f in fields(LinearClassifier)})
    about = {"name": source.name, "digits": list(digits), "sha256": source.sha256}
    model.fit(X, y, callbacks=[LossLogger()], trained_on=about)
    model.save(options.out)
    print(f"Trained on {_title(source.name, digits)}: {options.out}")


def evaluate(options):
    """Print clean and robust errors of a saved model on both splits."""
    model, source, digits = _model_and_data(options)
    rows = []
    for split in ("train", "test"):
        X, y = _load_for(model, split, digits, source)
        cells = [f"{error_rate(model.w, model.b, X, y):.2%}"]
        for bounds in (None, PIXEL_BOX):
            radius = radii(model.w, model.b, X, y, Ball(options.norm, bounds), model.engine)
            cells += [f"{error:.2%}" for error in 1 - robust_accuracy(radius, options.eps)]
        rows.append([split, f"{len(y):,}", *cells])
    print(f"{options.model} on {_title(source.name, digits)}, {options.norm} ball\n")
    strengths = [f"{kind} {eps:g}" for kind in ("eps", "box") for eps in options.eps]
    print(table(["split", "images", "error", *strengths], rows))
    free_linf = model.norm == "linf" and model.bounds is None
    if model.loss == "hinge" and (free_linf or model.eps == 0):
        print("\n" + _gap(model, digits, source))


def _gap(model, digits, source):
    """How far a hinge model's training objective is from the certified optimum."""
    from numlin.optimum import minimise

    X, y = datasets.load("train", digits, np.uint8, source)
    reached = objective(model.w, model.b, pixels(X, np.float64), y, model.eps)
    bound = minimise(X, y, model.eps).lower_bound
    return (
        f"training objective at eps {model.eps:g}: {reached:.9f}, no linear classifier is below "
        f"{bound:.9f} (certified), gap {reached - bound:.1e}"
    )


def attack(options):
    """Attack the test images with a saved model's worst perturbation; keep them if asked."""
    model, source, digits = _model_and_data(options)
    X, y = _load_for(model, "test", digits, source)
    rows, kept = [], {"eps": np.array(options.eps), "y": y}
    for k, eps in enumerate(options.eps):
        worst = worst_inputs(model.w, model.b, X, y, eps, options.norm)
        rows.append([f"{eps:g}", f"{worst.success.mean():.2%}", f"{worst.success_box.mean():.2%}"])
        kept[f"X_adv_{k}"], kept[f"X_adv_box_{k}"] = worst.X_adv, worst.X_adv_box
    print(f"{options.model} on {_title(source.name, digits)}: share of test images fooled\n")
    print(table([options.norm + " eps", "free", "in the pixel box"], rows))
    if options.out:
        with replacing(options.out) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **kept)
        print(f"\nPerturbed images written to {options.out}")


def optimum(options):
    """Find the global minimum of the robust hinge, certify it, and prove it if asked."""
    if options.path and (options.eps or options.margin or options.exact or options.certificate):
        raise ValueError("--path goes with none of --eps, --margin, --exact, --certificate")
    if options.margin and options.eps:
        raise ValueError("--margin finds an eps, and goes with no --eps")
    if options.path:
        return _path(options)
    wanted = ["margin"] if options.margin else options.eps or [0.1, 0.2, 0.3]
    source, digits = _source(options), options.digits or (0, 1)
    X, y = datasets.load("train", digits, np.uint8, source)
    X_test, y_test = datasets.load("test", digits, np.float64, source)
    records = []
    with Progress("solving", len(wanted)) as progress:
        for eps in wanted:
            found, record = _solve(X, y, X_test, y_test, eps)
            if options.exact or options.certificate:
                path = options.certificate
                if path and len(wanted) > 1:
                    path = path.with_stem(f"{path.stem}-{eps}")
                record |= _prove(X, y, found, digits, source, path)
            records.append(record)
            progress.advance()
    if options.json:
        about = {"dataset": datasets.describe(source, digits, y, y_test), "optima": records}
        print(json.dumps(about, indent=1, allow_nan=False))
        return
    what = "l-inf margin eps*" if options.margin else "global minimum of the robust hinge"
    print(f"{_title(source.name, digits)}: {what}\n")
    header = ["eps", "value", "relative gap", "pixels", "test error", "robust test error"]
    print(table(header, [[shape(r[k]) for k, shape in _CELLS.items()] for r in records]))
    for record in records:
        if "exact" in record:
            exact = textwrap.shorten(record["exact"].replace("/", " / "), 300, placeholder="...")
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


def _solve(X, y, X_test, y_test, eps):
    """The optimum at `eps`, or the margin of X (n_samples, n_features), and its record."""
    from numlin import optimum

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
            print(f"eps {eps:g}: not certified to 1e-9, see the gap", file=sys.stderr)
    return found, {
        "eps": eps,
        "value": value,
        "bound": bound,
        "relative_gap": relative_gap,
        "n_pixels": int(np.count_nonzero(found.w)),
        "test_error": error_rate(found.w, found.b, X_test, y_test),
        "robust_test_error": error_rate(found.w, found.b, X_test, y_test, attacked),
    }


def _prove(X, y, found, digits, source, certificate_path):
    """The exact value of an optimum or a margin, its certificate written if a path is given."""
    from numlin.data import idx
    from numlin.optimum.proof import certificate, rational

    prove = rational.prove if hasattr(found, "eps") else rational.prove_margin
    proof = prove(X, y, found)
    if certificate_path:
        images, labels = (idx.read(source.paths[f"train-{kind}"]) for kind in ("images", "labels"))
        certificate.write(certificate_path, proof, digits, images, labels)
    decimal = rational.decimal(proof.value, certificate.PLACES)
    written = {"certificate": str(certificate_path)} if certificate_path else {}
    return {"exact": str(proof.value), "decimal": decimal, **written}


def _path(options):
    """Optima for a grid of eps: table, price.json and two figures."""
    from numlin.figures import draw, save
    from numlin.figures.price import PRICE_FIGURES
    from numlin.studies import price

    source = _source(options)
    with staging(options.out) as folder:
        result = price.run(source, options.digits or (0, 1), options.path)
        for name in PRICE_FIGURES:
            save(draw(name, result, PRICE_FIGURES), folder / f"{name}.{options.format}")
        result.save(folder)
        written = sorted(path.name for path in folder.iterdir())
    if options.json:
        print(json.dumps(result.results(), indent=1, allow_nan=False))
        return
    print(_title(source.name, result.dataset["digits"]))
    print(textwrap.fill(result.caption, 100) + "\n")
    print(table(*result.table()))
    print(f"\nWritten to {options.out}: {', '.join(written)}")


def verify(options):
    """Check a certificate against the data with nothing but integers."""
    from numlin.optimum.proof.verifier import verify as check_certificate

    source = _source(options)
    images, labels = source.paths["train-images"], source.paths["train-labels"]
    claim = check_certificate(options.certificate, images, labels)
    what = f"minimum of the robust hinge at eps = {claim['eps']}"
    print(
        f"{options.certificate} holds: on {_title(source.name, claim['digits'])} the "
        f"{what if claim['kind'] == 'minimum' else 'l-inf margin'} is\n{claim['decimal']}..."
    )


def _source(options):
    """Find the data, and say loudly when it is not MNIST."""
    source = datasets.find(options.data, options.data_dir)
    if source.note:
        print(source.note, file=sys.stderr)
    return source


def _title(name, digits):
    kind = "MNIST" if name == "mnist" else f"{name.upper()} DIGITS (not MNIST),"
    return f"{kind} {digits[0]} against {digits[1]}"


def _figure_names():
    from numlin.figures import FIGURES

    return list(FIGURES)


def _draw(result, names, folder, suffix):
    """Save the named figures into `folder`, time it into the result, and return {name: path}."""
    from numlin.figures import FIGURES, draw, save

    clock = Clock()
    number = {name: k for k, name in enumerate(FIGURES, 1)}
    paths = {name: Path(folder) / f"{number[name]:02d}-{name}.{suffix}" for name in names}
    with Progress("drawing", len(names)) as progress:
        for name, path in paths.items():
            save(draw(name, result), path)
            progress.advance(note=name)
    clock.lap("figures")
    result.seconds.update(clock.seconds)
    return paths


def _report(result, figures, folder):
    """Write the page of results, figures and playground, timed as `_draw` is."""
    from numlin.report import write_report

    clock = Clock()
    write_report(result, folder / "report.html", figures)
    clock.lap("report")
    result.seconds.update(clock.seconds)


def _model_and_data(options):
    """The model of the file, the data, and the digits: those asked for, else those it knows."""
    model = LinearClassifier.load(options.model)
    digits = options.digits or model.trained_on_.get("digits", (0, 1))
    return model, _source(options), tuple(digits)


def _load_for(model, split, digits, source):
    """Images in float64 and labels, known to fit the model."""
    X, y = datasets.load(split, digits, np.float64, source)
    return check_inputs(X, len(model.w), "images"), y
