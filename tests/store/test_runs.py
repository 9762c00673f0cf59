import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rustk.planning.plan import Plan
from rustk.store import Store, open_store
from rustk.store.runs import (
    done_tasks,
    failed_tasks,
    find_run,
    list_runs,
    load_plan,
    publish_plan,
    record_submission,
    runs_of_study,
)
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from tests.planning.plans import random_plan


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_a_published_plan_is_loaded_as_it_was(here: Store) -> None:
    plan = random_plan(trials=3)
    assert publish_plan(here, plan) is plan
    loaded = load_plan(here, plan.run)
    assert loaded.files() == plan.files()
    assert list(plan.files())[-1] == names.run_study_key(plan.run)


def test_publishing_again_changes_nothing(here: Store) -> None:
    plan = random_plan(trials=3)
    publish_plan(here, plan)
    before = here.list("")
    publish_plan(here, plan)
    assert here.list("") == before


def test_more_trials_extend_a_run_and_fewer_do_not_cut_it(here: Store) -> None:
    few, many = random_plan(trials=3), random_plan(trials=5)
    assert few.run == many.run
    publish_plan(here, few)
    assert len(publish_plan(here, many).trials) == 5
    assert publish_plan(here, few).trials == many.trials
    assert many.trials[:3] == few.trials


def test_a_run_planned_otherwise_is_refused(here: Store) -> None:
    publish_plan(here, random_plan(trials=3, name="mine"))
    with pytest.raises(BadStudy, match="run mine was planned with another study: give this one a new --name"):
        publish_plan(here, random_plan(trials=3, name="mine", epochs=7))


def test_a_run_of_others_can_not_be_continued(here: Store) -> None:
    here.write(names.run_study_key("theirs"), b'{"schema": 1, "run": "theirs"}')
    here.write(names.trials_key("theirs"), b"x")
    here.write(names.folds_key("theirs"), b"y")
    with pytest.raises(BadData, match="run theirs was not planned by this version"):
        load_plan(here, "theirs")


def test_runs_are_found_by_id_or_study(here: Store) -> None:
    plan = random_plan(trials=2)
    publish_plan(here, plan)
    assert find_run(here, plan.run) == plan.run
    assert find_run(here, plan.study.name) == plan.run
    publish_plan(here, random_plan(trials=2, name="named"))
    later = datetime.now(UTC).timestamp() + 60
    os.utime(Path(here.url, names.run_study_key("named")), (later, later))
    assert runs_of_study(here, plan.study.name) == ["named", plan.run]
    assert find_run(here, plan.study.name) == "named"
    here.write(names.run_study_key("broken"), b"[]")
    assert find_run(here, plan.study.name) == "named"
    here.delete(names.run_study_key("broken"))
    assert {entry.run for entry in list_runs(here)} == {plan.run, "named"}
    with pytest.raises(BadStudy, match=r"no run 'other'.*there are .*named"):
        find_run(here, "other")


def test_done_and_failed_come_from_the_keys(here: Store) -> None:
    plan: Plan = random_plan(trials=2)
    here.write(names.history_key(plan.run, 0, 1), b"")
    here.write(names.history_key(plan.run, 1, 0), b"")
    here.write(names.failure_key(plan.run, 1, 1), b"{}")
    assert done_tasks(here, plan.run) == {(0, 1), (1, 0)}
    assert failed_tasks(here, plan.run) == {(1, 1)}


def test_submissions_are_kept_apart(here: Store) -> None:
    record_submission(here, "r", {"backend": "local"})
    record_submission(here, "r", {"backend": "kubernetes"})
    assert len(here.list("runs/r/submissions/")) == 2
