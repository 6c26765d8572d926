"""The command line: which command is meant, and what happens to a user's mistake.

What the commands are and do is in `numlin.commands`, a file each, which loads when one is run.
"""

import argparse
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

import numlin
from numlin.commands import COMMANDS
from numlin.support.files import SIGNALS, naming
from numlin.support.progress import say
from numlin.support.text import printable


def run():
    """The process `numlin`: `main`, with what only a process may set.

    A polite kill or a lost terminal is a Ctrl-C, and cleans up as that does. A standard stream that
    is closed is nowhere, lest a file that is opened become it. NumPy's products here wait for
    memory and gain nothing from more threads; with one, results do not depend on the number of
    processors. NumPy reads that when it loads, which is later.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout = _Output(sys.stdout)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main(loaded=handle_signals))


def handle_signals():
    """Let signals that end a process end it as Ctrl-C does, but for those that are ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def main(argv=None, loaded=lambda: None):
    """Run the command in `argv` (default: the process's own) and return its exit code.

    `loaded` is called when the command's modules are there, before it begins.

    A mistake of the user's, or a full disk, is one line on standard error and exit code 2, Ctrl-C
    is 130. Who reads the output may leave: 141 if the command could not end, else its own code.
    """
    code = 141
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        loaded()
        code = options.run(options) or 0
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except SystemExit as left:  # of argparse: --help, --version, a wrong option
        code = left.code
    except (ValueError, ArithmeticError, OSError, MemoryError) as error:
        say(f"numlin: error: {_one_line(error)}")
        code = 2
    except KeyboardInterrupt:
        say("numlin: interrupted")
        code = 130
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # Python would complain of it at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


class _Output:
    """Standard output, named by its errors."""

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        with naming("standard output"):
            return self.stream.write(text)

    def flush(self):
        with naming("standard output"):
            self.stream.flush()


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
    if isinstance(error, NotADirectoryError | FileExistsError) and error.filename:
        for parent in Path(os.fsdecode(error.filename)).parents:
            if parent.is_file():
                return printable(f"{parent}: not a folder")
    if isinstance(error, OSError) and error.filename:
        return printable(f"{error.filename}: {error.strerror}")
    return printable(str(error)) or "out of memory"
