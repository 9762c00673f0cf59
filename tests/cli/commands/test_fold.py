"""`rustk fold redo`: a fold is trained again by a worker of its own, and held against the run's history."""

from pathlib import Path

import pytest

from rustk.store import Store
from rustk.training.fold import run_fold
from rustk.training.run_worker import RunWorker
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy
from tests.cli.commands.conftest import Rustk
from tests.training.small_runs import make_dataset, plan_run

pytestmark = pytest.mark.tensorflow


def test_a_fold_is_redone_beside_its_history(store: Store, rustk: Rustk, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the worker finds the tests' own backbone.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "training"))
    make_dataset(store)
    run = plan_run(store, "r", training={"epochs": 2})
    own = names.history_key(run, 0, 1)

    nothing = rustk("fold", "redo", "r", "--trial", "0", "--fold", "1")
    assert isinstance(nothing.exception, BadStudy)
    assert "trial 0 fold 1 has no history to compare with: submit the run again" in str(nothing.exception)
    beyond = rustk("fold", "redo", "r", "--trial", "0", "--fold", "3")
    assert "run r has no trial 0 fold 3: it has 1 trial of 3 folds, counted from 0" in str(beyond.exception)
    flag = rustk("fold", "redo", "r", "--trial", "0", "--fold", "1", "--image", "x@sha256:0")
    assert "--image does not apply to the backend local" in str(flag.exception)
    assert store.list("runs/r/redone/") == []

    run_fold(RunWorker(store, run), 0, 1)
    before = store.read(own)
    done = rustk("fold", "redo", "r", "--trial", "0", "--fold", "1", "--adopt")
    assert done.exit_code == 0, done.output + str(done.exception)
    # The test's own process may split its sums over more threads than a worker does.
    assert "trial 0 fold 1: " in done.output
    redone = store.read(names.redone_history_key(run, 0, 1, 1))
    assert store.read(own) == redone != before
    assert store.read(names.redone_history_key(run, 0, 1, 0)) == before
    assert {entry.key for entry in store.list("runs/r/redone/")} == {
        names.redone_history_key(run, 0, 1, 0),
        names.redone_prediction_key(run, 0, 1, 0),
        names.redone_history_key(run, 0, 1, 1),
        names.redone_prediction_key(run, 0, 1, 1),
    }
