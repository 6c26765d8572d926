"""Certificates written by hand for a few pixels: each false one is refused by one condition alone.

A forgery is a claim that is false, or not in form, and that every condition of the verifier but one
lets pass: with that condition off it would be believed, which is checked too. So no condition can
go, and none can be weakened, without a lie that is believed.
"""

import hashlib
import json
import re
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from numlin.data import idx
from numlin.optimum.proof import certificate, verifier


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def decimal(value):
    return f"{value.numerator // value.denominator}." + str(
        10**50 + value.numerator % value.denominator * 10**50 // value.denominator
    ).removeprefix("1")


class Claim:
    """Images (n,) or (n, d) of digits 3 (-) and 7 (+) and what is claimed of them."""

    def __init__(self, signs, images, **entries):
        self.labels = np.array([7 if sign == "+" else 3 for sign in signs], np.uint8)
        self.images = np.array(images, np.uint8).reshape(len(signs), 1, -1)
        value = Fraction(entries.pop("value"))
        self.body = {
            "kind": "minimum", "data": "", "digits": [3, 7], "eps": "0",
            "value": str(value), "decimal": decimal(value),
            "weights": {}, "bias": "0", "scale": "1",
            "multipliers": {}, "multipliers_scale": "1", "below": [],
        } | entries  # fmt: skip

    def written(self, folder, repeat=""):
        """Paths of the certificate, the images, the labels; `repeat` is a key to be there twice."""
        body = {"images": sha(self.images), "labels": sha(self.labels)} | self.body
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        sealed = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest()} | body)
        if repeat:
            sealed = sealed.replace(f'"{repeat}":', f'"{repeat}": "a lie", "{repeat}":')
        (folder / "c.json").write_text(sealed)
        idx.write(folder / "images", self.images)
        idx.write(folder / "labels", self.labels)
        return folder / "c.json", folder / "images", folder / "labels"


ALL = {"below": [[0, 2]], "value": 1}  # w = 0, b = 0 and every n a_i = 1: "the minimum is 1"

TRUE = {
    "a minimum of 1 where the means agree": Claim(
        "-+-+", [0, 0, 255, 255], below=[[0, 4]], value=1
    ),
    "at eps = 1/2 the balls of 0 and 255 touch": Claim("-+", [0, 255], eps="1/2", **ALL),
    "and the other way round": Claim("-+", [255, 0], eps="1/2", **ALL),
    "2/3 by a bias": Claim(
        "-++", [9, 9, 9], bias="1", value="2/3", multipliers={"1": "1", "2": "1"},
        multipliers_scale="2", below=[[0, 1]],
    ),
    "0 where a hyperplane separates": Claim(
        "-+", [0, 255], eps="1/4", weights={"0": "4"}, bias="-2", value=0
    ),
    "a margin": Claim(
        "-+", [0, 102], kind="margin", weights={"0": "5"}, bias="-1", scale="5",
        multipliers={"0": "1", "1": "1"}, value="1/5",
    ),
    "a margin the other way round": Claim(
        "-+", [102, 0], kind="margin", weights={"0": "-5"}, bias="1", scale="5",
        multipliers={"0": "1", "1": "1"}, value="1/5",
    ),
    "in the box": Claim("-+", [0, 255], kind="box", eps="1/2", **ALL),
    "in the box, the other way round": Claim("-+", [255, 0], kind="box", eps="1/2", **ALL),
    "a margin in the box": Claim(
        "-+", [0, 255], kind="box-margin", eps="1/2", value="49/100", weights={"0": "2"},
        bias="-1", multipliers={"0": "1", "1": "1"},
    ),
    "a margin in the box, the other way round": Claim(
        "+-", [0, 255], kind="box-margin", eps="1/2", value="49/100", weights={"0": "-2"},
        bias="1", multipliers={"0": "1", "1": "1"},
    ),
}  # fmt: skip

