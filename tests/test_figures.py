"""Every figure draws from any article, and shows the numbers of the article it was given."""

import dataclasses
import re
import sys

import matplotlib
import numpy as np
import pytest
from conftest import article_of

from numlin import optimum
from numlin.balls import LINF
from numlin.figures import FIGURES, draw, save
from numlin.figures.beyond import typical_images, weight_paths
from numlin.figures.experiment import GALLERY_EPS, density
from numlin.figures.price import PRICE_FIGURES
from numlin.figures.style import COLOURS, DARK, DASHES, MARKERS, STYLE
from numlin.figures.theory import LABELS, PLANE_B, PLANE_EPS, PLANE_W, POINTS
from numlin.studies import article
from numlin.studies.price import Price

ORDER = """hinge-loss margin-in-the-plane nonlinear-landscape linear-landscape perturbation-boxes
    robust-hinge robust-landscape training-accuracy mistakes weight-images robust-accuracy-curves
    closest-mistakes wrong-scores weight-trajectories gradient-terms radius-distributions
    free-and-boxed-attack morph-to-boundary article-and-optimum optimum-accuracy-curves""".split()
SUFFIXES = ("png", "svg", "pdf")


@pytest.fixture(scope="session")
def easy():
    """Images lit on the left or on the right, which no model ever gets wrong."""
    left = np.arange(784) % 28 < 14
    result = article_of(lambda labels: np.where(left == labels[:, None], 0.9, 0.1), (0, 1))
    assert all(each.test_mistakes == 0 for each in result.runs.values())
    return result


@pytest.fixture(scope="session")
def drawn(hard):
    """Each figure of `hard`, drawn once."""
    return {name: draw(name, hard) for name in FIGURES}


def cells(figure, columns, below, beside=3):
    """The (rows, columns, 28, 28) images of a figure that is one mosaic."""
    canvas = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    canvas = np.pad(canvas, ((0, 0), (0, beside)))
    canvas = canvas.reshape(-1, 28 + below, columns, 28 + beside)[:, :28, :, :28]
    return canvas.transpose(0, 2, 1, 3)


def texts(axes):
    return [text.get_text().replace("\N{MINUS SIGN}", "-") for text in axes.texts]


def scores(run, X):
    return X @ run.model.w + run.model.b


def test_the_registry_holds_all_figures_in_the_order_of_the_article():
    assert list(FIGURES) == ORDER


@pytest.mark.parametrize("name", FIGURES)
def test_captions_stand_alone_in_plain_ascii(name):
    caption = FIGURES[name].caption
    assert len(caption) > 150 and caption.endswith(".") and caption.isascii()
    assert "  " not in caption and "--" not in caption
    assert FIGURES[name].function.__doc__


@pytest.mark.parametrize("source", ["hard", "easy"])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_complete_legible_and_within_its_edges(name, source, drawn, request):
    figure = drawn[name] if source == "hard" else draw(name, request.getfixturevalue(source))
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert axes.has_data()
        place = np.array(axes.get_position(original=True).bounds)
        assert np.abs(place - place.round(6)).max() < 1e-15, "the last bits of a layout vary"
        for low, high in (axes.get_xlim(), axes.get_ylim()):
            assert np.isfinite([low, high]).all() and low != high
    # A phone shows the figure on 356 pixels, its 5 inches: 9 pixels are 9.1 points.
    for text in figure.findobj(matplotlib.text.Text):
        assert not text.get_text() or text.get_fontsize() >= 9.1
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    # Two pixels of 144 an inch: half a line width may stand over the edge.
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -2 / 144
    assert width == 5


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_article_gives_the_same_bytes(name, hard, tmp_path):
    suffix = SUFFIXES[ORDER.index(name) % 3]
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
    for path in (first, second):
        save(draw(name, hard), path)
    assert first.read_bytes() == second.read_bytes()
    assert 5_000 < first.stat().st_size < 200_000


