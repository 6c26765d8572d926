"""The article: its protocol, its numbers on MNIST, its story on synthetic digits."""

import json
import math
from importlib.resources import files

import numpy as np
import pytest
from conftest import needs_jit

from numlin.data import datasets
from numlin.figures import FIGURES, draw, save
from numlin.model import LinearClassifier
from numlin.report import write_report
from numlin.studies import article

NAMES = ["regular", "robust-0.1", "robust-0.2", "robust-0.3"]


@pytest.fixture(scope="module")
def synthetic(strokes_source):
    return article.run(strokes_source, engine="numpy")


@pytest.fixture(scope="module")
def on_mnist(mnist):
    return article.run(mnist)


def test_the_protocol_is_the_published_one():
    assert list(article.PROTOCOL) == NAMES
    for name, protocol in article.PROTOCOL.items():
        training = LinearClassifier(**protocol)
        assert (training.n_epochs, training.batch_size) == (10, 100)
        assert (training.loss, training.ball, training.schedule) == ("hinge", "linf", "constant")
        assert training.start == "glorot"
        expected = ("mean", 0.1) if name == "regular" else ("sum", 0.0001)
        assert (training.reduction, training.learning_rate) == expected
    assert [f"{eps:.3f}" for eps in article.ATTACK_EPS] == [f"{k * 0.005:.3f}" for k in range(101)]


def test_the_story_shows_on_synthetic_digits(synthetic):
    runs = synthetic.runs
    assert all(run.test_error <= 0.01 for run in runs.values())
    assert runs["regular"].robust_error(0.2) > 0.9
    assert runs["robust-0.1"].robust_error(0.1) < 0.05
    assert runs["robust-0.2"].robust_error(0.2) < 0.15
    assert runs["robust-0.3"].robust_error(0.3) < 0.35


@pytest.fixture(scope="module")
def told():
    """The text of the story, a space between any two words."""
    return " ".join(files("numlin").joinpath("figures/story.md").read_text("utf-8").split())


def test_numbers_of_the_story_are_those_of_the_run(on_mnist, told):
    """Each number is printed from the run, in the words around it."""
    runs, optima = on_mnist.runs, on_mnist.optima
    n, y = len(on_mnist.y_test), on_mnist.y_test
    taken = {}
    for name in ("regular", "robust-0.2"):
        model = runs[name].model
        middle, norm = (
            np.median(y * model.decision_function(on_mnist.X_test)),
            np.abs(model.w).sum(),
        )
        taken[name] = norm, 0.2 * norm, middle, middle - 0.2 * norm
    (norm, drop, middle, end), (norm_2, drop_2, middle_2, end_2) = taken.values()
    sentences = [
        f"is {norm:.1f} in the regular model and {norm_2:.1f} in the one trained at 0.2",
        f"takes {drop:.1f} from every margin of the one, where the median {middle:.1f} ends at "
        f"{end:.1f}, and {drop_2:.1f} from those of the other, where the median {middle_2:.1f} "
        f"ends at {end_2:.1f}.",
    ]
    right = {
        eps: f"{100 * (1 - runs[f'robust-{eps}'].robust_error(eps)):.0f}" for eps in (0.1, 0.2, 0.3)
    }
    regular = runs["regular"]
    sentences.append(
        f"{100 * (1 - regular.robust_error(0.1)):.0f}% right at eps = 0.1 and nothing at 0.2, "
        f"while the robust ones still read {right[0.1]}%, {right[0.2]}% and {right[0.3]}% right"
    )
    assert regular.robust_error(0.2) == 1
    mistakes = [run.test_mistakes for run in runs.values()]
    sentences.append(f"{min(mistakes[1:])} to {max(mistakes[1:])} instead of {mistakes[0]}.")
    boxed = np.mean(regular.radius_box <= 0.1)
    sentences.append(
        f"loses {100 * boxed:.0f}% of the images at eps = 0.1 instead of "
        f"{100 * regular.robust_error(0.1):.0f}%"
    )
    times = [
        f"{runs[f'robust-{e}'].train_loss / runs[f'robust-{e}'].lower_bound:.1f}"
        for e in (0.1, 0.2, 0.3)
    ]
    sentences.append(f"loss is {times[0]}, {times[1]} and {times[2]} times the smallest possible")
    best = optima["optimum-0.3"]
    assert np.count_nonzero(best.model.w) == 2
    sentences.append(
        f"needs two pixels, and loses {100 * best.robust_error(0.3):.1f}% of the attacked test "
        f"images instead of {100 * runs['robust-0.3'].robust_error(0.3):.0f}%"
    )
    free, box = optima["optimum-0.2"], optima["boxed-0.2"]
    strong = [np.sum(np.abs(r.model.w) > np.abs(r.model.w).max() / 100) for r in (free, box)]
    assert strong == [7, 60]
    sentences.append(
        f"uses {np.count_nonzero(free.model.w)} pixels, seven of them above 1% of the largest "
        f"weight, and loses {100 * free.test_mistakes / n:.2f}% of the clean images. The optimum "
        f"against the possible one uses {np.count_nonzero(box.model.w)}, sixty of them above "
        "1%, loses "
        f"{100 * box.test_mistakes / n:.2f}% of the clean images, and "
        f"{100 * np.mean(box.radius_box <= 0.2):.2f}% instead of "
        f"{100 * np.mean(free.radius_box <= 0.2):.2f}% when attacked in the box."
    )
    assert [sentence for sentence in sentences if sentence not in told] == []


