"""Where rules meet: a score of 0, a margin of 1, ties, the walls of the box, and what diverges."""

from fractions import Fraction

import numpy as np
import pytest

from numlin import kernels, optimum
from numlin.attacks import attack, radii, robust_accuracy
from numlin.balls import BALLS
from numlin.kernels import loop, screening
from numlin.kernels.screening import Screening
from numlin.losses import LOGISTIC, LOSSES
from numlin.objective import error_rate, kinks, objective, robust_margin, subgradient
from numlin.optimum import smooth
from numlin.optimum.proof import certificate, path_verifier
from numlin.sgd import DivergenceError, Training, fit

# w = (3, -4), b = 0.5, eps = 0.25; images (0.5, 0.25), (0, 1), (1, 0.125) with labels +, -, -.
W, B, EPS = np.array([3.0, -4.0]), 0.5, 0.25
X = np.array([[0.5, 0.25], [0.0, 1.0], [1.0, 0.125]])
Y = np.array([1, -1, -1])
CLEAN = [1.0, 3.5, -3.0]
DROPS = {  # by hand
    "linf": [1.75, 1.75, 1.75],
    "l2": [1.25, 1.25, 1.25],
    "l1": [1.0, 1.0, 1.0],
    "linf-box": [1.75, 1.75, 0.5],  # - - +: the third can only darken the second pixel, by 0.125
    "l2-box": [1.25, 1.25, 0.5],
    "l1-box": [1.0, 1.0, 0.5],
}


@pytest.mark.parametrize("name", DROPS)
def test_each_ball_takes_what_it_takes_by_hand(name):
    ball, margin = BALLS[name], np.subtract(CLEAN, DROPS[name])
    np.testing.assert_allclose(robust_margin(W, B, X, Y, EPS, ball), margin, rtol=1e-14)
    assert error_rate(W, B, X, Y, EPS, ball) == np.mean(margin <= 0)
    hinge = np.maximum(0, 1 - margin)
    for loss, values in {
        "hinge": hinge, "squared-hinge": hinge**2, "logistic": np.log(1 + np.exp(-margin))
    }.items():  # fmt: skip
        found = objective(W, B, X, Y, EPS, LOSSES[loss], ball)
        assert found == pytest.approx(values.mean(), rel=1e-14)
    worst = attack(W, B, X, Y, EPS, name)
    np.testing.assert_allclose(Y * (worst.X_adv @ W + B), margin, rtol=1e-13, atol=1e-13)
    assert worst.success.tolist() == (margin <= 0).tolist()
    if ball.bounds:
        assert worst.X_adv.min() >= 0 and worst.X_adv.max() <= 1


def test_the_error_in_a_ball_is_that_of_this_ball():
    w, b = np.array([3.0, -4.0]), 0.0
    rates = {name: error_rate(w, b, X[:1], [1], 0.115, ball) for name, ball in BALLS.items()}
    # A margin of 0.5: l-inf takes 0.805, l2 0.575, l1 0.46.
    assert rates == {"linf": 1, "l2": 1, "l1": 0, "linf-box": 1, "l2-box": 1, "l1-box": 0}
    pale = np.array([[0.0, 1.0]])  # margin -4 for +, 4 for -; the box leaves both pixels one way
    assert error_rate(w, 0.0, pale, [-1], 0.6) == 1
    assert error_rate(w, 5.0, pale, [1], 0.2) == 1
    assert error_rate(w, 5.0, pale, [1], 0.2, BALLS["linf-box"]) == 0


def test_a_score_of_zero_is_fooled_and_a_radius_of_eps_is_an_error():
    w, X = np.array([1.0, 0.0]), np.array([[0.5, 0.5], [0.75, 0.5]])
    worst = attack(w, -0.5, X, [1, 1], [0.0, 0.25])
    assert worst.success.tolist() == [True, True] and (worst.X_adv @ w - 0.5).tolist() == [0, 0]
    assert radii(w, -0.5, X, [1, 1]).tolist() == [0, 0.25]
    assert robust_accuracy([0.25, 0.5, np.inf], [0.0, 0.25, 0.5, 1]).tolist() == [
        1, 2 / 3, 1 / 3, 1 / 3
    ]  # fmt: skip


