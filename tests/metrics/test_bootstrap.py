"""The bootstrap over patients against drawing rows by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rustk.metrics.bootstrap import Interval, multiplicities, patient_clusters, percentile_interval, resampled_auroc


def test_images_of_a_patient_share_a_cluster_and_unknown_patients_have_their_own() -> None:
    clusters, count = patient_clusters(["b", None, "a", "b", float("nan"), None])
    assert clusters.tolist() == [0, 1, 2, 0, 3, 4]
    assert count == 5


def test_multiplicities_draw_as_many_as_there_are_and_depend_on_the_seed_only() -> None:
    drawn = multiplicities(37, 200, seed=5)
    assert drawn.shape == (37, 200)
    assert (drawn.sum(axis=0) == 37).all()
    assert (drawn == multiplicities(37, 200, seed=5)).all()
    assert (drawn != multiplicities(37, 200, seed=6)).any()
    assert (drawn == 0).mean() == pytest.approx((1 - 1 / 37) ** 37, abs=0.01)


def test_resampled_auroc_is_that_of_the_rows_drawn(rng: np.random.Generator) -> None:
    truth, clusters = rng.random((200, 3)) < 0.3, rng.integers(60, size=200)
    scores = np.round(rng.random((200, 3)), 2)
    weights = multiplicities(60, 5, seed=1)
    values = resampled_auroc(truth, scores, np.zeros(200, dtype=np.intp), clusters, weights)
    for column in range(5):
        rows = np.repeat(np.arange(200), weights[clusters, column].astype(int))
        expected = [roc_auc_score(truth[rows, label], scores[rows, label]) for label in range(3)]
        assert values[:, column] == pytest.approx(expected, abs=1e-6)


def test_mean_of_strata_is_the_mean_over_folds(rng: np.random.Generator) -> None:
    truth, folds, scores = rng.random((300, 1)) < 0.4, rng.integers(3, size=300), rng.random((300, 1))
    once = np.ones((300, 1))
    value = resampled_auroc(truth, scores, folds, np.arange(300), once, mean_of_strata=True)[0, 0]
    each = [roc_auc_score(truth[folds == fold], scores[folds == fold]) for fold in range(3)]
    assert value == pytest.approx(np.mean(each))


def test_resamples_of_sixty_thousand_predictions_spread_as_theory_says(rng: np.random.Generator) -> None:
    n, patients = 60_000, 25_000
    truth = rng.random((n, 4)) < 0.12
    scores, clusters = rng.random((n, 4), dtype=np.float32), rng.integers(patients, size=n)
    weights = multiplicities(patients, 1000, seed=1)
    values = resampled_auroc(truth, scores, np.zeros(n, dtype=np.intp), clusters, weights)
    assert values.shape == (4, 1000)
    assert values.std(axis=1) == pytest.approx(0.0036, rel=0.15)


def test_interval_covers_the_truth_about_as_often_as_it_says_when_patients_are_drawn(rng: np.random.Generator) -> None:
    """Forty patients of four equal images: drawing images instead would promise twice the precision there is."""
    covered = {"patients": 0, "images": 0}
    for seed in range(200):
        images = np.repeat(rng.normal(size=40), 4)
        for kind, clusters in (("patients", np.repeat(np.arange(40), 4)), ("images", np.arange(160))):
            weights = multiplicities(clusters[-1] + 1, 300, seed)[clusters]
            resampled = images @ weights / weights.sum(axis=0)
            covered[kind] += percentile_interval(float(images.mean()), resampled).contains(0.0)
    assert 0.88 <= covered["patients"] / 200 <= 0.98
    assert covered["images"] / 200 < 0.8


def test_interval_without_a_defined_resample_is_undefined() -> None:
    found = percentile_interval(0.5, [np.nan, np.nan])
    assert np.isnan(found.low)
    assert not found.contains(0.5)
    assert Interval(0.5, 0.4, 0.6).contains(0.5)
