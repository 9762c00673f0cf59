"""Rank statistics against scikit-learn and against counting pairs one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from rustk.metrics import thresholded
from rustk.metrics.ranking import Macro, PairTable, auroc, in_view, keras_bins, macro, mean_defined, stratified_auroc


def count_pairs(truth: np.ndarray, scores: np.ndarray, strata: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The definition, as slowly as it reads."""
    concordant = pairs = 0.0
    for i in range(len(truth)):
        for j in range(len(truth)):
            if truth[i] and not truth[j] and strata[i] == strata[j]:
                weight = weights[i] * weights[j]
                pairs += weight
                concordant += weight * (1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0)
    return concordant, pairs


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_pair_table_counts_weighted_pairs_within_strata(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 14))
    lists = {
        name: data.draw(st.lists(st.integers(0, top), min_size=n, max_size=n))
        for name, top in (("truth", 1), ("score", 4), ("stratum", 2), ("cluster", 3))
    }
    truth, score, stratum, cluster = (np.array(values) for values in lists.values())
    weights = np.array(data.draw(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=4, max_size=4)))
    concordant, pairs = PairTable(truth, score, stratum, cluster, 4).count(weights.astype(np.float64))
    for column in range(2):
        each = weights[cluster, column]
        for one in range(stratum.max() + 1):
            here = stratum == one
            expected = count_pairs(truth[here], score[here], stratum[here], each[here])
            assert (concordant[one, column], pairs[one, column]) == pytest.approx(expected)


def test_auroc_is_scikit_learns(rng: np.random.Generator) -> None:
    truth = rng.random((400, 5)) < 0.2
    scores = np.round(rng.random((400, 5)) + 0.2 * truth, 2)  # with ties
    expected = [roc_auc_score(truth[:, label], scores[:, label]) for label in range(5)]
    assert auroc(truth, scores) == pytest.approx(expected, abs=1e-12)
    assert macro(auroc(truth, scores)).value == pytest.approx(roc_auc_score(truth, scores, average="macro"), abs=1e-12)


def test_label_with_one_class_is_undefined_and_counted() -> None:
    truth = np.array([[0, 1, 0], [0, 1, 1]])
    values = auroc(truth, np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]))
    assert np.isnan(values[:2]).all()
    assert macro(values) == Macro(value=0.0, defined=1, undefined=2)
    assert np.isnan(macro([np.nan]).value)


def test_what_tells_the_view_only_has_in_view_auroc_of_one_half(rng: np.random.Generator) -> None:
    views = rng.integers(2, size=3000)
    scored = np.stack([views == 0, views == 1], axis=1) & (rng.random((3000, 2)) < 0.9)
    truth = scored & (rng.random((3000, 2)) < 0.3)
    told = np.stack([0.9 - 0.8 * views, 0.1 + 0.8 * views], axis=1)
    strata = views * 4 + rng.integers(4, size=3000)
    counted = in_view(views, scored)
    assert (auroc(truth, told) > 0.75).all()
    assert stratified_auroc(truth, told, strata, counted) == pytest.approx([0.5, 0.5])
    assert (counted == np.stack([views == 0, views == 1], axis=1)).all()


def test_a_stray_positive_hardly_counts(rng: np.random.Generator) -> None:
    """One wrong label in the other view brings that view in, with the weight of its few pairs only."""
    views = np.repeat([0, 1], 500)
    truth = np.zeros((1000, 1), dtype=bool)
    truth[:100] = True
    truth[500] = True
    scores = rng.random((1000, 1)) + 0.3 * truth
    scores[500] = -1.0
    assert in_view(views, truth).all()
    within = stratified_auroc(truth[:500], scores[:500], views[:500])[0]
    pairs = 100 * 400, 1 * 499
    assert stratified_auroc(truth, scores, views)[0] == pytest.approx(within * pairs[0] / sum(pairs))


def test_keras_bins_give_keras_area(rng: np.random.Generator) -> None:
    truth = rng.random((700, 18)) < 0.25
    probabilities = rng.beta(0.3, 0.5, size=(700, 18)).astype(np.float32)
    probabilities[:8, 0] = np.array([0, 1, 1 / 199, 2 / 199, 0.5, 1e-9, 1 - 1e-7, 100 / 199])
    expected = thresholded.auroc_by_label(truth.astype(np.float32), probabilities)
    assert auroc(truth, keras_bins(probabilities)) == pytest.approx(expected, abs=1e-9)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="3 truths, 2 scores"):
        PairTable([0, 1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        PairTable([0, 1], [0.1, float("nan")])


def test_mean_defined() -> None:
    assert mean_defined(np.array([[1.0, np.nan], [3.0, np.nan]]), axis=0) == pytest.approx([2.0, np.nan], nan_ok=True)
