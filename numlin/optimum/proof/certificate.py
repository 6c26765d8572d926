"""Certificates: a proof written down so that anybody can check it from the data alone.

A certificate is a small JSON file. It names the data by hash and holds a primal and a dual point
of equal value, as integers over a common denominator; `numlin.optimum.proof.verifier` checks it and
shares no code with what found it.

    kind               "minimum" of the robust hinge at eps, or l-inf "margin"
    digits             the class -1 and the class +1; samples count from 0 in the order of the file
    images, labels     sha256 of the items of the two IDX files
    eps, value         fractions; decimal is value cut off after 50 places
    weights, bias      numerators over scale: {pixel: numerator}, pixels not named are 0
    multipliers        numerators of n a_i over multipliers_scale: {sample: numerator}
    below              [first sample, number of samples] of each run with n a_i = 1
    sha256             of the rest, as JSON with sorted keys and no spaces
"""

import hashlib
import json

import numpy as np

from numlin.optimum.proof.rational import decimal
from numlin.support.files import write_json

PLACES = 50


def write(path, proof, digits, images, labels):
    """Write the certificate of a `Proof` for two digits of the IDX arrays `images`, `labels`.

    `images` is (n, height, width) and `labels` (n,), both uint8, as read from their files.
    """
    body = {
        "kind": proof.kind,
        "digits": [int(digit) for digit in digits],
        "images": hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
        "labels": hashlib.sha256(np.ascontiguousarray(labels)).hexdigest(),
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
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    write_json(path, body)


def _runs(numbers):
    """Increasing numbers (n,) as [first, count] of each run of neighbours."""
    numbers = np.asarray(numbers, int)
    starts = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
    counts = np.diff(starts, append=len(numbers))
    return [[int(numbers[s]), int(c)] for s, c in zip(starts, counts, strict=True)]
