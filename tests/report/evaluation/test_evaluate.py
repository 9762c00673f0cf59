"""Figures of a run against scikit-learn and brute force, the view floor against the cohort's table, and choosing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, precision_recall_fscore_support, roc_auc_score

from rustk.report.data.cohort import Cohort, split_cohort
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.evaluate import Evaluation, evaluate, resamples_of
from rustk.report.evaluation.figures.base import visit_totals
from rustk.report.evaluation.floor import view_floor
from tests.instruments import MRUST
from tests.report.planted import CLEAN, draw_index


@pytest.fixture(scope="module")
def parts(clean: Analysis) -> tuple[Cohort, np.ndarray, Evaluation]:
    assert clean.cohort is not None
    assert clean.best is not None
    predictions = clean.aggregate.results.predictions(clean.trial, epoch=clean.epoch)
    return clean.cohort, clean.cohort.align(predictions, "test"), clean.best


def test_studies_figure_is_that_of_the_histories(clean: Analysis) -> None:
    assert clean.best is not None
    assert clean.best["auroc_200"].value == pytest.approx(clean.aggregate.best["val_auroc"], abs=1e-6)


def test_exact_auroc_is_scikit_learns(parts: tuple[Cohort, np.ndarray, Evaluation]) -> None:
    cohort, probabilities, found = parts
    areas = [
        [roc_auc_score(cohort.truth[rows, label], probabilities[rows, label]) for label in range(18)]
        for rows in (cohort.folds == fold for fold in range(4))
    ]
    assert found["auroc_labels"].value == pytest.approx(np.mean(areas), abs=1e-6)
    assert found["auroc_scores"].value == pytest.approx(np.mean(np.array(areas)[:, 2:]), abs=1e-6)
    assert found.labels["auroc"].to_numpy() == pytest.approx(np.mean(areas, axis=0), abs=1e-6)


def test_in_view_auroc_is_that_of_pairs_one_by_one(parts: tuple[Cohort, np.ndarray, Evaluation]) -> None:
    cohort, probabilities, found = parts
    for label in (2, 9, 17):
        cortex = MRUST.site_names[(label - 2) // 4]
        shown_in = {cohort.views[row] for row in np.flatnonzero(cohort.scored[:, MRUST.site_names.index(cortex)])}
        concordant = pairs = 0.0
        for i in np.flatnonzero(cohort.truth[:, label]):
            for j in np.flatnonzero(~cohort.truth[:, label]):
                if (
                    cohort.views[i] == cohort.views[j]
                    and cohort.views[i] in shown_in
                    and cohort.folds[i] == cohort.folds[j]
                ):
                    pairs += 1
                    a, b = probabilities[i, label], probabilities[j, label]
                    concordant += 1.0 if a > b else 0.5 if a == b else 0.0
        assert found.labels["in_view_auroc"][label] == pytest.approx(concordant / pairs, abs=1e-6)
    assert found.labels["in_view_auroc"][:2].isna().all()
    assert found["auroc_in_view"].value == pytest.approx(found.labels["in_view_auroc"][2:].mean())


def test_agreement_is_scikit_learns(parts: tuple[Cohort, np.ndarray, Evaluation]) -> None:
    cohort, probabilities, found = parts
    for number, cortex in enumerate(MRUST.site_names):
        rows = cohort.scored[:, number]
        four = probabilities[rows, 2 + 4 * number : 6 + 4 * number].astype(np.float64)
        expected = four @ np.arange(1, 5) / four.sum(axis=1)
        truth = cohort.scores[rows, number]
        kappa = cohen_kappa_score(truth.astype(int), four.argmax(axis=1) + 1, weights="quadratic")
        assert found[f"kappa_{cortex}"].value == pytest.approx(kappa, abs=1e-6)
        assert found[f"mae_{cortex}"].value == pytest.approx(mean_absolute_error(truth, expected), abs=1e-6)
        assert found.sites[number].confusion.sum() == rows.sum()
    figures = precision_recall_fscore_support(cohort.truth, probabilities > 0.5, average=None, zero_division=np.nan)
    for name, values in zip(("precision", "recall", "f1"), figures, strict=False):
        assert found[name].value == pytest.approx(np.nanmean(values), abs=1e-6)


def test_visit_totals_join_the_views_of_a_visit() -> None:
    rows = [
        ("a", "p", "v1", "ap", 1, 2, np.nan, np.nan),
        ("b", "p", "v1", "lateral", np.nan, np.nan, 3, 4),
        ("c", "p", "v1", "lateral", np.nan, np.nan, 3, 2),  # a second lateral image: averaged
        ("d", "p", "v2", "ap", 1, 1, np.nan, np.nan),  # no lateral view
        ("e", "q", "v1", "ap", 4, 4, np.nan, np.nan),
        ("f", "q", "v1", "lateral", np.nan, np.nan, 4, np.nan),  # a cortex unscored
        ("g", None, "v1", "ap", 1, 1, np.nan, np.nan),
        ("h", None, "v1", "lateral", np.nan, np.nan, 1, 1),  # of no known patient
    ]
    index = pd.DataFrame(rows, columns=["sample_id", "patient", "visit", "view", *MRUST.site_names]).assign(
        split="test"
    )
    cohort = split_cohort(index, "test", MRUST)
    probabilities = np.zeros((8, 18), dtype=np.float32)
    probabilities[:, [2, 6, 10, 14]] = 1.0  # score 1 everywhere
    probabilities[1, 14:18] = (0.25, 0, 0, 0.75)  # posterior of image b: 4, or 3.25 to be expected
    totals = visit_totals(cohort, probabilities)
    assert totals.true.tolist() == [1 + 2 + 3 + 3.0]
    assert totals.expected.tolist() == [1 + 1 + 1 + (3.25 + 1) / 2]
    assert totals.decided.tolist() == [1 + 1 + 1 + 2.5]
    assert totals.clusters.tolist() == [0]


def test_intervals_hold_their_figures_and_are_reproducible(parts: tuple[Cohort, np.ndarray, Evaluation]) -> None:
    cohort, probabilities, found = parts
    for figure in found.figures.values():
        assert figure.interval.low <= figure.value <= figure.interval.high
    again = evaluate(cohort, probabilities, resamples_of(cohort, 0))
    assert {k: f.interval for k, f in again.figures.items()} == {k: f.interval for k, f in found.figures.items()}


def test_labels_that_never_occur_are_counted() -> None:
    index = draw_index(CLEAN)
    index.loc[index["medial"] == 1, "medial"] = 2
    cohort = split_cohort(index, "develop", MRUST)
    found = evaluate(cohort, view_floor(cohort), resamples_of(cohort, 0, 10))
    assert (found["auroc_labels"].undefined, found["auroc_in_view"].undefined) == (1, 1)
    assert found.labels.set_index("label").loc["medial_1", "images"] == 0
