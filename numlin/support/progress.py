"""One line of progress on a terminal, silence everywhere else."""

import shutil
import sys
from contextlib import suppress


def say(text, end="\n"):
    """Write to standard error, if there is one that can be written to."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(text + end)
        sys.stderr.flush()


class Progress:
    """A line on standard error that is rewritten in place, and removed at the end.

    Nothing is written unless standard error is a terminal, so pipes and logs stay clean.

    Parameters
    ----------
    label : str
        What is being done.
    total : int or None
        How many steps make the whole; None when that is not known.

    Examples
    --------
    >>> with Progress("training", total=4) as progress:
    ...     for _ in range(4):
    ...         progress.advance()
    """

    def __init__(self, label, total=None):
        self.label, self.total, self.done, self.visible = label, total, 0, False
        with suppress(AttributeError, ValueError):  # none, or closed
            self.visible = sys.stderr.isatty()

    def advance(self, steps=1, note=""):
        """Count `steps` more as done and redraw the line, `note` at its end."""
        self.done += steps
        if not self.visible:
            return
        share = f"{self.done / self.total:4.0%}" if self.total else f"{self.done:,}"
        line = f"{self.label} {share} {note}"
        say("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1], end="")

    def __enter__(self):
        self.advance(0)
        return self

    def __exit__(self, *error):
        if self.visible:
            say("\r\x1b[K", end="")
