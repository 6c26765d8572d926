"""Change IDX files, models and certificates at random, and judge what is made of them by oracles.

An oracle shares no code with what it judges: IDX is read by `struct` and `gzip`, models by NumPy
alone, and a certificate that is accepted must survive sums of Fractions, one term at a time.

    python tests/fuzz.py --minutes 10 [--seed 0]
"""

import argparse
import gzip
import hashlib
import io
import json
import math
import random
import struct
import tempfile
import time
import zipfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from numlin import optimum
from numlin.data import idx
from numlin.model import LinearClassifier
from numlin.optimum.proof import certificate, rational, verifier

INTERESTING = [0, 1, 2, 3, 7, 8, 9, 0x0B, 0x1F, 0x7F, 0x80, 0xFE, 0xFF]


def mutate(content, rng):
    """`content` with bytes changed, cut, doubled, dropped, or another piece of it inserted."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.randrange(len(content) + 1) if rng.random() < 0.5 else rng.randrange(20)
        at, length = min(at, len(content)), rng.choice([1, 1, 2, 4, 30])
        kind = rng.randrange(6)
        if kind == 0:
            content[at : at + 1] = bytes([rng.choice(INTERESTING)])
        elif kind == 1 and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:
            content[at:at] = rng.randbytes(length)
        elif kind == 4:
            content[at:at] = content[at // 2 : at // 2 + length]
        elif rng.random() < 0.3:
            del content[at:]
    return bytes(content)


class Idx:
    """Small arrays of all types, plain and packed."""

    def __init__(self, folder):
        self.path, self.seeds = folder / "file", []
        rng = np.random.default_rng(0)
        for code, dtype in idx.DTYPES.items():
            for shape in ((), (3,), (2, 0), (2, 3, 2)):
                array = rng.integers(0, 100, shape).astype(dtype)
                head = struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *shape)
                self.seeds += [head + array.tobytes(), gzip.compress(head + array.tobytes())]

    def try_one(self, rng):
        content = mutate(rng.choice(self.seeds), rng)
        if rng.random() < 0.3:
            content = gzip.compress(content)
        self.path.write_bytes(content)
        expected = oracle_idx(content)
        try:
            found = idx.read(self.path)
        except idx.IdxError as error:
            assert str(self.path) in str(error)
            # The gzip module forgives zeros after the stream; numlin does not.
            assert expected is None or content.startswith(idx.GZIP_MAGIC), (content, error)
            return False
        shape, items = expected
        assert found.shape == shape and found.flags.carray, content
        assert found.astype(found.dtype.newbyteorder(">")).tobytes() == items, content
        return True


def oracle_idx(content):
    """Shape and items in the file's order, or None."""
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, gzip.zlib.error):
            return None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in (8, 9, 11, 12, 13, 14):
        return None
    n = content[3]
    if n > 64 or len(content) < 4 + 4 * n:
        return None
    shape = struct.unpack(f">{n}I", content[4 : 4 + 4 * n])
    size = {8: 1, 9: 1, 11: 2, 12: 4, 13: 4, 14: 8}[content[2]]
    items = content[4 + 4 * n :]
    if math.prod(max(k, 1) for k in shape) * size >= 2**63:
        return None
    return (shape, items) if len(items) == math.prod(shape) * size else None


