"""What a benchmark table says, by hand; and no row is timed that computes something else."""

from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import needs_jit

pytest.importorskip("bench", reason="the benchmarks are not part of this installation")

from bench import convergence, kernels, limits, many, processes, radii, report, screening, timing
from bench import data as bench_data
from numlin.kernels import frozen, integers
from numlin.objective import objective


@pytest.fixture(scope="module")
def few():
    """80 pictures of 24 pixels, and 30 to test."""
    rng = np.random.default_rng(6)
    y = np.where(np.arange(110) % 2, 1, -1).astype(np.int8)
    X = np.clip(rng.normal(120 + 25 * y[:, None] * (np.arange(24) % 3 - 1), 60), 0, 255)
    X = X.astype(np.uint8)
    w = rng.normal(0, 0.3, 24)
    middle = {eps: (w.astype(np.float32), 0.1) for eps in bench_data.EPS}
    return bench_data.Data("few", X[:80], y[:80], X[80:], y[80:], middle)


def exact_of(few):
    X, y = few.stored("float64"), few.y.astype(float)
    return lambda *key: bench_data.numpy_epoch(X, y, bench_data.start(few, *key), np.float64)


def active_in_an_epoch(few, eps, size):
    """Samples with a robust margin below 1 when their batch comes, and where w and b end."""
    start = bench_data.start(few, eps, size)
    w, b, rate, n = start.w.astype(float), start.b, start.learning_rate, 0
    for k in range(0, 80, size):
        rows = start.order[k : k + size]
        x, s = few.pixels[rows] / 255, few.y[rows].astype(float)
        active = s * (x @ w + b) - eps * np.abs(w).sum() < 1
        n += active.sum()
        step = (active * s) @ x - active.sum() * eps * np.sign(w)
        w, b = w + rate * step / len(rows), b + rate * (active @ s) / len(rows)
    return int(n), w, b


@pytest.mark.parametrize("eps, size", [(0.0, 16), (0.1, 33)])
def test_operations_and_bytes_are_those_of_rows_scored_and_rows_added(few, eps, size):
    n_active, w, b = active_in_an_epoch(few, eps, size)
    assert 0 < n_active < 80
    found_w, found_b, _, found = exact_of(few)(eps, size)
    assert found == n_active and found_b == pytest.approx(b, rel=1e-12)
    np.testing.assert_allclose(found_w, w, rtol=1e-12)
    for storage, width in (("float32", 4), ("float64", 8)):
        case = kernels.epoch("numpy", few.stored(storage), few, (eps, size), exact_of(few))
        case.check()
        assert case.flops == 2 * 24 * 80 + 2 * 24 * n_active
        assert (case.rows, case.n_bytes, case.real) == (80, 80 * 24 * width, storage)
        product = kernels.product(few.stored(storage), storage)
        product.check()
        assert (product.flops, product.rows) == (2 * 80 * 24, 80)
        assert (product.n_bytes, product.real) == (80 * 24 * width, storage)
        case.run.kernel = lambda *groups: (groups[5], 0.0, np.nan, 0, 80)  # trains nothing
        with pytest.raises(timing.WrongResult):
            case.check()
    for real in ("float32", "float64"):
        case = limits._multiply_add(real, 7)
        assert (case.flops, case.real) == (2 * 16 * 2048 * 7, real)


@needs_jit
@pytest.mark.skipif(not integers.MULTIPLIES_BYTES, reason="the processor multiplies no bytes")
def test_the_limit_of_summing_bytes_is_what_the_kernel_sums(few, monkeypatch):
    pixels, w = (np.tile(part, 3) for part in (few.pixels, few.middle[0.1][0]))  # 72 pixels each
    order = np.random.default_rng(1).permutation(79)
    case = limits.bytes_multiplied(frozen(pixels), order, w)
    case.check()
    per_unit = 1 / (np.abs(w).max() / np.float32(integers.ROOMY))
    rounded = np.rint(w * per_unit).astype(int)
    assert case.run() == (pixels[order[:76]].astype(int) @ rounded).sum()
    monkeypatch.setattr(limits, "sum_bytes", lambda *_: 7)
    with pytest.raises(timing.WrongResult, match="found 7"):
        case.check()


def row(name, seconds, baseline="", **counts):
    case = timing.Case(name, None, baseline=baseline, **counts)
    return case.row(list(range(len(seconds))), list(seconds))


