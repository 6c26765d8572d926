"""The training objective: its value by brute force, its slope by finite differences.

`pytest -k gradient` runs every check of a gradient, here and elsewhere.
"""

from itertools import product

import numpy as np
import pytest
from oracles import digits

from numlin.balls import BALLS, LINF
from numlin.gradcheck import (
    assert_gradient,
    check_gradient,
    check_hvp,
    check_subgradient,
    taylor_order,
)
from numlin.losses import HINGE, LOGISTIC, LOSSES, SQUARED_HINGE
from numlin.objective import (
    error_rate,
    hessian_product,
    kinks,
    objective,
    robust_margin,
    score,
    subgradient,
)

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
every_ball = pytest.mark.parametrize("ball", BALLS.values(), ids=BALLS)
every_pair = pytest.mark.parametrize(
    ("loss", "ball"),
    [
        pytest.param(LOSSES[loss], BALLS[ball], id=f"{loss}-under-{ball}-ball")
        for loss, ball in product(LOSSES, BALLS)
    ],
)


class Problem:
    """The objective as a function of one vector x = (w, b), with what surrounds it."""

    def __init__(self, X, y, eps, loss, ball):
        self.setting = X, y, eps, loss, ball

    def value(self, x):
        return objective(x[:-1], x[-1], *self.setting)

    def gradient(self, x):
        return np.append(*subgradient(x[:-1], x[-1], *self.setting))

    def kinks(self, x):
        return kinks(x[:-1], x[-1], *self.setting)


def problem(loss, ball, eps=0.1, seed=0, n_samples=20, n_features=10):
    """A random problem and a random point (w, b), which almost surely lies on no kink."""
    w, X, y = digits(seed, n_samples, n_features)
    return Problem(X, y, eps, loss, ball), np.append(w, 0.3)


def on_kinks(loss, ball):
    """A problem and points with margins of exactly 1 and weights of exactly 0, both many.

    Weights, eps, b and the pixels that carry weight are multiples of 1/8, so every sum is exact;
    the other pixels are k/255.
    """
    rng = np.random.default_rng(3)
    X = rng.integers(0, 256, (24, 7)) / 255
    X[:, :3] = rng.integers(0, 9, (24, 3)) / 8
    points = [
        np.array([1.0, -1, 1, 0, 0, 0, 0, 0.125]),
        np.array([1.0, 0, -2, 0, 0, 0, 0, 0.5]),
        np.array([0.0, 0, 0, 0, 0, 0, 0, 1]),
        np.array([0.0, 0, 0, 0, 0, 0, 0, 0]),
    ]
    return Problem(X, rng.choice([-1.0, 1.0], 24), 0.125, loss, ball), points


@every_pair
def test_gradient_matches_finite_differences_to_nine_digits(loss, ball):
    """Within a cell the objective is a polynomial or analytic, so nine digits can be had."""
    for seed in range(2):
        f, x = problem(loss, ball, seed=seed)
        assert_gradient(f.value, f.gradient, x, f.kinks, rtol=1e-9)


@every_loss
def test_gradient_without_an_adversary_matches_finite_differences_to_nine_digits(loss):
    f, x = problem(loss, LINF, eps=0.0)
    assert_gradient(f.value, f.gradient, x, f.kinks, rtol=1e-9)


@pytest.mark.parametrize("name", ["linf", "linf-box", "l1", "l1-box"])
def test_gradient_of_hinge_is_exact_to_rounding_where_all_is_affine(name):
    """In a cell F is affine in (w, b): the step is limited by the cell alone."""
    f, x = problem(HINGE, BALLS[name])
    # 1e-11: F rounds to 1e-16, and steps are at least 1e-4 long
    assert_gradient(f.value, f.gradient, x, f.kinks, rtol=1e-11)
    assert taylor_order(f.value, f.gradient, x, h=1e-3) == np.inf


@pytest.mark.parametrize("name", ["linf", "l2", "l1"])
def test_gradient_of_logistic_leaves_a_taylor_remainder_of_second_order(name):
    f, x = problem(LOGISTIC, BALLS[name])
    # 0.02: what the third-order term adds at the steps used
    assert taylor_order(f.value, f.gradient, x, h=2.0**-7) == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize("name", [name for name in BALLS if name != "l2-box"])
