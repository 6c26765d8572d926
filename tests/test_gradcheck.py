"""The gradient checker is checked: right gradients pass, planted mistakes fail, kinks are named."""

import doctest
import math

import numpy as np
import pytest

import numlin.gradcheck
from numlin.gradcheck import (
    assert_gradient,
    check_gradient,
    check_hessian,
    check_hvp,
    check_jacobian,
    check_jvp,
    check_subgradient,
    check_vjp,
    taylor_order,
)

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (12, 6)) / 255
Y = RNG.choice([-1.0, 1.0], 12)
EPS = 0.1
W = RNG.normal(size=6)


def robust_hinge(w):
    """mean max(0, 1 - y x.w + eps ||w||_1), written out here."""
    return np.maximum(0, 1 - Y * (X @ w) + EPS * np.abs(w).sum()).mean()


def robust_hinge_terms(w):
    """The two terms of its gradient: the data's and the one of eps ||w||_1."""
    active = 1 - Y * (X @ w) + EPS * np.abs(w).sum() > 0
    return -(active * Y) @ X / 12, EPS * np.sign(w) * active.mean()


def robust_hinge_gradient(w):
    return sum(robust_hinge_terms(w))


def robust_hinge_kinks(w):
    return {"1 - margin": 1 - Y * (X @ w) + EPS * np.abs(w).sum(), "w": w}


B = RNG.normal(size=(3, 3))
C = RNG.normal(size=(3, 3))


def curved(A):
    """log cosh of every entry of A B - C, summed: smooth, and its argument is a matrix."""
    return np.log(np.cosh(A @ B - C)).sum()


def curved_gradient(A):
    return np.tanh(A @ B - C) @ B.T


A = RNG.normal(size=(3, 3))


def scaled_at(gradient, place, factor):
    """The same gradient with one coordinate multiplied by factor."""

    def wrong(x):
        g = gradient(x).copy()
        g.flat[place] *= factor
        return g

    return wrong


MISTAKES_IN_ROBUST_HINGE = {
    "1 percent too large": lambda w: 1.01 * robust_hinge_gradient(w),
    "1 percent too small in one coordinate": scaled_at(robust_hinge_gradient, 4, 0.99),
    "a millionth too large": lambda w: (1 + 1e-6) * robust_hinge_gradient(w),
    "sign": lambda w: -robust_hinge_gradient(w),
    "sign of one coordinate": scaled_at(robust_hinge_gradient, 2, -1),
    "eps ||w||_1 dropped": lambda w: robust_hinge_terms(w)[0],
    "eps ||w||_1 subtracted": lambda w: robust_hinge_terms(w)[0] - robust_hinge_terms(w)[1],
    "eps ||w||_1 of all samples, active or not": lambda w: (
        robust_hinge_terms(w)[0] + EPS * np.sign(w)
    ),
    "data term dropped": lambda w: robust_hinge_terms(w)[1],
    "sum instead of mean": lambda w: 12 * robust_hinge_gradient(w),
    "zero": np.zeros_like,
    "zero in one coordinate": scaled_at(robust_hinge_gradient, 0, 0),
}
MISTAKES_IN_CURVED = {
    "1 percent too large": lambda a: 1.01 * curved_gradient(a),
    "sign": lambda a: -curved_gradient(a),
    "transposed": lambda a: curved_gradient(a).T,
    "a factor transposed": lambda a: np.tanh(a @ B - C) @ B,
    "inner derivative dropped": lambda a: np.tanh(a @ B - C),
    "zero": np.zeros_like,
    "zero in one coordinate": scaled_at(curved_gradient, 5, 0),
}


def test_right_gradient_of_a_function_with_kinks_passes_to_nine_digits():
    report = check_gradient(robust_hinge, robust_hinge_gradient, W, robust_hinge_kinks, rtol=1e-9)
    assert report.verdict == "pass"
    assert report.worst.error < 1e-9
    assert len(report.probes) == 6 + 5


def test_right_gradient_of_a_smooth_function_of_a_matrix_passes_to_nine_digits():
    assert check_gradient(curved, curved_gradient, A, rtol=1e-9).verdict == "pass"


@pytest.mark.parametrize("mistake", MISTAKES_IN_ROBUST_HINGE)
def test_wrong_gradient_of_the_robust_hinge_fails(mistake):
    wrong = MISTAKES_IN_ROBUST_HINGE[mistake]
    assert check_gradient(robust_hinge, wrong, W, robust_hinge_kinks).verdict == "fail"


@pytest.mark.parametrize("mistake", MISTAKES_IN_CURVED)
def test_wrong_gradient_of_a_smooth_function_fails(mistake):
    assert check_gradient(curved, MISTAKES_IN_CURVED[mistake], A).verdict == "fail"


@pytest.mark.parametrize("factor", [0.99, -1, 0])
def test_random_directions_alone_see_one_wrong_coordinate(factor):
    wrong = scaled_at(robust_hinge_gradient, 3, factor)
    blind, seeing = (
        check_gradient(
            robust_hinge, wrong, W, robust_hinge_kinks, coordinates=places, directions=count
        )
        for places, count in (([0], 0), ([], 5))
    )
    assert (blind.verdict, seeing.verdict) == ("pass", "fail")


