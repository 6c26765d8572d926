"""Check a whole path of optima with nothing but integers and the data.

This file shares no code with the solver. A certificate of kind "path" names a first basis, the
samples below the margin there, and pivots. From these alone everything is computed here, over all
samples and pixels, in integers: with pixels x_i over 255 and z_i = y_i (x_i, 255),

    B_ij = s_j z_ij,  i in S on the margin, j in C nonzero,      B u = 255,  v_j = s_j u_j,
    B^T t = lambda toll - s sum of the z_i below the margin     (toll 1 for pixels, 0 for the bias).

The inverse is kept as an integer matrix M = D B^-1 with D = det B up to sign. Whatever changes in
the basis, M becomes (D' M - y w^T) / D, and every entry divides without remainder (Edmonds,
Bareiss): a pivot costs k^2 products where a fresh elimination costs k^3.

Where the path leaves a classifier, lambda is the fraction at which the pivot's condition is met.
With t_i = 1 for the samples below the margin and 0 for those above it is checked that

    0 <= t_i <= 1,    sum t_i y_i = 0,    |sum t_i z_ij| <= lambda for every pixel,
    sum t_i = sum max(0, 1 - y_i (v.x_i + c)) + lambda ||v||_1     for the classifier left,

and the same for the next one, with the same t. By weak duality both are minima of the hinge with
penalty lambda, and what is optimal at two lambdas is so between them. Since F* increases with eps,
and lambda = eps F* with it, the pieces in lambda are pieces in eps = lambda / (H + lambda ||v||_1).

Most inequalities hold by far. They are decided in fixed point, in 64-bit integers with an error
bound of one unit a term, and only the close ones in long integers.
"""

import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from itertools import pairwise

import numpy as np

ENTRIES = set(
    "kind data digits images labels low high basis below pivots corners eps hinge l1 sha256".split()
)
BASIS = {"samples", "coordinates", "signs"}
PIECES = 32  # of a path, checked by all processors at once


class PathError(ValueError):
    """A path that is not what it says; the message names what fails."""


def check(claim: dict, X: np.ndarray, y: np.ndarray, processes: int | None = None,
          advance: Callable[[], object] = lambda: None) -> tuple[list[Fraction], ...]:  # fmt: skip
    """Check a path in integers: X (n_samples, n_features) uint8, y (n_samples,) -1 or +1.

    Parameters
    ----------
    claim : dict
        "low" and "high" (eps as a fraction, or "inf"); "basis" and "below" as for `Exact`;
        "pivots", [who enters, who leaves, direction] each; "corners", the pivots that leave a
        classifier behind.
    processes : int
        Default: one for each processor.
    advance : callable
        Called `PIECES` times at most, whenever a part of the path has been checked.

    Returns
    -------
    eps, hinge, l1 : lists of Fraction
        From large to small eps: the eps at which each classifier but the last one is left; H and
        ||v||_1 of all.

    Raises
    ------
    PathError
        At the first claim that is not true.
    """
    y = np.asarray(y).astype(np.int64)
    pivots, corners = claim["pivots"], [*claim["corners"], len(claim["pivots"])]
    _check("corners", all(a < b for a, b in pairwise([-1, *corners[:-1]])))
    _check("corners", len(corners) == 1 or corners[-2] < len(pivots))
    cuts = np.unique(np.linspace(0, len(corners), min(PIECES, len(corners)) + 1).astype(int))
    found = []
    with ProcessPoolExecutor(processes, initializer=_share, initargs=(claim, X, y)) as pool:
        for piece in pool.map(_piece, cuts[:-1].tolist(), cuts[1:].tolist()):
            found += piece
            advance()
    eps = []
    for (lam, mass, *left), (_, _, *next_one) in pairwise(found):
        for hinges, norm in (left, next_one):
            _check("value of the multipliers at a breakpoint", mass == hinges + lam * norm)
        eps.append(lam / mass)
    _check("breakpoints in falling order", all(a > b for a, b in pairwise(eps)))
    scale = 255 * len(y)
    return eps, [hinges / scale for _, _, hinges, _ in found], [norm for *_, norm in found]


