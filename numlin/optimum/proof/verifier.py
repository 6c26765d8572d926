"""Check a certificate of `numlin optimum` with nothing but integers and the data.

This file shares no code with the solver: it reads two IDX files and the certificate, and
multiplies integers. For kind "minimum" it checks, with pixels x_i that are integers over 255,

    0 <= n a_i <= 1,    sum a_i y_i = 0,    |sum a_i y_i x_ij| <= 255 eps sum a_i for all j,
    sum a_i = 1/n sum max(0, 1 + eps ||w||_1 - y_i (w.x_i / 255 + b)) = value.

For every w', b' at all, max(0, r) >= n a_i r gives

    F(w', b') >= sum a_i (1 + eps ||w'||_1 - y_i (w'.x_i / 255 + b')) >= sum a_i,

so the value is the minimum. For kind "box", where an attacked pixel stays in [0, 1], pixel j of
image i ranges from low_ij = max(0, x_ij - 255 eps) to high_ij = min(255, x_ij + 255 eps). The worst
is end_ij = low_ij where y_i w_j > 0 and high_ij where y_i w_j < 0. It checks, for all j,

    sum_i a_i y_i end_ij <= 0 with the ends for a w_j > 0,  and >= 0 with those for a w_j < 0,
    sum a_i = 1/n sum max(0, 1 - y_i (sum_j w_j end_ij / 255 + b)) = value,

and the same line gives F(w', b') >= sum a_i - sum_j w'_j sum_i a_i y_i end_ij / 255 >= sum a_i.
For kind "margin" it checks

    a_i >= 0,    sum a_i y_i = 0,
    max_j |sum a_i y_i x_ij| / (255 sum a_i) = min_i y_i (w.x_i / 255 + b) / ||w||_1 = value.

No w', b' has a larger margin: the smallest y_i (w'.x_i / 255 + b') is at most the mean of all,
weighted by a_i, and that is at most ||w'||_1 times the left-hand side. For kind "box-margin" it
checks that w, b have only margins above 0 in the box at radius value, and that at radius eps

    a_i >= 0, not all 0,    sum a_i y_i = 0,    and the sums of kind "box" have their signs,

so that there no w', b' has a sum of a_i times its margins above 0: the largest radius at which
all images can be separated is at least value, and at most eps.
"""

import hashlib
import json
import re
from fractions import Fraction

import numpy as np

from numlin.data import idx
from numlin.optimum.proof import path_verifier
from numlin.support.files import FilePath, read_whole

LONGEST = 2**23  # bytes of a certificate: 785 weights and multipliers of all digits Python prints
ENTRIES = set(
    "kind digits images labels eps value decimal weights bias scale multipliers multipliers_scale "
    "below sha256 data".split()
)


class CertificateError(ValueError):
    """A certificate that does not prove what it says; the message names the claim that fails."""


def verify(certificate: FilePath, images: FilePath, labels: FilePath) -> dict:
    """Check a certificate file against the IDX files of images and labels.

    Returns
    -------
    dict
        The content of the certificate, every word of it checked.

    Raises
    ------
    CertificateError
        At the first claim that is not true.
    ValueError
        The file is longer than a certificate, or no file.
    """
    content, claim = read_whole(certificate, LONGEST), None
    try:
        claim = json.loads(content.decode(), object_pairs_hook=_each_key_once)
        if not ENTRIES.intersection(claim):
            raise KeyError(*ENTRIES)
        _check("entries", claim.get("kind") == "path" or set(claim) == ENTRIES)
        _check_digest(claim)
        if claim["kind"] == "path":
            _check_digits(claim)
            path_verifier.verify(claim, *_samples(claim, idx.read(images), idx.read(labels)))
            return claim
        _check_form(claim)
        X, y = _samples(claim, idx.read(images), idx.read(labels))
        _check_proof(claim, X, y)
    except idx.IdxError:
        raise
    except (CertificateError, path_verifier.PathError) as error:
        raise CertificateError(f"{certificate}: {error}") from None
    except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError,
            ValueError, ZeroDivisionError) as error:  # fmt: skip
        kind = "not JSON" if claim is None else "JSON of another kind"
        raise CertificateError(f"{certificate}: not a certificate, it is {kind}") from error
    return claim


def _each_key_once(pairs):
    """The object of these pairs, unless a later one would hide an earlier one."""
    found = dict(pairs)
    _check("keys, each once", len(found) == len(pairs))
    return found


def _check_form(claim):
    """Each entry is written in the one way it can be."""
    numbers = [claim[key] for key in ("bias", "scale", "multipliers_scale")]
    for key in ("weights", "multipliers"):
        numbers += [*claim[key], *claim[key].values()]
    _check("whole numbers", all(isinstance(n, str) and n == str(int(n)) for n in numbers))
    for key in ("eps", "value"):
        _check(f"fraction {key}", re.fullmatch(r"\d+(/\d+)?", claim[key], re.ASCII))
        _check(f"fraction {key}", claim[key] == str(Fraction(claim[key])))
    _check_digits(claim)
    for first, count in claim["below"]:
        _check("runs below", type(first) is type(count) is int and first >= 0 and count > 0)


