"""Kappa, mean absolute error and decisions against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_recall_fscore_support, recall_score
from sklearn.metrics import mean_absolute_error as sklearn_mean_absolute_error

from rustk.metrics.decisions import decisions, sensitivity_specificity
from rustk.metrics.ordinal import (
    confusion,
    expected_score,
    mean_absolute_error,
    most_probable_score,
    quadratic_weighted_kappa,
    rounded,
)

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
    assert expected_score(given_, [1, 2, 3, 4]) == pytest.approx([1.0, 2.5, 2.5, 3.5])
    assert expected_score(given_, [0, 1, 3, 10]) == pytest.approx([0.0, 3.5, 3.5, 6.5])
    assert rounded([1.0, 2.5, 3.49]).tolist() == [1, 3, 3]


def test_the_most_probable_score_is_a_score_of_the_site() -> None:
    assert most_probable_score([[0.1, 0.2, 0.7, 0.0], [0.4, 0.4, 0.1, 0.1]], [1, 2, 3, 5]).tolist() == [3, 1]
    assert most_probable_score([[0, 0, 0, 1]], (1, 2, 3, 5)).tolist() == [5]


@given(PAIRS)
@settings(deadline=None)
def test_kappa_of_scores_with_a_gap_is_that_of_every_score_in_between(pairs: list[tuple[int, int]]) -> None:
    """scikit-learn weighs by the place of a class: with the scores 0 to 4 of which nobody has the 3, that is 4 - 2."""
    scores = np.array([0, 1, 2, 4])
    truth, predicted = np.array(pairs).T
    value = quadratic_weighted_kappa(confusion(truth, predicted, 4), scores)
    if len(set(truth) | set(predicted)) == 1:
        assert np.isnan(value)
    else:
        expected = cohen_kappa_score(scores[truth], scores[predicted], labels=range(5), weights="quadratic")
        assert value == pytest.approx(expected)
    consecutive = quadratic_weighted_kappa(confusion(truth, predicted, 4), [1, 2, 3, 4])
    assert consecutive == pytest.approx(quadratic_weighted_kappa(confusion(truth, predicted, 4)), nan_ok=True)


def test_sensitivity_and_specificity_are_scikit_learns(rng: np.random.Generator) -> None:
    truth, said, weights = rng.random(80) < 0.4, rng.random(80) < 0.5, rng.integers(3, size=(80, 4)).astype(float)
    found = sensitivity_specificity(truth, said)
    weighted = sensitivity_specificity(truth, said, weights)
    for part, positive in enumerate((True, False)):
        assert found[part] == pytest.approx(recall_score(truth, said, pos_label=positive))
        for column in range(4):
            expected = recall_score(truth, said, pos_label=positive, sample_weight=weights[:, column])
            assert weighted[part][column] == pytest.approx(expected)
    assert np.isnan(sensitivity_specificity([0, 0], [1, 0])[0])
    assert np.isnan(sensitivity_specificity([1, 1], [1, 0])[1])


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
