"""The compiled kernel against its readable twin, and against itself."""

import itertools
import math
import os
import platform
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from conftest import needs_jit
from numba import njit

from numlin.balls import BALLS
from numlin.data import datasets
from numlin.kernels import BALL_CODES, arguments, compiled, frozen, plain, reference, screening
from numlin.kernels.jit import OPTIONS
from numlin.kernels.screening import PAUSE, Screening
from numlin.losses import LOSSES
from numlin.sgd import epoch_order

TWINS = [compiled.sgd_epoch, plain.sgd_epoch, reference.sgd_epoch]


def digits(rng, n_samples=170, n_features=37, real=np.float64, contrast=0.3):
    """Two classes of sparse pixels, multiples of 1/255, in [0, 1]; they overlap at low contrast."""
    y = rng.choice(np.array([-1, 1], np.int8), n_samples)
    own = np.equal.outer(y > 0, np.arange(n_features) % 2 == 1)
    ink = rng.random((n_samples, n_features)) < 0.2 + contrast * own
    pixels = (ink * rng.integers(0, 256, ink.shape)).astype(np.uint8)
    return pixels, (pixels / 255).astype(real), y


def run(sgd_epoch, X, y, order, *, real=np.float64, eps=0.05, loss="hinge", ball="linf", rate=0.1,
        batch_size=16, average=False, w=None, b=0.1, score=None, **options):  # fmt: skip
    """One call of a kernel from a fixed start; everything it returns or changes."""
    n_features, n_batches = X.shape[1], -(-len(order) // batch_size)
    call = arguments(
        X,
        y,
        np.linspace(-0.3, 0.4, n_features).astype(real) if w is None else w.copy(),
        b,
        order,
        np.linspace(rate, rate / 2, n_batches),
        batch_size,
        eps=eps,
        loss=LOSSES[loss],
        ball=BALLS[ball],
        grad_w=np.full(n_features, 7, real),
        score=np.full(batch_size, 7, real) if score is None else score,
        iterate_sum=np.zeros(n_features + 1 if average else 0),
        **options,
    )
    found = dict(zip(("b", "grad_b", "loss_sum", "mistakes", "rows_read"), sgd_epoch(*call)))
    found |= call.workspace._asdict()
    found["score"] = found["score"][: len(order) - (n_batches - 1) * batch_size]
    return found


def assert_same(one, other):
    """Equal to the last bit."""
    for name in one:
        assert np.array_equal(one[name], other[name]), name


def assert_close(one, other, tolerance):
    for name in one:
        np.testing.assert_allclose(
            one[name], other[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


CASES = [
    (loss, ball, mean, proximal)
    for loss, ball, mean, proximal in itertools.product(
        LOSSES, BALL_CODES, (True, False), (False, True)
    )
    if ball == "linf" or not proximal
]


@pytest.mark.parametrize("loss, ball, mean, proximal", CASES)
def test_twins_agree_to_rounding_over_an_epoch(loss, ball, mean, proximal):
    rng = np.random.default_rng(1)
    _, X, y = digits(rng)
    order = rng.permutation(len(y))
    options = {
        "loss": loss,
        "ball": ball,
        "mean": mean,
        "proximal": proximal,
        "rate": 0.1 if mean else 0.01,
        "average": True,
    }
    for batch_size in (1, 16, len(y)):
        # A sum of 37 terms in another order differs by some 37 * 1e-16; 170 steps add up.
        fast, plainly, readable = (
            run(kernel, X, y, order, batch_size=batch_size, **options) for kernel in TWINS
        )
        assert_close(fast, readable, 1e-12)
        assert_close(plainly, readable, 1e-12)


def test_cases_are_not_idle():
    # Sum of losses, mistakes and steps all move, or agreement would mean little.
    rng = np.random.default_rng(1)
    _, X, y = digits(rng)
    result = run(compiled.sgd_epoch, X, y, rng.permutation(len(y)))
    assert result["loss_sum"] > 10 and result["mistakes"] > 5 and result["rows_read"] == len(y)
    proximal = run(
        compiled.sgd_epoch, X, y, rng.permutation(len(y)), eps=0.2, rate=0.3, proximal=True
    )
    assert 3 < np.count_nonzero(proximal["w"] == 0) < 37


@pytest.mark.parametrize("batch_size", [1, 3, 10, 16, 64])
@pytest.mark.parametrize("eps, contrast", [(0.05, 0.3), (0.0, 0.6)], ids=["busy", "mostly idle"])
def test_batch_by_batch_equals_the_epoch_bit_for_bit(batch_size, eps, contrast):
    rng = np.random.default_rng(2)
    _, X, y = digits(rng, contrast=contrast)
    order = frozen(rng.permutation(len(y)))
    for kernel in TWINS:
        w = np.where(np.arange(37) % 2, 0.5, -0.5) * (1 + np.linspace(0, 0.1, 37))
        options = {"batch_size": batch_size, "eps": eps, "average": True}
        whole = run(kernel, X, y, order, w=w, **options)
        rates = np.linspace(0.1, 0.05, -(-len(order) // batch_size))
        b, loss_sum, mistakes, iterate_sum = 0.1, 0.0, 0, np.zeros(X.shape[1] + 1)
        for batch, first in enumerate(range(0, len(order), batch_size)):
            rows, rate = order[first : first + batch_size], rates[batch]
            part = run(kernel, X, y, rows, w=w, b=b, rate=rate, **options)
            w, b, score, grad_w, grad_b = (part[k] for k in ("w", "b", "score", "grad_w", "grad_b"))
            loss, missed = part["loss_sum"], part["mistakes"]
            iterate_sum += part["iterate_sum"]
            loss_sum += loss
            mistakes += missed
        assert (whole["b"], whole["grad_b"]) == (b, grad_b)
        assert (whole["loss_sum"], whole["mistakes"]) == (loss_sum, mistakes)
        assert np.array_equal(whole["w"], w) and np.array_equal(whole["grad_w"], grad_w)
        assert np.array_equal(whole["score"], score)
        assert np.array_equal(whole["iterate_sum"], iterate_sum)


@pytest.mark.parametrize("ball", ["linf", "linf-box"])
def test_raw_pixels_train_the_same_model(ball):
    rng = np.random.default_rng(3)
    pixels, X, y = digits(rng)
    order = rng.permutation(len(y))
    # k/255 rounded before or after the product: one rounding, 1e-16, per term.
    assert_close(
        run(compiled.sgd_epoch, pixels, y, order, ball=ball),
        run(compiled.sgd_epoch, X, y, order, ball=ball),
        1e-12,
    )


@pytest.mark.parametrize("ball", ["linf", "linf-box"])
def test_float32_agrees_to_its_own_rounding(ball):
    rng = np.random.default_rng(4)
    pixels, X, y = digits(rng)
    order = rng.permutation(len(y))
    exact = run(reference.sgd_epoch, X, y, order, ball=ball)
    for storage in (X.astype(np.float32), pixels):
        single = run(compiled.sgd_epoch, storage, y, order, ball=ball, real=np.float32)
        assert single["w"].dtype == np.float32
        # 11 steps of 37-term sums, each off by some 37 * 6e-8 of terms below 1.
        assert_close({"w": single["w"], "b": single["b"]}, {"w": exact["w"], "b": exact["b"]}, 1e-5)


def test_eps_zero_reduces_every_ball_to_the_plain_loss():
    rng = np.random.default_rng(5)
    _, X, y = digits(rng)
    order = rng.permutation(len(y))
    plain = run(compiled.sgd_epoch, X, y, order, eps=0.0)
    for ball in ("l2", "l1"):
        assert_same(run(compiled.sgd_epoch, X, y, order, eps=0.0, ball=ball), plain)
    assert_close(run(compiled.sgd_epoch, X, y, order, eps=0.0, ball="linf-box"), plain, 1e-12)


def test_one_step_computed_by_hand():
    # x = (1, 0.5), y = 1, w = (0.5, -0.25), b = 0: margin 0.375, ||w||_1 = 0.75, eps = 0.1:
    # robust margin 0.3, loss 0.7, gradient -(1, 0.5) + 0.1 (1, -1) = (-0.9, -0.6), -1 in b.
    X, y = np.array([[1.0, 0.5]]), np.array([1], np.int8)
    for kernel in TWINS:
        result = run(
            kernel,
            X,
            y,
            np.array([0]),
            eps=0.1,
            rate=0.5,
            batch_size=1,
            w=np.array([0.5, -0.25]),
            b=0.0,
        )
        # Two or three float64 roundings of numbers below 1.
        np.testing.assert_allclose(result["w"], [0.95, 0.05], rtol=0, atol=1e-15)
        np.testing.assert_allclose(result["grad_w"], [-0.9, -0.6], rtol=0, atol=1e-15)
        assert result["b"] == 0.5 and result["grad_b"] == -1 and result["score"][0] == 0.375
        assert result["loss_sum"] == pytest.approx(0.7, abs=1e-15) and result["mistakes"] == 0


@pytest.mark.parametrize("code", [-1, 4, 7])
def test_an_unknown_loss_or_ball_trains_nothing_but_nan(code):
    _, X, y = digits(np.random.default_rng(1))
    call = arguments(X, y, np.ones(37), 0.0, np.arange(len(y)), np.ones(2), 100, eps=0.1)
    for wrong in ({"loss": code}, {"ball": code}):
        risk = call.risk._replace(**wrong)
        for kernel in TWINS[:2]:
            workspace = call.workspace._replace(w=np.ones(37))
            _, _, loss, *_ = kernel(*call._replace(risk=risk, workspace=workspace))
            assert np.isnan(loss)


@needs_jit
def test_twins_agree_on_real_digits(mnist):
    X, y = datasets.load("train", (0, 1), np.float64, source=mnist)
    rng = np.random.default_rng(10)
    order, w = rng.permutation(len(y)), rng.uniform(-0.08, 0.08, X.shape[1])
    options = {"w": w, "eps": 0.1, "rate": 0.01, "batch_size": 100, "b": 0.0}
    compiled_, reference_ = (
        run(module.sgd_epoch, X, y.astype(np.int8), order, **options)
        for module in (compiled, reference)
    )
    # 127 steps of 784-term sums; 1e-12 leaves a factor of ten above 784 * 1e-16.
    assert_close(compiled_, reference_, 1e-12)


def test_a_margin_of_exactly_one_is_not_active():
    X, y = np.array([[1.0, 0.0]]), np.array([1], np.int8)
    for kernel in TWINS:
        result = run(
            kernel, X, y, np.array([0]), eps=0.0, batch_size=1, w=np.array([1.0, 0.5]), b=0.0
        )
        assert np.array_equal(result["w"], [1.0, 0.5]) and not result["grad_w"].any()
        assert result["loss_sum"] == 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("ball", BALL_CODES)
def test_a_nan_pixel_reaches_the_loss(loss, ball):
    rng = np.random.default_rng(6)
    _, X, y = digits(rng)
    X[40, 3] = np.nan
    for kernel in TWINS[:2] if ball == "linf-box" else TWINS:  # there the twin refuses it
        with np.errstate(invalid="ignore"):
            result = run(kernel, X, y, np.arange(len(y)), loss=loss, ball=ball)
        assert np.isnan(result["loss_sum"]) and np.isnan(result["w"]).any()


@pytest.mark.parametrize("storage", [np.float64, np.float32, np.uint8])
@pytest.mark.parametrize("n_features", [1, 7, 16, 63, 64, 65, 784])
def test_a_row_scores_the_same_bits_whatever_rows_stand_beside_it(storage, n_features):
    # Blocks, screening and calls batch by batch put other rows beside it, and must not show.
    rng = np.random.default_rng(8)
    X = frozen((rng.random((9, n_features)) * 255).astype(storage))
    w = rng.normal(size=n_features).astype(np.float64 if storage == np.float64 else np.float32)
    alone = [compiled.dot_four(X, i, i, i, i, w) for i in range(9)]
    for _ in range(20):
        four = rng.integers(9, size=4)
        for place, (i, found) in enumerate(zip(four, compiled.dot_four(X, *four, w))):
            assert found == alone[i][place] == alone[i][0]
    for i in range(9):
        # n_features roundings of terms below 255 * |w_j|.
        terms = X[i].astype(float) @ np.abs(w).astype(float)
        allowed = n_features * np.finfo(w.dtype).eps * terms
        assert alone[i][0] == pytest.approx(X[i].astype(float) @ w.astype(float), abs=allowed)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 50, 64, 65, 200, 1000])
@pytest.mark.parametrize("loss, eps", [("hinge", 0.0), ("hinge", 0.05), ("logistic", 0.05)])
def test_blocks_of_rows_meet_batches_of_any_size(batch_size, loss, eps):
    rng = np.random.default_rng(11)
    _, X, y = digits(rng, n_samples=310, contrast=0.6)
    order = rng.permutation(len(y))
    options = {
        "loss": loss,
        "eps": eps,
        "batch_size": batch_size,
        "rate": 0.02,
        "w": np.where(np.arange(37) % 2, 0.5, -0.5),
    }
    fast = run(compiled.sgd_epoch, X, y, order, **options)
    # As above: sums of 37 terms in another order, over at most 310 steps.
    assert_close(fast, run(reference.sgd_epoch, X, y, order, **options), 1e-12)
    assert fast["rows_read"] == len(y)


def test_what_is_read_ahead_changes_no_bit():
    rng = np.random.default_rng(12)
    _, X, y = digits(rng)
    order, ahead = epoch_order(len(y), 50, rng)
    assert len(ahead) in (120, 150)
    for hint in (ahead, np.zeros(1, np.int64), np.full(500, len(y) - 1)):
        assert_same(
            run(compiled.sgd_epoch, X, y, order, ahead=hint), run(compiled.sgd_epoch, X, y, order)
        )


@needs_jit
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="reads the assembly of x86-64 processors with fused multiply-adds",
)
@pytest.mark.parametrize("storage", ["float64", "float32", "uint8"])
def test_the_assembly_has_packed_fused_multiply_adds(storage):
    real = "float64" if storage == "float64" else "float32"
    signature = f"({storage}[:, ::1], int64, int64, int64, int64, {real}[::1])"
    dots = njit(signature, **OPTIONS)(compiled.dot_four.py_func)
    assembly = "".join(dots.inspect_asm().values())
    if "vfmadd" not in assembly:
        pytest.skip("this processor has no fused multiply-add")
    packed = set(re.findall(r"vfmadd\d+p[sd]\s.*%([xyz]mm\d+)$", assembly, re.MULTILINE))
    # Four rows with four independent accumulators each, or one where registers are few.
    wide = {name for name in packed if name[0] == "z"}
    assert len(wide) >= 16 if wide else len({name for name in packed if name[0] == "y"}) >= 4


@needs_jit
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86-64 assembly")
def test_rows_are_asked_for_in_the_second_level_cache():
    reading = njit("(float32[:, ::1], int64)", **OPTIONS)(compiled.start_reading.py_func)
    assembly = "".join(reading.inspect_asm().values())
    assert "prefetcht1" in assembly and "prefetcht0" not in assembly


def test_storage_that_cannot_be_written_trains_the_same(tmp_path):
    rng = np.random.default_rng(7)
    pixels, _, y = digits(rng)
    order = rng.permutation(len(y))
    pixels.tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=pixels.shape)
    writable = run(compiled.sgd_epoch, pixels, y, order)
    compilations = len(getattr(compiled.sgd_epoch, "signatures", ()))
    assert_same(run(compiled.sgd_epoch, mapped, y, order), writable)
    assert len(getattr(compiled.sgd_epoch, "signatures", ())) == compilations


def train_twice(seed, n_epochs=20):
    """Train on random data in a random way, unscreened and screened; yield both after each epoch.

    Step sizes go from timid to divergent: the bound must hold for those too.
    """
    rng = np.random.default_rng(seed)
    pixels, X, y = digits(
        rng, int(rng.integers(20, 200)), int(rng.integers(1, 60)), contrast=rng.uniform(0, 0.8)
    )
    real = (np.float64, np.float32, np.float32)[seed % 3]
    X = pixels if seed % 3 == 2 else X.astype(real)
    ball = str(rng.choice(["linf", "l2", "l1"]))
    options = {
        "real": real,
        "ball": ball,
        "loss": str(rng.choice(["hinge", "squared-hinge"])),
        "eps": float(rng.choice([0.0, 0.01, 0.05, 0.2])),
        "rate": 10 ** rng.uniform(-3, 0.5),
        "batch_size": int(rng.choice([1, 3, 10, 500])),
        "mean": bool(rng.random() < 0.7),
        "proximal": ball == "linf" and bool(rng.random() < 0.5),
        "average": True,
    }
    screen = Screening(X, np.zeros(X.shape[1], real)).screen()
    full = fast = {"w": rng.normal(scale=0.1, size=X.shape[1]).astype(real), "b": 0.0}
    for _ in range(n_epochs):
        order = rng.permutation(len(y))
        full = run(compiled.sgd_epoch, X, y, order, w=full["w"], b=full["b"], **options)
        before = screen.floor.copy()
        fast = run(
            compiled.sgd_epoch, X, y, order, w=fast["w"], b=fast["b"], screen=screen, **options
        )
        fast["renewed"] = np.count_nonzero(screen.floor != before)
        yield full, fast


@needs_jit
def test_screening_changes_no_bit_and_saves_rows():
    visited = read = 0
    with np.errstate(all="ignore"):
        for seed in range(150):
            for full, fast in train_twice(seed):
                visited += full["rows_read"]
                read += fast["rows_read"]
                assert fast["renewed"] <= fast["rows_read"] <= full["rows_read"], "rows counted"
                for name in ("w", "b", "grad_w", "grad_b", "loss_sum", "mistakes", "iterate_sum"):
                    assert np.array_equal(full[name], fast[name], equal_nan=True), (seed, name)
    assert read < 0.9 * visited


def test_screening_pauses_when_it_reads_most_rows_and_resumes():
    screening = Screening(np.ones((10, 2)), np.zeros(2))
    screened = []
    for rows_read in [10, 2, 9, *[10] * PAUSE, 10, 10, *[10] * 2 * PAUSE, 10, 3, 3]:
        screened.append(screening.screen().floor.size > 0)
        screening.note(rows_read)
    assert screened == [
        *[True] * 3,
        *[False] * PAUSE,
        *[True] * 2,
        *[False] * 2 * PAUSE,
        *[True] * 3,
    ]


def test_screening_bound_allows_for_the_rounding_of_a_dot_product():
    # w stays where it is, so nothing but rounding separates the bound from the exact score.
    rng = np.random.default_rng(9)
    _, X, y = digits(rng, n_features=600, real=np.float32)
    w = rng.normal(size=600).astype(np.float32)
    screen = Screening(X, w).screen()
    computed = (
        run(
            compiled.sgd_epoch,
            X,
            y,
            np.arange(len(y)),
            real=np.float32,
            w=w,
            b=0.0,
            rate=0.0,
            batch_size=len(y),
            screen=screen,
        )["score"]
        * y
    )
    exact = y * (X.astype(float) @ w.astype(float))
    side = (y > 0).astype(int)
    bound = screen.floor - screen.row_norm * screen.bounds[screening.REACH, side]
    assert (computed > exact).any()
    assert (bound <= exact).all() and (bound <= computed).all()
    assert (bound > exact - 0.05).all()


def root(square):
    """The square root of a Fraction, rounded up to a multiple of 1e-60."""
    return square and Fraction(math.isqrt(math.ceil(square * 10**120)) + 1, 10**60)


def exact(values):
    return [Fraction(float(value)) for value in values]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_screening_norms_of_rows_are_not_below_the_exact_ones(dtype):
    rng = np.random.default_rng(10)
    pixels = rng.integers(0, 256, (400, 50)).astype(np.uint8)
    X = pixels if dtype == "uint8" else (rng.random((400, 50)) ** 3).astype(dtype)
    norms = Screening(X, np.zeros(50, np.float32)).screen().row_norm
    white = 255 if dtype == "uint8" else 1
    for row, norm in zip(X, exact(norms), strict=True):
        length = root(sum(x * x for x in exact(row))) / white
        assert length <= norm <= length * (1 + Fraction(2, 10**9))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_screening_ways_are_not_below_the_exact_ones(dtype):
    rng = np.random.default_rng(11)
    for _ in range(200):
        w = rng.normal(size=50).astype(dtype)
        anchor = (w + rng.normal(scale=10.0 ** rng.integers(-8, 1), size=50)).astype(dtype)
        found = exact(screening.rise_and_fall(w, anchor))
        for length, way in zip(found, exact_ways(w, anchor), strict=True):
            assert way <= length <= way * (1 + Fraction(2, 10**9))


def exact_ways(w, anchor):
    """The norms of the positive and the negative part of w - anchor."""
    moves = [a - b for a, b in zip(exact(w), exact(anchor), strict=True)]
    return [root(sum(max(sign * move, 0) ** 2 for move in moves)) for sign in (1, -1)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("path, scale", [(1.0, 1e-9), (1.0, 0.1), (0.0, 0.0)])
def test_screening_bounds_are_not_below_the_exact_ones(dtype, path, scale):
    # Where the moves are tiny beside the path, only what raises their sum can make up for rounding.
    rng = np.random.default_rng(12)
    for _ in range(50):
        w, anchor = (rng.normal(scale=s, size=20).astype(dtype) for s in (1.0, scale))
        anchor += w
        screen = Screening(np.ones((3, 20), dtype), anchor).screen()
        screen.bounds[screening.PATH] = path * rng.uniform(0.5, 1.5, 2)
        b, drop = rng.normal(), rng.random()
        screening.update_bounds(screen, w, b, drop)
        paths, reach, credit, limit = map(exact, screen.bounds)
        rounding = Fraction(screen.rounding) * root(sum(v * v for v in exact(w)))
        ways = exact_ways(w, anchor)
        for side, sign in enumerate((1, -1)):
            assert reach[side] >= paths[side] + ways[side] + rounding
            assert reach[side] - credit[side] >= sum(ways) + 2 * rounding, "there and back"
            assert reach[side] - credit[side] <= (sum(ways) + 2 * rounding) * 2 + Fraction(1, 10**8)
            least = 1 + Fraction(drop) + sign * Fraction(b)
            assert least < limit[side] < least + Fraction(1, 10**8)


@needs_jit
def test_screening_allows_for_one_rounding_a_term_where_all_go_the_same_way():
    # Equal terms make every partial sum round alike, for long stretches.
    n_features, unit, worst = 2**18, np.finfo(np.float32).eps, 0.0
    X, y = np.ones((2, n_features), np.float32), np.array([-1, 1], np.int8)
    for value in np.linspace(0.51, 0.99, 9, dtype=np.float32):
        w = np.full(n_features, value)
        screen = Screening(X, w).screen()
        score = run(compiled.sgd_epoch, X, y, np.arange(2), real=np.float32, w=w, b=0.0, rate=0.0,
                    batch_size=2, screen=screen)["score"]  # fmt: skip
        true = n_features * float(value)
        side = (y > 0).astype(int)
        bound = screen.floor - screen.row_norm * screen.bounds[screening.REACH, side]
        assert (bound <= y * true).all() and (bound <= y * score).all()
        worst = max(worst, np.abs(score - true).max() / true)
    assert worst > 100 * unit, "or this test could not tell n roundings from one"


def test_screening_reads_rows_with_negative_or_nan_pixels():
    X = np.array([[0.5, 0.5], [0.5, -0.5], [0.5, np.nan]])
    assert np.array_equal(np.isnan(screening.row_norms(frozen(X))), [False, True, True])
    assert screening.row_norms(frozen(X))[0] == pytest.approx(np.sqrt(0.5), abs=1e-15)


def test_where_no_folder_can_be_written_the_kernel_is_compiled_in_memory(tmp_path):
    (tmp_path / "twice.py").write_text("""
from numlin.kernels.jit import jit

@jit
def twice(x):
    return 2 * x
""")
    (tmp_path / "__pycache__").touch()  # a file where Numba wants a folder
    nowhere = {"HOME": "/dev/null/nowhere", "XDG_CACHE_HOME": "/dev/null/nowhere"}
    path = ":".join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", "import twice; print(twice.twice(21))"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": path, **nowhere},
    )
    assert done.stdout == "42\n", done.stderr


