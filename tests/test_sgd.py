"""Training: what the loop promises, on data small enough to think about."""

import io
import sys

import numpy as np
import pytest
from conftest import needs_jit

from numlin import kernels, sgd
from numlin.callbacks import (
    BatchMetrics,
    Callback,
    EpochMetrics,
    GradientCollector,
    LossLogger,
    State,
    WeightSnapshots,
)
from numlin.data import datasets
from numlin.kernels import loop, reference
from numlin.objective import error_rate, objective, subgradient
from numlin.sgd import DivergenceError, Training, fit, fit_many
from numlin.support.arguments import aligned, pixels

ENGINES = ["numpy", "numba"]
FEW = {"n_epochs": 3, "batch_size": 16}


def training(**changes):
    return Training(**{**FEW, "eps": 0.05, "dtype": "float64", **changes})


@pytest.mark.parametrize("engine", ENGINES)
def test_one_full_batch_step_from_zero_is_the_step_worked_out_by_hand(engine):
    # w = 0, b = 0: every margin is 0 and active, so grad_w = -mean(y x), grad_b = -mean(y).
    X, y = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 1.0]]), np.array([1, -1, -1])
    result = fit(
        X,
        y,
        Training(
            start="zero",
            n_epochs=1,
            batch_size=3,
            learning_rate=0.3,
            dtype="float64",
            engine=engine,
            eps=0.2,
        ),
    )
    np.testing.assert_allclose(result.w, [0.3 * 0.5 / 3, 0.3 * -2 / 3], rtol=1e-15)
    assert result.b == pytest.approx(-0.1, rel=1e-15)
    assert result.losses.tolist() == [1.0] and result.errors.tolist() == [1.0]


def of_another_shape(state):
    state.w = np.zeros(3, state.w.dtype)


def of_another_type(state):
    state.w = state.w.astype(np.float32)


def a_list(state):
    state.w = state.w.tolist()


def every_other(state):
    state.w = np.zeros(2 * len(state.w))[::2]


def read_only(state):
    state.w.flags.writeable = False


def not_a_number(state):
    state.w[1] = np.nan


def a_bias_of_nothing(state):
    state.b = None


def an_infinite_bias(state):
    state.b = -np.inf


def another_training(state):
    state.training = training()


def other_batches(state):
    state.training.batch_size = 3


def a_gradient_of_another_shape(state):
    state.grad_w, state.scores, state.rows, state.epoch_loss = np.zeros(1), None, None, None


BAD = [of_another_shape, of_another_type, a_list, every_other, read_only, not_a_number,
       a_bias_of_nothing, an_infinite_bias, another_training, other_batches]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("when", ["on_batch", "on_epoch"])
@pytest.mark.parametrize("harm", BAD)
def test_a_callback_that_leaves_what_no_kernel_takes_is_named(blobs, engine, when, harm):
    class Vandal(Callback):
        pass

    setattr(Vandal, when, lambda self, state: harm(state))
    with pytest.raises(ValueError, match=r"^Vandal: state\.(w|b|training)"):
        fit(*blobs, training(engine=engine, n_epochs=1), [Vandal()])


