"""What the reports say of the test split: every look at it, and what the final model scored."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from rustk.report.analysis import analyse
from rustk.report.page import write_comparison_page, write_page
from rustk.report.results import load_run
from rustk.report.sealed import SealedTest, load_sealed_test
from rustk.report.tables import comparison
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.labels import LABELS
from tests.report.planted import CLEAN, Shelf, aggregated, draw_probabilities, encode, parquet, plant

OTHER = replace(CLEAN, run="other-00000001", study="other")


def look(number: int, run: str, why: str | None = None) -> dict[str, Any]:
    return {
        "schema": 1,
        "number": number,
        "run": run,
        "trial": 1,
        "epochs": 2,
        "dataset_digest": "0" * 64,
        "opened": f"2024-05-0{number}T10:00:00+00:00",
        "why": why,
    }


def opened_once() -> tuple[Shelf, pd.DataFrame]:
    """Two runs on one dataset, of which the first was tested; and its test predictions."""
    shelf = plant(OTHER, plant(CLEAN))
    index = load_run(shelf, CLEAN.run).index
    assert index is not None
    rows = index[index["split"] == "test"]
    probabilities = draw_probabilities(CLEAN, encode(rows), 1, 3)
    predictions = pd.DataFrame(probabilities, columns=list(LABELS)).assign(
        sample_id=rows["sample_id"].to_numpy(), epoch=np.int32(2)
    )
    predictions = predictions[["epoch", "sample_id", *LABELS]]
    card = {"chosen": {"trial": 1, "epochs": 2, "by": "given"}, "model_sha256": "ab" * 32, "limits": ["A limit."]}
    shelf.objects[names.model_card_key(CLEAN.run)] = json.dumps(card | {"seeds": {"study": 1}}).encode()
    shelf.objects[names.test_prediction_key(CLEAN.run)] = parquet(predictions)
    shelf.objects[names.opening_key("phantom", 1)] = json.dumps(look(1, CLEAN.run)).encode()
    return shelf, predictions


def load(shelf: Shelf, run: str) -> SealedTest:
    return load_sealed_test(shelf, run, "phantom", load_run(shelf, run).index)


def test_a_seal_that_nobody_opened() -> None:
    sealed = load(plant(CLEAN), CLEAN.run)
    assert sealed.sentence() == "The test split has not been looked at."
    assert sealed.rows() == []
    assert sealed.facts() == []
    assert load_sealed_test(Shelf(), "any", None, None).openings == ()


def test_the_figures_are_those_of_the_test_images() -> None:
    shelf, predictions = opened_once()
    sealed = load(shelf, CLEAN.run)
    assert sealed.evaluation is not None
    index = load_run(shelf, CLEAN.run).index
    assert index is not None
    rows = index.set_index("sample_id").loc[predictions["sample_id"]]
    truth, given = encode(rows), predictions[list(LABELS)].to_numpy()
    defined = [n for n in range(len(LABELS)) if 0 < truth[:, n].sum() < len(truth)]
    exact = np.mean([roc_auc_score(truth[:, n], given[:, n]) for n in defined])
    assert sealed.evaluation["auroc_18"].value == pytest.approx(exact)
    assert sealed.evaluation.images == len(rows)
    figures = {title: value for title, value, _ in sealed.rows()}
    assert f"{exact:.3f}" in figures.values()


def test_every_look_is_counted_in_order() -> None:
    shelf, _ = opened_once()
    shelf.objects[names.opening_key("phantom", 2)] = json.dumps(look(2, "third", "a reviewer asked")).encode()
    sealed = load(shelf, CLEAN.run)
    assert sealed.sentence().startswith("The test split was opened 2 times, last by run third on 2024-05-02.")
    (openings, *_) = sealed.facts()
    assert [value.rpartition(" by run ")[2] for value in openings.values] == [
        f"{CLEAN.run}, trial 1, 2 epochs",
        "third, trial 1, 2 epochs: a reviewer asked",
    ]


def test_every_report_of_the_dataset_shows_the_count() -> None:
    shelf, _ = opened_once()
    both = {plan.run: analyse(aggregated(plan, shelf)) for plan in (CLEAN, OTHER)}
    sealed = {run: load(shelf, run) for run in both}
    told = f"opened once, last by run {CLEAN.run} on 2024-05-01"
    for run, analysis in both.items():
        assert told in write_page(analysis, sealed=sealed[run]).decode()
    # And where a reviewer's checklist asks for the performance on held-out patients.
    page = write_page(both[CLEAN.run], sealed=sealed[CLEAN.run]).decode()
    assert "Performance on the sealed test split" in page
    assert "Performance on the sealed test split" not in write_page(both[OTHER.run], sealed=sealed[OTHER.run]).decode()
    table = comparison([analysis.aggregate for analysis in both.values()])
    page = write_comparison_page(list(both.values()), table, sealed=sealed).decode()
    assert page.count(told) == 2
    assert page.count("The final model on the") == 1  # the other run has none


def test_predictions_of_other_images_are_refused() -> None:
    shelf, predictions = opened_once()
    shelf.objects[names.test_prediction_key(CLEAN.run)] = parquet(predictions.iloc[1:])
    with pytest.raises(BadData, match=names.test_prediction_key(CLEAN.run)):
        load(shelf, CLEAN.run)
    shelf.objects[names.test_prediction_key(CLEAN.run)] = b"not Parquet"
    with pytest.raises(BadData, match="can't be read"):
        load(shelf, CLEAN.run)
