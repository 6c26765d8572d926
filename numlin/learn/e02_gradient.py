"""The gradient of the training objective.

Training minimises the mean hinge over all samples,

    F(w, b) = 1/n sum_i max(0, 1 - m_i),    m_i = y_i (w.x_i + b).

By the chain rule each sample hands the slope of its loss (exercise 1, active when m_i < 1) on to
the slope of its margin in w and in b. Derive both, then write them for all samples at once, as
products of arrays: a loop in Python over n samples is a hundred times slower.
"""

import time
from functools import partial

import numpy as np

from numlin import objective
from numlin.gradcheck import check_gradient
from numlin.learn.grading import Mistake, Wrong, a, at_point, changed, passes, samples, worst_case


def gradient(w, b, X, y):
    """(grad_w, grad_b), shapes (n_features,) and (), of the mean hinge at w, b.

    w (n_features,), b a float, X (n_samples, n_features), y (n_samples,) of -1.0 and +1.0.
    """
    raise NotImplementedError


OWN = {"gradient": lambda w, b, X, y: objective.subgradient(w, b, X, y)}
SOURCE = ("numlin.objective:subgradient",)
HINTS = (
    "One sample: what is d m_i / d w, what is d m_i / d b, and when is the loss's slope not 0?",
    "Let c_i = loss'(m_i) / n. Then both are sums of c_i y_i times something: a product with X.",
)
DIFFERS = "numlin's serves every loss and ball; the hinge and eps = 0 give this one."


def _plain(w, b, X, y):
    c = (y * (X @ w + b) < 1) * -y / len(y)
    return c @ X, c.sum()


def _mistake(text, example, *swaps):
    w, b, x, y = example
    return Mistake("gradient", text, changed(_plain, *swaps), (a(w), b, np.array(x), a(*y)))


MISTAKES = (
    _mistake("the label y is missing. m_i = y_i (w.x_i + b): its slope in w is y_i x_i, in b it "
             "is y_i.", (0, 0.0, [[1.0]], [-1]), ("* -y", "* -1.0")),
    _mistake("1/n is missing: the sum instead of the mean. F is a mean; its slope must not grow "
             "when every sample is given twice.", (0, 0.0, [[1.0], [1.0]], [1, 1]),
             ("/ len(y)", "/ 1")),
    _mistake("1/n stands twice. One mean, one 1/n. Look for a .mean() of something that was "
             "divided already.", (0, 0.0, [[1.0], [1.0]], [1, 1]), ("len(y)", "len(y) ** 2")),
    _mistake("the mean over the active samples alone. Inactive samples have slope 0, but they "
             "count in n.", (2, 0.0, [[1.0], [0.25]], [1, 1]),
             ("len(y)", "max(1, (y * (X @ w + b) < 1).sum())")),
    _mistake("the bias is forgotten: grad_b is 0. b is a weight of a pixel that is always 1, and "
             "moves as that would.", (0, 0.0, [[1.0]], [1]), ("c.sum()", "0.0")),
    _mistake("the bias is forgotten in the margin. Whether a sample is active is decided by y "
             "(w.x + b), with b.", (0, 2.0, [[1.0]], [1]), (" + b", "")),
    _mistake("the sign: this points downhill. The loss has slope -1 in an active margin; the "
             "step, not the gradient, has the other minus.", (0, 0.0, [[1.0]], [1]),
             ("* -y", "* y")),
    _mistake("weak inequality for strict: the kink counts as active. At m_i = 1 the loss's "
             "subgradient is taken as 0.", (1, 0.0, [[1.0]], [1]), ("< 1", "<= 1")),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    return [("gradient", (w, b, X, y)) for w, b, X, y, _ in samples()]


def prove(s):
    """Held against central differences in w and b, and a plain loop's time."""
    for w, b, X, y, _ in samples()[:4]:
        f, slope = at_point(worst_case, X, y), at_point(partial(s, "gradient"), X, y)
        kinks = at_point(objective.kinks, X, y)
        passes(check_gradient(f, slope, (w, b), kinks), "gradient in (w, b)", len(X))
    s.agrees()
    check_vectorised(s, "gradient", np.ones(5), 0.0, np.ones((20000, 5)), np.ones(20000))
    return "central differences in w and b in 4 cells; kinks, one sample, w = 0; its time"


def check_vectorised(s, name, *args):
    """Raise Wrong if a function is slower than numlin's own by what only a loop in Python is."""

    def seconds(function):
        start = time.perf_counter()
        function(*args)
        return time.perf_counter() - start

    own = min(seconds(s.exercise.OWN[name]) for _ in range(5))
    found = min(seconds(s.functions[name]) for _ in range(3))
    if found > 20 * own:
        raise Wrong(
            f"right, but {found / own:.0f} times slower than numlin's on large input: it loops "
            "over samples in Python where one operation on arrays does it"
        )
