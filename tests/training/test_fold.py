"""A fold from the store to the store: the same alone, in any order, cached or not, and after a crash."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rustk.datasets.reading import encode_labels
from rustk.metrics.thresholded import epoch_metrics
from rustk.report.data.redone import compare_redone, last_number
from rustk.store import Store, open_store
from rustk.store.datasets import read_dataset, read_index
from rustk.store.documents import encode_document
from rustk.training.fold import run_fold, train_again
from rustk.training.run_worker import RunWorker
from rustk.training.seeds import derive_seed
from rustk.training.weights import add_weights
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.parquet import read_parquet
from rustk.vocabulary.schemas import HISTORY, predictions_schema
from tests.instruments import MRUST, ODD, SINGLE
from tests.training.plain_keras import fit_fold
from tests.training.small_networks import HEIGHT, WIDTH, small_backbone
from tests.training.small_runs import DATASET, DEVELOP, make_dataset, plan_run, read_history

pytestmark = pytest.mark.tensorflow

GRID = {"kind": "grid", "parameters": {"training.learning_rate": [3e-3, 1e-2]}}


@pytest.fixture(scope="module")
def module_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = open_store(str(tmp_path_factory.mktemp("store")))
    make_dataset(store)
    return store


@pytest.fixture
def store(module_store: Store, tmp_path: Path) -> Store:
    """The dataset alone, in a store of the test's own."""
    return copied(module_store, tmp_path, "datasets/")


def copied(store: Store, folder: Path, prefix: str = "") -> Store:
    copy = open_store(str(folder / "store"))
    for entry in store.list(prefix):
        copy.write(entry.key, store.read(entry.key))
    return copy


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[dict[str, Any]]]:
    """A store where one fold of the run r is trained, trial 1 fold 2, and what was said of it meanwhile."""
    store = open_store(str(tmp_path_factory.mktemp("trained")))
    make_dataset(store)
    events: list[dict[str, Any]] = []
    assert run_fold(RunWorker(store, plan_run(store, "r", search=GRID), events.append), 1, 2) == "completed"
    return store, events


def test_a_fold_leaves_predictions_and_a_history_that_says_what_was_in_effect(
    trained: tuple[Store, list[dict[str, Any]]],
) -> None:
    (store, events), run = trained, "r"
    validation = [f"s{number:02d}" for number in range(DEVELOP) if number % 3 == 2]

    table = read_parquet(store.read(names.history_key(run, 1, 2)), "it")
    assert table.schema.equals(HISTORY)
    assert table["epoch"].to_pylist() == [1, 2, 3]
    assert all(np.isfinite(table[name].to_numpy()).all() for name in table.column_names)
    predictions = read_parquet(store.read(names.prediction_key(run, 1, 2)), "it")
    assert predictions.schema.equals(predictions_schema(MRUST))
    assert predictions["sample_id"].to_pylist() == validation * 3
    assert predictions["epoch"].to_pylist() == [1] * 7 + [2] * 7 + [3] * 7

    _, metadata = read_history(store, run, 1, 2)
    assert (metadata.run, metadata.study, metadata.trial, metadata.fold) == (run, "small", 1, 2)
    assert (metadata.outcome, metadata.diverged_epoch) == ("completed", None)
    assert metadata.hyperparameters == {
        "learning_rate": 1e-2,
        "epsilon": 1e-7,
        "batch_size": 8,
        "dropout": 0.2,
        "epochs": 3,
    }
    in_effect = metadata.in_effect
    assert in_effect["learning_rate"] == pytest.approx(1e-2)
    assert (in_effect["batch_size"], in_effect["last_batch_size"], in_effect["steps_per_epoch"]) == (8, 8, 2)
    assert metadata.samples == {"train": 16, "validation": 7}
    assert metadata.digests["dataset"] == read_dataset(store, DATASET).digest
    assert metadata.features == "cached"
    phases = metadata.phases_seconds
    assert set(phases) == {"start", "read", "features", "build", "train", "validate", "metrics", "write"}
    assert phases.pop("start") == 0, "nobody said how long the process took"
    assert all(seconds > 0 for seconds in phases.values())

    kinds = [event["event"] for event in events]
    assert kinds[-4:] == ["epoch", "epoch", "epoch", "done"]
    assert events[-2] == {
        "event": "epoch",
        "trial": 1,
        "fold": 2,
        "epoch": 3,
        "epochs": 3,
        "val_auroc": table["val_auroc"][2].as_py(),
        "loss": table["loss"][2].as_py(),
    }
    assert [event["done"] for event in events if event["event"] == "features"][-1] == 3