class Models:
    """A small model: its bytes, its members and its words changed."""

    def __init__(self, folder):
        self.path = folder / "model.npz"
        X = np.random.default_rng(0).random((20, 5))
        model = LinearClassifier(n_epochs=2, batch_size=5, engine="numpy")
        model.fit(X, np.arange(20) % 2, trained_on={"digits": [0, 1]}).save(self.path)
        self.seed = self.path.read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        with np.load(self.path) as stored:
            self.about = json.loads(str(stored["about"]))

    def try_one(self, rng):
        kind = rng.randrange(4)
        if kind == 0:
            content = mutate(self.seed, rng)
        else:
            members = dict(self.members)
            name = rng.choice(sorted(members))
            members[name] = mutate(members[name], rng)
            if kind == 1:
                about = io.BytesIO()
                np.save(about, json.dumps(self.changed(rng)))
                members["about.npy"] = about.getvalue()
            content = self.packed(members, rng)
        self.path.write_bytes(content)
        try:
            model = LinearClassifier.load(self.path)
        except ValueError as error:
            assert str(self.path) in str(error), (content, error)
            return False
        with np.load(self.path) as stored:
            for name in ("coef_", "intercept_", "classes_"):
                assert np.array_equal(stored[name], getattr(model, name)), (content, name)
        w, b = model.coef_.astype(float)[0], float(model.intercept_[0])
        assert model.coef_.shape == (1, w.size) and np.isfinite(w).all() and math.isfinite(b)
        x = np.linspace(0, 1, w.size)[None]
        with np.errstate(over="ignore"):
            score = float(sum(w * x[0])) + b
            if math.isfinite(score) and abs(score) > 1e-9:
                assert model.predict(x)[0] == model.classes_[int(score > 0)], content
        return True

    def packed(self, members, rng):
        kind = rng.choice([zipfile.ZIP_STORED] * 8 + [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", kind) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    def changed(self, rng):
        about = json.loads(json.dumps(self.about))
        place = rng.choice([about, about["training"], about["trained_on"]])
        values = [None, -1, 0, 1e308, "x", [], {}, [0, 1], True, math.nan, "numpy", "float64"]
        place[rng.choice([*place, "more"])] = rng.choice(values)
        return about


class Certificates:
    """Certificates of a small set with their numbers changed, and their own hash put right."""

    def __init__(self, folder):
        self.path, self.images, self.labels = (folder / n for n in ("c.json", "images", "labels"))
        rng = np.random.default_rng(1)
        y = np.array([3, 7] * 10, np.uint8)
        X = (rng.integers(0, 256, (20, 2, 3)) // (1 + (y == 7)[:, None, None])).astype(np.uint8)
        idx.write(self.images, X)
        idx.write(self.labels, y)
        self.X, self.y = X.reshape(20, 6).tolist(), [1 if label == 7 else -1 for label in y]
        found = optimum.minimise(X.reshape(20, 6), np.array(self.y), 0.1)
        proof = rational.prove(X.reshape(20, 6), np.array(self.y), found)
        certificate.write(self.path, proof, (3, 7), X, y)
        self.seed = json.loads(self.path.read_text())

    def try_one(self, rng):
        claim = json.loads(json.dumps(self.seed))
        for _ in range(rng.choice([1, 1, 2, 3])):
            with suppress(AttributeError, KeyError, TypeError, ValueError):  # changed once already
                self.change(claim, rng)
        claim.pop("sha256", None)
        text = json.dumps(claim, sort_keys=True, separators=(",", ":"))
        claim["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        content = json.dumps(claim).encode()
        if rng.random() < 0.1:
            content = mutate(content, rng)
        self.path.write_bytes(content)
        try:
            verifier.verify(self.path, self.images, self.labels)
        except verifier.CertificateError as error:
            assert str(self.path) in str(error)
            return False
        assert self.is_true(json.loads(content)), content
        return True

    def change(self, claim, rng):
        key = rng.choice(sorted(claim))
        value, numbers = claim[key], ["0", "1", "-1", "2", "1000", "1/3", "01", "+1", " 1", "x"]
        if isinstance(value, dict) and value and rng.random() < 0.8:
            entry = rng.choice(sorted(value))
            kind = rng.randrange(4)
            if kind == 0:
                del value[entry]
            elif kind == 1:
                value[entry] = rng.choice(numbers)
            elif kind == 2:
                value[entry] = str(int(value[entry]) + rng.choice([-1, 1, 10**9]))
            else:
                value[str(rng.randrange(-2, 25))] = value.pop(entry)
        elif isinstance(value, str) and rng.random() < 0.7:
            claim[key] = rng.choice([*numbers, value + "0", value[:-1], "-" + value, "margin"])
        elif isinstance(value, list) and rng.random() < 0.7:
            claim[key] = rng.choice([[], value + value, [[0, 1]], [[0, 20]], value[::-1], [3, 8]])
        elif rng.random() < 0.5:
            factor = rng.choice([-1, 2, 3])  # both points in other units: still true if positive
            for name in ("weights", "multipliers"):
                claim[name] = {j: str(int(v) * factor) for j, v in dict(claim[name]).items()}
            for name in ("bias", "scale", "multipliers_scale"):
                claim[name] = str(int(claim[name]) * factor)
        else:
            claim[key] = rng.choice([None, 0, 1.5, [], {}, "", True])

    def is_true(self, claim):
        """Whether a minimum is one: primal and dual value by sums of Fractions, term by term."""
        eps, value, n = Fraction(claim["eps"]), Fraction(claim["value"]), len(self.y)
        scale, unit = int(claim["scale"]), int(claim["multipliers_scale"])
        w = [Fraction(int(claim["weights"].get(str(j), 0)), scale) for j in range(6)]
        b = Fraction(int(claim["bias"]), scale)
        a = [Fraction(int(claim["multipliers"].get(str(i), 0)), unit) for i in range(n)]
        for first, count in claim["below"]:
            for i in range(first, first + count):
                a[i] = Fraction(1)
        norm, primal, total, balance, pull = sum(map(abs, w)), Fraction(0), 0, 0, [0] * 6
        for i in range(n):
            x = [Fraction(pixel, 255) for pixel in self.X[i]]
            margin = self.y[i] * (sum(u * v for u, v in zip(w, x, strict=True)) + b)
            primal += max(Fraction(0), 1 + eps * norm - margin) / n
            total, balance = total + a[i], balance + a[i] * self.y[i]
            pull = [p + a[i] * self.y[i] * v for p, v in zip(pull, x, strict=True)]
        feasible = balance == 0 and all(abs(p) <= eps * total for p in pull)
        in_range = claim["kind"] == "minimum" and all(0 <= each <= 1 for each in a)
        return feasible and in_range and primal == total / n == value and claim["digits"] == [3, 7]


def fuzz(seconds, seed):
    """Try each kind for its share of `seconds`: {kind: (tried, accepted)}."""
    tally = {}
    for kind in (Idx, Models, Certificates):
        with tempfile.TemporaryDirectory() as folder:
            subject, rng, tried, accepted = kind(Path(folder)), random.Random(seed), 0, 0
            end = time.monotonic() + seconds / 3
            while time.monotonic() < end:
                accepted += subject.try_one(rng)
                tried += 1
        tally[kind.__name__] = tried, accepted
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for kind, (tried, accepted) in fuzz(60 * options.minutes, options.seed).items():
        print(f"{kind}: {tried:,} tried, {accepted:,} accepted, no fault")


if __name__ == "__main__":
    main()