# Black and white beside it: at eps = 2/5 only what is cut off at 0 and 1 tells these apart.
CUT = {"kind": "box", "eps": "2/5", "below": [[0, 8]], "value": 1}
FORGED = {  # the condition that refuses it, and the claim
    "reach: the minimum is 0": ("|sum", Claim("-+", [0, 255], eps="499/1000", **ALL)),
    "reach, below": ("|sum", Claim("-+", [255, 0], eps="499/1000", **ALL)),
    "reach of one pixel of three": (
        "|sum", Claim("-+", [[9, 0, 9], [9, 255, 9]], eps="499/1000", **ALL)
    ),
    "multipliers below 0: the minimum is 0": (
        "multipliers >= 0",
        Claim(
            "--+", [0, 100, 200], weights={"0": "51"}, bias="-20", scale="20", value="1/3",
            multipliers={"0": "-1", "2": "1"}, multipliers_scale="2", below=[[1, 1]],
        ),
    ),
    "multipliers above 1: the minimum is 2/3": (
        "multipliers <= 1",
        Claim("-++", [0, 0, 0], bias="-1", value="4/3", multipliers={"0": "2"}, below=[[1, 2]]),
    ),
    "one class heavier: the minimum is 2/3": (
        "sum a_i y_i", Claim("-++", [0, 0, 0], value=1, below=[[0, 3]])
    ),
    "a classifier that does not attain it": (
        "value of w, b",
        Claim(
            "-++", [9, 9, 9], value="2/3", multipliers={"1": "1", "2": "1"},
            multipliers_scale="2", below=[[0, 1]],
        ),
    ),
    "no multipliers": ("value of a", Claim("-+", [0, 255], value=1)),
    "half of the multipliers": (
        "value of a",
        Claim("-+", [0, 255], value=1, eps="1/2", multipliers={"0": "1", "1": "1"},
              multipliers_scale="2"),
    ),
    "a negative scale: the minimum is 1": (
        "scales", Claim("-+-+", [0, 0, 255, 255], scale="-1", value=0)
    ),
    "a negative scale of multipliers": (
        "scales",
        Claim("-+", [0, 255], weights={"0": "2"}, bias="-1", multipliers_scale="-1", value=0),
    ),
    "one sample under two names: the minimum is 2/3": (
        "samples: ",
        Claim("-++", [0, 0, 0], bias="-1", value="4/3", multipliers={"-3": "1"}, below=[[0, 3]]),
    ),
    "one pixel under two names": (
        "pixels",
        Claim("-+", [[9, 0], [9, 255]], weights={"1": "1", "-1": "1"}, bias="-1", value=0),
    ),
    "a sample in two runs": (
        "each once",
        Claim("-++", [9, 9, 9], bias="1", value="2/3", multipliers={"1": "1", "2": "1"},
              multipliers_scale="2", below=[[0, 1], [0, 1]]),
    ),
    "a sample in a run and by name": (
        "each once",
        Claim("-+", [0, 255], eps="1/2", value=1, below=[[0, 2]], multipliers={"0": "1"}),
    ),
    "a run of none": (
        "runs below", Claim("-+", [0, 255], value=1, eps="1/2", below=[[0, 2], [2, 0]])
    ),
    "a run of True": (
        "runs below", Claim("-+", [0, 255], value=1, eps="1/2", below=[[0, True], [1, True]])
    ),
    "one digit twice": ("digits", Claim("++", [0, 255], digits=[7, 7], bias="1", value=0)),
    "a digit that is 3.0": ("digits", Claim("-+", [0, 255], digits=[3.0, 7], eps="1/2", **ALL)),
    "a digit of which there are none": (
        "images of both digits", Claim("++", [0, 255], bias="1", value=0)
    ),
    "the other digit of which there are none": (
        "images of both digits", Claim("--", [0, 255], bias="-1", value=0)
    ),
    "data with a line of its own": (
        "data", Claim("-+", [0, 255], data="MNIST\nholds", eps="1/2", **ALL)
    ),
    "data without end": ("data", Claim("-+", [0, 255], data="x" * 1000, eps="1/2", **ALL)),
    "a decimal rounded": ("decimal", Claim("-++", [9, 9, 9], bias="1", value="2/3",
        multipliers={"1": "1", "2": "1"}, multipliers_scale="2", below=[[0, 1]],
        decimal="0." + 49 * "6" + "7")),
    "an entry more": ("entries", Claim("-+", [0, 255], note="", eps="1/2", **ALL)),
    "a number with a plus": ("whole numbers", Claim("-+", [0, 255], bias="+0", eps="1/2", **ALL)),
    "a scale with a zero": ("whole numbers", Claim("-+", [0, 255], scale="01", eps="1/2", **ALL)),
    "a pixel with a zero": (
        "whole numbers", Claim("-+", [0, 255], weights={"00": "0"}, eps="1/2", **ALL)
    ),
    "a sample with a zero": (
        "whole numbers",
        Claim("-+", [0, 255], multipliers={"01": "1"}, below=[[0, 1]], eps="1/2", value=1),
    ),
    "an eps that can be reduced": ("fraction eps", Claim("-+", [0, 255], eps="2/4", **ALL)),
    "a value that can be reduced": ("fraction value", Claim("-+", [0, 255], eps="1/2", **ALL)),
    # The margin: each claims less than there is.
    "margin: one class heavier": (
        "sum a_i y_i",
        Claim("--+", [0, 100, 200], kind="margin", weights={"0": "255"}, bias="-200",
              multipliers={"1": "2", "2": "1"}, value=0),
    ),
    "margin: multipliers below 0": (
        "multipliers >= 0",
        Claim("--+", [0, 100, 200], kind="margin", weights={"0": "255"}, bias="-200",
              multipliers={"0": "-1", "1": "2", "2": "1"}, value=0),
    ),
    "margin: another classifier has more": (
        "value of a",
        Claim("-+", [0, 102], kind="margin", weights={"0": "1"},
              multipliers={"0": "1", "1": "1"}, value=0),
    ),
    "margin: this classifier has less": (
        "value of w, b",
        Claim("-+", [0, 102], kind="margin", weights={"0": "1"},
              multipliers={"0": "1", "1": "1"}, value="1/5"),
    ),
    "margin: with an eps": (
        "kind",
        Claim("-+", [0, 102], kind="margin", weights={"0": "5"}, bias="-1", scale="5", eps="1",
              multipliers={"0": "1", "1": "1"}, value="1/5"),
    ),
    "margin: with runs": (
        "kind",
        Claim("-+", [0, 102], kind="margin", weights={"0": "5"}, bias="-1", scale="5",
              below=[[0, 2]], value="1/5"),
    ),
    "margin: of another kind": (
        "kind",
        Claim("-+", [0, 102], kind="maximum", weights={"0": "5"}, bias="-1", scale="5",
              multipliers={"0": "1", "1": "1"}, value="1/5"),
    ),
    # In the box.
    "box: ends above": (
        "end_i <= 0", Claim("-+", [0, 255], kind="box", eps="499/1000", **ALL)
    ),
    "box: ends below": (
        "end_i >= 0", Claim("-+", [255, 0], kind="box", eps="499/1000", **ALL)
    ),
    "box: ends above of one pixel of three": (
        "end_i <= 0",
        Claim("-+", [[9, 0, 9], [9, 255, 9]], kind="box", eps="499/1000", **ALL),
    ),
    "box: ends below of one pixel of three": (
        "end_i >= 0",
        Claim("-+", [[9, 255, 9], [9, 0, 9]], kind="box", eps="499/1000", **ALL),
    ),
    "box: ends beyond 1": (
        "end_i <= 0", Claim("++++----", [255] * 4 + [0, 0, 0, 255], **CUT)
    ),
    "box: ends beyond 0": ("end_i >= 0", Claim("++++----", [0] * 4 + [255] * 3 + [0], **CUT)),
    "box: multipliers below 0": (
        "multipliers >= 0",
        Claim(
            "--+", [0, 100, 200], kind="box", weights={"0": "51"}, bias="-20", scale="20",
            value="1/3", multipliers={"0": "-1", "2": "1"}, multipliers_scale="2", below=[[1, 1]],
        ),
    ),
    "box: multipliers above 1": (
        "multipliers <= 1",
        Claim("-++", [0, 0, 0], kind="box", bias="-1", value="4/3", multipliers={"0": "2"},
              below=[[1, 2]]),
    ),
    "box: one class heavier": (
        "sum a_i y_i", Claim("-++", [0, 0, 0], kind="box", value=1, below=[[0, 3]])
    ),
    "box: a classifier that does not attain it": (
        "value of w, b",
        Claim("-++", [9, 9, 9], kind="box", value="2/3", multipliers={"1": "1", "2": "1"},
              multipliers_scale="2", below=[[0, 1]]),
    ),
    "box: no multipliers": ("value of a", Claim("-+", [0, 255], kind="box", value=1)),
    "box margin: no weights": (
        "margins > 0",
        Claim("-+", [0, 255], kind="box-margin", eps="1/2", value="49/100",
              multipliers={"0": "1", "1": "1"}),
    ),
    "box margin: of one image": (
        "margins > 0",
        Claim("-++", [0, 255, 0], kind="box-margin", eps="1/2", value="49/100",
              weights={"0": "2"}, bias="-1", multipliers={"0": "1", "1": "1"}),
    ),
    "box margin: at the radius where it is 0": (
        "margins > 0",
        Claim("-+", [0, 255], kind="box-margin", eps="1/2", value="1/2", weights={"0": "2"},
              bias="-1", multipliers={"0": "1", "1": "1"}),
    ),
    "box margin: no multipliers": (
        "some multiplier",
        Claim("-+", [0, 255], kind="box-margin", eps="499/1000", value="49/100",
              weights={"0": "2"}, bias="-1"),
    ),
    "box margin: with runs": (
        "some multiplier",
        Claim("-+", [0, 255], kind="box-margin", eps="1/2", value="49/100", weights={"0": "2"},
              bias="-1", below=[[0, 2]]),
    ),
    "box margin: one class heavier": (
        "sum a_i y_i",
        Claim("-+", [0, 255], kind="box-margin", eps="499/1000", value="49/100",
              weights={"0": "2"}, bias="-1", multipliers={"0": "1"}),
    ),
    "box margin: multipliers below 0": (
        "multipliers >= 0",
        Claim("--+", [0, 50, 255], kind="box-margin", eps="401/1000", value="2/5",
              weights={"0": "510"}, bias="-305", multipliers={"0": "-1", "1": "2", "2": "1"}),
    ),
    "box margin: ends above": (
        "end_i <= 0",
        Claim("-+", [0, 255], kind="box-margin", eps="499/1000", value="49/100",
              weights={"0": "2"}, bias="-1", multipliers={"0": "1", "1": "1"}),
    ),
    "box margin: ends below": (
        "end_i >= 0",
        Claim("-+", [255, 0], kind="box-margin", eps="499/1000", value="49/100",
              weights={"0": "-2"}, bias="1", multipliers={"0": "1", "1": "1"}),
    ),
}  # fmt: skip
FORGED["a value that can be reduced"][1].body["value"] = "2/2"


