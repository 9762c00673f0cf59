"""From flags to a plan: what would fail in every fold of a trial fails here, whatever the search varies."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rustk.cli.app import app
from rustk.cli.planning import PlanFlags, Planned, plan_from
from rustk.store import Store, open_store
from rustk.store.documents import WeightsEntry
from rustk.store.weights import put_weights
from rustk.vocabulary.errors import BadStudy, RustkError
from tests.training.small_runs import DATASET, make_dataset

HEAD = "name: mine\nmodel: {architecture: lenet, weights: random, trainable: true, head: [8]}\nfolds: {k: 3}\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    opened = open_store(str(tmp_path_factory.mktemp("store")))
    make_dataset(opened, shape=(40, 40))
    put_weights(
        opened,
        WeightsEntry(name="of-one", architecture="resnet50", file="f.h5", suffix=".h5", bytes=1, sha256="0" * 64),
        b"w",
    )
    return opened


def planned(store: Store, folder: Path, search: str, *overrides: str) -> Planned:
    path = folder / "mine.yaml"
    path.write_text(f"{HEAD}search: {{{search}}}\n")
    return plan_from(PlanFlags(str(path), DATASET, list(overrides), None, None), store)


def test_what_the_dataset_does_not_allow_names_the_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match=r"mine\.yaml with --set: folds\.k = 900: "):
        planned(store, tmp_path, "kind: grid, parameters: {training.epsilon: [1e-7, 1e-6]}", "folds.k=900")


@pytest.mark.parametrize(
    ("search", "overrides", "said"),
    [
        (
            "kind: grid, parameters: {model.architecture: [lenet, resnet50]}",
            ["model.weights=of-one"],
            "model.weights = 'of-one': there are no weights for lenet",
        ),
        (
            "kind: grid, parameters: {model.architecture: [resnet50, densenet121]}",
            ["model.weights=of-one", "model.trainable=false"],
            "search.parameters.model.architecture: the weights of-one are of resnet50, the study's model.architecture "
            "is densenet121: choose other weights",
        ),
        (
            "kind: sobol, trials: 4, parameters: {model.architecture: {values: [lenet, inception_v3]}}",
            [],
            "search.parameters.model.architecture: model.architecture = inception_v3: inception_v3 needs images of at "
            "least 75x75: the dataset's are 40x40",
        ),
        (
            "kind: grid, parameters: {model.architecture: [lenet, 'no_such_module:function']}",
            ["model.weights=calibrated-random", "model.trainable=false"],
            "model.weights = calibrated-random: ",
        ),
    ],
)
def test_a_searched_backbone_that_can_not_be_is_refused(
    store: Store, tmp_path: Path, search: str, overrides: list[str], said: str
) -> None:
    with pytest.raises(BadStudy) as caught:
        planned(store, tmp_path, search, *overrides)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_a_backbone_that_is_the_only_one_searched_do(store: Store, tmp_path: Path) -> None:
    search = "kind: grid, parameters: {model.architecture: [resnet50], training.epsilon: [1, 2]}"
    plan = planned(store, tmp_path, search, "model.weights=of-one").plan
    assert plan.weights_sha256 == "0" * 64
    assert plan.hyperparameters_of(1)["architecture"] == "resnet50"


def test_pooling_of_a_map_with_one_place_has_no_effect(store: Store, tmp_path: Path) -> None:
    search = "kind: grid, parameters: {model.pooling: [max, flatten], model.architecture: [densenet121]}"
    with pytest.raises(BadStudy, match=r"search\.parameters\.model\.pooling: it has no effect: of images of 40x40"):
        planned(store, tmp_path, search)


def test_plan_says_what_is_searched_in_words(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"{HEAD}search: {{kind: tpe, trials: 20, parameters: {{model.head: {{values: [[8], [16, 8]]}}, "
        "training.flips: {values: [[], [vertical]]}, training.learning_rate: {low: 1e-4, high: 1e-2, log: true}}}\n"
    )
    url = str(store.url)
    done = CliRunner().invoke(app, ["plan", str(tmp_path / "mine.yaml"), "--store", url, "--dataset", DATASET])
    assert done.exit_code == 0, done.output
    assert "head, flips, learning_rate" in done.output
    assert "20 trials" in done.output


def test_a_search_that_learns_needs_optuna_at_planning(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RustkError, match=r"install rustk\[search\]"):
        planned(store, tmp_path, "kind: tpe, trials: 8, parameters: {training.epsilon: {low: 1, high: 2}}")


def test_a_module_that_is_not_here_is_warned_of(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be in the image of a cluster's workers alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(HEAD)
    own = ("--set", "model.architecture=no_such_module:build", "--store", store.url, "--dataset", DATASET)
    result = CliRunner().invoke(app, ["plan", "mine.yaml", *own])
    assert result.exit_code == 0
    assert "warning: model.architecture = no_such_module:build: there is no module no_such_module here" in result.stderr
    assert "warning" not in CliRunner().invoke(app, ["plan", "mine.yaml", *own[2:]]).stderr
