"""Simplex on working sets: most samples are far from the margin and can wait outside.

Where the minimum will be is found on every `SUBSAMPLE`-th sample first. Then only the samples with
the smallest residuals there enter a tableau; the others are taken to stay above or below the
margin, where they add nothing or a linear term. When the tableau is solved, whoever turns out to
be on the other side joins, until nobody does. Sets only grow, so this ends.
"""

from dataclasses import dataclass

import numpy as np

from numlin.optimum.columns import column_sums, margins, scale, worst_case
from numlin.optimum.pivots import BELOW, ON, OPTIMAL, Tableau
from numlin.optimum.simplex import descend, tableau

SUBSAMPLE = 8
SMALL = 2000  # so many samples make one tableau


@dataclass(frozen=True)
class Problem:
    """min sum_i unit max(0, 1 - z_i.v + sum_j drop_j |v_j|) + sum_j toll_j |v_j|, v = (w, b).

    `X` (n_samples, n_features), `y` (n_samples,), `drop` and `toll` (D,). D is n_features + 1;
    in the pixel box with a ball of radius `box`, v = (u, v, b) with u, v >= 0, w = u - v, and D
    is 2 n_features + 1. Then the columns z are the worst case (`numlin.optimum.columns`).
    """

    X: np.ndarray
    y: np.ndarray
    drop: np.ndarray
    toll: np.ndarray
    unit: float
    box: float | None = None

    def residuals(self, v):
        """r_i of all samples at v (D,): (n_samples,)."""
        if self.box is not None:
            m = margins(self.X, self.y, *v[:-1].reshape(2, -1), v[-1], self.box, True)
            return 1 - m + self.drop @ v
        used = np.flatnonzero(v[:-1])
        score = self.X[:, used] @ (v[used] * scale(self.X)) + v[-1]
        return 1 - self.y * score + self.drop @ np.abs(v)

    def signed(self, rows):
        """Signed samples z_i of some rows, free y_i (x_i, 1): (len(rows), D)."""
        Z, X, y = np.empty((len(rows), self.drop.size)), self.X[rows], self.y[rows]
        if self.box is None:
            np.multiply(X, (y * scale(X))[:, None], out=Z[:, :-1])
        else:
            d = X.shape[1]
            worst_case(X, y, self.box, True, out=(Z[:, :d], Z[:, d:-1]))
        Z[:, -1] = y
        return Z


@dataclass(frozen=True)
class Basis:
    """Samples (k,) on the margin and nonzero coordinates (k,), with signs (k,)."""

    samples: np.ndarray
    coordinates: np.ndarray
    signs: np.ndarray


EMPTY = Basis(np.zeros(0, int), np.zeros(0, int), np.zeros(0))


@dataclass(frozen=True)
class Corner:
    """Where a search ended: v (D,), its basis, and the last tableau.

    `working` (n_samples,) marks the samples in the tableau, `below` the others below the margin.
    """

    v: np.ndarray
    basis: Basis
    tableau: Tableau
    working: np.ndarray
    below: np.ndarray
    n_pivots: int
    ending: int


def search(problem, v, basis, budget):
    """Solve `problem` from a point v (D,) and a basis near it; return a `Corner`."""
    n, total = len(problem.y), 0
    if n > SMALL and not len(basis.samples):
        some = slice(None, None, SUBSAMPLE)
        part = Problem(problem.X[some], problem.y[some], problem.drop, problem.toll,
                       problem.unit * SUBSAMPLE, problem.box)  # fmt: skip
        corner = search(part, v, basis, budget)
        v, total, basis = corner.v, corner.n_pivots, corner.basis
        basis = Basis(basis.samples * SUBSAMPLE, basis.coordinates, basis.signs)
    r = problem.residuals(v)
    below, working = r > 0, np.zeros(n, bool)
    working[np.argsort(np.abs(r), kind="stable")[: max(SMALL, n // SUBSAMPLE)]] = True
    working[basis.samples] = True
    while True:
        t = restricted(problem, working, basis)
        outside = outside_sums(problem, working, below)
        count, ending = descend(t, problem.unit, outside, budget - total)
        total += count
        k = t.counts[0]
        coordinates = t.coordinates[:k].copy()
        basis = Basis(np.flatnonzero(working)[t.samples[:k]], coordinates, t.sign[coordinates])
        r = problem.residuals(t.v)
        wrong = ((r > 0) != below) & ~working
        solved = ending == OPTIMAL and not wrong.any()
        if solved or total >= budget or working.all():
            return Corner(t.v.copy(), basis, t, working, below, total, ending)
        working = working | wrong if wrong.any() else np.ones(n, bool)


def restricted(problem, working, basis):
    """The tableau of the samples marked in `working` (n_samples,), with a basis loaded."""
    rows = np.flatnonzero(working)
    t = tableau(problem.signed(rows), problem.drop, problem.toll, problem.box is not None)
    k = t.counts[0] = len(basis.samples)
    t.samples[:k] = np.searchsorted(rows, basis.samples)
    t.coordinates[:k] = basis.coordinates
    t.sign[basis.coordinates], t.side[t.samples[:k]] = basis.signs, ON
    return t


def outside_sums(problem, working, below):
    """sum a_i and sum a_i z_i (D,) of samples `below` and not `working`, a pair."""
    fixed = np.flatnonzero(below & ~working)
    X, y = problem.X[fixed], problem.y[fixed]
    z = column_sums(X, y, np.ones(len(y)), problem.box or 0.0, problem.box is not None)
    z = z[0] if problem.box is None else z.ravel()
    return problem.unit * len(fixed), problem.unit * np.append(z, y.sum())


def multipliers(problem, corner):
    """a_i of all samples at a corner: (n_samples,)."""
    t = corner.tableau
    a = np.where(corner.below, problem.unit, 0.0)
    rows = np.flatnonzero(corner.working)
    a[rows] = np.where(t.side == BELOW, problem.unit, 0.0)
    a[rows[t.samples[: t.counts[0]]]] = t.a[: t.counts[0]]
    return a
