import dataclasses

import pytest

from rustk.planning.plan import Plan, check_extends
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument
from tests.instruments import MRUST, ODD, SINGLE
from tests.planning.plans import plan_of, random_plan, study_of


def test_equal_inputs_give_equal_plans() -> None:
    first, second = random_plan(trials=4), random_plan(trials=4)
    assert (first.run, first.trials, first.sample_ids) == (second.run, second.trials, second.sample_ids)
    assert first.fold_of.tolist() == second.fold_of.tolist()


def test_what_is_planned() -> None:
    plan = random_plan(trials=4, k=3)
    assert plan.run.startswith("searched-")
    assert len(plan.sample_ids) == 60  # develop only: the test split is in no fold
    assert list(plan.trials[0]) == ["batch_size", "dropout"]
    assert len(plan.tasks) == 12
    assert plan.tasks[:4] == [(0, 0), (0, 1), (0, 2), (1, 0)]


@pytest.mark.parametrize("instrument", [MRUST, SINGLE, ODD], ids=lambda instrument: instrument.name)
def test_any_instrument_is_planned(instrument: Instrument) -> None:
    plan = plan_of(study_of("{name: plain, folds: {k: 4}}"), instrument=instrument)
    assert plan.instrument == instrument
    assert set(plan.fold_of.tolist()) == {0, 1, 2, 3}


def test_a_study_without_search_has_one_bare_trial() -> None:
    plan = plan_of(study_of("{name: plain, model: {weights: random}, folds: {scheme: shard, k: 2}}"), images=10)
    assert plan.trials == ({},)
    assert plan.study_of(0).training == plan.study.training
    assert plan.next_tasks({(0, 0)}) == [(0, 1)]


def test_a_trial_s_study_has_its_hyperparameters() -> None:
    plan = random_plan(trials=3)
    assert plan.study_of(2).training.batch_size == plan.trials[2]["batch_size"]
    assert plan.study_of(2).model.dropout == plan.trials[2]["dropout"]
    for trial in (3, -1, 10**30):
        with pytest.raises(BadStudy, match=rf"has no trial {trial}: it has 3, counted from 0"):
            plan.study_of(trial)


def test_what_may_be_trained_next_is_what_has_no_history() -> None:
    plan = random_plan(trials=2, k=2)
    assert plan.next_tasks(set()) == plan.tasks
    assert plan.next_tasks({(0, 0), (1, 1)}) == [(0, 1), (1, 0)]
    assert plan.next_tasks(set(plan.tasks)) == []


@pytest.mark.parametrize("name", ["No Name", "", "..", "../x", "x/", "a" * 64, "a\n"])
def test_a_name_must_be_one(name: str) -> None:
    with pytest.raises(BadStudy, match=r"--name '.*': expected at most 63 lower-case letters"):
        random_plan(trials=1, name=name)


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(BadStudy, match=r"search and folds.k: 1,001 trials of 1000 folds: expected at most"):
        random_plan(trials=1001, k=1000, images=1000, scheme="shard")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset_digest": "e" * 64}, "another dataset"),
        ({"weights_sha256": "f" * 64}, "other weights"),
        ({"sample_ids": ("x",)}, "other folds"),
        ({"trials": ({"batch_size": 3, "dropout": 0.5},)}, "other trials"),
    ],
)
def test_a_run_goes_on_only_with_the_same_plan(change: dict, message: str) -> None:
    plan: Plan = random_plan(trials=3, name="mine")
    check_extends(plan, random_plan(trials=5, name="mine"))
    with pytest.raises(BadStudy, match=f"run mine was planned with {message}: give this one a new --name"):
        check_extends(dataclasses.replace(plan, **change), plan)


def test_dropout_without_a_layer_to_follow_is_refused_before_anything_runs() -> None:
    with pytest.raises(BadStudy, match=r"^model\.dropout = 0\.3: it has no effect where model\.head is \[\]: leave"):
        plan_of(study_of("{name: plain, model: {head: [], dropout: 0.3}}"))
    searched = "search: {kind: grid, parameters: {model.head: [[], [8]]}}"
    plan = plan_of(study_of(f"{{name: heads, model: {{dropout: 0.3}}, {searched}}}"))
    assert [plan.study_of(trial).model.head for trial in (0, 1)] == [(), (8,)]
