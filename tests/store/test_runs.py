import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from rustk.planning.plan import Plan
from rustk.store import Store, open_store
from rustk.store.documents import Planned, RunDocument, StudyPart, Submission, read_document, write_document
from rustk.store.run_list import find_run, list_runs
from rustk.store.runs import (
    done_tasks,
    failed_tasks,
    first_submitted,
    load_plan,
    planned_before,
    planned_tasks,
    publish_plan,
    read_run,
    read_trials,
    record_submission,
)
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing, StoreFailed
from rustk.vocabulary.parquet import encode_parquet, read_parquet
from tests.instruments import ODD
from tests.planning.plans import plan_of, random_plan, study_of


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def same(one: Plan, other: Plan) -> bool:
    fields = ("run", "study", "trials", "sample_ids", "dataset", "dataset_digest", "instrument", "weights_sha256")
    return one.fold_of.tolist() == other.fold_of.tolist() and all(
        getattr(one, field) == getattr(other, field) for field in fields
    )


def put_run(store: Store, run: str, study: str, planned_at: datetime | None = None) -> None:
    document = RunDocument(
        run=run, study=StudyPart(name=study), planned=Planned(trials=1, folds=2), planned_at=planned_at
    )
    write_document(store, names.run_study_key(run), document)


def test_a_published_plan_is_loaded_as_it_was(here: Store) -> None:
    for plan in (
        random_plan(trials=3),
        plan_of(study_of("{name: plain, folds: {k: 3}}")),
        plan_of(study_of("{name: odd, folds: {k: 4}}"), instrument=ODD),
    ):
        assert publish_plan(here, plan) is plan
        assert same(load_plan(here, plan.run), plan)
        assert planned_tasks(read_run(here, plan.run)) == plan.tasks


