"""LinearClassifier among scikit-learn's tools, which numlin does not depend on."""

import warnings

import numpy as np
import pytest

from numlin.model import LinearClassifier

sklearn = pytest.importorskip("sklearn", "1.6", reason="scikit-learn 1.6 or newer is not here")

from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, learning_curve
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

OWN_WORDS = "it is refused, in numlin's own words (found ..., expected ...)"
KNOWN = {
    "check_estimators_unfitted": "ValueError, of which scikit-learn's NotFittedError is a kind",
    "check_n_features_in_after_fitting": OWN_WORDS,
    "check_complex_data": OWN_WORDS,
    "check_dtype_object": "a dict among the numbers is a ValueError, not a TypeError",
    "check_estimators_empty_data_messages": OWN_WORDS,
    "check_estimators_nan_inf": OWN_WORDS,
    "check_classifiers_regression_target": "sixty numbers are sixty classes, and refused as that",
    "check_supervised_y_2d": "a column of labels is refused, where scikit-learn flattens and warns",
    "check_classifier_not_supporting_multiclass": OWN_WORDS,
    "check_fit2d_predict1d": OWN_WORDS,
    "check_requires_y_none": OWN_WORDS,
}


@pytest.fixture(scope="module")
def digits():
    """The 8 x 8 digits of scikit-learn, all ten, in [0, 1]."""
    data = load_digits()
    return data.data / 16, data.target


@pytest.fixture(scope="module")
def two(digits):
    """Threes and eights."""
    X, y = digits
    chosen = np.isin(y, (3, 8))
    return X[chosen], y[chosen]


@pytest.fixture
def model():
    return LinearClassifier(n_epochs=5, engine="numpy")


def test_it_is_a_classifier_that_can_be_cloned_and_says_when_it_is_fitted(model, two):
    assert is_classifier(model)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(ValueError):
        check_is_fitted(model)
    check_is_fitted(model.fit(*two))
    assert model.n_features_in_ == 64


def test_it_is_cross_validated_also_in_a_pipeline(model, two):
    plain = cross_val_score(model, *two)
    piped = cross_val_score(make_pipeline(MinMaxScaler(), model), 16 * two[0], two[1])
    assert plain.min() > 0.85 and piped.min() > 0.85
    assert learning_curve(model, *two)[2].shape == (5, 5)


def test_its_parameters_are_searched_in_two_processes(model, two):
    grid = {"eps": [0.0, 0.05], "learning_rate": [0.1, 0.01]}
    found = GridSearchCV(model, grid, n_jobs=2).fit(*two)
    assert found.best_score_ > 0.9 and len(found.cv_results_["mean_test_score"]) == 4


def test_a_pipeline_predicts_scores_and_shows_itself(model, two):
    X, y = two
    pipeline = make_pipeline(MinMaxScaler(), model).fit(X, y)
    assert pipeline.score(X, y) == np.mean(pipeline.predict(X) == y) > 0.9
    assert "LinearClassifier" in pipeline._repr_html_()


def test_it_is_calibrated_and_votes(model, two):
    X, y = two
    assert CalibratedClassifierCV(model).fit(X, y).predict_proba(X).shape == (len(y), 2)
    voting = VotingClassifier([("one", model), ("two", LogisticRegression())]).fit(X, y)
    assert voting.score(X, y) > 0.9


@pytest.mark.parametrize("several", [OneVsOneClassifier, OneVsRestClassifier])
def test_ten_digits_are_told_apart_by_several(several, model, digits):
    assert several(model).fit(*digits).score(*digits) > 0.8


def test_check_estimator_finds_nothing_but_what_is_known():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LinearClassifier(engine="numpy")
        results = check_estimator(model, on_fail=None, on_skip=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    assert failed <= set(KNOWN)
    assert len(results) - len(failed) > 40


def test_columns_in_another_order_are_refused(model, two, tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not here")
    X, y = pandas.DataFrame(two[0], columns=[f"p{j}" for j in range(64)]), two[1]
    model.fit(X, y)
    assert model.feature_names_in_.tolist() == list(X.columns)
    assert (model.predict(X) == model.predict(two[0])).all()
    model.save(tmp_path / "model.npz")
    for each in (model, LinearClassifier.load(tmp_path / "model.npz")):
        with pytest.raises(
            ValueError, match=r"found columns p63, p62, .* expected those of fit, p0"
        ):
            each.predict(X[X.columns[::-1]])
    assert not hasattr(model.fit(*two), "feature_names_in_")


def test_tables_of_integers_and_categories_are_read(model, two):
    pandas = pytest.importorskip("pandas", reason="pandas is not here")
    X, y = two
    names = pandas.Series(np.where(y == 8, "eight", "three"))
    expected = model.fit(16 * X, y).predict(16 * X)
    table = pandas.DataFrame((16 * X).astype(int))
    for labels in (names, names.astype("category"), names.astype(object)):
        found = model.fit(table, labels).predict(table)
        assert model.classes_.tolist() == ["eight", "three"]
        assert np.mean((found == "eight") == (expected == 8)) > 0.95