def test_no_step_leaves_the_cell_of_declared_kinks():
    w = np.array([0.01, -0.5])
    asked = []

    def f(w):
        asked.append(w)
        return np.abs(w).sum()

    right = check_gradient(f, np.sign, w, lambda w: {"w": w}, coordinates=[0, 1], directions=0)
    assert right.verdict == "pass"
    wrong = check_gradient(f, np.ones_like, w, lambda w: {"w": w}, directions=0)
    assert [probe.verdict for probe in wrong.probes] == ["pass", "fail"]
    assert 0.125 / 64 < wrong.probes[1].h < 0.5


def test_only_the_kinks_that_the_probe_moves_matter():
    """At w_1 = 0 the probe along w_0 still decides; the one along w_1 cannot."""
    w = np.array([0.5, 0.0])
    report = check_gradient(lambda w: np.abs(w).sum(), np.sign, w, lambda w: {"w": w}, directions=0)
    assert [probe.verdict for probe in report.probes] == ["pass", "inconclusive"]
    assert report.probes[1].kinks == ("w[1]",)
    assert report.verdict == "inconclusive"


def test_kink_whose_quantity_only_touches_zero_is_seen():
    """|w| with its kink declared as w^2 = 0, which has one sign on both sides."""
    report = check_gradient(lambda w: abs(w[0]), np.zeros_like, np.zeros(1), lambda w: {"w": w * w})
    assert report.verdict == "inconclusive"


def test_failure_outweighs_a_kink_elsewhere():
    w = np.array([0.5, 0.0])
    report = check_gradient(
        lambda w: np.abs(w).sum(), lambda w: 2 * np.sign(w), w, lambda w: {"w": w}, directions=0
    )
    assert [probe.verdict for probe in report.probes] == ["fail", "inconclusive"]
    assert report.verdict == "fail"


@pytest.mark.parametrize("slope", [0, 1, 0.5, -1])
def test_declared_kink_at_x_is_inconclusive_whatever_the_claim(slope):
    """Not even the average of both slopes, 0, passes."""
    report = check_gradient(
        lambda w: np.abs(w).sum(), lambda w: np.full(1, slope), np.zeros(1), lambda w: {"w": w}
    )
    assert report.verdict == "inconclusive"


@pytest.mark.parametrize("kinks", [None, lambda w: {"w": w}])
@pytest.mark.parametrize("distance", [1e-12, 1e-10, 1e-3])
def test_kink_near_x_declared_or_not_is_passed_by_shorter_steps(distance, kinks):
    for slope, verdict in ((1, "pass"), (0, "fail"), (0.5, "fail"), (-1, "fail")):
        report = check_gradient(
            lambda w: np.abs(w).sum(), lambda w, s=slope: np.full(1, s), np.array([distance]), kinks
        )
        assert report.verdict == verdict, str(report)


@pytest.mark.parametrize(
    "slope, verdict", [(0, "inconclusive"), (0.5, "inconclusive"), (1, "inconclusive"), (2, "fail")]
)
def test_undeclared_kink_at_x_is_found_and_named_with_both_slopes(slope, verdict):
    report = check_gradient(
        lambda x: max(0.0, x[0]), lambda x: np.full(1, slope), np.zeros(1), directions=0
    )
    assert report.verdict == verdict
    assert "kink at x + 0 d: slope 0 on one side, 1 on the other" in str(report)


def test_undeclared_kink_nearby_is_left_behind_as_the_step_shrinks():
    assert check_gradient(lambda x: np.abs(x).sum(), np.sign, np.array([0.01])).verdict == "pass"


def test_function_that_waves_on_a_fine_scale_has_the_slope_of_the_fine_scale():
    def rough(x):
        return x.sum() + 1e-6 * np.sin(1e9 * x).sum()

    def gradient(x):
        return 1 + 1e3 * np.cos(1e9 * x)

    assert check_gradient(rough, gradient, W).verdict == "inconclusive", "1e9 x is not known better"
    assert check_gradient(rough, gradient, W, rtol=1e-4, directions=0).verdict == "pass"
    assert check_gradient(rough, np.ones_like, W).verdict == "fail"
    assert check_gradient(rough, np.zeros_like, W).verdict == "fail"


def test_function_that_does_not_settle_is_inconclusive_even_where_the_claim_agrees():
    def rough(x):
        return float(x[0] + 1e-6 * np.sin(1e9 * x[0]))

    found = check_gradient(rough, np.ones_like, W[:1], directions=0).worst.numeric
    report = check_gradient(rough, lambda x: np.array([found]), W[:1], directions=0)
    assert report.worst.error == 0
    assert report.verdict == "inconclusive"


def test_function_that_is_not_finite_is_inconclusive():
    assert check_gradient(lambda x: float("nan"), np.zeros_like, W).verdict == "inconclusive"