@pytest.mark.parametrize("engine", ENGINES)
def test_what_else_a_callback_changes_has_no_effect_and_weights_may_be_replaced(blobs, engine):
    class Other(Callback):
        def on_batch(self, state):
            a_gradient_of_another_shape(state)
            state.w, state.b = state.w.copy(), np.float32(state.b)

        def on_epoch(self, state):
            self.on_batch(state)

    plain = fit(*blobs, training(engine=engine), [BatchMetrics()])
    changed = fit(*blobs, training(engine=engine), [Other()])
    np.testing.assert_allclose(changed.w, plain.w, atol=1e-6)  # b in float32
    assert np.isfinite(changed.losses).all()

    class Reset(Callback):
        def on_epoch(self, state):
            state.w, state.b = np.full_like(state.w, 7), 2.0

    reset = fit(*blobs, training(engine=engine), [Reset()])
    assert (reset.w == 7).all() and reset.b == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_every_batch_step_is_the_subgradient_of_the_objective(blobs, engine):
    X, y = blobs
    t = training(engine=engine)

    class Checker(Callback):
        before = None
        seen = 0

        def on_batch(self, state):
            if self.before is not None:
                w, b = self.before
                grad_w, grad_b = subgradient(w, b, X[state.rows], y[state.rows], t.eps)
                np.testing.assert_allclose(state.grad_w, grad_w, atol=1e-15)
                np.testing.assert_allclose(state.grad_b, grad_b, atol=1e-15)
                np.testing.assert_allclose(state.scores, X[state.rows] @ w + b, atol=1e-14)
                loss = objective(w, b, X[state.rows], y[state.rows], t.eps)
                assert state.batch_loss == pytest.approx(loss, abs=1e-14)
                np.testing.assert_allclose(state.w, w - t.learning_rate * grad_w, atol=1e-15)
                self.seen += 1
            self.before = state.w.copy(), state.b

    checker = Checker()
    fit(X, y, t, [checker])
    assert checker.seen == 3 * 4 - 1


