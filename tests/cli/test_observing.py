"""`status`, `wait`, `runs` and `doctor` of a store on this machine."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rustk.cli.app import app
from rustk.cli.status import duration
from rustk.store import Store, open_store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, RustkError


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUSTK_STORE", str(tmp_path / "store"))
    return open_store(str(tmp_path / "store"))


def plan(store: Store, run: str, *, done: int = 0, failed: str | None = None) -> None:
    """A run of 2 trials of 3 folds, of which the first ones are done, and perhaps the last one failed."""
    described = {"run": run, "study": {"name": run.rpartition("-")[0]}, "planned": {"trials": 2, "folds": 3}}
    store.write(names.run_study_key(run), json.dumps(described).encode())
    for number in range(done):
        store.write(names.history_key(run, number // 3, number % 3), b"history")
    if failed:
        record = {"exit_code": 65, "message": failed, "trial": 1, "fold": 2}
        store.write(names.failure_key(run, 1, 2), json.dumps(record).encode())


def rustk(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_status_counts(store: Store) -> None:
    plan(store, "study-00000001", done=4, failed="shard develop-0 is corrupt")
    shown = rustk("status", "study").output
    assert "study-00000001  4 done, 1 failed, 1 missing" in shown
    assert "trial 1 fold 2 failed: exit code 65: shard develop-0 is corrupt" in shown
    fields = json.loads(rustk("status", "--json").output)
    assert fields["counts"]["done"] == 4
    assert [fold["state"] for fold in fields["unfinished"]] == ["missing", "failed"]
    assert fields["trials"][0]["done"] == 3


def test_status_of_a_run_that_can_not_be_read(store: Store) -> None:
    store.write(names.run_study_key("odd"), b'{"planned": {"trials": "two"}}')
    assert isinstance(rustk("status", "odd").exception, BadData)
    assert isinstance(rustk("status", "other").exception, BadStudy)


def test_status_without_runs(store: Store) -> None:
    result = rustk("status")
    assert isinstance(result.exception, BadStudy)
    assert "has no runs yet" in str(result.exception)


def test_watch_ends_with_the_run(store: Store) -> None:
    plan(store, "done-00000001", done=6)
    assert rustk("status", "--watch").exit_code == 0
    assert isinstance(rustk("status", "--watch", "--json").exception, BadStudy)


def test_wait_for_what_is_complete(store: Store) -> None:
    plan(store, "done-00000001", done=6)
    result = rustk("wait")
    assert result.exit_code == 0
    assert "complete: rustk aggregate done-00000001" in result.output


def test_wait_names_what_nobody_works_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rustk.cli.wait._PATIENCE_SECONDS", 0.5)
    plan(store, "study-00000001", done=4, failed="the reason")
    result = rustk("wait", "study")
    assert type(result.exception) is RustkError
    assert "1 failed: trial 1 fold 2 (exit code 65: the reason)" in str(result.exception)
    assert "1 missing, with nothing at work on them: trial 1 fold 1" in str(result.exception)


def test_wait_has_an_end(store: Store) -> None:
    plan(store, "study-00000001")
    result = rustk("wait", "--timeout", "0")
    assert isinstance(result.exception, RustkError)
    assert result.exception.exit_code == 124


def test_runs_are_listed(store: Store) -> None:
    assert "has no runs yet" in rustk("runs").output
    plan(store, "one-00000001", done=6)
    plan(store, "two-00000001", done=2)
    listed = json.loads(rustk("runs", "--json").output)
    assert {(run["run"], run["done"], run["folds"]) for run in listed} == {
        ("one-00000001", 6, 6),
        ("two-00000001", 2, 6),
    }
    assert "2 of 6" in rustk("runs").output


def test_logs_and_cancel_name_the_way_on_this_machine(store: Store) -> None:
    plan(store, "study-00000001")
    assert "logs lie in" in str(rustk("logs", "study").exception)
    assert "Ctrl-C" in str(rustk("cancel", "study").exception)


def test_the_doctor_on_this_machine(store: Store) -> None:
    result = rustk("doctor")
    assert "ok    store " in result.output
    assert "fail  dataset" in result.output
    assert "rustk phantom" in result.output
    assert str(result.exception) == "1 check failed"
    assert store.list("") == []


def test_the_doctor_without_a_cluster(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    result = rustk("doctor", "--backend", "kubernetes")
    assert "fail  image" in result.output
    assert "fail  kubeconfig   could not use the cluster's configuration: there is no" in result.output


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.6, "1m 00s"), (725, "12m 05s"), (12000, "3h 20m"), (187200, "2d 04h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
