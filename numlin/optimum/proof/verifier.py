"""Check a certificate of `numlin optimum` with nothing but integers and the data.

This file shares no code with the solver: it reads two IDX files and the certificate, and
multiplies integers. For kind "minimum" it checks, with pixels x_i that are integers over 255,

    0 <= n a_i <= 1,    sum a_i y_i = 0,    |sum a_i y_i x_ij| <= 255 eps sum a_i for all j,
    sum a_i = 1/n sum max(0, 1 + eps ||w||_1 - y_i (w.x_i / 255 + b)) = value.

For every w', b' at all, max(0, r) >= n a_i r gives

    F(w', b') >= sum a_i (1 + eps ||w'||_1 - y_i (w'.x_i / 255 + b')) >= sum a_i,

so the value is the minimum. For kind "margin" it checks

    a_i >= 0,    sum a_i y_i = 0,
    max_j |sum a_i y_i x_ij| / (255 sum a_i) = min_i y_i (w.x_i / 255 + b) / ||w||_1 = value.

No w', b' has a larger margin: the smallest y_i (w'.x_i / 255 + b') is at most the mean of all,
weighted by a_i, and that is at most ||w'||_1 times the left-hand side.
"""

import hashlib
import json
import re
from fractions import Fraction

import numpy as np

from numlin.data import idx
from numlin.support.files import read_whole

LONGEST = 2**23  # bytes of a certificate: 785 weights and multipliers of all digits Python prints
ENTRIES = set(
    "kind digits images labels eps value decimal weights bias scale multipliers multipliers_scale "
    "below sha256".split()
)


class CertificateError(ValueError):
    """A certificate that does not prove what it says; the message names the claim that fails."""


def verify(certificate, images, labels):
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
    content = read_whole(certificate, LONGEST)
    try:
        claim = json.loads(content.decode(), object_pairs_hook=_each_key_once)
        _check_digest(claim)
        _check_form(claim)
        X, y = _samples(claim, idx.read(images), idx.read(labels))
        _check_proof(claim, X, y)
    except CertificateError as error:
        raise CertificateError(f"{certificate}: {error}") from None
    except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError,
            ValueError, ZeroDivisionError) as error:  # fmt: skip
        raise CertificateError(f"{certificate}: not a certificate: {error!r}") from error
    return claim


def _each_key_once(pairs):
    """The object of these pairs, unless a later one would hide an earlier one."""
    found = dict(pairs)
    _check("keys, each once", len(found) == len(pairs))
    return found


def _check_form(claim):
    """Every entry is there, no other is, and each is written in the one way it can be."""
    _check("entries", set(claim) == ENTRIES)
    numbers = [claim[key] for key in ("bias", "scale", "multipliers_scale")]
    for key in ("weights", "multipliers"):
        numbers += [*claim[key], *claim[key].values()]
    _check("whole numbers", all(isinstance(n, str) and n == str(int(n)) for n in numbers))
    for key in ("eps", "value"):
        _check(f"fraction {key}", re.fullmatch(r"\d+(/\d+)?", claim[key], re.ASCII))
        _check(f"fraction {key}", claim[key] == str(Fraction(claim[key])))
    digits = claim["digits"]
    _check("digits", all(type(digit) is int and 0 <= digit <= 9 for digit in digits))
    _check("digits", len(digits) == 2 and digits[0] != digits[1])
    for first, count in claim["below"]:
        _check("runs below", type(first) is type(count) is int and first >= 0 and count > 0)


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

    margins = y * (255 * b + sum(v * X[:, j].astype(object) for j, v in w.items()))
    norm = sum(abs(v) for v in w.values())
    a.update(dict.fromkeys(below, one))
    mass = sum(a.values())
    pull = sum((v * y[i] * X[i].astype(object) for i, v in a.items()), np.zeros(d, object))
    reach = max(abs(v) for v in pull)
    _check("multipliers >= 0", all(v >= 0 for v in a.values()))
    _check("sum a_i y_i = 0", sum(v * y[i] for i, v in a.items()) == 0)
    if claim["kind"] == "minimum":
        _check("multipliers <= 1", all(v <= one for v in a.values()))
        _check("|sum a_i y_i x_i| <= eps sum a_i", reach <= 255 * eps * mass)
        top = 255 * (eps.denominator * scale + eps.numerator * norm)
        losses = sum(r for r in top - eps.denominator * margins if r > 0)
        primal = Fraction(losses, 255 * eps.denominator * scale * n)
        dual = Fraction(mass, one * n)
    else:
        _check("kind", claim["kind"] == "margin" and eps == 0 and not below)
        primal, dual = Fraction(min(margins), 255 * norm), Fraction(reach, 255 * mass)
    _check("value of w, b", primal == value)
    _check("value of a", dual == value)
    whole, rest = divmod(value.numerator, value.denominator)
    decimal = f"{whole}.{rest * 10**50 // value.denominator:050d}"
    _check("decimal", claim["decimal"] == decimal)


def _check(name, holds):
    """Raise CertificateError unless what is claimed holds."""
    if not holds:
        raise CertificateError(f"{name}: the claim is false")
