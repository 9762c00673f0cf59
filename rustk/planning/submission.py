"""Which folds of a run get a Job now."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Literal

FoldTask = tuple[int, int]
JobState = Literal["live", "succeeded", "failed"]


@dataclass(frozen=True)
class Decision:
    """create: folds that get a Job. replace: those of them whose ended Job goes first. failed: left alone.

    held: more could start, but `max_live` Jobs are there already.
    """

    create: tuple[FoldTask, ...]
    replace: tuple[FoldTask, ...]
    done: int
    live: int
    failed: tuple[FoldTask, ...]
    held: int


def decide(
    tasks: Iterable[FoldTask],
    *,
    jobs: Mapping[FoldTask, JobState],
    done: Set[FoldTask],
    failures: Set[FoldTask],
    retry_failed: bool,
    max_live: int | None = None,
) -> Decision:
    """Decide for each planned fold, in order.

    A fold with a history is done, and one with a live Job is left to it. One that failed (its Job says so, or its
    worker left word) is tried again only with `retry_failed`. A Job that succeeded without leaving a history, perhaps
    because someone removed the history to have the fold trained anew, is replaced.
    """
    wanted: list[FoldTask] = []
    failed: list[FoldTask] = []
    finished = 0
    live = sum(state == "live" for state in jobs.values())
    for task in tasks:
        job = jobs.get(task)
        if task in done:
            finished += 1
        elif job == "live":
            continue
        elif (job == "failed" or task in failures) and not retry_failed:
            failed.append(task)
        else:
            wanted.append(task)
    room = len(wanted) if max_live is None else max(0, max_live - live)
    create = tuple(wanted[:room])
    return Decision(
        create=create,
        replace=tuple(task for task in create if task in jobs),
        done=finished,
        live=live,
        failed=tuple(failed),
        held=len(wanted) - len(create),
    )
