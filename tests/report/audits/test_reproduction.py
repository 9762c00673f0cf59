"""Predictions that are not the history's are flagged."""

from dataclasses import replace

import pyarrow as pa

from rustk.report.audits.base import run_audits
from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run
from rustk.report.evaluation.analysis import analyse
from rustk.vocabulary import names
from rustk.vocabulary.parquet import encode_parquet, read_parquet
from tests.report.audits.contexts import context_of
from tests.report.planted import CLEAN, plant


def test_predictions_that_are_not_the_historys_are_flagged() -> None:
    shelf = plant(CLEAN)
    other = plant(replace(CLEAN, signal=1.0))
    key = names.prediction_key(CLEAN.run, 0, 2)
    shelf.objects[key] = other.objects[key]
    found = run_audits(context_of(aggregate(load_run(shelf, CLEAN.run))))
    assert [finding.key for finding in found if finding.flagged] == ["reproduction"]
    assert "fold 2 differs" in found[0].sentence


def test_a_trial_that_was_pushed_down_is_flagged_though_another_is_the_best() -> None:
    shelf = plant(CLEAN)
    best = int(aggregate(load_run(shelf, CLEAN.run)).best["trial"])
    for fold in range(CLEAN.folds):
        key = names.history_key(CLEAN.run, best, fold)
        table = read_parquet(shelf.objects[key], key)
        halved = pa.array([value / 2 for value in table["val_auroc"].to_pylist()])
        shelf.objects[key] = encode_parquet(
            table.set_column(table.column_names.index("val_auroc"), "val_auroc", halved)
        )
    analysis = analyse(aggregate(load_run(shelf, CLEAN.run)))
    assert int(analysis.aggregate.best["trial"]) != best
    (found,) = [finding for finding in analysis.findings if finding.key == "reproduction"]
    assert found.severity == "fault"
    assert found.details[0].startswith(f"trial {best} epoch ")