def test_rounding_of_a_large_function_leaves_no_doubt_but_where_it_hides_the_slope():
    """1e6 + sum x^2 has lost six digits of its slope, which is still far from nothing."""

    def large(x):
        return 1e6 + np.sum(x * x)

    assert check_gradient(large, lambda x: 2 * x, W).verdict == "pass"
    found = check_gradient(large, lambda x: 2 * x, W, rtol=1e-12)
    assert found.verdict == "inconclusive"
    assert "f is only known to about 1e-10" in str(found)
    assert check_gradient(large, np.zeros_like, W, rtol=1e-9).verdict == "fail"
    assert check_gradient(large, lambda x: 2.02 * x, W, rtol=1e-9).verdict == "fail"


def test_small_slope_of_a_large_function_is_no_noise():
    """D is known to eps_machine 1e6 / h = 2e-9, far below the slope 1e-5."""

    def large(x):
        return 1e6 + 1e-5 * x.sum()

    assert check_gradient(large, np.zeros_like, W).verdict == "fail"


def test_rounding_of_a_large_argument_is_excused_but_a_zero_gradient_is_not():
    """Beside 1e9 a step of 0.1 is known to 1e-7."""
    x = np.array([1e9 + 0.3])
    assert check_gradient(lambda v: v[0] - x[0], np.ones_like, x, rtol=1e-9).verdict == "pass"
    assert check_gradient(lambda v: v[0] - x[0], np.zeros_like, x, rtol=1e-9).verdict == "fail"


def test_zero_gradient_passes_where_the_function_is_flat():
    assert check_gradient(lambda x: 3.0, np.zeros_like, W, rtol=1e-9).verdict == "pass"
    assert check_gradient(lambda x: 0.0, np.zeros_like, W, rtol=1e-9).verdict == "pass"


def test_failure_message_has_place_both_numbers_step_and_kinks():
    wrong = scaled_at(scaled_at(robust_hinge_gradient, 3, 2), 1, 1.01)
    message = str(check_gradient(robust_hinge, wrong, W, robust_hinge_kinks, directions=0))
    right = robust_hinge_gradient(W)[3]
    assert message.startswith("fail: 2 of 6 probes, relative error allowed 1e-07; worst at x[3]:")
    assert f"claimed slope {2 * right:.12g}, finite difference {right:.12g} +- " in message
    assert "relative error 5.0e-01" in message
    assert "step h = 0.125" in message


def test_inconclusive_message_names_the_kinks_crossed():
    X_kink = np.array([[1.0, 0.5], [0.25, 0.5], [1.0, 0.5]])  # margins 1, 0.25 and 1 at w = (1, 0)

    def kinks(w):
        return {"1 - margin": 1 - X_kink @ w, "w": w, "bias": w[1]}

    def f(w):
        return np.maximum(0, 1 - X_kink @ w).sum() + np.abs(w).sum()

    report = check_gradient(f, np.zeros_like, np.array([1.0, 0.0]), kinks, directions=0)
    along_0, along_1 = report.probes
    assert along_0.kinks == ("1 - margin[0]", "1 - margin[2]")
    assert along_1.kinks == ("1 - margin[0]", "1 - margin[2]", "w[1]", "bias")
    assert str(report).startswith("inconclusive: 2 of 2 probes")
    assert str(along_0).endswith("kinks crossed: 1 - margin[0], 1 - margin[2]")


def test_long_list_of_kinks_is_cut_in_the_message():
    report = check_gradient(
        lambda w: np.abs(w).sum(), np.sign, np.zeros(9), lambda w: {"w": w}, coordinates=[]
    )
    assert "w[0], w[1], w[2], w[3] and 5 more" in str(report)


def test_entries_of_a_matrix_are_named_by_row_and_column():
    report = check_gradient(curved, scaled_at(curved_gradient, 5, 2), A, directions=0)
    assert report.worst.name == "x[1, 2]"


def test_assert_gradient_is_silent_on_pass_and_raises_the_report_otherwise():
    assert assert_gradient(robust_hinge, robust_hinge_gradient, W, robust_hinge_kinks) is None
    with pytest.raises(AssertionError, match=r"^fail: .* worst at x\[\d\]: claimed slope"):
        assert_gradient(robust_hinge, np.zeros_like, W, robust_hinge_kinks, directions=0)
    with pytest.raises(AssertionError, match=r"^inconclusive: .* kinks crossed: w\[2\]$"):
        w = np.where(np.arange(6) == 2, 0, W)
        assert_gradient(robust_hinge, robust_hinge_gradient, w, robust_hinge_kinks, directions=0)


def test_right_gradient_costs_six_values_a_probe_after_one_look_around():
    calls = []

    def cubic(x):
        calls.append(x)
        return float(x[0] ** 3)

    check_gradient(cubic, lambda x: 3 * x**2, W[:1], directions=1)
    once = len(calls)
    check_gradient(cubic, lambda x: 3 * x**2, W[:1], directions=11)
    assert len(calls) - 2 * once == 10 * 6


def test_directions_have_length_1():
    """In one dimension they are 1 or -1."""
    report = check_gradient(lambda x: 2 * x[0], lambda x: np.full(1, 2.0), W[:1])
    assert {abs(probe.analytic) for probe in report.probes} == {2.0}


