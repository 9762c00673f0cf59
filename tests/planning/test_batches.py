import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.planning.batches import make_batches

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
