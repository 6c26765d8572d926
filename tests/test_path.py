"""Every classifier that is ever optimal: the walk down in eps, its ends, and its proof."""

import json
from fractions import Fraction
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from conftest import needs_jit
from test_certificate import verify
from test_optimum import float_objective, minimum_over_corners, problem

from numlin import optimum
from numlin.data import datasets, idx
from numlin.figures import draw
from numlin.figures.price import PRICE_FIGURES
from numlin.optimum import walk as walking
from numlin.optimum.nearest import nearest
from numlin.optimum.proof import certificate, path_verifier, rational, verifier
from numlin.studies.price import Price


def separable(seed, **size):
    """A problem whose classes a hyperplane separates."""
    X, y = problem(seed, **size)
    y = np.where(X[:, 0] > X[:, 1], 1, -1)
    y[np.argmax(X[:, 0].astype(int) - X[:, 1])] = 1
    return (X, y) if (y < 0).any() and (y > 0).any() else separable(seed + 1000, **size)


def inside(segment, rng):
    """Both ends of a segment and three points between them."""
    return [segment.low, segment.high, *rng.uniform(segment.low, segment.high, 3)]


def check_every_segment(X, y, path):
    """The value of each segment is that of its classifier, and the minimum found by `minimise`."""
    rng = np.random.default_rng(0)
    for one, two in pairwise(path.segments):
        assert one.high == two.low
    for segment in path.segments:
        for eps in inside(segment, rng):
            if segment.hinge == 0 and eps >= segment.high * (1 - 1e-6):
                continue  # w grows without bound towards eps*
            value = segment.value(eps)
            w, b = segment.classifier(eps)
            # Weights up to about 1e3 in residuals of rounding 1e-16 each.
            assert float_objective(w, b, X, y, eps) == pytest.approx(value, abs=1e-10)
            found = optimum.minimise(X, y, eps)
            assert value <= found.objective + 1e-10
            assert not found.converged or value >= found.objective - 1e-10


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 255])
@pytest.mark.parametrize("seed", range(8))
def test_every_segment_holds_the_minimum(seed, levels):
    X, y = problem(seed, n_samples=10 + 4 * seed, n_features=2 + seed % 6, levels=levels)
    path = optimum.whole_path(X, y)
    assert path.segments[0].low == 0 and path.segments[-1].high == 1
    check_every_segment(X, y, path)
    if seed % 2:
        X, y = separable(seed, n_samples=10 + 4 * seed, n_features=2 + seed % 6, levels=255)
        check_every_segment(X, y, optimum.whole_path(X, y))


@pytest.mark.parametrize("seed", range(6))
def test_between_two_breakpoints_no_corner_at_all_is_better(seed):
    X, y = problem(seed, n_samples=6, n_features=2, levels=3)
    path = optimum.whole_path(X, y)
    for segment in path.segments:
        for eps in inside(segment, np.random.default_rng(seed)):
            if segment.hinge > 0:  # 1e-12: systems of size 3 in float64
                best = minimum_over_corners(X, y, eps)
                assert segment.value(eps) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_minimum_is_continuous_down_to_eps_star_and_jumps_there(seed):
    path = optimum.whole_path(*separable(seed, levels=255))
    pieces = path.segments
    for one, two in pairwise(pieces[1:]):
        assert one.value(one.high) == pytest.approx(two.value(two.low), rel=1e-12)
        assert two.hinge > one.hinge and two.l1 < one.l1
    assert pieces[0].hinge == 0 and path.eps_star == pytest.approx(pieces[0].high, rel=1e-12)
    assert pieces[0].value(path.eps_star / 2) == 0
    assert pieces[1].value(path.eps_star) > 1e-3  # lambda / eps*, far from 0


