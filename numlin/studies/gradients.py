"""Every gradient of numlin against finite differences, on digits: the command `numlin check`.

A row is a loss, a ball, and an engine. "numpy" is `numlin.objective.subgradient`, "numba" the
gradient that the compiled kernel reports for one batch. In the l2 and l1 balls with the pixel
box, which the kernel does not search itself, it is handed the worst inputs instead: by Danskin's
theorem the gradient of the worst case is the gradient at the worst case.
"""

from itertools import product
from typing import NamedTuple

import numpy as np

from numlin import kernels
from numlin.balls import BALLS, LINF
from numlin.gradcheck import Verdict, check_gradient
from numlin.losses import LOSSES
from numlin.objective import kinks, objective, score, subgradient
from numlin.sgd import Training, fit
from numlin.support.progress import Progress

RTOL = {True: 1e-9, False: 1e-7}


class Check(NamedTuple):
    """One row: what was checked, its worst relative error, the error allowed, the verdict."""

    loss: str
    ball: str
    engine: str
    error: float
    rtol: float
    report: object

    @property
    def verdict(self):
        """Pass, fail or inconclusive."""
        return self.report.verdict


def check_all(X, y, seed=0, n_coordinates=20, n_directions=6):
    """Check every loss x ball x engine at one point; a list of `Check`.

    Parameters
    ----------
    X : (n_samples, n_features)
        Digits in [0, 1]; a few dozen suffice.
    y : (n_samples,)
        Labels, -1 or +1.
    seed : int
        Of the point (w, b), and of the coordinates and directions that are probed.
    n_coordinates, n_directions : int
        How many of each.

    Returns
    -------
    list of Check

    Notes
    -----
    Where the objective is affine between its kinks (hinge; l-inf or l1 ball) finite differences
    are exact to rounding, and 1e-9 is demanded; elsewhere 1e-7, for the curvature that
    extrapolation has to remove.
    """
    rng = np.random.default_rng(seed)
    x = _point(X, y, seed, rng)
    eps = {name: _median_radius(x[:-1], x[-1], X, y, ball) for name, ball in BALLS.items()}
    coordinates = [*rng.choice(X.shape[1], n_coordinates - 1, replace=False), X.shape[1]]
    rows = []
    combinations = list(product(LOSSES, BALLS, ("numpy", "numba")))
    with Progress("checking", len(combinations)) as progress:
        for loss, ball, engine in combinations:
            setting = X, y, eps[ball], LOSSES[loss], BALLS[ball]
            rtol = RTOL[loss == "hinge" and BALLS[ball].norm != "l2"]
            report = check_gradient(
                lambda x, s=setting: objective(x[:-1], x[-1], *s),
                lambda x, s=setting, e=engine: np.append(*_gradient(e, x[:-1], x[-1], *s)),
                x,
                lambda x, s=setting: kinks(x[:-1], x[-1], *s),
                rtol=rtol,
                coordinates=coordinates,
                directions=n_directions,
                rng=rng,
            )
            rows.append(Check(loss, ball, engine, report.worst.error, rtol, report))
            progress.advance(note=f"{loss}, {ball}, {engine}")
    return rows


def _point(X, y, seed, rng):
    """Trained (w, b), stretched so that margins spread, and moved off every kink."""
    few = Training(n_epochs=3, batch_size=10, seed=seed, dtype="float64", engine="numpy")
    trained = fit(X, y, few)
    return 2 * np.append(trained.w, trained.b) + rng.normal(scale=0.01, size=X.shape[1] + 1)


def _median_radius(w, b, X, y, ball):
    """The eps that fools half of the samples: about half of them are then active."""
    return float(np.median(ball.radius(w, X, y, y * score(w, b, X))))


def _gradient(engine, w, b, X, y, eps, loss, ball):
    """grad_w (n_features,) and grad_b as the engine computes them."""
    if engine == "numpy":
        return subgradient(w, b, X, y, eps, loss, ball)
    if ball.name not in kernels.BALL_CODES:
        X, eps, ball = np.clip(X + ball.delta(w, X, y, eps), *ball.bounds), 0.0, LINF
    one_batch = kernels.arguments(
        X, y, w.copy(), b, np.arange(len(y)), np.zeros(1), len(y), eps=eps, loss=loss, ball=ball
    )
    _, grad_b, *_ = kernels.load(engine).sgd_epoch(*one_batch)
    return one_batch.workspace.grad_w, grad_b


def table(rows):
    """Header and rows of the verification table, as text."""
    header = ["loss", "ball", "engine", "worst error", "allowed", "probes", "verdict"]
    return header, [
        [
            row.loss,
            row.ball,
            row.engine,
            f"{row.error:.1e}",
            f"{row.rtol:.0e}",
            str(len(row.report.probes)),
            row.verdict.value,
        ]
        for row in rows
    ]


def failed(rows):
    """The rows that did not pass, inconclusive ones among them."""
    return [row for row in rows if row.verdict is not Verdict.PASS]
