import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rustk.report.data.results import RunResults, in_threads, load_run
from rustk.store import open_store
from rustk.store.documents import HistoryMetadata
from rustk.vocabulary import names, schemas
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.parquet import encode_parquet, read_parquet, with_metadata
from tests.instruments import MRUST
from tests.report.planted import CLEAN, Plan, plant
from tests.report.runs import TINY_TRIALS, TINY_VAL_AUROC, history, history_path, write_run, write_tiny


def load(store: Path, run: str = "tiny-00000001") -> RunResults:
    return load_run(open_store(str(store)), run)


def test_a_run_of_pandas_and_json_alone_is_read(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    results = load(tmp_path)
    assert results.histories.columns.tolist() == [
        "trial",
        "fold",
        "epoch",
        *schemas.METRICS,
        *schemas.VAL_METRICS,
        "seconds",
    ]
    for (trial, fold), rows in results.histories.groupby(["trial", "fold"]):
        assert rows["val_auroc"].tolist() == TINY_VAL_AUROC[trial, fold]
        assert rows["epoch"].tolist() == [1, 2, 3]
    assert results.histories["seconds"].isna().all()
    pd.testing.assert_frame_equal(results.trials, TINY_TRIALS)
    assert results.hyperparameters == ("learning_rate", "epsilon")
    assert (results.missing, results.diverged, results.warnings) == ((), {}, ())
    assert (results.folds, results.index, results.dataset) == (None, None, None)
    assert (results.name, results.title) == ("tiny", "Tiny & small_study")


def test_any_width_of_number_and_any_order_of_rows_will_do(tmp_path: Path) -> None:
    narrow = history([0.5, 0.25, 0.75]).iloc[[2, 0, 1]]
    narrow = narrow.astype({name: np.float32 for name in narrow.columns if name != "epoch"})
    narrow["epoch"] = narrow["epoch"].astype(np.int16)
    trials = pd.DataFrame({"trial": pd.Series([0], dtype=np.uint8), "epsilon": pd.Series([1e-3], dtype=np.float32)})
    write_run(tmp_path, "narrow", trials, {(0, 0): narrow.assign(note="more", trial=0)}, folds=1)
    results = load(tmp_path, "narrow")
    assert results.histories["epoch"].tolist() == [1, 2, 3]
    assert results.histories["val_auroc"].tolist() == [0.5, 0.25, 0.75]
    assert results.histories["val_auroc"].dtype == np.float64
    assert results.trials["epsilon"].tolist() == [0.001]


def test_files_that_are_alike_are_checked_at_once_and_read_the_same_as_one_by_one(tmp_path: Path) -> None:
    folds = {(trial, fold): history([0.5 + trial / 10, 0.25, 0.75 - fold / 10]) for trial in (0, 1) for fold in (0, 1)}
    trials = pd.DataFrame({"trial": [0, 1], "epsilon": [1e-3, 1e-4]})
    write_run(tmp_path, "alike", trials, folds, folds=2)
    folds[1, 0] = folds[1, 0].iloc[[2, 0, 1]]
    write_run(tmp_path, "mixed", trials, folds, folds=2)
    pd.testing.assert_frame_equal(load(tmp_path, "alike").histories, load(tmp_path, "mixed").histories)


def test_what_all_trials_share_was_not_searched(tmp_path: Path) -> None:
    trials = TINY_TRIALS.assign(batch_size=1600, epsilon=1e-7)
    write_run(tmp_path, "shared", trials, {}, folds=2)
    results = load(tmp_path, "shared")
    assert results.hyperparameters == ("learning_rate",)
    assert results.shared_hyperparameters == {"epsilon": 1e-7, "batch_size": 1600}
    write_run(tmp_path, "single", trials.head(1), {}, folds=2)
    assert load(tmp_path, "single").hyperparameters == ()


def test_what_the_study_s_search_names_was_searched_whatever_its_trials_share(tmp_path: Path) -> None:
    trials = TINY_TRIALS.assign(batch_size=1600, epsilon=1e-7)
    folder = write_run(tmp_path, "named", trials, {}, folds=2)
    assert load(tmp_path, "named").searched == ("learning_rate",)
    document = json.loads((folder / "study.json").read_text())
    document["study"]["search"] = {"kind": "mine", "parameters": {"training.batch_size": [], "training.absent": []}}
    (folder / "study.json").write_text(json.dumps(document))
    results = load(tmp_path, "named")
    assert set(results.searched) == {"learning_rate", "batch_size"}
    assert results.hyperparameters == ("learning_rate",)


def test_the_index_that_pandas_writes_is_no_hyperparameter(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    TINY_TRIALS.iloc[[2, 0, 1]].to_parquet(folder / "trials.parquet")
    results = load(tmp_path)
    pd.testing.assert_frame_equal(results.trials, TINY_TRIALS)


def test_missing_folds_are_named(tmp_path: Path) -> None:
    write_tiny(tmp_path, without=((0, 1), (2, 0), (2, 1)))
    assert load(tmp_path).missing == ((0, 1), (2, 0), (2, 1))


def test_a_run_without_any_history_has_all_folds_missing(tmp_path: Path) -> None:
    write_tiny(tmp_path, without=tuple(TINY_VAL_AUROC))
    results = load(tmp_path)
    assert len(results.missing) == 6
    assert results.histories.empty


def test_divergence_is_read_from_metadata_or_seen_in_the_numbers(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    table = pa.Table.from_pandas(history([0.5]), preserve_index=False)
    described = {"outcome": "diverged", "diverged_epoch": 2}
    schema = with_metadata(table.schema.remove_metadata(), json.dumps(described).encode())
    pq.write_table(table.cast(schema), history_path(folder, 0, 1))
    history([0.5, 0.5, 0.5], loss=[1.0, np.inf, np.nan]).to_parquet(history_path(folder, 2, 0))
    results = load(tmp_path)
    assert results.diverged == {(0, 1): 2, (2, 0): 2}
    assert results.fold_metadata[0, 1] == HistoryMetadata.model_validate(described)
    assert results.missing == ()


def _corrupt(folder: Path, fault: str) -> None:
    path = history_path(folder, 1, 0)
    rows = history([0.5, 0.5, 0.5])
    match fault:
        case "no column":
            rows.drop(columns="val_auroc").to_parquet(path)
        case "text":
            rows.assign(val_loss=["a", "b", "c"]).to_parquet(path)
        case "half an epoch":
            rows.assign(epoch=[1.0, 1.5, 2.0]).to_parquet(path)
        case "epoch 0":
            rows.assign(epoch=[0, 1, 2]).to_parquet(path)
        case "an epoch twice":
            rows.assign(epoch=[2, 1, 2]).to_parquet(path)
        case "no epoch":
            rows.assign(epoch=pd.array([1, None, 3], dtype="Int64")).to_parquet(path)
        case "percent":
            rows.assign(val_auroc=[0.5, 79.0, 0.5]).to_parquet(path)
        case "another fold":
            rows.assign(fold=[0, 0, 1]).to_parquet(path)
        case "not Parquet":
            path.write_text("epoch,loss\n")
        case "cut off":
            path.write_bytes(path.read_bytes()[:-9])
        case "a fold too many":
            rows.to_parquet(history_path(folder, 1, 2))
        case "a trial too many":
            history_path(folder, 9, 0).parent.mkdir()
            rows.to_parquet(history_path(folder, 9, 0))
        case "another name":
            rows.to_parquet(path.with_name("fold-0.parquet"))
        case "the same fold twice":
            other = folder / "histories/trial=1/fold=0.parquet"
            other.parent.mkdir()
            rows.to_parquet(other)
        case "metadata":
            table = pa.Table.from_pandas(rows, preserve_index=False)
            pq.write_table(table.replace_schema_metadata({"rustk": "{"}), path)
        case "trials without trial":
            TINY_TRIALS.drop(columns="trial").to_parquet(folder / "trials.parquet")
        case "a trial twice":
            TINY_TRIALS.assign(trial=[0, 1, 1]).to_parquet(folder / "trials.parquet")
        case "fewer trials":
            TINY_TRIALS.head(2).to_parquet(folder / "trials.parquet")
        case "no trials":
            (folder / "trials.parquet").unlink()
        case "no plan":
            (folder / "study.json").write_text('{"study": {"name": "tiny"}}')
        case "no study":
            (folder / "study.json").write_text('{"planned": {"trials": 3, "folds": 2}}')
        case "a list":
            (folder / "study.json").write_text("[]")
        case "not JSON":
            (folder / "study.json").write_text("{")
        case "folds beyond the plan":
            pd.DataFrame({"sample_id": ["a"], "fold": [2]}).to_parquet(folder / "folds.parquet")
        case _:
            raise AssertionError(fault)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            "no column",
            r"histories/trial=0001/fold=0.parquet: column val_auroc is missing: expected double; it has epoch",
        ),
        ("text", r"fold=0.parquet: column val_loss is .*string: expected double"),
        ("half an epoch", r"fold=0.parquet: column epoch is double: expected int64 .*1.5"),
        ("epoch 0", r"fold=0.parquet: column epoch has 0: expected 1 or more"),
        ("an epoch twice", r"fold=0.parquet: column epoch has 2 twice: expected one row an epoch"),
        ("no epoch", r"fold=0.parquet: column epoch has 1 null: expected a value in every row"),
        ("percent", r"trial=0001/fold=0.parquet: column val_auroc is .*79.0.* at epoch 2: expected 0 to 1"),
        ("another fold", r"fold=0.parquet: column fold does not say 0 in every row"),
        ("not Parquet", r"trial=0001/fold=0.parquet: not a Parquet file, or a damaged one"),
        ("cut off", r"trial=0001/fold=0.parquet: not a Parquet file, or a damaged one"),
        ("a fold too many", r"fold=2.parquet: fold 2, but study.json has planned.folds = 2: folds count from 0"),
        ("a trial too many", r"trial=0009/fold=0.parquet: trials.parquet has no trial 9"),
        ("another name", r"fold-0.parquet: not the name of a fold's file: expected .*trial=0007/fold=3.parquet"),
        ("the same fold twice", r"trial=1/fold=0.parquet and .*trial=0001/fold=0.parquet are both trial 1 fold 0"),
        ("metadata", r"fold=0.parquet: its metadata: not JSON"),
        ("trials without trial", r"trials.parquet: column trial is missing"),
        ("a trial twice", r"trials.parquet: column trial has 1 twice"),
        ("fewer trials", r"trials.parquet: 2 trials, but .*study.json has planned.trials = 3"),
        ("no trials", r"trials.parquet is not in the store"),
        ("no plan", r"study.json: planned: missing"),
        ("no study", r"study.json: study: missing"),
        ("a list", r"study.json: "),
        ("not JSON", r"study.json: not JSON"),
        ("folds beyond the plan", r"folds.parquet: column fold has 2: expected 0 to 1"),
    ],
)
def test_a_malformed_run_is_refused_in_one_line_that_names_the_file(tmp_path: Path, fault: str, words: str) -> None:
    _corrupt(write_tiny(tmp_path), fault)
    with pytest.raises(BadData, match=words) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_run_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match=r"there is no run 'gone': runs/gone/study.json is not in the store"):
        load(tmp_path, "gone")