def test_robust_training_wipes_out_weak_weights(synthetic):
    strong = {}
    for name, run in synthetic.runs.items():
        size = np.abs(run.model.w)
        strong[name] = np.mean(size > size.max() / 20)
    assert strong["regular"] > 2 * strong["robust-0.1"] > 2 * strong["robust-0.3"]


def test_the_pixel_box_only_helps_the_defender(synthetic):
    for run in synthetic.runs.values():
        assert (run.radius_box >= run.radius - 1e-12).all()


def test_box_curves_and_training_errors_are_those_of_the_images_themselves(
    synthetic, strokes_source
):
    X, y = datasets.load("train", (0, 1), np.float64, strokes_source)
    curves = synthetic.results()["attack"]["robust_accuracy_box"]
    for name, run in synthetic.runs.items():
        w, b = run.model.w, run.model.b
        assert run.train_error == np.mean(y * (X @ w + b) <= 0)
        for k in (0, 20, 40):
            moved = synthetic.X_test - synthetic.y_test[:, None] * k / 200 * np.sign(w)
            standing = synthetic.y_test * (np.clip(moved, 0, 1) @ w + b) > 0
            assert curves[name][k] == np.mean(standing)


def test_no_model_is_below_the_bound_and_the_optima_meet_it(synthetic):
    for run in synthetic.runs.values():
        assert run.gap >= 0
    for name, run in synthetic.optima.items():
        assert 0 <= run.gap <= 1e-9 * run.train_loss
        article_run = synthetic.runs[f"robust-{run.model.eps}"]
        if name.startswith("optimum"):
            assert article_run.lower_bound == run.lower_bound < article_run.train_loss
        else:
            assert run.model.ball == "linf-box"
            assert run.train_loss < synthetic.optima[f"optimum-{run.model.eps}"].train_loss


def test_everything_is_recorded(synthetic):
    n_batches = 10 * math.ceil(synthetic.dataset["n_train"] / 100)
    for run in synthetic.runs.values():
        records = run.records
        assert {len(values) for values in records.metrics.history.values()} == {10}
        assert len(records.snapshots.w) == 10
        assert len(records.batches.accuracy) == len(records.gradients.grad_w) == n_batches