def one_step(engine, X, y, w, b, **setting):
    """grad_w, grad_b, summed loss and mistakes of a batch of all samples."""
    arguments = kernels.arguments(
        X, y, w.copy(), b, np.arange(len(y)), np.zeros(1), len(y), **setting
    )
    _, grad_b, loss, mistakes, _ = kernels.load(engine).sgd_epoch(*arguments)
    return arguments.workspace.grad_w, grad_b, loss, mistakes


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_margin_of_exactly_1_in_the_box_is_not_active_and_one_of_0_is_a_mistake(engine):
    # w = 2, b = -1/2, eps = 1/4: black loses a quarter, margin 3/2 - 1/2; white gains one, 0.
    X, y, w = np.array([[1.0], [0.0]]), np.array([1, -1], np.int8), np.array([2.0])
    found = one_step(engine, X, y, w, -0.5, eps=0.25, ball=BALLS["linf-box"])
    assert [float(found[0][0]), *map(float, found[1:])] == [0.125, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_of_equal_weights_the_l1_ball_moves_the_first(engine):
    X, y = np.array([[0.5, 0.5, 0.5]]), np.array([1], np.int8)
    w = np.array([0.25, -1.0, 1.0])
    grad_w, grad_b, loss, _ = one_step(engine, X, y, w, 0.0, eps=0.5, ball=BALLS["l1"])
    assert grad_w.tolist() == [-0.5, -0.5 - 0.5, -0.5] and grad_b == -1
    assert loss == 1 - 0.125 + 0.5
    exact = subgradient(w, 0.0, X, y, 0.5, ball=BALLS["l1"])[0]
    assert exact.tolist() == grad_w.tolist()


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_margin_that_is_no_number_is_a_mistake_and_reaches_the_loss(engine):
    X, y = np.array([[np.nan], [1.0]]), np.array([1, 1], np.int8)
    *_, loss, mistakes = one_step(engine, X, y, np.array([2.0]), 0.0)
    assert np.isnan(loss) and mistakes == 1


@pytest.mark.parametrize(
    "start, reach", [("zero", (0, 0)), ("glorot", (np.sqrt(6 / 5), 0)), ("fan-in", (0.5, 0.5))]
)
def test_starts_reach_as_far_as_they_say_on_both_sides(start, reach):
    X, y = np.zeros((2, 4)), np.array([-1, 1])  # black images, both active: w and b stay put
    plans = [Training(start=start, n_epochs=1, seed=seed, engine="numpy") for seed in range(60)]
    found = [fit(X, y, plan) for plan in plans]
    for values, limit in zip(([f.w for f in found], [f.b for f in found]), reach):
        for largest in (np.max(values), -np.min(values)):
            assert 0.9 * limit <= largest <= limit * (1 + 1e-6)


@pytest.mark.parametrize("epoch", [2, 4])
def test_what_diverges_is_named_by_its_epoch_counted_from_one(blobs, epoch):
    class Break:
        on_batch = None

        def on_epoch(self, state):
            if state.epoch == epoch - 2:
                state.w[:] = 3e38

    plan = Training(n_epochs=5, engine="numpy", eps=0.1)
    with pytest.raises(DivergenceError, match=f"in epoch {epoch} of 5"):
        fit(*blobs, plan, [Break()])


def test_multipliers_that_are_feasible_but_for_a_rounding_bound_nothing():
    X, y, ones = np.array([[0.0], [1.0]]), np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    # The balls touch at 1/2: below it, by one bit, both can be told apart and the infimum is 0.
    assert smooth.lower_bound(ones, X, y, np.nextafter(0.5, 0), LOGISTIC, False) == 0
    assert smooth.lower_bound(ones, X, y, 0.5, LOGISTIC, False) == 0
    sure = smooth.lower_bound(ones, X, y, 0.5 + 1e-12, LOGISTIC, False)
    assert 0 < sure <= np.log(2) and sure == pytest.approx(np.log(2), rel=1e-10)


@pytest.mark.parametrize(
    "low, high, first", [(0.03, 0.4, "inf"), (0.0, 1.0, "inf"), (0.1, 0.1, "inf")]
)
def test_a_range_of_eps_is_claimed_from_where_the_first_corner_is_optimal(low, high, first):
    rng = np.random.default_rng(3)
    X, y = rng.integers(0, 256, (20, 3)).astype(np.uint8), np.where(np.arange(20) % 2, 1, -1)
    claim = certificate.path_claim(optimum.whole_path(X, y, low, high))
    assert claim["high"] == first and claim["low"] == {0.03: "3/100", 0.0: "0", 0.1: "1/10"}[low]
    eps, hinge, l1 = path_verifier.check(claim, X, y, processes=1)
    assert len(hinge) == len(l1) == len(eps) + 1


@pytest.mark.parametrize("numbers", [[0], [0, 1, 2], [0, 2, 3], [1, 2], [1], [5, 6, 8], []])
def test_runs_hold_every_number_once_from_the_first_on(numbers):
    runs = certificate._runs(np.array(numbers, int))
    assert [n for first, count in runs for n in range(first, first + count)] == numbers
    assert len(runs) == sum(n - 1 not in numbers for n in numbers)


# Bounds hold for the numbers as they are, not for their neighbours.


def balanced_exactly(a, X, y):
    """Mass and reach in fractions, the heavier class scaled down."""
    a = [Fraction(v) for v in a]
    sides = {s: sum(v for v, sign in zip(a, y) if sign == s) for s in (-1, 1)}
    least = min(sides.values())
    a = [v * least / sides[int(s)] for v, s in zip(a, y)]
    return 2 * least, max(
        abs(sum(v * int(s) * int(x) for v, s, x in zip(a, y, column))) for column in X.T
    ) / Fraction(255)


@pytest.mark.parametrize("heavy", [-1, 1])
def test_the_heavier_class_is_scaled_down_and_both_ends_are_safe_and_close(heavy):
    rng = np.random.default_rng(5)
    for _ in range(8):
        X, y = rng.integers(0, 256, (40, 4)).astype(np.uint8), np.where(np.arange(40) % 2, 1.0, -1)
        a = rng.random(40) * np.where(y == heavy, 3, 1)
        exact_mass, exact_reach = balanced_exactly(a, X, y)
        mass, reach = optimum._balanced(a, X, y)
        assert exact_mass * (1 - Fraction(1, 10**12)) < Fraction(mass) <= exact_mass
        assert exact_reach <= Fraction(reach) < exact_reach + exact_mass / 10**12


def test_a_sum_whose_roundings_all_go_one_way_is_still_bounded():
    y = np.where(np.arange(600) % 2, 1.0, -1.0)
    X = np.where(y > 0, 255, 0).astype(np.uint8)[:, None]
    for constant in np.random.default_rng(0).random(60):
        a = np.full(600, constant)
        mass, reach = optimum._balanced(a, X, y)
        assert Fraction(mass) <= 600 * Fraction(constant)
        assert Fraction(reach) >= 300 * Fraction(constant)


def test_both_ends_of_a_margin_are_on_their_side_of_what_they_are_computed_from():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, y = rng.integers(0, 256, (14, 3)).astype(np.uint8), np.where(np.arange(14) % 2, 1, -1)
        X[:, 0] = np.where(y > 0, X[:, 0] // 2 + 128, X[:, 0] // 2)
        found = optimum.margin(X, y)
        w, b = [Fraction(v) for v in found.w], Fraction(found.b)
        scores = [sum(v * int(x) for v, x in zip(w, row)) / 255 + b for row in X]
        attained = min(int(s) * score for s, score in zip(y, scores)) / sum(map(abs, w))
        assert 0 < Fraction(found.lower) <= attained < Fraction(found.lower) + Fraction(1, 10**12)
        mass, reach = balanced_exactly(found.multipliers, X, y)
        assert reach / mass <= Fraction(found.upper) < reach / mass + Fraction(1, 10**12)


@pytest.mark.parametrize("distance", [1e-5, 1e-7, 1e-8])
def test_the_lower_end_of_a_tiny_margin_is_attained(distance):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = rng.random((12, 3)), np.where(np.arange(12) % 2, 1, -1)
        X[:, 0] = 0.6 + y * distance * (1 + rng.random(12))
        found = optimum.margin(X, y)
        w, b = [Fraction(v) for v in found.w], Fraction(found.b)
        scores = [sum(v * Fraction(x) for v, x in zip(w, row)) + b for row in X]
        attained = min(int(s) * score for s, score in zip(y, scores)) / sum(map(abs, w))
        assert 0 <= Fraction(found.lower) <= max(attained, 0)
        assert found.lower > distance / 2


@pytest.mark.parametrize("direction", [-1, 1])
def test_however_far_w_goes_in_epochs_no_row_is_skipped_whose_margin_is_1_or_less(direction):
    rng, skipped, read = np.random.default_rng(7), 0, 0
    for _ in range(20):
        X, y = rng.random((30, 2)), rng.choice([-1, 1], 30).astype(np.int8)
        w, b = direction * -rng.uniform(1, 3, 2), float(rng.normal())
        screen = Screening(X, w).screen()
        screening.move_anchor(screen, w)
        screening.update_bounds(screen, w, b, 0.25)
        for i in range(30):
            side = int(y[i] > 0)
            credit = screen.row_norm[i] * screen.bounds[screening.CREDIT, side]
            screen.floor[i] = y[i] * (X[i] @ w) + credit
        for _ in range(6):  # epochs, an anchor at the start of each
            screening.move_anchor(screen, w)
            for _ in range(2):
                w += direction * rng.uniform(0, 0.3) * np.array([0.6, 0.8])
                screening.update_bounds(screen, w, b, 0.25)
                for i in range(30):
                    exact = sum(Fraction(p) * Fraction(v) for p, v in zip(X[i], w)) + Fraction(b)
                    margin = int(y[i]) * exact - Fraction(0.25)
                    skip = screening.can_skip(screen, i, float(y[i]))
                    assert not skip or margin > 1
                    skipped, read = skipped + skip, read + (not skip and margin > 1)
    assert skipped > 500 and read < 4 * skipped


@pytest.mark.parametrize("pixel, plan", [
    (1, {"learning_rate": 1e39, "dtype": "float32"}),  # w beyond all float32, b a float64
    (0, {"learning_rate": 1.7e308, "dtype": "float64", "reduction": "sum"}),  # w = 0, b infinite
], ids=["w", "b"])  # fmt: skip
def test_weights_or_a_bias_that_are_lost_in_the_last_step_are_told(pixel, plan):
    X = np.array([[pixel], [0], [pixel], [pixel]], float)
    plan = Training(start="zero", n_epochs=1, batch_size=4, engine="numpy", **plan)
    with pytest.raises(DivergenceError, match=r"in epoch 1 of 1.*\(mean loss 1\)"):
        fit(X, [1, -1, 1, 1], plan)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_blocks_are_read_ahead_up_to_so_many_bytes(dtype):
    X = np.zeros((2, 16), dtype)
    most = loop.READ_AHEAD // (16 * X.itemsize)
    assert loop.reads_ahead(X, most) and not loop.reads_ahead(X, most + 1)


def test_a_worst_delta_at_the_wall_is_a_kink_of_the_box():
    """w = (3, -4): in the l1 box a +1 at (0.5, 0.25) is moved up in the second pixel alone."""
    found = kinks(W, B, X[:1], Y[:1], 0.75, ball=BALLS["l1-box"])
    assert found["delta"].tolist() == [[0.0, 0.75]]
    assert found["distance to the box"].tolist() == [[0.5, 0.0]]  # the second pixel is at 1
