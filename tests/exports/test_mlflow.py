"""An export to a real MLflow server, started here on a free port; skipped where MLflow is not installed.

The server takes a while to start: RUSTK_TEST_MLFLOW=1 (.ci/run has it) runs these.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rustk.exports.content import run_content
from rustk.exports.mlflow import Exported, export_mlflow
from rustk.report.data.results import load_run
from rustk.store import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BackendFailed, BadStudy
from tests.exports.conftest import SMALL

if os.environ.get("RUSTK_TEST_MLFLOW"):  # its import takes seconds
    pytest.importorskip("mlflow", reason="pip install 'rustk[mlflow]'")
# Not this project's: warnings at the import of MLflow and of what it brings.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not os.environ.get("RUSTK_TEST_MLFLOW"), reason="set RUSTK_TEST_MLFLOW=1 (.ci/run does)"),
]

_PATIENCE_SECONDS = 240


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(address of the server, address of its database)."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database, address = f"sqlite:///{folder}/mlflow.db", f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **quiet}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(process, address, folder / "log")
            yield address, database
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"the MLflow server did not start: {log.read_text()[-1000:]}")


@pytest.fixture
def client(server: tuple[str, str]) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server[0])


def runs_of(client: Any, experiment: str) -> dict[str, Any]:
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], max_results=1000)
    by_name = {run.data.tags["rustk.stands_for"]: run for run in runs}
    assert len(by_name) == len(runs)
    return by_name


def test_a_run_that_grows(server: tuple[str, str], client: Any, write: Callable[..., Store]) -> None:
    address, database = server

    def export(store: Store, uri: str = address) -> Exported:
        return export_mlflow(store, run_content(load_run(store, SMALL.run)), uri)

    store = write(missing=((1, 1),))
    first = export(store)
    assert first == Exported("planted", made=6, kept=0, report=False, model=False)
    runs = runs_of(client, "planted")
    content = run_content(load_run(store, SMALL.run))

    fold, trial = runs["trial=0000/fold=1"], runs["trial=0000"]
    assert fold.data.tags["mlflow.parentRunId"] == trial.info.run_id
    assert fold.data.params["learning_rate"] == trial.data.params["learning_rate"] == "0.001"
    assert fold.data.params["in_effect.optimizer"] == "adam"
    assert (fold.info.status, trial.info.status, runs["trial=0001"].info.status) == ("FINISHED", "FINISHED", "RUNNING")
    assert "val_auroc" not in runs["trial=0001"].data.metrics
    read = client.get_metric_history(fold.info.run_id, "val_auroc")
    epochs = content.trials[0].folds[1].epochs
    assert [(metric.step, metric.value) for metric in read] == [
        (epoch.number, epoch.metrics["val_auroc"]) for epoch in epochs
    ]
    means = client.get_metric_history(trial.info.run_id, "val_auroc")
    assert [metric.value for metric in means] == [e.metrics["val_auroc"] for e in content.trials[0].epochs]

    again = export(store)
    assert (again.made, again.kept) == (0, 6)
    assert {name: run.info.run_id for name, run in runs_of(client, "planted").items()} == {
        name: run.info.run_id for name, run in runs.items()
    }

    store = write()
    store.write(f"{names.report_prefix(SMALL.run)}index.html", b"<p>page")
    store.write(f"{names.report_prefix(SMALL.run)}tables/folds.csv", b"fold\n")
    store.write(names.model_key(SMALL.run), b"model")
    store.write(names.model_card_key(SMALL.run), b"{}")
    grown = export(store)
    assert grown == Exported("planted", made=3, kept=4, report=True, model=True)
    later = runs_of(client, "planted")
    assert later["trial=0000"].info.run_id == trial.info.run_id
    assert later["trial=0001"].info.status == "FINISHED"
    for number in (0, 1):
        child = later[f"trial=0001/fold={number}"]
        assert child.data.tags["mlflow.parentRunId"] == later["trial=0001"].info.run_id
    report = later["report"].info.run_id
    listed = {file.path for folder in ("report", "model") for file in client.list_artifacts(report, folder)}
    assert listed == {"report/index.html", "report/tables", "model/model.keras", "model/card.json"}
    assert later["report"].data.params["training.batch_size"] == "64"

    # An export that was broken off, and a fold that was trained again.
    client.delete_tag(later["trial=0000/fold=0"].info.run_id, "rustk.digest")
    mended = export(store)
    assert (mended.made, mended.kept) == (1, 6)
    assert set(runs_of(client, "planted")) == set(later)

    # The database itself, without the server, is the same store.
    assert export(store, database).made == 0


def test_a_trial_that_a_race_dropped_has_ended(
    server: tuple[str, str], client: Any, write: Callable[..., Store]
) -> None:
    store = write(raced=True)
    results = load_run(store, SMALL.run)
    (dropped,) = results.dropped
    (kept,) = {0, 1} - {dropped}
    found = export_mlflow(store, run_content(results), server[0], experiment="raced")
    assert (found.made, found.kept) == (6, 0)  # two trials, three folds of four, and the whole
    runs = runs_of(client, "raced")
    left, whole = runs[f"trial={dropped:04d}"], runs[f"trial={kept:04d}"]
    assert (left.info.status, whole.info.status) == ("FINISHED", "FINISHED")
    assert (left.data.tags["rustk.dropped_round"], left.data.tags["rustk.folds"]) == ("1", "1 of 2")
    assert "rustk.dropped_round" not in whole.data.tags
    # Means over folds are of whole trials only.
    assert "val_auroc" not in left.data.metrics
    assert "val_auroc" in whole.data.metrics
    children = [run for run in runs.values() if run.data.tags.get("mlflow.parentRunId") == left.info.run_id]
    assert [run.data.tags["rustk.kind"] for run in children] == ["fold"]
    assert export_mlflow(store, run_content(results), server[0], experiment="raced").made == 0


def test_an_address_of_no_kind_is_one_line(write: Callable[..., Store]) -> None:
    store = write()
    with pytest.raises(BackendFailed, match="--tracking-uri nowhere://x: ") as refused:
        export_mlflow(store, run_content(load_run(store, SMALL.run)), "nowhere://x")
    assert "\n" not in str(refused.value)


def test_nobody_at_the_address_is_one_line(write: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    content = run_content(load_run(write(), SMALL.run))
    with pytest.raises(BackendFailed, match=r"--tracking-uri http://127\.0\.0\.1:1: no server answers there"):
        export_mlflow(write(), content, "http://127.0.0.1:1")


def test_a_file_that_is_no_database_is_one_line(
    write: Callable[..., Store], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.db").write_text("not a database at all, whatever its name says")
    with pytest.raises(BackendFailed, match=r"--tracking-uri sqlite:///.*x\.db: file is not a database: expected"):
        export_mlflow(write(), run_content(load_run(write(), SMALL.run)), f"sqlite:///{tmp_path}/x.db")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("address", ["", "nope", "sqlite:///", "sqlite:////proc/x.db"])
def test_an_address_that_can_not_be_one_is_refused_before_mlflow_is_asked(
    write: Callable[..., Store], address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadStudy, match=f"--tracking-uri '{address}': "):
        export_mlflow(write(), run_content(load_run(write(), SMALL.run)), address)
    assert not (tmp_path / "mlruns").exists()


def test_a_database_that_can_not_be_opened_is_given_up_in_seconds(
    write: Callable[..., Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    with pytest.raises(BackendFailed, match=r"--tracking-uri sqlite:///file:.*: unable to open database file: "):
        export_mlflow(
            write(), run_content(load_run(write(), SMALL.run)), "sqlite:///file:nowhere/x.db?mode=ro&uri=true"
        )
    assert time.monotonic() - began < 30