def test_directions_are_the_same_each_time_unless_a_generator_is_given():
    first, second = (check_gradient(curved, curved_gradient, A, coordinates=[]) for _ in range(2))
    other = check_gradient(curved, curved_gradient, A, coordinates=[], rng=np.random.default_rng(5))
    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (lambda w: np.zeros((6, 1)), r"gradient: found shape \(6, 1\), expected .* \(6,\)"),
        (lambda w: np.where(np.arange(6) == 4, np.nan, 0), r"gradient: found NaN .* at x\[4\]"),
    ],
)
def test_gradient_that_is_no_finite_array_of_the_right_shape_is_refused(gradient, message):
    with pytest.raises(ValueError, match=message):
        check_gradient(robust_hinge, gradient, W)


def test_check_without_probes_is_refused():
    with pytest.raises(ValueError, match="expected at least one"):
        check_gradient(curved, curved_gradient, A, coordinates=[], directions=0)


@pytest.mark.parametrize("slope", [-1, -0.3, 0, 1])
def test_every_slope_between_the_two_at_a_kink_is_a_subgradient(slope):
    report = check_subgradient(np.linalg.norm, lambda x: np.full(1, slope), np.zeros(1))
    assert report.verdict == "pass"


@pytest.mark.parametrize("slope", [-1.01, 1 + 1e-6, 2])
def test_slope_outside_the_two_at_a_kink_is_no_subgradient(slope):
    report = check_subgradient(np.linalg.norm, lambda x: np.full(1, slope), np.zeros(1))
    assert report.verdict == "fail"


def test_one_sided_derivatives_are_reported_at_a_kink():
    """max(0, x) - x / 4 has slopes 3/4 to the right of 0 and -1/4 to the left."""
    report = check_subgradient(
        lambda x: max(0.0, x[0]) - x[0] / 4, np.zeros_like, np.zeros(1), directions=0
    )
    right, left = (
        min((p for p in report.probes if p.name == name), key=lambda p: p.h)
        for name in ("+1 * x[0]", "-1 * x[0]")
    )
    assert (right.numeric, left.numeric) == (0.75, 0.25)
    assert right.h == left.h == 2.0**-20
    assert report.verdict == "pass"


@pytest.mark.parametrize("mistake", MISTAKES_IN_ROBUST_HINGE)
def test_wrong_subgradient_of_the_robust_hinge_fails(mistake):
    """Away from its kinks a convex function has one subgradient, its gradient."""
    assert check_subgradient(robust_hinge, robust_hinge_gradient, W).verdict == "pass"
    assert check_subgradient(robust_hinge, MISTAKES_IN_ROBUST_HINGE[mistake], W).verdict == "fail"


def test_right_gradient_of_a_concave_function_violates_the_subgradient_inequality():
    assert check_subgradient(lambda x: -(x @ x), lambda x: -2 * x, W).verdict == "fail"


def test_taylor_remainder_of_a_right_gradient_is_of_second_order():
    # 0.02: the third-order term at the steps used, at most 1e-3 of the second-order one, doubled
    # for safety and turned into an order, is below a hundredth
    assert taylor_order(curved, curved_gradient, A) == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("mistake", MISTAKES_IN_CURVED)
def test_taylor_remainder_of_a_wrong_gradient_is_of_first_order(mistake):
    assert taylor_order(curved, MISTAKES_IN_CURVED[mistake], A) == pytest.approx(1, abs=0.02)


def test_taylor_remainder_of_an_affine_function_is_nothing_but_rounding():
    assert taylor_order(lambda x: x @ W + 3, lambda x: W, W) == np.inf
    assert taylor_order(lambda x: x @ W + 3, lambda x: 1.01 * W, W) == pytest.approx(1, abs=0.02)


def test_noise_never_passes_a_gradient_of_zero_where_the_slope_is_resolved():
    def f(x):
        return 1e9 + 1.5e-5 * np.sum(x)

    report = check_gradient(f, np.zeros_like, np.ones(3), rtol=1e-7)
    assert report.verdict == "inconclusive"
    constant = check_gradient(lambda x: 1e9, np.zeros_like, np.ones(3))
    assert constant.verdict == "pass"


def test_nothing_to_probe_is_refused():
    with pytest.raises(ValueError, match="found none"):
        check_gradient(np.sum, np.ones_like, np.zeros(0))


def test_examples_of_the_package_are_true():
    assert doctest.testmod(numlin.gradcheck).failed == 0


def square(x):
    return (x**2).sum()


def test_steps_grow_with_x_so_that_a_factor_of_100_is_seen_at_1e17():
    x = [1e17, 0.7e17]
    assert check_gradient(square, lambda x: 2 * x, x).verdict == "pass"
    report = check_gradient(square, lambda x: 200 * x, x)
    assert report.verdict == "fail" and report.likely == "a factor of 100"
    assert taylor_order(square, lambda x: 200 * x, x) == pytest.approx(1, abs=0.02)
    assert check_subgradient(square, lambda x: 200 * x, x).verdict == "fail"


def test_zero_does_not_pass_where_the_rounding_of_f_hides_a_slope():
    report = check_gradient(lambda x: 1e17 + x.sum(), np.zeros_like, W)
    assert report.verdict == "inconclusive"
    assert "lost digits" in report.worst.reason


