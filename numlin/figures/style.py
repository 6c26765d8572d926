"""One look for every figure: sizes, colours, images, the stamp of synthetic data, and saving."""

import textwrap
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from numlin.data.datasets import title
from numlin.support.files import replacing

# Colours of Okabe and Ito and of Tol, told apart by colour-blind readers and in grey: the robust
# models darken as eps grows. Markers and dashes say the same without colour.
COLOURS = {
    "regular": "#d55e00",
    "robust-0.1": "#56b4e9",
    "robust-0.2": "#0072b2",
    "robust-0.3": "#332288",
}
MARKERS = {"regular": "o", "robust-0.1": "s", "robust-0.2": "^", "robust-0.3": "D"}
DASHES = {
    "regular": "-",
    "robust-0.1": (0, (6, 1.5)),
    "robust-0.2": (0, (4, 1.2, 1, 1.2)),
    "robust-0.3": (0, (1.3, 1)),
}
DIGIT_COLOURS = ("#4d9221", "#c51b7d")
WEIGHT_MAP = "PiYG_r"  # from the first digit's colour to the second's
INK = "gray_r"
GREY, SHADE, LEFT_OVER = "#666666", "#f4f0e0", "#ececec"
# What an SVG shows where the reader's screen is dark; its pictures stay as they are.
DARK = {
    "#000000": "#e6e3dc", "#222222": "#d2cfc7", "#4d4d4d": "#b9b6ae", "#666666": "#a5a29a",
    "#737373": "#9a978f", "#888888": "#8a8780", "#aaaaaa": "#66635d", "#bbbbbb": "#55524d",
    "#e6e6e6": "#34322f", LEFT_OVER: "#2b2a28", SHADE: "#35311f", "#ffffff": "#191918",
    "#d55e00": "#f08a3c", "#56b4e9": "#8fd0f2", "#0072b2": "#4fa3da", "#332288": "#a99cf5",
    "#4d9221": "#93cf6a", "#c51b7d": "#ee7dbd",
}  # fmt: skip
SMALL = 9.2
# A letter costs nothing to set; formulas in mathtext are most of the time of a drawing.
EPS, STRENGTH = (
    "\N{GREEK SMALL LETTER EPSILON}",
    "\N{GREEK SMALL LETTER EPSILON} (l-inf, pixel units)",
)
WIDTH = 5.0  # inches: on a phone 360 pixels wide a point of text is a pixel high
STYLE = {
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": "#888888",
    "ytick.color": "#888888",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "mathtext.fontset": "dejavusans",
    "figure.dpi": 144,
    "savefig.dpi": "figure",
    "image.interpolation": "nearest",
    "svg.hashsalt": "numlin",
    "svg.fonttype": "none",
}
FIGURES: dict = {}


class Entry(NamedTuple):
    """A registered figure: the function that draws it and the caption under it."""

    function: object
    caption: str


def figure(caption, registry=FIGURES):
    """Register the decorated function under its own name, hyphens for underscores."""

    def register(function):
        registry[function.__name__.replace("_", "-")] = Entry(function, caption)
        return function

    return register


def new_figure(rows=1, columns=1, height=3.6, width=WIDTH, **options):
    """An empty figure with its axes: (Figure, Axes or array of them)."""
    canvas = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas, canvas.subplots(rows, columns, **options)


def listed(values, form="{:.1f}"):
    """Numbers as a sentence has them: 1.0, 2.0 and 3.0."""
    *first, last = map(form.format, values)
    return f"{', '.join(first)} and {last}" if first else last


def headline(drawn, finding):
    """Put what the figure shows above it, on one line or two of about the same length."""
    width = 52 if len(finding) <= 52 else len(finding) // 2 + 6
    drawn.suptitle(textwrap.fill(finding, width), x=0.012, ha="left", linespacing=1.25)


def model_label(name):
    """The model's name in a legend."""
    kind, _, eps = name.partition("-")
    return f"{kind}, {EPS} = {eps}" if eps else kind


def model_line(name):
    """Colour, dashes and marker of a model's line, and its label, as keywords of `plot`."""
    return {
        "color": COLOURS[name],
        "linestyle": DASHES[name],
        "marker": MARKERS[name],
        "markersize": 4.5,
        "label": model_label(name),
    }


