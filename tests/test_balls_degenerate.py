"""Balls where something is zero, tied, alone, tiny, of another type or out of range."""

import numpy as np
import pytest
from oracles import digits, norm_of

from numlin.balls import BALLS, LINF, Ball

# sums of up to 30 products, each rounded once, in another order: 30 units of 1e-16, rounded up
ROUNDING = 1e-14

every_ball = pytest.mark.parametrize("ball", BALLS.values(), ids=BALLS)
boxed_ball = pytest.mark.parametrize("norm", ["linf", "l2", "l1"])


@every_ball
def test_zero_weights_drop_nothing_and_move_nothing(ball):
    _, X, y = digits(27, 20, 30)
    assert np.all(ball.drop(np.zeros(30), X, y, 0.3) == 0)
    assert np.all(ball.delta(np.zeros(30), X, y, 0.3) == 0)
    assert np.all(ball.drop_subgradient(np.zeros(30), X, y, 0.3, np.ones(20)) == 0)


@every_ball
def test_pixels_without_weight_stay(ball):
    w, X, y = digits(28, 20, 30)
    w[::2] = 0
    assert np.all(ball.delta(w, X, y, 5.0)[:, ::2] == 0)


def test_l1_tie_goes_to_the_first_pixel_then_to_the_next_with_room():
    w, y = np.array([1.0, -2.0, 2.0, 0.0]), np.array([1.0, 1.0])
    X = np.array([[0.5, 0.75, 0.5, 0.5], [0.5, 1.0, 0.5, 0.5]])
    np.testing.assert_array_equal(Ball("l1").delta(w, X, y, 0.5), [[0, 0.5, 0, 0]] * 2)
    np.testing.assert_array_equal(
        Ball("l1", (0.0, 1.0)).delta(w, X, y, 0.5), [[0, 0.25, -0.25, 0], [0, 0, -0.5, 0]]
    )


@pytest.mark.parametrize(
    ("norm", "delta"),
    [("linf", [-0.25, 0.25, 0, 0]), ("l2", [-0.2, 0.15, 0, 0]), ("l1", [-0.25, 0, 0, 0])],
)
def test_hand_computed_perturbation_with_two_pixels_already_at_their_sides(norm, delta):
    """w = (4, -3, 5, -1): the pixels of weight 5 (black) and -1 (white) cannot move."""
    w, X, y = np.array([4.0, -3, 5, -1]), np.array([[0.5, 0.5, 0, 1]]), np.ones(1)
    found = Ball(norm, (0.0, 1.0)).delta(w, X, y, 0.25)
    np.testing.assert_allclose(found, [delta], atol=1e-16)


def test_hand_computed_perturbation_that_fills_one_pixel_of_the_l2_ball():
    """w = (4, 3), room (0.1, 1), eps = 0.5: the first stops at 0.1, the second at sqrt(0.24)."""
    w, X, y = np.array([4.0, 3.0]), np.array([[0.1, 1.0]]), np.ones(1)
    found = Ball("l2", (0.0, 1.0)).delta(w, X, y, 0.5)
    np.testing.assert_allclose(found, [[-0.1, -np.sqrt(0.24)]], rtol=1e-15)


@every_ball
def test_single_sample_is_like_the_same_sample_among_many(ball):
    w, X, y = digits(29, 20, 30)
    alone, margin = (w, X[7:8], y[7:8]), np.full(20, 0.1)
    np.testing.assert_allclose(
        ball.delta(*alone, 0.3), ball.delta(w, X, y, 0.3)[7:8], atol=ROUNDING
    )
    np.testing.assert_allclose(
        ball.radius(*alone, margin[:1]), ball.radius(w, X, y, margin)[7:8], rtol=1e-13
    )


