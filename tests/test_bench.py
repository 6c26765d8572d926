"""The benchmark's own arithmetic, and that it runs, on data and rounds too few to time anything."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_jit

pytest.importorskip("bench", reason="the benchmarks are not part of this installation")

from bench import calibrate, kernels, ladder, peers, processes, report, scale, timing
from bench import data as bench_data
from bench.__main__ import _parser, main
from numlin.kernels import jit
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


def result(kernel, peer=1.0, numpy="1", **changes):
    """A result of four rows, two of which take about `kernel` and `peer` seconds."""
    rows = [
        row("base", [1.0, 1.0]),
        row("kernel", [kernel, kernel], "base"),
        row("peer", [peer, peer], "kernel"),
        row("kernel, last", [1.0, 1.0]),
    ]
    whole = {"environment": {"numpy": numpy}, "quick": False, "data": "mnist"}
    return whole | {"groups": {"kernels": rows}} | changes


def replicates(kernel, n=12, seed=0, spread=0.01, **changes):
    """n results whose kernel takes about `kernel` seconds, other rows about one."""
    return [result(kernel * r, **changes) for r in around(1.0, n, spread, seed)]


def test_compare_finds_the_row_that_regressed_and_names_a_changed_environment():
    text, regressed = report.compared(replicates(2.0), replicates(2.002, seed=1))
    assert not regressed and "slower" not in text
    text, regressed = report.compared(replicates(2.0), replicates(2.2, seed=1, numpy="2"))
    assert regressed and "environment differs: numpy" in text
    assert [line for line in text.splitlines() if "kernel " in line and line.endswith("slower")]


def test_a_faster_kernel_and_a_slower_peer_are_no_regression():
    text, regressed = report.compared(replicates(2.0), replicates(1.5, seed=1))
    assert not regressed and "faster" in text
    slow_peer = [result(1.0, 2.0 * r) for r in around(1.0, 12, 0.01, 5)]
    text, regressed = report.compared([result(1.0, r) for r in around(1.0, 12, 0.01)], slow_peer)
    assert not regressed and "slower" in text


def test_an_interval_is_the_normal_one_of_the_means_of_the_logarithms():
    old, new = np.exp(around(1.0, 30, 0.02)), np.exp(around(1.1, 30, 0.02, seed=1))
    ratio, low, high = processes.interval(old, new)
    assert ratio == pytest.approx(np.exp(0.1), rel=0.02) and low < ratio < high
    # 2.58 standard errors, from 30 values on either side; trimming adds a few per cent to them.
    error = np.sqrt((np.var(np.log(old)) + np.var(np.log(new))) / 30)
    assert np.log(high / low) / 2 == pytest.approx(2.58 * error, rel=0.25)
    assert np.log(high / low) < np.log(np.divide(*processes.interval(old, new, 40)[:0:-1]))


def test_the_same_code_is_seldom_called_slower_and_slower_code_seldom_the_same():
    rng = np.random.default_rng(0)
    names = [f"kernel {k}" for k in range(11)] + ["peer", "kernel wild"]
    spread = np.array([0.015] * 12 + [0.15])
    pool = [
        result(1.0, groups={"kernels": [row(name, [s]) for name, s in zip(names, times)]})
        for times in (1 + spread * rng.normal(size=(60, 13))).tolist()
    ]
    false, rows = calibrate.rates(pool, 40)
    found, unsteady, width = rows.pop("kernels: kernel wild")
    assert found < 0.2 and unsteady > 0.8 and width > 0.08
    assert false <= 0.05 and list(rows) == [f"kernels: kernel {k}" for k in range(11)]
    for found, unsteady, width in rows.values():
        assert found >= 0.95 and unsteady <= 0.05 and 0.01 < width < 0.03


@pytest.mark.parametrize(
    "samples, why",
    [
        (around(1.0, 20, 0.01), ""),
        (np.linspace(1.0, 1.3, 20), "drift"),
        (np.where(np.arange(20) % 2, 1.0, 1.2) * around(1.0, 20, 0.002), "two clusters"),
        (np.where(np.arange(20) == 7, 3.0, 1.0) * around(1.0, 20, 0.01), ""),
        (around(1.0, 20, 0.2, seed=2), "middle half"),
        (around(1.0, 4, 0.01), "too few processes"),
    ],
    ids=["steady", "drift", "clusters", "one outlier", "wide", "few"],
)
def test_a_row_that_is_not_steady_says_why(samples, why):
    said = processes.unsteady(np.array(samples))
    assert said.startswith(why) and bool(said) == bool(why)
    if why:
        old = [result(float(s)) for s in samples]
        (found,) = (r for r in processes.compare(old, replicates(9.0)) if r.name.endswith("kernel"))
        assert found.verdict.startswith(f"unsteady: {why}") and not report.regressed([found])


def test_a_row_whose_control_differs_is_not_judged():
    """Every other process of the old code is 4% slower than the rest: so is luck, on that day."""
    samples = around(1.0, 20, 0.01) * np.where(np.arange(20) % 2, 1.0, 1.04)
    assert not processes.unsteady(samples)
    old = [result(float(s)) for s in samples]
    (found,) = (r for r in processes.compare(old, replicates(9.0)) if r.name.endswith("kernel"))
    assert found.verdict == "unsteady: the control differs" and not report.regressed([found])


def test_results_of_different_work_are_not_compared():
    for changes in ({"quick": True}, {"data": "synthetic"}):
        with pytest.raises(ValueError, match=f"--compare: {next(iter(changes))} was"):
            report.compared([result(2.0)], [result(2.0, **changes)])
    longer = {"kernels": [row("kernel", around(2.0), rows=7)]}
    with pytest.raises(ValueError, match="kernel did other work"):
        report.compared([result(2.0)], [result(2.0, groups=longer)])
    text, _ = report.compared([result(2.0)], [result(2.0, groups={"kernels": []})])
    assert text.count("gone") == 4


@pytest.mark.parametrize(
    "content",
    [
        "", "{}", "[]", "7", '{"groups": {}}', '{"replicates": [7]}', '{"replicates": {"a": 1}}',
        '{"environment": {}, "quick": false, "data": "", "groups": 7}',
        '{"environment": 1, "quick": 0, "data": "", "groups": {"kernels": [{"seconds": "x"}]}}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_file_that_is_no_result_is_named_and_refused_before_anything_runs(
    tmp_path, capsys, content
):
    (tmp_path / "old.json").write_text(content)
    assert main(["kernels", "--compare", str(tmp_path / "old.json")]) == 2
    complaint = capsys.readouterr().err
    assert "old.json: not a result of this benchmark" in complaint and complaint.count("\n") == 1


def test_the_exit_code_tells_a_regression(tmp_path, monkeypatch, capsys):
    speed = {"now": 2.0}
    monkeypatch.setattr(
        processes, "measure", lambda places, n, command: [replicates(speed["now"], n)] * len(places)
    )
    path = str(tmp_path / "old.json")
    assert main(["kernels", "--replicates", "12", "--json", path]) == 0
    assert main(["kernels", "--compare", path]) == 0
    speed["now"] = 3.0
    assert main(["kernels", "--compare", path]) == 1
    assert "slower" in capsys.readouterr().out
    assert main(["kernels", "--against", str(tmp_path)]) == 0


def test_two_checkouts_are_measured_in_turn_in_processes_of_their_own(tmp_path, monkeypatch):
    places = [tmp_path / "a", tmp_path / "b"]
    for place in places:
        (place / "bench").mkdir(parents=True)
        (place / "bench" / "__main__.py").write_text(
            "import json, sys, pathlib\n"
            f"open({str(tmp_path / 'log')!r}, 'a').write({place.name!r})\n"
            "pathlib.Path(sys.argv[-1]).write_text(json.dumps({'argv': sys.argv[1:-1]}))\n"
        )
    found = processes.measure(places, 3, ["kernels", "--quick"])
    assert (tmp_path / "log").read_text() == "abbaab"
    assert found == [[{"argv": ["kernels", "--quick", "--json"]}] * 3] * 2
    (places[1] / "bench" / "__main__.py").write_text("raise SystemExit('nothing works')")
    with pytest.raises(timing.WrongResult, match="b: nothing works"):
        processes.measure(places, 3, [])


def test_a_revision_that_does_not_exist_is_one_line(capsys):
    assert main(["kernels", "--against", "no-such-revision"]) == 2
    complaint = capsys.readouterr().err
    assert "--against: found 'no-such-revision'" in complaint and complaint.count("\n") == 1


SIMPLE = """
def good(X, y, order, w, b, eps, learning_rate, batch_size):
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        x, label = X[rows], y[rows].astype(w.dtype)
        c = -1.0 * (label * (x @ w + b) - eps * abs(w).sum() < 1) / len(rows)
        step = (c * label) @ x - c.sum() * eps * ((w > 0) * 1 - (w < 0) * 1)
        w -= learning_rate * step
        b -= learning_rate * (c @ label)
    return b

