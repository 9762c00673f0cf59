from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from rustk.planning.progress import LiveFold, LiveFolds
from rustk.store.documents import (
    Failure,
    HistoryMetadata,
    Planned,
    RunDocument,
    StudyPart,
    Submission,
    encode_document,
    write_document,
)
from rustk.store.progress import RunView
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.parquet import encode_parquet, with_metadata
from tests.store.memory import MemoryStore

PLANNED = datetime(2025, 1, 1, 12, tzinfo=UTC)


class Alive:
    """A source with these folds alive."""

    def __init__(self, *folds: LiveFold, succeeded: Callable[[], list[LiveFold]] = list) -> None:
        self.folds = list(folds)
        self.succeeded = succeeded
        self.waited: list[float] = []

    def live_folds(self, now: datetime) -> LiveFolds:
        assert now.tzinfo is not None
        return LiveFolds(self.folds, lambda: [*self.succeeded(), *self.folds])

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    document = RunDocument(study=StudyPart(name="s"), planned=Planned(trials=2, folds=2), planned_at=PLANNED)
    write_document(store, names.run_study_key("r"), document)
    return store


def put_history(store: MemoryStore, trial: int, fold: int, ended_at: datetime | None) -> None:
    told = HistoryMetadata(trial=trial, fold=fold, ended_at=ended_at)
    schema = with_metadata(pa.schema([("epoch", pa.int32())]), encode_document(told))
    store.write(names.history_key("r", trial, fold), encode_parquet(pa.table({"epoch": [1]}, schema=schema)))


def test_a_run_s_files_and_what_is_alive_are_put_together(store: MemoryStore) -> None:
    put_history(store, 0, 0, None)
    write_document(store, names.failure_key("r", 1, 0), Failure(trial=1, fold=0, exit_code=65, message="bad data"))
    source = Alive(LiveFold(0, 1, "running"))
    view = RunView(store, "r", source)
    progress = view.progress()
    assert [fold.state for fold in progress.folds] == ["done", "running", "failed", "missing"]
    assert progress.folds[2].reason == "exit code 65: bad data"
    view.wait(3)
    assert source.waited == [3]


def test_jobs_that_succeeded_are_asked_about_in_a_large_run_only_where_a_history_lacks(store: MemoryStore) -> None:
    asked = []

    def succeeded() -> list[LiveFold]:
        asked.append(len(asked))
        return [LiveFold(trial, 0, "succeeded") for trial in range(1001)]

    def states(*alive: LiveFold) -> Counter[str]:
        return Counter(fold.state for fold in RunView(store, "r", Alive(*alive, succeeded=succeeded)).progress().folds)

    document = RunDocument(study=StudyPart(name="s"), planned=Planned(trials=1001, folds=1), planned_at=PLANNED)
    write_document(store, names.run_study_key("r"), document)
    for trial in range(1001):
        store.write(names.history_key("r", trial, 0), b"")
    assert states() == {"done": 1001}
    store.delete(names.history_key("r", 7, 0))
    assert states(LiveFold(7, 0, "failed")) == {"done": 1000, "failed": 1}
    store.delete(names.history_key("r", 8, 0))
    assert states(LiveFold(7, 0, "running")) == {"done": 999, "running": 1, "missing": 1}
    assert not asked
    assert states() == {"done": 999, "no history": 2}
    assert asked


def test_a_fold_that_ends_while_its_job_is_asked_about_has_not_lost_its_history(store: MemoryStore) -> None:
    def succeeded() -> list[LiveFold]:
        put_history(store, 0, 0, None)
        return [LiveFold(0, 0, "succeeded")]

    assert RunView(store, "r", Alive(succeeded=succeeded)).progress().folds[0].state == "done"


def test_elapsed_time_is_of_the_files_words_and_not_of_their_times(store: MemoryStore) -> None:
    submission = Submission(submitted_at=PLANNED + timedelta(hours=1), rustk="1", backend="local", folds=4)
    write_document(store, names.submission_key("r", "1"), submission)
    for number, task in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        put_history(store, *task, PLANNED + timedelta(hours=2, minutes=number))
    assert RunView(store, "r", Alive()).progress().elapsed_seconds == 3780  # to the last fold's end


def test_a_damaged_submission_is_said(store: MemoryStore) -> None:
    assert RunView(store, "r", Alive()).fault == ""
    key = names.submission_key("r", "1")
    store.write(key, b"{")
    assert RunView(store, "r", Alive()).fault.startswith(f"how long it took is not known: {key}: not JSON")


def test_histories_that_do_not_say_when_they_ended(store: MemoryStore) -> None:
    for task in [(0, 0), (0, 1), (1, 0)]:
        put_history(store, *task, None)
    store.write(names.history_key("r", 1, 1), b"no Parquet")
    progress = RunView(store, "r", Alive()).progress()
    assert progress.complete
    assert progress.elapsed_seconds is None


def test_a_failure_is_read_again_only_when_it_is_written_again(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = names.failure_key("r", 0, 0)
    write_document(store, key, Failure(trial=0, fold=0, exit_code=1, message="first"))
    reads: list[str] = []
    read = store.read
    monkeypatch.setattr(store, "read", lambda key: (reads.append(key), read(key))[1])
    view = RunView(store, "r", Alive())
    reads.clear()
    assert view.progress().folds[0].reason == "exit code 1: first"
    view.progress()
    assert reads == [key]
    write_document(store, key, Failure(trial=0, fold=0, exit_code=1, message="second"))
    assert view.progress().folds[0].reason == "exit code 1: second"
    store.write(key, b"null")
    assert view.progress().folds[0].reason == "its worker left a record that can't be read"


def test_a_run_that_is_not_there(store: MemoryStore) -> None:
    with pytest.raises(BadStudy, match="there is no run 'x'"):
        RunView(store, "x", Alive())
    with pytest.raises(BadStudy, match="can't be a run"):
        RunView(store, "../r", Alive())
