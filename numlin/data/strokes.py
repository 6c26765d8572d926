"""Ten digits drawn with a pen: a stand-in for MNIST that needs no data and no network.

A digit is a few strokes, a stroke is a smooth curve through waypoints, and the pen is a round nib.
Each drawing moves the waypoints, bends, leans, turns and stretches the whole, fits it into a box of
20 x 20 pixels, inks every pixel by its distance to the curve, and centres the ink, as MNIST does.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from numlin.data import idx

SIDE = 28  # rows and columns of an image
BOX = 20  # longer side of the largest digit, in pixels
CENTRE = 14  # row and column of the centre of mass, counted from 0
EDGE = 1.5  # pixels over which the ink fades from full to none
PRINTS = 12  # of the nib from one waypoint to the next: a third of a pixel apart, rarely 0.8
BLOCK = 256  # drawings inked at once: few enough to stay in the cache

FORMS = {
    0: [
        (0.7, "53,1 20,18 11,57 38,98 77,86 89,41 53,1"),
        (0.3, "42,6 17,30 16,72 45,98 81,74 83,28 58,3 28,9"),
    ],
    1: [
        (0.80, "50,0 50,50 50,100"),
        (0.14, "32,20 52,0 52,0 52,50 52,100"),
        (0.06, "32,20 52,0 52,0 52,50 52,100", "28,100 52,100 76,100"),
    ],
    2: [
        (0.6, "18,22 32,5 56,2 73,15 73,36 58,58 36,79 14,97 14,97 46,95 84,96"),
        (0.4, "20,20 36,4 58,3 71,19 68,43 52,68 32,88 17,93 15,81 30,76 50,86 68,95 88,88"),
    ],
    3: [
        (0.7, "20,12 42,1 66,7 71,26 60,42 38,48 38,48 63,53 78,70 72,90 48,99 18,90"),
        (0.3, "20,5 46,4 74,4 74,4 60,24 44,42 44,42 68,50 78,70 70,91 46,99 20,91"),
    ],
    4: [
        (0.7, "24,4 20,30 14,56 14,56 48,55 86,51", "70,2 67,34 63,68 60,100"),
        (0.3, "64,2 40,32 12,64 12,64 50,64 88,62", "64,2 63,34 62,68 61,100"),
    ],
    5: [
        (0.6, "82,3 56,5 32,6 32,6 29,25 25,44 25,44 50,39 71,51 74,73 60,92 38,98 14,90"),
        (0.4, "30,8 29,25 25,44 25,44 50,38 74,54 74,80 50,98 16,90", "30,8 56,5 86,2"),
    ],
    6: [
        (0.7, "66,1 44,15 27,41 20,69 31,92 54,98 73,83 71,63 54,54 36,63 24,82"),
        (0.3, "50,1 34,24 24,50 22,76 36,96 58,96 70,80 64,64 46,62 30,74"),
    ],
    7: [
        (0.6, "16,10 46,8 80,5 80,5 66,36 54,68 45,100"),
        (0.2, "16,24 20,9 20,9 50,7 82,5 82,5 66,30 54,62 50,100"),
        (0.2, "16,10 46,8 80,5 80,5 66,36 54,68 45,100", "36,54 58,52 80,49"),
    ],
    8: [
        (0.7, "76,16 54,1 29,8 26,28 50,45 74,62 78,84 52,99 24,88 24,66 50,45 73,32 76,16"),
        (0.3, "50,46 27,32 29,9 52,1 74,11 72,33 50,46 24,62 22,88 50,99 79,88 77,62 50,46"),
    ],
    9: [
        (0.7, "77,18 56,3 32,10 20,30 32,48 56,44 77,18 77,18 73,46 67,73 62,100"),
        (0.3, "74,14 52,2 30,12 22,32 37,46 60,38 74,14 74,14 75,50 66,84 46,99 26,92"),
    ],
}
"""For each digit its forms: the share of drawings that use it, then its strokes as waypoints "x,y".

Coordinates are percent of the digit's height, x to the right, y downwards. A waypoint written twice
in a row is a corner; one written again later is the same waypoint and moves with it; a stroke that
ends where it starts is a closed loop.
"""


def draw(labels, rng):
    """Draw one image of each label.

    Parameters
    ----------
    labels : array_like of int (n_samples,)
        Digits 0 to 9.
    rng : numpy.random.Generator
        The source of every variation: in the same state it draws the same images.

    Returns
    -------
    ndarray of uint8 (n_samples, 28, 28)
        Ink from 0 (none) to 255 (full), the top row first. The outermost rows and columns are 0.

    Raises
    ------
    ValueError
        When `labels` is not a one-dimensional array of integers from 0 to 9.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels: found {labels.dtype} of shape {labels.shape}, expected integers (n_samples,)"
        )
    strangers = np.flatnonzero((labels < 0) | (labels > 9))
    if strangers.size:
        first = strangers[0]
        raise ValueError(f"labels[{first}]: found {labels[first]}, expected a digit from 0 to 9")

    images = np.empty((len(labels), SIDE, SIDE), np.uint8)
    for digit, forms in FORMS.items():
        wanted = np.flatnonzero(labels == digit)
        choice = rng.choice(len(forms), size=len(wanted), p=[share for share, *_ in forms])
        for number, (_, *strokes) in enumerate(forms):
            waypoints, path = _curve(strokes)
            chosen = wanted[choice == number]
            for start in range(0, len(chosen), BLOCK):
                block = chosen[start : start + BLOCK]
                images[block] = _centred(_ink(*_written(waypoints, path, len(block), rng)))
    return images