def test_all_that_is_not_mnist_is_stamped(hard, drawn):
    on_mnist = dataclasses.replace(hard, dataset=hard.dataset | {"name": "mnist"})
    for name in FIGURES:
        assert texts(drawn[name])[1:] == ["synthetic data"]
    for name in ORDER[::6]:
        assert texts(draw(name, on_mnist))[1:] == []


def findings(result):
    """The numbers in the title of each figure, counted and summed anew from its result."""
    X, y = result.X_test, result.y_test
    margin = {name: y * scores(run, X) for name, run in result.runs.items()}
    drop = {name: sum(abs(run.model.w)) for name, run in result.runs.items()}
    strong = [sum(abs(run.model.w) > max(abs(run.model.w)) / 100) for run in result.runs.values()]
    toy = LABELS * (POINTS @ PLANE_W + PLANE_B)
    lost = {
        name: [np.mean(margin[name] <= eps * drop[name]) for eps in (0.2, 0.3)] for name in drop
    }
    at_half = {name: each - 0.5 * drop[name] for name, each in margin.items()}
    radius = [max(0, np.median(each / drop[name])) for name, each in margin.items()]
    w = result.runs["robust-0.2"].model.w
    boxed = np.clip(X - 0.2 * y[:, None] * np.sign(w), 0, 1)
    active = [np.mean(margin["robust-0.2"] - 0.2 * drop["robust-0.2"] < 1)]
    robust = [(f"robust-{eps}", result.optima[f"optimum-{eps}"]) for eps in (0.1, 0.2, 0.3)]
    best = result.optima["optimum-0.3"].model
    return {
        "hinge-loss": [100 * np.mean(margin["regular"] >= 1)],
        "margin-in-the-plane": [sum(toy < 1), 14, sum(toy <= 0)],
        "perturbation-boxes": [sum(toy <= PLANE_EPS * sum(abs(PLANE_W))), 14],
        "robust-hinge": [eps * drop[f"robust-{eps}"] for eps in (0.1, 0.2, 0.3)],
        "training-accuracy": [100 * max(np.mean(each <= 0) for each in margin.values())],
        "mistakes": [f(sum(each <= 0) for each in margin.values()) for f in (min, max)] + [len(y)],
        "weight-images": [strong[0], strong[-1], 0.3],
        "robust-accuracy-curves": [0.2]
        + [100 - 100 * lost[name][0] for name in ("regular", "robust-0.2")],
        "wrong-scores": [0.5, *(-each[each <= 0].mean() for each in list(at_half.values())[::2])],
        "weight-trajectories": [strong[0], strong[2]],
        "gradient-terms": [None, 100 * active[0]],
        "radius-distributions": radius,
        "free-and-boxed-attack": [
            100 * lost["robust-0.2"][0],
            0.2,
            100 * np.mean(y * scores(result.runs["robust-0.2"], boxed) <= 0),
        ],
        "morph-to-boundary": [each / radius[0] for each in radius[1:]],
        "article-and-optimum": [result.runs[n].train_loss / o.train_loss for n, o in robust],
        "optimum-accuracy-curves": [
            0.3,
            100 * lost["robust-0.3"][1],
            100 * np.mean(y * (X @ best.w + best.b) <= 0.3 * sum(abs(best.w))),
        ],
    }  # fmt: skip


def test_titles_state_what_was_found(drawn, hard):
    wanted = findings(hard)
    for name in FIGURES:
        title = drawn[name].texts[0].get_text().replace("\n", " ")
        assert title
        found = re.findall(r"-?\d+(?:\.\d+)?", title.replace(",", " "))
        if name in wanted:
            places = [len(each.partition(".")[2]) for each in found]
            for shown, number, digits in zip(found, wanted[name], places, strict=True):
                # An optimum has images on its boundary but for rounding: 2 of 60 may differ.
                slack = 100 * 2.01 / 60 if name.startswith("optimum") else 0.501 * 10.0**-digits
                assert number is None or float(shown) == pytest.approx(number, abs=slack), title


