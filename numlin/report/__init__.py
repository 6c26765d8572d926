"""The report: a whole run on one HTML page that needs no network and no other file.

`page.html`, `page.css` and `playground.js` are the page as it is read and edited; `write_report`
puts the results, the pictures and the playground's data into it.
"""

import base64
import html
import json
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from numlin.figures import FIGURES
from numlin.objective import is_error, score
from numlin.support.environment import environment
from numlin.support.files import replacing

PER_DIGIT = 20
TEMPLATES = ("page.html", "page.css", "playground.js")
SHOWN = {".png": "image/png", ".svg": "image/svg+xml"}


def write_report(article, path, figures=None):
    """Write `article` as one self-contained page, whole or not at all.

    Parameters
    ----------
    article : numlin.studies.article.Article
        X_test (n_test, 784), y_test (n_test,), and the models of its runs and optima.
    path : str or Path
        The .html file to write.
    figures : dict of Path, optional
        The file of each figure by its name in `numlin.figures.FIGURES`. PNG and SVG are shown;
        of other formats the page only gives caption and file name.
    """
    drawn = [_figure(name, Path(file)) for name, file in (figures or {}).items()]
    templates = {name: files(__package__).joinpath(name).read_text("utf-8") for name in TEMPLATES}
    page = Template(templates["page.html"]).substitute(
        style=templates["page.css"],
        script=templates["playground.js"],
        data=json.dumps(playground(article), allow_nan=False).replace("<", r"\u003c"),
        table=_table(*article.table()),
        figures="\n".join(drawn) or "<p>No figures were drawn in this run.</p>",
        **_about(article),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")


def playground(article):
    """What the playground computes with, ready for JSON: digits, models and test images.

    Weights are written so that they read back as the same float64; an image is its (784,) pixels
    as bytes, 255 times their value, in base64.
    """
    return {
        "digits": article.dataset["digits"],
        "models": [
            {"name": name, "w": run.model.w.tolist(), "b": run.model.b}
            for name, run in (article.runs | article.optima).items()
        ],
        "images": [
            {
                "index": int(i),
                "y": int(article.y_test[i]),
                "pixels": _base64(np.rint(article.X_test[i] * 255).astype(np.uint8).tobytes()),
            }
            for i in selection(article)
        ],
    }


def selection(article):
    """Rows of X_test for the playground: at most `PER_DIGIT` of either digit, hardest first.

    Of each model the three worst mistakes and the right answer nearest to the boundary; the rest
    is an even sample of the test images.
    """
    models = [run.model for run in article.runs.values()]
    margins = [article.y_test * score(model.w, model.b, article.X_test) for model in models]
    nearest = np.min([run.radius for run in article.runs.values()], axis=0)
    rows = []
    for y in (-1, 1):
        own = np.flatnonzero(article.y_test == y)
        chosen = []
        for margin in margins:
            rising = own[np.argsort(margin[own], kind="stable")]
            wrong = np.count_nonzero(is_error(margin[own]))
            chosen += [*rising[: min(wrong, 3)], *rising[wrong : wrong + 1]]
        chosen += [*own[np.linspace(0, len(own) - 1, min(PER_DIGIT, len(own))).astype(int)]]
        rows += sorted([*dict.fromkeys(chosen)][:PER_DIGIT], key=nearest.__getitem__)
    return rows


def _about(article):
    """Where the results come from, in words."""
    data, packages = article.dataset, environment()["packages"]
    real = data["name"] == "mnist"
    about = {
        "name": "MNIST" if real else f"{data['name'].upper()} DIGITS",
        "warning": "" if real else "These digits are not MNIST: no number here is one of MNIST's.",
        "first": data["digits"][0],
        "second": data["digits"][1],
        "n_train": f"{data['n_train']:,}",
        "n_test": f"{data['n_test']:,}",
        "seed": article.seed,
        "versions": ", ".join(f"{name} {version}" for name, version in packages.items() if version),
    }
    hashes = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(sha256)}</dd>"
        for name, sha256 in data["sha256"].items()
    )
    return {key: html.escape(str(value)) for key, value in about.items()} | {"hashes": hashes}


def _table(header, rows):
    """The result table turned over, a column for each model, so that it fits a phone."""
    lines = []
    for k, cells in enumerate(zip(header, *rows, strict=True)):
        first, *rest = map(html.escape, cells)
        cell = "<td>{}</td>" if k else '<th scope="col">{}</th>'
        rest = "".join(map(cell.format, rest))
        lines.append(f'<tr><th scope="{"row" if k else "col"}">{first}</th>{rest}</tr>')
    return "<thead>{}</thead>\n<tbody>{}</tbody>".format(lines[0], "\n".join(lines[1:]))


def _figure(name, file):
    """One figure with its caption, its file inlined."""
    title, caption = html.escape(name.replace("-", " ")), html.escape(FIGURES[name].caption)
    picture = f"<p>In the file {html.escape(file.name)}.</p>"
    if file.suffix in SHOWN:
        source = f"data:{SHOWN[file.suffix]};base64,{_base64(file.read_bytes())}"
        picture = f'<img alt="{title}" src="{source}">'
    return (
        f'<figure id="{html.escape(name)}">{picture}\n'
        f"<figcaption><b>{title.capitalize()}.</b> {caption}</figcaption></figure>"
    )


def _base64(raw):
    return base64.b64encode(raw).decode("ascii")
