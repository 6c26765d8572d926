"""Every corner there is, of a few images of two pixels: proved if and only if it is optimal.

What is optimal is decided here in fractions, from the definitions: the classifier that has the
basis on its margin, the multipliers that pull on its weights as hard as they cost, and then
0 <= t_i <= 1, sum t_i y_i = 0, no pixel pulled harder than it costs, and equal values. Corners that
fail one condition alone are among them, for each condition.
"""

from collections import Counter
from fractions import Fraction
from itertools import combinations, pairwise, product
from types import SimpleNamespace

import numpy as np
import pytest

from numlin import optimum
from numlin.optimum.proof import certificate, path_verifier, rational

WORLDS = [
    ("--+", [[0], [100], [200]]),
    ("++-", [[0], [100], [200]]),
    ("-++-+", [[0, 9], [200, 0], [100, 255], [100, 200], [255, 30]]),
    ("+--+-", [[255, 255], [200, 0], [0, 0], [0, 100], [100, 255]]),
    ("---+", [[255, 0], [200, 100], [255, 255], [0, 200]]),
]
EPS = [Fraction(0), Fraction(1, 10), Fraction(1, 4), Fraction(2, 5)]
WHITE = 255


def solve(B, right):
    """x of B x = right in fractions, by elimination, or None if B is singular."""
    rows = [[Fraction(v) for v in row] + [Fraction(r)] for row, r in zip(B, right)]
    for c in range(len(rows)):
        pivot = next((r for r in range(c, len(rows)) if rows[r][c]), None)
        if pivot is None:
            return None
        rows[c], rows[pivot] = rows[pivot], rows[c]
        rows[c] = [v / rows[c][c] for v in rows[c]]
        for r in range(len(rows)):
            if r != c:
                rows[r] = [a - rows[r][c] * b for a, b in zip(rows[r], rows[c])]
    return [row[-1] for row in rows]


def worst(x, y, sign, eps, box):
    """y times sign times the pixel x after the worst attack on a weight of that sign."""
    moved = Fraction(int(x), WHITE) - y * sign * eps
    return y * sign * (min(max(moved, Fraction(0)), Fraction(1)) if box else moved)


def signed_bases(n, d):
    """Samples S and signed coordinates C (the bias is d), as many of the one as of the other."""
    for k in range(1, d + 2):
        for S in combinations(range(n), k):
            for C in combinations(range(d + 1), k):
                for signs in product((1, -1), repeat=sum(j < d for j in C)):
                    yield S, C, [*signs, *([1] * (k - len(signs)))]


def column(X, y, i, j, sign, eps, box):
    return Fraction(y[i]) * sign if j == len(X[i]) else worst(X[i][j], y[i], sign, eps, box)


def corner(X, y, S, C, signs, eps, box):
    """(B, w, b, margins) with all of S on the margin, or None."""
    d = len(X[0])
    B = [[column(X, y, i, j, s, eps, box) for j, s in zip(C, signs)] for i in S]
    u = solve(B, [1] * len(S))
    if u is None:
        return None
    w = [Fraction(0)] * (d + 1)
    for j, s, value in zip(C, signs, u):
        w[j] = s * value
    margins = [
        sum(abs(w[j]) * worst(X[i][j], y[i], 1 if w[j] > 0 else -1, eps, box) for j in range(d))
        + y[i] * w[d]
        for i in range(len(y))
    ]
    return B, w[:d], w[d], margins


def transposed(B):
    return [list(row) for row in zip(*B)]


def duel(X, y, S, C, signs, eps, box, below, B):
    """The multipliers of the corner, {sample: t}, and which conditions they fail."""
    d = len(X[0])
    pull = [-sum(column(X, y, i, j, s, eps, box) for i in below) for j, s in zip(C, signs)]
    t = dict(zip(S, solve(transposed(B), pull))) | dict.fromkeys(below, Fraction(1))
    sums = [
        sum(v * worst(X[i][j], y[i], sign, eps, box) for i, v in t.items())
        for j in range(d) for sign in (1, -1)
    ]  # fmt: skip
    return t, {
        "t >= 0": min(t.values()) >= 0,
        "t <= 1": max(t.values()) <= 1,
        "balance": sum(v * y[i] for i, v in t.items()) == 0,
        "pulls up": max(sums[::2]) <= 0,
        "pulls down": max(sums[1::2]) <= 0,
    }


def signs_of(signs):
    return [1 if sign == "+" else -1 for sign in signs]


