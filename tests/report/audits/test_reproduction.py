"""Predictions that are not the history's are flagged."""

from dataclasses import replace

from rustk.report.audits.base import run_audits
from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run
from rustk.vocabulary import names
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
