"""What any classifier could do: the nearest two images of different classes.

If x and x' have different labels and ||x - x'||_inf <= 2 eps, their midpoint lies in both l-inf
balls of radius eps, and in the pixel box; whoever names it is wrong about one of the two. Half the
smallest such distance is thus the largest margin that any classifier, linear or not, can have.
"""

import numpy as np

from numlin.kernels.jit import jit


@jit
def closest(A, B, best):
    """The smallest l-inf distance of a row of A to one of B (both integer or float), or `best`."""
    for i in range(len(A)):
        for k in range(len(B)):
            distance, j = A[i, 0] - A[i, 0], 0
            while j < A.shape[1] and distance < best:  # most pairs differ early
                last = min(j + 32, A.shape[1])
                while j < last:
                    distance = max(distance, abs(A[i, j] - B[k, j]))
                    j += 1
            best = min(best, distance)
    return best


def nearest(X, y):
    """Half the l-inf distance of the nearest two samples of different classes, in pixel units.

    X is (n_samples, n_features), y (n_samples,). Features that vary most are compared first.
    """
    order = np.argsort(-X.std(axis=0), kind="stable")
    X = np.ascontiguousarray(X[:, order].astype(np.int16) if X.dtype == np.uint8 else X[:, order])
    far = np.int16(32767) if X.dtype == np.int16 else np.inf
    distance = float(closest(X[y < 0], X[y > 0], far))
    return distance / (510 if X.dtype == np.int16 else 2)
