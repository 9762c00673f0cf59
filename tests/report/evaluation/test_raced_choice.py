"""The correction for choosing, where a race dropped trials."""

from dataclasses import replace

import numpy as np
import pytest

from rustk.metrics.bootstrap import multiplicities
from rustk.metrics.ranking import keras_bins
from rustk.metrics.selection import FoldFigure, judged_choice
from rustk.planning.races.bootstrap import Race as Bootstrap
from rustk.planning.races.halving import Race as Halving
from rustk.report.data.aggregate import aggregate
from rustk.report.data.cohort import Cohort, develop_cohort
from rustk.report.data.race import race_of
from rustk.report.data.results import RunResults, load_run
from rustk.report.evaluation.floor import view_floor
from rustk.report.evaluation.raced_choice import weigh_raced_choice
from rustk.report.evaluation.selection_bias import Choice, weigh_choice
from tests.report.planted import CLEAN, VIEW_ONLY, Shelf, plant
from tests.report.raced import hold_race

RESAMPLES = 30
ALIKE = replace(
    VIEW_ONLY, run="alike-00000001", patients=80, epochs=1, trials=tuple({"learning_rate": 10.0**-n} for n in range(8))
)


def cohort_of(results: RunResults) -> Cohort:
    assert results.index is not None
    assert results.folds is not None
    assert results.instrument is not None
    return develop_cohort(results.index, results.folds, results.instrument)


def weighed(shelf: Shelf, run: str) -> Choice:
    averaged = aggregate(load_run(shelf, run))
    race, cohort = race_of(averaged.results), cohort_of(averaged.results)
    floor = view_floor(cohort)
    if race is None:
        found = weigh_choice(averaged, cohort, floor, 0, resamples=RESAMPLES)
    else:
        found = weigh_raced_choice(averaged, race, cohort, floor, 0, resamples=RESAMPLES)
    assert found is not None
    return found


def test_a_race_that_drops_nobody_is_corrected_as_no_race_is() -> None:
    shelf = plant(CLEAN)
    plain = weighed(shelf, CLEAN.run)
    hold_race(shelf, CLEAN.run, Halving(least=2))
    raced = weighed(shelf, CLEAN.run)
    assert raced.beyond == 0.0
    assert raced.configurations == plain.configurations
    assert raced.corrected.naive == pytest.approx(plain.corrected.naive, abs=1e-12)
    assert raced.corrected.corrected == plain.corrected.corrected
    assert raced.corrected.above_reference == plain.corrected.above_reference
    assert raced.trials.equals(plain.trials)


@pytest.mark.parametrize("rule", [Halving(least=2), Bootstrap(confidence=0.6, resamples=100)])
def test_the_race_is_repeated_as_far_as_there_are_predictions(rule: Halving | Bootstrap) -> None:
    shelf = plant(ALIKE)
    hold_race(shelf, ALIKE.run, rule)
    results = load_run(shelf, ALIKE.run)
    choice = weighed(shelf, ALIKE.run)
    kept = {trial for trial in range(8) if trial not in results.dropped}
    assert {trial for trial, _ in choice.configurations} == kept
    assert choice.left_out == ()
    # Of trials that are all alike, the resamples often keep another one.
    assert choice.beyond is not None
    assert choice.beyond > 0.3
    assert sum(choice.share_won_by_trial.values()) == pytest.approx(1.0)