def verify(claim: dict, X: np.ndarray, y: np.ndarray) -> None:
    """Check every word of a certificate of kind "path" but the names of its data."""
    _check("entries", set(claim) == ENTRIES and set(claim["basis"]) == BASIS)
    numbers = [*claim["corners"], *(n for run in claim["below"] for n in run)]
    numbers += [n for key in BASIS for n in claim["basis"][key]]
    numbers += [n for pivot in claim["pivots"] for n in pivot]
    _check("whole numbers", all(type(n) is int for n in numbers))
    _check("pivots", all(len(pivot) == 3 for pivot in claim["pivots"]))
    _check("runs below", all(0 <= a < a + b <= len(y) for a, b in claim["below"]))
    for key in ("low", "high"):
        _check(f"fraction {key}", re.fullmatch(r"\d+(/\d+)?|inf", claim[key], re.ASCII))
        whole = key == "high" and claim[key] == "inf"
        _check(f"fraction {key}", whole or claim[key] == str(Fraction(claim[key])))
    eps, hinge, l1 = check(claim, X, y)
    _check("eps", claim["eps"] == [str(value) for value in eps])
    for key, values in (("hinge", hinge), ("l1", l1)):
        cut = (divmod(value.numerator * 10**50 // value.denominator, 10**50) for value in values)
        _check(key, claim[key] == [f"{whole}.{rest:050d}" for whole, rest in cut])


def _share(claim, X, y):
    """Let the pieces of this process know what to check."""
    global _shared
    _shared = claim, X, y


def _piece(first, last):
    """(255 n lambda, 255 n F*, 255 n H, ||v||_1) where corners `first` to `last` - 1 are left."""
    claim, X, y = _shared
    basis, pivots, at, found = Exact(X, y, claim["basis"], claim["below"]), claim["pivots"], 0, []
    corners = [*claim["corners"], len(pivots)]
    if first > 0:
        for pivot in pivots[: corners[first - 1] + 1]:
            basis.follow(pivot, exact=False)
        at = corners[first - 1] + 1
    basis.eliminate()
    if first == 0:
        start = hinges, norm = basis.corner()
        if claim["high"] == "inf":
            _check("only a bias where the path begins", norm == 0)
        else:
            _end(basis, Fraction(claim["high"]), hinges, norm)
    for corner in corners[first:last]:
        while at < corner:
            basis.follow(pivots[at])
            at += 1
        hinges, norm = basis.corner()
        _check("no corner passed before the first", found or first or (hinges, norm) == start)
        if corner == len(pivots):
            if hinges > 0:
                _end(basis, Fraction(claim["low"]), hinges, norm)
            found.append((None, None, hinges, norm))
        else:
            prices = basis.price_out()
            lam = basis.breakpoint(pivots[at], prices)
            found.append((lam, basis.mass(lam, prices), hinges, norm))
    return found


def _end(basis, eps, hinges, norm):
    """Check that a classifier is optimal at an eps where the path begins or ends."""
    _check("an end of the path", eps >= 0 and eps * norm < 1)
    lam = eps * hinges / (1 - eps * norm)
    mass = basis.mass(lam, basis.price_out())
    _check("value of the multipliers at an end", mass == hinges + lam * norm)


class Exact:
    """A basis of the samples X (n_samples, n_features) uint8, y (n_samples,) int64, in integers."""

    def __init__(self, X, y, basis, below):
        """Start from a basis {"samples": [i], "coordinates": [j], "signs": [s]} and runs below."""
        self.X, self.XT, self.y = X, np.ascontiguousarray(X.T), y
        self.S, self.C, self.s = (list(basis[key]) for key in ("samples", "coordinates", "signs"))
        self.below = np.zeros(len(y), bool)
        for first, count in below:
            self.below[first : first + count] = True
        _check("a basis", 0 < len(self.S) == len(self.C) == len(set(self.S)) == len(set(self.C)))
        _check("samples", all(0 <= i < len(y) and not self.below[i] for i in self.S))
        _check("coordinates", all(0 <= j <= X.shape[1] for j in self.C))
        _check("signs", all(s in (-1, 1) for s in self.s) and len(self.s) == len(self.C))
        self.M, self.D = None, 1
        signs = np.where(self.below, y, 0)
        self.pull = np.append(self.XT @ signs, 255 * signs.sum())

    def eliminate(self):
        """Compute M and D of the basis afresh, adding a row and a column at a time."""
        rows, C, s = list(self.S), self.C, self.s
        self.S, self.C, self.s, self.M, self.D = [], [], [], np.zeros((0, 0), object), 1
        for j, sign in zip(C, s, strict=True):
            column = self._column(j, sign, rows)
            schur = self.D * column
            if self.S:
                schur = schur - self._rows(rows) @ (self.M @ self._column(j, sign, self.S))
            pivot = np.flatnonzero(schur)
            _check("a basis that is not singular", pivot.size)
            self._grow(j, sign, rows.pop(pivot[0]))

    def follow(self, pivot, exact=True):
        """Change the basis by [who enters, who leaves, direction]; j or ~i, i a sample."""
        enters, leaves, direction = pivot
        n, d = self.X.shape
        _check("pivots", all(-n <= e <= d for e in (enters, leaves)) and direction in (-1, 1))
        _check("who enters", ~enters in self.S if enters < 0 else enters not in self.C)
        _check("who leaves", ~leaves not in self.S if leaves < 0 else leaves in self.C)
        if not exact:
            self.M = None
        if enters >= 0 and leaves < 0:
            self._grow(enters, direction, ~leaves)
        elif leaves < 0:
            s = self.S.index(~enters)
            if exact:
                w = self._rows([~leaves])[0] @ self.M
                w[s], y = w[s] - self.D, self.M[:, s]
                self._update(w[s] + self.D, y, w)
            self.S[s] = ~leaves
        elif enters >= 0:
            c = self.C.index(leaves)
            if exact:
                y = self.M @ self._column(enters, direction, self.S)
                y[c], w = y[c] - self.D, self.M[c].copy()
                self._update(y[c] + self.D, y, w)
            self.C[c], self.s[c] = enters, direction
        else:
            c, s = self.C.index(leaves), self.S.index(~enters)
            if exact:
                self._update(self.M[c, s], self.M[:, s].copy(), self.M[c].copy())
                self.M = np.delete(np.delete(self.M, c, 0), s, 1)
            del self.C[c], self.s[c], self.S[s]
        if enters < 0 and direction > 0:
            self._cross(~enters, 1)
        if leaves < 0 and self.below[~leaves]:
            self._cross(~leaves, -1)

    def _cross(self, i, change):
        self.below[i] = change > 0
        self.pull[:-1] += change * self.y[i] * self.X[i].astype(np.int64)
        self.pull[-1] += 255 * change * self.y[i]

    def _grow(self, j, sign, i):
        if self.M is not None:
            column, row = self._column(j, sign, self.S), self._rows([i])[0]
            y, w, corner = self.M @ column, row @ self.M, self._column(j, sign, [i])[0]
            D = self.D
            self._update(corner * D - row @ y, y, -w)
            self.M = np.block([[self.M, -y[:, None]], [-w[None], np.array([[D]], object)]])
        self.S, self.C, self.s = [*self.S, i], [*self.C, j], [*self.s, sign]

    def _update(self, D, y, w):
        """Let M be (D M - y w^T) / (the last D), and D the new one."""
        _check("a basis that is not singular", D != 0)
        self.M, self.D = (D * self.M - y[:, None] * w) // self.D, D

    def price_out(self):
        """Numerators over D of the multipliers, t = T[0] + lambda T[1]: (2, k)."""
        slopes = np.array(self.s, object) * self.pull[self.C].astype(object)
        tolls = (np.array(self.C) < self.X.shape[1]).astype(int).astype(object)
        return np.stack([-slopes @ self.M, tolls @ self.M])

    def breakpoint(self, pivot, prices):
        """The lambda (times 255 n) at which who enters in this pivot meets its condition."""
        enters, _, direction = pivot
        fixed, rate = prices
        if enters < 0:
            s = self.S.index(~enters)
            top, bottom = fixed[s] - (self.D if direction > 0 else 0), -rate[s]
        else:
            z = self._column(enters, direction, self.S)
            top = direction * self.D * int(self.pull[enters]) + fixed @ z
            bottom = self.D - rate @ z
        _check("a breakpoint", bottom != 0)
        return Fraction(top, bottom)

    def corner(self):
        """sum max(0, 255 r_i) and ||v||_1 of the classifier, with v and all sides checked."""
        k, (n, d) = len(self.S), self.X.shape
        u = 255 * self.M.sum(axis=1)
        D = abs(self.D)
        v = np.array(
            [s * (x if self.D > 0 else -x) for s, x in zip(self.s, u, strict=True)], object
        )
        pixels = np.array(self.C) < d
        _check("signs of the weights", (np.array(self.s, object) * v >= 0)[pixels].all())
        norm = sum(abs(x) for x in v[pixels])
        bits = 60 - int(255 * (sum(abs(x) for x in v) // D + 2)).bit_length()
        fixed = np.array([int((x << bits) // D) for x in v], np.int64)
        C = np.array(self.C)
        score = fixed[pixels] @ self.XT[C[pixels]].astype(np.int64) + 255 * fixed[~pixels].sum()
        residuals = (255 << bits) - self.y * score
        close = np.abs(residuals) <= 255 * (k + 1)
        close[self.S] = True
        near = np.flatnonzero(close)
        exact = 255 * D - self._rows(near, signed=False) @ v
        on = np.zeros(n, bool)
        on[near[exact == 0]] = True
        positive = residuals > 0
        positive[near] = exact > 0
        _check("samples of the basis on the margin", on[self.S].all())
        _check("sides of the margin", (positive == self.below)[~on].all())
        hinges = 255 * D * int(self.below.sum()) - self.pull[C].astype(object) @ v
        return Fraction(hinges, D), Fraction(norm, D)

    def mass(self, top, prices):
        """sum t_i (times 255) at lambda = `top`, with every dual condition checked."""
        (fixed, rate), pull = prices, self.pull
        k, d, scale = len(self.S), self.X.shape[1], top.denominator * self.D
        t = (fixed * top.denominator + rate * top.numerator) * (1 if scale > 0 else -1)
        scale = abs(scale)
        _check("multipliers in [0, 1]", all(0 <= x <= scale for x in t))
        bits = 60 - int(255 * len(self.y)).bit_length()
        near = np.array([int((x << bits) // scale) for x in t], np.int64)
        reach = (pull[:d] << bits) + (near * self.y[self.S]) @ self.X[self.S].astype(np.int64)
        limit = (top.numerator << bits) // top.denominator
        if limit < 2**62:
            close = np.flatnonzero(np.abs(reach) > limit - 255 * (k + 1))
            z = self.X[np.ix_(self.S, close)].astype(object) * self.y[self.S][:, None]
            exact = pull[close].astype(object) * scale + t @ z
            limits = top.numerator * (scale // top.denominator)
            _check("|sum t_i z_ij| <= lambda", all(abs(x) <= limits for x in exact))
        balance = int(pull[d]) * scale + 255 * (t @ self.y[self.S].astype(object))
        _check("sum t_i y_i = 0", balance == 0)
        return 255 * (int(self.below.sum()) + Fraction(sum(t), scale))

    def _column(self, j, sign, samples):
        """s_j z_ij of some samples: (len(samples),) of Python ints."""
        x = self.X[samples, j].astype(np.int64) if j < self.X.shape[1] else 255
        return (sign * self.y[samples] * x).astype(object)

    def _rows(self, samples, signed=True):
        """z_ij of some samples and the coordinates C, with s_j if `signed`: (len(samples), k)."""
        C, s = np.array(self.C, int), np.array(self.s, int)
        d = self.X.shape[1]
        x = np.where(d > C, self.X[np.ix_(samples, C % d)], 255)
        z = x.astype(np.int64) * self.y[samples][:, None]
        return (z * s if signed else z).astype(object)


def _check(name, holds):
    """Raise PathError unless what is claimed holds."""
    if not holds:
        raise PathError(f"{name}: the claim is false")