@every_ball
def test_each_sample_may_have_its_own_eps(ball):
    w, X, y = digits(30, 6, 30)
    eps = np.array([0, 0.01, 0.1, 0.5, 2, 40])
    drop, delta = ball.drop(w, X, y, eps), ball.delta(w, X, y, eps)
    slope = ball.drop_subgradient(w, X, y, eps, np.ones(6))
    alone = [(X[i : i + 1], y[i : i + 1], eps[i]) for i in range(6)]
    for i, (x, label, e) in enumerate(alone):
        np.testing.assert_allclose(drop[i], np.ravel(ball.drop(w, x, label, e))[0], rtol=ROUNDING)
        np.testing.assert_allclose(delta[i], ball.delta(w, x, label, e)[0], atol=ROUNDING)
    parts = [ball.drop_subgradient(w, x, label, e, np.ones(1)) for x, label, e in alone]
    np.testing.assert_allclose(slope, np.sum(parts, axis=0), rtol=1e-13)


@every_ball
@pytest.mark.parametrize("label_type", [np.float32, np.int8, np.int64])
def test_float32_is_kept_and_agrees_with_float64(ball, label_type):
    w, X, y = digits(31, 20, 30)
    w, X, c = w.astype(np.float32), X.astype(np.float32), np.ones(20, np.float32)
    margin, labels = np.full(20, 0.5, np.float32), y.astype(label_type)
    single = [
        ball.drop(w, X, labels, 0.3),
        ball.delta(w, X, labels, 0.3),
        ball.drop_subgradient(w, X, labels, 0.3, c * labels.astype(np.float32)),
        ball.radius(w, X, labels, margin),
    ]
    w, X = w.astype(np.float64), X.astype(np.float64)
    double = [
        ball.drop(w, X, y, 0.3),
        ball.delta(w, X, y, 0.3),
        ball.drop_subgradient(w, X, y, 0.3, y),
        ball.radius(w, X, y, np.full(20, 0.5)),
    ]
    for one, other in zip(single[:2] + single[3:], double[:2] + double[3:], strict=True):
        assert one.dtype == np.float32
        # 1e-5: sums of 30 numbers of size 1, each rounded to 6e-8
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(single[2], double[2], rtol=1e-5, atol=1e-5)


@boxed_ball
def test_black_and_white_integer_pixels_are_pixels(norm):
    ball = Ball(norm, (0.0, 1.0))
    w, X, y = digits(32, 20, 30)
    X = np.round(X)
    for found, expected in (
        (ball.drop(w, X.astype(int), y, 0.3), ball.drop(w, X, y, 0.3)),
        (ball.delta(w, X.astype(np.uint8), y, 0.3), ball.delta(w, X, y, 0.3)),
        (ball.radius(w, X.astype(int), y, np.ones(20)), ball.radius(w, X, y, np.ones(20))),
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize(("tiny", "dtype"), [(1e-200, np.float64), (1e-30, np.float32)])
def test_weight_of_almost_nothing_does_not_buy_more_than_eps(norm, tiny, dtype):
    """Its square underflows, and what is left of eps must still be shared out by the rules."""
    ball = Ball(norm, (0.0, 1.0))
    w, X, y = np.array([1, tiny], dtype), np.ones((1, 2), dtype), np.ones(1, dtype)
    delta = ball.delta(w, X, y, 1.25)
    np.testing.assert_allclose(norm_of(ball, delta), min(1.25, 1) if norm == "linf" else 1.25)
    assert delta[0, 0] == -1


def test_image_outside_the_box_is_refused_by_boxed_balls_only():
    w, X, y = digits(34, 20, 30)
    X[3, 4] = 1.5
    for name, ball in BALLS.items():
        if name.endswith("-box"):
            with pytest.raises(ValueError, match=r"X: found values in \[0, 1\.5\], .*\[0, 1\]"):
                ball.drop(w, X, y, 0.3)
        else:
            ball.drop(w, X, y, 0.3)


def test_unknown_norm_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="norm: found 'l3', expected one of linf, l2, l1"):
        Ball("l3")


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (0.5, 0.5), (0.0, float("nan")), (0.0, 1.0, 2.0)])
def test_bounds_that_are_no_interval_are_refused(bounds):
    with pytest.raises(ValueError, match="bounds: found .*expected .*low < high"):
        Ball("linf", bounds)


def test_balls_are_found_by_name():
    assert list(BALLS) == ["linf", "l2", "l1", "linf-box", "l2-box", "l1-box"]
    assert BALLS["linf"] == LINF == Ball()
    for norm in ("linf", "l2", "l1"):
        assert BALLS[f"{norm}-box"] == Ball(norm, (0.0, 1.0))
