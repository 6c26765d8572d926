"""The attack against everything that could do better, and radii against the attack."""

import itertools

import numpy as np
import pytest
from conftest import needs_jit

from numlin import kernels
from numlin.attacks import attack, minimal_perturbation, radii, robust_accuracy
from numlin.balls import BALLS, LINF, Ball, water_level
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.objective import error_rate, score

PIXEL_BOX = (0.0, 1.0)


def margins(w, b, X, y):
    return y * score(w, b, X)


@pytest.fixture
def problem(rng):
    """Weights and 20 inputs of 8 pixels, some of them black or white, labels of both kinds."""
    X = np.clip(rng.uniform(-0.3, 1.3, (20, 8)), 0, 1)
    return rng.normal(size=8), 0.1, X, rng.choice([-1, 1], 20)


@pytest.mark.parametrize("eps", [0.05, 0.3])
def test_no_sign_vector_does_more_harm_than_the_attack(problem, eps):
    w, b, X, y = problem
    free, boxed = (
        margins(w, b, attack(w, b, X, y, eps, ball).X_adv, y) for ball in ("linf", "linf-box")
    )
    for signs in itertools.product((-1, 1), repeat=8):
        corner = X + eps * np.array(signs)
        assert (margins(w, b, corner, y) >= free - 1e-12).all()
        assert (margins(w, b, np.clip(corner, 0, 1), y) >= boxed - 1e-12).all()


@pytest.mark.parametrize(
    "norm, size",
    [
        ("linf", lambda delta: np.abs(delta).max(axis=1)),
        ("l2", lambda delta: np.sqrt(np.square(delta).sum(axis=1))),
        ("l1", lambda delta: np.abs(delta).sum(axis=1)),
    ],
)
def test_both_images_stay_in_the_ball_and_one_in_the_box(problem, norm, size):
    w, b, X, y = problem
    free, boxed = (attack(w, b, X, y, 0.4, ball).X_adv for ball in (norm, f"{norm}-box"))
    for X_adv in (free, boxed):
        assert (size(X_adv - X) <= 0.4 + 1e-12).all()
    assert free.min() < 0 or free.max() > 1
    assert boxed.min() >= 0 and boxed.max() <= 1