def test_the_study_comes_last(here: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its presence means that the other files are there."""
    written: list[str] = []
    write = here.write
    monkeypatch.setattr(here, "write", lambda key, data: (written.append(key), write(key, data)))
    plan = random_plan(trials=3)
    publish_plan(here, plan)
    assert written == [names.folds_key(plan.run), names.trials_key(plan.run), names.run_study_key(plan.run)]


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
    first = read_run(here, few.run).planned_at
    assert len(publish_plan(here, many).trials) == 5
    assert publish_plan(here, few).trials == many.trials
    assert many.trials[:3] == few.trials
    assert read_run(here, few.run).planned_at == first
    assert read_run(here, few.run).planned.trials == 5


def test_an_extension_that_was_interrupted_is_done_again(here: Store) -> None:
    few, many = random_plan(trials=3), random_plan(trials=5)
    publish_plan(here, few)
    described = here.read(names.run_study_key(few.run))
    publish_plan(here, many)
    here.write(names.run_study_key(few.run), described)  # trials.parquet of five, study.json of three
    assert load_plan(here, few.run).trials == few.trials
    assert publish_plan(here, many).trials == many.trials
    assert load_plan(here, few.run).trials == many.trials


def test_a_run_planned_otherwise_is_refused(here: Store) -> None:
    publish_plan(here, random_plan(trials=3, name="mine"))
    with pytest.raises(BadStudy, match="run mine was planned with another study: give this one a new --name"):
        publish_plan(here, random_plan(trials=3, name="mine", epochs=7))


def test_a_run_of_others_can_not_be_continued(here: Store) -> None:
    put_run(here, "theirs", "study")
    here.write(names.trials_key("theirs"), b"x")
    here.write(names.folds_key("theirs"), b"y")
    with pytest.raises(BadData, match=r"run theirs was not planned by this version .* does not say on which dataset"):
        load_plan(here, "theirs")
    with pytest.raises(KeyMissing):
        load_plan(here, "nobody-s")


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("folds", pa.table({"sample_id": ["a"], "fold": [3]}), r"folds\.parquet: column fold: expected 0 to 2"),
        ("folds", pa.table({"sample_id": ["a"], "fold": [-1]}), r"folds\.parquet: column fold: expected 0 to 2"),
        ("folds", pa.table({"sample_id": ["a"]}), r"folds\.parquet: column fold is missing"),
        ("folds", None, r"folds\.parquet: not a Parquet file"),
        ("trials", None, r"trials\.parquet: not a Parquet file"),
        (
            "trials",
            pa.table({"epsilon": [0.5]}),
            r"trials\.parquet: column trial is missing: expected int64; it has",
        ),
        ("trials", pa.table({"trial": ["a"]}), r"trials\.parquet: column trial is string: expected int64"),
        ("trials", pa.table({"trial": [[1]]}), r"trials\.parquet: column trial is list"),
        ("trials", pa.table({"trial": [0, 2, 3]}), r"trials\.parquet: column trial: expected the numbers 0 to 2, each"),
        ("trials", pa.table({"trial": [0, 1, 1]}), r"trials\.parquet: column trial: expected the numbers 0 to 2"),
        ("trials", pa.table({"trial": [0, 1]}), r"trials\.parquet has 2 trials: expected 3"),
        ("trials", pa.table({"trial": pa.array([], pa.int64())}), r"trials\.parquet has 0 trials: expected 3"),
        ("trials", pa.table({"trial": [0], "x": ["y"]}), r"trials\.parquet: column x is string: expected double"),
    ],
)
def test_a_damaged_plan_is_one_line(here: Store, name: str, table: pa.Table | None, message: str) -> None:
    plan = random_plan(trials=3)
    publish_plan(here, plan)
    here.write(f"runs/{plan.run}/{name}.parquet", b"PAR1" if table is None else encode_parquet(table))
    with pytest.raises(BadData, match=message) as caught:
        load_plan(here, plan.run)
    assert str(caught.value).isprintable()


def test_a_store_that_fails_is_no_damaged_plan(here: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 75 is tried again, 65 never."""
    plan = random_plan(trials=3)
    publish_plan(here, plan)
    read = here.read

    def failing(key: str) -> bytes:
        if key.endswith(".parquet"):
            raise StoreFailed("the network is down")
        return read(key)

    monkeypatch.setattr(here, "read", failing)
    with pytest.raises(StoreFailed, match=r"^the network is down$"):
        load_plan(here, plan.run)


def test_trials_keep_the_types_of_their_values(here: Store) -> None:
    publish_plan(here, random_plan(trials=3, name="mine"))
    for trial in read_trials(here, "mine"):
        assert type(trial["batch_size"]) is int
        assert type(trial["dropout"]) is float


def test_words_lists_and_truth_values_have_columns_of_their_own_types(here: Store) -> None:
    search = (
        "{kind: sobol, trials: 6, parameters: {model.head: {values: [[8], [16, 8], []]}, "
        "training.flips: {values: [[], [vertical, horizontal]]}, model.pooling: {values: [max, flatten]}, "
        "training.batch_size: {values: [8, 16]}, training.learning_rate: {values: [1, 0.1]}}}"
    )
    plan = plan_of(study_of(f"{{name: mine, model: {{weights: random}}, search: {search}}}"), name="mine")
    publish_plan(here, plan)
    key = names.trials_key("mine")
    found = read_parquet(here.read(key), key)
    assert {field.name: field.type for field in found.schema} == {
        "trial": pa.int64(),
        "head": pa.string(),
        "flips": pa.string(),
        "pooling": pa.string(),
        "batch_size": pa.int64(),
        "learning_rate": pa.float64(),
    }
    loaded = load_plan(here, "mine")
    assert loaded.trials == plan.trials
    for trial in range(6):
        assert loaded.study_of(trial) == plan.study_of(trial)
    assert {loaded.study_of(trial).model.head for trial in range(6)} == {(8,), (16, 8), ()}


def test_the_document_of_another_run_is_refused(here: Store) -> None:
    publish_plan(here, random_plan(trials=2, name="one"))
    here.write(names.run_study_key("two"), here.read(names.run_study_key("one")))
    with pytest.raises(BadData, match=r"^runs/two/study\.json: run = 'one': expected two, the name of the folder"):
        read_run(here, "two")


def test_the_run_of_another_study_is_not_gone_on_with(here: Store) -> None:
    plan = random_plan(trials=2, name="one")
    assert planned_before(here, plan) is None
    publish_plan(here, plan)
    assert (before := planned_before(here, random_plan(trials=3, name="one"))) is not None
    assert before.trials == plan.trials
    with pytest.raises(BadStudy, match="run one was planned with another study"):
        planned_before(here, random_plan(trials=2, name="one", k=5))


@pytest.mark.parametrize("obstacle", ["a folder", "a symbolic link to nowhere"])
def test_what_lies_in_place_of_a_plan_is_said_and_kept(here: Store, obstacle: str) -> None:
    plan = random_plan(trials=2, name="one")
    publish_plan(here, plan)
    path = Path(here.url, names.run_study_key("one"))
    path.unlink()
    path.mkdir() if obstacle == "a folder" else path.symlink_to("nowhere")
    said = rf"^runs/one/study\.json is not in the store .*: {obstacle} lies in its place: put back the file"
    assert re.match(said, list_runs(here)[0].fault)
    assert find_run(here, "one") == "one"
    before = here.read(names.trials_key("one"))
    for use in (lambda: read_run(here, "one"), lambda: publish_plan(here, random_plan(trials=3, name="one"))):
        with pytest.raises(BadData, match=said):
            use()
    assert here.read(names.trials_key("one")) == before


def test_a_plan_that_contradicts_itself_is_refused(here: Store) -> None:
    publish_plan(here, random_plan(trials=2, name="one"))
    key = names.run_study_key("one")
    document = json.loads(here.read(key))
    here.write(key, json.dumps({**document, "planned": {**document["planned"], "epochs": 9999}}).encode())
    with pytest.raises(
        BadData, match=r"study\.json: planned\.epochs = 9999: expected \d+, as study\.training\.epochs has"
    ):
        read_run(here, "one")


def test_a_run_that_is_not_there(here: Store) -> None:
    with pytest.raises(BadStudy, match=r"there is no run 'x': .*; `rustk runs` lists those that are"):
        read_run(here, "x")


def test_done_and_failed_come_from_the_keys(here: Store) -> None:
    plan: Plan = random_plan(trials=2)
    here.write(names.history_key(plan.run, 0, 1), b"")
    here.write(names.history_key(plan.run, 1, 0), b"")
    here.write(f"runs/{plan.run}/histories/notes.txt", b"")
    here.write(names.failure_key(plan.run, 1, 1), b"{}")
    assert done_tasks(here, plan.run) == {(0, 1), (1, 0)}
    assert failed_tasks(here, plan.run) == {(1, 1)}


def test_submissions_are_kept_apart(here: Store) -> None:
    put_run(here, "r", "s", datetime(2025, 1, 1, tzinfo=UTC))
    assert first_submitted(here, "r") == datetime(2025, 1, 1, tzinfo=UTC)
    record_submission(here, "r", backend="local", folds=3)
    record_submission(here, "r", backend="kubernetes", folds=2, details={"namespace": "n"})
    first, second = (read_document(here, entry.key, Submission) for entry in here.list("runs/r/submissions/"))
    assert (first.backend, first.folds, first.details) == ("local", 3, {})
    assert (second.backend, second.folds, second.details) == ("kubernetes", 2, {"namespace": "n"})
    assert first_submitted(here, "r") == first.submitted_at


def test_the_run_s_document_says_what_was_planned(here: Store) -> None:
    plan = random_plan(trials=4, k=3)
    publish_plan(here, plan)
    described = json.loads(here.read(names.run_study_key(plan.run)))
    assert described["planned"] == {"trials": 4, "folds": 3, "epochs": 3}
    assert described["run"] == plan.run
    assert described["instrument"]["name"] == "mrust"
    assert described["planned_at"].endswith("Z")
