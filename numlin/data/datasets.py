"""Two classes of a data set of images, as X (n_samples, n_features) and y in {-1, +1}.

`find` says where the four files are and whose they are; `load` reads two classes of them. A folder
that is named (an argument, $NUMLIN_DATA) may hold any set: IDX files, whatever their prefix, packed
or not, or an .npz file. MNIST, Fashion-MNIST and KMNIST use the same file names, so a set is known
by its hashes only; one that is not known goes by the name of its folder and by its hash. A set that
is asked for by its name is looked for in the user's cache, and then on its mirrors.
"""

import hashlib
import os
import re
import shlex
import sys
import zipfile
import zlib
from collections.abc import Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from numlin.data import idx, mirrors, strokes
from numlin.support import arguments, files
from numlin.support.arguments import Array
from numlin.support.files import FilePath

ROLES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "test-images": "t10k-images-idx3-ubyte",
    "test-labels": "t10k-labels-idx1-ubyte",
}

TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "kmnist": "KMNIST"}
"""The published sets by their names."""


def _checksums(text: str) -> dict[str, tuple[int, str]]:
    rows = map(str.split, text.splitlines())
    return {name: (int(n_bytes), sha256) for sha256, n_bytes, name in rows}


MNIST = _checksums("""\
440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 9912422 train-images-idx3-ubyte.gz
3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c 28881 train-labels-idx1-ubyte.gz
8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 1648877 t10k-images-idx3-ubyte.gz
f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6 4542 t10k-labels-idx1-ubyte.gz
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db 47040016 train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 60008 train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 7840016 t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 10008 t10k-labels-idx1-ubyte
""")
"""Bytes and sha256 of MNIST's own files, packed with gzip and unpacked."""

FASHION_MNIST = _checksums("""\
3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84 26421880 train-images-idx3-ubyte.gz
a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845 29515 train-labels-idx1-ubyte.gz
346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073 4422102 t10k-images-idx3-ubyte.gz
67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5 5148 t10k-labels-idx1-ubyte.gz
""")
KMNIST = _checksums("""\
51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4 18165135 train-images-idx3-ubyte.gz
e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17 29497 train-labels-idx1-ubyte.gz
edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5 3041136 t10k-images-idx3-ubyte.gz
20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c 5120 t10k-labels-idx1-ubyte.gz
""")
"""Of these two the published, packed files alone are known: unpacked they go by folder and hash."""

FILE = re.compile(
    r"(?P<set>.*?)(?P<split>train|t10k|test)[-_.]?(?P<what>images|labels)"
    r"([-_.]idx\d?([-_.]\w+)?)?(\.gz)?",
    re.IGNORECASE,
)
NPZ = {role: f"{'xy'['labels' in role]}_{role.partition('-')[0]}" for role in ROLES}
"""The arrays of an .npz file, as Keras names them: x_train, y_train, x_test, y_test."""

DTYPES = tuple(map(np.dtype, ("float32", "float64", "uint8")))

MISSING = "is missing"
WAYS_OUT = (
    "go online, or name a folder of data with --data-dir, data_dir= or $NUMLIN_DATA, or ask for "
    "synthetic digits with --data synthetic or source='synthetic'"
)


class DatasetError(ValueError):
    """The data is missing or not what it should be; the message says what and how to mend it."""


class MissingError(DatasetError):
    """Files are missing, and nothing else is wrong."""


@dataclass(frozen=True)
class File:
    """What stands where one of a set's four files should be: `problem` is empty, or says it all."""

    role: str
    path: Path
    n_bytes: int = 0
    sha256: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """The four files of one data set, found and verified.

    `name` is a key of `TITLES`, "synthetic", or what an unknown set is called; `paths` has one path
    for each of `ROLES`; `sha256` one hex digest for each file name; `shape` is that of an image.
    """

    name: str
    paths: dict[str, Path]
    sha256: dict[str, str]
    shape: tuple[int, int] = (28, 28)


def title(name: str) -> str:
    """What the data set of that name is called in front of a result."""
    return "SYNTHETIC DIGITS (not MNIST)" if name == "synthetic" else TITLES.get(name, name)