@pytest.mark.parametrize("k", [100, 173.2, 300, 1e5])
def test_waves_narrower_than_the_widest_step(k):
    for x in np.random.default_rng(1).normal(size=(25, 1)):
        report = check_gradient(lambda x: np.sin(k * x[0]), lambda x: k * np.cos(k * x), x)
        assert report.verdict == "pass", str(report)


@pytest.mark.parametrize(
    "f, gradient, x",
    [
        (lambda x: math.log(x[0]), lambda x: 1 / x, [0.05]),
        (lambda x: np.log(x).sum(), lambda x: 1 / x, [1e-12]),
        (lambda x: np.sqrt(x).sum(), lambda x: 0.5 / np.sqrt(x), [1e-3]),
        (lambda x: math.acos(x[0]), lambda x: -1 / np.sqrt(1 - x**2), [0.999]),
    ],
)
def test_steps_that_leave_the_domain_shrink_quietly(f, gradient, x):
    assert check_gradient(f, gradient, x).verdict == "pass"
    for wrong in (lambda x: 1.01 * gradient(x), np.zeros_like, lambda x: -gradient(x)):
        assert check_gradient(f, wrong, x).verdict == "fail"


def test_beside_the_domain_on_both_sides_there_is_no_verdict():
    report = check_gradient(lambda x: np.sqrt(-abs(x[0])) + 0.0, np.ones_like, [0.0], directions=0)
    assert report.verdict == "inconclusive" and "domain" in report.worst.reason


@pytest.mark.parametrize("wrap", [np.atleast_1d, np.array, np.float32, float, lambda v: [[v]]])
def test_f_may_return_any_single_number(wrap):
    report = check_gradient(lambda x: wrap(x[0] * 0.5), lambda x: np.array([0.5]), [2.0], rtol=1e-4)
    assert report.verdict == "pass", str(report)
    assert "claimed slope" in str(report)


@pytest.mark.parametrize("f", [square, np.linalg.norm])
def test_what_is_no_real_number_is_refused_by_name(f):
    for x, message in (
        ([1 + 1j], "x: found complex128"),
        ([np.nan], r"x\[0\]: found NaN"),
        (["a"], "x: found <U1"),
        (None, "x: found None"),
    ):
        with pytest.raises(ValueError, match=message):
            check_gradient(f, np.ones_like, x)
    with pytest.raises(ValueError, match="gradient: found complex128"):
        check_gradient(f, lambda x: x + 1j, W)
    with pytest.raises(ValueError, match=r"f: found shape \(6,\), expected one number"):
        check_gradient(np.sin, np.cos, W)
    with pytest.raises(ValueError, match="f: found None"):
        check_gradient(lambda x: None, np.cos, W)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rtol": 0}, "rtol: found 0, expected a finite number > 0"),
        ({"rtol": -1e-7}, "rtol: found"),
        ({"h": -0.1}, "h: found -0.1"),
        ({"h": np.inf}, "h: found inf"),
        ({"directions": -1}, "directions: found -1"),
        ({"directions": 2.5}, "directions: found 2.5"),
        ({"coordinates": [6]}, "coordinates: found 6, expected integers from 0 to 5"),
        ({"coordinates": [-1]}, "coordinates: found -1"),
        ({"coordinates": [0.5]}, "coordinates: found 0.5"),
    ],
)
def test_options_that_mean_nothing_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        check_gradient(square, lambda x: 2 * x, W, **options)


def test_lost_digits_are_measured_and_named():
    def lost(x):
        return np.sum((x + 1e8) - 1e8)

    for gradient, verdict in ((np.ones_like, "inconclusive"), (lambda x: 0 * x + 2, "fail")):
        report = check_gradient(lost, gradient, W)
        assert report.verdict == verdict
        assert "loses digits" in str(report) or "f is only known to about" in str(report)
    assert check_gradient(lost, np.ones_like, W, rtol=1e-4).verdict == "pass"
    assert check_gradient(lost, lambda x: 0 * x + 1.01, W, rtol=1e-4).verdict == "fail"


def test_taylor_order_of_what_is_not_finite_is_not_a_number():
    for bad in (np.nan, np.inf):
        assert np.isnan(taylor_order(lambda x, bad=bad: bad, np.ones_like, W))
    assert np.isnan(taylor_order(lambda x: 1 if (x == W).all() else np.nan, np.ones_like, W))


def doubled_in_place(x):
    x *= 2
    return x


def test_every_call_has_its_own_x_and_changes_of_it_are_noted():
    x = W.copy()
    report = check_gradient(square, doubled_in_place, x)
    assert report.verdict == "pass" and (x == W).all()
    assert report.notes == ("gradient changes its argument x in place",)

    def changing(x):
        x -= 1
        return x @ x

    for found in (
        check_gradient(changing, lambda x: 2 * (x - 1), x),
        check_subgradient(changing, lambda x: 2 * (x - 1), x),
    ):
        assert found.verdict == "pass" and "note: f changes its argument x" in str(found)
    assert taylor_order(changing, lambda x: 2 * (x - 1), x) == pytest.approx(2, abs=0.02)
    assert (x == W).all()


