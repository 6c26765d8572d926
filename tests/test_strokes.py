"""The synthetic digits: repeatable, well-formed, like MNIST's, and readable as what they claim."""

import numpy as np
import pytest

from numlin.data import idx, strokes

FILES = [
    f"{split}-{kind}-ubyte.gz"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
]


@pytest.fixture(scope="module")
def drawn():
    """2,000 shuffled drawings of all ten digits and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(2000) % 10)
    return strokes.draw(labels, rng), labels


def count_holes(image):
    """How many regions of paper (4-connected, less than 100 of 255 ink) do not reach the border."""
    paper = np.pad(image < 100, 1, constant_values=True)
    regions = 0
    while paper.any():
        regions += 1
        frontier = [tuple(np.argwhere(paper)[0])]
        while frontier:
            row, column = frontier.pop()
            if 0 <= row < 30 and 0 <= column < 30 and paper[row, column]:
                paper[row, column] = False
                frontier += [(row - 1, column), (row + 1, column)]
                frontier += [(row, column - 1), (row, column + 1)]
    return regions - 1


def hinge_sgd(X, y, eps, learning_rate):
    """(w, b) after ten epochs of the robust hinge in batches of 100, written for this test only."""
    rng = np.random.default_rng(0)
    w, b = rng.uniform(-0.09, 0.09, X.shape[1]), 0.0
    for _ in range(10):
        for batch in np.split(rng.permutation(len(y)), len(y) // 100):
            active = y[batch] * (X[batch] @ w + b) - eps * np.abs(w).sum() < 1
            yX = y[batch, None] * X[batch]
            grad_w = (active @ yX - active.sum() * eps * np.sign(w)) / 100
            w, b = w + learning_rate * grad_w, b + learning_rate * (active @ y[batch]) / 100
    return w, b


def test_the_same_seed_draws_the_same_images():
    labels = np.arange(50) % 10
    first, again, other = (strokes.draw(labels, np.random.default_rng(s)) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not any(np.array_equal(a, b) for a, b in zip(first, other))


def test_images_are_28_by_28_bytes_with_nearly_full_ink_on_each(drawn):
    images, _ = drawn
    assert images.shape == (2000, 28, 28) and images.dtype == np.uint8
    # The thinnest nib, 0.8, passes within half a pixel of a pixel: s(0.5 + 0.3 / 1.5) = 0.784.
    assert images.max(axis=(1, 2)).min() >= 0.784 * 255 - 1
    assert np.mean(images.max(axis=(1, 2)) == 255) > 0.9


def test_no_two_drawings_are_alike(drawn):
    images, _ = drawn
    assert len(np.unique(images.reshape(2000, -1), axis=0)) == 2000


def test_no_labels_draw_no_images():
    assert strokes.draw(np.array([], int), np.random.default_rng(0)).shape == (0, 28, 28)


@pytest.mark.parametrize(
    "labels, message",
    [
        ([3, 10], r"labels\[1\]: found 10, expected a digit from 0 to 9"),
        ([-1], r"labels\[0\]: found -1, expected a digit from 0 to 9"),
        ([0.0, 1.0], r"labels: found float64 of shape \(2,\), expected integers \(n_samples,\)"),
        ([[0, 1]], r"labels: found int64 of shape \(1, 2\), expected integers \(n_samples,\)"),
        (7, r"labels: found int64 of shape \(\), expected integers \(n_samples,\)"),
    ],
)
def test_labels_that_are_no_digits_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        strokes.draw(labels, np.random.default_rng(0))


def test_the_outermost_pixels_are_empty(drawn):
    images, _ = drawn
    frame = np.ones((28, 28), bool)
    frame[1:-1, 1:-1] = False
    assert not images[:, frame].any()


def test_ink_lies_in_a_box_of_20_by_20_around_its_centre_of_mass(drawn):
    images, _ = drawn
    for axis in (1, 2):
        inked = images.any(axis=axis)
        extent = 28 - inked.argmax(axis=1) - inked[:, ::-1].argmax(axis=1)
        assert extent.max() <= 20
        profile = images.sum(axis=axis)
        centre = profile @ np.arange(28) / profile.sum(axis=1)
        # Whole-pixel moves leave up to 0.5, as in MNIST; a move of more than 3 pixels is not made.
        assert np.mean(np.abs(centre - 14) <= 0.5) > 0.97
        assert np.max(np.abs(centre - 14)) < 2


def test_the_amount_and_softness_of_ink_are_mnists(drawn):
    # MNIST's means of ink / 255 per digit; its standard deviations run from 18 to 34, and 56 to
    # 66 % of its inked pixels are below 250. Pens and hands differ: a quarter either way, and a
    # third for the spread among 200 drawings.
    mnist_means = [139, 61, 116, 112, 95, 98, 107, 91, 117, 98]
    images, labels = drawn
    for digit, mnist_mean in enumerate(mnist_means):
        ink = images[labels == digit].sum(axis=(1, 2)) / 255
        assert 0.75 < ink.mean() / mnist_mean < 1.25
        assert 18 * 0.67 < ink.std() < 34 * 1.33
    assert 0.56 * 0.75 < np.mean(images[images > 0] < 250) < 0.66 * 1.25


def test_a_digit_is_told_by_its_nearest_neighbour_among_other_drawings(drawn):
    images, labels = drawn
    X = images.reshape(len(images), -1).astype(np.float32)
    known, asked = slice(0, 1600), slice(1600, None)
    squared = np.sum(X[known] ** 2, axis=1) - 2 * X[asked] @ X[known].T
    right = labels[known][squared.argmin(axis=1)] == labels[asked]
    assert right.mean() > 0.9
    # And not because drawings hardly vary: then class means would tell them all; MNIST's tell 76 %.
    means = np.stack([X[known][labels[known] == digit].mean(axis=0) for digit in range(10)])
    squared = np.sum(means**2, axis=1) - 2 * X[asked] @ means.T
    assert 0.76 < np.mean(squared.argmin(axis=1) == labels[asked]) < 0.95


@pytest.mark.parametrize("digit, holes", [(0, 1), (1, 0), (8, 2)])
def test_digits_have_the_holes_they_should(drawn, digit, holes):
    images, labels = drawn
    counts = [count_holes(image) for image in images[labels == digit][:100]]
    assert np.mean(np.equal(counts, holes)) > 0.8


def test_the_articles_story_shows_on_0_against_1():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 3200)
    X, y = strokes.draw(labels, rng).reshape(3200, 784) / 255, 2.0 * labels - 1

    def error(w, b, eps):
        margin = y[2400:] * (X[2400:] @ w + b)
        return np.mean(margin <= eps * np.abs(w).sum())

    regular = hinge_sgd(X[:2400], y[:2400], eps=0, learning_rate=0.1)
    robust = hinge_sgd(X[:2400], y[:2400], eps=0.2, learning_rate=0.01)
    assert error(*regular, 0) <= 0.005 and error(*robust, 0) <= 0.01
    assert error(*regular, 0.1) > 0.5 and error(*regular, 0.2) > 0.95
    assert error(*robust, 0.1) < 0.05 and error(*robust, 0.2) < 0.15


@pytest.mark.parametrize("digit", range(10))
def test_a_curve_passes_through_its_waypoints_wherever_they_are_moved(digit):
    for share, *pen in strokes.FORMS[digit]:
        waypoints, path = strokes._curve(pen)
        moved = waypoints + np.random.default_rng(0).normal(size=waypoints.shape)
        gaps = np.linalg.norm((path @ moved)[:, None] - moved, axis=2).min(axis=0)
        assert gaps.max() < 1e-12  # a spline's rounding on numbers of order 1


def test_a_stroke_that_ends_where_it_starts_is_a_loop_without_a_seam():
    waypoints, path = strokes._curve(["0,0 0,90 90,90 90,0 0,0"])
    x, y = (path @ waypoints - 0.45).reshape(4, -1, 2).transpose(2, 0, 1)
    # A quarter turn takes each side of the loop to the next, to the rounding of a short sum.
    assert np.allclose(x[1:], y[:-1], rtol=0, atol=1e-15)
    assert np.allclose(y[1:], -x[:-1], rtol=0, atol=1e-15)


def test_a_waypoint_written_twice_in_a_row_is_a_corner():
    waypoints, path = strokes._curve(["0,0 0,90 0,90 90,90"])
    x, y = (path @ waypoints).T
    assert len(waypoints) == 3
    assert np.all(np.minimum(np.abs(x), np.abs(y - 0.9)) < 1e-15)  # rounding of a short sum


def test_ink_falls_with_the_distance_to_the_nearest_print():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(8, 20, (2, 6, 3)).astype(np.float32)
    radius = np.array([0.8, 1.3, 2.1], np.float32)
    rows, columns = np.mgrid[:28, :28]
    for k, image in enumerate(strokes._ink(x, y, radius)):
        d = np.min([np.hypot(rows - b, columns - a) for a, b in zip(x[:, k], y[:, k])], axis=0)
        u = np.clip(0.5 + (radius[k] - d) / 1.5, 0, 1)
        # Half a byte is the rounding; one, as float32 may fall on its other side.
        assert np.max(np.abs(image - 255 * (3 * u**2 - 2 * u**3))) <= 1


def test_every_form_is_drawn_from_a_whole_table():
    for forms in strokes.FORMS.values():
        assert sum(share for share, *_ in forms) == pytest.approx(1, abs=1e-12)
        for _, *pen in forms:
            waypoints, _ = strokes._curve(pen)
            assert waypoints.min() >= 0 and np.ptp(waypoints[:, 1]) > 0.9


def test_a_data_set_is_four_files_that_read_back_as_drawn(tmp_path):
    strokes.write_dataset(tmp_path, seed=5, n_train=120, n_test=41)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    train, train_labels, test, test_labels = (idx.read(tmp_path / name) for name in FILES)
    assert train.shape == (120, 28, 28) and test.shape == (41, 28, 28)
    assert train_labels.dtype == test_labels.dtype == np.uint8
    assert np.all(np.bincount(train_labels) == 12)
    assert sorted(np.bincount(test_labels)) == [4] * 9 + [5]
    assert np.any(np.diff(train_labels.astype(int)) < 0)

    rng = np.random.default_rng(5)
    assert np.array_equal(rng.permutation(np.arange(120) % 10), train_labels)
    assert np.array_equal(strokes.draw(train_labels, rng), train)
    assert not any(np.array_equal(image, other) for image in test for other in train)


def test_a_data_set_is_the_same_to_the_byte_for_the_same_seed(tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        strokes.write_dataset(tmp_path / folder, seed=seed, n_train=40, n_test=20)
    for name in FILES:
        a, b, c = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert a == b and a != c
