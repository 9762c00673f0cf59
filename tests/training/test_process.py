"""The worker as a process: its protocol, its exit codes, and what signals and crashes leave behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rustk.store import Store, open_store
from rustk.training import __main__ as program
from rustk.training.__main__ import _tell_in_one_line, main
from rustk.training.fold import run_fold
from rustk.training.run_worker import RunWorker
from rustk.vocabulary import names
from tests.training.small_runs import make_dataset, plan_run, read_history

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = open_store(str(tmp_path_factory.mktemp("store")))
    make_dataset(store)
    return store


@contextmanager
def started(store: Store, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A worker process, gone when the block is left."""
    with subprocess.Popen(
        [sys.executable, "-m", "rustk.training", *arguments, "--store", store.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests' own backbone is imported from.
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def send(process: subprocess.Popen[str], trial: int, fold: int) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"trial": trial, "fold": fold}) + "\n")
    process.stdin.flush()


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def until(process: subprocess.Popen[str], *kinds: str) -> dict[str, Any]:
    return next(event for event in events(process) if event["event"] in kinds)


def test_a_worker_serves_folds_goes_on_after_failures_and_survives_a_kill(store: Store) -> None:
    changes: dict[str, Any] = {"model": {"trainable": True}, "training": {"epochs": 30}}
    run, undisturbed = plan_run(store, "served", **changes), plan_run(store, "undisturbed", **changes)
    with started(store, "serve", "--run", run) as process:
        assert until(process, "ready") == {"event": "ready"}
        send(process, 9, 0)
        failed = until(process, "done", "failed")
        assert (failed["event"], failed["trial"], failed["exit_code"]) == ("failed", 9, 78)
        assert "has no trial 9" in failed["message"]
        assert json.loads(store.read(names.failure_key(run, 9, 0)))["exit_code"] == 78
        send(process, 0, 0)
        done = until(process, "done", "failed")
        assert done == {"event": "done", "trial": 0, "fold": 0, "outcome": "completed", "diverged_epoch": None}
        send(process, 0, 1)
        assert until(process, "epoch")["epoch"] == 1
        # As by the kernel, when memory runs out.
        process.kill()
    assert not store.exists(names.history_key(run, 0, 1))
    assert store.exists(names.checkpoint_key(run, 0, 1))

    with started(store, "serve", "--run", run) as process:
        send(process, 0, 1)
        assert until(process, "epoch")["epoch"] > 1
        until(process, "done")
        send(process, 0, 2)
        until(process, "epoch")
        # The controller is gone: a worker goes too, in the middle of a fold.
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
    assert not store.exists(names.history_key(run, 0, 2))

    run_fold(RunWorker(store, undisturbed), 0, 1)
    resumed, resumed_metadata = read_history(store, run, 0, 1)
    assert resumed == read_history(store, undisturbed, 0, 1)[0]
    # The first fold of a process is charged with its start.
    assert resumed_metadata.phases_seconds["start"] > 1


def test_folds_are_trained_in_turn_and_sigterm_ends_one_at_once_and_never_with_success(store: Store) -> None:
    # The first of a step an epoch, the second of fifteen.
    grid = {"kind": "grid", "parameters": {"training.batch_size": [1, 100]}}
    run = plan_run(store, "terminated", training={"epochs": 150}, search=grid)
    with started(store, "fold", "--run", run, "--task", "1/1", "--task", "0/0") as process:
        assert process.stdout is not None
        assert "done trial=1 fold=1 outcome=completed\n" in process.stdout
        assert any(line.startswith("epoch") for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1].startswith("rustk: stopped by SIGTERM")
    assert store.exists(names.history_key(run, 1, 1))
    assert not store.exists(names.history_key(run, 0, 0))


def test_corrupt_data_ends_a_fold_for_good_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = open_store(str(tmp_path / "damaged"))
    make_dataset(damaged)
    run = plan_run(damaged, "damaged")
    shard = names.dataset_shard_key("tiny", "develop-00001-of-00003.tfrecord")
    data = bytearray(damaged.read(shard))
    data[len(data) // 2] ^= 1
    damaged.write(shard, bytes(data))
    # In this process, which keeps its signals: to start another one takes seconds.
    monkeypatch.setattr(program, "_exit_on_sigterm", lambda: None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    assert main(["fold", "--store", damaged.url, "--run", run, "--task", "0/0"]) == 65
    errors = capfd.readouterr().err
    assert "develop-00001-of-00003.tfrecord, record" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    left = json.loads(damaged.read(names.failure_key(run, 0, 0)))
    assert (left["exit_code"], left["trial"], left["fold"]) == (65, 0, 0)
    assert errors.splitlines()[-1] == f"rustk: {left['message']}"


def test_a_done_fold_and_a_missing_tensorflow_are_told_without_importing_it(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    run = plan_run(store, "short")
    store.write(names.history_key(run, 0, 0), b"as another worker left it")
    code = (
        "import sys; from rustk.training.__main__ import main; "
        f"code = main(['fold', '--store', {store.url!r}, '--run', {run!r}, '--task', '0/' + sys.argv[1]]); "
        "print('tensorflow' in sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, "0"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "False"), done.stderr
    without = code.replace("import sys; ", "import sys; sys.modules['tensorflow'] = None; ")
    refused = subprocess.run([sys.executable, "-c", without, "1"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("rustk: TensorFlow is not installed: install rustk[train]")


def test_an_error_that_nobody_foresaw_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("shapes\n  do not match")
    except ValueError as error:
        _tell_in_one_line(type(error), error, error.__traceback__)
    written = capsys.readouterr().err.splitlines()
    assert written[0].startswith("Traceback")
    assert written[-1] == "rustk: ValueError: shapes do not match"


def test_arguments_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fold", "--store", "x", "--run", "r", "--task", "one"])
    assert caught.value.code == 2
    assert "'one': expected TRIAL/FOLD, as in 7/3" in capsys.readouterr().err
