"""The same epoch by other means, each at its best documented setting, on one thread.

Float32 pixels, batch 100 and eps 0.1 unless a row says otherwise, all from the same start in the
same order; the weights at the end are compared before anything is timed. Processor time, with the
process held on one processor: JAX would start threads on the others.
"""

import importlib
import os
import warnings

import numpy as np

from bench import limits
from bench.data import BATCH, expect_close, numpy_epoch, rate, start
from bench.kernels import epoch, product
from bench.timing import Case, WrongResult, measure, skipped
from numlin.objective import objective
from numlin.sgd import Training, fit

EPS = 0.1
KERNEL = f"kernel float32 batch {BATCH} eps {EPS:g}"
KERNEL_RAW = KERNEL.replace("float32", "uint8")
KERNEL_SINGLE = "kernel float32 batch 1 eps 0"
SKLEARN_EPOCHS = 10
W_TOLERANCE = 2e-3  # float32: a few samples on the other side of their kink, 20 weights on theirs


def rows(data, options):
    """Rows of the group `peers`; a package that is missing is one skipped row."""
    if not hasattr(os, "sched_setaffinity"):
        return _rows(data, options)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        return _rows(data, options)
    finally:
        os.sched_setaffinity(0, allowed)


def _rows(data, options):
    X, exact = data.stored("float32"), _exact(data)
    cases = [*limits.cases(X), product(X, "float32")]
    cases += [
        epoch("numba", X, data, (EPS, BATCH), exact),
        epoch("numba", data.pixels, data, (EPS, BATCH), exact),
        epoch("numba", X, data, (0.0, 1), exact),
        epoch("numba", data.pixels, data, (0.0, 1), exact),
    ]
    absent = []
    for package, peer in (
        ("numpy", numpy_loop),
        ("torch", torch_eager),
        ("jax", jax_scan),
        ("sklearn", sgd_classifier),
        ("sklearn", linear_svc),
    ):
        try:
            importlib.import_module(package)
        except ImportError as error:
            absent.append(skipped(peer.__name__, f"{error}: pip install '.[peers]'"))
        else:
            cases += peer(X, data)
    return measure("peers", cases, 7 if options.quick else 40, 0.4 if options.quick else 8) + absent


def _exact(data):
    """The plain loop in float64 as a function of what `bench.data.start` takes."""
    X, y = data.stored("float64"), data.y.astype(np.float64)
    return lambda *key: numpy_epoch(X, y, start(data, *key), np.float64)


def _case(name, X, data, run, baseline=KERNEL, note=""):
    """A case whose `run` returns the w (n_features,) that an epoch ends with."""

    def check():
        expect_close(name, run(), _exact(data)(EPS)[0], W_TOLERANCE)

    return Case(name, run, check, rows=len(X), n_bytes=X.nbytes, baseline=baseline, note=note)


def numpy_loop(X, data):
    """A NumPy loop over batches, BLAS inside."""
    steps, y = start(data, EPS), data.y.astype(np.float32)

    def case(stored, baseline):
        return _case(
            f"NumPy loop {stored.dtype}",
            stored,
            data,
            lambda: numpy_epoch(stored, y, steps, np.float32)[0],
            baseline,
        )

    return [case(X, KERNEL), case(data.pixels, KERNEL_RAW)]


def torch_eager(X, data):
    """PyTorch as its tutorials write it: nn.Linear, autograd, optim.SGD."""
    import torch

    torch.set_num_threads(1)
    steps = start(data, EPS)
    inputs, labels = torch.from_numpy(X), torch.from_numpy(data.y.astype(np.float32))
    batches = torch.from_numpy(steps.order).split(BATCH)

    def run():
        model = torch.nn.Linear(X.shape[1], 1)
        with torch.no_grad():
            model.weight.copy_(torch.from_numpy(steps.w)[None])
            model.bias.fill_(steps.b)
        optimizer = torch.optim.SGD(model.parameters(), steps.learning_rate)
        for rows in batches:
            optimizer.zero_grad()
            margin = labels[rows] * model(inputs[rows])[:, 0]
            margin = margin - EPS * torch.linalg.vector_norm(model.weight, 1)
            torch.relu(1 - margin).mean().backward()
            optimizer.step()
        return model.weight.detach().numpy()[0]

    return [_case("PyTorch eager", X, data, run, note=f"{torch.__version__}, a loop in Python")]


