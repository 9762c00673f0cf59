"""Which folds get a worker now."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from rustk.planning.batches import FoldTask

JobState = Literal["live", "succeeded", "failed"]


@dataclass(frozen=True)
class Decision:
    """create: folds that somebody must be set to work on. failed: left alone."""

    create: tuple[FoldTask, ...]
    failed: tuple[FoldTask, ...]


def decide(
    tasks: Iterable[FoldTask],
    *,
    jobs: Mapping[FoldTask, JobState],
    done: Set[FoldTask],
    failures: Set[FoldTask],
    retry_failed: bool,
) -> Decision:
    """Decide for each fold that may be trained, in order.

    A fold with a history is done, and one with a live Job is left to it. One that failed (its Job says so, or its
    worker left word) is tried again only with `retry_failed`. A Job that succeeded without leaving a history, perhaps
    because someone removed the history to have the fold trained anew, counts for nothing.
    """
    create: list[FoldTask] = []
    failed: list[FoldTask] = []
    for task in tasks:
        job = jobs.get(task)
        if task in done or job == "live":
            continue
        if (job == "failed" or task in failures) and not retry_failed:
            failed.append(task)
        else:
            create.append(task)
    return Decision(tuple(create), tuple(failed))
