"""`rustk final` and `rustk predict`: what is about to be tested is shown and asked for, and what is said of images."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rustk.backends.local import running
from rustk.store import Store, open_store
from rustk.store.seal import list_openings
from rustk.training import __main__ as program
from rustk.training.final import train_final
from rustk.training.fold import run_fold
from rustk.training.run_worker import RunWorker
from rustk.vocabulary.errors import BadData, BadStudy
from tests.cli.commands.conftest import Rustk
from tests.instruments import ODD
from tests.training.small_runs import DATASET, make_dataset, plan_run

pytestmark = pytest.mark.tensorflow

# By which the two trials of a random search differ in everything that it draws.
SEARCHED_SEED = 109
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
    assert "there is no terminal to ask on: add --yes" in str(refused.exception)
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


def train_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's program for the commands that follow, which takes seconds to start in a process of its own."""

    def train(arguments: list[str], environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
        assert program.main(arguments) == 0

    # This process keeps its signals.
    monkeypatch.setattr(program, "_exit_on_sigterm", lambda: None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(running, "_train_here", train)


def test_a_final_model_is_tested_once_and_scores_images(
    filled: Store, rustk: Rustk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rustk("final", "done", "--trial", "1", "--epochs", "2", "--yes")
    assert made.exit_code == 0, made.output + str(made.exception)
    assert "The test split was opened once, last by run done" in made.output
    again = rustk("final", "done", "--trial", "1", "--epochs", "2", "--json")
    assert json.loads(again.stdout)["card"]["instrument"]["name"] == "odd", "it is not asked again for what is there"
    other = rustk("final", "done", "--epochs", "1", "--yes")
    assert "--again" in str(other.exception)
    assert len(list_openings(filled, DATASET)) == 1

    visit = tmp_path / "visit"
    visit.mkdir()
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (90, 70 + seed), np.uint8)
        Image.fromarray(pixels).save((tmp_path if name == "a.png" else visit) / name)
    printed = rustk("predict", "a.png", "visit", "--run", "done", "--view", "a", "--view", "c", "--view", "b")
    assert printed.exit_code == 0, printed.output + str(printed.exception)
    assert "b.png: c view" in printed.output
    assert "the visit, a mean over the images that show the same" in printed.output
    assert re.search(r"odd total \d+; 95 % interval \d+ to \d+, expected \d", printed.output)
    assert "as if the places were independent" in printed.output
    assert "probability of sound (odd total at least 4): " in printed.output
    assert "only the places that its view shows" in printed.output
    assert "On the 4 images of tiny's sealed test split it scored:" in printed.output
    one: dict[str, Any] = json.loads(rustk("predict", "a.png", "--run", "done", "--view", "b", "--json").stdout)
    assert list(one["images"][0]["sites"]) == ["rim", "core"]
    assert set(one["images"][0]["sites"]["core"]["probabilities"]) == {"1", "2", "3", "5"}
    assert one["total"] is None
    assert one["test"]["images"] == 4

    (tmp_path / "labels.csv").write_text("image,view\na.png,a\nvisit/b.png,c\nvisit/c.png,b\n")
    explained = rustk(
        "predict", "a.png", "visit", "--run", "done", "--labels", "labels.csv", "--explain", "maps", "--json"
    )
    assert explained.exit_code == 0, explained.output + str(explained.exception)
    said: dict[str, Any] = json.loads(explained.stdout)
    assert [image["view"] for image in said["images"]] == ["a", "c", "b"]
    assert said["sites"]["core"]["images"] == ["visit/b.png", "visit/c.png"]
    means = [image["sites"]["core"]["probabilities"]["5"] for image in said["images"][1:]]
    assert said["sites"]["core"]["probabilities"]["5"] == pytest.approx(np.mean(means))
    assert said["total"] == sum(site["score"] for site in said["sites"].values())
    assert said["total_interval"][0] <= said["total_expected"] <= said["total_interval"][1]
    assert sum(said["total_probabilities"].values()) == pytest.approx(1)
    assert set(said["images"][0]["sites"]["rim"]) == {"score", "probabilities", "agreement_with_shuffled_scores"}
    for image in said["images"]:
        with Image.open(image["heat_maps"]) as picture:
            assert picture.format == "PNG"

    # However long an image's name is, its heat maps have one.
    (tmp_path / "long").mkdir()
    Image.fromarray(pixels).save(tmp_path / "long" / f"{'n' * 245}.png")
    long = rustk("predict", "long", "--run", "done", "--explain", "maps-of-long")
    assert long.exit_code == 0, long.output + str(long.exception)
    assert [path.name for path in (tmp_path / "maps-of-long").iterdir()] == [f"01-{'n' * 200}-heat-maps.png"]

    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "notes.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for arguments, message in {
        ("notes.png",): "notes.png: neither DICOM nor PNG nor JPEG: expected a radiograph",
        ("empty",): "empty: an empty folder",
        ("a.png", "a.png"): "a.png: the same file as a.png: give each image once",
        ("a.png", "--view", "d"): "--view 'd': expected one of a, b, c",
        ("visit", "--view", "a"): "--view: given once: expected once for each of 2 images",
        ("a.png", "--view", "a", "--labels", "labels.csv"): "leave one of them out",
        ("a.png", "--mapping", "m.yaml"): "--mapping m.yaml: there is no table for it: give --labels too",
        ("notes.png", "--labels", "labels.csv"): "notes.png: neither",
        ("visit", "--labels", "notes.png"): "notes.png: the first line is the single cell",
        ("visit", "--explain", "visit/maps"): "--explain visit/maps: within the folder of the images",
        ("a.png", "--explain", "maps"): "--explain maps: 01-a-heat-maps.png is there already",
        ("visit", "--explain", "a.png"): "--explain a.png: is a file: expected a folder",
        ("visit", "--explain", "gone"): "--explain gone: is a link that leads nowhere: expected a folder",
        ("visit", "--explain", "circle"): "--explain circle: a link that leads back to itself",
        ("visit", "--explain", "x" * 300): "ile name too long",
        ("visit", "--explain", "/dev/null"): "--explain /dev/null: is a device, a pipe or a socket: expected a folder",
        ("visit", "--explain", "store/maps"): "--explain store/maps: lies in the store",
        ("visit/b.png", "--explain", "visit"): "--explain visit: within the folder of the images",
        ("visit", "--view", "a,c"): "--view 'a,c': expected one view: give the option once for each image, as --view a",
    }.items():
        refused = rustk("predict", *arguments, "--run", "done")
        assert isinstance(refused.exception, BadData | BadStudy), arguments
        assert message in str(refused.exception)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left behind by what is refused"

    # Pictures of patients reach a report only where both commands are told so.
    assert "make them with `rustk final done --with-images`" in str(
        rustk("aggregate", "done", "--with-images").exception
    )
    train_in_this_process(monkeypatch)
    pictured = rustk("final", "done", "--trial", "1", "--epochs", "2", "--with-images")
    assert pictured.exit_code == 0, pictured.output + str(pictured.exception)
    assert len(list_openings(filled, DATASET)) == 1
    for flags, shown in (((), False), (("--with-images",), True)):
        made = rustk("aggregate", "done", *flags, "--output", "report")
        assert made.exit_code == 0, made.output + str(made.exception)
        page = (tmp_path / "report" / "index.html").read_text()
        assert ("data:image/png;base64," in page) == shown
        assert ("Examples of the sealed test" in page) == shown
        assert ("shows images of patients" in page) == shown
    assert page.count('alt="Radiograph ') == page.count("data:image/png;base64,") >= 1
    assert "has no final model: make one with `rustk final smoke`" in str(
        rustk("predict", "a.png", "--run", "smoke").exception
    )


def test_a_run_that_searched_its_backbone_and_objective_is_tested_and_asked_as_any_other(
    filled: Store, rustk: Rustk
) -> None:
    """The final model is of the chosen trial's backbone, objective, head and pooling, fine-tuned as the study says."""
    parameters = {
        "model.architecture": {"values": ["small_networks:small_backbone", "small_networks:other_backbone"]},
        "model.pooling": {"values": ["max", "flatten"]},
        "model.head": {"values": [[], [6, 4]]},
        "model.objective": {"values": ["masked", "corn"]},
        "training.flips": {"values": [[], ["vertical"]]},
    }
    run = plan_run(
        filled,
        "searched",
        model={"trainable": 1, "dropout": 0.0},
        training={"epochs": 2, "features": "off", "head_epochs": 1, "backbone_rate": 0.1},
        folds={"k": 2},
        search={"kind": "random", "trials": 2, "parameters": parameters},
        seed=SEARCHED_SEED,
    )
    worker = RunWorker(filled, run)
    for task in worker.plan.tasks:
        run_fold(worker, *task)
    trials = worker.plan.trials
    assert all(trials[0][name] != trials[1][name] for name in ("architecture", "objective", "head", "pooling", "flips"))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70), np.uint8)).save("a.png")
    # As the container of `rustk final` does it.
    card = train_final(filled, run, trial=1, epochs=2, with_images=True)
    for name in ("architecture", "objective", "head", "pooling", "flips"):
        assert card.in_effect[name] == card.hyperparameters[name] == trials[1][name], name
    assert card.in_effect["head_epochs"] == 1
    said = rustk("predict", "a.png", "--run", run, "--view", "b", "--explain", "maps", "--json")
    assert said.exit_code == 0, said.output + str(said.exception)
    (image,) = json.loads(said.stdout)["images"]
    assert sum(image["sites"]["core"]["probabilities"].values()) == pytest.approx(1)
    assert image["sites"]["core"]["agreement_with_shuffled_scores"] is None
    pictured = rustk("aggregate", run, "--with-images", "--output", "report")
    assert pictured.exit_code == 0, pictured.output + str(pictured.exception)
    assert "has no map of shuffled scores" in Path("report", "index.html").read_text()
