"""What exercises are made of: known mistakes, checked calls, data, and the words of a verdict."""

import copy
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numlin.gradcheck import Verdict

RAISES = "<raises ValueError>"
TOLERANCE = 1e-9  # relative to the largest entry: far above rounding, far below any mistake


class Wrong(Exception):
    """A solution does not hold; the message says what was asked of it and what it gave.

    The `summary`, if there is one, says what that looks like.
    """

    def __init__(self, message, summary=""):
        super().__init__(message)
        self.summary = summary


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
        for parameter, one, other in zip(self.parameters(name), given, args):
            if np.ndim(other) and distance(one, other):
                raise WrongKind(f"{name} writes into the caller's {parameter}: change a copy")
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
        self.gap, whole = 0.0, ""
        for name, args in self.exercise.cases():
            found, own = self(name, *args), self.exercise.OWN[name](*args)
            self.gap = max(self.gap, distance(found, own))
            if self.gap > TOLERANCE:
                raise Wrong(f"{self.call(name, args)}\n{beside(found, own)}")
            for one, other in zip(found, own) if isinstance(own, tuple) else [(found, own)]:
                if np.ndim(other) and other.dtype.kind == "f" and np.asarray(one).dtype.kind != "f":
                    whole = f"{name} returns {np.asarray(one).dtype}, expected floating point"
        if whole:
            raise WrongKind(whole)

    def holds(self, condition, message, summary=""):
        """Raise Wrong, naming the last call, unless the condition is true."""
        if not condition:
            raise Wrong(f"{self.call(*self.last)}\n{message}", summary)

    def gets(self, name, args, function=None):
        """Whether a call gives what another function, else numlin's, gives for these arguments."""
        try:
            with np.errstate(all="ignore"):
                own = (function or self.exercise.OWN[name])(*_copies(args))
            return distance(self.raw(name, *args)[1], own) <= TOLERANCE
        except Exception:
            return False

    def parameters(self, name):
        """The names of a function's arguments."""
        return inspect.signature(getattr(self.exercise, name)).parameters

    def call(self, name, args, most=12):
        """The call as a person would say it."""
        named = zip(self.parameters(name), args)
        return f"{name} of " + ", ".join(f"{p} = {show(arg, most=most)}" for p, arg in named)


def diagnose(solution, complaint):
    """What is wrong, in words: the known mistake that fits, and numbers to see it by hand.

    A mistake fits if its twin gives what the learner's function gives, in all cases, and, failing
    that, at its own example; those of the function that failed come first. If none fits, the first
    example that the learner has wrong is shown, else the smallest case: if possible, one where
    the result is finite.
    """
    exercise, failed = solution.exercise, solution.last[0]
    cases = sorted(exercise.cases(), key=lambda case: sum(map(np.size, case[1])))

    def share(mistake):
        calls = [args for name, args in cases if name == mistake.of]
        return np.mean([solution.gets(mistake.of, args, mistake.wrong) for args in calls])

    def result(name, args):
        try:
            return solution.raw(name, *args)[1]
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    wrong = [m for m in exercise.MISTAKES if not solution.gets(m.of, m.example)]
    wrong = [m for m in wrong if m.of == failed] or wrong
    likely = [(share(m), m) for m in wrong if solution.gets(m.of, m.example, m.wrong)]
    most = max((part for part, _ in likely), default=0.0)
    lines = [complaint.summary or f"{failed} is not right yet"]
    small = [(m.of, m.example) for m in wrong]
    small += [case for case in cases if case[0] == failed and not solution.gets(*case)]
    small.sort(key=lambda case: "nan" in show(result(*case), most=99))
    if likely:
        first, *others = (m for part, m in likely if part == most)
        lines = ["; or ".join([first.name, *(m.name for m in others if most == 1)])]
        lines, small = [*lines, first.text.partition(". ")[2]], [(first.of, first.example)]
    if not small:
        return "\n".join([*filter(None, lines), str(complaint)])
    name, args = small[0]
    call, found, right = (
        solution.call(name, args, 99),
        result(name, args),
        exercise.OWN[name](*args),
    )
    lines += [f"By hand: {call}", beside(found, right)]
    if likely and most < 1:
        lines += ["(This is how it looks here; elsewhere more differs.)"]
    rest = str(complaint).removeprefix(call).strip("\n")
    if rest == str(complaint):
        lines += [f"Checked: {complaint}"]
    elif rest != beside(found, right).strip("\n"):
        lines += [rest]
    return "\n".join(filter(None, lines))


def changed(function, *swaps):
    """The function as it would be with these parts of its source exchanged: (old, new) pairs."""
    source, names = (
        textwrap.dedent(inspect.getsource(function)),
        dict(vars(inspect.getmodule(function))),
    )
    for old, new in swaps:
        if old not in source:
            raise ValueError(f"{function.__name__} has no {old!r}")
        source = source.replace(old, new)
    exec(source, names)
    return names[function.__name__]


def kept(function, *errors):
    """The same function, but raising one of these errors is a result like any other."""

    def result(*args):
        try:
            return function(*args)
        except errors:
            return RAISES

    return result


def passes(report, what, n=0):
    """Raise Wrong unless a gradient checker's report, on n samples, is a pass."""
    if report.verdict is not Verdict.PASS:
        detail = str(report).partition("\nlikely: ")[0]
        likely = re.sub(rf"(factor of (1/)?){n}(?![\d.])", rf"\1n, n = {n}", report.likely)
        raise Wrong(f"{what}: {detail}", likely and f"likely: {likely}")


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


def show(value, digits=6, most=12):
    """A number, array of at `most` so many, or anything else, short enough to check by hand."""
    if isinstance(value, np.ndarray) and value.size > most:
        return f"<{' x '.join(map(str, value.shape))} numbers>"
    if isinstance(value, tuple | list) or np.ndim(value):
        left, right = "()" if isinstance(value, tuple) else "[]"
        return left + ", ".join(show(part, digits, most) for part in value) + right
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
    """A function of (w, b, *data) as one of w and b, the way gradient checkers call it."""
    return lambda w, b: function(w, b, *data)


def a(*numbers):
    """An array of floats, for examples."""
    return np.array(numbers, np.float64)


def _copies(args):
    return [arg.copy() if isinstance(arg, np.ndarray) else copy.deepcopy(arg) for arg in args]


def beside(found, own):
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
        if not array.shape:
            problem += ": one number for all (max for np.maximum, an `if` for np.where, a sum?)"
    elif array.dtype.kind == "f" and array.dtype.itemsize < np.asarray(own).dtype.itemsize:
        problem = f"{array.dtype}, expected {np.asarray(own).dtype}, as its arguments are"
    if problem:
        raise WrongKind(f"{name} returns {problem}")
    if array.dtype.kind == "f" and (np.isfinite(own) & ~np.isfinite(array)).any():
        raise Wrong(f"{name} returns what is not finite, {show(found)}, right is {show(own)}")