def test_drawing_leaves_no_global_state(easy, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)  # of another test
    before = {key: matplotlib.rcParams[key] for key in STYLE}
    draw("hinge-loss", easy)
    assert {key: matplotlib.rcParams[key] for key in STYLE} == before
    assert "matplotlib.pyplot" not in sys.modules


def test_the_models_differ_in_colour_dashes_and_marker():
    for looks in (COLOURS, DASHES, MARKERS):
        assert list(looks) == list(article.PROTOCOL) and len(set(looks.values())) == 4


def test_labels_name_the_digits_of_the_article(drawn):
    assert {line.get_marker() for line in drawn["margin-in-the-plane"].axes[0].lines[3:]} == {
        "$3$",
        "$8$",
    }
    for name, meaning in (("weight-images", "votes for"), ("gradient-terms", "towards")):
        ends = [tick.get_text() for tick in drawn[name].axes[-1].get_xticklabels()]
        assert ends == [f"{meaning} digit 3", "", f"{meaning} digit 8"]
    legend = drawn["wrong-scores"].legends[0].get_texts()
    assert [text.get_text() for text in legend] == ["8 taken for 3", "3 taken for 8"]


def test_hinge_loss_counts_the_test_images_of_each_zone(drawn, hard):
    axes, strip = drawn["hinge-loss"].axes
    assert axes.lines[0].get_xydata().tolist()[1:3] == [[0, 1], [1, 0]]
    margin = hard.y_test * scores(hard.runs["regular"], hard.X_test)
    zones = [(margin < 0).sum(), ((margin >= 0) & (margin < 1)).sum(), (margin >= 1).sum()]
    assert [int(text.split("n = ")[1]) for text in texts(axes)] == zones
    assert sum(bar.get_height() for bar in strip.patches if bar.get_width() < 1) == 60


def test_margin_in_the_plane_joins_each_paying_point_to_its_margin_line(drawn):
    plane, losses = drawn["margin-in-the-plane"].axes
    joints = np.array(plane.collections[0].get_segments())
    paid = np.array(losses.collections[0].get_segments())[:, 1, 1]
    assert np.allclose(np.abs(joints[:, 1] @ PLANE_W + PLANE_B), 1)
    lengths = np.linalg.norm(joints[:, 1] - joints[:, 0], axis=1)
    assert np.allclose(lengths * np.linalg.norm(PLANE_W), paid) and (paid > 0).all()
    assert len(joints) == sum(y * (w @ PLANE_W + PLANE_B) < 1 for w, y in zip(POINTS, LABELS))


@pytest.mark.parametrize(
    "name, misled", [("nonlinear-landscape", True), ("linear-landscape", False)]
)
def test_the_gradient_step_finds_the_worst_case_of_a_straight_line_only(name, misled, drawn):
    curve, _, *points = drawn[name].axes[0].lines
    (_, start), (stepped, reached), (at, worst) = (line.get_xydata()[0] for line in points)
    x, loss = curve.get_xydata().T
    # The curve is drawn at 501 points, the worst case is sought among others.
    assert worst == pytest.approx(loss[(x > 0.3399) & (x < 0.7401)].max(), abs=1e-6)
    assert (reached < start < worst) == misled
    assert (at == pytest.approx(stepped)) != misled


def test_perturbation_boxes_fills_and_rings_what_some_corner_takes_across(drawn):
    boxes, corners = drawn["perturbation-boxes"].axes
    corner = POINTS + PLANE_EPS * np.array([(i, j) for i in (-1, 1) for j in (-1, 1)])[:, None]
    lost = (LABELS * (corner @ PLANE_W + PLANE_B) <= 0).any(axis=0)
    filled = boxes.collections[0].get_facecolor()[:, 3] > 0
    assert filled.tolist() == lost.tolist()
    ringed = corners.lines[-1].get_xydata()
    assert len(ringed) == lost.sum()
    assert np.allclose(np.abs(ringed - POINTS[lost]), PLANE_EPS)


