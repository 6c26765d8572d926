"""Two digits of MNIST, or of the synthetic strokes, as X (n_samples, 784) and y in {-1, +1}.

`find` says where the four files are and that they are the right ones; `load` reads two digits of
them. MNIST is looked for in the folder given, in $NUMLIN_DATA, in the user's cache, and then on
the mirrors. Fashion-MNIST and KMNIST use the same file names, so a file is known by its hash only.
"""

import hashlib
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numlin.data import idx, mirrors, strokes
from numlin.support import arguments, files
from numlin.support.progress import say

ROLES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "test-images": "t10k-images-idx3-ubyte",
    "test-labels": "t10k-labels-idx1-ubyte",
}

CHECKSUMS = """\
440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 9912422 train-images-idx3-ubyte.gz
3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c 28881 train-labels-idx1-ubyte.gz
8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 1648877 t10k-images-idx3-ubyte.gz
f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6 4542 t10k-labels-idx1-ubyte.gz
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db 47040016 train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 60008 train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 7840016 t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 10008 t10k-labels-idx1-ubyte
"""

MNIST = {
    name: (int(n_bytes), sha256) for sha256, n_bytes, name in map(str.split, CHECKSUMS.splitlines())
}
"""Bytes and sha256 of MNIST's own files, packed with gzip and unpacked."""

STRANGERS = {
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d": "Fashion-MNIST's train-images-idx3-ubyte.gz",
    "25c81989df183df01b3e8a0aad5dffbe": "Fashion-MNIST's train-labels-idx1-ubyte.gz",
    "bef4ecab320f06d8554ea6380940ec79": "Fashion-MNIST's t10k-images-idx3-ubyte.gz",
    "bb300cfdad3c16e7a12a480ee83cd310": "Fashion-MNIST's t10k-labels-idx1-ubyte.gz",
    "bdb82020997e1d708af4cf47b453dcf7": "KMNIST's train-images-idx3-ubyte.gz",
    "e144d726b3acfaa3e44228e80efcd344": "KMNIST's train-labels-idx1-ubyte.gz",
    "5c965bf0a639b31b8f53240b1b52f4d7": "KMNIST's t10k-images-idx3-ubyte.gz",
    "7320c461ea6c1c855c0b718fb2a4b134": "KMNIST's t10k-labels-idx1-ubyte.gz",
}
"""md5 of the files that carry the same names."""

DTYPES = tuple(map(np.dtype, ("float32", "float64", "uint8")))

MISSING = "is missing"

NO_MNIST = """\
******************************************************************************
*  SYNTHETIC DIGITS, NOT MNIST. MNIST is not on this machine, and
*  {reason}
*  For MNIST run `numlin data` when there is a network, or name the folder that
*  holds its four files with --data-dir or $NUMLIN_DATA.
******************************************************************************"""


class DatasetError(ValueError):
    """The data is missing or not what it should be; the message says what and how to mend it."""


@dataclass(frozen=True)
class File:
    """What stands where one of MNIST's four files should be: `problem` is empty, or says it all."""

    role: str
    path: Path
    n_bytes: int = 0
    sha256: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """The four files of one dataset, found and verified.

    `name` is "mnist" or "synthetic"; `paths` has one path for each of `ROLES`; `sha256` one hex
    digest for each file name; `note` is a warning to show when "auto" fell back on "synthetic".
    """

    name: str
    paths: dict
    sha256: dict
    note: str = ""


def find(data="auto", data_dir=None):
    """Find, or else download or draw, the four files of a dataset, and verify them.

    Parameters
    ----------
    data : {"auto", "mnist", "synthetic"}
        "auto" is MNIST, or synthetic digits where MNIST is neither on disk nor to be downloaded.
    data_dir : str or Path, optional
        Read MNIST from this folder and look nowhere else. By default the same of $NUMLIN_DATA if
        that is set, else of the user's cache, into which missing files are downloaded.

    Returns
    -------
    Source

    Raises
    ------
    DatasetError
        A file is not MNIST's, is missing from the folder given, or (never with "auto") cannot be
        downloaded.
    OSError
        The user's cache cannot take what was downloaded.
    """
    arguments.check_choice("data", data, ("auto", "mnist", "synthetic"))
    if data == "synthetic":
        return _synthetic()
    folder = mnist_folder(data_dir)
    try:
        named = data_dir is not None or os.environ.get("NUMLIN_DATA")
        found = status(folder) if named else download(folder)
    except mirrors.DownloadError as error:
        if data == "auto":
            return _synthetic(NO_MNIST.format(reason=str(error).replace("; ", "\n*    ")))
        raise DatasetError(f"{error}; go online, or name MNIST's folder with --data-dir") from error
    _refuse(found)
    paths = {file.role: file.path for file in found}
    return Source("mnist", paths, {file.path.name: file.sha256 for file in found})


