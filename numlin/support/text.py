"""Text for the terminal."""

import shutil
import sys
import textwrap


def room():
    """How many characters fit on a line of the terminal; many where the output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize


def wrapped(text):
    """`text` in lines that fit the terminal, of 100 characters at the most."""
    return textwrap.fill(text, min(100, room()))


def table(header, rows):
    """Lay out `rows` of text (n_rows, n_columns) under a header: the first column to the left.

    What is too wide for the terminal is turned over, and its columns are shared out to as many
    tables under one another as need be.
    """
    text = _table(header, rows)
    if _width(text) <= room():
        return text
    (corner, *names), *turned = zip(header, *rows, strict=True)
    return "\n\n".join(_tables(corner, names, turned))


def _tables(corner, names, rows):
    """`_table`s of as many columns each as there is room for, of one at the least."""
    while names:
        for n in range(len(names), 0, -1):
            text = _table([corner, *names[:n]], [row[: n + 1] for row in rows])
            if _width(text) <= room():
                break
        yield text
        names, rows = names[n:], [[row[0], *row[n + 1 :]] for row in rows]


def _width(text):
    return max(map(len, text.splitlines()))


def _table(header, rows):
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells):
        first, *rest = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return "  ".join([cells[0].ljust(widths[0]), *rest]).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def printable(text):
    """`text` on one line, a "?" for what may steer a terminal or cannot be written."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
