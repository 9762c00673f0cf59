"""What the live page calls things: states, times, the hyperparameters of a trial."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rustk.planning.progress import FoldStatus, RunProgress
from rustk.report.data.words import write_hyperparameter
from rustk.vocabulary.wording import counted, duration

# What stands in a cell of the matrix where there is no figure to show; the state's own name stands in its label.
_SHORT = {"running": "runs", "pending": "waits", "no history": "lost"}
_EPOCH = re.compile(r"epoch ([0-9]{1,7}) of ([0-9]{1,7})")


def moment(when: datetime | None) -> str:
    """`2026-05-01 12:30 UTC`; empty where it is not known."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when else ""


def ago(when: datetime | None) -> str:
    """`3h 20m ago`; empty where it is not known."""
    return f"{duration(max(0.0, (datetime.now(UTC) - when).total_seconds()))} ago" if when else ""


def short_state(fold: FoldStatus) -> str:
    """A state in a cell's width: `3/20` of a fold at that epoch."""
    if fold.state == "running" and (at := _EPOCH.search(fold.reason)):
        return f"{at[1]}/{at[2]}"
    return _SHORT.get(fold.state, fold.state)


def counts_sentence(progress: RunProgress) -> str:
    """`12 of 192 folds done, 2 running, 1 failed`."""
    others = [f"{number} {state}" for state, number in progress.counts.items() if number and state != "done"]
    done = f"{progress.counts['done']:,} of {counted(len(progress.folds), 'fold')} done"
    return ", ".join([done, *others])


def searched(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """The hyperparameters with more than one value among the trials."""
    if len(trials) < 2:
        return []
    return [name for name in trials[0] if any(trial.get(name) != trials[0][name] for trial in trials)]


def describe(trials: Sequence[Mapping[str, Any]], trial: int, names: Sequence[str]) -> str:
    """`learning rate 1e-3, epsilon 1e-7`; empty where they are not known, or there was no search."""
    if trial >= len(trials):
        return ""
    return ", ".join(write_hyperparameter(name, trials[trial][name]) for name in names if name in trials[trial])