def test_predictions_give_the_history_its_metrics(trained: tuple[Store, list[dict[str, Any]]]) -> None:
    store, _ = trained
    rows, _ = read_history(store, "r", 1, 2)
    table = read_parquet(store.read(names.prediction_key("r", 1, 2)), "it")
    labels = encode_labels(read_index(store, read_dataset(store, DATASET), "develop"), MRUST)[2::3]
    values = np.stack([table[label].to_numpy() for label in MRUST.labels], axis=1).reshape(3, *labels.shape)
    for row, probabilities in zip(rows, values, strict=True):
        loss = keras.losses.binary_crossentropy(labels, probabilities).numpy().mean()
        measured = {"loss": loss, **epoch_metrics(labels, probabilities)}
        assert {f"val_{name}": value for name, value in measured.items()} == pytest.approx(
            {name: value for name, value in row.items() if name.startswith("val_")}, rel=1e-5
        )


def test_alone_in_another_order_or_after_others_a_fold_is_bit_for_bit_the_same(store: Store) -> None:
    run, again = plan_run(store, "r", search=GRID), plan_run(store, "again", search=GRID)
    worker = RunWorker(store, run)
    for trial, fold in [(0, 0), (0, 1), (1, 1)]:  # on one network
        run_fold(worker, trial, fold)
    backwards = RunWorker(store, again)
    run_fold(backwards, 1, 1)
    run_fold(RunWorker(store, again), 0, 1)
    for trial, fold in [(1, 1), (0, 1)]:
        assert read_history(store, run, trial, fold)[0] == read_history(store, again, trial, fold)[0]
        assert store.read(names.prediction_key(run, trial, fold)) == store.read(
            names.prediction_key(again, trial, fold)
        )
    assert read_history(store, run, 0, 1)[0] != read_history(store, run, 0, 0)[0]
    reseeded = plan_run(store, "reseeded", search=GRID, seed=1)
    run_fold(RunWorker(store, reseeded), 0, 1)
    assert read_history(store, reseeded, 0, 1)[0] != read_history(store, run, 0, 1)[0]


def test_trials_of_other_backbones_and_heads_are_trained_in_one_process_as_alone(store: Store) -> None:
    """Each of six hyperparameters changes from trial to trial, and back, under one worker's features and networks."""
    small, other = "small_networks:small_backbone", "small_networks:other_backbone"
    search = {
        "kind": "random",
        "trials": 5,
        "parameters": {
            "model.architecture": {"values": [small, other]},
            "model.pooling": {"values": ["max", "flatten"]},
            "model.head": {"values": [[8], [6, 4]]},
            "model.objective": {"values": ["onehot", "masked"]},
            "training.flips": {"values": [[], ["vertical"], ["horizontal", "vertical"]]},
            "training.batch_size": {"low": 4, "high": 16, "type": "int", "log": True},
        },
    }
    changes: dict[str, Any] = {"search": search, "model": {"dropout": 0.0}, "training": {"epochs": 2}}
    together, alone = plan_run(store, "together", **changes), plan_run(store, "alone", **changes)
    worker = RunWorker(store, together)
    trials = worker.plan.trials
    searched = [path.rpartition(".")[2] for path in search["parameters"]]
    assert all(len({trial[name] for trial in trials}) > 1 for name in searched)
    features = {}
    for trial in range(5):
        run_fold(worker, trial, 1)
        rows, metadata = read_history(store, together, trial, 1)
        for name in searched:
            assert metadata.hyperparameters[name] == metadata.in_effect[name] == trials[trial][name], name
        made_by = (trials[trial]["architecture"], trials[trial]["pooling"])
        assert features.setdefault(made_by, metadata.digests["features"]) == metadata.digests["features"]
        if trial in (1, 4):
            run_fold(RunWorker(store, alone), trial, 1)
            assert read_history(store, alone, trial, 1)[0] == rows
    assert len(set(features.values())) == len(features) > 2


