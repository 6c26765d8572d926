"""What exercises are made of: known mistakes, checked calls, data, and the words of a verdict."""

import copy
import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numlin.gradcheck import Verdict

RAISES = "<raises ValueError>"
TOLERANCE = 1e-9  # relative to the largest entry: far above rounding, far below any mistake


class Wrong(Exception):
    """A solution does not hold; the message says what was asked of it and what it gave."""


class WrongKind(Wrong):
    """A result is not even of the right type or shape: the message says it all."""


class Mistake(NamedTuple):
    """A known way to go wrong in the function `of`: a `text` that names it and says why, the
    `wrong` twin of the function, and an `example`, arguments small enough to see it by hand."""

    of: str
    text: str
    wrong: Callable
    example: tuple

    @property
    def name(self):
        """The first sentence of the text."""
        return self.text.partition(". ")[0]


class Named:
    """A function that prints as its formula."""

    def __init__(self, formula, function):
        self.formula, self.function = formula, function

    def __call__(self, *args):
        return self.function(*args)

    def __str__(self):
        return f"({self.formula})"


class Solution:
    """A learner's functions. Called by name with arguments, it checks what any result must be.

    `last` is the call made last, `finished` the names that have returned something of the right
    kind, `gap` the largest distance from numlin that `agrees` has seen.
    """

    def __init__(self, functions, exercise):
        self.functions, self.exercise = functions, exercise
        self.last, self.finished, self.gap = None, set(), None

    def __call__(self, name, *args):
        given, found = self.raw(name, *args)
        if any(distance(one, other) for one, other in zip(given, args) if np.ndim(other)):
            raise WrongKind(f"{name} changes its arguments: w += ... writes into the caller's w")
        _check_kind(name, found, self.exercise.OWN[name](*args))
        self.finished.add(name)
        return found

    def raw(self, name, *args):
        """Copies of the arguments as the call left them, and what it returned."""
        self.last, given = (name, args), _copies(args)
        function = kept(self.functions[name], *getattr(self.exercise, "CATCH", ()))
        with np.errstate(all="ignore"):
            return given, function(*given)

    def agrees(self):
        """Raise Wrong unless all `cases` give what numlin gives: shapes, kinks, conventions."""
        self.gap = 0.0
        for name, args in self.exercise.cases():
            found, own = self(name, *args), self.exercise.OWN[name](*args)
            self.gap = max(self.gap, distance(found, own))
            if self.gap > TOLERANCE:
                raise Wrong(f"{self.call(name, args)}\n{_beside(found, own)}")

    def holds(self, condition, message):
        """Raise Wrong, naming the last call, unless the condition is true."""
        if not condition:
            raise Wrong(f"{self.call(*self.last)}\n{message}")

    def call(self, name, args):
        """The call as a person would say it."""
        parameters = inspect.signature(getattr(self.exercise, name)).parameters
        return f"{name} of " + ", ".join(f"{p} = {show(arg)}" for p, arg in zip(parameters, args))


def diagnose(solution, complaint):
    """What is wrong, in words: the known mistake that fits, and numbers to see it by hand.

    A mistake fits if its twin gives what the learner's function gives, in all cases, and, failing
    that, at its own example. If none does, the first example that the learner has wrong is shown.
    """
    exercise, own = solution.exercise, solution.exercise.OWN

    def share(mistake):
        cases = [args for name, args in exercise.cases() if name == mistake.of]
        return np.mean([_gives(solution, mistake, mistake.wrong, args) for args in cases])

    wrong = [m for m in exercise.MISTAKES if not _gives(solution, m, own[m.of], m.example)]
    likely = [(share(m), m) for m in wrong if _gives(solution, m, m.wrong, m.example)]
    if not wrong:
        return str(complaint)
    first, lines, most = wrong[0], ["none of the usual mistakes"], 0.0
    if likely:
        most = max(part for part, _ in likely)
        first, *others = (m for part, m in likely if part == most)
        said = [first.name, *(m.name for m in others if most == 1)]
        lines = ["; or ".join(said), first.text.partition(". ")[2]]
    try:
        found = solution.raw(first.of, *first.example)[1]
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    lines += [f"By hand: {solution.call(first.of, first.example)}"]
    lines += [_beside(found, own[first.of](*first.example))]
    if likely and most < 1:
        lines += ["(This is how it looks here; elsewhere more differs.)"]
    return "\n".join([*lines, f"Checked: {complaint}"])


def kept(function, *errors):
    """The same function, but raising one of these errors is a result like any other."""

    def result(*args):
        try:
            return function(*args)
        except errors:
            return RAISES

    return result


def passes(report, what):
    """Raise Wrong unless a gradient checker's report is a pass."""
    if report.verdict is not Verdict.PASS:
        raise Wrong(f"{what}: {report}")


def distance(found, own):
    """Largest difference of two results, relative to the largest entry of `own`; infinite if one
    is of another kind or shape, or not finite where the other is."""
    if isinstance(own, tuple):
        same = isinstance(found, tuple | list) and len(found) == len(own)
        return max(map(distance, found, own)) if same else np.inf
    if isinstance(own, str | bool) or isinstance(found, str):
        return 0.0 if type(found) in (type(own), np.bool_) and found == own else np.inf
    try:
        found, own = np.asarray(found, np.float64), np.asarray(own, np.float64)
    except (TypeError, ValueError):
        return np.inf
    if found.shape != own.shape:
        return np.inf
    with np.errstate(invalid="ignore"):
        same = (found == own) | (np.isnan(found) & np.isnan(own))
        gap = np.nan_to_num(np.where(same, 0, np.abs(found - own)), nan=np.inf, posinf=np.inf)
    return gap.max(initial=0.0) / (np.abs(own[np.isfinite(own)]).max(initial=0.0) or 1)