def load(split="train", digits=(0, 1), dtype=np.float32, source=None):
    """Load two digits of a split, in the order of the file.

        X = pixels / 255,    y = -1 for the first digit, +1 for the second

    Parameters
    ----------
    split : {"train", "test"}
    digits : pair of int
        Two different digits out of 0 to 9.
    dtype : {float32, float64, uint8}
        uint8 gives the pixels as they are, 0 to 255.
    source : Source, optional
        What `find` returned; by default it is asked here, and its warning goes to standard error.

    Returns
    -------
    X : ndarray of dtype (n_samples, n_features)
        One image a row, its own rows one after the other; 784 features in [0, 1], each the
        multiple of 1/255 rounded to nearest.
    y : ndarray of int8 (n_samples,)

    Raises
    ------
    ValueError
        An argument is not one of the above.
    DatasetError
        The images are not uint8, images and labels do not belong together, a label is no digit, or
        there is no image of one of the digits.
    IdxError
        A file is damaged.
    """
    arguments.check_choice("split", split, ("train", "test"))
    dtype = np.dtype(dtype)
    arguments.check_choice("dtype", dtype, DTYPES)
    if len(digits) != 2 or digits[0] == digits[1] or not all(d in range(10) for d in digits):
        raise ValueError(f"digits: found {digits}, expected two different ones from 0 to 9")
    if source is None:
        source = find()
        if source.note:
            say(source.note)

    images = idx.read(source.paths[f"{split}-images"])
    labels = idx.read(source.paths[f"{split}-labels"])
    _check_pair(images, labels, *(source.paths[f"{split}-{what}"] for what in ("images", "labels")))
    for digit in digits:
        if digit not in labels:
            raise DatasetError(f"{source.paths[f'{split}-labels']}: found no image of a {digit}")
    chosen = np.flatnonzero(np.isin(labels, digits))
    X = images[chosen].reshape(len(chosen), -1)
    y = np.where(labels[chosen] == digits[1], 1, -1).astype(np.int8)
    return X if dtype == np.uint8 else arguments.pixels(X, dtype), y


def describe(source, digits, y_train, y_test):
    """What was loaded, ready for JSON; y_train (n_train,), y_test (n_test,)."""
    return {
        "name": source.name,
        "digits": [int(digit) for digit in digits],
        "n_train": len(y_train),
        "n_test": len(y_test),
        "sha256": dict(source.sha256),
    }


def mnist_folder(data_dir=None):
    """The folder where MNIST belongs: `data_dir`, else $NUMLIN_DATA, else the user's cache."""
    if data_dir is None:
        data_dir = os.environ.get("NUMLIN_DATA") or _cache() / "mnist"
    return Path(data_dir)


def status(folder):
    """Look at MNIST's four files, packed or unpacked, in a folder: a list of File, by `ROLES`."""
    if Path(folder).is_file():
        raise DatasetError(f"{folder}: found a file, expected a folder of MNIST's four files")
    return [_examine(role, Path(folder, name)) for role, name in ROLES.items()]


def download(folder):
    """Fetch what a folder lacks of MNIST's four files from the mirrors; return its `status`.

    Raises
    ------
    DatasetError
        A file that is there is not MNIST's; nothing is downloaded then.
    DownloadError
        No mirror served a file.
    OSError
        The folder cannot be written.
    """
    found = status(folder)
    missing = [file.path for file in found if file.problem == MISSING]
    _refuse([file for file in found if file.problem != MISSING])
    order = mirrors.MIRRORS
    for path in missing:
        served = mirrors.fetch(path.name, path, *MNIST[path.name], mirrors=order)
        order = sorted(order, key=lambda mirror: mirror != served)
    return status(folder) if missing else found


