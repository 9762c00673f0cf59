"""What the reports say of the test split: every look at it, and what the final model scored."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from rustk.report.data.results import load_run
from rustk.report.evaluation.sealed import SealedTest, load_sealed_test
from rustk.store.card import CardFigure, CardTest
from rustk.store.documents import Opening, encode_document
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from tests.instruments import MRUST
from tests.report.final_models import card
from tests.report.planted import CLEAN, Shelf, draw_probabilities, encode, parquet, plant

OTHER = replace(CLEAN, run="other-00000001", study="other")


def look(number: int, run: str, why: str | None = None, digest: str = "0" * 64) -> bytes:
    opened = datetime(2024, 5, number, 10, tzinfo=UTC)
    return encode_document(
        Opening(number=number, run=run, trial=1, epochs=2, dataset_digest=digest, opened=opened, why=why)
    )


def opened_once() -> tuple[Shelf, pd.DataFrame]:
    """Two runs on one dataset, of which the first was tested; and its test predictions."""
    shelf = plant(OTHER, plant(CLEAN))
    index = load_run(shelf, CLEAN.run).index
    assert index is not None
    rows = index[index["split"] == "test"]
    probabilities = draw_probabilities(CLEAN, rows, encode(rows), 1, 3)
    predictions = pd.DataFrame(probabilities, columns=list(MRUST.labels)).assign(
        sample_id=rows["sample_id"].to_numpy(), epoch=np.int32(2)
    )
    predictions = predictions[["epoch", "sample_id", *MRUST.labels]]
    shelf.objects[names.model_card_key(CLEAN.run)] = encode_document(card(CLEAN.run))
    shelf.objects[names.test_prediction_key(CLEAN.run)] = parquet(predictions)
    shelf.objects[names.opening_key("phantom", 1)] = look(1, CLEAN.run)
    return shelf, predictions


def load(shelf: Shelf, run: str) -> SealedTest:
    return load_sealed_test(shelf, run)


def test_a_seal_that_nobody_opened() -> None:
    sealed = load(plant(CLEAN), CLEAN.run)
    assert sealed.sentence() == "The test split has not been looked at."
    assert sealed.rows() == []
    assert sealed.facts() == []


def test_the_figures_are_those_of_the_test_images() -> None:
    shelf, predictions = opened_once()
    sealed = load(shelf, CLEAN.run)
    assert sealed.evaluation is not None
    index = load_run(shelf, CLEAN.run).index
    assert index is not None
    rows = index.set_index("sample_id").loc[predictions["sample_id"]]
    truth, given = encode(rows), predictions[list(MRUST.labels)].to_numpy()
    defined = [n for n in range(len(MRUST.labels)) if 0 < truth[:, n].sum() < len(truth)]
    exact = np.mean([roc_auc_score(truth[:, n], given[:, n]) for n in defined])
    assert sealed.evaluation["auroc_labels"].value == pytest.approx(exact)
    assert sealed.evaluation.images == len(rows)
    figures = {title: value for title, value, _ in sealed.rows()}
    assert f"{exact:.3f}" in figures.values()
    assert re.match(
        rf"{len(rows)} images, \d+ patients; intervals are 95 % percentiles of [\d,]+ resamples", sealed.caption()
    )


def test_figures_that_can_not_be_computed_anew_are_the_card_s() -> None:
    shelf, _ = opened_once()
    figure = CardFigure(title="AUROC", value=0.7, low=0.6, high=None, confidence=0.95, better="higher")
    test = CardTest(images=1_200, patients=30, visits=60, epoch={}, figures={"auroc": figure})
    described = card(CLEAN.run).model_copy(update={"test": test})
    shelf.write(names.model_card_key(CLEAN.run), encode_document(described))
    for gone in (names.test_prediction_key(CLEAN.run), names.dataset_key("phantom")):
        del shelf.objects[gone]
        sealed = load(shelf, CLEAN.run)
        assert sealed.rows() == [("AUROC", "0.700", "0.600 to undefined")]
        assert sealed.caption() == "1,200 images, 30 patients; as its card has them, for they can't be computed anew"


def with_figures() -> tuple[Shelf, pd.DataFrame, dict[str, CardFigure]]:
    """As `opened_once`, with the figures in the card that the predictions come to."""
    shelf, predictions = opened_once()
    evaluation = load(shelf, CLEAN.run).evaluation
    assert evaluation is not None
    figures = {
        key: CardFigure(
            title=figure.title,
            value=figure.value if np.isfinite(figure.value) else None,
            low=None,
            high=None,
            confidence=0.95,
            better=figure.better,
        )
        for key, figure in evaluation.figures.items()
    }
    say(shelf, figures)
    return shelf, predictions, figures


def say(shelf: Shelf, figures: dict[str, CardFigure]) -> None:
    test = CardTest(images=1, patients=1, visits=1, epoch={}, figures=figures)
    said = card(CLEAN.run).model_copy(update={"test": test})
    shelf.write(names.model_card_key(CLEAN.run), encode_document(said))


def test_the_figures_of_predictions_and_card_agree() -> None:
    shelf, predictions, figures = with_figures()
    assert len(figures) > 10
    assert load(shelf, CLEAN.run).evaluation is not None
    noise = np.random.default_rng(0).random((len(predictions), len(MRUST.labels))).astype(np.float32)
    shelf.objects[names.test_prediction_key(CLEAN.run)] = parquet(
        pd.concat([predictions[["epoch", "sample_id"]], pd.DataFrame(noise, columns=list(MRUST.labels))], axis=1)
    )
    with pytest.raises(BadData) as caught:
        load(shelf, CLEAN.run)
    said = str(caught.value)
    assert said.isprintable()
    predicted, described = names.test_prediction_key(CLEAN.run), names.model_card_key(CLEAN.run)
    assert re.match(rf"{predicted} has \w+ -?\d\.\d{{6}}, {described} says -?\d\.\d{{6}}: expected the same", said)


@pytest.mark.parametrize(("change", "refused"), [(1e-8, False), (1e-4, True), (None, True)])
def test_a_figure_that_the_predictions_do_not_come_to_is_refused(change: float | None, refused: bool) -> None:
    shelf, _, figures = with_figures()
    figure = figures["auroc_labels"]
    assert figure.value is not None
    value = None if change is None else figure.value + change
    # A figure that this version does not know can't be held against anything.
    say(shelf, figures | {"auroc_labels": figure.model_copy(update={"value": value}), "of_another_version": figure})
    if not refused:
        assert load(shelf, CLEAN.run).evaluation is not None
        return
    with pytest.raises(
        BadData, match=rf"test-predictions\.parquet has auroc_labels {figure.value:.6f}, runs/.*card\.json"
    ):
        load(shelf, CLEAN.run)


def test_every_look_is_counted_in_order() -> None:
    shelf, _ = opened_once()
    shelf.objects[names.opening_key("phantom", 2)] = look(2, "third", "a reviewer asked")
    sealed = load(shelf, CLEAN.run)
    assert sealed.sentence().startswith("The test split was opened 2 times, last by run third on 2024-05-02.")
    (openings, *_) = sealed.facts()
    assert [value.rpartition(" by run ")[2] for value in openings.values] == [
        f"{CLEAN.run}, trial 1, 2 epochs",
        "third, trial 1, 2 epochs: a reviewer asked",
    ]


def test_a_look_under_another_name_of_the_dataset_is_told() -> None:
    shelf = plant(CLEAN)
    digest = json.loads(shelf.read(names.dataset_key("phantom")))["digest"]
    shelf.objects[names.opening_key("renamed", 1)] = look(1, "e1", digest=digest)
    shelf.objects[names.opening_key("unlike", 1)] = look(1, "e2")
    sealed = load(shelf, CLEAN.run)
    assert sealed.sentence() == "The test split was opened once, last by run e1 on 2024-05-01."
    (openings,) = sealed.facts()
    assert openings.values == ("2024-05-01T10:00:00+00:00 by run e1, trial 1, 2 epochs, as dataset renamed",)


def test_a_look_whose_record_is_gone_is_known_by_the_card() -> None:
    shelf, _ = opened_once()
    shelf.delete(names.opening_key("phantom", 1))
    sealed = load(shelf, CLEAN.run)
    assert sealed.sentence() == "The test split was opened once. The record of this look is missing."
    assert sealed.rows() != []

    second = card(CLEAN.run)
    assert second.seal is not None
    second = second.model_copy(update={"seal": second.seal.model_copy(update={"opening": 2, "openings": 2})})
    shelf.write(names.model_card_key(CLEAN.run), encode_document(second))
    assert load(shelf, CLEAN.run).sentence() == (
        "The test split was opened 2 times. Each further look makes its figures more optimistic. "
        "The records of 2 of these looks are missing."
    )
    shelf.write(names.opening_key("phantom", 1), look(1, "first"))
    assert load(shelf, CLEAN.run).sentence() == (
        "The test split was opened 2 times, the last recorded one by run first on 2024-05-01. Each further look makes "
        "its figures more optimistic. The records of 1 of these looks are missing."
    )
    # Of those before it that were taken under other names the card knows the number only.
    third = second.model_copy(update={"seal": second.seal.model_copy(update={"openings": 5})})
    shelf.write(names.model_card_key(CLEAN.run), encode_document(third))
    assert "The records of 4 of these looks are missing." in load(shelf, CLEAN.run).sentence()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("run", "other-00000001", "run = 'other-00000001': runs/planted-00000001/model/card.json says 'planted-"),
        ("trial", 0, "trial = 0: runs/planted-00000001/model/card.json says 1"),
        ("epochs", 3, "epochs = 3: runs/planted-00000001/model/card.json says 2"),
        ("dataset_digest", "1" * 64, "dataset_digest = '1111"),
        ("opened", "2024-04-01T10:00:00Z", "opened = 2024-04-01T10:00:00+00:00: "),
        ("why", "a whim", "why = 'a whim': runs/planted-00000001/model/card.json says null of this look"),
    ],
)
def test_a_record_that_is_not_what_the_card_says_is_refused(field: str, value: object, said: str) -> None:
    shelf, _ = opened_once()
    key = names.opening_key("phantom", 1)
    shelf.put_document(key, **{field: value})
    with pytest.raises(BadData, match=f"^{re.escape(f'{key}: {said}')}.*: put back the file") as caught:
        load(shelf, CLEAN.run)
    assert str(caught.value).isprintable()


def test_predictions_of_other_images_are_refused() -> None:
    shelf, predictions = opened_once()
    shelf.objects[names.test_prediction_key(CLEAN.run)] = parquet(predictions.iloc[1:])
    with pytest.raises(BadData, match=names.test_prediction_key(CLEAN.run)):
        load(shelf, CLEAN.run)
    shelf.objects[names.test_prediction_key(CLEAN.run)] = b"not Parquet"
    with pytest.raises(BadData, match="not a Parquet file"):
        load(shelf, CLEAN.run)


@pytest.mark.parametrize("gone", [names.dataset_key("phantom"), names.dataset_index_key("phantom")])
def test_nothing_is_said_of_a_dataset_that_is_not_known(gone: str) -> None:
    assert load(plant(replace(CLEAN, without=("index",))), CLEAN.run).sentence() == ""
    shelf = plant(CLEAN)
    del shelf.objects[gone]
    assert load(shelf, CLEAN.run).sentence() == ""
    changed = plant(CLEAN)
    changed.put_document(names.dataset_key("phantom"), digest="f" * 64)
    assert load(changed, CLEAN.run).sentence() == ""
    # A look that is recorded is told all the same.
    shelf.objects[names.opening_key("phantom", 1)] = look(1, CLEAN.run)
    assert load(shelf, CLEAN.run).sentence().startswith("The test split was opened once")
