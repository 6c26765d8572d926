"""Every classifier that is ever optimal: the exact path of the minimum as eps falls.

One problem in two dresses. With s = 1 + eps ||w||_1, v = w / s, c = b / s, each robust residual
1 - y (w.x + b) + eps ||w||_1 is s times the plain one, 1 - y (v.x + c). So, with the mean plain
hinge H(v, c) = 1/n sum max(0, 1 - y_i (v.x_i + c)),

    F(w, b) = s H(v, c) = H(v, c) / (1 - eps ||v||_1),    w = v / (1 - eps ||v||_1).

F >= F* everywhere says H(v, c) + eps F* ||v||_1 >= F* everywhere, with equality at the same place
(Dinkelbach's argument): the minimum of the robust hinge at eps is that of the hinge with the l1
penalty lambda = eps F*, and the value is the same. Robust training *is* l1 regularisation at the
optimum, with the strength lambda = eps F* and the weights stretched by s. What differs, as the
article remarks, is the way there: away from the optimum the robust hinge shrinks weights only on
account of the samples below the margin, the penalty always.

Pieces. The penalised problem is a linear program with lambda in its cost. A corner v stays optimal
as long as multipliers t_i = n a_i exist for it, and with the basis fixed (see
`numlin.optimum.simplex`, drop 0, toll lambda)

    B^T t = lambda n toll - pull of the samples below the margin,

so they are affine in lambda and stay in [0, 1], and |sum t_i z_ij| <= n lambda, over an interval.
Within it v, c, H and ||v||_1 stand still, while the robust optimum w = v / (1 - eps ||v||_1) only
grows, and F(eps) = H / (1 - eps ||v||_1). At a *breakpoint* one condition is about to fail. The
edge where it is relaxed has slope 0 there and is downhill below: the classifier moves along it to
the next corner, ||v||_1 rises, H falls, and the two corners share the multipliers of the
breakpoint. Hence one dual point for each breakpoint proves everything: what is optimal at both
ends of an interval is optimal inside.

The ends. From some lambda on v = 0, and the bias follows the frequent class. All its samples are
then *on* the margin, with free multipliers: the breakpoint is a linear program of its own, half
the l-inf distance of the rare class's mean from the reduced hull of the frequent class. If both
classes are equally frequent every bias in [-1, 1] is optimal there. Below, separable data end at
H = 0: then F = lambda ||v||_1 and eps = lambda / F = 1 / ||v||_1 = eps*, whatever lambda is. So
the whole last range of lambda is one eps, where F* jumps from lambda / eps* to 0. Other data
arrive at lambda = 0, eps = 0, with H > 0.

Ties. Pixels are multiples of 1/255, so a corner often lies on more margins than its basis names.
The targets 1 become 1 + d_i e with an infinitesimal e: residuals and weights carry a second
number, compared where the first ones tie. The d_i are random, drawn so that the first corner is
simple; then so are all others, and each pivot raises ||v||_1, first or second number, at the same
lambda or lambda falls: no basis comes twice, and the path ends.

Who can be left out. A sample is watched from the moment that its residual is less than twice
what the last hundred pivots moved it by. After the next hundred, |r_i| <= sum_j x_ij span_j, the
weights' ranges of motion, tells who might have met the margin unwatched; if anybody, they are
walked again with those.

References
----------
Murty, "Linear Programming", 1983, chapter 8 (parametric simplex). Charnes, "Optimality and
degeneracy in linear programming", 1952 (ties). Zhu, Rosset, Hastie, Tibshirani, "1-norm support
vector machines", 2004 (the path of the penalised problem).
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from numlin.optimum.parametric import (
    LOST,
    LOW,
    MORE,
    SEPARATED,
    TIE,
    Log,
    Trail,
    follow,
    scores,
    sums,
)
from numlin.optimum.pivots import ABOVE, BELOW, ON
from numlin.optimum.working_sets import Basis

PIVOTS = 32  # between two refreshes; with 100 rounding moved a breakpoint of MNIST by 1e-14
FIRST = 1000  # samples watched at first
CAUTION = 2.0  # times the last motion, and a sample is watched
ZERO = 1e-12  # smaller lambda is 0
LOOSE = 1e-7  # a residual on the wrong side by less is on the margin
DISTINCT = 1e-12  # shorter pieces, relative to their lambda, are none


@dataclass(frozen=True)
class Segment:
    """The optimum for `low` <= eps <= `high`: w = v / (1 - eps ||v||_1), b = c / (1 - eps ||v||_1).

    v is `values` (k,) at `coordinates` (k,), where `n_features` stands for c; `hinge` is H(v, c),
    `l1` is ||v||_1. `pivot` counts the pivots of the path up to its last basis.
    """

    low: float
    high: float
    hinge: float
    l1: float
    coordinates: np.ndarray
    values: np.ndarray
    n_features: int
    pivot: int

    @property
    def vector(self) -> np.ndarray:
        """v (n_features,)."""
        return self.classifier(0.0)[0]

    @property
    def n_pixels(self) -> int:
        """Number of nonzero weights."""
        return int(np.count_nonzero(self.vector))

    def value(self, eps: float) -> float:
        """F* at an eps of the segment."""
        return self.hinge / (1 - eps * self.l1) if self.hinge else 0.0

    def classifier(self, eps: float) -> tuple[np.ndarray, float]:
        """w (n_features,) and b that attain it."""
        v = np.zeros(self.n_features + 1)
        v[self.coordinates] = self.values / (1 - eps * self.l1)
        return v[:-1], v[-1]


class Walk:
    """A walk down the path of X (n_samples, n_features) and y (n_samples,).

    `passed` are the segments left behind, from large to small eps, and `current` the one where it
    stands. `events` (n_pivots, 3) tells of each pivot who entered, who left and in which direction
    (`numlin.optimum.parametric.Log`): with the basis and the samples below the margin that it set
    out from, `first`, they give every other basis.
    """

    def __init__(self, X, y, start=None):
        """Start at the `Optimum` of another eps, or where only a bias is left."""
        if start is None or not start.w.any():
            basis, below = only_bias(y, X.shape[1])
            top, self.high = np.inf, np.inf
        else:
            basis, below = start.basis, start.multipliers > 0
            below[basis.samples] = False
            top, self.high = start.eps * start.objective * len(y), start.eps
        self.X, self.XT, self.y = np.ascontiguousarray(X), np.ascontiguousarray(X.T), y
        self.one = 255.0 if X.dtype == np.uint8 else 1.0
        self.basis, self.below, self.first = basis, below.copy(), (basis, below)
        self.top, self.start, self.ending = top * self.one, self.high, MORE
        self.passed, self.events, self.current = [], [], None
        rng, k = np.random.default_rng(0), len(basis.samples)
        u = np.stack([np.zeros(k), rng.uniform(0.5, 1, k)])
        shifts = rng.uniform(0.5, 1, len(y))
        self.shift = np.where(below, shifts, -shifts) + y * self._scores(u * basis.signs)[1]
        self.shift[basis.samples] = self._matrix() @ u[1]
        self.moved, self.pull = None, self._pull(np.flatnonzero(below))

    def down(self, low, stop=lambda walk: False):
        """Walk on until eps is `low`, nothing is lost, or `stop(self)` says so every 100 pivots."""
        while self.ending != SEPARATED:
            inverse, u, r = self._corner()
            distance = np.abs(r[0])
            few = min(FIRST, len(self.y)) - 1
            reach = np.partition(distance, few)[few] if self.moved is None else CAUTION * self.moved
            watched = (distance <= reach) | (distance == 0)
            watched[self.basis.samples] = True
            while not self._pivots(low, watched, inverse, u, r):
                pass
            if self.ending != MORE or stop(self):
                return

    def multipliers(self, eps):
        """The dual a (n_samples,) at an eps of the current segment."""
        n = len(self.y)
        top = self.top if self.ending == SEPARATED else eps * self.current.value(eps) * n * self.one
        C, s = self.basis.coordinates, self.basis.signs
        toll = np.where(self.X.shape[1] > C, top, 0.0)
        a = np.where(self.below, 1 / n, 0.0)
        a[self.basis.samples] = np.linalg.solve(self._matrix().T, toll - s * self.pull[C]) / n
        return a

    def _pivots(self, low, watched, inverse, u, r):
        """Some pivots among the samples `watched` (n_samples,): whether these were enough."""
        p, rows = self._trail(watched, inverse, u, r), np.flatnonzero(watched)
        K, D, array = p.t.shape[1], p.sign.size, np.empty
        log = Log(array((PIVOTS, 3), int), array((PIVOTS, 4)), array(PIVOTS, int),
                  array((PIVOTS, K), int), array((PIVOTS, K)))  # fmt: skip
        start, span = np.zeros(D), np.zeros(D)
        start[self.basis.coordinates] = u[0] * self.basis.signs
        zero = ZERO * self.one * len(self.y)
        n_pivots, n_corners, top, ending = follow(p, self.top, low, zero, start, span, log)
        moved = np.flatnonzero(span)
        self.moved = np.zeros((1, len(self.y)))
        scores(self.XT, self.one, moved, span[moved][None], self.moved)
        self.moved = np.abs(self.moved[0])
        unwatched = ~watched & (np.abs(r[0]) <= self.moved * (1 + 1e-6))
        if unwatched.any() or (ending == LOST and not watched.all()):
            watched |= unwatched | (ending == LOST)
            return False
        if ending == LOST:
            raise ArithmeticError(f"the path was lost at lambda = {top / self.one / len(self.y)}")
        for e in range(n_corners):
            k = log.sizes[e]
            at, edge, hinges, norm = log.corners[e]
            self._pass(
                len(self.events) + int(at),
                edge,
                hinges,
                norm,
                log.coordinates[e, :k],
                log.values[e, :k],
            )
        self.events.extend(log.events[:n_pivots].tolist())
        k = p.counts[0]
        coordinates = p.coordinates[:k].copy()
        self.basis = Basis(rows[p.samples[:k]], coordinates, p.sign[coordinates])
        self.pull, self.top, self.ending = p.pull, top, ending
        self.below[rows] = p.side == BELOW
        hinges, norm = sums(p)
        hinge = 0.0 if ending == SEPARATED else hinges / self.one / len(self.y)
        values = p.u[0, :k] * self.basis.signs
        last = 0.0 if ending == SEPARATED else low if ending == LOW else top / (hinges + top * norm)
        self.current = Segment(
            last, self.high, hinge, norm, coordinates, values, D - 1, len(self.events)
        )
        return True

    def _pass(self, pivot, top, hinges, norm, coordinates, values):
        """Leave a classifier behind at lambda `top`, unless it was optimal there only."""
        low, hinge = top / (hinges + top * norm), hinges / self.one / len(self.y)
        if self.high == np.inf or low < self.high * (1 - DISTINCT):
            d, high = self.X.shape[1], self.high
            self.passed.append(Segment(low, high, hinge, norm, coordinates, values, d, pivot))
            self.high = low

    def _corner(self):
        """The inverse, both rows of u (k,) and of the residuals (n_samples,), from the basis."""
        S, k, n = self.basis.samples, len(self.basis.samples), len(self.y)
        B = self._matrix()
        inverse, targets = np.linalg.inv(B), np.stack([np.full(k, self.one), self.shift[S]])
        u = targets @ inverse.T
        u += (targets - u @ B.T) @ inverse.T
        u[0, np.abs(u[0]) < TIE] = 0
        r = np.stack([np.full(n, self.one), self.shift]) - self.y * self._scores(
            u * self.basis.signs
        )
        r[:, S] = 0
        r[0, np.abs(r[0]) < TIE * self.one] = 0
        below = (r[0] > 0) | ((r[0] == 0) & (r[1] > 0))
        lost = np.flatnonzero((below != self.below) & (np.abs(r[0]) > LOOSE * self.one))
        if lost.size:
            raise ArithmeticError(f"the path was lost: {len(lost)} samples changed sides")
        return inverse, u, r

    def _trail(self, watched, inverse, u, r):
        """The `Trail` of the samples `watched` (n_samples,), with room for PIVOTS more."""
        rows, S, C = np.flatnonzero(watched), self.basis.samples, self.basis.coordinates
        k, D, m, array = len(S), self.X.shape[1] + 1, len(rows), np.zeros
        K = k + PIVOTS
        p = Trail(
            X=self.X, XT=self.XT, one=self.one, working=rows, y=self.y[rows],
            r=np.ascontiguousarray(r[:, rows]), side=np.where(self.below[rows], BELOW, ABOVE),
            counts=np.array([k, self.below.sum()]), samples=array(K, int),
            coordinates=array(K, int), sign=array(D), u=array((2, K)), inverse=array((K, K)),
            columns=np.empty((K, m), self.X.dtype), rows=np.empty((K, D), self.X.dtype),
            t=array((2, K)), q=array((2, D)), pull=self.pull.copy(),
        )  # fmt: skip
        p.samples[:k], p.coordinates[:k] = np.searchsorted(rows, S), C
        p.side[p.samples[:k]], p.sign[C] = ON, self.basis.signs
        p.u[:, :k], p.inverse[:k, :k] = u, inverse
        for c, j in enumerate(C):
            p.columns[c] = self.XT[j][rows] if j < D - 1 else self.one
        p.rows[:k, :-1], p.rows[:k, -1] = self.X[S], self.one
        return p

    def _scores(self, v):
        """v.x for both rows of v (2, k), values of the basic coordinates: (2, n_samples)."""
        out = np.zeros((len(v), len(self.y)))
        scores(self.XT, self.one, self.basis.coordinates, v, out)
        return out

    def _matrix(self):
        """B (k, k) = s_j z_ij."""
        S, C, d = self.basis.samples, self.basis.coordinates, self.X.shape[1]
        Z = np.where(d == C, self.one, self.X[np.ix_(S, C % d)])
        return Z * self.y[S][:, None] * self.basis.signs

    def _pull(self, samples):
        """sum y_i (x_i, 1) of some samples, in units of X: (n_features + 1,)."""
        x = self.y[samples] @ self.X[samples].astype(float)
        return np.append(x, self.one * self.y[samples].sum())


@dataclass(frozen=True)
class Path:
    """All optima for `low` <= eps <= `high`, as `segments` from small to large eps.

    `walk` holds the pivots that prove them (`numlin.optimum.proof.path_verifier`), `bounds` a
    certified lower bound of F* for some eps.
    """

    segments: list[Segment]
    low: float
    high: float
    walk: Walk
    bounds: dict[float, float]

    @property
    def eps_star(self) -> float | None:
        """The l-inf margin, at which F* jumps to 0, or None if the path does not go down there."""
        first = self.segments[0]
        return 1 / first.l1 if first.hinge == 0 and first.l1 > 0 else None

    def at(self, eps: float) -> Segment:
        """The `Segment` of an eps; of two, the one above."""
        if not self.low <= eps <= self.high:
            raise ValueError(f"eps: found {eps}, expected {self.low} to {self.high}")
        return self.segments[bisect_right(self.segments, eps, key=lambda s: s.low) - 1]


def only_bias(y, n_features):
    """Basis and samples below the margin (n_samples,) where v = 0: the frequent class decides."""
    frequent = 1.0 if (y > 0).sum() >= (y < 0).sum() else -1.0
    rare, many = np.flatnonzero(y != frequent), np.flatnonzero(y == frequent)
    below, last = y != frequent, many[-1]
    below[many[np.arange(len(rare)) * len(many) // len(rare)]] = True
    below[last] = False
    return Basis(np.array([last]), np.array([n_features]), np.array([frequent])), below
