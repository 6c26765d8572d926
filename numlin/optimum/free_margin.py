"""The l-inf margin of the free ball, where many samples decide it: a corner found from the middle.

eps* = 1 / ||v||_1 for the shortest v with z_i.v >= 1 for all samples. With a small toll on every
weight this is a minimum of the hinge that loses nothing, so `numlin.optimum.interior` comes to it.
Few samples matter: a working set starts as every so-manieth sample, and takes in those with the
smallest margins until no other is inside. Of each product that is 0 at the end, t_i (z_i.v - 1)
and |v_j| (toll_j - |q_j|), one factor is; the other tells which samples and coordinates are a
basis. If there are more of the one than of the other, the optimum is inside a face, and moves to
one of its corners first. Then v solves z_i.v = 1, and the multipliers
sum t_i z_ij = toll_j sign(v_j), each with rounding alone.
"""

import numpy as np

from numlin.optimum import interior
from numlin.optimum.parametric import scores
from numlin.optimum.working_sets import Basis, Problem
from numlin.support.arguments import white

TOLL = 1e-4  # of ||v||_1, where a hinge counts 1
SOME = 1000  # samples of a working set
ROUNDS, GROWING = 40, 6  # of working sets; from so many on they only grow
IDLE = 1e-3  # of the largest multiplier: samples with less may leave
LOST = 0.5  # a sample with a smaller margin is not separated
TIE = 1e-6  # a margin so much below 1 is on it


def corner(X, y):
    """w (n_features,), b, multipliers (n_samples,) and `Basis` at eps*, or None.

    None where samples are lost (the classes are not separable, or hardly), or where rounding ends
    the way. X is (n_samples, n_features), y (n_samples,).
    """
    used = np.flatnonzero(X.any(axis=0))
    toll = np.append(np.full(len(used), TOLL), 0.0)
    problem = Problem(np.ascontiguousarray(X[:, used]), y, np.zeros_like(toll), toll, 1.0)
    try:
        with np.errstate(all="ignore"):  # a lost path says so
            found = _shortest(problem)
            if found is None:
                return None
            rows, v, t = found
            Z = problem.signed(rows)
            S, C, v, t = _square(Z, toll, v, t)
        w, a, B = np.zeros(X.shape[1] + 1), np.zeros(len(y)), Z[np.ix_(S, C)]
        signs = np.sign(np.where(toll > 0, t @ Z, v))[C]
        coordinates = np.append(used, X.shape[1])[C]
        w[coordinates] = np.linalg.solve(B, np.ones(len(S)))
        a[rows[S]] = np.linalg.solve(B.T, toll[C] * signs)
    except np.linalg.LinAlgError:
        return None
    return w[:-1], float(w[-1]), a, Basis(rows[S], coordinates, signs)


def _shortest(problem):
    """The last working set (k,), its v (D,) and multipliers t (k,), or None if samples are lost."""
    n, one, XT = len(problem.y), white(problem.X), np.ascontiguousarray(problem.X.T)
    working, coordinates = np.zeros(n, bool), np.arange(len(XT) + 1)
    working[:: max(1, n // SOME)] = True

    def margins(v):
        score = np.zeros((1, n))
        scores(XT, one, coordinates, v[None], score)
        return problem.y * score[0] / one

    for turn in range(ROUNDS):
        rows = np.flatnonzero(working)

        def others(v, rows=rows):
            margin = margins(v)
            inside = margin < 1 - TIE
            inside[rows] = margin[rows] < LOST
            return inside.any()

        v, t, _ = interior.minimise(problem.signed(rows), problem.toll, others)
        margin = margins(v)
        if margin[rows].min() < LOST:
            return None
        inside = (margin < 1 - TIE) & ~working
        if not inside.any():
            return rows, v, t
        if turn < GROWING:
            working[rows] = t > IDLE * t.max()
            working[np.argsort(margin, kind="stable")[:SOME]] = True
        else:
            working |= inside
    return None


def _square(Z, toll, v, t):
    """Samples S and as many coordinates C of a corner, and v (D,) and t (k,) there.

    If more coordinates are told to be in it, v is inside a face of optima, and moves along it until
    a weight is 0 or one more sample on the margin. If more samples are, t does the same. Z is
    (k, D), toll (D,).
    """
    size = np.abs(v) / np.abs(v[:-1]).max()
    S = np.flatnonzero(t > TOLL * np.maximum(Z @ v - 1, 0))
    C = np.flatnonzero((TOLL * size > toll - np.abs(t @ Z)) | (toll == 0))
    while len(C) > len(S):
        C, others = C.copy(), np.setdiff1d(np.arange(len(Z)), S)
        d, sign = np.linalg.svd(Z[np.ix_(S, C)])[2][-1], np.where(toll[C] > 0, np.sign(v[C]), 0)
        v = np.where(np.isin(np.arange(len(v)), C), v, 0)
        values = np.append(np.abs(v[C]), Z[others] @ v - 1)
        i, step = _first(values, np.append(sign * d, Z[np.ix_(others, C)] @ d))
        v[C] += step * d
        S, C = (S, np.delete(C, i)) if i < len(C) else (np.append(S, others[i - len(C)]), C)
    while len(S) > len(C):
        t, others = t.copy(), np.setdiff1d(np.flatnonzero(toll), C)
        d, Y = np.linalg.svd(Z[np.ix_(S, C)].T)[2][-1], Z[np.ix_(S, others)]
        values = np.concatenate([t[S], toll[others] - t[S] @ Y, toll[others] + t[S] @ Y])
        i, step = _first(values, np.concatenate([d, -d @ Y, d @ Y]))
        t[S] += step * d
        gone = (i - len(S)) % max(1, len(others))
        S, C = (np.delete(S, i), C) if i < len(S) else (S, np.append(C, others[gone]))
    return S, C, v, t


def _first(values, moves):
    """Which of the values >= 0 reaches 0 first on the way along or against the moves, and where."""
    lengths = np.where(moves != 0, np.maximum(values, 0) / np.abs(moves), np.inf)
    i = int(np.argmin(lengths))
    return i, -np.sign(moves[i]) * lengths[i]
