"""The article's experiment: training, mistakes, weights, and the attack."""

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from numlin.attacks import robust_accuracy
from numlin.balls import LINF
from numlin.figures.style import (
    COLOURS,
    DIGIT_COLOURS,
    EPS,
    INK,
    MARKERS,
    SMALL,
    STRENGTH,
    count_strong,
    figure,
    headline,
    label_model,
    model_label,
    model_legend,
    model_line,
    mosaic,
    new_figure,
    signed,
    stretch,
    weight_bar,
    weight_image,
)
from numlin.objective import is_error
from numlin.studies.article import ATTACK_EPS


@figure(
    "Accuracy on clean images during training. Above: every batch of the first epoch, before its "
    "own step. Below: all training and all test images after each epoch, on an enlarged scale. "
    "Robust training starts more slowly, its steps being smaller; on MNIST it "
    "gives up little accuracy on clean images."
)
def training_accuracy(article):
    """Batch accuracy in the first epoch; train and test accuracy after every epoch."""
    drawn, ((first, hidden), sets) = new_figure(2, 2, 5.2)
    hidden.remove()
    first.set_subplotspec(first.get_gridspec()[0, :])
    for name, run in article.runs.items():
        look, history = model_line(name), run.records.metrics.history
        epochs = np.arange(1, len(history["train_error"]) + 1)
        batches = run.records.batches.accuracy
        accuracy = batches[: len(batches) // len(epochs)]
        first.plot(np.arange(1, len(accuracy) + 1), accuracy, **look | {"marker": "", "lw": 1.3})
        for ax, part in zip(sets, ("train", "test"), strict=True):
            ax.plot(epochs, 1 - np.array(history[f"{part}_error"]), **look)
    first.set(title="batches of the first epoch", xlabel="step", xscale="log", ylabel="accuracy")
    first.xaxis.set_major_formatter("{x:g}")
    first.yaxis.set_major_formatter(PercentFormatter(1, 0))
    sets[1].sharey(sets[0])
    for ax, title in zip(sets, ("training images", "test images"), strict=True):
        ax.set(title=title, xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1, 1))
    model_legend(drawn, sets[0])
    errors = [run.test_error for run in article.runs.values()]
    headline(
        drawn, f"In the end every model errs on at most {max(errors):.2%} of clean test images"
    )
    return drawn


@figure(
    "Test images that each model gets wrong without any attack, the worst four of each, with "
    "digit and score w.x + b, whose sign is the answer. On MNIST they are few, and the models "
    "share them."
)
def mistakes(article):
    """Up to four misclassified clean test images of each model, the worst first."""
    drawn, axes = new_figure(height=5.4)
    first, second = article.dataset["digits"]
    cells, notes = np.full((len(article.runs), 4, *article.shape), np.nan), {}
    for row, run in enumerate(article.runs.values()):
        scores = run.model.decision_function(article.X_test)
        margin = article.y_test * scores
        worst = np.argsort(margin, kind="stable")[: min(4, run.test_mistakes)]
        for column, i in enumerate(worst):
            cells[row, column] = article.X_test[i].reshape(article.shape)
            true = second if article.y_test[i] > 0 else first
            notes[row, column] = f"a {true}\n{signed(scores[i])}"
    x, lower = mosaic(axes, cells, below=15, beside=14, cmap=INK, vmin=0, vmax=1)
    for (row, column), note in notes.items():
        axes.text(x[column], lower[row] + 1, note, ha="center", va="top", fontsize=SMALL)
    for at, (name, run) in zip(lower, article.runs.items(), strict=True):
        label_model(axes, at, name, f"{run.test_mistakes:,} of {len(article.y_test):,}\nwrong")
    counts = [run.test_mistakes for run in article.runs.values()]
    headline(
        drawn, f"{min(counts):,} to {max(counts):,} mistakes, on {len(article.y_test):,} images"
    )
    return drawn


