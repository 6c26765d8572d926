"""What a user gets wrong is named rightly, and what a user has made is left alone."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from numlin import learn, report
from numlin.attacks import attack, radii
from numlin.data import datasets, idx, strokes
from numlin.sgd import Training, fit
from numlin.support import text
from numlin.support.arguments import check_inputs, pixels

W = np.array([1.0, -1.0])


@pytest.mark.parametrize("value", [-0.25, 1.25])
@pytest.mark.parametrize("call", [
    lambda X: attack(W, 0.0, X, [1, -1], 0.1, "linf-box"),
    lambda X: radii(W, 0.0, X, [1, -1], "l2-box", "numpy"),
    lambda X: fit(X, [1, -1], Training(eps=0.1, ball="linf-box", engine="numpy")),
], ids=["attack", "radii", "fit"])  # fmt: skip
def test_inputs_on_either_side_of_the_box_are_outside(call, value):
    call(np.array([[0.0, 1.0], [0.5, 0.5]]))
    least, most = min(value, 0.5), max(value, 0.5)
    with pytest.raises(ValueError, match=re.escape(f"found values in [{least:g}, {most:g}]")):
        call(np.array([[value, 0.5], [0.5, 0.5]]))


def test_the_first_number_that_is_none_is_named():
    X = np.zeros((5, 3))
    X[1, 2], X[3, 0], X[4, 1] = np.nan, np.inf, -np.inf
    with pytest.raises(ValueError, match=r"nan at index \(1, 2\)"):
        check_inputs(X)
    X[1, 2] = 0
    with pytest.raises(ValueError, match=r"inf at index \(3, 0\)"):
        check_inputs(X)


@pytest.mark.parametrize("field", ["eps", "n_epochs", "batch_size", "learning_rate", "seed"])
def test_true_is_no_number(field):
    with pytest.raises(ValueError, match=f"{field}: found True"):
        fit(np.eye(2), [-1, 1], Training(**{field: True}, engine="numpy"))


def test_attacks_take_raw_pixels_and_one_class_alone():
    raw = np.array([[255, 0], [51, 204]], np.uint8)
    assert pixels(raw, np.float64).tolist() == [[1, 0], [0.2, 0.8]]
    found = attack(W, 0.0, raw, [1, 1], 0.25)
    np.testing.assert_allclose(found.X_adv, [[0.75, 0.25], [-0.05, 1.05]], atol=1e-15)
    assert found.success.tolist() == [False, True]
    assert radii(W, 0.0, raw, [1, 1]).tolist() == pytest.approx([0.5, 0])


def test_on_a_narrow_terminal_every_cell_stands_under_its_name(monkeypatch):
    header = ["name", *"abcdefg"]
    rows = [[f"row{k}", *(f"{letter}{k}" for letter in "abcdefg")] for k in range(9)]
    monkeypatch.setattr(text, "room", lambda: 22)
    found = {}
    for table in text.table(header, rows).split("\n\n"):
        (_, *names), _, *lines = (line.split() for line in table.splitlines())
        assert max(map(len, table.splitlines())) <= 22
        for letter, *cells in lines:
            found |= {(letter, name): cell for name, cell in zip(names, cells, strict=True)}
    assert found == {(x, f"row{k}"): f"{x}{k}" for x in "abcdefg" for k in range(9)}


def test_every_seed_draws_digits_of_its_own(tmp_path):
    drawn = []
    for seed in (0, 1, 1):
        folder = tmp_path / str(len(drawn))
        folder.mkdir()
        strokes.write_dataset(folder, seed, 20, 10)
        drawn.append(idx.read(folder / "train-images-idx3-ubyte.gz"))
    assert (drawn[1] == drawn[2]).all() and (drawn[0] != drawn[1]).any()


@pytest.mark.parametrize("change, verdict", [(-1, "partial"), (0, "is not"), (1, "is not")])
def test_a_file_that_is_too_short_is_partial_and_a_damaged_one_is_not(tmp_path, change, verdict):
    name = "t10k-labels-idx1-ubyte.gz"
    (tmp_path / name).write_bytes(bytes(4542 + change))
    (found,) = [f for f in datasets.status(tmp_path, "mnist") if f.path.name == name]
    assert verdict in found.problem and f"found {4542 + change:,} bytes" in found.problem


def test_a_description_counts_each_split(strokes_source):
    y, y_test = np.repeat([-1, 1], 7), np.repeat([-1, 1], 2)
    about = datasets.describe(strokes_source, (0, 1), y, y_test)
    assert (about["n_train"], about["n_test"]) == (14, 4)
    assert about["name"] == "synthetic" and list(about["digits"]) == [0, 1]


def test_the_folder_that_is_named_comes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMLIN_DATA", str(tmp_path / "environment"))
    assert datasets.data_folder(tmp_path / "named") == tmp_path / "named"
    assert datasets.data_folder() == tmp_path / "environment"


def test_exercises_that_are_there_are_left_alone(tmp_path):
    names = learn.write(tmp_path)
    assert len(names) == len(learn.names()) + 1
    first = tmp_path / f"{learn.names()[0]}.py"
    first.write_text("mine = 1\n")
    (tmp_path / f"{learn.names()[1]}.py").unlink()
    assert learn.write(tmp_path) == [f"{learn.names()[1]}.py"]
    assert first.read_text() == "mine = 1\n"


@pytest.mark.skipif(not shutil.which("node"), reason="no node to run the page's functions in")
def test_the_page_counts_an_image_at_radius_eps_among_the_fooled():
    core = (Path(report.__file__).parent / "core.js").read_text()
    function = re.search(r"function countUpTo.*?\n}\n", core, re.DOTALL)[0]
    script = function + "console.log(JSON.stringify([-1, 0, 0.1, 0.2, 0.3, 1].map((each) => "
    script += "countUpTo([0, 0.1, 0.1, 0.3, Infinity], each))))"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[0,1,3,3,4,4]", done.stderr
