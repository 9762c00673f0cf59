import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.planning.batches import (
    LEAST_SECONDS,
    MOST_FOLDS_PER_BATCH,
    MOST_SECONDS,
    folds_per_batch_for,
    make_batches,
)

TASKS = [(trial, fold) for trial in range(2) for fold in range(3)]


def test_a_batch_is_one_fold_unless_said_otherwise() -> None:
    assert make_batches(TASKS) == [(task,) for task in TASKS]
    assert make_batches([]) == []


def test_the_last_batch_may_be_smaller() -> None:
    assert make_batches(TASKS, 4) == [tuple(TASKS[:4]), tuple(TASKS[4:])]


@given(count=st.integers(0, 50), size=st.integers(1, 60))
def test_batches_are_the_tasks_in_their_order(count: int, size: int) -> None:
    tasks = [(number // 7, number % 7) for number in range(count)]
    batches = make_batches(iter(tasks), size)
    assert [task for batch in batches for task in batch] == tasks
    assert all(len(batch) == size for batch in batches[:-1])


def test_less_than_one_fold_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="0 folds a batch: expected at least 1"):
        make_batches(TASKS, 0)


@given(
    folds=st.integers(0, 20_000),
    fold_seconds=st.floats(1e-3, 1e5),
    at_a_time=st.integers(1, 2000),
)
def test_planned_batches_keep_workers_busy_and_are_neither_short_nor_long(
    folds: int, fold_seconds: float, at_a_time: int
) -> None:
    size = folds_per_batch_for(folds, fold_seconds=fold_seconds, at_a_time=at_a_time)
    batches = math.ceil(folds / size)
    assert 1 <= size <= MOST_FOLDS_PER_BATCH
    assert size == 1 or (size - 1) * fold_seconds < MOST_SECONDS
    if size * fold_seconds < 0.75 * LEAST_SECONDS * (1 - 1e-9):  # only where there is little work, or no more room
        assert size in (folds, MOST_FOLDS_PER_BATCH) or folds == 0
    if batches > at_a_time:  # only because fewer would be too long
        assert (size + 1) * fold_seconds > MOST_SECONDS * (1 - 1e-9) or size == MOST_FOLDS_PER_BATCH


@pytest.mark.parametrize(
    ("folds", "fold_seconds", "at_a_time", "expected"),
    [
        (192, 5, 2, 96),  # as few as fill two GPUs
        (192, 5, 64, 12),  # three folds each would end within 15 s
        (660, 600, 8, 6),  # no longer than an hour
        (60, 7200, 8, 1),  # a fold of two hours is a batch
        (3, 1, 8, 3),  # not a minute of work in all
        (192, 0.5, 2, 96),  # a minute and a half: two of 48 s, not one of 60 and one of 36
    ],
)
def test_planned_batches_of_a_few_studies(folds: int, fold_seconds: float, at_a_time: int, expected: int) -> None:
    assert folds_per_batch_for(folds, fold_seconds=fold_seconds, at_a_time=at_a_time) == expected
