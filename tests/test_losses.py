"""Margin losses against hand-computed values, many-digit arithmetic and their own definitions."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from numlin.gradcheck import check_gradient
from numlin.losses import HINGE, LOGISTIC, LOSSES, SQUARED_HINGE

# margin, value, derivative; logistic: log(1 + exp(-m)) and -1 / (1 + exp(m)) to 20 digits
TABLE = [
    (HINGE, -1e4, 10001, -1),
    (HINGE, -1, 2, -1),
    (HINGE, 0, 1, -1),
    (HINGE, 0.5, 0.5, -1),
    (HINGE, 1, 0, 0),
    (HINGE, 1e4, 0, 0),
    (SQUARED_HINGE, -1e4, 100020001, -20002),
    (SQUARED_HINGE, -1, 4, -4),
    (SQUARED_HINGE, 0, 1, -2),
    (SQUARED_HINGE, 0.5, 0.25, -1),
    (SQUARED_HINGE, 1, 0, 0),
    (SQUARED_HINGE, 1e4, 0, 0),
    (LOGISTIC, -1e4, 10000, -1),
    (LOGISTIC, -40, 40.000000000000000004, -0.99999999999999999575),
    (LOGISTIC, -1, 1.3132616875182228340, -0.73105857863000487926),
    (LOGISTIC, 0, 0.69314718055994530942, -0.5),
    (LOGISTIC, 0.5, 0.47407698418010668087, -0.37754066879814543536),
    (LOGISTIC, 1, 0.31326168751822283405, -0.26894142136999512075),
    (LOGISTIC, 40, 4.2483542552915889863e-18, -4.2483542552915889772e-18),
    (LOGISTIC, 700, 9.8596765437597708567e-305, -9.8596765437597708567e-305),
    (LOGISTIC, 1e4, 0, 0),
]
# two roundings of exp and log1p, each within 1 unit in the last place, and one of their sum
ULPS = {np.float64: 4 * np.finfo(np.float64).eps, np.float32: 4 * np.finfo(np.float32).eps}

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
either_float = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def margins(dtype=np.float64):
    """From -1e4 to 1e4, dense around 0, with every kink and its neighbours."""
    far = np.geomspace(1e-3, 1e4, 200)
    near = [0, 0.5, 1, np.nextafter(dtype(1), dtype(0)), np.nextafter(dtype(1), dtype(2)), -1]
    return np.sort(np.concatenate([-far, far, near]).astype(dtype))


@pytest.mark.parametrize(("loss", "margin", "value", "derivative"), TABLE)
def test_table_of_hand_computed_values(loss, margin, value, derivative):
    margin = np.array([margin], dtype=np.float64)
    np.testing.assert_allclose(loss.value(margin), [value], rtol=ULPS[np.float64])
    np.testing.assert_allclose(loss.derivative(margin), [derivative], rtol=ULPS[np.float64])


def test_logistic_is_accurate_to_the_last_digits_from_minus_1e4_to_1e4():
    """340 digits hold 1 + exp(-m) down to exp(-m) = 1e-307, where float64 itself loses digits."""
    some = margins()[::5]
    with localcontext(prec=340):
        exact = [Decimal(float(m)) for m in some]
        values = [float((1 + (-m).exp()).ln()) for m in exact]
        slopes = [float(-1 / (1 + m.exp())) for m in exact]
    tolerance = {"rtol": ULPS[np.float64], "atol": 1e-307}
    np.testing.assert_allclose(LOGISTIC.value(some), values, **tolerance)
    np.testing.assert_allclose(LOGISTIC.derivative(some), slopes, **tolerance)


@either_float
def test_logistic_small_losses_keep_their_relative_accuracy(dtype):
    margin = np.array([20, 50, 80], dtype)
    np.testing.assert_allclose(LOGISTIC.value(margin), np.exp(-margin), rtol=1e-8 + ULPS[dtype])


@every_loss
def test_gradient_of_the_loss_matches_finite_differences_inside_every_piece(loss):
    """On [-5, 5], where no loss is so small that rounding hides its slope."""
    margin = np.random.default_rng(0).uniform(-5, 5, 40)
    report = check_gradient(
        lambda m: float(loss.value(m).sum()),
        loss.derivative,
        margin,
        lambda m: {"1 - margin": 1 - m},
        rtol=1e-9,
    )
    assert report.verdict == "pass", str(report)


@every_loss
def test_integral_of_the_derivative_is_the_value(loss):
    """The midpoint rule errs by 10 h^2 / 24 times the third derivative, < 1e-7 for h = 1e-3."""
    edges = np.linspace(-5, 5, 10001)
    midpoints = (edges[:-1] + edges[1:]) / 2
    rise = np.cumsum(loss.derivative(midpoints)) * 1e-3
    np.testing.assert_allclose(loss.value(edges[1:]) - loss.value(edges[:1]), rise, atol=1e-7)


@every_loss
@either_float
def test_value_and_derivative_are_finite_and_never_cross_zero(loss, dtype):
    assert np.all(np.isfinite(loss.value(margins(dtype))))
    assert np.all(loss.value(margins(dtype)) >= 0)
    assert np.all(np.isfinite(loss.derivative(margins(dtype))))
    assert np.all(loss.derivative(margins(dtype)) <= 0)


@every_loss
@either_float
def test_loss_decreases(loss, dtype):
    assert np.all(np.diff(loss.value(margins(dtype))) <= 0)


@every_loss
@either_float
def test_loss_is_convex_as_its_derivative_increases(loss, dtype):
    # the logistic's slope is rounded twice, which may undo a rise of the last bit
    assert np.all(np.diff(loss.derivative(margins(dtype))) >= -np.finfo(dtype).eps)


@every_loss
def test_loss_lies_below_its_chords(loss):
    rng = np.random.default_rng(0)
    left, right, t = rng.normal(scale=10, size=(2, 1000)), rng.normal(size=(2, 1000)), rng.random()
    chord = (1 - t) * loss.value(left) + t * loss.value(right)
    assert np.all(loss.value((1 - t) * left + t * right) <= chord * (1 + 1e-14) + 1e-14)


@every_loss
@either_float
def test_floating_type_and_shape_are_kept(loss, dtype):
    margin = np.zeros((3, 2), dtype)
    for function in (loss.value, loss.derivative):
        assert function(margin).dtype == dtype
        assert function(margin).shape == (3, 2)


@every_loss
def test_float32_agrees_with_float64(loss):
    margin = margins(np.float32)
    for function in (loss.value, loss.derivative):
        # 1e-37: the smallest float32 that keeps its digits; 1e-7 relative is half a unit of them
        np.testing.assert_allclose(
            function(margin), function(margin.astype(np.float64)), rtol=4e-7, atol=1e-37
        )


@every_loss
def test_plain_number_is_a_margin_too(loss):
    assert loss.value(0.5) == loss.value(np.array([0.5]))[0]
    assert loss.derivative(0.5) == loss.derivative(np.array([0.5]))[0]


@every_loss
def test_nan_margin_gives_no_number_for_a_loss(loss):
    assert np.isnan(loss.value(np.array([np.nan])))


def test_hinge_is_inactive_exactly_at_its_kink():
    at, below = np.array([1.0]), np.array([np.nextafter(1, 0)])
    assert HINGE.derivative(at) == 0
    assert HINGE.derivative(below) == -1
    assert SQUARED_HINGE.derivative(at) == 0
    assert SQUARED_HINGE.derivative(below) < 0


def test_only_the_hinge_has_a_derivative_that_jumps():
    """Over a step of 2e-9 a continuous derivative moves by 4e-9 at most, a jump by 1."""
    margin = np.linspace(-3, 3, 25)
    for loss in LOSSES.values():
        jump = loss.derivative(margin + 1e-9) - loss.derivative(margin - 1e-9)
        assert margin[jump > 1e-6].tolist() == ([1.0] if loss.name == "hinge" else [])


@every_loss
def test_the_first_or_second_derivative_jumps_exactly_at_the_declared_kinks(loss):
    """Over a step of 2e-3 the logistic's second derivative moves by 2e-4, a bend's by 1."""
    margin = np.linspace(-3, 3, 25)
    second = (loss.derivative(margin + 1e-3) - loss.derivative(margin)) / 1e-3
    second -= (loss.derivative(margin) - loss.derivative(margin - 1e-3)) / 1e-3
    assert tuple(margin[np.abs(second) > 1e-2]) == loss.kinks


@every_loss
def test_a_flat_loss_costs_nothing_from_a_margin_of_one_on_and_others_do(loss):
    margin = np.array([1.0, 1.5, 30.0])
    assert loss.flat == (not loss.value(margin).any()) == (not loss.derivative(margin).any())


def test_losses_are_found_by_name():
    assert list(LOSSES) == ["hinge", "squared-hinge", "logistic"]
    assert all(loss.name == name for name, loss in LOSSES.items())
