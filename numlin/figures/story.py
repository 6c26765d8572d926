"""The story: `story.md`, written once for the gallery (`figures/README.md`) and for the page.

A section begins with "## Title". Its blocks, with an empty line between them, are a paragraph; a
formula in TeX between dollars, and under it the function that computes it and a piece
of the very line; a figure, "![](name)"; or "{name}", something that only the page has.
"""

import ast
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from numlin.figures import FIGURES
from numlin.figures.price import PAIRS_FIGURES, PRICE_FIGURES

INTRODUCTION = """# The article in pictures

Everything on this page comes from three commands, seed 0, real MNIST, digits 0 and 1:

```
numlin figures --data mnist --out figures
numlin optimum --path all --data mnist --out figures
numlin reproduce --study pairs --data mnist --format png --out pairs
```

The same seed and versions give the same bytes. Each picture stands above its name for
`numlin figures NAME`; the function that draws it has that name with underscores. `numlin reproduce`
writes the same story as a page that computes: `report.html`.
"""


class Section(NamedTuple):
    """A part of the story: its `blocks` are (kind, content), as `story` reads them."""

    number: int
    title: str
    blocks: list


class Place(NamedTuple):
    """Where numlin computes a formula: the `name` of the function, its `file`, the `line` of the
    piece, and `code`, its numbered lines without the docstring."""

    name: str
    file: str
    line: int
    code: list


def story():
    """The sections. The content of "formula" is (TeX, `Place`), of all other kinds a text."""
    sections = []
    for block in files(__package__).joinpath("story.md").read_text("utf-8").strip().split("\n\n"):
        if block.startswith("## "):
            sections.append(Section(len(sections) + 1, block[3:], []))
        elif formula := re.fullmatch(r"\$\$(.*)\$\$\n(.*?): (.*)", block):
            tex, name, piece = formula.groups()
            sections[-1].blocks.append(("formula", (tex, place(name, piece))))
        elif other := re.fullmatch(r"!\[\]\((.*)\)|{(.*)}", block):
            figure, live = other.groups()
            sections[-1].blocks.append(("figure", figure) if figure else ("live", live))
        else:
            sections[-1].blocks.append(("text", block))
    return sections


def place(name, piece):
    """The `Place` of `piece` in the function `name`, "module.function" or "module.Class.method"."""
    parts = name.split(".")
    depth = 2 if parts[0] == "kernels" or parts[:2] == ["optimum", "walk"] else 1
    file, lines, node = _module(*parts[:depth])
    for part in parts[depth:]:
        named = [each for each in node.body if getattr(each, "name", None) == part]
        if not named:
            raise ValueError(f"story: found no {part} of {name} in {file}")
        node = named[0]
    documented = ast.get_docstring(node) is not None
    skipped = range(node.body[0].lineno, node.body[0].end_lineno + 1) if documented else ()
    numbers = [k for k in range(node.lineno, node.end_lineno + 1) if k not in skipped]
    code = [(k, lines[k - 1]) for k in numbers]
    line = next((k for k, text in code if piece in text), None)
    if line is None:
        raise ValueError(f"story: found no {piece!r} in {name} of {file}")
    return Place(name, file, line, code)


@cache
def _module(*parts):
    """Path, lines and syntax tree of a module of numlin."""
    root, tail = files("numlin"), "/".join(parts)
    tail += "/__init__.py" if root.joinpath(tail).is_dir() else ".py"
    text = root.joinpath(tail).read_text("utf-8")
    return f"numlin/{tail}", text.splitlines(), ast.parse(text)


def gallery(digits=(0, 1)):
    """The story in Markdown, as GitHub shows it, with the pictures of the folder beside it."""
    numbered = {name: f"{k:02d}-{name}" for k, name in enumerate(FIGURES, 1)}
    page = [INTRODUCTION]
    for section in story():
        page.append(f"## {section.number}. {section.title}\n")
        for kind, content in section.blocks:
            if kind == "text":
                page.append(fill(content, {"first": digits[0], "second": digits[1]}) + "\n")
            elif kind == "formula":
                tex, at = content
                page.append(f"$${tex}$$\n\n`{at.file}: {at.name.split('.')[-1]}`\n")
            elif kind == "figure":
                entry = (FIGURES | PRICE_FIGURES | PAIRS_FIGURES)[content].function
                drawn_by = f"{entry.__module__.split('.')[-1]}.py: {entry.__name__}"
                picture = f"![]({numbered.get(content, content)}.png)"
                page.append(f"{picture}\n\n`{content}`, drawn by `{drawn_by}`\n")
    return "\n".join(page)


def fill(text, words):
    """`text` with `words["first"]` in place of {first}, and so on."""
    return re.sub(r"{(\w+)}", lambda found: str(words.get(found[1], found[0])), text)


if __name__ == "__main__":
    print(gallery(), end="")
