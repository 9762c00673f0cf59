"""A run that lacks something is evaluated as far as it goes, and what is absent is said."""

from dataclasses import replace

import pytest

from rustk.report.evaluation.analysis import analyse
from tests.report.planted import CLEAN, aggregated


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (("predictions",), "the run has no predictions of its best trial"),
        (("folds",), "this run lacks folds.parquet."),
        (("index",), "this run lacks the dataset's index.parquet."),
    ],
)
def test_what_is_not_there_is_said(without: tuple[str, ...], said: str) -> None:
    found = analyse(aggregated(replace(CLEAN, without=without)))
    assert found.best is None
    assert found.choice is None
    assert any(said in reason for reason in found.absent)
    assert (found.floor is None) == (without != ("predictions",))


def test_missing_and_diverged_folds_are_flagged_and_the_rest_is_evaluated() -> None:
    found = analyse(aggregated(replace(CLEAN, missing=((0, 1), (1, 2)), diverged=((0, 0, 3),))))
    assert {finding.key for finding in found.flagged} == {"missing", "diverged"}
    assert found.best is not None
    assert found.cohort is not None
    assert found.best.images == (found.cohort.folds != (1 if found.trial == 0 else 2)).sum()
    assert found.best["auroc_200"].value == pytest.approx(found.aggregate.best["val_auroc"], abs=1e-6)
    assert found.choice is None
    assert any("no trial has predictions of every fold" in reason for reason in found.absent)
