"""How far a run is: what was planned, what the store holds, and what is alive, put together.

The store is the truth: a fold with a history is done whatever a Job says, and a Job that succeeded without one is
shown as that.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from rustk.planning.batches import FoldTask
from rustk.vocabulary.wording import duration

State = Literal["done", "running", "pending", "failed", "no history", "missing", "dropped"]
# dropped: a race ended the trial before this fold, which nobody will train.
STATES: tuple[State, ...] = ("done", "running", "pending", "failed", "no history", "missing", "dropped")
# In these, nothing is left to do for a fold.
FINISHED: tuple[State, ...] = ("done", "dropped")

# The rate of a run is taken over this many of the last folds: early ones compiled, pulled images and filled caches.
_RECENT_FOLDS = 32


@dataclass(frozen=True)
class LiveFold:
    """A fold as the machine that trains it sees it.

    reason: why it waits or failed, or what it is at. gpu_seconds: those that its attempts have held so far.
    """

    trial: int
    fold: int
    state: Literal["running", "pending", "failed", "succeeded"]
    reason: str = ""
    gpu_seconds: float = 0.0


@dataclass(frozen=True)
class LiveFolds:
    """What is alive of a run at one moment.

    folds: those that are alive, or whose Job is still there. ask_all: where `folds` leaves out those whose Job
    succeeded, asks for all: of a large run that takes long, and of a fold with a history nobody needs to know it.
    """

    folds: Sequence[LiveFold] = ()
    ask_all: Callable[[], Sequence[LiveFold]] | None = None

    def all_folds(self) -> Sequence[LiveFold]:
        """Those whose Job succeeded as well."""
        return self.folds if self.ask_all is None else self.ask_all()


class LiveSource(Protocol):
    """Which folds are alive, and when to look again."""

    def live_folds(self, now: datetime) -> LiveFolds:
        """Every fold that is alive, or whose Job is still there."""

    def wait(self, seconds: float) -> None:
        """Until something may have changed, at most this long."""


@dataclass(frozen=True)
class FoldStatus:
    trial: int
    fold: int
    state: State
    reason: str = ""


@dataclass(frozen=True)
class RunProgress:
    """Where a run stands at one moment. Times are in seconds; gpu_hours covers the folds whose pods are still known.

    searches: whether its search is decided in rounds; rounds: how many are decided. trials_to_come: how many trials it
    will still ask for. races: whether rounds may drop trials, so that what is left is at most what the figures say.
    """

    run: str
    folds: tuple[FoldStatus, ...]
    elapsed_seconds: float | None = None
    eta_seconds: float | None = None
    gpu_hours: float | None = None
    gpu_hours_folds: int = 0
    counts: Mapping[State, int] = field(default_factory=dict)
    searches: bool = False
    rounds: int = 0
    trials_to_come: int = 0
    races: bool = False

    @property
    def time_left(self) -> str:
        """`about 5 min left`, at most where a race may drop trials; empty where it is not known, or nothing is left."""
        if self.eta_seconds is None or self.complete:
            return ""
        return f"{'at most ' if self.races else ''}about {duration(self.eta_seconds)} left"

    @property
    def complete(self) -> bool:
        """Whether every fold is done or dropped, and the search has come to its end."""
        return self.finished == len(self.folds) and not self.trials_to_come

    @property
    def finished(self) -> int:
        """How many folds are done or dropped."""
        return sum(self.counts[state] for state in FINISHED)

    @property
    def moving(self) -> bool:
        """Whether anything is running, or waits to."""
        return self.counts["running"] + self.counts["pending"] > 0

    def in_state(self, *states: State) -> list[FoldStatus]:
        return [fold for fold in self.folds if fold.state in states]

    def trials(self) -> dict[int, Counter[State]]:
        """How many folds of each trial are in which state."""
        counted: dict[int, Counter[State]] = {}
        for fold in self.folds:
            counted.setdefault(fold.trial, Counter())[fold.state] += 1
        return counted

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: done folds by count only, the others one by one, those that a race dropped apart."""
        return {
            "run": self.run,
            "complete": self.complete,
            "folds": len(self.folds),
            "counts": {state: self.counts[state] for state in STATES},
            "elapsed_seconds": self.elapsed_seconds,
            "eta_seconds": self.eta_seconds,
            "eta_is_most": self.races,
            "gpu_hours": self.gpu_hours,
            "gpu_hours_folds": self.gpu_hours_folds,
            "trials": [
                {"trial": trial, **{state: counts[state] for state in STATES}}
                for trial, counts in self.trials().items()
            ],
            "unfinished": [_described(fold) for fold in self.folds if fold.state not in FINISHED],
            "dropped": [_described(fold) for fold in self.folds if fold.state == "dropped"],
            "rounds": self.rounds,
            "trials_to_come": self.trials_to_come,
        }