@pytest.mark.parametrize("claim", TRUE.values(), ids=TRUE)
def test_what_is_true_is_believed(tmp_path, claim):
    assert verifier.verify(*claim.written(tmp_path))["value"] == claim.body["value"]


def refused_by(condition, paths, monkeypatch):
    """Check that a certificate is refused by one condition, and believed without that."""
    with pytest.raises(verifier.CertificateError, match=re.escape(condition)):
        verifier.verify(*paths)
    check = verifier._check
    monkeypatch.setattr(
        verifier, "_check", lambda name, holds: check(name, holds or condition in name + ": ")
    )
    verifier.verify(*paths)


@pytest.mark.parametrize("condition, claim", FORGED.values(), ids=FORGED)
def test_what_is_false_is_refused_by_one_condition_and_believed_without_it(
    tmp_path, monkeypatch, condition, claim
):
    paths = claim.written(tmp_path)
    refused_by(condition, paths, monkeypatch)


@pytest.mark.parametrize("condition, change", [
    ("sha256 of the images", lambda claim: claim.images.__setitem__((0, 0, 1), 8)),
    ("sha256 of the labels", lambda claim: claim.labels.__setitem__(slice(None), [7, 3])),
    ("sha256: ", lambda claim: None),
    ("keys", lambda claim: None),
])  # fmt: skip
def test_other_data_and_what_was_edited_are_refused_although_the_numbers_hold(
    tmp_path, monkeypatch, condition, change
):
    # Symmetric, and with a pixel that no weight sees: the arithmetic holds for either data.
    claim = Claim("-+", [[0, 9], [255, 9]], eps="1/2", **ALL)
    paths = claim.written(tmp_path, repeat="bias" if condition == "keys" else "")
    if condition == "sha256: ":
        paths[0].write_text(paths[0].read_text().replace('"data": ""', '"data": "MNIST"'))
    change(claim)
    idx.write(paths[1], claim.images)
    idx.write(paths[2], claim.labels)
    refused_by(condition, paths, monkeypatch)