def test_a_row_is_held_against_the_limit_of_its_own_precision():
    group = [
        row(timing.READ_LIMIT, [0.5], n_bytes=10**9),
        row(timing.FMA_LIMIT["float32"], [1.0], flops=8 * 10**9),
        row(timing.FMA_LIMIT["float64"], [1.0], flops=4 * 10**9),
        row("base", [3.0, 1.0, 2.0], rows=10),
    ]
    for real, share in (("float32", 0.25), ("float64", 0.5)):
        case = row("case", [1.0, 9.0, 1.0], "base", rows=20, n_bytes=10**9, flops=2 * 10**9,
                   real=real)  # fmt: skip
        found = timing.summary(case, [*group, case])
        assert (found["of_fma_limit"], found["of_read_limit"]) == (share, 0.5)
        assert found["ratio"] == 0.25 and found["iqr"] == 4 and found["minimum"] == 1
    assert [report.duration(s) for s in (2.5, 1.0, 0.25, 0.001, 2.5e-6)] == [
        "2.5 s", "1 s", "250 ms", "1 ms", "2.5 us"
    ]  # fmt: skip


@pytest.mark.parametrize("numbers, verdict", [
    ((1.05, 1.01, 1.09), "slower"), ((1.05, 0.99, 1.11), "no difference"),
    ((1.015, 1.01, 1.02), "no difference"), ((0.95, 0.9, 0.99), "faster"),
    ((0.95, 0.9, 1.01), "no difference"), ((0.99, 0.985, 0.995), "no difference"),
    ((1.0, 1.0, 1.0), "no difference"),
])  # fmt: skip
def test_a_change_must_be_certain_and_large(numbers, verdict):
    assert processes._verdict(*numbers) == verdict


def test_intervals_of_many_rows_are_as_wide_as_they_must_be_to_hold_at_once():
    rng = np.random.default_rng(2)
    old, new = np.exp(rng.normal(0, 0.1, 15)), np.exp(rng.normal(0.2, 0.1, 12))
    width = {n: np.log(np.divide(*processes.interval(old, new, n)[2:0:-1])) for n in (1, 7, 40)}
    for n in (7, 40):
        normal = NormalDist().inv_cdf(1 - 0.01 / 2 / n) / NormalDist().inv_cdf(1 - 0.01 / 2)
        assert width[n] / width[1] == pytest.approx(normal, rel=1e-9)
    trimmed = [np.sort(np.log(side))[1:-1].mean() for side in (old, new)]
    ratio, low, high = processes.interval(old, new)
    assert np.log(ratio) == pytest.approx(trimmed[1] - trimmed[0])
    assert np.log(ratio / low) == pytest.approx(np.log(high / ratio))


def shared_machine(rng, n, effect=0.0, moved=0.0):
    """n processes: a row follows two references by 0.8 and -0.3 of how the machine moves them."""
    state = rng.normal(moved, 0.06, (n, 2))
    return np.exp(effect + state @ (0.8, -0.3) + rng.normal(0, 0.01, n)), np.exp(state)


def test_what_a_row_has_in_common_with_the_machine_is_taken_off():
    rng = np.random.default_rng(4)
    (old, was), (new, now) = shared_machine(rng, 30), shared_machine(rng, 30, np.log(1.05))
    pair = processes.without_machine(old, new, (was, now))
    assert pair.n_slopes == 2 and np.std(np.log(old)) > 0.04
    assert np.std(np.log(pair.old)) < 0.013 and np.std(np.log(pair.new)) < 0.013
    ratio, low, high = processes.interval(pair.old, pair.new, 1, 0, pair.error, 2)
    assert low < 1.05 < high and ratio / low < 1.01 < ratio
    alone = processes.without_machine(old, new, (was[:, :0], now[:, :0]))
    assert alone == processes.Pair(old, new)


@pytest.mark.parametrize("moved", [0.0, 0.1, 0.3])
def test_a_machine_that_moves_between_the_sides_widens_the_interval(moved):
    """Of 200 comparisons of equal code, seldom one finds a difference, however far it moves."""
    rng, wrong, widths = np.random.default_rng(5), 0, []
    for _ in range(200):
        (old, was), (new, now) = shared_machine(rng, 16), shared_machine(rng, 16, moved=moved)
        pair = processes.without_machine(old, new, (was, now))
        _, low, high = processes.interval(pair.old, pair.new, 1, 0, pair.error, pair.n_slopes)
        wrong += not low <= 1 <= high
        widths.append(np.log(high / low) / 2)
    assert wrong <= 6  # 1% of 200 is 2, and more than 6 come once in 200 times
    # Of means of 16 with noise of 0.01, and of two slopes from 32 points that spread by 0.06.
    error = 0.01 * np.hypot(np.sqrt(2 / 16), moved * np.sqrt(2 / 32) / 0.06)
    assert np.median(widths) == pytest.approx(1.25 * 2.58 * error, rel=0.25)  # trimmed, few


def test_references_are_used_as_far_as_there_are_processes_for_them(monkeypatch):
    seen = []
    monkeypatch.setattr(
        processes,
        "without_machine",
        lambda old, new, machine: seen.append(machine[0].shape) or processes.Pair(old, new),
    )
    names = [name for _, name in processes.REFERENCES]
    rows = [row(name, [1.0]) for name in names] + [row("kernel", [2.0])]
    whole = {"quick": True, "data": "mnist", "groups": {"kernels": rows}}
    for n, expected in ((5, 1), (8, 2), (15, 3), (16, 4), (30, 4)):
        seen.clear()
        processes.compare([whole] * n, [whole] * n)
        assert seen == [(n, 0)] * len(names) + [(n, expected)]


