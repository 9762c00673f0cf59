"""Figures of instruments that are not mRUST's: unequal scales with a gap, three views; and one site in one view."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, mean_absolute_error, recall_score, roc_auc_score

from rustk.report.data.cohort import Cohort, develop_cohort, split_cohort
from rustk.report.evaluation.analysis import Analysis, analyse
from rustk.report.evaluation.evaluate import evaluate, resamples_of
from rustk.report.evaluation.figures.base import figure_specs, visit_totals
from rustk.report.evaluation.floor import floor_title, view_floor
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.instrument import Instrument, Site, Total
from tests.instruments import MRUST, ODD, SINGLE
from tests.report.planted import ODD_RUN, SINGLE_RUN, aggregated, draw_folds, draw_index

RUNS = {"odd": ODD_RUN, "single": SINGLE_RUN}


@pytest.fixture(scope="module", params=RUNS)
def analysed(request: pytest.FixtureRequest) -> Analysis:
    return analyse(aggregated(RUNS[request.param]))


def parts(analysis: Analysis) -> tuple[Cohort, np.ndarray]:
    assert analysis.cohort is not None
    predictions = analysis.aggregate.results.predictions(analysis.trial, epoch=analysis.epoch)
    return analysis.cohort, analysis.cohort.align(predictions, "test")


def rows_of(instrument: Instrument, *rows: dict[str, Any]) -> Cohort:
    empty = {**dict.fromkeys(instrument.site_names), "patient": None, "visit": None, "split": "test"}
    index = pd.DataFrame([{**empty, "sample_id": f"{n:03d}", **row} for n, row in enumerate(rows)])
    return split_cohort(index.astype(dict.fromkeys(instrument.site_names, float)), "test", instrument)


def test_a_run_is_read_and_nothing_is_flagged(analysed: Analysis) -> None:
    assert analysed.flagged == ()
    assert analysed.absent == ()
    assert analysed.instrument in (ODD, SINGLE)
    assert analysed.choice is not None
    assert set(analysed.choice.trials.columns) == {"trial", "auroc_scores", "auroc_in_view"}


def test_the_studies_figure_is_that_of_the_histories(analysed: Analysis) -> None:
    assert analysed.best is not None
    assert analysed.best["auroc_200"].value == pytest.approx(analysed.aggregate.best["val_auroc"], abs=1e-6)


def test_exact_auroc_is_scikit_learns(analysed: Analysis) -> None:
    cohort, probabilities = parts(analysed)
    assert analysed.best is not None
    first = len(cohort.instrument.view_labels)
    areas = [
        [roc_auc_score(cohort.truth[rows, n], probabilities[rows, n]) for n in range(len(cohort.instrument.labels))]
        for rows in (cohort.folds == fold for fold in range(4))
    ]
    assert analysed.best["auroc_scores"].value == pytest.approx(np.mean(np.array(areas)[:, first:]), abs=1e-6)
    assert ("auroc_labels" in analysed.best) == bool(first)
    if first:
        assert analysed.best["auroc_labels"].value == pytest.approx(np.mean(areas), abs=1e-6)


def test_in_view_auroc_counts_the_pairs_of_one_view_and_fold(analysed: Analysis) -> None:
    cohort, probabilities = parts(analysed)
    assert analysed.best is not None
    instrument = cohort.instrument
    found = analysed.best.labels.set_index("label")["in_view_auroc"]
    for label in instrument.score_labels:
        site, column = label.rpartition("_")[0], instrument.labels.index(label)
        shown = {cohort.views[row] for row in np.flatnonzero(cohort.scored[:, instrument.site_names.index(site)])}
        areas, pairs = [], []
        for view in shown:
            for fold in range(4):
                rows = (cohort.views == view) & (cohort.folds == fold)
                positives = cohort.truth[rows, column].sum()
                if 0 < positives < rows.sum():
                    areas.append(roc_auc_score(cohort.truth[rows, column], probabilities[rows, column]))
                    pairs.append(positives * (rows.sum() - positives))
        assert found[label] == pytest.approx(np.average(areas, weights=pairs), abs=1e-6)


def test_agreement_of_each_site_is_by_its_own_scores(analysed: Analysis) -> None:
    cohort, probabilities = parts(analysed)
    assert analysed.best is not None
    for number, site in enumerate(cohort.instrument.sites):
        rows, scores = cohort.scored[:, number], np.array(site.scores)
        given = probabilities[rows][:, cohort.instrument.site_columns[number]].astype(np.float64)
        true, decided = cohort.scores[rows, number], scores[given.argmax(axis=1)]
        assert analysed.best[f"mae_{site.name}"].value == pytest.approx(
            mean_absolute_error(true, given @ scores / given.sum(axis=1)), abs=1e-6
        )
        matrix = confusion_matrix(true, decided, labels=scores)
        agreement = analysed.best.sites[number]
        assert (agreement.site, agreement.scores) == (site.name, site.scores)
        assert (agreement.confusion == matrix).all()
        # Cohen's weights by the scores themselves: 1 - observed / expected mean squared difference.
        chance = np.outer(matrix.sum(axis=1), matrix.sum(axis=0)) / matrix.sum()
        squares = (scores[:, None] - scores[None, :]) ** 2
        kappa = 1 - (squares * matrix).sum() / (squares * chance).sum()
        assert analysed.best[f"kappa_{site.name}"].value == pytest.approx(kappa, abs=1e-6)


def test_titles_count_the_labels_of_the_instrument() -> None:
    odd = {spec.key: spec.title for spec in figure_specs(ODD)}
    assert odd["auroc_labels"] == "Macro AUROC, 12 labels, exact"
    assert odd["auroc_scores"] == "Macro AUROC, 9 place labels, exact"
    assert odd["kappa_core"] == "Quadratic weighted kappa, core place"
    assert odd["kappa_total"] == "Quadratic weighted kappa, odd total"
    assert odd["precision"] == "Precision at 0.5, macro average over 12 labels"
    assert odd["sensitivity_total_4"] == "Sensitivity of odd total ≥ 4: sound"
    assert odd["specificity_seam_1"] == "Specificity of seam place ≥ 1: sealed"
    single = {spec.key: spec.title for spec in figure_specs(SINGLE)}
    assert single["auroc_200"] == "Macro AUROC, 5 labels, 200 thresholds (the studies' figure)"
    assert single["auroc_in_view"] == "Within-fold AUROC, 5 joint labels, exact"
    assert single["kappa_grade"] == "Quadratic weighted kappa, grade"
    assert "kappa_total" not in single
    mrust = {spec.key: spec for spec in figure_specs(MRUST)}
    assert list(mrust)[:4] == ["auroc_200", "auroc_labels", "auroc_scores", "auroc_in_view"]
    assert mrust["auroc_labels"].title == "Macro AUROC, 18 labels, exact"
    assert mrust["auroc_scores"].title == "Macro AUROC, 16 cortex labels, exact"
    assert (mrust["mae_medial"].bounds, mrust["mae_total"].bounds) == ((0.0, 2.0), (0.0, 6.0))


def test_the_floor_of_one_view_is_the_frequency_of_each_score() -> None:
    assert floor_title(ODD) == floor_title(None) == "View-only floor"
    assert floor_title(SINGLE) == "Class-frequency floor"
    index = draw_index(SINGLE_RUN)
    cohort = develop_cohort(index, draw_folds(SINGLE_RUN, index), SINGLE)
    floor = view_floor(cohort)
    others = cohort.scores[cohort.folds != 1, 0]
    expected = [(others == score).mean() for score in range(5)]
    assert floor[cohort.folds == 1] == pytest.approx(np.tile(expected, ((cohort.folds == 1).sum(), 1)), abs=1e-7)
    found = evaluate(cohort, floor, resamples_of(cohort, 0, 10))
    # One number a fold ranks nothing.
    assert [found[key].value for key in ("auroc_200", "auroc_scores", "auroc_in_view")] == [0.5, 0.5, 0.5]


def test_the_floor_of_three_views_by_hand() -> None:
    cohort = rows_of(
        ODD,
        {"view": "a", "rim": 0},
        {"view": "a", "rim": 2},
        {"view": "b", "rim": 1, "core": 5},
        {"view": "c", "core": 1, "seam": 1},
    )
    a, b, c = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    assert view_floor(cohort).tolist() == [
        [*a, 0.5, 0, 0.5, 0, 0, 0, 0, 0, 0],
        [*a, 0.5, 0, 0.5, 0, 0, 0, 0, 0, 0],
        [*b, 0, 1, 0, 0, 0, 0, 1, 0, 0],
        [*c, 0, 0, 0, 1, 0, 0, 0, 0, 1],
    ]


def test_totals_join_three_views_and_keep_the_gap() -> None:
    visit = {"patient": "p", "visit": "v"}
    cohort = rows_of(
        ODD,
        {"view": "a", "rim": 2, **visit},
        {"view": "b", "rim": 1, "core": 5, **visit},
        {"view": "c", "core": 3, "seam": 1, **visit},
        {"view": "c", "core": 3, "seam": 1, "patient": "p", "visit": "w"},  # the rim of this visit is not seen
    )
    probabilities = np.zeros((4, 12), dtype=np.float32)
    probabilities[:, 3] = 1  # rim 0
    probabilities[:, 9] = 0.25  # core 5
    probabilities[:, 6] = 0.75  # core 1
    probabilities[:, 11] = 1  # seam 1
    totals = visit_totals(cohort, probabilities)
    assert totals.true.tolist() == [1.5 + 4 + 1]
    assert totals.expected.tolist() == [0 + 2 + 1]
    assert totals.decided.tolist() == [0 + 1 + 1]


def test_an_image_of_no_known_visit_has_a_total_where_one_view_shows_all() -> None:
    sites = (Site(name="upper", scores=(0, 1, 2)), Site(name="lower", scores=(0, 1, 2)))
    lung = Instrument(name="lung", title="Lung", views=("frontal",), sites=sites, total=Total())
    seen = {"patient": "p", "visit": "v"}
    cohort = rows_of(
        lung,
        {"view": "frontal", "upper": 1, "lower": 2},
        {"view": "frontal", "upper": 0, "lower": 2, "patient": "p"},
        {"view": "frontal", "upper": 2},
        {"view": "frontal", "upper": 2, "lower": 2, **seen},
        {"view": "frontal", "upper": 1, "lower": 2, **seen},
    )
    assert sorted(visit_totals(cohort, np.zeros((5, 6), dtype=np.float32)).true.tolist()) == [2, 3, 3.5]


def test_thresholds_are_scikit_learns_on_the_same_resamples(analysed: Analysis) -> None:
    cohort, probabilities = parts(analysed)
    assert analysed.best is not None
    instrument = cohort.instrument
    for threshold in instrument.thresholds:
        if threshold.site is None:
            totals = visit_totals(cohort, probabilities)
            true, decided = np.floor(totals.true + 0.5), np.floor(totals.decided + 0.5)
        else:
            number = instrument.site_names.index(threshold.site)
            rows, scores = cohort.scored[:, number], np.array(instrument.sites[number].scores)
            true = cohort.scores[rows, number]
            decided = scores[probabilities[rows][:, instrument.site_columns[number]].argmax(axis=1)]
        reached, said = true >= threshold.at, decided >= threshold.at
        for name, positive in (("sensitivity", True), ("specificity", False)):
            figure = analysed.best[f"{name}_{threshold.site or 'total'}_{threshold.at}"]
            assert figure.value == pytest.approx(recall_score(reached, said, pos_label=positive), abs=1e-6)
            assert figure.interval.low <= figure.value <= figure.interval.high
            assert len(figure.resampled) == 1000


def test_a_difference_counts_the_labels_that_both_define() -> None:
    cohort = rows_of(SINGLE, *({"view": "frontal", "grade": n % 5} for n in range(10)))
    sure = np.full((10, 5), 0.1, dtype=np.float32)
    sure[:, 0] = 0.9  # says grade 0 of every image
    right = cohort.truth.astype(np.float32)
    weights = resamples_of(cohort, 0, 10)
    one, other = evaluate(cohort, right, weights)["precision"], evaluate(cohort, sure, weights)["precision"]
    assert (one.value, one.undefined) == (1.0, 0)
    assert (other.value, other.undefined) == (pytest.approx(0.2), 4)
    assert one.shared_labels(other) == 1
    assert one.minus(other).value == pytest.approx(0.8)
    never = evaluate(cohort, np.zeros_like(right), weights)["precision"]
    assert np.isnan(one.minus(never).value)
    assert np.isnan(one.minus(never).low)


@pytest.mark.parametrize("plan", [replace(ODD_RUN, signal=0.0), replace(SINGLE_RUN, signal=0.0)], ids=["odd", "single"])
def test_a_model_that_learnt_nothing_is_flagged(plan: Any) -> None:
    found = analyse(aggregated(plan)).flagged
    assert [finding.key for finding in found] == ["view-shortcut" if plan.instrument is ODD else "above-chance"]


def test_scores_that_never_occur_are_told_at_the_head() -> None:
    index = draw_index(ODD_RUN)
    folds = draw_folds(ODD_RUN, index)
    assert develop_cohort(index, folds, ODD).truth.any(axis=0).all()
    plan = replace(ODD_RUN, never=(("core", 5), ("rim", 0)))
    found = analyse(aggregated(plan))
    (told,) = [finding for finding in found.flagged if finding.key == "absent-labels"]
    assert "2 of 12 labels have nothing to rank" in told.sentence
    assert "at most 10/12 = 0.833" in told.sentence
    assert told.details == ("rim 0 never occurs", "core 5 never occurs")
    assert found.best is not None
    assert found.best["auroc_200"].value < 0.834


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"view": "a", "rim": 3}, r"sample '000': rim = 3: expected 0 to 2, or nothing"),
        ({"view": "b", "core": 4}, r"core = 4: expected 1, 2, 3 or 5, or nothing"),
        ({"view": "ap", "rim": 1}, r"view = 'ap': expected one of a, b, c"),
    ],
)
def test_an_index_that_is_not_the_instruments_is_refused(row: dict[str, Any], says: str) -> None:
    with pytest.raises(BadData, match=says):
        rows_of(ODD, row)