def test_results_json_is_strict_and_complete(synthetic, tmp_path):
    synthetic.save(tmp_path)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    results = json.loads((tmp_path / "results.json").read_text(), parse_constant=refuse)
    assert results["schema"] == 1 and results["seed"] == 0
    dataset = results["dataset"]
    assert (dataset["name"], dataset["digits"]) == ("synthetic", [0, 1])
    assert len(dataset["sha256"]) == 4 and dataset["n_test"] == len(synthetic.y_test)
    assert list(results["models"]) == NAMES
    for name, model in results["models"].items():
        run = synthetic.runs[name]
        assert model["test_mistakes"] == run.test_mistakes
        assert model["test_error"] == run.test_mistakes / dataset["n_test"]
        assert (model["eps"], model["train_loss"]) == (run.model.eps, run.train_loss)
        assert len(model["history"]["test_loss"]) == 10
    attack = results["attack"]
    assert len(attack["eps"]) == 101 and attack["eps"][-1] == 0.5
    for kind in ("robust_accuracy", "robust_accuracy_box"):
        assert {len(curve) for curve in attack[kind].values()} == {101}
        assert list(attack[kind]) == [*NAMES, *results["optima"]]
    clean_accuracy = 1 - synthetic.runs["regular"].test_error
    assert attack["robust_accuracy"]["regular"][0] == pytest.approx(clean_accuracy)
    assert {"data", "train", "optimum", "attack"} <= set(results["seconds"])
    for name, optimum in results["optima"].items():
        assert optimum["gap"] == synthetic.optima[name].gap
        assert optimum["n_pixels"] == np.count_nonzero(synthetic.optima[name].model.w)
    assert results["environment"]["packages"]["numpy"] == np.__version__


def test_saved_models_say_what_they_were_trained_on(synthetic, tmp_path):
    synthetic.save(tmp_path)
    for name in NAMES:
        model = LinearClassifier.load(tmp_path / "models" / f"{name}.npz")
        assert (model.w == synthetic.runs[name].model.w).all()
        assert model.trained_on_["name"] == "synthetic"
        assert model.trained_on_["digits"] == [0, 1]


@needs_jit
def test_on_mnist_the_published_errors_come_out(on_mnist):
    runs = on_mnist.runs
    assert (on_mnist.dataset["n_train"], on_mnist.dataset["n_test"]) == (12665, 2115)
    assert runs["regular"].test_error <= 0.0015
    assert runs["regular"].robust_error(0.2) >= 0.95
    assert runs["robust-0.1"].robust_error(0.1) <= 0.012
    assert runs["robust-0.2"].robust_error(0.2) <= 0.06
    assert runs["robust-0.3"].robust_error(0.3) <= 0.25


@needs_jit
def test_on_mnist_the_optima_are_the_known_minima_and_withstand_more(on_mnist):
    known = {0.1: (0.0222018318, 65), 0.2: (0.0754299099, 32), 0.3: (0.1219450538, 2)}
    for eps, (least, n_pixels) in known.items():
        run = on_mnist.optima[f"optimum-{eps}"]
        assert run.train_loss == pytest.approx(least, abs=1e-10)
        assert np.count_nonzero(run.model.w) == n_pixels
        assert run.robust_error(eps) < on_mnist.runs[f"robust-{eps}"].robust_error(eps)
    for eps, least in {0.1: 0.0093649961, 0.2: 0.0555141095, 0.3: 0.1079949375}.items():
        assert on_mnist.optima[f"boxed-{eps}"].train_loss == pytest.approx(least, abs=1e-10)
    free, boxed = on_mnist.optima["optimum-0.2"], on_mnist.optima["boxed-0.2"]
    assert boxed.test_error < free.test_error / 3  # what the impossible adversary costs
    assert boxed.robust_error(0.2, box=True) < free.robust_error(0.2, box=True)


@needs_jit
def test_the_page_of_mnist_is_at_most_three_megabytes(on_mnist, tmp_path):
    figures = {name: tmp_path / f"{name}.svg" for name in FIGURES}
    for name, path in figures.items():
        save(draw(name, on_mnist), path)
    write_report(on_mnist, tmp_path / "report.html", figures)
    assert (tmp_path / "report.html").stat().st_size <= 3_000_000