@pytest.mark.parametrize("schedule", ["constant", "linear", "sqrt"])
@pytest.mark.parametrize("loss", ["hinge", "squared-hinge", "logistic"])
def test_both_engines_train_the_same_model(blobs, loss, schedule):
    results = [
        fit(*blobs, training(loss=loss, schedule=schedule, engine=engine)) for engine in ENGINES
    ]
    # A dozen steps, sums of 12 terms in two orders: a few dozen roundings of 1e-16.
    np.testing.assert_allclose(results[0].w, results[1].w, atol=1e-13)
    np.testing.assert_allclose(results[0].losses, results[1].losses, rtol=1e-13)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_gives_the_same_model_and_another_seed_another(blobs, engine):
    first, again, other = (fit(*blobs, training(engine=engine, seed=seed)).w for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


class Rates(Callback):
    """The learning rate of every batch."""

    def __init__(self):
        self.seen = []

    def on_batch(self, state):
        self.seen.append(state.learning_rate)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "schedule, expected",
    [
        ("constant", [0.6] * 6),
        ("linear", [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        ("sqrt", [0.6, 0.6 / 2**0.5, 0.6 / 3**0.5, 0.3, 0.6 / 5**0.5, 0.6 / 6**0.5]),
    ],
)
def test_the_steps_follow_the_schedule_written_out_by_hand(blobs, engine, schedule, expected):
    rates = Rates()
    plan = {"n_epochs": 2, "batch_size": 20, "learning_rate": 0.6, "schedule": schedule}
    fit(*blobs, training(**plan, engine=engine), [rates])
    np.testing.assert_allclose(rates.seen, expected, rtol=1e-15)


def test_over_many_epochs_a_watcher_still_sees_the_score_of_every_sample(blobs):
    X, y = blobs

    class Scores(Callback):
        before, seen = None, 0

        def on_batch(self, state):
            if self.before is not None:
                w, b = self.before
                np.testing.assert_allclose(state.scores, X[state.rows] @ w + b, atol=1e-13)
                self.seen += len(state.rows)
            self.before = state.w.copy(), state.b

    watcher = Scores()
    long = {"eps": 0.0, "n_epochs": 80, "batch_size": 60, "learning_rate": 1.0}
    watched = fit(X, y, training(**long), [watcher])
    assert watcher.seen == 80 * 60 - 60 and watched.rows_read.tolist() == [1.0] * 80
    unwatched = fit(X, y, training(**long))
    assert unwatched.rows_read.min() < 1, "nothing was skipped, so nothing is compared"
    assert (unwatched.w == watched.w).all() and unwatched.b == watched.b


@pytest.mark.parametrize(
    "n_samples, block",
    [(1, 1), (7, 1), (12, 4), (10, 4), (9, 4), (10, 10), (10, 10**20), (300, np.uint8(100))],
)
def test_a_block_shuffle_reads_one_block_ahead_in_file_order(n_samples, block):
    for seed in range(20):
        order, ahead = sgd.epoch_order(n_samples, block, np.random.default_rng(seed))
        assert np.array_equal(np.sort(order), np.arange(n_samples))
        length = min(int(block), n_samples)
        assert len(ahead) == n_samples - length
        blocks = order // length  # each number stands together
        assert np.count_nonzero(np.diff(blocks)) == len(set(blocks.tolist())) - 1
        in_sequence = sorted(
            range(n_samples),
            key=lambda place: (
                list(dict.fromkeys(blocks.tolist())).index(blocks[place]),
                order[place],
            ),
        )
        assert np.array_equal(ahead, order[in_sequence][length:])


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(
    "block, n_features, reads", [(10, 12, True), (10, 2**17, False), (0, 12, False)]
)
def test_short_shuffled_blocks_are_read_ahead_and_long_ones_are_not(
    rng, monkeypatch, watched, block, n_features, reads
):
    X, y = rng.random((35, n_features)), np.where(np.arange(35) % 2, 1, -1)
    passed, original = [], reference.sgd_epoch

    def kernel(*arguments):
        passed.append(arguments[1])
        return original(*arguments)

    monkeypatch.setattr(reference, "sgd_epoch", kernel)

    class Watcher(Callback):
        def on_batch(self, state):
            pass

    plan = training(n_epochs=1, batch_size=10, shuffle_block=block, engine="numpy")
    fit(X, y, plan, [Watcher()] if watched else [])
    _, ahead = zip(*passed)
    assert len(passed) == (4 if watched else 1)
    assert [len(rows) for rows in ahead] == [
        max(0, 25 - 10 * call) * reads for call in range(len(passed))
    ]
    assert all(np.array_equal(rows, ahead[0][10 * call :]) for call, rows in enumerate(ahead))


@pytest.mark.parametrize(
    "changes, skips",
    [
        ({}, True),
        ({"loss": "squared-hinge"}, True),
        ({"ball": "l2"}, True),
        ({"ball": "l1"}, True),
        ({"update": "proximal"}, True),
        ({"average": True}, True),
        ({"loss": "logistic"}, False),
        ({"ball": "linf-box"}, False),
        ({"engine": "numpy"}, False),
        ({"n_epochs": 49}, False),
        ({"batch_size": 49}, False),
    ],
)
def test_rows_are_skipped_where_that_is_exact_and_never_change_the_model(
    rng, monkeypatch, changes, skips
):
    y = np.where(np.arange(150) % 2, 1, -1)
    X = np.clip(0.5 + 0.3 * y[:, None] + rng.normal(0, 0.1, (150, 6)), 0, 1)  # far apart
    plan = {"eps": 0.01, "n_epochs": 80, "batch_size": 50, "learning_rate": 1.0}
    plan = training(**(plan | changes))
    screened = fit(X, y, plan)
    monkeypatch.setattr(loop, "SCREEN_FROM", 10**9)
    full = fit(X, y, plan)
    assert (screened.w == full.w).all() and screened.b == full.b
    assert (screened.losses == full.losses).all() and (screened.errors == full.errors).all()
    assert full.rows_read.tolist() == [1.0] * plan.n_epochs
    assert (screened.rows_read.min() < 0.5) is np.bool_(skips)


def test_a_sum_with_a_hundredth_of_the_step_is_the_mean(blobs):
    mean = fit(*blobs, training(batch_size=20, learning_rate=0.2))
    total = fit(*blobs, training(batch_size=20, learning_rate=0.01, reduction="sum"))
    np.testing.assert_allclose(mean.w, total.w, atol=1e-14)


def test_the_average_is_the_mean_of_the_iterates(blobs):
    class Iterates(Callback):
        def __init__(self):
            self.w, self.b = [], []

        def on_batch(self, state):
            self.w.append(state.w.copy())
            self.b.append(state.b)

    seen = Iterates()
    result = fit(*blobs, training(average=True), [seen])
    np.testing.assert_allclose(result.w, np.mean(seen.w, axis=0), atol=1e-15)
    assert result.b == pytest.approx(np.mean(seen.b), abs=1e-15)


def test_proximal_steps_leave_exact_zeros_and_reach_the_same_objective(blobs):
    X, y = blobs
    plain, proximal = (
        fit(X, y, training(eps=0.1, n_epochs=500, batch_size=60, schedule="linear", update=update))
        for update in ("subgradient", "proximal")
    )
    assert (plain.w == 0).sum() == 0 < (proximal.w == 0).sum()
    reached = [objective(found.w, found.b, X, y, 0.1) for found in (plain, proximal)]
    assert reached[0] == pytest.approx(reached[1], rel=0.01), "500 steps: within 1% of each other"


def test_robust_training_lowers_the_robust_error_that_it_is_trained_for(blobs):
    X, y = blobs
    regular, robust = (fit(X, y, training(eps=eps, n_epochs=60)) for eps in (0.0, 0.1))
    assert error_rate(robust.w, robust.b, X, y, 0.1) < error_rate(regular.w, regular.b, X, y, 0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_raw_pixels_train_the_model_of_their_255ths(blobs, dtype):
    X, y = blobs
    raw = np.rint(X * 255).astype(np.uint8)
    from_raw, from_float = (fit(data, y, training(dtype=dtype)) for data in (raw, X))
    # One rounding a pixel separates them, relative to weights of size 1.
    np.testing.assert_allclose(from_raw.w, from_float.w, atol=50 * np.finfo(dtype).eps)
    assert from_raw.w.dtype == dtype


@pytest.mark.parametrize(
    "start, reach_w, reach_b",
    [("zero", 0, 0), ("glorot", np.sqrt(6 / 401), 0), ("fan-in", 1 / 20, 1 / 20)],
)
def test_the_start_is_uniform_in_its_range(start, reach_w, reach_b):
    X, y = np.zeros((2, 400)), np.array([-1, 1])  # black images and one step: w stays put
    result = fit(X, y, Training(start=start, n_epochs=1, dtype="float64", batch_size=2))
    assert np.abs(result.w).max() <= reach_w
    assert np.abs(result.w).max() >= 0.97 * reach_w
    assert abs(result.b) <= reach_b


def test_callbacks_see_all_and_change_nothing(blobs):
    X, y = blobs
    plain = fit(X, y, training())
    lines = []
    log, epochs, batches = LossLogger(lines.append), EpochMetrics(train=(X, y)), BatchMetrics()
    gradients, snapshots = GradientCollector(), WeightSnapshots()
    watched = fit(X, y, training(), [log, epochs, batches, gradients, snapshots])
    assert (plain.w == watched.w).all() and plain.b == watched.b
    np.testing.assert_allclose(plain.losses, watched.losses, rtol=1e-14)
    assert len(lines) == 3 and f"{watched.losses[-1]:.6f}" in lines[-1]
    assert len(batches.loss) == len(gradients.grad_w) == 3 * 4
    assert (snapshots.w[-1] == watched.w).all()
    assert epochs.history["train_loss"][-1] == objective(watched.w, watched.b, X, y, 0.05)
    assert epochs.history["train_error"][-1] == error_rate(watched.w, watched.b, X, y)
    assert np.mean(batches.accuracy[:3]) <= 1 and batches.loss[0] > batches.loss[-1]


def test_a_score_of_zero_or_nan_is_an_error_in_the_metrics(blobs):
    X, y = blobs
    metrics = EpochMetrics(train=(X, y), raw=(np.rint(X * 255).astype(np.uint8), y))
    for w in (np.zeros(12), np.full(12, np.nan)):
        metrics.on_epoch(State(training(eps=0.0), w=w, b=0.0))
    assert metrics.history["train_error"] == metrics.history["raw_error"] == [1.0, 1.0]
    metrics.on_epoch(State(training(eps=0.0), w=np.linspace(-3, 2, 12), b=0.1))
    losses = metrics.history["train_loss"][-1], metrics.history["raw_loss"][-1]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12) and losses[0] > 0.1


def test_an_epoch_nobody_watches_is_one_kernel_call(blobs, monkeypatch):
    calls = []
    reference = kernels.load("numpy")
    original = reference.sgd_epoch
    monkeypatch.setattr(reference, "sgd_epoch", lambda *args: calls.append(1) or original(*args))
    fit(*blobs, training(engine="numpy"), [WeightSnapshots()])
    assert len(calls) == 3
    fit(*blobs, training(engine="numpy"), [BatchMetrics()])
    assert len(calls) == 3 + 3 * 4


@pytest.mark.parametrize("engine", ENGINES)
def test_divergence_names_the_epoch_and_the_learning_rate(blobs, engine):
    with pytest.raises(DivergenceError, match=r"epoch \d+ of 50.*learning rate 1e\+30"):
        fit(
            *blobs,
            training(
                loss="squared-hinge",
                learning_rate=1e30,
                n_epochs=50,
                dtype="float32",
                engine=engine,
            ),
        )


@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("eps", -0.1, ">= 0"),
        ("eps", float("nan"), "finite"),
        ("eps", "0.1", "finite number"),
        ("loss", "absolute", "hinge, squared-hinge, logistic"),
        ("ball", "l3", "linf, l2, l1, linf-box"),
        ("learning_rate", 0.0, "> 0"),
        ("schedule", "cosine", "constant, linear, sqrt"),
        ("n_epochs", 0, "integer >= 1"),
        ("batch_size", 2.5, "integer"),
        ("seed", -1, "integer >= 0"),
        ("reduction", "max", "mean, sum"),
        ("start", "ones", "zero, glorot, fan-in"),
        ("dtype", "float16", "float32, float64"),
        ("engine", "cuda", "numba, numpy"),
        ("update", "newton", "subgradient, proximal"),
        ("ball", "l2-box", "linf, l2, l1, linf-box"),
        ("shuffle_block", -1, ">= 0"),
        ("loss", ["hinge"], "hinge, squared"),
        ("n_epochs", True, "integer"),
        ("eps", float("inf"), "finite"),
    ],
)
def test_a_bad_parameter_is_named_with_what_was_found_and_expected(blobs, field, value, expected):
    with pytest.raises(ValueError, match=f"^{field}: found .*expected.*{expected}"):
        fit(*blobs, training(**{field: value}))


