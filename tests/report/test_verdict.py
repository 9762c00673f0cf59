"""The verdict: what it says, and that it goes by the paired difference to the view floor."""

from dataclasses import replace

import pytest

from rustk.report.analysis import analyse
from rustk.report.verdict import judge
from tests.report.planted import CLEAN, VIEW_ONLY, Plan, aggregated


def test_a_model_that_learns_stands_above_the_floor() -> None:
    analysis = analyse(aggregated(CLEAN))
    verdict = judge(analysis)
    assert (verdict.standing, verdict.headline) == ("above", "Above what the view alone tells")
    assert analysis.choice is not None
    lead = analysis.choice.corrected.above_reference
    assert lead is not None
    assert lead.low > 0
    said = (
        f"the difference to it is {lead.value:+.3f} ({lead.low:+.3f} to {lead.high:+.3f}): it tells more than the view"
    )
    assert said in " ".join(verdict.sentences)
    assert "ranks above chance" in verdict.sentences[-1]


def test_a_model_that_knows_only_the_view_does_not() -> None:
    verdict = judge(analyse(aggregated(VIEW_ONLY)))
    assert verdict.standing in ("level", "below")
    assert "it tells more" not in " ".join(verdict.sentences)
    assert "no better than chance" in verdict.sentences[-1]


def test_the_difference_is_paired() -> None:
    """A lead that is too small for an interval held against a fixed floor still shows on the same patients."""
    analysis = analyse(aggregated(replace(CLEAN, signal=0.25)))
    verdict = judge(analysis)
    assert analysis.choice is not None
    assert analysis.floor is not None
    lead, corrected = analysis.choice.corrected.above_reference, analysis.choice.corrected.corrected
    assert lead is not None
    assert lead.high - lead.low < corrected.high - corrected.low
    assert verdict.standing == ("above" if lead.low > 0 else "below" if lead.high < 0 else "level")


@pytest.mark.parametrize("plan", [CLEAN, VIEW_ONLY])
def test_without_predictions_nothing_is_claimed(plan: Plan) -> None:
    averaged = aggregated(plan)
    without = replace(averaged, results=replace(averaged.results, prediction_keys={}))
    verdict = judge(analyse(without))
    assert verdict.standing == "unknown"
    assert "can't be said without its predictions" in " ".join(verdict.sentences)
