"""Arguments from outside, checked once at the door: every error says what was found."""

import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

Array = np.ndarray  # of the shape and type that the docstring states
Radii = float | Sequence[float] | Array
CACHE_LINE = 64  # bytes
WHITE = 255  # a white pixel of raw uint8 data; floating-point pixels are 1 there


def check_choice(name, found, choices):
    """Raise ValueError unless `found` is one of `choices`."""
    if not isinstance(found, str | np.dtype) or found not in choices:
        raise ValueError(f"{name}: found {found!r}, expected one of {', '.join(map(str, choices))}")


def check_path(path: str | PathLike[str]) -> Path:
    """Return `path` with ~ expanded; ValueError if it is empty or deeper than any file system."""
    found = Path(path).expanduser()
    if not str(path) or len(found.parts) > 255:
        what = f"{len(found.parts)} folders in one another" if str(path) else "an empty path"
        raise ValueError(f"found {what}, expected the path of a file or a folder")
    return found


def check_number(name, found, low=0.0, strict=False, integer=False):
    """Raise ValueError unless `found` is a finite number >= low (> low if `strict`)."""
    kinds = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    number = isinstance(found, kinds) and not isinstance(found, bool)
    if number and isinstance(found, float | np.floating):
        number = math.isfinite(found)
    if not number or found < low or (strict and found == low):
        kind = "an integer" if integer else "a finite number"
        bound = f"{'>' if strict else '>='} {low:g}"
        raise ValueError(f"{name}: found {found!r}, expected {kind} {bound}")


def check_eps(eps: Radii, n_samples: int | None = None) -> Array:
    """Return `eps`, a radius or an array of radii (n,), as float64, known to be finite and >= 0.

    With `n_samples` it is one radius, or one for each sample.
    """
    try:
        eps = np.asarray(eps, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"eps: found {eps!r}, expected finite numbers >= 0") from None
    if n_samples is not None and eps.shape not in ((), (n_samples,)):
        raise ValueError(f"eps: found shape {eps.shape}, expected one number or ({n_samples},)")
    if not (np.isfinite(eps) & (eps >= 0)).all():
        wrong = np.ravel(eps)[~(np.isfinite(eps) & (eps >= 0)).ravel()][0]
        raise ValueError(f"eps: found {wrong:g}, expected finite numbers >= 0")
    return eps


def check_inputs(X: ArrayLike, n_features: int | None = None, name: str = "X") -> Array:
    """Return `X` (n_samples, n_features) as an array that is known to be numeric and finite.

    Booleans and integers of any kind but uint8 become the floating-point numbers that they are;
    uint8 stays, since there k means k / 255. Lists, data frames and arrays of Python's numbers do.

    Raises
    ------
    ValueError
        If it is not two-dimensional, has no sample or no feature, is not numeric or sparse, holds a
        NaN or an infinity (the message names the first index), or has not `n_features` columns.
    """
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise ValueError(f"{name}: found a sparse matrix, expected a dense one: X.toarray()")
    X = np.asarray(X)
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"{name}: found shape {X.shape}, expected (n_samples, n_features), not empty"
        )
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"{name}: found {X.shape[1]} features, expected {n_features}")
    if X.dtype.kind == "O":
        try:
            X = X.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: found objects, expected numbers ({error})") from None
    if X.dtype.kind not in "fiub":
        raise ValueError(f"{name}: found dtype {X.dtype}, expected real numbers")
    if X.dtype.kind != "f" and X.dtype != np.uint8:
        X = X.astype(np.result_type(X, np.float32))
    check_finite(X, name)
    return X


def check_classifier(w: ArrayLike, b: float) -> tuple[Array, float]:
    """Return weights `w` (n_features,) as a floating array and bias `b`, known to be finite."""
    w = np.asarray(w)
    if w.ndim != 1 or w.size == 0 or w.dtype.kind not in "fiu":
        raise ValueError(f"w: found {w.dtype} of shape {w.shape}, expected (n_features,) numbers")
    w = w.astype(np.float64 if w.dtype.itemsize > 8 else np.result_type(w, np.float32), copy=False)
    check_finite(w, "w")
    if np.ndim(b) != 0 or np.asarray(b).dtype.kind not in "fiu" or not np.isfinite(b):
        raise ValueError(f"b: found {b!r}, expected a finite number")
    return w, (float(b) if isinstance(b, np.longdouble) else b)


