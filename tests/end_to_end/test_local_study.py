"""The main job on one machine, and what it survives: kills of its workers and of itself, and being started again.

One run is disturbed in every way in turn; an undisturbed one, trained in this process, is what it must come out as.
"""

import json
import signal
import subprocess
import time
from typing import Any

import psutil
import pytest

from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run
from rustk.store import Store
from rustk.store.runs import publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.parquet import encode_parquet, read_metadata_bytes, read_parquet, with_metadata
from tests.end_to_end.conftest import Laptop

pytestmark = pytest.mark.tensorflow

FOLDS = 8
# LeNet, which can be checked without TensorFlow: a backbone of the user's own makes every submit import it.
STUDY: dict[str, Any] = {
    "name": "small-search",
    "model": {"architecture": "lenet", "weights": "random", "head": [16], "dropout": 0.2},
    "training": {"epochs": 60, "batch_size": 8},
    "folds": {"scheme": "patient", "k": 2},
    "search": {
        "kind": "grid",
        "parameters": {"training.learning_rate": [1e-2, 1e-4], "training.epsilon": [1e-1, 1e-7]},
    },
}


@pytest.fixture(scope="module")
def study(laptop: Laptop) -> Laptop:
    laptop("phantom", "--images", "60", "--size", "32", "--seed", "1", "--processes", "1")
    laptop.write_yaml("study.yaml", STUDY)
    return laptop


@pytest.fixture(scope="module")
def undisturbed(study: Laptop) -> str:
    """The averages of the whole study, run in one go."""
    from rustk.cli.planning import PlanFlags, plan_from
    from rustk.training.fold import run_fold
    from rustk.training.run_worker import RunWorker

    flags = PlanFlags(str(study.folder / "study.yaml"), "phantom", [], "undisturbed", None)
    publish_plan(study.store, plan_from(flags, study.store).plan)
    worker = RunWorker(study.store, "undisturbed")
    for task in worker.plan.tasks:
        run_fold(worker, *task)
    return averages(study.store, "undisturbed")


def averages(store: Store, run: str) -> str:
    """What every table of a complete run is made from, to the last digit."""
    averaged = aggregate(load_run(store, run))
    return averaged.trials.to_csv(index=False) + averaged.epochs.to_csv(index=False)


def done_at(store: Store, run: str) -> dict[str, Any]:
    """When each history was written, by its key."""
    return {entry.key: entry.modified for entry in store.list(names.histories_prefix(run))}


def disturb(study: Laptop, run: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Submit a run, and wait until it has trained one more fold: its process, and those of its workers.

    One worker, for each takes seconds to load TensorFlow; tests/backends/local has pools of several.
    """
    before = len(done_at(study.store, run))
    process = study.start("submit", "study.yaml", "--name", run, "--workers", "1")
    deadline = time.monotonic() + 200
    while len(done_at(study.store, run)) == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no history in time"
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    return process, [child for child in children if "rustk.training" in child.cmdline()]


def test_a_run_that_is_killed_in_every_way_comes_out_as_if_nothing_had_happened(
    study: Laptop, undisturbed: str
) -> None:
    done: dict[str, Any] = {}
    for kill in (signal.SIGKILL, signal.SIGTERM):
        process, workers = disturb(study, "killed")
        process.send_signal(kill)
        output, errors = process.communicate(timeout=60)
        if kill == signal.SIGKILL:
            assert process.returncode == -kill
        else:
            assert process.returncode == 128 + kill
            assert "folds are done; submit again to finish the rest" in errors
            assert "Traceback" not in output + errors
        _, left = psutil.wait_procs(workers, timeout=30)
        assert left == [], "a worker outlived its controller"
        found = done_at(study.store, "killed")
        assert len(done) < len(found) < FOLDS, "the run was over before it could be disturbed"
        assert {key: found[key] for key in done} == done, "what was done was trained again"
        done = found

    process, workers = disturb(study, "killed")
    # The controller notices, tries the fold again, and finishes by itself.
    workers[0].kill()
    output, errors = process.communicate(timeout=250)
    assert process.returncode == 0, errors
    assert "is tried again: worker was killed by signal 9" in output
    after = done_at(study.store, "killed")
    assert len(after) == FOLDS
    assert {key: after[key] for key in done} == done, "what was done was trained again"
    assert averages(study.store, "killed") == undisturbed

    # Nor is a finished run trained again.
    assert f"{FOLDS} of {FOLDS} folds were done already" in study("submit", "study.yaml", "--name", "killed")
    assert done_at(study.store, "killed") == after


def test_an_unfinished_run_is_not_averaged_in_silence(study: Laptop, undisturbed: str) -> None:
    store = study.store
    missing = names.history_key("undisturbed", 2, 1)
    for entry in store.list(names.run_prefix("undisturbed")):
        if entry.key != missing:
            data = store.read(entry.key)
            if entry.key.startswith(names.histories_prefix("undisturbed")):  # each says of which run it is
                table = read_parquet(data, entry.key)
                said = {**json.loads(read_metadata_bytes(table.schema)), "run": "partial"}
                data = encode_parquet(table.cast(with_metadata(table.schema, json.dumps(said).encode())))
            store.write(entry.key.replace("runs/undisturbed/", "runs/partial/"), data)
    described = json.loads(store.read(names.run_study_key("partial")))
    store.write(names.run_study_key("partial"), json.dumps({**described, "run": "partial"}).encode())
    process = study.start("aggregate", "partial")
    output, errors = process.communicate(timeout=100)
    assert (process.returncode, output) == (65, ""), errors
    *said, reason = errors.splitlines()  # what it reads, where that takes a second, then why it stops
    assert all(line.startswith("reading partial") for line in said)
    assert reason.startswith(f"rustk: run partial lacks 1 of {FOLDS} folds (trial 2: fold 1): ")
    assert "--allow-partial" in reason
