"""The global minimum of the robust hinge: solver, bounds, exact proofs."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import needs_jit

from numlin import optimum
from numlin.data import datasets
from numlin.objective import objective
from numlin.optimum import free_margin, interior, simplex, working_sets
from numlin.optimum.pivots import OPTIMAL, PIVOTING
from numlin.optimum.proof import rational

# Digits, eps, and the minimum on MNIST with its number of pixels, from a general LP solver.
MNIST_MINIMA = [
    ((0, 1), 0.1, 0.022201831827662, 65),
    ((0, 1), 0.2, 0.075429909853083, 32),
    ((0, 1), 0.3, 0.121945053846243, 2),
    ((3, 8), 0.1, 0.420066497998532, 20),
    ((4, 9), 0.1, 0.430936740270215, 13),
]


def problem(seed, n_samples=30, n_features=6, levels=5):
    """Few grey levels, hence many ties: X (n_samples, n_features) uint8; y, every fifth random."""
    rng = np.random.default_rng(seed)
    X = (rng.integers(0, levels + 1, (n_samples, n_features)) * (255 // levels)).astype(np.uint8)
    y = np.where(X[:, 0] > X[:, 1], 1, -1)
    y[::5] = rng.choice([-1, 1], len(y[::5]))
    y[:2] = -1, 1
    return X, y


def float_objective(w, b, X, y, eps):
    return objective(w, b, X / 255 if X.dtype == np.uint8 else X, y, eps)


def minimum_over_corners(X, y, eps):
    """F at every point where k samples on the margin fix the bias and k - 1 signed weights."""
    n, d = X.shape
    best = min(float_objective(np.zeros(d), b, X, y, eps) for b in (-1.0, 1.0))
    for k in range(2, min(n, d + 1) + 1):
        for pixels in map(list, itertools.combinations(range(d), k - 1)):
            for signs in itertools.product((-1.0, 1.0), repeat=k - 1):
                columns = X[:, pixels] / 255 * y[:, None] * signs - eps
                for samples in map(list, itertools.combinations(range(n), k)):
                    B = np.column_stack([columns[samples], y[samples]])
                    if abs(np.linalg.det(B)) > 1e-9:
                        u = np.linalg.solve(B, np.ones(k))
                        w = np.zeros(d)
                        w[pixels] = u[:-1] * signs
                        best = min(best, float_objective(w, u[-1], X, y, eps))
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.35])
def test_minimum_is_the_best_of_all_corners(seed, eps):
    X, y = problem(seed, n_samples=6, n_features=2, levels=3)
    found = optimum.minimise(X, y, eps)
    # Both sides solve systems of size 3 in float64: 1e-12 is a thousand roundings.
    assert found.objective == pytest.approx(minimum_over_corners(X, y, eps), abs=1e-12)
    assert found.objective == pytest.approx(float_objective(found.w, found.b, X, y, eps), abs=1e-14)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.123456789, 0.3123456789012345])
def test_every_corner_found_is_optimal_in_exact_arithmetic(seed, eps):
    X, y = problem(seed, levels=(1, 2, 5, 255)[seed % 4])
    found = optimum.minimise(X, y, eps)
    value = rational.prove(X, y, found).value
    assert found.converged
    assert Fraction(found.lower_bound) <= value
    assert found.objective == pytest.approx(float(value), abs=1e-14)
    assert found.relative_gap <= 1e-9  # the accuracy promised


@needs_jit
@pytest.mark.parametrize("digits, eps, least, n_pixels", MNIST_MINIMA)
def test_mnist_minima_are_those_of_another_solver_and_proved(mnist, digits, eps, least, n_pixels):
    X, y = datasets.load("train", digits, np.uint8, mnist)
    found = optimum.minimise(X, y, eps)
    assert found.objective == pytest.approx(least, rel=1e-9)  # the accuracy promised
    assert found.relative_gap <= 1e-9
    assert np.count_nonzero(found.w) == n_pixels
    assert float(rational.prove(X, y, found).value) == pytest.approx(found.objective, rel=1e-13)


SPOILED = {
    "too large": lambda a, y: 3 * a,
    "negative": lambda a, y: a - 0.3 * a.max(),
    "one class too heavy": lambda a, y: np.where(y > 0, 1.5 * a, a),
    "random": lambda a, y: a * np.random.default_rng(0).uniform(0.5, 1.5, len(a)),
    "of a larger radius": lambda a, y: a,
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("seed", range(5))
def test_lower_bound_holds_for_any_multipliers(seed, spoil):
    X, y = problem(seed, levels=255)
    least = rational.prove(X, y, optimum.minimise(X, y, 0.05)).value
    inner = optimum.minimise(X, y, 0.04).multipliers
    for eps in (0.05, 0.08):
        a = spoil(optimum.minimise(X, y, eps).multipliers, y)
        assert 0 < Fraction(optimum.lower_bound(a, inner, X, y, 0.05)) <= least


def test_lower_bound_repairs_what_is_slightly_infeasible():
    X, y = problem(3)
    found = optimum.minimise(X, y, 0.2)
    inner = optimum.minimise(X, y, 0.199).multipliers
    rng = np.random.default_rng(0)
    a = found.multipliers * (1 + 1e-7 * rng.standard_normal(len(y)))
    bound = optimum.lower_bound(a, inner, X, y, 0.2)
    # The repair costs about the 1e-7 by which the multipliers were moved, times 100 at worst.
    assert found.objective * (1 - 1e-5) < bound <= found.objective


@pytest.mark.parametrize("seed", range(5))
def test_no_random_classifier_is_below_the_bound(seed):
    X, y = problem(seed)
    bound = optimum.minimise(X, y, 0.1).lower_bound
    rng = np.random.default_rng(seed)
    for size in 10.0 ** rng.uniform(-2, 1, 50):
        w, b = size * rng.standard_normal(X.shape[1]), rng.standard_normal()
        assert float_objective(w, b, X, y, 0.1) >= bound


def test_a_budget_that_runs_out_is_reported_with_its_gap():
    X, y = problem(0)
    found = optimum.minimise(X, y, 0.01, budget=3)
    least = optimum.minimise(X, y, 0.01).objective
    assert not found.converged and not found.certified and found.n_pivots == 3
    assert found.lower_bound <= least < found.objective
    assert found.gap >= found.objective - least


def test_without_a_strictly_feasible_point_an_infeasible_one_proves_nothing():
    X, y = np.array([[255, 0], [0, 0]], np.uint8), np.array([1, -1])
    a = np.array([0.5, 0.5])  # means 1 apart in l-inf, so infeasible for eps < 1/2
    assert optimum.lower_bound(a, a, X, y, 0.3) == 0
    assert optimum.lower_bound(a, a, X, y, 0.6) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(20))
def test_masses_and_reaches_are_on_the_safe_side_of_the_exact_ones(seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, (200, 5)).astype(np.uint8)
    y, a = rng.choice([-1.0, 1.0], 200), rng.random(200) / 200
    a[y > 0] *= a[y < 0].sum() / a[y > 0].sum()
    mass, reach = optimum._balanced(a, X, y)
    exact = [Fraction(v) for v in a]
    heavy = [sum(v for v, sign in zip(exact, y, strict=True) if sign == s) for s in (-1, 1)]
    exact = [v * min(heavy) / heavy[int(sign > 0)] for v, sign in zip(exact, y, strict=True)]
    pulls = [
        sum(v * int(sign) * int(x) for v, sign, x in zip(exact, y, column, strict=True))
        for column in X.T
    ]
    assert mass <= sum(exact) and reach >= max(map(abs, pulls)) / 255


@pytest.mark.parametrize("unit", [1e-200, 1e-9, 1e12, 1e150])
def test_pixels_of_any_size_are_solved_alike(unit):
    X, y = problem(4)
    X = X / 255
    found, expected = optimum.minimise(X * unit, y, 0.05 * unit), optimum.minimise(X, y, 0.05)
    assert found.objective == pytest.approx(expected.objective, rel=1e-9)
    assert found.certified and expected.certified
    np.testing.assert_allclose(found.w * unit, expected.w, atol=1e-6)


def test_no_answer_is_worse_than_always_naming_the_frequent_class():
    X, y = np.array([[0], [255]], np.uint8), np.array([-1, 1])
    for eps in (0.4999999999, 0.5, 3.0):
        assert optimum.minimise(X, y, eps).objective <= 1


@pytest.mark.parametrize("eps", [5e-324, 1e-310, 1e-12, 1e300])
def test_radii_of_any_size_give_a_bound_that_holds(eps):
    X = np.array([[0, 9], [9, 9], [0, 9], [9, 0]], np.uint8)
    found = optimum.minimise(X, np.array([-1, 1, 1, -1]), eps)
    assert 0 <= found.lower_bound <= found.objective <= 1


@pytest.mark.parametrize("distance", [1e-3, 1e-4, 1e-6, 1e-9])
def test_the_interval_of_the_margin_holds_for_tiny_margins_too(distance):
    found = optimum.margin(np.array([[0.0], [distance]]), np.array([-1, 1]))
    assert found.lower <= distance / 2 <= found.upper <= max(1e-4, distance)


def test_scaling_pixels_and_eps_together_scales_the_weights():
    X, y = problem(1, levels=255)
    one, two = optimum.minimise(X / 255, y, 0.1), optimum.minimise(X / 127.5, y, 0.2)
    np.testing.assert_allclose(two.w, one.w / 2, atol=1e-12)
    assert two.objective == pytest.approx(one.objective, abs=1e-14)


def test_swapping_the_classes_flips_the_classifier():
    X, y = problem(1, levels=255)
    one, two = optimum.minimise(X, y, 0.1), optimum.minimise(X, -y, 0.1)
    np.testing.assert_allclose(two.w, -one.w, atol=1e-12)
    assert two.b == pytest.approx(-one.b, abs=1e-12)


def test_order_and_number_of_copies_of_the_samples_do_not_matter():
    X, y = problem(2)
    order = np.random.default_rng(0).permutation(len(y))
    least = optimum.minimise(X, y, 0.1).objective
    assert optimum.minimise(X[order], y[order], 0.1).objective == pytest.approx(least, abs=1e-14)
    twice = optimum.minimise(np.vstack([X, X]), np.append(y, y), 0.1)
    assert twice.objective == pytest.approx(least, abs=1e-14)


def test_constant_and_repeated_pixels_do_not_matter():
    X, y = problem(2)
    wide = np.column_stack([np.full(len(y), 200, np.uint8), X, X])
    assert optimum.minimise(wide, y, 0.1).objective == pytest.approx(
        optimum.minimise(X, y, 0.1).objective, abs=1e-14
    )


def test_one_sample_per_class_is_lost_as_soon_as_the_balls_touch():
    X, y = np.array([[0, 51, 204], [51, 51, 0]], np.uint8), np.array([-1, 1])
    assert optimum.minimise(X, y, 0.39).objective == 0
    assert optimum.minimise(X, y, 0.4).objective == 1  # 0.4 = 204 / 255 / 2: the balls touch
    assert rational.prove_margin(X, y, optimum.margin(X, y)).value == Fraction(2, 5)


@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_identical_images_with_both_labels_cost_what_the_bias_leaves(eps):
    X, y = np.full((3, 4), 77, np.uint8), np.array([1, 1, -1])
    found = optimum.minimise(X, y, eps)
    assert found.objective == pytest.approx(2 / 3, abs=1e-15)  # b = 1: losses 0, 0, 2
    assert rational.prove(X, y, found).value == Fraction(2, 3)
    margin = optimum.margin(X, y)
    assert margin.lower == 0 and 0 <= margin.upper < 1e-12


def test_more_samples_than_a_working_set_are_all_respected(monkeypatch):
    X, y = problem(5, n_samples=600, n_features=8, levels=255)
    y = np.where(X[:, 0] + 0.3 * X[:, 1] > 150, 1, -1)
    whole = optimum.minimise(X, y, 0.05)
    monkeypatch.setattr(working_sets, "SMALL", 20)
    parts = optimum.minimise(X, y, 0.05)
    assert parts.objective == pytest.approx(whole.objective, abs=1e-14)
    assert rational.prove(X, y, parts).value == rational.prove(X, y, whole).value


CYCLING = ["434", "023", "103", "341", "101", "342", "413", "421",
           "002", "214", "333", "410", "134", "020", "402", "232"]  # fmt: skip
CYCLING_LABELS = "++---+--+++++++-"


@pytest.mark.parametrize("patience, ending", [(10**9, PIVOTING), (simplex.PATIENCE, OPTIMAL)])
def test_blands_rule_leaves_a_corner_where_the_steepest_edge_goes_round(
    monkeypatch, patience, ending
):
    # Quarters and eps = 0 keep the arithmetic nearly free of rounding, so the circle is stable.
    X = np.array([list(map(int, row)) for row in CYCLING]) / 4
    y = np.array([float(f"{sign}1") for sign in CYCLING_LABELS])
    free, unit = np.zeros(4), 1 / 16
    monkeypatch.setattr(simplex, "SHIFTS", (0.0,))
    monkeypatch.setattr(simplex, "PATIENCE", patience)
    corner = working_sets.Problem(X, y, free, free, unit)
    t = working_sets.restricted(corner, np.ones(16, bool), working_sets.EMPTY)
    assert simplex.descend(t, unit, (0.0, free), 2000)[1] == ending


def test_a_singular_basis_to_start_from_is_given_up():
    X, y = problem(4)
    X[1], y[1] = X[0], y[0]
    twins = working_sets.Basis(np.array([0, 1]), np.array([0, X.shape[1]]), np.ones(2))
    cold = optimum.minimise(X, y, 0.1)
    warm = optimum.minimise(X, y, 0.1, start=replace(cold, basis=twins))
    assert warm.objective == pytest.approx(cold.objective, abs=1e-14)


def test_path_agrees_with_each_radius_solved_alone():
    X, y = problem(7, levels=255)
    y = np.where(X[:, 0] > 127, 1, -1)
    grid = [0.0, 0.001, 0.05, 0.1, 0.3]
    for eps, found in zip(grid, optimum.path(X, y, grid), strict=True):
        assert found.eps == eps
        assert found.objective == pytest.approx(optimum.minimise(X, y, eps).objective, abs=1e-13)
        assert found.objective == pytest.approx(
            float_objective(found.w, found.b, X, y, eps), abs=1e-13
        )


@pytest.mark.parametrize("seed", range(5))
def test_margin_is_where_the_minimum_leaves_zero(seed):
    X, _ = problem(seed, levels=255)
    y = np.where(X[:, 0] > X[:, 1], 1, -1)
    found = optimum.margin(X, y)
    assert 0 < found.lower <= found.upper <= found.lower * (1 + 1e-9)
    value = rational.prove_margin(X, y, found).value
    assert Fraction(found.lower) <= value <= Fraction(found.upper)
    # Weights grow as 1/(eps* - eps): a thousandth away they are large but harmless.
    assert optimum.minimise(X, y, found.lower * 0.999).objective == 0
    assert optimum.minimise(X, y, found.upper * 1.001).objective > 0


@pytest.mark.parametrize("twins", ["none", "pixels", "images"])
@pytest.mark.parametrize("seed", range(4))
def test_margin_from_the_middle_is_the_end_of_the_path(monkeypatch, seed, twins):
    """Two methods, one fraction; twin pixels have a face of optimal w, twin images one of a."""
    X, _ = problem(seed, n_samples=60, n_features=9, levels=255)
    if twins == "pixels":
        X[:, 5:] = X[:, :4]
    if twins == "images":
        X[30:] = X[:30]
    y = np.where(X[:, 0] > X[:, 1], 1, -1)
    walked = rational.prove_margin(X, y, optimum.margin(X, y)).value
    monkeypatch.setattr(optimum, "SMALL", 0)
    monkeypatch.setattr(optimum, "Walk", None)  # not to be asked
    found = optimum.margin(X, y)
    assert rational.prove_margin(X, y, found).value == walked
    assert found.lower <= walked <= found.upper <= found.lower * (1 + 1e-9)


def test_working_sets_of_the_margin_find_every_sample_that_matters(monkeypatch):
    X, _ = problem(1, n_samples=600, n_features=12, levels=255)
    y = np.where(X[:, 0] + 0.3 * X[:, 1] > 150, 1, -1)
    walked = rational.prove_margin(X, y, optimum.margin(X, y)).value
    monkeypatch.setattr(optimum, "SMALL", 0)
    monkeypatch.setattr(optimum, "Walk", None)
    for some, growing in ((20, 6), (5, 0)):  # chosen anew each time; only growing
        monkeypatch.setattr(free_margin, "SOME", some)
        monkeypatch.setattr(free_margin, "GROWING", growing)
        assert rational.prove_margin(X, y, optimum.margin(X, y)).value == walked


def test_classes_that_nothing_separates_have_no_margin_from_the_middle_either(monkeypatch):
    X, y = problem(2, n_samples=60, n_features=9, levels=255)
    monkeypatch.setattr(optimum, "SMALL", 0)
    monkeypatch.setattr(optimum, "Walk", None)
    found = optimum.margin(X, y)
    assert found.lower == 0 and 0 <= found.upper < 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_interior_point_with_a_toll_agrees_with_the_simplex(seed):
    """min sum max(0, 1 - z.v) + toll |v|, samples lost included; the duals sum to the value."""
    X, y = problem(seed, n_samples=50, n_features=6, levels=255)
    Z = np.append(X / 255, np.ones((50, 1)), axis=1) * y[:, None]
    toll = np.array([0.3] * 6 + [0.0])
    exact = working_sets.Problem(X, y.astype(float), np.zeros(7), toll, 1.0)
    corner = working_sets.search(exact, np.zeros(7), working_sets.EMPTY, 10_000)
    v, t, _ = interior.minimise(Z, toll)
    value = np.maximum(1 - Z @ corner.v, 0).sum() + toll @ np.abs(corner.v)
    assert np.maximum(1 - Z @ v, 0).sum() + toll @ np.abs(v) == pytest.approx(value, rel=1e-9)
    assert t.sum() == pytest.approx(value, rel=1e-9)
    assert (np.abs(t @ Z) <= toll + 1e-9).all() and (t >= 0).all() and (t <= 1).all()


@pytest.mark.parametrize(
    "eps, below, message",
    [
        (0.1, [], "feasible True, primal 1.0, dual 0.0"),
        (1.0, [0], "feasible False, primal 1.0, dual 0.25"),  # one class alone
        (0.0, [0, 1, 2, 3], "feasible False, primal 1.0, dual 1.0"),  # the means differ
    ],
)
def test_a_wrong_corner_is_not_proved(eps, below, message):
    X, y = np.array([[9, 0], [9, 9], [0, 0], [0, 9]], np.uint8), np.array([1, 1, -1, -1])
    multipliers = np.where(np.isin(np.arange(4), below), 0.25, 0.0)
    wrong = replace(
        optimum.minimise(X, y, 0.1), eps=eps, basis=working_sets.EMPTY, multipliers=multipliers
    )
    with pytest.raises(rational.ProofError, match=message):
        rational.prove(X, y, wrong)


def test_pixels_that_are_not_integers_are_not_proved():
    X, y = problem(0)
    with pytest.raises(TypeError, match="uint8"):
        rational.prove(X / 255, y, optimum.minimise(X, y, 0.1))


@pytest.mark.parametrize("size", [1, 2, 7, 20])
def test_exact_solutions_are_those_of_fractions(size):
    rng = np.random.default_rng(size)
    B, right = rng.integers(-2550, 2551, (size, size)), rng.integers(-(10**6), 10**6, size)
    numerators, scale = rational.solve(B, right)
    assert scale > 0
    assert (B.astype(object) @ np.array(numerators, object) == scale * right.astype(object)).all()


@pytest.mark.parametrize(
    "y, eps, message", [([1, -1], -0.1, "eps"), ([1, 1], 0.1, "one class"), ([1, 0], 0.1, "y: ")]
)
def test_wrong_arguments_are_refused(y, eps, message):
    with pytest.raises(ValueError, match=message):
        optimum.minimise(np.zeros((2, 3), np.uint8), np.array(y), eps)


def hardly_separated(rng, n=2400, d=14):
    """More samples than one tableau holds, of uint8 pixels that tell little, and their labels."""
    y = np.where(rng.random(n) < 0.6, 1, -1)
    X = rng.integers(0, 200, (n, d)) + np.where(rng.random((n, 1)) < 0.8, y[:, None], 0) * 3 + 3
    return X.astype(np.uint8), y


def test_inside_the_face_of_optima_is_the_minimum_of_the_corner(rng):
    X, y = hardly_separated(rng)
    inside, corner = optimum.minimise(X, y, 0.0), optimum.minimise(X, y, 0.0, corner=True)
    assert not len(inside.basis.samples) and len(corner.basis.samples)
    assert inside.certified and corner.certified
    assert inside.objective == pytest.approx(corner.objective, rel=1e-11)
    assert inside.lower_bound <= corner.objective and corner.lower_bound <= inside.objective
    hinge = np.maximum(0, 1 - y * (X / 255 @ inside.w + inside.b)).mean()
    assert inside.objective == pytest.approx(hinge, rel=1e-12)
    a = inside.multipliers
    assert a.min() >= 0 and a.max() <= 1 / len(y) and abs(a @ y) < 1e-13
    assert np.abs((a * y) @ X).max() < 1e-10


@pytest.mark.parametrize("kind", ["separable", "twin pixels", "inseparable twins", "floats"])
def test_at_eps_0_special_data_have_the_minimum_of_the_corner(rng, kind):
    X, y = hardly_separated(rng)
    if kind == "separable":
        X[:, 3] = np.where(y > 0, 130, 110)
    elif kind == "twin pixels":
        X = np.hstack([X, X[:, :4], np.zeros((len(y), 2), np.uint8)])
    elif kind == "inseparable twins":
        X[1::2], y[1::2] = X[::2], -y[::2]
    found = optimum.minimise(X / 255 if kind == "floats" else X, y, 0.0)
    corner = optimum.minimise(X, y, 0.0, corner=True)
    assert found.objective == pytest.approx(corner.objective, abs=1e-12)
    assert found.certified or kind == "floats"
    assert (found.objective == 0) == (kind == "separable")
