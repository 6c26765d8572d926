"""Pictures of a model of one's own, in axes of one's own."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from numlin import figures
from numlin.attacks import attack, radii, robust_accuracy


@pytest.fixture
def axes():
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.subplots()


@pytest.fixture
def classifier(small_model, blobs):
    """(w, b, X, y) of 12 pixels."""
    return small_model.w, small_model.b, *blobs


def notes(axes):
    return [text.get_text().replace("\N{MINUS SIGN}", "-") for text in axes.texts]


def test_weights_are_an_image_of_the_shape_asked_for(axes, classifier):
    w = classifier[0]
    assert figures.draw_weights(w, shape=(2, 6), ax=axes) is axes
    assert (axes.images[0].get_array() == w.reshape(2, 6)).all()
    assert figures.draw_weights(w).images[0].get_array().shape == (3, 4)


def test_accuracy_and_radii_are_those_of_the_radii_given(axes, classifier):
    radius = radii(*classifier)
    figures.draw_accuracy(radius, eps=[0, 0.1, 0.2], ax=axes, label="mine")
    assert axes.lines[0].get_ydata().tolist() == robust_accuracy(radius, [0, 0.1, 0.2]).tolist()
    assert axes.get_legend().get_texts()[0].get_text() == "mine"
    shown = figures.draw_radii(np.append(radius, np.inf), bins=7)
    assert sum(bar.get_height() for bar in shown.patches) == len(radius)
    assert shown.get_ylabel() == f"of {len(radius) + 1} images"


def test_attacked_images_stand_under_one_another_with_their_scores(axes, classifier):
    w, b, X, y = (*classifier[:2], *(each[:3] for each in classifier[2:]))
    figures.draw_attack(w, b, X, y, 0.2, balls=("linf", "l2-box"), shape=(3, 4), ax=axes)
    canvas = np.ma.filled(axes.images[0].get_array(), np.nan)
    rows = [X, *(attack(w, b, X, y, 0.2, ball).X_adv for ball in ("linf", "l2-box"))]
    high, wide = 3 + 1, 4 + 1  # nine units of 28 below, three beside: a pixel of 3 each
    for k, row in enumerate(rows):
        for i, image in enumerate(row):
            cell = canvas[k * high : k * high + 3, i * wide : i * wide + 4]
            assert np.allclose(cell.ravel(), image)
    printed = [note for note in notes(axes) if note[0] in "+-0"]
    for note, score, sign in zip(printed, np.ravel([row @ w + b for row in rows]), np.tile(y, 3)):
        assert float(note.split()[0]) == pytest.approx(score, abs=0.00501)
        assert ("\N{BALLOT X}" in note) == (sign * score <= 0)


def test_a_morph_ends_on_the_boundary(axes, classifier):
    w, b, X, y = (*classifier[:2], *(each[:2] for each in classifier[2:]))
    figures.draw_morph(w, b, X, y, "l2", steps=4, ax=axes)
    radius = radii(w, b, X, y, "l2")
    printed = np.reshape([note.split("\n") for note in notes(axes)], (2, 4, 2)).astype(float)
    assert np.allclose(printed[:, :, 0], np.outer(radius, [0, 1 / 3, 2 / 3, 1]), atol=5.01e-4)
    assert np.allclose(printed[:, -1, 1], np.where(radius > 0, 0, X @ w + b), atol=0.00501)


def test_a_figure_drawn_in_given_axes_leaves_the_settings_alone(axes, classifier):
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.draw_weights(classifier[0])
    figures.draw_accuracy(radii(*classifier), ax=axes)
    assert dict(matplotlib.rcParams) == before
