"""Paired tests, worked by hand, and the correction for choosing."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from rustk.metrics.bootstrap import multiplicities
from rustk.metrics.calibration import reliability
from rustk.metrics.comparison import corrected_resampled_t_test, holm
from rustk.metrics.ranking import keras_bins
from rustk.metrics.selection import corrected_best, figure_under_weights
from rustk.metrics.thresholded import auroc


def test_corrected_t_test_by_hand() -> None:
    first, second = [0.80, 0.82, 0.79, 0.85], [0.78, 0.81, 0.79, 0.80]
    # d = .02 .01 .00 .05: mean .02, variance 14e-4 / 3; (1/4 + 1/3) x that = 2.7222e-4; t = .02 / .016499
    found = corrected_resampled_t_test(first, second)
    assert found.difference == pytest.approx(0.02)
    assert found.t == pytest.approx(0.02 / np.sqrt((1 / 4 + 1 / 3) * 14e-4 / 3))
    assert found.degrees_of_freedom == 3
    uncorrected = ttest_rel(first, second)
    assert corrected_resampled_t_test(first, second, test_share=0).p == pytest.approx(uncorrected.pvalue)
    assert found.p > uncorrected.pvalue


def test_corrected_t_test_at_its_edges() -> None:
    assert corrected_resampled_t_test([0.5, 0.5], [0.5, 0.5]).p == 1.0
    assert corrected_resampled_t_test([0.75, 0.75], [0.5, 0.5]).p == 0.0
    assert np.isnan(corrected_resampled_t_test([0.7], [0.6]).p)
    with pytest.raises(ValueError, match="2 figures of the first study, 3 of the second"):
        corrected_resampled_t_test([0.1, 0.2], [0.1, 0.2, 0.3])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == pytest.approx([1.0, 1.0])
    assert holm([0.01, np.nan, 0.02]) == pytest.approx([0.02, np.nan, 0.02], nan_ok=True)


def test_figure_is_the_mean_over_folds_of_keras_macro(rng: np.random.Generator) -> None:
    truth, folds = rng.random((300, 4)) < 0.3, np.arange(300) % 3
    truth[folds == 1, 2] = False  # Keras counts 0 for a label that a fold lacks
    probabilities = rng.random((300, 4), dtype=np.float32)
    found = figure_under_weights(truth, keras_bins(probabilities), folds, np.arange(300), np.ones((300, 1)))
    assert found[0] == pytest.approx(np.mean([auroc(truth[folds == f], probabilities[folds == f]) for f in range(3)]))


def best_of(count: int, signal: float, seed: int, n: int = 240) -> tuple[float, float, float]:
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 2)) < 0.4
    configurations = [signal * truth + rng.normal(size=(n, 2)) for _ in range(count)]
    weights = multiplicities(n, 100, seed)
    found = corrected_best(truth, configurations, np.arange(n) % 3, np.arange(n), weights)
    return found.naive, found.corrected.value, float(found.share_won.sum())


def test_a_figure_under_weights_too_great_for_float32_is_as_exact(rng: np.random.Generator) -> None:
    truth, scores, folds = rng.random((60, 4)) < 0.4, rng.integers(0, 9, (60, 4)), np.arange(60) % 3
    weights = rng.integers(0, 3, (60, 20)).astype(np.float32)
    small = figure_under_weights(truth, scores, folds, np.arange(60), weights)
    great = figure_under_weights(truth, scores, folds, np.arange(60), weights * np.float32(2**9))
    assert np.array_equal(small, great, equal_nan=True)


def test_best_of_many_that_know_nothing_is_corrected_to_chance() -> None:
    naive, corrected, won = np.mean([best_of(30, 0.0, seed) for seed in range(12)], axis=0)
    assert naive > 0.54
    assert corrected == pytest.approx(0.5, abs=0.012)
    assert won == pytest.approx(1.0)


def test_a_single_configuration_needs_no_correction() -> None:
    naive, corrected, _ = np.mean([best_of(1, 1.0, seed) for seed in range(12)], axis=0)
    assert corrected == pytest.approx(naive, abs=0.004)
    with pytest.raises(ValueError, match="no configuration"):
        corrected_best(np.ones((2, 1), dtype=bool), [], np.zeros(2, dtype=int), np.arange(2), np.ones((2, 1)))


def test_the_difference_to_a_reference_is_paired(rng: np.random.Generator) -> None:
    n = 240
    truth, folds, patients = rng.random((n, 2)) < 0.4, np.arange(n) % 3, np.arange(n)
    weights = multiplicities(n, 100, 0)
    reference = truth + rng.normal(size=(n, 2))
    # Hardly better in each image, and so in every resample: beside the reference that shows, although both vary.
    better = reference + 0.4 * truth
    found = corrected_best(truth, [better], folds, patients, weights, reference=reference)
    assert found.above_reference is not None
    assert found.above_reference.low > 0
    alone = corrected_best(truth, [reference], folds, patients, weights)
    assert alone.above_reference is None
    assert found.corrected.low < alone.corrected.high
    assert found.above_reference.value == pytest.approx(found.corrected.value - alone.corrected.value)
    same = corrected_best(truth, [reference], folds, patients, weights, reference=reference).above_reference
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_reliability_by_hand() -> None:
    curve = reliability([0, 1, 1, 1], [0.1, 0.3, 0.9, 1.0], bins=2)
    assert curve.count.tolist() == [2, 2]
    assert curve.predicted == pytest.approx([0.2, 0.95])
    assert curve.observed == pytest.approx([0.5, 1.0])
    assert curve.expected_error == pytest.approx(0.5 * 0.3 + 0.5 * 0.05)
    assert np.isnan(reliability([], []).expected_error)


def test_calibrated_probabilities_have_little_error(rng: np.random.Generator) -> None:
    probability = rng.random(20_000)
    happened = rng.random(20_000) < probability
    assert reliability(happened, probability).expected_error < 0.02
    assert reliability(happened, probability**2).expected_error > 0.1