def check_finite(array, name):
    """Raise ValueError that names the first NaN or infinity of `array`, of any shape (n, ...)."""
    with np.errstate(invalid="ignore", over="ignore"):
        if array.dtype.kind != "f" or np.isfinite(array.sum(dtype=np.float64)):
            return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise ValueError(f"{name}: found {array[index]} at index {index}, expected finite numbers")


def check_inside(X, bounds):
    """Raise ValueError unless all of `X` (n_samples, n_features) lies in the pixel box."""
    (low, high), least, most = bounds, X.min(), X.max()
    if not (low <= least and most <= high):
        raise ValueError(
            f"X: found values in [{_exactly(least)}, {_exactly(most)}], expected them inside the "
            f"pixel box [{low:g}, {high:g}]"
        )


def _exactly(number):
    """As many digits as tell `number` from its neighbours."""
    return next(
        text for n in (6, 9, 17, 40) if float(text := f"{number:.{n}g}") == number or n > 20
    )


def check_signs(y: ArrayLike, n_samples: int, both: bool = True) -> Array:
    """Return labels `y` (n_samples,) as int8, known to be -1 or +1, and to hold both if asked."""
    y = np.asarray(y)
    if y.shape != (n_samples,):
        raise ValueError(f"y: found shape {y.shape}, expected ({n_samples},), one label a sample")
    if y.dtype.kind not in "fuib" or not np.isin(y, (-1, 1)).all():
        raise ValueError(f"y: found labels {_some(y)}, expected only -1 and +1")
    if both and (y == y[0]).all():
        raise ValueError(f"y: found one class only, {y[0]:g}, expected both -1 and +1")
    return y.astype(np.int8)


def check_classes(labels: ArrayLike) -> tuple[Array, Array]:
    """Return the two sorted classes of `labels` (n_samples,) and y in {-1, +1}."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"y: found shape {labels.shape}, expected (n_samples,)")
    if labels.dtype.kind in "OT":  # objects, also a data frame's categories and strings
        labels = _plain(labels.tolist())
    if labels.dtype.kind not in "fuibUS":
        raise ValueError(f"y: found dtype {labels.dtype}, expected numbers or strings")
    if labels.dtype.kind == "f":
        check_finite(labels, "y")
    classes, place = np.unique(labels, return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"y: found {len(classes)} classes, {_some(classes)}, expected two")
    return classes, (2 * place - 1).astype(np.int8)


def _plain(values: list) -> Array:
    """A list of strings, or of numbers, as an array of that; ValueError for a mixture."""
    kinds = sorted({type(value).__name__ for value in values})
    if "str" in kinds[1:] or (kinds[1:] and kinds[0] == "str") or "NoneType" in kinds:
        raise ValueError(f"y: found {' and '.join(kinds)}, expected numbers or strings")
    return np.array(values)


def white(X):
    """What a white pixel is in `X` (n_samples, n_features): 255 for uint8, else 1."""
    return WHITE if X.dtype == np.uint8 else 1


def aligned(shape: int | tuple[int, ...], dtype: DTypeLike) -> Array:
    """An array, not set, that starts with a cache line.

    NumPy's large arrays start 16 bytes into one: then each wide load from a row of whole lines,
    such as 784 pixels in float32, takes from two, and an epoch up to a quarter longer.
    """
    n_bytes = math.prod(np.atleast_1d(shape).tolist()) * np.dtype(dtype).itemsize
    memory = np.empty(n_bytes + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def aligned_copy(array: Array, dtype: DTypeLike) -> Array:
    """`array` (n, ...) in another type, or a copy of it, that starts with a cache line."""
    copy = aligned(array.shape, dtype)
    copy[...] = array
    return copy


def pixels(X: Array, dtype: DTypeLike) -> Array:
    """`X` (n_samples, n_features) in a floating type: uint8 pixels become x / 255, others stay."""
    if X.dtype == np.uint8:
        return np.divide(X, WHITE, out=aligned(X.shape, dtype), dtype=dtype)
    return X.astype(dtype, copy=False)


def _some(values):
    """A few of the distinct values, for a message."""
    distinct = np.unique(values)
    return ", ".join(map(str, distinct[:5])) + (", ..." if len(distinct) > 5 else "")