def _examine(role, unpacked):
    """The File at `unpacked`, or at the packed name beside it, which goes first."""
    packed = unpacked.with_name(f"{unpacked.name}.gz")
    path = unpacked if unpacked.is_file() and not packed.is_file() else packed
    if not path.is_file():
        return File(role, path, problem=MISSING)
    n_bytes, sha256 = path.stat().st_size, files.sha256(path)
    return File(role, path, n_bytes, sha256, _problem(path, n_bytes, sha256))


def _problem(path, n_bytes, sha256):
    """What is wrong with the file at `path`; empty for MNIST's own."""
    expected_bytes, expected = MNIST[path.name]
    if sha256 == expected:
        return ""
    known = {digest: f"MNIST's {name}" for name, (_, digest) in MNIST.items()} | STRANGERS
    with open(path, "rb") as stream:
        md5 = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    for digest in (sha256, md5):
        if digest in known:
            return f"is {known[digest]}, not MNIST's {path.name}"
    if n_bytes < expected_bytes:
        return f"is partial, or another file: found {n_bytes:,} bytes, expected {expected_bytes:,}"
    return (
        f"is not MNIST's: found {n_bytes:,} bytes of sha256 {sha256[:12]}..., "
        f"expected {expected_bytes:,} of {expected[:12]}..."
    )


def _refuse(files):
    """Raise DatasetError when any of the files has a problem."""
    wrong = [file for file in files if file.problem]
    if wrong:
        folder = wrong[0].path.parent
        problems = ", ".join(f"{file.path.name} {file.problem}" for file in wrong)
        raise DatasetError(
            f"{folder}: {problems}; delete any wrong file, "
            f"then `numlin data --data-dir {folder}` downloads what is missing"
        )


def _synthetic(note=""):
    """The synthetic digits, drawn unless the cache has them whole as this version drew them.

    Drawing again writes the same bytes, so two processes may both do it.
    """
    try:
        folder = _cache() / f"synthetic-{files.sha256(strokes.__file__)[:12]}"
        if not (sha256 := _drawn(folder)):
            with files.staging(folder) as new:
                strokes.write_dataset(new)
            sha256 = _drawn(folder)
    except (DatasetError, OSError):  # there is no cache, or none that takes them
        sha256 = {}
    if not sha256:
        folder = files.scratch() / "synthetic"
        with files.staging(folder) as new:
            strokes.write_dataset(new)
        sha256 = _drawn(folder)
    paths = {role: folder / f"{name}.gz" for role, name in ROLES.items()}
    return Source("synthetic", paths, sha256, note)


def _drawn(folder):
    """{file: sha256} of the four drawn files if they are in `folder` as they were written there."""
    _, known = files.manifest(folder)
    with suppress(OSError):
        found = {f"{name}.gz": files.sha256(folder / f"{name}.gz") for name in ROLES.values()}
        if all({sha256} == known.get(name) for name, sha256 in found.items()):
            return found
    return {}


def _cache():
    """The folder for numlin's data in the user's cache."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named) / "numlin"
    usual = {"darwin": "Library/Caches", "win32": "AppData/Local"}
    try:
        return Path.home() / usual.get(sys.platform, ".cache") / "numlin"
    except RuntimeError:
        raise DatasetError("no home folder: name one for data in $XDG_CACHE_HOME") from None


def _check_pair(images, labels, images_path, path):
    """Raise DatasetError unless they are uint8 images (n, ...) and n labels from 0 to 9."""
    if images.dtype != np.uint8 or images.ndim < 2 or 0 in images.shape:
        found = f"{images.dtype} of shape {images.shape}"
        raise DatasetError(
            f"{images_path}: found {found}, expected uint8 images (n, height, width)"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        found = f"{labels.dtype} of shape {labels.shape}"
        raise DatasetError(f"{path}: found {found}, expected integer labels (n,)")
    if len(images) != len(labels):
        raise DatasetError(f"{path}: found {len(labels)} labels, expected {len(images)}")
    wrong = np.flatnonzero((labels < 0) | (labels > 9))
    if wrong.size:
        raise DatasetError(f"{path}: found label {labels[wrong[0]]} at {wrong[0]}, expected 0 to 9")
