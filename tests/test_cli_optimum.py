"""`numlin optimum` and `numlin verify`, and the gap that `numlin evaluate` reports."""

import json
import signal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from conftest import DOTTED, needs_jit, write_set

from numlin import cli, optimum
from numlin.balls import BALLS
from numlin.commands import optimum as optimum_command
from numlin.data import datasets
from numlin.losses import LOSSES
from numlin.model import LinearClassifier
from numlin.objective import error_rate, objective
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
        assert record["bound"] <= numerator / denominator == pytest.approx(record["objective"])
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
    assert code == 2 and "no hyperplane separates the classes" in complaint


def test_the_margin_is_found_proved_and_verified(strokes_source, tmp_path, capsys):
    path = tmp_path / "margin.json"
    code, out, _ = numlin(capsys, "optimum", *SYNTHETIC, "--margin", "--certificate", path)
    assert code == 0 and "l-inf margin eps*" in out
    code, out, _ = numlin(capsys, "verify", path, *SYNTHETIC)
    assert code == 0 and "l-inf margin is" in out


def test_a_path_is_tabulated_saved_and_drawn(strokes_source, tmp_path, capsys):
    out = tmp_path / "price"
    code, printed, _ = numlin(capsys, "optimum", *SYNTHETIC, "--path", "0:0.3:0.1", "--out", out)
    assert code == 0 and "eps*" in printed
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
        "reduced-hulls.png",
        "weights-along-eps.png",
    ]


@pytest.mark.parametrize("wanted", ["all", "0.1:0.4"])
def test_a_range_is_proved_printed_as_json_and_verified(tmp_path, capsys, wanted):
    path = tmp_path / "path.json"
    data = ["--data-dir", write_set(tmp_path / "digits", DOTTED, lambda drawn: drawn)]
    arguments = ["--path", wanted, "--exact", "--json", "--certificate", path]
    code, printed, _ = numlin(capsys, "optimum", *data, *arguments, "--out", tmp_path / "price")
    results = json.loads(printed)
    segments, low, high = results["segments"], *((0, 1) if wanted == "all" else (0.1, 0.4))
    assert code == 0 and segments[0]["eps"][0] == low and segments[-1]["eps"][1] == high
    for segment in segments:
        assert set(segment) == {"eps", "hinge", "l1", "pixels", "eps_exact"}
        assert [float(Fraction(eps)) for eps in segment["eps_exact"]] == pytest.approx(
            segment["eps"], abs=1e-13
        )
    for one, two in pairwise(segments):
        assert one["eps_exact"][1] == two["eps_exact"][0]
    assert low == 0.1 or results["eps_star"] == pytest.approx(segments[0]["eps"][1], abs=1e-11)
    code, out, _ = numlin(capsys, "verify", path, *data)
    assert code == 0 and "classifiers is the minimum of the robust hinge up to the next" in out
    path.write_text(path.read_text().replace('"hinge"', '"henge"'))
    assert numlin(capsys, "verify", path, *data)[0] == 2


def test_evaluate_says_for_whom_a_bound_in_a_hurry_holds(
    strokes_source, tmp_path, capsys, monkeypatch
):
    X, y = datasets.load("train", (0, 1), np.uint8, strokes_source)
    model = LinearClassifier(eps=0.0, n_epochs=1).fit(X, y)
    model.save(tmp_path / "model.npz")
    norms = []
    monkeypatch.setattr(
        "numlin.commands.evaluate.bound_within",
        lambda X, y, eps, norm, seconds: norms.append(norm) or (0.001, 7.25),
    )
    asked = [tmp_path / "model.npz", *SYNTHETIC, "--digits", 0, 1]
    code, out, _ = numlin(capsys, "evaluate", *asked)
    assert norms == [pytest.approx(sum(abs(float(v)) for v in model.w), rel=1e-5)]
    assert code == 0 and "no linear classifier with ||w||_1 up to its 7.25 is below 0.001" in out


@pytest.mark.parametrize(
    "training",
    [
        {"eps": 0.3},
        {"eps": 0.2, "ball": "linf-box", "loss": "squared-hinge"},
        {"eps": 0.3, "ball": "linf-box", "loss": "logistic"},
    ],
    ids=lambda training: " ".join(map(str, training.values())),
)
def test_evaluate_reports_the_gap_to_the_optimum(strokes_source, tmp_path, capsys, training):
    X, y = datasets.load("train", (0, 1), np.uint8, strokes_source)
    model = LinearClassifier(**training, learning_rate=0.01, n_epochs=2).fit(X, y)
    model.save(tmp_path / "model.npz")
    asked = [tmp_path / "model.npz", *SYNTHETIC, "--digits", 0, 1]
    code, out, _ = numlin(capsys, "evaluate", *asked)
    loss, ball = LOSSES[model.loss], BALLS[model.ball]
    reached = objective(model.w, model.b, X / 255, y, model.eps, loss, ball)
    assert code == 0 and f"training objective at eps {model.eps}: {reached:.9f}" in out
    assert f"({loss.name}, {ball.name})" in out
    bound = float(out.split("is below ")[1].split()[0])
    assert 0 < bound < reached


