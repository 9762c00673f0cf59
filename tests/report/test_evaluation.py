"""Figures of a run against scikit-learn and brute force, the view floor against the cohort's table, and choosing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, precision_recall_fscore_support, roc_auc_score

from rustk.metrics.ranking import macro, stratified_auroc
from rustk.report.analysis import Analysis, analyse
from rustk.report.cohort import Cohort, develop_cohort, split_cohort
from rustk.report.evaluation import Evaluation, evaluate, resamples_of, rust_totals
from rustk.report.floor import view_floor
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.labels import CORTICES, LABELS
from tests.report.planted import CLEAN, VIEW_ONLY, aggregated, draw_index

# The cohort's table: images by view, and the scores 1 to 4 of the two cortices each view shows.
COHORT = {
    "ap": (1493, {"medial": (169, 378, 464, 265), "lateral": (115, 376, 551, 285)}),
    "lateral": (1443, {"anterior": (149, 404, 478, 251), "posterior": (121, 365, 498, 257)}),
}


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(aggregated(CLEAN))


@pytest.fixture(scope="module")
def parts(analysis: Analysis) -> tuple[Cohort, np.ndarray, Evaluation]:
    assert analysis.cohort is not None
    assert analysis.best is not None
    predictions = analysis.aggregate.results.predictions(analysis.trial, epoch=analysis.epoch)
    return analysis.cohort, analysis.cohort.align(predictions, "test"), analysis.best


def cohort_of_the_table() -> Cohort:
    rng = np.random.default_rng(0)
    rows = []
    for view, (count, cortices) in COHORT.items():
        frame = pd.DataFrame({"view": [view] * count, **dict.fromkeys(CORTICES, np.nan)})
        for cortex, counts in cortices.items():
            scores = np.repeat([1, 2, 3, 4], counts).astype(float)
            frame[cortex] = rng.permutation(np.concatenate([scores, np.full(count - len(scores), np.nan)]))
        rows.append(frame)
    index = pd.concat(rows, ignore_index=True).sample(frac=1, random_state=1)
    index["sample_id"] = [f"{i:05d}" for i in range(len(index))]
    return split_cohort(index.assign(split="develop", patient=None, visit=None), "develop")


def test_view_floor_of_the_cohort() -> None:
    cohort = cohort_of_the_table()
    found = evaluate(cohort, view_floor(cohort), resamples_of(cohort, 0, 20))
    assert round(found["auroc_18"].value, 3) == 0.806
    assert round(found["auroc_16"].value, 3) == 0.781
    assert round(found["auroc_200"].value, 3) == 0.806
    assert found["auroc_in_view"].value == pytest.approx(0.5)


def test_view_floor_over_folds_comes_from_the_training_folds() -> None:
    whole = cohort_of_the_table()
    cohort = replace(whole, folds=np.arange(len(whole)) % 6)
    floor = view_floor(cohort)
    expected = cohort.truth[(cohort.folds != 2) & (cohort.views == "ap")].mean(axis=0)
    assert (floor[(cohort.folds == 2) & (cohort.views == "ap")] == expected.astype(np.float32)).all()
    found = evaluate(cohort, floor, resamples_of(cohort, 0, 20))
    assert found["auroc_18"].value == pytest.approx(0.806, abs=0.002)
    assert found["auroc_in_view"].value == pytest.approx(0.5)


def test_studies_figure_is_that_of_the_histories(analysis: Analysis) -> None:
    assert analysis.best is not None
    assert analysis.best["auroc_200"].value == pytest.approx(analysis.aggregate.best["val_auroc"], abs=1e-6)


def test_exact_auroc_is_scikit_learns(parts: tuple[Cohort, np.ndarray, Evaluation]) -> None:
    cohort, probabilities, found = parts
    areas = [
        [roc_auc_score(cohort.truth[rows, label], probabilities[rows, label]) for label in range(18)]
        for rows in (cohort.folds == fold for fold in range(4))
    ]
    assert found["auroc_18"].value == pytest.approx(np.mean(areas), abs=1e-6)
    assert found["auroc_16"].value == pytest.approx(np.mean(np.array(areas)[:, 2:]), abs=1e-6)
    assert found.labels["auroc"].to_numpy() == pytest.approx(np.mean(areas, axis=0), abs=1e-6)


def test_in_view_auroc_is_that_of_pairs_one_by_one(parts: tuple[Cohort, np.ndarray, Evaluation]) -> None:
    cohort, probabilities, found = parts
    for label in (2, 9, 17):
        cortex = CORTICES[(label - 2) // 4]
        shown_in = {cohort.views[row] for row in np.flatnonzero(cohort.scored[:, CORTICES.index(cortex)])}
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
    for number, cortex in enumerate(CORTICES):
        rows = cohort.scored[:, number]
        four = probabilities[rows, 2 + 4 * number : 6 + 4 * number].astype(np.float64)
        expected = four @ np.arange(1, 5) / four.sum(axis=1)
        truth = cohort.scores[rows, number]
        kappa = cohen_kappa_score(truth.astype(int), four.argmax(axis=1) + 1, weights="quadratic")
        assert found[f"kappa_{cortex}"].value == pytest.approx(kappa, abs=1e-6)
        assert found[f"mae_{cortex}"].value == pytest.approx(mean_absolute_error(truth, expected), abs=1e-6)
        assert found.cortices[number].confusion.sum() == rows.sum()
    figures = precision_recall_fscore_support(cohort.truth, probabilities > 0.5, average=None, zero_division=np.nan)
    for name, values in zip(("precision", "recall", "f1"), figures, strict=False):
        assert found[name].value == pytest.approx(np.nanmean(values), abs=1e-6)


def test_rust_totals_join_the_views_of_a_visit() -> None:
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
    index = pd.DataFrame(rows, columns=["sample_id", "patient", "visit", "view", *CORTICES]).assign(split="test")
    cohort = split_cohort(index, "test")
    probabilities = np.zeros((8, 18), dtype=np.float32)
    probabilities[:, [2, 6, 10, 14]] = 1.0  # score 1 everywhere
    probabilities[1, 14:18] = (0.25, 0, 0, 0.75)  # posterior of image b: 4, or 3.25 to be expected
    totals = rust_totals(cohort, probabilities)
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
    cohort = split_cohort(index, "develop")
    found = evaluate(cohort, view_floor(cohort), resamples_of(cohort, 0, 10))
    assert (found["auroc_18"].undefined, found["auroc_in_view"].undefined) == (1, 1)
    assert found.labels.set_index("label").loc["medial_1", "images"] == 0


def test_choice_is_corrected_and_its_points_are_those_of_the_trials(analysis: Analysis) -> None:
    choice = analysis.choice
    assert choice is not None
    assert analysis.cohort is not None
    assert choice.corrected.naive == pytest.approx(analysis.aggregate.best["val_auroc"], abs=1e-6)
    assert choice.configurations[choice.corrected.chosen] == (analysis.trial, analysis.epoch)
    assert len(choice.configurations) == choice.possible == 2 * CLEAN.epochs
    assert sum(choice.share_won_by_trial.values()) == pytest.approx(1.0)
    predictions = analysis.aggregate.results.predictions(1, epoch=CLEAN.epochs)
    probabilities = analysis.cohort.align(predictions, "test")
    cohort = analysis.cohort
    expected = macro(stratified_auroc(cohort.truth, probabilities, cohort.view_and_fold, cohort.label_in_view)[2:])
    row = choice.trials.set_index("trial").loc[1]
    assert row["auroc_in_view"] == pytest.approx(expected.value)


def test_best_of_many_trials_that_know_the_view_only_is_corrected_downwards() -> None:
    many = replace(VIEW_ONLY, trials=tuple({"learning_rate": 10.0**-n} for n in range(12)), epochs=1)
    choice = analyse(aggregated(many)).choice
    assert choice is not None
    assert choice.corrected.optimism > 0.002
    assert choice.corrected.corrected.low < choice.corrected.corrected.value < choice.corrected.naive


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (("predictions",), "the run has no predictions of its best trial"),
        (("folds",), "this run lacks folds.parquet."),
        (("index",), "this run lacks the dataset's index.parquet."),
    ],
)
def test_what_is_not_there_is_said(without: tuple[str, ...], said: str) -> None:
    found = analyse(aggregated(replace(CLEAN, without=without)))
    assert found.best is None
    assert found.choice is None
    assert any(said in reason for reason in found.absent)
    assert (found.floor is None) == (without != ("predictions",))


def test_missing_and_diverged_folds_are_flagged_and_the_rest_is_evaluated() -> None:
    found = analyse(aggregated(replace(CLEAN, missing=((0, 1), (1, 2)), diverged=((0, 0, 3),))))
    assert {finding.key for finding in found.flagged} == {"missing", "diverged"}
    assert found.best is not None
    assert found.cohort is not None
    assert found.best.images == (found.cohort.folds != (1 if found.trial == 0 else 2)).sum()
    assert found.best["auroc_200"].value == pytest.approx(found.aggregate.best["val_auroc"], abs=1e-6)
    assert found.choice is None
    assert any("no trial has predictions of every fold" in reason for reason in found.absent)


def test_predictions_that_contradict_the_folds_are_refused(analysis: Analysis) -> None:
    cohort = analysis.cohort
    assert cohort is not None
    good = analysis.aggregate.results.predictions(0, epoch=1)
    for wrong, says in (
        (good.iloc[1:], "has no prediction: expected one prediction of each"),
        (pd.concat([good, good.iloc[:1]]), "is predicted twice"),
        (good.assign(sample_id=["stranger", *good["sample_id"][1:]]), "sample 'stranger' is in no fold"),
        (good.assign(fold=(good["fold"] + 1) % 4), "but folds.parquet puts it in fold"),
        (good.assign(**{LABELS[3]: np.float32("nan")}), "a probability is not a finite number"),
    ):
        with pytest.raises(BadData, match=f"^here: .*{says}"):
            cohort.align(wrong, "here")


def test_folds_that_contradict_the_index_are_refused() -> None:
    index = draw_index(CLEAN)
    tested = index.loc[index["split"] == "test", "sample_id"].iloc[0]
    with pytest.raises(BadData, match="is not in the develop split"):
        develop_cohort(index, pd.DataFrame({"sample_id": [tested], "fold": [0]}))
    with pytest.raises(BadData, match="stands there twice"):
        develop_cohort(index, pd.DataFrame({"sample_id": ["image-00000"] * 2, "fold": [0, 1]}))
