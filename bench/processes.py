"""The same benchmark in several processes, and whether two such sets of processes differ.

Rounds within one process share its memory layout and its luck: they are not independent samples.
So the unit here is the process. Of every row each process gives one number, the median of its
rounds. Two sets are compared by the ratio of their geometric means, with an interval from a
bootstrap over processes that holds for all rows of a comparison at once.

Beside the rows each process times the machine: reading, multiplying and NumPy's X @ w, which owe
numlin nothing. What a row has in common with these, process by process, is taken off (regression
on control variates): on a shared machine, that is half of the spread of what waits for memory. A
ratio to one of them would take off too much of a row that waits for something else, and add to it.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from bench.timing import FMA_LIMIT, READ_LIMIT, WrongResult, last_line
from numlin.support.progress import Progress

LEAST = 5  # processes on a side: fewer tell nothing
LEAST_EFFECT = 0.02  # a change that is certain, but smaller, is called no difference
CONFIDENCE = 0.99  # of all intervals of a comparison together
RESAMPLES = 500
SPREAD = 0.05  # a row whose control moves by more than this is not steady
REFERENCES = (  # rows of the machine, whatever numlin does; those that tell most come first
    ("kernels", "X @ w float32"),
    ("kernels", READ_LIMIT),
    ("kernels", "X @ w float64"),
    ("kernels", FMA_LIMIT["float32"]),
)
PER_REFERENCE = 8  # processes in all that each of them needs


def measure(checkouts, n, command):
    """Run the benchmark n times in each checkout, in turn: A B B A A B B A ...

    Parameters
    ----------
    checkouts : list of Path
        Folders that hold `bench` and `numlin`; the same one may come twice.
    n : int
        Processes for each.
    command : list of str
        Options of `python -m bench`.

    Returns
    -------
    list of list of dict
        For each checkout its n results, as --json writes them.
    """
    found = [[] for _ in checkouts]
    turns = [k for i in range(n) for k in (range(len(found)) if i % 2 == 0 else _backwards(found))]
    with (
        tempfile.TemporaryDirectory(prefix="numlin-bench-") as folder,
        Progress("processes", len(turns)) as progress,
    ):
        out = Path(folder) / "one.json"
        for k in turns:
            done = subprocess.run(
                [sys.executable, "-m", "bench", *command, "--json", str(out)],
                cwd=checkouts[k],
                env={**os.environ, "PYTHONPATH": str(checkouts[k])},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise WrongResult(f"{checkouts[k]}: {last_line(done)}")
            found[k].append(json.loads(out.read_text()))
            progress.advance(note=str(checkouts[k]))
    return found


def _backwards(items):
    return range(len(items) - 1, -1, -1)


@contextmanager
def checkout(where):
    """The folder `where`, or a checkout for a while of the git revision that it names."""
    here = Path(__file__).parent.parent
    if Path(where).is_dir():
        yield Path(where).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="numlin-bench-") as folder:
        place = Path(folder) / "checkout"
        add = ["git", "-C", str(here), "worktree", "add", "--detach", str(place), str(where)]
        done = subprocess.run(add, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"--against: found {where!r}, {last_line(done)}")
        try:
            yield place
        finally:
            remove = ["git", "-C", str(here), "worktree", "remove", "--force", str(place)]
            subprocess.run(remove, capture_output=True)


def values(results):
    """{(group, name): (n_processes,)}: what each result says of each row that all of them timed."""
    table = {}
    for result in results:
        for group, rows in result["groups"].items():
            for row in rows:
                if "seconds" in row:
                    median = float(np.median(row["seconds"]))
                    table.setdefault((group, row["name"]), []).append(median)
    return {key: np.array(row) for key, row in table.items() if len(row) == len(results)}


class Pair(NamedTuple):
    """A row on both sides, `old` (n,) and `new` (m,).

    `error` is what their ratio's standard error has beside that of the two means, and `n_slopes`
    the number of slopes that were fitted.
    """

    old: np.ndarray
    new: np.ndarray
    error: float = 0.0
    n_slopes: int = 0


def without_machine(old, new, machine):
    """`Pair` of a row, old (n,) and new (m,), less what it has in common with the machine.

    `machine` is the references on either side, (n, p) and (m, p). Slopes are those of least squares
    of the logarithms within the sides, so that a difference between the sides has no part in them,
    after clipping at three standard deviations, as if for a normal middle. Where the machine itself
    differs between the sides, the error of the slopes counts as far as it does.
    """
    n_slopes = machine[0].shape[1]
    if n_slopes == 0:
        return Pair(old, new)
    logs, states = [np.log(side) for side in (old, new)], [np.log(side) for side in machine]
    x = np.concatenate([state - state.mean(axis=0) for state in states])
    y = np.concatenate([side - np.median(side) for side in logs])
    reach = 3 * 1.4826 * np.median(np.abs(y))
    y = np.clip(y, -reach, reach)
    inverse = np.linalg.pinv(x.T @ x)
    slopes = inverse @ (x.T @ y)
    variance = np.sum((y - x @ slopes) ** 2) / max(len(y) - 2 - n_slopes, 1)
    moved = states[1].mean(axis=0) - states[0].mean(axis=0)
    middle = np.concatenate(states).mean(axis=0)
    found = [
        np.exp(side - (state - middle) @ slopes) for side, state in zip(logs, states, strict=True)
    ]
    return Pair(*found, math.sqrt(variance * (moved @ inverse @ moved)), n_slopes)


def interval(old, new, n_rows=1, seed=0, error=0.0, n_slopes=0):
    """Ratio of the geometric means of new (m,) over old (n,), and an interval around it.

    Returns
    -------
    ratio, low, high : float

    Notes
    -----
    On the logarithms the ratio is a difference of means. Its standard error is that of a bootstrap
    which draws processes with replacement on either side; the interval is normal with CONFIDENCE
    shared among `n_rows` rows (Bonferroni) and widened by sqrt((k + 1) / (k - 1)), k = n + m - 2
    less the slopes of a `Pair`, for few processes. Means are trimmed of one value in ten at either
    end.
    """
    rng = np.random.default_rng(seed)
    logs = np.log(old), np.log(new)
    means = [_trimmed(side[rng.integers(len(side), size=(RESAMPLES, len(side)))]) for side in logs]
    degrees = len(old) + len(new) - 2 - n_slopes
    error = math.hypot(error, np.std(means[1] - means[0]))
    error *= math.sqrt((degrees + 1) / max(degrees - 1, 1))
    reach = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / n_rows) * error
    change = float(_trimmed(logs[1][None])[0] - _trimmed(logs[0][None])[0])
    return math.exp(change), math.exp(change - reach), math.exp(change + reach)


def _trimmed(samples):
    """Means of the rows of samples (m, n) without a tenth of the values at either end."""
    cut = samples.shape[1] // 10
    return np.sort(samples, axis=1)[:, cut : samples.shape[1] - cut].mean(axis=1)


def unsteady(row):
    """Why no conclusion can be drawn from one side of a row, (n,) in the order of time; or "".

    Drift: the first and the last third of the processes differ by more than SPREAD and by more
    than chance. Two clusters: between two neighbours in order of size lies a gap wider than SPREAD
    and than either side is, with a fifth of all values on each. Wide: the middle half of the
    values spans more than twice SPREAD.
    """
    n = len(row)
    if n < LEAST:
        return "too few processes"
    third = max(n // 3, 2)
    drift, low, high = interval(row[:third], row[-third:])
    if abs(math.log(drift)) > SPREAD and not low < 1 < high:
        return f"drift of {drift - 1:+.0%}"
    logs = np.sort(np.log(row))
    gaps = np.diff(logs)
    k = int(np.argmax(gaps)) + 1
    widest = max(logs[k - 1] - logs[0], logs[-1] - logs[k], SPREAD)
    if min(k, n - k) >= n / 5 and gaps[k - 1] > widest:
        return f"two clusters, {math.expm1(gaps[k - 1]):.0%} apart"
    low, high = np.percentile(logs, (25, 75))
    return f"middle half spans {high - low:.0%}" if high - low > 2 * SPREAD else ""


class Row(NamedTuple):
    """A row of a comparison: new over old, its interval, old over old, and what follows."""

    name: str
    ratio: float
    low: float
    high: float
    control: float
    verdict: str


def compare(old, new):
    """Hold two lists of results against each other; a list of `Row`.

    "slower" and "faster" need an interval without 1 and a change of more than LEAST_EFFECT. A row
    that is not steady on either side, or whose control (every other process of `old` against the
    rest) fails in the same way, says so instead.

    Raises
    ------
    ValueError
        If the two did not do the same work.
    """
    _check_same_work(old[0], new[0])
    before, after = values(old), values(new)
    names = [key for key in after if key in before]
    known = [key for key in REFERENCES if key in names][: (len(old) + len(new)) // PER_REFERENCE]
    found = []
    for key in names:
        others = [] if key in REFERENCES else known
        machine = [
            np.array([side[other] for other in others]).reshape(len(others), n).T
            for side, n in ((before, len(old)), (after, len(new)))
        ]
        was, now, *more = without_machine(before[key], after[key], machine)
        changed = interval(was, now, len(names), 0, *more)
        control = interval(was[::2], was[1::2], len(names)) if len(was) > 1 else (math.nan,) * 3
        why = unsteady(was) or unsteady(now)
        if not why and _verdict(*control) != "no difference":
            why = "the control differs"
        said = f"unsteady: {why}" if why else _verdict(*changed)
        found.append(Row(": ".join(key), *changed, control[0], said))
    gone = [": ".join(key) for key in before if key not in after]
    return found + [Row(name, *(math.nan,) * 4, "gone") for name in gone]


def _verdict(ratio, low, high):
    if low > 1 and ratio > 1 + LEAST_EFFECT:
        return "slower"
    if high < 1 and 1 / ratio > 1 + LEAST_EFFECT:
        return "faster"
    return "no difference"


def _check_same_work(old, new):
    for key in ("quick", "data"):
        if old[key] != new[key]:
            raise ValueError(f"--compare: {key} was {old[key]!r} and is {new[key]!r}")
    for group, rows in new["groups"].items():
        before = {row["name"]: row for row in old["groups"].get(group, ()) if "seconds" in row}
        for row in rows:
            was = before.get(row["name"], row)
            if any(was.get(key) != row.get(key) for key in ("rows", "n_bytes", "clock")):
                raise ValueError(f"--compare: {group}: {row['name']} did other work")
