"""The benchmark's own arithmetic, and that it runs, on data and rounds too few to time anything."""

import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_jit

TOP = Path(__file__).parent.parent
if not (TOP / "bench").is_dir():
    pytest.skip("the benchmarks are not part of this installation", allow_module_level=True)
sys.path.insert(0, str(TOP))

from bench import data as bench_data
from bench import kernels, peers, report, scale, timing
from bench.__main__ import _parser, main
from numlin.objective import objective, subgradient
from numlin.sgd import epoch_order


@pytest.fixture(scope="module")
def digits():
    """300 sparse images of 784 pixels in two classes, and 40 more."""
    rng = np.random.default_rng(3)
    y = np.where(np.arange(340) % 2, 1, -1).astype(np.int8)
    ink = rng.random((340, 784)) < 0.1 + 0.2 * np.equal.outer(y > 0, np.arange(784) % 2 == 1)
    pixels = (ink * rng.integers(1, 256, ink.shape)).astype(np.uint8)
    return bench_data.of("random", pixels[:300], y[:300], pixels[300:], y[300:])


def row(name, seconds, baseline="", **counts):
    case = timing.Case(name, None, baseline=baseline, **counts)
    return case.row(list(range(len(seconds))), list(seconds))


def around(center, n=20, spread=0.02, seed=0):
    return center * (1 + spread * np.random.default_rng(seed).standard_normal(n))


def test_a_summary_is_what_one_computes_by_hand():
    group = [
        row("base", [1.0, 2.0, 3.0], rows=10),
        row(timing.READ_LIMIT, [0.5], n_bytes=4_000_000_000),
        row(timing.FMA_LIMIT["float32"], [0.1], flops=10_000_000_000),
        row(
            "case",
            [4.0, 2.0, 8.0, 6.0, 10.0],
            "base",
            rows=60,
            n_bytes=24_000_000_000,
            flops=12_000_000_000,
        ),
    ]
    # Sorted 2, 4, 6, 8, 10: quartiles 4 and 8. 6 s for 60 rows against 2 s for 10.
    assert timing.summary(group[-1], group) == pytest.approx(
        {
            "median": 6,
            "minimum": 2,
            "iqr": 4,
            "rows_per_s": 10,
            "gb_per_s": 4,
            "gflop_per_s": 2,
            "of_read_limit": 0.5,
            "of_fma_limit": 0.02,
            "ratio": 0.5,
        }
    )


@pytest.mark.parametrize(
    "new, expected",
    [
        (around(1.0, seed=1), "no difference"),
        (around(1.2, seed=1), "slower"),
        (around(0.8, seed=1), "faster"),
        (around(1.03, seed=1, spread=0.001), "no difference"),
        (around(1.2, n=2, seed=1), "too few rounds"),
        (around(1.2, spread=0.8), "no difference"),
        (np.append(around(0.99, n=9), around(1.5, n=11)), "no difference"),
    ],
    ids=[
        "same",
        "slower",
        "faster",
        "small but certain",
        "too few",
        "too noisy",
        "disturbed half of the time",
    ],
)
def test_a_verdict_needs_a_change_that_is_large_certain_and_in_the_fast_samples_too(new, expected):
    assert timing.verdict(around(1.0), new)[0] == expected


def test_mann_whitney_agrees_with_counting_all_arrangements():
    one, other = [1.0, 2.0, 4.0, 6.0, 7.0, 9.0], [3.0, 5.0, 8.0, 10.0, 11.0, 12.0, 13.0]

    def distance(ranks):
        """|U - its mean|, from the ranks of the first sample."""
        return abs(sum(ranks) - 6 * 7 / 2 - 6 * 7 / 2)

    found = distance([sorted(one + other).index(value) + 1 for value in one])
    exact = np.mean([distance(ranks) >= found for ranks in combinations(range(1, 14), 6)])
    # The normal approximation with continuity correction is good to a few thousandths at n = 6, 7.
    assert timing.mann_whitney(one, other) == pytest.approx(exact, abs=5e-3)
    assert timing.mann_whitney([1.0] * 5, [1.0] * 5) == 1


def test_a_slow_round_cancels_in_ratios_to_the_baseline():
    slow = np.array([1.0, 1.0, 7.0, 1.0])
    group = [row("base", slow), row("case", 2 * slow, "base")]
    assert timing.relative(group[1], group).tolist() == [2, 2, 2, 2]


def result(kernel, peer=1.0, numpy="1", **changes):
    """A result of two rows that take about `kernel` and `peer` seconds."""
    rows = [
        row("base", around(1.0)),
        row("kernel", around(kernel, seed=2), "base"),
        row("peer", around(peer, seed=3), "kernel"),
        row("kernel, last", around(1.0)),
    ]
    whole = {"environment": {"numpy": numpy}, "quick": False, "data": "mnist"}
    return whole | {"groups": {"kernels": rows}} | changes