def model_legend(drawn, axes):
    """One legend under all panels for the models drawn in `axes`."""
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def signed(value):
    """A number with its sign and two decimals; no sign where it is 0 but for rounding."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}") if abs(value) > 1e-9 else "0.00"


def halo(text):
    """Put white around a text that lies on lines; returns it."""
    text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    return text


def mosaic(axes, cells, below=9, beside=3, **options):
    """Draw images side by side as one, with room for a line of text under each.

    Parameters
    ----------
    axes : Axes
        Loses its frame, ticks and grid.
    cells : (rows, columns, height, width)
        NaN leaves a cell empty.
    below, beside : int
        Units left free under each row and to the right of each column: an image is 28 high.
    **options
        Of `imshow`.

    Returns
    -------
    x, lower : (columns,), (rows,)
        The middle of each column and the lower edge of each row, under which text goes.
    """
    rows, columns, high, wide = cells.shape
    unit = 28 / high
    below, beside = (max(1, round(free / unit)) for free in (below, beside))
    canvas = np.full((rows, high + below, columns, wide + beside), np.nan)
    canvas[:, :high, :, :wide] = cells.transpose(0, 2, 1, 3)
    canvas = canvas.reshape(rows * (high + below), columns * (wide + beside))[:, :-beside]
    extent = (0, unit * canvas.shape[1], unit * canvas.shape[0], 0)
    axes.imshow(canvas, extent=extent, **options)
    axes.set_axis_off()
    return (
        unit * (np.arange(columns) * (wide + beside) + wide / 2),
        unit * (np.arange(rows) * (high + below) + high),
    )


def label_model(axes, lower_edge, name, note=""):
    """Name a model at the left of its row of a mosaic, with a bar in its colour."""
    edges = [lower_edge - 28, lower_edge]
    axes.plot([-4, -4], edges, color=COLOURS[name], lw=4, solid_capstyle="butt")
    label = f"{model_label(name)}\n{note}".strip()
    axes.text(-8, lower_edge - 14, label, ha="right", va="center", linespacing=1.4)


def weight_image(axes, w, colour, limit=None):
    """Show `w` (height, width) framed in `colour`, saturated at `limit` (default: max|w| / 2)."""
    limit = limit or np.abs(w).max() / 2 or 1.0
    axes.imshow(w, cmap=WEIGHT_MAP, vmin=-limit, vmax=limit)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set(visible=True, color=colour, linewidth=2)


def weight_bar(drawn, axes, meaning, digits):
    """One colour bar under all weight images, its two ends named: `meaning` of either digit."""
    image = axes.flat[0].images[0]
    bar = drawn.colorbar(image, ax=axes, location="bottom", shrink=0.4, aspect=40, extend="both")
    low, high = (f"{meaning} digit {digit}" for digit in digits)
    bar.set_ticks([image.norm.vmin, 0, image.norm.vmax], labels=[low, "", high])
    bar.outline.set_visible(False)


def count_strong(w):
    """How many of `w` (n_features,) are larger than 1% of the largest, in size."""
    return np.count_nonzero(np.abs(w) > np.abs(w).max() / 100)


def stretch(image, eps):
    """Map pixels from [-eps, 1 + eps] to [0, 1], so that nothing of a perturbation is cut off."""
    return (image + eps) / (1 + 2 * eps)


def draw(name, result, registry=FIGURES):
    """Draw the figure `name` of a registry from a study's result; one not MNIST's says so."""
    with matplotlib.rc_context(STYLE):
        drawn = registry[name].function(result)
        name = result.dataset["name"]
        if name != "mnist" and name != "synthetic":
            drawn.supxlabel(title(name), x=0.99, ha="right", fontsize=SMALL, color="0.4")
        if name == "synthetic":
            drawn.text(
                0.5,
                0.5,
                "synthetic data",
                fontsize=46,
                color="0.5",
                alpha=0.22,
                ha="center",
                va="center",
                rotation=20,
                zorder=10,
            )
        _settle(drawn)
        return drawn


def _settle(drawn):
    """Lay the figure out once and for all, at positions rounded to a millionth of its size.

    A second pass would move panels by a hair, and the solver behind the layout does not always
    agree with itself in the last bit; either would change the bytes of the file.
    """
    drawn.get_layout_engine().execute(drawn)
    drawn.set_layout_engine(None)
    for axes in drawn.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6))


def save(drawn, path):
    """Write a figure to `path` in the format of its suffix; the same figure, the same bytes.

    An SVG has no ground of its own, and the colours of `DARK` where the screen is dark.
    """
    options = {
        ".svg": {"metadata": {"Date": None}, "facecolor": "none"},
        ".pdf": {"metadata": {"CreationDate": None}},
    }
    with matplotlib.rc_context(STYLE), replacing(path) as temporary:
        drawn.savefig(temporary, **options.get(temporary.suffix, {}))
        if temporary.suffix == ".svg":
            swaps = "".join(
                f'[style*="{what}: {light}"]{{{what}:{dark} !important}}'
                for light, dark in DARK.items()
                for what in ("fill", "stroke")
            )
            ink = DARK["#000000"]  # of what has no colour of its own
            dark = f"<style>@media (prefers-color-scheme:dark){{svg{{fill:{ink}}}{swaps}}}</style>"
            plain = temporary.read_text("utf-8")
            temporary.write_text(plain.replace(" <defs>", f" {dark}\n <defs>", 1), "utf-8")