def show(value, digits=6):
    """A number, array or anything else, short enough to check by hand."""
    if isinstance(value, np.ndarray) and value.size > 12:
        return f"<{' x '.join(map(str, value.shape))} numbers>"
    if isinstance(value, tuple | list) or np.ndim(value):
        left, right = "()" if isinstance(value, tuple) else "[]"
        return left + ", ".join(show(part, digits) for part in value) + right
    if isinstance(value, float | np.floating | np.ndarray):
        return f"{float(value) + 0.0:.{digits}g}"  # 0 for -0.0
    return (value.hex(" ") or "no bytes") if isinstance(value, bytes) else str(value)


def samples():
    """Small problems (w, b, X, y, eps): four random ones, and five that sit on every kink.

    Of the latter all numbers are short binary fractions, so that margins of exactly 1, plain
    (eps = 0) and robust (eps = 1/4), and weights of exactly 0 stay what they are.
    """
    rng, found = np.random.default_rng(4), []
    for n, d in ((7, 3), (5, 4), (6, 2), (1, 3)):
        X, y = rng.normal(size=(n, d)), np.where(np.arange(n) % 3, 1.0, -1.0)
        found.append((rng.normal(size=d), rng.normal() + 0.7, X, y, 0.15))
    X = [[11, 4, 0], [8, 8, 0], [0, 8, 16], [0, 2, 22], [4, 4, 4], [24, 0, 0], [12, 2, 2]]
    X, y, w = np.array(X) / 8, a(1, 1, -1, -1, 1, 1, -1), a(1, 0, -0.5)
    found += [(w, 0.0, X, y, 0.25), (w, 0.0, X, y, 0.0), (w * 0, 0.0, X, y, 0.25)]
    far = (a(0, 8, -8), 0.5, np.array([[1.0, 1, 0], [0, 0, 1]]), a(1, -1), 0.125)
    return [*found, (w * 0, 1.0, X, y, 0.5), far]


def corners(d):
    """All 2^d sign vectors, (2^d, d): the corners of the l-inf unit ball."""
    return np.array(np.meshgrid(*[(-1.0, 1.0)] * d)).reshape(d, -1).T


def worst_case(w, b, X, y, eps=0.0):
    """The robust hinge F(w, b) by trying every corner: a convex function is largest at one."""
    margins = y[:, None] * ((X[:, None] + eps * corners(len(w))) @ w + b)
    return np.maximum(0, 1 - margins).max(axis=1).mean()


def at_point(function, *data):
    """A function of (w, b, *data) as one of v = (w, b), the way gradient checkers call it."""

    def of_v(v):
        result = function(v[:-1], v[-1], *data)
        return np.append(*result) if isinstance(result, tuple | list) else result

    return of_v


def a(*numbers):
    """An array of floats, for examples."""
    return np.array(numbers, np.float64)


def _copies(args):
    return [arg.copy() if isinstance(arg, np.ndarray) else copy.deepcopy(arg) for arg in args]


def _gives(solution, mistake, function, args):
    """Whether the learner's function gives for these arguments what another one gives."""
    try:
        with np.errstate(all="ignore"):
            expected = function(*_copies(args))
        return distance(solution.raw(mistake.of, *args)[1], expected) <= TOLERANCE
    except Exception:
        return False


def _beside(found, own):
    """Two lines: what a solution gives, and what is right."""
    where = ""
    if isinstance(own, np.ndarray) and own.size > 12 and np.shape(found) == own.shape:
        place = np.unravel_index(np.argmax(~np.isclose(found, own, equal_nan=True)), own.shape)
        where, found, own = f", at {show(list(place))}", found[place], own[place]
    digits = 6 if show(found) != show(own) else 17
    return f"  yours gives  {show(found, digits)}{where}\n  right is     {show(own, digits)}"


def _check_kind(name, found, own):
    """Raise WrongKind unless a result has the type and shape of numlin's; Wrong for a new NaN."""
    if isinstance(own, tuple) and isinstance(found, tuple | list) and len(found) == len(own):
        for k, (one, other) in enumerate(zip(found, own), 1):
            _check_kind(f"{name}, result {k}:", one, other)
        return
    if RAISES in (str(found), str(own)):
        if str(found) != str(own):
            raise Wrong(f"{name} gives {show(found)}, right is {show(own)}")
        return
    problem = None
    try:
        array = np.asarray(None if isinstance(own, tuple) else found)
    except ValueError:  # of entries that differ in shape
        array = np.array(None)
    if found is None:
        problem = "None: is its return missing?"
    elif isinstance(own, tuple):
        problem = f"{show(found)}, expected {len(own)} results, as a tuple"
    elif isinstance(own, str | bool):
        problem = (
            None if type(found) in (type(own), np.bool_) else f"{show(found)}, not {show(own)}"
        )
    elif array.dtype.kind not in "fiub":
        problem = f"{type(found).__name__} of {array.dtype}, expected numbers"
    elif array.shape != np.shape(own):
        problem = f"shape {array.shape}, expected {np.shape(own)}"
    elif array.dtype.kind == "f" and array.dtype.itemsize < np.asarray(own).dtype.itemsize:
        problem = f"{array.dtype}, expected {np.asarray(own).dtype}, as its arguments are"
    if problem:
        raise WrongKind(f"{name} returns {problem}")
    if array.dtype.kind == "f" and (np.isfinite(own) & ~np.isfinite(array)).any():
        raise Wrong(f"{name} returns what is not finite, {show(found)}, right is {show(own)}")