@pytest.mark.parametrize("loss", ["hinge", "squared-hinge", "logistic"])
def test_json_of_any_loss_and_ball_has_objective_bound_gap_and_errors(strokes_source, capsys, loss):
    X, y = datasets.load("train", (0, 1), np.float64, strokes_source)
    X_test, y_test = datasets.load("test", (0, 1), np.float64, strokes_source)
    objectives = {}
    for ball in ("linf", "linf-box"):
        box = ["--box"] if ball == "linf-box" else []
        asked = [*SYNTHETIC, "--eps", 0.2, "--loss", loss, *box]
        code, out, _ = numlin(capsys, "optimum", *asked, "--json")
        (record,) = json.loads(out)["optima"]
        assert code == 0 and (record["loss"], record["ball"]) == (loss, ball)
        assert record["attained"] and record["relative_gap"] <= 1e-9
        assert 0 <= record["bound"] <= record["objective"]
        found = optimum.minimise(X, y, 0.2, loss=LOSSES[loss], ball=ball)
        assert record["objective"] == pytest.approx(found.objective, rel=1e-9)
        assert record["pixels"] == np.count_nonzero(found.w)
        for key, eps, attack in (
            ("test_error", 0.0, "linf"),
            ("free_test_error", 0.2, "linf"),
            ("box_test_error", 0.2, "linf-box"),
        ):
            expected = error_rate(found.w, found.b, X_test, y_test, eps, BALLS[attack])
            assert record[key] == pytest.approx(expected, abs=2 / len(y_test))
        objectives[ball] = record["objective"]
        assert "robust " + loss in numlin(capsys, "optimum", *asked)[1]
    assert objectives["linf-box"] < objectives["linf"]


def test_an_infimum_that_is_not_attained_is_announced(strokes_source, capsys):
    code, out, complaint = numlin(
        capsys, "optimum", *SYNTHETIC, "--eps", 0, "--loss", "logistic", "--json"
    )
    (record,) = json.loads(out)["optima"]
    assert code == 0 and "not attained" in complaint and "not certified" not in complaint
    assert not record["attained"] and record["bound"] == 0 < record["objective"] < 1e-20


def test_boxed_proofs_are_written_and_verified(strokes_source, tmp_path, capsys):
    path = tmp_path / "proof.json"
    asked = (*SYNTHETIC, "--box", "--certificate", path)
    assert numlin(capsys, "optimum", *asked, "--eps", 0.3)[0] == 0
    code, out, _ = numlin(capsys, "verify", path, *SYNTHETIC)
    assert code == 0 and "minimum of the robust hinge in the pixel box at eps = 3/10" in out
    code, out, _ = numlin(capsys, "optimum", *asked, "--margin")
    assert code == 0 and "attacked pixels in [0, 1]" in out and "and not above" in out
    code, out, _ = numlin(capsys, "verify", path, *SYNTHETIC)
    assert code == 0 and "l-inf margin in the pixel box is" in out


def test_a_boxed_path_is_below_the_free_one(strokes_source, tmp_path, capsys):
    asked = [*SYNTHETIC, "--path", "0.2:0.3:0.1", "--out", tmp_path / "free", "--json"]
    _, free, _ = numlin(capsys, "optimum", *asked)
    code, boxed, _ = numlin(capsys, "optimum", *asked, "--box")
    boxed = json.loads(boxed)["optima"]
    assert code == 0 and [record["eps"] for record in boxed] == [0.2, 0.3]
    assert all(record["ball"] == "linf-box" and record["relative_gap"] <= 1e-9 for record in boxed)
    assert ([record["objective"] for record in boxed] < np.array(json.loads(free)["minimum"])).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--loss", "logistic", "--exact"], "--loss logistic: --exact, --certificate"),
        (["--loss", "squared-hinge", "--margin"], "know the hinge only"),
        (["--loss", "squared-hinge", "--path", "0:0.1:0.1"], "know the hinge only"),
        (["--path", "all", "--box"], "--path with --box: expected FROM:TO:STEP"),
        (["--path", "0:0.2:0.1", "--box", "--exact"], "--path with --box: expected FROM:TO:STEP"),
        (["--eps", "-0.1"], "eps: found -0.1"),
        (["--path", "0:0.1:0.1", "--margin"], "--path goes with none of"),
        (["--margin", "--eps", "0.1"], "--margin finds an eps"),
        (["--eps", "nan"], "eps: found nan"),
        (["--digits", "3", "3"], "digits: found"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(strokes_source, capsys, arguments, message):
    code, _, complaint = numlin(capsys, "optimum", *SYNTHETIC, *arguments)
    assert code == 2 and complaint.count("\n") == 1 and message in complaint


@pytest.mark.parametrize(
    "grid", "0.1 0:2 1:0 0:1:1:1 0.3:0.1:0.1 0:1:0 -1:1:0.5 a:b:c 0:inf:1".split()
)
def test_a_grid_that_is_none_is_refused(grid, capsys):
    assert cli.main(["optimum", f"--path={grid}"]) == 2
    assert "expected all, FROM:TO" in capsys.readouterr().err


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
