"""Where f is asked: its arguments as one flat vector, every call with its own copy of them."""

import inspect
import math

import numpy as np

WATCHED = 20  # calls in which a change of the arguments is looked for


class Point:
    """The arguments x of f as one vector `flat` (n,) of float64, and back.

    Parameters
    ----------
    x : array, or tuple of arrays
        One argument, or several in order.
    f : callable
        Names the arguments of a tuple: W and b for f(W, b).

    Raises
    ------
    ValueError
        For x that is empty, not real or not finite.
    """

    def __init__(self, x, f):
        self.several = isinstance(x, tuple) and not _one_vector(x, f)
        self.names = _parameters(f, len(x)) if self.several else ["x"]
        parts = list(map(real, x if self.several else [x], self.names))
        self.shapes = [part.shape for part in parts]
        self.ends = np.cumsum([part.size for part in parts])
        self.flat = np.concatenate([part.ravel() for part in parts])
        if not self.flat.size:
            raise ValueError(f"{', '.join(self.names)}: found none, expected at least one number")
        if not np.isfinite(self.flat).all():
            at = self.entry(np.flatnonzero(~np.isfinite(self.flat))[0])
            raise ValueError(f"{at}: found NaN or infinity, expected finite numbers")

    def unpack(self, flat):
        """Fresh arguments of f from `flat` (n,); a scalar is a np.float64."""
        return [
            flat[end - math.prod(shape) : end].reshape(shape).copy() if shape else flat[end - 1]
            for end, shape in zip(self.ends, self.shapes)
        ]

    def like(self, flat):
        """`flat` (n,) in the form in which x was given."""
        parts = self.unpack(flat)
        return tuple(parts) if self.several else parts[0]

    def pack(self, value, name, lead=()):
        """What the function `name` returned for each argument, as (*lead, n); ValueError if wrong.

        Each part has the shape `lead` followed by that of its argument.
        """
        parts = list(value) if self.several and isinstance(value, tuple | list) else [value]
        if len(parts) != len(self.shapes):
            raise ValueError(
                f"{name}: found {len(parts)} arrays, expected one for each of "
                f"{', '.join(self.names)}"
            )
        found = []
        for argument, shape, part in zip(self.names, self.shapes, parts):
            label = f"{name} in {argument}" if self.several else name
            part = real(part, label)
            if part.shape != lead + shape:
                of = f"that of {argument}, " if not lead else ""
                raise ValueError(f"{label}: found shape {part.shape}, expected {of}{lead + shape}")
            found.append(part.reshape(*lead, -1))
        found = np.concatenate(found, axis=-1)
        if not np.isfinite(found).all():
            at = self.entry(np.argwhere(~np.isfinite(found))[0][-1])
            raise ValueError(f"{name}: found NaN or infinity at {at}, expected finite numbers")
        return found

    def entry(self, j):
        """The name of the j-th entry: x[3], W[3, 0], b."""
        k = int(np.searchsorted(self.ends, j, side="right"))
        j -= self.ends[k - 1] if k else 0
        return label(self.names[k], np.unravel_index(int(j), self.shapes[k]))


class Function:
    """f of a flat vector: own copies of the arguments, NaN outside the domain, changes noticed."""

    def __init__(self, f, point, name="f"):
        self.f, self.point, self.name = f, point, name
        self.changes, self.watched = "", WATCHED

    def raw(self, flat, *more):
        """What f returns; notes the argument that f changes in place."""
        parts = self.point.unpack(flat)
        value = self.f(*parts, *more)
        if self.watched:
            self.watched -= 1
            for name, part, before in zip(self.point.names, parts, self.point.unpack(flat)):
                if not np.array_equal(part, before):
                    self.changes = f"{self.name} changes its argument {name} in place"
        return value

    def __call__(self, flat):
        """f there as a float, NaN where it raises an arithmetic or a domain error."""
        try:
            value = self.raw(flat)
        except (ArithmeticError, ValueError):
            return np.nan
        return self.number(value)

    def number(self, value):
        """`value` as a float; ValueError if it is not one real number."""
        value = real(value, self.name)
        if value.size != 1:
            raise ValueError(
                f"{self.name}: found shape {value.shape}, expected one number "
                "(check_jacobian is for functions of many values)"
            )
        return float(value.ravel()[0])


def real(value, name):
    """`value` as a new array of float64; ValueError if it is not one of real numbers."""
    try:
        array = np.array(value)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        found = "None" if value is None else f"{array.dtype} {value!r:.60}"
        raise ValueError(f"{name}: found {found}, expected real numbers")
    return array.astype(np.float64)


def label(name, place):
    """name[i, j], or the name alone for a scalar."""
    return f"{name}[{', '.join(str(int(i)) for i in place)}]" if len(place) else name


def _parameters(f, n):
    """Names of the first n parameters of f, x0, x1, ... where they cannot be had."""
    try:
        found = [
            p.name for p in inspect.signature(f).parameters.values() if p.kind < p.VAR_POSITIONAL
        ]
    except (TypeError, ValueError):
        found = []
    return found[:n] if len(found) >= n else [f"x{k}" for k in range(n)]


def _one_vector(x, f):
    """Whether a tuple of numbers is meant as one vector: f takes one argument."""
    try:
        inspect.signature(f).bind(*x)
    except TypeError:
        return all(np.ndim(part) == 0 for part in x)
    except ValueError:
        pass
    return len(x) < 2
