"""`numlin reproduce`: a published experiment, from data to tables, figures and page."""

from importlib import import_module
from pathlib import Path

from numlin.commands.figures import draw_figures
from numlin.commands.shared import data_options, find_data, run_options, title
from numlin.figures import FIGURES, draw, save
from numlin.figures.price import PAIRS_FIGURES
from numlin.report import write_report
from numlin.studies.clock import Clock
from numlin.support.files import staging
from numlin.support.text import table, wrapped

STUDIES = ("article", "kolter-madry", "transfer", "pairs")


def options(parser):
    """Declare the options of `numlin reproduce`."""
    parser.add_argument(
        "--study",
        choices=STUDIES,
        default="article",
        help="which published experiment to run (default: article)",
    )
    data_options(parser)
    run_options(parser, "numlin-results, or numlin- and the study")
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
    source, digits = find_data(options, fallback=True)
    study = import_module("numlin.studies." + options.study.replace("-", "_"))
    name = "results" if options.study == "article" else options.study
    out = options.out or Path(f"numlin-{name}")
    with staging(out) as folder:
        result = study.run(source, digits, options.seed, options.engine, **extra)
        if options.study == "article":
            names = list(FIGURES) if options.figures else []
            drawn = draw_figures(result, names, folder / "figures", options.format)
            _report(result, drawn, folder)
        elif options.study == "pairs":
            drawn = draw("all-pairs", result, PAIRS_FIGURES)
            save(drawn, folder / f"all-pairs.{options.format}")
        result.save(folder)
        written = sorted(path.name for path in folder.iterdir())
    data = result.dataset
    whom = title(data["name"], data["digits"] if options.study != "pairs" else ("any", "any"))
    print(f"{whom}: {data['n_train']:,} training and {data['n_test']:,} test images")
    print(wrapped(result.caption) + "\n")
    print(table(*result.table()))
    print(f"\nWritten to {out}: {', '.join(written)}")
    if options.study == "article":
        print(f"Open {out / 'report.html'} in a browser")


def _report(result, figures, folder):
    """Write the page of results, figures and playground, timed as `_draw` is."""
    clock = Clock()
    write_report(result, folder / "report.html", figures)
    clock.lap("report")
    result.seconds.update(clock.seconds)
