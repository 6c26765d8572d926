"""Worst cases inside norm balls, against oracles that share nothing with their derivation.

A claimed maximum is exact when three things hold: the perturbation that is said to attain it is
feasible, it attains it, and nothing does better. The last is shown by all vertices of the ball
(l-inf, l1), by dense random search, by projected gradient ascent, and by the dual problem, whose
every value is an upper bound.
"""

from itertools import product

import numpy as np
import pytest
from oracles import digits, norm_of, project, reach

from numlin.balls import BALLS, Ball
from numlin.gradcheck import check_gradient, check_subgradient

EPS = (0.02, 0.3, 1.2)
# sums of up to 30 products, each rounded once, in another order: 30 units of 1e-16, rounded up
ROUNDING = 1e-14

every_ball = pytest.mark.parametrize("ball", BALLS.values(), ids=BALLS)
boxed_ball = pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
every_eps = pytest.mark.parametrize("eps", EPS)


@every_ball
@every_eps
def test_delta_is_feasible(ball, eps):
    w, X, y = digits(0, 40, 30)
    delta = ball.delta(w, X, y, eps)
    assert delta.shape == X.shape
    assert np.all(norm_of(ball, delta) <= eps * (1 + ROUNDING))
    if ball.bounds:
        assert np.all((X + delta >= 0) & (X + delta <= 1))


@every_ball
@every_eps
def test_delta_attains_the_drop(ball, eps):
    w, X, y = digits(1, 40, 30)
    attained = -y * (ball.delta(w, X, y, eps) @ w)
    drop = np.broadcast_to(ball.drop(w, X, y, eps), 40)
    np.testing.assert_allclose(attained, drop, rtol=ROUNDING)


@every_eps
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_linf_drop_is_the_best_of_all_vertices(bounds, eps):
    """The ball, or its cut with the box, is a box: 2^10 corners, one of them is worst."""
    ball = Ball("linf", bounds)
    w, X, y = digits(2, 8, 10)
    low, high = reach(ball, X, eps)
    best = np.full(8, -np.inf)
    for corner in product((False, True), repeat=10):
        best = np.maximum(best, -y * (np.where(corner, high, low) @ w))
    drop = np.broadcast_to(ball.drop(w, X, y, eps), 8)
    np.testing.assert_allclose(drop, best, rtol=ROUNDING)


@every_eps
def test_l1_drop_is_the_best_of_all_vertices(eps):
    w, X, y = digits(3, 8, 10)
    corners = eps * np.concatenate([np.eye(10), -np.eye(10)])
    best = (-y[:, None] * (corners @ w)).max(axis=1)
    np.testing.assert_allclose(np.full(8, Ball("l1").drop(w, X, y, eps)), best, rtol=ROUNDING)


@every_eps
def test_l1_drop_in_the_box_is_the_best_of_all_vertices(eps):
    """A vertex of {|delta|_1 <= eps} cut with a box has at most one entry off 0 and the sides."""
    ball = Ball("l1", (0.0, 1.0))
    w, X, y = digits(4, 6, 4)
    for i, (x, label) in enumerate(zip(X, y, strict=True)):
        best = 0.0
        for corner in product(*zip(-x, np.zeros(4), 1 - x, strict=True)):
            for j, sign in product(range(4), (-1, 1)):
                delta = np.array(corner)
                delta[j] = 0
                delta[j] = np.clip(sign * (eps - np.abs(delta).sum()), -x[j], 1 - x[j])
                if np.abs(delta).sum() <= eps + 1e-15:
                    best = max(best, -label * (w @ delta))
        assert ball.drop(w, X, y, eps)[i] == pytest.approx(best, rel=ROUNDING)


@every_ball
@every_eps
def test_dense_random_search_never_beats_the_drop_and_comes_close(ball, eps):
    """20,000 feasible points in three dimensions come within a tenth of the maximum."""
    w, X, y = digits(5, 6, 3)
    rng = np.random.default_rng(5)
    low, high = (side[:, None] for side in reach(ball, X, eps))
    delta = rng.uniform(low, high, (6, 20000, 3))
    at_side = rng.random(delta.shape)
    delta = np.where(at_side < 0.25, low, np.where(at_side > 0.75, high, delta))
    length = norm_of(ball, delta.reshape(-1, 3)).reshape(6, 20000, 1)
    delta *= np.minimum(1, eps / np.maximum(length, 1e-300))
    found = (-y[:, None] * (delta @ w)).max(axis=1)
    drop = ball.drop(w, X, y, eps)
    assert np.all(found <= drop * (1 + ROUNDING))
    assert np.all(found >= 0.9 * drop)