@every_loss
def test_hessian_times_vector_matches_differences_of_the_gradient(loss, name, eps):
    f, x = problem(loss, BALLS[name], eps=eps, n_features=5)

    def product(w, b, v):
        return hessian_product(*v, w, b, *f.setting)

    def check(hvp, **options):
        return check_hvp(
            lambda w, b: subgradient(w, b, *f.setting),
            hvp,
            (x[:-1], x[-1]),
            lambda w, b: kinks(w, b, *f.setting),
            rtol=1e-8,
            directions=6,
            **options,
        )

    assert check(product).verdict == "pass", str(check(product))
    if loss is LOGISTIC or (eps == 0.1 and name == "l2"):
        wrong = check(lambda w, b, v: tuple(1.001 * part for part in product(w, b, v)))
        assert wrong.verdict == "fail"


def test_hessian_of_the_l2_ball_in_the_box_is_refused():
    f, x = problem(LOGISTIC, BALLS["l2-box"])
    with pytest.raises(ValueError, match="ball: found l2-box"):
        hessian_product(x[:-1], x[-1], x[:-1], x[-1], *f.setting)


@every_pair
@pytest.mark.parametrize("eps", [0.02, 0.5, 3.0])
def test_gradient_matches_finite_differences_for_small_and_large_eps(loss, ball, eps):
    f, x = problem(loss, ball, eps=eps, seed=4, n_samples=8, n_features=6)
    assert_gradient(f.value, f.gradient, x, f.kinks, rtol=1e-9)


@every_pair
def test_gradient_of_a_single_sample_matches_finite_differences(loss, ball):
    f, x = problem(loss, ball, seed=2, n_samples=1)
    assert robust_margin(x[:-1], x[-1], *f.setting[:3], ball) < 1
    assert_gradient(f.value, f.gradient, x, f.kinks, rtol=1e-9)


def without_the_balls_term(f):
    def gradient(x):
        X, y, eps, loss, ball = f.setting
        c = loss.derivative(robust_margin(x[:-1], x[-1], X, y, eps, ball)) / len(y)
        return np.append((c * y) @ X, (c * y).sum())

    return gradient


def with_slopes_at_clean_margins(f):
    """The slope of the loss taken at the clean margin, the ball's term kept."""

    def gradient(x):
        (X, y, eps, loss, ball), w = f.setting, x[:-1]
        c = loss.derivative(y * (X @ w + x[-1])) / len(y)
        return np.append((c * y) @ X - ball.drop_subgradient(w, X, y, eps, c), (c * y).sum())

    return gradient


MISTAKES = {
    "1-percent-too-large": lambda f: lambda x: 1.01 * f.gradient(x),
    "sign": lambda f: lambda x: -f.gradient(x),
    "zero": lambda f: np.zeros_like,
    "term-of-the-ball-dropped": without_the_balls_term,
    "term-of-the-ball-subtracted": lambda f: (
        lambda x: 2 * without_the_balls_term(f)(x) - f.gradient(x)
    ),
    "slope-at-clean-margins": with_slopes_at_clean_margins,
    "gradient-of-regular-training": lambda f: Problem(*f.setting[:2], 0, *f.setting[3:]).gradient,
    "bias-forgotten": lambda f: lambda x: np.append(f.gradient(x)[:-1], 0),
    "sum-instead-of-mean": lambda f: lambda x: 20 * f.gradient(x),
}


@every_pair
@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_gradient_fails_the_same_check(loss, ball, mistake):
    f, x = problem(loss, ball, n_features=5)
    report = check_gradient(f.value, MISTAKES[mistake](f), x, f.kinks, rtol=1e-9, directions=1)
    assert report.verdict == "fail", str(report)


def test_gradient_check_at_a_zero_weight_is_inconclusive_and_names_it():
    f, x = problem(HINGE, LINF)
    x[3] = 0
    report = check_gradient(f.value, f.gradient, x, f.kinks, directions=0)
    undecided = [probe for probe in report.probes if probe.verdict != "pass"]
    assert [(probe.name, probe.kinks) for probe in undecided] == [("x[3]", ("w[3]",))]


