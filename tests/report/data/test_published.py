"""Runs that others published with less in them than rustk writes: what is not there is absent, and said once."""

from pathlib import Path

import numpy as np
import pytest

from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import RunResults, load_run
from rustk.report.evaluation.analysis import analyse
from rustk.store import open_store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.parquet import read_parquet
from tests.report.planted import CLEAN, Shelf, parquet, plant
from tests.report.runs import TINY_TRIALS, TINY_VAL_AUROC, history, write_golden, write_run

LEAST = ["epoch", "val_auroc"]


def write(store: Path, **columns: object) -> RunResults:
    """The tiny run with these columns set in every history; None drops one."""
    dropped = [name for name, value in columns.items() if value is None]
    kept = {name: value for name, value in columns.items() if value is not None}
    histories = {task: history(values).assign(**kept).drop(columns=dropped) for task, values in TINY_VAL_AUROC.items()}
    write_run(store, "published", TINY_TRIALS, histories, folds=2)
    return load_run(open_store(str(store)), "published")


@pytest.mark.parametrize("how", ["left out", "without a value"])
def test_a_run_without_losses_did_not_diverge(tmp_path: Path, how: str) -> None:
    nothing = None if how == "left out" else np.nan
    results = write(tmp_path, loss=nothing, val_loss=nothing)
    assert results.diverged == {}
    assert results.warnings == ("The histories don't record loss, val_loss: nothing here is said of it.",)
    assert "loss" not in results.metrics
    assert "val_auroc" in results.metrics
    averaged = aggregate(results)
    assert (averaged.trials["note"] == "").all()
    assert averaged.trials["loss"].isna().all()
    assert averaged.trials["val_auroc"].tolist() == [0.75, 0.75, 0.625]
    assert analyse(averaged).flagged == ()


def test_epoch_and_figure_of_merit_are_all_that_a_history_needs(tmp_path: Path) -> None:
    histories = {task: history(values)[LEAST] for task, values in TINY_VAL_AUROC.items()}
    write_run(tmp_path, "least", TINY_TRIALS, histories, folds=2)
    results = load_run(open_store(str(tmp_path)), "least")
    assert results.metrics == ("val_auroc",)
    assert len(results.warnings) == 1
    assert aggregate(results).best["trial"] == 1
    found = analyse(aggregate(results))
    assert found.flagged == ()
    assert sum("don't record" in sentence for sentence in found.absent) == 1


def test_only_a_recorded_loss_that_is_not_finite_is_a_divergence(tmp_path: Path) -> None:
    histories = {task: history(values) for task, values in TINY_VAL_AUROC.items()}
    histories[0, 0] = history([0.5, np.nan, 0.75], loss=[1.0, 0.9, 0.8], val_loss=[1.0, 0.9, 0.8])
    histories[0, 1] = histories[0, 1].drop(columns=["loss", "val_loss"])
    histories[1, 0] = history([0.75, 0.5, 1.0], loss=[1.0, np.nan, np.nan])
    histories[1, 1] = history([0.75, 0.5, 0.5], val_loss=[1.0, np.inf, 1.0])
    histories[2, 0] = history([0.25, 0.75, 0.25], val_loss=[1.0, np.nan, 1.0])  # validated every other epoch
    write_run(tmp_path, "published", TINY_TRIALS, histories, folds=2)
    results = load_run(open_store(str(tmp_path)), "published")
    assert results.diverged == {(1, 0): 2, (1, 1): 2}
    assert aggregate(results).row(0)["note"] == "2 of 3 epochs have every fold"


def test_dataset_and_folds_alone_give_the_floor_and_the_audit() -> None:
    shelf = plant(CLEAN)
    for entry in shelf.list(names.histories_prefix(CLEAN.run)):
        shelf.write(entry.key, least(shelf, entry.key))
    for entry in shelf.list(names.predictions_prefix(CLEAN.run)):
        shelf.delete(entry.key)
    study = {"name": "planted", "title": "Published"}
    shelf.put_document(names.run_study_key(CLEAN.run), study=study, weights=None, instrument=None, versions={})
    shelf.put_document(names.run_study_key(CLEAN.run), dataset={"name": "phantom"})
    found = analyse(aggregate(load_run(shelf, CLEAN.run)))
    assert found.floor is not None
    assert found.floor["auroc_200"].value > 0.6
    assert {"patients", "duplicates", "test-patients", "test-duplicates"} <= {finding.key for finding in found.findings}
    assert found.best is None


def least(shelf: Shelf, key: str) -> bytes:
    return parquet(read_parquet(shelf.read(key), key).to_pandas()[LEAST])


def test_predictions_of_an_instrument_that_nobody_knows_are_read_as_they_are() -> None:
    shelf = plant(CLEAN)
    for entry in shelf.list(names.predictions_prefix(CLEAN.run)):
        frame = read_parquet(shelf.read(entry.key), entry.key).to_pandas()
        frame = frame.rename(columns={"medial_1": "of_their_own"}).assign(remark="x")
        shelf.write(entry.key, parquet(frame))
    shelf.put_document(names.run_study_key(CLEAN.run), instrument=None, dataset=None)
    results = load_run(shelf, CLEAN.run)
    assert results.instrument is None
    found = results.predictions(0, epoch=1)
    assert found.columns.tolist()[:4] == ["trial", "fold", "epoch", "sample_id"]
    assert len(found.columns) == 4 + 18
    assert found["of_their_own"].dtype == np.float32
    assert "remark" not in found
    assert analyse(aggregate(results)).best is None
    key = names.prediction_key(CLEAN.run, 0, 2)
    shelf.write(key, parquet(read_parquet(shelf.read(key), key).to_pandas().drop(columns="of_their_own")))
    with pytest.raises(BadData, match="the predictions of trial 0 have other columns from fold to fold"):
        results.predictions(0)


def test_a_published_run_of_which_one_fold_is_missing_names_it(tmp_path: Path, repository: Path) -> None:
    run = write_golden(tmp_path, repository)
    (tmp_path / names.history_key(run, 7, 3)).unlink()
    with pytest.raises(BadData, match=r"lacks 1 of 192 folds \(trial 7: fold 3\)"):
        aggregate(load_run(open_store(str(tmp_path)), run))
