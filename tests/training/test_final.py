"""The final model: trained on all of develop, the seal that counts every look, and what can be had from it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rustk.datasets.reading import read_split
from rustk.report.evaluation.examples import load_examples
from rustk.store import Store, open_store
from rustk.store.card import Examples, ModelCard
from rustk.store.datasets import read_dataset
from rustk.store.documents import read_document
from rustk.store.seal import list_openings
from rustk.training import final, run_worker
from rustk.training.final import train_final
from rustk.training.fold import run_fold
from rustk.training.predict import FinalModel
from rustk.training.run_worker import RunWorker
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.parquet import read_parquet
from tests.instruments import MRUST, ODD, SINGLE
from tests.training.small_runs import DATASET, DEVELOP, TEST, make_dataset, plan_run

pytestmark = pytest.mark.tensorflow

GRID = {"kind": "grid", "parameters": {"training.learning_rate": [1e-5, 1e-2]}}
MODEL = {"architecture": "small_networks:small_backbone"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a dataset, and a run of two trials whose folds are all done."""
    store = open_store(str(tmp_path_factory.mktemp("finished")))
    make_dataset(store)
    worker = RunWorker(store, plan_run(store, "done", search=GRID))
    for task in worker.plan.tasks:
        run_fold(worker, *task)
    return store


@pytest.fixture
def store(finished: Store, tmp_path: Path) -> Store:
    return copied(finished, tmp_path)


def copied(store: Store, folder: Path) -> Store:
    copy = open_store(str(folder / "store"))
    for entry in store.list(""):
        copy.write(entry.key, store.read(entry.key))
    return copy