def test_combinations_that_do_not_exist_are_refused(blobs):
    for ball in ("l2", "linf-box"):
        with pytest.raises(ValueError, match=f"update: found proximal steps with ball {ball}"):
            fit(*blobs, training(ball=ball, update="proximal"))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda X, y: (X[0], y), r"X: found shape \(12,\)"),
        (lambda X, y: (X[:0], y[:0]), r"X: found shape \(0, 12\)"),
        (lambda X, y: (X.astype(str), y), "X: found dtype <U"),
        (lambda X, y: (X.astype(complex), y), "X: found dtype complex128, expected real numbers"),
        (
            lambda X, y: (np.where(np.arange(720).reshape(60, 12) == 25, np.nan, X), y),
            r"X: found nan at index \(2, 1\)",
        ),
        (
            lambda X, y: (np.where(np.arange(720).reshape(60, 12) == 719, -np.inf, X), y),
            r"X: found -inf at index \(59, 11\)",
        ),
        (lambda X, y: (X, y[:-1]), r"y: found shape \(59,\), expected \(60,\)"),
        (lambda X, y: (X, (y + 1) // 2), "y: found labels 0, 1, expected only -1 and"),
        (lambda X, y: (X, np.ones(60)), "y: found one class only, 1, expected both"),
    ],
)
def test_bad_data_is_refused_with_the_argument_and_the_place(blobs, spoil, message):
    with pytest.raises(ValueError, match=message):
        fit(*spoil(*blobs), training())


