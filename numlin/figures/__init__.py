"""The pictures: each a short function from the study's result to a matplotlib figure.

`FIGURES` holds them all by name, in the order in which they are shown: the idea, the article's
experiment, and what lies past the article. None touches pyplot, so they draw without a screen, and
matplotlib's settings are as before when one is done.
"""

from numlin.figures import theory, experiment, beyond  # noqa: F401, I001  (in this order)
from numlin.figures.own import draw_accuracy, draw_attack, draw_morph, draw_radii, draw_weights
from numlin.figures.style import FIGURES, draw, save

__all__ = [
    "FIGURES",
    "draw",
    "draw_accuracy",
    "draw_attack",
    "draw_morph",
    "draw_radii",
    "draw_weights",
    "save",
]
