"""`numlin figures`: draw some or all figures of the article, or list them."""

from pathlib import Path

from numlin.commands.shared import data_options, find_source, run_options, title
from numlin.figures import FIGURES, draw, save
from numlin.studies import article
from numlin.studies.clock import Clock
from numlin.support.arguments import check_choice
from numlin.support.files import staging
from numlin.support.progress import Progress


def options(parser):
    """Declare the options of `numlin figures`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--list", action="store_true", help="name the figures and stop")
    data_options(parser)
    run_options(parser, "numlin-figures")


def run(options):
    """Draw some or all figures of the article, or list them."""
    known = list(FIGURES)
    for name in options.names:
        check_choice("figure", name, known)
    names = options.names or known
    if options.list:
        print("\n".join(names))
        return
    source, out = find_source(options), options.out or Path("numlin-figures")
    with staging(out, keep=True) as folder:
        result = article.run(source, options.digits or (0, 1), options.seed, options.engine)
        draw_figures(result, names, folder, options.format)
    data = result.dataset
    print(f"{title(data['name'], data['digits'])}: {len(names)} figures in {out}")


def draw_figures(result, names, folder, suffix):
    """Save the named figures into `folder`, time it into the result, and return {name: path}."""
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
