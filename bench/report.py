"""What was measured, as tables for the terminal."""

import json
from importlib import import_module

import numpy as np

from bench.timing import relative, summary, verdict
from numlin.support.text import table

REFERENCES = {"X @ w float32"}
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


def duration(seconds):
    """A time with three digits and its unit."""
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def compare(old, new):
    """Hold every row of `new` against the row of the same name in `old`, two results.

    A row with a baseline is held against it round by round, but only numlin's own rows can
    regress: where the baseline is numlin's, a slower peer may be a faster numlin.

    Returns
    -------
    text : str
    regressed : bool
        Whether any of numlin's own rows is slower.

    Raises
    ------
    ValueError
        If the two did not do the same work.
    """
    for key in ("quick", "data"):
        if old[key] != new[key]:
            raise ValueError(f"--compare: {key} was {old[key]!r} and is {new[key]!r}")
    lines, regressed = [], False
    for group, rows in new["groups"].items():
        before = {row["name"]: row for row in old["groups"].get(group, ()) if "seconds" in row}
        timed = {row["name"]: row for row in rows if "seconds" in row}
        lines += [(f"{group}: {name}", "", "gone") for name in before if name not in timed]
        for name, row in timed.items():
            if name not in before:
                continue
            if any(before[name][key] != row[key] for key in ("rows", "n_bytes", "clock")):
                raise ValueError(f"--compare: {group}: {name} did other work")
            was, now = before[name]["seconds"], row["seconds"]
            if row["baseline"] in REFERENCES:
                was, now = relative(before[name], before.values()), relative(row, rows)
            said, change = verdict(np.array(was), np.array(now))
            regressed |= said == "slower" and name.startswith(OWN)
            lines.append((f"{group}: {name}", f"{change:.3f}", said))
    if old["environment"] != new["environment"]:
        changed = [
            key
            for key in new["environment"]
            if old["environment"].get(key) != new["environment"][key]
        ]
        lines.append((f"environment differs: {', '.join(changed)}", "", ""))
    text = table(("row", "new / old", "verdict"), lines)
    note = "rows whose baseline is NumPy's X @ w are compared as ratios to it, round by round"
    return f"\n{text}\n{note}", regressed


def read(path):
    """An earlier result, from the file that --json wrote; ValueError names what it is not."""
    try:
        result = json.loads(path.read_text())
        if not {"environment", "quick", "data", "groups"} <= set(result):
            raise ValueError("entries are missing")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a result of this benchmark ({error})") from None
    return result