@every_pair
def test_subgradient_inequality_holds_exactly_on_kinks(loss, ball):
    f, points = on_kinks(loss, ball)
    for x in points:
        report = check_subgradient(f.value, f.gradient, x, directions=5)
        assert report.verdict == "pass", str(report)


def test_points_on_kinks_are_on_kinks():
    f, points = on_kinks(HINGE, LINF)
    X, y, eps, _, _ = f.setting
    at_one = [np.sum(robust_margin(x[:-1], x[-1], X, y, eps) == 1) for x in points]
    assert at_one[0] >= 1
    assert at_one[2] == np.sum(y == 1) > 5
    assert all(np.sum(x[:-1] == 0) >= 4 for x in points)


@every_pair
def test_subgradient_inequality_fails_on_kinks_for_a_gradient_that_forgets_the_ball(loss, ball):
    f, (_, x, _, _) = on_kinks(loss, ball)
    report = check_subgradient(f.value, without_the_balls_term(f), x, directions=0)
    assert report.verdict == "fail"


def test_sample_exactly_at_margin_1_and_weight_exactly_0_add_nothing_to_the_subgradient():
    X, y = np.array([[1.0, 0.5]]), np.array([1.0])
    grad_w, grad_b = subgradient(np.array([1.0, 0.0]), 0.25, X, y, eps=0.25)
    assert (*grad_w, grad_b) == (0, 0, 0)
    grad_w, grad_b = subgradient(np.array([1.0, 0.0]), 0.125, X, y, eps=0.25)
    assert (*grad_w, grad_b) == (-0.75, -0.5, -1)


def test_kinks_are_the_margins_at_1_and_what_bends_the_ball():
    f, x = problem(HINGE, LINF)
    assert list(f.kinks(x)) == ["1 - margin", "w"]
    f, x = problem(LOGISTIC, BALLS["l2-box"])
    assert list(f.kinks(x)) == ["delta", "distance to the box"]
    f, x = problem(LOGISTIC, LINF, eps=0.0)
    assert f.kinks(x) == {}


@every_pair
def test_objective_is_convex_along_random_segments(loss, ball):
    f, _ = problem(loss, ball)
    rng = np.random.default_rng(5)
    for _ in range(20):
        u, v, t = rng.normal(size=11), rng.normal(size=11), rng.random()
        chord = (1 - t) * f.value(u) + t * f.value(v)
        assert f.value((1 - t) * u + t * v) <= chord * (1 + 1e-14)


@every_loss
@pytest.mark.parametrize("name", ["linf", "linf-box"])
def test_objective_is_the_mean_over_samples_of_the_worst_loss_over_all_vertices(loss, name):
    f, x = problem(loss, BALLS[name], eps=0.25, n_features=8, n_samples=6)
    X, y = f.setting[:2]
    low, high = (0.0, 1.0) if name == "linf-box" else (-np.inf, np.inf)
    worst = np.full(6, -np.inf)
    for corner in product((-0.25, 0.25), repeat=8):
        moved = np.clip(X + np.array(corner), low, high)
        worst = np.maximum(worst, loss.value(y * (moved @ x[:-1] + x[-1])))
    assert f.value(x) == pytest.approx(worst.mean(), rel=1e-14)


@every_pair
def test_objective_is_the_plain_loss_of_the_inputs_perturbed_by_delta(loss, ball):
    f, x = problem(loss, ball, eps=0.3)
    X, y, eps = f.setting[:3]
    X_adv = X + ball.delta(x[:-1], X, y, eps)
    assert f.value(x) == pytest.approx(objective(x[:-1], x[-1], X_adv, y, loss=loss), rel=1e-14)


@every_pair
def test_no_feasible_perturbation_makes_the_loss_larger(loss, ball):
    f, x = problem(loss, ball, eps=0.3)
    X, y, eps = f.setting[:3]
    rng = np.random.default_rng(6)
    for _ in range(20):
        other = ball.delta(rng.normal(size=10), X, y, eps)
        assert objective(x[:-1], x[-1], X + other, y, loss=loss) <= f.value(x) * (1 + 1e-14)