def test_what_answers_differently_when_asked_again_is_no_function():
    rng = np.random.default_rng(0)
    drop = check_gradient(lambda x: x @ (x * (rng.random(6) < 0.5)), lambda x: 2 * x, W)
    assert drop.verdict == "inconclusive" and "f is not a function" in str(drop)
    calls = []

    def drifting(x):
        calls.append(1)
        return square(x) + 1e-3 * (len(calls) > 100)

    assert "f is not a function" in str(check_gradient(drifting, lambda x: 2 * x, W))
    noisy = check_gradient(square, lambda x: 2 * x + 1e-3 * rng.normal(size=6), W)
    assert noisy.verdict == "inconclusive" and "gradient is not a function" in str(noisy)


def layer(W, b):
    return np.tanh(W @ np.ones(2) + b).sum()


def layer_gradient(W, b):
    slope = 1 - np.tanh(W @ np.ones(2) + b) ** 2
    return np.outer(slope, np.ones(2)), slope.sum()


def test_several_arguments_are_checked_in_one_call_and_entries_named_after_them():
    x = A[:, :2], 0.3
    report = check_gradient(layer, layer_gradient, x)
    assert report.verdict == "pass"
    assert [p.name for p in report.probes[4:8]] == ["W[2, 0]", "W[2, 1]", "b", "direction 0"]
    wrong = check_gradient(layer, lambda W, b: (layer_gradient(W, b)[0], 3.0), x)
    assert wrong.worst.name == "b" and wrong.likely.startswith(("in b", "one entry only, b"))
    with pytest.raises(ValueError, match=r"gradient in W: found shape \(2, 3\)"):
        check_gradient(layer, lambda W, b: (layer_gradient(W, b)[0].T, 3.0), x)
    with pytest.raises(ValueError, match="gradient: found 1 arrays, expected one for each of W, b"):
        check_gradient(layer, lambda W, b: layer_gradient(W, b)[0], x)


LIKELY = {
    "the sign": lambda a: -curved_gradient(a),
    "a factor of 2": lambda a: 2 * curved_gradient(a),
    "a factor of 1/9": lambda a: curved_gradient(a) / 9,
    "transposed": lambda a: curved_gradient(a).T,
    "the claimed gradient is zero": np.zeros_like,
    "one entry only, x[1, 2]: zero": scaled_at(curved_gradient, 5, 0),
    "the right entries in the wrong places": lambda a: np.roll(curved_gradient(a), 1),
    "it lacks a multiple of sign(x)": lambda a: curved_gradient(a) - 0.1 * np.sign(a),
    "it lacks a multiple of x": lambda a: curved_gradient(a) - 0.1 * a,
}


@pytest.mark.parametrize("reason", LIKELY)
def test_the_likely_reason_is_recognised(reason):
    report = check_gradient(curved, LIKELY[reason], A)
    assert report.verdict == "fail" and report.likely.startswith(reason)
    assert f"likely: {reason}" in str(report)


def values(x):
    return np.tanh(A @ x)


def jacobian(x):
    return (1 - np.tanh(A @ x) ** 2)[:, None] * A


V = np.array([0.3, -0.2, 0.5])


def test_jacobian_its_products_and_hessian_products():
    assert check_jacobian(values, jacobian, V).verdict == "pass"
    wrong = check_jacobian(values, lambda x: scaled_at(jacobian, 5, 1.001)(x), V)
    assert wrong.verdict == "fail" and wrong.worst.name == "f[1] along x[2]"
    assert check_jacobian(values, lambda x: jacobian(x).T, V).verdict == "fail"
    assert check_jvp(values, lambda x, v: jacobian(x) @ v, V).verdict == "pass"
    assert check_jvp(values, lambda x, v: jacobian(x).T @ v, V).verdict == "fail"
    assert check_vjp(values, lambda x, u: jacobian(x).T @ u, V).verdict == "pass"
    assert check_vjp(values, lambda x, u: jacobian(x) @ u, V).verdict == "fail"

    def gradient(x):
        return 4 * x * (x @ x)

    def hessian(x):
        return 4 * (x @ x) * np.eye(3) + 8 * np.outer(x, x)

    assert check_hessian(gradient, hessian, V).verdict == "pass"
    assert check_hessian(gradient, lambda x: 8 * np.outer(x, x), V).verdict == "fail"
    assert check_hvp(gradient, lambda x, v: hessian(x) @ v, V).verdict == "pass"
    assert check_hvp(gradient, lambda x, v: 8 * x * (x @ v), V).verdict == "fail"
    for call in (
        lambda: check_jacobian(values, lambda x: jacobian(x)[:2], V),
        lambda: check_jvp(values, lambda x, v: x[:2], V),
        lambda: check_vjp(values, lambda x, u: x[:2], V),
        lambda: check_hvp(gradient, lambda x, v: x[:2], V),
    ):
        with pytest.raises(ValueError, match=r"found shape \(2"):
            call()


