"""Fold tasks and the batches that are submitted: a batch is what one Job, or one worker, trains in order."""

from collections.abc import Iterable

FoldTask = tuple[int, int]  # (trial, fold)
Batch = tuple[FoldTask, ...]


def make_batches(tasks: Iterable[FoldTask], folds_per_batch: int = 1) -> list[Batch]:
    """The tasks in their order, cut into batches of `folds_per_batch`, the last one perhaps smaller.

    Raises ValueError for less than one.
    """
    if folds_per_batch < 1:
        raise ValueError(f"{folds_per_batch} folds a batch: expected at least 1")
    listed = list(tasks)
    return [tuple(listed[at : at + folds_per_batch]) for at in range(0, len(listed), folds_per_batch)]
