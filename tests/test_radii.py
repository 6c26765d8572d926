"""Exact distances to the decision boundary, against bisection and by trying them out."""

import numpy as np
import pytest
from oracles import bisect, digits

from numlin.balls import BALLS, Ball, water_level
from numlin.kernels import compiled

every_ball = pytest.mark.parametrize("ball", BALLS.values(), ids=BALLS)
boxed_ball = pytest.mark.parametrize("norm", ["linf", "l2", "l1"])


def margins_of(w, X, y, b=0.3):
    return y * (X @ w + b)


def right(w, X, y, b=0.3):
    """The samples on the right side of the boundary."""
    keep = margins_of(w, X, y, b) > 0
    return X[keep], y[keep]


@every_ball
def test_radius_is_where_bisection_finds_the_drop_to_reach_the_margin(ball):
    w, X, y = digits(21, 50, 30)
    X, y = right(w, X, y)
    margin = margins_of(w, X, y)
    radius = ball.radius(w, X, y, margin)
    most = np.full(len(y), 60.0)
    reached = ball.drop(w, X, y, most) >= margin
    assert reached.sum() > 5
    np.testing.assert_array_equal(np.isfinite(radius), reached)
    found = bisect(lambda eps: ball.drop(w, X, y, eps) >= margin, most)
    # 1e-12: the drop, rounded to 1e-15, is at most a thousand times flatter at the end
    np.testing.assert_allclose(radius[reached], found[reached], rtol=1e-12)


@every_ball
def test_radius_is_tight(ball):
    """One millionth inside it every perturbed sample is right, one millionth outside all err."""
    w, X, y = digits(22, 50, 30)
    X, y = right(w, X, y)
    margin = margins_of(w, X, y)
    radius = ball.radius(w, X, y, margin)
    X, y, radius = (a[np.isfinite(radius)] for a in (X, y, radius))
    assert len(y) > 5
    for factor, survives in ((1 - 1e-6, True), (1 + 1e-6, False)):
        X_adv = X + ball.delta(w, X, y, radius * factor)
        assert np.all((margins_of(w, X_adv, y) > 0) == survives)


@every_ball
def test_radius_of_a_sample_that_is_already_wrong_is_zero(ball):
    w, X, y = digits(23, 20, 30)
    assert np.all(ball.radius(w, X, y, np.zeros(20)) == 0)
    assert np.all(ball.radius(w, X, y, np.full(20, -0.1)) == 0)


@every_ball
def test_radius_is_infinite_without_weights(ball):
    _, X, y = digits(24, 20, 30)
    assert np.all(np.isinf(ball.radius(np.zeros(30), X, y, np.ones(20))))
    assert np.all(ball.radius(np.zeros(30), X, y, np.zeros(20)) == 0)


@boxed_ball
def test_radius_is_infinite_exactly_where_the_whole_box_does_not_reach(norm):
    ball = Ball(norm, (0.0, 1.0))
    w, X, y = digits(25, 20, 30)
    all_of_it = ball.drop(w, X, y, 1e6)
    assert np.all(np.isinf(ball.radius(w, X, y, all_of_it * 1.0001)))
    assert np.all(np.isfinite(ball.radius(w, X, y, all_of_it * 0.9999)))
    assert np.all(np.isfinite(ball.radius(w, X, y, np.full(20, 1e-300))))


def test_radius_when_the_whole_box_reaches_exactly():
    """x = (1/2, 1/2), w = (1, 1): margin 1 is spent exactly at the corner (0, 0)."""
    w, X, y, margin = np.ones(2), np.full((1, 2), 0.5), np.ones(1), np.ones(1)
    found = [Ball(norm, (0.0, 1.0)).radius(w, X, y, margin)[0] for norm in ("linf", "l2", "l1")]
    assert found == [0.5, pytest.approx(np.sqrt(0.5), rel=1e-15), 1]


@every_ball
def test_radius_takes_another_water_level(ball):
    w, X, y = digits(26, 20, 30)
    margin, calls = np.full(20, 0.1), []

    def counted(*arguments):
        calls.append(arguments)
        return water_level(*arguments)

    np.testing.assert_array_equal(
        ball.radius(w, X, y, margin, counted), ball.radius(w, X, y, margin)
    )
    assert bool(calls) == (ball.bounds is not None and ball.norm != "l1")


def poured(full_at, slope, level):
    return (slope * np.minimum(full_at, level[:, None])).sum(axis=1)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_water_level_is_where_bisection_finds_the_vessels_to_hold_the_target(scale):
    rng = np.random.default_rng(35)
    full_at, slope = scale * rng.exponential(size=(50, 30)), rng.exponential(size=30)
    full_at[:, ::4], slope[::5] = 0, 0
    target = rng.uniform(0.01, 0.99, 50) * (full_at @ slope)
    found = bisect(lambda level: poured(full_at, slope, level) >= target, full_at.max(axis=1))
    # 1e-12: near the brim the content hardly depends on the level
    np.testing.assert_allclose(water_level(full_at, slope, target), found, rtol=1e-12)


@pytest.mark.parametrize("pour", [water_level, compiled.water_level])
def test_water_level_of_nothing_of_everything_and_of_more(pour):
    full_at, slope = np.array([[1.0, 2.0, 4.0]] * 3), np.array([1.0, 1.0, 2.0])
    found = pour(full_at, slope, np.array([0.0, 11.0, 11.5]))
    np.testing.assert_array_equal(found, [0, 4, np.inf])


def test_water_level_by_hand():
    """Widths 1, 1, 2, full at 1, 2, 4: four units a level up to 1, three up to 2, two up to 4."""
    full_at, slope = np.array([[4.0, 1.0, 2.0]] * 4), np.array([2.0, 1.0, 1.0])
    found = water_level(full_at, slope, np.array([2.0, 4.0, 5.5, 9.0]))
    np.testing.assert_array_equal(found, [0.5, 1, 1.5, 3])


def test_water_level_keeps_its_digits_beside_a_much_larger_vessel():
    """A billionth poured beside vessels of size 1 must not be found as the difference of ones."""
    full_at, slope = np.array([[1e-9, 1.0, 1.0]]), np.ones(3)
    found = water_level(full_at, slope, np.array([5e-9]))
    np.testing.assert_allclose(found, 2e-9, rtol=1e-15)


def test_water_level_without_vessels_that_hold_anything_is_infinite():
    assert np.isinf(water_level(np.zeros((1, 3)), np.ones(3), np.ones(1)))
    assert np.isinf(water_level(np.ones((1, 3)), np.zeros(3), np.ones(1)))