def find(data: str = "auto", data_dir: FilePath | None = None) -> Source:
    """Find, or else download or draw, the four files of a data set, and verify them.

    Parameters
    ----------
    data : {"auto", "mnist", "fashion-mnist", "kmnist", "synthetic"}
        "auto" is whatever is in the folder that is named, and MNIST where none is.
    data_dir : str or Path, optional
        Use the data of this folder, or of this .npz file, and look nowhere else; FOLDER/PREFIX
        chooses among several sets of one folder. By default the same of $NUMLIN_DATA if that is
        set, else of the user's cache, into which missing files are downloaded.

    Returns
    -------
    Source

    Raises
    ------
    DatasetError
        There is no whole set, it is not the one that was asked for, or it cannot be downloaded.
    OSError
        The user's cache cannot take what was downloaded.
    """
    arguments.check_choice("data", data, ("auto", *TITLES, "synthetic"))
    if data == "synthetic":
        return _synthetic()
    place = data_dir if data_dir is not None else os.environ.get("NUMLIN_DATA") or None
    if place is not None:
        try:
            source = _own(place)
        except ValueError:
            if data != "auto" and arguments.check_path(place).is_dir():
                _refuse(status(arguments.check_path(place), data), data)
            raise
        if data not in ("auto", source.name):
            found = status(source.paths["train-images"].parent, data)
            if source.name not in TITLES:
                _refuse([file for file in found if file.problem != MISSING], data)
            raise DatasetError(f"{place}: found {title(source.name)}, expected {TITLES[data]}")
        return source
    name = "mnist" if data == "auto" else data
    try:
        found = download(data_folder(None, name), name)
    except mirrors.DownloadError as error:
        raise DatasetError(f"{error}; {WAYS_OUT}") from error
    _refuse(found, name)
    return _source({file.role: file.path for file in found}, name)


def load(
    split: str = "train",
    digits: Sequence[int] = (0, 1),
    dtype: DTypeLike = np.float32,
    source: Source | FilePath | None = None,
) -> tuple[Array, Array]:
    """Load two classes of a split, in the order of the file.

        X = pixels / 255,    y = -1 for the first class, +1 for the second

    Parameters
    ----------
    split : {"train", "test"}
    digits : pair of int
        Two different labels, of digits or of anything else.
    dtype : {float32, float64, uint8}
        uint8 gives the pixels as they are, 0 to 255.
    source : Source or str or Path, optional
        What `find` returned, or what it is to be asked for: a name of a set, "synthetic", or a
        folder. By default MNIST, or the data of $NUMLIN_DATA.

    Returns
    -------
    X : ndarray of dtype (n_samples, n_features)
        One image a row, its own rows one after the other; each feature in [0, 1] is the multiple
        of 1/255 rounded to nearest.
    y : ndarray of int8 (n_samples,)

    Raises
    ------
    ValueError
        An argument is not one of the above.
    DatasetError
        There is no such data; the images are not uint8, images and labels do not belong together,
        or there is no image of one of the classes.
    IdxError
        A file is damaged.
    """
    arguments.check_choice("split", split, ("train", "test"))
    dtype = np.dtype(dtype)
    arguments.check_choice("dtype", dtype, DTYPES)
    whole = all(isinstance(digit, int | np.integer) for digit in digits)
    if not whole or len(digits) != 2 or digits[0] == digits[1]:
        raise ValueError(f"digits: found {digits}, expected two different labels")
    if not isinstance(source, Source):
        named = source is None or source in (*TITLES, "synthetic")
        source = find(str(source or "auto")) if named else find("auto", source)

    images, labels = (idx.read(source.paths[f"{split}-{what}"]) for what in ("images", "labels"))
    _check_pair(images, labels, *(source.paths[f"{split}-{what}"] for what in ("images", "labels")))
    for digit in digits:
        if digit not in labels:
            found = ", ".join(map(str, np.unique(labels)))
            path = source.paths[f"{split}-labels"]
            raise DatasetError(f"{path}: found no image of a {digit}, its labels are {found}")
    chosen = np.flatnonzero(np.isin(labels, digits))
    X = images[chosen].reshape(len(chosen), -1)
    y = np.where(labels[chosen] == digits[1], 1, -1).astype(np.int8)
    return X if dtype == np.uint8 else arguments.pixels(X, dtype), y


def two_classes(source: Source) -> tuple[int, int]:
    """The labels to tell apart where none are named: 0 and 1, or the only two that there are."""
    path = source.paths["train-labels"]
    labels = np.unique(idx.read(path)).tolist()
    if 0 in labels and 1 in labels:
        return 0, 1
    if len(labels) != 2:
        raise DatasetError(f"{path}: its labels are {', '.join(map(str, labels))}: --digits A B")
    return tuple(labels)


def describe(source: Source, digits: Sequence[int], y_train: Sized, y_test: Sized) -> dict:
    """What was loaded, ready for JSON; y_train (n_train,), y_test (n_test,)."""
    return {
        "name": source.name,
        "digits": [int(digit) for digit in digits],
        "n_train": len(y_train),
        "n_test": len(y_test),
        "shape": [int(side) for side in source.shape],
        "sha256": dict(source.sha256),
    }


