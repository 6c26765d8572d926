"""Functions with their right gradients, and the same gradients with a mistake: a corpus.

It has nothing of numlin's in it. `RIGHT` and `WRONG` are lists of `Pair`; a kind of function is
the first word of its name. Every wrong gradient differs from the right one by more than any
checker is asked to allow, 1e-6 of its length in one entry at least, or is a small entry whose
slope stands beside much larger ones.
"""

from typing import NamedTuple

import numpy as np


class Pair(NamedTuple):
    """A function, a gradient claimed for it, the x to check it at, and what the checker is told."""

    kind: str
    name: str
    f: object
    gradient: object
    x: np.ndarray
    kinks: object = None
    options: dict = {}  # noqa: RUF012


RIGHT = []
WRONG = []
RNG = np.random.default_rng(42)


def right(kind, name, f, gradient, x, kinks=None, **options):
    RIGHT.append(Pair(kind, name, f, gradient, np.asarray(x, float), kinks, options))


def normal(*shape):
    return RNG.normal(size=shape)


def linear_algebra():
    for n in (2, 3, 5):
        A, S, x = normal(n, n), normal(n, n), normal(n)
        S = S @ S.T + np.eye(n)
        right(
            "linear-algebra",
            f"quadratic {n}",
            lambda x, A=A: x @ A @ x,
            lambda x, A=A: (A + A.T) @ x,
            x,
        )
        right(
            "linear-algebra",
            f"inverse quadratic {n}",
            lambda x, S=S: x @ np.linalg.solve(S, x),
            lambda x, S=S: 2 * np.linalg.solve(S, x),
            x,
        )
        right(
            "linear-algebra",
            f"log determinant {n}",
            lambda X: np.linalg.slogdet(X)[1],
            lambda X: np.linalg.inv(X).T,
            A + 3 * np.eye(n),
        )
        right(
            "linear-algebra",
            f"trace of a product {n}",
            lambda X, A=A: np.trace(A @ X @ X),
            lambda X, A=A: (A @ X + X @ A).T,
            S,
        )
        right(
            "linear-algebra",
            f"frobenius {n}",
            lambda X, A=A, n=n: np.sum((X @ A - 1) ** 2) / n,
            lambda X, A=A, n=n: 2 * (X @ A - 1) @ A.T / n,
            normal(n, n),
        )
    X, y = normal(20, 4), normal(20)
    right(
        "linear-algebra",
        "least squares",
        lambda w: np.mean((X @ w - y) ** 2) / 2,
        lambda w: X.T @ (X @ w - y) / 20,
        normal(4),
    )


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def softmaxes():
    for n, spread in ((2, 1), (5, 1), (5, 3), (20, 2)):
        z, k = spread * normal(n), n // 2
        right(
            "softmax",
            f"log sum exp {n} {spread}",
            lambda z: z.max() + np.log(np.exp(z - z.max()).sum()),
            softmax,
            z,
        )
        right(
            "softmax",
            f"cross entropy {n} {spread}",
            lambda z, k=k: z.max() + np.log(np.exp(z - z.max()).sum()) - z[k],
            lambda z, k=k: softmax(z) - np.eye(len(z))[k],
            z,
        )
        right(
            "softmax",
            f"one probability {n} {spread}",
            lambda z, k=k: softmax(z)[k],
            lambda z, k=k: softmax(z)[k] * (np.eye(len(z))[k] - softmax(z)),
            z,
        )
    X, y = normal(30, 3), RNG.choice([-1, 1], 30)
    right(
        "softmax",
        "logistic regression",
        lambda w: np.mean(np.log1p(np.exp(-y * (X @ w)))),
        lambda w: -(y / (1 + np.exp(y * (X @ w)))) @ X / 30,
        normal(3),
    )


def norms():
    for p in (1.5, 2, 3, 4):
        right(
            "norms",
            f"l{p}",
            lambda x, p=p: np.sum(np.abs(x) ** p) ** (1 / p),
            lambda x, p=p: (
                np.sign(x) * np.abs(x) ** (p - 1) * np.sum(np.abs(x) ** p) ** (1 / p - 1)
            ),
            normal(6),
        )
    right("norms", "l1", lambda x: np.abs(x).sum(), np.sign, normal(6))
    right(
        "norms",
        "max",
        lambda x: np.abs(x).max(),
        lambda x: np.sign(x) * (np.abs(x) == np.abs(x).max()),
        normal(6),
    )
    right(
        "norms",
        "huber",
        lambda x: np.where(np.abs(x) < 1, x * x / 2, np.abs(x) - 0.5).sum(),
        lambda x: np.clip(x, -1, 1),
        2 * normal(8),
    )
    right(
        "norms",
        "cosine",
        lambda x: x[:3] @ x[3:] / np.linalg.norm(x[:3]) / np.linalg.norm(x[3:]),
        _cosine,
        normal(6),
    )


