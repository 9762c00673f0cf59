"""What the guidelines' rows are filled with."""

from dataclasses import replace

import pytest

from rustk.report.evaluation.analysis import analyse
from rustk.report.page.checklist import filled_items
from rustk.report.page.report import make_report
from rustk.vocabulary.instrument import Instrument
from tests.instruments import MRUST, SINGLE
from tests.report.planted import CLEAN, Plan, aggregated

QUICK = replace(CLEAN, patients=40, epochs=1, folds=2)


def filled(plan: Plan) -> dict[str, str]:
    return {item.asked: item.filled for item in filled_items(analyse(aggregated(plan)))}


def model_row(plan: Plan) -> str:
    return filled(plan)["Model, initial weights and training"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_searched_architecture_is_the_chosen_trial_s(count: int) -> None:
    trials = tuple({"architecture": "lenet", "learning_rate": 10.0**-n} for n in range(count))
    row = model_row(replace(QUICK, trials=trials))
    assert row.startswith("lenet, ")
    assert "inception" not in row


@pytest.mark.parametrize(
    ("features", "trainable", "without", "expected"),
    [
        ("off", True, (), "features off"),
        ("cached", False, (), "features cached"),
        ("off", False, (), "features off"),
        ("off", True, ("metadata",), None),
        ("off", False, ("metadata",), "features cached"),
    ],
)
def test_features_were_cached_where_the_histories_say_so(
    features: str, trainable: bool, without: tuple[str, ...], expected: str | None
) -> None:
    plan = replace(QUICK, features=features, training=(("features", "cached"),), model=(("trainable", trainable),))
    row = model_row(replace(plan, without=without))
    assert (expected in row) if expected else ("features" not in row)
    assert row.count("features") <= 1


@pytest.mark.parametrize(("instrument", "within"), [(MRUST, "in-view"), (SINGLE, "within-fold")])
def test_pairs_lie_within_a_view_where_there_are_views(instrument: Instrument, within: str) -> None:
    report = make_report(analyse(aggregated(replace(QUICK, instrument=instrument))))
    guidelines = {row.record["item"]: row.record["filled"] for row in report.tables["guidelines"].rows}
    measures = guidelines["Measures of performance and their uncertainty"]
    assert measures.startswith(f"AUROC (200 thresholds, exact, {within}), ")
    told = f"Exact AUROC, {within} AUROC and chosen are counted from the predictions"
    assert any(note.startswith(told) for note in report.tables["all-trials"].notes)


def test_a_batch_size_that_was_not_in_effect_is_told_with_what_was() -> None:
    plan = replace(QUICK, dead_batch_size=True, trials=({"batch_size": 1000},))
    report = make_report(analyse(aggregated(plan)))
    assert "batch size 1000 (32 in effect), " in model_row(plan)
    assert any("batch size 1000 (32 in effect), dropout 0.2" in note for note in report.tables["metrics"].notes)
    varied = make_report(analyse(aggregated(replace(plan, trials=({"batch_size": 999}, {"batch_size": 1000})))))
    cells = dict(row[:2] for row in varied.tables["final-hyperparameters"].cells())
    assert cells["Batch size"] == f"{varied.analysis.aggregate.best['batch_size']} (32 in effect)"