def test_compare_finds_the_row_that_regressed_and_names_a_changed_environment():
    text, regressed = report.compare(result(2.0), result(2.01))
    assert not regressed and "slower" not in text
    text, regressed = report.compare(result(2.0), result(2.6, numpy="2"))
    assert regressed and "environment differs: numpy" in text
    assert [line for line in text.splitlines() if "kernel " in line and line.endswith("slower")]


def test_a_faster_kernel_and_a_slower_peer_are_no_regression():
    text, regressed = report.compare(result(2.0), result(1.5))
    assert not regressed and "faster" in text
    text, regressed = report.compare(result(2.0), result(2.0, peer=2.0))
    assert not regressed and "slower" in text


def test_results_of_different_work_are_not_compared():
    for changes in ({"quick": True}, {"data": "synthetic"}):
        with pytest.raises(ValueError, match=f"--compare: {next(iter(changes))} was"):
            report.compare(result(2.0), result(2.0, **changes))
    longer = {"kernels": [row("kernel", around(2.0), rows=7)]}
    with pytest.raises(ValueError, match="kernel did other work"):
        report.compare(result(2.0), result(2.0, groups=longer))
    text, _ = report.compare(result(2.0), result(2.0, groups={"kernels": []}))
    assert text.count("gone") == 4


@pytest.mark.parametrize("content", ["", "{}", "[]", "7", '{"groups": {}}'])
def test_a_file_that_is_no_result_is_named_and_refused_before_anything_runs(
    tmp_path, capsys, content
):
    (tmp_path / "old.json").write_text(content)
    assert main(["kernels", "--compare", str(tmp_path / "old.json")]) == 2
    assert "old.json: not a result of this benchmark" in capsys.readouterr().err


def test_the_exit_code_tells_a_regression(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_data, "load", lambda data_dir: digits)
    speed = {"now": 2.0}
    monkeypatch.setattr(
        kernels, "rows", lambda data, options: result(speed["now"])["groups"]["kernels"]
    )
    path = str(tmp_path / "old.json")
    assert main(["kernels", "--json", path]) == 0
    assert main(["kernels", "--compare", path]) == 0
    speed["now"] = 3.0
    assert main(["kernels", "--compare", path]) == 1
    assert "slower" in capsys.readouterr().out


@pytest.mark.parametrize("key", [(0.0, 1), (0.0, 100), (0.1, 100), (0.3, 300)])
def test_an_epoch_that_does_not_train_is_never_timed(digits, key):
    def exact(*key):
        y = digits.y.astype(np.float64)
        return bench_data.numpy_epoch(
            digits.stored("float64"), y, bench_data.start(digits, *key), np.float64
        )

    case = kernels.epoch("numpy", digits.stored("float32"), digits, key, exact)
    case.check()
    idle = kernels.epoch("numpy", digits.stored("float32"), digits, key, exact)
    original = idle.run.kernel

    def training_a_copy(samples, visits, risk, steps, workspace, *others):
        workspace = workspace._replace(w=workspace.w.copy())
        return original(samples, visits, risk, steps, workspace, *others)

    idle.run.kernel = training_a_copy
    with pytest.raises(timing.WrongResult, match="w"):
        idle.check()


def test_all_cases_take_part_in_every_round_unless_they_are_slow(monkeypatch):
    monkeypatch.setattr(timing.time, "process_time", lambda: clock[0])
    clock, ran = [0.0], []

    def taking(name, seconds):
        def run():
            ran.append(name)
            clock[0] += seconds

        return timing.Case(name, run, clock=timing.time.process_time)

    rows = timing.measure("test", [taking("fast", 0.001), taking("slow", 1.0)], 20, budget=5)
    assert [len(row["seconds"]) for row in rows] == [20, 5]
    assert rows[1]["rounds"] == [0, 4, 8, 12, 16]
    assert rows[0]["seconds"] == pytest.approx([0.001] * 20)
    assert ran.count("fast") == 1 + 20 * (timing.WARM_RUNS + 1), "repeated off the clock"
    assert ran.count("slow") == 1 + 5


def test_a_wrong_case_is_never_timed():
    def check():
        raise timing.WrongResult("off by one")

    with pytest.raises(timing.WrongResult, match="off by one"):
        timing.measure("test", [timing.Case("wrong", pytest.fail, check)], 5)


