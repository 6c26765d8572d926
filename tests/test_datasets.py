"""Where the files come from, what is refused, and what `load` makes of them.

Most tests publish a small dataset of their own and let `datasets` take it for MNIST; the network
is replaced by a port on which nothing listens, the user's cache by a temporary folder.
"""

import functools
import gzip
import hashlib
import os
import re
import shutil
import tempfile
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from numlin.data import datasets, idx, mirrors, strokes
from numlin.data.datasets import DatasetError, Source, find, load
from numlin.support import files

NAMES = tuple(f"{name}.gz" for name in datasets.ROLES.values())

LABELS = {
    "train": (np.arange(40) * 7 % 10).astype(np.uint8),
    "test": (np.arange(20) * 3 % 10).astype(np.uint8),
}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty cache, no $NUMLIN_DATA, no mirror that answers, and few synthetic digits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMLIN_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(mirrors, "MIRRORS", ("http://127.0.0.1:1/one/", "http://127.0.0.1:1/two/"))
    few = functools.partial(strokes.write_dataset, n_train=40, n_test=20)
    monkeypatch.setattr(strokes, "write_dataset", few)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Four files that `datasets` takes for MNIST's."""
    folder, table = tmp_path / "mnist", {}
    rng = np.random.default_rng(0)
    for role, name in datasets.ROLES.items():
        labels = LABELS[role.partition("-")[0]]
        images = rng.integers(0, 256, (len(labels), 28, 28), np.uint8)
        idx.write(folder / f"{name}.gz", labels if "labels" in name else images, compress=True)
        packed = folder.joinpath(f"{name}.gz").read_bytes()
        for known, content in ((f"{name}.gz", packed), (name, gzip.decompress(packed))):
            table[known] = len(content), hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(datasets, "MNIST", table)
    return folder


def fill_cache(tmp_path, folder):
    return Path(shutil.copytree(folder, tmp_path / "cache/numlin/mnist"))


