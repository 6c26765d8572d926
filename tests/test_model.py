"""The estimator: the ecosystem's verbs, and a file that holds all of it."""

import json
import tracemalloc
import zipfile

import numpy as np
import pytest

import numlin
from numlin.model import FORMAT, LinearClassifier
from numlin.sgd import DivergenceError, fit


def test_it_learns_what_fit_learns(blobs):
    model = LinearClassifier(eps=0.05, n_epochs=3, seed=4, engine="numpy").fit(*blobs)
    w, b, losses, errors, _ = fit(*blobs, model)
    assert (model.coef_[0] == w).all() and model.intercept_[0] == np.float32(b)
    assert (model.losses_ == losses).all() and (model.errors_ == errors).all()


def test_labels_of_any_two_values_come_back_from_predict(blobs):
    X, y = blobs
    names = np.where(y > 0, "one", "nil")
    model = LinearClassifier(n_epochs=20, engine="numpy").fit(X, names)
    assert model.classes_.tolist() == ["nil", "one"]
    assert set(model.predict(X)) == {"nil", "one"}
    assert model.score(X, names) == np.mean(model.predict(X) == names) > 0.7
    with pytest.raises(ValueError, match=r"y: expected \d+ labels out of \['nil', 'one'\]"):
        model.score(X, np.append(names[:-1], "two"))


def test_the_score_is_w_x_plus_b_and_its_sign_decides(small_model, blobs):
    X, y = blobs
    scores = small_model.decision_function(X)
    by_hand = [sum(wj * xj for wj, xj in zip(small_model.w, x)) + small_model.b for x in X]
    np.testing.assert_allclose(scores, by_hand, rtol=1e-12)
    assert (small_model.predict(X) == np.where(scores > 0, 1, -1)).all()


def test_a_score_of_zero_is_an_error_for_either_class(small_model):
    small_model.coef_[:], small_model.intercept_[:] = 0, 0
    X = np.zeros((2, small_model.w.size))
    assert small_model.score(X, [-1, 1]) == 0
    assert small_model.predict(X).tolist() == [-1, -1]


def test_raw_pixels_count_as_255ths(small_model, blobs):
    X, y = blobs
    raw = np.rint(X * 255).astype(np.uint8)
    assert (small_model.decision_function(raw) == small_model.decision_function(raw / 255)).all()


def test_a_saved_model_comes_back_whole(small_model, blobs, tmp_path):
    small_model.save(tmp_path / "model.npz")
    back = LinearClassifier.load(tmp_path / "model.npz")
    assert back.get_params() == small_model.get_params()
    assert back.trained_on_ == {"n_samples": 60}
    for name in ("coef_", "intercept_", "classes_", "losses_", "errors_"):
        stored, original = getattr(back, name), getattr(small_model, name)
        assert stored.dtype == original.dtype and (stored == original).all()
    assert (back.predict(blobs[0]) == small_model.predict(blobs[0])).all()


def test_the_file_needs_no_pickle_and_says_how_the_model_was_made(small_model, tmp_path):
    small_model.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
    assert about["training"]["n_epochs"] == 20 and about["training"]["seed"] == 0
    assert about["trained_on"] == {"n_samples": 60}


