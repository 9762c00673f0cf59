"""Folds that are missing or diverged are told, in words that fit their number."""

from dataclasses import replace

import pytest

from rustk.report.audits.base import Context
from rustk.report.audits.completeness import audit
from tests.report.planted import CLEAN, aggregated


@pytest.mark.parametrize(
    ("missing", "diverged", "says"),
    [
        (((0, 1),), ((0, 0, 3),), ["1 of 8 planned folds is missing", "1 fold diverged (its loss was no longer"]),
        (((0, 1), (1, 2)), ((0, 0, 3), (1, 1, 2)), ["2 of 8 planned folds are missing", "2 folds diverged (their"]),
    ],
)
def test_missing_and_diverged_folds_are_told(missing: tuple, diverged: tuple, says: list[str]) -> None:
    plan = replace(CLEAN, missing=missing, diverged=diverged, without=("predictions",))
    found = audit(Context(aggregated(plan)))
    assert [finding.key for finding in found] == ["missing", "diverged"]
    for finding, words in zip(found, says, strict=True):
        assert finding.severity == "warning"
        assert finding.sentence.startswith(words)


def test_a_whole_run_is_not_told_of() -> None:
    assert audit(Context(aggregated(replace(CLEAN, without=("predictions",))))) == []
