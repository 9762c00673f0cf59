"""Fold tasks and the batches that are submitted: a batch is what one Job, or one worker, trains in order."""

import math
from collections.abc import Iterable

# A pod has loaded TensorFlow and found its features by then, so that at least as long again goes into training.
LEAST_SECONDS = 60.0
# A longer batch gains nothing, holds its GPU against a queue, and must end before its pod's deadline.
MOST_SECONDS = 3600.0
MOST_FOLDS_PER_BATCH = 1000

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


def folds_per_batch_for(folds: int, *, fold_seconds: float, at_a_time: int) -> int:
    """How many folds to put into each batch of `folds`: as few batches as keep `at_a_time` workers busy.

    They are cut evenly. None is planned to train for less than about LEAST_SECONDS (three quarters of it, or all there
    is), nor for more than MOST_SECONDS (unless one fold alone takes longer), nor holds more than MOST_FOLDS_PER_BATCH
    folds. fold_seconds: how long a fold is expected to train.
    """
    batches = max(1, min(at_a_time, round(fold_seconds * folds / LEAST_SECONDS)))
    most = max(1, math.floor(MOST_SECONDS / fold_seconds)) if fold_seconds * folds > MOST_SECONDS else folds
    return max(1, min(math.ceil(folds / batches), most, MOST_FOLDS_PER_BATCH))