def test_robust_hinge_starts_to_pay_at_1_plus_eps_times_the_l1_norm(drawn, hard):
    lines = drawn["robust-hinge"].axes[0].lines
    for line, run in zip(lines, hard.runs.values(), strict=True):
        x, loss = line.get_xydata().T
        kink = 1 + run.model.eps * sum(abs(weight) for weight in run.model.w)
        assert x[1] == pytest.approx(kink) and loss[1] == pytest.approx(0, abs=1e-12)
        assert loss[0] == pytest.approx(kink + 1)


def test_robust_landscape_puts_the_minimum_at_zero_for_the_weak_pixel_only(drawn):
    for axes, weak in zip(drawn["robust-landscape"].axes, (False, True), strict=True):
        at_minus_1, at_0, at_1 = axes.lines[2].get_ydata()
        assert (at_0 < min(at_minus_1, at_1)) == weak
        slopes = [float(text.split()[1]) for text in texts(axes) if text.startswith("slope")]
        assert slopes == pytest.approx([at_0 - at_minus_1, at_1 - at_0])


def test_training_accuracy_is_the_recorded_one(drawn, hard):
    first, train, test = drawn["training-accuracy"].axes
    for k, run in enumerate(hard.runs.values()):
        history = run.records.metrics.history
        assert first.lines[k].get_ydata() == pytest.approx(run.records.batches.accuracy[:3])
        assert train.lines[k].get_ydata() == pytest.approx(1 - np.array(history["train_error"]))
        assert test.lines[k].get_ydata() == pytest.approx(1 - np.array(history["test_error"]))


def test_mistakes_are_the_worst_misclassified_images(drawn, hard):
    shown = cells(drawn["mistakes"], 4, below=15, beside=14)
    notes = texts(drawn["mistakes"].axes[0])
    for row, (run, label) in enumerate(zip(hard.runs.values(), notes[-4:], strict=True)):
        score = scores(run, hard.X_test)
        worst = sorted((y * s, i) for i, (y, s) in enumerate(zip(hard.y_test, score)) if y * s <= 0)
        assert f"\n{len(worst)} of 60\nwrong" in label
        filled = min(4, len(worst))
        assert np.isnan(shown[row, filled:]).all()
        for (_, i), image in zip(worst[:filled], shown[row], strict=False):
            assert np.array_equal(image.ravel(), hard.X_test[i])
            assert f"a {(3, 8)[int(hard.y_test[i] > 0)]}\n{score[i]:+.2f}" in notes


def test_no_mistakes_leave_the_mosaic_blank(easy):
    figure = draw("mistakes", easy)
    assert np.isnan(cells(figure, 4, below=15, beside=14)).all()
    assert all("0 of 60\nwrong" in text for text in texts(figure.axes[0]))
    assert "none" in texts(draw("closest-mistakes", easy).axes[0])


def test_weight_images_show_the_weights_on_a_scale_that_is_even_about_zero(drawn, hard):
    for axes, run in zip(drawn["weight-images"].axes[:4], hard.runs.values(), strict=True):
        w = run.model.w
        assert np.array_equal(axes.images[0].get_array().ravel(), w)
        low, high = axes.images[0].get_clim()
        assert -low == high == pytest.approx(np.abs(w).max() / 2)
        assert f"{sum(abs(w) > 0.01 * max(abs(w)))} of 784 above 1%" in axes.get_xlabel()