@every_ball
@every_eps
def test_projected_ascent_arrives_at_the_drop(ball, eps):
    w, X, y = digits(6, 8, 5)
    delta = np.zeros_like(X)
    for step in np.geomspace(1, 1e5, 40):
        delta = project(ball, delta - step * y[:, None] * w, X, eps)
    found = -y * (delta @ w)
    # 1e-9: the projection of a point 1e5 away is known to 1e-11
    np.testing.assert_allclose(found, np.broadcast_to(ball.drop(w, X, y, eps), 8), rtol=1e-9)


@every_ball
@every_eps
def test_dual_problem_bounds_the_drop_from_above_and_touches_it(ball, eps):
    """For price p >= 0 of the budget, max over the box of c.delta + p (budget left) >= the drop."""
    w, X, y = digits(7, 20, 30)
    low, high = reach(Ball("linf", ball.bounds), X, eps)
    c = -y[:, None] * w
    drop = np.broadcast_to(ball.drop(w, X, y, eps), 20)
    best = np.full(20, np.inf)
    for price in np.append(np.geomspace(1e-6, 1e3, 2000), np.append(np.abs(w), 0)):
        if ball.norm == "linf":
            ends = np.stack([low, high])
            bound = (c * ends).max(axis=0).sum(axis=1)
        elif ball.norm == "l1":
            ends = np.stack([low, high, np.zeros_like(low)])
            bound = price * eps + (c * ends - price * np.abs(ends)).max(axis=0).sum(axis=1)
        else:
            top = np.clip(c / max(price, 1e-300), low, high)
            bound = price * eps**2 / 2 + (c * top - price * top**2 / 2).sum(axis=1)
        best = np.minimum(best, bound)
    assert np.all(drop <= best * (1 + ROUNDING))
    # 3e-5: prices lie 1 % apart, and the l2 bound is quadratic about its lowest point
    np.testing.assert_allclose(drop, best, rtol=3e-5 if ball.norm == "l2" else ROUNDING)


@every_ball
@pytest.mark.parametrize("scale", [1e-100, 0.5, 1e6])
def test_drop_is_proportional_to_w_and_delta_does_not_depend_on_its_length(ball, scale):
    w, X, y = digits(8, 20, 30)
    drop, scaled = ball.drop(w, X, y, 0.3), ball.drop(scale * w, X, y, 0.3)
    np.testing.assert_allclose(scaled, scale * drop, rtol=ROUNDING)
    # a pixel at its turn to move takes what the others left of eps: absolute, not relative
    np.testing.assert_allclose(
        ball.delta(scale * w, X, y, 0.3), ball.delta(w, X, y, 0.3), atol=ROUNDING
    )


@every_ball
def test_flipping_labels_and_weights_together_changes_nothing(ball):
    w, X, y = digits(9, 20, 30)
    np.testing.assert_array_equal(ball.drop(-w, X, -y, 0.3), ball.drop(w, X, y, 0.3))
    np.testing.assert_array_equal(ball.delta(-w, X, -y, 0.3), ball.delta(w, X, y, 0.3))


@every_ball
def test_photographic_negative_mirrors_the_perturbation(ball):
    w, X, y = digits(10, 20, 30)
    np.testing.assert_allclose(
        ball.delta(-w, 1 - X, y, 0.3), -ball.delta(w, X, y, 0.3), atol=ROUNDING
    )


@every_ball
def test_order_of_pixels_and_samples_does_not_matter(ball):
    w, X, y = digits(11, 20, 30)
    rng = np.random.default_rng(11)
    pixels, rows = rng.permutation(30), rng.permutation(20)
    shuffled = ball.delta(w[pixels], X[rows][:, pixels], y[rows], 0.3)
    np.testing.assert_allclose(shuffled, ball.delta(w, X, y, 0.3)[rows][:, pixels], atol=ROUNDING)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_without_the_box_drop_is_eps_times_the_dual_norm(norm):
    """Hoelder's conjugate exponents, with NumPy's own norms."""
    w, X, y = digits(12, 3, 30)
    dual = np.linalg.norm(w, ord={"linf": 1, "l2": 2, "l1": np.inf}[norm])
    assert Ball(norm).dual_norm(w) == pytest.approx(dual, rel=ROUNDING)
    assert Ball(norm).drop(w, X, y, 0.3) == pytest.approx(0.3 * dual, rel=ROUNDING)
    v = Ball(norm).dual_vector(w)
    assert v @ w == pytest.approx(dual, rel=ROUNDING)
    assert norm_of(Ball(norm), v[None])[0] == pytest.approx(1, rel=ROUNDING)


