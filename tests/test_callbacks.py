"""Every number that a callback hands on, recomputed from the definitions in a loop of its own."""

import numpy as np
import pytest

from numlin.callbacks import (
    BatchMetrics,
    Callback,
    EpochMetrics,
    GradientCollector,
    LossLogger,
    WeightSnapshots,
)
from numlin.sgd import SCHEDULES, STARTS, Training, epoch_order, fit

LOSS = {
    "hinge": lambda m: max(0.0, 1 - m),
    "squared-hinge": lambda m: max(0.0, 1 - m) ** 2,
    "logistic": lambda m: float(np.log1p(np.exp(-m))),
}
SLOPE = {
    "hinge": lambda m: -1.0 if m < 1 else 0.0,
    "squared-hinge": lambda m: -2 * max(0.0, 1 - m),
    "logistic": lambda m: -1 / (1 + float(np.exp(m))),
}
NORM = {
    "linf": lambda w: (np.abs(w).sum(), np.sign(w)),
    "l2": lambda w: (np.sqrt(w @ w), w / np.sqrt(w @ w)),
    "l1": lambda w: (
        np.abs(w).max(),
        np.where(np.arange(len(w)) == np.abs(w).argmax(), np.sign(w), 0.0),
    ),
}


def worst_margin(w, b, x, y, eps, ball):
    """The least margin of one sample, from the definition of each ball."""
    if ball == "linf-box":
        return y * (np.clip(x - y * eps * np.sign(w), 0, 1) @ w + b)
    return y * (x @ w + b) - eps * NORM[ball](w)[0]


