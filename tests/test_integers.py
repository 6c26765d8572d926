"""Bounds in integers: exact sums, bounds that hold, and results that do not show them."""

import mmap
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from conftest import needs_jit
from test_kernels import assert_same, digits, run

from bench.ladder import variant
from numlin.kernels import compiled, frozen, integers, reference
from numlin.kernels.integers import (
    FEWEST_FEATURES,
    LARGEST,
    MOST_FEATURES,
    ROOMY,
    new_rounded,
    round_weights,
    unit_for,
)
from numlin.kernels.jit import jit
from numlin.kernels.screening import Screening
from numlin.support.arguments import WHITE


@jit
def dot_four_bytes(X, g, h, i, k, rounded, *ahead):
    """The kernel's own, which is no function where it is an instruction of the processor."""
    return integers.dot_four_bytes(X, g, h, i, k, rounded, *ahead)


def rounded_like(X, w, size=1.0, unit=None):
    """The integers of w (n_features,) for X, the unit, and the slack of the bounds."""
    rounded, unit = new_rounded(X), unit or unit_for(w)
    return rounded, unit, round_weights(w, size, unit, rounded)


def steps(rounded, n_features):
    """The integers that `rounded` stands for, as Python's."""
    return rounded[:n_features].tolist()


@pytest.mark.parametrize("n_features", [1, 2, 15, 63, 64, 65, 127, 128, 129, 300, 784])
@pytest.mark.parametrize("kind", ["random", "white", "one pixel"])
def test_sums_of_bytes_are_exact(n_features, kind):
    rng = np.random.default_rng(n_features)
    X = rng.integers(0, 256, (9, n_features)).astype(np.uint8)
    w = rng.normal(size=n_features).astype(np.float32)
    if kind == "white":
        X[:], w[:] = WHITE, np.where(rng.random() < 0.5, 1, -1)
    elif kind == "one pixel":
        X[:], w[:] = np.eye(9, n_features, n_features - 9) * 255, 2.0
    rounded, unit, _ = rounded_like(X, w)
    q = steps(rounded, n_features)
    assert q == np.rint(w / np.float32(unit)).astype(int).tolist()
    assert max(map(abs, q)) == ROOMY <= LARGEST
    if kind == "white":
        rounded, *_ = rounded_like(X, w, unit=unit / 4)  # cut off: the largest sum of all
        q = steps(rounded, n_features)
        assert set(map(abs, q)) == {LARGEST}
    expected = [sum(x * v for x, v in zip(row, q, strict=True)) for row in X.tolist()]
    ways = [integers.dot_four_in_a_loop] + [dot_four_bytes] * (n_features >= FEWEST_FEATURES)
    for way in ways:
        for four in ((0, 1, 2, 3), (8, 8, 0, 5), rng.integers(9, size=4)):
            found = way(frozen(X), *four, rounded, 7, 6, 5, 8, n_features)
            assert list(found) == [expected[i] for i in four]


def test_the_largest_sums_are_exact_where_there_are_most_features():
    assert 2 * WHITE * LARGEST < 2**15, "two products in 16 bits"
    X = np.full((4, MOST_FEATURES), WHITE, np.uint8)
    w = np.ones(MOST_FEATURES)
    rounded, *_ = rounded_like(X, w, unit=unit_for(w) / 2)
    found = dot_four_bytes(frozen(X), 0, 1, 2, 3, rounded, 0, 0, 0, 0, 64)
    assert list(found) == [WHITE * LARGEST * MOST_FEATURES] * 4


@needs_jit
@pytest.mark.parametrize("n_features", [64, 65, 127, 784])
def test_nothing_beyond_the_last_row_is_read(n_features):
    # The rows end where the mapped page ends; what lies behind may belong to nobody.
    page, size = mmap.PAGESIZE, 4 * n_features
    memory = mmap.mmap(-1, -(-size // page) * page)
    X = np.frombuffer(memory, np.uint8)[-size:].reshape(4, n_features)
    X[:] = 255
    rounded, *_ = rounded_like(X, np.ones(n_features))
    found = dot_four_bytes(frozen(X), 0, 1, 2, 3, rounded, 3, 3, 3, 3, n_features)
    assert found == (255 * n_features * ROOMY,) * 4


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e-35, 1e-45, 1e30])
def test_bounds_hold_for_the_exact_score_and_for_the_computed_one(real, scale):
    rng = np.random.default_rng(3)
    for n_features in (1, 40, 784):
        X = frozen(rng.choice(np.array([0, 1, 128, 255], np.uint8), (8, n_features)))
        w = (rng.normal(size=n_features) * scale).astype(real)
        good = unit_for(w)
        for unit in (good, float(real(good / 7)), float(real(good * 1000))):
            rounded, _, slack = rounded_like(X, w, unit=unit)
            q = steps(rounded, n_features)
            assert max(map(abs, q)) <= LARGEST
            for i in range(8):
                score = compiled.dot_four(X, i, i, i, i, w)[0]
                whole = sum(x * v for x, v in zip(X[i].tolist(), q, strict=True))
                exact = sum(x * Fraction(float(v)) for x, v in zip(X[i].tolist(), w, strict=True))
                for truth in (exact, Fraction(float(score))):
                    gap = abs(truth - Fraction(unit) * whole) / 255
                    assert gap <= Fraction(slack)
            if scale == 1.0 and unit == good:  # and say something: a quarter of a unit for a pixel
                worst = n_features * (0.3 * unit + 1600 * np.finfo(real).eps * abs(w).max()) + unit
                assert slack < worst


