"""How often `--compare` cries wolf, and how often it sees a wolf: `python -m bench.calibrate`.

One pool of processes of the same code is split at random into "old" and "new", many times over.
Every regression found is then false; with numlin's rows of the new half slowed by 5%, a verdict
other than "slower" is a miss. Rows are judged one by one, so that all may be slowed at once.
"""

import argparse
import json
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from bench import processes, report
from bench.__main__ import HERE
from numlin.support.text import table

BY = 1.05


def main(argv=None):
    """Measure or read a pool, split it, and print both rates."""
    parser = argparse.ArgumentParser(prog="python -m bench.calibrate", description=__doc__)
    parser.add_argument("groups", nargs="*", default=["kernels", "radii"], metavar="GROUP")
    parser.add_argument("--processes", type=int, default=60)
    parser.add_argument("--splits", type=int, default=1000)
    parser.add_argument("--pool", type=Path, metavar="FILE", help="keep the pool, or use it again")
    parser.add_argument("--busy", action="store_true", help="keep one core busy meanwhile")
    options = parser.parse_args(argv)
    if options.pool and options.pool.is_file():
        pool = json.loads(options.pool.read_text())
    else:
        with _busy() if options.busy else nullcontext():
            (pool,) = processes.measure([HERE], options.processes, [*options.groups, "--quick"])
        if options.pool:
            options.pool.write_text(json.dumps(pool))
    false, rows = rates(pool, options.splits)
    cells = [(name, *(f"{share:.1%}" for share in shares)) for name, shares in rows.items()]
    print(table(("row", f"{BY - 1:.0%} slower found", "unsteady", "half width"), cells))
    often = sum(found >= 0.95 for found, _, _ in rows.values())
    print(
        f"\n{len(pool)} processes, {options.splits} splits: a false gate in {false:.2%} of "
        f"comparisons of all rows; {BY - 1:.0%} found in at least 95% of them in {often} of "
        f"numlin's {len(rows)} rows. Half width: of the interval of the ratio, at the median"
    )


def rates(pool, n_splits, seed=0):
    """How `n_splits` random splits of a pool of results are judged.

    Returns
    -------
    false : float
        Share of the splits in which the gate finds a regression of equal code.
    rows : dict
        For each of numlin's rows the share of splits in which it is found to be slower once it is
        slower by `BY`, that in which it is unsteady, and the median half width of its interval.
    """
    rng, half = np.random.default_rng(seed), len(pool) // 2
    slowed = [_slowed(result) for result in pool]
    false, judged = 0, {}
    for _ in range(n_splits):
        order = rng.permutation(len(pool))
        old = [pool[k] for k in order[:half]]
        false += report.regressed(processes.compare(old, [pool[k] for k in order[half:]]))
        for row in processes.compare(old, [slowed[k] for k in order[half:]]):
            if _own(row.name.partition(": ")[2]):
                verdict = row.verdict == "slower", row.verdict.startswith("unsteady")
                judged.setdefault(row.name, []).append((*verdict, row.high / row.ratio - 1))
    rows = {
        name: (*np.mean(found, axis=0)[:2].tolist(), float(np.median(found, axis=0)[2]))
        for name, found in judged.items()
    }
    return false / n_splits, rows


def _own(name):
    return name.startswith(report.OWN)


def _slowed(result):
    """The same result with all samples of numlin's rows longer by `BY`."""
    return result | {
        "groups": {
            group: [
                row | {"seconds": [BY * s for s in row["seconds"]]}
                if "seconds" in row and _own(row["name"])
                else row
                for row in rows
            ]
            for group, rows in result["groups"].items()
        }
    }


@contextmanager
def _busy():
    """One core is kept busy in this block."""
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spinner.kill()
        spinner.wait()


if __name__ == "__main__":
    main()
