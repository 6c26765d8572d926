"""Perturbation balls: the worst an adversary of strength eps can do to a linear score.

An input x may be moved by any delta of a ball, ||delta|| <= eps, and optionally x + delta must
stay in the pixel box. The margin y (w.x + b) then falls by at most

    drop(w, x, y) = max over the ball of  -y w.delta,

a linear function maximised over a convex set, so the maximum is exact and known in closed form.

Without the box the drop is eps ||w||_*, with the dual norm, whatever x and y are:

    ball      dual norm ||w||_*     unit vector v(w) with w.v = ||w||_*
    l-inf     sum_j |w_j|           sign(w_j)
    l2        sqrt(sum_j w_j^2)     w_j / ||w||_2
    l1        max_j |w_j|           sign(w_j) at the first largest |w_j|, else 0

and delta* = -y eps v(w). Inside the box [low, high] pixel j can move only by its room, the
distance to the side that lowers the margin: x_j - low where y w_j > 0, high - x_j where
y w_j < 0. The adversary picks moves 0 <= t_j <= room_j that maximise sum_j |w_j| t_j:

    l-inf     t_j = min(room_j, eps)                     clip every pixel
    l2        t_j = min(room_j, level |w_j|)             water-filling, ||t||_2 = eps
    l1        fill the pixels in decreasing |w_j| until sum_j t_j = eps

and delta*_j = -y sign(w_j) t_j. In either case the subgradient of the drop in w follows from
Danskin's theorem: a maximum of functions that are linear in w, -y w.delta, has the slope of
the one that attains it, -y delta*. For the free l-inf ball that is eps sign(w).

References: Danskin, The Theory of Max-Min, 1967; Boyd and Vandenberghe, Convex Optimization,
2004, section A.1.6 (dual norms) and example 5.2 (water-filling).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numlin.support.arguments import Array, check_choice, check_inside

NORMS = ("linf", "l2", "l1")
PIXEL_BOX = (0.0, 1.0)


def water_level(full_at: Array, slope: Array, target: Array) -> Array:
    """Smallest level L >= 0 with sum_j slope_j min(full_at_j, L) = target.

    Vessels j of widths slope_j fill evenly; vessel j is full at level full_at_j.

    Parameters
    ----------
    full_at : (n_samples, n_features)
    slope : (n_features,)
        Not negative.
    target : (n_samples,)
        Not negative.

    Returns
    -------
    (n_samples,)
        Infinite where all vessels together hold less than the target.

    Notes
    -----
    Exact: the sum is piecewise linear in L with its bends at the sorted full_at, so the right
    piece is found by sorting, and one division on it gives L. O(d log d) per sample.

    See Also
    --------
    numlin.kernels.compiled.water_level : the compiled twin.
    """
    order = np.argsort(full_at, axis=1)
    bend, slope = np.take_along_axis(full_at, order, axis=1), slope[order]
    poured = np.zeros_like(bend)
    np.cumsum((bend * slope)[:, :-1], axis=1, out=poured[:, 1:])
    open_slope = np.cumsum(slope[:, ::-1], axis=1)[:, ::-1]
    k = _first(poured + bend * open_slope >= target[:, None])
    rows, found = np.arange(len(k)), k < bend.shape[1]
    k = np.minimum(k, bend.shape[1] - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = (target - poured[rows, k]) / open_slope[rows, k]
    return np.where(target == 0, 0, np.where(found, np.minimum(level, bend[rows, k]), np.inf))


@dataclass(frozen=True)
class Ball:
    """The set {delta : ||delta||_norm <= eps}, optionally with low <= x + delta <= high.

    Parameters
    ----------
    norm : "linf", "l2" or "l1"
        The norm that measures the perturbation.
    bounds : (low, high) or None
        The pixel box; None lets x + delta be anything.

    Raises
    ------
    ValueError
        For a norm that is none of the three, or bounds that are not low < high.
    """

    norm: str = "linf"
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, NORMS)
        if self.bounds is not None:
            pair = isinstance(self.bounds, tuple | list) and len(self.bounds) == 2
            if not pair or not self.bounds[0] < self.bounds[1]:
                raise ValueError(f"bounds: found {self.bounds!r}, expected (low, high), low < high")
            object.__setattr__(self, "bounds", tuple(self.bounds))  # a list cannot be hashed

    @property
    def name(self) -> str:
        """Its key in `BALLS`: the norm, with "-box" if there is one."""
        return self.norm + ("-box" if self.bounds else "")

    def dual_norm(self, w: Array) -> float:
        """||w||_* = max of w.v over the unit ball ||v|| <= 1, for `w` (n_features,)."""
        if self.norm == "linf":
            return np.abs(w).sum()
        if self.norm == "l2":
            largest = np.abs(w).max()  # divided out, so that no square underflows or overflows
            return largest and largest * np.sqrt(np.square(w / largest).sum())
        return np.abs(w).max()

    def dual_vector(self, w: Array) -> Array:
        """A v with ||v|| <= 1 and w.v = ||w||_*: a subgradient of the dual norm at `w`.

        Parameters
        ----------
        w : (n_features,)

        Returns
        -------
        (n_features,)
            sign(w), w / ||w||_2, or the signed unit vector of the first largest |w_j|. Zero
            where w = 0, which is a subgradient there too (sign(0) = 0).
        """
        if self.norm == "linf":
            return np.sign(w)
        if self.norm == "l2":
            return w / (self.dual_norm(w) or 1)
        v = np.zeros_like(w)
        j = np.argmax(np.abs(w))
        v[j] = np.sign(w[j])
        return v

    def drop(self, w: Array, X: Array, y: Array, eps: float | Array) -> float | Array:
        """Largest fall of each margin: max over the ball of -y w.delta.

        Parameters
        ----------
        w : (n_features,)
        X : (n_samples, n_features)
            Inputs; only the pixel box looks at them.
        y : (n_samples,)
            Labels, -1 or +1.
        eps : float or (n_samples,)
            Radius in the units of X.

        Returns
        -------
        (n_samples,) or, without the box and with one eps, a scalar that serves every sample.
        """
        if self.bounds is None:
            return eps * self.dual_norm(w)
        return self._moves(w, self._room(w, X, y), eps) @ np.abs(w)

    def delta(self, w: Array, X: Array, y: Array, eps: float | Array) -> Array:
        """The perturbation that attains `drop`; arguments as there.

        Returns
        -------
        (n_samples, n_features)
            -y eps v(w) without the box, -y sign(w) t with it.
        """
        y = np.asarray(y, w.dtype)[:, None]
        if self.bounds is None:
            radius = np.broadcast_to(eps, len(y))[:, None].astype(np.result_type(w, np.float32))
            return -y * radius * self.dual_vector(w)
        return -y * np.sign(w) * self._moves(w, self._room(w, X, y[:, 0]), eps)

    def drop_subgradient(self, w: Array, X: Array, y: Array, eps: float | Array, c: Array) -> Array:
        """sum_i c_i g_i, where g_i = -y_i delta*_i is a subgradient in w of the i-th drop.

        Parameters
        ----------
        w, X, y, eps
            As in `drop`.
        c : (n_samples,)
            The coefficient of each sample.

        Returns
        -------
        (n_features,)

        Notes
        -----
        Exact by Danskin's theorem. Where several delta attain the maximum (w_j = 0, ties of
        |w_j| in the l1 ball) each gives a subgradient, and this is the one `delta` returns.
        """
        if self.bounds is None:
            return np.sum(c * eps) * self.dual_vector(w)
        return -(c * y) @ self.delta(w, X, y, eps)

    def radius(self, w: Array, X: Array, y: Array, margin: Array,
               water_level: Callable[..., Array] = water_level) -> Array:  # fmt: skip
        """Smallest eps whose drop reaches the margin: the distance to the decision boundary.

        Parameters
        ----------
        w, X, y
            As in `drop`.
        margin : (n_samples,)
            y * (X @ w + b).
        water_level : callable
            `water_level` of this module, or its compiled twin.

        Returns
        -------
        (n_samples,)
            0 where margin <= 0 (already an error), infinite where no perturbation reaches the
            boundary (w = 0, or the whole box does not suffice).

        Notes
        -----
        The drop is concave and increasing in eps; without the box it is linear, so the radius
        is margin / ||w||_*. With it, its inverse is the filling of the table above stopped
        when sum_j |w_j| t_j equals the margin instead of when the budget eps is spent.
        """
        margin = np.maximum(margin, 0)
        if self.bounds is None:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(margin > 0, margin / self.dual_norm(w), 0)
        room, size = self._room(w, X, y), np.abs(w)
        if self.norm == "linf":
            return water_level(room, size, margin)
        if self.norm == "l2":
            size, unit = _widths(w)
            level = water_level(room / size, size * size, margin / unit)
            radius = np.sqrt(np.square(_moves_at_level(room, size, level)).sum(axis=1))
            return np.where(np.isinf(level), np.inf, radius).astype(room.dtype)
        largest_first = np.argsort(-size, kind="stable")
        room, size = room[:, largest_first], size[largest_first]
        j = _first(np.cumsum(room * size, axis=1) >= margin[:, None])
        rows, found = np.arange(len(j)), j < len(size)
        j = np.minimum(j, len(size) - 1)
        spent, gained = _ahead(room)[rows, j], _ahead(room * size)[rows, j]
        with np.errstate(divide="ignore", invalid="ignore"):
            last = (margin - gained) / size[j]
        return np.where(found, np.where(margin > 0, spent + last, 0), np.inf)

    def whole_box(self, w: Array, X: Array, y: Array) -> Array:
        """The eps from which on every pixel is moved to its side of the box, (n_samples,).

        Infinite without the box; arguments as in `drop`. A few roundings larger than the norm of
        the largest perturbation, so that no sum of moves falls short of it.
        """
        if self.bounds is None:
            return np.full(len(y), np.inf)
        room = self._room(w, X, y)
        if self.norm == "linf":
            return room.max(axis=1)
        largest = room.max(axis=1)
        part = room / np.where((largest > 0) & np.isfinite(largest), largest, 1)[:, None]
        size = part.sum(axis=1) if self.norm == "l1" else np.sqrt(np.square(part).sum(axis=1))
        return largest * size * (1 + room.shape[1] * np.finfo(room.dtype).eps)

    def _room(self, w, X, y):
        """How far each pixel can move against the margin, (n_samples, n_features); 0 if w_j = 0."""
        low, high = self.bounds
        check_inside(X, self.bounds)
        falls = np.equal.outer(np.asarray(y) > 0, w > 0)
        room = np.where(falls, X - low, high - X).astype(np.result_type(X, w), copy=False)
        room[:, w == 0] = 0
        return room

    def _moves(self, w, room, eps):
        """The t of the table above, (n_samples, n_features)."""
        size, eps = np.abs(w), np.broadcast_to(eps, len(room)).astype(room.dtype)
        if self.norm == "linf":
            return np.minimum(room, eps[:, None])
        if self.norm == "l2":
            size, _ = _widths(w)
            level = np.sqrt(water_level((room / size) ** 2, size * size, eps * eps))
            return _moves_at_level(room, size, level).astype(room.dtype)
        largest_first = np.argsort(-size, kind="stable")
        room = room[:, largest_first]
        moves = np.empty_like(room)
        moves[:, largest_first] = np.clip(eps[:, None] - _ahead(room), 0, room)
        return moves


BALLS = {
    f"{norm}{suffix}": Ball(norm, bounds)
    for suffix, bounds in (("", None), ("-box", PIXEL_BOX))
    for norm in NORMS
}
LINF, LINF_BOX = BALLS["linf"], BALLS["linf-box"]


def as_ball(ball: Ball | str) -> Ball:
    """The `Ball` of that name, a key of `BALLS`, or the Ball itself."""
    if isinstance(ball, Ball):
        return ball
    check_choice("ball", ball, BALLS)
    return BALLS[ball]


def _first(condition):
    """Index of the first True in each row of (n_samples, n_features), n_features if none."""
    return np.where(condition.any(axis=1), condition.argmax(axis=1), condition.shape[1])


def _ahead(amounts):
    """What lies before each column: sums of the columns to its left, (n_samples, n_features)."""
    before = np.zeros_like(amounts)
    np.cumsum(amounts[:, :-1], axis=1, out=before[:, 1:])
    return before


def _widths(w):
    """|w| / unit in float64, kept off 0, and the unit: a power of two, so that squares exist.

    Where w_j = 0 there is no room, and 1e-150 divides.
    """
    size = np.abs(w, dtype=np.float64)
    unit = np.exp2(np.floor(np.log2(size.max()))) if size.any() else 1.0
    return np.maximum(size / unit, 1e-150), unit


def _moves_at_level(room, size, level):
    """min(room, level |w|) with level possibly infinite, (n_samples, n_features)."""
    finite = np.where(np.isinf(level), 0, level)[:, None]
    return np.where(np.isinf(level)[:, None], room, np.minimum(room, finite * size))