def spoil(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


# Where MNIST is looked for


def test_a_given_folder_is_used_and_its_files_are_named_with_their_hash(folder):
    source = find("mnist", folder)
    assert (source.name, source.shape) == ("mnist", (28, 28))
    assert source.paths == {role: folder / f"{name}.gz" for role, name in datasets.ROLES.items()}
    assert source.sha256 == {name: datasets.MNIST[name][1] for name in NAMES}
    assert find("auto", str(folder)) == source


def test_the_environment_names_a_folder_and_an_argument_goes_first(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMLIN_DATA", str(folder))
    assert find().paths["train-images"].parent == folder
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    assert find(data_dir=other).paths["train-images"].parent == other


def test_the_cache_is_used_without_asking_the_network(folder, tmp_path):
    cache = fill_cache(tmp_path, folder)
    assert find("mnist").paths["test-labels"] == cache / "t10k-labels-idx1-ubyte.gz"


def test_an_empty_variable_counts_as_unset(folder, monkeypatch, tmp_path):
    fill_cache(tmp_path, folder)
    monkeypatch.setenv("NUMLIN_DATA", "")
    assert find("mnist").name == "mnist"


def test_unpacked_files_are_accepted_and_packed_ones_go_first(folder):
    for name in NAMES[:2]:
        content = gzip.decompress(folder.joinpath(name).read_bytes())
        folder.joinpath(name.removesuffix(".gz")).write_bytes(content)
    folder.joinpath(NAMES[0]).unlink()
    source = find("mnist", folder)
    assert source.paths["train-images"].name == "train-images-idx3-ubyte"
    assert source.paths["train-labels"].name == "train-labels-idx1-ubyte.gz"
    assert (
        source.sha256["train-images-idx3-ubyte"] == (datasets.MNIST["train-images-idx3-ubyte"][1])
    )
    assert load("train", source=source)[0].shape == (8, 784)


@pytest.mark.parametrize("data", ["auto", "mnist"])
@pytest.mark.parametrize("given", ["argument", "environment"])
def test_a_folder_that_lacks_a_file_is_refused_though_the_cache_has_it(
    folder, monkeypatch, tmp_path, given, data
):
    fill_cache(tmp_path, folder)
    folder.joinpath(NAMES[2]).unlink()
    if given == "environment":
        monkeypatch.setenv("NUMLIN_DATA", str(folder))
    with pytest.raises(DatasetError) as refused:
        find(data, folder if given == "argument" else None)
    assert str(refused.value) == (
        f"{folder}: {NAMES[2]} is missing; `numlin data --data mnist --data-dir {folder}` "
        "downloads MNIST into it"
    )


def test_a_folder_that_is_not_there_is_refused_with_all_four_names(tmp_path):
    with pytest.raises(DatasetError) as refused:
        find("auto", tmp_path / "nowhere")
    assert all(f"{name} is missing" in str(refused.value) for name in NAMES)


def test_an_unknown_dataset_is_refused():
    with pytest.raises(
        ValueError, match="data: found 'cifar', expected one of auto, mnist, fashion"
    ):
        find("cifar")


# Wrong files


@pytest.mark.parametrize("packed", [True, False])
def test_a_partial_file_is_said_to_be_partial(folder, packed):
    path = folder / NAMES[0]
    if not packed:
        content = gzip.decompress(path.read_bytes())
        path.unlink()
        path = folder / "train-images-idx3-ubyte"
        path.write_bytes(content)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=str(path)) as refused:
        load(source=folder)
    assert "cut short" in str(refused.value)
    with pytest.raises(DatasetError) as refused:
        find("mnist", folder)
    assert f"{path.name} is partial" in str(refused.value)
    assert f"found 1,000 bytes, expected {size:,};" in str(refused.value)
    assert "delete" not in str(refused.value) and "a folder DIR without" in str(refused.value)


def test_one_wrong_byte_is_refused(folder):
    spoil(folder / NAMES[1])
    with pytest.raises(DatasetError, match=f"{NAMES[1]} is not MNIST's: found .* sha256"):
        find("mnist", folder)
    with pytest.raises(idx.IdxError, match=NAMES[1]):
        find("auto", folder)


def test_one_wrong_byte_of_an_unpacked_file_is_not_called_mnist(folder):
    name = NAMES[1].removesuffix(".gz")
    folder.joinpath(name).write_bytes(gzip.decompress(folder.joinpath(NAMES[1]).read_bytes()))
    folder.joinpath(NAMES[1]).unlink()
    assert find("auto", folder).name == "mnist"
    spoil(folder / name)
    assert re.fullmatch(r"mnist \(sha256 [0-9a-f]{8}, not MNIST\)", find("auto", folder).name)


def test_mnists_own_file_under_another_name_is_recognised(folder):
    shutil.copy(folder / NAMES[3], folder / NAMES[1])
    file = NAMES[3].removesuffix(".gz")
    with pytest.raises(DatasetError, match=f"a mixture: .*{NAMES[1]} is MNIST's {file}"):
        find("auto", folder)
    with pytest.raises(DatasetError, match=f"{NAMES[1]} is MNIST's {file}, not"):
        find("mnist", folder)


def test_another_datasets_file_is_recognised_by_its_hash(folder, monkeypatch):
    content = b"a t-shirt"
    known = len(content), hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(datasets.FASHION_MNIST, NAMES[0], known)
    folder.joinpath(NAMES[0]).write_bytes(content)
    name = "Fashion-MNIST's train-images-idx3-ubyte"
    with pytest.raises(DatasetError, match=f"{NAMES[0]} is {name}, not MNIST's {NAMES[0]};"):
        find("mnist", folder)
    with pytest.raises(DatasetError, match=f"a mixture: {NAMES[0]} is {name}"):
        find("auto", folder)


def test_every_wrong_file_is_named_at_once(folder):
    folder.joinpath(NAMES[0]).unlink()
    spoil(folder / NAMES[1])
    with pytest.raises(DatasetError, match=f"{NAMES[0]} is missing, {NAMES[1]} is not MNIST's"):
        find("mnist", folder)


@pytest.mark.parametrize("data", ["auto", "mnist"])
def test_a_wrong_file_in_the_cache_is_neither_overwritten_nor_replaced_by_synthetic_digits(
    folder, tmp_path, data
):
    cache = fill_cache(tmp_path, folder)
    cache.joinpath(NAMES[0]).unlink()
    cache.joinpath(NAMES[1]).write_bytes(b"wrong")
    with pytest.raises(DatasetError, match=f"{cache}: {NAMES[1]} is partial"):
        find(data)
    assert cache.joinpath(NAMES[1]).read_bytes() == b"wrong"


def test_status_says_what_stands_under_each_name(folder):
    folder.joinpath(NAMES[0]).unlink()
    spoil(folder / NAMES[1])
    absent, wrong, *right = datasets.status(folder)
    assert absent == datasets.File("train-images", folder / NAMES[0], 0, "", "is missing")
    assert wrong.problem.startswith("is not MNIST's")
    assert wrong.sha256 == hashlib.sha256(wrong.path.read_bytes()).hexdigest()
    assert [file.problem for file in right] == ["", ""]
    assert [(file.n_bytes, file.sha256) for file in right] == [
        datasets.MNIST[name] for name in NAMES[2:]
    ]


# Without MNIST


@pytest.mark.parametrize("call", [find, load, lambda: find("mnist"), lambda: load(source="mnist")])
def test_no_call_falls_back_on_other_data(call):
    with pytest.raises(DatasetError) as refused:
        call()
    for part in (*mirrors.MIRRORS, "refused", NAMES[0], "--data-dir"):
        assert part in str(refused.value)
    assert "\n" not in str(refused.value)


def test_synthetic_digits_asked_for_come_without_a_warning():
    source = find("synthetic")
    assert source.name == "synthetic"
    for path in source.paths.values():
        assert source.sha256[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
    X, y = load("train", source=source)
    assert X.shape == (8, 784) and sorted(y) == [-1] * 4 + [1] * 4


def test_synthetic_digits_are_drawn_once(monkeypatch):
    source = find("synthetic")
    monkeypatch.setattr(strokes, "write_dataset", None)
    assert find("synthetic") == source


def test_an_incomplete_set_of_synthetic_digits_is_drawn_again():
    source = find("synthetic")
    source.paths["test-images"].unlink()
    assert find("synthetic") == source
    assert source.paths["test-images"].is_file()


@pytest.mark.parametrize("role", ["train-images", "train-labels"])
@pytest.mark.parametrize("harm", ["empty", "cut", "other labels", "folder", "manifest", "link"])
def test_synthetic_digits_that_were_harmed_are_drawn_again(role, harm, tmp_path):
    source = find("synthetic")
    path = source.paths[role]
    content = path.read_bytes()
    if harm == "other labels":
        idx.write(path, idx.read(path)[::-1], compress=True)
    elif harm == "manifest":
        path.with_name(files.MANIFEST).write_bytes(b"{")
    else:
        path.unlink()
        if harm == "folder":
            path.mkdir()
        elif harm == "link":
            path.symlink_to(tmp_path / "nowhere")
        else:
            path.write_bytes(content[: len(content) // 2] if harm == "cut" else b"")
    again = find("synthetic")
    assert again.sha256 == source.sha256 and again.paths[role].read_bytes() == content
    assert harm == "folder" or again == source == find("synthetic")


@pytest.mark.parametrize("named", ["argument", "environment", "synthetic"])
def test_no_cache_is_asked_for_where_none_is_needed(folder, monkeypatch, named):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    if named == "synthetic":
        assert load("test", source=find("synthetic"))[0].shape == (4, 784)
        return
    if named == "environment":
        monkeypatch.setenv("NUMLIN_DATA", str(folder))
    assert find("auto", folder if named == "argument" else None).name == "mnist"
    monkeypatch.delenv("NUMLIN_DATA", raising=False)
    with pytest.raises(DatasetError, match="no home folder"):
        find("mnist")


def test_synthetic_digits_are_drawn_again_when_the_drawing_has_changed(monkeypatch, tmp_path):
    before = find("synthetic")
    tmp_path.joinpath("strokes.py").write_text("another way to draw")
    monkeypatch.setattr(strokes, "__file__", str(tmp_path / "strokes.py"))
    after = find("synthetic")
    assert after.paths["train-images"].parent != before.paths["train-images"].parent
    assert after.sha256 == before.sha256


def test_without_a_cache_synthetic_digits_go_to_a_temporary_folder(monkeypatch, tmp_path):
    tmp_path.joinpath("file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = find("synthetic")
    assert tmp_path in source.paths["train-images"].parents
    assert load("test", source=source)[0].shape == (4, 784)


def test_two_that_draw_at_once_end_with_the_same_files():
    sources = []
    threads = [threading.Thread(target=lambda: sources.append(find("synthetic"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sources) == 4 and all(source == sources[0] for source in sources)
    cache = sources[0].paths["train-images"].parent
    assert sorted(os.listdir(cache)) == sorted([*NAMES, files.MANIFEST])
    for path in sources[0].paths.values():
        assert sources[0].sha256[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()


# What load makes of the files


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("digits", [(0, 1), (1, 0), (8, 3)])
def test_load_keeps_the_files_order_and_gives_the_first_digit_minus_one(folder, split, digits):
    source = find("mnist", folder)
    images = idx.read(source.paths[f"{split}-images"])
    expected = [
        (image.ravel(), -1 if label == digits[0] else 1)
        for image, label in zip(images, LABELS[split])
        if label in digits
    ]
    X, y = load(split, digits, np.uint8, source)
    assert X.dtype == np.uint8 and y.dtype == np.int8
    np.testing.assert_array_equal(X, [row for row, _ in expected])
    np.testing.assert_array_equal(y, [sign for _, sign in expected])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float32"])
def test_pixels_are_the_nearest_numbers_to_multiples_of_1_over_255(folder, dtype):
    source = find("mnist", folder)
    X, _ = load("train", (0, 1), dtype, source)
    raw, _ = load("train", (0, 1), np.uint8, source)
    assert X.dtype == dtype and X.shape == raw.shape
    assert X.flags.c_contiguous and X.flags.writeable and X.dtype.isnative
    levels, first = np.unique(raw, return_index=True)
    assert len(levels) == 256
    for level, pixel in zip(levels, X.ravel()[first]):
        error = abs(Fraction(float(pixel)) - Fraction(int(level), 255))
        for neighbour in np.nextafter(pixel, np.array([-1, 2], dtype)):
            assert error < abs(Fraction(float(neighbour)) - Fraction(int(level), 255))
    np.testing.assert_array_equal(X, X.ravel()[first][raw])


def test_load_is_float32_digits_0_and_1_of_the_training_set_by_default(folder, monkeypatch):
    monkeypatch.setenv("NUMLIN_DATA", str(folder))
    X, y = load()
    expected_X, expected_y = load("train", (0, 1), np.float32, find("mnist"))
    np.testing.assert_array_equal(X, expected_X)
    np.testing.assert_array_equal(y, expected_y)


def test_load_takes_the_name_of_a_set_or_of_a_folder(folder):
    expected = load(source=find("auto", folder))
    for found in (load(source=folder), load(source=str(folder))):
        np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(load(source="synthetic")[0], load(source=find("synthetic"))[0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"split": "validation"}, "split: found 'validation', expected one of train, test"),
        ({"digits": (3, 3)}, r"digits: found \(3, 3\), expected two different labels"),
        ({"digits": (0, "1")}, r"digits: found \(0, '1'\), expected two"),
        ({"digits": (0, 1, 2)}, r"digits: found \(0, 1, 2\), expected two"),
        ({"dtype": np.float16}, "dtype: found .*float16.*, expected one of float32, "),
        ({"dtype": ">f4"}, "dtype: found .*>f4"),
    ],
)
def test_load_refuses_a_bad_argument_before_it_looks_for_files(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments, source=Source("mnist", {}, {}))


def small(tmp_path, images, labels):
    paths = {"train-images": tmp_path / "images", "train-labels": tmp_path / "labels"}
    idx.write(paths["train-images"], np.asarray(images))
    idx.write(paths["train-labels"], np.asarray(labels))
    return Source("mnist", paths, {})


def test_images_and_labels_of_different_number_are_refused(tmp_path):
    source = small(tmp_path, np.zeros((3, 2, 2), np.uint8), np.uint8([0, 1]))
    with pytest.raises(DatasetError, match="labels: found 2 labels, expected 3"):
        load(source=source)


LABELS_OF_FOUR = np.array([0, 1, 2, 1], np.uint8)
IMAGES_OF_FOUR = np.zeros((4, 2, 2), np.uint8)


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (IMAGES_OF_FOUR.astype(np.int16), LABELS_OF_FOUR, "images: found int16 of shape"),
        (IMAGES_OF_FOUR.astype(float), LABELS_OF_FOUR, "images: found float64 of shape"),
        (IMAGES_OF_FOUR[:, 0, 0], LABELS_OF_FOUR, r"images: found uint8 of shape \(4,\), expected"),
        (IMAGES_OF_FOUR[:, :0], LABELS_OF_FOUR, r"images: found uint8 of shape \(4, 0, 2\)"),
        (IMAGES_OF_FOUR[:0], LABELS_OF_FOUR[:0], "images: found uint8 of shape"),
        (np.uint8(3), LABELS_OF_FOUR, r"images: found uint8 of shape \(\)"),
        (IMAGES_OF_FOUR, LABELS_OF_FOUR[:, None], r"labels: found uint8 of shape \(4, 1\)"),
        (IMAGES_OF_FOUR, np.uint8(1), r"labels: found uint8 of shape \(\), expected"),
        (IMAGES_OF_FOUR, LABELS_OF_FOUR.astype(float), "labels: found float64 of shape"),
        (IMAGES_OF_FOUR, np.full(4, 7, np.uint8), "labels: found no image of a 0"),
        (IMAGES_OF_FOUR, np.full(4, 0, np.uint8), "labels: found no image of a 1"),
    ],
)
def test_a_source_made_by_hand_is_refused_for_what_is_wrong_with_it(
    tmp_path, images, labels, message
):
    source = small(tmp_path, images, labels)
    with pytest.raises(DatasetError, match=message):
        load("train", (0, 1), source=source)


def test_labels_may_be_other_integers(tmp_path):
    source = small(tmp_path, IMAGES_OF_FOUR, LABELS_OF_FOUR.astype(np.int32))
    assert load("train", (0, 1), source=source)[1].tolist() == [-1, 1, 1]


def test_labels_are_kept_in_as_many_bytes_as_they_need():
    """256 in one byte would be a 0."""
    found = {(-1, 3): np.int32, (0, 255): np.uint8, (0, 256): np.int32}
    assert {ends: datasets._least(np.array(ends)) for ends in found} == found


def test_labels_that_are_not_there_are_named_beside_those_that_are(tmp_path):
    source = small(tmp_path, IMAGES_OF_FOUR[:3], np.uint8([5, 1, 12]))
    assert load(digits=(12, 5), source=source)[1].tolist() == [1, -1]
    with pytest.raises(DatasetError, match="found no image of a 0, its labels are 1, 5, 12"):
        load(source=source)


# MNIST itself


def test_mnist_is_recognised_when_unpacked(mnist, tmp_path):
    for role, name in datasets.ROLES.items():
        content = mnist.paths[role].read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        tmp_path.joinpath(name).write_bytes(content)
    assert set(find("mnist", tmp_path).sha256) == set(datasets.ROLES.values())


@pytest.mark.parametrize("split, n_samples, n_ones", [("train", 12665, 6742), ("test", 2115, 1135)])
def test_zeros_and_ones_of_mnist_are_as_many_as_published(mnist, split, n_samples, n_ones):
    X, y = load(split, source=mnist)
    assert X.shape == (n_samples, 784) and X.dtype == np.float32
    assert np.count_nonzero(y == 1) == n_ones and np.count_nonzero(y == -1) == n_samples - n_ones
    assert (X.min(), X.max()) == (0, 1)
