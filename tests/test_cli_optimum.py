"""`numlin optimum` and `numlin verify`, and the gap that `numlin evaluate` reports."""

import json
import signal

import numpy as np
import pytest
from conftest import needs_jit

from numlin import cli, optimum
from numlin.commands import optimum as optimum_command
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.objective import objective
from numlin.optimum.proof import certificate

pytestmark = needs_jit
SYNTHETIC = ("--data", "synthetic")


def numlin(capsys, *arguments):
    """The command in this process: (exit code, standard output, standard error)."""
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_json_has_the_minimum_its_bound_and_its_proof(strokes_source, capsys):
    code, out, _ = numlin(capsys, "optimum", *SYNTHETIC, "--eps", 0.2, 0.3, "--exact", "--json")
    assert code == 0
    records = json.loads(out)
    assert records["dataset"]["name"] == "synthetic"
    assert [record["eps"] for record in records["optima"]] == [0.2, 0.3]
    for record in records["optima"]:
        numerator, denominator = map(int, record["exact"].split("/"))
        assert record["bound"] <= numerator / denominator == pytest.approx(record["value"])
        assert record["relative_gap"] <= 1e-9
        assert record["decimal"].startswith(f"{numerator / denominator:.12f}"[:-1])


def test_a_certificate_is_written_and_verified_and_refused_when_a_digit_changes(
    strokes_source, tmp_path, capsys
):
    path = tmp_path / "proof.json"
    code, out, _ = numlin(capsys, "optimum", *SYNTHETIC, "--eps", 0.3, "--certificate", path)
    assert code == 0 and "SYNTHETIC" in out and str(path) in out
    code, out, _ = numlin(capsys, "verify", path, *SYNTHETIC)
    assert code == 0 and "holds" in out and "eps = 3/10" in out
    text = path.read_text()
    k = text.index('"scale": "') + len('"scale": "')
    path.write_text(text[:k] + str(9 - int(text[k])) + text[k + 1 :])
    code, _, complaint = numlin(capsys, "verify", path, *SYNTHETIC)
    assert code == 2 and "the claim is false" in complaint


def test_of_several_radii_each_has_a_certificate_of_its_own(strokes_source, tmp_path, capsys):
    eps = ("--eps", 0.25, 0.3)
    code, out, _ = numlin(capsys, "optimum", *SYNTHETIC, *eps, "--certificate", tmp_path / "p.json")
    assert code == 0
    for name, fraction in (("p-0.25.json", "1/4"), ("p-0.3.json", "3/10")):
        assert name in out
        code, printed, _ = numlin(capsys, "verify", tmp_path / name, *SYNTHETIC)
        assert code == 0 and f"eps = {fraction}" in printed


def test_without_a_separating_hyperplane_there_is_no_margin(strokes_source, capsys, monkeypatch):
    X, y = np.array([[7], [7]], np.uint8), np.array([-1, 1])
    nothing = optimum.margin(X, y)
    monkeypatch.setattr(optimum, "margin", lambda *_: nothing)
    code, _, complaint = numlin(capsys, "optimum", *SYNTHETIC, "--margin", "--exact")
    assert code == 2 and "no hyperplane was found that separates" in complaint


def test_the_margin_is_found_proved_and_verified(strokes_source, tmp_path, capsys):
    path = tmp_path / "margin.json"
    code, out, _ = numlin(capsys, "optimum", *SYNTHETIC, "--margin", "--certificate", path)
    assert code == 0 and "l-inf margin eps*" in out
    code, out, _ = numlin(capsys, "verify", path, *SYNTHETIC)
    assert code == 0 and "l-inf margin is" in out


def test_a_path_is_tabulated_saved_and_drawn(strokes_source, tmp_path, capsys):
    out = tmp_path / "price"
    code, printed, _ = numlin(capsys, "optimum", *SYNTHETIC, "--path", "0:0.3:0.1", "--out", out)
    assert code == 0 and "l-inf margin eps* of the training set" in printed
    results = json.loads((out / "price.json").read_text())
    assert results["eps"] == [0.0, 0.1, 0.2, 0.3]
    assert (np.diff(results["minimum"]) >= 0).all() and results["minimum"][0] == 0
    assert all(low <= value for low, value in zip(results["lower_bound"], results["minimum"]))
    assert results["margin"]["lower"] <= results["margin"]["upper"]
    assert sorted(path.name for path in out.iterdir()) == [
        "numlin-manifest.json",
        "pixels-against-eps.png",
        "price-of-robustness.png",
        "price.json",
    ]


def test_evaluate_reports_the_gap_to_the_optimum(strokes_source, tmp_path, capsys):
    X, y = datasets.load("train", (0, 1), np.uint8, strokes_source)
    model = LinearClassifier(eps=0.3, learning_rate=0.01, n_epochs=2).fit(X, y)
    model.save(tmp_path / "model.npz")
    code, out, _ = numlin(capsys, "evaluate", tmp_path / "model.npz", *SYNTHETIC)
    reached = objective(model.w, model.b, X / 255, y, 0.3)
    assert code == 0 and f"training objective at eps 0.3: {reached:.9f}" in out
    bound = float(out.split("is below ")[1].split()[0])
    assert 0 < bound < reached


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--eps", "-0.1"], "eps: found -0.1"),
        (["--path", "0:0.1:0.1", "--certificate", "x.json"], "--path goes with none of"),
        (["--margin", "--eps", "0.1"], "--margin finds an eps"),
        (["--eps", "nan"], "eps: found nan"),
        (["--digits", "3", "3"], "digits: found"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(strokes_source, capsys, arguments, message):
    code, _, complaint = numlin(capsys, "optimum", *SYNTHETIC, *arguments)
    assert code == 2 and complaint.count("\n") == 1 and message in complaint


@pytest.mark.parametrize("grid", "0.1 0:1 0.3:0.1:0.1 0:1:0 -1:1:0.5 a:b:c 0:inf:1".split())
def test_a_grid_that_is_none_is_refused(grid, capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(["optimum", f"--path={grid}"])
    assert exit.value.code == 2 and "expected FROM:TO:STEP" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"sha256": 1}'])
def test_a_file_that_is_no_certificate_is_refused(strokes_source, tmp_path, capsys, content):
    path = tmp_path / "proof.json"
    if content is not None:
        path.write_text(content)
    code, _, complaint = numlin(capsys, "verify", path, *SYNTHETIC)
    assert code == 2 and "proof.json" in complaint and complaint.count("\n") == 1


@pytest.mark.parametrize("n_digits", [1, 150, 151, 4000])
def test_a_long_fraction_is_shown_by_its_ends_and_its_length(n_digits):
    digits = ("1234567890" * 400)[:n_digits]
    shown = optimum_command._shortened(digits)
    assert len(shown) <= 150 and shown.startswith(digits[:60])
    assert shown == digits or shown.endswith(f"...{digits[-20:]} ({n_digits} digits)")


def test_certificates_of_several_eps_come_together_or_not_at_all(
    strokes_source, tmp_path, monkeypatch, capsys
):
    written, original = [], certificate.write

    def write(path, *arguments):
        written.append(path)
        signal.raise_signal(signal.SIGINT)
        original(path, *arguments)

    monkeypatch.setattr(certificate, "write", write)
    eps = ["--eps", "0.3", "0.35", "--certificate", str(tmp_path / "c.json")]
    assert cli.main(["optimum", *SYNTHETIC, *eps]) == 130
    assert len(written) == 2 == len(list(tmp_path.iterdir()))
