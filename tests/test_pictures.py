"""What the pictures of optima and pairs, and the data of the page, show: number by number."""

import base64
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import article_of

from numlin import optimum
from numlin.data import strokes
from numlin.figures import draw
from numlin.figures.own import MODEL_FIGURES
from numlin.figures.price import PAIRS_FIGURES, PRICE_FIGURES, reduced_hull
from numlin.figures.style import count_strong, listed, signed, stretch
from numlin.report import _about, _table, page_data
from numlin.studies.pairs import Pairs
from numlin.studies.price import Price


@pytest.fixture(scope="module")
def price():
    """The optima of 40 pictures of 3 x 4 pixels for eps from 0 to 0.4, with errors made up."""
    rng = np.random.default_rng(11)
    y = np.where(np.arange(40) % 2, 1, -1)
    X = np.rint(255 * np.clip(0.5 + 0.2 * y[:, None] * (np.arange(12) < 3)
                              + rng.normal(0, 0.1, (40, 12)), 0, 1)).astype(np.uint8)  # fmt: skip
    grid = np.linspace(0, 0.4, 5)
    path, star = optimum.whole_path(X, y, 0.0, 0.4, grid), optimum.margin(X, y)
    clean, robust = np.array([0.01, 0.02, 0.03, 0.04, 0.05]), np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    return Price({"name": "mnist", "digits": [0, 1]}, path, grid, clean, robust, star, 0.31)


def by_label(axes):
    return {line.get_label(): line for line in axes.lines}


def title(figure):
    return figure.texts[0].get_text().replace("\n", " ")


def test_the_price_has_each_error_under_its_name_and_the_two_marks(price):
    figure = draw("price-of-robustness", price, PRICE_FIGURES)
    left, right = map(by_label, figure.axes)
    epsilon = "\N{GREEK SMALL LETTER EPSILON}"
    assert right[f"attacked at {epsilon}"].get_ydata().tolist() == price.robust_error.tolist()
    assert right["clean images"].get_ydata().tolist() == price.clean_error.tolist()
    assert left[f"{epsilon}* = {price.margin.lower:.4f}"].get_xdata()[0] == price.margin.lower > 0
    assert left[f"any classifier: {epsilon} = 0.3100"].get_xdata()[0] == 0.31
    assert title(figure) == f"Robustness costs nothing up to eps = {price.margin.lower:.4f}"


def test_pixels_against_eps_have_their_sign_and_their_number(price):
    upper, lower = (axes := draw("pixels-against-eps", price, PRICE_FIGURES).axes)[0], axes[1]
    eps, counts = upper.lines[0].get_data()
    shown = np.nan_to_num(np.asarray(lower.images[0].get_array().filled(np.nan)))
    vectors = np.array([price.path.at(each).vector for each in eps])
    assert counts.tolist() == np.count_nonzero(vectors, axis=1).tolist()
    assert sorted(map(bytes, np.sign(shown).astype(int))) == sorted(
        bytes(row) for row in np.sign(vectors.T).astype(int) if row.any()
    )
    assert lower.images[0].get_extent()[:2] == [0.0, 0.4]
    last = [np.flatnonzero(row).max() for row in shown]  # the latest to leave stands first
    assert last == sorted(last, reverse=True) or last == sorted(last)


