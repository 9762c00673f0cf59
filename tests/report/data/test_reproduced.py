"""The figure of merit of predictions is laid beside the recorded one, fold by fold."""

import pytest

from rustk.report.data.reproduced import RecordedMerit
from tests.report.audits.contexts import context_of
from tests.report.planted import CLEAN, aggregated


@pytest.mark.parametrize(("change", "said"), [(0.0, None), (5e-7, None), (2e-6, 3), (-0.2, 3)])
def test_the_fold_that_differs_is_named(change: float, said: int | None) -> None:
    context = context_of(aggregated(CLEAN))
    assert context.judged is not None
    assert context.probabilities is not None
    trial, epoch = (int(context.aggregate.best[name]) for name in ("trial", "epoch"))
    histories = context.results.histories.copy()
    here = (histories["trial"] == trial) & (histories["epoch"] == epoch) & (histories["fold"] == 3)
    histories.loc[here, "val_auroc"] += change
    found = RecordedMerit(histories).unlike(trial, epoch, context.judged, context.probabilities)
    assert (found and found[0]) == said
    assert found is None or found[1] == pytest.approx(abs(change), abs=1e-6)


def test_a_fold_that_is_not_recorded_is_left_out() -> None:
    context = context_of(aggregated(CLEAN))
    assert context.judged is not None
    assert context.probabilities is not None
    nothing = context.results.histories.head(0)
    assert RecordedMerit(nothing).unlike(0, 1, context.judged, context.probabilities) is None
