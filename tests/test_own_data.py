"""Other people's data: any four IDX files, or an .npz file, under their own name everywhere."""

import json
import re
import shutil

import numpy as np
import pytest
from conftest import DOTTED, write_set

from numlin import cli
from numlin.data import datasets, idx
from numlin.data.datasets import DatasetError, find, load, two_classes
from numlin.model import LinearClassifier


@pytest.fixture
def own(tmp_path):
    """Labels 3 and 7, 20 x 20 pixels, names with dots, in a folder with a space."""
    return write_set(tmp_path / "my digits", DOTTED, lambda drawn: drawn)


@pytest.fixture
def letters(tmp_path):
    """Labels 1 to 26 and a prefix, as EMNIST has them."""
    names = "emnist-letters-{}-images-idx3-ubyte", "emnist-letters-{}-labels-idx1-ubyte"
    return write_set(
        tmp_path / "gzip", names, lambda drawn: 1 + np.arange(len(drawn)) % 26, (520, 260)
    )


def numlin(capsys, *arguments):
    code = cli.main([*map(str, arguments)])
    return code, *capsys.readouterr()


NAME = r"my digits \(sha256 [0-9a-f]{8}\)"


@pytest.mark.parametrize("which", ["own", "letters"])
def test_every_command_works_on_own_data_under_its_own_name(
    which, request, tmp_path, capsys, monkeypatch
):
    folder = request.getfixturevalue(which)
    name = NAME if which == "own" else r"emnist-letters \(sha256 [0-9a-f]{8}, not MNIST\)"
    pair = (3, 7) if which == "own" else (4, 18)
    data = ["--data-dir", folder, *(["--digits", *pair] if which == "letters" else [])]
    called = f"{name}, {pair[0]} against {pair[1]}"
    monkeypatch.chdir(tmp_path)

    def works(*arguments):
        code, out, complaint = numlin(capsys, *arguments)
        assert (code, complaint) == (0, "")
        assert re.search(called, out)

    few = ["--engine", "numpy"]
    works("reproduce", *data, *few, "--out", "results")
    works("train", *data, *few, "--learning-rate", 0.02, "--out", "m.npz")
    works("evaluate", "m.npz", "--data-dir", folder)
    works("attack", "m.npz", "--data-dir", folder)
    works("optimum", *data, "--eps", 0.2, "--certificate", "c.json")
    works("verify", "c.json", "--data-dir", folder)
    works(
        "figures", "--model", "m.npz", "--data-dir", folder, "--out", "figures", "--format", "svg"
    )
    assert len(list((tmp_path / "figures").glob("*.svg"))) == 5
    about = json.loads((tmp_path / "results/results.json").read_text())["dataset"]
    assert re.fullmatch(name, about["name"]) and about["shape"] == [20, 20]
    assert json.loads((tmp_path / "c.json").read_text())["data"] == about["name"]
    for path in ("m.npz", "results/models/optimum-0.1.npz"):
        assert LinearClassifier.load(tmp_path / path).trained_on_["name"] == about["name"]
    page = (tmp_path / "results/report.html").read_text()
    assert f"<strong>{about['name']}</strong>" in page and '"shape": [20, 20]' in page
    assert "These data are not MNIST" in page


def test_the_name_of_unknown_data_changes_with_a_byte_and_not_with_packing(own, tmp_path):
    name = find("auto", own).name
    packed = write_set(tmp_path / "other/my digits", DOTTED, lambda drawn: drawn, pack=True)
    assert find("auto", packed).name == name
    path = own / "t10k-images.idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert find("auto", own).name != name


def test_nothing_is_called_mnist_that_is_not(tmp_path):
    folder = write_set(tmp_path / "MNIST/raw", DOTTED, lambda drawn: drawn)
    for place in (folder, tmp_path / "MNIST", tmp_path):
        assert re.fullmatch(r"MNIST \(sha256 \w{8}, not MNIST\)", find("auto", place).name)
    with pytest.raises(DatasetError, match=r"found MNIST \(sha256 .*not MNIST\), expected MNIST"):
        find("mnist", folder)


def test_names_that_people_hold_are_read(own, tmp_path):
    spellings = (
        ("{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"),  # unpacked, the suffix kept
        ("Train_images", "Train_labels"),
        ("k-{}-images.idx", "k-{}-labels.idx"),
    )
    expected = load("train", (3, 7), np.uint8, own)
    for k, names in enumerate(spellings):
        folder = tmp_path / str(k)
        folder.mkdir()
        for split in ("train", "t10k"):
            for old, new in zip(DOTTED, names, strict=True):
                spelled = new.format(split).replace("Train", split.title().replace("T10K", "Test"))
                shutil.copy(own / old.format(split), folder / spelled.replace("T10k", "Test"))
        X, y = load("train", (3, 7), np.uint8, folder)
        assert (expected[0] == X).all() and (y == expected[1]).all()


