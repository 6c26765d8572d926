"""The optimum in the pixel box and of the smooth losses: numlin against general solvers.

All get the worst-case columns of `numlin.optimum.columns`, twice as many as pixels, with weights
>= 0. HiGHS solves the boxed hinge as one linear programme, and again on numlin's terms: on every
eighth image first, then on the images near its margin, with the others fixed until one is on the
wrong side. L-BFGS-B and Clarabel (through CVXPY, on the free problem as users write it) minimise
the smooth losses. Each row's note says how far above numlin's certified bound its result is.
"""

import numpy as np

from bench.timing import Case, WrongResult, skipped
from numlin.balls import LINF, LINF_BOX
from numlin.data import datasets
from numlin.losses import HINGE, LOGISTIC, SQUARED_HINGE
from numlin.objective import objective
from numlin.optimum import minimise
from numlin.optimum.columns import worst_case

RADII = (0.1, 0.2, 0.3)
WORKING, EVERY = 2000, 8
BOUND = 1e4  # of the weights: samples that are taken to stay below pull without end


def rows(source, quick):
    """Rows of boxed hinge, squared hinge and logistic; each peer runs once, between ours."""
    X, y = datasets.load("train", (0, 1), np.uint8, source)
    y, found = y.astype(float), []
    for eps in RADII[1:2] if quick else RADII:
        found += _problem(X, y, eps, HINGE, LINF_BOX, LINEAR, quick)
        for loss in (SQUARED_HINGE, LOGISTIC):
            for ball in (LINF, LINF_BOX):
                conic = {"CVXPY, Clarabel": clarabel} if (loss, ball) == (LOGISTIC, LINF) else {}
                found += _problem(X, y, eps, loss, ball, {"L-BFGS-B": lbfgs} | conic, quick)
    if not quick:
        X, y = datasets.load("train", (3, 8), np.uint8, source)
        found += _problem(X, y.astype(float), 0.1, HINGE, LINF_BOX, LINEAR, quick, ", 3 against 8")
    return found


def _problem(X, y, eps, loss, ball, peers, quick, digits=""):
    """Rows of one problem, X (n_samples, n_features) uint8 and y (n_samples,)."""
    name, results = f"{loss.name}, {ball.name}, eps {eps}{digits}", {}

    def ours():
        results["numlin"] = minimise(X, y, eps, loss=loss, ball=ball)

    baseline = f"numlin, {name}"
    case = Case(baseline, ours, baseline=baseline)
    seconds, measured = [case.sample() for _ in range(4)][1:], []
    best = results["numlin"]
    if best.relative_gap > 1e-9:
        raise WrongResult(f"{name}: relative gap {best.relative_gap:.1e}")
    for peer, solve in peers.items():
        label = f"{peer}, {name}"
        if quick:
            measured.append(skipped(label, "takes too long for --quick"))
            continue

        def run(solve=solve):
            results["peer"] = solve(X, y, eps, loss, ball)

        other = Case(label, run, baseline=baseline)
        try:
            once = [other.sample()]
        except ImportError as error:
            measured.append(skipped(label, f"needs scipy, cvxpy and clarabel ({error})"))
            continue
        except WrongResult as error:
            measured.append(skipped(label, f"gave up: {error}"))
            continue
        w, b = results["peer"]
        reached = objective(w, b, X / 255, y, eps, loss, ball)
        above = reached / best.lower_bound - 1
        if above < -1e-12:
            raise WrongResult(f"{label}: {above:.1e} from the certified bound")
        if above >= 1e-2:
            measured.append(skipped(label, f"stopped {above:.0e} above the bound"))
            continue
        other.note = f"{above:.0e} above the bound"
        measured.append(other.row([3], once))
    seconds += [case.sample() for _ in range(3)]
    case.note = f"{best.relative_gap:.0e} above the bound"
    return [case.row([*range(3), *range(4, 7)], seconds), *measured]


def _columns(X, y, eps, ball):
    """All worst-case columns and y: (n_samples, 2 n_features + 1)."""
    return np.hstack([*worst_case(X, y, eps, ball.bounds is not None), y[:, None]])


def _weights(x):
    """w (n_features,) and b of x = (u, v, b)."""
    u, v = x[:-1].reshape(2, -1)
    return u - v, x[-1]


def highs(X, y, eps, loss, ball):
    """The boxed hinge by HiGHS, all at once."""
    Z = _columns(X, y, eps, ball)
    return _weights(_linear_programme(Z, 1 / len(y), np.zeros(Z.shape[1])))


def nested(X, y, eps, loss, ball):
    """The boxed hinge by HiGHS on numlin's start and working sets."""
    Z, unit = _columns(X, y, eps, ball), 1 / len(y)
    x = _linear_programme(Z[::EVERY], unit * EVERY, np.zeros(Z.shape[1]))
    r = 1 - Z @ x
    below, working = r > 0, np.zeros(len(y), bool)
    working[np.argsort(np.abs(r), kind="stable")[:WORKING]] = True
    while True:
        x = _linear_programme(Z[working], unit, unit * Z[below & ~working].sum(axis=0))
        wrong = ((1 - Z @ x > 0) != below) & ~working
        if not wrong.any():
            return _weights(x)
        working |= wrong


def _linear_programme(Z, unit, pull):
    """min unit sum(xi) - pull.x with Z x + xi >= 1 and all but the last of x, and xi, >= 0."""
    from scipy import sparse
    from scipy.optimize import linprog

    n, k = Z.shape
    found = linprog(
        np.append(-pull, np.full(n, unit)),
        sparse.hstack([-sparse.csc_matrix(Z), -sparse.identity(n)]).tocsc(),
        -np.ones(n),
        bounds=[(0, BOUND)] * (k - 1) + [(-BOUND, BOUND)] + [(0, None)] * n,
        method="highs-ds",
    )
    if found.status:
        raise WrongResult(f"HiGHS: {found.message}")
    return found.x[:k]


def lbfgs(X, y, eps, loss, ball):
    """A smooth loss by L-BFGS-B, with tolerances so small that it goes as far as it can."""
    from scipy.optimize import minimize

    Z = _columns(X, y, eps, ball)

    def value_and_gradient(x):
        m = Z @ x
        return loss.value(m).mean(), loss.derivative(m) @ Z / len(y)

    k = Z.shape[1]
    found = minimize(
        value_and_gradient,
        np.zeros(k),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (k - 1) + [(None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000, "maxfun": 10000, "maxcor": 20},
    )
    return _weights(found.x)


def clarabel(X, y, eps, loss, ball):
    """The free robust logistic problem as CVXPY hands it to Clarabel, default accuracy."""
    import cvxpy as cp

    w, b = cp.Variable(X.shape[1]), cp.Variable()
    margin = cp.multiply(y, (X / 255) @ w + b) - eps * cp.norm1(w)
    cp.Problem(cp.Minimize(cp.sum(cp.logistic(-margin)) / len(y))).solve(solver=cp.CLARABEL)
    return w.value, float(b.value)


LINEAR = {"HiGHS": highs, "HiGHS, same sets": nested}