@every_ball
def test_eps_zero_moves_nothing(ball):
    w, X, y = digits(13, 20, 30)
    assert np.all(ball.drop(w, X, y, 0.0) == 0)
    assert np.all(ball.delta(w, X, y, 0.0) == 0)


@boxed_ball
def test_large_eps_saturates_at_the_worst_corner_of_the_box(norm):
    ball = Ball(norm, (0.0, 1.0))
    w, X, y = digits(14, 20, 30)
    corner = (y[:, None] * w < 0).astype(float)
    for eps in (30.0, 1e6):
        np.testing.assert_array_equal(X + ball.delta(w, X, y, eps), corner)
        np.testing.assert_allclose(ball.drop(w, X, y, eps), y * ((X - corner) @ w), rtol=ROUNDING)


@boxed_ball
def test_box_makes_no_difference_to_pixels_far_from_its_sides(norm):
    w, X, y = digits(15, 20, 30)
    X = 0.3 + 0.4 * X
    free, boxed = Ball(norm), Ball(norm, (0.0, 1.0))
    np.testing.assert_allclose(boxed.delta(w, X, y, 0.25), free.delta(w, X, y, 0.25), atol=ROUNDING)


@boxed_ball
def test_box_never_helps_the_adversary_and_more_eps_always_does(norm):
    w, X, y = digits(16, 20, 30)
    free, boxed = Ball(norm), Ball(norm, (0.0, 1.0))
    eps = np.linspace(0, 3, 31)
    drops = np.array([boxed.drop(w, X, y, e) for e in eps])
    assert np.all(drops <= eps[:, None] * free.dual_norm(w) * (1 + ROUNDING))
    assert np.all(np.diff(drops, axis=0) >= -ROUNDING)
    assert np.all(np.diff(drops, n=2, axis=0) <= ROUNDING)


def test_smaller_balls_drop_less():
    """The l1 ball lies in the l2 ball of the same radius, and that in the l-inf ball."""
    w, X, y = digits(17, 20, 30)
    for suffix in ("", "-box"):
        linf, l2, l1 = (BALLS[norm + suffix].drop(w, X, y, 0.3) for norm in ("linf", "l2", "l1"))
        assert np.all(l1 <= l2)
        assert np.all(l2 <= linf)


@boxed_ball
def test_pixel_box_other_than_0_1_is_a_change_of_units(norm):
    w, X, y = digits(18, 20, 30)
    centred = Ball(norm, (-1.0, 1.0)).drop(w, 2 * X - 1, y, 2 * 0.3)
    np.testing.assert_allclose(centred, 2 * Ball(norm, (0.0, 1.0)).drop(w, X, y, 0.3), rtol=1e-13)


@every_ball
@every_eps
def test_gradient_of_the_drop_matches_finite_differences(ball, eps):
    w, X, y = digits(19, 8, 10)
    c = np.random.default_rng(19).uniform(-1, 1, 8)

    def kinks(w):
        delta = ball.delta(w, X, y, eps)
        return {"w": w, "moved": delta, "at a side": (X + delta) * (1 - X - delta)}

    report = check_gradient(
        lambda w: np.sum(c * ball.drop(w, X, y, eps)),
        lambda w: ball.drop_subgradient(w, X, y, eps, c),
        w,
        kinks,
        rtol=1e-9,
    )
    assert report.verdict == "pass", str(report)


@every_ball
@pytest.mark.parametrize(
    "w", [np.zeros(6), np.array([1.0, -1, 0, 1, 0, 0.5]), np.array([0, 0, -2.0, 0, 0, 0])]
)
def test_subgradient_of_the_drop_holds_at_zero_weights_and_ties(ball, w):
    _, X, y = digits(20, 8, 6)
    c = np.random.default_rng(20).random(8)
    report = check_subgradient(
        lambda w: np.sum(c * ball.drop(w, X, y, 0.3)),
        lambda w: ball.drop_subgradient(w, X, y, 0.3, c),
        w,
    )
    assert report.verdict == "pass", str(report)