def test_a_failed_save_leaves_the_old_file(small_model, tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    small_model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(np, "savez", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        small_model.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def write_npz(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not a model saved by numlin"),
        (b"PK\x03\x04 torn", "not a model saved by numlin"),
        ({"w": np.ones(3)}, "not a model saved by numlin .*about"),
        ({"about": "{"}, "not a model saved by numlin"),
        ({"about": np.array({"a": 1}, dtype=object)}, "not a model saved by numlin"),
    ],
)
def test_a_file_that_is_no_model_is_named_and_refused(tmp_path, content, message):
    path = tmp_path / "thing.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_npz(path, **content)
    with pytest.raises(ValueError, match=f"thing.npz: .*{message}"):
        LinearClassifier.load(path)


def test_no_flipped_byte_in_a_model_file_is_a_traceback(small_model, tmp_path):
    path = tmp_path / "model.npz"
    small_model.save(path)
    content = path.read_bytes()
    for k in range(0, len(content), 11):
        path.write_bytes(content[:k] + bytes([content[k] ^ 0xFF]) + content[k + 1 :])
        try:
            LinearClassifier.load(path)
        except ValueError as error:
            assert "model.npz: " in str(error)


def test_numpy_numbers_as_parameters_are_saved_and_come_back(blobs, tmp_path):
    model = LinearClassifier(eps=np.float32(0.25), seed=np.int64(3), n_epochs=1, engine="numpy")
    model.fit(*blobs).save(tmp_path / "model.npz")
    assert LinearClassifier.load(tmp_path / "model.npz").get_params() == model.get_params()


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        LinearClassifier.load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"coef_": np.ones(12)}, r"coef_ has shape \(12,\)"),
        ({"coef_": np.full((1, 12), np.nan)}, r"coef_: found nan at index \(0, 0\)"),
        ({"intercept_": np.array([np.inf])}, r"intercept_: found inf"),
        ({"about": json.dumps({"format": "other"})}, "format is 'other'"),
        (
            {"about": json.dumps({"format": FORMAT, "training": None})},
            "not a model saved by numlin",
        ),
        (
            {
                "about": json.dumps(
                    {"format": FORMAT, "numlin": "0", "trained_on": {}}
                    | {"training": LinearClassifier(engine="z").get_params()}
                )
            },
            "engine: found 'z'",
        ),
        (
            {"classes_": np.array([1, 2], "M8[s]")},
            "classes_ is datetime64.*, expected numbers or str",
        ),
        ({"classes_": np.array([1, np.nan])}, "classes_: found nan"),
        ({"losses_": np.ones((2, 2))}, r"losses_ has shape \(2, 2\), expected \(4,\)"),
        ({"errors_": np.ones(2)}, r"errors_ has shape \(2,\), expected \(20,\)"),
        ({"coef_": np.ones((1, 0))}, r"coef_ has shape \(1, 0\)"),
        ({"classes_": np.array([1])}, r"classes_ has shape \(1,\), expected \(2,\)"),
        ({"coef_": np.ones((1, 12), int)}, "coef_ is int64, expected floating point"),
    ],
)
def test_a_damaged_model_is_named_with_what_is_wrong(small_model, tmp_path, change, message):
    path = tmp_path / "model.npz"
    small_model.save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    write_npz(path, **{**arrays, **change})
    with pytest.raises(ValueError, match=f"model.npz: .*{message}"):
        LinearClassifier.load(path)


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezip(path, contents, kind=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def header(text):
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


HEADERS = {
    "braces": "{" * 100,
    "brackets": "[" * 5000,
    "huge": "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 134217728), }",
    "negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -5), }",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (1, 5), }",
    "none": "",
}


@pytest.mark.parametrize("text", HEADERS.values(), ids=HEADERS)
def test_a_header_that_promises_what_is_not_there_is_refused_at_no_cost(
    small_model, tmp_path, text
):
    path = tmp_path / "model.npz"
    small_model.save(path)
    rezip(path, members(path) | {"coef_.npy": header(text) + bytes(96)})
    tracemalloc.start()
    with pytest.raises(ValueError, match="model.npz: not a model"):
        LinearClassifier.load(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * 2**20


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, "encrypted", "no zip"])
def test_a_model_file_of_another_kind_is_refused(small_model, tmp_path, kind):
    path = tmp_path / "model.npz"
    small_model.save(path)
    content = path.read_bytes()
    if kind == "encrypted":
        for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = content.index(magic) + place
            content = content[:at] + bytes([content[at] | 1]) + content[at + 1 :]
        path.write_bytes(content)
    elif kind == "no zip":
        path.write_bytes(b"#!/bin/sh\n" + content)
    else:
        rezip(path, members(path), kind)
    with pytest.raises(ValueError, match="model.npz: not a model saved by numlin"):
        LinearClassifier.load(path)


@pytest.mark.parametrize("about", ["[" * 100_000, "7", '"x"', '{"format": []}'])
def test_words_about_a_model_that_make_no_sense_are_refused(small_model, tmp_path, about):
    path = tmp_path / "model.npz"
    small_model.save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    write_npz(path, **{**arrays, "about": np.array(about)})
    with pytest.raises(ValueError, match="model.npz: not a model saved by numlin"):
        LinearClassifier.load(path)


@pytest.mark.parametrize("name", ["coef_", "classes_", "losses_"])
def test_arrays_of_a_model_in_any_memory_order_come_back_as_they_were(small_model, tmp_path, name):
    small_model.save(tmp_path / "model.npz")
    loaded = LinearClassifier.load(tmp_path / "model.npz")
    assert np.array_equal(getattr(loaded, name), getattr(small_model, name))
    assert getattr(loaded, name).flags.writeable


def test_a_model_without_fit_says_so():
    with pytest.raises(ValueError, match="not fitted yet"):
        LinearClassifier().predict(np.zeros((1, 3)))


@pytest.mark.parametrize(
    "X, message",
    [
        (np.zeros((2, 5)), "X: found 5 features, expected 12"),
        (np.zeros(12), r"X: found shape \(12,\)"),
        (np.full((1, 12), np.inf), r"X: found inf at index \(0, 0\)"),
    ],
)
def test_inputs_that_do_not_fit_the_model_are_refused(small_model, X, message):
    with pytest.raises(ValueError, match=message):
        small_model.decision_function(X)


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.zeros(60), "found 1 classes, 0.0, expected two"),
        (np.arange(60), "found 60 classes, 0, 1, 2, 3, 4, ..., expected two"),
        (np.zeros((60, 1)), r"found shape \(60, 1\)"),
        (np.where(np.arange(60) % 2, np.nan, 1), r"found nan at index \(1,\)"),
    ],
)
def test_labels_that_are_not_two_classes_are_refused(blobs, labels, message):
    with pytest.raises(ValueError, match=f"^y: {message}"):
        LinearClassifier().fit(blobs[0], labels)