def test_accuracy_curves_are_those_of_the_attacked_images(drawn, hard):
    X, y = hard.X_test, hard.y_test[:, None]
    (axes,) = drawn["robust-accuracy-curves"].axes
    assert axes.get_xlim() == (0, 0.5) and axes.get_ylim() == (-0.02, 1.02)
    for boxed in (False, True):
        for line, run in zip(axes.lines[boxed:8:2], hard.runs.values(), strict=True):
            assert line.get_linestyle() == ("--" if boxed else "-")
            eps, accuracy = line.get_xydata().T
            assert np.allclose(eps, np.linspace(0, 0.5, 101))
            for k in range(0, 101, 7):
                X_adv = X - y * eps[k] * np.sign(run.model.w)
                X_adv = np.clip(X_adv, 0, 1) if boxed else X_adv
                assert accuracy[k] == np.mean(hard.y_test * scores(run, X_adv) > 0)


def test_closest_mistakes_are_the_fooling_images_nearest_to_the_boundary(drawn, hard):
    figure = drawn["closest-mistakes"]
    shown, notes = cells(figure, 4, below=3, beside=30), texts(figure.axes[0])
    for column, run in enumerate(hard.runs.values()):
        for row, eps in enumerate(GALLERY_EPS):
            X_adv = hard.X_test - hard.y_test[:, None] * eps * np.sign(run.model.w)
            score = scores(run, X_adv)
            wrong = np.flatnonzero(hard.y_test * score <= 0)
            i = wrong[np.abs(score[wrong]).argmin()]
            pixels = shown[row, column].ravel() * (1 + 2 * eps) - eps
            assert np.allclose(pixels, X_adv[i], atol=1e-12)
            assert notes[row * 4 + column] == f"{score[i]:+.2f}"


def test_wrong_scores_counts_the_fooled_images_and_keeps_each_digit_on_its_side(drawn, hard):
    for axes, name in zip(drawn["wrong-scores"].axes, ("regular", "robust-0.2"), strict=True):
        run, counts = hard.runs[name], texts(axes)[:11]
        for k, eps in enumerate(GALLERY_EPS[::-1]):
            margin = hard.y_test * scores(run, hard.X_test) - eps * LINF.dual_norm(run.model.w)
            assert int(counts[k]) == (margin <= 0).sum()
            first, second = (ridge.get_paths() for ridge in axes.collections[2 * k : 2 * k + 2])
            for paths, sign in ((first, 1), (second, -1)):
                for path in paths:
                    x, height = path.vertices.T
                    assert (sign * x >= 0).all()
                    assert eps <= height.min() and height.max() <= eps + 0.046 + 1e-12


def test_density_is_the_sum_of_folded_gaussians_and_integrates_to_the_count(rng):
    values, at = np.append(rng.gamma(2, 1, 40), 0), np.linspace(0, 30, 3001)
    found, h = density(values, at), 0.5
    t = at[17]
    bells = [np.exp(-0.5 * ((t - s * v) / h) ** 2) for v in values for s in (1, -1)]
    assert found[17] == pytest.approx(sum(bells) / (h * np.sqrt(2 * np.pi)))
    # A smooth even function: the trapezoidal rule is exact to rounding.
    assert np.trapezoid(found, at) == pytest.approx(41, rel=1e-12)


def test_weight_trajectories_pass_through_the_recorded_weights(drawn, hard):
    for run in hard.runs.values():
        paths, snapshots = weight_paths(run), np.array(run.records.snapshots.w)
        # Thirty float32 steps back from the end: thirty roundings of numbers below 1.
        assert np.abs(paths[3::3] - snapshots).max() < 30 * 2**-24
    assert np.abs(paths[0]).max() <= np.sqrt(6 / 785) + 1e-5
    counts = drawn["weight-trajectories"].axes[2]
    for line, run in zip(counts.lines, hard.runs.values(), strict=True):
        size = np.abs(run.records.snapshots.w)
        assert line.get_ydata().tolist() == [sum(each > 0.01 * max(each)) for each in size]