def test_other_files_beside_histories_are_left_alone(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    (folder / "histories/_SUCCESS").touch()
    (folder / "notes.txt").write_text("mine")
    assert load(tmp_path).missing == ()


def test_everything_that_a_run_of_rustk_holds_is_read() -> None:
    shelf = plant(CLEAN)
    results = load_run(shelf, CLEAN.run)
    assert results.dataset is not None
    assert results.index is not None
    assert results.folds is not None
    assert set(results.folds["sample_id"]) == set(results.index.loc[results.index["split"] == "develop", "sample_id"])
    assert results.fold_metadata[1, 2].hyperparameters == {"learning_rate": 1e-2, "batch_size": 16}
    assert (results.histories["seconds"] == 1.5).all()


def test_predictions_are_read_by_trial_fold_and_epoch() -> None:
    shelf = plant(CLEAN)
    results = load_run(shelf, CLEAN.run)
    assert results.has_predictions(1)
    everything = results.predictions(1)
    assert everything.columns.tolist() == ["trial", "fold", "epoch", "sample_id", *MRUST.labels]
    assert everything[MRUST.labels[0]].dtype == np.float32
    assert (everything["trial"] == 1).all()
    one = results.predictions(1, 2, epoch=3)
    expected = everything[(everything["fold"] == 2) & (everything["epoch"] == 3)]
    pd.testing.assert_frame_equal(one, expected.reset_index(drop=True))
    assert results.folds is not None
    assert len(one) == int((results.folds["fold"] == 2).sum())
    wanted = dict.fromkeys(reversed(range(len(results.trials))), (3, 1))
    by_trial = dict(results.predictions_by_trial(wanted))
    assert list(by_trial) == list(wanted)
    for trial, by_epoch in by_trial.items():
        assert list(by_epoch) == [3, 1]
        for epoch, found in by_epoch.items():
            pd.testing.assert_frame_equal(found, results.predictions(trial, epoch=epoch))


def test_absent_predictions_are_said_to_be_absent() -> None:
    results = load_run(plant(Plan(without=("predictions",))), CLEAN.run)
    assert not results.has_predictions(0)
    with pytest.raises(BadData, match=r"has no predictions of trial 0, folds 0, 1, 2, 3: the run was written without"):
        results.predictions(0)
    with pytest.raises(BadData, match=r"has no predictions of trial 7: none of its folds is done"):
        results.predictions(7)
    with pytest.raises(BadData, match=r"has no predictions of trial 0, folds 0, 1, 2, 3"):
        next(results.predictions_by_trial({0: [1]}))


def test_a_dataset_that_has_changed_since_is_left_out_and_said() -> None:
    shelf = plant(CLEAN)
    key = names.dataset_key("phantom")
    shelf.put_document(key, digest="f" * 64)
    results = load_run(shelf, CLEAN.run)
    assert results.dataset is None
    assert results.index is None
    assert "is not the one this run was made on (digest ffffffffffff" in results.warnings[0]
    del shelf.objects[key]
    assert "is not in the store (datasets/phantom/dataset.json)" in load_run(shelf, CLEAN.run).warnings[0]


def test_an_index_that_is_not_of_the_dataset_s_digest_is_refused() -> None:
    """Every image its own patient: a fault in the folds would no longer be seen."""
    shelf = plant(replace(CLEAN, split_patients=True))
    key = names.dataset_index_key("phantom")
    index = read_parquet(shelf.read(key), key)
    own = index.set_column(index.column_names.index("patient"), "patient", index["sample_id"])
    shelf.write(key, encode_parquet(own))
    shelf.put_document(names.dataset_key("phantom"), index_sha256=hashlib.sha256(shelf.read(key)).hexdigest())
    changes: tuple[dict[str, Any], ...] = ({}, {"dataset": {"name": "phantom"}})
    for study in changes:  # also of a run that names no digest
        shelf.put_document(names.run_study_key(CLEAN.run), **study)
        with pytest.raises(
            BadData, match=r"^datasets/phantom/dataset\.json: digest = .*it was changed since the build"
        ):
            load_run(shelf, CLEAN.run)


def test_threads_keep_the_order_and_raise_the_first_error() -> None:
    assert in_threads(lambda n: n * n, range(50)) == [n * n for n in range(50)]

    def picky(number: int) -> int:
        if number % 7 == 3:
            raise BadData(f"number {number}")
        return number

    with pytest.raises(BadData, match="number 3"):
        in_threads(picky, range(40))