@pytest.mark.parametrize("images", [
    np.array([[[0]], [[255]]], np.int16), np.array([[[0]], [[255]], [[7]]], np.uint8)
], ids=["not uint8", "more images than labels"])  # fmt: skip
def test_images_that_are_no_bytes_or_too_many_are_refused(tmp_path, images):
    claim = Claim("-+", [0, 255], eps="1/2", **ALL)
    paths = claim.written(tmp_path)
    claim.images = images
    paths = claim.written(tmp_path)
    with pytest.raises(verifier.CertificateError, match="uint8 images, one a label"):
        verifier.verify(*paths)


@pytest.mark.parametrize(
    "changes, condition",
    [
        ({"below": [[0, 10**6]]}, "runs below"),  # before they are counted out
        ({"digits": [3, 7, 9]}, "digits"),
        ({"multipliers": {"2": "0"}}, "samples: "),
        ({"weights": {"1": "0"}}, "pixels"),
        ({"eps": "1e9"}, "fraction eps"),
        ({"eps": "-1/2"}, "fraction eps"),
        ({"value": "\u0661"}, "fraction value"),  # an Arabic 1
        ({"multipliers": {"0": "0", "1": 1}}, "whole numbers"),
    ],
)
def test_what_could_not_be_computed_with_is_refused_first(tmp_path, changes, condition):
    claim = Claim("-+", [0, 255], **{"eps": "1/2"} | ALL)
    claim.body |= changes
    with pytest.raises(verifier.CertificateError, match=condition):
        verifier.verify(*claim.written(tmp_path))


