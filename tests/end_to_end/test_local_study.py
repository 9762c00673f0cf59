"""The main job on one machine, by the command line alone: data, study, kills, resumption, tables.

The backbone is a small one of the user's own, so that the whole takes a minute; everything else is what users run.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from rustk.report.aggregate import aggregate
from rustk.report.results import load_run

from rustk.store import Store, open_store

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]

STUDY = """
name: small-search
model: {architecture: "small_networks:small_backbone", weights: random, head: [16], dropout: 0.2}
training: {epochs: 40, batch_size: 16}
folds: {scheme: patient, k: 3}
search:
  kind: grid
  parameters:
    training.learning_rate: [1e-2, 1e-4]
    training.epsilon: [1e-1, 1e-7]
"""


class Laptop:
    """A working directory with a study, and the command."""

    def __init__(self, directory: Path, store: str) -> None:
        self.directory = directory
        self.store = open_store(store)
        self.environment = {
            **os.environ,
            "RUSTK_STORE": store,
            "RUSTK_LOCAL__WORKERS": "2",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "training")]),
        }
        (directory / "study.yaml").write_text(STUDY)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "rustk", *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, expect: int = 0) -> str:
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=250)
        assert process.returncode == expect, output + errors
        return output + errors


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    directory = tmp_path_factory.mktemp("laptop")
    laptop = Laptop(directory, str(directory / "store"))
    laptop.run("phantom", "--images", "60", "--size", "64", "--seed", "1")
    return laptop


@pytest.fixture(scope="module")
def undisturbed(laptop: Laptop) -> str:
    """The averages of the whole study, run in one go."""
    output = laptop.run("submit", "study.yaml", "--name", "undisturbed")
    assert "12 of 12 folds done" in output
    return _averages(laptop.store, "undisturbed")


def test_a_finished_run_is_not_trained_again(laptop: Laptop, undisturbed: str) -> None:
    store = laptop.store
    before = store.list("runs/undisturbed/histories/")
    assert "12 of 12 folds were done already" in laptop.run("submit", "study.yaml", "--name", "undisturbed")
    assert store.list("runs/undisturbed/histories/") == before


@pytest.mark.parametrize("victim", ["worker", "controller", "terminate"])
def test_a_killed_run_is_finished_by_submitting_again(laptop: Laptop, undisturbed: str, victim: str) -> None:
    run = f"killed-{victim}"
    store = laptop.store
    process = laptop.start("submit", "study.yaml", "--name", run)
    _wait_for_histories(store, run, 1)
    workers = _workers_of(process.pid, run)
    if victim == "worker":
        # The controller notices, tries the fold again, and finishes by itself.
        workers[0].kill()
        output, errors = process.communicate(timeout=250)
        assert process.returncode == 0, errors
        assert "is tried again: worker was killed by signal 9" in output
    else:
        process.send_signal(signal.SIGKILL if victim == "controller" else signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        assert process.returncode != 0
        if victim != "controller":
            assert "folds are done; submit again to finish the rest" in errors
            assert "Traceback" not in output + errors
        _, left = psutil.wait_procs(workers, timeout=30)
        assert left == []
    done = {entry.key: entry.modified for entry in store.list(f"runs/{run}/histories/")}
    if victim != "worker":
        assert 0 < len(done) < 12, "the run was over before it could be disturbed"
    laptop.run("submit", "study.yaml", "--name", run)
    after = {entry.key: entry.modified for entry in store.list(f"runs/{run}/histories/")}
    assert len(after) == 12
    assert {key: after[key] for key in done} == done  # what was done was not trained again
    assert _averages(store, run) == undisturbed


def test_an_unfinished_run_is_not_averaged_in_silence(laptop: Laptop, undisturbed: str) -> None:
    store = laptop.store
    for entry in store.list("runs/undisturbed/"):
        if "/report/" not in entry.key:
            store.write(entry.key.replace("runs/undisturbed/", "runs/partial/"), store.read(entry.key))
    store.delete("runs/partial/histories/trial=0002/fold=1.parquet")
    output = laptop.run("aggregate", "partial", expect=65)
    assert "fold 1" in output
    assert "--allow-partial" in output
    assert "Traceback" not in output


def _averages(store: Store, run: str) -> str:
    """What every table of a complete run is made from, to the last digit."""
    averaged = aggregate(load_run(store, run))
    return averaged.trials.to_csv(index=False) + averaged.epochs.to_csv(index=False)


def _wait_for_histories(store: Store, run: str, count: int) -> None:
    deadline = time.monotonic() + 200
    while len(store.list(f"runs/{run}/histories/")) < count:
        assert time.monotonic() < deadline, "no history in time"
        time.sleep(0.05)


def _workers_of(pid: int, run: str) -> list[psutil.Process]:
    children: Iterator[psutil.Process] = iter(psutil.Process(pid).children(recursive=True))
    return [child for child in children if "rustk.training" in child.cmdline()]


def test_a_final_model_is_tested_once_and_scores_images(laptop: Laptop, undisturbed: str) -> None:
    output = laptop.run("final", "undisturbed")
    assert "The test split was opened once, last by run undisturbed" in output
    assert "In-view AUROC" in output
    model = laptop.store.read("runs/undisturbed/model/model.keras")
    refused = laptop.run("final", "undisturbed", "--epochs", "2", expect=78)
    assert refused.startswith("rustk: the test split of dataset phantom was opened once")
    assert "--again" in refused
    assert laptop.store.read("runs/undisturbed/model/model.keras") == model
    laptop.run("final", "undisturbed", "--epochs", "2", "--again", "a reviewer asked")
    laptop.run("aggregate", "undisturbed")
    page = laptop.store.read("runs/undisturbed/report/index.html").decode()
    assert "The test split was opened 2 times" in page
    assert "a reviewer asked" in page

    image = laptop.directory / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70), np.uint8)).save(image)
    printed = laptop.run("predict", str(image), str(image), "--view", "ap", "--view", "lateral", "--run", "undisturbed")
    assert "RUST total" in printed
    assert "not for clinical use" in printed
    (laptop.directory / "notes.png").write_text("no picture")
    refused = laptop.run("predict", "notes.png", "--run", "undisturbed", expect=65)
    assert "rustk: notes.png: neither DICOM nor PNG nor JPEG" in refused
