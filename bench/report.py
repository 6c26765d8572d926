"""What was measured, as tables for the terminal."""

import json
from importlib import import_module

import numpy as np

from bench import processes
from bench.timing import summary
from numlin.support.files import read_whole
from numlin.support.text import table

OWN = (
    "kernel",
    "twin",
    "fit",
    "screened",
    "every row",
    "from radii",
    "numlin",
    "steady",
    "from cache",
    "compile",
    "reading ahead",
    "raw uint8",
    "integers",
    "screening",
)  # how the names of numlin's own rows begin
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
    lines += _verdicts([row for row in rows if "misses" in row])
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
        row["name"],
        *(duration(found[key]) for key in ("median", "minimum", "iqr")),
        str(len(row["seconds"])),
        cell("rows_per_s", "{:.3g}M", 1e-6),
        cell("gb_per_s", "{:.2f}"),
        cell("gflop_per_s", "{:.2f}"),
        cell("of_read_limit", "{:.0%}"),
        cell("of_fma_limit", "{:.0%}"),
        ratio,
    )


def _points(rows):
    """Lines of a table of suboptimality and time for every variant and number of epochs."""
    if not rows:
        return []
    header = ("suboptimality (time)", *(f"{n} epochs" for n in rows[0]["epochs"]))
    return [
        table(
            header,
            [
                (
                    row["name"],
                    *(
                        f"{np.median(excess):.1e} ({duration(np.median(times))})"
                        for excess, times in zip(zip(*row["excess"]), zip(*row["times"]))
                    ),
                )
                for row in rows
            ],
        )
    ]


def _verdicts(rows):
    """Lines of a table of the verdicts of gradient checkers, a line for every kind of function."""
    if not rows:
        return []
    names = list(rows[0]["misses"])
    header = ("kind", "wrong, right", *(f"{name}: misses, cries wolf" for name in names))
    whole = {"name": "all", "wrong": sum(row["wrong"] for row in rows)}
    whole["right"] = sum(row["right"] for row in rows)
    for key in ("misses", "alarms", "undecided"):
        whole[key] = {name: sum(row[key][name] for row in rows) for name in names}

    def cell(row, name):
        open_ = row["undecided"][name]
        return f"{row['misses'][name]}, {row['alarms'][name]}" + (
            f" ({open_} open)" if open_ else ""
        )

    return [
        table(
            header,
            [
                (
                    row["name"],
                    f"{row['wrong']}, {row['right']}",
                    *(cell(row, name) for name in names),
                )
                for row in [*rows, whole]
            ],
        )
    ]


def duration(seconds):
    """A time with three digits and its unit."""
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def compared(old, new):
    """The table of `processes.compare` of two lists of results, and whether numlin regressed.

    Only numlin's own rows can regress: where the baseline is numlin's, a slower peer may be a
    faster numlin.
    """
    lines, rows = [], processes.compare(old, new)
    for row in rows:
        numbers = [
            f"{x:.3f}" if x == x else "" for x in (row.ratio, row.low, row.high, row.control)
        ]
        lines.append((row.name, *numbers, row.verdict))
    text = table(("row", "new / old", "from", "to", "old / old", "verdict"), lines)
    was, now = old[0]["environment"], new[0]["environment"]
    changed = [key for key in now if was.get(key) != now[key]]
    notes = [
        f"{len(old)} processes before, {len(new)} now; from and to hold for all rows at once with "
        f"{processes.CONFIDENCE:.0%} confidence; old / old is a control: one half of the processes "
        "before against the other",
        "what rows have in common with X @ w and the limits, process by process, is taken off them",
        *([f"environment differs: {', '.join(changed)}"] if changed else []),
    ]
    return "\n".join(["", text, *notes]), regressed(rows)


def regressed(rows):
    """Whether a `processes.Row` of numlin's own is slower."""
    return any(
        row.verdict == "slower" and row.name.partition(": ")[2].startswith(OWN) for row in rows
    )


def pooled(results):
    """One result of many: the rounds of all processes, one process after the other."""
    groups = {}
    for group, rows in results[0]["groups"].items():
        groups[group] = [dict(row) for row in rows]
        for other in results[1:]:
            others = {row["name"]: row for row in other["groups"][group]}
            for row in groups[group]:
                if "seconds" in row:
                    start = 1 + max(row["rounds"])
                    again = others[row["name"]]
                    row["rounds"] = row["rounds"] + [start + k for k in again["rounds"]]
                    row["seconds"] = row["seconds"] + again["seconds"]
    return results[0] | {"groups": groups, "replicates": results}


def read(path):
    """The results of an earlier run, from the file that --json wrote: one for each process.

    Raises
    ------
    ValueError
        Naming the file, if it is not such a result.
    """
    try:
        result = json.loads(read_whole(path, 2**28))
        results = result.get("replicates", [result])
        for one in results:
            if not isinstance(one, dict) or not {"environment", "quick", "data", "groups"} <= set(
                one
            ):
                raise ValueError("entries are missing")
            processes.values([one])
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a result of this benchmark ({error!r})") from None
    return results