@figure(
    "The weights of each model as an image; the colour says which digit a dark pixel votes for "
    "and is full at half of the model's largest weight. Regular training leaves the noise it "
    "started from; robust training wipes it out. On MNIST a stamp of the two digits remains, of "
    "fewer pixels the larger eps is."
)
def weight_images(article):
    """The four weight vectors as images with a symmetric colour scale each."""
    drawn, axes = new_figure(2, 2, height=6.0)
    for ax, (name, run) in zip(axes.flat, article.runs.items(), strict=True):
        size = np.abs(run.model.w)
        weight_image(ax, run.model.w.reshape(article.shape), COLOURS[name])
        ax.set_title(model_label(name))
        ax.set_xlabel(
            f"largest {size.max():.2f}, sum of sizes {size.sum():.1f}"
            f"\n{count_strong(size)} of {size.size} above 1% of max",
            fontsize=SMALL,
            linespacing=1.4,
        )
    weight_bar(drawn, axes, "votes for", article.dataset["digits"])
    counts = [count_strong(run.model.w) for run in article.runs.values()]
    headline(
        drawn,
        f"{counts[0]} weights count in the regular model, {counts[-1]} at eps = {run.model.eps}",
    )
    return drawn


@figure(
    "Accuracy on the test images against the strength eps of the worst attack, 101 values for each "
    "model. Solid: pixels may take any value. Dashed: perturbed pixels stay between 0 and 1, as in "
    "a real image. The large markers stand at the eps that the model was trained for."
)
def robust_accuracy_curves(article):
    """Accuracy against attack eps, four models, free (solid) and in the box (dashed)."""
    drawn, axes = new_figure(height=4.6)
    for name, run in article.runs.items():
        look = model_line(name) | {"markevery": 10, "linestyle": "-", "clip_on": False}
        axes.plot(ATTACK_EPS, robust_accuracy(run.radius, ATTACK_EPS), **look)
        look |= {"linestyle": "--", "markerfacecolor": "white", "label": None}
        axes.plot(ATTACK_EPS, robust_accuracy(run.radius_box, ATTACK_EPS), **look)
    for name, run in article.runs.items():
        axes.plot(
            run.model.eps,
            robust_accuracy(run.radius, run.model.eps),
            MARKERS[name],
            color=COLOURS[name],
            ms=9,
            mec="black",
            zorder=3,
            clip_on=False,
        )
    axes.plot([], [], "-", color="0.3", label="any pixel value")
    axes.plot([], [], "--", color="0.3", label="pixels stay in [0, 1]")
    axes.set(
        xlabel=f"attack strength {STRENGTH}",
        xlim=(0, 0.5),
        ylabel="test accuracy",
        ylim=(-0.02, 1.02),
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    kept = [1 - article.runs[name].robust_error(0.2) for name in ("regular", "robust-0.2")]
    finding = "At eps = 0.2 the regular model reads {:.1%} right, the one trained for it {:.1%}"
    headline(drawn, finding.format(*kept))
    return drawn


GALLERY_EPS = np.arange(11) / 20


@figure(
    "For each model and attack strength eps the misclassified perturbed test image that is "
    "closest to the boundary, and its score. The grey scale of each row runs from -eps "
    "(white) to 1 + eps (black). On MNIST faint noise is enough against the regular model; "
    "against a robust one the strokes must fade and those of the other digit appear."
)
def closest_mistakes(article):
    """For each eps and model the fooling image nearest to the boundary: 11 rows, 4 columns."""
    drawn, axes = new_figure(height=7.2)
    cells = np.full((len(GALLERY_EPS), len(article.runs), *article.shape), np.nan)
    notes = np.full(cells.shape[:2], "none", dtype=object)
    for column, run in enumerate(article.runs.values()):
        w, b = run.model.w, run.model.b
        margin = article.y_test * (article.X_test @ w + b)
        for row, eps in enumerate(GALLERY_EPS):
            attacked = margin - LINF.drop(w, article.X_test, article.y_test, eps)
            if attacked.min() > 0:
                continue
            i = np.where(attacked > 0, -np.inf, attacked).argmax()
            delta = LINF.delta(w, article.X_test[[i]], article.y_test[[i]], eps)[0]
            cells[row, column] = stretch(article.X_test[i] + delta, eps).reshape(article.shape)
            notes[row, column] = signed(article.y_test[i] * attacked[i])
    x, lower = mosaic(axes, cells, below=3, beside=30, cmap=INK, vmin=0, vmax=1)
    for (row, column), note in np.ndenumerate(notes):
        axes.text(x[column] + 16, lower[row] - 14, note, va="center", fontsize=SMALL)
    for at, eps in zip(lower, GALLERY_EPS, strict=True):
        axes.text(-4, at - 14, f"{EPS} = {eps:g}", ha="right", va="center", fontsize=SMALL)
    for at, name in zip(x, article.runs, strict=True):
        axes.plot([at - 14, at + 14], [-3, -3], color=COLOURS[name], lw=4, solid_capstyle="butt")
        axes.text(at - 14, -7, model_label(name).replace(", ", "\n"), linespacing=1.3)
    headline(drawn, f"At eps = 0.5 the nearest mistakes score {', '.join(notes[-1])}")
    return drawn


@figure(
    "Scores of the test images that an attack of strength eps fools, one density for each eps, all "
    "of the same height, the regular model beside a robust one on the same axis; 0 is the "
    "boundary, and at the right edge stands how many are fooled. On MNIST a fooled regular model "
    "is confident in its wrong answer, while the robust one stays near the boundary."
)
def wrong_scores(article):
    """Densities of the misclassified scores for eps = 0, 0.05, ..., 0.5, two models."""
    drawn, axes = new_figure(1, 2, 4.8, sharex=True, sharey=True)
    shown = {name: article.runs[name] for name in ("regular", "robust-0.2")}
    attacked = {
        name: article.y_test * run.model.decision_function(article.X_test)
        - np.multiply.outer(GALLERY_EPS, LINF.dual_norm(run.model.w))[:, None]
        for name, run in shown.items()
    }
    reach = max(1.0, -min(margin.min() for margin in attacked.values()))
    at = np.linspace(0, reach, 200)
    for ax, (name, margins) in zip(axes, attacked.items(), strict=True):
        for eps, margin in zip(GALLERY_EPS[::-1], margins[::-1], strict=True):
            _ridge(ax, eps, margin, article.y_test, at)
        ax.axvline(0, color="black", lw=0.8)
        ax.text(1.4 * reach, 0.55, f"of {len(margin):,}", ha="right", fontsize=SMALL)
        ax.set(title=model_label(name), xlabel="score when fooled", yticks=GALLERY_EPS[::2])
        ax.set(xlim=(-reach, 1.4 * reach), ylim=(-0.01, 0.57))
    axes[0].set_ylabel(f"attack strength {STRENGTH}")
    first, second = article.dataset["digits"]
    drawn.legend(
        handles=[
            Patch(color=DIGIT_COLOURS[1], label=f"{second} taken for {first}"),
            Patch(color=DIGIT_COLOURS[0], label=f"{first} taken for {second}"),
        ],
        loc="outside lower center",
        ncols=2,
    )
    last = [margins[-1][margins[-1] <= 0] for margins in attacked.values()]
    sizes = [f"\N{PLUS-MINUS SIGN}{-each.mean() if each.size else 0:.1f}" for each in last]
    finding = "At eps = 0.5 fooled images score {} with the regular model, {} with the robust one"
    headline(drawn, finding.format(*sizes))
    return drawn


def _ridge(axes, eps, margin, y, at):
    """One density of the fooled scores at height eps, each digit on its side of the boundary."""
    wrong = is_error(margin)
    sides = [density(-margin[wrong & (y == sign)], at) for sign in (-1, 1)]
    peak = max(side.max() for side in sides) or 1.0
    for sign, side, colour in zip((1, -1), sides, DIGIT_COLOURS, strict=True):
        seen = side > 0.002 * peak
        axes.fill_between(
            sign * at[seen], eps, eps + 0.046 * side[seen] / peak, facecolor=colour, lw=0
        )
    axes.axhline(eps, color="#bbbbbb", lw=0.6)
    beside = axes.get_yaxis_transform()
    axes.text(1, eps + 0.006, f"{wrong.sum():,}", ha="right", fontsize=SMALL, transform=beside)


def density(values, at):
    """Gaussian kernel estimate of how many of `values` >= 0 lie about each of `at`.

        sum_i k((t - v_i) / h) + k((t + v_i) / h),    k(z) = exp(-z^2 / 2) / (h sqrt(2 pi))

    The second kernel returns to the positive side what the first lets leak below 0. `values`
    is (n,), `at` and the result (n_at,); the bandwidth h is a sixtieth of the range of `at`.
    """
    h = np.ptp(at) / 60
    z = (at[:, None] - np.concatenate([values, -values])) / h
    return np.exp(-z * z / 2).sum(axis=1) / (h * np.sqrt(2 * np.pi))
