"""The pages beside the code say what the code does."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from numlin.commands import COMMANDS
from numlin.figures import FIGURES, story
from numlin.kernels import jit

ROOT = Path(__file__).parent.parent


def test_the_gallery_shows_every_figure_and_every_picture_is_in_it():
    folder = ROOT / "figures"
    gallery = (folder / "README.md").read_text("utf-8")
    assert gallery == story.gallery(), "python -m numlin.figures.story > figures/README.md"
    for number, name in enumerate(FIGURES, 1):
        assert f"{number:02d}-{name}.png" in gallery and name.replace("-", "_") in gallery
    pictures = [path for path in folder.glob("*.png") if not path.name.startswith("bench-")]
    assert all(f"]({path.name})" in gallery for path in pictures)
    assert len(pictures) == gallery.count("![](")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_and_has_help(command):
    assert f"numlin {command}" in (ROOT / "README.md").read_text()
    run = [sys.executable, "-m", "numlin", command, "--help"]
    assert subprocess.run(run, capture_output=True, check=True).stdout


def reading_order():
    """{room: its row in the README's map}; a room is a file or folder of numlin/."""
    table = (
        (ROOT / "README.md")
        .read_text()
        .split("| in `numlin/` | what is in it |")[1]
        .split("\n\n")[0]
    )
    rows = [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    return {name.strip("/"): k for k, names in enumerate(rows) for name in names}


def test_every_source_file_is_in_the_readmes_map():
    rooms = {path.name for path in (ROOT / "numlin").glob("[!_]*") if path.name != "py.typed"}
    assert rooms == {name for name in reading_order() if "bench" not in name}


def test_imports_only_go_up_the_readmes_reading_order():
    order = reading_order()
    for path in sorted((ROOT / "numlin").rglob("*.py")):
        room = path.relative_to(ROOT / "numlin").parts[0]
        if room.startswith("__"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                top, _, rest = name.partition(".")
                asked = next(
                    (r for r in (rest.split(".")[0], f"{rest.split('.')[0]}.py") if r in order),
                    None,
                )
                if top == "numlin" and asked:
                    assert order[asked] <= order[room], f"{path} imports {name}, from further down"


def test_whatever_reaches_compiled_code_makes_stored_machine_code_stale():
    """Modules with kernels, and the modules that they import, are among the stamped sources."""
    stamped = {path.relative_to(jit.ROOT).as_posix() for path in jit.SOURCES}
    kernels = [path for path in (ROOT / "numlin").rglob("*.py") if "\n@jit\n" in path.read_text()]
    assert len(kernels) > 2
    for path in kernels:
        assert path.relative_to(ROOT / "numlin").as_posix() in stamped
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numlin"):
                place = node.module.replace(".", "/").removeprefix("numlin/")
                assert {f"{place}.py", f"{place}/__init__.py"} & stamped, (path, node.module)


def test_a_type_checker_knows_the_public_names_and_rejects_a_misspelt_parameter(tmp_path):
    api = pytest.importorskip("mypy.api", reason="mypy is not installed: pip install '.[dev]'")
    program = tmp_path / "program.py"
    program.write_text(
        "import numlin\nfrom numlin.optimum import minimise\nnumlin.LinearClassifier(eps=0.1)\n"
        "numlin.Training(epz=3)\nminimise([[1]], 1, '0.1')\n"
        "numlin.LinearClassifier().predict(3).no\n"
    )
    options = ["--follow-imports=silent", "--ignore-missing-imports", "--cache-dir", str(tmp_path)]
    found, complaint, code = api.run([*options, str(program)])
    assert (code, complaint) == (1, "") and found.count("error:") == 6, found
    assert 'program.py:4: error: Unexpected keyword argument "epz" for "Training"' in found


PUBLIC = "losses balls objective attacks callbacks sgd model optimum/__init__ gradcheck/__init__"


@pytest.mark.parametrize("module", PUBLIC.split())
def test_public_names_have_annotations(module):
    tree = ast.parse((ROOT / "numlin" / f"{module}.py").read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    nodes = [node for scope in (tree, *classes) for node in scope.body]
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and node.name[0] != "_":
            named = [*node.args.args, *node.args.kwonlyargs]
            bare = [a.arg for a in named if not a.annotation and a.arg not in ("self", "cls")]
            assert node.returns and not bare, (node.name, bare)


def test_the_readmes_python_prints_what_the_readme_says(mnist, capsys, monkeypatch):
    import matplotlib

    matplotlib.use("agg")
    monkeypatch.setenv("NUMLIN_DATA", str(mnist.paths["train-images"].parent))
    section = (ROOT / "README.md").read_text("utf-8").split("## In Python")[1].split("\n## ")[0]
    blocks = re.findall(r"```(python)?\n(.*?)```", section, re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "", "python", "", "python"]
    names: dict = {}
    for language, text in blocks:
        if language:
            exec(text, names)
        else:
            assert capsys.readouterr().out == text
