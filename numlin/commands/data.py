"""`numlin data`: fetch what is missing of a published set, verify, and say what is there."""

import numpy as np

from numlin.commands.shared import data_dir_option
from numlin.data import datasets, idx
from numlin.support.files import TEMPORARY
from numlin.support.text import table


def options(parser):
    """Declare the options of `numlin data`."""
    parser.add_argument(
        "--data",
        choices=tuple(datasets.TITLES),
        help="the set to fetch and verify (default: whatever is in --data-dir, else mnist)",
    )
    data_dir_option(parser)


def run(options):
    """Fetch what is missing of a published set, verify, and say what is there."""
    name, problem = options.data or "mnist", None
    folder = datasets.data_folder(options.data_dir, name)
    theirs = any(not TEMPORARY.fullmatch(path.name) for path in folder.glob("*"))
    try:
        return _show(datasets.find(options.data or "auto", folder), folder)
    except datasets.MissingError:
        files = datasets.status(folder, name)
        begun = any(not file.problem for file in files)
        if theirs and not (options.data or begun):
            raise  # somebody's folder, not one where a download began
    try:
        files = datasets.download(folder, name)
    except ValueError as error:
        files, problem = datasets.status(folder, name), error
    called = datasets.TITLES[name]
    rows = [
        [f.path.name, f"{f.n_bytes:,}", f.sha256[:16] or "-", f.problem or f"is {called}'s"]
        for f in files
    ]
    print(f"{called} in {folder}\n")
    print(table(["file", "bytes", "sha256", "verdict"], rows))
    if problem:
        raise problem


def _show(source, place):
    """Print the files of a whole set, what each holds, and the labels."""
    (whole, *_) = source.sha256.values()  # the .npz file's, if it is one
    rows = [
        [path.name, " x ".join(map(str, idx.shape(path))), source.sha256.get(path.name, whole)[:16]]
        for path in source.paths.values()
    ]
    labels = np.unique(idx.read(source.paths["train-labels"]))
    print(f"{datasets.title(source.name)} in {place}\n")
    print(table(["file", "shape", "sha256"], rows))
    print(f"\nlabels: {', '.join(map(str, labels))}")
