"""`numlin verify`: a certificate checked against the data with nothing but integers."""

from numlin.commands.shared import data_options, path, title
from numlin.data import datasets
from numlin.optimum.proof import verifier


def options(parser):
    """Declare the options of `numlin verify`."""
    parser.add_argument(
        "certificate", type=path, help="a file written by `numlin optimum --certificate`"
    )
    data_options(parser, digits=False)


def run(options):
    """Check a certificate against the data with nothing but integers."""
    source = datasets.find(options.data, options.data_dir)
    images, labels = source.paths["train-images"], source.paths["train-labels"]
    claim = verifier.verify(options.certificate, images, labels)
    digits, kind = title(source.name, claim["digits"]), claim["kind"]
    if kind == "path":
        print(
            f"{options.certificate} holds: on {digits} each of the {len(claim['hinge']):,} "
            "classifiers is the minimum of the robust hinge up to the next"
        )
        return
    print(f"{options.certificate} holds: on {digits} the {_WHAT[kind].format(claim['eps'])} is")
    print(f"{claim['decimal']}..." + (f" to {claim['eps']}" if kind == "box-margin" else ""))


_WHAT = {
    "minimum": "minimum of the robust hinge at eps = {}",
    "box": "minimum of the robust hinge in the pixel box at eps = {}",
    "margin": "l-inf margin",
    "box-margin": "l-inf margin in the pixel box",
}
