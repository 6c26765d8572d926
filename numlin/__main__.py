"""`python -m numlin` is the command `numlin`."""

import signal

# Until a command is loaded there is nothing to clean up, and Ctrl-C ends the process as it is:
# an import that is interrupted may raise anything.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run():
    """The process `numlin`."""
    from numlin.cli import run

    run()


if __name__ == "__main__":
    run()