def bananas(x):
    """Rosenbrock's function, least at (1, 1)."""
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize("f, x", [(lambda x: np.sum((x - 0.3) ** 2), [0.3] * 3), (bananas, [1, 1])])
def test_a_minimiser_passes_only_zero_and_nothing_false_is_said_of_f(f, x):
    report = check_gradient(f, np.zeros_like, x)
    assert report.verdict == "pass", str(report)
    assert "passed as zero within the rounding of f, at most 1e-09 of the steepest rise" in str(
        report
    )
    for claim in (1e-9, -1e-12):
        wrong = check_gradient(f, lambda x, c=claim: np.full_like(x, c), x)
        assert wrong.verdict == "fail", str(wrong)
        assert not any(word in str(wrong) for word in ("kink", "jump", "remove"))


def test_zero_does_not_pass_where_a_steeper_entry_is_all_that_hides_the_slope():
    """1e-20 x_1 changes no bit of x_0^2 before x_1 is large, 3e-5 x_1 none of 5e9."""
    for f, x in (
        (lambda x: x[0] ** 2 + 1e-20 * x[1], [0.5, 0.5]),
        (lambda x: 0.5e10 * (x[0] - 1) ** 2 + 3e-5 * x[1], [2.0, 0.5]),
        (lambda x: x[0] + np.hypot(x[1], 1e-15), [1.0, 1e-15]),
    ):
        slope = check_gradient(f, np.zeros_like, x, coordinates=[0], directions=0).worst.numeric
        report = check_gradient(f, lambda x, g=slope: np.array([g, 0.0]), x)
        assert report.probes[1].verdict == "inconclusive", str(report)


def test_a_tolerance_is_never_widened_silently():
    def f(x):
        return 0.5e9 * np.sum(x[:3] ** 2) + np.sin(x[3])

    for factor, verdict in ((1, "inconclusive"), (1 + 2e-6, "inconclusive"), (1.01, "fail")):
        report = check_gradient(
            f, lambda x, m=factor: np.r_[1e9 * x[:3], m * np.cos(x[3])], [1.0, -0.8, 1.2, 0.4]
        )
        assert report.verdict == verdict, str(report)


def test_entries_that_directions_cannot_see_are_probed_by_themselves():
    report = check_gradient(lambda x: x[0] + x[1], lambda x: x**0, [1, 1e-14], coordinates=[])
    assert [p.name for p in report.probes[:2]] == ["x[1]", "direction 0"]


def test_the_likely_reason_explains_the_error_to_the_last_digit_allowed():
    def f(x):
        return np.sin(x).sum()

    x = np.arange(1.0, 6)
    for wrong, reason in (
        (lambda x: np.cos(x) * (1 + 1e-6), "a factor of 1.000001"),
        (scaled_at(np.cos, 2, 1 + 1e-5), "one entry only, x[2]: a factor of 1.00001"),
        (lambda x: np.cos(x) + 1e-5 * np.array([1, -2, 3, -1, 2]), ""),
        (lambda x: np.cos(x) * [1, 0, 0, 1, 1], "zero in 2 entries where f has a slope"),
    ):
        assert check_gradient(f, wrong, x).likely == reason
    beyond = check_gradient(f, scaled_at(np.cos, 4, -1), x, coordinates=[0, 1])
    assert beyond.likely == "an entry that was not probed: those that were agree"
    weights, b = A, np.ones(3)
    report = check_gradient(
        lambda W, b: np.tanh(W @ b).sum(),
        lambda W, b: (np.outer(1 - np.tanh(W @ b) ** 2, b).T, W.T @ (1 - np.tanh(W @ b) ** 2)),
        (weights, b),
    )
    assert report.likely == "in W, transposed"


@pytest.mark.parametrize(
    "f, gradient, x, advice",
    [
        (lambda x: 1e20 / np.hypot(x[0], 1e11), np.zeros_like, [0.0], "x is 0 there: raise h"),
        (lambda x: 1e9 + np.sin(x[0]), np.cos, [0.3], "remove a large constant"),
        (
            lambda x: np.sin(1e6 * (x.sum() - 2e3)),
            lambda x: 1e6 * np.cos(1e6 * (x.sum() - 2e3)) * np.ones(2),
            [1000.2, 1000.3],
            "floats near x are too far apart",
        ),
        (
            lambda x: 1e16 + 30 * np.cos(x[0]) - 1e16,
            lambda x: -30 * np.sin(x),
            [0.3],
            "changes further away: it has lost digits",
        ),
    ],
)
def test_advice_fits_what_hides_the_slope(f, gradient, x, advice):
    report = check_gradient(f, gradient, x)
    assert report.verdict == "inconclusive" and advice in report.worst.reason, str(report)


def beside_one(term, slope, x, factor=1.0, **options):
    """The report of x_0 + term(x_1) at (1, x), `factor` times the right slope claimed of x_1."""
    return check_gradient(
        lambda x: x[0] + term(x[1]),
        lambda x: np.array([1, factor * slope(x[1])]),
        np.array([1.0, x]),
        **options,
    )