def data_folder(data_dir: FilePath | None = None, name: str = "mnist") -> Path:
    """Where a set belongs: `data_dir`, else $NUMLIN_DATA, else the user's cache."""
    if data_dir is None:
        data_dir = os.environ.get("NUMLIN_DATA") or _cache() / name
    return arguments.check_path(data_dir)


def status(folder: FilePath, name: str = "mnist") -> list[File]:
    """Look at a set's four files, packed or unpacked, in a folder: a list of File, by `ROLES`."""
    if Path(folder).is_file():
        raise DatasetError(f"{folder}: found a file, expected a folder of {TITLES[name]}'s files")
    return [_examine(role, Path(folder, file), name) for role, file in ROLES.items()]


def download(folder: FilePath, name: str = "mnist") -> list[File]:
    """Fetch what a folder lacks of a set's four files from its mirrors; return its `status`.

    Raises
    ------
    DatasetError
        A file that is there is not the set's; nothing is downloaded then.
    DownloadError
        No mirror served a file.
    OSError
        The folder cannot be written.
    """
    found = status(folder, name)
    missing = [file.path for file in found if file.problem == MISSING]
    _refuse([file for file in found if file.problem != MISSING], name)
    own = {"fashion-mnist": mirrors.FASHION_MNIST, "kmnist": mirrors.KMNIST}
    order: tuple[str, ...] = own.get(name, mirrors.MIRRORS)
    for path in missing:
        served = mirrors.fetch(path.name, path, *_published()[name][path.name], mirrors=order)
        order = tuple(sorted(order, key=lambda mirror: mirror != served))
    return status(folder, name) if missing else found


def _published() -> dict[str, dict[str, tuple[int, str]]]:
    return {"mnist": MNIST, "fashion-mnist": FASHION_MNIST, "kmnist": KMNIST}


def _known(sha256, expected):
    """(set, file name without .gz) of the published file of that hash; ("", "") of any other.

    Of several such files the `expected` one.
    """
    owners = [
        (name, file.removesuffix(".gz"))
        for name, published in _published().items()
        for file, (_, known) in published.items()
        if sha256 == known
    ]
    return next((owner for owner in owners if owner[1] == expected), (*owners, ("", ""))[0])


def _own(place):
    """The `Source` of the set in a folder, or of an .npz file, that a user named."""
    place = arguments.check_path(place)
    if place.is_file():
        return _from_npz(place)
    prefix = None if place.is_dir() else place.name
    folder = place if place.is_dir() else place.parent
    sets = {
        name: paths for name, paths in _sets(folder).items() if prefix in (None, name.strip("-_. "))
    }
    whole = {name: paths for name, paths in sets.items() if len(paths) == len(ROLES)}
    if len(whole) == 1:
        ((name, paths),) = whole.items()
        return _source(paths, name)
    if whole:
        choices = " or ".join(shlex.quote(str(folder / name)) for name in whole)
        raise DatasetError(f"{place}: found {len(whole)} sets, name one: --data-dir {choices}")
    if not sets and len(found := sorted(folder.glob("*.npz"))) == 1 and not prefix:
        return _from_npz(found[0])
    there = max(sets.values(), key=len, default={})
    _refuse([File(k, place / f"{ROLES[k]}.gz", 0, "", MISSING) for k in ROLES if k not in there])


def _sets(folder):
    """{name: {role: path}} of the IDX files in a folder, or else in its folders named raw.

    A packed file goes before the same one unpacked. A set without a prefix is called as its folder.
    """
    sets = {}
    for place in (folder, folder / "raw", *sorted(folder.glob("*/raw"))):
        if sets and place == folder / "raw":
            break
        for path in sorted(place.glob("*"), key=lambda path: (path.suffix == ".gz", path.name)):
            named = FILE.fullmatch(path.name)
            if named and path.is_file():
                own = place.resolve()
                own = own.parent.name if own.name == "raw" else own.name
                split = "train" if named["split"].lower() == "train" else "test"
                role = f"{split}-{named['what'].lower()}"
                sets.setdefault(named["set"].strip("-_. ") or own, {})[role] = path
    return sets