def proof_of(prove, *arguments):
    try:
        return prove(*arguments)
    except (rational.ProofError, ZeroDivisionError):
        return None


@pytest.mark.parametrize("box", [False, True], ids=["free", "box"])
def test_a_corner_is_proved_exactly_if_it_is_optimal(box):
    alone, proved = Counter(), 0
    for signs_text, X in WORLDS:
        y, pixels = signs_of(signs_text), np.array(X, np.uint8)
        n, d = pixels.shape
        for eps, (S, C, signs) in product(EPS, signed_bases(n, d)):
            found = corner(X, y, S, C, signs, eps, box)
            if found is None:
                continue
            B, w, b, margins = found
            below = [i for i in range(n) if margins[i] < 1 and i not in S]
            t, holds = duel(X, y, S, C, signs, eps, box, below, B)
            primal = sum(max(Fraction(0), 1 - m) for m in margins) / n
            holds["value"] = primal == sum(t.values()) / n
            # In the box a weight below 0 is a coordinate of its own.
            coordinates = [2 * d if j == d else j + d * (s < 0) for j, s in zip(C, signs)]
            basis = SimpleNamespace(
                samples=np.array(S), coordinates=np.array(coordinates if box else C),
                signs=np.array([1] * len(C) if box else signs),
            )  # fmt: skip
            multipliers = np.isin(np.arange(n), below) / n
            claimed = SimpleNamespace(eps=float(eps), basis=basis, box=box, multipliers=multipliers)
            proof = proof_of(rational.prove, pixels, np.array(y), claimed)
            assert (proof is not None) == all(holds.values()), (X, y, eps, S, C, signs, holds)
            alone.update(name for name in holds if list(holds.values()).count(False) == 1
                         and not holds[name])  # fmt: skip
            if proof:
                proved += 1
                assert proof.value == primal and proof.eps == eps
                assert proof.lower_bound <= proof.value and proof.lower_bound >= 0
                assert {j: Fraction(v, proof.scale) for j, v in proof.weights.items()} == {
                    j: v for j, v in enumerate(w) if v
                }
                assert Fraction(proof.bias, proof.scale) == b and proof.below == below
                assert {
                    i: Fraction(v, proof.multipliers_scale) for i, v in proof.multipliers.items()
                } == {i: t[i] for i in S if t[i]}
    assert proved > 20 and {"t >= 0", "t <= 1", "balance", "pulls up", "pulls down"} <= set(alone)


def test_a_margin_is_proved_exactly_if_it_is_the_largest():
    outcomes = Counter()
    for signs_text, X in WORLDS:
        y, pixels = signs_of(signs_text), np.array(X, np.uint8)
        n, d = pixels.shape
        for S, C, signs in signed_bases(n, d):
            found = corner(X, y, S, C, signs, Fraction(0), False)
            if found is None or not any(found[1]):
                continue
            B, w, b, margins = found
            t = solve(transposed(B), [int(j < d) for j in C])
            reach = max(
                abs(sum(v * y[i] * Fraction(X[i][j], WHITE) for i, v in zip(S, t)))
                for j in range(d)
            )
            value = min(margins) / sum(map(abs, w))
            holds = [
                min(t) >= 0,
                sum(v * y[i] for i, v in zip(S, t)) == 0,
                sum(t) != 0 and value == reach / sum(t),
            ]
            basis = SimpleNamespace(
                samples=np.array(S), coordinates=np.array(C), signs=np.array(signs)
            )
            proof = proof_of(
                rational.prove_margin, pixels, np.array(y), SimpleNamespace(basis=basis, box=False)
            )
            assert (proof is not None) == all(holds), (X, y, S, C, signs, holds)
            outcomes[all(holds)] += 1
            assert proof is None or (proof.value == value and proof.kind == "margin")
    assert outcomes[True] > 2 and outcomes[False] > 50


@pytest.fixture
def alone(monkeypatch):
    """The verifier of paths in this process."""

    class Pool:
        def __init__(self, processes, initializer, initargs):
            initializer(*initargs)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def map(self, function, *arguments):
            return map(function, *arguments)

    monkeypatch.setattr(path_verifier, "ProcessPoolExecutor", Pool)


def path_of(claim, pixels, y):
    try:
        return path_verifier.check(claim, pixels, np.array(y))
    except path_verifier.PathError:
        return None


