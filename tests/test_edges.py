"""Where rules meet: a score of 0, a margin of 1, ties, the walls of the box, and what diverges."""

import numpy as np
import pytest

from numlin import kernels, optimum
from numlin.attacks import attack, radii, robust_accuracy
from numlin.balls import BALLS
from numlin.losses import LOGISTIC, LOSSES
from numlin.objective import error_rate, objective, robust_margin, subgradient
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
