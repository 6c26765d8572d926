"""Two pictures of a result: the roofline, and suboptimality against time."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from bench.kernels import OWN_KERNEL
from bench.timing import FMA_LIMIT, READ_LIMIT, summary
from numlin.figures.style import COLOURS, DASHES, GREY, SMALL, STYLE, new_figure, save

COLOUR = {"uint8": "#0072b2", "float32": "#009e73", "float64": "#d55e00"}
MARKER = {"X @ w": "*", "batch 1 ": "^", "batch 100 ": "o", "batch full ": "s"}
VARIANT_LOOK = {
    "constant step": (COLOURS["regular"], DASHES["regular"], "o"),
    "linear decay": (COLOURS["robust-0.1"], DASHES["robust-0.1"], "s"),
    "linear decay, proximal": (COLOURS["robust-0.2"], DASHES["robust-0.2"], "^"),
    "1/sqrt(t), averaged": (COLOURS["robust-0.3"], DASHES["robust-0.3"], "D"),
}


def draw(result, folder):
    """Draw what `result`, the JSON of a run, has the groups for; return the paths written."""
    written = []
    for group, function in (("kernels", roofline), ("convergence", suboptimality)):
        if any("skipped" not in row for row in result["groups"].get(group, ())):
            path = Path(folder, f"bench-{function.__name__}.png")
            with matplotlib.rc_context(STYLE):
                save(function(result), path)
            written.append(path)
    return written


def roofline(result):
    """Operations a second against operations for each byte of data, under the measured limits."""
    rows = result["groups"]["kernels"]
    named = {row["name"]: summary(row, rows) for row in rows}
    read = named[READ_LIMIT]["gb_per_s"]
    drawn, axes = new_figure(height=4.4, width=7.2)
    intensity = np.geomspace(0.2, 20, 200)
    for real, dashes, place in (("float32", "-", "bottom"), ("float64", "--", "top")):
        peak = named[FMA_LIMIT[real]]["gflop_per_s"]
        axes.plot(intensity, np.minimum(peak, read * intensity), color=GREY, ls=dashes, lw=1.4)
        axes.text(
            19,
            peak * (1.05 if place == "bottom" else 0.95),
            ha="right",
            va=place,
            s=f"multiply-add {real}: {peak:.0f} GFLOP/s",
            fontsize=SMALL,
            color=GREY,
        )
    axes.text(0.8, read * 1.05, f"read: {read:.0f} GB/s", ha="right", fontsize=SMALL, color=GREY)
    for row in rows:
        storage = next((s for s in COLOUR if s in row["name"]), "")
        marker = next((m for part, m in MARKER.items() if part in row["name"]), "")
        if marker and row["n_bytes"] and not row["name"].startswith(OWN_KERNEL):
            twin = row["name"].startswith("twin")
            axes.plot(
                row["flops"] / row["n_bytes"],
                named[row["name"]]["gflop_per_s"],
                marker,
                ms=10 if marker == "*" else 6,
                mew=1.2,
                color=COLOUR[storage],
                mfc="white" if twin else COLOUR[storage],
                alpha=0.8,
            )
    for part, marker in MARKER.items():
        axes.plot([], [], marker, color=GREY, label=part)
    axes.plot([], [], "o", color=GREY, mfc="white", label="NumPy twin")
    for storage, colour in COLOUR.items():
        axes.plot([], [], "-", color=colour, lw=5, label=storage)
    axes.legend(loc="lower right", ncols=2)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(0.2, 20),
        ylim=(0.03, 400),
        xlabel="operations for each byte of data",
        ylabel="GFLOP/s",
    )
    for axis, ticks in ((axes.xaxis, (0.25, 0.5, 1, 2, 4, 8, 16)), (axes.yaxis, (0.1, 1, 10, 100))):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    return drawn


def suboptimality(result):
    """Objective less its global minimum against seconds of training, a panel for each eps."""
    rows = [row for row in result["groups"]["convergence"] if "excess" in row]
    eps_values = sorted({row["eps"] for row in rows})
    drawn, axes = new_figure(1, len(eps_values), 3.6, width=7.2, sharey=True)
    for ax, eps in zip(np.atleast_1d(axes), eps_values, strict=True):
        for row in (row for row in rows if row["eps"] == eps):
            colour, dashes, marker = VARIANT_LOOK[row["variant"]]
            excess = np.array(row["excess"])
            times = np.median(row["times"], axis=0)
            ax.plot(
                times,
                np.median(excess, axis=0),
                color=colour,
                ls=dashes,
                marker=marker,
                ms=4,
                lw=1.4,
                label=row["variant"],
            )
            ax.fill_between(
                times, excess.min(axis=0), excess.max(axis=0), color=colour, alpha=0.15, lw=0
            )
        ax.set(
            xscale="log", yscale="log", xlabel="seconds of training", title=rf"$\epsilon = {eps:g}$"
        )
    first = np.atleast_1d(axes)[0]
    first.set_ylabel("objective less its minimum")
    drawn.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return drawn