def test_a_trial_that_the_replay_drops_does_not_win_there() -> None:
    """By hand: after one fold of two, one of two trials is kept; each resample's winner is who led in that fold."""
    plan = replace(ALIKE, run="two-00000001", folds=2, trials=ALIKE.trials[:2])
    shelf = plant(plan)
    rule = Halving(keep=0.5, least=1)
    first = rule.order(0, 2)[0]
    cohort = cohort_of(load_run(shelf, plan.run))
    scores = [
        keras_bins(cohort.align(load_run(shelf, plan.run).predictions(trial, epoch=1), "test")) for trial in (0, 1)
    ]
    hold_race(shelf, plan.run, rule)
    choice = weighed(shelf, plan.run)
    weights = multiplicities(cohort.cluster_count, RESAMPLES, 0)
    figure = FoldFigure(cohort.truth, cohort.folds, cohort.clusters, weights)
    led = np.stack([figure.by_fold(one)[first] for one in scores])
    (survivor,) = {trial for trial, _ in choice.configurations}
    # The survivor is all that is left to choose; where the other led, the race could not be followed.
    assert choice.beyond == pytest.approx((led[1 - survivor] > led[survivor]).mean())
    assert choice.share_won_by_trial == {survivor: 1.0}


@pytest.mark.parametrize("rule", [Halving(least=2), Bootstrap(confidence=0.6, resamples=100)])
def test_every_batch_is_raced_again_against_those_before_it(rule: Halving | Bootstrap) -> None:
    shelf = plant(ALIKE)
    rounds = hold_race(shelf, ALIKE.run, rule, batch=4)
    results = load_run(shelf, ALIKE.run)
    race = race_of(results)
    assert race is not None
    assert [steps[0].trials for steps in race.races] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    first, second = race.races
    survivors = first[-1].decided
    assert survivors is not None
    assert {step.whole for step in first} == {()}
    assert {step.whole for step in second} == {survivors.kept}
    assert any(one.dropped for one in rounds if one.whole), "the second batch is raced, too"

    choice = weighed(shelf, ALIKE.run)
    kept = {trial for trial in range(8) if trial not in results.dropped}
    assert {trial for trial, _ in choice.configurations} == kept
    for steps in race.races:
        last = steps[-1]
        assert set(last.decided.kept if last.decided else last.trials) == kept.intersection(steps[0].trials)
    assert choice.left_out == ()
    assert choice.beyond is not None
    assert choice.beyond > 0.1
    assert sum(choice.share_won_by_trial.values()) == pytest.approx(1.0)


def test_batches_whose_races_drop_nobody_are_corrected_as_no_race_is() -> None:
    shelf = plant(ALIKE)
    plain = weighed(shelf, ALIKE.run)
    hold_race(shelf, ALIKE.run, Halving(least=8), batch=4)
    raced = weighed(shelf, ALIKE.run)
    assert raced.beyond == 0.0
    assert raced.configurations == plain.configurations
    assert raced.corrected.corrected == plain.corrected.corrected


def test_folds_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    truth, folds = rng.random((90, 3)) < 0.4, np.arange(90) % 3
    weights = np.concatenate([np.ones((90, 1)), rng.integers(0, 3, (90, 4))], axis=1)
    figure, scores = FoldFigure(truth, folds, np.arange(90), weights), rng.random((90, 3))
    assert figure.by_fold(scores).mean(axis=0) == pytest.approx(figure.of(scores))
    some = figure.by_fold(np.where((folds == 1)[:, None], 0.0, scores), only=(0, 2))
    assert np.isnan(some[1]).all()
    assert some[[0, 2]] == pytest.approx(figure.by_fold(scores)[[0, 2]])


def test_who_is_not_eligible_is_not_chosen() -> None:
    inside, outside = np.array([[0.9, 0.9, 0.9], [0.8, 0.8, 0.8]]), np.array([[0.5, 0.5, 0.5], [0.7, 0.7, 0.7]])
    figures = np.concatenate([inside, outside, [[0.95], [0.85]]], axis=1)
    eligible = np.array([[True, False, False, False], [True, True, False, True]])
    found = judged_choice(figures, np.full(3, 0.4), eligible)
    # The first resample's winner is the first, judged 0.5; the second's the other, 0.7; nobody can win the third.
    assert (found.naive, found.chosen, found.resamples) == (0.85, 1, 2)
    assert found.corrected.value == pytest.approx(0.6)
    assert found.share_won == pytest.approx([1 / 3, 1 / 3])
    assert found.above_reference is not None
    assert found.above_reference.value == pytest.approx(0.2)
