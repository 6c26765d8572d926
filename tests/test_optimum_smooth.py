"""The minima of the smooth losses: Newton's method, bounds, and where there is no minimum."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from conftest import needs_jit
from test_optimum import problem

from numlin import optimum
from numlin.balls import BALLS
from numlin.data import datasets
from numlin.losses import LOGISTIC, SQUARED_HINGE
from numlin.objective import objective
from numlin.optimum import smooth
from numlin.optimum.columns import column_sums, worst_case
from numlin.optimum.proof import rational

SMOOTH = pytest.mark.parametrize("loss", [SQUARED_HINGE, LOGISTIC], ids=lambda loss: loss.name)
BOX = pytest.mark.parametrize("box", [False, True], ids=["free", "box"])
NAMES = {False: "linf", True: "linf-box"}


def F(w, b, X, y, eps, loss, box):
    pixels = X / 255 if X.dtype == np.uint8 else X
    return objective(w, b, pixels, y, eps, loss, BALLS["linf-box" if box else "linf"])


@SMOOTH
def test_dual_values_are_the_largest_below_the_loss(loss):
    dual = smooth.DUALS[loss.name]
    t = np.linspace(0, min(dual.most, 5), 201)
    m = np.linspace(-4, 30, 3401)
    below = dual.value(t)[:, None] - t[:, None] * m
    assert (below <= loss.value(m) + 1e-14).all()  # rounding of numbers up to 150
    touching = -loss.derivative(m)
    np.testing.assert_allclose(dual.value(touching) - touching * m, loss.value(m), atol=1e-13)
    h = 1e-6  # the curvature of the logistic loss by central differences: h^2 + 2^-52 / h
    if not loss.kinks:
        slope = (loss.derivative(m + h) - loss.derivative(m - h)) / (2 * h)
        np.testing.assert_allclose(dual.curvature(touching), slope, atol=1e-9)


def test_quadratic_is_the_best_over_all_sets_of_weights_at_zero(rng):
    for _ in range(50):
        A = rng.normal(size=(5, 5))
        H, g, x = A @ A.T + 0.1 * np.eye(5), rng.normal(size=5), np.maximum(rng.normal(size=5), 0)
        best = np.inf
        for held in itertools.chain.from_iterable(
            itertools.combinations(range(4), k) for k in range(5)
        ):
            free, move = np.setdiff1d(range(5), held), np.zeros(5)
            move[list(held)] = -x[list(held)]
            move[free] = np.linalg.solve(H[np.ix_(free, free)], -(g + H @ move)[free])
            if (x + move)[:4].min() >= 0:
                best = min(best, g @ move + move @ H @ move / 2)
        move = smooth.quadratic(H, g, x)
        assert (x + move)[:4].min() >= -1e-15
        assert g @ move + move @ H @ move / 2 == pytest.approx(best, abs=1e-12)


@SMOOTH
@BOX
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("eps", [0.0, 0.01, 0.123456789, 0.4])
def test_minima_are_certified_and_flat(seed, eps, box, loss):
    X, y = problem(seed, levels=(1, 2, 5, 255)[seed % 4])
    found = optimum.minimise(X, y, eps, ball=NAMES[box], loss=loss)
    assert found.objective == pytest.approx(F(found.w, found.b, X, y, eps, loss, box), abs=1e-14)
    separable = optimum.minimise(X, y, eps, ball=NAMES[box]).objective == 0
    assert found.certified and found.lower_bound <= found.objective
    assert (found.lower_bound == 0) == separable
    if separable or not found.attained:
        return
    # One-sided differences: F is within h^2 times its curvature of its slopes, which are >= 0.
    h, size = 1e-6, max(1.0, np.abs(found.w).max())
    for j in range(X.shape[1] + 1):
        for sign in (-1, 1):
            w, b = found.w.copy(), found.b
            if j < X.shape[1]:
                w[j] += sign * h
            else:
                b += sign * h
            slope = (F(w, b, X, y, eps, loss, box) - found.objective) / h
            assert slope >= -1e-9
            if j == X.shape[1] or abs(found.w[j]) > 1e-3:
                assert abs(slope) < 1e-4 * size


@SMOOTH
@BOX
@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_no_random_classifier_is_below_the_bound(eps, box, loss, rng):
    X, y = problem(0)
    bound = optimum.minimise(X, y, eps, ball=NAMES[box], loss=loss).lower_bound
    w = 10.0 ** rng.uniform(-2, 1, (10_000, 1)) * rng.standard_normal((10_000, X.shape[1]))
    b = rng.standard_normal(10_000)
    plus, minus = worst_case(X, y, eps, box)
    margins = np.maximum(w, 0) @ plus.T + np.maximum(-w, 0) @ minus.T + b[:, None] * y
    assert loss.value(margins).mean(axis=1).min() >= bound > 0


@SMOOTH
@BOX
def test_minima_are_those_of_another_method(box, loss):
    scipy = pytest.importorskip("scipy.optimize")
    X, y = problem(3, n_samples=80, levels=255)
    columns = np.hstack([*worst_case(X, y, 0.1, box), y[:, None]])

    def value_and_gradient(x):
        m = columns @ x
        return loss.value(m).mean(), loss.derivative(m) @ columns / len(y)

    bounds = [(0, None)] * (2 * X.shape[1]) + [(None, None)]
    other = scipy.minimize(
        value_and_gradient, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
    )  # fmt: skip
    found = optimum.minimise(X, y, 0.1, ball=NAMES[box], loss=loss)
    assert found.objective == pytest.approx(other.fun, rel=1e-7)  # as far as L-BFGS-B goes
    assert found.objective <= other.fun * (1 + 1e-12)


@SMOOTH
@pytest.mark.parametrize("seed", range(4))
def test_boxed_minima_are_below_free_ones_and_equal_far_from_the_sides(seed, loss):
    X, y = problem(seed, levels=255)
    for pixels, eps in ((X, 0.1), (X, 0.4), (77 + X // 3, 0.1)):
        free, inside = (
            optimum.minimise(pixels, y, eps, ball=NAMES[box], loss=loss) for box in (0, 1)
        )
        assert inside.objective <= free.objective * (1 + 1e-12)
    assert inside.objective == pytest.approx(free.objective, rel=1e-12)
    np.testing.assert_allclose(inside.w, free.w, atol=1e-6 * np.abs(free.w).max())


@SMOOTH
@BOX
@pytest.mark.parametrize("eps", [0.0, 0.05])
def test_separable_data_have_an_infimum_of_0_that_only_the_hinges_attain(eps, box, loss):
    X, _ = problem(0, levels=255)
    y = np.where(X[:, 0] > 127, 1, -1)
    X[:, 0] = np.where(y > 0, 250, 5)
    found = optimum.minimise(X, y, eps, ball=NAMES[box], loss=loss)
    assert found.lower_bound == 0 and found.certified
    assert found.attained == (loss is SQUARED_HINGE)
    assert found.objective == 0 if found.attained else 0 < found.objective < 1e-20


def test_quasi_separable_data_have_an_infimum_that_the_logistic_loss_does_not_attain():
    X = np.array([[99, 0], [99, 0], [200, 9], [10, 0]], np.uint8)
    y = np.array([1, -1, 1, -1])
    for loss, least, attained in ((LOGISTIC, np.log(2) / 2, False), (SQUARED_HINGE, 0.5, True)):
        found = optimum.minimise(X, y, 0.0, loss=loss)
        assert found.attained == attained and found.certified
        assert found.lower_bound <= least <= found.objective <= least * (1 + 1e-9)


def test_repeated_samples_and_pixels_change_nothing(rng):
    X, y = problem(2)
    more = np.column_stack([np.full(60, 200, np.uint8), *[np.vstack([X, X])] * 2])
    for loss, eps in itertools.product((SQUARED_HINGE, LOGISTIC), (0.0, 0.1)):
        once = optimum.minimise(X, y, eps, loss=loss)
        twice = optimum.minimise(more, np.append(y, y), eps, loss=loss)
        assert twice.objective == pytest.approx(once.objective, rel=1e-11)
        assert twice.certified


@SMOOTH
@pytest.mark.parametrize("seed", range(6))
def test_balanced_multipliers_meet_every_condition_exactly(seed, loss):
    X, y = problem(seed, levels=(2, 255)[seed % 2])
    X = np.column_stack([X, X[:, 0], X[:, 1] // 3 * 3, np.zeros(len(y), np.uint8)])
    found = optimum.minimise(X, y, 0.0, loss=loss)
    t = found.multipliers * len(y)
    t = t * (1 + 1e-9 * np.random.default_rng(seed).standard_normal(len(y)))
    exact = [Fraction(v) for v in rational.balance(X, y, t, smooth.DUALS[loss.name].most)]
    for column in (*X.T, np.ones(len(y), int)):
        terms = [v * int(s) * int(x) for v, s, x in zip(exact, y, column, strict=True)]
        # The solution is exact, its floats are not: 2^-52 of each term.
        assert abs(sum(terms)) <= Fraction(1, 2**52) * sum(map(abs, terms))
    np.testing.assert_allclose([float(v) for v in exact], t, atol=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_a_regular_part_has_all_the_rank_and_finds_the_rows_that_spoil_it(seed):
    rng = np.random.default_rng(seed)
    M = rng.integers(-9, 10, (20, 3)) @ rng.integers(-9, 10, (3, 8))
    S, C, lonely = rational._independent(M, np.ones(20))
    assert len(S) == len(C) == np.linalg.matrix_rank(M) and not lonely.any()
    assert round(np.linalg.det(M[np.ix_(S, C)])) != 0
    M[4], M[:, 7], M[4, 7] = 0, 0, 1  # a column that one row holds, and with no weight to speak of
    _, C, lonely = rational._independent(M, np.where(np.arange(20) == 4, 1e-13, 1.0))
    assert np.flatnonzero(lonely).tolist() == [4] and 7 not in C


def test_balanced_sums_do_not_overflow():
    X, y = np.full((4, 2), 255, np.uint8), np.array([1, 1, -1, -1])
    t = np.array([4e8, 6e8, 5e8, 5e8 + 1.0])
    exact = rational.balance(X, y, t, np.inf)
    assert exact @ y == 0 and abs(exact - t).max() <= 1


def test_multipliers_far_from_feasible_prove_nothing():
    X, y = np.array([[0], [255], [255]], np.uint8), np.array([-1, 1, 1])
    with pytest.raises(rational.ProofError, match="nearby"):
        rational.balance(X, y, np.array([0.5, 0.5, 0.5]), 1.0)
    for eps in (0.0, 0.1):
        assert smooth.lower_bound(np.ones(3), X, y, eps, LOGISTIC, False) == 0


@SMOOTH
def test_bounds_hold_for_spoiled_multipliers(loss, rng):
    X, y = problem(1, levels=255)
    found = optimum.minimise(X, y, 0.1, loss=loss)
    for size in (1e-15, 1e-9, 1e-3, 0.3):
        t = found.multipliers * len(y) * (1 + size * rng.standard_normal(len(y)))
        t = np.clip(t, 0, smooth.DUALS[loss.name].most)
        assert smooth.lower_bound(t, X, y, 0.1, loss, False) <= found.objective


@SMOOTH
@BOX
def test_warm_starts_and_subsamples_find_the_same(box, loss, monkeypatch):
    X, y = problem(5, n_samples=400, levels=255)
    cold = optimum.minimise(X, y, 0.05, ball=NAMES[box], loss=loss)
    warm = optimum.minimise(X, y, 0.05, optimum.minimise(X, y, 0.1), ball=NAMES[box], loss=loss)
    monkeypatch.setattr(smooth, "SMALL", 20)
    parts = optimum.minimise(X, y, 0.05, ball=NAMES[box], loss=loss)
    assert cold.objective == pytest.approx(warm.objective, rel=1e-12)
    assert cold.objective == pytest.approx(parts.objective, rel=1e-12)


@pytest.mark.parametrize("unit", [1e-9, 1e12])
def test_pixels_of_any_size_are_solved_alike(unit):
    X, y = problem(4)
    found, expected = (
        optimum.minimise(X / 255 * size, y, 0.05 * size, loss=LOGISTIC) for size in (unit, 1.0)
    )
    assert found.objective == pytest.approx(expected.objective, rel=1e-9)
    assert found.certified and expected.certified


@needs_jit
@SMOOTH
@BOX
@pytest.mark.parametrize("eps", [0.1, 0.2, 0.3])
def test_mnist_minima_are_certified(mnist, eps, box, loss):
    X, y = datasets.load("train", (0, 1), np.uint8, mnist)
    found = optimum.minimise(X, y, eps, ball=NAMES[box], loss=loss)
    assert found.relative_gap <= 1e-9 and found.attained  # the accuracy promised
    assert found.objective == pytest.approx(F(found.w, found.b, X, y, eps, loss, box), abs=1e-14)
    sums = column_sums(X, y, found.multipliers, eps, box)
    assert sums.max() <= 1e-12 * found.multipliers.sum()