def test_pixels_outside_the_box_are_refused_where_the_box_matters(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match=r"X: found values in \[0, 2\].*pixel box \[0, 1\]"):
        fit(2 * X.round(), y, training(ball="linf-box"))


@pytest.mark.parametrize("engine", ENGINES)
def test_many_models_at_once_are_the_models_one_by_one_bit_for_bit(blobs, engine):
    X, y = blobs
    trainings = [
        training(eps=eps, seed=seed, learning_rate=rate, engine=engine)
        for eps in (0.0, 0.1)
        for seed in (0, 1)
        for rate in (0.1, 0.01)
    ]
    jobs = [(X, y, t) for t in trainings] + [(X[:, ::-1], -y, trainings[0])]
    one_by_one = [fit(*job) for job in jobs]
    for n_threads in (1, 3):
        for together, alone in zip(fit_many(jobs, n_threads), one_by_one, strict=True):
            assert (together.w == alone.w).all() and together.b == alone.b
            assert (together.losses == alone.losses).all()


def test_many_models_at_once_report_the_job_that_fails(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="eps: found -1"):
        fit_many([(X, y, training()), (X, y, training(eps=-1.0))])
    with pytest.raises(ValueError, match="n_threads: found 0"):
        fit_many([(X, y, training())], n_threads=0)
    with pytest.raises(ValueError, match="one class only"):
        fit_many([(X, y, training()), (X, np.ones(60), training())])