def test_parameters_can_be_read_and_changed_by_name():
    model = LinearClassifier().set_params(eps=0.3, batch_size=7)
    assert (model.get_params()["eps"], model.batch_size) == (0.3, 7)
    with pytest.raises(ValueError, match="epsilon: no such parameter"):
        model.set_params(epsilon=0.3)


def test_a_refit_that_fails_leaves_the_model_as_it_was(blobs):
    X, y = blobs
    model = LinearClassifier(n_epochs=2, engine="numpy").fit(X, np.where(y > 0, "zero", "one"))
    before = model.predict(X)
    model.set_params(loss="squared-hinge", learning_rate=1e300, n_epochs=50)
    with pytest.raises(DivergenceError):
        model.fit(X, y)
    assert (model.predict(X) == before).all() and model.classes_.tolist() == ["one", "zero"]


def test_a_model_equals_itself_only_and_can_be_a_key(blobs):
    one, other = LinearClassifier(), LinearClassifier()
    assert one == one and one != other and len({one, other}) == 2


@pytest.mark.parametrize("dtype", [int, np.int8, np.uint16, bool, object])
def test_integers_are_the_numbers_that_they_are(rng, dtype):
    X, y = rng.integers(0, 2, (40, 6)), np.arange(40) % 2
    X[:, 0] = y
    model = LinearClassifier(n_epochs=3, engine="numpy")
    w = model.fit(X.astype(float), y).w
    assert (model.fit(X.astype(dtype), y).w == w).all()
    assert (model.fit(X.astype(dtype).tolist(), y.tolist()).w == w).all()
    assert (model.fit(X.astype(np.uint8), y).w != w).any()


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["b", "a"] * 30, object),
        np.array(["b", "a"] * 30, np.dtypes.StringDType()),
        ["b", "a"] * 30,
        ("b", "a") * 30,
    ],
)
def test_strings_of_any_make_are_labels(blobs, labels):
    model = LinearClassifier(n_epochs=2, engine="numpy").fit(blobs[0], labels)
    assert model.classes_.tolist() == ["a", "b"]
    assert model.score(blobs[0], labels) == np.mean(model.predict(blobs[0]) == list(labels)) > 0.5


@pytest.mark.parametrize(
    "labels, found", [(["a", 1], "int and str"), (["a", None], "NoneType and str")]
)
def test_a_mixture_of_labels_is_refused(blobs, labels, found):
    with pytest.raises(ValueError, match=f"y: found {found}, expected numbers or strings"):
        LinearClassifier().fit(blobs[0], np.array(labels * 30, object))


def test_a_sparse_matrix_is_called_one(blobs):
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not here")
    for X in (sparse.csr_matrix(blobs[0]), sparse.coo_array(blobs[0])):
        with pytest.raises(ValueError, match=r"X: found a sparse matrix, .* X.toarray\(\)"):
            LinearClassifier().fit(X, blobs[1])


def test_a_robust_fit_to_values_beyond_0_and_1_warns_of_the_units_of_eps(blobs):
    X, y = blobs
    with pytest.warns(UserWarning, match="eps is in the units of X"):
        LinearClassifier(eps=0.1, n_epochs=1, engine="numpy").fit(3 * X, y)
    LinearClassifier(n_epochs=1, engine="numpy").fit(3 * X, y)
    LinearClassifier(eps=0.1, n_epochs=1, engine="numpy").fit(np.uint8(255 * X), y)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda about: about.update(format="numlin linear classifier 2"),
            "classifier 2' of numlin",
        ),
        (
            lambda about: about.update(mood="good"),
            "it has the unknown field 'mood'; this is numlin",
        ),
        (lambda about: about["training"].update(momentum=1), "unknown field 'momentum'"),
        (lambda about: about["training"].pop("eps"), "training: it lacks the field 'eps'"),
        (lambda about: about.pop("trained_on"), "it lacks the field 'trained_on'"),
    ],
)
def test_a_model_file_of_another_version_says_so(small_model, tmp_path, change, message):
    path = tmp_path / "model.npz"
    small_model.save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    about = json.loads(str(arrays["about"]))
    change(about)
    write_npz(path, **{**arrays, "about": json.dumps(about)})
    with pytest.raises(ValueError, match=message) as refused:
        LinearClassifier.load(path)
    assert f"numlin {numlin.__version__}" in str(refused.value)
