"""Figures that grow are those of the whole run, read at once."""

from datetime import UTC, datetime, timedelta

import pytest

from rustk.report.data.aggregate import MERIT, aggregate
from rustk.report.data.results import load_run
from rustk.store import Store
from rustk.store.runs import fold_times, read_run
from rustk.ui.figures import Figures
from rustk.vocabulary import names
from tests.report.runs import write_tiny
from tests.ui.growing import RUN, Growing

LATER = datetime.now(UTC) + timedelta(hours=1)


def there(store: Store, run: str) -> dict[tuple[int, int], datetime]:
    return fold_times(store, names.histories_prefix(run))


@pytest.mark.parametrize("without", [(), ((0, 1), (2, 0), (2, 1))])
@pytest.mark.parametrize("most", [1, 4, 100])
def test_read_little_by_little_they_are_the_aggregate(
    store: Store, tmp_path: object, without: tuple, most: int
) -> None:
    from pathlib import Path

    write_tiny(Path(store.url), without=without)
    run = "tiny-00000001"
    figures, document, found = Figures(store, run), read_run(store, run), there(store, run)
    assert figures.unread(found) == 6 - len(without)
    while figures.take(document, found, most):
        pass
    whole = aggregate(load_run(store, run), allow_partial=True)
    ranked = whole.trials[whole.trials[MERIT].notna()]
    assert [one.trial for one in figures.ranked()] == ranked["trial"].tolist()
    for one, row in zip(figures.ranked(), ranked.to_dict(orient="records"), strict=True):
        assert one.merit == row[MERIT]
        assert one.epoch == row["epoch"]
        assert one.folds == row["folds_used"]
        assert one.note == row["note"]
        curve = whole.epochs[whole.epochs["trial"] == one.trial]
        assert one.curve == tuple(curve[MERIT])
        assert sum(one.by_fold.values()) / one.folds == pytest.approx(one.merit)


def test_one_that_came_anew_is_read_anew_and_one_that_is_gone_is_forgotten(store: Store) -> None:
    grown = Growing(store)
    grown.finish(0, 0, level=0.75)
    grown.finish(0, 1, level=0.85)
    figures, document, found = Figures(store, RUN), read_run(store, RUN), there(store, RUN)
    figures.take(document, found, 10)
    assert figures.trials()[0].merit == pytest.approx(0.80)
    grown.finish(0, 1, level=0.95)
    found[0, 1] = LATER
    assert figures.unread(found) == 1
    figures.take(document, found, 10)
    assert figures.trials()[0].merit == pytest.approx(0.85)
    del found[0, 1]
    assert figures.unread(found) == 1
    figures.take(document, found, 10)
    assert figures.trials()[0].merit == pytest.approx(0.75)
    figures.take(document, {}, 10)
    assert figures.trials() == {}
    assert figures.device_seconds() == (0, 0)


def test_times_are_those_that_the_histories_say(store: Store) -> None:
    grown = Growing(store)
    grown.finish(0, 0)
    grown.finish(2, 1)
    figures, document = Figures(store, RUN), read_run(store, RUN)
    figures.take(document, there(store, RUN), 10)
    assert figures.device_seconds() == (25.0, 2)
    history = figures.history(2, 1)
    assert history is not None
    assert figures.last_end([(0, 0), (2, 1)]) == history.metadata.ended_at
    assert figures.last_end([(0, 0), (0, 1)]) is None


def test_one_that_vanishes_while_it_is_read_is_no_fault(store: Store) -> None:
    grown = Growing(store)
    grown.finish(0, 0)
    figures = Figures(store, RUN)
    figures.take(read_run(store, RUN), {**there(store, RUN), (1, 1): LATER}, 10)
    assert figures.faults() == {}
    assert list(figures.trials()) == [0]