@needs_jit
def test_on_mnist_the_engines_agree_over_an_epoch_to_1e_12(mnist):
    X, y = datasets.load("train", (0, 1), np.float64, mnist)
    one_epoch = {"n_epochs": 1, "dtype": "float64", "eps": 0.1, "learning_rate": 0.01}
    reference, compiled = (fit(X, y, Training(**one_epoch, engine=engine)) for engine in ENGINES)
    np.testing.assert_allclose(compiled.w, reference.w, rtol=0, atol=1e-12)
    assert compiled.b == pytest.approx(reference.b, abs=1e-12)


def test_callbacks_may_come_from_an_iterator(blobs):
    metrics = [BatchMetrics(), EpochMetrics(train=blobs)]
    fit(*blobs, training(engine="numpy"), (callback for callback in metrics))
    assert len(metrics[0].loss) == 3 * 4 and len(metrics[1].history["train_loss"]) == 3


def test_a_fit_shows_itself_in_a_line_or_two(blobs):
    found = fit(*blobs, training(engine="numpy"))
    assert repr(found).startswith("Fit(12 weights, b = ") and len(repr(found)) < 120
    assert f"loss {found.losses[0]:.6g} -> {found.losses[-1]:.6g}" in repr(found)


@pytest.mark.parametrize("stream", [None, "closed", "full"])
def test_without_a_standard_error_many_are_trained_all_the_same(blobs, monkeypatch, stream):
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    elif stream == "full":
        stream = FullTerminal()
    monkeypatch.setattr(sys, "stderr", stream)
    one, other = fit_many([(*blobs, training(engine="numpy"))] * 2)
    assert (one.w == other.w).all()


class FullTerminal(io.StringIO):
    def isatty(self):
        return True

    def write(self, text):
        raise OSError(28, "No space left on device")


def test_weights_and_pixels_start_with_a_cache_line():
    # NumPy's own start anywhere, and large ones 16 bytes into a line.
    raw = np.random.default_rng(0).integers(0, 256, (300, 784)).astype(np.uint8)
    y = np.where(np.arange(300) % 2, 1, -1)
    starts = []

    class Watch(Callback):
        def on_epoch(self, state):
            starts.extend([state.w.ctypes.data, state.grad_w.ctypes.data])

    for dtype in ("float32", "float64"):
        X = pixels(raw, dtype)
        assert np.array_equal(X, np.divide(raw, 255, dtype=dtype))
        starts.append(X.ctypes.data)
        fit(X, y, Training(n_epochs=1, dtype=dtype), callbacks=[Watch()])
    assert len(starts) == 6 and not any(start % 64 for start in starts)
    for shape in (0, 3, (2, 5), (0, 784)):
        assert aligned(shape, "float32").shape == np.empty(shape).shape
