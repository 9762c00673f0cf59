"""The final model: trained on all of develop, the seal that counts every look, and what can be had from it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rustk.datasets.reading import read_split
from rustk.store import Store, open_store
from rustk.store.datasets import read_dataset
from rustk.store.documents import ModelCard, read_document
from rustk.store.seal import list_openings
from rustk.training import final, run_worker
from rustk.training.final import train_final
from rustk.training.fold import run_fold
from rustk.training.predict import FinalModel, ImageScores, meanings, read_scores, total_of
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
    copy = open_store(str(tmp_path / "store"))
    for entry in finished.list(""):
        copy.write(entry.key, finished.read(entry.key))
    return copy


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
    assert model.read_scores(stored[0]).sites.keys() <= {"medial", "anterior"}


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


def test_a_second_look_must_say_why_and_is_counted(store: Store) -> None:
    card = train_final(store, "done", trial=1, epochs=2)
    before = store.list("")
    assert train_final(store, "done", trial=1, epochs=2) == card
    assert store.list("") == before, "a finished final model is left as it is"
    with pytest.raises(BadStudy, match=r'was opened once, last by run done on 20.*say --again "why"'):
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
    tables = [
        read_parquet(store.read(names.model_history_key(run)), run).drop_columns("seconds")
        for run in ("undisturbed", "interrupted")
    ]
    assert tables[0].equals(tables[1])


def test_a_model_that_is_not_there_or_not_the_one_described_is_refused(store: Store) -> None:
    with pytest.raises(BadStudy, match="run done has no final model: make one with `rustk final done`"):
        FinalModel(store, "done")
    train_final(store, "done", trial=1, epochs=1)
    store.write(names.model_key("done"), store.read(names.model_key("done")) + b"\0")
    with pytest.raises(BadData, match=r"model\.keras has sha256 .*, its card says"):
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


def scores_of(instrument: Instrument, by_view: dict[str, list[str]], **values: float) -> ImageScores:
    probabilities = np.array([values.get(label, 0.0) for label in instrument.labels], np.float32)
    return read_scores(instrument, probabilities, by_view)


def test_scores_are_read_within_the_view_and_added_up_for_a_visit() -> None:
    by_view = {"ap": ["medial", "lateral"], "lateral": ["anterior", "posterior"]}
    ap = scores_of(
        MRUST, by_view, view_ap=0.9, view_lateral=0.2, medial_3=0.6, medial_4=0.2, lateral_4=0.1, anterior_4=0.99
    )
    assert (ap.view, ap.view_probability) == ("ap", pytest.approx(0.9))
    assert {site: score.score for site, score in ap.sites.items()} == {"medial": 3, "lateral": 4}
    assert ap.sites["medial"].probabilities == pytest.approx({1: 0, 2: 0, 3: 0.75, 4: 0.25})
    side = scores_of(MRUST, by_view, view_lateral=0.8, anterior_4=0.5, posterior_2=0.3)
    assert total_of(MRUST, [ap, side]) == 3 + 4 + 4 + 2
    assert meanings(MRUST, [ap, side], 13) == ["union (mRUST total at least 13)"]
    assert meanings(MRUST, [ap, side], 12) == []
    assert total_of(MRUST, [ap]) is None
    assert total_of(MRUST, [ap, ap]) is None


def test_an_instrument_of_one_view_has_no_view_to_guess_and_no_total() -> None:
    site = SINGLE.site_names[0]
    scores = scores_of(SINGLE, {SINGLE.views[0]: [site]}, **{f"{site}_3": 0.9, f"{site}_0": 0.1})
    assert (scores.view, scores.view_probability, scores.sites[site].score) == (SINGLE.views[0], 1.0, 3)
    assert total_of(SINGLE, [scores]) is None
    assert meanings(SINGLE, [scores], None) == [f"osteoarthritis ({site} at least 2)"]


def test_unequal_scales_are_read_by_their_own_scores() -> None:
    by_view = {"a": ["rim"], "b": ["rim", "core"], "c": ["core", "seam"]}
    rim = scores_of(ODD, by_view, view_a=0.9, rim_0=0.4, rim_2=0.3, core_5=0.9)
    rest = scores_of(ODD, by_view, view_c=0.9, core_5=0.2, core_3=0.1, seam_1=0.7)
    assert total_of(ODD, [rim, rest]) == 0 + 5 + 1
    assert total_of(ODD, [rim, rest, rest]) is None
    assert meanings(ODD, [rim, rest], 6) == ["sound (odd total at least 4)", "sealed (seam at least 1)"]