@pytest.mark.parametrize("source", ["hard", "easy"])
def test_gradient_terms_add_up_to_minus_the_gradient(source, request):
    result = request.getfixturevalue(source)
    panels = draw("gradient-terms", result).axes[:8]
    rows = np.array([axes.images[0].get_array().ravel() for axes in panels])
    eps, y, biases = 0.2, result.y_test, (0.0, result.runs["robust-0.2"].model.b)
    for (w, data, term, both), b in zip(rows.reshape(2, 4, 784), biases, strict=True):
        active = y * (result.X_test @ w + b) - eps * np.abs(w).sum() < 1
        assert np.allclose(data, (active * y) @ result.X_test / 60, atol=1e-12)
        assert np.allclose(term, -eps * np.sign(w) * active.mean(), atol=1e-12)
        assert np.allclose(both, data + term, atol=1e-12)


def test_radius_distributions_hold_every_image_and_give_the_curve(drawn, hard):
    *strips, curve = drawn["radius-distributions"].axes
    for k, (strip, run) in enumerate(zip(strips, hard.runs.values(), strict=True)):
        for drawn_radii, radius in zip(strip.patches, (run.radius, run.radius_box), strict=True):
            assert drawn_radii.get_data().values.sum() == (radius < 1).sum()
        for line, radius in zip(curve.lines[2 * k :], (run.radius, run.radius_box), strict=False):
            eps, accuracy = line.get_xydata().T
            assert np.allclose(accuracy, np.mean(radius > eps[:, None], axis=1))