def _described(fold: FoldStatus) -> dict[str, Any]:
    return {"trial": fold.trial, "fold": fold.fold, "state": fold.state, "reason": fold.reason}


def make_progress(
    run: str,
    tasks: Iterable[FoldTask],
    *,
    done: Mapping[FoldTask, datetime],
    failures: Mapping[FoldTask, str],
    live: Sequence[LiveFold],
    submitted: datetime | None,
    ended: datetime | None,
    now: datetime,
    dropped: Mapping[FoldTask, str] | None = None,
    searches: bool = False,
    rounds: int = 0,
    trials_to_come: int = 0,
    races: bool = False,
) -> RunProgress:
    """Put together what is known of a run.

    tasks: the planned (trial, fold) pairs. done: when each history came into the store, from which the pace is taken.
    failures: the words that workers left. live: the folds alive here or in the cluster; of two of one
    fold the later one counts. submitted: when the run was
    first submitted, and ended: when its last fold ended, both as the files say it, where they do. dropped: folds that a
    race ended before they were trained, with the reason; searches, rounds, trials_to_come and races: as in RunProgress.
    """
    alive = {(fold.trial, fold.fold): fold for fold in live}
    folds = tuple(_fold_status(task, done, failures, alive.get(task), dropped or {}) for task in tasks)
    counted = Counter(fold.state for fold in folds)
    counts: dict[State, int] = {state: counted[state] for state in STATES}
    finished = sorted(done[fold.trial, fold.fold] for fold in folds if fold.state == "done")
    complete = counts["done"] + counts["dropped"] == len(folds) and not trials_to_come
    elapsed = None
    if submitted is not None:
        until = ended if complete else now
        elapsed = None if until is None else max(0.0, (until - submitted).total_seconds())
    waiting = counts["running"] + counts["pending"] + counts["missing"]
    trials = len({fold.trial for fold in folds})
    waiting += trials_to_come * (len(folds) // max(trials, 1))
    held = [fold for fold in live if fold.gpu_seconds > 0]
    return RunProgress(
        run=run,
        folds=folds,
        elapsed_seconds=elapsed,
        eta_seconds=0.0 if complete else _eta(finished, waiting, now) if counts["running"] else None,
        gpu_hours=sum(fold.gpu_seconds for fold in held) / 3600 if held else None,
        gpu_hours_folds=len({(fold.trial, fold.fold) for fold in held}),
        counts=counts,
        searches=searches,
        rounds=rounds,
        trials_to_come=trials_to_come,
        races=races,
    )


def _fold_status(
    task: FoldTask,
    done: Mapping[FoldTask, datetime],
    failures: Mapping[FoldTask, str],
    live: LiveFold | None,
    dropped: Mapping[FoldTask, str],
) -> FoldStatus:
    trial, fold = task
    if task in done:
        return FoldStatus(trial, fold, "done")
    if task in dropped and (live is None or live.state not in ("running", "pending")):
        return FoldStatus(trial, fold, "dropped", dropped[task])
    if live is not None and live.state in ("running", "pending", "failed"):
        # The worker's own record is whole, where a container's last words may be cut.
        reason = failures.get(task, live.reason) if live.state == "failed" else live.reason
        return FoldStatus(trial, fold, live.state, reason)
    if task in failures:
        return FoldStatus(trial, fold, "failed", failures[task])
    if live is not None:
        return FoldStatus(trial, fold, "no history", "its Job succeeded, but there is no history in the store")
    return FoldStatus(trial, fold, "missing")


def _eta(finished: Sequence[datetime], waiting: int, now: datetime) -> float | None:
    """Seconds until `waiting` more folds are done, at the pace of the last ones; None before two are done."""
    recent = finished[-_RECENT_FOLDS:]
    if len(recent) < 2:
        return None
    seconds = (now - recent[0]).total_seconds()
    return seconds / (len(recent) - 1) * waiting if seconds > 0 else None
