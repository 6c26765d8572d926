"""What was measured, as tables for the terminal."""

from importlib import import_module

import numpy as np

from bench.timing import relative, summary, verdict
from numlin.text import table

HEADER = ("median", "min", "IQR", "rounds", "rows/s", "GB/s", "GFLOP/s", "read", "fma", "ratio")


def show(group, rows):
    """The table of a group under what its module says of it; notes and skipped rows below."""
    lines = [f"\n{import_module(f'bench.{group}').__doc__.strip()}\n"]
    timed = [row for row in rows if "seconds" in row]
    baselines = {row["baseline"] for row in timed} - {""}
    if timed:
        cells = [_cells(row, timed, len(baselines) > 1) for row in timed]
        lines.append(table((group, *HEADER), cells))
    lines += _points([row for row in rows if "excess" in row])
    if len(baselines) == 1:
        lines.append(f"ratio: time per row over that of {baselines.pop()}")
    lines += dict.fromkeys(f"{row['name']}: {row['note']}" for row in timed if row["note"])
    lines += [f"{row['name']}: skipped, {row['skipped']}" for row in rows if "skipped" in row]
    return "\n".join(lines)


def _cells(row, group, name_baseline):
    found = summary(row, group)

    def cell(key, form, scale=1.0):
        return form.format(found[key] * scale) if key in found else ""

    ratio = cell("ratio", "{:.3g}")
    if ratio and name_baseline and row["baseline"] != row["name"]:
        ratio += f" of {row['baseline']}"
    return (
        row["name"], *(duration(found[key]) for key in ("median", "minimum", "iqr")),
        str(len(row["seconds"])), cell("rows_per_s", "{:.3g}M", 1e-6), cell("gb_per_s", "{:.2f}"),
        cell("gflop_per_s", "{:.2f}"), cell("of_read_limit", "{:.0%}"),
        cell("of_fma_limit", "{:.0%}"), ratio,
    )


def _points(rows):
    """Lines of a table of suboptimality and time for every variant and number of epochs."""
    if not rows:
        return []
    header = ("suboptimality (time)", *(f"{n} epochs" for n in rows[0]["epochs"]))
    return [table(header, [
        (row["name"], *(f"{np.median(excess):.1e} ({duration(np.median(times))})"
                        for excess, times in zip(zip(*row["excess"]), zip(*row["times"]))))
        for row in rows
    ])]


def duration(seconds):
    """A time with three digits and its unit."""
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def compare(old, new):
    """Hold every row of `new` against the row of the same name in `old`, two results.

    Returns
    -------
    text : str
    regressed : bool
        Whether any row is slower.
    """
    lines, regressed = [], False
    for group, rows in new["groups"].items():
        before = {row["name"]: row for row in old["groups"].get(group, ()) if "seconds" in row}
        for row in rows:
            if "seconds" not in row or row["name"] not in before:
                continue
            was = relative(before[row["name"]], before.values())
            said, change = verdict(was, relative(row, rows))
            regressed |= said == "slower"
            lines.append((f"{group}: {row['name']}", f"{change:.3f}", said))
    if old["environment"] != new["environment"]:
        changed = [key for key in new["environment"]
                   if old["environment"].get(key) != new["environment"][key]]
        lines.append((f"environment differs: {', '.join(changed)}", "", ""))
    text = table(("row", "new / old", "verdict"), lines)
    note = "times with a baseline are compared as ratios to it, round by round"
    return f"\n{text}\n{note}", regressed