def jax_scan(X, data):
    """JAX: one jit around a scan over the batches, float32 and uint8."""
    import jax
    import jax.numpy as jnp

    steps, y = start(data, EPS), jnp.asarray(data.y, jnp.float32)
    n_whole = len(X) // BATCH * BATCH
    whole = jnp.asarray(steps.order[:n_whole].reshape(-1, BATCH))
    rest = jnp.asarray(steps.order[n_whole:])

    def batch_loss(model, X, rows):
        w, b = model
        x = X[rows].astype(jnp.float32) / (255 if X.dtype == jnp.uint8 else 1)
        gap = 1 - y[rows] * (x @ w + b) + EPS * jnp.abs(w).sum()
        return jnp.maximum(0, gap).mean()

    @jax.jit
    def train(model, X):
        def descend(model, rows):
            slope = jax.grad(batch_loss)(model, X, rows)
            return jax.tree.map(lambda at, s: at - steps.learning_rate * s, model, slope), None

        model, _ = jax.lax.scan(descend, model, whole)
        return descend(model, rest)[0] if len(rest) else model

    def case(stored, baseline):
        data_there = jnp.asarray(stored)
        model = jnp.asarray(steps.w), jnp.float32(steps.b)
        note = f"{jax.__version__}; compiled before the clock starts"
        return _case(
            f"JAX jit + scan {stored.dtype}",
            stored,
            data,
            lambda: np.asarray(train(model, data_there)[0]),
            baseline,
            note,
        )

    return [case(X, KERNEL), case(data.pixels, KERNEL_RAW)]


def sgd_classifier(X, data):
    """scikit-learn's SGD, sample by sample: one epoch, and ten, which share the preparation."""
    from sklearn.linear_model import SGDClassifier

    w, b = data.middle[0.0]
    one, ten = (
        SGDClassifier(
            loss="hinge",
            penalty=None,
            learning_rate="constant",
            eta0=rate(0.0, 1),
            max_iter=n_epochs,
            tol=None,
            shuffle=True,
            random_state=0,
        )
        for n_epochs in (1, SKLEARN_EPOCHS)
    )

    def fitted(model):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it stopped before converging, as told to
            return model.fit(X, data.y, coef_init=w.copy(), intercept_init=[b])

    def check():
        # Its order is its own, so the objective is compared: 1e-3 is some ten samples' hinge.
        model = fitted(one)
        found, expected = (
            objective(at, bias, data.stored("float64"), data.y)
            for at, bias in (
                (model.coef_[0].astype(float), model.intercept_[0]),
                _exact(data)(0.0, 1)[:2],
            )
        )
        expect_close("scikit-learn SGDClassifier", found, expected, 1e-3)

    note = (
        "batch 1, eps 0, no regularisation, intercept; float32 data, its own order; fit checks "
        "X for NaN and writes w before and after"
    )
    return [
        Case(
            f"SGDClassifier, {n} epoch" + "s" * (n > 1),
            lambda model=model: fitted(model),
            check if n == 1 else None,
            rows=n * len(X),
            n_bytes=n * X.nbytes,
            baseline=KERNEL_SINGLE,
            note=note,
        )
        for n, model in ((1, one), (SKLEARN_EPOCHS, ten))
    ]


def linear_svc(X, data):
    """scikit-learn's LinearSVC to its own tolerance, and numlin's fit to a loss as low."""
    from sklearn.svm import LinearSVC

    model = LinearSVC(loss="hinge", dual=True, random_state=0, max_iter=10000)
    doubles = data.stored("float64")

    def fitted():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(doubles, data.y)

    loss = objective(fitted().coef_[0], model.intercept_[0], doubles, data.y)
    for n_epochs in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000):
        training = Training(n_epochs=n_epochs, learning_rate=1.0, schedule="linear")
        found = fit(data.pixels, data.y, training)
        reached = objective(found.w.astype(float), found.b, doubles, data.y)
        if reached <= loss:
            break
    else:
        raise WrongResult(f"numlin reaches a mean hinge of {reached:.3g}, LinearSVC {loss:.3g}")
    name = "LinearSVC"
    return [
        Case(
            name,
            fitted,
            rows=len(X),
            baseline=name,
            note=f"C = 1: ||w||^2 / 2 and the intercept are penalised; float64 inside; a whole "
            f"solve, mean hinge {loss:.2g} without the penalty",
        ),
        Case(
            "fit uint8 to that loss",
            lambda: fit(data.pixels, data.y, training),
            rows=len(X),
            baseline=name,
            note=f"batch {BATCH}, {n_epochs} epochs, no penalty: mean hinge {reached:.2g}",
        ),
    ]