def optimal(X, y, S, C, signs, below, eps):
    """Which conditions the classifier fails to be the minimum at `eps`, "inf": at any large one."""
    d = len(X[0])
    B, v, c, margins = corner(X, y, S, C, signs, Fraction(0), False)
    norm, H = sum(map(abs, v)), sum(max(Fraction(0), 1 - m) for m in margins)
    holds = {
        "signs": all(s * v[j] >= 0 for j, s in zip(C, signs) if j < d),
        "sides": all(m == 1 or (m < 1) == (i in below) for i, m in enumerate(margins)),
    }
    if eps == "inf":
        return holds | {"no weights": norm == 0}
    if eps * norm >= 1:
        return holds | {"norm": False}
    lam = eps * H / (1 - eps * norm)
    right = [
        lam * (j < d) - sum(column(X, y, i, j, s, Fraction(0), False) for i in below)
        for j, s in zip(C, signs)
    ]
    t = dict(zip(S, solve(transposed(B), right)))
    holds |= {"t >= 0": min(t.values()) >= 0, "t <= 1": max(t.values()) <= 1}
    t |= dict.fromkeys(below, Fraction(1))
    sums = [sum(a * y[i] * Fraction(X[i][j], WHITE) for i, a in t.items()) for j in range(d)]
    return holds | {
        "balance": sum(a * y[i] for i, a in t.items()) == 0,
        "pulls up": max(sums) <= lam,
        "pulls down": min(sums) >= -lam,
        "value": sum(t.values()) == H + lam * norm,
    }


def test_a_path_of_one_classifier_is_believed_exactly_if_it_is_optimal_at_both_ends(alone):
    counted, believed = Counter(), 0
    for signs_text, X in WORLDS:
        y, pixels = signs_of(signs_text), np.array(X, np.uint8)
        n, d = pixels.shape
        for S, C, signs in signed_bases(n, d):
            found = corner(X, y, S, C, signs, Fraction(0), False)
            if found is None:
                continue
            margins = found[-1]
            under = [i for i in range(n) if margins[i] < 1 and i not in S]
            flipped = [sorted({*under} ^ {i}) for i in range(n) if i not in S][:1]
            for below in [under, *flipped]:
                for low, high in [*pairwise(EPS), (EPS[1], "inf"), (EPS[3], "inf")]:
                    claim = {
                        "basis": {"samples": list(S), "coordinates": list(C), "signs": signs},
                        "below": [[i, 1] for i in below], "pivots": [], "corners": [],
                        "low": str(low), "high": str(high),
                    }  # fmt: skip
                    holds = optimal(X, y, S, C, signs, below, high)
                    if sum(max(Fraction(0), 1 - m) for m in margins) > 0:
                        for name, fine in optimal(X, y, S, C, signs, below, low).items():
                            holds[name] = holds.get(name, True) and fine
                    proof = path_of(claim, pixels, y)
                    assert (proof is not None) == all(holds.values()), (X, y, claim, holds)
                    false = [name for name, fine in holds.items() if not fine]
                    counted[false[0] if len(false) == 1 else len(false)] += 1
                    if proof:
                        believed += 1
                        (H,), (norm,) = proof[1:]
                        assert proof[0] == [] and norm == sum(map(abs, found[1]))
                        assert n * H == sum(max(Fraction(0), 1 - m) for m in margins)
    assert believed > 15
    names = {"signs", "norm", "t >= 0", "t <= 1", "balance", "pulls up", "pulls down", "no weights"}
    assert names <= set(counted)


def altered(claim):
    """The claim with one number changed, or one corner or pivot left out, everywhere."""
    for key in ("pivots", "corners"):
        for k in range(len(claim[key])):
            yield {key: claim[key][:k] + claim[key][k + 1 :]}
    for k, corner in enumerate(claim["corners"]):
        for change in (-1, 1):
            yield {"corners": [*claim["corners"][:k], corner + change, *claim["corners"][k + 1 :]]}
    for k, pivot in enumerate(claim["pivots"]):
        for place, change in product(range(3), (-1, 1, -2)):
            other = list(pivot)
            other[place] = -pivot[2] if place == 2 else other[place] + change
            yield {"pivots": [*claim["pivots"][:k], other, *claim["pivots"][k + 1 :]]}
    for place in ("samples", "coordinates", "signs"):
        for k, number in enumerate(claim["basis"][place]):
            numbers = list(claim["basis"][place])
            numbers[k] = -number if place == "signs" else number + 1
            yield {"basis": claim["basis"] | {place: numbers}}