def backwards(X, y, order, w, b, eps, learning_rate, batch_size):
    return good(X, y, order, w, b, eps, -learning_rate, batch_size)

def short(X, y):
    pass
"""


def test_the_readmes_own_kernel_is_right(digits, tmp_path):
    section = (Path(__file__).parent.parent / "README.md").read_text("utf-8").split("## Speed")[1]
    file = tmp_path / "mine.py"
    file.write_text(section.split("```python\n")[1].split("```")[0])
    for storage in ("float32", "float64"):
        X, exact = digits.stored(storage), bench_kernels_exact(digits)
        case = kernels.epoch("numpy", X, digits, (0.1, 100), exact, "mine")
        case.run.own(kernels.OwnKernel(f"{file}:mine"))
        case.check()
    assert case.run.arguments.workspace.score.shape == (100,)


def test_a_kernel_of_ones_own_is_checked_before_it_is_timed(digits, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SIMPLE)
    exact = bench_kernels_exact(digits)
    X = digits.stored("float64")
    for name, right in (("good", True), ("backwards", False)):
        case = kernels.epoch("numpy", X, digits, (0.1, 100), exact, f"yours, {name},")
        case.run.own(kernels.OwnKernel(f"{file}:{name}"))
        assert case.name == f"yours, {name}, float64 batch 100 eps 0.1"
        if right:
            case.check()
        else:
            with pytest.raises(timing.WrongResult, match="yours, backwards"):
                case.check()
    for where, message in (
        (f"{file}:short", "short takes 2 arguments, expected the 7 groups"),
        (f"{file}:absent", "has no function 'absent'"),
        ("nowhere.py:good", "expected FILE:FUNCTION of a file that exists"),
    ):
        with pytest.raises(ValueError, match=f"--with: .*{message}"):
            kernels.OwnKernel(where)


def bench_kernels_exact(digits):
    X, y = digits.stored("float64"), digits.y.astype(np.float64)
    return lambda *key: bench_data.numpy_epoch(X, y, bench_data.start(digits, *key), np.float64)


@pytest.mark.parametrize("name", ladder.RUNGS)
def test_every_rung_of_the_ladder_is_the_twin(digits, name, monkeypatch):
    # Run as Python: what a rung switches off is seen in its source, not in its machine code.
    _, module, off = ladder.RUNGS[name]
    monkeypatch.setattr(ladder, "njit", lambda **options: lambda function: function)
    monkeypatch.setattr(jit, "prefetch", jit._nothing)
    monkeypatch.setattr(jit, "wide_vectors", jit._nothing)
    kernel = ladder.variant(module, off)
    X = digits.stored("float64")[:60]
    few = bench_data.of("few", digits.pixels[:60], digits.y[:60], digits.pixels, digits.y)
    for key in ((0.1, 20), (0.0, 1)):
        case = kernels.epoch("numba", X, few, key, bench_kernels_exact(few))
        case.run.kernel = kernel
        case.check()


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
