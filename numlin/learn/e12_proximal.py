"""The proximal step.

A subgradient step on eps ||w||_1 jumps over 0 and back, and no weight is ever exactly 0. A
proximal step minimises that term instead of linearising it. For a threshold t >= 0

    prox(v) = the u that minimises  1/2 ||u - v||_2^2 + t ||u||_1.

The sum falls apart into one problem for each u_j: solve it, for v_j far from 0 and for v_j near
0. Then one proximal step on data loss plus `strength` times ||w||_1 walks along the gradient of
the data loss alone and applies prox to where that leads, since

    minimising  grad.u + 1/(2 learning_rate) ||u - w||^2 + strength ||u||_1

is the same problem once it is multiplied by learning_rate and the square is completed. With which
v, and which t?
"""

import numpy as np

from numlin.learn.grading import Mistake, a


def prox(v, t):
    """The minimiser u (n_features,), v (n_features,), t a float >= 0."""
    raise NotImplementedError


def proximal_step(w, grad, learning_rate, strength):
    """The new w (n_features,); grad (n_features,) is the data loss's, learning_rate > 0."""
    raise NotImplementedError


def _prox(v, t):
    return np.sign(v) * np.maximum(np.abs(v) - t, 0)


OWN = {
    "prox": _prox,
    "proximal_step": lambda w, grad, rate, strength: _prox(w - rate * grad, rate * strength),
}
SOURCE = ("numlin.kernels.plain:proximal_step",)
HINTS = (
    "For u_j > 0 the derivative is u_j - v_j + t; where is it 0, and when is that u_j > 0?",
    "Shrink |v_j| by t, stop at 0, keep the sign. learning_rate multiplies the strength, too.",
)
DIFFERS = "numlin's strength is eps times the share of active samples, whose drop it is."


def _shrink(text, wrong, v, t=1.0):
    return Mistake("prox", text, wrong, (a(v), t))


def _step(text, wrong, w=3.0):
    return Mistake("proximal_step", text, wrong, (a(w), a(2), 0.5, 1.0))


MISTAKES = (
    _shrink("it shrinks past 0. Where |v_j| < t the minimum is at the kink, u_j = 0, not beyond "
            "it.", lambda v, t: v - t * np.sign(v), 0.5),
    _shrink("the sign is lost: negative entries become 0. The problem is the same for -v: "
            "prox(-v) = -prox(v).", lambda v, t: np.maximum(v - t, 0), -3),
    _shrink("the sign is lost: the result is |u|. prox(-v) = -prox(v): multiply by the sign of v.",
            lambda v, t: np.maximum(np.abs(v) - t, 0), -3),
    _shrink("a hard threshold: large entries are kept whole. For u_j > 0 the derivative is u_j - "
            "v_j + t: it is 0 at v_j - t, not at v_j.",
            lambda v, t: np.where(np.abs(v) > t, v, 0.0), 3),
    _step("the threshold is strength, without learning_rate. Multiplied by learning_rate the "
          "penalty is learning_rate strength ||u||_1.",
          lambda w, grad, rate, strength: _prox(w - rate * grad, strength)),
    _step("prox comes before the gradient step. The square is completed at v = w - learning_rate "
          "grad: shrink where the step leads, or no weight ends at 0.",
          lambda w, grad, rate, strength: _prox(w, rate * strength) - rate * grad, 0.25),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    rng = np.random.default_rng(12)
    vectors = (*rng.normal(size=(3, 4)), a(0, 1, -1, 3))
    found = [("prox", (v, t)) for v in vectors for t in (0.5, 1.0, 0.0)]
    for rate, strength in ((0.25, 0.8), (2.0, 0.3), (0.5, 0.0)):
        found.append(("proximal_step", (*rng.normal(size=(2, 5)), rate, strength)))
    return [*found, ("proximal_step", (a(0.25, -0.25, 0), a(0, 0, 0), 0.5, 1.0))]


def prove(s):
    """Held against rivals on lines through each minimum."""

    def value(u, v, t, grad=0.0):
        return np.square(u - v).sum(-1) / 2 + t * np.abs(u).sum(-1) + (grad * u).sum(-1)

    rng = np.random.default_rng(0)
    for name, args in cases():
        u, (w, *rest) = s(name, *args), args
        problem = (w, rest[0]) if name == "prox" else (w, rest[1] * rest[2], rest[1] * rest[0])
        lines = np.concatenate([np.eye(len(u)), rng.normal(size=(20, len(u)))])
        rivals = np.concatenate([u + t * lines for t in (1, 0.01, -0.01, -1, *-u)] + [0 * lines])
        best = rivals[np.argmin(value(rivals, *problem))]
        gain = value(u, *problem) - value(best, *problem)
        s.holds(gain <= 1e-14, f"gives {u}, but {best} has a value smaller by {gain:.2g}")
    s.agrees()
    return "no rival on 25 lines through each minimum has a smaller value; t = 0, v = 0, |v| = t"