DOUBLE = """
from numlin.kernels.jit import jit

@jit
def double(x):
    return 2 * x

@jit
def twice(x):
    return double(double(x))
"""


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@needs_jit
def test_stored_machine_code_that_is_damaged_is_compiled_anew_and_said_once(tmp_path):
    (tmp_path / "module.py").write_text(DOUBLE)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
    }

    def complaint():
        command = [sys.executable, "-c", "from module import *; print(twice(21), double(1.5))"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.stdout == "84 3.0\n", done.stderr
        return done.stderr

    assert complaint() == ""
    for kind, harm in (("nbi", empty), ("nbc", cut), ("nbc", flip_a_bit), ("nbc", None)):
        stored = list((tmp_path / "cache").rglob(f"*.{kind}"))
        assert len(stored) >= 2
        for path in stored * bool(harm):
            harm(path)
        said = complaint()
        assert said.count("\n") == bool(harm), "nothing is said of what has healed"
        assert said.startswith("numlin: compiling anew, the cache ") or not harm


@needs_jit
def test_a_disk_too_full_for_machine_code_is_no_error(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "none", str(tmp_path)]
    if not sys.platform.startswith("linux") or subprocess.run(mount, stderr=-3).returncode:
        pytest.skip("only root mounts file systems")
    program = "from numlin.kernels import compiled; compiled.sign_times(1.0, 1.0); " \
              "compiled.clip(1.0, 1.0); print('done')"  # fmt: skip
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert done.stdout == "done\n", done.stderr
    assert done.stderr.count("\n") == 1 and "compiling anew" in done.stderr


def test_without_compilation_the_kernel_still_runs():
    program = """
import numpy as np
from numlin.kernels import arguments, compiled, plain, reference
from numlin.kernels.screening import Screening
X, y = np.random.default_rng(0).random((150, 5)), np.tile(np.array([-1, 1], np.int8), 75)
for screened, size in ((False, 10), (False, 100), (True, 100), (False, 1), (False, 2)):
    results = []
    for kernel in (compiled.sgd_epoch, plain.sgd_epoch, reference.sgd_epoch):
        w, rates = np.linspace(-1, 1, 5), np.full(-(-150 // size), 0.01)
        screen = Screening(X, w).screen() if screened else None
        call = arguments(X, y, w, 0.0, np.arange(150), rates, size, eps=0.1, screen=screen)
        results.append(kernel(*call)[:4] + tuple(w))
    np.testing.assert_allclose(results[:2], [results[2]] * 2, rtol=1e-12)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
