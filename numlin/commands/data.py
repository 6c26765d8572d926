"""`numlin data`: fetch what is missing of MNIST, verify, and say what is there."""

from numlin.commands.shared import data_dir_option
from numlin.data import datasets
from numlin.support.text import table


def options(parser):
    """Declare the options of `numlin data`."""
    data_dir_option(parser)


def run(options):
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
