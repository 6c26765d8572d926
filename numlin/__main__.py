"""`python -m numlin` is the command `numlin`."""

from numlin.cli import run

run()
