"""The robust-accuracy curve at 101 eps: from exact radii, against one attack for each eps.

The test images, a model in the middle of robust training. The attacks score the worst perturbed
image of every eps again; the radii are computed once and sorted. The curves are equal.
"""

import numpy as np

from bench.timing import Case, WrongResult, measure
from numlin.attacks import radii, robust_accuracy
from numlin.balls import BALLS, PIXEL_BOX
from numlin.objective import score
from numlin.support.arguments import pixels

ATTACK_EPS = np.arange(101) / 200  # with --quick every fifth


def rows(data, options):
    """Rows of the group `radii`."""
    X, y = pixels(data.test_pixels, np.float64), data.y_test
    w, b = data.middle[0.1]
    w = w.astype(np.float64)
    eps = ATTACK_EPS[:: 5 if options.quick else 1]
    cases = [case for name in ("linf", "linf-box") for case in _cases(w, b, X, y, name, eps)]
    return measure("radii", cases, 5 if options.quick else 7)


def _cases(w, b, X, y, name, attack_eps):
    ball = BALLS[name]

    def from_radii():
        return robust_accuracy(radii(w, b, X, y, ball), attack_eps)

    def one_by_one():
        return np.array(
            [np.mean(y * score(w, b, _worst(ball, w, X, y, eps)) > 0) for eps in attack_eps]
        )

    def check():
        curves = from_radii(), one_by_one()
        if not np.array_equal(*curves):
            at = attack_eps[curves[0] != curves[1]]
            raise WrongResult(f"robust accuracy from radii, {name}: differs at eps {at}")

    baseline = f"from radii, {name}"
    return [
        Case(baseline, from_radii, check, rows=len(X), baseline=baseline),
        Case(f"{len(attack_eps)} attacks, {name}", one_by_one, rows=len(X), baseline=baseline),
    ]


def _worst(ball, w, X, y, eps):
    """X (n_samples, n_features) moved by the worst perturbation of size eps."""
    moved = X + ball.delta(w, X, y, eps)
    return np.clip(moved, *PIXEL_BOX) if ball.bounds else moved
