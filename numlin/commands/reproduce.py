"""`numlin reproduce`: a published experiment, from data to tables, figures and page."""

import textwrap
from importlib import import_module
from pathlib import Path

from numlin.commands.figures import draw_figures
from numlin.commands.shared import data_options, find_source, run_options, title
from numlin.figures import FIGURES
from numlin.report import write_report
from numlin.studies.clock import Clock
from numlin.support.files import staging
from numlin.support.text import table

STUDIES = ("article", "kolter-madry", "transfer")


def options(parser):
    """Declare the options of `numlin reproduce`."""
    parser.add_argument(
        "--study",
        choices=STUDIES,
        default="article",
        help="which published experiment to run (default: article)",
    )
    data_options(parser)
    run_options(parser, "numlin-results, numlin-kolter-madry, numlin-transfer")
    parser.set_defaults(format="svg")  # which takes the colours of the page around it
    parser.add_argument("--seeds", type=int, help="kolter-madry: how many (default: 8)")
    parser.add_argument(
        "--no-figures",
        dest="figures",
        action="store_false",
        help="article: neither draw nor show figures",
    )


def run(options):
    """Run a study from data to tables, results and figures; what an earlier run left there goes."""
    extra = {}
    if options.seeds is not None:
        if options.study != "kolter-madry":
            raise ValueError("--seeds: only --study kolter-madry runs over several seeds")
        extra["n_seeds"] = options.seeds
    source = find_source(options)
    study = import_module("numlin.studies." + options.study.replace("-", "_"))
    name = "results" if options.study == "article" else options.study
    out = options.out or Path(f"numlin-{name}")
    with staging(out) as folder:
        result = study.run(source, options.digits or (0, 1), options.seed, options.engine, **extra)
        if options.study == "article":
            names = list(FIGURES) if options.figures else []
            drawn = draw_figures(result, names, folder / "figures", options.format)
            _report(result, drawn, folder)
        result.save(folder)
        written = sorted(path.name for path in folder.iterdir())
    data = result.dataset
    print(
        f"{title(data['name'], data['digits'])}: {data['n_train']:,} training and "
        f"{data['n_test']:,} test images"
    )
    print(textwrap.fill(result.caption, 100) + "\n")
    print(table(*result.table()))
    print(f"\nWritten to {out}: {', '.join(written)}")


def _report(result, figures, folder):
    """Write the page of results, figures and playground, timed as `_draw` is."""
    clock = Clock()
    write_report(result, folder / "report.html", figures)
    clock.lap("report")
    result.seconds.update(clock.seconds)
