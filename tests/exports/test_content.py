from collections.abc import Callable

import pytest

from rustk.exports.content import flat_fields, run_content
from rustk.report.data.results import load_run
from rustk.store import Store
from tests.exports.conftest import SMALL

Write = Callable[..., Store]


def test_means_are_of_whole_trials_only(write: Write) -> None:
    content = run_content(load_run(write(missing=((1, 1),)), SMALL.run))
    whole, part = content.trials
    assert (whole.complete, part.complete) == (True, False)
    assert part.epochs == ()
    assert [epoch.number for epoch in whole.epochs] == [1, 2, 3]
    folds = [fold.epochs[-1].metrics["val_auroc"] for fold in whole.folds]
    assert whole.epochs[-1].metrics["val_auroc"] == pytest.approx(sum(folds) / 2, abs=1e-15)
    assert whole.hyperparameters["learning_rate"] == 1e-3
    assert [type(value) for value in whole.hyperparameters.values()] == [int, float, float]


def test_a_digest_tells_what_changed(write: Write) -> None:
    before = run_content(load_run(write(missing=((1, 1),)), SMALL.run))
    again = run_content(load_run(write(missing=((1, 1),)), SMALL.run))
    assert before.digest == again.digest
    grown = run_content(load_run(write(), SMALL.run))
    assert [new.digest == old.digest for new, old in zip(grown.trials, before.trials, strict=True)] == [True, False]
    changed = run_content(load_run(write(diverged=((0, 0, 3),)), SMALL.run))
    assert changed.trials[0].folds[0].diverged_epoch == 3
    assert [
        new.digest == old.digest for new, old in zip(changed.trials[0].folds, grown.trials[0].folds, strict=True)
    ] == [False, True]


def test_epochs_end_one_after_the_other(write: Write) -> None:
    fold = run_content(load_run(write(), SMALL.run)).trials[0].folds[0]
    passed = [(epoch.ended - fold.began).total_seconds() for epoch in fold.epochs]
    assert passed == [1.5, 3.0, 4.5]
    assert fold.epochs[-1].ended == fold.ended


def test_fields_are_flattened() -> None:
    assert flat_fields({"a": {"b": 1, "c": [2]}, "d": {}}) == [("a.b", 1), ("a.c", [2])]
