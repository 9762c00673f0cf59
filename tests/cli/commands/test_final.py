"""`rustk final` and `rustk predict`: what is about to be tested is shown and asked for, and what is said of images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rustk.store import Store, open_store
from rustk.store.seal import list_openings
from rustk.training.fold import run_fold
from rustk.training.run_worker import RunWorker
from rustk.vocabulary.errors import BadData, BadStudy
from tests.cli.commands.conftest import Rustk
from tests.instruments import ODD
from tests.training.small_runs import DATASET, make_dataset, plan_run

pytestmark = pytest.mark.tensorflow

GRID = {"kind": "grid", "parameters": {"training.learning_rate": [1e-5, 1e-2]}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two runs of one study, all folds of the first of them done, on square images of three views."""
    store = open_store(str(tmp_path_factory.mktemp("finished")))
    make_dataset(store, ODD, shape=(24, 24))
    worker = RunWorker(store, plan_run(store, "done", search=GRID))
    for task in worker.plan.tasks:
        run_fold(worker, *task)
    plan_run(store, "smoke", training={"epochs": 1})
    return store


@pytest.fixture
def filled(finished: Store, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    for entry in finished.list(""):
        store.write(entry.key, finished.read(entry.key))
    # Where the worker finds the tests' own backbone.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "training"))
    return store


def test_the_model_is_shown_and_the_seal_stays_shut_until_somebody_says_yes(
    filled: Store, rustk: Rustk, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = rustk("final", "small", "--yes")
    assert "the study small has 2 runs" in str(several.exception)
    refused = rustk("final", "done")
    assert isinstance(refused.exception, BadStudy)
    assert "there is no terminal to ask on: say --yes" in str(refused.exception)
    assert "final model of run done (study small), to be tested on the sealed split of tiny" in refused.output
    assert "of 2 trials, counted from 0: learning_rate" in refused.output
    assert "val_auroc 0." in refused.output
    assert "view-only floor 0." in refused.output
    assert "has not been looked at" in refused.output
    monkeypatch.setattr("rustk.cli.commands.final._on_terminal", lambda: True)
    no = rustk("final", "done", input="n\n")
    assert "the seal was not opened, and nothing was trained" in str(no.exception)
    flag = rustk("final", "done", "--yes", "--image", "x@sha256:0")
    assert "--image does not apply to the backend local" in str(flag.exception)
    assert list_openings(filled, DATASET) == []


def test_a_final_model_is_tested_once_and_scores_images(filled: Store, rustk: Rustk, tmp_path: Path) -> None:
    made = rustk("final", "done", "--trial", "1", "--epochs", "2", "--yes")
    assert made.exit_code == 0, made.output + str(made.exception)
    assert "The test split was opened once, last by run done" in made.output
    again = rustk("final", "done", "--trial", "1", "--epochs", "2", "--json")
    assert json.loads(again.stdout)["card"]["instrument"]["name"] == "odd", "it is not asked again for what is there"
    other = rustk("final", "done", "--epochs", "1", "--yes")
    assert "--again" in str(other.exception)
    assert len(list_openings(filled, DATASET)) == 1

    pixels = np.random.default_rng(0).integers(0, 256, (90, 70), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    printed = rustk("predict", "a.png", "a.png", "--run", "done", "--view", "a", "--view", "c")
    assert printed.exit_code == 0, printed.output + str(printed.exception)
    assert "a.png: c view" in printed.output
    assert "odd total " in printed.output
    assert "only the places that its view shows" in printed.output
    assert "On the 4 images of tiny's sealed test split it scored:" in printed.output
    one: dict[str, Any] = json.loads(rustk("predict", "a.png", "--run", "done", "--view", "b", "--json").stdout)
    assert list(one["images"][0]["sites"]) == ["rim", "core"]
    assert set(one["images"][0]["sites"]["core"]["probabilities"]) == {"1", "2", "3", "5"}
    assert one["total"] is None
    assert one["test"]["images"] == 4

    (tmp_path / "notes.png").write_text("no picture")
    assert isinstance(rustk("predict", "notes.png", "--run", "done").exception, BadData)
    view = rustk("predict", "a.png", "--run", "done", "--view", "d")
    assert "--view 'd': expected one of a, b, c" in str(view.exception)
    assert "has no final model: make one with `rustk final smoke`" in str(
        rustk("predict", "a.png", "--run", "smoke").exception
    )