@pytest.mark.parametrize("label", [-1, 1])
def test_a_sample_that_rounding_makes_look_safe_is_active_all_the_same(label):
    """White pixels, and weights that all lose 0.49 of a unit: integers see a margin above 1."""
    n_features = 64
    unit = 1 / ROOMY
    w = np.full(n_features, -label * 30.49 * unit)
    w[0] = 1.0
    X = np.full((40, n_features), 255, np.uint8)
    y = np.full(40, label, np.int8)
    score = float(w.sum())
    b = label * (1 - 1e-6) - score  # the margin is 1 - 1e-6, in integers 1 + 0.5
    rounded, found, slack = rounded_like(X, w)
    seen = label * (found * sum(steps(rounded, n_features)) + b)
    assert seen > 1.4 and seen - slack < 1
    for epoch in (kernel(), reference.sgd_epoch):
        result = run(epoch, X, y, np.arange(40), w=w, b=b, eps=0.0, batch_size=20, rate=1e-12)
        assert result["loss_sum"] == pytest.approx(40e-6, rel=1e-2)


@cache
def kernel(*changes):
    """The compiled kernel, in integers on any processor, with (old, new) changed in its source."""
    everywhere = (
        () if integers.MULTIPLIES_BYTES else (("        MULTIPLIES_BYTES\n", "        True\n"),)
    )
    both = everywhere + changes
    return variant(compiled, both) if both else compiled.sgd_epoch


CARELESS = ("b, drop + slack, white", "b, drop - 1e9, white")  # takes all for safe


def by_batches(X, y, order, batch_size, rate, w, b, **options):
    """An epoch and its last scores, a call for each batch: wanted, all are in floating point."""
    found = {"loss_sum": 0.0, "mistakes": 0}
    firsts = range(0, len(order), batch_size)
    for first, step in zip(firsts, np.linspace(rate, rate / 2, len(firsts)), strict=True):
        rows = order[first : first + batch_size]
        part = run(kernel(), X, y, rows, batch_size=len(rows), rate=step, w=w, b=b,
                   **options)  # fmt: skip
        w, b = part["w"], part["b"]
        for name in found:
            found[name] += part[name]
    found |= {"w": w, "b": b, "grad_w": part["grad_w"], "grad_b": part["grad_b"]}
    return found, part["score"]


@needs_jit
@pytest.mark.parametrize("loss", ["hinge", "squared-hinge", "logistic"])
@pytest.mark.parametrize("ball", ["linf", "l2", "l1", "linf-box"])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_results_are_the_same_bits_as_in_floating_point(loss, ball, real):
    rng, told = np.random.default_rng(5), 0
    cases = (70, 0.3, 0.05, 0.5), (70, 0.6, 0.05, 0.5), (784, 0.6, 0.0, 0.02), (784, 0.1, 0.01, 0.1)
    for n_features, contrast, eps, weight in cases:
        pixels, _, y = digits(rng, 500, n_features, contrast=contrast)
        order = rng.permutation(500)
        w = np.where(np.arange(n_features) % 2, weight, -weight).astype(real)
        for batch_size in (1, 15, 50, 500):
            options = {"loss": loss, "ball": ball, "eps": eps, "batch_size": batch_size}
            options |= {"real": real, "rate": 0.01, "w": w, "b": 0.1}
            expected, last = by_batches(pixels, y, order, **options)
            whole, wrong = (
                run(epoch, pixels, y, order, score=np.empty(0, real), **options)
                for epoch in (kernel(), kernel(CARELESS))
            )
            assert_same(expected, {name: whole[name] for name in expected})
            told += wrong["loss_sum"] != whole["loss_sum"]
            scored = run(kernel(), pixels, y, order, **options)
            assert_same(expected, {name: scored[name] for name in expected})
            assert np.array_equal(scored["score"], last)
    assert (told > 3) == (ball != "linf-box" and loss != "logistic"), "where integers have a say"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_not_rounded_away(wrong):
    pixels, _, y = digits(np.random.default_rng(6), 60, 64)
    w = np.full(64, 0.5)
    w[3] = wrong
    slack = rounded_like(pixels, w)[2]
    assert not slack < np.inf
    with np.errstate(invalid="ignore"):  # inf * 0
        result = run(kernel(), pixels, y, np.arange(60), w=w, eps=0.0, batch_size=20)
    assert np.isnan(result["loss_sum"]) or np.isinf(result["loss_sum"])


def test_scores_that_nobody_wants_are_left_out():
    # Without room for scores the last batch, too, is bounded: the rest is the same.
    pixels, _, y = digits(np.random.default_rng(7), 90, 64)
    order = np.arange(90)
    for epoch in (kernel(), reference.sgd_epoch):
        with_scores = run(epoch, pixels, y, order, batch_size=90)
        without = run(epoch, pixels, y, order, batch_size=90, score=np.empty(0))
        assert with_scores.pop("score").shape == (90,) and without.pop("score").shape == (0,)
        assert_same(with_scores, without)


@needs_jit
def test_screening_remembers_scores_and_not_what_integers_say():
    # With steps of 0 a floor is the score less its rounding, far closer than integers come.
    pixels, _, y = digits(np.random.default_rng(8), 200, 784)
    w = np.random.default_rng(9).normal(size=784)  # half of the samples are inactive
    screen = Screening(pixels, w).screen()
    run(kernel(), pixels, y, np.arange(200), w=w, b=0.0, rate=0.0, eps=0.0, batch_size=50,
        screen=screen, score=np.empty(0))  # fmt: skip
    exact = y * (pixels.astype(float) @ w) / 255
    assert (screen.floor <= exact).all() and (screen.floor > exact - 1e-8).all()
