"""The correction for choosing the best trial."""

from dataclasses import replace

import pytest

from rustk.metrics.ranking import macro, stratified_auroc
from rustk.report.evaluation.analysis import Analysis, analyse
from tests.report.planted import CLEAN, VIEW_ONLY, aggregated


def test_choice_is_corrected_and_its_points_are_those_of_the_trials(clean: Analysis) -> None:
    choice = clean.choice
    assert choice is not None
    assert clean.cohort is not None
    assert choice.corrected.naive == pytest.approx(clean.aggregate.best["val_auroc"], abs=1e-6)
    assert choice.configurations[choice.corrected.chosen] == (clean.trial, clean.epoch)
    assert len(choice.configurations) == choice.possible == 2 * CLEAN.epochs
    assert sum(choice.share_won_by_trial.values()) == pytest.approx(1.0)
    predictions = clean.aggregate.results.predictions(1, epoch=CLEAN.epochs)
    probabilities = clean.cohort.align(predictions, "test")
    cohort = clean.cohort
    expected = macro(stratified_auroc(cohort.truth, probabilities, cohort.view_and_fold, cohort.label_in_view)[2:])
    row = choice.trials.set_index("trial").loc[1]
    assert row["auroc_in_view"] == pytest.approx(expected.value)


def test_best_of_many_trials_that_know_the_view_only_is_corrected_downwards() -> None:
    many = replace(VIEW_ONLY, trials=tuple({"learning_rate": 10.0**-n} for n in range(12)), epochs=1)
    choice = analyse(aggregated(many)).choice
    assert choice is not None
    assert choice.corrected.optimism > 0.002
    assert choice.corrected.corrected.low < choice.corrected.corrected.value < choice.corrected.naive
