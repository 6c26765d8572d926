"""The estimator: a linear classifier with the verbs and attributes of the ecosystem."""

import io
import json
import math
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

import numlin
from numlin import sgd
from numlin.callbacks import Callback
from numlin.objective import is_error, score
from numlin.support.arguments import Array, check_classes, check_finite, check_inputs, pixels
from numlin.support.files import FilePath, read_whole, replacing

FORMAT = "numlin linear classifier 1"
LARGEST = 2**28  # bytes of a model file


@dataclass(kw_only=True, eq=False)
class LinearClassifier(sgd.Training):
    """sign(w.x + b), trained by `numlin.sgd.fit`; the parameters are those of `Training`.

    Attributes
    ----------
    coef_ : (1, n_features)
        Weights.
    intercept_ : (1,)
        Bias.
    classes_ : (2,)
        The two labels; a negative score means the first, a positive one the second.
    losses_, errors_ : (n_epochs,)
        Running averages over each epoch.
    trained_on_ : dict
        What it was trained on.
    n_features_in_, feature_names_in_ : int, (n_features,)
        The names only after a fit to a table whose columns all have one: they are then compared
        with those of every other table.

    Examples
    --------
    >>> X, y = numlin.load("train", digits=(0, 1))                          # doctest: +SKIP
    >>> model = numlin.LinearClassifier(eps=0.1, learning_rate=0.01).fit(X, y)  # doctest: +SKIP
    """

    # A model is itself, as estimators are: not every model of the same parameters.
    __eq__, __hash__ = object.__eq__, object.__hash__

    def fit(self, X: ArrayLike, y: ArrayLike, callbacks: Iterable[Callback] = (),
            trained_on: dict | None = None) -> Self:  # fmt: skip
        """Train on `X` (n_samples, n_features) and labels `y` (n_samples,) of any two values.

        `X` is an array or a table of numbers; only uint8 counts as x / 255, all else as it is, and
        `eps` is in its units. `trained_on`, a dict of JSON values, is remembered and saved with
        the model.
        """
        names, X, (classes, signs) = _column_names(X), check_inputs(X), check_classes(y)
        result = sgd.fit(X, signs, self, callbacks)
        if self.eps and X.dtype != np.uint8 and not (X.min() >= 0 and X.max() <= 1):
            text = "X leaves [0, 1]: eps is in the units of X, whatever they are"
            warnings.warn(text, stacklevel=2)
        vars(self).pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        self.classes_, self.coef_ = classes, result.w[None, :]
        self.intercept_ = np.array([result.b], result.w.dtype)
        self.losses_, self.errors_ = result.losses, result.errors
        self.trained_on_ = {"n_samples": len(X), **(trained_on or {})}
        return self

    @classmethod
    def from_weights(cls, w: ArrayLike, b: float, classes: ArrayLike = (-1, 1),
                     trained_on: dict | None = None, **params: Any) -> Self:  # fmt: skip
        """A fitted model from `w` (n_features,) and `b` that were found in another way."""
        model = cls(**params)
        model.coef_, model.intercept_ = np.array([w]), np.array([b])
        model.classes_, model.trained_on_ = np.array(classes), trained_on or {}
        model.losses_ = model.errors_ = np.empty(0)
        return model

    @property
    def w(self) -> Array:
        """Weights (n_features,) in float64, in which everything after training is computed."""
        return self._fitted("coef_")[0].astype(np.float64)

    @property
    def b(self) -> float:
        """Bias, a float."""
        return float(self._fitted("intercept_")[0])

    @property
    def n_features_in_(self) -> int:
        """How many features it was trained on; there is no such attribute before that."""
        return self.coef_.shape[1]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")

    def __sklearn_tags__(self):
        """What scikit-learn wants to know; it alone calls this, so it is imported here alone."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_class=False),
            input_tags=InputTags(),
        )

    def decision_function(self, X: ArrayLike) -> Array:
        """Scores w.x + b of `X` (n_samples, n_features); uint8 pixels count as x / 255."""
        w = self.w
        names, own = _column_names(X), getattr(self, "feature_names_in_", None)
        if names is not None and own is not None and list(names) != list(own):
            found, expected = (f"{', '.join(columns[:5])}, ..." for columns in (names, own))
            raise ValueError(f"X: found columns {found} expected those of fit, {expected}")
        X = check_inputs(X, len(w))
        return score(w, self.b, pixels(X, np.float64))

    def predict(self, X: ArrayLike) -> Array:
        """The class of each row of `X` (n_samples, n_features); the first where the score is 0."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int)]

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Accuracy on `X` (n_samples, n_features) and labels `y`; a score of 0 is an error."""
        scores, y = self.decision_function(X), np.asarray(y)
        y = np.array(y.tolist()) if y.dtype.kind in "OT" else y  # objects: strings or numbers
        if y.shape != scores.shape or not np.isin(y, self.classes_).all():
            raise ValueError(
                f"y: expected {len(scores)} labels out of {self.classes_.tolist()}, "
                f"found shape {y.shape} with values {np.unique(y)[:5].tolist()}"
            )
        signs = np.where(y == self.classes_[1], 1, -1)
        return 1 - float(np.mean(is_error(signs * scores)))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The training parameters as a dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **params: Any) -> Self:
        """Change training parameters; returns self."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{name}: no such parameter, expected one of {', '.join(known)}")
            setattr(self, name, value)
        return self

    def save(self, path: FilePath) -> None:
        """Write the model to `path` as .npz without pickle; whole or not at all."""
        about = {
            "format": FORMAT,
            "numlin": numlin.__version__,
            "training": asdict(self),
            "trained_on": self._fitted("trained_on_"),
        }
        if hasattr(self, "feature_names_in_"):
            about["feature_names"] = list(self.feature_names_in_)
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        text = json.dumps(about, default=lambda scalar: scalar.item())
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, about=text, **arrays)

    @classmethod
    def load(cls, path: FilePath) -> Self:
        """Read a model that `save` wrote; ValueError names the file and what is wrong with it."""
        content = read_whole(path, LARGEST)
        try:
            if not content.startswith(b"PK\x03\x04"):  # zipfile would look for one further on
                raise ValueError("no .npz file")
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                about = json.loads(str(_member(archive, "about")))
                arrays = {name: _member(archive, name) for name in _ARRAYS}
            if about["format"] != FORMAT:
                raise ValueError(
                    f"its format is {about['format']!r} of numlin {about.get('numlin')}, expected "
                    f"{FORMAT!r}; this is numlin {numlin.__version__}"
                )
            _check_fields("", about, *_ABOUT, optional={"feature_names"})
            _check_fields("training: ", about["training"], *(field.name for field in fields(cls)))
            model = cls(**about["training"])
            model.validate()
            model.trained_on_ = dict(about["trained_on"])
            if "feature_names" in about:
                model.feature_names_in_ = np.array(about["feature_names"], object)
        except Exception as error:  # a file from anywhere: zipfile, json and NumPy raise any kind
            raise ValueError(f"{path}: not a model saved by numlin ({error})") from None
        n_features, n_epochs = arrays["coef_"].size, arrays["losses_"].size
        shapes = (1, n_features), (1,), (2,), (n_epochs,), (n_epochs,)
        for (name, found), shape in zip(arrays.items(), shapes, strict=True):
            if found.shape != shape or not n_features:
                raise ValueError(f"{path}: {name} has shape {found.shape}, expected {shape}")
            allowed = ("fuibUS", "numbers or strings"), ("f", "floating point")
            kinds, expected = allowed[name != "classes_"]
            if found.dtype.kind not in kinds:
                raise ValueError(f"{path}: {name} is {found.dtype}, expected {expected}")
            check_finite(found, f"{path}: {name}")
            setattr(model, name, found)
        return model

    def _fitted(self, name):
        """The learned attribute `name`, or the reason why there is none."""
        if not hasattr(self, name):
            raise ValueError("this LinearClassifier is not fitted yet: call fit, or load")
        return getattr(self, name)


