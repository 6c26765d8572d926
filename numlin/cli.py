"""The command line: which command is meant, and what happens to a user's mistake.

What the commands are and do is in `numlin.commands`, a file each, which loads when one is run.
"""

import argparse
import os
import signal
import sys
from importlib import import_module

import numlin
from numlin.commands import COMMANDS


def run():
    """The process `numlin`: `main`, with what only a process may set.

    A polite kill is a Ctrl-C, and cleans up as that does. NumPy's products here wait for memory
    and gain nothing from more threads; with one, results do not depend on the number of
    processors. NumPy reads that when it loads, which is later.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())


def main(argv=None):
    """Run the command in `argv` (default: the process's own) and return its exit code.

    A mistake of the user's is one line on standard error and exit code 2, Ctrl-C is 130.
    """
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        return options.run(options) or 0
    except (ValueError, ArithmeticError, OSError, MemoryError) as error:
        print(f"numlin: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("numlin: interrupted", file=sys.stderr)
        return 130


def parse(argv):
    """The options in `argv`, with the `run` of their command, the only one that is loaded."""
    parser = argparse.ArgumentParser(
        prog="numlin",
        description=numlin.__doc__.splitlines()[0],
        epilog="start with `numlin reproduce`; `numlin COMMAND --help` says what a command takes",
    )
    parser.add_argument("--version", action="version", version=f"numlin {numlin.__version__}")
    commands = parser.add_subparsers(required=True, title="commands", metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name in argv[:1]:
            module = import_module(f"numlin.commands.{name}")
            module.options(command)
            command.set_defaults(run=module.run)
    return parser.parse_args(argv or ["--help"])


def _one_line(error):
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or "out of memory"
