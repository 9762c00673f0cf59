import json
from pathlib import Path

import pytest

from rustk.backends.local.live import LiveFiles, only_runner
from rustk.store import Store
from rustk.store.documents import Opening, now, write_document
from rustk.store.runs import record_submission
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy, RustkError
from tests.report.runs import TINY_TRIALS, TINY_VAL_AUROC, history, write_run

from .conftest import Rustk
from .planned import plan


def test_runs_are_listed(store: Store, rustk: Rustk) -> None:
    assert "has no runs yet" in rustk("runs").output
    plan(store, "one-00000001", done=6, planned_at="2025-01-01T00:00:00Z")
    plan(store, "two-00000001", done=2, planned_at="2025-01-02T00:00:00Z")
    listed = json.loads(rustk("runs", "--json").output)
    assert [(run["run"], run["study"], run["dataset"], run["done"], run["folds"]) for run in listed] == [
        ("two-00000001", "two", "phantom", 2, 6),
        ("one-00000001", "one", "phantom", 6, 6),
    ]
    lines = rustk("runs").output.splitlines()
    assert lines[0].split() == ["run", "study", "dataset", "done", "best", "planned"]
    assert "2 of 6" in lines[1]


def test_a_complete_run_shows_its_best_figure(store: Store, rustk: Rustk, tmp_path: Path) -> None:
    whole = {task: history(values) for task, values in TINY_VAL_AUROC.items()}
    write_run(tmp_path / "store", "tiny-1", TINY_TRIALS, whole, folds=2)
    (found,) = json.loads(rustk("runs", "--json").output)
    assert (found["best"]["trial"], found["best"]["val_auroc"]) == (1, 0.75)
    assert "0.7500" in rustk("runs").output


def test_a_best_figure_that_can_not_be_read_is_said(store: Store, rustk: Rustk, tmp_path: Path) -> None:
    whole = {task: history(values) for task, values in TINY_VAL_AUROC.items()}
    write_run(tmp_path / "store", "tiny-1", TINY_TRIALS, whole, folds=2)
    key = names.history_key("tiny-1", 0, 0)
    store.write(key, store.read(key)[:100])
    result = rustk("runs")
    assert result.exit_code == 0
    assert f"the best figure of tiny-1 is not known: {key}: not a Parquet file" in " ".join(result.output.split())
    assert key in json.loads(rustk("runs", "--json").output)[0]["fault"]


def test_a_study_is_not_deleted_for_a_run(store: Store, rustk: Rustk) -> None:
    plan(store, "one-00000001", done=1)
    assert "one is a study: name the run to delete, one-00000001" in str(rustk("runs", "delete", "one").exception)
    assert "did you mean one-00000001?" in str(rustk("runs", "delete", "one-0000001").exception)


def test_damaged_runs_are_told_and_hide_no_others(store: Store, rustk: Rustk) -> None:
    plan(store, "whole-00000001", done=2)
    for run, content in {"odd": b'{"planned": 5}', "nothing": b"", "deep": b"[" * 100_000}.items():
        store.write(names.run_study_key(run), content)
    result = rustk("runs")
    assert result.exit_code == 0
    assert "2 of 6" in result.output
    for run in ("odd", "nothing", "deep"):
        assert f"{run} is damaged: runs/{run}/study.json" in result.output
    faults = {run["run"]: run["fault"] for run in json.loads(rustk("runs", "--json").output)}
    assert faults["whole-00000001"] is None
    assert faults["odd"]


def test_a_run_is_deleted_only_when_that_is_meant(store: Store, rustk: Rustk) -> None:
    plan(store, "run", done=2)
    plan(store, "run-2", done=1)
    assert "there is no terminal to ask on: add --yes" in str(rustk("runs", "delete", "run").exception)
    assert store.exists(names.run_study_key("run"))
    result = rustk("runs", "delete", "run", "--yes")
    assert result.exit_code == 0, result.exception
    assert "deleted run run" in result.output
    assert "(2 folds done, 3 files)" in result.output
    assert [run["run"] for run in json.loads(rustk("runs", "--json").output)] == ["run-2"]
    assert store.list("runs/run/") == []
    assert isinstance(rustk("runs", "delete", "run", "--yes").exception, BadStudy)


def test_who_says_no_keeps_the_run(store: Store, rustk: Rustk, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(store, "run")
    monkeypatch.setattr("rustk.cli.commands.runs._confirmed", lambda question: False)
    assert type(rustk("runs", "delete", "run").exception) is RustkError
    assert store.exists(names.run_study_key("run"))


@pytest.mark.parametrize("run", ["..", "../x", "/", "x/", "", "study"])
def test_only_a_runs_own_id_deletes_it(store: Store, rustk: Rustk, run: str) -> None:
    plan(store, "study-00000001", done=2)
    before = store.list("")
    assert isinstance(rustk("runs", "delete", run, "--yes", "--force").exception, BadStudy)
    assert store.list("") == before


def test_a_damaged_run_can_be_deleted(store: Store, rustk: Rustk) -> None:
    store.write(names.run_study_key("odd"), b"")
    assert rustk("runs", "delete", "odd", "--yes").exit_code == 0
    assert store.list("") == []


def test_a_final_model_needs_force(store: Store, rustk: Rustk) -> None:
    plan(store, "run")
    store.write(names.model_key("run"), b"model")
    assert "has a final model: add --force" in str(rustk("runs", "delete", "run", "--yes").exception)
    assert rustk("runs", "delete", "run", "--yes", "--force").exit_code == 0


def test_an_opening_of_the_seal_needs_force(store: Store, rustk: Rustk) -> None:
    plan(store, "run")
    store.write(names.dataset_key("phantom"), b"{}")
    opening = Opening(number=1, run="run", trial=0, epochs=3, dataset_digest="0" * 64, opened=now())
    write_document(store, names.opening_key("phantom", 1), opening)
    assert "opened the test split of dataset phantom" in str(rustk("runs", "delete", "run", "--yes").exception)
    store.delete(names.dataset_key("phantom"))  # the record stays when the dataset goes
    assert "opened the test split of dataset phantom" in str(rustk("runs", "delete", "run", "--yes").exception)
    assert rustk("runs", "delete", "run", "--yes", "--force").exit_code == 0
    assert store.exists(names.opening_key("phantom", 1))  # that it was opened stays true


def test_a_run_that_is_being_trained_is_not_deleted(
    store: Store, rustk: Rustk, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(store, "run")
    # Wherever the settings would look: it was submitted here.
    record_submission(store, "run", backend="local", folds=6)
    monkeypatch.setenv("RUSTK_BACKEND", "kubernetes")
    with only_runner(store.url, "run") as directory:
        LiveFiles(directory, epochs=3).expect([(0, 0), (0, 1)])
        refused = rustk("runs", "delete", "run", "--yes", "--force").exception
    assert isinstance(refused, BadStudy)
    assert "2 folds of run run are being trained: end that first with `rustk cancel run`" in str(refused)


def test_a_backend_that_is_gone_can_be_passed_over(
    store: Store, rustk: Rustk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    plan(store, "run")
    record_submission(store, "run", backend="kubernetes", folds=6)
    refused = rustk("runs", "delete", "run", "--yes").exception
    assert "is not known" in str(refused)
    assert "--backend" in str(refused)
    assert rustk("runs", "delete", "run", "--yes", "--backend", "local").exit_code == 0
