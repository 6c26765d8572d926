"""Data that several test files share."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from side_by_side import pytest_runtestloop  # noqa: F401, pytest finds it here

from numlin.data import datasets, idx, strokes
from numlin.model import LinearClassifier
from numlin.studies import article

TOP = Path(__file__).parent.parent
sys.path.append(str(TOP))  # for bench; last, so that an installed numlin is the one that is tested
for name in ("SIGINT", "SIGHUP", "SIGTERM"):  # nohup and jobs in the background ignore some
    if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
        handler = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        signal.signal(getattr(signal, name), handler)

needs_jit = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"),
    reason="NUMBA_DISABLE_JIT is set, and interpreted kernels are too slow for whole data sets",
)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Every test's user cache is a new empty folder, never the user's own."""
    before = datasets.data_folder()
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.delenv("NUMLIN_DATA", raising=False)
        yield before


@pytest.fixture(scope="session")
def mnist(cache):
    """MNIST from $NUMLIN_DATA or the user's cache; tests never download it."""
    if any(file.problem == datasets.MISSING for file in datasets.status(cache)):
        pytest.skip(f"real MNIST is not in {cache}: set NUMLIN_DATA to the folder that holds it")
    return datasets.find("mnist", cache)


@pytest.fixture(scope="session")
def strokes_source(cache):
    """The synthetic digits, drawn once into the tests' own cache."""
    return datasets.find("synthetic")


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.fixture
def blobs(rng):
    """60 samples of 12 pixels, multiples of 1/255: two tell the classes apart, ten hardly do."""
    y = np.where(np.arange(60) % 2, 1, -1)
    contrast = np.where(np.arange(12) < 2, 0.3, 0.06) * np.where(np.arange(12) % 2, 1, -1)
    X = 0.5 + y[:, None] * contrast + rng.normal(0, 0.12, (60, 12))
    return np.rint(np.clip(X, 0, 1) * 255) / 255, y


@pytest.fixture
def small_model(blobs):
    """A regular classifier of `blobs`."""
    return LinearClassifier(n_epochs=20, batch_size=10, engine="numpy").fit(*blobs)


def article_of(images, digits):
    """The article on images(n_samples, labels), 300 of them to train and 60 to test."""

    def load(split, digits, dtype, source):
        labels = np.arange(300 if split == "train" else 60) % 2
        X = np.rint(255 * images(labels).reshape(len(labels), 784)).astype(np.uint8)
        return X if dtype == np.uint8 else (X / 255).astype(dtype), np.int8(2 * labels - 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load", load)
        return article.run(datasets.Source("synthetic", {}, {}), digits, engine="numpy")


@pytest.fixture(scope="session")
def hard():
    """Threes and eights, hardly learned: many mistakes."""
    rng = np.random.default_rng(3)
    return article_of(lambda labels: strokes.draw(np.where(labels, 8, 3), rng) / 255, (3, 8))


DOTTED = ("{}-images.idx3-ubyte", "{}-labels.idx1-ubyte")


def write_set(folder, names, label, n=(120, 60), digits=(3, 7), pack=False):
    """Strokes of `digits`, cut to 20 x 20, labelled by `label`(digits), as four IDX files."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    for split, k in zip(("train", "t10k"), n, strict=True):
        drawn = rng.choice(digits, k)
        images, labels = (name.format(split) for name in names)
        idx.write(folder / images, strokes.draw(drawn, rng)[:, 4:24, 4:24], pack)
        idx.write(folder / labels, label(drawn).astype(np.uint8), pack)
    return folder
