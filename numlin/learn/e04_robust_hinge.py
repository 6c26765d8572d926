"""The robust hinge and its subgradient.

Now an adversary moves every pixel of every sample by up to eps before the loss is taken:

    F(w, b) = 1/n sum_i  max over |delta_j| <= eps of  max(0, 1 - y_i (w.(x_i + delta) + b)).

The hinge decreases with the margin, so the worst delta is the one of the smallest margin, which
exercise 3 knows: the inner maximum has a closed form. Derive it, then a subgradient of F in w
and b. F has two kinds of kinks: a sample is active when its *robust* margin is below 1, strictly;
and where w_j = 0 take sign(0) = 0.
"""

from functools import partial

import numpy as np

from numlin import objective
from numlin.gradcheck import check_gradient, check_subgradient
from numlin.learn.grading import Mistake, a, at_point, beside, changed, passes, samples, worst_case


def robust_objective(w, b, X, y, eps):
    """F(w, b), a float.

    w (n_features,), b a float, X (n_samples, n_features), y (n_samples,) of -1.0 and +1.0, eps a
    float >= 0.
    """
    raise NotImplementedError


def robust_subgradient(w, b, X, y, eps):
    """(grad_w, grad_b) of F, shapes (n_features,) and ()."""
    raise NotImplementedError


OWN = {
    "robust_objective": lambda w, b, X, y, eps: objective.objective(w, b, X, y, eps),
    "robust_subgradient": lambda w, b, X, y, eps: objective.subgradient(w, b, X, y, eps),
}
SOURCE = ("numlin.objective:robust_margin", "numlin.objective:subgradient")
HINTS = (
    "The drop of the margin, max of -y w.delta, is the same for every sample: eps times a norm.",
    "Only active samples have a slope: in w, that of the plain margin and of the drop.",
)
DIFFERS = "numlin's serves every loss and ball; the hinge and the l-inf ball give this one."


def _objective(w, b, X, y, eps):
    robust = y * (X @ w + b) - eps * np.abs(w).sum()
    return np.maximum(0, 1 - robust).mean()


def _subgradient(w, b, X, y, eps):
    active = y * (X @ w + b) - eps * np.abs(w).sum() < 1
    grad_w = -(active * y) @ X + active.sum() * eps * np.sign(w)
    return grad_w / len(y), -(active * y).sum() / len(y)


def _mistake(text, example, *swaps, twin=_subgradient):
    w, b, x, y, eps = example
    example = a(*w), b, np.array(x, float), a(*y), eps
    return Mistake(f"robust{twin.__name__}", text, changed(twin, *swaps), example)


_DROP, _PULL, _N = "eps * np.abs(w).sum()", "active.sum() * eps * np.sign(w)", "/ len(y)"
MISTAKES = (
    _mistake("eps ||w||_1 stands outside of the hinge: that is an l1 penalty. A sample whose "
             "robust margin is above 1 costs nothing at all; inside the maximum, its eps term "
             "goes with it.", ([2], 0.0, [[2]], [1], 0.5), (f" - {_DROP}", ""),
             (".mean()", f".mean() + {_DROP}"), twin=_objective),
    _mistake("||w||_2 or max |w_j| for ||w||_1. Every pixel may move by eps at the same time, "
             "each taking eps |w_j|: a sum.", ([1, 1], 0.0, [[1, 0]], [1], 0.5),
             ("np.abs(w).sum()", "np.sqrt(w @ w)"), twin=_objective),
    _mistake("the eps term is added to the margin. The adversary lowers it: the worst case is the "
             "smallest margin.", ([2], 0.0, [[0.25]], [1], 0.5), ("- eps", "+ eps"),
             twin=_objective),
    _mistake("y stands before the eps term too: y (w.x + b - eps ||w||_1). The margin falls by eps "
             "||w||_1 for both labels; here it rises for y = -1.", ([-2], 0.0, [[0.25]], [-1], 0.5),
             (f" + b) - {_DROP}", f" + b - {_DROP})"), twin=_objective),
    _mistake("the eps term at inactive samples. Where the robust margin is above 1 the loss is 0 "
             "nearby: it has no eps term either. eps sign(w) counts for the share of active "
             "samples.", ([1], 0.0, [[3]], [1], 0.5), ("active.sum()", "len(y)")),
    _mistake("the eps term is missing. The drop eps ||w||_1 depends on w too, and has a slope.",
             ([1], 0.0, [[1]], [1], 0.5), (f" + {_PULL}", "")),
    _mistake("the sign of the eps term. The drop raises the loss: against w it pulls, so the step "
             "shrinks w.", ([2], 0.0, [[0.25]], [1], 0.5), ("+ active", "- active")),
    _mistake("y in the eps term. y_i belongs to the slope of the margin; the drop eps ||w||_1 is "
             "the same for both labels.", ([-1], 0.0, [[1]], [-1], 0.5),
             ("active.sum()", "(active * y).sum()")),
    _mistake("eps |w| for eps sign(w). The slope of |w_j| is sign(w_j), however large w_j is.",
             ([2], 0.0, [[0.5]], [1], 0.25), ("np.sign(w)", "np.abs(w)")),
    _mistake("1/n is missing in the eps term. Each active sample pays eps sign(w), and F is the "
             "mean of them.", ([1], 0.0, [[1], [1]], [1, 1], 0.5), ("/ len(y), ", ", "),
             ("-(active * y) @ X", "-(active * y) @ X / len(y)")),
    _mistake("1/n is missing: the sum instead of the mean. F is a mean; its slope must not grow "
             "when every sample is given twice.", ([1], 0.0, [[1], [1]], [1, 1], 0.5), (_N, "")),
    _mistake("the mean over the active samples alone. Inactive samples have slope 0, but they "
             "count in n.", ([1], 0.0, [[1], [3]], [1, 1], 0.5),
             (_N, "/ max(active.sum(), 1)")),
    _mistake("active by the plain margin. The loss sees the margin after the attack: 1 - m + eps "
             "||w||_1 > 0 decides.", ([1], 0.0, [[1.25]], [1], 0.5), (f" - {_DROP}", "")),
    _mistake("sign(0) is 1. Where w_j = 0 any slope in [-1, 1] is a subgradient of |w_j|; numlin "
             "takes 0.", ([0], 0.0, [[1]], [1], 0.5), ("np.sign(w)", "np.where(w >= 0, 1, -1)")),
    _mistake("weak inequality for strict: the kink counts as active. At a robust margin of "
             "exactly 1 the loss's subgradient is taken as 0.", ([1], 0.0, [[1.5]], [1], 0.5),
             ("< 1", "<= 1")),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    return [(name, sample) for sample in samples() for name in OWN]


def prove(s):
    """Held against every corner of the ball, central differences and the subgradient inequality."""
    for k, (w, b, *data) in enumerate(samples()):
        found, worst = s("robust_objective", w, b, *data), worst_case(w, b, *data)
        s.holds(abs(found - worst) < 1e-12, f"{beside(found, worst)}, by trying every corner")
        f, slope = at_point(worst_case, *data), at_point(partial(s, "robust_subgradient"), *data)
        v, kinks = (w, b), at_point(objective.kinks, *data)
        if k < 4:
            passes(check_gradient(f, slope, v, kinks), "gradient in (w, b)", len(data[0]))
        passes(check_subgradient(f, slope, v, directions=5), "subgradient in (w, b)")
    s.agrees()
    return "every corner of the ball; gradient in 4 cells; subgradient inequality at 9 points"
