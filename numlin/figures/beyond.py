"""Past the article: what a picture shows of claims that the article makes in words."""

import numpy as np
from matplotlib import colormaps
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from numlin.attacks import attack, minimal_perturbation, robust_accuracy
from numlin.balls import LINF, LINF_BOX
from numlin.figures.own import CROSS, typical
from numlin.figures.style import (
    COLOURS,
    EPS,
    GREY,
    INK,
    MARKERS,
    SMALL,
    STRENGTH,
    count_strong,
    figure,
    halo,
    headline,
    label_model,
    listed,
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
from numlin.objective import robust_margin, subgradient
from numlin.studies.article import ATTACK_EPS

DARKER, LIGHTER = "#e69f00", "#8fc7e8"


@figure(
    "Weights over training. Above: the same pixels in the regular and in a robust model, "
    "in colour the 24 on which the robust model relies most in the end, in grey a sample of the "
    "rest. Regular training leaves weak weights about where they started at random; robust "
    "training takes them to zero and lets the strong ones grow. Below: how many of the weights "
    "exceed 1% of the model's largest."
)
def weight_trajectories(article):
    """Weights of strong and weak pixels at every step, and the number of weights that count."""
    drawn, (panels, (counts, hidden)) = new_figure(2, 2, 5.6)
    hidden.remove()
    counts.set_subplotspec(counts.get_gridspec()[1, :])
    panels[1].sharey(panels[0])
    ranking = np.argsort(-np.abs(article.runs["robust-0.2"].model.w), kind="stable")
    strong, weak = ranking[:24], ranking[30::20]
    for ax, name in zip(panels, ("regular", "robust-0.2"), strict=True):
        run = article.runs[name]
        paths = weight_paths(run)
        seen = np.unique(np.geomspace(1, len(paths), 40).astype(int)) - 1
        epochs = seen / (len(paths) - 1) * run.model.n_epochs
        ax.plot(epochs, paths[np.ix_(seen, weak)], color="#aaaaaa", lw=0.6)
        ax.plot(epochs, paths[np.ix_(seen, strong)], color=COLOURS[name], lw=1.2)
        ax.set(title=model_label(name), xlabel="epoch", xlim=(0, run.model.n_epochs))
    panels[0].set_ylabel("weight $w_j$")
    for name, run in article.runs.items():
        alive = [count_strong(w) for w in run.records.snapshots.w]
        counts.plot(np.arange(1, len(alive) + 1), alive, **model_line(name), clip_on=False)
    counts.set_title("weights above 1% of max", fontsize=SMALL)
    counts.set(xlabel="epoch", ylim=(0, 1.02 * len(ranking)))
    model_legend(drawn, counts)
    left = [count_strong(article.runs[name].model.w) for name in ("regular", "robust-0.2")]
    headline(
        drawn, f"Training leaves the regular model {left[0]} weights, the robust one {left[1]}"
    )
    return drawn


def weight_paths(run):
    """Weights before every step and after the last, (n_steps + 1, n_features), of a `ModelRun`.

    The last weights and the recorded gradients give all earlier ones, w_t = w_T + sum over s >= t
    of learning_rate * gradient_s: exact up to float32 rounding for constant subgradient steps.
    """
    steps = run.model.learning_rate * np.array(run.records.gradients.grad_w, np.float64)
    travelled = np.cumsum(steps[::-1], axis=0)[::-1]
    return run.model.w + np.concatenate([travelled, np.zeros((1, steps.shape[1]))])


@figure(
    "What moves the weights of a robust model, pixel by pixel: minus the gradient without its "
    "worst-case term, that term alone, and both together, averaged over the test images, of which "
    "only the active ones contribute. The colour of a pixel is the digit towards which its weight "
    "is pushed. Where the data say nothing only -eps sign(w) is left, and it drives the weight to "
    "zero from either side; where the two balance, the weight stays."
)
def gradient_terms(article):
    """Minus the gradient, split in data and eps sign(w), at the start and the end of training."""
    drawn, axes = new_figure(2, 4, 3.9)
    shares = []
    run = article.runs["robust-0.2"]
    X, y, eps = article.X_test, article.y_test, run.model.eps
    titles = ("data", r"$-\epsilon\,\mathrm{sign}(w)$", "both")
    for ax, title in zip(axes[0], ("weights $w$", *titles), strict=True):
        ax.set_title(title)
    start, end = (weight_paths(run)[0], 0.0), (run.model.w, run.model.b)
    for row, moment, (w, b) in zip(axes, ("start", "end"), (start, end), strict=True):
        both = -subgradient(w, b, X, y, eps)[0]
        active = np.mean(robust_margin(w, b, X, y, eps) < 1)
        term = -active * eps * np.sign(w)
        weight_image(row[0], w.reshape(article.shape), GREY)
        for ax, push in zip(row[1:], (both - term, term, both), strict=True):
            weight_image(ax, push.reshape(article.shape), GREY, limit=2 * active * eps)
        row[0].set_ylabel(f"{moment}\n{active:.0%} active", fontsize=SMALL)
        shares.append(active)
    weight_bar(drawn, axes, "towards", article.dataset["digits"])
    headline(drawn, f"{shares[0]:.0%} of the images pull at the start, {shares[1]:.0%} at the end")
    return drawn


@figure(
    "How far every test image is from the boundary of each model, in counts on a scale of their "
    "own. Filled: the smallest attack that succeeds when pixels may take any value; outlined: when "
    "they must stay between 0 and 1. "
    "Below, on the same axis, the accuracy under attack: the share of images whose distance is "
    "larger than eps, so that one exact number per image gives the whole curve."
)
def radius_distributions(article):
    """Histograms of the exact radii of each model above the accuracy curves they imply."""
    n = len(article.runs)
    drawn, (*strips, curve) = new_figure(n + 1, 1, 5.8, sharex=True, height_ratios=[1] * n + [3])
    radii = [radius for run in article.runs.values() for radius in (run.radius, run.radius_box)]
    reach = min(1.0, max(radius[np.isfinite(radius)].max() for radius in radii) + 0.02)
    bins, eps = np.linspace(0, reach, 101), np.linspace(0, reach, 401)
    for ax, (name, run) in zip(strips, article.runs.items(), strict=True):
        look = model_line(name) | {"marker": ""}
        ax.stairs(np.histogram(run.radius, bins)[0], bins, fill=True, color=COLOURS[name])
        ax.stairs(np.histogram(run.radius_box, bins)[0], bins, color="black", lw=0.9)
        ax.set(yticks=[])
        ax.spines["left"].set_visible(False)
        place = {"ha": "right", "va": "center", "transform": ax.transAxes}
        halo(ax.text(0.99, 0.75, model_label(name), **place))
        for radius, width in ((run.radius, 2.2), (run.radius_box, 0.8)):
            curve.plot(eps, robust_accuracy(radius, eps), **look | {"lw": width})
    drawn.legend(
        handles=[
            Line2D([], [], color="black", lw=2.2, label="any pixel value"),
            Line2D([], [], color="black", lw=0.8, label="pixels in [0, 1]"),
        ],
        loc="outside lower center",
        ncols=2,
    )
    first, *others = (np.median(run.radius) for run in article.runs.values())
    away = f"{first:.2f} from the regular boundary, {listed(others, '{:.2f}')} from the robust ones"
    headline(drawn, f"The median image is {away}")
    curve.set(
        xlabel=f"distance = attack strength {STRENGTH}",
        ylabel="test accuracy",
        xlim=(0, reach),
        ylim=(-0.02, 1.02),
    )
    curve.yaxis.set_major_formatter(PercentFormatter(1, 0))
    return drawn


BOX_EPS = 0.2


@figure(
    "The worst attack of eps = 0.2 on the same test images, against the regular and against a "
    "robust model, each with pixels of any value and with pixels kept between 0 and 1. The "
    "coloured pixels have left that range; without them the attack on the same model does less. "
    "Under each image is its score, with a cross where the answer is wrong."
)
def free_and_boxed_attack(article):
    """Test images clean, attacked, and attacked inside the pixel box; two models, with scores."""
    drawn, axes = new_figure(height=5.2)
    chosen = typical_images(article, (0.05, 0.5, 0.95))
    X, y = article.X_test[chosen], article.y_test[chosen]
    rows, scores, names = [X], [], []
    for name in ("regular", "robust-0.2"):
        model = article.runs[name].model
        rows += [attack(model.w, model.b, X, y, BOX_EPS, ball).X_adv for ball in (LINF, LINF_BOX)]
        scores += [moved @ model.w + model.b for moved in rows[-2:]]
        names += [(name, "any value"), (name, "in [0, 1]")]
    cells = np.reshape(rows, (len(rows), len(y), *article.shape))
    ink = colormaps[INK].with_extremes(under=LIGHTER, over=DARKER)
    x, lower = mosaic(axes, cells, cmap=ink, vmin=0, vmax=1)
    axes.text(-8, 14, "unperturbed", ha="right", va="center")
    for at, row, name in zip(lower[1:], scores, names, strict=True):
        label_model(axes, at, *name)
        for column, score in enumerate(row):
            note = signed(score) + (CROSS if y[column] * score <= 0 else "")
            axes.text(x[column], at + 1, note, ha="center", va="top", fontsize=SMALL)
    drawn.legend(
        handles=[
            Patch(color=DARKER, label="pixel above 1"),
            Patch(color=LIGHTER, label="pixel below 0"),
        ],
        loc="outside lower center",
        ncols=2,
    )
    lost = [article.runs["robust-0.2"].robust_error(BOX_EPS, box) for box in (False, True)]
    finding = f"of the robust model's images at eps = {BOX_EPS}, the boxed"
    headline(drawn, f"The free attack fools {lost[0]:.1%} {finding} {lost[1]:.1%}")
    return drawn


@figure(
    "One test image of each digit on its shortest way to the boundary of each model, in two equal "
    "steps along the smallest perturbation that reaches it; an image that is wrong from the start "
    "stays. Under each image the distance travelled, eps, and the score, 0 at the boundary. "
    "The grey scale of each image runs from -eps (white) to 1 + eps (black)."
)
def morph_to_boundary(article):
    """A test image of either digit at three points on the way to the boundary, four models."""
    drawn, axes = new_figure(height=4.6)
    chosen = typical_images(article, (0.5,))
    X, y = article.X_test[chosen], article.y_test[chosen]
    way = np.linspace(0, 1, 3)
    columns = [0, 1, 2, 4, 5, 6]
    cells, notes = np.full((len(article.runs), 7, *article.shape), np.nan), []
    for row, run in enumerate(article.runs.values()):
        w, b = run.model.w, run.model.b
        delta, radius = minimal_perturbation(w, b, X, y, LINF)
        eps = np.outer(radius, way)
        images = X[:, None] + way[:, None] * delta[:, None]
        cells[row, columns] = stretch(images, eps[..., None]).reshape(6, *article.shape)
        notes.append(zip(columns, eps.ravel(), (images @ w + b).ravel(), strict=True))
    x, lower = mosaic(axes, cells, below=19, cmap=INK, vmin=0, vmax=1)
    for at, name, row_notes in zip(lower, article.runs, notes, strict=True):
        label_model(axes, at, name)
        for column, eps, score in row_notes:
            note = f"{EPS} {eps:.3f}\n{signed(score)}"
            axes.text(x[column], at + 1, note, ha="center", va="top", fontsize=SMALL)
    first, *others = (np.median(run.radius) for run in article.runs.values())
    far = listed(np.divide(others, first)) if first else "infinitely many"
    headline(drawn, f"The way to a robust boundary is {far} times as long as to the regular one")
    return drawn


@figure(
    "Three robust models trained with the article's protocol (above), the proven global minimum "
    "of the same objective (middle), and that of training against the adversary who keeps all "
    "pixels between 0 and 1 (below). Ten epochs stop far short of the minimum: there fewer pixels "
    "carry weight, and on MNIST fewer test images are lost at the eps that the model is made for. "
    "Loss: on the training images. Error: share of test images that an attack of that eps fools, "
    "below one in the box; clean error: of those that are wrong without one. Weights: those above "
    "1% of the largest."
)
def article_and_optimum(article):
    """Weights, training loss and errors of the article's models and of the optima."""
    drawn, axes = new_figure(3, len(article.optima) // 2, 8.6)
    robust = [run for run in article.runs.values() if run.model.eps > 0]
    optima, boxed = (
        [run for run in article.optima.values() if run.model.ball == ball.name]
        for ball in (LINF, LINF_BOX)
    )
    rows = (("article's protocol", robust), ("global minimum", optima), ("minimum in box", boxed))
    for row, (origin, runs) in zip(axes, rows, strict=True):
        for ax, run in zip(row, runs, strict=True):
            name = f"robust-{run.model.eps}"
            weight_image(ax, run.model.w.reshape(article.shape), COLOURS[name])
            robust_error = run.robust_error(run.model.eps, box=run.model.ball == "linf-box")
            ax.set_xlabel(
                f"loss {run.train_loss:.4f}\n"
                f"error {robust_error:.2%}\n"
                f"clean error {run.test_error:.2%}\n"
                f"{count_strong(run.model.w)} weights",
                fontsize=SMALL,
                linespacing=1.4,
            )
            if origin == "article's protocol":
                ax.set_title(model_label(name))
        row[0].set_ylabel(origin)
    weight_bar(drawn, axes, "votes for", article.dataset["digits"])
    times = [run.train_loss / run.lower_bound for run in robust if run.lower_bound > 0]
    finding = f"The article's loss is {listed(times)} times the least possible" if times else ""
    headline(drawn, finding or "At these eps nothing need be lost")
    return drawn


@figure(
    "Accuracy on the test images under l-inf attacks, free (left) and with all pixels kept between "
    "0 and 1 (right): the article's models (thin) and the global minima of the objective with the "
    "same adversary (thick). The markers stand at the eps in the objective."
)
def optimum_accuracy_curves(article):
    """Accuracy against attack eps, free and boxed, the article's models beside the optima."""
    drawn, panels = new_figure(1, 2, 4.6, sharey=True)
    for axes, ball, box in zip(panels, ("linf", "linf-box"), (False, True), strict=True):
        for name, run in article.runs.items():
            look = model_line(name) | {"linewidth": 1.0, "marker": None}
            axes.plot(ATTACK_EPS, 1 - run.robust_error(ATTACK_EPS, box), **look)
        for run in article.optima.values():
            if run.model.ball != ball:
                continue
            eps, name = run.model.eps, f"robust-{run.model.eps}"
            label = f"optimum, {EPS} = {eps}"
            look = model_line(name) | {"linewidth": 3.0, "marker": None, "label": label}
            axes.plot(ATTACK_EPS, 1 - run.robust_error(ATTACK_EPS, box), **look)
            axes.plot(
                eps,
                1 - run.robust_error(eps, box),
                MARKERS[name],
                color=COLOURS[name],
                ms=9,
                mec="black",
                zorder=3,
                clip_on=False,
            )
        axes.set(
            title="attacks in the pixel box" if box else "free attacks",
            xlabel=f"attack strength {EPS}",
            xlim=(0, 0.5),
            ylim=(-0.02, 1.02),
        )
        axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    panels[0].set_ylabel("test accuracy")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    lost = [
        run.robust_error(0.3) for run in (article.runs["robust-0.3"], article.optima["optimum-0.3"])
    ]
    headline(
        drawn, f"At eps = 0.3 the article's model loses {lost[0]:.1%}, the optimum {lost[1]:.1%}"
    )
    return drawn


def typical_images(article, quantiles):
    """Test images of the first digit, then of the second, at `quantiles` of their distance.

    Parameters
    ----------
    quantiles : sequence of float
        In [0, 1], of the smallest radius over the models.

    Returns
    -------
    (2 * n_quantiles,)
        Indices into the test images.
    """
    radius = np.min([run.radius for run in article.runs.values()], axis=0)
    return typical(radius, article.y_test, quantiles)