def _check_digits(claim):
    digits, data = claim["digits"], claim["data"]
    _check("data", isinstance(data, str) and data.isprintable() and len(data) < 1000)
    _check("digits", all(type(digit) is int for digit in digits))
    _check("digits", len(digits) == 2 and digits[0] != digits[1])


def _check_digest(claim):
    """The claims are those that were written."""
    body = {key: value for key, value in claim.items() if key != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    _check("sha256", hashlib.sha256(text.encode()).hexdigest() == claim["sha256"])


def _samples(claim, images, labels):
    """Pixels (n_samples, n_features) and labels (n_samples,), -1 or +1, of the claim's digits."""
    for name, array in (("images", images), ("labels", labels)):
        found = hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
        _check(f"sha256 of the {name}", found == claim[name])
    first, second = claim["digits"]
    _check("uint8 images, one a label", images.dtype == np.uint8 and len(images) == len(labels))
    _check("images of both digits", (labels == first).any() and (labels == second).any())
    chosen = (labels == first) | (labels == second)
    X = images.reshape(len(images), -1)[chosen]
    return X, np.where(labels[chosen] == second, 1, -1).astype(object)


def _check_proof(claim, X, y):
    """Both points are feasible and have the value that is claimed: X (n, d), y (n,) of ints."""
    n, d = X.shape
    value, eps = Fraction(claim["value"]), Fraction(claim["eps"])
    w = {int(j): int(numerator) for j, numerator in claim["weights"].items()}
    b, scale, one = (int(claim[key]) for key in ("bias", "scale", "multipliers_scale"))
    a = {int(i): int(numerator) for i, numerator in claim["multipliers"].items()}
    _check("scales", scale > 0 and one > 0)
    _check("runs below", sum(count for _, count in claim["below"]) <= n)
    below = [i for first, count in claim["below"] for i in range(first, first + count)]
    _check("pixels", all(0 <= j < d for j in w))
    _check("samples", all(0 <= i < n for i in [*a, *below]))
    _check("samples, each once", len({*a, *below}) == len(a) + len(below))

    norm = sum(abs(v) for v in w.values())
    a.update(dict.fromkeys(below, one))
    mass = sum(a.values())
    _check("multipliers >= 0", all(v >= 0 for v in a.values()))
    _check("sum a_i y_i = 0", sum(v * y[i] for i, v in a.items()) == 0)
    if claim["kind"] in ("minimum", "box"):
        _check("multipliers <= 1", all(v <= one for v in a.values()))
    if claim["kind"] in ("box", "box-margin"):
        up, down = np.zeros(d, object), np.zeros(d, object)
        for i, v in a.items():
            low, high = _ends(X[i], eps)
            up += v * low if y[i] > 0 else -v * high
            down += v * high if y[i] > 0 else -v * low
        _check("sum a_i y_i end_i <= 0", all(v <= 0 for v in up))
        _check("sum a_i y_i end_i >= 0", all(v >= 0 for v in down))
        radius = value if claim["kind"] == "box-margin" else eps
        score = 255 * radius.denominator * b
        for j, v in w.items():
            score = score + v * np.where(y * v > 0, *_ends(X[:, j], radius))
    if claim["kind"] == "box":
        losses = sum(r for r in 255 * eps.denominator * scale - y * score if r > 0)
        primal = Fraction(losses, 255 * eps.denominator * scale * n)
        return _check_value(claim, value, primal, Fraction(mass, one * n))
    if claim["kind"] == "box-margin":
        _check("margins > 0", all(m > 0 for m in y * score))
        _check("some multiplier > 0", mass > 0 and not below)
        return _check_value(claim, value, value, value)
    margins = y * (255 * b + sum(v * X[:, j].astype(object) for j, v in w.items()))
    pull = sum((v * y[i] * X[i].astype(object) for i, v in a.items()), np.zeros(d, object))
    reach = max(abs(v) for v in pull)
    if claim["kind"] == "minimum":
        _check("|sum a_i y_i x_i| <= eps sum a_i", reach <= 255 * eps * mass)
        top = 255 * (eps.denominator * scale + eps.numerator * norm)
        losses = sum(r for r in top - eps.denominator * margins if r > 0)
        primal = Fraction(losses, 255 * eps.denominator * scale * n)
        dual = Fraction(mass, one * n)
    else:
        _check("kind", claim["kind"] == "margin" and eps == 0 and not below)
        primal, dual = Fraction(min(margins), 255 * norm), Fraction(reach, 255 * mass)
    _check_value(claim, value, primal, dual)


def _ends(x, eps):
    """Lowest and highest value of pixels x (n,) in the box, times eps.denominator: (n,) each."""
    x, move = eps.denominator * x.astype(object), 255 * eps.numerator
    return np.maximum(x - move, 0), np.minimum(x + move, 255 * eps.denominator)


def _check_value(claim, value, primal, dual):
    """Both points have the value that is claimed, and its decimal expansion is right."""
    _check("value of w, b", primal == value)
    _check("value of a", dual == value)
    whole, rest = divmod(value.numerator, value.denominator)
    decimal = f"{whole}.{rest * 10**50 // value.denominator:050d}"
    _check("decimal", claim["decimal"] == decimal)


def _check(name, holds):
    """Raise CertificateError unless what is claimed holds."""
    if not holds:
        raise CertificateError(f"{name}: the claim is false")