def test_the_plain_loop_makes_the_step_of_the_subgradient(digits):
    X, y = digits.stored("float64"), digits.y.astype(float)
    start = bench_data.start(digits, 0.1, len(y))
    w, b, loss, _ = bench_data.numpy_epoch(X, y, start, np.float64)
    grad_w, grad_b = subgradient(start.w.astype(float), start.b, X, y, 0.1)
    # One step of 784 sums of 300 terms: a few hundred roundings of numbers below 10.
    np.testing.assert_allclose(w, start.w - start.learning_rate * grad_w, atol=1e-12)
    assert b == pytest.approx(start.b - start.learning_rate * grad_b, abs=1e-12)
    assert loss == pytest.approx(objective(start.w.astype(float), start.b, X, y, 0.1), abs=1e-12)


@needs_jit
def test_a_run_is_json_of_rows_with_raw_samples(digits):
    exact = kernels.cache(
        lambda *key: bench_data.numpy_epoch(
            digits.stored("float64"),
            digits.y.astype(float),
            bench_data.start(digits, *key),
            np.float64,
        )
    )
    X = digits.stored("float32")
    cases = [
        kernels.product(X, "float32"),
        kernels.epoch("numba", X, digits, (0.1, 100), exact),
        kernels.epoch("numpy", X, digits, (0.1, 100), exact),
    ]
    rows = json.loads(json.dumps(timing.measure("kernels", cases, 5)))
    assert [row["name"] for row in rows] == [
        "X @ w float32",
        "kernel float32 batch 100 eps 0.1",
        "twin float32 batch 100 eps 0.1",
    ]
    for found in rows:
        assert len(found["seconds"]) == len(found["rounds"]) == 5 and min(found["seconds"]) > 0
        assert {"name", "rows", "n_bytes", "flops", "baseline", "note", "clock"} <= found.keys()
        assert found["rows"] == 300 and found["n_bytes"] == X.nbytes
    assert "X @ w float32" in report.show("kernels", rows)


def test_a_kernel_that_computes_something_else_is_caught(digits):
    X = digits.stored("float32")

    def wrong(*key):
        w, b, loss, n_active = bench_data.numpy_epoch(
            X, digits.y.astype(np.float32), bench_data.start(digits, *key), np.float32
        )
        return w + 0.1, b, loss, n_active

    with pytest.raises(timing.WrongResult, match="twin float32 batch 100 eps 0.1, w: off by 0.1"):
        kernels.epoch("numpy", X, digits, (0.1, 100), wrong).check()


@needs_jit
def test_a_peer_that_is_not_installed_is_a_skipped_row(digits, monkeypatch):
    for package in ("torch", "jax", "sklearn"):
        monkeypatch.setitem(sys.modules, package, None)
    rows = peers.rows(digits, _parser().parse_args(["peers", "--quick"]))
    absent = [found["name"] for found in rows if "skipped" in found]
    assert absent == ["torch_eager", "jax_scan", "sgd_classifier", "linear_svc"]
    assert "NumPy loop float32" in [found["name"] for found in rows]
    assert "torch_eager: skipped, " in report.show("peers", rows)


def test_a_block_shuffle_visits_all_samples_and_leaves_blocks_whole():
    order, ahead = epoch_order(1050, 100, np.random.default_rng(0))
    assert np.array_equal(np.sort(order), np.arange(1050)) and order.dtype == np.int64
    short = np.flatnonzero(order >= 1000)
    assert short.tolist() == list(range(short[0], short[0] + 50)), "the last block is short"
    rest = np.delete(order, short).reshape(10, 100)
    assert all(len(set(block // 100)) == 1 for block in rest)
    assert (np.diff(rest[:, 0] // 100) != 1).any() and (np.diff(rest, axis=1) != 1).any()


@needs_jit
def test_scale_trains_from_the_file_and_leaves_nothing(digits, tmp_path):
    options = _parser().parse_args(["scale", "--rows", "3000", "--folder", str(tmp_path)])
    rows = scale.rows(digits, options)
    assert not list(tmp_path.iterdir())
    sizes = {found["name"]: found["rows"] for found in rows}
    assert sizes["3,000 rows, block shuffle, first"] == 3000
    assert {1500, 750} < set(sizes.values())
    assert all(found["anonymous"] > 0 for found in rows) or not Path("/proc/self").exists()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_the_file_of_digits_goes_also_when_interrupted(digits, tmp_path, interruption):
    with pytest.raises(interruption), scale.digits_file(digits, 700, tmp_path) as (images, labels):
        found = scale.idx.memmap(images)
        assert found.shape == (700, 784) and len(scale.idx.memmap(labels)) == 700
        assert np.sort(found[:300], axis=0).tolist() == np.sort(digits.pixels, axis=0).tolist()
        raise interruption
    assert not list(tmp_path.iterdir())


def test_scale_refuses_a_folder_without_room(digits, tmp_path):
    with (
        pytest.raises(OSError, match="GB free, expected .*choose fewer --rows"),
        scale.digits_file(digits, 10**12, tmp_path),
    ):
        pass
