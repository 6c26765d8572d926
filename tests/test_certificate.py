"""Certificates: what is written verifies, and whatever is changed in it is refused."""

import json
from fractions import Fraction

import numpy as np
import pytest

from numlin import optimum
from numlin.data import idx
from numlin.optimum.proof import certificate, rational, verifier


@pytest.fixture
def files(tmp_path):
    """IDX files of 40 images of 2 x 3 pixels of the digits 3, 5 and 7, and their arrays."""
    rng = np.random.default_rng(8)
    images = rng.integers(0, 256, (40, 2, 3)).astype(np.uint8)
    noise = rng.integers(0, 99, (40, 3))
    labels = (3 + 2 * np.argmax(images[:, 0] + noise, axis=1)).astype(np.uint8)
    idx.write(tmp_path / "images", images)
    idx.write(tmp_path / "labels", labels)
    return tmp_path, images, labels


def written(files, kind, digits=(3, 7)):
    """Path of a certificate of two digits in the files' folder."""
    folder, images, labels = files
    chosen = np.isin(labels, digits)
    X, y = images[chosen].reshape(-1, 6), np.where(labels[chosen] == digits[1], 1, -1)
    if "margin" not in kind:
        proof = rational.prove(
            X, y, optimum.minimise(X, y, 0.1, ball="linf-box" if kind == "box" else "linf")
        )
    else:
        X[:, 0] = np.where(y > 0, X[:, 0] // 2 + 128, X[:, 0] // 2)
        images[chosen] = X.reshape(-1, 2, 3)
        idx.write(folder / "images", images)
        proof = rational.prove_margin(
            X, y, optimum.margin(X, y, ball="linf-box" if kind == "box-margin" else "linf")
        )
    certificate.write(folder / "c.json", proof, digits, images, labels)
    return folder / "c.json", proof


def verify(path):
    return verifier.verify(path, path.parent / "images", path.parent / "labels")


@pytest.mark.parametrize("kind", ["minimum", "box", "margin", "box-margin"])
@pytest.mark.parametrize("digits", [(3, 7), (7, 3)])
def test_a_certificate_is_verified_from_the_files_alone(files, kind, digits):
    path, proof = written(files, kind, digits)
    found = verify(path)
    assert Fraction(found["value"]) == proof.value > 0
    assert tuple(found["digits"]) == digits  # the second is the one with y = +1


@pytest.mark.parametrize("kind", ["minimum", "box", "margin", "box-margin"])
def test_a_certificate_with_any_digit_changed_is_refused(files, kind):
    path, _ = written(files, kind)
    text = path.read_text()
    for place in [i for i, letter in enumerate(text) if letter.isdigit()]:
        path.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
        with pytest.raises(verifier.CertificateError):
            verify(path)


@pytest.mark.parametrize("kind", ["minimum", "box", "margin"])
def test_the_arithmetic_alone_finds_a_changed_number(files, kind, monkeypatch):
    path, _ = written(files, kind)
    monkeypatch.setattr(verifier, "_check_digest", lambda claim: None)
    whole = json.loads(path.read_text())
    verify(path)
    scales = () if "margin" in kind else ("scale", "multipliers_scale")  # a margin has no scale
    for key in ("value", "decimal", "bias", *scales):
        path.write_text(json.dumps(whole | {key: whole[key][:-1] + str(9 - int(whole[key][-1]))}))
        with pytest.raises(verifier.CertificateError):
            verify(path)
    for key in ("weights", "multipliers"):
        for name, number in whole[key].items():
            path.write_text(json.dumps(whole | {key: whole[key] | {name: str(int(number) + 1)}}))
            with pytest.raises(verifier.CertificateError):
                verify(path)


def negated(claim):
    """The same fractions over negative denominators."""
    numbers = {key: str(-int(claim[key])) for key in ("scale", "bias", "multipliers_scale")}
    for key in ("weights", "multipliers"):
        numbers[key] = {name: str(-int(number)) for name, number in claim[key].items()}
    return numbers


def halved(claim):
    """Half of every multiplier: still feasible, but worth half."""
    one = int(claim["multipliers_scale"])
    below = {str(i): str(one) for start, n in claim["below"] for i in range(start, start + n)}
    whole = claim["multipliers"] | below
    return {"multipliers": whole, "below": [], "multipliers_scale": str(2 * one)}


def heavier(claim):
    """One more in the numerator of one multiplier."""
    name, number = next(iter(claim["multipliers"].items()))
    return {"multipliers": claim["multipliers"] | {name: str(int(number) + 1)}}


def moved(signs, amount):
    """Multipliers of two samples with labels `signs` moved by `amount` times the whole."""

    def change(claim, y):
        one = int(claim["multipliers_scale"])
        taken = [i for start, n in claim["below"] for i in range(start, start + n)]
        a = {int(i): int(number) for i, number in claim["multipliers"].items()}
        i = next(i for i in range(len(y)) if i not in taken and y[i] == signs[0])
        j = next(j for j in range(len(y)) if j not in [*taken, i] and y[j] == signs[1])
        a[i] = a.get(i, 0) + int(amount * one)
        a[j] = a.get(j, 0) + (1 if signs[0] != signs[1] else -1) * int(amount * one)
        return {"multipliers": {str(i): str(number) for i, number in a.items()}}

    return change


FORGERIES = [
    (lambda claim, y: negated(claim), "scales"),
    (lambda claim, y: {"below": [[0, 10**6]]}, "runs below"),
    (lambda claim, y: {"weights": claim["weights"] | {"6": "0"}}, "pixels"),
    (lambda claim, y: {"multipliers": claim["multipliers"] | {"99": "0"}}, "samples: "),
    (lambda claim, y: {"below": claim["below"] + claim["below"][:1]}, "each once"),
    (moved((1, 1), 5), "multipliers >= 0"),
    (lambda claim, y: heavier(claim), "sum a_i y_i = 0"),
    (moved((1, -1), 2), "multipliers <= 1"),
    (lambda claim, y: {"eps": "0"}, "<= eps sum a_i"),
    (lambda claim, y: {"kind": "other"}, "kind"),
    (lambda claim, y: {"weights": {}}, "value of w, b"),
    (lambda claim, y: halved(claim), "value of a"),
    (lambda claim, y: {"bias": None}, "whole numbers"),
    (lambda claim, y: {"bias": float(claim["bias"])}, "whole numbers"),
    (lambda claim, y: {"scale": " " + claim["scale"]}, "whole numbers"),
    (lambda claim, y: {"weights": {"0" + j: v for j, v in claim["weights"].items()}}, "whole num"),
    (lambda claim, y: {"multipliers": None}, "not a certificate"),
    (lambda claim, y: {"note": "eps* = 0.4"}, "entries"),
    (lambda claim, y: {"eps": "2/20"}, "fraction eps"),
    (lambda claim, y: {"eps": "1e999999999"}, "fraction eps"),
    (lambda claim, y: {"eps": float("inf")}, "not a certificate"),
    (lambda claim, y: {"digits": [3.0, 7.0]}, "digits"),
    (lambda claim, y: {"digits": [3, 3]}, "digits"),
    (lambda claim, y: {"digits": [3, 9]}, "images of both digits"),
    (lambda claim, y: {"below": [[0, 10**6], [0, -(10**6)]]}, "runs below"),
    (lambda claim, y: {"below": [[0, False]]}, "runs below"),
    (lambda claim, y: {"decimal": claim["decimal"] + " "}, "decimal"),
    (lambda claim, y: {"decimal": "0_" + claim["decimal"][2:]}, "decimal"),
    (lambda claim, y: {"decimal": "0."}, "decimal"),
]
MARGIN_FORGERIES = [
    (lambda claim: {"eps": "1"}, "kind"),
    (lambda claim: {"below": [[0, 1]]}, "kind|each once|sum a_i y_i"),
    (lambda claim: {"kind": "minimum"}, "."),
    (lambda claim: {"multipliers": dict.fromkeys(claim["multipliers"], "1")}, "."),
]


BOX_FORGERIES = [
    (moved((1, 1), 5), "multipliers >= 0"),
    (lambda claim, y: heavier(claim), "sum a_i y_i = 0"),
    (moved((1, -1), 2), "multipliers <= 1"),
    (lambda claim, y: {"eps": "0"}, "end_i <= 0"),
    (lambda claim, y: {"eps": "1"}, "value of w, b"),
    (lambda claim, y: {"kind": "minimum"}, "value of w, b"),
    (lambda claim, y: {"weights": {}}, "value of w, b"),
    (lambda claim, y: halved(claim), "value of a"),
]
INTERVAL_FORGERIES = [
    (lambda claim, y: {"value": claim["eps"]}, "margins > 0"),
    (lambda claim, y: {"weights": {}}, "margins > 0"),
    (lambda claim, y: {"eps": claim["value"]}, "end_i"),
    (lambda claim, y: heavier(claim), "sum a_i y_i = 0"),
    (lambda claim, y: {"multipliers": {}}, "some multiplier"),
    (lambda claim, y: {"kind": "box"}, "value of"),
    (lambda claim, y: {"decimal": "0.1"}, "decimal"),
]


@pytest.mark.parametrize(
    "kind, forge, message",
    [("minimum", *forgery) for forgery in FORGERIES]
    + [("box", *one) for one in BOX_FORGERIES]
    + [("box-margin", *one) for one in INTERVAL_FORGERIES],
    ids=lambda value: str(value)[:20],
)
def test_a_forged_certificate_is_refused_for_what_is_false(
    files, monkeypatch, kind, forge, message
):
    path, _ = written(files, kind)
    monkeypatch.setattr(verifier, "_check_digest", lambda claim: None)
    claim, labels = json.loads(path.read_text()), files[2]
    path.write_text(json.dumps(claim | forge(claim, np.where(labels == 7, 1, -1)[labels != 5])))
    with pytest.raises(verifier.CertificateError, match=message):
        verify(path)


def test_a_certificate_of_other_data_is_refused(files):
    path, _ = written(files, "minimum")
    labels = files[2].copy()
    labels[0] = 5 if labels[0] != 5 else 3
    idx.write(path.parent / "labels", labels)
    with pytest.raises(verifier.CertificateError, match="labels"):
        verify(path)
