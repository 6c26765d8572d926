"""The global minimum, eps* and the path: numlin against other solvers.

HiGHS (dual simplex, scipy.optimize.linprog) gets the sparse formulation: w = u - v with u, v >= 0,
one variable for ||w||_1, one slack for each sample. The honest peer is HiGHS with what makes the
problem small: a classifier from a hundred epochs of SGD, on the clock, the 1,500 samples nearest to
its margin as the first working set (more are slower), and whoever turns out on the wrong side added
until nobody does. PRIMAL (pyprimal) is a parametric simplex for the same penalised problem,
of a size that it manages. None of them certifies its result; the values are compared.
"""

import numpy as np

from bench import columns
from bench.data import find
from bench.timing import Case, WrongResult, skipped
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.optimum import margin, minimise, whole_path

MINIMA = (
    ((0, 1), 0.1), ((0, 1), 0.2), ((0, 1), 0.3), ((3, 8), 0.1),
    ((0, 8), 0.02), ((3, 8), 0.02), ((3, 8), 0.0), ((4, 9), 0.0),
)  # fmt: skip
MARGINS = ((0, 1), (0, 2), (1, 8))
BOUND = 1e5  # of the weights; at eps = 0 they are some thousands
SGD, WORKING = {"learning_rate": 0.1, "schedule": "linear", "n_epochs": 100}, 1500
PRIMAL_ROWS, PRIMAL_LAMBDA = 50, 0.001


def rows(data, options):
    """Rows of the group `optimum`; HiGHS takes a while, so it runs once, between two of ours."""
    source, found = find(options.data_dir), []
    for digits, eps in MINIMA[1:2] if options.quick else MINIMA:
        X, y = datasets.load("train", digits, np.uint8, source)
        LinearClassifier(eps=eps, n_epochs=1).fit(X, y)  # compiled off the clock
        peers = {
            "HiGHS": lambda X=X, y=y, eps=eps: solve(X, y, eps),
            "HiGHS on working sets from SGD": lambda X=X, y=y, eps=eps: solve_small(X, y, eps),
        }
        name = f"{digits[0]} against {digits[1]}, eps {eps:g}"
        found += _turns(name, lambda X=X, y=y, eps=eps: _minimum(X, y, eps), peers, options.quick)
    for digits in () if options.quick else MARGINS:
        X, y = datasets.load("train", digits, np.uint8, source)
        peers = {"HiGHS": lambda X=X, y=y: -solve_margin(X, y)}
        name = f"{digits[0]} against {digits[1]}, eps*"
        found += _turns(name, lambda X=X, y=y: -margin(X, y).lower, peers)
    X, y = datasets.load("train", (0, 1), np.uint8, source)
    if not options.quick:
        found += _turns("0 against 1, the whole path", lambda: whole_path(X, y).eps_star, {})
        few = np.linspace(0, len(y) - 1, PRIMAL_ROWS).astype(int)
        found += _turns(
            f"{PRIMAL_ROWS} images of 0 against 1, the whole path",
            lambda: _least_at_primal(X[few], y[few]),
            {"PRIMAL": lambda: solve_primal(X[few], y[few])},
        )
    return found + columns.rows(source, options.quick)


def _turns(name, ours, peers, quick=False):
    """Rows of one problem: numlin three times, each peer once, numlin three times.

    Each returns its minimum. A peer may stop above numlin's, which is noted, but not below.
    """
    values = {}

    def keep(label, run):
        return lambda: values.update({label: run()})

    baseline = f"numlin, {name}"
    case = Case(baseline, keep("numlin", ours), baseline=baseline)
    samples = [case.sample() for _ in range(4)][1:]
    found = []
    for peer, run in peers.items():
        other = Case(f"{peer}, {name}", keep(peer, run), baseline=baseline)
        if quick:
            found.append(skipped(other.name, "takes too long for --quick"))
            continue
        try:
            once = [other.sample()]
        except ImportError as error:
            found.append(skipped(other.name, f"needs {error.name}"))
            continue
        except WrongResult as error:
            found.append(skipped(other.name, f"gave up: {error}"))
            continue
        above = values[peer] - values["numlin"]
        if above < -1e-8:
            raise WrongResult(f"{name}: {peer} {values[peer]!r}, numlin {values['numlin']!r}")
        other.note = f"{above:.0e} above" if above > 1e-8 else ""
        found.append(other.row([2], once))
    if not quick:
        samples += [case.sample() for _ in range(3)]
    return [case.row(list(range(len(samples))), samples), *found]


