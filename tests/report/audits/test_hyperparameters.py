"""A searched hyperparameter that did nothing is flagged, and one that did is not."""

from dataclasses import replace

from rustk.report.audits.base import run_audits
from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run
from rustk.vocabulary import names
from tests.report.audits.contexts import context_of, flags
from tests.report.planted import CLEAN, plant


def test_dead_hyperparameter_is_flagged() -> None:
    found = flags(replace(CLEAN, dead_batch_size=True))
    assert set(found) == {"hyperparameter-batch_size", "same-steps-batch_size"}
    assert "asked for 16, 64, but every fold trained with 32" in found["hyperparameter-batch_size"]
    assert "2 trials that were asked to differ in it took identical steps" in found["same-steps-batch_size"]


def test_batch_larger_than_the_fold_is_capped_and_told_only_where_trials_coincide() -> None:
    sizes = ({"batch_size": 50.0}, {"batch_size": 5000.0})
    assert flags(replace(CLEAN, trials=sizes)) == {}
    found = flags(replace(CLEAN, trials=(*sizes, {"batch_size": 6000.0})))
    assert list(found) == ["same-steps-batch_size"]


def test_identical_histories_are_flagged_without_any_metadata() -> None:
    plan = replace(CLEAN, without=("metadata",))
    shelf = plant(plan)
    for fold in range(plan.folds):
        shelf.objects[names.history_key(plan.run, 1, fold)] = shelf.objects[names.history_key(plan.run, 0, fold)]
        shelf.objects[names.prediction_key(plan.run, 1, fold)] = shelf.objects[names.prediction_key(plan.run, 0, fold)]
    found = run_audits(context_of(aggregate(load_run(shelf, plan.run))))
    assert [finding.key for finding in found if finding.flagged] == ["identical-histories"]
    assert "learning_rate 1e-3, 1e-2; batch_size 16, 64" in found[0].details[0]
