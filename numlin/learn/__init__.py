"""Derive it yourself: exercises that are graded by mathematics, not by stored answers.

One file an exercise, `eNN_name.py`, found by its name; the sixteenth needs nothing else. It holds

    docstring     a title, and the text that a learner gets
    functions     those to be written, without bodies; they are copied into the learner's file
    OWN           the same functions, done right, by numlin where it has them
    SOURCE        where numlin does it, "module:name"; the last hint
    SHOWN         functions to show beside a right solution, if SOURCE holds much else
    DIFFERS       what numlin's version does besides, and why
    HINTS         two
    MISTAKES      each a wrong twin of a function, what is wrong, and numbers to see it by hand
    cases()       input, random and degenerate: pairs of a function's name and its arguments
    prove(s)      raises Wrong unless the solution s holds; says what was checked

`grading` is what these files use, `judge` runs a learner's file in a process of its own.
"""

import ast
import inspect
import textwrap
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

from numlin.learn import judge
from numlin.support.text import table

FOLDER = Path("numlin-exercises")
TEST = '''"""`pytest` on this folder says of every exercise what `numlin learn check` says."""

from pathlib import Path

import pytest

from numlin import learn

FILES = sorted(Path(__file__).parent.glob("e[0-9][0-9]_*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_exercise(path):
    graded = learn.grade(path)
    if graded["state"] != "right":
        pytest.fail(learn.verdict(path, graded), pytrace=False)
'''


def names():
    """The exercises in their order: names of modules here and of files in a learner's folder."""
    return sorted(path.stem for path in Path(__file__).parent.glob("e[0-9][0-9]_*.py"))


def number(name):
    """The number of the exercise of this name."""
    return int(name[1:3])


def exercise(name):
    """The module of the exercise of this name."""
    return import_module(f"numlin.learn.{name}")


def title(name):
    """The first line of an exercise's text."""
    return inspect.getdoc(exercise(name)).partition("\n")[0].rstrip(".")


def text(name):
    """What a learner's file holds before anything is done: text, signatures, no answer."""
    module, n = exercise(name), number(name)
    ways = f"Grade, in this folder: numlin learn check {n}\nHints: numlin learn hint {n}"
    about = f"{inspect.getdoc(module)}\n\n{ways}"
    functions = (inspect.getsource(getattr(module, function)) for function in module.OWN)
    return "\n\n".join([f'"""{about}\n"""\n\nimport numpy as np\n', *functions])


def write(folder):
    """Write what `folder` lacks of the exercises and their test; return the names written."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.py": text(name) for name in names()} | {"test_exercises.py": TEST}
    new = [file for file in files if not (folder / file).exists()]
    for file in new:
        (folder / file).write_text(files[file], newline="\n")
    return new


def grade(path, limit=None):
    """Grade a learner's file in a process of its own: {"state", "message", ...}, see `judge`."""
    name = path.stem
    if not path.exists() or path.read_bytes() == text(name).encode():
        return {"state": "open", "message": "not begun"}
    return judge.run(name, path, limit or getattr(exercise(name), "LIMIT", judge.LIMIT))


def grade_all(folder, chosen):
    """Grade the exercises of these names side by side: {name: graded}, in their order."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(chosen, pool.map(lambda name: grade(folder / f"{name}.py"), chosen)))


def verdict(path, graded):
    """What is said of a graded file: a line of state, then the message."""
    lines = [f"{number(path.stem)} {title(path.stem)}: {graded['state']}"]
    for line in [*graded["message"].splitlines(), f"({path})"]:
        indent = "  " + " " * (len(line) - len(line.lstrip()))
        wrap = textwrap.TextWrapper(100, initial_indent=indent, subsequent_indent=indent)
        lines += wrap.wrap(line.strip())
    if printed := graded.get("printed"):
        lines += ["  It printed:", textwrap.indent(printed, "  | ")]
    return "\n".join(lines)


def listing(graded):
    """The table of exercises and their states, one line each."""
    rows = []
    for name, found in graded.items():
        summary = "" if found["state"] == "right" else found["message"].partition("\n")[0]
        state = textwrap.shorten(f"{found['state']}: {summary}", 47, placeholder="...")
        rows.append([f"{number(name):2d} {title(name)}", state.rstrip(": ").ljust(47)])
    return table(["   exercise", "state".ljust(47)], rows)


def hints(name):
    """The three hints of an exercise; the last names the lines of numlin that do it."""
    places = []
    for function in _sources(name):
        lines, first = inspect.getsourcelines(function)
        file = Path(inspect.getsourcefile(function)).relative_to(judge.ROOT)
        places.append(f"{function.__qualname__}, {file} lines {first}-{first + len(lines) - 1}")
    return (*exercise(name).HINTS, f"numlin does it in {'; '.join(places)}.")


def comparison(path, graded):
    """A right solution, numlin's own version, and what differs."""
    source, yours = path.read_text(), []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            first = (node.decorator_list or [node])[0].lineno
            yours.append("\n".join(source.splitlines()[first - 1 : node.end_lineno]))
    shown = getattr(exercise(path.stem), "SHOWN", None) or _sources(path.stem)
    own = [textwrap.dedent(inspect.getsource(function)) for function in shown]
    lines = []
    for whose, codes in (("yours", yours), ("numlin's", own)):
        lines += [whose, *(textwrap.indent(_bare(code), "  | ") + "\n" for code in codes)]
    differs = exercise(path.stem).DIFFERS
    if graded["gap"] is not None:
        gap = f"differ by {graded['gap']:.0e} at the most" if graded["gap"] else "are identical"
        differs = f"Results {gap}. {differs}"
    return "\n".join([*lines, "what differs", textwrap.indent(textwrap.fill(differs, 96), "  ")])


def _sources(name):
    """The functions that SOURCE names, those that are compiled as they were before."""
    found = map(resolve_name, exercise(name).SOURCE)
    return [getattr(function, "py_func", function) for function in found]


def _bare(code):
    """A function's source without its docstring."""
    function, lines = ast.parse(code).body[0], code.rstrip().splitlines()
    if ast.get_docstring(function) is not None and len(function.body) > 1:
        del lines[function.body[0].lineno - 1 : function.body[0].end_lineno]
    return "\n".join(lines)
