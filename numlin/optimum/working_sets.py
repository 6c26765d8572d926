"""Simplex on working sets: most samples are far from the margin and can wait outside.

Where the minimum will be is found on every `SUBSAMPLE`-th sample first. Then only the samples with
the smallest residuals there enter a tableau; the others are taken to stay above or below the
margin, where they add nothing or a linear term. When the tableau is solved, whoever turns out to
be on the other side joins, until nobody does. Sets only grow, so this ends.
"""

from dataclasses import dataclass

import numpy as np

from numlin.optimum.pivots import BELOW, ON, OPTIMAL, Tableau
from numlin.optimum.simplex import descend, tableau
from numlin.support.arguments import white

SUBSAMPLE = 8
SMALL = 2000  # so many samples make one tableau


@dataclass(frozen=True)
class Problem:
    """min sum_i unit max(0, 1 - z_i.v + sum_j price_j |v_j|) + sum_j toll_j |v_j|, v = (w, b).

    `X` (n_samples, n_features), `y` (n_samples,), `price` and `toll` (n_features + 1,).
    """

    X: np.ndarray
    y: np.ndarray
    price: np.ndarray
    toll: np.ndarray
    unit: float

    def residuals(self, v):
        """r_i of all samples at v (n_features + 1,): (n_samples,)."""
        used = np.flatnonzero(v[:-1])
        score = self.X[:, used] @ (v[used] * scale(self.X)) + v[-1]
        return 1 - self.y * score + self.price @ np.abs(v)

    def signed(self, rows):
        """Signed samples z_i = y_i (x_i, 1) of some rows: (len(rows), n_features + 1)."""
        Z = np.empty((len(rows), self.price.size))
        np.multiply(self.X[rows], (self.y[rows] * scale(self.X))[:, None], out=Z[:, :-1])
        Z[:, -1] = self.y[rows]
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
    """Where a search ended: v (n_features + 1,), its basis, and the last tableau.

    `working` (n_samples,) marks the samples in the tableau, `below` the others below the margin.
    """

    v: np.ndarray
    basis: Basis
    tableau: Tableau
    working: np.ndarray
    below: np.ndarray
    n_pivots: int
    ending: int


def scale(X):
    """What makes a pixel of X (n_samples, n_features) out of an element: 1/255 for uint8."""
    return 1 / white(X)


def search(problem, v, basis, budget):
    """Solve `problem` from a point v (n_features + 1,) and a basis near it; return a `Corner`."""
    n, total = len(problem.y), 0
    if n > SMALL and not len(basis.samples):
        some = slice(None, None, SUBSAMPLE)
        part = Problem(problem.X[some], problem.y[some], problem.price, problem.toll,
                       problem.unit * SUBSAMPLE)  # fmt: skip
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
    t = tableau(problem.signed(rows), problem.price, problem.toll)
    k = t.counts[0] = len(basis.samples)
    t.samples[:k] = np.searchsorted(rows, basis.samples)
    t.coordinates[:k] = basis.coordinates
    t.sign[basis.coordinates], t.side[t.samples[:k]] = basis.signs, ON
    return t


def outside_sums(problem, working, below):
    """sum a_i and sum a_i z_i (n_features + 1,) of samples `below` and not `working`, a pair."""
    fixed = np.flatnonzero(below & ~working)
    z = problem.y[fixed] @ problem.X[fixed] * scale(problem.X)
    return problem.unit * len(fixed), problem.unit * np.append(z, problem.y[fixed].sum())


def multipliers(problem, corner):
    """a_i of all samples at a corner: (n_samples,)."""
    t = corner.tableau
    a = np.where(corner.below, problem.unit, 0.0)
    rows = np.flatnonzero(corner.working)
    a[rows] = np.where(t.side == BELOW, problem.unit, 0.0)
    a[rows[t.samples[: t.counts[0]]]] = t.a[: t.counts[0]]
    return a
