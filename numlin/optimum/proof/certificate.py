"""Certificates: a proof written down so that anybody can check it from the data alone.

A certificate is a small JSON file. It names the data by hash and holds a primal and a dual point
of equal value, as integers over a common denominator; `numlin.optimum.proof.verifier` checks it and
shares no code with what found it.

    kind               "minimum" of the robust hinge at eps, the same in the pixel "box", l-inf
                       "margin", or "box-margin", which lies between value and eps
    digits             the class -1 and the class +1; samples count from 0 in the order of the file
    data               what the data set is called; which it is, the next two alone tell
    images, labels     sha256 of the items of the two IDX files
    eps, value         fractions; decimal is value cut off after 50 places
    weights, bias      numerators over scale: {pixel: numerator}, pixels not named are 0
    multipliers        numerators of n a_i over multipliers_scale: {sample: numerator}
    below              [first sample, number of samples] of each run with n a_i = 1
    sha256             of the rest, as JSON with sorted keys and no spaces

That of a whole "path" holds the digits and hashes, and

    low, high          eps as fractions, or "inf": from where only a bias is left
    basis, below       at high: samples, coordinates (the bias is one past the last pixel), signs
    pivots             [who enters, who leaves, direction]: coordinate j, or -1 - i for sample i
    corners            the pivots at which a classifier is left for another
    eps                from large to small, where this happens: fractions
    hinge, l1          H(v, c) and ||v||_1 of all classifiers, cut off after 50 places
"""

import hashlib
import json
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from numlin.optimum.proof.rational import Proof, decimal
from numlin.optimum.walk import Path
from numlin.support.arguments import Array
from numlin.support.files import FilePath, write_json

PLACES = 50


def write(path: FilePath, proof: Proof, digits: Sequence[int], images: Array, labels: Array,
          data: str = "") -> None:  # fmt: skip
    """Write the certificate of a `Proof` for two digits of the set that is called `data`.

    `images` is (n, height, width) and `labels` (n,), both uint8, as read from their files.
    """
    body = {
        "kind": proof.kind,
        "eps": str(proof.eps),
        "value": str(proof.value),
        "decimal": decimal(proof.value, PLACES),
        "weights": {str(j): str(v) for j, v in sorted(proof.weights.items())},
        "bias": str(proof.bias),
        "scale": str(proof.scale),
        "multipliers": {str(i): str(v) for i, v in sorted(proof.multipliers.items())},
        "multipliers_scale": str(proof.multipliers_scale),
        "below": _runs(proof.below),
    }
    _seal(path, body, digits, images, labels, data)


def path_claim(path: Path) -> dict:
    """What `path_verifier.check` has to know of a `Path` (`numlin.optimum.whole_path`)."""
    basis, below = path.walk.first
    start = path.walk.start
    return {
        "kind": "path",
        "low": str(Fraction(str(path.low))),
        "high": "inf" if start == np.inf else str(Fraction(str(start))),
        "basis": {
            "samples": basis.samples.tolist(),
            "coordinates": basis.coordinates.tolist(),
            "signs": basis.signs.astype(int).tolist(),
        },
        "below": _runs(np.flatnonzero(below)),
        "pivots": path.walk.events,
        "corners": [segment.pivot for segment in path.walk.passed],
    }


def write_path(file: FilePath, claim: dict, proof: tuple[list[Fraction], ...],
               digits: Sequence[int], images: Array, labels: Array,
               data: str = "") -> None:  # fmt: skip
    """Write the certificate of a path: its claim and the (eps, hinge, l1) that `check` returned.

    `images` and `labels` as for `write`. The fractions eps are written as such, the others as
    decimals cut off after some places.
    """
    eps, hinge, l1 = proof
    values = {
        "eps": [str(value) for value in eps],
        "hinge": [decimal(value, PLACES) for value in hinge],
        "l1": [decimal(value, PLACES) for value in l1],
    }
    _seal(file, claim | values, digits, images, labels, data)


def _seal(path, body, digits, images, labels, data):
    """Write a body with the names of its data and its own hash."""
    body = body | {
        "data": data,
        "digits": [int(digit) for digit in digits],
        "images": hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
        "labels": hashlib.sha256(np.ascontiguousarray(labels)).hexdigest(),
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    write_json(path, body)


def _runs(numbers):
    """Increasing numbers (n,) as [first, count] of each run of neighbours."""
    numbers = np.asarray(numbers, int)
    starts = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
    counts = np.diff(starts, append=len(numbers))
    return [[int(numbers[s]), int(c)] for s, c in zip(starts, counts, strict=True)]