def test_a_certificate_says_what_was_proved_of_which_data(tmp_path):
    claim = Claim("-++", [9, 9, 9], bias="1", value="2/3", multipliers={"1": "1", "2": "1"},
                  multipliers_scale="2", below=[[0, 1]], data="my set")  # fmt: skip
    expected, images, labels = claim.written(tmp_path)
    proof = SimpleNamespace(
        kind="minimum", eps=Fraction(0), value=Fraction(2, 3), weights={}, bias=1, scale=1,
        multipliers={1: 1, 2: 1}, multipliers_scale=2, below=[0],
    )  # fmt: skip
    arrays = claim.images, claim.labels
    certificate.write(tmp_path / "w.json", proof, (3, 7), *arrays, "my set")
    written = json.loads((tmp_path / "w.json").read_text())
    assert written == json.loads(expected.read_text())
    assert verifier.verify(tmp_path / "w.json", images, labels) == written
    third, seventh = Fraction(1, 3), Fraction(1, 7)
    found = (
        [third, seventh],
        [2 * third, 1 + 0 * third, 0 * third],
        [0 * third, third, 22 * seventh],
    )
    path_claim = {"kind": "path", "low": "0"}
    certificate.write_path(tmp_path / "p.json", path_claim, found, (3, 7), *arrays, "my set")
    written = json.loads((tmp_path / "p.json").read_text())
    assert (written["data"], written["digits"], written["eps"]) == (
        "my set",
        [3, 7],
        ["1/3", "1/7"],
    )
    assert written["hinge"] == [decimal(Fraction(v)) for v in found[1]]
    assert written["l1"] == [decimal(Fraction(v)) for v in found[2]]


def test_every_condition_has_its_forgery():
    with open(verifier.__file__) as file:
        names = {line.split('"')[1] for line in file if "_check(" in line and '"' in line}
    seen = [condition for condition, _ in FORGED.values()]
    seen += ["fraction {key}", "sha256 of the {name}", "sha256", "keys", "uint8 images"]
    assert [n for n in names if not any(s.strip(": ") in n for s in seen)] == []
