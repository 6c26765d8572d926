"""`numlin figures`: draw some or all figures of the article, or list them."""

from pathlib import Path

from numlin.commands.shared import (
    data_options,
    find_data,
    load_model_and_data,
    load_split,
    path,
    run_options,
    title,
)
from numlin.data import datasets
from numlin.figures import FIGURES, draw, save
from numlin.figures.own import MODEL_FIGURES, Subject
from numlin.studies import article
from numlin.studies.clock import Clock
from numlin.support.arguments import check_choice
from numlin.support.files import staging
from numlin.support.forks import share_with_a_copy
from numlin.support.progress import Progress


def options(parser):
    """Declare the options of `numlin figures`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--list", action="store_true", help="name the figures and stop")
    parser.add_argument(
        "--model",
        type=path,
        metavar="FILE",
        help=f"of this model alone, without the article: {', '.join(MODEL_FIGURES)}",
    )
    data_options(parser)
    run_options(parser, "numlin-figures")


def run(options):
    """Draw some or all figures of the article, or list them."""
    registry = MODEL_FIGURES if options.model else FIGURES
    known = list(registry)
    for name in options.names:
        check_choice("figure", name, known)
    names = options.names or known
    if options.list:
        print("\n".join(names))
        return
    out = options.out or Path("numlin-figures")
    if options.model:
        model, source, digits = load_model_and_data(options)
    else:
        source, digits = find_data(options)
    with staging(out, keep=True) as folder:
        if options.model:
            X, y = load_split(model, "test", digits, source)
            about = datasets.describe(source, digits, (), y)
            result = Subject(about, model.w, model.b, X, y)
            for name in names:
                save(draw(name, result, registry), folder / f"{name}.{options.format}")
        else:
            result = article.run(source, digits, options.seed, options.engine)
            draw_figures(result, names, folder, options.format)
    many = "figure" if len(names) == 1 else "figures"
    print(f"{title(source.name, digits)}: {len(names)} {many} in {out}")


def draw_figures(result, names, folder, suffix):
    """Save the named figures into `folder`, time it into the result, and return {name: path}."""
    clock = Clock()
    number = {name: k for k, name in enumerate(FIGURES, 1)}
    paths = {name: Path(folder) / f"{number[name]:02d}-{name}.{suffix}" for name in names}
    with Progress("drawing", len(names)) as progress:
        share_with_a_copy(
            lambda name: save(draw(name, result), paths[name]),
            paths,
            lambda name: progress.advance(note=name),
        )
    clock.lap("figures")
    result.seconds.update(clock.seconds)
    return paths