def replay(X, y, t):
    """Train sample by sample; what every batch and every epoch should have shown."""
    rng = np.random.default_rng(t.seed)
    reach_w, reach_b = STARTS[t.start](X.shape[1])
    w, b = rng.uniform(-reach_w, reach_w, X.shape[1]), float(rng.uniform(-reach_b, reach_b))
    n_steps = -(-len(X) // t.batch_size)
    batches, epochs, step = [], [], 0
    for _ in range(t.n_epochs):
        order, _ = epoch_order(len(X), t.shuffle_block, rng)
        seen_loss, seen_errors = [], []
        for k in range(n_steps):
            rows = order[k * t.batch_size : (k + 1) * t.batch_size]
            grad_w, grad_b, losses, errors, clean = np.zeros(len(w)), 0.0, [], [], []
            for i in rows:
                margin = worst_margin(w, b, X[i], y[i], t.eps, t.ball)
                c = SLOPE[t.loss](margin)
                if t.ball == "linf-box":
                    worst = np.clip(X[i] - y[i] * t.eps * np.sign(w), 0, 1)
                    grad_w += c * y[i] * worst
                else:
                    grad_w += c * (y[i] * X[i] - t.eps * NORM[t.ball](w)[1])
                grad_b += c * y[i]
                losses.append(LOSS[t.loss](margin))
                errors.append(not margin > 0)
                clean.append(y[i] * (X[i] @ w + b) > 0)
            share = len(rows) if t.reduction == "mean" else 1
            rate = t.learning_rate * float(
                SCHEDULES[t.schedule](np.array([float(step)]), t.n_epochs * n_steps)[0]
            )
            batches.append(
                (rows, np.mean(losses), np.mean(clean), grad_w / share, grad_b / share, rate)
            )
            w, b, step = w - rate * grad_w / share, b - rate * grad_b / share, step + 1
            seen_loss += losses
            seen_errors += errors
        epochs.append((w.copy(), b, np.mean(seen_loss), np.mean(seen_errors)))
    return batches, epochs


class Everything(Callback):
    """Copies of all that the state shows."""

    def __init__(self):
        self.batches, self.epochs = [], []

    def on_batch(self, state):
        names = ("epoch", "batch", "learning_rate", "b", "batch_loss", "grad_b", "epoch_loss")
        kept = {name: getattr(state, name) for name in (*names, "epoch_error")}
        for name in ("w", "rows", "labels", "scores", "grad_w"):
            kept[name] = getattr(state, name).copy()
        self.batches.append(kept)

    def on_epoch(self, state):
        self.epochs.append((state.epoch, state.epoch_loss, state.epoch_error))


CASES = [
    {"loss": "hinge", "ball": "linf", "schedule": "linear"},
    {"loss": "squared-hinge", "ball": "l2", "schedule": "sqrt", "reduction": "sum"},
    {"loss": "logistic", "ball": "l1", "start": "fan-in"},
    {"loss": "hinge", "ball": "linf-box", "shuffle_block": 8},
]


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("changes", CASES, ids=lambda case: f"{case['loss']}-{case['ball']}")
def test_callbacks_show_what_a_loop_over_single_samples_computes(blobs, changes, engine):
    X, y = blobs
    other_X, other_y = X[::-3], -y[::-3]
    plan = Training(
        eps=0.07, n_epochs=3, batch_size=16, learning_rate=0.02, seed=3, dtype="float64",
        engine=engine, **changes,
    )  # fmt: skip
    seen, metrics = Everything(), EpochMetrics(own=blobs, far=(other_X, other_y))
    batch_metrics, gradients, snapshots = BatchMetrics(), GradientCollector(), WeightSnapshots()
    found = fit(X, y, plan, [seen, metrics, batch_metrics, gradients, snapshots])
    batches, epochs = replay(X, y, plan)
    assert len(seen.batches) == len(batches) == 12 and len(epochs) == 3

    close = {"rtol": 1e-9, "atol": 1e-12}  # 12 steps of sums of 12 terms in another order
    for k, (shown, (rows, loss, accuracy, grad_w, grad_b, rate)) in enumerate(
        zip(seen.batches, batches, strict=True)
    ):
        assert (shown["epoch"], shown["batch"]) == divmod(k, 4)
        assert shown["rows"].tolist() == rows.tolist()
        assert shown["labels"].tolist() == y[rows].tolist()
        assert len(shown["scores"]) == len(rows) == (12 if k % 4 == 3 else 16)
        for name, expected in (("batch_loss", loss), ("grad_w", grad_w), ("grad_b", grad_b)):
            np.testing.assert_allclose(shown[name], expected, **close)
        np.testing.assert_allclose(shown["learning_rate"], rate, **close)
        np.testing.assert_allclose(batch_metrics.loss[k], loss, **close)
        np.testing.assert_allclose(gradients.grad_w[k], grad_w, **close)
        np.testing.assert_allclose(gradients.grad_b[k], grad_b, **close)
        assert batch_metrics.accuracy[k] == pytest.approx(accuracy, abs=1e-12)
    for k, (w, b, loss, error) in enumerate(epochs):
        np.testing.assert_allclose(snapshots.w[k], w, **close)
        np.testing.assert_allclose([snapshots.b[k], found.losses[k]], [b, loss], **close)
        assert found.errors[k] == pytest.approx(error, abs=1e-12)
        assert seen.epochs[k] == (k, found.losses[k], found.errors[k])
        assert seen.batches[4 * k + 3]["epoch_loss"] == pytest.approx(loss, rel=1e-9)
        assert seen.batches[4 * k + 3]["epoch_error"] == pytest.approx(error, abs=1e-12)
        half = np.concatenate([r for r, *_ in batches[4 * k : 4 * k + 2]])
        halfway = np.average([batches[4 * k + i][1] for i in (0, 1)])
        assert len(half) == 32 and seen.batches[4 * k + 1]["epoch_loss"] == pytest.approx(halfway)
        for name, (A, signs) in (("own", (X, y)), ("far", (other_X, other_y))):
            robust = [worst_margin(w, b, x, s, 0.07, plan.ball) for x, s in zip(A, signs)]
            clean = [s * (x @ w + b) for x, s in zip(A, signs)]
            expected = np.mean([LOSS[plan.loss](m) for m in robust])
            assert metrics.history[f"{name}_loss"][k] == pytest.approx(expected, rel=1e-9)
            assert metrics.history[f"{name}_error"][k] == np.mean([not m > 0 for m in clean])
    np.testing.assert_allclose(found.w, epochs[-1][0], **close)
    assert found.b == pytest.approx(epochs[-1][1], rel=1e-9)
    assert (found.rows_read == 1).all()


def test_the_logger_writes_the_epoch_from_one_its_loss_and_its_error(blobs):
    lines = []
    found = fit(*blobs, Training(n_epochs=2, engine="numpy"), [LossLogger(lines.append)])
    assert lines == [
        f"epoch {k + 1:3d}/2  loss {found.losses[k]:.6f}  error {found.errors[k]:.4%}"
        for k in range(2)
    ]
    assert found.errors[0] != found.losses[0]


def test_what_was_kept_is_a_copy(blobs):
    gradients, snapshots = GradientCollector(), WeightSnapshots()
    fit(*blobs, Training(n_epochs=3, batch_size=20), [gradients, snapshots])
    assert len({w.tobytes() for w in snapshots.w}) == 3
    assert len({g.tobytes() for g in gradients.grad_w}) > 3