@pytest.fixture(scope="module")
def modelled(finished: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same with a final model of trial 1 after 2 epochs."""
    store = copied(finished, tmp_path_factory.mktemp("modelled"))
    train_final(store, "done", trial=1, epochs=2)
    return store


@pytest.fixture
def tested(modelled: Store, tmp_path: Path) -> tuple[Store, ModelCard]:
    """A store of the test's own with that model, and the model's card."""
    store = copied(modelled, tmp_path)
    return store, read_document(store, names.model_card_key("done"), ModelCard)


def store_file(store: Store, key: str, folder: Path) -> Path:
    path = folder / key.rpartition("/")[2]
    path.write_bytes(store.read(key))
    return path


def test_the_model_is_whole_tested_once_and_described(store: Store, tmp_path: Path) -> None:
    card = train_final(store, "done")
    assert read_document(store, names.model_card_key("done"), ModelCard) == card
    dataset = read_dataset(store, DATASET)
    assert card.data.digest == dataset.digest
    assert card.in_effect["batch_size"] == 8
    assert card.sites_by_view == {"ap": ("medial",), "lateral": ("anterior",)}
    assert card.seal is not None
    assert card.test is not None
    assert (card.seal.opening, card.seal.openings, card.seal.why) == (1, 1, None)
    assert "random weights" in card.limits[-1]
    assert "the cortices that its view shows" in card.limits[2]
    assert any("heat map" in limit for limit in card.limits)
    assert card.test.images == TEST
    assert {"loss", "auroc", "precision", "recall", "f1"} == set(card.test.epoch)
    assert "auroc_in_view" in card.test.figures

    history = read_parquet(store.read(names.model_history_key("done")), "it").to_pydict()
    assert history["epoch"] == list(range(1, card.chosen.epochs + 1))
    assert not any(name.startswith("val_") for name in history)

    # Keras alone can use it, and gets what was stored.
    path = tmp_path / "model.keras"
    path.write_bytes(store.read(names.model_key("done")))
    test = read_split(store, dataset, "test")
    inputs = np.repeat(test.images[..., None].astype(np.float32) / 127.5 - 1, 3, axis=-1)
    alone = keras.models.load_model(path)(inputs).numpy()
    table = read_parquet(store.read(names.test_prediction_key("done")), "it")
    assert table["sample_id"].to_pylist() == list(test.sample_ids)
    stored = np.stack([table[label].to_numpy() for label in MRUST.labels], axis=1)
    np.testing.assert_allclose(alone, stored, atol=1e-6)
    loss = keras.losses.binary_crossentropy(test.labels, stored).numpy().mean()
    assert card.test.epoch["loss"] == pytest.approx(loss, rel=1e-5)
    model = FinalModel(store, "done")
    np.testing.assert_allclose(model.predict(test.images), stored, atol=1e-6)
    with pytest.raises(BadData, match=r"images of \(5, 5\): the model takes \(16, 20\)"):
        model.predict(np.zeros((1, 5, 5), np.uint8))
    scores = model.read_scores(stored[0])
    assert scores.sites.keys() <= {"medial", "anterior"}

    # The control has the model's shape and another's weights; it is not the model that was saved.
    given = [{site: score.score for site, score in scores.sites.items()}]
    found = model.explainer().explain(test.images[:1], given)[0]
    assert all(map_.control is not None and map_.map.shape == (8, 10) for map_ in found.values())
    assert not any(np.array_equal(map_.map, map_.control) for map_ in found.values())
    control = keras.models.load_model(store_file(store, names.shuffled_head_key("done"), tmp_path))
    head = keras.models.load_model(path).get_layer("head")
    assert [weight.shape for weight in control.weights] == [weight.shape for weight in head.weights]
    assert not np.allclose(control.get_weights()[0], head.get_weights()[0])
    assert not store.list(names.examples_prefix("done"))


def test_the_model_is_trained_on_all_of_develop(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    original = run_worker.train

    def train(trainer: Any, task: Any, *rest: Any) -> Any:
        seen.append(task)
        return original(trainer, task, *rest)

    monkeypatch.setattr(run_worker, "train", train)
    train_final(store, "done", trial=1, epochs=2)
    assert sorted(seen[0].train) == list(range(DEVELOP))
    assert len(seen[0].validation) == 0
    assert (seen[0].epochs, seen[0].learning_rate) == (2, 1e-2)


def test_a_second_look_must_say_why_and_is_counted(tested: tuple[Store, ModelCard]) -> None:
    store, card = tested
    before = store.list("")
    assert train_final(store, "done", trial=1, epochs=2) == card
    assert store.list("") == before, "a finished final model is left as it is"
    with pytest.raises(BadStudy, match=r'was opened once, last by run done on 20.*add --again "why"'):
        train_final(store, "done", trial=0, epochs=2)
    other = plan_run(store, "other")
    with pytest.raises(BadStudy, match="was opened once, last by run done"):
        train_final(store, other, trial=0, epochs=1)
    assert store.list("") == [*before, *(entry for entry in store.list("runs/other/"))]
    again = train_final(store, "done", trial=0, epochs=2, again="a reviewer asked for the other trial")
    assert again.seal is not None
    assert again.seal.openings == 2
    openings = list_openings(store, DATASET)
    assert [(opening.number, opening.trial, opening.why) for opening in openings] == [
        (1, 1, None),
        (2, 0, "a reviewer asked for the other trial"),
    ]
    with pytest.raises(BadStudy, match="was opened 2 times"):
        train_final(store, "done", trial=1, epochs=2)
    # A container that is tried again after its last write says the same reason again.
    train_final(store, "done", trial=0, epochs=2, again="a reviewer asked for the other trial")
    assert len(list_openings(store, DATASET)) == 2


def test_a_look_under_the_name_of_another_dataset_counts(tested: tuple[Store, ModelCard]) -> None:
    store, _ = tested
    taken = names.opening_key(DATASET, 1)
    store.write(names.opening_key("renamed", 1), store.read(taken))
    store.delete(taken)
    other = plan_run(store, "other")
    with pytest.raises(BadStudy, match="was opened once, last by run done, as dataset renamed, on 20"):
        train_final(store, other, trial=0, epochs=1)
    card = train_final(store, other, trial=0, epochs=1, again="the data have two names")
    assert card.seal is not None
    assert (card.seal.opening, card.seal.openings) == (1, 2)
    assert [opening.number for opening in list_openings(store, DATASET)] == [1]


def test_no_further_look_is_taken_while_the_record_of_the_last_is_gone(tested: tuple[Store, ModelCard]) -> None:
    store, _ = tested
    store.delete(names.opening_key(DATASET, 1))
    with pytest.raises(BadData, match=r"openings/0001\.json is not in the store .*done/model/card\.json tells of it"):
        train_final(store, "done", trial=0, epochs=2)


def test_a_look_that_a_crash_interrupted_counts_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crash(BaseException):
        pass

    def crash(*arguments: Any) -> Any:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(final, "read_split", crash)
        with pytest.raises(Crash):
            train_final(store, "done", trial=1, epochs=2)
    assert len(list_openings(store, DATASET)) == 1
    assert not store.exists(names.model_card_key("done"))
    card = train_final(store, "done", trial=1, epochs=2)
    assert card.seal is not None
    assert card.seal.openings == 1
    assert len(list_openings(store, DATASET)) == 1


def test_a_test_split_that_can_not_be_read_spends_no_look(store: Store) -> None:
    shard = next(shard for shard in read_dataset(store, DATASET).shards if shard.split == "test")
    key = names.dataset_shard_key(DATASET, shard.key)
    data = store.read(key)
    for damage in (lambda: store.delete(key), lambda: store.write(key, data[:-1] + b"x")):
        damage()
        with pytest.raises(BadData, match=rf"^{key}.*: put back the file"):
            train_final(store, "done")
        assert list_openings(store, DATASET) == []
        assert not store.exists(names.model_history_key("done"))
    store.write(key, data)
    assert train_final(store, "done").seal is not None


def test_a_backbone_that_is_trained_too_resumes_at_its_checkpoint(store: Store) -> None:
    class Crash(BaseException):
        pass

    def crash(event: dict[str, Any]) -> None:
        if event["event"] == "epoch" and event["epoch"] == 2:
            raise Crash

    for run in ("undisturbed", "interrupted"):
        plan_run(store, run, model={"trainable": True})
    train_final(store, "undisturbed", trial=0, epochs=3)
    with pytest.raises(Crash):
        train_final(store, "interrupted", trial=0, epochs=3, again="to compare", report=crash)
    assert store.exists(names.model_checkpoint_key("interrupted"))
    train_final(store, "interrupted", trial=0, epochs=3, again="to compare")
    assert not store.exists(names.model_checkpoint_key("interrupted"))
    # A backbone that was trained saw scores: its head alone is no control.
    assert read_document(store, names.model_card_key("undisturbed"), ModelCard).shuffled_head_sha256 is None
    tables = [
        read_parquet(store.read(names.model_history_key(run)), run).drop_columns("seconds")
        for run in ("undisturbed", "interrupted")
    ]
    assert tables[0].equals(tables[1])


def test_examples_are_made_where_they_are_asked_for_and_go_with_their_model(tested: tuple[Store, ModelCard]) -> None:
    store, card = tested
    assert train_final(store, "done", trial=1, epochs=2, with_images=True) == card
    assert len(list_openings(store, DATASET)) == 1, "no further look: the model was tested already"
    found = read_document(store, names.examples_key("done"), Examples)
    assert found.model_sha256 == card.model_sha256
    shown = [example.sample_id for example in found.examples]
    test = read_split(store, read_dataset(store, DATASET), "test")
    assert set(shown) <= set(test.sample_ids)
    assert len(set(shown)) == len(shown) > 0
    pictures = load_examples(store, "done", card).shown
    assert all(picture.startswith(b"\x89PNG") for _, picture in pictures)
    key = names.example_picture_key("done", found.examples[0].file)
    store.write(key, b"another")
    with pytest.raises(BadData, match=r"01-[a-z]+\.png is not the picture that .*examples\.json names"):
        load_examples(store, "done", card)
    store.delete(key)
    with pytest.raises(BadData, match=r"\.png is missing"):
        load_examples(store, "done", card)
    with pytest.raises(BadData, match="of another model than the run's"):
        load_examples(store, "done", card.model_copy(update={"model_sha256": "0" * 64}))
    train_final(store, "done", trial=0, epochs=1, again="another model")
    assert not store.list(names.examples_prefix("done")), "pictures of patients don't outlive their model"
    with pytest.raises(BadStudy, match="no examples with images: make them with `rustk final done --with-images`"):
        load_examples(store, "done", card)


def test_a_model_that_is_not_there_or_not_the_one_described_is_refused(
    finished: Store, tested: tuple[Store, ModelCard]
) -> None:
    with pytest.raises(BadStudy, match="run done has no final model: make one with `rustk final done`"):
        FinalModel(finished, "done")
    store, _ = tested
    head = store.read(names.shuffled_head_key("done"))
    store.write(names.shuffled_head_key("done"), head + b"\0")
    with pytest.raises(BadData, match=r"shuffled-head\.keras has sha256 .*, its card says"):
        FinalModel(store, "done").explainer()
    store.delete(names.shuffled_head_key("done"))
    with pytest.raises(BadData, match=r"shuffled-head\.keras is missing"):
        FinalModel(store, "done").explainer()
    store.write(names.model_key("done"), store.read(names.model_key("done")) + b"\0")
    with pytest.raises(BadData, match=r"model\.keras has sha256 .*, its card says .*: put back the file"):
        FinalModel(store, "done")
    store.delete(names.model_key("done"))
    with pytest.raises(BadData, match=r"model\.keras is not in the store .*, though its card is there: put back the"):
        FinalModel(store, "done")


@pytest.mark.parametrize(("instrument", "objective"), [(ODD, "corn"), (ODD, "masked"), (SINGLE, "soft")])
def test_a_model_of_another_instrument_and_objective_is_whole(
    instrument: Instrument, objective: str, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "store"))
    make_dataset(store, instrument)
    card = train_final(store, plan_run(store, "other", model={"objective": objective}), trial=0, epochs=2)
    assert card.instrument == instrument
    assert card.test is not None
    model = FinalModel(store, "other")
    test = read_split(store, read_dataset(store, DATASET), "test")
    table = read_parquet(store.read(names.test_prediction_key("other")), "it")
    stored = np.stack([table[label].to_numpy() for label in instrument.labels], axis=1)
    np.testing.assert_allclose(model.predict(test.images), stored, atol=1e-6)
    scores = model.read_scores(stored[0])
    assert set(scores.sites) == set(card.sites_by_view[scores.view])
    assert all(score.score in instrument.site(site).scores for site, score in scores.sites.items())