def _minimum(X, y, eps):
    """numlin's minimum, which must be certified."""
    found = minimise(X, y, eps)
    if found.relative_gap > 1e-9:
        raise WrongResult(f"eps {eps}: relative gap {found.relative_gap:.1e}")
    return found.objective


def solve(X, y, eps):
    """The minimum by HiGHS: min mean(xi), y_i (w.x_i + b) - eps s + xi_i >= 1, s = sum(u + v)."""
    every = np.ones(len(y), bool)
    return _restricted(X, y, eps, every, ~every)[0]


def solve_small(X, y, eps):
    """The same on working sets, from a classifier that SGD finds."""
    fit = LinearClassifier(eps=eps, **SGD).fit(X, y)
    r = _residuals(X, y, eps, fit.w, fit.b)
    working, below = np.zeros(len(y), bool), r > 0
    working[np.argsort(np.abs(r))[:WORKING]] = True
    while True:
        value, w, b = _restricted(X, y, eps, working, below & ~working)
        r = _residuals(X, y, eps, w, b)
        wrong = ((r > 0) != below) & ~working
        if not wrong.any():
            return value
        working |= wrong


def _residuals(X, y, eps, w, b):
    return 1 - y * (X @ (w / 255) + b) + eps * np.abs(w).sum()


def _restricted(X, y, eps, working, below):
    """The linear program of some samples, others being taken to stay below the margin."""
    from scipy import sparse

    (n, d), few = X.shape, int(working.sum())
    signed = sparse.diags(y[working].astype(float)) @ sparse.csr_matrix(X[working] / 255)
    inequalities = sparse.hstack(
        [-signed, signed, -sparse.csr_matrix(y[working][:, None].astype(float)),
         sparse.csr_matrix(np.full((few, 1), eps)), -sparse.identity(few)]
    ).tocsc()  # fmt: skip
    norm = sparse.csr_matrix(np.concatenate([np.ones(2 * d), [0.0, -1.0], np.zeros(few)])[None])
    pull = y[below].astype(float) @ X[below] / 255 / n
    linear = [-pull, pull, [-y[below].sum() / n, eps * below.sum() / n]]
    cost = np.concatenate([*linear, np.full(few, 1 / n)])
    # Samples that are taken to stay below pull without end, so a working set needs a bound.
    most = None if working.all() else BOUND
    bounds = (
        [(0, most)] * (2 * d)
        + [(None if most is None else -most, most), (0, None)]
        + [(0, None)] * few
    )
    found = _highs(cost, inequalities, -np.ones(few), norm, [0.0], bounds)
    return found.fun + below.sum() / n, found.x[:d] - found.x[d : 2 * d], found.x[2 * d]


def solve_margin(X, y):
    """eps* by HiGHS: one over the minimum of sum(u + v), y_i (w.x_i + b) >= 1."""
    from scipy import sparse

    n, d = X.shape
    signed = sparse.diags(y.astype(float)) @ sparse.csr_matrix(X / 255)
    inequalities = sparse.hstack([-signed, signed, -sparse.csr_matrix(y[:, None].astype(float))])
    bounds = [(0, None)] * (2 * d) + [(None, None)]
    cost = np.append(np.ones(2 * d), 0.0)
    return 1 / _highs(cost, inequalities.tocsc(), -np.ones(n), None, None, bounds).fun


def _highs(*problem):
    from scipy.optimize import linprog

    found = linprog(*problem, method="highs-ds")
    if found.status:
        raise WrongResult(f"HiGHS: {found.message}")
    return found


def solve_primal(X, y):
    """PRIMAL's path; the value that counts is the smallest penalised hinge at PRIMAL_LAMBDA."""
    from pyprimal import sparse_svm_solver

    found = sparse_svm_solver(X / 255, y.astype(float), 20_000, PRIMAL_LAMBDA)
    return min(
        np.maximum(0, 1 - y * (X @ beta / 255 + c)).mean() + PRIMAL_LAMBDA * np.abs(beta).sum()
        for beta, c in zip(found.beta.T, found.beta0, strict=True)
    )


def _least_at_primal(X, y):
    """The same from numlin's path."""
    return min(s.hinge + PRIMAL_LAMBDA * s.l1 for s in whole_path(X, y).segments)