@pytest.mark.parametrize(
    "term, slope",
    [
        (
            lambda v: 7.7e-5 * v * np.tanh(v / 3e-13),
            lambda v: 7.7e-5 * (np.tanh(v / 3e-13) + v / 3e-13 / np.cosh(v / 3e-13) ** 2),
        ),
        (
            lambda v: 7.4 * (5e-13 * np.exp(-((v / 5e-13) ** 2)) + v**2),
            lambda v: 7.4 * (-2 * v / 5e-13 * np.exp(-((v / 5e-13) ** 2)) + 2 * v),
        ),
    ],
    ids=["kink from afar", "bump"],
)
def test_what_only_steps_as_short_as_x_could_show_neither_passes_as_zero_nor_fails(term, slope):
    for factor in (0, 1):
        report = beside_one(term, slope, 1.7e-12, factor)
        assert report.verdict == "inconclusive", str(report)


def test_the_sign_of_a_slope_that_coarse_steps_show_does_not_pass_as_zero():
    for factor, verdict in ((1, "inconclusive"), (-1, "inconclusive"), (1e5, "fail")):
        report = beside_one(lambda v: v**3, lambda v: 3 * v**2, -2.8e-6, factor)
        assert report.verdict == verdict, str(report)


def test_a_wave_in_step_with_the_halves_of_an_interval_is_no_rounding():
    a, width, x = 2.98e-6, 2.150018304517488e-06, 5.201303703934817e-06

    def check(factor):
        return beside_one(
            lambda v: a * width * np.cos(v / width),
            lambda v: -a * np.sin(v / width),
            x,
            factor,
            coordinates=[],
        ).verdict

    assert (check(1), check(0)) == ("pass", "fail")


def test_a_slope_that_is_nearly_sure_is_looked_at_again_and_a_kink_then_is_no_rounding():
    def check(factor):
        return check_gradient(
            lambda x: 1 + 1e-7 * np.sin(x[0]),
            lambda x: factor * 1e-7 * np.cos(x),
            np.array([0.7]),
            directions=0,
        )

    assert check(1).verdict == "pass"
    assert check(1).worst.spread < 8e-15  # of 8e-15 that are allowed; 8 values know it to 2e-14
    assert check(1 + 1e-5).verdict == "fail"
    for side in (-1, 1):  # the slopes differ by 2e-7 at a place where rounding hides the kink
        report = check_gradient(
            lambda x: 1 + np.sin(x[0]) + 1e-7 * abs(x[0] - 0.7 - 1e-12),
            lambda x, side=side: np.cos(x) + side * 1e-7,
            np.array([0.7]),
            directions=0,
        )
        assert report.verdict == "inconclusive", str(report)


def test_zero_passes_where_phi_never_changes_and_a_claim_beside_it_does_not():
    for claim, verdict in ((0, "pass"), (1e-18, "inconclusive"), (1e-6, "fail")):
        report = check_gradient(
            lambda x: 1 + x[0] ** 2, lambda x, c=claim: np.array([2 * x[0], c]), [0.5, 0.7]
        )
        assert report.verdict == verdict, str(report)


def test_two_defects_at_once_do_not_fail_a_right_gradient():
    def lost_beside_a_kink(x):
        return float(np.float32(np.sin(x[0]))) + abs(x[1] - 1e-7)

    report = check_gradient(lost_beside_a_kink, lambda x: np.array([np.cos(x[0]), 1]), [0.5, 3e-7])
    assert report.verdict == "inconclusive", str(report)


CANCELLED = {
    "sqrt(1 - x^2)": (
        lambda x: np.sqrt(1 - x[0] * x[0]),
        lambda x: -x / np.sqrt((1 - x) * (1 + x)),
        -1,
    ),
    "log(1 - x^2)": (lambda x: np.log(1 - x[0] * x[0]), lambda x: -2 * x / ((1 - x) * (1 + x)), -1),
    "log(x^3 - 1)": (
        lambda x: np.log(x[0] ** 3 - 1),
        lambda x: 3 * x * x / ((x - 1) * (x * x + x + 1)),
        1,
    ),
}


@pytest.mark.parametrize("name", CANCELLED)
def test_what_a_cancellation_does_to_the_finest_steps_fails_no_right_gradient(name):
    f, gradient, sign = CANCELLED[name]
    for distance in 10.0 ** np.arange(-8, -5, 0.25):
        x = np.array([1 + sign * distance])
        assert check_gradient(f, gradient, x).verdict != "fail", distance
        wrong = check_gradient(f, lambda x: gradient(x) * (1 + 1e-5), x)
        assert wrong.verdict == "fail", distance


@pytest.mark.parametrize(
    "f, wrong, x",
    [
        (lambda x: 1e16 + np.exp(3 * x).sum(), lambda x: -3 * np.exp(3 * x), 1.0),
        (lambda x: 1e13 + (x**x).sum(), lambda x: 0.5 * x**x * (np.log(x) + 1), 0.3),
        (lambda x: 1e15 + np.sin(x).sum(), lambda x: 0 * x, 0.3),
    ],
    ids=["steep far out", "clear nearby", "a few roundings"],
)
def test_a_slope_buried_under_a_constant_does_not_pass_as_zero(f, wrong, x):
    """Far out exp is steep enough to hide anything; that says nothing of the slope at x."""
    assert str(check_gradient(f, wrong, [x]).verdict) == "inconclusive"
