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


def test_the_top_level_holds_nothing_else():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode or not listed.stdout:
        pytest.skip("not a checkout")
    folders = {".ci", "bench", "figures", "numlin", "tests"}
    files = {".gitignore", "LICENSE", "README.md", "pyproject.toml"}
    assert {name.split("/")[0] for name in listed.stdout.splitlines()} == folders | files


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


RIGHT = """
from __future__ import annotations
import numpy as np
import numlin
from numlin.callbacks import Callback, State
from numlin.optimum import minimise
from numlin.optimum.proof.rational import prove
class Norms(Callback):
    def on_batch(self, state: State) -> None:
        print(state.grad_w.max(), state.training.eps * abs(state.w).sum())
X, y = numlin.load("train", digits=(0, 1), dtype="uint8")
model = numlin.LinearClassifier(eps=0.1).fit(X, y, callbacks=[Norms()])
found = numlin.attack(model.w, model.b, X, y, eps=[0.1, 0.2], ball=numlin.Ball("l2"))
share: float = found.success.mean() - numlin.fit([[0], [1]], [-1, 1]).b
bound: float = prove(X, y, minimise(X, y, 0.1)).lower_bound
"""
WRONG = {
    "numlin.Training(epz=3)": 'Unexpected keyword argument "epz" for "Training"',
    "numlin.attack(model.w, model.b, X, y, 0.1, bal='l2')": 'Unexpected keyword argument "bal"',
    "minimise(X, y, eps='0.1')": 'Argument "eps" to "minimise" has incompatible type "str"',
    "numlin.fit(X, y, 0.1)": 'Argument 3 to "fit" has incompatible type "float"',
    "numlin.radii(model.w, model.b, X)": 'Missing positional argument "y" in call to "radii"',
    "model.predict(X).shape[0] + model.losses": 'has no attribute "losses"',
    "numlin.atack": 'Module has no attribute "atack"',
}


def test_a_type_checker_knows_the_public_names_and_rejects_what_is_not_one(tmp_path):
    api = pytest.importorskip("mypy.api", reason="mypy is not installed: pip install '.[dev]'")
    program = tmp_path / "program.py"
    program.write_text(RIGHT + "\n".join(WRONG))
    options = ["--follow-imports=silent", "--ignore-missing-imports", "--cache-dir", str(tmp_path)]
    found, complaint, code = api.run([*options, str(program)])
    errors = [line for line in found.splitlines() if ": error: " in line]
    assert (code, complaint, len(errors)) == (1, "", len(WRONG)), found
    for number, (error, expected) in enumerate(zip(errors, WRONG.values()), RIGHT.count("\n") + 1):
        assert f"program.py:{number}: " in error and expected in error, found


PUBLIC = """
losses balls objective attacks callbacks sgd model gradcheck/__init__ data/datasets data/idx
optimum/__init__ optimum/proof/rational optimum/proof/certificate optimum/proof/verifier
""".split()


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_function_says_what_it_takes_and_returns(module):
    tree = ast.parse((ROOT / "numlin" / f"{module}.py").read_text("utf-8"))
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
    found = 0
    for scope in (tree, *classes):
        for node in scope.body:
            public = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if public or getattr(node, "name", "") == "__init__":
                a = node.args
                taken = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg]
                taken = [arg for arg in taken if arg and arg.arg not in ("self", "cls")]
                bare = [arg.arg for arg in taken if arg.annotation is None]
                assert not bare and node.returns, f"{module}.{node.name}: {bare or 'the result'}"
                found += 1
    assert found, module


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