def test_a_fold_whose_history_is_in_place_is_not_trained_again(trained: tuple[Store, list[dict[str, Any]]]) -> None:
    store, _ = trained
    before = store.list("")
    events: list[dict[str, Any]] = []
    assert run_fold(RunWorker(store, "r", events.append), 1, 2) == "completed"
    assert store.list("") == before
    assert [event["event"] for event in events] == ["done"]


def test_cached_and_through_the_backbone_agree(trained: tuple[Store, list[dict[str, Any]]], tmp_path: Path) -> None:
    store = copied(trained[0], tmp_path)
    run_fold(RunWorker(store, plan_run(store, "off", search=GRID, training={"features": "off"})), 1, 2)
    cached, metadata = read_history(store, "r", 1, 2)
    off, other = read_history(store, "off", 1, 2)
    assert (metadata.features, other.features) == ("cached", "off")
    for row, other_row in zip(cached, off, strict=True):
        assert row == pytest.approx(other_row, abs=2e-6)


@pytest.mark.parametrize(
    ("instrument", "objective"),
    [(ODD, "onehot"), (SINGLE, "onehot"), (ODD, "masked"), (ODD, "soft"), (ODD, "corn")],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_instrument_and_objective_trains_cached_and_through_images_as_keras_does(
    instrument: Instrument, objective: str, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "store"))
    make_dataset(store, instrument)
    model = {"objective": objective, "dropout": 0.0}
    training = {"epsilon": 1e-3, "learning_rate": 1e-2}
    run_fold(RunWorker(store, plan_run(store, "cached", model=model, training=training)), 0, 1)
    run_fold(RunWorker(store, plan_run(store, "off", model=model, training={**training, "features": "off"})), 0, 1)
    cached, off = (read_history(store, run, 0, 1)[0] for run in ("cached", "off"))
    assert objective == "onehot" or cached[-1]["loss"] < cached[0]["loss"]
    for row, other in zip(cached, off, strict=True):
        assert row == pytest.approx(other, abs=2e-6)
    key = names.prediction_key("cached", 0, 1)
    table = read_parquet(store.read(key), key)
    assert table.schema.equals(predictions_schema(instrument))
    network = small_backbone((HEIGHT, WIDTH, 3), derive_seed("backbone", 0))
    expected = fit_fold(store, "cached", 1, network, lambda pixels: pixels / 127.5 - 1)
    assert [row["loss"] for row in cached] == pytest.approx(expected.losses, rel=1e-5)
    assert [row["val_loss"] for row in cached] == pytest.approx(expected.val_losses, rel=1e-5)
    predictions = np.stack([table[label].to_numpy() for label in instrument.labels], axis=1)
    np.testing.assert_allclose(predictions[-len(expected.predictions) :], expected.predictions, atol=2e-5)
    for columns in (slice(0, 3), *ODD.site_columns) if objective != "onehot" else ():
        np.testing.assert_allclose(predictions[:, columns].sum(axis=1), 1, atol=1e-5)


def test_divergence_is_an_outcome_and_no_failure(store: Store) -> None:
    # Adam's steps are of the size of the learning rate: seven layers of such weights are more than a float holds.
    run = plan_run(store, "r", training={"learning_rate": 1e6}, model={"head": (8,) * 7})
    events: list[dict[str, Any]] = []
    worker = RunWorker(store, run, events.append)
    assert run_fold(worker, 0, 0) == "diverged"
    rows, metadata = read_history(store, run, 0, 0)
    assert metadata.outcome == "diverged"
    assert metadata.diverged_epoch == len(rows) + 1 == events[-1]["diverged_epoch"]
    assert run_fold(RunWorker(store, run, events.append), 0, 0) == "diverged"
    assert events[-1]["diverged_epoch"] == metadata.diverged_epoch


