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
from numlin.learn.grading import Mistake, a, at_point, passes, samples, worst_case
from numlin.losses import hinge


def robust_objective(w, b, X, y, eps):
    """F(w, b), a float; shapes as in exercise 2, eps a float >= 0."""
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


def _twin(active=None, pull=None, sign=np.sign):
    """The subgradient with one thing changed; `pull` is what stands before eps sign(w)."""

    def subgradient(w, b, X, y, eps):
        margin = y * (X @ w + b)
        robust = margin - eps * np.abs(w).sum()
        on = active(margin, robust) if active else robust < 1
        share = pull(on, len(y)) if pull else on.mean()
        return -(on * y) @ X / len(y) + share * eps * sign(w), -(on * y).sum() / len(y)

    return subgradient


def _mistake(text, example, wrong=None, of="robust_subgradient", **changed):
    w, b, x, y, eps = example
    return Mistake(of, text, wrong or _twin(**changed), (a(*w), b, np.array(x), a(*y), eps))


MISTAKES = (
    _mistake("eps ||w||_1 stands outside of the hinge: that is an l1 penalty. A sample whose "
             "robust margin is above 1 costs nothing at all; inside the maximum, its eps term "
             "goes with it.", ([2], 0.0, [[2.0]], [1], 0.5),
             lambda w, b, X, y, eps: hinge(y * (X @ w + b)).mean() + eps * np.abs(w).sum(),
             "robust_objective"),
    _mistake("||w||_2 or max |w_j| for ||w||_1. Every pixel may move by eps at the same time, "
             "each taking eps |w_j|: a sum.", ([1, 1], 0.0, [[1.0, 0.0]], [1], 0.5),
             lambda w, b, X, y, eps: hinge(y * (X @ w + b) - eps * np.sqrt(w @ w)).mean(),
             "robust_objective"),
    _mistake("the eps term at inactive samples. Where the robust margin is above 1 the loss is 0 "
             "nearby: it has no eps term either. eps sign(w) counts for the share of active "
             "samples.", ([1], 0.0, [[3.0]], [1], 0.5), pull=lambda on, n: 1.0),
    _mistake("the eps term is missing. The drop eps ||w||_1 depends on w too, and has a slope.",
             ([1], 0.0, [[1.0]], [1], 0.5), pull=lambda on, n: 0.0),
    _mistake("the sign of the eps term. The drop raises the loss: against w it pulls, so the step "
             "shrinks w.", ([1], 0.0, [[1.0]], [1], 0.5), pull=lambda on, n: -on.mean()),
    _mistake("1/n is missing in the eps term. Each active sample pays eps sign(w), and F is the "
             "mean of them.", ([1], 0.0, [[1.0], [1.0]], [1, 1], 0.5), pull=lambda on, n: on.sum()),
    _mistake("active by the plain margin. The loss sees the margin after the attack: 1 - m + eps "
             "||w||_1 > 0 decides.", ([1], 0.0, [[1.25]], [1], 0.5),
             active=lambda margin, robust: margin < 1),
    _mistake("sign(0) is 1. Where w_j = 0 any slope in [-1, 1] is a subgradient of |w_j|; numlin "
             "takes 0.", ([0], 0.0, [[1.0]], [1], 0.5), sign=lambda w: np.where(w >= 0, 1.0, -1.0)),
    _mistake("weak inequality for strict: the kink counts as active. At a robust margin of "
             "exactly 1 the loss's subgradient is taken as 0.", ([1], 0.0, [[1.5]], [1], 0.5),
             active=lambda margin, robust: robust <= 1),
)  # fmt: skip


def cases():
    return [(name, sample) for sample in samples() for name in OWN]


def prove(s):
    for k, (w, b, *data) in enumerate(samples()):
        found, worst = s("robust_objective", w, b, *data), worst_case(w, b, *data)
        s.holds(abs(found - worst) < 1e-12, f"is {found:.6g}, but a corner gives {worst:.6g}")
        f, slope = at_point(worst_case, *data), at_point(partial(s, "robust_subgradient"), *data)
        v, kinks = np.append(w, b), at_point(objective.kinks, *data)
        if k < 4:
            passes(check_gradient(f, slope, v, kinks), "gradient in (w, b)")
        passes(check_subgradient(f, slope, v, directions=5), "subgradient in (w, b)")
    s.agrees()
    return "every corner of the ball; gradient in 4 cells; subgradient inequality at 9 points"