_ABOUT = ("format", "numlin", "training", "trained_on")
_ARRAYS = ("coef_", "intercept_", "classes_", "losses_", "errors_")


def _check_fields(where, found, *expected, optional=()):
    """Raise ValueError unless the dict `found` has the `expected` fields and no unknown one."""
    missing, unknown = [set(expected) - set(found), set(found) - {*expected, *optional}]
    for what, names in (("lacks the field", missing), ("has the unknown field", unknown)):
        if names:
            version = numlin.__version__
            raise ValueError(f"{where}it {what} {min(names)!r}; this is numlin {version}")


def _column_names(X):
    """The names of the columns of a table `X` (n_samples, n_features) if all are strings."""
    names = getattr(X, "columns", None)
    if names is not None and len(names) and all(isinstance(name, str) for name in names):
        return np.array(list(names), object)
    return None


def _member(archive, name):
    """The array `name` of a .npz that nobody compressed or encrypted, as long as its header says.

    So no header has more memory taken than the file is long.
    """
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise ValueError(f"{name} is compressed or encrypted, expected it stored as it is")
    content = io.BytesIO(archive.read(entry))
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError(f"{name} is not an array of version 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(content)
    items = content.read()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(items):
        raise ValueError(f"{name} has {len(items)} bytes, expected {dtype} of shape {shape}")
    return np.ndarray(shape, dtype, bytearray(items), order="F" if fortran else "C")