@pytest.mark.parametrize("seed", range(3))
def test_a_path_with_one_number_changed_is_refused_or_the_same(alone, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, (14, 3)).astype(np.uint8)
    y = np.where(X[:, 0] + rng.integers(-99, 99, 14) > X[:, 1], 1, -1)
    y[:2] = -1, 1
    claim = certificate.path_claim(optimum.whole_path(X, y))
    true, refused, same = path_verifier.check(claim, X, y), 0, 0
    assert len(true[0]) >= 2 and true[0] == sorted(true[0], reverse=True)
    for k, eps in enumerate(true[0]):  # both classifiers are worth the same where one is left
        H, norm = true[1][k : k + 2], true[2][k : k + 2]
        assert 0 in H or len({h / (1 - eps * size) for h, size in zip(H, norm)}) == 1
    for change in altered(claim):
        try:
            assert path_verifier.check(claim | change, X, y) == true
            same += 1
        except (ValueError, IndexError):
            refused += 1
    assert refused > 10 * same


def test_a_classifier_is_believed_up_to_its_last_eps_and_not_a_hair_beyond(alone, monkeypatch):
    rng, hair, tried = np.random.default_rng(1), Fraction(1, 10**30), 0
    X = rng.integers(0, 256, (14, 3)).astype(np.uint8)
    y = np.where(X[:, 0] + rng.integers(-99, 99, 14) > X[:, 1], 1, -1)
    ends = path_verifier.check(certificate.path_claim(optimum.whole_path(X, y)), X, y)[0]
    monkeypatch.setattr(optimum, "SMALL", 5)  # a path of its own, from a corner of its own
    for high, low in pairwise(ends):
        middle = float((high + low) / 2)
        claim = certificate.path_claim(optimum.whole_path(X, y, middle, middle))
        if claim["pivots"]:
            continue
        for one, two, fine in (
            (low, high, True), (low, high + hair, False), (low - hair, high, False)
        ):  # fmt: skip
            proof = path_of(claim | {"low": str(one), "high": str(two)}, X, y)
            assert (proof is not None) == fine
            tried += 1
    assert tried >= 9


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"lower": 0.5}, "separates False, forbids True"),
        ({"lower": 0.3}, None),
        ({"upper": 0.35}, "separates True, forbids False"),
        ({"multipliers": np.array([1.0, 0.2])}, None),  # the heavier class is lightened
        ({"w": np.array([-2.0])}, "separates False"),
    ],
)
def test_the_margin_in_the_box_lies_between_its_ends(changes, message):
    X, y = np.array([[0], [204]], np.uint8), np.array([-1, 1])  # 0 and 0.8: the balls meet at 0.4
    margin = {"lower": 0.4 - 1e-9, "upper": 0.4 + 1e-9, "w": np.array([2.0]), "b": -0.8}
    margin |= {"multipliers": np.ones(2), "box": True, "basis": None} | changes
    if message:
        with pytest.raises(rational.ProofError, match=message):
            rational.prove_margin(X, y, SimpleNamespace(**margin))
    else:
        proof = rational.prove_margin(X, y, SimpleNamespace(**margin))
        assert proof.kind == "box-margin" and proof.value < Fraction(2, 5) < proof.eps
        assert Fraction(margin["lower"]) - proof.value < Fraction(3, 10**11)


def test_a_path_that_goes_back_and_forth_is_refused_for_its_order_alone(alone):
    rng, reasons = np.random.default_rng(0), Counter()
    X = rng.integers(0, 256, (14, 3)).astype(np.uint8)
    y = np.where(X[:, 0] + rng.integers(-99, 99, 14) > X[:, 1], 1, -1)
    claim = certificate.path_claim(optimum.whole_path(X, y))
    pivots, corners = claim["pivots"], claim["corners"]
    for (k, at), direction in product(enumerate(corners), (-1, 1)):
        enters, leaves, _ = pivots[at]
        there = [*pivots[: at + 1], [leaves, enters, direction], pivots[at], *pivots[at + 1 :]]
        later = [corner + 2 for corner in corners[k + 1 :]]
        forged = {"pivots": there, "corners": [*corners[: k + 1], at + 1, at + 2, *later]}
        with pytest.raises(ValueError) as refused:
            path_verifier.check(claim | forged, X, y)
        reasons[str(refused.value).partition(":")[0]] += 1
    assert reasons["breakpoints in falling order"] > 0, reasons
