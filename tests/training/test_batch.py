"""Several folds in one process: done ones are skipped, bad ones are noted, and what ends it costs one at most."""

from pathlib import Path
from typing import Any

import pytest

from rustk.store import Store, open_store
from rustk.store.documents import Failure, read_document
from rustk.store.runs import done_tasks, failed_tasks
from rustk.training import batch, device
from rustk.training.batch import train_batch
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, RustkError, StoreFailed
from tests.training.small_runs import make_dataset, plan_run, read_history

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    # Threads can't be changed once another test has used TensorFlow.
    monkeypatch.setattr(device, "prepare", lambda: None)
    store = open_store(str(tmp_path / "store"))
    make_dataset(store)
    return store


def test_a_batch_trains_what_is_missing_and_goes_on_after_a_bad_fold(store: Store) -> None:
    run, alone = plan_run(store, "r"), plan_run(store, "alone")
    events: list[dict[str, Any]] = []
    train_batch(store, run, [(0, 1)], events.append)
    before = store.list(names.histories_prefix(run))
    with pytest.raises(
        RustkError, match=r"^1 of 4 folds failed for good: trial 7 fold 0: run r has no trial 7"
    ) as caught:
        train_batch(store, run, [(0, 1), (7, 0), (0, 0), (0, 2)], events.append)
    assert caught.value.exit_code == 78
    assert done_tasks(store, run) == {(0, 0), (0, 1), (0, 2)}
    assert before[0] in store.list(names.histories_prefix(run)), "what was done is not trained again"
    assert failed_tasks(store, run) == {(7, 0)}
    failure = read_document(store, names.failure_key(run, 7, 0), Failure)
    assert (failure.exit_code, failure.failed_at is not None) == (78, True)
    train_batch(store, alone, [(0, 2)], events.append)
    assert read_history(store, run, 0, 2)[0] == read_history(store, alone, 0, 2)[0]


def test_what_may_pass_ends_the_batch_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = plan_run(store, "r")
    tried: list[int] = []

    def train(trial: int, fold: int) -> str:
        tried.append(fold)
        if fold == 1:
            raise StoreFailed("gone")
        return "completed"

    monkeypatch.setattr(batch, "_prepare", lambda *_: train)
    with pytest.raises(StoreFailed):
        train_batch(store, run, [(0, 0), (0, 1), (0, 2)], lambda event: None)
    assert tried == [0, 1]
    assert failed_tasks(store, run) == set()


def test_data_that_are_bad_for_all_are_noted_for_each(store: Store) -> None:
    run = plan_run(store, "r")
    store.delete(names.dataset_index_key("tiny"))
    with pytest.raises(RustkError, match="2 of 2 folds failed for good") as caught:
        train_batch(store, run, [(0, 0), (0, 1)], lambda event: None)
    assert caught.value.exit_code == BadData.exit_code
    assert failed_tasks(store, run) == {(0, 0), (0, 1)}