def test_an_npz_file_is_read_and_known_by_its_content(own, tmp_path, strokes_source):
    arrays = {
        array: idx.read(strokes_source.paths[role])[:2000] for role, array in datasets.NPZ.items()
    }
    arrays["y_train"] = arrays["y_train"].astype(np.int64)
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    for place in (tmp_path / "mine.npz", tmp_path):
        source = find("auto", place)
        assert re.fullmatch(r"mine \(sha256 \w{8}\)", source.name)
        assert list(source.sha256) == ["mine.npz"]
    X, y = load("train", (4, 9), np.uint8, source)
    chosen = np.isin(arrays["y_train"], (4, 9))
    assert (arrays["x_train"][chosen].reshape(-1, 784) == X).all()
    assert (y == np.where(arrays["y_train"][chosen] == 9, 1, -1)).all()


@pytest.mark.parametrize("array", [np.array([{}]), np.zeros(3, complex), None])
def test_an_npz_file_of_something_else_is_refused_in_one_line(array, tmp_path, capsys):
    np.savez(tmp_path / "other.npz", **({} if array is None else {"x_train": array}))
    code, _, complaint = numlin(capsys, "data", "--data-dir", tmp_path / "other.npz")
    assert code == 2 and complaint.count("\n") == 1 and "x_train, y_train" in complaint
    assert "allow_pickle" not in complaint


def test_of_several_sets_one_is_to_be_named(own, letters, tmp_path):
    for path in own.iterdir():
        shutil.copy(path, letters / f"mine-{path.name}")
    with pytest.raises(
        DatasetError, match="found 2 sets, name one: --data-dir .*letters or .*mine"
    ):
        find("auto", letters)
    assert find("auto", letters / "mine").name.startswith("mine (")
    assert find("auto", letters / "emnist-letters").name.startswith("emnist-letters (")


def test_two_labels_are_chosen_where_there_are_but_two_and_else_listed(
    own, letters, strokes_source
):
    assert two_classes(find("auto", own)) == (3, 7)
    assert two_classes(strokes_source) == (0, 1)
    with pytest.raises(DatasetError, match=r"its labels are 1, 2, 3, .*, 26: --digits A B"):
        two_classes(find("auto", letters))


def test_suggested_commands_quote_paths(own):
    for path in own.glob("t10k*"):
        path.unlink()
    with pytest.raises(DatasetError) as refused:
        find("auto", own)
    assert f"--data-dir '{own}'" in str(refused.value) and "delete" not in str(refused.value)


def test_label_files_of_two_dimensions_and_empty_images_are_refused_in_one_line(own, capsys):
    labels = own / "train-labels.idx1-ubyte"
    good = labels.read_bytes()
    idx.write(labels, idx.read(labels)[:, None])
    arguments = ["train", "--data-dir", own, "--digits", 3, 7]
    code, _, complaint = numlin(capsys, *arguments)
    assert code == 2 and "uint8 of shape (120, 1), expected integer labels" in complaint
    labels.write_bytes(good)
    idx.write(own / "train-images.idx3-ubyte", np.zeros((0, 20, 20), np.uint8))
    code, _, complaint = numlin(capsys, *arguments)
    assert code == 2 and complaint.count("\n") == 1 and "uint8 of shape (0, 20, 20)" in complaint


def test_images_of_odd_shapes_get_a_picture_as_near_a_square_as_it_gets(own):
    assert datasets.image_shape(784) == (28, 28) and datasets.image_shape(64) == (8, 8)
    assert datasets.image_shape(12) == (3, 4) and datasets.image_shape(13) == (1, 13)
    for split in ("train", "t10k"):
        path = own / DOTTED[0].format(split)
        images = idx.read(path)
        idx.write(path, images.reshape(len(images), -1)[:, :300])
    assert find("auto", own).shape == (15, 20)


def test_a_set_is_downloaded_only_when_it_is_asked_for_by_name(own, capsys, monkeypatch):
    from numlin.data import mirrors

    asked = []

    def fetch(name, *arguments, mirrors):
        asked.append(mirrors)
        raise datasets.mirrors.DownloadError("no network")

    monkeypatch.setattr(mirrors, "fetch", fetch)
    for path in own.glob("t10k*"):
        path.unlink()
    assert numlin(capsys, "data", "--data-dir", own)[0] == 2 and asked == []
    assert numlin(capsys, "train", "--data", "kmnist")[0] == 2 and asked == [mirrors.KMNIST]
    code, _, complaint = numlin(capsys, "data", "--data", "fashion-mnist")
    assert code == 2 and asked[1:] == [mirrors.FASHION_MNIST] and "no network" in complaint
    code, _, complaint = numlin(capsys, "train")
    assert code == 2 and "--data synthetic" in complaint and "--data-dir" in complaint


def test_mnist_is_recognised_however_it_is_packed(mnist, tmp_path):
    arrays = {array: idx.read(mnist.paths[role]) for role, array in datasets.NPZ.items()}
    np.savez(tmp_path / "of-keras.npz", **arrays)
    for role, array in datasets.NPZ.items():
        idx.write(tmp_path / "packed" / f"{datasets.ROLES[role]}.gz", arrays[array], True)
        idx.write(tmp_path / "kept-suffix" / f"{datasets.ROLES[role]}.gz", arrays[array])
        idx.write(tmp_path / "MNIST/raw" / datasets.ROLES[role], arrays[array])
    for place in ("of-keras.npz", "packed", "kept-suffix", "MNIST/raw", "MNIST"):
        assert find("mnist", tmp_path / place).name == "mnist"
    assert datasets.title("mnist") == "MNIST"