def _cosine(x):
    a, b = x[:3], x[3:]
    m, n = np.linalg.norm(a), np.linalg.norm(b)
    c = a @ b / m / n
    return np.concatenate([b / m / n - c * a / m**2, a / m / n - c * b / n**2])


def layer_norms():
    for n in (3, 8, 30):
        c, x = normal(n), 2 * normal(n) + 1

        def f(x, c=c):
            return c @ ((x - x.mean()) / np.sqrt(x.var() + 1e-5))

        def g(x, c=c):
            s = np.sqrt(x.var() + 1e-5)
            z = (x - x.mean()) / s
            return (c - c.mean() - z * (c * z).mean()) / s

        right("layer-norm", f"layer norm {n}", f, g, x)
        right("layer-norm", f"variance {n}", np.var, lambda x: 2 * (x - x.mean()) / len(x), x)


def networks():
    for hidden, seed in ((3, 0), (8, 1), (16, 2), (16, 3)):
        r = np.random.default_rng(seed)
        X, y, V = r.normal(size=(10, 4)), r.normal(size=10), r.normal(size=hidden)
        for name, act, slope in (
            ("relu", lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
            ("tanh", np.tanh, lambda z: 1 - np.tanh(z) ** 2),
        ):
            right(
                "networks",
                f"{name} net {hidden} {seed}",
                lambda W, X=X, y=y, V=V, act=act: np.mean((act(X @ W) @ V - y) ** 2),
                lambda W, X=X, y=y, V=V, act=act, slope=slope: (
                    2 / 10 * X.T @ ((act(X @ W) @ V - y)[:, None] * V * slope(X @ W))
                ),
                r.normal(size=(4, hidden)),
            )


def sorting():
    for n in (5, 11, 31):
        x = normal(n)
        right("sorting", f"median {n}", np.median, lambda x: 1.0 * (x == np.median(x)), x)
        right(
            "sorting",
            f"weighted order statistics {n}",
            lambda x: np.sort(x) @ np.arange(len(x)),
            lambda x: 1.0 * np.argsort(np.argsort(x)),
            x,
        )
        right(
            "sorting",
            f"top two {n}",
            lambda x: np.sort(x)[-2:].sum(),
            lambda x: 1.0 * (x >= np.sort(x)[-2]),
            x,
        )
        right(
            "sorting",
            f"quantile {n}",
            lambda x: np.quantile(x, 0.3),
            lambda x: _quantile_slope(x, 0.3),
            x,
        )


def _quantile_slope(x, q):
    place = q * (len(x) - 1)
    low, order, g = int(place), np.argsort(x), np.zeros(len(x))
    g[order[low]], g[order[low + 1]] = 1 - place + low, place - low
    return g


def scales():
    for s in (1e-150, 1e-100, 1e-30, 1e-8, 1e8, 1e30, 1e100, 1e150):
        x = s * normal(3)
        right("scales", f"square at {s:g}", lambda x: np.sum(x * x), lambda x: 2 * x, x)
        right(
            "scales",
            f"log of squares at {s:g}",
            lambda x: np.log(np.abs(x)).sum(),
            lambda x: 1 / x,
            x,
        )
        right(
            "scales",
            f"value of {s:g}",
            lambda x, s=s: s * np.sin(x).sum(),
            lambda x, s=s: s * np.cos(x),
            normal(3),
        )
    right(
        "scales",
        "mixed entries",
        lambda x: x[0] * 1e6 + x[1] * 1e-3,
        lambda x: np.array([1e6, 1e-3]),
        [1e-6, 1e3],
    )
    right("scales", "exp near the largest number", lambda x: np.exp(x).sum(), np.exp, [700.0])
    right("scales", "mixed x", lambda x: np.log(x).sum(), lambda x: 1 / x, [1e-150, 1, 1e150])


def offsets():
    for b in (1e2, 1e4, 1e6):
        right(
            "offsets",
            f"{b:g} + squares",
            lambda x, b=b: b + np.sum(x * x),
            lambda x: 2 * x,
            1 + normal(3) ** 2,
        )
        right(
            "offsets", f"sine at x + {b:g}", lambda x: np.sin(x).sum(), np.cos, b + 0.3 * normal(2)
        )
    right(
        "offsets",
        "difference of squares",
        lambda x: np.sum((x - 1e5) ** 2),
        lambda x: 2 * (x - 1e5),
        1e5 + normal(3),
    )


def oscillations():
    for k in (10, 100, 300, 1e4, 1e6):
        right(
            "oscillation",
            f"sin {k:g} x",
            lambda x, k=k: np.sin(k * x).sum(),
            lambda x, k=k: k * np.cos(k * x),
            normal(2),
        )
        right(
            "oscillation",
            f"x + sin {k:g} x / {k:g}",
            lambda x, k=k: np.sum(x + np.sin(k * x) / k),
            lambda x, k=k: 1 + np.cos(k * x),
            normal(2),
        )


def bumps():
    for width in (1e-1, 1e-3, 1e-5):
        for at in (0.5, 1.0, 3.0):
            right(
                "bumps",
                f"width {width:g}, {at} widths away",
                lambda x, w=width: np.exp(-(((x[0] - 0.3) / w) ** 2) / 2),
                lambda x, w=width: np.array(
                    [-(x[0] - 0.3) / w**2 * np.exp(-(((x[0] - 0.3) / w) ** 2) / 2)]
                ),
                [0.3 + at * width],
            )


def plateaus():
    for z in (-0.5, -0.1, -0.01):
        right(
            "plateaus",
            f"two dead, one alive {z}",
            lambda x: 3 + np.maximum(0, x).sum(),
            lambda x: 1.0 * (x > 0),
            [z, 0.4, 3 * z],
        )
        right(
            "plateaus",
            f"clip {z}",
            lambda x: np.clip(x, 0, 1) @ np.arange(1.0, 4),
            lambda x: (x > 0) * (x < 1) * np.arange(1.0, 4),
            [z, 0.6, 1 - z],
        )
    right(
        "plateaus",
        "unused entry",
        lambda x: x[0] ** 3,
        lambda x: np.array([3 * x[0] ** 2, 0]),
        normal(2),
    )
    right(
        "plateaus",
        "stationary",
        lambda x: 2 + np.sum(x**2) + x[0] ** 2 * x[1],
        lambda x: 2 * x + np.array([2 * x[0] * x[1], x[0] ** 2]),
        [0.0, 0.7],
    )


def domains():
    for x in (0.5, 0.05, 1e-3, 1e-8):
        right("domains", f"log at {x}", lambda x: np.log(x).sum(), lambda x: 1 / x, [x, 1.0])
        right(
            "domains",
            f"root at {x}",
            lambda x: np.sqrt(x).sum(),
            lambda x: 0.5 / np.sqrt(x),
            [x, 2.0],
        )
        right("domains", f"reciprocal at {x}", lambda x: 1 / x[0], lambda x: -1 / x**2, [x])
        right(
            "domains",
            f"entropy at {x}",
            lambda p: -np.sum(p * np.log(p)),
            lambda p: -1 - np.log(p),
            [x, 0.9],
        )
    right(
        "domains",
        "arc sine near 1",
        lambda x: np.arcsin(x).sum(),
        lambda x: 1 / np.sqrt(1 - x * x),
        [1 - 1e-4, 0.2],
    )
    right(
        "domains",
        "barrier",
        lambda x: -np.log(1 - x @ x),
        lambda x: 2 * x / (1 - x @ x),
        [0.6, 0.79],
    )
    right(
        "domains",
        "nearly singular log determinant",
        lambda X: np.log(np.linalg.det(X)),
        lambda X: np.linalg.inv(X).T,
        [[1, 0.999], [0.999, 1]],
    )


def kinks():
    for distance in (0.1, 1e-3, 1e-6):
        x = np.array([distance, -0.7, 1.1])
        for told, declared in (("declared", lambda x: {"x": x}), ("unknown", None)):
            right(
                "kinks",
                f"l1 and square, {told}, at {distance}",
                lambda x: np.abs(x).sum() + x @ x,
                lambda x: np.sign(x) + 2 * x,
                x,
                declared,
            )
        right(
            "kinks",
            f"max of two at {distance}",
            lambda x: max(x[0], 2 * x[0] + x[1]),
            lambda x: np.array([1.0, 0]) if x[0] > 2 * x[0] + x[1] else np.array([2.0, 1]),
            [1.0, -1 + distance],
        )
    X, y = normal(15, 5), RNG.choice([-1, 1], 15)

    def margin(w):
        return 1 - y * (X @ w) + 0.1 * np.abs(w).sum()

    def slope(w):
        active = margin(w) > 0
        return -(active * y) @ X / 15 + 0.1 * np.sign(w) * active.mean()

    for seed in range(3):
        w = np.random.default_rng(seed).normal(size=5)
        right("kinks", f"robust hinge {seed}", lambda w: np.maximum(0, margin(w)).mean(), slope, w)
        right(
            "kinks",
            f"robust hinge {seed}, declared",
            lambda w: np.maximum(0, margin(w)).mean(),
            slope,
            w,
            lambda w: {"margin": margin(w), "w": w},
        )


def inexact():
    """f in float32, or with its digits lost in a sum on the way."""
    for k in (1, 2):
        x = normal(3)

        def single(x):
            return float(np.sum(np.square(x.astype(np.float32))))

        right("inexact", f"float32 {k}, asked for less", single, lambda x: 2 * x, x, rtol=1e-3)
        right("inexact", f"float32 {k}", single, lambda x: 2 * x, x)
        right(
            "inexact",
            f"beside 1e{7 + k}",
            lambda x, b=10.0 ** (7 + k): np.sum((x + b) - b),
            np.ones_like,
            x,
        )
        right(
            "inexact",
            f"beside 1e{7 + k}, asked for less",
            lambda x, b=10.0 ** (7 + k): np.sum((x + b) - b),
            np.ones_like,
            x,
            rtol=1e-3,
        )
    right(
        "inexact",
        "float16",
        lambda x: float(np.sum(np.square(x.astype(np.float16)))),
        lambda x: 2 * x,
        normal(5),
    )


def long_sums():
    for n in (1000, 100_000):
        a = normal(n)
        right(
            "long-sums",
            f"mean of {n} squares",
            lambda x, a=a: np.mean((a - x[0]) ** 2 + x[1] * a),
            lambda x, a=a: np.array([2 * (x[0] - a.mean()), a.mean()]),
            [0.4, 1.3],
        )
        right(
            "long-sums",
            f"sum of {n} logistic losses",
            lambda x, a=a: np.log1p(np.exp(-a * x[0])).sum(),
            lambda x, a=a: np.array([-(a / (1 + np.exp(a * x[0]))).sum()]),
            [0.7],
        )
    a = normal(10_000)
    right(
        "wide",
        "10,000 squares",
        lambda x: np.sum(a * x * x),
        lambda x: 2 * a * x,
        normal(10_000),
        coordinates=range(0, 10_000, 2500),
    )
    right(
        "wide",
        "10,000 sines",
        lambda x: np.sum(a * np.sin(x)),
        lambda x: a * np.cos(x),
        normal(10_000),
        coordinates=(),
    )


def minima():
    """The gradient is 0, or rounding of it; the wrong one misses that by 1e-9."""
    A, x = normal(7, 3), normal(3)
    b = A @ x

    def bananas(x):
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    def bananas_slope(x):
        u = 200 * (x[1] - x[0] ** 2)
        return np.array([-2 * x[0] * u - 2 * (1 - x[0]), u])

    for name, f, gradient, at in (
        ("squares", lambda x: np.sum((x - 0.3) ** 2), lambda x: 2 * (x - 0.3), [0.3] * 3),
        ("rosenbrock", bananas, bananas_slope, [1, 1]),
        ("1 + rosenbrock", lambda x: 1 + bananas(x), bananas_slope, [1, 1]),
        ("least squares", lambda x: np.sum((A @ x - b) ** 2), lambda x: 2 * A.T @ (A @ x - b), x),
        (
            "least squares by the normal equations",
            lambda x: np.sum((A @ x - b) ** 2),
            lambda x: 2 * (A.T @ A @ x - A.T @ b),
            x,
        ),
        ("cubes", lambda x: np.sum(np.abs(x) ** 3), lambda x: 3 * x * np.abs(x), [0, 0]),
    ):
        right("minima", name, f, gradient, at)
        wrong = RIGHT[-1]._replace(gradient=lambda x, g=gradient: g(x) + 1e-9)
        WRONG.append(wrong._replace(name=f"{name}: all 1e-9 too large"))


def small_beside_large():
    """A slope that rounding nearly hides beside others, and a claim that it is 0 or a bit off."""
    for name, f, slope, x, mistake in (
        ("hypot", lambda x: np.hypot(x, 1e-15), lambda x: x / np.hypot(x, 1e-15), 1e-15, 0),
        (
            "tanh",
            lambda x: x * np.tanh(x / 1e-15),
            lambda x: np.tanh(x / 1e-15) + x / 1e-15 / np.cosh(x / 1e-15) ** 2,
            5e-16,
            0,
        ),
        ("power 1.1", lambda x: abs(x) ** 1.1, lambda x: 1.1 * abs(x) ** 0.1, 1e-14, 0),
        ("power 1.2", lambda x: abs(x) ** 1.2, lambda x: 1.2 * abs(x) ** 0.2, 1e-13, 0),
        ("power 1.5", lambda x: abs(x) ** 1.5, lambda x: 1.5 * abs(x) ** 0.5, 1e-10, 0),
        ("weight", lambda x: 3e-5 * x + 5e9, lambda x: 3e-5, 0.5, 0),
        ("penalty", lambda x: np.sin(x) + 5e8, np.cos, 0.4, 1 + 2e-6),
    ):
        for options in ({}, {"coordinates": ()}) if name == "power 1.2" else ({},):
            place = "by directions, " if options else ""

            def gradient(x, slope=slope, factor=1):
                return np.array([1, factor * slope(x[1])])

            right(
                "small-beside-large",
                f"{place}{name}",
                lambda x, f=f: x[0] + f(x[1]),
                gradient,
                [1, x],
                **options,
            )
            wrong = RIGHT[-1]._replace(gradient=lambda x, g=gradient, m=mistake: g(x, factor=m))
            WRONG.append(wrong._replace(name=f"{place}{name}: {mistake} times the slope"))


for family in (
    linear_algebra,
    softmaxes,
    norms,
    layer_norms,
    networks,
    sorting,
    scales,
    offsets,
    oscillations,
    bumps,
    plateaus,
    domains,
    kinks,
    inexact,
    long_sums,
    minima,
    small_beside_large,
):
    family()


def _largest(g, factor):
    g = g.copy()
    g.flat[np.argmax(np.abs(g))] *= factor
    return g


MISTAKES = {
    "relative 1e-2": lambda g: g * 1.01,
    "relative 1e-4": lambda g: g * 1.0001,
    "relative 1e-6": lambda g: g * (1 + 1e-6),
    "sign": lambda g: -g,
    "factor 2": lambda g: 2 * g,
    "factor 1/n": lambda g: g / (g.size + 1),
    "zero": np.zeros_like,
    "transposed": lambda g: g.T.reshape(g.shape),
    "rolled": lambda g: np.roll(g, 1),
    "reversed": lambda g: g.ravel()[::-1].reshape(g.shape),
    "one entry zero": lambda g: _largest(g, 0),
    "one entry 1e-2": lambda g: _largest(g, 1.01),
    "one entry 1e-4": lambda g: _largest(g, 1.0001),
    "one entry sign": lambda g: _largest(g, -1),
    "shifted by a mean": lambda g: g - g.mean(),
    "lacks a penalty": lambda g: g + 1e-3 * np.max(np.abs(g)),
}
for place, pair in enumerate(RIGHT):
    exact, chosen = pair.gradient(pair.x), 0
    for step in range(len(MISTAKES)):
        mistake = list(MISTAKES)[(3 * place + 5 * step) % len(MISTAKES)]
        off = np.max(np.abs(MISTAKES[mistake](exact) - exact))
        if pair.kind in ("minima", "small-beside-large"):
            break  # theirs are in WRONG already
        if chosen < 1 + place % 2 and off > max(9e-7, 2 * pair.options.get("rtol", 0)) * np.max(
            np.abs(exact)
        ):
            wrong = lambda x, g=pair.gradient, m=MISTAKES[mistake]: m(g(x))  # noqa: E731
            WRONG.append(pair._replace(name=f"{pair.name}: {mistake}", gradient=wrong))
            chosen += 1
