"""The report: a whole run on one HTML page that needs no network and no other file.

`page.html` and `page.css` are the page as it is read and edited, `live/` what computes on it, each
part its own HTML and JavaScript above the `core.js` of all. `write_report` tells the story of
`numlin.figures.story` with the results, the pictures and the data of a run in their places.
"""

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from numlin.balls import BALLS
from numlin.data.datasets import title
from numlin.figures import FIGURES, theory
from numlin.figures.story import fill, story
from numlin.losses import hinge
from numlin.objective import is_error, score
from numlin.report.mathml import mathml
from numlin.support.arguments import check_finite
from numlin.support.environment import environment
from numlin.support.files import replacing

PER_DIGIT = 20
LIVE = ("plane", "playground", "images", "training", "optimum")
SHOWN = {".png": "image/png", ".svg": "image/svg+xml"}
N_FRAMES = 18
BEGIN = 'document.documentElement.className = "js";'  # shows what needs JavaScript
INLINE = (
    (r"\$(.+?)\$", lambda found: mathml(html.unescape(found[1]))),
    (r"\*(.+?)\*", r"<em>\1</em>"),
    (r"\b(section) (\d+)", r'<a href="#section-\2">\1 \2</a>'),
)


def write_report(article, path, figures=None):
    """Write `article` as one self-contained page, whole or not at all.

    Parameters
    ----------
    article : numlin.studies.article.Article
        X_test (n_test, n_features), y_test (n_test,), and the models of its runs and optima.
    path : str or Path
        The .html file to write.
    figures : dict of Path, optional
        The file of each figure by its name in `numlin.figures.FIGURES`. PNG and SVG are shown;
        of other formats the page only gives caption and file name.
    """
    data = page_data(article)
    live = [name for name in LIVE if data.get(name, True)]
    about, sections = _about(article), story()
    about["controls"] = _read("live/controls.html")
    about["table"] = _table(*article.table())
    script = "".join(f"\n{{\n{_read(f'live/{name}.js')}}}\n" for name in live)
    script = _read("core.js") + script + _read("start.js")
    page = Template(_read("page.html")).substitute(
        about,
        style=_read("page.css"),
        begin=BEGIN,
        script=script,
        hashes_of_scripts=f"{_hash(BEGIN)} {_hash(script)}",
        data=json.dumps(data, allow_nan=False).replace("<", r"\u003c"),
        contents="".join(f'<li><a href="#section-{s.number}">{s.title}</a></li>' for s in sections),
        story="\n".join(_section(s, about, figures or {}, live) for s in sections),
        places="\n".join(
            f"<li><code>{place.file}</code>, line {place.line}, <code>{place.name}</code>: "
            f'<a href="#formula-{section.number}-{k}">section {section.number}</a></li>'
            for section in sections
            for k, (kind, content) in enumerate(section.blocks)
            if kind == "formula"
            for place in content[1:]
        ),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")


def page_data(article):
    """What the page computes with, ready for JSON: digits, models, test images, training, optima.

    Arrays are little-endian bytes in base64: weights float64, so that they read back as they are,
    those during training float32, in which they were trained; pixels as `packed` bytes.
    """
    pixels = np.rint(article.X_test * 255).astype(np.uint8)
    return {
        "digits": article.dataset["digits"],
        "shape": list(article.shape),
        "balls": list(BALLS),
        "models": [
            {"name": name, "kind": kind, "eps": run.model.eps, "b": run.model.b}
            | {"w": _array(run.model.w)}
            for kind, runs in (("trained", article.runs), ("optimum", article.optima))
            for name, run in runs.items()
        ],
        "y": article.y_test.tolist(),
        "pixels": _base64(packed(pixels.tobytes())),
        "thumbs": [int(i) for i in selection(article)],
        "training": [
            {"name": name} | _frames(run, article)
            for name, run in article.runs.items()
            if run.records
        ],
        "plane": {
            "points": theory.POINTS.tolist(),
            "y": theory.LABELS.tolist(),
            "w": theory.PLANE_W.tolist(),
            "b": theory.PLANE_B,
            "eps": theory.PLANE_EPS,
        },
        "optimum": [
            {"eps": found.eps, "b": float(found.b), "w": _array(found.w)}
            | {"objective": found.objective, "bound": found.lower_bound}
            | {"others": {name: run.path_loss[k] for name, run in article.runs.items()}}
            for k, found in enumerate(article.path)
        ],
    }


def packed(raw):
    """`raw` bytes with every run of up to 255 zeros as two bytes, a zero and its length."""
    return re.sub(rb"\0{1,255}", lambda run: bytes((0, len(run[0]))), raw)


def _frames(run, article):
    """Weights at the start, at steps that come ever later, and at the end; loss and accuracy there.

    The last weights and the recorded gradients give all earlier ones (see
    `numlin.figures.beyond.weight_paths`). The loss is the model's own robust hinge on the test
    images.
    """
    gradients = run.records.gradients
    steps = np.unique(np.geomspace(1, len(gradients.grad_w) + 1, N_FRAMES).astype(int)) - 1
    grad = np.column_stack([gradients.grad_w, gradients.grad_b]).astype(np.float64)
    to_go = np.cumsum(grad[::-1], axis=0)[::-1]
    ahead = np.vstack([to_go, np.zeros(grad.shape[1])])[steps] * run.model.learning_rate
    v = (np.append(run.model.w, run.model.b) + ahead).astype(np.float32)
    w, b = v[:, :-1].astype(np.float64), v[:, -1].astype(np.float64)
    margin = article.y_test[:, None] * (article.X_test @ w.T + b)
    drop = run.model.eps * np.abs(w).sum(axis=1)
    return {
        "steps": steps.tolist(),
        "epochs": run.model.n_epochs,
        "w": _array(w, np.float32),
        "loss": hinge(margin - drop).mean(axis=0).tolist(),
        "accuracy": (margin > 0).mean(axis=0).tolist(),
    }


def selection(article):
    """Rows of X_test to choose from at once: at most `PER_DIGIT` of either digit, hardest first.

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


def _section(section, about, figures, live):
    """One section of the story as HTML."""
    parts = [f"<h2>{section.number}. {section.title}</h2>"]
    for k, (kind, content) in enumerate(section.blocks):
        if kind == "text":
            parts.append(f"<p>{fill(_prose(html.escape(content, quote=False)), about)}</p>")
        elif kind == "formula":
            parts.append(_formula(f"formula-{section.number}-{k}", *content))
        elif kind == "figure" and content in figures:
            parts.append(_figure(content, Path(figures[content])))
        elif content in live or content == "results":
            shown = fill(_prose(_read(f"live/{content}.html")), about)
            only = " js-only" if content in live else ""
            parts.append(f'<div class="live{only}" id="{content}">\n{shown}</div>')
    return "\n".join([f'<section id="section-{section.number}">', *parts, "</section>"])


def _prose(text):
    """HTML text with its formulas, emphasis and mentions of sections set."""
    for pattern, setting in INLINE:
        text = re.sub(pattern, setting, text, flags=re.DOTALL)
    return text


def _formula(anchor, tex, place):
    """A formula above the lines of numlin that compute it, which unfold."""
    lines = "".join(
        f"<{tag}><i>{number}</i> {html.escape(text)}</{tag}>\n"
        for number, text in place.code
        for tag in ("mark" if number == place.line else "span",)
    )
    pieces = "".join(mathml(piece, display=True) for piece in tex.split(r"\quad"))
    name = place.name.split(".")[-1]
    return (
        f'<div class="formula" id="{anchor}"><div tabindex="0">{pieces}</div>\n'
        f"<details><summary><code>{place.file}</code>, line {place.line}: <code>{name}</code>"
        f'</summary><pre tabindex="0">{lines}</pre></details></div>'
    )


def _about(article):
    """Where the results come from, in words."""
    data, packages = article.dataset, environment()["packages"]
    real = data["name"] == "mnist"
    about = {
        "name": title(data["name"]),
        "warning": "" if real else "These data are not MNIST: no number here is one of MNIST's.",
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
    called, caption = html.escape(name.replace("-", " ")), html.escape(FIGURES[name].caption)
    picture = f"<p>In the file {html.escape(file.name)}.</p>"
    if file.suffix in SHOWN:
        source = f"data:{SHOWN[file.suffix]};base64,{_base64(file.read_bytes())}"
        picture = f'<img class="{file.suffix[1:]}" alt="{called}" loading="lazy" src="{source}">'
    return (
        f'<figure id="{html.escape(name)}" class="drawn">{picture}\n'
        f"<figcaption><b>{called.capitalize()}.</b> {caption}</figcaption></figure>"
    )


def _hash(script):
    """The only scripts that the page's policy lets run are those of these hashes."""
    return f"'sha256-{_base64(hashlib.sha256(script.encode()).digest())}'"


def _read(name):
    """A file of this folder."""
    return files(__package__).joinpath(name).read_text("utf-8")


def _array(values, dtype=np.float64):
    check_finite(values, "weights")
    return _base64(np.asarray(values, np.dtype(dtype).newbyteorder("<")).tobytes())


def _base64(raw):
    return base64.b64encode(raw).decode("ascii")