def write_dataset(folder, seed=0, n_train=24000, n_test=6000):
    """Draw a training and a test set and write them as four gzipped IDX files, named as MNIST's.

    The labels of each set are balanced (counts differ by one at most) and shuffled. The same
    arguments write the same bytes.

    Parameters
    ----------
    folder : str or Path
        Where the files go.
    seed : int
        Seed of the one generator behind both sets.
    n_train, n_test : int
        Number of images over all ten digits.
    """
    rng = np.random.default_rng(seed)
    for split, n_samples in (("train", n_train), ("t10k", n_test)):
        labels = rng.permutation(np.arange(n_samples) % 10).astype(np.uint8)
        images = draw(labels, rng)
        idx.write(Path(folder, f"{split}-images-idx3-ubyte.gz"), images, compress=True)
        idx.write(Path(folder, f"{split}-labels-idx1-ubyte.gz"), labels, compress=True)


def _curve(strokes):
    """The distinct waypoints (n_waypoints, 2) of `strokes`, in heights, and the curve through them.

    A Catmull-Rom spline is linear in its waypoints, so the curve is a matrix `path` (n_prints,
    n_waypoints) that serves wherever they move: the nib prints at path @ waypoints.
    """
    routes = [[tuple(map(int, point.split(","))) for point in stroke.split()] for stroke in strokes]
    distinct = list(dict.fromkeys(point for route in routes for point in route))
    identity = np.eye(len(distinct))
    t = np.linspace(0, 1, PRINTS + 1)[:, None]
    spline = (
        np.hstack(
            [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
        )
        / 2
    )
    pieces = []
    for route in routes:
        stops = [distinct.index(point) for point in route]
        closed = stops[0] == stops[-1]
        knots = [stops[-2 if closed else 0], *stops, stops[1 if closed else -1]]
        for i, (start, end) in enumerate(pairwise(stops)):
            if start != end:
                pieces.append(spline @ identity[knots[i : i + 4]])
    return np.array(distinct) / 100, np.vstack(pieces)


def _written(waypoints, path, n, rng):
    """Where the nib prints in each of `n` drawings, x and y (n_prints, n), and its radius (n,).

    Lengths are in heights of the digit, from its middle, until `scale` turns them into pixels.
    """
    wobble = np.minimum(0.015 + rng.exponential(0.02, n), 0.07)
    x, y = waypoints.T[:, :, None] - 0.5 + wobble * rng.normal(size=(2, len(waypoints), n))
    bow, sag, taper, crouch = rng.normal(0, 0.25, (4, n))
    x, y = x * (1 + taper * y) + bow * y**2, y * (1 + crouch * y) + sag * x**2
    width = np.clip(rng.normal(0.95, 0.18, n), 0.55, 1.4)
    lean = rng.normal(0.16, 0.25, n)
    turn = rng.normal(0, 0.1, n)
    x = width * x - lean * y
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    x, y = path @ x, path @ y

    radius = np.clip(rng.normal(1.42, 0.38, n), 0.8, 2.3)
    size = rng.uniform(18.5, BOX, n)
    scale = (size - 2 * radius - EDGE) / np.maximum(np.ptp(x, axis=0), np.ptp(y, axis=0))
    x_middle, y_middle = (SIDE - 1) / 2 + rng.uniform(-0.5, 0.5, (2, n))
    x = (x - (x.min(axis=0) + x.max(axis=0)) / 2) * scale + x_middle
    y = (y - (y.min(axis=0) + y.max(axis=0)) / 2) * scale + y_middle
    return x.astype(np.float32), y.astype(np.float32), radius.astype(np.float32)


def _ink(x, y, radius):
    """Images (n, 28, 28) of nibs of `radius` (n,) that print at x, y (n_prints, n), float32.

    A pixel at distance d of the nearest print holds s(1/2 + (radius - d) / EDGE) of full ink, where
    s(u) = u^2 (3 - 2 u) between 0 and 1. Each print visits only the window of pixels in its reach.
    """
    reach = radius.max() + EDGE / 2
    pixel = np.arange(SIDE, dtype=np.float32)[:, None]
    nearest = np.full((SIDE, SIDE, len(radius)), reach**2, np.float32)
    for x_k, y_k, columns, rows in zip(x, y, _windows(x, reach), _windows(y, reach)):
        squared = (pixel[rows] - y_k)[:, None] ** 2 + (pixel[columns] - x_k) ** 2
        np.minimum(nearest[rows, columns], squared, out=nearest[rows, columns])
    u = np.clip(0.5 + (radius - np.sqrt(nearest)) / EDGE, 0, 1)
    return np.rint(255 * u**2 * (3 - 2 * u)).astype(np.uint8).transpose(2, 0, 1)


def _windows(at, reach):
    """For each print, the slice of pixels within `reach` of where any of the drawings has it.

    Digits stand 3 pixels or more from the border, thin ones beside thick ones 1.5: none is cut.
    """
    first, last = (at.min(axis=1) - reach).astype(int), (at.max(axis=1) + reach).astype(int)
    return map(slice, first, last + 1)


def _centred(images):
    """`images` moved by whole pixels, so that their centres of mass come within half of CENTRE.

    At most 3 pixels: a digit of BOX pixels in the middle of SIDE then keeps off the outermost ones.
    """
    pixel = np.arange(SIDE)
    mass = images.sum(axis=(1, 2))
    centre = np.stack([images.sum(axis=2) @ pixel, images.sum(axis=1) @ pixel]) / mass
    move = np.clip(np.rint(CENTRE - centre), -3, 3).astype(int)
    rows, columns = (pixel - move[:, :, None]) % SIDE
    return images[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
