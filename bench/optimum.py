"""The global minimum of the robust hinge: numlin's simplex against HiGHS, a general LP solver.

HiGHS (dual simplex, scipy.optimize.linprog) gets the sparse formulation: w = u - v with u, v >= 0,
one variable for ||w||_1, one slack for each sample. Its result carries no certificate of its own;
the values are compared.
"""

import numpy as np

from bench.timing import Case, WrongResult, skipped
from numlin.data import datasets
from numlin.optimum import minimise

PROBLEMS = (((0, 1), 0.1), ((0, 1), 0.2), ((0, 1), 0.3), ((3, 8), 0.1))


def rows(data, options):
    """Rows of the group `optimum`; HiGHS takes a while, so it runs once, between two of ours."""
    source, found = datasets.find("auto", options.data_dir), []
    for digits, eps in PROBLEMS[1:2] if options.quick else PROBLEMS:
        X, y = datasets.load("train", digits, np.uint8, source)
        found += _problem(X, y, eps, f"{digits[0]} against {digits[1]}, eps {eps}", options.quick)
    return found


def _problem(X, y, eps, name, quick):
    """Rows of one problem, X (n_samples, n_features) uint8 and y (n_samples,)."""
    results = {}

    def ours():
        results["ours"] = minimise(X, y, eps)

    def highs():
        results["HiGHS"] = solve(X, y, eps)

    baseline = f"numlin, {name}"
    case = Case(baseline, ours, baseline=baseline)
    other = Case(f"HiGHS, {name}", highs, baseline=baseline)
    before = [case.sample() for _ in range(4)][1:]
    if results["ours"].relative_gap > 1e-9:
        raise WrongResult(f"{name}: relative gap {results['ours'].relative_gap:.1e}")
    if quick:
        return [case.row([0, 1, 2], before), skipped(other.name, "takes too long for --quick")]
    try:
        once = [other.sample()]
    except ImportError as error:
        return [case.row([0, 1, 2], before), skipped(other.name, f"needs scipy ({error})")]
    after = [case.sample() for _ in range(3)]
    gap = abs(results["HiGHS"] - results["ours"].objective)
    if gap > 1e-8:
        raise WrongResult(f"{name}: HiGHS and numlin differ by {gap:.1e}")
    return [case.row(list(range(6)), before + after), other.row([2], once)]


def solve(X, y, eps):
    """The minimum by HiGHS: min mean(xi), y_i (w.x_i + b) - eps s + xi_i >= 1, s = sum(u + v)."""
    from scipy import sparse
    from scipy.optimize import linprog

    n, d = X.shape
    signed = sparse.diags(y.astype(float)) @ sparse.csr_matrix(X / 255)
    ones = np.ones((n, 1))
    inequalities = sparse.hstack(
        [-signed, signed, -sparse.csr_matrix(y[:, None].astype(float)),
         sparse.csr_matrix(eps * ones), -sparse.identity(n)]
    ).tocsc()  # fmt: skip
    norm = sparse.csr_matrix(np.concatenate([np.ones(2 * d), [0.0, -1.0], np.zeros(n)])[None])
    cost = np.concatenate([np.zeros(2 * d + 2), np.full(n, 1 / n)])
    bounds = [(0, None)] * (2 * d) + [(None, None), (0, None)] + [(0, None)] * n
    found = linprog(cost, inequalities, -np.ones(n), norm, [0.0], bounds, method="highs-ds")
    if found.status:
        raise WrongResult(f"HiGHS: {found.message}")
    return float(found.fun)