@every_pair
def test_objective_grows_with_eps_from_the_regular_one(loss, ball):
    values = [problem(loss, ball, eps)[0].value for eps in (0.0, 0.01, 0.1, 1.0)]
    x = problem(loss, ball)[1]
    assert np.all(np.diff([value(x) for value in values]) > 0)


@every_pair
def test_eps_zero_is_regular_training_to_the_last_bit(loss, ball):
    f, x = problem(loss, ball, eps=0.0)
    X, y = f.setting[:2]
    margin = y * (X @ x[:-1] + x[-1])
    c = loss.derivative(margin) / 20
    assert f.value(x) == loss.value(margin).mean()
    np.testing.assert_array_equal(f.gradient(x), np.append((c * y) @ X, (c * y).sum()))


@every_pair
def test_vanishing_eps_reaches_the_regular_objective_and_gradient(loss, ball):
    """Not only is eps = 0 a branch of its own: the other branch arrives there as well."""
    (f, x), (g, _) = problem(loss, ball, eps=1e-12), problem(loss, ball, eps=0.0)
    assert f.value(x) == pytest.approx(g.value(x), rel=1e-10)
    np.testing.assert_allclose(f.gradient(x), g.gradient(x), rtol=1e-9, atol=1e-10)


@every_pair
def test_exchanging_the_classes_mirrors_the_objective(loss, ball):
    f, x = problem(loss, ball)
    X, y, eps = f.setting[:3]
    g = Problem(X, -y, eps, loss, ball)
    assert g.value(-x) == f.value(x)
    np.testing.assert_array_equal(g.gradient(-x), -f.gradient(x))


def test_hinge_under_linf_ball_by_hand():
    """w = (1, -2), b = 1/2, eps = 1/8: drop 3/8; margins 0.5 + 0.5 - 0.375 and 0.5 - 0.375."""
    w, X, y = np.array([1.0, -2.0]), np.array([[1.0, 0.25], [0.0, 0.5]]), np.array([1.0, -1.0])
    np.testing.assert_array_equal(score(w, 0.5, X), [1, -0.5])
    np.testing.assert_array_equal(robust_margin(w, 0.5, X, y, 0.125), [0.625, 0.125])
    assert objective(w, 0.5, X, y, 0.125) == (0.375 + 0.875) / 2
    assert objective(w, 0.5, X, y, 0.125, SQUARED_HINGE) == (0.375**2 + 0.875**2) / 2
    grad_w, grad_b = subgradient(w, 0.5, X, y, 0.125)
    np.testing.assert_array_equal(grad_w, [-0.5 + 0.125, -0.125 + 0.25 - 0.125])
    assert grad_b == 0


@every_pair
def test_float32_is_kept_in_value_and_gradient(loss, ball):
    f, x = problem(loss, ball)
    X, y, eps = f.setting[:3]
    X, w = X.astype(np.float32), x[:-1].astype(np.float32)
    for labels in (y.astype(np.float32), y.astype(np.int8)):
        value = objective(w, 0.3, X, labels, eps, loss, ball)
        grad_w, _ = subgradient(w, 0.3, X, labels, eps, loss, ball)
        assert (value.dtype, grad_w.dtype) == (np.float32, np.float32)
        # 1e-5: a sum of 10 numbers of size 1, each rounded to 6e-8
        assert value == pytest.approx(f.value(x), rel=1e-5)
        np.testing.assert_allclose(grad_w, f.gradient(x)[:-1], rtol=1e-5, atol=1e-5)


def test_margin_of_zero_is_an_error_and_so_is_none_at_all():
    X, y = np.array([[0.5], [1.0], [0.0]]), np.array([1.0, 1.0, -1.0])
    assert error_rate(np.array([1.0]), -0.5, X, y) == 1 / 3
    assert error_rate(np.array([1.0]), -0.5, X, y, eps=0.5) == 1
    assert error_rate(np.array([np.nan]), 0.0, X, y) == 1
