"""The verdict: what it says, and that it goes by the paired difference to the view floor."""

from dataclasses import replace

import pytest

from rustk.report.evaluation.analysis import analyse
from rustk.report.page.verdict import judge
from tests.report.planted import CLEAN, ODD_RUN, SINGLE_RUN, VIEW_ONLY, Plan, aggregated


def test_a_model_that_learns_stands_above_the_floor() -> None:
    analysis = analyse(aggregated(CLEAN))
    verdict = judge(analysis)
    assert (verdict.standing, verdict.headline) == ("above", "AUROC: better than knowing the view")
    assert analysis.choice is not None
    lead = analysis.choice.corrected.above_reference
    assert lead is not None
    assert lead.low > 0
    said = f"the difference is {lead.value:+.3f} ({lead.low:+.3f} to {lead.high:+.3f}): the best trial is better"
    assert said in " ".join(verdict.sentences)
    within = analysis.best["auroc_in_view"].interval if analysis.best else None
    assert within is not None
    assert verdict.within == (
        f"Within a view: {'clear' if within.low >= 0.7 else 'some'} signal ({within.value:.2f} [{within.low:.2f}, "
        f"{within.high:.2f}], chance is 0.50)"
    )
    assert "AUROC also counts pairs of images of different views" in verdict.why


def test_a_model_that_knows_only_the_view_does_not() -> None:
    verdict = judge(analyse(aggregated(VIEW_ONLY)))
    assert verdict.standing in ("level", "below")
    assert "the best trial is better" not in " ".join(verdict.sentences)
    assert verdict.within.startswith("Within a view: no signal shown (0.")


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


def test_with_one_view_nothing_is_said_of_views() -> None:
    verdict = judge(analyse(aggregated(SINGLE_RUN)))
    told = " ".join([verdict.headline, verdict.within, verdict.why, *verdict.sentences])
    told += " ".join(figure.label + figure.meaning for figure in verdict.figures)
    assert "knowing how often each score occurs" in verdict.headline
    assert "Class-frequency floor" in told
    assert "view" not in told.lower()


def test_an_instrument_has_its_own_words() -> None:
    verdict = judge(analyse(aggregated(ODD_RUN)))
    assert "which place can have a score" in verdict.why
    assert any("odd total" in figure.meaning for figure in verdict.figures)
    assert judge(analyse(aggregated(replace(CLEAN, trials=({},))))).sentences[0].startswith("The mean validation AUROC")


def test_trials_that_share_all_values_are_told_by_number() -> None:
    trials = ({"learning_rate": 1e-3}, {"learning_rate": 1e-3})
    verdict = judge(analyse(aggregated(replace(CLEAN, patients=40, folds=2, trials=trials))))
    assert verdict.sentences[0].startswith("Of 2 trials, trial 0 is the best: its mean")