class Crash(BaseException):
    """The process, as it were, is gone."""


def crash_after(epoch: int) -> Callable[[dict[str, Any]], None]:
    def report(event: dict[str, Any]) -> None:
        if event["event"] == "epoch" and event["epoch"] == epoch:
            raise Crash

    return report


WHOLE: dict[str, Any] = {"model": {"trainable": True, "pooling": "flatten"}}
FINE: dict[str, Any] = {
    "model": {"trainable": 1, "pooling": "flatten", "architecture": "lenet"},
    "training": {"head_epochs": 1, "backbone_rate": 0.1, "rotation_degrees": 20.0, "shift": 0.1, "contrast": 0.2},
}


@pytest.fixture(scope="module")
def whole(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store where the run undisturbed, which trains its whole backbone, has trained fold 1 alone."""
    store = copied(module_store, tmp_path_factory.mktemp("whole"), "datasets/")
    run_fold(RunWorker(store, plan_run(store, "undisturbed", **WHOLE)), 0, 1)
    return store


def assert_as_undisturbed(store: Store, run: str) -> None:
    assert read_history(store, run, 0, 1)[0] == read_history(store, "undisturbed", 0, 1)[0]
    assert store.read(names.prediction_key(run, 0, 1)) == store.read(names.prediction_key("undisturbed", 0, 1))


@pytest.mark.parametrize("changes", [WHOLE, FINE], ids=["whole", "fine"])
def test_a_fold_that_trains_its_backbone_resumes_where_it_was(
    whole: Store, changes: dict[str, Any], tmp_path: Path
) -> None:
    if changes is WHOLE:
        store = copied(whole, tmp_path)
    else:
        store = copied(whole, tmp_path, "datasets/")
        run_fold(RunWorker(store, plan_run(store, "undisturbed", **changes)), 0, 1)
    run = plan_run(store, "r", **changes)
    key = names.checkpoint_key(run, 0, 1)
    for epoch in (1, 2):
        with pytest.raises(Crash):
            run_fold(RunWorker(store, run, crash_after(epoch)), 0, 1)
        assert store.exists(key)
        assert not store.exists(names.history_key(run, 0, 1))
    events: list[dict[str, Any]] = []
    run_fold(RunWorker(store, run, events.append), 0, 1)
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == [3]
    assert not store.exists(key)
    assert_as_undisturbed(store, run)
    in_effect = read_history(store, run, 0, 1)[1].in_effect
    for name, value in changes.get("training", {}).items():
        assert in_effect[name] == pytest.approx(value), name


def test_fine_tuning_begins_on_cached_features_where_they_are_those_of_its_weights(
    store: Store, tmp_path: Path
) -> None:
    """The second fold of a process begins as one alone does, and cached as through images."""
    small_backbone((HEIGHT, WIDTH, 3), 5).save(tmp_path / "small.keras")
    add_weights(store, "small", tmp_path / "small.keras", "small_networks:small_backbone")
    changes: dict[str, Any] = {"model": {"trainable": 2, "weights": "small", "dropout": 0.0}}
    training = {"head_epochs": 2, "backbone_rate": 0.5, "label_smoothing": 0.1, "class_weights": "balanced"}
    cached = plan_run(store, "cached", training=training, **changes)
    off = plan_run(store, "off", training={**training, "features": "off"}, **changes)
    worker = RunWorker(store, cached)
    run_fold(worker, 0, 0)
    run_fold(worker, 0, 1)
    run_fold(RunWorker(store, off), 0, 1)
    (rows, metadata), (others, of_other) = (read_history(store, run, 0, 1) for run in (cached, off))
    for row, other in zip(rows, others, strict=True):
        assert row == pytest.approx(other, abs=5e-6)
    assert metadata.in_effect == of_other.in_effect
    assert metadata.in_effect["class_weights"] == "balanced"
    assert (metadata.digests["features"] is None, of_other.digests["features"] is None) == (False, True)


def test_a_backbone_has_so_many_blocks_and_not_more(store: Store) -> None:
    run = plan_run(store, "r", model={"trainable": 4})
    with pytest.raises(BadStudy, match=r"model\.trainable = 4: small_networks:small_backbone has 3 blocks"):
        run_fold(RunWorker(store, run), 0, 0)


def test_a_checkpoint_that_did_not_survive_costs_only_time(whole: Store, tmp_path: Path) -> None:
    store = copied(whole, tmp_path)
    run = plan_run(store, "r", **WHOLE)
    with pytest.raises(Crash):
        run_fold(RunWorker(store, run, crash_after(2)), 0, 1)
    key = names.checkpoint_key(run, 0, 1)
    data = store.read(key)
    store.write(key, data[: len(data) // 2])
    run_fold(RunWorker(store, run), 0, 1)
    assert_as_undisturbed(store, run)


def test_folds_are_fresh_also_where_the_backbone_was_trained_before(whole: Store, tmp_path: Path) -> None:
    store = copied(whole, tmp_path)
    worker = RunWorker(store, plan_run(store, "r", **WHOLE))
    run_fold(worker, 0, 0)
    run_fold(worker, 0, 1)
    assert_as_undisturbed(store, "r")


def test_what_cannot_be_trained_says_why(store: Store) -> None:
    with pytest.raises(BadStudy, match="run r has no trial 1: it has 1, counted from 0"):
        run_fold(RunWorker(store, plan_run(store, "r")), 1, 0)
    with pytest.raises(BadStudy, match="run r has no fold 3: it has 3, counted from 0"):
        run_fold(RunWorker(store, "r"), 0, 3)
    missing = plan_run(store, "missing", model={"architecture": "small_networks:nothing"})
    with pytest.raises(BadStudy, match=r"small_networks:nothing: can't be imported: .*\.py has no function nothing"):
        run_fold(RunWorker(store, missing), 0, 0)
    narrow = plan_run(store, "narrow", model={"architecture": "inception_v3"})
    with pytest.raises(BadStudy, match=r"inception_v3 needs images of at least 75x75: the dataset's are 16x20"):
        run_fold(RunWorker(store, narrow), 0, 0)
    dataset = read_dataset(store, DATASET)
    store.write(names.dataset_key(DATASET), encode_document(dataset.model_copy(update={"digest": "0" * 64})))
    with pytest.raises(BadData, match="it was replaced since; submit a new run"):
        RunWorker(store, "r")


def test_a_fold_trained_again_is_equal_and_stands_beside_the_first(store: Store) -> None:
    run = plan_run(store, "r", search=GRID)
    worker = RunWorker(store, run)
    run_fold(worker, 1, 2)
    before = {entry.key: store.read(entry.key) for entry in store.list(f"runs/{run}/")}
    run_fold(worker, 0, 2)  # what the worker trained meanwhile changes nothing
    assert train_again(worker, 1, 2, 1) == "completed"
    assert last_number(store, run, 1, 2) == 1
    compared = compare_redone(store, run, 1, 2, 1)
    assert compared.equal, compared.differences
    assert compared.with_predictions
    assert all(store.read(key) == data for key, data in before.items())
    # Epochs don't decide features: a longer run starts from those that are there.
    features = [entry.key for entry in store.list("features/")]
    run_fold(RunWorker(store, plan_run(store, "longer", training={"epochs": 4})), 0, 2)
    assert [entry.key for entry in store.list("features/")] == features != []
    other = plan_run(store, "s", search={**GRID, "parameters": {"training.learning_rate": [3e-3, 1.1e-2]}})
    run_fold(RunWorker(store, other), 1, 2)
    store.write(names.redone_history_key(run, 1, 2, 2), store.read(names.history_key(other, 1, 2)))
    assert not compare_redone(store, run, 1, 2, 2).equal