NAN = float("nan")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda w, b, X, y: (w * NAN, b, X, y), r"w: found nan at index \(0,\)"),
        (lambda w, b, X, y: (w[None], b, X, y), r"w: found float64 of shape \(1, 8\)"),
        (lambda w, b, X, y: (w, NAN, X, y), "b: found nan"),
        (lambda w, b, X, y: (w, np.zeros(20), X, y), r"b: found array"),
        (lambda w, b, X, y: (w, b, X * NAN, y), r"X: found nan at index \(0, 0\)"),
        (lambda w, b, X, y: (w, b, X[:, 1:], y), "X: found 7 features, expected 8"),
        (lambda w, b, X, y: (w, b, X, (y + 1) // 2), "y: found labels .* expected only -1 and"),
        (lambda w, b, X, y: (w, b, X, y[:, None]), r"y: found shape \(20, 1\)"),
        (lambda w, b, X, y: (w, b, X, y[:1]), r"y: found shape \(1,\)"),
    ],
)
def test_arguments_that_would_give_a_wrong_answer_are_refused(problem, spoil, message):
    arguments = spoil(*problem)
    for call in (
        lambda: attack(*arguments, 0.1),
        lambda: radii(*arguments),
        lambda: minimal_perturbation(*arguments),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_an_engine_or_ball_that_does_not_exist_and_radii_that_are_none_are_refused(problem):
    for call in (lambda ball: attack(*problem, 0.1, ball), lambda ball: radii(*problem, ball)):
        with pytest.raises(ValueError, match="ball: found 'l3', expected one of linf, l2, l1, "):
            call("l3")
    with pytest.raises(ValueError, match="engine: found 'x', expected one of numba, numpy"):
        radii(*problem, LINF, engine="x")
    for wrong in ([], [[0.1]], [0.1, NAN]):
        with pytest.raises(ValueError, match="radius: found"):
            robust_accuracy(wrong, 0.1)


def test_weights_of_any_type_and_raw_pixels_are_attacked_alike(problem):
    _, b, X, y = problem
    w, raw = np.array([1, -2, 1, 3, 0, -1, 2, 1]), np.rint(255 * X).astype(np.uint8)
    for name, ball in BALLS.items():
        expected = attack(w.astype(float), b, raw / 255, y, 0.3, ball)
        found = attack(w, b, raw, y, 0.3, name)
        assert (found.X_adv == expected.X_adv).all() and (found.X_adv != raw / 255).any()
        expected_radii = radii(w.astype(float), b, raw / 255, y, ball)
        assert (radii(w, b, raw, y, name) == expected_radii).all()


def test_inputs_outside_the_pixel_box_have_a_free_attack_only(problem):
    w, b, X, y = problem
    found = attack(w, b, 2 * X, y, 0.3)
    np.testing.assert_allclose(found.X_adv, 2 * X - y[:, None] * 0.3 * np.sign(w), atol=1e-15)
    with pytest.raises(ValueError, match=r"X: found values in \[0, 2\], expected them inside"):
        attack(w, b, 2 * X, y, 0.3, "linf-box")


def test_in_the_linf_ball_the_box_clips_the_free_attack(problem):
    w, b, X, y = problem
    free, boxed = (attack(w, b, X, y, 0.4, ball).X_adv for ball in ("linf", "linf-box"))
    np.testing.assert_allclose(free, X - y[:, None] * 0.4 * np.sign(w), atol=1e-16)
    np.testing.assert_allclose(boxed, np.clip(free, 0, 1), atol=1e-15)


def test_success_is_what_predicting_the_perturbed_images_again_says(small_model, blobs):
    X, y = blobs
    free, boxed = (
        attack(small_model.w, small_model.b, X, y, 0.2, ball) for ball in ("linf", "linf-box")
    )
    for found in (free, boxed):
        assert (found.success == (small_model.predict(found.X_adv) != y)).all()
    assert 0 < boxed.success.sum() <= free.success.sum() < len(y)


def test_a_score_of_exactly_zero_is_a_success():
    X, y = np.array([[0.5], [0.5]]), np.array([1, -1])
    for ball in BALLS:
        assert attack([1.0], -0.25, X, y, 0.25, ball).success.tolist() == [True, True]
        assert attack([1.0], -0.5, X, y, 0.0, ball).success.tolist() == [True, True]


@pytest.mark.parametrize("name", BALLS)
def test_the_share_left_standing_is_what_the_attack_leaves_standing(small_model, blobs, name):
    X, y = blobs
    eps = np.linspace(0, 2, 41)
    curve = robust_accuracy(radii(small_model.w, small_model.b, X, y, BALLS[name]), eps)
    for strength, accuracy in zip(eps, curve, strict=True):
        found = attack(small_model.w, small_model.b, X, y, strength, name)
        assert accuracy == np.mean(~found.success)
    assert curve[0] == small_model.score(X, y) and (np.diff(curve) <= 0).all()


@pytest.mark.parametrize("name", BALLS)
def test_radii_are_tight(problem, name):
    w, b, X, y = problem
    delta, radius = minimal_perturbation(w, b, X, y, BALLS[name])
    reached = np.isfinite(radius) & (radius > 0)
    assert reached.sum() > 3
    at = margins(w, b, X + delta, y)[reached]
    np.testing.assert_allclose(at, 0, atol=1e-12)
    X, y, radius = X[reached], y[reached], radius[reached]
    for factor, fooled in ((1 - 1e-6, False), (1 + 1e-6, True)):
        moved = X + BALLS[name].delta(w, X, y, radius * factor)
        assert ((margins(w, b, moved, y) <= 0) == fooled).all()


def test_a_sample_in_error_has_radius_zero_and_one_out_of_reach_infinite():
    w, X = np.array([1.0, -1.0]), np.array([[1.0, 0.0], [1.0, 0.0]])
    y = np.array([1, -1])
    boxed = radii(w, 2.0, X, y, Ball("linf", PIXEL_BOX))
    assert boxed.tolist() == [np.inf, 0.0]
    delta, _ = minimal_perturbation(w, 2.0, X, y, Ball("linf", PIXEL_BOX))
    assert (delta == 0).all()
    assert radii(w, 2.0, X, y, LINF).tolist() == [1.5, 0.0]
    assert radii(np.zeros(2), 2.0, X, y, LINF).tolist() == [np.inf, 0.0]


def test_at_a_radius_of_exactly_eps_the_sample_counts_as_fooled():
    assert robust_accuracy(np.array([0.1, 0.2, np.inf]), [0.0, 0.1, 0.15, 0.2, 9]).tolist() == [
        1.0,
        2 / 3,
        2 / 3,
        1 / 3,
        1 / 3,
    ]


def test_the_compiled_water_level_is_its_numpy_twin(rng):
    full_at = np.where(rng.random((50, 12)) < 0.3, 0, rng.random((50, 12)).round(1))
    slope = np.where(rng.random(12) < 0.2, 0, rng.random(12))
    target = np.where(rng.random(50) < 0.1, 0, 1.2 * (full_at @ slope).mean() * rng.random(50) * 2)
    expected = water_level(full_at, slope, target)
    assert np.isinf(expected).any() and (expected == 0).any()
    # Two ways to sum the same 12 terms: a few roundings, magnified by the last open slope.
    np.testing.assert_allclose(
        kernels.load("numba").water_level(full_at, slope, target), expected, rtol=1e-12
    )


@needs_jit
@pytest.mark.parametrize("bounds, every", [(None, 1), (PIXEL_BOX, 5)])
def test_on_mnist_radii_give_the_attacked_accuracy_at_every_eps(mnist, bounds, every):
    X, y = datasets.load("test", (0, 1), np.float64, mnist)
    train = datasets.load("train", (0, 1), np.uint8, mnist)
    model = LinearClassifier(eps=0.1, learning_rate=0.01, n_epochs=2).fit(*train)
    ball, eps = Ball("linf", bounds), np.arange(0, 101, every) / 200
    curve = robust_accuracy(radii(model.w, model.b, X, y, ball), eps)
    attacked = [error_rate(model.w, model.b, X, y, strength, ball) for strength in eps]
    assert np.rint(len(y) * (1 - curve)).tolist() == np.rint(len(y) * np.array(attacked)).tolist()


every_engine = pytest.mark.parametrize("engine", ["numba", "numpy"])


@every_engine
@pytest.mark.parametrize(
    "w, x, name, radius",
    [
        ([1, 0.7, 0.7, 0.7], [0.8, 0.8, 0.8, 0.2], "linf-box", 0.8),
        ([0.86], [0.07], "l2-box", 0.07),
        ([0.86], [0.07], "l1-box", 0.07),
    ],
)
def test_rounding_does_not_hide_that_the_whole_box_just_suffices(w, x, name, radius, engine):
    assert radii(w, 0.0, [x], [1], name, engine) == pytest.approx(radius, rel=1e-14)


@every_engine
@pytest.mark.parametrize("name", BALLS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_attack_succeeds_at_every_radius_in_floating_point(name, engine, dtype):
    """And the radius is above the exact one by no more than its docstring says."""
    rng = np.random.default_rng(5)
    X = np.rint(255 * np.clip(rng.uniform(-0.3, 1.3, (300, 100)), 0, 1)) / 255
    w, X = rng.normal(size=100).astype(dtype), X.astype(dtype)
    y = np.where(score(w, 0.3, X) > 0, 1, -1)
    radius = radii(w, 0.3, X, y, name, engine)
    finite = np.isfinite(radius)
    assert finite.sum() > 250
    assert attack(w, 0.3, X, y, np.where(finite, radius, 0), name).success[finite].all()
    assert not attack(w, 0.3, X, y, 1e3, name).success[~finite].any()
    slack = 2 * 104 * np.finfo(dtype).eps * (np.abs(w).sum() * 2 + 0.3)
    margin = y * score(w, 0.3, X)
    above = BALLS[name].radius(w, X, y, margin + 2 * slack)
    assert (radius[finite] <= above[finite]).all()
    assert (radius >= BALLS[name].radius(w, X, y, margin) * (1 - 4 * np.finfo(dtype).eps)).all()


@every_engine
@pytest.mark.parametrize("name", BALLS)
@pytest.mark.parametrize("scale", [1e-160, 1e-100, 1e100, 1e155, 1e300])
def test_radii_and_attacks_do_not_depend_on_the_scale_of_the_weights(name, scale, engine):
    w, X, y = np.array([3.0, 4.0]), np.array([[0.1, 0.05], [0.9, 0.6]]), [1, -1]
    b = np.array([-0.4, -9.0])
    for offset in b:
        expected = radii(w, offset, X, y, name, engine)
        found = radii(scale * w, scale * offset, X, y, name, engine)
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    moved = attack(scale * w, 0.0, X, y, 0.2, name).X_adv
    np.testing.assert_allclose(moved, attack(w, 0.0, X, y, 0.2, name).X_adv, atol=1e-14)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_box_without_ends_is_no_box(norm):
    w, X, y = np.array([1.0, 2.0, 0.0]), np.array([[0.5, 0.5, 0.1], [0.1, 0.2, 0.3]]), [1, 1]
    for bounds in ((-np.inf, np.inf), (-np.inf, 1.0)):
        found = radii(w, 0.0, X, y, Ball(norm, bounds))
        np.testing.assert_allclose(found, radii(w, 0.0, X, y, norm), rtol=1e-14)
        moved = attack(w, 0.0, X, y, 0.2, Ball(norm, bounds)).X_adv
        np.testing.assert_allclose(moved, attack(w, 0.0, X, y, 0.2, norm).X_adv, atol=1e-15)


def test_arguments_of_the_wrong_length_or_kind_are_named(problem):
    w, b, X, y = problem
    with pytest.raises(
        ValueError, match=r"eps: found shape \(2,\), expected one number or \(20,\)"
    ):
        attack(w, b, X, y, [0.1, 0.2])
    with pytest.raises(ValueError, match="eps: found"):
        attack(w, b, X, y, None)
    for wrong in (None, "1", 1j):
        with pytest.raises(ValueError, match="b: found"):
            attack(w, wrong, X, y, 0.1)
    with pytest.raises(ValueError, match="ball: found 'l3', expected one of linf"):
        radii(w, b, X, y, "l3")
    beyond = np.nextafter(np.float32(1), np.float32(2))
    with pytest.raises(ValueError, match=r"X: found values in \[.*, 1.00000012\], expected"):
        radii(w, b, np.where(X > 0.9, beyond, X.astype(np.float32)), y, "l2-box")


def test_long_doubles_are_rounded_to_doubles(problem):
    w, b, X, y = problem
    found = radii(w.astype(np.longdouble), np.longdouble(b), X.astype(np.longdouble), y, "l2-box")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, radii(w, b, X, y, "l2-box"))