@pytest.mark.parametrize("seed", range(6))
def test_the_multipliers_are_continuous_in_eps(seed):
    X, y = problem(seed, levels=255)
    walk = walking.Walk(X, y.astype(float))
    for eps in np.linspace(0.45, 0.05, 9):
        walk.down(eps)
        here = walk.multipliers(eps)
        walk.down(eps * (1 - 1e-9))
        there = walk.multipliers(eps * (1 - 1e-9))
        # They are affine in lambda, at a rate of about 1 / lambda.
        assert np.abs(here - there).max() < 1e-6 / len(y)
        assert here.sum() == pytest.approx(optimum.minimise(X, y, eps).objective, abs=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_where_only_a_bias_is_left_is_a_linear_program_of_its_own(seed):
    linprog = pytest.importorskip("scipy.optimize").linprog
    X, y = problem(seed, n_samples=31, levels=255)
    frequent = np.sign(y.sum())
    rare, many = X[y != frequent] / 255, X[y == frequent] / 255
    # The rare class's mean against means of the frequent one under weights <= 1 / n_rare.
    k, d = len(many), X.shape[1]
    inequalities = np.block([[many.T, -np.ones((d, 1))], [-many.T, -np.ones((d, 1))]])
    mean = rare.mean(axis=0)
    found = linprog(
        np.append(np.zeros(k), 1), inequalities, np.append(mean, -mean),
        np.append(np.ones(k), 0)[None], [1.0], [(0, 1 / len(rare))] * k + [(0, None)],
    )  # fmt: skip
    last = optimum.whole_path(X, y).segments[-1]
    assert last.n_pixels == 0 and last.hinge == pytest.approx(2 * len(rare) / len(y), abs=1e-15)
    assert last.low == pytest.approx(found.fun / 2, abs=1e-9)


def test_on_a_balanced_set_any_bias_will_do_at_the_upper_end():
    X, y = np.array([[0, 51, 204], [51, 51, 0]], np.uint8), np.array([-1, 1])
    path = optimum.whole_path(X, y)
    assert [s.hinge for s in path.segments] == [0, 1]
    assert path.eps_star == pytest.approx(0.4, abs=1e-15)  # 204 / 255 / 2: the balls touch
    for bias in (-1, 0.3, 1):
        assert float_objective(np.zeros(3), bias, X, y, 0.45) == path.at(0.45).value(0.45)


@pytest.mark.parametrize("eps_star", [None, 0.5])
def test_copies_ties_and_constant_pixels(eps_star):
    X = np.array([[0], [0], [255], [255], [255]], np.uint8)
    y = np.array([-1, -1, 1, 1, 1 if eps_star else -1])
    wide = np.column_stack([np.full(5, 9, np.uint8), X, X])
    path = optimum.whole_path(np.vstack([wide, wide]), np.append(y, y))
    assert path.eps_star == eps_star
    check_every_segment(wide, y, path)


def test_a_grid_on_the_path_has_certified_bounds():
    X, y = separable(7, levels=255)
    grid = [0.0, 0.001, 0.05, 0.1, 0.3]
    path = optimum.whole_path(X, y, 0.0, 0.3, grid)
    floats = optimum.whole_path(X / 255, y, 0.0, 0.3)
    assert floats.eps_star == pytest.approx(path.eps_star, abs=1e-12)
    for eps in grid:
        value = path.at(eps).value(eps)
        assert value == pytest.approx(optimum.minimise(X, y, eps).objective, abs=1e-13)
        assert value * (1 - 1e-9) <= path.bounds[eps] <= value


@pytest.mark.parametrize("low, high", [(0.0, 0.1), (0.05, 0.2), (0.12, 0.12), (0.2, 0.6)])
def test_any_range_is_the_same_piece_of_the_whole(monkeypatch, low, high):
    X, y = separable(3, n_samples=60, levels=255)
    whole = optimum.whole_path(X, y)
    monkeypatch.setattr(optimum, "SMALL", 20)  # starts at `high`, not where only a bias is left
    piece = optimum.whole_path(X, y, low, high)
    assert piece.segments[0].low == low and piece.segments[-1].high == high
    for segment in piece.segments:
        middle = (segment.low + segment.high) / 2
        assert segment.hinge == pytest.approx(whole.at(middle).hinge, abs=1e-12)
        assert segment.l1 == pytest.approx(whole.at(middle).l1, abs=1e-9)
    inner = [s.low for s in whole.segments if low < s.low < high]
    np.testing.assert_allclose([s.low for s in piece.segments[1:]], inner, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_few_watched_samples_find_the_same_path(monkeypatch, seed):
    X, y = problem(seed, n_samples=200, levels=255)
    whole = optimum.whole_path(X, y).segments
    for name, value in {"FIRST": 5, "PIVOTS": 7, "CAUTION": 0.1}.items():
        monkeypatch.setattr(walking, name, value)
    again = optimum.whole_path(X, y).segments
    np.testing.assert_allclose([s.low for s in again], [s.low for s in whole], atol=1e-12)
    np.testing.assert_allclose([s.hinge for s in again], [s.hinge for s in whole], atol=1e-12)


@pytest.mark.parametrize("separates", [True, False])
def test_small_eps_is_reached_along_the_path(monkeypatch, separates):
    X, y = (separable if separates else problem)(5, n_samples=80, levels=255)
    whole = {eps: optimum.minimise(X, y, eps) for eps in (0.0, 1e-4, 0.01)}
    monkeypatch.setattr(optimum, "SMALL", 20)
    for eps, expected in whole.items():
        found = optimum.minimise(X, y, eps)
        assert found.converged and found.certified
        assert found.objective == pytest.approx(expected.objective, abs=1e-12)
        assert found.objective == pytest.approx(
            float_objective(found.w, found.b, X, y, eps), abs=1e-12
        )


@pytest.mark.parametrize("seconds", [0.0, 9.0])
@pytest.mark.parametrize("norm", [0.5, 3.0, 1e4])
def test_the_bound_within_a_budget_holds_for_classifiers_of_that_size(monkeypatch, seconds, norm):
    X, y = problem(1, n_samples=80, levels=255)
    monkeypatch.setattr(optimum, "SMALL", 20)
    monkeypatch.setattr(walking, "PIVOTS", 3)
    for eps in (0.0, 0.005):
        bound, limit = optimum.bound_within(X, y, eps, norm, seconds)
        assert limit in (norm, np.inf)
        best = optimum.minimise(X, y, eps)
        assert bound <= best.objective or np.abs(best.w).sum() > limit
        for segment in optimum.whole_path(X, y).segments:
            w, b = segment.classifier(eps) if eps * segment.l1 < 1 else (np.zeros(6), 1.0)
            if np.abs(w).sum() <= limit:
                assert float_objective(w, b, X, y, eps) >= bound


def test_an_eps_outside_of_the_range_is_refused():
    path = optimum.whole_path(*problem(0), 0.1, 0.2)
    with pytest.raises(ValueError, match="eps: found 0.3, expected 0.1 to 0.2"):
        path.at(0.3)
    for low, high in ((-1, 1), (0.3, 0.2), (0, np.nan)):
        with pytest.raises(ValueError, match="low: |high: "):
            optimum.whole_path(*problem(0), low, high)
    X, y = problem(0)
    with pytest.raises(ValueError, match="pixels of order 1"):
        optimum.whole_path(X * 1e6, y)


def test_the_nearest_two_samples_are_found():
    rng = np.random.default_rng(2)
    X, y = rng.integers(0, 256, (50, 70)).astype(np.uint8), rng.choice([-1, 1], 50)
    distances = np.abs(X[y < 0].astype(float)[:, None] - X[y > 0].astype(float)).max(axis=2)
    assert nearest(X, y) == distances.min() / 510
    assert nearest(X / 255, y) == pytest.approx(distances.min() / 510, abs=1e-15)


# The proof.


def proved(X, y, low=0.0, high=1.0):
    path = optimum.whole_path(X, y, low, high)
    claim = certificate.path_claim(path)
    return path, claim, path_verifier.check(claim, X, y, processes=1)


@pytest.mark.parametrize("seed, levels", [(0, 1), (1, 3), (2, 5), (3, 255)])
def test_every_breakpoint_is_a_fraction_and_every_segment_is_proved(seed, levels):
    for make in (problem, separable):
        X, y = make(seed, n_samples=20, levels=levels)
        path, _, (eps, hinge, l1) = proved(X, y)
        lows = [float(value) for value in reversed(eps)]
        assert [s.low for s in path.segments[1:]] == pytest.approx(lows, abs=1e-13)
        for segment, H, norm in zip(path.segments, reversed(hinge), reversed(l1), strict=True):
            assert segment.hinge == pytest.approx(float(H), abs=1e-13)
            assert segment.l1 == pytest.approx(float(norm), rel=1e-12)
        for value, H, norm in zip(eps, hinge, l1):
            if value.denominator < 10**15:  # the float names the same eps as the fraction
                found = optimum.minimise(X, y, float(value))
                assert found.objective == pytest.approx(float(H / (1 - value * norm)), abs=1e-9)


def test_a_range_is_proved_between_its_own_ends(monkeypatch):
    X, y = problem(4, n_samples=60, levels=255)
    monkeypatch.setattr(optimum, "SMALL", 20)
    path, claim, (eps, hinge, l1) = proved(X, y, 0.03, 0.08)
    assert claim["high"] == "2/25" and claim["low"] == "3/100"
    for at, k in ((Fraction(3, 100), -1), (Fraction(2, 25), 0)):
        exact = rational.prove(X, y, optimum.minimise(X, y, float(at))).value
        assert hinge[k] / (1 - at * l1[k]) == exact


@pytest.fixture
def sealed(tmp_path):
    """The certificate of a path of 3 against 7 beside IDX files of 60 images of 2 x 3 pixels."""
    rng = np.random.default_rng(8)
    images = rng.integers(0, 256, (60, 2, 3)).astype(np.uint8)
    labels = (3 + 2 * np.argmax(images[:, 0] + rng.integers(0, 99, (60, 3)), axis=1)).astype(
        np.uint8
    )
    idx.write(tmp_path / "images", images)
    idx.write(tmp_path / "labels", labels)
    chosen = np.isin(labels, (3, 7))
    _, claim, proof = proved(images[chosen].reshape(-1, 6), np.where(labels[chosen] == 7, 1, -1))
    certificate.write_path(tmp_path / "c.json", claim, proof, (3, 7), images, labels)
    return tmp_path / "c.json"


def fewer(key):
    return lambda c: {key: c[key][:-1]}


def changed(key, at, to):
    return lambda c: {key: [*c[key][:at], to(c[key][at]), *c[key][at + 1 :]]}


FORGERIES = {
    "a breakpoint": (changed("eps", 2, lambda e: str(Fraction(e) + Fraction(1, 10**9))), "eps"),
    "a hinge": (changed("hinge", 1, lambda h: h[:-1] + str((int(h[-1]) + 1) % 10)), "hinge"),
    "a norm": (changed("l1", 3, lambda h: h[:-1] + str((int(h[-1]) + 1) % 10)), "l1"),
    "a segment less": (lambda c: {k: c[k][:-1] for k in ("corners", "eps", "hinge", "l1")}, "."),
    "a pivot less": (fewer("pivots"), "."),
    "another pivot": (changed("pivots", 4, lambda p: [p[0], p[1], -p[2]]), "."),
    "another corner": (changed("corners", 2, lambda corner: corner - 1), "."),
    "a sample less below": (lambda c: {"below": [[f, n - 1] for f, n in c["below"] if n > 1]}, "."),
    "another sample": (lambda c: {"basis": c["basis"] | {"samples": [0]}}, "."),
    "a higher low end": (lambda c: {"low": "1/3"}, "."),
    "no fraction": (lambda c: {"high": "infinity"}, "fraction high"),
    "a float": (changed("corners", 0, float), "whole numbers"),
    "a word more": (lambda c: {"note": ""}, "entries"),
    "no lists": (lambda c: {"pivots": None}, "not a certificate"),
}


@pytest.mark.parametrize("forge, message", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_path_is_refused(sealed, monkeypatch, forge, message):
    assert len(verify(sealed)["eps"]) > 5
    monkeypatch.setattr(verifier, "_check_digest", lambda claim: None)
    claim = json.loads(sealed.read_text())
    sealed.write_text(json.dumps(claim | forge(claim)))
    with pytest.raises(verifier.CertificateError, match=message):
        verify(sealed)


@needs_jit
def test_the_whole_path_of_mnist(mnist):
    X, y = datasets.load("train", (0, 1), np.uint8, mnist)
    path = optimum.whole_path(X, y)
    assert len(path.segments) == 10_156
    assert path.eps_star == pytest.approx(0.0367146510415, abs=1e-13)
    assert path.segments[-1].low == pytest.approx(0.4708444647486, abs=1e-12)
    first = path.segments[-2]
    assert first.coordinates[(first.coordinates < 784) & (first.values != 0)].tolist() == [406]
    for eps, least in (
        (0.1, 0.022201831827662),
        (0.2, 0.075429909853083),
        (0.3, 0.121945053846243),
    ):
        assert path.at(eps).value(eps) == pytest.approx(least, abs=1e-14)
    told = " ".join(files("numlin").joinpath("figures/story.md").read_text("utf-8").split())
    pixels = {eps: path.at(eps).n_pixels for eps in (0.04, 0.2, 0.22, 0.41, 0.42)}
    assert pixels[0.22] == 2 and pixels[0.42] == 1
    assert (
        f"have {len(path.segments):,} optima, and eps* is {path.eps_star:.4f}. From there on the "
        f"minimum needs {pixels[0.04]} pixels at eps = 0.04, {pixels[0.2]} at 0.2, two from 0.22 "
        f"on, one from 0.41; from {path.segments[-1].low:.4f} on nothing beats guessing"
    ) in told
    claim = certificate.path_claim(path)
    part = optimum.whole_path(X, y, 0.2, 0.21)
    eps, _, _ = path_verifier.check(certificate.path_claim(part), X, y)
    inner = [s.low for s in path.segments if 0.2 < s.low < 0.21]
    assert [float(value) for value in reversed(eps)] == pytest.approx(inner, abs=1e-14)
    assert len(claim["pivots"]) < 30_000


@pytest.mark.parametrize("low, high", [(0, 1), (0.05, 0.05), (0.6, 0.7)])
def test_any_range_can_be_drawn_and_tabulated(low, high):
    rng, grid = np.random.default_rng(0), np.linspace(low, min(high, 0.7), 3)
    X, y = rng.integers(0, 256, (40, 784)).astype(np.uint8), np.sign(rng.random(40) - 0.5)
    for images, labels in ((X, y), (np.repeat(X[:1], 4, axis=0), np.array([1, 1, -1, 1]))):
        path = optimum.whole_path(images, labels, low, high, grid)
        about, star = {"name": "mnist", "digits": [0, 1]}, optimum.margin(images, labels)
        price = Price(about, path, grid, np.zeros(3), np.zeros(3), star, 0.3)
        for name in PRICE_FIGURES:
            assert draw(name, price, PRICE_FIGURES).axes
        assert len(price.table()[1]) == 3 and len(price.segments()) == len(path.segments)
        assert (price.eps_star is None) == (len(images) == 4)
