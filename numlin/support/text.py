"""Text for the terminal."""


def table(header, rows):
    """Lay out `rows` of text (n_rows, n_columns) under a header: the first column to the left."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells):
        first, *rest = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return "  ".join([cells[0].ljust(widths[0]), *rest]).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def printable(text):
    """`text` on one line, a "?" for what may steer a terminal or cannot be written."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