def _source(paths, called):
    """The `Source` of four files: a published set, or one that is `called` so, and hashed.

    A file is known by the hash of its bytes, or of what they hold when unpacked. Raises
    DatasetError for files of several published sets, or one in another's place.
    """
    paths = {role: paths[role] for role in ROLES}
    sha256, contents, owners = {}, [], {}
    for role, path in paths.items():
        digest = content = files.sha256(path)
        if not (owner := _known(digest, ROLES[role]))[0]:
            with open(path, "rb") as stream:
                packed = stream.read(len(idx.GZIP_MAGIC)) == idx.GZIP_MAGIC
            content = idx.sha256(idx.read(path)) if packed else digest
            owner = _known(content, ROLES[role])
        sha256[path.name], owners[role] = digest, owner
        contents.append(content)
    known = {role: owner for role, owner in owners.items() if owner[0]}
    if (
        any(file != ROLES[role] for role, (_, file) in known.items())
        or len({owner for owner, _ in known.values()}) > 1
    ):
        each = (
            f"{paths[k].name} is {TITLES[owner]}'s {file}" for k, (owner, file) in known.items()
        )
        raise DatasetError(f"{paths['train-images'].parent}: a mixture: {', '.join(each)}")
    short = hashlib.sha256("".join(contents).encode()).hexdigest()[:8]
    remark = ", not MNIST" if known or "mnist" in called.lower() else ""
    whole = len(known) == len(ROLES)
    name = owners["train-images"][0] if whole else f"{called} (sha256 {short}{remark})"
    shape = idx.shape(paths["train-images"])[1:]
    return Source(name, paths, sha256, shape if len(shape) == 2 else image_shape(np.prod(shape)))


def image_shape(n_features: int) -> tuple[int, int]:
    """(height, width) to show so many pixels of unknown shape in: as near a square as it gets."""
    n_features = int(n_features)
    high = next(h for h in range(int(n_features**0.5), 0, -1) if n_features % h == 0)
    return high, n_features // high


def _from_npz(path):
    """The `Source` of an .npz file with x_train, y_train, x_test, y_test, copied to IDX files."""
    folder, paths = files.scratch() / path.stem, {}
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            for role, array in NPZ.items():
                paths[role] = folder / ROLES[role]
                idx.write(paths[role], stored[array].astype(_least(stored[array]), copy=False))
    except (AttributeError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile,
            zlib.error) as error:  # fmt: skip
        expected = f"an .npz of {', '.join(NPZ.values())}, numbers that IDX can hold"
        reason = "" if "pickle" in str(error) else f" ({error})"
        raise DatasetError(f"{path}: expected {expected}{reason}") from None
    found = _source(paths, path.stem)
    return Source(found.name, paths, {path.name: files.sha256(path)}, found.shape)


def _least(array):
    """The type that an IDX file holds integer labels in: uint8 where that is enough."""
    if array.dtype.kind not in "iu":
        return array.dtype
    return np.uint8 if array.min() >= 0 and array.max() < 256 else np.int32


def _examine(role, unpacked, name):
    """The File at `unpacked`, or at the packed name beside it, which goes first."""
    packed = unpacked.with_name(f"{unpacked.name}.gz")
    path = unpacked if unpacked.is_file() and not packed.is_file() else packed
    if not path.is_file():
        return File(role, path, problem=MISSING)
    n_bytes, sha256 = path.stat().st_size, files.sha256(path)
    return File(role, path, n_bytes, sha256, _problem(path, n_bytes, sha256, name))


def _problem(path, n_bytes, sha256, name):
    """What is wrong with the file at `path`; empty for the set's own."""
    right = path.name.removesuffix(".gz")
    owner, file = _known(sha256, right)
    if (owner, file) == (name, right):
        return ""
    own = TITLES[name]
    if owner:
        return f"is {TITLES[owner]}'s {file}, not {own}'s {path.name}"
    expected_bytes, expected = _published()[name].get(path.name, (0, "unknown"))
    if n_bytes < expected_bytes:
        return f"is partial, or another file: found {n_bytes:,} bytes, expected {expected_bytes:,}"
    return (
        f"is not {own}'s: found {n_bytes:,} bytes of sha256 {sha256[:12]}..., "
        f"expected {expected_bytes:,} of {expected[:12]}..."
    )


def _refuse(found, name="mnist"):
    """Raise DatasetError when any of the files has a problem."""
    wrong = [file for file in found if file.problem]
    if wrong:
        folder = wrong[0].path.parent
        problems = ", ".join(f"{file.path.name} {file.problem}" for file in wrong)
        only_missing = all(file.problem == MISSING for file in wrong)
        place = shlex.quote(str(folder)) if only_missing else "DIR"
        raise (MissingError if only_missing else DatasetError)(
            f"{folder}: {problems}; `numlin data --data {name} --data-dir {place}` downloads "
            f"{TITLES[name]} into {'it' if only_missing else 'a folder DIR without them'}"
        )


def _synthetic():
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
    return Source("synthetic", paths, sha256)


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
        return arguments.check_path(named) / "numlin"
    usual = {"darwin": "Library/Caches", "win32": "AppData/Local"}
    try:
        return Path.home() / usual.get(sys.platform, ".cache") / "numlin"
    except RuntimeError:
        raise DatasetError("no home folder: name one for data in $XDG_CACHE_HOME") from None


def _check_pair(images, labels, images_path, path):
    """Raise DatasetError unless they are uint8 images (n, ...) and n integer labels."""
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
