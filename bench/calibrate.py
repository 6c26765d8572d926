"""How often `--compare` cries wolf, and how often it sees a wolf: `python -m bench.calibrate`.

One pool of processes of the same code is split at random into "old" and "new", many times over.
Every regression found is then false; with one row of the new half slowed by 5%, a verdict other
than "slower" for it is a miss.
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

SLOWED, BY = ("kernels", "kernel float32 batch 100 eps 0.1"), 1.05


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
    found = rates(pool, options.splits)
    print(
        f"{len(pool)} processes, {found['rows']} rows, {options.splits} splits: a false gate in "
        f"{found['false']:.2%} of comparisons of all rows, {BY - 1:.0%} on {': '.join(SLOWED)} "
        f"found in {found['found']:.2%}; unsteady rows {found['unsteady']:.1%}, median half width "
        f"of the intervals {found['width']:.2%}"
    )


def rates(pool, n_splits, seed=0):
    """Shares of `n_splits` random splits of a pool of results in which the gate errs."""
    rng, half = np.random.default_rng(seed), len(pool) // 2
    slowed = [_slowed(result) for result in pool]
    false = seen = unsteady = 0
    widths = []
    for _ in range(n_splits):
        order = rng.permutation(len(pool))
        old = [pool[k] for k in order[:half]]
        rows = processes.compare(old, [pool[k] for k in order[half:]])
        false += report.regressed(rows)
        unsteady += sum(row.verdict.startswith("unsteady") for row in rows) / len(rows)
        widths.append(np.median([row.high / row.ratio - 1 for row in rows]))
        rows = processes.compare(old, [slowed[k] for k in order[half:]])
        seen += any(row.name == ": ".join(SLOWED) and row.verdict == "slower" for row in rows)
    return {
        "rows": len(rows),
        "false": false / n_splits,
        "found": seen / n_splits,
        "unsteady": unsteady / n_splits,
        "width": float(np.median(widths)),
    }


def _slowed(result):
    """The same result with all samples of one row longer by `BY`."""
    groups = dict(result["groups"])
    group, name = SLOWED
    groups[group] = [
        row | {"seconds": [BY * s for s in row["seconds"]]} if row["name"] == name else row
        for row in groups[group]
    ]
    return result | {"groups": groups}


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