def test_weights_along_eps_are_those_of_the_optima_under_their_eps(price):
    (axes,) = (figure := draw("weights-along-eps", price, PRICE_FIGURES)).axes
    eps = [float(text.get_text()) for text in axes.texts]
    assert len(eps) == 16 and eps == sorted(eps)
    assert title(figure).startswith(f"As eps grows from {eps[0]:.3f} to {eps[-1]:.3f}")
    canvas = np.asarray(axes.images[0].get_array().filled(np.nan))
    high, wide = 3, 4
    stride = [size // n for size, n in zip(np.add(canvas.shape, [0, 1]), (2, 8))]
    for k in range(16):
        row, column = divmod(k, 8)
        cell = canvas[row * stride[0] :, column * stride[1] :][:high, :wide].ravel()
        # The eps under the image is rounded: another segment may begin in between.
        found = [price.path.at(e).vector for e in (eps[k], eps[k] - 5e-4, eps[k] + 5e-4)]
        assert any(np.allclose(cell, w / np.abs(w).max()) for w in found)


def test_all_pairs_stand_in_their_places():
    lower, least = np.array([0.0, 0.05, 0.2]), np.array([0.5, 0.25, 0.125])
    robust = np.array([0.4, 0.3, 0.2])
    study = Pairs({"name": "mnist", "digits": [3, 5, 8]}, [(3, 5), (3, 8), (5, 8)], lower,
                  lower + 0.001, least, least, np.ones(3), robust / 10, robust)  # fmt: skip
    figure = draw("all-pairs", study, PAIRS_FIGURES)
    (axes,) = figure.axes
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {  # (column, row): above the diagonal eps*, below F* and the robust error
        (1, 0): "\N{MULTIPLICATION SIGN}", (2, 0): "0.0500", (2, 1): "0.2000",
        (0, 1): "0.500\n40.0%", (0, 2): "0.250\n30.0%", (1, 2): "0.125\n20.0%",
    }  # fmt: skip
    stars, values = (np.asarray(im.get_array().filled(np.nan)) for im in axes.images)
    assert np.exp(stars[[0, 1], 2]).tolist() == pytest.approx([0.05, 0.2])
    assert np.isnan(stars[0, 1]) and values[[1, 2, 2], [0, 0, 1]].tolist() == [0.5, 0.25, 0.125]
    assert np.count_nonzero(~np.isnan(stars)) == 2 and np.count_nonzero(~np.isnan(values)) == 3
    assert title(figure) == "A hyperplane separates 2 of 3 pairs of digits"
    assert "at 0.1" in axes.get_title()


def test_a_reduced_hull_is_reached_by_means_under_the_cap():
    points = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    assert reduced_hull(points, 1.0).max() == 4 and reduced_hull(points, 1.0).min() == 0
    halves = reduced_hull(points, 0.5)  # the middles of the three sides
    assert sorted(map(tuple, np.unique(halves.round(9), axis=0))) == [(0, 2), (2, 0), (2, 2)]
    np.testing.assert_allclose(reduced_hull(points, 1 / 3), 4 / 3)


def test_reduced_hulls_come_within_twice_eps():
    """Their l-inf distance by support functions: the largest gap along any w with ||w||_1 = 1."""
    t = np.linspace(-1, 1, 2001)
    w = np.concatenate([np.stack([t, side * (1 - np.abs(t))]) for side in (1, -1)], axis=1)
    for axes, eps in zip(PRICE_FIGURES["reduced-hulls"].function(None).axes, (0, 0.05, 0.1, 0.14)):
        hulls = [p.get_path().vertices for p in axes.patches if p.get_alpha() == 0.35]
        assert len(hulls) == 2
        gap = ((hulls[1] @ w).min(axis=0) - (hulls[0] @ w).max(axis=0)).max()
        assert gap == pytest.approx(2 * eps, abs=2e-3)


def test_numbers_and_pixels_are_shown_as_they_are():
    assert [signed(v) for v in (1.234, -0.5, 1e-12, -1e-12)] == [
        "+1.23", "\N{MINUS SIGN}0.50", "0.00", "0.00"
    ]  # fmt: skip
    assert listed([1, 2.25, 3], "{:.2f}") == "1.00, 2.25 and 3.00" and listed([7]) == "7.0"
    assert stretch(np.array([-0.2, 0, 0.5, 1, 1.2]), 0.2).tolist() == pytest.approx(
        [0, 0.2 / 1.4, 0.5, 1.2 / 1.4, 1]
    )
    assert count_strong(np.array([1.0, -0.02, 0.01, 0.0])) == 2


# The page.


@pytest.fixture(scope="module")
def small():
    """The article on threes and eights: 300 to train, 60 to test."""
    rng = np.random.default_rng(4)
    return article_of(lambda labels: strokes.draw(np.where(labels, 8, 3), rng) / 255, (3, 8))


def numbers(text, kind="<f8"):
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_page_has_the_models_images_and_steps_of_training(small):
    data, X, y = page_data(small), small.X_test, small.y_test
    assert data["y"] == y.tolist() and data["digits"] == [3, 8] and data["shape"] == [28, 28]
    runs = small.runs | small.optima
    assert [model["name"] for model in data["models"]] == list(runs)
    for model, run in zip(data["models"], runs.values()):
        assert numbers(model["w"]).tolist() == run.model.w.tolist()
        assert (model["b"], model["eps"]) == (run.model.b, run.model.eps)
        assert model["kind"] == ("trained" if model["name"] in small.runs else "optimum")
    for k, (shown, found) in enumerate(zip(data["optimum"], small.path, strict=True)):
        assert numbers(shown["w"]).tolist() == found.w.tolist() and shown["b"] == found.b
        assert (shown["eps"], shown["objective"]) == (found.eps, found.objective)
        assert shown["bound"] == found.lower_bound
        assert shown["others"] == {n: run.path_loss[k] for n, run in small.runs.items()}
    for frames, (name, run) in zip(data["training"], small.runs.items(), strict=True):
        assert frames["name"] == name and frames["epochs"] == 10
        steps, w = frames["steps"], numbers(frames["w"], "<f4").reshape(-1, 784).astype(float)
        assert steps[0] == 0 and steps[-1] == 30 == len(run.records.gradients.grad_w)
        np.testing.assert_allclose(w[-1], run.model.w, rtol=1e-6)
        ends = [(k, step // 3 - 1) for k, step in enumerate(steps) if step and step % 3 == 0]
        assert len(ends) > 4
        for k, epoch in ends:
            v, b = run.records.snapshots.w[epoch].astype(float), run.records.snapshots.b[epoch]
            assert np.abs(w[k] - v).max() < 1e-5
            margin = y * (X @ v + b)
            robust = np.maximum(0, 1 - margin + run.model.eps * np.abs(v).sum()).mean()
            assert frames["loss"][k] == pytest.approx(robust, abs=2e-3)
            # A score within the rounding of thirty steps may fall on either side.
            doubt = np.abs(margin) < 1e-3
            low, high = np.mean((margin > 0) & ~doubt), np.mean((margin > 0) | doubt)
            assert low <= frames["accuracy"][k] <= high
        assert run.model.eps == 0 or frames["accuracy"][-1] > np.mean(run.radius > run.model.eps)


@pytest.mark.parametrize("name, warns", [
    ("mnist", False), ("synthetic", True), ("fashion-mnist", True), ("kmnist", True), ("mine", True)
])  # fmt: skip
def test_every_page_but_mnist_s_says_that_it_is_not(name, warns):
    data = {"name": name, "digits": [4, 9], "n_train": 12345, "n_test": 678,
            "sha256": {"file": "abc"}}  # fmt: skip
    about = _about(SimpleNamespace(dataset=data, seed=17))
    assert ("These data are not MNIST" in about["warning"]) == warns
    assert (about["first"], about["second"], about["seed"]) == ("4", "9", "17")
    assert (about["n_train"], about["n_test"]) == ("12,345", "678")
    assert about["hashes"] == "<dt>file</dt><dd>abc</dd>"


def test_the_page_s_table_is_turned_over():
    text = _table(["model", "error"], [["a", "1%"], ["b<", "2%"]])
    assert text.replace('<th scope="col">', "<h>").replace('<th scope="row">', "<h>") == (
        "<thead><tr><h>model</th><h>a</th><h>b&lt;</th></tr></thead>\n"
        "<tbody><tr><h>error</th><td>1%</td><td>2%</td></tr></tbody>"
    )


def test_radii_of_the_article_fill_their_bins(small):
    *strips, _ = draw("radius-distributions", small).axes
    for strip, run in zip(strips, small.runs.values(), strict=True):
        filled, outlined = (patch.get_data() for patch in strip.patches)
        for bars, radius in ((filled, run.radius), (outlined, run.radius_box)):
            # A radius on an edge counts above it.
            place = np.floor(radius[radius < bars.edges[-1]] / bars.edges[1] + 1e-9).astype(int)
            counted = np.bincount(place, minlength=len(bars.values))
            assert np.abs(np.cumsum(counted) - np.cumsum(bars.values)).max() <= 1
        assert filled.values.tolist() != outlined.values.tolist()
    assert set(MODEL_FIGURES)