def test_free_and_boxed_attacks_carry_their_scores_and_cross_the_wrong_ones(drawn, hard):
    figure = drawn["free-and-boxed-attack"]
    clean, *attacked = cells(figure, 6, below=9).reshape(5, 6, 784)
    notes = [note for note in texts(figure.axes[0]) if note[0] in "+-"]
    y = hard.y_test[typical_images(hard, (0.05, 0.5, 0.95))]
    for k, X_adv in enumerate(attacked):
        run = hard.runs[("regular", "robust-0.2")[k // 2]]
        worst = clean - y[:, None] * 0.2 * np.sign(run.model.w)
        assert np.allclose(X_adv, np.clip(worst, 0, 1) if k % 2 else worst, atol=1e-12)
        for note, score, sign in zip(notes[6 * k :], scores(run, X_adv), y, strict=False):
            assert note.split()[0] == f"{score:+.2f}"
            assert ("\N{BALLOT X}" in note) == (sign * score <= 0)


def test_morphs_end_on_the_boundary(drawn, hard):
    figure, chosen = drawn["morph-to-boundary"], typical_images(hard, (0.5,))
    shown = cells(figure, 7, below=19).reshape(4, 7, 784)
    notes = [note.splitlines() for note in texts(figure.axes[0]) if "\n" in note]
    for row, run in enumerate(hard.runs.values()):
        for digit, i in enumerate(chosen):
            for step in range(3):
                eps = run.radius[i] * step / 2
                image = shown[row, 4 * digit + step] * (1 + 2 * eps) - eps
                score = scores(run, image)
                assert np.abs(image - hard.X_test[i]).max() == pytest.approx(eps, abs=1e-12)
                left = (1 - step / 2) if run.radius[i] else 1
                assert score == pytest.approx(left * scores(run, hard.X_test[i]), abs=1e-9)
                printed_eps, printed = notes[row * 6 + digit * 3 + step]
                assert printed_eps.endswith(f" {eps:.3f}")
                assert float(printed) == pytest.approx(score, abs=0.00501)


def test_article_and_optimum_stand_above_each_other_with_their_numbers(drawn, hard):
    panels = drawn["article-and-optimum"].axes[:9]
    models = [*list(hard.runs.items())[1:], *hard.optima.items()]
    for axes, (name, run) in zip(panels, models, strict=True):
        assert np.array_equal(axes.images[0].get_array().ravel(), run.model.w)
        loss, error, clean, _ = axes.get_xlabel().splitlines()
        assert loss == f"loss {run.train_loss:.4f}"
        radius = run.radius_box if name.startswith("boxed") else run.radius
        robust = f"{np.mean(radius <= float(name[-3:])):.2%}"
        assert error == f"error {robust}"
        assert clean == f"clean error {np.mean(run.radius == 0):.2%}"


def test_optimum_curves_are_those_of_the_attacked_images(drawn, hard):
    panels = drawn["optimum-accuracy-curves"].axes
    thick = [line for axes in panels for line in axes.lines if line.get_linewidth() == 3]
    for line, (name, run) in zip(thick, hard.optima.items(), strict=True):
        eps, accuracy = line.get_xydata().T
        for k in range(0, 101, 10):
            X_adv = hard.X_test - hard.y_test[:, None] * eps[k] * np.sign(run.model.w)
            X_adv = np.clip(X_adv, 0, 1) if name.startswith("boxed") else X_adv
            attacked = np.mean(hard.y_test * scores(run, X_adv) > 0)
            # An optimum has few weights, so an image may lie on the boundary but for rounding.
            assert accuracy[k] == pytest.approx(attacked, abs=1.01 / 60)


def test_typical_images_are_of_either_digit_from_the_nearest_to_the_farthest(easy, hard):
    first, last, other_first, other_last = typical_images(hard, (0, 1))
    nearest = np.min([run.radius for run in hard.runs.values()], axis=0)
    assert (hard.y_test[[first, last]] == -1).all()
    assert (hard.y_test[[other_first, other_last]] == 1).all()
    assert nearest[first] == nearest[hard.y_test == -1].min()
    assert nearest[other_last] == nearest[hard.y_test == 1].max()


def test_price_figures_show_the_optima_and_say_where_robustness_starts_to_cost(blobs):
    X, y = blobs
    grid = np.linspace(0, 0.4, 9)
    path, least = optimum.whole_path(X, y, 0.0, 0.4, grid), optimum.margin(X, y)
    errors = np.zeros((2, 9))
    result = Price({"name": "mnist", "digits": [0, 1]}, path, grid, *errors, least, 0.39)
    cost, pixels = (draw(name, result, PRICE_FIGURES) for name in list(PRICE_FIGURES)[:2])
    line = cost.axes[0].lines[0]
    assert line.get_xdata()[[0, -1]].tolist() == pytest.approx([path.eps_star, 0.4], abs=1e-12)
    for eps, value in line.get_xydata()[::7]:
        assert value == pytest.approx(optimum.minimise(X, y, eps).objective, abs=1e-9)
    assert cost.axes[0].lines[1].get_xdata().tolist() == [s.low for s in path.segments[1:]]
    eps, counts = pixels.axes[0].lines[0].get_data()
    assert counts.tolist() == [path.at(each).n_pixels for each in eps]
    assert cost.texts[0].get_text().startswith("Robustness costs nothing up to")
    assert f"{counts.max()} pixels carry weight" in pixels.texts[0].get_text()


def test_an_svg_has_its_colours_for_a_dark_screen_and_its_text_as_text(hard, tmp_path):
    save(draw("robust-hinge", hard), tmp_path / "drawn.svg")
    text = (tmp_path / "drawn.svg").read_text("utf-8")
    swaps = re.findall(r'\[style\*="(fill|stroke): (#\w{6})"\]{\1:(#\w{6}) !important}', text)
    assert "prefers-color-scheme:dark" in text and {light: dark for _, light, dark in swaps} == DARK
    drawn = set(re.findall(r"(?:fill|stroke): (#\w{6})", text.split("<defs>", 1)[1]))
    assert drawn and drawn <= {*DARK, "#808080"}  # the stamp, as grey on black as on white
    assert re.search(r"<text[^>]*>regular</text>", text)
    assert re.search(r'<g id="patch_1">\s*<path[^>]*style="fill: none"', text)
