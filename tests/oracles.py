"""What the tests of balls and radii share: small pictures, and an oracle for projections."""

import numpy as np


def digits(seed, n_samples, n_features):
    """Weights, pixels k / 255, about half of them at exactly 0 or 1, and labels, all random."""
    rng = np.random.default_rng(seed)
    X = np.clip(rng.integers(-128, 384, (n_samples, n_features)), 0, 255) / 255
    return rng.normal(size=n_features), X, rng.choice([-1.0, 1.0], n_samples)


def norm_of(ball, delta):
    """||delta_i|| of each row in the ball's own norm."""
    order = {"linf": np.inf, "l2": 2, "l1": 1}[ball.norm]
    return np.linalg.norm(delta, ord=order, axis=1)


def reach(ball, X, eps):
    """Lowest and highest value of every delta_ij, each (n_samples, n_features)."""
    low, high = ball.bounds or (-np.inf, np.inf)
    return np.maximum(-eps, low - X), np.minimum(eps, high - X)


def bisect(enough, high):
    """Smallest point of [0, high], one per sample, at which the increasing claim holds."""
    low, high = np.zeros_like(high), high.copy()
    for _ in range(80):
        middle = (low + high) / 2
        low, high = np.where(enough(middle), (low, middle), (middle, high))
    return high


def project(ball, point, X, eps):
    """Nearest point of the ball and the box: shrunk by a price found by bisection, clipped."""
    low, high = reach(ball, X, eps)

    def shrunk(price):
        if ball.norm == "l2":
            return np.clip(point / (1 + price[:, None]), low, high)
        return np.clip(np.sign(point) * np.maximum(np.abs(point) - price[:, None], 0), low, high)

    if ball.norm == "linf":
        return np.clip(point, low, high)
    most = np.linalg.norm(point, axis=1) / eps + np.abs(point).max(axis=1)
    return shrunk(bisect(lambda price: norm_of(ball, shrunk(price)) <= eps, most))
