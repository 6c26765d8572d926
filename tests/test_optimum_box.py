"""The optimum in the pixel box: columns, minimum, bound and proof of the worst case there."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import needs_jit
from test_optimum import problem

from numlin import optimum
from numlin.balls import BALLS
from numlin.data import datasets
from numlin.objective import objective, robust_margin
from numlin.optimum import working_sets
from numlin.optimum.columns import column_sums, rounding, scale, worst_case
from numlin.optimum.proof import rational

BOX = BALLS["linf-box"]
NAMES = {False: "linf", True: "linf-box"}


def boxed(w, b, X, y, eps):
    return objective(w, b, X * scale(X), y, eps, ball=BOX)


@pytest.mark.parametrize("box", [False, True])
@pytest.mark.parametrize("eps", [0.0, 0.13, 0.6, 2.0])
def test_columns_give_the_worst_margin_of_the_ball(box, eps, rng):
    X, y = problem(0)
    w, b = rng.normal(size=X.shape[1]), 0.3
    plus, minus = worst_case(X, y, eps, box)
    margin = plus @ np.maximum(w, 0) + minus @ np.maximum(-w, 0) + y * b
    expected = robust_margin(w, b, X / 255, y, eps, BOX if box else BALLS["linf"])
    np.testing.assert_allclose(margin, expected, atol=1e-14)  # six terms of order 1
    assert (plus + minus <= 0).all()  # hence u_j v_j = 0 costs nothing


@pytest.mark.parametrize("box", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_column_sums_are_those_of_the_columns(dtype, box, rng):
    X, y = problem(1, n_samples=300)
    X = X if dtype == np.uint8 else (X / 255).astype(dtype)
    a = np.where(rng.random(300) < 0.3, 0, rng.random(300))
    exact = X if dtype == np.uint8 else X.astype(float)
    sums, columns = column_sums(X, y, a, 0.17, box), worst_case(exact, y, 0.17, box)
    for found, column in zip(sums, columns, strict=True):
        # Both sums are rounded, and neither by more than the bound.
        np.testing.assert_allclose(found, a @ column, atol=2 * rounding(300) * a.sum())


def minimum_over_vertices(X, y, eps):
    """Boxed F at every point where k samples on the margin fix the bias and k - 1 weights."""
    n, d = X.shape
    columns = np.hstack(worst_case(X, y, eps, True))
    best = min(boxed(np.zeros(d), b, X, y, eps) for b in (-1.0, 1.0))
    for k in range(2, min(n, d + 1) + 1):
        for used in map(list, itertools.combinations(range(2 * d), k - 1)):
            for samples in map(list, itertools.combinations(range(n), k)):
                B = np.column_stack([columns[np.ix_(samples, used)], y[samples]])
                if abs(np.linalg.det(B)) > 1e-9:
                    u, halves = np.linalg.solve(B, np.ones(k)), np.zeros(2 * d)
                    halves[used] = u[:-1]
                    best = min(best, boxed(halves[:d] - halves[d:], u[-1], X, y, eps))
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.35])
def test_boxed_minimum_is_the_best_of_all_vertices(seed, eps):
    X, y = problem(seed, n_samples=6, n_features=2, levels=3)
    found = optimum.minimise(X, y, eps, ball="linf-box")
    # Both sides solve systems of size 3 in float64: 1e-12 is a thousand roundings.
    assert found.objective == pytest.approx(minimum_over_vertices(X, y, eps), abs=1e-12)
    assert found.objective == pytest.approx(boxed(found.w, found.b, X, y, eps), abs=1e-14)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.123456789, 0.3123456789012345, 1.5])
def test_every_boxed_corner_is_optimal_in_exact_arithmetic(seed, eps):
    X, y = problem(seed, levels=(1, 2, 5, 255)[seed % 4])
    found = optimum.minimise(X, y, eps, ball="linf-box")
    value = rational.prove(X, y, found).value
    assert found.converged and found.relative_gap <= 1e-9  # the accuracy promised
    assert Fraction(found.lower_bound) <= value
    assert found.objective == pytest.approx(float(value), abs=1e-14)


@pytest.mark.parametrize("seed", range(10))
def test_an_adversary_in_the_box_never_costs_more_than_a_free_one(seed):
    X, y = problem(seed, levels=(2, 255)[seed % 2])
    for eps in (0.0, 0.05, 0.2, 0.5):
        inside, free = (optimum.minimise(X, y, eps, ball=NAMES[box]) for box in (True, False))
        assert inside.objective <= free.objective + 1e-14
        if eps == 0:
            assert inside.objective == pytest.approx(free.objective, abs=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_far_from_its_sides_the_box_is_no_box(seed):
    X, y = problem(seed, levels=255)
    X = 77 + X // 3  # 0.3 to 0.64
    free = optimum.minimise(X, y, 0.1)
    found = optimum.minimise(X, y, 0.1, ball="linf-box")
    assert rational.prove(X, y, found).value == rational.prove(X, y, free).value
    np.testing.assert_allclose(found.w, free.w, atol=1e-9)  # a system of size 7 solved twice


@pytest.mark.parametrize("seed", range(5))
def test_no_random_classifier_is_below_the_boxed_bound(seed):
    X, y = problem(seed)
    bound = optimum.minimise(X, y, 0.1, ball="linf-box").lower_bound
    rng = np.random.default_rng(seed)
    w = 10.0 ** rng.uniform(-2, 1, (10_000, 1)) * rng.standard_normal((10_000, X.shape[1]))
    b = rng.standard_normal(10_000)
    plus, minus = worst_case(X, y, 0.1, True)
    margins = np.maximum(w, 0) @ plus.T + np.maximum(-w, 0) @ minus.T + b[:, None] * y
    assert np.maximum(0, 1 - margins).mean(axis=1).min() >= bound > 0


def test_boxed_working_sets_and_warm_starts_find_the_same(monkeypatch):
    X, y = problem(5, n_samples=600, n_features=8, levels=255)
    whole = optimum.minimise(X, y, 0.05, ball="linf-box")
    monkeypatch.setattr(working_sets, "SMALL", 20)
    for start in (None, optimum.minimise(X, y, 0.06, ball="linf-box")):
        parts = optimum.minimise(X, y, 0.05, start=start, ball="linf-box")
        assert parts.objective == pytest.approx(whole.objective, abs=1e-14)


def test_images_that_the_box_protects_are_separated():
    X, y = np.array([[0, 51, 204], [51, 51, 0]], np.uint8), np.array([-1, 1])
    assert optimum.minimise(X, y, 0.4).objective == 1
    assert (
        optimum.minimise(X, y, 0.4, ball="linf-box").objective == 1
    )  # the balls touch inside as well
    X = np.array([[0, 255], [255, 0]], np.uint8)
    assert optimum.minimise(X, y, 0.499, ball="linf-box").objective == 0
    assert optimum.minimise(X, y, 0.5, ball="linf-box").objective == 1


def test_pixels_outside_of_the_box_are_refused():
    with pytest.raises(ValueError, match=r"found values in \[0, 2\], expected them inside"):
        optimum.minimise(np.array([[0.0], [2.0]]), np.array([-1, 1]), 0.1, ball="linf-box")


def test_the_boxed_margin_of_three_images_is_the_irrational_one():
    X, y = np.array([[0, 255], [255, 102], [51, 51]], np.uint8), np.array([1, 1, -1])
    proof = rational.prove_margin(X, y, optimum.margin(X, y, ball="linf-box"))
    assert proof.value <= Fraction(0.85 - 0.15 * np.sqrt(17)) <= proof.eps
    assert proof.eps - proof.value <= Fraction(1, 10**9)


@pytest.mark.parametrize("seed", range(8))
def test_boxed_margin_is_where_the_boxed_minimum_leaves_zero(seed):
    X, _ = problem(seed, levels=(5, 255)[seed % 2])
    y = np.where(X[:, 0].astype(int) + X[:, 1] > 255, 1, -1)
    free, found = optimum.margin(X, y), optimum.margin(X, y, ball="linf-box")
    assert 0 < free.lower * (1 - 1e-9) <= found.lower <= found.upper
    proof = rational.prove_margin(X, y, found)
    assert proof.eps - proof.value <= Fraction(1, 10**9)
    assert optimum.minimise(X, y, found.lower * 0.999, ball="linf-box").objective == 0
    assert optimum.minimise(X, y, found.upper * 1.001, ball="linf-box").objective > 0


def test_a_boxed_margin_that_is_not_one_is_not_proved():
    X, y = np.array([[0, 255], [255, 102], [51, 51]], np.uint8), np.array([1, 1, -1])
    found = optimum.margin(X, y, ball="linf-box")
    for wrong in (
        replace(found, lower=found.upper + 1e-9),
        replace(found, upper=found.lower - 1e-9),
    ):
        with pytest.raises(rational.ProofError, match="not between"):
            rational.prove_margin(X, y, wrong)


def test_a_radius_at_which_images_touch_does_not_separate_them():
    """Black and white meet at 1/2: moved outwards, this lower end is exactly there."""
    X, y = np.array([[0], [255]], np.uint8), np.array([-1, 1])
    found = optimum.margin(X, y, ball="linf-box")
    assert rational.prove_margin(X, y, found).value < Fraction(1, 2)
    touching = replace(found, lower=0.5 + 1 / rational.APART, w=np.ones(1), b=-0.5)
    with pytest.raises(rational.ProofError, match="separates False"):
        rational.prove_margin(X, y, touching)


def test_images_that_nothing_separates_have_no_boxed_margin():
    X, y = np.full((3, 4), 77, np.uint8), np.array([1, 1, -1])
    assert optimum.margin(X, y, ball="linf-box").lower == 0


# Digits, eps, and the boxed minimum on MNIST with its number of pixels, from HiGHS on the boxed LP.
MNIST_MINIMA = [
    ((0, 1), 0.1, 0.009364996066123, 70),
    ((0, 1), 0.2, 0.055514109537429, 62),
    ((0, 1), 0.3, 0.107994937545544, 2),
    ((3, 8), 0.1, 0.345152346945779, 38),
]


@needs_jit
@pytest.mark.parametrize("digits, eps, least, n_pixels", MNIST_MINIMA)
def test_boxed_mnist_minima_are_those_of_another_solver_and_proved(
    mnist, digits, eps, least, n_pixels
):
    X, y = datasets.load("train", digits, np.uint8, mnist)
    found = optimum.minimise(X, y, eps, ball="linf-box")
    assert found.objective == pytest.approx(least, rel=1e-9)  # the accuracy promised
    assert found.relative_gap <= 1e-9
    assert np.count_nonzero(found.w) == n_pixels
    assert float(rational.prove(X, y, found).value) == pytest.approx(found.objective, rel=1e-13)
