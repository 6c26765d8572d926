"""What robustness costs at best: the global minimum and its pixels as eps grows."""

from matplotlib.ticker import PercentFormatter

from numlin.figures.style import EPS, STRENGTH, figure, headline, new_figure

PRICE_FIGURES: dict = {}
MARGIN = {"color": "0.45", "linestyle": ":", "linewidth": 1.4}


@figure(
    "The price of robustness. Left: the smallest training objective that any linear classifier "
    "reaches at each eps, proven; up to the l-inf margin eps* of the training set (dotted) it is "
    "0. Right: test errors of these optima, on clean images and under free attacks of the eps "
    "they were made for. Up to eps* many classifiers have a loss of 0; one stands for all.",
    PRICE_FIGURES,
)
def price_of_robustness(price):
    """Minimum, clean and robust test error against eps; see `numlin.studies.price.Price`."""
    drawn, (left, right) = new_figure(1, 2, 3.4)
    left.plot(price.eps, [optimum.objective for optimum in price.optima], color="black")
    left.axvline(price.margin.lower, label=f"{EPS}* = {price.margin.lower:.4f}", **MARGIN)
    left.set(title="global minimum", ylabel="mean robust hinge", ylim=(0, None))
    left.legend(loc="upper left")
    right.plot(price.eps, price.robust_error, color="#0072b2", label=f"attacked at {EPS}")
    right.plot(price.eps, price.clean_error, "--", color="#d55e00", label="clean images")
    right.axvline(price.margin.lower, **MARGIN)
    right.set(title="test error of the optimum", ylim=(0, None))
    right.yaxis.set_major_formatter(PercentFormatter(1))
    right.legend(loc="upper left")
    for axes in (left, right):
        axes.set(xlabel=STRENGTH, xlim=price.span)
    free = f"Robustness costs nothing up to eps = {price.margin.lower:.4f}"
    headline(drawn, free if price.margin.lower else "Robustness costs from the first eps on")
    return drawn


@figure(
    "How many pixels carry weight at the global minimum for each eps. Every weight costs eps in "
    "every robust margin, so as eps grows fewer pixels are worth it.",
    PRICE_FIGURES,
)
def pixels_against_eps(price):
    """Number of non-zero weights at the optimum against eps; see `Price`."""
    drawn, axes = new_figure(height=3.4)
    axes.plot(price.eps, price.n_pixels, "o-", color="black", markersize=4)
    axes.axvline(price.margin.lower, label=f"{EPS}* = {price.margin.lower:.4f}", **MARGIN)
    axes.set(xlabel=STRENGTH, ylabel="non-zero weights", xlim=price.span, ylim=(0, None))
    axes.legend()
    first = next((k for k, eps in enumerate(price.eps) if eps > price.margin.lower), 0)
    ends = [(price.n_pixels[k], price.eps[k]) for k in (first, (first + len(price.eps)) // 2)]
    headline(drawn, "{} pixels carry weight at eps = {:g}, {} at {:g}".format(*ends[0], *ends[1]))
    return drawn
