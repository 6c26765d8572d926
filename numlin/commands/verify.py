"""`numlin verify`: a certificate checked against the data with nothing but integers."""

from numlin.commands.shared import data_options, find_source, title
from numlin.optimum.proof import verifier


def options(parser):
    """Declare the options of `numlin verify`."""
    parser.add_argument("certificate", help="a file written by `numlin optimum --certificate`")
    data_options(parser, digits=False)


def run(options):
    """Check a certificate against the data with nothing but integers."""
    source = find_source(options)
    images, labels = source.paths["train-images"], source.paths["train-labels"]
    claim = verifier.verify(options.certificate, images, labels)
    what = f"minimum of the robust hinge at eps = {claim['eps']}"
    print(
        f"{options.certificate} holds: on {title(source.name, claim['digits'])} the "
        f"{what if claim['kind'] == 'minimum' else 'l-inf margin'} is\n{claim['decimal']}..."
    )
