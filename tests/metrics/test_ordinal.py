"""Kappa, mean absolute error and decisions against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_recall_fscore_support
from sklearn.metrics import mean_absolute_error as sklearn_mean_absolute_error

from rustk.metrics.decisions import decisions
from rustk.metrics.ordinal import confusion, expected_score, mean_absolute_error, quadratic_weighted_kappa, rounded

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(PAIRS)
@settings(deadline=None)
def test_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    matrix = confusion(truth, predicted, 4)
    assert (matrix == confusion_matrix(truth, predicted, labels=range(4))).all()
    value = quadratic_weighted_kappa(matrix)
    if len(set(truth) | set(predicted)) == 1:
        assert np.isnan(value)
    else:
        assert value == pytest.approx(cohen_kappa_score(truth, predicted, labels=range(4), weights="quadratic"))


def test_weights_repeat_samples(rng: np.random.Generator) -> None:
    truth, predicted = rng.integers(4, size=(2, 50))
    weights = rng.integers(4, size=(50, 3)).astype(np.float32)
    stacked = quadratic_weighted_kappa(confusion(truth, predicted, 4, weights))
    errors = mean_absolute_error(truth, predicted, weights)
    for column in range(3):
        rows = np.repeat(np.arange(50), weights[:, column].astype(int))
        expected = cohen_kappa_score(truth[rows], predicted[rows], labels=range(4), weights="quadratic")
        assert stacked[column] == pytest.approx(expected, abs=1e-6)
        assert errors[column] == pytest.approx(sklearn_mean_absolute_error(truth[rows], predicted[rows]), abs=1e-6)


def test_expected_score() -> None:
    given_ = np.array([[1, 0, 0, 0], [0.1, 0.1, 0.1, 0.1], [0, 0, 0, 0], [0, 0, 0.5, 0.5]])
    assert expected_score(given_) == pytest.approx([1.0, 2.5, 2.5, 3.5])
    assert rounded([1.0, 2.5, 3.49]).tolist() == [1, 3, 3]


def test_class_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"true classes 0\.\.4: expected 0\.\.3"):
        confusion([0, 4], [0, 0], 4)


def test_decisions_are_scikit_learns(rng: np.random.Generator) -> None:
    truth, probabilities = rng.random((300, 4)) < 0.3, rng.random((300, 4))
    found = decisions(truth, probabilities)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, probabilities > 0.5, average=None)
    assert found.precision == pytest.approx(precision)
    assert found.recall == pytest.approx(recall)
    assert found.f1 == pytest.approx(f1)
    assert found.macro()["f1"] == pytest.approx(f1.mean())
    weights = rng.integers(3, size=(300, 2)).astype(float)
    rows = np.repeat(np.arange(300), weights[:, 1].astype(int))
    weighted = decisions(truth, probabilities, weights=weights)
    assert weighted.f1[:, 1] == pytest.approx(decisions(truth[rows], probabilities[rows]).f1)


def test_label_never_predicted_has_no_precision() -> None:
    found = decisions([[1, 0], [0, 0]], [[0.1, 0.1], [0.2, 0.2]])
    assert np.isnan(found.precision).all()
    assert found.recall == pytest.approx([0.0, np.nan], nan_ok=True)
    assert found.f1 == pytest.approx([0.0, np.nan], nan_ok=True)
