"""A model that knows nothing but the view is flagged."""

import pytest

from rustk.report.evaluation.analysis import analyse
from tests.report.planted import VIEW_ONLY, aggregated


def test_view_shortcut_is_flagged_and_has_chance_in_its_interval() -> None:
    analysis = analyse(aggregated(VIEW_ONLY))
    assert [finding.key for finding in analysis.flagged] == ["view-shortcut"]
    assert analysis.best is not None
    assert analysis.floor is not None
    within = analysis.best["auroc_in_view"]
    assert within.interval.contains(0.5)
    assert within.value == pytest.approx(0.5, abs=0.04)
    assert analysis.floor["auroc_in_view"].value == pytest.approx(0.5)
    assert analysis.best["auroc_200"].value == pytest.approx(analysis.floor["auroc_200"].value, abs=0.02)