@pytest.mark.parametrize("name, verdict, regressed", [
    ("kernels: kernel uint8 batch 1", "slower", True), ("kernels: twin float32", "slower", True),
    ("peers: torch_eager", "slower", False), ("kernel: X @ w float32", "slower", False),
    ("kernels: kernel uint8 batch 1", "faster", False), ("kernels: kernel", "no difference", False),
    ("optimum: numlin, eps 0.1", "slower", True), ("optimum: HiGHS, eps 0.1", "slower", False),
])  # fmt: skip
def test_only_numlin_s_own_rows_regress(name, verdict, regressed):
    assert report.regressed([processes.Row(name, 1, 1, 1, 1, verdict)]) is regressed


def test_many_processes_are_one_result_with_all_their_rounds():
    one, two = (
        {"groups": {"g": [row("a", times), {"name": "b", "skipped": "no"}]}}
        for times in ([1.0, 2.0], [3.0, 4.0])
    )
    found = report.pooled([one, two])
    assert found["groups"]["g"][0]["seconds"] == [1, 2, 3, 4]
    assert found["groups"]["g"][0]["rounds"] == [0, 1, 2, 3]
    assert found["replicates"] == [one, two] and one["groups"]["g"][0]["seconds"] == [1, 2]


# Nothing wrong is timed.


def refuses(case):
    with pytest.raises(timing.WrongResult):
        case.check()


def test_a_curve_from_radii_that_differs_at_one_eps_is_refused(few, monkeypatch):
    X, y = few.test_pixels / 255, few.y_test
    w = few.middle[0.1][0].astype(float)
    case, other = radii._cases(w, 0.1, X, y, "linf", np.arange(101) / 200)
    case.check()
    curve = [np.mean(y * (X @ w + 0.1) - e * np.abs(w).sum() > 0) for e in np.arange(101) / 200]
    np.testing.assert_allclose(other.run(), curve)
    assert case.rows == other.rows == 30 and {case.baseline, other.baseline} == {case.name}
    true = radii.radii
    monkeypatch.setattr(radii, "radii", lambda *a: true(*a) + 0.005)
    refuses(case)


def fake(w, b=0.0, losses=(1.0,)):
    return SimpleNamespace(w=np.array(w), b=b, losses=np.array(losses), rows_read=np.array([0.5]))


@pytest.mark.parametrize("other", [fake([1.0, 2.5]), fake([1.0, 2.0], 1e-9)], ids=["w", "b"])
def test_models_side_by_side_that_differ_are_refused(few, monkeypatch, other):
    true, trained = fake([1.0, 2.0]), set()
    monkeypatch.setattr(many, "fit", lambda X, y, t: trained.add((t.eps, t.seed)) or true)
    results = [true] * 32
    monkeypatch.setattr(many, "fit_many", lambda jobs, threads: results)
    case = many._cases(few, "uint8", 2)[0]
    case.check()
    assert len(trained) == 32  # no model twice
    assert case.rows == 32 * 2 * 80 and case.clock.__name__ == "perf_counter"
    results = [*[true] * 31, other]
    refuses(case)


@pytest.mark.parametrize(
    "other", [fake([1.0, 2.5]), fake([1.0, 2.0], 1e-9), fake([1.0, 2.0], 0.0, [2.0])]
)
def test_screening_that_changes_the_model_is_refused(few, monkeypatch, other):
    for full, right in ((fake([1.0, 2.0]), True), (other, False)):

        def fit(*job, full=full):
            return full if np.isinf(screening.loop.SCREEN_FROM) else fake([1.0, 2.0])

        monkeypatch.setattr(screening, "fit", fit)
        baseline, case = screening._cases(few.stored("float32"), few.y, 0.1, 3)
        assert baseline.rows == case.rows == 240 and "50.0% of the rows" in case.note
        case.check() if right else refuses(case)


def test_a_point_below_the_global_minimum_is_refused_and_the_others_are_distances(few, monkeypatch):
    X = few.stored("float64")
    w = few.middle[0.1][0]
    monkeypatch.setattr(convergence, "fit", lambda *job: fake(w, 0.1))
    reached = objective(w.astype(float), 0.1, X, few.y, 0.1)
    monkeypatch.setattr(convergence, "MINIMUM", {0.1: reached - 0.25})
    assert convergence._point(few, X, 0.1, {}, 0, 1)[1] == pytest.approx(0.25)
    monkeypatch.setattr(convergence, "MINIMUM", {0.1: reached + 1e-6})
    with pytest.raises(timing.WrongResult, match="below the global minimum"):
        convergence._point(few, X, 0.1, {}, 0, 1)
